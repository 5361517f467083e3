//! The runtime directory holds the flow of this boot.

use std::fs;

use super::faulty::{Fault, Place, Plan};
use super::fixture::*;
use crate::store::{Directories, Store};
use c2c_auth_core::{Loaded, Store as Write};

#[test]
fn a_flow_goes_on_after_a_restart() {
    let device = Device::with(&[flow_write(flow())]);
    assert_eq!(device.open().1.flow, Some(flow()));
    assert_eq!(device.open().1.flow, Some(flow()));
}

#[test]
fn a_flow_that_ended_is_gone() {
    let device = Device::with(&[flow_write(flow()), Write::Flow(None)]);
    assert_eq!(content(device.runtime.path()), []);
    device.write(&[Write::Flow(None)]);
    assert_eq!(device.open().1.flow, None);
}

#[test]
fn a_flow_of_another_boot_client_or_key_is_deleted() {
    for (key, identity, boot) in [
        (Some(key()), identity(), OTHER_BOOT),
        (Some(key()), other_identity(), BOOT),
        (Some(other_key()), identity(), BOOT),
        (None, identity(), BOOT),
    ] {
        let device = Device::with(&[flow_write(flow())]);
        let (_store, found) = device.open_as(key, identity, boot).unwrap();
        assert_eq!(found.flow, None);
        assert_eq!(content(device.runtime.path()), []);
    }
}

#[test]
fn a_damaged_flow_is_deleted() {
    let device = Device::with(&[flow_write(flow())]);
    fs::write(device.run_file("flow"), "no flow").unwrap();
    assert_eq!(device.open().1.flow, None);
    assert_eq!(content(device.runtime.path()), []);
}

#[test]
fn without_a_runtime_directory_no_flow_is_kept_and_none_is_missed() {
    let device = Device::new();
    let directories = Directories {
        runtime: None,
        ..device.directories()
    };
    let (mut store, _) = Store::open(directories, Some(key()), identity(), BOOT).unwrap();
    store.write(&flow_write(flow())).unwrap();
    store.write(&Write::Flow(None)).unwrap();
    drop(store);
    assert_eq!(device.open().1, stored(Loaded::Missing));
    assert_eq!(device.names(), Vec::<String>::new());
}

fn failing() -> (Device, std::rc::Rc<Plan>) {
    (Device::new(), Plan::new(Fault::ForGood))
}

#[test]
fn a_flow_that_no_file_can_hold_needs_no_removal() {
    let (device, plan) = failing();
    let (mut records, _) = Place::open(&device, &plan);
    plan.arm(0);
    records.write(&flow_write(flow())).unwrap_err();
    records.write(&Write::Flow(None)).unwrap();
}

#[test]
fn a_flow_whose_file_may_still_be_there_is_not_called_removed() {
    // Written, put in force without a sync, and found by a start.
    let (device, plan) = failing();
    let (mut records, _) = Place::open(&device, &plan);
    records.write(&flow_write(flow())).unwrap();
    plan.arm(0);
    records.write(&Write::Flow(None)).unwrap_err();
    drop(records);
    for begun in [true, false] {
        let plan = Plan::new(Fault::Once(rustix::io::Errno::IO));
        let (mut records, found) = Place::open(&device, &plan);
        assert_eq!(found.flow, Some(flow()));
        if begun {
            // The last of remove, create, append, sync, rename and sync.
            plan.arm(5);
            records.write(&flow_write(flow())).unwrap_err();
        }
        plan.arm(0);
        records.write(&Write::Flow(None)).unwrap_err();
    }
    let (mut records, _) = Place::open(&device, &Plan::new(Fault::ForGood));
    records.write(&Write::Flow(None)).unwrap();
    drop(records);
    assert_eq!(device.open().1.flow, None);
}
