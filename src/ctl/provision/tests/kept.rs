//! Without `--files` and `--with-key` each secret keeps the kind of place that it has.

use super::*;

fn kept() -> Provision {
    Provision::default()
}

#[test]
fn what_is_in_files_stays_in_its_files_and_the_secret_alone_is_replaced() {
    let world = World::new();
    world.provision(SECRET, &files()).unwrap();
    world.record();
    let before = world.everything();
    let report = world.provision(SECRET, &kept()).unwrap();
    assert_eq!((report.changed, report.key.as_str()), (false, "file"));
    assert_eq!(world.everything(), before);
    let refused = world.provision(OTHER, &kept()).unwrap_err();
    assert_eq!(refused.exit, Exit::Differs);
    assert!(refused.sentence.contains("/factory/c2c/client-secret"), "{refused}");
    assert_eq!(world.everything(), before);

    let report = world.provision(OTHER, &replacing(kept())).unwrap();
    assert_eq!(
        (report.client_secret, report.state_key),
        (Done::Replaced, Done::Unchanged)
    );
    assert_eq!(report.place, Path::new("/factory/c2c"));
    let mut after = world.everything();
    for (path, content) in &mut after {
        if path.ends_with("client-secret") {
            assert_eq!(content, OTHER.as_bytes());
            *content = SECRET.into();
        }
    }
    assert_eq!(after, before);
}

#[test]
fn files_that_the_image_names_are_replaced_where_they_are_and_nothing_else_is_written() {
    let world = World::new();
    for (path, content) in [
        ("/factory/a/model", SECRET.as_bytes()),
        ("/factory/b/unit", &[7; 32][..]),
    ] {
        let path = world.site.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let main = world.site.path("/etc/c2c-authd/config.toml");
    fs::create_dir_all(main.parent().unwrap()).unwrap();
    let named = "[secrets]\nclient-secret-file = \"/factory/a/model\"\nstate-key-file = \"/factory/b/unit\"\n";
    fs::write(&main, named).unwrap();
    world.record();
    let listed = |world: &World| world.everything().into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    let before = listed(&world);
    assert!(!world.provision(SECRET, &kept()).unwrap().changed);
    world.provision(OTHER, &replacing(kept())).unwrap();
    assert_eq!(world.client_secret(), OTHER);
    assert_eq!(world.secret(Which::StateKey).1.as_slice(), [7; 32]);
    assert_eq!(listed(&world), before);
    // A directory that others can change is no place to write a secret.
    let directory = world.site.path("/factory/a");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
    let refused = world.provision(SECRET, &replacing(kept())).unwrap_err();
    assert!(refused.sentence.contains("chmod go-w /factory/a"), "{refused}");
}

#[test]
fn a_file_of_ours_that_is_lost_comes_back_to_its_place() {
    let world = World::new();
    world.provision(SECRET, &files()).unwrap();
    world.record();
    let before = world.everything();
    fs::remove_file(world.site.path("/factory/c2c/client-secret")).unwrap();
    let report = world.provision(SECRET, &kept()).unwrap();
    assert_eq!(
        (report.client_secret, report.state_key),
        (Done::Stored, Done::Unchanged)
    );
    assert_eq!(world.everything(), before);
}

#[test]
fn a_state_key_that_does_not_open_is_not_replaced_with_the_client_secret() {
    let world = World::new();
    world.provision(SECRET, &files()).unwrap();
    world.record();
    let key = world.site.path("/factory/c2c/state-key");
    fs::write(&key, "short").unwrap();
    // The second run finds the client secret in place.
    for done in [Done::Replaced, Done::Unchanged] {
        let report = world.provision(OTHER, &replacing(kept())).unwrap();
        assert_eq!((report.client_secret, report.state_key), (done, Done::Unchanged));
        assert!(
            report
                .warnings
                .iter()
                .any(|told| told.contains("state key") && told.contains("was left")),
            "{:?}",
            report.warnings
        );
        assert_eq!(fs::read(&key).unwrap(), b"short");
    }
    // A place that is named means both.
    let report = world.provision(OTHER, &replacing(files())).unwrap();
    assert_eq!(report.state_key, Done::Replaced);
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn what_is_sealed_stays_sealed_with_its_key() {
    let world = World::new();
    world.provision(SECRET, &sealed()).unwrap();
    world.record();
    let key = world.secret(Which::StateKey);
    let before = world.everything();
    assert!(!world.provision(SECRET, &kept()).unwrap().changed);
    assert_eq!(world.everything(), before);
    let report = world.provision(OTHER, &replacing(kept())).unwrap();
    assert_eq!(
        (report.client_secret, report.state_key),
        (Done::Replaced, Done::Unchanged)
    );
    assert_eq!(world.secret(Which::ClientSecret).0.key(), Some(Key::Host));
    assert_eq!(world.secret(Which::StateKey), key);
    assert_eq!(world.client_secret(), OTHER);
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn a_sealed_secret_and_a_key_in_a_file_each_keep_their_kind() {
    let world = World::new();
    let main = world.site.path("/etc/c2c-authd/config.toml");
    fs::create_dir_all(main.parent().unwrap()).unwrap();
    fs::create_dir_all(world.site.path("/factory")).unwrap();
    let path = world.site.path("/factory/unit");
    world.provision(SECRET, &sealed()).unwrap();
    fs::remove_file(world.site.path("/etc/credstore.encrypted/c2c-authd.state-key")).unwrap();
    fs::write(&path, [7; 32]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&main, "[secrets]\nstate-key-file = \"/factory/unit\"\n").unwrap();
    let report = world.provision(OTHER, &replacing(kept())).unwrap();
    assert_eq!(
        (report.client_secret, report.state_key),
        (Done::Replaced, Done::Unchanged)
    );
    assert_eq!(report.key, "host, file");
    assert_eq!(world.client_secret(), OTHER);
    assert_eq!(world.secret(Which::StateKey).0, Kept::File { path });
}
