//! The requests to standard servers: known answers of the RFCs, byte by byte.

use base64::Engine as _;

use super::*;

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
    let uri = |scope: &str, quirks| {
        let settings = ServerSettings {
            scope: Some(scope.to_owned()),
            quirks,
            ..server()
        };
        let provider = OauthCode::new(settings, RedirectUri::parse("http://127.0.0.1:1/cb").unwrap());
        let uri = provider.authorization(provider.redirect_uri(), "s", "v").unwrap();
        assert!(uri.contains("scope="), "{}", uri.as_str());
        uri.contains("prompt=consent")
    };
    assert!(uri("openid offline_access", Quirks::Standard));
    assert!(!uri("offline_access", Quirks::Standard));
    assert!(!uri("openid offline_access_not", Quirks::Standard));
    assert!(!uri("openid offline_access", Quirks::AdobeIms));
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
        (
            device(public.clone()),
            Request::Poll(DeviceCode::new("DC".to_owned()), None),
        ),
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
    let poll = Request::Poll(
        DeviceCode::new("GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS".to_owned()),
        None,
    );
    let request = sent(&provider, &poll);
    assert_eq!(
        text(&request),
        "client_id=1406020730&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code\
         &device_code=GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS"
    );
}

#[test]
fn no_kind_of_grant_answers_for_the_other() {
    let poll = Request::Poll(DeviceCode::new("DC".to_owned()), None);
    for request in [Request::DeviceCode, poll] {
        assert!(code(server()).request(&request, ENTROPY).is_none());
    }
    assert!(device(server()).request(&exchange(), ENTROPY).is_none());
    for request in [
        Request::Prepare,
        Request::Authorize,
        Request::Probe(AccessToken::new("AT".to_owned())),
        Request::Heartbeat(AccessToken::new("AT".to_owned())),
    ] {
        assert!(code(server()).request(&request, ENTROPY).is_none());
        assert!(device(server()).request(&request, ENTROPY).is_none());
    }
}

#[test]
fn nothing_of_frameios_device_api_reaches_a_standard_server() {
    for (_, provider) in every() {
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
    assert_eq!(
        provider.unsendable(Kind::Revoke),
        Answer::Revoke(RevokeAnswer::Refused),
        "it must not be tried for ever"
    );
}

#[test]
fn known_servers_get_what_they_want_and_no_other_does() {
    let with = |quirks, auth| ServerSettings {
        quirks,
        auth,
        scope: Some("offline a".to_owned()),
        ..server()
    };
    // Frame.io's applications: scope with each token request.
    let frameio = code(with(Quirks::FrameioApplications, ClientAuth::None));
    assert_eq!(
        text(&sent(&frameio, &refresh_request())),
        "client_id=s6BhdRkqt3&grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA&scope=offline+a"
    );
    assert!(text(&sent(&frameio, &exchange())).ends_with("&state=a1B2c3D4&scope=offline+a"));
    // Adobe: a public client's id in the query, and nowhere else.
    let adobe = code(with(Quirks::AdobeIms, ClientAuth::None));
    let revoke = Request::Revoke(Revocable::Refresh(RefreshToken::new("RT".to_owned())));
    for (request, path) in [
        (refresh_request(), "/token?client_id=s6BhdRkqt3"),
        (exchange(), "/token?client_id=s6BhdRkqt3"),
        (revoke, "/revoke?client_id=s6BhdRkqt3"),
    ] {
        let request = sent(&adobe, &request);
        assert!(
            request.path == path && !text(&request).contains("client_id"),
            "{request:?}"
        );
    }
    let adobe = code(with(Quirks::AdobeIms, ClientAuth::Basic));
    assert_eq!(sent(&adobe, &refresh_request()).path, "/token");
    // Everybody else.
    let plain = code(with(Quirks::Standard, ClientAuth::None));
    let request = sent(&plain, &refresh_request());
    assert!(!text(&request).contains("scope") && request.path == "/token");
}
