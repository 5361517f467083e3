//! The state key that does not open now but may open later: a TPM that cannot be reached today may
//! answer tomorrow, and what is on disk was sealed with its key. It is kept unchanged beside its
//! place, and never removed by `provision`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Target;
use super::drop_in::DropIn;
use super::location::{Found, Which, sealed_paths};
use crate::ctl::site::{Site, names};
use crate::system::atomic_file::{Access, without_stage};

/// Between the name of the secret and a number.
const MARK: &str = ".replaced.";

/// The files whose content would be lost if a state key came to its place: all but the one that
/// could be read.
pub(super) fn at_risk(site: &Site, target: &Target, former: &DropIn, found: Option<&Found>) -> Vec<PathBuf> {
    let which = Which::StateKey;
    // By its real name: systemd finds the spare store by a link.
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let good = found
        .filter(|found| found.content.is_ok())
        .map(|found| real(found.kept.path()));
    let mut paths = vec![target.path(site, which)];
    paths.extend(sealed_paths(site, which));
    paths.extend(former.state_key.as_ref().map(|path| site.path(path)));
    paths.sort();
    paths.dedup();
    paths.retain(|path| good.as_ref() != Some(&real(path)) && path.is_file());
    paths
}

/// The files, as the machine calls them, beside which copies are or will be, other than in the
/// stores of sealed ones, where they are found anyway. Those without any are forgotten.
pub(super) fn places(site: &Site, former: &DropIn, at_risk: &[PathBuf]) -> io::Result<BTreeSet<PathBuf>> {
    let stores = sealed_paths(site, Which::StateKey);
    let in_clear = at_risk.iter().filter(|path| !stores.contains(path));
    let mut places: BTreeSet<_> = in_clear.map(|path| site.machine_path(path)).collect();
    for path in &former.kept_beside {
        if !copies(&site.path(path))?.is_empty() {
            places.insert(path.clone());
        }
    }
    Ok(places)
}

/// Copies a file to a name beside it that nothing has, with its owner and for that one alone, and
/// returns that name.
pub(super) fn beside(site: &Site, path: &Path) -> io::Result<PathBuf> {
    let content = Zeroizing::new(fs::read(path)?);
    let found = fs::metadata(path)?;
    // One that a cut left unfinished is begun anew.
    let whole = copies(path)?.into_iter().filter(|(_, copy)| copy.exists());
    let last = whole.map(|(number, _)| number).max().unwrap_or(0);
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(format!("{MARK}{}", last.saturating_add(1)));
    let copy = path.with_file_name(name);
    let access = Access {
        mode: 0o600,
        owner: Some((found.uid(), found.gid())),
    };
    site.disk.write(&copy, &content, access)?;
    Ok(copy)
}

/// The copies of this file, with their numbers. A copy that a power cut left incomplete counts too.
pub(in crate::ctl) fn copies(path: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let (Some(above), Some(stem)) = (path.parent(), path.file_name()) else {
        return Ok(Vec::new());
    };
    let stem = format!("{}{MARK}", stem.to_string_lossy());
    let listed = match names(above) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Vec::new(),
        listed => listed?,
    };
    let mut found = Vec::new();
    for name in listed {
        let name = without_stage(&name);
        if let Some(Ok(number)) = name.strip_prefix(&stem).map(str::parse) {
            found.push((number, above.join(name)));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

pub(super) fn warning(kept: &[PathBuf], records: bool) -> Option<String> {
    let names: Vec<_> = kept.iter().map(|path| path.display().to_string()).collect();
    let kept = format!(
        "the former state key was replaced; it is kept as {}",
        names.join(" and ")
    );
    match (names.as_slice(), records) {
        ([], false) => None,
        (_, false) => Some(kept),
        ([], true) => Some(
            "the state key is new, and records sealed with the former one cannot be read: the device has to be paired \
             again, unless that key is brought back"
                .to_owned(),
        ),
        (_, true) => Some(format!(
            "{kept}; records sealed with it cannot be read with the new one: pair the device again, or put the former key \
             back once it opens"
        )),
    }
}
