//! RFC 8628 with Frame.io's habits.

mod replacing;
mod showing;

use super::*;

#[test]
fn pairs_and_answers_when_there_is_a_code() {
    let mut fixture = Fixture::unpaired();
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::NeverPaired));
    let call = fixture.start_pairing(false);
    assert_eq!(fixture.state(), (PairingState::RequestingCode, Reason::None));
    assert!(fixture.reply(call).is_none(), "there is nothing to show yet");
    fixture.show_code();
    assert!(matches!(
        fixture.reply(call),
        Some(Ok(Reply::Started {
            renew: true,
            replace: false,
            ..
        }))
    ));
    assert_eq!(fixture.state(), (PairingState::AwaitingUser, Reason::None));
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::Granted(grant(1)));
    assert_eq!(fixture.state(), (PairingState::Paired, Reason::None));
    assert!(fixture.flow.is_none(), "the flow's file is gone");
    assert!(fixture.out(is_probe), "who we are is asked right after pairing");
}

#[test]
fn the_first_poll_waits_one_interval() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(Duration::from_millis(4_999));
    assert!(!fixture.out(is_poll));
    fixture.advance(Duration::from_millis(1));
    assert!(fixture.out(is_poll));
}

#[test]
fn slow_down_adds_five_seconds_each_time_and_keeps_them() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::SlowDown(None, None));
    fixture.advance(Duration::from_millis(9_999));
    assert!(!fixture.out(is_poll));
    fixture.advance(Duration::from_millis(1));
    fixture.poll(PollAnswer::SlowDown(None, None));
    fixture.advance(secs(15));
    fixture.poll(PollAnswer::Pending);
    fixture.advance(Duration::from_millis(14_999));
    assert!(!fixture.out(is_poll), "the slower pace is kept");
    assert_eq!(
        fixture.flow.as_ref().unwrap().interval,
        secs(15),
        "and survives a crash"
    );
}

#[test]
fn a_wish_beside_slow_down_is_waited_for_once() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::SlowDown(Some(secs(60)), None));
    fixture.advance(Duration::from_millis(59_999));
    assert!(!fixture.out(is_poll));
    fixture.advance(Duration::from_millis(1));
    fixture.poll(PollAnswer::Pending);
    fixture.advance(secs(10));
    assert!(fixture.out(is_poll), "from then on the interval counts");
}

#[test]
fn a_longer_interval_beside_slow_down_is_kept_and_a_shorter_one_is_none() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(5));
    let told = |interval| PollAnswer::SlowDown(None, Some(secs(interval)));
    for (said, kept) in [(30, 30), (1, 35)] {
        fixture.poll(told(said));
        assert_eq!(fixture.flow.as_ref().unwrap().interval, secs(kept));
        fixture.advance(Duration::from_millis(kept * 1000 - 1));
        assert!(!fixture.out(is_poll));
        fixture.advance(Duration::from_millis(1));
    }
    assert!(fixture.out(is_poll));
}

#[test]
fn a_network_blip_does_not_throw_the_code_away() {
    let mut fixture = Fixture::unpaired();
    let call = fixture.start_pairing(false);
    fixture.show_code();
    for kind in [
        FaultKind::Offline,
        FaultKind::Lost,
        FaultKind::Garbled,
        FaultKind::Refused,
    ] {
        fixture.advance(secs(20));
        fixture.poll(PollAnswer::Failed(fault(kind)));
        assert_eq!(fixture.state(), (PairingState::AwaitingUser, Reason::None));
    }
    fixture.advance(secs(20));
    fixture.poll(PollAnswer::Granted(grant(1)));
    assert!(fixture.core.snapshot().paired);
    assert!(fixture.reply(call).is_some());
}

#[test]
fn a_code_that_runs_out_is_replaced_until_the_user_gives_up() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    let first = fixture.call(Command::GetPairingCode);
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::Expired);
    assert_eq!(fixture.state(), (PairingState::RequestingCode, Reason::CodeExpired));
    let gap = fixture.call(Command::GetPairingCode);
    assert_eq!(fixture.error(gap), CallError::NoPairing, "an ended code is not shown");
    fixture.show_code();
    let second = fixture.call(Command::GetPairingCode);
    let id = |fixture: &Fixture, call| match fixture.reply(call) {
        Some(Ok(Reply::Code(view))) => view.id,
        other => panic!("{other:?}"),
    };
    assert_ne!(id(&fixture, first), id(&fixture, second));
    for _ in 0..600 {
        fixture.advance(secs(1));
        while fixture.out(is_poll) {
            fixture.poll(PollAnswer::Pending);
        }
    }
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::GaveUp));
    assert!(fixture.flow.is_none());
}

#[test]
fn an_approval_for_the_code_just_replaced_still_pairs() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(5));
    // The poll stalls past the code's end.
    fixture.advance(secs(120));
    assert_eq!(fixture.state(), (PairingState::RequestingCode, Reason::CodeExpired));
    fixture.poll(PollAnswer::Granted(grant(1)));
    assert!(fixture.core.snapshot().paired);
}

#[test]
fn offline_retries_and_tells_the_caller_within_its_time() {
    let mut fixture = Fixture::unpaired();
    let call = fixture.start_pairing(false);
    let mut waited = secs(0);
    while fixture.reply(call).is_none() {
        if fixture.out(is_code) {
            fixture.answer(is_code, Answer::Code(CodeAnswer::Failed(fault(FaultKind::Offline))));
        }
        if fixture.reply(call).is_none() {
            fixture.advance(secs(1));
            waited += secs(1);
        }
    }
    assert_eq!(fixture.error(call), CallError::Offline);
    assert!(waited <= secs(20));
    assert_eq!(
        fixture.state(),
        (PairingState::RequestingCode, Reason::Offline),
        "the flow goes on"
    );
    fixture.advance(secs(60));
    fixture.show_code();
    assert_eq!(fixture.state(), (PairingState::AwaitingUser, Reason::None));
}

#[test]
fn a_flow_lasts_between_a_minute_and_a_day() {
    for (asked, lasts) in [(1, 60), (59, 60), (61, 61), (86_399, 86_399), (1_000_000, 86_400)] {
        let mut fixture = Fixture::unpaired();
        let options = PairingOptions {
            renew: true,
            replace: false,
            give_up_after: Some(secs(asked)),
            timeout: None,
        };
        let call = fixture.call(Command::StartPairing { caller: UI, options });
        fixture.show_code();
        match fixture.reply(call) {
            Some(Ok(Reply::Started { give_up_in, .. })) => assert_eq!(*give_up_in, secs(lasts), "{asked}"),
            other => panic!("no code: {other:?}"),
        }
    }
}

#[test]
fn a_second_start_answers_with_the_running_flow() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    let options = PairingOptions {
        renew: false,
        replace: true,
        give_up_after: Some(secs(60)),
        timeout: None,
    };
    let call = fixture.call(Command::StartPairing { caller: OTHER, options });
    match fixture.reply(call) {
        Some(Ok(Reply::Started {
            renew: true,
            replace: false,
            give_up_in,
            ..
        })) => assert_eq!(*give_up_in, secs(600)),
        other => panic!("the first flow's options win: {other:?}"),
    }
    assert!(!fixture.out(is_code), "no second code is asked for");
}

#[test]
fn starting_while_paired_needs_replace() {
    let mut fixture = Fixture::paired();
    let call = fixture.start_pairing(false);
    assert_eq!(fixture.error(call), CallError::AlreadyPaired);
    assert!(!fixture.out(is_code));
}

#[test]
fn starting_unprovisioned_starts_nothing() {
    let none = Stored {
        record: Loaded::Missing,
        kept: Kept::Twice,
        revocations: vec![],
        flow: None,
        writable: true,
    };
    let mut fixture = Fixture::with(policy(), Provisioning::ClientSecretMissing, none);
    assert_eq!(
        fixture.state(),
        (PairingState::Unprovisioned, Reason::ClientSecretMissing)
    );
    let call = fixture.start_pairing(false);
    assert_eq!(fixture.error(call), CallError::NotProvisioned);
    assert!(fixture.requests.is_empty());
}

#[test]
fn a_wrong_secret_ends_the_flow_and_says_so() {
    let mut fixture = Fixture::unpaired();
    let call = fixture.start_pairing(false);
    fixture.answer(
        is_code,
        Answer::Code(CodeAnswer::ClientRejected(OAuthErrorCode::Client)),
    );
    assert_eq!(fixture.error(call), CallError::ClientRejected);
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::ClientRejected));
    assert!(fixture.core.snapshot().attention);
}

#[test]
fn a_code_of_the_wrong_shape_is_not_shown() {
    let mut fixture = Fixture::unpaired();
    let call = fixture.start_pairing(false);
    fixture.answer(is_code, Answer::Code(CodeAnswer::BadUserCode));
    assert!(fixture.reply(call).is_none(), "asked again within the call's time");
    fixture.advance(secs(15));
    fixture.show_code();
    assert!(matches!(fixture.reply(call), Some(Ok(Reply::Started { .. }))));
}

#[test]
fn cancel_works_at_each_step_and_survives_a_crash() {
    for step in 0..4 {
        let mut fixture = Fixture::unpaired();
        fixture.start_pairing(false);
        if step >= 1 {
            fixture.show_code();
        }
        if step >= 2 {
            fixture.advance(secs(5));
        }
        if step >= 3 {
            fixture.poll(PollAnswer::Pending);
        }
        let call = fixture.call(Command::CancelPairing);
        assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)), "step {step}");
        assert_eq!(
            fixture.state(),
            (PairingState::Unpaired, Reason::Cancelled),
            "step {step}"
        );
        assert!(fixture.flow.is_none(), "step {step}");
        assert!(!fixture.restart().out(is_poll), "step {step}");
    }
}

#[test]
fn cancel_answers_only_when_the_flow_is_durably_gone() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.hold_stores = true;
    let call = fixture.call(Command::CancelPairing);
    assert!(fixture.reply(call).is_none());
    fixture.finish_store();
    assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
}

#[test]
fn cancel_without_a_flow_is_no_error() {
    let mut fixture = Fixture::unpaired();
    let call = fixture.call(Command::CancelPairing);
    assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
}

#[test]
fn an_approval_after_cancel_leaves_no_ghost_device() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.call(Command::CancelPairing);
    assert!(fixture.out(is_poll), "a poll that was sent is never cancelled");
    fixture.poll(PollAnswer::Granted(grant(1)));
    assert!(!fixture.core.snapshot().paired);
    assert!(fixture.out(is_revoke), "the new pair is revoked");
    assert_eq!(fixture.revocations.len(), 1, "and a crash does not forget it");
}

#[test]
fn denial_ends_the_flow() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::Denied);
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::Denied));
}

/// The code on show is polled, goes on for a while, and is refused.
fn refuse(fixture: &mut Fixture, word: &str) {
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::Pending);
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::CodeUnknown(ErrorCode::new(word)));
}

#[test]
fn three_codes_refused_in_a_row_end_the_flow_whatever_the_polls_between_said() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    for word in ["bad_verification_code", "bad_verification_code"] {
        fixture.show_code();
        refuse(&mut fixture, word);
        assert_eq!(fixture.state(), (PairingState::RequestingCode, Reason::CodeExpired));
    }
    fixture.show_code();
    refuse(&mut fixture, "no_more_codes");
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::ServerError));
    assert!(!fixture.out(is_code), "no fourth code is shown");
    let ended = fixture
        .events
        .iter()
        .filter(|event| matches!(event, LogEvent::CodeEnded { .. }));
    assert_eq!(ended.count(), 3, "each code's end is told");
    let word = ErrorCode::new("no_more_codes");
    let reason = Reason::ServerError;
    assert_eq!(fixture.events.last(), Some(&LogEvent::FlowEnded { reason, word }));
}

#[test]
fn a_code_that_lives_to_its_end_is_no_refusal() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    for _ in 0..4 {
        for _ in 0..2 {
            fixture.show_code();
            refuse(&mut fixture, "invalid_grant");
        }
        fixture.show_code();
        fixture.advance(secs(5));
        fixture.poll(PollAnswer::Expired);
        assert_eq!(fixture.state(), (PairingState::RequestingCode, Reason::CodeExpired));
    }
}
