//! A resource's answers about the access token: probes and heartbeats.
//!
//! One request at a time carries the token (I2), and none while a refresh is out: its 401 would say
//! nothing. A 401 is never terminal; it makes the token's life 0 and leads to at most one refresh.
//! An answer tells of the time at which its request left: it settles no question that came later.

mod report;

use std::time::Duration;

use crate::backoff::{Change, Retry};
use crate::calls::CallKind;
use crate::credential::Credential;
use crate::pair_fate::{Fate, Source};
use crate::storage::Tokens;
use crate::{
    AccessToken, BootTime, CallError, Context, Core, DeviceStatus, Effect, ErrorWord, Fault, LogEvent, OpId,
    ProbeAnswer, Request, WallTime,
};
use report::{PROBES_APART, Reports};

/// Longest wait between probes nobody waits for.
const PROBE_CAP: Duration = Duration::from_secs(15 * 60);

/// One of so many heartbeats asks what the server knows of the device, or one of as many as this
/// time has room for: a pause or an end that the user moves shows as soon.
const ASKS_EACH: u64 = 5;
const ASKS_AFTER: Duration = Duration::from_secs(10 * 60);

/// The one request that may carry the access token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Probe {
    in_flight: Option<InFlight>,
    /// Somebody wants to know whether the token lives, or who we are.
    wanted: bool,
    retry: Retry,
    /// When the last probe of the token in hand left.
    probed_at: Option<BootTime>,
    heartbeat_at: Option<BootTime>,
    /// How many left since the server last told what it knows of the device; saturates.
    heartbeats: u8,
    reports: Reports,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct InFlight {
    op: OpId,
    since: BootTime,
    heartbeat: bool,
    /// A second pair came after it left: it cannot tell which of the two lives.
    outdated: bool,
}

impl Probe {
    /// True if a request that carries the token is out.
    pub(super) fn busy(&self) -> bool {
        self.in_flight.is_some()
    }

    pub(super) fn probing(&self) -> bool {
        self.in_flight.as_ref().is_some_and(|flight| !flight.heartbeat)
    }

    /// Why the last request brought no verdict, while that is so.
    pub(super) fn failing(&self) -> Option<CallError> {
        self.retry.failing()
    }

    /// Since when a request that carries the token is out, if one is.
    pub(super) fn since(&self) -> Option<BootTime> {
        self.in_flight.as_ref().map(|flight| flight.since)
    }

    /// Why nothing is known of the token.
    pub(super) fn error(&self) -> CallError {
        self.retry.failing().unwrap_or(CallError::Offline)
    }

    /// When the next probe starts if somebody waits for it.
    pub(super) fn earliest_if_waiting(&self) -> BootTime {
        self.apart(self.retry.earliest_if_waiting())
    }

    /// When something may start that gives way to a probe from `from` on: not before there was room
    /// for that probe.
    pub(super) fn after_a_probe(&self, from: BootTime, start: BootTime) -> BootTime {
        let still_to_come = self.probed_at.is_some_and(|at| at < from);
        if still_to_come { self.apart(start) } else { start }
    }

    fn apart(&self, start: BootTime) -> BootTime {
        let apart = self.probed_at.map(|at| at.after(PROBES_APART));
        start.max(apart.unwrap_or_default())
    }
}

impl Core {
    /// A second pair of the same device came, and a probe tells which of the two lives. What is out
    /// already left too early.
    pub(super) fn ask_which_lives(&mut self, cx: &Context<'_>) {
        if let Some(flight) = &mut self.probe.in_flight {
            flight.outdated = true;
        }
        self.want_probe(cx);
    }

    /// Somebody wants to know whether the token lives.
    pub(super) fn want_probe(&mut self, cx: &Context<'_>) {
        self.probe.wanted = self.setup.policy().can_probe;
        self.probe.retry.retry_by(cx.at());
    }

    /// The pairing ended and its token may outlive it: asked at once, but not before the server
    /// wants to hear about it again.
    pub(super) fn want_probe_of_the_same(&mut self, cx: &Context<'_>, mut retry: Retry) {
        retry.forget_failures(cx.at());
        self.probe.retry = retry;
        self.probe.wanted = true;
    }

    /// When the next probe starts. A token that is dead by its own dates is not asked about: its
    /// 401 would say nothing.
    pub(super) fn probe_starts(&self, now: BootTime, waited_for: bool) -> Option<BootTime> {
        let token = self.credential.in_hand()?;
        if !self.may_probe() || !self.setup.policy().can_probe || token.is_unusable(now) {
            return None;
        }
        let probe = &self.probe;
        let wanted = probe.wanted || (waited_for && token.unconfirmed());
        let requested = wanted.then(|| {
            if waited_for {
                probe.earliest_if_waiting()
            } else {
                probe.apart(probe.retry.next())
            }
        });
        let doubt = probe.reports.next_probe().map(|at| at.max(probe.earliest_if_waiting()));
        // A lost answer may be settled without another send.
        let resolved = self.doubt_ends().map(|end| probe.apart(probe.retry.next()).max(end));
        [requested, doubt, resolved].into_iter().flatten().min()
    }

    pub(super) fn probe_due(&self, now: BootTime) -> Option<BootTime> {
        let unconfirmed = self.credential.paired().is_some_and(Credential::unconfirmed);
        let waited_for = unconfirmed && self.calls.of(CallKind::Token).next().is_some();
        self.probe_starts(now, waited_for)
    }

    pub(super) fn heartbeat_due(&self, now: BootTime) -> Option<BootTime> {
        self.setup.policy().heartbeat?;
        let credential = self.credential.paired()?;
        (self.may_probe() && !credential.is_unusable(now) && !credential.unconfirmed())
            .then_some(self.probe.heartbeat_at)
            .flatten()
            .map(|at| at.max(self.probe.retry.not_before()))
    }

    /// True if a request may carry the token now: not while a refresh is out, nor while the pairing
    /// is being given up.
    pub(super) fn may_probe(&self) -> bool {
        self.probe.in_flight.is_none()
            && self.refresh.sent().is_none()
            && self.storage.pending().may_conclude()
            && self.may_start()
    }

    pub(super) fn start_probe(&mut self, cx: &mut Context<'_>) {
        self.probe.probed_at = Some(cx.at());
        self.send_with_token(cx, Request::Probe, false);
    }

    /// Every now and then one asks what the server knows of the device, which counts as presence as
    /// well. One that is not answered is repeated at the next.
    pub(super) fn start_heartbeat(&mut self, cx: &mut Context<'_>) {
        self.probe.heartbeats = self.probe.heartbeats.saturating_add(1);
        let asks = self.setup.policy().heartbeat.is_some_and(|interval| {
            let in_time = ASKS_AFTER.as_secs() / interval.as_secs().max(1);
            u64::from(self.probe.heartbeats) >= in_time.clamp(1, ASKS_EACH)
        });
        let request = if asks { Request::Probe } else { Request::Heartbeat };
        self.send_with_token(cx, request, true);
    }

    fn send_with_token(&mut self, cx: &mut Context<'_>, request: fn(AccessToken) -> Request, heartbeat: bool) {
        let access = self
            .credential
            .in_hand()
            .and_then(|token| token.stored().pair.access.clone());
        let Some(access) = access else { return };
        let op = self.request(cx, request(access));
        self.probe.in_flight = Some(InFlight {
            op,
            since: cx.at(),
            heartbeat,
            outdated: false,
        });
        self.probe.reports.asked();
        self.calls.examining();
    }

    /// An answer about the token, if it is to the request that is out.
    pub(super) fn probe_answered(
        &mut self,
        cx: &mut Context<'_>,
        op: OpId,
        date: Option<WallTime>,
        answer: ProbeAnswer,
    ) {
        let Some(flight) = self.probe.in_flight.take_if(|flight| flight.op == op) else {
            return;
        };
        self.reschedule_heartbeat(cx);
        match answer {
            ProbeAnswer::Accepted(status) => {
                if let Some(status) = status {
                    self.device_told(cx, date, status);
                }
                self.token_accepted(cx, &flight);
            }
            ProbeAnswer::Rejected => self.token_rejected(cx, &flight),
            ProbeAnswer::Failed(fault) => self.probe_failed(cx, &flight, fault),
        }
    }

    /// The server says what it knows of the device. An end that was moved is written down: the next
    /// start may have no network, and the final answer then comes first.
    fn device_told(&mut self, cx: &Context<'_>, date: Option<WallTime>, status: DeviceStatus) {
        self.probe.heartbeats = 0;
        let credential = self.credential.paired_mut();
        if credential.is_some_and(|credential| credential.set_status(status, date, cx.now)) {
            self.storage.record_outdated();
        }
    }

    fn token_accepted(&mut self, cx: &mut Context<'_>, flight: &InFlight) {
        let may_conclude = self.storage.pending().may_conclude();
        self.probe.wanted &= flight.heartbeat || flight.outdated;
        self.probe.retry.reset();
        self.refresh.token_accepted();
        self.contradict_reports(cx);
        self.credential.confirm(cx.at());
        if may_conclude {
            self.resolve_by_2xx(cx, flight);
        }
    }

    fn token_rejected(&mut self, cx: &mut Context<'_>, flight: &InFlight) {
        self.probe.wanted = false;
        self.probe.retry.reset();
        if flight.outdated
            && self
                .credential
                .paired()
                .is_some_and(|credential| credential.stored().candidate.is_some())
        {
            // Which of the two pairs lives now, only a request that leaves now can tell.
            self.probe.wanted = true;
            self.probe.reports.without_probe();
            self.calls.unexamined();
            return;
        }
        // A token that ended while it was asked about was refused for its age, and that decides
        // nothing.
        if self
            .credential
            .in_hand()
            .is_some_and(|token| !token.is_unusable(cx.at()))
        {
            self.token_refused(cx);
        }
        self.probe.reports.without_probe();
        self.calls.answer(cx, CallKind::ProbeResult, Ok(()));
    }

    fn probe_failed(&mut self, cx: &mut Context<'_>, flight: &InFlight, fault: Fault) {
        self.fault(cx, fault.kind);
        if !flight.heartbeat || self.probe.reports.any() {
            self.probe.wanted = true;
        }
        if let Some(credential) = self.credential.in_hand_mut().filter(|_| !fault.kind.unsent()) {
            credential.reached(true, cx.at());
        }
        self.probe
            .retry
            .failed(cx, fault.call_error(), fault.cause(), fault.retry_after, PROBE_CAP);
        self.fail_reports(cx, fault.call_error());
    }

    /// A request found the token alive. So a candidate that came before it left is the stale one;
    /// and a refresh whose answer was lost was not carried out, for it would have ended this token,
    /// if the server had given up on it by then.
    fn resolve_by_2xx(&mut self, cx: &mut Context<'_>, flight: &InFlight) {
        let doubt_ended = self.doubt_ends().is_some_and(|end| flight.since >= end);
        let stale = !flight.outdated && self.resolve_candidate(cx, Source::StaleCandidate).is_some();
        let credential = self.credential.paired_mut();
        let doubted = doubt_ended && credential.is_some_and(Credential::clear_mark);
        if doubted {
            self.refresh.doubt_settled();
        }
        // A mark on its way to the disk is of the send that follows.
        let marking = self.refresh.is_marking();
        if stale {
            self.store_current(cx, Tokens::New);
        } else if doubted && !marking {
            self.store_current(cx, Tokens::Same);
        }
    }

    /// The server's 401: this access token's life is 0, whatever its dates say.
    fn token_refused(&mut self, cx: &mut Context<'_>) {
        if self.credential.drop_residual() {
            return;
        }
        if self.credential.paired().is_none_or(Credential::rejected_by_server) {
            return;
        }
        match self.resolve_candidate(cx, Source::LivingCandidate) {
            // Asked again if both pairs are still there once the record is.
            Some(Fate::Keep) => self.probe.wanted = true,
            // The cancelled replacement took this pair's place at the server.
            Some(_) => {}
            None => self.only_token_refused(cx),
        }
    }

    /// The server's 401 to the only token that this device has.
    fn only_token_refused(&mut self, cx: &mut Context<'_>) {
        let Some(credential) = self.credential.paired_mut() else {
            return;
        };
        if credential.ended_unnoticed(cx.at()) {
            // No resource is broken, and no limit concerns it: nobody knew how old this token is.
            self.refresh.demand();
            self.end_if_unrefreshable(cx);
            return;
        }
        credential.mark_rejected();
        let generation = credential.generation();
        self.refresh.token_rejected();
        cx.log(LogEvent::TokenRejected { generation });
        self.fail_with(cx, ErrorWord::TokenRefused);
        self.end_if_unrefreshable(cx);
    }

    /// A refresh goes out: no other request may carry the token meanwhile.
    pub(super) fn yield_probe(&mut self, cx: &mut Context<'_>) {
        if let Some(flight) = self.probe.in_flight.take() {
            cx.emit(Effect::Cancel(flight.op));
            if flight.heartbeat {
                self.probe.heartbeat_at = self.setup.policy().heartbeat.map(|interval| cx.at().after(interval));
            } else {
                self.probe.wanted = true;
            }
        }
        // Should the refresh fail, the doubt remains.
        self.probe.reports.without_probe();
        self.calls.answer(cx, CallKind::ProbeResult, Ok(()));
    }

    /// The token in hand is another one, or none: nothing asked before concerns it. Returns what
    /// was to be waited for, which concerns the old one still.
    pub(super) fn forget_probe(&mut self, cx: &mut Context<'_>) -> Retry {
        if let Some(flight) = self.probe.in_flight.take() {
            cx.emit(Effect::Cancel(flight.op));
        }
        self.calls.answer(cx, CallKind::ProbeResult, Ok(()));
        self.probe.reports.forget();
        self.probe.wanted = false;
        self.probe.probed_at = None;
        self.probe.heartbeat_at = self.setup.policy().heartbeat.map(|interval| cx.at().after(interval));
        self.credential.drop_residual();
        std::mem::take(&mut self.probe.retry)
    }

    pub(super) fn retry_probe(&mut self, cx: &Context<'_>, change: Change) {
        if self.probe.retry.cured_by(change, cx.at()) {
            self.probe.retry.retry_by(cx.at());
        }
    }

    /// Another policy: the heartbeat follows it from now on.
    pub(super) fn reschedule_heartbeat(&mut self, cx: &Context<'_>) {
        self.probe.heartbeat_at = self.setup.policy().heartbeat.map(|interval| cx.at().after(interval));
    }
}
