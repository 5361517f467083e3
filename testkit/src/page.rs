//! The web page on which a person approves or denies a code, for the demo.
//!
//! Owns: a listener on 127.0.0.1, on a thread of its own. One port speaks both protocols. Https is
//! there because devices send people nowhere else. Its certificate is one that no browser trusts,
//! so http is there for people who do not want the warning. Must never: listen elsewhere, or keep
//! anything. It asks the [`Server`] for all it knows.

use std::{convert::Infallible, io, net::SocketAddr, thread::JoinHandle, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    runtime,
    sync::oneshot,
};

use crate::server::Server;

// A code and a word.
const BODY_LIMIT: usize = 1024;

// RFC 8446 §5.1: the content type of the record in which a TLS client speaks first. No HTTP method
// begins with it.
const TLS_HANDSHAKE: u8 = 22;

const STYLE: &str = "body{font:18px/1.5 system-ui,sans-serif;max-width:26rem;margin:12vh auto;padding:0 1rem;color:#223}\
    h1{font-size:1.4rem}input{font:2rem ui-monospace,monospace;letter-spacing:.3em;width:100%;padding:.3em;\
    box-sizing:border-box;text-align:center}button{font:inherit;padding:.5em 1.5em;margin:1em .5em 0 0;border:0;\
    border-radius:.4em;background:#dde;color:#223}button.yes{background:#175;color:#fff}b{white-space:nowrap}";

/// A running page. Stops when dropped.
#[derive(Debug)]
pub struct Page {
    address: SocketAddr,
    // Both `Some` until dropped.
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Page {
    /// Opens the page on a free loopback port. From now on the server's codes name it as the place
    /// to type them.
    ///
    /// # Errors
    ///
    /// When there is no port or no thread to be had.
    pub fn open(server: &Server) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let behind = server.clone();
        let thread = std::thread::Builder::new()
            .name("c2c-sim-page".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = run(listener, behind) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        let page = Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        };
        server.set_options(|o| o.verification_uri = page.url());
        Ok(page)
    }

    /// Where to type a code, as devices are told. This, a slash, and the code lead to the question
    /// at once.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}/pair", self.address)
    }

    /// The same page for a browser that does not know the server's CA.
    #[must_use]
    pub fn plain_url(&self) -> String {
        format!("http://{}/pair", self.address)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic on that thread was printed there.
            let _ = thread.join();
        }
    }
}

async fn run(listener: std::net::TcpListener, server: Server) {
    let listener = TcpListener::from_std(listener).expect("a listener that does not block");
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: some may come back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let server = server.clone();
        tokio::spawn(async move {
            let mut first = [0];
            // A browser that goes away is its own business, here and below.
            let _ = stream.peek(&mut first).await;
            match server.acceptor().filter(|_| first == [TLS_HANDSHAKE]) {
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(&server, stream).await;
                    }
                }
                None => serve(&server, stream).await,
            }
        });
    }
}

async fn serve(server: &Server, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let service = service_fn(|request| answer(server, request));
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(server: &Server, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let shown = head
        .uri
        .path()
        .strip_prefix("/pair")
        .map(|rest| rest.trim_matches('/').to_owned());
    let (status, content) = match (head.method.as_str(), shown) {
        ("GET", Some(code)) if code.is_empty() => (StatusCode::OK, type_it(None)),
        ("GET", Some(code)) => (StatusCode::OK, ask(server, &code)),
        ("POST", Some(_)) => match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(body) => (StatusCode::OK, decide(server, &body.to_bytes())),
            Err(_) => (StatusCode::PAYLOAD_TOO_LARGE, type_it(None)),
        },
        ("GET", None) if head.uri.path() == "/" => (StatusCode::OK, type_it(None)),
        _ => (
            StatusCode::NOT_FOUND,
            "<h1>Nothing here</h1><p><a href=\"/pair\">Connect a device</a></p>".to_owned(),
        ),
    };
    let document = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Connect a device</title><style>{STYLE}</style>{content}</html>"
    );
    let mut response = Response::new(Full::new(Bytes::from(document)));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/html; charset=utf-8"),
    );
    Ok(response)
}

fn type_it(complaint: Option<&str>) -> String {
    let complaint = complaint.map(|c| format!("<p>{}</p>", escaped(c))).unwrap_or_default();
    format!(
        "<h1>Connect a device</h1>{complaint}<p>Type the six digits that the device shows.</p><form method=\"post\" \
         action=\"/pair\"><input name=\"code\" inputmode=\"numeric\" maxlength=\"6\" autofocus autocomplete=\"off\">\
         <button class=\"yes\" name=\"do\" value=\"ask\">Go on</button></form>"
    )
}

fn ask(server: &Server, code: &str) -> String {
    let Some(device) = server.waiting().into_iter().find(|w| w.user_code == code) else {
        return type_it(Some(
            "No device shows this code. It may have run out: look for a new one.",
        ));
    };
    format!(
        "<h1>Connect this device?</h1><p><b>{}</b> shows the code {}. It wants to send clips to your project.</p>\
         <form method=\"post\" action=\"/pair\"><input type=\"hidden\" name=\"code\" value=\"{}\">\
         <button class=\"yes\" name=\"do\" value=\"approve\">Approve</button>\
         <button name=\"do\" value=\"deny\">Deny</button></form>",
        escaped(&device.device_name),
        escaped(code),
        escaped(code),
    )
}

fn decide(server: &Server, body: &[u8]) -> String {
    let field = |name: &str| {
        form_urlencoded::parse(body)
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.trim().to_owned())
    };
    let (code, wish) = (field("code").unwrap_or_default(), field("do").unwrap_or_default());
    let (done, said) = match wish.as_str() {
        "approve" => (
            server.approve(&code),
            "Approved. The device will know in a few seconds.",
        ),
        "deny" => (server.deny(&code), "Denied. The device will know in a few seconds."),
        _ => return ask(server, &code),
    };
    match done {
        Ok(()) => format!("<h1>{said}</h1><p>You can close this page.</p>"),
        Err(error) => type_it(Some(&error.to_string())),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Options;

    #[test]
    fn nothing_typed_comes_back_as_markup() {
        let server = Server::start(Options::default()).expect("the server starts");
        let said = decide(&server, b"code=%3Cscript%3E&do=approve");
        assert!(!said.contains("<script>"), "{said}");
        assert!(said.contains("no device shows this code"), "{said}");
    }
}
