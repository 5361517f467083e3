//! The refresh transaction and its schedule: what the product lives by.
//!
//! A refresh kills both old tokens, a refresh token works once, a lost answer costs the pairing. So: prove the connection,
//! write the intent mark, send once on that connection, store, publish. Never two at a time (I2), never without a durable mark
//! (I3, I9), never cancelled once sent.

mod schedule;

use std::time::Duration;

use crate::backoff::Cause;
use crate::effect::{CallError, Effect, Note, Request};
use crate::event::{Fault, FaultKind, Objection, PrepareAnswer, RefreshAnswer, TokenGrant, TokenKind, Unusable};
use crate::held::{Held, stamp};
use crate::op::OpId;
use crate::record::{IntentMark, Pairing, TokenPair};
use crate::snapshot::{ErrorWord, Reason};
use crate::storage::{Pending, Tokens};
use crate::time::{BootTime, WallTime};
use crate::token::Generation;
use crate::turn::Turn;
use crate::{Afterlife, Core};

pub(super) use schedule::RefusedLimit;
use schedule::{ADVISORY_CAP, CLIENT_REJECTED_WAIT};

/// How long a sent refresh makes callers wait: the old token is about to die, and most answers are here by then.
pub(super) const SENT_HOLD: Duration = Duration::from_secs(2);

/// Where the one possible refresh stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Refresh {
    /// None under way.
    #[default]
    Idle,
    /// The connection is being brought up.
    Preparing(OpId),
    /// The intent mark is being written.
    Marking { prepared: OpId, mark: IntentMark },
    /// The POST is out. `outdated`: a second pair came after it left, and it cannot tell which of the two lives.
    Sent { op: OpId, mark: IntentMark, outdated: bool },
    /// The new pair is being written; the old one is dead.
    Storing { incoming: Incoming },
}

/// A pair on its way to disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Incoming {
    pub(super) pair: TokenPair,
    generation: Generation,
    /// It did not come from a refresh: it is the candidate of a cancelled replacement.
    replaces: bool,
}

/// Whether logind was asked to hold off shutdown and sleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Inhibitor {
    #[default]
    Free,
    Held,
}

impl Core {
    /// Step 1: a connection, proven alive before anything is risked on it.
    pub(super) fn start_refresh(&mut self, t: &mut Turn<'_>) {
        // Who waits for it now may be gone when the connection stands, and the try goes on.
        self.asked |= self.waited_for(t.at());
        let op = self.request(t, Request::Prepare);
        self.refresh = Refresh::Preparing(op);
    }

    /// Steps 2 and 3: hold off shutdown; write down that the token may be spent from now on. If what the connection told of
    /// the time makes that needless, neither is done.
    pub(super) fn prepared(&mut self, t: &mut Turn<'_>, op: OpId, answer: PrepareAnswer) {
        let now = t.at();
        self.refresh = Refresh::Idle;
        self.judge_age(t, answer);
        let waited_for = self.waited_for(now);
        let wanted = self.still_wanted(now, waited_for);
        self.asked = false;
        if !wanted && !matches!(answer, PrepareAnswer::Failed(_)) {
            t.emit(Effect::Cancel(op));
            self.retry.relent(now);
            if let PrepareAnswer::Busy(fault) = answer {
                // Nobody needs it now. What the server asked for is remembered for when somebody does.
                self.retry
                    .failed(t, fault.call_error(), fault.cause(), fault.retry_after, ADVISORY_CAP);
            }
            return;
        }
        let failed = match answer {
            PrepareAnswer::Ready => None,
            // A server that asks for patience gets it as long as nobody is short of a token.
            PrepareAnswer::Busy(fault) => {
                let short = waited_for || self.held.as_ref().is_none_or(|held| held.dead(t.at()));
                (!short).then_some(fault)
            }
            PrepareAnswer::Failed(fault) => Some(fault),
        };
        if let Some(fault) = failed {
            t.emit(Effect::Cancel(op));
            // A request without a credential that nobody answered left nothing of ours behind.
            let cause = if fault.kind == FaultKind::Lost {
                Cause::Unreached
            } else {
                fault.cause()
            };
            self.refresh_failed(t, fault, cause, waited_for);
            return;
        }
        let Some(held) = &self.held else { return };
        let sends = held.ambiguous.map_or(0, |mark| mark.sends).saturating_add(1);
        let mark = IntentMark {
            boot: self.boot,
            at: t.at(),
            sends,
        };
        let body = held.to_pairing(Some(mark));
        self.inhibit(t);
        if self.storage.counts(mark.sends) {
            self.send_refresh(t, op, mark);
            return;
        }
        self.store_pairing(t, body, Tokens::Same, Pending::IntentMark);
        self.refresh = Refresh::Marking { prepared: op, mark };
    }

    /// What a connection tells of the token's age, beside the `Date` of its answer.
    fn judge_age(&mut self, t: &Turn<'_>, answer: PrepareAnswer) {
        let Some(held) = &mut self.held else { return };
        let askable = held.askable(&self.policy);
        match answer {
            PrepareAnswer::Ready | PrepareAnswer::Busy(_) => {
                let decided = held.challenged() || held.ambiguous.is_some();
                let doubted = askable && held.by_wall_clock() && !decided;
                if doubted {
                    // It told no time, and a wrong clock must not cost a refresh: the token is asked about first.
                    held.doubt(&self.policy, t);
                }
                held.reached(true, t.at());
                if doubted {
                    self.want_probe(t);
                }
            }
            PrepareAnswer::Failed(fault) if fault.cause() == Cause::Unreached && !askable => {
                held.reached(false, t.at());
            }
            PrepareAnswer::Failed(_) => {}
        }
    }

    /// Whether a refresh is wanted by all that is known now that the connection stands.
    fn still_wanted(&self, now: BootTime, waited_for: bool) -> bool {
        self.held.as_ref().is_some_and(|held| {
            let wish = self.ordinary_wish(held, waited_for);
            held.ambiguous.is_some() || wish.is_some_and(|at| at <= now)
        })
    }

    /// The mark is on disk, or is not: then nothing is sent, and the disk is tried before the network.
    pub(super) fn marked(&mut self, t: &mut Turn<'_>, ok: bool) {
        let Refresh::Marking { prepared, mark } = self.refresh else {
            return;
        };
        if ok {
            self.send_refresh(t, prepared, mark);
        } else {
            self.refresh = Refresh::Idle;
            t.emit(Effect::Cancel(prepared));
            self.release(t);
        }
    }

    /// Step 4: the POST, on that very connection.
    fn send_refresh(&mut self, t: &mut Turn<'_>, prepared: OpId, mark: IntentMark) {
        self.refresh = Refresh::Idle;
        let token = self.held.as_ref().and_then(|held| held.pair.refresh.clone());
        let (true, Some(token)) = (self.may_refresh(), token) else {
            t.emit(Effect::Cancel(prepared));
            self.release(t);
            return;
        };
        self.yield_resource(t);
        self.resend_hastened = false;
        let op = self.request(t, Request::Refresh { on: prepared, token });
        let mark = IntentMark { at: t.at(), ..mark };
        self.refresh = Refresh::Sent {
            op,
            mark,
            outdated: false,
        };
    }

    /// The POST ended.
    pub(super) fn refreshed(
        &mut self,
        t: &mut Turn<'_>,
        mark: IntentMark,
        date: Option<WallTime>,
        answer: RefreshAnswer,
        waited_for: bool,
    ) {
        let sent = std::mem::take(&mut self.refresh);
        if self.storage.pending() == Pending::NewPairing {
            // A newer pairing is on its way to disk and must not be overwritten by news of the one it replaces.
            self.release(t);
            return;
        }
        match answer {
            RefreshAnswer::Granted(grant) => {
                if let (Refresh::Sent { outdated: false, .. }, Some(held)) = (sent, &mut self.held) {
                    // It left after the other pair came, and worked: that one is stale.
                    held.candidate = None;
                }
                self.refresh_granted(t, mark, date, grant);
            }
            RefreshAnswer::Dead => {
                self.release(t);
                self.verdict(t);
            }
            RefreshAnswer::ClientRejected(objection) => {
                self.release(t);
                self.refresh_rejected(t, mark, objection);
            }
            RefreshAnswer::Failed(fault) => {
                self.release(t);
                self.sent_refresh_failed(t, mark, fault, waited_for);
            }
        }
    }

    /// The POST came back with «not this client».
    pub(super) fn refresh_rejected(&mut self, t: &mut Turn<'_>, mark: IntentMark, objection: Objection) {
        self.unanswered(mark);
        self.client_rejected = true;
        self.fail_with(t, ErrorWord::ClientRejected);
        t.note(Note::ClientRejected {
            objection,
            paired: true,
        });
        let wait = t.draw(CLIENT_REJECTED_WAIT * 9 / 10, CLIENT_REJECTED_WAIT * 11 / 10);
        self.retry.failed_for(t, CallError::ClientRejected, wait);
    }

    /// The POST came back without a verdict, or not at all.
    pub(super) fn sent_refresh_failed(&mut self, t: &mut Turn<'_>, mark: IntentMark, fault: Fault, waited_for: bool) {
        if fault.kind.ambiguous() {
            if let Some(held) = &mut self.held {
                held.ambiguous = Some(mark);
            }
            // The old access token tells whether the server carried it out.
            self.want_probe(t);
        } else if !fault.kind.unsent() {
            self.unanswered(mark);
        }
        // The server was there a moment ago, whatever became of this connection.
        self.refresh_failed(t, fault, Cause::Refused, waited_for);
    }

    /// An answer that is no verdict on this send. An earlier send that stays unanswered stays so; this one counts for it.
    fn unanswered(&mut self, mark: IntentMark) {
        if let Some(held) = &mut self.held
            && held.ambiguous.is_some()
        {
            held.ambiguous = Some(mark);
        }
    }

    /// Step 5: durable before visible (I1).
    fn refresh_granted(&mut self, t: &mut Turn<'_>, mark: IntentMark, date: Option<WallTime>, grant: TokenGrant) {
        let Some(held) = &self.held else { return };
        let old = held.pair.refresh.clone();
        let obtained = stamp(self.boot, mark.at, date, t.now);
        let unusable = grant.unusable();
        // RFC 6749 §6: a server that sends no new refresh token leaves the old one in force.
        let incoming = grant.into_pair(old.as_ref(), obtained, t);
        self.told_unusable(t, unusable, &incoming);
        self.store_incoming(t, incoming, false);
    }

    /// The number of the token in a pair that was granted: the next one where there is a token.
    pub(super) const fn count(&mut self, pair: &TokenPair) -> Generation {
        if pair.access.is_some() {
            self.ledger.generation = self.ledger.generation.next();
        }
        self.ledger.generation
    }

    /// Says of a pair that was granted which of its tokens cannot be used, and why.
    pub(super) fn told_unusable(
        &mut self,
        t: &mut Turn<'_>,
        unusable: impl Iterator<Item = (TokenKind, Unusable)>,
        pair: &TokenPair,
    ) {
        for (token, why) in unusable {
            self.fail_with(t, ErrorWord::ServerError);
            t.note(Note::TokenUnusable {
                token,
                why,
                retry_in: pair.lifetime,
            });
        }
    }

    pub(super) fn store_incoming(&mut self, t: &mut Turn<'_>, pair: TokenPair, replaces: bool) {
        let Some(held) = &self.held else { return };
        let pairing = Pairing {
            pair: pair.clone(),
            mark: None,
            candidate: held.candidate.clone(),
            device: held.device.clone(),
        };
        let generation = self.count(&pair);
        self.store_pairing(t, pairing, Tokens::New, Pending::RefreshedPair);
        let incoming = Incoming {
            pair,
            generation,
            replaces,
        };
        self.refresh = Refresh::Storing { incoming };
    }

    /// Step 6: on disk (or the disk fails, and memory is all there is): show it.
    pub(super) fn adopt_incoming(&mut self, t: &mut Turn<'_>) {
        let Refresh::Storing { incoming } = std::mem::take(&mut self.refresh) else {
            return;
        };
        self.release(t);
        let Some(old) = self.held.take() else { return };
        let challenged = old.challenged();
        let pairing = Pairing {
            pair: incoming.pair,
            mark: None,
            // One that came in after the refresh left, or while this pair was being written.
            candidate: old.candidate,
            device: old.device,
        };
        // Its own number, not the ledger's: a replacement may have taken the next one meanwhile.
        let generation = incoming.generation;
        if incoming.replaces {
            t.note(Note::Paired {
                generation,
                replaced: true,
                refreshable: pairing.pair.refresh.is_some(),
            });
        } else if pairing.pair.access.is_some() {
            t.note(Note::Refreshed {
                generation,
                lifetime: pairing.pair.lifetime,
            });
        }
        self.held = Some(Held::new(
            old.grant,
            generation,
            pairing,
            self.boot,
            &self.policy,
            t,
            false,
        ));
        self.last_refreshed = Some(t.at());
        if challenged && !incoming.replaces {
            self.refused_limit.spent(t.at());
        } else if !self.policy.can_probe && !incoming.replaces {
            // The token before lived to its ordinary refresh, and nobody said a word: no resource could tell more.
            self.refused_limit.taken();
        }
        self.new_token(t);
    }

    /// A token nobody has used yet is in hand: all earlier trouble concerns another one.
    pub(super) fn new_token(&mut self, t: &mut Turn<'_>) {
        self.retry.reset();
        self.asked = false;
        self.resend_hastened = false;
        self.client_rejected = false;
        self.aged = 0;
        self.forget_resource(t);
        self.want_probe(t);
    }

    /// «This refresh token is worth nothing.»
    fn verdict(&mut self, t: &mut Turn<'_>) {
        if let Some(candidate) = self.held.as_mut().and_then(|held| held.candidate.take()) {
            self.adopt_candidate(t, candidate);
            return;
        }
        let Some(held) = self.held.take() else { return };
        let reason = if held.ambiguous.is_some() {
            Reason::RefreshAnswerLost
        } else if held.refresh_token_ended(t.at()) {
            Reason::RefreshTokenExpired
        } else {
            Reason::Revoked
        };
        self.end_pairing(t, held, reason);
    }

    /// The pairing is over by the server's word: a tombstone, and the last of the access token if it still lives.
    pub(super) fn end_pairing(&mut self, t: &mut Turn<'_>, held: Held, reason: Reason) {
        self.fail_with(t, ErrorWord::PairingLost);
        t.note(Note::PairingLost { reason });
        self.idle = reason;
        self.retry.reset();
        let patience = self.forget_resource(t);
        self.store_tombstone(t, reason, Pending::Nothing);
        if self.policy.can_probe && !held.dead(t.at()) && reason != Reason::NoRefreshToken {
            self.afterlife = Some(Afterlife { held, alive: false });
            self.want_probe_of_the_same(t, patience);
        }
    }

    /// The other pair is the living one: it takes this one's place as a refreshed one would.
    pub(super) fn adopt_candidate(&mut self, t: &mut Turn<'_>, candidate: TokenPair) {
        self.abandon_unsent_refresh(t);
        self.store_incoming(t, candidate, true);
    }

    fn inhibit(&mut self, t: &mut Turn<'_>) {
        if std::mem::replace(&mut self.inhibitor, Inhibitor::Held) == Inhibitor::Free {
            t.emit(Effect::Inhibit);
        }
    }

    pub(super) fn release(&mut self, t: &mut Turn<'_>) {
        if std::mem::take(&mut self.inhibitor) == Inhibitor::Held {
            t.emit(Effect::Release);
        }
    }

    /// Leaves a transaction that has not been sent; a sent one runs on.
    pub(super) fn abandon_unsent_refresh(&mut self, t: &mut Turn<'_>) {
        match self.refresh {
            Refresh::Preparing(op) => {
                t.emit(Effect::Cancel(op));
                self.refresh = Refresh::Idle;
            }
            Refresh::Marking { prepared, .. } => {
                t.emit(Effect::Cancel(prepared));
                self.release(t);
                self.storage.withdraw_mark();
                self.refresh = Refresh::Idle;
            }
            Refresh::Idle | Refresh::Sent { .. } | Refresh::Storing { .. } => {}
        }
    }
}
