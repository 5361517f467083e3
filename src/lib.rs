//! c2c-authd: pairs a camera-side device with Frame.io Camera to Cloud, keeps its tokens fresh and
//! safe, and hands them out over D-Bus.
//!
//! # Who it serves
//!
//! | who | role | what they do |
//! |---|---|---|
//! | device UI | `ui` | start and cancel pairing, show code and QR code, unpair |
//! | uploader | `uploader` | fetch a bearer token, say that one was refused |
//! | operator | root | see the state, diagnose |
//!
//! The words of C2C are swapped against those of OAuth: `client_id` names the *unit*,
//! `client_secret` the *device model*. One secret that leaks compromises every unit of the model;
//! that is why one process alone holds it.
//!
//! # The parts, and who may import whom
//!
//! | module | owns | imports |
//! |---|---|---|
//! | the crate `c2c-auth-core` | every decision, without IO | nothing |
//! | the crate `c2c-auth-client` | the D-Bus contract as a client sees it | nothing |
//! | `oauth` | requests and verdicts as pure functions | `core` |
//! | `config` | the validated configuration | `core`, `oauth`, `system` |
//! | `transport` | one bounded request at a time, over TLS | `core`, `oauth` |
//! | `discovery` | when metadata is read, and what is believed | `core`, `oauth`, `transport` |
//! | `loopback` | waits for a browser on this machine | `core`, `oauth` |
//! | `store` | what survives, sealed and atomic | `core`, `system` |
//! | `bus` | authorize, parse, send, answer | `core`, `messages` |
//! | `ctl` | `c2c-authctl` | everything but `loopback` |
//! | `messages` | words of the contract, and their sentences | `core` |
//! | `system` | what the kernel and systemd tell, and are told | `core` |
//! | `daemon` | the loop, effects | everything but `ctl` |
//!
//! `bus`, `transport`, `loopback` and `store` never import each other: what must be combined is an
//! effect. `tests/architecture.rs` holds this; the compiler holds the boundary of the core, which
//! is a crate of its own.
//!
//! # What always holds
//!
//! - **I1** Durable before visible: a token is on the bus only after it is on disk. Exception:
//!   where the disk fails it is served from memory, `LastError` says so, and storing is retried
//!   until it works.
//! - **I2** At most one request in flight that carries a grant's credentials: a probe or heartbeat
//!   gives way to a refresh.
//! - **I3** A record without an intent mark never holds a refresh token that our own refresh
//!   retired. What remains is the one window that nobody can close: the server rotated, and its
//!   answer was lost.
//! - **I4** Polls keep the server's interval, 5 s more for each `slow_down`, and kept; the first
//!   poll waits one interval.
//! - **I5** Never wedged: from every state a path leads, by time, network and the server's answers
//!   alone, to `paired` or to a state that says what a person must do; from `paired` no such path
//!   ends in `unpaired` without a server's verdict.
//! - **I6** Every call gets exactly one answer.
//! - **I7** No spin: a tick at the deadline moves the deadline forward; no retry has zero delay.
//! - **I8** Secrets never appear in a snapshot, a `Debug`, a log line, an error text or a signal.
//! - **I9** Nothing ambiguous destroys a credential: only a parsed verdict over verified TLS may.
//!   Sends are counted on disk, so that a crash loop cannot burn tries.
//!
//! # The states
//!
//! ```text
//!   unprovisioned        client id, client secret or state key is absent
//!
//!                StartPairing                      a code is there
//!  +----------+ -------------> +-----------------+ --------------> +---------------+
//!  | unpaired |                | requesting-code |                 | awaiting-user |
//!  +----------+ <------------- +-----------------+ <-------------- +---------------+
//!     ^     ^    ended                              code-expired     |      |
//!     |     +--------------------------------------------------------+      | approved, on disk
//!     |            cancelled, denied, gave-up                               v
//!     |                                                               +----------+
//!     +-------------------------------------------------------------- |  paired  |
//!               Unpair, or a server's verdict                         +----------+
//! ```
//!
//! A replacement runs the same way from `paired` and returns to it, changed only if somebody
//! approved. Beside the flow runs the refresh of the pairing in hand:
//!
//! ```text
//!  idle -> preparing -> marking -> sent -> storing -> idle
//!           connect,    intent     POST    new pair
//!           prove       mark on            on disk,
//!                       disk               then shown
//! ```
//!
//! More: `docs/architecture.md`, `docs/refreshing.md`.

mod bus;
mod config;
mod ctl;
mod daemon;
mod discovery;
mod loopback;
mod messages;
mod oauth;
mod store;
mod system;
mod transport;

pub use ctl::main as ctl;
pub use daemon::main as daemon;

/// What the integration tests take: they read and write the daemon's files, and hold its words
/// against the documents.
#[doc(hidden)]
pub mod for_tests {
    pub use crate::config::{Config, System};
    pub use crate::daemon::args::HELP;
    pub use crate::daemon::exit::Code;
    pub use crate::messages::journal::Kind;
    pub use crate::store::{Directories, Identity, StateKey, Store, peek};
}
