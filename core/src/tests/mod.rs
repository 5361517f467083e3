//! Scenarios: the rules of pairing and refreshing, each as a short scenario with simulated time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod attention;
mod chosen_end;
mod clock;
mod detached;
mod distances;
mod fixture;
mod insisting;
mod last_poll;
mod lost_answers;
mod outdated;
mod pacing;
mod pairing;
mod redirecting;
mod refreshing;
mod refused;
mod rejecting;
mod reports;
mod residual;
mod restarting;
mod reuse;
mod serving;
mod slow_disk;
mod storing;
mod trial;
mod unpairing;
mod unsent;
mod unusable;
mod without_probe;

use std::time::Duration;

use super::*;
use fixture::*;

/// The boot all scenarios start in.
pub(super) const BOOT: BootId = BootId([1; 16]);

/// Wall time at boottime 0 of that boot.
pub(super) const EPOCH: u64 = 1_800_000_000;

/// The uploader, the UI and another uploader.
pub(super) const UPLOADER: u32 = 1001;
pub(super) const UI: u32 = 1002;
pub(super) const OTHER: u32 = 1003;

/// The one connection of a user that has only one.
pub(super) fn client(uid: u32) -> Client {
    Client {
        uid,
        connection: u64::from(uid),
    }
}

pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(super) fn policy() -> Policy {
    Policy {
        grant: GrantKind::Device,
        separate_grants: false,
        refresh: RefreshMode::Eager,
        refresh_at_percent: 75,
        min_validity: secs(60),
        replay_after: secs(40),
        reuse_window: ReuseWindow::NONE,
        give_up_after: secs(600),
        heartbeat: None,
        refresh_token_life: secs(14 * 24 * 3600),
        can_probe: true,
        can_revoke: true,
    }
}

pub(super) fn fault(kind: FaultKind) -> Fault {
    Fault {
        kind,
        retry_after: None,
    }
}

/// A pair as the server would grant it: `a1`/`r1`, `a2`/`r2`, …
pub(super) fn grant(n: u32) -> TokenGrant {
    TokenGrant {
        access: Ok(AccessToken::new(format!("a{n}"))),
        refresh: Ok(Some(RefreshToken::new(format!("r{n}")))),
        expires_in: secs(28_800),
    }
}
