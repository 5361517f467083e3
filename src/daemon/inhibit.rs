//! Delays shutdown and sleep while a refresh is between its intent and its result.
//!
//! Best effort, and nothing depends on it: without polkit, callers other than root are denied, and
//! many boards run no logind. Never waited for: the request runs in a task of its own.

use std::fmt::Display;
use std::future::{self, Future};
use std::time::Duration;

use tokio::task::AbortHandle;

/// A lock that is held for longer than any request lasts was forgotten, and must not delay the next
/// shutdown.
const LONGEST: Duration = Duration::from_secs(60);

/// Holds at most one lock.
#[derive(Debug, Default)]
pub(crate) struct Inhibitor {
    task: Option<AbortHandle>,
}

impl Inhibitor {
    /// Asks for a lock by running `ask`, unless one is held or being asked for.
    pub(crate) fn take<L: Send, E: Display + Send>(
        &mut self,
        ask: impl Future<Output = Result<L, E>> + Send + 'static,
    ) {
        if self.task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let hold = async move {
            match ask.await {
                Ok(_held) => {
                    // It ends with this task.
                    let _ = tokio::time::timeout(LONGEST, future::pending::<()>()).await;
                }
                Err(error) => tracing::debug!("{error}"),
            }
        };
        self.task = Some(tokio::spawn(hold).abort_handle());
    }

    /// Lets go, also of a lock that is still being asked for.
    pub(crate) fn release(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use std::io::{self, ErrorKind};
    use std::os::fd::OwnedFd;

    use tokio::io::AsyncReadExt;
    use tokio::net::UnixStream;

    use super::*;

    /// A lock as logind gives it, one end of a pipe, and the other end, where its release can be
    /// seen.
    fn lock() -> (io::Result<OwnedFd>, UnixStream) {
        let (theirs, ours) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Ok(theirs.into()), UnixStream::from_std(ours).unwrap())
    }

    async fn is_held(watch: &mut UnixStream) -> bool {
        tokio::select! {
            biased;
            read = watch.read_u8() => {
                assert_eq!(read.unwrap_err().kind(), ErrorKind::UnexpectedEof);
                false
            }
            // Long enough on the paused clock for every task to have had its turn.
            () = tokio::time::sleep(Duration::from_millis(1)) => true,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_is_held_until_it_is_released() {
        let (first, mut watch) = lock();
        let mut inhibitor = Inhibitor::default();
        inhibitor.take(async { first });
        assert!(is_held(&mut watch).await);
        let (second, mut surplus) = lock();
        inhibitor.take(async { second });
        assert!(!is_held(&mut surplus).await, "a second one while the first is held");
        assert!(is_held(&mut watch).await);
        inhibitor.release();
        assert!(!is_held(&mut watch).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_forgotten_lock_ends_by_itself() {
        let (first, mut watch) = lock();
        let mut inhibitor = Inhibitor::default();
        inhibitor.take(async { first });
        assert!(is_held(&mut watch).await);
        tokio::time::sleep(LONGEST).await;
        assert!(!is_held(&mut watch).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_taken_and_the_next_time_is_another_try() {
        let mut inhibitor = Inhibitor::default();
        inhibitor.take(async { Err::<OwnedFd, _>("denied") });
        tokio::time::sleep(Duration::from_millis(1)).await;
        let (second, mut watch) = lock();
        inhibitor.take(async { second });
        assert!(is_held(&mut watch).await);
        inhibitor.release();
        inhibitor.release();
    }
}
