//! The standard kinds.

use std::time::Duration;

use super::*;
use c2c_auth_core::{AuthorizationCode, CodeVerifier, RefreshToken, StateParameter};

mod answers;
mod described;
mod requests;
mod words;

const ISSUER: &str = "https://id.example";

fn at(path: &str) -> Endpoint {
    Endpoint::parse(&format!("https://id.example{path}")).unwrap()
}

/// The client of RFC 6749's examples.
pub(super) fn server() -> ServerSettings {
    ServerSettings {
        client_id: "s6BhdRkqt3".to_owned(),
        client_secret: Some(Secret::new("gX1fBat3bV".to_owned())),
        auth: ClientAuth::Basic,
        scope: None,
        issuer: None,
        endpoints: Endpoints {
            token: Some(at("/token")),
            device_authorization: Some(at("/device")),
            authorization: Some(at("/authorize")),
            revocation: Some(at("/revoke")),
        },
        ..ServerSettings::default()
    }
}

pub(super) fn device(settings: ServerSettings) -> Provider {
    Provider::OauthDevice(OauthDevice::new(settings))
}

pub(super) fn code(settings: ServerSettings) -> Provider {
    let redirect = RedirectUri::parse("https://client.example.com/cb").unwrap();
    Provider::OauthCode(OauthCode::new(settings, redirect))
}

fn exchange() -> Request {
    Request::Exchange {
        code: AuthorizationCode::new("SplxlOBeZQQYbYS6WxSbIA".to_owned()),
        verifier: CodeVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned()),
        redirect_uri: "https://client.example.com/cb".to_owned(),
        state: StateParameter::new("a1B2c3D4".to_owned()),
    }
}

fn refresh_request() -> Request {
    Request::Refresh {
        on: OpId(1),
        token: RefreshToken::new("tGzv3JOkF0XG5Qx2TlKWIA".to_owned()),
        patience: None,
    }
}

fn sent(provider: &Provider, request: &Request) -> HttpRequest {
    provider.request(request, ENTROPY).unwrap()
}

fn authorization(request: &HttpRequest) -> Option<&str> {
    request.headers.get("authorization").map(|line| line.to_str().unwrap())
}

fn said(provider: &Provider, kind: Kind, status: u16, body: &str) -> Answer {
    provider.answer(kind, &response(status, JSON, body.as_bytes()))
}

/// Every provider of the standard kinds there can be.
fn every() -> Vec<(Quirks, Provider)> {
    let all = [Quirks::Standard, Quirks::FrameioApplications, Quirks::AdobeIms];
    let auths = [ClientAuth::Post, ClientAuth::Basic, ClientAuth::None];
    all.into_iter()
        .flat_map(|quirks| auths.map(|auth| (quirks, auth)))
        .flat_map(|(quirks, auth)| {
            let settings = ServerSettings {
                quirks,
                auth,
                issuer: Some(Issuer::parse(ISSUER).unwrap()),
                dead_words: dead_words(quirks),
                ..server()
            };
            [(quirks, device(settings.clone())), (quirks, code(settings))]
        })
        .collect()
}

/// As the preset writes them.
fn dead_words(quirks: Quirks) -> Vec<String> {
    let words: &[&str] = if quirks == Quirks::FrameioApplications {
        &["token_inactive"]
    } else {
        &[]
    };
    words.iter().map(ToString::to_string).collect()
}

/// The words, said once more and by other means than the code's.
fn may_kill(quirks: Quirks, status: u16, body: &[u8]) -> bool {
    let parsed: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let word = parsed.as_ref().and_then(|body| body.get("error")?.as_str());
    matches!(status, 400 | 401 | 403)
        && match word {
            Some("invalid_grant") => true,
            Some("token_inactive") => quirks == Quirks::FrameioApplications,
            Some(_) | None => false,
        }
}

#[test]
fn a_refresh_token_dies_by_the_exact_words_and_by_nothing_near_them() {
    let mut deaths = 0;
    for (quirks, provider) in every() {
        for body in [r#"{"error":"invalid_grant"}"#, r#"{"error":"token_inactive"}"#] {
            for body in neighbours(body) {
                let answer = provider.answer(Kind::Refresh, &response(401, JSON, &body));
                let dead = answer == Answer::Refresh(RefreshAnswer::InvalidGrant);
                let wanted = may_kill(quirks, 401, &body);
                assert_eq!(dead, wanted, "{quirks:?} {}", String::from_utf8_lossy(&body));
                deaths += u32::from(dead);
            }
        }
    }
    assert!(deaths > 0);
}

proptest! {
    #[test]
    fn no_bytes_of_a_standard_server_panic(
        status in 100..600_u16,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        for (_, provider) in every() {
            let response = response(status, &[], &body);
            let _ = provider.merge(&response);
            for kind in KINDS {
                let _ = provider.answer(kind, &response);
            }
        }
    }

    #[test]
    fn no_json_of_a_standard_server_panics_and_only_the_exact_words_kill(
        status in prop_oneof![Just(200_u16), Just(400), Just(401), Just(403), 100..600_u16],
        body in json(),
    ) {
        // `serde_json::Value` refuses 1e999 anywhere, our reader passes over it as a lifetime or an
        // interval.
        let plain = body.replace("1e999", "1");
        for (quirks, provider) in every() {
            let response = response(status, JSON, body.as_bytes());
            let _ = provider.merge(&response);
            for kind in KINDS {
                if provider.answer(kind, &response) == Answer::Refresh(RefreshAnswer::InvalidGrant) {
                    prop_assert!(may_kill(quirks, status, plain.as_bytes()), "{:?} {} {}", quirks, status, body);
                }
            }
        }
    }
}
