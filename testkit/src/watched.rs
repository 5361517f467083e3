//! Something that changes, and a way to wait until it has.
//!
//! Owns: the one lock around each part's state, and the waiting for it. Critical sections are short
//! and synchronous. No lock is ever held over an await. Waiting is bounded in real time, never by a
//! test's paused clock.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A value shared between the thread that changes it and those that wait for a change. Clones share
/// the value.
pub struct Watched<T>(Arc<Inner<T>>);

struct Inner<T> {
    value: Mutex<T>,
    changed: Condvar,
}

/// The awaited event did not happen in time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("waited {0:?} in vain")]
pub struct TimedOut(pub Duration);

impl<T> Clone for Watched<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

impl<T> Watched<T> {
    /// Starts watching `value`.
    pub fn new(value: T) -> Self {
        Self(Arc::new(Inner {
            value: Mutex::new(value),
            changed: Condvar::new(),
        }))
    }

    /// Looks at the value as it is now. `look` must not use this `Watched` again: it runs under the
    /// lock.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.lock())
    }

    /// Changes the value and wakes all who wait. `change` must not use this `Watched` again: it
    /// runs under the lock.
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.0.changed.notify_all();
        result
    }

    /// Blocks until `until` finds what it looks for, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if it did not within `limit`.
    pub fn wait_blocking<R>(&self, mut until: impl FnMut(&T) -> Option<R>, limit: Duration) -> Result<R, TimedOut> {
        let deadline = Instant::now() + limit;
        let mut value = self.lock();
        loop {
            if let Some(found) = until(&value) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(TimedOut(limit));
            }
            value = self
                .0
                .changed
                .wait_timeout(value, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    // A test that panicked while it looked has not damaged the value.
    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Watched<T> {
    /// [`Self::wait_blocking`] for async code. The limit is real time: a blocking thread does the
    /// waiting, and tokio does not advance a paused clock while one is at work.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] as there.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or when `until` panics.
    pub async fn wait<R: Send + 'static>(
        &self,
        until: impl FnMut(&T) -> Option<R> + Send + 'static,
        limit: Duration,
    ) -> Result<R, TimedOut> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.wait_blocking(until, limit))
            .await
            .expect("the wait does not panic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_made_elsewhere_ends_the_wait() {
        let number = Watched::new(1);
        let other = number.clone();
        let changer = std::thread::spawn(move || other.update(|n| *n = 2));
        assert_eq!(
            number.wait_blocking(|n| (*n == 2).then_some(*n), Duration::from_secs(10)),
            Ok(2)
        );
        changer.join().expect("the changer ends well");
    }

    #[test]
    fn a_wait_in_vain_ends_at_its_limit() {
        let limit = Duration::from_millis(1);
        assert_eq!(
            Watched::new(()).wait_blocking(|()| None::<()>, limit),
            Err(TimedOut(limit))
        );
    }

    #[tokio::test]
    async fn the_limit_is_real_time_under_a_paused_clock() {
        tokio::time::pause();
        let number = Watched::new(1);
        let other = number.clone();
        let waiting = number.wait(|n| (*n == 2).then_some(()), Duration::from_secs(10));
        let change = async { other.update(|n| *n = 2) };
        assert_eq!(tokio::join!(waiting, change).0, Ok(()));
    }
}
