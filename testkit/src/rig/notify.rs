//! The listening end of `$NOTIFY_SOCKET`, which is systemd's.

use std::{
    io,
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::{Path, PathBuf},
    thread::JoinHandle,
    time::Duration,
};

use crate::watched::{TimedOut, Watched};

// Larger than any notification that makes sense.
const DATAGRAM: usize = 8 * 1024;
// No daemon says this. It ends the listener.
const STOP: &[u8] = b"X_C2C_SIM_STOP=1";
// Nor this. Everything said before it has been heard when it is.
const MARK: &[u8] = b"X_C2C_SIM_MARK=1";

/// A listening notification socket. Every datagram is kept, in order.
#[derive(Debug)]
pub struct Notifications {
    path: PathBuf,
    heard: Watched<Vec<Notification>>,
    marks: Watched<u64>,
    thread: Option<JoinHandle<()>>,
}

/// Waits until all that was said so far has been heard. It may outlive the [`Notifications`].
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
    marks: Watched<u64>,
}

impl Mark {
    /// One at a time: whoever waits beside another may take its mark for the own one.
    pub(super) fn reach(&self, limit: Duration) -> io::Result<()> {
        let before = self.marks.read(|count| *count);
        match UnixDatagram::unbound()?.send_to(MARK, &self.path) {
            // Whoever runs a program that does not notify may take the socket's path away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            sent => sent?,
        };
        self.marks
            .wait_blocking(|count| (*count > before).then_some(()), limit)
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "its notifications are not heard"))
    }
}

/// One datagram: assignments, in order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Notification(Vec<(String, String)>);

impl Notification {
    /// The value assigned to a variable, for example of `STATUS`.
    #[must_use]
    pub fn get(&self, variable: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == variable)
            .map(|(_, value)| value.as_str())
    }

    fn parse(datagram: &[u8]) -> Self {
        let text = String::from_utf8_lossy(datagram);
        let assignment = |line: &str| line.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned()));
        Self(text.lines().filter_map(assignment).collect())
    }
}

impl Notifications {
    /// Listens at `path`, for senders of every user.
    ///
    /// # Errors
    ///
    /// When the socket cannot be made.
    pub fn listen(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        let heard = Watched::new(Vec::new());
        let told = heard.clone();
        let marks = Watched::new(0);
        let marked = marks.clone();
        let thread = std::thread::Builder::new()
            .name("c2c-sim-notify".to_owned())
            .spawn(move || {
                let mut buffer = [0; DATAGRAM];
                while let Ok(size) = socket.recv(&mut buffer) {
                    match &buffer[..size] {
                        STOP => return,
                        MARK => marked.update(|count| *count += 1),
                        said => told.update(|all| all.push(Notification::parse(said))),
                    }
                }
            })?;
        Ok(Self {
            path: path.to_owned(),
            heard,
            marks,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything heard so far.
    #[must_use]
    pub fn all(&self) -> Vec<Notification> {
        self.heard.read(Clone::clone)
    }

    /// The last value assigned to a variable, for example of `STATUS`.
    #[must_use]
    pub fn last(&self, variable: &str) -> Option<String> {
        self.heard
            .read(|all| all.iter().rev().find_map(|n| n.get(variable)).map(ToOwned::to_owned))
    }

    /// To wait, after whoever speaks has ended, until all is heard.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            path: self.path.clone(),
            marks: self.marks.clone(),
        }
    }

    /// Forgets what was heard, so that the next wait is for something new.
    pub fn forget(&self) {
        self.heard.update(Vec::clear);
    }

    /// The notifications, to wait on.
    #[must_use]
    pub fn watched(&self) -> &Watched<Vec<Notification>> {
        &self.heard
    }

    /// Waits until one that `wanted` accepts was heard, since the start or the last
    /// [`Self::forget`].
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if none was within `limit`.
    pub fn wait_blocking(
        &self,
        wanted: impl Fn(&Notification) -> bool,
        limit: Duration,
    ) -> Result<Notification, TimedOut> {
        self.heard
            .wait_blocking(|all| all.iter().find(|n| wanted(n)).cloned(), limit)
    }

    /// [`Self::wait_blocking`] for async code.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] as there.
    pub async fn wait(
        &self,
        wanted: impl Fn(&Notification) -> bool + Send + 'static,
        limit: Duration,
    ) -> Result<Notification, TimedOut> {
        self.heard
            .wait(move |all| all.iter().find(|n| wanted(n)).cloned(), limit)
            .await
    }
}

impl Drop for Notifications {
    fn drop(&mut self) {
        // If the socket's path is gone, nothing can wake the thread: let it be.
        let woken = UnixDatagram::unbound()
            .and_then(|s| s.send_to(STOP, &self.path))
            .is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            // A panic on that thread was printed there.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_heard_as_assignments() {
        let directory = tempfile::tempdir().expect("a directory");
        let heard = Notifications::listen(&directory.path().join("notify")).expect("it listens");
        let sender = UnixDatagram::unbound().expect("a socket");
        sender
            .send_to(b"READY=1\nSTATUS=Paired, a=b", heard.path())
            .expect("it is sent");
        let one = heard
            .wait_blocking(|n| n.get("READY") == Some("1"), Duration::from_secs(10))
            .expect("it is heard");
        assert_eq!(one.get("STATUS"), Some("Paired, a=b"));
        assert_eq!(heard.last("STATUS").as_deref(), Some("Paired, a=b"));
    }

    #[test]
    fn what_was_said_before_a_mark_is_heard_with_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let heard = Notifications::listen(&directory.path().join("notify")).expect("it listens");
        let sender = UnixDatagram::unbound().expect("a socket");
        for round in 1..=500 {
            sender.send_to(b"WATCHDOG=1", heard.path()).expect("it is sent");
            heard.mark().reach(Duration::from_secs(10)).expect("it is reached");
            assert_eq!(heard.all().len(), round);
        }
    }
}
