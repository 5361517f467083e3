//! Giving a pairing up: the disk, the answer, then the server.

use super::*;

fn revoked_token(scene: &mut Scene) -> String {
    match scene.take(is_revoke) {
        Some((_, Request::Revoke(Revocable::Refresh(token)))) => token.expose().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn unpair_is_durable_before_it_is_answered_and_revoked_afterwards() {
    let mut scene = Scene::paired();
    scene.hold_stores = true;
    let call = scene.call(Command::Unpair);
    assert!(scene.reply(call).is_none());
    assert!(!scene.out(is_revoke), "the server hears of it afterwards");
    let served = scene.get_token(None);
    assert_eq!(scene.token(served), "a1", "nothing has changed yet");
    scene.finish_store();
    assert_eq!(
        scene.revocations.len(),
        1,
        "the token to revoke is on disk before the tombstone"
    );
    scene.finish_store();
    assert_eq!(scene.reply(call), Some(&Ok(Reply::Done)));
    assert_eq!(scene.state(), (PairingState::Unpaired, Reason::Unpaired));
    assert!(!scene.core.snapshot().attention, "nobody has to do anything");
    let served = scene.get_token(None);
    assert_eq!(scene.error(served), CallError::NotPaired);
    assert_eq!(revoked_token(&mut scene), "r1");
}

#[test]
fn a_revocation_is_tried_until_it_is_answered_also_across_restarts() {
    let mut scene = Scene::paired();
    scene.call(Command::Unpair);
    scene.answer(
        is_revoke,
        Answer::Revoke(RevokeAnswer::Failed(fault(FaultKind::Offline))),
    );
    scene.advance(secs(3600));
    assert!(scene.out(is_revoke));
    let mut restarted = scene.restart();
    restarted.answer(is_revoke, Answer::Revoke(RevokeAnswer::Done));
    assert!(restarted.revocations.is_empty());
    restarted.advance(secs(24 * 3600));
    assert!(restarted.requests.is_empty());
}

#[test]
fn a_revocation_is_given_up_at_the_tokens_end() {
    let mut scene = Scene::paired();
    scene.call(Command::Unpair);
    for _ in 0..(15 * 24) {
        if scene.out(is_revoke) {
            scene.answer(
                is_revoke,
                Answer::Revoke(RevokeAnswer::Failed(fault(FaultKind::Offline))),
            );
        }
        scene.advance(secs(3600));
    }
    assert!(scene.requests.is_empty());
    assert!(scene.revocations.is_empty());
    assert!(scene.notes.contains(&Note::RevocationDropped));
}

#[test]
fn a_tombstone_that_cannot_be_written_changes_nothing() {
    let mut scene = Scene::paired();
    scene.disk_works = false;
    let call = scene.call(Command::Unpair);
    assert_eq!(scene.error(call), CallError::StorageFailed);
    assert!(scene.core.snapshot().paired);
    let served = scene.get_token(None);
    assert_eq!(scene.token(served), "a1");
    scene.disk_works = true;
    scene.advance(secs(120));
    assert!(!scene.out(is_revoke), "the server is not told either");
    assert!(scene.revocations.is_empty());
    assert!(scene.restart().core.snapshot().paired);
}

#[test]
fn a_crash_between_list_and_tombstone_leaves_the_pairing_alive() {
    let mut scene = Scene::paired();
    scene.hold_stores = true;
    scene.call(Command::Unpair);
    scene.finish_store();
    assert_eq!(scene.revocations.len(), 1);
    let mut restarted = scene.restart();
    assert!(restarted.core.snapshot().paired);
    restarted.advance(secs(60));
    assert!(!restarted.out(is_revoke), "the live pairing's own token is never sent");
    assert!(restarted.revocations.is_empty());
}

#[test]
fn unpair_during_a_refresh_revokes_whichever_token_is_the_newest() {
    let outcomes = [
        (RefreshAnswer::Granted(grant(2)), "r2"),
        (RefreshAnswer::Failed(fault(FaultKind::Lost)), "r1"),
        (RefreshAnswer::Dead, "r1"),
    ];
    for (answer, newest) in outcomes {
        let mut scene = Scene::paired();
        scene.advance(secs(28_800 * 83 / 100));
        scene.prepare(PrepareAnswer::Ready);
        let call = scene.call(Command::Unpair);
        assert_eq!(
            scene.reply(call),
            Some(&Ok(Reply::Done)),
            "nobody waits for the network"
        );
        assert!(scene.out(is_refresh), "never cancelled");
        assert!(!scene.out(is_revoke));
        scene.refresh(answer);
        assert!(
            matches!(scene.record.as_ref().unwrap().body, Body::Tombstone(_)),
            "nothing resurrects the pairing"
        );
        assert_eq!(revoked_token(&mut scene), newest);
    }
}

#[test]
fn a_failed_unpair_keeps_what_a_refresh_brought_meanwhile() {
    let mut scene = Scene::paired();
    scene.advance(secs(28_800 * 83 / 100));
    scene.prepare(PrepareAnswer::Ready);
    scene.hold_stores = true;
    let call = scene.call(Command::Unpair);
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    scene.disk_works = false;
    scene.finish_store();
    scene.finish_store();
    assert_eq!(scene.error(call), CallError::StorageFailed);
    let waiting = scene.get_token(None);
    assert!(
        scene.reply(waiting).is_none(),
        "the old token is dead, the new one not yet on disk"
    );
    scene.disk_works = true;
    scene.hold_stores = false;
    scene.event(Event::Tick);
    assert_eq!(scene.token(waiting), "a2");
    let served = scene.get_token(None);
    assert_eq!(scene.token(served), "a2");
    assert_eq!(scene.access_on_disk(), "a2");
}

#[test]
fn unpair_ends_a_running_flow_first() {
    let mut scene = Scene::paired();
    let start = scene.start_pairing(true);
    scene.call(Command::Unpair);
    assert_eq!(scene.error(start), CallError::NoPairing);
    assert!(scene.flow.is_none());
    assert_eq!(scene.state(), (PairingState::Unpaired, Reason::Unpaired));
}

#[test]
fn unpair_is_idempotent() {
    let mut scene = Scene::unpaired();
    let call = scene.call(Command::Unpair);
    assert_eq!(scene.reply(call), Some(&Ok(Reply::Done)));
    assert_eq!(scene.stores, 0, "flash is not worn for nothing");
}

#[test]
fn a_pending_revocation_goes_before_the_next_code_and_is_dropped_once_paired() {
    let mut scene = Scene::paired();
    scene.call(Command::Unpair);
    scene.answer(
        is_revoke,
        Answer::Revoke(RevokeAnswer::Failed(fault(FaultKind::Offline))),
    );
    scene.advance(secs(6));
    if scene.out(is_revoke) {
        scene.answer(
            is_revoke,
            Answer::Revoke(RevokeAnswer::Failed(fault(FaultKind::Offline))),
        );
    }
    scene.start_pairing(false);
    assert!(
        scene.out(is_revoke) && !scene.out(is_code),
        "the old pairing's end first"
    );
    scene.answer(
        is_revoke,
        Answer::Revoke(RevokeAnswer::Failed(fault(FaultKind::Offline))),
    );
    assert!(scene.out(is_code), "then the code, whatever came of it");
    scene.show_code();
    scene.advance(secs(60));
    assert!(!scene.out(is_revoke), "later it could hit the new pairing");
    scene.poll(PollAnswer::Granted(grant(2)));
    assert!(scene.revocations.is_empty());
}

#[test]
fn unpair_while_a_new_pairing_is_being_written_undoes_it() {
    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    scene.show_code();
    scene.advance(secs(5));
    scene.hold_stores = true;
    scene.poll(PollAnswer::Granted(grant(1)));
    let call = scene.call(Command::Unpair);
    scene.hold_stores = false;
    scene.finish_store();
    scene.event(Event::Tick);
    assert_eq!(scene.reply(call), Some(&Ok(Reply::Done)));
    assert!(!scene.core.snapshot().paired);
    assert_eq!(revoked_token(&mut scene), "r1");
}

#[test]
fn a_failed_unpair_keeps_what_a_late_poll_brought_meanwhile() {
    let mut scene = Scene::paired();
    scene.start_pairing(true);
    scene.show_code();
    scene.advance(secs(5));
    scene.hold_stores = true;
    let call = scene.call(Command::Unpair);
    scene.poll(PollAnswer::Granted(grant(2)));
    scene.disk_works = false;
    while scene.reply(call).is_none() {
        scene.finish_store();
    }
    assert_eq!(scene.error(call), CallError::StorageFailed);
    scene.disk_works = true;
    while scene.stores_pending() {
        scene.finish_store();
    }
    scene.hold_stores = false;
    scene.advance(secs(120));
    assert!(!scene.out(is_revoke), "at the server it may be the living one");
    assert!(scene.on_disk().candidate.is_some());
    scene.probed(ResourceAnswer::Unauthorized);
    let served = scene.get_token(None);
    assert_eq!(scene.token(served), "a2");
    assert!(scene.revocations.is_empty());
}

#[test]
fn a_refresh_that_failed_while_a_tombstone_did_is_not_tried_at_once() {
    let mut scene = Scene::paired();
    scene.advance(secs(28_800 * 83 / 100));
    scene.prepare(PrepareAnswer::Ready);
    scene.hold_stores = true;
    scene.disk_works = false;
    let call = scene.call(Command::Unpair);
    scene.refresh(RefreshAnswer::Failed(Fault {
        kind: FaultKind::RateLimited,
        retry_after: Some(secs(90)),
    }));
    while scene.reply(call).is_none() {
        scene.finish_store();
    }
    scene.disk_works = true;
    scene.hold_stores = false;
    scene.advance(secs(89));
    assert!(!scene.out(is_prepare), "not before the server's wish");
    scene.advance(secs(900));
    assert!(scene.out(is_prepare));
}

#[test]
fn a_flow_that_could_not_be_removed_is_told_although_another_follows() {
    let mut before = Scene::paired();
    before.call(Command::Unpair);
    let mut scene = before.restart();
    scene.answer(is_revoke, Answer::Revoke(RevokeAnswer::Done));
    scene.start_pairing(false);
    scene.show_code();
    scene.advance(secs(6));
    scene.hold_stores = true;
    let call = scene.call(Command::Unpair);
    scene.disk_works = false;
    scene.finish_store();
    scene.start_pairing(false);
    scene.show_code();
    scene.disk_works = true;
    while scene.stores_pending() {
        scene.finish_store();
    }
    assert_eq!(scene.error(call), CallError::StorageFailed);
}

#[test]
fn a_disk_that_hangs_does_not_hang_its_callers() {
    let mut scene = Scene::paired();
    scene.hold_stores = true;
    let first = scene.call(Command::Unpair);
    scene.advance(secs(5));
    let second = scene.call(Command::Unpair);
    scene.advance(secs(15));
    assert_eq!(scene.error(first), CallError::Timeout);
    assert!(scene.reply(second).is_none());
    scene.advance(secs(5));
    assert_eq!(scene.error(second), CallError::Timeout);
    while scene.stores_pending() {
        scene.finish_store();
    }
    assert_eq!(scene.state().1, Reason::Unpaired, "the work goes on");

    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    scene.show_code();
    scene.hold_stores = true;
    let cancel = scene.call(Command::CancelPairing);
    scene.advance(secs(20));
    assert_eq!(scene.error(cancel), CallError::Timeout);
}
