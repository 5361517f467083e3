//! `AttentionNeeded`, STATUS, `status` and `check` give one verdict and one cure, whatever is
//! wrong.

use std::time::Instant;

use c2c_testkit::harness::LOOK;
use c2c_testkit::server::{Endpoint, Fault, Page, Times, Tls};
use c2c_testkit::user::User;

use super::*;

/// Waits until the device is as it is to be, and holds the four against each other.
#[track_caller]
fn agree(world: &Harness, daemon: &Process, reason: &str, attention: bool, exit: i32) {
    let limit = Instant::now() + LIMIT;
    let status = loop {
        let status: serde_json::Value = serde_json::from_str(&run(world, "status --json").out).unwrap();
        if status["pairing-reason"] == reason && status["attention-needed"] == attention {
            break status;
        }
        assert!(Instant::now() < limit, "never {reason}, {attention}: {status}");
        std::thread::sleep(LOOK);
    };
    assert_eq!(run(world, "status").code, Some(exit), "{status}");

    let (code, report) = report(world, "check --offline --json");
    let mut findings = report["checks"].as_array().unwrap().iter();
    let finding = findings.find(|finding| finding["check"] == "daemon").unwrap();
    let verdict = if attention { "fail" } else { "ok" };
    assert_eq!(finding["verdict"], verdict, "{finding}");
    if attention {
        assert_eq!(code, Some(1));
    }

    let cure = finding["cure"].as_str().unwrap();
    let wait = daemon.notifications().wait_blocking(
        |told| told.get("STATUS").is_some_and(|sentence| sentence.contains(cure)),
        LIMIT,
    );
    wait.unwrap_or_else(|error| panic!("{error}: {cure}: {:?}", daemon.output()));
    let sentence = daemon.notifications().last("STATUS").unwrap();
    assert_eq!(sentence.contains("Attention needed."), attention, "{sentence}");
    if attention {
        assert!(
            !cure.is_empty() && sentence.ends_with(&format!("{cure}.")),
            "{sentence}"
        );
    }
}

/// The token ends at the server, which an uploader hears of.
async fn end_token(world: &Harness, user: &User) {
    let generation = user.token().await.unwrap().generation;
    world.server.end_access_token(CLIENT_ID).unwrap();
    // Whatever comes of it, the next call is `GetAccessToken`.
    let _ = user.reject(generation).await;
}

#[tokio::test]
async fn a_disk_that_takes_no_record_is_told_by_all_until_the_first_good_write() {
    let world = Harness::c2c(DAEMON, quick());
    let (daemon, user) = world.paired().await;
    agree(&world, &daemon, "none", false, 0);
    world.block_records(true);
    end_token(&world, &user).await;
    agree(&world, &daemon, "storage-failed", true, 1);
    let status = run(&world, "status").out;
    assert!(
        status.contains("The state directory cannot be written") && status.contains("Free some space"),
        "{status}"
    );
    let refused = user.token().await;
    assert!(
        c2c_testkit::user::error_name(&refused).ends_with("StorageFailed"),
        "{refused:?}"
    );
    world.block_records(false);
    agree(&world, &daemon, "none", false, 0);
    assert_eq!(user.token().await.unwrap().generation, 2);
}

#[tokio::test]
async fn a_pairing_in_the_runtime_directory_alone_is_told_by_all() {
    let world = Harness::c2c(DAEMON, quick());
    let mut daemon = world.start().await;
    let user = world.user().await;
    user.start_pairing(&[]).await.unwrap();
    world.block_records(true);
    world.approve_until_paired(&user).await;
    agree(&world, &daemon, "storage-failed", true, 1);
    assert!(user.token().await.is_ok(), "it serves all the same");
    world.restart(&mut daemon).await;
    agree(&world, &daemon, "storage-failed", true, 1);
    world.block_records(false);
    agree(&world, &daemon, "none", false, 0);
}

#[tokio::test]
async fn what_the_network_and_the_server_do_is_told_by_all() {
    let world = Harness::c2c(DAEMON, quick());
    let (daemon, user) = world.paired().await;
    let trouble = Fault::Instead(Page::Status(503));
    world.server.faults(Endpoint::Refresh, Times::Always, trouble);
    end_token(&world, &user).await;
    agree(&world, &daemon, "server-error", false, 0);
    world.server.clear_faults();

    world.server.set_tls(Tls::WrongCa);
    world.server.cut_connections();
    // A caller that waits brings the next try forward.
    let _ = user.token().await;
    agree(&world, &daemon, "tls-untrusted", true, 5);
    let status = run(&world, "status").out;
    assert!(status.contains("another certificate before the server's"), "{status}");
    let refused = user.token().await.unwrap_err().to_string();
    assert!(
        refused.contains("Error.Offline") && refused.contains("another certificate before the server's"),
        "{refused}"
    );

    world.server.refuse_connections();
    let _ = user.token().await;
    agree(&world, &daemon, "offline", false, 0);
    world.server.accept_connections();
    world.server.set_tls(Tls::Good);
    let limit = Instant::now() + LIMIT;
    while user.token().await.is_err() {
        assert!(Instant::now() < limit, "{}", user.told().await);
    }
    agree(&world, &daemon, "none", false, 0);
}

#[tokio::test]
async fn a_server_that_refuses_the_client_of_a_pairing_is_told_by_all() {
    let world = Harness::c2c(DAEMON, quick());
    let (daemon, user) = world.paired().await;
    world
        .server
        .set_options(|options| options.client_secret = "another".to_owned());
    end_token(&world, &user).await;
    agree(&world, &daemon, "client-rejected", true, 4);
}

#[tokio::test]
async fn why_there_is_no_pairing_is_told_by_all() {
    let mut world = Harness::c2c(DAEMON, quick());
    let mut daemon = world.start().await;
    agree(&world, &daemon, "never-paired", false, 3);
    let user = world.user().await;
    world.pair(&user).await;
    let key = world.rig.state_key();

    for (change, reason, exit) in [
        (("device", "client-id", "another"), "foreign-record", 3),
        (("device", "client-id", CLIENT_ID), "none", 0),
    ] {
        world.set(&[change]);
        world.restart(&mut daemon).await;
        agree(&world, &daemon, reason, reason != "none", exit);
    }
    world.rig.write_credential("state-key", &[7; 32]).unwrap();
    world.restart(&mut daemon).await;
    agree(&world, &daemon, "state-key-mismatch", true, 3);
    world.rig.write_credential("state-key", &key).unwrap();
    let secret = world.server.client_secret();
    world.rig.remove_credential("client-secret").unwrap();
    world.restart(&mut daemon).await;
    agree(&world, &daemon, "client-secret-missing", true, 4);
    world.rig.write_credential("client-secret", secret.as_bytes()).unwrap();
    world.restart(&mut daemon).await;
    agree(&world, &daemon, "none", false, 0);

    let user = world.user().await;
    let generation = user.token().await.unwrap().generation;
    world.server.forget(CLIENT_ID).unwrap();
    let _ = user.reject(generation).await;
    agree(&world, &daemon, "revoked", true, 3);
    daemon.kill().unwrap();
    for name in ["record.0", "record.1"] {
        fs::write(world.rig.state_directory().join(name), "no record").unwrap();
    }
    let daemon = world.start().await;
    agree(&world, &daemon, "record-damaged", true, 3);
}

/// The row of a check in the report of this command.
fn row(world: &Harness, line: &str, check: &str) -> Option<serde_json::Value> {
    let (_, report) = report(world, line);
    let mut rows = report["checks"].as_array().unwrap().iter();
    rows.find(|row| row["check"] == check).cloned()
}

#[tokio::test]
async fn a_device_that_nobody_paired_fails_for_those_who_ask_that_it_be_paired() {
    const ASKED: &str = "check --offline --paired --json";
    let world = Harness::c2c(DAEMON, quick());
    let silent = row(&world, ASKED, "pairing").unwrap();
    assert_ne!(silent["verdict"], "ok", "{silent}");
    let daemon = world.start().await;
    let user = world.user().await;
    agree(&world, &daemon, "never-paired", false, 3);
    let expect_failure = || {
        let pairing = row(&world, ASKED, "pairing").unwrap();
        assert_eq!(
            (&pairing["verdict"], &pairing["id"]),
            (&"fail".into(), &"C2C-E16".into())
        );
        assert!(
            pairing["cure"].as_str().unwrap().contains("c2c-authctl pair"),
            "{pairing}"
        );
        assert_eq!(row(&world, ASKED, "daemon").unwrap()["verdict"], "ok");
        assert_eq!(run(&world, ASKED).code, Some(1));
    };
    expect_failure();
    assert_eq!(row(&world, "check --offline --json", "pairing"), None, "nobody asked");
    user.start_pairing(&[]).await.unwrap();
    expect_failure();
    user.cancel().await.unwrap();
    agree(&world, &daemon, "cancelled", false, 3);
    expect_failure();

    user.code_when_it_may(&[]).await;
    world.approve_until_paired(&user).await;
    let pairing = row(&world, ASKED, "pairing").unwrap();
    assert_eq!(pairing["verdict"], "ok", "{pairing}");
    user.unpair().await.unwrap();
    expect_failure();
}
