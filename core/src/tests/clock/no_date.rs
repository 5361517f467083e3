//! Rules where no answer tells the time, or no resource can be asked.

use super::*;

#[test]
fn on_demand_a_token_of_unknown_age_has_no_window() {
    for can_probe in [true, false] {
        let mode = Policy {
            refresh: RefreshMode::OnDemand,
            can_probe,
            ..policy()
        };
        for boot in 2..32 {
            let mut board = Board::on(&mode, boot, HOUR, Wall::Absent);
            board.dated = false;
            assert_eq!(board.token(), "a1");
            board.pass(300);
            assert_eq!(
                (board.refreshes, board.fixture.stores),
                (0, 0),
                "{can_probe}, boot {boot}"
            );
        }
    }
}

#[test]
fn where_nobody_can_be_asked_the_ten_minutes_begin_with_the_network() {
    for mode in both_modes() {
        let mode = Policy {
            can_probe: false,
            ..mode
        };
        let mut board = Board::on(&mode, 2, HOUR, Wall::Absent);
        board.dated = false;
        board.network = false;
        board.pass(20 * 60);
        board.network = true;
        board.pass(595);
        assert_eq!((board.refreshes, board.fixture.stores), (0, 0), "{:?}", mode.refresh);
        assert_eq!(board.token(), "a1");
        board.pass(40 * 60);
        assert_eq!(board.refreshes, 1, "{:?}", mode.refresh);
    }
}

#[test]
fn a_rejection_of_what_a_wrong_clock_calls_dead_is_examined() {
    let mut board = Board::on(&policy(), 2, HOUR, Wall::Ahead(12));
    board.fixture.reject(UPLOADER, 1);
    let call = board.fixture.get_token(None);
    let (op, _) = board.fixture.take(is_prepare).unwrap();
    board.answered(op, Answer::Prepare(PrepareAnswer::Ready));
    assert!(board.fixture.reply(call).is_none(), "it rejected this one");
    assert!(board.fixture.out(is_probe));
    board.drain();
    assert_eq!(board.fixture.token(call), "a1");
    assert_eq!((board.refreshes, board.fixture.stores), (0, 0));
}

#[test]
fn a_pairing_without_a_usable_access_token_is_refreshed_without_a_clock_too() {
    let mut on_disk = stored(&policy());
    if let Loaded::Current(record) = &mut on_disk.record
        && let Body::Paired(pairing) = &mut record.body
    {
        pairing.pair.access = None;
    }
    let mut board = Board::with(&policy(), on_disk, 2, HOUR, Wall::Absent);
    board.dated = false;
    board.pass(595);
    assert_eq!((board.refreshes, board.probes), (0, 0));
    board.pass(60);
    assert_eq!(board.refreshes, 1);
}

#[test]
fn a_resource_that_gives_no_verdict_does_not_keep_a_token_in_doubt() {
    // Where the connection of the refresh stood, even a resource that cannot be reached tells that
    // nobody will say more.
    let ill = [
        (Wall::Right, FaultKind::Offline),
        (Wall::Right, FaultKind::Refused),
        (Wall::Absent, FaultKind::Refused),
        (Wall::Absent, FaultKind::RateLimited),
        (Wall::Absent, FaultKind::Garbled),
        (Wall::Absent, FaultKind::Lost),
    ];
    for (wall, kind) in ill {
        for mode in both_modes() {
            let what = format!("{:?}, {wall:?}, {kind:?}", mode.refresh);
            let mut board = Board::on(&mode, 2, 10 * HOUR, wall);
            board.dated = false;
            board.ill = Some(kind);
            board.fixture.get_token(None);
            board.pass(595);
            assert_eq!((board.refreshes, board.fixture.stores), (0, 0), "{what}");
            board.pass(60);
            assert_eq!(board.refreshes, 1, "{what}");
            assert_eq!(board.token(), "a2", "{what}");
        }
    }
}

#[test]
fn who_asks_all_the_time_does_not_put_that_off() {
    let mut board = Board::on(&policy(), 2, 10 * HOUR, Wall::Right);
    board.dated = false;
    board.ill = Some(FaultKind::Refused);
    for _ in 0..66 {
        board.fixture.get_token(None);
        board.pass(10);
    }
    assert_eq!(board.refreshes, 1);
    assert_eq!(board.token(), "a2");
}

#[test]
fn a_network_that_was_never_there_begins_no_ten_minutes() {
    for kind in [FaultKind::Offline, FaultKind::Untrusted, FaultKind::ClockNotSet] {
        let mut board = Board::on(&policy(), 2, HOUR, Wall::Absent);
        board.dated = false;
        // A captive portal, say.
        board.ill = Some(kind);
        board.pass(30 * 60);
        board.ill = None;
        board.fixture.event(Event::NetworkUp);
        assert_eq!(board.token(), "a1");
        board.pass(570);
        assert_eq!((board.refreshes, board.fixture.stores), (0, 0), "{kind:?}");
    }
}
