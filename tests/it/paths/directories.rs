//! The directories themselves: replaced while the daemon runs, or on a file system that knows less
//! than others.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use c2c_auth_core::{Kept, Loaded};
use c2c_testkit::harness::{Harness, LIMIT, quick};
use c2c_testkit::rig::Process;
use c2c_testkit::server::{Endpoint, Options, Truth};
use c2c_testkit::user::error_name;

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

#[tokio::test]
async fn a_start_on_a_disk_that_takes_no_pairing_asks_nothing_of_the_server() {
    let world = device();
    let daemon = world.start().await;
    let user = world.user().await;
    let state = world.rig.state_directory();
    std::fs::remove_dir_all(&state).unwrap();
    let refused = user.start_pairing(&[]).await;
    assert!(error_name(&refused).ends_with("StorageFailed"), "{refused:?}");
    assert_eq!(user.last_error().await, "storage-failed");
    assert_eq!(user.word("Pairing", "PairingState").await, "unpaired");
    let asked = |truth: &Truth| truth.requests(Endpoint::DeviceCode).count();
    assert_eq!(world.server.truth(asked), 0);

    std::fs::DirBuilder::new().mode(0o700).create(&state).unwrap();
    let recovered = |line: &str| line.contains("store-recovered");
    daemon.wait_output(recovered, LIMIT).await.unwrap();
    world.pair(&user).await;
    until_safe(&world, LIMIT).await;
}

#[tokio::test]
async fn a_runtime_directory_that_keeps_a_flow_is_named_by_the_call_that_ends_it() {
    let world = device();
    let _daemon = world.start().await;
    let user = world.user().await;
    let flow = world.rig.runtime_directory().join("flow");
    for unpair in [false, true] {
        user.code_when_it_may(&[]).await;
        let end = async || {
            if unpair {
                user.unpair().await
            } else {
                user.cancel().await
            }
        };
        // Root may write where a mode forbids it, so a directory stands in for a refusal.
        std::fs::remove_file(&flow).unwrap();
        std::fs::create_dir(&flow).unwrap();
        let refused = end().await;
        assert!(error_name(&refused).ends_with("StorageFailed"), "{refused:?}");
        let told = refused.unwrap_err().to_string();
        assert!(
            told.contains("runtime directory") && !told.contains("state directory"),
            "{told}"
        );
        assert_eq!(user.word("Pairing", "PairingState").await, "unpaired");
        std::fs::remove_dir(&flow).unwrap();
        end().await.unwrap();
    }
}

#[tokio::test]
async fn a_runtime_directory_that_takes_no_file_is_in_the_way_of_no_flow() {
    let world = device();
    let _daemon = world.start().await;
    let user = world.user().await;
    std::fs::create_dir(world.rig.runtime_directory().join(".flow.new")).unwrap();
    user.start_pairing(&[]).await.unwrap();
    user.cancel().await.unwrap();
    assert_eq!(user.word("Pairing", "PairingState").await, "unpaired");
    user.code_when_it_may(&[]).await;
    world.approve_until_paired(&user).await;
}

/// Answers each sync of a directory with "invalid argument", as some network file systems do.
const NO_DIRECTORY_SYNC: &str = r"
#define _GNU_SOURCE
#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
int fsync(int fd) {
    struct stat found;
    if (fstat(fd, &found) == 0 && S_ISDIR(found.st_mode)) { errno = EINVAL; return -1; }
    return syscall(SYS_fsync, fd);
}
";

fn without_directory_sync(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("fsync.c"), folder.join("fsync.so"));
    std::fs::write(&source, NO_DIRECTORY_SYNC).unwrap();
    let mut cc = Command::new("cc");
    let cc = cc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    assert!(cc.status().unwrap().success());
    library
}

#[tokio::test]
async fn a_file_system_that_cannot_sync_directories_is_told_of_once_and_used() {
    let mut world = device();
    let folder = tempfile::tempdir().unwrap();
    let library = without_directory_sync(folder.path());
    let preload = |command: &mut Command| {
        command.env("LD_PRELOAD", &library);
    };
    let daemon = world
        .rig
        .spawn_with(Path::new(DAEMON), world.bus.address(), preload)
        .unwrap();
    daemon.wait_ready(LIMIT).await.unwrap();
    let user = world.user().await;
    world.pair(&user).await;
    refresh(&mut world, &daemon).await;
    user.until_generation(2).await;
    until_safe(&world, LIMIT).await;
    assert_eq!(after_power_off(&world).kept, Kept::Twice);
    assert_eq!(user.last_error().await, "none");
    let lines = daemon.output();
    assert_eq!(said(&daemon, "cannot sync a directory"), 1, "{lines:?}");
    assert_eq!(said(&daemon, "store-failed"), 0, "{lines:?}");
}
