//! `GetAccessToken`: nobody waits without need, nobody gets a token that is about to die.

use super::*;

fn expired() -> Fixture {
    let mut fixture = Fixture::overslept();
    fixture.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
    fixture.now = fixture.now.after(secs(5));
    fixture
}

#[test]
fn nothing_to_serve_is_said_at_once() {
    let mut fixture = Fixture::unpaired();
    let call = fixture.get_token(None);
    assert_eq!(fixture.error(call), CallError::NotPaired);
    let none = Stored {
        record: Loaded::Missing,
        kept: Kept::Twice,
        revocations: vec![],
        flow: None,
        writable: true,
    };
    let mut bare = Fixture::with(policy(), Provisioning::StateKeyMissing, none);
    let call = bare.get_token(None);
    assert_eq!(bare.error(call), CallError::NotProvisioned);
}

#[test]
fn a_cached_token_never_waits_for_a_refresh_being_prepared_or_retried() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(28_800 * 83 / 100));
    assert!(fixture.out(is_prepare));
    let call = fixture.get_token(None);
    assert_eq!(fixture.token(call), "a1");
    fixture.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
    let call = fixture.get_token(None);
    assert_eq!(fixture.token(call), "a1");
}

#[test]
fn after_a_post_was_sent_a_caller_waits_two_seconds_and_no_longer() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    let call = fixture.get_token(None);
    assert!(fixture.reply(call).is_none());
    fixture.advance(Duration::from_millis(1_999));
    assert!(fixture.reply(call).is_none());
    fixture.advance(Duration::from_millis(1));
    assert_eq!(fixture.token(call), "a1");
    fixture.advance(secs(28));
    let late = fixture.get_token(None);
    assert_eq!(fixture.token(late), "a1", "at once: the two seconds are over");
}

#[test]
fn ten_callers_of_an_expired_token_share_one_refresh() {
    let mut fixture = expired();
    let calls: Vec<_> = (0..10).map(|_| fixture.get_token(None)).collect();
    fixture.refresh_to(2);
    for call in calls {
        assert_eq!(fixture.token(call), "a2");
    }
    assert!(fixture.requests.is_empty());
}

#[test]
fn a_caller_whose_time_is_over_is_told_and_the_try_goes_on() {
    let mut fixture = expired();
    let call = fixture.get_token(None);
    fixture.prepare(PrepareAnswer::Ready);
    fixture.advance(secs(20));
    assert_eq!(fixture.error(call), CallError::Timeout);
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    let next = fixture.get_token(None);
    assert_eq!(fixture.token(next), "a2");
}

#[test]
fn a_waiting_caller_brings_a_retry_forward_but_not_below_five_seconds() {
    let mut fixture = Fixture::overslept();
    fixture.get_token(None);
    fixture.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
    fixture.advance(Duration::from_millis(4_999));
    assert!(!fixture.out(is_prepare));
    fixture.advance(Duration::from_millis(1));
    assert!(fixture.out(is_prepare));
}

#[test]
fn a_caller_gets_the_last_error_once_no_try_fits_into_its_time() {
    let mut fixture = expired();
    let call = fixture.get_token(None);
    for _ in 0..8 {
        if fixture.out(is_prepare) {
            fixture.prepare(PrepareAnswer::Failed(fault(FaultKind::ClockNotSet)));
        }
        fixture.advance(secs(5));
    }
    assert_eq!(fixture.error(call), CallError::ClockNotSet);
}

#[test]
fn a_wish_is_clamped_to_a_quarter_of_the_tokens_life() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(7_300));
    let call = fixture.get_token(Some(secs(90 * 24 * 3600)));
    assert_eq!(
        fixture.token(call),
        "a1",
        "three quarters are left: that is all anybody can wish for"
    );
    assert!(fixture.requests.is_empty());
}

#[test]
fn a_young_token_is_never_refreshed_for_a_wish() {
    let mut fixture = Fixture::paired();
    let call = fixture.get_token(Some(secs(28_800)));
    assert_eq!(fixture.token(call), "a1");
    assert!(fixture.requests.is_empty());
}

#[test]
fn one_call_causes_at_most_one_refresh() {
    let mut fixture = expired();
    let call = fixture.get_token(Some(secs(28_800)));
    fixture.refresh_to(2);
    assert_eq!(fixture.token(call), "a2");
    fixture.advance(secs(5));
    assert!(fixture.requests.is_empty());
}

#[test]
fn an_ambiguous_token_is_served_after_two_seconds_of_probing() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
    let call = fixture.get_token(None);
    assert!(fixture.reply(call).is_none(), "the probe is out");
    fixture.advance(secs(2));
    assert_eq!(fixture.token(call), "a1");
}

#[test]
fn a_caller_who_waits_for_a_refresh_that_is_lost_waits_for_the_probe_too() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    let call = fixture.get_token(None);
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Garbled)));
    assert!(
        fixture.reply(call).is_none(),
        "the old token may be dead: the probe tells in a moment"
    );
    fixture.probed(ProbeAnswer::Rejected);
    assert_eq!(
        fixture.error(call),
        CallError::ServerError,
        "and a dead token is served to nobody"
    );
}

#[test]
fn publishing_comes_before_the_answers_that_follow_from_it() {
    let mut fixture = expired();
    fixture.get_token(None);
    fixture.prepare(PrepareAnswer::Ready);
    fixture.trace.clear();
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    let at = |kind| fixture.trace.iter().rposition(|seen| *seen == kind).unwrap();
    assert!(
        at("store") < at("publish") && at("publish") < at("reply"),
        "{:?}",
        fixture.trace
    );
}

#[test]
fn a_missing_secret_serves_valid_tokens_and_waits_with_the_refresh() {
    let paired = Fixture::paired();
    let mut fixture = Fixture::start(
        policy(),
        Provisioning::ClientSecretMissing,
        paired.stored(),
        BOOT,
        paired.now.as_millis() + 1,
        true,
    );
    assert_eq!(fixture.state(), (PairingState::Paired, Reason::ClientSecretMissing));
    assert!(fixture.core.snapshot().attention);
    let call = fixture.get_token(None);
    assert_eq!(fixture.token(call), "a1");
    fixture.advance(secs(40_000));
    assert!(!fixture.out(is_prepare));
    let call = fixture.get_token(None);
    assert_eq!(fixture.error(call), CallError::NotProvisioned);
}

#[test]
fn heartbeats_wait_as_long_as_the_server_asks() {
    let mut fixture = Fixture::paired_with(Policy {
        heartbeat: Some(secs(120)),
        ..policy()
    });
    fixture.advance(secs(120));
    fixture.answer(
        is_heartbeat,
        Answer::Probe(ProbeAnswer::Failed(Fault {
            kind: FaultKind::RateLimited,
            retry_after: Some(secs(150)),
        })),
    );
    fixture.advance(secs(149));
    assert!(!fixture.out(is_heartbeat));
    fixture.advance(secs(2));
    assert!(fixture.out(is_heartbeat));
}

#[test]
fn a_token_of_unknown_age_that_nobody_can_be_asked_about_is_handed_out_for_a_minute_and_replaced_soon() {
    let without_probe = Policy {
        can_probe: false,
        ..policy()
    };
    let mut fixture = Fixture::paired().reboot_with(without_probe, false);
    let call = fixture.get_token(None);
    let Some(Ok(Reply::Token { expires_in, .. })) = fixture.reply(call) else {
        panic!("{:?}", fixture.reply(call));
    };
    assert_eq!(*expires_in, secs(60));
    fixture.advance(secs(600));
    assert!(fixture.out(is_prepare));
}

/// The wait is for the answer to a report. No event marks the instant from which a refresh is
/// needed as well.
#[test]
fn a_token_that_gets_short_for_a_caller_that_waits_is_refreshed_from_then_on() {
    let mut fixture = Fixture::paired_with(Policy {
        refresh: RefreshMode::OnDemand,
        ..policy()
    });
    fixture.get_token(None);
    fixture.advance(secs(28_800 - 65));
    fixture.reject(UPLOADER, 1);
    assert!(fixture.out(is_probe));
    let call = fixture.get_token(None);
    fixture.advance(secs(4));
    assert!(fixture.reply(call).is_none() && !fixture.out(is_prepare));
    fixture.advance(secs(2));
    assert!(fixture.out(is_prepare), "59 s are too few for 60");
}
