//! `provision`: the production line's step. The client secret, the state key and the unit's client id, put where systemd and
//! the daemon find them.
//!
//! Invariants: what is there is looked at as a whole before anything is changed; nothing takes the place of another secret
//! without `--replace`; a state key that does not open is kept beside the one that replaces it; a sealed secret is in force only after it was opened again and compared; a secret in clear is on disk
//! only where files were asked for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use super::args::{How, Provision};
use super::durable::{Staged, make_directory, remove};
use super::exit::{Exit, Failure};
use super::site::{Site, USER};
use crate::config::Config;
use crate::config::secrets::shared_file_system;
use crate::store::records_exist;
use drop_in::DropIn;
use place::{Kept, Plain, Which, find, sealed_path};
use plan::{plan_client_id, plan_client_secret, plan_state_key};
use reseal::reseal;
use seal::{Creds, CredsError, Key};

mod ask;
pub(super) mod drop_in;
mod finish;
pub(super) mod keep;
pub(super) mod place;
mod plan;
mod reseal;
pub(super) mod seal;

pub(super) use finish::provision;

/// What became of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Done {
    /// It was there.
    Unchanged,
    /// It was not there.
    Stored,
    /// Something else was there.
    Replaced,
    /// It was there, kept in another way.
    Moved,
    /// Neither there nor asked for.
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
    /// `host`, `tpm2`, `host+tpm2`; `file` for files.
    key: String,
    protection: String,
    warnings: Vec<String>,
    /// `restarted`, `started`, `not-running`, `left-alone`, `no-service-manager`, `failed`
    unit: &'static str,
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

fn failed(error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, error.to_string())
}

fn at(path: &Path) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::new(Exit::Failed, format!("{}: {error}", path.display()))
}

/// Plans and carries out. `ask` is called at most once, before anything is changed.
fn store(site: &Site, wanted: &Provision, ask: impl FnOnce() -> Result<Plain, Failure>) -> Result<Report, Failure> {
    let config = site.config()?;
    match &wanted.how {
        How::Sealed(key) => {
            let key = match key {
                Some(key) => *key,
                None => Creds(site).best_key()?,
            };
            let explicit = matches!(&wanted.how, How::Sealed(Some(_)));
            let target = Target::Sealed { key, explicit };
            put_all(site, &config, wanted, &target, ask)
        }
        How::Files(directory) => {
            if site.service.is_none() {
                return Err(Failure::new(
                    Exit::Failed,
                    format!("there is no user {USER} to own the files; run: systemd-sysusers"),
                ));
            }
            put_all(site, &config, wanted, &Target::Files(directory.clone()), ask)
        }
        How::Resealed(key) => reseal(site, &config, wanted, *key),
    }
}

/// Where secrets go.
enum Target {
    /// Into the credential store.
    Sealed {
        /// With this.
        key: Key,
        /// Because somebody said so: then a secret sealed with another key moves too.
        explicit: bool,
    },
    /// Into this directory of the machine.
    Files(PathBuf),
}

impl Target {
    fn path(&self, site: &Site, which: Which) -> PathBuf {
        match self {
            Self::Sealed { .. } => sealed_path(site, which),
            Self::Files(directory) => site.path(directory).join(which.name()),
        }
    }

    /// Whether what was found is kept as it is to be.
    fn is_met_by(&self, site: &Site, which: Which, kept: &Kept) -> bool {
        match (self, kept) {
            (Self::Sealed { key, explicit }, Kept::Sealed { header, .. }) => {
                !explicit || header.is_some_and(|header| header.key == *key && !header.bound_to_pcrs)
            }
            (Self::Files(_), Kept::File { path }) => *path == self.path(site, which),
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
    let mut drop_in = former.clone();
    let client_id = plan_client_id(config, wanted, &mut drop_in)?;
    let mut moves = Vec::new();
    if config.provider.needs_client_secret() {
        let given = ask()?;
        let bad = |problem| Failure::new(Exit::Usage, format!("the client secret cannot be used: {problem}"));
        let given = Which::ClientSecret.parse(&given).map_err(bad)?;
        let found = find(site, Some(config), Which::ClientSecret).map_err(|error| failed(&error))?;
        moves.push(plan_client_secret(site, target, wanted.replace, given, found.as_ref())?);
    }
    let found = find(site, Some(config), Which::StateKey).map_err(|error| failed(&error))?;
    let records = records_exist(&site.state_directory(Some(config)));
    let at_risk = keep::at_risk(site, target, &former, found.as_ref());
    let state_key = plan_state_key(site, target, wanted.replace, records, found)?;
    let at_risk = if state_key.done.changes() { at_risk } else { Vec::new() };
    let new_key = matches!(state_key.done, Done::Stored | Done::Replaced);
    moves.push(state_key);

    match target {
        Target::Sealed { .. } => {
            drop_in.client_secret = None;
            drop_in.state_key = None;
        }
        Target::Files(directory) => {
            let named = |which: Which| Some(directory.join(which.name()));
            drop_in.client_secret = config
                .provider
                .needs_client_secret()
                .then(|| named(Which::ClientSecret))
                .flatten();
            drop_in.state_key = named(Which::StateKey);
        }
    }
    // Before a secret is in its place: a client id that the configuration refuses must not leave half of it all behind.
    let change = (drop_in != former).then(|| drop_in.stage(site)).transpose()?;
    let mut staged = Vec::new();
    for step in &moves {
        if let Some(plain) = &step.plain {
            staged.push(stage(site, target, step.which, plain)?);
        }
    }
    let mut kept = Vec::new();
    for path in &at_risk {
        kept.push(keep::beside(path).map_err(at(path))?);
    }
    for (path, staged) in staged {
        staged.commit().map_err(at(&path))?;
    }
    if let Some(change) = change {
        change.commit()?;
    }
    forget_former(site, &former, target)?;
    let mut report = report(site, target, &moves, client_id, drop_in != former, wanted)?;
    report.warnings.extend(keep::warning(&kept, records && new_key));
    Ok(report)
}

fn unusable(why: &str) -> Failure {
    Failure::new(Exit::Differs, format!("{why}. Nothing was changed"))
}

fn new_key() -> Result<Plain, Failure> {
    let mut key = Zeroizing::new(vec![0; 32]);
    getrandom::fill(&mut key).map_err(|error| Failure::new(Exit::Failed, format!("no random bytes: {error}")))?;
    Ok(key)
}

/// Puts one secret into its place, after it was read back.
fn put(site: &Site, target: &Target, which: Which, plain: &Plain) -> Result<(), Failure> {
    let (path, staged) = stage(site, target, which, plain)?;
    staged.commit().map_err(at(&path))
}

/// Puts one secret beside its place, which it returns too, and reads it back.
fn stage(site: &Site, target: &Target, which: Which, plain: &Plain) -> Result<(PathBuf, Staged), Failure> {
    let path = target.path(site, which);
    let (mode, owner, content) = match target {
        Target::Sealed { key, .. } => (0o600, None, Creds(site).seal(which.name(), *key, plain)?),
        Target::Files(_) => (0o600, site.service, plain.clone()),
    };
    let above = path.parent().unwrap_or(&path);
    make_directory(above, 0o700, owner).map_err(at(above))?;
    let staged = Staged::write(&path, &content, mode, owner).map_err(at(&path))?;
    let written = Zeroizing::new(fs::read(staged.at()).map_err(at(&path))?);
    let read_back = match target {
        Target::Sealed { .. } => Creds(site).open(which.name(), &written)?,
        Target::Files(_) => written,
    };
    if read_back != *plain {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "{}: what was stored does not read back as the {} that was given; nothing was changed there",
                path.display(),
                which.what()
            ),
        ));
    }
    Ok((path, staged))
}

/// Removes what `provision` itself stored in the other way: secrets in clear that nobody needs any more, or sealed ones that
/// would win over the files.
fn forget_former(site: &Site, former: &DropIn, target: &Target) -> Result<(), Failure> {
    let files = [&former.client_secret, &former.state_key];
    let files = files.into_iter().flatten().map(|path| site.path(path));
    let sealed = [Which::ClientSecret, Which::StateKey].map(|which| sealed_path(site, which));
    let kept = [Which::ClientSecret, Which::StateKey].map(|which| target.path(site, which));
    for path in files.chain(sealed).filter(|path| !kept.contains(path)) {
        remove(&path).map_err(at(&path))?;
    }
    Ok(())
}

fn report(
    site: &Site,
    target: &Target,
    moves: &[Move],
    client_id: Done,
    reconfigured: bool,
    wanted: &Provision,
) -> Result<Report, Failure> {
    // Anew: another drop-in may sort behind ours and win.
    let config = site.config()?;
    if let (Some(id), true) = (&wanted.client_id, config.device.client_id != wanted.client_id) {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "{} says {id:?}, and a later file of the configuration says something else; see c2c-authd --check-config",
                DropIn::path(site).display()
            ),
        ));
    }
    let done = |which: Which| {
        let step = moves.iter().find(|step| step.which == which);
        step.map_or(Done::None, |step| step.done)
    };
    let mut warnings = Vec::new();
    if config.device.client_id.is_none() {
        warnings.push("the device has no client id yet; say --client-id, or set device.client-id-from".to_owned());
    }
    let (key, protection) = match target {
        Target::Sealed { .. } => told(site, &config)?,
        Target::Files(directory) => {
            let key = target.path(site, Which::StateKey);
            let state = site.state_directory(Some(&config));
            // It is made with the first start, on the file system of what is above it.
            let state = state.ancestors().find(|path| path.exists()).unwrap_or(&state);
            warnings.extend(shared_file_system(&key, state));
            (
                "file".to_owned(),
                format!(
                    "The secrets are files in clear in {}, which only root and the daemon can read. That does not protect \
                     against somebody who holds the disk or an image of it.",
                    directory.display()
                ),
            )
        }
    };
    Ok(Report {
        changed: reconfigured || client_id.changes() || moves.iter().any(|step| step.done.changes()),
        client_secret: done(Which::ClientSecret),
        state_key: done(Which::StateKey),
        client_id,
        key,
        protection,
        warnings,
        unit: "left-alone",
    })
}

/// The key that holds now: where nothing had to be done, not the one that would have been chosen.
fn told(site: &Site, config: &Config) -> Result<(String, String), Failure> {
    let mut keys = Vec::new();
    for which in [Which::ClientSecret, Which::StateKey] {
        let found = find(site, Some(config), which).map_err(|error| failed(&error))?;
        keys.extend(found.and_then(|found| found.kept.key()));
    }
    keys.dedup();
    let words: Vec<_> = keys.iter().map(|key| key.word()).collect();
    let sentences: Vec<_> = keys.iter().map(|key| key.protection()).collect();
    Ok((words.join(", "), sentences.join(" ")))
}

/// For the tests of those who look at what was stored.
#[cfg(test)]
pub(in crate::cli) fn store_for_tests(site: &Site, wanted: &Provision, secret: &str) {
    let stored = store(site, wanted, || Ok(Zeroizing::new(secret.as_bytes().to_vec())));
    assert!(stored.is_ok(), "{stored:?}");
}

#[cfg(test)]
mod tests;
