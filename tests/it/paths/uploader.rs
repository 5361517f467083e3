//! The uploader of the crate's example, at the real daemon: it asks as its source lets it, and has
//! no pause of its own.

#[expect(dead_code, reason = "its main is for people")]
#[path = "../../../client/examples/uploader.rs"]
mod example;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use c2c_auth_client::proxy::DeviceProxy;
use c2c_auth_client::token_source::{TokenSource, Why};
use c2c_testkit::contract::Fake;
use c2c_testkit::harness::{Harness, LIMIT, quick};
use c2c_testkit::rig::CLIENT_ID;
use tokio::time::timeout;
use zbus::proxy::CacheProperties;

use crate::DAEMON;

/// Delivers one clip. `ended`: the token that the API ended before its time. Returns the generation
/// that the API took, and how many requests there were.
async fn delivered(world: &Harness, source: &TokenSource, ended: Option<&str>) -> (u64, usize) {
    let (generation, requests) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let send = async |token: c2c_auth_client::token_source::Token| {
        requests.fetch_add(1, Ordering::Relaxed);
        generation.store(usize::try_from(token.generation).unwrap(), Ordering::Relaxed);
        let given = Some(token.access_token());
        if given != ended && given == world.live_access().as_deref() {
            201
        } else {
            401
        }
    };
    let status = timeout(LIMIT, example::deliver(source, send)).await.unwrap().unwrap();
    assert_eq!(status, 201);
    let generation = u64::try_from(generation.into_inner()).unwrap();
    (generation, requests.into_inner())
}

#[tokio::test]
async fn the_example_delivers_after_a_401_an_unpairing_a_new_pairing_and_a_restart() {
    let world = Harness::c2c(DAEMON, quick());
    let mut daemon = world.start().await;
    let user = world.user().await;
    let uploader = world.user().await;
    let source = TokenSource::new(&uploader.connection).await.unwrap();
    // Nobody has paired yet. The source tells that once, then it waits for the signal.
    assert_eq!(source.token(0).await.unwrap_err().why(), Why::NotPaired);
    let ((first, _), ()) = tokio::join!(delivered(&world, &source, None), world.pair(&user));
    // A true 401.
    let started = Instant::now();
    world.server.end_access_token(CLIENT_ID).unwrap();
    let ended = world.live_access();
    let (second, requests) = delivered(&world, &source, ended.as_deref()).await;
    assert!(second > first);
    assert!(
        requests <= 3 || started.elapsed() > Duration::from_secs(10),
        "{requests} requests"
    );
    // The daemon is killed and starts again between two clips. (This bus drops a call without an
    // answer while nobody owns the name, which is a row of its own.)
    world.restart(&mut daemon).await;
    delivered(&world, &source, None).await;
    // Unpaired, and paired again an hour later as far as the source can tell.
    user.unpair().await.unwrap();
    assert_eq!(source.token(0).await.unwrap_err().why(), Why::NotPaired);
    let ((last, _), ()) = tokio::join!(delivered(&world, &source, None), world.pair(&user));
    assert!(last > second);
    assert_eq!(world.server.truth(|truth| truth.violations().to_vec()), []);
}

/// A camera without a version, and a daemon that is away: neither keeps a clip waiting.
#[tokio::test]
async fn the_example_has_a_version_whether_the_daemon_tells_one_or_not() {
    let fake = Fake::start().await;
    let device = DeviceProxy::builder(&fake.client)
        .cache_properties(CacheProperties::No)
        .build()
        .await;
    let device = device.unwrap();
    assert_eq!(example::version(&device).await, "FirmwareVersion");
    fake.leave().await;
    tokio::time::pause();
    assert_eq!(example::version(&device).await, "0.0.0");
}

/// The API says 401 to a token that the server takes: the source holds each request back.
#[tokio::test]
async fn a_liar_that_uses_the_source_sends_three_requests_in_ten_seconds() {
    let world = Harness::c2c(DAEMON, quick());
    let (_daemon, _user) = world.paired().await;
    let uploader = world.user().await;
    let source = TokenSource::new(&uploader.connection).await.unwrap();
    let requests = AtomicUsize::new(0);
    let lies = example::deliver(&source, async |_| {
        requests.fetch_add(1, Ordering::Relaxed);
        401
    });
    assert!(timeout(Duration::from_secs(10), lies).await.is_err(), "it was believed");
    let requests = requests.into_inner();
    assert!((1..=3).contains(&requests), "{requests} requests");
}
