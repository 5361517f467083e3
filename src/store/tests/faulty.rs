//! A folder whose steps go wrong as planned, and the places to try that on.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;

use super::fixture::*;
use crate::store::folder::{Directory, Folder};
use crate::store::seal::Sealer;
use crate::store::vault::Vault;
use c2c_auth_core::{Kept, Store as Write, Stored};

/// How a step goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// This step does nothing (an append: half) and says so; the next one works.
    Once(Errno),
    /// This step is carried out, and yet reported as failed.
    Done(Errno),
    /// Nothing works from here on: the disk is gone, or the process.
    ForGood,
}

/// When it goes wrong: counts the steps of all folders that share it.
pub(super) struct Plan {
    left: Cell<u32>,
    /// So many reads fail with an input/output error.
    unread: Cell<u32>,
    paused: Cell<Duration>,
    fault: Fault,
    hit: Cell<bool>,
}

impl Plan {
    /// Nothing goes wrong until it is armed.
    pub(super) fn new(fault: Fault) -> Rc<Self> {
        Rc::new(Self {
            left: Cell::new(u32::MAX),
            unread: Cell::new(0),
            paused: Cell::default(),
            fault,
            hit: Cell::new(false),
        })
    }

    /// The fault comes after this many steps that go well.
    pub(super) fn arm(&self, steps: u32) {
        self.left.set(steps);
    }

    /// So many reads fail, from now on.
    pub(super) fn unread(&self, reads: u32) {
        self.unread.set(reads);
    }

    /// How long was waited before something was tried again.
    pub(super) fn paused(&self) -> Duration {
        self.paused.get()
    }

    pub(super) fn was_hit(&self) -> bool {
        self.hit.get()
    }

    fn step(&self, mut work: impl FnMut() -> io::Result<()>, half: impl FnOnce()) -> io::Result<()> {
        match self.left.get() {
            0 => match self.fault {
                Fault::Once(errno) => {
                    self.pass();
                    half();
                    Err(errno.into())
                }
                Fault::Done(errno) => {
                    self.pass();
                    work()?;
                    Err(errno.into())
                }
                Fault::ForGood => {
                    if !self.hit.replace(true) {
                        half();
                    }
                    Err(Errno::IO.into())
                }
            },
            left => {
                self.left.set(left - 1);
                work()
            }
        }
    }

    fn pass(&self) {
        self.left.set(u32::MAX);
        self.hit.set(true);
    }
}

/// A folder whose steps go wrong as planned.
pub(super) struct Faulty<F> {
    inner: F,
    plan: Rc<Plan>,
}

impl<F: Folder> Folder for Faulty<F> {
    type File = F::File;

    fn path(&self) -> &Path {
        self.inner.path()
    }
    fn names(&self) -> io::Result<Vec<String>> {
        self.inner.names()
    }
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match self.plan.unread.get().checked_sub(1) {
            Some(left) => {
                self.plan.unread.set(left);
                Err(Errno::IO.into())
            }
            None => self.inner.read(name),
        }
    }
    fn pause(&self, by: Duration) {
        self.plan.paused.set(self.plan.paused.get() + by);
    }
    fn create(&self, name: &str) -> io::Result<F::File> {
        let mut file = None;
        let create = || {
            file = Some(self.inner.create(name)?);
            Ok(())
        };
        self.plan.step(create, || ())?;
        Ok(file.unwrap())
    }
    fn append(&self, file: &mut F::File, bytes: &[u8]) -> io::Result<()> {
        let half = Cell::new(false);
        let outcome = self.plan.step(|| self.inner.append(file, bytes), || half.set(true));
        if half.get() {
            self.inner.append(file, &bytes[..bytes.len() / 2])?;
        }
        outcome
    }
    fn sync_file(&self, file: &F::File) -> io::Result<()> {
        self.plan.step(|| self.inner.sync_file(file), || ())
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.plan.step(|| self.inner.rename(from, to), || ())
    }
    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.plan.step(|| self.inner.link(from, to), || ())
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.plan.step(|| self.inner.remove(name), || ())
    }
    fn sync(&self) -> io::Result<()> {
        self.plan.step(|| self.inner.sync(), || ())
    }
}

/// A place to run scenarios on.
pub(super) trait Place {
    type Folder: Folder;
    fn new() -> Self;
    fn state(&self) -> Self::Folder;
    fn runtime(&self) -> Self::Folder;

    fn open(&self, plan: &Rc<Plan>) -> (Vault<Faulty<Self::Folder>>, Stored) {
        let faulty = |inner| Faulty {
            inner,
            plan: Rc::clone(plan),
        };
        let sealer = Sealer::new(&key(), identity());
        let (vault, stored) =
            Vault::open(faulty(self.state()), Some(faulty(self.runtime())), Some(sealer), BOOT).unwrap();
        // In how many places it lies is the subject of other tests.
        let kept = Kept::Twice;
        (vault, Stored { kept, ..stored })
    }

    fn stored(&self) -> Stored {
        self.open(&Plan::new(Fault::ForGood)).1
    }

    fn write(&self, what: &Write) {
        self.open(&Plan::new(Fault::ForGood)).0.write(what).unwrap();
    }

    /// Whether a file of this content is there, whatever its name.
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
        Directory::open(self.state.path().to_owned()).unwrap()
    }
    fn runtime(&self) -> Directory {
        Directory::open(self.runtime.path().to_owned()).unwrap()
    }
}
