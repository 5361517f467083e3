//! Resets that are to remove provisioning which `provision` left in more than one place.

use std::path::{Path, PathBuf};

use super::*;
use crate::ctl::args::{How, Provision};
use crate::ctl::provision::drop_in::DropIn;
use crate::ctl::provision::host_key::tests::{SEALED, with_key_of};
use crate::ctl::provision::tests::{store_for_tests, try_store_for_tests};
use crate::ctl::provision::tpm_drop_in;
use crate::system::atomic_file::faulty::cut_after;

const ALL_OF_IT: Wanted = Wanted {
    provisioning: true,
    ..LITTLE
};

fn files_in(directory: &str) -> Provision {
    Provision {
        how: How::Files(directory.into()),
        replace: true,
        ..Provision::default()
    }
}

/// Names in a directory of that machine.
fn names(site: &Site, directory: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(site.path(directory)) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn former_keys_in_clear_are_found_in_every_directory_where_they_were_kept() {
    let (_folder, site) = machine(&["record.0"]);
    let break_key = |path: &str| fs::write(site.path(path), "too short").unwrap();
    store_for_tests(&site, &files_in("/factory/one"), "made-up");
    break_key("/factory/one/state-key");
    store_for_tests(&site, &files_in("/factory/two"), "made-up");
    break_key("/factory/two/state-key");
    store_for_tests(&site, &files_in("/factory/three"), "made-up");
    for directory in ["/factory/one", "/factory/two"] {
        assert_eq!(names(&site, directory), ["state-key.replaced.1"], "{directory}");
    }
    // One that somebody took away is not spoken of any more, and the same again changes nothing.
    let drop_in = || fs::read_to_string(site.path("/etc/c2c-authd/config.d/50-provision.toml")).unwrap();
    assert!(drop_in().contains("# + \"/factory/one/state-key\"\n"), "{}", drop_in());
    fs::remove_file(site.path("/factory/one/state-key.replaced.1")).unwrap();
    store_for_tests(&site, &files_in("/factory/three"), "made-up");
    assert!(!drop_in().contains("/factory/one"), "{}", drop_in());
    assert!(drop_in().contains("# + \"/factory/two/state-key\"\n"), "{}", drop_in());

    let outcome = clear(&site, ALL_OF_IT);
    for directory in ["/factory/two", "/factory/three", "/etc/c2c-authd/config.d"] {
        assert_eq!(names(&site, directory), [""; 0], "{directory}");
    }
    assert!(
        outcome
            .removed
            .iter()
            .any(|path| path.ends_with("/factory/two/state-key.replaced.1")),
        "{:?}",
        outcome.removed
    );
}

#[test]
fn copies_beside_a_file_that_the_image_names_go_too() {
    let (_folder, site) = machine(&[]);
    let put = |path: &str, text: &str| {
        let path = site.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put(
        "/etc/c2c-authd/config.toml",
        "[secrets]\nstate-key-file = \"/factory/state-key\"\n",
    );
    put("/factory/state-key.replaced.2", "sealed");
    let config = site.config().unwrap();
    files::clear(&site, Some(&config), &site.state_directory(None), ALL_OF_IT).unwrap();
    assert_eq!(names(&site, "/factory"), [""; 0]);
}

#[tokio::test]
async fn where_the_units_start_would_lose_the_key_nothing_is_removed() {
    let fake = Fake::start().await;
    fake.is_unpaired("unpaired");
    let (_folder, mut site) = machine(&["record.0"]);
    with_key_of(&mut site, 0x22);
    let store = site.path("/etc/credstore.encrypted");
    fs::create_dir_all(&store).unwrap();
    fs::write(store.join("c2c-authd.state-key"), SEALED).unwrap();
    let refused = reset(&site, &fake.address().into(), &WANTED).await.unwrap_err();
    assert!(
        refused.sentence.contains("bring that id and the key back") && refused.sentence.contains("--provisioning"),
        "{refused}"
    );
    assert!(site.host_key().exists());
    assert_eq!(left(&site), ["record.0"]);
    // Without the secrets nothing needs the key.
    let all = FactoryReset {
        provisioning: true,
        ..WANTED
    };
    reset(&site, &fake.address().into(), &all).await.unwrap();
    assert!(site.host_key().exists(), "it is not ours");
    assert_eq!(names(&site, "/etc/credstore.encrypted"), [""; 0]);
}

#[test]
fn the_units_wait_for_the_tpm_goes_with_the_secrets_and_not_before() {
    let (_folder, site) = machine(&[]);
    let path = tpm_drop_in::path(&site);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "[Unit]\n").unwrap();
    let outcome = clear(&site, ALL_OF_IT);
    assert!(path.exists(), "it is somebody else's");
    assert!(
        outcome.left.iter().any(|left| left.contains("50-provision.conf")),
        "{:?}",
        outcome.left
    );
    fs::write(
        &path,
        "# Written by «c2c-authctl provision», which replaces it\n[Unit]\n",
    )
    .unwrap();
    assert!(!clear(&site, LITTLE).unit_changed);
    assert!(path.exists());
    let outcome = clear(&site, ALL_OF_IT);
    assert!(outcome.unit_changed && !path.parent().unwrap().exists());
    assert_eq!(outcome.removed.last(), Some(&path.display().to_string()));
}

#[test]
fn a_former_key_in_clear_is_found_wherever_the_power_was_cut_while_it_was_kept() {
    let damaged = "a state key that cannot be used";
    for steps in 0.. {
        let (folder, site) = machine(&[]);
        store_for_tests(&site, &files_in("/one"), "made-up");
        fs::write(site.path("/one/state-key"), damaged).unwrap();
        let finished = cut_after(steps, |disk| {
            let mut site = site.clone();
            site.disk = disk;
            drop(try_store_for_tests(&site, &files_in("/two"), "made-up"));
        });
        // With and without another change in between, which no longer has anything to keep.
        for again in [false, true] {
            if again {
                store_for_tests(&site, &files_in("/three"), "made-up");
            }
            clear(&site, ALL_OF_IT);
            assert_eq!(holding(folder.path(), damaged), [""; 0], "cut after {steps}");
        }
        if finished {
            assert!(steps > 15, "only {steps} cuts");
            return;
        }
    }
}

/// Files that hold this.
fn holding(root: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read(&path).unwrap() == text.as_bytes() {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

/// Each with a file of these names, and a drop-in that speaks of them.
fn names_strangers(site: &Site) -> Vec<PathBuf> {
    let put = |path: &str, text: &str| {
        let path = site.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    put(
        "/etc/c2c-authd/config.d/50-provision.toml",
        "# - \"/etc/passwd\"\n# - \"/etc/x/..\"\n# - \"/x/../etc/state-key\"\n# - \"etc/client-secret\"\n\
         # - \"/full/client-secret\"\n# + \"/etc/shadow\"\n# + \"/image/state-key\"\n\n[secrets]\n\
         client-secret-file = \"/etc/hosts\"\n",
    );
    fs::create_dir_all(site.path("/x")).unwrap();
    [
        "/etc/passwd",
        "/etc/x/y",
        "/etc/state-key",
        "/etc/client-secret",
        "/full/client-secret/clip",
        "/etc/shadow.replaced.1",
        "/etc/hosts",
        "/image/state-key",
    ]
    .map(|path| put(path, "of somebody else"))
    .to_vec()
}

#[test]
fn what_a_damaged_drop_in_names_is_left_and_told_and_stops_nothing() {
    let (_folder, site) = machine(&["record.0"]);
    let others = names_strangers(&site);
    let copy = site.path("/image/state-key.replaced.1");
    fs::write(&copy, "sealed").unwrap();
    let outcome = clear(&site, ALL_OF_IT);
    for path in &others {
        assert!(path.exists(), "{}", path.display());
    }
    assert!(!copy.exists() && !DropIn::path(&site).exists());
    for told in [
        "/etc/passwd",
        "/etc/x/..",
        "/x/../etc",
        "\"etc/client",
        "/etc/shadow",
        "/etc/hosts",
        "is a directory",
    ] {
        assert!(
            outcome.left.iter().any(|left| left.contains(told)),
            "{told}: {:?}",
            outcome.left
        );
    }
}

#[test]
fn provisioning_again_removes_nothing_that_a_damaged_drop_in_names() {
    let (_folder, site) = machine(&[]);
    let others = names_strangers(&site);
    store_for_tests(&site, &files_in("/factory"), "made-up");
    for path in &others {
        assert!(path.exists(), "{}", path.display());
    }
    assert_eq!(names(&site, "/factory"), ["client-secret", "state-key"]);
}
