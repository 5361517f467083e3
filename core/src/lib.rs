//! The decisions, without IO.
//!
//! Owns: the pairing flow, the refresh transaction, what a caller is served, what is revoked, and when each of these happens.
//! Must never: read a clock, draw a random number, lock, spawn, open, send. Time and entropy come in with each event; what is
//! to be done goes out as effects. It is a crate of its own, so that the compiler holds its boundary.
//!
//! After each event the core looks at its state as a whole and starts whatever is due (`Core::run`); handlers only change
//! the state. So there is one place where each thing starts, and nothing has to remember to start it.

mod agenda;
mod backoff;
mod calls;
pub mod effect;
pub mod error_code;
pub mod event;
mod held;
#[cfg(test)]
mod model;
pub mod op;
mod pairing;
pub mod policy;
mod probe;
pub mod record;
mod refresh;
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
mod turn;
mod unpairing;
mod view;

use calls::Calls;
use held::Held;
use op::Ids;
use pairing::Flows;
use probe::Probe;
use refresh::Refresh;
use revocation::Revocations;
use setup::Setup;
use shutdown::Shutdown;
use storage::Storage;
use turn::Turn;
use unpairing::Unpairing;
use view::Published;

pub use effect::{CallError, CodeView, Effect, Note, Prompt, Reply, Request, Slots, Store};
pub use error_code::ErrorCode;
pub use event::{
    Answer, Authorization, AuthorizeAnswer, Client, CodeAnswer, CodeGrant, Command, Event, ExchangeAnswer, Fault,
    FaultKind, LocalFault, Objection, PairingOptions, PollAnswer, PrepareAnswer, Redirect, RedirectOutcome,
    RefreshAnswer, ResourceAnswer, RevokeAnswer, TokenGrant, TokenKind, Unusable,
};
pub use op::{CallId, OpId};
pub use policy::{GrantKind, Policy, Provisioning, RefreshMode, SERVER_IS_DONE};
pub use record::{
    Body, Code, FlowRecord, IntentMark, Kept, Loaded, MAX_REVOCATIONS, Pairing, PendingRevocation, Record, Revocable,
    Stamp, Stored, TokenPair,
};
pub use snapshot::{DeviceInfo, ErrorWord, PairingState, Reason, Snapshot, TokenState};
pub use time::{BootId, BootTime, ClockTrust, Now, WallTime};
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
    ledger: Ledger,
    /// Why there is no pairing, while there is none.
    idle: Reason,
    held: Option<Held>,
    /// The old access token after a verdict ended its pairing: served to its end if a probe finds it alive.
    afterlife: Option<Afterlife>,
    refresh: Refresh,
    pairing: Flows,
    calls: Calls,
    probe: Probe,
    revocations: Revocations,
    unpairing: Option<Unpairing>,
    storage: Storage,
    shutdown: Shutdown,
    published: Published,
}

/// The last of an access token whose pairing is over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Afterlife {
    held: Held,
    /// A probe after the verdict found it alive.
    alive: bool,
}

/// What every record carries, whatever it says besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Ledger {
    generation: Generation,
    grant: GrantId,
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
        let living = match &stored.record {
            Loaded::Current(record) | Loaded::Previous(record) => {
                matches!(record.body, Body::Paired(_)).then_some(record.grant)
            }
            Loaded::Missing | Loaded::Damaged | Loaded::KeyUnavailable | Loaded::Foreign => None,
        };
        let sole_grant = policy.sole_grant;
        let listed = stored.revocations.len();
        let mut core = Self {
            setup: Setup::new(policy, provisioning, boot),
            ids: Ids::new(now.entropy),
            ledger: Ledger::default(),
            idle: Reason::NeverPaired,
            held: None,
            afterlife: None,
            refresh: Refresh::default(),
            pairing: Flows::default(),
            calls: Calls::default(),
            probe: Probe::default(),
            revocations: Revocations::restore(stored.revocations, living, sole_grant),
            unpairing: None,
            storage: Storage::found(listed > 0, stored.flow.is_some()),
            shutdown: Shutdown::default(),
            published: Published::nothing(),
        };
        let mut t = Turn::new(now, out);
        core.restore(&mut t, stored.record, stored.kept);
        if core.revocations.differ_from(listed) {
            core.store_revocations(&mut t);
        }
        if let Some(flow) = stored.flow {
            core.resume_flow(&mut t, flow);
        }
        core.run(&mut t);
        core.publish(&mut t, true);
        core.published.set_deadline(core.agenda(now.boot));
        t.finish();
        core
    }

    fn restore(&mut self, t: &mut Turn<'_>, loaded: Loaded, kept: Kept) {
        let (record, fell_back) = match loaded {
            Loaded::Current(record) => (record, false),
            Loaded::Previous(record) => (record, true),
            Loaded::Missing => return,
            Loaded::Damaged => return self.unusable(t, Reason::RecordDamaged),
            Loaded::KeyUnavailable => {
                let reason = if self.setup.has_state_key() {
                    Reason::StateKeyMismatch
                } else {
                    Reason::StateKeyMissing
                };
                return self.unusable(t, reason);
            }
            Loaded::Foreign => return self.unusable(t, Reason::ForeignRecord),
        };
        self.storage.found_record(kept);
        let spilled = kept == Kept::Spilled;
        if spilled {
            t.note(Note::RecordSpilled { doubted: fell_back });
        }
        self.ledger = Ledger {
            generation: record.generation,
            grant: record.grant,
        };
        match record.body {
            Body::Tombstone(reason) => self.idle = reason,
            Body::Paired(mut pairing) => {
                match &mut pairing.mark {
                    // Written when the mark was on its way to disk; the POST may have left as late as the crash.
                    Some(mark) if mark.boot == self.setup.boot() => mark.at = t.at(),
                    Some(_) => self.refresh.found_mark(t.at()),
                    None => {}
                }
                if fell_back {
                    if !spilled {
                        t.note(Note::RecordFellBack);
                    }
                    // It may have shown a token to somebody under the next number. This one bears the number after that from
                    // the next start on, for that is what its record will say.
                    self.ledger.generation = self.ledger.generation.next().next();
                    // The lost record may have been a newer pair, or the mark of a send of moments ago: this refresh token
                    // may be spent, and was never «fine».
                    pairing.mark = Some(IntentMark {
                        boot: self.setup.boot(),
                        at: t.at(),
                        sends: pairing.mark.map_or(1, |mark| mark.sends),
                    });
                }
                self.held = Some(Held::new(
                    record.grant,
                    record.generation,
                    *pairing,
                    self.setup.boot(),
                    self.setup.policy(),
                    t,
                    true,
                ));
                self.idle = Reason::None;
                self.reschedule_heartbeat(t);
                self.want_probe(t);
            }
        }
    }

    fn unusable(&mut self, t: &mut Turn<'_>, reason: Reason) {
        self.idle = reason;
        t.note(Note::RecordUnusable { reason });
    }

    /// One event in, its effects out.
    pub fn handle(&mut self, now: Now, event: Event, out: &mut Effects) {
        let mut t = Turn::new(now, out);
        self.take(&mut t, event);
        self.run(&mut t);
        self.publish(&mut t, false);
        let drained = self.drain(&mut t);
        self.published.set_deadline(self.agenda(now.boot));
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

    /// What the world may see.
    #[must_use]
    pub const fn snapshot(&self) -> &Snapshot {
        self.published.snapshot()
    }
}
