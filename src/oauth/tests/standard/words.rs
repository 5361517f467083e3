//! Words and statuses of servers that the RFCs do not have: server, request, word and
//! status decide the verdict.

use super::*;

const DOCUMENTED: &str = include_str!("../../../../docs/providers.md");

fn refused() -> Fault {
    failed(FaultKind::Refused)
}

/// An answer in the words of the documented table.
fn verdict(answer: &Answer) -> &'static str {
    use PollAnswer::{ClientRejected, CodeUnknown, Denied, Expired, Pending, SlowDown};
    match answer {
        Answer::Poll(Pending) => "goes on",
        Answer::Poll(SlowDown(None, None)) => "goes on, 5 s slower",
        Answer::Poll(SlowDown(None, Some(interval))) if interval.as_secs() == 30 => "goes on, each 30 s",
        Answer::Poll(Denied) => "the user's no",
        Answer::Poll(Expired) => "the code has expired",
        Answer::Poll(CodeUnknown(Some(_))) => "ends the code, named",
        Answer::Poll(ClientRejected(_)) | Answer::Code(CodeAnswer::ClientRejected(_)) => "configuration",
        Answer::Refresh(RefreshAnswer::InvalidGrant) => "dead",
        answer if answer.fault() == Some(refused()) => "passes",
        answer if answer.fault() == Some(failed(FaultKind::RateLimited)) => "passes, too many requests",
        _ => "something else",
    }
}

#[test]
fn each_word_means_what_the_documented_table_says_of_its_server_request_and_status() {
    let mut rows = 0;
    let table = DOCUMENTED
        .split("| server | with | request | status | answer | means |\n")
        .nth(1);
    for row in table.unwrap().lines().skip(1).take_while(|line| line.starts_with('|')) {
        let cells: Vec<_> = row
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().replace('`', ""))
            .collect();
        let [whose, with, request, status, body, means] = &cells[..] else {
            panic!("{row}")
        };
        let kind = match request.as_str() {
            "code" => Kind::DeviceCode,
            "poll" => Kind::Poll,
            "refresh" => Kind::Refresh,
            _ => panic!("{row}"),
        };
        let dead_words = with
            .strip_prefix("dead-words = ")
            .map(|list| serde_json::from_str(list).unwrap());
        let provider = device(ServerSettings {
            dead_words: dead_words.unwrap_or_default(),
            ..server()
        });
        let answer = said(&provider, kind, status.parse().unwrap(), body);
        assert_eq!(verdict(&answer), means, "{whose}: {row} {answer:?}");
        rows += 1;
    }
    assert!(rows > 30, "{rows}");
}

/// Half an answer may hide a grant that the server made; an error says that there was none.
#[test]
fn only_an_error_that_stands_alone_in_a_2xx_says_that_nothing_was_granted() {
    let refresh =
        |headers, body: &str| match device(server()).answer(Kind::Refresh, &response(200, headers, body.as_bytes())) {
            Answer::Refresh(RefreshAnswer::Refused(fault) | RefreshAnswer::Failed(fault)) => fault.kind,
            other => panic!("{body}: {other:?}"),
        };
    assert_eq!(
        refresh(JSON, r#"{"error":"x","access_token":null,"refresh_token":""}"#),
        FaultKind::Refused
    );
    for body in [
        r#"{"error":"x","error":"x"}"#,
        r#"{"error":"x","refresh_token":5}"#,
        r#"{"error":"x","device_code":[]}"#,
        r#"{"errorCode":"x"}"#,
        r#"{"error":null}"#,
        r#"{"error":{"code":5}}"#,
        "{}",
    ] {
        assert_eq!(refresh(JSON, body), FaultKind::Garbled, "{body}");
    }
    assert_eq!(refresh(HTML, r#"{"error":"x"}"#), FaultKind::Garbled);
}

#[test]
fn tokens_and_codes_count_whatever_error_stands_beside_them() {
    let tokens = r#"{"error":"invalid_grant","access_token":"A","refresh_token":"R","token_type":"bearer"}"#;
    for (provider, kind) in [
        (device(server()), Kind::Poll),
        (device(server()), Kind::Refresh),
        (code(server()), Kind::Exchange),
    ] {
        let answer = said(&provider, kind, 200, tokens);
        let granted = matches!(
            answer,
            Answer::Poll(PollAnswer::Granted(_))
                | Answer::Refresh(RefreshAnswer::Granted(_))
                | Answer::Exchange(ExchangeAnswer::Granted(_))
        );
        assert!(granted, "{answer:?}");
    }
    let shown =
        r#"{"error":"invalid_client","device_code":"D","user_code":"A","verification_uri":"https://e.example"}"#;
    let answer = said(&device(server()), Kind::DeviceCode, 200, shown);
    assert!(matches!(answer, Answer::Code(CodeAnswer::Granted(_))), "{answer:?}");
}

#[test]
fn an_error_in_a_2xx_is_no_answer_of_frameio_c2c() {
    let frameio = provider_of(settings());
    for word in [
        "authorization_pending",
        "slow_down",
        "access_denied",
        "invalid_request",
        "invalid_client",
    ] {
        for kind in [Kind::DeviceCode, Kind::Poll, Kind::Refresh] {
            let answer = said(&frameio, kind, 200, &format!(r#"{{"error":"{word}"}}"#));
            assert_eq!(answer, kind.failed(failed(FaultKind::Garbled)), "{kind:?} {word}");
        }
    }
    assert_eq!(
        said(&frameio, Kind::Poll, 400, r#"{"errorCode":"invalid_client"}"#),
        Answer::Poll(PollAnswer::Failed(refused()))
    );
}

#[test]
fn the_device_endpoint_learns_the_client_from_the_form_whatever_the_method() {
    for auth in [ClientAuth::Post, ClientAuth::Basic, ClientAuth::None] {
        let settings = ServerSettings { auth, ..server() };
        let request = sent(&device(settings.clone()), &Request::DeviceCode);
        assert_eq!(text(&request).matches("client_id=s6BhdRkqt3").count(), 1, "{auth:?}");
        assert_eq!(text(&request).contains("client_secret"), auth == ClientAuth::Post);
        assert_eq!(authorization(&request).is_some(), auth == ClientAuth::Basic);
        // RFC 6749 §2.3: elsewhere the method alone says who asks.
        let refresh = sent(&device(settings), &refresh_request());
        assert_eq!(text(&refresh).contains("client_id="), auth != ClientAuth::Basic);
    }
}
