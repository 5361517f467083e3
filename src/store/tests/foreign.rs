//! Files sealed with another key, or for another server or client, are reported and kept, but never
//! used.

use std::fs;

use super::fixture::*;
use crate::store::WriteError;
use c2c_auth_core::{Loaded, Store as Write};

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
