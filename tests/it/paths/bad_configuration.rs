//! A device that is configured wrongly ends with a code that the service manager knows, and one
//! sentence that an integrator can act on: which file, which key, what to do.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use c2c_testkit::rig::Rig;
use c2c_testkit::server::{Options, Server};

use crate::DAEMON;

/// `EX_NOPERM` and `EX_CONFIG` of `sysexits.h`.
const NO_PERMISSION: i32 = 77;
const CONFIG: i32 = 78;

/// Nobody's uid on any system that this could run on.
const STRANGER: u32 = 61_234;

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

fn rig() -> (Server, Rig) {
    let server = Server::start(Options::default()).unwrap();
    let rig = Rig::new(&server).unwrap();
    (server, rig)
}

/// Starts it, and holds its end against what is promised. The bus is absent: nothing of this may
/// depend on one.
fn ends(rig: &Rig, code: i32, parts: &[&str]) {
    let output = rig
        .command(Path::new(DAEMON), "unix:path=/nonexistent")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(text.lines().count(), 1, "one sentence: {text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
    if code == CONFIG {
        // Each start that is not worth another one can be foreseen, before it stops a device.
        let (foreseen, said) = check(rig);
        assert_eq!(foreseen, Some(CONFIG), "{said}");
        for part in parts {
            assert!(said.contains(part), "{part:?} is missing in: {said}");
        }
    }
}

/// `--check-config` in the same environment.
fn check(rig: &Rig) -> (Option<i32>, String) {
    let mut command = rig.command(Path::new(DAEMON), "unix:path=/nonexistent");
    let output = command.arg("--check-config").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), text)
}

fn config_ends(section: &str, key: &str, value: &str, parts: &[&str]) {
    let (_server, mut rig) = rig();
    rig.configure(|config| {
        config.set(section, key, value);
    })
    .unwrap();
    let file = rig.config_file().display().to_string();
    let name = format!("{section}.{key}");
    let all: Vec<_> = [file.as_str(), name.as_str()]
        .into_iter()
        .chain(parts.iter().copied())
        .collect();
    ends(&rig, CONFIG, &all);
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    config_ends("refresh", "min-validty", "60s", &["min-validity"]);
    config_ends("pairing", "give-up", "10min", &["give-up-after"]);
}

#[test]
fn an_unknown_section_is_named() {
    let (_server, mut rig) = rig();
    rig.configure(|config| {
        config.set("refrsh", "at", "75%");
    })
    .unwrap();
    ends(
        &rig,
        CONFIG,
        &[&rig.config_file().display().to_string(), "refrsh", "refresh"],
    );
}

#[test]
fn a_bad_duration_is_named_with_a_good_one() {
    config_ends("refresh", "min-validity", "60 parsecs", &["write for example \"90s\""]);
    config_ends("pairing", "give-up-after", "ten minutes", &["min"]);
    config_ends("refresh", "replay-after", "1s", &["40s", "refresh.reuse-window"]);
}

#[test]
fn a_mac_address_or_an_e_mail_address_is_no_client_id() {
    config_ends("device", "client-id", "00:11:22:aa:bb:cc", &["MAC"]);
    config_ends("device", "client-id", "00-11-22-AA-BB-CC", &["MAC"]);
    config_ends("device", "client-id", "someone@example.com", &["mail"]);
}

#[test]
fn what_is_no_toml_is_named_with_its_line() {
    let (_server, rig) = rig();
    std::fs::write(rig.config_file(), "[device]\nclient-id = \n").unwrap();
    ends(&rig, CONFIG, &[&format!("{}:2", rig.config_file().display())]);
}

#[test]
fn a_missing_configuration_is_named() {
    let (_server, rig) = rig();
    std::fs::remove_file(rig.config_file()).unwrap();
    ends(&rig, CONFIG, &[&rig.config_file().display().to_string(), "create it"]);
}

/// A device whose client secret is in a file of its own, with this mode.
fn secret_file(mode: u32) -> (Server, Rig, std::path::PathBuf) {
    let (server, mut rig) = rig();
    rig.remove_credential("client-secret").unwrap();
    let path = rig.credentials_directory().join("secret-in-a-file");
    std::fs::write(&path, server.client_secret()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    let name = path.display().to_string();
    rig.configure(|config| {
        config.set("secrets", "client-secret-file", name.as_str());
    })
    .unwrap();
    (server, rig, path)
}

#[test]
fn a_secret_that_others_may_read_is_not_used() {
    for mode in [0o644, 0o640, 0o660] {
        let (_server, rig, path) = secret_file(mode);
        let file = path.display().to_string();
        ends(
            &rig,
            NO_PERMISSION,
            &[&file, "client secret", &format!("chmod 0600 {file}")],
        );
    }
}

#[test]
fn a_secret_of_another_user_is_not_used() {
    let (_server, rig, path) = secret_file(0o600);
    let file = path.display().to_string();
    if root() {
        std::os::unix::fs::chown(&path, Some(STRANGER), None).unwrap();
        ends(
            &rig,
            NO_PERMISSION,
            &[&file, "client secret", &format!("uid {STRANGER}"), "chown"],
        );
    } else {
        // Giving a file away takes root. What is possible: a file that its owner cannot read
        // either.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
        ends(&rig, NO_PERMISSION, &[&file, "client secret", "readable"]);
    }
}

#[test]
fn a_secret_that_is_none_is_not_shown() {
    let (_server, rig, path) = secret_file(0o600);
    std::fs::write(&path, "two\nlines-of-a-canary").unwrap();
    ends(&rig, CONFIG, &[&path.display().to_string(), "client secret"]);
    let output = rig
        .command(Path::new(DAEMON), "unix:path=/nonexistent")
        .output()
        .unwrap();
    assert!(!String::from_utf8(output.stderr).unwrap().contains("canary"));
}

#[test]
fn a_state_directory_of_another_user_is_not_used() {
    let (_server, mut rig) = rig();
    if root() {
        let state = rig.state_directory();
        std::os::unix::fs::chown(&state, Some(STRANGER), Some(STRANGER)).unwrap();
        let parts = [&state.display().to_string(), &format!("uid {STRANGER}"), "chown"];
        ends(&rig, NO_PERMISSION, &parts.map(|part: &str| part));
    } else {
        rig.configure(|config| {
            config.set("state", "directory", "/usr");
        })
        .unwrap();
        ends(&rig, NO_PERMISSION, &["/usr", "uid 0", "chown"]);
    }
}

#[test]
fn a_state_directory_that_others_may_write_is_not_used() {
    let (_server, rig) = rig();
    let state = rig.state_directory();
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o777)).unwrap();
    ends(&rig, NO_PERMISSION, &[&state.display().to_string(), "0777", "chmod"]);
}

#[test]
fn roots_that_cannot_be_used_are_named() {
    let (_server, rig) = rig();
    let text = std::fs::read_to_string(rig.config_file()).unwrap();
    let ca = rig.runtime_directory().join("ca.pem");
    let name = ca.display().to_string();
    let line = text.lines().find(|line| line.starts_with("ca-file")).unwrap();
    std::fs::write(rig.config_file(), text.replace(line, &format!("ca-file = {name:?}"))).unwrap();
    ends(&rig, CONFIG, &["ca-file", &name]);
    std::fs::write(&ca, "no certificate").unwrap();
    ends(&rig, CONFIG, &["ca-file", &name]);
    std::fs::remove_file(&ca).unwrap();
    std::fs::create_dir(&ca).unwrap();
    ends(&rig, CONFIG, &["ca-file", &name]);
}

#[test]
fn a_credential_that_cannot_be_used_is_named() {
    for (name, content) in [
        ("client-secret", &b"two\nlines"[..]),
        ("state-key", b"short"),
        ("state-key", &[0; 32]),
    ] {
        let (_server, rig) = rig();
        rig.write_credential(name, content).unwrap();
        ends(&rig, CONFIG, &[name, "cannot be used"]);
    }
}

#[test]
fn a_secret_that_is_no_file_is_named() {
    let (_server, rig, path) = secret_file(0o600);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    ends(&rig, CONFIG, &[&path.display().to_string(), "regular file"]);
}

#[test]
fn a_state_key_is_not_created_by_a_look_at_the_configuration() {
    let (_server, mut rig) = rig();
    rig.remove_credential("state-key").unwrap();
    let key = rig.runtime_directory().join("new/state-key");
    let name = key.display().to_string();
    rig.configure(|config| {
        config
            .set("secrets", "state-key-file", name.as_str())
            .set("secrets", "create-state-key", true);
    })
    .unwrap();
    // Its directory is not there.
    ends(&rig, CONFIG, &[&name, "cannot be created"]);
    std::fs::create_dir(key.parent().unwrap()).unwrap();
    let (code, said) = check(&rig);
    assert_eq!(code, Some(0), "{said}");
    assert!(!key.exists());
}

#[test]
fn a_look_at_the_configuration_says_what_it_could_not_look_at() {
    let (_server, rig, path) = secret_file(0o600);
    let mut command = rig.command(Path::new(DAEMON), "unix:path=/nonexistent");
    command
        .env_remove("CREDENTIALS_DIRECTORY")
        .env_remove("STATE_DIRECTORY");
    let output = command.arg("--check-config").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in ["not looked at: credentials", "not looked at: the state directory"] {
        assert!(said.contains(part), "{said}");
    }
    if root() {
        assert!(
            said.contains("not looked at: what the user c2c-authd may read"),
            "{said}"
        );
        // The file belongs to the daemon's user, which root is not. Its content is judged all the
        // same.
        std::os::unix::fs::chown(&path, Some(STRANGER), None).unwrap();
        assert_eq!(check(&rig).0, Some(0));
        std::fs::write(&path, "two\nlines").unwrap();
        assert_eq!(check(&rig).0, Some(CONFIG));
    }
}
