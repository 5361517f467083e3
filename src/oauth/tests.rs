//! The wire, byte by byte, and the verdicts.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::time::Duration;

use hyper::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;
use c2c_auth_core::{
    AccessToken, CodeGrant, DeviceCode, DeviceInfo, DeviceStatus, ErrorCode, FaultKind, OAuthErrorCode, OpId,
    RefreshToken, Revocable, Secret, TokenGrant, Unusable, WallTime,
};

mod answers;
mod dropped;
mod grants;
mod odd;
mod redirect;
mod requests;
mod standard;
mod wrapping;

const ENTROPY: [u8; 16] = [0xab; 16];
const BOUNDARY: &str = "c2cabababababababababababababababab";
const JSON: &[(&str, &str)] = &[("content-type", "application/json; charset=utf-8")];
const HTML: &[(&str, &str)] = &[("content-type", "text/html")];
const DETAILED_401: &str = r#"{"code":401,"errors":[{"code":401,"detail":"You are not allowed to access that resource",
    "status":401,"title":"Not Authorized"}],"message":"Not Authorized"}"#;
const PAIR: &str = r#"{"access_token":"AT","expires_in":28800,"refresh_token":"RT","token_type":"bearer"}"#;
const CODE: &str = r#"{"device_code":"DC","expires_in":120,"interval":5,"name":"Cam-1","user_code":"098765",
    "verification_uri":"https://next.frame.io/pair","verification_uri_complete":"https://next.frame.io/pair/098765"}"#;

const KINDS: [Kind; 9] = [
    Kind::DeviceCode,
    Kind::Poll,
    Kind::Prepare,
    Kind::Refresh,
    Kind::Revoke,
    Kind::Probe,
    Kind::Heartbeat,
    Kind::Authorize,
    Kind::Exchange,
];

fn settings() -> Settings {
    Settings {
        base: BaseUri::parse("https://api.frame.io").unwrap(),
        scope: "asset_create offline".to_owned(),
        url_pairing: true,
        device_code_path: "/v2/auth/device/code".to_owned(),
        encoding: Encoding::Multipart,
        client_id: "SN-1".to_owned(),
        client_secret: Some(Secret::new("s3cret&=".to_owned())),
        client_version: "2.16.4".to_owned(),
    }
}

fn provider_of(settings: Settings) -> Provider {
    Provider::FrameioC2c(FrameioC2c::new(settings).unwrap())
}

fn response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> HttpResponse {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            HeaderName::try_from(*name).unwrap(),
            HeaderValue::try_from(*value).unwrap(),
        );
    }
    HttpResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers: map,
        body: Ok(Zeroizing::new(body.to_vec())),
    }
}

fn answer(kind: Kind, status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    provider_of(settings()).answer(kind, &response(status, headers, body.as_bytes()))
}

fn refresh(status: u16, headers: &[(&str, &str)], body: &str) -> RefreshAnswer {
    match answer(Kind::Refresh, status, headers, body) {
        Answer::Refresh(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn poll(status: u16, body: &str) -> PollAnswer {
    match answer(Kind::Poll, status, JSON, body) {
        Answer::Poll(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn granted_code(body: &str) -> CodeGrant {
    match answer(Kind::DeviceCode, 200, JSON, body) {
        Answer::Code(CodeAnswer::Granted(code)) => code,
        other => panic!("{other:?}"),
    }
}

fn granted_life(expires_in: &str) -> Duration {
    match refresh(
        200,
        JSON,
        &format!(r#"{{"access_token":"AT","expires_in":{expires_in}}}"#),
    ) {
        RefreshAnswer::Granted(grant) => grant.expires_in,
        other => panic!("{expires_in}: {other:?}"),
    }
}

fn failed(kind: FaultKind) -> Fault {
    Fault {
        kind,
        retry_after: None,
    }
}

fn text(request: &HttpRequest) -> &str {
    std::str::from_utf8(&request.body).unwrap()
}

/// JSON that looks like the protocol's, with anything in every place.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<f64>().prop_map(|number| format!("{number:e}")),
        any::<i64>().prop_map(|number| number.to_string()),
        Just("1e999".to_owned()),
        Just("401".to_owned()),
        prop_oneof![
            Just("invalid_grant".to_owned()),
            Just("invalid_request".to_owned()),
            Just("token_inactive".to_owned()),
            Just("bearer".to_owned()),
            Just("123456".to_owned()),
            "\\PC{0,12}".prop_filter("plain", |text| !text.contains(['"', '\\'])),
        ]
        .prop_map(|text| format!("\"{text}\"")),
    ];
    let key = prop_oneof![
        Just("error"),
        Just("code"),
        Just("errors"),
        Just("message"),
        Just("access_token"),
        Just("refresh_token"),
        Just("token_type"),
        Just("expires_in"),
        Just("interval"),
        Just("device_code"),
        Just("user_code"),
        Just("project"),
        Just("name"),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|fields| {
                let fields: Vec<_> = fields
                    .into_iter()
                    .map(|(key, value)| format!("\"{key}\":{value}"))
                    .collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

/// A body and those that differ from it in one place: a byte changed, added, taken away, or all
/// from there on. Bytes by chance would never come near to a verdict.
fn neighbours(body: &str) -> Vec<Vec<u8>> {
    let body = body.as_bytes();
    let mut all = vec![body.to_vec()];
    for at in 0..body.len() {
        let (front, back) = body.split_at(at);
        all.extend([front.to_vec(), [front, &back[1..]].concat()]);
        for byte in *b"\0 \"1x\xff" {
            all.extend([[front, &[byte], back].concat(), [front, &[byte], &back[1..]].concat()]);
        }
    }
    all
}

/// True if a body differs from the detailed 401 only in parts that nobody reads: the list of
/// errors, or the message's text.
fn edited_where_nobody_reads(body: &[u8]) -> bool {
    let whole = DETAILED_401.as_bytes();
    let front = body.iter().zip(whole).take_while(|(a, b)| a == b).count();
    let rest = body.len().min(whole.len()) - front;
    let pairs = body.iter().rev().zip(whole.iter().rev());
    let back = whole.len() - pairs.take(rest).take_while(|(a, b)| a == b).count();
    let find = |text: &str| DETAILED_401.find(text).unwrap() + text.len();
    let spans = [
        (find("\"errors\":["), find("\"Not Authorized\"}]") - 1),
        (find("\"message\":\""), whole.len() - 2),
    ];
    spans.iter().any(|&(from, to)| from <= front && back <= to)
}

/// The three shapes, said once more and by other means than the code's.
fn may_kill(status: u16, body: &[u8]) -> bool {
    let Ok(serde_json::Value::Object(body)) = serde_json::from_slice(body) else {
        return false;
    };
    match (status, body.get("error").and_then(|word| word.as_str())) {
        (400, Some("invalid_request" | "invalid_grant")) | (401, Some("invalid_grant")) => true,
        (401, None) => {
            body.get("code").and_then(serde_json::Value::as_f64) == Some(401.0)
                && body.get("errors").is_some_and(serde_json::Value::is_array)
                && body.get("message").is_some_and(serde_json::Value::is_string)
        }
        _ => false,
    }
}

#[test]
fn a_refresh_token_dies_by_the_exact_shapes_and_by_nothing_near_them() {
    let provider = provider_of(settings());
    let mut deaths = 0;
    for body in [
        r#"{"error":"invalid_grant"}"#,
        r#"{"error":"invalid_request"}"#,
        DETAILED_401,
    ] {
        for status in [400, 401] {
            for body in neighbours(body) {
                let answer = provider.answer(Kind::Refresh, &response(status, JSON, &body));
                let dead = answer == Answer::Refresh(RefreshAnswer::InvalidGrant);
                let shown = String::from_utf8_lossy(&body);
                // `serde_json` refuses a whole text for what our reader passes over.
                if serde_json::from_slice::<serde_json::Value>(&body).is_ok() || !edited_where_nobody_reads(&body) {
                    assert_eq!(dead, may_kill(status, &body), "{status} {shown}");
                }
                deaths += u32::from(dead);
            }
        }
    }
    assert!(deaths > 0);
}

proptest! {
    #[test]
    fn no_bytes_panic(status in 100..600_u16, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let provider = provider_of(settings());
        for kind in KINDS {
            let _ = provider.answer(kind, &response(status, &[], &body));
        }
    }

    #[test]
    fn no_json_panics_and_only_the_exact_shapes_kill(
        status in prop_oneof![Just(200_u16), Just(400), Just(401), 100..600_u16],
        body in json(),
    ) {
        let provider = provider_of(settings());
        for kind in KINDS {
            let answer = provider.answer(kind, &response(status, JSON, body.as_bytes()));
            let dead = answer == Answer::Refresh(RefreshAnswer::InvalidGrant);
            if dead {
                // `serde_json::Value` refuses 1e999 where our reader passes over it.
                let plain = body.replace("1e999", "1");
                prop_assert!(may_kill(status, plain.as_bytes()), "{} {}", status, body);
            }
            if let Answer::Refresh(RefreshAnswer::Granted(grant)) = &answer {
                prop_assert!(status / 100 == 2 && (1..=90 * 86_400).contains(&grant.expires_in.as_secs()));
            }
            if let Answer::Probe(ProbeAnswer::Accepted(Some(DeviceStatus { info, .. }))) = &answer {
                prop_assert!(!info.name.chars().any(char::is_control) && info.name.chars().count() <= 256);
            }
        }
    }
}
