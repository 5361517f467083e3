//! The state or the runtime directory is replaced while the store is open.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use rustix::io::Errno;

use super::faulty::{Fault, Place, Plan};
use super::fixture::*;
use super::power::Board;
use super::scenarios::scenarios;
use crate::store::{OpenError, WriteError};
use c2c_auth_core::{Kept, Loaded, Store as Write, Stored};

/// Every write into a directory that took the place of ours, with one fault at every step.
fn at_every_step_after_a_move<P: Place>(
    fault: Fault,
    replace: fn(&P),
    mut check: impl FnMut(&str, &P, Result<(), WriteError>, &Stored),
) {
    for scenario in scenarios() {
        for step in 0.. {
            let place = P::new();
            scenario.prepare(&place);
            let plan = Plan::new(fault);
            let (mut records, old) = place.open(&plan);
            let new = (scenario.after)(old.clone());
            replace(&place);
            plan.arm(step);
            let outcome = records.write(&scenario.what);
            let hit = plan.was_hit();
            if fault != Fault::ForGood {
                plan.arm(u32::MAX);
            }
            let found = place.stored();
            let any = [&old.record, &new.record, &Loaded::Missing];
            assert!(
                outcome.is_ok() || any.contains(&&found.record),
                "{}: {found:?}",
                scenario.name
            );
            check(scenario.name, &place, outcome, &new);
            if fault != Fault::ForGood {
                records.write(&scenario.what).unwrap();
                check(scenario.name, &place, Ok(()), &new);
            }
            if !hit {
                break;
            }
        }
    }
}

#[test]
fn what_memory_holds_goes_into_the_directory_that_took_the_place_of_ours() {
    for fault in [
        Fault::Once(Errno::IO),
        Fault::Done(Errno::IO),
        Fault::Once(Errno::NOSPC),
        Fault::ForGood,
    ] {
        at_every_step_after_a_move(fault, Board::replace_state, |name, board: &Board, outcome, new| {
            if outcome.is_ok() {
                assert_eq!(board.stored(), *new, "{name}");
                assert_eq!(board.kept(), Kept::Twice, "{name}");
            }
        });
    }
}

#[test]
fn the_code_on_show_goes_into_the_runtime_directory_that_took_the_place_of_ours() {
    let device = Device::with(&[both(paired(1)), flow_write(flow())]);
    let (mut store, _) = device.open();
    device.replace_runtime();
    store.write(&one(paired(2))).unwrap();
    drop(store);
    let (_store, found) = device.open();
    assert_eq!((found.record, found.flow), (Loaded::Current(paired(2)), Some(flow())));
}

#[test]
fn a_pair_that_the_disk_does_not_take_goes_into_the_runtime_directory_of_now() {
    let device = Device::with(&[both(paired(1))]);
    let plan = Plan::new(Fault::ForGood);
    let (mut records, _) = Place::open(&device, &plan);
    device.replace_runtime();
    for slot in SLOTS {
        fs::create_dir(device.file(&format!(".{slot}.new"))).unwrap();
    }
    records.write(&one(paired(2))).unwrap_err();
    drop(records);
    assert_eq!(device.loaded(), Loaded::Current(paired(2)));
}

#[test]
fn a_directory_that_is_gone_is_waited_for() {
    let device = Device::with(&[both(paired(1))]);
    let (mut store, _) = device.open();
    fs::remove_dir_all(device.state.path()).unwrap();
    for _ in 0..2 {
        let error = store.write(&one(paired(2))).unwrap_err();
        assert!(
            matches!(error, WriteError::Replaced(OpenError::Missing { .. })),
            "{error}"
        );
    }
    fs::create_dir(device.state.path()).unwrap();
    fs::set_permissions(device.state.path(), Permissions::from_mode(0o770)).unwrap();
    let error = store.write(&one(paired(2))).unwrap_err();
    assert!(matches!(error, WriteError::Replaced(OpenError::Mode { .. })), "{error}");
    fs::set_permissions(device.state.path(), Permissions::from_mode(0o700)).unwrap();
    store.write(&one(paired(2))).unwrap();
    drop(store);
    assert_eq!(device.open().1, stored(Loaded::Current(paired(2))));
}

/// The old lock says nothing of the new directory.
#[test]
fn the_new_directory_is_locked_and_one_that_another_daemon_has_is_refused() {
    let device = Device::with(&[both(paired(1))]);
    let (mut store, _) = device.open();
    device.replace_state();
    let (other, _) = device.open();
    let error = store.write(&one(paired(2))).unwrap_err();
    assert!(
        matches!(error, WriteError::Replaced(OpenError::Locked { .. })),
        "{error}"
    );
    drop(other);
    store.write(&one(paired(2))).unwrap();
    let locked = device.open_as(Some(key()), identity(), BOOT).unwrap_err();
    assert!(matches!(locked, OpenError::Locked { .. }), "{locked}");
}

#[test]
fn a_newer_record_is_not_written_over() {
    let device = Device::new();
    let (mut store, _) = device.open();
    let other = Device::with(&[both(paired(5)), both(paired(6)), both(paired(7))]);
    device.replace_state();
    for (name, bytes) in content(other.state.path()) {
        fs::write(device.file(&name), bytes).unwrap();
    }
    let error = store.write(&one(paired(1))).unwrap_err();
    assert!(matches!(error, WriteError::Newer { .. }), "{error}");
    drop(store);
    // The pair of this process is in the runtime directory, and older.
    fs::remove_file(device.run_file("record.spill")).unwrap();
    assert_eq!(device.loaded(), Loaded::Current(paired(7)));
}

#[test]
fn what_cannot_be_used_in_the_new_directory_is_kept() {
    let device = Device::with(&[both(paired(1))]);
    let (mut store, _) = device.open();
    device.replace_state();
    fs::write(device.file("record.0"), "no record").unwrap();
    store.write(&Write::Revocations(vec![revocation(1)])).unwrap();
    drop(store);
    assert_eq!(fs::read(device.file("record.damaged.1")).unwrap(), b"no record");
    let revocations = vec![revocation(1)];
    assert_eq!(
        device.open().1,
        Stored {
            revocations,
            ..stored(Loaded::Current(paired(1)))
        }
    );
}
