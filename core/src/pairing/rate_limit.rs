//! Limits on code requests that a person causes.

use std::time::Duration;

use crate::BootTime;
use crate::backoff::FLOOR;

/// Per uid: 5 s apart, 30 an hour. Renewals and retries do not count, and a start that asks nothing
/// of the server does not either.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct CodeRateLimit {
    /// The least recent first.
    callers: Vec<(u32, Vec<BootTime>)>,
}

/// Uids remembered at once. The least recent gives way; a board has one or two UI processes.
const REMEMBERED_CALLERS: usize = 16;
const PER_HOUR: usize = 30;
const HOUR: Duration = Duration::from_secs(3600);

impl CodeRateLimit {
    /// `Err`: how long until a start of this caller is admitted.
    pub(super) fn admit(&self, caller: u32, now: BootTime) -> Result<(), Duration> {
        let known = self.callers.iter().find(|(uid, _)| *uid == caller);
        let asked = known.map_or(&[][..], |(_, asked)| asked);
        let left = |at: &BootTime, span: Duration| span.saturating_sub(now.since(*at));
        let spacing = asked.last().map(|last| left(last, FLOOR));
        let oldest = asked.len().checked_sub(PER_HOUR).and_then(|at| asked.get(at));
        let wait = spacing.max(oldest.map(|at| left(at, HOUR))).unwrap_or_default();
        if wait.is_zero() { Ok(()) } else { Err(wait) }
    }

    /// The first request for a code of a start leaves.
    pub(super) fn count(&mut self, caller: u32, now: BootTime) {
        let known = self.callers.iter().position(|(uid, _)| *uid == caller);
        let mut entry = known.map_or_else(|| (caller, Vec::new()), |at| self.callers.remove(at));
        // One that is remembered as long as it counts.
        entry.1.retain(|at| now.since(*at) < HOUR);
        entry.1.push(now);
        self.callers.push(entry);
        if self.callers.len() > REMEMBERED_CALLERS {
            self.callers.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> BootTime {
        BootTime::from_millis(secs * 1000)
    }

    #[test]
    fn sixteen_callers_are_held_to_their_pace_and_one_more_lets_the_first_go() {
        let mut limit = CodeRateLimit::default();
        for caller in 0..16 {
            limit.count(caller, at(0));
        }
        for caller in 0..16 {
            assert_eq!(limit.admit(caller, at(1)), Err(Duration::from_secs(4)));
        }
        limit.count(16, at(1));
        assert_eq!(limit.admit(0, at(1)), Ok(()));
        assert_eq!(limit.admit(1, at(1)), Err(Duration::from_secs(4)));
    }
}
