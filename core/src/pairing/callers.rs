//! The calls that wait for a flow: those that started or joined it, and those that brought a redirect.
//!
//! Each is answered once (I6): by what there is to show, by the pairing, by the flow's end, or when its time is over.

use super::{Flow, Phase};
use crate::Core;
use crate::effect::{CallError, CodeView, Prompt, Reply};
use crate::op::CallId;
use crate::time::BootTime;
use crate::turn::Turn;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Caller {
    pub(super) call: CallId,
    pub(super) deadline: BootTime,
}

impl Core {
    pub(super) fn answer_starters(&mut self, t: &mut Turn<'_>) {
        let Some(flow) = &mut self.flow else { return };
        let now = t.at();
        for starter in std::mem::take(&mut flow.starters) {
            if let Some(code) = flow.view(now) {
                let give_up_in = flow.give_up.since(now);
                let (renew, replace) = (flow.renew, flow.replace);
                t.reply(
                    starter.call,
                    Ok(Reply::Started {
                        code,
                        renew,
                        replace,
                        give_up_in,
                    }),
                );
            } else if now >= starter.deadline {
                t.reply(starter.call, Err(flow.retry.failing().unwrap_or(CallError::Timeout)));
            } else if let (Some(error), Phase::Resting { until }) = (flow.retry.failing(), &flow.phase)
                && *until > starter.deadline
            {
                // No further try fits into this call's time: do not make anyone wait for nothing.
                t.reply(starter.call, Err(error));
            } else {
                flow.starters.push(starter);
            }
        }
    }

    /// Calls that brought a redirect and whose time is over.
    pub(super) fn answer_completers(&mut self, t: &mut Turn<'_>) {
        let Some(flow) = &mut self.flow else { return };
        let now = t.at();
        for completer in std::mem::take(&mut flow.completers) {
            if now >= completer.deadline {
                t.reply(completer.call, Err(flow.retry.failing().unwrap_or(CallError::Timeout)));
            } else {
                flow.completers.push(completer);
            }
        }
    }

    /// Answers everybody who waits here, because the daemon ends. The flow's file stays: it goes on after a restart.
    pub(crate) fn end_starters(&mut self, t: &mut Turn<'_>) {
        if let Some(flow) = &mut self.flow {
            let starters = std::mem::take(&mut flow.starters);
            for starter in starters.into_iter().chain(std::mem::take(&mut flow.completers)) {
                t.reply(starter.call, Err(CallError::Timeout));
            }
        }
    }
}

impl Flow {
    /// The code on show, while it lives; with no time left while the answer to the flow's last poll is waited for.
    pub(super) fn view(&self, now: BootTime) -> Option<CodeView> {
        match &self.phase {
            Phase::Showing(showing) if now < showing.ends(self.give_up) || self.is_over(now) => {
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
            Phase::Browsing(browsing) if browsing.exchange.is_none() => Some(browsing.view(self.give_up.since(now))),
            Phase::Browsing(_)
            | Phase::Showing(_)
            | Phase::Revoking
            | Phase::Resting { .. }
            | Phase::Asking { .. }
            | Phase::Storing { .. } => None,
        }
    }

    /// The pairing stands: everybody who waited for it hears so.
    pub(super) fn completed(&mut self, t: &mut Turn<'_>) {
        for completer in std::mem::take(&mut self.completers) {
            t.reply(completer.call, Ok(Reply::Done));
        }
    }
}
