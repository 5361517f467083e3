//! The records decide by themselves, whatever the daemon says.

use std::os::unix::fs::PermissionsExt;

use super::*;
use c2c_auth_core::{BootId, Generation, GrantId, Slots, Store};

/// A device with its client id and its state key, as a file, and in the state directory what the
/// daemon writes when it unpairs.
fn unpaired_before() -> (tempfile::TempDir, Site) {
    let (folder, site) = machine(&[]);
    let put = |path: &str, content: &[u8]| {
        let path = site.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    };
    put("/factory/state-key", &[7; 32]);
    put(
        "/etc/c2c-authd/config.toml",
        b"[device]\nclient-id = \"SN-1\"\n[secrets]\nstate-key-file = \"/factory/state-key\"\n",
    );
    let config = site.config().unwrap();
    let provider = config.provider_with(None).unwrap();
    let identity = Identity::new(provider.name(), &provider.issuer(), "SN-1");
    let state = site.state_directory(None);
    let directories = Directories { state, runtime: None };
    let key = StateKey::from_bytes([7; 32]);
    let (mut store, _) = store::Store::open(directories, Some(key), identity, BootId([1; 16])).unwrap();
    let record = Record {
        generation: Generation::default(),
        grant: GrantId::default(),
        floor: None,
        body: Body::Tombstone(Reason::Unpaired),
    };
    let record = Box::new(record);
    let slots = Slots::Both;
    store.write(&Store::Record { record, slots }).unwrap();
    (folder, site)
}

#[tokio::test]
async fn an_attempt_after_the_last_unpairing_leaves_no_doubt_that_there_is_no_pairing() {
    for word in ["denied", "cancelled", "gave-up", "code-expired", "never-paired"] {
        let fake = Fake::start().await;
        fake.is_unpaired(word);
        let (_folder, site) = unpaired_before();
        let report = reset(&site, &fake.address().into(), &WANTED).await.unwrap();
        assert_eq!(
            (report.server, report.exit()),
            (Server::NothingToTell, Exit::Ok),
            "{word}: {report:?}"
        );
        assert_eq!(left(&site), ["record.0", "record.1"], "the latest known time stays");
        let all = FactoryReset {
            provisioning: true,
            ..WANTED
        };
        let report = reset(&site, &fake.address().into(), &all).await.unwrap();
        assert!(!report.held_back && left(&site).is_empty(), "{report:?}");
    }
    // A dead daemon says nothing. The records do.
    let (_folder, site) = unpaired_before();
    let report = reset(&site, &nobody(), &WANTED).await.unwrap();
    assert_eq!(
        (report.server, report.exit()),
        (Server::NothingToTell, Exit::Ok),
        "{report:?}"
    );
    // With another key they do not.
    let (_folder, site) = unpaired_before();
    fs::write(site.path("/factory/state-key"), [8; 32]).unwrap();
    let report = reset(&site, &nobody(), &WANTED).await.unwrap();
    assert_eq!(report.server, Server::NotTold);
}

#[tokio::test]
async fn records_that_were_set_aside_may_have_been_a_pairing_whatever_the_daemon_says() {
    let fake = Fake::start().await;
    fake.is_unpaired("unpaired");
    for name in ["record.damaged.1", "record.foreign.2", "record.other-key.10"] {
        let (_folder, site) = machine(&["record.0", name]);
        let report = reset(&site, &fake.address().into(), &WANTED).await.unwrap();
        assert_eq!(
            (report.server, report.exit()),
            (Server::NotTold, Exit::ServerNotTold),
            "{name}"
        );
        assert!(report.warnings.iter().any(|told| told.contains(name)), "{report:?}");
        let report = reset(&site, &fake.address().into(), &WANTED).await.unwrap();
        assert_eq!(report.server, Server::NothingToTell, "they are gone, and told once");
    }
}
