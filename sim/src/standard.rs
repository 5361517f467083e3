//! A standard authorization server over TLS on loopback: discovery, device grant, code grant with PKCE, rotation, revocation.
//!
//! Strict where the RFCs are: a request that is not as they say is refused and remembered as a [`Standard::violations`]. Knows
//! public clients only; how clients prove themselves is tried against a certified server (`tests/oidc`). Runs on a thread of
//! its own and ends when its handle is dropped.

mod state;

use std::{convert::Infallible, fmt, io, net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime, sync::oneshot};

use state::{Fields, State, token};

pub use state::Secret;

use crate::{
    server::{Certificates, Tls},
    watched::{TimedOut, Watched},
};

/// The one client.
pub const CLIENT: &str = "camera-app";

/// What the server does where the standards leave it open.
#[derive(Clone, Debug)]
pub struct Habits {
    /// Life of an access token; `None` leaves `expires_in` out.
    pub token_life: Option<u64>,
    /// A refresh gives a new refresh token and ends the old one (RFC 6749 §6); without, the old one stays.
    pub rotates: bool,
    /// How it describes itself.
    pub document: Document,
    /// What every refresh is refused with, if it is.
    pub refuses_refresh: Option<&'static str>,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            token_life: Some(3600),
            rotates: true,
            document: Document::Good,
            refuses_refresh: None,
        }
    }
}

/// What is at the place where a server describes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// All that there is, and as it is.
    Good,
    /// Nothing.
    Absent,
    /// The name that the server gives itself is not the one it is called by.
    Misnamed,
    /// It knows only the PKCE method `plain`.
    Plain,
}

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
    pub fn start(habits: Habits) -> io::Result<Self> {
        let certificates = Certificates::make(&[]).map_err(io::Error::other)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let entered = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        drop(entered);
        let state = Watched::new(State {
            habits,
            issuer: format!("https://localhost:{}", address.port()),
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

    /// `https://localhost:PORT`.
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
    pub fn change(&self, change: impl FnOnce(&mut Habits)) {
        self.state.update(|state| change(&mut state.habits));
    }

    /// A person enters a user code and approves or declines. Whether there was such a code.
    #[must_use]
    pub fn decide(&self, user_code: &str, approve: bool) -> bool {
        self.state.update(|state| {
            let device = state.devices.values_mut().find(|device| device.user_code == user_code);
            device.map(|device| device.verdict = Some(approve)).is_some()
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

    /// A person opens an authorization URI and approves or declines. The address that the browser is sent to; `None` where
    /// the request is not one.
    #[must_use]
    pub fn browse(&self, authorization_uri: &str, approve: bool) -> Option<String> {
        self.state.update(|state| {
            let (endpoint, query) = authorization_uri.split_once('?')?;
            let fields = Fields::read(query.as_bytes());
            let good = endpoint == format!("{}/authorize", state.issuer)
                && fields.get("response_type") == Some("code")
                && fields.get("client_id") == Some(CLIENT)
                && fields.get("code_challenge_method") == Some("S256")
                && fields
                    .get("code_challenge")
                    .is_some_and(|challenge| challenge.len() == 43)
                && fields.get("state").is_some_and(|state| state.len() >= 8);
            if !good {
                state.violations.push(format!("authorization request: {fields:?}"));
                return None;
            }
            let redirect = fields.get("redirect_uri")?.to_owned();
            state.secrets.push((Secret::State, fields.get("state")?.to_owned()));
            let answer = if approve {
                let code = token();
                let challenge = fields.get("code_challenge")?.to_owned();
                state.secrets.push((Secret::AuthorizationCode, code.clone()));
                state.codes.insert(code.clone(), (challenge, redirect.clone()));
                ("code", code)
            } else {
                ("error", "access_denied".to_owned())
            };
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair(answer.0, &answer.1)
                .append_pair("state", fields.get("state")?)
                .append_pair("iss", &state.issuer)
                .finish();
            Some(format!("{redirect}?{query}"))
        })
    }

    /// Whether a token is live.
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

    /// What was asked, in order: method, path and verdict.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.state.read(|state| state.log.clone())
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

async fn answer(state: Watched<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let (status, body) = state.update(|state| {
        let path = head.uri.path();
        let typed = head
            .headers
            .get("content-type")
            .is_none_or(|kind| kind == "application/x-www-form-urlencoded");
        let strange = head.headers.keys().any(|name| name.as_str().starts_with("x-"));
        if !typed || strange || head.uri.query().is_some() {
            state
                .violations
                .push(format!("{} {path}: {:?}", head.method, head.headers.keys()));
        }
        let fields = Fields::read(&body);
        let (status, body) = state.act(&head.method, path, &fields);
        let error = body["error"].as_str().unwrap_or_default();
        let grant = fields.get("grant_type").unwrap_or_default();
        let grant = grant.rsplit(':').next().unwrap_or_default();
        state
            .log
            .push(format!("{} {path} {grant} {status} {error}", head.method));
        (status, body)
    });
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    for (name, value) in [("content-type", "application/json"), ("cache-control", "no-store")] {
        response
            .headers_mut()
            .insert(name, hyper::header::HeaderValue::from_static(value));
    }
    response.headers_mut().extend(
        hyper::header::HeaderValue::try_from(httpdate::fmt_http_date(std::time::SystemTime::now()))
            .ok()
            .map(|date| (hyper::header::DATE, date)),
    );
    Ok(response)
}
