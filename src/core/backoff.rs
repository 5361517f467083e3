//! When to try again: decorrelated jitter between a floor and a cap, never zero (I7), never before the server's own wish.

use std::time::Duration;

use super::effect::CallError;
use super::event::{Fault, FaultKind};
use super::time::BootTime;
use super::turn::Turn;

/// No two tries of the same thing are closer than this, whoever presses: a person waiting does not notice five seconds, a
/// server under ten thousand devices does.
pub(super) const FLOOR: Duration = Duration::from_secs(5);

/// A failing thing's memory of its failures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Retry {
    last: Option<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Failure {
    error: CallError,
    at: BootTime,
    /// The drawn delay, from which the next one is drawn.
    delay: Duration,
    next: BootTime,
    /// `Retry-After`: nobody may press past it.
    not_before: BootTime,
}

impl Retry {
    /// Records a failure and draws the next try. Returns the wait.
    pub(super) fn failed(
        &mut self,
        t: &mut Turn<'_>,
        error: CallError,
        retry_after: Option<Duration>,
        cap: Duration,
    ) -> Duration {
        let now = t.at();
        let previous = self.last.as_ref().map_or(FLOOR, |failure| failure.delay);
        let delay = t.draw(FLOOR, (previous * 3).min(cap).max(FLOOR));
        // A later failure that names no time does not take back what an earlier one asked for.
        let wished = now.after(retry_after.unwrap_or_default());
        let not_before = self.not_before().max(wished);
        let next = now.after(delay).max(not_before);
        self.last = Some(Failure {
            error,
            at: now,
            delay,
            next,
            not_before,
        });
        next.since(now)
    }

    /// Records a failure of which only time can be the cure.
    pub(super) fn failed_for(&mut self, t: &mut Turn<'_>, error: CallError, wait: Duration) -> Duration {
        let now = t.at();
        let next = now.after(wait);
        self.last = Some(Failure {
            error,
            at: now,
            delay: wait,
            next,
            not_before: now,
        });
        wait
    }

    /// All is well again.
    pub(super) fn reset(&mut self) {
        self.last = None;
    }

    /// The failures are forgotten; a time that the server asked for is not.
    pub(super) fn relent(&mut self, now: BootTime) {
        self.last.take_if(|failure| failure.not_before <= now);
        if let Some(failure) = &mut self.last {
            failure.delay = FLOOR;
            failure.next = failure.not_before;
        }
    }

    pub(super) fn failing(&self) -> Option<CallError> {
        self.last.as_ref().map(|failure| failure.error)
    }

    /// The next try if nobody presses; boot itself where nothing failed.
    pub(super) fn next(&self) -> BootTime {
        self.last.as_ref().map_or(BootTime::default(), |failure| failure.next)
    }

    /// The next try if somebody waits for it.
    pub(super) fn pressed(&self) -> BootTime {
        self.last.as_ref().map_or(BootTime::default(), |failure| {
            failure.next.min(failure.at.after(FLOOR)).max(failure.not_before)
        })
    }

    /// The earliest that any haste allows.
    pub(super) fn not_before(&self) -> BootTime {
        self.last
            .as_ref()
            .map_or(BootTime::default(), |failure| failure.not_before)
    }

    /// Circumstances improved: try by `by`, within the bounds of [`Retry::pressed`].
    pub(super) fn hasten(&mut self, by: BootTime) {
        let pressed = self.pressed();
        if let Some(failure) = &mut self.last {
            failure.next = failure.next.min(by.max(pressed));
        }
    }
}

impl Fault {
    /// What a waiting caller is told.
    pub(super) const fn call_error(self) -> CallError {
        match self.kind {
            FaultKind::Offline | FaultKind::Untrusted | FaultKind::Lost => CallError::Offline,
            FaultKind::ClockNotSet => CallError::ClockNotSet,
            FaultKind::Local(fault) => CallError::Local(fault),
            FaultKind::Garbled | FaultKind::RateLimited | FaultKind::Refused => CallError::ServerError,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::{Now, WallTime};

    const CAP: Duration = Duration::from_secs(120);

    /// The waits of a thing that fails `times` times in a row, each time at the moment it was put off to.
    fn waits(entropy: u64, times: usize) -> Vec<Duration> {
        let mut retry = Retry::default();
        let mut at = BootTime::from_millis(1_000_000);
        (0..times)
            .map(|_| {
                let now = Now {
                    boot: at,
                    wall: None,
                    floor: WallTime::from_secs(0),
                    entropy,
                };
                let mut out = Vec::new();
                let wait = retry.failed(&mut Turn::new(now, &mut out), CallError::Offline, None, CAP);
                at = at.after(wait);
                wait
            })
            .collect()
    }

    #[test]
    fn waits_keep_floor_and_cap_grow_and_differ_between_devices() {
        let fleet: Vec<_> = (0..200).map(|device| waits(device * 7919, 12)).collect();
        for waits in &fleet {
            assert!(waits.iter().all(|wait| (FLOOR..=CAP).contains(wait)), "{waits:?}");
        }
        let mean = |n: usize| fleet.iter().map(|waits| waits[n]).sum::<Duration>() / 200;
        assert!(mean(0) < Duration::from_secs(15), "the first is short: {:?}", mean(0));
        assert!(mean(11) > Duration::from_secs(40), "the later are long: {:?}", mean(11));
        let mut first: Vec<_> = fleet.iter().map(|waits| waits[0]).collect();
        first.sort_unstable();
        first.dedup();
        assert!(
            first.len() > 100,
            "two devices seldom come back together: {}",
            first.len()
        );
    }

    #[test]
    fn the_servers_wish_holds_against_haste_and_against_later_failures() {
        let mut retry = Retry::default();
        let at = |secs: u64| BootTime::from_millis(1_000_000 + secs * 1000);
        let now = |boot| Now {
            boot,
            wall: None,
            floor: WallTime::from_secs(0),
            entropy: 1,
        };
        let mut out = Vec::new();
        let wish = Some(Duration::from_secs(300));
        retry.failed(&mut Turn::new(now(at(0)), &mut out), CallError::ServerError, wish, CAP);
        retry.hasten(at(1));
        assert_eq!((retry.next(), retry.pressed()), (at(300), at(300)));
        retry.failed(&mut Turn::new(now(at(10)), &mut out), CallError::Offline, None, CAP);
        assert_eq!(retry.not_before(), at(300));
        retry.reset();
        assert_eq!(retry.not_before(), BootTime::default());
    }

    #[test]
    fn haste_never_goes_below_the_floor() {
        let mut retry = Retry::default();
        let boot = BootTime::from_millis(1_000_000);
        let now = Now {
            boot,
            wall: None,
            floor: WallTime::from_secs(0),
            entropy: u64::MAX,
        };
        let mut out = Vec::new();
        retry.failed(&mut Turn::new(now, &mut out), CallError::Offline, None, CAP);
        retry.hasten(boot);
        assert_eq!(retry.next(), boot.after(FLOOR).min(retry.next()));
        assert_eq!(retry.pressed(), boot.after(FLOOR));
    }
}
