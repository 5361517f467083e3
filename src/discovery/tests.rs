//! A server that describes itself, or fails to, and what a pairing that lives has to do with it.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod again;
mod exhausted;
mod model;
mod nowhere;
mod patience;
mod promise;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::oauth::{ClientAuth, Endpoint, Endpoints, Issuer, Kind, OauthCode, Provider, RedirectUri, ServerSettings};
use crate::transport::tests::log::Log;
use crate::transport::tests::server::{Seen, Server, Step};
use crate::transport::tests::{READY, answer, fault, poll, poll_failed, refresh_failed, say, token};
use crate::transport::{CONNECT, FloorClock, TlsSettings, Ways};
use c2c_auth_core::{
    Answer, Fault, FaultKind, LocalFault, PrepareAnswer, RefreshAnswer, Request, Revocable, RevokeAnswer, WallTime,
};

const OPENID: &str = "GET /.well-known/openid-configuration HTTP/1.1";
const OAUTH: &str = "GET /.well-known/oauth-authorization-server HTTP/1.1";
const TOKEN: &str = "POST /token HTTP/1.1";

/// All that a refresh needs.
const LEAST: Step = Step::Tell(r#"{"issuer":"@","token_endpoint":"@/token"}"#);

const WHOLE: Step = Step::Tell(
    r#"{"issuer":"@","token_endpoint":"@/token","authorization_endpoint":"@/a","revocation_endpoint":"@/revoke"}"#,
);

fn nothing_here() -> Step {
    answer("404 Not Found", "{}")
}

fn granted() -> Step {
    answer(
        "200 OK",
        r#"{"access_token":"canary-new-access","token_type":"Bearer"}"#,
    )
}

/// A client of the code grant that knows its server by name, and `written` of its addresses.
fn client(server: &Server, written: Endpoints) -> Client {
    let settings = ServerSettings {
        client_id: "c".to_owned(),
        client_secret: None,
        auth: ClientAuth::None,
        scope: None,
        issuer: Some(Issuer::parse(&server.base()).unwrap()),
        endpoints: written,
        ..ServerSettings::default()
    };
    let provider = OauthCode::new(settings, RedirectUri::parse("http://127.0.0.1/callback").unwrap());
    let tls = TlsSettings {
        ca_file: Some(server.ca_file()),
        clock: Arc::new(FloorClock::new(WallTime::default())),
        ways: Ways::default(),
    };
    Client::new(Arc::new(Provider::OauthCode(provider)), tls).unwrap()
}

impl Client {
    fn close_idle(&self) {
        self.http.close_idle();
    }
}

/// The written addresses that a new pairing by code needs, and none for revocations.
fn written(server: &Server) -> Endpoints {
    let at = |path: &str| Some(Endpoint::parse(&format!("{}{path}", server.base())).unwrap());
    Endpoints {
        token: at("/token"),
        authorization: at("/a"),
        ..Endpoints::default()
    }
}

fn busy(seconds: u64) -> Step {
    say(&format!(
        "HTTP/1.1 503 Busy\r\nretry-after: {seconds}\r\ncontent-length: 0\r\n\r\n"
    ))
}

fn revoke() -> Request {
    Request::Revoke(Revocable::Refresh(token()))
}

async fn refreshes(client: &Client) -> Answer {
    let prepared = client.prepare().await;
    assert_eq!(prepared.outcome.answer, READY);
    client
        .refresh(prepared.connection.unwrap(), &token(), None)
        .await
        .answer
}

fn is_granted(answer: &Answer) -> bool {
    matches!(answer, Answer::Refresh(RefreshAnswer::Granted(_)))
}

/// The first lines of all requests so far, and how many connections they came on.
fn asked(server: &mut Server) -> (usize, Vec<String>) {
    let (mut connections, mut lines) = (0, Vec::new());
    for seen in server.so_far() {
        match seen {
            Seen::Accepted => connections += 1,
            Seen::Request(text) => lines.push(text.lines().next().unwrap_or_default().to_owned()),
            Seen::Closed | Seen::Left => {}
        }
    }
    (connections, lines)
}

#[tokio::test]
async fn a_refresh_needs_the_token_endpoint_and_nothing_else_of_a_description() {
    for document in [
        LEAST,
        Step::Tell(r#"{"issuer":"@","token_endpoint":"@/token","revocation_endpoint":"http://clear.example/"}"#),
        Step::Tell(r#"{"issuer":"@","token_endpoint":"@/token","authorization_endpoint":7}"#),
        Step::Tell(r#"{"issuer":"@","token_endpoint":"@/token","code_challenge_methods_supported":["plain"]}"#),
    ] {
        let mut server = Server::start([vec![Step::Take, document, Step::Take, granted()]]).await;
        let client = client(&server, Endpoints::default());
        assert!(is_granted(&refreshes(&client).await));
        let (connections, lines) = asked(&mut server);
        assert_eq!(lines, [OPENID, TOKEN]);
        assert_eq!(
            connections, 1,
            "the description came on the connection that the refresh goes on"
        );
    }
}

#[tokio::test]
async fn a_new_pairing_needs_what_a_refresh_does_not() {
    let plain = Step::Tell(
        r#"{"issuer":"@","token_endpoint":"@/token","authorization_endpoint":"@/a",
            "code_challenge_methods_supported":["plain"]}"#,
    );
    let local = |why| fault(FaultKind::Local(why));
    for (document, why) in [
        (LEAST, local(LocalFault::NoEndpoint)),
        (plain, local(LocalFault::NoS256)),
    ] {
        let server = Server::start([vec![Step::Take, document, Step::Take, nothing_here()]]).await;
        let client = client(&server, Endpoints::default());
        assert_eq!(client.resolve(Kind::Authorize).await.unwrap_err().fault, why);
        assert!(client.resolve(Kind::Prepare).await.is_ok(), "what was learned is kept");
    }
}

#[tokio::test]
async fn a_server_of_another_name_is_told_as_what_it_is() {
    let stranger = Step::Tell(r#"{"issuer":"@/","token_endpoint":"@/token","authorization_endpoint":"@/a"}"#);
    let server = Server::start([vec![Step::Take, stranger, Step::Take, nothing_here()]]).await;
    assert_eq!(
        client(&server, Endpoints::default())
            .resolve(Kind::Authorize)
            .await
            .unwrap_err()
            .fault,
        fault(FaultKind::Local(LocalFault::AnotherIssuer))
    );
}

#[tokio::test]
async fn a_place_without_a_description_is_not_asked_again() {
    let script = vec![Step::Take, nothing_here(), Step::Take, LEAST, Step::Take, WHOLE];
    let mut server = Server::start([script]).await;
    let client = client(&server, Endpoints::default());
    assert!(client.resolve(Kind::Poll).await.is_ok());
    // Now for an address that was not told.
    assert!(client.resolve(Kind::Authorize).await.is_ok());
    assert_eq!(asked(&mut server), (1, vec![OPENID.into(), OAUTH.into(), OAUTH.into()]));
}

#[tokio::test]
async fn a_place_that_fails_does_not_hide_the_other() {
    for broken in [
        vec![Step::Take, Step::Cut],
        vec![Step::Take, say("HTTP/1.1 what is this\r\n\r\n")],
        vec![Step::Take, answer("503 Service Unavailable", ""), Step::Close],
    ] {
        let mut server = Server::start([broken, vec![Step::Take, LEAST, Step::Take, granted()]]).await;
        let client = client(&server, Endpoints::default());
        assert!(is_granted(&refreshes(&client).await));
        assert_eq!(asked(&mut server), (2, vec![OPENID.into(), OAUTH.into(), TOKEN.into()]));
    }
}

/// Time is the runtime's here: it jumps to the next deadline as soon as nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn a_place_that_stalls_takes_no_time_from_the_refresh() {
    let server = Server::start([
        vec![Step::Take, Step::Wait],
        vec![Step::Take, LEAST, Step::Take, granted()],
    ])
    .await;
    let client = client(&server, Endpoints::default());
    let started = Instant::now();
    assert!(is_granted(&refreshes(&client).await));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_servers_wish_to_be_left_alone_is_passed_on() {
    let server = Server::start([vec![Step::Take, busy(70), Step::Take, nothing_here()]]).await;
    let wanted = Fault {
        kind: FaultKind::Refused,
        retry_after: Some(Duration::from_secs(70)),
    };
    let answer = client(&server, Endpoints::default()).prepare().await.outcome.answer;
    assert_eq!(answer, Answer::Prepare(PrepareAnswer::Failed(wanted)));
}

#[tokio::test]
async fn what_was_learned_serves_until_a_server_that_seems_to_have_moved_says_where() {
    let gone = answer("404 Not Found", "");
    let broken = answer("500 Internal Server Error", "");
    let script = vec![Step::Take, LEAST, Step::Take, gone];
    let again = vec![Step::Take, broken.clone(), Step::Take, broken];
    let server = Server::start([script, again, vec![Step::Take, granted()]]).await;
    let client = client(&server, Endpoints::default());
    assert_eq!(refreshes(&client).await, refresh_failed(FaultKind::Refused));
    client.close_idle();
    let prepared = client.prepare().await;
    assert_eq!(prepared.outcome.answer, READY);
}

#[tokio::test]
async fn a_refresh_whose_endpoint_is_not_known_any_more_was_not_sent() {
    let server = Server::start([vec![Step::Take, LEAST]]).await;
    let client = client(&server, Endpoints::default());
    let on = client.prepare().await.connection.unwrap();
    client.discovery().forget();
    assert_eq!(
        client.refresh(on, &token(), None).await.answer,
        refresh_failed(FaultKind::Offline),
        "a refusal would count as a send"
    );
}

#[tokio::test]
async fn one_wrong_answer_does_not_rule_out_the_right_place() {
    let denied = || answer("403 Forbidden", "");
    let first = vec![Step::Take, nothing_here(), Step::Take, denied()];
    let second = vec![Step::Take, denied(), Step::Take, LEAST, Step::Take, granted()];
    let server = Server::start([first, second]).await;
    let client = client(&server, Endpoints::default());
    assert!(client.prepare().await.connection.is_none());
    assert!(is_granted(&refreshes(&client).await));
}

#[tokio::test]
async fn a_revocation_endpoint_is_looked_for_beside_addresses_that_are_written() {
    let mut server = Server::start([vec![Step::Take, WHOLE, Step::Take, answer("200 OK", "")]]).await;
    let answered = client(&server, written(&server)).send(&revoke()).await.answer;
    assert_eq!(answered, Answer::Revoke(RevokeAnswer::Done));
    assert_eq!(asked(&mut server).1, [OPENID, "POST /revoke HTTP/1.1"]);

    // OpenID Connect's document has no such member: then RFC 8414's may have it.
    let documents = vec![Step::Take, LEAST, Step::Take, WHOLE, Step::Take, answer("200 OK", "")];
    let mut server = Server::start([documents]).await;
    let answered = client(&server, written(&server)).send(&revoke()).await.answer;
    assert_eq!(answered, Answer::Revoke(RevokeAnswer::Done));
    assert_eq!(asked(&mut server).1, [OPENID, OAUTH, "POST /revoke HTTP/1.1"]);

    // None there: nothing to be tried for ever, and nothing to be asked again.
    for documents in [
        vec![Step::Take, LEAST, Step::Take, nothing_here()],
        vec![Step::Take, nothing_here(), Step::Take, nothing_here()],
    ] {
        let mut server = Server::start([documents]).await;
        let client = client(&server, written(&server));
        for _ in 0..2 {
            assert_eq!(
                client.send(&revoke()).await.answer,
                Answer::Revoke(RevokeAnswer::Refused)
            );
        }
        assert!(asked(&mut server).1.len() <= 2);
    }

    // An outage says nothing.
    let busy = answer("503 Service Unavailable", "");
    let server = Server::start([vec![Step::Take, busy, Step::Take, nothing_here()]]).await;
    let answered = client(&server, written(&server)).send(&revoke()).await.answer;
    assert_eq!(
        answered,
        Answer::Revoke(RevokeAnswer::Failed(fault(FaultKind::Refused)))
    );
}
