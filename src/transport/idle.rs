//! Connections that wait for their next request, and when they are closed.
//!
//! Invariant: none outlives its limit, whether or not another request comes. It holds buffers of
//! hyper and rustls in which secrets stood.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::connection::Connection;
use super::lock;
use crate::oauth::Origin;

/// At most one connection, kept for so long after its last use.
#[derive(Clone)]
pub(super) struct Idle {
    kept: Arc<Mutex<Option<Kept>>>,
    limit: Duration,
}

pub(super) struct Kept {
    connection: Connection,
    /// By `CLOCK_BOOTTIME`: after a suspend it is as old as it is.
    pub(super) since: Duration,
    _closing: Timer,
}

impl Idle {
    pub(super) fn for_at_most(limit: Duration) -> Self {
        Self {
            kept: Arc::default(),
            limit,
        }
    }

    pub(super) fn keep(&self, connection: Connection, now: Duration) {
        let kept = Arc::clone(&self.kept);
        // One for each use: a later one takes its place. Its time begins now, not with the task.
        let over = sleep(self.limit);
        let closing = tokio::spawn(async move {
            over.await;
            lock(&kept).take();
        });
        *self.kept() = Some(Kept {
            connection,
            since: now,
            _closing: Timer(closing.abort_handle()),
        });
    }

    /// For a request to this server. What does not fit is closed.
    pub(super) fn take(&self, origin: &Origin, now: Duration) -> Option<Connection> {
        let kept = self.kept().take()?;
        let fits = kept.connection.origin() == origin && now.saturating_sub(kept.since) < self.limit;
        fits.then_some(kept.connection)
    }

    pub(super) fn close(&self) {
        self.kept().take();
    }

    /// The system may have slept, and timers with it.
    pub(super) fn close_if_over(&self, now: Duration) {
        self.kept().take_if(|kept| now.saturating_sub(kept.since) >= self.limit);
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        lock(&self.kept)
    }
}

struct Timer(AbortHandle);

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
