//! What a resource says about the access token: probes, heartbeats, and callers who claim that it was refused.
//!
//! One request at a time carries the token (I2), and none while a refresh is out: its 401 would say nothing. A 401 is never
//! terminal; it makes the token's life 0 and leads to at most one refresh.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Core;
use super::backoff::{Change, Retry};
use super::effect::{CallError, CallId, Effect, Note, OpId, Reply, Request};
use super::event::ResourceAnswer;
use super::held::Held;
use super::refresh::Refresh;
use super::serve::CALL_LIMIT;
use super::snapshot::{ErrorWord, Reason};
use super::time::{BootTime, WallTime};
use super::token::Generation;
use super::turn::Turn;

/// How long a 2xx answers further rejections: ten uploaders that hit the same glitch cause one probe.
const ALIVE_HOLDS: Duration = Duration::from_secs(10);

/// Longest wait between probes nobody waits for.
const PROBE_CAP: Duration = Duration::from_secs(15 * 60);

/// More uids than a board has uploaders; beyond it the journal has enough to go by.
const MAX_ACCUSED: usize = 64;

/// The one request that may carry the access token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Resource {
    op: Option<Flight>,
    /// Somebody wants to know whether the token lives, or who we are.
    wanted: bool,
    retry: Retry,
    /// The last 2xx for the token in hand.
    alive_at: Option<BootTime>,
    heartbeat_at: Option<BootTime>,
    rejecters: Vec<Rejecter>,
    /// Callers whose unfounded rejection of the token in hand is in the journal.
    accused: BTreeSet<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Flight {
    op: OpId,
    since: BootTime,
    heartbeat: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Rejecter {
    call: CallId,
    caller: u32,
    deadline: BootTime,
}

impl Core {
    /// `RejectAccessToken`.
    pub(super) fn reject_access_token(&mut self, t: &mut Turn<'_>, call: CallId, caller: u32, generation: Generation) {
        let now = t.at();
        let Some(held) = self.token_in_hand() else {
            let error = self.without_pairing();
            t.reply(call, Err(error));
            return;
        };
        if generation == Generation::NONE || generation > held.generation {
            t.reply(call, Err(CallError::UnknownGeneration));
            return;
        }
        if generation < held.generation || held.dead(now) {
            // Replaced already, or as good as replaced: that a dead token is refused is no news.
            t.reply(call, Ok(Reply::Done));
            return;
        }
        if !held.may_reject(caller) {
            t.reply(call, Err(CallError::NotYours));
            return;
        }
        if !self.policy.can_probe {
            self.reject_unasked(t, caller);
            t.reply(call, Ok(Reply::Done));
            return;
        }
        if matches!(self.refresh, Refresh::Sent { .. } | Refresh::Storing { .. }) {
            // The token is being replaced. Should that fail, the doubt remains.
            self.resource.wanted = true;
            t.reply(call, Ok(Reply::Done));
            return;
        }
        if self.resource.alive_at.is_some_and(|at| now < at.after(ALIVE_HOLDS)) {
            self.unfounded(t, caller, generation);
            t.reply(call, Ok(Reply::Done));
            return;
        }
        self.resource.wanted = true;
        self.resource.rejecters.push(Rejecter {
            call,
            caller,
            deadline: now.after(CALL_LIMIT),
        });
    }

    /// Where nobody can be asked, a client's word is worth one refresh within the limit, and no more: it takes the token from
    /// no other client, ends no pairing that cannot be refreshed, and does not decide which of two pairs lives.
    fn reject_unasked(&mut self, t: &mut Turn<'_>, caller: u32) {
        let Some(held) = &mut self.held else { return };
        let first = !held.challenged();
        if !held.reject_by(caller) {
            return;
        }
        let generation = held.generation;
        t.note(Note::RejectionUnchecked { caller, generation });
        if first {
            self.refused_limit.refused();
            // After a lost answer it may well be true: the next resend need not wait for longer than it must.
            self.resend_hastened = true;
        }
    }

    /// A caller rejected what the server takes: told once for each caller and token, however often it insists.
    fn unfounded(&mut self, t: &mut Turn<'_>, caller: u32, generation: Generation) {
        if self.resource.accused.len() < MAX_ACCUSED && self.resource.accused.insert(caller) {
            t.note(Note::RejectionUnfounded { caller, generation });
        }
    }

    /// The pairing's token, or what is left of it.
    fn token_in_hand(&self) -> Option<&Held> {
        self.held.as_ref().or(self.afterlife.as_ref().map(|after| &after.held))
    }

    /// Somebody wants to know whether the token lives.
    pub(super) fn want_probe(&mut self, t: &Turn<'_>) {
        self.resource.wanted = self.policy.can_probe;
        self.resource.retry.hasten(t.at());
    }

    /// The pairing ended and its token may outlive it: asked at once, but not before the server wants to hear about it again.
    pub(super) fn want_probe_of_the_same(&mut self, t: &Turn<'_>, mut patience: Retry) {
        patience.relent(t.at());
        self.resource.retry = patience;
        self.resource.wanted = true;
    }

    /// Whether a probe is out, and since when.
    pub(super) fn probing_since(&self) -> Option<BootTime> {
        self.resource.op.as_ref().map(|flight| flight.since)
    }

    /// Why nothing is known of the token.
    pub(super) fn resource_error(&self) -> CallError {
        self.resource.retry.failing().unwrap_or(CallError::Offline)
    }

    /// When the next probe starts. A token that is dead by its own dates is not asked about: its 401 would say nothing.
    pub(super) fn probe_starts(&self, now: BootTime, waited_for: bool) -> Option<BootTime> {
        let token = self.token_in_hand()?;
        if !self.resource_free() || !self.policy.can_probe || token.dead(now) {
            return None;
        }
        let wanted = self.resource.wanted || (waited_for && token.unvouched());
        let pressed = waited_for || !self.resource.rejecters.is_empty();
        let retry = &self.resource.retry;
        wanted.then(|| if pressed { retry.pressed() } else { retry.next() })
    }

    /// When the next heartbeat is due.
    fn heartbeat_starts(&self) -> Option<BootTime> {
        self.policy.heartbeat?;
        let held = self.held.as_ref()?;
        (self.resource_free() && !held.refused && !held.unvouched())
            .then_some(self.resource.heartbeat_at)
            .flatten()
            .map(|at| at.max(self.resource.retry.not_before()))
    }

    /// Whether a request may carry the token now: not while a refresh is out, nor while the pairing is being given up.
    fn resource_free(&self) -> bool {
        let refreshing = matches!(self.refresh, Refresh::Sent { .. });
        self.resource.op.is_none() && !refreshing && !self.settling() && self.may_start()
    }

    fn unvouched_waiters(&self) -> bool {
        !self.waiters.is_empty() && self.held.as_ref().is_some_and(Held::unvouched)
    }

    pub(super) fn resource_deadline(&self, now: BootTime) -> Option<BootTime> {
        let alive = self
            .held
            .as_ref()
            .filter(|held| !held.dead(now))
            .and_then(|_| self.heartbeat_starts());
        let rejecters = self.resource.rejecters.iter().map(|rejecter| rejecter.deadline).min();
        [self.probe_starts(now, self.unvouched_waiters()), alive, rejecters]
            .into_iter()
            .flatten()
            .min()
    }

    /// Starts what is due.
    pub(super) fn start_resource(&mut self, t: &mut Turn<'_>) {
        let now = t.at();
        self.time_out_rejecters(t);

        let probe = self
            .probe_starts(now, self.unvouched_waiters())
            .is_some_and(|start| start <= now);
        let heartbeat = self.heartbeat_starts().is_some_and(|start| start <= now);
        let Some(token) = self.token_in_hand() else { return };
        if !probe && (!heartbeat || token.dead(now)) {
            return;
        }
        let access = token.pair.access.clone();
        let request = if probe {
            Request::Identify(access)
        } else {
            Request::Heartbeat(access)
        };
        let op = self.request(t, request);
        self.resource.op = Some(Flight {
            op,
            since: now,
            heartbeat: !probe,
        });
    }

    fn time_out_rejecters(&mut self, t: &mut Turn<'_>) {
        let now = t.at();
        if self.token_in_hand().is_none_or(|token| token.dead(now)) {
            return self.release_rejecters(t);
        }
        let starts = self.probe_starts(now, false);
        for rejecter in std::mem::take(&mut self.resource.rejecters) {
            if rejecter.deadline <= now {
                t.reply(rejecter.call, Err(CallError::Timeout));
            } else if starts.is_some_and(|start| start > rejecter.deadline) {
                t.reply(rejecter.call, Err(self.resource_error()));
            } else {
                self.resource.rejecters.push(rejecter);
            }
        }
    }

    /// An answer about the token, if it is to the request that is out.
    pub(super) fn resource_answered(
        &mut self,
        t: &mut Turn<'_>,
        op: OpId,
        date: Option<WallTime>,
        answer: ResourceAnswer,
    ) {
        let Some(flight) = self.resource.op.take_if(|flight| flight.op == op) else {
            return;
        };
        let now = t.at();
        self.resource.heartbeat_at = self.policy.heartbeat.map(|interval| now.after(interval));
        match answer {
            ResourceAnswer::Alive(device) => {
                let settling = self.settling();
                self.resource.alive_at = Some(now);
                self.resource.wanted &= flight.heartbeat && self.resource.rejecters.is_empty();
                self.resource.retry.reset();
                self.refused_limit.taken();
                let generation = self.ledger.generation;
                for rejecter in std::mem::take(&mut self.resource.rejecters) {
                    self.unfounded(t, rejecter.caller, generation);
                    t.reply(rejecter.call, Ok(Reply::Done));
                }
                if let Some(after) = &mut self.afterlife {
                    after.alive = true;
                }
                if let Some(held) = &mut self.held {
                    held.vouch(date, &self.policy, t);
                    if let Some(device) = device {
                        held.device = device;
                    }
                    if !settling && held.candidate.take().is_some() {
                        self.store_current(t);
                    }
                }
            }
            ResourceAnswer::Unauthorized => {
                self.resource.wanted = false;
                self.resource.retry.reset();
                // A token that ended while it was asked about was refused for its age, and that decides nothing.
                if self.token_in_hand().is_some_and(|token| !token.dead(now)) {
                    self.token_refused(t);
                }
                self.release_rejecters(t);
            }
            ResourceAnswer::Failed(fault) => {
                self.fault(t, fault.kind);
                if !flight.heartbeat {
                    self.resource.wanted = true;
                }
                self.resource
                    .retry
                    .failed(t, fault.call_error(), fault.cause(), fault.retry_after, PROBE_CAP);
                for rejecter in std::mem::take(&mut self.resource.rejecters) {
                    self.resource.wanted = true;
                    t.reply(rejecter.call, Err(fault.call_error()));
                }
            }
        }
    }

    /// The server's 401: this access token's life is 0, whatever its dates say.
    fn token_refused(&mut self, t: &mut Turn<'_>) {
        if self.afterlife.take().is_some() {
            return;
        }
        let settling = self.settling();
        let Some(held) = &mut self.held else { return };
        if held.refused {
            return;
        }
        if settling && held.candidate.is_some() {
            // Asked again if both pairs are still there once the record is.
            self.resource.wanted = true;
            return;
        }
        if let Some(candidate) = held.candidate.take() {
            // The cancelled replacement took this pair's place at the server.
            self.adopt_candidate(t, candidate);
            return;
        }
        held.refused = true;
        let generation = held.generation;
        self.refused_limit.refused();
        t.note(Note::TokenRefused { generation });
        self.fail_with(t, ErrorWord::TokenRefused);
        self.end_if_unrefreshable(t);
    }

    /// Without a refresh token the access token's end is the pairing's.
    pub(super) fn end_if_unrefreshable(&mut self, t: &mut Turn<'_>) {
        let now = t.at();
        if self.settling() {
            return;
        }
        let over = |held: &Held| held.pair.refresh.is_none() && held.dead(now);
        if let Some(candidate) = self
            .held
            .as_mut()
            .filter(|held| over(held))
            .and_then(|held| held.candidate.take())
        {
            self.adopt_candidate(t, candidate);
        } else if let Some(held) = self.held.take_if(|held| over(held)) {
            self.end_pairing(t, held, Reason::NoRefreshToken);
        }
    }

    /// A refresh goes out: no other request may carry the token meanwhile.
    pub(super) fn yield_resource(&mut self, t: &mut Turn<'_>) {
        if let Some(flight) = self.resource.op.take() {
            t.emit(Effect::Cancel(flight.op));
            if flight.heartbeat {
                self.resource.heartbeat_at = self.policy.heartbeat.map(|interval| t.at().after(interval));
            } else {
                self.resource.wanted = true;
            }
        }
        self.release_rejecters(t);
    }

    fn release_rejecters(&mut self, t: &mut Turn<'_>) {
        for rejecter in std::mem::take(&mut self.resource.rejecters) {
            t.reply(rejecter.call, Ok(Reply::Done));
        }
    }

    /// The token in hand is another one, or none: nothing asked before concerns it. Returns what was to be waited for, which
    /// concerns the old one still.
    pub(super) fn forget_resource(&mut self, t: &mut Turn<'_>) -> Retry {
        if let Some(flight) = self.resource.op.take() {
            t.emit(Effect::Cancel(flight.op));
        }
        self.release_rejecters(t);
        self.resource.wanted = false;
        self.resource.alive_at = None;
        self.resource.accused.clear();
        self.resource.heartbeat_at = self.policy.heartbeat.map(|interval| t.at().after(interval));
        self.afterlife = None;
        std::mem::take(&mut self.resource.retry)
    }

    /// The network may be back.
    pub(super) fn hasten_resource(&mut self, t: &Turn<'_>, change: Change) {
        if self.resource.retry.cured_by(change) {
            self.resource.retry.hasten(t.at());
        }
    }

    /// Another policy: the heartbeat follows it from now on.
    pub(super) fn reschedule_heartbeat(&mut self, t: &Turn<'_>) {
        self.resource.heartbeat_at = self.policy.heartbeat.map(|interval| t.at().after(interval));
    }

    /// Answers everybody who waits here, because the daemon ends.
    pub(super) fn end_rejecters(&mut self, t: &mut Turn<'_>) {
        for rejecter in std::mem::take(&mut self.resource.rejecters) {
            t.reply(rejecter.call, Err(CallError::Timeout));
        }
    }
}
