//! What a caller of `GetAccessToken` gets, and how long it waits for it.
//!
//! One rule for all: after every event each waiting call is judged anew from the state alone. So nothing has to remember why a
//! caller waits, and none can be forgotten (I6).

use std::time::Duration;

use super::Core;
use super::effect::{CallError, Reply};
use super::event::Client;
use super::held::{Held, Life};
use super::op::CallId;
use super::policy::{Provisioning, RefreshMode};
use super::refresh::{Refresh, SENT_HOLD};
use super::time::BootTime;
use super::turn::Turn;

/// Longest any call may take: half of the 25 s after which common D-Bus bindings give up would be too short for a slow
/// mobile link, and 25 s itself would lose the race.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(20);

/// A call of `GetAccessToken` that has no answer yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Waiter {
    pub(super) call: CallId,
    client: Client,
    /// The first call of a connection that may be a rejecting program come back.
    reconnected: bool,
    min_validity: Option<Duration>,
    deadline: BootTime,
}

/// What a waiting call is due.
enum Due {
    /// The token in hand.
    Token,
    /// The token that outlived its pairing.
    Afterlife,
    /// An error.
    Error(CallError),
    /// Nothing before this instant, unless something happens.
    Wait(BootTime),
}

impl Core {
    pub(super) fn get_access_token(
        &mut self,
        t: &Turn<'_>,
        call: CallId,
        client: Client,
        min_validity: Option<Duration>,
    ) {
        let deadline = t.at().after(CALL_LIMIT);
        let reconnected = self.resource.rejections.arrived(client, t.at());
        self.waiters.push(Waiter {
            call,
            client,
            reconnected,
            min_validity,
            deadline,
        });
    }

    /// Answers every call that is due an answer.
    pub(super) fn serve(&mut self, t: &mut Turn<'_>) {
        let now = t.at();
        for waiter in std::mem::take(&mut self.waiters) {
            match self.due(&waiter, now) {
                Due::Token => self.hand_out(t, &waiter),
                Due::Afterlife => {
                    Self::reply_token(t, waiter.call, self.afterlife.as_ref().map(|after| &after.held));
                    if let Some(after) = &mut self.afterlife {
                        after.held.hand_to(waiter.client.uid);
                    }
                    self.note_hand_out(&waiter, now);
                }
                Due::Error(error) => t.reply(waiter.call, Err(error)),
                Due::Wait(_) => self.waiters.push(waiter),
            }
        }
    }

    /// When a waiting call is next due to be judged, even if nothing happens.
    pub(super) fn serve_deadline(&self, now: BootTime) -> Option<BootTime> {
        self.waiters
            .iter()
            .filter_map(|waiter| match self.due(waiter, now) {
                Due::Wait(until) => Some(until),
                Due::Token | Due::Afterlife | Due::Error(_) => None,
            })
            .min()
    }

    /// Whether a caller is short of a token: its wait makes a refresh mandatory.
    pub(super) fn waited_for(&self, now: BootTime) -> bool {
        self.waiters
            .iter()
            .any(|waiter| self.held.as_ref().is_some_and(|held| self.short(held, waiter, now)))
    }

    fn hand_out(&mut self, t: &mut Turn<'_>, waiter: &Waiter) {
        let now = t.at();
        Self::reply_token(t, waiter.call, self.held.as_ref());
        if let Some(held) = &mut self.held {
            held.hand_to(waiter.client.uid);
            if self.policy.refresh == RefreshMode::OnDemand && held.advisory().is_some_and(|opens| opens <= now) {
                self.asked = true;
            }
        }
        self.note_hand_out(waiter, now);
    }

    fn note_hand_out(&mut self, waiter: &Waiter, now: BootTime) {
        self.resource.rejections.handed(waiter.client, waiter.reconnected, now);
    }

    /// Until when this caller waits because of a rejection, if it does.
    fn held_back(&self, waiter: &Waiter, now: BootTime) -> Option<BootTime> {
        self.held_until(waiter.client, waiter.reconnected, waiter.deadline, now)
            .filter(|until| now < *until)
    }

    fn reply_token(t: &mut Turn<'_>, call: CallId, held: Option<&Held>) {
        let now = t.at();
        let answer = match held {
            None => Err(CallError::NotPaired),
            Some(held) => held.pair.access.clone().map_or(Err(CallError::ServerError), |access| {
                Ok(Reply::Token {
                    access,
                    expires_in: held.left(now),
                    generation: held.generation,
                })
            }),
        };
        t.reply(call, answer);
    }

    /// Life that this caller needs: its wish or the default, but never so much that a fresh token would not do.
    fn need(&self, held: &Held, waiter: &Waiter) -> Duration {
        waiter
            .min_validity
            .unwrap_or(self.policy.min_validity)
            .min(held.pair.lifetime / 4)
    }

    /// Whether the token in hand does not do for this caller.
    fn short(&self, held: &Held, waiter: &Waiter, now: BootTime) -> bool {
        if held.dead(now) {
            return true;
        }
        match held.life {
            Life::Until(_) => held.left(now) < self.need(held, waiter) && !held.young(now),
            // Nothing is known of its age: as long as somebody takes it, it does.
            Life::Unknown { .. } => false,
        }
    }

    fn due(&self, waiter: &Waiter, now: BootTime) -> Due {
        let Some(held) = &self.held else {
            return self.due_without_pairing(waiter, now);
        };
        if held.unvouched() && self.policy.can_probe {
            return self.due_unvouched(waiter, now);
        }
        if matches!(self.refresh, Refresh::Storing { .. }) {
            // The token in hand is dead and the next one all but on disk.
            let over = now >= waiter.deadline;
            return if over {
                Due::Error(CallError::Timeout)
            } else {
                Due::Wait(waiter.deadline)
            };
        }
        if let Some(hold) = self.hold(held)
            && now < hold.min(waiter.deadline)
        {
            return Due::Wait(hold.min(waiter.deadline));
        }
        if !self.short(held, waiter, now) {
            // Who says that it is refused is better served by another one; if that does not come, by this one.
            return self.held_back(waiter, now).map_or(Due::Token, Due::Wait);
        }
        if held.pair.refresh.is_none() {
            // Nothing better will come; what still lives is better than an error.
            return if held.dead(now) {
                Due::Error(CallError::NotPaired)
            } else {
                Due::Token
            };
        }
        if self.provisioning != Provisioning::Ready {
            return Due::Error(CallError::NotProvisioned);
        }
        if self.refresh != Refresh::Idle {
            let over = now >= waiter.deadline;
            return if over {
                Due::Error(CallError::Timeout)
            } else {
                Due::Wait(waiter.deadline)
            };
        }
        match self.refresh_starts(true) {
            // The refresh itself is started by the core's agenda at that instant.
            Some(start) if start <= waiter.deadline && now < waiter.deadline => Due::Wait(waiter.deadline),
            Some(_) => Due::Error(self.refresh_error()),
            // An unpairing or a newer pairing is on its way to disk and will settle this within moments.
            None if now < waiter.deadline && self.may_start() => Due::Wait(waiter.deadline),
            None => Due::Error(CallError::Timeout),
        }
    }

    fn due_without_pairing(&self, waiter: &Waiter, now: BootTime) -> Due {
        let none = self.without_pairing();
        let Some(after) = &self.afterlife else {
            return Due::Error(none);
        };
        if after.alive {
            return self.held_back(waiter, now).map_or(Due::Afterlife, Due::Wait);
        }
        let hold = self
            .probing_since()
            .map(|since| since.after(SENT_HOLD).min(waiter.deadline));
        match hold {
            Some(hold) if now < hold => Due::Wait(hold),
            _ => Due::Error(none),
        }
    }

    /// A token of unknown age that nothing vouches for: the probe decides.
    fn due_unvouched(&self, waiter: &Waiter, now: BootTime) -> Due {
        if now >= waiter.deadline {
            return Due::Error(CallError::Timeout);
        }
        if self.probing_since().is_some() {
            return Due::Wait(waiter.deadline);
        }
        match self.probe_starts(now, true) {
            Some(start) if start <= waiter.deadline => Due::Wait(waiter.deadline),
            _ if self.refresh != Refresh::Idle => Due::Wait(waiter.deadline),
            _ => Due::Error(self.resource_error()),
        }
    }

    /// Answers everybody who waits here, because the daemon ends.
    pub(super) fn end_waiters(&mut self, t: &mut Turn<'_>) {
        for waiter in std::mem::take(&mut self.waiters) {
            t.reply(waiter.call, Err(CallError::Timeout));
        }
    }

    /// Until when callers wait although the token in hand would do: it may be dying this very moment.
    fn hold(&self, held: &Held) -> Option<BootTime> {
        if let Refresh::Sent { mark, .. } = &self.refresh {
            return Some(mark.at.after(SENT_HOLD));
        }
        // An unanswered refresh, and the probe that tells whether the old token survived it is under way.
        let since = held.ambiguous.and_then(|_| self.probing_since())?;
        (!held.refused).then(|| since.after(SENT_HOLD))
    }
}
