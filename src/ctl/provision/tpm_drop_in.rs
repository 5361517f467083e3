//! The unit's wait for the TPM: a systemd drop-in, written when a secret is sealed with the TPM and
//! removed when none is.
//!
//! If the TPM's driver is a module, it may be loaded after the daemon starts. Then systemd cannot
//! open the credentials, and the unit fails with 243, which is not retried. The unit as shipped
//! does not wait: a device without a TPM would wait for it at each boot. The drop-in is never
//! written if systemd does not know the device, for the same reason. Never replaces or removes
//! somebody else's file of that name: a link to `/dev/null` is how an administrator says that none
//! is wanted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::ctl::site::Site;
use crate::system::atomic_file::Access;
use crate::system::mounts::Ground;

pub(super) const DEVICE: &str = "dev-tpmrm0.device";

// systemd reads units in no other place that lasts and is the administrator's. The package's postrm
// knows it too.
const PATH: &str = "/etc/systemd/system/c2c-authd.service.d/50-provision.conf";
/// Begins each that is ours. The package's postrm looks for it too.
const OURS: &str = "# Written by «c2c-authctl provision»";
const TEXT: &str = include_str!("../../../systemd/wait-for-tpm.conf");

#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) needed: bool,
    /// systemd knows the device: to wait for it comes to an end.
    pub(super) device: bool,
    pub(super) waits: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Unchanged,
    Written(PathBuf),
    Removed,
    /// It would be good to have, and cannot be written: what somebody else has to do.
    Advice(String),
}

pub(in crate::ctl) fn path(site: &Site) -> PathBuf {
    site.path(PATH)
}

/// The file at the place of the drop-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ctl) enum There {
    Nothing,
    Ours,
    /// Also a link, whatever its target.
    Others,
}

fn look(path: &Path) -> There {
    match fs::symlink_metadata(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => There::Nothing,
        Ok(found) if found.is_file() && fs::read(path).is_ok_and(|text| text.starts_with(OURS.as_bytes())) => {
            There::Ours
        }
        _ => There::Others,
    }
}

/// Removes it, and the directory if nothing else is in it.
pub(in crate::ctl) fn forget(site: &Site) -> io::Result<There> {
    let path = path(site);
    let there = look(&path);
    if there != There::Others {
        // Also what a cut left of it.
        site.disk.remove(&path)?;
        // Others may have files in its directory.
        let _ = fs::remove_dir(path.parent().unwrap_or(&path));
    }
    Ok(there)
}

/// Writes or removes it. The same again changes nothing.
pub(super) fn settle(site: &Site, seen: Seen) -> Settled {
    let path = path(site);
    if !seen.needed {
        return match forget(site) {
            Ok(There::Ours) => Settled::Removed,
            Ok(There::Nothing | There::Others) => Settled::Unchanged,
            Err(error) => Settled::Advice(format!(
                "{} makes c2c-authd wait for a TPM that it no longer needs, and cannot be removed ({error})",
                path.display()
            )),
        };
    }
    let there = fs::read(&path).is_ok_and(|content| content == TEXT.as_bytes());
    if there || seen.waits || !seen.device {
        return Settled::Unchanged;
    }
    let why = match site.mounts.ground(&path) {
        _ if look(&path) == There::Others => "the existing file is not provision's, and was left".to_owned(),
        Ground::Lasting => {
            let above = path.parent().unwrap_or(&path);
            let made = site.disk.make_directory(above, Access::of(0o755));
            match made.and_then(|_| site.disk.write(&path, TEXT.as_bytes(), Access::of(0o644))) {
                Ok(()) => return Settled::Written(PathBuf::from(PATH)),
                Err(error) => error.to_string(),
            }
        }
        Ground::Volatile => "its file system does not survive a reboot".to_owned(),
        Ground::ReadOnly => "its file system is read-only".to_owned(),
    };
    Settled::Advice(format!(
        "{PATH} could not be written ({why}). If the TPM's driver is a module, c2c-authd may start before it and fail with 243: \
         add to the image a drop-in of c2c-authd.service with Wants={DEVICE} and After={DEVICE} in [Unit]"
    ))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use super::*;
    use crate::system::mounts::Mounts;

    const LATE: Seen = Seen {
        needed: true,
        device: true,
        waits: false,
    };

    #[test]
    fn it_is_there_as_long_as_a_secret_needs_the_tpm() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::at(folder.path());
        assert_eq!(settle(&site, LATE), Settled::Written(PathBuf::from(PATH)));
        let text = fs::read_to_string(path(&site)).unwrap();
        for line in ["Wants", "After"] {
            assert!(text.contains(&format!("\n{line}={DEVICE}\n")), "{text}");
        }
        assert_eq!(settle(&site, LATE), Settled::Unchanged, "the same again");
        let off = Seen { device: false, ..LATE };
        assert_eq!(settle(&site, off), Settled::Unchanged);
        assert!(path(&site).exists(), "a TPM that does not answer today is no reason");
        let needed = |needed| Seen { needed, ..LATE };
        assert_eq!(settle(&site, needed(false)), Settled::Removed);
        assert!(!path(&site).parent().unwrap().exists());
        assert_eq!(settle(&site, needed(false)), Settled::Unchanged);
    }

    #[test]
    fn an_older_one_is_replaced_and_other_files_beside_it_stay() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::at(folder.path());
        let directory = path(&site).parent().unwrap().to_owned();
        fs::create_dir_all(&directory).unwrap();
        let other = directory.join("60-small.conf");
        fs::write(&other, "[Service]\n").unwrap();
        fs::write(path(&site), format!("{OURS}, in another version.\n[Unit]\n")).unwrap();
        assert!(matches!(settle(&site, LATE), Settled::Written(_)));
        assert_eq!(forget(&site).unwrap(), There::Ours);
        assert!(other.exists());
    }

    #[test]
    fn an_administrators_file_or_mask_of_that_name_stays_and_is_told() {
        let (mask, file) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&mask, &file] {
            fs::create_dir_all(path(&Site::at(folder.path())).parent().unwrap()).unwrap();
        }
        std::os::unix::fs::symlink("/dev/null", path(&Site::at(mask.path()))).unwrap();
        fs::write(path(&Site::at(file.path())), "[Unit]\n").unwrap();
        for folder in [&mask, &file] {
            let site = Site::at(folder.path());
            let Settled::Advice(told) = settle(&site, LATE) else {
                panic!("it was replaced");
            };
            assert!(told.contains("was left"), "{told}");
            let needless = Seen { needed: false, ..LATE };
            assert_eq!(settle(&site, needless), Settled::Unchanged);
            assert_eq!(forget(&site).unwrap(), There::Others);
            assert!(fs::symlink_metadata(path(&site)).is_ok());
        }
    }

    #[test]
    fn nothing_waits_for_a_device_that_systemd_does_not_know_or_that_is_waited_for_already() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::at(folder.path());
        for seen in [
            Seen { device: false, ..LATE },
            Seen { waits: true, ..LATE },
            Seen { needed: false, ..LATE },
        ] {
            assert_eq!(settle(&site, seen), Settled::Unchanged, "{seen:?}");
            assert!(!path(&site).exists(), "{seen:?}");
        }
    }

    #[test]
    fn where_it_cannot_stay_it_is_told_what_the_image_needs() {
        for mount in [
            "2 1 8:2 / @/etc ro - ext4 /dev/data rw",
            "2 1 0:9 / @/etc rw - tmpfs tmpfs rw",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let mut site = Site::at(folder.path());
            fs::create_dir(folder.path().join("etc")).unwrap();
            let root = folder.path().canonicalize().unwrap();
            let lines = format!("1 0 8:1 / / rw - ext4 /dev/root rw\n{mount}").replace('@', root.to_str().unwrap());
            site.mounts = Mounts::parse(&lines);
            let Settled::Advice(told) = settle(&site, LATE) else {
                panic!("it was written: {mount}");
            };
            assert!(told.contains("After=dev-tpmrm0.device"), "{told}");
            assert!(!path(&site).exists());
        }
    }
}
