//! Files that decide where secrets go, and that others could change.
//!
//! Looks at the file, at its directory, and at every directory above it, by the name that was
//! written and by the place that links lead to. Whoever may write in one of them can put another
//! file there.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::accounts::{Accounts as _, Native};

const STICKY: u32 = 0o1000;

/// The user that a file is for, and its own group, which is as trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Reader {
    pub(crate) fn this_process() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        }
    }

    /// The owner of a file, where it is not known whose it should be.
    pub(crate) fn owner_of(found: &Metadata) -> Self {
        let uid = found.uid();
        let gid = Native.user(uid).map_or(found.gid(), |user| user.gid);
        Self { uid, gid }
    }
}

/// A file or directory that others can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exposed {
    pub(super) path: PathBuf,
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Owner(u32),
    Group,
    Everybody,
}

impl Exposed {
    /// The fault and its cure: a clause.
    pub(super) fn told(&self) -> String {
        let path = self.path.display();
        match self.how {
            How::Owner(uid) => format!("{path} belongs to uid {uid}, who may change it; run: chown root {path}"),
            How::Group => format!("its group may write {path}; run: chmod g-w {path}"),
            How::Everybody => format!("everybody may write {path}; run: chmod o-w {path}"),
        }
    }
}

/// All that others can change of a path. What does not exist is passed over, and so is what a link
/// to a device stands for: it masks a drop-in and says nothing.
pub(super) fn exposed(path: &Path) -> Vec<Exposed> {
    exposed_to_all_but(path, Reader::this_process())
}

/// All that others than root, this process and this reader can change of a path.
pub(super) fn exposed_to_all_but(path: &Path, reader: Reader) -> Vec<Exposed> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Vec::new();
    }
    let mut paths: BTreeSet<PathBuf> = path.ancestors().map(Path::to_owned).collect();
    paths.extend(
        fs::canonicalize(path)
            .iter()
            .flat_map(|real| real.ancestors())
            .map(Path::to_owned),
    );
    let trusted = trusted(reader);
    let exposed = paths.into_iter().filter_map(|path| {
        let how = how(&fs::metadata(&path).ok()?, &trusted)?;
        Some(Exposed { path, how })
    });
    exposed.collect()
}

fn how(found: &Metadata, trusted: &[Reader]) -> Option<How> {
    let mode = found.permissions().mode();
    // Nobody can replace another's file in a sticky directory, such as /tmp.
    let is_closed = found.is_dir() && mode & STICKY != 0;
    if !trusted.iter().any(|reader| reader.uid == found.uid()) {
        Some(How::Owner(found.uid()))
    } else if mode & 0o002 != 0 && !is_closed {
        Some(How::Everybody)
    } else if mode & 0o020 != 0 && !is_closed && !trusted.iter().any(|reader| reader.gid == found.gid()) {
        Some(How::Group)
    } else {
        None
    }
}

/// Root, this process and the reader. Where root is outside of a user namespace, the owner of `/`
/// stands for it.
fn trusted(reader: Reader) -> Vec<Reader> {
    let root = fs::metadata("/").map(|root| Reader {
        uid: root.uid(),
        gid: root.gid(),
    });
    [Reader { uid: 0, gid: 0 }, Reader::this_process(), reader]
        .into_iter()
        .chain(root)
        .collect()
}
