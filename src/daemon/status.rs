//! The one sentence of `systemctl status`: what is, and what a person has to do, if anything.

use crate::core::{ErrorWord, LocalFault, PairingState, Reason, Snapshot, TokenState};

/// The sentence for a snapshot. Holds no secret and no pairing code, because a snapshot holds none (I8).
#[must_use]
pub fn sentence(snapshot: &Snapshot) -> String {
    match snapshot.pairing {
        PairingState::Unprovisioned => format!("Not provisioned: {}.", explain(snapshot.reason)),
        PairingState::Unpaired => unpaired(snapshot),
        PairingState::RequestingCode if snapshot.paired => {
            format!(
                "{}; pairing again: asking for a code{}.",
                pairing(snapshot),
                because(snapshot.reason)
            )
        }
        PairingState::RequestingCode => format!("Asking the server for a pairing code{}.", because(snapshot.reason)),
        PairingState::AwaitingUser if snapshot.paired => {
            format!(
                "{}; pairing again: waiting for someone to enter the code.",
                pairing(snapshot)
            )
        }
        PairingState::AwaitingUser => "Waiting for someone to enter the pairing code.".to_owned(),
        PairingState::Paired => paired(snapshot),
    }
}

fn unpaired(snapshot: &Snapshot) -> String {
    let last_token = match snapshot.token {
        TokenState::Valid | TokenState::Refreshing => " The last token is served until it ends.",
        TokenState::None | TokenState::Stale => "",
    };
    let cure = if snapshot.attention {
        " Pair this device again."
    } else {
        ""
    };
    match snapshot.reason {
        Reason::None => format!("Not paired.{last_token}{cure}"),
        reason => format!("Not paired: {}.{last_token}{cure}", explain(reason)),
    }
}

fn paired(snapshot: &Snapshot) -> String {
    let token = match snapshot.token {
        TokenState::None => "no access token",
        TokenState::Valid => "access token valid",
        TokenState::Refreshing => "refreshing the access token",
        TokenState::Stale => "access token ended, waiting for a new one",
    };
    let reason = match snapshot.reason {
        Reason::None => String::new(),
        reason => format!(": {}", explain(reason)),
    };
    let attention = match (snapshot.attention, snapshot.last_error) {
        (true, Some((error, _))) => format!(" Attention needed: {}.", explain_error(error)),
        (true, None) => " Attention needed.".to_owned(),
        (false, _) => String::new(),
    };
    format!("{}; {token}{reason}.{attention}", pairing(snapshot))
}

fn pairing(snapshot: &Snapshot) -> String {
    if snapshot.device.project_name.is_empty() {
        "Paired".to_owned()
    } else {
        format!("Paired with “{}”", snapshot.device.project_name)
    }
}

fn because(reason: Reason) -> String {
    match reason {
        // The flow began, or a code is being replaced: nothing to explain to anyone.
        Reason::None | Reason::NeverPaired | Reason::CodeExpired => String::new(),
        reason => format!(" ({})", explain(reason)),
    }
}

/// A reason in words that a camera operator understands.
#[must_use]
pub const fn explain(reason: Reason) -> &'static str {
    match reason {
        Reason::None => "nothing to explain",
        Reason::NeverPaired => "this device was never paired",
        Reason::CodeExpired => "the pairing code ran out",
        Reason::Cancelled => "pairing was cancelled on this device",
        Reason::Denied => "pairing was declined at the server",
        Reason::GaveUp => "nobody entered the pairing code in time",
        Reason::ClientRejected => "the server does not accept this device's client id or secret",
        Reason::Unpaired => "it was unpaired on this device",
        Reason::Revoked => {
            "the server no longer knows this pairing (the device was removed there, or the pairing revoked)"
        }
        Reason::RefreshTokenExpired => "the device was offline for too long and its authorization ran out",
        Reason::RefreshAnswerLost => {
            "the connection broke while the tokens were being renewed and the new ones were lost"
        }
        Reason::NoRefreshToken => "the authorization ended and the server granted none that can be renewed",
        Reason::Offline => "the server cannot be reached",
        Reason::ClockNotSet => "the clock of this device is not set, so the server's certificate cannot be checked",
        Reason::ServerError => "the server answers, but not as expected",
        Reason::LocalFault => {
            "something on this device is in the way, or its configuration does not fit the server; see the journal"
        }
        Reason::ClientIdMissing => "no client id is configured or found",
        Reason::ClientSecretMissing => "no client secret is provisioned",
        Reason::StateKeyMissing => "no state key is provisioned",
        Reason::StateKeyMismatch => "the stored pairing was sealed with another state key",
        Reason::ForeignRecord => "the stored pairing belongs to another provider or client id",
        Reason::RecordDamaged => "the stored pairing is damaged and cannot be read",
    }
}

/// What is in the way on the device itself.
#[must_use]
pub const fn explain_local(fault: LocalFault) -> &'static str {
    match fault {
        LocalFault::PortTaken => "another process has the port of provider.redirect-uri",
        LocalFault::NoListener => "the address of provider.redirect-uri cannot be listened on",
        LocalFault::NoEntropy => "the system gives no random bytes",
        LocalFault::AnotherIssuer => "the server names itself otherwise than provider.issuer",
        LocalFault::NoEndpoint => "the server's description of itself lacks an address that this provider.kind needs",
        LocalFault::NoS256 => "the server does not know the PKCE method S256",
    }
}

/// An error in words.
#[must_use]
pub const fn explain_error(error: ErrorWord) -> &'static str {
    match error {
        ErrorWord::Offline => "the server cannot be reached",
        ErrorWord::ClockNotSet => "the clock is not set",
        ErrorWord::TlsUntrusted => "the server's certificate is not trusted",
        ErrorWord::AnswerLost => "the connection broke before the server's answer",
        ErrorWord::ServerError => "the server answers, but not as expected",
        ErrorWord::LocalFault => "something on this device is in the way, or its configuration does not fit the server",
        ErrorWord::RateLimited => "the server asks for fewer requests",
        ErrorWord::ClientRejected => "the server does not accept this device's client id or secret",
        ErrorWord::BadUserCode => "the server sent a pairing code of a wrong shape",
        ErrorWord::StorageFailed => "the state directory cannot be written",
        ErrorWord::PairingLost => "the pairing was lost",
        ErrorWord::TokenRefused => "the server refused an access token",
    }
}

#[cfg(test)]
mod tests;
