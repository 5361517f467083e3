//! The one sentence of `systemctl status`: the state, and what somebody has to do, if anything.

use super::words;
use crate::core::{PairingState, Reason, Snapshot, TokenState};

/// The sentence for a snapshot. Holds no secret and no pairing code, because a snapshot holds none (I8).
#[must_use]
pub fn sentence(snapshot: &Snapshot) -> String {
    match snapshot.pairing {
        PairingState::Unprovisioned => format!("Not provisioned: {}.", words::reason(snapshot.reason).what),
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
        TokenState::Valid | TokenState::Refreshing => " The last token is served until it expires.",
        TokenState::None | TokenState::Stale => "",
    };
    let cure = if snapshot.attention {
        " Pair this device again."
    } else {
        ""
    };
    match snapshot.reason {
        Reason::None => format!("Not paired.{last_token}{cure}"),
        reason => format!("Not paired: {}.{last_token}{cure}", words::reason(reason).what),
    }
}

fn paired(snapshot: &Snapshot) -> String {
    let token = match snapshot.token {
        TokenState::None => "no access token",
        TokenState::Valid => "access token valid",
        TokenState::Refreshing => "refreshing the access token",
        TokenState::Stale => "access token expired, waiting for a new one",
    };
    let reason = match snapshot.reason {
        Reason::None => String::new(),
        reason => format!(": {}", words::reason(reason).what),
    };
    let attention = match (snapshot.attention, snapshot.last_error) {
        (true, Some((error, _))) => format!(" Attention needed: {}.", words::error(error).what),
        (true, None) => " Attention needed.".to_owned(),
        (false, _) => String::new(),
    };
    format!("{}; {token}{reason}.{attention}", pairing(snapshot))
}

fn pairing(snapshot: &Snapshot) -> String {
    if snapshot.device.project_name.is_empty() {
        "Paired".to_owned()
    } else {
        format!("Paired with \"{}\"", snapshot.device.project_name)
    }
}

fn because(reason: Reason) -> String {
    match reason {
        // The flow began, or a code is being replaced: nothing to explain to anyone.
        Reason::None | Reason::NeverPaired | Reason::CodeExpired => String::new(),
        reason => format!(" ({})", words::reason(reason).what),
    }
}

#[cfg(test)]
mod tests;
