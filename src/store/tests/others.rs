//! The files as other users find them, and the files that others put there.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::fixture::*;
use crate::store::records_exist;
use c2c_auth_core::{Loaded, Store as Write};

#[test]
fn files_are_for_their_owner_only() {
    let device = Device::with(&[
        both(paired(1)),
        Write::Revocations(vec![revocation(1)]),
        flow_write(flow()),
    ]);
    for dir in [&device.state, &device.runtime] {
        for entry in fs::read_dir(dir.path()).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        }
    }
}

#[test]
fn no_secret_and_no_name_is_in_any_file_in_clear() {
    let device = Device::with(&[
        one(paired(1)),
        both(paired(2)),
        Write::Revocations(vec![revocation(1), revocation(2)]),
        flow_write(flow()),
    ]);
    device.edit("record.0", |bytes| bytes.truncate(200));
    device.write(&[one(paired(3))]);
    let files = [content(device.state.path()), content(device.runtime.path())].concat();
    assert_eq!(files.len(), 6);
    for (name, bytes) in files {
        // Long enough not to come up by chance in a file of random bytes.
        for canary in [
            "example",
            "token",
            "Camera",
            "an example key",
            "verify",
            "generation",
            "paired",
        ] {
            let found = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
            assert!(!found, "{canary} in {name}");
        }
    }
}

#[test]
fn the_same_record_never_looks_the_same_twice() {
    let device = Device::with(&[both(paired(1))]);
    let [first, second] = SLOTS.map(|name| fs::read(device.file(name)).unwrap());
    let differing = first.iter().zip(&second).skip(78).filter(|(a, b)| a != b).count();
    assert!(differing > (first.len() - 78) / 2);
}

#[test]
fn remains_of_interrupted_writes_are_swept_and_nothing_else() {
    let device = Device::with(&[one(paired(1))]);
    fs::write(device.file(".record.1.new"), "half").unwrap();
    fs::write(device.run_file(".flow.new"), "half").unwrap();
    fs::write(device.file(".hidden"), "not ours").unwrap();
    assert_eq!(device.loaded(), Loaded::Current(paired(1)));
    assert_eq!(device.names(), [".hidden", "record.0", "spare"]);
    assert_eq!(content(device.runtime.path()), []);
}

#[test]
fn a_planted_link_or_fifo_is_neither_followed_nor_waited_for() {
    let device = Device::with(&[one(paired(1)), one(paired(2))]);
    let elsewhere = device.run_file("elsewhere");
    fs::rename(device.file("record.0"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, device.file("record.0")).unwrap();
    fs::remove_file(device.file("record.1")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        device.file("record.1"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let before = fs::read(&elsewhere).unwrap();
    assert_eq!(device.loaded(), Loaded::Damaged);
    device.write(&[both(paired(3))]);
    assert_eq!(device.loaded(), Loaded::Current(paired(3)));
    assert_eq!(fs::read(&elsewhere).unwrap(), before);
    assert_eq!(fs::symlink_metadata(device.file("record.0")).unwrap().nlink(), 1);
}

#[test]
fn anything_ever_sealed_speaks_against_a_new_key() {
    let device = Device::new();
    assert!(!records_exist(device.state.path()));
    assert!(!records_exist(&device.file("missing")));
    fs::write(device.file("spare"), "").unwrap();
    fs::write(device.file("state-key"), "").unwrap();
    assert!(!records_exist(device.state.path()));
    assert!(records_exist(&device.file("state-key")));
    for name in [
        "record.0",
        "record.1",
        "record.foreign.3",
        "revocations",
        "revocations.damaged.1",
    ] {
        fs::write(device.file(name), "").unwrap();
        assert!(records_exist(device.state.path()), "{name}");
        fs::remove_file(device.file(name)).unwrap();
    }
}
