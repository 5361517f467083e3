//! `RejectAccessToken`: ten uploaders with the same 401 cause one refresh, a hostile one none.

use super::*;

/// Paired, and both uploaders hold generation 1.
fn handed() -> Scene {
    let mut scene = Scene::paired();
    for caller in [UPLOADER, OTHER] {
        scene.get_as(client(caller));
    }
    // A refresh that follows is not held back by the pairing a moment ago.
    scene.advance(secs(6));
    scene
}

#[test]
fn a_token_the_server_still_takes_is_not_refreshed() {
    let mut scene = handed();
    let call = scene.reject(UPLOADER, 1);
    assert!(
        scene.reply(call).is_none(),
        "the call returns when the probe is answered"
    );
    scene.alive();
    assert_eq!(scene.reply(call), Some(&Ok(Reply::Done)));
    assert!(scene.requests.is_empty());
    let note = Note::RejectionUnfounded {
        caller: UPLOADER,
        generation: Generation(1),
    };
    assert!(scene.notes.contains(&note));
    scene.advance(secs(1));
    let again = scene.reject(OTHER, 1);
    assert!(scene.out(is_identify), "that it lived a second ago is no answer");
    scene.alive();
    assert_eq!(scene.reply(again), Some(&Ok(Reply::Done)));
    assert!(scene.requests.is_empty());
}

#[test]
fn ten_rejections_of_a_dead_token_and_a_late_eleventh_cause_one_refresh() {
    let mut scene = handed();
    let calls: Vec<_> = (0..10).map(|_| scene.reject(UPLOADER, 1)).collect();
    assert_eq!(scene.requests.len(), 1, "one probe");
    scene.probed(ResourceAnswer::Unauthorized);
    for call in calls {
        assert_eq!(scene.reply(call), Some(&Ok(Reply::Done)));
    }
    let waiting = scene.get_token(None);
    assert!(scene.reply(waiting).is_none(), "a refused token is no longer served");
    scene.refresh_to(2);
    assert_eq!(scene.token(waiting), "a2");
    let late = scene.reject(UPLOADER, 1);
    assert_eq!(scene.reply(late), Some(&Ok(Reply::Done)));
    assert!(scene.requests.is_empty());
}

#[test]
fn who_never_got_a_generation_cannot_reject_it() {
    let mut scene = Scene::paired();
    scene.advance(secs(11));
    let call = scene.reject(UPLOADER, 1);
    assert_eq!(scene.error(call), CallError::NotYours);
    assert!(scene.requests.is_empty());
    let restarted = &mut scene.restart();
    restarted.alive();
    restarted.advance(secs(11));
    restarted.reject(UPLOADER, 1);
    assert!(
        restarted.out(is_identify),
        "after a restart nobody knows who got it: any uploader may"
    );
}

#[test]
fn unknown_generations_and_no_pairing_have_their_own_errors() {
    let mut scene = handed();
    for generation in [0, 2, u64::MAX] {
        let call = scene.reject(UPLOADER, generation);
        assert_eq!(scene.error(call), CallError::UnknownGeneration);
    }
    let mut bare = Scene::unpaired();
    let call = bare.reject(UPLOADER, 1);
    assert_eq!(bare.error(call), CallError::NotPaired);
}

#[test]
fn without_an_answer_the_token_stays_served_and_the_probe_is_repeated() {
    let mut scene = handed();
    let call = scene.reject(UPLOADER, 1);
    scene.probed(ResourceAnswer::Failed(fault(FaultKind::Offline)));
    assert_eq!(scene.error(call), CallError::Offline);
    let served = scene.get_token(None);
    assert_eq!(scene.token(served), "a1");
    scene.advance(secs(5));
    scene.event(Event::NetworkUp);
    assert!(scene.out(is_identify));
}

#[test]
fn refreshes_driven_by_401s_are_five_minutes_apart_and_then_rarer() {
    let mut scene = handed();
    let mut refreshes = vec![];
    let mut n = 1;
    let mut known = 1;
    for _ in 0..(4 * 3600) {
        if scene.out(is_identify) {
            scene.probed(ResourceAnswer::Unauthorized);
        }
        if scene.out(is_prepare) {
            n += 1;
            scene.prepare(PrepareAnswer::Ready);
            scene.refresh(RefreshAnswer::Granted(grant(n)));
            refreshes.push(scene.now.as_millis() / 1000);
        }
        if known < n {
            known = n;
        }
        scene.reject(UPLOADER, u64::from(known));
        scene.advance(secs(1));
    }
    let gaps: Vec<_> = refreshes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(refreshes.len() >= 4, "delayed, never forgotten: {gaps:?}");
    assert!(gaps[0] >= 300, "{gaps:?}");
    assert!(gaps.windows(2).all(|pair| pair[1] >= pair[0]), "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap <= 3601), "{gaps:?}");
    assert!(scene.core.snapshot().paired, "a 401 from a resource is never terminal");
}

#[test]
fn a_rejection_during_a_refresh_asks_for_nothing_more() {
    let mut scene = handed();
    scene.advance(secs(28_800 * 83 / 100));
    scene.prepare(PrepareAnswer::Ready);
    let call = scene.reject(UPLOADER, 1);
    assert_eq!(scene.reply(call), Some(&Ok(Reply::Done)));
    assert!(
        !scene.out(is_identify),
        "I2: nothing else carries the token while a refresh is out"
    );
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    scene.alive();
    assert!(scene.requests.is_empty());
}

#[test]
fn a_401_without_a_refresh_token_ends_the_pairing() {
    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    scene.show_code();
    scene.advance(secs(5));
    scene.poll(PollAnswer::Granted(TokenGrant {
        refresh: Ok(None),
        ..grant(1)
    }));
    scene.probed(ResourceAnswer::Unauthorized);
    assert_eq!(scene.state(), (PairingState::Unpaired, Reason::NoRefreshToken));
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
    let mut scene = Scene::paired_with(on_demand());
    scene.get_token(None);
    scene.advance(secs(28_801));
    let mut restarted = Scene::start(
        on_demand(),
        Provisioning::Ready,
        scene.stored(),
        BOOT,
        scene.now.as_millis() + 1,
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
    let mut scene = Scene::paired_with(on_demand());
    scene.get_token(None);
    scene.advance(secs(28_780));
    let call = scene.reject(UPLOADER, 1);
    assert!(scene.out(is_identify));
    scene.advance(secs(19));
    scene.now = scene.now.after(secs(2));
    scene.probed(ResourceAnswer::Unauthorized);
    assert_eq!(scene.reply(call), Some(&Ok(Reply::Done)));
    assert!(!scene.notes.contains(&Note::TokenRefused {
        generation: Generation(1)
    }));
    scene.advance(secs(3600));
    assert!(scene.requests.is_empty());
}

#[test]
fn a_refresh_that_brings_nothing_does_not_use_up_the_limit_of_401s() {
    let mut scene = handed();
    scene.reject(UPLOADER, 1);
    scene.probed(ResourceAnswer::Unauthorized);
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Failed(fault(FaultKind::Refused)));
    scene.advance(secs(130));
    assert!(
        scene.out(is_prepare),
        "the ordinary backoff, not five minutes without a token"
    );
    scene.refresh_to(2);
    let call = scene.get_token(None);
    assert_eq!(scene.token(call), "a2");
    scene.advance(secs(11));
    scene.reject(UPLOADER, 2);
    scene.probed(ResourceAnswer::Unauthorized);
    scene.advance(secs(120));
    assert!(!scene.out(is_prepare), "one that brought a token does");
}

#[test]
fn insisting_on_an_unfounded_rejection_is_told_once() {
    let mut scene = handed();
    for _ in 0..5 {
        scene.reject(UPLOADER, 1);
        scene.alive();
        scene.reject(UPLOADER, 1);
        scene.reject(OTHER, 1);
        scene.advance(secs(11));
    }
    let told = scene
        .notes
        .iter()
        .filter(|note| matches!(note, Note::RejectionUnfounded { .. }))
        .count();
    assert_eq!(told, 2, "once for each of the two callers");
}
