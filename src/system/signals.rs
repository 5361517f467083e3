//! The signals we handle. Listeners are created once, before the first signal can matter: one
//! created anew for each wait loses what arrives in between.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalRequest {
    /// SIGTERM or SIGINT: end, after what must be finished.
    Terminate,
    /// SIGHUP: read the configuration again.
    Reload,
}

#[derive(Debug)]
pub(crate) struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    /// Starts listening. Must be called inside a runtime with IO.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a request to end. A reload stays there for [`Self::next`]. Cancel safe.
    pub(crate) async fn terminated(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }

    /// Waits for the next one. Cancel safe.
    pub(crate) async fn next(&mut self) -> SignalRequest {
        tokio::select! {
            _ = self.term.recv() => SignalRequest::Terminate,
            _ = self.int.recv() => SignalRequest::Terminate,
            _ = self.hup.recv() => SignalRequest::Reload,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use rustix::process::{Signal as Number, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn a_signal_that_comes_while_nobody_waits_is_not_lost() {
        // SIGHUP is harmless to the other tests of this process once a listener exists.
        let mut signals = Signals::listen().unwrap();
        kill_process(getpid(), Number::HUP).unwrap();
        assert_eq!(signals.next().await, SignalRequest::Reload);
    }
}
