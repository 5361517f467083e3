#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use c2c_auth_core::Reason;

use super::*;
use crate::config::MachineId;
use crate::config::accounts::tests::Made;
use crate::ctl::args::{How, Provision};
use crate::ctl::provision::host_key::tests::{SEALED, with_key_of};
use crate::ctl::provision::seal::Key;
use crate::ctl::provision::tests::store_for_tests;
use crate::messages;

mod readable;
mod report;
mod verdicts;

struct World {
    _folder: tempfile::TempDir,
    site: Site,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::at(folder.path());
        Self { _folder: folder, site }
    }

    fn write(&self, path: &str, text: &str) -> std::path::PathBuf {
        let path = self.site.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// The findings without a server, a bus and a service manager.
    fn look(&self) -> Vec<Finding> {
        self.look_while(false)
    }

    /// `runs`: a daemon does.
    fn look_while(&self, runs: bool) -> Vec<Finding> {
        let mut found = Rows::default();
        let config = local::configuration(&self.site, &mut found);
        local::users(&self.site, config.as_ref(), &mut found);
        local::identity(config.as_ref(), &mut found);
        secrets::secrets(&self.site, config.as_ref(), &mut found);
        local::state(&self.site, config.as_ref(), runs, &mut found);
        local::runtime(&self.site, runs, &mut found);
        service::bus_files(&self.site, config.as_ref(), &mut found);
        found.into_found().unwrap()
    }

    /// The worst that is said of one thing.
    fn verdict(&self, check: &str) -> (Verdict, String) {
        let found = self.look();
        let worst = found
            .iter()
            .filter(|finding| finding.check == check)
            .max_by_key(|finding| finding.verdict);
        let worst = worst.unwrap_or_else(|| panic!("{check} was not looked at: {found:?}"));
        (worst.verdict, worst.line())
    }

    #[track_caller]
    fn expect(&self, check: &str, verdict: Verdict, named: &str) {
        let (found, line) = self.verdict(check);
        assert!(found == verdict && line.contains(named), "{line}");
    }

    fn provision(&self) {
        let wanted = Provision {
            how: How::Sealed(Some(Key::Host)),
            client_id: Some("SN-1".to_owned()),
            ..Provision::default()
        };
        store_for_tests(&self.site, &wanted, "made-up-secret");
    }
}

#[test]
fn a_bare_machine_fails_in_each_thing_that_it_lacks() {
    let world = World::new();
    world.expect("client-id", Verdict::Fail, "client-id-from");
    world.expect("client-secret", Verdict::Fail, "c2c-authctl provision");
    world.expect("state-key", Verdict::Fail, "c2c-authctl provision");
    world.expect("bus-policy", Verdict::Fail, "Install");
    world.expect("activation", Verdict::Warn, "Install");
    world.expect("state", Verdict::Ok, "first start");
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn a_machine_that_was_provisioned_and_installed_has_nothing_to_fear() {
    let world = World::new();
    world.provision();
    world.write(
        "/etc/c2c-authd/config.d/20.toml",
        "[access]\nui = [\"uid:0\"]\nuploader = [\"uid:0\"]\n[device]\nfirmware-version = \"1.2.3\"\n",
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (from, to) in [
        ("dbus/org.cameratocloud.Auth1.conf", "/usr/share/dbus-1/system.d"),
        (
            "dbus/org.cameratocloud.Auth1.service",
            "/usr/share/dbus-1/system-services",
        ),
    ] {
        let from = root.join(from);
        let to = format!("{to}/{}", from.file_name().unwrap().to_str().unwrap());
        world.write(&to, &fs::read_to_string(from).unwrap());
    }
    let found = world.look();
    let bad: Vec<_> = found.iter().filter(|finding| finding.verdict != Verdict::Ok).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn a_bad_configuration_is_told_with_its_line() {
    let world = World::new();
    world.write("/etc/c2c-authd/config.toml", "[refresh]\nminvalidity = \"1s\"\n");
    world.expect("configuration", Verdict::Fail, "config.toml:2");
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn a_secret_that_does_not_open_says_why() {
    let world = World::new();
    world.provision();
    world.expect("client-secret", Verdict::Ok, "sealed with");
    fs::remove_file(world.site.host_key()).unwrap();
    world.expect("client-secret", Verdict::Fail, "is missing");
    world.expect("state-key", Verdict::Fail, "is missing");
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn a_host_key_that_others_can_read_is_a_fault() {
    let world = World::new();
    world.provision();
    fs::set_permissions(world.site.host_key(), fs::Permissions::from_mode(0o444)).unwrap();
    world.expect("client-secret", Verdict::Fail, "chmod 0400");
}

#[test]
fn credentials_of_other_services_are_nothing_of_ours() {
    let world = World::new();
    for store in [
        "/etc/credstore.encrypted",
        "/etc/credstore",
        "/run/credstore",
        "/usr/lib/credstore.encrypted",
    ] {
        for name in ["client-secret", "state-key"] {
            world.write(&format!("{store}/{name}"), "of another service");
        }
    }
    for check in ["client-secret", "state-key"] {
        let (verdict, line) = world.verdict(check);
        assert!(verdict == Verdict::Fail && !line.contains("credstore"), "{line}");
    }
}

#[test]
fn a_secret_in_clear_where_systemd_looks_for_sealed_ones_is_named() {
    for store in [
        "/etc/credstore",
        "/run/credstore",
        "/usr/lib/credstore",
        "/run/credentials/@system",
    ] {
        let world = World::new();
        let path = world.write(&format!("{store}/c2c-authd.client-secret"), "made-up-secret");
        let told = format!("{}: ", path.display());
        world.expect("client-secret", Verdict::Fail, &told);
        world.expect("client-secret", Verdict::Fail, "(243); remove it");
        let (_, line) = world.verdict("client-secret");
        assert!(!line.contains("TPM") && !line.contains("made-up"), "{line}");
    }
}

#[test]
fn a_credential_of_another_machine_id_is_told_and_the_key_is_left() {
    let mut world = World::new();
    with_key_of(&mut world.site, 0x22);
    let key = fs::read(world.site.host_key()).unwrap();
    for (name, check) in [("client-secret", "client-secret"), ("state-key", "state-key")] {
        let path = world.write(&format!("/etc/credstore.encrypted/c2c-authd.{name}"), SEALED);
        let told = format!(
            "{}: sealed under another machine id; bring that id and the key back",
            path.display()
        );
        world.expect(check, Verdict::Fail, &told);
    }
    assert!(fs::read(world.site.host_key()).is_ok_and(|now| now == key));
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn a_credential_that_goes_with_a_transient_machine_id_is_told() {
    let mut world = World::new();
    world.provision();
    let MachineId::Lasting(id) = world.site.machine else {
        panic!("this machine has no id that lasts");
    };
    world.site.machine = MachineId::Transient(id);
    world.expect("state-key", Verdict::Warn, "machine id is transient");
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn a_secret_in_clear_beside_the_sealed_one_is_named() {
    let world = World::new();
    world.provision();
    let path = world.write("/etc/credstore/c2c-authd.client-secret", "made-up-secret");
    let told = format!("{} is not used", path.display());
    world.expect("client-secret", Verdict::Warn, &told);
}

#[test]
fn a_secret_where_others_may_put_another_file_is_a_fault_as_at_a_start() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("left out: only root reads secrets");
        return;
    }
    let mut world = World::new();
    let path = world.write("/data/secrets/client-secret", "made-up-secret");
    let main = "[secrets]\nclient-secret-file = \"/data/secrets/client-secret\"\n";
    world.write("/etc/c2c-authd/config.toml", main);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    world.site.service = Some((4242, 4243));
    std::os::unix::fs::chown(&path, Some(4242), Some(4243)).unwrap();
    let directory = path.parent().unwrap();
    for (mode, group, cure) in [
        (0o755, 4244, ""),
        (0o775, 0, ""),
        (0o775, 4243, ""),
        (0o775, 4244, "chmod g-w"),
        (0o777, 0, "chmod o-w"),
    ] {
        std::os::unix::fs::chown(directory, None, Some(group)).unwrap();
        fs::set_permissions(directory, fs::Permissions::from_mode(mode)).unwrap();
        let (verdict, line) = world.verdict("client-secret");
        assert_eq!(verdict == Verdict::Fail, !cure.is_empty(), "{mode:o} {group}: {line}");
        assert!(line.contains(cure), "{mode:o} {group}: {line}");
    }
}

#[test]
fn a_state_directory_that_others_can_write_is_a_fault_and_what_was_set_aside_is_told() {
    let world = World::new();
    let aside = world.write("/var/lib/c2c-authd/record.damaged.1", "");
    world.write("/var/lib/c2c-authd/record.0", "");
    let directory = aside.parent().unwrap();
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
    world.expect("state", Verdict::Warn, "record.damaged.1");
    world.write("/var/lib/c2c-authd/record.damaged.\u{1b}]0;x\u{7}", "");
    let (_, line) = world.verdict("state");
    assert!(
        line.contains("record.damaged.") && !line.contains(char::is_control),
        "{line:?}"
    );
    let in_place = directory.join("revocations");
    fs::create_dir(&in_place).unwrap();
    let (_, line) = world.verdict("state");
    assert!(!line.contains("revoked"), "a directory is no list: {line}");
    fs::remove_dir(in_place).unwrap();
    world.write("/var/lib/c2c-authd/revocations", "");
    world.expect("state", Verdict::Warn, "yet to be revoked");
    fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).unwrap();
    world.expect("state", Verdict::Fail, "chmod 0700");
}

#[test]
fn a_runtime_directory_that_the_daemon_cannot_use_is_told_apart_from_the_state_directory() {
    let mut world = World::new();
    world.expect("runtime", Verdict::Ok, "created at a start");
    for check in ["state", "runtime"] {
        let found = world.look_while(true);
        let row = found.iter().find(|row| row.check == check).unwrap();
        assert_eq!(row.verdict, Verdict::Fail, "{}", row.line());
        assert!(row.line().contains("removed while the daemon runs"), "{}", row.line());
    }
    let file = world.write("/run/c2c-authd/flow", "");
    let directory = file.parent().unwrap();
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
    world.expect("runtime", Verdict::Ok, "MiB free");
    fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).unwrap();
    world.expect("runtime", Verdict::Fail, "chmod 0700");
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
    world.site.service = world.site.service.map(|(uid, gid)| (uid + 1, gid));
    world.expect("runtime", Verdict::Fail, "chown");
    world.expect("state", Verdict::Ok, "first start");
}

#[test]
fn a_file_that_the_configuration_names_and_that_is_absent_is_named() {
    let world = World::new();
    let text = "[device]\nclient-id-from = \"file:/factory/serial\"\n[secrets]\n\
                client-secret-file = \"/factory/secret\"\nstate-key-file = \"/factory/key\"\n";
    world.write("/etc/c2c-authd/config.toml", text);
    world.expect("client-id", Verdict::Fail, "/factory/serial");
    if !rustix::process::geteuid().is_root() {
        eprintln!("left out: only root reads secrets");
        return;
    }
    for (check, path) in [("client-secret", "/factory/secret"), ("state-key", "/factory/key")] {
        world.expect(check, Verdict::Fail, path);
        world.expect(check, Verdict::Fail, &format!("secrets.{check}-file"));
    }
}

#[test]
fn a_role_that_the_bus_policy_does_not_know_is_told() {
    let mut world = World::new();
    world.write(
        "/usr/share/dbus-1/system.d/x.conf",
        "own=\"org.cameratocloud.Auth1\" group=\"c2c-ui\"",
    );
    world.write("/etc/c2c-authd/config.toml", "[access]\nui = [\"studio\"]\n");
    world.site.accounts = Arc::new(Made::new(&[], &[("c2c-ui", 71), ("studio", 72)]));
    world.expect("bus-policy", Verdict::Warn, "group=\"studio\" the role ui");
    let unknown = |world: &World| {
        let found = world.look().into_iter();
        let unknown = found.filter(|finding| finding.what.contains("does not let it through"));
        unknown.map(|finding| finding.what).collect::<Vec<_>>()
    };
    assert_eq!(unknown(&world).len(), 1, "{:?}", unknown(&world));
    // The default of the other role counts where its group exists.
    world.site.accounts = Arc::new(Made::new(&[], &[("studio", 72), ("c2c-uploader", 73)]));
    assert!(
        unknown(&world)
            .iter()
            .any(|what| what.contains("group=\"c2c-uploader\""))
    );
    world.write("/etc/c2c-authd/config.toml", "");
    world.site.accounts = Arc::new(Made::new(&[], &[("c2c-ui", 71)]));
    assert_eq!(unknown(&world), [""; 0]);
}

#[test]
fn who_holds_a_role_is_told_by_the_names_of_this_machine() {
    let mut world = World::new();
    world.expect("role-ui", Verdict::Warn, "nobody but root");
    let mut made = Made::new(&[("ann", 70)], &[("c2c-ui", 71), ("c2c-uploader", 72)]);
    made.groups[1].members = vec!["ann".to_owned(), "bob".to_owned()];
    world.site.accounts = Arc::new(made);
    world.expect("role-ui", Verdict::Ok, "group c2c-ui (no members");
    world.expect("role-uploader", Verdict::Ok, "group c2c-uploader (ann, bob)");
    world.write(
        "/etc/c2c-authd/config.toml",
        "[access]\nui = [\"user:ann\", \"uid:99\"]\n",
    );
    world.expect("role-ui", Verdict::Ok, "user ann, uid 99");
}
