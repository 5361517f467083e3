//! Which files are read, and which of them hides which.

use std::path::Path;

use super::*;
use c2c_auth_core::RefreshMode;

#[test]
fn a_board_without_any_file_is_not_provisioned_and_otherwise_ready() {
    let config = Machine::new().load().unwrap();
    assert_eq!(config.files, Vec::<PathBuf>::new());
    assert_eq!(
        config.device,
        Device {
            client_id: None,
            client_id_absent: None,
            firmware_version: "12.0.0".to_owned(),
            firmware_source: "os-release, by default".to_owned(),
            sources: Vec::new(),
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
    let error = Config::load_file(Path::new("/nowhere/config.toml"), &Machine::new().system()).unwrap_err();
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
    let mut device = machine.load().unwrap().device;
    let sources = std::mem::take(&mut device.sources);
    assert!(sources.len() == 1 && sources[0].ends_with("serial"), "{sources:?}");
    assert_eq!(
        device,
        Device {
            client_id: Some("SN-9".to_owned()),
            client_id_absent: None,
            firmware_version: "12.0.0".to_owned(),
            firmware_source: "os-release".to_owned(),
            sources: Vec::new(),
        }
    );
    machine.write("/etc/c2c-authd/config.d/20.toml", "[device]\nclient-id = \"SN-2\"\n");
    assert_eq!(machine.load().unwrap().device.client_id.unwrap(), "SN-2");
}

/// The warnings that tell of this path.
fn exposed(machine: &Machine, path: &str) -> Vec<String> {
    let path = machine.0.path().join(path).display().to_string();
    let mut told = machine.load().unwrap().warnings;
    told.retain(|told| told.contains(&format!("{path} ")) || told.contains(&format!("{path};")));
    told
}

fn allow(machine: &Machine, path: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(machine.0.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn whatever_others_may_write_of_the_configuration_is_told_once() {
    let machine = Machine::new();
    let ca = machine.write("/trust/ca.pem", "");
    let main = format!("[tls]\nca-file = {:?}\n", ca.display().to_string());
    machine.write("/etc/c2c-authd/config.toml", &main);
    machine.write("/etc/c2c-authd/config.d/10.toml", "");
    machine.write("/usr/lib/c2c-authd/config.d/20.toml", "");
    machine.write("/var/lib/c2c-provision/config.d/.keep", "");
    let files = [
        "etc/c2c-authd/config.toml",
        "etc/c2c-authd/config.d/10.toml",
        "trust/ca.pem",
    ];
    let directories = [
        "etc",
        "etc/c2c-authd",
        "etc/c2c-authd/config.d",
        "usr/lib/c2c-authd",
        "var/lib/c2c-provision/config.d",
        "var/lib/c2c-provision",
        "trust",
    ];
    for (path, good) in files
        .map(|file| (file, 0o644))
        .into_iter()
        .chain(directories.map(|path| (path, 0o755)))
    {
        allow(&machine, path, good);
        assert_eq!(exposed(&machine, path), [""; 0], "{path}");
        // The group of root, and this process's own, are as good as their users.
        allow(&machine, path, good | 0o020);
        assert_eq!(exposed(&machine, path), [""; 0], "{path}");
        let has_foreign_group = std::os::unix::fs::chown(machine.0.path().join(path), None, Some(65_530)).is_ok();
        for (more, cure) in [(0o020, "chmod g-w"), (0o002, "chmod o-w"), (0o022, "chmod o-w")] {
            if more == 0o020 && !has_foreign_group {
                eprintln!("left out: no right to give a file to another group");
                continue;
            }
            allow(&machine, path, good | more);
            let told = exposed(&machine, path);
            assert!(told.len() == 1 && told[0].contains(cure), "{path} {more:o}: {told:?}");
        }
        allow(&machine, path, good);
    }
    // In a sticky directory nobody replaces another's file.
    allow(&machine, "trust", 0o1777);
    assert_eq!(exposed(&machine, "trust"), [""; 0]);
}

#[test]
fn a_link_is_followed_to_the_directories_that_it_leads_through() {
    let machine = Machine::new();
    machine.write("/open/real.toml", "");
    let link = machine.write("/etc/c2c-authd/config.d/10.toml", "");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(machine.0.path().join("open/real.toml"), &link).unwrap();
    allow(&machine, "open", 0o777);
    assert_eq!(exposed(&machine, "open").len(), 1);
}

/// A file of another user needs root to be made; the rest of the rule is tried above.
#[test]
fn a_file_of_another_user_is_told() {
    let machine = Machine::new();
    let file = machine.write("/etc/c2c-authd/config.toml", "");
    if std::os::unix::fs::chown(&file, Some(65_530), None).is_err() {
        eprintln!("left out: no right to give a file away");
        return;
    }
    let told = exposed(&machine, "etc/c2c-authd/config.toml");
    assert!(told.len() == 1 && told[0].contains("belongs to uid 65530"), "{told:?}");
}

#[test]
fn the_systems_version_is_told_as_what_it_is_unless_it_was_asked_for() {
    let machine = Machine::new();
    let read = |text: &str| machine.read(text).unwrap();
    let told = |config: &Config| {
        config
            .warnings
            .iter()
            .filter(|told| told.contains("device.firmware-version"))
            .count()
    };
    let silent = read("");
    assert_eq!(told(&silent), 1, "{:?}", silent.warnings);
    assert!(
        silent
            .warnings
            .iter()
            .any(|told| told.contains("12.0.0, which is the version of the operating system"))
    );
    assert!(
        silent
            .check()
            .contains("firmware version    12.0.0 (os-release, by default)\n")
    );
    let asked = read("[device]\nfirmware-version-from = \"os-release\"\n");
    assert_eq!(told(&asked), 0, "{:?}", asked.warnings);
    assert!(asked.check().contains("firmware version    12.0.0 (os-release)\n"));
    for text in ["firmware-version = \"0.0.0\"", "firmware-version-from = \"file:/zero\""] {
        machine.write("/zero", "0.0.0\n");
        let zero = read(&format!("[device]\n{text}\n"));
        assert!(
            zero.warnings
                .iter()
                .any(|told| told.contains("the server is told 0.0.0")),
            "{:?}",
            zero.warnings
        );
        assert_eq!(told(&zero), 1);
    }
    // The version of a build without one is the system's name for it.
    machine.write("/etc/os-release", "VERSION_ID=bookworm\n");
    assert_eq!(told(&read("")), 1);
    assert_eq!(read("").device.firmware_version, "0.0.0");
}
