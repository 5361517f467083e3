//! The places on which the steps of a folder go wrong as planned.

use std::rc::Rc;

use super::fixture::*;
use crate::store::folder;
use crate::store::records::Records;
use crate::store::seal::Sealer;
use crate::system::atomic_file::faulty::Faulty;
pub(super) use crate::system::atomic_file::faulty::{Fault, Plan};
use crate::system::atomic_file::{Directory, Folder};
use c2c_auth_core::{Kept, Store as Write, Stored};

/// A place to run scenarios on.
pub(super) trait Place {
    type Folder: Folder;
    fn new() -> Self;
    fn state(&self) -> Self::Folder;
    fn runtime(&self) -> Self::Folder;

    fn open(&self, plan: &Rc<Plan>) -> (Records<Faulty<Self::Folder>>, Stored) {
        let faulty = |inner| Faulty::new(inner, plan);
        let sealer = Sealer::new(&key(), identity());
        let (records, stored) =
            Records::open(faulty(self.state()), Some(faulty(self.runtime())), Some(sealer), BOOT).unwrap();
        // In how many places it lies is the subject of other tests.
        let kept = Kept::Twice;
        (records, Stored { kept, ..stored })
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

impl Place for Device {
    type Folder = Directory;

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
