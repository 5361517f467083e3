//! The data that survives, sealed: the pairing in two generations, pending revocations, and the
//! flow in the runtime directory.
//!
//! Owns: the files in the state and the runtime directory, their format, the lock on the state
//! directory, and the state key while the daemon runs. Blocking: it runs on a thread of its own.
//!
//! Must never: decide what a record means for the pairing (the core does), put a secret into a file
//! in clear, an error or a log, or destroy what it cannot read.
//!
//! Invariants:
//! - When [`Store::write`] returns `Ok`, the new state is durable. When it fails or is cut at any
//!   step, the next start finds either the old record or the new one, complete.
//! - Whoever loads is told how well the record is kept ([`Kept`](c2c_auth_core::Kept)), so that it
//!   can be written again.
//! - A write to one generation never touches the newer one. Should it fail, the newer one is the
//!   record.
//! - Loading never overwrites. The newer of two generations is used. One that cannot be read makes
//!   the other "previous".
//! - An unreadable file is renamed `record.<reason>.<n>` before anything is written in its place,
//!   and kept.
//! - Only content that opens under our key, for our identity and as the right kind of file is ever
//!   returned.
//! - The files are where the paths lead: a directory that was replaced while the store is open is
//!   followed, and gets what memory holds.
//! - With [`Slots::Both`](c2c_auth_core::Slots::Both) nothing that was there before can come back.
//!
//! | file | where | what |
//! |---|---|---|
//! | `record.0`, `record.1` | state | the two generations |
//! | `record.<reason>.<n>` | both | set aside: damaged, unknown-format, other-key or foreign |
//! | `revocations` | state | tokens the server has yet to hear about |
//! | `spare` | state | room for one record, given up when the disk is full |
//! | `flow` | runtime | the pairing attempt of this boot |
//! | `record.spill` | runtime | a pairing that the state directory did not take |
//! | `.<name>.new` | both | a write under way |

mod body;
mod error;
mod folder;
mod key;
mod load;
mod records;
mod seal;

use std::fmt;
use std::path::{Path, PathBuf};

pub(crate) use error::{OpenError, WriteError};
pub use key::{Identity, StateKey};
pub(crate) use load::{FLOW, REVOCATIONS, SLOTS, SPILL};

use crate::system::atomic_file::{Directory, without_stage};
use c2c_auth_core::BootId;
use records::Records;
use seal::Sealer;

/// Where things are kept. Both must exist, belong to us and be writable by nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// Survives a reboot. Holds the record.
    pub state: PathBuf,
    /// Survives restarts of the daemon. Without one no flow is resumed and nothing is spilled.
    pub runtime: Option<PathBuf>,
}

/// The open store. Holds the lock on the state directory until dropped.
pub struct Store(Records<Directory>);

impl Store {
    /// Takes the lock and loads. Without a key it opens all the same, tells whether there is a
    /// record, and writes nothing.
    ///
    /// # Errors
    /// [`OpenError`] if a directory cannot be used or read. Content that cannot be used is no error
    /// but an outcome: [`c2c_auth_core::Loaded`].
    pub fn open(
        dirs: Directories,
        key: Option<StateKey>,
        identity: Identity,
        boot: BootId,
    ) -> Result<(Self, c2c_auth_core::Stored), OpenError> {
        let state = folder::open(dirs.state.clone())?;
        folder::lock(&state, &dirs.state)?;
        let runtime = dirs.runtime.map(folder::open).transpose()?;
        let sealer = key.map(|key| Sealer::new(&key, identity));
        let (records, stored) = Records::open(state, runtime, sealer, boot)?;
        Ok((Self(records), stored))
    }

    /// Carries out one write, durably.
    ///
    /// # Errors
    /// [`WriteError`]: nothing of the write can be relied on. The next start finds the record as it
    /// was before or as it was to be. Trying again is safe.
    pub fn write(&mut self, what: &c2c_auth_core::Store) -> Result<(), WriteError> {
        self.0.write(what)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// The lock on the state directory, for somebody who is not the daemon. Held until dropped.
pub(crate) struct Lock {
    _directory: Directory,
}

impl Lock {
    /// Takes it.
    ///
    /// # Errors
    /// [`OpenError::Locked`] while a daemon runs, others if the directory cannot be opened.
    pub(crate) fn take(state: &Path) -> Result<Self, OpenError> {
        let directory = folder::look(state)?;
        folder::lock(&directory, state)?;
        Ok(Self { _directory: directory })
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

/// Reads the records for somebody who is not the daemon: takes no lock, changes nothing. While the
/// daemon runs it may be the record before the last.
///
/// # Errors
/// [`OpenError`] if a directory or a file in it is out of reach.
pub fn peek(dirs: &Directories, key: &StateKey, identity: Identity) -> Result<c2c_auth_core::Loaded, OpenError> {
    let state = folder::look(&dirs.state)?;
    let runtime = match dirs.runtime.as_deref().map(folder::look).transpose() {
        Err(OpenError::Missing { .. }) => None,
        found => found?,
    };
    let sealer = Sealer::new(key, identity);
    Ok(load::records(&state, runtime.as_ref(), &sealer)?.loaded)
}

/// True if the store makes files of this name, in one of its directories.
#[must_use]
pub(crate) fn is_ours(name: &str) -> bool {
    let name = without_stage(name);
    let stems = ["record.", "revocations."];
    matches!(name, records::RESERVE | FLOW | REVOCATIONS) || stems.iter().any(|stem| name.starts_with(stem))
}

/// True if a file was set aside because it could not be used: `record.damaged.1`,
/// `revocations.foreign.2`.
#[must_use]
pub(crate) fn is_set_aside(name: &str) -> bool {
    let parts: Vec<_> = name.split('.').collect();
    matches!(parts[..], ["record" | REVOCATIONS, _, number] if number.parse::<u32>().is_ok())
}

/// True if anything in a state directory was ever sealed, so that a new state key would orphan it.
/// Also true where nobody can tell.
#[must_use]
pub(crate) fn records_exist(dir: &Path) -> bool {
    match std::fs::read_dir(dir) {
        Ok(entries) => {
            let names: Result<Vec<_>, _> = entries
                .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
                .collect();
            names.map_or(true, |names| load::any_sealed(&names))
        }
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests;
