//! The meaning of the other answers: resources, revocations, the server's wishes.

use super::*;

fn identified(body: &str) -> DeviceStatus {
    match answer(Kind::Probe, 200, JSON, body) {
        Answer::Probe(ProbeAnswer::Accepted(Some(status))) => status,
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn devices_me_tells_who_we_are() {
    let body = r#"{"_type":"project_device","name":"Cam\u202e-1","project_id":"57b0","project":{"name":"Test\u0000bed"},
        "authorization":{"creator":{"name":"A Person"}}}"#;
    let info = DeviceInfo {
        name: "Cam-1".to_owned(),
        project_id: "57b0".to_owned(),
        project_name: "Testbed".to_owned(),
    };
    let told = DeviceStatus {
        info,
        ..DeviceStatus::default()
    };
    assert_eq!(identified(body), told);
    assert_eq!(
        identified(r#"{"name":7,"project":"x","project_id":null}"#),
        DeviceStatus::default()
    );
}

#[test]
fn devices_me_tells_an_end_and_a_pause_where_they_can_be_read() {
    use c2c_auth_core::AuthorizationEnd;
    let end = |value: &str| identified(&format!(r#"{{"authorization":{{{value}}}}}"#)).authorization;
    let friday = AuthorizationEnd::At(WallTime::from_secs(1_761_250_661));
    assert_eq!(end(r#""expires_at":"2025-10-23T20:17:41.997130Z""#), friday);
    assert_eq!(end(r#""expires_at":null"#), AuthorizationEnd::Never);
    for unreadable in [
        "",
        r#""expires_at":"friday""#,
        r#""expires_at":"""#,
        r#""expires_at":1761250661"#,
        r#""expires_at":false"#,
        r#""expires_at":{"at":"2025-10-23T20:17:41Z"}"#,
        r#""expires_at":NaN"#,
        r#""inserted_at":"2025-10-23T20:17:41Z""#,
    ] {
        assert_eq!(end(unreadable), AuthorizationEnd::Untold, "{unreadable}");
    }
    for odd in [
        r#"{"authorization":null}"#,
        r#"{"authorization":"2025-10-23T20:17:41Z"}"#,
    ] {
        assert_eq!(identified(odd).authorization, AuthorizationEnd::Untold, "{odd}");
    }
    for (status, paused) in [
        (r#""paused""#, Some(true)),
        (r#""online""#, Some(false)),
        (r#""offline""#, Some(false)),
        (r#""a word of tomorrow""#, Some(false)),
        ("null", None),
        ("1", None),
    ] {
        let told = identified(&format!(r#"{{"status":{status}}}"#));
        assert_eq!(told.paused, paused, "{status}");
    }
}

#[test]
fn a_page_is_no_proof_of_life() {
    for kind in [Kind::Probe, Kind::Heartbeat, Kind::Revoke] {
        for body in ["<html>log in</html>", "{}", ""] {
            if kind == Kind::Revoke && body.is_empty() {
                continue;
            }
            let answer = answer(kind, 200, HTML, body);
            assert_eq!(answer.fault(), Some(failed(FaultKind::Garbled)), "{kind:?} {body}");
        }
    }
    assert_eq!(
        answer(Kind::Probe, 200, &[], "hello").fault(),
        Some(failed(FaultKind::Garbled))
    );
}

#[test]
fn a_resource_refuses_a_token_by_status_alone() {
    for kind in [Kind::Probe, Kind::Heartbeat] {
        for (headers, body) in [
            (JSON, DETAILED_401),
            (JSON, r#"{"code":409}"#),
            (HTML, "<html>"),
            (&[], ""),
        ] {
            assert_eq!(answer(kind, 401, headers, body), Answer::Probe(ProbeAnswer::Rejected));
        }
        let conflict = answer(kind, 409, JSON, DETAILED_401);
        assert_eq!(conflict.fault(), Some(failed(FaultKind::Refused)));
    }
}

#[test]
fn a_heartbeat_is_taken_with_or_without_a_body() {
    for (status, headers, body) in [(204, &[][..], ""), (200, JSON, "{}"), (200, &[], "")] {
        assert_eq!(
            answer(Kind::Heartbeat, status, headers, body),
            Answer::Probe(ProbeAnswer::Accepted(None))
        );
    }
}

#[test]
fn a_revocation_is_done_refused_or_tried_again() {
    use RevokeAnswer::{Done, Refused};
    for (status, body, wanted) in [
        (200, r#"{"success":true}"#, Done),
        (200, "{}", Done),
        (200, "\"ok\"", Done),
        (204, "", Done),
        (401, DETAILED_401, Done),
        (400, r#"{"error":"invalid_grant"}"#, Done),
        (400, r#"{"error":"invalid_request"}"#, Refused),
        (400, r#"{"error":"unsupported_token_type"}"#, Refused),
        (
            400,
            r#"{"error":"invalid_client"}"#,
            RevokeAnswer::Failed(failed(FaultKind::Refused)),
        ),
        (404, "", RevokeAnswer::Failed(failed(FaultKind::Refused))),
        (500, "", RevokeAnswer::Failed(failed(FaultKind::Garbled))),
    ] {
        assert_eq!(
            answer(Kind::Revoke, status, JSON, body),
            Answer::Revoke(wanted),
            "{status} {body}"
        );
    }
}

#[test]
fn any_complete_answer_proves_a_connection() {
    for status in [200, 204, 302, 401, 404] {
        assert_eq!(
            answer(Kind::Prepare, status, HTML, "x"),
            Answer::Prepare(PrepareAnswer::Ready)
        );
    }
    for (status, kind) in [
        (429, FaultKind::RateLimited),
        (500, FaultKind::Garbled),
        (503, FaultKind::Refused),
    ] {
        assert_eq!(
            answer(Kind::Prepare, status, HTML, "x"),
            Answer::Prepare(PrepareAnswer::Busy(failed(kind)))
        );
    }
}

#[test]
fn the_servers_wish_for_quiet_is_read_and_capped() {
    let wish = |headers: &[(&str, &str)], status| {
        answer(Kind::Refresh, status, headers, "")
            .fault()
            .unwrap()
            .retry_after
            .map(|wait| wait.as_millis())
    };
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    for (headers, status, wanted) in [
        (&[][..], 503, None),
        (&[("retry-after", "120")], 503, Some(120_000)),
        (&[("retry-after", " 7 ")], 429, Some(7000)),
        (&[("retry-after", "99999999999999999999999")], 503, Some(86_400_000)),
        (&[("retry-after", "-1")], 503, None),
        (&[("retry-after", "1.5")], 503, None),
        (&[("retry-after", "soon")], 503, None),
        (
            &[date, ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")],
            503,
            Some(60_000),
        ),
        (&[date, ("retry-after", "Sun, 06 Nov 1994 08:48:37 GMT")], 503, Some(0)),
        (&[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")], 503, None),
        (
            &[date, ("age", "20"), ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")],
            503,
            Some(40_000),
        ),
        (
            &[
                date,
                ("age", "20"),
                ("age", "50"),
                ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"),
            ],
            503,
            Some(10_000),
        ),
        (
            &[date, ("age", "x"), ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")],
            503,
            None,
        ),
        (
            &[date, date, ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")],
            503,
            Some(60_000),
        ),
        (
            &[
                date,
                ("date", "Sun, 06 Nov 1994 07:49:37 GMT"),
                ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"),
            ],
            503,
            None,
        ),
        (&[("x-ratelimit-window", "1500")], 429, Some(1500)),
        (&[("x-ratelimit-window", "1500")], 503, None),
        (
            &[("x-ratelimit-window", "1500"), ("x-ratelimit-remaining", "3")],
            503,
            None,
        ),
        (
            &[("x-ratelimit-window", "1500"), ("x-ratelimit-remaining", "0")],
            503,
            Some(1500),
        ),
        (&[("x-ratelimit-window", "1500"), ("retry-after", "9")], 429, Some(9000)),
        (
            &[("x-ratelimit-window", "1500"), ("retry-after", "soon")],
            429,
            Some(1500),
        ),
        (
            &[("x-ratelimit-window", "99999999999999999999999")],
            429,
            Some(86_400_000),
        ),
    ] {
        assert_eq!(wish(headers, status), wanted, "{status} {headers:?}");
    }
}

#[test]
fn the_date_of_an_answer_is_read() {
    let dated = response(404, &[("date", "Sun, 06 Nov 1994 08:49:37 GMT")], b"");
    assert_eq!(dated.date(), Some(WallTime::from_secs(784_111_777)));
    assert_eq!(response(200, &[("date", "yesterday")], b"").date(), None);
    // Somebody in between added one of these: which one the server wrote, nobody knows.
    let (early, late) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 09:49:37 GMT");
    for two in [[("date", early), ("date", late)], [("date", late), ("date", early)]] {
        let answer = response(200, &two, b"");
        assert_eq!((answer.date(), answer.date_of_shared()), (None, None));
    }
    assert!(response(200, &[("date", early), ("date", early)], b"").date().is_some());
    assert_eq!(response(200, &[], b"").date(), None);
}

#[test]
fn an_answer_that_a_cache_kept_tells_no_time() {
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    for age in ["1", "3600", "99999999999999999999999", "-1", "soon", ""] {
        let kept = response(200, &[date, ("age", age)], b"");
        assert_eq!((kept.date(), kept.date_of_shared()), (None, None), "{age}");
    }
    let passed_on = response(200, &[date, ("age", "0")], b"");
    assert_eq!(passed_on.date(), Some(WallTime::from_secs(784_111_777)));
    assert_eq!(passed_on.date_of_shared(), None, "a cache was asked");
    assert_eq!(response(200, &[date, ("age", "0"), ("age", "9")], b"").date(), None);
    assert_eq!(response(200, &[date], b"").date_of_shared(), passed_on.date());
}

#[test]
fn an_answer_that_is_not_the_apis_own_is_told_from_one_that_is() {
    let is_foreign = |status, body: &str| {
        let response = response(status, HTML, body.as_bytes());
        provider_of(settings()).is_foreign(Kind::Prepare, &response)
    };
    for (status, body) in [
        (200, "{\"status\":\"ok\"}"),
        (200, "{\"ok\":true}"),
        (404, DETAILED_401),
        (401, DETAILED_401),
    ] {
        assert!(!is_foreign(status, body), "{status} {body}");
    }
    for (status, body) in [
        (200, "<html>Log in</html>"),
        (200, ""),
        (200, "\"ok\""),
        (204, ""),
        (302, ""),
        (307, "{\"status\":\"ok\"}"),
        (403, "<html>Blocked</html>"),
        (511, "{}"),
    ] {
        assert!(is_foreign(status, body), "{status} {body}");
    }
}
