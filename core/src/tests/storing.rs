//! The disk: what is written again, when, and what callers notice of it.

use super::refreshing::sent;
use super::*;

/// A pair that the disk did not take, in memory and in the runtime directory.
fn spilled() -> Fixture {
    let mut fixture = sent();
    fixture.disk_works = false;
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    fixture.alive();
    assert_eq!(fixture.stored().kept, Kept::Spilled);
    fixture
}

fn start(stored: Stored, at: BootTime) -> Fixture {
    Fixture::start(policy(), Provisioning::Ready, stored, BOOT, at.as_millis() + 1, true)
}

fn failures(fixture: &Fixture) -> usize {
    fixture
        .events
        .iter()
        .filter(|event| **event == LogEvent::StoreFailed)
        .count()
}

#[test]
fn a_pair_from_the_runtime_directory_is_written_to_the_disk_at_once_and_once() {
    let restarted = spilled().restart();
    assert!(restarted.events.contains(&LogEvent::RecordSpilled { doubted: false }));
    assert_eq!(restarted.access_on_disk(), "a2");
    assert_eq!(restarted.durable().kept, Kept::Twice);
    assert_eq!(restarted.spill, None);
    let mut again = restarted.reboot(true);
    assert_eq!(again.stores, 0, "where all is well nothing is written");
    again.alive();
    let call = again.get_token(None);
    assert_eq!(again.token(call), "a2");
}

#[test]
fn what_one_generation_alone_holds_is_written_to_the_other_at_once_and_once() {
    let mut paired = Fixture::paired();
    let mut unpaired = Fixture::paired();
    unpaired.call(Command::Unpair);
    for fixture in [&mut paired, &mut unpaired] {
        let torn = Stored {
            kept: Kept::Once,
            ..fixture.stored()
        };
        let restarted = start(torn, fixture.now);
        assert_eq!(restarted.record, fixture.record);
        assert_eq!(restarted.stored().kept, Kept::Twice);
        assert_eq!(restarted.events, [], "nobody need know");
        assert_eq!(restarted.reboot(true).stores, 0);
    }
}

#[test]
fn a_disk_that_still_fails_after_the_restart_is_told_and_tried_until_it_works() {
    let spilled = spilled();
    let mut restarted = Fixture::failing(spilled.stored(), spilled.now);
    assert_eq!(failures(&restarted), 1);
    let last_error = |fixture: &Fixture| fixture.core.snapshot().last_error.map(|(word, _)| word);
    assert_eq!(last_error(&restarted), Some(ErrorWord::StorageFailed));
    restarted.alive();
    let call = restarted.get_token(None);
    assert_eq!(restarted.token(call), "a2", "served all the same");
    let before = restarted.stores;
    restarted.advance(secs(3600));
    assert!(restarted.stores > before + 30, "{}", restarted.stores - before);
    assert_eq!(failures(&restarted), 1, "and told once");
    assert_eq!(restarted.stored().kept, Kept::Spilled);
    restarted.disk_works = true;
    restarted.advance(secs(120));
    assert_eq!(restarted.durable().kept, Kept::Twice);
    assert_eq!(restarted.access_on_disk(), "a2");
    assert!(restarted.events.contains(&LogEvent::StoreRecovered));
}

#[test]
fn a_pair_from_the_runtime_directory_beside_damaged_records_is_kept_and_doubted() {
    let fixture = spilled();
    let mut stored = fixture.stored();
    if let Loaded::Current(record) = stored.record {
        stored.record = Loaded::Previous(record);
    }
    let restarted = start(stored, fixture.now);
    assert_eq!(restarted.events, [LogEvent::RecordSpilled { doubted: true }]);
    assert!(restarted.core.snapshot().paired);
    assert_eq!(restarted.durable().kept, Kept::Twice);
    assert_eq!(restarted.access_on_disk(), "a2");
    assert!(restarted.on_disk().mark.is_some(), "one of the two may have been newer");
}

#[test]
fn a_refreshed_pair_goes_into_both_generations_and_nobody_waits_for_the_second() {
    let mut fixture = sent();
    let before = fixture.stores;
    fixture.hold_stores = true;
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    let call = fixture.get_token(None);
    assert!(fixture.reply(call).is_none(), "the first is waited for");
    fixture.finish_store();
    assert_eq!(fixture.token(call), "a2");
    assert_eq!(fixture.core.snapshot().generation, Generation(2));
    assert_eq!(fixture.stored().kept, Kept::Once);
    assert!(fixture.stores_pending(), "and the second follows at once");
    fixture.finish_store();
    assert_eq!(fixture.durable().kept, Kept::Twice);
    assert!(!fixture.stores_pending());
    assert_eq!(
        fixture.stores - before,
        2,
        "with the mark, three writes for each refresh"
    );
}

#[test]
fn a_second_copy_that_fails_is_told_and_tried_again_and_costs_no_caller_anything() {
    let mut fixture = sent();
    fixture.hold_stores = true;
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    fixture.finish_store();
    let cancel = fixture.call(Command::CancelPairing);
    fixture.disk_works = false;
    fixture.finish_store();
    assert!(
        matches!(fixture.reply(cancel), Some(Ok(Reply::Done))),
        "none of its business"
    );
    assert_eq!(fixture.durable().kept, Kept::Once, "the first stands");
    assert_eq!(failures(&fixture), 1);
    let word = fixture.core.snapshot().last_error.map(|(word, _)| word);
    assert_eq!(word, Some(ErrorWord::StorageFailed));
    fixture.alive();
    let call = fixture.get_token(None);
    assert_eq!(fixture.token(call), "a2");
    fixture.hold_stores = false;
    fixture.advance(secs(600));
    assert_eq!(failures(&fixture), 1, "told once");
    fixture.disk_works = true;
    fixture.advance(secs(120));
    assert_eq!(fixture.durable().kept, Kept::Twice);
    assert!(fixture.events.contains(&LogEvent::StoreRecovered));
    fixture.advance(secs(3600));
    let quiet = fixture.stores;
    fixture.advance(secs(3600));
    assert_eq!(fixture.stores, quiet);
}

#[test]
fn a_new_pairing_goes_into_both_generations_too() {
    let mut fixture = Fixture::paired();
    assert_eq!(fixture.durable().kept, Kept::Twice);
    fixture.start_pairing(true);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::Granted(grant(9)));
    assert_eq!(fixture.durable().kept, Kept::Twice);
    assert_eq!(fixture.on_disk().pair.access.as_ref().unwrap().expose(), "a9");
}

#[test]
fn both_generations_are_written_before_the_daemon_ends() {
    let mut fixture = sent();
    fixture.event(Event::Shutdown);
    fixture.hold_stores = true;
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    fixture.finish_store();
    assert!(!fixture.drained);
    fixture.finish_store();
    assert_eq!(fixture.durable().kept, Kept::Twice);
    assert!(fixture.drained);
}

#[test]
fn what_the_disk_does_not_take_during_the_end_is_tried_every_two_seconds() {
    let pair = |fixture: &mut Fixture| fixture.refresh(RefreshAnswer::Granted(grant(2)));
    let mut fixture = sent();
    fixture.event(Event::Shutdown);
    fixture.disk_works = false;
    pair(&mut fixture);
    assert!(!fixture.drained, "the pair is in memory alone");
    for second in 1..=20 {
        let before = fixture.stores;
        fixture.advance(secs(1));
        assert_eq!(fixture.stores - before, usize::from(second % 2 == 0), "{second}");
    }
    assert!(!fixture.drained && fixture.core.is_unsaved());
    assert_eq!(failures(&fixture), 1);
    fixture.disk_works = true;
    fixture.advance(secs(2));
    assert!(fixture.drained && !fixture.core.is_unsaved());
    assert_eq!(fixture.durable().kept, Kept::Twice);
    assert_eq!(fixture.access_on_disk(), "a2");
}

/// Its next regular try would come in a minute.
#[test]
fn what_failed_before_the_end_is_tried_at_once() {
    let mut fixture = spilled();
    fixture.advance(secs(3600));
    fixture.disk_works = true;
    fixture.event(Event::Shutdown);
    fixture.advance(secs(2));
    assert!(fixture.drained);
    assert_eq!(fixture.durable().kept, Kept::Twice);
}

#[test]
fn an_approval_a_tombstone_and_revocations_are_tried_again_during_the_end_too() {
    let mut approved = Fixture::unpaired();
    approved.start_pairing(false);
    approved.show_code();
    approved.advance(secs(5));
    approved.event(Event::Shutdown);
    approved.disk_works = false;
    approved.poll(PollAnswer::Granted(grant(1)));
    let mut unpaired = Fixture::paired();
    unpaired.hold_stores = true;
    unpaired.call(Command::Unpair);
    unpaired.event(Event::Shutdown);
    unpaired.disk_works = false;
    unpaired.hold_stores = false;
    unpaired.finish_store();
    unpaired.event(Event::Tick);
    for (name, mut fixture) in [("approved", approved), ("unpaired", unpaired)] {
        assert!(!fixture.drained, "{name}");
        fixture.disk_works = true;
        fixture.advance(secs(4));
        assert!(fixture.drained, "{name}");
        assert!(
            matches!(fixture.record.map(|record| record.body), Some(Body::Paired(_))),
            "{name}"
        );
        assert_eq!(fixture.revocations, [], "{name}");
    }
}

#[test]
fn a_second_copy_that_fails_does_not_hold_up_the_end() {
    let mut fixture = sent();
    fixture.event(Event::Shutdown);
    fixture.hold_stores = true;
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    fixture.finish_store();
    fixture.disk_works = false;
    fixture.finish_store();
    assert!(fixture.drained, "the first stands");
}

fn told(fixture: &Fixture) -> Vec<bool> {
    let of_disk = |event: &LogEvent| match event {
        LogEvent::StoreFailed => Some(true),
        LogEvent::StoreRecovered => Some(false),
        _ => None,
    };
    fixture.events.iter().filter_map(of_disk).collect()
}

#[test]
fn each_change_of_the_disk_is_told_once_whichever_file_it_is() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.disk_works = false;
    fixture.show_code();
    assert_eq!(told(&fixture), [true], "the flow's file");
    let word = fixture.core.snapshot().last_error.map(|(word, _)| word);
    assert_eq!(word, Some(ErrorWord::StorageFailed));
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::Granted(grant(1)));
    assert_eq!(told(&fixture), [true], "the record too");
    fixture.disk_works = true;
    fixture.advance(secs(120));
    fixture.call(Command::CancelPairing);
    assert_eq!(told(&fixture), [true, false]);
}

#[test]
fn a_record_that_fails_after_a_list_of_revocations_recovered_is_told_again() {
    let mut fixture = Fixture::paired();
    fixture.hold_stores = true;
    fixture.call(Command::Unpair);
    fixture.disk_works = false;
    fixture.finish_store();
    fixture.disk_works = true;
    fixture.hold_stores = false;
    fixture.finish_store();
    fixture.advance(secs(120));
    assert_eq!(told(&fixture), [true, false], "the revocations");
    fixture.answer(is_revoke, Answer::Revoke(RevokeAnswer::Done));
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.disk_works = false;
    fixture.poll(PollAnswer::Granted(grant(2)));
    assert_eq!(told(&fixture), [true, false, true]);
    fixture.disk_works = true;
    fixture.advance(secs(120));
    fixture.call(Command::CancelPairing);
    assert_eq!(told(&fixture), [true, false, true, false]);
}

#[test]
fn a_mark_beside_the_same_pair_is_no_reason_to_write() {
    let fixture = sent();
    assert_eq!(fixture.durable().kept, Kept::Twice);
    assert_eq!(fixture.restart().stores, 0);
    assert_eq!(fixture.reboot(true).stores, 0);
}

/// One of the two files does not open any more, and this is the other.
fn fallen_back(record: Record, policy: Policy) -> Fixture {
    let stored = Stored {
        record: Loaded::Previous(record),
        kept: Kept::Once,
        revocations: vec![],
        flow: None,
        writable: true,
    };
    Fixture::start(policy, Provisioning::Ready, stored, BootId([2; 16]), 5_000, true)
}

#[test]
fn a_damaged_duplicate_costs_a_probe_and_no_send() {
    let mut fixture = sent();
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    fixture.alive();
    let mut fallen = fallen_back(fixture.older.unwrap(), policy());
    assert!(fallen.events.contains(&LogEvent::RecordFellBack));
    assert_eq!(fallen.durable().kept, Kept::Twice);
    assert!(fallen.on_disk().mark.is_some(), "never «fine» yet");
    fallen.alive();
    let call = fallen.get_token(None);
    assert_eq!(fallen.token(call), "a2", "a 2xx permits serving");
    fallen.advance(secs(39));
    assert!(!fallen.out(is_probe), "and no more, as long as the server may be at it");
    fallen.advance(secs(1));
    fallen.alive();
    assert_eq!(fallen.on_disk().mark, None);
    let quiet = fallen.stores;
    fallen.advance(secs(4 * 3600));
    assert!(fallen.requests.is_empty(), "no send");
    assert_eq!(fallen.stores, quiet);
    fallen.advance(secs(4 * 3600));
    // The wall clock alone tells the token's age, and the answer no time: the server is asked
    // first.
    fallen.prepare(PrepareAnswer::Ready);
    fallen.probed(ProbeAnswer::Rejected);
    fallen.refresh_to(3);
    assert!(fallen.core.snapshot().paired);
}

#[test]
fn a_damaged_mark_of_a_refresh_that_was_carried_out_is_never_fine() {
    // The first refresh after pairing: the other generation holds the pair without a mark.
    let fixture = sent();
    let record = fixture.older.unwrap();
    assert!(matches!(&record.body, Body::Paired(pairing) if pairing.mark.is_none()));
    let mut fallen = fallen_back(record, policy());
    fallen.probed(ProbeAnswer::Rejected);
    let call = fallen.get_token(None);
    assert!(
        fallen.reply(call).is_none_or(Result::is_err),
        "a dead token is not served"
    );
    fallen.advance(secs(39));
    assert!(!fallen.out(is_prepare));
    fallen.advance(secs(1));
    fallen.prepare(PrepareAnswer::Ready);
    fallen.refresh(RefreshAnswer::InvalidGrant);
    assert_eq!(fallen.state(), (PairingState::Unpaired, Reason::RefreshAnswerLost));
}

#[test]
fn without_a_resource_to_ask_the_resend_settles_a_damaged_duplicate() {
    let without_probe = Policy {
        can_probe: false,
        ..policy()
    };
    let fixture = Fixture::paired();
    let mut fallen = fallen_back(fixture.older.unwrap(), without_probe);
    fallen.advance(secs(40));
    fallen.prepare(PrepareAnswer::Ready);
    assert_eq!(fallen.on_disk().mark.map(|mark| mark.sends), Some(2));
    fallen.refresh(RefreshAnswer::Granted(grant(2)));
    assert!(fallen.core.snapshot().paired);
}

#[test]
fn a_probe_that_is_put_off_does_not_put_off_the_resend() {
    let mut fallen = fallen_back(Fixture::paired().older.unwrap(), policy());
    let asks_to_wait = Fault {
        kind: FaultKind::RateLimited,
        retry_after: Some(secs(3600)),
    };
    fallen.probed(ProbeAnswer::Failed(asks_to_wait));
    fallen.advance(secs(39));
    assert!(fallen.requests.is_empty());
    fallen.advance(secs(1));
    assert!(fallen.out(is_prepare) && !fallen.out(is_probe));
}

/// The mark that is left is of an earlier boot, and the lost record may have been one of a moment
/// ago.
#[test]
fn after_falling_back_a_send_counts_from_the_start() {
    let mut record = sent().record.unwrap();
    if let Body::Paired(pairing) = &mut record.body {
        pairing.mark = pairing.mark.map(|mark| IntentMark {
            boot: BootId([9; 16]),
            sends: 3,
            ..mark
        });
    }
    let stored = Stored {
        record: Loaded::Previous(record),
        kept: Kept::Once,
        revocations: vec![],
        flow: None,
        writable: true,
    };
    let mut fallen = start(stored, BootTime::from_millis(5_000_000));
    fallen.probed(ProbeAnswer::Rejected);
    fallen.advance(secs(39));
    assert!(!fallen.out(is_prepare));
    assert_eq!(fallen.on_disk().mark.map(|mark| mark.sends), Some(3));
}
