//! Limits on code requests that a person causes.

use std::time::Duration;

use crate::BootTime;
use crate::backoff::FLOOR;

/// Per uid: 5 s apart, 30 an hour. Renewals and retries do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct CodeRateLimit {
    /// The least recent first.
    callers: Vec<(u32, Vec<BootTime>)>,
}

/// Uids remembered at once. The least recent gives way; a board has one or two UI processes.
const REMEMBERED_CALLERS: usize = 16;
const PER_HOUR: usize = 30;

impl CodeRateLimit {
    pub(super) fn admit(&mut self, caller: u32, now: BootTime) -> bool {
        let known = self.callers.iter().position(|(uid, _)| *uid == caller);
        let mut entry = known.map_or_else(|| (caller, Vec::new()), |at| self.callers.remove(at));
        entry.1.retain(|at| now.since(*at) < Duration::from_secs(3600));
        let spaced = entry.1.last().is_none_or(|last| now.since(*last) >= FLOOR);
        let admitted = spaced && entry.1.len() < PER_HOUR;
        if admitted {
            entry.1.push(now);
        }
        self.callers.push(entry);
        if self.callers.len() > REMEMBERED_CALLERS {
            self.callers.remove(0);
        }
        admitted
    }
}
