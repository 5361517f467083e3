//! The places on which the steps of a folder go wrong as planned.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::rc::Rc;

use super::fixture::*;
use crate::store::OpenError;
use crate::store::folder::{self, Reopen};
use crate::store::records::Records;
use crate::store::seal::Sealer;
use crate::system::atomic_file::faulty::Faulty;
pub(super) use crate::system::atomic_file::faulty::{Fault, Plan};
use crate::system::atomic_file::{Directory, Folder};
use c2c_auth_core::{Kept, Store as Write, Stored};

/// A place to run scenarios on.
pub(super) trait Place {
    type Folder: Reopen;
    fn new() -> Self;
    /// Another, empty directory takes the place of the state directory.
    fn replace_state(&self);
    fn replace_runtime(&self);
    fn state(&self) -> Self::Folder;
    fn runtime(&self) -> Self::Folder;

    fn open(&self, plan: &Rc<Plan>) -> (Records<Faulty<Self::Folder>>, Stored) {
        let (records, stored) = self.open_all(plan);
        // In how many places it lies is the subject of other tests.
        let kept = Kept::Twice;
        (records, Stored { kept, ..stored })
    }

    fn open_all(&self, plan: &Rc<Plan>) -> (Records<Faulty<Self::Folder>>, Stored) {
        let faulty = |inner| Faulty::new(inner, plan);
        let sealer = Sealer::new(&key(), identity());
        Records::open(faulty(self.state()), Some(faulty(self.runtime())), Some(sealer), BOOT).unwrap()
    }

    fn kept(&self) -> Kept {
        self.open_all(&Plan::new(Fault::ForGood)).1.kept
    }

    fn stored(&self) -> Stored {
        self.open(&Plan::new(Fault::ForGood)).1
    }

    fn write(&self, what: &Write) {
        self.open(&Plan::new(Fault::ForGood)).0.write(what).unwrap();
    }

    /// True if a file of this content is there, whatever its name.
    fn holds(&self, content: &[u8]) -> bool {
        holds(&self.state(), content)
    }
}

pub(super) fn holds(folder: &impl Folder, content: &[u8]) -> bool {
    let names = folder.names().unwrap();
    names
        .iter()
        .any(|name| folder.read(name).unwrap().as_deref() == Some(content))
}

impl<F: Reopen> Reopen for Faulty<F> {
    fn is_replaced(&self) -> bool {
        self.inner().is_replaced()
    }

    fn reopen(&self, locked: bool) -> Result<Self, OpenError> {
        let path = self.path().to_owned();
        self.step(|| Ok(())).map_err(|source| OpenError::Io { path, source })?;
        Ok(self.beside(self.inner().reopen(locked)?))
    }
}

/// Moves a directory away and makes another one in its place.
fn replace(path: &Path) {
    let gone = path.with_extension("gone");
    std::fs::rename(path, &gone).unwrap();
    std::fs::remove_dir_all(gone).unwrap();
    std::fs::DirBuilder::new().mode(0o700).create(path).unwrap();
}

impl Place for Device {
    type Folder = Directory;

    fn replace_state(&self) {
        replace(self.state.path());
    }
    fn replace_runtime(&self) {
        replace(self.runtime.path());
    }

    fn new() -> Self {
        Device::new()
    }
    fn state(&self) -> Directory {
        folder::open(self.state.path().to_owned()).unwrap()
    }
    fn runtime(&self) -> Directory {
        folder::open(self.runtime.path().to_owned()).unwrap()
    }
}
