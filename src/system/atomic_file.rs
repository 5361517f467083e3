//! Files that are either complete and on disk, or absent.
//!
//! Owns: temporary names, owner and mode before the first byte, `fsync` of file and directory,
//! replacing by `rename`. Must never: follow a link that lies at a temporary name, or judge
//! content.
//!
//! The trait [`Folder`] has one function for each thing that can fail. It is the seam where tests
//! let a step fail, stop the process or cut the power. All names are relative to a descriptor taken
//! once, so nothing that happens to the path later can lead a write elsewhere. Whoever keeps it for
//! long asks [`Directory::is_replaced`].

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Once;
use std::time::Duration;

use rustix::io::Errno;

pub(crate) use directory::Directory;

mod directory;

/// Larger files are not read: a damaged size must not cost memory.
pub(crate) const MAX_FILE: usize = 288 * 1024;

/// The mode and the owner of a file or a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) mode: u32,
    /// Uid and gid. `None`: those of the process.
    pub(crate) owner: Option<(u32, u32)>,
}

/// For the owner alone.
pub(crate) const PRIVATE: Access = Access::of(0o600);

impl Access {
    /// For the process's own user.
    pub(crate) const fn of(mode: u32) -> Self {
        Self { mode, owner: None }
    }
}

pub(crate) trait Folder {
    /// A file being written.
    type File;

    fn path(&self) -> &Path;
    /// All entries, in no order.
    fn names(&self) -> io::Result<Vec<String>>;
    /// The content, `None` if there is no such file. At most one byte more than [`MAX_FILE`].
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;
    /// A new, empty file of its owner's alone. Fails if there is anything of that name.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    fn append(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;
    fn sync_file(&self, file: &Self::File) -> io::Result<()>;
    /// Replaces what is there, in one step.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Gives a file a second name. Fails if there is anything of that name.
    fn link(&self, from: &str, to: &str) -> io::Result<()>;
    /// Content with what does not exist.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Syncs the directory itself. [`Folder::sync`] is what a write calls.
    fn sync_directory(&self) -> io::Result<()>;

    /// Sets owner and mode, whatever the umask is. A folder of a model has neither.
    fn guard(&self, _file: &Self::File, _access: Access) -> io::Result<()> {
        Ok(())
    }

    /// Makes a directory, complete with owner and mode, where an empty one may be.
    fn make(&self, _name: &str, _access: Access) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes a symbolic link.
    fn symlink(&self, _to: &Path, _name: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes all creations, links, renames and removals so far durable.
    ///
    /// Some network and FUSE file systems do not know the sync of a directory. Nothing more can be
    /// had there than the sync of the file, which the write has.
    fn sync(&self) -> io::Result<()> {
        match self.sync_directory() {
            Err(error) if is_unsupported(&error) => {
                warn_unsynced(self.path(), &error);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Renames. Fails if there is anything of the new name.
    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        self.link(from, to)?;
        self.remove(from)
    }

    /// Waits before something is tried again.
    fn pause(&self, by: Duration) {
        std::thread::sleep(by);
    }

    /// Writes a new version of `name` beside it, complete and durable, but not yet in force.
    fn stage(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.stage_for(name, bytes, None)
    }

    /// The same with an owner and a mode, which are set before the first byte is written.
    fn stage_for(&self, name: &str, bytes: &[u8], access: Option<Access>) -> io::Result<()> {
        let staged = staged(name);
        // A write that failed or was cut left it. It is never followed, never opened: it is created
        // anew.
        self.remove(&staged)?;
        let written = self.create(&staged).and_then(|mut file| {
            if let Some(access) = access {
                self.guard(&file, access)?;
            }
            self.append(&mut file, bytes)?;
            self.sync_file(&file)
        });
        if written.is_err() {
            // It takes room that the next try may need. If it cannot go, that try says so.
            let _ = self.remove(&staged);
        }
        written
    }

    /// Puts the staged version in force. Without the sync a power cut could bring the old one back.
    fn commit(&self, name: &str) -> io::Result<()> {
        self.rename(&staged(name), name)?;
        self.sync()
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.stage(name, bytes)?;
        self.commit(name)
    }

    /// Removes durably. Syncs also if the file is gone already: an earlier removal may have failed
    /// at just that.
    fn erase(&self, name: &str) -> io::Result<()> {
        self.remove(name)?;
        self.sync()
    }

    /// Writes a new version of `name` and takes it back: it tells whether a write would go well.
    fn try_out(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.stage(name, bytes)?;
        self.erase(&staged(name))
    }

    /// Removes what interrupted writes left. Never needed for correctness, so failures are left to
    /// later writes.
    fn remove_leftovers(&self) {
        for name in self.names().unwrap_or_default() {
            if name.starts_with('.') && name.ends_with(STAGED) {
                let _ = self.remove(&name);
            }
        }
    }
}

const STAGED: &str = ".new";

/// Hidden, so that neither `record.*` nor a person's `ls` takes it for a record.
fn staged(name: &str) -> String {
    format!(".{name}{STAGED}")
}

/// The name of a file without the mark of its new version.
pub(crate) fn without_stage(name: &str) -> &str {
    name.strip_prefix('.')
        .and_then(|hidden| hidden.strip_suffix(STAGED))
        .unwrap_or(name)
}

/// True if no file can have this name. [`Path`] overlooks a slash at the end.
pub(crate) fn names_a_directory(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    path.file_name().is_none() || bytes.ends_with(b"/") || bytes.ends_with(b"/.")
}

/// True if this name is a directory's. A link to one is none.
pub(crate) fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Files by their paths, wherever they are. Tests hand in folders whose steps fail.
#[derive(Clone)]
pub(crate) struct Disk(Rc<Open>);

type Opened = dyn Folder<File = File>;
type Open = dyn Fn(&Path) -> io::Result<Box<Opened>>;

impl Disk {
    pub(crate) fn real() -> Self {
        Self::of(|path| Ok(Box::new(Directory::at(path)?)))
    }

    pub(crate) fn of(open: impl Fn(&Path) -> io::Result<Box<Opened>> + 'static) -> Self {
        Self(Rc::new(open))
    }

    /// The folder of a file, and the file's name in it.
    fn folder<'a>(&self, path: &'a Path) -> io::Result<(Box<Opened>, &'a str)> {
        let name = path.file_name().and_then(|name| name.to_str());
        let why = "the name of the file is not UTF-8";
        let name = name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        Ok(((self.0)(directory_of(path)?)?, name))
    }

    /// Writes a new version of a file beside it, complete and durable, but not yet in force.
    pub(crate) fn stage(&self, path: &Path, bytes: &[u8], access: Access) -> io::Result<Staged> {
        if names_a_directory(path) {
            let why = "this is not the name of a file";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let (folder, name) = self.folder(path)?;
        folder.stage_for(name, bytes, Some(access))?;
        Ok(Staged {
            at: path.with_file_name(staged(name)),
            name: name.to_owned(),
            folder: Some(folder),
        })
    }

    pub(crate) fn write(&self, path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
        self.stage(path, bytes, access)?.commit()
    }

    /// Makes a directory and those above it, if they are not there. True if this one was made. The
    /// ones above are for all to pass.
    pub(crate) fn make_directory(&self, path: &Path, access: Access) -> io::Result<bool> {
        if path.is_dir() {
            return Ok(false);
        }
        if path.parent().is_some() {
            self.make_directory(directory_of(path)?, Access::of(0o755))?;
        }
        // It has another name until it is complete: nothing would set owner and mode right once it
        // is there.
        let (folder, name) = self.folder(path)?;
        folder.make(&staged(name), access)?;
        folder.commit(name)?;
        Ok(true)
    }

    /// Makes a name a symbolic link, durably. It replaces the file of that name.
    pub(crate) fn link(&self, path: &Path, to: &Path) -> io::Result<()> {
        let (folder, name) = self.folder(path)?;
        folder.remove(&staged(name))?;
        folder.symlink(to, &staged(name))?;
        folder.commit(name)
    }

    /// Removes a file durably, with the rest of an attempt to replace it. True if there was either.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<bool> {
        let (folder, name) = match self.folder(path) {
            Err(error) if is_absent(&error) => return Ok(false),
            found => found?,
        };
        let mut found = false;
        for name in [&*staged(name), name] {
            // A read-only file system would complain of that before it looks whether there is
            // anything to remove.
            if matches!(fs::symlink_metadata(path.with_file_name(name)), Err(error) if is_absent(&error)) {
                continue;
            }
            folder.erase(name)?;
            found = true;
        }
        Ok(found)
    }
}

/// True if the file system does not know this operation, as opposed to having failed at it.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    const UNSUPPORTED: [Errno; 4] = [Errno::INVAL, Errno::OPNOTSUPP, Errno::NOSYS, Errno::NOTTY];
    Errno::from_io_error(error).is_some_and(|errno| UNSUPPORTED.contains(&errno))
}

/// Says once in the life of the process that a promise is weaker.
fn warn_unsynced(path: &Path, error: &io::Error) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        tracing::warn!(
            "the file system of {} cannot sync a directory ({error}): a power cut may undo the last writes; \
             keep the state on another one if it matters",
            path.display()
        );
    });
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The directory that holds this name. A name alone is in the directory where this process runs,
/// and `parent` of it is empty.
fn directory_of(path: &Path) -> io::Result<&Path> {
    match path.parent() {
        None => Err(io::ErrorKind::InvalidInput.into()),
        Some(above) if above.as_os_str().is_empty() => Ok(Path::new(".")),
        Some(above) => Ok(above),
    }
}

/// A new version of a file, durable beside it and not yet in force. Gone again when it is dropped.
pub(crate) struct Staged {
    at: PathBuf,
    name: String,
    /// `None`: it is in force.
    folder: Option<Box<Opened>>,
}

impl Staged {
    /// Where it is for now.
    pub(crate) fn at(&self) -> &Path {
        &self.at
    }

    /// Puts it in force.
    pub(crate) fn commit(self) -> io::Result<()> {
        self.put(Folder::commit)
    }

    /// Puts it in force where there was no file.
    pub(crate) fn commit_new(self) -> io::Result<()> {
        self.put(|folder, name| {
            folder.rename_new(&staged(name), name)?;
            folder.sync()
        })
    }

    fn put(mut self, commit: impl FnOnce(&Opened, &str) -> io::Result<()>) -> io::Result<()> {
        if let Some(folder) = &self.folder {
            commit(&**folder, &self.name)?;
        }
        self.folder = None;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // The next attempt removes the rest of a failed one at the latest.
            let _ = folder.remove(&staged(&self.name));
        }
    }
}

#[cfg(test)]
pub(crate) mod faulty;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    #[test]
    fn a_staged_file_is_in_force_only_after_commit_and_leaves_nothing_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        drop(Disk::real().stage(&path, b"1", PRIVATE).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let staged = Disk::real().stage(&path, b"2", PRIVATE).unwrap();
        assert!(!path.exists());
        staged.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_lies_at_the_place_of_the_staged_file_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        symlink(&victim, folder.path().join(".f.new")).unwrap();
        let path = folder.path().join("f");
        Disk::real().stage(&path, b"secret", PRIVATE).unwrap().commit().unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"untouched");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
    }

    #[test]
    fn every_name_has_a_directory_that_can_be_synced() {
        for (name, directory) in [
            ("f", "."),
            ("./f", "."),
            ("a/f", "a"),
            ("/f", "/"),
            ("/a/f", "/a"),
            ("a/", "."),
        ] {
            assert_eq!(directory_of(Path::new(name)).unwrap(), Path::new(directory), "{name}");
        }
        assert!(directory_of(Path::new("/")).is_err() && directory_of(Path::new("")).is_err());
    }

    #[test]
    fn a_name_that_only_a_directory_can_have_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["f/", "f//", "f/.", "..", "."] {
            let path = folder.path().join(name);
            let refused = Disk::real().stage(&path, b"1", PRIVATE).err().unwrap();
            assert_eq!(refused.to_string(), "this is not the name of a file", "{name}");
        }
        assert!(Disk::real().stage(Path::new(""), b"1", PRIVATE).is_err());
        let odd = folder.path().join(OsStr::from_bytes(b"\xff.png"));
        let refused = Disk::real().stage(&odd, b"1", PRIVATE).err().unwrap();
        assert_eq!(refused.to_string(), "the name of the file is not UTF-8");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn removing_what_is_not_there_is_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        assert!(!Disk::real().remove(&path).unwrap());
        assert!(
            Disk::real()
                .make_directory(path.parent().unwrap(), Access::of(0o700))
                .unwrap()
        );
        assert!(
            !Disk::real()
                .make_directory(path.parent().unwrap(), Access::of(0o700))
                .unwrap()
        );
        fs::write(&path, "").unwrap();
        assert!(Disk::real().remove(&path).unwrap());
    }
}
