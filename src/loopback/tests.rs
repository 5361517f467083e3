//! A browser among strangers, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::oauth::{ClientAuth, Endpoints, OauthCode, ServerSettings};
use c2c_auth_core::{AuthorizationCode, RedirectOutcome};

mod addresses;
mod crowds;

const STATE: &str = "canary-state-0123456789";
const CODE: &str = "canary-code";

type Handed = (Redirect, oneshot::Sender<Result<(), CallError>>);

/// A listener and what it hands on.
struct Bench {
    listener: Option<Listener>,
    port: u16,
    handed: mpsc::UnboundedReceiver<Handed>,
}

impl Bench {
    fn new() -> Self {
        let redirect = RedirectUri::parse("http://127.0.0.1/callback").unwrap();
        let bound = Bound::to(&redirect).unwrap();
        Self::with(redirect, bound)
    }

    /// At a port that is given to nobody who asks for any, so that it is nobody's afterwards.
    fn apart() -> Self {
        let own = 10_000 + u16::try_from(std::process::id() % 20_000).unwrap();
        let bound = (own..own + 100).find_map(|port| {
            let redirect = RedirectUri::parse(&format!("http://127.0.0.1:{port}/callback")).unwrap();
            Some((Bound::to(&redirect).ok()?, redirect))
        });
        let (bound, redirect) = bound.unwrap();
        Self::with(redirect, bound)
    }

    fn with(redirect: RedirectUri, bound: Bound) -> Self {
        let port = bound.redirect_uri().port().unwrap();
        let settings = ServerSettings {
            client_id: "c".to_owned(),
            client_secret: None,
            auth: ClientAuth::None,
            scope: None,
            issuer: None,
            endpoints: Endpoints::default(),
            ..ServerSettings::default()
        };
        let provider = OauthCode::new(settings, redirect);
        let (sender, handed) = mpsc::unbounded_channel();
        let sender = Mutex::new(sender);
        let listener = bound.serve(Callbacks {
            state: StateParameter::new(STATE.to_owned()),
            read: Box::new(move |address| provider.redirected(address)),
            deliver: Box::new(move |redirect| {
                let (reply, answer) = oneshot::channel();
                sender.lock().unwrap().send((redirect, reply)).unwrap();
                Box::pin(async move { answer.await.unwrap() })
            }),
        });
        Self {
            listener: Some(listener),
            port,
            handed,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.unwrap()
    }

    /// Sends a text as it is and reads until the end.
    async fn say(&self, text: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        answer(stream).await
    }

    async fn get(&self, target: &str) -> String {
        self.say(&self.request(target)).await
    }

    fn request(&self, target: &str) -> String {
        format!(
            "GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAccept: */*\r\n\r\n",
            self.port
        )
    }

    /// The real browser: it comes, is handed on, and sees the page of a pairing.
    async fn pairs(&mut self) {
        let mut stream = self.connect().await;
        stream.write_all(self.request(&right()).as_bytes()).await.unwrap();
        let (redirect, reply) = self.handed.recv().await.unwrap();
        assert_eq!(
            redirect.outcome,
            RedirectOutcome::Code(AuthorizationCode::new(CODE.to_owned()))
        );
        reply.send(Ok(())).unwrap();
        let page = answer(stream).await;
        assert!(
            page.starts_with("HTTP/1.1 200 ") && page.contains("You can close this page"),
            "{page}"
        );
    }

    fn is_undisturbed(&mut self) -> bool {
        self.handed.try_recv().is_err()
    }
}

fn right() -> String {
    format!("/callback?code={CODE}&state={STATE}")
}

async fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    // A reset counts as an answer of no bytes.
    let _ = stream.read_to_string(&mut text).await;
    text
}

#[tokio::test]
async fn the_browser_of_the_flow_is_handed_on_and_told_how_it_ended() {
    let mut bench = Bench::new();
    bench.pairs().await;
    for (result, words) in [
        (Err(CallError::WrongState), "used before"),
        (Err(CallError::NoPairing), "has ended"),
        (Err(CallError::Offline), "cannot reach the server"),
        (Err(CallError::Untrusted), "another certificate"),
        (Err(CallError::ClientRejected), "refuses this device"),
        (Err(CallError::ServerError), "did not complete"),
        (Err(CallError::TooOften { wait: Duration::ZERO }), "Reload this page"),
    ] {
        let mut stream = bench.connect().await;
        stream.write_all(bench.request(&right()).as_bytes()).await.unwrap();
        let (_, reply) = bench.handed.recv().await.unwrap();
        reply.send(result).unwrap();
        let page = answer(stream).await;
        assert!(page.contains(words), "{page}");
    }
    let declined = format!("/callback?error=access_denied&state={STATE}");
    let mut stream = bench.connect().await;
    stream.write_all(bench.request(&declined).as_bytes()).await.unwrap();
    let (redirect, reply) = bench.handed.recv().await.unwrap();
    assert_eq!(redirect.outcome, RedirectOutcome::Denied);
    reply.send(Err(CallError::NoPairing)).unwrap();
    assert!(answer(stream).await.contains("You declined"));
    // Again, or after the pairing by another answer: it changed nothing.
    let mut stream = bench.connect().await;
    stream.write_all(bench.request(&declined).as_bytes()).await.unwrap();
    bench
        .handed
        .recv()
        .await
        .unwrap()
        .1
        .send(Err(CallError::WrongState))
        .unwrap();
    assert!(answer(stream).await.contains("used before"));
}

#[tokio::test]
async fn strangers_learn_nothing_and_change_nothing() {
    let mut bench = Bench::new();
    let port = bench.port;
    let host = format!("Host: 127.0.0.1:{port}\r\n");
    let right = right();
    for (text, status) in [
        (format!("GET /favicon.ico HTTP/1.1\r\n{host}\r\n"), 404),
        (format!("GET / HTTP/1.1\r\n{host}\r\n"), 404),
        (format!("GET /callback/ HTTP/1.1\r\n{host}\r\n"), 404),
        (format!("GET //callback HTTP/1.1\r\n{host}\r\n"), 404),
        (format!("GET /callback HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET /callback?state=wrong&code=x HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET /callback?state={STATE} HTTP/1.1\r\n{host}\r\n"), 400),
        (
            format!("GET /callback?state={STATE}x&code=x HTTP/1.1\r\n{host}\r\n"),
            400,
        ),
        (format!("GET {right}&state={STATE} HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("POST {right} HTTP/1.1\r\n{host}\r\n"), 405),
        (format!("HEAD {right} HTTP/1.1\r\n{host}\r\n"), 405),
        (format!("get {right} HTTP/1.1\r\n{host}\r\n"), 405),
        (
            format!("GET {right} HTTP/1.1\r\n{host}Content-Length: 5\r\n\r\nhello"),
            400,
        ),
        (
            format!("GET {right} HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n"),
            400,
        ),
        // DNS rebinding: another name that leads here.
        (
            format!("GET {right} HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n"),
            400,
        ),
        (format!("GET {right} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"), 400),
        (format!("GET {right} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), 400),
        (format!("GET {right} HTTP/1.1\r\n{host}{host}\r\n"), 400),
        (format!("GET {right} HTTP/1.1\r\n\r\n"), 400),
        (format!("GET {right} HTTP/2\r\n{host}\r\n"), 400),
        (
            format!("GET http://127.0.0.1:{port}{right} HTTP/1.1\r\n{host}\r\n"),
            400,
        ),
        (format!("GET  {right} HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET {right}\r\n{host}\r\n"), 400),
        (format!("GET {right} HTTP/1.1\r\n{host}no colon\r\n\r\n"), 400),
        (format!("GET {right} HTTP/1.1\n{host}\r\n"), 400),
        (format!("GET {right} HTTP/1.1\r\n{host}Accept: */*\n\r\n"), 400),
        (
            format!(
                "GET {right} HTTP/1.1\r\n{host}Content-Length: {}1\r\n\r\n",
                "0".repeat(9000)
            ),
            400,
        ),
        (
            format!(
                "GET {right} HTTP/1.1\r\nHost: 127.0.0.1:{port}{}x\r\n\r\n",
                " ".repeat(9000)
            ),
            400,
        ),
        (
            format!("GET {right} HTTP/1.1\r\n{host}{}\r\n\r\n", "no colon ".repeat(1000)),
            400,
        ),
        (
            format!(
                "GET {right} HTTP/1.1\r\n{host}Cookie: {}\r\n\r\n",
                "a".repeat(request::HEAD_MAX)
            ),
            400,
        ),
        (format!("\r\n\r\n{right}"), 400),
        (
            format!(
                "GET /callback?code={} HTTP/1.1\r\n{host}\r\n",
                "a".repeat(request::LINE_MAX)
            ),
            400,
        ),
        ("\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), 400),
    ] {
        let told = bench.say(&text).await;
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{text:?}: {told}");
        assert!(told.ends_with("content-length: 0\r\n\r\n"), "{text:?}: {told}");
        assert!(bench.is_undisturbed(), "{text:?}");
    }
    bench.pairs().await;
}

/// Cookies know no ports: a browser sends along what any other server of this machine made it
/// remember.
#[tokio::test]
async fn a_browser_full_of_other_servers_cookies_is_not_locked_out() {
    let mut bench = Bench::new();
    let jar = |text: &[u8]| [b"Cookie: a=".as_slice(), text, b"\r\n"].concat();
    for headers in [
        jar(&b"x".repeat(9 * 1024)),
        jar(&b"x".repeat(request::HEAD_MAX - 1024)),
        jar(b"\xff\xfe \x80"),
        [jar(b"\xe9"), jar(&b"x".repeat(8191)), jar(&b"y".repeat(8192))].concat(),
        b"X: y\r\n".repeat(20_000),
    ] {
        let request = bench.request(&right());
        let (head, end) = request.as_bytes().split_at(request.len() - 2);
        let whole = [head, &headers, end].concat();
        let stream = bench.connect().await;
        let (mut from, mut to) = stream.into_split();
        let sending = tokio::spawn(async move {
            to.write_all(&whole).await.unwrap();
            to
        });
        let (redirect, reply) = bench.handed.recv().await.unwrap();
        assert_eq!(redirect.state.expose(), STATE);
        reply.send(Ok(())).unwrap();
        let mut page = String::new();
        let _to = sending.await.unwrap();
        from.read_to_string(&mut page).await.unwrap();
        assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    }
}

#[tokio::test]
async fn a_page_is_kept_nowhere_and_tells_nobody_its_address() {
    let mut bench = Bench::new();
    let mut stream = bench.connect().await;
    stream.write_all(bench.request(&right()).as_bytes()).await.unwrap();
    bench.handed.recv().await.unwrap().1.send(Ok(())).unwrap();
    for page in [
        answer(stream).await,
        bench.get("/x").await,
        bench.get("/callback?state=a&code=b").await,
    ] {
        for header in [
            "cache-control: no-store\r\n",
            "referrer-policy: no-referrer\r\n",
            "content-security-policy: default-src 'none';",
            "x-frame-options: DENY\r\n",
            "connection: close\r\n",
        ] {
            assert!(page.contains(header), "{header}: {page}");
        }
        assert!(!page.contains("canary") && !page.contains("<script"), "{page}");
    }
}

/// Time is the runtime's here: it jumps to the next deadline as soon as nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_end_is_cut() {
    let bench = Bench::new();
    let mut stream = bench.connect().await;
    stream.write_all(b"GET /callback HTTP/1.1\r\n").await.unwrap();
    let started = Instant::now();
    assert_eq!(answer(stream).await, "");
    assert!(started.elapsed() >= HEAD_LIMIT && started.elapsed() < HEAD_LIMIT * 2);
}

#[tokio::test]
async fn who_knows_the_state_is_handed_on_a_bounded_number_of_times() {
    let mut bench = Bench::new();
    for _ in 0..HANDED_MAX {
        bench.pairs().await;
    }
    assert!(bench.get(&right()).await.starts_with("HTTP/1.1 400 "));
    assert!(bench.is_undisturbed());
}

#[tokio::test]
async fn the_listener_ends_with_its_flow_and_the_browser_still_gets_its_page() {
    let mut bench = Bench::apart();
    let mut stream = bench.connect().await;
    stream.write_all(bench.request(&right()).as_bytes()).await.unwrap();
    let (_, reply) = bench.handed.recv().await.unwrap();
    let waiting = bench.connect().await;
    // The core cancels the flow's listener before it answers the call.
    drop(bench.listener.take());
    reply.send(Ok(())).unwrap();
    assert!(answer(stream).await.contains("is paired"));
    assert_eq!(answer(waiting).await, "");
    // The task that owns the sockets has ended: the port is free.
    let again = TcpStream::connect((Ipv4Addr::LOCALHOST, bench.port)).await;
    assert!(again.is_err());
}

#[test]
fn states_are_compared_whole() {
    for (one, other, wanted) in [
        ("", "", true),
        ("abc", "abc", true),
        ("abc", "abd", false),
        ("abc", "ab", false),
        ("ab", "abc", false),
        ("", "a", false),
    ] {
        assert_eq!(same(one, other), wanted, "{one} {other}");
    }
}
