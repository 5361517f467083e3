//! A code that is polled: when its next poll is due, and which one is its last.
//!
//! A server may forget a code at its end. So the last poll before it comes as late as is safe, and
//! what was approved after that shows in one more poll, as soon as the interval allows. All polls
//! of a flow keep one pace (I4), whichever code they are for.

use std::time::Duration;

use super::{Flow, Step};
use crate::backoff::{Change, FLOOR};
use crate::{BootTime, Code, CodeView, FaultKind, OpId, PollAnswer, Prompt};

/// RFC 8628 §3.5: `slow_down` adds 5 seconds, for this and all later polls.
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// A poll that failed is repeated after up to this many intervals: RFC 8628 §3.5 asks for a
/// backoff, 120 s allow little.
const BLIP_FACTOR_CAP: u32 = 4;

/// The last poll before a code's end leaves this long for its way, or as long as the poll before
/// took and a little more. It is at most half the interval: a poll that was slow says little of the
/// next one.
const LEAD: Duration = Duration::from_millis(1_500);
const LEAD_OVER_POLL: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct AwaitingUser {
    pub(super) code: Code,
    pub(super) interval: Duration,
    /// When the next poll is wished for; [`AwaitingUser::due`] tells when it is sent.
    pub(super) next_poll: BootTime,
    /// The server's interval, or the wait it asked for, allows no poll before (I4).
    pub(super) not_before: BootTime,
    pub(super) poll: Option<(OpId, BootTime)>,
    /// Polls without a verdict in a row.
    pub(super) failed_polls: u32,
    /// The last of them failed for the clock.
    pub(super) clock_failed: bool,
    /// The write of its file, and until when the code is held back for that.
    pub(super) unsaved: Option<(OpId, BootTime)>,
    /// Nothing more is asked about this code: it was polled after its end, or the server wants more
    /// patience than is left.
    pub(super) done: bool,
}

/// State that all polls of a flow share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Pace {
    /// No code is polled before.
    pub(super) next: BootTime,
    /// How long the last poll took that was answered.
    pub(super) took: Duration,
    /// Life of the last code, where it is known.
    pub(super) life: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Shown,
    /// The one that was on show before it.
    Ended,
}

impl AwaitingUser {
    /// When the code ends for us: nobody waits for its approval any longer than the flow lasts.
    pub(super) fn ends(&self, give_up: BootTime) -> BootTime {
        self.code.ends.min(give_up)
    }

    /// The latest that a poll before the server's end of the code may leave.
    fn latest(&self, pace: &Pace) -> BootTime {
        self.code.ends.before(pace.lead().min(self.interval / 2))
    }

    pub(super) fn due(&self, pace: &Pace) -> Option<BootTime> {
        if self.done || self.poll.is_some() {
            return None;
        }
        let last = self.latest(pace);
        let floor = self.not_before.max(pace.next);
        let next = self.next_poll.max(floor);
        // Where no other poll surely fits in between, this one is the last before the end. Polls do
        // not take equally long, and none is put off for long on the word of one.
        let follows = next.after(self.interval + pace.lead().min(self.interval));
        Some(if follows > last { last.max(floor) } else { next })
    }

    /// Handles the answer to the poll of `since`: decides when the next may leave.
    pub(super) fn heard(&mut self, now: BootTime, since: BootTime, end: BootTime, answer: &PollAnswer) {
        let mut retry_after = Duration::ZERO;
        let mut factor = 1;
        self.clock_failed = matches!(answer, PollAnswer::Failed(fault) if fault.kind == FaultKind::ClockNotSet);
        match answer {
            PollAnswer::SlowDown(requested, interval) => {
                self.failed_polls = 0;
                self.interval = (self.interval + SLOW_DOWN).max(interval.unwrap_or_default());
                retry_after = requested.unwrap_or_default();
            }
            PollAnswer::Failed(fault) => {
                self.failed_polls = (self.failed_polls + 1).min(BLIP_FACTOR_CAP);
                factor = self.failed_polls;
                retry_after = fault.retry_after.unwrap_or_default();
            }
            PollAnswer::Granted(_)
            | PollAnswer::Pending
            | PollAnswer::Expired
            | PollAnswer::Denied
            | PollAnswer::CodeUnknown(_)
            | PollAnswer::ClientRejected(_) => self.failed_polls = 0,
        }
        self.not_before = now.after(self.interval.max(retry_after));
        self.next_poll = now.after(self.interval * factor).max(self.not_before);
        // An answer that is late itself asks for no wait: the last poll leaves at the code's
        // end or after it.
        self.done = since >= end || now.after(retry_after) > end.max(now).after(self.interval);
    }
}

impl AwaitingUser {
    /// True if this change may have cured what kept the last poll from an answer.
    pub(super) const fn cured_by(&self, change: Change) -> bool {
        match change {
            Change::Network => self.failed_polls > 0,
            Change::Clock => self.clock_failed,
        }
    }
}

impl Pace {
    fn lead(&self) -> Duration {
        LEAD.max(self.took + LEAD_OVER_POLL)
    }

    /// The earliest that another code may be asked for, lest it ends before it can be polled.
    pub(super) fn may_ask(&self) -> BootTime {
        self.life
            .map_or(BootTime::default(), |life| self.next.before(life.saturating_sub(LEAD)))
    }
}

impl Flow {
    /// The earliest that a code may be asked for: not before the wait the server asked for or our
    /// backoff, and a server whose codes end at once is not asked at once.
    pub(super) fn may_ask(&self, now: BootTime) -> BootTime {
        let spaced = self.asked.map_or(BootTime::default(), |asked| asked.after(FLOOR));
        now.max(self.retry.next()).max(spaced).max(self.pace.may_ask())
    }

    /// True if a code that ends at this moment is replaced: the next one has to live for longer
    /// than an interval.
    pub(super) fn renews(&self, at: BootTime, interval: Duration) -> bool {
        self.renew && self.give_up.since(at) > interval
    }

    /// The code on show, while it lives; with no time left while the answer to the flow's last poll
    /// is waited for.
    pub(super) fn view(&self, now: BootTime) -> Option<CodeView> {
        match &self.step {
            Step::AwaitingUser(showing)
                if showing.unsaved.is_none() && (now < showing.ends(self.give_up) || self.is_over(now)) =>
            {
                let code = &showing.code;
                Some(CodeView {
                    id: code.id,
                    prompt: Prompt::Code {
                        user_code: code.user_code.clone(),
                        verification_uri: code.verification_uri.clone(),
                        verification_uri_complete: code.verification_uri_complete.clone(),
                    },
                    device_name: code.device_name.clone(),
                    expires_in: showing.ends(self.give_up).since(now),
                })
            }
            // A redirect came: there is nothing left to open.
            Step::AwaitingRedirect(browsing) if browsing.exchange.is_none() => {
                Some(browsing.view(self.give_up.since(now)))
            }
            Step::AwaitingRedirect(_)
            | Step::AwaitingUser(_)
            | Step::Revoking
            | Step::Waiting { .. }
            | Step::RequestingCode { .. }
            | Step::Storing { .. } => None,
        }
    }

    /// True if the code on show has ended and no other one follows: only the answer to its last
    /// poll is waited for.
    pub(crate) fn is_over(&self, now: BootTime) -> bool {
        match &self.step {
            Step::AwaitingUser(showing) => {
                let end = showing.ends(self.give_up);
                end <= now && (self.give_up <= now || !self.renews(end, showing.interval))
            }
            Step::Revoking
            | Step::Waiting { .. }
            | Step::RequestingCode { .. }
            | Step::AwaitingRedirect(_)
            | Step::Storing { .. } => false,
        }
    }

    /// The next poll: of which code, and when.
    pub(super) fn poll_due(&self) -> Option<(Which, BootTime)> {
        let shown = match &self.step {
            Step::AwaitingUser(showing) => showing.due(&self.pace).map(|due| (due, showing.latest(&self.pace))),
            Step::Storing { .. } => return None,
            Step::Revoking | Step::Waiting { .. } | Step::RequestingCode { .. } | Step::AwaitingRedirect(_) => None,
        };
        let ended = self.ended.as_ref().and_then(|ended| {
            let due = ended.due(&self.pace)?;
            // A code that lives is not pushed past its end by one that has ended.
            let pushes = |(shown, latest): (BootTime, BootTime)| shown <= latest && due.after(ended.interval) > latest;
            (!shown.is_some_and(pushes)).then_some(due)
        });
        let shown = shown.map(|(due, _)| due);
        match (shown, ended) {
            (Some(shown), Some(ended)) if shown < ended => Some((Which::Shown, shown)),
            (_, Some(ended)) => Some((Which::Ended, ended)),
            (Some(shown), None) => Some((Which::Shown, shown)),
            (None, None) => None,
        }
    }

    pub(super) fn polled(&mut self, which: Which) -> Option<&mut AwaitingUser> {
        match (which, &mut self.step) {
            (Which::Shown, Step::AwaitingUser(showing)) => Some(showing),
            (Which::Ended, _) => self.ended.as_deref_mut(),
            (Which::Shown, _) => None,
        }
    }

    /// Takes the polls that are out, of whatever code.
    pub(super) fn take_polls(&mut self) -> Vec<(OpId, BootTime)> {
        let shown = self.polled(Which::Shown).and_then(|showing| showing.poll.take());
        let ended = self.polled(Which::Ended).and_then(|ended| ended.poll.take());
        shown.into_iter().chain(ended).collect()
    }
}
