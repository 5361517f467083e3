//! The real folder.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, Gid, Mode, OFlags, RenameFlags, Uid};
use rustix::io::Errno;

use super::{Access, Folder, MAX_FILE, is_absent};

/// A directory of the file system.
pub(crate) struct Directory {
    fd: File,
    path: PathBuf,
}

impl Directory {
    /// Opens it, whoever owns it.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            fd: File::from(rustix::fs::open(path, flags, Mode::empty())?),
            path: path.to_owned(),
        })
    }

    pub(crate) fn metadata(&self) -> io::Result<fs::Metadata> {
        self.fd.metadata()
    }

    /// True if its path leads to another directory by now, or to none. An error that says neither
    /// changes nothing: the open descriptor works.
    pub(crate) fn is_replaced(&self) -> bool {
        let id = |found: fs::Metadata| (found.dev(), found.ino());
        match (self.fd.metadata(), fs::metadata(&self.path)) {
            (Ok(ours), Ok(there)) => id(ours) != id(there),
            (_, Err(error)) => is_absent(&error),
            (Err(_), Ok(_)) => false,
        }
    }

    /// False if the file system is read-only, or the mode keeps this user out. Room is not looked
    /// at.
    pub(crate) fn is_writable(&self) -> bool {
        let flags = AtFlags::EACCESS;
        !rustix::fs::accessat(&self.fd, ".", rustix::fs::Access::WRITE_OK, flags)
            .is_err_and(|error| matches!(error, Errno::ROFS | Errno::ACCESS))
    }

    /// Keeps others that lock it out for as long as this value lives, also after a crash: the
    /// kernel lets go. Fails with [`io::ErrorKind::WouldBlock`] if another one has it.
    pub(crate) fn lock(&self) -> io::Result<()> {
        Ok(rustix::fs::flock(&self.fd, FlockOperation::NonBlockingLockExclusive)?)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Explicit: a forked child may still hold the descriptor, and then closing ours does not
        // release the lock.
        let _ = rustix::fs::flock(&self.fd, FlockOperation::Unlock);
    }
}

impl Folder for Directory {
    type File = File;

    fn path(&self) -> &Path {
        &self.path
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            match entry?.file_name().to_str() {
                // A name that is not UTF-8 is none of ours either.
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        // NONBLOCK: a fifo put there must not hang the start.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if !file.metadata()?.is_file() {
            return Err(Errno::LOOP.into());
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(File::from(fd))
    }

    fn append(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::linkat(&self.fd, from, &self.fd, to, AtFlags::empty())?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.fd.sync_all()
    }

    fn guard(&self, file: &File, access: Access) -> io::Result<()> {
        if let Some((uid, gid)) = access.owner {
            rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(access.mode))?)
    }

    fn make(&self, name: &str, access: Access) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        rustix::fs::mkdirat(&self.fd, name, Mode::RWXU)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = File::from(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?);
        self.guard(&made, access)?;
        made.sync_all()
    }

    fn symlink(&self, to: &Path, name: &str) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(to, &self.fd, name)?)
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
            // The file system does not know the flag.
            Err(Errno::INVAL | Errno::NOSYS) => {
                self.link(from, to)?;
                self.remove(from)
            }
            outcome => Ok(outcome?),
        }
    }
}
