//! A server that seems to have moved is asked where to, at the pace of one who can do without the
//! answer.
//!
//! Time is the runtime's here: it jumps to the next deadline as soon as nothing else is to be done.

use super::*;

fn gone() -> Step {
    answer("404 Not Found", "")
}

/// A server that told where its token endpoint is, and then had nothing there. Its next answers are
/// those of `then`.
async fn moved(then: impl IntoIterator<Item = Vec<Step>>) -> (Server, Client) {
    let mut scripts = vec![vec![Step::Take, LEAST, Step::Take, gone()]];
    scripts.extend(then);
    let mut server = Server::start(scripts).await;
    let client = client(&server, Endpoints::default());
    assert_eq!(refreshes(&client).await, refresh_failed(FaultKind::Refused));
    client.close_idle();
    server.so_far();
    (server, client)
}

/// How many seconds it takes until a refresh could go out.
async fn readies(client: &Client) -> u64 {
    let started = Instant::now();
    assert_eq!(client.prepare().await.outcome.answer, READY);
    started.elapsed().as_secs()
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn one_request_in_a_minute_waits_for_it_five_seconds_at_most() {
    let there = vec![Step::Take, LEAST];
    let (mut server, client) = moved([vec![Step::Mute], vec![], vec![], vec![], there]).await;
    assert_eq!(readies(&client).await, 5);
    assert_eq!(readies(&client).await, 0);
    pass(54).await;
    assert_eq!(readies(&client).await, 0, "a minute from when it was asked");
    assert_eq!(asked(&mut server), (4, vec![]));
    pass(1).await;
    assert_eq!(readies(&client).await, 0);
    assert_eq!(asked(&mut server), (1, vec![OPENID.into()]));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_the_one_that_asks() {
    let (_server, client) = moved([vec![Step::Mute], vec![], vec![]]).await;
    assert_eq!(tokio::join!(readies(&client), readies(&client)), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_be_left_alone_is_kept_to_where_what_is_known_suffices() {
    let wish = vec![Step::Take, busy(600), Step::Take, nothing_here()];
    let (mut server, client) = moved([wish, vec![], vec![Step::Take, LEAST]]).await;
    assert_eq!(readies(&client).await, 0);
    assert_eq!(asked(&mut server).1, [OPENID, OAUTH]);
    pass(599).await;
    assert_eq!(readies(&client).await, 0);
    assert_eq!(asked(&mut server), (1, vec![]));
    pass(1).await;
    assert_eq!(readies(&client).await, 0);
    assert_eq!(asked(&mut server).1, [OPENID]);
}

#[tokio::test(start_paused = true)]
async fn a_description_that_leads_nowhere_once_more_is_not_asked_for_with_every_request() {
    let same = vec![Step::Take, LEAST, Step::Take, gone()];
    let (mut server, client) = moved([same.clone(), vec![Step::Take, gone()], same]).await;
    assert_eq!(refreshes(&client).await, refresh_failed(FaultKind::Refused));
    client.close_idle();
    assert_eq!(refreshes(&client).await, refresh_failed(FaultKind::Refused));
    assert_eq!(asked(&mut server), (2, vec![OPENID.into(), TOKEN.into(), TOKEN.into()]));
    pass(60).await;
    client.close_idle();
    assert_eq!(refreshes(&client).await, refresh_failed(FaultKind::Refused));
    assert_eq!(asked(&mut server).1, [OPENID, TOKEN]);
}

#[tokio::test]
async fn an_address_that_is_written_and_leads_nowhere_is_nothing_to_ask_about() {
    let learns = vec![Step::Take, WHOLE, Step::Take, answer("200 OK", "")];
    let mut server = Server::start([learns, vec![Step::Take, gone()], vec![]]).await;
    let client = client(&server, written(&server));
    assert_eq!(client.send(&revoke()).await.answer, Answer::Revoke(RevokeAnswer::Done));
    server.so_far();
    assert_eq!(refreshes(&client).await, refresh_failed(FaultKind::Refused));
    client.close_idle();
    assert_eq!(client.prepare().await.outcome.answer, READY);
    assert_eq!(asked(&mut server), (2, vec![TOKEN.into()]));
}

#[tokio::test]
async fn one_that_was_told_beside_it_is() {
    const REVOKE: &str = "POST /revoke HTTP/1.1";
    let nowhere = vec![Step::Take, WHOLE, Step::Take, gone()];
    let there = vec![Step::Take, WHOLE, Step::Take, answer("200 OK", "")];
    let mut server = Server::start([nowhere, there]).await;
    let client = client(&server, written(&server));
    let failed = RevokeAnswer::Failed(fault(FaultKind::Refused));
    assert_eq!(client.send(&revoke()).await.answer, Answer::Revoke(failed));
    assert_eq!(client.send(&revoke()).await.answer, Answer::Revoke(RevokeAnswer::Done));
    assert_eq!(asked(&mut server).1, [OPENID, REVOKE, OPENID, REVOKE]);
}

#[tokio::test]
async fn whoever_has_its_own_address_in_writing_does_not_ask_where_another_went() {
    const REVOKE: &str = "POST /revoke HTTP/1.1";
    let nowhere = vec![Step::Take, WHOLE, Step::Take, gone()];
    let there = vec![Step::Take, WHOLE, Step::Take, answer("200 OK", "")];
    let mut server = Server::start([nowhere, vec![], there]).await;
    let client = client(&server, written(&server));
    let failed = RevokeAnswer::Failed(fault(FaultKind::Refused));
    assert_eq!(client.send(&revoke()).await.answer, Answer::Revoke(failed));
    server.so_far();
    assert_eq!(client.prepare().await.outcome.answer, READY);
    assert_eq!(asked(&mut server), (1, vec![]));
    // The minute's one question is left to who needs the answer.
    assert_eq!(client.send(&revoke()).await.answer, Answer::Revoke(RevokeAnswer::Done));
    assert_eq!(asked(&mut server).1, [OPENID, REVOKE]);
}

#[tokio::test]
async fn a_browser_is_not_sent_to_where_a_server_was() {
    const MOVED: Step = Step::Tell(r#"{"issuer":"@","token_endpoint":"@/token","authorization_endpoint":"@/b"}"#);
    let nowhere = vec![Step::Take, WHOLE, Step::Take, gone()];
    let server = Server::start([nowhere, vec![Step::Take, MOVED]]).await;
    let client = client(&server, Endpoints::default());
    assert_eq!(refreshes(&client).await, refresh_failed(FaultKind::Refused));
    client.close_idle();
    let Provider::OauthCode(provider) = &*client.resolve(Kind::Authorize).await.unwrap() else {
        panic!()
    };
    let uri = provider.authorization(provider.redirect_uri(), "s", "v").unwrap();
    assert!(uri.contains("/b?response_type=code"), "{}", uri.as_str());
}

/// A refresh finds nothing, and the next request asks for the description: no wish is in its way.
async fn asks_again_at_once(server: &mut Server, client: &Client) {
    assert_eq!(refreshes(client).await, refresh_failed(FaultKind::Refused));
    client.close_idle();
    server.so_far();
    readies(client).await;
    assert_eq!(asked(server).1, [OPENID]);
}

#[tokio::test]
async fn a_wish_of_one_place_is_none_where_another_tells() {
    let tells = vec![Step::Take, busy(86_400), Step::Take, LEAST, Step::Take, gone()];
    let mut server = Server::start([tells, vec![Step::Take, LEAST]]).await;
    let client = client(&server, Endpoints::default());
    asks_again_at_once(&mut server, &client).await;
}

#[tokio::test]
async fn a_wish_ends_with_the_description() {
    let wish = vec![Step::Take, busy(86_400), Step::Take, nothing_here()];
    let tells = vec![Step::Take, LEAST, Step::Take, gone()];
    let mut server = Server::start([wish, tells, vec![Step::Take, LEAST]]).await;
    let client = client(&server, Endpoints::default());
    assert!(client.prepare().await.connection.is_none());
    asks_again_at_once(&mut server, &client).await;
}

#[tokio::test]
async fn a_server_seems_to_have_moved_by_these_statuses() {
    for (status, again) in [
        ("301 Moved Permanently", true),
        ("302 Found", true),
        ("303 See Other", true),
        ("307 Temporary Redirect", true),
        ("308 Permanent Redirect", true),
        ("404 Not Found", true),
        ("405 Method Not Allowed", true),
        ("410 Gone", true),
        ("400 Bad Request", false),
        ("403 Forbidden", false),
        ("503 Service Unavailable", false),
    ] {
        let nowhere = vec![Step::Take, LEAST, Step::Take, answer(status, "")];
        let mut server = Server::start([nowhere, vec![Step::Take, LEAST]]).await;
        let client = client(&server, Endpoints::default());
        assert_eq!(refreshes(&client).await, refresh_failed(FaultKind::Refused));
        client.close_idle();
        server.so_far();
        readies(&client).await;
        assert_eq!(asked(&mut server).1.len(), usize::from(again), "{status}");
    }
}
