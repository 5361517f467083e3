//! The words of the contract in the words of a camera operator: what it is, and what to do about it.

use crate::core::{ErrorWord, PairingState, Reason, TokenState};

/// One explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// What happened: a sentence without its full stop.
    pub what: &'static str,
    /// What to do: a sentence without its full stop; empty where there is nothing to do.
    pub cure: &'static str,
}

const fn words(what: &'static str, cure: &'static str) -> Words {
    Words { what, cure }
}

const PAIR: &str = "Pair it: c2c-authctl pair";

/// Why the pairing state is what it is.
#[must_use]
pub const fn reason(reason: Reason) -> Words {
    match reason {
        Reason::None => words("", ""),
        Reason::NeverPaired => words("The device was never paired", PAIR),
        Reason::CodeExpired => words("The code ran out", "Use the newest code"),
        Reason::Cancelled => words("The pairing was cancelled on the device", PAIR),
        Reason::Denied => words("The pairing was declined at the server", PAIR),
        Reason::GaveUp => words("Nobody entered a code in time", PAIR),
        Reason::ClientRejected => words(
            "The server does not know this client id or client secret",
            "Check the client id in the configuration and the provisioned client secret with the maker of the device",
        ),
        Reason::Unpaired => words("The device was unpaired", PAIR),
        Reason::Revoked => words(
            "The device was removed at the server, or its authorization was withdrawn",
            PAIR,
        ),
        Reason::RefreshTokenExpired => words(
            "The device was without the server for longer than its authorization lasts",
            PAIR,
        ),
        Reason::RefreshAnswerLost => words(
            "The connection broke at the very moment when the server renewed the tokens, and the new ones never arrived",
            "Nobody did anything wrong. Pair it again: c2c-authctl pair",
        ),
        Reason::NoRefreshToken => words(
            "The server gave a pairing that cannot be renewed",
            "Ask for offline access in provider.scope (\"offline\" at Frame.io, often \"offline_access\" elsewhere), then pair again: c2c-authctl pair",
        ),
        Reason::Offline => words(
            "The server cannot be reached",
            "Check the network; the device tries again by itself",
        ),
        Reason::ClockNotSet => words(
            "The clock of the device is not set, so that it cannot check whom it talks to",
            "Set the clock, or let it find a time server; the device tries again by itself",
        ),
        Reason::ServerError => words(
            "The server, or something in between such as a guest network's login page, gave no proper answer",
            "Check the network; the device tries again by itself",
        ),
        Reason::LocalFault => words(
            "Something on the device is in the way, or its configuration does not fit the server",
            "See the journal for what it is: journalctl -u c2c-authd; the device tries again by itself",
        ),
        Reason::ClientIdMissing => words(
            "The device has no client id",
            "Set device.client-id or device.client-id-from in the configuration",
        ),
        Reason::ClientSecretMissing => words(
            "The client secret is missing on the device",
            "Provision the credential \"client-secret\", or secrets.client-secret-file",
        ),
        Reason::StateKeyMissing => words(
            "The key that seals the tokens is missing on the device",
            "Provision the credential \"state-key\", or secrets.state-key-file; a stored pairing is kept until then",
        ),
        Reason::StateKeyMismatch => words(
            "A pairing is stored that was sealed with another key",
            "Bring back the former state key, or pair again: c2c-authctl pair",
        ),
        Reason::ForeignRecord => words(
            "A pairing is stored that belongs to another client id or server",
            "Bring back the former configuration, or pair again: c2c-authctl pair",
        ),
        Reason::RecordDamaged => words("The stored pairing is damaged and cannot be read", PAIR),
    }
}

/// Where the flow stands.
#[must_use]
pub const fn pairing_state(state: PairingState) -> &'static str {
    match state {
        PairingState::Unprovisioned => "not ready for pairing: something is missing on the device",
        PairingState::Unpaired => "not paired",
        PairingState::RequestingCode => "asking the server for a code",
        PairingState::AwaitingUser => "waiting for somebody to enter the code",
        PairingState::Paired => "paired",
    }
}

/// What a caller for a token would find.
#[must_use]
pub const fn token_state(state: TokenState) -> &'static str {
    match state {
        TokenState::None => "none",
        TokenState::Valid => "valid",
        TokenState::Refreshing => "being renewed",
        TokenState::Stale => "ended, a new one is on its way",
    }
}

/// The last thing that went wrong.
#[must_use]
pub const fn error(word: ErrorWord) -> &'static str {
    match word {
        ErrorWord::Offline => "the server could not be reached",
        ErrorWord::ClockNotSet => "the clock was not set",
        ErrorWord::TlsUntrusted => "the server's certificate was not to be trusted",
        ErrorWord::AnswerLost => "the connection broke before the answer",
        ErrorWord::ServerError => "the server gave no proper answer",
        ErrorWord::RateLimited => "the server asked for fewer requests",
        ErrorWord::LocalFault => "something on the device was in the way, or its configuration does not fit the server",
        ErrorWord::ClientRejected => "the server refused the client id or client secret",
        ErrorWord::BadUserCode => "the server sent a pairing code that is none",
        ErrorWord::StorageFailed => "the state directory could not be written",
        ErrorWord::PairingLost => "the server refused to renew the tokens for good",
        ErrorWord::TokenRefused => "the server refused a token that should have been good",
    }
}

/// What to do when a person is needed for another reason than the pairing's.
#[must_use]
pub const fn error_cure(word: ErrorWord) -> &'static str {
    match word {
        ErrorWord::Offline | ErrorWord::AnswerLost | ErrorWord::ServerError | ErrorWord::RateLimited => {
            "Connect the device to the internet; after too long without (14 days with Frame.io Camera to Cloud) it has to be paired again"
        }
        ErrorWord::ClockNotSet => reason(Reason::ClockNotSet).cure,
        ErrorWord::TlsUntrusted => {
            "Check the network (does something in between inspect traffic?) and tls.ca-file in the configuration"
        }
        ErrorWord::ClientRejected => reason(Reason::ClientRejected).cure,
        ErrorWord::StorageFailed => "Free space in the state directory, or repair its file system",
        ErrorWord::PairingLost => PAIR,
        ErrorWord::LocalFault => reason(Reason::LocalFault).cure,
        ErrorWord::BadUserCode | ErrorWord::TokenRefused => "See the journal: journalctl -u c2c-authd",
    }
}
