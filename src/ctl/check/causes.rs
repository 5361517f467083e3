//! The causes of failed checks, in one table: what is to be mended first, and what an earlier
//! failure explains.
//!
//! Invariant: the ids are API. docs/faults.md lists them.

use serde::Serialize;

use super::{Finding, Verdict};

/// The fault that a check can find.
pub(super) struct Cause {
    pub(super) check: &'static str,
    pub(super) id: &'static str,
    /// The fault in one sentence, short enough to be read out.
    pub(super) sentence: &'static str,
    /// The checks whose failure explains this one.
    pub(super) explained_by: &'static [&'static str],
}

/// The fault that has to be mended first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct First {
    /// Empty: no fault of the device was found, but something that was asked cannot be told.
    pub(super) id: String,
    pub(super) sentence: String,
}

/// Each fault in the order of the rows: causes before their effects.
pub(super) const CAUSES: [Cause; 25] = [
    cause("configuration", "C2C-E01", "the configuration cannot be used", &[]),
    // Before what a package without its user may lack as well.
    cause("user", "C2C-E03", "the user of the daemon does not exist", &[]),
    cause("role-ui", "C2C-E18", "only root may pair this device", &[]),
    cause(
        "role-uploader",
        "C2C-E19",
        "only root may have a token of this device",
        &[],
    ),
    cause(
        "client-id",
        "C2C-E02",
        "this device has no client id",
        &["configuration"],
    ),
    cause("secrets", "C2C-E20", "this user may not read the secrets", &[]),
    cause(
        "client-secret",
        "C2C-E04",
        "the daemon has no client secret that it can use",
        &["configuration"],
    ),
    cause(
        "state-key",
        "C2C-E05",
        "the daemon has no state key that it can use",
        &["configuration"],
    ),
    cause(
        "state",
        "C2C-E06",
        "the daemon cannot use its state directory",
        &["configuration"],
    ),
    cause("runtime", "C2C-E17", "the daemon cannot use its runtime directory", &[]),
    cause(
        "bus-policy",
        "C2C-E07",
        "the bus policy of the daemon is not installed",
        &[],
    ),
    cause("activation", "C2C-E21", "a call does not start the daemon", &[]),
    cause("unit", "C2C-E08", "systemd cannot keep the daemon running", &[]),
    cause("clock", "C2C-E09", "the clock of this device is wrong", &[]),
    cause("proxy", "C2C-E22", "a proxy is set that the daemon cannot use", &[]),
    // The rows of the way. Where one fails, the rest was not tried.
    cause(
        "network",
        "C2C-E14",
        "this device has no way to the server",
        &["configuration", "proxy"],
    ),
    cause(
        "dns",
        "C2C-E10",
        "the name of the server has no address here",
        &["network"],
    ),
    cause("tcp", "C2C-E15", "the server takes no connection from here", &["dns"]),
    cause("ca-file", "C2C-E23", "a certificate of tls.ca-file cannot be used", &[]),
    cause(
        "tls",
        "C2C-E11",
        "there is no trusted connection to the server",
        &["tcp"],
    ),
    cause(
        "server",
        "C2C-E12",
        "the server gives no answer that can be used",
        &["tls"],
    ),
    cause(
        "time",
        "C2C-E09",
        "the clock of this device is wrong",
        &["clock", "server"],
    ),
    cause(
        "daemon",
        "C2C-E13",
        "the daemon does not answer, or says that somebody has to act",
        &["configuration", "user", "bus-policy", "unit"],
    ),
    // Asked for by --paired alone. A silent daemon is the one failure that others explain.
    cause(
        "pairing",
        "C2C-E16",
        "this device is not paired",
        &["configuration", "user", "bus-policy", "unit", "daemon"],
    ),
    // The only row of --accepted.
    cause("accepted", "C2C-E24", "the server does not accept this device", &[]),
];

const fn cause(
    check: &'static str,
    id: &'static str,
    sentence: &'static str,
    explained_by: &'static [&'static str],
) -> Cause {
    Cause {
        check,
        id,
        sentence,
        explained_by,
    }
}

/// `None`: this check finds no fault.
pub(super) fn of(check: &str) -> Option<&'static Cause> {
    CAUSES.iter().find(|cause| cause.check == check)
}

/// The first failure, which no earlier one explains.
pub(super) fn first(found: &[Finding]) -> Option<First> {
    let failure = found.iter().find(|finding| finding.verdict == Verdict::Fail)?;
    let sentence = of(failure.check).map_or(&*failure.what, |cause| cause.sentence);
    Some(First {
        id: failure.id.to_owned(),
        sentence: failure.sentence.as_deref().map_or_else(|| sentence.to_owned(), brief),
    })
}

/// As much of a sentence as can be read out.
fn brief(sentence: &str) -> String {
    // With what stands around it in the last line, 100 characters.
    const LONGEST: usize = 79;
    let fits = |text: &str| text.chars().count() <= LONGEST;
    if fits(sentence) {
        return sentence.to_owned();
    }
    let part = sentence.split([',', ';', ':']).next().unwrap_or(sentence);
    if fits(part) {
        return part.to_owned();
    }
    part.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// This row, unless a check that failed before explains it.
pub(super) fn unless_explained(found: &[Finding], row: Finding) -> Finding {
    let explained_by = of(row.check).map_or(&[][..], |cause| cause.explained_by);
    match explained(found, explained_by) {
        Some(earlier) => Finding::skip(row.check, earlier),
        None => row,
    }
}

/// The check that failed by itself, among these and those that explain them.
pub(super) fn explained(found: &[Finding], by: &[&'static str]) -> Option<&'static str> {
    let rows = |check| found.iter().filter(move |finding| finding.check == check);
    by.iter().find_map(|check| {
        rows(*check).find_map(|finding| match finding.verdict {
            Verdict::Fail => Some(finding.check),
            Verdict::Skip => finding.see,
            Verdict::Ok | Verdict::Warn => None,
        })
    })
}
