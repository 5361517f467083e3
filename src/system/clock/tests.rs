#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;

const START: BootTime = BootTime::from_millis(1_000_000_000);
const TWO_WEEKS: Duration = Duration::from_hours(14 * 24);

fn clock_at_build() -> Clock {
    Clock::new(None)
}

#[test]
fn boottime_never_goes_back_and_entropy_is_fresh() {
    let mut clock = clock_at_build();
    let readings: Vec<Now> = (0..100).map(|_| clock.now()).collect();
    assert!(readings.windows(2).all(|pair| pair[0].boot <= pair[1].boot));
    assert!(readings.windows(2).any(|pair| pair[0].entropy != pair[1].entropy));
    clock.last = BootTime::from_millis(u64::MAX);
    assert_eq!(clock.now().boot, BootTime::from_millis(u64::MAX));
}

#[test]
fn no_number_is_given_twice_however_many_are_drawn_ahead() {
    let mut entropy = Entropy::default();
    let given: std::collections::BTreeSet<u64> = (0..5 * Entropy::AHEAD).map(|_| entropy.next()).collect();
    assert_eq!(given.len(), 5 * Entropy::AHEAD);
    assert!(!given.contains(&0), "a number that was given is not there any more");
}

#[test]
fn a_clock_before_the_build_date_is_not_believed() {
    let clock = clock_at_build();
    assert_eq!(clock.trust.judge(WallTime::from_secs(0)), None);
    assert_eq!(clock.trust.judge(BUILD_DATE.before(DAY)), None);
    assert_eq!(clock.trust.judge(BUILD_DATE), Some(BUILD_DATE));
}

#[test]
fn the_stored_floor_counts_when_it_is_later_than_the_build() {
    assert_eq!(Clock::new(Some(BUILD_DATE.after(DAY))).floor(), BUILD_DATE.after(DAY));
    assert_eq!(Clock::new(Some(WallTime::from_secs(1))).floor(), BUILD_DATE);
}

#[test]
fn a_date_moves_the_floor_forward_only_and_by_one_step_at_most() {
    let mut clock = clock_at_build();
    let effect = clock.date_against(START, BUILD_DATE, BUILD_DATE.before(DAY), TWO_WEEKS);
    assert!(!effect.floor_moved);
    assert_eq!(clock.floor(), BUILD_DATE);
    assert!(
        clock
            .date_against(START, BUILD_DATE, BUILD_DATE.after(DAY), TWO_WEEKS)
            .floor_moved
    );
    assert_eq!(clock.floor(), BUILD_DATE.after(DAY));
    clock.date_against(START, BUILD_DATE, BUILD_DATE.after(1000 * DAY), TWO_WEEKS);
    assert_eq!(clock.floor(), BUILD_DATE.after(TWO_WEEKS));
}

#[test]
fn a_wrong_date_however_often_it_comes_moves_the_floor_by_one_step_a_day() {
    let mut clock = clock_at_build();
    let years_ahead = BUILD_DATE.after(4000 * DAY);
    for hour in 0..24 {
        let boot = START.after(Duration::from_secs(3600 * hour));
        clock.date_against(boot, BUILD_DATE, years_ahead, TWO_WEEKS);
    }
    assert_eq!(clock.floor(), BUILD_DATE.after(TWO_WEEKS));
    clock.date_against(START.after(DAY), BUILD_DATE, years_ahead, TWO_WEEKS);
    assert_eq!(clock.floor(), BUILD_DATE.after(TWO_WEEKS).after(TWO_WEEKS));
}

#[test]
fn a_contradicting_date_ends_trust_and_says_so_once() {
    let mut clock = clock_at_build();
    let system = BUILD_DATE.after(3 * DAY);
    let date = BUILD_DATE.after(4 * DAY);
    assert!(clock.date_against(START, system, date, TWO_WEEKS).trust_changed);
    assert_eq!(clock.trust.judge(system), None);
    assert!(!clock.date_against(START, system, date, TWO_WEEKS).trust_changed);
}

#[test]
fn an_agreeing_date_restores_trust() {
    let mut clock = clock_at_build();
    let system = BUILD_DATE.after(3 * DAY);
    clock.date_against(START, system, BUILD_DATE.after(DAY), TWO_WEEKS);
    assert_eq!(clock.trust.judge(system), None);
    assert!(clock.date_against(START, system, system, TWO_WEEKS).trust_changed);
    assert_eq!(clock.trust.judge(system), Some(system));
}

#[test]
fn a_step_forgives_a_contradiction_but_not_the_floor() {
    let mut clock = clock_at_build();
    let date = BUILD_DATE.after(2 * DAY);
    clock.date_against(START, BUILD_DATE, date, TWO_WEEKS);
    clock.stepped();
    assert_eq!(clock.trust.judge(date), Some(date));
    assert_eq!(clock.trust.judge(BUILD_DATE.after(DAY)), None);
}

#[test]
fn the_kernels_boot_id_wins() {
    let dir = tempfile::tempdir().unwrap();
    let kernel = dir.path().join("kernel");
    fs::write(&kernel, "bc9332ab-1e80-4574-b70c-9a3ef21cec8e\n").unwrap();
    let found = boot(&kernel, Some(dir.path()));
    assert_eq!(found.id.0[..4], [0xbc, 0x93, 0x32, 0xab]);
    assert!(found.shared && !dir.path().join("boot-id").exists());
}

#[test]
fn a_hidden_boot_id_is_replaced_by_one_that_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = boot(Path::new("/nonexistent"), Some(dir.path()));
    assert!(!first.shared, "no process before this one had it");
    let again = boot(Path::new("/nonexistent"), Some(dir.path()));
    assert_eq!((again.id, again.shared), (first.id, true));
    fs::remove_file(dir.path().join("boot-id")).unwrap();
    assert!(!boot(Path::new("/nonexistent"), Some(dir.path())).shared);
}

#[test]
fn a_damaged_boot_id_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    for junk in ["", "+0000000000000000000000000000000", "zz", "\u{0}"] {
        fs::write(dir.path().join("boot-id"), junk).unwrap();
        let drawn = boot(Path::new("/nonexistent"), Some(dir.path()));
        let again = boot(Path::new("/nonexistent"), Some(dir.path()));
        assert_eq!(again.id, drawn.id, "after {junk:?}");
        assert!(!drawn.shared && again.shared);
    }
}

#[test]
fn with_neither_source_every_start_is_a_new_boot() {
    let nowhere = Path::new("/nonexistent");
    for runtime in [None, Some(nowhere)] {
        let starts = [boot(nowhere, runtime), boot(nowhere, runtime)];
        assert_ne!(starts[0].id, starts[1].id);
        assert!(starts.iter().all(|start| !start.shared));
    }
}
