//! The true history, as only the server knows it: the request log, every secret ever issued,
//! counters, violations.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use super::fault::{Endpoint, Fault};

/// The server's account. Looked at under the server's lock by
/// [`Server::truth`](super::Server::truth).
#[derive(Debug, Default)]
pub struct Truth {
    pub(super) log: Vec<Entry>,
    pub(super) issued: Vec<Issued>,
    pub(super) counters: Counters,
    pub(super) violations: Vec<Violation>,
    pub(super) open_connections: Vec<u64>,
}

impl Truth {
    /// Every request, in the order of arrival.
    #[must_use]
    pub fn log(&self) -> &[Entry] {
        &self.log
    }

    /// The requests to one endpoint, in the order of arrival.
    #[must_use]
    pub fn requests(&self, endpoint: Endpoint) -> impl DoubleEndedIterator<Item = &Entry> {
        self.log.iter().filter(move |e| e.endpoint == endpoint)
    }

    /// Every secret and token ever issued, dead ones too: what a canary search looks for.
    #[must_use]
    pub fn issued(&self) -> &[Issued] {
        &self.issued
    }

    /// How often each thing was done.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The acts of the client that a well-behaved one does not do.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// How many TCP connections are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.open_connections.len()
    }

    /// The credentials that a device holds now, by its client id: what the next refresh must
    /// present.
    #[must_use]
    pub fn live(&self, client_id: &str) -> Live<'_> {
        let newest = |kind| {
            let mut all = self.issued.iter().rev();
            all.find(|i| i.kind == kind && i.client_id == client_id && i.ended.is_none())
                .map(|i| i.value.as_str())
        };
        Live {
            access: newest(Kind::AccessToken),
            refresh: newest(Kind::RefreshToken),
        }
    }

    pub(super) fn issue(&mut self, kind: Kind, value: &str, client_id: &str, at: SystemTime) {
        self.issued.push(Issued {
            kind,
            value: value.to_owned(),
            client_id: client_id.to_owned(),
            at,
            ended: None,
        });
    }

    /// Ends what a device holds.
    pub(super) fn end(&mut self, value: &str, end: End) {
        if let Some(issued) = self.issued.iter_mut().rev().find(|i| i.value == value) {
            issued.ended.get_or_insert(end);
        }
    }
}

/// A device's live tokens. No `Debug`: they are secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Live<'a> {
    /// The access token that the API takes, unless its time is up.
    pub access: Option<&'a str>,
    /// The refresh token that the API takes, unless its time is up.
    pub refresh: Option<&'a str>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When it arrived, by the server's clock.
    pub at: SystemTime,
    /// The purpose of the request.
    pub endpoint: Endpoint,
    /// Method and path as sent, without the query.
    pub target: String,
    /// Which connection it came on: the first accepted is 1.
    pub connection: u64,
    /// `x-client-version` as sent.
    pub client_version: Option<String>,
    /// `client_id` of the form, or of the device whose bearer token was shown.
    pub client_id: Option<String>,
    /// `Content-Type` as sent, without parameters.
    pub media_type: Option<String>,
    /// The fault that met it.
    pub fault: Option<Fault>,
    /// The server's decision: `ok`, an OAuth error code, `unauthorized` … Empty until it has acted,
    /// or if it never does.
    pub verdict: String,
    /// True if acting changed something: a code issued, a pair issued, rotated or revoked.
    pub committed: bool,
    /// How it ended for the client.
    pub outcome: Outcome,
}

/// How a request ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has not yet.
    InFlight,
    /// An answer with this status was handed to the connection. It may still have been damaged: see
    /// [`Entry::fault`].
    Answered(u16),
    /// The server cut the connection without an answer.
    Cut,
    /// The connection went before there was an answer.
    ClientGone,
}

/// A secret the server gave out. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The kind of secret.
    pub kind: Kind,
    /// The secret itself.
    pub value: String,
    /// For which unit.
    pub client_id: String,
    /// When, by the server's clock.
    pub at: SystemTime,
    /// Why it is dead, if something other than time ended it.
    pub ended: Option<End>,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} ({:?})", self.kind, self.client_id, self.ended)
    }
}

/// Kinds of secrets the server gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The device polls with it.
    DeviceCode,
    /// The person types it.
    UserCode,
    /// A bearer token.
    AccessToken,
    /// A refresh token.
    RefreshToken,
}

/// The event that ended a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A refresh took its place.
    Rotated,
    /// The client revoked it.
    Revoked,
    /// Somebody forgot the device in the project, or the pairing itself expired.
    Forgotten,
    /// The unit was paired again.
    Replaced,
    /// A code that was exchanged, or denied.
    Used,
}

/// How often each thing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// TCP connections accepted.
    pub connections: u64,
    /// TLS handshakes that failed.
    pub handshakes_failed: u64,
    /// Codes issued.
    pub codes_issued: u64,
    /// Polls that arrived.
    pub polls: u64,
    /// Polls that issued a pair: pairings.
    pub pairings: u64,
    /// Refreshes that arrived.
    pub refreshes: u64,
    /// Refreshes that rotated.
    pub refreshes_committed: u64,
    /// Revocations that ended something.
    pub revocations: u64,
    /// `devices/me` requests that arrived.
    pub device_queries: u64,
    /// Heartbeats that were taken.
    pub heartbeats: u64,
    /// Requests answered 429 by the rate limit.
    pub limited: u64,
}

/// An act that a well-behaved client does not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// `x-client-version` is missing: the integrator's checklist demands it on every call.
    ClientVersionMissing(Endpoint),
    /// `x-client-version` is no version as semver.org has it.
    ClientVersionMalformed(Endpoint),
    /// A JSON or otherwise unknown body where a form is wanted.
    NotAForm(Endpoint),
    /// Polled this much before the interval was over (RFC 8628 §3.5).
    PolledEarly(Duration),
    /// Polled a code again after its final answer.
    PolledAfterEnd,
    /// A refresh arrived while another of the same unit waited for its answer on a live connection.
    ConcurrentRefresh,
    /// Two heartbeats within a minute.
    HeartbeatTooSoon,
    /// A secret in the query part of the URL, where proxies log it.
    SecretInUrl(Endpoint),
    /// A path or method that the API does not have, without the query.
    UnknownTarget(String),
}
