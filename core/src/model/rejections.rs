//! The reports of clients against access tokens, and which request tells whether they are right:
//! one that left afterwards.

use crate::{OpId, ProbeAnswer};

use super::history::History;
use super::server::Pair;

/// The next report of a user who was wrong is examined this much later, in milliseconds.
pub(super) const WRONG_SPACING: u64 = 10_000;

/// A client's report of an access token, until that is examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Rejection {
    pub(super) uid: u32,
    pub(super) pair: Pair,
    /// The request that carries it and left afterwards, while that is out.
    asked: Option<OpId>,
}

impl History {
    /// A client rejects this token. Whether that is news.
    pub(super) fn rejected(&mut self, uid: u32, pair: Pair) -> bool {
        let rejection = Rejection { uid, pair, asked: None };
        let news = !self.rejections.contains(&rejection);
        if news {
            self.rejections.push(rejection);
        }
        news
    }

    /// The call that brought this user's newest rejection was refused.
    pub(super) fn withdraw(&mut self, uid: u32) {
        let newest = |rejection: &Rejection| rejection.uid == uid && rejection.asked.is_none();
        if let Some(at) = self.rejections.iter().rposition(newest) {
            self.rejections.remove(at);
        }
    }

    /// The uids whose rejection the answer to this request settles.
    pub(super) fn settles(&self, op: OpId) -> Vec<u32> {
        let settled = self.rejections.iter().filter(|rejection| rejection.asked == Some(op));
        settled.map(|rejection| rejection.uid).collect()
    }

    /// This request ends unanswered.
    pub(super) fn unanswered(&mut self, op: OpId) {
        for rejection in &mut self.rejections {
            rejection.asked.take_if(|asked| *asked == op);
        }
        let mut seen = Vec::new();
        self.rejections.retain(|rejection| {
            let first = !seen.contains(rejection);
            seen.push(*rejection);
            first
        });
    }

    /// A request that carries this token leaves.
    pub(super) fn examined(&mut self, op: OpId, pair: Pair) {
        let rejected = self.rejections.iter_mut().filter(|rejection| rejection.pair == pair);
        for rejection in rejected {
            rejection.asked.get_or_insert(op);
        }
    }

    /// It was answered, or failed.
    pub(super) fn settled(&mut self, op: OpId, answer: &ProbeAnswer, real: u64) {
        if matches!(answer, ProbeAnswer::Failed(_)) {
            return self.unanswered(op);
        }
        let settled = self.settles(op);
        self.rejections.retain(|rejection| rejection.asked != Some(op));
        if matches!(answer, ProbeAnswer::Accepted(_)) {
            self.wrong.retain(|(uid, _)| !settled.contains(uid));
            self.wrong.extend(settled.into_iter().map(|uid| (uid, real)));
        }
    }
}
