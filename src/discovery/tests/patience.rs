//! How long a request waits for an address, and what cuts that short.

use super::*;

/// Time is the runtime's here: it jumps to the next deadline as soon as nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn a_revocation_waits_five_seconds_for_its_address_and_a_refresh_longer() {
    let server = Server::start([vec![Step::Mute], vec![Step::Mute]]).await;
    let client = client(&server, Endpoints::default());
    let started = Instant::now();
    let failed = RevokeAnswer::Failed(fault(FaultKind::Offline));
    assert_eq!(client.send(&revoke()).await.answer, Answer::Revoke(failed));
    assert_eq!(started.elapsed().as_secs(), 5, "a new pairing may wait for it");
    let failed = PrepareAnswer::Failed(fault(FaultKind::Offline));
    assert_eq!(client.prepare().await.outcome.answer, Answer::Prepare(failed));
    assert_eq!(started.elapsed().as_secs(), 5 + CONNECT.as_secs());
}

#[tokio::test]
async fn the_end_cuts_a_discovery_and_lets_none_begin() {
    let mut server = Server::start([vec![Step::Take]]).await;
    let client = client(&server, Endpoints::default());
    let polling = tokio::spawn({
        let client = client.clone();
        async move { client.send(&poll()).await.answer }
    });
    assert_eq!(server.next().await, Seen::Accepted);
    assert_eq!(server.next_request().await, OPENID);
    client.shut_down();
    assert_eq!(polling.await.unwrap(), poll_failed(FaultKind::Offline));
    assert_eq!(server.next().await, Seen::Left);
    assert_eq!(client.send(&poll()).await.answer, poll_failed(FaultKind::Offline));
    assert_eq!(server.so_far(), []);
}

#[tokio::test]
async fn the_end_keeps_no_request_from_an_address_that_is_known() {
    let gone = answer("404 Not Found", "");
    let mut server = Server::start([vec![Step::Take, LEAST, Step::Take, gone], vec![]]).await;
    let client = client(&server, Endpoints::default());
    assert_eq!(refreshes(&client).await, refresh_failed(FaultKind::Refused));
    client.close_idle();
    client.shut_down();
    assert_eq!(client.prepare().await.outcome.answer, READY);
    assert_eq!(asked(&mut server).1, [OPENID, TOKEN], "nothing was asked again");
}
