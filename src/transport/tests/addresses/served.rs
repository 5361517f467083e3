//! The same with real sockets: which address serves a request.

use super::*;

fn loopback(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// The client of `server`, whose name has these addresses and then the server's own.
fn client_among(server: &Server, others: &[SocketAddr]) -> Client {
    let client = client_of(server);
    let own = loopback(server.port);
    *lock(&client.shared.tls.addresses) = [others, &[own]].concat();
    client
}

/// Bound, so that nobody else gets the port, and not listening.
fn refusing() -> (tokio::net::TcpSocket, SocketAddr) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(loopback(0)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Takes one connection and closes it.
async fn cutting() -> SocketAddr {
    let listener = TcpListener::bind(loopback(0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { drop(listener.accept().await) });
    address
}

/// Leads to `port`, and lets no large packet pass on the way back: of the server's flight only the
/// first bytes.
async fn narrow(port: u16) -> SocketAddr {
    let listener = TcpListener::bind(loopback(0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(loopback(port)).await.unwrap();
        let (mut client_reads, mut client_writes) = client.into_split();
        let (mut server_reads, mut server_writes) = server.into_split();
        let back = tokio::spawn(async move {
            let mut start = [0; 100];
            server_reads.read_exact(&mut start).await.unwrap();
            client_writes.write_all(&start).await.unwrap();
            (server_reads, client_writes)
        });
        tokio::io::copy(&mut client_reads, &mut server_writes).await.unwrap();
        drop(back.await);
    });
    address
}

#[tokio::test]
async fn an_address_that_takes_tcp_and_stays_silent_does_not_hide_the_one_that_serves() {
    let mut silent = Server::start([vec![Step::Mute]]).await;
    let mut server = Server::start([vec![Step::Take, pending()], vec![Step::Take, pending()]]).await;
    let client = client_among(&server, &[loopback(silent.port)]);
    tokio::time::pause();
    let polling = tokio::spawn({
        let client = client.clone();
        async move { client.send(&poll()).await }
    });
    assert_eq!(silent.next().await, Seen::Accepted);
    tokio::time::advance(Duration::from_millis(3_001)).await;
    assert_eq!(polling.await.unwrap().answer, STILL_PENDING);
    assert_eq!(silent.next().await, Seen::Left);
    assert_eq!(server.next().await, Seen::Accepted);

    // No time passes any more: the one that serves is tried first.
    client.close_idle();
    assert_eq!(client.send(&poll()).await.answer, STILL_PENDING);
    assert_eq!(silent.so_far(), []);
}

#[tokio::test]
async fn a_refresh_goes_on_the_connection_of_the_address_that_was_proven() {
    let proven = vec![Step::Take, healthy(), Step::Take, answer("200 OK", PAIR)];
    let mut server = Server::start([vec![], proven]).await;
    let client = client_among(&server, &[narrow(server.port).await]);
    tokio::time::pause();
    let preparing = tokio::spawn({
        let client = client.clone();
        async move { client.prepare().await }
    });
    assert_eq!(server.next().await, Seen::Accepted);
    tokio::time::advance(Duration::from_millis(3_001)).await;
    let prepared = preparing.await.unwrap();
    assert_eq!(prepared.outcome.answer, READY);
    let outcome = client.refresh(prepared.connection.unwrap(), &token(), None).await;
    assert!(matches!(outcome.answer, Answer::Refresh(RefreshAnswer::Granted(_))));
    let accepted = server.so_far().iter().filter(|seen| **seen == Seen::Accepted).count();
    assert_eq!(accepted, 1);
}

#[tokio::test]
async fn an_address_behind_which_a_request_was_lost_comes_after_the_others() {
    let lossy = vec![Step::Take, healthy(), Step::Take, Step::Cut];
    let proven = vec![Step::Take, healthy(), Step::Take, answer("200 OK", PAIR)];
    let server = Server::start([lossy, proven]).await;
    let client = client_among(&server, &[]);
    let mut answers = Vec::new();
    for _ in 0..2 {
        let prepared = client.prepare().await;
        let outcome = client.refresh(prepared.connection.unwrap(), &token(), None).await;
        answers.push(outcome.answer);
        let own = loopback(server.port);
        let other = addresses(&["127.0.0.9:1"])[0];
        let order = lock(&client.shared.tls.memory).order([own, other]);
        let (first, _) = order.split_first().unwrap();
        assert_eq!(*first == own, answers.len() == 2);
    }
    assert_eq!(answers[0], refresh_failed(FaultKind::Lost));
    assert!(matches!(answers[1], Answer::Refresh(RefreshAnswer::Granted(_))));
}

#[tokio::test]
async fn a_request_lost_on_the_family_that_serves_does_not_put_the_silent_one_first() {
    let server = Server::start([vec![Step::Take, Step::Cut]]).await;
    let client = client_among(&server, &[]);
    let own = loopback(server.port);
    let silent = addresses(&["[::1]:1"])[0];
    let tls = &client.shared.tls;
    lock(&tls.memory).record(&ended(&[], &[("[::1]:1", true)]));
    let prepared = client.prepare().await;
    assert_eq!(
        prepared.outcome.answer,
        Answer::Prepare(PrepareAnswer::Failed(fault(FaultKind::Lost)))
    );
    assert!(lock(&tls.memory).is_doubtful(&own), "the next handshake is in full");
    assert_eq!(lock(&tls.memory).order([silent, own]), [own, silent]);
}

#[tokio::test]
async fn refused_cut_and_garbled_handshakes_lead_on_at_once() {
    let (_socket, refused) = refusing();
    let plain = Server::start([vec![Step::Plain]]).await;
    let server = Server::start([vec![Step::Take, pending()]]).await;
    let client = client_among(&server, &[refused, cutting().await, loopback(plain.port)]);
    tokio::time::pause();
    let start = Instant::now();
    assert_eq!(client.send(&poll()).await.answer, STILL_PENDING);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn an_untrusted_certificate_is_told_and_leads_on() {
    let log = Log::start();
    let stranger = Server::start([vec![]]).await;
    let server = Server::start([vec![Step::Take, pending()]]).await;
    let client = client_among(&server, &[loopback(stranger.port)]);
    assert_eq!(client.send(&poll()).await.answer, STILL_PENDING);
    let log = log.text();
    let told = log.lines().find(|line| line.contains("certificate is not trusted"));
    let told = told.unwrap_or_else(|| panic!("{log}"));
    assert!(
        told.contains("WARN") && told.contains(&stranger.port.to_string()),
        "{told}"
    );
}

#[tokio::test]
async fn where_no_address_serves_a_certificate_says_more_than_silence_and_refusal() {
    let log = Log::start();
    let (_socket, refused) = refusing();
    let silent = Server::start([vec![Step::Mute]]).await;
    let stranger = Server::start([vec![]]).await;
    let server = Server::start([]).await;
    let client = client_of(&server);
    *lock(&client.shared.tls.addresses) = vec![refused, loopback(stranger.port), loopback(silent.port)];
    tokio::time::pause();
    let polling = tokio::spawn(async move { client.send(&poll()).await });
    let mut silent = silent;
    assert_eq!(silent.next().await, Seen::Accepted);
    tokio::time::advance(Duration::from_millis(10_001)).await;
    assert_eq!(polling.await.unwrap().answer, poll_failed(FaultKind::Untrusted));
    let log = log.text();
    let told = log.lines().find(|line| line.contains("no address serves"));
    let told = told.unwrap_or_else(|| panic!("{log}"));
    for part in ["refused", "certificate", "no answer to the TLS handshake"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

/// With a ticket the handshake is short enough to pass where the answer to a refresh is not.
#[tokio::test]
async fn a_family_that_failed_proves_itself_by_a_handshake_in_full() {
    let closing = format!(
        "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{PENDING}",
        PENDING.len()
    );
    let script = vec![Step::Take, say(&closing), Step::Close];
    let mut server = Server::start(vec![script; 4]).await;
    let client = client_of(&server);
    for turn in 0..4 {
        if turn == 2 {
            lock(&client.shared.tls.memory).lost(loopback(server.port));
        }
        assert_eq!(client.send(&poll()).await.answer, STILL_PENDING);
        while server.next().await != Seen::Closed {}
    }
    let [full, resumed] = [HandshakeKind::Full, HandshakeKind::Resumed];
    assert_eq!(server.handshakes(), [full, resumed, full, resumed]);
}
