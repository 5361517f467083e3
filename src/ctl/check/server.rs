//! The server as the daemon would reach it: network, name and port, then with the daemon's own
//! client TLS, its answer, and its clock against ours. Sends no credential.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::causes::{explained, unless_explained};
use super::{Finding, Rows, Verdict, network, proxy};
use crate::config::Config;
use crate::ctl::site::Site;
use crate::ctl::time::{now, span, utc};
use crate::discovery::Client;
use crate::messages;
use crate::messages::journal::explain_fault;
use crate::oauth::{Defect, Dropped, ProxyFault};
use crate::system::clock::Clock;
use crate::transport::{FloorClock, Outcome, TlsSettings, Ways, ca_file_warnings};
use c2c_auth_core::{Answer, FaultKind, PrepareAnswer, Reason};

/// As long as the daemon waits for a connection.
const LIMIT: Duration = Duration::from_secs(10);

/// The rows of the way, each of which needs those before it.
const WAY: [&str; 6] = ["network", "dns", "tcp", "tls", "server", "time"];

/// Each row of the way is there once, however far it leads.
pub(super) async fn server(site: &Site, config: Option<&Config>, offline: bool, found: &mut Rows) {
    if let Some(config) = config.filter(|_| !offline) {
        reach(site, config, found).await;
    }
    for check in WAY {
        if !found.all().iter().any(|finding| finding.check == check) {
            let unseen = Finding::new(Verdict::Skip, check, "not looked at: --offline", "");
            found.push(match explained(found.all(), &["configuration", "proxy"]) {
                _ if offline => unseen,
                Some(earlier) => Finding::skip(check, earlier),
                None => unless_explained(found.all(), unseen),
            });
        }
    }
}

/// Goes as far as it comes.
async fn reach(site: &Site, config: &Config, found: &mut Rows) {
    let Ok(provider) = config.provider_with(None) else {
        return;
    };
    let Some(origin) = provider.first_origin() else { return };
    let environment = proxy::Environment::of_daemon(site);
    let ways = match environment.ways(config) {
        Ok(ways) => ways,
        Err(error) => return found.push(Finding::fail("proxy", error.to_string(), "")),
    };
    let server = origin.dial_host().to_owned();
    found.extend(proxy::way(&ways, &environment, origin));
    // The server, or the proxy on the way to it.
    let (host, port) = match ways.to(origin) {
        Some(proxy) => (proxy.dial_host().to_owned(), proxy.port()),
        None => (server.clone(), origin.port()),
    };
    let resolved = match timeout(LIMIT, lookup_host((host.as_str(), port))).await {
        Ok(Ok(addresses)) => Ok(addresses.collect::<Vec<_>>()),
        Ok(Err(error)) => Err((
            format!("{host} has no address: {error}"),
            "Check the network and /etc/resolv.conf; without a network, use --offline",
        )),
        Err(_) => Err((
            format!("no name server answers for {host}"),
            "Check the network and the name servers in /etc/resolv.conf",
        )),
    };
    let known = resolved.as_deref().unwrap_or_default();
    let network = network::network(site, &host, known);
    let has_way = network.verdict != Verdict::Fail;
    found.push(network);
    let addresses = match resolved {
        Ok(addresses) => addresses,
        Err((what, cure)) => return found.push(unless_explained(found.all(), Finding::fail("dns", what, cure))),
    };
    let mut told: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    told.dedup();
    found.push(Finding::ok("dns", format!("{host} is {}", told.join(", "))));
    if !has_way {
        return found.push(Finding::skip("tcp", "network"));
    }
    let connected = network::tcp(&host, &addresses).await;
    let is_open = connected.verdict == Verdict::Ok;
    found.push(connected);
    if !is_open {
        return;
    }
    let client = match Client::new(Arc::new(provider), settings(config, ways)) {
        Ok(client) => client,
        Err(error) => return found.push(Finding::fail("tls", error.to_string(), "")),
    };
    let cure = "Mend or replace it; see docs/configuration.md";
    let warnings = config.tls.ca_file.as_deref().map(ca_file_warnings).unwrap_or_default();
    found.extend(warnings.into_iter().map(|what| Finding::warn("ca-file", what, cure)));
    let heard = Heard::default();
    let listening = tracing::subscriber::set_default(heard.clone());
    let outcome = client.prepare().await.outcome;
    drop(listening);
    let nowhere = client.nowhere_described();
    let (nowhere, heard) = (nowhere.as_deref(), heard.last());
    judge(&server, &outcome, nowhere, heard.as_deref(), now(), found);
}

/// As the daemon connects.
pub(super) fn settings(config: &Config, ways: Ways) -> TlsSettings {
    let clock = Clock::new(None);
    let floor = FloorClock::new(clock.floor());
    floor.set(clock.floor(), now() >= clock.floor().as_secs());
    TlsSettings {
        ca_file: config.tls.ca_file.clone(),
        clock: Arc::new(floor),
        ways,
    }
}

/// `nowhere`: the places at which the server says that it has no description of itself.
fn judge(host: &str, outcome: &Outcome, nowhere: Option<&str>, heard: Option<&str>, now: u64, found: &mut Rows) {
    // The same words as in the journal.
    let dropped = outcome.dropped.as_ref().map(ToString::to_string);
    let why = dropped.as_deref().or(heard);
    let fault = match &outcome.answer {
        Answer::Prepare(PrepareAnswer::Ready) if outcome.foreign => {
            found.push(Finding::ok("tls", format!("{host} is trusted")));
            let what = "something in between answered instead of the server: a login page of this network?";
            let cure = "Log in to the network, or use another; and compare provider.base-uri with the server's address";
            // Its clock is anybody's.
            return found.push(Finding::fail("server", what, cure));
        }
        Answer::Prepare(PrepareAnswer::Ready) => {
            found.push(Finding::ok("tls", format!("{host} is trusted")));
            found.push(Finding::ok("server", "it answers as its protocol says"));
            None
        }
        Answer::Prepare(PrepareAnswer::Busy(fault)) => {
            found.push(Finding::ok("tls", format!("{host} is trusted")));
            let what = explain_fault(fault.kind, why);
            found.push(Finding::warn("server", what, "It is tried again by itself"));
            None
        }
        Answer::Prepare(PrepareAnswer::Failed(fault)) => Some(fault.kind),
        _ => Some(FaultKind::Garbled),
    };
    let failed = fault.map(|fault| match fault {
        FaultKind::ClockNotSet => {
            let cure = messages::reason(Reason::ClockNotSet).cure;
            ("tls", (explain_fault(fault, why), cure))
        }
        FaultKind::Untrusted => {
            let told = messages::reason(Reason::TlsUntrusted);
            let because = why.map_or_else(String::new, |why| format!(" ({why})"));
            let what = format!("the certificate of {host} is not trusted: {}{because}", told.what);
            ("tls", (what, told.cure))
        }
        FaultKind::Offline if let Some(cure) = outcome.dropped.as_ref().and_then(cure_of_proxy) => {
            ("tls", (explain_fault(fault, why), cure))
        }
        FaultKind::Offline => {
            let cure = "Let the network pass TLS; the journal has the same words";
            ("tls", (explain_fault(fault, why), cure))
        }
        FaultKind::Local(_) => {
            let cure = "Compare [provider] with what the server says of itself";
            ("server", (explain_fault(fault, why), cure))
        }
        FaultKind::Refused if let Some(places) = nowhere => {
            let what = format!("{host} answers, and has no description of itself at {places}");
            let cure = "Compare provider.issuer with what the server publishes, path included (it may end in \
                        /realms/NAME), or write the endpoints";
            ("server", (what, cure))
        }
        FaultKind::Lost | FaultKind::Garbled | FaultKind::RateLimited | FaultKind::Refused => {
            let cure =
                "Compare [provider] with the server's address; a login page of this network may answer in its place";
            ("server", (explain_fault(fault, why), cure))
        }
    });
    if let Some((check, (what, cure))) = failed {
        if check == "server" {
            found.push(Finding::ok("tls", format!("{host} is trusted")));
        }
        // A clock that is wrong explains no other fault of a connection.
        let clock = explained(found.all(), &["clock"]).filter(|_| fault == Some(FaultKind::ClockNotSet));
        found.push(match clock {
            Some(earlier) => Finding::skip(check, earlier),
            None => Finding::fail(check, what, cure),
        });
        return;
    }
    found.push(match outcome.date {
        Some(date) => unless_explained(found.all(), compare(now, date.as_secs())),
        None => Finding::new(Verdict::Skip, "time", "the server's answer tells no time", ""),
    });
}

/// The cure where the way ended at a proxy.
fn cure_of_proxy(dropped: &Dropped) -> Option<&'static str> {
    let Defect::Proxy(fault) = dropped.defect else {
        return None;
    };
    Some(match fault {
        ProxyFault::Credentials => {
            "c2c-authd has no password for a proxy; let the proxy pass this device by its address, or write another one \
             as [network] proxy"
        }
        ProxyFault::Status(_) | ProxyFault::NoTls => {
            "Let the proxy pass CONNECT to the server's host and port, without looking into it"
        }
        ProxyFault::NoAddress
        | ProxyFault::Refused
        | ProxyFault::Silent
        | ProxyFault::Closed
        | ProxyFault::NotHttp
        | ProxyFault::TooLong => "Compare [network] proxy with the address of the network's proxy",
    })
}

/// Against the verified `Date`.
fn compare(ours: u64, theirs: u64) -> Finding {
    const CHECK: &str = "time";
    const FINE: u64 = 60;
    // Beyond, the daemon distrusts the clock.
    const ODD: u64 = 600;
    const CURE: &str = "Set it, or let it find a time server";
    let off = ours.abs_diff(theirs);
    let side = if ours < theirs { "behind" } else { "ahead of" };
    let told = || {
        format!(
            "{} {side} the server's: here {}, there {}",
            span(off, 2),
            utc(ours),
            utc(theirs)
        )
    };
    match off {
        0..=FINE => Finding::ok(CHECK, "agrees with the server's"),
        _ if off <= ODD => Finding::warn(CHECK, told(), CURE),
        _ => Finding::fail(CHECK, told(), CURE),
    }
}

/// Why a connection failed: the client says it to the log and nowhere else.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Option<String>>>);

impl Heard {
    pub(super) fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Subscriber for Heard {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let below = [
            concat!(env!("CARGO_CRATE_NAME"), "::transport"),
            concat!(env!("CARGO_CRATE_NAME"), "::discovery"),
        ];
        metadata.is_event() && below.iter().any(|module| metadata.target().starts_with(module))
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Errors(&self.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Errors<'a>(&'a Mutex<Option<String>>);

impl Visit for Errors<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if matches!(field.name(), "error" | "why") {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::check::Verdict;
    use c2c_auth_core::{Fault, LocalFault, WallTime};

    fn found(answer: PrepareAnswer, date: Option<u64>) -> Vec<Finding> {
        found_at(answer, date, None)
    }

    fn found_at(answer: PrepareAnswer, date: Option<u64>, nowhere: Option<&str>) -> Vec<Finding> {
        let outcome = Outcome {
            date: date.map(WallTime::from_secs),
            ..Outcome::from(Answer::Prepare(answer))
        };
        let mut found = Rows::default();
        judge("example.org", &outcome, nowhere, Some("why"), 1_000_000, &mut found);
        found.into_found().expect("nothing is printed")
    }

    #[test]
    fn the_clock_is_held_against_the_servers() {
        let verdict = |date| {
            found(PrepareAnswer::Ready, Some(date))
                .pop()
                .map(|last| (last.check, last.verdict))
        };
        assert_eq!(verdict(1_000_030), Some(("time", Verdict::Ok)));
        assert_eq!(verdict(999_500), Some(("time", Verdict::Warn)));
        assert_eq!(verdict(2_000_000), Some(("time", Verdict::Fail)));
    }

    #[test]
    fn a_clock_that_is_off_is_told_in_two_units_and_with_both_dates() {
        let line = compare(951_782_399, 951_782_399 + 1_572_800).what;
        assert_eq!(
            line,
            "18 days 4 hours behind the server's: here 2000-02-28T23:59:59Z, there 2000-03-18T04:53:19Z"
        );
    }

    #[test]
    fn a_page_that_answers_for_the_server_is_neither_the_server_nor_a_clock() {
        let outcome = Outcome {
            date: Some(WallTime::from_secs(2_000_000)),
            foreign: true,
            ..Outcome::from(Answer::Prepare(PrepareAnswer::Ready))
        };
        let mut found = Rows::default();
        judge("example.org", &outcome, None, None, 1_000_000, &mut found);
        let mut found = found.into_found().expect("nothing is printed");
        let last = found.pop().map(|last| (last.check, last.verdict, last.what));
        let what = "something in between answered instead of the server: a login page of this network?".to_owned();
        assert_eq!(last, Some(("server", Verdict::Fail, what)));
        assert!(found.iter().all(|finding| finding.check != "time"), "{found:?}");
    }

    #[test]
    fn each_fault_fails_with_a_reason_and_a_cure() {
        for kind in [
            FaultKind::Offline,
            FaultKind::ClockNotSet,
            FaultKind::Untrusted,
            FaultKind::Lost,
            FaultKind::Garbled,
            FaultKind::RateLimited,
            FaultKind::Refused,
            FaultKind::Local(LocalFault::AnotherIssuer),
        ] {
            let fault = Fault {
                kind,
                retry_after: None,
            };
            let found = found(PrepareAnswer::Failed(fault), Some(5));
            let (last, before) = found.split_last().expect("a row");
            assert_eq!(last.verdict, Verdict::Fail);
            assert!(last.what.contains("(why)") && !last.cure.is_empty(), "{found:?}");
            let trusted = before.iter().map(|row| (row.check, row.verdict));
            assert!(
                trusted.eq((last.check == "server").then_some(("tls", Verdict::Ok))),
                "{found:?}"
            );
        }
    }

    #[test]
    fn an_issuer_without_a_description_is_not_blamed_on_the_network() {
        let refused = PrepareAnswer::Failed(Fault {
            kind: FaultKind::Refused,
            retry_after: None,
        });
        let found = found_at(
            refused,
            None,
            Some("https://example.org/.well-known/openid-configuration"),
        );
        let line = found[1].line();
        assert!(found.len() == 2 && found[1].verdict == Verdict::Fail, "{found:?}");
        assert!(
            line.contains(".well-known/") && line.contains("provider.issuer") && !line.contains("network"),
            "{line}"
        );
    }

    #[test]
    fn each_row_of_the_way_is_there_once_and_names_the_failure_that_explains_it() {
        let rows = |before: Vec<Finding>, offline| {
            let mut found = Rows::default();
            found.extend(before);
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let runtime = runtime.expect("a runtime");
            runtime.block_on(server(&Site::host(), None, offline, &mut found));
            let found = found.into_found().expect("nothing is printed");
            let way = found.into_iter().filter(|row| WAY.contains(&row.check));
            way.map(|row| (row.check, row.what)).collect::<Vec<_>>()
        };
        let all = |what: &str| WAY.map(|check| (check, what.to_owned()));
        let broken = || Finding::fail("configuration", "line 2", "");
        assert_eq!(rows(vec![broken()], false), all("see configuration"));
        assert_eq!(rows(vec![broken()], true), all("not looked at: --offline"));
        for (at, check) in WAY.iter().enumerate() {
            let failed = WAY[..at].iter().map(|check| Finding::ok(check, "ok"));
            let failed = failed.chain([Finding::fail(check, "bad", "")]).collect();
            let rest = WAY[at + 1..].iter().map(|later| (*later, format!("see {check}")));
            assert!(rows(failed, false)[at + 1..].iter().cloned().eq(rest), "{check}");
        }
        let clock = vec![Finding::fail("clock", "1970", ""), Finding::skip("tls", "clock")];
        let found = rows(clock, false);
        let later = found.iter().filter(|(check, _)| ["server", "time"].contains(check));
        assert!(
            later.clone().count() == 2 && later.clone().all(|(_, what)| what == "see clock"),
            "{found:?}"
        );
    }

    #[test]
    fn a_certificate_that_only_a_wrong_clock_refuses_is_put_down_to_the_clock() {
        let mut found = Rows::default();
        found.push(Finding::fail("clock", "1970", ""));
        let fault = |kind| Fault {
            kind,
            retry_after: None,
        };
        for (kind, verdict) in [
            (FaultKind::ClockNotSet, Verdict::Skip),
            (FaultKind::Untrusted, Verdict::Fail),
        ] {
            let outcome = Outcome::from(Answer::Prepare(PrepareAnswer::Failed(fault(kind))));
            judge("example.org", &outcome, None, None, 0, &mut found);
            assert_eq!(found.all().last().map(|row| row.verdict), Some(verdict));
        }
    }
}
