//! `AttentionNeeded` and the reason beside it: uploads cannot work, or will stop, and a person has
//! to act.

use super::refreshing::due;
use super::*;

/// The reason that is told of each while nobody can be given a token, and if a person has to act.
const FAULTS: [(FaultKind, Reason, bool); 8] = [
    (FaultKind::Offline, Reason::Offline, false),
    (FaultKind::Lost, Reason::Offline, false),
    (FaultKind::ClockNotSet, Reason::ClockNotSet, false),
    (FaultKind::Untrusted, Reason::TlsUntrusted, true),
    (FaultKind::Garbled, Reason::ServerError, false),
    (FaultKind::RateLimited, Reason::ServerError, false),
    (FaultKind::Refused, Reason::ServerError, false),
    (FaultKind::Local(LocalFault::NoEndpoint), Reason::LocalFault, true),
];

/// The reason that is told, and `AttentionNeeded`.
fn told(fixture: &Fixture) -> (Reason, bool) {
    (fixture.core.snapshot().reason, fixture.core.snapshot().attention)
}

#[test]
fn what_keeps_a_dead_token_from_being_renewed_asks_for_a_person_unless_it_ends_by_itself() {
    for (kind, reason, attention) in FAULTS {
        let mut fixture = Fixture::overslept();
        fixture.prepare(PrepareAnswer::Failed(fault(kind)));
        assert_eq!(told(&fixture), (reason, attention), "{kind:?}");
        let call = fixture.get_token(None);
        for _ in 0..4 {
            fixture.advance(secs(5));
            if fixture.out(is_prepare) {
                fixture.prepare(PrepareAnswer::Failed(fault(kind)));
            }
        }
        let error = fixture.error(call);
        assert_eq!(error == CallError::Untrusted, kind == FaultKind::Untrusted, "{error:?}");

        fixture.get_token(None);
        fixture.advance(secs(120));
        fixture.refresh_to(2);
        assert_eq!(told(&fixture), (Reason::None, false), "{kind:?}");
    }
}

/// A camera that starts without a clock in a network with its own certificate: nobody tells how old
/// the token is, and all callers wait for a probe that cannot get through.
#[test]
fn what_keeps_a_token_of_unknown_age_from_being_asked_about_is_told_too() {
    for (kind, reason, attention) in FAULTS {
        let mut fixture = Fixture::paired().reboot(false);
        assert_eq!(told(&fixture), (Reason::None, false), "nothing has failed");
        let fails = |fixture: &mut Fixture| {
            if fixture.out(is_probe) {
                fixture.probed(ProbeAnswer::Failed(fault(kind)));
            }
            if fixture.out(is_prepare) {
                fixture.prepare(PrepareAnswer::Failed(fault(kind)));
            }
        };
        for _ in 0..180 {
            fails(&mut fixture);
            assert_eq!(told(&fixture), (reason, attention), "{kind:?}");
            fixture.advance(secs(20));
        }
        let call = fixture.get_token(None);
        while fixture.reply(call).is_none() {
            fails(&mut fixture);
            fixture.advance(secs(5));
        }
        assert!(
            matches!(fixture.reply(call), Some(Err(_))),
            "{kind:?}: {:?}",
            fixture.replies
        );
        while !fixture.out(is_probe) {
            fails(&mut fixture);
            fixture.advance(secs(20));
        }
        fixture.alive();
        assert_eq!(told(&fixture), (Reason::None, false), "{kind:?}");
    }
}

#[test]
fn a_code_that_another_certificate_keeps_away_says_so_and_the_clock_goes_first() {
    for (kind, reason, error) in [
        (FaultKind::Untrusted, Reason::TlsUntrusted, CallError::Untrusted),
        (FaultKind::ClockNotSet, Reason::ClockNotSet, CallError::ClockNotSet),
    ] {
        let mut fixture = Fixture::unpaired();
        let call = fixture.start_pairing(false);
        for _ in 0..3 {
            fixture.answer(is_code, Answer::Code(CodeAnswer::Failed(fault(kind))));
            assert_eq!(fixture.state(), (PairingState::RequestingCode, reason));
            assert!(!fixture.core.snapshot().attention, "the person stands before it");
            fixture.advance(secs(20));
        }
        assert_eq!(fixture.error(call), error);
        fixture.show_code();
        assert_eq!(fixture.state(), (PairingState::AwaitingUser, Reason::None));
    }
}

#[test]
fn a_mark_that_the_disk_does_not_take_is_told_at_once_and_until_the_first_good_write() {
    let mut fixture = due();
    assert_eq!(told(&fixture), (Reason::None, false));
    fixture.disk_works = false;
    fixture.prepare(PrepareAnswer::Ready);
    assert_eq!(told(&fixture), (Reason::StorageFailed, true));
    assert_eq!(
        fixture.core.snapshot().token,
        TokenState::Valid,
        "it will stop, and has not yet"
    );
    fixture.advance(secs(3600));
    assert_eq!(told(&fixture), (Reason::StorageFailed, true), "no retry hides it");
    fixture.disk_works = true;
    fixture.advance(secs(60));
    assert_eq!(told(&fixture), (Reason::None, false));
    fixture.refresh_to(2);
}

#[test]
fn a_dead_token_whose_mark_cannot_be_written_is_told_with_its_cause() {
    let mut fixture = Fixture::overslept();
    fixture.disk_works = false;
    fixture.prepare(PrepareAnswer::Ready);
    assert_eq!(fixture.core.snapshot().token, TokenState::Stale);
    assert_eq!(told(&fixture), (Reason::StorageFailed, true));
    let call = fixture.get_token(None);
    fixture.advance(secs(20));
    assert_eq!(fixture.error(call), CallError::StorageFailed);
}

#[test]
fn a_record_in_the_runtime_directory_alone_is_told_across_a_start() {
    let mut fixture = due();
    fixture.prepare(PrepareAnswer::Ready);
    fixture.disk_works = false;
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(fixture.stored().kept, Kept::Spilled);
    assert_eq!(told(&fixture), (Reason::StorageFailed, true));
    let mut restarted = Fixture::failing(fixture.stored(), fixture.now);
    assert_eq!(told(&restarted), (Reason::StorageFailed, true));
    restarted.disk_works = true;
    restarted.advance(secs(60));
    assert_eq!(told(&restarted), (Reason::None, false));
}

#[test]
fn a_flow_beside_the_pairing_hides_the_reason_and_not_the_need() {
    let mut fixture = due();
    fixture.start_pairing(true);
    fixture.disk_works = false;
    fixture.prepare(PrepareAnswer::Ready);
    assert_eq!(fixture.state(), (PairingState::RequestingCode, Reason::None));
    assert!(fixture.core.snapshot().attention);
}
