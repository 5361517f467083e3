//! The clocks of the device: boottime, the wall clock as far as it is believed, and what a `Date`
//! makes of it.

use std::time::Duration;

use crate::{Boot, BootTime, Now, TokenPair, WallTime};

use super::scenario::{BOOTED_AT, EPOCH, Entropy, boot_id};
use super::step::Clock;
use super::world::World;

/// How wrong a clock that stood still, or ran ahead, is.
const BEHIND: Duration = Duration::from_hours(2);
const AHEAD: Duration = Duration::from_hours(24);

impl World {
    pub(super) fn boot_time(&self) -> BootTime {
        BootTime::from_millis(self.real - self.booted + BOOTED_AT)
    }

    /// The time since this boot began.
    pub(super) const fn uptime(&self) -> u64 {
        self.real - self.booted
    }

    /// The true time, as a server's `Date` tells it.
    pub(super) fn date(&self) -> WallTime {
        WallTime::from_secs(EPOCH + self.real / 1000)
    }

    /// The wall time as the driver sees it: nothing before the floor, nor what a `Date`
    /// contradicted.
    fn wall(&self) -> Option<WallTime> {
        let read = match self.clock {
            Clock::Untrusted => return None,
            Clock::Right => self.date(),
            Clock::Behind => self.date().before(BEHIND),
            Clock::Ahead => self.date().after(AHEAD),
        };
        (!self.contradicted && read >= self.floor).then_some(read)
    }

    /// True if this access token is over by any clock that the device may go by: that of its boot,
    /// its wall clock, or a `Date`.
    pub(super) fn says_ended(&self, pair: &TokenPair) -> bool {
        let by_boot =
            pair.obtained.boot == self.identity().id && self.boot_time() >= pair.obtained.at.after(pair.expires_in);
        let by_wall = |now: WallTime| {
            let end = pair.obtained.wall.map(|at| at.after(pair.expires_in));
            end.is_some_and(|end| now >= end)
        };
        by_boot || by_wall(self.date()) || self.wall().is_some_and(by_wall)
    }

    /// A `Date` came. Whether it changed what the clock is worth.
    pub(super) fn compare_clock(&mut self, date: WallTime) -> bool {
        let before = self.wall();
        self.floor = self.floor.max(date);
        self.contradicted = matches!(self.clock, Clock::Behind | Clock::Ahead);
        self.wall() != before
    }

    /// The clock is set: earlier contradictions concern another one.
    pub(super) fn clock_steps(&mut self, to: Clock) {
        self.clock = to;
        self.contradicted = false;
    }

    /// The boot as this process can tell it.
    pub(super) const fn identity(&self) -> Boot {
        if self.named_boots {
            return Boot::named(boot_id(self.boot));
        }
        Boot {
            id: boot_id(u8::MAX - self.processes),
            shared: false,
        }
    }

    pub(super) fn now(&self, entropy: Entropy) -> Now {
        Now {
            boot: self.boot_time(),
            wall: self.wall(),
            floor: self.floor,
            entropy: match entropy {
                Entropy::Always(bits) => bits,
                Entropy::Drawn { seed } => super::random::mix(seed ^ self.real),
            },
        }
    }
}
