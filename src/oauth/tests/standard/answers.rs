//! The meaning of each word of a standard server.

use super::*;

#[test]
fn a_refresh_ends_a_pairing_by_invalid_grant_and_by_nothing_else() {
    use RefreshAnswer::{ClientRejected, Failed, InvalidGrant, Refused};
    let refused = || Refused(failed(FaultKind::Refused));
    let passes = || Failed(failed(FaultKind::Refused));
    for (status, body, wanted) in [
        (400, r#"{"error":"invalid_grant"}"#, InvalidGrant),
        (
            401,
            r#"{"error":"invalid_grant","error_description":"x"}"#,
            InvalidGrant,
        ),
        (
            403,
            r#"{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}"#,
            InvalidGrant,
        ),
        (403, r#"{"error":"access_denied"}"#, refused()),
        (403, "", passes()),
        (400, "", passes()),
        (404, r#"{"error":"invalid_grant"}"#, refused()),
        (
            429,
            r#"{"error":"invalid_grant"}"#,
            Failed(failed(FaultKind::RateLimited)),
        ),
        (400, r#"{"error":"invalid_request"}"#, refused()),
        (400, r#"{"error":"token_inactive"}"#, refused()),
        (401, DETAILED_401, passes()),
        (400, r#"{"error":"invalid_scope"}"#, refused()),
        (400, r#"{"error":"unsupported_grant_type"}"#, refused()),
        (
            400,
            r#"{"error":"invalid_client"}"#,
            ClientRejected(OAuthErrorCode::Client),
        ),
        (
            401,
            r#"{"error":"invalid_client"}"#,
            ClientRejected(OAuthErrorCode::Client),
        ),
        (
            400,
            r#"{"error":"unauthorized_client"}"#,
            ClientRejected(OAuthErrorCode::Unauthorized),
        ),
        (
            403,
            r#"{"error":"unauthorized_client"}"#,
            ClientRejected(OAuthErrorCode::Unauthorized),
        ),
        (503, r#"{"error":"invalid_grant"}"#, passes()),
        (500, r#"{"error":"invalid_grant"}"#, Failed(failed(FaultKind::Garbled))),
        (200, r#"{"error":""}"#, Failed(failed(FaultKind::Garbled))),
        (302, "", passes()),
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
        quirks: Quirks::FrameioApplications,
        dead_words: dead_words(Quirks::FrameioApplications),
        ..server()
    });
    let reuse =
        r#"{"error":"token_inactive","error_description":"Token is inactive because it is malformed, expired"}"#;
    for status in [400, 401] {
        assert_eq!(
            said(&frameio, Kind::Refresh, status, reuse),
            Answer::Refresh(RefreshAnswer::InvalidGrant)
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
    assert_eq!((grant.refresh, grant.expires_in), (Ok(None), Duration::from_secs(3600)));
}

/// With 0 at its word, a device without a refresh token would be paired for a second, and one with
/// it would refresh without end.
#[test]
fn a_lifetime_that_is_none_is_the_default() {
    for (said_life, seconds) in [
        ("0", 3600),
        ("0.0", 3600),
        ("-5", 3600),
        ("-0.5", 3600),
        ("\"0\"", 3600),
        ("\"-1\"", 3600),
        ("\"soon\"", 3600),
        ("\"\"", 3600),
        ("null", 3600),
        ("[]", 3600),
        ("0.5", 1),
        ("7.9", 7),
        ("\"7\"", 7),
        ("1e300", 90 * 86_400),
    ] {
        let body = format!(r#"{{"access_token":"A","token_type":"bearer","expires_in":{said_life}}}"#);
        for (provider, kind) in [
            (code(server()), Kind::Refresh),
            (code(server()), Kind::Exchange),
            (device(server()), Kind::Poll),
        ] {
            let life = match said(&provider, kind, 200, &body) {
                Answer::Refresh(RefreshAnswer::Granted(grant))
                | Answer::Exchange(ExchangeAnswer::Granted(grant))
                | Answer::Poll(PollAnswer::Granted(grant)) => grant.expires_in,
                other => panic!("{body}: {other:?}"),
            };
            assert_eq!(life, Duration::from_secs(seconds), "{kind:?} {body}");
        }
    }
}

#[test]
fn a_code_is_bought_once_and_refused_for_good() {
    use ExchangeAnswer::{ClientRejected, Failed, InvalidGrant};
    for (status, body, wanted) in [
        (
            400,
            r#"{"error":"invalid_grant"}"#,
            InvalidGrant(OAuthErrorCode::Grant, ErrorCode::new("invalid_grant")),
        ),
        (
            400,
            r#"{"error":"invalid_request"}"#,
            InvalidGrant(OAuthErrorCode::Request, ErrorCode::new("invalid_request")),
        ),
        (
            400,
            r#"{"error":"invalid_scope"}"#,
            InvalidGrant(OAuthErrorCode::Scope, ErrorCode::new("invalid_scope")),
        ),
        (
            400,
            r#"{"error":"something_new"}"#,
            InvalidGrant(OAuthErrorCode::Other, ErrorCode::new("something_new")),
        ),
        (
            401,
            r#"{"error":"invalid_client"}"#,
            ClientRejected(OAuthErrorCode::Client),
        ),
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
    // The interval is the server's, beyond a minute too. `name` is Frame.io's and nobody else's.
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
fn both_members_are_understood_in_both_spellings() {
    let grant = |members: &str| {
        let body = format!(r#"{{"device_code":"D","user_code":"A",{members}}}"#);
        match said(&device(server()), Kind::DeviceCode, 200, &body) {
            Answer::Code(CodeAnswer::Granted(code)) => code,
            other => panic!("{members}: {other:?}"),
        }
    };
    let complete = |members: &str| {
        let code = grant(members);
        let complete = code.verification_uri_complete.map(|uri| uri.expose().to_owned());
        (code.verification_uri, complete)
    };
    let (page, whole) = (
        "https://e.example/d".to_owned(),
        Some("https://e.example/d?c=A".to_owned()),
    );
    for (uri, both) in [("uri", "uri"), ("url", "url"), ("uri", "url"), ("url", "uri")] {
        let members = format!(
            r#""verification_{uri}":"https://e.example/d","verification_{both}_complete":"https://e.example/d?c=A""#
        );
        assert_eq!(complete(&members), (page.clone(), whole.clone()), "{members}");
    }
    // The one that may be shown counts, whichever it is.
    let mixed = r#""verification_uri":"http://e.example/","verification_url":"https://e.example/d",
        "verification_uri_complete":"http://e.example/","verification_url_complete":"https://e.example/d?c=A""#;
    assert_eq!(complete(mixed), (page.clone(), whole));
    let unsafe_link = r#""verification_url":"https://e.example/d","verification_url_complete":"http://e.example/""#;
    assert_eq!(complete(unsafe_link), (page, None));
}

#[test]
fn a_code_of_digits_may_lack_its_quotes() {
    let asked = |provider: &Provider, value: &str| {
        let body = format!(r#"{{"device_code":"D","user_code":{value},"verification_uri":"https://e.example"}}"#);
        match said(provider, Kind::DeviceCode, 200, &body) {
            Answer::Code(CodeAnswer::Granted(code)) => Some(code.user_code.expose().to_owned()),
            Answer::Code(CodeAnswer::BadUserCode) => None,
            other => panic!("{value}: {other:?}"),
        }
    };
    let rfc = device(server());
    for digits in ["772443", "7", "012345", "123456789012345678901234567890"] {
        assert_eq!(asked(&rfc, digits).as_deref(), Some(digits));
        assert_eq!(
            asked(&provider_of(settings()), digits),
            None,
            "six digits are promised there, and quotes"
        );
    }
    for no_digits in ["-1", "1.5", "1e5", "true", "null", "[1]", "{}", "\"\""] {
        assert_eq!(asked(&rfc, no_digits), None, "{no_digits}");
    }
}

#[test]
fn an_interval_and_a_life_may_be_text() {
    let body = r#"{"device_code":"D","user_code":"A","verification_uri":"https://e.example","interval":"7",
        "expires_in":"600"}"#;
    let Answer::Code(CodeAnswer::Granted(code)) = said(&device(server()), Kind::DeviceCode, 200, body) else {
        panic!("no code");
    };
    assert_eq!(
        (code.interval, code.expires_in),
        (Duration::from_secs(7), Duration::from_secs(600))
    );
}

#[test]
fn polls_go_on_by_two_words_only() {
    use PollAnswer::{ClientRejected, CodeUnknown, Denied, Expired, Failed, Pending};
    let unknown = |word| CodeUnknown(ErrorCode::new(word));
    for (status, word, wanted) in [
        (400, "authorization_pending", Pending),
        (428, "authorization_pending", Pending),
        (400, "slow_down", PollAnswer::SlowDown(None, None)),
        (429, "slow_down", PollAnswer::SlowDown(None, None)),
        (400, "access_denied", Denied),
        (400, "authorization_declined", Denied),
        (400, "expired_token", Expired),
        (400, "invalid_grant", unknown("invalid_grant")),
        (400, "invalid_request", unknown("invalid_request")),
        (400, "unsupported_grant_type", ClientRejected(OAuthErrorCode::GrantType)),
        (400, "invalid_scope", ClientRejected(OAuthErrorCode::Scope)),
        (400, "bad_verification_code", unknown("bad_verification_code")),
        (400, "", CodeUnknown(None)),
        (401, "invalid_client", ClientRejected(OAuthErrorCode::Client)),
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
fn an_error_that_repeats_the_client_secret_is_not_named() {
    let secret = server().client_secret.unwrap();
    let body = format!(r#"{{"error":"no {}"}}"#, secret.expose());
    assert_eq!(
        said(&device(server()), Kind::Poll, 400, &body),
        Answer::Poll(PollAnswer::CodeUnknown(None))
    );
    assert_eq!(
        said(&code(server()), Kind::Exchange, 400, &body),
        Answer::Exchange(ExchangeAnswer::InvalidGrant(OAuthErrorCode::Other, None))
    );
}

#[test]
fn a_server_that_wants_slower_polls_says_how_slow() {
    let headers = [("content-type", "application/json"), ("retry-after", "60")];
    let answer = device(server()).answer(Kind::Poll, &response(429, &headers, br#"{"error":"slow_down"}"#));
    assert_eq!(
        answer,
        Answer::Poll(PollAnswer::SlowDown(Some(Duration::from_secs(60)), None))
    );
}

#[test]
fn no_code_comes_of_asking_again_where_the_request_itself_is_refused() {
    use CodeAnswer::{ClientRejected, Failed};
    for (status, word, wanted) in [
        (401, "invalid_client", ClientRejected(OAuthErrorCode::Client)),
        (400, "unauthorized_client", ClientRejected(OAuthErrorCode::Unauthorized)),
        (400, "invalid_scope", ClientRejected(OAuthErrorCode::Scope)),
        (400, "invalid_request", ClientRejected(OAuthErrorCode::Request)),
        (400, "unsupported_grant_type", ClientRejected(OAuthErrorCode::GrantType)),
        (429, "invalid_request", Failed(failed(FaultKind::RateLimited))),
        (503, "invalid_request", Failed(failed(FaultKind::Refused))),
        (400, "temporarily_unavailable", Failed(failed(FaultKind::Refused))),
        (400, "something_new", Failed(failed(FaultKind::Refused))),
    ] {
        let body = format!(r#"{{"error":"{word}"}}"#);
        assert_eq!(
            said(&device(server()), Kind::DeviceCode, status, &body),
            Answer::Code(wanted),
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
        (200, "done", Done),
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
    // The first is a framework's default answer, the second a captive portal's.
    for (body, wanted) in [("", Done), ("<html>", Failed(failed(FaultKind::Garbled)))] {
        assert_eq!(
            code(server()).answer(Kind::Revoke, &response(200, HTML, body.as_bytes())),
            Answer::Revoke(wanted),
            "{body:?}"
        );
    }
}

#[test]
fn the_headers_of_frameios_rate_limit_mean_nothing_elsewhere() {
    let used_up = [("x-ratelimit-remaining", "0"), ("x-ratelimit-window", "1500")];
    for (_, provider) in every() {
        for (kind, status) in KINDS.into_iter().flat_map(|kind| [(kind, 429), (kind, 503)]) {
            let fault = provider.answer(kind, &response(status, &used_up, b"")).fault().unwrap();
            assert_eq!(fault.retry_after, None, "{kind:?} {status}");
        }
    }
}
