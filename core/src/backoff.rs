//! When to try again: decorrelated jitter between a floor and a cap, never zero (I7), never before
//! the wait that the server asked for.

use std::time::Duration;

use crate::{BootTime, CallError, Context, Fault, FaultKind, LocalFault};

/// No two tries of the same thing are closer than this, whoever presses: a person waiting does not
/// notice five seconds, a server under ten thousand devices does.
pub(super) const FLOOR: Duration = Duration::from_secs(5);

/// The longest that a waiting caller waits for the next try of what was refused.
const REFUSED_CAP: Duration = Duration::from_secs(120);

/// The same where the server was not reached: a try costs it nothing, and the network may be back
/// at any moment.
const UNREACHED_CAP: Duration = Duration::from_secs(20);

/// Nobody's haste cures a wrong secret.
const LASTING: Duration = Duration::from_secs(15 * 60);

/// A change of circumstances begins the pace anew this seldom: a link that flaps each second, or a
/// clock that is set each second, must not set the pace.
const ANEW_APART: Duration = Duration::from_secs(30 * 60);

/// How a try failed, as far as it sets the pace of the next ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cause {
    /// Somebody answered, or may have got what we sent: a server, or the disk.
    Refused,
    /// Nothing of ours left.
    Unreached,
    /// It needs a person, and not another try.
    Lasting,
}

/// A change that may have cured a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Another network, which may lead to another server.
    Network,
    /// Another wall clock, or another trust in it.
    Clock,
}

/// A failing thing's memory of its failures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Retry {
    last: Option<Failure>,
    /// When a change of circumstances began the pace anew.
    anew: Option<BootTime>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Failure {
    error: CallError,
    cause: Cause,
    at: BootTime,
    /// The drawn delay, from which the next one is drawn.
    delay: Duration,
    next: BootTime,
    /// How soon after `at` a waiting caller may have the next try.
    earliest_if_waiting: Duration,
    /// `Retry-After`: nobody may press past it.
    not_before: BootTime,
    /// The value of `earliest_if_waiting` after the next failure of each cause. A refusal that a
    /// lost connection follows is not forgotten.
    next_refused: Duration,
    next_unreached: Duration,
    /// A change of circumstances has drawn an earlier try already.
    spread: bool,
}

impl Retry {
    /// Records a failure and draws the next try. Returns the wait.
    pub(super) fn failed(
        &mut self,
        cx: &mut Context<'_>,
        error: CallError,
        cause: Cause,
        retry_after: Option<Duration>,
        cap: Duration,
    ) -> Duration {
        let now = cx.at();
        let before = self.last.as_ref();
        let previous = before.map_or(FLOOR, |failure| failure.delay);
        let (mut refused, mut unreached) =
            before.map_or((FLOOR, FLOOR), |failure| (failure.next_refused, failure.next_unreached));
        let earliest_if_waiting = match cause {
            Cause::Refused => doubled(&mut refused, REFUSED_CAP),
            Cause::Unreached => doubled(&mut unreached, UNREACHED_CAP),
            Cause::Lasting => LASTING,
        };
        // Nobody waits for less than a caller who presses would.
        let least = earliest_if_waiting.min(cap);
        let delay = cx.draw(least, (previous * 3).min(cap).max(least));
        // A later failure that names no time does not take back what an earlier one asked for.
        let earliest = now.after(retry_after.unwrap_or_default());
        let not_before = self.not_before().max(earliest);
        let next = now.after(delay).max(not_before);
        self.last = Some(Failure {
            error,
            cause,
            at: now,
            delay,
            next,
            earliest_if_waiting,
            not_before,
            next_refused: refused,
            next_unreached: unreached,
            spread: false,
        });
        next.since(now)
    }

    /// Records a failure that lasts until a person ends it, or the server mends its own.
    pub(super) fn failed_for(&mut self, cx: &mut Context<'_>, error: CallError, wait: Duration) {
        self.failed(cx, error, Cause::Lasting, None, wait);
        if let Some(failure) = &mut self.last {
            failure.delay = wait;
            failure.next = failure.at.after(wait).max(failure.not_before);
        }
    }

    /// All is well again.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// The failures are forgotten; the floor, and a time that the server asked for, are not.
    pub(super) fn forget_failures(&mut self, now: BootTime) {
        let earliest = |failure: &Failure| failure.at.after(FLOOR).max(failure.not_before);
        self.last.take_if(|failure| earliest(failure) <= now);
        if let Some(failure) = &mut self.last {
            failure.delay = FLOOR;
            failure.next = earliest(failure);
        }
    }

    pub(super) fn failing(&self) -> Option<CallError> {
        self.last.as_ref().map(|failure| failure.error)
    }

    /// The next try if nobody presses; boot itself where nothing failed.
    pub(super) fn next(&self) -> BootTime {
        self.last.as_ref().map_or(BootTime::default(), |failure| failure.next)
    }

    /// The next try if somebody waits for it. How often they ask changes nothing: it counts from
    /// the failure.
    pub(super) fn earliest_if_waiting(&self) -> BootTime {
        self.last.as_ref().map_or(BootTime::default(), |failure| {
            failure
                .next
                .min(failure.at.after(failure.earliest_if_waiting))
                .max(failure.not_before)
        })
    }

    pub(super) fn not_before(&self) -> BootTime {
        self.last
            .as_ref()
            .map_or(BootTime::default(), |failure| failure.not_before)
    }

    /// Circumstances improved: try by `by`, within the bounds of [`Retry::earliest_if_waiting`].
    pub(super) fn retry_by(&mut self, by: BootTime) {
        let earliest_if_waiting = self.earliest_if_waiting();
        if let Some(failure) = &mut self.last {
            failure.next = failure.next.min(by.max(earliest_if_waiting));
        }
    }

    /// Circumstances improved and nobody waits: the load of many devices is spread. However often
    /// they change, one try is drawn for each failure.
    pub(super) fn retry_within(&mut self, cx: &mut Context<'_>, spread: Duration) {
        let drawn = |failure: &mut Failure| std::mem::replace(&mut failure.spread, true);
        if self.last.as_mut().is_some_and(|failure| !drawn(failure)) {
            let by = cx.at().after(cx.draw(Duration::ZERO, spread));
            self.retry_by(by);
        }
    }

    /// True if this may have cured the failure. If so, its pace begins anew, once in
    /// [`ANEW_APART`].
    pub(super) fn cured_by(&mut self, change: Change, now: BootTime) -> bool {
        let Some(failure) = &mut self.last else {
            return change == Change::Network;
        };
        let cured = match change {
            Change::Network => failure.cause != Cause::Lasting,
            Change::Clock => failure.error == CallError::ClockNotSet,
        };
        if cured && self.anew.is_none_or(|at| now.since(at) >= ANEW_APART) {
            self.anew = Some(now);
            failure.delay = FLOOR;
            failure.earliest_if_waiting = FLOOR;
            failure.next_refused = FLOOR;
            failure.next_unreached = FLOOR;
        }
        cured
    }
}

/// The wait, which is twice as long the next time.
fn doubled(wait: &mut Duration, cap: Duration) -> Duration {
    let next = (*wait * 2).min(cap);
    std::mem::replace(wait, next)
}

impl Fault {
    /// The error that a waiting caller gets.
    pub(super) const fn call_error(self) -> CallError {
        match self.kind {
            FaultKind::Offline | FaultKind::Lost => CallError::Offline,
            FaultKind::Untrusted => CallError::Untrusted,
            FaultKind::ClockNotSet => CallError::ClockNotSet,
            FaultKind::Local(fault) => CallError::Local(fault),
            FaultKind::Garbled | FaultKind::RateLimited | FaultKind::Refused => CallError::ServerError,
        }
    }

    /// Its effect on the pace of the next tries.
    pub(super) const fn cause(self) -> Cause {
        match self.kind {
            FaultKind::Offline
            | FaultKind::ClockNotSet
            | FaultKind::Untrusted
            | FaultKind::Local(LocalFault::PortTaken | LocalFault::NoListener | LocalFault::NoEntropy) => {
                Cause::Unreached
            }
            // A server's metadata is an answer, too.
            FaultKind::Local(LocalFault::AnotherIssuer | LocalFault::NoEndpoint | LocalFault::NoS256)
            | FaultKind::Lost
            | FaultKind::Garbled
            | FaultKind::RateLimited
            | FaultKind::Refused => Cause::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Now, WallTime};

    const CAP: Duration = Duration::from_secs(120);

    /// The waits of a thing that fails `times` times in a row, each time at the moment it was put
    /// off to.
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
                let wait = retry.failed(
                    &mut Context::new(now, &mut out),
                    CallError::Offline,
                    Cause::Unreached,
                    None,
                    CAP,
                );
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
        let retry_after = Some(Duration::from_secs(300));
        let mut failed = |retry: &mut Retry, secs, retry_after| {
            let cx = &mut Context::new(now(at(secs)), &mut out);
            retry.failed(cx, CallError::ServerError, Cause::Refused, retry_after, CAP);
        };
        failed(&mut retry, 0, retry_after);
        retry.retry_by(at(1));
        assert_eq!((retry.next(), retry.earliest_if_waiting()), (at(300), at(300)));
        assert!(retry.cured_by(Change::Network, at(1)));
        retry.retry_by(at(1));
        assert_eq!((retry.next(), retry.earliest_if_waiting()), (at(300), at(300)));
        failed(&mut retry, 10, None);
        assert_eq!(retry.not_before(), at(300));
        retry.reset();
        assert_eq!(retry.not_before(), BootTime::default());
    }

    #[test]
    fn haste_never_goes_below_the_floor() {
        let boot = BootTime::from_millis(1_000_000);
        let mut drawn = Vec::new();
        for entropy in 0..1_000 {
            let now = Now {
                boot,
                wall: None,
                floor: WallTime::from_secs(0),
                entropy,
            };
            let mut out = Vec::new();
            let mut retry = Retry::default();
            let cx = &mut Context::new(now, &mut out);
            drawn.push(retry.failed(cx, CallError::Offline, Cause::Unreached, None, CAP));
            assert_eq!(retry.earliest_if_waiting(), boot.after(FLOOR));
            // A haste that is later than the draw changes nothing.
            let later = boot.after(Duration::from_secs(8));
            let next = retry.next();
            retry.retry_by(later);
            assert_eq!(retry.next(), next.min(later));
            retry.retry_by(boot);
            assert_eq!(retry.next(), boot.after(FLOOR));
        }
        let (least, greatest) = (drawn.iter().min(), drawn.iter().max());
        assert!(least < Some(&Duration::from_millis(5_050)) && greatest > Some(&Duration::from_millis(14_950)));
    }

    /// Fails in this way, each time at the earliest that a waiting caller may have, and tells those
    /// waits.
    fn earliest_if_waiting(retry: &mut Retry, causes: &[Cause]) -> Vec<u64> {
        let mut at = retry.earliest_if_waiting().max(BootTime::from_millis(1_000_000));
        let mut out = Vec::new();
        let mut waits = Vec::new();
        for cause in causes {
            let now = Now {
                boot: at,
                wall: None,
                floor: WallTime::from_secs(0),
                entropy: u64::MAX / 3,
            };
            retry.failed(
                &mut Context::new(now, &mut out),
                CallError::ServerError,
                *cause,
                None,
                CAP,
            );
            assert!(retry.earliest_if_waiting() <= retry.next());
            waits.push(retry.earliest_if_waiting().since(at).as_secs());
            at = retry.earliest_if_waiting();
        }
        waits
    }

    #[test]
    fn who_presses_waits_longer_with_each_refusal_and_for_the_network_at_most_twenty_seconds() {
        use Cause::{Lasting, Refused, Unreached};
        let refused = [5, 10, 20, 40, 80, 120, 120];
        assert_eq!(earliest_if_waiting(&mut Retry::default(), &[Refused; 7]), refused);
        assert_eq!(
            earliest_if_waiting(&mut Retry::default(), &[Unreached; 5]),
            [5, 10, 20, 20, 20]
        );
        let both = [Refused, Refused, Unreached, Refused, Unreached, Refused];
        assert_eq!(
            earliest_if_waiting(&mut Retry::default(), &both),
            [5, 10, 5, 20, 10, 40]
        );
        assert_eq!(
            earliest_if_waiting(&mut Retry::default(), &[Lasting; 2]),
            [CAP.as_secs(); 2]
        );
    }

    #[test]
    fn a_change_of_network_begins_the_pace_anew_and_cures_no_wrong_secret() {
        let mut retry = Retry::default();
        earliest_if_waiting(&mut retry, &[Cause::Refused; 6]);
        let now = BootTime::from_millis(10_000_000);
        assert!(!retry.cured_by(Change::Clock, now));
        assert!(retry.cured_by(Change::Network, now));
        assert_eq!(earliest_if_waiting(&mut retry, &[Cause::Refused; 3]), [5, 10, 20]);
        assert!(retry.cured_by(Change::Network, now.after(ANEW_APART / 2)));
        assert_eq!(
            earliest_if_waiting(&mut retry, &[Cause::Refused; 2]),
            [40, 80],
            "not again so soon"
        );
        assert!(retry.cured_by(Change::Network, now.after(ANEW_APART)));
        assert_eq!(earliest_if_waiting(&mut retry, &[Cause::Refused]), [5]);
        earliest_if_waiting(&mut retry, &[Cause::Lasting]);
        assert!(!retry.cured_by(Change::Network, now));
    }
}
