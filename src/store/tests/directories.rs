//! Which directories are taken, and what is said of the others.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use super::fixture::*;
use crate::store::{Directories, OpenError, Store};
use c2c_auth_core::Loaded;

fn refusal(directories: Directories) -> OpenError {
    Store::open(directories, Some(key()), identity(), BOOT).unwrap_err()
}

#[test]
fn a_second_daemon_is_kept_out_until_the_first_is_gone() {
    let device = Device::with(&[one(paired(1))]);
    let (store, _) = device.open();
    let refused = refusal(device.directories());
    assert!(matches!(&refused, OpenError::Locked { path } if path == device.state.path()));
    assert!(refused.to_string().contains("another c2c-authd"));
    drop(store);
    assert_eq!(device.loaded(), Loaded::Current(paired(1)));
}

#[test]
fn a_directory_that_does_not_exist_is_not_made() {
    let device = Device::new();
    fs::write(device.file("file"), "").unwrap();
    for name in ["missing", "file", "file/below"] {
        let state = device.file(name);
        let refused = refusal(Directories {
            state: state.clone(),
            ..device.directories()
        });
        assert!(matches!(&refused, OpenError::Missing { path } if *path == state));
        let refused = refusal(Directories {
            runtime: Some(state),
            ..device.directories()
        });
        assert!(matches!(refused, OpenError::Missing { .. }));
    }
}

#[test]
fn a_directory_that_others_can_write_is_refused_by_name_and_cure() {
    for mode in [0o770, 0o707, 0o1777] {
        let device = Device::new();
        fs::set_permissions(device.state.path(), Permissions::from_mode(mode)).unwrap();
        let refused = refusal(device.directories());
        assert!(matches!(refused, OpenError::Mode { mode: told, .. } if told == mode));
        let text = refused.to_string();
        assert!(text.contains(device.state.path().to_str().unwrap()) && text.contains("chmod"));
    }
    let device = Device::new();
    fs::set_permissions(device.runtime.path(), Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(refusal(device.directories()), OpenError::Mode { .. }));
    for mode in [0o700, 0o750, 0o755] {
        let device = Device::new();
        fs::set_permissions(device.state.path(), Permissions::from_mode(mode)).unwrap();
        device.open();
    }
}

#[test]
fn a_directory_of_another_user_is_refused_by_name_and_owner() {
    let device = Device::new();
    let us = rustix::process::geteuid().as_raw();
    // Root can give a directory away. Anybody else finds one of root's.
    let (state, them) = if us == 0 {
        std::os::unix::fs::chown(device.state.path(), Some(65_534), None).unwrap();
        (device.state.path().to_owned(), 65_534)
    } else {
        ("/".into(), 0)
    };
    let refused = refusal(Directories {
        state: state.clone(),
        ..device.directories()
    });
    assert!(
        matches!(&refused, OpenError::NotOurs { path, owner, us: told } if *path == state && *owner == them && *told == us)
    );
    assert!(refused.to_string().contains(&format!("uid {them}")));
}
