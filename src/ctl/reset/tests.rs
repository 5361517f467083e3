#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use std::fs;

use super::files::Outcome;
use super::*;
use c2c_testkit::contract::Fake;

mod obstacles;
mod provisioning;
mod records;
mod told;

/// A machine with these files in the state directory, and a flow.
fn machine(names: &[&str]) -> (tempfile::TempDir, Site) {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::at(folder.path());
    let state = site.state_directory(None);
    for directory in [&state, &site.runtime_directory()] {
        fs::create_dir_all(directory).unwrap();
    }
    for name in names {
        fs::write(state.join(name), "sealed").unwrap();
    }
    fs::write(site.runtime_directory().join("flow"), "sealed").unwrap();
    (folder, site)
}

fn left(site: &Site) -> Vec<String> {
    let entries = fs::read_dir(site.state_directory(None)).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const ALL: &[&str] = &[
    "record.0",
    "record.1",
    "record.damaged.1",
    "record.foreign.2",
    "revocations",
    "revocations.other-key.1",
    "spare",
    ".record.1.new",
];

fn clear(site: &Site, wanted: Wanted) -> Outcome {
    files::clear(site, None, &site.state_directory(None), wanted).unwrap()
}

const LITTLE: Wanted = Wanted {
    records: false,
    revocations: false,
    provisioning: false,
};

#[test]
fn the_floor_and_what_the_server_has_yet_to_hear_stay_unless_asked_for() {
    let (_folder, site) = machine(ALL);
    let outcome = clear(&site, LITTLE);
    assert_eq!(left(&site), ["record.0", "record.1", "revocations"]);
    assert!(
        outcome.pending && outcome.gave_up_revocations,
        "one that was set aside is"
    );
    assert!(!site.runtime_directory().join("flow").exists());
    let outcome = clear(
        &site,
        Wanted {
            records: true,
            ..LITTLE
        },
    );
    assert_eq!(left(&site), ["revocations"]);
    assert!(outcome.pending && outcome.had_records);
    let outcome = clear(
        &site,
        Wanted {
            revocations: true,
            ..LITTLE
        },
    );
    assert_eq!(left(&site), [""; 0]);
    assert!(!outcome.pending && outcome.gave_up_revocations);
}

#[test]
fn what_is_not_the_daemons_is_left_and_told() {
    let (_folder, site) = machine(&["record.0", "notes.txt"]);
    let outcome = clear(
        &site,
        Wanted {
            records: true,
            ..LITTLE
        },
    );
    assert_eq!(left(&site), ["notes.txt"]);
    assert!(outcome.left[0].contains("notes.txt"), "{:?}", outcome.left);
}

#[test]
fn nothing_goes_while_a_daemon_holds_the_lock() {
    let (_folder, site) = machine(ALL);
    let state = site.state_directory(None);
    let held = fs::File::open(&state).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let before = left(&site);
    let refused = files::clear(
        &site,
        None,
        &state,
        Wanted {
            records: true,
            ..LITTLE
        },
    )
    .unwrap_err();
    assert!(refused.to_string().contains("in use"), "{refused}");
    assert_eq!(left(&site), before);
}

#[test]
fn a_drop_in_that_cannot_be_read_is_the_only_list_of_what_is_in_clear_and_stays() {
    let (_folder, site) = machine(&[]);
    let path = site.path("/etc/c2c-authd/config.d/50-provision.toml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "[secrets]\nclient-secret-file = /no/quotes\n").unwrap();
    let outcome = clear(
        &site,
        Wanted {
            provisioning: true,
            ..LITTLE
        },
    );
    assert!(path.exists());
    assert!(outcome.left[0].contains("50-provision.toml"), "{:?}", outcome.left);
}

#[test]
fn provisioning_goes_only_when_asked_for_and_the_images_own_stays() {
    let (_folder, site) = machine(&["record.0"]);
    let put = |path: &str| {
        let path = site.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "sealed").unwrap();
        path
    };
    let ours = put("/etc/credstore.encrypted/c2c-authd.client-secret");
    let former = put("/etc/credstore.encrypted/c2c-authd.state-key.replaced.1");
    let images = put("/usr/lib/credstore.encrypted/c2c-authd.state-key");
    // All services of a machine share the stores. These names may be anybody's.
    let others = [
        "/etc/credstore.encrypted/client-secret",
        "/etc/credstore.encrypted/state-key.replaced.1",
        "/var/lib/c2c-provision/credstore.encrypted/state-key",
    ]
    .map(put);
    clear(&site, LITTLE);
    assert!(ours.exists() && former.exists());
    let outcome = clear(
        &site,
        Wanted {
            provisioning: true,
            ..LITTLE
        },
    );
    assert!(!ours.exists() && !former.exists() && images.exists());
    assert!(others.iter().all(|path| path.exists()));
    assert!(
        outcome.left.iter().any(|told| told.contains("state key")),
        "{:?}",
        outcome.left
    );
}

#[test]
fn only_a_tombstone_is_worth_keeping() {
    for (reason, kept) in [
        (Reason::Unpaired, true),
        (Reason::Revoked, true),
        (Reason::StateKeyMismatch, false),
        (Reason::ForeignRecord, false),
        (Reason::RecordDamaged, false),
        (Reason::NeverPaired, false),
    ] {
        assert_eq!(is_tombstone(reason.word()), kept, "{reason:?}");
    }
}

#[tokio::test]
async fn records_that_the_daemon_could_not_read_may_have_been_a_pairing() {
    for word in ["state-key-mismatch", "foreign-record", "record-damaged"] {
        let fake = Fake::start().await;
        fake.is_unpaired(word);
        let (_folder, site) = machine(&["record.0"]);
        let report = reset(&site, &fake.address().into(), &WANTED).await.unwrap();
        assert_eq!((report.server, report.exit()), (Server::NotTold, Exit::ServerNotTold));
        assert!(report.warnings.iter().any(|told| told.contains(word)), "{report:?}");
        let report = reset(&site, &fake.address().into(), &WANTED).await.unwrap();
        assert_eq!(report.server, Server::NothingToTell, "nothing is left to doubt");
    }
}

#[tokio::test]
async fn without_a_configuration_that_says_where_to_look_nothing_found_is_no_success() {
    let (_folder, site) = machine(&[]);
    let path = site.path("/etc/c2c-authd/config.toml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "[state]\ndirectory = \"/data/c2c\"\n[refresh]\nat = \"often\"\n").unwrap();
    let failure = reset(&site, &nobody(), &WANTED).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Failed);
    assert!(
        failure.sentence.contains("often") && failure.sentence.contains("Nothing was done"),
        "{failure}"
    );
    assert!(site.runtime_directory().join("flow").exists());
    fs::write(site.state_directory(None).join("record.0"), "sealed").unwrap();
    let report = reset(&site, &nobody(), &WANTED).await.unwrap();
    assert_eq!(report.server, Server::NotTold);
}

const WANTED: FactoryReset = FactoryReset {
    clock: false,
    provisioning: false,
    forget_revocations: false,
    wait: Duration::ZERO,
    yes: true,
    json: false,
};

fn nobody() -> BusAddress {
    BusAddress::Address("unix:path=/nowhere/bus".to_owned())
}

#[tokio::test]
async fn a_daemon_that_is_there_and_does_not_unpair_keeps_its_files_unless_the_pairing_is_given_up() {
    for word in ["StorageFailed", "Timeout", "NotProvisioned"] {
        let fake = Fake::start().await;
        fake.refuse("Unpair", word);
        let (_folder, site) = machine(ALL);
        let before = left(&site);
        let report = reset(&site, &fake.address().into(), &WANTED).await.unwrap();
        assert_eq!((report.server, report.exit()), (Server::NotTold, Exit::ServerNotTold));
        assert!(report.held_back && left(&site) == before, "{word}: {report:?}");
        let text = report.text();
        assert!(
            text.contains(word) && text.contains("--forget-revocations"),
            "cause and cure: {text}"
        );
        let forget = FactoryReset {
            forget_revocations: true,
            ..WANTED
        };
        let report = reset(&site, &fake.address().into(), &forget).await.unwrap();
        assert_eq!((report.server, report.exit()), (Server::NotTold, Exit::ServerNotTold));
        assert_eq!(left(&site), [""; 0]);
    }
}

#[tokio::test]
async fn a_daemon_that_cannot_be_asked_after_it_unpaired_keeps_its_files() {
    let fake = Fake::start().await;
    fake.refuse_after_unpair("GetAll", "Internal");
    let (_folder, site) = machine(ALL);
    let before = left(&site);
    let report = reset(&site, &fake.address().into(), &WANTED).await.unwrap();
    assert!(report.held_back && left(&site) == before, "{report:?}");
}

#[tokio::test]
async fn a_device_without_a_state_key_and_without_records_has_nothing_to_hold_back() {
    let fake = Fake::start().await;
    fake.refuse("Unpair", "NotProvisioned");
    let (_folder, site) = machine(&["spare"]);
    let report = reset(&site, &fake.address().into(), &WANTED).await.unwrap();
    assert_eq!((report.server, report.exit()), (Server::NothingToTell, Exit::Ok));
    assert_eq!(left(&site), [""; 0]);
}

#[tokio::test]
async fn the_secrets_stay_while_there_are_records_that_may_be_a_pairing() {
    let (_folder, site) = machine(&["record.0"]);
    let all = FactoryReset {
        provisioning: true,
        ..WANTED
    };
    let report = reset(&site, &nobody(), &all).await.unwrap();
    assert_eq!((report.held_back, report.exit()), (true, Exit::ServerNotTold));
    assert_eq!(left(&site), ["record.0"]);
    assert!(report.text().contains("Get c2c-authd running"), "{}", report.text());
    let fake = Fake::start().await;
    fake.is_unpaired("state-key-mismatch");
    let report = reset(&site, &fake.address().into(), &all).await.unwrap();
    assert_eq!((report.held_back, report.exit()), (true, Exit::ServerNotTold));
    assert_eq!(left(&site), ["record.0"]);
    assert!(report.text().contains("state-key-mismatch"), "{}", report.text());
    let all = FactoryReset {
        forget_revocations: true,
        ..all
    };
    reset(&site, &nobody(), &all).await.unwrap();
    assert_eq!(left(&site), [""; 0]);
}

#[tokio::test]
async fn without_a_bus_it_works_by_files_and_says_that_the_server_does_not_know() {
    let (_folder, site) = machine(ALL);
    let wanted = WANTED;
    let bus = nobody();
    let report = reset(&site, &bus, &wanted).await.unwrap();
    assert_eq!(left(&site), ["revocations"]);
    assert_eq!(report.server, Server::Pending);
    assert!(report.warnings[0].contains("/nowhere/bus"), "{:?}", report.warnings);

    let all = FactoryReset {
        provisioning: true,
        ..wanted
    };
    let report = reset(&site, &bus, &all).await.unwrap();
    assert!(report.held_back && left(&site) == ["revocations"]);
    let all = FactoryReset {
        forget_revocations: true,
        ..all
    };
    let report = reset(&site, &bus, &all).await.unwrap();
    assert_eq!((report.server, left(&site)), (Server::NotTold, Vec::new()));
}
