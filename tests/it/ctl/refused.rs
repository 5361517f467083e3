//! The real daemon refuses a user without a role, and the tool says which group to join.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;

use super::*;

#[test]
fn who_has_no_role_is_told_a_group_and_nothing_of_rules() {
    if !rustix::process::geteuid().is_root() {
        println!("left out: only root can be somebody else");
        return;
    }
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.path().join("c2c-authctl");
    let copied = Command::new("install")
        .args(["-m755", TOOL])
        .arg(&copy)
        .status()
        .unwrap();
    assert!(copied.success(), "{copied}");
    for (line, group) in [
        ("token", "c2c-uploader"),
        ("pair", "c2c-ui"),
        ("qr", "c2c-ui"),
        ("cancel", "c2c-ui"),
    ] {
        let mut command = Command::new(&copy);
        command
            .args(["--bus", world.bus.address()])
            .args(line.split(' '))
            .env_clear();
        let done = command.uid(65_534).gid(65_534).output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(6), "{line}: {said}");
        // Which of the two it is, this machine decides.
        let cures = [
            format!("usermod -aG {group} "),
            format!("the group {group} does not exist"),
        ];
        assert!(
            said.contains("you are ") && cures.iter().any(|cure| said.contains(cure)),
            "{line}: {said}"
        );
        assert!(!said.contains("role \"") && !said.contains("rule"), "{line}: {said}");
    }
}

#[test]
fn a_bus_that_knows_this_process_by_another_uid_is_told_as_the_cause() {
    if !rustix::process::geteuid().is_root() {
        println!("left out: only root can map a uid as it likes");
        return;
    }
    let world = Harness::c2c(DAEMON, quick());
    let inside = |program: &str, arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-user=7", program]).args(arguments);
        let done = command.env_clear().output().unwrap();
        String::from_utf8([done.stdout, done.stderr].concat()).unwrap()
    };
    let cause = "user namespace, and its uid 7 is uid 0 to the bus";
    let said = inside(TOOL, &["--bus", world.bus.address(), "status"]);
    assert!(said.contains(cause), "{said}");
}
