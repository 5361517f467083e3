#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::os::unix::fs::PermissionsExt;

use super::*;

const GOOD: &str = "
[device]
client-id = \"SN-1\"
firmware-version = \"1.2.3\"
";

struct File {
    directory: tempfile::TempDir,
}

impl File {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn source(&self, text: &str) -> Source {
        let file = self.directory.path().join("config.toml");
        std::fs::write(&file, text).unwrap();
        Source {
            file: Some(file),
            system: System::at(self.directory.path()),
        }
    }
}

#[test]
fn what_a_running_daemon_can_change_is_taken() {
    let file = File::new();
    let current = file.source(GOOD).read().unwrap();
    let new = file
        .source(&format!("{GOOD}[refresh]\nat = \"50%\"\n"))
        .read_again(&current)
        .unwrap();
    assert_eq!(new.policy().refresh_at_percent, 50);
}

#[test]
fn what_it_cannot_change_is_refused_with_its_key() {
    let file = File::new();
    let current = file.source(GOOD).read().unwrap();
    for (text, key) in [
        (GOOD.replace("SN-1", "SN-2"), "device.client-id"),
        (format!("{GOOD}[tls]\nca-file = \"/ca.pem\"\n"), "tls.ca-file"),
        (
            format!("{GOOD}[state]\ndirectory = \"/elsewhere\"\n"),
            "state.directory",
        ),
    ] {
        let why = file.source(&text).read_again(&current).unwrap_err();
        assert!(why.contains(key) && why.contains("restart"), "{why}");
    }
}

#[test]
fn a_pairing_keeps_the_audience_that_it_was_asked_for() {
    const SERVER: &str =
        "[device]\nclient-id = \"SN-1\"\n[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\n";
    let file = File::new();
    let current = file.source(SERVER).read().unwrap();
    let told = |line: &str| {
        file.source(&format!("{SERVER}{line}\n"))
            .read_again(&current)
            .unwrap_err()
    };
    for line in ["audience = \"b\"", "resource = [\"urn:b\"]", "scope = \"b\""] {
        assert!(told(line).contains("counts from the next pairing on"), "{line}");
    }
    assert!(!told("client-auth = \"none\"").contains("next pairing"));
}

#[test]
fn a_file_with_a_fault_is_refused_with_its_place() {
    let file = File::new();
    let current = file.source(GOOD).read().unwrap();
    let why = file
        .source(&format!("{GOOD}[refresh]\nat = \"never\"\n"))
        .read_again(&current)
        .unwrap_err();
    assert!(why.contains("config.toml") && why.contains("refresh.at"), "{why}");
    std::fs::remove_file(file.directory.path().join("config.toml")).unwrap();
    let gone = Source {
        file: Some(file.directory.path().join("config.toml")),
        system: System::at("/nowhere"),
    };
    assert!(gone.read_again(&current).is_err());
}

#[test]
fn a_file_that_breaks_the_next_start_is_a_warning_now() {
    let file = File::new();
    let secret = file.directory.path().join("client-secret");
    std::fs::write(&secret, "one-line").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!("{GOOD}[secrets]\nclient-secret-file = {secret:?}\n");
    let current = file.source(&text).read().unwrap();
    let quiet = file.source(&text).read_again(&current).unwrap();
    std::fs::write(&secret, "two\nlines").unwrap();
    let warned = file.source(&text).read_again(&current).unwrap();
    assert_eq!(warned.warnings.len(), quiet.warnings.len() + 1);
    let warning = warned.warnings.last().unwrap();
    assert!(
        warning.starts_with("the next start will fail: ") && warning.contains("client-secret"),
        "{warning}"
    );
}
