//! The caller's rule: after which error which pause, and what a token is worth that comes back.
//!
//! Owns: the table of docs/uploader.md as data, and what of it applies now. It has no clock: the
//! time comes in.
//!
//! Must never: call, wait or print.

use std::time::Duration;

use tokio::time::Instant;

/// Why there is no token. One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nobody has paired the device, or the pairing ended.
    NotPaired,
    /// The daemon has no token to give now, and keeps trying.
    NoToken,
    /// This user calls too often.
    TooOften,
    /// The server or this device is not set up for each other: a person has to act.
    NotAccepted,
    /// This call is refused, however often it is made.
    Refused,
    /// Nobody owns the daemon's name, or its owner does not answer.
    NoDaemon,
    /// The connection to the bus is lost, and this source with it.
    NoBus,
}

/// How long after an error the next call may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) why: Why,
    /// The last words of the errors' names.
    pub(super) errors: &'static [&'static str],
    pub(super) pause: Pause,
    /// News ends the pause: another token, or another owner of the daemon's name.
    pub(super) until_news: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// Seconds: the first, which doubles, and the longest.
    Doubling(u64, u64),
    /// Without end but for news.
    None,
    /// No call follows.
    Never,
}

/// The table of docs/uploader.md. A test holds the two against each other.
pub(super) const ROWS: [Row; 7] = [
    Row {
        why: Why::NotPaired,
        errors: &["NotPaired"],
        pause: Pause::None,
        until_news: true,
    },
    Row {
        why: Why::NoToken,
        errors: &[
            "Offline",
            "ClockNotSet",
            "ServerError",
            "StorageFailed",
            "Timeout",
            "Failed",
        ],
        pause: Pause::Doubling(5, 60),
        until_news: true,
    },
    Row {
        why: Why::TooOften,
        errors: &["LimitsExceeded"],
        pause: Pause::Doubling(1, 60),
        until_news: false,
    },
    Row {
        why: Why::NotAccepted,
        errors: &["ClientRejected", "NotProvisioned"],
        pause: Pause::Doubling(3600, 3600),
        until_news: true,
    },
    Row {
        why: Why::Refused,
        errors: &["AccessDenied", "InvalidArgs"],
        pause: Pause::Never,
        until_news: false,
    },
    Row {
        why: Why::NoDaemon,
        errors: &["ServiceUnknown", "NameHasNoOwner", "NoReply", "TimedOut"],
        pause: Pause::Doubling(5, 60),
        until_news: true,
    },
    Row {
        why: Why::NoBus,
        errors: &["Disconnected"],
        pause: Pause::Never,
        until_news: false,
    },
];

/// A rejected token that came back is good for a request after this pause.
pub(super) const SAME_TOKEN: (u64, u64) = (2, 60);

impl Why {
    /// The row of an error, by its whole name. A newer daemon's word is one that passes.
    pub(super) fn of(name: &str) -> Self {
        let last = name.rsplit('.').next().unwrap_or(name);
        let row = ROWS.iter().find(|row| row.errors.contains(&last));
        // An activated unit that failed is told by the bus's and systemd's own names.
        let no_start =
            name.starts_with("org.freedesktop.DBus.Error.Spawn.") || name.starts_with("org.freedesktop.systemd1.");
        match row {
            _ if no_start => Self::NoDaemon,
            Some(row) => row.why,
            None => Self::NoToken,
        }
    }

    pub(super) fn row(self) -> &'static Row {
        let row = ROWS.iter().find(|row| row.why == self);
        row.unwrap_or(&ROWS[1])
    }
}

/// The condition of the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Nothing,
    News,
    NewsOr(Instant),
    Time(Instant),
    Never,
}

#[derive(Debug, Default)]
pub(super) struct Rule {
    failed: Option<Failed>,
    rejected: Option<Rejected>,
}

#[derive(Debug)]
struct Failed {
    why: Why,
    /// In a row, without the first.
    again: u32,
    at: Instant,
}

#[derive(Debug)]
struct Rejected {
    generation: u64,
    /// Rejected, served and rejected again: so often.
    again: u32,
    /// It came back: no request with it leaves before this.
    not_before: Option<Instant>,
}

impl Rule {
    /// The answer to a call for a token was an error.
    pub(super) fn handle_failed(&mut self, now: Instant, why: Why) {
        let before = self.failed.take().filter(|failed| failed.why == why);
        let again = before.map_or(0, |failed| failed.again + 1);
        self.failed = Some(Failed { why, again, at: now });
    }

    /// The answer was a token. Returns until when no request may be made with it.
    pub(super) fn handle_served(&mut self, now: Instant, generation: u64) -> Option<Instant> {
        self.failed = None;
        let Some(rejected) = self
            .rejected
            .as_mut()
            .filter(|rejected| rejected.generation == generation)
        else {
            self.rejected = None;
            return None;
        };
        let pause = doubled(SAME_TOKEN, rejected.again);
        let until = *rejected.not_before.get_or_insert_with(|| now + pause);
        (until > now).then_some(until)
    }

    /// The API answered 401 to this one. Several answers to one token count once.
    pub(super) fn handle_rejected(&mut self, now: Instant, generation: u64) {
        match &mut self.rejected {
            Some(rejected) if rejected.generation > generation => {}
            Some(rejected) if rejected.generation == generation => {
                // Before that, no request left since the last rejection.
                if rejected.not_before.is_some_and(|until| until <= now) {
                    rejected.again += 1;
                    rejected.not_before = None;
                }
            }
            _ => {
                self.rejected = Some(Rejected {
                    generation,
                    again: 0,
                    not_before: None,
                });
            }
        }
    }

    /// The condition of the next call for a token.
    pub(super) fn wait(&self) -> Wait {
        let Some(failed) = &self.failed else {
            return Wait::Nothing;
        };
        let row = failed.why.row();
        match (row.pause, row.until_news) {
            (Pause::Never, _) => Wait::Never,
            (Pause::None, _) => Wait::News,
            (Pause::Doubling(first, longest), is_news) => {
                let until = failed.at + doubled((first, longest), failed.again);
                if is_news {
                    Wait::NewsOr(until)
                } else {
                    Wait::Time(until)
                }
            }
        }
    }
}

fn doubled((first, longest): (u64, u64), times: u32) -> Duration {
    // 2^16 s is past every longest pause.
    Duration::from_secs((first << times.min(16)).min(longest))
}
