//! Tokens that the server has yet to be told to forget (RFC 7009).
//!
//! Owns: the list, and when each entry is sent. Must never: send an entry whose refresh is still
//! out, for whichever refresh token is the newest then is to be revoked; or one that could take a
//! living pairing along.
//!
//! Invariant: an entry that the living pairing spares stays on the list until the record of that
//! pairing is on disk, or the server ends it. What a crash finds before that may be a tombstone.
//! While it stays, what its grant gets is listed before it is recorded.

use std::time::Duration;

use super::backoff::{Change, FLOOR, Retry};
use super::credential::Credential;
use crate::{
    BootTime, Context, Core, Fault, GrantId, LogEvent, MAX_REVOCATIONS, Now, OpId, PendingRevocation, RefreshAnswer,
    RefreshToken, Request, Revocable, RevokeAnswer, Store, TokenPair, WallTime,
};

/// Longest wait between tries to revoke: nobody waits for it, and the token has days.
const REVOKE_CAP: Duration = Duration::from_secs(3600);

/// Spread of a returning network's load; see the refresh schedule.
const NETWORK_UP_SPREAD: Duration = Duration::from_secs(30 * 60);

/// Tokens the server has yet to hear about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Revocations {
    entries: Vec<Entry>,
    sent: Option<(OpId, Revocable)>,
    retry: Retry,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry {
    pending: PendingRevocation,
    /// A refresh of this grant is out: whichever refresh token is the newest then is to be revoked.
    waits_for: Option<OpId>,
}

impl Entry {
    /// True if the token has ended by the wall clock, or can never be revoked.
    fn is_over(&self, wall: Option<WallTime>, can_revoke: bool) -> bool {
        let ended = wall.zip(self.pending.ends).is_some_and(|(now, ends)| now >= ends);
        self.waits_for.is_none() && (!can_revoke || ended)
    }
}

impl Revocations {
    /// Somebody wants to pair: whether a revocation goes first. A person waits for the floor, and
    /// not for what the server asked for.
    pub(super) fn go_first(&mut self, now: BootTime) -> bool {
        self.retry.forget_failures(now);
        let soon = self.retry.next() <= now.after(FLOOR);
        self.sent.is_some() || soon && self.entries.iter().any(|entry| entry.waits_for.is_none())
    }

    /// True if a refresh of a given-up pairing is still out.
    pub(super) fn waiting(&self) -> bool {
        self.entries.iter().any(|entry| entry.waits_for.is_some())
    }

    /// A person does not wait for the pace of an earlier failure.
    pub(super) fn forget_failures(&mut self, now: BootTime) {
        self.retry.forget_failures(now);
    }

    /// The refresh that an entry waited for is one of the living pairing again.
    pub(super) fn reattached(&mut self, op: OpId) {
        for entry in self.entries.iter_mut().filter(|entry| entry.waits_for == Some(op)) {
            entry.waits_for = None;
        }
    }

    /// A refresh ended: its entry learns the newest token. Whether an entry waited for it.
    pub(super) fn refreshed(&mut self, op: OpId, answer: &RefreshAnswer) -> bool {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.waits_for == Some(op)) else {
            return false;
        };
        entry.waits_for = None;
        if let RefreshAnswer::Granted(grant) = answer
            && let Ok(Some(refresh)) = &grant.refresh
        {
            entry.pending.token = Revocable::Refresh(refresh.clone());
        }
        true
    }

    /// Drops such entries. Whether there was any.
    fn drop_if(&mut self, gone: impl Fn(&Entry) -> bool) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| !gone(entry));
        self.entries.len() < before
    }

    fn list(&self) -> Vec<PendingRevocation> {
        self.entries.iter().map(|entry| entry.pending.clone()).collect()
    }
}

impl Core {
    /// Takes the list that the store kept.
    pub(super) fn restore_revocations(&mut self, cx: &mut Context<'_>, list: Vec<PendingRevocation>) {
        let entry = |pending| Entry {
            pending,
            waits_for: None,
        };
        self.revocations.entries = list.into_iter().map(entry).collect();
        self.drop_spared(cx);
    }

    /// Which entries the living pairing spares: those of its own grant, which an unpairing or a
    /// replacement wrote that came to nothing; and each, where a device has but one grant, for to
    /// the server it is the same device.
    fn spares(&self) -> impl Fn(&Entry) -> bool + use<> {
        let living = self.credential.paired().map(Credential::grant);
        let separate = self.setup.policy().separate_grants;
        move |entry| living.is_some_and(|living| !separate || entry.pending.grant == living)
    }

    /// Takes what the living pairing spares off the list, once both generations hold that pairing.
    pub(super) fn drop_spared(&mut self, cx: &mut Context<'_>) {
        let on_disk = !self.storage.record_behind() && !self.storage.writes_record();
        if on_disk {
            self.forget_spared(cx);
        }
    }

    /// The same at once, for the server has ended that pairing: nothing of it is left to revoke,
    /// and to try could take the residual token along.
    pub(super) fn forget_spared(&mut self, cx: &mut Context<'_>) {
        let spares = self.spares();
        if self.revocations.drop_if(spares) {
            self.store_revocations(cx);
        }
    }

    /// The living grant gets this pair. What a crash finds before its record is there may be a
    /// tombstone: a list that has entries of this grant learns the pair first. `spent`: the token
    /// in whose place it comes.
    pub(super) fn list_if_listed(&mut self, cx: &mut Context<'_>, pair: &TokenPair, spent: Option<RefreshToken>) {
        let living = self.credential.paired().map(Credential::grant);
        let own = |entry: &Entry| Some(entry.pending.grant) == living;
        let Some(grant) = living.filter(|_| self.revocations.entries.iter().any(own)) else {
            return;
        };
        let spent = spent.map(Revocable::Refresh);
        self.revocations
            .drop_if(|entry| spent.as_ref() == Some(&entry.pending.token));
        self.revoke_pair(cx, grant, pair, None);
    }

    pub(super) fn revoke_pair(
        &mut self,
        cx: &mut Context<'_>,
        grant: GrantId,
        pair: &TokenPair,
        waits_for: Option<OpId>,
    ) {
        if !self.setup.policy().can_revoke && waits_for.is_none() {
            return;
        }
        let life = if pair.refresh.is_some() {
            self.setup.policy().refresh_token_life
        } else {
            pair.expires_in
        };
        let refresh = pair.refresh.clone().map(Revocable::Refresh);
        let Some(token) = refresh.or_else(|| pair.access.clone().map(Revocable::Access)) else {
            return;
        };
        let ends = pair.obtained.wall.map(|obtained| obtained.after(life));
        // An unpairing that failed may have left it there.
        self.revocations.drop_if(|entry| entry.pending.token == token);
        let pending = PendingRevocation { grant, token, ends };
        self.revocations.entries.push(Entry { pending, waits_for });
        if self.revocations.entries.len() > MAX_REVOCATIONS {
            self.revocations.entries.remove(0);
            cx.log(LogEvent::RevocationDropped);
        }
        self.store_revocations(cx);
    }

    pub(super) fn store_revocations(&mut self, cx: &mut Context<'_>) {
        let list = self.revocations.list();
        if list.is_empty() && !self.storage.has_revocations() {
            return;
        }
        self.store(cx, Store::Revocations(list));
    }

    /// Which entry may be sent, and when.
    fn revocation_starts(&self) -> Option<(usize, BootTime)> {
        let free = self.revocations.sent.is_none() && self.may_use_secret() && self.flow_lets_revoke();
        // A pair that gave way to one that both generations have yet to take may be all that is
        // left one day.
        let unsure = self.setup.policy().separate_grants && self.storage.record_behind();
        if !free || unsure || !self.storage.pending().keeps_pairing() {
            return None;
        }
        let spares = self.spares();
        let mut entries = self.revocations.entries.iter();
        let ready = entries.position(|entry| entry.waits_for.is_none() && !spares(entry))?;
        Some((ready, self.revocations.retry.next()))
    }

    /// When an entry is to be sent or dropped, or a flow goes on that waited for one.
    pub(super) fn revocation_due(&self, now: Now) -> Option<BootTime> {
        let list = &self.revocations;
        let can_revoke = self.setup.policy().can_revoke;
        let spares = self.spares();
        let over = list
            .entries
            .iter()
            .any(|entry| !spares(entry) && entry.is_over(now.wall, can_revoke));
        let next = self.revocation_starts().map(|(_, at)| at);
        let tried = next.is_none() && list.sent.is_none() && self.pairing.waits_for_revocation();
        if over || tried { Some(now.boot) } else { next }
    }

    pub(super) fn start_revocation(&mut self, cx: &mut Context<'_>) {
        let (wall, can_revoke, spares) = (cx.now.wall, self.setup.policy().can_revoke, self.spares());
        let over = |entry: &Entry| !spares(entry) && entry.is_over(wall, can_revoke);
        if self.revocations.drop_if(over) {
            cx.log(LogEvent::RevocationDropped);
            self.store_revocations(cx);
        }
        let Some((at, start)) = self.revocation_starts() else {
            if self.revocations.sent.is_none() {
                self.revocation_tried(cx);
            }
            return;
        };
        if start <= cx.at() {
            let token = self.revocations.entries[at].pending.token.clone();
            let op = self.request(cx, Request::Revoke(token.clone()));
            self.revocations.sent = Some((op, token));
        }
    }

    /// RFC 7009 §2.2 answered.
    pub(super) fn revoke_answered(&mut self, cx: &mut Context<'_>, op: OpId, answer: RevokeAnswer) {
        let Some((_, token)) = self.revocations.sent.take_if(|(sent, _)| *sent == op) else {
            return;
        };
        match answer {
            RevokeAnswer::Done | RevokeAnswer::Refused => {
                self.revocations.entries.retain(|entry| entry.pending.token != token);
                self.revocations.retry.reset();
                self.store_revocations(cx);
                cx.log(if answer == RevokeAnswer::Done {
                    LogEvent::Revoked
                } else {
                    LogEvent::RevocationDropped
                });
            }
            RevokeAnswer::Failed(fault) => self.revoke_failed(cx, fault),
        }
    }

    fn revoke_failed(&mut self, cx: &mut Context<'_>, fault: Fault) {
        self.revocations
            .retry
            .failed(cx, fault.call_error(), fault.cause(), fault.retry_after, REVOKE_CAP);
        self.revocation_tried(cx);
    }

    pub(super) fn retry_revocations(&mut self, cx: &mut Context<'_>, change: Change) {
        if self.revocations.retry.cured_by(change, cx.at()) {
            self.revocations.retry.retry_within(cx, NETWORK_UP_SPREAD);
        }
    }
}
