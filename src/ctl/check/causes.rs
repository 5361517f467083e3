//! The cause behind each failed check in one sentence, and the one to be mended first.
//!
//! Invariant: the ids are API. docs/faults.md lists them.

use super::{Finding, Verdict};

/// Check, id and sentence of each fault, causes before their effects.
pub(super) const CAUSES: [(&str, &str, &str); 13] = [
    ("configuration", "C2C-E01", "the configuration cannot be used"),
    ("client-id", "C2C-E02", "this device has no client id"),
    ("user", "C2C-E03", "the user of the daemon does not exist"),
    (
        "client-secret",
        "C2C-E04",
        "the daemon has no client secret that it can use",
    ),
    ("state-key", "C2C-E05", "the daemon has no state key that it can use"),
    ("state", "C2C-E06", "the daemon cannot use its state directory"),
    ("bus-policy", "C2C-E07", "the bus policy of the daemon is not installed"),
    ("unit", "C2C-E08", "systemd cannot keep the daemon running"),
    ("clock", "C2C-E09", "the clock of this device is wrong"),
    ("dns", "C2C-E10", "the name of the server has no address here"),
    ("tls", "C2C-E11", "there is no trusted connection to the server"),
    ("server", "C2C-E12", "the server gives no answer that can be used"),
    (
        "daemon",
        "C2C-E13",
        "the daemon does not answer, or says that somebody has to act",
    ),
];

/// The sentence about the first cause among what failed, with its id.
pub(super) fn first(found: &[Finding]) -> Option<String> {
    let failed = |check: &str| {
        found
            .iter()
            .any(|finding| finding.verdict == Verdict::Fail && finding.check == check)
    };
    let (_, id, sentence) = CAUSES.iter().find(|(check, ..)| failed(check))?;
    Some(format!("{sentence} ({id})"))
}

/// This failure, unless one of these checks failed before and explains it.
pub(super) fn unless(found: &[Finding], causes: &[&'static str], failure: Finding) -> Finding {
    let earlier = found
        .iter()
        .find(|finding| finding.verdict == Verdict::Fail && causes.contains(&finding.check));
    match earlier {
        Some(cause) => Finding::new(Verdict::Skip, failure.check, format!("see {}", cause.check), ""),
        None => failure,
    }
}
