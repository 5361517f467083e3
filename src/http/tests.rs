//! Real TLS on loopback, against a server that does what a script says.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod describe;
mod server;

use std::io::Write;
use std::path::Path;

use server::{Seen, Server, Step};

use super::*;
use crate::core::{
    AccessToken, CodeAnswer, DeviceCode, PollAnswer, RefreshAnswer, ResourceAnswer, Revocable, RevokeAnswer, Secret,
};
use crate::oauth::{BaseUri, Encoding, FrameioC2c, Settings};

const PENDING: &str = r#"{"error":"authorization_pending"}"#;
const PAIR: &str = r#"{"access_token":"canary-new-access","expires_in":28800,"refresh_token":"canary-new-refresh"}"#;

fn provider(base: &str) -> Arc<Provider> {
    let provider = FrameioC2c::new(Settings {
        base: BaseUri::parse(base).unwrap(),
        scope: "asset_create offline".to_owned(),
        url_pairing: true,
        device_code_path: "/v2/auth/device/code".to_owned(),
        encoding: Encoding::Multipart,
        client_id: "SN-1".to_owned(),
        client_secret: Some(Secret::new("canary-secret".to_owned())),
        client_version: "2.16.4".to_owned(),
    });
    Arc::new(Provider::FrameioC2c(provider.unwrap()))
}

fn client_with(base: &str, ca_file: &Path, clock: FloorClock) -> Client {
    let tls = TlsSettings {
        ca_file: Some(ca_file.to_owned()),
        clock: Arc::new(clock),
    };
    Client::new(provider(base), tls).unwrap()
}

fn client_of(server: &Server) -> Client {
    client_with(&server.base(), &server.ca_file(), FloorClock::new(WallTime::default()))
}

fn answer(status: &str, body: &str) -> Step {
    Step::Say(
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
    )
}

fn say(text: &str) -> Step {
    Step::Say(text.as_bytes().to_vec())
}

fn pending() -> Step {
    answer("400 Bad Request", PENDING)
}

fn healthy() -> Step {
    answer("200 OK", r#"{"status":"ok"}"#)
}

fn poll() -> Request {
    Request::Poll(DeviceCode::new("canary-device-code".to_owned()))
}

fn identify() -> Request {
    Request::Identify(AccessToken::new("canary-access".to_owned()))
}

fn token() -> RefreshToken {
    RefreshToken::new("canary-refresh".to_owned())
}

fn fault(kind: FaultKind) -> Fault {
    Fault {
        kind,
        retry_after: None,
    }
}

fn refresh_failed(kind: FaultKind) -> Answer {
    Answer::Refresh(RefreshAnswer::Failed(fault(kind)))
}

fn poll_failed(kind: FaultKind) -> Answer {
    Answer::Poll(PollAnswer::Failed(fault(kind)))
}

const STILL_PENDING: Answer = Answer::Poll(PollAnswer::Pending);
const READY: Answer = Answer::Prepare(PrepareAnswer::Ready);

/// Prepares on a server that answers the health request, then plays `steps` against a refresh.
async fn refresh_against(steps: Vec<Step>) -> Answer {
    let script = [vec![Step::Take, healthy(), Step::Take], steps].concat();
    let server = Server::start([script]).await;
    let client = client_of(&server);
    let prepared = client.prepare().await;
    assert_eq!(prepared.outcome.answer, READY);
    client.refresh(prepared.connection.unwrap(), &token()).await.answer
}

// Connections

#[tokio::test]
async fn polls_share_one_warm_connection() {
    let mut server = Server::start([vec![Step::Take, pending(), Step::Take, pending()]]).await;
    let client = client_of(&server);
    for _ in 0..2 {
        assert_eq!(client.send(&poll()).await.answer, STILL_PENDING);
    }
    let seen = server.so_far();
    assert!(
        matches!(&seen[..], [Seen::Accepted, Seen::Request(_), Seen::Request(_)]),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_failure_is_followed_by_a_fresh_connection() {
    let lost = vec![Step::Take, pending(), Step::Take, Step::Cut];
    let mut server = Server::start([lost, vec![Step::Take, pending()]]).await;
    let client = client_of(&server);
    assert_eq!(client.send(&poll()).await.answer, STILL_PENDING);
    assert_eq!(client.send(&poll()).await.answer, poll_failed(FaultKind::Lost));
    assert_eq!(client.send(&poll()).await.answer, STILL_PENDING);
    let accepted = server.so_far().iter().filter(|seen| **seen == Seen::Accepted).count();
    assert_eq!(accepted, 2);
}

#[tokio::test]
async fn a_warm_connection_that_the_server_closed_is_replaced_and_the_request_sent_once() {
    for farewell in [Step::Close, Step::Cut] {
        let mut server = Server::start([vec![Step::Take, pending(), farewell], vec![Step::Take, pending()]]).await;
        let client = client_of(&server);
        assert_eq!(client.send(&poll()).await.answer, STILL_PENDING);
        assert_eq!(server.next().await, Seen::Accepted);
        server.next_request().await;
        assert_eq!(server.next().await, Seen::Closed);
        assert_eq!(client.send(&poll()).await.answer, STILL_PENDING);
        let seen = server.so_far();
        assert!(matches!(&seen[..], [Seen::Accepted, Seen::Request(_)]), "{seen:?}");
    }
}

#[tokio::test]
async fn a_connection_idle_for_too_long_is_not_trusted() {
    let script = vec![Step::Take, pending()];
    let mut server = Server::start([script.clone(), script]).await;
    let client = client_of(&server);
    client.send(&poll()).await;
    client.warm().as_mut().unwrap().since = boottime().saturating_sub(WARM);
    assert_eq!(client.send(&poll()).await.answer, STILL_PENDING);
    let accepted = server.so_far().iter().filter(|seen| **seen == Seen::Accepted).count();
    assert_eq!(accepted, 2);
}

#[tokio::test]
async fn nothing_is_kept_warm_after_a_request_that_none_follows() {
    let mut server = Server::start([vec![Step::Take, say("HTTP/1.1 204 No Content\r\n\r\n")]]).await;
    let heartbeat = Request::Heartbeat(AccessToken::new("AT".to_owned()));
    let client = client_of(&server);
    let outcome = client.send(&heartbeat).await;
    assert_eq!(outcome.answer, Answer::Resource(ResourceAnswer::Alive(None)));
    assert!(client.warm().is_none());
    assert_eq!(server.next().await, Seen::Accepted);
    assert_eq!(server.next_request().await, "POST /v2/devices/heartbeat HTTP/1.1");
    assert_eq!(server.next().await, Seen::Left);
}

#[tokio::test]
async fn the_refresh_goes_on_the_prepared_connection_and_devices_me_follows_on_it() {
    let me = answer("200 OK", r#"{"name":"Cam-1"}"#);
    let script = vec![
        Step::Take,
        healthy(),
        Step::Take,
        answer("200 OK", PAIR),
        Step::Take,
        me,
    ];
    let mut server = Server::start([script]).await;
    let client = client_of(&server);
    let prepared = client.prepare().await;
    assert_eq!(prepared.outcome.answer, READY);
    let outcome = client.refresh(prepared.connection.unwrap(), &token()).await;
    assert!(matches!(outcome.answer, Answer::Refresh(RefreshAnswer::Granted(_))));
    let outcome = client.send(&identify()).await;
    assert!(matches!(
        outcome.answer,
        Answer::Resource(ResourceAnswer::Alive(Some(_)))
    ));

    assert_eq!(server.next().await, Seen::Accepted);
    assert_eq!(server.next_request().await, "GET /health HTTP/1.1");
    assert_eq!(server.next_request().await, "POST /v2/auth/token HTTP/1.1");
    assert_eq!(server.next_request().await, "GET /v2/devices/me HTTP/1.1");
}

#[tokio::test]
async fn the_proof_carries_no_credential_and_names_host_and_version() {
    let mut server = Server::start([vec![Step::Take, healthy()]]).await;
    let _prepared = client_of(&server).prepare().await;
    assert_eq!(server.next().await, Seen::Accepted);
    let Seen::Request(text) = server.next().await else {
        panic!("no request");
    };
    let text = text.to_ascii_lowercase();
    assert!(
        text.contains(&format!("\r\nhost: 127.0.0.1:{}\r\n", server.port)),
        "{text}"
    );
    assert!(text.contains("\r\nx-client-version: 2.16.4\r\n"), "{text}");
    assert!(!text.contains("authorization") && !text.contains("canary"), "{text}");
}

#[tokio::test]
async fn where_the_server_closes_after_its_proof_a_fresh_handshake_is_proof_enough() {
    let closing = say("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}");
    let mut server = Server::start([
        vec![Step::Take, closing, Step::Close],
        vec![Step::Take, answer("200 OK", PAIR)],
    ])
    .await;
    let client = client_of(&server);
    let prepared = client.prepare().await;
    assert_eq!(prepared.outcome.answer, READY);
    let outcome = client.refresh(prepared.connection.unwrap(), &token()).await;
    assert!(matches!(outcome.answer, Answer::Refresh(RefreshAnswer::Granted(_))));
    let requests = server
        .so_far()
        .iter()
        .filter(|seen| matches!(seen, Seen::Request(_)))
        .count();
    assert_eq!(requests, 2);
}

#[tokio::test]
async fn a_busy_server_leaves_a_connection_that_can_be_used() {
    let busy = say("HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n");
    let server = Server::start([vec![Step::Take, busy, Step::Take, answer("200 OK", PAIR)]]).await;
    let client = client_of(&server);
    let prepared = client.prepare().await;
    assert_eq!(
        prepared.outcome.answer,
        Answer::Prepare(PrepareAnswer::Busy(Fault {
            kind: FaultKind::Refused,
            retry_after: Some(Duration::from_secs(7)),
        }))
    );
    let outcome = client.refresh(prepared.connection.unwrap(), &token()).await;
    assert!(matches!(outcome.answer, Answer::Refresh(RefreshAnswer::Granted(_))));
}

#[tokio::test]
async fn dropping_a_request_closes_its_connection() {
    let mut server = Server::start([vec![Step::Take]]).await;
    let client = client_of(&server);
    let sending = tokio::spawn(async move { client.send(&poll()).await });
    assert_eq!(server.next().await, Seen::Accepted);
    server.next_request().await;
    sending.abort();
    assert_eq!(server.next().await, Seen::Left);
}

#[tokio::test]
async fn dropping_a_prepared_connection_closes_it() {
    let mut server = Server::start([vec![Step::Take, healthy()]]).await;
    drop(client_of(&server).prepare().await);
    assert_eq!(server.next().await, Seen::Accepted);
    server.next_request().await;
    assert_eq!(server.next().await, Seen::Left);
}

// Sent, or not

#[tokio::test]
async fn a_prepared_connection_that_died_before_the_first_byte_means_nothing_was_sent() {
    for farewell in [Step::Close, Step::Cut] {
        let mut server = Server::start([vec![Step::Take, healthy(), Step::Wait, farewell]]).await;
        let client = client_of(&server);
        let prepared = client.prepare().await;
        assert_eq!(server.next().await, Seen::Accepted);
        server.next_request().await;
        server.go_on();
        assert_eq!(server.next().await, Seen::Closed);
        let outcome = client.refresh(prepared.connection.unwrap(), &token()).await;
        assert_eq!(outcome.answer, refresh_failed(FaultKind::Offline));
        assert!(server.so_far().is_empty(), "a refresh is never sent anywhere else");
    }
}

#[tokio::test]
async fn a_close_that_arrived_while_nobody_looked_is_seen_before_the_refresh_is_written() {
    let (told, address) = std::sync::mpsc::channel();
    let elsewhere = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut server = Server::start([vec![Step::Take, healthy(), Step::Wait, Step::Close]]).await;
            told.send((server.base(), server.ca_file(), server.signal())).unwrap();
            while server.next().await != Seen::Closed {}
        });
    });
    let (base, ca_file, signal) = address.recv().unwrap();
    let client = client_with(&base, &ca_file, FloorClock::new(WallTime::default()));
    let prepared = client.prepare().await;
    signal.notify_one();
    // Blocks this thread's runtime too: the close arrives, and no task here can have looked.
    elsewhere.join().unwrap();
    let outcome = client.refresh(prepared.connection.unwrap(), &token()).await;
    assert_eq!(outcome.answer, refresh_failed(FaultKind::Offline));
}

#[tokio::test]
async fn a_refresh_without_a_connection_is_not_sent() {
    let server = Server::start([]).await;
    let request = Request::Refresh {
        on: crate::core::OpId(1),
        token: token(),
    };
    let outcome = client_of(&server).send(&request).await;
    assert_eq!(outcome.answer, refresh_failed(FaultKind::Offline));
}

#[tokio::test]
async fn whatever_cuts_a_sent_refresh_leaves_it_lost() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"access_token\":";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"acc\r\n";
    let unframed = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{PAIR}");
    for (steps, what) in [
        (vec![Step::Cut], "no answer"),
        (vec![Step::Close], "no answer, politely"),
        (vec![say("HTTP/1.1 200 O"), Step::Cut], "half a status line"),
        (vec![say("HTTP/1.1 200 OK\r\ncontent-le"), Step::Close], "half a head"),
        (vec![say(half), Step::Cut], "half a body"),
        (vec![say(half), Step::Close], "half a body, politely"),
        (vec![say(chunked), Step::Cut], "chunks without an end"),
        (vec![say(chunked), Step::Close], "chunks without an end, politely"),
        (
            vec![say(&unframed), Step::Cut],
            "an unframed body without TLS's farewell",
        ),
    ] {
        assert_eq!(refresh_against(steps).await, refresh_failed(FaultKind::Lost), "{what}");
    }
}

#[tokio::test]
async fn an_unframed_body_ends_with_a_proper_close() {
    let unframed = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{PAIR}");
    let answer = refresh_against(vec![say(&unframed), Step::Close]).await;
    assert!(
        matches!(answer, Answer::Refresh(RefreshAnswer::Granted(_))),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_garbled() {
    let flood = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(HEADERS_TOO_MANY));
    let long = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(64 * 1024));
    for garbage in [
        "\u{0}\u{1}\u{2}\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "<html></html>\r\n\r\n",
        &flood,
        &long,
    ] {
        let answer = refresh_against(vec![say(garbage)]).await;
        assert_eq!(answer, refresh_failed(FaultKind::Garbled), "{garbage:.20}");
    }
}

const HEADERS_TOO_MANY: usize = 65;

#[tokio::test]
async fn a_body_beyond_the_limit_is_garbled_announced_or_not() {
    let announced = "HTTP/1.1 200 OK\r\ncontent-length: 65537\r\n\r\n";
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("8000\r\n{}\r\n", " ".repeat(0x8000));
    for steps in [
        vec![say(announced)],
        vec![say(endless), say(&chunk), say(&chunk), say(&chunk)],
    ] {
        assert_eq!(refresh_against(steps).await, refresh_failed(FaultKind::Garbled));
    }
    let padded = format!("{PAIR}{}", " ".repeat(65_536 - PAIR.len()));
    let answer = refresh_against(vec![answer("200 OK", &padded)]).await;
    assert!(matches!(answer, Answer::Refresh(RefreshAnswer::Granted(_))));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start([vec![]]).await;
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: https://localhost:{}/v2/auth/token\r\ncontent-length: 0\r\n\r\n",
        elsewhere.port
    );
    assert_eq!(
        refresh_against(vec![say(&redirect)]).await,
        refresh_failed(FaultKind::Refused)
    );
    let mut elsewhere = elsewhere;
    assert!(elsewhere.so_far().is_empty());
}

#[tokio::test]
async fn an_early_hint_is_not_taken_for_the_answer() {
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    let answer = refresh_against(vec![say(hint), answer("200 OK", PAIR)]).await;
    assert!(matches!(answer, Answer::Refresh(RefreshAnswer::Granted(_))));
}

// Time

/// Lets the limit pass once nothing else can happen any more. Time stands still from then on, so that `elapsed` can be
/// told to the millisecond without waiting.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test]
async fn a_stalled_refresh_outlives_the_servers_own_limit_and_is_then_lost() {
    let mut server = Server::start([vec![Step::Take, healthy(), Step::Take]]).await;
    let client = client_of(&server);
    let prepared = client.prepare().await;
    let connection = prepared.connection.unwrap();
    let mut refreshing = tokio::spawn(async move { client.refresh(connection, &token()).await });
    assert_eq!(server.next().await, Seen::Accepted);
    server.next_request().await;
    server.next_request().await;
    pass(34).await;
    let early =
        std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut refreshing).poll(cx).is_ready()));
    assert!(!early.await);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(refreshing.await.unwrap().answer, refresh_failed(FaultKind::Lost));
}

#[tokio::test]
async fn a_body_that_never_ends_is_lost_at_the_limit() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{";
    let mut server = Server::start([vec![Step::Take, say(half)]]).await;
    let client = client_of(&server);
    let asking = tokio::spawn(async move { client.send(&identify()).await });
    assert_eq!(server.next().await, Seen::Accepted);
    server.next_request().await;
    pass(15).await;
    let failed = Answer::Resource(ResourceAnswer::Failed(fault(FaultKind::Lost)));
    assert_eq!(asking.await.unwrap().answer, failed);
    assert_eq!(server.next().await, Seen::Left);
}

#[tokio::test]
async fn a_proof_that_stalls_ends_at_its_limit_without_a_connection() {
    let mut server = Server::start([vec![Step::Take]]).await;
    let client = client_of(&server);
    let preparing = tokio::spawn(async move { client.prepare().await });
    assert_eq!(server.next().await, Seen::Accepted);
    server.next_request().await;
    pass(10).await;
    let prepared = preparing.await.unwrap();
    assert_eq!(
        prepared.outcome.answer,
        Answer::Prepare(PrepareAnswer::Failed(fault(FaultKind::Lost)))
    );
    assert!(prepared.connection.is_none());
}

#[tokio::test]
async fn a_handshake_that_stalls_is_offline_at_the_limit() {
    let mut server = Server::start([vec![Step::Mute]]).await;
    let client = client_of(&server);
    let polling = tokio::spawn(async move { client.send(&poll()).await });
    assert_eq!(server.next().await, Seen::Accepted);
    pass(10).await;
    assert_eq!(polling.await.unwrap().answer, poll_failed(FaultKind::Offline));
    assert_eq!(server.next().await, Seen::Left);
}

// Trust

#[tokio::test]
async fn where_nobody_listens_it_is_offline() {
    // Bound, so that nobody else gets the port, and not listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let server = Server::start([]).await;
    let client = client_with(
        &format!("https://127.0.0.1:{port}"),
        &server.ca_file(),
        FloorClock::new(WallTime::default()),
    );
    assert_eq!(client.send(&poll()).await.answer, poll_failed(FaultKind::Offline));
    assert_eq!(
        client.prepare().await.outcome.answer,
        Answer::Prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)))
    );
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_offline() {
    let server = Server::start([vec![Step::Plain]]).await;
    assert_eq!(
        client_of(&server).send(&poll()).await.answer,
        poll_failed(FaultKind::Offline)
    );
}

#[tokio::test]
async fn a_certificate_of_another_ca_or_name_is_not_trusted_and_nothing_is_sent() {
    let stranger = Server::start([]).await;
    let mut server = Server::start([vec![Step::Take], vec![Step::Take]]).await;
    let other_name = format!("https://localhost:{}", server.port);
    for (base, ca_file) in [(server.base(), stranger.ca_file()), (other_name, server.ca_file())] {
        let client = client_with(&base, &ca_file, FloorClock::new(WallTime::default()));
        assert_eq!(
            client.send(&poll()).await.answer,
            poll_failed(FaultKind::Untrusted),
            "{base}"
        );
        assert_eq!(server.next().await, Seen::Accepted);
        assert_eq!(server.next().await, Seen::Left);
    }
}

#[tokio::test]
async fn a_certificate_out_of_its_dates_blames_the_clock_unless_the_clock_is_trusted() {
    for years in [(2001, 2002), (2119, 2120)] {
        for (trusted, kind) in [(false, FaultKind::ClockNotSet), (true, FaultKind::Untrusted)] {
            let server = Server::valid_in(years, [vec![Step::Take]]).await;
            let clock = FloorClock::new(WallTime::default());
            clock.set(WallTime::default(), trusted);
            let client = client_with(&server.base(), &server.ca_file(), clock);
            assert_eq!(
                client.send(&poll()).await.answer,
                poll_failed(kind),
                "{years:?} {trusted}"
            );
        }
    }
}

#[tokio::test]
async fn the_floor_lets_a_device_in_1970_verify() {
    let server = Server::start([vec![Step::Take], vec![Step::Take, pending()]]).await;
    let clock = Arc::new(FloorClock::with_system(WallTime::default(), || 0));
    let tls = TlsSettings {
        ca_file: Some(server.ca_file()),
        clock: Arc::clone(&clock),
    };
    let client = Client::new(provider(&server.base()), tls).unwrap();
    assert_eq!(client.send(&poll()).await.answer, poll_failed(FaultKind::ClockNotSet));
    clock.set(WallTime::from_secs(1_750_000_000), false);
    assert_eq!(client.send(&poll()).await.answer, STILL_PENDING);
}

#[tokio::test]
async fn a_bad_ca_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path| {
        let tls = TlsSettings {
            ca_file: Some(path.to_owned()),
            clock: Arc::new(FloorClock::new(WallTime::default())),
        };
        let Err(error) = Client::new(provider("https://api.frame.io"), tls) else {
            panic!("{path:?} was taken");
        };
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        error
    };
    let missing = refused(&folder.path().join("missing.pem"));
    assert!(matches!(missing, TlsError::CaFileUnreadable { .. }));
    for content in [
        "",
        "hello",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let path = folder.path().join("bad.pem");
        std::fs::File::create(&path)
            .unwrap()
            .write_all(content.as_bytes())
            .unwrap();
        assert!(matches!(refused(&path), TlsError::CaFileMalformed { .. }), "{content}");
    }
}

#[test]
fn the_systems_roots_are_not_read_at_the_start() {
    let tls = TlsSettings {
        ca_file: None,
        clock: Arc::new(FloorClock::new(WallTime::default())),
    };
    let client = Client::new(provider("https://api.frame.io"), tls).unwrap();
    assert!(!client.shared.tls.has_roots());
}

// What is told

#[tokio::test]
async fn the_date_and_the_servers_wish_come_with_the_answer() {
    let busy = "HTTP/1.1 429 Too Many Requests\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: 9\r\n\
                content-length: 0\r\n\r\n";
    let server = Server::start([vec![Step::Take, say(busy)]]).await;
    let outcome = client_of(&server).send(&Request::DeviceCode).await;
    assert_eq!(outcome.date, Some(WallTime::from_secs(784_111_777)));
    assert_eq!(
        outcome.answer,
        Answer::Code(CodeAnswer::Failed(Fault {
            kind: FaultKind::RateLimited,
            retry_after: Some(Duration::from_secs(9)),
        }))
    );
}

#[tokio::test]
async fn a_revocation_is_sent_as_a_form() {
    let mut server = Server::start([vec![Step::Take, answer("200 OK", "{}")]]).await;
    let outcome = client_of(&server)
        .send(&Request::Revoke(Revocable::Refresh(token())))
        .await;
    assert_eq!(outcome.answer, Answer::Revoke(RevokeAnswer::Done));
    assert_eq!(server.next().await, Seen::Accepted);
    let Seen::Request(text) = server.next().await else {
        panic!("no request");
    };
    assert!(text.starts_with("POST /v2/auth/revoke HTTP/1.1\r\n") && text.contains("\r\n\r\ncanary-refresh\r\n--"));
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_reaches_the_log_at_any_level() {
    let log = Log::default();
    let sink = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || sink.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // tracing caches per call site who is interested, and asks only the present thread while there is a single subscriber:
    // a test beside this one would answer «nobody» for all. With a second one, all are asked.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());

    let refreshed = vec![Step::Take, healthy(), Step::Take, answer("200 OK", PAIR)];
    let lost = vec![Step::Take, say("canary-garbage\r\n\r\n")];
    let server = Server::start([refreshed, lost]).await;
    let client = client_of(&server);
    let prepared = client.prepare().await;
    let outcome = client.refresh(prepared.connection.unwrap(), &token()).await;
    assert!(!format!("{outcome:?}").contains("canary"));
    client.forget_warm();
    client.send(&identify()).await;

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("/v2/auth/token") && log.contains("/v2/devices/me"),
        "{log}"
    );
    assert!(!log.contains("canary"), "{log}");
}
