//! The refresh transaction and its schedule: what the product lives by.
//!
//! A refresh kills both old tokens, a refresh token works once, a lost answer costs the pairing.
//! So: prove the connection, write the intent mark, send once on that connection, store, publish.
//! Never two at a time (I2), never without a durable mark (I3, I9), never cancelled once sent.

mod aging;
mod limit;
mod reuse;
mod schedule;
mod transaction;

use std::time::Duration;

use crate::backoff::Retry;
use limit::RejectionLimit;
use reuse::Reuse;

use crate::{BootTime, CallError, Context, Core, Effect, Generation, IntentMark, OpId, TokenPair};

/// How long a sent refresh makes callers wait: the old token is about to die, and most answers are
/// here by then.
pub(super) const SENT_HOLD: Duration = Duration::from_secs(2);

/// Refusals by the server's own error, over this time, before a person is asked to act: a
/// maintenance or a mistake that is noticed ends sooner.
const REFUSALS: u32 = 3;
const REFUSED_FOR: Duration = Duration::from_secs(3600);

/// The one refresh that there can be, and what is remembered of those before it.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Refresh {
    state: State,
    /// Logind was asked to hold off shutdown and sleep, from the mark of a refresh until nothing is
    /// left that it was asked for.
    inhibited: bool,
    retry: Retry,
    limit: RejectionLimit,
    reuse: Reuse,
    last_refreshed: Option<BootTime>,
    /// On demand: a caller was served from the advisory window.
    asked: bool,
    /// A resend need not wait for its doubled time: the network came back, or a client says that
    /// the token is refused.
    resend_early: bool,
    /// The last refresh that was sent was answered with "not this client". It stays when the next
    /// fault is another one.
    client_rejected: bool,
    /// The first and the newest of the server's own refusals since the last good refresh, and how
    /// many they are.
    refusals: Option<(BootTime, BootTime, u32)>,
    /// When a mark of another boot was read from the disk.
    mark_found: BootTime,
    warnings_given: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum State {
    #[default]
    Idle,
    /// The connection is being brought up.
    Preparing(OpId),
    /// The intent mark is being written.
    Marking { prepared: OpId, mark: IntentMark },
    /// The POST is out. `outdated`: a second pair came after it left, and it cannot tell which of
    /// the two lives.
    Sent { op: OpId, mark: IntentMark, outdated: bool },
    /// The new pair is being written; the old one is dead.
    Storing(Replacement),
}

/// A pair on its way to disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Replacement {
    pair: TokenPair,
    generation: Generation,
    /// It did not come from a refresh: it is the candidate of a cancelled replacement.
    replaces: bool,
}

impl Refresh {
    pub(super) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    pub(super) const fn is_storing(&self) -> bool {
        matches!(self.state, State::Storing(_))
    }

    pub(super) const fn is_marking(&self) -> bool {
        matches!(self.state, State::Marking { .. })
    }

    pub(super) const fn sent(&self) -> Option<(OpId, IntentMark)> {
        match &self.state {
            State::Sent { op, mark, .. } => Some((*op, *mark)),
            State::Idle | State::Preparing(_) | State::Marking { .. } | State::Storing(_) => None,
        }
    }

    pub(super) const fn mark(&self) -> Option<IntentMark> {
        match &self.state {
            State::Marking { mark, .. } | State::Sent { mark, .. } => Some(*mark),
            State::Idle | State::Preparing(_) | State::Storing(_) => None,
        }
    }

    /// The pair that takes the place of the one in hand once it is on disk.
    pub(super) const fn replacement(&self) -> Option<&TokenPair> {
        match &self.state {
            State::Storing(replacement) => Some(&replacement.pair),
            State::Idle | State::Preparing(_) | State::Marking { .. } | State::Sent { .. } => None,
        }
    }

    pub(super) fn failing(&self) -> Option<CallError> {
        self.retry.failing()
    }

    pub(super) const fn client_rejected(&self) -> bool {
        self.client_rejected
    }

    /// True if the server itself has refused for so long and so often that it will not mend itself.
    pub(super) fn keeps_being_refused(&self) -> bool {
        self.refusals
            .is_some_and(|(first, last, count)| count >= REFUSALS && last.since(first) >= REFUSED_FOR)
    }

    /// True if the newest refusal is of this instant.
    fn refused_at(&self, now: BootTime) -> bool {
        self.refusals.is_some_and(|(_, last, _)| last == now)
    }

    fn count_refusal(&mut self, now: BootTime) {
        let (first, _, count) = self.refusals.unwrap_or((now, now, 0));
        self.refusals = Some((first, now, count.saturating_add(1)));
    }

    /// The pairing is given up: a POST that is out goes on without it.
    pub(super) fn detach(&mut self) -> Option<(OpId, IntentMark)> {
        let sent = self.sent();
        if sent.is_some() {
            self.state = State::Idle;
        }
        sent
    }

    /// The pairing stands after all, and its POST is still out.
    pub(super) fn reattach(&mut self, (op, mark): (OpId, IntentMark), outdated: bool) {
        self.state = State::Sent { op, mark, outdated };
    }

    /// A second pair came: a POST that is out cannot tell which of the two lives.
    pub(super) const fn outdate(&mut self) {
        if let State::Sent { outdated, .. } = &mut self.state {
            *outdated = true;
        }
    }

    pub(super) const fn demand(&mut self) {
        self.asked = true;
    }

    /// The next resend need not wait for longer than it must.
    pub(super) const fn bring_resend_forward(&mut self) {
        self.resend_early = true;
    }

    /// A resource, or a client where there is none to ask, refused the token in hand.
    pub(super) fn token_rejected(&mut self) {
        self.limit.rejected();
    }

    /// A resource took the token in hand.
    pub(super) const fn token_accepted(&mut self) {
        self.limit.accepted();
    }

    /// The record holds a mark, and no newer record was lost.
    pub(super) const fn found_mark(&mut self) {
        self.reuse.found_mark();
    }

    /// The mark in the record is of another boot.
    pub(super) const fn found_mark_of_another_boot(&mut self, now: BootTime) {
        self.mark_found = now;
    }

    /// The send that was in doubt was not carried out.
    pub(super) fn doubt_settled(&mut self) {
        self.reuse.forget();
    }

    /// The pairing is over: failures to refresh it are no matter any more.
    pub(super) fn forget_failures(&mut self) {
        self.retry.reset();
    }

    /// A new pairing stands: what was under way or limited concerned another one.
    pub(super) fn start_anew(&mut self, cx: &mut Context<'_>) {
        self.state = State::Idle;
        self.last_refreshed = Some(cx.at());
        self.limit = RejectionLimit::default();
        self.refusals = None;
    }

    fn inhibit(&mut self, cx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.inhibited, true) {
            cx.emit(Effect::Inhibit);
        }
    }

    /// `detached`: a refresh of a pairing that was given up is out.
    fn release(&mut self, cx: &mut Context<'_>, detached: bool) {
        let holds = match self.state {
            State::Marking { .. } | State::Sent { .. } | State::Storing(_) => true,
            State::Idle | State::Preparing(_) => detached,
        };
        if !holds && std::mem::take(&mut self.inhibited) {
            cx.emit(Effect::Release);
        }
    }
}

impl Core {
    /// Lets go of shutdown and sleep if no refresh needs them held off any more.
    pub(super) fn release_if_done(&mut self, cx: &mut Context<'_>) {
        self.refresh.release(cx, self.revocations.waiting());
    }
}
