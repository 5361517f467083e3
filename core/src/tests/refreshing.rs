//! The refresh transaction and its schedule.

use super::*;
use crate::LocalFault;

/// Paired, and in the advisory window with a connection being brought up.
pub(super) fn due() -> Scene {
    let mut scene = Scene::paired();
    // 75 % of 8 h, and the jitter's 10 % of that.
    scene.advance(secs(28_800 * 83 / 100));
    assert!(scene.out(is_prepare), "the advisory window opened");
    scene
}

/// The POST is out.
pub(super) fn sent() -> Scene {
    let mut scene = due();
    scene.prepare(PrepareAnswer::Ready);
    assert!(scene.out(is_refresh));
    scene
}

#[test]
fn nothing_happens_before_the_advisory_window() {
    let mut scene = Scene::paired();
    scene.advance(secs(28_800 * 67 / 100));
    assert!(scene.requests.is_empty());
}

#[test]
fn refreshes_in_the_background_and_stores_before_showing() {
    let mut scene = sent();
    assert_eq!(
        scene.on_disk().mark.map(|mark| mark.sends),
        Some(1),
        "no POST without a mark on disk"
    );
    scene.hold_stores = true;
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(
        scene.core.snapshot().generation,
        Generation(1),
        "I1: not visible before it is durable"
    );
    scene.finish_store();
    assert_eq!(scene.core.snapshot().generation, Generation(2));
    assert_eq!(scene.on_disk().mark, None);
    assert!(scene.out(is_identify), "and the new token is tried at once");
}

#[test]
fn without_a_mark_on_disk_there_is_no_post() {
    let mut scene = due();
    scene.disk_works = false;
    scene.prepare(PrepareAnswer::Ready);
    assert!(!scene.out(is_refresh));
    scene.advance(secs(28_800));
    let call = scene.get_token(None);
    for _ in 0..20 {
        if scene.out(is_prepare) {
            scene.prepare(PrepareAnswer::Ready);
        }
        if scene.reply(call).is_none() {
            scene.advance(secs(1));
        }
    }
    assert_eq!(scene.error(call), CallError::StorageFailed);
    scene.disk_works = true;
    scene.advance(secs(300));
    scene.refresh_to(2);
    assert_eq!(scene.core.snapshot().generation, Generation(2));
}

#[test]
fn a_store_that_fails_after_a_good_refresh_does_not_drop_the_tokens() {
    let mut scene = sent();
    scene.disk_works = false;
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    let call = scene.get_token(None);
    assert_eq!(scene.token(call), "a2", "served from memory");
    assert_eq!(
        scene.core.snapshot().last_error.map(|(word, _)| word),
        Some(ErrorWord::StorageFailed)
    );
    scene.disk_works = true;
    scene.advance(secs(60));
    assert_eq!(scene.access_on_disk(), "a2", "storing is retried until it works");
}

#[test]
fn a_background_failure_is_retried_and_nobody_is_bothered() {
    let mut scene = due();
    let published = scene.published.len();
    for _ in 0..5 {
        scene.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
        let call = scene.get_token(None);
        assert_eq!(scene.token(call), "a1");
        scene.advance(secs(15 * 60));
    }
    let shown = &scene.published[published..];
    assert!(
        shown
            .iter()
            .all(|snapshot| snapshot.pairing == PairingState::Paired && snapshot.reason == Reason::None)
    );
    assert!(!scene.core.snapshot().attention);
    scene.refresh_to(2);
}

#[test]
fn warnings_are_closer_to_the_end_where_a_life_is_shorter() {
    let mut scene = Scene::paired_with(Policy {
        refresh_token_life: secs(24 * 3600),
        ..policy()
    });
    assert!(!scene.core.snapshot().attention, "a fresh pairing needs nobody");
    for _ in 0..24 {
        if scene.out(is_prepare) {
            scene.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
        }
        scene.advance(secs(3600));
    }
    assert!(scene.core.snapshot().attention);
    let hours: Vec<u64> = scene
        .notes
        .iter()
        .filter_map(|note| match note {
            Note::RefreshTokenAging { age } => Some(age.as_secs() / 3600),
            _ => None,
        })
        .collect();
    assert_eq!(hours, [17, 20, 22]);
}

#[test]
fn what_only_a_person_can_mend_asks_for_one_once_the_token_is_dead() {
    let mut scene = due();
    for _ in 0..9 {
        if scene.out(is_prepare) {
            scene.prepare(PrepareAnswer::Failed(fault(FaultKind::Local(
                LocalFault::AnotherIssuer,
            ))));
        }
        assert_eq!(
            scene.core.snapshot().attention,
            scene.core.snapshot().token == TokenState::Stale
        );
        scene.advance(secs(3600));
    }
    assert_eq!(scene.state(), (PairingState::Paired, Reason::LocalFault));
    assert!(scene.core.snapshot().attention);
}

#[test]
fn a_wrong_secret_keeps_the_tokens_and_tries_again_by_itself() {
    let mut scene = sent();
    scene.refresh(RefreshAnswer::ClientRejected(OAuthErrorCode::Client));
    assert_eq!(scene.state(), (PairingState::Paired, Reason::ClientRejected));
    assert!(scene.core.snapshot().attention);
    let call = scene.get_token(None);
    assert_eq!(scene.token(call), "a1");
    scene.advance(secs(3600 * 11 / 10));
    scene.refresh_to(2);
    assert_eq!(scene.state(), (PairingState::Paired, Reason::None));
    assert!(!scene.core.snapshot().attention);
}

#[test]
fn a_token_that_outlives_the_verdict_is_served_to_its_end() {
    let mut scene = sent();
    scene.refresh(RefreshAnswer::Dead);
    assert!(!scene.core.snapshot().paired);
    let early = scene.get_token(None);
    assert!(scene.reply(early).is_none(), "the probe decides");
    scene.alive();
    assert_eq!(scene.token(early), "a1");
    scene.advance(secs(28_800));
    let late = scene.get_token(None);
    assert_eq!(scene.error(late), CallError::NotPaired);
}

#[test]
fn a_token_that_outlives_the_verdict_ends_with_its_own_401() {
    let mut scene = sent();
    scene.refresh(RefreshAnswer::Dead);
    scene.alive();
    let early = scene.get_token(None);
    assert_eq!(scene.token(early), "a1");
    scene.advance(secs(11));
    scene.reject(UPLOADER, 1);
    scene.probed(ResourceAnswer::Unauthorized);
    let late = scene.get_token(None);
    assert_eq!(scene.error(late), CallError::NotPaired);
}

#[test]
fn a_verdict_does_not_hasten_a_probe_that_the_server_put_off() {
    let mut scene = due();
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
    assert!(scene.out(is_identify), "does the old token live?");
    scene.probed(ResourceAnswer::Failed(Fault {
        kind: FaultKind::RateLimited,
        retry_after: Some(secs(300)),
    }));
    scene.advance(secs(60));
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Dead);
    assert_eq!(
        scene.state(),
        (PairingState::Unpaired, Reason::RefreshAnswerLost),
        "and its token may live on"
    );
    assert!(!scene.out(is_identify));
    let early = scene.get_token(None);
    assert_eq!(scene.error(early), CallError::NotPaired);
    assert!(!scene.out(is_identify), "nor does a caller hasten it");
    scene.advance(secs(240));
    assert!(scene.out(is_identify));
}

#[test]
fn a_network_that_returns_spreads_the_load_unless_somebody_waits() {
    let mut scene = due();
    let patience = Fault {
        kind: FaultKind::Offline,
        retry_after: Some(secs(2400)),
    };
    scene.prepare(PrepareAnswer::Failed(patience));
    scene.event(Event::NetworkUp);
    assert!(!scene.out(is_prepare), "the token still serves");
    scene.advance(secs(3 * 3600));
    if scene.out(is_prepare) {
        scene.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
    }
    scene.advance(secs(5));
    if !scene.out(is_prepare) {
        scene.event(Event::NetworkUp);
    }
    assert!(scene.out(is_prepare), "the token is over: at once");
}

#[test]
fn shutdown_lets_a_sent_refresh_finish() {
    let mut scene = sent();
    scene.event(Event::Shutdown);
    assert!(!scene.drained);
    assert!(scene.out(is_refresh), "never cancelled");
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    assert!(scene.drained);
    assert_eq!(scene.access_on_disk(), "a2");
}

#[test]
fn shutdown_does_not_begin_a_refresh() {
    let mut scene = due();
    scene.event(Event::Shutdown);
    assert!(scene.drained);
    assert!(!scene.out(is_prepare));
}

#[test]
fn on_demand_refreshes_when_asked_and_at_half_of_the_refresh_tokens_life() {
    let lazy = Policy {
        refresh: RefreshMode::OnDemand,
        ..policy()
    };
    let mut scene = Scene::paired_with(lazy);
    scene.advance(secs(27_000));
    assert!(!scene.out(is_prepare));
    let call = scene.get_token(None);
    assert_eq!(scene.token(call), "a1", "answered at once");
    assert!(scene.out(is_prepare), "and refreshed behind its back");
    scene.refresh_to(2);
    scene.advance(secs(7 * 24 * 3600 - 60));
    assert!(!scene.out(is_prepare));
    scene.advance(secs(120));
    assert!(scene.out(is_prepare));
}

#[test]
fn without_a_refresh_token_the_access_tokens_end_is_the_pairings() {
    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    scene.show_code();
    scene.advance(secs(5));
    scene.poll(PollAnswer::Granted(TokenGrant {
        refresh: Ok(None),
        ..grant(1)
    }));
    scene.alive();
    assert!(scene.core.snapshot().attention, "from the start");
    scene.advance(secs(28_700));
    assert!(scene.requests.is_empty(), "nothing is scheduled");
    let call = scene.get_token(None);
    assert_eq!(scene.token(call), "a1");
    scene.advance(secs(200));
    assert_eq!(scene.state(), (PairingState::Unpaired, Reason::NoRefreshToken));
}

#[test]
fn heartbeats_keep_their_pace_and_any_other_call_counts() {
    let mut scene = Scene::paired_with(Policy {
        heartbeat: Some(secs(120)),
        ..policy()
    });
    scene.advance(secs(119));
    assert!(!scene.out(is_heartbeat));
    scene.advance(secs(1));
    scene.answer(is_heartbeat, Answer::Resource(ResourceAnswer::Alive(None)));
    scene.advance(secs(60));
    scene.reject(UPLOADER, 1);
    scene.advance(secs(119));
    assert!(!scene.out(is_heartbeat) || scene.requests.len() == 1);
}

#[test]
fn a_reload_moves_the_window_and_the_heartbeat_and_nothing_else() {
    let mut scene = Scene::paired();
    scene.advance(secs(28_800 * 40 / 100));
    assert!(!scene.out(is_prepare));
    scene.event(Event::PolicyChanged(Policy {
        refresh_at_percent: 30,
        heartbeat: Some(secs(60)),
        ..policy()
    }));
    assert!(scene.out(is_prepare), "the window of the new policy is open already");
    scene.refresh_to(2);
    scene.advance(secs(60));
    assert!(scene.out(is_heartbeat));
    assert_eq!(scene.state(), (PairingState::Paired, Reason::None));
}
