//! RFC 8628 §3.1–3.2: asking for a code, showing it, replacing it when it ends.

use std::time::Duration;

use super::{Flow, Phase, Refused, Showing};
use crate::core::Core;
use crate::core::effect::{CallError, Effect, Note, OpId, Store};
use crate::core::event::{CodeAnswer, CodeGrant, Fault, FaultKind, Objection};
use crate::core::record::{Code, FlowRecord};
use crate::core::snapshot::{ErrorWord, Reason};
use crate::core::time::BootTime;
use crate::core::turn::Turn;

/// Longest wait between code requests: a person stands before the screen.
pub(super) const CODE_CAP: Duration = Duration::from_secs(20);

impl Core {
    /// RFC 8628 §3.2 answered.
    pub(in crate::core) fn code_answered(&mut self, t: &mut Turn<'_>, op: OpId, answer: CodeAnswer) {
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
        // The first poll waits one interval: nobody types that fast, and servers throttle it.
        let next_poll = t.at().after(grant.interval);
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
            next_poll,
            not_before: next_poll,
            poll: None,
            blips: 0,
        }));
        self.store_flow(t);
    }

    pub(super) fn store_flow(&mut self, t: &mut Turn<'_>) {
        let Some(Flow {
            phase: Phase::Showing(showing),
            give_up,
            renew,
            replace,
            ..
        }) = &self.flow
        else {
            return;
        };
        let record = FlowRecord {
            boot: self.boot,
            code: showing.code.clone(),
            interval: showing.interval,
            next_poll: showing.next_poll,
            give_up: *give_up,
            renew: *renew,
            replace: *replace,
        };
        self.store(t, Store::Flow(Some(Box::new(record))));
    }

    /// The code's time is over, by our clock or by the server's word.
    pub(super) fn code_expired(&mut self, t: &mut Turn<'_>) {
        if let Some(flow) = &mut self.flow {
            flow.refused = Refused::default();
        }
        self.code_ended(t, Reason::CodeExpired);
    }

    /// The code on show ended, by its time or by the server's word. A poll still out may yet bring the approval.
    pub(super) fn code_ended(&mut self, t: &mut Turn<'_>, reason: Reason) {
        let Some(flow) = &mut self.flow else { return };
        let poll = match &mut flow.phase {
            Phase::Showing(showing) => showing.poll.take(),
            Phase::Browsing(browsing) if flow.renew => {
                t.emit(Effect::Cancel(browsing.listener));
                None
            }
            Phase::Browsing(_) => None,
            Phase::Revoking | Phase::Resting { .. } | Phase::Asking { .. } | Phase::Storing { .. } => return,
        };
        let id = flow.id;
        if flow.renew {
            flow.phase = Phase::Resting {
                until: flow.may_ask(t.at()),
            };
            flow.reason = reason;
            self.orphan(id, poll);
            self.store(t, Store::Flow(None));
        } else {
            self.orphan(id, poll);
            self.end_flow(t, reason);
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
