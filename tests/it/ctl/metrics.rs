//! `metrics`: as the programs that read them see it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use c2c_testkit::harness::{Harness, quick};

use super::{paired, run};
use crate::DAEMON;

/// The samples by name. The text format of Prometheus, version 0.0.4: each has a help and a type
/// before it, once.
fn samples(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let (name, help) = line.strip_prefix("# HELP ").unwrap().split_once(' ').unwrap();
        assert!(help.ends_with('.'), "{line}");
        assert_eq!(lines.next().unwrap(), format!("# TYPE {name} gauge"));
        let (sample, value) = lines.next().unwrap().rsplit_once(' ').unwrap();
        assert!(sample.starts_with(name) && value.parse::<u64>().is_ok(), "{sample}");
        assert_eq!(found.insert(sample.to_owned(), value.to_owned()), None, "{sample}");
    }
    found
}

#[test]
fn the_metrics_of_a_device_are_one_file_that_names_nobody() {
    let world = Harness::c2c(DAEMON, quick());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c2c-authd.prom");
    let line = format!("metrics --textfile {}", folder.path().display());
    let write = || {
        let done = run(&world, &line);
        assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (Some(0), "", ""));
        let names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["c2c-authd.prom"], "nothing is left beside it");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o644);
        samples(&fs::read_to_string(&path).unwrap())
    };
    assert_eq!(write(), BTreeMap::from([("c2c_authd_up".to_owned(), "0".to_owned())]));

    let daemon = world.start_blocking();
    let unpaired = write();
    assert_eq!((&*unpaired["c2c_authd_up"], &*unpaired["c2c_authd_paired"]), ("1", "0"));
    assert!(
        !unpaired
            .keys()
            .any(|name| name.contains("timestamp") || name.contains("paused")),
        "{unpaired:?}"
    );
    drop(daemon);
    let _daemon = paired(&world);
    // The tool waits for no server: this is asked once the daemon has been answered.
    let told = write();
    let status: serde_json::Value = serde_json::from_str(&run(&world, "status --json").out).unwrap();
    for (name, field) in [
        ("paired_since", "paired-since"),
        ("token_expires", "token-expires"),
        ("refresh_by", "refresh-by"),
    ] {
        let name = format!("c2c_authd_{name}_timestamp_seconds");
        assert_eq!(told[&name], status[field].to_string(), "{name}");
    }
    assert_eq!(told["c2c_authd_paired"], "1");
    assert_eq!(told["c2c_authd_attention_needed"], "0");
    assert!(
        !told.contains_key("c2c_authd_authorization_expires_timestamp_seconds"),
        "no end was chosen"
    );
    let version = format!("c2c_authd_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(told[&version], "1");
    let text = fs::read_to_string(&path).unwrap();
    for field in ["client-id", "project-id", "project-name", "device-name"] {
        assert!(!text.contains(status[field].as_str().unwrap()), "{field}");
    }
    assert_eq!(
        samples(&run(&world, "metrics").out).keys().collect::<Vec<_>>(),
        told.keys().collect::<Vec<_>>()
    );
    let nowhere = run(&world, "metrics --textfile /nowhere");
    assert_eq!(nowhere.code, Some(1));
    assert!(nowhere.err.contains("/nowhere/c2c-authd.prom"), "{}", nowhere.err);
}
