//! The daemon's files, by name: which are removed, and which say that the server is still to be
//! told.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::ctl::provision::backup::copies;
use crate::ctl::provision::drop_in::DropIn;
use crate::ctl::provision::location::{Which, find, sealed_paths};
use crate::ctl::provision::tpm_drop_in::{self, There};
use crate::ctl::site::{Site, may_be_file, names};
use crate::store::{Lock, OpenError, REVOCATIONS, SLOTS, SPILL, is_ours, is_set_aside};
use crate::system::atomic_file::{is_directory, without_stage};

/// The optional parts of a reset, beside those that are always removed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) records: bool,
    /// Also the list of revocations that the server has not received.
    pub(super) revocations: bool,
    pub(super) provisioning: bool,
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that say nothing of each other")]
pub(super) struct Outcome {
    pub(super) removed: Vec<String>,
    pub(super) kept: Vec<String>,
    /// Files that are not ours to remove: one sentence each.
    pub(super) left: Vec<String>,
    /// Something of ours could not be removed.
    pub(super) stays: bool,
    /// There were records that might have been a pairing.
    pub(super) had_records: bool,
    /// Records that the daemon could not use and kept, and that are gone now: another pairing each,
    /// as far as is known.
    pub(super) set_aside: Vec<String>,
    /// The server has yet to hear of something, and can.
    pub(super) pending: bool,
    /// A file of the unit went, which its manager has to hear of.
    pub(super) unit_changed: bool,
    pub(super) gave_up_revocations: bool,
}

/// True if there are revocations that the server has not received.
pub(super) fn pending(state: &Path) -> bool {
    may_be_file(&state.join(REVOCATIONS))
}

/// True if there are records, which may be a pairing.
pub(super) fn records(site: &Site, state: &Path) -> bool {
    SLOTS.iter().any(|name| may_be_file(&state.join(name))) || may_be_file(&site.runtime_directory().join(SPILL))
}

pub(super) fn any(state: &Path) -> io::Result<bool> {
    Ok(listed(state)?.iter().any(|name| is_ours(name)))
}

/// Removes. Fails, with nothing changed, while a daemon holds the state directory.
pub(super) fn clear(site: &Site, config: Option<&Config>, state: &Path, wanted: Wanted) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    let _lock = lock(state)?;
    outcome.pending = pending(state) && !wanted.revocations;
    for name in listed(state)? {
        let is_file = may_be_file(&state.join(&name));
        let is_record = is_file && SLOTS.contains(&name.as_str());
        outcome.had_records |= is_record;
        if is_record && !wanted.records {
            outcome
                .kept
                .push(format!("{name} (holds no token, only the latest known time)"));
        } else if name == REVOCATIONS && outcome.pending {
            outcome.kept.push(format!("{name} (revocations still to be sent)"));
        } else if is_ours(&name) {
            // Also one that was set aside: nobody will send it any more.
            outcome.gave_up_revocations |= is_file && without_stage(&name).starts_with(REVOCATIONS);
            if is_file && name.starts_with("record.") && is_set_aside(&name) {
                outcome.set_aside.push(name.clone());
            }
            take(site, &state.join(&name), &mut outcome);
        } else {
            outcome.left.push(format!(
                "{} is not c2c-authd's and was left",
                state.join(&name).display()
            ));
        }
    }
    let runtime = site.runtime_directory();
    for name in listed(&runtime)?.iter().filter(|name| is_ours(name)) {
        outcome.had_records |= name == SPILL && may_be_file(&runtime.join(name));
        take(site, &runtime.join(name), &mut outcome);
    }
    if wanted.provisioning {
        forget_provisioning(site, config, &mut outcome);
    }
    Ok(outcome)
}

/// A directory that is not there needs none.
fn lock(state: &Path) -> io::Result<Option<Lock>> {
    match Lock::take(state) {
        Ok(lock) => Ok(Some(lock)),
        Err(OpenError::Missing { .. }) => Ok(None),
        Err(OpenError::Locked { .. }) => Err(io::Error::other(format!(
            "{} is in use by a c2c-authd that systemd does not run; stop it, then run the command again",
            state.display()
        ))),
        Err(error) => Err(io::Error::other(error)),
    }
}

fn listed(directory: &Path) -> io::Result<Vec<String>> {
    names(directory).map_err(|error| named(directory, &error))
}

/// Removes one file. What cannot be removed is told, and is no reason to stop half-way at each
/// attempt.
fn take(site: &Site, path: &Path, outcome: &mut Outcome) {
    // A directory under a name of ours is somebody else's.
    if is_directory(path) {
        outcome
            .left
            .push(format!("{} is a directory, and was left", path.display()));
        return;
    }
    match site.disk.remove(path) {
        Ok(true) => outcome.removed.push(path.display().to_string()),
        Ok(false) => {}
        Err(error) => outcome.stays(&named(path, &error)),
    }
}

impl Outcome {
    fn stays(&mut self, error: &io::Error) {
        self.stays = true;
        self.left.push(format!("{error}; it could not be removed, and STAYS"));
    }
}

/// Removes what `provision` stored. Files of the image stay, and are reported. The drop-in goes
/// last: it names the others.
fn forget_provisioning(site: &Site, config: Option<&Config>, outcome: &mut Outcome) {
    let loaded = DropIn::load(site);
    if let Err(why) = &loaded {
        // It may name files in clear, and is the only list of them.
        outcome.left.push(format!(
            "{} cannot be read and was left ({why}): remove the files that it names, then the file itself",
            DropIn::path(site).display()
        ));
    }
    let readable = loaded.is_ok();
    let drop_in = loaded.unwrap_or_default();
    outcome.left.extend(drop_in.strangers(site));
    for path in drop_in.clear_files() {
        take(site, &site.path(path), outcome);
    }
    // Former state keys too, wherever they were in clear: with one of them and a copy of the
    // records a pairing could be read. The image may name a file of ours without our drop-in, where
    // there is no room for that.
    let by_image = config.and_then(|config| Which::StateKey.configured(config));
    let keys = drop_in.state_key.as_deref().into_iter().chain(by_image);
    let keys = keys.chain(drop_in.kept_beside.iter().map(PathBuf::as_path));
    for path in keys
        .map(|path| site.path(path))
        .chain(sealed_paths(site, Which::StateKey))
    {
        match copies(&path) {
            Ok(copies) => copies.iter().for_each(|(_, copy)| take(site, copy, outcome)),
            Err(error) => outcome.stays(&named(&path, &error)),
        }
    }
    for which in Which::BOTH {
        for path in sealed_paths(site, which) {
            take(site, &path, outcome);
        }
        if let Ok(Some(found)) = find(site, config, which) {
            outcome.left.push(format!(
                "the {} in {} was not stored by provision, and was left; unless it comes with the image, remove it by hand",
                which.what(),
                found.kept.path().display()
            ));
        }
    }
    let waits = tpm_drop_in::path(site);
    match tpm_drop_in::forget(site) {
        Err(error) => outcome.stays(&named(&waits, &error)),
        Ok(There::Nothing) => {}
        Ok(There::Ours) => {
            outcome.unit_changed = true;
            outcome.removed.push(waits.display().to_string());
        }
        Ok(There::Others) => outcome
            .left
            .push(format!("{} is not provision's and was left", waits.display())),
    }
    // It is the only list of what could not be removed.
    let done = readable && !outcome.stays;
    for path in DropIn::paths(site).into_iter().filter(|_| done) {
        take(site, &path, outcome);
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
