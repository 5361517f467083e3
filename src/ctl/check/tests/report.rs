//! The report as a whole: its last line, its ids, and which failure explains which row.

use super::*;

#[test]
fn the_report_ends_with_its_first_failure_and_its_worst_is_the_whole() {
    let report = Report::new(vec![
        Finding::ok("configuration", "fine"),
        Finding::warn("unit", "so\nso.", "Look"),
        Finding::fail("clock", "bad", "Set it"),
        Finding::fail("tls", "bad", "Do this"),
    ]);
    assert_eq!(report.verdict, Verdict::Fail);
    let lines: Vec<_> = report.checks.iter().map(Finding::line).collect();
    assert_eq!(
        lines,
        [
            "ok    configuration  fine",
            "warn  unit           so so. Look",
            "FAIL  clock          bad. Set it",
            "FAIL  tls            bad. Do this"
        ]
    );
    assert_eq!(
        report.end(),
        "\nFix first: the clock of this device is wrong (C2C-E09)\n"
    );
    assert_eq!(Report::new(Vec::new()).end(), "\nAll is well.\n");
    let left_out = Report::new(vec![Finding::new(Verdict::Skip, "dns", "not looked at", "")]);
    assert_eq!(left_out.verdict, Verdict::Ok);
}

#[test]
fn each_cause_has_a_short_sentence_and_the_id_that_is_documented() {
    let documented: Vec<_> = include_str!("../../../../docs/faults.md")
        .lines()
        .filter(|line| line.starts_with("| C2C-E"))
        .map(str::to_owned)
        .collect();
    let known = causes::CAUSES.map(|cause| format!("| {} | `{}` | {} |", cause.id, cause.check, cause.sentence));
    assert_eq!(documented, known);
    for cause in causes::CAUSES {
        let end = Report::new(vec![Finding::fail(cause.check, "bad", "")]).end();
        assert!(end.trim().len() <= 100, "{end}");
    }
}

#[test]
fn what_the_daemon_asks_for_is_what_is_to_be_fixed_first() {
    let asked = |sentence: &str| {
        let failure = Finding {
            sentence: Some(sentence.to_owned()),
            ..Finding::fail("daemon", "Paired with Testbed; needs attention: and why", "")
        };
        Report::new(vec![failure]).end()
    };
    assert_eq!(
        asked(messages::reason(Reason::ClientRejected).what).trim(),
        "Fix first: the server refuses this client: its id, its secret or what it asks for (C2C-E13)"
    );
    let of_a_newer_daemon = "a-word-".repeat(20);
    let reasons = Reason::ALL.iter().map(|reason| messages::reason(*reason).what);
    for reason in reasons.chain([&*of_a_newer_daemon]) {
        let end = asked(reason);
        assert!(end.trim().chars().count() <= 100, "{end}");
    }
}

#[test]
fn a_cause_is_explained_by_causes_before_it_alone() {
    for (at, cause) in causes::CAUSES.iter().enumerate() {
        for earlier in cause.explained_by {
            let before = &causes::CAUSES[..at];
            assert!(before.iter().any(|cause| cause.check == *earlier), "{earlier}");
        }
    }
}

#[test]
fn each_failure_of_a_bare_machine_has_a_cause_with_an_id() {
    let found = World::new().look();
    assert!(found.iter().any(|finding| finding.verdict == Verdict::Fail));
    for finding in found {
        assert!(
            !finding.id.is_empty() || finding.verdict != Verdict::Fail,
            "{}",
            finding.line()
        );
    }
}

#[test]
fn a_program_reads_the_id_of_each_fault_and_the_first() {
    let rows = vec![
        Finding::warn("role-ui", "", ""),
        Finding::fail("tls", "bad", ""),
        Finding::fail("daemon", "bad", ""),
    ];
    let told = serde_json::to_value(Report::new(rows)).unwrap();
    assert_eq!(told["checks"][0]["id"], "C2C-E18");
    assert_eq!(told["first"]["id"], "C2C-E11");
    assert_eq!(
        told["first"]["sentence"],
        "there is no trusted connection to the server"
    );
    let well = serde_json::to_value(Report::new(vec![Finding::warn("unit", "", "")])).unwrap();
    assert_eq!(well["first"], serde_json::Value::Null);
}

#[test]
fn what_a_failure_before_explains_is_not_a_failure_of_its_own() {
    let silent = || Finding::fail("daemon", "it does not answer", "");
    let unit = [Finding::fail("unit", "masked", "")];
    let explained = causes::unless_explained(&unit, silent());
    assert_eq!(explained.line(), "skip  daemon         see unit");
    for other in [Finding::fail("state", "full", ""), Finding::warn("unit", "", "")] {
        assert_eq!(causes::unless_explained(&[other], silent()), silent());
    }
    let not_the_cause = [
        Finding::fail("client-secret", "sealed elsewhere", ""),
        Finding::skip("unit", "client-secret"),
    ];
    let explained = causes::unless_explained(&not_the_cause, silent());
    assert_eq!(explained.line(), "skip  daemon         see client-secret");
}
