//! Images whose `/etc` cannot be written, or forgets.

use std::fmt::Write as _;

use super::*;
use crate::ctl::site::HOST_KEY;
use crate::system::mounts::Mounts;

impl World {
    /// With these mounted: point and "type source options".
    fn mounted(mounts: &[(&str, &str)]) -> Self {
        let mut world = Self::new();
        let root = world.folder.path().canonicalize().unwrap();
        let mut text = "1 0 8:1 / / rw - ext4 /dev/root rw\n".to_owned();
        for (point, what) in mounts {
            fs::create_dir_all(world.site.path(point)).unwrap();
            writeln!(text, "2 1 8:2 / {}{point} rw - {what}", root.display()).unwrap();
        }
        world.site.mounts = Mounts::parse(&text);
        world.put("/usr/lib/tmpfiles.d/c2c-authd.conf", "");
        world
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.site.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

const READ_ONLY_ETC: (&str, &str) = ("/etc", "squashfs /dev/root ro");

fn unanswered() -> Result<Plain, Failure> {
    panic!("the secret was asked for")
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn with_a_read_only_etc_all_is_kept_below_var_and_found_where_systemd_looks() {
    let world = World::mounted(&[READ_ONLY_ETC]);
    let wanted = Provision {
        client_id: Some("SN-1".to_owned()),
        ..sealed()
    };
    let report = world.provision(SECRET, &wanted).unwrap();
    assert_eq!(report.place, Path::new("/var/lib/c2c-provision/credstore.encrypted"));
    assert_eq!(report.warnings, [""; 0]);
    assert!(report.text().contains("/var/lib/c2c-provision"), "{}", report.text());
    assert_eq!(fs::read_dir(world.site.path("/etc")).unwrap().count(), 0);
    assert_eq!(world.site.config().unwrap().device.client_id.as_deref(), Some("SN-1"));
    let (kept, key) = world.secret(Which::StateKey);
    assert_eq!(
        kept.path(),
        world.site.path("/run/credstore.encrypted/c2c-authd.state-key")
    );
    let store = world.site.path("/var/lib/c2c-provision/credstore.encrypted");
    assert_eq!(fs::metadata(&store).unwrap().mode() & 0o7777, 0o700);
    assert!(!world.provision(SECRET, &wanted).unwrap().changed);
    let report = world.provision(OTHER, &replacing(sealed())).unwrap();
    assert_eq!(report.client_secret, Done::Replaced);
    assert_eq!(
        (world.client_secret().as_str(), world.secret(Which::StateKey).1),
        (OTHER, key)
    );
    // To files and back, as anywhere.
    world.provision(OTHER, &files()).unwrap();
    assert!(!store.join("c2c-authd.client-secret").exists());
    assert_eq!(world.client_secret(), OTHER);
    world.provision(OTHER, &sealed()).unwrap();
    assert!(!world.exists("/factory/c2c/client-secret"));
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn an_etc_that_forgets_is_not_where_secrets_go() {
    let world = World::mounted(&[("/etc", "tmpfs tmpfs rw")]);
    let report = world.provision(SECRET, &sealed()).unwrap();
    assert_eq!(report.place, Path::new("/var/lib/c2c-provision/credstore.encrypted"));
    // So does the machine id then, or not: that is the image's to know.
    assert!(report.warnings[0].contains("/etc/machine-id"), "{report:?}");
    // Where nothing lasts it is said.
    let world = World::mounted(&[("/etc", "tmpfs tmpfs rw"), ("/var", "tmpfs tmpfs rw")]);
    let report = world.provision(SECRET, &sealed()).unwrap();
    assert!(
        report.warnings[0].contains("/etc/credstore.encrypted is on a file system that does not survive"),
        "{report:?}"
    );
}

#[test]
fn where_nothing_can_be_written_it_says_so_before_it_asks_for_the_secret() {
    let world = World::mounted(&[READ_ONLY_ETC, ("/var", "squashfs /dev/root ro")]);
    let before = world.everything();
    let refused = store(&world.site, &sealed(), unanswered).unwrap_err();
    for word in [
        "/etc/credstore.encrypted",
        "/var/lib/c2c-provision",
        "read-only",
        "--files DIR",
        "Nothing was changed",
    ] {
        assert!(refused.sentence.contains(word), "{word}: {refused}");
    }
    let refused = store(&world.site, &files(), unanswered).unwrap_err();
    assert!(refused.sentence.contains("client-secret-file"), "{refused}");
    assert_eq!(world.everything(), before);
    // An image that does not link is told what it lacks.
    let world = World::mounted(&[READ_ONLY_ETC]);
    fs::remove_file(world.site.path("/usr/lib/tmpfiles.d/c2c-authd.conf")).unwrap();
    let refused = store(&world.site, &sealed(), unanswered).unwrap_err();
    assert!(refused.sentence.contains("tmpfiles.d/c2c-authd.conf"), "{refused}");
}

#[test]
fn files_that_the_image_names_itself_need_no_drop_in() {
    let world = World::mounted(&[READ_ONLY_ETC, ("/var", "squashfs /dev/root ro")]);
    world.put(
        "/etc/c2c-authd/config.toml",
        "[secrets]\nclient-secret-file = \"/factory/c2c/client-secret\"\nstate-key-file = \"/factory/c2c/state-key\"\n",
    );
    world.provision(SECRET, &files()).unwrap();
    assert_eq!(world.client_secret(), SECRET);
    assert!(!DropIn::path(&world.site).exists());
    assert!(!world.provision(SECRET, &files()).unwrap().changed);
}

#[test]
fn a_credential_that_cannot_be_removed_and_would_win_is_told_before_anything_changes() {
    let world = World::mounted(&[READ_ONLY_ETC]);
    world.put("/etc/credstore.encrypted/c2c-authd.client-secret", "of the image");
    let before = world.everything();
    for wanted in [sealed(), files()] {
        let refused = world.provision(SECRET, &replacing(wanted)).unwrap_err();
        assert!(
            refused
                .sentence
                .contains("/etc/credstore.encrypted/c2c-authd.client-secret would take precedence"),
            "{refused}"
        );
        assert_eq!(world.everything(), before);
    }
    let world = World::new();
    world.put("/usr/lib/credstore.encrypted/c2c-authd.client-secret", "of the image");
    let refused = world.provision(SECRET, &replacing(files())).unwrap_err();
    assert!(refused.sentence.contains("would take precedence"), "{refused}");
}

#[test]
fn a_credential_in_clear_that_would_end_the_start_is_told_before_anything_changes() {
    let world = World::new();
    world.put("/etc/credstore/c2c-authd.state-key", "in clear");
    let before = world.everything();
    let refused = world.provision(SECRET, &replacing(files())).unwrap_err();
    assert!(
        refused
            .sentence
            .contains("/etc/credstore/c2c-authd.state-key would take precedence"),
        "{refused}"
    );
    assert_eq!(world.everything(), before);
}

#[test]
fn files_in_clear_are_written_beside_credentials_of_other_services() {
    let world = World::new();
    world.put("/etc/credstore.encrypted/client-secret", "of another service");
    world.put("/etc/credstore/state-key", "of another service");
    let others = world.everything();
    world.provision(SECRET, &files()).unwrap();
    assert_eq!(world.client_secret(), SECRET);
    let now = world.everything();
    assert!(others.iter().all(|file| now.contains(file)));
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn credentials_of_other_services_are_neither_read_nor_changed() {
    let world = World::new();
    for store in [
        "/etc/credstore.encrypted",
        "/var/lib/c2c-provision/credstore.encrypted",
        "/etc/credstore",
    ] {
        for name in ["client-secret", "state-key", "state-key.replaced.1"] {
            world.put(&format!("{store}/{name}"), "of another service");
        }
    }
    let others = world.everything();
    let report = world.provision(SECRET, &sealed()).unwrap();
    assert_eq!((report.client_secret, report.state_key), (Done::Stored, Done::Stored));
    world.provision(OTHER, &replacing(sealed())).unwrap();
    // To another place, by which those of the former one are removed.
    world.provision(OTHER, &files()).unwrap();
    let now = world.everything();
    assert!(others.iter().all(|file| now.contains(file)));
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn what_is_not_written_stays_where_it_is() {
    // Provisioned while /etc was read-only. Later it is not, and one secret gets another content.
    for which in [Which::ClientSecret, Which::StateKey] {
        let mut world = World::mounted(&[READ_ONLY_ETC]);
        world.provision(SECRET, &sealed()).unwrap();
        let (_, key) = world.secret(Which::StateKey);
        world.site.mounts = Mounts::parse("1 0 8:1 / / rw - ext4 /dev/root rw");
        let secret = match which {
            Which::ClientSecret => OTHER,
            Which::StateKey => {
                let spare = world
                    .site
                    .path("/var/lib/c2c-provision/credstore.encrypted/c2c-authd.state-key");
                fs::write(spare, "no credential").unwrap();
                SECRET
            }
        };
        world.provision(secret, &replacing(sealed())).unwrap();
        assert_eq!(world.client_secret(), secret);
        let (_, now) = world.secret(Which::StateKey);
        assert_eq!(now == key, which == Which::ClientSecret, "{which:?}");
    }
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn a_state_key_that_could_be_read_leaves_no_copy_behind() {
    let world = World::mounted(&[READ_ONLY_ETC]);
    world.provision(SECRET, &sealed()).unwrap();
    let report = world.provision(SECRET, &files()).unwrap();
    assert!(!report.warnings.concat().contains("former state key"), "{report:?}");
    let store = world.site.path("/var/lib/c2c-provision/credstore.encrypted");
    let copies: Vec<_> = fs::read_dir(store).unwrap().map(Result::unwrap).collect();
    assert!(copies.is_empty(), "{copies:?}");
}

#[test]
fn what_an_overlay_would_bring_back_is_told_before_anything_changes() {
    let memory = "overlay overlay rw,lowerdir=/usr/etc,upperdir=/run/upper,workdir=/run/work";
    let mut world = World::mounted(&[("/etc", memory)]);
    let text = format!(
        "1 0 8:1 / / rw - ext4 /dev/root rw\n2 1 0:9 / /run rw - tmpfs tmpfs rw\n3 1 0:10 / {}/etc rw - {memory}\n",
        world.folder.path().canonicalize().unwrap().display()
    );
    world.site.mounts = Mounts::parse(&text);
    world.put(
        "/etc/credstore.encrypted/c2c-authd.client-secret",
        "of the layer below, or above: nobody can tell",
    );
    let before = world.everything();
    let refused = world.provision(SECRET, &replacing(sealed())).unwrap_err();
    assert!(refused.sentence.contains("cannot remove it"), "{refused}");
    assert_eq!(world.everything(), before);
}

#[test]
fn files_that_a_later_drop_in_overrules_are_told_and_nothing_is_removed() {
    let world = World::new();
    world.put(
        "/etc/c2c-authd/config.d/60-later.toml",
        "[secrets]\nclient-secret-file = \"/elsewhere/client-secret\"\n",
    );
    let refused = world.provision(SECRET, &files()).unwrap_err();
    for word in [
        "/factory/c2c/client-secret",
        "/elsewhere/client-secret",
        "nothing was removed",
    ] {
        assert!(refused.sentence.contains(word), "{word}: {refused}");
    }
    assert!(world.exists("/factory/c2c/client-secret"));
    fs::remove_file(world.site.path("/etc/c2c-authd/config.d/60-later.toml")).unwrap();
    world.provision(SECRET, &files()).unwrap();
    assert_eq!(world.client_secret(), SECRET);
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn a_host_key_that_forgets_is_told_to_who_insists_on_it() {
    let world = World::mounted(&[("/var/lib/systemd", "tmpfs tmpfs rw")]);
    let report = world.provision(SECRET, &sealed()).unwrap();
    assert!(report.warnings[0].contains("/var/lib/systemd"), "{report:?}");
    assert!(report.warnings[0].contains("--with-key tpm2"), "{report:?}");
}

#[test]
fn without_a_key_that_lasts_nothing_is_asked_for() {
    let mut world = World::mounted(&[("/var", "tmpfs tmpfs rw")]);
    // No program to ask for a TPM, or no TPM: there is no key either way.
    world.site.environment = vec![(HOST_KEY, world.site.path("/var/lib/systemd/credential.secret").into())];
    let wanted = Provision::default();
    if Creds(&world.site).has_tpm().unwrap_or(false) {
        return;
    }
    let refused = store(&world.site, &wanted, unanswered).unwrap_err();
    assert!(refused.sentence.contains("--files DIR"), "{refused}");
}

#[test]
fn a_directory_that_the_unit_hides_is_refused_before_it_asks_for_the_secret() {
    let world = World::new();
    let wanted = Provision {
        how: How::Files(PathBuf::from("/tmp/factory")),
        ..Provision::default()
    };
    let refused = store(&world.site, &wanted, unanswered).unwrap_err();
    assert!(refused.sentence.contains("PrivateTmp="), "{refused}");
    assert_eq!(world.everything(), []);
}

#[test]
fn the_directory_of_the_files_is_roots_and_the_daemon_passes() {
    let mut world = World::new();
    let (uid, gid) = world.site.service.unwrap();
    world.provision(SECRET, &files()).unwrap();
    let found = fs::metadata(world.site.path("/factory/c2c")).unwrap();
    assert_eq!((found.mode() & 0o7777, found.uid(), found.gid()), (0o750, uid, gid));
    // A directory that the daemon owns is no place for its secrets.
    world.site.root_uid += 1;
    let refused = world.provision(SECRET, &files()).unwrap_err();
    assert!(refused.sentence.contains("chown root /factory"), "{refused}");
}
