//! In how many places the record in use lies, and what becomes of a spill.

use std::fs;
use std::time::Duration;

use rustix::io::Errno;

use super::faulty::{Fault, Place, Plan};
use super::fixture::*;
use crate::store::{Identity, StateKey};
use c2c_auth_core::{Body, Kept, Loaded, Record, Store as Write};

/// As [`paired`], before a refresh was announced.
fn unmarked(n: u64) -> Record {
    let mut record = paired(n);
    if let Body::Paired(pairing) = &mut record.body {
        pairing.mark = None;
    }
    record
}

/// A device on which the state directory did not take the last write.
fn spilled(before: &[Write], last: &Write) -> Device {
    let device = Device::with(before);
    let plan = Plan::new(Fault::Once(Errno::IO));
    let (mut records, _) = Place::open(&device, &plan);
    plan.arm(0);
    records.write(last).unwrap_err();
    device
}

fn found(device: &Device) -> (Loaded, Kept) {
    let (_store, found) = device.open();
    (found.record, found.kept)
}

fn spill_of(device: &Device) -> Option<Vec<u8>> {
    fs::read(device.run_file("record.spill")).ok()
}

#[test]
fn a_start_is_told_how_well_the_record_is_kept() {
    let cases: [(&[Write], Kept); 8] = [
        (&[], Kept::Twice),
        (&[one(paired(1))], Kept::Once),
        (&[both(paired(1))], Kept::Twice),
        (&[one(paired(1)), one(paired(2))], Kept::Once),
        (&[one(paired(1)), one(paired(1))], Kept::Twice),
        // The mark beside the same tokens without it.
        (&[both(unmarked(1)), one(paired(1))], Kept::Twice),
        (&[one(paired(1)), one(tombstone(2))], Kept::Once),
        (&[one(paired(1)), both(tombstone(2))], Kept::Twice),
    ];
    for (writes, kept) in cases {
        assert_eq!(found(&Device::with(writes)).1, kept, "{writes:?}");
    }
    for name in SLOTS {
        let device = Device::with(&[both(paired(1))]);
        device.damage(name);
        assert_eq!(found(&device), (Loaded::Previous(paired(1)), Kept::Once));
        fs::remove_file(device.file(name)).unwrap();
        assert_eq!(found(&device), (Loaded::Current(paired(1)), Kept::Once));
    }
}

#[test]
fn a_pair_of_the_runtime_directory_alone_is_told_and_lost_with_it() {
    let device = spilled(&[both(paired(1))], &one(paired(2)));
    assert_eq!(found(&device), (Loaded::Current(paired(2)), Kept::Spilled));
    for name in SLOTS {
        device.damage(name);
    }
    assert_eq!(found(&device), (Loaded::Previous(paired(2)), Kept::Spilled));
    device.write(&[both(paired(2))]);
    assert_eq!(found(&device), (Loaded::Current(paired(2)), Kept::Twice));
    assert_eq!(spill_of(&device), None);

    let first = spilled(&[], &one(paired(2)));
    assert_eq!(found(&first), (Loaded::Current(paired(2)), Kept::Spilled));
    fs::remove_file(first.run_file("record.spill")).unwrap();
    assert_eq!(
        found(&first).0,
        Loaded::Missing,
        "which is why it is to be written at once"
    );
}

#[test]
fn a_mark_that_the_disk_did_not_take_needs_no_other_place() {
    let device = spilled(&[both(unmarked(1))], &one(paired(1)));
    assert_eq!(found(&device), (Loaded::Current(paired(1)), Kept::Twice));
}

/// The process was killed between the last write and the removal.
#[test]
fn a_spill_that_both_generations_have_outlived_is_removed_and_cannot_come_back() {
    for last in [paired(3), tombstone(3)] {
        let device = spilled(&[both(paired(1))], &one(paired(2)));
        let spill = spill_of(&device).unwrap();
        device.write(&[both(last.clone())]);
        fs::write(device.run_file("record.spill"), &spill).unwrap();
        assert_eq!(found(&device), (Loaded::Current(last.clone()), Kept::Twice));
        for name in SLOTS {
            device.damage(name);
        }
        assert_eq!(
            found(&device).0,
            Loaded::Damaged,
            "an older pair is not taken for the newest"
        );
    }
}

/// Only the first of the two writes was done.
#[test]
fn an_older_spill_stays_while_one_generation_alone_is_newer() {
    let device = spilled(&[both(paired(1))], &one(paired(2)));
    let spill = spill_of(&device);
    device.write(&[one(paired(3))]);
    fs::write(device.run_file("record.spill"), spill.as_ref().unwrap()).unwrap();
    assert_eq!(found(&device), (Loaded::Current(paired(3)), Kept::Once));
    assert_eq!(spill_of(&device), spill);
}

#[test]
fn a_spill_of_another_key_or_client_is_set_aside_and_not_destroyed() {
    type Us = (fn() -> StateKey, fn() -> Identity, &'static str);
    let cases: [Us; 2] = [
        (other_key, identity, "record.other-key.1"),
        (key, other_identity, "record.foreign.1"),
    ];
    for (key, identity, name) in cases {
        for fails in [false, true] {
            let other = spilled(&[], &one(paired(9)));
            let device = Device::with(&[both(paired(1))]);
            fs::copy(other.run_file("record.spill"), device.run_file("record.spill")).unwrap();
            let spill = spill_of(&device).unwrap();
            // A spill of ours in its place may have been newer.
            let us = Device::new();
            let (mut store, _) = us.open_as(Some(key()), identity(), BOOT).unwrap();
            store.write(&both(paired(1))).unwrap();
            drop(store);
            for slot in SLOTS {
                fs::copy(us.file(slot), device.file(slot)).unwrap();
            }
            let (mut store, found) = device.open_as(Some(key()), identity(), BOOT).unwrap();
            assert_eq!((found.record, found.kept), (Loaded::Previous(paired(1)), Kept::Twice));
            if fails {
                // In the way of every write.
                for slot in SLOTS {
                    fs::create_dir(device.file(&format!(".{slot}.new"))).unwrap();
                }
                store.write(&one(paired(2))).unwrap_err();
            } else {
                store.write(&one(paired(2))).unwrap();
            }
            drop(store);
            assert_eq!(fs::read(device.run_file(name)).unwrap(), spill);
            let (_store, found) = device.open_as(Some(key()), identity(), BOOT).unwrap();
            assert_eq!(found.record, Loaded::Current(paired(2)), "and casts no doubt any more");
        }
    }
}

#[test]
fn what_cannot_be_read_at_first_is_read_three_times_more() {
    for (failures, pauses) in [(0, 0), (1, 1), (3, 3)] {
        let device = Device::with(&[both(paired(1))]);
        let plan = Plan::new(Fault::ForGood);
        plan.unread(failures);
        let (_vault, found) = Place::open(&device, &plan);
        assert_eq!(found.record, Loaded::Current(paired(1)), "{failures}");
        assert_eq!(plan.paused(), Duration::from_millis(100) * pauses);
    }
    let device = Device::with(&[both(paired(1))]);
    let plan = Plan::new(Fault::ForGood);
    plan.unread(4);
    let (_vault, found) = Place::open(&device, &plan);
    assert_eq!(
        found.record,
        Loaded::Previous(paired(1)),
        "one file is given up, the other read"
    );
    assert_eq!(plan.paused(), Duration::from_millis(300));
}

#[test]
fn a_second_copy_that_fails_leaves_the_first_and_never_two_halves() {
    for step in 0..6 {
        let device = Device::with(&[both(paired(1)), one(paired(2))]);
        let plan = Plan::new(Fault::Once(Errno::NOSPC));
        let (mut records, _) = Place::open(&device, &plan);
        fs::remove_file(device.file("spare")).unwrap();
        plan.arm(step);
        let outcome = records.write(&one(paired(2)));
        drop(records);
        let (record, kept) = found(&device);
        assert_eq!(record, Loaded::Current(paired(2)), "{step}");
        assert!(outcome.is_err() || kept == Kept::Twice, "{step}: {kept:?}");
        fs::remove_dir_all(device.runtime.path()).unwrap();
        fs::create_dir(device.runtime.path()).unwrap();
        assert_eq!(
            found(&device).0,
            Loaded::Current(paired(2)),
            "{step}: after a power cut"
        );
    }
}
