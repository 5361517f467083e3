//! One refresh, step by step.
//!
//! Must never: send without a mark on disk (I9), or send twice at a time (I2).

use std::time::Duration;

use super::schedule::{ADVISORY_CAP, CLIENT_REJECTED_WAIT};
use super::{Replacement, State};
use crate::backoff::Cause;
use crate::credential::stamp;
use crate::pair_fate::{Fate, Source};
use crate::pending::Pending;
use crate::storage::Tokens;
use crate::{
    BootTime, CallError, Context, Core, Effect, ErrorWord, Fault, FaultKind, IntentMark, LogEvent, OAuthErrorCode,
    OpId, PairingRecord, PrepareAnswer, Reason, RefreshAnswer, Request, TokenGrant, TokenKind, TokenPair, Unusable,
    WallTime,
};

/// How long after its proof a connection is used. A middlebox forgets an idle connection without a
/// word to either end, and then the answer to a token that works once is lost for nothing.
const PROOF_HOLDS: Duration = Duration::from_secs(10);

impl Core {
    /// Step 1: a connection, proven alive before anything is risked on it.
    pub(crate) fn start_refresh(&mut self, cx: &mut Context<'_>) {
        if self.storage.behind() {
            return;
        }
        // A caller that waits for it now may be gone when the connection stands, and the try goes
        // on.
        self.refresh.asked |= self.waited_for(cx.at());
        let op = self.request(cx, Request::Prepare);
        self.refresh.state = State::Preparing(op);
        self.examine_by_refresh();
    }

    /// Steps 2 and 3: hold off shutdown; write down that the token may be spent from now on. If
    /// what the connection told of the time makes that needless, neither is done.
    pub(crate) fn prepared(&mut self, cx: &mut Context<'_>, op: OpId, answer: PrepareAnswer) {
        if self.refresh.state != State::Preparing(op) {
            return;
        }
        let now = cx.at();
        self.refresh.state = State::Idle;
        self.judge_age(cx, answer);
        let waited_for = self.waited_for(now);
        let wanted = self.still_wanted(now, waited_for);
        self.refresh.asked = false;
        if !wanted && !matches!(answer, PrepareAnswer::Failed(_)) {
            cx.emit(Effect::Cancel(op));
            self.refresh.retry.forget_failures(now);
            if let PrepareAnswer::Busy(fault) = answer {
                // Nobody needs it now. What the server asked for is remembered for when somebody
                // does.
                self.refresh
                    .retry
                    .failed(cx, fault.call_error(), fault.cause(), fault.retry_after, ADVISORY_CAP);
            }
            return;
        }
        let failed = match answer {
            PrepareAnswer::Ready => None,
            // A server that asks to wait is heeded as long as nobody is short of a token.
            PrepareAnswer::Busy(fault) => {
                let short = waited_for
                    || self.refresh.reuse.is_planned()
                    || self
                        .credential
                        .paired()
                        .is_none_or(|credential| credential.is_unusable(cx.at()));
                (!short).then_some(fault)
            }
            PrepareAnswer::Failed(fault) => Some(fault),
        };
        if let Some(fault) = failed {
            cx.emit(Effect::Cancel(op));
            // A request without a credential that nobody answered left nothing of ours behind.
            let cause = if fault.kind == FaultKind::Lost {
                Cause::Unreached
            } else {
                fault.cause()
            };
            self.refresh_failed(cx, fault, cause, waited_for);
            return;
        }
        let Some(credential) = self.credential.paired() else {
            return;
        };
        let sends = credential.stored().mark.map_or(0, |mark| mark.sends).saturating_add(1);
        let mark = IntentMark {
            boot: self.setup.boot(),
            at: cx.at(),
            sends,
        };
        let body = credential.to_pairing(Some(mark));
        self.refresh.inhibit(cx);
        if self.storage.counts(mark.sends) {
            self.send_refresh(cx, op, mark);
            return;
        }
        self.store_pairing(cx, body, Tokens::Same, Pending::IntentMark);
        self.refresh.state = State::Marking { prepared: op, mark };
    }

    /// Learns from a connection about the token's age, beside the `Date` of its answer.
    fn judge_age(&mut self, cx: &Context<'_>, answer: PrepareAnswer) {
        let Some(credential) = self.credential.paired_mut() else {
            return;
        };
        let askable = credential.askable(self.setup.policy());
        match answer {
            PrepareAnswer::Ready | PrepareAnswer::Busy(_) => {
                let decided = credential.needs_replacing() || credential.stored().mark.is_some();
                let doubted = askable && credential.by_wall_clock() && !decided;
                if doubted {
                    // It told no time, and a wrong clock must not cost a refresh: the token is
                    // asked about first.
                    credential.doubt(self.setup.policy(), cx);
                }
                credential.reached(true, cx.at());
                if doubted {
                    self.want_probe(cx);
                }
            }
            PrepareAnswer::Failed(fault) if fault.cause() == Cause::Unreached && !askable => {
                credential.reached(false, cx.at());
            }
            PrepareAnswer::Failed(_) => {}
        }
    }

    /// True if a refresh is wanted by all that is known now that the connection stands.
    fn still_wanted(&self, now: BootTime, waited_for: bool) -> bool {
        self.credential.paired().is_some_and(|credential| {
            let start = self.ordinary_start(credential, waited_for);
            credential.stored().mark.is_some() || start.is_some_and(|at| at <= now)
        })
    }

    /// The mark is on disk, or is not: then nothing is sent, and the disk is tried before the
    /// network.
    pub(crate) fn marked(&mut self, cx: &mut Context<'_>, ok: bool) {
        let State::Marking { prepared, mark } = self.refresh.state else {
            return;
        };
        if ok && cx.at().since(mark.at) <= PROOF_HOLDS {
            self.send_refresh(cx, prepared, mark);
            return;
        }
        self.abandon_refresh(cx, prepared);
        if ok {
            // The disk was slow: the same try goes on with another connection and this mark.
            self.refresh.asked = true;
            self.refresh.resend_early = true;
        }
    }

    /// Step 4: the POST, on that very connection.
    fn send_refresh(&mut self, cx: &mut Context<'_>, prepared: OpId, mark: IntentMark) {
        self.refresh.state = State::Idle;
        let token = self
            .credential
            .paired()
            .and_then(|credential| credential.refresh_token().cloned());
        let late = self.refresh.reuse.is_late(cx.at());
        let (true, Some(token)) = (self.may_refresh() && !late, token) else {
            self.refresh.reuse.drop_plan();
            self.abandon_refresh(cx, prepared);
            return;
        };
        self.yield_probe(cx);
        self.refresh.resend_early = false;
        self.storage.use_mark();
        let doubted = self.doubted_sends() > 0;
        let window = self.setup.policy().reuse_window;
        let request = Request::Refresh {
            on: prepared,
            token,
            patience: self.refresh.reuse.patience(window, cx.at(), doubted),
        };
        self.refresh.reuse.sent(doubted);
        let op = self.request(cx, request);
        let mark = IntentMark { at: cx.at(), ..mark };
        self.refresh.state = State::Sent {
            op,
            mark,
            outdated: false,
        };
    }

    pub(crate) fn refreshed(
        &mut self,
        cx: &mut Context<'_>,
        op: OpId,
        date: Option<WallTime>,
        answer: RefreshAnswer,
        waited_for: bool,
    ) {
        if self.detached_refreshed(cx, op, date, &answer) {
            // Where grants are separate it was of the pairing in hand, which gives way.
            if self.refresh.sent().is_some_and(|(sent, _)| sent == op) {
                self.refresh.state = State::Idle;
            }
            return;
        }
        let State::Sent {
            op: sent,
            mark,
            outdated,
        } = self.refresh.state
        else {
            return;
        };
        if sent != op {
            return;
        }
        self.refresh.state = State::Idle;
        let fate = self.fate(Source::Refresh { detached: false });
        if fate == Fate::Drop {
            return;
        }
        match answer {
            RefreshAnswer::Granted(grant) => {
                if !outdated {
                    // It left after the other pair came, and worked.
                    self.resolve_candidate(cx, Source::StaleCandidate);
                }
                self.refresh_granted(cx, mark, date, grant, fate);
            }
            RefreshAnswer::InvalidGrant => {
                self.refresh_token_dead(cx);
            }
            RefreshAnswer::ClientRejected(error) => {
                self.refresh_rejected(cx, mark, error);
            }
            RefreshAnswer::Refused(fault) => {
                self.refresh.count_refusal(cx.at());
                self.sent_refresh_failed(cx, mark, fault, waited_for);
            }
            RefreshAnswer::Failed(fault) => {
                self.sent_refresh_failed(cx, mark, fault, waited_for);
            }
        }
    }

    /// The POST came back with «not this client».
    pub(crate) fn refresh_rejected(&mut self, cx: &mut Context<'_>, mark: IntentMark, error: OAuthErrorCode) {
        self.unanswered(mark);
        self.refresh.client_rejected = true;
        self.refresh.reuse.forget();
        self.fail_with(cx, ErrorWord::ClientRejected);
        cx.log(LogEvent::ClientRejected { error, paired: true });
        let wait = cx.draw(CLIENT_REJECTED_WAIT * 9 / 10, CLIENT_REJECTED_WAIT * 11 / 10);
        self.refresh.retry.failed_for(cx, CallError::ClientRejected, wait);
    }

    /// The POST came back without a verdict, or not at all.
    pub(crate) fn sent_refresh_failed(
        &mut self,
        cx: &mut Context<'_>,
        mark: IntentMark,
        fault: Fault,
        waited_for: bool,
    ) {
        if fault.kind.ambiguous() {
            if let Some(credential) = self.credential.paired_mut() {
                let first = credential.stored().mark.is_none();
                credential.set_ambiguous(mark);
                self.refresh.reuse.lost(mark.at, first);
            }
            // The old access token tells whether the server carried it out.
            self.want_probe(cx);
        } else if fault.kind.unsent() {
            self.refresh.reuse.unsent();
            self.mark_unsent();
        } else {
            self.unanswered(mark);
        }
        // The server was there a moment ago, whatever became of this connection.
        self.refresh_failed(cx, fault, Cause::Refused, waited_for);
    }

    /// An answer that is no verdict on this send. An earlier send that stays unanswered stays
    /// so; this one counts for it.
    fn unanswered(&mut self, mark: IntentMark) {
        if let Some(credential) = self.credential.paired_mut()
            && credential.stored().mark.is_some()
        {
            credential.set_ambiguous(mark);
        }
    }

    /// Step 5: durable before visible (I1).
    fn refresh_granted(
        &mut self,
        cx: &mut Context<'_>,
        mark: IntentMark,
        date: Option<WallTime>,
        grant: TokenGrant,
        fate: Fate,
    ) {
        let Some(credential) = self.credential.paired() else {
            return;
        };
        let old = credential.refresh_token().cloned();
        let obtained = stamp(self.setup.boot(), mark.at, date, cx.now);
        let unusable = grant.unusable();
        // RFC 6749 §6: a server that sends no new refresh token leaves the old one in force.
        let replacement = grant.into_pair(old.as_ref(), obtained, cx);
        self.told_unusable(cx, unusable, &replacement);
        self.apply_fate(cx, replacement, String::new(), fate);
    }

    /// Says of a pair that was granted which of its tokens cannot be used, and why.
    pub(crate) fn told_unusable(
        &mut self,
        cx: &mut Context<'_>,
        unusable: impl Iterator<Item = (TokenKind, Unusable)>,
        pair: &TokenPair,
    ) {
        for (token, why) in unusable {
            self.fail_with(cx, ErrorWord::ServerError);
            cx.log(LogEvent::TokenUnusable {
                token,
                why,
                retry_in: pair.expires_in,
            });
        }
    }

    pub(crate) fn store_replacement(&mut self, cx: &mut Context<'_>, pair: TokenPair, replaces: bool) {
        let Some(credential) = self.credential.paired() else {
            return;
        };
        let mut pairing = PairingRecord {
            pair: pair.clone(),
            mark: None,
            ..credential.stored().clone()
        };
        if replaces {
            pairing.approved_anew();
        }
        let spent = credential.refresh_token().filter(|_| !replaces).cloned();
        self.list_if_listed(cx, &pair, spent);
        let generation = self.credential.count(&pair);
        self.store_pairing(cx, pairing, Tokens::New, Pending::RefreshedPair);
        let replacement = Replacement {
            pair,
            generation,
            replaces,
        };
        self.refresh.state = State::Storing(replacement);
    }

    /// Step 6: on disk (or the disk fails, and memory is all there is): show it.
    pub(crate) fn adopt_replacement(&mut self, cx: &mut Context<'_>) {
        let State::Storing(replacement) = std::mem::take(&mut self.refresh.state) else {
            return;
        };
        let Some(old) = self.credential.unpair(Reason::None) else {
            return;
        };
        let needs_replacing = old.needs_replacing();
        // Its own number, not the ledger's: a replacement may have taken the next one meanwhile.
        let generation = replacement.generation;
        if replacement.replaces {
            cx.log(LogEvent::Paired {
                generation,
                replaced: true,
                refreshable: replacement.pair.refresh.is_some(),
            });
        } else if replacement.pair.access.is_some() {
            cx.log(LogEvent::Refreshed {
                generation,
                expires_in: replacement.pair.expires_in,
            });
        }
        let mut credential = old.refreshed(replacement.pair, generation, &self.setup, cx);
        if replacement.replaces {
            credential.approved_anew();
        }
        self.credential.pair(credential);
        self.refresh.last_refreshed = Some(cx.at());
        if needs_replacing && !replacement.replaces {
            self.refresh.limit.refreshed(cx.at());
        } else if !self.setup.policy().can_probe && !replacement.replaces {
            // The token before lived to its ordinary refresh, and nobody said a word: no resource
            // could tell more.
            self.refresh.limit.accepted();
        }
        self.new_token(cx);
    }

    /// A token nobody has used yet is in hand: all earlier trouble concerns another one.
    pub(crate) fn new_token(&mut self, cx: &mut Context<'_>) {
        self.refresh.retry.reset();
        self.refresh.asked = false;
        self.refresh.resend_early = false;
        self.refresh.reuse.forget();
        self.refresh.client_rejected = false;
        self.refresh.refusals = None;
        self.refresh.warnings_given = 0;
        self.forget_probe(cx);
        self.want_probe(cx);
    }

    /// Leaves a transaction that has not been sent; a sent one runs on.
    pub(crate) fn abandon_unsent_refresh(&mut self, cx: &mut Context<'_>) {
        match self.refresh.state {
            State::Preparing(op) => {
                cx.emit(Effect::Cancel(op));
                self.refresh.state = State::Idle;
            }
            State::Marking { prepared, .. } => self.abandon_refresh(cx, prepared),
            State::Idle | State::Sent { .. } | State::Storing(_) => {}
        }
    }

    /// A refresh that may have its mark on disk is not sent on this connection.
    fn abandon_refresh(&mut self, cx: &mut Context<'_>, prepared: OpId) {
        cx.emit(Effect::Cancel(prepared));
        self.refresh.state = State::Idle;
        self.mark_unsent();
    }

    /// The newest mark announced a send that was not made.
    fn mark_unsent(&mut self) {
        let doubted = self.doubted_sends();
        self.storage.cancel_mark(doubted);
    }
}
