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
//! `client_secret` the *device model*. One secret that leaks compromises every unit of the model.
//! So one process alone holds it.
//!
//! The parts, and who may import whom: `docs/architecture.md`. What always holds (I1–I9), and the
//! states: the crate `c2c-auth-core`.

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

/// The items that the integration tests use: they read and write the daemon's files, and hold its
/// words against the documents.
#[doc(hidden)]
pub mod for_tests {
    pub use crate::config::{Config, System};
    pub use crate::daemon::args::HELP;
    pub use crate::daemon::exit::Code;
    pub use crate::messages::journal::Kind;
    pub use crate::store::{Directories, Identity, StateKey, Store, peek};
}
