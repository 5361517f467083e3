//! Generated shapes of an answer to a refresh, over real TLS, at a server that gives the next pair
//! each time: a pair that came whole is kept, whatever it is wrapped in, and anything else is told
//! and ends nothing.
//!
//! `C2C_SEED=N` repeats the run that a failure names.

use super::*;
use c2c_auth_core::TokenGrant;

const SHAPES: usize = 100;
const SEED: u64 = 20_261_130;

/// A pseudorandom number generator (`SplitMix64`).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A token of a length up to the limit, of all the characters that one may have.
    fn token(&mut self) -> String {
        let length = match self.below(5) {
            0 => 1,
            1 => 16,
            2 => 2_000 + self.below(6_000),
            3 => 8_193,
            _ => 32_768,
        };
        (0..length)
            .map(|_| char::from(b'!' + u8::try_from(self.below(94)).unwrap()))
            .collect()
    }

    /// The text in JSON, with escapes that it does not need.
    fn json(&mut self, text: &str) -> String {
        let mut json = String::from("\"");
        for letter in text.chars() {
            match letter {
                '"' | '\\' => json.extend(['\\', letter]),
                '/' if self.chance(50) => json.push_str("\\/"),
                _ if self.chance(3) => json.extend(format!("\\u{:04x}", u32::from(letter)).chars()),
                _ => json.push(letter),
            }
        }
        json.push('"');
        json
    }
}

/// An answer on the wire.
struct Shape {
    head: String,
    body: Vec<u8>,
    /// For the message of a failure.
    told: String,
}

/// The members of a grant, some odd ones beside them, in any order.
fn object(draw: &mut Draw, access: &str, refresh: &str) -> String {
    let key = |draw: &mut Draw, key: &str| {
        if draw.chance(10) {
            format!("\"\\u{:04x}{}\"", u32::from(key.as_bytes()[0]), &key[1..])
        } else {
            format!("{key:?}")
        }
    };
    let mut members = vec![
        format!("{}:{}", key(draw, "access_token"), draw.json(access)),
        format!("{}:{}", key(draw, "refresh_token"), draw.json(refresh)),
    ];
    let lives = [
        "28800",
        "\"28800\"",
        "2.88e4",
        "28800.9",
        "1e999",
        "-1",
        "null",
        "0",
        "NaN",
        "[]",
        "\"soon\"",
        "1e-9",
    ];
    if draw.chance(80) {
        members.push(format!("{}:{}", key(draw, "expires_in"), draw.one(&lives)));
    }
    if draw.chance(60) {
        members.push(format!(
            "\"token_type\":{}",
            draw.one(&["\"bearer\"", "\"Bearer\"", "\"BEARER\"", "null"])
        ));
    }
    let odd = [
        r#""x":1e999"#,
        r#""y":"\ud800""#,
        r#""z":[NaN,{"\ud800":[1e999]}]"#,
        r#""error":null"#,
        r#""scope":["a",1]"#,
        r#""id_token":"a.b.c""#,
        r#""created_at":-9e99"#,
        r#""":"""#,
        "\"deep\":[[[[[[[[]]]]]]]]",
        "\"tab\":\"a\tb\"",
    ];
    for _ in 0..draw.below(4) {
        members.push(draw.one(&odd).to_owned());
    }
    for at in (1..members.len()).rev() {
        members.swap(at, draw.below(at + 1));
    }
    // The last counts where a member is given twice.
    if draw.chance(15) {
        members.insert(0, r#""refresh_token":"an-earlier-one""#.to_owned());
    }
    let space = draw.one(&["", " ", "\r\n\t", "\n"]);
    format!(
        "{space}{{{space}{}{space}}}{space}",
        members.join(&format!("{space},{space}"))
    )
}

/// Frames a body in any way that is HTTP/1.1. `true`: the connection has to be closed at its end.
fn framed(draw: &mut Draw, head: &mut String, body: &[u8]) -> (Vec<u8>, bool) {
    match draw.below(4) {
        0 => {
            head.push_str("\r\n");
            (body.to_vec(), true)
        }
        1 => {
            head.extend(["Content-Length:", &body.len().to_string(), "\r\n\r\n"]);
            (body.to_vec(), false)
        }
        _ => {
            head.push_str("Transfer-Encoding: chunked\r\n\r\n");
            let mut chunks = Vec::new();
            let mut rest = body;
            let widest = draw.one(&[1, 7, 1_000, 20_000, 200_000]);
            while !rest.is_empty() {
                // A long body in chunks of one byte is tried elsewhere.
                let size = if rest.len() > 5_000 {
                    rest.len().min(20_000)
                } else {
                    rest.len().min(1 + draw.below(widest))
                };
                let extension = draw.one(&["", "", ";a=b", ";q=\"x\"", " "]);
                let number = match draw.below(3) {
                    0 => format!("{size:x}"),
                    1 => format!("{size:X}"),
                    _ => format!("{size:08x}"),
                };
                chunks.extend_from_slice(format!("{number}{extension}\r\n").as_bytes());
                chunks.extend_from_slice(&rest[..size]);
                chunks.extend_from_slice(b"\r\n");
                rest = &rest[size..];
            }
            let trailer = draw.one(&["", "", "x-checksum: 1\r\n", "a: b\r\nc: d\r\n"]);
            chunks.extend_from_slice(format!("0\r\n{trailer}\r\n").as_bytes());
            (chunks, false)
        }
    }
}

/// Head and body of a whole grant; whether the connection ends with it.
fn whole(draw: &mut Draw, access: &str, refresh: &str) -> (Shape, bool) {
    let mut told = Vec::new();
    let mut head = String::new();
    for _ in 0..draw.one(&[0, 0, 0, 1, 16]) {
        head.push_str(draw.one(&[
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
        ]));
    }
    head.push_str(draw.one(&[
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200\r\n",
        "HTTP/1.1 201 Created\r\n",
        "HTTP/1.1 203 \r\n",
    ]));
    let labels = [
        "content-type: application/json\r\n",
        "Content-Type: text/html; charset=utf-8\r\n",
        "",
        "content-type: \r\n",
        "content-type: text/plain\r\ncontent-type: application/json\r\n",
        "content-type: application/json; charset=\"\r\n",
    ];
    let label = draw.one(&labels);
    head.push_str(label);
    match draw.below(4) {
        0 => head.push_str(&"set-cookie: some=value; Path=/; Secure; HttpOnly\r\n".repeat(draw.below(300))),
        1 => head.push_str(&"a:\r\n".repeat(draw.below(5_000))),
        2 => head.extend(["x-long: ", &"b".repeat(draw.below(25_000)), "\r\n"]),
        _ => head.push_str("x-odd: \u{e9}\t \r\nCONNECTION: Keep-Alive\r\nretry-after: soon\r\nage: x\r\n"),
    }
    let mut body = Vec::new();
    if draw.chance(15) {
        body.extend_from_slice(b"\xef\xbb\xbf");
    }
    body.extend_from_slice(object(draw, access, refresh).as_bytes());
    if draw.chance(10) {
        body.resize(160 * 1024, b' ');
    }
    told.push(format!(
        "{} bytes of body, {} and {} of tokens",
        body.len(),
        access.len(),
        refresh.len()
    ));
    let (body, closes) = framed(draw, &mut head, &body);
    told.push(head.chars().take(300).collect());
    (
        Shape {
            head,
            body,
            told: told.join("\n"),
        },
        closes,
    )
}

/// A grant that is not whole, and no verdict.
fn broken(draw: &mut Draw) -> (Shape, bool) {
    let json = "content-type: application/json\r\n";
    let with = |status: &str, label: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 {status}\r\n{label}content-length: {}\r\n\r\n", body.len());
        (head, body.to_vec(), false)
    };
    let pair = PAIR.as_bytes();
    let cut = 1 + draw.below(pair.len() - 2);
    let padded = [pair, &vec![b' '; 160 * 1024]].concat();
    let (head, body, closes) = match draw.below(12) {
        0 => with("200 OK", json, &pair[..cut]),
        1 => with("200 OK", json, &[pair, pair].concat()),
        2 => with("200 OK", json, &[b"[", pair, b"]"].concat()),
        3 => with("200 OK", json, b"\x1f\x8b\x08\x00gzip"),
        4 => with("200 OK", "content-type: text/html\r\n", b"<html>login</html>"),
        5 => with("200 OK", json, b""),
        6 => with("200 OK", json, br#"{"token_type":"bearer"}"#),
        7 => with("200 OK", json, &padded),
        8 => (
            format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(33_000)),
            Vec::new(),
            true,
        ),
        9 => (
            format!("{}HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n".repeat(17)),
            pair.to_vec(),
            true,
        ),
        10 => with("204 No Content", "", b""),
        _ => (
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", pair.len() + 1),
            pair.to_vec(),
            true,
        ),
    };
    let told = head.chars().take(100).collect();
    (Shape { head, body, told }, closes)
}

/// JSON by somebody in between that looks like a verdict, and differs from one in one thing.
fn page_in_between(draw: &mut Draw) -> (Shape, bool) {
    let words = [
        "invalid_grant",
        "invalid_request",
        "invalid_client",
        "unauthorized_client",
        "access_denied",
    ];
    let word = draw.one(&words);
    let verdict = format!(r#"{{"error":"{word}"}}"#);
    let detailed = r#"{"code":401,"errors":[{"code":401}],"message":"Not Authorized"}"#;
    let json = "content-type: application/json\r\n";
    let (status, label, body) = match draw.below(9) {
        0 => (
            draw.one(&["403", "404", "405", "407", "418", "429", "451"]),
            json,
            verdict,
        ),
        1 => (
            draw.one(&["500", "502", "503", "504", "511", "302", "307", "200"]),
            json,
            verdict,
        ),
        2 => ("400", "content-type: text/html\r\n", verdict),
        3 => ("400", "", verdict),
        4 => (
            "400",
            "content-type: application/json\r\ncontent-type: application/json\r\n",
            verdict,
        ),
        5 => ("400", json, format!(r#"{{"error":"{word}","error":"{word}"}}"#)),
        6 => ("400", json, format!("[{verdict}]")),
        7 => (
            draw.one(&["400", "403", "404", "200", "503"]),
            json,
            detailed.to_owned(),
        ),
        _ => ("400", json, format!(r#"{{"error":{{"code":"{word}"}}}}"#)),
    };
    let mut head = format!("HTTP/1.1 {status} Said\r\n{label}");
    let told = format!("{head}{body}");
    let (body, closes) = framed(draw, &mut head, body.as_bytes());
    (Shape { head, body, told }, closes)
}

fn seed() -> u64 {
    let given = std::env::var("C2C_SEED").ok();
    given.map_or(SEED, |seed| seed.parse().unwrap())
}

/// One connection for each shape, at a server that reads the token of each refresh.
async fn answers(shapes: Vec<(Shape, bool, RefreshToken)>) -> Vec<Outcome> {
    let scripts = shapes.iter().map(|(shape, closes, _)| {
        let wire = [shape.head.as_bytes(), &shape.body].concat();
        let mut script = vec![Step::Take, healthy(), Step::Take, Step::Say(wire)];
        script.extend(closes.then_some(Step::Close));
        script
    });
    let mut server = Server::start(scripts.collect::<Vec<_>>()).await;
    let client = client_of(&server);
    let mut outcomes = Vec::new();
    for (_, _, token) in &shapes {
        let prepared = client.prepare().await;
        outcomes.push(client.refresh(prepared.connection.unwrap(), token, None).await);
        client.close_idle();
        let seen = server.so_far();
        let posts = seen
            .iter()
            .filter(|seen| matches!(seen, Seen::Request(text) if text.starts_with("POST")));
        let posts: Vec<_> = posts.collect();
        assert_eq!(posts.len(), 1, "a refresh is sent once");
    }
    outcomes
}

#[tokio::test]
async fn a_pair_that_came_whole_is_kept_in_whatever_shape() {
    let seed = seed();
    let draw = &mut Draw(seed);
    let mut token = "first".to_owned();
    let (mut shapes, mut wanted) = (Vec::new(), Vec::new());
    for _ in 0..SHAPES {
        let (access, refresh) = (draw.token(), draw.token());
        let (shape, closes) = whole(draw, &access, &refresh);
        shapes.push((shape, closes, RefreshToken::new(token.clone())));
        token.clone_from(&refresh);
        wanted.push((access, refresh));
    }
    let told: Vec<_> = shapes.iter().map(|(shape, ..)| shape.told.clone()).collect();
    for (at, outcome) in answers(shapes).await.into_iter().enumerate() {
        let at_fault = format!("C2C_SEED={seed}, shape {at}: {}", told[at]);
        let Answer::Refresh(RefreshAnswer::Granted(TokenGrant {
            access,
            refresh,
            expires_in,
        })) = outcome.answer
        else {
            panic!("{at_fault}\n{outcome:?}");
        };
        let (access, refresh) = (access.unwrap(), refresh.unwrap().unwrap());
        assert!(
            access.expose() == wanted[at].0 && refresh.expose() == wanted[at].1,
            "{at_fault}"
        );
        assert!(expires_in >= Duration::from_secs(1), "{at_fault}");
        assert_eq!(outcome.dropped, None, "{at_fault}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_told_and_ends_nothing() {
    let seed = seed();
    let draw = &mut Draw(seed);
    let shapes: Vec<_> = (0..SHAPES)
        .map(|_| {
            let (shape, closes) = if draw.chance(50) {
                broken(draw)
            } else {
                page_in_between(draw)
            };
            (shape, closes, token())
        })
        .collect();
    let told: Vec<_> = shapes.iter().map(|(shape, ..)| shape.told.clone()).collect();
    for (at, outcome) in answers(shapes).await.into_iter().enumerate() {
        let at_fault = format!("C2C_SEED={seed}, shape {at}: {}", told[at]);
        let Answer::Refresh(RefreshAnswer::Failed(fault)) = outcome.answer else {
            panic!("{at_fault}\n{outcome:?}");
        };
        // A connection that broke in the middle has nothing to explain.
        assert!(
            outcome.dropped.is_some() || fault.kind == FaultKind::Lost,
            "{at_fault}: {fault:?}"
        );
    }
}
