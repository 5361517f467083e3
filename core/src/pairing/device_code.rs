//! RFC 8628 §3.1–3.2: asking for a code, showing it, replacing it when it ends.

use std::time::Duration;

use super::flow::{Flow, Refused, Step};
use super::late_poll::LatePoll;
use super::showing::{AwaitingUser, Which};
use crate::{
    BootTime, CallError, Code, CodeAnswer, CodeGrant, Context, Core, Effect, ErrorWord, Fault, FaultKind, FlowRecord,
    LogEvent, OAuthErrorCode, OpId, PairingOptions, Reason, Store,
};

/// Longest wait between code requests: a person stands before the screen.
pub(super) const CODE_CAP: Duration = Duration::from_secs(20);

/// A code is shown at the latest so long after it came, whatever its file: a person does not wait
/// for a disk. A crash may cost the code then.
const SHOWN_UNSAVED: Duration = Duration::from_secs(1);

impl Core {
    /// RFC 8628 §3.2 answered.
    pub(crate) fn code_answered(&mut self, cx: &mut Context<'_>, op: OpId, answer: CodeAnswer) {
        let Some(flow) = &mut self.pairing.flow else { return };
        let Step::RequestingCode { op: asked, since } = flow.step else {
            return;
        };
        if asked != op {
            return;
        }
        match answer {
            CodeAnswer::Granted(grant) => self.show_code(cx, since, grant),
            CodeAnswer::ClientRejected(error) => self.reject_flow(cx, error),
            CodeAnswer::BadUserCode => {
                cx.log(LogEvent::BadUserCode);
                self.fail_with(cx, ErrorWord::BadUserCode);
                let refused = Fault {
                    kind: FaultKind::Refused,
                    retry_after: None,
                };
                self.rest(cx, refused, Reason::ServerError);
            }
            CodeAnswer::Failed(fault) => self.code_request_failed(cx, fault),
        }
    }

    pub(super) fn code_request_failed(&mut self, cx: &mut Context<'_>, fault: Fault) {
        self.fault(cx, fault.kind);
        let wait = self.rest(cx, fault, fault_reason(fault));
        cx.log(LogEvent::CodeRequestFailed {
            fault: fault.kind,
            retry_in: wait,
        });
    }

    /// The server refuses this client, or what it asks for: no code will come of asking again.
    pub(super) fn reject_flow(&mut self, cx: &mut Context<'_>, error: OAuthErrorCode) {
        self.fail_with(cx, ErrorWord::ClientRejected);
        cx.log(LogEvent::ClientRejected {
            error,
            paired: self.credential.is_paired(),
        });
        self.end_flow(cx, Reason::ClientRejected);
    }

    fn rest(&mut self, cx: &mut Context<'_>, fault: Fault, reason: Reason) -> Duration {
        let Some(flow) = &mut self.pairing.flow else {
            return Duration::ZERO;
        };
        let wait = flow
            .retry
            .failed(cx, fault.call_error(), fault.cause(), fault.retry_after, CODE_CAP);
        flow.step = Step::Waiting {
            until: cx.at().after(wait),
        };
        flow.reason = reason;
        wait
    }

    fn show_code(&mut self, cx: &mut Context<'_>, asked: BootTime, grant: CodeGrant) {
        let id = self.ids.next_code();
        let Some(flow) = &mut self.pairing.flow else { return };
        flow.retry.reset();
        flow.pace.life = Some(grant.expires_in);
        flow.step = Step::AwaitingUser(Box::new(AwaitingUser {
            code: Code {
                id,
                device_code: grant.device_code,
                verifier: grant.verifier,
                user_code: grant.user_code,
                verification_uri: grant.verification_uri,
                verification_uri_complete: grant.verification_uri_complete,
                device_name: grant.device_name,
                // From when it was asked for: the server's count began no earlier.
                ends: asked.after(grant.expires_in),
            },
            interval: grant.interval,
            // The first poll waits one interval: nobody types that fast, and servers throttle it. A
            // code that lives no longer than that is polled before its end all the same.
            next_poll: cx.at().after(grant.interval),
            not_before: cx.at(),
            poll: None,
            failed_polls: 0,
            clock_failed: false,
            unsaved: None,
            done: false,
        }));
        let unsaved = self.store_flow(cx).map(|op| (op, cx.at().after(SHOWN_UNSAVED)));
        if let Some(showing) = self.pairing.flow.as_mut().and_then(|flow| flow.polled(Which::Shown)) {
            showing.unsaved = unsaved;
        }
    }

    /// The file of a flow was written, or was not: a code that waited for that is shown.
    pub(crate) fn flow_stored(&mut self, cx: &mut Context<'_>, op: OpId) {
        let shown = self.pairing.flow.as_mut().and_then(|flow| flow.polled(Which::Shown));
        if shown.is_some_and(|showing| showing.unsaved.is_some_and(|(unsaved, _)| unsaved == op)) {
            self.reveal_code(cx);
        }
    }

    pub(super) fn reveal_code(&mut self, cx: &mut Context<'_>) {
        let Some(flow) = &mut self.pairing.flow else { return };
        flow.reason = Reason::None;
        if let Some(showing) = flow.polled(Which::Shown) {
            showing.unsaved = None;
            cx.log(LogEvent::CodeShown {
                expires_in: showing.code.ends.since(cx.at()),
            });
        }
    }

    /// Returns the write, if there is a code to be written.
    pub(super) fn store_flow(&mut self, cx: &mut Context<'_>) -> Option<OpId> {
        let Some(Flow {
            step: Step::AwaitingUser(showing),
            give_up,
            renew,
            replace,
            ended,
            pace,
            ..
        }) = &self.pairing.flow
        else {
            return None;
        };
        // Two codes keep one pace, and the record knows but one of them: then no time of its own
        // can be relied on.
        let planned = ended.is_none().then(|| showing.due(pace)).flatten();
        let record = FlowRecord {
            boot: self.setup.boot(),
            code: showing.code.clone(),
            interval: showing.interval,
            next_poll: planned.unwrap_or(cx.at()),
            give_up: *give_up,
            renew: *renew,
            replace: *replace,
            grant: self.credential.grant(),
        };
        Some(self.store(cx, Store::Flow(Some(Box::new(record)))))
    }

    /// The code's time is over, by the server's word.
    pub(super) fn code_expired(&mut self, cx: &mut Context<'_>) {
        if let Some(flow) = &mut self.pairing.flow {
            flow.refused = Refused::default();
        }
        self.code_ended(cx, Reason::CodeExpired);
    }

    /// The code on show ended by the server's word, or the redirect that it led to. Nothing of it
    /// is out.
    pub(super) fn code_ended(&mut self, cx: &mut Context<'_>, reason: Reason) {
        let Some(flow) = &mut self.pairing.flow else { return };
        let now = cx.at();
        let renews = match &flow.step {
            Step::AwaitingUser(showing) => flow.renews(now, showing.interval),
            Step::AwaitingRedirect(browsing) => {
                if flow.renew {
                    cx.emit(Effect::Cancel(browsing.listener));
                }
                flow.renew
            }
            Step::Revoking | Step::Waiting { .. } | Step::RequestingCode { .. } | Step::Storing { .. } => return,
        };
        if renews {
            flow.step = Step::Waiting {
                until: flow.may_ask(now),
            };
            flow.reason = reason;
            self.store(cx, Store::Flow(None));
        } else if let Some(ended) = flow.ended.take() {
            flow.step = Step::AwaitingUser(ended);
        } else {
            let reason = if flow.renew && reason == Reason::CodeExpired {
                Reason::GaveUp
            } else {
                reason
            };
            self.end_flow(cx, reason);
        }
    }

    /// Nothing more is asked about the code that was on show before.
    pub(super) fn forget_ended_code(&mut self, cx: &mut Context<'_>) {
        let Some(flow) = &mut self.pairing.flow else { return };
        flow.ended = None;
        if !matches!(flow.step, Step::AwaitingUser(_) | Step::Storing { .. }) {
            self.store(cx, Store::Flow(None));
        }
    }

    /// A flow that only waits for the answer to its last poll goes on as the one that is asked for
    /// now. So a person waits for nobody's answer, and who approved the code before is heard as
    /// with any code that is replaced.
    pub(super) fn start_over(&mut self, cx: &mut Context<'_>, options: PairingOptions, give_up: BootTime) {
        let Some(flow) = &mut self.pairing.flow else { return };
        if let Step::AwaitingUser(showing) = &mut flow.step {
            // The flow's end was the code's; a longer flow does not make it live again. Its last
            // poll keeps its interval.
            if let Some(due) = showing.due(&flow.pace) {
                showing.not_before = due.min(showing.next_poll).max(showing.not_before);
            }
            showing.code.ends = showing.ends(flow.give_up);
        }
        flow.renew = options.renew;
        flow.replace = options.replace;
        flow.started = cx.at();
        flow.give_up = give_up;
        flow.retry.forget_failures(cx.at());
        self.code_replaced(cx, Reason::None);
    }

    /// Another code is asked for. Who approved the old one at the last moment is heard by its last
    /// poll.
    pub(super) fn code_replaced(&mut self, cx: &mut Context<'_>, reason: Reason) {
        let Some(mut flow) = self.pairing.flow.take() else {
            return;
        };
        let until = flow.may_ask(cx.at());
        if let Step::AwaitingUser(showing) = std::mem::replace(&mut flow.step, Step::Waiting { until }) {
            let before = flow.ended.replace(showing).and_then(|before| before.poll);
            if let Some((op, since)) = before {
                let flow = flow.id;
                self.pairing.late_polls.push(LatePoll { op, flow, since });
            }
        }
        flow.reason = reason;
        flow.refused = Refused::default();
        if flow.ended.as_ref().is_some_and(|ended| ended.done) {
            flow.ended = None;
            self.store(cx, Store::Flow(None));
        }
        self.pairing.flow = Some(flow);
    }

    /// Nobody entered a code in time. What was approved in the last moments of the last code is
    /// still waited for.
    pub(super) fn give_up(&mut self, cx: &mut Context<'_>) {
        let Some(flow) = &mut self.pairing.flow else { return };
        let Some(ended) = flow.ended.take() else {
            self.end_flow(cx, Reason::GaveUp);
            return;
        };
        if let Step::RequestingCode { op, .. } = std::mem::replace(&mut flow.step, Step::AwaitingUser(ended)) {
            cx.emit(Effect::Cancel(op));
        }
    }
}

/// The reason on the screen while no code can be had.
pub(super) const fn fault_reason(fault: Fault) -> Reason {
    match fault.call_error() {
        CallError::Offline => Reason::Offline,
        CallError::ClockNotSet => Reason::ClockNotSet,
        CallError::Untrusted => Reason::TlsUntrusted,
        CallError::Local(_) => Reason::LocalFault,
        _ => Reason::ServerError,
    }
}
