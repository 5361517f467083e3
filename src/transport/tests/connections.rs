//! Which connection a request goes on, and when one ends.

use super::*;

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
    client.shared.idle.kept().as_mut().unwrap().since = Duration::ZERO;
    assert_eq!(client.send(&poll()).await.answer, STILL_PENDING);
    let accepted = server.so_far().iter().filter(|seen| **seen == Seen::Accepted).count();
    assert_eq!(accepted, 2);
}

/// Lets so much time pass, once everything else is done.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(seconds * 1000 + 1)).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_within_31_s_of_its_last_use() {
    let mut server = Server::start([vec![Step::Take, pending(), Step::Take, pending()]]).await;
    let client = client_of(&server);
    client.send(&poll()).await;
    pass(20).await;
    tokio::time::resume();
    assert_eq!(
        client.send(&poll()).await.answer,
        STILL_PENDING,
        "its use begins the time anew"
    );
    let used = Instant::now();
    pass(29).await;
    tokio::task::yield_now().await;
    assert!(client.shared.idle.kept().is_some());
    tokio::time::advance(Duration::from_secs(1)).await;
    while server.next().await != Seen::Left {}
    assert!(used.elapsed() <= Duration::from_secs(31), "{:?}", used.elapsed());
    assert!(client.shared.idle.kept().is_none());
}

#[tokio::test]
async fn a_connection_that_a_suspend_made_old_is_closed_at_the_resume() {
    let mut server = Server::start([vec![Step::Take, pending()]]).await;
    let client = client_of(&server);
    client.send(&poll()).await;
    client.handle_clock_step();
    assert!(
        client.shared.idle.kept().is_some(),
        "a clock that was set closes nothing"
    );
    client.shared.idle.kept().as_mut().unwrap().since = Duration::ZERO;
    client.handle_clock_step();
    while server.next().await != Seen::Left {}
}

#[tokio::test]
async fn a_connection_that_nothing_follows_is_closed_at_once() {
    let denied = || answer("400 Bad Request", r#"{"error":"access_denied"}"#);
    let refused = || answer("400 Bad Request", r#"{"error":"invalid_client"}"#);
    let me = || answer("200 OK", r#"{"name":"Cam-1"}"#);
    let revoke = Request::Revoke(Revocable::Refresh(token()));
    for (request, said) in [
        (poll(), denied()),
        (poll(), refused()),
        (Request::DeviceCode, refused()),
        (identify(), me()),
        (revoke, answer("200 OK", "{}")),
    ] {
        let mut server = Server::start([vec![Step::Take, said]]).await;
        client_of(&server).send(&request).await;
        while server.next().await != Seen::Left {}
    }
    // A connection on which tokens came is used once more for devices/me.
    let mut server = Server::start([vec![Step::Take, answer("200 OK", PAIR)]]).await;
    let client = client_of(&server);
    client.send(&poll()).await;
    assert!(client.shared.idle.kept().is_some());
    client.close_idle();
    while server.next().await != Seen::Left {}
}

fn heartbeat() -> Request {
    Request::Heartbeat(AccessToken::new("AT".to_owned()))
}

fn alive() -> Step {
    say("HTTP/1.1 204 No Content\r\n\r\n")
}

const ALIVE: Answer = Answer::Probe(ProbeAnswer::Accepted(None));

#[tokio::test]
async fn heartbeats_share_a_connection_of_their_own() {
    let beats = vec![Step::Take, alive(), Step::Take, alive()];
    let mut server = Server::start([vec![Step::Take, pending()], beats]).await;
    let client = client_of(&server);
    client.send(&poll()).await;
    assert_eq!(client.send(&heartbeat()).await.answer, ALIVE);
    assert!(client.shared.idle.kept().is_some(), "it is not the polls'");
    assert_eq!(client.send(&heartbeat()).await.answer, ALIVE);
    let accepted = server.so_far().iter().filter(|seen| **seen == Seen::Accepted).count();
    assert_eq!(accepted, 2);
    client
        .send(&Request::Revoke(Revocable::Access(AccessToken::new("AT".to_owned()))))
        .await;
    assert!(client.shared.beat.kept().is_none(), "after an end there is no beat");
}

#[tokio::test]
async fn a_heartbeat_whose_connection_has_ended_is_sent_anew_at_once() {
    for farewell in [Step::Close, Step::Cut] {
        let ends = vec![Step::Take, alive(), farewell];
        let mut server = Server::start([ends, vec![Step::Take, alive()]]).await;
        let client = client_of(&server);
        client.send(&heartbeat()).await;
        while server.next().await != Seen::Closed {}
        assert_eq!(client.send(&heartbeat()).await.answer, ALIVE);
    }
}

/// A middlebox that forgets silent connections: the first beat into one is lost, and no other.
#[tokio::test]
async fn a_connection_that_died_without_a_word_is_the_last_that_is_kept_for_a_beat() {
    let forgotten = vec![Step::Take, alive(), Step::Take, Step::Cut];
    let one = || vec![Step::Take, alive()];
    let server = Server::start([forgotten, one(), one()]).await;
    let client = client_of(&server);
    for _ in 0..3 {
        assert_eq!(client.send(&heartbeat()).await.answer, ALIVE);
    }
    assert!(client.shared.beat.kept().is_none());
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
    let outcome = client.refresh(prepared.connection.unwrap(), &token(), None).await;
    assert!(matches!(outcome.answer, Answer::Refresh(RefreshAnswer::Granted(_))));
    let outcome = client.send(&identify()).await;
    assert!(matches!(outcome.answer, Answer::Probe(ProbeAnswer::Accepted(Some(_)))));

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
    let outcome = client.refresh(prepared.connection.unwrap(), &token(), None).await;
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
    let outcome = client.refresh(prepared.connection.unwrap(), &token(), None).await;
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
