//! Why answers are dropped, in fixed words.

use super::standard::{device, server};
use super::*;

fn why(provider: &Provider, kind: Kind, response: &HttpResponse) -> String {
    let failed = provider.answer(kind, response).fault().is_some();
    assert!(failed, "{kind:?} {response:?} is no answer that is dropped");
    provider.dropped(kind, response, &[]).to_string()
}

fn json(status: u16, body: &str) -> HttpResponse {
    response(status, JSON, body.as_bytes())
}

fn too_large(status: u16) -> HttpResponse {
    HttpResponse {
        body: Err(9),
        ..response(status, JSON, b"")
    }
}

#[test]
fn each_dropped_answer_has_its_status_and_a_fixed_word() {
    let rfc = device(server());
    let long = "a".repeat(32_769);
    let code = |members: &str| json(200, &format!(r#"{{"user_code":"ABC",{members}}}"#));
    let cases = [
        (code(r#""device_code":"D""#), "status 200: no verification_uri"),
        (
            code(r#""device_code":"D","verification_uri":"http://h/x""#),
            "status 200: verification_uri is not https",
        ),
        (
            code(r#""device_code":"D","verification_url":"http://h/x""#),
            "status 200: verification_url is not https",
        ),
        (
            code(r#""verification_uri":"https://h/x""#),
            "status 200: no device_code",
        ),
        (
            code(&format!(r#""device_code":"{long}","verification_uri":"https://h/x""#)),
            "status 200: token too long: device_code has 32769 bytes, 32768 are taken",
        ),
        (
            code(r#""device_code":"a b","verification_uri":"https://h/x""#),
            "status 200: device_code holds characters that no token may hold",
        ),
        (response(302, &[], b""), "status 302: redirect"),
        (json(307, "{}"), "status 307: redirect"),
        (too_large(200), "status 200: too large: the body has more than 9 bytes"),
        (
            json(400, r#"{"message":"invalid_client"}"#),
            "status 400: no error word",
        ),
        (
            json(503, r#"{"errorCode":"E0000009"}"#),
            "status 503: error \"E0000009\"",
        ),
        (
            json(400, r#"{"error":"my_own_word"}"#),
            "status 400: error \"my_own_word\"",
        ),
        (
            json(400, &format!(r#"{{"error":"{}"}}"#, "e".repeat(41))),
            "status 400: unknown error word",
        ),
        (json(400, r#"{"error":"a\"b"}"#), "status 400: unknown error word"),
        (json(400, r#"{"error":"gX1fBat3bV"}"#), "status 400: unknown error word"),
        (json(429, r#"{"error":"x"}"#), "status 429: too many requests"),
        (json(503, "busy"), "status 503: not JSON"),
        (response(502, HTML, b"<html>"), "status 502: not JSON but a web page"),
        (response(200, HTML, b"<html>"), "status 200: not JSON but a web page"),
        (json(200, ""), "status 200: no body"),
        (json(200, "[]"), "status 200: not JSON"),
    ];
    for (response, wanted) in cases {
        assert_eq!(why(&rfc, Kind::DeviceCode, &response), wanted);
    }
    // It may repeat the user code.
    let repeats = json(503, r#"{"error":"no such code 772443"}"#);
    assert_eq!(why(&rfc, Kind::Poll, &repeats), "status 503: unknown error word");
    for (body, wanted) in [
        ("{}".to_owned(), "status 200: no access_token"),
        (
            r#"{"error":"server_error"}"#.to_owned(),
            "status 200: error \"server_error\"",
        ),
        (
            format!(r#"{{"access_token":"{long}"}}"#),
            "status 200: token too long: access_token has 32769 bytes, 32768 are taken",
        ),
        (
            r#"{"access_token":"A","token_type":"mac"}"#.to_owned(),
            "status 200: token_type is not Bearer",
        ),
        (
            r#"{"refresh_token":"a b"}"#.to_owned(),
            "status 200: refresh_token holds characters that no token may hold",
        ),
    ] {
        for provider in [rfc.clone(), provider_of(settings())] {
            assert_eq!(why(&provider, Kind::Poll, &json(200, &body)), wanted);
        }
    }
}

#[test]
fn every_kind_of_request_says_why() {
    let c2c = provider_of(settings());
    for kind in KINDS {
        for (response, wanted) in [
            (json(503, "{}"), "status 503: no error word"),
            (response(504, HTML, b"<html>"), "status 504: not JSON but a web page"),
            (json(429, ""), "status 429: too many requests"),
            (too_large(500), "status 500: too large: the body has more than 9 bytes"),
        ] {
            assert_eq!(why(&c2c, kind, &response), wanted, "{kind:?}");
        }
    }
    let page = response(200, HTML, b"<html>");
    for kind in [Kind::Probe, Kind::Heartbeat, Kind::Revoke] {
        assert_eq!(
            why(&c2c, kind, &page),
            "status 200: not JSON but a web page",
            "{kind:?}"
        );
    }
    let framed = response(200, HTML, b"{}");
    assert_eq!(why(&c2c, Kind::Probe, &framed), "status 200: not JSON but a web page");
}

#[test]
fn an_error_word_that_repeats_what_was_sent_is_not_named() {
    let c2c = provider_of(settings());
    let token = RefreshToken::new("canary-refresh-token".to_owned());
    let request = Request::Refresh {
        on: OpId(1),
        token: token.clone(),
        patience: None,
    };
    for word in ["canary-refresh-token", "CANARYREFRESH", "no such token: refresh-tok"] {
        let answer = json(503, &format!(r#"{{"error":"{word}"}}"#));
        let dropped = c2c.dropped(Kind::Refresh, &answer, &carried(&request)).to_string();
        assert_eq!(dropped, "status 503: unknown error word", "{word}");
    }
}

proptest! {
    #[test]
    fn nothing_of_a_body_is_said_but_an_error_word(body in "[ -~]{0,60}", status in 200_u16..600) {
        let text = format!("{{\"canary\":\"canary {}\"}}", body.replace(['"', '\\'], ""));
        for provider in [provider_of(settings()), device(server())] {
            for kind in KINDS {
                let said = provider.dropped(kind, &json(status, &text), &[]).to_string();
                prop_assert!(!said.contains("canary"), "{}", said);
            }
        }
    }
}

/// The servers' own sentences are told, but for those that repeat the secret in a form in which a
/// request carries it.
#[test]
fn an_explanation_that_repeats_the_secret_as_it_was_sent_is_left_out() {
    let secret = |text: &str| ServerSettings {
        client_id: "cam".to_owned(),
        client_secret: Some(Secret::new(text.to_owned())),
        ..server()
    };
    let said = |text: &str, words: &str| {
        let refusal = json(400, &format!(r#"{{"error":"x","error_description":"{words}"}}"#));
        device(secret(text)).explanation(&refusal, &[])
    };
    let (text, basic) = ("Zx9-kQ2_vT7.mW4b", "Y2FtOlp4OS1rUTJfdlQ3Lm1XNGI=");
    assert_eq!(said(text, "try again").as_deref(), Some("try again"));
    assert_eq!(said(text, &format!("bad header: Basic {basic}")), None);
    assert_eq!(said("p@ss/w&rd", "bad secret p%40ss%2Fw%26rd"), None);
}
