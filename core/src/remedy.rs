//! The demand of each reason on people: the one table behind `AttentionNeeded`, the exit code of
//! `c2c-authctl status` and the verdict of `c2c-authctl check`.
//!
//! Must never: ask a person for what mends itself, or stay silent where uploads cannot work, or
//! will stop, until a person acts.

use super::snapshot::Reason;
use super::token::Generation;

/// Where a person has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// The device is paired again, or what it has stored becomes usable again.
    Pair,
    /// The device is provisioned, or what the server knows of it is corrected.
    Provision,
    /// The network, or the certificates that are trusted in it.
    Network,
    /// This device: its disk, a port, its configuration.
    Device,
    /// The server's own settings.
    Server,
}

/// The act that this reason asks of a person, if it asks for one.
///
/// `paired`: there is a pairing and no flow runs. `generation`: of the token that is served.
#[must_use]
pub const fn remedy(paired: bool, reason: Reason, generation: Generation) -> Option<Remedy> {
    match reason {
        Reason::ClientRejected
        | Reason::RefreshRefused
        | Reason::ClientIdMissing
        | Reason::ClientSecretMissing
        | Reason::StateKeyMissing => Some(Remedy::Provision),
        Reason::Revoked
        | Reason::RefreshTokenExpired
        | Reason::AuthorizationExpired
        | Reason::RefreshAnswerLost
        | Reason::NoRefreshToken
        | Reason::StateKeyMismatch
        | Reason::ForeignRecord
        | Reason::RecordDamaged => Some(Remedy::Pair),
        Reason::StorageFailed => Some(Remedy::Device),
        Reason::TlsUntrusted if paired => Some(Remedy::Network),
        Reason::LocalFault if paired => Some(Remedy::Device),
        // A pairing always has a token, unless the server's cannot be used.
        Reason::ServerError if paired && generation.0 == Generation::NONE.0 => Some(Remedy::Server),
        // A flow that meets these goes on by itself, and shows them to the person who started it.
        Reason::TlsUntrusted
        | Reason::LocalFault
        | Reason::ServerError
        // These are ordinary for a camera, and end by themselves.
        | Reason::Offline
        | Reason::ClockNotSet
        // Nothing is wrong, or somebody decided so.
        | Reason::None
        | Reason::NeverPaired
        | Reason::CodeExpired
        | Reason::Cancelled
        | Reason::Denied
        | Reason::GaveUp
        | Reason::Unpaired => None,
    }
}
