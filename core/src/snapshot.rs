//! The visible state: immutable, free of secrets and pairing codes (I8).
//!
//! Every word here is part of the D-Bus contract: lists grow, words never change.

use std::hash::{Hash, Hasher};

use super::time::WallTime;
use super::token::Generation;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
        }

        impl $name {
            /// Every word, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word on the bus, in the journal and in the record.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The other way round.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|candidate| candidate.word() == word)
            }
        }
    };
}

words! {
    /// Where the pairing flow stands.
    PairingState {
        /// Not paired, and client id, client secret or state key is absent.
        Unprovisioned = "unprovisioned",
        /// No pairing and no flow.
        Unpaired = "unpaired",
        /// A code is being asked for.
        RequestingCode = "requesting-code",
        /// A code is on show.
        AwaitingUser = "awaiting-user",
        /// Paired, and no replacement flow is running.
        Paired = "paired",
    }
}

words! {
    /// Why the pairing state is what it is.
    Reason {
        /// Nothing to explain.
        None = "none",
        /// This device was never paired.
        NeverPaired = "never-paired",
        /// The code expired and is being replaced, or was not to be renewed.
        CodeExpired = "code-expired",
        /// Somebody with the `ui` role cancelled.
        Cancelled = "cancelled",
        /// The user declined at the server.
        Denied = "denied",
        /// Nobody entered a code within `give-up-after`.
        GaveUp = "gave-up",
        /// The server refuses this client, its secret or what it asks for: a configuration fault.
        ClientRejected = "client-rejected",
        /// Unpaired on this device.
        Unpaired = "unpaired",
        /// The server no longer knows the authorization (device forgotten, authorization expired or
        /// withdrawn).
        Revoked = "revoked",
        /// Refused after the refresh token's predicted end.
        RefreshTokenExpired = "refresh-token-expired",
        /// Refused after the end that the user chose when pairing.
        AuthorizationExpired = "authorization-expired",
        /// The server used up the refresh token, but its answer never arrived here.
        RefreshAnswerLost = "refresh-answer-lost",
        /// The access token ended and the server had granted no refresh token.
        NoRefreshToken = "no-refresh-token",
        /// The server cannot be reached.
        Offline = "offline",
        /// The device's clock is not set, so that no certificate can be checked.
        ClockNotSet = "clock-not-set",
        /// Another certificate than the server's came: a login page of the network, traffic
        /// inspection, or a CA that is not known here.
        TlsUntrusted = "tls-untrusted",
        /// The server answers, but not as its protocol says.
        ServerError = "server-error",
        /// The access token ended, and for an hour the server itself has refused each refresh.
        RefreshRefused = "refresh-refused",
        /// Something on this device, or a configuration that does not fit the server, is in the
        /// way.
        LocalFault = "local-fault",
        /// The state directory cannot be written, so that nothing is renewed.
        StorageFailed = "storage-failed",
        /// No client id is configured or found.
        ClientIdMissing = "client-id-missing",
        /// No client secret is provisioned.
        ClientSecretMissing = "client-secret-missing",
        /// No state key is provisioned.
        StateKeyMissing = "state-key-missing",
        /// A record exists that the present state key does not open.
        StateKeyMismatch = "state-key-mismatch",
        /// A record exists that was made for another provider or client.
        ForeignRecord = "foreign-record",
        /// Records exist and none can be read.
        RecordDamaged = "record-damaged",
    }
}

words! {
    /// The token that `GetAccessToken` would find.
    TokenState {
        /// No token.
        None = "none",
        /// A token that lives.
        Valid = "valid",
        /// A refresh is under way.
        Refreshing = "refreshing",
        /// The token ended or was refused, and no new one is there yet.
        Stale = "stale",
    }
}

words! {
    /// The last thing that went wrong.
    ErrorWord {
        /// Name lookup, connection or handshake failed: nothing was sent.
        Offline = "offline",
        /// A certificate could not be checked because the clock is not set.
        ClockNotSet = "clock-not-set",
        /// The server's certificate is not to be trusted.
        TlsUntrusted = "tls-untrusted",
        /// The connection broke, or time ran out, after a request was sent.
        AnswerLost = "answer-lost",
        /// The answer was no answer of this protocol (captive portal, 5xx, garbage).
        ServerError = "server-error",
        /// Something on this device, or a configuration that does not fit the server.
        LocalFault = "local-fault",
        /// The server asks for fewer requests.
        RateLimited = "rate-limited",
        /// The server refuses this client, its secret or what it asks for.
        ClientRejected = "client-rejected",
        /// A pairing code not of the promised shape was discarded.
        BadUserCode = "bad-user-code",
        /// The state directory cannot be written; tokens are served from memory.
        StorageFailed = "storage-failed",
        /// A refresh token was refused for good.
        PairingLost = "pairing-lost",
        /// The server refused an access token that had not ended.
        TokenRefused = "token-refused",
    }
}

/// The server's data about this device. All text is capped and stripped of control characters at
/// parse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeviceInfo {
    /// The name shown to the user in the project; empty if unknown.
    pub name: String,
    /// The project's stable id; empty if unknown.
    pub project_id: String,
    /// The project's name, which its owner may change; empty if unknown.
    pub project_name: String,
}

/// Until when things last, and since when. `None`: not known, also while the clock is not trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lifetimes {
    /// `PairedSince`: when this pairing was granted.
    pub paired_since: Option<WallTime>,
    /// `TokenExpires`: the end of the token that is served.
    pub token_expires: Option<WallTime>,
    /// `RefreshBy`: the refresh token's predicted end. Without a refresh until then the device has
    /// to be paired again.
    pub refresh_by: Option<WallTime>,
    /// `AuthorizationExpires`: the end that the user chose when pairing.
    pub authorization_expires: Option<WallTime>,
}

/// The server's last word on this device beside its names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// `LastContact`: when. `None`: never in this process, or while the clock is not trusted.
    pub at: Option<WallTime>,
    /// `Paused`: the user had paused the device.
    pub paused: bool,
}

/// No decision follows from when it was: for the model, states that differ in it alone are one.
impl Hash for Contact {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.paused.hash(state);
    }
}

/// The whole visible state. Two equal snapshots look the same to every client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot {
    /// `PairingState`.
    pub pairing: PairingState,
    /// `PairingReason`.
    pub reason: Reason,
    /// `Paired`: a credential exists, whatever a flow does beside it.
    pub paired: bool,
    /// `AttentionNeeded`: a person has to do something, now or soon.
    pub attention: bool,
    /// `TokenState`.
    pub token: TokenState,
    /// `Generation`.
    pub generation: Generation,
    /// `DeviceName`, `ProjectId`, `ProjectName`.
    pub device: DeviceInfo,
    /// Ends and beginnings.
    pub lifetimes: Lifetimes,
    /// The server's last word.
    pub contact: Contact,
    /// `LastError`: the word, and when by the trusted clock.
    pub last_error: Option<(ErrorWord, Option<WallTime>)>,
}
