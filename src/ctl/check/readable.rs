//! The files that the daemon's user may read. `check` runs as root, who may read everything.
//!
//! By the mode bits alone. Where an access control list says more, nothing is said.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::ctl::site::{Site, USER};

/// The list that widens or narrows what the mode bits say (acl(5)).
const ACCESS_LIST: &str = "system.posix_acl_access";

/// Why the daemon's user cannot read a file, and what to run, if that is so.
pub(super) fn why_not(site: &Site, file: &Path) -> Option<(String, String)> {
    let service = Service::of(site)?;
    let real = fs::canonicalize(file).ok()?;
    let mut above: Vec<_> = real.ancestors().skip(1).map(|directory| (directory, 0o1)).collect();
    above.reverse();
    let mut way = above.into_iter().chain([(&*real, 0o4)]);
    let (shut, wanted) = way.find(|(path, wanted)| service.is_shut_out(path, *wanted))?;
    let mode = fs::metadata(shut).ok()?.mode() & 0o7777;
    let shut = site.machine_path(shut);
    let verb = if wanted == 0o1 { "a+x" } else { "a+r" };
    Some((
        format!(
            "the user {USER} cannot read {}: {} has mode {mode:04o}",
            site.machine_path(file).display(),
            shut.display()
        ),
        format!("Run: chmod {verb} {}", shut.display()),
    ))
}

struct Service {
    uid: u32,
    gid: u32,
}

impl Service {
    /// `None`: there is no such user, or it may read everything.
    fn of(site: &Site) -> Option<Self> {
        let (uid, gid) = site.service.filter(|(uid, _)| *uid != 0)?;
        Some(Self { uid, gid })
    }

    fn is_shut_out(&self, path: &Path, wanted: u32) -> bool {
        let Ok(found) = fs::metadata(path) else { return false };
        !has_access_list(path) && self.bits(&found) & wanted == 0
    }

    /// The bits that count for this user. A drop-in of the unit may put it into any group, but not
    /// into root's.
    fn bits(&self, found: &Metadata) -> u32 {
        let mode = found.mode();
        match found.gid() {
            _ if found.uid() == self.uid => mode >> 6,
            gid if gid == self.gid => mode >> 3,
            0 => mode,
            _ => mode | mode >> 3,
        }
    }
}

fn has_access_list(path: &Path) -> bool {
    rustix::fs::getxattr(path, ACCESS_LIST, &mut [0_u8; 0]).is_ok()
}
