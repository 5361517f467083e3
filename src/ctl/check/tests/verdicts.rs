//! The words of a row where another one, or the daemon's refusal, is the cause.

use super::*;

#[test]
fn what_a_broken_configuration_may_name_is_not_judged() {
    let world = World::new();
    world.write("/etc/c2c-authd/config.toml", "[refresh\n");
    let found = world.look();
    for check in ["client-id", "client-secret", "state-key", "state"] {
        let rows = found.iter().filter(|finding| finding.check == check);
        for row in rows {
            assert_eq!(
                (row.verdict, &*row.what),
                (Verdict::Skip, "see configuration"),
                "{check}"
            );
        }
    }
    world.expect("state", Verdict::Skip, "see configuration");
    world.expect("client-id", Verdict::Skip, "see configuration");
}

#[test]
fn a_user_whom_the_daemon_refuses_is_not_told_that_the_device_is_not_paired() {
    let before = vec![Finding::warn("daemon", "access denied", "")];
    let row = service::pairing(Err(Exit::Denied), &before);
    let refused = Report::new([before.clone(), vec![row.clone()]].concat());
    assert_eq!(refused.exit(Some(Exit::Denied)), Exit::Denied);
    assert!(
        refused.text().contains("Fix first: this user may not ask"),
        "{}",
        refused.text()
    );
    assert!(!refused.text().contains("C2C-E16") && !refused.text().contains("not paired"));
    assert_eq!(row.id, "");
    let more = Report::new(vec![row, Finding::fail("clock", "bad", "")]);
    assert_eq!(more.exit(Some(Exit::Denied)), Exit::Failed);
    let silent = [Finding::fail("daemon", "it does not answer", "")];
    assert_eq!(service::pairing(Err(Exit::Unreachable), &silent).verdict, Verdict::Skip);
}

#[test]
fn a_missing_user_comes_before_a_missing_client_id() {
    let found = [
        Finding::fail("client-id", "none", ""),
        Finding::fail("user", "none", ""),
    ];
    assert!(causes::first(&found).unwrap().contains("C2C-E03"));
}

#[test]
fn a_cure_after_a_question_is_a_sentence() {
    let line = Finding::fail("server", "a login page?", "Log in").line();
    assert!(line.ends_with("a login page? Log in"), "{line}");
}
