#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use crate::core::{GrantKind, RefreshMode};

use super::raw::Raw;
use super::*;

const DOCUMENTED: &str = include_str!("../../config/config.toml");

/// A machine with an os-release of version 12 and nothing else.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        machine.write("/etc/os-release", "NAME=Board\nVERSION_ID=\"12\"\n");
        machine
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn system(&self) -> System {
        System::at(self.0.path())
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&self.system())
    }

    /// The configuration of one file.
    fn read(&self, text: &str) -> Result<Config, ConfigError> {
        let file = self.write("/tmp/test.toml", text);
        Config::load_file(&file, &self.system())
    }
}

fn good(text: &str) -> Config {
    Machine::new()
        .read(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The sentence that a bad text is refused with, without its directory.
fn refused(text: &str) -> String {
    let machine = Machine::new();
    let error = machine.read(text).expect_err(text);
    assert_eq!(error.exit_code(), 78);
    let text = error.to_string();
    assert!(!text.contains('\n'), "one sentence on one line: {text}");
    text.replace(&format!("{}/", machine.0.path().display()), "")
}

/// The parts of a configuration that the file decides, whatever file it is.
fn values(mut config: Config) -> Config {
    config.files.clear();
    config
}

/// Lines of `config.toml` that begin with `prefix` and a key, uncommented, with their section: `(section, line)`.
fn documented(prefix: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in DOCUMENTED.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some(line) = line.strip_prefix(prefix)
            && line.starts_with(|c: char| c.is_ascii_lowercase())
        {
            found.push((section.clone(), line.to_owned()));
        }
    }
    found
}

#[test]
fn every_documented_default_is_the_default_of_the_code() {
    let empty = values(good(""));
    let defaults = documented("#");
    assert!(defaults.len() > 10);
    for (section, line) in defaults {
        // Alone with what it needs, so that no other line can hide a difference.
        assert_eq!(
            values(good(&format!("[{section}]\n{line}\n"))),
            empty,
            "[{section}] {line}"
        );
    }
}

#[test]
fn every_documented_example_is_good_and_differs_from_the_default() {
    let machine = Machine::new();
    machine.write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    let empty = values(machine.read("").unwrap());
    for (section, line) in documented("# e.g. ") {
        if section == "provider" {
            assert!(
                is_good_with_some_kind(&machine, &line),
                "[{section}] {line} goes with no kind, or changes nothing"
            );
            continue;
        }
        let config = machine
            .read(&format!("[{section}]\n{line}\n"))
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_ne!(
            values(config),
            empty,
            "[{section}] {line} is a default and must be shown as one"
        );
    }
}

/// Whether a line of `[provider]` means something beside the least that one of the kinds needs.
fn is_good_with_some_kind(machine: &Machine, line: &str) -> bool {
    let key = |line: &str| line.split(' ').next().unwrap().to_owned();
    [DEVICE, CODE].into_iter().any(|least| {
        let others: Vec<_> = least.lines().filter(|other| key(other) != key(line)).collect();
        let base = machine.read(&format!("[provider]\n{least}\n"));
        let changed = machine.read(&format!("[provider]\n{}\n{line}\n", others.join("\n")));
        changed.is_ok_and(|changed| values(changed) != values(base.unwrap()))
    })
}

/// The least that the kind needs.
const DEVICE: &str = "kind = \"oauth-device\"\ntoken-endpoint = \"https://a.example/t\"\n\
    device-authorization-endpoint = \"https://a.example/d\"\nissuer = \"https://a.example\"";
const CODE: &str = "kind = \"oauth-code\"\ntoken-endpoint = \"https://a.example/t\"\n\
    authorization-endpoint = \"https://a.example/a\"\nissuer = \"https://a.example\"";

#[test]
fn every_key_is_documented_exactly_once_and_no_other() {
    let mut written: Vec<_> = documented("#")
        .into_iter()
        .chain(documented("# e.g. "))
        .map(|(section, line)| format!("{section}.{}", line.split(' ').next().unwrap()))
        .collect();
    written.sort();
    let mut known: Vec<_> = Raw::schema()
        .into_iter()
        .flat_map(|(section, keys)| keys.into_iter().map(move |key| format!("{section}.{key}")))
        .collect();
    known.sort();
    assert_eq!(written, known);
}

#[test]
fn the_shipped_file_as_it_is_changes_nothing() {
    assert_eq!(values(good(DOCUMENTED)), values(good("")));
}

#[test]
fn the_documented_application_id_is_the_one_in_the_code() {
    let hex = format!("{:032x}", u128::from_be_bytes(APPLICATION_ID));
    assert!(DOCUMENTED.contains(&hex), "{hex}");
}

#[test]
fn a_board_without_any_file_is_not_provisioned_and_otherwise_ready() {
    let config = Machine::new().load().unwrap();
    assert_eq!(config.files, Vec::<PathBuf>::new());
    assert_eq!(
        config.device,
        Device {
            client_id: None,
            firmware_version: "12.0.0".to_owned()
        }
    );
    assert_eq!(config.provider.kind(), "frameio-c2c");
    let policy = config.policy();
    assert_eq!(policy.refresh, RefreshMode::Eager);
    assert_eq!(policy.refresh_token_life, Duration::from_secs(14 * 86_400));
    assert!(policy.can_probe && policy.can_revoke);
}

#[test]
fn drop_ins_hide_the_main_file_key_by_key_in_the_order_of_their_names() {
    let machine = Machine::new();
    machine.write(
        "/etc/c2c-authd/config.toml",
        "[refresh]\nat = \"50%\"\nmin-validity = \"30s\"\n",
    );
    machine.write(
        "/usr/lib/c2c-authd/config.d/20-vendor.toml",
        "[refresh]\nat = \"60%\"\n",
    );
    machine.write(
        "/etc/c2c-authd/config.d/10-operator.toml",
        "[refresh]\nat = \"70%\"\npolicy = \"on-demand\"\n",
    );
    machine.write("/etc/c2c-authd/config.d/30-not-ours.conf", "nonsense");
    let config = machine.load().unwrap();
    let policy = config.policy();
    assert_eq!(policy.refresh_at_percent, 60, "the name decides, not the directory");
    assert_eq!(policy.min_validity, Duration::from_secs(30));
    assert_eq!(policy.refresh, RefreshMode::OnDemand);
    assert_eq!(config.files.len(), 3);
}

#[test]
fn a_drop_in_in_etc_takes_the_place_of_the_vendors_with_the_same_name() {
    let machine = Machine::new();
    machine.write(
        "/usr/lib/c2c-authd/config.d/50-model.toml",
        "[refresh]\nat = \"60%\"\nmin-validity = \"2min\"\n",
    );
    machine.write("/etc/c2c-authd/config.d/50-model.toml", "[refresh]\nat = \"70%\"\n");
    let policy = machine.load().unwrap().policy();
    assert_eq!(
        (policy.refresh_at_percent, policy.min_validity),
        (70, Duration::from_secs(60))
    );
}

#[test]
fn what_provision_wrote_beside_a_read_only_etc_is_read_and_etc_hides_it() {
    let machine = Machine::new();
    machine.write(
        "/usr/lib/c2c-authd/config.d/50-provision.toml",
        "[device]\nclient-id = \"SN-1\"\n",
    );
    machine.write(
        "/var/lib/c2c-provision/config.d/50-provision.toml",
        "[device]\nclient-id = \"SN-2\"\n",
    );
    assert_eq!(machine.load().unwrap().device.client_id.as_deref(), Some("SN-2"));
    machine.write(
        "/etc/c2c-authd/config.d/50-provision.toml",
        "[device]\nclient-id = \"SN-3\"\n",
    );
    assert_eq!(machine.load().unwrap().device.client_id.as_deref(), Some("SN-3"));
}

#[test]
fn a_link_to_dev_null_masks_the_vendors_drop_in_without_a_warning() {
    let machine = Machine::new();
    machine.write(
        "/usr/lib/c2c-authd/config.d/50-model.toml",
        "[heartbeat]\ninterval = \"off\"\n",
    );
    machine.write("/etc/c2c-authd/config.d/.keep", "");
    let link = machine.0.path().join("etc/c2c-authd/config.d/50-model.toml");
    std::os::unix::fs::symlink("/dev/null", link).unwrap();
    let config = machine.load().unwrap();
    assert_eq!(config.policy().heartbeat, Some(Duration::from_secs(120)));
    assert!(!config.warnings.iter().any(|warning| warning.contains("50-model")));
}

#[test]
fn a_named_file_is_the_only_one_that_is_read() {
    let machine = Machine::new();
    machine.write("/etc/c2c-authd/config.toml", "[refresh]\nat = \"50%\"\n");
    machine.write("/etc/c2c-authd/config.d/10.toml", "nonsense");
    assert_eq!(machine.read("").unwrap().policy().refresh_at_percent, 75);
}

#[test]
fn a_named_file_must_exist() {
    let error = Config::load_file(Path::new("/nowhere/config.toml"), &System::host()).unwrap_err();
    assert_eq!(error.exit_code(), 78);
    assert!(
        error.to_string().starts_with("/nowhere/config.toml: cannot be read"),
        "{error}"
    );
    assert!(error.to_string().contains("--config"), "{error}");
}

#[test]
fn a_fault_in_a_drop_in_names_the_drop_in() {
    let machine = Machine::new();
    machine.write("/etc/c2c-authd/config.toml", "[refresh]\nat = \"50%\"\n");
    let bad = machine.write("/etc/c2c-authd/config.d/10.toml", "\n[refresh]\nat = \"99%\"\n");
    let error = machine.load().unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{}:3: refresh.at: ", bad.display())),
        "{error}"
    );
}

#[test]
fn a_later_file_answers_in_the_other_way() {
    let machine = Machine::new();
    machine.write("/serial", "SN-9\n");
    machine.write(
        "/etc/c2c-authd/config.toml",
        "[device]\nclient-id = \"SN-1\"\nfirmware-version = \"1.2.3\"\n",
    );
    machine.write(
        "/etc/c2c-authd/config.d/10.toml",
        "[device]\nclient-id-from = \"file:/serial\"\nfirmware-version-from = \"os-release\"\n",
    );
    let device = machine.load().unwrap().device;
    assert_eq!(
        device,
        Device {
            client_id: Some("SN-9".to_owned()),
            firmware_version: "12.0.0".to_owned()
        }
    );
    machine.write("/etc/c2c-authd/config.d/20.toml", "[device]\nclient-id = \"SN-2\"\n");
    assert_eq!(machine.load().unwrap().device.client_id.unwrap(), "SN-2");
}

#[test]
fn faults_name_file_line_key_and_cure() {
    let faults = [
        "[device]\nclient-id = \"00:1A:2b:3c:4d:5e\"\n",
        "[device]\nclient-id = \"001a.2b3c.4d5e\"\n",
        "[device]\nclient-id = \"operator@example.com\"\n",
        "[device]\nclient-id = \"\"\n",
        "[device]\nclient-id = \"two words\"\n",
        "[device]\nclient-id = 123\n",
        "[device]\nclient-id = \"A\"\nclient-id-from = \"machine-id\"\n",
        "[device]\nclient-id-from = \"serial\"\n",
        "[device]\nclient-id-from = \"file:serial\"\n",
        "[device]\nclient-id-from = \"machine-id\"\n",
        "[device]\nfirmware-version = \"v2.16\"\n",
        "[device]\nfirmware-version-from = \"file:/nowhere\"\n",
        "[provider]\nkind = \"frameio\"\n",
        "[provider]\nclient-auth = \"post\"\n",
        "[provider]\nkind = \"oauth-device\"\n",
        "[provider]\nkind = \"oauth-device\"\ntoken-endpoint = \"https://a.example/t\"\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\nredirect-uri = \"http://127.0.0.1/cb\"\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"http://a.example\"\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example?x\"\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\nbase-uri = \"https://a.example\"\n",
        "[provider]\nkind = \"oauth-code\"\nauthorization-endpoint = \"https://a.example/a\"\n",
        "[provider]\nkind = \"oauth-code\"\npreset = \"google\"\n",
        "[provider]\nkind = \"oauth-code\"\npreset = \"adobe-ims\"\n",
        "[provider]\nkind = \"oauth-code\"\nissuer = \"https://a.example\"\nclient-auth = \"jwt\"\n",
        "[provider]\nkind = \"oauth-code\"\nissuer = \"https://a.example\"\nclient-id = \"two words\"\n",
        "[provider]\nkind = \"oauth-code\"\nissuer = \"https://a.example\"\ntoken-endpoint = \"https://a.example/#t\"\n",
        "[provider]\nkind = \"oauth-code\"\nissuer = \"https://a.example\"\nredirect-uri = \"http://192.0.2.1/cb\"\n",
        "[provider]\nkind = \"oauth-code\"\nissuer = \"https://a.example\"\nredirect-uri = \"http://127.0.0.1:0/cb\"\n",
        "[provider]\nkind = \"oauth-code\"\nissuer = \"https://a.example\"\nredirect-uri = \"https://a.example/cb?x\"\n",
        "[provider]\nkind = \"oauth-code\"\nissuer = \"https://a.example\"\nredirect-uri = \"/cb\"\n",
        "[provider]\nkind = \"oauth-code\"\nissuer = \"https://a.example\"\nrefresh-token-life = \"1min\"\n",
        "[provider]\nbase-uri = \"http://api.frame.io\"\n",
        "[provider]\nbase-uri = \"https://user:secret@api.frame.io\"\n",
        "[provider]\nbase-uri = \"https://api.frame.io/?x\"\n",
        "[provider]\nbody = \"json\"\n",
        "[provider]\nscope = \"\"\n",
        "[provider]\ndevice-code-path = \"v2/device/code\"\n",
        "[provider]\nurl-pairing = \"yes\"\n",
        "[tls]\nca-file = \"ca.pem\"\n",
        "[secrets]\ncreate-state-key = true\n",
        "[state]\ndirectory = \"state\"\n",
        "[refresh]\npolicy = \"lazy\"\n",
        "[refresh]\nat = 75\n",
        "[refresh]\nat = \"96%\"\n",
        "[refresh]\nmin-validity = \"2h\"\n",
        "[refresh]\nmin-validity = \"60\"\n",
        "[refresh]\nreplay-after = \"500ms\"\n",
        "[pairing]\ngive-up-after = \"5m\"\n",
        "[pairing]\ngive-up-after = \"2d\"\n",
        "[heartbeat]\ninterval = \"30s\"\n",
        "[heartbeat]\ninterval = false\n",
        "[access]\nui = \"c2c-ui\"\n",
        "[access]\nui = [\n  \"c2c-ui\",\n  \"uid:root\",\n]\n",
        "[access]\nuploader = [-1]\n",
        "[refresh]\nminvalidity = \"1min\"\n",
        "[refresh]\nmin_validity = \"1min\"\n",
        "[refresh]\ngive-up-after = \"1min\"\n",
        "[refresh]\nfrequency = \"1min\"\n",
        "[secrets]\nclient-secret = \"x\"\n",
        "[refesh]\nat = \"75%\"\n",
        "[network]\n",
        "interval = \"120s\"\n",
        "refresh = \"eager\"\n",
        "[refresh]\nat = \"75%\nmin-validity = \"60s\"\n",
        "[refresh]\nat = \"75%\"\nat = \"76%\"\n",
    ];
    let told: Vec<_> = faults
        .iter()
        .map(|text| format!("{text}--> {}\n", refused(text)))
        .collect();
    for line in &told {
        assert!(line.contains("tmp/test.toml:"), "{line}");
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn what_could_be_a_secret_in_the_wrong_place_is_never_repeated() {
    const CANARY: &str = "canary7f3a";
    for text in [
        format!("[secrets]\nclient-secret = \"{CANARY}\"\n"),
        format!("[secrets]\nclient-secret-file = \"{CANARY}\"\n"),
        format!("[secrets]\ncreate-state-key = \"{CANARY}\"\n"),
        format!("[secrets]\nstate-key-file = [\"{CANARY}\"]\n"),
        format!("[secrets]\nstate-key-file = \"{CANARY}\n"),
        format!("[secrets]\nstate-key-file = {CANARY}\n"),
        format!("[provider]\nbase-uri = \"https://{CANARY}@api.frame.io\"\n"),
        format!("[provider]\nurl-pairing = \"{CANARY}\"\n"),
        format!("[provider]\nissuer = \"https://{CANARY}@a.example\"\n"),
        format!("[provider]\ntoken-endpoint = \"https://u:{CANARY}@a.example/t\"\n"),
        format!("[provider]\nredirect-uri = \"https://u:{CANARY}@a.example/t\"\n"),
        format!("[provider]\nclient-id = \"{CANARY} \"\n"),
        format!("secrets = \"{CANARY}\"\n"),
    ] {
        let told = refused(&text);
        assert!(!told.contains(CANARY), "{told}");
    }
}

#[test]
fn control_characters_in_a_key_or_value_do_not_reach_the_terminal() {
    for text in [
        "[\"a\\u001bb\"]\n",
        "[refresh]\n\"a\\nb\" = 1\n",
        "[refresh]\nat = \"\\u001b[2J\"\n",
        "[access]\nui = [\"a\\nb\"]\n",
    ] {
        let told = refused(text);
        assert!(!told.contains(char::is_control), "{told:?}");
    }
}

#[test]
fn warnings_tell_what_is_allowed_but_probably_not_meant() {
    let config = good(
        "[device]\nclient-id = \"001A2B3C4D5E\"\n[refresh]\nreplay-after = \"39s\"\n[access]\nui = [\"no-such-group-here\"]\nuploader = [\"user:no-such-user-here\"]\n",
    );
    let told = config.warnings.join("\n");
    assert_eq!(config.warnings.len(), 4, "{told}");
    for word in ["MAC", "refresh.replay-after", "no-such-group-here", "no-such-user-here"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert_eq!(
        (config.access.ui, config.access.uploader),
        (Principals::default(), Principals::default())
    );
}

#[test]
fn a_source_that_does_not_exist_yet_leaves_the_device_unprovisioned_with_a_warning() {
    let config = good("[device]\nclient-id-from = \"devicetree-serial\"\n");
    assert_eq!(config.device.client_id, None);
    assert!(
        config
            .warnings
            .iter()
            .any(|warning| warning.contains("serial-number does not exist"))
    );
}

#[test]
fn a_serial_number_is_held_to_the_same_rules_wherever_it_comes_from() {
    let machine = Machine::new();
    machine.write("/sys/firmware/devicetree/base/serial-number", "00:11:22:33:44:55\0");
    let error = machine
        .read("[device]\nclient-id-from = \"devicetree-serial\"\n")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("device.client-id-from") && error.contains("MAC"),
        "{error}"
    );
}

#[test]
fn roles_are_groups_users_and_numbers_and_may_be_empty() {
    let config = good("[access]\nui = [\"root\", 1001, \"1002\", 1001]\nuploader = [\"user:root\", \"uid:1003\"]\n");
    assert_eq!(
        config.access.ui,
        Principals {
            uids: vec![],
            gids: vec![0, 1001, 1002]
        }
    );
    assert_eq!(
        config.access.uploader,
        Principals {
            uids: vec![0, 1003],
            gids: vec![]
        }
    );
    assert_eq!(good("[access]\nuploader = []\n").access.uploader, Principals::default());
}

#[test]
fn a_file_that_everybody_may_write_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let machine = Machine::new();
    let file = machine.write("/etc/c2c-authd/config.toml", "");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o646)).unwrap();
    assert!(
        machine
            .load()
            .unwrap()
            .warnings
            .iter()
            .any(|warning| warning.contains("chmod o-w"))
    );
}

#[test]
fn what_a_running_daemon_cannot_change_is_named() {
    let before = good("");
    let after = |text: &str| before.restart_needed(&good(text));
    assert_eq!(after("[provider]\nbody = \"urlencoded\"\n"), Some("provider"));
    assert_eq!(after("[device]\nclient-id = \"A\"\n"), Some("device.client-id"));
    assert_eq!(
        after("[device]\nfirmware-version = \"1.0.0\"\n"),
        Some("device.firmware-version")
    );
    assert_eq!(after("[state]\ndirectory = \"/data\"\n"), Some("state.directory"));
    assert_eq!(after("[secrets]\nclient-secret-file = \"/s\"\n"), Some("secrets"));
    assert_eq!(
        after("[refresh]\nat = \"50%\"\n[access]\nui = []\n[heartbeat]\ninterval = \"off\"\n"),
        None
    );
}

#[test]
fn every_value_reaches_its_place() {
    let config = good(
        r#"
[device]
client-id = "SN-000123"
firmware-version = "2.16.4-rc.1+build.7"
[provider]
base-uri = "HTTPS://Api.Example:8443/base/"
scope = "offline"
url-pairing = false
device-code-path = "/v2/device/code"
body = "urlencoded"
[tls]
ca-file = "/ca.pem"
[secrets]
client-secret-file = "/cs"
state-key-file = "/sk"
create-state-key = true
[state]
directory = "/data"
[refresh]
policy = "on-demand"
at = "5%"
min-validity = "0s"
replay-after = "1s"
[pairing]
give-up-after = "1d"
[heartbeat]
interval = "5min"
[access]
ui = ["uid:7"]
uploader = [8]
"#,
    );
    insta::assert_snapshot!(config.check().replace(config.files[0].to_str().unwrap(), "FILE"));
}

#[test]
fn each_example_file_is_a_whole_configuration_of_its_kind() {
    for (kind, text) in [
        ("frameio-c2c", include_str!("../../config/examples/frameio-c2c.toml")),
        ("oauth-device", include_str!("../../config/examples/oauth-device.toml")),
        ("oauth-code", include_str!("../../config/examples/oauth-code.toml")),
    ] {
        let config = good(text);
        assert_eq!(config.provider.kind(), kind);
        assert!(config.device.client_id.is_some(), "{kind}");
        // Whether the groups of the roles exist is this machine's affair.
        let told: Vec<_> = config
            .warnings
            .iter()
            .filter(|told| !told.starts_with("access."))
            .collect();
        assert!(told.is_empty(), "{kind}: {told:?}");
        // What is shown as an alternative must be good as well, whichever is chosen.
        let mut alternatives = 0;
        for line in text.lines().filter_map(|line| line.strip_prefix('#')) {
            if line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains(" = ") {
                let key = line.split(' ').next().unwrap();
                let provider = text.split("[provider]").nth(1).unwrap().split("\n[").next().unwrap();
                let others: Vec<_> = provider
                    .lines()
                    .filter(|other| other.split(' ').next() != Some(key))
                    .collect();
                good(&format!("[provider]\n{}\n{line}\n", others.join("\n")));
                alternatives += 1;
            }
        }
        assert!(alternatives > 0, "{kind}");
    }
}

#[test]
fn a_client_of_its_own_wins_over_the_units_id() {
    let unit = "[device]\nclient-id = \"SN-1\"\n";
    let config = good(&format!("{unit}[provider]\n{DEVICE}\nclient-id = \"camera-app\"\n"));
    assert_eq!(config.device.client_id.as_deref(), Some("camera-app"));
    let config = good(&format!("{unit}[provider]\n{DEVICE}\n"));
    assert_eq!(config.device.client_id.as_deref(), Some("SN-1"));
    assert_eq!(good(&format!("[provider]\n{DEVICE}\n")).device.client_id, None);
}

#[test]
fn nothing_of_frameios_habits_is_in_the_policy_of_a_standard_server() {
    for (kind, grant) in [(DEVICE, GrantKind::Device), (CODE, GrantKind::Code)] {
        let policy = good(&format!("[provider]\n{kind}\n")).policy();
        assert_eq!(policy.grant, grant);
        assert!(policy.sole_grant && !policy.can_probe);
        let separate = good(&format!("[provider]\n{kind}\nseparate-grants = true\n")).policy();
        assert!(!separate.sole_grant);
        assert_eq!(policy.heartbeat, None);
        assert_eq!(policy.refresh_token_life, Duration::from_secs(30 * 86_400));
    }
    let policy = good("").policy();
    assert!(policy.sole_grant && policy.heartbeat.is_some());
}

#[test]
fn a_public_client_needs_no_secret() {
    let needs = |auth: &str| {
        good(&format!("[provider]\n{DEVICE}\n{auth}"))
            .provider
            .needs_client_secret()
    };
    assert!(needs("") && needs("client-auth = \"post\"\n") && needs("client-auth = \"basic\"\n"));
    assert!(!needs("client-auth = \"none\"\n"));
}

#[test]
fn a_preset_knows_its_server_and_gives_way_to_what_is_written() {
    let code = |text: &str| match good(&format!("[provider]\nkind = \"oauth-code\"\n{text}")).provider {
        Provider::OauthCode(code) => code,
        other => panic!("{other:?}"),
    };
    let frameio = code("preset = \"frameio-applications\"\nscope = \"offline asset.create\"\n");
    let endpoints = &frameio.server.endpoints;
    assert_eq!(
        endpoints.token.as_deref(),
        Some("https://applications.frame.io/oauth2/token")
    );
    assert_eq!(
        (endpoints.revocation.as_deref(), frameio.redirect_uri.as_str()),
        (None, "http://127.0.0.1/callback")
    );
    let adobe = code(
        "preset = \"adobe-ims\"\nredirect-uri = \"https://a.example/cb\"\ntoken-endpoint = \"https://a.example/t\"\n",
    );
    assert_eq!(adobe.server.endpoints.token.as_deref(), Some("https://a.example/t"));
    assert_eq!(
        adobe.server.endpoints.revocation.as_deref(),
        Some("https://ims-na1.adobelogin.com/ims/revoke")
    );
    assert_eq!(adobe.server.refresh_token_life, Duration::from_secs(14 * 86_400));
    let written = code("preset = \"frameio-applications\"\nrefresh-token-life = \"7d\"\n");
    assert_eq!(written.server.refresh_token_life, Duration::from_secs(7 * 86_400));
}

#[test]
fn a_preset_without_the_word_for_offline_access_is_told() {
    let config = good("[provider]\nkind = \"oauth-code\"\npreset = \"frameio-applications\"\n");
    assert!(
        config.warnings.iter().any(|warning| warning.contains("\"offline\"")),
        "{:?}",
        config.warnings
    );
}

#[test]
fn redirect_uris_are_of_this_machine_or_safe_on_the_way() {
    let accepted = |uri: &str| {
        Machine::new()
            .read(&format!("[provider]\n{CODE}\nredirect-uri = {uri:?}\n"))
            .is_ok()
    };
    for uri in [
        "http://127.0.0.1/callback",
        "http://127.0.0.1:8910/callback",
        "http://[::1]/cb",
        "http://localhost:8910",
        "https://app.example/cb",
        "com.example.app:/cb",
        "adobe+abc123://adobeid/abc123",
    ] {
        assert!(accepted(uri), "{uri}");
    }
    for uri in [
        "http://localhost.evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1@evil.example/cb",
        "http:/cb",
        "https://",
        "://x",
        "x://",
        "1x:/cb",
        "com.example.app:cb",
    ] {
        assert!(!accepted(uri), "{uri}");
    }
}

#[test]
fn the_check_says_what_is_missing() {
    let text = Machine::new().load().unwrap().check();
    assert!(text.contains("client id           none: not provisioned\n"), "{text}");
    assert!(
        text.contains("files               none, every value is the default\n"),
        "{text}"
    );
}

#[test]
fn addresses_are_taken_apart() {
    let parts = |text: &str| {
        text.parse::<BaseUri>()
            .map(|uri| (uri.host().to_owned(), uri.port(), uri.path().to_owned()))
    };
    assert_eq!(
        parts("https://localhost:8443/a/b/").unwrap(),
        ("localhost".to_owned(), 8443, "/a/b".to_owned())
    );
    assert_eq!(parts("https://[::1]:9/").unwrap(), ("::1".to_owned(), 9, String::new()));
    assert_eq!(
        "https://[::1]:9/x/".parse::<BaseUri>().unwrap().to_string(),
        "https://[::1]:9/x"
    );
    for bad in [
        "",
        "https://",
        "https:///path",
        "https://a:0",
        "https://a:65536",
        "https://a:",
        "https://a:+1",
        "https://a b",
        "https://[::1",
        "https://[x]",
        "https://a#b",
        "httpsx://a",
        "é",
        "https://ü",
    ] {
        assert!(parts(bad).is_err(), "{bad}");
    }
}

#[test]
fn versions_are_held_to_semver() {
    let good = |version: &str| {
        Machine::new()
            .read(&format!("[device]\nfirmware-version = {version:?}\n"))
            .is_ok()
    };
    for version in [
        "0.0.0",
        "2.16.4",
        "1.0.0-alpha.1",
        "1.0.0-0a",
        "1.0.0--",
        "1.0.0+001",
        "1.0.0-a+b-c",
    ] {
        assert!(good(version), "{version}");
    }
    for version in [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "01.2.3",
        "v1.2.3",
        "1.2.3-",
        "1.2.3-01",
        "1.2.3+",
        "1.2.3-a..b",
        " 1.2.3",
        "1.2.x",
    ] {
        assert!(!good(version), "{version}");
    }
}

#[test]
fn a_uuid_or_serial_number_is_not_mistaken_for_an_address() {
    for id in [
        "6f1c0c2e-98a5-4d2b-9d0c-0a3d5f7b1e11",
        "100000003d1f8a2c",
        "Some-Client-ID",
        "12-34-56",
        "@home",
        "4CA00368",
    ] {
        let config = good(&format!("[device]\nclient-id = \"{id}\"\n"));
        assert_eq!(config.device.client_id.as_deref(), Some(id));
    }
}

proptest! {
    #[test]
    fn any_duration_is_read_back_as_it_is_written(millis in 0_u64..1 << 45) {
        let time = Duration::from_millis(millis);
        prop_assert_eq!(duration(&duration_text(time)), Ok(time));
    }

    #[test]
    fn no_text_brings_the_reader_down_and_every_fault_is_one_line(
        text in "(\\[(device|refresh|secrets|access)\\]\n)?((client-id|at|ui|\"a\\\\nb\"|[a-z-]{1,8}) = [\"\\[a-z0-9%\\]é]{0,9}\n){0,3}"
    ) {
        if let Err(error) = layer::Layer::parse(Path::new("f"), &text) {
            prop_assert!(!error.to_string().contains('\n'), "{}", error);
        }
    }

    #[test]
    fn no_address_version_or_duration_brings_the_reader_down(text in "\\PC{0,24}") {
        let _ = text.parse::<BaseUri>();
        let _ = format!("https://{text}").parse::<BaseUri>();
        let _ = duration(&text);
    }
}
