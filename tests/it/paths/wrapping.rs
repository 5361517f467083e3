//! Whole answers in odd wrappings, and tokens of any size: the pairing lives, and what can be used
//! is used.

use std::time::{Duration, Instant};

use c2c_auth_core::RefreshToken;
use c2c_testkit::harness::{Harness, LIMIT, quick, side_by_side};
use c2c_testkit::server::{Edit, Endpoint, Fault, Options, Times, Wrapping};
use c2c_testkit::user::{User, error_name};
use serde_json::Value;

use super::disk::pairing_on_disk;
use super::hostile_network::{paired, recovers, refresh};
use crate::DAEMON;

const SERVER_ERROR: &str = "org.cameratocloud.Auth1.Error.ServerError";

/// Values that a strict reader refuses a whole text for.
const ODD: &str = r#""x":1e999,"y":"\ud800","z":[NaN,{"\ud800":[1e999]}]"#;

async fn refreshes_by(wrapping: Wrapping) {
    let (mut world, daemon, user) = paired().await;
    let wrapped = Fault::Edit(Edit::Wrapped(wrapping));
    world.server.faults(Endpoint::Refresh, Times::Next(1), wrapped.clone());
    world.server.faults(Endpoint::Me, Times::Always, wrapped);
    refresh(&mut world, &daemon).await;
    recovers(&world, &user).await;
    assert_eq!(world.server.truth(|truth| truth.counters().refreshes), 1);
}

#[tokio::test]
async fn a_refresh_works_whatever_its_answer_is_wrapped_in() {
    let json = Wrapping {
        label: "application/json",
        ..Wrapping::default()
    };
    let cases = [
        (
            "labelled HTML",
            Wrapping {
                label: "text/html; charset=utf-8",
                ..json
            },
        ),
        ("not labelled", Wrapping::default()),
        ("a byte order mark", Wrapping { mark: true, ..json }),
        ("odd members", Wrapping { member: ODD, ..json }),
        (
            "all of it",
            Wrapping {
                label: "text/html",
                mark: true,
                member: ODD,
            },
        ),
    ];
    side_by_side(cases.map(|(name, wrapping)| (name.to_owned(), refreshes_by(wrapping)))).await;
}

async fn works_with_tokens_of(length: usize) {
    let mut world = Harness::c2c(
        DAEMON,
        Options {
            token_length: length,
            access_life: Duration::from_secs(400),
            ..quick()
        },
    );
    let (mut daemon, user) = world.paired().await;
    let first = user.token().await.unwrap();
    assert_eq!(first.access.len(), length);
    assert_eq!(Some(first.access), world.live_access());
    // The resource takes it: the header can carry it.
    world
        .seen(|truth| {
            let answered = c2c_testkit::server::Outcome::Answered(200);
            truth.requests(Endpoint::Me).any(|entry| entry.outcome == answered)
        })
        .await;
    refresh(&mut world, &daemon).await;
    recovers(&world, &user).await;
    let second = user.token().await.unwrap();
    assert_eq!(second.access.len(), length);
    world.set(&[("refresh", "at", "75%")]);
    world.restart(&mut daemon).await;
    assert_eq!(user.token().await.unwrap().access, second.access, "from the disk");
    user.unpair().await.unwrap();
    world.seen(|truth| truth.counters().revocations > 0).await;
}

#[tokio::test]
async fn tokens_of_32_kib_are_taken_stored_served_and_sent() {
    let lengths = [8192, 8193, 10_000, 30_000, 32_768];
    side_by_side(lengths.map(|length| (format!("{length} bytes"), works_with_tokens_of(length)))).await;
}

/// Paired, with nothing to serve, and everybody is told so.
async fn is_told(world: &Harness, user: &User) {
    let limit = Instant::now() + LIMIT;
    while error_name(&user.token().await) != SERVER_ERROR {
        assert!(Instant::now() < limit, "{}", user.told().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asked = Instant::now();
    assert_eq!(error_name(&user.token().await), SERVER_ERROR);
    assert!(asked.elapsed() < Duration::from_secs(10), "at once");
    assert!(user.flag("Paired").await && user.flag("AttentionNeeded").await);
    assert_eq!(user.last_error().await, "server-error");
    let kept = pairing_on_disk(world).pair;
    assert_eq!(kept.access, None);
    assert_eq!(
        kept.refresh.as_ref().map(RefreshToken::expose),
        world.live_refresh().as_deref()
    );
}

async fn is_refreshed_without_access(edit: Edit, said: &'static str) {
    let (mut world, mut daemon, user) = paired().await;
    world
        .server
        .faults(Endpoint::Refresh, Times::Next(1), Fault::Edit(edit));
    refresh(&mut world, &daemon).await;
    daemon
        .wait_output(move |line| line.contains(said), LIMIT)
        .await
        .unwrap();
    is_told(&world, &user).await;
    world.restart(&mut daemon).await;
    let user = world.user().await;
    assert!(user.flag("Paired").await && user.flag("AttentionNeeded").await);
    assert_eq!(error_name(&user.token().await), SERVER_ERROR);
    assert_eq!(world.server.truth(|truth| truth.counters().refreshes), 1, "no loop");
    assert_eq!(world.server.truth(|truth| truth.violations().to_vec()), []);
}

#[tokio::test]
async fn a_refresh_without_a_usable_access_token_keeps_the_pairing() {
    let set = |length: usize| Edit::Set("access_token", Value::from("a".repeat(length)));
    let cases = [
        (set(32_769), "a token of 32769 bytes, 32,768 are taken"),
        (set(75_000), "a token of 75000 bytes, 32,768 are taken"),
        (
            Edit::Set("access_token", Value::from("a b")),
            "characters that no token may hold",
        ),
        (Edit::Set("token_type", Value::from("mac")), "token_type is not Bearer"),
        (Edit::Remove("access_token"), "holds none"),
    ];
    side_by_side(cases.map(|(edit, said)| (said.to_owned(), is_refreshed_without_access(edit, said)))).await;
}

#[tokio::test]
async fn a_device_is_paired_without_a_usable_access_token() {
    let world = Harness::c2c(DAEMON, quick());
    let long = Edit::Set("access_token", Value::from("a".repeat(75_000)));
    world.server.faults(Endpoint::Poll, Times::Always, Fault::Edit(long));
    let (daemon, user) = world.paired().await;
    let said = |line: &str| line.contains("a token of 75000 bytes, 32,768 are taken");
    daemon.wait_output(said, LIMIT).await.unwrap();
    is_told(&world, &user).await;
    assert_eq!(world.server.truth(|truth| truth.counters().pairings), 1);
}
