//! The client secret, the state key, and what guards them.

use super::causes::unless_explained;
use super::{Finding, Rows};
use crate::config::secrets::shared_file_system;
use crate::config::{Config, MachineId};
use crate::ctl::provision::location::{Found, Kept, PLAIN_STORES, Which, find};
use crate::ctl::provision::seal::{Creds, Key};
use crate::ctl::site::Site;
use crate::messages;
use c2c_auth_core::Reason;

/// Looks for both as the daemon would, and opens them.
pub(super) fn secrets(site: &Site, config: Option<&Config>, found: &mut Rows) {
    if !rustix::process::geteuid().is_root() {
        found.push(Finding::warn("secrets", "only root can read them", "Run this as root"));
        return;
    }
    for which in Which::BOTH {
        let idle = which == Which::ClientSecret && config.is_some_and(|config| !config.provider.needs_client_secret());
        if idle {
            continue;
        }
        let check = which.name();
        let mut in_force = None;
        match find(site, config, which) {
            Err(error) => found.push(Finding::fail(check, error.to_string(), "")),
            // The configuration may name its file.
            Ok(None) if config.is_none() => found.push(unless_explained(found.all(), missing(config, which))),
            Ok(None) => found.push(missing(config, which)),
            Ok(Some(Found {
                kept,
                content: Err(why),
            })) => {
                found.push(Finding::fail(check, why, ""));
                in_force = Some(kept);
            }
            Ok(Some(Found { kept, content: Ok(_) })) => {
                found.push(kept_well(site, which, &kept));
                if let (Which::StateKey, Kept::File { path }) = (which, &kept) {
                    let shared = shared_file_system(path, &site.state_directory(config));
                    found.extend(shared.map(|warning| Finding::warn(check, warning, "")));
                }
                in_force = Some(kept);
            }
        }
        found.extend(idle_in_clear(site, which, in_force.as_ref()));
    }
}

/// Files of our names in the stores for what is not encrypted, which systemd would use if the one
/// in force were not there.
fn idle_in_clear(site: &Site, which: Which, in_force: Option<&Kept>) -> impl Iterator<Item = Finding> {
    let in_force = in_force.map(|kept| kept.path().to_owned());
    let stores = PLAIN_STORES.map(|store| site.path(store).join(which.credential()));
    stores
        .into_iter()
        .filter(move |path| Some(path) != in_force.as_ref() && path.symlink_metadata().is_ok())
        .map(move |path| {
            Finding::warn(
                which.name(),
                format!(
                    "{} is not used, and may hold the {} in clear",
                    path.display(),
                    which.what()
                ),
                "Remove it",
            )
        })
}

fn missing(config: Option<&Config>, which: Which) -> Finding {
    let reason = match which {
        Which::ClientSecret => Reason::ClientSecretMissing,
        Which::StateKey if config.is_some_and(|config| config.secrets.create_state_key) => {
            return Finding::ok(which.name(), "created at the first start");
        }
        Which::StateKey => Reason::StateKeyMissing,
    };
    let told = messages::reason(reason);
    match config.and_then(|config| which.configured(config)) {
        Some(path) => Finding::fail(
            which.name(),
            format!(
                "{}, which secrets.{}-file names, does not exist",
                path.display(),
                which.name()
            ),
            format!(
                "Bring it back; or take secrets.{}-file out of the configuration. {}",
                which.name(),
                told.cure
            ),
        ),
        None => Finding::fail(which.name(), told.what, told.cure),
    }
}

fn kept_well(site: &Site, which: Which, kept: &Kept) -> Finding {
    let check = which.name();
    let path = kept.path().display();
    match kept {
        Kept::File { .. } => Finding::ok(check, format!("a plain file, {path}")),
        Kept::Sealed { header: None, .. } => {
            Finding::warn(check, format!("{path} opens, but its format is unknown"), "")
        }
        Kept::Sealed {
            header: Some(header), ..
        } => match header.key {
            Key::Null => Finding::fail(
                check,
                format!("{path} is sealed with systemd's null key, which protects nothing"),
                "Run: c2c-authctl provision --upgrade-key host",
            ),
            key if header.bound_to_pcrs => Finding::warn(
                check,
                format!("{path} is bound to PCRs (measurements of the firmware), so that an update can lock it"),
                format!("Run: c2c-authctl provision --upgrade-key {}", key.word()),
            ),
            key if key.needs_host() && matches!(site.machine, MachineId::Transient(_)) => Finding::warn(
                check,
                format!(
                    "{path} is sealed with the host's key, but the machine id is transient: the next boot has another, and systemd \
                     then deletes that key"
                ),
                "Make /etc/machine-id persistent; or run: c2c-authctl provision --files DIR, with a TPM: --upgrade-key tpm2",
            ),
            Key::Host if Creds(site).has_tpm().unwrap_or(false) => Finding::ok(
                check,
                format!(
                    "sealed with the host's key, {path}; there is a TPM too: c2c-authctl provision --upgrade-key host+tpm2"
                ),
            ),
            key => Finding::ok(check, format!("sealed with {}, {path}", key.word())),
        },
    }
}
