//! A new pairing by code whose addresses are all written still reads the server's description, if
//! there is one. Only there are some of the server's promises.
//!
//! Time is the runtime's here: it jumps to the next deadline as soon as nothing else is to be done.

use super::*;
use crate::oauth::RedirectError;

/// Its answers at the redirect name it, always (RFC 9207 §3).
pub(super) const PROMISE: Step =
    Step::Tell(r#"{"issuer":"@","token_endpoint":"@/t","authorization_response_iss_parameter_supported":true}"#);

pub(super) const STRANGER: Step =
    Step::Tell(r#"{"issuer":"@/","authorization_response_iss_parameter_supported":true}"#);

/// A flow begins, after so many seconds.
pub(super) async fn begins(client: &Client) -> u64 {
    let started = Instant::now();
    let provider = client.resolve(Kind::Authorize).await.unwrap();
    assert!(provider.missing_endpoint(Kind::Exchange).is_none());
    started.elapsed().as_secs()
}

/// True if an answer that does not name its server is taken.
pub(super) fn takes_the_nameless(client: &Client) -> bool {
    let address = "http://127.0.0.1:1/callback?code=c&state=s";
    match client.provider().redirected(address).unwrap() {
        Ok(_) => true,
        Err(RedirectError::AnotherIssuer) => false,
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_promise_is_heard_once_and_held_against_the_answer() {
    let mut server = Server::start([vec![Step::Take, PROMISE]]).await;
    let client = client(&server, written(&server));
    assert!(takes_the_nameless(&client));
    for _ in 0..2 {
        begins(&client).await;
        assert!(!takes_the_nameless(&client));
    }
    assert_eq!(asked(&mut server).1, [OPENID]);
    let token = client.provider().token_origin().cloned();
    assert_eq!(
        token,
        written(&server).token.map(|token| token.origin().clone()),
        "what is written stays"
    );
}

#[tokio::test]
async fn a_server_that_denies_s256_gets_no_new_pairing() {
    let plain = Step::Tell(r#"{"issuer":"@","code_challenge_methods_supported":["plain"]}"#);
    let server = Server::start([vec![Step::Take, plain, Step::Take, nothing_here()]]).await;
    let client = client(&server, written(&server));
    let denied = fault(FaultKind::Local(LocalFault::NoS256));
    assert_eq!(client.resolve(Kind::Authorize).await.unwrap_err().fault, denied);
    assert!(client.resolve(Kind::Exchange).await.is_ok());
}

#[tokio::test]
async fn where_nothing_is_to_be_heard_nobody_listens_twice() {
    let log = Log::start();
    let mut server = Server::start([vec![Step::Take, nothing_here(), Step::Take, nothing_here()]]).await;
    let client = client(&server, written(&server));
    for _ in 0..2 {
        begins(&client).await;
    }
    assert!(takes_the_nameless(&client));
    assert_eq!(asked(&mut server).1, [OPENID, OAUTH]);
    assert!(!log.text().contains("WARN"), "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stalls_is_waited_for_a_moment_by_each_flow() {
    let mut server = Server::start([vec![Step::Mute], vec![Step::Mute], vec![Step::Take, PROMISE]]).await;
    let client = client(&server, written(&server));
    for _ in 0..2 {
        assert_eq!(begins(&client).await, 5);
        assert!(takes_the_nameless(&client));
    }
    assert_eq!(begins(&client).await, 0);
    assert!(!takes_the_nameless(&client));
    assert_eq!(asked(&mut server).1, [OPENID]);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_stalls_leaves_time_for_the_next() {
    let server = Server::start([vec![Step::Take, Step::Wait], vec![Step::Take, PROMISE]]).await;
    let client = client(&server, written(&server));
    assert_eq!(begins(&client).await, 2);
    assert!(!takes_the_nameless(&client));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_to_be_left_alone_is() {
    let script = vec![Step::Take, busy(100), Step::Take, nothing_here(), Step::Take, PROMISE];
    let mut server = Server::start([script]).await;
    let client = client(&server, written(&server));
    begins(&client).await;
    begins(&client).await;
    assert_eq!(asked(&mut server).1, [OPENID, OAUTH]);
    tokio::time::advance(Duration::from_secs(100)).await;
    begins(&client).await;
    assert_eq!(asked(&mut server).1, [OPENID]);
    assert!(!takes_the_nameless(&client));
}

/// Whoever writes all addresses may do so because the description is not to be believed: then it
/// has no say either way.
#[tokio::test]
async fn a_description_of_another_name_is_told_and_forbids_nothing() {
    let log = Log::start();
    let once = vec![Step::Take, STRANGER, Step::Take, nothing_here()];
    let mut server = Server::start([[once.clone(), once].concat()]).await;
    let client = client(&server, written(&server));
    for _ in 0..2 {
        begins(&client).await;
        assert!(takes_the_nameless(&client));
    }
    assert_eq!(asked(&mut server).1, [OPENID, OAUTH, OPENID, OAUTH], "it may be mended");
    let log = log.text();
    assert!(
        log.contains("WARN") && log.contains("its issuer is not exactly the configured one"),
        "{log}"
    );
}

#[tokio::test]
async fn a_living_pairing_whose_addresses_are_written_asks_for_nothing() {
    let mut server = Server::start([vec![Step::Take, granted()]]).await;
    let client = client(&server, written(&server));
    assert!(is_granted(&refreshes(&client).await));
    assert_eq!(asked(&mut server).1, [TOKEN]);
}
