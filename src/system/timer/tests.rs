#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use super::*;
use crate::system::clock::Clock;

fn now() -> BootTime {
    Clock::new(None).now().boot
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn a_deadline_fires_at_its_time_and_not_before() {
    runtime().block_on(async {
        let mut timer = Deadline::new().unwrap();
        let at = now().after(Duration::from_millis(20));
        timer.set(Some(at)).unwrap();
        timer.expired().await.unwrap();
        assert!(now() >= at);
        assert_eq!(timer.armed, None);
    });
}

#[test]
fn a_deadline_in_the_past_fires_at_once() {
    runtime().block_on(async {
        for past in [BootTime::from_millis(0), BootTime::from_millis(1), now()] {
            let mut timer = Deadline::new().unwrap();
            timer.set(Some(past)).unwrap();
            timer.expired().await.unwrap();
        }
    });
}

#[test]
fn a_deadline_can_be_brought_forward_and_armed_again() {
    runtime().block_on(async {
        let mut timer = Deadline::new().unwrap();
        timer.set(Some(now().after(Duration::from_hours(1)))).unwrap();
        timer.set(Some(now().after(Duration::from_millis(5)))).unwrap();
        timer.expired().await.unwrap();
        let again = now().after(Duration::from_millis(5));
        timer.set(Some(again)).unwrap();
        timer.expired().await.unwrap();
        assert!(now() >= again);
    });
}

#[test]
fn a_disarmed_or_postponed_deadline_stays_silent() {
    runtime().block_on(async {
        let mut silent = Deadline::new().unwrap();
        silent.set(Some(now().after(Duration::from_millis(5)))).unwrap();
        silent.set(None).unwrap();
        let mut postponed = Deadline::new().unwrap();
        postponed.set(Some(BootTime::from_millis(0))).unwrap();
        // The end of time must neither be refused nor wrap around into the past.
        postponed.set(Some(BootTime::from_millis(u64::MAX))).unwrap();
        let mut witness = Deadline::new().unwrap();
        witness.set(Some(now().after(Duration::from_millis(30)))).unwrap();
        tokio::select! {
            biased;
            _ = silent.expired() => panic!("disarmed, yet fired"),
            _ = postponed.expired() => panic!("postponed, yet fired"),
            fired = witness.expired() => fired.unwrap(),
        }
    });
}

#[test]
fn the_step_watch_is_silent_while_nobody_sets_the_clock() {
    runtime().block_on(async {
        let watch = ClockStepWatch::new().unwrap();
        let mut witness = Deadline::new().unwrap();
        witness.set(Some(now().after(Duration::from_millis(30)))).unwrap();
        tokio::select! {
            biased;
            outcome = watch.stepped() => panic!("no step, yet {outcome:?}"),
            fired = witness.expired() => fired.unwrap(),
        }
    });
}
