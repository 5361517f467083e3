//! `token --json`, `reject`, and the uploader in bash of the man page, at a real server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use c2c_testkit::harness::{Harness, LIMIT, quick};
use c2c_testkit::rig::{CLIENT_ID, Notifications, Process};
use c2c_testkit::server::Endpoint;

use super::{TOOL, ended, fits, paired, run, shown, start};
use crate::DAEMON;

#[test]
fn a_token_has_a_generation_that_can_be_rejected() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = paired(&world);
    let served = run(&world, "token --min-validity 10min --json");
    assert_eq!((served.code, served.err.as_str()), (Some(0), ""));
    let told: serde_json::Value = serde_json::from_str(&served.out).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/token.schema.json");
    let schema: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    fits(&schema, &told, "token");
    assert_eq!(told["access-token"], world.live_access().unwrap());
    assert!(told["expires-in"].as_u64().unwrap() > 600);
    let generation = told["generation"].as_u64().unwrap();

    world.server.end_access_token(CLIENT_ID).unwrap();
    let rejected = run(&world, &format!("reject {generation}"));
    assert_eq!(
        (rejected.code, rejected.out.as_str()),
        (Some(0), ""),
        "{}",
        rejected.err
    );
    let served = run(&world, "token --json");
    let next: serde_json::Value = serde_json::from_str(&served.out).unwrap();
    assert!(next["generation"].as_u64().unwrap() > generation, "{}", served.err);
    let never = run(&world, "reject 4711");
    assert_eq!((never.code, never.out.as_str()), (Some(1), ""));
}

/// The program of the man page, as a reader copies it.
fn program() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/c2c-authctl.1");
    let page = fs::read_to_string(path).unwrap();
    let (_, rest) = page.split_once("\n#!/bin/bash\n").unwrap();
    let (program, _) = rest.split_once("\n.Ed\n").unwrap();
    program.replace("\\-", "-")
}

/// A program of this name that is another, with these arguments first.
fn stand_in(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/bash\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_uploader_of_the_man_page_survives_an_unpaired_device_and_a_401() {
    let needed = ["bash", "curl", "jq", "timeout"];
    let is_there = |name: &&str| Path::new("/usr/bin").join(name).exists();
    if !needed.iter().all(is_there) {
        println!("not tried: it needs {needed:?}");
        return;
    }
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let folder = tempfile::tempdir().unwrap();
    let bus = world.bus.address();
    stand_in(
        folder.path(),
        "c2c-authctl",
        &format!("exec '{TOOL}' --bus '{bus}' \"$@\""),
    );
    let (ca, base) = (world.server.ca_file(), world.server.base_uri());
    let real = format!(
        "exec /usr/bin/curl --cacert '{}' \"${{@/https:\\/\\/api.frame.io/{}}}\"",
        ca.display(),
        base.replace('/', "\\/")
    );
    stand_in(folder.path(), "curl", &real);
    let uploads = || {
        let mut command = Command::new("/usr/bin/bash");
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        command.arg("-c").arg(program()).env_clear().env("PATH", path);
        let directory = tempfile::tempdir().unwrap();
        let notifications = Notifications::listen(&directory.path().join("unused")).unwrap();
        Process::spawn(&mut command, notifications).unwrap()
    };
    let mut waiting = uploads();
    // Nobody has paired: it waits, whatever happens first.
    waiting
        .wait_output_blocking(|line| line.contains("not paired"), LIMIT)
        .unwrap();
    let mut pair = start(&world, "pair");
    world.server.approve(&shown(&pair)).unwrap();
    assert_eq!(ended(&mut pair), Some(0), "{:?}", pair.output());
    assert_eq!(ended(&mut waiting), Some(0), "{:?}", waiting.output());
    assert_eq!(waiting.output().last().map(String::as_str), Some("200"));

    let asked = |verdict: &str| {
        let requests = |truth: &c2c_testkit::server::Truth| {
            let all = truth.requests(Endpoint::Me);
            all.filter(|entry| entry.verdict == verdict).count()
        };
        world.server.truth(requests)
    };
    let before = asked("ok");
    world.server.end_access_token(CLIENT_ID).unwrap();
    let mut rejecting = uploads();
    assert_eq!(ended(&mut rejecting), Some(0), "{:?}", rejecting.output());
    assert_eq!(rejecting.output().last().map(String::as_str), Some("200"));
    assert!(asked("ok") > before);
    let output = [waiting.output(), rejecting.output()].concat().join("\n");
    assert!(!output.contains(&world.live_access().unwrap()), "it shows the token");
}
