//! A running flow: its steps, and what it does next.

use super::redirect::AwaitingRedirect;
use super::showing::{AwaitingUser, Pace, Which};
use crate::backoff::Retry;
use crate::{BootTime, ErrorCode, OpId, PairingRecord, Reason};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flow {
    /// Tells a poll of this flow from one of an earlier flow.
    pub(super) id: u64,
    pub(super) renew: bool,
    pub(super) replace: bool,
    /// When it was last asked for: a start during the wait for the last answer takes the flow over.
    pub(super) started: BootTime,
    pub(super) give_up: BootTime,
    pub(super) step: Step,
    /// The code that was on show before, while its last poll is due or out.
    pub(super) ended: Option<Box<AwaitingUser>>,
    pub(super) pace: Pace,
    pub(super) asked: Option<BootTime>,
    /// Why no code is on show; [`Reason::None`] when all is well.
    pub(super) reason: Reason,
    pub(super) retry: Retry,
    pub(super) refused: Refused,
}

/// Codes that the server refused, one after the other, and by which error the last of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Refused {
    pub(super) codes: u32,
    pub(super) word: Option<ErrorCode>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// The last pairing's revocation goes first: afterwards it could hit the new one.
    Revoking,
    /// No request is out; the next one waits for its time.
    Waiting {
        until: BootTime,
    },
    RequestingCode {
        op: OpId,
        since: BootTime,
    },
    AwaitingUser(Box<AwaitingUser>),
    /// An address for a browser is on show.
    AwaitingRedirect(Box<AwaitingRedirect>),
    /// The user approved; the new pair is being written.
    Storing {
        pairing: Box<PairingRecord>,
    },
}

/// A job that a flow starts by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    SpendCode,
    /// Show a code whose file is not written yet.
    ShowCode,
    /// Nothing more is asked about the code that was on show before.
    ForgetEnded,
    /// Ask for another code in the place of the one that ended.
    ReplaceCode,
    /// The last code has ended, and its last poll was answered.
    End(Reason),
    GiveUp,
    Poll(Which),
    RequestCode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlowView {
    Requesting(Reason),
    Awaiting,
}

impl Flow {
    pub(super) fn new(id: u64, renew: bool, replace: bool, give_up: BootTime, step: Step) -> Self {
        Self {
            id,
            renew,
            replace,
            started: BootTime::default(),
            give_up,
            step,
            ended: None,
            pace: Pace::default(),
            asked: None,
            reason: Reason::None,
            retry: Retry::default(),
            refused: Refused::default(),
        }
    }

    /// The next action, and when it is due. Among those that are due now, codes end before others
    /// are polled, and polls leave before another code is asked for.
    ///
    /// `may_ask`: the disk would take what a code may bring.
    pub(super) fn due(&self, now: BootTime, may_start: bool, may_ask: bool) -> Option<(BootTime, Action)> {
        if self.ended.as_ref().is_some_and(|ended| ended.done) {
            return Some((now, Action::ForgetEnded));
        }
        let poll = self.poll_due().filter(|_| may_start);
        let poll = poll.map(|(which, at)| (at, Action::Poll(which)));
        let unsaved = if let Step::AwaitingUser(showing) = &self.step {
            showing.unsaved
        } else {
            None
        };
        let show = unsaved.map(|(_, until)| (until, Action::ShowCode));
        let in_order = match self.step.due(self, now, may_start, may_ask) {
            asks @ Some((_, Action::RequestCode)) => [show, poll, asks],
            other => [show, other, poll],
        };
        let mut due = in_order.iter().flatten().copied();
        due.find(|(at, _)| *at <= now)
            .or_else(|| in_order.into_iter().flatten().min_by_key(|(at, _)| *at))
    }

    /// True if a code that came back is being spent this moment: the flow's end waits for its
    /// answer.
    pub(super) fn exchanging(&self) -> bool {
        matches!(&self.step, Step::AwaitingRedirect(browsing)
            if browsing.exchange.as_ref().is_some_and(|exchange| exchange.sent.is_some()))
    }
}

impl Step {
    /// The next action of this step, and when it is due. A code that is not over yet may end in
    /// another way by then.
    fn due(&self, flow: &Flow, now: BootTime, may_start: bool, may_ask: bool) -> Option<(BootTime, Action)> {
        let give_up = Some((flow.give_up, Action::GiveUp));
        match self {
            Self::Revoking | Self::RequestingCode { .. } => give_up,
            Self::Waiting { until } => {
                let asks = may_start && may_ask && now < flow.give_up && *until < flow.give_up;
                if asks {
                    Some((*until, Action::RequestCode))
                } else {
                    give_up
                }
            }
            Self::AwaitingUser(showing) => {
                let end = showing.ends(flow.give_up);
                if now < end || !flow.is_over(now) {
                    return Some((end, Action::ReplaceCode));
                }
                // Past its end only the answer to its last poll is waited for.
                let reason = if flow.renew {
                    Reason::GaveUp
                } else {
                    Reason::CodeExpired
                };
                (showing.done && flow.ended.is_none()).then_some((end, Action::End(reason)))
            }
            Self::AwaitingRedirect(browsing) => match &browsing.exchange {
                Some(exchange) if exchange.sent.is_some() => None,
                Some(exchange) if may_start && (exchange.due <= now || exchange.due < flow.give_up) => {
                    Some((exchange.due, Action::SpendCode))
                }
                Some(_) | None => give_up,
            },
            Self::Storing { .. } => None,
        }
    }
}
