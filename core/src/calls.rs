//! The calls that have no answer yet: one list, one judge, one time-out.
//!
//! Owns: what each call waits for, and until when. After every event each call is judged anew from
//! the state alone, so that nothing has to remember why a caller waits, and none can be forgotten
//! (I6). What a caller of `GetAccessToken` gets is in `serve.rs`.
//!
//! Invariant: the list is in the order of [`CallKind`], and within a kind in that of arrival.
//! Answers go out in that order.

use std::time::Duration;

use crate::{BootTime, CallError, CallId, Client, Context, Core, OpId, Reply};

/// Longest any call may take: half of the 25 s after which common D-Bus bindings give up would be
/// too short for a slow mobile link, and 25 s itself would lose the race.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(20);

/// The calls that wait for a write alone.
const WRITE_CALLS: [CallKind; 3] = [CallKind::FlowEnd, CallKind::Durable, CallKind::Unpaired];

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Calls {
    pending: Vec<PendingCall>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PendingCall {
    pub(super) call: CallId,
    /// The end of the call's time: nothing that hangs must hang its callers.
    pub(super) deadline: BootTime,
    pub(super) wants: Wants,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wants {
    /// The end of the flow whose pairing is being written.
    FlowEnd,
    /// The end of these writes, each a success: of the flow's file and of the record.
    Durable {
        flow: Option<OpId>,
        record: Option<OpId>,
    },
    Unpaired,
    PairingCode,
    /// The outcome of the redirect that it brought.
    RedirectResult,
    /// The result of a probe of the token that it rejected. `examined`: a request that left later
    /// is out.
    ProbeResult {
        caller: u32,
        examined: bool,
    },
    Token(TokenCall),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TokenCall {
    pub(super) client: Client,
    /// The first call of a connection that may be a rejecting program come back.
    pub(super) reconnected: bool,
    pub(super) min_validity: Option<Duration>,
}

/// The kinds of what calls want, in the order in which they are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CallKind {
    FlowEnd,
    Durable,
    Unpaired,
    PairingCode,
    RedirectResult,
    ProbeResult,
    Token,
}

/// The judgement on a call.
pub(super) enum Judgement {
    Answer(Result<Reply, CallError>),
    /// The access token in hand.
    Token(TokenCall),
    /// Nothing before this instant, unless something happens.
    WaitUntil(BootTime),
}

impl Wants {
    const fn kind(&self) -> CallKind {
        match self {
            Self::FlowEnd => CallKind::FlowEnd,
            Self::Durable { .. } => CallKind::Durable,
            Self::Unpaired => CallKind::Unpaired,
            Self::PairingCode => CallKind::PairingCode,
            Self::RedirectResult => CallKind::RedirectResult,
            Self::ProbeResult { .. } => CallKind::ProbeResult,
            Self::Token(_) => CallKind::Token,
        }
    }
}

impl PendingCall {
    /// Waits for what it wants, as long as it may.
    pub(super) fn until_deadline(&self, now: BootTime) -> Judgement {
        self.or_at_deadline(now, CallError::Timeout)
    }

    /// The same, and why it has nothing then.
    pub(super) fn or_at_deadline(&self, now: BootTime, error: CallError) -> Judgement {
        if now >= self.deadline {
            Judgement::Answer(Err(error))
        } else {
            Judgement::WaitUntil(self.deadline)
        }
    }
}

impl Calls {
    pub(super) fn push(&mut self, call: CallId, deadline: BootTime, wants: Wants) {
        self.put(PendingCall { call, deadline, wants });
    }

    fn put(&mut self, call: PendingCall) {
        let kind = call.wants.kind();
        let at = self.pending.partition_point(|other| other.wants.kind() <= kind);
        self.pending.insert(at, call);
    }

    pub(super) fn of(&self, kind: CallKind) -> impl Iterator<Item = &PendingCall> {
        self.pending.iter().filter(move |call| call.wants.kind() == kind)
    }

    pub(super) fn take(&mut self, kind: CallKind) -> Vec<PendingCall> {
        self.pending.extract_if(.., |call| call.wants.kind() == kind).collect()
    }

    /// A request that examines the token left.
    pub(super) fn examining(&mut self) {
        self.set_examined(true);
    }

    pub(super) fn unexamined(&mut self) {
        self.set_examined(false);
    }

    fn set_examined(&mut self, now: bool) {
        for call in &mut self.pending {
            if let Wants::ProbeResult { examined, .. } = &mut call.wants {
                *examined = now;
            }
        }
    }

    pub(super) fn answer_examined(&mut self, cx: &mut Context<'_>) {
        let examined = |call: &mut PendingCall| matches!(call.wants, Wants::ProbeResult { examined: true, .. });
        for call in self.pending.extract_if(.., examined) {
            cx.reply(call.call, Ok(Reply::Done));
        }
    }

    pub(super) fn answer(&mut self, cx: &mut Context<'_>, kind: CallKind, answer: Result<(), CallError>) {
        for call in self.take(kind) {
            cx.reply(call.call, answer.map(|()| Reply::Done));
        }
    }

    /// Answers who waits for the server or a user, because the daemon ends. A flow's file stays: it
    /// goes on after a restart.
    pub(super) fn end(&mut self, cx: &mut Context<'_>) {
        for kind in [
            CallKind::Token,
            CallKind::ProbeResult,
            CallKind::PairingCode,
            CallKind::RedirectResult,
        ] {
            self.answer(cx, kind, Err(CallError::Timeout));
        }
    }
}

impl Core {
    /// Answers every call of this kind that is due an answer.
    pub(super) fn answer_due(&mut self, cx: &mut Context<'_>, kind: CallKind) {
        let now = cx.at();
        for call in self.calls.take(kind) {
            match self.judge(&call, now) {
                Judgement::WaitUntil(_) => self.calls.put(call),
                Judgement::Answer(answer) => cx.reply(call.call, answer),
                Judgement::Token(wants) => self.hand_out(cx, call.call, wants),
            }
        }
    }

    pub(super) fn write_calls_due(&self, now: BootTime) -> Option<BootTime> {
        let due = WRITE_CALLS.into_iter().filter_map(|kind| self.call_due(kind, now));
        due.min()
    }

    pub(super) fn answer_write_calls(&mut self, cx: &mut Context<'_>) {
        for kind in WRITE_CALLS {
            self.answer_due(cx, kind);
        }
    }

    /// When a call of this kind is next due to be judged, even if nothing happens.
    pub(super) fn call_due(&self, kind: CallKind, now: BootTime) -> Option<BootTime> {
        let due = |call: &PendingCall| match self.judge(call, now) {
            Judgement::WaitUntil(until) => until,
            Judgement::Answer(_) | Judgement::Token(_) => now,
        };
        self.calls.of(kind).map(due).min()
    }

    fn judge(&self, call: &PendingCall, now: BootTime) -> Judgement {
        match &call.wants {
            Wants::FlowEnd | Wants::Durable { .. } | Wants::Unpaired => call.until_deadline(now),
            Wants::PairingCode => self.judge_starter(call, now),
            Wants::RedirectResult => call.or_at_deadline(now, self.flow_error()),
            Wants::ProbeResult { caller, .. } => self.judge_report(call, *caller, now),
            Wants::Token(wants) => self.judge_token(call, *wants, now),
        }
    }

    /// A write ended: answers the calls to which nothing else was promised, or not even this.
    pub(super) fn durable(&mut self, cx: &mut Context<'_>, op: OpId, ok: bool) {
        for mut call in self.calls.take(CallKind::Durable) {
            let Wants::Durable { flow, record } = &mut call.wants else {
                continue;
            };
            let own_flow = flow.take_if(|flow| *flow == op).map(|_| CallError::FlowNotRemoved);
            let own_record = record.take_if(|record| *record == op).map(|_| CallError::StorageFailed);
            let done = flow.is_none() && record.is_none();
            match own_flow.or(own_record) {
                Some(error) if !ok => cx.reply(call.call, Err(error)),
                Some(_) if done => cx.reply(call.call, Ok(Reply::Done)),
                Some(_) | None => self.calls.put(call),
            }
        }
    }

    /// Answers a call once what was asked of the flow's file so far is done, and of the record if
    /// that was promised too.
    pub(super) fn done_when_durable(&mut self, cx: &mut Context<'_>, call: CallId, deadline: BootTime, record: bool) {
        let flow = self.storage.newest_write_of_flow();
        let record = self.storage.newest_write_of_record().filter(|_| record);
        if flow.or(record).is_none() {
            cx.reply(call, Ok(Reply::Done));
        } else {
            self.calls.push(call, deadline, Wants::Durable { flow, record });
        }
    }

    /// After `Shutdown`: whether all that must not be cut has ended. Says so once.
    pub(super) fn drain(&mut self, cx: &mut Context<'_>) -> bool {
        if self.may_start() || self.busy() || self.is_unsaved() {
            return false;
        }
        self.calls.end(cx);
        self.shutdown.finish()
    }
}
