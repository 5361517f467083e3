//! `RejectAccessToken` where nobody can be asked: a client's word is worth one refresh within the
//! limit, and nothing else.

use super::*;

/// Where there is no resource to ask, as at the standard kinds.
fn without_probe() -> Policy {
    Policy {
        can_probe: false,
        ..policy()
    }
}

/// Paired, and both uploaders hold generation 1.
fn handed() -> Fixture {
    let mut fixture = Fixture::paired().reboot_with(without_probe(), true);
    for caller in [UPLOADER, OTHER] {
        assert_eq!(fetched(&mut fixture, caller), "a1");
    }
    fixture
}

fn asks(fixture: &mut Fixture, caller: u32) -> CallId {
    fixture.get_as(client(caller))
}

/// The token that this caller gets at once.
fn fetched(fixture: &mut Fixture, caller: u32) -> String {
    let call = asks(fixture, caller);
    fixture.token(call).to_owned()
}

/// True if a refresh begins within the longest pause that retries have while the token serves.
fn soon(fixture: &mut Fixture) -> bool {
    (0..15 * 60).any(|_| {
        fixture.advance(secs(1));
        fixture.out(is_prepare)
    })
}

fn rejects(fixture: &mut Fixture, caller: u32, generation: u64) {
    let call = fixture.reject(caller, generation);
    assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
}

#[test]
fn a_rejection_does_not_decide_which_of_two_pairs_lives() {
    let answers = [
        (RefreshAnswer::Granted(grant(3)), "a3"),
        (RefreshAnswer::InvalidGrant, "a2"),
    ];
    for (answer, survivor) in answers {
        let mut fixture = Fixture::paired().reboot_with(without_probe(), true);
        fixture.approved_after_a_cancel(2);
        assert!(fixture.on_disk().candidate.is_some());
        let handed = fixture.get_token(None);
        assert_eq!(fixture.token(handed), "a1");
        let call = fixture.reject(UPLOADER, 1);
        assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
        assert_eq!(fixture.access_on_disk(), "a1", "the cancelled pair waits");
        fixture.prepare(PrepareAnswer::Ready);
        fixture.refresh(answer);
        assert_eq!(fixture.access_on_disk(), survivor);
        assert!(fixture.on_disk().candidate.is_none());
    }
}

#[test]
fn who_rejected_waits_for_the_next_token_and_nobody_else_does() {
    let mut fixture = handed();
    rejects(&mut fixture, UPLOADER, 1);
    let waiting = asks(&mut fixture, UPLOADER);
    assert!(fixture.reply(waiting).is_none(), "the next one is on its way");
    assert_eq!(fetched(&mut fixture, OTHER), "a1");
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(fixture.token(waiting), "a2");
    assert_eq!(fetched(&mut fixture, OTHER), "a2");
}

#[test]
fn a_rejected_token_serves_on_while_no_other_can_be_had() {
    let mut fixture = handed();
    rejects(&mut fixture, UPLOADER, 1);
    let waiting = asks(&mut fixture, UPLOADER);
    fixture.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
    assert_eq!(fixture.token(waiting), "a1", "better than an error");
    assert_eq!(fetched(&mut fixture, OTHER), "a1");
    assert!(soon(&mut fixture), "the wish outlives the failure");
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(fetched(&mut fixture, UPLOADER), "a2");
}

#[test]
fn who_insists_takes_the_token_from_nobody() {
    let mut fixture = handed();
    rejects(&mut fixture, UPLOADER, 1);
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    for _ in 0..3 {
        assert_eq!(fetched(&mut fixture, UPLOADER), "a2");
        rejects(&mut fixture, UPLOADER, 2);
        fixture.advance(secs(60));
        assert!(!fixture.out(is_prepare), "within the limit");
        assert_eq!(fetched(&mut fixture, OTHER), "a2");
    }
    fixture.advance(secs(600 - 180));
    assert!(fixture.out(is_prepare), "delayed, never forgotten");
}

#[test]
fn a_rejection_outlives_the_failure_of_a_refresh_that_was_out() {
    for rejected in [false, true] {
        // Nothing but a caller, or a rejection, starts a refresh.
        let mut fixture = Fixture::paired().reboot_with(
            Policy {
                refresh: RefreshMode::OnDemand,
                ..without_probe()
            },
            true,
        );
        fixture.advance(secs(28_800 * 80 / 100));
        let short = fixture.get_token(Some(secs(7_200)));
        fixture.prepare(PrepareAnswer::Ready);
        assert!(fixture.out(is_refresh));
        if rejected {
            rejects(&mut fixture, UPLOADER, 1);
        }
        // Later than the caller can wait for.
        let refused = Fault {
            retry_after: Some(secs(60)),
            ..fault(FaultKind::Refused)
        };
        fixture.refresh(RefreshAnswer::Failed(refused));
        assert!(fixture.reply(short).is_some());
        assert_eq!(soon(&mut fixture), rejected);
    }
}

#[test]
fn a_token_that_nobody_rejected_until_its_ordinary_refresh_ends_the_doubling() {
    let mut fixture = handed();
    let renewed = |fixture: &mut Fixture, generation: u32| {
        fixture.prepare(PrepareAnswer::Ready);
        fixture.refresh(RefreshAnswer::Granted(grant(generation)));
        assert_eq!(fetched(fixture, UPLOADER), format!("a{generation}"));
    };
    let waited = |fixture: &mut Fixture, generation: u64| {
        let since = fixture.now;
        rejects(fixture, UPLOADER, generation);
        while !fixture.out(is_prepare) {
            fixture.advance(secs(1));
        }
        fixture.now.since(since)
    };
    waited(&mut fixture, 1);
    renewed(&mut fixture, 2);
    assert_eq!(waited(&mut fixture, 2), secs(600));
    renewed(&mut fixture, 3);
    fixture.advance(secs(28_800 * 83 / 100));
    renewed(&mut fixture, 4);
    waited(&mut fixture, 4);
    renewed(&mut fixture, 5);
    assert_eq!(waited(&mut fixture, 5), secs(600), "as if for the first time");
}

#[test]
fn a_rejection_ends_no_pairing_that_cannot_be_refreshed() {
    let mut paired = Fixture::paired();
    if let Body::Paired(pairing) = &mut paired.record.as_mut().unwrap().body {
        pairing.pair.refresh = None;
    }
    let mut fixture = paired.reboot_with(without_probe(), true);
    let before = fixture.core.snapshot().clone();
    for caller in [UPLOADER, OTHER] {
        assert_eq!(fetched(&mut fixture, caller), "a1");
        rejects(&mut fixture, caller, 1);
        rejects(&mut fixture, caller, 1);
    }
    assert_eq!(fetched(&mut fixture, UPLOADER), "a1");
    assert_eq!(*fixture.core.snapshot(), before);
    assert_eq!(fixture.access_on_disk(), "a1");
    let told = fixture
        .events
        .iter()
        .filter(|event| matches!(event, LogEvent::ReportUnverified { .. }))
        .count();
    assert_eq!(told, 2, "once for each of the two callers");
}

/// Seconds until the next resend, after as many lost answers; `rejected` each time by that caller.
fn resends(rejected: [Option<u32>; 5]) -> Vec<u64> {
    let mut fixture = handed();
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    let mut waits = vec![];
    for caller in rejected {
        fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
        let lost = fixture.now;
        if let Some(caller) = caller {
            rejects(&mut fixture, caller, 1);
        }
        while !fixture.out(is_prepare) {
            fixture.advance(secs(1));
        }
        waits.push(fixture.now.since(lost).as_secs());
        fixture.prepare(PrepareAnswer::Ready);
    }
    waits
}

#[test]
fn a_rejection_after_a_lost_answer_hastens_one_resend_and_no_client_sets_the_pace() {
    let patient = resends([None; 5]);
    assert!(patient[3] >= 320 && patient[4] >= 640, "{patient:?}");
    let early = resends([None, None, None, Some(UPLOADER), Some(OTHER)]);
    assert_eq!(early[..3], patient[..3]);
    assert!((40..320).contains(&early[3]), "{early:?}");
    assert!(early[4] >= 640, "{early:?}");
}
