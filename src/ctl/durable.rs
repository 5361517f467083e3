//! Files that are either complete and on disk, or absent.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, fchown, symlink};
use std::path::{Path, PathBuf};

/// A new version of a file, durable beside it and not yet in force. Gone again when it is dropped.
pub(super) struct Staged {
    at: PathBuf,
    path: PathBuf,
    done: bool,
}

impl Staged {
    /// Writes it. `owner` and `mode` are set before the first byte is.
    pub(super) fn write(path: &Path, bytes: &[u8], mode: u32, owner: Option<(u32, u32)>) -> io::Result<Self> {
        if names_a_directory(path) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "this is not the name of a file",
            ));
        }
        let staged = Self {
            at: staged_name(path)?,
            path: path.to_owned(),
            done: false,
        };
        // Left by a power cut. Never followed, never opened: created anew.
        remove(&staged.at)?;
        power::needed()?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&staged.at)?;
        if let Some((uid, gid)) = owner {
            fchown(&file, Some(uid), Some(gid))?;
        }
        // The umask of the one who calls is not the file's.
        rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(mode))?;
        power::needed()?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(staged)
    }

    /// Where it is for now.
    pub(super) fn at(&self) -> &Path {
        &self.at
    }

    /// Puts it in force.
    pub(super) fn commit(mut self) -> io::Result<()> {
        power::needed()?;
        fs::rename(&self.at, &self.path)?;
        self.done = true;
        sync_directory_of(&self.path)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.done && power::needed().is_ok() {
            // What a failed attempt leaves is removed by the next one at the latest.
            let _ = fs::remove_file(&self.at);
        }
    }
}

/// Makes a directory and those above it, if they are not there; `true` if this one was made. The ones above are for all to
/// pass.
pub(super) fn make_directory(path: &Path, mode: u32, owner: Option<(u32, u32)>) -> io::Result<bool> {
    if path.is_dir() {
        return Ok(false);
    }
    if path.parent().is_some() {
        make_directory(directory_of(path)?, 0o755, None)?;
    }
    // Under another name until it is whole: nobody would set owner and mode right once it is there.
    let at = staged_name(path)?;
    match fs::remove_dir(&at) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    power::needed()?;
    DirBuilder::new().mode(0o700).create(&at)?;
    power::needed()?;
    let directory = File::open(&at)?;
    if let Some((uid, gid)) = owner {
        fchown(&directory, Some(uid), Some(gid))?;
    }
    rustix::fs::fchmod(&directory, rustix::fs::Mode::from_raw_mode(mode))?;
    directory.sync_all()?;
    power::needed()?;
    fs::rename(&at, path)?;
    sync_directory_of(path)?;
    Ok(true)
}

/// Makes a name a symbolic link, durably; what had that name is gone.
pub(super) fn link(path: &Path, to: &Path) -> io::Result<()> {
    let at = staged_name(path)?;
    remove(&at)?;
    power::needed()?;
    symlink(to, &at)?;
    fs::rename(&at, path)?;
    sync_directory_of(path)
}

/// Removes a file durably, and what an attempt to replace it left; `true` if there was one.
pub(super) fn discard(path: &Path) -> io::Result<bool> {
    let staged = remove(&staged_name(path)?)?;
    Ok(remove(path)? || staged)
}

/// Whether this name is a directory's, which no file of ours is. A link to one is none.
pub(super) fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Where a new version of a file is until it is complete.
fn staged_name(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    Ok(path.with_file_name(hidden))
}

/// The name of a file without what marks the new version of it.
pub(super) fn without_stage(name: &str) -> &str {
    name.strip_prefix('.')
        .and_then(|hidden| hidden.strip_suffix(".new"))
        .unwrap_or(name)
}

/// Removes a file durably; `true` if there was one.
pub(super) fn remove(path: &Path) -> io::Result<bool> {
    // A read-only file system would complain of that before it looks whether there is anything to remove.
    if matches!(fs::symlink_metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound) {
        return Ok(false);
    }
    power::needed()?;
    match fs::remove_file(path) {
        Ok(()) => sync_directory_of(path).map(|()| true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error),
    }
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    File::open(directory_of(path)?)?.sync_all()
}

/// The directory that holds this name. A name alone is in the directory where this process runs, and `parent` of it is empty.
fn directory_of(path: &Path) -> io::Result<&Path> {
    match path.parent() {
        None => Err(io::ErrorKind::InvalidInput.into()),
        Some(above) if above.as_os_str().is_empty() => Ok(Path::new(".")),
        Some(above) => Ok(above),
    }
}

/// Whether no file can have this name. [`Path`] overlooks a slash at the end.
pub(super) fn names_a_directory(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    path.file_name().is_none() || bytes.ends_with(b"/") || bytes.ends_with(b"/.")
}

/// Every step that changes a disk asks for it.
#[cfg(not(test))]
mod power {
    #[expect(clippy::unnecessary_wraps, reason = "in tests it can be cut")]
    pub(super) const fn needed() -> std::io::Result<()> {
        Ok(())
    }
}

/// Tests cut it: after so many steps of their own thread nothing is changed any more, and nothing tidied up either.
#[cfg(test)]
pub(super) mod power {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        static STEPS_LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    pub(super) fn needed() -> io::Result<()> {
        match STEPS_LEFT.get() {
            None => Ok(()),
            Some(0) => Err(io::Error::other("the power was cut")),
            Some(left) => {
                STEPS_LEFT.set(Some(left - 1));
                Ok(())
            }
        }
    }

    /// Does something with so many steps; `true` if it ended before they did.
    pub(in crate::ctl) fn for_steps(steps: usize, work: impl FnOnce()) -> bool {
        STEPS_LEFT.set(Some(steps));
        work();
        STEPS_LEFT.replace(None) != Some(0)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_staged_file_is_in_force_only_after_commit_and_leaves_nothing_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        drop(Staged::write(&path, b"1", 0o600, None).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let staged = Staged::write(&path, b"2", 0o600, None).unwrap();
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
        Staged::write(&path, b"secret", 0o600, None).unwrap().commit().unwrap();
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
            let refused = Staged::write(&path, b"1", 0o600, None).err().unwrap();
            assert_eq!(refused.to_string(), "this is not the name of a file", "{name}");
        }
        assert!(Staged::write(Path::new(""), b"1", 0o600, None).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn removing_what_is_not_there_is_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        assert!(!remove(&path).unwrap());
        assert!(make_directory(path.parent().unwrap(), 0o700, None).unwrap());
        assert!(!make_directory(path.parent().unwrap(), 0o700, None).unwrap());
        fs::write(&path, "").unwrap();
        assert!(remove(&path).unwrap());
    }
}
