//! The service manager's ear: READY, STATUS, WATCHDOG and their kin (`sd_notify(3)`).
//!
//! The words are the sd-notify crate's. The socket is our own, because that crate takes an abstract
//! address (`@…`, as some container managers hand out) for a file name and opens a new socket for
//! each message. An address of another family (`vsock:…`, for virtual machines) is told and then
//! ignored.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;

use c2c_auth_core::BootTime;

/// How long the manager is asked to wait while draining, counted from each request. Three times the
/// interval in which the loop renews it, so that a busy disk does not get us killed with a refresh
/// in flight.
pub(crate) const EXTEND_BY: Duration = Duration::from_secs(15);

/// Speaks to the service manager, if there is one.
#[derive(Debug)]
pub(crate) struct Notifier {
    socket: Option<UnixDatagram>,
    status: String,
}

impl Notifier {
    pub(crate) fn from_environment() -> Self {
        let address = std::env::var_os("NOTIFY_SOCKET").unwrap_or_default();
        if address.is_empty() {
            return Self::silent();
        }
        Self::to(&address).unwrap_or_else(|error| {
            tracing::warn!("cannot reach the service manager at {}: {error}", address.display());
            Self::silent()
        })
    }

    pub(crate) const fn silent() -> Self {
        Self {
            socket: None,
            status: String::new(),
        }
    }

    /// Connects to an address in the notation of `$NOTIFY_SOCKET`.
    ///
    /// # Errors
    /// When the address is of an unknown kind or nobody listens there.
    pub(crate) fn to(address: &OsStr) -> io::Result<Self> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(address)?,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "neither a path nor an abstract address",
                ));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        Ok(Self {
            socket: Some(socket),
            status: String::new(),
        })
    }

    pub(crate) fn ready(&self) {
        self.send(&[NotifyState::Ready]);
    }

    /// A reload began. [`Notifier::ready`] ends it, whatever came of it. One datagram, as systemd ≥
    /// 253 demands.
    pub(crate) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(when) => self.send(&[NotifyState::Reloading, when]),
            Err(error) => tracing::warn!("no monotonic clock: {error}"),
        }
    }

    pub(crate) fn stopping(&self) {
        self.send(&[NotifyState::Stopping]);
    }

    /// Work is going on that should not be cut. See [`EXTEND_BY`].
    pub(crate) fn extend(&self) {
        self.send(&[NotifyState::ExtendTimeoutUsec(
            u32::try_from(EXTEND_BY.as_micros()).unwrap_or(u32::MAX),
        )]);
    }

    /// Shows a sentence in `systemctl status`. Sent only when it is another than the last one.
    pub(crate) fn status(&mut self, sentence: &str) {
        if self.status != sentence {
            self.send(&[NotifyState::Status(sentence)]);
            sentence.clone_into(&mut self.status);
        }
    }

    fn watchdog(&self) {
        self.send(&[NotifyState::Watchdog]);
    }

    /// Blocks while the manager's queue is full: what is said here must not be lost, and a manager
    /// that does not read for longer than the watchdog interval has a larger problem.
    fn send(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let mut message = String::new();
        for state in states {
            // A line break would start another assignment.
            let _ = writeln!(message, "{}", state.to_string().replace(['\n', '\r'], " "));
        }
        if let Err(error) = socket.send(message.as_bytes()) {
            tracing::debug!("the service manager does not listen: {error}");
        }
    }
}

/// Feeds the manager's watchdog, and only from the loop: a loop that hangs starves it.
///
/// It shares the loop's one kernel timer with the core, so that an idle daemon is woken once for
/// each feeding. That timer counts through suspend and the manager's does not: after one it is fed
/// early, which does no harm.
#[derive(Debug)]
pub(crate) struct Watchdog {
    every: Duration,
    due: BootTime,
}

impl Watchdog {
    /// The watchdog that the manager asked for, if it did. Half of its patience is ours
    /// (`sd_watchdog_enabled(3)`).
    pub(crate) fn from_environment() -> Option<Self> {
        sd_notify::watchdog_enabled()
            .filter(|patience| !patience.is_zero())
            .map(|patience| Self::new(patience / 2))
    }

    /// Feeds once per interval, the first time at once.
    pub(crate) fn new(every: Duration) -> Self {
        Self {
            // A deadline has whole milliseconds. Less than one would be no interval at all.
            every: every.max(Duration::from_millis(1)),
            due: BootTime::default(),
        }
    }

    /// An iteration of the loop was completed.
    pub(crate) fn progress(&mut self, now: BootTime, notifier: &Notifier) {
        if now >= self.due {
            notifier.watchdog();
            self.due = now.after(self.every);
        }
    }

    /// When an iteration is wanted for the watchdog's sake alone.
    pub(crate) const fn due(&self) -> BootTime {
        self.due
    }
}

#[cfg(test)]
mod tests;
