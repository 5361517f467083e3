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
use crate::calls::{CALL_LIMIT, CallKind, Wants};
use crate::{
    Authorization, AuthorizationCode, AuthorizeAnswer, BootTime, CallError, CallId, CodeView, Context, Core, Effect,
    ErrorWord, ExchangeAnswer, Fault, GrantKind, LogEvent, OpId, Prompt, Reason, Redirect, RedirectOutcome, Request,
    TokenGrant, WallTime,
};

/// An authorization request that a browser may answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct AwaitingRedirect {
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
    pub(crate) fn authorize_answered(&mut self, cx: &mut Context<'_>, op: OpId, answer: AuthorizeAnswer) {
        let Some(flow) = &mut self.pairing.flow else { return };
        if !matches!(flow.step, Step::RequestingCode { op: asked, .. } if asked == op) {
            return;
        }
        match answer {
            AuthorizeAnswer::Ready(authorization) => {
                cx.log(LogEvent::CodeShown {
                    expires_in: flow.give_up.since(cx.at()),
                });
                flow.retry.reset();
                flow.reason = Reason::None;
                flow.step = Step::AwaitingRedirect(Box::new(AwaitingRedirect {
                    id: self.ids.next_code(),
                    listener: op,
                    authorization,
                    exchange: None,
                }));
            }
            AuthorizeAnswer::Failed(fault) => self.code_request_failed(cx, fault),
        }
    }

    /// `CompletePairing`, or a browser at the listener.
    pub(crate) fn complete_pairing(&mut self, cx: &mut Context<'_>, call: CallId, redirect: Redirect) {
        let now = cx.at();
        if self.setup.policy().grant != GrantKind::Code {
            cx.reply(call, Err(CallError::NotByRedirect));
            return;
        }
        if !self.may_start() {
            cx.reply(call, Err(CallError::Timeout));
            return;
        }
        let Some(flow) = &mut self.pairing.flow else {
            cx.reply(call, Err(CallError::NoPairing));
            return;
        };
        let browsing = match &mut flow.step {
            Step::AwaitingRedirect(browsing)
                if browsing.exchange.is_none() && browsing.authorization.state == redirect.state =>
            {
                browsing
            }
            Step::Revoking
            | Step::Waiting { .. }
            | Step::RequestingCode { .. }
            | Step::AwaitingUser(_)
            | Step::AwaitingRedirect(_)
            | Step::Storing { .. } => {
                cx.log(LogEvent::StrayRedirect);
                cx.reply(call, Err(CallError::WrongState));
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
            RedirectOutcome::Denied => self.end_flow(cx, Reason::Denied),
            RedirectOutcome::ClientRejected(error) => self.reject_flow(cx, error),
            RedirectOutcome::Failed => {
                self.fail_with(cx, ErrorWord::ServerError);
                self.calls
                    .answer(cx, CallKind::RedirectResult, Err(CallError::ServerError));
                self.code_ended(cx, Reason::ServerError);
            }
        }
    }

    pub(super) fn spend_code(&mut self, cx: &mut Context<'_>) {
        let op = self.ids.next_op();
        let Some(Flow {
            step: Step::AwaitingRedirect(browsing),
            ..
        }) = &mut self.pairing.flow
        else {
            return;
        };
        let asked = &browsing.authorization;
        let Some(exchange) = &mut browsing.exchange else { return };
        exchange.sent = Some((op, cx.at()));
        let request = Request::Exchange {
            code: exchange.code.clone(),
            verifier: asked.verifier.clone(),
            redirect_uri: asked.redirect_uri.clone(),
            state: asked.state.clone(),
        };
        cx.emit(Effect::Request(op, request));
    }

    /// RFC 6749 §5 answered.
    pub(crate) fn exchange_answered(
        &mut self,
        cx: &mut Context<'_>,
        op: OpId,
        date: Option<WallTime>,
        answer: ExchangeAnswer,
    ) {
        let granted = |answer| match answer {
            ExchangeAnswer::Granted(grant) => Some(grant),
            ExchangeAnswer::InvalidGrant(..) | ExchangeAnswer::ClientRejected(_) | ExchangeAnswer::Failed(_) => None,
        };
        if let Some(late) = self.take_late_poll(op) {
            if let Some(grant) = granted(answer) {
                self.late_granted(cx, &late, date, grant);
            }
            return;
        }
        let Some(Flow {
            step: Step::AwaitingRedirect(browsing),
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
            ExchangeAnswer::Granted(grant) => self.exchanged(cx, since, date, grant),
            ExchangeAnswer::InvalidGrant(error, word) => {
                let asked = &browsing.authorization;
                let word = word
                    .and_then(|word| word.unless_it_repeats(exchange.code.secret()))
                    .and_then(|word| word.unless_it_repeats(asked.verifier.secret()))
                    .and_then(|word| word.unless_it_repeats(asked.state.secret()));
                cx.log(LogEvent::CodeRefused {
                    error,
                    word: word.clone(),
                });
                self.calls
                    .answer(cx, CallKind::RedirectResult, Err(CallError::ServerError));
                self.code_refused(cx, word);
            }
            ExchangeAnswer::ClientRejected(error) => self.reject_flow(cx, error),
            ExchangeAnswer::Failed(fault) => self.exchange_failed(cx, fault),
        }
    }

    fn exchanged(&mut self, cx: &mut Context<'_>, sent: BootTime, date: Option<WallTime>, grant: TokenGrant) {
        self.close_listener(cx);
        self.approved(cx, sent, date, grant, String::new());
    }

    fn exchange_failed(&mut self, cx: &mut Context<'_>, fault: Fault) {
        self.fault(cx, fault.kind);
        if fault.kind.ambiguous() {
            // §4.1.2: a code that may have been spent must not be sent again; what it may have
            // bought is out of reach.
            cx.log(LogEvent::ExchangeFailed {
                fault: fault.kind,
                retry_in: None,
            });
            self.calls.answer(cx, CallKind::RedirectResult, Err(fault.call_error()));
            self.code_ended(cx, fault_reason(fault));
            return;
        }
        let Some(flow) = &mut self.pairing.flow else { return };
        let wait = flow
            .retry
            .failed(cx, fault.call_error(), fault.cause(), fault.retry_after, CODE_CAP);
        if let Step::AwaitingRedirect(browsing) = &mut flow.step
            && let Some(exchange) = &mut browsing.exchange
        {
            exchange.due = cx.at().after(wait);
        }
        cx.log(LogEvent::ExchangeFailed {
            fault: fault.kind,
            retry_in: Some(wait),
        });
    }

    /// No redirect can answer this request any more.
    pub(super) fn close_listener(&self, cx: &mut Context<'_>) {
        if let Some(Flow {
            step: Step::AwaitingRedirect(browsing),
            ..
        }) = &self.pairing.flow
        {
            cx.emit(Effect::Cancel(browsing.listener));
        }
    }
}

impl AwaitingRedirect {
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
