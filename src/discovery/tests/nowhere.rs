//! A server that describes itself nowhere: most often an issuer that is written without its path.

use super::*;

const TOLD: &str = "check provider.issuer, or write the endpoints";

#[tokio::test]
async fn an_issuer_without_a_description_is_told_once_with_the_cure() {
    let log = Log::start();
    let nothing = || vec![Step::Take, nothing_here(), Step::Take, nothing_here()];
    let server = Server::start([nothing(), nothing(), nothing()]).await;
    let client = client(&server, Endpoints::default());
    assert_eq!(client.nowhere_described(), None, "nobody was asked yet");
    for kind in [Kind::Authorize, Kind::Prepare, Kind::Authorize] {
        client.close_idle();
        assert_eq!(client.resolve(kind).await.unwrap_err().fault, fault(FaultKind::Refused));
    }
    let places = client.nowhere_described().unwrap();
    for place in [OPENID, OAUTH] {
        let path = place.split(' ').nth(1).unwrap();
        assert!(places.contains(&format!("{}{path}", server.base())), "{places}");
    }
    let log = log.text();
    assert_eq!(log.matches(TOLD).count(), 1, "{log}");
    assert!(log.contains(&places), "{log}");
}

#[tokio::test]
async fn an_outage_is_no_wrong_issuer() {
    let log = Log::start();
    let half = vec![Step::Take, nothing_here(), Step::Take, busy(1)];
    let server = Server::start([half]).await;
    let client = client(&server, Endpoints::default());
    assert!(client.resolve(Kind::Prepare).await.is_err());
    assert_eq!(client.nowhere_described(), None);
    assert!(!log.text().contains(TOLD));
}

#[tokio::test]
async fn addresses_that_are_written_need_no_description() {
    let log = Log::start();
    let server = Server::start([vec![Step::Take, nothing_here(), Step::Take, nothing_here()]]).await;
    let client = client(&server, written(&server));
    assert!(client.resolve(Kind::Authorize).await.is_ok());
    assert!(!log.text().contains(TOLD));
}
