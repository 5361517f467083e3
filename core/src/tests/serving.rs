//! `GetAccessToken`: nobody waits without need, nobody gets a token that is about to die.

use super::*;

fn expired() -> Scene {
    let mut scene = Scene::overslept();
    scene.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
    scene.now = scene.now.after(secs(5));
    scene
}

#[test]
fn nothing_to_serve_is_said_at_once() {
    let mut scene = Scene::unpaired();
    let call = scene.get_token(None);
    assert_eq!(scene.error(call), CallError::NotPaired);
    let none = Stored {
        record: Loaded::Missing,
        kept: Kept::Twice,
        revocations: vec![],
        flow: None,
    };
    let mut bare = Scene::with(policy(), Provisioning::StateKeyMissing, none);
    let call = bare.get_token(None);
    assert_eq!(bare.error(call), CallError::NotProvisioned);
}

#[test]
fn a_cached_token_never_waits_for_a_refresh_being_prepared_or_retried() {
    let mut scene = Scene::paired();
    scene.advance(secs(28_800 * 83 / 100));
    assert!(scene.out(is_prepare));
    let call = scene.get_token(None);
    assert_eq!(scene.token(call), "a1");
    scene.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
    let call = scene.get_token(None);
    assert_eq!(scene.token(call), "a1");
}

#[test]
fn after_a_post_was_sent_a_caller_waits_two_seconds_and_no_longer() {
    let mut scene = Scene::paired();
    scene.advance(secs(28_800 * 83 / 100));
    scene.prepare(PrepareAnswer::Ready);
    let call = scene.get_token(None);
    assert!(scene.reply(call).is_none());
    scene.advance(Duration::from_millis(1_999));
    assert!(scene.reply(call).is_none());
    scene.advance(Duration::from_millis(1));
    assert_eq!(scene.token(call), "a1");
    scene.advance(secs(28));
    let late = scene.get_token(None);
    assert_eq!(scene.token(late), "a1", "at once: the two seconds are over");
}

#[test]
fn ten_callers_of_an_expired_token_share_one_refresh() {
    let mut scene = expired();
    let calls: Vec<_> = (0..10).map(|_| scene.get_token(None)).collect();
    scene.refresh_to(2);
    for call in calls {
        assert_eq!(scene.token(call), "a2");
    }
    assert!(scene.requests.is_empty());
}

#[test]
fn a_caller_whose_time_is_over_is_told_and_the_try_goes_on() {
    let mut scene = expired();
    let call = scene.get_token(None);
    scene.prepare(PrepareAnswer::Ready);
    scene.advance(secs(20));
    assert_eq!(scene.error(call), CallError::Timeout);
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    let next = scene.get_token(None);
    assert_eq!(scene.token(next), "a2");
}

#[test]
fn a_waiting_caller_brings_a_retry_forward_but_not_below_five_seconds() {
    let mut scene = Scene::overslept();
    scene.get_token(None);
    scene.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
    scene.advance(Duration::from_millis(4_999));
    assert!(!scene.out(is_prepare));
    scene.advance(Duration::from_millis(1));
    assert!(scene.out(is_prepare));
}

#[test]
fn a_caller_gets_the_last_error_once_no_try_fits_into_its_time() {
    let mut scene = expired();
    let call = scene.get_token(None);
    for _ in 0..8 {
        if scene.out(is_prepare) {
            scene.prepare(PrepareAnswer::Failed(fault(FaultKind::ClockNotSet)));
        }
        scene.advance(secs(5));
    }
    assert_eq!(scene.error(call), CallError::ClockNotSet);
}

#[test]
fn a_wish_is_clamped_to_a_quarter_of_the_tokens_life() {
    let mut scene = Scene::paired();
    scene.advance(secs(7_300));
    let call = scene.get_token(Some(secs(90 * 24 * 3600)));
    assert_eq!(
        scene.token(call),
        "a1",
        "three quarters are left: that is all anybody can wish for"
    );
    assert!(scene.requests.is_empty());
}

#[test]
fn a_young_token_is_never_refreshed_for_a_wish() {
    let mut scene = Scene::paired();
    let call = scene.get_token(Some(secs(28_800)));
    assert_eq!(scene.token(call), "a1");
    assert!(scene.requests.is_empty());
}

#[test]
fn one_call_causes_at_most_one_refresh() {
    let mut scene = expired();
    let call = scene.get_token(Some(secs(28_800)));
    scene.refresh_to(2);
    assert_eq!(scene.token(call), "a2");
    scene.advance(secs(5));
    assert!(scene.requests.is_empty());
}

#[test]
fn an_ambiguous_token_is_served_after_two_seconds_of_probing() {
    let mut scene = Scene::paired();
    scene.advance(secs(28_800 * 83 / 100));
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
    let call = scene.get_token(None);
    assert!(scene.reply(call).is_none(), "the probe is out");
    scene.advance(secs(2));
    assert_eq!(scene.token(call), "a1");
}

#[test]
fn a_caller_who_waits_for_a_refresh_that_is_lost_waits_for_the_probe_too() {
    let mut scene = Scene::paired();
    scene.advance(secs(28_800 * 83 / 100));
    scene.prepare(PrepareAnswer::Ready);
    let call = scene.get_token(None);
    scene.refresh(RefreshAnswer::Failed(fault(FaultKind::Garbled)));
    assert!(
        scene.reply(call).is_none(),
        "the old token may be dead: the probe tells in a moment"
    );
    scene.probed(ResourceAnswer::Unauthorized);
    assert_eq!(
        scene.error(call),
        CallError::ServerError,
        "and a dead token is served to nobody"
    );
}

#[test]
fn publishing_comes_before_the_answers_that_follow_from_it() {
    let mut scene = expired();
    scene.get_token(None);
    scene.prepare(PrepareAnswer::Ready);
    scene.trace.clear();
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    let at = |kind| scene.trace.iter().rposition(|seen| *seen == kind).unwrap();
    assert!(
        at("store") < at("publish") && at("publish") < at("reply"),
        "{:?}",
        scene.trace
    );
}

#[test]
fn a_missing_secret_serves_valid_tokens_and_waits_with_the_refresh() {
    let paired = Scene::paired();
    let mut scene = Scene::start(
        policy(),
        Provisioning::ClientSecretMissing,
        paired.stored(),
        BOOT,
        paired.now.as_millis() + 1,
        true,
    );
    assert_eq!(scene.state(), (PairingState::Paired, Reason::ClientSecretMissing));
    assert!(scene.core.snapshot().attention);
    let call = scene.get_token(None);
    assert_eq!(scene.token(call), "a1");
    scene.advance(secs(40_000));
    assert!(!scene.out(is_prepare));
    let call = scene.get_token(None);
    assert_eq!(scene.error(call), CallError::NotProvisioned);
}

#[test]
fn heartbeats_wait_as_long_as_the_server_asks() {
    let mut scene = Scene::paired_with(Policy {
        heartbeat: Some(secs(120)),
        ..policy()
    });
    scene.advance(secs(120));
    scene.answer(
        is_heartbeat,
        Answer::Resource(ResourceAnswer::Failed(Fault {
            kind: FaultKind::RateLimited,
            retry_after: Some(secs(150)),
        })),
    );
    scene.advance(secs(149));
    assert!(!scene.out(is_heartbeat));
    scene.advance(secs(2));
    assert!(scene.out(is_heartbeat));
}

#[test]
fn a_token_of_unknown_age_that_nobody_can_be_asked_about_is_handed_out_for_a_minute_and_replaced_soon() {
    let without_probe = Policy {
        can_probe: false,
        ..policy()
    };
    let mut scene = Scene::paired().reboot_with(without_probe, false);
    let call = scene.get_token(None);
    let Some(Ok(Reply::Token { expires_in, .. })) = scene.reply(call) else {
        panic!("{:?}", scene.reply(call));
    };
    assert_eq!(*expires_in, secs(60));
    scene.advance(secs(600));
    assert!(scene.out(is_prepare));
}
