//! Limits on code requests that a person causes.

use std::time::Duration;

use crate::BootTime;
use crate::backoff::FLOOR;

/// Per uid: 5 s apart, 30 an hour. Renewals and retries do not count, and a start that the disk
/// refused does not either.
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
    /// `Err`: how long until the same request is admitted.
    pub(super) fn admit(&mut self, caller: u32, now: BootTime) -> Result<(), Duration> {
        let known = self.callers.iter().position(|(uid, _)| *uid == caller);
        let mut entry = known.map_or_else(|| (caller, Vec::new()), |at| self.callers.remove(at));
        entry.1.retain(|at| now.since(*at) < HOUR);
        let left = |at: &BootTime, span: Duration| span.saturating_sub(now.since(*at));
        let spacing = entry.1.last().map(|last| left(last, FLOOR));
        // One that is remembered as long as it counts.
        let oldest = entry.1.len().checked_sub(PER_HOUR).and_then(|at| entry.1.get(at));
        let wait = spacing.max(oldest.map(|at| left(at, HOUR))).unwrap_or_default();
        let admitted = if wait.is_zero() { Ok(()) } else { Err(wait) };
        if admitted.is_ok() {
            entry.1.push(now);
        }
        self.callers.push(entry);
        if self.callers.len() > REMEMBERED_CALLERS {
            self.callers.remove(0);
        }
        admitted
    }

    /// The start that stands failed: the person presses again. While one stands no other is
    /// admitted, so that its caller is the one that was heard of last.
    pub(super) fn give_back(&mut self) {
        if let Some((_, asked)) = self.callers.last_mut() {
            asked.pop();
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
            assert_eq!(limit.admit(caller, at(0)), Ok(()));
        }
        assert_eq!(limit.admit(0, at(1)), Err(Duration::from_secs(4)));
        assert_eq!(limit.admit(16, at(1)), Ok(()));
        // The one that was heard of least recently.
        assert_eq!(limit.admit(2, at(1)), Err(Duration::from_secs(4)));
        assert_eq!(limit.admit(1, at(1)), Ok(()));
    }
}
