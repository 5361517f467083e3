//! The host's key, by which systemd seals: whose it is, told without systemd.
//!
//! systemd binds this file to the machine id, and deletes it when it is read under another one. It
//! does so for whoever asks: `systemd-creds`, and the service manager for a unit with a credential.
//! All that was sealed with the key is lost then. So this is looked at first, and where the key
//! would go neither is called. Only root can look: for others the key is never foreign.

use std::fs::{self, File};
use std::io::Read as _;

use super::location::{Which, credentials};
use super::seal::{Key, header};
use crate::ctl::site::Site;

/// systemd's application id for the host key. The key file begins with the id that
/// [`MachineId::app_specific`] makes of this one.
///
/// [`MachineId::app_specific`]: crate::config::MachineId::app_specific
const APPLICATION_ID: [u8; 16] = [
    0xd3, 0xac, 0xec, 0xba, 0x0d, 0xad, 0x4c, 0xdf, 0xb8, 0xc9, 0x38, 0x15, 0x28, 0x93, 0x6c, 0x58,
];

/// True if systemd would delete the key on reading it now. False where the key cannot be read.
pub(in crate::ctl) fn is_foreign(site: &Site) -> bool {
    let path = site.host_key();
    // systemd follows no link, refuses what is no file or has no key in it, and reads nothing
    // without a machine id.
    if !fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
        return false;
    }
    let Some(ours) = site.machine.app_specific(&APPLICATION_ID) else {
        return false;
    };
    let mut beginning = [0; 17];
    let read = File::open(&path).and_then(|mut file| file.read_exact(&mut beginning));
    read.is_ok() && beginning[..16] != ours
}

/// True if systemd reads the host key to open a credential that is sealed with `key`.
pub(super) const fn is_read_for(key: Key) -> bool {
    key.needs_host() || matches!(key, Key::Other)
}

/// The warning about a credential that was sealed under another machine id.
pub(super) fn sealed_elsewhere(site: &Site) -> String {
    let key = site.host_key();
    let key = key.display();
    format!(
        "sealed under another machine id; bring that id and the key back. systemd deletes {key} if it reads it under this id, so \
         keep a copy and do not start c2c-authd before. Is the id lost: move {key} away, and provision the device again: \
         c2c-authctl provision --replace"
    )
}

/// Why the daemon must not be started: systemd would delete the key that a credential of ours is
/// sealed with.
pub(in crate::ctl) fn lost_by_a_start(site: &Site) -> Option<String> {
    if !is_foreign(site) {
        return None;
    }
    Which::BOTH.into_iter().find_map(|which| {
        // The one that systemd takes.
        let (path, sealed) = credentials(site, which).find_map(|path| Some((path.clone(), fs::read(path).ok()?)))?;
        let key = header(&sealed)?.key;
        is_read_for(key).then(|| format!("{}: {}", path.display(), sealed_elsewhere(site)))
    })
}

#[cfg(test)]
pub(in crate::ctl) mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::config::MachineId;

    /// The beginning of a credential that is sealed with the host's key.
    pub(in crate::ctl) const SEALED: &str = "Whxqht+dQJax1aZeCGLxmiAAAAABAAAADAAAABAAAAA=";

    /// A key that systemd would take under this machine id, and the machine that has it.
    pub(in crate::ctl) fn with_key_of(site: &mut Site, id: u8) {
        let ours = site.machine;
        site.machine = MachineId::Lasting([id; 16]);
        let mut content = site.machine.app_specific(&APPLICATION_ID).unwrap().to_vec();
        content.extend([7; 4096]);
        site.machine = ours;
        let path = site.host_key();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    }

    fn machine() -> (tempfile::TempDir, Site) {
        let folder = tempfile::tempdir().unwrap();
        let mut site = Site::at(folder.path());
        site.machine = MachineId::Lasting([0x11; 16]);
        (folder, site)
    }

    #[test]
    fn a_key_is_foreign_under_every_machine_id_but_its_own() {
        let (_folder, mut site) = machine();
        assert!(!is_foreign(&site), "there is none");
        with_key_of(&mut site, 0x11);
        // `systemd-id128 machine-id --app-specific=d3acecba0dad4cdfb8c9381528936c58` of systemd
        // 252, and what its systemd-creds wrote, on a machine with this id.
        let begins = fs::read(site.host_key()).unwrap()[..16].to_vec();
        let said = 0xfe93_479d_bc6e_4af4_b46c_43f3_7696_a2cc_u128;
        assert_eq!(begins, said.to_be_bytes());
        assert!(!is_foreign(&site));
        site.machine = MachineId::Transient([0x11; 16]);
        assert!(!is_foreign(&site));
        site.machine = MachineId::Lasting([0x22; 16]);
        assert!(is_foreign(&site));
        // Without any systemd reads nothing.
        site.machine = MachineId::Absent;
        assert!(!is_foreign(&site));
    }

    #[test]
    fn what_systemd_refuses_to_read_is_not_deleted_either() {
        let (folder, site) = machine();
        let path = site.host_key();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, [9; 16]).unwrap();
        assert!(!is_foreign(&site), "nothing in it");
        let elsewhere = folder.path().join("elsewhere");
        fs::write(&elsewhere, [9; 32]).unwrap();
        fs::remove_file(&path).unwrap();
        symlink(&elsewhere, &path).unwrap();
        assert!(!is_foreign(&site), "a link");
    }

    #[test]
    fn a_start_loses_a_foreign_key_only_where_a_credential_of_ours_needs_it() {
        let (_folder, mut site) = machine();
        with_key_of(&mut site, 0x22);
        assert_eq!(lost_by_a_start(&site), None, "nothing is sealed");
        let store = site.path("/etc/credstore.encrypted");
        fs::create_dir_all(&store).unwrap();
        let path = store.join("c2c-authd.state-key");
        fs::write(store.join("state-key"), SEALED).unwrap();
        assert_eq!(lost_by_a_start(&site), None, "it is another service's");
        fs::write(&path, SEALED).unwrap();
        let why = lost_by_a_start(&site).unwrap();
        assert!(
            why.starts_with(path.to_str().unwrap()) && why.contains("bring that id and the key back"),
            "{why}"
        );
        // As sealed with the TPM alone.
        fs::write(&path, "DHzAexF2RZGcSwvqCLwg/iAAAAABAAAADAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
        assert_eq!(lost_by_a_start(&site), None);
    }
}
