//! An entry that a living pairing spares stays on the list until the record of that pairing is on
//! disk: a crash before that may find a tombstone, and then nothing else knows the grant.

use super::*;

/// Two pairs in the record, and a probe out that tells which of them lives.
fn with_candidate(policy: Policy) -> Fixture {
    let mut fixture = Fixture::paired_with(policy);
    fixture.approved_after_a_cancel(2);
    assert!(fixture.on_disk().candidate.is_some());
    fixture
}

/// `Unpair`, whose tombstone is told as failed, but may be there.
fn failed_unpair(fixture: &mut Fixture, there: bool) {
    fixture.hold_stores = true;
    let call = fixture.call(Command::Unpair);
    while !matches!(fixture.oldest_store(), Some(Store::Record { .. })) {
        fixture.finish_store();
    }
    fixture.end_store(there, false);
    assert_eq!(fixture.error(call), CallError::StorageFailed);
}

/// The power goes now: either the pairing is there and nothing is revoked, or each of these tokens
/// is.
fn survives_a_crash(fixture: &Fixture, tokens: &[&str]) {
    for mut after in [fixture.restart(), fixture.reboot(true)] {
        after.advance(secs(3600));
        if after.core.snapshot().paired {
            assert!(!after.out(is_revoke) && after.revocations.is_empty());
            continue;
        }
        let mut revoked: Vec<_> = tokens.iter().map(|_| revoke(&mut after)).collect();
        revoked.sort();
        assert_eq!(revoked, tokens);
    }
}

/// The server is told of one token, and forgets it.
fn revoke(fixture: &mut Fixture) -> String {
    let (op, request) = fixture.take(is_revoke).expect("a revocation is out");
    let answer = Answer::Revoke(RevokeAnswer::Done);
    fixture.event(Event::Answered { op, date: None, answer });
    match request {
        Request::Revoke(Revocable::Refresh(token)) => token.expose().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Each write ends, with a crash after each.
fn finish_stores(fixture: &mut Fixture, tokens: &[&str]) {
    survives_a_crash(fixture, tokens);
    while fixture.stores_pending() {
        fixture.finish_store();
        survives_a_crash(fixture, tokens);
    }
}

/// The disk works again: the pairing stands, and nothing is left to revoke.
fn stands(fixture: &mut Fixture, access: &str, tokens: &[&str]) {
    finish_stores(fixture, tokens);
    for _ in 0..120 {
        fixture.advance(secs(1));
        finish_stores(fixture, tokens);
    }
    assert!(!fixture.out(is_revoke));
    assert!(fixture.revocations.is_empty());
    assert_eq!(fixture.access_on_disk(), access);
    assert!(
        fixture
            .older
            .as_ref()
            .unwrap()
            .same_tokens(fixture.record.as_ref().unwrap())
    );
}

#[test]
fn a_failed_unpair_leaves_its_list_until_the_pairing_is_on_disk_again() {
    for there in [false, true] {
        let mut fixture = Fixture::paired();
        failed_unpair(&mut fixture, there);
        stands(&mut fixture, "a1", &["r1"]);
    }
}

#[test]
fn the_list_of_a_failed_unpair_outlives_the_end_of_a_candidate() {
    for there in [false, true] {
        let mut fixture = with_candidate(policy());
        failed_unpair(&mut fixture, there);
        fixture.probed(ProbeAnswer::Accepted(None));
        stands(&mut fixture, "a1", &["r1", "r2"]);
    }
}

#[test]
fn the_list_of_a_failed_unpair_stays_while_the_disk_takes_lists_alone() {
    let mut fixture = Fixture::paired();
    failed_unpair(&mut fixture, true);
    for _ in 0..120 {
        fixture.advance(secs(1));
        while let Some(store) = fixture.oldest_store() {
            let list = matches!(store, Store::Revocations(_));
            fixture.end_store(list, list);
            survives_a_crash_of_power(&fixture);
        }
    }
    stands(&mut fixture, "a1", &["r1"]);
}

/// The record in the runtime directory goes with the power.
fn survives_a_crash_of_power(fixture: &Fixture) {
    let mut after = fixture.reboot(true);
    assert!(!after.core.snapshot().paired);
    assert_eq!(revoked_token(&mut after), "r1");
}

#[test]
fn a_list_that_fails_with_its_tombstone_leaves_nothing_behind() {
    for there in [false, true] {
        let mut fixture = Fixture::paired();
        fixture.hold_stores = true;
        let call = fixture.call(Command::Unpair);
        fixture.end_store(there, false);
        fixture.end_store(false, false);
        assert_eq!(fixture.error(call), CallError::StorageFailed);
        stands(&mut fixture, "a1", &["r1"]);
    }
}

#[test]
fn an_unpair_behind_a_failed_one_revokes_each_token_once() {
    for there in [false, true] {
        let mut fixture = with_candidate(policy());
        failed_unpair(&mut fixture, there);
        let call = fixture.call(Command::Unpair);
        finish_stores(&mut fixture, &["r1", "r2"]);
        assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
        assert_eq!(fixture.revocations.len(), 2);
        for token in ["r1", "r2"] {
            assert_eq!(revoke(&mut fixture), token);
        }
        finish_stores(&mut fixture, &[]);
        assert!(fixture.revocations.is_empty() && !fixture.out(is_revoke));
    }
}

#[test]
fn a_pairing_behind_a_failed_unpair_does_not_wait_for_its_list() {
    for (separate_grants, revoked) in [(false, None), (true, Some("r1"))] {
        let policy = Policy {
            separate_grants,
            ..policy()
        };
        let mut fixture = Fixture::paired_with(policy);
        failed_unpair(&mut fixture, true);
        fixture.hold_stores = false;
        fixture.start_pairing(true);
        fixture.advance(secs(120));
        fixture.show_code();
        fixture.advance(secs(5));
        assert!(!fixture.out(is_revoke));
        fixture.poll(PollAnswer::Granted(grant(2)));
        fixture.advance(secs(1));
        assert_eq!(fixture.access_on_disk(), "a2");
        let sent = fixture.out(is_revoke).then(|| revoked_token(&mut fixture));
        assert_eq!(sent.as_deref(), revoked);
        assert_eq!(fixture.revocations.len(), usize::from(revoked.is_some()));
    }
}

#[test]
fn the_refresh_of_a_failed_unpair_counts_for_its_pairing() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    failed_unpair(&mut fixture, false);
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    while fixture.stores_pending() {
        fixture.finish_store();
    }
    fixture.hold_stores = false;
    fixture.advance(secs(120));
    assert_eq!(fixture.access_on_disk(), "a2");
    assert!(fixture.revocations.is_empty() && !fixture.out(is_revoke));
    assert!(!fixture.inhibited);
}

#[test]
fn a_list_of_before_stays_until_the_new_pairing_is_on_disk() {
    let mut fixture = Fixture::paired();
    fixture.call(Command::Unpair);
    let offline = || Answer::Revoke(RevokeAnswer::Failed(fault(FaultKind::Offline)));
    fixture.answer(is_revoke, offline());
    fixture.start_pairing(false);
    fixture.advance(secs(5));
    fixture.answer(is_revoke, offline());
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.hold_stores = true;
    fixture.poll(PollAnswer::Granted(grant(2)));
    while let Some(store) = fixture.oldest_store() {
        let record = matches!(store, Store::Record { .. });
        fixture.end_store(!record, !record);
    }
    assert!(fixture.core.snapshot().paired, "memory serves");
    survives_a_crash_of_power(&fixture);
    let restarted = fixture.restart();
    assert!(restarted.core.snapshot().paired);
    assert_eq!(fixture.revocations.len(), 1);
    fixture.probed(ProbeAnswer::Accepted(None));
    stands(&mut fixture, "a2", &["r1"]);
}

#[test]
fn a_start_from_the_runtime_directory_keeps_the_list_until_the_disk_has_the_pairing() {
    let mut fixture = Fixture::paired();
    failed_unpair(&mut fixture, true);
    let list = fixture.revocations.clone();
    let record = Fixture::paired().record.unwrap();
    let stored = Stored {
        record: Loaded::Current(record),
        kept: Kept::Spilled,
        revocations: list,
        flow: None,
        writable: true,
    };
    let mut failing = Fixture::failing(stored, fixture.now);
    failing.hold_stores = true;
    for _ in 0..120 {
        failing.advance(secs(1));
        while let Some(store) = failing.oldest_store() {
            let list = matches!(store, Store::Revocations(_));
            failing.end_store(list, list);
        }
    }
    assert_eq!(failing.revocations.len(), 1);
    assert!(!failing.out(is_revoke));
    (failing.disk_works, failing.hold_stores) = (true, false);
    failing.advance(secs(120));
    assert!(failing.revocations.is_empty());
}

/// The disk takes lists, and nothing else; then the power goes.
fn revoked_after_a_power_cut(mut fixture: Fixture) -> Vec<String> {
    for _ in 0..120 {
        fixture.advance(secs(1));
        while let Some(store) = fixture.oldest_store() {
            let list = matches!(store, Store::Revocations(_));
            fixture.end_store(list, list);
        }
    }
    assert!(fixture.core.snapshot().paired && !fixture.out(is_revoke));
    let mut after = fixture.reboot(true);
    assert!(!after.core.snapshot().paired);
    let count = after.revocations.len();
    (0..count).map(|_| revoke(&mut after)).collect()
}

#[test]
fn the_list_of_a_failed_unpair_learns_what_a_refresh_brings() {
    for before_the_tombstone in [false, true] {
        let mut fixture = Fixture::paired();
        fixture.advance(secs(28_800 * 83 / 100));
        fixture.prepare(PrepareAnswer::Ready);
        if before_the_tombstone {
            fixture.hold_stores = true;
            fixture.call(Command::Unpair);
            while !matches!(fixture.oldest_store(), Some(Store::Record { .. })) {
                fixture.finish_store();
            }
            fixture.refresh(RefreshAnswer::Granted(grant(2)));
            fixture.end_store(true, false);
        } else {
            failed_unpair(&mut fixture, true);
            fixture.refresh(RefreshAnswer::Granted(grant(2)));
        }
        assert_eq!(revoked_after_a_power_cut(fixture), ["r2"]);
    }
}

#[test]
fn the_list_of_a_failed_unpair_learns_a_second_pair() {
    let mut fixture = Fixture::paired();
    fixture.start_pairing(true);
    fixture.show_code();
    fixture.advance(secs(5));
    failed_unpair(&mut fixture, true);
    fixture.poll(PollAnswer::Granted(grant(2)));
    assert_eq!(revoked_after_a_power_cut(fixture), ["r1", "r2"]);
}

/// There is nothing to revoke, and to try could take the residual token along.
#[test]
fn a_pairing_that_the_server_ends_after_a_failed_unpair_is_not_revoked() {
    for there in [false, true] {
        let mut fixture = Fixture::paired();
        fixture.advance(secs(28_800 * 83 / 100));
        fixture.prepare(PrepareAnswer::Ready);
        failed_unpair(&mut fixture, there);
        fixture.refresh(RefreshAnswer::InvalidGrant);
        assert!(!fixture.core.snapshot().paired && !fixture.out(is_revoke));
        fixture.probed(ProbeAnswer::Accepted(None));
        let call = fixture.get_token(None);
        assert_eq!(fixture.token(call), "a1");
        while fixture.stores_pending() {
            fixture.finish_store();
        }
        fixture.hold_stores = false;
        fixture.advance(secs(3600));
        assert!(!fixture.out(is_revoke) && fixture.revocations.is_empty());
    }
}
