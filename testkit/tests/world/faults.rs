//! Each fault verb does what it says, and the server's account of it is right.

use std::time::Duration;

use crate::client::{Answer, Client, ID, SOON, server};
use c2c_testkit::server::{
    Cut, DateHeader, Edit, Endpoint, Fault, Outcome, Page, Pause, Server, Stage, Times, Tls, Violation,
    hostile::{self, Junk},
};
use serde_json::json;

/// The result of a refresh under `fault`: the client's view, true if the server rotated, and how it
/// ended.
async fn refresh_under(fault: Fault) -> (Result<Answer, hyper::Error>, bool, Outcome) {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let (_, refresh) = client.pair(&server).await;
    server.fault(Endpoint::Refresh, fault.clone());
    let answer = client.refresh(&refresh).await;
    let (committed, outcome) = server.truth(|t| {
        let entry = t.requests(Endpoint::Refresh).last().unwrap();
        assert_eq!(entry.fault, Some(fault));
        assert_eq!(entry.committed, t.counters().refreshes_committed == 1);
        (entry.committed, entry.outcome)
    });
    // Used up, and the account holds: the old token works if and only if nothing was committed.
    let again = Client::connect(&server).await.unwrap().refresh(&refresh).await.unwrap();
    assert_eq!(again.status == 200, !committed);
    (answer, committed, outcome)
}

#[tokio::test]
async fn a_cut_before_the_commit_leaves_the_old_token_good() {
    for cut in [Cut::Unread, Cut::BeforeCommit] {
        let (answer, committed, outcome) = refresh_under(Fault::Cut(cut)).await;
        assert!(answer.is_err());
        assert_eq!((committed, outcome), (false, Outcome::Cut), "{cut:?}");
    }
}

#[tokio::test]
async fn a_cut_after_the_commit_costs_the_pair() {
    let (answer, committed, outcome) = refresh_under(Fault::Cut(Cut::AfterCommit)).await;
    assert!(answer.is_err());
    assert_eq!((committed, outcome), (true, Outcome::Cut));
    for cut in [Cut::MidHeaders, Cut::MidBody] {
        let (answer, committed, _) = refresh_under(Fault::Cut(cut)).await;
        assert!(answer.is_err() && committed, "{cut:?}");
    }
}

#[tokio::test]
async fn garbage_is_not_http() {
    let (answer, committed, _) = refresh_under(Fault::Garbage).await;
    assert!(answer.unwrap_err().is_parse() && committed);
}

#[tokio::test]
async fn pages_in_between_keep_the_request_from_the_server() {
    let cases = [
        (Page::CaptivePortal, 200, None),
        (Page::Redirect, 302, Some(("location", "https://portal.invalid/login"))),
        (Page::NotFound, 404, None),
        (Page::TooManyRequests(None), 429, Some(("x-ratelimit-remaining", "0"))),
        (Page::TooManyRequests(Some(30)), 429, Some(("retry-after", "30"))),
        (Page::Status(500), 500, None),
        (Page::Status(502), 502, None),
        (Page::Status(504), 504, None),
        (Page::Unavailable(120), 503, Some(("retry-after", "120"))),
        (Page::Json(400, json!({"error": "temporarily_unavailable"})), 400, None),
    ];
    for (page, status, header) in cases {
        let (answer, committed, outcome) = refresh_under(Fault::Instead(page)).await;
        let answer = answer.unwrap();
        assert_eq!(
            (answer.status, committed, outcome),
            (status, false, Outcome::Answered(status))
        );
        if let Some((name, value)) = header {
            assert_eq!(answer.header(name), Some(value));
        }
    }
}

#[tokio::test]
async fn a_gateway_may_give_up_on_a_server_that_acted() {
    let (answer, committed, _) = refresh_under(Fault::InsteadAfterCommit(Page::Status(504))).await;
    assert_eq!((answer.unwrap().status, committed), (504, true));
}

#[tokio::test]
async fn an_oversized_body_is_as_large_as_asked() {
    let (answer, ..) = refresh_under(Fault::Instead(Page::Oversized(3 << 20))).await;
    assert_eq!(answer.unwrap().body.len(), 3 << 20);
}

#[tokio::test]
async fn answers_are_edited_as_asked() {
    let edit = async |edit| refresh_under(Fault::Edit(edit)).await.0.unwrap();
    let truncated = edit(Edit::Truncate).await;
    assert_eq!(truncated.status, 200);
    assert!(serde_json::from_slice::<serde_json::Value>(&truncated.body).is_err());
    assert!(
        edit(Edit::Remove("refresh_token"))
            .await
            .json()
            .get("refresh_token")
            .is_none()
    );
    assert_eq!(
        edit(Edit::Set("token_type", json!("mac"))).await.text("token_type"),
        "mac"
    );
    assert_eq!(edit(Edit::JunkNumbers(Junk::Negative)).await.json()["expires_in"], -5);
}

#[tokio::test]
async fn hostile_strings_are_everywhere_but_in_what_must_come_back() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    server.fault(Endpoint::DeviceCode, Fault::Edit(Edit::HostileStrings));
    let code = client.code().await.unwrap();
    assert_eq!(code.text("name"), hostile::string());
    assert_eq!(code.text("user_code"), hostile::string());
    assert_eq!(
        client.poll(&code.text("device_code")).await.unwrap().text("error"),
        "authorization_pending"
    );
}

#[tokio::test]
async fn a_date_can_be_skewed_garbage_or_missing() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    for date in [DateHeader::Missing, DateHeader::Garbage, DateHeader::Skewed(-86_400)] {
        server.fault(Endpoint::Health, Fault::Date(date));
    }
    assert_eq!(client.get("/health").await.unwrap().header("date"), None);
    let garbage = client.get("/health").await.unwrap();
    assert!(httpdate::parse_http_date(garbage.header("date").unwrap()).is_err());
    let skew = async |client: &mut Client, server: &Server| {
        let answer = client.get("/health").await.unwrap();
        let date = httpdate::parse_http_date(answer.header("date").unwrap()).unwrap();
        server.now().duration_since(date).unwrap().as_secs() / 3600
    };
    assert_eq!(skew(&mut client, &server).await, 24);
    server.set_date_skew(-7200);
    assert_eq!(skew(&mut client, &server).await, 2);
}

#[tokio::test]
async fn a_stalled_request_waits_for_its_release_and_is_acted_on_when_the_client_is_gone() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let (_, refresh) = client.pair(&server).await;
    let stall = Fault::Stall(Stage::BeforeCommit, Pause::UntilReleased);
    server.faults(Endpoint::Refresh, Times::Next(1), stall);
    let stalled = tokio::spawn(async move { client.refresh(&refresh).await });
    server.wait_for(|t| t.counters().refreshes == 1, SOON).await.unwrap();
    assert_eq!(server.truth(|t| t.counters().refreshes_committed), 0);
    server.cut_connections();
    assert!(stalled.await.unwrap().is_err());
    server.release();
    server
        .wait_for(|t| t.counters().refreshes_committed == 1, SOON)
        .await
        .unwrap();
    assert_eq!(server.truth(|t| t.log().last().unwrap().outcome), Outcome::ClientGone);
}

#[tokio::test]
async fn two_refreshes_at_once_are_noted_and_a_resend_after_a_hang_up_is_not() {
    let server = server();
    let (mut one, mut two) = (
        Client::connect(&server).await.unwrap(),
        Client::connect(&server).await.unwrap(),
    );
    let (_, refresh) = one.pair(&server).await;
    server.fault(
        Endpoint::Refresh,
        Fault::Stall(Stage::AfterCommit, Pause::UntilReleased),
    );
    let token = refresh.clone();
    let stalled = tokio::spawn(async move { one.refresh(&token).await.unwrap() });
    server
        .wait_for(|t| t.counters().refreshes_committed == 1, SOON)
        .await
        .unwrap();
    two.refresh(&refresh).await.unwrap();
    assert_eq!(
        server.truth(|t| t.violations().to_vec()),
        [Violation::ConcurrentRefresh]
    );
    server.release();
    let renewed = stalled.await.unwrap().text("refresh_token");

    server.fault(
        Endpoint::Refresh,
        Fault::Stall(Stage::BeforeCommit, Pause::UntilReleased),
    );
    let token = renewed.clone();
    let mut three = Client::connect(&server).await.unwrap();
    let hung_up = tokio::spawn(async move { three.refresh(&token).await });
    server.wait_for(|t| t.counters().refreshes == 3, SOON).await.unwrap();
    hung_up.abort();
    server
        .wait_for(|t| t.log().last().unwrap().outcome == Outcome::ClientGone, SOON)
        .await
        .unwrap();
    assert_eq!(two.refresh(&renewed).await.unwrap().status, 200);
    assert_eq!(server.truth(|t| t.violations().len()), 1);
}

#[tokio::test]
async fn a_pause_and_a_drip_only_slow_the_answer() {
    let short = Duration::from_millis(1);
    let (answer, ..) = refresh_under(Fault::Stall(Stage::AfterCommit, Pause::For(short))).await;
    assert_eq!(answer.unwrap().status, 200);
    let (answer, ..) = refresh_under(Fault::Drip(Duration::from_micros(1))).await;
    assert!(answer.unwrap().json()["refresh_token"].is_string());
}

#[tokio::test]
async fn a_close_ends_the_connection_after_the_answer() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    server.fault(Endpoint::Health, Fault::Close);
    assert_eq!(client.get("/health").await.unwrap().header("connection"), Some("close"));
    assert!(client.get("/health").await.is_err());
    server.set_keep_alive(false);
    let mut client = Client::connect(&server).await.unwrap();
    assert_eq!(client.get("/health").await.unwrap().status, 200);
    assert!(client.get("/health").await.is_err());
}

#[tokio::test]
async fn refused_connections_come_back_on_the_same_port() {
    let server = server();
    let mut open = Client::connect(&server).await.unwrap();
    server.refuse_connections();
    let refused = Client::connect(&server).await.err().unwrap();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(open.get("/health").await.unwrap().status, 200, "open connections stay");
    server.accept_connections();
    assert_eq!(
        Client::connect(&server)
            .await
            .unwrap()
            .get("/health")
            .await
            .unwrap()
            .status,
        200
    );
    server.cut_connections();
    assert!(open.get("/health").await.is_err());
    assert_eq!(server.truth(c2c_testkit::server::Truth::open_connections), 0);
}

/// Until its exec, a process that is being started has a copy of each descriptor of its parent.
#[tokio::test]
async fn connections_are_refused_while_processes_are_started() {
    let server = server();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                std::process::Command::new("true").status().unwrap();
            }
        });
        let mut wrong = 0;
        for _ in 0..200 {
            server.refuse_connections();
            let refused = std::net::TcpStream::connect(server.address()).err().map(|e| e.kind());
            wrong += u32::from(refused != Some(std::io::ErrorKind::ConnectionRefused));
            server.accept_connections();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        starting.join().unwrap();
        assert_eq!(wrong, 0, "connections that a closed listener took");
    });
}

#[tokio::test]
async fn bad_certificates_are_bad() {
    let server = server();
    for (tls, complaint) in [
        (Tls::WrongCa, "UnknownIssuer"),
        (Tls::Expired, "certificate expired"),
        (Tls::WrongName, "not valid for name"),
    ] {
        server.set_tls(tls);
        let error = Client::connect(&server).await.err().unwrap().to_string();
        assert!(error.contains(complaint), "{tls:?}: {error}");
    }
    server
        .wait_for(|t| t.counters().handshakes_failed == 3, SOON)
        .await
        .unwrap();
    server.set_tls(Tls::Silent);
    let silent = server.clone();
    let waiting = tokio::spawn(async move { Client::connect(&silent).await.err() });
    server.wait_for(|t| t.open_connections() == 1, SOON).await.unwrap();
    assert!(!waiting.is_finished());
    server.cut_connections();
    assert!(waiting.await.unwrap().is_some());
    server.set_tls(Tls::Good);
    assert!(Client::connect(&server).await.is_ok());
}

#[tokio::test]
async fn a_fault_everywhere_ends_when_cleared() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    server.fault_everywhere(Fault::Instead(Page::CaptivePortal));
    assert_eq!(
        client.get("/health").await.unwrap().header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(client.code().await.unwrap().body.starts_with(b"<!doctype html>"));
    server.clear_faults();
    assert_eq!(client.get("/health").await.unwrap().json()["status"], "ok");
}

#[tokio::test]
async fn a_lost_pair_is_not_held_against_the_client() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let code = client.code().await.unwrap();
    server.approve(&code.text("user_code")).unwrap();
    server.fault(Endpoint::Poll, Fault::Cut(Cut::AfterCommit));
    assert!(client.poll(&code.text("device_code")).await.is_err());
    let mut client = Client::connect(&server).await.unwrap();
    assert_eq!(
        client.poll(&code.text("device_code")).await.unwrap().text("error"),
        "invalid_grant"
    );
    assert!(server.truth(|t| t.violations().is_empty()));
    assert!(
        server.truth(|t| t.live(ID).access.is_some()),
        "the server believes that the unit is paired"
    );
}

#[test]
fn a_wait_in_vain_tells_what_was_seen_instead() {
    let server = server();
    let error = server
        .wait_for_blocking(|t| !t.log().is_empty(), Duration::from_millis(1))
        .unwrap_err();
    assert!(error.to_string().starts_with("waited 1ms in vain"), "{error}");
}
