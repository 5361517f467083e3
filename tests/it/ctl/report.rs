//! `report`: what support needs, and nothing that is secret or names somebody.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use c2c_testkit::harness::{Harness, quick};
use c2c_testkit::rig::CLIENT_ID;

use super::{ended, paired, run, shown, start};
use crate::DAEMON;
use crate::paths::canaries::{Canary, canaries};

/// Refreshed and rejected, with a code on show.
#[test]
fn no_secret_and_no_name_is_in_a_report() {
    let world = Harness::c2c(DAEMON, quick());
    let daemon = paired(&world);
    world.server.end_access_token(CLIENT_ID).unwrap();
    let token: serde_json::Value = serde_json::from_str(&run(&world, "token --json").out).unwrap();
    assert_eq!(run(&world, &format!("reject {}", token["generation"])).code, Some(0));
    assert_eq!(run(&world, "token").code, Some(0));
    let mut pair = start(&world, "pair --replace");
    shown(&pair);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.txt");
    let done = run(&world, &format!("report {}", path.display()));
    assert_eq!((done.code, done.out.as_str()), (Some(0), ""), "{}", done.err);
    let report = fs::read_to_string(&path).unwrap();
    let found = fs::metadata(&path).unwrap();
    assert_eq!(found.mode() & 0o7777, 0o600);
    assert!(found.len() <= 1024 * 1024);
    for part in [
        "versions",
        "status",
        "check",
        "configuration",
        "unit",
        "bus policy",
        "groups",
        "journal",
    ] {
        assert!(report.contains(&format!("\n==== {part}")), "{part}: {report}");
    }
    assert!(report.contains("\"paired\": true"), "the daemon was asked: {report}");
    let status: serde_json::Value = serde_json::from_str(&run(&world, "status --json").out).unwrap();
    let mut hidden = canaries(&world);
    for field in ["client-id", "project-id", "project-name", "device-name"] {
        let value = status[field].as_str().unwrap();
        assert!(!value.is_empty(), "{field}");
        hidden.push(Canary::new(field, value.as_bytes(), &[]));
    }
    hidden.push(Canary::new("the creator", b"Canary-Person", &[]));
    for canary in &hidden {
        assert!(
            !canary.is_in(report.as_bytes()),
            "{} is in the report: {report}",
            canary.what
        );
        // The search finds it where it is.
        assert!(canary.is_in(&[report.as_bytes(), canary.plain()].concat()));
    }
    pair.terminate().unwrap();
    assert_eq!(ended(&mut pair), Some(130));
    drop(daemon);
}

#[test]
fn a_report_is_a_new_file_and_needs_neither_daemon_nor_bus() {
    let world = Harness::c2c(DAEMON, quick());
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there");
    fs::write(&there, "mine").unwrap();
    let link = folder.path().join("link");
    symlink(folder.path().join("elsewhere"), &link).unwrap();
    for path in [&there, &link] {
        let refused = run(&world, &format!("report {}", path.display()));
        assert_eq!(refused.code, Some(1), "{}", refused.out);
        assert!(refused.err.contains("nothing was replaced"), "{}", refused.err);
    }
    assert_eq!(fs::read_to_string(&there).unwrap(), "mine");
    assert!(!folder.path().join("elsewhere").exists());
    assert_eq!(run(&world, "report").code, Some(2));

    for bus in [world.bus.address(), "unix:path=/nonexistent/bus"] {
        let mut command = super::command(&world, "report -");
        // The last one counts.
        let done = command.args(["--bus", bus]).output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{bus}");
        let report = String::from_utf8(done.stdout).unwrap();
        assert!(
            report.contains("\"running\": false") && report.contains("\n==== journal"),
            "{report}"
        );
    }
}
