//! The end that the user chose when pairing, and what else the server says of the device.

use super::*;

const DAY: u64 = 24 * 3600;

/// By the server's clock, which the device's agrees with.
fn wall(fixture: &Fixture) -> u64 {
    EPOCH + fixture.wall_at_boot + fixture.now.as_millis() / 1000
}

fn status(authorization: AuthorizationEnd, paused: bool) -> DeviceStatus {
    DeviceStatus {
        authorization,
        paused: Some(paused),
        ..DeviceStatus::default()
    }
}

/// The server answers the probe or heartbeat that is out, with its `Date`.
fn told(fixture: &mut Fixture, status: DeviceStatus) {
    let date = WallTime::from_secs(wall(fixture));
    fixture.answer_dated(is_probe, Some(date), Answer::Probe(ProbeAnswer::Accepted(Some(status))));
}

fn until(secs: u64) -> AuthorizationEnd {
    AuthorizationEnd::At(WallTime::from_secs(secs))
}

fn with_heartbeats() -> Policy {
    Policy {
        heartbeat: Some(secs(120)),
        ..policy()
    }
}

/// Paired a moment ago, and the server says this of it.
fn paired_by(policy: Policy, authorization: impl FnOnce(u64) -> AuthorizationEnd) -> Fixture {
    let none = Stored {
        record: Loaded::Missing,
        kept: Kept::Twice,
        revocations: vec![],
        flow: None,
        writable: true,
    };
    let mut fixture = Fixture::with(policy, Provisioning::Ready, none);
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::Granted(grant(1)));
    let authorization = authorization(wall(&fixture));
    told(&mut fixture, status(authorization, false));
    fixture
}

fn paired_until(from_now: u64) -> Fixture {
    paired_by(policy(), |now| until(now + from_now))
}

fn shown(fixture: &Fixture) -> Option<u64> {
    let lifetimes = fixture.core.snapshot().lifetimes;
    lifetimes.authorization_expires.map(WallTime::as_secs)
}

fn warnings(fixture: &Fixture) -> Vec<u64> {
    let ending = |event: &LogEvent| match event {
        LogEvent::AuthorizationEnding { remaining } => Some(remaining.as_secs()),
        _ => None,
    };
    fixture.events.iter().filter_map(ending).collect()
}

/// Lets time pass. The network is there.
fn pass(fixture: &mut Fixture, mut time: u64) {
    let mut pair = 10_000;
    while time > 0 {
        let step = time.min(3600);
        fixture.advance(secs(step));
        time -= step;
        if fixture.out(is_prepare) {
            pair += 1;
            fixture.prepare(PrepareAnswer::Ready);
            fixture.refresh(RefreshAnswer::Granted(grant(pair)));
        }
        if fixture.out(is_probe) {
            fixture.alive();
        }
    }
}

/// A client is refused, and so is the refresh.
fn ended(fixture: &mut Fixture) -> Reason {
    let call = fixture.get_token(None);
    fixture.token(call);
    let generation = fixture.core.snapshot().generation.0;
    fixture.reject(UPLOADER, generation);
    fixture.probed(ProbeAnswer::Rejected);
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::InvalidGrant);
    fixture.core.snapshot().reason
}

#[test]
fn a_near_end_is_shown_kept_and_warned_of_once_and_explains_the_verdict() {
    let mut fixture = paired_until(2 * 3600);
    let end = wall(&fixture) + 2 * 3600;
    assert_eq!(shown(&fixture), Some(end));
    assert!(fixture.core.snapshot().attention);
    assert_eq!(fixture.on_disk().authorization_expires, Some(WallTime::from_secs(end)));
    pass(&mut fixture, 2 * 3600);
    assert_eq!(warnings(&fixture), [2 * 3600]);
    assert!(fixture.core.snapshot().paired, "no clock ends a pairing");
    assert_eq!(ended(&mut fixture), Reason::AuthorizationExpired);
    assert!(fixture.core.snapshot().attention);
}

#[test]
fn a_far_end_is_warned_of_as_an_ageing_refresh_token_is() {
    let mut fixture = paired_until(10 * DAY);
    assert!(!fixture.core.snapshot().attention);
    pass(&mut fixture, 6 * DAY - 3600);
    assert!(!fixture.core.snapshot().attention && warnings(&fixture).is_empty());
    pass(&mut fixture, 3600);
    assert!(fixture.core.snapshot().attention);
    pass(&mut fixture, 4 * DAY);
    let days: Vec<_> = warnings(&fixture).iter().map(|left| (left + 60) / DAY).collect();
    assert_eq!(days, [4, 2, 1]);
    assert!(fixture.core.snapshot().attention, "until a person acted");
}

#[test]
fn a_verdict_long_before_the_end_is_a_withdrawal() {
    let mut fixture = paired_until(3600);
    pass(&mut fixture, 3000);
    assert_eq!(ended(&mut fixture), Reason::Revoked);
    let mut fixture = paired_until(3600);
    pass(&mut fixture, 3400);
    assert_eq!(ended(&mut fixture), Reason::AuthorizationExpired, "clocks differ");
}

#[test]
fn after_a_start_without_a_clock_the_date_of_the_verdict_tells() {
    for (after_the_end, dated, reason) in [
        (1, true, Reason::AuthorizationExpired),
        (3 * DAY, true, Reason::AuthorizationExpired),
        (1, false, Reason::Revoked),
    ] {
        let fixture = paired_until(2 * DAY);
        let date = WallTime::from_secs(wall(&fixture) + 2 * DAY + after_the_end);
        let mut rebooted = Fixture::power_on(policy(), fixture.stored(), 2, None);
        assert_eq!(shown(&rebooted), None, "no clock to hold it against");
        rebooted.probed(ProbeAnswer::Rejected);
        rebooted.prepare(PrepareAnswer::Ready);
        let answer = Answer::Refresh(RefreshAnswer::InvalidGrant);
        rebooted.answer_dated(is_refresh, dated.then_some(date), answer);
        assert_eq!(rebooted.state(), (PairingState::Unpaired, reason), "{after_the_end}");
    }
    let fixture = paired_until(2 * DAY);
    let rebooted = Fixture::power_on(policy(), fixture.stored(), 2, Some(2000));
    assert!(rebooted.core.snapshot().attention && shown(&rebooted).is_some());
    assert_eq!(warnings(&rebooted).len(), 1);
}

#[test]
fn an_end_that_is_moved_or_removed_is_followed_and_written_down() {
    let mut fixture = paired_by(with_heartbeats(), |now| until(now + 3600));
    let ask = |fixture: &mut Fixture, authorization| {
        while !fixture.out(is_probe) {
            fixture.advance(secs(120));
            if fixture.out(is_heartbeat) {
                fixture.answer(is_heartbeat, Answer::Probe(ProbeAnswer::Accepted(None)));
            }
        }
        told(fixture, status(authorization, false));
    };
    let later = wall(&fixture) + 30 * DAY;
    ask(&mut fixture, until(later));
    assert_eq!(shown(&fixture), Some(later));
    assert!(!fixture.core.snapshot().attention);
    assert_eq!(
        fixture.on_disk().authorization_expires,
        Some(WallTime::from_secs(later))
    );
    let written = fixture.stores;
    ask(&mut fixture, until(later));
    ask(&mut fixture, AuthorizationEnd::Untold);
    assert_eq!((shown(&fixture), fixture.stores), (Some(later), written));
    let soon = wall(&fixture) + DAY;
    ask(&mut fixture, until(soon));
    assert!(fixture.core.snapshot().attention);
    assert_eq!(warnings(&fixture).len(), 2, "of each end once");
    ask(&mut fixture, AuthorizationEnd::Never);
    assert_eq!((shown(&fixture), fixture.core.snapshot().attention), (None, false));
    assert_eq!(fixture.on_disk().authorization_expires, None);
}

#[test]
fn an_end_that_cannot_be_read_or_has_passed_at_pairing_changes_nothing() {
    for authorization in [
        |_: u64| AuthorizationEnd::Untold,
        |now| until(now),
        |now| until(now - 365 * DAY),
        |_| until(0),
    ] {
        let mut fixture = paired_by(policy(), authorization);
        assert_eq!((shown(&fixture), fixture.core.snapshot().attention), (None, false));
        assert_eq!(fixture.on_disk().authorization_expires, None);
        pass(&mut fixture, 600);
        assert_eq!(ended(&mut fixture), Reason::Revoked);
    }
}

#[test]
fn no_step_of_the_clock_moves_an_end_that_an_answer_dated() {
    let mut fixture = paired_until(10 * DAY);
    fixture.wall_at_boot += 20 * DAY;
    fixture.event(Event::ClockStepped);
    assert!(!fixture.core.snapshot().attention);
    fixture.wall = false;
    fixture.event(Event::ClockStepped);
    assert!(!fixture.core.snapshot().attention);
    assert_eq!(fixture.core.snapshot().lifetimes, Lifetimes::default());

    // In another boot the clock alone tells, until it is stepped.
    let stored = paired_until(10 * DAY).stored();
    let mut rebooted = Fixture::power_on(policy(), stored, 2, Some(9 * DAY));
    assert!(rebooted.core.snapshot().attention);
    rebooted.wall_at_boot -= 8 * DAY;
    rebooted.event(Event::ClockStepped);
    assert!(!rebooted.core.snapshot().attention);
}

#[test]
fn a_new_approval_has_no_end_of_the_one_before() {
    let mut fixture = paired_until(3600);
    let first = fixture.core.snapshot().lifetimes.paired_since;
    fixture.advance(secs(60));
    fixture.start_pairing(true);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::Granted(grant(2)));
    assert_eq!((shown(&fixture), fixture.core.snapshot().attention), (None, false));
    assert!(fixture.core.snapshot().lifetimes.paired_since > first);
}

#[test]
fn of_ten_heartbeats_two_ask_and_one_that_is_not_answered_is_repeated() {
    let mut fixture = paired_by(with_heartbeats(), |_| AuthorizationEnd::Never);
    let beat = |fixture: &mut Fixture, usable: bool| {
        fixture.advance(secs(120));
        let asks = fixture.out(is_probe);
        if asks && usable {
            told(fixture, status(AuthorizationEnd::Never, true));
        } else if asks {
            fixture.probed(ProbeAnswer::Failed(fault(FaultKind::Garbled)));
        } else {
            fixture.answer(is_heartbeat, Answer::Probe(ProbeAnswer::Accepted(None)));
        }
        asks
    };
    let asked: Vec<_> = (0..10).map(|_| beat(&mut fixture, true)).collect();
    let fifth = [false, false, false, false, true];
    assert_eq!(asked, [fifth, fifth].concat());
    let contact = fixture.core.snapshot().contact;
    assert_eq!(
        (contact.paused, contact.at),
        (true, Some(WallTime::from_secs(wall(&fixture))))
    );
    fixture.advance(secs(60));
    assert!(fixture.core.snapshot().contact.at < Some(WallTime::from_secs(wall(&fixture))));
    fixture.advance(secs(0));
    for asks in [false, false, false, false, true, true, true] {
        assert_eq!(beat(&mut fixture, false), asks);
    }
}

#[test]
fn rare_heartbeats_ask_as_often_as_ten_minutes_have_room_for() {
    let policy = Policy {
        heartbeat: Some(secs(300)),
        ..policy()
    };
    let mut fixture = paired_by(policy, |_| AuthorizationEnd::Never);
    fixture.advance(secs(300));
    fixture.answer(is_heartbeat, Answer::Probe(ProbeAnswer::Accepted(None)));
    fixture.advance(secs(300));
    assert!(fixture.out(is_probe));
}

#[test]
fn what_lasts_until_when_follows_from_the_tokens() {
    let mut fixture = paired_by(policy(), |_| AuthorizationEnd::Never);
    let lifetimes = fixture.core.snapshot().lifetimes;
    let since = lifetimes.paired_since.unwrap();
    assert_eq!(lifetimes.token_expires, Some(since.after(secs(28_800))));
    assert_eq!(lifetimes.refresh_by, Some(since.after(secs(14 * DAY))));
    pass(&mut fixture, 7 * 3600);
    let refreshed = fixture.core.snapshot().lifetimes;
    assert_eq!(refreshed.paired_since, Some(since));
    assert!(refreshed.token_expires > lifetimes.token_expires && refreshed.refresh_by > lifetimes.refresh_by);
    let rebooted = Fixture::power_on(policy(), fixture.stored(), 2, Some(8 * 3600));
    assert_eq!(rebooted.core.snapshot().lifetimes, refreshed);
    fixture.call(Command::Unpair);
    assert_eq!(fixture.core.snapshot().lifetimes, Lifetimes::default());
    assert_eq!(fixture.core.snapshot().contact, Contact::default());
}
