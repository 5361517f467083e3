//! What the store asks of a directory, one function for each thing that can fail, and the real one.
//!
//! The trait is the seam where tests let a step fail, stop the process or cut the power. All names are relative to a
//! descriptor taken once, so nothing that happens to the path later can lead a write elsewhere.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::error::OpenError;
use super::seal::MAX_FILE;

/// One directory.
pub(super) trait Folder {
    /// A file being written.
    type File;

    /// For messages only.
    fn path(&self) -> &Path;
    /// All entries, in no order.
    fn names(&self) -> io::Result<Vec<String>>;
    /// The content, `None` if there is no such file. At most one byte more than [`MAX_FILE`].
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;
    /// A new, empty file. Fails if there is anything of that name.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    fn append(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;
    fn sync_file(&self, file: &Self::File) -> io::Result<()>;
    /// Replaces what is there, in one step.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Gives a file a second name. Fails if there is anything of that name.
    fn link(&self, from: &str, to: &str) -> io::Result<()>;
    /// Content with what does not exist.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes all creations, links, renames and removals so far durable.
    fn sync(&self) -> io::Result<()>;

    /// Waits before something is tried again.
    fn pause(&self, by: Duration) {
        std::thread::sleep(by);
    }

    /// Writes a new version of `name` beside it, complete and durable, but not yet in force.
    fn stage(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let staged = staged(name);
        // Of a write that failed, in this process: the lock keeps others out, and `open` sweeps what a crash left.
        self.remove(&staged)?;
        let written = self.create(&staged).and_then(|mut file| {
            self.append(&mut file, bytes)?;
            self.sync_file(&file)
        });
        if written.is_err() {
            // It takes room that the next try may need; and if it cannot go, that try says so.
            let _ = self.remove(&staged);
        }
        written
    }

    /// Puts the staged version in force. Without the sync a power cut could bring the old one back.
    fn commit(&self, name: &str) -> io::Result<()> {
        self.rename(&staged(name), name)?;
        self.sync()
    }

    /// Stage and commit.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.stage(name, bytes)?;
        self.commit(name)
    }

    /// Removes durably. Syncs also if the file is gone already: an earlier removal may have failed at just that.
    fn erase(&self, name: &str) -> io::Result<()> {
        self.remove(name)?;
        self.sync()
    }

    /// Removes what interrupted writes left. Never needed for correctness, so failures are left to later writes.
    fn sweep(&self) {
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

/// A directory of the file system.
pub(super) struct Directory {
    fd: File,
    path: PathBuf,
}

impl Directory {
    /// Opens it to look at, whoever owns it.
    pub(super) fn look(path: PathBuf) -> Result<Self, OpenError> {
        let us = rustix::process::geteuid().as_raw();
        let fd = match rustix::fs::open(
            &path,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        ) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT | Errno::NOTDIR) => return Err(OpenError::Missing { path }),
            // Most often a directory of mode 0700 of another user: saying so is worth more than «permission denied».
            Err(Errno::ACCESS) => {
                return Err(match rustix::fs::stat(&path) {
                    Ok(stat) if stat.st_uid != us => OpenError::NotOurs {
                        path,
                        owner: stat.st_uid,
                        us,
                    },
                    Ok(_) | Err(_) => OpenError::Io {
                        path,
                        source: Errno::ACCESS.into(),
                    },
                });
            }
            Err(error) => {
                return Err(OpenError::Io {
                    path,
                    source: error.into(),
                });
            }
        };
        Ok(Self { fd, path })
    }

    /// Opens it, and refuses one in which others could exchange our files.
    pub(super) fn open(path: PathBuf) -> Result<Self, OpenError> {
        let us = rustix::process::geteuid().as_raw();
        let looked = Self::look(path)?;
        let path = || looked.path.clone();
        let stat = match rustix::fs::fstat(&looked.fd) {
            Ok(stat) => stat,
            Err(error) => {
                return Err(OpenError::Io {
                    path: path(),
                    source: error.into(),
                });
            }
        };
        if stat.st_uid != us {
            return Err(OpenError::NotOurs {
                path: path(),
                owner: stat.st_uid,
                us,
            });
        }
        if Mode::from_raw_mode(stat.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
            return Err(OpenError::Mode {
                path: path(),
                mode: stat.st_mode & 0o7777,
            });
        }
        Ok(looked)
    }

    /// Keeps other daemons out for as long as this value lives, also after a crash: the kernel lets go.
    pub(super) fn lock(&self) -> Result<(), OpenError> {
        match rustix::fs::flock(&self.fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(()),
            Err(Errno::WOULDBLOCK) => Err(OpenError::Locked {
                path: self.path.clone(),
            }),
            Err(error) => Err(OpenError::Io {
                path: self.path.clone(),
                source: error.into(),
            }),
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Explicit: a forked child may still hold the descriptor, and then closing ours does not release the lock.
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

    fn sync(&self) -> io::Result<()> {
        self.fd.sync_all()
    }
}

/// Whether a failed read means that the content is lost, as opposed to out of our reach: a bad sector, a failed checksum
/// of the file system, or something that is no file. Permissions or a lack of memory say nothing about the content.
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

/// Whether a failed read may go well the next time.
pub(super) fn is_passing(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::IO)
}

/// Whether more room would have helped.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
