#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use super::*;
use c2c_testkit::contract::Fake;

fn paired() -> Status {
    Status {
        running: true,
        paired: true,
        pairing_state: "paired".to_owned(),
        pairing_reason: "none".to_owned(),
        attention_needed: false,
        token_state: "valid".to_owned(),
        generation: 12,
        project_name: "The Feature".to_owned(),
        project_id: "4e1d".to_owned(),
        device_name: "Cam-SN-000123".to_owned(),
        paired_since: 0,
        token_expires: 0,
        refresh_by: 0,
        authorization_expires: 0,
        paused: false,
        last_contact: 0,
        client_id: "SN-000123".to_owned(),
        firmware_version: "2.16.4".to_owned(),
        provider: "frameio-c2c".to_owned(),
        daemon_version: "0.1.0".to_owned(),
        last_error: None,
        server_host: None,
        configuration_refused: None,
        absent: Vec::new(),
    }
}

fn unpaired(reason: Reason) -> Status {
    Status {
        paired: false,
        pairing_state: "unpaired".to_owned(),
        pairing_reason: reason.word().to_owned(),
        attention_needed: true,
        token_state: "none".to_owned(),
        project_name: String::new(),
        project_id: String::new(),
        ..paired()
    }
}

#[tokio::test]
async fn the_status_is_what_the_daemon_shows() {
    let fake = Fake::start().await;
    let status = Status::read(&fake.client).await.unwrap();
    assert!(status.paired);
    assert_eq!(status.generation, 7);
    assert_eq!(status.project_name, "ProjectName");
    let error = LastError {
        word: "offline".to_owned(),
        time: Some(1_700_000_000),
    };
    assert_eq!(status.last_error, Some(error));
}

#[test]
fn the_text_of_each_situation() {
    let offline = |time| {
        Some(LastError {
            word: "offline".to_owned(),
            time,
        })
    };
    let situations = [
        paired(),
        Status {
            last_error: offline(Some(1_000)),
            ..paired()
        },
        Status {
            paired_since: 1_000,
            token_expires: 1_100,
            refresh_by: 1_210_790,
            authorization_expires: 8_390,
            paused: true,
            last_contact: 1_130,
            ..paired()
        },
        Status {
            attention_needed: true,
            last_error: offline(None),
            token_state: "stale".to_owned(),
            ..paired()
        },
        Status {
            attention_needed: true,
            ..paired()
        },
        unpaired(Reason::RefreshAnswerLost),
        Status {
            generation: 0,
            client_id: String::new(),
            device_name: String::new(),
            pairing_state: "unprovisioned".to_owned(),
            ..unpaired(Reason::ClientIdMissing)
        },
        Status {
            pairing_state: "awaiting-user".to_owned(),
            ..unpaired(Reason::None)
        },
        Status {
            pairing_reason: "a-word-of-tomorrow".to_owned(),
            pairing_state: "another".to_owned(),
            token_state: "third".to_owned(),
            last_error: Some(LastError {
                word: "fourth".to_owned(),
                time: None,
            }),
            ..paired()
        },
    ];
    let told: Vec<_> = situations.iter().map(|status| status.text(1_190)).collect();
    insta::assert_snapshot!(told.join("----\n"));
}

#[test]
fn tool_and_unit_tell_one_cause_and_one_cure() {
    use c2c_auth_core::{Contact, DeviceInfo, Lifetimes, Snapshot};
    for &pairing in PairingState::ALL {
        for &reason in Reason::ALL {
            for (attention, generation) in [(false, 0), (true, 0), (false, 7), (true, 7)] {
                let snapshot = Snapshot {
                    pairing,
                    reason,
                    paired: pairing == PairingState::Paired,
                    attention,
                    token: TokenState::None,
                    generation: Generation(generation),
                    device: DeviceInfo::default(),
                    lifetimes: Lifetimes::default(),
                    contact: Contact::default(),
                    // The error belongs to another operation.
                    last_error: Some((ErrorWord::RateLimited, None)),
                };
                let status = Status {
                    pairing_state: pairing.word().to_owned(),
                    pairing_reason: reason.word().to_owned(),
                    paired: snapshot.paired,
                    attention_needed: attention,
                    generation,
                    ..paired()
                };
                let (told, cure) = status.told();
                let sentence = messages::status::sentence(&snapshot);
                let at = (pairing, reason, attention, generation, &sentence);
                assert!(
                    cure.is_empty() || sentence.ends_with(&format!(" {cure}.")),
                    "{cure}: {at:?}"
                );
                let what = told.split_once(": ").map_or("", |(_, what)| what);
                if matches!(
                    pairing,
                    PairingState::Unprovisioned | PairingState::Unpaired | PairingState::Paired
                ) && reason != Reason::None
                {
                    assert!(sentence.contains(what) && told.contains(what), "{told}: {at:?}");
                }
                // A code that is asked for needs nobody yet.
                let asking = pairing == PairingState::RequestingCode;
                let shut_out = matches!(pairing, PairingState::Unpaired)
                    || (pairing == PairingState::Paired && generation == 0 && reason == Reason::ServerError);
                assert!(
                    !shut_out || !format!("{told} {cure}").contains("portal"),
                    "{told} {cure}: {at:?}"
                );
                assert!(!attention || asking || !cure.is_empty(), "nothing to do: {at:?}");
            }
        }
    }
}

#[test]
fn the_json_is_a_stable_interface() {
    let status = Status {
        last_error: Some(LastError {
            word: "offline".to_owned(),
            time: None,
        }),
        ..paired()
    };
    insta::assert_snapshot!(serde_json::to_string_pretty(&status).unwrap());
}

#[test]
fn the_exit_code_tells_paired_from_not_paired_from_not_provisioned() {
    assert_eq!(paired().exit(), Exit::Ok);
    assert_eq!(unpaired(Reason::Unpaired).exit(), Exit::NotPaired);
    let unprovisioned = Status {
        pairing_state: "unprovisioned".to_owned(),
        ..unpaired(Reason::ClientIdMissing)
    };
    assert_eq!(unprovisioned.exit(), Exit::NotProvisioned);
    let replacing = Status {
        pairing_state: "awaiting-user".to_owned(),
        ..paired()
    };
    assert_eq!(replacing.exit(), Exit::Ok);
}

#[test]
fn the_exit_code_of_a_paired_device_follows_from_the_reason() {
    let exit = |reason: Reason, generation| {
        let status = Status {
            pairing_reason: reason.word().to_owned(),
            generation,
            ..paired()
        };
        status.exit()
    };
    for &reason in Reason::ALL {
        let expected = match reason {
            Reason::StorageFailed | Reason::LocalFault => Exit::Failed,
            Reason::TlsUntrusted => Exit::Offline,
            Reason::ClientRejected
            | Reason::RefreshRefused
            | Reason::ClientIdMissing
            | Reason::ClientSecretMissing
            | Reason::StateKeyMissing => Exit::NotProvisioned,
            _ => Exit::Ok,
        };
        assert_eq!(exit(reason, 7), expected, "{reason:?}");
    }
    assert_eq!(exit(Reason::ServerError, 0), Exit::Failed, "no token can be used");
    let later = Status {
        pairing_reason: "a-word-of-tomorrow".to_owned(),
        ..paired()
    };
    assert_eq!(later.exit(), Exit::Ok);
}

#[test]
fn times_are_told_in_the_unit_that_matters() {
    let told =
        [0, 9, 10, 59, 60, 3_599, 3_600, 7_200, 86_399, 86_400, 864_000].map(|past| ago(1_000_000, 1_000_000 - past));
    let expected = [
        "just now",
        "just now",
        "10 seconds ago",
        "59 seconds ago",
        "1 minute ago",
        "59 minutes ago",
        "1 hour ago",
        "2 hours ago",
        "23 hours ago",
        "1 day ago",
        "10 days ago",
    ];
    assert_eq!(told, expected);
    assert_eq!(ago(5, 10), "just now", "a clock that was set back");
}

/// The daemon cannot tell this: it is about files that it did not take.
#[test]
fn a_refused_configuration_is_told_with_its_reason_and_the_one_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::at(folder.path());
    let file = site.path("/etc/c2c-authd/config.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let unit = |text: &str| Unit {
        status_text: text.to_owned(),
        ..Unit::default()
    };
    std::fs::write(&file, "").unwrap();
    let good = OnDisk::look(&site, Some(&unit("Paired; access token valid.")));
    assert_eq!((good.host.as_deref(), good.refusal), (Some("api.frame.io"), None));
    // Only the daemon knows what it was started with.
    let needs_restart = unit(&format!(
        "Paired. {}a change of x needs a restart",
        messages::RELOAD_REFUSED
    ));
    let refused = OnDisk::look(&site, Some(&needs_restart));
    assert_eq!(refused.refusal.as_deref(), Some("a change of x needs a restart"));
    std::fs::write(&file, "[refresh]\nminvalidity = \"1s\"\n").unwrap();
    for unit in [None, Some(&needs_restart)] {
        let refused = OnDisk::look(&site, unit);
        let why = refused.refusal.clone().unwrap();
        assert!(why.contains("config.toml:2") && why.contains("did you mean"), "{why}");
        let status = paired().with(refused);
        let told = format!("\nThe configuration on disk is refused, the previous one is in force: {why}.\n");
        assert!(status.text(0).ends_with(&told), "{}", status.text(0));
        assert_eq!(status.exit(), Exit::Ok);
    }
}

#[test]
fn what_the_configuration_names_and_is_absent_is_named_beside_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::at(folder.path());
    let main = site.path("/etc/c2c-authd/config.toml");
    std::fs::create_dir_all(main.parent().unwrap()).unwrap();
    let text = "[device]\nclient-id-from = \"file:/factory/serial\"\n[secrets]\nstate-key-file = \"/factory/key\"\n";
    std::fs::write(main, text).unwrap();
    let told = |reason| unpaired(reason).with(OnDisk::look(&site, None)).text(1_000);
    for reason in [Reason::ClientIdMissing, Reason::StateKeyMissing] {
        let text = told(reason);
        assert!(
            text.contains("/factory/serial") && text.contains("/factory/key"),
            "{text}"
        );
    }
    assert!(!told(Reason::NeverPaired).contains("/factory"));
}
