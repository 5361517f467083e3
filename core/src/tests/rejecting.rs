//! `RejectAccessToken`: ten uploaders with the same 401 cause one refresh, a hostile one none.

use super::*;

/// Paired, and both uploaders hold generation 1.
fn handed() -> Fixture {
    let mut fixture = Fixture::paired();
    for caller in [UPLOADER, OTHER] {
        fixture.get_as(client(caller));
    }
    // A refresh that follows is not held back by the pairing a moment ago.
    fixture.advance(secs(6));
    fixture
}

#[test]
fn a_token_the_server_still_takes_is_not_refreshed() {
    let mut fixture = handed();
    let call = fixture.reject(UPLOADER, 1);
    assert!(
        fixture.reply(call).is_none(),
        "the call returns when the probe is answered"
    );
    fixture.alive();
    assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
    assert!(fixture.requests.is_empty());
    let event = LogEvent::ReportContradicted {
        caller: UPLOADER,
        generation: Generation(1),
    };
    assert!(fixture.events.contains(&event));
    fixture.advance(secs(1));
    let again = fixture.reject(OTHER, 1);
    assert!(fixture.out(is_probe), "that it lived a second ago is no answer");
    fixture.alive();
    assert_eq!(fixture.reply(again), Some(&Ok(Reply::Done)));
    assert!(fixture.requests.is_empty());
}

#[test]
fn ten_rejections_of_a_dead_token_and_a_late_eleventh_cause_one_refresh() {
    let mut fixture = handed();
    let calls: Vec<_> = (0..10).map(|_| fixture.reject(UPLOADER, 1)).collect();
    assert_eq!(fixture.requests.len(), 1, "one probe");
    fixture.probed(ProbeAnswer::Rejected);
    for call in calls {
        assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
    }
    let waiting = fixture.get_token(None);
    assert!(fixture.reply(waiting).is_none(), "a refused token is no longer served");
    fixture.refresh_to(2);
    assert_eq!(fixture.token(waiting), "a2");
    let late = fixture.reject(UPLOADER, 1);
    assert_eq!(fixture.reply(late), Some(&Ok(Reply::Done)));
    assert!(fixture.requests.is_empty());
}

#[test]
fn who_never_got_a_generation_cannot_reject_it() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(11));
    let call = fixture.reject(UPLOADER, 1);
    assert_eq!(fixture.error(call), CallError::NotYours);
    assert!(fixture.requests.is_empty());
    let restarted = &mut fixture.restart();
    restarted.alive();
    restarted.advance(secs(11));
    restarted.reject(UPLOADER, 1);
    assert!(
        restarted.out(is_probe),
        "after a restart nobody knows who got it: any uploader may"
    );
}

#[test]
fn sixty_four_users_are_told_apart_and_with_more_anybody_may_reject() {
    let mut fixture = Fixture::paired();
    for uid in 2000..2064 {
        let call = fixture.get_as(client(uid));
        assert_eq!(fixture.token(call), "a1");
    }
    let call = fixture.reject(OTHER, 1);
    assert_eq!(fixture.error(call), CallError::NotYours);
    fixture.get_as(client(2064));
    let call = fixture.reject(OTHER, 1);
    assert_eq!(fixture.reply(call), None, "it is examined");
}

#[test]
fn unknown_generations_and_no_pairing_have_their_own_errors() {
    let mut fixture = handed();
    for generation in [0, 2, u64::MAX] {
        let call = fixture.reject(UPLOADER, generation);
        assert_eq!(fixture.error(call), CallError::UnknownGeneration);
    }
    let mut bare = Fixture::unpaired();
    let call = bare.reject(UPLOADER, 1);
    assert_eq!(bare.error(call), CallError::NotPaired);
}

#[test]
fn without_an_answer_the_token_stays_served_and_the_probe_is_repeated() {
    let mut fixture = handed();
    let call = fixture.reject(UPLOADER, 1);
    fixture.probed(ProbeAnswer::Failed(fault(FaultKind::Offline)));
    assert_eq!(fixture.error(call), CallError::Offline);
    let served = fixture.get_token(None);
    assert_eq!(fixture.token(served), "a1");
    fixture.advance(secs(5));
    fixture.event(Event::NetworkUp);
    assert!(fixture.out(is_probe));
}

/// The distances of refreshes at a resource that takes each new token once, or none, and then
/// refuses it.
fn refreshes_at_a_broken_resource(takes_once: bool) -> Vec<u64> {
    let mut fixture = handed();
    let mut refreshes = vec![];
    let mut n = 1;
    for _ in 0..(4 * 3600) {
        if fixture.out(is_probe) {
            fixture.probed(ProbeAnswer::Rejected);
        }
        if fixture.out(is_prepare) {
            n += 1;
            fixture.prepare(PrepareAnswer::Ready);
            fixture.refresh(RefreshAnswer::Granted(grant(n)));
            if takes_once {
                fixture.alive();
                fixture.get_token(None);
            }
            refreshes.push(fixture.now.as_millis() / 1000);
        }
        fixture.reject(UPLOADER, u64::from(n));
        fixture.advance(secs(1));
    }
    assert!(
        fixture.core.snapshot().paired,
        "a 401 from a resource is never terminal"
    );
    refreshes.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn who_asks_within_the_limit_hears_that_the_token_was_refused_and_when_a_refresh_is_due() {
    let mut fixture = handed();
    fixture.reject(UPLOADER, 1);
    fixture.probed(ProbeAnswer::Rejected);
    fixture.refresh_to(2);
    fixture.get_token(None);
    fixture.advance(secs(60));
    fixture.reject(UPLOADER, 2);
    fixture.probed(ProbeAnswer::Rejected);
    let call = fixture.get_token(None);
    assert_eq!(fixture.error(call), CallError::TokenRefused { wait: secs(240) });
    fixture.advance(secs(239));
    let last = fixture.get_token(None);
    assert_eq!(fixture.reply(last), None, "what is due within its time is waited for");
    fixture.advance(secs(1));
    fixture.refresh_to(3);
    assert_eq!(fixture.token(last), "a3");
}

#[test]
fn refreshes_driven_by_401s_are_five_minutes_apart_and_then_rarer() {
    let gaps = refreshes_at_a_broken_resource(true);
    assert!(gaps.len() > 40 && gaps.iter().all(|gap| *gap == 300), "{gaps:?}");
    let gaps = refreshes_at_a_broken_resource(false);
    assert_eq!(gaps, [600, 1200, 2400, 3600, 3600], "delayed, never forgotten");
}

#[test]
fn a_rejection_during_a_refresh_asks_for_nothing_more() {
    let mut fixture = handed();
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    let call = fixture.reject(UPLOADER, 1);
    assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
    assert!(
        !fixture.out(is_probe),
        "I2: nothing else carries the token while a refresh is out"
    );
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    fixture.alive();
    assert!(fixture.requests.is_empty());
}

#[test]
fn a_401_without_a_refresh_token_ends_the_pairing() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::Granted(TokenGrant {
        refresh: Ok(None),
        ..grant(1)
    }));
    fixture.probed(ProbeAnswer::Rejected);
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::NoRefreshToken));
}

/// Policy under which nothing but a caller starts a refresh.
fn on_demand() -> Policy {
    Policy {
        refresh: RefreshMode::OnDemand,
        ..policy()
    }
}

#[test]
fn an_expired_token_is_not_probed_and_its_401_would_not_count() {
    let mut fixture = Fixture::paired_with(on_demand());
    fixture.get_token(None);
    fixture.advance(secs(28_801));
    let mut restarted = Fixture::start(
        on_demand(),
        Provisioning::Ready,
        fixture.stored(),
        BOOT,
        fixture.now.as_millis() + 1,
        true,
    );
    assert!(
        restarted.requests.is_empty(),
        "dead by its dates: nothing to ask, nothing asked for"
    );
    let call = restarted.reject(UPLOADER, 1);
    assert_eq!(restarted.reply(call), Some(&Ok(Reply::Done)));
    restarted.advance(secs(3600));
    assert!(
        restarted.requests.is_empty(),
        "on demand: no refresh that nobody asked for"
    );
    restarted.get_token(None);
    assert!(restarted.out(is_prepare));
}

#[test]
fn a_401_that_comes_after_the_tokens_end_decides_nothing() {
    let mut fixture = Fixture::paired_with(on_demand());
    fixture.get_token(None);
    fixture.advance(secs(28_780));
    let call = fixture.reject(UPLOADER, 1);
    assert!(fixture.out(is_probe));
    fixture.advance(secs(19));
    fixture.now = fixture.now.after(secs(2));
    fixture.probed(ProbeAnswer::Rejected);
    assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
    assert!(!fixture.events.contains(&LogEvent::TokenRejected {
        generation: Generation(1)
    }));
    fixture.advance(secs(3600));
    assert!(fixture.requests.is_empty());
}

#[test]
fn a_refresh_that_brings_nothing_does_not_use_up_the_limit_of_401s() {
    let mut fixture = handed();
    fixture.reject(UPLOADER, 1);
    fixture.probed(ProbeAnswer::Rejected);
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Refused)));
    fixture.advance(secs(130));
    assert!(
        fixture.out(is_prepare),
        "the ordinary backoff, not five minutes without a token"
    );
    fixture.refresh_to(2);
    let call = fixture.get_token(None);
    assert_eq!(fixture.token(call), "a2");
    fixture.advance(secs(11));
    fixture.reject(UPLOADER, 2);
    fixture.probed(ProbeAnswer::Rejected);
    fixture.advance(secs(120));
    assert!(!fixture.out(is_prepare), "one that brought a token does");
}

#[test]
fn insisting_on_an_unfounded_rejection_is_told_once() {
    let mut fixture = handed();
    for _ in 0..5 {
        fixture.reject(UPLOADER, 1);
        fixture.alive();
        fixture.reject(UPLOADER, 1);
        fixture.reject(OTHER, 1);
        fixture.advance(secs(11));
    }
    let told = fixture
        .events
        .iter()
        .filter(|event| matches!(event, LogEvent::ReportContradicted { .. }))
        .count();
    assert_eq!(told, 2, "once for each of the two callers");
}
