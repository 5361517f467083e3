//! A disk that takes longer than any call may: who is told what, and what is done all the same.

use super::*;

/// A replacement was approved, and its record is on its way to a slow disk.
fn replacing() -> Fixture {
    let mut fixture = Fixture::paired();
    fixture.start_pairing(true);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.hold_stores = true;
    fixture.poll(PollAnswer::Granted(grant(2)));
    assert!(fixture.stores_pending() && fixture.reply(CallId(u64::MAX)).is_none());
    fixture
}

/// The tombstone of `Unpair` is on its way to a slow disk.
fn unpairing() -> (Fixture, CallId) {
    let mut fixture = Fixture::paired();
    fixture.hold_stores = true;
    let call = fixture.call(Command::Unpair);
    (fixture, call)
}

fn write_everything(fixture: &mut Fixture) {
    while fixture.stores_pending() {
        fixture.finish_store();
    }
}

fn is_unpaired(fixture: &Fixture) -> bool {
    matches!(fixture.record.as_ref().unwrap().body, Body::Tombstone(Reason::Unpaired)) && fixture.flow.is_none()
}

/// The call is answered in this many seconds from now, and not before.
fn answered_after(fixture: &mut Fixture, call: CallId, wait: u64, error: CallError) {
    fixture.advance(secs(wait).saturating_sub(Duration::from_millis(1)));
    assert!(fixture.reply(call).is_none(), "not before its time is over");
    fixture.advance(Duration::from_millis(1));
    assert_eq!(fixture.error(call), error);
}

#[test]
fn an_unpair_whose_call_timed_out_behind_a_new_pairing_is_carried_out() {
    let mut fixture = replacing();
    fixture.advance(secs(3));
    let call = fixture.call(Command::Unpair);
    answered_after(&mut fixture, call, 20, CallError::Timeout);
    fixture.advance(secs(60));
    write_everything(&mut fixture);
    assert!(is_unpaired(&fixture), "the order stands");
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::Unpaired));
    assert_eq!(fixture.revocations.len(), 1, "and the server is told");
}

#[test]
fn no_call_waits_for_two_writes_longer_than_for_one() {
    for unpair in [true, false] {
        let mut fixture = replacing();
        let command = if unpair {
            Command::Unpair
        } else {
            Command::CancelPairing
        };
        let call = fixture.call(command);
        fixture.advance(secs(19));
        fixture.finish_store();
        answered_after(&mut fixture, call, 1, CallError::Timeout);
        write_everything(&mut fixture);
        assert_eq!(fixture.core.snapshot().paired, !unpair);
    }
}

#[test]
fn two_orders_to_unpair_are_one_and_each_call_has_its_own_time() {
    let mut fixture = replacing();
    let first = fixture.call(Command::Unpair);
    fixture.advance(secs(15));
    let second = fixture.call(Command::Unpair);
    answered_after(&mut fixture, first, 5, CallError::Timeout);
    let stores = fixture.stores;
    write_everything(&mut fixture);
    assert_eq!(fixture.reply(second), Some(&Ok(Reply::Done)));
    assert!(is_unpaired(&fixture));
    let lists = fixture.stores - stores;
    assert_eq!(lists, 4, "the new pairing, its flow's end, the list, one tombstone");
}

#[test]
fn an_order_to_unpair_is_carried_out_before_the_daemon_ends() {
    let mut fixture = replacing();
    let call = fixture.call(Command::Unpair);
    answered_after(&mut fixture, call, 20, CallError::Timeout);
    fixture.event(Event::Shutdown);
    fixture.finish_store();
    assert!(!fixture.drained);
    write_everything(&mut fixture);
    assert!(fixture.drained && is_unpaired(&fixture));
    assert!(!fixture.restart().core.snapshot().paired);
}

#[test]
fn a_death_before_the_write_ends_has_changed_nothing() {
    let mut fixture = replacing();
    let call = fixture.call(Command::Unpair);
    answered_after(&mut fixture, call, 20, CallError::Timeout);
    let mut restarted = fixture.restart();
    restarted.alive();
    let call = restarted.get_token(None);
    assert_eq!(restarted.token(call), "a1");
}

#[test]
fn an_unpair_of_a_first_pairing_that_is_being_written_is_carried_out_too() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.hold_stores = true;
    fixture.poll(PollAnswer::Granted(grant(1)));
    let call = fixture.call(Command::Unpair);
    answered_after(&mut fixture, call, 20, CallError::Timeout);
    write_everything(&mut fixture);
    assert!(is_unpaired(&fixture) && !fixture.core.snapshot().paired);
}

#[test]
fn a_start_whose_call_timed_out_behind_a_tombstone_is_carried_out() {
    let (mut fixture, unpair) = unpairing();
    fixture.advance(secs(2));
    let start = fixture.start_pairing(false);
    assert!(!fixture.out(is_code), "whether this device is paired is not known yet");
    answered_after(&mut fixture, unpair, 18, CallError::Timeout);
    answered_after(&mut fixture, start, 2, CallError::Timeout);
    fixture.advance(secs(60));
    write_everything(&mut fixture);
    fixture.answer(is_revoke, Answer::Revoke(RevokeAnswer::Done));
    assert!(fixture.out(is_code), "the order stands");
    assert_eq!(fixture.state().0, PairingState::RequestingCode);
}

#[test]
fn a_start_behind_a_tombstone_counts_when_it_comes() {
    let (mut fixture, _) = unpairing();
    let first = fixture.start_pairing(false);
    let second = fixture.start_pairing(false);
    fixture.advance(secs(1));
    write_everything(&mut fixture);
    fixture.hold_stores = false;
    fixture.answer(is_revoke, Answer::Revoke(RevokeAnswer::Done));
    fixture.show_code();
    for call in [first, second] {
        assert!(
            matches!(fixture.reply(call), Some(Ok(Reply::Started { .. }))),
            "one flow for both"
        );
    }
    // A moment after another start it is told so at once, and not put off and then dropped.
    let mut fixture = Fixture::paired();
    fixture.advance(secs(60));
    fixture.start_pairing(true);
    fixture.call(Command::CancelPairing);
    fixture.hold_stores = true;
    fixture.call(Command::Unpair);
    let start = fixture.start_pairing(false);
    assert_eq!(fixture.error(start), CallError::TooOften { wait: secs(5) });
}

#[test]
fn a_start_after_an_unpair_behind_a_new_pairing_is_carried_out_after_it() {
    for timed_out in [true, false] {
        let mut fixture = replacing();
        fixture.advance(secs(6));
        let unpair = fixture.call(Command::Unpair);
        let start = fixture.start_pairing(false);
        if timed_out {
            answered_after(&mut fixture, unpair, 20, CallError::Timeout);
            assert_eq!(fixture.error(start), CallError::Timeout);
        }
        write_everything(&mut fixture);
        assert!(!fixture.core.snapshot().paired, "first the one, then the other");
        fixture.answer(is_revoke, Answer::Revoke(RevokeAnswer::Done));
        write_everything(&mut fixture);
        fixture.hold_stores = false;
        fixture.show_code();
        if !timed_out {
            assert!(matches!(fixture.reply(start), Some(Ok(Reply::Started { .. }))));
        }
        assert_eq!(fixture.state().0, PairingState::AwaitingUser);
    }
}

#[test]
fn a_start_behind_a_tombstone_that_fails_is_told_that_the_device_is_paired() {
    let (mut fixture, unpair) = unpairing();
    let start = fixture.start_pairing(false);
    fixture.disk_works = false;
    while fixture.reply(start).is_none() {
        fixture.finish_store();
    }
    assert_eq!(fixture.error(unpair), CallError::StorageFailed);
    assert_eq!(fixture.error(start), CallError::AlreadyPaired);
}

#[test]
fn a_start_that_waits_is_withdrawn_by_a_cancel_and_by_an_unpair() {
    for command in [Command::CancelPairing, Command::Unpair] {
        for timed_out in [true, false] {
            let (mut fixture, _) = unpairing();
            let start = fixture.start_pairing(false);
            if timed_out {
                answered_after(&mut fixture, start, 20, CallError::Timeout);
            }
            let end = fixture.call(command.clone());
            if !timed_out {
                assert_eq!(fixture.error(start), CallError::NoPairing);
            }
            write_everything(&mut fixture);
            assert_eq!(fixture.reply(end), Some(&Ok(Reply::Done)));
            fixture.answer(is_revoke, Answer::Revoke(RevokeAnswer::Done));
            fixture.advance(secs(60));
            assert!(!fixture.out(is_code), "{command:?} ends a flow at every step");
            assert_eq!(fixture.state().0, PairingState::Unpaired);
        }
    }
}

#[test]
fn a_start_that_waits_is_not_begun_once_the_daemon_ends() {
    let (mut fixture, _) = unpairing();
    let start = fixture.start_pairing(false);
    fixture.event(Event::Shutdown);
    write_everything(&mut fixture);
    assert!(fixture.drained && !fixture.out(is_code));
    assert_eq!(fixture.error(start), CallError::Timeout);
}

#[test]
fn a_start_behind_a_tombstone_keeps_the_time_that_it_asked_for() {
    let (mut fixture, _) = unpairing();
    let options = PairingOptions {
        renew: true,
        replace: false,
        give_up_after: None,
        timeout: Some(secs(3)),
    };
    let start = fixture.call(Command::StartPairing { caller: UI, options });
    answered_after(&mut fixture, start, 3, CallError::Timeout);
}

#[test]
fn a_redirect_behind_a_slow_disk_is_told_and_pairs() {
    let mut fixture = redirecting::browsing();
    fixture.hold_stores = true;
    let call = redirecting::redirect(&mut fixture, 1, redirecting::code());
    redirecting::exchange(&mut fixture, ExchangeAnswer::Granted(grant(1)));
    answered_after(&mut fixture, call, 20, CallError::Timeout);
    write_everything(&mut fixture);
    assert!(fixture.core.snapshot().paired);
}

#[test]
fn a_cancel_is_answered_by_its_own_file_alone() {
    // Nothing was asked of the flow's file.
    let mut fixture = refreshing::due();
    fixture.hold_stores = true;
    fixture.prepare(PrepareAnswer::Ready);
    let call = fixture.call(Command::CancelPairing);
    assert_eq!(
        fixture.reply(call),
        Some(&Ok(Reply::Done)),
        "it waits for nobody's mark"
    );
    // The mark fails, the flow's removal works.
    let mut fixture = refreshing::due();
    fixture.start_pairing(true);
    fixture.show_code();
    fixture.hold_stores = true;
    fixture.prepare(PrepareAnswer::Ready);
    let call = fixture.call(Command::CancelPairing);
    fixture.disk_works = false;
    fixture.finish_store();
    assert!(fixture.reply(call).is_none());
    fixture.disk_works = true;
    while fixture.reply(call).is_none() {
        fixture.finish_store();
    }
    assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
    assert!(fixture.flow.is_none());
}

#[test]
fn an_unpair_of_nothing_is_answered_by_what_it_wrote_alone() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.hold_stores = true;
    let call = fixture.call(Command::Unpair);
    // Another flow follows, and the disk fails for that one.
    fixture.advance(secs(5));
    fixture.start_pairing(false);
    fixture.finish_store();
    assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
    // The trial.
    fixture.finish_store();
    fixture.show_code();
    fixture.disk_works = false;
    fixture.finish_store();
}

#[test]
fn who_asks_for_a_token_waits_for_a_pairing_that_is_being_written() {
    let mut first = Fixture::unpaired();
    // A token of unknown age, and no network to ask whether it lives.
    let mut replacement = Fixture::paired().reboot(false);
    for (fixture, replace) in [(&mut first, false), (&mut replacement, true)] {
        if replace {
            fixture.probed(ProbeAnswer::Failed(fault(FaultKind::Offline)));
        }
        fixture.start_pairing(replace);
        fixture.show_code();
        fixture.advance(secs(5));
        if fixture.out(is_probe) {
            fixture.probed(ProbeAnswer::Failed(fault(FaultKind::Offline)));
        }
        fixture.hold_stores = true;
        fixture.poll(PollAnswer::Granted(grant(9)));
        let (early, late) = (fixture.get_token(None), fixture.get_token(None));
        answered_after(fixture, early, 20, CallError::Timeout);
        assert_eq!(fixture.error(late), CallError::Timeout);
        let call = fixture.get_token(None);
        assert!(fixture.reply(call).is_none());
        write_everything(fixture);
        assert_eq!(fixture.token(call), "a9");
    }
}
