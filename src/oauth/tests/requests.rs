//! The requests to Frame.io's device API.

use super::*;
use crate::oauth::frameio_c2c::SettingsError;

#[test]
fn a_base_uri_is_https_with_host_port_and_prefix() {
    let base = BaseUri::parse("https://API.frame.io:8443/staging/").unwrap();
    assert_eq!(base.to_string(), "https://api.frame.io:8443/staging");
    assert_eq!((base.origin().host(), base.origin().port()), ("api.frame.io", 8443));

    let plain = BaseUri::parse("https://api.frame.io").unwrap();
    assert_eq!(plain.to_string(), "https://api.frame.io");
    assert_eq!(plain.origin().to_string(), "api.frame.io");
    assert_eq!(BaseUri::parse("https://api.frame.io:443/").unwrap(), plain);

    let v6 = BaseUri::parse("https://[::1]:4443").unwrap();
    assert_eq!(
        (v6.origin().to_string().as_str(), v6.origin().dial_host()),
        ("[::1]:4443", "::1")
    );

    for (bad, why) in [
        ("", UriError::NotHttps),
        ("api.frame.io", UriError::NotHttps),
        ("https://", UriError::Host),
        ("https://h:99999", UriError::Port),
        ("https://h:0", UriError::Port),
        ("https://h:", UriError::Port),
        ("http://api.frame.io", UriError::NotHttps),
        ("https://me@api.frame.io", UriError::User),
        ("https://api.frame.io/?a=b", UriError::Surplus),
        ("https://api.frame.io/#f", UriError::Surplus),
        ("https://api.frame.io/`", UriError::Malformed),
    ] {
        assert_eq!(BaseUri::parse(bad), Err(why), "{bad:?}");
    }
}

#[test]
fn settings_that_do_not_fit_the_wire_are_refused_by_name() {
    for version in ["", "1.0\r\nx: y", "1.0\u{e9}\0"] {
        let refused = FrameioC2c::new(Settings {
            client_version: version.to_owned(),
            ..settings()
        });
        assert!(matches!(refused, Err(SettingsError::ClientVersion(_))), "{version:?}");
    }
    for path in ["", "v2/code", "/v2/co de", "/v2/code?x", "/v2\r\n", "/v2/`"] {
        let refused = FrameioC2c::new(Settings {
            device_code_path: path.to_owned(),
            ..settings()
        });
        assert!(matches!(refused, Err(SettingsError::DeviceCodePath(_))), "{path:?}");
    }
}

#[test]
fn the_code_request_is_the_documented_multipart_form() {
    let request = provider_of(settings()).request(&Request::DeviceCode, ENTROPY).unwrap();
    assert_eq!(
        (&request.method, request.path.as_str()),
        (&Method::POST, "/v2/auth/device/code")
    );
    assert_eq!(
        request.headers["content-type"],
        format!("multipart/form-data; boundary={BOUNDARY}")
    );
    assert_eq!(request.headers["x-client-platypus-enabled"], "true");
    let part = |name: &str, value: &str| {
        format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let parts = [
        part("client_id", "SN-1"),
        part("client_secret", "s3cret&="),
        part("scope", "asset_create offline"),
        format!("--{BOUNDARY}--\r\n"),
    ];
    assert_eq!(text(&request), parts.concat());
}

#[test]
fn without_url_pairing_nothing_asks_for_it_and_the_older_path_is_taken() {
    let provider = provider_of(Settings {
        url_pairing: false,
        device_code_path: "/v2/device/code".to_owned(),
        base: BaseUri::parse("https://h/prefix").unwrap(),
        ..settings()
    });
    let request = provider.request(&Request::DeviceCode, ENTROPY).unwrap();
    assert_eq!(request.path, "/prefix/v2/device/code");
    assert!(!request.headers.contains_key("x-client-platypus-enabled"));
}

#[test]
fn forms_can_be_urlencoded() {
    let provider = provider_of(Settings {
        encoding: Encoding::Urlencoded,
        ..settings()
    });
    let form = |request: &Request| {
        let request = provider.request(request, ENTROPY).unwrap();
        assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
        (request.path.clone(), text(&request).to_owned())
    };
    let client = "client_id=SN-1&client_secret=s3cret%26%3D";
    assert_eq!(
        form(&Request::DeviceCode),
        (
            "/v2/auth/device/code".to_owned(),
            format!("{client}&scope=asset_create+offline")
        )
    );
    assert_eq!(
        form(&Request::Poll(DeviceCode::new("DC".to_owned()), None)),
        (
            "/v2/auth/token".to_owned(),
            format!("{client}&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=DC")
        )
    );
    let refreshed = Request::Refresh {
        on: OpId(1),
        token: RefreshToken::new("R+T".to_owned()),
        patience: None,
    };
    assert_eq!(
        form(&refreshed),
        (
            "/v2/auth/token".to_owned(),
            format!("{client}&grant_type=refresh_token&refresh_token=R%2BT")
        )
    );
    for token in [
        Revocable::Refresh(RefreshToken::new("T".to_owned())),
        Revocable::Access(AccessToken::new("T".to_owned())),
    ] {
        assert_eq!(
            form(&Request::Revoke(token)),
            ("/v2/auth/revoke".to_owned(), format!("{client}&token=T"))
        );
    }
}

#[test]
fn resources_get_the_bearer_token_and_health_gets_no_credential() {
    let provider = provider_of(settings());
    let token = AccessToken::new("AT".to_owned());
    let identify = provider.request(&Request::Probe(token.clone()), ENTROPY).unwrap();
    assert_eq!(
        (&identify.method, identify.path.as_str()),
        (&Method::GET, "/v2/devices/me")
    );
    let heartbeat = provider.request(&Request::Heartbeat(token), ENTROPY).unwrap();
    assert_eq!(
        (&heartbeat.method, heartbeat.path.as_str()),
        (&Method::POST, "/v2/devices/heartbeat")
    );
    for request in [identify, heartbeat] {
        assert_eq!(request.headers["authorization"], "Bearer AT");
        assert!(request.headers["authorization"].is_sensitive());
        assert!(request.body.is_empty());
    }
    let health = provider.request(&Request::Prepare, ENTROPY).unwrap();
    assert_eq!((&health.method, health.path.as_str()), (&Method::GET, "/health"));
    assert!(!health.headers.contains_key("authorization") && health.body.is_empty());
}

fn all_requests() -> [Request; 7] {
    let access = AccessToken::new("canary-access".to_owned());
    let refresh = RefreshToken::new("canary-refresh".to_owned());
    [
        Request::DeviceCode,
        Request::Poll(DeviceCode::new("canary-code".to_owned()), None),
        Request::Prepare,
        Request::Refresh {
            on: OpId(1),
            token: refresh.clone(),
            patience: None,
        },
        Request::Revoke(Revocable::Refresh(refresh)),
        Request::Probe(access.clone()),
        Request::Heartbeat(access),
    ]
}

#[test]
fn every_request_names_the_firmware_version_and_shows_no_secret_in_debug() {
    let provider = provider_of(settings());
    for (request, kind) in all_requests().iter().zip(KINDS) {
        assert_eq!(Kind::of(request), kind);
        let request = provider.request(request, ENTROPY).unwrap();
        assert_eq!(request.headers["x-client-version"], "2.16.4");
        let shown = format!("{request:?} {:?} {provider:?}", request.headers);
        assert!(!shown.contains("canary") && !shown.contains("s3cret"), "{shown}");
        assert_eq!(
            kind.failed(failed(FaultKind::Lost)).fault(),
            Some(failed(FaultKind::Lost))
        );
    }
}

#[test]
fn a_boundary_never_occurs_in_a_value() {
    let secret = format!("{BOUNDARY} and {BOUNDARY}x");
    let provider = provider_of(Settings {
        client_secret: Some(Secret::new(secret.clone())),
        ..settings()
    });
    let request = provider.request(&Request::DeviceCode, ENTROPY).unwrap();
    let kind = request.headers["content-type"].to_str().unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    assert!(boundary.starts_with(BOUNDARY) && !secret.contains(boundary));
}

#[test]
fn a_token_that_would_break_a_header_is_not_sent() {
    let request = Request::Probe(AccessToken::new("a\r\nx: y".to_owned()));
    assert!(provider_of(settings()).request(&request, ENTROPY).is_none());
}
