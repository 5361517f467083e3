//! `check`: finds what is wrong before the user does. One line per check, with the cure, printed as
//! soon as it is known.
//!
//! Changes nothing, and works with the daemon and the bus dead.
//!
//! Invariant: rows come in the order of [`causes::CAUSES`], so the first that fails is to be mended
//! first.

use serde::Serialize;

use super::connect::{connect_to_look, is_owned};
use super::exit::{Exit, Failure};
use super::output::{one_line, print, tell};
use super::site::Site;
use super::systemd::Unit;
use crate::messages::contract::BusAddress;

mod accepted;
mod causes;
mod local;
mod network;
mod proxy;
mod readable;
mod rows;
mod secrets;
mod server;
mod service;

pub(super) use accepted::{check as check_accepted, may_ask, verify};
use causes::First;
use rows::Rows;
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
    /// Names the fault that this check can find, whatever it found.
    id: &'static str,
    verdict: Verdict,
    what: String,
    cure: String,
    /// The fault in one sentence, where this finding knows it better than its cause.
    #[serde(skip)]
    sentence: Option<String>,
    /// The check whose failure explains this row.
    #[serde(skip)]
    see: Option<&'static str>,
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

    /// `earlier`: the check whose failure explains this one.
    fn skip(check: &'static str, earlier: &'static str) -> Self {
        Self {
            see: Some(earlier),
            ..Self::new(Verdict::Skip, check, format!("see {earlier}"), "")
        }
    }

    fn new(verdict: Verdict, check: &'static str, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            check,
            id: causes::of(check).map_or("", |cause| cause.id),
            verdict,
            what: what.into(),
            cure: cure.into(),
            sentence: None,
            see: None,
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

/// `docs/check.schema.json` has the fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Report {
    verdict: Verdict,
    /// `null`: nothing failed.
    first: Option<First>,
    checks: Vec<Finding>,
}

impl Report {
    fn new(checks: Vec<Finding>) -> Self {
        // A row that was left out says nothing of the device.
        let seen = checks.iter().filter(|finding| finding.verdict != Verdict::Skip);
        Self {
            verdict: seen.map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok),
            first: causes::first(&checks),
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

    /// The last line, below the rows.
    fn end(&self) -> String {
        let is_warning = |finding: &&Finding| finding.verdict == Verdict::Warn;
        match (&self.first, self.checks.iter().filter(is_warning).count()) {
            (Some(First { id, sentence }), _) if id.is_empty() => format!("\nFix first: {sentence}\n"),
            (Some(First { id, sentence }), _) => format!("\nFix first: {sentence} ({id})\n"),
            (None, 0) => "\nAll is well.\n".to_owned(),
            (None, warned) => format!("\nNothing failed; warnings: {warned}.\n"),
        }
    }
}

/// `paired`: a device without a pairing fails too.
pub(super) async fn check(bus: &BusAddress, json: bool, offline: bool, paired: bool) -> Result<Exit, Failure> {
    let mut found = Rows::printing(!json);
    let daemon = look(bus, offline, paired, &mut found).await;
    let report = Report::new(found.into_found()?);
    if json {
        tell(&report, true, String::new, &[])?;
    } else {
        print(&report.end())?;
    }
    Ok(report.exit(daemon))
}

/// The text that it prints.
pub(super) async fn text(bus: &BusAddress) -> String {
    let mut found = Rows::default();
    look(bus, false, false, &mut found).await;
    let lines: String = found.all().iter().map(|finding| finding.line() + "\n").collect();
    lines + &Report::new(found.all().to_vec()).end()
}

/// Returns why the daemon said nothing.
async fn look(bus: &BusAddress, offline: bool, paired: bool, found: &mut Rows) -> Option<Exit> {
    let site = Site::host();
    let config = local::configuration(&site, found);
    local::users(&site, config.as_ref(), found);
    local::identity(config.as_ref(), found);
    secrets::secrets(&site, config.as_ref(), found);
    let unit = Unit::read();
    let connected = connect_to_look(bus).await;
    let runs = match (bus, &connected) {
        (BusAddress::System, Ok((connection, _))) => is_owned(connection).await.unwrap_or(false),
        (BusAddress::System, Err(_)) => unit.as_ref().is_some_and(Unit::runs),
        // The directories of this machine are another daemon's, as far as is known.
        (BusAddress::Session | BusAddress::Address(_), _) => false,
    };
    local::state(&site, config.as_ref(), runs, found);
    local::runtime(&site, runs, found);
    service::bus_files(&site, config.as_ref(), found);
    service::unit(unit.as_ref(), found);
    local::clock(found);
    server::server(&site, config.as_ref(), offline, found).await;
    local::firmware(config.as_ref(), found);
    // Last: what it reports may be the effect of all else.
    let status = service::daemon(&site, connected, found).await;
    if paired {
        found.push(service::pairing(status.as_ref().map_err(|exit| *exit), found.all()));
    }
    status.err()
}

#[cfg(test)]
mod tests;
