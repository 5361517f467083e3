//! What the disk did not take when it should have, and what it holds when one of its files is gone.

use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use c2c_authd::core::{Body, Kept, Loaded, Record, Stored};
use c2c_sim::rig::Process;

use crate::world::{LIMIT, User, World, quick};

/// Whether a start after a power-off would find the pairing that the server knows, in both generations.
fn is_safe(world: &World, stored: &Stored) -> bool {
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

async fn until_safe(world: &World, limit: Duration) {
    let until = Instant::now() + limit;
    while !is_safe(world, &world.after_power_off()) {
        assert!(Instant::now() < until, "{:?}", world.after_power_off());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Which files the two generations are: another one after each write.
fn inodes(world: &World) -> [u64; 2] {
    ["record.0", "record.1"].map(|name| {
        let path = world.rig.state_directory().join(name);
        std::fs::metadata(path).unwrap().ino()
    })
}

/// A device that was paired while its disk took no record.
async fn paired_without_a_disk() -> (World, Process, User) {
    let world = World::new(quick());
    let daemon = world.start().await;
    let user = world.user().await;
    user.start_pairing(&[]).await.unwrap();
    world.block_records(true);
    world.approve_until_paired(&user).await;
    assert_eq!(world.after_power_off().record, Loaded::Missing);
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
