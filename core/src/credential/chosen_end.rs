//! The end of the pairing that the user chose at the server, as a deadline on boottime.
//!
//! Must never: end a pairing. Only a final answer does, and this tells what it means.

use std::time::Duration;

use crate::{BootTime, Now, WallTime};

/// How far apart the server's clock and the one that this end was concluded from may be. A clock
/// that strays further from a `Date` is not trusted.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// Nothing where the user chose none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ChosenEnd {
    /// `None` while no clock tells.
    at: Option<BootTime>,
    /// True if `at` was concluded from the system's wall clock, which may be stepped.
    by_wall_clock: bool,
    warnings_given: usize,
}

impl ChosenEnd {
    pub(crate) const fn at(self) -> Option<BootTime> {
        self.at
    }

    /// True if a final answer of this moment is the end that was foretold.
    pub(crate) fn explains_end(self, now: BootTime) -> bool {
        self.at.is_some_and(|at| at.before(TOLERANCE) <= now)
    }

    /// Concludes from the trusted wall clock, unless a verified `Date` told better.
    pub(crate) fn date_from_clock(&mut self, expires: Option<WallTime>, now: Now) {
        if self.at.is_none() || self.by_wall_clock {
            self.at = expires.zip(now.wall).map(|(end, wall)| deadline(end, wall, now.boot));
            self.by_wall_clock = self.at.is_some();
        }
    }

    /// Concludes from the verified `Date` of an answer. That stands on boottime since, and no step
    /// of a clock touches it.
    pub(crate) fn date_from_answer(&mut self, expires: Option<WallTime>, date: WallTime, now: BootTime) {
        if self.at.is_none() || self.by_wall_clock {
            self.at = expires.map(|end| deadline(end, date, now));
            self.by_wall_clock = false;
        }
    }

    /// When the next of these warnings is due, each so long before the end.
    pub(crate) fn warning_due(self, leads: &[Duration]) -> Option<BootTime> {
        Some(self.at?.before(*leads.get(self.warnings_given)?))
    }

    /// How much time is left, if a warning is due. Those that were missed are one.
    pub(crate) fn warn(&mut self, leads: &[Duration], now: BootTime) -> Option<Duration> {
        let at = self.at?;
        let passed = leads.iter().filter(|lead| at.before(**lead) <= now).count();
        let due = passed > self.warnings_given;
        self.warnings_given = self.warnings_given.max(passed);
        (due && now < at).then(|| at.since(now))
    }
}

/// An end that has passed saturates at boot.
fn deadline(end: WallTime, wall: WallTime, now: BootTime) -> BootTime {
    now.after(end.since(wall)).before(wall.since(end))
}
