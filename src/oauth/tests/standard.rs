//! The standard kinds: known answers of the RFCs, and what each word of a server means.

use std::time::Duration;

use base64::Engine as _;

use super::*;
use crate::core::{AuthorizationCode, CodeVerifier, RefreshToken, StateParameter};

const ISSUER: &str = "https://id.example";

fn at(path: &str) -> Endpoint {
    Endpoint::parse(&format!("https://id.example{path}")).unwrap()
}

/// The client of RFC 6749's examples.
fn server() -> ServerSettings {
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
        dialect: Dialect::Standard,
        refresh_token_life: Duration::from_secs(30 * 86_400),
    }
}

fn device(settings: ServerSettings) -> Provider {
    Provider::OauthDevice(OauthDevice::new(settings))
}

fn code(settings: ServerSettings) -> Provider {
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
fn every() -> Vec<Provider> {
    let dialects = [Dialect::Standard, Dialect::FrameioApplications, Dialect::AdobeIms];
    let auths = [ClientAuth::Post, ClientAuth::Basic, ClientAuth::None];
    dialects
        .into_iter()
        .flat_map(|dialect| auths.map(|auth| (dialect, auth)))
        .flat_map(|(dialect, auth)| {
            let settings = ServerSettings {
                dialect,
                auth,
                issuer: Some(Issuer::parse(ISSUER).unwrap()),
                ..server()
            };
            [device(settings.clone()), code(settings)]
        })
        .collect()
}

#[test]
fn the_examples_of_rfc_6749_come_out() {
    // §4.1.3, with the verifier of RFC 7636 appendix B.
    let request = sent(&code(server()), &exchange());
    assert_eq!(
        (
            request.method.as_str(),
            request.path.as_str(),
            request.origin.to_string()
        ),
        ("POST", "/token", "id.example".to_owned())
    );
    assert_eq!(authorization(&request), Some("Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"));
    assert!(request.headers["authorization"].is_sensitive());
    assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(
        text(&request),
        "grant_type=authorization_code&code=SplxlOBeZQQYbYS6WxSbIA&redirect_uri=https%3A%2F%2Fclient.example.com%2Fcb\
         &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    // §6.
    let request = sent(&device(server()), &refresh_request());
    assert_eq!(
        text(&request),
        "grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA"
    );
    // §2.3.1, the way without a header.
    let posted = device(ServerSettings {
        auth: ClientAuth::Post,
        client_secret: Some(Secret::new("7Fjfp0ZBr1KtDRbnfVdmIw".to_owned())),
        ..server()
    });
    let request = sent(&posted, &refresh_request());
    assert_eq!(
        text(&request),
        "client_id=s6BhdRkqt3&client_secret=7Fjfp0ZBr1KtDRbnfVdmIw&grant_type=refresh_token\
         &refresh_token=tGzv3JOkF0XG5Qx2TlKWIA"
    );
    assert_eq!(authorization(&request), None);
}

#[test]
fn the_authorization_uri_is_that_of_rfc_6749_with_the_challenge_of_rfc_7636() {
    let Provider::OauthCode(provider) = code(server()) else {
        panic!()
    };
    let uri = provider
        .authorization(
            provider.redirect_uri(),
            "xyz",
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        )
        .unwrap();
    assert_eq!(
        uri.as_str(),
        "https://id.example/authorize?response_type=code&client_id=s6BhdRkqt3\
         &redirect_uri=https%3A%2F%2Fclient.example.com%2Fcb&state=xyz\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
    );
}

#[test]
fn consent_is_asked_for_where_openid_connect_wants_it_for_offline_access() {
    let uri = |scope: &str, dialect| {
        let settings = ServerSettings {
            scope: Some(scope.to_owned()),
            dialect,
            ..server()
        };
        let provider = OauthCode::new(settings, RedirectUri::parse("http://127.0.0.1:1/cb").unwrap());
        let uri = provider.authorization(provider.redirect_uri(), "s", "v").unwrap();
        assert!(uri.contains("scope="), "{}", uri.as_str());
        uri.contains("prompt=consent")
    };
    assert!(uri("openid offline_access", Dialect::Standard));
    assert!(!uri("offline_access", Dialect::Standard));
    assert!(!uri("openid offline_access_not", Dialect::Standard));
    assert!(!uri("openid offline_access", Dialect::AdobeIms));
}

/// RFC 6749 §2.3.1: each part is form-encoded before the two are joined.
#[test]
fn a_basic_header_survives_every_id_and_secret() {
    let request = sent(
        &device(ServerSettings {
            client_id: "a:b c".to_owned(),
            client_secret: Some(Secret::new("s%:é+".to_owned())),
            ..server()
        }),
        &refresh_request(),
    );
    let wanted = base64::engine::general_purpose::STANDARD.encode("a%3Ab+c:s%25%3A%C3%A9%2B");
    assert_eq!(authorization(&request), Some(format!("Basic {wanted}").as_str()));
}

#[test]
fn a_basic_header_of_unreserved_characters_is_the_same_to_a_server_that_never_decodes() {
    let request = sent(
        &device(ServerSettings {
            client_id: "a-b.c_d~1".to_owned(),
            client_secret: Some(Secret::new("~Q8-x._~".to_owned())),
            ..server()
        }),
        &refresh_request(),
    );
    let wanted = base64::engine::general_purpose::STANDARD.encode("a-b.c_d~1:~Q8-x._~");
    assert_eq!(authorization(&request), Some(format!("Basic {wanted}").as_str()));
}

#[test]
fn a_public_client_sends_its_id_and_nothing_secret() {
    let public = ServerSettings {
        auth: ClientAuth::None,
        // Provisioned by mistake.
        client_secret: Some(Secret::new("canary".to_owned())),
        ..server()
    };
    for (provider, request) in [
        (device(public.clone()), Request::DeviceCode),
        (device(public.clone()), Request::Poll(DeviceCode::new("DC".to_owned()))),
        (code(public.clone()), exchange()),
        (code(public.clone()), refresh_request()),
        (
            code(public.clone()),
            Request::Revoke(Revocable::Access(AccessToken::new("AT".to_owned()))),
        ),
    ] {
        let request = sent(&provider, &request);
        assert!(text(&request).starts_with("client_id=s6BhdRkqt3"), "{}", text(&request));
        assert!(!text(&request).contains("canary") && authorization(&request).is_none());
        assert!(!request.path.contains('?'));
    }
}

#[test]
fn a_client_without_its_secret_sends_nothing() {
    for auth in [ClientAuth::Post, ClientAuth::Basic] {
        let settings = ServerSettings {
            auth,
            client_secret: None,
            ..server()
        };
        assert!(code(settings).request(&exchange(), ENTROPY).is_none());
    }
}

#[test]
fn device_requests_are_those_of_rfc_8628() {
    let provider = device(ServerSettings {
        client_id: "1406020730".to_owned(),
        auth: ClientAuth::None,
        scope: Some("example_scope".to_owned()),
        ..server()
    });
    // §3.1.
    let request = sent(&provider, &Request::DeviceCode);
    assert_eq!(
        (request.path.as_str(), text(&request)),
        ("/device", "client_id=1406020730&scope=example_scope")
    );
    // §3.4.
    let poll = Request::Poll(DeviceCode::new("GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS".to_owned()));
    let request = sent(&provider, &poll);
    assert_eq!(
        text(&request),
        "client_id=1406020730&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code\
         &device_code=GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS"
    );
}

#[test]
fn no_kind_of_grant_answers_for_the_other() {
    let poll = Request::Poll(DeviceCode::new("DC".to_owned()));
    for request in [Request::DeviceCode, poll] {
        assert!(code(server()).request(&request, ENTROPY).is_none());
    }
    assert!(device(server()).request(&exchange(), ENTROPY).is_none());
    for request in [
        Request::Prepare,
        Request::Authorize,
        Request::Identify(AccessToken::new("AT".to_owned())),
        Request::Heartbeat(AccessToken::new("AT".to_owned())),
    ] {
        assert!(code(server()).request(&request, ENTROPY).is_none());
        assert!(device(server()).request(&request, ENTROPY).is_none());
    }
}

#[test]
fn nothing_of_frameios_device_api_reaches_a_standard_server() {
    for provider in every() {
        for request in [
            Request::DeviceCode,
            exchange(),
            refresh_request(),
            Request::Revoke(Revocable::Refresh(RefreshToken::new("RT".to_owned()))),
        ] {
            let Some(request) = provider.request(&request, ENTROPY) else {
                continue;
            };
            assert!(request.headers.keys().all(|name| !name.as_str().starts_with("x-")));
            assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
        }
    }
}

#[test]
fn revocation_is_that_of_rfc_7009_where_there_is_an_endpoint() {
    let refresh = Request::Revoke(Revocable::Refresh(RefreshToken::new("45ghiukldjahdnhzdauz".to_owned())));
    let request = sent(&code(server()), &refresh);
    assert_eq!(
        (request.path.as_str(), text(&request)),
        ("/revoke", "token=45ghiukldjahdnhzdauz&token_type_hint=refresh_token")
    );
    let mut without = server();
    without.endpoints.revocation = None;
    let provider = code(without);
    assert!(provider.request(&refresh, ENTROPY).is_none());
    assert!(!provider.habits().can_revoke);
    assert_eq!(
        provider.unsendable(Kind::Revoke),
        Answer::Revoke(RevokeAnswer::Refused),
        "it must not be tried for ever"
    );
}

#[test]
fn known_servers_get_what_they_want_and_no_other_does() {
    let with = |dialect, auth| ServerSettings {
        dialect,
        auth,
        scope: Some("offline a".to_owned()),
        ..server()
    };
    // Frame.io's applications: scope with each token request.
    let frameio = code(with(Dialect::FrameioApplications, ClientAuth::None));
    assert_eq!(
        text(&sent(&frameio, &refresh_request())),
        "client_id=s6BhdRkqt3&grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA&scope=offline+a"
    );
    assert!(text(&sent(&frameio, &exchange())).ends_with("&state=a1B2c3D4&scope=offline+a"));
    // Adobe: a public client's id in the query as well.
    let adobe = code(with(Dialect::AdobeIms, ClientAuth::None));
    assert_eq!(sent(&adobe, &refresh_request()).path, "/token?client_id=s6BhdRkqt3");
    let adobe = code(with(Dialect::AdobeIms, ClientAuth::Basic));
    assert_eq!(sent(&adobe, &refresh_request()).path, "/token");
    // Everybody else.
    let plain = code(with(Dialect::Standard, ClientAuth::None));
    let request = sent(&plain, &refresh_request());
    assert!(!text(&request).contains("scope") && request.path == "/token");
}

// Answers

#[test]
fn a_refresh_ends_a_pairing_by_invalid_grant_and_by_nothing_else() {
    use RefreshAnswer::{ClientRejected, Dead, Failed};
    let refused = || Failed(failed(FaultKind::Refused));
    for (status, body, wanted) in [
        (400, r#"{"error":"invalid_grant"}"#, Dead),
        (401, r#"{"error":"invalid_grant","error_description":"x"}"#, Dead),
        (
            403,
            r#"{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}"#,
            Dead,
        ),
        (403, r#"{"error":"access_denied"}"#, refused()),
        (403, "", refused()),
        (400, "", refused()),
        (404, r#"{"error":"invalid_grant"}"#, refused()),
        (
            429,
            r#"{"error":"invalid_grant"}"#,
            Failed(failed(FaultKind::RateLimited)),
        ),
        (400, r#"{"error":"invalid_request"}"#, refused()),
        (400, r#"{"error":"token_inactive"}"#, refused()),
        (401, DETAILED_401, refused()),
        (400, r#"{"error":"invalid_scope"}"#, refused()),
        (400, r#"{"error":"unsupported_grant_type"}"#, refused()),
        (400, r#"{"error":"invalid_client"}"#, ClientRejected),
        (401, r#"{"error":"invalid_client"}"#, ClientRejected),
        (400, r#"{"error":"unauthorized_client"}"#, ClientRejected),
        (403, r#"{"error":"unauthorized_client"}"#, ClientRejected),
        (503, r#"{"error":"invalid_grant"}"#, refused()),
        (500, r#"{"error":"invalid_grant"}"#, Failed(failed(FaultKind::Garbled))),
        (200, r#"{"error":"invalid_grant"}"#, Failed(failed(FaultKind::Garbled))),
        (302, "", refused()),
    ] {
        for provider in [device(server()), code(server())] {
            assert_eq!(
                said(&provider, Kind::Refresh, status, body),
                Answer::Refresh(wanted.clone()),
                "{status} {body}"
            );
        }
    }
}

#[test]
fn frameios_applications_call_a_used_token_inactive() {
    let frameio = code(ServerSettings {
        dialect: Dialect::FrameioApplications,
        ..server()
    });
    let reuse =
        r#"{"error":"token_inactive","error_description":"Token is inactive because it is malformed, expired"}"#;
    for status in [400, 401] {
        assert_eq!(
            said(&frameio, Kind::Refresh, status, reuse),
            Answer::Refresh(RefreshAnswer::Dead)
        );
    }
}

#[test]
fn an_answer_without_refresh_token_or_lifetime_is_good() {
    let answer = said(
        &code(server()),
        Kind::Refresh,
        200,
        r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer"}"#,
    );
    let Answer::Refresh(RefreshAnswer::Granted(grant)) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!((grant.refresh, grant.expires_in), (None, Duration::from_secs(3600)));
}

#[test]
fn a_lifetime_of_nothing_is_not_an_hour() {
    for (said_life, seconds) in [
        ("0", 1),
        ("-5", 1),
        ("\"0\"", 1),
        ("0.5", 1),
        ("null", 3600),
        ("\"\"", 3600),
        ("7", 7),
    ] {
        let body = format!(r#"{{"access_token":"AT","token_type":"Bearer","expires_in":{said_life}}}"#);
        let Answer::Refresh(RefreshAnswer::Granted(grant)) = said(&code(server()), Kind::Refresh, 200, &body) else {
            panic!("{body}")
        };
        assert_eq!(grant.expires_in, Duration::from_secs(seconds), "{body}");
    }
}

#[test]
fn a_code_is_bought_once_and_refused_for_good() {
    use ExchangeAnswer::{ClientRejected, Dead, Failed};
    for (status, body, wanted) in [
        (400, r#"{"error":"invalid_grant"}"#, Dead),
        (400, r#"{"error":"invalid_request"}"#, Dead),
        (400, r#"{"error":"invalid_scope"}"#, Dead),
        (401, r#"{"error":"invalid_client"}"#, ClientRejected),
        (
            429,
            r#"{"error":"invalid_grant"}"#,
            Failed(failed(FaultKind::RateLimited)),
        ),
        (
            400,
            r#"{"error":"temporarily_unavailable"}"#,
            Failed(failed(FaultKind::Refused)),
        ),
        (400, "<html>", Failed(failed(FaultKind::Refused))),
        (500, r#"{"error":"server_error"}"#, Failed(failed(FaultKind::Garbled))),
        (200, "{}", Failed(failed(FaultKind::Garbled))),
    ] {
        assert_eq!(
            said(&code(server()), Kind::Exchange, status, body),
            Answer::Exchange(wanted.clone()),
            "{status} {body}"
        );
    }
    let answer = said(&code(server()), Kind::Exchange, 200, PAIR);
    assert!(
        matches!(answer, Answer::Exchange(ExchangeAnswer::Granted(_))),
        "{answer:?}"
    );
}

#[test]
fn a_code_answer_is_taken_as_the_server_means_it() {
    // RFC 8628 §3.2.
    let body = r#"{"device_code":"GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS","user_code":"WDJB-MJHT",
        "verification_uri":"https://example.com/device",
        "verification_uri_complete":"https://example.com/device?user_code=WDJB-MJHT","expires_in":1800,"interval":5}"#;
    let Answer::Code(CodeAnswer::Granted(code)) = said(&device(server()), Kind::DeviceCode, 200, body) else {
        panic!()
    };
    assert_eq!(code.user_code.expose(), "WDJB-MJHT");
    assert_eq!(
        code.verification_uri_complete.unwrap().expose(),
        "https://example.com/device?user_code=WDJB-MJHT"
    );
    assert_eq!(
        (code.expires_in, code.interval),
        (Duration::from_secs(1800), Duration::from_secs(5))
    );
    // The interval is the server's, beyond a minute too; `name` is Frame.io's and nobody else's.
    let body = r#"{"device_code":"D","user_code":"abc","verification_uri":"https://example.com/device","interval":120,
        "name":"Cam-1"}"#;
    let Answer::Code(CodeAnswer::Granted(code)) = said(&device(server()), Kind::DeviceCode, 200, body) else {
        panic!()
    };
    assert_eq!(
        (code.interval, code.device_name.as_str()),
        (Duration::from_secs(120), "")
    );
    // The least, with the name that drafts gave the page.
    let body = r#"{"device_code":"D","user_code":"abc","verification_url":"https://example.com/device"}"#;
    let Answer::Code(CodeAnswer::Granted(code)) = said(&device(server()), Kind::DeviceCode, 200, body) else {
        panic!()
    };
    assert_eq!(code.verification_uri, "https://example.com/device");
    assert_eq!(code.verification_uri_complete, None);
    assert_eq!(
        (code.expires_in, code.interval),
        (Duration::from_secs(300), Duration::from_secs(5))
    );
}

#[test]
fn a_code_that_could_deceive_is_not_shown() {
    let asked = |code: &str| {
        let body = format!(r#"{{"device_code":"D","user_code":{code:?},"verification_uri":"https://e.example"}}"#);
        said(&device(server()), Kind::DeviceCode, 200, &body)
    };
    for good in ["0123", "WDJB-MJHT", "wdjb mjht", "a", "ÄB-12"] {
        assert!(matches!(asked(good), Answer::Code(CodeAnswer::Granted(_))), "{good}");
    }
    for bad in ["", " ", " A", "A\u{202e}B", "A\u{200b}B", &"A".repeat(65)] {
        // Rust's and JSON's escapes of these differ.
        let body = format!(
            r#"{{"device_code":"D","user_code":{},"verification_uri":"https://e.example"}}"#,
            serde_json::to_string(bad).unwrap()
        );
        let answer = said(&device(server()), Kind::DeviceCode, 200, &body);
        assert_eq!(answer, Answer::Code(CodeAnswer::BadUserCode), "{bad:?}");
    }
    // No page that a person may be sent to.
    for page in ["http://e.example", "javascript:alert(1)", ""] {
        let body = format!(r#"{{"device_code":"D","user_code":"A","verification_uri":{page:?}}}"#);
        let answer = said(&device(server()), Kind::DeviceCode, 200, &body);
        assert!(matches!(answer, Answer::Code(CodeAnswer::Failed(_))), "{page}");
    }
}

#[test]
fn polls_go_on_by_two_words_only() {
    use PollAnswer::{ClientRejected, CodeUnknown, Denied, Expired, Failed, Pending, SlowDown};
    for (status, word, wanted) in [
        (400, "authorization_pending", Pending),
        (428, "authorization_pending", Pending),
        (400, "slow_down", SlowDown),
        (429, "slow_down", SlowDown),
        (400, "access_denied", Denied),
        (400, "expired_token", Expired),
        (400, "invalid_grant", CodeUnknown),
        (400, "invalid_request", CodeUnknown),
        (400, "unsupported_grant_type", CodeUnknown),
        (400, "something_new", CodeUnknown),
        (401, "invalid_client", ClientRejected),
        (400, "temporarily_unavailable", Failed(failed(FaultKind::Refused))),
        (429, "authorization_pending", Failed(failed(FaultKind::RateLimited))),
        (503, "authorization_pending", Failed(failed(FaultKind::Refused))),
    ] {
        let body = format!(r#"{{"error":"{word}"}}"#);
        assert_eq!(
            said(&device(server()), Kind::Poll, status, &body),
            Answer::Poll(wanted),
            "{status} {word}"
        );
    }
}

#[test]
fn a_revocation_needs_no_body() {
    use RevokeAnswer::{Done, Failed, Refused};
    for (status, body, wanted) in [
        (200, "", Done),
        (200, "{}", Done),
        (400, r#"{"error":"unsupported_token_type"}"#, Refused),
        (400, r#"{"error":"invalid_request"}"#, Refused),
        (401, r#"{"error":"invalid_client"}"#, Failed(failed(FaultKind::Refused))),
        (503, "", Failed(failed(FaultKind::Refused))),
        (404, "", Failed(failed(FaultKind::Refused))),
    ] {
        assert_eq!(
            said(&code(server()), Kind::Revoke, status, body),
            Answer::Revoke(wanted),
            "{status} {body}"
        );
    }
}

// Who the server is

fn undiscovered() -> ServerSettings {
    ServerSettings {
        issuer: Some(Issuer::parse("https://id.example/tenant/").unwrap()),
        endpoints: Endpoints::default(),
        ..server()
    }
}

fn learn(provider: &Provider, body: &str) -> Result<Provider, Unfit> {
    provider.learn(&response(200, JSON, body.as_bytes()))
}

#[test]
fn a_server_is_asked_for_its_addresses_where_it_describes_itself() {
    let places: Vec<_> = device(undiscovered())
        .discovery(Kind::Prepare)
        .into_iter()
        .map(|request| {
            (
                request.method.to_string(),
                format!("{}{}", request.origin, request.path),
            )
        })
        .collect();
    let get = |place: &str| ("GET".to_owned(), place.to_owned());
    assert_eq!(
        places,
        [
            get("id.example/tenant/.well-known/openid-configuration"),
            get("id.example/.well-known/oauth-authorization-server/tenant"),
            get("id.example/.well-known/openid-configuration/tenant"),
        ]
    );
    let bare = ServerSettings {
        issuer: Some(Issuer::parse(ISSUER).unwrap()),
        ..undiscovered()
    };
    assert_eq!(
        device(bare).discovery(Kind::Prepare).len(),
        2,
        "without a path two are one"
    );
    for kind in KINDS {
        assert!(device(server()).discovery(kind).is_empty(), "all is known: {kind:?}");
    }
    assert_eq!(device(undiscovered()).token_origin(), None);
    assert_eq!(
        device(undiscovered()).first_origin().map(ToString::to_string),
        Some("id.example".to_owned())
    );
}

const DOCUMENT: &str = r#"{"issuer":"https://id.example/tenant/","token_endpoint":"https://t.example/token",
    "authorization_endpoint":"https://a.example/auth?x=1","device_authorization_endpoint":"https://d.example/",
    "revocation_endpoint":"https://r.example/revoke","code_challenge_methods_supported":["plain","S256"],
    "authorization_response_iss_parameter_supported":true,"other":[{"deep":[1]}]}"#;

#[test]
fn what_a_server_tells_of_itself_fills_the_gaps() {
    let known = learn(&device(undiscovered()), DOCUMENT).unwrap();
    assert!(KINDS.into_iter().all(|kind| known.discovery(kind).is_empty()));
    assert_eq!(sent(&known, &Request::DeviceCode).origin.host(), "d.example");
    assert_eq!(known.token_origin().unwrap().host(), "t.example");

    let mut partly = undiscovered();
    partly.endpoints.token = Some(at("/mine"));
    let known = learn(&code(partly), DOCUMENT).unwrap();
    assert_eq!(
        known.token_origin().unwrap().host(),
        "id.example",
        "what is written wins"
    );
    let Provider::OauthCode(known) = known else { panic!() };
    let uri = known.authorization(known.redirect_uri(), "s", "v").unwrap();
    assert!(
        uri.starts_with("https://a.example/auth?x=1&response_type=code&"),
        "{}",
        uri.as_str()
    );
}

fn swap(from: &str, to: &str) -> String {
    assert!(DOCUMENT.contains(from), "{from}");
    DOCUMENT.replace(from, to)
}

#[test]
fn a_description_that_is_not_to_be_believed_is_not() {
    for (document, why) in [
        (String::new(), Unfit::Unreadable),
        ("[]".to_owned(), Unfit::Unreadable),
        (swap("id.example/tenant/", "id.example/tenant"), Unfit::AnotherIssuer),
        (swap("id.example", "evil.example"), Unfit::AnotherIssuer),
        ("{}".to_owned(), Unfit::AnotherIssuer),
    ] {
        assert_eq!(learn(&code(undiscovered()), &document).err(), Some(why), "{document}");
    }
    let page = response(404, JSON, DOCUMENT.as_bytes());
    assert_eq!(code(undiscovered()).learn(&page).err(), Some(Unfit::Unreadable));
    let html = response(200, HTML, DOCUMENT.as_bytes());
    assert_eq!(code(undiscovered()).learn(&html).err(), Some(Unfit::Unreadable));
}

/// What is wrong with a description is of no concern but to the requests that need it; a refresh needs the least.
#[test]
fn a_request_needs_its_own_addresses_and_no_others() {
    const TOKEN: [Kind; 4] = [Kind::Prepare, Kind::Refresh, Kind::Exchange, Kind::Poll];
    let lacking = |provider: &Provider, document: &str| {
        let known = learn(provider, document).unwrap();
        let kinds: Vec<_> = KINDS.into_iter().filter(|kind| known.lacks(*kind).is_some()).collect();
        let why = kinds.first().and_then(|kind| known.lacks(*kind));
        (kinds, why)
    };
    let with_token = |kind| {
        let mut kinds: Vec<_> = TOKEN
            .into_iter()
            .chain([kind, Kind::Authorize, Kind::DeviceCode])
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    };
    for (document, kinds, why) in [
        (DOCUMENT.to_owned(), vec![], None),
        (
            swap("https://t.example", "http://t.example"),
            with_token(Kind::Authorize),
            Some(Unfit::BadEndpoint("token_endpoint")),
        ),
        (
            swap("token_endpoint", "nothing"),
            with_token(Kind::Authorize),
            Some(Unfit::NoEndpoint("token_endpoint")),
        ),
        // It may be in another place.
        (
            swap("\"https://r.example/revoke\"", "7"),
            vec![Kind::Revoke],
            Some(Unfit::BadEndpoint("revocation_endpoint")),
        ),
        (
            swap("revocation_endpoint", "nothing"),
            vec![Kind::Revoke],
            Some(Unfit::NoEndpoint("revocation_endpoint")),
        ),
        (
            swap("\"authorization_endpoint", "\"nothing"),
            vec![Kind::Authorize],
            Some(Unfit::NoEndpoint("authorization_endpoint")),
        ),
        (
            swap("https://d.example/", "ftp://d.example/"),
            vec![Kind::DeviceCode],
            Some(Unfit::BadEndpoint("device_authorization_endpoint")),
        ),
        (swap(",\"S256\"", ""), vec![Kind::Authorize], Some(Unfit::NoS256)),
    ] {
        for provider in [code(undiscovered()), device(undiscovered())] {
            let mut found = lacking(&provider, &document);
            found.0.sort_unstable();
            assert_eq!(found, (kinds.clone(), why), "{document}");
        }
    }
    let everywhere = learn(&device(undiscovered()), &swap("revocation_endpoint", "nothing")).unwrap();
    assert_eq!(everywhere.described_throughout().lacks(Kind::Revoke), None);
    // A server's two documents add up.
    let known = learn(
        &device(undiscovered()),
        &swap("device_authorization_endpoint", "nothing"),
    )
    .unwrap();
    let known = learn(&known, DOCUMENT).unwrap();
    assert_eq!(known.lacks(Kind::DeviceCode), None);
}

#[test]
fn a_record_belongs_to_a_server_and_a_way_to_pair() {
    let named = ServerSettings {
        issuer: Some(Issuer::parse(ISSUER).unwrap()),
        ..server()
    };
    let with = |token: Option<&str>| {
        let mut named = named.clone();
        named.endpoints.token = token.map(at);
        device(named)
    };
    let written = [with(None), with(Some("/token")), with(Some("/other")), device(server())];
    let mut all: Vec<_> = written.iter().map(Provider::issuer).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 4, "another token endpoint is another server: {all:?}");
    // So is another host that would be shown its tokens; the same host with or without revocation is not.
    let revoking = |settings: &ServerSettings, to: Option<&str>| {
        let mut settings = settings.clone();
        settings.endpoints.revocation = to.map(|to| Endpoint::parse(to).unwrap());
        device(settings).issuer()
    };
    for settings in [&named, &server()] {
        let plain = revoking(settings, None);
        assert_eq!(revoking(settings, Some("https://id.example/revoke")), plain);
        let elsewhere = revoking(settings, Some("https://other.example/revoke"));
        assert_ne!(elsewhere, plain);
        assert_eq!(revoking(settings, Some("https://other.example/2")), elsewhere);
        assert_ne!(revoking(settings, Some("https://id.example:8443/revoke")), plain);
    }
    assert_ne!(device(named.clone()).name(), code(named).name());
    // What is learned does not change whose the tokens are.
    let known = learn(&code(undiscovered()), DOCUMENT).unwrap();
    assert_eq!(known.issuer(), code(undiscovered()).issuer());
}

proptest! {
    #[test]
    fn no_bytes_of_a_standard_server_panic_or_kill(
        status in 100..600_u16,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        for provider in every() {
            let response = response(status, &[], &body);
            let _ = provider.learn(&response);
            for kind in KINDS {
                prop_assert_ne!(provider.answer(kind, &response), Answer::Refresh(RefreshAnswer::Dead));
            }
        }
    }

    #[test]
    fn no_json_of_a_standard_server_kills_but_the_exact_words(
        status in prop_oneof![Just(200_u16), Just(400), Just(401), Just(403), 100..600_u16],
        body in json(),
    ) {
        let parsed: Option<serde_json::Value> = serde_json::from_str(&body.replace("1e999", "1")).ok();
        let word = parsed.as_ref().and_then(|body| body.get("error")?.as_str());
        for provider in every() {
            let response = response(status, JSON, body.as_bytes());
            let _ = provider.learn(&response);
            for kind in KINDS {
                let answer = provider.answer(kind, &response);
                if answer == Answer::Refresh(RefreshAnswer::Dead) {
                    prop_assert!(matches!(status, 400 | 401 | 403) && word == Some("invalid_grant"), "{} {}", status, body);
                }
            }
        }
    }
}
