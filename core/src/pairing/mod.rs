//! The pairing flow: RFC 8628 with Frame.io's habits, or RFC 6749 §4.1 by a browser.
//!
//! Codes live 120 s and are replaced until somebody enters one, gives up or cancels; who enters one
//! at its last moment is heard. The flow is kept in the runtime directory so that the code on the
//! screen stays valid across a crash. Network blips never end it; a poll that was sent is never
//! cancelled, and what it brings is accounted for even when the flow is gone.

use std::time::Duration;

mod device_code;
mod flow;
mod late_poll;
mod poll;
mod rate_limit;
mod redirect;
mod showing;

pub(super) use flow::FlowView;
use flow::{Action, Flow, Step};
use late_poll::LatePoll;
use rate_limit::CodeRateLimit;
use showing::AwaitingUser;

use crate::backoff::Change;
use crate::calls::{CALL_LIMIT, CallKind, Judgement, PendingCall, Wants};
use crate::{
    BootTime, CallError, CallId, Context, Core, Effect, FlowRecord, GrantKind, LogEvent, PairingOptions, PairingRecord,
    Reason, Reply, Request, Store, TokenPair,
};

const GIVE_UP: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 3600));

/// The flow, if one runs, and what is left of those before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Flows {
    flow: Option<Flow>,
    late_polls: Vec<LatePoll>,
    rate_limit: CodeRateLimit,
}

impl Flows {
    /// The user approved: this pairing is being written.
    pub(super) fn storing(&mut self, pairing: PairingRecord) {
        if let Some(flow) = &mut self.flow {
            flow.step = Step::Storing {
                pairing: Box::new(pairing),
            };
        }
    }

    /// A second pair came while the first is being written.
    pub(super) fn keep_candidate(&mut self, pair: TokenPair) {
        if let Some(Flow {
            step: Step::Storing { pairing },
            ..
        }) = &mut self.flow
        {
            pairing.candidate = Some(pair);
        }
    }

    /// True if a flow runs that does more than to wait for the answer to its last poll.
    pub(super) fn is_running(&self, now: BootTime) -> bool {
        self.flow.as_ref().is_some_and(|flow| !flow.is_over(now))
    }

    /// True if a code is to be asked for.
    pub(super) fn waits_to_ask(&self) -> bool {
        let step = self.flow.as_ref().map(|flow| &flow.step);
        matches!(step, Some(Step::Waiting { .. }))
    }

    /// The disk refused the start that stands: nothing was asked of the server.
    pub(super) fn start_refused(&mut self) {
        self.rate_limit.give_back();
    }

    /// True if the flow waits for a revocation that goes first.
    pub(super) fn waits_for_revocation(&self) -> bool {
        self.flow.as_ref().is_some_and(|flow| flow.step == Step::Revoking)
    }
}

impl Core {
    pub(super) fn start_pairing(&mut self, cx: &mut Context<'_>, call: CallId, caller: u32, options: PairingOptions) {
        let now = cx.at();
        if !self.setup.is_ready() {
            cx.reply(call, Err(CallError::NotProvisioned));
            return;
        }
        if !self.may_start() {
            cx.reply(call, Err(CallError::Timeout));
            return;
        }
        let limit = options
            .timeout
            .unwrap_or(CALL_LIMIT)
            .clamp(Duration::from_secs(1), CALL_LIMIT);
        if !self.orders.are_begun() && (self.orders.unpairs() || !self.pairing.is_running(now)) {
            let waits = self.orders.unpairs() || self.storage.pending().puts_off_a_start();
            let paired = !waits && self.credential.is_paired() && !options.replace;
            let refused = if paired {
                Some(CallError::AlreadyPaired)
            } else {
                let admitted = self.pairing.rate_limit.admit(caller, now);
                admitted.err().map(|wait| CallError::TooOften { wait })
            };
            if let Some(error) = refused {
                cx.reply(call, Err(error));
                return;
            }
            if waits {
                self.orders.start(options);
            } else {
                self.begin_flow(cx, options);
            }
        }
        self.calls.push(call, now.after(limit), Wants::PairingCode);
    }

    /// Begins a flow by a trial of the disk.
    pub(super) fn begin_flow(&mut self, cx: &mut Context<'_>, options: PairingOptions) {
        // One of a start that was cancelled tells the same.
        let out = self.storage.newest_trial();
        let trial = out.unwrap_or_else(|| self.store(cx, Store::Trial));
        self.orders.try_out(trial, options);
    }

    /// The disk takes a pairing: a code is asked for. A flow that only waits for the answer to its
    /// last poll goes on as this one.
    pub(super) fn enter_flow(&mut self, cx: &mut Context<'_>, options: PairingOptions) {
        let now = cx.at();
        let give_up_after = options
            .give_up_after
            .unwrap_or(self.setup.policy().give_up_after)
            .clamp(GIVE_UP.0, GIVE_UP.1);
        let give_up = now.after(give_up_after);
        if self.pairing.flow.is_some() {
            self.start_over(cx, options, give_up);
            return;
        }
        let id = self.ids.next_flow();
        let revoking = !self.setup.policy().separate_grants && self.revocations.go_first(now);
        let step = if revoking {
            Step::Revoking
        } else {
            Step::Waiting { until: now }
        };
        let (renew, replace) = (options.renew, options.replace);
        self.pairing.flow = Some(Flow {
            started: now,
            ..Flow::new(id, renew, replace, give_up, step)
        });
    }

    /// A flow of before the restart goes on, unless its time is over.
    pub(super) fn restore_flow(&mut self, cx: &mut Context<'_>, record: FlowRecord) {
        let now = cx.at();
        let fits = record.boot == self.setup.boot()
            && now < record.give_up.after(record.interval)
            && self.setup.is_ready()
            // A flow that paired and was not removed before the end of the process is no flow.
            && record.grant == self.credential.grant()
            && (!self.credential.is_paired() || record.replace);
        if !fits {
            self.store(cx, Store::Flow(None));
            return;
        }
        self.ids.found_code(record.code.id);
        let id = self.ids.next_flow();
        // A poll that was planned and whose time has not come is the next one. Otherwise the last
        // poll before the crash is not on record, and a whole interval from now keeps the server's
        // pace (I4).
        let next_poll = if record.next_poll > now {
            record.next_poll
        } else {
            now.after(record.interval)
        };
        let step = Step::AwaitingUser(Box::new(AwaitingUser {
            code: record.code,
            interval: record.interval,
            next_poll,
            poll: None,
            not_before: next_poll,
            failed_polls: 0,
            clock_failed: false,
            unsaved: None,
            done: false,
        }));
        let mut flow = Flow::new(id, record.renew, record.replace, record.give_up, step);
        flow.pace.next = next_poll;
        self.pairing.flow = Some(flow);
        cx.log(LogEvent::FlowResumed);
    }

    pub(super) fn get_pairing_code(&self, cx: &mut Context<'_>, call: CallId) {
        let view = self.pairing.flow.as_ref().and_then(|flow| flow.view(cx.at()));
        cx.reply(call, view.map(Reply::Code).ok_or(CallError::NoPairing));
    }

    /// `CancelPairing`. Answered when no crash can bring the flow back.
    pub(super) fn cancel_pairing(&mut self, cx: &mut Context<'_>, call: CallId) {
        let deadline = cx.at().after(CALL_LIMIT);
        self.withdraw_start(cx);
        if self.storage.pending().puts_off_an_end() {
            // The user's approval is being written this moment: too late to cancel, and `Unpair`
            // undoes it. The answer waits until the flow is durably over.
            self.calls.push(call, deadline, Wants::FlowEnd);
            return;
        }
        self.end_flow(cx, Reason::Cancelled);
        self.forget_flow_file(cx);
        self.done_when_durable(cx, call, deadline, false);
    }

    /// Removes a flow's file that an earlier removal may have left.
    pub(super) fn forget_flow_file(&mut self, cx: &mut Context<'_>) {
        if self.pairing.flow.is_none() && self.storage.has_flow() {
            self.store(cx, Store::Flow(None));
        }
    }

    /// Ends the flow without a pairing, unless the user's approval is being written this moment.
    pub(super) fn end_flow(&mut self, cx: &mut Context<'_>, reason: Reason) {
        let Some(mut flow) = self
            .pairing
            .flow
            .take_if(|flow| !matches!(flow.step, Step::Storing { .. }))
        else {
            return;
        };
        self.let_go(&mut flow);
        let error = if reason == Reason::ClientRejected {
            CallError::ClientRejected
        } else {
            CallError::NoPairing
        };
        if !self.orders.are_tried_out() {
            self.calls.answer(cx, CallKind::PairingCode, Err(error));
        }
        self.calls.answer(cx, CallKind::RedirectResult, Err(error));
        match flow.step {
            Step::RequestingCode { op, .. } => cx.emit(Effect::Cancel(op)),
            Step::AwaitingRedirect(browsing) => cx.emit(Effect::Cancel(browsing.listener)),
            Step::AwaitingUser(_) | Step::Revoking | Step::Waiting { .. } | Step::Storing { .. } => {}
        }
        self.credential.still_unpaired(reason);
        cx.log(LogEvent::FlowEnded {
            reason,
            word: flow.refused.word.filter(|_| reason == Reason::ServerError),
        });
        self.store(cx, Store::Flow(None));
    }

    /// A poll or an authorization code is out, of this flow or of one that ended.
    pub(super) fn polling(&self) -> bool {
        let current = self.pairing.flow.as_ref().is_some_and(|flow| {
            let ended = flow.ended.as_ref().is_some_and(|ended| ended.poll.is_some());
            let shown = matches!(&flow.step, Step::AwaitingUser(showing) if showing.poll.is_some());
            flow.exchanging() || ended || shown
        });
        current || !self.pairing.late_polls.is_empty()
    }

    pub(super) fn run_flow(&mut self, cx: &mut Context<'_>) {
        while let Some((at, action)) = self.next_action(cx.at())
            && at <= cx.at()
        {
            match action {
                Action::SpendCode => self.spend_code(cx),
                Action::ShowCode => self.reveal_code(cx),
                Action::ForgetEnded => self.forget_ended_code(cx),
                Action::ReplaceCode => self.code_replaced(cx, Reason::CodeExpired),
                Action::End(reason) => self.end_flow(cx, reason),
                Action::GiveUp => self.give_up(cx),
                Action::Poll(which) => self.poll(cx, which),
                Action::RequestCode => self.request_code(cx),
            }
        }
    }

    /// When a flow is next due, even if nothing happens.
    pub(super) fn flow_due(&self, now: BootTime) -> Option<BootTime> {
        self.next_action(now).map(|(at, _)| at)
    }

    fn next_action(&self, now: BootTime) -> Option<(BootTime, Action)> {
        let may_ask = self.storage.failing().is_none();
        self.pairing.flow.as_ref()?.due(now, self.may_start(), may_ask)
    }

    fn request_code(&mut self, cx: &mut Context<'_>) {
        let request = match self.setup.policy().grant {
            GrantKind::Device => Request::DeviceCode,
            GrantKind::Code => Request::Authorize,
        };
        let op = self.request(cx, request);
        if let Some(flow) = &mut self.pairing.flow {
            flow.step = Step::RequestingCode { op, since: cx.at() };
            flow.asked = Some(cx.at());
        }
    }

    /// The revocation that had to go first is done with, whatever came of it.
    pub(super) fn revocation_tried(&mut self, cx: &Context<'_>) {
        if let Some(flow) = &mut self.pairing.flow
            && flow.step == Step::Revoking
        {
            let until = flow.may_ask(cx.at());
            flow.step = Step::Waiting { until };
        }
    }

    /// A revocation that had to wait for its refresh is ready: it goes before a code that has not
    /// been asked for yet.
    pub(super) fn revoke_before_code(&mut self, now: BootTime) {
        if !self.setup.policy().separate_grants
            && let Some(flow) = &mut self.pairing.flow
            && matches!(flow.step, Step::Waiting { .. })
            // A poll of this flow may yet bring what a revocation would take along.
            && flow.ended.is_none()
            && !self.pairing.late_polls.iter().any(|late| late.flow == flow.id)
            && self.revocations.go_first(now)
        {
            flow.step = Step::Revoking;
        }
    }

    /// True if revocations may be sent. Where a device has but one grant they wait, once a flow is
    /// past them, for its end.
    pub(super) fn flow_lets_revoke(&self) -> bool {
        self.pairing.flow.as_ref().is_none_or(|flow| match flow.step {
            Step::Revoking => true,
            Step::Waiting { .. }
            | Step::RequestingCode { .. }
            | Step::AwaitingUser(_)
            | Step::AwaitingRedirect(_)
            | Step::Storing { .. } => self.setup.policy().separate_grants,
        })
    }

    pub(super) fn retry_flow(&mut self, cx: &Context<'_>, change: Change) {
        let now = cx.at();
        let Some(flow) = &mut self.pairing.flow else { return };
        if let Step::AwaitingUser(showing) = &mut flow.step {
            if showing.cured_by(change) {
                showing.next_poll = showing.not_before.max(now);
            }
            return;
        }
        if !flow.retry.cured_by(change, now) {
            return;
        }
        flow.retry.retry_by(now);
        let may_ask = flow.may_ask(now);
        match &mut flow.step {
            Step::Waiting { until } => *until = (*until).min(may_ask),
            Step::AwaitingRedirect(browsing) => {
                if let Some(exchange) = &mut browsing.exchange {
                    exchange.due = exchange.due.min(flow.retry.next().max(now));
                }
            }
            Step::Revoking | Step::RequestingCode { .. } | Step::AwaitingUser(_) | Step::Storing { .. } => {}
        }
    }

    pub(super) fn judge_starter(&self, call: &PendingCall, now: BootTime) -> Judgement {
        let Some(flow) = self.pairing.flow.as_ref().filter(|_| !self.orders.are_tried_out()) else {
            return call.until_deadline(now);
        };
        // Nobody starts with a code that has ended: the flow's end, or another start, tells more.
        if let Some(code) = flow.view(now).filter(|_| !flow.is_over(now)) {
            return Judgement::Answer(Ok(Reply::Started {
                code,
                renew: flow.renew,
                replace: flow.replace,
                give_up_in: flow.give_up.since(now),
            }));
        }
        if let Some(error) = self.disk_error()
            && self.rewrite_due(true).is_some_and(|next| next > call.deadline)
        {
            return Judgement::Answer(Err(error));
        }
        if now < call.deadline
            && let (Some(error), Step::Waiting { until }) = (flow.retry.failing(), &flow.step)
            && *until > call.deadline
        {
            // No further try fits into this call's time: do not make anyone wait for nothing.
            return Judgement::Answer(Err(error));
        }
        call.or_at_deadline(now, self.flow_error())
    }

    /// Why a call has nothing of the flow at the end of its time.
    pub(super) fn flow_error(&self) -> CallError {
        let failing = self.pairing.flow.as_ref().and_then(|flow| flow.retry.failing());
        self.disk_error().or(failing).unwrap_or(CallError::Timeout)
    }

    /// The flow waits for the disk, and not for the server.
    fn disk_error(&self) -> Option<CallError> {
        self.storage.failing().filter(|_| self.pairing.waits_to_ask())
    }

    pub(super) fn flow_view(&self) -> Option<FlowView> {
        self.pairing.flow.as_ref().map(|flow| match flow.step {
            Step::Waiting { .. } if self.disk_error().is_some() => FlowView::Requesting(Reason::StorageFailed),
            Step::Revoking | Step::Waiting { .. } | Step::RequestingCode { .. } => FlowView::Requesting(flow.reason),
            Step::AwaitingUser(ref showing) if showing.unsaved.is_some() => FlowView::Requesting(flow.reason),
            Step::AwaitingUser(_) | Step::AwaitingRedirect(_) | Step::Storing { .. } => FlowView::Awaiting,
        })
    }
}
