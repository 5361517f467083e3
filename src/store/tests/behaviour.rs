//! What a start finds after what was written.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::fixture::*;
use crate::core::{Loaded, MAX_REVOCATIONS, Store as Write};
use crate::store::{WriteError, records_exist};

const SLOTS: [&str; 2] = ["record.0", "record.1"];

#[test]
fn a_store_works_on_a_thread_of_its_own() {
    let device = Device::new();
    let (mut store, _) = device.open();
    std::thread::spawn(move || store.write(&one(paired(1))).unwrap())
        .join()
        .unwrap();
    assert_eq!(device.loaded(), Loaded::Current(paired(1)));
}

#[test]
fn an_empty_directory_holds_nothing() {
    let (_store, found) = Device::new().open();
    assert_eq!(found, stored(Loaded::Missing));
}

#[test]
fn what_was_written_last_is_found() {
    let device = Device::new();
    for n in 1..6 {
        device.write(&[one(paired(n))]);
        assert_eq!(device.loaded(), Loaded::Current(paired(n)));
    }
    device.write(&[both(tombstone(6))]);
    assert_eq!(device.loaded(), Loaded::Current(tombstone(6)));
}

#[test]
fn the_generation_before_the_last_is_kept() {
    for last in 2..6 {
        let writes: Vec<_> = (1..=last).map(|n| one(paired(n))).collect();
        let newest = SLOTS[usize::try_from(last - 1).unwrap() % 2];
        let device = Device::with(&writes);
        device.damage(newest);
        assert_eq!(device.loaded(), Loaded::Previous(paired(last - 1)));
    }
}

#[test]
fn what_was_there_before_a_write_to_both_never_comes_back() {
    for damaged in SLOTS {
        let device = Device::with(&[one(paired(1)), one(paired(2)), both(tombstone(3))]);
        device.damage(damaged);
        assert_eq!(device.loaded(), Loaded::Previous(tombstone(3)));
        for name in SLOTS {
            device.damage(name);
        }
        device.edit(damaged, Vec::clear);
        assert_eq!(device.loaded(), Loaded::Damaged);
    }
}

#[test]
fn a_single_damaged_generation_is_damaged_and_not_missing() {
    let device = Device::with(&[one(paired(1))]);
    device.damage("record.0");
    assert_eq!(device.loaded(), Loaded::Damaged);
}

/// The older one may look older only because that is where it was damaged.
#[test]
fn a_record_beside_an_unreadable_one_is_never_taken_for_the_newest() {
    let device = Device::with(&[one(paired(1)), one(paired(2))]);
    device.damage("record.0");
    assert_eq!(device.loaded(), Loaded::Previous(paired(2)));
}

#[test]
fn emptied_zeroed_truncated_and_oversized_files_are_damaged() {
    let changes: [fn(&mut Vec<u8>); 6] = [
        Vec::clear,
        |bytes| bytes.fill(0),
        |bytes| bytes.truncate(40),
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.push(0),
        |bytes| bytes.resize(1 << 20, 0),
    ];
    for change in changes {
        let device = Device::with(&[one(paired(1)), one(paired(2))]);
        device.edit("record.1", change);
        assert_eq!(device.loaded(), Loaded::Previous(paired(1)));
        device.edit("record.0", change);
        assert_eq!(device.loaded(), Loaded::Damaged);
    }
}

#[test]
fn a_record_of_newer_software_is_kept() {
    let device = Device::with(&[one(paired(1)), one(paired(2))]);
    device.edit("record.1", |bytes| bytes[9] += 1);
    let newer = fs::read(device.file("record.1")).unwrap();
    assert_eq!(device.loaded(), Loaded::Previous(paired(1)));
    device.write(&[one(paired(3)), one(paired(4)), one(paired(5))]);
    assert_eq!(fs::read(device.file("record.unknown-format.1")).unwrap(), newer);
    assert_eq!(device.loaded(), Loaded::Current(paired(5)));
}

#[test]
fn another_key_is_told_from_damage_and_its_record_comes_back_with_it() {
    let device = Device::with(&[one(paired(1)), one(paired(2))]);
    let (store, found) = device.open_as(Some(other_key()), identity(), BOOT).unwrap();
    assert_eq!(found.record, Loaded::KeyUnavailable);
    drop(store);
    assert_eq!(device.loaded(), Loaded::Current(paired(2)));
}

#[test]
fn a_foreign_record_is_told_and_comes_back_with_its_configuration() {
    let device = Device::with(&[one(paired(1)), one(paired(2))]);
    let (store, found) = device.open_as(Some(key()), other_identity(), BOOT).unwrap();
    assert_eq!(found.record, Loaded::Foreign);
    drop(store);
    assert_eq!(device.loaded(), Loaded::Current(paired(2)));
}

#[test]
fn a_foreign_record_under_another_key_lacks_its_key_first() {
    let device = Device::with(&[one(paired(1))]);
    let (_store, found) = device.open_as(Some(other_key()), other_identity(), BOOT).unwrap();
    assert_eq!(found.record, Loaded::KeyUnavailable);
}

/// A flipped bit in the clear identity must not send a person looking for another configuration.
#[test]
fn a_damaged_identity_is_damage() {
    let device = Device::with(&[one(paired(1))]);
    device.edit("record.0", |bytes| bytes[40] ^= 1);
    assert_eq!(device.loaded(), Loaded::Damaged);
}

#[test]
fn of_two_unusable_generations_the_one_with_a_cure_is_told() {
    let foreign = Device::new();
    let (mut store, _) = foreign.open_as(Some(key()), other_identity(), BOOT).unwrap();
    store.write(&both(paired(1))).unwrap();
    drop(store);
    let other = Device::new();
    let (mut store, _) = other.open_as(Some(other_key()), identity(), BOOT).unwrap();
    store.write(&both(paired(1))).unwrap();
    drop(store);

    let put = |device: &Device, name: &str, from: &Device| {
        fs::copy(from.file("record.0"), device.file(name)).unwrap();
    };
    let device = Device::with(&[one(paired(1)), one(paired(2))]);
    device.damage("record.0");
    put(&device, "record.1", &other);
    assert_eq!(device.loaded(), Loaded::KeyUnavailable);
    put(&device, "record.1", &foreign);
    assert_eq!(device.loaded(), Loaded::Foreign);
    put(&device, "record.0", &other);
    assert_eq!(device.loaded(), Loaded::Foreign);
    put(&device, "record.0", &Device::with(&[one(paired(9))]));
    assert_eq!(device.loaded(), Loaded::Previous(paired(9)));
    put(&device, "record.1", &other);
    assert_eq!(device.loaded(), Loaded::Previous(paired(9)));
}

#[test]
fn loading_changes_no_byte() {
    let spoil: [fn(&Device); 4] = [
        |_| (),
        |device| device.damage("record.1"),
        |device| device.edit("record.0", Vec::clear),
        |device| {
            device.damage("record.0");
            device.damage("record.1");
            device.damage("revocations");
        },
    ];
    for spoil in spoil {
        let device = Device::with(&[one(paired(1)), one(paired(2)), Write::Revocations(vec![revocation(1)])]);
        spoil(&device);
        let before = content(device.state.path());
        for (key, identity) in [
            (Some(key()), identity()),
            (Some(other_key()), identity()),
            (Some(key()), other_identity()),
            (None, identity()),
        ] {
            device.open_as(key, identity, BOOT).unwrap();
            assert_eq!(content(device.state.path()), before);
        }
    }
}

#[test]
fn what_cannot_be_used_is_kept_under_its_reason() {
    let device = Device::with(&[one(paired(1)), one(paired(2))]);
    let [first, second] = SLOTS.map(|name| fs::read(device.file(name)).unwrap());
    let kept = |name: &str| fs::read(device.file(name)).unwrap();

    let (mut store, _) = device.open_as(Some(other_key()), identity(), BOOT).unwrap();
    store.write(&one(paired(3))).unwrap();
    store.write(&one(paired(4))).unwrap();
    drop(store);
    assert_eq!(
        [kept("record.other-key.1"), kept("record.other-key.2")],
        [first, second]
    );

    let [first, second] = SLOTS.map(|name| fs::read(device.file(name)).unwrap());
    let (mut store, found) = device.open_as(Some(other_key()), other_identity(), BOOT).unwrap();
    assert_eq!(found.record, Loaded::Foreign);
    store.write(&both(paired(5))).unwrap();
    drop(store);
    assert_eq!([kept("record.foreign.1"), kept("record.foreign.2")], [first, second]);

    let (mut store, _) = device.open();
    store.write(&one(paired(6))).unwrap();
    drop(store);
    let names: Vec<_> = device
        .names()
        .into_iter()
        .filter(|name| name.starts_with("record.other-key"))
        .collect();
    assert_eq!(names.len(), 4);
    assert_eq!(device.loaded(), Loaded::Current(paired(6)));
}

#[test]
fn one_write_over_two_unusable_generations_is_current() {
    let device = Device::with(&[one(paired(1)), one(paired(2))]);
    device.damage("record.0");
    device.damage("record.1");
    device.write(&[one(paired(3))]);
    assert_eq!(device.loaded(), Loaded::Current(paired(3)));
    assert_eq!(
        device.names(),
        ["record.0", "record.damaged.1", "record.damaged.2", "spare"]
    );
}

#[test]
fn a_file_of_one_kind_is_not_taken_for_another() {
    let device = Device::with(&[Write::Revocations(vec![revocation(1)]), flow_write(flow())]);
    fs::copy(device.file("revocations"), device.file("record.0")).unwrap();
    assert_eq!(device.loaded(), Loaded::Damaged);
    fs::copy(device.run_file("flow"), device.file("record.0")).unwrap();
    assert_eq!(device.loaded(), Loaded::Damaged);
}

#[test]
fn without_a_key_the_record_is_told_of_and_untouched() {
    let device = Device::new();
    let (mut store, found) = device.open_as(None, identity(), BOOT).unwrap();
    assert_eq!(found, stored(Loaded::Missing));
    for write in [
        one(paired(1)),
        Write::Revocations(vec![revocation(1)]),
        Write::Revocations(Vec::new()),
        flow_write(flow()),
    ] {
        assert!(matches!(store.write(&write), Err(WriteError::NoKey)));
    }
    store.write(&Write::Flow(None)).unwrap();
    drop(store);

    device.write(&[one(paired(1)), Write::Revocations(vec![revocation(1)])]);
    let before = content(device.state.path());
    let (mut store, found) = device.open_as(None, identity(), BOOT).unwrap();
    assert_eq!(found, stored(Loaded::KeyUnavailable));
    assert!(matches!(store.write(&both(tombstone(2))), Err(WriteError::NoKey)));
    assert!(matches!(
        store.write(&Write::Revocations(Vec::new())),
        Err(WriteError::NoKey)
    ));
    assert_eq!(content(device.state.path()), before);
}

#[test]
fn revocations_last_until_the_list_is_empty() {
    let device = Device::new();
    let list: Vec<_> = (1..=4).map(revocation).collect();
    device.write(&[Write::Revocations(list.clone())]);
    assert_eq!(device.open().1.revocations, list);
    device.write(&[Write::Revocations(Vec::new())]);
    assert_eq!(device.open().1, stored(Loaded::Missing));
    assert!(!device.file("revocations").exists());
}

#[test]
fn more_revocations_than_are_read_back_are_refused() {
    let (mut store, _) = Device::new().open();
    let list: Vec<_> = (0..=MAX_REVOCATIONS as u64).map(revocation).collect();
    assert!(matches!(
        store.write(&Write::Revocations(list)),
        Err(WriteError::TooLarge { .. })
    ));
}

#[test]
fn revocations_of_another_client_are_never_sent_and_never_lost() {
    let device = Device::with(&[Write::Revocations(vec![revocation(1)])]);
    let foreign = fs::read(device.file("revocations")).unwrap();

    let (mut store, found) = device.open_as(Some(key()), other_identity(), BOOT).unwrap();
    assert_eq!(found.revocations, []);
    store.write(&Write::Revocations(Vec::new())).unwrap();
    assert_eq!(fs::read(device.file("revocations")).unwrap(), foreign);
    store.write(&Write::Revocations(vec![revocation(2)])).unwrap();
    drop(store);
    assert_eq!(fs::read(device.file("revocations.foreign.1")).unwrap(), foreign);
    let (_store, found) = device.open_as(Some(key()), other_identity(), BOOT).unwrap();
    assert_eq!(found.revocations, [revocation(2)]);
}

#[test]
fn what_would_not_be_read_back_is_not_written() {
    let device = Device::with(&[one(paired(1))]);
    let (mut store, _) = device.open();
    let mut huge = paired(2);
    if let crate::core::Body::Paired(pairing) = &mut huge.body {
        pairing.device.name = "x".repeat(1 << 16);
    }
    assert!(matches!(store.write(&one(huge)), Err(WriteError::TooLarge { .. })));
    drop(store);
    assert_eq!(device.loaded(), Loaded::Current(paired(1)));
}

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
