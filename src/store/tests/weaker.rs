//! File systems that know less: no sync of a directory, no links, no locks.

use rustix::io::Errno;

use super::faulty::{Fault, Place, Plan};
use super::fixture::*;
use super::power::Board;
use super::scenarios::scenarios;
use crate::system::atomic_file::{Folder as _, is_unsupported};
use c2c_auth_core::Loaded;

const UNKNOWN: [Errno; 3] = [Errno::INVAL, Errno::OPNOTSUPP, Errno::NOSYS];

#[test]
fn a_directory_that_cannot_be_synced_takes_every_write() {
    for errno in UNKNOWN {
        for scenario in scenarios() {
            let device = Board::new();
            scenario.prepare(&device);
            let plan = Plan::new(Fault::ForGood);
            let (mut records, old) = Place::open(&device, &plan);
            plan.refuse_sync(errno);
            records.write(&scenario.what).unwrap();
            drop(records);
            assert_eq!(device.stored(), (scenario.after)(old), "{}: {errno}", scenario.name);
        }
    }
}

#[test]
fn a_sync_that_failed_is_a_failure() {
    for errno in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS] {
        let device = Device::with(&[one(paired(1))]);
        let plan = Plan::new(Fault::ForGood);
        let (mut records, _) = Place::open(&device, &plan);
        plan.refuse_sync(errno);
        records.write(&one(paired(2))).unwrap_err();
        assert!(!is_unsupported(&errno.into()));
    }
}

#[test]
fn the_sync_of_the_file_itself_is_never_done_without() {
    let device = Device::with(&[one(paired(1))]);
    let plan = Plan::new(Fault::Once(Errno::INVAL));
    let (mut records, _) = Place::open(&device, &plan);
    // Removal of a leftover, creation, content, sync.
    plan.arm(3);
    records.write(&one(paired(2))).unwrap_err();
    assert!(plan.was_hit());
}

#[test]
fn without_links_what_is_damaged_is_kept_all_the_same() {
    for errno in [Errno::PERM, Errno::OPNOTSUPP] {
        let device = Device::with(&[one(paired(1)), one(paired(2))]);
        device.damage("record.1");
        let damaged = std::fs::read(device.file("record.1")).unwrap();
        let plan = Plan::new(Fault::ForGood);
        let (mut records, _) = Place::open(&device, &plan);
        plan.refuse_link(errno);
        records.write(&one(paired(3))).unwrap();
        drop(records);
        assert_eq!(device.loaded(), Loaded::Current(paired(3)));
        assert_eq!(device.state().read("record.damaged.1").unwrap(), Some(damaged));
    }
}
