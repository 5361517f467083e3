//! The cost of a fault of a refresh: a wait, and never the pairing.

use super::refreshing::{due, sent};
use super::*;

#[test]
fn no_fault_touches_the_credential_on_disk() {
    let kinds = [
        FaultKind::Offline,
        FaultKind::ClockNotSet,
        FaultKind::Untrusted,
        FaultKind::Lost,
        FaultKind::Garbled,
        FaultKind::RateLimited,
        FaultKind::Refused,
    ];
    for kind in kinds {
        let mut fixture = sent();
        let before = fixture.on_disk().pair.clone();
        fixture.refresh(RefreshAnswer::Failed(fault(kind)));
        assert_eq!(fixture.on_disk().pair, before, "{kind:?}");
        assert!(fixture.core.snapshot().paired, "{kind:?}");
        // The server comes back to its senses.
        if fixture.out(is_probe) {
            fixture.alive();
        }
        fixture.advance(secs(3600));
        if fixture.out(is_probe) {
            fixture.alive();
            fixture.advance(secs(900));
        }
        fixture.refresh_to(2);
        assert_eq!(
            fixture.core.snapshot().generation,
            Generation(2),
            "{kind:?}: recovers by itself"
        );
    }
}

#[test]
fn a_server_that_asks_for_patience_gets_it_in_the_advisory_window_only() {
    let mut fixture = due();
    fixture.prepare(PrepareAnswer::Busy(fault(FaultKind::RateLimited)));
    assert!(!fixture.out(is_refresh), "postponed");
    fixture.advance(secs(3600 * 3));
    let call = fixture.get_token(None);
    fixture.prepare(PrepareAnswer::Busy(fault(FaultKind::RateLimited)));
    assert!(fixture.out(is_refresh), "callers are short of a token");
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(fixture.token(call), "a2");
}

#[test]
fn retry_after_is_honoured_even_when_a_caller_waits() {
    let mut fixture = sent();
    let asks_to_wait = Fault {
        kind: FaultKind::RateLimited,
        retry_after: Some(secs(3 * 3600)),
    };
    fixture.refresh(RefreshAnswer::Failed(asks_to_wait));
    fixture.advance(secs(3 * 3600 - 60));
    let call = fixture.get_token(None);
    assert_eq!(
        fixture.error(call),
        CallError::ServerError,
        "told at once: no try can start in its time"
    );
    assert!(!fixture.out(is_prepare));
    fixture.advance(secs(61));
    assert!(fixture.out(is_prepare));
}

#[test]
fn a_lost_answer_deletes_nothing_and_the_same_token_is_sent_again() {
    let mut fixture = sent();
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
    assert!(
        fixture.out(is_probe),
        "the old access token tells whether the server acted"
    );
    fixture.alive();
    let call = fixture.get_token(None);
    assert_eq!(fixture.token(call), "a1");
    fixture.advance(Duration::from_millis(39_900));
    assert!(!fixture.out(is_prepare), "the server may still be at it");
    fixture.advance(secs(60));
    assert!(!fixture.out(is_prepare), "a probe goes before the resend");
    fixture.unresolved();
    fixture.prepare(PrepareAnswer::Ready);
    assert_eq!(fixture.on_disk().mark.map(|mark| mark.sends), Some(2));
    match fixture.take(is_refresh) {
        Some((_, Request::Refresh { token, .. })) => assert_eq!(token.expose(), "r1"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_lost_after_the_server_committed_is_said_in_words() {
    let mut fixture = sent();
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
    fixture.probed(ProbeAnswer::Rejected);
    assert_eq!(
        fixture.core.snapshot().token,
        TokenState::Stale,
        "a dead token is not served"
    );
    let early = fixture.get_token(None);
    assert_eq!(
        fixture.error(early),
        CallError::Offline,
        "the resend lies beyond its time: told at once"
    );
    fixture.advance(secs(40));
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::InvalidGrant);
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::RefreshAnswerLost));
    assert!(fixture.core.snapshot().attention);
    assert!(matches!(
        fixture.record.as_ref().unwrap().body,
        Body::Tombstone(Reason::RefreshAnswerLost)
    ));
    assert!(!fixture.out(is_revoke), "there is nothing left to revoke");
    let call = fixture.get_token(None);
    assert_eq!(fixture.error(call), CallError::NotPaired);
    fixture.advance(secs(10));
    fixture.pair(5);
    assert_eq!(
        fixture.core.snapshot().generation,
        Generation(2),
        "and pairs again without a restart"
    );
}

#[test]
fn a_send_that_never_left_is_not_counted() {
    let mut fixture = sent();
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Offline)));
    fixture.advance(secs(30));
    assert!(fixture.out(is_prepare), "an ordinary retry, not a resend");
    fixture.prepare(PrepareAnswer::Ready);
    assert_eq!(fixture.on_disk().mark.map(|mark| mark.sends), Some(1));
    fixture.refresh(RefreshAnswer::InvalidGrant);
    assert_eq!(fixture.state().1, Reason::Revoked, "no answer of ours was lost");
}

#[test]
fn a_refused_resend_leaves_the_first_send_in_doubt() {
    let mut fixture = sent();
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
    fixture.alive();
    fixture.advance(secs(40));
    fixture.unresolved();
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Refused)));
    fixture.advance(secs(40));
    fixture.unresolved();
    fixture.advance(secs(3600));
    if fixture.out(is_probe) {
        fixture.unresolved();
    }
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::InvalidGrant);
    assert_eq!(fixture.state().1, Reason::RefreshAnswerLost);
}

#[test]
fn only_a_verdict_ends_a_pairing_however_long_it_is_offline() {
    let mut fixture = due();
    for _ in 0..(20 * 24) {
        if fixture.out(is_prepare) {
            fixture.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
        }
        fixture.advance(secs(3600));
    }
    assert!(fixture.core.snapshot().paired, "20 days offline are no verdict");
    assert!(fixture.core.snapshot().attention);
    let days: Vec<u64> = fixture
        .events
        .iter()
        .filter_map(|event| {
            if let LogEvent::RefreshTokenAging { age } = event {
                Some(age.as_secs() / (24 * 3600))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(days, [10, 12, 13]);
    while !fixture.out(is_prepare) {
        fixture.advance(secs(60));
    }
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::InvalidGrant);
    assert_eq!(fixture.state().1, Reason::RefreshTokenExpired);
}

/// On demand nothing is due by itself, so that every send after the first would be a resend.
pub(super) fn lost_on_demand() -> Fixture {
    let mut fixture = Fixture::paired_with(Policy {
        refresh: RefreshMode::OnDemand,
        ..policy()
    });
    fixture.advance(secs(27_000));
    fixture.get_token(None);
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
    fixture
}

#[test]
fn a_2xx_after_the_server_gave_up_settles_a_lost_answer_without_a_send() {
    let mut fixture = lost_on_demand();
    fixture.alive();
    assert!(
        fixture.on_disk().mark.is_some(),
        "too early to say more than that it serves"
    );
    fixture.advance(secs(39));
    assert!(fixture.requests.is_empty());
    fixture.advance(secs(1));
    fixture.alive();
    assert_eq!(fixture.on_disk().mark, None);
    fixture.advance(secs(600));
    assert!(fixture.requests.is_empty());
    let call = fixture.get_token(None);
    assert_eq!(fixture.token(call), "a1");
    fixture.prepare(PrepareAnswer::Ready);
    assert_eq!(
        fixture.on_disk().mark.map(|mark| mark.sends),
        Some(1),
        "a first send again"
    );
    fixture.refresh(RefreshAnswer::InvalidGrant);
    assert_eq!(fixture.state().1, Reason::Revoked, "no answer was lost");
}

#[test]
fn a_2xx_to_a_question_from_before_that_settles_nothing() {
    let mut fixture = lost_on_demand();
    fixture.alive();
    fixture.advance(secs(35));
    fixture.reject(UPLOADER, 1);
    assert!(fixture.out(is_probe));
    fixture.advance(secs(10));
    assert!(!fixture.out(is_prepare), "its answer is waited for");
    fixture.alive();
    assert!(fixture.on_disk().mark.is_some());
    assert!(fixture.out(is_probe), "and it is asked again");
    fixture.alive();
    assert_eq!(fixture.on_disk().mark, None);
}

#[test]
fn who_is_short_of_a_token_does_not_wait_for_the_probe() {
    let mut fixture = sent();
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
    fixture.probed(ProbeAnswer::Rejected);
    fixture.advance(secs(35));
    let call = fixture.get_token(None);
    fixture.advance(secs(5));
    assert!(fixture.out(is_prepare) && !fixture.out(is_probe));
    fixture.refresh_to(2);
    assert_eq!(fixture.token(call), "a2");
}

/// Until the server has given up on the send: no connection can be had, and a 2xx settles nothing.
fn resolves_after(fixture: &mut Fixture, wait: Duration) {
    let end = fixture.now.after(wait);
    while fixture.now < end {
        if fixture.out(is_prepare) {
            fixture.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
        }
        if fixture.out(is_probe) {
            fixture.alive();
        }
        assert!(fixture.on_disk().mark.is_some(), "the server may still be at it");
        fixture.advance(secs(1));
    }
    fixture.alive();
    assert_eq!(fixture.on_disk().mark, None);
}

#[test]
fn a_2xx_settles_nothing_before_the_server_has_given_up_whatever_replay_after_says() {
    for replay_after in [1, 20, 39, 40] {
        let mut fixture = Fixture::paired_with(Policy {
            refresh: RefreshMode::OnDemand,
            replay_after: secs(replay_after),
            ..policy()
        });
        fixture.advance(secs(27_000));
        fixture.get_token(None);
        fixture.prepare(PrepareAnswer::Ready);
        fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
        fixture.alive();
        resolves_after(&mut fixture, secs(40));
    }
}

#[test]
fn a_resend_that_comes_before_a_2xx_can_settle_waits_for_no_probe() {
    let mut fixture = Fixture::paired_with(Policy {
        replay_after: secs(2),
        ..policy()
    });
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
    fixture.alive();
    // The pace of retries allows it by then.
    fixture.advance(secs(15));
    assert!(!fixture.out(is_probe));
    fixture.refresh_to(2);
    assert_eq!(fixture.on_disk().mark, None);
}

#[test]
fn a_mark_of_another_boot_is_not_settled_before_the_process_is_40_seconds_old() {
    // Where a boot has no identity each start is «another boot», and the send may be of a moment
    // ago.
    let mut fixture = lost_on_demand();
    fixture.alive();
    let uptime = fixture.now.as_millis() + 1_000;
    let on_demand = Policy {
        refresh: RefreshMode::OnDemand,
        ..policy()
    };
    let boot = BootId([2; 16]);
    let mut restarted = Fixture::start(on_demand, Provisioning::Ready, fixture.stored(), boot, uptime, true);
    assert!(restarted.out(is_probe));
    resolves_after(&mut restarted, secs(40));
}
