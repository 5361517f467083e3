//! Giving a pairing up: first the disk, then the answer, then the server.
//!
//! The token to revoke is written before the tombstone, so that a crash in between leaves a live
//! pairing and an entry that is recognized as not to be sent. After the tombstone nothing on this
//! device brings the pairing back; telling the server is tried until the token's end
//! (`revocation.rs`).
//!
//! Owns: what came in for the pairing while the tombstone is being written, should that fail. Must
//! never: write anything over the tombstone.

use super::calls::{CALL_LIMIT, CallKind, Wants};
use super::credential::stamp;
use super::pair_fate::Source;
use super::pending::Pending;
use crate::{CallError, CallId, Context, Core, IntentMark, LogEvent, OpId, Reason, RefreshAnswer, TokenPair, WallTime};

/// `Unpair` under way: the tombstone is being written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Unpairing {
    /// The refresh that was out when the user unpaired.
    detached: Option<(OpId, IntentMark)>,
    refreshed: Option<TokenPair>,
    /// The pair that a poll of the flow brought which `Unpair` ended.
    candidate: Option<TokenPair>,
}

impl Unpairing {
    /// The refresh that was out brought a pair.
    pub(super) fn hold_back_refreshed(&mut self, pair: TokenPair) {
        self.refreshed = Some(pair);
    }

    /// A second pair came: it is kept until the tombstone is written.
    pub(super) fn hold_back(&mut self, candidate: TokenPair) {
        self.candidate = Some(candidate);
    }
}

impl Core {
    pub(super) fn unpair(&mut self, cx: &mut Context<'_>, call: CallId) {
        if !self.setup.has_state_key() {
            cx.reply(call, Err(CallError::NotProvisioned));
            return;
        }
        self.calls.push(call, cx.at().after(CALL_LIMIT), Wants::Unpaired);
        self.withdraw_start(cx);
        if self.storage.pending().puts_off_an_end() {
            self.orders.unpair();
        } else if self.unpairing.is_none() {
            self.begin_unpairing(cx);
        }
    }

    /// Answers the calls of `Unpair`, at once or when the disk has.
    pub(super) fn begin_unpairing(&mut self, cx: &mut Context<'_>) {
        self.end_flow(cx, Reason::Unpaired);
        self.forget_flow_file(cx);
        if self.credential.has_residual() {
            self.forget_probe(cx);
        }
        let Some(credential) = self.credential.paired() else {
            // A tombstone that a crash or a failing disk may have left in one generation only is
            // made whole first.
            if self.storage.record_behind() {
                self.store_tombstone(cx, self.credential.reason(), Pending::Nothing);
            }
            self.unpaired_when_durable(cx, true);
            return;
        };
        let grant = credential.grant();
        let candidate = credential.stored().candidate.clone();
        let newest = self.refresh.replacement().unwrap_or(&credential.stored().pair).clone();
        self.abandon_unsent_refresh(cx);
        let detached = self.refresh.detach();
        // A person does not wait for the pace of an earlier failure.
        self.revocations.forget_failures(cx.at());
        self.revoke_pair(cx, grant, &newest, detached.map(|(op, _)| op));
        if let Some(candidate) = candidate {
            // Nobody knows which of the two lives; neither may stay behind in the project.
            self.revoke_pair(cx, grant, &candidate, None);
        }
        self.store_tombstone(cx, Reason::Unpaired, Pending::Tombstone);
        self.unpairing = Some(Unpairing {
            detached,
            refreshed: None,
            candidate: None,
        });
    }

    /// The tombstone is on disk, or is not.
    pub(super) fn tombstone_stored(&mut self, cx: &mut Context<'_>, ok: bool) {
        let Some(unpairing) = self.unpairing.take() else {
            return;
        };
        if !ok {
            self.unpair_failed(cx, unpairing);
            return;
        }
        self.credential.unpair(Reason::Unpaired);
        self.refresh.forget_failures();
        self.forget_probe(cx);
        cx.log(LogEvent::Unpaired);
        if self.storage.flow_pending() {
            self.forget_flow_file(cx);
            self.unpaired_when_durable(cx, false);
        } else {
            self.calls.answer(cx, CallKind::Unpaired, Ok(()));
        }
    }

    fn unpaired_when_durable(&mut self, cx: &mut Context<'_>, record: bool) {
        for call in self.calls.take(CallKind::Unpaired) {
            self.done_when_durable(cx, call.call, call.deadline, record);
        }
    }

    /// Nothing has changed: neither here, nor at the server. The tombstone may be on disk all the
    /// same, so the list stays there until the pairing is ([`Core::drop_spared`]).
    fn unpair_failed(&mut self, cx: &mut Context<'_>, unpairing: Unpairing) {
        self.calls.answer(cx, CallKind::Unpaired, Err(CallError::StorageFailed));
        let Some(credential) = self.credential.paired() else {
            return;
        };
        // Which of the two came first is forgotten; to ask costs a probe.
        let outdated = credential.stored().candidate.is_some();
        self.storage.tombstone_failed();
        if let Some(refreshed) = unpairing.refreshed {
            self.store_replacement(cx, refreshed, false);
        } else if let Some(detached) = unpairing.detached {
            self.revocations.reattached(detached.0);
            self.refresh.reattach(detached, outdated);
        }
        if let Some(candidate) = unpairing.candidate {
            self.keep_candidate(cx, candidate);
        }
    }

    /// A refresh that was out when its pairing was given up has ended. Whether `op` was one.
    pub(super) fn detached_refreshed(
        &mut self,
        cx: &mut Context<'_>,
        op: OpId,
        date: Option<WallTime>,
        answer: &RefreshAnswer,
    ) -> bool {
        if !self.revocations.refreshed(op, answer) {
            return false;
        }
        let fate = self.fate(Source::Refresh { detached: true });
        // There may be another one out, of the pairing before: what that brings is of no use here.
        let own = |detached: &mut (OpId, IntentMark)| detached.0 == op;
        let mark = self
            .unpairing
            .as_mut()
            .and_then(|unpairing| unpairing.detached.take_if(own));
        // Should the tombstone fail, the pairing goes on with what this taught.
        match (answer, mark) {
            (RefreshAnswer::Granted(grant), mark) => {
                if let (Some((_, mark)), Some(credential)) = (mark, self.credential.paired()) {
                    let obtained = stamp(self.setup.boot(), mark.at, date, cx.now);
                    let pair = grant.clone().into_pair(credential.refresh_token(), obtained, cx);
                    self.apply_fate(cx, pair, String::new(), fate);
                }
                self.store_revocations(cx);
            }
            (RefreshAnswer::Refused(fault) | RefreshAnswer::Failed(fault), Some((_, mark))) => {
                self.sent_refresh_failed(cx, mark, *fault, false);
            }
            (RefreshAnswer::ClientRejected(error), Some((_, mark))) => self.refresh_rejected(cx, mark, *error),
            (
                RefreshAnswer::Refused(_)
                | RefreshAnswer::Failed(_)
                | RefreshAnswer::ClientRejected(_)
                | RefreshAnswer::InvalidGrant,
                _,
            ) => {}
        }
        self.revoke_before_code(cx.at());
        true
    }
}
