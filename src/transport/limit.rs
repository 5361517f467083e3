//! How long something may take, by a clock that goes on while the system sleeps.
//!
//! tokio's timers stand still in suspend: a request that was out then would keep the rest of its
//! limit after the resume, and whoever waits for it would wait as long. Only an answer that may
//! bring a pair is worth that: TCP may still bring it, and nobody gives that pair out again.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::oauth::Kind;

/// The least that is left after a resume for an answer with a pair. A network takes some seconds to
/// come back, and so does the server's next try to send.
const AFTER_RESUME: Duration = Duration::from_secs(10);

/// The end of a limit that a suspend went past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resume {
    /// It is over at once.
    Ends,
    /// The rest of it by tokio's clock is left, and at least [`AFTER_RESUME`].
    Waits,
}

impl Resume {
    pub(super) const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Refresh | Kind::Poll | Kind::Exchange => Self::Waits,
            Kind::DeviceCode | Kind::Prepare | Kind::Revoke | Kind::Probe | Kind::Heartbeat | Kind::Authorize => {
                Self::Ends
            }
        }
    }
}

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

    /// The system may have slept.
    pub(super) fn handle_jump(&self) {
        self.jumped.notify_waiters();
    }

    /// `None` where the deadline came first: tokio's clock tells, and after a suspend `resume`.
    pub(super) async fn bound<T>(
        &self,
        mut deadline: Instant,
        resume: Resume,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let over = async {
            let mut over = self.at(deadline);
            loop {
                let jump = self.jumped.notified();
                if self.now() >= over {
                    if resume == Resume::Ends {
                        return;
                    }
                    deadline = deadline.max(Instant::now() + AFTER_RESUME);
                    over = self.at(deadline);
                }
                tokio::select! {
                    () = sleep_until(deadline) => return,
                    () = jump => {}
                }
            }
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = over => None,
        }
    }
}

fn boottime() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}
