//! Failed writes of the disk, and its content when one of its files is gone.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use c2c_auth_core::{Body, Kept, Loaded, Record, Stored};
use c2c_testkit::harness::{Harness, LIMIT, quick};
use c2c_testkit::rig::Process;
use c2c_testkit::server::{Endpoint, Fault, Options, Pause, Stage};
use c2c_testkit::user::User;

use super::disk::{after_power_off, pairing_on_disk};
use crate::DAEMON;

/// True if a start after a power-off would find the pairing that the server knows, in both
/// generations.
fn is_safe(world: &Harness, stored: &Stored) -> bool {
    let Loaded::Current(Record {
        body: Body::Paired(pairing),
        ..
    }) = &stored.record
    else {
        return false;
    };
    let refresh = pairing.pair.refresh.as_ref().map(|token| token.expose().to_owned());
    stored.kept == Kept::Twice && refresh == world.live_refresh()
}

pub(super) async fn until_safe(world: &Harness, limit: Duration) {
    let until = Instant::now() + limit;
    while !is_safe(world, &after_power_off(world)) {
        assert!(Instant::now() < until, "{:?}", after_power_off(world));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Which files the two generations are: another one after each write.
fn inodes(world: &Harness) -> [u64; 2] {
    ["record.0", "record.1"].map(|name| {
        let path = world.rig.state_directory().join(name);
        std::fs::metadata(path).unwrap().ino()
    })
}

/// A device that was paired while its disk took no record.
async fn paired_without_a_disk() -> (Harness, Process, User) {
    let world = Harness::c2c(DAEMON, quick());
    let daemon = world.start().await;
    let user = world.user().await;
    user.start_pairing(&[]).await.unwrap();
    world.block_records(true);
    world.approve_until_paired(&user).await;
    assert_eq!(after_power_off(&world).record, Loaded::Missing);
    assert_eq!(user.last_error().await, "storage-failed");
    (world, daemon, user)
}

#[tokio::test]
async fn a_pairing_that_the_disk_did_not_take_is_written_at_the_next_start_and_not_again() {
    let (world, mut daemon, user) = paired_without_a_disk().await;
    let token = user.token().await.unwrap();
    daemon.kill().unwrap();
    world.block_records(false);
    daemon = world.start().await;
    // Ten times as long as it may take, for a slow machine.
    until_safe(&world, Duration::from_secs(10)).await;
    let told = |line: &str| line.contains("record-spilled");
    daemon.wait_output(told, LIMIT).await.unwrap();
    let user = world.user().await;
    assert_eq!(user.last_error().await, "none");
    assert_eq!(user.token().await.unwrap().access, token.access);

    let written = inodes(&world);
    daemon.kill().unwrap();
    world.rig.lose_runtime_directory().unwrap();
    let daemon = world.start().await;
    let user = world.user().await;
    assert_eq!(user.token().await.unwrap().access, token.access);
    assert!(user.flag("Paired").await);
    assert_eq!(inodes(&world), written, "where all is well nothing is written");
    assert!(!daemon.output().iter().any(|line| line.contains("record-")));
}

#[tokio::test]
async fn a_disk_that_fails_at_the_next_start_too_is_told_and_tried_until_it_works() {
    let (world, mut daemon, user) = paired_without_a_disk().await;
    let token = user.token().await.unwrap();
    world.restart(&mut daemon).await;
    let user = world.user().await;
    user.until("Tokens", "TokenState", "valid").await;
    assert_eq!(user.token().await.unwrap().access, token.access);
    let told = |line: &str| line.contains("store-failed");
    daemon.wait_output(told, LIMIT).await.unwrap();
    assert_eq!(user.last_error().await, "storage-failed");
    world.block_records(false);
    // The first retry comes within 15 s, the next within a minute of it.
    until_safe(&world, 2 * LIMIT).await;
    let told = |line: &str| line.contains("store-recovered");
    daemon.wait_output(told, LIMIT).await.unwrap();
}

/// A device with a young token whose refreshes come when `refresh` makes them due.
async fn paired() -> (Harness, Process, User) {
    let world = Harness::c2c(
        DAEMON,
        Options {
            access_life: Duration::from_secs(2000),
            ..quick()
        },
    );
    let (daemon, user) = world.paired().await;
    (world, daemon, user)
}

pub(super) async fn refresh(world: &mut Harness, daemon: &Process) {
    world.set(&[("refresh", "at", "1%")]);
    world.reload(daemon).await;
}

/// The server has carried out a refresh and holds its answer, and the disk takes no record.
async fn hold_a_refresh_and_the_disk(world: &mut Harness, daemon: &Process) {
    until_safe(world, LIMIT).await;
    let stall = Fault::Stall(Stage::AfterCommit, Pause::UntilReleased);
    world.server.fault(Endpoint::Refresh, stall);
    refresh(world, daemon).await;
    world.seen(|truth| truth.counters().refreshes_committed == 1).await;
    world.block_records(true);
}

fn calm(world: &mut Harness) {
    world.set(&[("refresh", "at", "75%")]);
}

#[tokio::test]
async fn a_pair_that_comes_during_the_end_is_written_once_the_disk_takes_it() {
    let (mut world, mut daemon, _user) = paired().await;
    hold_a_refresh_and_the_disk(&mut world, &daemon).await;
    daemon.terminate().unwrap();
    let stopping = daemon.notifications().wait(|n| n.get("STOPPING") == Some("1"), LIMIT);
    stopping.await.unwrap();
    world.server.release();
    let told = |line: &str| line.contains("store-failed");
    daemon.wait_output(told, LIMIT).await.unwrap();
    world.block_records(false);
    assert_eq!(daemon.wait_exit(LIMIT).await.unwrap().code(), Some(0));
    assert!(is_safe(&world, &after_power_off(&world)));
}

#[tokio::test]
async fn with_both_files_damaged_the_pairing_is_found_in_the_runtime_directory() {
    let (mut world, mut daemon, _user) = paired().await;
    hold_a_refresh_and_the_disk(&mut world, &daemon).await;
    world.server.release();
    let told = |line: &str| line.contains("store-failed");
    daemon.wait_output(told, LIMIT).await.unwrap();
    daemon.kill().unwrap();
    world.block_records(false);
    calm(&mut world);
    for name in ["record.0", "record.1"] {
        std::fs::write(world.rig.state_directory().join(name), "damaged").unwrap();
    }

    daemon = world.start().await;
    let found = |line: &str| line.contains("found in the runtime directory");
    daemon.wait_output(found, LIMIT).await.unwrap();
    until_safe(&world, LIMIT).await;
    let user = world.user().await;
    assert!(user.flag("Paired").await);
    assert!(!daemon.output().iter().any(|line| line.contains("record-fell-back")));
}

/// Overwrites four bytes of the newer generation.
fn damage_newest(world: &Harness) {
    let sequence = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        u64::from_be_bytes(bytes[10..18].try_into().unwrap())
    };
    let slots = ["record.0", "record.1"].map(|name| world.rig.state_directory().join(name));
    let newest = slots.iter().max_by_key(|path| sequence(path)).unwrap();
    let mut bytes = std::fs::read(newest).unwrap();
    for byte in &mut bytes[100..104] {
        *byte ^= 0xff;
    }
    std::fs::write(newest, bytes).unwrap();
}

fn sends(world: &Harness) -> usize {
    world.server.truth(|truth| truth.requests(Endpoint::Refresh).count())
}

#[tokio::test]
async fn one_damaged_file_after_a_refresh_costs_neither_the_pairing_nor_a_send() {
    let (mut world, mut daemon, user) = paired().await;
    refresh(&mut world, &daemon).await;
    user.until_generation(2).await;
    until_safe(&world, LIMIT).await;
    calm(&mut world);
    daemon.kill().unwrap();
    damage_newest(&world);
    assert!(matches!(after_power_off(&world).record, Loaded::Previous(_)));
    let sent = sends(&world);

    daemon = world.start().await;
    let user = world.user().await;
    assert!(user.flag("Paired").await);
    let told = |line: &str| line.contains("record-fell-back");
    daemon.wait_output(told, LIMIT).await.unwrap();
    assert_eq!(Some(user.token().await.unwrap().access), world.live_access());
    // The doubt is written down first, and then settled: not before a server would have given up on
    // a send.
    let until = Instant::now() + Duration::from_secs(40) + LIMIT;
    while !is_safe(&world, &after_power_off(&world)) || pairing_on_disk(&world).mark.is_some() {
        assert!(Instant::now() < until, "{:?}", after_power_off(&world));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(sends(&world), sent);
    assert_eq!(Some(user.token().await.unwrap().access), world.live_access());
    assert_eq!(world.server.truth(|truth| truth.violations().to_vec()), []);
}

#[tokio::test]
async fn a_damaged_mark_of_a_refresh_that_was_carried_out_is_never_taken_for_fine() {
    let (mut world, mut daemon, _user) = paired().await;
    let cut = Fault::Stall(Stage::AfterCommit, Pause::UntilReleased);
    world.server.fault(Endpoint::Refresh, cut);
    refresh(&mut world, &daemon).await;
    world.seen(|truth| truth.counters().refreshes_committed == 1).await;
    daemon.kill().unwrap();
    world.server.release();
    damage_newest(&world);
    let sent = sends(&world);

    daemon = world.start().await;
    let user = world.user().await;
    user.until("Pairing", "PairingReason", "refresh-answer-lost").await;
    assert_eq!(sends(&world), sent + 1, "resent once");
    let lines = daemon.output();
    assert!(lines.iter().any(|line| line.contains("record-fell-back")), "{lines:?}");
}
