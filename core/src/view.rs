//! The snapshot, derived from the state after each event: nothing visible is kept twice.

use super::credential::Credential;
use super::pairing::FlowView;
use crate::{
    BootTime, CallError, Contact, Context, Core, DeviceInfo, Effect, ErrorWord, FaultKind, Generation, Lifetimes, Now,
    PairingState, Reason, Snapshot, TokenState, WallTime, remedy,
};

/// The state that was published, and the last error.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Published {
    snapshot: Snapshot,
    /// When the next job is due; kept, so that the driver may ask at any time.
    deadline: Option<BootTime>,
    last_error: Option<(ErrorWord, Option<WallTime>)>,
}

impl Published {
    pub(super) fn nothing() -> Self {
        Self {
            snapshot: Snapshot {
                pairing: PairingState::Unpaired,
                reason: Reason::None,
                paired: false,
                attention: false,
                token: TokenState::None,
                generation: Generation::NONE,
                device: DeviceInfo::default(),
                lifetimes: Lifetimes::default(),
                contact: Contact::default(),
                last_error: None,
            },
            deadline: None,
            last_error: None,
        }
    }

    pub(super) const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(super) const fn deadline(&self) -> Option<BootTime> {
        self.deadline
    }

    pub(super) const fn set_deadline(&mut self, deadline: Option<BootTime>) {
        self.deadline = deadline;
    }

    #[cfg(test)]
    pub(super) const fn snapshot_mut(&mut self) -> &mut Snapshot {
        &mut self.snapshot
    }
}

impl Core {
    /// Shows what there is to see, if it differs from what was shown, or is the first.
    pub(super) fn publish(&mut self, cx: &mut Context<'_>, first: bool) {
        let view = self.view(cx.now);
        if first || view != self.published.snapshot {
            self.published.snapshot = view;
            cx.emit(Effect::Publish(Box::new(self.published.snapshot.clone())));
        }
    }

    fn view(&self, Now { boot: now, wall, .. }: Now) -> Snapshot {
        let (pairing, reason) = self.pairing_view(now);
        let served = self
            .credential
            .served()
            .filter(|credential| credential.has_access_token());
        let generation = served.map_or(Generation::NONE, Credential::generation);
        // A time that no clock can be held against is not shown.
        let dated = self.credential.paired().filter(|_| wall.is_some());
        let policy = self.setup.policy();
        let contact = self.credential.paired().map(|credential| credential.contact(policy));
        let contact = contact.unwrap_or_default();
        Snapshot {
            pairing,
            reason,
            paired: self.credential.is_paired(),
            attention: self.attention(now, generation),
            token: self.token_view(now),
            generation,
            device: self
                .credential
                .paired()
                .map_or_else(DeviceInfo::default, |credential| credential.stored().device.clone()),
            lifetimes: dated.map_or_else(Lifetimes::default, |credential| credential.lifetimes(policy, now)),
            contact: Contact {
                at: contact.at.filter(|_| wall.is_some()),
                ..contact
            },
            last_error: self.published.last_error,
        }
    }

    pub(super) fn fault(&mut self, cx: &Context<'_>, kind: FaultKind) {
        let word = match kind {
            FaultKind::Offline => ErrorWord::Offline,
            FaultKind::ClockNotSet => ErrorWord::ClockNotSet,
            FaultKind::Untrusted => ErrorWord::TlsUntrusted,
            FaultKind::Lost => ErrorWord::AnswerLost,
            FaultKind::Garbled | FaultKind::Refused => ErrorWord::ServerError,
            FaultKind::RateLimited => ErrorWord::RateLimited,
            FaultKind::Local(_) => ErrorWord::LocalFault,
        };
        self.fail_with(cx, word);
    }

    pub(super) fn fail_with(&mut self, cx: &Context<'_>, word: ErrorWord) {
        self.published.last_error = Some((word, cx.now.wall));
    }

    fn pairing_view(&self, now: BootTime) -> (PairingState, Reason) {
        match self.flow_view() {
            Some(FlowView::Requesting(reason)) => (PairingState::RequestingCode, reason),
            Some(FlowView::Awaiting) => (PairingState::AwaitingUser, Reason::None),
            None if self.credential.is_paired() => (PairingState::Paired, self.paired_reason(now)),
            None => match self.setup.missing() {
                Some(reason) => (PairingState::Unprovisioned, reason),
                None => (PairingState::Unpaired, self.unpaired_reason()),
            },
        }
    }

    /// Why there is no pairing. A disk that took none is named for as long as it takes nothing.
    fn unpaired_reason(&self) -> Reason {
        if self.orders.are_refused() && self.storage.failing().is_some() {
            Reason::StorageFailed
        } else {
            self.credential.reason()
        }
    }

    /// The trouble although a pairing exists. A background refresh or probe that fails is nobody's
    /// concern until a token is short.
    fn paired_reason(&self, now: BootTime) -> Reason {
        let Some(credential) = self.credential.paired() else {
            return Reason::None;
        };
        if let Some(reason) = self.setup.missing() {
            return reason;
        }
        if self.refresh.client_rejected() {
            return Reason::ClientRejected;
        }
        // Without a mark no refresh is sent, and the next power-off takes what is in memory alone.
        if self.storage.failing().is_some() {
            return Reason::StorageFailed;
        }
        if credential.refresh_token().is_none() {
            return Reason::NoRefreshToken;
        }
        if !credential.has_access_token() {
            return Reason::ServerError;
        }
        // While nobody knows how old the token is, its callers wait for a probe, and no refresh is
        // due.
        let unconfirmed = credential.unconfirmed();
        if !credential.is_unusable(now) && !unconfirmed {
            return Reason::None;
        }
        let probe = self.probe.failing().filter(|_| unconfirmed);
        let refused = credential.is_unusable(now) && self.refresh.keeps_being_refused();
        match self.refresh.failing().or(probe) {
            Some(CallError::ServerError) if refused => Reason::RefreshRefused,
            Some(CallError::Offline) => Reason::Offline,
            Some(CallError::ClockNotSet) => Reason::ClockNotSet,
            Some(CallError::Untrusted) => Reason::TlsUntrusted,
            Some(CallError::ServerError) => Reason::ServerError,
            Some(CallError::Local(_)) => Reason::LocalFault,
            _ => Reason::None,
        }
    }

    /// Uploads cannot work, or will stop, and a person has to act: what the reason asks that is in
    /// force, whatever a flow shows, or an end that is near.
    fn attention(&self, now: BootTime, generation: Generation) -> bool {
        let paired = self.credential.paired();
        let reason = match (paired, self.setup.missing()) {
            (Some(_), _) => self.paired_reason(now),
            (None, Some(missing)) => missing,
            (None, None) => self.unpaired_reason(),
        };
        remedy(paired.is_some(), reason, generation).is_some() || self.ends_soon(now)
    }

    fn token_view(&self, now: BootTime) -> TokenState {
        let Some(credential) = self.credential.paired() else {
            return if self.credential.served().is_some() {
                TokenState::Valid
            } else {
                TokenState::None
            };
        };
        if !self.refresh.is_idle() {
            TokenState::Refreshing
        } else if credential.is_unusable(now) {
            TokenState::Stale
        } else {
            TokenState::Valid
        }
    }
}
