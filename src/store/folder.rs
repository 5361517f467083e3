//! A directory of the store: opened, judged and locked in the store's words, and what an error of
//! it says.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::error::OpenError;
use crate::system::atomic_file::{Directory, Folder, is_unsupported};

/// A folder that its path may lead away from: it was removed and made again, or something was
/// mounted over it.
pub(super) trait Reopen: Folder + Sized {
    /// True if the path leads to another directory by now, or to none.
    fn is_replaced(&self) -> bool;

    /// False if it is known that no write can go well.
    fn is_writable(&self) -> bool {
        true
    }

    /// The directory that the path leads to now, judged as at the start, and locked if that is
    /// asked for.
    fn reopen(&self, locked: bool) -> Result<Self, OpenError>;
}

impl Reopen for Directory {
    fn is_replaced(&self) -> bool {
        Self::is_replaced(self)
    }

    fn is_writable(&self) -> bool {
        Self::is_writable(self)
    }

    fn reopen(&self, locked: bool) -> Result<Self, OpenError> {
        let directory = open(self.path().to_owned())?;
        if locked {
            lock(&directory, self.path())?;
        }
        Ok(directory)
    }
}

/// Opens it to look at, whoever owns it.
pub(super) fn look(path: &Path) -> Result<Directory, OpenError> {
    let io = |path: PathBuf, source| OpenError::Io { path, source };
    Directory::at(path).map_err(|error| {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => OpenError::Missing { path },
            // Most often a directory of mode 0700 of another user: saying so is worth more than
            // "permission denied".
            io::ErrorKind::PermissionDenied => match std::fs::metadata(&path) {
                Ok(found) if found.uid() != us() => OpenError::NotOurs {
                    path,
                    owner: found.uid(),
                    us: us(),
                },
                Ok(_) | Err(_) => io(path, error),
            },
            _ => io(path, error),
        }
    })
}

/// Opens it, and refuses one in which others could exchange our files.
pub(super) fn open(path: PathBuf) -> Result<Directory, OpenError> {
    let directory = look(&path)?;
    let found = match directory.metadata() {
        Ok(found) => found,
        Err(source) => return Err(OpenError::Io { path, source }),
    };
    if found.uid() != us() {
        return Err(OpenError::NotOurs {
            path,
            owner: found.uid(),
            us: us(),
        });
    }
    if found.mode() & 0o022 != 0 {
        return Err(OpenError::Mode {
            path,
            mode: found.mode() & 0o7777,
        });
    }
    Ok(directory)
}

/// Keeps other daemons out for as long as the directory is open. Where the file system knows no
/// locks, the name on the bus does that alone.
pub(super) fn lock(directory: &Directory, path: &Path) -> Result<(), OpenError> {
    match directory.lock() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(OpenError::Locked { path: path.to_owned() }),
        Err(error) if knows_no_locks(&error) => {
            tracing::warn!(
                "the file system of {} knows no locks ({error}): nothing but the bus keeps a second c2c-authd out",
                path.display()
            );
            Ok(())
        }
        Err(source) => Err(OpenError::Io {
            path: path.to_owned(),
            source,
        }),
        Ok(()) => Ok(()),
    }
}

fn knows_no_locks(error: &io::Error) -> bool {
    is_unsupported(error) || Errno::from_io_error(error) == Some(Errno::NOLCK)
}

fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// True if a failed read means that the content is lost, as opposed to out of our reach: a bad
/// sector, a failed checksum of the file system, or something that is no file. Permissions or a
/// lack of memory say nothing about the content.
pub(super) fn is_damage(error: &io::Error) -> bool {
    const DAMAGE: [Errno; 7] = [
        Errno::IO,
        Errno::BADMSG,
        Errno::UCLEAN,
        Errno::NODATA,
        Errno::LOOP,
        Errno::ISDIR,
        Errno::NXIO,
    ];
    Errno::from_io_error(error).is_some_and(|errno| DAMAGE.contains(&errno))
}

/// True if a failed read may succeed the next time.
pub(super) fn is_passing(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::IO)
}

pub(super) fn lacks_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// True if more room would have helped.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
