//! The line of `systemctl status`: the state, why, and last what somebody has to do, if anything.

use crate::messages::{self, NextEnd, Words};
use c2c_auth_core::{PairingState, Snapshot, TokenState, WallTime};

/// The sentence for a snapshot. Holds no secret and no pairing code, because a snapshot holds none
/// (I8).
pub(crate) fn sentence(snapshot: &Snapshot) -> String {
    let mut line = state(snapshot);
    if snapshot.attention {
        line.push_str(" Attention needed.");
    }
    let cure = explanation(snapshot).map_or("", |told| told.cure);
    if !cure.is_empty() {
        line.push(' ');
        line.push_str(cure);
        line.push('.');
    }
    line
}

fn state(snapshot: &Snapshot) -> String {
    match snapshot.pairing {
        PairingState::Unprovisioned => format!("Not provisioned: {}.", messages::reason(snapshot.reason).what),
        PairingState::Unpaired => unpaired(snapshot),
        PairingState::RequestingCode if snapshot.paired => {
            format!(
                "{}; pairing again: asking for a code{}.",
                pairing(snapshot),
                because(snapshot)
            )
        }
        PairingState::RequestingCode => format!("Asking the server for a pairing code{}.", because(snapshot)),
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
    match explanation(snapshot) {
        Some(Words { what, .. }) if !what.is_empty() => format!("Not paired: {what}.{last_token}"),
        _ => format!("Not paired.{last_token}"),
    }
}

fn paired(snapshot: &Snapshot) -> String {
    let token = match snapshot.token {
        TokenState::None => "no access token",
        TokenState::Valid => "access token valid",
        TokenState::Refreshing => "refreshing the access token",
        TokenState::Stale => "access token expired, waiting for a new one",
    };
    let why = explanation(snapshot).map_or_else(String::new, |told| format!(": {}", told.what));
    format!("{}; {token}{why}.", pairing(snapshot))
}

fn pairing(snapshot: &Snapshot) -> String {
    if snapshot.device.project_name.is_empty() {
        "Paired".to_owned()
    } else {
        format!("Paired with \"{}\"", snapshot.device.project_name)
    }
}

fn because(snapshot: &Snapshot) -> String {
    explanation(snapshot).map_or_else(String::new, |told| format!(" ({})", told.what))
}

fn explanation(snapshot: &Snapshot) -> Option<Words> {
    let known = |end: Option<WallTime>| end.map_or(0, WallTime::as_secs);
    let lifetimes = &snapshot.lifetimes;
    let next_end = NextEnd::of(known(lifetimes.authorization_expires), known(lifetimes.refresh_by));
    messages::explanation(
        snapshot.pairing,
        snapshot.reason,
        snapshot.attention,
        snapshot.generation,
        next_end,
    )
}

#[cfg(test)]
mod tests;
