//! The disk: what is written again, when, and what callers notice of it.

use super::refreshing::sent;
use super::*;

/// A pair that the disk did not take, in memory and in the runtime directory.
fn spilled() -> Scene {
    let mut scene = sent();
    scene.disk_works = false;
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    scene.alive();
    assert_eq!(scene.stored().kept, Kept::Spilled);
    scene
}

fn start(stored: Stored, at: BootTime) -> Scene {
    Scene::start(policy(), Provisioning::Ready, stored, BOOT, at.as_millis() + 1, true)
}

fn failures(scene: &Scene) -> usize {
    scene.notes.iter().filter(|note| **note == Note::StoreFailed).count()
}

#[test]
fn a_pair_from_the_runtime_directory_is_written_to_the_disk_at_once_and_once() {
    let restarted = spilled().restart();
    assert!(restarted.notes.contains(&Note::RecordSpilled { doubted: false }));
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
    let mut paired = Scene::paired();
    let mut unpaired = Scene::paired();
    unpaired.call(Command::Unpair);
    for scene in [&mut paired, &mut unpaired] {
        let torn = Stored {
            kept: Kept::Once,
            ..scene.stored()
        };
        let restarted = start(torn, scene.now);
        assert_eq!(restarted.record, scene.record);
        assert_eq!(restarted.stored().kept, Kept::Twice);
        assert_eq!(restarted.notes, [], "nobody need know");
        assert_eq!(restarted.reboot(true).stores, 0);
    }
}

#[test]
fn a_disk_that_still_fails_after_the_restart_is_told_and_tried_until_it_works() {
    let spilled = spilled();
    let mut restarted = Scene::failing(spilled.stored(), spilled.now);
    assert_eq!(failures(&restarted), 1);
    let last_error = |scene: &Scene| scene.core.snapshot().last_error.map(|(word, _)| word);
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
    assert!(restarted.notes.contains(&Note::StoreRecovered));
}

#[test]
fn a_pair_from_the_runtime_directory_beside_damaged_records_is_kept_and_doubted() {
    let scene = spilled();
    let mut stored = scene.stored();
    if let Loaded::Current(record) = stored.record {
        stored.record = Loaded::Previous(record);
    }
    let restarted = start(stored, scene.now);
    assert_eq!(restarted.notes, [Note::RecordSpilled { doubted: true }]);
    assert!(restarted.core.snapshot().paired);
    assert_eq!(restarted.durable().kept, Kept::Twice);
    assert_eq!(restarted.access_on_disk(), "a2");
    assert!(restarted.on_disk().mark.is_some(), "one of the two may have been newer");
}

#[test]
fn a_refreshed_pair_goes_into_both_generations_and_nobody_waits_for_the_second() {
    let mut scene = sent();
    let before = scene.stores;
    scene.hold_stores = true;
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    let call = scene.get_token(None);
    assert!(scene.reply(call).is_none(), "the first is waited for");
    scene.finish_store();
    assert_eq!(scene.token(call), "a2");
    assert_eq!(scene.core.snapshot().generation, Generation(2));
    assert_eq!(scene.stored().kept, Kept::Once);
    assert!(scene.stores_pending(), "and the second follows at once");
    scene.finish_store();
    assert_eq!(scene.durable().kept, Kept::Twice);
    assert!(!scene.stores_pending());
    assert_eq!(scene.stores - before, 2, "with the mark, three writes for each refresh");
}

#[test]
fn a_second_copy_that_fails_is_told_and_tried_again_and_costs_no_caller_anything() {
    let mut scene = sent();
    scene.hold_stores = true;
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    scene.finish_store();
    let cancel = scene.call(Command::CancelPairing);
    scene.disk_works = false;
    scene.finish_store();
    assert!(
        matches!(scene.reply(cancel), Some(Ok(Reply::Done))),
        "none of its business"
    );
    assert_eq!(scene.durable().kept, Kept::Once, "the first stands");
    assert_eq!(failures(&scene), 1);
    let word = scene.core.snapshot().last_error.map(|(word, _)| word);
    assert_eq!(word, Some(ErrorWord::StorageFailed));
    scene.alive();
    let call = scene.get_token(None);
    assert_eq!(scene.token(call), "a2");
    scene.hold_stores = false;
    scene.advance(secs(600));
    assert_eq!(failures(&scene), 1, "told once");
    scene.disk_works = true;
    scene.advance(secs(120));
    assert_eq!(scene.durable().kept, Kept::Twice);
    assert!(scene.notes.contains(&Note::StoreRecovered));
    scene.advance(secs(3600));
    let quiet = scene.stores;
    scene.advance(secs(3600));
    assert_eq!(scene.stores, quiet);
}

#[test]
fn a_new_pairing_goes_into_both_generations_too() {
    let mut scene = Scene::paired();
    assert_eq!(scene.durable().kept, Kept::Twice);
    scene.start_pairing(true);
    scene.show_code();
    scene.advance(secs(5));
    scene.poll(PollAnswer::Granted(grant(9)));
    assert_eq!(scene.durable().kept, Kept::Twice);
    assert_eq!(scene.on_disk().pair.access.as_ref().unwrap().expose(), "a9");
}

#[test]
fn both_generations_are_written_before_the_daemon_ends() {
    let mut scene = sent();
    scene.event(Event::Shutdown);
    scene.hold_stores = true;
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    scene.finish_store();
    assert!(!scene.drained);
    scene.finish_store();
    assert_eq!(scene.durable().kept, Kept::Twice);
    assert!(scene.drained);
}

#[test]
fn a_mark_beside_the_same_pair_is_no_reason_to_write() {
    let scene = sent();
    assert_eq!(scene.durable().kept, Kept::Twice);
    assert_eq!(scene.restart().stores, 0);
    assert_eq!(scene.reboot(true).stores, 0);
}

/// One of the two files does not open any more, and this is the other.
fn fallen_back(record: Record, policy: Policy) -> Scene {
    let stored = Stored {
        record: Loaded::Previous(record),
        kept: Kept::Once,
        revocations: vec![],
        flow: None,
    };
    Scene::start(policy, Provisioning::Ready, stored, BootId([2; 16]), 5_000, true)
}

#[test]
fn a_damaged_duplicate_costs_a_probe_and_no_send() {
    let mut scene = sent();
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    scene.alive();
    let mut fallen = fallen_back(scene.older.unwrap(), policy());
    assert!(fallen.notes.contains(&Note::RecordFellBack));
    assert_eq!(fallen.durable().kept, Kept::Twice);
    assert!(fallen.on_disk().mark.is_some(), "never «fine» yet");
    fallen.alive();
    let call = fallen.get_token(None);
    assert_eq!(fallen.token(call), "a2", "a 2xx permits serving");
    fallen.advance(secs(39));
    assert!(
        !fallen.out(is_identify),
        "and no more, as long as the server may be at it"
    );
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
    fallen.probed(ResourceAnswer::Unauthorized);
    fallen.refresh_to(3);
    assert!(fallen.core.snapshot().paired);
}

#[test]
fn a_damaged_mark_of_a_refresh_that_was_carried_out_is_never_fine() {
    // The first refresh after pairing: the other generation holds the pair without a mark.
    let scene = sent();
    let record = scene.older.unwrap();
    assert!(matches!(&record.body, Body::Paired(pairing) if pairing.mark.is_none()));
    let mut fallen = fallen_back(record, policy());
    fallen.probed(ResourceAnswer::Unauthorized);
    let call = fallen.get_token(None);
    assert!(
        fallen.reply(call).is_none_or(Result::is_err),
        "a dead token is not served"
    );
    fallen.advance(secs(39));
    assert!(!fallen.out(is_prepare));
    fallen.advance(secs(1));
    fallen.prepare(PrepareAnswer::Ready);
    fallen.refresh(RefreshAnswer::Dead);
    assert_eq!(fallen.state(), (PairingState::Unpaired, Reason::RefreshAnswerLost));
}

#[test]
fn without_a_resource_to_ask_the_resend_settles_a_damaged_duplicate() {
    let without_probe = Policy {
        can_probe: false,
        ..policy()
    };
    let scene = Scene::paired();
    let mut fallen = fallen_back(scene.older.unwrap(), without_probe);
    fallen.advance(secs(40));
    fallen.prepare(PrepareAnswer::Ready);
    assert_eq!(fallen.on_disk().mark.map(|mark| mark.sends), Some(2));
    fallen.refresh(RefreshAnswer::Granted(grant(2)));
    assert!(fallen.core.snapshot().paired);
}

#[test]
fn a_probe_that_is_put_off_does_not_put_off_the_resend() {
    let mut fallen = fallen_back(Scene::paired().older.unwrap(), policy());
    let patience = Fault {
        kind: FaultKind::RateLimited,
        retry_after: Some(secs(3600)),
    };
    fallen.probed(ResourceAnswer::Failed(patience));
    fallen.advance(secs(39));
    assert!(fallen.requests.is_empty());
    fallen.advance(secs(1));
    assert!(fallen.out(is_prepare) && !fallen.out(is_identify));
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
    };
    let mut fallen = start(stored, BootTime::from_millis(5_000_000));
    fallen.probed(ResourceAnswer::Unauthorized);
    fallen.advance(secs(39));
    assert!(!fallen.out(is_prepare));
    assert_eq!(fallen.on_disk().mark.map(|mark| mark.sends), Some(3));
}
