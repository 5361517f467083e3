//! A server that takes a used refresh token again for some time (`refresh.reuse-window`): what was
//! lost is sent again within it, and not after it.

use super::*;

const WINDOWS: [u64; 4] = [3, 5, 10, 30];

/// A standard server: there is no resource to ask.
fn with(reuse_window: ReuseWindow) -> Policy {
    Policy {
        can_probe: false,
        reuse_window,
        ..policy()
    }
}

fn within(seconds: u64) -> Policy {
    with(ReuseWindow::For(secs(seconds)))
}

/// The POST is out.
fn sent(policy: Policy) -> Fixture {
    let mut fixture = Fixture::unpaired().restart_with(policy);
    fixture.start_pairing(false);
    fixture.show_code();
    fixture.advance(secs(5));
    fixture.poll(PollAnswer::Granted(grant(1)));
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    assert!(fixture.out(is_refresh));
    fixture
}

fn loses(fixture: &mut Fixture) {
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
}

fn offline(fixture: &mut Fixture) {
    fixture.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
}

/// The wait until the next connection is brought up, in milliseconds.
fn connects_after(fixture: &mut Fixture) -> u64 {
    let since = fixture.now;
    while !fixture.out(is_prepare) {
        fixture.advance(Duration::from_millis(1));
        assert!(fixture.now.since(since) < secs(8_000), "it is never sent again");
    }
    u64::try_from(fixture.now.since(since).as_millis()).unwrap()
}

fn counted(fixture: &Fixture) -> Option<u32> {
    fixture.on_disk().mark.map(|mark| mark.sends)
}

fn patience(fixture: &Fixture) -> Option<Duration> {
    let mut sent = fixture.requests.iter().filter_map(|(_, request)| match request {
        Request::Refresh { patience, .. } => Some(*patience),
        _ => None,
    });
    sent.next().unwrap()
}

#[test]
fn what_was_lost_is_sent_again_a_second_later_whatever_the_pace_of_retries() {
    for window in WINDOWS {
        for entropy in [0, 7, u64::MAX / 3, u64::MAX] {
            let mut fixture = sent(within(window));
            fixture.entropy = entropy;
            loses(&mut fixture);
            assert_eq!(connects_after(&mut fixture), 1_000, "{window} s");
            fixture.hold_stores = true;
            fixture.prepare(PrepareAnswer::Ready);
            assert!(!fixture.out(is_refresh), "durable before each send");
            fixture.hold_stores = false;
            fixture.finish_store();
            fixture.event(Event::Tick);
            assert_eq!(counted(&fixture), Some(2));
            fixture.refresh(RefreshAnswer::Granted(grant(2)));
            assert_eq!((fixture.access_on_disk(), counted(&fixture)), ("a2", None));
        }
    }
}

#[test]
fn a_second_one_goes_half_way_to_the_end_and_then_the_ordinary_rule_holds() {
    let mut fixture = sent(within(10));
    loses(&mut fixture);
    connects_after(&mut fixture);
    fixture.prepare(PrepareAnswer::Ready);
    fixture.advance(secs(1));
    loses(&mut fixture);
    assert_eq!(connects_after(&mut fixture), 4_000, "2 s of 10 s are over");
    fixture.prepare(PrepareAnswer::Ready);
    loses(&mut fixture);
    assert!(connects_after(&mut fixture) >= 40_000);
    assert_eq!(counted(&fixture), Some(3));
}

#[test]
fn a_server_without_a_window_or_with_one_that_is_over_is_given_its_40_seconds() {
    for window in [0, 1] {
        let mut fixture = sent(within(window));
        loses(&mut fixture);
        assert!(connects_after(&mut fixture) >= 40_000, "{window} s");
    }
    let mut slow = sent(within(10));
    slow.advance(Duration::from_millis(9_001));
    loses(&mut slow);
    assert!(connects_after(&mut slow) >= 40_000 - 9_001, "it would arrive too late");
}

#[test]
fn nothing_leaves_once_the_window_is_over() {
    for slow_disk in [true, false] {
        let mut fixture = sent(within(5));
        loses(&mut fixture);
        connects_after(&mut fixture);
        fixture.hold_stores = slow_disk;
        if !slow_disk {
            fixture.advance(secs(4));
        }
        fixture.prepare(PrepareAnswer::Ready);
        fixture.advance(secs(4));
        if slow_disk {
            fixture.finish_store();
        }
        fixture.hold_stores = false;
        while fixture.stores_pending() {
            fixture.finish_store();
        }
        fixture.event(Event::Tick);
        assert!(!fixture.out(is_refresh) && !fixture.out(is_prepare));
        assert_eq!(counted(&fixture), Some(1), "the one that was sent");
        assert!(connects_after(&mut fixture) >= 30_000);
    }
}

#[test]
fn a_network_that_is_gone_is_tried_more_often_towards_the_end_of_the_window() {
    let mut fixture = sent(within(30));
    loses(&mut fixture);
    let mut tries = vec![connects_after(&mut fixture)];
    for _ in 0..4 {
        offline(&mut fixture);
        tries.push(connects_after(&mut fixture));
    }
    assert_eq!(tries, [1_000, 14_500, 7_250, 3_625, 1_812]);
    fixture.prepare(PrepareAnswer::Ready);
    assert!(fixture.out(is_refresh));
    let mut never = sent(within(3_600));
    loses(&mut never);
    let mut tries = 0;
    let end = never.now.after(secs(3_600));
    while never.now < end {
        tries += u32::from(never.out(is_prepare));
        if never.out(is_prepare) {
            offline(&mut never);
        }
        never.advance(Duration::from_millis(500));
    }
    assert!((10..=15).contains(&tries), "{tries}");
}

#[test]
fn an_answer_that_does_not_come_is_given_up_in_time_for_another_send() {
    for (window, first, second) in [
        (ReuseWindow::NONE, None, None),
        (ReuseWindow::Any, None, None),
        (ReuseWindow::For(secs(3)), None, None),
        // A connection and a mark would take what is left.
        (ReuseWindow::For(secs(5)), None, None),
        (ReuseWindow::For(secs(8)), None, None),
        (ReuseWindow::For(secs(10)), Some(5_000), None),
        (ReuseWindow::For(secs(30)), Some(15_000), Some(7_000)),
    ] {
        let mut fixture = sent(with(window));
        assert_eq!(patience(&fixture), first.map(Duration::from_millis), "{window:?}");
        let Some(first) = first else { continue };
        fixture.advance(Duration::from_millis(first));
        loses(&mut fixture);
        assert_eq!(connects_after(&mut fixture), 1_000, "{window:?}");
        fixture.prepare(PrepareAnswer::Ready);
        assert_eq!(patience(&fixture), second.map(Duration::from_millis), "{window:?}");
    }
}

/// A window of minutes, and a network that is back after some seconds.
#[test]
fn a_network_that_is_back_or_a_caller_brings_a_resend_forward() {
    for waits in [true, false] {
        let mut fixture = sent(within(3_600));
        loses(&mut fixture);
        connects_after(&mut fixture);
        offline(&mut fixture);
        fixture.advance(secs(2));
        if waits {
            fixture.get_token(Some(secs(28_800)));
        } else {
            fixture.event(Event::NetworkUp);
        }
        assert!(connects_after(&mut fixture) <= 20_000, "{waits}");
        fixture.prepare(PrepareAnswer::Ready);
        assert!(fixture.out(is_refresh), "{waits}");
    }
}

/// Nothing of it left: the server closed the connection first.
#[test]
fn a_resend_that_did_not_leave_is_none() {
    let unsent = || RefreshAnswer::Failed(fault(FaultKind::Offline));
    let mut fixture = sent(within(30));
    fixture.advance(secs(1));
    fixture = fixture.restart_with(within(30));
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(unsent());
    assert!(connects_after(&mut fixture) <= 15_000, "the start had none yet");
    let mut fixture = sent(within(30));
    loses(&mut fixture);
    for _ in 0..3 {
        connects_after(&mut fixture);
        fixture.prepare(PrepareAnswer::Ready);
        fixture.refresh(unsent());
    }
    connects_after(&mut fixture);
    fixture.prepare(PrepareAnswer::Ready);
    assert!(fixture.out(is_refresh), "the window has room for two");
}

#[test]
fn after_a_start_that_finds_a_mark_it_is_sent_again_at_once_and_once_for_each_start() {
    for window in [ReuseWindow::For(secs(30)), ReuseWindow::Any] {
        for identity in [true, false] {
            let mut fixture = sent(with(window));
            for start in 2..7 {
                fixture = if identity {
                    fixture.advance(secs(2));
                    fixture.restart_with(with(window))
                } else {
                    fixture.restart_without_identity(with(window), start, secs(2))
                };
                assert!(fixture.out(is_prepare), "{window:?}");
                offline(&mut fixture);
                assert!(connects_after(&mut fixture) <= 15_000, "a connection alone is no send");
                fixture.prepare(PrepareAnswer::Ready);
                assert_eq!(counted(&fixture), Some(u32::from(start)));
            }
            loses(&mut fixture);
            let wait = connects_after(&mut fixture);
            assert_eq!(wait >= 40_000, window != ReuseWindow::Any, "{wait}");
        }
        let mut rebooted = sent(with(window)).reboot_with(with(window), false);
        assert!(rebooted.out(is_prepare));
        rebooted.prepare(PrepareAnswer::Ready);
        rebooted.refresh(RefreshAnswer::Granted(grant(2)));
        assert_eq!(rebooted.access_on_disk(), "a2");
    }
    let mut without = sent(within(0)).restart_with(within(0));
    assert!(!without.out(is_prepare));
    without.advance(secs(39));
    assert!(!without.out(is_prepare));
}

#[test]
fn a_token_that_is_always_taken_again_is_sent_at_the_ordinary_pace() {
    let mut fixture = sent(with(ReuseWindow::Any));
    for _ in 0..3 {
        loses(&mut fixture);
        let wait = connects_after(&mut fixture);
        assert!((5_000..=120_000).contains(&wait), "{wait}");
        fixture.prepare(PrepareAnswer::Ready);
    }
    assert_eq!(counted(&fixture), Some(4));
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(fixture.access_on_disk(), "a2");
}

#[test]
fn a_server_that_asks_for_patience_or_refuses_the_client_gets_no_resend_within_the_window() {
    let asks_to_wait = Fault {
        retry_after: Some(secs(60)),
        ..fault(FaultKind::Garbled)
    };
    for answer in [
        RefreshAnswer::Failed(asks_to_wait),
        RefreshAnswer::ClientRejected(OAuthErrorCode::Client),
    ] {
        let mut fixture = sent(within(30));
        fixture.refresh(answer);
        assert!(connects_after(&mut fixture) >= 60_000);
    }
}

#[test]
fn a_disk_that_fails_goes_before_a_resend() {
    let mut fixture = sent(within(10));
    loses(&mut fixture);
    connects_after(&mut fixture);
    fixture.disk_works = false;
    fixture.prepare(PrepareAnswer::Ready);
    assert!(!fixture.out(is_refresh) && !fixture.out(is_prepare));
    fixture.disk_works = true;
    fixture.advance(secs(8));
    assert!(!fixture.out(is_refresh));
}

/// The next refresh has a window of its own.
#[test]
fn the_window_counts_from_the_send_that_is_in_doubt() {
    let mut fixture = sent(within(10));
    loses(&mut fixture);
    connects_after(&mut fixture);
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    loses(&mut fixture);
    assert_eq!(connects_after(&mut fixture), 1_000);
    // A plain no settles the resend, and not the first send.
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Refused)));
    assert_eq!(connects_after(&mut fixture), 4_500);
}
