//! The way through a proxy: what it learns, and what its faults mean.

use c2c_testkit::proxy::{Proxy as Forward, Way};
use tokio::net::TcpListener;

use super::*;
use crate::oauth::{Defect, Proxy, ProxyAddress, ProxyFault};

fn client_through(proxy: &str, base: &str, ca_file: &Path) -> Client {
    let proxy = Proxy::At(ProxyAddress::parse(proxy).unwrap());
    let tls = TlsSettings {
        ca_file: Some(ca_file.to_owned()),
        clock: Arc::new(FloorClock::new(WallTime::default())),
        ways: Ways::new(&proxy, |_| None).unwrap(),
    };
    Client::new(provider(base), tls).unwrap()
}

fn through(proxy: &Forward, server: &Server) -> Client {
    client_through(&proxy.address(), &server.base(), &server.ca_file())
}

fn says(text: &str) -> Way {
    Way::Say(text.to_owned())
}

fn told(outcome: &Outcome) -> Option<Defect> {
    outcome.dropped.as_ref().map(|dropped| dropped.defect.clone())
}

#[tokio::test]
async fn a_refresh_goes_through_the_tunnel_of_its_prepare() {
    let server = Server::start([vec![Step::Take, healthy(), Step::Take, answer("200 OK", PAIR)]]).await;
    let proxy = Forward::start(Way::Open).unwrap();
    let client = through(&proxy, &server);
    let prepared = client.prepare().await;
    assert_eq!(prepared.outcome.answer, READY);
    let refreshed = client.refresh(prepared.connection.unwrap(), &token(), None).await;
    assert!(
        matches!(refreshed.answer, Answer::Refresh(RefreshAnswer::Granted(_))),
        "{refreshed:?}"
    );
    let target = format!("127.0.0.1:{}", server.port);
    let asked = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    assert_eq!(
        proxy.asked(),
        [asked],
        "one tunnel, and nothing of ours but the server's name"
    );
}

/// `.invalid` has no address anywhere (RFC 2606 §2).
#[tokio::test]
async fn the_proxy_looks_the_name_up() {
    let server = Server::start([]).await;
    let proxy = Forward::start(says("HTTP/1.1 502 Bad Gateway\r\n\r\n")).unwrap();
    let client = client_through(&proxy.address(), "https://id.invalid", &server.ca_file());
    let outcome = client.prepare().await.outcome;
    assert_eq!(told(&outcome), Some(Defect::Proxy(ProxyFault::Status(502))));
    assert!(proxy.asked()[0].starts_with("CONNECT id.invalid:443 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn without_a_tunnel_nothing_was_sent_and_the_reason_is_told() {
    for (way, fault) in [
        (
            says("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
            ProxyFault::Credentials,
        ),
        (says("HTTP/1.0 502 Bad Gateway\r\n\r\n<html>"), ProxyFault::Status(502)),
        (
            says("HTTP/1.1 302 Found\r\nlocation: http://portal.example/\r\n\r\n"),
            ProxyFault::Status(302),
        ),
        (says(""), ProxyFault::Closed),
        (says("HTTP/1.1 200 OK\r\nvia"), ProxyFault::Closed),
        (says("220 mail.example ESMTP\r\n"), ProxyFault::NotHttp),
        (
            says(&"HTTP/1.1 102 Processing\r\n\r\n".repeat(1000)),
            ProxyFault::TooLong,
        ),
        (says("HTTP/1.1 200 OK\r\n\r\n"), ProxyFault::NoTls),
        (
            says("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n"),
            ProxyFault::NoTls,
        ),
        (says(&"HTTP/1.1 200 OK\r\nvia: ".repeat(1000)), ProxyFault::TooLong),
    ] {
        let mut server = Server::start([]).await;
        let proxy = Forward::start(way).unwrap();
        let client = through(&proxy, &server);
        let prepared = client.prepare().await;
        assert_eq!(
            prepared.outcome.answer,
            Answer::Prepare(PrepareAnswer::Failed(self::fault(FaultKind::Offline)))
        );
        assert_eq!(told(&prepared.outcome), Some(Defect::Proxy(fault)));
        assert!(prepared.connection.is_none());
        let polled = client.send(&poll()).await;
        assert_eq!(polled.answer, poll_failed(FaultKind::Offline), "{fault:?}");
        assert_eq!(told(&polled), Some(Defect::Proxy(fault)));
        assert_eq!(server.so_far(), []);
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_told() {
    let server = Server::start([]).await;
    let closed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let nobody = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    for (proxy, fault) in [
        (nobody.as_str(), ProxyFault::Refused),
        ("http://proxy.invalid:3128", ProxyFault::NoAddress),
    ] {
        let client = client_through(proxy, &server.base(), &server.ca_file());
        let polled = client.send(&poll()).await;
        assert_eq!(polled.answer, poll_failed(FaultKind::Offline));
        assert_eq!(told(&polled), Some(Defect::Proxy(fault)));
    }
}

#[tokio::test]
async fn a_proxy_that_stalls_costs_no_more_than_a_connection_may() {
    let silent = Server::start([vec![Step::Mute]]).await;
    let address = format!("http://127.0.0.1:{}", silent.port);
    let client = client_through(&address, "https://127.0.0.1:1", &silent.ca_file());
    tokio::time::pause();
    let begun = Instant::now();
    let polled = client.send(&poll()).await;
    assert_eq!(begun.elapsed().as_secs(), CONNECT.as_secs());
    assert_eq!(polled.answer, poll_failed(FaultKind::Offline));
    assert_eq!(told(&polled), Some(Defect::Proxy(ProxyFault::Silent)));
}

#[tokio::test]
async fn a_tunnel_that_breaks_leaves_a_refresh_lost_if_it_was_sent_and_else_not() {
    let mut server = Server::start([vec![Step::Take, healthy(), Step::Take, Step::Wait]]).await;
    let proxy = Forward::start(Way::Open).unwrap();
    let client = through(&proxy, &server);
    let connection = client.prepare().await.connection.unwrap();
    let refreshing = tokio::spawn({
        let client = client.clone();
        async move { client.refresh(connection, &token(), None).await.answer }
    });
    assert_eq!(server.next().await, Seen::Accepted);
    server.next_request().await;
    assert!(server.next_request().await.starts_with("POST "));
    proxy.cut();
    assert_eq!(refreshing.await.unwrap(), refresh_failed(FaultKind::Lost));

    let server = Server::start([vec![Step::Take, healthy(), Step::Take]]).await;
    let proxy = Forward::start(Way::Open).unwrap();
    let client = through(&proxy, &server);
    let connection = client.prepare().await.connection.unwrap();
    proxy.cut();
    let ended = client.refresh(connection, &token(), None).await;
    assert_eq!(ended.answer, refresh_failed(FaultKind::Offline));
}

#[tokio::test]
async fn a_certificate_behind_a_proxy_is_judged_as_without() {
    let server = Server::start([vec![]]).await;
    let another = Server::start([]).await;
    let proxy = Forward::start(Way::Open).unwrap();
    let client = client_through(&proxy.address(), &server.base(), &another.ca_file());
    let polled = client.send(&poll()).await;
    assert_eq!(polled.answer, poll_failed(FaultKind::Untrusted));
    assert_eq!(told(&polled), None);
}
