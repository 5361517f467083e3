//! A code is shown once a crash cannot cost it, or after a second.

use super::*;

/// A code came, and its file is on its way to a slow disk.
fn unsaved() -> (Fixture, CallId) {
    let mut fixture = Fixture::unpaired();
    let start = fixture.start_pairing(false);
    fixture.hold_stores = true;
    fixture.show_code();
    (fixture, start)
}

fn shown(fixture: &mut Fixture) -> Option<u64> {
    let call = fixture.call(Command::GetPairingCode);
    match fixture.reply(call) {
        Some(Ok(Reply::Code(code))) => Some(code.id),
        Some(Err(CallError::NoPairing)) => None,
        other => panic!("{other:?}"),
    }
}

fn told(fixture: &Fixture) -> usize {
    let shown = |event: &&LogEvent| matches!(event, LogEvent::CodeShown { .. });
    fixture.events.iter().filter(shown).count()
}

#[test]
fn a_code_is_shown_once_it_is_on_disk() {
    let (mut fixture, start) = unsaved();
    assert_eq!((shown(&mut fixture), fixture.reply(start).is_none()), (None, true));
    assert_eq!(fixture.state(), (PairingState::RequestingCode, Reason::None));
    assert_eq!(told(&fixture), 0);
    fixture.finish_store();
    assert!(shown(&mut fixture).is_some());
    assert!(matches!(fixture.reply(start), Some(Ok(Reply::Started { .. }))));
    assert_eq!(fixture.state(), (PairingState::AwaitingUser, Reason::None));
    assert_eq!(told(&fixture), 1);
    // Killed at this moment.
    let mut restarted = fixture.restart();
    assert!(shown(&mut restarted).is_some(), "the same code");
}

#[test]
fn nobody_waits_for_a_disk_that_fails_or_takes_longer_than_a_second() {
    let (mut fixture, start) = unsaved();
    fixture.disk_works = false;
    fixture.finish_store();
    assert!(shown(&mut fixture).is_some() && fixture.reply(start).is_some());
    let (mut fixture, start) = unsaved();
    fixture.advance(Duration::from_millis(999));
    assert!(shown(&mut fixture).is_none() && fixture.reply(start).is_none());
    fixture.advance(Duration::from_millis(1));
    assert!(shown(&mut fixture).is_some() && fixture.reply(start).is_some());
    fixture.finish_store();
    assert_eq!(told(&fixture), 1);
}

#[test]
fn a_renewed_code_is_held_back_too_and_the_one_before_it_is_not_shown_again() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    let first = shown(&mut fixture);
    for _ in 0..130 {
        if fixture.out(is_poll) {
            fixture.poll(PollAnswer::Pending);
        }
        if fixture.out(is_code) {
            break;
        }
        fixture.advance(secs(1));
    }
    fixture.hold_stores = true;
    fixture.show_code();
    assert_eq!(shown(&mut fixture), None);
    assert_eq!(fixture.state(), (PairingState::RequestingCode, Reason::CodeExpired));
    while fixture.stores_pending() {
        fixture.finish_store();
    }
    assert!(shown(&mut fixture) > first);
    assert_eq!(fixture.state(), (PairingState::AwaitingUser, Reason::None));
}

#[test]
fn an_approval_that_comes_before_a_code_is_shown_pairs() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.hold_stores = true;
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::Granted(grant(1)));
    while fixture.stores_pending() {
        fixture.finish_store();
    }
    assert!(fixture.core.snapshot().paired && fixture.flow.is_none());
}

#[test]
fn an_address_for_a_browser_has_no_file_and_is_shown_at_once() {
    let mut fixture = redirecting::browsing();
    fixture.hold_stores = true;
    assert!(shown(&mut fixture).is_some());
}

#[test]
fn who_waits_for_a_code_at_the_end_of_a_flow_is_not_given_a_dead_one() {
    let mut fixture = Fixture::unpaired();
    let options = PairingOptions {
        renew: true,
        replace: false,
        give_up_after: Some(secs(130)),
        timeout: None,
    };
    fixture.call(Command::StartPairing { caller: UI, options });
    fixture.show_code();
    for second in 0..125 {
        // The last poll before the end is still out when the flow gives up.
        if fixture.out(is_poll) && second < 117 {
            fixture.poll(PollAnswer::Pending);
        }
        fixture.advance(secs(1));
    }
    assert!(fixture.out(is_code) && fixture.out(is_poll));
    let waiting = fixture.start_pairing(false);
    fixture.advance(secs(6));
    fixture.event(Event::Tick);
    assert_eq!(
        fixture.reply(waiting),
        None,
        "the code has ended, and no other one comes"
    );
    fixture.poll(PollAnswer::Pending);
    fixture.advance(secs(10));
    fixture.poll(PollAnswer::Pending);
    assert_eq!(fixture.error(waiting), CallError::NoPairing);
}
