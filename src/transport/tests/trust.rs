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
async fn a_refused_handshake_is_offline_and_names_its_alert() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    for (alert, name) in [
        (40, "TLS alert handshake_failure"),
        (70, "TLS alert protocol_version"),
        (120, "TLS alert no_application_protocol"),
    ] {
        let server = Server::start([]).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let refusing = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = [0; 4096];
            assert!(stream.read(&mut hello).await.unwrap() > 0);
            // RFC 8446 §6: a fatal alert.
            stream.write_all(&[21, 3, 3, 0, 2, 2, alert]).await.unwrap();
            stream
        };
        let client = client_with(&base, &server.ca_file(), FloorClock::new(WallTime::default()));
        let poll = poll();
        let (outcome, _stream) = tokio::join!(client.send(&poll), refusing);
        assert_eq!(outcome.answer, poll_failed(FaultKind::Offline), "{name}");
        assert_eq!(
            outcome.dropped.map(|dropped| dropped.to_string()).as_deref(),
            Some(name)
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
        ways: Ways::default(),
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
            ways: Ways::default(),
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

fn ca_file(folder: &tempfile::TempDir, content: &[u8]) -> std::path::PathBuf {
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, content).unwrap();
    path
}

fn refusal(path: &Path) -> String {
    let tls = TlsSettings {
        ca_file: Some(path.to_owned()),
        clock: Arc::new(FloorClock::new(WallTime::default())),
        ways: Ways::default(),
    };
    Client::new(provider("https://api.frame.io"), tls)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

#[tokio::test]
async fn a_ca_file_in_another_form_is_told_with_its_cure() {
    let server = Server::start([]).await;
    let pem = std::fs::read_to_string(server.ca_file()).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap();
    let utf16 = |order: fn(u16) -> [u8; 2]| pem.encode_utf16().flat_map(order).collect::<Vec<_>>();
    let marked = |order: fn(u16) -> [u8; 2]| [order(0xfeff).to_vec(), utf16(order)].concat();
    let cut = &pem[..pem.len() - 30];
    let folder = tempfile::tempdir().unwrap();
    for (content, wanted) in [
        (der.as_slice(), "openssl x509 -inform DER"),
        (&marked(u16::to_le_bytes), "iconv -f UTF-16"),
        (&marked(u16::to_be_bytes), "iconv -f UTF-16"),
        (&utf16(u16::to_le_bytes), "iconv -f UTF-16"),
        (
            pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE").as_bytes(),
            "convert it: openssl x509",
        ),
        (
            pem.replace("CERTIFICATE", "PKCS7").as_bytes(),
            "openssl pkcs7 -print_certs",
        ),
        (cut.as_bytes(), "is cut off; copy"),
        (b"", "it is empty"),
        (b"hello", "it holds no certificate"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "is damaged; copy",
        ),
    ] {
        let said = refusal(&ca_file(&folder, content));
        assert!(said.contains(wanted), "{wanted}: {said}");
        assert!(!said.contains("Other") && !said.contains("[48"), "{said}");
    }
}

#[tokio::test]
async fn what_a_ca_file_holds_beside_its_certificates_is_warned_of_and_does_not_count() {
    let server = Server::start([vec![Step::Take, pending()]]).await;
    let pem = std::fs::read_to_string(server.ca_file()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let as_one = |label: &str| pem.replace("CERTIFICATE", label);
    let others = ["TRUSTED CERTIFICATE", "PKCS7", "PRIVATE KEY", "X509 CRL", "UNHEARD OF"];
    let all = [
        as_one(others[0]),
        pem.clone(),
        others[1..].iter().copied().map(as_one).collect(),
    ]
    .concat();
    let path = ca_file(&folder, all.as_bytes());
    let log = Log::start();
    let client = client_with(&server.base(), &path, FloorClock::new(WallTime::default()));
    let log = log.text();
    let warnings = ca_file_warnings(&path);
    for label in others {
        let named = |said: &String| said.contains(&format!("\"{label}\"")) && said.contains("passed over");
        assert_eq!(warnings.iter().filter(|said| named(said)).count(), 1, "{warnings:?}");
        assert!(log.lines().any(|line| named(&line.to_owned())), "{log}");
    }
    assert_eq!(warnings.len(), others.len(), "{warnings:?}");
    assert!(
        warnings.iter().any(|said| said.contains("openssl x509")),
        "{warnings:?}"
    );
    assert!(
        warnings.iter().any(|said| said.contains("openssl pkcs7 -print_certs")),
        "{warnings:?}"
    );
    assert_eq!(client.send(&poll()).await.answer, STILL_PENDING);
}

#[tokio::test]
async fn a_ca_file_with_a_byte_order_mark_is_read_whole() {
    let other = Server::start([]).await;
    let server = Server::start([vec![Step::Take, pending()]]).await;
    let read = |server: &Server| std::fs::read(server.ca_file()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = ca_file(
        &folder,
        &[b"\xef\xbb\xbf".to_vec(), read(&server), read(&other)].concat(),
    );
    let client = client_with(&server.base(), &path, FloorClock::new(WallTime::default()));
    assert_eq!(client.send(&poll()).await.answer, STILL_PENDING);
}

#[tokio::test]
async fn a_root_that_can_verify_nothing_is_warned_of_at_load() {
    let good = Server::start([]).await;
    let folder = tempfile::tempdir().unwrap();
    let leaf = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    assert_eq!(ca_file_warnings(&good.ca_file()), [""; 0]);
    let own = ca_file(&folder, leaf.cert.pem().as_bytes());
    assert_eq!(
        ca_file_warnings(&own),
        [""; 0],
        "a server's own can be trusted as it is"
    );
    let all = [
        std::fs::read_to_string(good.ca_file()).unwrap(),
        include_str!("roots/p-521.pem").to_owned(),
        include_str!("roots/rsa-1024.pem").to_owned(),
        good.leaf.clone(),
    ];
    let path = ca_file(&folder, all.concat().as_bytes());
    let log = Log::start();
    assert_eq!(refusal(&path), "", "the good one among them serves");
    let log = log.text();
    let warnings = ca_file_warnings(&path);
    for (number, word) in [(2, "P-521"), (3, "2048 bits"), (4, "no authority")] {
        let wanted = format!("certificate {number} of tls.ca-file");
        let told = warnings
            .iter()
            .filter(|said| said.contains(&wanted) && said.contains(word));
        assert_eq!(told.count(), 1, "{warnings:?}");
        assert!(log.contains(&wanted), "{log}");
    }
    assert_eq!(warnings.len(), 3, "{warnings:?}");
}

#[tokio::test]
async fn a_certificate_that_is_refused_is_told_in_plain_words() {
    let own = Server::of_an_authority_itself().await;
    let stranger = Server::start([]).await;
    let named = Server::start([vec![], vec![], vec![]]).await;
    let folder = tempfile::tempdir().unwrap();
    let unrelated = ca_file(&folder, include_bytes!("roots/rsa-1024.pem"));
    let old = Server::valid_in((2001, 2002), [vec![]]).await;
    let elsewhere = format!("https://localhost:{}", named.port);
    for (base, ca_file, wanted) in [
        (own.base(), own.ca_file(), "the certificate of an authority as its own"),
        (
            named.base(),
            stranger.ca_file(),
            "its signature does not fit the key of its issuer",
        ),
        (named.base(), unrelated, "no authority that is trusted here issued it"),
        (elsewhere, named.ca_file(), "it is for another host name"),
        (old.base(), old.ca_file(), "it has expired"),
    ] {
        let clock = FloorClock::new(WallTime::default());
        clock.set(WallTime::default(), true);
        let log = Log::start();
        let answer = client_with(&base, &ca_file, clock).send(&poll()).await.answer;
        assert_eq!(answer, poll_failed(FaultKind::Untrusted), "{wanted}");
        let log = log.text();
        let told: Vec<_> = log
            .lines()
            .filter(|line| line.contains("the server's certificate is not trusted"))
            .collect();
        assert!(told.len() == 1 && told[0].contains(wanted), "{log}");
        assert!(
            !log.contains("OtherError") && !log.contains("InvalidCertificate("),
            "{log}"
        );
    }
}

#[test]
fn the_systems_roots_are_not_read_at_the_start() {
    let tls = TlsSettings {
        ca_file: None,
        clock: Arc::new(FloorClock::new(WallTime::default())),
        ways: Ways::default(),
    };
    let client = Client::new(provider("https://api.frame.io"), tls).unwrap();
    assert!(!client.shared.tls.has_roots());
}
