//! Polls that are slow or lost near the end of a code.

use super::*;

/// The times that the polls of a scenario take, where the last of `number` takes `slow`
/// milliseconds.
fn slow_at(number: usize, slow: u64) -> &'static [u64] {
    let mut takes = vec![0; number + 1];
    takes[number] = slow;
    Box::leak(takes.into_boxed_slice())
}

/// The three ways in which the time of a code ends.
fn ways_to_end(life: u64) -> [Told; 3] {
    let once = Told {
        renew_off: true,
        ..Told::default()
    };
    let give_up = Told {
        give_up: Some(life),
        ..Told::default()
    };
    [Told::default(), once, give_up]
}

#[test]
fn a_slow_poll_before_the_end_is_followed_by_one_that_leaves_after_it() {
    for slow in [1_600, 6_600, 20_000, 34_000] {
        // Polls leave at 5, 10, .. 110 and 118.5 s.
        let server = Server {
            honours: true,
            takes: slow_at(23, slow),
            ..SERVER
        };
        for told in ways_to_end(120) {
            for approval in 111..=120 {
                pairs_at(server, approval, told);
            }
            if told.renew_off || told.give_up.is_some() {
                let end = run_scenario(server, None, told);
                let last = end.polls.last().unwrap().0;
                assert!(last >= 120_000 && last <= 118_500 + slow + 5_000, "{end:?}");
                assert!(end.ended_at <= last + 100, "one poll after the end: {end:?}");
            }
        }
    }
}

#[test]
fn a_poll_that_is_lost_before_the_end_is_followed_by_one_that_leaves_after_it() {
    // Polls leave at 5, 10, .. 90 and 98.5 s.
    for lost in [&[(19, 35_000)][..], &[(19, 2_000)], &[(18, 35_000)], &[(18, 9_000)]] {
        let server = Server {
            life: 100,
            honours: true,
            lost,
            ..SERVER
        };
        for told in ways_to_end(100) {
            for approval in 81..=100 {
                pairs_at(server, approval, told);
            }
        }
    }
}

#[test]
fn more_patience_than_an_interval_after_the_end_is_not_waited_for() {
    let mut fixture = Fixture::unpaired();
    fixture.call(Command::StartPairing {
        caller: UI,
        options: ONCE,
    });
    fixture.show_code();
    until_last_poll(&mut fixture);
    let asks_to_wait = Fault {
        retry_after: Some(secs(8)),
        ..fault(FaultKind::RateLimited)
    };
    fixture.poll(PollAnswer::Failed(asks_to_wait));
    fixture.advance(secs(2));
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::CodeExpired));
}

#[test]
fn one_slow_or_lost_poll_does_not_stop_polling() {
    // The ninth poll leaves at 45 s.
    for duration in [4_000, 15_000, 35_000, 45_000] {
        let lost: &'static [(usize, u64)] = Box::leak(Box::new([(9, duration)]));
        let slow = slow_at(9, duration);
        for server in [Server { lost, ..SERVER }, Server { takes: slow, ..SERVER }] {
            let answered = 45_000 + duration;
            let end = run_scenario(server, Some(answered + 2_000), Told::default());
            assert!(end.paired && end.ended_at <= answered + 5_000, "{duration} ms: {end:?}");
            end.keeps_the_pace();
        }
    }
}

#[test]
fn after_a_lost_poll_near_the_end_the_next_one_still_comes_in_time() {
    for number in 18..=22 {
        let lost: &'static [(usize, u64)] = Box::leak(Box::new([(number, 3_000)]));
        for approval in 80..=117 {
            pairs_at(Server { lost, ..SERVER }, approval, Told::default());
        }
    }
}
