//! RFC 8628 §3.4–3.5: polling, and what an approval leads to, in time or late.

use super::showing::{Showing, Which};
use super::{Flow, Step};
use crate::calls::Kind;
use crate::credential::stamp;
use crate::pair_fate::Fate;
use crate::{
    BootTime, CallError, Core, Effect, ErrorCode, ErrorWord, Note, OpId, PollAnswer, Reason, Request, Store,
    TokenGrant, Turn, WallTime,
};

/// Codes in a row that the server refused, after which asking for yet another one is pointless.
const REFUSED_CODES: u32 = 3;

impl Core {
    /// RFC 8628 §3.5 answered.
    pub(crate) fn poll_answered(&mut self, t: &mut Turn<'_>, op: OpId, date: Option<WallTime>, answer: PollAnswer) {
        if let Some(orphan) = self.take_late_poll(op) {
            if let PollAnswer::Granted(grant) = answer {
                self.late_granted(t, &orphan, date, grant);
            }
            return;
        }
        let now = t.at();
        let Some(flow) = &mut self.pairing.flow else { return };
        let polled = |showing: &Showing| showing.poll.is_some_and(|(polled, _)| polled == op);
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
            Which::Shown => self.shown_answered(t, since, date, answer),
            Which::Ended => self.ended_answered(t, since, date, answer),
        }
    }

    /// What the server says of the code on show.
    fn shown_answered(&mut self, t: &mut Turn<'_>, since: BootTime, date: Option<WallTime>, answer: PollAnswer) {
        let Some(flow) = &mut self.pairing.flow else { return };
        let Step::Showing(showing) = &flow.step else { return };
        // The last poll before the end is planned: that is what a restart must know (see
        // `restore_flow`).
        let due = showing.due(&flow.pace);
        let last = due.is_some_and(|due| due != showing.next_poll && due < showing.ends(flow.give_up));
        match answer {
            PollAnswer::Granted(grant) => {
                let name = showing.code.device_name.clone();
                self.approved(t, since, date, grant, name);
            }
            PollAnswer::Pending => {
                if last {
                    self.store_flow(t);
                }
            }
            PollAnswer::SlowDown(_) => {
                t.note(Note::SlowedDown {
                    interval: showing.interval,
                });
                self.store_flow(t);
            }
            PollAnswer::Expired => self.code_expired(t),
            PollAnswer::CodeUnknown(word) => {
                let code = &showing.code;
                let word = word
                    .and_then(|word| word.unless_it_repeats(code.device_code.secret()))
                    .and_then(|word| word.unless_it_repeats(code.user_code.secret()));
                t.note(Note::CodeEnded { word: word.clone() });
                if since >= showing.ends(flow.give_up) {
                    // That a server forgets a code at its end is no refusal.
                    self.code_expired(t);
                } else {
                    self.code_refused(t, word);
                }
            }
            PollAnswer::Denied => self.end_flow(t, Reason::Denied),
            PollAnswer::ClientRejected(objection) => self.reject_flow(t, objection),
            PollAnswer::Failed(fault) => {
                self.fault(t, fault.kind);
                if last {
                    self.store_flow(t);
                }
            }
        }
    }

    /// What the server says of the code that was on show before.
    fn ended_answered(&mut self, t: &mut Turn<'_>, since: BootTime, date: Option<WallTime>, answer: PollAnswer) {
        let Some(flow) = &mut self.pairing.flow else { return };
        let Some(ended) = &mut flow.ended else { return };
        let former = ended.code.ends <= flow.started;
        match answer {
            PollAnswer::Granted(grant) => {
                let name = ended.code.device_name.clone();
                self.approved(t, since, date, grant, name);
            }
            // Who declined must not be shown another code, but for one that somebody asked for
            // after the end of this one.
            PollAnswer::Denied if !former => self.end_flow(t, Reason::Denied),
            PollAnswer::Denied | PollAnswer::Expired | PollAnswer::CodeUnknown(_) | PollAnswer::ClientRejected(_) => {
                ended.done = true;
            }
            PollAnswer::Pending | PollAnswer::SlowDown(_) => {}
            PollAnswer::Failed(fault) => self.fault(t, fault.kind),
        }
    }

    pub(super) fn poll(&mut self, t: &mut Turn<'_>, which: Which) {
        let op = self.ids.next_op();
        let Some(flow) = &mut self.pairing.flow else { return };
        let Some(showing) = flow.polled(which) else { return };
        showing.poll = Some((op, t.at()));
        let (device_code, interval) = (showing.code.device_code.clone(), showing.interval);
        flow.pace.next = flow.pace.next.max(t.at().after(interval));
        t.emit(Effect::Request(op, Request::Poll(device_code)));
    }

    /// The server ended the code by an error that says neither that its time is over nor that the
    /// user declined. That may be the user's no in words that nobody knows here, so it is not
    /// answered by one code after the other.
    pub(super) fn code_refused(&mut self, t: &mut Turn<'_>, word: Option<ErrorCode>) {
        let Some(flow) = &mut self.pairing.flow else { return };
        flow.refused.codes += 1;
        flow.refused.word = word;
        if flow.refused.codes >= REFUSED_CODES {
            self.fail_with(t, ErrorWord::ServerError);
            self.end_flow(t, Reason::ServerError);
        } else {
            self.code_ended(t, Reason::CodeExpired);
        }
    }

    pub(super) fn approved(
        &mut self,
        t: &mut Turn<'_>,
        sent: BootTime,
        date: Option<WallTime>,
        grant: TokenGrant,
        name: String,
    ) {
        let Some(mut flow) = self.pairing.flow.take() else {
            return;
        };
        if let Step::Asking { op, .. } = &flow.step {
            t.emit(Effect::Cancel(*op));
        }
        self.let_go(&mut flow);
        flow.ended = None;
        self.pairing.flow = Some(flow);
        let unusable = grant.unusable();
        let pair = grant.into_pair(None, stamp(self.setup.boot(), sent, date, t.now), t);
        self.told_unusable(t, unusable, &pair);
        self.settle(t, pair, name, Fate::NewPairing);
    }

    /// The new pairing is on disk, or the disk fails and memory is all there is.
    pub(crate) fn pairing_stored(&mut self, t: &mut Turn<'_>) {
        let storing = |flow: &mut Flow| matches!(flow.step, Step::Storing { .. });
        let Some(flow) = self.pairing.flow.take_if(storing) else {
            return;
        };
        self.calls.answer(t, Kind::RedirectResult, Ok(()));
        let Step::Storing { pairing, .. } = flow.step else {
            return;
        };
        self.calls.answer(t, Kind::PairingCode, Err(CallError::AlreadyPaired));
        self.store(t, Store::Flow(None));
        if self.setup.policy().sole_grant {
            self.revocations.forget();
            self.store_revocations(t);
        }
        self.install(t, *pairing);
    }
}
