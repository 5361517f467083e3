//! An access token that outlives its pairing: confirmed like the pairing's own, and with an end.

use super::refreshing::sent;
use super::*;

/// The server ended the pairing in a boot without a clock, before any resource took the token.
fn ended() -> Fixture {
    let mut fixture = sent().reboot(false);
    while !fixture.out(is_prepare) {
        if fixture.out(is_probe) {
            fixture.probed(ProbeAnswer::Failed(fault(FaultKind::Offline)));
        }
        fixture.advance(secs(1));
    }
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::InvalidGrant);
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::RefreshAnswerLost));
    let call = fixture.get_token(None);
    assert!(fixture.reply(call).is_none(), "it may have died with its pairing");
    fixture
}

/// The answer to a caller: the seconds that the token is said to live for.
fn served(fixture: &mut Fixture) -> Option<u64> {
    let call = fixture.get_token(None);
    match fixture.reply(call) {
        Some(Ok(Reply::Token { access, expires_in, .. })) => {
            assert_eq!(access.expose(), "a1");
            assert!(*expires_in > Duration::ZERO, "never with nothing left");
            Some(expires_in.as_secs())
        }
        Some(Err(CallError::NotPaired)) => None,
        other => panic!("{other:?}"),
    }
}

fn assert_over(fixture: &mut Fixture) {
    assert_eq!(served(fixture), None);
    let snapshot = fixture.core.snapshot();
    assert_eq!(
        (snapshot.token, snapshot.generation),
        (TokenState::None, Generation::NONE)
    );
}

#[test]
fn a_residual_token_of_unknown_age_is_served_for_a_minute_at_a_time_and_ends_after_ten() {
    let mut fixture = ended();
    fixture.alive();
    for _ in 0..59 {
        assert_eq!(served(&mut fixture), Some(60));
        assert_eq!(fixture.core.snapshot().token, TokenState::Valid);
        assert_eq!(fixture.core.snapshot().generation, Generation(1));
        fixture.advance(secs(10));
    }
    fixture.advance(secs(11));
    assert_over(&mut fixture);
    fixture.advance(secs(30 * 3600));
    assert_over(&mut fixture);
    assert!(fixture.requests.is_empty());
}

#[test]
fn the_date_of_the_2xx_tells_the_rest_of_a_residual_token() {
    let mut fixture = ended();
    let born = fixture_born();
    let date = Some(WallTime::from_secs(born + 28_000));
    fixture.answer_dated(is_probe, date, Answer::Probe(ProbeAnswer::Accepted(None)));
    let left = served(&mut fixture).unwrap();
    assert!((795..=800).contains(&left), "{left}");
    fixture.advance(secs(left).saturating_sub(Duration::from_millis(1)));
    assert_eq!(served(&mut fixture), Some(1), "the least that whole seconds can say");
    fixture.advance(secs(2));
    assert_over(&mut fixture);
}

/// When the token of [`ended`] was obtained, by the wall clock.
fn fixture_born() -> u64 {
    sent().on_disk().pair.obtained.wall.unwrap().as_secs()
}

#[test]
fn a_residual_token_that_is_rejected_is_asked_about_and_dropped() {
    let mut fixture = ended();
    fixture.alive();
    assert!(served(&mut fixture).is_some());
    fixture.advance(secs(2));
    let call = fixture.reject(UPLOADER, 1);
    fixture.probed(ProbeAnswer::Rejected);
    assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
    assert_over(&mut fixture);
}

#[test]
fn a_residual_token_whose_clock_is_believed_no_more_is_asked_about_again() {
    let mut fixture = Fixture::paired();
    let mut stored = fixture.stored();
    if let Loaded::Current(record) = &mut stored.record
        && let Body::Paired(pairing) = &mut record.body
    {
        // An hour old by the wall clock of the next boot.
        pairing.pair.obtained.wall = Some(WallTime::from_secs(EPOCH));
        pairing.mark = Some(IntentMark {
            boot: BOOT,
            at: BootTime::from_millis(0),
            sends: 1,
        });
    }
    fixture = Fixture::power_on(policy(), stored, 2, Some(3600));
    fixture.alive();
    fixture.advance(secs(36));
    if fixture.out(is_probe) {
        fixture.unresolved();
    }
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::InvalidGrant);
    fixture.alive();
    assert!(served(&mut fixture).unwrap() > 60, "its age is known");
    fixture.advance(secs(2));
    fixture.wall = false;
    fixture.event(Event::ClockStepped);
    let call = fixture.get_token(None);
    assert_eq!(fixture.reply(call), None, "nothing is known of it now");
    fixture.alive();
    assert_eq!(served(&mut fixture), Some(60));
    fixture.advance(secs(601));
    assert_over(&mut fixture);
}

#[test]
fn a_restart_forgets_a_residual_token() {
    let mut fixture = ended();
    fixture.alive();
    let mut restarted = fixture.restart();
    assert_over(&mut restarted);
    assert_eq!(restarted.state(), (PairingState::Unpaired, Reason::RefreshAnswerLost));
}
