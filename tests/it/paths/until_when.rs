//! Until when things last: what the server tells of the device, as properties, and what becomes of
//! a pairing whose end the user chose.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use c2c_testkit::harness::{Harness, LIMIT, LOOK, quick};
use c2c_testkit::rig::CLIENT_ID;
use c2c_testkit::server::Options;
use c2c_testkit::user::User;
use tokio::time::Instant;

use super::disk::pairing_on_disk;
use crate::DAEMON;

fn secs(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

async fn number(user: &User, property: &str) -> u64 {
    user.ours("Device").await.get_property(property).await.unwrap()
}

/// Waits until a property has a value that fits.
async fn until(user: &User, property: &str, fits: impl Fn(u64) -> bool) -> u64 {
    let limit = Instant::now() + LIMIT;
    loop {
        let value = number(user, property).await;
        if fits(value) {
            return value;
        }
        assert!(Instant::now() < limit, "{property}: {}", user.told().await);
        tokio::time::sleep(LOOK).await;
    }
}

#[tokio::test]
async fn an_end_that_the_user_chose_is_told_before_and_after() {
    let world = Harness::c2c(
        DAEMON,
        Options {
            authorization_life: Some(Duration::from_secs(2 * 3600)),
            ..quick()
        },
    );
    let (mut daemon, user) = world.paired().await;
    let now = secs(SystemTime::now());
    let end = until(&user, "AuthorizationExpires", |end| end > 0).await;
    assert!((end.abs_diff(now + 2 * 3600)) < 60, "{end}");
    for (property, expected) in [
        ("PairedSince", now),
        ("TokenExpires", now + 28_800),
        ("RefreshBy", now + 14 * 86_400),
        ("LastContact", now),
    ] {
        assert!(number(&user, property).await.abs_diff(expected) < 60, "{property}");
    }
    assert!(user.flag("AttentionNeeded").await);
    let told = |line: &str| line.contains("The time that the user chose for this pairing ends in");
    daemon.wait_output(told, LIMIT).await.unwrap();
    let sentence = daemon.notifications().last("STATUS").unwrap();
    assert!(
        sentence.contains("the time that the user chose") && sentence.contains("pair --replace"),
        "{sentence}"
    );
    let written = Instant::now() + LIMIT;
    while pairing_on_disk(&world)
        .authorization_expires
        .map(c2c_auth_core::WallTime::as_secs)
        != Some(end)
    {
        assert!(Instant::now() < written);
        tokio::time::sleep(LOOK).await;
    }

    // It comes sooner than was told, which the next start hears.
    let soon = SystemTime::now() + Duration::from_secs(2);
    world.server.set_authorization_end(CLIENT_ID, Some(soon)).unwrap();
    world.restart(&mut daemon).await;
    let user = world.user().await;
    until(&user, "AuthorizationExpires", |end| end <= secs(soon)).await;
    // It may have come already.
    if let Ok(token) = user.token().await {
        tokio::time::sleep_until(Instant::now() + Duration::from_secs(2)).await;
        let _ = user.reject(token.generation).await;
    }
    user.until("Pairing", "PairingReason", "authorization-expired").await;
    assert!(user.flag("AttentionNeeded").await && !user.flag("Paired").await);
    assert_eq!(number(&user, "AuthorizationExpires").await, 0);
}

#[tokio::test]
async fn a_pause_and_an_end_that_goes_are_told_by_the_next_answer() {
    let world = Harness::c2c(
        DAEMON,
        Options {
            authorization_life: Some(Duration::from_secs(30 * 86_400)),
            ..quick()
        },
    );
    let (mut daemon, user) = world.paired().await;
    until(&user, "AuthorizationExpires", |end| end > 0).await;
    assert!(!user.flag("AttentionNeeded").await, "it is far");
    world.server.pause(CLIENT_ID, true).unwrap();
    world.server.set_authorization_end(CLIENT_ID, None).unwrap();
    world.restart(&mut daemon).await;
    let user = world.user().await;
    until(&user, "AuthorizationExpires", |end| end == 0).await;
    let paused: bool = user.ours("Device").await.get_property("Paused").await.unwrap();
    assert!(paused);
    assert!(user.token().await.is_ok(), "a pause is nothing of a token's");
}
