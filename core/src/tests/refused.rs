//! A server that itself keeps refusing: when a person is asked to act, and what is never given up.

use super::*;

/// Refuses each refresh by this answer for so many minutes after the end of the access token.
fn refused_for(fixture: &mut Fixture, minutes: u64, answer: &RefreshAnswer) {
    for _ in 0..minutes * 60 {
        fixture.advance(secs(1));
        if fixture.out(is_prepare) {
            fixture.prepare(PrepareAnswer::Ready);
        }
        if fixture.out(is_refresh) {
            fixture.refresh(answer.clone());
        }
    }
}

fn ended() -> Fixture {
    let mut fixture = Fixture::paired();
    let life = fixture.core.snapshot().lifetimes;
    assert!(life.token_expires.is_some());
    refused_for(&mut fixture, 8 * 60, &RefreshAnswer::Failed(fault(FaultKind::Offline)));
    fixture
}

#[test]
fn a_server_that_refuses_for_an_hour_asks_for_a_person_and_is_tried_on() {
    let mut fixture = ended();
    let refused = RefreshAnswer::Refused(fault(FaultKind::Refused));
    refused_for(&mut fixture, 50, &refused);
    assert!(!fixture.core.snapshot().attention, "{:?}", fixture.core.snapshot());
    refused_for(&mut fixture, 20, &refused);
    let seen = fixture.core.snapshot();
    assert_eq!(
        (seen.reason, seen.attention, seen.paired),
        (Reason::RefreshRefused, true, true)
    );
    // The first good refresh ends it.
    for _ in 0..2 * 3600 {
        fixture.advance(secs(1));
        if fixture.out(is_prepare) {
            fixture.refresh_to(2);
            break;
        }
    }
    let seen = fixture.core.snapshot();
    assert_eq!((seen.reason, seen.attention), (Reason::None, false));
}

#[test]
fn a_server_in_trouble_never_asks_for_a_person() {
    for kind in [FaultKind::Refused, FaultKind::RateLimited, FaultKind::Garbled] {
        let mut fixture = ended();
        refused_for(&mut fixture, 180, &RefreshAnswer::Failed(fault(kind)));
        let seen = fixture.core.snapshot();
        assert!(
            !seen.attention && seen.reason != Reason::RefreshRefused,
            "{kind:?} {seen:?}"
        );
    }
}

/// Three refusals within some minutes, and trouble of another kind from then on.
#[test]
fn refusals_of_a_moment_are_none_of_an_hour() {
    for kind in [FaultKind::Offline, FaultKind::Refused] {
        let mut fixture = ended();
        refused_for(&mut fixture, 10, &RefreshAnswer::Refused(fault(FaultKind::Refused)));
        refused_for(&mut fixture, 120, &RefreshAnswer::Failed(fault(kind)));
        let seen = fixture.core.snapshot();
        assert!(
            !seen.attention && seen.reason != Reason::RefreshRefused,
            "{kind:?} {seen:?}"
        );
    }
}

/// Two of them, however far apart: between them nobody heard the server.
#[test]
fn two_refusals_are_too_few() {
    let mut fixture = ended();
    let refused = RefreshAnswer::Refused(fault(FaultKind::Refused));
    for _ in 0..2 {
        let answered = (0..3600).any(|_| {
            fixture.advance(secs(1));
            if fixture.out(is_prepare) {
                fixture.prepare(PrepareAnswer::Ready);
            }
            let sent = fixture.out(is_refresh);
            if sent {
                fixture.refresh(refused.clone());
            }
            sent
        });
        let seen = fixture.core.snapshot();
        assert!(answered && !seen.attention, "{seen:?}");
        refused_for(&mut fixture, 61, &RefreshAnswer::Failed(fault(FaultKind::Offline)));
    }
}

#[test]
fn what_only_a_person_can_mend_is_tried_about_hourly() {
    let mut fixture = ended();
    let refused = RefreshAnswer::Refused(fault(FaultKind::Refused));
    refused_for(&mut fixture, 70, &refused);
    assert_eq!(fixture.core.snapshot().reason, Reason::RefreshRefused);
    let mut tries = 0;
    for _ in 0..24 * 3600 {
        fixture.advance(secs(1));
        if fixture.out(is_prepare) {
            fixture.prepare(PrepareAnswer::Ready);
        }
        if fixture.out(is_refresh) {
            tries += 1;
            fixture.refresh(refused.clone());
        }
    }
    assert!((20..=40).contains(&tries), "{tries} in a day");
}

#[test]
fn after_an_hour_of_refusals_an_outage_is_named_and_tried_as_an_outage() {
    let mut fixture = ended();
    refused_for(&mut fixture, 70, &RefreshAnswer::Refused(fault(FaultKind::Refused)));
    let tries = |fixture: &mut Fixture| {
        let mut tries = 0;
        for _ in 0..3 * 3600 {
            fixture.advance(secs(1));
            if fixture.out(is_prepare) {
                tries += 1;
                fixture.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
            }
        }
        tries
    };
    assert!(tries(&mut fixture) >= 60, "at most 2 min apart once it is one");
    assert_eq!(fixture.core.snapshot().reason, Reason::Offline);
}
