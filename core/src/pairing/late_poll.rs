//! Polls and exchanges whose code is no longer on show. They are never cancelled, and what they bring is accounted for.

use super::flow::{Flow, Step};
use super::showing::Which;
use crate::Core;
use crate::credential::stamp;
use crate::event::TokenGrant;
use crate::op::OpId;
use crate::record::TokenPair;
use crate::storage::Tokens;
use crate::time::{BootTime, WallTime};
use crate::token::GrantId;
use crate::turn::Turn;

/// A poll, or the spending of an authorization code, whose code is no longer on show.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LatePoll {
    pub(super) op: OpId,
    pub(super) flow: u64,
    pub(super) since: BootTime,
}

impl Core {
    /// What the flow has out goes on without it.
    pub(super) fn let_go(&mut self, flow: &mut Flow) {
        let exchange = match &mut flow.step {
            Step::Browsing(browsing) => browsing.exchange.as_mut().and_then(|exchange| exchange.sent.take()),
            Step::Revoking | Step::Resting { .. } | Step::Asking { .. } | Step::Showing(_) | Step::Storing { .. } => {
                None
            }
        };
        for (op, since) in flow.take_polls().into_iter().chain(exchange) {
            let flow = flow.id;
            self.pairing.late_polls.push(LatePoll { op, flow, since });
        }
    }

    pub(super) fn take_late_poll(&mut self, op: OpId) -> Option<LatePoll> {
        let at = self.pairing.late_polls.iter().position(|orphan| orphan.op == op)?;
        Some(self.pairing.late_polls.remove(at))
    }

    /// An approval came for a code that is no longer on show.
    pub(super) fn late_granted(
        &mut self,
        t: &mut Turn<'_>,
        orphan: &LatePoll,
        date: Option<WallTime>,
        grant: TokenGrant,
    ) {
        if self
            .pairing
            .flow
            .as_ref()
            .is_some_and(|flow| flow.id == orphan.flow && !matches!(flow.step, Step::Storing { .. }))
        {
            // The user was a moment late for a code, not for the flow.
            let name = match self.pairing.flow.as_mut().and_then(|flow| flow.polled(Which::Shown)) {
                Some(showing) => showing.code.device_name.clone(),
                None => String::new(),
            };
            self.approved(t, orphan.since, date, grant, name);
            return;
        }
        let pair = grant.into_pair(None, stamp(self.setup.boot(), orphan.since, date, t.now), t);
        if !self.setup.policy().sole_grant {
            // Of no pairing that is or will be: nothing spares it.
            self.revoke_pair(t, GrantId::default(), &pair, None);
        } else if let Some(Flow {
            step: Step::Storing { pairing, .. },
            ..
        }) = &mut self.pairing.flow
        {
            // The user approved two codes. Which came later at the server, and so lives, a probe tells once the first is stored.
            pairing.candidate = Some(pair);
        } else if let Some(unpairing) = &mut self.unpairing {
            unpairing.hold_back(pair.clone());
            self.revoke_pair(t, self.credential.grant(), &pair, None);
        } else if self.credential.is_paired() {
            self.keep_candidate(t, pair);
        } else {
            // No ghost device in somebody's project.
            self.revoke_pair(t, self.credential.grant(), &pair, None);
        }
    }

    /// Same device at the server: to revoke this pair could take the living one along. A probe tells which of the two lives.
    pub(crate) fn keep_candidate(&mut self, t: &mut Turn<'_>, pair: TokenPair) {
        if let Some(held) = self.credential.paired_mut() {
            held.set_candidate(pair);
            self.refresh.outdate();
            self.store_current(t, Tokens::New);
            self.ask_which_lives(t);
        }
    }
}
