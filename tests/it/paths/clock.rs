//! A wrong clock and a right one, at power cycles. The machine's clock stays as it is: what differs
//! is what the record on disk and the server's `Date` say of it.

use std::time::{Duration, Instant, SystemTime};

use c2c_auth_core::{Body, BootId, Loaded, Record, Slots, Stamp, Store as Write, WallTime};
use c2c_authd::for_tests::{Directories, Identity, StateKey, Store};
use c2c_testkit::harness::{Harness, LIMIT, quick, side_by_side};
use c2c_testkit::rig::CLIENT_ID;
use c2c_testkit::server::{Endpoint, Tls, Truth};
use c2c_testkit::user::error_name;

use crate::DAEMON;

const HOUR: i64 = 3600;

const MODES: [&str; 2] = ["eager", "on-demand"];

/// A device that is paired and switched off. The token is so old by the server's clock, of which
/// the board's is so far ahead.
async fn switched_off(mode: &str, age: i64, ahead: i64) -> Harness {
    let mut world = Harness::c2c(DAEMON, quick());
    world.set(&[("refresh", "policy", mode)]);
    let (mut daemon, _user) = world.paired().await;
    world
        .seen(|truth| truth.requests(Endpoint::Me).any(|entry| entry.verdict == "ok"))
        .await;
    daemon.kill().unwrap();

    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let obtained = WallTime::from_secs(now.checked_add_signed(-ahead - age).unwrap());
    world.server.advance(Duration::from_secs(age.unsigned_abs()));
    world.server.set_date_skew(-ahead - age);
    let dirs = Directories {
        state: world.rig.state_directory(),
        runtime: Some(world.rig.runtime_directory()),
    };
    let identity = Identity::new("frameio-c2c", &world.server.base_uri(), CLIENT_ID);
    let key = StateKey::from_bytes(world.rig.state_key());
    let (mut store, stored) = Store::open(dirs, Some(key), identity, BootId([0; 16])).unwrap();
    let Loaded::Current(Record {
        generation,
        grant,
        body: Body::Paired(mut pairing),
        ..
    }) = stored.record
    else {
        panic!("no pairing on disk: {:?}", stored.record);
    };
    pairing.pair.obtained = Stamp {
        boot: BootId([9; 16]),
        wall: Some(obtained),
        ..pairing.pair.obtained
    };
    let record = Box::new(Record {
        generation,
        grant,
        floor: Some(obtained),
        body: Body::Paired(pairing),
    });
    let slots = Slots::Both;
    store.write(&Write::Record { record, slots }).unwrap();
    world
}

fn refreshes(truth: &Truth) -> usize {
    truth.requests(Endpoint::Refresh).count()
}

/// Requests to the resource after the pairing's own.
fn probes(truth: &Truth) -> usize {
    truth.requests(Endpoint::Me).count() - 1
}

async fn power_cycles_cost_nothing(mode: &'static str, ahead: i64) {
    let world = switched_off(mode, HOUR, ahead).await;
    let living = world.live_access().unwrap();
    for cycle in 1..=3 {
        let mut daemon = world.start().await;
        let user = world.user().await;
        for _ in 0..2 {
            let token = user.token().await.unwrap();
            assert_eq!(token.access, living, "{mode}, {ahead}: {:#?}", daemon.output());
            // By then all that the start asked for is answered.
            world.seen(move |truth| probes(truth) >= cycle).await;
        }
        daemon.kill().unwrap();
        assert_eq!(
            world.server.truth(refreshes),
            0,
            "{mode}, {ahead}: {:#?}",
            daemon.output()
        );
    }
}

#[tokio::test]
async fn power_cycles_cost_no_refresh_whatever_the_clock_says() {
    // Local time, another one, one that stood still, and none at all: the floor of the record says
    // that it cannot be right.
    let clocks = [12 * HOUR, 9 * HOUR, -9 * HOUR, -20 * 24 * HOUR];
    for mode in MODES {
        let cases = clocks.map(|ahead| (format!("{mode}, {ahead}"), power_cycles_cost_nothing(mode, ahead)));
        side_by_side(cases).await;
    }
}

async fn a_late_network_costs_nothing(mode: &'static str) {
    let world = switched_off(mode, HOUR, -20 * 24 * HOUR).await;
    // A portal that wants a login. The port stays ours, which a refused connection would not let
    // it.
    world.server.set_tls(Tls::WrongCa);
    let _daemon = world.start().await;
    let user = world.user().await;
    let answer = user.token().await;
    assert_eq!(error_name(&answer), "org.cameratocloud.Auth1.Error.Offline", "{mode}");
    world.server.set_tls(Tls::Good);
    let limit = Instant::now() + LIMIT;
    let token = loop {
        match user.token().await {
            Ok(token) => break token,
            Err(error) => assert!(Instant::now() < limit, "{error}"),
        }
    };
    assert_eq!(Some(token.access), world.live_access());
    assert_eq!(world.server.truth(refreshes), 0, "{mode}");
}

#[tokio::test]
async fn a_network_that_comes_later_than_the_board_costs_no_refresh() {
    side_by_side(MODES.map(|mode| (mode.to_owned(), a_late_network_costs_nothing(mode)))).await;
}

#[tokio::test]
async fn off_overnight_costs_one_refresh_and_no_probe_before_it() {
    for mode in MODES {
        let world = switched_off(mode, 10 * HOUR, 0).await;
        let daemon = world.start().await;
        let user = world.user().await;
        let token = user.token().await.unwrap();
        assert_eq!(
            Some(token.access),
            world.live_access(),
            "{mode}: {:#?}",
            daemon.output()
        );
        world.seen(|truth| probes(truth) > 0).await;
        world.server.truth(|truth| {
            let of_interest = |endpoint| matches!(endpoint, Endpoint::Refresh | Endpoint::Me);
            let mut log = truth.log().iter().filter(|entry| of_interest(entry.endpoint));
            // The first is the pairing's own.
            assert_eq!(
                log.nth(1).map(|entry| entry.endpoint),
                Some(Endpoint::Refresh),
                "{mode}"
            );
            assert_eq!(refreshes(truth), 1, "{mode}");
        });
    }
}
