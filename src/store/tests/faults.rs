//! One step of a write fails, or the process ends there: what does the next start find?
//!
//! Every scenario is run once for each step and each way to fail, over a real directory here and
//! over the model that loses power in [`super::power`].

use rustix::io::Errno;

use super::faulty::{Fault, Place, Plan};
use super::fixture::*;
use super::scenarios::{Run, at_every_step};
use c2c_auth_core::{Loaded, Store as Write};

fn check_device(fault: Fault) {
    at_every_step(fault, |scenario, device: &Device, Run { outcome, states, .. }| {
        let found = device.stored();
        let name = scenario.name;
        match outcome {
            Ok(()) => assert_eq!(found, states[1], "{name}"),
            Err(_) => assert!(scenario.allows(&found, &states), "{name}: {found:?}"),
        }
        Place::write(device, &scenario.what);
        assert_eq!(device.stored(), states[1], "{name}: the next try");
    });
}

#[test]
fn a_failed_step_leaves_the_old_or_the_new() {
    check_device(Fault::Once(Errno::IO));
}

#[test]
fn a_step_that_only_seemed_to_fail_leaves_the_old_or_the_new() {
    check_device(Fault::Done(Errno::IO));
}

#[test]
fn a_full_disk_leaves_the_old_or_the_new() {
    check_device(Fault::Once(Errno::NOSPC));
}

#[test]
fn a_disk_that_fails_for_good_or_a_process_that_ends_leaves_the_old_or_the_new() {
    check_device(Fault::ForGood);
}

/// The refresh token that it replaces may be dead, so the new pair must survive where it can.
#[test]
fn a_pairing_that_the_disk_did_not_take_is_found_in_the_runtime_directory() {
    at_every_step(
        Fault::Once(Errno::IO),
        |scenario,
         device: &Device,
         Run {
             outcome,
             states: [_, new],
             ..
         }| {
            let is_pairing = matches!(&scenario.what, Write::Record { record, .. } if record.body != tombstone(0).body);
            if is_pairing && outcome.is_err() {
                let found = device.stored();
                let (Loaded::Current(found) | Loaded::Previous(found)) = found.record else {
                    panic!("{}: {found:?}", scenario.name);
                };
                assert_eq!(Loaded::Current(found), new.record, "{}", scenario.name);
                assert!(device.run_file("record.spill").exists());
                Place::write(device, &scenario.what);
                assert!(!device.run_file("record.spill").exists());
            }
        },
    );
}

/// Whoever unpairs is told that it failed, so the next start must not find it done. Only where the
/// last step of all failed is there no pairing left to go back to.
#[test]
fn a_tombstone_that_failed_is_not_found_later() {
    let mut failures = Vec::new();
    at_every_step(
        Fault::Once(Errno::IO),
        |scenario,
         device: &Device,
         Run {
             outcome,
             states: [old, _],
             ..
         }| {
            if scenario.name.starts_with("a tombstone") && outcome.is_err() {
                failures.push((scenario.name, device.stored() == old));
            }
        },
    );
    for ends in failures.chunk_by(|a, b| a.0 == b.0) {
        let (_, before_last) = ends.split_last().unwrap();
        assert!(before_last.len() > 5);
        for (name, is_old) in before_last {
            assert!(is_old, "{name}");
        }
    }
}

#[test]
fn a_spilled_pairing_never_comes_back_after_a_tombstone() {
    // The spill is made, outlives its removal, and is older than what was written since.
    let device = Device::with(&[one(paired(1))]);
    let plan = Plan::new(Fault::Once(Errno::IO));
    let (mut records, _) = Place::open(&device, &plan);
    plan.arm(0);
    records.write(&one(paired(2))).unwrap_err();
    let spill = std::fs::read(device.run_file("record.spill")).unwrap();
    records.write(&both(tombstone(3))).unwrap();
    drop(records);
    assert!(!device.run_file("record.spill").exists());
    std::fs::write(device.run_file("record.spill"), spill).unwrap();
    assert_eq!(device.loaded(), Loaded::Current(tombstone(3)));
    device.damage("record.0");
    assert_eq!(device.loaded(), Loaded::Previous(tombstone(3)));
}

#[test]
fn a_failed_tombstone_leaves_a_spilled_pairing_in_force() {
    let device = Device::with(&[one(paired(1))]);
    let plan = Plan::new(Fault::Once(Errno::IO));
    let (mut records, _) = Place::open(&device, &plan);
    for write in [one(paired(2)), both(tombstone(3))] {
        plan.arm(0);
        records.write(&write).unwrap_err();
    }
    drop(records);
    assert_eq!(device.loaded(), Loaded::Current(paired(2)));
}

#[test]
fn a_spill_that_cannot_be_read_casts_doubt_on_the_disk() {
    let device = Device::with(&[one(paired(1))]);
    std::fs::write(device.run_file("record.spill"), "no record").unwrap();
    assert_eq!(device.loaded(), Loaded::Previous(paired(1)));
    device.write(&[one(paired(2))]);
    assert_eq!(device.loaded(), Loaded::Current(paired(2)));
}

#[test]
fn a_full_disk_takes_one_more_record_and_the_room_is_kept_again_later() {
    for step in 0..4 {
        let device = Device::with(&[one(paired(1)), one(paired(2))]);
        let spare = std::fs::metadata(device.file("spare")).unwrap().len();
        assert!(spare >= 65_536);
        let plan = Plan::new(Fault::Once(Errno::NOSPC));
        let (mut records, _) = Place::open(&device, &plan);
        plan.arm(step);
        records.write(&one(paired(3))).unwrap();
        assert!(plan.was_hit());
        drop(records);
        assert_eq!(device.loaded(), Loaded::Current(paired(3)));
        assert_eq!(std::fs::metadata(device.file("spare")).unwrap().len(), spare);
        assert_eq!(device.names(), ["record.0", "record.1", "spare"]);
    }
}

#[test]
fn an_error_names_the_directory_and_no_secret() {
    let device = Device::new();
    let plan = Plan::new(Fault::ForGood);
    let (mut records, _) = Place::open(&device, &plan);
    plan.arm(0);
    let error = records.write(&one(paired(1))).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains(device.state.path().to_str().unwrap()));
    assert!(!text.contains("example"));
}
