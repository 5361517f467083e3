//! An access token that cannot be used does not cost the refresh token beside it.

use super::*;

const TOO_LONG: Unusable = Unusable::TooLong(75_000);

/// A grant of the server without its access token.
fn without_access(n: u32, why: Unusable) -> TokenGrant {
    TokenGrant {
        access: Err(why),
        ..grant(n)
    }
}

fn refreshed_without_access(policy: Policy, grant: TokenGrant) -> Fixture {
    let mut fixture = Fixture::paired_with(policy);
    // The token ends, a caller wants another.
    fixture.advance(secs(28_800));
    if !fixture.out(is_prepare) {
        fixture.get_token(None);
    }
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Granted(grant));
    fixture
}

/// Paired with `r{n}` and nothing to serve, and everybody is told so.
fn assert_paired_without_access(fixture: &mut Fixture, n: u32) {
    let pair = fixture.on_disk().pair.clone();
    assert_eq!(pair.access, None);
    assert_eq!(pair.refresh, Some(RefreshToken::new(format!("r{n}"))));
    assert_eq!(fixture.on_disk().mark, None);
    assert_eq!(fixture.state(), (PairingState::Paired, Reason::ServerError));
    let snapshot = fixture.core.snapshot().clone();
    assert!(snapshot.paired && snapshot.attention);
    assert_eq!(snapshot.token, TokenState::Stale);
    assert_eq!(snapshot.generation, Generation::NONE, "nothing is served");
    let call = fixture.get_token(None);
    assert_eq!(fixture.error(call), CallError::ServerError, "at once");
    assert!(
        fixture.requests.is_empty(),
        "nothing carries it: {:?}",
        fixture.requests
    );
}

fn told(fixture: &Fixture) -> Vec<Unusable> {
    let why = |event: &LogEvent| match event {
        LogEvent::TokenUnusable { why, .. } => Some(*why),
        _ => None,
    };
    fixture.events.iter().filter_map(why).collect()
}

#[test]
fn a_refresh_keeps_the_refresh_token_whatever_came_beside_it() {
    for why in [TOO_LONG, Unusable::Absent, Unusable::Characters, Unusable::TokenType] {
        let mut fixture = refreshed_without_access(policy(), without_access(2, why));
        assert_paired_without_access(&mut fixture, 2);
        assert_eq!(told(&fixture), [why]);
        assert_eq!(
            fixture.core.snapshot().last_error.map(|(word, _)| word),
            Some(ErrorWord::ServerError)
        );
        let rejected = fixture.reject(UPLOADER, 1);
        assert_eq!(
            fixture.reply(rejected),
            Some(&Ok(Reply::Done)),
            "the old one is gone anyway"
        );
        fixture.advance(secs(17 * 60));
        fixture.refresh_to(3);
        let call = fixture.get_token(None);
        assert_eq!(fixture.token(call), "a3");
        let snapshot = fixture.core.snapshot();
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
    let mut fixture = refreshed_without_access(policy(), answer);
    assert_paired_without_access(&mut fixture, 1);
}

#[test]
fn an_access_token_is_served_to_its_end_beside_a_refresh_token_that_cannot_be_used() {
    let answer = || TokenGrant {
        refresh: Err(TOO_LONG),
        ..grant(2)
    };
    let refreshed = refreshed_without_access(policy(), answer());
    let mut paired = Fixture::unpaired();
    paired.start_pairing(false);
    paired.show_code();
    paired.advance(secs(5));
    paired.poll(PollAnswer::Granted(answer()));
    for mut fixture in [refreshed, paired] {
        assert_eq!(told(&fixture), [TOO_LONG]);
        // The one before it is spent at the server, and must not be sent again.
        assert_eq!(fixture.on_disk().pair.refresh, None);
        fixture.alive();
        let call = fixture.get_token(None);
        assert_eq!(fixture.token(call), "a2");
        assert_eq!(fixture.state(), (PairingState::Paired, Reason::NoRefreshToken));
        assert!(fixture.core.snapshot().attention);
        fixture.advance(secs(28_800));
        assert!(!fixture.out(is_prepare) && !fixture.out(is_refresh));
        assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::NoRefreshToken));
    }
}

#[test]
fn a_device_is_paired_without_an_access_token_it_can_use() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::Granted(without_access(1, TOO_LONG)));
    assert_paired_without_access(&mut fixture, 1);
    assert_eq!(told(&fixture), [TOO_LONG]);
    fixture.advance(secs(17 * 60));
    fixture.refresh_to(2);
    let call = fixture.get_token(None);
    assert_eq!(fixture.token(call), "a2");
    assert_eq!(fixture.core.snapshot().generation, Generation(1));
}

#[test]
fn callers_do_not_hasten_the_next_refresh() {
    for refresh in [RefreshMode::Eager, RefreshMode::OnDemand] {
        let mut fixture = refreshed_without_access(Policy { refresh, ..policy() }, without_access(2, TOO_LONG));
        let mut sends = 0;
        let mut calls = Vec::new();
        for _ in 0..720 {
            calls.push(fixture.get_token(None));
            fixture.advance(secs(5));
            if fixture.out(is_prepare) {
                fixture.prepare(PrepareAnswer::Ready);
                fixture.refresh(RefreshAnswer::Granted(without_access(3, TOO_LONG)));
                sends += 1;
            }
        }
        for call in calls {
            // A caller that came less than 20 s before a refresh waits for it, and may run out of
            // time while it is under way.
            assert!(matches!(
                fixture.error(call),
                CallError::ServerError | CallError::Timeout
            ));
        }
        assert!((3..=5).contains(&sends), "{refresh:?}: {sends} in an hour");
    }
}

#[test]
fn a_restart_and_a_power_cycle_keep_the_pairing_and_the_pace() {
    let fixture = refreshed_without_access(policy(), without_access(2, TOO_LONG));
    for mut again in [fixture.restart(), fixture.reboot(true), fixture.reboot(false)] {
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
    let mut fixture = refreshed_without_access(policy(), without_access(2, TOO_LONG));
    fixture.call(Command::Unpair);
    let Some((_, Request::Revoke(token))) = fixture.take(is_revoke) else {
        panic!("a revocation is out: {:?}", fixture.requests);
    };
    assert_eq!(token, Revocable::Refresh(RefreshToken::new("r2".into())));
    assert!(!fixture.core.snapshot().paired && !fixture.core.snapshot().attention);
}

#[test]
fn a_verdict_still_ends_such_a_pairing() {
    let mut fixture = refreshed_without_access(policy(), without_access(2, TOO_LONG));
    fixture.advance(secs(17 * 60));
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::InvalidGrant);
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::Revoked));
}
