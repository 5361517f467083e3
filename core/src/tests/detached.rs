//! Refreshes that are out when their pairing is given up, and what comes after it.

use super::*;

/// The refresh of a pairing that was given up (`r1`) and that of the one after it (`r2`) are both
/// out. Grants are separate: elsewhere the second pairing makes the first refresh a matter of
/// nobody.
fn two_out() -> Fixture {
    let mut fixture = Fixture::paired_with(Policy {
        separate_grants: true,
        ..policy()
    });
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    fixture.call(Command::Unpair);
    fixture.advance(secs(10));
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::Granted(grant(2)));
    fixture.alive();
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    let out = fixture.requests.iter().filter(|(_, request)| is_refresh(request));
    assert_eq!(out.count(), 2);
    fixture
}

#[test]
fn an_older_detached_refresh_is_not_taken_for_the_younger() {
    for first in [
        RefreshAnswer::Granted(grant(9)),
        RefreshAnswer::Failed(fault(FaultKind::Lost)),
        RefreshAnswer::ClientRejected(OAuthErrorCode::Client),
        RefreshAnswer::InvalidGrant,
    ] {
        let mut fixture = two_out();
        fixture.hold_stores = true;
        let call = fixture.call(Command::Unpair);
        // The older one is answered, and then the tombstone of the younger pairing fails.
        fixture.refresh(first.clone());
        fixture.disk_works = false;
        while fixture.reply(call).is_none() {
            fixture.finish_store();
        }
        assert_eq!(fixture.error(call), CallError::StorageFailed);
        fixture.disk_works = true;
        fixture.hold_stores = false;
        while fixture.stores_pending() {
            fixture.finish_store();
        }
        fixture.advance(secs(120));
        assert_eq!(
            fixture.core.snapshot().reason,
            Reason::None,
            "{first:?} is not about this pairing"
        );
        assert!(fixture.out(is_refresh), "its own refresh is still out");
        fixture.refresh(RefreshAnswer::Granted(grant(3)));
        let call = fixture.get_token(None);
        assert_eq!(fixture.token(call), "a3", "{first:?}");
        fixture.advance(secs(120));
        assert_eq!(fixture.access_on_disk(), "a3", "{first:?}");
    }
}

#[test]
fn sleep_is_held_off_as_long_as_any_refresh_is_out() {
    for older_first in [true, false] {
        let mut fixture = two_out();
        assert!(fixture.inhibited);
        let mut older = fixture.take(is_refresh);
        let answer = |fixture: &mut Fixture, sent: Option<(OpId, Request)>, n| {
            let (op, _) = sent.unwrap();
            fixture.event(Event::Answered {
                op,
                date: None,
                answer: Answer::Refresh(RefreshAnswer::Granted(grant(n))),
            });
        };
        if older_first {
            answer(&mut fixture, older.take(), 9);
        }
        let younger = fixture.take(is_refresh);
        assert!(fixture.inhibited);
        answer(&mut fixture, younger, 3);
        if let Some(older) = older {
            assert!(fixture.inhibited, "the older one is still out");
            answer(&mut fixture, Some(older), 9);
        }
        assert!(!fixture.inhibited);
    }
}

#[test]
fn sleep_is_held_off_while_a_mark_is_written_and_a_detached_refresh_ends() {
    let mut fixture = two_out();
    let younger = fixture.requests.pop().unwrap().0;
    let busy = Answer::Refresh(RefreshAnswer::Failed(fault(FaultKind::Refused)));
    fixture.event(Event::Answered {
        op: younger,
        date: None,
        answer: busy,
    });
    assert!(fixture.inhibited, "the older one is still out");
    fixture.advance(secs(1800));
    fixture.hold_stores = true;
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Granted(grant(9)));
    assert!(fixture.inhibited, "and now the younger one again");
}

#[test]
fn where_grants_are_separate_a_refresh_ends_with_its_answer() {
    let mut fixture = redirecting::replaced_while_a_refresh_is_out();
    fixture.refresh(RefreshAnswer::Granted(grant(7)));
    assert_eq!(
        fixture.core.snapshot().token,
        TokenState::Valid,
        "nothing is refreshed any more"
    );
    let call = fixture.get_token(None);
    assert_eq!(fixture.token(call), "a1");
    assert!(!fixture.inhibited);
}
