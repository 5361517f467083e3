//! The snapshot, derived from the state after each event: nothing visible is kept twice.

use super::Core;
use super::effect::CallError;
use super::pairing::FlowView;
use super::policy::Provisioning;
use super::refresh::first_warning_lead;
use super::snapshot::{DeviceInfo, PairingState, Reason, Snapshot, TokenState};
use super::time::BootTime;

impl Core {
    pub(super) fn view(&self, now: BootTime) -> Snapshot {
        let (pairing, reason) = self.pairing_view(now);
        let after = self
            .afterlife
            .as_ref()
            .filter(|after| after.alive)
            .map(|after| &after.held);
        let served = self.held.as_ref().or(after).filter(|held| held.usable());
        Snapshot {
            pairing,
            reason,
            paired: self.held.is_some(),
            attention: self.attention(now),
            token: self.token_view(now),
            generation: served.map_or(super::Generation::NONE, |held| held.generation),
            device: self
                .held
                .as_ref()
                .map_or_else(DeviceInfo::default, |held| held.device.clone()),
            last_error: self.last_error,
        }
    }

    fn pairing_view(&self, now: BootTime) -> (PairingState, Reason) {
        match self.flow_view() {
            Some(FlowView::Requesting(reason)) => (PairingState::RequestingCode, reason),
            Some(FlowView::Awaiting) => (PairingState::AwaitingUser, Reason::None),
            None if self.held.is_some() => (PairingState::Paired, self.paired_reason(now)),
            None => match self.provisioning_reason() {
                Some(reason) => (PairingState::Unprovisioned, reason),
                None => (PairingState::Unpaired, self.idle),
            },
        }
    }

    const fn provisioning_reason(&self) -> Option<Reason> {
        match self.provisioning {
            Provisioning::Ready => None,
            Provisioning::ClientIdMissing => Some(Reason::ClientIdMissing),
            Provisioning::ClientSecretMissing => Some(Reason::ClientSecretMissing),
            Provisioning::StateKeyMissing => Some(Reason::StateKeyMissing),
        }
    }

    /// What is wrong although a pairing exists. A background refresh that fails is nobody's concern until a token is short.
    fn paired_reason(&self, now: BootTime) -> Reason {
        let Some(held) = &self.held else { return Reason::None };
        if let Some(reason) = self.provisioning_reason() {
            return reason;
        }
        if self.refresh.client_rejected() {
            return Reason::ClientRejected;
        }
        if held.pair.refresh.is_none() {
            return Reason::NoRefreshToken;
        }
        if !held.usable() {
            return Reason::ServerError;
        }
        if !held.dead(now) {
            return Reason::None;
        }
        match self.refresh.failing() {
            Some(CallError::Offline) => Reason::Offline,
            Some(CallError::ClockNotSet) => Reason::ClockNotSet,
            Some(CallError::ServerError) => Reason::ServerError,
            Some(CallError::Local(_)) => Reason::LocalFault,
            _ => Reason::None,
        }
    }

    fn attention(&self, now: BootTime) -> bool {
        let Some(held) = &self.held else {
            return self.provisioning != Provisioning::Ready || verdict_needs_person(self.idle);
        };
        self.provisioning != Provisioning::Ready
            || self.refresh.client_rejected()
            || held.pair.refresh.is_none()
            || !held.usable()
            // Nobody is offline: something here is in the way, and does not mend itself.
            || (held.dead(now) && matches!(self.refresh.failing(), Some(CallError::Local(_))))
            || held.refresh_ends.is_some_and(|end| {
                end.before(first_warning_lead(self.policy.refresh_token_life)) <= now
            })
    }

    fn token_view(&self, now: BootTime) -> TokenState {
        let Some(held) = &self.held else {
            return if self.afterlife.as_ref().is_some_and(|after| after.alive) {
                TokenState::Valid
            } else {
                TokenState::None
            };
        };
        if !self.refresh.is_idle() {
            TokenState::Refreshing
        } else if held.dead(now) {
            TokenState::Stale
        } else {
            TokenState::Valid
        }
    }
}

/// Whether a pairing ended in a way that only a person can mend. An untouched device and one unpaired on purpose wait for
/// nobody.
const fn verdict_needs_person(reason: Reason) -> bool {
    match reason {
        Reason::ClientRejected
        | Reason::Revoked
        | Reason::RefreshTokenExpired
        | Reason::RefreshAnswerLost
        | Reason::NoRefreshToken
        | Reason::ClientIdMissing
        | Reason::ClientSecretMissing
        | Reason::StateKeyMissing
        | Reason::StateKeyMismatch
        | Reason::ForeignRecord
        | Reason::RecordDamaged => true,
        Reason::None
        | Reason::NeverPaired
        | Reason::CodeExpired
        | Reason::Cancelled
        | Reason::Denied
        | Reason::GaveUp
        | Reason::Unpaired
        | Reason::Offline
        | Reason::ClockNotSet
        | Reason::ServerError
        | Reason::LocalFault => false,
    }
}
