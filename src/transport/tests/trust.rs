//! Whose certificates are believed, and at what time.

use std::io::Write;

use super::log::Log;
use super::*;

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

/// A server that speaks HTTP/2 alone refuses in the handshake, and so may a box in between.
#[tokio::test]
async fn a_refused_handshake_is_offline_and_the_log_says_by_which_alert() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    for (alert, name) in [
        (40, "HandshakeFailure"),
        (70, "ProtocolVersion"),
        (120, "NoApplicationProtocol"),
    ] {
        let server = Server::start([]).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let refusing = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = [0; 4096];
            stream.read(&mut hello).await.unwrap();
            // RFC 8446 §6: a fatal alert.
            stream.write_all(&[21, 3, 3, 0, 2, 2, alert]).await.unwrap();
            stream
        };
        let log = Log::start();
        let client = client_with(&base, &server.ca_file(), FloorClock::new(WallTime::default()));
        let poll = poll();
        let (outcome, _stream) = tokio::join!(client.send(&poll), refusing);
        assert_eq!(outcome.answer, poll_failed(FaultKind::Offline), "{name}");
        let text = log.text();
        assert!(
            text.lines().any(|line| line.contains("WARN") && line.contains(name)),
            "{name}: {text}"
        );
    }
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
