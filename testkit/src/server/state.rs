//! The server's memory and the manners it watches. Decisions per endpoint are in [`super::grants`]
//! and [`super::resources`].
//!
//! Owns: devices, codes, the clock, the faults, the truth. One value under one lock
//! ([`crate::watched::Watched`]). Every method is synchronous and short. Knows nothing of HTTP, TLS
//! or connections but their numbers.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use super::{
    call::{Call, Reply, Route},
    certs::Tls,
    fault::{Endpoint, Fault, Faults},
    options::{Options, RateLimit},
    truth::{Entry, Outcome, Truth, Violation},
};

// Two arrivals are compared by our clock. The client's timer and the network may shave off this
// much.
const POLL_TOLERANCE: Duration = Duration::from_millis(50);

/// All that the server is and knows.
pub(super) struct State {
    pub(super) options: Options,
    pub(super) truth: Truth,
    pub(super) faults: Faults,
    pub(super) devices: BTreeMap<String, Device>,
    pub(super) codes: Vec<Attempt>,
    pub(super) offset: Duration,
    pub(super) date_skew: i64,
    pub(super) keep_alive: bool,
    pub(super) tls: Tls,
    /// True while the listener is there. Told by the accept loop.
    pub(super) listening: bool,
    limit: Option<RateLimit>,
    window: Option<(SystemTime, u32)>,
}

/// One unit, by its client id.
pub(super) struct Device {
    pub(super) id: String,
    pub(super) model_id: String,
    pub(super) project_id: String,
    pub(super) project: String,
    pub(super) paired_at: SystemTime,
    pub(super) last_seen: SystemTime,
    pub(super) firmware: String,
    pub(super) paused: bool,
    // The end that the user chose.
    pub(super) ends: Option<SystemTime>,
    pub(super) heartbeat: Option<SystemTime>,
    pub(super) grant: Option<Grant>,
}

/// The one live pair of a unit.
pub(super) struct Grant {
    pub(super) access: String,
    pub(super) access_ends: SystemTime,
    pub(super) refresh: Option<String>,
    pub(super) refresh_ends: SystemTime,
}

pub(super) struct Attempt {
    pub(super) device_code: String,
    pub(super) user_code: String,
    pub(super) client_id: String,
    pub(super) offline: bool,
    pub(super) ends: SystemTime,
    pub(super) interval: Duration,
    pub(super) last_poll: SystemTime,
    pub(super) answer: Answer,
    /// The request that got its final answer, by number in the log.
    pub(super) over: Option<usize>,
}

/// The person's answer to a code.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Answer {
    None,
    Approved { project: String },
    Denied,
}

/// The data that an arrival leaves for the acting.
pub(super) struct Ticket {
    pub(super) number: usize,
    pub(super) fault: Option<Fault>,
    /// A poll before its time.
    pub(super) early: bool,
}

impl State {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            truth: Truth::default(),
            faults: Faults::default(),
            devices: BTreeMap::new(),
            codes: Vec::new(),
            offset: Duration::ZERO,
            date_skew: 0,
            keep_alive: true,
            tls: Tls::default(),
            listening: true,
            limit: None,
            window: None,
        }
    }

    pub(super) fn now(&self) -> SystemTime {
        SystemTime::now() + self.offset
    }

    /// Logs a request that was cut before it was read.
    pub(super) fn turned_away(&mut self, connection: u64, endpoint: Endpoint, target: String, fault: Fault) {
        self.truth.log.push(Entry {
            at: self.now(),
            endpoint,
            target,
            connection,
            client_version: None,
            client_id: None,
            media_type: None,
            fault: Some(fault),
            verdict: String::new(),
            committed: false,
            outcome: Outcome::Cut,
        });
    }

    /// Logs a request and notes its manners.
    pub(super) fn arrive(&mut self, call: &Call) -> Ticket {
        let now = self.now();
        let client_id = self.client_of(call);
        self.note_manners(call, client_id.as_deref());
        let early = call.endpoint == Endpoint::Poll && self.note_poll(call, now);
        match call.endpoint {
            Endpoint::Poll => self.truth.counters.polls += 1,
            Endpoint::Refresh => self.truth.counters.refreshes += 1,
            Endpoint::Me => self.truth.counters.device_queries += 1,
            _ => {}
        }
        let fault = self.faults.take(call.endpoint);
        self.truth.log.push(Entry {
            at: now,
            endpoint: call.endpoint,
            target: call.target.clone(),
            connection: call.connection,
            client_version: call.client_version.clone(),
            client_id,
            media_type: call.media_type.clone(),
            fault: fault.clone(),
            verdict: String::new(),
            committed: false,
            outcome: Outcome::InFlight,
        });
        Ticket {
            number: self.truth.log.len() - 1,
            fault,
            early,
        }
    }

    /// Does what the request asks for.
    pub(super) fn act(&mut self, call: &Call, ticket: &Ticket) -> Reply {
        let reply = self.limited().unwrap_or_else(|| match (call.route, &call.form) {
            (_, Err(_)) => Reply::refused("bad_request"),
            (Route::DeviceCode { legacy }, Ok(form)) => self.issue_code(form, call.url_pairing && !legacy),
            (Route::Token, Ok(form)) => match call.endpoint {
                Endpoint::Poll => self.poll(form, ticket),
                Endpoint::Refresh => self.refresh(form),
                _ => Reply::refused("bad_request"),
            },
            (Route::Revoke, Ok(form)) => self.revoke(form),
            (Route::Me, Ok(_)) => self.me(call),
            (Route::Heartbeat, Ok(_)) => self.heartbeat(call),
            (Route::Health, Ok(_)) => Reply::found(json!({ "status": "ok" })),
            (Route::Unknown, Ok(_)) => Reply::not_found(),
        });
        let entry = &mut self.truth.log[ticket.number];
        entry.verdict.clone_from(&reply.verdict);
        entry.committed = reply.committed;
        reply
    }

    /// Logs how a request ended, once.
    pub(super) fn end_request(&mut self, number: usize, outcome: Outcome) {
        let entry = &mut self.truth.log[number];
        if entry.outcome == Outcome::InFlight {
            entry.outcome = outcome;
        }
    }

    /// `x-ratelimit-limit`, `-remaining` and `-window` (milliseconds), sent with every answer.
    pub(super) fn limit_headers(&self) -> [(&'static str, u128); 3] {
        let limit = self.limit.unwrap_or(RateLimit {
            limit: 100,
            window: Duration::from_secs(60),
            retry_after: None,
        });
        let used = self.window.map_or(0, |(_, used)| used);
        [
            ("x-ratelimit-limit", limit.limit.into()),
            ("x-ratelimit-remaining", limit.limit.saturating_sub(used).into()),
            ("x-ratelimit-window", limit.window.as_millis()),
        ]
    }

    pub(super) fn set_limit(&mut self, limit: Option<RateLimit>) {
        self.limit = limit;
        self.window = None;
    }

    fn limited(&mut self) -> Option<Reply> {
        let limit = self.limit?;
        let now = self.now();
        let window = self.window.get_or_insert((now, 0));
        if now.duration_since(window.0).is_ok_and(|age| age >= limit.window) {
            *window = (now, 0);
        }
        if window.1 < limit.limit {
            window.1 += 1;
            return None;
        }
        self.truth.counters.limited += 1;
        Some(Reply::limited(limit.retry_after))
    }

    fn client_of(&self, call: &Call) -> Option<String> {
        if let Some(token) = &call.bearer {
            return self
                .truth
                .issued
                .iter()
                .find(|i| i.value == *token)
                .map(|i| i.client_id.clone());
        }
        call.form.as_ref().ok()?.get("client_id").map(ToOwned::to_owned)
    }

    fn note_manners(&mut self, call: &Call, client_id: Option<&str>) {
        let endpoint = call.endpoint;
        let violations = &mut self.truth.violations;
        match call.client_version.as_deref() {
            None => violations.push(Violation::ClientVersionMissing(endpoint)),
            Some(version) if !is_semver(version) => violations.push(Violation::ClientVersionMalformed(endpoint)),
            Some(_) => {}
        }
        if call.form.is_err() {
            violations.push(Violation::NotAForm(endpoint));
        }
        if call.route == Route::Unknown {
            violations.push(Violation::UnknownTarget(call.target.clone()));
        }
        let model = [Some(&self.options.client_secret), self.options.old_secret.as_ref()];
        let model = model.into_iter().flatten().map(String::as_str);
        let secrets = self.truth.issued.iter().map(|i| i.value.as_str()).chain(model);
        if !call.query.is_empty() && { secrets }.any(|s| call.query.contains(s)) {
            violations.push(Violation::SecretInUrl(endpoint));
        }
        let flying = |e: &Entry| e.endpoint == Endpoint::Refresh && e.outcome == Outcome::InFlight;
        let same = |e: &Entry| e.client_id.as_deref() == client_id;
        if endpoint == Endpoint::Refresh && self.truth.log.iter().any(|e| flying(e) && same(e)) {
            violations.push(Violation::ConcurrentRefresh);
        }
    }

    // The interval counts from arrival to arrival, whatever becomes of the poll.
    fn note_poll(&mut self, call: &Call, now: SystemTime) -> bool {
        let polled = call.form.as_ref().ok().and_then(|f| f.get("device_code"));
        let Some(code) = self.codes.iter_mut().find(|c| Some(c.device_code.as_str()) == polled) else {
            return false;
        };
        if let Some(last) = code.over.map(|number| &self.truth.log[number]) {
            // A client whose final answer was lost or damaged cannot know.
            if last.fault.is_none() && matches!(last.outcome, Outcome::Answered(_)) {
                self.truth.violations.push(Violation::PolledAfterEnd);
            }
            return false;
        }
        let due = code.last_poll + code.interval;
        code.last_poll = now;
        let early_by = due.duration_since(now).unwrap_or_default();
        let early = early_by > POLL_TOLERANCE;
        if early {
            self.truth.violations.push(Violation::PolledEarly(early_by));
        }
        early
    }
}

/// Seconds as the API writes them: whole where they are, else a double.
pub(super) fn seconds(duration: Duration) -> Value {
    if duration.subsec_nanos() == 0 {
        Value::from(duration.as_secs())
    } else {
        Value::from(duration.as_secs_f64())
    }
}

/// True for a version as semver.org has it.
fn is_semver(version: &str) -> bool {
    let (version, build) = version.split_once('+').map_or((version, None), |(v, b)| (v, Some(b)));
    let (core, pre) = version.split_once('-').map_or((version, None), |(c, p)| (c, Some(p)));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let number = |s: &str| digits(s) && (s == "0" || !s.starts_with('0'));
    let word = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|p| p.split('.').all(|s| word(s) && (!digits(s) || number(s))))
        && build.is_none_or(|b| b.split('.').all(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_semver_or_not() {
        for good in ["0.0.0", "2.16.4", "1.0.0-rc.1+build.007", "1.0.0+0", "10.20.30-a-b"] {
            assert!(is_semver(good), "{good}");
        }
        for bad in [
            "", "1", "1.2", "1.2.3.4", "01.2.3", "v1.2.3", "1.2.3-", "1.2.3-01", "1.2.3+", "1.2.x",
        ] {
            assert!(!is_semver(bad), "{bad}");
        }
    }

    #[test]
    fn seconds_are_whole_where_they_can_be() {
        assert_eq!(seconds(Duration::from_secs(120)).to_string(), "120");
        assert_eq!(seconds(Duration::from_millis(1500)).to_string(), "1.5");
    }
}
