//! How urgent an entry is, where its cause decides that.

use super::Priority;
use c2c_auth_core::{FaultKind, Reason};

impl Priority {
    /// Being offline is ordinary. A fault that a person could look into is a warning.
    pub(crate) const fn of_fault(fault: FaultKind) -> Self {
        match fault {
            FaultKind::Offline => Self::Info,
            FaultKind::ClockNotSet
            | FaultKind::Untrusted
            | FaultKind::Lost
            | FaultKind::Garbled
            | FaultKind::RateLimited
            | FaultKind::Refused
            | FaultKind::Local(_) => Self::Warning,
        }
    }

    /// A user's decision is information. An obstacle to pairing is not.
    pub(super) const fn of_flow_end(reason: Reason) -> Self {
        match reason {
            Reason::None
            | Reason::NeverPaired
            | Reason::CodeExpired
            | Reason::Cancelled
            | Reason::Denied
            | Reason::GaveUp
            | Reason::Unpaired => Self::Info,
            Reason::Revoked
            | Reason::RefreshTokenExpired
            | Reason::AuthorizationExpired
            | Reason::RefreshAnswerLost
            | Reason::NoRefreshToken
            | Reason::Offline
            | Reason::ClockNotSet
            | Reason::TlsUntrusted
            | Reason::ServerError
            | Reason::RefreshRefused
            | Reason::LocalFault => Self::Warning,
            Reason::ClientRejected
            | Reason::StorageFailed
            | Reason::ClientIdMissing
            | Reason::ClientSecretMissing
            | Reason::StateKeyMissing
            | Reason::StateKeyMismatch
            | Reason::ForeignRecord
            | Reason::RecordDamaged => Self::Error,
        }
    }
}
