//! Where `provision` keeps what it writes: below `/etc` or, on images whose `/etc` is read-only or volatile, below
//! `/var/lib/c2c-provision`.
//!
//! Decided before the secret is asked for. Changes nothing.

use std::path::{Path, PathBuf};

use super::place::{SPARE_STORE, STORE};
use crate::ctl::exit::{Exit, Failure};
use crate::ctl::mounts::Ground;
use crate::ctl::site::Site;

/// Where drop-ins of the configuration are, the usual place first.
pub(super) const DROP_INS: [&str; 2] = ["/etc/c2c-authd/config.d", "/var/lib/c2c-provision/config.d"];

/// What makes systemd find the spare store, of the package or of the operator.
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
        refused(&format!(
            "{STORE} is on a read-only file system, and {spare}; or store the secrets as files: --files DIR"
        ))
    })
}

pub(super) fn drop_ins(site: &Site) -> Result<Home, Failure> {
    let [usual, spare] = DROP_INS;
    choose(site, usual, Some(spare)).ok_or_else(|| {
        refused(&format!(
            "{usual} and {spare} are on read-only file systems: mount a persistent partition at one of them, or set it in \
             the image's own configuration (client-id-from = \"file:PATH\", client-secret-file, state-key-file)"
        ))
    })
}

fn refused(why: &str) -> Failure {
    Failure::failed(format!("{why}. Nothing was changed"))
}

/// The first that lasts, else the first that can be written.
fn choose(site: &Site, usual: &str, spare: Option<&str>) -> Option<Home> {
    let found: Vec<_> = [Some(usual), spare]
        .into_iter()
        .flatten()
        .map(|directory| (directory, site.ground(directory)))
        .collect();
    let first = |wanted| found.iter().find(|(_, ground)| *ground == wanted);
    let home = |directory: &str, warning| Home {
        directory: PathBuf::from(directory),
        warning,
    };
    match (first(Ground::Lasting), first(Ground::Volatile)) {
        (Some((directory, _)), _) => Some(home(directory, None)),
        (None, Some((directory, _))) => Some(home(directory, Some(gone(Path::new(directory))))),
        (None, None) => None,
    }
}

/// What is to be known of a directory that is forgotten with the next boot.
pub(super) fn gone(directory: &Path) -> String {
    format!(
        "{} is on a file system that does not survive a reboot",
        directory.display()
    )
}
