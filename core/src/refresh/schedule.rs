//! When a refresh starts: two windows, resends, retries, and what limits them.

use std::time::Duration;

use crate::backoff::{Cause, Change, FLOOR};
use crate::credential::Credential;
use crate::{BootTime, CallError, Context, Core, Fault, IntentMark, LogEvent, RefreshMode, SERVER_IS_DONE};

/// Longest wait between tries while the old token still serves.
pub(super) const ADVISORY_CAP: Duration = Duration::from_secs(15 * 60);

/// Longest wait between tries once callers are short of a token.
const MANDATORY_CAP: Duration = Duration::from_secs(2 * 60);

/// The same once only a person can mend what the server refuses.
const REFUSED_CAP: Duration = Duration::from_secs(3600);

/// Longest wait between resends of one refresh token.
const RESEND_CAP: Duration = Duration::from_secs(3600);

/// A wrong secret is cured by a person, not by haste; yet without one (a server's fault, since
/// mended) the daemon must find its way back by itself (I5).
pub(super) const CLIENT_REJECTED_WAIT: Duration = Duration::from_secs(3600);

/// Spread of a returning network's load: ten thousand devices come back together.
const NETWORK_UP_SPREAD: Duration = Duration::from_secs(30 * 60);

impl Core {
    /// When the next refresh starts, if one is to start at all.
    ///
    /// `waited_for`: a caller is short of a token.
    pub(crate) fn refresh_starts(&self, waited_for: bool) -> Option<BootTime> {
        let credential = self.credential.paired()?;
        credential.refresh_token()?;
        if !self.refresh.is_idle() || !self.may_refresh() {
            return None;
        }
        let hasty = (waited_for || self.refresh.resend_early).then(|| self.retry_floor(waited_for));
        if let (Some(_), Some(at)) = (credential.stored().mark, self.refresh.reuse.next(hasty)) {
            // It has to be in time, so that no pace of retries holds it.
            let floor = self.disk_floor(waited_for)?;
            return Some(at.max(self.refresh.retry.not_before()).max(floor));
        }
        let start = match credential.stored().mark {
            // A probe that is out may settle it without a send. A caller that is short of a token
            // needs the send either way.
            Some(_) if !waited_for && self.probe.busy() => return None,
            Some(mark) => self.resend_start(mark, waited_for),
            None => self.ordinary_start(credential, waited_for)?,
        };
        Some(start.max(self.refresh_floor(waited_for)?))
    }

    /// The earliest that any refresh may start: apart from the one before, after a failure not
    /// before its time, and not while its mark could not be written.
    fn refresh_floor(&self, waited_for: bool) -> Option<BootTime> {
        let spacing = self.refresh.last_refreshed.map(|last| last.after(FLOOR));
        let retry = self.retry_floor(waited_for);
        Some(retry.max(spacing.unwrap_or_default()).max(self.disk_floor(waited_for)?))
    }

    fn retry_floor(&self, waited_for: bool) -> BootTime {
        if waited_for {
            self.refresh.retry.earliest_if_waiting()
        } else {
            self.refresh.retry.next()
        }
    }

    /// No connection is made for a mark that cannot be written: the disk is tried first, and
    /// nothing else until it answers.
    fn disk_floor(&self, waited_for: bool) -> Option<BootTime> {
        if !self.storage.behind() && self.storage.failing().is_none() {
            return Some(BootTime::default());
        }
        (!self.storage.tries_state()).then(|| self.rewrite_due(waited_for).unwrap_or_default())
    }

    /// When a refresh token is sent again whose last send was not answered.
    fn resend_start(&self, mark: IntentMark, waited_for: bool) -> BootTime {
        if self.refresh.reuse.is_free(self.setup.policy().reuse_window) {
            return BootTime::default();
        }
        let early = waited_for || self.refresh.resend_early;
        let doublings = if early { 0 } else { mark.sends.saturating_sub(1) };
        let start = self.resend_after(mark, doublings);
        // A probe goes first where it can settle the doubt by then.
        let resolved = self.doubt_ends().filter(|end| !waited_for && *end <= start);
        resolved.map_or(start, |end| self.probe.after_a_probe(end, start))
    }

    /// Why a caller has no token, once no try fits into its time: the next is due after `wait`.
    pub(crate) fn refresh_error(&self, wait: Duration) -> CallError {
        let refused = self.credential.paired().is_some_and(Credential::rejected_by_server);
        self.storage
            .failing()
            .or(self.refresh.retry.failing())
            .or(refused.then_some(CallError::TokenRefused { wait }))
            .unwrap_or(CallError::ServerError)
    }

    /// When a token that is not in doubt is to be refreshed.
    pub(super) fn ordinary_start(&self, credential: &Credential, waited_for: bool) -> Option<BootTime> {
        if !credential.has_access_token() {
            return credential.unusable_until();
        }
        let replacement_start = credential.needs_replacing().then(|| self.refresh.limit.next());
        if waited_for && !credential.rejected_by_server() {
            return Some(BootTime::default());
        }
        // A probe that is out may yet tell the age.
        let unknown = credential.unknown_limit().filter(|_| self.probe.since().is_none());
        let half = || {
            credential
                .refresh_ends()
                .map(|end| end.before(self.setup.policy().refresh_token_life / 2))
        };
        let scheduled = match self.setup.policy().refresh {
            RefreshMode::OnDemand if !self.refresh.asked => half(),
            RefreshMode::Eager | RefreshMode::OnDemand => credential.refresh_after(),
        };
        let scheduled = scheduled.or(unknown);
        [replacement_start, scheduled].into_iter().flatten().min()
    }

    /// When the refresh token of an unanswered send may be sent again, `doublings` beyond the
    /// configured wait.
    fn resend_after(&self, mark: IntentMark, doublings: u32) -> BootTime {
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let wait = self
            .setup
            .policy()
            .replay_after
            .saturating_mul(factor)
            .min(RESEND_CAP.max(self.setup.policy().replay_after));
        // In another boot the server has given up on the send by then at the latest. Where boots
        // cannot be told apart, the send may be of a moment before the start.
        let from = if mark.boot == self.setup.boot() {
            mark.at
        } else if self.setup.tells_boots_apart() {
            BootTime::default()
        } else {
            self.refresh.mark_found
        };
        from.after(wait)
    }

    /// From when on a 2xx says that an unanswered refresh was not carried out: the server has given
    /// up on it. Where a boot has no identity a mark of «another boot» may be of a moment before
    /// this process began.
    pub(crate) fn doubt_ends(&self) -> Option<BootTime> {
        let mark = self.credential.paired()?.stored().mark?;
        let from = if mark.boot == self.setup.boot() {
            mark.at
        } else {
            self.refresh.mark_found
        };
        Some(from.after(self.setup.policy().replay_after.max(SERVER_IS_DONE)))
    }

    /// True if the token endpoint may be asked on behalf of the pairing in hand.
    pub(super) fn may_refresh(&self) -> bool {
        self.may_use_secret() && self.storage.pending().keeps_pairing()
    }

    pub(super) fn refresh_failed(&mut self, cx: &mut Context<'_>, fault: Fault, cause: Cause, waited_for: bool) {
        self.fault(cx, fault.kind);
        self.refresh.reuse.plan(self.setup.policy().reuse_window, cx.at());
        let (is_unusable, resend) = self.credential.paired().map_or((false, None), |credential| {
            (credential.is_unusable(cx.at()), credential.stored().mark)
        });
        let cap = if self.refresh.keeps_being_refused() && self.refresh.refused_at(cx.at()) {
            REFUSED_CAP
        } else if is_unusable || waited_for {
            MANDATORY_CAP
        } else {
            ADVISORY_CAP
        };
        let wait = self
            .refresh
            .retry
            .failed(cx, fault.call_error(), cause, fault.retry_after, cap);
        let retry_in = self.refresh_starts(waited_for).map_or(wait, |next| next.since(cx.at()));
        cx.log(LogEvent::RefreshFailed {
            fault: fault.kind,
            retry_in,
            ambiguous: resend.is_some(),
            sends: resend.map_or(0, |mark| mark.sends),
        });
    }

    pub(crate) fn network_restored(&mut self, cx: &mut Context<'_>, change: Change, waited_for: bool) {
        let Some(credential) = self.credential.paired() else {
            return;
        };
        let now = cx.at();
        if !self.refresh.retry.cured_by(change, now) {
            return;
        }
        let short = credential.is_unusable(now) || credential.remaining(now) < self.setup.policy().min_validity;
        if waited_for || short || self.refresh.reuse.is_planned() {
            self.refresh.retry.retry_by(now);
            self.refresh.resend_early = true;
        } else {
            self.refresh.retry.retry_within(cx, NETWORK_UP_SPREAD);
        }
    }
}
