//! The failure, and not the caller, sets the pace of the retries.

use super::*;

/// How a server, or the way to it, meets all that is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ill {
    /// The token endpoint answers like this, all else is well.
    Answers(FaultKind),
    /// It refuses this client.
    Rejects,
    /// Not one byte is sent.
    Unreached(FaultKind),
    /// The connection that is proven is cut.
    Silent,
    /// All is well at the server, and the disk takes nothing.
    Disk,
}

/// The counts of an hour.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hour {
    connections: usize,
    sends: usize,
    probes: usize,
    writes: usize,
}

/// Answers whatever is out, as ill as that is.
fn suffer(fixture: &mut Fixture, ill: Ill, hour: &mut Hour) {
    let failed = |kind| fault(kind);
    while let Some((op, request)) = fixture.requests.first().cloned() {
        fixture.requests.remove(0);
        let answer = match (&request, ill) {
            (Request::Prepare, Ill::Unreached(kind)) => Answer::Prepare(PrepareAnswer::Failed(failed(kind))),
            (Request::Prepare, Ill::Silent) => Answer::Prepare(PrepareAnswer::Failed(failed(FaultKind::Lost))),
            (Request::Prepare, _) => Answer::Prepare(PrepareAnswer::Ready),
            (Request::Refresh { .. }, Ill::Answers(kind)) => Answer::Refresh(RefreshAnswer::Failed(failed(kind))),
            (Request::Refresh { .. }, Ill::Rejects) => {
                Answer::Refresh(RefreshAnswer::ClientRejected(OAuthErrorCode::Client))
            }
            (Request::Refresh { .. }, _) => panic!("{ill:?}: a refresh was sent"),
            (Request::Probe(_), Ill::Unreached(kind) | Ill::Answers(kind)) => {
                Answer::Probe(ProbeAnswer::Failed(failed(kind)))
            }
            (Request::Probe(_), _) => Answer::Probe(ProbeAnswer::Failed(failed(FaultKind::Refused))),
            (Request::DeviceCode, Ill::Unreached(kind) | Ill::Answers(kind)) => {
                Answer::Code(CodeAnswer::Failed(failed(kind)))
            }
            (other, _) => panic!("{ill:?}: {other:?}"),
        };
        match request {
            Request::Prepare => hour.connections += 1,
            Request::Refresh { .. } => hour.sends += 1,
            _ => hour.probes += 1,
        }
        fixture.event(Event::Answered { op, date: None, answer });
    }
}

/// An hour in which somebody asks every half second. Each is answered, and not with a token.
fn an_hour(fixture: &mut Fixture, ill: Ill) -> Hour {
    let mut hour = Hour::default();
    let before = fixture.stores;
    for _ in 0..7_200 {
        fixture.get_token(None);
        suffer(fixture, ill, &mut hour);
        let mut left = Duration::from_millis(500);
        while let Some(deadline) = fixture.core.next_deadline() {
            let step = deadline.since(fixture.now).min(left);
            fixture.advance(step);
            suffer(fixture, ill, &mut hour);
            left = left.saturating_sub(step);
            if left.is_zero() {
                break;
            }
        }
        fixture.advance(left);
    }
    let errors = fixture.replies.iter().filter(|(_, reply)| reply.is_err()).count();
    assert!(errors > 7_000, "{ill:?}: {errors} of 7200 got an answer");
    hour.writes = fixture.stores - before;
    hour
}

#[test]
fn a_caller_that_keeps_asking_does_not_set_the_pace() {
    for kind in [FaultKind::Refused, FaultKind::RateLimited] {
        let hour = an_hour(&mut Fixture::overslept(), Ill::Answers(kind));
        assert!((20..=40).contains(&hour.sends), "{kind:?}: {hour:?}");
        assert_eq!(hour.connections, hour.sends, "{kind:?}");
        assert_eq!(
            hour.writes, hour.sends,
            "{kind:?}: each finds out whether the disk works"
        );
    }
    // These leave open what became of the send: each is counted on disk.
    for kind in [FaultKind::Garbled, FaultKind::Lost] {
        let hour = an_hour(&mut Fixture::overslept(), Ill::Answers(kind));
        assert!((20..=40).contains(&hour.sends), "{kind:?}: {hour:?}");
        assert_eq!(hour.writes, hour.sends, "{kind:?}: {hour:?}");
    }
}

#[test]
fn a_refused_client_is_sent_again_after_a_quarter_of_an_hour_at_the_earliest() {
    let hour = an_hour(&mut Fixture::overslept(), Ill::Rejects);
    assert!((2..=5).contains(&hour.sends), "{hour:?}");
    assert_eq!(hour.connections, hour.sends, "nor is anything else");
    assert_eq!(hour.writes, hour.sends);
}

#[test]
fn without_a_network_nothing_is_spent_and_a_try_comes_every_twenty_seconds() {
    for ill in [
        Ill::Unreached(FaultKind::Offline),
        Ill::Unreached(FaultKind::Untrusted),
        Ill::Unreached(FaultKind::ClockNotSet),
        Ill::Silent,
    ] {
        let hour = an_hour(&mut Fixture::overslept(), ill);
        assert!((170..=200).contains(&hour.connections), "{ill:?}: {hour:?}");
        assert_eq!((hour.sends, hour.writes), (0, 0), "{ill:?}");
    }
}

#[test]
fn no_connection_is_made_for_a_mark_that_cannot_be_written() {
    let mut fixture = Fixture::overslept();
    fixture.disk_works = false;
    let hour = an_hour(&mut fixture, Ill::Disk);
    assert_eq!(hour.connections, 1, "{hour:?}");
    assert!((20..=70).contains(&hour.writes), "{hour:?}");
    let call = fixture.get_token(None);
    fixture.advance(secs(20));
    assert_eq!(fixture.error(call), CallError::StorageFailed);
    fixture.disk_works = true;
    fixture.advance(secs(61));
    fixture.refresh_to(2);
    let call = fixture.get_token(None);
    assert_eq!(fixture.token(call), "a2");
}

#[test]
fn a_disk_that_hangs_is_waited_for_and_no_connection_is_made_meanwhile() {
    let mut fixture = Fixture::overslept();
    fixture.disk_works = false;
    fixture.prepare(PrepareAnswer::Ready);
    fixture.hold_stores = true;
    let call = fixture.get_token(None);
    fixture.advance(secs(19));
    assert!(fixture.stores_pending(), "it is tried again for the caller");
    assert!(!fixture.out(is_prepare));
    fixture.advance(secs(1));
    assert_eq!(fixture.error(call), CallError::Timeout);
    fixture.disk_works = true;
    fixture.finish_store();
    assert!(fixture.out(is_prepare), "the disk takes a mark again");
}

/// Whatever file tells whether the disk works again: no connection is made before it has.
#[test]
fn nor_while_a_trial_or_a_list_of_revocations_is_out() {
    let mut trial = Fixture::paired();
    trial.now = trial.now.after(secs(28_800));
    let mut trial = trial.restart_unwritable();
    trial.disk_works = false;
    let mut list = Fixture::paired_with(Policy {
        separate_grants: true,
        ..policy()
    });
    list.start_pairing(true);
    list.show_code();
    list.advance(secs(5));
    list.hold_stores = true;
    list.poll(PollAnswer::Granted(grant(2)));
    list.disk_works = false;
    list.finish_store();
    list.disk_works = true;
    list.hold_stores = false;
    list.finish_store();
    list.event(Event::Tick);
    list.disk_works = false;
    list.alive();
    list.advance(secs(28_800));
    for (name, mut fixture) in [("trial", trial), ("list", list)] {
        assert!(!fixture.out(is_prepare), "{name}: the disk goes first");
        fixture.hold_stores = true;
        fixture.advance(secs(70));
        assert!(fixture.stores_pending(), "{name}");
        fixture.get_token(None);
        assert!(!fixture.out(is_prepare), "{name}: nor before it has answered");
        fixture.disk_works = true;
        fixture.finish_store();
        assert!(fixture.out(is_prepare), "{name}");
    }
}

#[test]
fn a_mark_is_written_again_where_the_disk_may_not_hold_it() {
    let mut fixture = Fixture::overslept();
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Refused)));
    let written = fixture.stores;
    // Another record takes its place: a late approval of a cancelled replacement.
    fixture.approved_after_a_cancel(7);
    assert!(fixture.on_disk().mark.is_none() && fixture.stores > written);
    while !fixture.out(is_prepare) {
        fixture.advance(secs(1));
    }
    fixture.prepare(PrepareAnswer::Ready);
    assert!(fixture.out(is_refresh));
    assert_eq!(
        fixture.on_disk().mark.map(|mark| mark.sends),
        Some(1),
        "no POST without a mark on disk"
    );
}

#[test]
fn probes_that_callers_wait_for_keep_the_same_pace() {
    for (ill, probes) in [
        (Ill::Answers(FaultKind::Refused), 20..=40),
        (Ill::Answers(FaultKind::Lost), 20..=40),
        (Ill::Unreached(FaultKind::Offline), 170..=200),
    ] {
        let mut fixture = Fixture::paired().reboot(false);
        let hour = an_hour(&mut fixture, ill);
        assert!(probes.contains(&hour.probes), "{ill:?}: {hour:?}");
    }
}

#[test]
fn a_caller_waits_if_the_next_try_is_within_its_time_and_hears_at_once_if_not() {
    let mut fixture = Fixture::overslept();
    for wait in [5, 10, 20] {
        fixture.prepare(PrepareAnswer::Ready);
        fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Refused)));
        let call = fixture.get_token(None);
        assert!(fixture.reply(call).is_none(), "{wait} s are within its time");
        fixture.advance(Duration::from_millis(wait * 1000 - 1));
        assert!(!fixture.out(is_prepare), "{wait}");
        fixture.advance(Duration::from_millis(1));
        if wait == 20 {
            assert_eq!(fixture.error(call), CallError::ServerError, "its last moment");
            fixture.get_token(None);
        }
        assert!(fixture.out(is_prepare), "{wait}");
    }
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Refused)));
    let early = fixture.get_token(None);
    assert_eq!(fixture.error(early), CallError::ServerError, "40 s are not");
    fixture.advance(secs(25));
    let late = fixture.get_token(None);
    assert!(fixture.reply(late).is_none(), "15 s are");
    fixture.advance(secs(15));
    fixture.refresh_to(2);
    assert_eq!(fixture.token(late), "a2");
}

#[test]
fn a_person_who_starts_is_not_made_to_wait_for_any_pace() {
    let ills = [
        Ill::Answers(FaultKind::Refused),
        Ill::Answers(FaultKind::Garbled),
        Ill::Rejects,
        Ill::Unreached(FaultKind::Offline),
        Ill::Silent,
        Ill::Disk,
    ];
    for ill in ills {
        let mut fixture = Fixture::overslept();
        fixture.disk_works = ill != Ill::Disk;
        an_hour(&mut fixture, ill);
        if ill == Ill::Disk {
            let refused = fixture.start_pairing(true);
            assert_eq!(fixture.error(refused), CallError::StorageFailed, "at once");
            fixture.disk_works = true;
            // Between two starts, and the last mandatory try of the disk.
            fixture.advance(secs(60));
        }
        fixture.start_pairing(true);
        assert!(fixture.out(is_code), "{ill:?}: at once");
        fixture.answer(
            is_code,
            Answer::Code(CodeAnswer::ClientRejected(OAuthErrorCode::Client)),
        );
        fixture.advance(secs(5));
        fixture.start_pairing(true);
        assert!(fixture.out(is_code), "{ill:?}: after «not this client», too");
        fixture.answer(is_code, Answer::Code(CodeAnswer::Failed(fault(FaultKind::Refused))));
        fixture.call(Command::CancelPairing);
        fixture.advance(secs(5));
        fixture.start_pairing(true);
        assert!(fixture.out(is_code), "{ill:?}: and after a cancel");
        fixture.call(Command::CancelPairing);
    }
}

#[test]
fn while_somebody_waits_for_a_code_it_is_asked_for_every_twenty_seconds_at_the_latest() {
    for kind in [FaultKind::Offline, FaultKind::Refused] {
        let mut fixture = Fixture::unpaired();
        fixture.start_pairing(false);
        let mut asked = 0;
        for second in 0..600 {
            if fixture.out(is_code) {
                asked += 1;
                fixture.answer(is_code, Answer::Code(CodeAnswer::Failed(fault(kind))));
            }
            if second == 300 {
                let call = fixture.start_pairing(false);
                assert!(fixture.reply(call).is_none(), "the next is within its time");
            }
            fixture.advance(secs(1));
        }
        assert!((30..=60).contains(&asked), "{kind:?}: {asked} in ten minutes");
    }
}

#[test]
fn a_login_to_the_network_by_phone_is_noticed_within_twenty_seconds_and_at_once_with_another_network() {
    let behind_a_portal = || {
        let mut fixture = Fixture::overslept();
        for _ in 0..40 {
            fixture.get_token(None);
            fixture.advance(secs(10));
            if fixture.out(is_prepare) {
                fixture.prepare(PrepareAnswer::Failed(fault(FaultKind::Untrusted)));
            }
        }
        fixture
    };
    // The login changes nothing that the device could see.
    let mut fixture = behind_a_portal();
    let call = fixture.get_token(None);
    fixture.advance(secs(19));
    assert!(fixture.out(is_prepare));
    fixture.refresh_to(2);
    assert_eq!(fixture.token(call), "a2");
    // Another network, after a server that refused for long.
    let mut fixture = Fixture::overslept();
    an_hour(&mut fixture, Ill::Answers(FaultKind::Refused));
    fixture.advance(secs(6));
    assert!(!fixture.out(is_prepare));
    fixture.event(Event::NetworkUp);
    assert!(fixture.out(is_prepare));
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Refused)));
    let call = fixture.get_token(None);
    fixture.advance(secs(5));
    assert!(fixture.out(is_prepare), "the pace begins anew");
    fixture.refresh_to(2);
    assert_eq!(fixture.token(call), "a2");
}

#[test]
fn another_network_or_clock_cures_no_refused_client_and_no_wish_for_patience() {
    let mut fixture = Fixture::overslept();
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::ClientRejected(OAuthErrorCode::Client));
    fixture.advance(secs(14 * 60));
    fixture.event(Event::NetworkUp);
    fixture.event(Event::ClockStepped);
    let call = fixture.get_token(None);
    assert!(!fixture.out(is_prepare));
    assert_eq!(fixture.error(call), CallError::ClientRejected);
    fixture.advance(secs(60));
    fixture.get_token(None);
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Failed(Fault {
        kind: FaultKind::RateLimited,
        retry_after: Some(secs(600)),
    }));
    fixture.event(Event::NetworkUp);
    fixture.advance(secs(599));
    fixture.get_token(None);
    assert!(!fixture.out(is_prepare));
    fixture.advance(secs(1));
    assert!(fixture.out(is_prepare));
}

#[test]
fn unpairing_does_not_wait_for_the_pace_of_an_earlier_revocation() {
    let mut fixture = Fixture::paired_with(Policy {
        separate_grants: true,
        ..policy()
    });
    // The pairing that gives way is to be revoked, and the server does not listen.
    fixture.start_pairing(true);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::Granted(grant(5)));
    fixture.alive();
    for _ in 0..8 {
        while !fixture.out(is_revoke) {
            fixture.advance(secs(60));
        }
        fixture.answer(
            is_revoke,
            Answer::Revoke(RevokeAnswer::Failed(fault(FaultKind::Refused))),
        );
    }
    fixture.advance(secs(5));
    assert!(!fixture.out(is_revoke));
    fixture.call(Command::Unpair);
    assert!(fixture.out(is_revoke));
}
