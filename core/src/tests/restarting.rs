//! Crashes, reboots and clocks.

use super::*;

#[test]
fn a_restart_keeps_the_pairing_and_the_tokens_age() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(3600));
    let mut restarted = fixture.restart();
    let call = restarted.get_token(None);
    match restarted.reply(call) {
        Some(Ok(Reply::Token {
            expires_in,
            generation: Generation(1),
            ..
        })) => {
            assert!(
                *expires_in <= secs(25_200) && *expires_in > secs(25_100),
                "{expires_in:?}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reboot_with_a_trusted_clock_knows_the_age_too() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(3600));
    let mut stored = fixture.stored();
    if let Loaded::Current(record) = &mut stored.record
        && let Body::Paired(pairing) = &mut record.body
    {
        // Boottime starts anew; wall time went on.
        pairing.pair.obtained.wall = Some(WallTime::from_secs(EPOCH + 5 - 3600));
    }
    let mut rebooted = Fixture::start(policy(), Provisioning::Ready, stored, BootId([2; 16]), 5_000, true);
    let call = rebooted.get_token(None);
    match rebooted.reply(call) {
        Some(Ok(Reply::Token { expires_in, .. })) => assert_eq!(*expires_in, secs(25_200)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_clock_and_date_a_vouched_token_is_served_for_a_minute_at_a_time_and_then_replaced() {
    let fixture = Fixture::paired();
    let mut rebooted = fixture.reboot(false);
    rebooted.alive();
    let call = rebooted.get_token(None);
    match rebooted.reply(call) {
        Some(Ok(Reply::Token { expires_in, .. })) => assert_eq!(*expires_in, secs(60)),
        other => panic!("{other:?}"),
    }
    rebooted.advance(secs(599));
    assert!(!rebooted.out(is_prepare));
    rebooted.advance(secs(2));
    assert!(rebooted.out(is_prepare), "ten minutes without a clock are enough");
}

#[test]
fn without_clock_and_network_the_answer_is_offline() {
    let fixture = Fixture::paired();
    let mut rebooted = fixture.reboot(false);
    let call = rebooted.get_token(None);
    for wait in [5, 10] {
        rebooted.probed(ProbeAnswer::Failed(fault(FaultKind::Offline)));
        assert!(rebooted.reply(call).is_none(), "the next probe is within its time");
        rebooted.advance(secs(wait));
    }
    rebooted.probed(ProbeAnswer::Failed(fault(FaultKind::Offline)));
    assert_eq!(rebooted.error(call), CallError::Offline);
}

#[test]
fn a_clock_step_draws_every_wall_conclusion_again() {
    let fixture = Fixture::paired();
    let mut rebooted = fixture.reboot(false);
    rebooted.probed(ProbeAnswer::Failed(fault(FaultKind::ClockNotSet)));
    rebooted.wall = true;
    rebooted.event(Event::ClockStepped);
    let call = rebooted.get_token(None);
    match rebooted.reply(call) {
        Some(Ok(Reply::Token { expires_in, .. })) => assert!(*expires_in > secs(60), "{expires_in:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_clock_step_does_not_touch_deadlines_on_boottime() {
    let offline = || fault(FaultKind::Offline);
    let failing = || {
        let mut fixture = refreshing::due();
        fixture.prepare(PrepareAnswer::Failed(offline()));
        fixture
    };
    let lost = || {
        let mut fixture = refreshing::sent();
        fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
        fixture.unresolved();
        fixture
    };
    let asking = || {
        let mut fixture = Fixture::unpaired();
        fixture.start_pairing(false);
        fixture
    };
    let showing = || {
        let mut fixture = asking();
        fixture.show_code();
        fixture
    };
    let revoking = || {
        let mut fixture = Fixture::paired();
        fixture.call(Command::Unpair);
        fixture.answer(is_revoke, Answer::Revoke(RevokeAnswer::Failed(offline())));
        fixture
    };
    let refused = || {
        let mut fixture = refreshing::sent();
        fixture.refresh(RefreshAnswer::ClientRejected(OAuthErrorCode::Client));
        fixture
    };
    let reported = || {
        let mut fixture = Fixture::paired();
        fixture.get_token(None);
        fixture.advance(secs(11));
        fixture.reject(UPLOADER, 1);
        fixture.probed(ProbeAnswer::Failed(offline()));
        fixture
    };
    let states: [(&str, &dyn Fn() -> Fixture); 10] = [
        ("paired", &Fixture::paired),
        ("due", &refreshing::due),
        ("failing", &failing),
        ("sent", &refreshing::sent),
        ("lost", &lost),
        ("refused", &refused),
        ("reported", &reported),
        ("asking", &asking),
        ("showing", &showing),
        ("revoking", &revoking),
    ];
    for (name, state) in states {
        let mut fixture = state();
        let before = fixture.core.next_deadline();
        for step in 0..100 {
            fixture.entropy = step * 7919;
            fixture.wall = step % 2 == 1;
            fixture.wall_at_boot = step * 3600;
            fixture.event(Event::ClockStepped);
            assert_eq!(fixture.core.next_deadline(), before, "{name}, step {step}");
        }
    }
}

#[test]
fn a_crash_after_the_post_is_ambiguous_and_waits_for_the_server_to_give_up() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    let mut restarted = fixture.restart();
    assert!(!restarted.out(is_prepare));
    restarted.alive();
    let call = restarted.get_token(None);
    assert_eq!(restarted.token(call), "a1");
    restarted.advance(secs(39));
    assert!(!restarted.out(is_prepare));
    restarted.advance(secs(2));
    restarted.unresolved();
    restarted.prepare(PrepareAnswer::Ready);
    assert_eq!(
        restarted.on_disk().mark.map(|mark| mark.sends),
        Some(2),
        "sends are counted on disk"
    );
    restarted.refresh(RefreshAnswer::InvalidGrant);
    assert_eq!(restarted.state().1, Reason::RefreshAnswerLost);
}

#[test]
fn after_a_crash_the_wait_counts_from_the_restart_because_the_post_may_have_left_that_late() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    fixture.now = fixture.now.after(secs(30));
    let mut restarted = fixture.restart();
    restarted.alive();
    restarted.advance(secs(39));
    assert!(!restarted.out(is_probe) && !restarted.out(is_prepare));
    restarted.advance(secs(2));
    restarted.unresolved();
    assert!(restarted.out(is_prepare));
}

#[test]
fn without_a_boot_identity_a_lost_answer_is_sent_again_forty_seconds_after_the_start() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    for start in 2..7 {
        fixture = fixture.restart_without_identity(policy(), start, secs(2));
        fixture.probed(ProbeAnswer::Rejected);
        fixture.get_token(None);
        fixture.advance(Duration::from_millis(500));
        assert!(
            !fixture.out(is_prepare),
            "start {start}: the first request may still be at the server"
        );
    }
    fixture.advance(Duration::from_millis(39_400));
    assert!(!fixture.out(is_prepare));
    fixture.advance(Duration::from_millis(100));
    assert!(fixture.out(is_prepare));
    let sends = fixture.on_disk().mark.map(|mark| mark.sends);
    assert_eq!(sends, Some(1), "no start counts as a send");
}

#[test]
fn after_falling_back_no_generation_is_used_twice() {
    let mut fixture = Fixture::paired();
    let mut stored = fixture.stored();
    if let Loaded::Current(record) = stored.record {
        stored.record = Loaded::Previous(record);
        stored.kept = Kept::Once;
    }
    fixture.advance(secs(1));
    let mut fallen = Fixture::start(
        policy(),
        Provisioning::Ready,
        stored,
        BOOT,
        fixture.now.as_millis(),
        true,
    );
    fallen.alive();
    fallen.advance(secs(41));
    fallen.unresolved();
    let again = fallen.reboot(true);
    assert_eq!(
        again.core.snapshot().generation,
        Generation(3),
        "the lost record may have shown a second token to somebody"
    );
    fallen.refresh_to(2);
    assert_eq!(
        fallen.core.snapshot().generation,
        Generation(4),
        "and the first one bears the third number from the next start on"
    );
}

#[test]
fn in_another_boot_the_resend_waits_until_40_seconds_of_uptime() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    let mut rebooted = fixture.reboot(true);
    rebooted.alive();
    rebooted.advance(secs(34));
    assert!(!rebooted.out(is_probe) && !rebooted.out(is_prepare));
    rebooted.advance(secs(1));
    assert!(
        rebooted.out(is_prepare) && !rebooted.out(is_probe),
        "a 2xx would settle nothing before the process is as old"
    );
}

#[test]
fn a_record_that_fell_back_is_ambiguous_never_fine() {
    let mut fixture = Fixture::paired();
    fixture.advance(secs(10));
    let mut stored = fixture.stored();
    if let Loaded::Current(record) = stored.record {
        stored.record = Loaded::Previous(record);
        stored.kept = Kept::Once;
    }
    let mut fallen = Fixture::start(
        policy(),
        Provisioning::Ready,
        stored,
        BOOT,
        fixture.now.as_millis() + 1,
        true,
    );
    assert!(fallen.events.contains(&LogEvent::RecordFellBack));
    fallen.probed(ProbeAnswer::Rejected);
    fallen.advance(secs(40));
    fallen.prepare(PrepareAnswer::Ready);
    fallen.refresh(RefreshAnswer::InvalidGrant);
    assert_eq!(fallen.state().1, Reason::RefreshAnswerLost);
}

#[test]
fn unusable_records_are_told_and_nothing_is_written() {
    use Provisioning::{Ready, StateKeyMissing};
    for (loaded, provisioning, reason) in [
        (Loaded::Damaged, Ready, Reason::RecordDamaged),
        (Loaded::Foreign, Ready, Reason::ForeignRecord),
        (Loaded::KeyUnavailable, Ready, Reason::StateKeyMismatch),
        (Loaded::KeyUnavailable, StateKeyMissing, Reason::StateKeyMissing),
    ] {
        let stored = Stored {
            record: loaded,
            kept: Kept::Twice,
            revocations: vec![],
            flow: None,
            writable: true,
        };
        let mut fixture = Fixture::with(policy(), provisioning, stored);
        assert_eq!(fixture.state().1, reason);
        assert!(fixture.events.contains(&LogEvent::RecordUnusable { reason }));
        assert!(fixture.core.snapshot().attention);
        fixture.advance(secs(100_000));
        assert_eq!(fixture.stores, 0);
    }
}

#[test]
fn the_code_on_show_stays_valid_across_a_crash() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::SlowDown(None, None));
    let mut restarted = fixture.restart();
    assert_eq!(restarted.state(), (PairingState::AwaitingUser, Reason::None));
    let call = restarted.call(Command::GetPairingCode);
    match restarted.reply(call) {
        Some(Ok(Reply::Code(CodeView {
            prompt: Prompt::Code { user_code, .. },
            ..
        }))) => assert_eq!(user_code.expose(), "012345"),
        other => panic!("{other:?}"),
    }
    restarted.advance(Duration::from_millis(9_998));
    assert!(!restarted.out(is_poll), "I4: the slower pace survived");
    restarted.advance(secs(2));
    restarted.poll(PollAnswer::Granted(grant(1)));
    assert!(restarted.core.snapshot().paired);
}

#[test]
fn a_flow_of_another_boot_is_not_resumed() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    let rebooted = fixture.reboot(true);
    assert_eq!(rebooted.state(), (PairingState::Unpaired, Reason::NeverPaired));
    assert!(rebooted.flow.is_none());
}

#[test]
fn secrets_never_show_in_debug_output() {
    let mut fixture = Fixture::paired();
    let call = fixture.get_token(None);
    let text = format!("{:?} {:?} {:?}", fixture.core, fixture.reply(call), fixture.record);
    for secret in ["\"a1\"", "\"r1\"", "\"d1\"", "012345"] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert!(text.contains("[redacted]"), "the test looks at something");
}

#[test]
fn every_record_carries_the_floor_of_its_moment() {
    let fixture = Fixture::paired();
    assert_eq!(fixture.record.unwrap().floor, Some(WallTime::from_secs(EPOCH)));
}

/// Killed after the new pairing was stored and before the flow's file was removed.
fn died_between(replace: bool) -> Fixture {
    let mut fixture = if replace {
        Fixture::paired()
    } else {
        Fixture::unpaired()
    };
    fixture.start_pairing(replace);
    fixture.show_code();
    fixture.advance(secs(5));
    let flow = fixture.flow.clone();
    fixture.poll(PollAnswer::Granted(grant(2)));
    assert_eq!((fixture.access_on_disk(), fixture.flow.as_ref()), ("a2", None));
    fixture.flow = flow;
    fixture
}

#[test]
fn a_flow_that_has_paired_is_removed_and_not_resumed() {
    for replace in [true, false] {
        let mut restarted = died_between(replace).restart();
        assert_eq!(restarted.flow, None);
        assert_eq!(restarted.state(), (PairingState::Paired, Reason::None));
        restarted.alive();
        restarted.advance(secs(300));
        assert!(
            restarted.requests.is_empty(),
            "no used code is polled, no other is asked for"
        );
        let call = restarted.get_token(None);
        assert_eq!(restarted.token(call), "a2");
    }
}

#[test]
fn nor_is_it_resumed_once_that_pairing_was_given_up() {
    for replace in [true, false] {
        let mut fixture = died_between(replace);
        let flow = fixture.flow.clone();
        fixture.call(Command::Unpair);
        fixture.flow = flow;
        let mut restarted = fixture.restart();
        assert_eq!(restarted.flow, None);
        assert_eq!(restarted.state(), (PairingState::Unpaired, Reason::Unpaired));
        restarted.answer(is_revoke, Answer::Revoke(RevokeAnswer::Done));
        restarted.advance(secs(300));
        assert!(restarted.requests.is_empty());
    }
}

#[test]
fn a_replacement_that_has_not_paired_is_resumed() {
    let mut fixture = Fixture::paired();
    fixture.start_pairing(true);
    fixture.show_code();
    let mut restarted = fixture.restart();
    assert_eq!(restarted.state(), (PairingState::AwaitingUser, Reason::None));
    restarted.advance(secs(6));
    restarted.poll(PollAnswer::Granted(grant(2)));
    let call = restarted.get_token(None);
    assert_eq!(restarted.token(call), "a2");
}
