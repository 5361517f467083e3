//! Where the core's time and entropy come from.
//!
//! Owns: the two system clocks, the judgement whether the wall clock may be believed, and the
//! identity of this boot. Invariants: [`Now::boot`] never goes back. The floor moves only forward,
//! and only by a verified `Date`. In a day of uptime it never moves by more than the refresh
//! token's life. So a server with a wrong clock, however often it answers, cannot push it in hours
//! where no certificate is valid.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use c2c_auth_core::{Boot, BootId, BootTime, ClockTrust, Now, WallTime};

/// No clock that is earlier than this can be right: the software did not exist yet.
///
/// `SOURCE_DATE_EPOCH` at compile time (distributions set it to the date of the package's
/// changelog), else the day this constant was last moved, 2026-11-01. Not the time of compilation,
/// so that builds are reproducible.
const BUILD_DATE: WallTime = WallTime::from_secs(match option_env!("SOURCE_DATE_EPOCH") {
    None => 1_793_491_200,
    Some(text) => match u64::from_str_radix(text, 10) {
        Ok(secs) => secs,
        Err(_) => panic!("SOURCE_DATE_EPOCH is not a number of seconds"),
    },
});

/// In which the floor moves by one step at most.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The clocks, and what is known about their truth.
#[derive(Debug)]
pub(crate) struct Clock {
    trust: ClockTrust,
    /// Where the floor stood when the day began in which it may move by one step, and when that
    /// was.
    day: (WallTime, BootTime),
    last: BootTime,
    entropy: Entropy,
}

/// The effect of a verified `Date` on the judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateEffect {
    /// The wall clock is believed now and was not before, or the other way round.
    pub trust_changed: bool,
    pub floor_moved: bool,
}

impl Clock {
    /// Starts from the floor that the record holds, if there is one.
    pub(crate) fn new(stored: Option<WallTime>) -> Self {
        let trust = ClockTrust::new(BUILD_DATE, stored);
        let last = boottime();
        Self {
            trust,
            day: (trust.floor(), last),
            last,
            entropy: Entropy::default(),
        }
    }

    /// Reads the clock of deadlines.
    pub(crate) fn boot(&mut self) -> BootTime {
        // The kernel promises that CLOCK_BOOTTIME never goes back. Emulated kernels have been seen
        // to break that, and the core's schedule rests on it.
        self.last = self.last.max(boottime());
        self.last
    }

    /// Reads both clocks and draws fresh entropy.
    pub(crate) fn now(&mut self) -> Now {
        Now {
            boot: self.boot(),
            wall: self.trust.judge(system_time()),
            floor: self.trust.floor(),
            entropy: self.entropy.next(),
        }
    }

    /// The earliest time it can be.
    pub(crate) const fn floor(&self) -> WallTime {
        self.trust.floor()
    }

    /// A `Date` came over verified TLS.
    pub(crate) fn date(&mut self, date: WallTime, max_advance: Duration) -> DateEffect {
        let boot = self.boot();
        self.date_against(boot, system_time(), date, max_advance)
    }

    /// The system clock was stepped: earlier contradictions concern another clock.
    pub(crate) fn stepped(&mut self) {
        self.trust.stepped();
    }

    fn date_against(&mut self, boot: BootTime, system: WallTime, date: WallTime, max_advance: Duration) -> DateEffect {
        let before = self.trust;
        if boot.since(self.day.1) >= DAY {
            self.day = (before.floor(), boot);
        }
        let floor = date.min(self.day.0.after(max_advance)).max(before.floor());
        self.trust = ClockTrust::new(floor, None);
        self.trust.compare(system, date);
        DateEffect {
            trust_changed: before.judge(system).is_some() != self.trust.judge(system).is_some(),
            floor_moved: before.floor() != floor,
        }
    }
}

fn boottime() -> BootTime {
    let time = clock_gettime(ClockId::Boottime);
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    let millis = u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000;
    BootTime::from_millis(secs.saturating_mul(1000).saturating_add(millis))
}

fn system_time() -> WallTime {
    WallTime::from_secs(u64::try_from(clock_gettime(ClockId::Realtime).tv_sec).unwrap_or(0))
}

/// Numbers drawn ahead: a draw is a system call, and every call from the bus needs a number.
///
/// Jitter only: where the kernel has no randomness (which `getrandom` reports only before it is
/// seeded, or in a sandbox without the call), the clock's lowest bits still spread a fleet. Keys
/// and nonces have their own source, and that one may fail.
#[derive(Debug, Default)]
struct Entropy {
    numbers: [[u8; 8]; Self::AHEAD],
    left: usize,
}

impl Entropy {
    /// 256 bytes: what the kernel gives at once, whatever signals arrive.
    const AHEAD: usize = 32;

    /// Each number is given once.
    fn next(&mut self) -> u64 {
        if self.left == 0 {
            if getrandom::fill(self.numbers.as_flattened_mut()).is_err() {
                let nanos = u64::try_from(clock_gettime(ClockId::Boottime).tv_nsec).unwrap_or(0);
                return nanos.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            }
            self.left = Self::AHEAD;
        }
        self.left -= 1;
        u64::from_le_bytes(std::mem::take(&mut self.numbers[self.left]))
    }
}

/// Where the kernel tells the identity of this boot. `ProcSubset=pid` hides it.
pub(crate) const KERNEL_BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Which boot this is: by the kernel, else by a random id kept in the runtime directory (which does
/// not survive a boot, but survives the daemon), else random, so that every start looks like a new
/// boot and no flow is resumed.
///
/// An id that is drawn now is shared with no earlier process. Most often there was none in this
/// boot; but the runtime directory may have been emptied, or could not be written before.
pub(crate) fn boot(kernel: &Path, runtime: Option<&Path>) -> Boot {
    let file = runtime.map(|directory| directory.join("boot-id"));
    if let Some(id) = read_id(kernel).or_else(|| file.as_deref().and_then(read_id)) {
        return Boot { id, shared: true };
    }
    let id = random_id();
    if let Some(file) = file
        && let Err(error) = write_id(&file, id)
    {
        tracing::warn!(
            "cannot keep the boot id in {}: {error}; a restart will not resume a pairing in progress, and will wait \
             longer to send a refresh again whose answer was lost",
            file.display()
        );
    }
    Boot { id, shared: false }
}

fn random_id() -> BootId {
    let mut entropy = Entropy::default();
    let halves = [entropy.next(), entropy.next()];
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&halves[0].to_le_bytes());
    bytes[8..].copy_from_slice(&halves[1].to_le_bytes());
    BootId(bytes)
}

fn read_id(path: &Path) -> Option<BootId> {
    let text = fs::read_to_string(path).ok()?;
    let hex: String = text.trim().chars().filter(|c| *c != '-').collect();
    (hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(())?;
    u128::from_str_radix(&hex, 16).ok().map(|id| BootId(id.to_be_bytes()))
}

fn write_id(path: &Path, id: BootId) -> std::io::Result<()> {
    // A torn file is no id, and the next start replaces it: no need for more care than this.
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?
        .write_all(format!("{:032x}\n", u128::from_be_bytes(id.0)).as_bytes())
}

#[cfg(test)]
mod tests;
