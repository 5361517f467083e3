#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::System;
use crate::daemon::exit::Code;
use c2c_auth_core::{Body, Generation, GrantId, Reason, Record};

/// A device on disk: a configuration, a state directory, credentials.
struct Device {
    directory: tempfile::TempDir,
}

impl Device {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["state", "credentials"] {
            let path = directory.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn config(&self, more: &str) -> Config {
        let file = self.path("config.toml");
        std::fs::write(&file, format!("[device]\nfirmware-version = \"1.2.3\"\n{more}")).unwrap();
        Config::load_file(&file, &System::at(self.directory.path())).unwrap()
    }

    fn environment(&self) -> Environment {
        Environment {
            state: Some(self.path("state")),
            runtime: None,
            credentials: Some(self.path("credentials")),
        }
    }

    fn provision(&self, config: &Config) -> Provisioned {
        provision(config, &self.environment(), &self.path("state")).unwrap()
    }
}

const ID: &str = "client-id = \"SN-1\"\n";

#[test]
fn what_is_missing_is_told_in_the_order_of_a_production_line() {
    let device = Device::new();
    let bare = device.config("");
    assert_eq!(
        provisioning(&bare, &device.provision(&bare)),
        Provisioning::ClientIdMissing
    );
    let named = device.config(ID);
    assert_eq!(
        provisioning(&named, &device.provision(&named)),
        Provisioning::ClientSecretMissing
    );
    std::fs::write(device.path("credentials/client-secret"), "s3cret").unwrap();
    assert_eq!(
        provisioning(&named, &device.provision(&named)),
        Provisioning::StateKeyMissing
    );
    std::fs::write(device.path("credentials/state-key"), [7; 32]).unwrap();
    assert_eq!(provisioning(&named, &device.provision(&named)), Provisioning::Ready);
}

#[test]
fn a_public_client_does_not_stop_at_a_secret_that_it_never_sends() {
    let device = Device::new();
    std::fs::write(device.path("credentials/client-secret"), "two\nlines").unwrap();
    std::fs::write(device.path("credentials/state-key"), [7; 32]).unwrap();
    let with = |auth: &str| {
        let server = "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"";
        device.config(&format!("{ID}{server}\nclient-auth = {auth:?}\n"))
    };
    let public = with("none");
    assert_eq!(provisioning(&public, &device.provision(&public)), Provisioning::Ready);
    let confidential = with("basic");
    assert!(provision(&confidential, &device.environment(), &device.path("state")).is_err());
}

#[test]
fn a_state_key_is_made_once_and_never_beside_records_it_cannot_open() {
    let device = Device::new();
    let key = device.path("key");
    let config = device.config(&format!(
        "{ID}[secrets]\nstate-key-file = \"{}\"\ncreate-state-key = true\n",
        key.display()
    ));
    assert!(device.provision(&config).state_key.is_some());
    let made = std::fs::read(&key).unwrap();
    assert!(device.provision(&config).state_key.is_some());
    assert_eq!(std::fs::read(&key).unwrap(), made);

    std::fs::remove_file(&key).unwrap();
    std::fs::write(device.path("state/record.0"), "sealed by the lost key").unwrap();
    assert!(device.provision(&config).state_key.is_none());
    assert!(!key.exists());
}

#[test]
fn the_configuration_names_the_state_directory_before_the_environment_does() {
    let device = Device::new();
    let silent = device.config(ID);
    assert_eq!(
        directories(&silent, &device.environment()).unwrap().state,
        device.path("state")
    );
    let named = device.config(&format!("{ID}[state]\ndirectory = \"/elsewhere\"\n"));
    assert_eq!(
        directories(&named, &device.environment()).unwrap().state,
        PathBuf::from("/elsewhere")
    );
    let nowhere = directories(&silent, &Environment::default()).unwrap_err();
    assert_eq!(nowhere.code(), Code::Config);
    assert!(nowhere.sentence().contains("state.directory"), "{nowhere}");
}

#[test]
fn without_a_client_id_nothing_on_disk_is_taken_for_foreign() {
    let device = Device::new();
    let boot = BootId([1; 16]);
    let record = Record {
        generation: Generation(3),
        grant: GrantId(1),
        floor: Some(WallTime::from_secs(2_000_000_000)),
        body: Body::Tombstone(Reason::Unpaired),
    };
    let open = |config: &Config| {
        let provider = config.provider_with(None).unwrap();
        let directories = directories(config, &device.environment()).unwrap();
        open_store(
            config,
            &provider,
            Some(StateKey::from_bytes([7; 32])),
            directories,
            boot,
        )
        .unwrap()
    };
    let named = device.config(ID);
    let (mut store, _) = open(&named);
    let what = c2c_auth_core::Store::Record {
        record: Box::new(record.clone()),
        slots: c2c_auth_core::Slots::Both,
    };
    store.write(&what).unwrap();
    drop(store);
    assert_eq!(open(&device.config("")).1.record, Loaded::KeyUnavailable);
    let (_store, stored) = open(&named);
    assert_eq!(stored.record, Loaded::Current(record));
    assert_eq!(stored_floor(&stored), Some(WallTime::from_secs(2_000_000_000)));
}

#[test]
fn roles_are_handed_to_the_bus_by_number() {
    let device = Device::new();
    let config = device.config(&format!("{ID}[access]\nui = [\"uid:7\", \"8\"]\nuploader = []\n"));
    let access = access(&config);
    assert_eq!(access.ui, [Principal::Uid(7), Principal::Gid(8)]);
    assert!(access.uploader.is_empty());
}

#[test]
fn a_second_daemon_is_told_to_wait_and_a_stranger_to_go() {
    let device = Device::new();
    let config = device.config(ID);
    let open = || {
        let provider = config.provider_with(None).unwrap();
        open_store(
            &config,
            &provider,
            None,
            directories(&config, &device.environment()).unwrap(),
            BootId([1; 16]),
        )
    };
    let first = open().unwrap();
    assert_eq!(StartError::from(open().unwrap_err()).code(), Code::TempFail);
    drop(first);
    std::fs::set_permissions(device.path("state"), std::fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(StartError::from(open().unwrap_err()).code(), Code::NoPermission);
    std::fs::remove_dir(device.path("state")).unwrap();
    assert_eq!(StartError::from(open().unwrap_err()).code(), Code::Io);
}
