//! RFC 6749 §4.1 with RFC 7636 and RFC 8252: a browser goes to the authorization endpoint and comes
//! back with a code.
//!
//! The redirect comes through the loopback listener or through `CompletePairing`; both are calls,
//! and both are answered when the pairing is durable. A redirect that does not answer the request
//! on show changes nothing. A code is spent once: it is sent again only where a complete answer, or
//! the lack of a connection, shows that it was not carried out (§4.1.2).
//!
//! Such a flow is not kept across a restart: its listener, and with it the address that the browser
//! would come back to, is gone.

use std::time::Duration;

use super::device_code::{CODE_CAP, fault_reason};
use super::{Flow, Step};
use crate::calls::{CALL_LIMIT, Kind, Wants};
use crate::{
    Authorization, AuthorizationCode, AuthorizeAnswer, BootTime, CallError, CallId, CodeView, Core, Effect, ErrorWord,
    ExchangeAnswer, Fault, GrantKind, Note, OpId, Prompt, Reason, Redirect, RedirectOutcome, Request, TokenGrant, Turn,
    WallTime,
};

/// An authorization request that a browser may answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Browsing {
    pub(super) id: u64,
    /// The `Authorize` under which the listener lives; cancelled when this step is left.
    pub(super) listener: OpId,
    authorization: Authorization,
    pub(super) exchange: Option<Exchange>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Exchange {
    code: AuthorizationCode,
    pub(super) sent: Option<(OpId, BootTime)>,
    /// When it is to be sent, while it is not.
    pub(super) due: BootTime,
}

impl Core {
    /// A browser can be sent on its way, or not yet.
    pub(crate) fn authorize_answered(&mut self, t: &mut Turn<'_>, op: OpId, answer: AuthorizeAnswer) {
        let Some(flow) = &mut self.pairing.flow else { return };
        if !matches!(flow.step, Step::Asking { op: asked, .. } if asked == op) {
            return;
        }
        match answer {
            AuthorizeAnswer::Ready(authorization) => {
                t.note(Note::CodeShown {
                    expires_in: flow.give_up.since(t.at()),
                });
                flow.retry.reset();
                flow.reason = Reason::None;
                flow.step = Step::Browsing(Box::new(Browsing {
                    id: self.ids.next_code(),
                    listener: op,
                    authorization,
                    exchange: None,
                }));
            }
            AuthorizeAnswer::Failed(fault) => self.code_request_failed(t, fault),
        }
    }

    /// `CompletePairing`, or a browser at the listener.
    pub(crate) fn complete_pairing(&mut self, t: &mut Turn<'_>, call: CallId, redirect: Redirect) {
        let now = t.at();
        if self.setup.policy().grant != GrantKind::Code {
            t.reply(call, Err(CallError::NotByRedirect));
            return;
        }
        if !self.may_start() {
            t.reply(call, Err(CallError::Timeout));
            return;
        }
        let Some(flow) = &mut self.pairing.flow else {
            t.reply(call, Err(CallError::NoPairing));
            return;
        };
        let browsing = match &mut flow.step {
            Step::Browsing(browsing)
                if browsing.exchange.is_none() && browsing.authorization.state == redirect.state =>
            {
                browsing
            }
            Step::Revoking
            | Step::Resting { .. }
            | Step::Asking { .. }
            | Step::Showing(_)
            | Step::Browsing(_)
            | Step::Storing { .. } => {
                t.note(Note::StrayRedirect);
                t.reply(call, Err(CallError::WrongState));
                return;
            }
        };
        self.calls.push(call, now.after(CALL_LIMIT), Wants::RedirectResult);
        match redirect.outcome {
            RedirectOutcome::Code(code) => {
                browsing.exchange = Some(Exchange {
                    code,
                    sent: None,
                    due: now,
                });
            }
            RedirectOutcome::Denied => self.end_flow(t, Reason::Denied),
            RedirectOutcome::ClientRejected(objection) => self.reject_flow(t, objection),
            RedirectOutcome::Failed => {
                self.fail_with(t, ErrorWord::ServerError);
                self.calls.answer(t, Kind::RedirectResult, Err(CallError::ServerError));
                self.code_ended(t, Reason::ServerError);
            }
        }
    }

    pub(super) fn spend_code(&mut self, t: &mut Turn<'_>) {
        let op = self.ids.next_op();
        let Some(Flow {
            step: Step::Browsing(browsing),
            ..
        }) = &mut self.pairing.flow
        else {
            return;
        };
        let asked = &browsing.authorization;
        let Some(exchange) = &mut browsing.exchange else { return };
        exchange.sent = Some((op, t.at()));
        let request = Request::Exchange {
            code: exchange.code.clone(),
            verifier: asked.verifier.clone(),
            redirect_uri: asked.redirect_uri.clone(),
            state: asked.state.clone(),
        };
        t.emit(Effect::Request(op, request));
    }

    /// RFC 6749 §5 answered.
    pub(crate) fn exchange_answered(
        &mut self,
        t: &mut Turn<'_>,
        op: OpId,
        date: Option<WallTime>,
        answer: ExchangeAnswer,
    ) {
        let granted = |answer| match answer {
            ExchangeAnswer::Granted(grant) => Some(grant),
            ExchangeAnswer::Dead(..) | ExchangeAnswer::ClientRejected(_) | ExchangeAnswer::Failed(_) => None,
        };
        if let Some(orphan) = self.take_late_poll(op) {
            if let Some(grant) = granted(answer) {
                self.late_granted(t, &orphan, date, grant);
            }
            return;
        }
        let Some(Flow {
            step: Step::Browsing(browsing),
            ..
        }) = &mut self.pairing.flow
        else {
            return;
        };
        let Some(exchange) = &mut browsing.exchange else { return };
        let Some((_, since)) = exchange.sent.take_if(|(sent, _)| *sent == op) else {
            return;
        };
        match answer {
            ExchangeAnswer::Granted(grant) => self.exchanged(t, since, date, grant),
            ExchangeAnswer::Dead(objection, word) => {
                let asked = &browsing.authorization;
                let word = word
                    .and_then(|word| word.unless_it_repeats(exchange.code.secret()))
                    .and_then(|word| word.unless_it_repeats(asked.verifier.secret()))
                    .and_then(|word| word.unless_it_repeats(asked.state.secret()));
                t.note(Note::CodeRefused {
                    objection,
                    word: word.clone(),
                });
                self.calls.answer(t, Kind::RedirectResult, Err(CallError::ServerError));
                self.code_refused(t, word);
            }
            ExchangeAnswer::ClientRejected(objection) => self.reject_flow(t, objection),
            ExchangeAnswer::Failed(fault) => self.exchange_failed(t, fault),
        }
    }

    fn exchanged(&mut self, t: &mut Turn<'_>, sent: BootTime, date: Option<WallTime>, grant: TokenGrant) {
        self.close_listener(t);
        self.approved(t, sent, date, grant, String::new());
    }

    fn exchange_failed(&mut self, t: &mut Turn<'_>, fault: Fault) {
        self.fault(t, fault.kind);
        if fault.kind.ambiguous() {
            // §4.1.2: a code that may have been spent must not be sent again; what it may have
            // bought is out of reach.
            t.note(Note::ExchangeFailed {
                fault: fault.kind,
                retry_in: None,
            });
            self.calls.answer(t, Kind::RedirectResult, Err(fault.call_error()));
            self.code_ended(t, fault_reason(fault));
            return;
        }
        let Some(flow) = &mut self.pairing.flow else { return };
        let wait = flow
            .retry
            .failed(t, fault.call_error(), fault.cause(), fault.retry_after, CODE_CAP);
        if let Step::Browsing(browsing) = &mut flow.step
            && let Some(exchange) = &mut browsing.exchange
        {
            exchange.due = t.at().after(wait);
        }
        t.note(Note::ExchangeFailed {
            fault: fault.kind,
            retry_in: Some(wait),
        });
    }

    /// No redirect can answer this request any more.
    pub(super) fn close_listener(&self, t: &mut Turn<'_>) {
        if let Some(Flow {
            step: Step::Browsing(browsing),
            ..
        }) = &self.pairing.flow
        {
            t.emit(Effect::Cancel(browsing.listener));
        }
    }
}

impl Browsing {
    pub(super) fn view(&self, left: Duration) -> CodeView {
        CodeView {
            id: self.id,
            prompt: Prompt::Browser {
                authorization_uri: self.authorization.authorization_uri.clone(),
            },
            device_name: String::new(),
            expires_in: left,
        }
    }
}
