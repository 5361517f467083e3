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
        refused.end().contains("Fix first: this user may not ask"),
        "{}",
        refused.end()
    );
    assert!(!refused.end().contains("C2C-E16") && !refused.end().contains("not paired"));
    assert_eq!(row.id, "");
    let more = Report::new(vec![row, Finding::fail("clock", "bad", "")]);
    assert_eq!(more.exit(Some(Exit::Denied)), Exit::Failed);
    let silent = [Finding::fail("daemon", "it does not answer", "")];
    assert_eq!(service::pairing(Err(Exit::Unreachable), &silent).verdict, Verdict::Skip);
}

#[test]
fn rows_come_in_the_order_of_their_causes_so_that_the_first_failure_is_the_cause() {
    let mut world = World::new();
    world.site.service = None;
    let found = world.look();
    let place = |row: &Finding| causes::CAUSES.iter().position(|cause| cause.check == row.check);
    assert!(found.is_sorted_by_key(place), "{found:?}");
    assert_eq!(causes::first(&found).map(|first| first.id).as_deref(), Some("C2C-E03"));
}

#[test]
fn a_cure_after_a_question_is_a_sentence() {
    let line = Finding::fail("server", "a login page?", "Log in").line();
    assert!(line.ends_with("a login page? Log in"), "{line}");
}
