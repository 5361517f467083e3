//! The words for an answer that cannot be used.

use super::log::Log;
use super::*;

async fn why(steps: Vec<Step>) -> String {
    let server = Server::start([[vec![Step::Take], steps].concat()]).await;
    let outcome = client_of(&server).send(&poll()).await;
    outcome.dropped.map(|dropped| dropped.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_says_why() {
    let redirect = say("HTTP/1.1 302 Found\r\nlocation: https://h/\r\ncontent-length: 0\r\n\r\n");
    let cases = [
        (vec![redirect], "status 302: redirect"),
        (
            vec![answer("200 OK", r#"{"access_token":""}"#)],
            "status 200: no access_token",
        ),
        (vec![answer("503 Busy", "busy")], "status 503: not JSON"),
        (
            vec![say("HTTP/1.1 200 OK\r\ncontent-length: 163841\r\n\r\n")],
            "status 200: too large: the body has more than 163840 bytes",
        ),
        (vec![say("SSH-2.0-OpenSSH\r\n")], "not HTTP"),
        (vec![Step::Cut], ""),
    ];
    for (steps, wanted) in cases {
        assert_eq!(why(steps).await, wanted);
    }
}

#[tokio::test]
async fn a_tls_alert_is_named() {
    let server = Server::start([vec![Step::Alert(40)]]).await;
    let log = Log::start();
    let outcome = client_of(&server).send(&poll()).await;
    assert_eq!(outcome.answer, poll_failed(FaultKind::Offline));
    assert_eq!(
        outcome.dropped.map(|dropped| dropped.to_string()).as_deref(),
        Some("TLS alert handshake_failure")
    );
    // The entry of the request says it, so that nothing else need do.
    let log = log.text();
    assert!(log.contains("HandshakeFailure") && !log.contains("WARN"), "{log}");
}

#[tokio::test]
async fn a_server_in_trouble_says_why_it_is_busy() {
    let server = Server::start([vec![Step::Take, answer("503 Busy", "busy")]]).await;
    let outcome = client_of(&server).prepare().await.outcome;
    assert!(matches!(outcome.answer, Answer::Prepare(PrepareAnswer::Busy(_))));
    assert_eq!(
        outcome.dropped.map(|dropped| dropped.to_string()).as_deref(),
        Some("status 503: not JSON")
    );
}

#[tokio::test]
async fn a_good_answer_has_nothing_to_explain() {
    let server = Server::start([vec![Step::Take, pending()]]).await;
    assert_eq!(client_of(&server).send(&poll()).await.dropped, None);
}
