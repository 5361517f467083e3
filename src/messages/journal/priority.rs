//! How urgent an entry is, where its cause decides that.

use super::Priority;
use c2c_auth_core::{FaultKind, Reason};

/// Being offline is ordinary. A fault that a person could look into is a warning.
pub(super) const fn of_fault(fault: FaultKind) -> Priority {
    match fault {
        FaultKind::Offline => Priority::Info,
        FaultKind::ClockNotSet
        | FaultKind::Untrusted
        | FaultKind::Lost
        | FaultKind::Garbled
        | FaultKind::RateLimited
        | FaultKind::Refused
        | FaultKind::Local(_) => Priority::Warning,
    }
}

/// A user's decision is information. An obstacle to pairing is not.
pub(super) const fn of_flow_end(reason: Reason) -> Priority {
    match reason {
        Reason::None
        | Reason::NeverPaired
        | Reason::CodeExpired
        | Reason::Cancelled
        | Reason::Denied
        | Reason::GaveUp
        | Reason::Unpaired => Priority::Info,
        Reason::Revoked
        | Reason::RefreshTokenExpired
        | Reason::AuthorizationExpired
        | Reason::RefreshAnswerLost
        | Reason::NoRefreshToken
        | Reason::Offline
        | Reason::ClockNotSet
        | Reason::TlsUntrusted
        | Reason::ServerError
        | Reason::LocalFault => Priority::Warning,
        Reason::ClientRejected
        | Reason::StorageFailed
        | Reason::ClientIdMissing
        | Reason::ClientSecretMissing
        | Reason::StateKeyMissing
        | Reason::StateKeyMismatch
        | Reason::ForeignRecord
        | Reason::RecordDamaged => Priority::Error,
    }
}
