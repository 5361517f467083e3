//! A clock, right or wrong or absent, causes no refresh by itself.

mod no_date;
mod storms;

use super::*;

const HOUR: u64 = 3600;

/// The state of a board's wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wall {
    Right,
    Absent,
    /// By so many hours.
    Ahead(u64),
    Behind(u64),
    /// The first day of 1970.
    Zero,
    /// Right, until it is set to 1970.
    LostLater,
}

/// A board that is switched on, the true time, and a server that goes by it.
struct Board {
    fixture: Fixture,
    /// Seconds since [`EPOCH`] at boottime 0.
    real: u64,
    /// True if answers carry a `Date` that counts.
    dated: bool,
    network: bool,
    /// How `devices/me` fails, if it does.
    ill: Option<FaultKind>,
    refreshes: usize,
    probes: usize,
    /// Probes before the first refresh.
    probes_before: usize,
}

/// When the token of [`stored`] was obtained, in seconds since [`EPOCH`].
const BORN: u64 = 1_005;

/// A pairing as the disk holds it.
fn stored(policy: &Policy) -> Stored {
    let fixture = Fixture::paired_with(Policy {
        can_probe: true,
        ..policy.clone()
    });
    let born = fixture.on_disk().pair.obtained.wall.unwrap();
    assert!(WallTime::from_secs(EPOCH + BORN).since(born) < secs(5));
    fixture.stored()
}

impl Board {
    /// Switched on when the token is so old, for the `boot`-th time.
    fn on(policy: &Policy, boot: u8, age: u64, wall: Wall) -> Self {
        Self::with(policy, stored(policy), boot, age, wall)
    }

    fn with(policy: &Policy, stored: Stored, boot: u8, age: u64, wall: Wall) -> Self {
        let real = BORN + age;
        // The floor is the token's birth: what shows less is not trusted.
        let shown = match wall {
            Wall::Right | Wall::LostLater => Some(real),
            Wall::Ahead(hours) => Some(real + hours * HOUR),
            Wall::Behind(hours) => real.checked_sub(hours * HOUR).filter(|shown| *shown >= BORN),
            Wall::Absent | Wall::Zero => None,
        };
        Self {
            fixture: Fixture::power_on(policy.clone(), stored, boot, shown),
            real,
            dated: true,
            network: true,
            ill: None,
            refreshes: 0,
            probes: 0,
            probes_before: 0,
        }
    }

    fn date(&self) -> WallTime {
        WallTime::from_secs(EPOCH + self.real + self.fixture.now.as_millis() / 1000)
    }

    /// As the driver does it: the `Date` first settles what the wall clock is worth.
    fn answered(&mut self, op: OpId, answer: Answer) {
        let date = (self.dated && self.network).then(|| self.date());
        if date.is_some() && self.fixture.wall && self.fixture.wall_at_boot.abs_diff(self.real) > 300 {
            self.fixture.wall = false;
            self.fixture.event(Event::ClockStepped);
        }
        self.fixture.event(Event::Answered { op, date, answer });
    }

    /// Answers everything that is out, and what follows from that.
    fn drain(&mut self) {
        while !self.fixture.requests.is_empty() {
            let (op, request) = self.fixture.requests.remove(0);
            let lives = match &request {
                Request::Probe(access) if access.expose() == "a1" => {
                    self.real + self.fixture.now.as_millis() / 1000 < BORN + 8 * HOUR
                }
                _ => true,
            };
            let answer = match request {
                Request::Prepare if !self.network => Answer::Prepare(PrepareAnswer::Failed(fault(FaultKind::Offline))),
                Request::Prepare => Answer::Prepare(PrepareAnswer::Ready),
                Request::Refresh { .. } => {
                    self.refreshes += 1;
                    Answer::Refresh(RefreshAnswer::Granted(grant(2)))
                }
                Request::Probe(_) => {
                    self.probes += 1;
                    self.probes_before += usize::from(self.refreshes == 0);
                    Answer::Probe(if !self.network {
                        ProbeAnswer::Failed(fault(FaultKind::Offline))
                    } else if let Some(kind) = self.ill {
                        ProbeAnswer::Failed(fault(kind))
                    } else if lives {
                        ProbeAnswer::Accepted(None)
                    } else {
                        ProbeAnswer::Rejected
                    })
                }
                other => panic!("{other:?}"),
            };
            self.answered(op, answer);
        }
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.drain();
            self.fixture.advance(secs(1));
        }
        self.drain();
    }

    /// Asks for a token, which comes within the time of a call.
    fn token(&mut self) -> String {
        let call = self.fixture.get_token(None);
        self.drain();
        if self.fixture.reply(call).is_none() {
            self.pass(20);
        }
        self.fixture.token(call).to_owned()
    }
}

fn both_modes() -> [Policy; 2] {
    [RefreshMode::Eager, RefreshMode::OnDemand].map(|refresh| Policy { refresh, ..policy() })
}

#[test]
fn thirty_power_cycles_cause_no_refresh_whatever_the_clock_says() {
    let walls = [
        Wall::Right,
        Wall::Absent,
        Wall::Ahead(2),
        Wall::Ahead(9),
        Wall::Ahead(12),
        Wall::Ahead(24 * 20),
        Wall::Behind(1),
        Wall::Behind(9),
        Wall::Zero,
        Wall::LostLater,
    ];
    for mode in both_modes() {
        for (wall, late) in walls.into_iter().flat_map(|wall| [(wall, false), (wall, true)]) {
            let on_disk = stored(&mode);
            for cycle in 0..30 {
                let what = format!("{:?}, {wall:?}, late: {late}, cycle {cycle}", mode.refresh);
                let age = HOUR + u64::from(cycle) * 300;
                let mut board = Board::with(&mode, on_disk.clone(), 2 + cycle, age, wall);
                if late {
                    board.network = false;
                    for _ in 0..20 {
                        board.fixture.get_token(None);
                        board.pass(60);
                    }
                    board.network = true;
                    board.fixture.event(Event::NetworkUp);
                }
                assert_eq!(board.token(), "a1", "{what}");
                if wall == Wall::LostLater {
                    board.fixture.wall = false;
                    board.fixture.event(Event::ClockStepped);
                    assert_eq!(board.token(), "a1", "{what}");
                }
                board.pass(120);
                assert_eq!(board.token(), "a1", "{what}");
                assert_eq!(board.refreshes, 0, "{what}");
                assert_eq!(board.fixture.stores, 0, "{what}: nor is anything marked");
            }
        }
    }
}

#[test]
fn off_overnight_costs_one_refresh_and_the_first_token_follows_it() {
    for mode in both_modes() {
        let mut board = Board::on(&mode, 2, 10 * HOUR, Wall::Right);
        assert_eq!(board.token(), "a2", "{:?}", mode.refresh);
        board.pass(600);
        assert_eq!((board.refreshes, board.probes_before), (1, 0), "{:?}", mode.refresh);
    }
    // By a clock that knows nothing the probe tells, and that is all that it costs.
    for wall in [Wall::Absent, Wall::Zero] {
        for (mode, dated) in both_modes()
            .into_iter()
            .flat_map(|mode| [(mode.clone(), true), (mode, false)])
        {
            let mut board = Board::on(&mode, 2, 10 * HOUR, wall);
            board.dated = dated;
            assert_eq!(board.token(), "a2", "{wall:?}");
            board.pass(600);
            assert_eq!((board.refreshes, board.probes_before), (1, 1), "{wall:?}, {dated}");
        }
    }
}

#[test]
fn setting_the_clock_of_a_running_board_causes_no_refresh() {
    for mode in both_modes() {
        let mut board = Board::on(&mode, 2, HOUR, Wall::Right);
        assert_eq!(board.token(), "a1");
        for hours in [12, 9, 24 * 30, 0] {
            board.fixture.wall = true;
            board.fixture.wall_at_boot = board.real + hours * HOUR;
            board.fixture.event(Event::ClockStepped);
            board.pass(60);
            assert_eq!(board.token(), "a1", "{hours}");
        }
        assert_eq!((board.refreshes, board.fixture.stores), (0, 0));
    }
}

#[test]
fn a_probe_comes_first_where_the_connection_tells_no_time() {
    for mode in both_modes() {
        let mut board = Board::on(&mode, 2, HOUR, Wall::Ahead(12));
        board.dated = false;
        assert_eq!(board.token(), "a1");
        board.pass(580);
        assert_eq!(board.token(), "a1");
        assert_eq!(
            (board.refreshes, board.probes, board.fixture.stores),
            (0, 1, 0),
            "the 2xx counts for more than a clock that nobody vouches for"
        );
        board.pass(60);
        assert_eq!(board.refreshes, 1, "ten minutes without a time are enough");
    }
}

#[test]
fn the_401_to_that_probe_counts_for_no_limit() {
    let mut board = Board::on(&policy(), 2, 10 * HOUR, Wall::Right);
    board.dated = false;
    assert_eq!(board.token(), "a2");
    assert_eq!((board.refreshes, board.probes_before), (1, 1));
    assert!(
        !board
            .fixture
            .events
            .iter()
            .any(|event| matches!(event, LogEvent::TokenRejected { .. }))
    );
    // The next 401 is the first of its kind.
    board.pass(10);
    board.fixture.reject(UPLOADER, 2);
    board.fixture.probed(ProbeAnswer::Rejected);
    assert!(board.fixture.out(is_prepare), "at once");
}

#[test]
fn the_ten_minutes_begin_with_the_first_answer_that_could_have_told_the_time() {
    for mode in both_modes() {
        let mut board = Board::on(&mode, 2, HOUR, Wall::Absent);
        board.network = false;
        board.pass(30 * 60);
        board.network = true;
        board.dated = false;
        board.fixture.event(Event::NetworkUp);
        assert_eq!(board.token(), "a1");
        board.pass(590);
        assert_eq!((board.refreshes, board.fixture.stores), (0, 0));
        board.pass(20);
        assert_eq!(board.refreshes, 1);
    }
}

#[test]
fn a_date_that_comes_late_ends_the_ten_minutes() {
    let mut board = Board::on(&policy(), 2, HOUR, Wall::Absent);
    board.dated = false;
    board.pass(300);
    board.dated = true;
    board.pass(400);
    assert_eq!(
        (board.refreshes, board.fixture.stores),
        (0, 0),
        "the connection told the time"
    );
    assert_eq!(board.token(), "a1");
}

#[test]
fn any_answer_tells_the_time() {
    let mut board = Board::on(&policy(), 2, HOUR, Wall::Absent);
    let call = board.fixture.get_token(None);
    let (op, _) = board.fixture.take(is_probe).unwrap();
    board.answered(op, Answer::Probe(ProbeAnswer::Failed(fault(FaultKind::Refused))));
    assert_eq!(board.fixture.token(call), "a1", "its age is known, and it lives");
}

#[test]
fn a_clock_that_is_believed_no_more_asks_for_a_probe() {
    // No answer told a time: the age is known by the wall clock alone.
    let mut board = Board::on(&policy(), 2, HOUR, Wall::Right);
    board.dated = false;
    board.pass(60);
    board.fixture.wall = false;
    board.fixture.event(Event::ClockStepped);
    assert!(board.fixture.out(is_probe));
    board.drain();
    assert_eq!(board.probes, 2, "the one of the start, and this one");
    assert_eq!(board.token(), "a1");
}

#[test]
fn no_mark_is_written_over_a_probe_that_may_tell_the_age() {
    let mut board = Board::on(&policy(), 2, HOUR, Wall::Absent);
    board.dated = false;
    board.pass(595);
    board.fixture.reject(UPLOADER, 1);
    assert!(board.fixture.out(is_probe));
    board.fixture.advance(secs(10));
    assert!(!board.fixture.out(is_prepare) && board.fixture.stores == 0);
    board.dated = true;
    board.pass(60);
    assert_eq!((board.refreshes, board.fixture.stores), (0, 0));
    assert_eq!(board.token(), "a1");
}

#[test]
fn a_connection_that_was_made_in_vain_costs_nothing_and_is_not_made_again() {
    let mut board = Board::on(&policy(), 2, HOUR, Wall::Ahead(12));
    let (op, _) = board.fixture.take(is_prepare).unwrap();
    board.answered(op, Answer::Prepare(PrepareAnswer::Ready));
    assert!(board.fixture.cancelled.contains(&op));
    assert_eq!(board.fixture.stores, 0);
    board.drain();
    board.pass(3 * HOUR);
    assert_eq!(board.refreshes, 0);
    board.pass(3 * HOUR);
    assert_eq!(board.refreshes, 1, "in the window, as ever");
}

#[test]
fn a_busy_server_that_tells_the_time_is_not_asked_for_a_token() {
    let mut board = Board::on(&policy(), 2, HOUR, Wall::Ahead(12));
    let call = board.fixture.get_token(None);
    let (op, _) = board.fixture.take(is_prepare).unwrap();
    board.answered(op, Answer::Prepare(PrepareAnswer::Busy(fault(FaultKind::RateLimited))));
    board.drain();
    assert_eq!(board.fixture.token(call), "a1");
    assert_eq!((board.refreshes, board.fixture.stores), (0, 0));
}
