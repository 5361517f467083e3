//! Giving a pairing up: the disk, the answer, then the server.

mod failing;

use super::*;

fn revoked_token(fixture: &mut Fixture) -> String {
    match fixture.take(is_revoke) {
        Some((_, Request::Revoke(Revocable::Refresh(token)))) => token.expose().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn unpair_is_durable_before_it_is_answered_and_revoked_afterwards() {
    let mut fixture = Fixture::paired();
    fixture.hold_stores = true;
    let call = fixture.call(Command::Unpair);
    assert!(fixture.reply(call).is_none());
    assert!(!fixture.out(is_revoke), "the server hears of it afterwards");
    let served = fixture.get_token(None);
    assert_eq!(fixture.token(served), "a1", "nothing has changed yet");
    fixture.finish_store();
    assert_eq!(
        fixture.revocations.len(),
        1,
        "the token to revoke is on disk before the tombstone"
    );
    fixture.finish_store();
    assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::Unpaired));
    assert!(!fixture.core.snapshot().attention, "nobody has to do anything");
    let served = fixture.get_token(None);
    assert_eq!(fixture.error(served), CallError::NotPaired);
    assert_eq!(revoked_token(&mut fixture), "r1");
}

#[test]
fn a_revocation_is_tried_until_it_is_answered_also_across_restarts() {
    let mut fixture = Fixture::paired();
    fixture.call(Command::Unpair);
    fixture.answer(
        is_revoke,
        Answer::Revoke(RevokeAnswer::Failed(fault(FaultKind::Offline))),
    );
    fixture.advance(secs(3600));
    assert!(fixture.out(is_revoke));
    let mut restarted = fixture.restart();
    restarted.answer(is_revoke, Answer::Revoke(RevokeAnswer::Done));
    assert!(restarted.revocations.is_empty());
    restarted.advance(secs(24 * 3600));
    assert!(restarted.requests.is_empty());
}

#[test]
fn a_revocation_is_given_up_at_the_tokens_end() {
    let mut fixture = Fixture::paired();
    fixture.call(Command::Unpair);
    for _ in 0..(15 * 24) {
        if fixture.out(is_revoke) {
            fixture.answer(
                is_revoke,
                Answer::Revoke(RevokeAnswer::Failed(fault(FaultKind::Offline))),
            );
        }
        fixture.advance(secs(3600));
    }
    assert!(fixture.requests.is_empty());
    assert!(fixture.revocations.is_empty());
    assert!(fixture.events.contains(&LogEvent::RevocationDropped));
}

#[test]
fn a_tombstone_that_cannot_be_written_changes_nothing() {
    let mut fixture = Fixture::paired();
    fixture.disk_works = false;
    let call = fixture.call(Command::Unpair);
    assert_eq!(fixture.error(call), CallError::StorageFailed);
    assert!(fixture.core.snapshot().paired);
    let served = fixture.get_token(None);
    assert_eq!(fixture.token(served), "a1");
    fixture.disk_works = true;
    fixture.advance(secs(120));
    assert!(!fixture.out(is_revoke), "the server is not told either");
    assert!(fixture.revocations.is_empty());
    assert!(fixture.restart().core.snapshot().paired);
}

#[test]
fn a_crash_between_list_and_tombstone_leaves_the_pairing_alive() {
    let mut fixture = Fixture::paired();
    fixture.hold_stores = true;
    fixture.call(Command::Unpair);
    fixture.finish_store();
    assert_eq!(fixture.revocations.len(), 1);
    let mut restarted = fixture.restart();
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
        (RefreshAnswer::InvalidGrant, "r1"),
    ];
    for (answer, newest) in outcomes {
        let mut fixture = Fixture::paired();
        fixture.advance(secs(28_800 * 83 / 100));
        fixture.prepare(PrepareAnswer::Ready);
        let call = fixture.call(Command::Unpair);
        assert_eq!(
            fixture.reply(call),
            Some(&Ok(Reply::Done)),
            "nobody waits for the network"
        );
        assert!(fixture.out(is_refresh), "never cancelled");
        assert!(!fixture.out(is_revoke));
        fixture.refresh(answer);
        assert!(
            matches!(fixture.record.as_ref().unwrap().body, Body::Tombstone(_)),
            "nothing resurrects the pairing"
        );
        assert_eq!(revoked_token(&mut fixture), newest);
    }
}

#[test]
fn a_failed_unpair_keeps_what_a_refresh_brought_meanwhile() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    fixture.hold_stores = true;
    let call = fixture.call(Command::Unpair);
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    fixture.disk_works = false;
    fixture.finish_store();
    fixture.finish_store();
    assert_eq!(fixture.error(call), CallError::StorageFailed);
    let waiting = fixture.get_token(None);
    assert!(
        fixture.reply(waiting).is_none(),
        "the old token is dead, the new one not yet on disk"
    );
    fixture.disk_works = true;
    fixture.hold_stores = false;
    fixture.event(Event::Tick);
    assert_eq!(fixture.token(waiting), "a2");
    let served = fixture.get_token(None);
    assert_eq!(fixture.token(served), "a2");
    assert_eq!(fixture.access_on_disk(), "a2");
}

#[test]
fn unpair_ends_a_running_flow_first() {
    let mut fixture = Fixture::paired();
    let start = fixture.start_pairing(true);
    fixture.call(Command::Unpair);
    assert_eq!(fixture.error(start), CallError::NoPairing);
    assert!(fixture.flow.is_none());
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::Unpaired));
}

#[test]
fn unpair_is_idempotent() {
    let mut fixture = Fixture::unpaired();
    let call = fixture.call(Command::Unpair);
    assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
    assert_eq!(fixture.stores, 0, "flash is not worn for nothing");
}

#[test]
fn a_pending_revocation_goes_before_the_next_code_and_is_dropped_once_paired() {
    let mut fixture = Fixture::paired();
    fixture.call(Command::Unpair);
    fixture.answer(
        is_revoke,
        Answer::Revoke(RevokeAnswer::Failed(fault(FaultKind::Offline))),
    );
    fixture.advance(secs(6));
    if fixture.out(is_revoke) {
        fixture.answer(
            is_revoke,
            Answer::Revoke(RevokeAnswer::Failed(fault(FaultKind::Offline))),
        );
    }
    fixture.start_pairing(false);
    assert!(
        fixture.out(is_revoke) && !fixture.out(is_code),
        "the old pairing's end first"
    );
    fixture.answer(
        is_revoke,
        Answer::Revoke(RevokeAnswer::Failed(fault(FaultKind::Offline))),
    );
    assert!(fixture.out(is_code), "then the code, whatever came of it");
    fixture.show_code();
    fixture.advance(secs(60));
    assert!(!fixture.out(is_revoke), "later it could hit the new pairing");
    fixture.poll(PollAnswer::Granted(grant(2)));
    assert!(fixture.revocations.is_empty());
}

#[test]
fn unpair_while_a_new_pairing_is_being_written_undoes_it() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.hold_stores = true;
    fixture.poll(PollAnswer::Granted(grant(1)));
    let call = fixture.call(Command::Unpair);
    fixture.hold_stores = false;
    fixture.finish_store();
    fixture.event(Event::Tick);
    assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
    assert!(!fixture.core.snapshot().paired);
    assert_eq!(revoked_token(&mut fixture), "r1");
}

#[test]
fn a_failed_unpair_keeps_what_a_late_poll_brought_meanwhile() {
    let mut fixture = Fixture::paired();
    fixture.start_pairing(true);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.hold_stores = true;
    let call = fixture.call(Command::Unpair);
    fixture.poll(PollAnswer::Granted(grant(2)));
    fixture.disk_works = false;
    while fixture.reply(call).is_none() {
        fixture.finish_store();
    }
    assert_eq!(fixture.error(call), CallError::StorageFailed);
    fixture.disk_works = true;
    while fixture.stores_pending() {
        fixture.finish_store();
    }
    fixture.hold_stores = false;
    fixture.advance(secs(120));
    assert!(!fixture.out(is_revoke), "at the server it may be the living one");
    assert!(fixture.on_disk().candidate.is_some());
    fixture.probed(ProbeAnswer::Rejected);
    let served = fixture.get_token(None);
    assert_eq!(fixture.token(served), "a2");
    assert!(fixture.revocations.is_empty());
}

#[test]
fn a_refresh_that_failed_while_a_tombstone_did_is_not_tried_at_once() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    fixture.hold_stores = true;
    fixture.disk_works = false;
    let call = fixture.call(Command::Unpair);
    fixture.refresh(RefreshAnswer::Failed(Fault {
        kind: FaultKind::RateLimited,
        retry_after: Some(secs(90)),
    }));
    while fixture.reply(call).is_none() {
        fixture.finish_store();
    }
    fixture.disk_works = true;
    fixture.hold_stores = false;
    fixture.advance(secs(89));
    assert!(!fixture.out(is_prepare), "not before the server's wish");
    fixture.advance(secs(900));
    assert!(fixture.out(is_prepare));
}

#[test]
fn a_flow_that_could_not_be_removed_is_told_although_another_follows() {
    let mut before = Fixture::paired();
    before.call(Command::Unpair);
    let mut fixture = before.restart();
    fixture.answer(is_revoke, Answer::Revoke(RevokeAnswer::Done));
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(6));
    fixture.hold_stores = true;
    let call = fixture.call(Command::Unpair);
    fixture.disk_works = false;
    fixture.finish_store();
    fixture.start_pairing(false);
    fixture.disk_works = true;
    while fixture.stores_pending() {
        fixture.finish_store();
    }
    assert!(fixture.out(is_code));
    assert_eq!(fixture.error(call), CallError::FlowNotRemoved);
}

#[test]
fn a_disk_that_hangs_does_not_hang_its_callers() {
    let mut fixture = Fixture::paired();
    fixture.hold_stores = true;
    let first = fixture.call(Command::Unpair);
    fixture.advance(secs(5));
    let second = fixture.call(Command::Unpair);
    fixture.advance(secs(15));
    assert_eq!(fixture.error(first), CallError::Timeout);
    assert!(fixture.reply(second).is_none());
    fixture.advance(secs(5));
    assert_eq!(fixture.error(second), CallError::Timeout);
    while fixture.stores_pending() {
        fixture.finish_store();
    }
    assert_eq!(fixture.state().1, Reason::Unpaired, "the work goes on");

    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.hold_stores = true;
    let cancel = fixture.call(Command::CancelPairing);
    fixture.advance(secs(20));
    assert_eq!(fixture.error(cancel), CallError::Timeout);
}
