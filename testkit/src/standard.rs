//! A standard authorization server over TLS on loopback: discovery, device grant, code grant with
//! PKCE, rotation, revocation.
//!
//! Strict where the RFCs are, and where the documents of the two servers are whose [`Dialect`] it
//! can speak: a request that is not as they say is refused and remembered in
//! [`Standard::violations`]. Runs on a thread of its own and ends when its handle is dropped.

mod dialect;
mod quirks;
mod rules;
mod state;

use std::{convert::Infallible, error::Error, fmt, io, net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime, sync::oneshot};

use dialect::Call;
use state::{Fields, State};

pub use dialect::{Client, Dialect};
pub use quirks::{Document, Loss, Quirks, Shape};
pub use rules::{Challenge, Proof, Rules, Said};

pub use state::Secret;

use crate::{
    server::{Certificates, Tls},
    watched::{TimedOut, Watched},
};

/// The one client.
pub const CLIENT: &str = "camera-app";

/// A handle to a running server.
pub struct Standard {
    state: Watched<State>,
    address: SocketAddr,
    ca_pem: String,
    // Both `Some` until dropped.
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standard")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for Standard {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic on that thread was printed there.
            let _ = thread.join();
        }
    }
}

impl Standard {
    /// Starts one on a free loopback port.
    ///
    /// # Errors
    ///
    /// When there is no port, no thread or no certificate to be had.
    pub fn start(quirks: Quirks) -> io::Result<Self> {
        let certificates = Certificates::make(&[quirks.host.to_owned()]).map_err(io::Error::other)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let entered = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        drop(entered);
        let state = Watched::new(State {
            issuer: format!("https://{}:{}", quirks.host, address.port()),
            quirks,
            ..State::default()
        });
        let ca_pem = certificates.ca_pem.clone();
        let (stop, stopped) = oneshot::channel();
        let shared = state.clone();
        let thread = std::thread::Builder::new()
            .name("c2c-sim-standard".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = run(shared, listener, Arc::new(certificates)) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            state,
            address,
            ca_pem,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// `https://HOST:PORT`.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.state.read(|state| state.issuer.clone())
    }

    /// The CA's certificate.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Changes what it does.
    pub fn change(&self, change: impl FnOnce(&mut Quirks)) {
        self.state.update(|state| change(&mut state.quirks));
    }

    /// A person enters a user code and approves or declines. True if there was such a code.
    #[must_use]
    pub fn decide(&self, user_code: &str, approve: bool) -> bool {
        self.state.update(|state| {
            let device = state.devices.values_mut().find(|device| device.user_code == user_code);
            device.map(|device| device.verdict = Some(approve)).is_some()
        })
    }

    /// The time of a user code is over. True if there was such a code.
    #[must_use]
    pub fn expire(&self, user_code: &str) -> bool {
        self.state.update(|state| {
            let device = state.devices.values_mut().find(|device| device.user_code == user_code);
            device.map(|device| device.expired = true).is_some()
        })
    }

    /// True if the answer to a refresh to come is still to be lost.
    #[must_use]
    pub fn will_lose(&self) -> bool {
        self.state.read(|state| !state.quirks.loses.is_empty())
    }

    /// A person takes all grants back.
    pub fn revoke_all(&self) {
        self.state.update(|state| {
            state.live.clear();
            state.retired.clear();
        });
    }

    /// Where it is asked: authorization, token and, where there is one, revocation endpoint.
    #[must_use]
    pub fn endpoints(&self) -> (String, String, Option<String>) {
        self.state.read(|state| {
            let at = |path: &str| format!("{}{path}", state.issuer);
            let paths = state.quirks.dialect.paths();
            (at(paths.authorization), at(paths.token), paths.revocation.map(at))
        })
    }

    /// User codes that nobody has decided about, in the order in which they were issued.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        self.state.read(|state| {
            let open = |code: &&String| {
                state
                    .devices
                    .values()
                    .any(|d| d.user_code == **code && d.verdict.is_none())
            };
            let codes = state.secrets.iter().filter(|(kind, _)| *kind == Secret::UserCode);
            codes.map(|(_, code)| code).filter(open).cloned().collect()
        })
    }

    /// A person opens an authorization URI and approves or declines. Returns the address that the
    /// browser is sent to. `None` where the request is not one.
    #[must_use]
    pub fn browse(&self, authorization_uri: &str, approve: bool) -> Option<String> {
        self.state.update(|state| state.authorize(authorization_uri, approve))
    }

    /// True if a token is live.
    #[must_use]
    pub fn takes(&self, token: &str) -> bool {
        self.state.read(|state| state.live.contains_key(token))
    }

    /// How many grants have a live token.
    #[must_use]
    pub fn live_grants(&self) -> usize {
        self.state.read(|state| {
            let mut grants: Vec<_> = state.live.values().collect();
            grants.sort_unstable();
            grants.dedup();
            grants.len()
        })
    }

    /// Every secret of this kind that there ever was, in order.
    #[must_use]
    pub fn secrets(&self, kind: Secret) -> Vec<String> {
        self.state.read(|state| {
            let some = state.secrets.iter().filter(|(of, _)| *of == kind);
            some.map(|(_, value)| value.clone()).collect()
        })
    }

    /// The requests in order: method, path and verdict.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.state.read(|state| state.log.clone())
    }

    /// The refused requests of [`Self::log`].
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        let refused = |line: &String| {
            line.split(' ')
                .any(|word| word.len() == 3 && word.starts_with(['4', '5']))
        };
        self.log().into_iter().filter(refused).collect()
    }

    /// Requests that no client may send.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.state.read(|state| state.violations.clone())
    }

    /// Waits until the log has a line that begins like this, `times` times.
    ///
    /// # Errors
    ///
    /// When it did not happen within the limit.
    pub async fn seen(&self, begins: &'static str, times: usize, limit: Duration) -> Result<(), TimedOut> {
        let enough = move |state: &State| {
            let count = state.log.iter().filter(|line| line.starts_with(begins)).count();
            (count >= times).then_some(())
        };
        self.state.wait(enough, limit).await
    }
}

async fn run(state: Watched<State>, listener: TcpListener, certificates: Arc<Certificates>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (state, certificates) = (state.clone(), Arc::clone(&certificates));
        tokio::spawn(async move {
            let Some(acceptor) = certificates.acceptor(Tls::Good) else {
                return;
            };
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = service_fn(|request| answer(state.clone(), request));
            // How a connection ends is the client's affair.
            let _ = http1::Builder::new()
                .auto_date_header(false)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    state: Watched<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Box<dyn Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let (status, body, label, lost) = state.update(|state| {
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let call = Call {
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            authorization: header("authorization").map(ToOwned::to_owned),
            query: Fields::read(head.uri.query().unwrap_or_default().as_bytes()),
            form: Fields::read(&body),
        };
        let path = &call.path;
        let typed = header("content-type").is_none_or(|kind| kind == "application/x-www-form-urlencoded");
        let strange = head.headers.keys().any(|name| name.as_str().starts_with("x-"));
        let asks = head.method == hyper::Method::GET && !call.query.is_empty();
        if !typed || strange || asks {
            state
                .violations
                .push(format!("{} {path}: {:?}", head.method, head.headers.keys()));
        }
        let (status, mut body) = state.act(&call);
        if let Some(text) = state
            .quirks
            .describes_with
            .as_ref()
            .filter(|_| !body["error"].is_null())
        {
            body["error_description"] = text.as_str().into();
        }
        let error = body["error"].as_str().unwrap_or_default();
        let grant = call.form.get("grant_type").unwrap_or_default();
        let grant = grant.rsplit(':').next().unwrap_or_default();
        state
            .log
            .push(format!("{} {path} {grant} {status} {error}", head.method));
        let renewed = grant == "refresh_token" && status == 200 && !state.quirks.loses.is_empty();
        let lost = renewed.then(|| state.quirks.loses.remove(0));
        (status, body, state.quirks.label, lost)
    });
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    match lost {
        Some(Loss::Before) => return Err("the connection is cut".into()),
        Some(Loss::Stall) => std::future::pending().await,
        Some(Loss::Within) | None => {}
    }
    let empty = text.is_empty();
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    // An empty answer has no type.
    let typed = (!empty).then_some(("content-type", label));
    for (name, value) in typed.into_iter().chain([("cache-control", "no-store")]) {
        response
            .headers_mut()
            .insert(name, hyper::header::HeaderValue::from_static(value));
    }
    if lost.is_some() {
        // More than there is: the connection ends where the body does.
        let longer = hyper::header::HeaderValue::from(1_000_000_u32);
        response.headers_mut().insert(hyper::header::CONTENT_LENGTH, longer);
    }
    response.headers_mut().extend(
        hyper::header::HeaderValue::try_from(httpdate::fmt_http_date(std::time::SystemTime::now()))
            .ok()
            .map(|date| (hyper::header::DATE, date)),
    );
    Ok(response)
}
