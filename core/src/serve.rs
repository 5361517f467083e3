//! The answer that a caller of `GetAccessToken` gets, and how long it waits for it.
//!
//! The token in hand decides first (unconfirmed, good, short for this caller), then where the
//! refresh stands.

use std::time::Duration;

use super::calls::{CALL_LIMIT, CallKind, Judgement, PendingCall, TokenCall, Wants};
use super::credential::Credential;
use super::pending::Pending;
use super::refresh::SENT_HOLD;
use crate::{BootTime, CallError, CallId, Client, Context, Core, RefreshMode, Reply};

/// The least life that a token which lives is said to have.
const LEAST_TOLD: Duration = Duration::from_secs(1);

impl Core {
    pub(super) fn get_access_token(
        &mut self,
        cx: &Context<'_>,
        call: CallId,
        client: Client,
        min_validity: Option<Duration>,
    ) {
        let wants = Wants::Token(TokenCall {
            client,
            reconnected: self.probe.arrived(client, cx.at()),
            min_validity,
        });
        self.calls.push(call, cx.at().after(CALL_LIMIT), wants);
    }

    /// When a caller of `GetAccessToken` is judged next, or what rejections wait for has changed.
    pub(super) fn token_calls_due(&self, now: BootTime) -> Option<BootTime> {
        if self.examination_changed() {
            Some(now)
        } else {
            let judged = self.call_due(CallKind::Token, now);
            judged.into_iter().chain(self.next_shortage(now)).min()
        }
    }

    /// When the token ceases to do for a caller that waits for something else: from then on it
    /// waits for a refresh too.
    fn next_shortage(&self, now: BootTime) -> Option<BootTime> {
        let credential = self.credential.paired()?;
        let from = |call: &PendingCall| match &call.wants {
            Wants::Token(wants) => credential.short_from(self.need(*wants)).filter(|from| now < *from),
            _ => None,
        };
        self.calls.of(CallKind::Token).filter_map(from).min()
    }

    pub(super) fn answer_token_calls(&mut self, cx: &mut Context<'_>) {
        self.examine_by_refresh();
        self.answer_due(cx, CallKind::Token);
    }

    /// True if a caller is short of a token: its wait makes a refresh mandatory.
    pub(super) fn waited_for(&self, now: BootTime) -> bool {
        let Some(credential) = self.credential.paired() else {
            return false;
        };
        let short =
            |call: &PendingCall| matches!(&call.wants, Wants::Token(wants) if self.short(credential, *wants, now));
        self.calls.of(CallKind::Token).any(short)
    }

    pub(super) fn hand_out(&mut self, cx: &mut Context<'_>, call: CallId, wants: TokenCall) {
        let now = cx.at();
        let Some(credential) = self.credential.in_hand_mut() else {
            return cx.reply(call, Err(CallError::NotPaired));
        };
        cx.reply(call, token_reply(credential, now));
        credential.hand_to(wants.client.uid);
        let from_window = credential.refresh_after().is_some_and(|opens| opens <= now);
        if from_window && self.setup.policy().refresh == RefreshMode::OnDemand && self.credential.is_paired() {
            self.refresh.demand();
        }
        self.probe.handed(wants.client, wants.reconnected, now);
    }

    pub(super) fn judge_token(&self, call: &PendingCall, wants: TokenCall, now: BootTime) -> Judgement {
        let Some(credential) = self.credential.paired() else {
            return self.judge_without_pairing(call, wants, now);
        };
        if credential.unconfirmed() && self.setup.policy().can_probe {
            self.judge_unconfirmed(call, now)
        } else if self.refresh.is_storing() {
            // The token in hand is dead and the next one all but on disk.
            call.until_deadline(now)
        } else if let Some(until) = self
            .hold(credential)
            .map(|hold| hold.min(call.deadline))
            .filter(|until| now < *until)
        {
            Judgement::WaitUntil(until)
        } else if self.short(credential, wants, now) {
            self.judge_short(credential, call, wants, now)
        } else {
            // A caller that rejected this token is better served by another one; if that does not
            // come, by this one.
            self.deferred_until(call, wants, now)
                .map_or(Judgement::Token(wants), Judgement::WaitUntil)
        }
    }

    /// The token in hand does not do for this caller.
    fn judge_short(&self, credential: &Credential, call: &PendingCall, wants: TokenCall, now: BootTime) -> Judgement {
        if credential.refresh_token().is_none() {
            // Nothing better will come; what still lives is better than an error.
            return if credential.is_unusable(now) {
                Judgement::Answer(Err(CallError::NotPaired))
            } else {
                Judgement::Token(wants)
            };
        }
        if !self.setup.is_ready() {
            return Judgement::Answer(Err(CallError::NotProvisioned));
        }
        if !self.refresh.is_idle() {
            return call.until_deadline(now);
        }
        match self.refresh_starts(true) {
            // The refresh itself is started at that instant.
            Some(start) if start <= call.deadline && now < call.deadline => Judgement::WaitUntil(call.deadline),
            Some(start) => Judgement::Answer(Err(self.refresh_error(start.since(now)))),
            // An unpairing or a newer pairing is on its way to disk and will settle this within
            // moments.
            None if self.may_start() => call.until_deadline(now),
            None => Judgement::Answer(Err(CallError::Timeout)),
        }
    }

    fn judge_without_pairing(&self, call: &PendingCall, wants: TokenCall, now: BootTime) -> Judgement {
        if self.credential.served().is_some() {
            return self
                .deferred_until(call, wants, now)
                .map_or(Judgement::Token(wants), Judgement::WaitUntil);
        }
        if self.storage.pending() == Pending::NewPairing {
            // The first token is all but on disk.
            return call.until_deadline(now);
        }
        let none = Judgement::Answer(Err(self.setup.without_pairing()));
        if !self.credential.has_residual() {
            return none;
        }
        let hold = self
            .probe
            .since()
            .map(|since| since.after(SENT_HOLD).min(call.deadline));
        hold.filter(|hold| now < *hold).map_or(none, Judgement::WaitUntil)
    }

    /// A token of unknown age that nothing vouches for: the probe decides.
    fn judge_unconfirmed(&self, call: &PendingCall, now: BootTime) -> Judgement {
        let starts = || self.probe_starts(now, true).is_some_and(|start| start <= call.deadline);
        // A record on its way to disk settles it, and no probe is sent meanwhile.
        let settles = !self.refresh.is_idle() || !self.storage.pending().may_conclude();
        if now >= call.deadline || self.probe.since().is_some() || starts() || settles {
            call.until_deadline(now)
        } else {
            Judgement::Answer(Err(self.probe.error()))
        }
    }

    /// Until when this caller waits because of a rejection, if it does.
    fn deferred_until(&self, call: &PendingCall, wants: TokenCall, now: BootTime) -> Option<BootTime> {
        self.held_until(wants.client, wants.reconnected, call.deadline, now)
            .filter(|until| now < *until)
    }

    /// Until when callers wait although the token in hand would do: it may be dying this very
    /// moment.
    fn hold(&self, credential: &Credential) -> Option<BootTime> {
        if let Some((_, mark)) = self.refresh.sent() {
            return Some(mark.at.after(SENT_HOLD));
        }
        // An unanswered refresh, and the probe that tells whether the old token survived it is
        // under way.
        let since = credential.stored().mark.and_then(|_| self.probe.since())?;
        (!credential.rejected_by_server()).then(|| since.after(SENT_HOLD))
    }

    /// True if the token in hand does not do for this caller: less life than it wishes for, or than
    /// the default.
    fn short(&self, credential: &Credential, wants: TokenCall, now: BootTime) -> bool {
        credential.short_of(self.need(wants), now)
    }

    fn need(&self, wants: TokenCall) -> Duration {
        wants.min_validity.unwrap_or(self.setup.policy().min_validity)
    }
}

fn token_reply(credential: &Credential, now: BootTime) -> Result<Reply, CallError> {
    let access = credential.stored().pair.access.clone().ok_or(CallError::ServerError)?;
    let left = credential.remaining(now);
    // The contract has whole seconds: what lives for less than one is not said to be dead.
    let expires_in = if left.is_zero() { left } else { left.max(LEAST_TOLD) };
    Ok(Reply::Token {
        access,
        expires_in,
        generation: credential.generation(),
    })
}
