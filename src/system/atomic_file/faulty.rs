#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

//! A folder whose steps go wrong as planned.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;

use super::{Access, Directory, Disk, Folder};

/// How a step goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This step does nothing (an append: half) and says so. The next one works.
    Once(Errno),
    /// This step is carried out, and yet reported as failed.
    Done(Errno),
    /// Nothing works from here on: the disk is gone, or the process.
    ForGood,
}

/// When it goes wrong: counts the steps of all folders that share it.
pub(crate) struct Plan {
    left: Cell<u32>,
    /// So many reads fail with an input/output error.
    unread: Cell<u32>,
    paused: Cell<Duration>,
    /// The file system knows no sync of a directory, or no links, and says so in this way.
    no_sync: Cell<Option<Errno>>,
    no_link: Cell<Option<Errno>>,
    fault: Fault,
    hit: Cell<bool>,
}

impl Plan {
    /// Nothing goes wrong until it is armed.
    pub(crate) fn new(fault: Fault) -> Rc<Self> {
        Rc::new(Self {
            left: Cell::new(u32::MAX),
            unread: Cell::new(0),
            paused: Cell::default(),
            no_sync: Cell::default(),
            no_link: Cell::default(),
            fault,
            hit: Cell::new(false),
        })
    }

    /// The fault comes after this many steps that go well.
    pub(crate) fn arm(&self, steps: u32) {
        self.left.set(steps);
    }

    /// So many reads fail, from now on.
    pub(crate) fn unread(&self, reads: u32) {
        self.unread.set(reads);
    }

    /// From now on, this is the answer to each sync of a directory.
    pub(crate) fn refuse_sync(&self, errno: Errno) {
        self.no_sync.set(Some(errno));
    }

    /// From now on, this is the answer to each link.
    pub(crate) fn refuse_link(&self, errno: Errno) {
        self.no_link.set(Some(errno));
    }

    /// How long was waited before something was tried again.
    pub(crate) fn paused(&self) -> Duration {
        self.paused.get()
    }

    pub(crate) fn was_hit(&self) -> bool {
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

fn refused(by: &Cell<Option<Errno>>) -> io::Result<()> {
    by.get().map_or(Ok(()), |errno| Err(errno.into()))
}

/// A folder whose steps go wrong as planned.
pub(crate) struct Faulty<F> {
    inner: F,
    plan: Rc<Plan>,
}

impl<F> Faulty<F> {
    pub(crate) fn new(inner: F, plan: &Rc<Plan>) -> Self {
        Self {
            inner,
            plan: Rc::clone(plan),
        }
    }

    pub(crate) const fn inner(&self) -> &F {
        &self.inner
    }

    /// Another folder, under the same plan.
    pub(crate) fn beside(&self, inner: F) -> Self {
        Self::new(inner, &self.plan)
    }

    /// A step that is none of a folder's own.
    pub(crate) fn step(&self, work: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        self.plan.step(work, || ())
    }
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
        refused(&self.plan.no_link)?;
        self.plan.step(|| self.inner.link(from, to), || ())
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.plan.step(|| self.inner.remove(name), || ())
    }
    fn sync_directory(&self) -> io::Result<()> {
        refused(&self.plan.no_sync)?;
        self.plan.step(|| self.inner.sync_directory(), || ())
    }
    fn guard(&self, file: &F::File, access: Access) -> io::Result<()> {
        self.plan.step(|| self.inner.guard(file, access), || ())
    }
    fn make(&self, name: &str, access: Access) -> io::Result<()> {
        self.plan.step(|| self.inner.make(name, access), || ())
    }
    fn symlink(&self, to: &Path, name: &str) -> io::Result<()> {
        self.plan.step(|| self.inner.symlink(to, name), || ())
    }
    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        self.plan.step(|| self.inner.rename_new(from, to), || ())
    }
}

/// Runs `work` on a disk on which nothing works after so many steps. True if it ended before that.
pub(crate) fn cut_after(steps: usize, work: impl FnOnce(Disk)) -> bool {
    let plan = Plan::new(Fault::ForGood);
    plan.arm(u32::try_from(steps).unwrap());
    let faulty = Rc::clone(&plan);
    work(Disk::of(move |path| {
        Ok(Box::new(Faulty::new(Directory::at(path)?, &faulty)))
    }));
    !plan.was_hit()
}
