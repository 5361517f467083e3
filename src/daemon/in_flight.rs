//! The requests in flight.
//!
//! Invariants: exactly one outcome per request unless it was cancelled (D3). A request that was
//! sent and must not be cut off (a refresh, a poll) runs to its own end even when nobody waits for
//! its answer any more.

use std::collections::BTreeMap;
use std::future::{self, Future};

use tokio::task::{AbortHandle, JoinSet};

use c2c_auth_core::OpId;

/// The effect of a cancellation on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnCancel {
    /// It is cut. The server will see a closed connection.
    Abort,
    /// It goes on, because the server may already have acted on it. Only its answer is dropped.
    Finish,
}

/// Requests under way, each with an outcome of type `T`.
#[derive(Debug)]
pub(crate) struct InFlight<T> {
    tasks: JoinSet<(OpId, T)>,
    wanted: BTreeMap<OpId, (AbortHandle, OnCancel)>,
}

impl<T: Send + 'static> InFlight<T> {
    pub(crate) fn new() -> Self {
        Self {
            tasks: JoinSet::new(),
            wanted: BTreeMap::new(),
        }
    }

    /// Starts one. It makes progress whether or not [`InFlight::next`] is polled.
    pub(crate) fn start(&mut self, op: OpId, on_cancel: OnCancel, request: impl Future<Output = T> + Send + 'static) {
        let handle = self.tasks.spawn(async move { (op, request.await) });
        self.wanted.insert(op, (handle, on_cancel));
    }

    /// No outcome is wanted any more. Unknown and ended requests are ignored: the cancellation and
    /// the outcome may cross.
    pub(crate) fn cancel(&mut self, op: OpId) {
        match self.wanted.remove(&op) {
            Some((handle, OnCancel::Abort)) => handle.abort(),
            Some((_, OnCancel::Finish)) | None => {}
        }
    }

    /// Waits for the next outcome that is wanted. Waits for ever while nothing is under way. Cancel
    /// safe.
    pub(crate) async fn next(&mut self) -> (OpId, T) {
        loop {
            match self.tasks.join_next().await {
                Some(Ok((op, outcome))) if self.wanted.remove(&op).is_some() => return (op, outcome),
                Some(Ok(_dropped)) => {}
                Some(Err(error)) => {
                    if let Ok(panic) = error.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    }
                }
                None => future::pending().await,
            }
        }
    }
}

impl<T: Send + 'static> Default for InFlight<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use tokio::sync::oneshot;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn outcomes_come_as_they_end_each_once() {
        let mut in_flight = InFlight::new();
        let (first, slow) = oneshot::channel();
        in_flight.start(OpId(1), OnCancel::Abort, async move { slow.await.unwrap() });
        in_flight.start(OpId(2), OnCancel::Finish, async { "quick" });
        assert_eq!(in_flight.next().await, (OpId(2), "quick"));
        first.send("slow").unwrap();
        assert_eq!(in_flight.next().await, (OpId(1), "slow"));
        assert!(in_flight.wanted.is_empty());
    }

    #[tokio::test]
    async fn a_cancelled_request_is_cut_and_has_no_outcome() {
        let mut in_flight = InFlight::new();
        let (alive, mut cut) = oneshot::channel::<()>();
        in_flight.start(OpId(1), OnCancel::Abort, async move {
            let _alive = alive;
            future::pending::<&str>().await
        });
        yield_now().await;
        in_flight.cancel(OpId(1));
        in_flight.start(OpId(2), OnCancel::Abort, async { "next" });
        assert_eq!(in_flight.next().await.0, OpId(2));
        assert!(
            cut.try_recv()
                .is_err_and(|error| error == oneshot::error::TryRecvError::Closed)
        );
    }

    #[tokio::test]
    async fn a_refresh_whose_answer_nobody_wants_still_runs_to_its_end() {
        let mut in_flight = InFlight::new();
        let (answer, waits) = oneshot::channel::<()>();
        let (done, finished) = oneshot::channel();
        in_flight.start(OpId(1), OnCancel::Finish, async move {
            waits.await.unwrap();
            done.send(()).unwrap();
            "dropped"
        });
        in_flight.cancel(OpId(1));
        in_flight.start(OpId(2), OnCancel::Abort, async move {
            finished.await.unwrap();
            "after"
        });
        answer.send(()).unwrap();
        assert_eq!(in_flight.next().await, (OpId(2), "after"));
    }

    #[tokio::test]
    async fn cancelling_what_ended_or_never_was_is_harmless() {
        let mut in_flight = InFlight::new();
        in_flight.cancel(OpId(7));
        in_flight.start(OpId(8), OnCancel::Abort, async {});
        in_flight.next().await;
        in_flight.cancel(OpId(8));
    }
}
