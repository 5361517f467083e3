//! The causes of failed checks, in one table: what is to be mended first, and what an earlier
//! failure explains.
//!
//! Invariant: the ids are API. docs/faults.md lists them.

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

/// Each fault, causes before their effects.
pub(super) const CAUSES: [Cause; 17] = [
    cause("configuration", "C2C-E01", "the configuration cannot be used", &[]),
    // Before what a package without its user may lack as well.
    cause("user", "C2C-E03", "the user of the daemon does not exist", &[]),
    cause(
        "client-id",
        "C2C-E02",
        "this device has no client id",
        &["configuration"],
    ),
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
    cause("unit", "C2C-E08", "systemd cannot keep the daemon running", &[]),
    cause("clock", "C2C-E09", "the clock of this device is wrong", &[]),
    cause("network", "C2C-E14", "this device has no way to the server", &[]),
    cause(
        "dns",
        "C2C-E10",
        "the name of the server has no address here",
        &["network"],
    ),
    cause(
        "tcp",
        "C2C-E15",
        "the server takes no connection from here",
        &["network", "dns"],
    ),
    cause(
        "tls",
        "C2C-E11",
        "there is no trusted connection to the server",
        &["network", "dns", "tcp", "clock"],
    ),
    cause(
        "server",
        "C2C-E12",
        "the server gives no answer that can be used",
        &["configuration", "network", "dns", "tcp", "tls"],
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

/// `None`: this check only warns.
pub(super) fn of(check: &str) -> Option<&'static Cause> {
    CAUSES.iter().find(|cause| cause.check == check)
}

/// The sentence about the first cause among what failed, with its id.
pub(super) fn first(found: &[Finding]) -> Option<String> {
    let (cause, failure) = CAUSES
        .iter()
        .find_map(|cause| failed(found, cause.check).map(|failure| (cause, failure)))?;
    let sentence = failure.sentence.as_deref().map_or(cause.sentence, brief);
    Some(match failure.id {
        "" => sentence.to_owned(),
        id => format!("{sentence} ({id})"),
    })
}

/// As much of a sentence as can be read out.
fn brief(sentence: &str) -> &str {
    const LONGEST: usize = 79;
    if sentence.chars().count() <= LONGEST {
        return sentence;
    }
    sentence.split([',', ';', ':']).next().unwrap_or(sentence)
}

/// This failure, unless a check that failed before explains it.
pub(super) fn unless_explained(found: &[Finding], failure: Finding) -> Finding {
    let explained_by = of(failure.check).map_or(&[][..], |cause| cause.explained_by);
    match explained_by.iter().find(|check| failed(found, check).is_some()) {
        Some(earlier) => Finding::new(Verdict::Skip, failure.check, format!("see {earlier}"), ""),
        None => failure,
    }
}

fn failed<'a>(found: &'a [Finding], check: &str) -> Option<&'a Finding> {
    found
        .iter()
        .find(|finding| finding.verdict == Verdict::Fail && finding.check == check)
}
