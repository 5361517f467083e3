//! The Debian package's purge forgets what it must, and installing by hand leaves the rest alone.
//! The scripts run on a machine below a temporary directory. `tests/booted/scenarios/package-*.sh`
//! run them with dpkg and a running system.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A machine with the package's files gone, and everything else left.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new(files: &[(&str, &str)]) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            machine.put(path, text);
        }
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn postrm(&self, verb: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/deb/scripts/postrm");
        let output = Command::new("sh")
            .arg(script)
            .arg(verb)
            .env("DPKG_ROOT", self.0.path())
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        // Where the program that keeps track of units is installed, it sees that no dpkg called,
        // and does nothing.
        let ours = said.lines().filter(|line| !line.contains("deb-systemd-helper"));
        ours.collect::<Vec<_>>().join("\n")
    }

    /// As dpkg does it: removed, then its configuration away, then purged.
    fn purge(&self) -> String {
        self.postrm("remove");
        let _ = fs::remove_file(self.path("/etc/c2c-authd/config.toml"));
        self.postrm("purge")
    }

    /// All files, as the machine calls them.
    fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.0.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else {
                    let below = path.strip_prefix(self.0.path()).unwrap();
                    found.push(format!("/{}", below.display()));
                }
            }
        }
        // Programs that keep track of units leave these, where they are installed.
        found.retain(|path| {
            !path.starts_with("/var/lib/systemd/deb-systemd-helper") && !path.starts_with("/etc/systemd")
        });
        found.sort();
        found
    }
}

/// Sealed and in clear, in all the places where `provision` puts them.
const PROVISIONED: &[(&str, &str)] = &[
    (
        "/etc/c2c-authd/config.d/50-provision.toml",
        "# Written by «c2c-authctl provision».\n# - \"/unfinished/client-secret\"\n# + \"/former/state-key\"\n\n[device]\nclient-id = \"SN-1\"\n\n[secrets]\n\
         client-secret-file = \"/factory/c2c/client-secret\"\nstate-key-file = \"/factory/c2c/state-key\"\n",
    ),
    ("/factory/c2c/client-secret", "s"),
    ("/factory/c2c/.client-secret.new", "s"),
    ("/factory/c2c/state-key", "k"),
    ("/factory/c2c/state-key.replaced.1", "k"),
    ("/factory/c2c/.state-key.replaced.2.new", "k"),
    ("/unfinished/client-secret", "s"),
    ("/former/state-key.replaced.3", "k"),
    ("/etc/credstore.encrypted/c2c-authd.client-secret", "s"),
    ("/etc/credstore.encrypted/c2c-authd.state-key", "k"),
    ("/etc/credstore.encrypted/c2c-authd.state-key.replaced.12", "k"),
    (
        "/var/lib/c2c-provision/credstore.encrypted/c2c-authd.client-secret",
        "s",
    ),
    ("/var/lib/c2c-provision/credstore.encrypted/c2c-authd.state-key", "k"),
    (
        "/var/lib/c2c-provision/config.d/50-provision.toml",
        "[device]\nclient-id = \"SN-1\"\n",
    ),
    ("/var/lib/c2c-authd/record.0", "r"),
];

#[test]
fn removing_keeps_pairing_secrets_and_configuration() {
    let machine = Machine::new(PROVISIONED);
    machine.put("/etc/c2c-authd/config.toml", "# as it came\n");
    let before = machine.files();
    assert_eq!(machine.postrm("remove"), "");
    assert_eq!(machine.files(), before);
    for verb in ["upgrade", "failed-upgrade", "abort-install", "disappear"] {
        machine.postrm(verb);
        assert_eq!(machine.files(), before, "{verb}");
    }
}

#[test]
fn purging_forgets_what_provision_stored_wherever_it_did() {
    let machine = Machine::new(PROVISIONED);
    fs::create_dir_all(machine.path("/run/credstore.encrypted")).unwrap();
    let wait = "/etc/systemd/system/c2c-authd.service.d/50-provision.conf";
    machine.put(
        wait,
        "# Written by «c2c-authctl provision», which replaces it\n[Unit]\n",
    );
    let link = machine.path("/run/credstore.encrypted/c2c-authd.state-key");
    symlink("/var/lib/c2c-provision/credstore.encrypted/c2c-authd.state-key", &link).unwrap();
    // All services of a machine share the stores. These names may be anybody's.
    let others = [
        "/etc/credstore.encrypted/client-secret",
        "/etc/credstore.encrypted/of-another-service",
        "/etc/credstore.encrypted/state-key",
        "/etc/credstore.encrypted/state-key.replaced.1",
        "/etc/credstore/client-secret",
        "/run/credstore.encrypted/client-secret",
    ];
    for path in others {
        machine.put(path, "x");
    }
    let said = machine.purge();
    assert_eq!(machine.files(), others);
    assert!(said.contains("NOT revoked") && !said.contains("STAYS"), "{said}");
    for gone in [
        "/factory/c2c",
        "/unfinished",
        "/former",
        "/etc/systemd/system/c2c-authd.service.d",
        "/var/lib/c2c-provision",
        "/var/lib/c2c-authd",
    ] {
        assert!(!machine.path(gone).exists(), "{gone}");
    }
    assert_eq!(machine.postrm("purge"), "", "again is nothing");
}

#[test]
fn the_administrators_own_drop_in_of_the_unit_stays() {
    let wait = "/etc/systemd/system/c2c-authd.service.d/50-provision.conf";
    let (file, mask) = (Machine::new(PROVISIONED), Machine::new(PROVISIONED));
    file.put(wait, "[Unit]\n");
    fs::create_dir_all(mask.path(wait).parent().unwrap()).unwrap();
    symlink("/dev/null", mask.path(wait)).unwrap();
    for machine in [file, mask] {
        let said = machine.purge();
        assert!(fs::symlink_metadata(machine.path(wait)).is_ok());
        assert!(said.contains("50-provision.conf is not of"), "{said}");
    }
}

#[test]
fn a_secret_that_the_administrator_named_stays_and_is_told() {
    let machine = Machine::new(&[
        (
            "/etc/c2c-authd/config.toml",
            "[secrets] # ours\nclient-secret-file = '/site/secret' # a comment\n",
        ),
        (
            "/etc/c2c-authd/config.d/60-site.toml",
            "secrets.state-key-file = \"/site/key\"\n",
        ),
        ("/site/secret", "s"),
        ("/site/key", "k"),
    ]);
    let said = machine.purge();
    assert_eq!(machine.files(), ["/site/key", "/site/secret"]);
    assert!(
        said.contains("STAYS in /site/secret, which was named by /etc/c2c-authd/config.toml"),
        "{said}"
    );
    assert!(said.contains("rm /site/key") && said.contains("60-site.toml"), "{said}");
}

#[test]
fn a_state_directory_elsewhere_loses_what_is_the_daemons_and_nothing_else() {
    let machine = Machine::new(&[
        (
            "/etc/c2c-authd/config.toml",
            "[device]\ndirectory = \"/other\"\n[state]\ndirectory = \"/data/c2c\"\n",
        ),
        ("/data/c2c/record.0", "r"),
        ("/data/c2c/record.damaged.1", "r"),
        ("/data/c2c/revocations", "r"),
        ("/data/c2c/.record.1.new", "r"),
        ("/data/c2c/spare", "r"),
        ("/data/c2c/clips/record.0", "a clip"),
        ("/data/c2c/notes", "x"),
        ("/other/record.0", "x"),
    ]);
    let said = machine.purge();
    assert_eq!(
        machine.files(),
        ["/data/c2c/clips/record.0", "/data/c2c/notes", "/other/record.0"]
    );
    assert!(
        said.contains("NOT revoked") && said.contains("/data/c2c is kept"),
        "{said}"
    );
    let machine = Machine::new(&[
        ("/etc/c2c-authd/config.toml", "[state]\ndirectory = \"/data/c2c\"\n"),
        ("/data/c2c/record.0", "r"),
    ]);
    machine.purge();
    assert!(!machine.path("/data/c2c").exists() && machine.path("/data").exists());
}

#[test]
fn a_path_that_is_not_plain_is_told_and_not_guessed() {
    let machine = Machine::new(&[
        (
            "/etc/c2c-authd/config.d/50-provision.toml",
            "[secrets]\nclient-secret-file = \"/a \\\"b\\\"/client-secret\"\nstate-key-file = \"/safe/../etc/shadow\"\n",
        ),
        ("/a \"b\"/client-secret", "s"),
        ("/safe/x", "x"),
        ("/etc/shadow", "x"),
        (
            "/etc/c2c-authd/config.d/60-site.toml",
            "[state]\ndirectory = \"../up\"\n",
        ),
    ]);
    let said = machine.purge();
    assert_eq!(machine.files(), ["/a \"b\"/client-secret", "/etc/shadow", "/safe/x"]);
    assert!(
        said.contains("names /a \\\"b\\\"/client-secret") && said.contains("../up"),
        "{said}"
    );
}

#[test]
fn a_line_that_may_name_a_secret_and_cannot_be_read_is_told() {
    for (line, text) in [
        (1, "secrets = { client-secret-file = \"/safe/x\" }\n"),
        (2, "[secrets]\n\"client-secret-file\" = \"/safe/x\"\n"),
        (2, "[secrets]\nstate-key-file = \"\"\"\n/safe/x\"\"\"\n"),
        (1, "state = { directory = \"/safe\" }\n"),
    ] {
        let said = Machine::new(&[("/etc/c2c-authd/config.toml", text)]).purge();
        assert!(said.contains(&format!("line {line} of /etc/")), "{text}: {said}");
        assert_eq!(said.matches("may name").count(), 1, "{text}: {said}");
    }
    let none = "# client-secret-file\n[secrets]\ncreate-state-key = true\n";
    let said = Machine::new(&[("/etc/c2c-authd/config.toml", none)]).purge();
    assert!(!said.contains("may name"), "{said}");
}

#[test]
fn a_name_that_provision_did_not_write_is_left_and_told() {
    let strange = [
        "/etc/passwd",
        "/etc/x/..",
        "/a/../etc/state-key",
        "/a/./state-key",
        "a/state-key",
        "/a/state-key/",
        "/a/client-secret.replaced.1",
    ];
    let lines: Vec<_> = ["-", "+"]
        .iter()
        .flat_map(|mark| strange.map(|path| format!("# {mark} \"{path}\"\n")))
        .collect();
    let drop_in = format!("{}\n[secrets]\nclient-secret-file = \"/etc/shadow\"\n", lines.concat());
    let others = [
        "/a/client-secret.replaced.1",
        "/a/state-key",
        "/a/state-key.replaced.1",
        "/etc/passwd",
        "/etc/passwd.replaced.1",
        "/etc/shadow",
        "/etc/state-key",
        "/etc/x/y",
    ];
    let mut files: Vec<_> = others.map(|path| (path, "of somebody else")).to_vec();
    files.push(("/etc/c2c-authd/config.d/50-provision.toml", &drop_in));
    let machine = Machine::new(&files);
    let said = machine.purge();
    assert_eq!(machine.files(), others);
    for path in strange.iter().chain(&["/etc/shadow"]) {
        assert!(said.contains(&format!("names {path} (")), "{path}: {said}");
    }
}

#[test]
fn beside_a_name_only_the_former_keys_go() {
    let machine = Machine::new(&[
        (
            "/etc/c2c-authd/config.d/50-provision.toml",
            "# + \"/factory/state-key\"\n\n[device]\nclient-id = \"SN-1\"\n",
        ),
        ("/factory/state-key", "of the image"),
        ("/factory/state-key.replaced.1", "k"),
        ("/factory/state-key.replaced.22", "k"),
        ("/factory/state-key.replaced.2-notes", "x"),
    ]);
    machine.purge();
    assert_eq!(
        machine.files(),
        ["/factory/state-key", "/factory/state-key.replaced.2-notes"]
    );
}

#[test]
fn what_the_caller_has_first_in_its_path_never_runs() {
    use std::os::unix::fs::PermissionsExt;
    let planted = tempfile::tempdir().unwrap();
    let ran = planted.path().join("ran");
    for name in [
        "rm",
        "find",
        "awk",
        "sed",
        "grep",
        "rmdir",
        "sort",
        "systemctl",
        "deb-systemd-invoke",
        "busctl",
    ] {
        let path = planted.path().join(name);
        fs::write(&path, format!("#!/bin/sh\necho {name} >>{}\n", ran.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let machine = Machine::new(PROVISIONED);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/deb/scripts");
    for (script, verb) in [("prerm", "remove"), ("postrm", "remove"), ("postrm", "purge")] {
        let status = Command::new("/bin/sh")
            .arg(directory.join(script))
            .arg(verb)
            .env("DPKG_ROOT", machine.0.path())
            .env("PATH", format!("{}:/usr/bin:/bin", planted.path().display()))
            .status()
            .unwrap();
        assert!(status.success(), "{script} {verb}");
        assert!(!ran.exists(), "{script} {verb}: {}", fs::read_to_string(&ran).unwrap());
    }
    assert_eq!(machine.files(), [""; 0]);
}

#[test]
fn what_cannot_be_removed_is_told_and_the_rest_goes() {
    let machine = Machine::new(PROVISIONED);
    // As on a read-only file system, for root too: directories of these names.
    for path in [
        "/factory/c2c/client-secret",
        "/etc/credstore.encrypted/c2c-authd.state-key",
    ] {
        fs::remove_file(machine.path(path)).unwrap();
        machine.put(&format!("{path}/x"), "x");
    }
    let said = machine.purge();
    assert_eq!(
        machine.files(),
        [
            "/etc/credstore.encrypted/c2c-authd.state-key/x",
            "/factory/c2c/client-secret/x"
        ]
    );
    for path in [
        "/factory/c2c/client-secret",
        "/etc/credstore.encrypted/c2c-authd.state-key",
    ] {
        assert!(said.contains(&format!("{path} cannot be removed and STAYS")), "{said}");
    }
    assert!(!machine.path("/var/lib/c2c-authd").exists());
}

#[test]
fn binaries_that_could_not_be_looked_at_are_not_called_clean() {
    let machine = Machine::new(&[
        ("/clean", "nothing\0in\0it"),
        ("/traced", "panic in /home/somebody/.cargo/registry/src/x\0"),
    ]);
    let traces = |binaries: &[&str]| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/traces");
        let mut command = Command::new(script);
        command.args(binaries.iter().map(|path| machine.path(path)));
        command.output().unwrap().status.success()
    };
    assert!(traces(&["/clean"]));
    for bad in [
        &[][..],
        &["/missing"],
        &["/clean", "/missing"],
        &["/traced"],
        &["/clean", "/traced"],
    ] {
        assert!(!traces(bad), "{bad:?}");
    }
}

#[test]
fn a_release_is_not_built_with_the_standard_library_of_the_tests() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/cross/build");
    let output = Command::new(script).env("CROSS_SYSROOT", "/nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("CROSS_SYSROOT"));
}

#[test]
fn installing_by_hand_keeps_a_configuration_that_was_edited() {
    let machine = Machine::new(&[]);
    let install = |more: &[(&str, &str)]| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/install");
        let mut command = Command::new(script);
        command
            .arg(machine.0.path())
            .env("DOCS", "no")
            .envs(more.iter().copied());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let config = machine.path("/etc/c2c-authd/config.toml");
    assert_eq!(install(&[]), "");
    let shipped = fs::read_to_string(&config).unwrap();
    assert_eq!(install(&[]), "", "again is nothing");
    fs::write(&config, "# edited\n").unwrap();
    let said = install(&[]);
    assert!(said.contains("config.toml differs and was kept"), "{said}");
    assert_eq!(fs::read_to_string(&config).unwrap(), "# edited\n");
    assert_eq!(fs::read_to_string(config.with_extension("toml.new")).unwrap(), shipped);
    install(&[("CONFIG", "replace")]);
    assert_eq!(fs::read_to_string(&config).unwrap(), shipped);
}
