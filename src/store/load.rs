//! The files on disk, and their meaning. Reads only: no outcome here changes a byte.

use std::io;
use std::time::Duration;

use super::body;
use super::error::OpenError;
use super::folder::{is_damage, is_passing};
use super::seal::{Defect, Kind, Sealer};
use crate::system::atomic_file::Folder;
use c2c_auth_core::{Kept, Loaded, Record};

pub(crate) const SLOTS: [&str; 2] = ["record.0", "record.1"];
/// In the runtime directory: a pairing that the state directory did not take.
pub(crate) const SPILL: &str = "record.spill";
/// Tokens to be revoked.
pub(crate) const REVOCATIONS: &str = "revocations";
/// In the runtime directory: the pairing attempt.
pub(crate) const FLOW: &str = "flow";

/// How often, and how far apart, what cannot be read is read again.
const READ_AGAIN: usize = 3;
const READ_APART: Duration = Duration::from_millis(100);

/// The file of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    Absent,
    Good { sequence: u64, content: T },
    Defective(Defect),
}

impl<T> Found<T> {
    pub(super) const fn defect(&self) -> Option<Defect> {
        match self {
            Self::Defective(defect) => Some(*defect),
            Self::Absent | Self::Good { .. } => None,
        }
    }

    pub(super) fn content(self) -> Option<T> {
        self.good().map(|(_, content)| content)
    }

    const fn sequence(&self) -> Option<u64> {
        match self {
            Self::Good { sequence, .. } => Some(*sequence),
            Self::Absent | Self::Defective(_) => None,
        }
    }

    fn good(self) -> Option<(u64, T)> {
        match self {
            Self::Good { sequence, content } => Some((sequence, content)),
            Self::Absent | Self::Defective(_) => None,
        }
    }

    fn as_content(&self) -> Option<&T> {
        match self {
            Self::Good { content, .. } => Some(content),
            Self::Absent | Self::Defective(_) => None,
        }
    }
}

/// Reads one sealed file. Fails only if the content is out of reach, which says nothing about it.
pub(super) fn find<F: Folder, T>(
    folder: &F,
    name: &str,
    sealer: &Sealer,
    kind: Kind,
    parse: fn(&[u8]) -> Option<T>,
) -> Result<Found<T>, OpenError> {
    let file = match read_patiently(folder, name) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(Found::Absent),
        Err(error) if is_damage(&error) => return Ok(Found::Defective(Defect::Damaged)),
        Err(source) => {
            return Err(OpenError::Io {
                path: folder.path().join(name),
                source,
            });
        }
    };
    Ok(match sealer.open(kind, &file) {
        Ok(opened) => match parse(&opened.body) {
            Some(content) => Found::Good {
                sequence: opened.sequence,
                content,
            },
            // Authentic, and yet not what this version writes.
            None => Found::Defective(Defect::UnknownFormat),
        },
        Err(defect) => Found::Defective(defect),
    })
}

/// Storage that has just been switched on, or is busy, may answer a read with an error once: before
/// the content is given up, it is read again.
fn read_patiently<F: Folder>(folder: &F, name: &str) -> io::Result<Option<Vec<u8>>> {
    let mut found = folder.read(name);
    for _ in 0..READ_AGAIN {
        if !found.as_ref().is_err_and(is_passing) {
            break;
        }
        folder.pause(READ_APART);
        found = folder.read(name);
    }
    found
}

/// Everything known about the record after loading.
pub(super) struct FoundRecords {
    pub(super) loaded: Loaded,
    /// How well its tokens are kept.
    pub(super) kept: Kept,
    /// The file in the place of the spill.
    pub(super) spill: Spill,
    /// Sequences of the usable generations on disk.
    pub(super) slots: [Option<u64>; 2],
    /// Generations on disk that cannot be used.
    pub(super) defective: Vec<(&'static str, Defect)>,
    /// The highest sequence in use.
    pub(super) sequence: u64,
}

/// The file that the runtime directory holds beside the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spill {
    /// Nothing, or what may be needed.
    Keep,
    /// Both generations are newer: a crash came before it was removed.
    Stale,
    /// It cannot be used. It may be all that is left for another key or configuration.
    Defective(Defect),
}

/// Finds the newest record among the generations on disk and the spill.
///
/// A record is only "current" if nothing beside it is unreadable. Even the sequence of an
/// unreadable file cannot be believed, so that file may have been the newer one. Taking the good
/// one for [`Loaded::Previous`] then costs one resend. Taking it for current could cost the
/// pairing. (Renames are atomic, so a torn write never looks like this.)
pub(super) fn records<F: Folder>(state: &F, runtime: Option<&F>, sealer: &Sealer) -> Result<FoundRecords, OpenError> {
    let find = |folder, name| find(folder, name, sealer, Kind::Record, body::read_record);
    let mut found = vec![find(state, SLOTS[0])?, find(state, SLOTS[1])?];
    let slots = [found[0].sequence(), found[1].sequence()];
    let defective = SLOTS
        .into_iter()
        .zip(&found)
        .filter_map(|(name, found)| Some((name, found.defect()?)))
        .collect();
    if let Some(runtime) = runtime {
        found.push(find(runtime, SPILL)?);
    }

    let defect = found.iter().filter_map(Found::defect).max();
    let kept = kept(&found);
    let spill = spill(&found, kept);
    let newest = found
        .into_iter()
        .filter_map(Found::good)
        .max_by_key(|(sequence, _)| *sequence);
    let sequence = newest.as_ref().map_or(0, |(sequence, _)| *sequence);
    let loaded = match (newest, defect) {
        (Some((_, record)), None) => Loaded::Current(record),
        (Some((_, record)), Some(_)) => Loaded::Previous(record),
        (None, Some(defect)) => unusable(defect),
        (None, None) => Loaded::Missing,
    };
    Ok(FoundRecords {
        loaded,
        kept,
        spill,
        slots,
        defective,
        sequence,
    })
}

/// How many of the two generations hold what the newest record holds. The spill, if any, comes
/// last.
fn kept(found: &[Found<Record>]) -> Kept {
    let newest = found.iter().max_by_key(|found| found.sequence());
    let Some(newest) = newest.and_then(Found::as_content) else {
        return Kept::Twice;
    };
    let slots = found.iter().take(SLOTS.len()).filter_map(Found::as_content);
    match slots.filter(|record| record.same_tokens(newest)).count() {
        0 => Kept::Spilled,
        1 => Kept::Once,
        _ => Kept::Twice,
    }
}

fn spill(found: &[Found<Record>], kept: Kept) -> Spill {
    let Some(spill) = found.get(SLOTS.len()) else {
        return Spill::Keep;
    };
    let newest = found.iter().filter_map(Found::sequence).max();
    match spill.defect() {
        Some(defect) => Spill::Defective(defect),
        None if kept == Kept::Twice && spill.sequence().is_some() && spill.sequence() < newest => Spill::Stale,
        None => Spill::Keep,
    }
}

fn unusable(defect: Defect) -> Loaded {
    match defect {
        Defect::Damaged | Defect::UnknownFormat => Loaded::Damaged,
        Defect::OtherKey => Loaded::KeyUnavailable,
        Defect::Foreign => Loaded::Foreign,
    }
}

/// The number in the name of a file that was set aside for this defect.
fn number(name: &str, stem: &str, defect: Defect) -> Option<u32> {
    name.strip_prefix(stem)?
        .strip_prefix('.')?
        .strip_prefix(defect.word())?
        .strip_prefix('.')?
        .parse()
        .ok()
}

/// A name for a file to be kept that nothing in `names` has: `record.damaged.1`,
/// `record.damaged.2`, …
pub(super) fn free_name(names: &[String], stem: &str, defect: Defect) -> String {
    let last = names
        .iter()
        .filter_map(|name| number(name, stem, defect))
        .max()
        .unwrap_or(0);
    format!("{stem}.{}.{}", defect.word(), last.saturating_add(1))
}

/// True if any of `names` in a state directory was ever sealed, usable or set aside.
pub(super) fn any_sealed(names: &[String]) -> bool {
    let sealed = |name: &String| name.starts_with("record.") || name.starts_with(REVOCATIONS);
    names.iter().any(sealed)
}

/// True if there is a record that a key might open.
pub(super) fn any_record<F: Folder>(state: &F, runtime: Option<&F>) -> Result<bool, OpenError> {
    if names(state)?.iter().any(|name| SLOTS.contains(&name.as_str())) {
        return Ok(true);
    }
    runtime.map_or(Ok(false), |runtime| {
        Ok(names(runtime)?.iter().any(|name| name == SPILL))
    })
}

fn names<F: Folder>(folder: &F) -> Result<Vec<String>, OpenError> {
    folder.names().map_err(|source| OpenError::Io {
        path: folder.path().to_owned(),
        source,
    })
}
