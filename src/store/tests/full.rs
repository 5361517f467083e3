//! A real file system that is full, and one that is read-only. Both take root and the right to
//! mount. Where these are absent the tests say so and stand back, and the injected faults in
//! [`super::faults`] are what remains.
#![expect(clippy::print_stderr, reason = "tells that a test could not be made")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::fixture::*;
use crate::store::{Directories, Store, WriteError};
use c2c_auth_core::{Loaded, Store as Write};

/// A small file system of its own, gone when dropped.
struct Small(TempDir);

impl Small {
    fn mount(options: &str) -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let options = format!("mode=0700,{options}");
        if !run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs"], dir.path()) {
            eprintln!("not tried: no right to mount");
            return None;
        }
        Some(Self(dir))
    }

    fn open(&self) -> (Store, Loaded) {
        let directories = Directories {
            state: self.0.path().to_owned(),
            runtime: None,
        };
        let (store, found) = Store::open(directories, Some(key()), identity(), BOOT).unwrap();
        (store, found.record)
    }

    /// Leaves no room at all.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.path().join("filler")).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        run("umount", &["-l"], self.0.path());
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).arg(path).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[test]
fn a_full_file_system_still_takes_a_record() {
    let Some(small) = Small::mount("size=1m") else { return };
    let spare = small.0.path().join("spare");
    let (mut store, _) = small.open();
    store.write(&one(paired(1))).unwrap();
    store.write(&one(paired(2))).unwrap();
    assert!(spare.exists());
    small.fill();
    store.write(&both(paired(3))).unwrap();
    drop(store);

    let (mut store, found) = small.open();
    assert_eq!(found, Loaded::Current(paired(3)));
    fs::remove_file(small.0.path().join("filler")).unwrap();
    store.write(&one(paired(4))).unwrap();
    assert!(spare.exists());
}

#[test]
fn a_trial_fails_where_a_record_would() {
    let Some(small) = Small::mount("size=1m") else { return };
    let spare = small.0.path().join("spare");
    let (mut store, _) = small.open();
    store.write(&Write::Trial).unwrap();
    assert!(spare.exists(), "the room for a record is made at once");
    small.fill();
    store.write(&Write::Trial).unwrap();
    assert!(spare.exists(), "and it is kept for one");
    store.write(&one(paired(1))).unwrap();
    store.write(&one(paired(1))).unwrap();
    drop(store);
    let _ = fs::remove_file(&spare);
    small.fill();
    let (mut store, _) = small.open();
    let full = store.write(&Write::Trial).unwrap_err();
    assert!(matches!(&full, WriteError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull));
}

/// The mark, the pair and its copy.
#[test]
fn a_full_file_system_takes_a_whole_refresh() {
    let Some(small) = Small::mount("size=1m") else { return };
    let (mut store, _) = small.open();
    store.write(&both(paired(1))).unwrap();
    small.fill();
    for record in [paired(2), paired(3), paired(3)] {
        store.write(&one(record)).unwrap();
    }
    drop(store);
    assert_eq!(small.open().1, Loaded::Current(paired(3)));
}

#[test]
fn a_file_system_without_any_room_keeps_what_it_has() {
    let Some(small) = Small::mount("size=1m") else { return };
    let (mut store, _) = small.open();
    store.write(&one(paired(1))).unwrap();
    fs::remove_file(small.0.path().join("spare")).unwrap();
    small.fill();
    let error = store.write(&one(paired(2))).unwrap_err();
    assert!(matches!(&error, WriteError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull));
    drop(store);
    assert_eq!(small.open().1, Loaded::Current(paired(1)));
}

#[test]
fn a_read_only_directory_is_read_and_refuses_writes() {
    let (device, _mounted) = if rustix::process::geteuid().is_root() {
        // Modes do not bind root.
        let Some(small) = Small::mount("size=1m") else { return };
        small.open().0.write(&one(paired(1))).unwrap();
        if !run("mount", &["-o", "remount,ro"], small.0.path()) {
            eprintln!("not tried: no right to mount");
            return;
        }
        (small.0.path().to_owned(), Ok(small))
    } else {
        let device = Device::with(&[one(paired(1))]);
        fs::set_permissions(device.state.path(), fs::Permissions::from_mode(0o500)).unwrap();
        (device.state.path().to_owned(), Err(device))
    };
    let directories = Directories {
        state: device,
        runtime: None,
    };
    let (mut store, found) = Store::open(directories, Some(key()), identity(), BOOT).unwrap();
    assert_eq!(found.record, Loaded::Current(paired(1)));
    assert!(!found.writable, "told before anything is written");
    for what in [both(tombstone(2)), Write::Trial] {
        assert!(matches!(store.write(&what), Err(WriteError::Io { .. })));
    }
}
