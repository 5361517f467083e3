//! Answers that cannot be used: the journal and the caller learn why, and nothing of a body.

use c2c_testkit::harness::{Harness, LIMIT, quick, side_by_side};
use c2c_testkit::server::{Endpoint, Fault, Page, Times, Tls};
use c2c_testkit::user::error_name;
use serde_json::json;

use crate::DAEMON;

async fn no_code_is_explained(page: Page, wanted: &'static str) {
    let world = Harness::c2c(DAEMON, quick());
    world
        .server
        .faults(Endpoint::DeviceCode, Times::Always, Fault::Instead(page));
    let user = world.user().await;
    let daemon = world.start().await;
    let answer = user.start_pairing(&[]).await;
    assert_eq!(error_name(&answer), "org.cameratocloud.Auth1.Error.ServerError");
    let said = answer.unwrap_err().to_string();
    assert!(said.contains(wanted) && !said.contains("portal"), "{said}");
    let told = move |line: &str| line.contains("No pairing code") && line.contains(wanted);
    daemon.wait_output(told, LIMIT).await.unwrap();
    let output = daemon.output().join("\n");
    assert!(!output.contains("canary") && !output.contains("<html"), "{output}");
}

#[tokio::test]
async fn the_journal_and_the_caller_are_told_why_there_is_no_code() {
    let cases = [
        (Page::Redirect, "status 302: redirect"),
        (Page::CaptivePortal, "status 200: not JSON but a web page"),
        (Page::TooManyRequests(None), "status 429: too many requests"),
        (
            Page::Oversized(70_000),
            "status 200: too large: the body has more than 65536 bytes",
        ),
        (
            Page::Json(400, json!({"message": "invalid_client", "x": "canary"})),
            "status 400: no error word",
        ),
        (
            Page::Json(400, json!({"error": "my_own_word", "x": "canary"})),
            "status 400: error \"my_own_word\"",
        ),
        (
            Page::Json(201, json!({"user_code": "123456"})),
            "status 201: no device_code",
        ),
    ];
    side_by_side(cases.map(|(page, wanted)| (wanted.to_owned(), no_code_is_explained(page, wanted)))).await;
}

/// A certificate that another one put before the server's, before there is any pairing.
#[tokio::test]
async fn a_network_that_shows_its_own_certificate_is_no_absence_of_a_network() {
    let world = Harness::c2c(DAEMON, quick());
    world.server.set_tls(Tls::WrongCa);
    let user = world.user().await;
    let _daemon = world.start().await;
    let answer = user.start_pairing(&[]).await;
    assert_eq!(error_name(&answer), "org.cameratocloud.Auth1.Error.Offline");
    let said = answer.unwrap_err().to_string();
    assert!(said.contains("certificate"), "{said}");
    let state = (
        user.word("Pairing", "PairingState").await,
        user.word("Pairing", "PairingReason").await,
    );
    assert_eq!(state, ("requesting-code".to_owned(), "tls-untrusted".to_owned()));
    world.server.set_tls(Tls::Good);
    user.until("Pairing", "PairingState", "awaiting-user").await;
}

#[tokio::test]
async fn of_failed_polls_the_first_is_told_and_each_change() {
    let world = Harness::c2c(DAEMON, quick());
    let polls = |fault: Page| {
        world
            .server
            .faults(Endpoint::Poll, Times::Always, Fault::Instead(fault));
    };
    let polled = |count: usize| world.seen(move |truth| truth.requests(Endpoint::Poll).count() >= count);
    polls(Page::Status(502));
    let user = world.user().await;
    let daemon = world.start().await;
    user.code(&[]).await.unwrap();
    polled(3).await;
    world.server.clear_faults();
    polls(Page::NotFound);
    let changed = |line: &str| line.contains("A poll for the approval failed") && line.contains("status 404");
    daemon.wait_output(changed, LIMIT).await.unwrap();
    let told = |status: &str| {
        let output = daemon.output();
        let lines = output
            .iter()
            .filter(|line| line.contains("A poll for the approval failed"));
        lines.filter(|line| line.contains(status)).count()
    };
    assert_eq!(
        (told("status 502: not JSON but a web page"), told("status 404")),
        (1, 1)
    );
}
