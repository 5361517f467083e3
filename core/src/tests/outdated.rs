//! An answer tells of the time at which its request left: what came later it does not settle.

use super::refreshing::sent;
use super::*;

#[test]
fn only_what_left_after_a_rejection_answers_it() {
    let mut fixture = Fixture::paired();
    fixture.get_token(None);
    fixture.advance(secs(6));
    let first = fixture.reject(UPLOADER, 1);
    fixture.get_as(client(OTHER));
    let second = fixture.reject(OTHER, 1);
    let waiting = fixture.get_as(client(OTHER));
    // Taken before the second rejection: that may be true all the same.
    fixture.alive();
    assert_eq!(fixture.reply(first), Some(&Ok(Reply::Done)));
    assert!(fixture.reply(second).is_none() && fixture.reply(waiting).is_none());
    let named = |fixture: &Fixture, caller| {
        let generation = Generation(1);
        fixture
            .events
            .contains(&LogEvent::ReportContradicted { caller, generation })
    };
    assert!(
        named(&fixture, UPLOADER) && !named(&fixture, OTHER),
        "nobody is named on the strength of an older answer"
    );
    assert!(!fixture.out(is_probe), "a second apart");
    fixture.advance(secs(1));
    fixture.probed(ProbeAnswer::Rejected);
    assert_eq!(fixture.reply(second), Some(&Ok(Reply::Done)));
    fixture.refresh_to(2);
    assert_eq!(fixture.token(waiting), "a2");
    assert!(!named(&fixture, OTHER));
}

#[test]
fn the_generation_that_a_caller_named_is_the_one_in_the_journal() {
    let mut fixture = Fixture::paired();
    fixture.get_token(None);
    fixture.start_pairing(true);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.reject(UPLOADER, 1);
    // The replacement has its number, and is not yet on disk.
    fixture.hold_stores = true;
    fixture.poll(PollAnswer::Granted(grant(2)));
    fixture.alive();
    let named: Vec<_> = fixture
        .events
        .iter()
        .filter_map(|event| match event {
            LogEvent::ReportContradicted { caller, generation } => Some((*caller, generation.0)),
            _ => None,
        })
        .collect();
    assert_eq!(named, [(UPLOADER, 1)]);
}

/// Paired at a server that has one pairing for each device; a request carries the old token when
/// the user, who cancelled the replacement a moment ago, approves it all the same.
fn crossed() -> Fixture {
    let mut fixture = Fixture::paired_with(Policy {
        heartbeat: Some(secs(120)),
        ..policy()
    });
    fixture.advance(secs(112));
    fixture.start_pairing(true);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.call(Command::CancelPairing);
    fixture.advance(secs(5));
    assert!(fixture.out(is_heartbeat));
    fixture.poll(PollAnswer::Granted(grant(2)));
    assert!(fixture.on_disk().candidate.is_some());
    fixture
}

fn beats(fixture: &mut Fixture, answer: ProbeAnswer) {
    fixture.answer(is_heartbeat, Answer::Probe(answer));
}

#[test]
fn a_2xx_that_left_before_a_second_pair_came_does_not_drop_it() {
    let mut fixture = crossed();
    beats(&mut fixture, ProbeAnswer::Accepted(None));
    assert!(
        fixture.on_disk().candidate.is_some(),
        "the approval may have ended the first"
    );
    fixture.probed(ProbeAnswer::Rejected);
    assert_eq!(fixture.access_on_disk(), "a2");
    assert!(fixture.core.snapshot().paired);

    let mut fixture = crossed();
    beats(&mut fixture, ProbeAnswer::Accepted(None));
    fixture.alive();
    assert!(fixture.on_disk().candidate.is_none(), "taken after the second came");
    assert_eq!(fixture.access_on_disk(), "a1");
}

#[test]
fn a_401_that_left_before_a_second_pair_came_does_not_adopt_it() {
    let mut fixture = crossed();
    fixture.get_token(None);
    beats(&mut fixture, ProbeAnswer::Rejected);
    assert_eq!(fixture.access_on_disk(), "a1");
    assert!(fixture.on_disk().candidate.is_some());
    fixture.alive();
    assert!(fixture.on_disk().candidate.is_none());
    assert_eq!(fixture.access_on_disk(), "a1");
    let call = fixture.get_token(None);
    assert_eq!(fixture.token(call), "a1");
}

#[test]
fn a_failure_that_left_before_a_second_pair_came_is_followed_by_a_probe() {
    let mut fixture = crossed();
    beats(&mut fixture, ProbeAnswer::Failed(fault(FaultKind::Lost)));
    fixture.advance(secs(15));
    fixture.probed(ProbeAnswer::Rejected);
    assert_eq!(fixture.access_on_disk(), "a2");
}

/// A refresh is out when the user, who cancelled the replacement a moment ago, approves it all the
/// same.
fn approved_while_a_refresh_is_out(mut fixture: Fixture) -> Fixture {
    assert!(fixture.out(is_refresh));
    fixture.approved_after_a_cancel(3);
    assert!(fixture.on_disk().candidate.is_some());
    fixture
}

#[test]
fn a_refresh_that_left_before_a_second_pair_came_does_not_drop_it() {
    let mut fixture = approved_while_a_refresh_is_out(sent());
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(fixture.access_on_disk(), "a2");
    assert!(
        fixture.on_disk().candidate.is_some(),
        "the approval may have ended what the refresh brought"
    );
    fixture.probed(ProbeAnswer::Rejected);
    assert_eq!(fixture.access_on_disk(), "a3");
    assert!(fixture.core.snapshot().paired);

    let mut fixture = approved_while_a_refresh_is_out(sent());
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    let mut fixture = fixture.restart();
    fixture.alive();
    assert_eq!(fixture.access_on_disk(), "a2");
    assert!(fixture.on_disk().candidate.is_none(), "taken after the second came");
}

#[test]
fn nor_does_it_after_an_unpairing_that_failed() {
    let mut fixture = approved_while_a_refresh_is_out(sent());
    fixture.disk_works = false;
    let call = fixture.call(Command::Unpair);
    assert_eq!(fixture.error(call), CallError::StorageFailed);
    fixture.disk_works = true;
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    assert!(fixture.on_disk().candidate.is_some());

    // The answer comes while the tombstone is being written.
    let mut fixture = approved_while_a_refresh_is_out(sent());
    (fixture.disk_works, fixture.hold_stores) = (false, true);
    let call = fixture.call(Command::Unpair);
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    while fixture.reply(call).is_none() {
        fixture.finish_store();
    }
    assert_eq!(fixture.error(call), CallError::StorageFailed);
    (fixture.disk_works, fixture.hold_stores) = (true, false);
    fixture.event(Event::Tick);
    fixture.probed(ProbeAnswer::Rejected);
    assert_eq!(fixture.access_on_disk(), "a3");
}

#[test]
fn where_nobody_can_be_asked_the_next_refresh_settles_it() {
    let mut fixture = Fixture::paired().reboot_with(
        Policy {
            can_probe: false,
            ..policy()
        },
        true,
    );
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    let mut fixture = approved_while_a_refresh_is_out(fixture);
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(fixture.access_on_disk(), "a2");
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::InvalidGrant);
    assert_eq!(fixture.access_on_disk(), "a3");
}

#[test]
fn a_refresh_that_left_after_a_second_pair_came_drops_it() {
    let mut fixture = Fixture::paired();
    fixture.approved_after_a_cancel(3);
    while !fixture.out(is_prepare) {
        if fixture.out(is_probe) {
            fixture.unresolved();
        }
        fixture.advance(secs(60));
    }
    assert!(fixture.on_disk().candidate.is_some());
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(fixture.access_on_disk(), "a2");
    assert!(fixture.on_disk().candidate.is_none());
}
