//! A start after writes finds the state that they left.

use std::fs;

use super::fixture::*;
use crate::store::WriteError;
use c2c_auth_core::{
    AccessToken, Body, DeviceCode, Loaded, MAX_REVOCATIONS, Record, RefreshToken, Revocable, Store as Write, TOKEN_MAX,
};

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

/// A flipped bit in the clear identity must not send a person looking for another configuration.
#[test]
fn a_damaged_identity_is_damage() {
    let device = Device::with(&[one(paired(1))]);
    device.edit("record.0", |bytes| bytes[40] ^= 1);
    assert_eq!(device.loaded(), Loaded::Damaged);
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
    let device = Device::new();
    let (mut store, _) = device.open();
    let list: Vec<_> = (0..=MAX_REVOCATIONS as u64).map(revocation).collect();
    assert!(matches!(
        store.write(&Write::Revocations(list)),
        Err(WriteError::TooLarge { .. })
    ));
}

#[test]
fn what_would_not_be_read_back_is_not_written() {
    let device = Device::with(&[one(paired(1))]);
    let (mut store, _) = device.open();
    let mut huge = paired(2);
    if let Body::Paired(pairing) = &mut huge.body {
        pairing.device.name = "x".repeat(300 << 10);
    }
    assert!(matches!(store.write(&one(huge)), Err(WriteError::TooLarge { .. })));
    drop(store);
    assert_eq!(device.loaded(), Loaded::Current(paired(1)));
}

/// A token of the greatest length, of characters that JSON has to escape.
fn longest() -> String {
    "\"".repeat(TOKEN_MAX)
}

fn record_of_longest_tokens() -> Record {
    let mut record = paired(1);
    let Body::Paired(pairing) = &mut record.body else {
        panic!("a pairing");
    };
    let candidate = pairing.candidate.as_mut().unwrap();
    for pair in [&mut pairing.pair, candidate] {
        pair.access = Some(AccessToken::new(longest()));
        pair.refresh = Some(RefreshToken::new(longest()));
    }
    pairing.device.project_name = "\u{1f3a5}".repeat(256);
    record
}

#[test]
fn four_of_the_longest_tokens_fit_into_each_file() {
    let mut list: Vec<_> = (0..MAX_REVOCATIONS as u64).map(revocation).collect();
    for (at, entry) in list.iter_mut().enumerate() {
        entry.token = if at % 2 == 0 {
            Revocable::Refresh(RefreshToken::new(longest()))
        } else {
            Revocable::Access(AccessToken::new(longest()))
        };
    }
    let mut flow = flow();
    flow.code.device_code = DeviceCode::new(longest());
    flow.code.verifier = Some(c2c_auth_core::CodeVerifier::new(longest()));
    let device = Device::new();
    let (mut store, _) = device.open();
    store.write(&both(record_of_longest_tokens())).unwrap();
    store.write(&Write::Revocations(list.clone())).unwrap();
    store.write(&flow_write(flow.clone())).unwrap();
    drop(store);
    let (_, found) = device.open();
    assert_eq!(found.record, Loaded::Current(record_of_longest_tokens()));
    assert_eq!(found.revocations, list);
    assert_eq!(found.flow, Some(flow));
    let room = fs::metadata(device.file("spare")).unwrap().len();
    let taken = fs::metadata(device.file("record.0")).unwrap().len();
    assert!(
        room >= taken,
        "the spare file gives up room for one record: {room} for {taken}"
    );
}

#[test]
fn a_pairing_without_an_access_token_is_found_as_it_was_written() {
    let mut record = paired(2);
    if let Body::Paired(pairing) = &mut record.body {
        pairing.pair.access = None;
    }
    let device = Device::with(&[one(paired(1)), one(record.clone())]);
    assert_eq!(device.loaded(), Loaded::Current(record));
}
