//! RFC 8628 with Frame.io's habits.

mod replacing;

use super::*;

#[test]
fn pairs_and_answers_when_there_is_a_code() {
    let mut scene = Scene::unpaired();
    assert_eq!(scene.state(), (PairingState::Unpaired, Reason::NeverPaired));
    let call = scene.start_pairing(false);
    assert_eq!(scene.state(), (PairingState::RequestingCode, Reason::None));
    assert!(scene.reply(call).is_none(), "there is nothing to show yet");
    scene.show_code();
    assert!(matches!(
        scene.reply(call),
        Some(Ok(Reply::Started {
            renew: true,
            replace: false,
            ..
        }))
    ));
    assert_eq!(scene.state(), (PairingState::AwaitingUser, Reason::None));
    scene.advance(secs(5));
    scene.poll(PollAnswer::Granted(grant(1)));
    assert_eq!(scene.state(), (PairingState::Paired, Reason::None));
    assert!(scene.flow.is_none(), "the flow's file is gone");
    assert!(scene.out(is_identify), "who we are is asked right after pairing");
}

#[test]
fn the_first_poll_waits_one_interval() {
    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    scene.show_code();
    scene.advance(Duration::from_millis(4_999));
    assert!(!scene.out(is_poll));
    scene.advance(Duration::from_millis(1));
    assert!(scene.out(is_poll));
}

#[test]
fn slow_down_adds_five_seconds_each_time_and_keeps_them() {
    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    scene.show_code();
    scene.advance(secs(5));
    scene.poll(PollAnswer::SlowDown(None));
    scene.advance(Duration::from_millis(9_999));
    assert!(!scene.out(is_poll));
    scene.advance(Duration::from_millis(1));
    scene.poll(PollAnswer::SlowDown(None));
    scene.advance(secs(15));
    scene.poll(PollAnswer::Pending);
    scene.advance(Duration::from_millis(14_999));
    assert!(!scene.out(is_poll), "the slower pace is kept");
    assert_eq!(scene.flow.as_ref().unwrap().interval, secs(15), "and survives a crash");
}

#[test]
fn a_wish_beside_slow_down_is_waited_for_once() {
    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    scene.show_code();
    scene.advance(secs(5));
    scene.poll(PollAnswer::SlowDown(Some(secs(60))));
    scene.advance(Duration::from_millis(59_999));
    assert!(!scene.out(is_poll));
    scene.advance(Duration::from_millis(1));
    scene.poll(PollAnswer::Pending);
    scene.advance(secs(10));
    assert!(scene.out(is_poll), "from then on the interval counts");
}

#[test]
fn a_network_blip_does_not_throw_the_code_away() {
    let mut scene = Scene::unpaired();
    let call = scene.start_pairing(false);
    scene.show_code();
    for kind in [
        FaultKind::Offline,
        FaultKind::Lost,
        FaultKind::Garbled,
        FaultKind::Refused,
    ] {
        scene.advance(secs(20));
        scene.poll(PollAnswer::Failed(fault(kind)));
        assert_eq!(scene.state(), (PairingState::AwaitingUser, Reason::None));
    }
    scene.advance(secs(20));
    scene.poll(PollAnswer::Granted(grant(1)));
    assert!(scene.core.snapshot().paired);
    assert!(scene.reply(call).is_some());
}

#[test]
fn a_code_that_runs_out_is_replaced_until_the_user_gives_up() {
    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    scene.show_code();
    let first = scene.call(Command::GetPairingCode);
    scene.advance(secs(5));
    scene.poll(PollAnswer::Expired);
    assert_eq!(scene.state(), (PairingState::RequestingCode, Reason::CodeExpired));
    let gap = scene.call(Command::GetPairingCode);
    assert_eq!(scene.error(gap), CallError::NoPairing, "an ended code is not shown");
    scene.show_code();
    let second = scene.call(Command::GetPairingCode);
    let id = |scene: &Scene, call| match scene.reply(call) {
        Some(Ok(Reply::Code(view))) => view.id,
        other => panic!("{other:?}"),
    };
    assert_ne!(id(&scene, first), id(&scene, second));
    for _ in 0..600 {
        scene.advance(secs(1));
        while scene.out(is_poll) {
            scene.poll(PollAnswer::Pending);
        }
    }
    assert_eq!(scene.state(), (PairingState::Unpaired, Reason::GaveUp));
    assert!(scene.flow.is_none());
}

#[test]
fn an_approval_for_the_code_just_replaced_still_pairs() {
    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    scene.show_code();
    scene.advance(secs(5));
    // The poll stalls past the code's end.
    scene.advance(secs(120));
    assert_eq!(scene.state(), (PairingState::RequestingCode, Reason::CodeExpired));
    scene.poll(PollAnswer::Granted(grant(1)));
    assert!(scene.core.snapshot().paired);
}

#[test]
fn offline_retries_and_tells_the_caller_within_its_time() {
    let mut scene = Scene::unpaired();
    let call = scene.start_pairing(false);
    let mut waited = secs(0);
    while scene.reply(call).is_none() {
        if scene.out(is_code) {
            scene.answer(is_code, Answer::Code(CodeAnswer::Failed(fault(FaultKind::Offline))));
        }
        if scene.reply(call).is_none() {
            scene.advance(secs(1));
            waited += secs(1);
        }
    }
    assert_eq!(scene.error(call), CallError::Offline);
    assert!(waited <= secs(20));
    assert_eq!(
        scene.state(),
        (PairingState::RequestingCode, Reason::Offline),
        "the flow goes on"
    );
    scene.advance(secs(60));
    scene.show_code();
    assert_eq!(scene.state(), (PairingState::AwaitingUser, Reason::None));
}

#[test]
fn a_second_start_answers_with_the_running_flow() {
    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    scene.show_code();
    let options = PairingOptions {
        renew: false,
        replace: true,
        give_up_after: Some(secs(60)),
        timeout: None,
    };
    let call = scene.call(Command::StartPairing { caller: OTHER, options });
    match scene.reply(call) {
        Some(Ok(Reply::Started {
            renew: true,
            replace: false,
            give_up_in,
            ..
        })) => assert_eq!(*give_up_in, secs(600)),
        other => panic!("the first flow's options win: {other:?}"),
    }
    assert!(!scene.out(is_code), "no second code is asked for");
}

#[test]
fn starting_while_paired_needs_replace() {
    let mut scene = Scene::paired();
    let call = scene.start_pairing(false);
    assert_eq!(scene.error(call), CallError::AlreadyPaired);
    assert!(!scene.out(is_code));
}

#[test]
fn starting_unprovisioned_starts_nothing() {
    let none = Stored {
        record: Loaded::Missing,
        kept: Kept::Twice,
        revocations: vec![],
        flow: None,
    };
    let mut scene = Scene::with(policy(), Provisioning::ClientSecretMissing, none);
    assert_eq!(
        scene.state(),
        (PairingState::Unprovisioned, Reason::ClientSecretMissing)
    );
    let call = scene.start_pairing(false);
    assert_eq!(scene.error(call), CallError::NotProvisioned);
    assert!(scene.requests.is_empty());
}

#[test]
fn a_wrong_secret_ends_the_flow_and_says_so() {
    let mut scene = Scene::unpaired();
    let call = scene.start_pairing(false);
    scene.answer(
        is_code,
        Answer::Code(CodeAnswer::ClientRejected(OAuthErrorCode::Client)),
    );
    assert_eq!(scene.error(call), CallError::ClientRejected);
    assert_eq!(scene.state(), (PairingState::Unpaired, Reason::ClientRejected));
    assert!(scene.core.snapshot().attention);
}

#[test]
fn a_code_of_the_wrong_shape_is_not_shown() {
    let mut scene = Scene::unpaired();
    let call = scene.start_pairing(false);
    scene.answer(is_code, Answer::Code(CodeAnswer::BadUserCode));
    assert!(scene.reply(call).is_none(), "asked again within the call's time");
    scene.advance(secs(15));
    scene.show_code();
    assert!(matches!(scene.reply(call), Some(Ok(Reply::Started { .. }))));
}

#[test]
fn cancel_works_at_each_step_and_survives_a_crash() {
    for step in 0..4 {
        let mut scene = Scene::unpaired();
        scene.start_pairing(false);
        if step >= 1 {
            scene.show_code();
        }
        if step >= 2 {
            scene.advance(secs(5));
        }
        if step >= 3 {
            scene.poll(PollAnswer::Pending);
        }
        let call = scene.call(Command::CancelPairing);
        assert_eq!(scene.reply(call), Some(&Ok(Reply::Done)), "step {step}");
        assert_eq!(
            scene.state(),
            (PairingState::Unpaired, Reason::Cancelled),
            "step {step}"
        );
        assert!(scene.flow.is_none(), "step {step}");
        assert!(!scene.restart().out(is_poll), "step {step}");
    }
}

#[test]
fn cancel_answers_only_when_the_flow_is_durably_gone() {
    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    scene.show_code();
    scene.hold_stores = true;
    let call = scene.call(Command::CancelPairing);
    assert!(scene.reply(call).is_none());
    scene.finish_store();
    assert_eq!(scene.reply(call), Some(&Ok(Reply::Done)));
}

#[test]
fn cancel_without_a_flow_is_no_error() {
    let mut scene = Scene::unpaired();
    let call = scene.call(Command::CancelPairing);
    assert_eq!(scene.reply(call), Some(&Ok(Reply::Done)));
}

#[test]
fn an_approval_after_cancel_leaves_no_ghost_device() {
    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    scene.show_code();
    scene.advance(secs(5));
    scene.call(Command::CancelPairing);
    assert!(scene.out(is_poll), "a poll that was sent is never cancelled");
    scene.poll(PollAnswer::Granted(grant(1)));
    assert!(!scene.core.snapshot().paired);
    assert!(scene.out(is_revoke), "the new pair is revoked");
    assert_eq!(scene.revocations.len(), 1, "and a crash does not forget it");
}

#[test]
fn denial_ends_the_flow() {
    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    scene.show_code();
    scene.advance(secs(5));
    scene.poll(PollAnswer::Denied);
    assert_eq!(scene.state(), (PairingState::Unpaired, Reason::Denied));
}

/// The code on show is polled, goes on for a while, and is refused.
fn refuse(scene: &mut Scene, word: &str) {
    scene.advance(secs(5));
    scene.poll(PollAnswer::Pending);
    scene.advance(secs(5));
    scene.poll(PollAnswer::CodeUnknown(ErrorCode::new(word)));
}

#[test]
fn three_codes_refused_in_a_row_end_the_flow_whatever_the_polls_between_said() {
    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    for word in ["bad_verification_code", "bad_verification_code"] {
        scene.show_code();
        refuse(&mut scene, word);
        assert_eq!(scene.state(), (PairingState::RequestingCode, Reason::CodeExpired));
    }
    scene.show_code();
    refuse(&mut scene, "no_more_codes");
    assert_eq!(scene.state(), (PairingState::Unpaired, Reason::ServerError));
    assert!(!scene.out(is_code), "no fourth code is shown");
    let ended = scene.notes.iter().filter(|note| matches!(note, Note::CodeEnded { .. }));
    assert_eq!(ended.count(), 3, "each code's end is told");
    let word = ErrorCode::new("no_more_codes");
    let reason = Reason::ServerError;
    assert_eq!(scene.notes.last(), Some(&Note::FlowEnded { reason, word }));
}

#[test]
fn a_code_that_lives_to_its_end_is_no_refusal() {
    let mut scene = Scene::unpaired();
    scene.start_pairing(false);
    for _ in 0..4 {
        for _ in 0..2 {
            scene.show_code();
            refuse(&mut scene, "invalid_grant");
        }
        scene.show_code();
        scene.advance(secs(5));
        scene.poll(PollAnswer::Expired);
        assert_eq!(scene.state(), (PairingState::RequestingCode, Reason::CodeExpired));
    }
}
