//! `provision`: the production line's step. Puts the client secret, the state key and the client id
//! where systemd and the daemon find them.
//!
//! Invariants: everything is examined before anything is changed. Nothing replaces another secret
//! without `--replace`. A state key that does not open is kept beside the one that replaces it. A
//! sealed secret takes effect only after it was opened again and compared. An unsealed secret is on
//! disk only if files were asked for, and its location is recorded on disk first. Whenever the
//! power is cut, the daemon finds the former secrets or the new ones, and running the command again
//! finishes the work.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use super::args::{How, Provision};
use super::exit::{Exit, Failure};
use super::site::{Site, USER};
use crate::config::secrets::shared_file_system;
use crate::config::{Config, MachineId};
use crate::store::records_exist;
use crate::system::mounts::Ground;
use apply::{Names, carry_out};
use drop_in::DropIn;
use location::{Kept, Plain, Which, find};
use plan::{plan_client_id, plan_client_secret, plan_resealed, plan_state_key, refuse_early};
use seal::{Creds, CredsError, Key};

mod apply;
mod ask;
pub(super) mod backup;
mod destination;
pub(super) mod drop_in;
mod finish;
mod folder;
pub(super) mod host_key;
pub(super) mod location;
mod plan;
pub(super) mod seal;
pub(super) mod tpm_drop_in;

pub(super) use finish::provision;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Done {
    Unchanged,
    Stored,
    Replaced,
    Moved,
    None,
}

impl Done {
    const fn changes(self) -> bool {
        matches!(self, Self::Stored | Self::Replaced | Self::Moved)
    }
}

/// Everything that was done, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    changed: bool,
    client_secret: Done,
    state_key: Done,
    client_id: Done,
    /// `host`, `tpm2`, `host+tpm2`, or `file` for files.
    key: String,
    place: PathBuf,
    protection: String,
    warnings: Vec<String>,
    /// `restarted`, `started`, `not-running`, `left-alone`, `no-service-manager`, `failed`
    unit: &'static str,
    /// The file that was written to make the unit wait for the TPM.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_drop_in: Option<PathBuf>,
    #[serde(skip)]
    needs_tpm: bool,
}

/// One secret on its way to its place.
struct Move {
    which: Which,
    done: Done,
    plain: Option<Plain>,
}

impl From<CredsError> for Failure {
    fn from(error: CredsError) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::failed(format!("{}: {error}", path.display()))
}

/// Plans and carries out. `ask` is called at most once, before anything is changed and after all
/// was looked at that can be looked at without the secret.
fn store(site: &Site, wanted: &Provision, ask: impl FnOnce() -> Result<Plain, Failure>) -> Result<Report, Failure> {
    let config = site.config()?;
    match &wanted.how {
        How::Sealed(key) => {
            let target = Target::sealed(site, *key)?;
            put_all(site, &config, wanted, &target, ask)
        }
        How::Files(directory) => {
            if site.service.is_none() {
                return Err(Failure::failed(format!(
                    "there is no user {USER} to own the files; run: systemd-sysusers"
                )));
            }
            let warning = folder::admit(site, &config, directory)?;
            let target = Target {
                kind: Kind::Files,
                directory: directory.components().collect(),
                warning,
            };
            put_all(site, &config, wanted, &target, ask)
        }
        How::Resealed(key) => {
            let target = Target::sealed(site, Some(*key))?;
            let moves = plan_resealed(site, &config, &target, *key)?;
            let former = DropIn::load(site)?;
            let names = Names {
                drop_in: former.clone(),
                former,
                home: None,
            };
            carry_out(site, &target, &moves, &names, &[])?;
            let changed = moves.iter().any(|step| step.done.changes());
            report(site, &target, &moves, Done::None, changed, wanted)
        }
    }
}

struct Target {
    kind: Kind,
    directory: PathBuf,
    warning: Option<String>,
}

enum Kind {
    Files,
    Sealed {
        /// The key to seal with. An error here matters only if something has to be sealed.
        key: Result<Key, CredsError>,
        /// Because somebody said so: then a secret sealed with another key moves too.
        explicit: bool,
    },
}

impl Target {
    fn sealed(site: &Site, key: Option<Key>) -> Result<Self, Failure> {
        let home = destination::store(site)?;
        if key.is_some_and(Key::needs_host) {
            Creds(site).usable_host_key().map_err(refused)?;
        }
        let explicit = key.is_some();
        // Nobody is refused who asked for it: an image may bring its host key back at each boot.
        let forgets = key.is_some_and(Key::needs_host) && !Creds(site).host_key_lasts();
        let key = key.map_or_else(|| Creds(site).best_key(), Ok);
        // It is the id of the image or one of this boot: nobody can tell.
        let id = Path::new("/etc/machine-id");
        let id_may_go = key.as_ref().is_ok_and(|key| key.needs_host()) && site.ground(id) == Ground::Volatile;
        let warning = match home.warning {
            Some(warning) => Some(warning),
            None if forgets => Some(format!(
                "{}, without which nothing can be opened; unless the image brings the key back, use --with-key tpm2 or --files DIR",
                destination::gone(&site.machine_path(&site.host_key()))
            )),
            None if id_may_go => Some(format!(
                "{}, and the host key dies with it; unless the image brings the same id at each boot, use --with-key tpm2 or \
                 --files DIR",
                destination::gone(id)
            )),
            None => None,
        };
        Ok(Self {
            kind: Kind::Sealed { key, explicit },
            directory: home.directory,
            warning,
        })
    }

    const fn is_sealed(&self) -> bool {
        matches!(self.kind, Kind::Sealed { .. })
    }

    fn path(&self, site: &Site, which: Which) -> PathBuf {
        let name = if self.is_sealed() {
            which.credential()
        } else {
            which.name()
        };
        site.path(&self.directory).join(name)
    }

    /// True if the secret, as found, is already stored the way this target stores it.
    fn is_met_by(&self, site: &Site, which: Which, kept: &Kept) -> bool {
        match (&self.kind, kept) {
            (Kind::Sealed { key, explicit }, Kept::Sealed { header, path }) => {
                let key = key.as_ref().ok();
                let with_it = header.is_some_and(|header| Some(&header.key) == key && !header.bound_to_pcrs);
                // Or no place lasts.
                let stays =
                    site.mounts.ground(path) != Ground::Volatile || site.ground(&self.directory) != Ground::Lasting;
                stays && (!explicit || with_it)
            }
            (Kind::Files, Kept::File { path }) => *path == self.path(site, which),
            _ => false,
        }
    }
}

fn put_all(
    site: &Site,
    config: &Config,
    wanted: &Provision,
    target: &Target,
    ask: impl FnOnce() -> Result<Plain, Failure>,
) -> Result<Report, Failure> {
    let former = DropIn::load(site)?;
    let mut drop_in = DropIn {
        client_id: former.client_id.clone(),
        ..DropIn::default()
    };
    let client_id = plan_client_id(config, wanted, &mut drop_in)?;
    let needs_secret = config.provider.needs_client_secret();
    if !target.is_sealed() {
        let named = |which: Which| Some(target.directory.join(which.name()));
        drop_in.client_secret = needs_secret.then(|| named(Which::ClientSecret)).flatten();
        drop_in.state_key = named(Which::StateKey);
    }
    let look = |which| find(site, Some(config), which);
    let found_secret = needs_secret.then(|| look(Which::ClientSecret)).transpose()?;
    let found_key = look(Which::StateKey)?;
    let sealable = found_secret.as_ref().map(Option::as_ref);
    refuse_early(target, wanted.replace, sealable.into_iter().chain([found_key.as_ref()]))?;

    let records = records_exist(&site.state_directory(Some(config)));
    let at_risk = backup::at_risk(site, target, &former, found_key.as_ref());
    let state_key = plan_state_key(site, target, wanted.replace, records, found_key)?;
    let at_risk = if state_key.done.changes() { at_risk } else { Vec::new() };
    let new_key = matches!(state_key.done, Done::Stored | Done::Replaced);
    drop_in.kept_beside = backup::places(site, &former, &at_risk)?;
    let home = drop_in.home(site, config, &former)?;

    let mut moves = Vec::new();
    if let Some(found) = found_secret {
        let bad = |problem| Failure::usage(format!("the client secret cannot be used: {problem}"));
        let given = Which::ClientSecret.parse(&ask()?).map_err(bad)?;
        moves.push(plan_client_secret(site, target, wanted.replace, given, found.as_ref())?);
    }
    moves.push(state_key);

    let changed = moves.iter().any(|step| step.done.changes()) || client_id.changes() || home.is_some();
    let strangers: Vec<_> = former.strangers(site).collect();
    let kept = carry_out(site, target, &moves, &Names { former, drop_in, home }, &at_risk)?;
    let mut report = report(site, target, &moves, client_id, changed, wanted)?;
    report.warnings.extend(strangers);
    report.warnings.extend(backup::warning(&kept, records && new_key));
    Ok(report)
}

fn refused(why: impl std::fmt::Display) -> Failure {
    Failure::failed(format!("{why}. Nothing was changed"))
}

fn unusable(why: &str) -> Failure {
    Failure::new(Exit::Differs, format!("{why}. Nothing was changed"))
}

fn new_key() -> Result<Plain, Failure> {
    let mut key = Zeroizing::new(vec![0; 32]);
    getrandom::fill(&mut key).map_err(|error| Failure::failed(format!("no random bytes: {error}")))?;
    Ok(key)
}

fn report(
    site: &Site,
    target: &Target,
    moves: &[Move],
    client_id: Done,
    changed: bool,
    wanted: &Provision,
) -> Result<Report, Failure> {
    // Anew: another drop-in may sort behind ours and win.
    let config = site.config()?;
    if let (Some(id), true) = (&wanted.client_id, config.device.client_id != wanted.client_id) {
        return Err(Failure::failed(format!(
            "{} sets {id:?}, but a later file of the configuration overrides it; see: c2c-authd --check-config",
            DropIn::path(site).display()
        )));
    }
    let done = |which: Which| {
        let step = moves.iter().find(|step| step.which == which);
        step.map_or(Done::None, |step| step.done)
    };
    let mut warnings: Vec<_> = target.warning.iter().cloned().collect();
    if config.device.client_id.is_none() {
        warnings.push("the device has no client id yet; use --client-id, or set device.client-id-from".to_owned());
    }
    let mut needs_tpm = false;
    let (key, protection) = if target.is_sealed() {
        warnings.extend(left_in_clear(site, &config));
        let keys = keys_in_force(site, &config)?;
        needs_tpm = keys.iter().any(|key| key.needs_tpm());
        if keys.iter().any(|key| key.needs_host()) && matches!(site.machine, MachineId::Transient(_)) {
            warnings.push(CredsError::Transient.to_string());
        }
        told(&keys)
    } else {
        let key = target.path(site, Which::StateKey);
        let state = site.state_directory(Some(&config));
        // It is made with the first start, on the file system of what is above it.
        let state = state.ancestors().find(|path| path.exists()).unwrap_or(&state);
        warnings.extend(shared_file_system(&key, state));
        (
            "file".to_owned(),
            format!(
                "The secrets are plain files in {}, which only root and the daemon can read. That does not protect against \
                 somebody who holds the disk or an image of it.",
                target.directory.display()
            ),
        )
    };
    Ok(Report {
        changed,
        client_secret: done(Which::ClientSecret),
        state_key: done(Which::StateKey),
        client_id,
        key,
        place: target.directory.clone(),
        protection,
        warnings,
        unit: "left-alone",
        unit_drop_in: None,
        needs_tpm,
    })
}

/// Warns of files in clear that the image's own configuration names: they are not ours to remove.
fn left_in_clear(site: &Site, config: &Config) -> Vec<String> {
    let named = Which::BOTH.map(|which| (which, which.configured(config)));
    let there = named.into_iter().filter_map(|(which, path)| Some((which, path?)));
    let there = there.filter(|(_, path)| site.path(path).exists());
    there
        .map(|(which, path)| {
            format!(
                "{} still holds the {} unsealed, and the configuration names it; remove the file and the key that names it",
                path.display(),
                which.what()
            )
        })
        .collect()
}

/// The keys that hold now: where nothing had to be done, not the one that would have been chosen.
fn keys_in_force(site: &Site, config: &Config) -> Result<Vec<Key>, Failure> {
    let mut keys = Vec::new();
    for which in Which::BOTH {
        let found = find(site, Some(config), which)?;
        keys.extend(found.and_then(|found| found.kept.key()));
    }
    keys.dedup();
    Ok(keys)
}

fn told(keys: &[Key]) -> (String, String) {
    let words: Vec<_> = keys.iter().map(|key| key.word()).collect();
    let sentences: Vec<_> = keys.iter().map(|key| key.protection()).collect();
    (words.join(", "), sentences.join(" "))
}

#[cfg(test)]
pub(in crate::ctl) mod tests;
