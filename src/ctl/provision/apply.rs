//! From the present state to the planned one, in an order in which every power cut is harmless:
//! write the new beside the old, put it into force and verify it as the daemon will, then remove
//! the old.
//!
//! If unsealed files are created or left behind, their names are recorded on disk, in the drop-in,
//! before anything else happens and as long as they may exist. So running the same command again
//! finds and removes what a cut left.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::destination::Home;
use super::drop_in::DropIn;
use super::location::{LINKS, PLAIN_STORES, Plain, SPARE_STORE, STORES, Which, guarded, sealed_paths};
use super::seal::Creds;
use super::{Kind, Move, Target, at, backup};
use crate::ctl::exit::Failure;
use crate::ctl::site::Site;
use crate::system::atomic_file::{Access, PRIVATE, Staged, is_directory};
use crate::system::mounts::Ground;

pub(super) struct Names {
    pub(super) former: DropIn,
    pub(super) drop_in: DropIn,
    /// Where the new one is written. `None`: it is the former.
    pub(super) home: Option<Home>,
}

impl Names {
    fn write(&self, site: &Site, drop_in: &DropIn) -> Result<(), Failure> {
        match &self.home {
            Some(home) => drop_in.stage(site, &home.directory)?.commit(),
            None => Ok(()),
        }
    }
}

/// Does it, and says where what was at risk is kept now. Nothing is changed before everything is
/// sealed.
pub(super) fn carry_out(
    site: &Site,
    target: &Target,
    moves: &[Move],
    names: &Names,
    at_risk: &[PathBuf],
) -> Result<Vec<PathBuf>, Failure> {
    let writes = moves.iter().any(|step| step.plain.is_some());
    unhidden(site, target, moves)?;
    // A client id that the configuration refuses must not leave half of it all behind.
    if let Some(home) = &names.home {
        drop(names.drop_in.stage(site, &home.directory)?);
    }
    let mut contents = Vec::new();
    for step in moves {
        if let Some(plain) = &step.plain {
            contents.push((step.which, content(site, target, step.which, plain)?));
        }
    }

    let now = names.former.clear_files();
    let then = names.drop_in.clear_files();
    let stale: Vec<_> = now.difference(&then).cloned().collect();
    let in_clear = writes && !target.is_sealed();
    let unsettled = if in_clear || !stale.is_empty() {
        now.union(&then).cloned().collect()
    } else {
        BTreeSet::new()
    };
    if !unsettled.is_empty() {
        names.write(site, &names.former.moving(&unsettled, &names.drop_in))?;
    }

    let mut staged = Vec::new();
    for (which, content) in &contents {
        staged.push(stage(site, target, *which, content)?);
    }
    let mut kept = Vec::new();
    for path in at_risk {
        kept.push(backup::beside(site, path).map_err(at(path))?);
    }
    for (path, staged) in staged {
        staged.commit().map_err(at(&path))?;
    }
    if target.is_sealed() && target.directory == Path::new(SPARE_STORE) {
        link_spare(site, moves)?;
    }
    if in_clear {
        names.write(site, &names.drop_in.moving(&unsettled, &names.drop_in))?;
    }
    for step in moves {
        if let Some(plain) = &step.plain {
            verify(site, target, step.which, plain)?;
        }
    }
    if in_clear {
        in_force(site, target, moves)?;
    }

    for path in stale.iter().map(|path| site.path(path)) {
        // A directory is somebody else's, and would stop each attempt here.
        if !is_directory(&path) {
            site.disk.remove(&path).map_err(at(&path))?;
        }
    }
    for path in superseded(site, target, moves) {
        site.disk.remove(&path).map_err(at(&path))?;
    }
    names.write(site, &names.drop_in)?;
    Ok(kept)
}

/// The content of the secret's file. A sealed one was opened again.
fn content(site: &Site, target: &Target, which: Which, plain: &Plain) -> Result<Plain, Failure> {
    let key = match &target.kind {
        Kind::Files | Kind::Here(_) => return Ok(plain.clone()),
        Kind::Sealed { key: Ok(key), .. } => *key,
        Kind::Sealed { key: Err(error), .. } => return Err(Failure::failed(error)),
    };
    let sealed = Creds(site).seal(which.name(), key, plain)?;
    if Creds(site).open(which.name(), &sealed)? == *plain {
        Ok(sealed)
    } else {
        Err(other(which, "what systemd-creds sealed"))
    }
}

fn other(which: Which, what: &str) -> Failure {
    Failure::failed(format!(
        "{what} is not the {} that was given; the former one is kept",
        which.what()
    ))
}

/// Puts one beside its place, which it returns too, and reads it back.
fn stage(site: &Site, target: &Target, which: Which, content: &Plain) -> Result<(PathBuf, Staged), Failure> {
    let path = target.path(site, which);
    let above = path.parent().unwrap_or(&path);
    let owner = match &target.kind {
        Kind::Sealed { .. } => {
            site.disk.make_directory(above, Access::of(0o700)).map_err(at(above))?;
            None
        }
        Kind::Files | Kind::Here(_) => {
            // Root owns the directory, so that the daemon cannot put another file there. The daemon
            // may pass.
            let group = site.service.map(|(_, gid)| (site.root_uid, gid));
            let access = Access {
                mode: 0o750,
                owner: group,
            };
            site.disk.make_directory(above, access).map_err(at(above))?;
            site.service
        }
    };
    let staged = site.disk.stage(&path, content, Access { owner, ..PRIVATE });
    let staged = staged.map_err(at(&path))?;
    let written = Zeroizing::new(fs::read(staged.at()).map_err(at(&path))?);
    if written == *content {
        Ok((path, staged))
    } else {
        Err(other(which, &path.display().to_string()))
    }
}

/// Looks at one in its place, before what was there before goes.
fn verify(site: &Site, target: &Target, which: Which, plain: &Plain) -> Result<(), Failure> {
    let path = target.path(site, which);
    let mut found = Zeroizing::new(fs::read(&path).map_err(at(&path))?);
    if target.is_sealed() {
        found = Creds(site).open(which.name(), &found)?;
    } else {
        guarded(site, which, &path).map_err(Failure::failed)?;
    }
    if found == *plain {
        Ok(())
    } else {
        Err(other(which, &path.display().to_string()))
    }
}

/// At each boot systemd-tmpfiles does the same.
fn link_spare(site: &Site, moves: &[Move]) -> Result<(), Failure> {
    let links = site.path(LINKS);
    let made = site.disk.make_directory(&links, Access::of(0o700));
    made.map_err(at(&links))?;
    for step in moves.iter().filter(|step| step.plain.is_some()) {
        let (name, to) = (
            links.join(step.which.credential()),
            Path::new(SPARE_STORE).join(step.which.credential()),
        );
        // The link names the file as the machine will read it. Below a test's root it leads to the
        // same file.
        site.disk.link(&name, &site.path(to)).map_err(at(&name))?;
    }
    Ok(())
}

/// Checks that the daemon will look for files where they were put.
fn in_force(site: &Site, target: &Target, moves: &[Move]) -> Result<(), Failure> {
    let config = site.config()?;
    for which in written(moves) {
        let ours = target.file(which);
        let named = which.configured(&config);
        if named != Some(ours.as_path()) {
            return Err(Failure::failed(format!(
                "the {} is in {}, but a later file of the configuration names {}; nothing was removed; remove that line \
                     and run the command again (c2c-authd --check-config shows the effective configuration)",
                which.what(),
                ours.display(),
                named.map_or_else(|| "none".to_owned(), |path| path.display().to_string())
            )));
        }
    }
    Ok(())
}

/// The secrets that get another place or content. What is kept as it was is not touched, wherever
/// it is.
fn written(moves: &[Move]) -> impl Iterator<Item = Which> {
    moves.iter().filter(|step| step.plain.is_some()).map(|step| step.which)
}

/// Sealed files that `provision` itself stored elsewhere, of the secrets that have a new place.
fn superseded(site: &Site, target: &Target, moves: &[Move]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for which in written(moves) {
        let ours = target.path(site, which);
        paths.extend(sealed_paths(site, which).into_iter().filter(|path| *path != ours));
    }
    paths
}

/// Refuses where something that cannot be removed would win over what is to be stored.
fn unhidden(site: &Site, target: &Target, moves: &[Move]) -> Result<(), Failure> {
    let lasts = site.ground(&target.directory) == Ground::Lasting;
    // The places stand in systemd's order. Credentials win over files.
    let before = STORES
        .iter()
        .chain(&PLAIN_STORES)
        .take_while(|store| !target.is_sealed() || target.directory != Path::new(store));
    let before = before
        .take_while(|store| !(target.is_sealed() && target.directory == Path::new(SPARE_STORE) && **store == LINKS));
    for store in before {
        for which in written(moves) {
            let path = site.path(store).join(which.credential());
            let stays_away =
                site.mounts.removal_lasts(&path) || (!lasts && site.mounts.ground(&path) != Ground::ReadOnly);
            let ours = sealed_paths(site, which).contains(&path);
            let removable = (ours && stays_away) || is_link_of_ours(site, &path, which);
            if path.exists() && !removable {
                return Err(Failure::failed(format!(
                    "{} would take precedence over what is to be stored in {}, and this command cannot remove it; nothing \
                         was changed; remove it and run the command again",
                    path.display(),
                    target.directory.display()
                )));
            }
        }
    }
    Ok(())
}

fn is_link_of_ours(site: &Site, path: &Path, which: Which) -> bool {
    let spare = site.path(SPARE_STORE).join(which.credential());
    fs::read_link(path).is_ok_and(|to| to == spare || site.path(&to) == spare)
}
