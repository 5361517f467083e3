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
use apply::{Names, carry_out};
use drop_in::DropIn;
use location::{Found, Plain, Which, find};
use plan::{plan_client_id, plan_client_secret, plan_resealed, plan_state_key, refuse_early};
use seal::{CredsError, Key};
use target::{Kind, Target, Targets};

mod apply;
mod ask;
pub(super) mod backup;
mod destination;
pub(super) mod drop_in;
mod finish;
mod folder;
pub(super) mod host_key;
mod keep;
pub(super) mod location;
mod plan;
pub(super) mod seal;
mod target;
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

impl Move {
    const fn unchanged(which: Which) -> Self {
        Self {
            which,
            done: Done::Unchanged,
            plain: None,
        }
    }
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
    let former = DropIn::load(site)?;
    let (targets, there) = match &wanted.how {
        How::Kept => {
            let there = There::look(site, &config)?;
            (keep::targets(site, &config, &former, &there)?, there)
        }
        How::Sealed(key) => {
            let target = Target::sealed(site, *key, key.is_some())?;
            (Targets::both(target), There::look(site, &config)?)
        }
        How::Files(directory) => {
            let target = Target {
                warning: admit_files(site, &config, directory)?,
                kind: Kind::Files,
                directory: directory.components().collect(),
            };
            (Targets::both(target), There::look(site, &config)?)
        }
        How::Resealed(key) => {
            let target = Target::sealed(site, Some(*key), true)?;
            let moves = plan_resealed(site, &config, &target, *key)?;
            let names = Names {
                drop_in: former.clone(),
                former,
                home: None,
            };
            carry_out(site, &target, &moves, &names, &[])?;
            let changed = moves.iter().any(|step| step.done.changes());
            return report(site, &Targets::both(target), &moves, Done::None, changed, wanted);
        }
    };
    put_all(site, &config, wanted, former, targets, there, ask)
}

/// A warning about a directory that may hold files.
fn admit_files(site: &Site, config: &Config, directory: &Path) -> Result<Option<String>, Failure> {
    if site.service.is_none() {
        return Err(Failure::failed(format!(
            "there is no user {USER} to own the files; run: systemd-sysusers"
        )));
    }
    folder::admit(site, config, directory)
}

/// The secrets as they were found.
struct There {
    /// False: this provider needs no client secret, and none was looked for.
    needs_secret: bool,
    client_secret: Option<Found>,
    state_key: Option<Found>,
}

impl There {
    fn look(site: &Site, config: &Config) -> io::Result<Self> {
        let look = |which| find(site, Some(config), which);
        let needs_secret = config.provider.needs_client_secret();
        let client_secret = needs_secret.then(|| look(Which::ClientSecret)).transpose()?;
        Ok(Self {
            needs_secret,
            client_secret: client_secret.flatten(),
            state_key: look(Which::StateKey)?,
        })
    }
}

fn put_all(
    site: &Site,
    config: &Config,
    wanted: &Provision,
    former: DropIn,
    mut targets: Targets,
    there: There,
    ask: impl FnOnce() -> Result<Plain, Failure>,
) -> Result<Report, Failure> {
    let mut drop_in = DropIn {
        client_id: former.client_id.clone(),
        ..DropIn::default()
    };
    let client_id = plan_client_id(config, wanted, &mut drop_in)?;
    let named = |which| match targets.of(which) {
        target if matches!(target.kind, Kind::Files) => Some(target.file(which)),
        target if target.is_sealed() => None,
        _ => former.names(which).map(Path::to_owned),
    };
    if there.needs_secret {
        drop_in.client_secret = named(Which::ClientSecret);
    }
    drop_in.state_key = named(Which::StateKey);

    let records = records_exist(&site.state_directory(Some(config)));
    let means_all = wanted.how != How::Kept || !wanted.replace || !records;
    let left = (!means_all).then(|| keep::left(&there)).flatten();
    let secret = (targets.of(Which::ClientSecret), there.client_secret.as_ref());
    let secret = there.needs_secret.then_some(secret);
    let key = (targets.of(Which::StateKey), there.state_key.as_ref());
    let examined = secret.into_iter().chain(left.is_none().then_some(key));
    refuse_early(wanted.replace, examined)?;

    let target = targets.of(Which::StateKey);
    let at_risk = backup::at_risk(site, target, &former, there.state_key.as_ref());
    let state_key = if left.is_some() {
        Move::unchanged(Which::StateKey)
    } else {
        plan_state_key(site, target, wanted.replace, records, there.state_key)?
    };
    let at_risk = if state_key.done.changes() { at_risk } else { Vec::new() };
    let new_key = matches!(state_key.done, Done::Stored | Done::Replaced);
    drop_in.kept_beside = backup::places(site, &former, &at_risk)?;
    let home = drop_in.home(site, config, &former)?;

    let mut moves = Vec::new();
    if there.needs_secret {
        let bad = |problem| Failure::usage(format!("the client secret cannot be used: {problem}"));
        let given = Which::ClientSecret.parse(&ask()?).map_err(bad)?;
        let target = targets.of(Which::ClientSecret);
        moves.push(plan_client_secret(
            site,
            target,
            wanted.replace,
            given,
            there.client_secret.as_ref(),
        )?);
    }
    moves.push(state_key);
    targets.admit(site, config, &moves)?;

    let changed = moves.iter().any(|step| step.done.changes()) || client_id.changes() || home.is_some();
    let strangers: Vec<_> = former.strangers(site).collect();
    let rewrite = Names { former, drop_in, home };
    let kept = match &targets.state_key {
        None => carry_out(site, &targets.client_secret, &moves, &rewrite, &at_risk)?,
        Some(target) => {
            // The client secret is the first.
            let (secret, key) = moves.split_at(1);
            carry_out(site, &targets.client_secret, secret, &rewrite, &[])?;
            carry_out(site, target, key, &rewrite, &at_risk)?
        }
    };
    let mut report = report(site, &targets, &moves, client_id, changed, wanted)?;
    report.warnings.extend(strangers);
    report.warnings.extend(left);
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
    targets: &Targets,
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
    let mut warnings: Vec<_> = targets.iter().flat_map(|target| &target.warning).cloned().collect();
    warnings.dedup();
    if config.device.client_id.is_none() {
        warnings.push("the device has no client id yet; use --client-id, or set device.client-id-from".to_owned());
    }
    let keys = keys_in_force(site, &config)?;
    let (mut key, mut protection) = told(&keys);
    if targets.iter().any(Target::is_sealed) {
        warnings.extend(left_in_clear(site, targets, &config));
        if keys.iter().any(|key| key.needs_host()) && matches!(site.machine, MachineId::Transient(_)) {
            warnings.push(CredsError::Transient.to_string());
        }
    }
    if !targets.of(Which::StateKey).is_sealed() {
        let key = targets.of(Which::StateKey).path(site, Which::StateKey);
        let state = site.state_directory(Some(&config));
        // It is made with the first start, on the file system of what is above it.
        let state = state.ancestors().find(|path| path.exists()).unwrap_or(&state);
        warnings.extend(shared_file_system(&key, state));
    }
    for target in targets.iter().filter(|target| !target.is_sealed()) {
        key.push("file".to_owned());
        protection.push(format!(
            "The secrets are plain files in {}, which only root and the daemon can read. That does not protect against \
             somebody who holds the disk or an image of it.",
            target.directory.display()
        ));
    }
    key.dedup();
    protection.dedup();
    Ok(Report {
        changed,
        client_secret: done(Which::ClientSecret),
        state_key: done(Which::StateKey),
        client_id,
        key: key.join(", "),
        place: targets.client_secret.directory.clone(),
        protection: protection.join(" "),
        warnings,
        unit: "left-alone",
        unit_drop_in: None,
        needs_tpm: keys.iter().any(|key| key.needs_tpm()),
    })
}

/// Warns of files in clear that the image's own configuration names: they are not ours to remove.
fn left_in_clear(site: &Site, targets: &Targets, config: &Config) -> Vec<String> {
    let sealed = Which::BOTH.into_iter().filter(|which| targets.of(*which).is_sealed());
    let named = sealed.map(|which| (which, which.configured(config)));
    let there = named.filter_map(|(which, path)| Some((which, path?)));
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

fn told(keys: &[Key]) -> (Vec<String>, Vec<String>) {
    let words = keys.iter().map(|key| key.word().to_owned());
    let sentences = keys.iter().map(|key| key.protection().to_owned());
    (words.collect(), sentences.collect())
}

#[cfg(test)]
pub(in crate::ctl) mod tests;
