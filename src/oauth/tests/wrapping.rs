//! The wrapping of an answer: its label, a byte order mark, an encoding that nobody asked for.

use super::*;
use crate::oauth::tests::standard::{code as code_kind, device as device_kind, server as standard_settings};

const LABELS: [&[(&str, &str)]; 6] = [
    &[],
    HTML,
    &[("content-type", "text/html; charset=utf-8")],
    &[("content-type", "text/plain")],
    &[("content-type", "application/octet-stream")],
    &[("content-type", "application/json"), ("content-type", "text/html")],
];

const JSON_LABELS: [&str; 5] = [
    "application/json",
    "Application/JSON;charset=UTF-8",
    "application/json ; charset=iso-8859-1",
    "application/problem+json",
    "text/json",
];

fn providers() -> [Provider; 3] {
    [
        provider_of(settings()),
        device_kind(standard_settings()),
        code_kind(standard_settings()),
    ]
}

#[test]
fn what_grants_is_taken_whatever_it_is_labelled() {
    for provider in providers() {
        for headers in LABELS {
            for bom in ["", "\u{feff}"] {
                let said = |kind, body: &str| {
                    let body = [bom, body].concat();
                    provider.answer(kind, &response(200, headers, body.as_bytes()))
                };
                let told = |answer: Answer| match answer {
                    Answer::Refresh(RefreshAnswer::Granted(grant))
                    | Answer::Poll(PollAnswer::Granted(grant))
                    | Answer::Exchange(ExchangeAnswer::Granted(grant)) => {
                        grant.refresh.unwrap().unwrap().expose().to_owned()
                    }
                    Answer::Code(CodeAnswer::Granted(code)) => code.device_code.expose().to_owned(),
                    other => panic!("{} {headers:?} {other:?}", provider.name()),
                };
                assert_eq!(told(said(Kind::Refresh, PAIR)), "RT");
                match provider {
                    Provider::OauthCode(_) => assert_eq!(told(said(Kind::Exchange, PAIR)), "RT"),
                    Provider::FrameioC2c(_) | Provider::OauthDevice(_) => {
                        assert_eq!(told(said(Kind::Poll, PAIR)), "RT");
                        assert_eq!(told(said(Kind::DeviceCode, CODE)), "DC");
                    }
                }
            }
        }
    }
}

#[test]
fn what_ends_something_needs_the_label_of_json() {
    for provider in providers() {
        for (kind, status, body) in [
            (Kind::Refresh, 400, r#"{"error":"invalid_grant"}"#),
            (Kind::Refresh, 401, r#"{"error":"invalid_client"}"#),
            (Kind::Refresh, 401, DETAILED_401),
            (Kind::Poll, 400, r#"{"error":"access_denied"}"#),
            (Kind::Poll, 400, r#"{"error":"expired_token"}"#),
            (Kind::Poll, 400, r#"{"error":"invalid_grant"}"#),
            (Kind::Poll, 401, r#"{"error":"invalid_client"}"#),
            (Kind::DeviceCode, 401, r#"{"error":"invalid_client"}"#),
            (Kind::Exchange, 400, r#"{"error":"invalid_grant"}"#),
            (Kind::Exchange, 401, r#"{"error":"invalid_client"}"#),
            (Kind::Revoke, 400, r#"{"error":"invalid_token"}"#),
            (Kind::Revoke, 400, r#"{"error":"invalid_request"}"#),
        ] {
            for headers in LABELS {
                let answer = provider.answer(kind, &response(status, headers, body.as_bytes()));
                let told = format!("{} {kind:?} {headers:?} {body}", provider.name());
                assert_eq!(answer.fault(), Some(failed(FaultKind::Refused)), "{told}");
            }
            let plain = provider.answer(kind, &response(status, JSON, body.as_bytes()));
            for label in JSON_LABELS {
                for bom in ["", "\u{feff}"] {
                    let body = [bom, body].concat();
                    let response = response(status, &[("content-type", label)], body.as_bytes());
                    assert_eq!(provider.answer(kind, &response), plain, "{label} {body}");
                }
            }
        }
    }
    let aside = r#"{"error":"invalid_grant","error_description":"a","error_description":"b","code":1,"code":2}"#;
    assert_eq!(refresh(400, JSON, aside), RefreshAnswer::InvalidGrant);
    assert_eq!(
        refresh(400, JSON, "\u{feff}{\"error\":\"invalid_grant\"}"),
        RefreshAnswer::InvalidGrant
    );
}

#[test]
fn what_is_given_twice_is_no_verdict() {
    for (status, body) in [
        (400, r#"{"error":"invalid_grant","error":"invalid_grant"}"#),
        (400, r#"{"error":"invalid_scope","error":"invalid_grant"}"#),
        (400, r#"{"error":null,"error":"invalid_grant"}"#),
        (400, r#"{"error":"invalid_grant","\u0065rror":1}"#),
        (400, r#"{"error":"invalid_client","error":"invalid_client"}"#),
        (401, r#"{"error":1,"error":2,"code":401,"errors":[],"message":""}"#),
        (401, r#"{"code":409,"code":401,"errors":[],"message":""}"#),
        (401, r#"{"code":401,"errors":{},"errors":[],"message":""}"#),
        (401, r#"{"code":401,"errors":[],"message":1,"message":""}"#),
    ] {
        for provider in providers() {
            let answer = provider.answer(Kind::Refresh, &response(status, JSON, body.as_bytes()));
            assert_eq!(answer.fault(), Some(failed(FaultKind::Refused)), "{body}");
        }
    }
    for word in ["access_denied", "expired_token", "invalid_grant", "invalid_client"] {
        let twice = format!(r#"{{"error":"{word}","error":"{word}"}}"#);
        assert_eq!(
            poll(400, &twice),
            PollAnswer::Failed(failed(FaultKind::Refused)),
            "{word}"
        );
    }
}

#[test]
fn a_poll_goes_on_by_its_words_whatever_they_are_labelled() {
    for provider in &providers()[..2] {
        for headers in LABELS {
            for (word, wanted) in [
                ("authorization_pending", PollAnswer::Pending),
                ("slow_down", PollAnswer::SlowDown(None, None)),
            ] {
                let body = format!(r#"{{"error":"{word}"}}"#);
                let answer = provider.answer(Kind::Poll, &response(400, headers, body.as_bytes()));
                assert_eq!(answer, Answer::Poll(wanted), "{headers:?}");
            }
        }
    }
}

#[test]
fn a_page_and_somebody_elses_json_stay_what_they_are() {
    let page = "<!doctype html><html><body>{\"access_token\":\"AT\",\"refresh_token\":\"RT\"}</body></html>";
    for provider in providers() {
        for headers in LABELS.into_iter().chain([JSON]) {
            for body in [
                page,
                r#"{"status":"ok"}"#,
                "[]",
                "\u{feff}",
                "\u{feff}{}{}",
                "\u{feff}\u{feff}{}",
            ] {
                for kind in [Kind::Refresh, Kind::Poll, Kind::DeviceCode, Kind::Exchange] {
                    let answer = provider.answer(kind, &response(200, headers, body.as_bytes()));
                    let told = format!("{} {kind:?} {headers:?} {body}", provider.name());
                    // The other kinds' requests are never sent, and no answer of theirs is a grant.
                    assert_eq!(answer.fault(), Some(failed(FaultKind::Garbled)), "{told}");
                }
            }
        }
    }
}

#[test]
fn a_resource_labelled_html_has_to_name_a_project() {
    let info = r#"{"name":"Cam-1","project_id":"57b0"}"#;
    for (headers, body, alive) in [
        (HTML, info, true),
        (HTML, r#"{"name":"Cam-1"}"#, false),
        (HTML, r#"{"status":"ok"}"#, false),
        (HTML, "{}", false),
        (JSON, "{}", true),
    ] {
        let answer = answer(Kind::Probe, 200, headers, body);
        assert_eq!(answer.fault().is_none(), alive, "{headers:?} {body}");
    }
}

#[test]
fn where_there_is_nothing_there_is_no_page_either() {
    for provider in providers() {
        let revoked = |headers, body: &[u8]| provider.answer(Kind::Revoke, &response(200, headers, body));
        assert_eq!(revoked(HTML, b""), Answer::Revoke(RevokeAnswer::Done));
        for body in [&b"<html>log in</html>"[..], b"{}", br#"{"success":true}"#] {
            let told = String::from_utf8_lossy(body).into_owned();
            assert_eq!(revoked(HTML, body).fault(), Some(failed(FaultKind::Garbled)), "{told}");
        }
    }
}

#[test]
fn every_request_asks_for_no_encoding() {
    let token = RefreshToken::new("RT".to_owned());
    let access = || AccessToken::new("AT".to_owned());
    for provider in providers() {
        let requests = [
            Request::DeviceCode,
            Request::Poll(DeviceCode::new("DC".to_owned()), None),
            Request::Prepare,
            Request::Revoke(Revocable::Access(access())),
            Request::Probe(access()),
            Request::Heartbeat(access()),
        ];
        let mut sent: Vec<_> = requests
            .iter()
            .filter_map(|request| provider.request(request, ENTROPY))
            .collect();
        sent.extend(provider.refresh(&token, ENTROPY));
        sent.extend(provider.documents());
        assert!(sent.len() >= 2);
        for request in sent {
            let asked: Vec<_> = request.headers.get_all("accept-encoding").iter().collect();
            assert_eq!(asked, ["identity"], "{request:?}");
        }
    }
}
