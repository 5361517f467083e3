//! One bounded request at a time, over verified TLS.
//!
//! Owns: name lookup, connections, TLS, limits on time and size, and the difference between "not
//! one byte was sent" and "it may have arrived". Must never: retry what may have arrived, follow a
//! redirect, judge an answer (that is `oauth`), log a header or a body.
//!
//! Invariants:
//! - A refresh is written once, on the connection that its `Prepare` proved, or not at all.
//! - A fault that is [`unsent`](FaultKind::unsent) means that no byte of the request left. Where
//!   that is not certain, it is [`FaultKind::Lost`].
//! - After any failure the next request has a fresh name lookup and a fresh connection.
//! - Dropping the future of a request closes its connection.
//!
//! Secrets are in wiped memory up to the point where hyper and rustls copy them into buffers of
//! their own. Those end with the connection, which is why none is kept longer than [`IDLE`].

mod addresses;
mod connect;
mod connection;
#[cfg(test)]
pub(crate) mod tests;
mod tls;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

pub(crate) use connection::Connection;
pub(crate) use tls::{FloorClock, TlsError, TlsSettings};

use crate::oauth::{HttpRequest, HttpResponse, Kind, Origin, Provider, TOKEN_LIMIT};
use c2c_auth_core::{Answer, Fault, FaultKind, PrepareAnswer, RefreshToken, Request, WallTime};

/// How long name lookup, TCP and TLS may take together. A caller waits 20 s at most, and something
/// must be left for the request itself.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// The longest that a request runs once the end has begun: no answer is waited for longer than one
/// of the token endpoint.
pub(crate) const LONGEST: Duration = CONNECT.saturating_add(TOKEN_LIMIT);

/// How long an idle connection is trusted. Polls come every 5 s. Middleboxes forget a silent
/// connection after a minute, some sooner, and a request sent into it then stalls until the limit.
const IDLE: Duration = Duration::from_secs(30);

/// Sends what the core asks for. Cheap to clone. Meant for a current-thread runtime with
/// `tokio::spawn`.
#[derive(Clone)]
pub(crate) struct Client {
    provider: Arc<Provider>,
    shared: Arc<Shared>,
}

struct Shared {
    tls: tls::Connector,
    idle: Mutex<Option<Idle>>,
}

/// The idle connection, and since when by `CLOCK_BOOTTIME`: after a suspend it is as old as it is.
struct Idle {
    connection: Connection,
    since: Duration,
}

/// How a request ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The `Date` of the answer. It came over verified TLS, as everything does here.
    pub date: Option<WallTime>,
    pub answer: Answer,
    /// The server has nothing at this address, or has moved it.
    pub endpoint_not_found: bool,
}

impl From<Answer> for Outcome {
    /// The outcome of a request that no server answered.
    fn from(answer: Answer) -> Self {
        Self {
            date: None,
            answer,
            endpoint_not_found: false,
        }
    }
}

/// How a `Prepare` ended.
pub(crate) struct Prepared {
    pub outcome: Outcome,
    /// For [`Client::refresh`]. Present unless the answer is [`PrepareAnswer::Failed`]. Dropping it
    /// closes it.
    pub connection: Option<Connection>,
}

impl Client {
    /// Reads `ca-file`, if there is one. The system's roots are read with the first connection.
    ///
    /// # Errors
    /// [`TlsError`], naming the file and the cure.
    pub(crate) fn new(provider: Arc<Provider>, tls: TlsSettings) -> Result<Self, TlsError> {
        let tls = tls::Connector::new(tls, provider.first_origin())?;
        Ok(Self {
            provider,
            shared: Arc::new(Shared {
                tls,
                idle: Mutex::new(None),
            }),
        })
    }

    /// The same connections, to a server at other addresses.
    #[must_use]
    pub(crate) fn with(&self, provider: Arc<Provider>) -> Self {
        Self {
            provider,
            shared: Arc::clone(&self.shared),
        }
    }

    /// Brings up a connection to the token endpoint and proves it by a request without a
    /// credential. Always a fresh one: a refresh is rare, and nothing is known of how long a server
    /// still keeps an old one.
    pub(crate) async fn prepare(&self) -> Prepared {
        self.prepare_on(None).await
    }

    /// As [`Client::prepare`], on a connection that an answer came on a moment ago, if it leads
    /// there.
    pub(crate) async fn prepare_on(&self, connection: Option<Connection>) -> Prepared {
        let mut date = None;
        let (answer, connection) = match self.verify_alive(connection, &mut date).await {
            Ok((answer, connection)) => (answer, Some(connection)),
            Err(why) => (Kind::Prepare.failed(fault(why)), None),
        };
        Prepared {
            outcome: Outcome {
                date,
                ..Outcome::from(answer)
            },
            connection,
        }
    }

    /// Spends a refresh token on exactly this connection, once. If it turns out dead before the
    /// first byte, the fault is
    /// [`FaultKind::Offline`]: nothing was sent.
    ///
    /// Meant to be spawned: whoever drops this future in flight has an ambiguous refresh.
    pub(crate) async fn refresh(&self, on: Connection, token: &RefreshToken) -> Outcome {
        match self.provider.refresh(token, entropy()) {
            // The server has moved since the connection was made.
            Some(request) if request.origin != *on.origin() => self.judge(Kind::Refresh, Err(FaultKind::Offline)),
            Some(request) => self.judge(Kind::Refresh, self.exchange(Kind::Refresh, on, request).await),
            None => self.unsendable(Kind::Refresh),
        }
    }

    /// Everything else, on an idle connection where there is one. A [`Request::Refresh`] needs the
    /// connection of its `Prepare`. Here it finds none, so nothing is sent.
    pub(crate) async fn send(&self, request: &Request) -> Outcome {
        let kind = Kind::of(request);
        match kind {
            Kind::Prepare => return self.prepare().await.outcome,
            Kind::Refresh => return self.judge(kind, Err(FaultKind::Offline)),
            Kind::DeviceCode
            | Kind::Poll
            | Kind::Authorize
            | Kind::Exchange
            | Kind::Revoke
            | Kind::Probe
            | Kind::Heartbeat => {}
        }
        match self.provider.request(request, entropy()) {
            Some(request) => self.judge(kind, self.transmit(kind, request).await),
            None => self.unsendable(kind),
        }
    }

    async fn verify_alive(
        &self,
        connection: Option<Connection>,
        date: &mut Option<WallTime>,
    ) -> Result<(Answer, Connection), FaultKind> {
        let deadline = Instant::now() + Kind::Prepare.limit();
        let origin = self.provider.token_origin().ok_or(FaultKind::Refused)?;
        // On this one an answer came a moment ago: that is proof.
        let idle = match connection.filter(|idle| idle.origin() == origin) {
            Some(mut idle) => timeout_at(deadline, idle.is_alive())
                .await
                .is_ok_and(|alive| alive)
                .then_some(idle),
            None => None,
        };
        let connection = match idle {
            Some(idle) => idle,
            None => self.connect(origin, deadline).await?,
        };
        let Some(request) = self.provider.request(&Request::Prepare, entropy()) else {
            return Ok((Answer::Prepare(PrepareAnswer::Ready), connection));
        };
        let (response, mut connection) = self.traced(connection, request, deadline).await?;
        *date = response.date_of_shared();
        let alive = timeout_at(deadline, connection.is_alive()).await;
        if alive != Ok(true) {
            // The server closes after each answer: then a fresh handshake is proof enough.
            connection = self.connect(origin, deadline).await?;
        }
        Ok((self.provider.answer(Kind::Prepare, &response), connection))
    }

    async fn transmit(&self, kind: Kind, request: HttpRequest) -> Result<HttpResponse, FaultKind> {
        if let Some(idle) = self.take_idle(&request.origin) {
            match self.exchange(kind, idle, request.clone()).await {
                // The server closed it in between. Nothing was sent, so a fresh one costs nothing.
                Err(FaultKind::Offline) => {}
                ended => return ended,
            }
        }
        let fresh = self.connect(&request.origin, Instant::now() + CONNECT).await?;
        self.exchange(kind, fresh, request).await
    }

    async fn exchange(&self, kind: Kind, on: Connection, request: HttpRequest) -> Result<HttpResponse, FaultKind> {
        let deadline = Instant::now() + kind.limit();
        let (response, connection) = self.traced(on, request, deadline).await?;
        if kind.is_followed() {
            self.keep_idle(connection);
        }
        Ok(response)
    }

    /// One request on this connection, with a line for the log.
    pub(crate) async fn traced(
        &self,
        on: Connection,
        request: HttpRequest,
        deadline: Instant,
    ) -> Result<(HttpResponse, Connection), FaultKind> {
        let (method, path) = (request.method.clone(), request.path.clone());
        let address = on.address();
        let started = Instant::now();
        let ended = on.exchange(request, deadline).await;
        let millis = started.elapsed().as_millis();
        match &ended {
            Ok((response, _)) => {
                let status = response.status.as_u16();
                let objection = response.oauth_error_code();
                tracing::debug!(%method, path, status, ?objection, millis, "answered");
            }
            Err(fault) => {
                tracing::debug!(%method, path, ?fault, millis, "not answered");
                self.forget_warm();
                if *fault == FaultKind::Lost {
                    lock(&self.shared.tls.memory).lost(address);
                }
            }
        }
        ended
    }

    pub(crate) async fn connect(&self, origin: &Origin, deadline: Instant) -> Result<Connection, FaultKind> {
        let deadline = deadline.min(Instant::now() + CONNECT);
        let ended = match self.shared.tls.connect(origin, deadline).await {
            Ok((address, stream)) => Connection::new(origin.clone(), address, stream).await,
            Err(fault) => Err(fault),
        };
        if ended.is_err() {
            self.forget_warm();
        }
        ended
    }

    fn judge(&self, kind: Kind, ended: Result<HttpResponse, FaultKind>) -> Outcome {
        match ended {
            Ok(response) => Outcome {
                date: response.date(),
                answer: self.provider.answer(kind, &response),
                endpoint_not_found: matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308 | 404 | 405 | 410),
            },
            Err(why) => kind.failed(fault(why)).into(),
        }
    }

    /// The provider has no such request, or a credential does not fit into it: nothing can be sent,
    /// now or later.
    fn unsendable(&self, kind: Kind) -> Outcome {
        self.provider.unsendable(kind).into()
    }

    pub(crate) fn take_idle(&self, origin: &Origin) -> Option<Connection> {
        let idle = self.idle().take()?;
        let fit = idle.connection.origin() == origin && boottime().saturating_sub(idle.since) < IDLE;
        fit.then_some(idle.connection)
    }

    pub(crate) fn keep_idle(&self, connection: Connection) {
        *self.idle() = Some(Idle {
            connection,
            since: boottime(),
        });
    }

    /// Where one connection failed, the network may have changed, and the idle one is no better.
    pub(crate) fn forget_warm(&self) {
        *self.idle() = None;
    }

    fn idle(&self) -> MutexGuard<'_, Option<Idle>> {
        lock(&self.shared.idle)
    }
}

/// Nothing can panic while one of these is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const fn fault(kind: FaultKind) -> Fault {
    Fault {
        kind,
        retry_after: None,
    }
}

/// For multipart boundaries. Zeros will do where the kernel has no entropy yet: a boundary is
/// checked, not guessed.
fn entropy() -> [u8; 16] {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        bytes = [0; 16];
    }
    bytes
}

fn boottime() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}
