//! When a pair is visible, how often a code may be asked for, and what a replacement leaves.

use super::*;

#[test]
fn an_error_that_repeats_a_code_is_not_named() {
    for (echo, named) in [("unknown 012345", false), ("no d1 here", false), ("no_such_code", true)] {
        let mut scene = Scene::unpaired();
        scene.start_pairing(false);
        scene.show_code();
        refuse(&mut scene, echo);
        let word = ErrorCode::new(echo).filter(|_| named);
        assert!(
            scene.notes.contains(&Note::CodeEnded { word }),
            "{echo}: {:?}",
            scene.notes
        );
    }
}

#[test]
fn a_pair_is_visible_only_when_durable() {
    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    scene.show_code();
    scene.advance(secs(5));
    scene.hold_stores = true;
    scene.poll(PollAnswer::Granted(grant(1)));
    assert!(!scene.core.snapshot().paired);
    scene.finish_store();
    assert!(scene.core.snapshot().paired);
}

#[test]
fn code_requests_of_one_caller_are_limited() {
    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    scene.call(Command::CancelPairing);
    let again = scene.start_pairing(false);
    assert_eq!(scene.error(again), CallError::TooOften);
    let options = PairingOptions {
        renew: true,
        replace: false,
        give_up_after: None,
        timeout: None,
    };
    let other = scene.call(Command::StartPairing { caller: OTHER, options });
    assert!(scene.reply(other).is_none(), "another uid is not in its way");
    scene.call(Command::CancelPairing);
    scene.advance(secs(5));
    let later = scene.start_pairing(false);
    assert!(scene.reply(later).is_none());
}

#[test]
fn replacement_keeps_the_old_pairing_until_the_new_one_is_durable() {
    let mut scene = Scene::paired();
    scene.start_pairing(true);
    scene.show_code();
    let during = scene.get_token(None);
    assert_eq!(scene.token(during), "a1");
    scene.advance(secs(5));
    scene.poll(PollAnswer::Granted(grant(2)));
    let after = scene.get_token(None);
    assert_eq!(scene.token(after), "a2");
    assert!(
        scene.revocations.is_empty(),
        "the old pair is forgotten, not revoked: same device at the server"
    );
    assert_eq!(scene.core.snapshot().generation, Generation(2));
}

#[test]
fn a_cancelled_replacement_returns_to_paired_unchanged() {
    let mut scene = Scene::paired();
    scene.start_pairing(true);
    scene.show_code();
    scene.call(Command::CancelPairing);
    assert_eq!(scene.state(), (PairingState::Paired, Reason::None));
    let call = scene.get_token(None);
    assert_eq!(scene.token(call), "a1");
}

#[test]
fn an_approval_after_a_cancelled_replacement_is_settled_by_a_probe() {
    let answers = [
        (ResourceAnswer::Alive(None), "a1"),
        (ResourceAnswer::Unauthorized, "a2"),
    ];
    for (answer, survivor) in answers {
        let mut scene = Scene::paired();
        scene.start_pairing(true);
        scene.show_code();
        scene.advance(secs(5));
        scene.call(Command::CancelPairing);
        scene.poll(PollAnswer::Granted(grant(2)));
        assert!(
            scene.on_disk().candidate.is_some(),
            "both are kept, sealed, until there is an answer"
        );
        scene.probed(ResourceAnswer::Failed(fault(FaultKind::Offline)));
        assert!(scene.restart().on_disk().candidate.is_some());
        scene.advance(secs(3600));
        scene.probed(answer);
        let call = scene.get_token(None);
        assert_eq!(scene.token(call), survivor);
        assert!(scene.on_disk().candidate.is_none());
        assert_eq!(scene.access_on_disk(), survivor);
    }
}
