//! With the real `systemd-creds`, a host key of the test's own, and a machine below a temporary
//! directory.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use tempfile::TempDir;

use super::location::{Kept, sealed_paths};
use super::seal::Creds;
use super::*;

mod cuts;
mod kept;
mod machine_id;
mod read_only;
mod sealing;

const SECRET: &str = "made-up-secret";
const OTHER: &str = "another-made-up-secret";

struct World {
    folder: TempDir,
    site: Site,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::at(folder.path());
        Self { folder, site }
    }

    fn provision(&self, secret: &str, wanted: &Provision) -> Result<Report, Failure> {
        store(&self.site, wanted, || Ok(Zeroizing::new(secret.as_bytes().to_vec())))
    }

    fn exists(&self, path: &str) -> bool {
        self.site.path(path).exists()
    }

    /// The secret that the daemon would get.
    fn secret(&self, which: Which) -> (Kept, Plain) {
        let config = self.site.config().unwrap();
        let found = find(&self.site, Some(&config), which).unwrap().unwrap();
        (found.kept, found.content.unwrap())
    }

    fn client_secret(&self) -> String {
        String::from_utf8(self.secret(Which::ClientSecret).1.to_vec()).unwrap()
    }

    fn record(&self) {
        let directory = self.site.path("/var/lib/c2c-authd");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("record.0"), "sealed").unwrap();
    }

    /// Every file below the root, and what is in it.
    fn everything(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push((path.clone(), fs::read(&path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }
}

/// For the tests of those who look at what was stored.
pub(in crate::ctl) fn store_for_tests(site: &Site, wanted: &Provision, secret: &str) {
    let stored = try_store_for_tests(site, wanted, secret);
    assert!(stored.is_ok(), "{stored:?}");
}

pub(in crate::ctl) fn try_store_for_tests(site: &Site, wanted: &Provision, secret: &str) -> Result<(), Failure> {
    store(site, wanted, || Ok(Zeroizing::new(secret.as_bytes().to_vec()))).map(drop)
}

fn sealed() -> Provision {
    Provision {
        how: How::Sealed(Some(Key::Host)),
        ..Provision::default()
    }
}

fn files() -> Provision {
    Provision {
        how: How::Files(PathBuf::from("/factory/c2c")),
        ..Provision::default()
    }
}

fn replacing(wanted: Provision) -> Provision {
    Provision {
        replace: true,
        ..wanted
    }
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn both_secrets_are_sealed_where_the_unit_looks_for_them_and_nothing_is_in_clear() {
    let world = World::new();
    let report = world.provision(&format!("{SECRET}\n"), &sealed()).unwrap();
    assert_eq!((report.client_secret, report.state_key), (Done::Stored, Done::Stored));
    assert_eq!((report.changed, report.key.as_str()), (true, "host"));
    assert!(report.protection.contains("credential.secret"), "{}", report.protection);
    assert_eq!(world.client_secret(), SECRET);
    let (kept, key) = world.secret(Which::StateKey);
    assert_eq!(
        kept.path(),
        world.site.path("/etc/credstore.encrypted/c2c-authd.state-key")
    );
    assert_eq!((kept.key(), key.len()), (Some(Key::Host), 32));
    let store = world.site.path("/etc/credstore.encrypted");
    assert_eq!(fs::metadata(&store).unwrap().mode() & 0o7777, 0o700);
    for entry in fs::read_dir(&store).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().mode() & 0o7777, 0o600);
    }
    for (path, content) in world.everything() {
        for secret in [SECRET.as_bytes(), &key] {
            let found = content.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{}", path.display());
        }
    }
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn the_same_again_changes_no_byte() {
    let world = World::new();
    let wanted = Provision {
        client_id: Some("SN-1".to_owned()),
        ..sealed()
    };
    world.provision(SECRET, &wanted).unwrap();
    let before = world.everything();
    for wanted in [wanted, sealed(), replacing(sealed())] {
        let report = world.provision(SECRET, &wanted).unwrap();
        assert!(!report.changed, "{report:?}");
        assert!(report.text().starts_with("Nothing to do"));
    }
    assert_eq!(world.everything(), before);
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn another_secret_needs_to_be_told_to_replace_and_leaves_the_state_key() {
    let world = World::new();
    world.provision(SECRET, &sealed()).unwrap();
    let before = world.everything();
    let refused = world.provision(OTHER, &sealed()).unwrap_err();
    assert_eq!(refused.exit, Exit::Differs);
    assert!(
        refused.sentence.contains("--replace") && !refused.sentence.contains(OTHER),
        "{refused}"
    );
    assert_eq!(world.everything(), before);
    let key = world.secret(Which::StateKey).1;
    let report = world.provision(OTHER, &replacing(sealed())).unwrap();
    assert_eq!(
        (report.client_secret, report.state_key),
        (Done::Replaced, Done::Unchanged)
    );
    assert_eq!(
        (world.client_secret(), world.secret(Which::StateKey).1),
        (OTHER.to_owned(), key)
    );
}

#[test]
fn a_secret_that_is_none_is_refused_before_anything_is_touched() {
    let world = World::new();
    for bad in ["", "\n", "two words", "two\nlines"] {
        assert_eq!(
            world.provision(bad, &sealed()).unwrap_err().exit,
            Exit::Usage,
            "{bad:?}"
        );
    }
    assert_eq!(world.everything(), []);
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn with_a_lost_host_key_it_says_so_and_replaces_only_when_told() {
    let world = World::new();
    world.provision(SECRET, &sealed()).unwrap();
    fs::remove_file(world.site.host_key()).unwrap();
    let refused = world.provision(SECRET, &sealed()).unwrap_err();
    assert_eq!(refused.exit, Exit::Differs);
    assert!(
        refused.sentence.contains("is missing") && refused.sentence.contains("--replace"),
        "{refused}"
    );
    let report = world.provision(SECRET, &replacing(sealed())).unwrap();
    assert_eq!(
        (report.client_secret, report.state_key),
        (Done::Replaced, Done::Replaced)
    );
    assert_eq!(world.client_secret(), SECRET);
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn a_file_of_another_device_is_told_as_such() {
    let (world, other) = (World::new(), World::new());
    world.provision(SECRET, &sealed()).unwrap();
    other.provision(SECRET, &sealed()).unwrap();
    let path = sealed_paths(&world.site, Which::ClientSecret)[0].clone();
    fs::copy(sealed_paths(&other.site, Which::ClientSecret)[0].clone(), &path).unwrap();
    let refused = world.provision(SECRET, &sealed()).unwrap_err();
    assert!(refused.sentence.contains("another device"), "{refused}");
    fs::write(&path, "no credential").unwrap();
    let refused = world.provision(SECRET, &sealed()).unwrap_err();
    assert!(refused.sentence.contains("not a sealed credential"), "{refused}");
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn a_state_key_is_not_made_over_records_that_another_one_sealed() {
    let world = World::new();
    world.record();
    let refused = world.provision(SECRET, &sealed()).unwrap_err();
    assert_eq!(refused.exit, Exit::Differs);
    assert!(!world.exists("/etc/credstore.encrypted"));
    let report = world.provision(SECRET, &replacing(sealed())).unwrap();
    assert_eq!(report.state_key, Done::Stored);
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn a_sealing_that_fails_changes_nothing() {
    let world = World::new();
    world.provision(SECRET, &sealed()).unwrap();
    let before = world.everything();
    let wanted = Provision {
        how: How::Sealed(Some(Key::Tpm2)),
        ..replacing(Provision::default())
    };
    let mut blind = world.site.clone();
    blind
        .environment
        .push(("SYSTEMD_TPM2_DEVICE", "swtpm:host=127.0.0.1,port=1".into()));
    let refused = store(&blind, &wanted, || Ok(Zeroizing::new(OTHER.into()))).unwrap_err();
    assert_eq!(refused.exit, Exit::Failed);
    assert_eq!(world.everything(), before);
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn a_sealed_state_key_that_does_not_open_is_kept_beside_the_one_that_replaces_it() {
    let world = World::new();
    world.provision(SECRET, &sealed()).unwrap();
    world.record();
    let path = sealed_paths(&world.site, Which::StateKey)[0].clone();
    let (former, key) = (fs::read(&path).unwrap(), world.secret(Which::StateKey).1);
    // As with a TPM that cannot be reached: what seals is away for a while.
    let host_key = world.site.host_key();
    let away = host_key.with_extension("away");
    fs::rename(&host_key, &away).unwrap();
    let report = world.provision(SECRET, &replacing(sealed())).unwrap();
    assert_eq!(report.state_key, Done::Replaced);
    let copy = path.with_file_name("c2c-authd.state-key.replaced.1");
    assert!(
        report
            .warnings
            .iter()
            .any(|told| told.contains("state-key.replaced.1") && told.contains("pair the device again")),
        "{:?}",
        report.warnings
    );
    assert_eq!(fs::read(&copy).unwrap(), former);
    assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o7777, 0o600);
    assert_ne!(world.secret(Which::StateKey).1, key);
    // And back.
    fs::rename(&away, &host_key).unwrap();
    fs::rename(&copy, &path).unwrap();
    assert_eq!(world.secret(Which::StateKey).1, key);
}

#[test]
fn a_state_key_file_that_cannot_be_used_is_kept_each_time_and_without_records_nothing_is_said_of_pairing() {
    let world = World::new();
    world.provision(SECRET, &files()).unwrap();
    let path = world.site.path("/factory/c2c/state-key");
    for (number, content) in [(1, "short"), (2, "too")] {
        fs::write(&path, content).unwrap();
        let refused = world.provision(SECRET, &files()).unwrap_err();
        assert_eq!(refused.exit, Exit::Differs);
        let report = world.provision(SECRET, &replacing(files())).unwrap();
        let copy = path.with_file_name(format!("state-key.replaced.{number}"));
        assert_eq!(fs::read_to_string(&copy).unwrap(), content);
        assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o7777, 0o600);
        let told: Vec<_> = report
            .warnings
            .iter()
            .filter(|told| told.contains(".replaced."))
            .collect();
        assert!(told.len() == 1 && !told[0].contains("paired again"), "{told:?}");
    }
    assert_eq!(
        world.provision(SECRET, &replacing(files())).unwrap().state_key,
        Done::Unchanged
    );
    assert!(!path.with_file_name("state-key.replaced.3").exists());
}

#[test]
fn a_client_id_that_the_configuration_refuses_changes_nothing() {
    let with = |id: &str| Provision {
        client_id: Some(id.to_owned()),
        ..replacing(files())
    };
    let (fresh, provisioned) = (World::new(), World::new());
    provisioned.provision(SECRET, &with("SN-1")).unwrap();
    for world in [fresh, provisioned] {
        let before = world.everything();
        for id in ["00:11:22:33:44:55", "", "two words"] {
            let refused = world.provision(OTHER, &with(id)).unwrap_err();
            assert_eq!(refused.exit, Exit::Usage, "{id:?}: {refused}");
            assert!(refused.sentence.contains("client-id"), "{refused}");
            assert_eq!(world.everything(), before, "{id:?}");
        }
    }
}

#[test]
fn a_new_state_key_over_records_is_warned_of() {
    let world = World::new();
    world.record();
    let report = world.provision(SECRET, &replacing(files())).unwrap();
    assert!(
        report.warnings.iter().any(|told| told.contains("paired again")),
        "{:?}",
        report.warnings
    );
}

#[test]
fn files_belong_to_the_daemon_alone_and_the_configuration_names_them() {
    let world = World::new();
    let report = world.provision(SECRET, &files()).unwrap();
    assert_eq!((report.client_secret, report.key.as_str()), (Done::Stored, "file"));
    assert!(!report.warnings.is_empty(), "key and records share a file system here");
    let (kept, _) = world.secret(Which::ClientSecret);
    let path = world.site.path("/factory/c2c/client-secret");
    assert_eq!(kept, Kept::File { path: path.clone() });
    let found = fs::metadata(&path).unwrap();
    assert_eq!(
        (found.mode() & 0o7777, Some((found.uid(), found.gid()))),
        (0o600, world.site.service)
    );
    assert!(!world.provision(SECRET, &files()).unwrap().changed);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = world.provision(SECRET, &files()).unwrap_err();
    assert!(refused.sentence.contains("chmod 0600"), "{refused}");
    assert!(world.provision(SECRET, &replacing(files())).unwrap().changed);
    assert_eq!(world.client_secret(), SECRET);
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn from_files_to_sealed_and_back_the_state_key_stays_and_no_copy_is_left() {
    let world = World::new();
    world.provision(SECRET, &files()).unwrap();
    world.record();
    let key = world.secret(Which::StateKey).1;
    let report = world.provision(SECRET, &sealed()).unwrap();
    assert_eq!((report.client_secret, report.state_key), (Done::Moved, Done::Moved));
    assert_eq!(world.secret(Which::StateKey).1, key);
    assert!(!world.exists("/factory/c2c/client-secret") && !world.exists("/factory/c2c/state-key"));
    assert!(!DropIn::path(&world.site).exists());
    world.provision(SECRET, &files()).unwrap();
    assert_eq!(world.secret(Which::StateKey).1, key);
    assert!(!world.exists("/etc/credstore.encrypted/c2c-authd.client-secret"));
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn the_client_id_is_a_drop_in_and_another_one_has_to_be_told_to_replace() {
    let world = World::new();
    let with = |id: &str| Provision {
        client_id: Some(id.to_owned()),
        ..sealed()
    };
    assert_eq!(world.provision(SECRET, &with("SN-1")).unwrap().client_id, Done::Stored);
    let refused = world.provision(SECRET, &with("SN-2")).unwrap_err();
    assert_eq!(refused.exit, Exit::Differs);
    let report = world.provision(SECRET, &replacing(with("SN-2"))).unwrap();
    assert_eq!(report.client_id, Done::Replaced);
    assert_eq!(world.site.config().unwrap().device.client_id.as_deref(), Some("SN-2"));
    let bad = world
        .provision(SECRET, &replacing(with("00:11:22:33:44:55")))
        .unwrap_err();
    assert_eq!(bad.exit, Exit::Usage);
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn a_client_id_that_a_later_file_hides_is_no_success() {
    let world = World::new();
    let later = world.site.path("/etc/c2c-authd/config.d/90-site.toml");
    fs::create_dir_all(later.parent().unwrap()).unwrap();
    fs::write(&later, "[device]\nclient-id = \"SN-9\"\n").unwrap();
    let wanted = Provision {
        client_id: Some("SN-1".to_owned()),
        ..replacing(sealed())
    };
    let failure = world.provision(SECRET, &wanted).unwrap_err();
    assert!(failure.sentence.contains("later file"), "{failure}");
}
