//! Where `provision` keeps what it writes: below `/etc` or, on images whose `/etc` is read-only or
//! volatile, below `/var/lib/c2c-provision`.
//!
//! Decided before the secret is asked for. Changes nothing.

use std::path::{Path, PathBuf};

use super::location::{SPARE_STORE, STORE};
use super::refused;
use crate::ctl::exit::Failure;
use crate::ctl::site::Site;
use crate::system::mounts::Ground;

/// Where drop-ins of the configuration are, the usual place first.
pub(super) const DROP_INS: [&str; 2] = ["/etc/c2c-authd/config.d", "/var/lib/c2c-provision/config.d"];

/// The files that link the spare store to where systemd looks: the package's and the operator's.
const LINKED_BY: [&str; 2] = ["/usr/lib/tmpfiles.d/c2c-authd.conf", "/etc/tmpfiles.d/c2c-authd.conf"];

/// A directory of the machine to keep things in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) directory: PathBuf,
    pub(super) warning: Option<String>,
}

pub(super) fn store(site: &Site) -> Result<Home, Failure> {
    let linked = LINKED_BY.iter().any(|path| site.path(path).exists());
    let spare = linked.then_some(SPARE_STORE);
    choose(site, STORE, spare).ok_or_else(|| {
        let spare = if linked {
            format!("{SPARE_STORE} cannot be written either: mount a persistent partition at /var/lib (or at {STORE})")
        } else {
            format!(
                "the image lacks {}, by which systemd would find them in {SPARE_STORE}: add it, or mount a persistent \
                 partition at {STORE}",
                LINKED_BY[0]
            )
        };
        refused(format!(
            "{STORE} is on a read-only file system, and {spare}; or store the secrets as files: --files DIR"
        ))
    })
}

pub(super) fn drop_ins(site: &Site) -> Result<Home, Failure> {
    let [usual, spare] = DROP_INS;
    choose(site, usual, Some(spare)).ok_or_else(|| {
        refused(format!(
            "{usual} and {spare} are on read-only file systems: mount a persistent partition at one of them, or set it in \
             the image's own configuration (client-id-from = \"file:PATH\", client-secret-file, state-key-file)"
        ))
    })
}

/// The first that lasts, else the first that can be written.
fn choose(site: &Site, usual: &str, spare: Option<&str>) -> Option<Home> {
    let places = || [Some(usual), spare].into_iter().flatten().map(Path::new);
    let first = |wanted| places().find(|directory| site.ground(directory) == wanted);
    let (directory, warning) = match (first(Ground::Lasting), first(Ground::Volatile)) {
        (Some(directory), _) => (directory, None),
        (None, Some(directory)) => (directory, Some(gone(directory))),
        (None, None) => return None,
    };
    let directory = directory.to_owned();
    Some(Home { directory, warning })
}

/// The warning about a directory that does not survive a reboot.
pub(super) fn gone(directory: &Path) -> String {
    format!(
        "{} is on a file system that does not survive a reboot",
        directory.display()
    )
}
