//! The effect of another start, a cancel or a give-up while the last answer is waited for.

use super::*;

/// A flow whose code has ended while a poll for it is out.
fn over_with_a_poll_out() -> (Fixture, OpId) {
    let mut fixture = Fixture::unpaired();
    fixture.call(Command::StartPairing {
        caller: UI,
        options: ONCE,
    });
    fixture.show_code();
    until_last_poll(&mut fixture);
    let (op, _) = fixture.take(is_poll).unwrap();
    fixture.advance(secs(3));
    assert_eq!(fixture.state(), (PairingState::AwaitingUser, Reason::None));
    (fixture, op)
}

fn answer_poll(fixture: &mut Fixture, op: OpId, answer: PollAnswer) {
    let answer = Answer::Poll(answer);
    fixture.event(Event::Answered { op, date: None, answer });
}

#[test]
fn who_starts_during_the_wait_for_the_last_answer_gets_a_code_at_once() {
    let (mut fixture, _) = over_with_a_poll_out();
    let options = PairingOptions {
        give_up_after: Some(secs(300)),
        timeout: Some(secs(1)),
        ..RENEWING
    };
    let again = fixture.call(Command::StartPairing { caller: OTHER, options });
    assert_eq!(fixture.state(), (PairingState::RequestingCode, Reason::None));
    assert!(fixture.out(is_code) && fixture.reply(again).is_none());
    fixture.show_code();
    let Some(Ok(Reply::Started {
        renew,
        give_up_in,
        code,
        ..
    })) = fixture.reply(again)
    else {
        panic!("{:?}", fixture.reply(again));
    };
    assert!(
        *renew && *give_up_in == secs(300) && code.expires_in == secs(120),
        "the options of this call"
    );
}

#[test]
fn a_start_during_the_wait_that_runs_out_of_time_still_starts_a_flow() {
    for answer in [
        PollAnswer::Pending,
        PollAnswer::Expired,
        PollAnswer::Failed(fault(FaultKind::Lost)),
    ] {
        let (mut fixture, op) = over_with_a_poll_out();
        let options = PairingOptions {
            timeout: Some(secs(1)),
            ..RENEWING
        };
        let again = fixture.call(Command::StartPairing { caller: UI, options });
        fixture.advance(secs(1));
        assert_eq!(fixture.reply(again), Some(&Err(CallError::Timeout)));
        fixture.advance(secs(2));
        answer_poll(&mut fixture, op, answer);
        assert_eq!(fixture.state(), (PairingState::RequestingCode, Reason::None));
        fixture.show_code();
        fixture.advance(secs(300));
        assert_ne!(fixture.state().0, PairingState::Unpaired, "the flow is one that renews");
    }
}

#[test]
fn an_approval_of_the_code_before_pairs_also_after_another_start() {
    // By the poll that is out, and by the one that follows it; before and after the new code is
    // shown.
    for (pending_first, shown) in [(false, false), (false, true), (true, false), (true, true)] {
        let (mut fixture, op) = over_with_a_poll_out();
        fixture.call(Command::StartPairing {
            caller: UI,
            options: ONCE,
        });
        if shown {
            fixture.show_code();
        }
        if pending_first {
            answer_poll(&mut fixture, op, PollAnswer::Pending);
            fixture.advance(secs(5));
            assert!(fixture.out(is_poll), "one more poll for the code that has ended");
            fixture.poll(PollAnswer::Granted(grant(1)));
        } else {
            answer_poll(&mut fixture, op, PollAnswer::Granted(grant(1)));
        }
        assert_eq!(fixture.state().0, PairingState::Paired);
        assert!(!fixture.out(is_revoke));
    }
}

#[test]
fn who_declined_the_code_before_does_not_end_the_flow_of_another_start() {
    let (mut fixture, op) = over_with_a_poll_out();
    let again = fixture.call(Command::StartPairing {
        caller: UI,
        options: ONCE,
    });
    answer_poll(&mut fixture, op, PollAnswer::Denied);
    assert_eq!(fixture.state(), (PairingState::RequestingCode, Reason::None));
    fixture.show_code();
    assert!(matches!(fixture.reply(again), Some(Ok(Reply::Started { .. }))));
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::Denied);
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::Denied));
}

#[test]
fn cancel_after_another_start_revokes_what_the_code_before_brings() {
    let (mut fixture, op) = over_with_a_poll_out();
    fixture.call(Command::StartPairing {
        caller: UI,
        options: ONCE,
    });
    fixture.show_code();
    fixture.call(Command::CancelPairing);
    answer_poll(&mut fixture, op, PollAnswer::Granted(grant(1)));
    assert!(!fixture.core.snapshot().paired && fixture.out(is_revoke));
}

#[test]
fn a_start_that_is_refused_leaves_the_wait_for_the_last_answer_alone() {
    let mut fixture = Fixture::paired();
    let options = PairingOptions { replace: true, ..ONCE };
    fixture.call(Command::StartPairing { caller: UI, options });
    fixture.show_code();
    until_last_poll(&mut fixture);
    fixture.advance(secs(3));
    let again = fixture.call(Command::StartPairing {
        caller: UI,
        options: ONCE,
    });
    assert_eq!(fixture.reply(again), Some(&Err(CallError::AlreadyPaired)));
    assert_eq!(fixture.state(), (PairingState::AwaitingUser, Reason::None));
    fixture.poll(PollAnswer::Granted(grant(2)));
    assert_eq!(fixture.state().0, PairingState::Paired);
}

#[test]
fn after_a_give_up_within_a_codes_life_another_start_does_not_poll_the_old_code_on() {
    let mut fixture = Fixture::unpaired();
    let options = PairingOptions {
        give_up_after: Some(secs(60)),
        ..RENEWING
    };
    fixture.call(Command::StartPairing { caller: UI, options });
    fixture.show_code();
    let begin = fixture.now;
    while fixture.now < begin.after(secs(61)) {
        fixture.advance(secs(1));
        if fixture.out(is_poll) && fixture.now < begin.after(secs(60)) {
            fixture.poll(PollAnswer::Pending);
        }
    }
    let polled_after_the_end = fixture.out(is_poll);
    fixture.call(Command::StartPairing { caller: UI, options });
    let second = CodeGrant {
        device_code: DeviceCode::new("d2".into()),
        verifier: Some(CodeVerifier::new("v2".into())),
        user_code: UserCode::new("543210".into()),
        verification_uri: "https://next.frame.io/pair".into(),
        verification_uri_complete: None,
        device_name: "cam".into(),
        expires_in: secs(120),
        interval: secs(5),
    };
    fixture.answer(is_code, Answer::Code(CodeAnswer::Granted(second)));
    let mut old = u32::from(polled_after_the_end);
    let mut new = 0;
    if polled_after_the_end {
        fixture.poll(PollAnswer::Pending);
    }
    for _ in 0..50 {
        fixture.advance(secs(1));
        while let Some((op, Request::Poll(code, verifier))) = fixture.take(is_poll) {
            let its_own = code.expose().replace('d', "v");
            assert_eq!(verifier.as_ref().map(CodeVerifier::expose), Some(its_own.as_str()));
            *(if code.expose() == "d2" { &mut new } else { &mut old }) += 1;
            answer_poll(&mut fixture, op, PollAnswer::Pending);
        }
    }
    assert!(
        old == 1 && new >= 8,
        "{old} polls of the code before, {new} of the new one"
    );
}

#[test]
fn cancel_while_the_last_answer_is_out_revokes_what_it_brings() {
    let mut fixture = Fixture::unpaired();
    let options = PairingOptions {
        renew: false,
        replace: false,
        give_up_after: None,
        timeout: None,
    };
    fixture.call(Command::StartPairing { caller: UI, options });
    fixture.show_code();
    while fixture.now.as_millis() < 1_000_000 + 124_000 {
        fixture.advance(secs(1));
        if fixture.out(is_poll) && fixture.now.as_millis() < 1_000_000 + 122_000 {
            fixture.poll(PollAnswer::Pending);
        }
    }
    assert!(fixture.out(is_poll));
    let cancel = fixture.call(Command::CancelPairing);
    assert_eq!(fixture.reply(cancel), Some(&Ok(Reply::Done)));
    fixture.poll(PollAnswer::Granted(grant(1)));
    assert!(!fixture.core.snapshot().paired && fixture.out(is_revoke));
}

#[test]
fn of_two_codes_that_were_both_approved_a_probe_tells_which_one_lives() {
    for second_lives in [false, true] {
        let (mut fixture, first) = over_with_a_poll_out();
        fixture.call(Command::StartPairing {
            caller: UI,
            options: ONCE,
        });
        fixture.show_code();
        while !fixture.out(is_poll) {
            fixture.advance(secs(1));
        }
        let (second, _) = fixture.take(is_poll).unwrap();
        fixture.hold_stores = true;
        answer_poll(&mut fixture, first, PollAnswer::Granted(grant(1)));
        answer_poll(&mut fixture, second, PollAnswer::Granted(grant(2)));
        while fixture.stores_pending() {
            fixture.finish_store();
        }
        fixture.hold_stores = false;
        assert_eq!(fixture.state().0, PairingState::Paired);
        assert!(fixture.on_disk().candidate.is_some() && !fixture.out(is_revoke));
        if second_lives {
            fixture.probed(ProbeAnswer::Rejected);
        }
        fixture.alive();
        assert_eq!(fixture.access_on_disk(), if second_lives { "a2" } else { "a1" });
        assert!(fixture.on_disk().candidate.is_none());
    }
}

#[test]
fn another_start_waits_for_as_long_as_the_server_asked() {
    let mut fixture = Fixture::unpaired();
    let start = |give_up_after| Command::StartPairing {
        caller: UI,
        options: PairingOptions {
            give_up_after,
            ..RENEWING
        },
    };
    fixture.call(start(Some(secs(135))));
    fixture.show_code();
    until_last_poll(&mut fixture);
    fixture.take(is_poll).unwrap();
    fixture.advance(Duration::from_millis(1500));
    let asks_to_wait = Fault {
        retry_after: Some(secs(30)),
        ..fault(FaultKind::RateLimited)
    };
    fixture.answer(is_code, Answer::Code(CodeAnswer::Failed(asks_to_wait)));
    fixture.advance(secs(20));
    assert_eq!(
        fixture.state().0,
        PairingState::AwaitingUser,
        "only the last poll is waited for"
    );
    fixture.call(start(None));
    fixture.advance(secs(9));
    assert!(!fixture.out(is_code));
    fixture.advance(secs(1));
    assert!(fixture.out(is_code));
}
