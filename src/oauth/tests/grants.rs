//! The meaning of Frame.io's answers to codes, polls and refreshes.

use super::*;

// Codes

#[test]
fn the_documented_code_is_read() {
    let code = granted_code(CODE);
    assert_eq!(code.device_code.expose(), "DC");
    assert_eq!(code.user_code.expose(), "098765");
    assert_eq!(code.verification_uri, "https://next.frame.io/pair");
    assert_eq!(
        code.verification_uri_complete.unwrap().expose(),
        "https://next.frame.io/pair/098765"
    );
    assert_eq!(code.device_name, "Cam-1");
    assert_eq!((code.expires_in.as_secs(), code.interval.as_secs()), (120, 5));
}

#[test]
fn a_code_without_addresses_names_the_documented_page() {
    let code = granted_code(r#"{"device_code":"DC","user_code":"000000","verification_uri_complete":null}"#);
    assert_eq!(code.verification_uri, "https://next.frame.io/pair");
    assert_eq!(code.verification_uri_complete, None);
    assert_eq!((code.expires_in.as_secs(), code.interval.as_secs()), (120, 5));
    assert_eq!(code.device_name, "");
}

#[test]
fn nobody_is_sent_to_an_address_that_is_not_https() {
    for bad in [
        r#""javascript:alert(1)""#,
        r#""http://next.frame.io/pair""#,
        "7",
        r#""https://a@b""#,
    ] {
        let code = granted_code(&format!(
            r#"{{"device_code":"DC","user_code":"000000","verification_uri":{bad},"verification_uri_complete":{bad}}}"#
        ));
        assert_eq!(code.verification_uri, "https://next.frame.io/pair", "{bad}");
        assert_eq!(code.verification_uri_complete, None, "{bad}");
    }
}

#[test]
fn a_user_code_that_is_not_six_digits_is_not_shown() {
    for bad in [
        r#""12345""#,
        r#""1234567""#,
        r#""12345a""#,
        r#""١٢٣٤٥٦""#,
        r#""123456\u200b""#,
        r#"" 23456""#,
        r#""""#,
        "123456",
        "null",
    ] {
        let body = format!(r#"{{"device_code":"DC","user_code":{bad}}}"#);
        assert_eq!(
            answer(Kind::DeviceCode, 200, JSON, &body),
            Answer::Code(CodeAnswer::BadUserCode),
            "{bad}"
        );
    }
}

#[test]
fn a_code_request_ends_in_a_code_a_rejected_client_or_a_fault() {
    let of = |status, headers, body| answer(Kind::DeviceCode, status, headers, body);
    assert_eq!(
        of(400, JSON, r#"{"error":"invalid_client"}"#),
        Answer::Code(CodeAnswer::ClientRejected(OAuthErrorCode::Client))
    );
    for (status, headers, body, kind) in [
        (400, JSON, r#"{"error":"bad_request"}"#, FaultKind::Refused),
        (400, HTML, r#"{"error":"invalid_client"}"#, FaultKind::Refused),
        (500, JSON, r#"{"error":"invalid_client"}"#, FaultKind::Garbled),
        (200, JSON, r#"{"user_code":"123456"}"#, FaultKind::Garbled),
        (
            200,
            JSON,
            r#"{"device_code":"a b","user_code":"123456"}"#,
            FaultKind::Garbled,
        ),
        (302, HTML, "", FaultKind::Refused),
    ] {
        assert_eq!(of(status, headers, body).fault(), Some(failed(kind)), "{status} {body}");
    }
}

#[test]
fn junk_numbers_of_a_code_are_clamped() {
    for (expires, interval, wanted) in [
        ("119.9", "5.1", (119, 6)),
        ("0", "0", (120, 5)),
        ("-3", "-1", (120, 5)),
        ("1e300", "1e300", (1800, 60)),
        ("0.2", "0.2", (1, 1)),
        ("\"NaN\"", "\"inf\"", (120, 5)),
        ("\"60\"", "\"7\"", (60, 7)),
        ("[]", "{}", (120, 5)),
        ("true", "null", (120, 5)),
        ("18446744073709551616", "18446744073709551615", (1800, 60)),
        ("1e999", "-1e999", (120, 5)),
    ] {
        let code = granted_code(&format!(
            r#"{{"device_code":"DC","user_code":"000000","expires_in":{expires},"interval":{interval}}}"#
        ));
        assert_eq!(
            (code.expires_in.as_secs(), code.interval.as_secs()),
            wanted,
            "{expires} {interval}"
        );
    }
}

// Polls

#[test]
fn each_word_of_a_poll_has_its_meaning() {
    for (word, wanted) in [
        ("authorization_pending", PollAnswer::Pending),
        ("slow_down", PollAnswer::SlowDown(None, None)),
        ("expired_token", PollAnswer::Expired),
        ("access_denied", PollAnswer::Denied),
        ("authorization_declined", PollAnswer::Denied),
        (
            "invalid_grant",
            PollAnswer::CodeUnknown(ErrorCode::new("invalid_grant")),
        ),
        (
            "invalid_request",
            PollAnswer::CodeUnknown(ErrorCode::new("invalid_request")),
        ),
        ("bad_request", PollAnswer::CodeUnknown(ErrorCode::new("bad_request"))),
        ("invalid_client", PollAnswer::ClientRejected(OAuthErrorCode::Client)),
        (
            "unauthorized_client",
            PollAnswer::ClientRejected(OAuthErrorCode::Unauthorized),
        ),
        (
            "bad_verification_code",
            PollAnswer::CodeUnknown(ErrorCode::new("bad_verification_code")),
        ),
        ("server_error", PollAnswer::Failed(failed(FaultKind::Refused))),
        ("", PollAnswer::Failed(failed(FaultKind::Refused))),
    ] {
        assert_eq!(poll(400, &format!(r#"{{"error":"{word}"}}"#)), wanted, "{word}");
    }
    assert_eq!(poll(429, r#"{"error":"slow_down"}"#), PollAnswer::SlowDown(None, None));
    assert_eq!(
        poll(429, r#"{"error":"expired_token"}"#),
        PollAnswer::Failed(failed(FaultKind::RateLimited))
    );
    assert_eq!(
        poll(503, r#"{"error":"expired_token"}"#),
        PollAnswer::Failed(failed(FaultKind::Refused))
    );
}

#[test]
fn an_approved_poll_brings_a_pair() {
    assert_eq!(
        poll(200, PAIR),
        PollAnswer::Granted(TokenGrant {
            access: Ok(AccessToken::new("AT".to_owned())),
            refresh: Ok(Some(RefreshToken::new("RT".to_owned()))),
            expires_in: Duration::from_secs(28_800),
        })
    );
}

// Refreshes

#[test]
fn a_refresh_token_dies_by_three_answers_only() {
    assert_eq!(
        refresh(400, JSON, r#"{"error":"invalid_request"}"#),
        RefreshAnswer::InvalidGrant
    );
    assert_eq!(
        refresh(400, JSON, r#"{"error":"invalid_grant"}"#),
        RefreshAnswer::InvalidGrant
    );
    assert_eq!(
        refresh(401, JSON, r#"{"error":"invalid_grant"}"#),
        RefreshAnswer::InvalidGrant
    );
    assert_eq!(refresh(401, JSON, DETAILED_401), RefreshAnswer::InvalidGrant);
    let more = DETAILED_401.replacen('{', r#"{"errorCode":"y","#, 1);
    assert_eq!(refresh(401, JSON, &more), RefreshAnswer::InvalidGrant);
}

#[test]
fn a_rejected_client_is_no_verdict_on_the_token() {
    for status in [400, 401] {
        assert_eq!(
            refresh(status, JSON, r#"{"error":"invalid_client"}"#),
            RefreshAnswer::ClientRejected(OAuthErrorCode::Client)
        );
    }
}

#[test]
fn nothing_else_is_a_verdict_on_a_refresh_token() {
    use FaultKind::{Garbled, RateLimited, Refused};
    for (status, headers, body, kind) in [
        (400, JSON, r#""invalid_request""#, Refused),
        (400, JSON, r#"["invalid_request"]"#, Refused),
        (400, JSON, r#"{"error":["invalid_request"]}"#, Refused),
        (400, JSON, r#"{"error":{"error":"invalid_request"}}"#, Refused),
        (400, JSON, r#"{"errors":"invalid_request"}"#, Refused),
        (400, JSON, r#"{"error":"invalid_request"}<html>"#, Refused),
        (400, JSON, r#"{"error":"invalid_request""#, Refused),
        (400, JSON, r#"{"error":"bad_request"}"#, Refused),
        (400, JSON, "error=invalid_grant", Refused),
        (400, HTML, r#"{"error":"invalid_grant"}"#, Refused),
        (401, JSON, r#"{"error":"invalid_request"}"#, Refused),
        (401, JSON, r#"{"code":409,"errors":[],"message":"Conflict"}"#, Refused),
        (401, JSON, r#"{"code":401,"message":"Not Authorized"}"#, Refused),
        (
            401,
            JSON,
            r#"{"code":401,"errors":{},"message":"Not Authorized"}"#,
            Refused,
        ),
        (401, HTML, DETAILED_401, Refused),
        (401, JSON, "", Refused),
        (400, JSON, DETAILED_401, Refused),
        (403, JSON, DETAILED_401, Refused),
        (403, JSON, r#"{"error":"invalid_grant"}"#, Refused),
        (404, JSON, r#"{"error":"invalid_grant"}"#, Refused),
        (429, JSON, r#"{"error":"invalid_grant"}"#, RateLimited),
        (302, HTML, r#"{"error":"invalid_grant"}"#, Refused),
        (503, JSON, r#"{"error":"invalid_grant"}"#, Refused),
        (500, JSON, r#"{"error":"invalid_grant"}"#, Garbled),
        (502, HTML, "", Garbled),
        (504, HTML, "", Garbled),
        (520, HTML, "", Garbled),
        (200, JSON, r#"{"error":"invalid_grant"}"#, Garbled),
        (200, HTML, "<html>log in</html>", Garbled),
        (204, JSON, "", Garbled),
    ] {
        assert_eq!(
            refresh(status, headers, body),
            RefreshAnswer::Failed(failed(kind)),
            "{status} {body}"
        );
    }
}

#[test]
fn an_answer_too_long_to_read_is_judged_by_its_status_and_never_final() {
    let provider = provider_of(settings());
    for (status, kind) in [
        (200, FaultKind::Garbled),
        (400, FaultKind::Refused),
        (500, FaultKind::Garbled),
    ] {
        for request in KINDS {
            let mut response = response(status, JSON, b"");
            response.body = Err(9);
            let answer = provider.answer(request, &response);
            if request != Kind::Prepare {
                assert_eq!(answer.fault(), Some(failed(kind)), "{request:?} {status}");
            }
        }
    }
}

/// The grants that the three kinds read from a 2xx: of a refresh, and of the end of a pairing flow.
fn granted(body: &str) -> [Option<TokenGrant>; 6] {
    let kinds = [
        provider_of(settings()),
        standard::device(standard::server()),
        standard::code(standard::server()),
    ];
    let all = kinds.into_iter().flat_map(|provider| {
        let paired = match provider {
            Provider::OauthCode(_) => Kind::Exchange,
            Provider::FrameioC2c(_) | Provider::OauthDevice(_) => Kind::Poll,
        };
        [Kind::Refresh, paired].map(
            |kind| match provider.answer(kind, &response(200, JSON, body.as_bytes())) {
                Answer::Refresh(RefreshAnswer::Granted(grant))
                | Answer::Poll(PollAnswer::Granted(grant))
                | Answer::Exchange(ExchangeAnswer::Granted(grant)) => Some(grant),
                other => {
                    assert_eq!(other.fault(), Some(failed(FaultKind::Garbled)), "{kind:?}");
                    None
                }
            },
        )
    });
    all.collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn what_holds_no_token_that_can_be_used_is_no_grant() {
    for body in [
        r"{}",
        r#"{"access_token":""}"#,
        r#"{"access_token":7}"#,
        r#"{"status":"ok"}"#,
        r#"{"refresh_token":"R T"}"#,
        r#"{"access_token":"A T","refresh_token":"R T"}"#,
        r#"{"access_token":"AT","token_type":"mac","refresh_token":7}"#,
        r#"[{"access_token":"AT"}]"#,
    ] {
        assert_eq!(granted(body), [const { None }; 6], "{body}");
    }
}

/// Access tokens that are none, as an answer holds them, and why.
fn unusable() -> [(String, Unusable); 9] {
    [
        (String::new(), Unusable::Absent),
        (r#""access_token":"","#.to_owned(), Unusable::Absent),
        (r#""access_token":{"a":1e999},"#.to_owned(), Unusable::Absent),
        (r#""access_token":"A T","#.to_owned(), Unusable::Characters),
        (r#""access_token":"a\ud800","#.to_owned(), Unusable::Characters),
        (r#""access_token":"é","#.to_owned(), Unusable::Characters),
        (
            r#""access_token":"AT","token_type":"mac","#.to_owned(),
            Unusable::TokenType,
        ),
        (r#""access_token":"AT","token_type":1,"#.to_owned(), Unusable::TokenType),
        (
            format!(r#""access_token":"{}","#, "a".repeat(75_000)),
            Unusable::TooLong(75_000),
        ),
    ]
}

#[test]
fn a_refresh_token_is_kept_whatever_stands_beside_it() {
    for (access, why) in unusable() {
        for grant in granted(&format!(r#"{{{access}"expires_in":60,"refresh_token":"RT"}}"#)) {
            let grant = grant.unwrap_or_else(|| panic!("{why:?}"));
            assert_eq!(grant.access, Err(why));
            assert_eq!(grant.refresh.unwrap().unwrap().expose(), "RT");
        }
    }
}

#[test]
fn a_refresh_token_stays_in_force_where_only_an_unusable_access_token_came() {
    for (access, why) in unusable() {
        let kinds = granted(&format!(r#"{{{access}"expires_in":60}}"#));
        for (at, grant) in kinds.into_iter().enumerate() {
            // A refresh, and then a code, which left nothing to keep.
            let kept = at % 2 == 0 && why != Unusable::Absent;
            assert_eq!(grant.is_some(), kept, "{why:?}");
            assert!(grant.is_none_or(|grant| grant.access == Err(why) && grant.refresh == Ok(None)));
        }
    }
}

#[test]
fn an_access_token_is_kept_beside_a_refresh_token_that_cannot_be_used() {
    for refresh in [r#""R T""#, "7", "[\"RT\"]", "{}", "NaN", r#""R\ud800""#] {
        for grant in granted(&format!(r#"{{"access_token":"AT","refresh_token":{refresh}}}"#)) {
            let grant = grant.unwrap_or_else(|| panic!("{refresh}"));
            assert_eq!(grant.access.unwrap().expose(), "AT");
            assert_eq!(grant.refresh, Err(Unusable::Characters), "{refresh}");
        }
    }
}

#[test]
fn tokens_have_32768_bytes_at_most() {
    for length in [8192, 8193, 32_768, 32_769] {
        let fits = length <= 32_768;
        let long = "a".repeat(length);
        let unusable = Err(Unusable::TooLong(length));
        for grant in granted(&format!(r#"{{"access_token":"{long}","refresh_token":"RT"}}"#)) {
            let grant = grant.unwrap();
            assert_eq!(grant.access.is_ok(), fits);
            assert!(fits || grant.access == unusable, "{length}");
        }
        for grant in granted(&format!(r#"{{"access_token":"AT","refresh_token":"{long}"}}"#)) {
            let grant = grant.unwrap();
            assert!(grant.access.is_ok());
            let refresh = grant.refresh.map(|token| token.unwrap().expose().len());
            assert_eq!(
                refresh,
                if fits {
                    Ok(length)
                } else {
                    Err(Unusable::TooLong(length))
                }
            );
        }
        for grant in granted(&format!(r#"{{"access_token":"{long}","refresh_token":"{long}"}}"#)) {
            assert_eq!(grant.is_some(), fits, "{length}");
        }
        let code = CODE.replace("\"DC\"", &format!("\"{long}\""));
        let answer = answer(Kind::DeviceCode, 200, JSON, &code);
        assert_eq!(answer.fault().is_none(), fits, "{length}");
    }
}

#[test]
fn a_token_answer_is_read_leniently_where_nothing_hangs_on_it() {
    for body in [
        r#"{"access_token":"AT"}"#,
        r#"{"access_token":"AT","refresh_token":null,"token_type":null}"#,
        r#"{"access_token":"AT","refresh_token":false}"#,
        r#"{"access_token":"AT","refresh_token":"","token_type":"BEARER","scope":["x"],"more":{"a":[1,{}]}}"#,
        r#" {"access_token":"old","access_token":"AT"} "#,
    ] {
        let RefreshAnswer::Granted(grant) = refresh(200, &[], body) else {
            panic!("{body}");
        };
        assert_eq!(
            (grant.access.unwrap().expose(), grant.refresh),
            ("AT", Ok(None)),
            "{body}"
        );
    }
}

#[test]
fn junk_lifetimes_are_clamped() {
    for (said, wanted) in [
        ("28800", 28_800),
        ("3599.9", 3599),
        ("0", 28_800),
        ("-1", 28_800),
        ("0.5", 1),
        ("1e18", 90 * 86_400),
        ("\"3600\"", 3600),
        ("\"NaN\"", 28_800),
        ("\"\"", 28_800),
        ("\"-5\"", 28_800),
        ("null", 28_800),
        ("{}", 28_800),
        ("1e999", 28_800),
    ] {
        assert_eq!(granted_life(said).as_secs(), wanted, "{said}");
    }
}
