//! The core's settings: its device, its policy and its boot.

use crate::{Boot, BootId, CallError, Policy, Provisioning, Reason};

/// Configuration, provisioning and the boot that this process belongs to. Only the policy changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Setup {
    policy: Policy,
    provisioning: Provisioning,
    boot: Boot,
}

impl Setup {
    pub(super) const fn new(policy: Policy, provisioning: Provisioning, boot: Boot) -> Self {
        Self {
            policy,
            provisioning,
            boot,
        }
    }

    pub(super) const fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(super) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    pub(super) const fn boot(&self) -> BootId {
        self.boot.id
    }

    /// True if an instant of another id is surely of another boot.
    pub(super) const fn tells_boots_apart(&self) -> bool {
        self.boot.shared
    }

    /// True if everything is there that pairing and refreshing need.
    pub(super) const fn is_ready(&self) -> bool {
        matches!(self.provisioning, Provisioning::Ready)
    }

    pub(super) const fn has_state_key(&self) -> bool {
        !matches!(self.provisioning, Provisioning::StateKeyMissing)
    }

    pub(super) const fn missing(&self) -> Option<Reason> {
        match self.provisioning {
            Provisioning::Ready => None,
            Provisioning::ClientIdMissing => Some(Reason::ClientIdMissing),
            Provisioning::ClientSecretMissing => Some(Reason::ClientSecretMissing),
            Provisioning::StateKeyMissing => Some(Reason::StateKeyMissing),
        }
    }

    /// The error that a caller gets where there is no pairing.
    pub(super) const fn without_pairing(&self) -> CallError {
        if self.is_ready() {
            CallError::NotPaired
        } else {
            CallError::NotProvisioned
        }
    }
}
