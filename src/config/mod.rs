//! The configuration: files in, checked values out.
//!
//! Owns: the file format, the order in which files hide each other, every default, where client id
//! and firmware version come from, and the reading of the client secret and the state key
//! ([`secrets`]). Must never: read the environment (what comes from there is an argument), change
//! anything on disk (but for the state key it is told to create), or repeat in a message what could
//! be a secret.
//!
//! Invariants: a [`Config`] is good as a whole, nobody checks it again. A bad file yields no
//! configuration at all. Every error is one sentence that names file, key and cure.
//!
//! Files, later hiding earlier ones key by key: `/etc/c2c-authd/config.toml`, then the drop-ins
//! `*.toml` of `/usr/lib/c2c-authd/config.d`, `/var/lib/c2c-provision/config.d` and
//! `/etc/c2c-authd/config.d` together, by file name. Drop-ins with the same name hide each other:
//! only the one in `/etc`, else in `/var`, is read (an empty one masks the vendor's). This is
//! systemd's order: a drop-in is there to change what the main file says. All of them may be
//! absent. A list hides a list, it does not add to it. A file named on the command line is the only
//! one that is read.

use std::path::PathBuf;
use std::time::Duration;

use crate::oauth::{ProviderSettings, Proxy};
use c2c_auth_core::{GrantKind, Policy, RefreshMode, ReuseWindow};

pub(crate) mod accounts;
mod check;
mod error;
mod guard;
mod identity;
mod layer;
mod load;
mod provider;
mod raw;
mod resolve;
pub(crate) mod secrets;
mod shown;
mod value;

pub(crate) use error::ConfigError;
pub(crate) use identity::MachineId;
pub use identity::System;
pub(crate) use layer::distance;
pub(crate) use provider::Provider;
pub(crate) use shown::shown;
pub(crate) use value::{duration, duration_text};

/// A configuration that is good as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The identity of this device.
    pub device: Device,
    /// Whom it talks to, and how.
    pub(crate) provider: Provider,
    /// How the server's certificate is checked.
    pub tls: Tls,
    /// Where secrets come from that are no credentials of the service manager.
    pub secrets: SecretFiles,
    /// The way to the server.
    pub(crate) proxy: Proxy,
    /// Where the record is kept.
    pub state: State,
    /// The principals of each role.
    pub access: Access,
    /// One sentence for each setting that is allowed but probably not meant.
    pub warnings: Vec<String>,
    /// The files that were read, the later ones hiding the earlier ones.
    pub files: Vec<PathBuf>,
    refresh: RefreshSettings,
    give_up_after: Duration,
    heartbeat: Option<Duration>,
}

/// The identity of this device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The unit's identifier at the server. `None`: not provisioned yet.
    pub client_id: Option<String>,
    /// Why the source that device.client-id-from names gives none.
    pub client_id_absent: Option<String>,
    /// `SemVer`, sent as `x-client-version`. Empty where it is not known and no server is told.
    pub firmware_version: String,
    /// Where that comes from, in words for people.
    pub firmware_source: String,
    /// The files that the two are read from.
    pub sources: Vec<PathBuf>,
}

/// How the server's certificate is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// PEM. Replaces the system's roots.
    pub ca_file: Option<PathBuf>,
}

/// Files that hold secrets, for where the service manager passes none. See [`secrets`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFiles {
    pub client_secret: Option<PathBuf>,
    pub state_key: Option<PathBuf>,
    /// Create the state key on first start. Only with a `state_key` file.
    pub create_state_key: bool,
}

/// Where the record is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    // `None`: `$STATE_DIRECTORY`.
    pub directory: Option<PathBuf>,
}

/// The principals of each role, beside root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    // The role `ui`.
    pub ui: Principals,
    // The role `uploader`.
    pub uploader: Principals,
}

/// Users and groups by number, names already resolved, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principals {
    pub uids: Vec<u32>,
    pub gids: Vec<u32>,
    /// Groups that are named and do not exist.
    pub unknown_groups: Vec<String>,
}

// `[refresh]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RefreshSettings {
    mode: RefreshMode,
    at_percent: u8,
    min_validity: Duration,
    replay_after: Duration,
    reuse_window: ReuseWindow,
}

impl Config {
    /// The settings that the core needs.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        Policy {
            grant: match self.provider.settings {
                ProviderSettings::FrameioC2c(_) | ProviderSettings::OauthDevice(_) => GrantKind::Device,
                ProviderSettings::OauthCode(..) => GrantKind::Code,
            },
            separate_grants: self.provider.separate_grants,
            refresh: self.refresh.mode,
            refresh_at_percent: self.refresh.at_percent,
            min_validity: self.refresh.min_validity,
            replay_after: self.refresh.replay_after,
            reuse_window: self.refresh.reuse_window,
            give_up_after: self.give_up_after,
            heartbeat: self.heartbeat,
            refresh_token_life: self.provider.refresh_token_life,
            can_probe: self.provider.can_probe(),
            can_revoke: self.provider.can_revoke(),
        }
    }

    /// The first key, if any, that `new` changes and that a running daemon cannot change: what it
    /// names is part of the record's identity, or was handed over at the start, or is announced as
    /// constant on the bus.
    #[must_use]
    pub fn restart_needed(&self, new: &Self) -> Option<&'static str> {
        [
            ("provider", self.provider != new.provider),
            ("device.client-id", self.device.client_id != new.device.client_id),
            (
                "device.firmware-version",
                self.device.firmware_version != new.device.firmware_version,
            ),
            ("state.directory", self.state != new.state),
            ("secrets", self.secrets != new.secrets),
            ("network.proxy", self.proxy != new.proxy),
        ]
        .into_iter()
        .find_map(|(key, changed)| changed.then_some(key))
    }
}

#[cfg(test)]
mod tests;
