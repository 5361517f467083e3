//! Polls and exchanges whose code is no longer on show. They are never cancelled, and what they
//! bring is accounted for.

use super::flow::{Flow, Step};
use super::showing::Which;
use crate::credential::stamp;
use crate::pair_fate::{Fate, Source};
use crate::{BootTime, Context, Core, OpId, TokenGrant, WallTime};

/// A poll, or the spending of an authorization code, whose code is no longer on show.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LatePoll {
    pub(super) op: OpId,
    pub(super) flow: u64,
    pub(super) since: BootTime,
}

impl Core {
    /// The requests that the flow has out go on without it.
    pub(super) fn let_go(&mut self, flow: &mut Flow) {
        let exchange = match &mut flow.step {
            Step::AwaitingRedirect(browsing) => browsing.exchange.as_mut().and_then(|exchange| exchange.sent.take()),
            Step::Revoking
            | Step::Waiting { .. }
            | Step::RequestingCode { .. }
            | Step::AwaitingUser(_)
            | Step::Storing { .. } => None,
        };
        for (op, since) in flow.take_polls().into_iter().chain(exchange) {
            let flow = flow.id;
            self.pairing.late_polls.push(LatePoll { op, flow, since });
        }
    }

    pub(super) fn take_late_poll(&mut self, op: OpId) -> Option<LatePoll> {
        let at = self.pairing.late_polls.iter().position(|late| late.op == op)?;
        Some(self.pairing.late_polls.remove(at))
    }

    /// An approval came for a code that is no longer on show.
    pub(super) fn late_granted(
        &mut self,
        cx: &mut Context<'_>,
        late: &LatePoll,
        date: Option<WallTime>,
        grant: TokenGrant,
    ) {
        let of_flow = self.pairing.flow.as_ref().is_some_and(|flow| flow.id == late.flow);
        let fate = self.fate(Source::LatePoll { of_flow });
        if fate == Fate::NewPairing {
            let shown = self.pairing.flow.as_mut().and_then(|flow| flow.polled(Which::Shown));
            let name = shown.map(|showing| showing.code.device_name.clone());
            self.approved(cx, late.since, date, grant, name.unwrap_or_default());
            return;
        }
        let pair = grant.into_pair(None, stamp(self.setup.boot(), late.since, date, cx.now), cx);
        self.apply_fate(cx, pair, String::new(), fate);
    }
}
