//! The machine as the tool sees it: paths below a root that tests can change, and the user that the
//! daemon runs as.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use super::exit::{Exit, Failure};
use crate::config::accounts::{Accounts, Native};
use crate::config::{Config, ConfigError, MachineId, System};
use crate::system::atomic_file::Disk;
use crate::system::mounts::{Ground, Mounts};

pub(super) const USER: &str = "c2c-authd";
pub(super) const UNIT: &str = "c2c-authd.service";

#[derive(Clone)]
pub(super) struct Site {
    root: PathBuf,
    /// All that the programs which are called find in their environment: where a test's host key
    /// and TPM are. Nothing on this machine: variables of the caller are not passed on, and systemd
    /// itself would not see them when it opens the secrets.
    pub(super) environment: Vec<(&'static str, OsString)>,
    /// `None`: there is no such user.
    pub(super) service: Option<(u32, u32)>,
    /// Whom everything belongs to that the daemon must not be able to change.
    pub(super) root_uid: u32,
    pub(super) accounts: Arc<dyn Accounts>,
    pub(super) disk: Disk,
    pub(super) mounts: Mounts,
    /// As `systemd-creds` sees it, which knows only this machine's.
    pub(super) machine: MachineId,
}

impl Site {
    pub(super) fn host() -> Self {
        Self {
            root: PathBuf::from("/"),
            environment: Vec::new(),
            service: Native.user_named(USER).map(|user| (user.uid, user.gid)),
            root_uid: 0,
            accounts: Arc::new(Native),
            disk: Disk::real(),
            mounts: Mounts::of_process(),
            machine: System::host().machine_id(),
        }
    }

    /// True if the site is this machine, and not a tree below some directory.
    pub(super) fn is_host(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where the absolute `path` of that machine is found.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The name that the machine itself has for `path`, which is where we find the file.
    pub(super) fn machine_path(&self, path: &Path) -> PathBuf {
        let root = self.root.canonicalize();
        let below = path.strip_prefix(&self.root).or_else(|error| match &root {
            Ok(root) => path.strip_prefix(root),
            Err(_) => Err(error),
        });
        Path::new("/").join(below.unwrap_or(path))
    }

    /// The kind of file system below the absolute `path` of that machine.
    pub(super) fn ground(&self, path: impl AsRef<Path>) -> Ground {
        self.mounts.ground(&self.path(path))
    }

    pub(super) fn config(&self) -> Result<Config, ConfigError> {
        Config::load(&self.system())
    }

    /// The machine for those who read a configuration.
    pub(super) fn system(&self) -> System {
        System::at(&self.root).with(Arc::clone(&self.accounts))
    }

    /// The state directory: the configured one, or the unit's.
    pub(super) fn state_directory(&self, config: Option<&Config>) -> PathBuf {
        let configured = config.and_then(|config| config.state.directory.clone());
        self.path(configured.unwrap_or_else(|| PathBuf::from("/var/lib/c2c-authd")))
    }

    pub(super) fn runtime_directory(&self) -> PathBuf {
        self.path("/run/c2c-authd")
    }

    /// Where `systemd-creds` keeps the host's key.
    pub(super) fn host_key(&self) -> PathBuf {
        let named = self.environment.iter().find(|(name, _)| *name == HOST_KEY);
        named.map_or_else(
            || self.path("/var/lib/systemd/credential.secret"),
            |(_, path)| PathBuf::from(path),
        )
    }
}

/// The variable of `systemd-creds` that names another file.
pub(super) const HOST_KEY: &str = "SYSTEMD_CREDENTIAL_SECRET";

/// The files of a directory, in order. One that is not there has none.
pub(super) fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<_> = names.collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

/// True if the daemon may have written it: it writes regular files, and follows no link. Also true
/// where nobody can tell.
pub(super) fn may_be_file(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(found) => found.is_file(),
        Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
    }
}

/// Refuses a verb that changes the machine unless the caller is root. Call it before asking
/// anything.
pub(super) fn need_root(verb: &str) -> Result<(), Failure> {
    if rustix::process::geteuid().is_root() {
        Ok(())
    } else {
        Err(Failure::new(Exit::Denied, format!("{verb} must be run as root")))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Site {
        /// A machine of a test, whose daemon runs as the one who tests.
        pub(in crate::ctl) fn at(root: &Path) -> Self {
            let us = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            Self {
                root: root.to_owned(),
                environment: vec![(HOST_KEY, root.join("var/lib/systemd/credential.secret").into())],
                service: Some(us),
                root_uid: us.0,
                accounts: Arc::new(()),
                disk: Disk::real(),
                mounts: Mounts::parse("1 0 8:1 / / rw - ext4 /dev/root rw"),
                // Tests that seal use the real id. A machine without one seals nothing, and no
                // other test may depend on it.
                machine: match System::host().machine_id() {
                    MachineId::Lasting(id) | MachineId::Transient(id) => MachineId::Lasting(id),
                    MachineId::Absent => MachineId::Lasting([1; 16]),
                },
            }
        }
    }
}
