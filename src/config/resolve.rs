//! From what is written to what holds: defaults, names, and the rules between keys.

use std::time::Duration;

use super::accounts::Accounts;
use super::error::{ConfigError, Place};
use super::identity::{Missing, System};
use super::layer::Layer;
use super::provider::{Provider, provider, wrong_kind};
use super::raw::{self, Raw};
use super::value::{
    Between, ClientId, ClientIdFrom, Heartbeat, Kind, Percent, Principal, Refresh, ReplayAfter, Reuse, VersionFrom,
    is_bare_mac,
};
use super::{Access, Config, Device, Principals, RefreshSettings, SecretFiles, State, Tls};
use crate::oauth::{ProviderSettings, Proxy};
use c2c_auth_core::{RefreshMode, ReuseWindow, SERVER_IS_DONE};

/// Lays the files over each other, the last on top, and decides.
pub(super) fn resolve(layers: Vec<Layer>, system: &System) -> Result<Config, ConfigError> {
    let mut places = Places(Vec::new());
    let mut raw = Raw::default();
    for layer in layers {
        let upper = places.keep(layer);
        raw.device.give_way(&upper.device);
        raw = upper.over(raw);
    }
    let mut warnings = Vec::new();
    let provider = provider(raw.provider, &places, &mut warnings)?;
    let device = device(raw.device, &provider, &places, system, &mut warnings)?;
    let heartbeat = heartbeat(raw.heartbeat.interval, &provider, &places)?;
    let secrets = secrets(raw.secrets, &places)?;
    let refresh = refresh(&raw.refresh, &provider, &places)?;
    let proxy = proxy(raw.network.proxy, &provider, &places)?;
    let access = Access {
        ui: principals(raw.access.ui, "ui", "c2c-ui", &*system.accounts, &mut warnings),
        uploader: principals(
            raw.access.uploader,
            "uploader",
            "c2c-uploader",
            &*system.accounts,
            &mut warnings,
        ),
    };
    Ok(Config {
        device,
        provider,
        tls: Tls {
            ca_file: raw.tls.ca_file.map(|path| path.0),
        },
        secrets,
        proxy,
        state: State {
            directory: raw.state.directory.map(|path| path.0),
        },
        access,
        warnings,
        files: Vec::new(),
        refresh,
        give_up_after: raw
            .pairing
            .give_up_after
            .map_or(Duration::from_secs(600), |Between(time)| time),
        heartbeat,
    })
}

/// Where keys are written, for the faults that show only when all files are known.
pub(super) struct Places(Vec<Layer>);

impl Places {
    fn keep(&mut self, mut layer: Layer) -> Raw {
        let raw = std::mem::take(&mut layer.raw);
        self.0.push(layer);
        raw
    }

    fn of(&self, key: &str) -> Option<Place> {
        self.0.iter().rev().find_map(|layer| layer.place(key))
    }

    pub(super) fn bad(&self, key: &str, problem: String) -> ConfigError {
        // Only keys that are written are complained about, so there is a place.
        let nowhere = || Place {
            file: "the configuration".into(),
            line: None,
            key: Some(key.to_owned()),
        };
        ConfigError::Bad {
            place: self.of(key).unwrap_or_else(nowhere),
            problem,
        }
    }
}

/// Values that the kind does not use are not looked up, because a failed look-up could stop the
/// daemon or give false advice.
fn device(
    mut raw: raw::Device,
    provider: &Provider,
    places: &Places,
    system: &System,
    warnings: &mut Vec<String>,
) -> Result<Device, ConfigError> {
    let sources = [
        raw.client_id_from.as_ref().and_then(ClientIdFrom::file),
        raw.firmware_version_from.as_ref().and_then(VersionFrom::file),
    ];
    let sources = sources.into_iter().flatten().map(|path| system.path(path)).collect();
    let version = (raw.firmware_version.take(), raw.firmware_version_from.take());
    let (firmware_version, firmware_source) = match version {
        (Some(version), _) => (version.0, "device.firmware-version".to_owned()),
        (None, from) => {
            let version = match provider.settings {
                ProviderSettings::FrameioC2c(_) => firmware_version(from.as_ref(), places, system, warnings)?,
                ProviderSettings::OauthDevice(_) | ProviderSettings::OauthCode(..) => {
                    shown_version(from.as_ref(), system, warnings)
                }
            };
            let source = match from {
                Some(VersionFrom::File(path)) => path.display().to_string(),
                Some(VersionFrom::OsRelease) => "os-release".to_owned(),
                None => "os-release, by default".to_owned(),
            };
            (version, source)
        }
    };
    let is_told = matches!(provider.settings, ProviderSettings::FrameioC2c(_));
    // Said already where there is none.
    let is_known = !warnings.iter().any(|said| said.starts_with("device.firmware-version:"));
    if is_told && is_known && firmware_version == "0.0.0" {
        warnings.push(format!(
            "device.firmware-version: the server is told 0.0.0 ({firmware_source}), and may treat the device as too old; set it"
        ));
    }
    let (client_id, client_id_absent) = match provider.client_id() {
        // A client of an ordinary server is a product. Where each unit is registered for itself,
        // the unit's own id is the client.
        Some(id) => (Some(id.clone()), None),
        None => client_id(raw, provider, places, system, warnings)?,
    };
    Ok(Device {
        client_id,
        client_id_absent,
        firmware_version,
        firmware_source,
        sources,
    })
}

/// The id, or what its source lacks.
fn client_id(
    raw: raw::Device,
    provider: &Provider,
    places: &Places,
    system: &System,
    warnings: &mut Vec<String>,
) -> Result<(Option<String>, Option<String>), ConfigError> {
    let id = match (raw.client_id, raw.client_id_from) {
        (Some(ClientId(id)), _) => id,
        (None, None) => return Ok((None, None)),
        (None, Some(from)) => match system.client_id(&from) {
            Ok(ClientId(id)) => id,
            Err(Missing::Absent(why)) => {
                warnings.push(format!(
                    "device.client-id-from: {why}; the device is not provisioned until it does"
                ));
                return Ok((None, Some(why)));
            }
            Err(Missing::Refused(why)) => return Err(places.bad("device.client-id-from", why)),
        },
    };
    if matches!(provider.settings, ProviderSettings::FrameioC2c(_)) && is_bare_mac(&id) {
        warnings.push(format!(
            "the client id {id} could be a MAC address, which Frame.io does not allow; if it is one, use a serial number or a UUID"
        ));
    }
    Ok((Some(id), None))
}

/// As Frame.io is told it.
fn firmware_version(
    from: Option<&VersionFrom>,
    places: &Places,
    system: &System,
    warnings: &mut Vec<String>,
) -> Result<String, ConfigError> {
    let key = "device.firmware-version-from";
    match (system.firmware_version(from.unwrap_or(&VersionFrom::OsRelease)), from) {
        (Ok(version), Some(_)) => Ok(version.0),
        (Ok(version), None) => {
            warnings.push(format!(
                "device.firmware-version: the server is told {}, which is the version of the operating system; set the \
                 device's own, or firmware-version-from = \"os-release\" if that is it",
                version.0
            ));
            Ok(version.0)
        }
        (Err(Missing::Absent(why)), Some(_)) => {
            Err(places.bad(key, format!("{why}; create it, or set device.firmware-version")))
        }
        (Err(Missing::Refused(why)), Some(_)) => Err(places.bad(key, why)),
        // Nobody asked for the default source, so its absence is no fault. A server that is told
        // nothing assumes 0.0.0 too.
        (Err(Missing::Absent(why) | Missing::Refused(why)), None) => {
            warnings.push(format!(
                "device.firmware-version: {why}; the server is told 0.0.0, and may treat the device as too old"
            ));
            Ok("0.0.0".to_owned())
        }
    }
}

/// Where no server is told, the version is there to be seen on the bus. Empty: not known.
fn shown_version(from: Option<&VersionFrom>, system: &System, warnings: &mut Vec<String>) -> String {
    match system.firmware_version(from.unwrap_or(&VersionFrom::OsRelease)) {
        Ok(version) => version.0,
        Err(Missing::Absent(why) | Missing::Refused(why)) => {
            if from.is_some() {
                warnings.push(format!(
                    "device.firmware-version-from: {why}; FirmwareVersion on the bus stays empty"
                ));
            }
            String::new()
        }
    }
}

/// Presence is a habit of Frame.io's. "off" is true of every kind.
fn heartbeat(
    written: Option<Heartbeat>,
    provider: &Provider,
    places: &Places,
) -> Result<Option<Duration>, ConfigError> {
    let kind = match provider.settings {
        ProviderSettings::FrameioC2c(_) => {
            return Ok(written.map_or(Some(Duration::from_secs(120)), |Heartbeat(interval)| interval));
        }
        ProviderSettings::OauthDevice(_) => Kind::OauthDevice,
        ProviderSettings::OauthCode(..) => Kind::OauthCode,
    };
    match written {
        Some(Heartbeat(Some(_))) => {
            let why = format!(
                "{}; in a file that stays as it is for others: \"off\" in a later one",
                wrong_kind(&[Kind::FrameioC2c], kind)
            );
            Err(places.bad("heartbeat.interval", why))
        }
        Some(Heartbeat(None)) | None => Ok(None),
    }
}

fn secrets(raw: raw::Secrets, places: &Places) -> Result<SecretFiles, ConfigError> {
    let state_key = raw.state_key_file.map(|path| path.0);
    let create_state_key = raw.create_state_key.unwrap_or(false);
    if create_state_key && state_key.is_none() {
        return Err(places.bad(
            "secrets.create-state-key",
            "there is no place to create the key at; write secrets.state-key-file too, outside of the state directory"
                .to_owned(),
        ));
    }
    Ok(SecretFiles {
        client_secret: raw.client_secret_file.map(|path| path.0),
        state_key,
        create_state_key,
    })
}

fn refresh(raw: &raw::RefreshKeys, provider: &Provider, places: &Places) -> Result<RefreshSettings, ConfigError> {
    let reuse_window = raw.reuse_window.map_or(ReuseWindow::NONE, |Reuse(window)| window);
    if reuse_window != ReuseWindow::NONE && matches!(provider.settings, ProviderSettings::FrameioC2c(_)) {
        // Frame.io takes none again, and a resend in haste would cost the pairing.
        let why = wrong_kind(&[Kind::OauthDevice, Kind::OauthCode], Kind::FrameioC2c);
        return Err(places.bad("refresh.reuse-window", why));
    }
    Ok(RefreshSettings {
        mode: raw.policy.map_or(RefreshMode::Eager, |Refresh(mode)| mode),
        at_percent: raw.at.map_or(75, |Percent(at)| at),
        min_validity: raw.min_validity.map_or(Duration::from_secs(60), |Between(time)| time),
        replay_after: raw.replay_after.map_or(SERVER_IS_DONE, |ReplayAfter(time)| time),
        reuse_window,
    })
}

fn proxy(written: Option<Proxy>, provider: &Provider, places: &Places) -> Result<Proxy, ConfigError> {
    let proxy = written.unwrap_or_default();
    if proxy != Proxy::Direct && matches!(provider.settings, ProviderSettings::FrameioC2c(_)) {
        let why = "with kind = \"frameio-c2c\" it must be \"direct\", because Frame.io certifies devices that connect to it \
                   directly; remove the key, and let the network's firewall pass the connection";
        return Err(places.bad("network.proxy", why.to_owned()));
    }
    Ok(proxy)
}

/// A name that is not known is no fault of the file: a board without an uploader has no group for
/// it.
fn principals(
    written: Option<Vec<Principal>>,
    role: &str,
    group: &str,
    accounts: &dyn Accounts,
    warnings: &mut Vec<String>,
) -> Principals {
    let mut found = Principals::default();
    for principal in written.unwrap_or_else(|| vec![Principal::Group(group.to_owned())]) {
        let mut unknown = |what: &str, name: &str| {
            warnings.push(format!(
                "access.{role}: there is no {what} {name:?}; nobody has the role by it"
            ));
        };
        match principal {
            Principal::Gid(gid) => found.gids.push(gid),
            Principal::Uid(uid) => found.uids.push(uid),
            Principal::Group(name) => {
                if let Some(group) = accounts.group_named(&name) {
                    found.gids.push(group.gid);
                } else {
                    unknown("group", &name);
                    found.unknown_groups.push(name);
                }
            }
            Principal::User(name) => match accounts.user_named(&name) {
                Some(user) => found.uids.push(user.uid),
                None => unknown("user", &name),
            },
        }
    }
    for ids in [&mut found.uids, &mut found.gids] {
        ids.sort_unstable();
        ids.dedup();
    }
    found
}
