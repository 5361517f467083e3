//! The trial write that precedes a flow, and a disk that does not take one.

use super::*;

fn word(fixture: &Fixture) -> Option<ErrorWord> {
    fixture.core.snapshot().last_error.map(|(word, _)| word)
}

#[test]
fn nothing_is_asked_of_the_server_for_a_pairing_that_could_not_be_stored() {
    for mut fixture in [Fixture::unpaired(), Fixture::paired()] {
        let replace = fixture.core.snapshot().paired;
        fixture.disk_works = false;
        let call = fixture.start_pairing(replace);
        assert_eq!(fixture.error(call), CallError::StorageFailed);
        assert!(fixture.requests.is_empty());
        assert_eq!(word(&fixture), Some(ErrorWord::StorageFailed));
        assert!(fixture.events.contains(&LogEvent::StoreFailed));
        let state = if replace {
            PairingState::Paired
        } else {
            PairingState::Unpaired
        };
        assert_eq!(fixture.state(), (state, Reason::StorageFailed));
        fixture.disk_works = true;
        fixture.advance(secs(20));
        assert!(fixture.events.contains(&LogEvent::StoreRecovered), "it is tried again");
        let former = if replace { Reason::None } else { Reason::NeverPaired };
        assert_eq!(fixture.state(), (state, former), "told until the first good write");
        assert!(!fixture.core.snapshot().attention);
        fixture.start_pairing(replace);
        assert!(fixture.out(is_code));
    }
}

#[test]
fn a_day_of_renewals_on_a_good_disk_costs_one_trial() {
    let mut fixture = Fixture::unpaired();
    let options = PairingOptions {
        renew: true,
        replace: false,
        give_up_after: Some(secs(24 * 3600)),
        timeout: None,
    };
    fixture.call(Command::StartPairing { caller: UI, options });
    let mut codes = 0;
    for _ in 0..24 * 3600 / 5 {
        if fixture.out(is_code) {
            codes += 1;
            fixture.show_code();
        }
        if fixture.out(is_poll) {
            fixture.poll(PollAnswer::Pending);
        }
        fixture.advance(secs(5));
    }
    assert!(codes > 600, "{codes}");
    assert_eq!(fixture.trials, 1);
}

#[test]
fn a_directory_that_is_read_only_from_the_start_is_told_at_once() {
    let mut fixture = Fixture::start_unwritable();
    assert_eq!(word(&fixture), Some(ErrorWord::StorageFailed));
    assert_eq!(fixture.events, [LogEvent::StoreFailed]);
    assert_eq!(fixture.trials, 0);
    fixture.disk_works = false;
    fixture.advance(secs(3600));
    assert!(fixture.trials >= 50, "{}", fixture.trials);
    assert_eq!(fixture.events, [LogEvent::StoreFailed], "once");
    fixture.disk_works = true;
    fixture.advance(secs(60));
    assert_eq!(fixture.events, [LogEvent::StoreFailed, LogEvent::StoreRecovered]);
    let trials = fixture.trials;
    fixture.advance(secs(3600));
    assert_eq!(fixture.trials, trials);
}

#[test]
fn a_flow_of_before_a_restart_asks_for_another_code_once_the_disk_works() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    let mut restarted = fixture.restart_unwritable();
    restarted.disk_works = false;
    restarted.advance(secs(121));
    if restarted.out(is_poll) {
        restarted.poll(PollAnswer::Pending);
    }
    restarted.advance(secs(10));
    assert!(!restarted.out(is_code), "the disk goes first");
    assert_eq!(restarted.state(), (PairingState::RequestingCode, Reason::StorageFailed));
    let call = restarted.start_pairing(false);
    restarted.advance(secs(20));
    assert_eq!(restarted.error(call), CallError::StorageFailed);
    restarted.disk_works = true;
    restarted.advance(secs(60));
    assert!(restarted.out(is_code));
}

#[test]
fn a_cancel_during_the_trial_ends_the_start() {
    for command in [Command::CancelPairing, Command::Unpair] {
        let mut fixture = Fixture::unpaired();
        fixture.hold_stores = true;
        let start = fixture.start_pairing(false);
        let second = fixture.start_pairing(false);
        assert!(fixture.reply(start).is_none() && fixture.requests.is_empty());
        fixture.call(command);
        for call in [start, second] {
            assert_eq!(fixture.error(call), CallError::NoPairing);
        }
        fixture.hold_stores = false;
        fixture.finish_store();
        fixture.event(Event::Tick);
        assert!(!fixture.out(is_code));
    }
}

/// The person presses again, and nothing was asked of the server.
#[test]
fn a_start_that_the_disk_refuses_does_not_count_for_the_limit() {
    // The disk does not take the trial.
    let mut fixture = Fixture::unpaired();
    fixture.disk_works = false;
    for _ in 0..31 {
        let call = fixture.start_pairing(false);
        assert_eq!(fixture.error(call), CallError::StorageFailed);
    }
    fixture.disk_works = true;
    expect_admitted(&mut fixture);
    // It waits for an `Unpair` that fails.
    let mut fixture = Fixture::paired();
    fixture.advance(secs(60));
    fixture.disk_works = false;
    fixture.hold_stores = true;
    fixture.call(Command::Unpair);
    let start = fixture.start_pairing(false);
    fixture.hold_stores = false;
    fixture.finish_store();
    fixture.event(Event::Tick);
    assert_eq!(fixture.error(start), CallError::AlreadyPaired);
    fixture.disk_works = true;
    fixture.call(Command::Unpair);
    fixture.answer(is_revoke, Answer::Revoke(RevokeAnswer::Done));
    expect_admitted(&mut fixture);
}

#[track_caller]
fn expect_admitted(fixture: &mut Fixture) {
    let call = fixture.start_pairing(false);
    let reply = fixture.reply(call);
    assert!(reply.is_none() && fixture.out(is_code), "{reply:?}");
    // One that is cancelled counts.
    fixture.call(Command::CancelPairing);
    let again = fixture.start_pairing(false);
    assert_eq!(fixture.error(again), CallError::TooOften { wait: secs(5) });
}

/// Each caller is held to its pace, and all of them together to one trial.
#[test]
fn starts_that_are_cancelled_during_the_trial_count_and_queue_one_trial() {
    for disk_works in [false, true] {
        let mut fixture = Fixture::unpaired();
        fixture.hold_stores = true;
        for caller in 0..64 {
            let call = start_as(&mut fixture, caller / 4);
            let expected = if caller % 4 == 0 {
                CallError::NoPairing
            } else {
                CallError::TooOften { wait: secs(5) }
            };
            fixture.call(Command::CancelPairing);
            assert_eq!(fixture.error(call), expected);
        }
        let start = start_as(&mut fixture, 64);
        fixture.disk_works = disk_works;
        fixture.finish_store();
        fixture.hold_stores = false;
        assert!(fixture.trials == 1 && !fixture.stores_pending());
        if disk_works {
            assert!(fixture.reply(start).is_none() && fixture.out(is_code));
        } else {
            // The cancelled ones stay counted, and this one does not.
            assert_eq!(fixture.error(start), CallError::StorageFailed);
            fixture.disk_works = true;
            let cancelled = start_as(&mut fixture, 15);
            assert_eq!(fixture.error(cancelled), CallError::TooOften { wait: secs(5) });
            let again = start_as(&mut fixture, 64);
            assert!(fixture.reply(again).is_none() && fixture.out(is_code));
        }
    }
}

fn start_as(fixture: &mut Fixture, caller: u32) -> CallId {
    let options = PairingOptions {
        renew: true,
        replace: false,
        give_up_after: None,
        timeout: None,
    };
    fixture.call(Command::StartPairing { caller, options })
}

/// The server asked to be left alone.
fn busy() -> Answer {
    let fault = Fault {
        kind: FaultKind::RateLimited,
        retry_after: Some(secs(300)),
    };
    Answer::Revoke(RevokeAnswer::Failed(fault))
}

#[test]
fn a_start_sends_no_revocation_before_the_disk_took_its_trial() {
    for retry_after in [false, true] {
        let mut fixture = Fixture::paired();
        fixture.advance(secs(60));
        fixture.call(Command::Unpair);
        let failed = if retry_after {
            busy()
        } else {
            Answer::Revoke(RevokeAnswer::Failed(fault(FaultKind::Refused)))
        };
        fixture.answer(is_revoke, failed);
        fixture.disk_works = false;
        for _ in 0..64 {
            let call = fixture.start_pairing(false);
            assert_eq!(fixture.error(call), CallError::StorageFailed);
            assert!(!fixture.out(is_revoke));
        }
    }
}

/// Neither past the server's wish, nor closer than 5 s, whoever presses.
#[test]
fn starts_keep_the_pace_of_the_revocation_that_goes_first() {
    let failed = || Answer::Revoke(RevokeAnswer::Failed(fault(FaultKind::Refused)));
    let mut fixture = Fixture::paired();
    fixture.advance(secs(60));
    fixture.call(Command::Unpair);
    fixture.answer(is_revoke, failed());
    for caller in 0..4 {
        fixture.advance(secs(1));
        start_as(&mut fixture, caller);
        assert!(
            !fixture.out(is_revoke) && !fixture.out(is_code),
            "it waits for the revocation"
        );
        fixture.call(Command::CancelPairing);
    }
    let start = start_as(&mut fixture, 5);
    fixture.advance(secs(1));
    assert!(fixture.out(is_revoke) && !fixture.out(is_code));
    fixture.answer(is_revoke, busy());
    assert!(fixture.out(is_code) && fixture.reply(start).is_none());
    fixture.call(Command::CancelPairing);
    for caller in 6..16 {
        start_as(&mut fixture, caller);
        assert!(
            fixture.out(is_code) && !fixture.out(is_revoke),
            "nobody waits for 300 s"
        );
        fixture.call(Command::CancelPairing);
        fixture.advance(secs(29));
        assert!(!fixture.out(is_revoke));
    }
    fixture.advance(secs(10));
    start_as(&mut fixture, 16);
    assert!(fixture.out(is_revoke) && !fixture.out(is_code));
}

/// A disk that hangs does not hang the caller, and the order stands.
#[test]
fn a_trial_that_takes_longer_than_the_call_begins_the_flow_all_the_same() {
    let mut fixture = Fixture::unpaired();
    fixture.hold_stores = true;
    let start = fixture.start_pairing(false);
    fixture.advance(secs(20));
    assert_eq!(fixture.error(start), CallError::Timeout);
    fixture.finish_store();
    assert!(fixture.out(is_code));
}

#[test]
fn a_flow_whose_file_stays_has_ended_and_the_error_names_that_file() {
    for command in [Command::CancelPairing, Command::Unpair] {
        let mut fixture = Fixture::unpaired();
        fixture.start_pairing(false);
        fixture.show_code();
        fixture.disk_works = false;
        for _ in 0..2 {
            let call = fixture.call(command.clone());
            assert_eq!(fixture.error(call), CallError::FlowNotRemoved);
            assert_eq!(fixture.state().0, PairingState::Unpaired);
        }
        fixture.disk_works = true;
        let call = fixture.call(command);
        assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
    }
}
