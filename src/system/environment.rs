//! The variables of the service manager: directories, and those of other programs by their names.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// The directories of `systemd.exec(5)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    pub state: Option<PathBuf>,
    /// `$RUNTIME_DIRECTORY`. Without one, nothing of a pairing in progress survives the process.
    pub runtime: Option<PathBuf>,
    pub credentials: Option<PathBuf>,
}

impl Environment {
    pub(crate) fn of_process() -> Self {
        Self::read(|name| std::env::var_os(name))
    }

    fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let directory = |name| {
            let list = variable(name)?;
            // A unit with several directories gets them joined by colons. Ours is the first.
            let first = list.as_bytes().split(|byte| *byte == b':').next()?;
            (!first.is_empty()).then(|| PathBuf::from(OsString::from_vec(first.to_vec())))
        };
        Self {
            state: directory("STATE_DIRECTORY"),
            runtime: directory("RUNTIME_DIRECTORY"),
            credentials: variable("CREDENTIALS_DIRECTORY")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
        }
    }
}

/// A variable of this process, where it is text. Its value may hold a password.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_several_directories_is_ours_and_empty_means_none() {
        let environment = Environment::read(|name| match name {
            "STATE_DIRECTORY" => Some("/var/lib/c2c-authd:/var/lib/other".into()),
            "RUNTIME_DIRECTORY" => Some("".into()),
            "CREDENTIALS_DIRECTORY" => Some("/run/credentials/c2c-authd.service".into()),
            _ => None,
        });
        assert_eq!(environment.state, Some(PathBuf::from("/var/lib/c2c-authd")));
        assert_eq!(environment.runtime, None);
        assert_eq!(
            environment.credentials,
            Some(PathBuf::from("/run/credentials/c2c-authd.service"))
        );
        assert_eq!(Environment::read(|_| None), Environment::default());
    }
}
