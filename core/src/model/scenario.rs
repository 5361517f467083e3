//! Where an exploration starts and how much may go wrong in it.

use std::time::Duration;

use crate::{
    Body, BootId, BootTime, DeviceInfo, Generation, GrantId, GrantKind, PairingRecord, Policy, Provisioning, Record,
    RefreshMode, ReuseWindow, Stamp, TokenPair, WallTime,
};

use super::disk::Restart;
use super::mutants::Mutant;
use super::server::{Pair, Quirks};
use super::step::{Ask, Clock, RequestKind};
use super::world::DISK_LIMIT;

/// How many of each kind of trouble a trace may hold. They make the exploration finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    pub(super) asks: u8,
    /// Requests that do not end as they truly should.
    pub(super) faults: u8,
    pub(super) disk: u8,
    /// Deaths of the daemon.
    pub(super) crashes: u8,
    /// Times that the clock moves while something is under way.
    pub(super) stalls: u8,
    /// Decisions of the user about a code.
    pub(super) consents: u8,
    /// Removals of the device from its project.
    pub(super) forgets: u8,
    pub(super) nudges: u8,
    /// Steps of the wall clock.
    pub(super) clocks: u8,
    pub(super) sleeps: u8,
    pub(super) reloads: u8,
    pub(super) shutdowns: u8,
    /// Times that the clock goes on to the next deadline while nothing is under way. Without this
    /// no exploration would end: there is always another refresh.
    pub(super) waits: u8,
}

/// The state of disk and server in the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Nothing, anywhere.
    Fresh,
    /// A record that was made for another provider or client.
    Foreign,
    /// A record that another state key sealed, or the one that is not there.
    Sealed,
    /// A pairing whose access token is this old.
    Paired {
        /// Age of the access token.
        age: Duration,
    },
    /// The same, and beside it the pair that a cancelled replacement brought in.
    Candidate {
        /// Age of both access tokens.
        age: Duration,
    },
}

/// The random bits of each input.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entropy {
    /// These, so that fewer states differ.
    Always(u64),
    /// Others at each moment.
    Drawn {
        /// So that a run can be repeated.
        seed: u64,
    },
}

#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) policy: Policy,
    /// The integrator's part.
    pub(super) provisioning: Provisioning,
    pub(super) quirks: Quirks,
    pub(super) start: Start,
    /// The faults that may happen.
    pub(super) budget: Budget,
    /// The calls that clients may make.
    pub(super) asks: &'static [Ask],
    /// How the daemon may come back.
    pub(super) restarts: &'static [Restart],
    /// Spans that the machine may sleep for, in seconds.
    pub(super) sleeps: &'static [u32],
    /// The requests that the server may look at before their answers come. Probes are not among
    /// them: their tokens lived when they were sent or do when they are answered.
    pub(super) looks: &'static [RequestKind],
    /// The kernel's entropy.
    pub(super) entropy: Entropy,
    /// A write works or fails within so many milliseconds.
    pub(super) disk_limit: u64,
    /// Each boot has an identity of its own that every process can read.
    pub(super) named_boots: bool,
    /// The machine may sleep while a request is out or a caller waits.
    pub(super) sleeps_busy: bool,
    /// A `Date` may be wrong.
    pub(super) misdates: bool,
    /// The openings of the advisory window that a reload may bring, in percent.
    pub(super) windows: &'static [u8],
    /// Tokens of earlier pairings that are yet to be revoked when the daemon starts.
    pub(super) listed: u8,
    /// The clock in the beginning.
    pub(super) clock: Clock,
    /// The settings that the clock may get.
    pub(super) clocks: &'static [Clock],
    /// The mutant between core and world, if the laws themselves are on trial.
    pub(super) mutant: Option<Mutant>,
}

/// The wall clock at the model's beginning, in seconds since the epoch: any time after the build
/// date would do.
pub(super) const EPOCH: u64 = 2_000_000_000;

/// Boottime at the first moment of each boot: later than zero, earlier than any wait.
pub(super) const BOOTED_AT: u64 = 5_000;

/// Eight hours, as Frame.io grants.
pub(super) const ACCESS_LIFE: Duration = Duration::from_hours(8);

/// Frame.io, with codes short enough that two of them fit into one exploration.
pub(super) const FRAMEIO: Quirks = Quirks {
    access_life: ACCESS_LIFE,
    offline: true,
    exclusive: false,
    code_life: Duration::from_secs(40),
    interval: Duration::from_secs(15),
    retry_after: Duration::from_secs(30),
    honours: false,
    outliving: false,
    refresh_life: None,
    keeps: false,
};

/// The default configuration, without the heartbeat: it would only multiply moments.
pub(super) fn eager() -> Policy {
    Policy {
        grant: GrantKind::Device,
        separate_grants: false,
        refresh: RefreshMode::Eager,
        refresh_at_percent: 75,
        min_validity: Duration::from_mins(1),
        replay_after: REPLAY_AFTER,
        reuse_window: ReuseWindow::NONE,
        give_up_after: Duration::from_mins(1),
        heartbeat: None,
        refresh_token_life: Duration::from_hours(14 * 24),
        can_probe: true,
        can_revoke: true,
    }
}

/// No resend of a refresh token comes sooner; what the server still holds of the send before is
/// gone by then.
pub(super) const REPLAY_AFTER: Duration = Duration::from_secs(40);

impl Scenario {
    /// Nothing goes wrong, nobody calls.
    pub(super) fn new(name: &'static str, start: Start) -> Self {
        Self {
            name,
            policy: eager(),
            provisioning: Provisioning::Ready,
            quirks: FRAMEIO,
            start,
            budget: Budget::default(),
            asks: &[],
            restarts: &[Restart::Process, Restart::Power { clock: Clock::Right }],
            sleeps: &[],
            looks: &[RequestKind::Refresh],
            entropy: Entropy::Always(u64::MAX / 2),
            disk_limit: DISK_LIMIT,
            named_boots: true,
            sleeps_busy: false,
            misdates: false,
            windows: &[],
            listed: 0,
            clock: Clock::Right,
            clocks: &[Clock::Right, Clock::Untrusted],
            mutant: None,
        }
    }

    /// Age of the model's world when the daemon starts.
    pub(super) fn begin(&self) -> Duration {
        match self.start {
            Start::Fresh | Start::Foreign | Start::Sealed => Duration::ZERO,
            Start::Paired { age } | Start::Candidate { age } => age,
        }
    }

    /// The record that a pairing at the model's beginning left.
    pub(super) fn record(&self, pair: Pair, candidate: Option<Pair>) -> Record {
        Record {
            generation: Generation(1),
            grant: GrantId(1),
            floor: Some(WallTime::from_secs(EPOCH)),
            body: Body::Paired(Box::new(PairingRecord {
                pair: self.tokens(pair),
                mark: None,
                candidate: candidate.map(|pair| self.tokens(pair)),
                device: device(),
                paired_since: None,
                authorization_expires: None,
            })),
        }
    }

    fn tokens(&self, pair: Pair) -> TokenPair {
        TokenPair {
            access: Some(pair.access()),
            refresh: self.quirks.offline.then(|| pair.refresh()),
            expires_in: self.quirks.access_life,
            obtained: Stamp {
                boot: boot_id(0),
                at: BootTime::from_millis(BOOTED_AT),
                wall: Some(WallTime::from_secs(EPOCH)),
            },
        }
    }
}

/// The identity of the n-th boot.
pub(super) const fn boot_id(number: u8) -> BootId {
    BootId([number; 16])
}

/// The server's data about every device.
pub(super) fn device() -> DeviceInfo {
    DeviceInfo {
        name: String::from("camera"),
        project_id: String::from("p1"),
        project_name: String::from("project"),
    }
}
