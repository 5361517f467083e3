//! A child process that is watched: its output line by line, its end, its notifications. Signals go
//! through a pidfd, so that none can reach another process after this one's end. Whoever has
//! awaited the end has all that the process said: what is not there then was never said.

use std::{
    fmt, io,
    io::{BufRead as _, BufReader, Read},
    os::fd::OwnedFd,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::retry_on_intr,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::notify::{Mark, Notifications};
use crate::watched::{TimedOut, Watched};

// How long what a process has said may take to be read after its end. Something that it started may
// hold its output for ever.
const READING: Duration = Duration::from_secs(20);

/// A running program. Killed and reaped when dropped.
pub struct Process {
    child: Child,
    pidfd: Arc<OwnedFd>,
    output: Watched<Vec<String>>,
    // How many of its streams have not ended.
    streams: Watched<usize>,
    notifications: Notifications,
}

/// Why a process did not do what was awaited.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It did not happen in time. Its output so far is part of the message.
    #[error("{timed_out}; it said:\n{output}")]
    TimedOut {
        /// How long was waited.
        #[source]
        timed_out: TimedOut,
        /// The last lines of its output.
        output: String,
    },
    /// It ended, but something else holds its output, or its notifications cannot be read.
    #[error("it ended, but what it said was not read to the end: {0}")]
    Unread(#[source] io::Error),
    /// The kernel refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("pid", &self.child.id())
            .finish_non_exhaustive()
    }
}

impl Process {
    /// Starts `command` with its output captured.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn spawn(command: &mut Command, notifications: Notifications) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| {
                io::Error::new(
                    e.kind(),
                    format!("cannot start {}: {e}", command.get_program().display()),
                )
            })?;
        let pid = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(io::ErrorKind::InvalidData)?;
        let pidfd = Arc::new(pidfd_open(pid, PidfdFlags::empty())?);
        let output = Watched::new(Vec::new());
        let streams = Watched::new(0);
        if let Some(stdout) = child.stdout.take() {
            collect(stdout, output.clone(), streams.clone())?;
        }
        if let Some(stderr) = child.stderr.take() {
            collect(stderr, output.clone(), streams.clone())?;
        }
        Ok(Self {
            child,
            pidfd,
            output,
            streams,
            notifications,
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its messages to `$NOTIFY_SOCKET`.
    #[must_use]
    pub fn notifications(&self) -> &Notifications {
        &self.notifications
    }

    /// The lines of standard output and standard error, in the order of arrival.
    #[must_use]
    pub fn output(&self) -> Vec<String> {
        self.output.read(Clone::clone)
    }

    /// Waits for `READY=1`.
    ///
    /// # Errors
    ///
    /// [`ProcessError::TimedOut`] if it does not come within `limit`.
    pub fn wait_ready_blocking(&self, limit: Duration) -> Result<(), ProcessError> {
        let ready = self.notifications.wait_blocking(|n| n.get("READY") == Some("1"), limit);
        ready.map(drop).map_err(|timed_out| self.in_vain(timed_out))
    }

    /// [`Self::wait_ready_blocking`] for async code.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn wait_ready(&self, limit: Duration) -> Result<(), ProcessError> {
        let ready = self.notifications.wait(|n| n.get("READY") == Some("1"), limit).await;
        ready.map(drop).map_err(|timed_out| self.in_vain(timed_out))
    }

    /// Waits for a line of output that `wanted` accepts, old ones included.
    ///
    /// # Errors
    ///
    /// [`ProcessError::TimedOut`] if none comes within `limit`.
    pub fn wait_output_blocking(&self, wanted: impl Fn(&str) -> bool, limit: Duration) -> Result<String, ProcessError> {
        let line = self
            .output
            .wait_blocking(|all| all.iter().find(|l| wanted(l)).cloned(), limit);
        line.map_err(|timed_out| self.in_vain(timed_out))
    }

    /// [`Self::wait_output_blocking`] for async code.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn wait_output(
        &self,
        wanted: impl Fn(&str) -> bool + Send + 'static,
        limit: Duration,
    ) -> Result<String, ProcessError> {
        let line = self
            .output
            .wait(move |all| all.iter().find(|l| wanted(l)).cloned(), limit)
            .await;
        line.map_err(|timed_out| self.in_vain(timed_out))
    }

    /// SIGTERM: stop in order.
    ///
    /// # Errors
    ///
    /// When it has ended already.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// SIGHUP: read the configuration again.
    ///
    /// # Errors
    ///
    /// When it has ended already.
    pub fn hang_up(&self) -> io::Result<()> {
        self.signal(Signal::HUP)
    }

    /// SIGKILL: the power is gone. Ends also a process that has ended already. All that it said is
    /// there afterwards.
    ///
    /// # Errors
    ///
    /// When its end cannot be awaited, or its output does not end with it.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        let status = self.end()?;
        self.tail().read()?;
        Ok(status)
    }

    /// Sends any signal.
    ///
    /// # Errors
    ///
    /// When it has ended already.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.pidfd, signal)?)
    }

    /// Waits for its end. All that it said, by its output and its notifications, is there
    /// afterwards.
    ///
    /// # Errors
    ///
    /// [`ProcessError::TimedOut`] if it still runs after `limit`, [`ProcessError::Unread`] if its
    /// output does not end with it.
    pub fn wait_exit_blocking(&mut self, limit: Duration) -> Result<ExitStatus, ProcessError> {
        let ended = self.tail().wait(limit)?;
        self.reap(ended, limit)
    }

    /// [`Self::wait_exit_blocking`] for async code.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn wait_exit(&mut self, limit: Duration) -> Result<ExitStatus, ProcessError> {
        let tail = self.tail();
        let ended = tokio::task::spawn_blocking(move || tail.wait(limit)).await;
        self.reap(ended.expect("the wait does not panic")?, limit)
    }

    fn reap(&mut self, ended: bool, limit: Duration) -> Result<ExitStatus, ProcessError> {
        if ended {
            Ok(self.child.wait()?)
        } else {
            Err(self.in_vain(TimedOut(limit)))
        }
    }

    fn end(&mut self) -> io::Result<ExitStatus> {
        // Fails when it has ended: then it is as wished.
        let _ = self.signal(Signal::KILL);
        self.child.wait()
    }

    fn tail(&self) -> Tail {
        Tail {
            pidfd: Arc::clone(&self.pidfd),
            streams: self.streams.clone(),
            notifications: self.notifications.mark(),
        }
    }

    fn in_vain(&self, timed_out: TimedOut) -> ProcessError {
        let output = self.output.read(|all| all[all.len().saturating_sub(20)..].join("\n"));
        ProcessError::TimedOut { timed_out, output }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been reaped already. Nobody asks any more what it said.
        let _ = self.end();
    }
}

/// The parts of a process that any thread can wait for.
struct Tail {
    pidfd: Arc<OwnedFd>,
    streams: Watched<usize>,
    notifications: Mark,
}

impl Tail {
    /// True if it ended within `limit`. All its output has been read then.
    fn wait(&self, limit: Duration) -> Result<bool, ProcessError> {
        let ended = has_ended(&self.pidfd, limit)?;
        if ended {
            self.read().map_err(ProcessError::Unread)?;
        }
        Ok(ended)
    }

    fn read(&self) -> io::Result<()> {
        let ended = self
            .streams
            .wait_blocking(|open| (*open == 0).then_some(()), READING)
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "its output is held by something else"));
        ended.and_then(|()| self.notifications.reach(READING))
    }
}

// A pidfd is readable once its process has ended.
fn has_ended(pidfd: &OwnedFd, limit: Duration) -> io::Result<bool> {
    let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
    let ended = retry_on_intr(|| poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&limit)))?;
    Ok(ended > 0)
}

fn collect(stream: impl Read + Send + 'static, lines: Watched<Vec<String>>, streams: Watched<usize>) -> io::Result<()> {
    streams.update(|open| *open += 1);
    // Ends with the stream, that is with the process and those it gave the stream to.
    std::thread::Builder::new()
        .name("c2c-sim-output".to_owned())
        .spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|size| size > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                lines.update(|all| all.push(text));
                line.clear();
            }
            streams.update(|open| *open -= 1);
        })?;
    Ok(())
}
