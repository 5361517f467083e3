//! RFC 8628 §3.4–3.5: polling, and what an approval leads to, in time or late.

use super::showing::{AwaitingUser, Which};
use super::{Flow, Step};
use crate::calls::CallKind;
use crate::credential::stamp;
use crate::pair_fate::Fate;
use crate::{
    BootTime, CallError, Context, Core, Effect, ErrorCode, ErrorWord, LogEvent, OpId, PollAnswer, Reason, Request,
    Store, TokenGrant, WallTime,
};

/// Codes in a row that the server refused, after which asking for yet another one is pointless.
const REFUSED_CODES: u32 = 3;

impl Core {
    /// RFC 8628 §3.5 answered.
    pub(crate) fn poll_answered(&mut self, cx: &mut Context<'_>, op: OpId, date: Option<WallTime>, answer: PollAnswer) {
        if let Some(late) = self.take_late_poll(op) {
            if let PollAnswer::Granted(grant) = answer {
                self.late_granted(cx, &late, date, grant);
            }
            return;
        }
        let now = cx.at();
        let Some(flow) = &mut self.pairing.flow else { return };
        let polled = |showing: &AwaitingUser| showing.poll.is_some_and(|(polled, _)| polled == op);
        let which = if flow.ended.as_deref().is_some_and(polled) {
            Which::Ended
        } else {
            Which::Shown
        };
        let give_up = flow.give_up;
        let Some(showing) = flow.polled(which) else { return };
        let Some((_, since)) = showing.poll.take_if(|(polled, _)| *polled == op) else {
            return;
        };
        showing.heard(now, since, showing.ends(give_up), &answer);
        let interval = showing.interval;
        flow.pace.next = flow.pace.next.max(now.after(interval));
        // How long a lost poll was waited for tells nothing of the next one.
        if !matches!(answer, PollAnswer::Failed(_)) {
            flow.pace.took = now.since(since);
        }
        match which {
            Which::Shown => self.shown_answered(cx, since, date, answer),
            Which::Ended => self.ended_answered(cx, since, date, answer),
        }
    }

    /// Handles the server's answer about the code on show.
    fn shown_answered(&mut self, cx: &mut Context<'_>, since: BootTime, date: Option<WallTime>, answer: PollAnswer) {
        let Some(flow) = &mut self.pairing.flow else { return };
        let Step::AwaitingUser(showing) = &flow.step else {
            return;
        };
        // The last poll before the end is planned: that is what a restart must know (see
        // `restore_flow`).
        let due = showing.due(&flow.pace);
        let last = due.is_some_and(|due| due != showing.next_poll && due < showing.ends(flow.give_up));
        match answer {
            PollAnswer::Granted(grant) => {
                let name = showing.code.device_name.clone();
                self.approved(cx, since, date, grant, name);
            }
            PollAnswer::Pending => {
                if last {
                    self.store_flow(cx);
                }
            }
            PollAnswer::SlowDown(..) => {
                cx.log(LogEvent::SlowedDown {
                    interval: showing.interval,
                });
                self.store_flow(cx);
            }
            PollAnswer::Expired => self.code_expired(cx),
            PollAnswer::CodeUnknown(word) => {
                let code = &showing.code;
                let word = word
                    .and_then(|word| word.unless_it_repeats(code.device_code.secret()))
                    .and_then(|word| word.unless_it_repeats(code.user_code.secret()))
                    .and_then(|word| match &code.verifier {
                        Some(verifier) => word.unless_it_repeats(verifier.secret()),
                        None => Some(word),
                    });
                cx.log(LogEvent::CodeEnded { word: word.clone() });
                if since >= showing.ends(flow.give_up) {
                    // A server that forgets a code at its end does not refuse it.
                    self.code_expired(cx);
                } else {
                    self.code_refused(cx, word);
                }
            }
            PollAnswer::Denied => self.end_flow(cx, Reason::Denied),
            PollAnswer::ClientRejected(error) => self.reject_flow(cx, error),
            PollAnswer::Failed(fault) => {
                self.fault(cx, fault.kind);
                if last {
                    self.store_flow(cx);
                }
            }
        }
    }

    /// Handles the server's answer about the code that was on show before.
    fn ended_answered(&mut self, cx: &mut Context<'_>, since: BootTime, date: Option<WallTime>, answer: PollAnswer) {
        let Some(flow) = &mut self.pairing.flow else { return };
        let Some(ended) = &mut flow.ended else { return };
        let former = ended.code.ends <= flow.started;
        match answer {
            PollAnswer::Granted(grant) => {
                let name = ended.code.device_name.clone();
                self.approved(cx, since, date, grant, name);
            }
            // A user who declined must not be shown another code, but for one that somebody asked
            // for after the end of this one.
            PollAnswer::Denied if !former => self.end_flow(cx, Reason::Denied),
            PollAnswer::Denied | PollAnswer::Expired | PollAnswer::CodeUnknown(_) | PollAnswer::ClientRejected(_) => {
                ended.done = true;
            }
            PollAnswer::Pending | PollAnswer::SlowDown(..) => {}
            PollAnswer::Failed(fault) => self.fault(cx, fault.kind),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, which: Which) {
        let op = self.ids.next_op();
        let Some(flow) = &mut self.pairing.flow else { return };
        let Some(showing) = flow.polled(which) else { return };
        showing.poll = Some((op, cx.at()));
        let (code, interval) = (&showing.code, showing.interval);
        let request = Request::Poll(code.device_code.clone(), code.verifier.clone());
        flow.pace.next = flow.pace.next.max(cx.at().after(interval));
        cx.emit(Effect::Request(op, request));
    }

    /// The server ended the code by an error that says neither that its time is over nor that the
    /// user declined. That may be the user's no in words that nobody knows here, so it is not
    /// answered by one code after the other.
    pub(super) fn code_refused(&mut self, cx: &mut Context<'_>, word: Option<ErrorCode>) {
        let Some(flow) = &mut self.pairing.flow else { return };
        flow.refused.codes += 1;
        flow.refused.word = word;
        if flow.refused.codes >= REFUSED_CODES {
            self.fail_with(cx, ErrorWord::ServerError);
            self.end_flow(cx, Reason::ServerError);
        } else {
            self.code_ended(cx, Reason::CodeExpired);
        }
    }

    pub(super) fn approved(
        &mut self,
        cx: &mut Context<'_>,
        sent: BootTime,
        date: Option<WallTime>,
        grant: TokenGrant,
        name: String,
    ) {
        let Some(mut flow) = self.pairing.flow.take() else {
            return;
        };
        if let Step::RequestingCode { op, .. } = &flow.step {
            cx.emit(Effect::Cancel(*op));
        }
        self.let_go(&mut flow);
        flow.ended = None;
        self.pairing.flow = Some(flow);
        let unusable = grant.unusable();
        let pair = grant.into_pair(None, stamp(self.setup.boot(), sent, date, cx.now), cx);
        self.told_unusable(cx, unusable, &pair);
        self.apply_fate(cx, pair, name, Fate::NewPairing);
    }

    /// The new pairing is on disk, or the disk fails and memory is all there is.
    pub(crate) fn pairing_stored(&mut self, cx: &mut Context<'_>) {
        let storing = |flow: &mut Flow| matches!(flow.step, Step::Storing { .. });
        let Some(flow) = self.pairing.flow.take_if(storing) else {
            return;
        };
        self.calls.answer(cx, CallKind::RedirectResult, Ok(()));
        let Step::Storing { pairing, .. } = flow.step else {
            return;
        };
        if !self.orders.have_start() {
            let paired = Err(CallError::AlreadyPaired);
            self.calls.answer(cx, CallKind::PairingCode, paired);
        }
        self.store(cx, Store::Flow(None));
        for call in self.calls.take(CallKind::FlowEnd) {
            self.done_when_durable(cx, call.call, call.deadline, false);
        }
        self.install(cx, *pairing);
    }
}
