//! Every wait has its limit.

use super::*;

/// Lets the limit pass once nothing else can happen any more. Time stands still from then on, so
/// that `elapsed` can be told to the millisecond without waiting.
async fn pass(seconds: u64) {
    tokio::time::pause();
    // tokio's timers round up to the next millisecond, and the limit may have begun in the present
    // one.
    tokio::time::advance(Duration::from_millis(seconds * 1000 + 1)).await;
}

#[tokio::test]
async fn a_stalled_refresh_outlives_the_servers_own_limit_and_is_then_lost() {
    for patience in [None, Some(Duration::from_mins(1))] {
        stalls(patience, 35).await;
    }
}

#[tokio::test]
async fn a_refresh_that_another_is_to_follow_is_given_up_in_time_for_it() {
    stalls(Some(Duration::from_secs(5)), 5).await;
}

async fn stalls(patience: Option<Duration>, limit: u64) {
    let mut server = Server::start([vec![Step::Take, healthy(), Step::Take]]).await;
    let client = client_of(&server);
    let prepared = client.prepare().await;
    let connection = prepared.connection.unwrap();
    let mut refreshing = tokio::spawn(async move { client.refresh(connection, &token(), patience).await });
    assert_eq!(server.next().await, Seen::Accepted);
    server.next_request().await;
    server.next_request().await;
    pass(limit - 1).await;
    let early =
        std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut refreshing).poll(cx).is_ready()));
    assert!(!early.await);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(refreshing.await.unwrap().answer, refresh_failed(FaultKind::Lost));
    tokio::time::resume();
}

#[tokio::test]
async fn nothing_of_a_refresh_that_was_given_up_arrives_any_more() {
    let mut server = Server::start([vec![Step::Take, healthy(), Step::Wait, Step::Take]]).await;
    let client = client_of(&server);
    let connection = client.prepare().await.connection.unwrap();
    assert_eq!(server.next().await, Seen::Accepted);
    server.next_request().await;
    tokio::time::pause();
    let long = RefreshToken::new("r".repeat(32 * 1024));
    assert_eq!(
        client.refresh(connection, &long, None).await.answer,
        refresh_failed(FaultKind::Lost)
    );
    server.go_on();
    assert!(server.next().await == Seen::Left, "the rest of it arrived");
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
    let failed = Answer::Probe(ProbeAnswer::Failed(fault(FaultKind::Lost)));
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

thread_local! {
    static SLEPT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// A boot clock that stands still, but for what a test lets the system sleep.
fn boot_clock() -> Duration {
    Duration::from_secs(1_000_000 + SLEPT.get())
}

#[tokio::test]
async fn what_is_over_at_the_resume_ends_at_once_as_lost() {
    let mut server = Server::start([vec![Step::Take], vec![Step::Mute]]).await;
    let client = client_of(&server).with_clock(boot_clock);
    for (slept, kind) in [(16, FaultKind::Lost), (11, FaultKind::Offline)] {
        let sending = tokio::spawn({
            let client = client.clone();
            async move { client.send(&identify()).await }
        });
        assert_eq!(server.next().await, Seen::Accepted);
        if kind == FaultKind::Lost {
            server.next_request().await;
        }
        // A clock that was set, and a short sleep, end nothing.
        client.handle_clock_step();
        SLEPT.set(SLEPT.get() + 5);
        client.handle_clock_step();
        tokio::task::yield_now().await;
        assert!(!sending.is_finished());
        SLEPT.set(SLEPT.get() + slept);
        client.handle_clock_step();
        let failed = Answer::Probe(ProbeAnswer::Failed(fault(kind)));
        assert_eq!(sending.await.unwrap().answer, failed);
        assert_eq!(server.next().await, Seen::Left);
    }
}

#[tokio::test]
async fn an_answer_with_a_pair_is_waited_for_after_a_resume() {
    let script = vec![Step::Take, healthy(), Step::Take, Step::Wait, answer("200 OK", PAIR)];
    let mut server = Server::start([script]).await;
    let client = client_of(&server).with_clock(boot_clock);
    let connection = client.prepare().await.connection.unwrap();
    let mut refreshing = tokio::spawn({
        let client = client.clone();
        async move { client.refresh(connection, &token(), None).await }
    });
    assert_eq!(server.next().await, Seen::Accepted);
    server.next_request().await;
    server.next_request().await;
    // The second sleep begins while the first is made up for.
    for slept in [3600, 60] {
        SLEPT.set(SLEPT.get() + slept);
        client.handle_clock_step();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!refreshing.is_finished());
    }
    server.go_on();
    let answer = (&mut refreshing).await.unwrap().answer;
    assert!(
        matches!(answer, Answer::Refresh(RefreshAnswer::Granted(_))),
        "{answer:?}"
    );
}

#[tokio::test]
async fn what_may_bring_a_pair_has_the_rest_of_its_limit_and_ten_seconds_after_a_resume() {
    for (awake, more) in [(0, 35), (20, 15), (30, 10)] {
        let mut server = Server::start([vec![Step::Take, Step::Wait]]).await;
        let client = client_of(&server).with_clock(boot_clock);
        let polling = tokio::spawn({
            let client = client.clone();
            async move { client.send(&poll()).await }
        });
        assert_eq!(server.next().await, Seen::Accepted);
        server.next_request().await;
        pass(awake).await;
        SLEPT.set(SLEPT.get() + 3600);
        client.handle_clock_step();
        let resumed = Instant::now();
        assert_eq!(polling.await.unwrap().answer, poll_failed(FaultKind::Lost));
        let waited = resumed.elapsed();
        // The limit began a moment before the server saw the request.
        let left = Duration::from_secs(more);
        assert!(waited.abs_diff(left) < Duration::from_secs(2), "{awake}: {waited:?}");
        tokio::time::resume();
    }
}

#[test]
fn a_body_takes_memory_as_it_arrives() {
    let mut whole = zeroize::Zeroizing::new(Vec::new());
    let mut expected = Vec::new();
    for (length, byte) in [(10, b'a'), (1, b'b'), (0, b'c'), (40_000, b'd'), (9, b'e')] {
        let data = vec![byte; length];
        connection::append(&mut whole, &data);
        expected.extend_from_slice(&data);
        assert!(whole.capacity() <= 2 * expected.len().max(10), "{}", whole.capacity());
    }
    assert_eq!(*whole, expected);
}
