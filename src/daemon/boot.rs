//! From configuration, secrets and disk to the parts that the loop runs: what is done once, before
//! READY.
//!
//! Nothing here waits for the network: a device that starts offline must serve
//! its token as fast as any other.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry;
use super::exit::StartError;
use crate::bus::{self, Principal};
use crate::config::secrets::{self, SecretError};
use crate::config::{self, Config};
use crate::discovery::Client;
use crate::messages::journal::{ADVICE, Entry, Priority};
use crate::oauth::Provider;
use crate::store::{Directories, Identity, OpenError, StateKey, Store, records_exist};
use crate::system::environment::{Environment, variable};
use crate::transport::{FloorClock, ProxyError, TlsError, TlsSettings, Ways};
use c2c_auth_core::{BootId, Loaded, Provisioning, Secret, Stored, WallTime};

/// The secrets of the production line, as far as they are there.
#[derive(Debug)]
pub(crate) struct Provisioned {
    pub client_secret: Option<Secret>,
    pub state_key: Option<StateKey>,
}

/// Where state lives: the configuration wins over the service manager.
///
/// # Errors
/// [`StartError::NoStateDirectory`] if neither says.
pub(crate) fn directories(config: &Config, environment: &Environment) -> Result<Directories, StartError> {
    let state = config
        .state
        .directory
        .clone()
        .or_else(|| environment.state.clone())
        .ok_or(StartError::NoStateDirectory)?;
    Ok(Directories {
        state,
        runtime: environment.runtime.clone(),
    })
}

/// Reads the secrets. Makes a state key where that is configured and nothing was ever sealed.
///
/// # Errors
/// A secret is there and cannot be used.
pub(crate) fn provision(config: &Config, environment: &Environment, state: &Path) -> Result<Provisioned, SecretError> {
    let credentials = environment.credentials.as_deref();
    // A public client's is never sent, and need not be fit to be.
    let client_secret = if config.provider.needs_client_secret() {
        secrets::client_secret(&config.secrets, credentials)?
    } else {
        None
    };
    let mut state_key = secrets::state_key(&config.secrets, credentials)?;
    if let (None, true, Some(path)) = (&state_key, config.secrets.create_state_key, &config.secrets.state_key) {
        state_key = secrets::create_state_key(path, records_exist(state))?;
    }
    if let Some(warning) = key_file(config, credentials).and_then(|key| secrets::shared_file_system(&key, state)) {
        warn(warning);
    }
    Ok(Provisioned {
        client_secret,
        state_key: state_key.map(|bytes| StateKey::from_bytes(*bytes)),
    })
}

/// The file the state key was read from, unless it was a credential.
fn key_file(config: &Config, credentials: Option<&Path>) -> Option<PathBuf> {
    let is_credential = credentials.is_some_and(|directory| directory.join("state-key").exists());
    config
        .secrets
        .state_key
        .clone()
        .filter(|path| !is_credential && path.exists())
}

/// Logs something that is allowed but probably not meant.
pub(crate) fn warn(sentence: impl Into<String>) {
    entry::write(&Entry::new(Priority::Warning, ADVICE, sentence));
}

/// The ways to the servers. A proxy of the environment that is not used is told.
///
/// # Errors
/// The environment decides, and cannot be used.
pub(crate) fn ways(config: &Config) -> Result<Ways, ProxyError> {
    let ways = Ways::new(&config.proxy, variable)?;
    if let Some(name) = ways.unused(variable) {
        warn(format!(
            "{name} is set in the environment of this service, and no proxy is used: connections are direct. [network] proxy \
             decides it"
        ));
    }
    Ok(ways)
}

/// The first missing part, in the order in which a production line would add them.
pub(crate) fn provisioning(config: &Config, provisioned: &Provisioned) -> Provisioning {
    if config.device.client_id.is_none() {
        Provisioning::ClientIdMissing
    } else if config.provider.needs_client_secret() && provisioned.client_secret.is_none() {
        Provisioning::ClientSecretMissing
    } else if provisioned.state_key.is_none() {
        Provisioning::StateKeyMissing
    } else {
        Provisioning::Ready
    }
}

/// Reads everything that a start with this configuration reads, and writes nothing.
///
/// Answers with the files that this user may not read, one sentence each.
///
/// # Errors
/// A fault that ends a start with 78.
pub(crate) fn rehearse(config: &Config, environment: &Environment) -> Result<Vec<String>, StartError> {
    let credentials = environment.credentials.as_deref();
    let directories = directories(config, environment).ok();
    let has_records = directories
        .as_ref()
        .is_some_and(|directories| records_exist(&directories.state));
    let mut files = config.secrets.clone();
    if !config.provider.needs_client_secret() {
        files.client_secret = None;
    }
    let (client_secret, mut unseen) = secrets::rehearse(&files, credentials, has_records)?;
    let provider = config.provider_with(client_secret)?;
    let tls = TlsSettings {
        ca_file: config.tls.ca_file.clone(),
        clock: Arc::new(FloorClock::new(WallTime::default())),
        ways: Ways::new(&config.proxy, variable)?,
    };
    match Client::new(Arc::new(provider), tls) {
        Ok(_) => {}
        Err(TlsError::CaFileUnreadable { path, source }) if source.kind() == io::ErrorKind::PermissionDenied => {
            unseen.push(TlsError::CaFileUnreadable { path, source }.to_string());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(unseen)
}

/// Opens the store.
///
/// Without a client id it is opened without its key: there is no identity to compare the record
/// with, and a record that is taken for foreign would be set aside by the next write.
///
/// # Errors
/// The state directory is in use, not ours, absent or unreadable.
pub(crate) fn open_store(
    config: &Config,
    provider: &Provider,
    key: Option<StateKey>,
    directories: Directories,
    boot: BootId,
) -> Result<(Store, Stored), OpenError> {
    let client_id = config.device.client_id.as_deref();
    Store::open(
        directories,
        key.filter(|_| client_id.is_some()),
        identity(provider, client_id.unwrap_or_default()),
        boot,
    )
}

/// Whose records this device writes.
pub(crate) fn identity(provider: &Provider, client_id: &str) -> Identity {
    Identity::new(provider.name(), &provider.issuer(), client_id)
}

/// The latest time that the record knows to be past.
pub(crate) const fn stored_floor(stored: &Stored) -> Option<WallTime> {
    match &stored.record {
        Loaded::Current(record) | Loaded::Previous(record) => record.floor,
        Loaded::Missing | Loaded::Damaged | Loaded::KeyUnavailable | Loaded::Foreign => None,
    }
}

/// The bus's view of `[access]`.
pub(crate) fn access(config: &Config) -> bus::Access {
    let holders = |role: &config::Principals| {
        let uids = role.uids.iter().copied().map(Principal::Uid);
        uids.chain(role.gids.iter().copied().map(Principal::Gid)).collect()
    };
    bus::Access {
        ui: holders(&config.access.ui),
        uploader: holders(&config.access.uploader),
    }
}

/// The facts on the bus that stay the same while the daemon runs.
pub(crate) fn facts(config: &Config) -> bus::DeviceFacts {
    bus::DeviceFacts {
        client_id: config.device.client_id.clone().unwrap_or_default(),
        firmware_version: config.device.firmware_version.clone(),
        daemon_version: env!("CARGO_PKG_VERSION").to_owned(),
        provider: config.provider.kind().to_owned(),
    }
}

#[cfg(test)]
mod tests;
