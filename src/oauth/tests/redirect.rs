//! The address that a browser comes back with: anybody may have written it.

use super::*;
use c2c_auth_core::{Redirect, RedirectOutcome};

fn provider(redirect: &str, issuer: Option<&str>) -> OauthCode {
    let settings = ServerSettings {
        client_id: "c".to_owned(),
        client_secret: None,
        auth: ClientAuth::None,
        scope: None,
        issuer: issuer.map(|issuer| Issuer::parse(issuer).unwrap()),
        endpoints: Endpoints::default(),
        ..ServerSettings::default()
    };
    OauthCode::new(settings, RedirectUri::parse(redirect).unwrap())
}

fn read(redirect: &str, address: &str) -> Result<Redirect, RedirectError> {
    provider(redirect, None).redirected(address)
}

const HERE: &str = "http://127.0.0.1:8910/callback";

fn at_here(query: &str) -> Result<Redirect, RedirectError> {
    read(HERE, &format!("{HERE}?{query}"))
}

#[test]
fn a_code_and_its_state_are_read() {
    // RFC 6749 §4.1.2.
    let redirect = at_here("code=SplxlOBeZQQYbYS6WxSbIA&state=xyz").unwrap();
    assert_eq!(redirect.state.expose(), "xyz");
    let RedirectOutcome::Code(code) = redirect.outcome else {
        panic!()
    };
    assert_eq!(code.expose(), "SplxlOBeZQQYbYS6WxSbIA");
    // Encoded, beside what nobody knows (RFC 6749 §4.1.2: to be ignored, however often it comes),
    // before a fragment.
    let redirect = at_here("scope=a&scope=b&state=x%2By&code=4%2F0%20A&session_state=1#_=_").unwrap();
    assert_eq!(redirect.state.expose(), "x+y");
    assert!(matches!(redirect.outcome, RedirectOutcome::Code(code) if code.expose() == "4/0 A"));
}

#[test]
fn errors_become_what_the_core_knows() {
    use RedirectOutcome::{ClientRejected, Denied, Failed};
    for (word, wanted) in [
        ("access_denied", Denied),
        ("authorization_declined", Denied),
        ("unauthorized_client", ClientRejected(OAuthErrorCode::Unauthorized)),
        ("invalid_scope", ClientRejected(OAuthErrorCode::Scope)),
        ("invalid_request", ClientRejected(OAuthErrorCode::Request)),
        (
            "unsupported_response_type",
            ClientRejected(OAuthErrorCode::ResponseType),
        ),
        ("server_error", Failed),
        ("temporarily_unavailable", Failed),
        ("login_required", Failed),
    ] {
        let read = at_here(&format!("error={word}&state=xyz&error_description=x")).unwrap();
        assert_eq!(read.outcome, wanted, "{word}");
    }
}

#[test]
fn what_is_not_an_answer_is_none() {
    for (query, why) in [
        ("", RedirectError::NoState),
        ("code=a", RedirectError::NoState),
        ("code=a&state=", RedirectError::NoState),
        ("code=a&state=%00", RedirectError::NoState),
        ("state=x", RedirectError::Nothing),
        ("state=x&code=", RedirectError::Nothing),
        ("state=x&code=a%0Ab", RedirectError::Nothing),
        ("state=x&code=%FF", RedirectError::Nothing),
        ("state=x&error=", RedirectError::Nothing),
        ("state=x&code=a&error=access_denied", RedirectError::Nothing),
        ("state=x&state=x&code=a", RedirectError::Repeated),
        ("state=x&code=a&code=b", RedirectError::Repeated),
        ("state=x&code=a&%63ode=b", RedirectError::Repeated),
        ("state=x&error=a&error=a", RedirectError::Repeated),
        ("state=x&code=a&iss=a&iss=a", RedirectError::Repeated),
    ] {
        assert_eq!(at_here(query), Err(why), "{query}");
    }
    let long = format!("state=x&code={}", "a".repeat(REDIRECT_MAX));
    assert_eq!(at_here(&long), Err(RedirectError::TooLong));
}

#[test]
fn the_address_is_the_redirect_uri() {
    let ours = |redirect: &str, address: &str| read(redirect, &format!("{address}?state=x&code=a")).is_ok();
    for (redirect, address) in [
        (HERE, HERE),
        (HERE, "HTTP://127.0.0.1:8910/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:41234/callback"),
        ("http://[::1]/callback", "http://[::1]:41234/callback"),
        ("http://localhost:8910", "http://localhost:8910/"),
        ("https://app.example/cb", "https://APP.example:443/cb"),
        ("com.example.app:/cb", "com.example.app:/cb"),
        ("adobe+x://adobeid/y", "adobe+x://adobeid/y"),
    ] {
        assert!(ours(redirect, address), "{redirect} {address}");
    }
    for (redirect, address) in [
        (HERE, "http://127.0.0.1:8911/callback"),
        (HERE, "http://127.0.0.1/callback"),
        (HERE, "https://127.0.0.1:8910/callback"),
        (HERE, "http://localhost:8910/callback"),
        (HERE, "http://127.0.0.1:8910/callback/"),
        (HERE, "http://127.0.0.1:8910/"),
        (HERE, "http://127.0.0.1:8910/Callback"),
        (HERE, "http://x@127.0.0.1:8910/callback"),
        (HERE, "/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1.evil.example/callback"),
        ("https://app.example/cb", "https://app.example:8443/cb"),
        ("https://app.example/cb", "http://app.example/cb"),
        ("com.example.app:/cb", "com.example.app://cb"),
        ("com.example.app:/cb", "com.example.other:/cb"),
    ] {
        assert!(!ours(redirect, address), "{redirect} {address}");
    }
}

// RFC 9207 §2.4.
#[test]
fn an_issuer_that_is_named_is_the_one_that_was_asked() {
    let provider = provider(HERE, Some("https://id.example"));
    let read = |provider: &OauthCode, query: &str| provider.redirected(&format!("{HERE}?state=x&code=a{query}"));
    assert!(read(&provider, "").is_ok());
    assert!(read(&provider, "&iss=https%3A%2F%2Fid.example").is_ok());
    for other in ["https%3A%2F%2Fid.example%2F", "https%3A%2F%2Fevil.example", ""] {
        assert_eq!(
            read(&provider, &format!("&iss={other}")),
            Err(RedirectError::AnotherIssuer),
            "{other}"
        );
    }
    let mut promised = provider;
    promised.server.metadata.get_or_insert_default().names_issuer = true;
    assert_eq!(read(&promised, ""), Err(RedirectError::AnotherIssuer));
    assert!(read(&promised, "&iss=https%3A%2F%2Fid.example").is_ok());
}

#[test]
fn a_redirect_uri_says_where_to_listen() {
    let uri = |text: &str| RedirectUri::parse(text).unwrap();
    for (text, loopback, port, path, host) in [
        ("http://127.0.0.1/cb", true, None, "/cb", "127.0.0.1"),
        ("http://127.0.0.1:8910", true, Some(8910), "/", "127.0.0.1:8910"),
        ("http://[::1]:80/cb", true, Some(80), "/cb", "[::1]"),
        ("http://LOCALHOST:1/Cb", true, Some(1), "/Cb", "localhost:1"),
        ("https://localhost/cb", false, None, "/cb", "localhost"),
        ("com.example.app:/cb", false, None, "/cb", ""),
    ] {
        let uri = uri(text);
        assert_eq!(
            (uri.is_loopback(), uri.port(), uri.path(), uri.host_header()),
            (loopback, port, path, host.to_owned()),
            "{text}"
        );
    }
    // A server compares letter by letter, but for the port: nothing may be added to what is
    // registered.
    assert_eq!(
        uri("http://127.0.0.1").at_port(41234).to_string(),
        "http://127.0.0.1:41234"
    );
    assert_eq!(uri("http://[::1]/cb").at_port(5).to_string(), "http://[::1]:5/cb");
    assert_eq!(uri("com.example.app:/cb").to_string(), "com.example.app:/cb");
    for (bad, why) in [
        ("", UriError::NoScheme),
        ("/cb", UriError::NoScheme),
        ("http://", UriError::Host),
        ("http:/cb", UriError::NoHost),
        ("1x:/cb", UriError::Scheme),
        ("http://127.0.0.1:0/", UriError::Port),
        ("http://127.0.0.1:x/", UriError::Port),
        ("http://[::1/", UriError::Bracket),
        ("http://127.0.0.1/a b", UriError::RedirectCharacter),
        ("http://127.0.0.1/?a", UriError::RedirectSurplus),
        ("http://127.0.0.1/#a", UriError::RedirectSurplus),
        ("http://u@127.0.0.1/", UriError::RedirectSurplus),
        ("http://192.0.2.1/cb", UriError::InClear),
        ("http://localhost.example/cb", UriError::InClear),
    ] {
        assert_eq!(RedirectUri::parse(bad), Err(why), "{bad}");
    }
}

#[test]
fn what_is_registered_is_taken_and_sent_as_it_is() {
    for (text, good) in [
        ("http://127.0.0.1/callback", true),
        ("http://127.0.0.1:8080/callback", true),
        ("http://[::1]/cb", true),
        ("http://LOCALHOST/cb", true),
        ("https://App.Example/cb", true),
        ("https://app.example:8443/cb", true),
        ("com.example.app:/cb", true),
        ("com.example.app:///cb", true),
        ("com.example.app://host/cb", true),
        ("http://192.0.2.1/cb", false),
        ("http://localhost.example/cb", false),
        ("http://127.0.0.1:0/cb", false),
        ("http:///cb", false),
        ("https:///cb", false),
        ("https:/cb", false),
        ("com.example.app:", false),
        ("com.example.app://", false),
        ("https://a.example/cb?x", false),
        ("https://a.example/cb#x", false),
        ("https://u@a.example/cb", false),
        ("/cb", false),
        ("", false),
    ] {
        let read = RedirectUri::parse(text);
        assert_eq!(read.is_ok(), good, "{text}");
        assert!(read.is_err() || read.unwrap().to_string() == text, "{text}");
    }
}

#[test]
fn other_kinds_have_no_redirect() {
    assert!(provider_of(settings()).redirected(HERE).is_none());
}

proptest! {
    #[test]
    fn no_address_panics_or_passes_without_a_state(tail in "\\PC{0,80}", noise in "[?&=%#/:@a-z0-9]{0,60}") {
        for address in [format!("{HERE}{tail}"), format!("{HERE}{noise}"), tail.clone(), noise.clone()] {
            let _ = RedirectUri::parse(&address);
            if let Ok(redirect) = read(HERE, &address) {
                prop_assert!(address.contains("state=") || address.contains('%'));
                prop_assert!(redirect.state.expose().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            }
        }
    }
}
