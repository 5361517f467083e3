//! Servers that send without end: each costs its limit and no more.

use super::*;

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

async fn refreshed_after(interim: String) -> Outcome {
    let script = vec![Step::Take, healthy(), Step::Take, say(&interim), answer("200 OK", PAIR)];
    let server = Server::start([script]).await;
    let client = client_of(&server);
    let prepared = client.prepare().await;
    client.refresh(prepared.connection.unwrap(), &token(), None).await
}

fn is_granted(outcome: &Outcome) -> bool {
    matches!(outcome.answer, Answer::Refresh(RefreshAnswer::Granted(_)))
}

#[tokio::test]
async fn sixteen_interim_answers_are_read_and_no_more() {
    let outcome = refreshed_after(CONTINUE.repeat(16)).await;
    assert!(is_granted(&outcome), "{outcome:?}");
    let outcome = refreshed_after(CONTINUE.repeat(17)).await;
    assert_eq!(outcome.answer, refresh_failed(FaultKind::Garbled));
    assert_eq!(
        outcome.dropped.map(|dropped| dropped.to_string()).as_deref(),
        Some("too many interim answers")
    );
}

#[tokio::test]
async fn interim_answers_have_32_kib_of_headers_at_most() {
    let hint = |bytes: usize| format!("HTTP/1.1 103 Early Hints\r\nlink: {}\r\n\r\n", "a".repeat(bytes));
    let outcome = refreshed_after(hint(15_000).repeat(2)).await;
    assert!(is_granted(&outcome), "{outcome:?}");
    let outcome = refreshed_after(hint(15_000).repeat(3)).await;
    assert_eq!(outcome.answer, refresh_failed(FaultKind::Garbled));
}

/// It ends long before the limit of the request, and the server notices.
#[tokio::test]
async fn interim_answers_without_end_are_hung_up_on() {
    let mut server = Server::start([vec![Step::Take, Step::Repeat(CONTINUE)]]).await;
    let outcome = client_of(&server).send(&poll()).await;
    assert_eq!(outcome.answer, poll_failed(FaultKind::Garbled));
    while server.next().await != Seen::Left {}
}

#[tokio::test]
async fn the_count_begins_anew_with_each_request() {
    let ten = CONTINUE.repeat(10);
    let script = vec![Step::Take, say(&ten), pending(), Step::Take, say(&ten), pending()];
    let server = Server::start([script]).await;
    let client = client_of(&server);
    for _ in 0..2 {
        assert_eq!(client.send(&poll()).await.answer, STILL_PENDING);
    }
}

fn chunked(chunks: &str) -> Step {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    say(&format!("{head}{chunks}"))
}

#[tokio::test]
async fn chunks_of_one_byte_are_put_together() {
    let padded = format!("{PAIR}{}", " ".repeat(20_000));
    let chunks: Vec<_> = padded.chars().map(|byte| format!("1\r\n{byte}\r\n")).collect();
    let chunks = chunks.concat();
    let answer = refresh_against(vec![chunked(&format!("{chunks}0\r\n\r\n"))]).await;
    assert!(matches!(answer, Answer::Refresh(RefreshAnswer::Granted(_))));
    let mut server = Server::start([vec![Step::Take, chunked(""), Step::Repeat("1\r\na\r\n")]]).await;
    let outcome = client_of(&server).send(&poll()).await;
    assert_eq!(outcome.answer, poll_failed(FaultKind::Garbled));
    assert_eq!(
        outcome.dropped.map(|dropped| dropped.to_string()).as_deref(),
        Some("status 200: too large: the body has more than 163840 bytes")
    );
    while server.next().await != Seen::Left {}
}

#[tokio::test]
async fn trailers_without_end_and_extensions_without_end_are_hung_up_on() {
    let body = format!("{:x}\r\n{PAIR}\r\n0\r\n", PAIR.len());
    for (begin, more) in [(body.as_str(), "a: b\r\n"), ("1;", "ext=1;")] {
        let mut server = Server::start([vec![Step::Take, chunked(begin), Step::Repeat(more)]]).await;
        let outcome = client_of(&server).send(&poll()).await;
        let fault = outcome.answer.fault().unwrap();
        assert!(fault.kind.ambiguous(), "{begin:.5}: {fault:?}");
        while server.next().await != Seen::Left {}
    }
}
