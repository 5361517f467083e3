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

/// The limit counts requests to the server, and nothing was asked of it.
#[test]
fn a_start_that_asks_nothing_of_the_server_does_not_count_for_the_limit() {
    // The disk does not take the trial.
    let mut fixture = Fixture::unpaired();
    fixture.disk_works = false;
    for _ in 0..31 {
        let call = fixture.start_pairing(false);
        assert_eq!(fixture.error(call), CallError::StorageFailed);
    }
    fixture.disk_works = true;
    expect_admitted(&mut fixture);
    // It is cancelled during the trial.
    let mut fixture = Fixture::unpaired();
    fixture.hold_stores = true;
    fixture.start_pairing(false);
    fixture.call(Command::CancelPairing);
    fixture.hold_stores = false;
    fixture.finish_store();
    expect_admitted(&mut fixture);
    // It is cancelled while a revocation goes first.
    let mut fixture = Fixture::paired();
    fixture.advance(secs(60));
    fixture.call(Command::Unpair);
    fixture.start_pairing(false);
    assert!(fixture.out(is_revoke) && !fixture.out(is_code));
    fixture.call(Command::CancelPairing);
    fixture.answer(is_revoke, Answer::Revoke(RevokeAnswer::Done));
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
    assert!(
        fixture.reply(call).is_none() && fixture.out(is_code),
        "{:?}",
        fixture.reply(call)
    );
    // The one whose code is asked for counts.
    fixture.call(Command::CancelPairing);
    let again = fixture.start_pairing(false);
    assert_eq!(fixture.error(again), CallError::TooOften { wait: secs(5) });
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
