//! What another start, a cancel or a give-up does while the last answer is waited for.

use super::*;

/// A flow whose code has ended while a poll for it is out.
fn over_with_a_poll_out() -> (Scene, OpId) {
    let mut scene = Scene::unpaired();
    scene.call(Command::StartPairing {
        caller: UI,
        options: ONCE,
    });
    scene.show_code();
    until_last_poll(&mut scene);
    let (op, _) = scene.take(is_poll).unwrap();
    scene.advance(secs(3));
    assert_eq!(scene.state(), (PairingState::AwaitingUser, Reason::None));
    (scene, op)
}

fn answer_poll(scene: &mut Scene, op: OpId, answer: PollAnswer) {
    let answer = Answer::Poll(answer);
    scene.event(Event::Answered { op, date: None, answer });
}

#[test]
fn who_starts_during_the_wait_for_the_last_answer_gets_a_code_at_once() {
    let (mut scene, _) = over_with_a_poll_out();
    let options = PairingOptions {
        give_up_after: Some(secs(300)),
        timeout: Some(secs(1)),
        ..RENEWING
    };
    let again = scene.call(Command::StartPairing { caller: OTHER, options });
    assert_eq!(scene.state(), (PairingState::RequestingCode, Reason::None));
    assert!(scene.out(is_code) && scene.reply(again).is_none());
    scene.show_code();
    let Some(Ok(Reply::Started {
        renew,
        give_up_in,
        code,
        ..
    })) = scene.reply(again)
    else {
        panic!("{:?}", scene.reply(again));
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
        let (mut scene, op) = over_with_a_poll_out();
        let options = PairingOptions {
            timeout: Some(secs(1)),
            ..RENEWING
        };
        let again = scene.call(Command::StartPairing { caller: UI, options });
        scene.advance(secs(1));
        assert_eq!(scene.reply(again), Some(&Err(CallError::Timeout)));
        scene.advance(secs(2));
        answer_poll(&mut scene, op, answer);
        assert_eq!(scene.state(), (PairingState::RequestingCode, Reason::None));
        scene.show_code();
        scene.advance(secs(300));
        assert_ne!(scene.state().0, PairingState::Unpaired, "the flow is one that renews");
    }
}

#[test]
fn an_approval_of_the_code_before_pairs_also_after_another_start() {
    // By the poll that is out, and by the one that follows it; before and after the new code is
    // shown.
    for (pending_first, shown) in [(false, false), (false, true), (true, false), (true, true)] {
        let (mut scene, op) = over_with_a_poll_out();
        scene.call(Command::StartPairing {
            caller: UI,
            options: ONCE,
        });
        if shown {
            scene.show_code();
        }
        if pending_first {
            answer_poll(&mut scene, op, PollAnswer::Pending);
            scene.advance(secs(5));
            assert!(scene.out(is_poll), "one more poll for the code that has ended");
            scene.poll(PollAnswer::Granted(grant(1)));
        } else {
            answer_poll(&mut scene, op, PollAnswer::Granted(grant(1)));
        }
        assert_eq!(scene.state().0, PairingState::Paired);
        assert!(!scene.out(is_revoke));
    }
}

#[test]
fn who_declined_the_code_before_does_not_end_the_flow_of_another_start() {
    let (mut scene, op) = over_with_a_poll_out();
    let again = scene.call(Command::StartPairing {
        caller: UI,
        options: ONCE,
    });
    answer_poll(&mut scene, op, PollAnswer::Denied);
    assert_eq!(scene.state(), (PairingState::RequestingCode, Reason::None));
    scene.show_code();
    assert!(matches!(scene.reply(again), Some(Ok(Reply::Started { .. }))));
    scene.advance(secs(5));
    scene.poll(PollAnswer::Denied);
    assert_eq!(scene.state(), (PairingState::Unpaired, Reason::Denied));
}

#[test]
fn cancel_after_another_start_revokes_what_the_code_before_brings() {
    let (mut scene, op) = over_with_a_poll_out();
    scene.call(Command::StartPairing {
        caller: UI,
        options: ONCE,
    });
    scene.show_code();
    scene.call(Command::CancelPairing);
    answer_poll(&mut scene, op, PollAnswer::Granted(grant(1)));
    assert!(!scene.core.snapshot().paired && scene.out(is_revoke));
}

#[test]
fn a_start_that_is_refused_leaves_the_wait_for_the_last_answer_alone() {
    let mut scene = Scene::paired();
    let options = PairingOptions { replace: true, ..ONCE };
    scene.call(Command::StartPairing { caller: UI, options });
    scene.show_code();
    until_last_poll(&mut scene);
    scene.advance(secs(3));
    let again = scene.call(Command::StartPairing {
        caller: UI,
        options: ONCE,
    });
    assert_eq!(scene.reply(again), Some(&Err(CallError::AlreadyPaired)));
    assert_eq!(scene.state(), (PairingState::AwaitingUser, Reason::None));
    scene.poll(PollAnswer::Granted(grant(2)));
    assert_eq!(scene.state().0, PairingState::Paired);
}

#[test]
fn after_a_give_up_within_a_codes_life_another_start_does_not_poll_the_old_code_on() {
    let mut scene = Scene::unpaired();
    let options = PairingOptions {
        give_up_after: Some(secs(60)),
        ..RENEWING
    };
    scene.call(Command::StartPairing { caller: UI, options });
    scene.show_code();
    let begin = scene.now;
    while scene.now < begin.after(secs(61)) {
        scene.advance(secs(1));
        if scene.out(is_poll) && scene.now < begin.after(secs(60)) {
            scene.poll(PollAnswer::Pending);
        }
    }
    let polled_after_the_end = scene.out(is_poll);
    scene.call(Command::StartPairing { caller: UI, options });
    let second = CodeGrant {
        device_code: DeviceCode::new("d2".into()),
        user_code: UserCode::new("543210".into()),
        verification_uri: "https://next.frame.io/pair".into(),
        verification_uri_complete: None,
        device_name: "cam".into(),
        expires_in: secs(120),
        interval: secs(5),
    };
    scene.answer(is_code, Answer::Code(CodeAnswer::Granted(second)));
    let mut old = u32::from(polled_after_the_end);
    let mut new = 0;
    if polled_after_the_end {
        scene.poll(PollAnswer::Pending);
    }
    for _ in 0..50 {
        scene.advance(secs(1));
        while let Some((op, Request::Poll(code))) = scene.take(is_poll) {
            *(if code.expose() == "d2" { &mut new } else { &mut old }) += 1;
            answer_poll(&mut scene, op, PollAnswer::Pending);
        }
    }
    assert!(
        old == 1 && new >= 8,
        "{old} polls of the code before, {new} of the new one"
    );
}

#[test]
fn cancel_while_the_last_answer_is_out_revokes_what_it_brings() {
    let mut scene = Scene::unpaired();
    let options = PairingOptions {
        renew: false,
        replace: false,
        give_up_after: None,
        timeout: None,
    };
    scene.call(Command::StartPairing { caller: UI, options });
    scene.show_code();
    while scene.now.as_millis() < 1_000_000 + 124_000 {
        scene.advance(secs(1));
        if scene.out(is_poll) && scene.now.as_millis() < 1_000_000 + 122_000 {
            scene.poll(PollAnswer::Pending);
        }
    }
    assert!(scene.out(is_poll));
    let cancel = scene.call(Command::CancelPairing);
    assert_eq!(scene.reply(cancel), Some(&Ok(Reply::Done)));
    scene.poll(PollAnswer::Granted(grant(1)));
    assert!(!scene.core.snapshot().paired && scene.out(is_revoke));
}

#[test]
fn of_two_codes_that_were_both_approved_a_probe_tells_which_one_lives() {
    for second_lives in [false, true] {
        let (mut scene, first) = over_with_a_poll_out();
        scene.call(Command::StartPairing {
            caller: UI,
            options: ONCE,
        });
        scene.show_code();
        while !scene.out(is_poll) {
            scene.advance(secs(1));
        }
        let (second, _) = scene.take(is_poll).unwrap();
        scene.hold_stores = true;
        answer_poll(&mut scene, first, PollAnswer::Granted(grant(1)));
        answer_poll(&mut scene, second, PollAnswer::Granted(grant(2)));
        while scene.stores_pending() {
            scene.finish_store();
        }
        scene.hold_stores = false;
        assert_eq!(scene.state().0, PairingState::Paired);
        assert!(scene.on_disk().candidate.is_some() && !scene.out(is_revoke));
        if second_lives {
            scene.probed(ResourceAnswer::Unauthorized);
        }
        scene.alive();
        assert_eq!(scene.access_on_disk(), if second_lives { "a2" } else { "a1" });
        assert!(scene.on_disk().candidate.is_none());
    }
}

#[test]
fn another_start_waits_for_as_long_as_the_server_asked() {
    let mut scene = Scene::unpaired();
    let start = |give_up_after| Command::StartPairing {
        caller: UI,
        options: PairingOptions {
            give_up_after,
            ..RENEWING
        },
    };
    scene.call(start(Some(secs(135))));
    scene.show_code();
    until_last_poll(&mut scene);
    scene.take(is_poll).unwrap();
    scene.advance(Duration::from_millis(1500));
    let patience = Fault {
        retry_after: Some(secs(30)),
        ..fault(FaultKind::RateLimited)
    };
    scene.answer(is_code, Answer::Code(CodeAnswer::Failed(patience)));
    scene.advance(secs(20));
    assert_eq!(
        scene.state().0,
        PairingState::AwaitingUser,
        "only the last poll is waited for"
    );
    scene.call(start(None));
    scene.advance(secs(9));
    assert!(!scene.out(is_code));
    scene.advance(secs(1));
    assert!(scene.out(is_code));
}
