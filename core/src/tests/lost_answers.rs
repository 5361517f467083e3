//! What a fault costs a refresh: a wait, and never the pairing.

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
        let mut scene = sent();
        let before = scene.on_disk().pair.clone();
        scene.refresh(RefreshAnswer::Failed(fault(kind)));
        assert_eq!(scene.on_disk().pair, before, "{kind:?}");
        assert!(scene.core.snapshot().paired, "{kind:?}");
        // The server comes back to its senses.
        if scene.out(is_identify) {
            scene.alive();
        }
        scene.advance(secs(3600));
        if scene.out(is_identify) {
            scene.alive();
            scene.advance(secs(900));
        }
        scene.refresh_to(2);
        assert_eq!(
            scene.core.snapshot().generation,
            Generation(2),
            "{kind:?}: recovers by itself"
        );
    }
}

#[test]
fn a_server_that_asks_for_patience_gets_it_in_the_advisory_window_only() {
    let mut scene = due();
    scene.prepare(PrepareAnswer::Busy(fault(FaultKind::RateLimited)));
    assert!(!scene.out(is_refresh), "postponed");
    scene.advance(secs(3600 * 3));
    let call = scene.get_token(None);
    scene.prepare(PrepareAnswer::Busy(fault(FaultKind::RateLimited)));
    assert!(scene.out(is_refresh), "callers are short of a token");
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(scene.token(call), "a2");
}

#[test]
fn retry_after_is_honoured_even_when_a_caller_waits() {
    let mut scene = sent();
    let patience = Fault {
        kind: FaultKind::RateLimited,
        retry_after: Some(secs(3 * 3600)),
    };
    scene.refresh(RefreshAnswer::Failed(patience));
    scene.advance(secs(3 * 3600 - 60));
    let call = scene.get_token(None);
    assert_eq!(
        scene.error(call),
        CallError::ServerError,
        "told at once: no try can start in its time"
    );
    assert!(!scene.out(is_prepare));
    scene.advance(secs(61));
    assert!(scene.out(is_prepare));
}

#[test]
fn a_lost_answer_deletes_nothing_and_the_same_token_is_sent_again() {
    let mut scene = sent();
    scene.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
    assert!(
        scene.out(is_identify),
        "the old access token tells whether the server acted"
    );
    scene.alive();
    let call = scene.get_token(None);
    assert_eq!(scene.token(call), "a1");
    scene.advance(Duration::from_millis(39_900));
    assert!(!scene.out(is_prepare), "the server may still be at it");
    scene.advance(secs(60));
    assert!(!scene.out(is_prepare), "a probe goes before the resend");
    scene.unsettled();
    scene.prepare(PrepareAnswer::Ready);
    assert_eq!(scene.on_disk().mark.map(|mark| mark.sends), Some(2));
    match scene.take(is_refresh) {
        Some((_, Request::Refresh { token, .. })) => assert_eq!(token.expose(), "r1"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn resends_double_their_distance_up_to_an_hour() {
    let mut scene = sent();
    let mut last = scene.now;
    let mut distances = vec![];
    for _ in 0..9 {
        scene.refresh(RefreshAnswer::Failed(fault(FaultKind::Garbled)));
        if scene.out(is_identify) {
            scene.alive();
        }
        while !scene.out(is_prepare) {
            if scene.out(is_identify) {
                scene.unsettled();
            } else {
                scene.advance(secs(1));
            }
        }
        scene.prepare(PrepareAnswer::Ready);
        distances.push(scene.now.since(last).as_secs());
        last = scene.now;
    }
    assert_eq!(distances[0], 40, "{distances:?}");
    assert!(distances.windows(2).all(|pair| pair[1] >= pair[0]), "{distances:?}");
    assert_eq!(distances[8], 3600, "{distances:?}");
}

#[test]
fn an_answer_lost_after_the_server_committed_is_said_in_words() {
    let mut scene = sent();
    scene.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
    scene.probed(ResourceAnswer::Unauthorized);
    assert_eq!(
        scene.core.snapshot().token,
        TokenState::Stale,
        "a dead token is not served"
    );
    let early = scene.get_token(None);
    assert_eq!(
        scene.error(early),
        CallError::Offline,
        "the resend lies beyond its time: told at once"
    );
    scene.advance(secs(40));
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Dead);
    assert_eq!(scene.state(), (PairingState::Unpaired, Reason::RefreshAnswerLost));
    assert!(scene.core.snapshot().attention);
    assert!(matches!(
        scene.record.as_ref().unwrap().body,
        Body::Tombstone(Reason::RefreshAnswerLost)
    ));
    assert!(!scene.out(is_revoke), "there is nothing left to revoke");
    let call = scene.get_token(None);
    assert_eq!(scene.error(call), CallError::NotPaired);
    scene.advance(secs(10));
    scene.pair(5);
    assert_eq!(
        scene.core.snapshot().generation,
        Generation(2),
        "and pairs again without a restart"
    );
}

#[test]
fn a_send_that_never_left_is_not_counted() {
    let mut scene = sent();
    scene.refresh(RefreshAnswer::Failed(fault(FaultKind::Offline)));
    scene.advance(secs(30));
    assert!(scene.out(is_prepare), "an ordinary retry, not a resend");
    scene.prepare(PrepareAnswer::Ready);
    assert_eq!(scene.on_disk().mark.map(|mark| mark.sends), Some(1));
    scene.refresh(RefreshAnswer::Dead);
    assert_eq!(scene.state().1, Reason::Revoked, "no answer of ours was lost");
}

#[test]
fn a_refused_resend_leaves_the_first_send_in_doubt() {
    let mut scene = sent();
    scene.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
    scene.alive();
    scene.advance(secs(40));
    scene.unsettled();
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Failed(fault(FaultKind::Refused)));
    scene.advance(secs(40));
    scene.unsettled();
    scene.advance(secs(3600));
    if scene.out(is_identify) {
        scene.unsettled();
    }
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Dead);
    assert_eq!(scene.state().1, Reason::RefreshAnswerLost);
}

#[test]
fn only_a_verdict_ends_a_pairing_however_long_it_is_offline() {
    let mut scene = due();
    for _ in 0..(20 * 24) {
        if scene.out(is_prepare) {
            scene.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
        }
        scene.advance(secs(3600));
    }
    assert!(scene.core.snapshot().paired, "20 days offline are no verdict");
    assert!(scene.core.snapshot().attention);
    let days: Vec<u64> = scene
        .notes
        .iter()
        .filter_map(|note| {
            if let Note::RefreshTokenAging { age } = note {
                Some(age.as_secs() / (24 * 3600))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(days, [10, 12, 13]);
    while !scene.out(is_prepare) {
        scene.advance(secs(60));
    }
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Dead);
    assert_eq!(scene.state().1, Reason::RefreshTokenExpired);
}

/// On demand nothing is due by itself, so that every send after the first would be a resend.
fn lost_on_demand() -> Scene {
    let mut scene = Scene::paired_with(Policy {
        refresh: RefreshMode::OnDemand,
        ..policy()
    });
    scene.advance(secs(27_000));
    scene.get_token(None);
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
    scene
}

#[test]
fn a_2xx_after_the_server_gave_up_settles_a_lost_answer_without_a_send() {
    let mut scene = lost_on_demand();
    scene.alive();
    assert!(
        scene.on_disk().mark.is_some(),
        "too early to say more than that it serves"
    );
    scene.advance(secs(39));
    assert!(scene.requests.is_empty());
    scene.advance(secs(1));
    scene.alive();
    assert_eq!(scene.on_disk().mark, None);
    scene.advance(secs(600));
    assert!(scene.requests.is_empty());
    let call = scene.get_token(None);
    assert_eq!(scene.token(call), "a1");
    scene.prepare(PrepareAnswer::Ready);
    assert_eq!(
        scene.on_disk().mark.map(|mark| mark.sends),
        Some(1),
        "a first send again"
    );
    scene.refresh(RefreshAnswer::Dead);
    assert_eq!(scene.state().1, Reason::Revoked, "no answer was lost");
}

#[test]
fn a_2xx_to_a_question_from_before_that_settles_nothing() {
    let mut scene = lost_on_demand();
    scene.alive();
    scene.advance(secs(35));
    scene.reject(UPLOADER, 1);
    assert!(scene.out(is_identify));
    scene.advance(secs(10));
    assert!(!scene.out(is_prepare), "its answer is waited for");
    scene.alive();
    assert!(scene.on_disk().mark.is_some());
    assert!(scene.out(is_identify), "and it is asked again");
    scene.alive();
    assert_eq!(scene.on_disk().mark, None);
}

#[test]
fn who_is_short_of_a_token_does_not_wait_for_the_probe() {
    let mut scene = sent();
    scene.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
    scene.probed(ResourceAnswer::Unauthorized);
    scene.advance(secs(35));
    let call = scene.get_token(None);
    scene.advance(secs(5));
    assert!(scene.out(is_prepare) && !scene.out(is_identify));
    scene.refresh_to(2);
    assert_eq!(scene.token(call), "a2");
}

/// Until the server has given up on the send: no connection can be had, and a 2xx settles nothing.
fn settles_after(scene: &mut Scene, wait: Duration) {
    let end = scene.now.after(wait);
    while scene.now < end {
        if scene.out(is_prepare) {
            scene.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
        }
        if scene.out(is_identify) {
            scene.alive();
        }
        assert!(scene.on_disk().mark.is_some(), "the server may still be at it");
        scene.advance(secs(1));
    }
    scene.alive();
    assert_eq!(scene.on_disk().mark, None);
}

#[test]
fn a_2xx_settles_nothing_before_the_server_has_given_up_whatever_replay_after_says() {
    for replay_after in [1, 20, 39, 40] {
        let mut scene = Scene::paired_with(Policy {
            refresh: RefreshMode::OnDemand,
            replay_after: secs(replay_after),
            ..policy()
        });
        scene.advance(secs(27_000));
        scene.get_token(None);
        scene.prepare(PrepareAnswer::Ready);
        scene.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
        scene.alive();
        settles_after(&mut scene, secs(40));
    }
}

#[test]
fn a_resend_that_comes_before_a_2xx_can_settle_waits_for_no_probe() {
    let mut scene = Scene::paired_with(Policy {
        replay_after: secs(2),
        ..policy()
    });
    scene.advance(secs(28_800 * 83 / 100));
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
    scene.alive();
    // The pace of retries allows it by then.
    scene.advance(secs(15));
    assert!(!scene.out(is_identify));
    scene.refresh_to(2);
    assert_eq!(scene.on_disk().mark, None);
}

#[test]
fn a_mark_of_another_boot_is_not_settled_before_the_process_is_40_seconds_old() {
    // Where a boot has no identity each start is «another boot», and the send may be of a moment
    // ago.
    let mut scene = lost_on_demand();
    scene.alive();
    let uptime = scene.now.as_millis() + 1_000;
    let on_demand = Policy {
        refresh: RefreshMode::OnDemand,
        ..policy()
    };
    let boot = BootId([2; 16]);
    let mut restarted = Scene::start(on_demand, Provisioning::Ready, scene.stored(), boot, uptime, true);
    assert!(restarted.out(is_identify));
    settles_after(&mut restarted, secs(40));
}
