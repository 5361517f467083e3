//! How the process ends: one number that a service manager can act on, one sentence that a person
//! can.

use std::io;
use std::process::ExitCode;

use tokio::task::JoinError;

use super::reload::HANGS;
use crate::bus::BusError;
use crate::config::ConfigError;
use crate::config::secrets::SecretError;
use crate::oauth::SettingsError;
use crate::store::OpenError;
use crate::system::user_namespace::why_a_bus_refuses;
use crate::transport::{ProxyError, TlsError};

/// Exit codes of `sysexits.h`, as far as this daemon has a use for them. The unit does not restart
/// after 64, 77 and 78.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// 64: the command line is wrong.
    Usage = 64,
    /// 70: a fault of the daemon itself.
    Internal = 70,
    /// 74: the state or runtime directory is not there, or cannot be read.
    Io = 74,
    /// 75: the cause lies outside and may pass (no bus, bus lost, name taken). Worth a restart.
    TempFail = 75,
    /// 77: owner or mode of a file or directory is not what it must be.
    NoPermission = 77,
    /// 78: the configuration is wrong. A restart cannot help.
    Config = 78,
}

/// Why the daemon ends before its time. Each message names the thing and the cure, and holds no
/// secret (I8).
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("{0}; see c2c-authd --help")]
    Usage(#[from] lexopt::Error),
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Passes with the mount or the name service, so that another start is worth it.
    #[error("the configuration could not be read: {HANGS}")]
    ConfigHangs,
    #[error("no state directory: set state.directory in the configuration, or let systemd make one (StateDirectory=)")]
    NoStateDirectory,
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Provider(#[from] SettingsError),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error("{}", of_the_bus(.0))]
    Bus(#[from] BusError),
    #[error("cannot start a thread for the store: {0}; check TasksMax= of the unit")]
    StoreThread(io::Error),
    #[error("no {0}: {1}")]
    Missing(&'static str, io::Error),
    /// A panic ends the process where it happens, so this says that the runtime gave the task up.
    #[error("the loop was dropped: {0}")]
    LoopDropped(JoinError),
    #[error("the kernel's timers failed: {0}")]
    Timers(io::Error),
    #[error("{}", BUS_LOST)]
    BusLost,
}

/// With what the bus cannot know of this process.
fn of_the_bus(error: &BusError) -> String {
    let hint = match error {
        BusError::Unreachable { .. } => why_a_bus_refuses(),
        _ => String::new(),
    };
    format!("{error}{hint}")
}

/// Told to the journal, and as the reason of the end.
pub(crate) const BUS_LOST: &str = "The connection to the bus was lost.";

impl StartError {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Usage(_) => Code::Usage,
            Self::Config(error) => config_code(error.exit_code()),
            Self::Secret(error) => config_code(error.exit_code()),
            Self::NoStateDirectory | Self::Provider(_) | Self::Tls(_) | Self::Proxy(_) => Code::Config,
            Self::Store(OpenError::NotOurs { .. } | OpenError::Mode { .. })
            | Self::Bus(BusError::NameForbidden { .. }) => Code::NoPermission,
            Self::Store(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
                Code::NoPermission
            }
            Self::Store(OpenError::Missing { .. } | OpenError::Io { .. }) => Code::Io,
            Self::Store(OpenError::Locked { .. })
            | Self::ConfigHangs
            | Self::Bus(_)
            | Self::StoreThread(_)
            | Self::BusLost => Code::TempFail,
            Self::Missing(..) | Self::LoopDropped(_) | Self::Timers(_) => Code::Internal,
        }
    }

    pub(crate) fn sentence(&self) -> String {
        one_line(&self.to_string())
    }
}

/// The two codes that configuration and secrets know.
fn config_code(sysexit: u8) -> Code {
    if sysexit == Code::NoPermission as u8 {
        Code::NoPermission
    } else {
        Code::Config
    }
}

/// Line breaks, which a STATUS cannot carry, become spaces.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line() {
        assert_eq!(
            one_line("expected a value\n  |\n3 | x =\n"),
            "expected a value | 3 | x ="
        );
    }

    #[test]
    fn codes_are_those_of_sysexits() {
        let codes = [
            Code::Usage,
            Code::Internal,
            Code::Io,
            Code::TempFail,
            Code::NoPermission,
            Code::Config,
        ];
        assert_eq!(codes.map(|code| code as u8), [64, 70, 74, 75, 77, 78]);
    }
}
