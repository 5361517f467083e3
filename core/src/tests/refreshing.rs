//! The refresh transaction and its schedule.

use super::*;
use crate::LocalFault;

/// Paired, and in the advisory window with a connection being brought up.
pub(super) fn due() -> Fixture {
    let mut fixture = Fixture::paired();
    // 75 % of 8 h, and the jitter's 10 % of that.
    fixture.advance(secs(28_800 * 83 / 100));
    assert!(fixture.out(is_prepare), "the advisory window opened");
    fixture
}

/// The POST is out.
pub(super) fn sent() -> Fixture {
    let mut fixture = due();
    fixture.prepare(PrepareAnswer::Ready);
    assert!(fixture.out(is_refresh));
    fixture
}

#[test]
fn nothing_happens_before_the_advisory_window() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(28_800 * 67 / 100));
    assert!(fixture.requests.is_empty());
}

#[test]
fn refreshes_in_the_background_and_stores_before_showing() {
    let mut fixture = sent();
    assert_eq!(
        fixture.on_disk().mark.map(|mark| mark.sends),
        Some(1),
        "no POST without a mark on disk"
    );
    fixture.hold_stores = true;
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(
        fixture.core.snapshot().generation,
        Generation(1),
        "I1: not visible before it is durable"
    );
    fixture.finish_store();
    assert_eq!(fixture.core.snapshot().generation, Generation(2));
    assert_eq!(fixture.on_disk().mark, None);
    assert!(fixture.out(is_probe), "and the new token is tried at once");
}

#[test]
fn without_a_mark_on_disk_there_is_no_post() {
    let mut fixture = due();
    fixture.disk_works = false;
    fixture.prepare(PrepareAnswer::Ready);
    assert!(!fixture.out(is_refresh));
    fixture.advance(secs(28_800));
    let call = fixture.get_token(None);
    for _ in 0..20 {
        if fixture.out(is_prepare) {
            fixture.prepare(PrepareAnswer::Ready);
        }
        if fixture.reply(call).is_none() {
            fixture.advance(secs(1));
        }
    }
    assert_eq!(fixture.error(call), CallError::StorageFailed);
    fixture.disk_works = true;
    fixture.advance(secs(300));
    fixture.refresh_to(2);
    assert_eq!(fixture.core.snapshot().generation, Generation(2));
}

#[test]
fn a_store_that_fails_after_a_good_refresh_does_not_drop_the_tokens() {
    let mut fixture = sent();
    fixture.disk_works = false;
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    let call = fixture.get_token(None);
    assert_eq!(fixture.token(call), "a2", "served from memory");
    assert_eq!(
        fixture.core.snapshot().last_error.map(|(word, _)| word),
        Some(ErrorWord::StorageFailed)
    );
    fixture.disk_works = true;
    fixture.advance(secs(60));
    assert_eq!(fixture.access_on_disk(), "a2", "storing is retried until it works");
}

#[test]
fn warnings_are_closer_to_the_end_where_a_life_is_shorter() {
    let mut fixture = Fixture::paired_with(Policy {
        refresh_token_life: secs(24 * 3600),
        ..policy()
    });
    assert!(!fixture.core.snapshot().attention, "a fresh pairing needs nobody");
    for _ in 0..24 {
        if fixture.out(is_prepare) {
            fixture.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
        }
        fixture.advance(secs(3600));
    }
    assert!(fixture.core.snapshot().attention);
    let hours: Vec<u64> = fixture
        .events
        .iter()
        .filter_map(|event| match event {
            LogEvent::RefreshTokenAging { age } => Some(age.as_secs() / 3600),
            _ => None,
        })
        .collect();
    assert_eq!(hours, [17, 20, 22]);
}

#[test]
fn what_only_a_person_can_mend_asks_for_one_once_the_token_is_dead() {
    let mut fixture = due();
    for _ in 0..9 {
        if fixture.out(is_prepare) {
            fixture.prepare(PrepareAnswer::Failed(fault(FaultKind::Local(
                LocalFault::AnotherIssuer,
            ))));
        }
        assert_eq!(
            fixture.core.snapshot().attention,
            fixture.core.snapshot().token == TokenState::Stale
        );
        fixture.advance(secs(3600));
    }
    assert_eq!(fixture.state(), (PairingState::Paired, Reason::LocalFault));
    assert!(fixture.core.snapshot().attention);
}

#[test]
fn a_wrong_secret_keeps_the_tokens_and_tries_again_by_itself() {
    let mut fixture = sent();
    fixture.refresh(RefreshAnswer::ClientRejected(OAuthErrorCode::Client));
    assert_eq!(fixture.state(), (PairingState::Paired, Reason::ClientRejected));
    assert!(fixture.core.snapshot().attention);
    let call = fixture.get_token(None);
    assert_eq!(fixture.token(call), "a1");
    fixture.advance(secs(3600 * 11 / 10));
    fixture.refresh_to(2);
    assert_eq!(fixture.state(), (PairingState::Paired, Reason::None));
    assert!(!fixture.core.snapshot().attention);
}

#[test]
fn a_token_that_outlives_the_verdict_is_served_to_its_end() {
    let mut fixture = sent();
    fixture.refresh(RefreshAnswer::InvalidGrant);
    assert!(!fixture.core.snapshot().paired);
    let early = fixture.get_token(None);
    assert!(fixture.reply(early).is_none(), "the probe decides");
    fixture.alive();
    assert_eq!(fixture.token(early), "a1");
    fixture.advance(secs(28_800));
    let late = fixture.get_token(None);
    assert_eq!(fixture.error(late), CallError::NotPaired);
}

#[test]
fn a_token_that_outlives_the_verdict_ends_with_its_own_401() {
    let mut fixture = sent();
    fixture.refresh(RefreshAnswer::InvalidGrant);
    fixture.alive();
    let early = fixture.get_token(None);
    assert_eq!(fixture.token(early), "a1");
    fixture.advance(secs(11));
    fixture.reject(UPLOADER, 1);
    fixture.probed(ProbeAnswer::Rejected);
    let late = fixture.get_token(None);
    assert_eq!(fixture.error(late), CallError::NotPaired);
}

#[test]
fn a_verdict_does_not_hasten_a_probe_that_the_server_put_off() {
    let mut fixture = due();
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
    assert!(fixture.out(is_probe), "does the old token live?");
    fixture.probed(ProbeAnswer::Failed(Fault {
        kind: FaultKind::RateLimited,
        retry_after: Some(secs(300)),
    }));
    fixture.advance(secs(60));
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::InvalidGrant);
    assert_eq!(
        fixture.state(),
        (PairingState::Unpaired, Reason::RefreshAnswerLost),
        "and its token may live on"
    );
    assert!(!fixture.out(is_probe));
    let early = fixture.get_token(None);
    assert_eq!(fixture.error(early), CallError::NotPaired);
    assert!(!fixture.out(is_probe), "nor does a caller hasten it");
    fixture.advance(secs(240));
    assert!(fixture.out(is_probe));
}

#[test]
fn shutdown_lets_a_sent_refresh_finish() {
    let mut fixture = sent();
    fixture.event(Event::Shutdown);
    assert!(!fixture.drained);
    assert!(fixture.out(is_refresh), "never cancelled");
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    assert!(fixture.drained);
    assert_eq!(fixture.access_on_disk(), "a2");
}

#[test]
fn shutdown_does_not_begin_a_refresh() {
    let mut fixture = due();
    fixture.event(Event::Shutdown);
    assert!(fixture.drained);
    assert!(!fixture.out(is_prepare));
}

#[test]
fn on_demand_refreshes_when_asked_and_at_half_of_the_refresh_tokens_life() {
    let lazy = Policy {
        refresh: RefreshMode::OnDemand,
        ..policy()
    };
    let mut fixture = Fixture::paired_with(lazy);
    fixture.advance(secs(27_000));
    assert!(!fixture.out(is_prepare));
    let call = fixture.get_token(None);
    assert_eq!(fixture.token(call), "a1", "answered at once");
    assert!(fixture.out(is_prepare), "and refreshed behind its back");
    fixture.refresh_to(2);
    fixture.advance(secs(7 * 24 * 3600 - 60));
    assert!(!fixture.out(is_prepare));
    fixture.advance(secs(120));
    assert!(fixture.out(is_prepare));
}

#[test]
fn without_a_refresh_token_the_access_tokens_end_is_the_pairings() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::Granted(TokenGrant {
        refresh: Ok(None),
        ..grant(1)
    }));
    fixture.alive();
    assert!(fixture.core.snapshot().attention, "from the start");
    fixture.advance(secs(28_700));
    assert!(fixture.requests.is_empty(), "nothing is scheduled");
    let call = fixture.get_token(None);
    assert_eq!(fixture.token(call), "a1");
    fixture.advance(secs(200));
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::NoRefreshToken));
}

#[test]
fn heartbeats_keep_their_pace_and_any_other_call_counts() {
    let mut fixture = Fixture::paired_with(Policy {
        heartbeat: Some(secs(120)),
        ..policy()
    });
    let call = fixture.get_token(None);
    assert_eq!(fixture.token(call), "a1");
    let beats_after = |fixture: &mut Fixture, wait: u64| {
        fixture.advance(Duration::from_millis(wait * 1000 - 1));
        assert!(fixture.requests.is_empty(), "before {wait} s");
        fixture.advance(Duration::from_millis(1));
        assert!(fixture.out(is_heartbeat), "at {wait} s");
    };
    for kind in [None, Some(FaultKind::Refused)] {
        beats_after(&mut fixture, 120);
        let answer = kind.map_or(ProbeAnswer::Accepted(None), |kind| ProbeAnswer::Failed(fault(kind)));
        fixture.answer(is_heartbeat, Answer::Probe(answer));
    }
    fixture.advance(secs(60));
    fixture.reject(UPLOADER, 1);
    fixture.alive();
    beats_after(&mut fixture, 120);
}

#[test]
fn a_reload_moves_the_window_and_the_heartbeat_and_nothing_else() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(28_800 * 40 / 100));
    assert!(!fixture.out(is_prepare));
    fixture.event(Event::PolicyChanged(Policy {
        refresh_at_percent: 30,
        heartbeat: Some(secs(60)),
        ..policy()
    }));
    assert!(fixture.out(is_prepare), "the window of the new policy is open already");
    fixture.refresh_to(2);
    fixture.advance(secs(60));
    assert!(fixture.out(is_heartbeat));
    assert_eq!(fixture.state(), (PairingState::Paired, Reason::None));
}
