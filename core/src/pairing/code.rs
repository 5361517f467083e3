//! RFC 8628 §3.1–3.2: asking for a code, showing it, replacing it when it ends.

use std::time::Duration;

use super::{Flow, OrphanPoll, Phase, Refused, Showing};
use crate::Core;
use crate::effect::{CallError, Effect, Note, Store};
use crate::event::{CodeAnswer, CodeGrant, Fault, FaultKind, Objection, PairingOptions};
use crate::op::OpId;
use crate::record::{Code, FlowRecord};
use crate::snapshot::{ErrorWord, Reason};
use crate::time::BootTime;
use crate::turn::Turn;

/// Longest wait between code requests: a person stands before the screen.
pub(super) const CODE_CAP: Duration = Duration::from_secs(20);

impl Core {
    /// RFC 8628 §3.2 answered.
    pub(crate) fn code_answered(&mut self, t: &mut Turn<'_>, op: OpId, answer: CodeAnswer) {
        let Some(flow) = &mut self.flow else { return };
        let Phase::Asking { op: asked, since } = flow.phase else {
            return;
        };
        if asked != op {
            return;
        }
        match answer {
            CodeAnswer::Granted(grant) => self.show_code(t, since, grant),
            CodeAnswer::ClientRejected(objection) => self.reject_flow(t, objection),
            CodeAnswer::BadUserCode => {
                t.note(Note::BadUserCode);
                self.fail_with(t, ErrorWord::BadUserCode);
                let refused = Fault {
                    kind: FaultKind::Refused,
                    retry_after: None,
                };
                self.rest(t, refused, Reason::ServerError);
            }
            CodeAnswer::Failed(fault) => self.code_request_failed(t, fault),
        }
    }

    pub(super) fn code_request_failed(&mut self, t: &mut Turn<'_>, fault: Fault) {
        self.fault(t, fault.kind);
        let wait = self.rest(t, fault, fault_reason(fault));
        t.note(Note::CodeRequestFailed {
            fault: fault.kind,
            retry_in: wait,
        });
    }

    /// The server refuses this client, or what it asks for: no code will come of asking again.
    pub(super) fn reject_flow(&mut self, t: &mut Turn<'_>, objection: Objection) {
        self.fail_with(t, ErrorWord::ClientRejected);
        t.note(Note::ClientRejected {
            objection,
            paired: self.held.is_some(),
        });
        self.end_flow(t, Reason::ClientRejected);
    }

    fn rest(&mut self, t: &mut Turn<'_>, fault: Fault, reason: Reason) -> Duration {
        let Some(flow) = &mut self.flow else {
            return Duration::ZERO;
        };
        let wait = flow
            .retry
            .failed(t, fault.call_error(), fault.cause(), fault.retry_after, CODE_CAP);
        flow.phase = Phase::Resting {
            until: t.at().after(wait),
        };
        flow.reason = reason;
        wait
    }

    fn show_code(&mut self, t: &mut Turn<'_>, asked: BootTime, grant: CodeGrant) {
        self.ids.code += 1;
        let id = self.ids.code;
        let Some(flow) = &mut self.flow else { return };
        t.note(Note::CodeShown {
            expires_in: grant.expires_in,
        });
        flow.retry.reset();
        flow.reason = Reason::None;
        flow.pace.life = Some(grant.expires_in);
        flow.phase = Phase::Showing(Box::new(Showing {
            code: Code {
                id,
                device_code: grant.device_code,
                user_code: grant.user_code,
                verification_uri: grant.verification_uri,
                verification_uri_complete: grant.verification_uri_complete,
                device_name: grant.device_name,
                // From when it was asked for: the server's count began no earlier.
                ends: asked.after(grant.expires_in),
            },
            interval: grant.interval,
            // The first poll waits one interval: nobody types that fast, and servers throttle it. A code that lives no longer
            // than that is polled before its end all the same.
            next_poll: t.at().after(grant.interval),
            not_before: t.at(),
            poll: None,
            blips: 0,
            done: false,
        }));
        self.store_flow(t);
    }

    pub(super) fn store_flow(&mut self, t: &mut Turn<'_>) {
        let Some(Flow {
            phase: Phase::Showing(showing),
            give_up,
            renew,
            replace,
            ended,
            pace,
            ..
        }) = &self.flow
        else {
            return;
        };
        // Two codes keep one pace, and the record knows but one of them: then no time of its own can be relied on.
        let planned = ended.is_none().then(|| showing.due(pace)).flatten();
        let record = FlowRecord {
            boot: self.boot,
            code: showing.code.clone(),
            interval: showing.interval,
            next_poll: planned.unwrap_or(t.at()),
            give_up: *give_up,
            renew: *renew,
            replace: *replace,
        };
        self.store(t, Store::Flow(Some(Box::new(record))));
    }

    /// The code's time is over, by the server's word.
    pub(super) fn code_expired(&mut self, t: &mut Turn<'_>) {
        if let Some(flow) = &mut self.flow {
            flow.refused = Refused::default();
        }
        self.code_ended(t, Reason::CodeExpired);
    }

    /// The code on show ended by the server's word, or the redirect that it led to. Nothing of it is out.
    pub(super) fn code_ended(&mut self, t: &mut Turn<'_>, reason: Reason) {
        let Some(flow) = &mut self.flow else { return };
        let now = t.at();
        let renews = match &flow.phase {
            Phase::Showing(showing) => flow.renews(now, showing.interval),
            Phase::Browsing(browsing) => {
                if flow.renew {
                    t.emit(Effect::Cancel(browsing.listener));
                }
                flow.renew
            }
            Phase::Revoking | Phase::Resting { .. } | Phase::Asking { .. } | Phase::Storing { .. } => return,
        };
        if renews {
            flow.phase = Phase::Resting {
                until: flow.may_ask(now),
            };
            flow.reason = reason;
            self.store(t, Store::Flow(None));
        } else if let Some(ended) = flow.ended.take() {
            flow.phase = Phase::Showing(ended);
        } else {
            let reason = if flow.renew && reason == Reason::CodeExpired {
                Reason::GaveUp
            } else {
                reason
            };
            self.end_flow(t, reason);
        }
    }

    /// The time of the code on show is over, by our clock, or that of the flow.
    pub(super) fn end_what_is_over(&mut self, t: &mut Turn<'_>) {
        let now = t.at();
        if let Some(flow) = &mut self.flow
            && flow.ended.as_ref().is_some_and(|ended| ended.done)
        {
            flow.ended = None;
            if !matches!(flow.phase, Phase::Showing(_) | Phase::Storing { .. }) {
                self.store(t, Store::Flow(None));
            }
        }
        let Some(flow) = &mut self.flow else { return };
        match &flow.phase {
            Phase::Showing(showing) if showing.ends(flow.give_up) > now => {}
            Phase::Showing(_) if !flow.is_over(now) => self.code_replaced(t, Reason::CodeExpired),
            Phase::Showing(showing) => {
                if showing.done && flow.ended.is_none() {
                    let reason = if flow.renew {
                        Reason::GaveUp
                    } else {
                        Reason::CodeExpired
                    };
                    self.end_flow(t, reason);
                }
            }
            Phase::Storing { .. } => {}
            Phase::Browsing(_) if flow.exchanging() => {}
            Phase::Revoking | Phase::Resting { .. } | Phase::Asking { .. } | Phase::Browsing(_) => {
                if now >= flow.give_up {
                    self.give_up(t);
                }
            }
        }
    }

    /// A flow that only waits for the answer to its last poll goes on as the one that is asked for now. So a person waits for
    /// nobody's answer, and who approved the code before is heard as with any code that is replaced.
    pub(super) fn start_over(&mut self, t: &mut Turn<'_>, options: PairingOptions, give_up: BootTime) {
        let Some(flow) = &mut self.flow else { return };
        if let Phase::Showing(showing) = &mut flow.phase {
            // The flow's end was the code's; a longer flow does not make it live again. Its last poll keeps its interval.
            if let Some(due) = showing.due(&flow.pace) {
                showing.not_before = due.min(showing.next_poll).max(showing.not_before);
            }
            showing.code.ends = showing.ends(flow.give_up);
        }
        flow.renew = options.renew;
        flow.replace = options.replace;
        flow.started = t.at();
        flow.give_up = give_up;
        flow.retry.relent(t.at());
        self.code_replaced(t, Reason::None);
    }

    /// Another code is asked for. Who approved the old one at the last moment is heard by its last poll.
    fn code_replaced(&mut self, t: &mut Turn<'_>, reason: Reason) {
        let Some(mut flow) = self.flow.take() else { return };
        let until = flow.may_ask(t.at());
        if let Phase::Showing(showing) = std::mem::replace(&mut flow.phase, Phase::Resting { until }) {
            let before = flow.ended.replace(showing).and_then(|before| before.poll);
            if let Some((op, since)) = before {
                let flow = flow.id;
                self.orphans.push(OrphanPoll { op, flow, since });
            }
        }
        flow.reason = reason;
        flow.refused = Refused::default();
        if flow.ended.as_ref().is_some_and(|ended| ended.done) {
            flow.ended = None;
            self.store(t, Store::Flow(None));
        }
        self.flow = Some(flow);
    }

    /// Nobody entered a code in time. What was approved in the last moments of the last code is still waited for.
    fn give_up(&mut self, t: &mut Turn<'_>) {
        let Some(flow) = &mut self.flow else { return };
        let Some(ended) = flow.ended.take() else {
            self.end_flow(t, Reason::GaveUp);
            return;
        };
        if let Phase::Asking { op, .. } = std::mem::replace(&mut flow.phase, Phase::Showing(ended)) {
            t.emit(Effect::Cancel(op));
        }
    }
}

/// What the screen says while no code can be had.
pub(super) const fn fault_reason(fault: Fault) -> Reason {
    match fault.call_error() {
        CallError::Offline => Reason::Offline,
        CallError::ClockNotSet => Reason::ClockNotSet,
        CallError::Local(_) => Reason::LocalFault,
        _ => Reason::ServerError,
    }
}
