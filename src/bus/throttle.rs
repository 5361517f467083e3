//! Limits for each uid, so that one program cannot take the daemon away from another.
//!
//! Three limits, all per uid, all in one table of fixed size:
//! - **Waiting.** So many calls may be open at once. More are refused. The refusal itself is held
//!   back, so that a caller in a tight loop is slowed down by it. Calls that tell the daemon
//!   something ([`Weight::Telling`]) and those that read ([`Weight::Reading`]) have limits of their
//!   own: they are possible however many other calls of that uid wait for an answer.
//! - **Costly calls** (a code request, a picture) come out of a budget that refills with time.
//! - **Pace.** All callers share one connection to the bus, first come, first served. Others feel a
//!   flood long before the daemon is busy. While calls of more than one uid arrive, each uid is
//!   served at a limited pace, far above what an honest uploader needs. A uid that is alone is not
//!   held back at all.
//!
//! Invariant: a permit is in the table exactly as long as its call is open.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::error_reply::ErrorReply;
use crate::messages::contract::ErrorName;

/// Calls of one uid that may be open at once, in each lane. Twice what a busy uploader was seen to
/// need (64 clients of one user).
pub(super) const WAITING: u32 = 128;

/// Refused calls of one uid that are held back. Beyond it they are refused at once: memory must not
/// grow with a flood.
const HELD: u32 = 512;

/// How long a refusal for [`WAITING`] is held back.
const HOLD: Duration = Duration::from_millis(50);

/// Costly calls of one uid: at most 64 in a row, then 8 a second.
const COSTLY_EVERY: Duration = Duration::from_millis(125);
const COSTLY_IN_A_ROW: u32 = 64;

/// Pace of one uid among several: 2000 calls a second, and four in a row without a pause.
const PACE: Duration = Duration::from_micros(500);
const PACE_IN_A_ROW: u32 = 4;

/// How long after a call of another uid callers count as "several".
const SEVERAL: Duration = Duration::from_secs(1);

/// Users remembered at once. Only holders of a role get here: a handful on a real device.
const USERS: usize = 64;

/// The cost of a call besides its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// Answered from memory, or idempotent.
    Free,
    /// A call of the standard interfaces: who waits for a token must not keep a uid from looking
    /// why.
    Reading,
    /// Asks the server, or draws.
    Costly,
    /// `RejectAccessToken` and `CancelPairing`: waiting calls must not keep a uid from telling why
    /// they wait in vain. The core limits what follows from them.
    Telling,
}

/// Which limit of open calls a call counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Asking,
    Reading,
    Telling,
}

impl Weight {
    const fn lane(self) -> Lane {
        match self {
            Self::Free | Self::Costly => Lane::Asking,
            Self::Reading => Lane::Reading,
            Self::Telling => Lane::Telling,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct RateLimit(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    /// A handful: looking through them is cheaper than hashing.
    users: Vec<User>,
    /// The latest call's uid and time.
    latest: Option<(u32, Instant)>,
    /// Until when pace is kept.
    several_until: Option<Instant>,
}

#[derive(Debug)]
struct User {
    uid: u32,
    /// Open calls of each lane.
    asking: u32,
    reading: u32,
    telling: u32,
    seen: Instant,
    /// When the budget for costly calls is full again.
    budget_full: Instant,
    /// When the pace allows the next call.
    next_slot: Instant,
}

/// An admitted call. Dropping it makes room for the next.
#[derive(Debug)]
#[must_use]
pub(super) struct Permit<'a> {
    throttle: &'a RateLimit,
    uid: u32,
    lane: Lane,
}

enum Decision {
    Go { at: Instant },
    Refuse { at: Instant, why: &'static str },
}

impl RateLimit {
    /// Lets a call of `uid` in, after a pause where pace demands one.
    pub(super) async fn admit(&self, uid: u32, weight: Weight) -> Result<Permit<'_>, ErrorReply> {
        let now = Instant::now();
        let (decision, permit) = self.judge(uid, weight, now);
        let (at, outcome) = match decision {
            Decision::Go { at } => (at, Ok(())),
            Decision::Refuse { at, why } => (at, Err(why)),
        };
        if at > now {
            tokio::time::sleep_until(at).await;
        }
        match (outcome, permit) {
            (Ok(()), Some(permit)) => Ok(permit),
            (Err(why), _) => Err(ErrorReply::new(ErrorName::LimitsExceeded, why)),
            (Ok(()), None) => Err(ErrorReply::ending()),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in here panics halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judge(&self, uid: u32, weight: Weight, now: Instant) -> (Decision, Option<Permit<'_>>) {
        let mut table = self.table();
        let several = table.several(uid, now);
        let Some(user) = table.user(uid, now) else {
            let why = "too many users call at once: try again later";
            return (Decision::Refuse { at: now, why }, None);
        };
        user.seen = now;
        let decision = user.judge(weight, several, now);
        let lane = weight.lane();
        let permit = user.enter(lane).then_some(Permit {
            throttle: self,
            uid,
            lane,
        });
        (decision, permit)
    }

    /// A user's last connection is gone. What it still owes is remembered: connecting anew must not
    /// refill a budget.
    pub(super) fn retire(&self, uid: u32) {
        let now = Instant::now();
        let mut table = self.table();
        table.users.retain(|user| user.uid != uid || !user.owes_nothing(now));
    }

    #[cfg(test)]
    pub(super) fn users(&self) -> usize {
        self.table().users.len()
    }
}

impl Table {
    /// True if calls of more than one uid arrive.
    fn several(&mut self, uid: u32, now: Instant) -> bool {
        if let Some((other, at)) = self.latest
            && other != uid
            && now - at < SEVERAL
        {
            self.several_until = Some(now + SEVERAL);
        }
        self.latest = Some((uid, now));
        self.several_until.is_some_and(|until| now < until)
    }

    /// The user's entry. A full table gives up the one that was idle longest. `None`: nobody is
    /// idle.
    fn user(&mut self, uid: u32, now: Instant) -> Option<&mut User> {
        let known = self.users.iter().position(|user| user.uid == uid);
        let place = if let Some(place) = known {
            place
        } else {
            let fresh = User {
                uid,
                asking: 0,
                reading: 0,
                telling: 0,
                seen: now,
                budget_full: now,
                next_slot: now,
            };
            if self.users.len() < USERS {
                self.users.push(fresh);
                self.users.len() - 1
            } else {
                let idle = self.users.iter().enumerate().filter(|(_, user)| user.idle());
                let (longest, _) = idle.min_by_key(|(_, user)| user.seen)?;
                self.users[longest] = fresh;
                longest
            }
        };
        self.users.get_mut(place)
    }
}

impl User {
    const fn waiting(&mut self, lane: Lane) -> &mut u32 {
        match lane {
            Lane::Asking => &mut self.asking,
            Lane::Reading => &mut self.reading,
            Lane::Telling => &mut self.telling,
        }
    }

    const fn idle(&self) -> bool {
        self.asking == 0 && self.reading == 0 && self.telling == 0
    }

    fn judge(&mut self, weight: Weight, several: bool, now: Instant) -> Decision {
        let waiting = *self.waiting(weight.lane());
        if waiting >= WAITING {
            let why = "too many calls of this user are waiting: wait for answers before calling again";
            let at = if waiting < HELD { now + HOLD } else { now };
            return Decision::Refuse { at, why };
        }
        if weight == Weight::Costly {
            let full = self.budget_full.max(now) + COSTLY_EVERY;
            if full - now > COSTLY_EVERY * COSTLY_IN_A_ROW {
                let why = "this user calls too often: at most 8 such calls a second";
                return Decision::Refuse { at: now, why };
            }
            self.budget_full = full;
        }
        if !several {
            self.next_slot = now;
            return Decision::Go { at: now };
        }
        let slot = self.next_slot.max(now);
        self.next_slot = slot + PACE;
        let pause = (slot - now).saturating_sub(PACE * (PACE_IN_A_ROW - 1));
        Decision::Go { at: now + pause }
    }

    /// Takes a place, also for a refusal that is held back. `false`: there is none.
    fn enter(&mut self, lane: Lane) -> bool {
        let waiting = self.waiting(lane);
        let room = *waiting < HELD;
        *waiting += u32::from(room);
        room
    }

    fn owes_nothing(&self, now: Instant) -> bool {
        self.idle() && self.budget_full <= now
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut table = self.throttle.table();
        if let Some(user) = table.users.iter_mut().find(|user| user.uid == self.uid) {
            let waiting = user.waiting(self.lane);
            *waiting = waiting.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests;
