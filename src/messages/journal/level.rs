//! How urgent an entry is, where its cause decides that.

use tracing::Level;

use c2c_auth_core::{FaultKind, Reason};

/// Being offline is ordinary; what a person could look into is a warning.
pub(super) const fn of_fault(fault: FaultKind) -> Level {
    match fault {
        FaultKind::Offline => Level::INFO,
        FaultKind::ClockNotSet
        | FaultKind::Untrusted
        | FaultKind::Lost
        | FaultKind::Garbled
        | FaultKind::RateLimited
        | FaultKind::Refused
        | FaultKind::Local(_) => Level::WARN,
    }
}

/// What users decide is information; what keeps users from pairing is not.
pub(super) const fn of_flow_end(reason: Reason) -> Level {
    match reason {
        Reason::None
        | Reason::NeverPaired
        | Reason::CodeExpired
        | Reason::Cancelled
        | Reason::Denied
        | Reason::GaveUp
        | Reason::Unpaired => Level::INFO,
        Reason::Revoked
        | Reason::RefreshTokenExpired
        | Reason::RefreshAnswerLost
        | Reason::NoRefreshToken
        | Reason::Offline
        | Reason::ClockNotSet
        | Reason::ServerError
        | Reason::LocalFault => Level::WARN,
        Reason::ClientRejected
        | Reason::ClientIdMissing
        | Reason::ClientSecretMissing
        | Reason::StateKeyMissing
        | Reason::StateKeyMismatch
        | Reason::ForeignRecord
        | Reason::RecordDamaged => Level::ERROR,
    }
}
