//! The names of the D-Bus contract, for the daemon that serves them and the tool that calls them.
//!
//! Owns: bus name, object path, interfaces, error names and which bus. They are API
//! (`dbus/org.cameratocloud.Auth1.xml` lists them): they grow, and do not change.

use std::fmt;
use std::ops::RangeInclusive;

pub(crate) const NAME: &str = "org.cameratocloud.Auth1";
pub(crate) const OBJECT: &str = "/org/cameratocloud/Auth1";
/// The interface of the role "ui".
pub(crate) const PAIRING: &str = "org.cameratocloud.Auth1.Pairing";
/// The interface of the role "uploader".
pub(crate) const TOKENS: &str = "org.cameratocloud.Auth1.Tokens";
/// The interface of every role.
pub(crate) const DEVICE: &str = "org.cameratocloud.Auth1.Device";

/// Sides of a QR code that a caller may ask for, in pixels. A smaller one cannot be read from a
/// screen. The caller can enlarge a code itself.
pub(crate) const QR_SIZES: RangeInclusive<u32> = 250..=1000;

macro_rules! error_names {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// The error names of the contract: the bus's own where they are exact, ours for the rest.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum ErrorName {
            $($(#[$doc])* $variant,)+
        }

        impl ErrorName {
            /// Every name, in the order of the contract.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)+];

            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The other way round, for clients.
            pub(crate) fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

error_names! {
    /// The caller does not hold the role, or the bus does not say who it is.
    AccessDenied = "org.freedesktop.DBus.Error.AccessDenied",
    /// An unknown option, an option of another type, an impossible value.
    InvalidArgs = "org.freedesktop.DBus.Error.InvalidArgs",
    /// This uid calls too often, or has too many calls waiting.
    LimitsExceeded = "org.freedesktop.DBus.Error.LimitsExceeded",
    /// This provider or this configuration cannot do it.
    NotSupported = "org.freedesktop.DBus.Error.NotSupported",
    /// The call's time is over. The work goes on.
    Timeout = "org.freedesktop.DBus.Error.Timeout",
    /// Another process has the port of the redirect URI.
    AddressInUse = "org.freedesktop.DBus.Error.AddressInUse",
    /// The daemon is shutting down, or the device's own system failed.
    Failed = "org.freedesktop.DBus.Error.Failed",
    /// Client id, client secret or state key is absent. `PairingReason` says which.
    NotProvisioned = "org.cameratocloud.Auth1.Error.NotProvisioned",
    /// There is no pairing.
    NotPaired = "org.cameratocloud.Auth1.Error.NotPaired",
    /// There is one already, and `replace` was not asked for.
    AlreadyPaired = "org.cameratocloud.Auth1.Error.AlreadyPaired",
    /// No flow is running, it ended, or the code asked for is gone.
    NoPairing = "org.cameratocloud.Auth1.Error.NoPairing",
    /// The server cannot be reached.
    Offline = "org.cameratocloud.Auth1.Error.Offline",
    /// The device's clock is not set, so that no certificate can be checked.
    ClockNotSet = "org.cameratocloud.Auth1.Error.ClockNotSet",
    /// The server refuses this client: its id, its secret or what it asks for.
    ClientRejected = "org.cameratocloud.Auth1.Error.ClientRejected",
    /// The server answers, but not as its protocol says.
    ServerError = "org.cameratocloud.Auth1.Error.ServerError",
    /// The state directory cannot be written.
    StorageFailed = "org.cameratocloud.Auth1.Error.StorageFailed",
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum BusAddress {
    /// The system's. `DBUS_SYSTEM_BUS_ADDRESS` may say where it is.
    #[default]
    System,
    Session,
    /// A D-Bus address, e.g. `unix:path=/run/bus`.
    Address(String),
}

impl From<&str> for BusAddress {
    fn from(text: &str) -> Self {
        match text {
            "system" => Self::System,
            "session" => Self::Session,
            address => Self::Address(address.to_owned()),
        }
    }
}

impl fmt::Display for BusAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("the system bus"),
            Self::Session => f.write_str("the session bus"),
            Self::Address(address) => write!(f, "the bus at {address}"),
        }
    }
}
