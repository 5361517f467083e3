//! Circumstances that change all the time: they neither set the pace nor move a window.

use super::super::refreshing::due;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// The event of each second of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storm {
    Nothing,
    Clock,
    Network,
    Reload,
}

/// The token has a quarter of its life, and every try fails in this way. How many there were in an
/// hour.
fn tries(storm: Storm, kind: FaultKind, caller: bool) -> usize {
    let mut fixture = due();
    let mut tries = 0;
    for second in 0..3600 {
        fixture.entropy = second;
        if caller && second % 5 == 0 {
            fixture.get_token(Some(secs(7200)));
        }
        match storm {
            Storm::Nothing => {}
            Storm::Clock => fixture.event(Event::ClockStepped),
            Storm::Network => fixture.event(Event::NetworkUp),
            Storm::Reload => fixture.event(Event::PolicyChanged(policy())),
        }
        if fixture.out(is_prepare) {
            tries += 1;
            fixture.prepare(PrepareAnswer::Failed(fault(kind)));
        }
        fixture.advance(SECOND);
    }
    tries
}

#[test]
fn a_clock_that_is_set_each_second_hastens_only_what_failed_for_the_clock() {
    for kind in [FaultKind::Refused, FaultKind::Offline, FaultKind::Untrusted] {
        for caller in [false, true] {
            let calm = tries(Storm::Nothing, kind, caller);
            assert_eq!(tries(Storm::Clock, kind, caller), calm, "{kind:?}");
            assert_eq!(tries(Storm::Reload, kind, caller), calm, "{kind:?}");
        }
    }
    let (calm, stepped) = (
        tries(Storm::Nothing, FaultKind::ClockNotSet, false),
        tries(Storm::Clock, FaultKind::ClockNotSet, false),
    );
    assert!(
        stepped <= 2 * calm + 10,
        "a draw for each failure: {stepped} instead of {calm}"
    );
}

#[test]
fn a_link_that_flaps_each_second_does_not_set_the_pace() {
    let refused = tries(Storm::Network, FaultKind::Refused, true);
    assert!(refused <= 40, "{refused} tries an hour at a server that answers");
    let offline = tries(Storm::Network, FaultKind::Offline, true);
    assert!((150..=200).contains(&offline), "{offline} where nothing of ours leaves");
    // Nobody waits: a draw for each failure, not one for each change.
    for kind in [FaultKind::Refused, FaultKind::Offline] {
        let (calm, flapping) = (tries(Storm::Nothing, kind, false), tries(Storm::Network, kind, false));
        assert!(flapping <= 2 * calm + 10, "{kind:?}: {flapping} instead of {calm}");
    }
}

#[test]
fn a_clock_that_is_still_not_to_be_trusted_hastens_nothing() {
    let mut fixture = Fixture::unpaired();
    fixture.wall = false;
    fixture.start_pairing(false);
    for wait in [20, 20, 0] {
        let failed = CodeAnswer::Failed(fault(FaultKind::ClockNotSet));
        fixture.answer(is_code, Answer::Code(failed));
        fixture.advance(secs(wait));
    }
    for _ in 0..18 {
        fixture.event(Event::ClockStepped);
        fixture.advance(SECOND);
        assert!(!fixture.out(is_code), "20 s after the third failure");
    }
    fixture.wall = true;
    fixture.event(Event::ClockStepped);
    assert!(fixture.out(is_code), "now it may work");
}

#[test]
fn a_poll_that_failed_for_another_reason_is_not_hastened_by_the_clock() {
    for (kind, early) in [(FaultKind::Offline, false), (FaultKind::ClockNotSet, true)] {
        let mut fixture = Fixture::unpaired();
        fixture.start_pairing(false);
        fixture.show_code();
        for _ in 0..3 {
            while !fixture.out(is_poll) {
                fixture.advance(SECOND);
            }
            fixture.poll(PollAnswer::Failed(fault(kind)));
        }
        fixture.event(Event::ClockStepped);
        fixture.advance(secs(5));
        assert_eq!(fixture.out(is_poll), early, "{kind:?}");
        fixture.advance(secs(10));
        assert!(fixture.out(is_poll));
    }
}

#[test]
fn a_resend_is_not_hastened_by_the_clock() {
    let mut fixture = refreshing::sent();
    for _ in 0..4 {
        fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Garbled)));
        while !fixture.out(is_prepare) {
            if fixture.out(is_probe) {
                fixture.unresolved();
            }
            fixture.advance(SECOND);
        }
        fixture.prepare(PrepareAnswer::Ready);
    }
    // Four sends are in doubt, and nothing has failed in this process.
    let mut restarted = fixture.restart();
    restarted.probed(ProbeAnswer::Failed(fault(FaultKind::Offline)));
    for second in 0..300 {
        restarted.entropy = second;
        restarted.event(Event::ClockStepped);
        if restarted.out(is_probe) {
            restarted.unresolved();
        }
        assert!(!restarted.out(is_prepare), "{second}: the wait has doubled three times");
        restarted.advance(SECOND);
    }
}

/// When the advisory window opens, by what a board with a trusted clock knows.
fn opens(fixture: &Fixture) -> u64 {
    fixture.core.next_deadline().unwrap().as_millis()
}

#[test]
fn neither_steps_nor_reloads_draw_the_window_anew() {
    // By boottime.
    let mut fixture = Fixture::paired();
    let window = opens(&fixture);
    // By the wall clock alone: no answer told a time.
    let mut board = Board::on(&policy(), 2, HOUR, Wall::Right);
    board.dated = false;
    board.pass(10);
    let wall_window = opens(&board.fixture);
    for n in 0..100 {
        for fixture in [&mut fixture, &mut board.fixture] {
            fixture.entropy = n * 7919;
            fixture.event(Event::ClockStepped);
            fixture.event(Event::PolicyChanged(policy()));
        }
    }
    assert_eq!((opens(&fixture), opens(&board.fixture)), (window, wall_window));
    let other = Policy {
        refresh_at_percent: 50,
        ..policy()
    };
    fixture.event(Event::PolicyChanged(other));
    assert!(opens(&fixture) < window, "another share of its life does");
    fixture.event(Event::PolicyChanged(policy()));
    assert_eq!(opens(&fixture), window);
}

#[test]
fn a_small_step_of_the_clock_changes_nothing_and_a_great_one_does() {
    let mut board = Board::on(&policy(), 2, HOUR, Wall::Right);
    board.dated = false;
    board.pass(10);
    let window = opens(&board.fixture);
    let right = board.fixture.wall_at_boot;
    for seconds in [9, 0, 5, 1, 9] {
        board.fixture.wall_at_boot = right + seconds;
        board.fixture.event(Event::ClockStepped);
        assert_eq!(opens(&board.fixture), window, "{seconds}");
    }
    board.fixture.wall_at_boot = right + 12;
    board.fixture.event(Event::ClockStepped);
    assert_eq!(opens(&board.fixture), window - 12_000);
}

#[test]
fn devices_open_their_windows_at_different_times() {
    let windows: Vec<u64> = (0..200)
        .map(|device| {
            let mut fixture = Fixture::unpaired();
            fixture.entropy = device * 7919;
            fixture.pair(1);
            opens(&fixture) - fixture.now.as_millis()
        })
        .collect();
    let hours = |percent: u64| 28_800_000 * percent / 1000;
    assert!(
        windows.iter().all(|opens| (hours(674)..=hours(826)).contains(opens)),
        "{windows:?}"
    );
    let before = windows.iter().filter(|opens| **opens < hours(750)).count();
    assert!((70..=130).contains(&before), "as many before as after: {before}");
    assert!(windows.iter().any(|opens| *opens < hours(690)) && windows.iter().any(|opens| *opens > hours(810)));
}

#[test]
fn a_reload_each_minute_does_not_put_the_heartbeat_off() {
    let beating = Policy {
        heartbeat: Some(secs(120)),
        ..policy()
    };
    let mut fixture = Fixture::paired_with(beating.clone());
    for _ in 0..3 {
        fixture.event(Event::PolicyChanged(beating.clone()));
        fixture.advance(secs(50));
    }
    assert!(fixture.out(is_heartbeat));
}
