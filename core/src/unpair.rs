//! Giving a pairing up: first the disk, then the answer, then the server.
//!
//! The token to revoke is written before the tombstone, so that a crash in between leaves a live pairing and an entry that
//! is recognized as not to be sent. After the tombstone nothing on this device brings the pairing back; telling the server is
//! tried until the token's end.

use std::time::Duration;

use super::Core;
use super::backoff::{Change, Retry};
use super::calls::{CALL_LIMIT, Kind, Wants};
use super::effect::{CallError, Note, Request, Store};
use super::event::{Command, Fault, RefreshAnswer, RevokeAnswer};
use super::held::stamp;
use super::op::{CallId, OpId};
use super::policy::Provisioning;
use super::record::{IntentMark, MAX_REVOCATIONS, PendingRevocation, Revocable, TokenPair};
use super::snapshot::Reason;
use super::storage::Pending;
use super::time::{BootTime, WallTime};
use super::token::GrantId;
use super::turn::Turn;

/// Longest wait between tries to revoke: nobody waits for it, and the token has days.
const REVOKE_CAP: Duration = Duration::from_secs(3600);

/// Spread of a returning network's load; see the refresh schedule.
const NETWORK_UP_SPREAD: Duration = Duration::from_secs(30 * 60);

/// `Unpair` under way: the tombstone is being written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Unpairing {
    /// The refresh that was out when the user unpaired.
    flying: Option<(OpId, IntentMark)>,
    /// What it brought, should the tombstone fail.
    rescued: Option<TokenPair>,
    /// What a poll of the flow that `Unpair` ended brought, should the tombstone fail.
    pub(super) late: Option<TokenPair>,
}

/// Tokens the server has yet to hear about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Revocations {
    entries: Vec<Entry>,
    op: Option<(OpId, Revocable)>,
    retry: Retry,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry {
    pending: PendingRevocation,
    /// A refresh of this grant is out: whichever refresh token is the newest then is to be revoked.
    waits_for: Option<OpId>,
}

impl Core {
    /// `Unpair`.
    pub(super) fn unpair(&mut self, t: &mut Turn<'_>, call: CallId) {
        let deadline = t.at().after(CALL_LIMIT);
        if self.unpairing.is_some() {
            self.calls.push(call, deadline, Wants::Unpaired);
            return;
        }
        if self.provisioning == Provisioning::StateKeyMissing {
            t.reply(call, Err(CallError::NotProvisioned));
            return;
        }
        if self.storage.pending().puts_off(&Command::Unpair) {
            // A pairing that is being written this moment is unpaired as soon as it stands.
            self.calls.push(call, deadline, Wants::Retry(Command::Unpair));
            return;
        }
        self.end_flow(t, Reason::Unpaired);
        self.forget_flow_file(t);
        if self.afterlife.is_some() {
            self.forget_probe(t);
        }
        let Some(held) = &self.held else {
            // A tombstone that a crash or a failing disk may have left in one generation only is made whole first.
            if self.storage.record_behind() {
                self.store_tombstone(t, self.idle, Pending::Nothing);
            }
            self.done_when_durable(t, call, true);
            return;
        };
        let grant = held.grant;
        let candidate = held.candidate.clone();
        let newest = self.refresh.incoming().unwrap_or(&held.pair).clone();
        self.abandon_unsent_refresh(t);
        let flying = self.refresh.detach();
        // A person does not wait for the pace of an earlier failure.
        self.revocations.retry.relent(t.at());
        self.revoke_pair(t, grant, &newest, flying.map(|(op, _)| op));
        if let Some(candidate) = candidate {
            // Nobody knows which of the two lives; neither may stay behind in the project.
            self.revoke_pair(t, grant, &candidate, None);
        }
        self.store_tombstone(t, Reason::Unpaired, Pending::Tombstone);
        self.calls.push(call, deadline, Wants::Unpaired);
        self.unpairing = Some(Unpairing {
            flying,
            rescued: None,
            late: None,
        });
    }

    /// The tombstone is on disk, or is not.
    pub(super) fn tombstone_stored(&mut self, t: &mut Turn<'_>, ok: bool) {
        let Some(unpairing) = self.unpairing.take() else {
            return;
        };
        if !ok {
            self.unpair_failed(t, unpairing);
            return;
        }
        self.held = None;
        if self.flow.is_none() {
            self.idle = Reason::Unpaired;
        }
        self.refresh.forget_failures();
        self.forget_probe(t);
        t.note(Note::Unpaired);
        if self.storage.flow_unsettled() {
            self.forget_flow_file(t);
            for call in self.calls.take(Kind::Unpaired) {
                self.done_when_durable(t, call.call, false);
            }
            return;
        }
        self.calls.answer(t, Kind::Unpaired, Ok(()));
    }

    /// Nothing has changed: neither here, nor at the server.
    fn unpair_failed(&mut self, t: &mut Turn<'_>, unpairing: Unpairing) {
        self.calls.answer(t, Kind::Unpaired, Err(CallError::StorageFailed));
        let Some(grant) = self.held.as_ref().map(|held| held.grant) else {
            return;
        };
        self.revocations.entries.retain(|entry| entry.pending.grant != grant);
        self.store_revocations(t);
        // One of the two generations may hold the tombstone.
        self.storage.tombstone_failed();
        if let Some(incoming) = unpairing.rescued {
            self.store_incoming(t, incoming, false);
        } else if let Some(sent) = unpairing.flying {
            // Which of the two came first is forgotten; to ask costs a probe.
            let outdated = self.held.as_ref().is_some_and(|held| held.candidate.is_some());
            self.refresh.reattach(sent, outdated);
        }
        if let Some(late) = unpairing.late {
            self.keep_candidate(t, late);
        }
    }

    /// A refresh that was out when its pairing was given up has ended. Whether `op` was one.
    pub(super) fn orphan_refreshed(
        &mut self,
        t: &mut Turn<'_>,
        op: OpId,
        date: Option<WallTime>,
        answer: &RefreshAnswer,
    ) -> bool {
        let Some(entry) = self
            .revocations
            .entries
            .iter_mut()
            .find(|entry| entry.waits_for == Some(op))
        else {
            return false;
        };
        entry.waits_for = None;
        if let RefreshAnswer::Granted(grant) = answer {
            if let Ok(Some(refresh)) = &grant.refresh {
                entry.pending.token = Revocable::Refresh(refresh.clone());
            }
            if let Some(Unpairing {
                flying: Some((_, mark)),
                rescued,
                ..
            }) = &mut self.unpairing
                && let Some(held) = &self.held
            {
                let obtained = stamp(self.boot, mark.at, date, t.now);
                *rescued = Some(grant.clone().into_pair(held.pair.refresh.as_ref(), obtained, t));
            }
            self.store_revocations(t);
        }
        // Should the tombstone fail, the pairing goes on with what this taught.
        if let Some((_, mark)) = self.unpairing.as_mut().and_then(|unpairing| unpairing.flying.take()) {
            match answer {
                RefreshAnswer::Failed(fault) => self.sent_refresh_failed(t, mark, *fault, false),
                RefreshAnswer::ClientRejected(objection) => self.refresh_rejected(t, mark, *objection),
                RefreshAnswer::Granted(_) | RefreshAnswer::Dead => {}
            }
        }
        self.refresh.release(t);
        self.revoke_before_code();
        true
    }

    /// Puts a pair on the list.
    pub(super) fn revoke_pair(&mut self, t: &mut Turn<'_>, grant: GrantId, pair: &TokenPair, waits_for: Option<OpId>) {
        if !self.policy.can_revoke && waits_for.is_none() {
            return;
        }
        let life = if pair.refresh.is_some() {
            self.policy.refresh_token_life
        } else {
            pair.lifetime
        };
        let refresh = pair.refresh.clone().map(Revocable::Refresh);
        let Some(token) = refresh.or_else(|| pair.access.clone().map(Revocable::Access)) else {
            return;
        };
        let ends = pair.obtained.wall.map(|obtained| obtained.after(life));
        let pending = PendingRevocation { grant, token, ends };
        self.revocations.entries.push(Entry { pending, waits_for });
        if self.revocations.entries.len() > MAX_REVOCATIONS {
            self.revocations.entries.remove(0);
            t.note(Note::RevocationDropped);
        }
        self.store_revocations(t);
    }

    pub(super) fn store_revocations(&mut self, t: &mut Turn<'_>) {
        let list: Vec<_> = self
            .revocations
            .entries
            .iter()
            .map(|entry| entry.pending.clone())
            .collect();
        if list.is_empty() && !self.storage.has_revocations() {
            return;
        }
        self.store(t, Store::Revocations(list));
    }

    /// Which entry may be sent, and when.
    fn revocation_starts(&self) -> Option<(usize, BootTime)> {
        let free = self.revocations.op.is_none() && self.may_use_secret() && self.flow_lets_revoke();
        // A pair that gave way to one that both generations have yet to take may be all that is left one day.
        let unsure = !self.policy.sole_grant && self.storage.record_behind();
        if !free || unsure || !self.storage.pending().may_revoke() {
            return None;
        }
        let ready = self
            .revocations
            .entries
            .iter()
            .position(|entry| entry.waits_for.is_none())?;
        Some((ready, self.revocations.retry.next()))
    }

    pub(super) fn revocation_deadline(&self) -> Option<BootTime> {
        self.revocation_starts().map(|(_, start)| start)
    }

    /// Starts what is due.
    pub(super) fn start_revocation(&mut self, t: &mut Turn<'_>) {
        let wall = t.now.wall;
        let before = self.revocations.entries.len();
        let can_revoke = self.policy.can_revoke;
        self.revocations.entries.retain(|entry| {
            let ended = wall.zip(entry.pending.ends).is_some_and(|(now, ends)| now >= ends);
            entry.waits_for.is_some() || (can_revoke && !ended)
        });
        if self.revocations.entries.len() < before {
            t.note(Note::RevocationDropped);
            self.store_revocations(t);
        }
        let Some((at, start)) = self.revocation_starts() else {
            if self.revocations.op.is_none() {
                self.revocation_tried(t);
            }
            return;
        };
        if start <= t.at() {
            let token = self.revocations.entries[at].pending.token.clone();
            let op = self.request(t, Request::Revoke(token.clone()));
            self.revocations.op = Some((op, token));
        }
    }

    /// RFC 7009 §2.2 answered.
    pub(super) fn revoke_answered(&mut self, t: &mut Turn<'_>, op: OpId, answer: RevokeAnswer) {
        let Some((_, token)) = self.revocations.op.take_if(|(sent, _)| *sent == op) else {
            return;
        };
        match answer {
            RevokeAnswer::Done | RevokeAnswer::Refused => {
                self.revocations.entries.retain(|entry| entry.pending.token != token);
                self.revocations.retry.reset();
                self.store_revocations(t);
                t.note(if answer == RevokeAnswer::Done {
                    Note::Revoked
                } else {
                    Note::RevocationDropped
                });
            }
            RevokeAnswer::Failed(fault) => self.revoke_failed(t, fault),
        }
    }

    fn revoke_failed(&mut self, t: &mut Turn<'_>, fault: Fault) {
        self.revocations
            .retry
            .failed(t, fault.call_error(), fault.cause(), fault.retry_after, REVOKE_CAP);
        self.revocation_tried(t);
    }

    /// The network may be back.
    pub(super) fn hasten_revocations(&mut self, t: &mut Turn<'_>, change: Change) {
        if self.revocations.retry.cured_by(change) {
            let by = t.at().after(t.draw(Duration::ZERO, NETWORK_UP_SPREAD));
            self.revocations.retry.hasten(by);
        }
    }
}

impl Revocations {
    /// What the store kept. An entry of the living grant was written by an unpairing or a replacement that a crash undid; where
    /// a device has but one grant, any entry beside a living one concerns what is the same device at the server.
    pub(super) fn restore(list: Vec<PendingRevocation>, living: Option<GrantId>, sole_grant: bool) -> Self {
        let entries = list
            .into_iter()
            .filter(|pending| living.is_none_or(|living| !sole_grant && pending.grant != living))
            .map(|pending| Entry {
                pending,
                waits_for: None,
            })
            .collect();
        Self {
            entries,
            op: None,
            retry: Retry::default(),
        }
    }

    /// Whether less is left than was stored.
    pub(super) fn differ_from(&self, stored: usize) -> bool {
        self.entries.len() != stored
    }

    /// A new pairing stands: the same device at the server, so nothing is left to revoke.
    pub(super) fn forget(&mut self) {
        self.entries.clear();
    }

    /// Somebody wants to pair: whether a revocation goes first, at once.
    pub(super) fn press(&mut self) -> bool {
        self.retry.reset();
        self.op.is_some() || self.entries.iter().any(|entry| entry.waits_for.is_none())
    }

    /// Whether a refresh of a given-up pairing is still out.
    pub(super) fn waiting(&self) -> bool {
        self.entries.iter().any(|entry| entry.waits_for.is_some())
    }
}
