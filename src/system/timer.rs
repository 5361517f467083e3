//! Two timers of the kernel: the core's deadline, and the news that somebody set the clock.
//!
//! The deadline is on `CLOCK_BOOTTIME`, because a camera sleeps and its tokens do not wait: tokio's
//! own timers stand still in suspend. The second timer never expires. It exists for
//! `TFD_TIMER_CANCEL_ON_SET`, by which the kernel reports each discontinuous change of
//! `CLOCK_REALTIME`.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use super::readiness;
use c2c_auth_core::BootTime;

const ZERO: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

#[derive(Debug)]
pub(crate) struct Deadline {
    fd: AsyncFd<OwnedFd>,
    armed: Option<BootTime>,
}

impl Deadline {
    /// A timer that is not armed. Must be called inside a runtime with IO.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            fd: create(TimerfdClockId::Boottime)?,
            armed: None,
        })
    }

    /// Arms, moves or disarms. Costs a system call only if the deadline is another than before.
    pub(crate) fn set(&mut self, deadline: Option<BootTime>) -> io::Result<()> {
        if self.armed == deadline {
            return Ok(());
        }
        let value = deadline.map_or(ZERO, |at| {
            // 0 would disarm. One millisecond after boot is as much in the past.
            let millis = at.as_millis().max(1);
            Timespec {
                tv_sec: i64::try_from(millis / 1000).unwrap_or(i64::MAX),
                tv_nsec: i32::try_from(millis % 1000)
                    .unwrap_or(0)
                    .saturating_mul(1_000_000)
                    .into(),
            }
        });
        let spec = Itimerspec {
            it_interval: ZERO,
            it_value: value,
        };
        timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &spec)?;
        self.armed = deadline;
        Ok(())
    }

    /// Waits for the deadline. Afterwards the timer is not armed. Waits for ever while none is
    /// armed. Cancel safe.
    pub(crate) async fn expired(&mut self) -> io::Result<()> {
        match wait(&self.fd).await {
            Ok(()) => {
                self.armed = None;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// Notices steps of the system clock.
#[derive(Debug)]
pub(crate) struct ClockStepWatch {
    fd: AsyncFd<OwnedFd>,
}

impl ClockStepWatch {
    /// Starts watching. Must be called inside a runtime with IO.
    pub(crate) fn new() -> io::Result<Self> {
        let fd = create(TimerfdClockId::Realtime)?;
        // The end of time, as the kernel sees it: it clamps. The timer stays armed, and on the
        // kernel's list of those to be told, across any number of steps.
        let never = Itimerspec {
            it_interval: ZERO,
            it_value: Timespec {
                tv_sec: i64::MAX,
                tv_nsec: 0,
            },
        };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        match timerfd_settime(&fd, flags, &never) {
            // A step between creating and arming: there is nothing to compare with yet.
            Ok(_) | Err(Errno::CANCELED) => Ok(Self { fd }),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for the next step. Cancel safe.
    pub(crate) async fn stepped(&self) -> io::Result<()> {
        match wait(&self.fd).await {
            Err(error) if error.raw_os_error() == Some(Errno::CANCELED.raw_os_error()) => Ok(()),
            // A clock set to the end of time makes even this timer expire: that, too, was a step.
            other => other,
        }
    }
}

fn create(clock: TimerfdClockId) -> io::Result<AsyncFd<OwnedFd>> {
    readiness::register(timerfd_create(clock, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?)
}

async fn wait(fd: &AsyncFd<OwnedFd>) -> io::Result<()> {
    loop {
        let mut ready = fd.readable().await?;
        let mut expirations = [0; 8];
        match ready.try_io(|fd| rustix::io::read(fd, &mut expirations).map_err(io::Error::from)) {
            Ok(outcome) => return outcome.map(|_| ()),
            // Not expired after all: the timer was moved between the readiness and the read.
            Err(_would_block) => {}
        }
    }
}

#[cfg(test)]
mod tests;
