//! The decisions, without IO.
//!
//! Owns: the pairing flow, the refresh transaction, what a caller is served, what is revoked, and when each of these happens.
//! Must never: read a clock, draw a random number, lock, spawn, open, send. Time and entropy come in with each event; what is
//! to be done goes out as effects. Imports nothing but itself, so that it compiles alone (`--no-default-features`).

pub mod effect;
pub mod event;
pub mod policy;
pub mod record;
pub mod snapshot;
pub mod time;
pub mod token;

pub use effect::{CallError, CallId, CodeView, Effect, Note, OpId, Reply, Request, Slots, Store};
pub use event::{
    Answer, CodeAnswer, CodeGrant, Command, Event, Fault, FaultKind, PairingOptions, PollAnswer, PrepareAnswer,
    RefreshAnswer, ResourceAnswer, RevokeAnswer, TokenGrant,
};
pub use policy::{Policy, Provisioning, RefreshMode};
pub use record::{
    Body, Code, FlowRecord, IntentMark, Loaded, MAX_REVOCATIONS, Pairing, PendingRevocation, Record, Revocable, Stamp,
    Stored, TokenPair,
};
pub use snapshot::{DeviceInfo, ErrorWord, PairingState, Reason, Snapshot, TokenState};
pub use time::{BootId, BootTime, ClockTrust, Now, WallTime};
pub use token::{AccessToken, DeviceCode, Generation, GrantId, RefreshToken, Secret, UserCode};

/// Effects of one event, in order.
pub type Effects = Vec<Effect>;

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Core {
    snapshot: Snapshot,
}

impl Core {
    /// Starts from what is stored. Effects go out as for any event.
    #[must_use]
    pub fn boot(
        policy: Policy,
        provisioning: Provisioning,
        boot: BootId,
        stored: Stored,
        now: Now,
        out: &mut Effects,
    ) -> Self {
        let _ = (policy, provisioning, boot, stored, now, out);
        todo!()
    }

    /// One event in, its effects out.
    pub fn handle(&mut self, now: Now, event: Event, out: &mut Effects) {
        let _ = (now, event, out);
        todo!()
    }

    /// When [`Event::Tick`] is due. `None`: nothing is scheduled.
    #[must_use]
    pub fn next_deadline(&self) -> Option<BootTime> {
        todo!()
    }

    /// What the world may see.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}
