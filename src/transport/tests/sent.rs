//! The line between sent and unsent requests, and the worth of an answer on the wire.

use super::*;

#[tokio::test]
async fn a_prepared_connection_that_died_before_the_first_byte_means_nothing_was_sent() {
    for farewell in [Step::Close, Step::Cut] {
        let mut server = Server::start([vec![Step::Take, healthy(), Step::Wait, farewell]]).await;
        let client = client_of(&server);
        let prepared = client.prepare().await;
        assert_eq!(server.next().await, Seen::Accepted);
        server.next_request().await;
        server.go_on();
        assert_eq!(server.next().await, Seen::Closed);
        let outcome = client.refresh(prepared.connection.unwrap(), &token(), None).await;
        assert_eq!(outcome.answer, refresh_failed(FaultKind::Offline));
        assert!(server.so_far().is_empty(), "a refresh is never sent anywhere else");
    }
}

#[tokio::test]
async fn a_close_that_arrived_while_nobody_looked_is_seen_before_the_refresh_is_written() {
    let (told, address) = std::sync::mpsc::channel();
    let elsewhere = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut server = Server::start([vec![Step::Take, healthy(), Step::Wait, Step::Close]]).await;
            told.send((server.base(), server.ca_file(), server.signal())).unwrap();
            while server.next().await != Seen::Closed {}
        });
    });
    let (base, ca_file, signal) = address.recv().unwrap();
    let client = client_with(&base, &ca_file, FloorClock::new(WallTime::default()));
    let prepared = client.prepare().await;
    signal.notify_one();
    // Blocks this thread's runtime too: the close arrives, and no task here can have looked.
    elsewhere.join().unwrap();
    let outcome = client.refresh(prepared.connection.unwrap(), &token(), None).await;
    assert_eq!(outcome.answer, refresh_failed(FaultKind::Offline));
}

#[tokio::test]
async fn a_refresh_without_a_connection_is_not_sent() {
    let server = Server::start([]).await;
    let request = Request::Refresh {
        on: c2c_auth_core::OpId(1),
        token: token(),
        patience: None,
    };
    let outcome = client_of(&server).send(&request).await;
    assert_eq!(outcome.answer, refresh_failed(FaultKind::Offline));
}

#[tokio::test]
async fn whatever_cuts_a_sent_refresh_leaves_it_lost() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"access_token\":";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"acc\r\n";
    let unframed = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{PAIR}");
    for (steps, what) in [
        (vec![Step::Cut], "no answer"),
        (vec![Step::Close], "no answer, politely"),
        (vec![say("HTTP/1.1 200 O"), Step::Cut], "half a status line"),
        (vec![say("HTTP/1.1 200 OK\r\ncontent-le"), Step::Close], "half a head"),
        (vec![say(half), Step::Cut], "half a body"),
        (vec![say(half), Step::Close], "half a body, politely"),
        (vec![say(chunked), Step::Cut], "chunks without an end"),
        (vec![say(chunked), Step::Close], "chunks without an end, politely"),
        (
            vec![say(&unframed), Step::Cut],
            "an unframed body without TLS's farewell",
        ),
    ] {
        assert_eq!(refresh_against(steps).await, refresh_failed(FaultKind::Lost), "{what}");
    }
}

#[tokio::test]
async fn an_unframed_body_ends_with_a_proper_close() {
    let unframed = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{PAIR}");
    let answer = refresh_against(vec![say(&unframed), Step::Close]).await;
    assert!(
        matches!(answer, Answer::Refresh(RefreshAnswer::Granted(_))),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_garbled() {
    for garbage in [
        "\u{0}\u{1}\u{2}\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "<html></html>\r\n\r\n",
    ] {
        let answer = refresh_against(vec![say(garbage)]).await;
        assert_eq!(answer, refresh_failed(FaultKind::Garbled), "{garbage:.20}");
    }
}

/// The head of an answer that grants tokens, with these lines in it.
fn head_with(lines: &str) -> String {
    let length = PAIR.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{lines}\r\n")
}

/// The same head with one long line, so that it has so many bytes.
fn head_of(bytes: usize) -> String {
    let rest = head_with("a: \r\n").len();
    head_with(&format!("a: {}\r\n", "b".repeat(bytes - rest)))
}

#[tokio::test]
async fn header_lines_are_bounded_by_their_length_and_not_by_their_number() {
    let cookies = "set-cookie: some=value; Path=/; Secure; HttpOnly\r\n".repeat(70);
    for head in [
        head_with(&cookies),
        head_with(&"a:\r\n".repeat(8_000)),
        head_of(32 * 1024),
    ] {
        let answer = refresh_against(vec![say(&format!("{head}{PAIR}"))]).await;
        let granted = matches!(answer, Answer::Refresh(RefreshAnswer::Granted(_)));
        assert!(granted, "{} bytes: {answer:?}", head.len());
    }
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused_with_a_reason() {
    for head in [
        head_of(32 * 1024 + 1),
        head_of(64 * 1024),
        head_with(&"a: b\r\n".repeat(6_000)),
    ] {
        let script = vec![Step::Take, healthy(), Step::Take, say(&format!("{head}{PAIR}"))];
        let server = Server::start([script]).await;
        let client = client_of(&server);
        let prepared = client.prepare().await;
        let outcome = client.refresh(prepared.connection.unwrap(), &token(), None).await;
        assert_eq!(
            outcome.answer,
            refresh_failed(FaultKind::Garbled),
            "{} bytes",
            head.len()
        );
        assert_eq!(
            outcome.dropped.map(|dropped| dropped.to_string()).as_deref(),
            Some("too large: the head has more than 32768 bytes")
        );
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_garbled_announced_or_not() {
    let announced = "HTTP/1.1 200 OK\r\ncontent-length: 163841\r\n\r\n";
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("8000\r\n{}\r\n", " ".repeat(0x8000));
    for steps in [
        vec![say(announced)],
        std::iter::once(say(endless))
            .chain((0..6).map(|_| say(&chunk)))
            .collect(),
    ] {
        assert_eq!(refresh_against(steps).await, refresh_failed(FaultKind::Garbled));
    }
    let padded = format!("{PAIR}{}", " ".repeat(163_840 - PAIR.len()));
    let answer = refresh_against(vec![answer("200 OK", &padded)]).await;
    assert!(matches!(answer, Answer::Refresh(RefreshAnswer::Granted(_))));
}

#[tokio::test]
async fn an_answer_that_brings_no_tokens_has_64_kib_at_most() {
    for (length, fits) in [(65_536, true), (65_537, false)] {
        let body = format!("{{}}{}", " ".repeat(length - 2));
        let mut server = Server::start([vec![Step::Take, answer("200 OK", &body)]]).await;
        let outcome = client_of(&server).send(&identify()).await;
        assert_eq!(outcome.answer.fault().is_none(), fits, "{length}");
        assert_eq!(server.next().await, Seen::Accepted);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start([vec![]]).await;
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: https://localhost:{}/v2/auth/token\r\ncontent-length: 0\r\n\r\n",
        elsewhere.port
    );
    assert_eq!(
        refresh_against(vec![say(&redirect)]).await,
        refresh_failed(FaultKind::Refused)
    );
    let mut elsewhere = elsewhere;
    assert!(elsewhere.so_far().is_empty());
}

#[tokio::test]
async fn an_early_hint_is_not_taken_for_the_answer() {
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    let answer = refresh_against(vec![say(hint), answer("200 OK", PAIR)]).await;
    assert!(matches!(answer, Answer::Refresh(RefreshAnswer::Granted(_))));
}
