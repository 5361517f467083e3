//! The last moments of a code: who approves then is heard, and no poll comes sooner than its
//! interval.

mod afterwards;
mod slow_polls;

use super::*;

/// How the server of a scenario is.
#[derive(Clone, Copy, Debug)]
struct Server {
    interval: u64,
    life: u64,
    /// An approved code is answered after its end too.
    honours: bool,
    /// How long polls take in milliseconds, one after the other; each is looked at when it arrives.
    takes: &'static [u64],
    /// Polls that are answered by `slow_down`, by number.
    slow: &'static [usize],
    /// Polls that fail before they are sent, by number.
    failing: &'static [usize],
    /// Polls that do not arrive, by number, and after how many milliseconds they are given up.
    lost: &'static [(usize, u64)],
}

const SERVER: Server = Server {
    interval: 5,
    life: 120,
    honours: false,
    takes: &[0],
    slow: &[],
    failing: &[],
    lost: &[],
};

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    /// Stop here in milliseconds from the first code, and start again after this long.
    restart: Option<(u64, u64)>,
    renew_off: bool,
    give_up: Option<u64>,
}

/// The end of a scenario.
#[derive(Debug)]
struct End {
    paired: bool,
    reason: Reason,
    /// The grant is the server's, and nobody holds it.
    unrevoked: bool,
    /// Moments of the polls that reached the server, in milliseconds, each with the interval that
    /// was to be kept.
    polls: Vec<(u64, u64)>,
    /// Codes that were asked for.
    codes: usize,
    ended_at: u64,
}

impl End {
    fn keeps_the_pace(&self) {
        for pair in self.polls.windows(2) {
            assert!(pair[1].0 - pair[0].0 >= pair[0].1, "{:?}", self.polls);
        }
    }
}

/// A user approves the first code `approval` milliseconds after it was asked for.
fn run_scenario(server: Server, approval: Option<u64>, told: Told) -> End {
    let mut fixture = Fixture::unpaired();
    let begin = fixture.now;
    let options = PairingOptions {
        renew: !told.renew_off,
        replace: false,
        give_up_after: told.give_up.map(secs),
        timeout: None,
    };
    fixture.call(Command::StartPairing { caller: UI, options });
    let (mut polls, mut codes, mut granted) = (vec![], 0, false);
    // Polls on their way back: when, what was polled, and the answer.
    let mut answers: Vec<(u64, OpId, PollAnswer)> = vec![];
    let (mut interval, mut number, mut restart) = (server.interval, 0, told.restart);
    for at in (0..1_500_000).step_by(100) {
        fixture.advance(begin.after(Duration::from_millis(at)).since(fixture.now));
        if let Some((_, back)) = restart.take_if(|(stop, _)| *stop <= at) {
            fixture.now = begin.after(Duration::from_millis(at + back));
            answers.clear();
            fixture = fixture.restart();
            continue;
        }
        if fixture.now > begin.after(Duration::from_millis(at)) {
            continue;
        }
        if fixture.out(is_code) {
            codes += 1;
            fixture.answer(
                is_code,
                Answer::Code(CodeAnswer::Granted(CodeGrant {
                    device_code: DeviceCode::new(format!("d{codes}")),
                    verifier: None,
                    user_code: UserCode::new(format!("{codes:06}")),
                    verification_uri: "https://next.frame.io/pair".into(),
                    verification_uri_complete: None,
                    device_name: "cam".into(),
                    expires_in: secs(server.life),
                    interval: secs(server.interval),
                })),
            );
        }
        while let Some((op, Request::Poll(code, _))) = fixture.take(is_poll) {
            number += 1;
            if server.failing.contains(&number) {
                let answer = PollAnswer::Failed(fault(FaultKind::Offline));
                answers.push((at, op, answer));
                continue;
            }
            if let Some((_, takes)) = server.lost.iter().find(|(lost, _)| *lost == number) {
                let answer = PollAnswer::Failed(fault(FaultKind::Lost));
                answers.push((at + takes, op, answer));
                continue;
            }
            let first = code.expose() == "d1";
            let (over, approved) = (
                at >= server.life * 1000,
                approval.is_some_and(|approval| approval <= at),
            );
            let answer = if server.slow.contains(&number) {
                interval += 5;
                PollAnswer::SlowDown(None, None)
            } else if first && over && !(server.honours && approved) {
                PollAnswer::CodeUnknown(ErrorCode::new("invalid_grant"))
            } else if first && approved {
                granted = true;
                PollAnswer::Granted(grant(1))
            } else {
                PollAnswer::Pending
            };
            polls.push((at, interval * 1000));
            if !first {
                interval = server.interval;
            }
            let takes = server.takes[number % server.takes.len()];
            answers.push((at + takes, op, answer));
        }
        while let Some(next) = answers.iter().position(|(due, ..)| *due <= at) {
            let (_, op, answer) = answers.remove(next);
            let answer = Answer::Poll(answer);
            fixture.event(Event::Answered { op, date: None, answer });
        }
        let state = fixture.state();
        if matches!(state.0, PairingState::Paired | PairingState::Unpaired) && answers.is_empty() {
            let paired = state.0 == PairingState::Paired;
            return End {
                paired,
                reason: state.1,
                unrevoked: granted && !paired && fixture.revocations.is_empty(),
                polls,
                codes,
                ended_at: at,
            };
        }
    }
    panic!("the story has no end");
}

fn pairs_at(server: Server, approval: u64, told: Told) -> End {
    let end = run_scenario(server, Some(approval * 1000), told);
    assert!(end.paired, "approved at {approval} s: {server:?} {told:?} {end:?}");
    end.keeps_the_pace();
    end
}

#[test]
fn an_approval_at_each_second_of_a_codes_life_pairs() {
    for approval in 1..=118 {
        let end = pairs_at(SERVER, approval, Told::default());
        assert_eq!(end.codes, 1, "approved at {approval} s, and another code was shown");
    }
}

#[test]
fn an_approval_in_the_last_moment_pairs_where_the_server_honours_it_and_else_leaves_nothing() {
    let honours = Server {
        honours: true,
        ..SERVER
    };
    for approval in [119, 120] {
        pairs_at(honours, approval, Told::default());
        let end = run_scenario(SERVER, Some(approval * 1000), Told::default());
        assert!(!end.paired && !end.unrevoked && end.reason == Reason::GaveUp, "{end:?}");
        end.keeps_the_pace();
    }
}

#[test]
fn a_slower_pace_and_slow_polls_lose_no_approval() {
    for slow in [&[1][..], &[1, 2], &[3, 7, 9]] {
        for approval in 1..=118 {
            pairs_at(Server { slow, ..SERVER }, approval, Told::default());
        }
    }
    for takes in [&[100, 1_500, 0, 700][..], &[0, 0, 0, 1_400], &[300, 900], &[100; 7]] {
        for approval in 1..=117 {
            pairs_at(Server { takes, ..SERVER }, approval, Told::default());
        }
    }
    // A poll of 4 s is to leave half an interval before the end, at most.
    for approval in 1..=117 {
        pairs_at(
            Server {
                takes: &[4_000],
                ..SERVER
            },
            approval,
            Told::default(),
        );
    }
    let honours = Server {
        takes: &[4_000],
        honours: true,
        ..SERVER
    };
    for approval in 118..=120 {
        pairs_at(honours, approval, Told::default());
    }
}

#[test]
fn slow_down_in_the_last_interval_keeps_the_pace_and_is_followed_by_one_more_poll() {
    for number in 20..=23 {
        let slow: &'static [usize] = Box::leak(Box::new([number]));
        for approval in 100..=120 {
            pairs_at(
                Server {
                    slow,
                    honours: true,
                    ..SERVER
                },
                approval,
                Told::default(),
            );
        }
    }
}

#[test]
fn polls_that_fail_lose_no_approval() {
    for failing in [&[1, 2, 3, 4][..], &[18, 19, 20], &[20, 21], &[5, 9, 13, 17]] {
        for approval in 1..=118 {
            pairs_at(Server { failing, ..SERVER }, approval, Told::default());
        }
    }
}

#[test]
fn without_renewal_and_at_give_up_the_flow_ends_with_the_answer_to_its_last_poll() {
    let honours = Server {
        honours: true,
        ..SERVER
    };
    let once = Told {
        renew_off: true,
        ..Told::default()
    };
    let give_up = Told {
        give_up: Some(120),
        ..Told::default()
    };
    for told in [once, give_up] {
        for approval in 1..=118 {
            pairs_at(SERVER, approval, told);
        }
        for approval in [119, 120] {
            pairs_at(honours, approval, told);
        }
        let end = run_scenario(SERVER, None, told);
        let reason = if told.renew_off {
            Reason::CodeExpired
        } else {
            Reason::GaveUp
        };
        assert!(!end.paired && end.reason == reason && end.codes == 1, "{end:?}");
        assert!((120_000..=125_000).contains(&end.ended_at), "{end:?}");
        let last = end.polls.last().unwrap();
        assert!(last.0 >= 120_000, "{end:?}");
    }
}

#[test]
fn a_flow_that_gives_up_within_a_codes_life_polls_until_then() {
    let told = Told {
        give_up: Some(60),
        ..Told::default()
    };
    for approval in 1..=60 {
        pairs_at(SERVER, approval, told);
    }
    let end = run_scenario(SERVER, None, told);
    assert!(
        (60_000..=65_000).contains(&end.ended_at) && end.reason == Reason::GaveUp,
        "{end:?}"
    );
}

#[test]
fn an_interval_longer_than_the_life_still_polls_each_code_within_it() {
    for (interval, life) in [(60, 30), (30, 30), (60, 45), (10, 9), (29, 30)] {
        let server = Server {
            interval,
            life,
            ..SERVER
        };
        for approval in 1..life - 1 {
            let end = pairs_at(server, approval, Told::default());
            assert_eq!(end.codes, 1);
        }
        let end = run_scenario(server, None, Told::default());
        end.keeps_the_pace();
        assert!(end.polls.len() >= end.codes, "{end:?}");
        assert!(end.codes > 2, "{end:?}");
    }
}

#[test]
fn a_restart_in_the_last_interval_still_polls_the_old_code() {
    let honours = Server {
        honours: true,
        ..SERVER
    };
    for (stop, back) in [
        (110, 1),
        (112, 1),
        (114, 2),
        (116, 1),
        (117, 1),
        (117, 4),
        (118, 1),
        (119, 3),
    ] {
        let told = Told {
            restart: Some((stop * 1000, back * 1000)),
            ..Told::default()
        };
        for approval in 105..=120 {
            let before = approval * 1000;
            let end = run_scenario(honours, Some(before), told);
            assert!(
                end.paired,
                "stopped at {stop} s for {back} s, approved at {approval} s: {end:?}"
            );
            end.keeps_the_pace();
        }
    }
    // The work that was planned before the stop is done in time after it.
    let told = Told {
        restart: Some((114_000, 2_000)),
        ..Told::default()
    };
    for approval in 105..=118 {
        pairs_at(SERVER, approval, told);
    }
}

#[test]
fn who_declines_in_the_last_moment_is_not_asked_again() {
    let mut fixture = Fixture::unpaired();
    fixture.start_pairing(false);
    fixture.show_code();
    while fixture.state().0 == PairingState::AwaitingUser {
        fixture.advance(secs(1));
        if fixture.out(is_poll) {
            fixture.poll(PollAnswer::Pending);
        }
    }
    fixture.show_code();
    assert_eq!(
        fixture.state(),
        (PairingState::AwaitingUser, Reason::None),
        "the new code is on show"
    );
    fixture.advance(secs(4));
    fixture.poll(PollAnswer::Denied);
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::Denied));
}

#[test]
fn while_the_last_answer_is_waited_for_the_code_is_shown_with_no_time_left() {
    let mut fixture = Fixture::unpaired();
    let options = PairingOptions {
        renew: false,
        replace: false,
        give_up_after: None,
        timeout: None,
    };
    fixture.call(Command::StartPairing { caller: UI, options });
    fixture.show_code();
    for _ in 0..121 {
        fixture.advance(secs(1));
        if fixture.out(is_poll) {
            fixture.poll(PollAnswer::Pending);
        }
    }
    assert_eq!(fixture.state(), (PairingState::AwaitingUser, Reason::None));
    let call = fixture.call(Command::GetPairingCode);
    assert!(
        matches!(fixture.reply(call), Some(Ok(Reply::Code(view))) if view.expires_in.is_zero()),
        "{:?}",
        fixture.reply(call)
    );
}

const ONCE: PairingOptions = PairingOptions {
    renew: false,
    replace: false,
    give_up_after: None,
    timeout: None,
};
const RENEWING: PairingOptions = PairingOptions { renew: true, ..ONCE };

/// Goes on to 118.5 s after the first code, where its last poll before its end leaves.
fn until_last_poll(fixture: &mut Fixture) {
    let begin = fixture.now;
    for at in (0..=118_500).step_by(500) {
        fixture.advance(begin.after(Duration::from_millis(at)).since(fixture.now));
        if fixture.out(is_poll) && at < 118_500 {
            fixture.poll(PollAnswer::Pending);
        }
    }
    assert!(fixture.out(is_poll));
}
