//! `check`: finds what is wrong before the user does. One line per check, with the cure.
//!
//! Changes nothing, and works with the daemon and the bus dead.

use std::fmt::Write as _;

use serde::Serialize;

use super::exit::{Exit, Failure};
use super::output::{one_line, tell};
use super::site::Site;
use crate::messages::contract::BusAddress;

mod causes;
mod local;
mod network;
mod proxy;
mod secrets;
mod server;
mod service;

pub(super) use service::policies;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Ok,
    /// Not looked at, or explained by a check that failed before.
    Skip,
    /// It works, and may not for long, or not for all.
    Warn,
    Fail,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    /// Names the fault that this check can find. Empty: it only warns.
    id: &'static str,
    verdict: Verdict,
    what: String,
    cure: String,
    /// The fault in one sentence, where this finding knows it better than its cause.
    #[serde(skip)]
    sentence: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self::new(Verdict::Ok, check, what, "")
    }

    fn warn(check: &'static str, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::new(Verdict::Warn, check, what, cure)
    }

    fn fail(check: &'static str, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::new(Verdict::Fail, check, what, cure)
    }

    fn new(verdict: Verdict, check: &'static str, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            check,
            id: causes::of(check).map_or("", |cause| cause.id),
            verdict,
            what: what.into(),
            cure: cure.into(),
            sentence: None,
        }
    }

    /// One line: what comes from elsewhere may have had several.
    fn line(&self) -> String {
        let text = if self.cure.is_empty() {
            self.what.clone()
        } else {
            let end = if self.what.ends_with('?') { "" } else { "." };
            format!("{}{end} {}", self.what.trim_end_matches('.'), self.cure)
        };
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{:<4}  {:<13}  {}", self.verdict.word(), self.check, one_line(&text))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Report {
    verdict: Verdict,
    checks: Vec<Finding>,
}

impl Report {
    fn new(checks: Vec<Finding>) -> Self {
        let worst = checks.iter().map(|finding| finding.verdict).max();
        Self {
            verdict: worst.unwrap_or(Verdict::Ok),
            checks,
        }
    }

    /// `daemon`: why it said nothing. A refusal counts if nothing else failed.
    fn exit(&self, daemon: Option<Exit>) -> Exit {
        let mut failed = self.checks.iter().filter(|finding| finding.verdict == Verdict::Fail);
        match (self.verdict, daemon) {
            (Verdict::Fail, Some(Exit::Denied)) if failed.all(|finding| finding.check == "pairing") => Exit::Denied,
            (Verdict::Fail, _) => Exit::Failed,
            (Verdict::Ok | Verdict::Skip | Verdict::Warn, _) => Exit::Ok,
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        for finding in &self.checks {
            let _ = writeln!(out, "{}", finding.line());
        }
        let count = |verdict| self.checks.iter().filter(|finding| finding.verdict == verdict).count();
        let _ = match (causes::first(&self.checks), count(Verdict::Warn)) {
            (Some(first), _) => writeln!(out, "\nFix first: {first}"),
            (None, 0) => writeln!(out, "\nAll is well."),
            (None, warned) => writeln!(out, "\nNothing failed; warnings: {warned}."),
        };
        out
    }
}

/// `paired`: a device without a pairing fails too.
pub(super) async fn check(bus: &BusAddress, json: bool, offline: bool, paired: bool) -> Result<Exit, Failure> {
    let (report, daemon) = look(bus, offline, paired).await;
    tell(&report, json, || report.text(), &[])?;
    Ok(report.exit(daemon))
}

/// The text that it prints.
pub(super) async fn text(bus: &BusAddress) -> String {
    look(bus, false, false).await.0.text()
}

async fn look(bus: &BusAddress, offline: bool, paired: bool) -> (Report, Option<Exit>) {
    let site = Site::host();
    let mut found = Vec::new();
    let config = local::configuration(&site, &mut found);
    local::users(&site, config.as_ref(), &mut found);
    secrets::secrets(&site, config.as_ref(), &mut found);
    local::state(&site, config.as_ref(), &mut found);
    local::runtime(&site, &mut found);
    service::bus_files(&site, config.as_ref(), &mut found);
    service::unit(&mut found);
    local::clock(&mut found);
    if !offline {
        if let Some(config) = &config {
            server::server(&site, config, &mut found).await;
        } else {
            let unseen = Finding::new(Verdict::Skip, "server", "not looked at", "");
            found.push(causes::unless_explained(&found, unseen));
        }
    }
    // Last: what it reports may be the effect of all else.
    let status = service::daemon(&site, bus, &mut found).await;
    if paired {
        found.push(service::pairing(status.as_ref().map_err(|exit| *exit), &found));
    }
    (Report::new(found), status.err())
}

#[cfg(test)]
mod tests;
