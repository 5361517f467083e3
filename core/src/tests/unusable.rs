//! An access token that cannot be used does not cost the refresh token beside it.

use super::*;

const TOO_LONG: Unusable = Unusable::TooLong(75_000);

/// What the server granted, but for its access token.
fn without_access(n: u32, why: Unusable) -> TokenGrant {
    TokenGrant {
        access: Err(why),
        ..grant(n)
    }
}

fn refreshed_without_access(policy: Policy, grant: TokenGrant) -> Scene {
    let mut scene = Scene::paired_with(policy);
    // The token ends, a caller wants another.
    scene.advance(secs(28_800));
    if !scene.out(is_prepare) {
        scene.get_token(None);
    }
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Granted(grant));
    scene
}

/// Paired with `r{n}` and nothing to serve, and everybody is told so.
fn assert_paired_without_access(scene: &mut Scene, n: u32) {
    let pair = scene.on_disk().pair.clone();
    assert_eq!(pair.access, None);
    assert_eq!(pair.refresh, Some(RefreshToken::new(format!("r{n}"))));
    assert_eq!(scene.on_disk().mark, None);
    assert_eq!(scene.state(), (PairingState::Paired, Reason::ServerError));
    let snapshot = scene.core.snapshot().clone();
    assert!(snapshot.paired && snapshot.attention);
    assert_eq!(snapshot.token, TokenState::Stale);
    assert_eq!(snapshot.generation, Generation::NONE, "nothing is served");
    let call = scene.get_token(None);
    assert_eq!(scene.error(call), CallError::ServerError, "at once");
    assert!(scene.requests.is_empty(), "nothing carries it: {:?}", scene.requests);
}

fn told(scene: &Scene) -> Vec<Unusable> {
    let why = |note: &Note| match note {
        Note::TokenUnusable { why, .. } => Some(*why),
        _ => None,
    };
    scene.notes.iter().filter_map(why).collect()
}

#[test]
fn a_refresh_keeps_the_refresh_token_whatever_came_beside_it() {
    for why in [TOO_LONG, Unusable::Absent, Unusable::Characters, Unusable::Kind] {
        let mut scene = refreshed_without_access(policy(), without_access(2, why));
        assert_paired_without_access(&mut scene, 2);
        assert_eq!(told(&scene), [why]);
        assert_eq!(
            scene.core.snapshot().last_error.map(|(word, _)| word),
            Some(ErrorWord::ServerError)
        );
        let rejected = scene.reject(UPLOADER, 1);
        assert_eq!(
            scene.reply(rejected),
            Some(&Ok(Reply::Done)),
            "the old one is gone anyway"
        );
        scene.advance(secs(17 * 60));
        scene.refresh_to(3);
        let call = scene.get_token(None);
        assert_eq!(scene.token(call), "a3");
        let snapshot = scene.core.snapshot();
        assert!(!snapshot.attention);
        assert_eq!((snapshot.reason, snapshot.generation), (Reason::None, Generation(2)));
    }
}

#[test]
fn a_refresh_token_that_stays_in_force_is_kept_as_well() {
    let answer = TokenGrant {
        refresh: Ok(None),
        ..without_access(2, TOO_LONG)
    };
    let mut scene = refreshed_without_access(policy(), answer);
    assert_paired_without_access(&mut scene, 1);
}

#[test]
fn an_access_token_is_served_to_its_end_beside_a_refresh_token_that_cannot_be_used() {
    let answer = || TokenGrant {
        refresh: Err(TOO_LONG),
        ..grant(2)
    };
    let refreshed = refreshed_without_access(policy(), answer());
    let mut paired = Scene::unpaired();
    paired.start_pairing(false);
    paired.show_code();
    paired.advance(secs(5));
    paired.poll(PollAnswer::Granted(answer()));
    for mut scene in [refreshed, paired] {
        assert_eq!(told(&scene), [TOO_LONG]);
        // The one before it is spent at the server, and must not be sent again.
        assert_eq!(scene.on_disk().pair.refresh, None);
        scene.alive();
        let call = scene.get_token(None);
        assert_eq!(scene.token(call), "a2");
        assert_eq!(scene.state(), (PairingState::Paired, Reason::NoRefreshToken));
        assert!(scene.core.snapshot().attention);
        scene.advance(secs(28_800));
        assert!(!scene.out(is_prepare) && !scene.out(is_refresh));
        assert_eq!(scene.state(), (PairingState::Unpaired, Reason::NoRefreshToken));
    }
}

#[test]
fn a_device_is_paired_without_an_access_token_it_can_use() {
    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    scene.show_code();
    scene.advance(secs(5));
    scene.poll(PollAnswer::Granted(without_access(1, TOO_LONG)));
    assert_paired_without_access(&mut scene, 1);
    assert_eq!(told(&scene), [TOO_LONG]);
    scene.advance(secs(17 * 60));
    scene.refresh_to(2);
    let call = scene.get_token(None);
    assert_eq!(scene.token(call), "a2");
    assert_eq!(scene.core.snapshot().generation, Generation(1));
}

#[test]
fn callers_do_not_hasten_the_next_refresh() {
    for refresh in [RefreshMode::Eager, RefreshMode::OnDemand] {
        let mut scene = refreshed_without_access(Policy { refresh, ..policy() }, without_access(2, TOO_LONG));
        let mut sends = 0;
        let mut calls = Vec::new();
        for _ in 0..720 {
            calls.push(scene.get_token(None));
            scene.advance(secs(5));
            if scene.out(is_prepare) {
                scene.prepare(PrepareAnswer::Ready);
                scene.refresh(RefreshAnswer::Granted(without_access(3, TOO_LONG)));
                sends += 1;
            }
        }
        for call in calls {
            // Who came less than 20 s before a refresh waits for it, and may run out of time while
            // it is under way.
            assert!(matches!(scene.error(call), CallError::ServerError | CallError::Timeout));
        }
        assert!((3..=5).contains(&sends), "{refresh:?}: {sends} in an hour");
    }
}

#[test]
fn a_restart_and_a_power_cycle_keep_the_pairing_and_the_pace() {
    let scene = refreshed_without_access(policy(), without_access(2, TOO_LONG));
    for mut again in [scene.restart(), scene.reboot(true), scene.reboot(false)] {
        assert_paired_without_access(&mut again, 2);
        again.advance(secs(60));
        assert!(again.requests.is_empty(), "{:?}", again.requests);
        again.advance(secs(17 * 60));
        again.refresh_to(3);
        let call = again.get_token(None);
        assert_eq!(again.token(call), "a3");
    }
}

#[test]
fn what_has_no_access_token_is_revoked_by_its_refresh_token() {
    let mut scene = refreshed_without_access(policy(), without_access(2, TOO_LONG));
    scene.call(Command::Unpair);
    let Some((_, Request::Revoke(token))) = scene.take(is_revoke) else {
        panic!("a revocation is out: {:?}", scene.requests);
    };
    assert_eq!(token, Revocable::Refresh(RefreshToken::new("r2".into())));
    assert!(!scene.core.snapshot().paired && !scene.core.snapshot().attention);
}

#[test]
fn a_verdict_still_ends_such_a_pairing() {
    let mut scene = refreshed_without_access(policy(), without_access(2, TOO_LONG));
    scene.advance(secs(17 * 60));
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Dead);
    assert_eq!(scene.state(), (PairingState::Unpaired, Reason::Revoked));
}
