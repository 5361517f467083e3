//! Everything a real daemon needs to run in a test: directories, secrets, a configuration, a life
//! cycle.
//!
//! A [`Rig`] is one device: its state survives as many daemons as are started and killed on it.
//! Knows the daemon by its command line, environment and configuration file alone, as systemd and
//! an integrator do.

mod config;
mod notify;
mod process;

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use tempfile::TempDir;

pub use self::{
    config::{Config, Value},
    notify::{Notification, Notifications},
    process::{Process, ProcessError},
};
use crate::{random, server::Server};

/// The unit's id unless set otherwise.
pub const CLIENT_ID: &str = "SIM-000123";

/// The firmware version unless set otherwise.
pub const FIRMWARE_VERSION: &str = "2.16.4";

/// A user to run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id. There are no supplementary groups, which std cannot set.
    pub gid: u32,
}

impl User {
    /// Makes `command` run as this user. Takes root.
    pub fn apply(self, command: &mut Command) {
        // As root, std drops the supplementary groups together with the uid.
        command.uid(self.uid).gid(self.gid);
    }
}

/// One device: what the daemon keeps between its starts, and how it is started.
#[derive(Debug)]
pub struct Rig {
    directory: TempDir,
    state_key: [u8; 32],
    config: Config,
    user: Option<User>,
    starts: AtomicU32,
}

impl Rig {
    /// A fresh device that speaks to `server` and may be used, in every role, by the user who runs
    /// the test.
    ///
    /// The heartbeat is off, so that nothing is sent that a test did not cause.
    ///
    /// # Errors
    ///
    /// When the files cannot be made.
    pub fn new(server: &Server) -> io::Result<Self> {
        let mut rig = Self::elsewhere(server.ca_pem(), server.client_secret().as_bytes())?;
        rig.configure(|config| {
            config
                .set("device", "client-id", CLIENT_ID)
                .set("provider", "base-uri", server.base_uri().as_str());
        })?;
        Ok(rig)
    }

    /// As [`Self::new`], for a server that is not ours: whoever calls says in the configuration
    /// which.
    ///
    /// # Errors
    ///
    /// When the files cannot be made.
    pub fn elsewhere(ca_pem: &str, client_secret: &[u8]) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("c2c-rig-").tempdir()?;
        // Others pass through to the sockets. The directories below guard themselves.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o711))?;
        let rig = Self {
            state_key: random::bytes(),
            config: default_config(&directory.path().join("ca.pem")),
            user: None,
            starts: AtomicU32::new(0),
            directory,
        };
        for guarded in [
            rig.state_directory(),
            rig.runtime_directory(),
            rig.credentials_directory(),
        ] {
            fs::create_dir(&guarded)?;
            fs::set_permissions(&guarded, Permissions::from_mode(0o700))?;
        }
        fs::write(rig.path("ca.pem"), ca_pem)?;
        fs::set_permissions(rig.path("ca.pem"), Permissions::from_mode(0o644))?;
        rig.write_credential("client-secret", client_secret)?;
        rig.write_credential("state-key", &rig.state_key)?;
        rig.write_config()?;
        Ok(rig)
    }

    /// Changes the configuration and writes it. A running daemon sees it at its next reload.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn configure(&mut self, change: impl FnOnce(&mut Config)) -> io::Result<()> {
        change(&mut self.config);
        self.write_config()
    }

    /// Gives the directories to this user, as whom the daemon is run from now on. Takes root.
    ///
    /// # Errors
    ///
    /// When not root.
    pub fn run_as(&mut self, user: User) -> io::Result<()> {
        self.user = Some(user);
        for directory in [
            self.state_directory(),
            self.runtime_directory(),
            self.credentials_directory(),
        ] {
            give(&directory, user)?;
        }
        Ok(())
    }

    /// Writes (or replaces) a credential with mode 0600.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_credential(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.credentials_directory().join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        self.user.map_or(Ok(()), |user| give(&path, user))
    }

    /// Takes a credential away: the device is not (fully) provisioned.
    ///
    /// # Errors
    ///
    /// When there is none of this name.
    pub fn remove_credential(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.credentials_directory().join(name))
    }

    /// The power goes: whatever is not on disk is lost, a new boot begins.
    ///
    /// # Errors
    ///
    /// When the runtime directory cannot be emptied.
    pub fn lose_runtime_directory(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.runtime_directory())? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            } else {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// The key that seals the state: a canary.
    #[must_use]
    pub fn state_key(&self) -> [u8; 32] {
        self.state_key
    }

    /// `config.toml`.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.path("config.toml")
    }

    /// `$STATE_DIRECTORY`.
    #[must_use]
    pub fn state_directory(&self) -> PathBuf {
        self.path("state")
    }

    /// `$RUNTIME_DIRECTORY`.
    #[must_use]
    pub fn runtime_directory(&self) -> PathBuf {
        self.path("runtime")
    }

    /// `$CREDENTIALS_DIRECTORY`.
    #[must_use]
    pub fn credentials_directory(&self) -> PathBuf {
        self.path("credentials")
    }

    /// The command line and environment of the daemon, without a notification socket:
    /// `BINARY --config FILE --bus ADDRESS`. Nothing of the test's own environment is passed on.
    #[must_use]
    pub fn command(&self, binary: &Path, bus: &str) -> Command {
        let mut command = Command::new(binary);
        command
            .arg("--config")
            .arg(self.config_file())
            .args(["--bus", bus])
            .env_clear()
            .env("STATE_DIRECTORY", self.state_directory())
            .env("RUNTIME_DIRECTORY", self.runtime_directory())
            .env("CREDENTIALS_DIRECTORY", self.credentials_directory())
            .current_dir("/");
        if let Some(user) = self.user {
            user.apply(&mut command);
        }
        command
    }

    /// Starts the daemon with a notification socket of its own. Does not wait until it is ready.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn spawn(&self, binary: &Path, bus: &str) -> io::Result<Process> {
        self.spawn_with(binary, bus, |_| {})
    }

    /// [`Self::spawn`] with a last change to the command, for example another environment variable.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn spawn_with(&self, binary: &Path, bus: &str, change: impl FnOnce(&mut Command)) -> io::Result<Process> {
        // A socket for each start: nothing of a killed daemon is taken for its successor's.
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        let notifications = Notifications::listen(&self.path(&format!("notify.{start}")))?;
        let mut command = self.command(binary, bus);
        command.env("NOTIFY_SOCKET", notifications.path());
        change(&mut command);
        Process::spawn(&mut command, notifications)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    // Renamed into place: a daemon that reloads meanwhile reads the old one or the new one.
    fn write_config(&self) -> io::Result<()> {
        let new = self.path("config.toml.new");
        fs::write(&new, self.config.to_toml())?;
        fs::set_permissions(&new, Permissions::from_mode(0o644))?;
        fs::rename(new, self.config_file())
    }
}

fn default_config(ca_file: &Path) -> Config {
    let me = format!("uid:{}", rustix::process::getuid().as_raw());
    let mut config = Config::default();
    config
        .set("device", "firmware-version", FIRMWARE_VERSION)
        .set("tls", "ca-file", ca_file.display().to_string().as_str())
        .set("heartbeat", "interval", "off")
        .set("access", "ui", [me.as_str()])
        .set("access", "uploader", [me.as_str()]);
    config
}

/// Gives a path, and the files in it, to a user.
fn give(path: &Path, user: User) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), user)?;
        }
    }
    chown(path, Some(user.uid), Some(user.gid))
}
