//! The distances that the documents name, to the millisecond where nothing is drawn; and that what
//! is drawn is spread.

use std::ops::RangeInclusive;

use super::refreshing::sent;
use super::*;

/// Lets time pass until such a request is out. How long that took.
fn wait_for(fixture: &mut Fixture, wanted: fn(&Request) -> bool) -> Duration {
    let from = fixture.now;
    for _ in 0..10_000 {
        if fixture.out(wanted) {
            return fixture.now.since(from);
        }
        fixture.now = fixture.core.next_deadline().unwrap().max(fixture.now);
        fixture.event(Event::Tick);
    }
    panic!("it never comes");
}

/// In a window that is open for hours.
fn early() -> Fixture {
    let mut fixture = Fixture::paired_with(Policy {
        refresh_at_percent: 30,
        ..policy()
    });
    wait_for(&mut fixture, is_prepare);
    fixture
}

/// The waits for the next connection while each one fails in this way.
fn waits(fixture: &mut Fixture, kind: FaultKind, times: u64) -> Vec<Duration> {
    (0..times)
        .map(|n| {
            fixture.entropy = n * 7919;
            fixture.prepare(PrepareAnswer::Failed(fault(kind)));
            wait_for(fixture, is_prepare)
        })
        .collect()
}

#[test]
fn a_background_failure_is_retried_within_a_quarter_of_an_hour_and_nobody_is_bothered() {
    for kind in [FaultKind::Offline, FaultKind::Refused] {
        let mut fixture = early();
        let published = fixture.published.len();
        let waits = waits(&mut fixture, kind, 25);
        assert!(
            waits.iter().all(|wait| (secs(5)..=secs(900)).contains(wait)),
            "{waits:?}"
        );
        assert!(waits.iter().any(|wait| *wait > secs(800)), "{kind:?}: {waits:?}");
        let call = fixture.get_token(None);
        assert_eq!(fixture.token(call), "a1");
        let mut shown = fixture.published[published..].iter();
        assert!(shown.all(|snapshot| (snapshot.pairing, snapshot.reason) == (PairingState::Paired, Reason::None)));
        assert!(!fixture.core.snapshot().attention);
        fixture.refresh_to(2);
    }
}

#[test]
fn once_the_token_is_over_it_is_retried_within_two_minutes_by_itself() {
    let waits = waits(&mut Fixture::overslept(), FaultKind::Refused, 60);
    assert!(waits.iter().all(|wait| *wait <= secs(120)), "{waits:?}");
    let long = waits.iter().filter(|wait| **wait > secs(110)).count();
    assert!(long > 40, "and hardly sooner after many refusals: {waits:?}");
}

#[test]
fn short_of_a_token_two_minutes_pass_after_a_refusal_and_twenty_seconds_where_nobody_was_reached() {
    for (kind, expected) in [
        (FaultKind::Refused, vec![5, 10, 20, 40, 80, 120, 120]),
        (FaultKind::RateLimited, vec![5, 10, 20, 40, 80, 120, 120]),
        (FaultKind::Offline, vec![5, 10, 20, 20, 20]),
        (FaultKind::Lost, vec![5, 10, 20, 20, 20]),
    ] {
        for entropy in 0..20 {
            let mut fixture = Fixture::overslept();
            fixture.entropy = entropy * 7919;
            for wait in &expected {
                fixture.prepare(PrepareAnswer::Failed(fault(kind)));
                // Somebody asks all the time.
                fixture.advance(Duration::from_millis(wait * 1000 - 1));
                fixture.get_token(None);
                assert!(!fixture.out(is_prepare) || *wait == 120, "{kind:?}: before {wait} s");
                fixture.advance(Duration::from_millis(1));
                assert!(fixture.out(is_prepare), "{kind:?}: at {wait} s");
            }
        }
    }
}

/// How many of 200 waits are in each minute.
fn by_minute(waits: &[Duration]) -> Vec<usize> {
    let mut minutes = vec![0; 31];
    for wait in waits {
        minutes[usize::try_from(wait.as_secs() / 60).unwrap()] += 1;
    }
    minutes
}

#[test]
fn a_network_that_returns_spreads_revocations_over_half_an_hour() {
    let greatest = entropy_for(secs(99)..=secs(100));
    let waits: Vec<_> = (0..200)
        .map(|device| {
            let mut fixture = Fixture::paired();
            fixture.call(Command::Unpair);
            fixture.entropy = greatest;
            for _ in 0..7 {
                wait_for(&mut fixture, is_revoke);
                let failed = RevokeAnswer::Failed(fault(FaultKind::Offline));
                fixture.answer(is_revoke, Answer::Revoke(failed));
            }
            fixture.entropy = device * 7919;
            fixture.event(Event::NetworkUp);
            wait_for(&mut fixture, is_revoke)
        })
        .collect();
    let minutes = by_minute(&waits);
    assert!(
        minutes[..3].iter().sum::<usize>() > 0 && minutes[27..].iter().sum::<usize>() > 0,
        "{minutes:?}"
    );
    assert!(minutes.iter().all(|count| *count <= 3 * 200 / 30), "{minutes:?}");
}

#[test]
fn a_network_that_returns_spreads_the_load_unless_somebody_waits() {
    // The next try is a quarter of an hour away: half of those that draw from half an hour draw
    // less.
    let greatest = entropy_for(secs(99)..=secs(100));
    let failing = || {
        let mut fixture = early();
        fixture.entropy = greatest;
        for _ in 0..5 {
            wait_for(&mut fixture, is_prepare);
            fixture.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
        }
        fixture
    };
    let waits: Vec<_> = (0..200)
        .map(|device| {
            let mut fixture = failing();
            fixture.entropy = device * 7919;
            fixture.event(Event::NetworkUp);
            wait_for(&mut fixture, is_prepare)
        })
        .collect();
    let minutes = by_minute(&waits);
    assert!(minutes[..3].iter().sum::<usize>() > 0, "{minutes:?}");
    assert!(minutes[..14].iter().all(|count| *count <= 3 * 200 / 30), "{minutes:?}");
    let before = minutes[..14].iter().sum::<usize>();
    assert!((65..=125).contains(&before), "{before} of 200 in 14 of 30 minutes");
    // A caller that waits is served at once, and no earlier than 5 s after the failure.
    for since in 0..5 {
        let mut fixture = Fixture::overslept();
        fixture.entropy = 4;
        for _ in 0..4 {
            fixture.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
            wait_for(&mut fixture, is_prepare);
        }
        fixture.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
        fixture.advance(secs(since));
        fixture.event(Event::NetworkUp);
        fixture.get_token(None);
        assert_eq!(wait_for(&mut fixture, is_prepare), secs(5 - since));
    }
}

#[test]
fn a_network_that_returns_sends_nothing_again_before_forty_seconds_have_passed() {
    for since in [0, 20, 39] {
        let mut fixture = sent();
        let posted = fixture.now;
        fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
        fixture.probed(ProbeAnswer::Rejected);
        fixture.advance(secs(since));
        fixture.event(Event::NetworkUp);
        fixture.get_token(None);
        wait_for(&mut fixture, is_prepare);
        assert_eq!(
            fixture.now.since(posted),
            secs(40),
            "the network was back after {since} s"
        );
    }
}

#[test]
fn resends_double_their_distance_up_to_an_hour() {
    let mut fixture = sent();
    let mut posted = fixture.now;
    let mut distances = vec![];
    for _ in 0..9 {
        // The least that a failure draws: the doubling alone decides.
        fixture.entropy = entropy_for(Duration::ZERO..=secs(2));
        fixture.advance(secs(5));
        fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Garbled)));
        while !fixture.out(is_prepare) {
            if fixture.out(is_probe) {
                fixture.unresolved();
            }
            let deadline = fixture.core.next_deadline().unwrap();
            fixture.now = fixture.now.max(deadline);
            fixture.event(Event::Tick);
        }
        distances.push(fixture.now.since(posted).as_secs());
        // The disk is slow, and the distance counts from the POST.
        fixture.hold_stores = true;
        fixture.prepare(PrepareAnswer::Ready);
        fixture.advance(secs(3));
        fixture.hold_stores = false;
        fixture.finish_store();
        fixture.event(Event::Tick);
        assert!(fixture.out(is_refresh));
        posted = fixture.now;
    }
    assert_eq!(distances, [40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]);
}

/// Entropy with which the first draws of an event, of up to 100 s each, are in this range.
fn entropy_for(range: RangeInclusive<Duration>) -> u64 {
    let drawn = |entropy: u64| {
        let now = Now {
            boot: BootTime::default(),
            wall: None,
            floor: WallTime::from_secs(0),
            entropy,
        };
        let mut out = Vec::new();
        let mut cx = Context::new(now, &mut out);
        (0..2).all(|_| range.contains(&cx.draw(Duration::ZERO, secs(100))))
    };
    (0..100_000).find(|entropy| drawn(*entropy)).unwrap()
}

#[test]
fn probes_and_revocations_that_nobody_waits_for_reach_their_longest_distances() {
    let greatest = entropy_for(secs(99)..=secs(100));
    let mut fixture = Fixture::paired().reboot(false);
    fixture.entropy = greatest;
    let mut probes = vec![];
    for _ in 0..7 {
        fixture.probed(ProbeAnswer::Failed(fault(FaultKind::Offline)));
        probes.push(wait_for(&mut fixture, is_probe));
    }
    assert!((secs(850)..=secs(900)).contains(&probes[6]), "{probes:?}");
    let mut fixture = Fixture::paired();
    fixture.entropy = greatest;
    fixture.call(Command::Unpair);
    let mut revocations = vec![];
    for _ in 0..9 {
        let failed = RevokeAnswer::Failed(fault(FaultKind::Offline));
        fixture.answer(is_revoke, Answer::Revoke(failed));
        revocations.push(wait_for(&mut fixture, is_revoke));
    }
    assert!((secs(3500)..=secs(3600)).contains(&revocations[8]), "{revocations:?}");
}

#[test]
fn a_refused_client_is_sent_again_by_itself_after_an_hour() {
    for device in 0..50 {
        let mut fixture = sent();
        fixture.entropy = device * 7919;
        fixture.refresh(RefreshAnswer::ClientRejected(OAuthErrorCode::Client));
        let wait = wait_for(&mut fixture, is_prepare);
        assert!((secs(3240)..=secs(3960)).contains(&wait), "{wait:?}");
    }
}

#[test]
fn a_code_that_somebody_waits_for_is_asked_for_again_within_twenty_seconds() {
    for kind in [FaultKind::Offline, FaultKind::Refused] {
        let mut fixture = Fixture::unpaired();
        fixture.start_pairing(false);
        let waits: Vec<_> = (0..25_u64)
            .map(|n| {
                fixture.entropy = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                fixture.answer(is_code, Answer::Code(CodeAnswer::Failed(fault(kind))));
                wait_for(&mut fixture, is_code)
            })
            .collect();
        assert!(
            waits.iter().all(|wait| (secs(5)..=secs(20)).contains(wait)),
            "{waits:?}"
        );
        assert!(waits.iter().any(|wait| *wait > secs(15)), "{kind:?}: {waits:?}");
    }
}
