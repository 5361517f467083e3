//! The decisions, without IO.
//!
//! Owns: the pairing flow, the refresh transaction, what a caller is served, what is revoked, and
//! when each of these happens. Must never: read a clock, draw a random number, lock, spawn, open,
//! send. Time and entropy come in with each event; what is to be done goes out as effects. It is a
//! crate of its own, so that the compiler holds its boundary.
//!
//! After each event the core looks at its state as a whole and starts whatever is due (`jobs.rs`);
//! handlers only change the state. So there is one place where each thing starts, and nothing has
//! to remember to start it.
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
//!   ends in `unpaired` without a server's final answer.
//! - **I6** Every call gets exactly one answer.
//! - **I7** No spin: a tick at the deadline moves the deadline forward; no retry has zero delay.
//! - **I8** Secrets never appear in a snapshot, a `Debug`, a log line, an error text or a signal.
//! - **I9** Nothing ambiguous destroys a credential: only a parsed final answer over verified TLS
//!   may. Sends are counted on disk, so that a crash loop cannot burn tries.
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
//!               Unpair, or a server's final answer                         +----------+
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

mod apply;
mod backoff;
mod calls;
mod context;
mod credential;
pub mod device;
pub mod effect;
pub mod error_code;
pub mod event;
mod jobs;
#[cfg(test)]
#[expect(
    clippy::disallowed_macros,
    clippy::disallowed_types,
    reason = "the proof prints its counts, keeps its scenarios, and is told by the compiler where to look"
)]
mod model;
pub mod op;
mod orders;
mod pair_fate;
mod pairing;
mod pending;
pub mod policy;
mod probe;
pub mod record;
mod refresh;
mod remedy;
mod revocation;
mod serve;
mod setup;
mod shutdown;
pub mod snapshot;
mod storage;
#[cfg(test)]
mod tests;
pub mod time;
pub mod token;
mod unpairing;
mod view;

use calls::Calls;
use context::Context;
use credential::Credentials;
use op::Ids;
use orders::Orders;
use pairing::Flows;
use probe::Probe;
use refresh::Refresh;
use revocation::Revocations;
use setup::Setup;
use shutdown::Shutdown;
use storage::Storage;
use unpairing::Unpairing;
use view::Published;

pub use device::{AuthorizationEnd, DeviceStatus};
pub use effect::{CallError, CodeView, Effect, LogEvent, Prompt, Reply, Request, Slots, Store};
pub use error_code::ErrorCode;
pub use event::{
    Answer, Authorization, AuthorizeAnswer, Client, CodeAnswer, CodeGrant, Command, Event, ExchangeAnswer, Fault,
    FaultKind, LocalFault, OAuthErrorCode, PairingOptions, PollAnswer, PrepareAnswer, ProbeAnswer, Redirect,
    RedirectOutcome, RefreshAnswer, RevokeAnswer, TokenGrant, TokenKind, Unusable,
};
pub use op::{CallId, OpId};
pub use policy::{GrantKind, Policy, Provisioning, RefreshMode, ReuseWindow, SERVER_IS_DONE};
pub use record::{
    Body, Code, FlowRecord, IntentMark, Kept, Loaded, MAX_REVOCATIONS, PairingRecord, PendingRevocation, Record,
    Revocable, Stamp, Stored, TokenPair,
};
pub use remedy::{Remedy, remedy};
pub use snapshot::{Contact, DeviceInfo, ErrorWord, Lifetimes, PairingState, Reason, Snapshot, TokenState};
pub use time::{Boot, BootId, BootTime, ClockTrust, Now, WallTime};
pub use token::{
    AccessToken, AuthorizationCode, CodeVerifier, DeviceCode, Generation, GrantId, RefreshToken, Secret,
    StateParameter, TOKEN_MAX, UserCode,
};

/// Effects of one event, in order.
pub type Effects = Vec<Effect>;

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Core {
    setup: Setup,
    ids: Ids,
    credential: Credentials,
    refresh: Refresh,
    pairing: Flows,
    calls: Calls,
    orders: Orders,
    probe: Probe,
    revocations: Revocations,
    unpairing: Option<Unpairing>,
    storage: Storage,
    shutdown: Shutdown,
    published: Published,
}

impl Core {
    /// Starts from what is stored. Effects go out as for any event.
    #[must_use]
    pub fn boot(
        policy: Policy,
        provisioning: Provisioning,
        boot: Boot,
        stored: Stored,
        now: Now,
        out: &mut Effects,
    ) -> Self {
        let mut core = Self {
            setup: Setup::new(policy, provisioning, boot),
            ids: Ids::new(now.entropy),
            credential: Credentials::default(),
            refresh: Refresh::default(),
            pairing: Flows::default(),
            calls: Calls::default(),
            orders: Orders::default(),
            probe: Probe::default(),
            revocations: Revocations::default(),
            unpairing: None,
            storage: Storage::found(!stored.revocations.is_empty(), stored.flow.is_some()),
            shutdown: Shutdown::default(),
            published: Published::nothing(),
        };
        let mut t = Context::new(now, out);
        if !stored.writable {
            core.found_unwritable(&mut t);
        }
        core.restore_record(&mut t, stored.record, stored.kept);
        core.restore_revocations(&mut t, stored.revocations);
        if let Some(flow) = stored.flow {
            core.restore_flow(&mut t, flow);
        }
        core.start_due(&mut t);
        core.publish(&mut t, true);
        core.published.set_deadline(core.next_timeout(now));
        t.finish();
        core
    }

    /// One event in, its effects out.
    pub fn handle(&mut self, now: Now, event: Event, out: &mut Effects) {
        let mut t = Context::new(now, out);
        self.apply(&mut t, event);
        self.start_due(&mut t);
        self.release_if_done(&mut t);
        self.publish(&mut t, false);
        let drained = self.drain(&mut t);
        self.published.set_deadline(self.next_timeout(now));
        t.finish();
        if drained {
            out.push(Effect::Drained);
        }
    }

    /// When [`Event::Tick`] is due. `None`: nothing is scheduled.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<BootTime> {
        self.published.deadline()
    }

    /// True if memory holds what the state directory did not take.
    #[must_use]
    pub fn is_unsaved(&self) -> bool {
        self.storage.is_unsaved()
    }

    /// The visible state.
    #[must_use]
    pub const fn snapshot(&self) -> &Snapshot {
        self.published.snapshot()
    }
}
