//! A revocation whose address no place tells: when that is final, and what it leaves untouched.

use super::promise::{PROMISE, STRANGER, begins, takes_the_nameless};
use super::*;

/// The answers that a place may give for a moment, each with its fault.
fn nothing_fit() -> [(Step, FaultKind); 3] {
    let page = say("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>");
    [
        (nothing_here(), FaultKind::Refused),
        (page, FaultKind::Refused),
        (STRANGER, FaultKind::Local(LocalFault::AnotherIssuer)),
    ]
}

fn failed(kind: FaultKind) -> Answer {
    Answer::Revoke(RevokeAnswer::Failed(fault(kind)))
}

#[tokio::test]
async fn a_server_that_described_itself_before_is_asked_again() {
    for (step, kind) in nothing_fit() {
        let moment = vec![Step::Take, LEAST, Step::Take, step.clone(), Step::Take, step];
        let later = vec![Step::Take, WHOLE, Step::Take, answer("200 OK", "")];
        let mut server = Server::start([moment, later]).await;
        let client = client(&server, Endpoints::default());
        assert!(client.resolve(Kind::Poll).await.is_ok());
        assert_eq!(client.send(&revoke()).await.answer, failed(kind));
        assert!(client.provider().missing_endpoint(Kind::Refresh).is_none());
        assert_eq!(client.send(&revoke()).await.answer, Answer::Revoke(RevokeAnswer::Done));
        assert_eq!(asked(&mut server).1.len(), 5);
    }
}

#[tokio::test]
async fn one_place_that_tells_makes_the_silence_of_the_others_final() {
    for (step, _) in nothing_fit() {
        let mut server = Server::start([vec![Step::Take, LEAST, Step::Take, step]]).await;
        let client = client(&server, Endpoints::default());
        for _ in 0..2 {
            assert_eq!(
                client.send(&revoke()).await.answer,
                Answer::Revoke(RevokeAnswer::Refused)
            );
        }
        assert_eq!(asked(&mut server).1, [OPENID, OAUTH]);
    }
}

#[tokio::test]
async fn a_description_that_is_not_to_be_believed_ends_neither_the_revocation_nor_the_listening() {
    for (step, kind) in nothing_fit().into_iter().skip(1) {
        let moment = vec![Step::Take, step, Step::Take, nothing_here()];
        let server = Server::start([moment, vec![Step::Take, PROMISE]]).await;
        let client = client(&server, written(&server));
        assert_eq!(client.send(&revoke()).await.answer, failed(kind));
        begins(&client).await;
        assert!(!takes_the_nameless(&client), "its promise was heard");
    }
}

#[tokio::test]
async fn what_others_learned_meanwhile_is_kept() {
    let silent = vec![Step::Take, Step::Wait, nothing_here(), Step::Take, nothing_here()];
    let mut server = Server::start([silent, vec![Step::Take, PROMISE]]).await;
    let client = client(&server, written(&server));
    let revoking = tokio::spawn({
        let client = client.clone();
        async move { client.send(&revoke()).await.answer }
    });
    assert_eq!(server.next().await, Seen::Accepted);
    assert_eq!(server.next_request().await, OPENID);
    begins(&client).await;
    assert!(!takes_the_nameless(&client));
    server.go_on();
    assert_eq!(revoking.await.unwrap(), failed(FaultKind::Refused));
    assert!(!takes_the_nameless(&client));
}

#[tokio::test]
async fn a_server_that_seems_to_have_moved_still_does() {
    let moved = vec![Step::Take, LEAST, Step::Take, nothing_here()];
    let silent = vec![Step::Take, nothing_here(), Step::Take, nothing_here()];
    let mut server = Server::start([moved, silent, vec![Step::Take, LEAST]]).await;
    let client = client(&server, Endpoints::default());
    assert_eq!(refreshes(&client).await, refresh_failed(FaultKind::Refused));
    client.close_idle();
    assert_eq!(client.send(&revoke()).await.answer, failed(FaultKind::Refused));
    server.so_far();
    assert_eq!(client.prepare().await.outcome.answer, READY);
    assert_eq!(asked(&mut server).1, [OPENID]);
}
