//! A refresh that is announced on disk and not sent: the connection grew old, or the daemon ended.

use super::lost_answers::lost_on_demand;
use super::refreshing::{due, sent};
use super::*;

/// Sends that the record on disk counts.
fn counted(fixture: &Fixture) -> Option<u32> {
    fixture.on_disk().mark.map(|mark| mark.sends)
}

/// The mark is on its way to a slow disk.
fn marking() -> Fixture {
    let mut fixture = due();
    fixture.hold_stores = true;
    fixture.prepare(PrepareAnswer::Ready);
    assert!(fixture.stores_pending() && !fixture.out(is_refresh));
    fixture
}

/// Until the next connection is being brought up. No probe settles a doubt meanwhile.
fn connecting(fixture: &mut Fixture) {
    while !fixture.out(is_prepare) {
        fixture.advance(secs(1));
        if fixture.out(is_probe) {
            fixture.unresolved();
        }
    }
}

/// The end of what is on disk, if the server knows the device no more.
fn refused_after_a_restart(fixture: &Fixture) -> Reason {
    let mut restarted = fixture.restart();
    restarted.alive();
    connecting(&mut restarted);
    restarted.prepare(PrepareAnswer::Ready);
    restarted.refresh(RefreshAnswer::InvalidGrant);
    restarted.state().1
}

#[test]
fn a_connection_that_grew_old_behind_a_slow_disk_is_made_anew() {
    for wait in [11, 180, 3600] {
        let mut fixture = marking();
        let (stores, sleeps) = (fixture.stores, wait == 3600);
        if sleeps {
            // Suspended between the two steps.
            fixture.now = fixture.now.after(secs(wait));
        } else {
            fixture.advance(secs(wait));
        }
        fixture.finish_store();
        assert!(
            !fixture.out(is_refresh),
            "{wait} s is too old for a token that works once"
        );
        assert!(fixture.out(is_prepare), "the try goes on at once");
        assert!(!fixture.stores_pending(), "the mark stays for it");
        fixture.advance(secs(2));
        fixture.prepare(PrepareAnswer::Ready);
        assert!(fixture.out(is_refresh), "and is not written again");
        assert_eq!((fixture.stores - stores, counted(&fixture)), (1, Some(1)), "one send");
        fixture.hold_stores = false;
        fixture.refresh(RefreshAnswer::Granted(grant(2)));
        assert_eq!(fixture.access_on_disk(), "a2");
    }
}

#[test]
fn a_connection_of_ten_seconds_is_used() {
    let mut fixture = marking();
    fixture.advance(secs(10));
    fixture.finish_store();
    assert!(fixture.out(is_refresh) && !fixture.out(is_prepare));
}

#[test]
fn on_demand_a_try_goes_on_although_its_caller_has_gone() {
    let mut fixture = Fixture::paired_with(Policy {
        refresh: RefreshMode::OnDemand,
        ..policy()
    });
    fixture.advance(secs(27_000));
    fixture.get_token(None);
    fixture.hold_stores = true;
    fixture.prepare(PrepareAnswer::Ready);
    fixture.advance(secs(60));
    fixture.finish_store();
    fixture.prepare(PrepareAnswer::Ready);
    assert!(fixture.out(is_refresh));
}

#[test]
fn a_mark_whose_send_was_given_up_at_the_end_is_taken_back() {
    let mut fixture = marking();
    fixture.event(Event::Shutdown);
    fixture.finish_store();
    assert_eq!(counted(&fixture), Some(1), "a crash at this moment cannot know better");
    assert!(!fixture.drained);
    fixture.finish_store();
    assert!(fixture.drained && !fixture.out(is_refresh));
    assert_eq!(counted(&fixture), None);
    assert_eq!(refused_after_a_restart(&fixture), Reason::Revoked, "no answer was lost");
}

#[test]
fn a_mark_whose_next_connection_fails_is_taken_back() {
    let mut fixture = marking();
    fixture.advance(secs(60));
    fixture.finish_store();
    fixture.hold_stores = false;
    let stores = fixture.stores;
    fixture.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
    assert_eq!(counted(&fixture), None);
    for _ in 0..10 {
        fixture.advance(secs(300));
        if fixture.out(is_prepare) {
            fixture.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
        }
    }
    assert_eq!(fixture.stores - stores, 1, "once");
    assert_eq!(refused_after_a_restart(&fixture), Reason::Revoked);
}

#[test]
fn a_send_that_failed_before_its_first_byte_leaves_no_mark() {
    for kind in [FaultKind::Offline, FaultKind::ClockNotSet, FaultKind::Untrusted] {
        let mut fixture = sent();
        assert_eq!(counted(&fixture), Some(1));
        fixture.refresh(RefreshAnswer::Failed(fault(kind)));
        assert_eq!(counted(&fixture), None, "{kind:?}");
        assert_eq!(refused_after_a_restart(&fixture), Reason::Revoked, "{kind:?}");
    }
}

#[test]
fn an_answer_that_says_no_costs_no_write_and_the_next_send_one() {
    let mut fixture = sent();
    for _ in 0..5 {
        let stores = fixture.stores;
        fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Refused)));
        fixture.advance(secs(1800));
        assert_eq!((fixture.stores - stores, counted(&fixture)), (0, Some(1)));
        fixture.prepare(PrepareAnswer::Ready);
        assert_eq!(
            (fixture.stores - stores, counted(&fixture)),
            (1, Some(1)),
            "not counted twice"
        );
    }
}

#[test]
fn a_disk_that_takes_no_more_is_found_before_the_token_is_sent_again() {
    for lost in [false, true] {
        let mut fixture = sent();
        if lost {
            fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
            fixture.unresolved();
            connecting(&mut fixture);
            fixture.prepare(PrepareAnswer::Ready);
        }
        fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Refused)));
        fixture.disk_works = false;
        connecting(&mut fixture);
        fixture.prepare(PrepareAnswer::Ready);
        assert!(!fixture.out(is_refresh), "the answer could not be stored");
        assert!(fixture.events.contains(&LogEvent::StoreFailed));
        fixture.disk_works = true;
        connecting(&mut fixture);
        fixture.prepare(PrepareAnswer::Ready);
        assert!(fixture.out(is_refresh));
    }
}

#[test]
fn a_mark_that_cannot_be_taken_back_does_not_hold_up_the_end() {
    // Its send was answered with a no.
    let mut refused = sent();
    refused.refresh(RefreshAnswer::Failed(fault(FaultKind::Refused)));
    refused.disk_works = false;
    refused.event(Event::Shutdown);
    // It is on its way when the end comes.
    let mut marking = marking();
    marking.disk_works = false;
    marking.event(Event::Shutdown);
    marking.finish_store();
    // It was written, and its send is given up.
    let mut given_up = self::marking();
    given_up.event(Event::Shutdown);
    given_up.finish_store();
    given_up.disk_works = false;
    given_up.finish_store();
    for fixture in [refused, marking, given_up] {
        assert!(
            fixture.drained && !fixture.core.is_unsaved(),
            "no token is in memory alone"
        );
        assert!(fixture.events.contains(&LogEvent::StoreFailed));
    }
}

#[test]
fn the_end_takes_back_the_mark_of_a_send_that_was_answered_with_a_no() {
    let client_rejected = || RefreshAnswer::ClientRejected(OAuthErrorCode::Client);
    for (answer, draining) in [
        (RefreshAnswer::Failed(fault(FaultKind::Refused)), false),
        (RefreshAnswer::Failed(fault(FaultKind::Refused)), true),
        (client_rejected(), false),
        (client_rejected(), true),
    ] {
        let mut fixture = sent();
        let stores = fixture.stores;
        if draining {
            fixture.event(Event::Shutdown);
            assert!(
                !fixture.drained && counted(&fixture) == Some(1),
                "a crash cannot know better"
            );
            fixture.refresh(answer);
        } else {
            fixture.refresh(answer);
            assert_eq!(counted(&fixture), Some(1), "and neither can one after the answer");
            fixture.event(Event::Shutdown);
        }
        assert!(fixture.drained);
        assert_eq!((fixture.stores - stores, counted(&fixture)), (1, None));
        assert_eq!(refused_after_a_restart(&fixture), Reason::Revoked, "no answer was lost");
        let mut restarted = fixture.restart();
        restarted.alive();
        assert!(restarted.out(is_prepare), "with another secret it goes at once");
    }
}

#[test]
fn the_end_leaves_the_mark_of_a_send_that_is_in_doubt() {
    let mut fixture = lost_on_demand();
    fixture.alive();
    fixture.advance(secs(40));
    fixture.unresolved();
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Refused)));
    let stores = fixture.stores;
    fixture.event(Event::Shutdown);
    assert!(fixture.drained);
    assert_eq!((fixture.stores - stores, counted(&fixture)), (0, Some(2)));
    assert_eq!(refused_after_a_restart(&fixture), Reason::RefreshAnswerLost);
}

#[test]
fn the_send_before_stays_in_doubt_when_a_resend_is_not_made() {
    for shutdown in [true, false] {
        let mut fixture = lost_on_demand();
        fixture.alive();
        fixture.advance(secs(40));
        fixture.unresolved();
        fixture.hold_stores = shutdown;
        fixture.prepare(PrepareAnswer::Ready);
        if shutdown {
            fixture.event(Event::Shutdown);
            fixture.finish_store();
            assert_eq!(counted(&fixture), Some(2));
            fixture.finish_store();
        } else {
            fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Offline)));
        }
        assert_eq!(counted(&fixture), Some(1), "the first one was sent");
        assert_eq!(refused_after_a_restart(&fixture), Reason::RefreshAnswerLost);
    }
}

#[test]
fn a_disk_that_does_not_take_it_back_is_told_and_tried_again() {
    let mut fixture = sent();
    fixture.disk_works = false;
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Offline)));
    assert_eq!(counted(&fixture), Some(1));
    assert!(fixture.events.contains(&LogEvent::StoreFailed));
    fixture.disk_works = true;
    fixture.advance(secs(120));
    assert_eq!(fixture.on_disk().pair.access, Some(AccessToken::new("a1".into())));
    assert!(fixture.events.contains(&LogEvent::StoreRecovered));
    fixture.prepare(PrepareAnswer::Ready);
    assert_eq!(counted(&fixture), Some(1), "the first send again");
}

#[test]
fn a_new_pairing_that_overtakes_a_mark_needs_no_further_write() {
    let mut fixture = due();
    fixture.start_pairing(true);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.hold_stores = true;
    fixture.prepare(PrepareAnswer::Ready);
    fixture.poll(PollAnswer::Granted(grant(9)));
    let stores = fixture.stores;
    while fixture.stores_pending() {
        fixture.finish_store();
    }
    assert!(!fixture.out(is_refresh) && !fixture.out(is_prepare));
    assert_eq!(counted(&fixture), None);
    let records = fixture.stores - stores;
    assert_eq!(records, 4, "the mark, the pair, the flow's end, the pair again");
}
