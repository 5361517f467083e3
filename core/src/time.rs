//! Instants as the core sees them: inputs, never read from a clock here.
//!
//! Deadlines live on [`BootTime`], which counts through suspend and which no NTP step can move.
//! [`WallTime`] serves one purpose only: to know across a reboot how old a token is. It is absent
//! until it can be trusted.

use std::time::Duration;

/// Milliseconds of `CLOCK_BOOTTIME`: monotonic, counting through suspend, 0 at boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootTime(u64);

impl BootTime {
    /// From milliseconds since boot.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since boot.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Time passed since `earlier`; zero if `earlier` lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The instant `by` later; saturates.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The instant `by` earlier; saturates at boot.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Seconds since the Unix epoch, from a clock or a verified `Date` header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(u64);

impl WallTime {
    /// From seconds since the epoch.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs)
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// Time passed since `earlier`; zero if `earlier` lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    /// The instant `by` later; saturates.
    #[must_use]
    pub const fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by.as_secs()))
    }

    /// The instant `by` earlier; saturates at the epoch.
    #[must_use]
    pub const fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by.as_secs()))
    }
}

/// The moment of an input, and the entropy that came with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// `CLOCK_BOOTTIME`. Never goes back between two inputs.
    pub boot: BootTime,
    /// The wall clock, `None` until [`ClockTrust`] vouches for it.
    pub wall: Option<WallTime>,
    /// The earliest time it can be, by verified `Date`s; every record carries it.
    pub floor: WallTime,
    /// Fresh random bits for jitter. The core keeps no generator, so that its states can be
    /// compared and explored.
    pub entropy: u64,
}

/// Which boot of the machine a stored instant belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootId(pub [u8; 16]);

/// The boot that a process belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Boot {
    /// Under which this process stores instants.
    pub id: BootId,
    /// A process that began earlier in this boot had the same id. If not, an instant of another id
    /// may be of a moment before this process began.
    pub shared: bool,
}

impl Boot {
    /// A boot that the kernel names.
    #[must_use]
    pub const fn named(id: BootId) -> Self {
        Self { id, shared: true }
    }
}

/// Decides whether the system clock may be believed.
///
/// Not before the floor (the later of the build date and the last known good time), and not
/// contradicted by a verified `Date` since the last clock step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockTrust {
    floor: WallTime,
    contradicted: bool,
}

/// How far a server's `Date` may stray before it contradicts the system clock. Covers the seconds
/// of a slow answer and an honest server's drift; far below the life of any token.
const DATE_TOLERANCE: Duration = Duration::from_secs(5 * 60);

impl ClockTrust {
    /// Starts from the build date or the stored floor, whichever is later.
    #[must_use]
    pub fn new(build: WallTime, stored: Option<WallTime>) -> Self {
        Self {
            floor: stored.map_or(build, |stored| stored.max(build)),
            contradicted: false,
        }
    }

    /// The system clock's reading, if it can be trusted.
    #[must_use]
    pub fn judge(&self, system: WallTime) -> Option<WallTime> {
        (system >= self.floor && !self.contradicted).then_some(system)
    }

    /// The earliest time it can be: what TLS verifies against when the system clock is behind it.
    #[must_use]
    pub const fn floor(&self) -> WallTime {
        self.floor
    }

    /// A `Date` came over verified TLS: does it agree with the system clock?
    pub fn compare(&mut self, system: WallTime, date: WallTime) {
        self.contradicted = system.since(date).max(date.since(system)) > DATE_TOLERANCE;
    }

    /// The clock was stepped: earlier contradictions concern another clock.
    pub fn stepped(&mut self) {
        self.contradicted = false;
    }
}
