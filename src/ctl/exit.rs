//! How the tool ends: a number for scripts, a sentence for people.

use std::fmt;
use std::io;
use std::process::ExitCode;

use super::access::DENIED;
use c2c_auth_client::proxy::ERRORS;

/// The exit codes, which scripts act on. They are documented in `--help`, and numbers never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Exit {
    Ok = 0,
    /// Not done, for a reason that has no number of its own.
    Failed = 1,
    Usage = 2,
    NotPaired = 3,
    /// Something is missing on the device, or the server does not accept it.
    NotProvisioned = 4,
    /// The server cannot be reached, or the clock is not set.
    Offline = 5,
    Denied = 6,
    Unreachable = 7,
    /// Something else is there, and nobody said to replace it.
    Differs = 8,
    /// This device forgot, or held back from it, and the server does not know.
    ServerNotTold = 9,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) sentence: String,
}

impl Failure {
    pub(super) fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        Self {
            exit,
            sentence: sentence.into(),
        }
    }
}

impl Failure {
    pub(super) fn usage(sentence: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, sentence.to_string())
    }

    /// A failure that has no number of its own.
    pub(super) fn failed(sentence: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, sentence.to_string())
    }
}

/// One that names its file.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::failed(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// The last part of the daemon's own error name, if it is one of its own.
pub(super) fn word_of(error: &zbus::Error) -> Option<&str> {
    match error {
        zbus::Error::MethodError(name, ..) => name.as_str().strip_prefix(ERRORS),
        _ => None,
    }
}

/// The call got no answer: the daemon left with it, or hangs.
pub(super) fn is_unanswered(error: &zbus::Error) -> bool {
    match error {
        zbus::Error::FDO(known) => matches!(**known, zbus::fdo::Error::NoReply(_)),
        zbus::Error::InputOutput(error) => error.kind() == io::ErrorKind::TimedOut,
        _ => false,
    }
}

/// The command that helps with an error of the daemon's own.
fn cure(word: Option<&str>) -> &'static str {
    match word {
        Some("NotProvisioned" | "ClientRejected" | "StorageFailed") => "; run: c2c-authctl check",
        Some("NotPaired") => "; run: c2c-authctl pair",
        _ => "",
    }
}

/// Names what happened and what helps. An error of the daemon explains itself in its text.
impl From<zbus::Error> for Failure {
    fn from(error: zbus::Error) -> Self {
        use zbus::{DBusError as _, fdo};
        let absent = || {
            Self::new(
                Exit::Unreachable,
                "c2c-authd is not running and cannot be started; see: systemctl status c2c-authd",
            )
        };
        let silent = || {
            Self::new(
                Exit::Unreachable,
                "c2c-authd did not answer; see: systemctl status c2c-authd",
            )
        };
        match &error {
            zbus::Error::MethodError(name, text, _) => {
                let exit = match word_of(&error) {
                    Some("NotProvisioned" | "ClientRejected") => Exit::NotProvisioned,
                    Some("NotPaired") => Exit::NotPaired,
                    Some("Offline" | "ClockNotSet") => Exit::Offline,
                    _ => Exit::Failed,
                };
                // An activated unit that failed is told by systemd's own error names.
                if name.as_str().starts_with("org.freedesktop.systemd1.") {
                    return absent();
                }
                let text = text.clone().unwrap_or_else(|| name.to_string());
                // The daemon's text is for whatever calls it, also a screen on which nobody can run
                // a command.
                Self::new(exit, text + cure(word_of(&error)))
            }
            zbus::Error::FDO(known) => match known.as_ref() {
                fdo::Error::AccessDenied(_) | fdo::Error::AuthFailed(_) => Self::new(Exit::Denied, DENIED),
                fdo::Error::NoReply(_) | fdo::Error::Disconnected(_) => silent(),
                fdo::Error::ServiceUnknown(_)
                | fdo::Error::NameHasNoOwner(_)
                // dbus-daemon answers this, after 25 s, for a unit that fails when it is called.
                | fdo::Error::TimedOut(_)
                | fdo::Error::SpawnExecFailed(_)
                | fdo::Error::SpawnForkFailed(_)
                | fdo::Error::SpawnChildExited(_)
                | fdo::Error::SpawnChildSignaled(_)
                | fdo::Error::SpawnFailed(_)
                | fdo::Error::SpawnServiceNotFound(_) => absent(),
                other => {
                    let text = other.description().map_or_else(|| other.to_string(), str::to_owned);
                    Self::new(Exit::Failed, text)
                }
            },
            zbus::Error::InputOutput(error) if error.kind() == io::ErrorKind::TimedOut => silent(),
            zbus::Error::InputOutput(_) | zbus::Error::Handshake(_) | zbus::Error::Address(_) => {
                Self::new(Exit::Unreachable, format!("the bus cannot be reached ({error})"))
            }
            _ => Self::new(Exit::Failed, error.to_string()),
        }
    }
}
