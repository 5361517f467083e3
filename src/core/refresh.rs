//! The refresh transaction and its schedule: what the product lives by.
//!
//! A refresh kills both old tokens, a refresh token works once, a lost answer costs the pairing. So: prove the connection,
//! write the intent mark, send once on that connection, store, publish. Never two at a time (I2), never without a durable mark
//! (I3, I9), never cancelled once sent.

use std::time::Duration;

use super::Core;
use super::backoff::FLOOR;
use super::effect::{CallError, Effect, Note, OpId, Request, Slots};
use super::event::{Fault, FaultKind, PrepareAnswer, RefreshAnswer, TokenGrant};
use super::held::{Held, stamp};
use super::policy::RefreshMode;
use super::record::{IntentMark, Pairing, TokenPair};
use super::snapshot::{ErrorWord, Reason};
use super::time::{BootTime, WallTime};
use super::turn::Turn;

/// Longest wait between tries while the old token still serves.
const ADVISORY_CAP: Duration = Duration::from_secs(15 * 60);

/// Longest wait between tries once callers are short of a token.
const MANDATORY_CAP: Duration = Duration::from_secs(2 * 60);

/// Longest wait between resends of one refresh token.
const RESEND_CAP: Duration = Duration::from_secs(3600);

/// A wrong secret is cured by a person, not by haste; yet without one (a server's fault, since mended) the daemon must find
/// its way back by itself (I5).
const CLIENT_REJECTED_WAIT: Duration = Duration::from_secs(3600);

/// Spread of a returning network's load: ten thousand devices come back together.
const NETWORK_UP_SPREAD: Duration = Duration::from_secs(30 * 60);

/// How far apart refreshes are that a 401 asked for, while new tokens are refused too.
const REFUSED_SPACING: Duration = Duration::from_secs(5 * 60);
const REFUSED_SPACING_CAP: Duration = Duration::from_secs(3600);

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
    Marking {
        prepared: OpId,
        store: OpId,
        mark: IntentMark,
    },
    /// The POST is out.
    Sent { op: OpId, mark: IntentMark },
    /// The new pair is being written; the old one is dead.
    Storing { store: OpId, incoming: TokenPair },
}

/// What limits refreshes that only a 401 asks for: a token endpoint must not be driven by a broken resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RefusedLimit {
    /// When the last such refresh was sent.
    last: Option<BootTime>,
    spacing: Duration,
    /// The token in hand came from such a refresh and no resource took it yet.
    unproven: bool,
}

impl Default for RefusedLimit {
    fn default() -> Self {
        Self {
            last: None,
            spacing: REFUSED_SPACING,
            unproven: false,
        }
    }
}

impl RefusedLimit {
    fn next(&self) -> BootTime {
        self.last.map_or(BootTime::default(), |last| last.after(self.spacing))
    }

    pub(super) fn refused(&mut self) {
        if self.unproven {
            self.spacing = (self.spacing * 2).min(REFUSED_SPACING_CAP);
        }
        self.unproven = false;
    }

    pub(super) fn taken(&mut self) {
        self.unproven = false;
        self.spacing = REFUSED_SPACING;
    }
}

impl Core {
    /// When the next refresh starts, if one is to start at all.
    ///
    /// `waited_for`: a caller is short of a token.
    pub(super) fn refresh_starts(&self, waited_for: bool) -> Option<BootTime> {
        let held = self.held.as_ref()?;
        held.pair.refresh.as_ref()?;
        if self.refresh != Refresh::Idle || !self.may_refresh() {
            return None;
        }
        let spacing = self
            .last_refreshed
            .map_or(BootTime::default(), |last| last.after(FLOOR));
        let retry = if waited_for {
            self.retry.pressed()
        } else {
            self.retry.next()
        };
        let floor = spacing.max(self.retry.not_before());
        let wish = match held.ambiguous {
            Some(mark) => {
                let earliest = self.resend_after(mark, 0);
                let wish = if waited_for || self.resend_hastened {
                    earliest
                } else {
                    self.resend_after(mark, mark.sends.saturating_sub(1))
                };
                wish.max(retry)
            }
            None => self.ordinary_wish(held, waited_for)?.max(retry),
        };
        Some(wish.max(floor))
    }

    /// When a token that is not in doubt is to be refreshed.
    fn ordinary_wish(&self, held: &Held, waited_for: bool) -> Option<BootTime> {
        let refused = held.refused.then(|| self.refused_limit.next());
        if waited_for && !held.refused {
            return Some(BootTime::default());
        }
        let scheduled = match self.policy.refresh {
            RefreshMode::Eager => match held.life {
                super::held::Life::Until(_) => Some(held.advisory),
                super::held::Life::Unknown { .. } => held.unknown_limit(),
            },
            RefreshMode::OnDemand if self.asked => Some(held.advisory),
            RefreshMode::OnDemand => held
                .refresh_ends
                .map(|end| end.before(self.policy.refresh_token_life / 2))
                .or(held.unknown_limit()),
        };
        [refused, scheduled].into_iter().flatten().min()
    }

    /// When the refresh token of an unanswered send may be sent again, `doublings` beyond the configured wait.
    fn resend_after(&self, mark: IntentMark, doublings: u32) -> BootTime {
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let wait = self
            .policy
            .replay_after
            .saturating_mul(factor)
            .min(RESEND_CAP.max(self.policy.replay_after));
        // In another boot nobody knows how long ago the send was; the server has given up on it by then at the latest.
        let from = if mark.boot == self.boot {
            mark.at
        } else {
            BootTime::default()
        };
        from.after(wait)
    }

    /// Whether the token endpoint may be asked on behalf of the pairing in hand.
    fn may_refresh(&self) -> bool {
        self.may_use_secret() && self.unpairing.is_none() && !self.flow_succeeded()
    }

    /// Step 1: a connection, proven alive before anything is risked on it.
    pub(super) fn start_refresh(&mut self, t: &mut Turn<'_>) {
        self.asked = false;
        let op = self.request(t, Request::Prepare);
        self.refresh = Refresh::Preparing(op);
    }

    /// Steps 2 and 3: hold off shutdown; write down that the token may be spent from now on.
    pub(super) fn prepared(&mut self, t: &mut Turn<'_>, op: OpId, answer: PrepareAnswer, waited_for: bool) {
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
            self.refresh = Refresh::Idle;
            self.refresh_failed(t, fault, waited_for);
            return;
        }
        let Some(held) = &self.held else { return };
        let sends = held.ambiguous.map_or(0, |mark| mark.sends).saturating_add(1);
        let mark = IntentMark {
            boot: self.boot,
            at: t.at(),
            sends,
        };
        t.emit(Effect::Inhibit);
        let body = held.to_pairing(Some(mark));
        let store = self.store_pairing(t, body, Slots::One);
        self.refresh = Refresh::Marking {
            prepared: op,
            store,
            mark,
        };
    }

    /// Step 4: the POST, on that very connection.
    pub(super) fn marked(&mut self, t: &mut Turn<'_>, prepared: OpId, mark: IntentMark, ok: bool) {
        self.refresh = Refresh::Idle;
        let token = self.held.as_ref().and_then(|held| held.pair.refresh.clone());
        let (true, true, Some(token)) = (ok, self.may_refresh(), token) else {
            t.emit(Effect::Cancel(prepared));
            t.emit(Effect::Release);
            if !ok {
                self.retry.failed(t, CallError::StorageFailed, None, MANDATORY_CAP);
            }
            return;
        };
        self.yield_resource(t);
        if self.held.as_ref().is_some_and(|held| held.refused) && !mark_is_resend(mark) {
            self.refused_limit.last = Some(t.at());
            self.refused_limit.unproven = true;
        }
        self.resend_hastened = false;
        let op = self.request(t, Request::Refresh { on: prepared, token });
        let mark = IntentMark { at: t.at(), ..mark };
        self.refresh = Refresh::Sent { op, mark };
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
        self.refresh = Refresh::Idle;
        if self.flow_succeeded() {
            // A newer pairing is on its way to disk and must not be overwritten by news of the one it replaces.
            t.emit(Effect::Release);
            return;
        }
        match answer {
            RefreshAnswer::Granted(grant) => self.refresh_granted(t, mark, date, grant),
            RefreshAnswer::Dead => {
                t.emit(Effect::Release);
                self.verdict(t);
            }
            RefreshAnswer::ClientRejected => {
                t.emit(Effect::Release);
                self.unanswered(mark);
                self.client_rejected = true;
                self.fail_with(t, ErrorWord::ClientRejected);
                t.note(Note::ClientRejected);
                let wait = t.draw(CLIENT_REJECTED_WAIT * 9 / 10, CLIENT_REJECTED_WAIT * 11 / 10);
                self.retry.failed_for(t, CallError::ClientRejected, wait);
            }
            RefreshAnswer::Failed(fault) => {
                t.emit(Effect::Release);
                if fault.kind.ambiguous() {
                    if let Some(held) = &mut self.held {
                        held.ambiguous = Some(mark);
                    }
                    // The old access token tells whether the server carried it out.
                    self.want_probe(t);
                } else if !fault.kind.unsent() {
                    self.unanswered(mark);
                }
                self.refresh_failed(t, fault, waited_for);
            }
        }
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
        let incoming = TokenPair {
            // RFC 6749 §6: a server that sends no new refresh token leaves the old one in force.
            refresh: grant.refresh.or_else(|| held.pair.refresh.clone()),
            access: grant.access,
            lifetime: grant.expires_in,
            obtained: stamp(self.boot, mark.at, date, t.now),
        };
        self.store_refreshed(t, incoming);
    }

    pub(super) fn store_refreshed(&mut self, t: &mut Turn<'_>, incoming: TokenPair) {
        let Some(held) = &self.held else { return };
        // A refresh that worked proves the pairing in hand; the other pair is the stale one.
        let pairing = Pairing {
            pair: incoming.clone(),
            mark: None,
            candidate: None,
            device: held.device.clone(),
        };
        self.ledger.generation = self.ledger.generation.next();
        let store = self.store_pairing(t, pairing, Slots::One);
        self.refresh = Refresh::Storing { store, incoming };
    }

    /// Step 6: on disk (or the disk fails, and memory is all there is): show it.
    pub(super) fn adopt_refreshed(&mut self, t: &mut Turn<'_>, incoming: TokenPair) {
        t.emit(Effect::Release);
        self.refresh = Refresh::Idle;
        let Some(old) = self.held.take() else { return };
        let pairing = Pairing {
            pair: incoming,
            mark: None,
            candidate: None,
            device: old.device,
        };
        let generation = self.ledger.generation;
        t.note(Note::Refreshed {
            generation,
            lifetime: pairing.pair.lifetime,
        });
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
        let Some(held) = self.held.take() else { return };
        if let Some(candidate) = held.candidate.clone() {
            self.adopt_candidate(t, held, candidate);
            return;
        }
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
        self.forget_resource(t);
        self.store_tombstone(t, reason);
        if self.policy.can_probe && !held.dead(t.at()) && reason != Reason::NoRefreshToken {
            self.afterlife = Some(held);
            self.want_probe(t);
        }
    }

    /// The other pair is the living one: it takes this one's place.
    pub(super) fn adopt_candidate(&mut self, t: &mut Turn<'_>, old: Held, candidate: TokenPair) {
        let pairing = Pairing {
            pair: candidate,
            mark: None,
            candidate: None,
            device: old.device,
        };
        self.ledger.generation = self.ledger.generation.next();
        self.ledger.grant.0 += 1;
        self.install(t, pairing, true);
        if let Some(body) = self.held.as_ref().map(|held| held.to_pairing(None)) {
            self.store_pairing(t, body, Slots::Both);
        }
    }

    fn refresh_failed(&mut self, t: &mut Turn<'_>, fault: Fault, waited_for: bool) {
        self.fault(t, fault.kind);
        let (dead, resend) = self
            .held
            .as_ref()
            .map_or((false, None), |held| (held.dead(t.at()), held.ambiguous));
        let cap = if dead || waited_for {
            MANDATORY_CAP
        } else {
            ADVISORY_CAP
        };
        let wait = self.retry.failed(t, fault.call_error(), fault.retry_after, cap);
        let retry_in = self.refresh_starts(waited_for).map_or(wait, |next| next.since(t.at()));
        t.note(Note::RefreshFailed {
            fault: fault.kind,
            retry_in,
            ambiguous: resend.is_some(),
            sends: resend.map_or(0, |mark| mark.sends),
        });
    }

    /// The network may be back.
    pub(super) fn hasten_refresh(&mut self, t: &mut Turn<'_>, waited_for: bool) {
        let Some(held) = &self.held else { return };
        let now = t.at();
        if waited_for || held.dead(now) || held.left(now) < self.policy.min_validity {
            self.retry.hasten(now);
            self.resend_hastened = true;
        } else {
            let by = now.after(t.draw(Duration::ZERO, NETWORK_UP_SPREAD));
            self.retry.hasten(by);
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
                t.emit(Effect::Release);
                self.refresh = Refresh::Idle;
            }
            Refresh::Idle | Refresh::Sent { .. } | Refresh::Storing { .. } => {}
        }
    }

    pub(super) fn fault(&mut self, t: &Turn<'_>, kind: FaultKind) {
        let word = match kind {
            FaultKind::Offline => ErrorWord::Offline,
            FaultKind::ClockNotSet => ErrorWord::ClockNotSet,
            FaultKind::Untrusted => ErrorWord::TlsUntrusted,
            FaultKind::Lost => ErrorWord::AnswerLost,
            FaultKind::Garbled | FaultKind::Refused => ErrorWord::ServerError,
            FaultKind::RateLimited => ErrorWord::RateLimited,
        };
        self.fail_with(t, word);
    }

    pub(super) fn fail_with(&mut self, t: &Turn<'_>, word: ErrorWord) {
        self.last_error = Some((word, t.now.wall));
    }
}

/// A resend settles an open question; a limit meant for refreshes that a 401 asks for does not concern it.
const fn mark_is_resend(mark: IntentMark) -> bool {
    mark.sends > 1
}
