//! Real TLS on loopback, against a server that does what a script says.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod addresses;
mod connections;
mod dropped;
mod floods;
mod limits;
pub(crate) mod log;
mod proxied;
mod sent;
pub(crate) mod server;
mod shapes;
mod told;
mod trust;

use std::path::Path;

use server::{Seen, Server, Step};

use super::*;
use crate::oauth::{BaseUri, Encoding, FrameioC2c, Settings};
use c2c_auth_core::{
    AccessToken, CodeAnswer, DeviceCode, PollAnswer, ProbeAnswer, RefreshAnswer, Revocable, RevokeAnswer, Secret,
};

pub(crate) const PENDING: &str = r#"{"error":"authorization_pending"}"#;
pub(crate) const PAIR: &str =
    r#"{"access_token":"canary-new-access","expires_in":28800,"refresh_token":"canary-new-refresh"}"#;

pub(crate) fn provider(base: &str) -> Arc<Provider> {
    let provider = FrameioC2c::new(Settings {
        base: BaseUri::parse(base).unwrap(),
        scope: "asset_create offline".to_owned(),
        url_pairing: true,
        device_code_path: "/v2/auth/device/code".to_owned(),
        encoding: Encoding::Multipart,
        client_id: "SN-1".to_owned(),
        client_secret: Some(Secret::new("canary-secret".to_owned())),
        client_version: "2.16.4".to_owned(),
    });
    Arc::new(Provider::FrameioC2c(provider.unwrap()))
}

pub(crate) fn client_with(base: &str, ca_file: &Path, clock: FloorClock) -> Client {
    let tls = TlsSettings {
        ca_file: Some(ca_file.to_owned()),
        clock: Arc::new(clock),
        ways: Ways::default(),
    };
    Client::new(provider(base), tls).unwrap()
}

pub(crate) fn client_of(server: &Server) -> Client {
    client_with(&server.base(), &server.ca_file(), FloorClock::new(WallTime::default()))
}

pub(crate) fn answer(status: &str, body: &str) -> Step {
    Step::Say(
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
    )
}

pub(crate) fn say(text: &str) -> Step {
    Step::Say(text.as_bytes().to_vec())
}

pub(crate) fn pending() -> Step {
    answer("400 Bad Request", PENDING)
}

pub(crate) fn healthy() -> Step {
    answer("200 OK", r#"{"status":"ok"}"#)
}

pub(crate) fn poll() -> Request {
    Request::Poll(DeviceCode::new("canary-device-code".to_owned()), None)
}

pub(crate) fn identify() -> Request {
    Request::Probe(AccessToken::new("canary-access".to_owned()))
}

pub(crate) fn token() -> RefreshToken {
    RefreshToken::new("canary-refresh".to_owned())
}

pub(crate) fn fault(kind: FaultKind) -> Fault {
    Fault {
        kind,
        retry_after: None,
    }
}

pub(crate) fn refresh_failed(kind: FaultKind) -> Answer {
    Answer::Refresh(RefreshAnswer::Failed(fault(kind)))
}

pub(crate) fn poll_failed(kind: FaultKind) -> Answer {
    Answer::Poll(PollAnswer::Failed(fault(kind)))
}

pub(crate) const STILL_PENDING: Answer = Answer::Poll(PollAnswer::Pending);
pub(crate) const READY: Answer = Answer::Prepare(PrepareAnswer::Ready);

/// Prepares on a server that answers the health request, then plays `steps` against a refresh.
pub(crate) async fn refresh_against(steps: Vec<Step>) -> Answer {
    let script = [vec![Step::Take, healthy(), Step::Take], steps].concat();
    let server = Server::start([script]).await;
    let client = client_of(&server);
    let prepared = client.prepare().await;
    assert_eq!(prepared.outcome.answer, READY);
    client
        .refresh(prepared.connection.unwrap(), &token(), None)
        .await
        .answer
}
