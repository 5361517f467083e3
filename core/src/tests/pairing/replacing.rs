//! When a pair is visible, how often a code may be asked for, and what a replacement leaves.

use super::*;

#[test]
fn an_error_that_repeats_a_code_is_not_named() {
    for (echo, named) in [("unknown 012345", false), ("no d1 here", false), ("no_such_code", true)] {
        let mut fixture = Fixture::unpaired();
        fixture.start_pairing(false);
        fixture.show_code();
        refuse(&mut fixture, echo);
        let word = ErrorCode::new(echo).filter(|_| named);
        assert!(
            fixture.events.contains(&LogEvent::CodeEnded { word }),
            "{echo}: {:?}",
            fixture.events
        );
    }
}

#[test]
fn a_pair_is_visible_only_when_durable() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.hold_stores = true;
    fixture.poll(PollAnswer::Granted(grant(1)));
    assert!(!fixture.core.snapshot().paired);
    fixture.finish_store();
    assert!(fixture.core.snapshot().paired);
}

#[test]
fn code_requests_of_one_caller_are_limited() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.call(Command::CancelPairing);
    fixture.advance(secs(2));
    let again = fixture.start_pairing(false);
    assert_eq!(fixture.error(again), CallError::TooOften { wait: secs(3) });
    let options = PairingOptions {
        renew: true,
        replace: false,
        give_up_after: None,
        timeout: None,
    };
    let other = fixture.call(Command::StartPairing { caller: OTHER, options });
    assert!(fixture.reply(other).is_none(), "another uid is not in its way");
    fixture.call(Command::CancelPairing);
    fixture.advance(secs(3));
    let later = fixture.start_pairing(false);
    assert!(fixture.reply(later).is_none());
}

#[test]
fn a_caller_that_asked_for_30_codes_in_an_hour_is_told_when_the_next_is_to_be_had() {
    let mut fixture = Fixture::unpaired();
    for _ in 0..30 {
        let call = fixture.start_pairing(false);
        assert!(fixture.reply(call).is_none());
        fixture.call(Command::CancelPairing);
        fixture.advance(secs(5));
    }
    let refused = fixture.start_pairing(false);
    let wait = secs(3600 - 30 * 5);
    assert_eq!(fixture.error(refused), CallError::TooOften { wait });
    fixture.advance(wait);
    let admitted = fixture.start_pairing(false);
    assert!(fixture.reply(admitted).is_none());
}

#[test]
fn replacement_keeps_the_old_pairing_until_the_new_one_is_durable() {
    let mut fixture = Fixture::paired();
    fixture.start_pairing(true);
    fixture.show_code();
    let during = fixture.get_token(None);
    assert_eq!(fixture.token(during), "a1");
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::Granted(grant(2)));
    let after = fixture.get_token(None);
    assert_eq!(fixture.token(after), "a2");
    assert!(
        fixture.revocations.is_empty(),
        "the old pair is forgotten, not revoked: same device at the server"
    );
    assert_eq!(fixture.core.snapshot().generation, Generation(2));
}

#[test]
fn a_cancelled_replacement_returns_to_paired_unchanged() {
    let mut fixture = Fixture::paired();
    fixture.start_pairing(true);
    fixture.show_code();
    fixture.call(Command::CancelPairing);
    assert_eq!(fixture.state(), (PairingState::Paired, Reason::None));
    let call = fixture.get_token(None);
    assert_eq!(fixture.token(call), "a1");
}

#[test]
fn an_approval_after_a_cancelled_replacement_is_settled_by_a_probe() {
    let answers = [(ProbeAnswer::Accepted(None), "a1"), (ProbeAnswer::Rejected, "a2")];
    for (answer, survivor) in answers {
        let mut fixture = Fixture::paired();
        fixture.approved_after_a_cancel(2);
        assert!(
            fixture.on_disk().candidate.is_some(),
            "both are kept, sealed, until there is an answer"
        );
        fixture.probed(ProbeAnswer::Failed(fault(FaultKind::Offline)));
        assert!(fixture.restart().on_disk().candidate.is_some());
        fixture.advance(secs(3600));
        fixture.probed(answer);
        let call = fixture.get_token(None);
        assert_eq!(fixture.token(call), survivor);
        assert!(fixture.on_disk().candidate.is_none());
        assert_eq!(fixture.access_on_disk(), survivor);
    }
}
