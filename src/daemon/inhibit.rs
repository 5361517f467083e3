//! A *delay* inhibitor of logind's for shutdown and sleep, held while a refresh is between its intent and its result.
//!
//! Best effort, and no claim rests on it: without the polkit rule a caller that is not root is denied, and many boards run no
//! logind. Never waited for: the request and the refusal go by in a task of their own.

use std::future;
use std::time::Duration;

use tokio::task::AbortHandle;
use zbus::proxy::{CacheProperties, MethodFlags};
use zbus::{Connection, OwnedFd, Proxy};

/// By how long a shutdown is delayed at most is logind's setting (`InhibitDelayMaxSec=`, 5 s); a lock held longer than any
/// request lasts was forgotten, and must not delay the next shutdown.
const LONGEST: Duration = Duration::from_secs(60);

/// Holds at most one lock.
#[derive(Debug)]
pub struct Inhibitor {
    connection: Connection,
    task: Option<AbortHandle>,
}

impl Inhibitor {
    /// Asks over this connection, which should be the system bus; elsewhere nobody answers, which is the same as a refusal.
    #[must_use]
    pub const fn new(connection: Connection) -> Self {
        Self { connection, task: None }
    }

    /// Asks for a lock, unless one is held.
    pub fn take(&mut self) {
        if self.task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let connection = self.connection.clone();
        let hold = async move {
            match ask(&connection).await {
                Ok(_held) => {
                    // The lock is the descriptor: it ends with this task.
                    let _ = tokio::time::timeout(LONGEST, future::pending::<()>()).await;
                }
                Err(error) => tracing::debug!("no inhibitor lock from logind: {error}"),
            }
        };
        self.task = Some(tokio::spawn(hold).abort_handle());
    }

    /// Lets go, also of a lock that is still being asked for.
    pub fn release(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

async fn ask(connection: &Connection) -> zbus::Result<OwnedFd> {
    let manager = zbus::proxy::Builder::<Proxy<'_>>::new(connection)
        .destination("org.freedesktop.login1")
        .path("/org/freedesktop/login1")
        .interface("org.freedesktop.login1.Manager")
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    let lock = (
        "shutdown:sleep",
        "c2c-authd",
        "Renewing the Camera to Cloud tokens",
        "delay",
    );
    // A board that does not run logind shall not be made to start it.
    manager
        .call_with_flags("Inhibit", MethodFlags::NO_AUTO_START, &lock)
        .await?
        .ok_or_else(|| zbus::Error::Failure("logind did not answer".to_owned()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use std::os::unix::net::UnixStream;

    use tokio::io::AsyncReadExt;
    use tokio::sync::mpsc;
    use zbus::Fd;

    use super::*;

    /// Hands out one end of a pipe for each lock, as logind does.
    struct Logind {
        locks: mpsc::UnboundedSender<(String, tokio::net::UnixStream)>,
        willing: bool,
    }

    #[zbus::interface(name = "org.freedesktop.login1.Manager")]
    impl Logind {
        fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::fdo::Result<Fd<'static>> {
            let (theirs, ours) = UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            let ours = tokio::net::UnixStream::from_std(ours).unwrap();
            self.locks
                .send((format!("{what} {who} {mode} {}", !why.is_empty()), ours))
                .unwrap();
            if self.willing {
                Ok(std::os::fd::OwnedFd::from(theirs).into())
            } else {
                Err(zbus::fdo::Error::AccessDenied("no".to_owned()))
            }
        }
    }

    type Locks = mpsc::UnboundedReceiver<(String, tokio::net::UnixStream)>;

    async fn logind(willing: bool) -> (Inhibitor, Connection, Locks) {
        let (near, far) = UnixStream::pair().unwrap();
        let (locks, asked) = mpsc::unbounded_channel();
        let server = zbus::connection::Builder::unix_stream(far)
            .server(zbus::Guid::generate())
            .p2p()
            .serve_at("/org/freedesktop/login1", Logind { locks, willing })
            .build();
        let client = zbus::connection::Builder::unix_stream(near).p2p().build();
        let (server, client) = tokio::try_join!(server, client).unwrap();
        (Inhibitor::new(client), server, asked)
    }

    #[tokio::test]
    async fn a_lock_is_held_until_it_is_released() {
        let (mut inhibitor, _server, mut asked) = logind(true).await;
        inhibitor.take();
        let (how, mut lock) = asked.recv().await.unwrap();
        assert_eq!(how, "shutdown:sleep c2c-authd delay true");
        inhibitor.take();
        tokio::select! {
            biased;
            _ = lock.read_u8() => panic!("let go too early"),
            _ = asked.recv() => panic!("asked twice"),
            () = tokio::task::yield_now() => {}
        }
        inhibitor.release();
        assert_eq!(
            lock.read_u8().await.unwrap_err().kind(),
            std::io::ErrorKind::UnexpectedEof
        );
    }

    #[tokio::test]
    async fn a_refusal_is_taken_and_the_next_time_is_another_try() {
        let (mut inhibitor, _server, mut asked) = logind(false).await;
        inhibitor.take();
        asked.recv().await.unwrap();
        while !inhibitor.task.as_ref().unwrap().is_finished() {
            tokio::task::yield_now().await;
        }
        inhibitor.take();
        asked.recv().await.unwrap();
        inhibitor.release();
    }

    #[tokio::test]
    async fn releasing_what_was_never_taken_is_harmless() {
        let (mut inhibitor, _server, _asked) = logind(true).await;
        inhibitor.release();
    }
}
