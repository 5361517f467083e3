//! The identity of the server, and its own description.

use super::*;

fn undiscovered() -> ServerSettings {
    ServerSettings {
        issuer: Some(Issuer::parse("https://id.example/tenant/").unwrap()),
        endpoints: Endpoints::default(),
        ..server()
    }
}

fn learn(provider: &Provider, body: &str) -> Result<Provider, MetadataError> {
    provider.merge(&response(200, JSON, body.as_bytes()))
}

/// The places to ask for what this request lacks.
fn discovery(provider: &Provider, kind: Kind) -> Vec<HttpRequest> {
    provider
        .missing_endpoint(kind)
        .map_or_else(Vec::new, |_| provider.documents())
}

#[test]
fn a_server_is_asked_for_its_addresses_where_it_describes_itself() {
    let places: Vec<_> = discovery(&device(undiscovered()), Kind::Prepare)
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
        discovery(&device(bare), Kind::Prepare).len(),
        2,
        "without a path two are one"
    );
    for kind in KINDS {
        assert!(discovery(&device(server()), kind).is_empty(), "all is known: {kind:?}");
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
    assert!(KINDS.into_iter().all(|kind| discovery(&known, kind).is_empty()));
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
        (String::new(), MetadataError::Unreadable),
        ("[]".to_owned(), MetadataError::Unreadable),
        (
            swap("id.example/tenant/", "id.example/tenant"),
            MetadataError::AnotherIssuer,
        ),
        (swap("id.example", "evil.example"), MetadataError::AnotherIssuer),
        ("{}".to_owned(), MetadataError::AnotherIssuer),
    ] {
        assert_eq!(learn(&code(undiscovered()), &document).err(), Some(why), "{document}");
    }
    let page = response(404, JSON, DOCUMENT.as_bytes());
    assert_eq!(code(undiscovered()).merge(&page).err(), Some(MetadataError::Unreadable));
    let page = response(200, HTML, b"<html>log in</html>");
    assert_eq!(code(undiscovered()).merge(&page).err(), Some(MetadataError::Unreadable));
}

#[test]
fn a_description_is_known_by_its_issuer_and_not_by_its_wrapping() {
    let inner = DOCUMENT.trim().trim_start_matches('{');
    let odd = [
        b"\xef\xbb\xbf{\"x\":[1e999,\"\\ud800\",\"\xfc\"],".as_slice(),
        inner.as_bytes(),
    ]
    .concat();
    for headers in [HTML, &[], JSON] {
        let learned = code(undiscovered()).merge(&response(200, headers, &odd)).unwrap();
        assert!(learned.missing_endpoint(Kind::Refresh).is_none());
        assert!(learned.missing_endpoint(Kind::Authorize).is_none());
    }
}

/// A fault in a description concerns only the requests that need the faulty part. A refresh needs
/// the least.
#[test]
fn a_request_needs_its_own_addresses_and_no_others() {
    const TOKEN: [Kind; 4] = [Kind::Prepare, Kind::Refresh, Kind::Exchange, Kind::Poll];
    let lacking = |provider: &Provider, document: &str| {
        let known = learn(provider, document).unwrap();
        let kinds: Vec<_> = KINDS
            .into_iter()
            .filter(|kind| known.missing_endpoint(*kind).is_some())
            .collect();
        let why = kinds.first().and_then(|kind| known.missing_endpoint(*kind));
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
            Some(MetadataError::BadEndpoint("token_endpoint")),
        ),
        (
            swap("token_endpoint", "nothing"),
            with_token(Kind::Authorize),
            Some(MetadataError::NoEndpoint("token_endpoint")),
        ),
        // It may be in another place.
        (
            swap("\"https://r.example/revoke\"", "7"),
            vec![Kind::Revoke],
            Some(MetadataError::BadEndpoint("revocation_endpoint")),
        ),
        (
            swap("revocation_endpoint", "nothing"),
            vec![Kind::Revoke],
            Some(MetadataError::NoEndpoint("revocation_endpoint")),
        ),
        (
            swap("\"authorization_endpoint", "\"nothing"),
            vec![Kind::Authorize],
            Some(MetadataError::NoEndpoint("authorization_endpoint")),
        ),
        (
            swap("https://d.example/", "ftp://d.example/"),
            vec![Kind::DeviceCode],
            Some(MetadataError::BadEndpoint("device_authorization_endpoint")),
        ),
        (
            swap(",\"S256\"", ""),
            vec![Kind::Authorize],
            Some(MetadataError::NoS256),
        ),
    ] {
        for provider in [code(undiscovered()), device(undiscovered())] {
            let mut found = lacking(&provider, &document);
            found.0.sort_unstable();
            assert_eq!(found, (kinds.clone(), why), "{document}");
        }
    }
    let everywhere = learn(&device(undiscovered()), &swap("revocation_endpoint", "nothing")).unwrap();
    assert_eq!(everywhere.exhausted().missing_endpoint(Kind::Revoke), None);
    // A server's two documents add up.
    let known = learn(
        &device(undiscovered()),
        &swap("device_authorization_endpoint", "nothing"),
    )
    .unwrap();
    let known = learn(&known, DOCUMENT).unwrap();
    assert_eq!(known.missing_endpoint(Kind::DeviceCode), None);
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
    // So is another host that would be shown its tokens. The same host with or without revocation
    // is not.
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
    // Learned addresses do not change whose the tokens are.
    let known = learn(&code(undiscovered()), DOCUMENT).unwrap();
    assert_eq!(known.issuer(), code(undiscovered()).issuer());
}

/// Only a description has two facts: the server's answers always name it, and its PKCE methods lack
/// S256.
#[test]
fn only_a_new_pairing_by_code_is_better_off_with_a_description_that_it_does_not_need() {
    let named = ServerSettings {
        issuer: Some(Issuer::parse("https://id.example/tenant/").unwrap()),
        ..server()
    };
    let wanting = |provider: &Provider| -> Vec<_> {
        let kinds = KINDS.into_iter();
        kinds.filter(|kind| provider.benefits_from_metadata(*kind)).collect()
    };
    let provider = code(named);
    assert_eq!(wanting(&provider), [Kind::Authorize]);
    assert_eq!(wanting(&learn(&provider, DOCUMENT).unwrap()), [], "it was heard");
    assert_eq!(wanting(&code(server())), [], "nobody can be asked");
    assert_eq!(wanting(&provider_of(settings())), []);
}

/// S256 alone counts for a device code, of all that a description says.
#[test]
fn a_new_pairing_by_device_waits_for_the_description_that_decides_about_pkce() {
    for (pkce, waits, blind, known) in [
        (Pkce::Auto, true, false, true),
        (Pkce::S256, false, true, true),
        (Pkce::Off, false, false, false),
    ] {
        let provider = device(ServerSettings {
            issuer: Some(Issuer::parse("https://id.example/tenant/").unwrap()),
            pkce,
            ..server()
        });
        assert_eq!(provider.benefits_from_metadata(Kind::DeviceCode), waits, "{pkce:?}");
        assert!(!provider.benefits_from_metadata(Kind::Refresh), "{pkce:?}");
        assert_eq!(provider.proves_device_codes(), blind, "{pkce:?} without a description");
        let heard = learn(&provider, DOCUMENT).unwrap();
        assert!(!heard.benefits_from_metadata(Kind::DeviceCode), "{pkce:?}");
        assert_eq!(heard.proves_device_codes(), known, "{pkce:?}");
        let silent = DOCUMENT.replace("\"S256\"", "\"other\"");
        let silent = learn(&provider, &silent).map(|provider| provider.proves_device_codes());
        assert_eq!(silent.ok(), Some(blind), "{pkce:?}: another method");
    }
}

#[test]
fn what_is_written_is_not_left_to_the_server() {
    let left = |settings: ServerSettings| -> Vec<_> {
        let provider = code(settings);
        let mut kinds: Vec<_> = KINDS
            .into_iter()
            .filter(|kind| provider.leaves_to_server(*kind))
            .collect();
        kinds.sort_unstable();
        kinds
    };
    let token = [Kind::Poll, Kind::Prepare, Kind::Refresh, Kind::Exchange];
    assert_eq!(
        left(undiscovered()),
        [
            &[Kind::DeviceCode][..],
            &token[..3],
            &[Kind::Revoke, Kind::Authorize],
            &token[3..]
        ]
        .concat()
    );
    let mut partly = undiscovered();
    partly.endpoints.token = Some(at("/token"));
    assert_eq!(left(partly), [Kind::DeviceCode, Kind::Revoke, Kind::Authorize]);
    assert_eq!(left(server()), []);
}
