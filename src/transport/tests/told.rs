//! The traces of a request: for the core, for the server, in the journal.

use super::log::Log;
use super::*;

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

#[tokio::test]
async fn no_secret_reaches_the_log_at_any_level() {
    let log = Log::start();
    let refreshed = vec![Step::Take, healthy(), Step::Take, answer("200 OK", PAIR)];
    let lost = vec![Step::Take, say("canary-garbage\r\n\r\n")];
    let server = Server::start([refreshed, lost]).await;
    let client = client_of(&server);
    let prepared = client.prepare().await;
    let outcome = client.refresh(prepared.connection.unwrap(), &token(), None).await;
    assert!(!format!("{outcome:?}").contains("canary"));
    client.close_idle();
    client.send(&identify()).await;

    let log = log.text();
    assert!(
        log.contains("/v2/auth/token") && log.contains("/v2/devices/me"),
        "{log}"
    );
    assert!(!log.contains("canary"), "{log}");
}

#[tokio::test]
async fn a_proof_that_comes_from_a_cache_is_one_and_tells_no_time() {
    let dated = |age: &str| {
        say(&format!(
            "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n{age}content-length: 2\r\n\r\n{{}}"
        ))
    };
    for (age, date) in [
        ("", Some(WallTime::from_secs(784_111_777))),
        ("age: 0\r\n", None),
        ("age: 3600\r\n", None),
    ] {
        let mut server = Server::start([vec![Step::Take, dated(age)]]).await;
        let prepared = client_of(&server).prepare().await;
        assert_eq!(prepared.outcome.answer, Answer::Prepare(PrepareAnswer::Ready), "{age}");
        assert_eq!(prepared.outcome.date, date, "{age}");
        assert_eq!(server.next().await, Seen::Accepted);
        let Seen::Request(text) = server.next().await else {
            panic!("no request")
        };
        assert!(text.contains("\r\ncache-control: no-cache\r\n"), "{text}");
    }
}
