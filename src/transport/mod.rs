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
//! their own. Those end with the connection, which is why none is kept longer than [`IDLE`]. The
//! heartbeat has one of its own, which carries no secret but an access token.

mod addresses;
mod connect;
mod connection;
mod idle;
mod limit;
mod proxy;
mod random;
#[cfg(test)]
pub(crate) mod tests;
mod tls;
mod trust;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

pub(crate) use connection::{Broken, Connection};
use idle::Idle;
use limit::{BootClock, Resume};
pub(crate) use proxy::{ProxyError, Ways};
use random::entropy;
pub(crate) use random::random;
pub(crate) use tls::{FloorClock, TlsError, TlsSettings};
pub(crate) use trust::ca_file_warnings;

use crate::oauth::{Dropped, HttpRequest, HttpResponse, Kind, Origin, Provider, TOKEN_LIMIT, carried};
use c2c_auth_core::{
    Answer, CodeAnswer, CodeVerifier, Fault, FaultKind, PrepareAnswer, ProbeAnswer, RefreshToken, Request, Secret,
    WallTime,
};

/// How long name lookup, TCP and TLS may take together. A caller waits 20 s at most, and something
/// must be left for the request itself.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// The longest that a request runs once the end has begun: no answer is waited for longer than one
/// of the token endpoint.
pub(crate) const LONGEST: Duration = CONNECT.saturating_add(TOKEN_LIMIT);

/// How long an idle connection is trusted. Polls come every 5 s. Middleboxes forget a silent
/// connection after a minute, some sooner, and a request sent into it then stalls until the limit.
const IDLE: Duration = Duration::from_secs(30);

/// The same for the heartbeat's own, until its next beat: the longest interval, and the request's
/// limit. A handshake for each would cost more than all the rest that is sent in a day.
const BEAT: Duration = Duration::from_secs(300 + 15);

/// Sends what the core asks for. Cheap to clone. Meant for a current-thread runtime with
/// `tokio::spawn`.
#[derive(Clone)]
pub(crate) struct Client {
    provider: Arc<Provider>,
    shared: Arc<Shared>,
}

struct Shared {
    tls: tls::Connector,
    clock: BootClock,
    idle: Idle,
    beat: Idle,
    /// A connection died between two beats without a word: something on the way forgets those that
    /// are silent for so long.
    beats_die: AtomicBool,
}

/// How a request ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The `Date` of the answer. It came over verified TLS, as everything does here.
    pub date: Option<WallTime>,
    pub answer: Answer,
    /// Why the answer came to no verdict, where the server said something.
    pub dropped: Option<Dropped>,
    /// The server's sentence about its refusal, for the journal alone.
    pub explanation: Option<String>,
    /// The server has nothing at this address, or has moved it.
    pub endpoint_not_found: bool,
    /// It does not look like an answer of this server ([`Provider::is_foreign`]).
    pub foreign: bool,
}

impl From<Answer> for Outcome {
    /// The outcome of a request that no server answered.
    fn from(answer: Answer) -> Self {
        Self {
            date: None,
            answer,
            dropped: None,
            explanation: None,
            endpoint_not_found: false,
            foreign: false,
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
                clock: BootClock::new(),
                idle: Idle::for_at_most(IDLE),
                beat: Idle::for_at_most(BEAT),
                beats_die: AtomicBool::new(false),
            }),
        })
    }

    /// For tests: another boot clock, of a client that was not used yet.
    #[cfg(test)]
    fn with_clock(mut self, now: fn() -> Duration) -> Self {
        Arc::get_mut(&mut self.shared).expect("nothing else has it").clock = BootClock::with(now);
        self
    }

    /// The system may have slept: requests that are over by `CLOCK_BOOTTIME` end unless they may
    /// bring a pair, and connections that were idle for too long are closed.
    pub(crate) fn handle_clock_step(&self) {
        let shared = &self.shared;
        shared.idle.close_if_over(shared.clock.now());
        shared.beat.close();
        shared.clock.handle_jump();
    }

    /// Nothing follows any more.
    pub(crate) fn close_idle(&self) {
        self.shared.idle.close();
        self.shared.beat.close();
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
        match self.verify_alive(connection).await {
            Ok((outcome, connection)) => Prepared {
                outcome,
                connection: Some(connection),
            },
            Err(why) => Prepared {
                outcome: broken(Kind::Prepare, why),
                connection: None,
            },
        }
    }

    /// Spends a refresh token on exactly this connection, once. If it turns out dead before the
    /// first byte, the fault is
    /// [`FaultKind::Offline`]: nothing was sent. `patience`: as in [`Request::Refresh`].
    ///
    /// Meant to be spawned: whoever drops this future in flight has an ambiguous refresh.
    pub(crate) async fn refresh(&self, on: Connection, token: &RefreshToken, patience: Option<Duration>) -> Outcome {
        match self.provider.refresh(token, entropy()) {
            // The server has moved since the connection was made.
            Some(request) if request.origin != *on.origin() => broken(Kind::Refresh, FaultKind::Offline.into()),
            Some(request) => {
                let limit = Kind::Refresh.limit();
                let deadline = Instant::now() + patience.map_or(limit, |patience| patience.min(limit));
                let resume = Resume::of(Kind::Refresh);
                let ended = self.traced_until(deadline, resume, on, request).await;
                self.judge(Kind::Refresh, &[token.secret()], ended)
            }
            None => self.unsendable(Kind::Refresh),
        }
    }

    /// Everything else, on an idle connection where there is one. A [`Request::Refresh`] needs the
    /// connection of its `Prepare`. Here it finds none, so nothing is sent.
    pub(crate) async fn send(&self, request: &Request) -> Outcome {
        let kind = Kind::of(request);
        match kind {
            Kind::Prepare => return self.prepare().await.outcome,
            Kind::Refresh => return broken(kind, FaultKind::Offline.into()),
            // There are no beats without a token.
            Kind::Revoke => self.shared.beat.close(),
            Kind::DeviceCode | Kind::Poll | Kind::Authorize | Kind::Exchange | Kind::Probe | Kind::Heartbeat => {}
        }
        if kind == Kind::DeviceCode && self.provider.proves_device_codes() {
            return self.prove_device_code().await;
        }
        match self.provider.request(request, entropy()) {
            Some(message) => {
                let ended = self.transmit(kind, message).await;
                self.judge(kind, &carried(request), ended)
            }
            None => self.unsendable(kind),
        }
    }

    /// [`Request::DeviceCode`] with a challenge. Its verifier goes with the code, to each poll.
    async fn prove_device_code(&self) -> Outcome {
        let kind = Kind::DeviceCode;
        let verifier = match random() {
            Ok(word) => CodeVerifier::new(word.to_string()),
            Err(fault) => return kind.failed(fault).into(),
        };
        let Some(message) = self.provider.proven_device_code(&verifier) else {
            return self.unsendable(kind);
        };
        let ended = self.transmit(kind, message).await;
        let mut outcome = self.judge(kind, &[verifier.secret()], ended);
        if let Answer::Code(CodeAnswer::Granted(code)) = &mut outcome.answer {
            code.verifier = Some(verifier);
        }
        outcome
    }

    async fn verify_alive(&self, connection: Option<Connection>) -> Result<(Outcome, Connection), Broken> {
        let kind = Kind::Prepare;
        let deadline = Instant::now() + kind.limit();
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
            return Ok((Answer::Prepare(PrepareAnswer::Ready).into(), connection));
        };
        let (response, mut connection) = self.traced(connection, request, deadline).await?;
        let alive = timeout_at(deadline, connection.is_alive()).await;
        if alive != Ok(true) {
            // The server closes after each answer: then a fresh handshake is proof enough.
            connection = self.connect(origin, deadline).await?;
        }
        let outcome = Outcome {
            date: response.date_of_shared(),
            endpoint_not_found: false,
            ..self.read(kind, &[], &response)
        };
        Ok((outcome, connection))
    }

    async fn transmit(&self, kind: Kind, request: HttpRequest) -> Result<(HttpResponse, Connection), Broken> {
        let now = self.shared.clock.now();
        let idle = match kind {
            // On another connection stand secrets that need not live as long.
            Kind::Heartbeat => self.shared.beat.take(&request.origin, now),
            _ => self.shared.idle.take(&request.origin, now),
        };
        if let Some(idle) = idle {
            match self.exchange(kind, idle, request.clone()).await {
                // The server closed it in between. Nothing was sent, so a fresh one costs nothing.
                Err(Broken {
                    kind: FaultKind::Offline,
                    ..
                }) => {}
                // A beat that comes twice does no harm.
                Err(Broken {
                    kind: FaultKind::Lost, ..
                }) if kind == Kind::Heartbeat => self.shared.beats_die.store(true, Ordering::Relaxed),
                ended => return ended,
            }
        }
        let fresh = self.connect(&request.origin, Instant::now() + CONNECT).await?;
        self.exchange(kind, fresh, request).await
    }

    async fn exchange(
        &self,
        kind: Kind,
        on: Connection,
        request: HttpRequest,
    ) -> Result<(HttpResponse, Connection), Broken> {
        let deadline = Instant::now() + kind.limit();
        self.traced_until(deadline, Resume::of(kind), on, request).await
    }

    /// One request on this connection, with a line for the log. Its answer brings no pair.
    pub(crate) async fn traced(
        &self,
        on: Connection,
        request: HttpRequest,
        deadline: Instant,
    ) -> Result<(HttpResponse, Connection), Broken> {
        self.traced_until(deadline, Resume::Ends, on, request).await
    }

    async fn traced_until(
        &self,
        deadline: Instant,
        resume: Resume,
        on: Connection,
        request: HttpRequest,
    ) -> Result<(HttpResponse, Connection), Broken> {
        let (method, path) = (request.method.clone(), request.path.clone());
        let address = on.address();
        let started = Instant::now();
        let ended = on.exchange(request, deadline, resume, &self.shared.clock).await;
        let millis = started.elapsed().as_millis();
        match &ended {
            Ok((response, _)) => {
                let status = response.status.as_u16();
                let objection = response.oauth_error_code();
                tracing::debug!(%method, path, status, ?objection, millis, "answered");
            }
            Err(Broken { kind: fault, defect }) => {
                tracing::debug!(%method, path, ?fault, ?defect, millis, "not answered");
                self.close_idle();
                if *fault == FaultKind::Lost {
                    lock(&self.shared.tls.memory).lost(address);
                }
            }
        }
        ended
    }

    pub(crate) async fn connect(&self, origin: &Origin, deadline: Instant) -> Result<Connection, Broken> {
        let deadline = deadline.min(Instant::now() + CONNECT);
        let connecting = async {
            let (address, stream) = self.shared.tls.connect(origin, deadline).await?;
            Ok(Connection::new(origin.clone(), address, stream).await?)
        };
        let ended = self.shared.clock.bound(deadline, Resume::Ends, connecting).await;
        let ended = ended.unwrap_or(Err(FaultKind::Offline.into()));
        if ended.is_err() {
            self.close_idle();
        }
        ended
    }

    /// The outcome of a request that carried these secrets. Its connection is kept or closed.
    fn judge(&self, kind: Kind, carried: &[&Secret], ended: Result<(HttpResponse, Connection), Broken>) -> Outcome {
        let (response, connection) = match ended {
            Ok(answered) => answered,
            Err(why) => return broken(kind, why),
        };
        let outcome = self.read(kind, carried, &response);
        let beats = kind == Kind::Heartbeat && !self.shared.beats_die.load(Ordering::Relaxed);
        if self.provider.is_followed(&outcome.answer) {
            self.keep_idle(connection);
        } else if beats && matches!(outcome.answer, Answer::Probe(ProbeAnswer::Accepted(_))) {
            self.shared.beat.keep(connection, self.shared.clock.now());
        }
        outcome
    }

    fn read(&self, kind: Kind, carried: &[&Secret], response: &HttpResponse) -> Outcome {
        let answer = self.provider.answer(kind, response);
        let dropped = answer.fault().map(|_| self.provider.dropped(kind, response, carried));
        Outcome {
            date: response.date(),
            answer,
            dropped,
            explanation: self.provider.explanation(response, carried),
            endpoint_not_found: matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308 | 404 | 405 | 410),
            foreign: self.provider.is_foreign(kind, response),
        }
    }

    /// The provider has no such request, or a credential does not fit into it: nothing can be sent,
    /// now or later.
    fn unsendable(&self, kind: Kind) -> Outcome {
        self.provider.unsendable(kind).into()
    }

    pub(crate) fn take_idle(&self, origin: &Origin) -> Option<Connection> {
        self.shared.idle.take(origin, self.shared.clock.now())
    }

    pub(crate) fn keep_idle(&self, connection: Connection) {
        self.shared.idle.keep(connection, self.shared.clock.now());
    }

    /// `deadline`, by the clock that goes on in suspend.
    pub(crate) fn boot_deadline(&self, deadline: Instant) -> Duration {
        self.shared.clock.at(deadline)
    }

    pub(crate) fn is_over(&self, boot_deadline: Duration) -> bool {
        self.shared.clock.now() >= boot_deadline
    }
}

/// Nothing can panic while one of these is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The outcome of a request without a whole answer.
fn broken(kind: Kind, Broken { kind: why, defect }: Broken) -> Outcome {
    Outcome {
        dropped: defect.map(Dropped::unanswered),
        ..kind.failed(fault(why)).into()
    }
}

const fn fault(kind: FaultKind) -> Fault {
    Fault {
        kind,
        retry_after: None,
    }
}
