//! How long something may take, by a clock that goes on while the system sleeps.
//!
//! tokio's timers stand still in suspend: a request that was out then would keep the rest of its
//! limit after the resume, and whoever waits for it would wait as long.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// `CLOCK_BOOTTIME`, and the news that it may have jumped.
pub(super) struct BootClock {
    now: fn() -> Duration,
    jumped: Notify,
}

impl BootClock {
    pub(super) fn new() -> Self {
        Self::with(boottime)
    }

    pub(super) fn with(now: fn() -> Duration) -> Self {
        Self {
            now,
            jumped: Notify::new(),
        }
    }

    pub(super) fn now(&self) -> Duration {
        (self.now)()
    }

    /// A deadline of tokio's clock, by this one.
    pub(super) fn at(&self, deadline: Instant) -> Duration {
        self.now() + deadline.saturating_duration_since(Instant::now())
    }

    /// The system may have slept. Whatever is over ends at once.
    pub(super) fn handle_jump(&self) {
        self.jumped.notify_waiters();
    }

    /// `None` where the deadline came first, by either clock.
    pub(super) async fn bound<T>(&self, deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
        let over = self.at(deadline);
        let slept = async {
            loop {
                let jump = self.jumped.notified();
                if self.now() >= over {
                    return;
                }
                jump.await;
            }
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = sleep_until(deadline) => None,
            () = slept => None,
        }
    }
}

fn boottime() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}
