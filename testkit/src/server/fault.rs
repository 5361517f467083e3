//! Faults between a client and the API: the verbs, and the queues they wait in.
//!
//! Two questions matter for each: had the server acted (*committed*) when it went wrong, and what
//! does the client see. Verbs named `Instead…` stand for equipment in between: the API never saw
//! the request.

use std::{collections::BTreeMap, collections::VecDeque, time::Duration};

use serde_json::Value;

use super::hostile::Junk;

/// The purpose of a request. The two grants of the token endpoint count as two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `POST /v2/auth/device/code`, and its older twin `/v2/device/code`.
    DeviceCode,
    /// `POST /v2/auth/token` with the `device_code` grant.
    Poll,
    /// `POST /v2/auth/token` with the `refresh_token` grant.
    Refresh,
    /// `POST /v2/auth/revoke`.
    Revoke,
    /// `GET /v2/devices/me`.
    Me,
    /// `POST /v2/devices/heartbeat`.
    Heartbeat,
    /// `GET /health`.
    Health,
    /// Anything else, a token request without a known grant included.
    Other,
}

/// One way for a request to go wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Wait at this stage, then go on as if nothing had been. The server finishes even if the
    /// client hangs up meanwhile.
    Stall(Stage, Pause),
    /// The connection ends without a whole answer.
    Cut(Cut),
    /// Something in between answers. The server does not act.
    Instead(Page),
    /// The server acts, then something in between answers in its place: a gateway that gave up
    /// waiting.
    InsteadAfterCommit(Page),
    /// The server acts and its JSON answer is changed.
    Edit(Edit),
    /// The server acts. Its answer is not HTTP.
    Garbage,
    /// The server acts. Its answer comes one byte at a time, with this between them.
    Drip(Duration),
    /// The server acts. The answer carries this `Date`.
    Date(DateHeader),
    /// The server acts, answers, and closes the connection.
    Close,
}

/// Where a stall waits: both after the whole request was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before the server acts.
    BeforeCommit,
    /// After it acted, before it answers.
    AfterCommit,
}

/// How long a stall waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// So long, in real time.
    For(Duration),
    /// Until [`Server::release`](super::Server::release).
    UntilReleased,
}

/// Where the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// After the request's head, before its body is read. Not committed. A server that has not read
    /// the body cannot know the grant: queued for [`Endpoint::Poll`] or [`Endpoint::Refresh`] it
    /// meets the next request of either.
    Unread,
    /// The whole request was read. Not committed.
    BeforeCommit,
    /// Committed, but not one byte of an answer. The fault that costs a pairing.
    AfterCommit,
    /// Committed. The answer ends within its status line.
    MidHeaders,
    /// Committed. The answer ends within its body, short of its `Content-Length`.
    MidBody,
}

/// A ready-made answer that is not the API's to this request.
#[derive(Clone, Debug, PartialEq)]
pub enum Page {
    /// 200 with a hotel's HTML.
    CaptivePortal,
    /// 302 to a foreign host.
    Redirect,
    /// 404 with HTML.
    NotFound,
    /// 429 with spent `x-ratelimit-*`, and `Retry-After` in seconds if given.
    TooManyRequests(Option<u64>),
    /// This status with a gateway's HTML: 500, 502, 503, 504 …
    Status(u16),
    /// 503 with `Retry-After` in seconds.
    Unavailable(u64),
    /// 200 with a JSON string of so many bytes, streamed.
    Oversized(usize),
    /// 200 with a token answer that ends in its middle, with a `Content-Length` that fits.
    TruncatedJson,
    /// This status with this JSON.
    Json(u16, Value),
    /// This status with this JSON, labelled as this.
    Labelled(u16, &'static str, Value),
}

/// A change to the API's own JSON answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// This key is missing.
    Remove(&'static str),
    /// This key has this value.
    Set(&'static str, Value),
    /// The text ends in its middle, with a `Content-Length` that fits.
    Truncate,
    /// Every string but tokens and codes to be sent back is hostile: see [`super::hostile`].
    HostileStrings,
    /// Every number is junk.
    JunkNumbers(Junk),
    /// The object is whole, and oddly wrapped.
    Wrapped(Wrapping),
}

/// The wrapping of a whole JSON object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrapping {
    /// Its `Content-Type`. None where empty.
    pub label: &'static str,
    /// True if a byte order mark stands before it.
    pub mark: bool,
    /// A member before its own, as written: `"x":1e999`.
    pub member: &'static str,
}

/// The content of `Date`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateHeader {
    /// The server's clock, off by so many seconds.
    Skewed(i64),
    /// There is none.
    Missing,
    /// No date.
    Garbage,
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The next so many requests.
    Next(usize),
    /// Each request until the faults are cleared.
    Always,
}

/// The faults that wait, per endpoint in the order they were asked for.
#[derive(Debug, Default)]
pub(super) struct Faults {
    queues: BTreeMap<Endpoint, VecDeque<(Times, Fault)>>,
    everywhere: Option<Fault>,
}

impl Faults {
    pub(super) fn push(&mut self, endpoint: Endpoint, times: Times, fault: Fault) {
        if times != Times::Next(0) {
            self.queues.entry(endpoint).or_default().push_back((times, fault));
        }
    }

    pub(super) fn everywhere(&mut self, fault: Fault) {
        self.everywhere = Some(fault);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The fault for a request to this endpoint, used up once.
    pub(super) fn take(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let Some(queue) = self.queues.get_mut(&endpoint).filter(|q| !q.is_empty()) else {
            return self.everywhere.clone();
        };
        let (times, fault) = queue.front_mut()?;
        let fault = fault.clone();
        match times {
            Times::Always => {}
            Times::Next(left) if *left > 1 => *left -= 1,
            Times::Next(_) => drop(queue.pop_front()),
        }
        Some(fault)
    }

    /// The first of these endpoints whose next fault is [`Cut::Unread`], used up once.
    pub(super) fn take_unread(&mut self, endpoints: &[Endpoint]) -> Option<Endpoint> {
        let unread = Fault::Cut(Cut::Unread);
        let next = |endpoint: &Endpoint| {
            self.queues
                .get(endpoint)
                .and_then(|q| q.front())
                .map(|(_, f)| f)
                .or(self.everywhere.as_ref())
        };
        let struck = endpoints.iter().copied().find(|e| next(e) == Some(&unread))?;
        self.take(struck).map(|_| struck)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_strike_in_order_and_as_often_as_asked() {
        let mut faults = Faults::default();
        faults.push(Endpoint::Me, Times::Next(2), Fault::Garbage);
        faults.push(Endpoint::Me, Times::Always, Fault::Close);
        faults.push(Endpoint::Me, Times::Next(0), Fault::Garbage);
        let struck: Vec<_> = (0..4).filter_map(|_| faults.take(Endpoint::Me)).collect();
        assert_eq!(struck, [Fault::Garbage, Fault::Garbage, Fault::Close, Fault::Close]);
        assert_eq!(faults.take(Endpoint::Health), None);
        faults.clear();
        assert_eq!(faults.take(Endpoint::Me), None);
    }

    #[test]
    fn a_fault_everywhere_gives_way_to_a_nearer_one() {
        let mut faults = Faults::default();
        faults.everywhere(Fault::Close);
        faults.push(Endpoint::Poll, Times::Next(1), Fault::Cut(Cut::Unread));
        assert_eq!(faults.take_unread(&[Endpoint::Refresh]), None);
        assert_eq!(
            faults.take_unread(&[Endpoint::Refresh, Endpoint::Poll]),
            Some(Endpoint::Poll)
        );
        assert_eq!(faults.take(Endpoint::Poll), Some(Fault::Close));
    }
}
