//! The pairing flow: RFC 8628 with Frame.io's habits, or RFC 6749 §4.1 by a browser.
//!
//! Codes live 120 s and are replaced until somebody enters one, gives up or cancels; who enters one at its last moment is heard.
//! The flow is kept in the runtime directory so that the code on the screen stays valid across a crash. Network blips never end
//! it; a poll that was sent is never cancelled, and what it brings is accounted for even when the flow is gone.

use std::time::Duration;

mod browser;
mod code;
mod poll;
mod showing;
mod throttle;

use browser::Browsing;
use showing::{Pace, Showing};
pub(super) use throttle::Throttle;

use crate::Core;
use crate::backoff::{Change, Retry};
use crate::calls::{CALL_LIMIT, Judgement, Kind, PendingCall, Wants};
use crate::effect::{CallError, Effect, Note, Reply, Request, Store};
use crate::error_code::ErrorCode;
use crate::event::{Command, PairingOptions};
use crate::op::{CallId, OpId};
use crate::policy::{GrantKind, Provisioning};
use crate::record::{FlowRecord, Pairing};
use crate::snapshot::Reason;
use crate::time::BootTime;
use crate::turn::Turn;

/// Range of `give-up-after`.
const GIVE_UP: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 3600));

/// A running flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flow {
    /// Tells a poll of this flow from one of an earlier flow.
    id: u64,
    renew: bool,
    replace: bool,
    /// When it was last asked for: a start during the wait for the last answer takes the flow over.
    started: BootTime,
    give_up: BootTime,
    phase: Phase,
    /// The code that was on show before, while its last poll is due or out.
    ended: Option<Box<Showing>>,
    pace: Pace,
    /// When a code was last asked for.
    asked: Option<BootTime>,
    /// Why no code is on show; [`Reason::None`] when all is well.
    reason: Reason,
    retry: Retry,
    refused: Refused,
}

/// Codes that the server refused, one after the other, and by which error the last of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Refused {
    codes: u32,
    word: Option<ErrorCode>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// The last pairing's revocation goes first: afterwards it could hit the new one.
    Revoking,
    /// No request is out; the next one waits for its time.
    Resting { until: BootTime },
    /// A code was asked for.
    Asking { op: OpId, since: BootTime },
    /// A code is on show.
    Showing(Box<Showing>),
    /// An address for a browser is on show.
    Browsing(Box<Browsing>),
    /// The user approved; the new pair is being written.
    Storing { pairing: Box<Pairing> },
}

/// A poll, or the spending of an authorization code, whose code is no longer on show.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct OrphanPoll {
    op: OpId,
    flow: u64,
    since: BootTime,
}

/// What the snapshot shows of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlowView {
    /// No code to show yet.
    Requesting(Reason),
    /// A code is on show.
    Awaiting,
}

impl Core {
    /// `StartPairing`.
    pub(super) fn start_pairing(&mut self, t: &mut Turn<'_>, call: CallId, caller: u32, options: PairingOptions) {
        let now = t.at();
        if self.provisioning != Provisioning::Ready {
            t.reply(call, Err(CallError::NotProvisioned));
            return;
        }
        if !self.may_start() {
            t.reply(call, Err(CallError::Timeout));
            return;
        }
        let limit = options
            .timeout
            .unwrap_or(CALL_LIMIT)
            .clamp(Duration::from_secs(1), CALL_LIMIT);
        self.start_pairing_by(t, call, caller, options, now.after(limit));
    }

    /// `StartPairing`, to be answered by `deadline`.
    pub(super) fn start_pairing_by(
        &mut self,
        t: &mut Turn<'_>,
        call: CallId,
        caller: u32,
        options: PairingOptions,
        deadline: BootTime,
    ) {
        let now = t.at();
        let over = self.flow.as_ref().is_some_and(|flow| flow.is_over(now));
        if self.flow.is_some() && !over {
            self.calls.push(call, deadline, Wants::PairingCode);
            return;
        }
        let command = Command::StartPairing { caller, options };
        if self.storage.pending().puts_off(&command) {
            // The tombstone is being written: whether this device is paired, and what is to be revoked first, is known in a
            // moment.
            self.calls.push(call, deadline, Wants::Retry(command));
            return;
        }
        if self.held.is_some() && !options.replace {
            t.reply(call, Err(CallError::AlreadyPaired));
            return;
        }
        if !self.throttle.admit(caller, now) {
            t.reply(call, Err(CallError::TooOften));
            return;
        }
        let give_up_after = options
            .give_up_after
            .unwrap_or(self.policy.give_up_after)
            .clamp(GIVE_UP.0, GIVE_UP.1);
        let give_up = now.after(give_up_after);
        self.calls.push(call, deadline, Wants::PairingCode);
        if over {
            self.start_over(t, options, give_up);
            return;
        }
        self.ids.flow += 1;
        let revoking = self.policy.sole_grant && self.revocations.press();
        self.flow = Some(Flow {
            id: self.ids.flow,
            renew: options.renew,
            replace: options.replace,
            started: now,
            give_up,
            phase: if revoking {
                Phase::Revoking
            } else {
                Phase::Resting { until: now }
            },
            ended: None,
            pace: Pace::default(),
            asked: None,
            reason: Reason::None,
            retry: Retry::default(),
            refused: Refused::default(),
        });
    }

    /// A flow of before the restart goes on, unless its time is over.
    pub(super) fn resume_flow(&mut self, t: &mut Turn<'_>, record: FlowRecord) {
        let now = t.at();
        let fits = record.boot == self.boot
            && now < record.give_up.after(record.interval)
            && self.provisioning == Provisioning::Ready
            && (self.held.is_none() || record.replace);
        if !fits {
            self.store(t, Store::Flow(None));
            return;
        }
        self.ids.code = self.ids.code.max(record.code.id);
        self.ids.flow += 1;
        // A poll that was planned and whose time has not come is the next one. Otherwise the last poll before the crash is
        // not on record, and a whole interval from now keeps the server's pace (I4).
        let next_poll = if record.next_poll > now {
            record.next_poll
        } else {
            now.after(record.interval)
        };
        self.flow = Some(Flow {
            id: self.ids.flow,
            renew: record.renew,
            replace: record.replace,
            started: BootTime::default(),
            give_up: record.give_up,
            phase: Phase::Showing(Box::new(Showing {
                code: record.code,
                interval: record.interval,
                next_poll,
                poll: None,
                not_before: next_poll,
                blips: 0,
                done: false,
            })),
            ended: None,
            pace: Pace {
                next: next_poll,
                ..Pace::default()
            },
            asked: None,
            reason: Reason::None,
            retry: Retry::default(),
            refused: Refused::default(),
        });
        t.note(Note::FlowResumed);
    }

    /// `GetPairingCode`.
    pub(super) fn get_pairing_code(&self, t: &mut Turn<'_>, call: CallId) {
        let view = self.flow.as_ref().and_then(|flow| flow.view(t.at()));
        t.reply(call, view.map(Reply::Code).ok_or(CallError::NoPairing));
    }

    /// `CancelPairing`. Answered when no crash can bring the flow back.
    pub(super) fn cancel_pairing(&mut self, t: &mut Turn<'_>, call: CallId) {
        if self.storage.pending().puts_off(&Command::CancelPairing) {
            // The user's approval is being written this moment: too late to cancel, and `Unpair` undoes it. The answer
            // waits until the flow is durably over.
            let deadline = t.at().after(CALL_LIMIT);
            self.calls.push(call, deadline, Wants::Retry(Command::CancelPairing));
            return;
        }
        self.end_flow(t, Reason::Cancelled);
        self.forget_flow_file(t);
        self.done_when_durable(t, call, false);
    }

    /// Removes a flow's file that an earlier removal may have left.
    pub(super) fn forget_flow_file(&mut self, t: &mut Turn<'_>) {
        if self.flow.is_none() && self.storage.has_flow() {
            self.store(t, Store::Flow(None));
        }
    }

    /// Ends the flow without a pairing, unless the user's approval is being written this moment.
    pub(super) fn end_flow(&mut self, t: &mut Turn<'_>, reason: Reason) {
        let Some(mut flow) = self.flow.take_if(|flow| !matches!(flow.phase, Phase::Storing { .. })) else {
            return;
        };
        self.orphan(&mut flow);
        let error = if reason == Reason::ClientRejected {
            CallError::ClientRejected
        } else {
            CallError::NoPairing
        };
        self.calls.answer(t, Kind::PairingCode, Err(error));
        self.calls.answer(t, Kind::RedirectResult, Err(error));
        match flow.phase {
            Phase::Asking { op, .. } => t.emit(Effect::Cancel(op)),
            Phase::Browsing(browsing) => t.emit(Effect::Cancel(browsing.listener)),
            Phase::Showing(_) | Phase::Revoking | Phase::Resting { .. } | Phase::Storing { .. } => {}
        }
        if self.held.is_none() {
            self.idle = reason;
        }
        t.note(Note::FlowEnded {
            reason,
            word: flow.refused.word.filter(|_| reason == Reason::ServerError),
        });
        self.store(t, Store::Flow(None));
    }

    /// What the flow has out goes on without it.
    fn orphan(&mut self, flow: &mut Flow) {
        let exchange = match &mut flow.phase {
            Phase::Browsing(browsing) => browsing.exchange.as_mut().and_then(|exchange| exchange.sent.take()),
            Phase::Revoking
            | Phase::Resting { .. }
            | Phase::Asking { .. }
            | Phase::Showing(_)
            | Phase::Storing { .. } => None,
        };
        for (op, since) in flow.take_polls().into_iter().chain(exchange) {
            let flow = flow.id;
            self.orphans.push(OrphanPoll { op, flow, since });
        }
    }

    /// A poll or an authorization code is out, of this flow or of one that ended.
    pub(super) fn polling(&self) -> bool {
        let current = self.flow.as_ref().is_some_and(|flow| {
            let ended = flow.ended.as_ref().is_some_and(|ended| ended.poll.is_some());
            let shown = matches!(&flow.phase, Phase::Showing(showing) if showing.poll.is_some());
            flow.exchanging() || ended || shown
        });
        current || !self.orphans.is_empty()
    }

    /// Starts what is due.
    pub(super) fn run_flow(&mut self, t: &mut Turn<'_>) {
        self.answer_due(t, Kind::PairingCode);
        self.answer_due(t, Kind::RedirectResult);
        self.run_exchange(t);
        self.end_what_is_over(t);
        self.run_poll(t);
        let now = t.at();
        let may_start = self.may_start();
        let Some(flow) = &mut self.flow else { return };
        match &mut flow.phase {
            Phase::Resting { until } if *until <= now && may_start => {
                let op = self.request(
                    t,
                    match self.policy.grant {
                        GrantKind::Device => Request::DeviceCode,
                        GrantKind::Code => Request::Authorize,
                    },
                );
                if let Some(flow) = &mut self.flow {
                    flow.phase = Phase::Asking { op, since: now };
                    flow.asked = Some(now);
                }
            }
            Phase::Revoking
            | Phase::Resting { .. }
            | Phase::Asking { .. }
            | Phase::Showing(_)
            | Phase::Browsing(_)
            | Phase::Storing { .. } => {}
        }
    }

    /// When a flow is next due, even if nothing happens.
    pub(super) fn flow_deadline(&self, now: BootTime) -> Option<BootTime> {
        let flow = self.flow.as_ref()?;
        let may_start = self.may_start();
        let phase = match &flow.phase {
            Phase::Resting { until } if may_start => Some((*until).min(flow.give_up)),
            // Past its end only the answer to its last poll is waited for.
            Phase::Showing(showing) => Some(showing.ends(flow.give_up)).filter(|end| *end > now),
            Phase::Browsing(_) if flow.exchanging() => None,
            Phase::Browsing(browsing) if may_start => [browsing.due(), Some(flow.give_up)].into_iter().flatten().min(),
            Phase::Revoking | Phase::Asking { .. } | Phase::Resting { .. } | Phase::Browsing(_) => Some(flow.give_up),
            Phase::Storing { .. } => None,
        };
        let poll = flow.poll_due().map(|(_, due)| due).filter(|_| may_start);
        [phase, poll].into_iter().flatten().min()
    }

    /// The revocation that had to go first is done with, whatever came of it.
    pub(super) fn revocation_tried(&mut self, t: &Turn<'_>) {
        if let Some(flow) = &mut self.flow
            && flow.phase == Phase::Revoking
        {
            let until = flow.may_ask(t.at());
            flow.phase = Phase::Resting { until };
        }
    }

    /// A revocation that had to wait for its refresh is ready: it goes before a code that has not been asked for yet.
    pub(super) fn revoke_before_code(&mut self) {
        if self.policy.sole_grant
            && let Some(flow) = &mut self.flow
            && matches!(flow.phase, Phase::Resting { .. })
            // A poll of this flow may yet bring what a revocation would take along.
            && flow.ended.is_none()
            && !self.orphans.iter().any(|orphan| orphan.flow == flow.id)
            && self.revocations.press()
        {
            flow.phase = Phase::Revoking;
        }
    }

    /// Whether revocations may be sent. Where a device has but one grant they wait, once a flow is past them, for its end.
    pub(super) fn flow_lets_revoke(&self) -> bool {
        self.flow.as_ref().is_none_or(|flow| match flow.phase {
            Phase::Revoking => true,
            Phase::Resting { .. }
            | Phase::Asking { .. }
            | Phase::Showing(_)
            | Phase::Browsing(_)
            | Phase::Storing { .. } => !self.policy.sole_grant,
        })
    }

    /// The network may be back.
    pub(super) fn hasten_flow(&mut self, t: &Turn<'_>, change: Change) {
        let now = t.at();
        let Some(flow) = &mut self.flow else { return };
        if !flow.retry.cured_by(change) {
            return;
        }
        flow.retry.hasten(now);
        let may_ask = flow.may_ask(now);
        match &mut flow.phase {
            Phase::Resting { until } => *until = (*until).min(may_ask),
            Phase::Showing(showing) if showing.blips > 0 => {
                showing.next_poll = showing.not_before.max(now);
            }
            Phase::Browsing(browsing) => {
                if let Some(exchange) = &mut browsing.exchange {
                    exchange.due = exchange.due.min(flow.retry.next().max(now));
                }
            }
            Phase::Revoking | Phase::Asking { .. } | Phase::Showing(_) | Phase::Storing { .. } => {}
        }
    }

    /// What a call of `StartPairing` is due.
    pub(super) fn judge_starter(&self, call: &PendingCall, now: BootTime) -> Judgement {
        let Some(flow) = &self.flow else {
            return call.until_deadline(now);
        };
        if let Some(code) = flow.view(now) {
            return Judgement::Answer(Ok(Reply::Started {
                code,
                renew: flow.renew,
                replace: flow.replace,
                give_up_in: flow.give_up.since(now),
            }));
        }
        if now < call.deadline
            && let (Some(error), Phase::Resting { until }) = (flow.retry.failing(), &flow.phase)
            && *until > call.deadline
        {
            // No further try fits into this call's time: do not make anyone wait for nothing.
            return Judgement::Answer(Err(error));
        }
        call.or_at_deadline(now, self.flow_error())
    }

    /// Why a call has nothing of the flow at the end of its time.
    pub(super) fn flow_error(&self) -> CallError {
        let failing = self.flow.as_ref().and_then(|flow| flow.retry.failing());
        failing.unwrap_or(CallError::Timeout)
    }

    pub(super) fn flow_view(&self) -> Option<FlowView> {
        self.flow.as_ref().map(|flow| match flow.phase {
            Phase::Revoking | Phase::Resting { .. } | Phase::Asking { .. } => FlowView::Requesting(flow.reason),
            Phase::Showing(_) | Phase::Browsing(_) | Phase::Storing { .. } => FlowView::Awaiting,
        })
    }
}
