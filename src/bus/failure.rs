//! What callers are told when a call fails.
//!
//! The name is the contract (`dbus/org.cameratocloud.Auth1.xml` lists all of them); the text is for people: what is wrong,
//! and what to do about it. A text never holds a code or a token: it is fixed, or quotes nothing but the caller's own words.

use std::borrow::Cow;

use zbus::message::{Header, Message};
use zbus::names::ErrorName;

use c2c_auth_core::{CallError, LocalFault};

/// The error names of the contract. The bus's own where they are exact, ours for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FailureKind {
    /// The caller does not hold the role, or the bus does not say who it is.
    AccessDenied,
    /// An unknown option, an option of another type, an impossible value.
    InvalidArgs,
    /// This uid calls too often, or has too many calls waiting.
    LimitsExceeded,
    /// Not with this provider or this configuration.
    NotSupported,
    /// The call's time is over; the work goes on.
    Timeout,
    /// The port of the redirect URI is another's.
    AddressInUse,
    /// The daemon is shutting down, or the device's own system failed.
    Failed,
    /// Client id, client secret or state key is absent; `PairingReason` says which.
    NotProvisioned,
    /// There is no pairing.
    NotPaired,
    /// There is one already, and `replace` was not asked for.
    AlreadyPaired,
    /// No flow is running, it ended, or the code asked for is gone.
    NoPairing,
    /// The server cannot be reached.
    Offline,
    /// The device's clock is not set, so that no certificate can be checked.
    ClockNotSet,
    /// The server refuses this client: its id, its secret or what it asks for.
    ClientRejected,
    /// The server answers, but not as its protocol says.
    ServerError,
    /// The state directory cannot be written.
    StorageFailed,
}

impl FailureKind {
    /// Every kind, in the order of the contract.
    pub(crate) const ALL: &'static [Self] = &[
        Self::AccessDenied,
        Self::InvalidArgs,
        Self::LimitsExceeded,
        Self::NotSupported,
        Self::Timeout,
        Self::AddressInUse,
        Self::Failed,
        Self::NotProvisioned,
        Self::NotPaired,
        Self::AlreadyPaired,
        Self::NoPairing,
        Self::Offline,
        Self::ClockNotSet,
        Self::ClientRejected,
        Self::ServerError,
        Self::StorageFailed,
    ];

    /// The D-Bus error name.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AccessDenied => "org.freedesktop.DBus.Error.AccessDenied",
            Self::InvalidArgs => "org.freedesktop.DBus.Error.InvalidArgs",
            Self::LimitsExceeded => "org.freedesktop.DBus.Error.LimitsExceeded",
            Self::NotSupported => "org.freedesktop.DBus.Error.NotSupported",
            Self::Timeout => "org.freedesktop.DBus.Error.Timeout",
            Self::AddressInUse => "org.freedesktop.DBus.Error.AddressInUse",
            Self::Failed => "org.freedesktop.DBus.Error.Failed",
            Self::NotProvisioned => "org.cameratocloud.Auth1.Error.NotProvisioned",
            Self::NotPaired => "org.cameratocloud.Auth1.Error.NotPaired",
            Self::AlreadyPaired => "org.cameratocloud.Auth1.Error.AlreadyPaired",
            Self::NoPairing => "org.cameratocloud.Auth1.Error.NoPairing",
            Self::Offline => "org.cameratocloud.Auth1.Error.Offline",
            Self::ClockNotSet => "org.cameratocloud.Auth1.Error.ClockNotSet",
            Self::ClientRejected => "org.cameratocloud.Auth1.Error.ClientRejected",
            Self::ServerError => "org.cameratocloud.Auth1.Error.ServerError",
            Self::StorageFailed => "org.cameratocloud.Auth1.Error.StorageFailed",
        }
    }

    /// The other way round, for clients.
    #[must_use]
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// One failed call: a name for programs, a text for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Failure {
    kind: FailureKind,
    text: Cow<'static, str>,
}

impl Failure {
    /// Of this kind, in these words. The words must not hold a secret.
    #[must_use]
    pub(crate) fn new(kind: FailureKind, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }

    /// For programs, which read it as the error's name.
    #[cfg(test)]
    pub(crate) const fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The loop is gone or answered with something else: only a daemon that is ending does that.
    pub(super) const fn ending() -> Self {
        Self {
            kind: FailureKind::Failed,
            text: Cow::Borrowed("c2c-authd is shutting down; call again in a moment"),
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        use FailureKind as K;
        let (kind, text) = match error {
            CallError::NotProvisioned => (
                K::NotProvisioned,
                "this device is not provisioned: PairingReason names what is missing",
            ),
            CallError::NotPaired => (K::NotPaired, "this device is not paired: call StartPairing"),
            CallError::AlreadyPaired => (
                K::AlreadyPaired,
                "this device is already paired: call Unpair first, or StartPairing with the option \"replace\"",
            ),
            CallError::NoPairing => (K::NoPairing, "no pairing is in progress: call StartPairing"),
            CallError::Offline => (
                K::Offline,
                "the server cannot be reached: check the network; the daemon keeps trying",
            ),
            CallError::ClockNotSet => (
                K::ClockNotSet,
                "the clock is not set, so the server's certificate cannot be checked: set the clock or wait for NTP",
            ),
            CallError::ClientRejected => (
                K::ClientRejected,
                "the server refuses this client: its id, its secret or what it asks for",
            ),
            CallError::ServerError => (
                K::ServerError,
                "the server gave no usable answer (a captive portal? an outage?), or an access token that cannot be used; the daemon \
                 keeps trying, and its journal tells which",
            ),
            CallError::Local(fault) => local(fault),
            CallError::StorageFailed => (
                K::StorageFailed,
                "the state directory cannot be written: check its free space and mount",
            ),
            CallError::Timeout => (
                K::Timeout,
                "not finished in time; the work continues, watch the properties",
            ),
            CallError::NotByRedirect => (
                K::NotSupported,
                "this kind of provider is paired by a code, not by a redirect: call GetPairingCode and show the code",
            ),
            CallError::WrongState => (
                K::InvalidArgs,
                "this address does not answer the current authorization request: open the one that GetPairingCode returns",
            ),
            CallError::UnknownGeneration => (
                K::InvalidArgs,
                "there never was a token of this generation: pass the one that GetAccessToken returned",
            ),
            CallError::NotYours => (
                K::AccessDenied,
                "the token of this generation was never handed to this user: call GetAccessToken first",
            ),
            CallError::TooOften => (
                K::LimitsExceeded,
                "too many pairing codes were requested: at most one in 5 s, and 30 an hour",
            ),
        };
        Self {
            kind,
            text: Cow::Borrowed(text),
        }
    }
}

/// What is to be fixed on the device. The daemon keeps trying all the same.
const fn local(fault: LocalFault) -> (FailureKind, &'static str) {
    use FailureKind as K;
    match fault {
        LocalFault::PortTaken => (
            K::AddressInUse,
            "another process has the port of provider.redirect-uri: free it, or change provider.redirect-uri",
        ),
        LocalFault::NoListener => (
            K::Failed,
            "the address of provider.redirect-uri cannot be listened on; see: journalctl -u c2c-authd",
        ),
        LocalFault::NoEntropy => (
            K::Failed,
            "the system gives no random bytes, without which no pairing is secure: call again in a moment",
        ),
        LocalFault::AnotherIssuer => (
            K::NotSupported,
            "the server's metadata names another issuer: set provider.issuer exactly as the server names itself",
        ),
        LocalFault::NoEndpoint => (
            K::NotSupported,
            "the server's metadata lacks an endpoint that this provider.kind needs: set it in [provider], or choose another kind",
        ),
        LocalFault::NoS256 => (
            K::NotSupported,
            "the server does not support the PKCE method S256, without which a code could be stolen: this provider.kind cannot \
             be used with it",
        ),
    }
}

impl zbus::DBusError for Failure {
    fn create_reply(&self, call: &Header<'_>) -> zbus::Result<Message> {
        Message::error(call, self.kind.name()).build(&(&*self.text,))
    }

    fn name(&self) -> ErrorName<'_> {
        ErrorName::from_static_str_unchecked(self.kind.name())
    }

    fn description(&self) -> Option<&str> {
        Some(&self.text)
    }
}
