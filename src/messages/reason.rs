//! The words of the contract as sentences for people: what happened, and what to do about it.
//! Shared by STATUS, the journal and `c2c-authctl`.
//!
//! Must never: hold anything but fixed text, so that no secret can slip in (I8).

use c2c_auth_core::{ErrorWord, Generation, PairingState, Reason, TokenState};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    /// The event: a clause that begins small and has no full stop.
    pub what: &'static str,
    /// The remedy: a sentence without its full stop. Empty where there is nothing to do.
    pub cure: &'static str,
}

pub(super) const fn words(what: &'static str, cure: &'static str) -> Words {
    Words { what, cure }
}

/// For those at the device's screen and for those at its shell.
pub(crate) const PAIR: &str = "Pair this device, on its screen or by: c2c-authctl pair";
const ONLINE: &str =
    "Connect the device to the internet; after too long offline (14 days at Frame.io) it has to be paired again";
const JOURNAL: &str = "See the journal: journalctl -u c2c-authd";
const PROVISION: &str = "Run: c2c-authctl provision";

/// An expired certificate, one of another name and one of an unknown CA alike: which it is says the
/// log.
pub(super) const UNTRUSTED: &str = "the network puts another certificate before the server's: a login page of this network, or \
                                    traffic inspection; or tls.ca-file is missing";
const TRUST_AND_WAIT: &str = "Log in to the network if it has a login page; else check the date of this device, and tls.ca-file in \
                              the configuration; the device tries again by itself";

pub(crate) const BEFORE_THE_END: &str =
    "Pair this device again before uploads stop, on its screen or by: c2c-authctl pair --replace";

/// The end of a pairing that comes first if nobody acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextEnd {
    RefreshToken,
    /// The end that the user chose at the server.
    Authorization,
}

impl NextEnd {
    /// Both ends are in seconds since 1970, 0 where one is not known.
    pub(crate) const fn of(authorization_expires: u64, refresh_by: u64) -> Self {
        if authorization_expires != 0 && (refresh_by == 0 || authorization_expires < refresh_by) {
            Self::Authorization
        } else {
            Self::RefreshToken
        }
    }
}

/// Why the pairing state is what it is.
pub(crate) const fn reason(reason: Reason) -> Words {
    match reason {
        Reason::None => words("nothing to explain", ""),
        Reason::NeverPaired => words("this device was never paired", PAIR),
        Reason::CodeExpired => words("the pairing code expired", "Use the newest code"),
        Reason::Cancelled => words("pairing was cancelled on this device", PAIR),
        Reason::Denied => words("pairing was declined at the server", PAIR),
        Reason::GaveUp => words("nobody entered the pairing code in time", PAIR),
        Reason::ClientRejected => words(
            "the server refuses this client: its id, its secret or what it asks for",
            "Check the client id (provider.client-id, else device.client-id), the client secret and provider.scope; the journal names \
             the server's word",
        ),
        Reason::Unpaired => words("this device was unpaired", PAIR),
        Reason::Revoked => words(
            "the device was removed at the server, or its authorization was withdrawn",
            PAIR,
        ),
        Reason::RefreshTokenExpired => words(
            "the device was offline for too long and its authorization expired",
            PAIR,
        ),
        Reason::AuthorizationExpired => words("the time is over that the user chose when the device was paired", PAIR),
        Reason::RefreshAnswerLost => words(
            "the connection broke while the server renewed the tokens, and the new ones never arrived",
            "Nothing is broken; pair this device, on its screen or by: c2c-authctl pair",
        ),
        Reason::NoRefreshToken => words(
            "the server granted no refresh token, so the pairing ends with its access token",
            "Ask for offline access in provider.scope (\"offline\" at Frame.io, often \"offline_access\" elsewhere), then pair this \
             device, on its screen or by: c2c-authctl pair",
        ),
        Reason::Offline => words(
            "the server cannot be reached",
            "Check the network; the device tries again by itself",
        ),
        Reason::ClockNotSet => words(
            "the clock is not set, so the server's certificate cannot be checked",
            "Set the clock, or let NTP set it; the device tries again by itself",
        ),
        Reason::TlsUntrusted => words(UNTRUSTED, TRUST_AND_WAIT),
        Reason::ServerError => words(
            "the server gave no usable answer",
            "See the journal for its fault (journalctl -u c2c-authd), and check the network (a captive portal?); the device tries \
             again by itself",
        ),
        Reason::RefreshRefused => words(
            "the server refuses to renew the token",
            "See the journal for its error (journalctl -u c2c-authd); if that stays, pair this device again, on its screen or by: \
             c2c-authctl pair --replace",
        ),
        Reason::LocalFault => words(
            "something on this device is in the way, or its configuration does not fit the server",
            "See the journal: journalctl -u c2c-authd; the device tries again by itself",
        ),
        Reason::StorageFailed => words(
            "the state directory cannot be written",
            "Free some space on its file system, or make it writable; c2c-authctl check names it, and the device tries again by itself",
        ),
        Reason::ClientIdMissing => words(
            "no client id is configured or found",
            "Set device.client-id or device.client-id-from in the configuration",
        ),
        Reason::ClientSecretMissing => words("no client secret is provisioned", PROVISION),
        Reason::StateKeyMissing => words("no state key is provisioned", PROVISION),
        Reason::StateKeyMismatch => words(
            "the stored pairing was sealed with another state key",
            "Bring back the former state key and restart c2c-authd; or pair this device, on its screen or by: c2c-authctl pair",
        ),
        Reason::ForeignRecord => words(
            "the stored pairing belongs to another provider or client id",
            "Bring back the former configuration and restart c2c-authd; or pair this device, on its screen or by: c2c-authctl pair",
        ),
        Reason::RecordDamaged => words("the stored pairing is damaged and cannot be read", PAIR),
    }
}

/// Why a flow ended without a pairing. Nothing goes on by itself then.
pub(crate) const fn flow_end(why: Reason) -> Words {
    match why {
        Reason::CodeExpired => words(reason(why).what, PAIR),
        Reason::Offline => words(
            reason(why).what,
            "Check the network, then pair this device, on its screen or by: c2c-authctl pair",
        ),
        Reason::ClockNotSet => words(
            reason(why).what,
            "Set the clock, or let NTP set it, then pair this device, on its screen or by: c2c-authctl pair",
        ),
        Reason::ServerError => words(
            "the server refused several codes in a row, or the only one",
            "Look at the journal (journalctl -u c2c-authd) for its error, then pair this device, on its screen or by: c2c-authctl pair",
        ),
        Reason::TlsUntrusted => words(
            reason(why).what,
            "Log in to the network if it has a login page, else check tls.ca-file; then pair this device, on its screen or by: \
             c2c-authctl pair",
        ),
        Reason::StorageFailed => words(
            reason(why).what,
            "Free some space on its file system, or make it writable (c2c-authctl check names it); then pair this device, on its \
             screen or by: c2c-authctl pair",
        ),
        Reason::LocalFault => words(
            reason(why).what,
            "Look at the journal (journalctl -u c2c-authd), then pair this device, on its screen or by: c2c-authctl pair",
        ),
        other => reason(other),
    }
}

/// The explanation beside the state, and the remedy. One answer for STATUS, `c2c-authctl status`
/// and `check`.
///
/// State and reason decide. A paired device that needs a person without a reason has one cause
/// left, an end that is near: the last error may be of something else, and does not count.
/// `generation`: of the token that is served. `next_end`: what ends first.
pub(crate) const fn explanation(
    state: PairingState,
    why: Reason,
    attention: bool,
    generation: Generation,
    next_end: NextEnd,
) -> Option<Words> {
    match (why, state) {
        // The flow began, or a code is being replaced: nothing to explain to anyone.
        (Reason::None | Reason::NeverPaired | Reason::CodeExpired, PairingState::RequestingCode) => None,
        (Reason::None, PairingState::AwaitingUser) if attention => Some(words(
            "",
            "Enter the code that the device shows; c2c-authctl pair shows it too",
        )),
        (Reason::None, PairingState::Paired) if attention => Some(match next_end {
            NextEnd::RefreshToken => words(
                "the tokens have not been renewed for a long time, and the pairing expires soon",
                ONLINE,
            ),
            NextEnd::Authorization => words(
                "the time that the user chose when the device was paired ends soon, or has ended",
                BEFORE_THE_END,
            ),
        }),
        (Reason::None, _) if attention => Some(words("", JOURNAL)),
        (Reason::None, _) => None,
        (why, PairingState::Unpaired) => Some(flow_end(why)),
        // A pairing always has one, unless the server's cannot be used.
        (Reason::ServerError, PairingState::Paired) if generation.0 == Generation::NONE.0 => Some(words(
            "the server's access token cannot be used",
            "Look at the journal (journalctl -u c2c-authd) for its size or fault, and let the server issue another kind of token; \
             the device asks again every 15 minutes",
        )),
        (why, _) => Some(reason(why)),
    }
}

pub(crate) const fn pairing_state(state: PairingState) -> &'static str {
    match state {
        PairingState::Unprovisioned => "not provisioned: something is missing on the device",
        PairingState::Unpaired => "not paired",
        PairingState::RequestingCode => "asking the server for a code",
        PairingState::AwaitingUser => "waiting for someone to enter the code",
        PairingState::Paired => "paired",
    }
}

/// The result that a caller for a token would get.
pub(crate) const fn token_state(state: TokenState) -> &'static str {
    match state {
        TokenState::None => "none",
        TokenState::Valid => "valid",
        TokenState::Refreshing => "being refreshed",
        TokenState::Stale => "expired, waiting for a new one",
    }
}

/// The last thing that went wrong, and what to do when it needs a person for another reason than
/// the pairing's.
pub(crate) const fn error(word: ErrorWord) -> Words {
    match word {
        ErrorWord::Offline => words("the server could not be reached", ONLINE),
        ErrorWord::ClockNotSet => words("the clock was not set", reason(Reason::ClockNotSet).cure),
        ErrorWord::TlsUntrusted => words(
            "the server's certificate was not trusted",
            reason(Reason::TlsUntrusted).cure,
        ),
        ErrorWord::AnswerLost => words("the connection broke before the server's answer", ONLINE),
        ErrorWord::ServerError => words("the server gave no usable answer", ONLINE),
        ErrorWord::LocalFault => words(reason(Reason::LocalFault).what, reason(Reason::LocalFault).cure),
        ErrorWord::RateLimited => words("the server asked for fewer requests", ONLINE),
        ErrorWord::ClientRejected => words(
            "the server refused this client: its id, its secret or what it asks for",
            reason(Reason::ClientRejected).cure,
        ),
        ErrorWord::BadUserCode => words("the server sent a malformed pairing code", JOURNAL),
        ErrorWord::StorageFailed => words(
            "the state directory or the runtime directory could not be written",
            reason(Reason::StorageFailed).cure,
        ),
        ErrorWord::PairingLost => words("the server refused for good to renew the tokens", PAIR),
        ErrorWord::TokenRefused => words("the server refused an access token before its end", JOURNAL),
    }
}

/// The clause as the beginning of a sentence.
pub(crate) fn capital(clause: &str) -> String {
    let mut letters = clause.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
