//! The directories themselves, replaced while the daemon runs.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use c2c_auth_core::Loaded;
use c2c_testkit::harness::{Harness, LIMIT, quick};
use c2c_testkit::rig::Process;
use c2c_testkit::server::Options;

use super::disk::after_power_off;
use super::storage::{refresh, until_safe};
use crate::DAEMON;

/// A device whose refreshes come when [`refresh`] makes them due.
fn device() -> Harness {
    Harness::c2c(
        DAEMON,
        Options {
            access_life: Duration::from_secs(2000),
            ..quick()
        },
    )
}

fn make_again(path: &Path) {
    std::fs::remove_dir_all(path).unwrap();
    std::fs::DirBuilder::new().mode(0o700).create(path).unwrap();
}

fn said(daemon: &Process, what: &str) -> usize {
    daemon.output().iter().filter(|line| line.contains(what)).count()
}

#[tokio::test]
async fn a_state_directory_that_was_made_again_holds_all_after_the_next_write() {
    let mut world = device();
    let (daemon, user) = world.paired().await;
    until_safe(&world, LIMIT).await;
    make_again(&world.rig.state_directory());
    assert_eq!(after_power_off(&world).record, Loaded::Missing);
    refresh(&mut world, &daemon).await;
    user.until_generation(2).await;
    until_safe(&world, LIMIT).await;
    assert_eq!(user.last_error().await, "none");
    assert_eq!(said(&daemon, "store-failed"), 0, "{:?}", daemon.output());
}

#[tokio::test]
async fn a_state_directory_that_is_gone_for_a_while_is_used_again_once_it_is_back() {
    let mut world = device();
    let (daemon, user) = world.paired().await;
    until_safe(&world, LIMIT).await;
    let state = world.rig.state_directory();
    std::fs::remove_dir_all(&state).unwrap();
    refresh(&mut world, &daemon).await;
    daemon
        .wait_output(|line| line.contains("store-failed"), LIMIT)
        .await
        .unwrap();
    assert_eq!(user.last_error().await, "storage-failed");
    std::fs::DirBuilder::new().mode(0o700).create(&state).unwrap();
    daemon
        .wait_output(|line| line.contains("store-recovered"), 2 * LIMIT)
        .await
        .unwrap();
    user.until_generation(2).await;
    until_safe(&world, LIMIT).await;
}
