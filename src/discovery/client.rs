//! Sends what the core asks for, and reads the server's documents before it where the policy says
//! so.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::policy::{Discovery, Fetch, Plan};
use crate::oauth::{Dropped, HttpRequest, HttpResponse, Kind, Provider};
use crate::transport::{self, Broken, Connection, Outcome, Prepared, TlsError, TlsSettings};
use c2c_auth_core::{Fault, FaultKind, RefreshToken, Request};

/// Cheap to clone. Meant for a current-thread runtime with `tokio::spawn`.
#[derive(Clone)]
pub(crate) struct Client {
    pub(super) http: transport::Client,
    shared: Arc<Shared>,
}

/// Why a request has no address to go to. Never ambiguous.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unresolved {
    pub fault: Fault,
    /// The fault of the server's document, where there was one.
    pub dropped: Option<Dropped>,
}

impl From<Fault> for Unresolved {
    fn from(fault: Fault) -> Self {
        Self { fault, dropped: None }
    }
}

impl Unresolved {
    pub(crate) fn outcome(self, kind: Kind) -> Outcome {
        Outcome {
            dropped: self.dropped,
            ..kind.failed(self.fault).into()
        }
    }
}

struct Shared {
    discovery: Mutex<Discovery>,
    /// True once the end has begun.
    ending: watch::Sender<bool>,
}

impl Client {
    /// As [`transport::Client::new`].
    ///
    /// # Errors
    /// [`TlsError`], naming the file and the cure.
    pub(crate) fn new(provider: Arc<Provider>, tls: TlsSettings) -> Result<Self, TlsError> {
        Ok(Self {
            http: transport::Client::new(Arc::clone(&provider), tls)?,
            shared: Arc::new(Shared {
                discovery: Mutex::new(Discovery::new(provider)),
                ending: watch::Sender::new(false),
            }),
        })
    }

    /// The provider, with all that is known of its server.
    #[must_use]
    pub(crate) fn provider(&self) -> Arc<Provider> {
        self.discovery().provider()
    }

    /// The end has begun: no request waits for the server's documents, now or later. Requests that
    /// are out, and those whose address is known, run to their own limits.
    pub(crate) fn shut_down(&self) {
        self.shared.ending.send_replace(true);
        self.http.close_idle();
    }

    // As [`transport::Client::handle_clock_step`].
    pub(crate) fn handle_clock_step(&self) {
        self.http.handle_clock_step();
    }

    // As [`transport::Client::prepare`].
    pub(crate) async fn prepare(&self) -> Prepared {
        match self.discover(Kind::Prepare).await {
            Ok((provider, connection)) => self.http.with(provider).prepare_on(connection).await,
            Err(why) => Prepared {
                outcome: why.outcome(Kind::Prepare),
                connection: None,
            },
        }
    }

    // As [`transport::Client::refresh`].
    pub(crate) async fn refresh(&self, on: Connection, token: &RefreshToken, patience: Option<Duration>) -> Outcome {
        let outcome = self.http.with(self.provider()).refresh(on, token, patience).await;
        self.note(Kind::Refresh, outcome)
    }

    // As [`transport::Client::send`].
    pub(crate) async fn send(&self, request: &Request) -> Outcome {
        let kind = Kind::of(request);
        match kind {
            Kind::Prepare => return self.prepare().await.outcome,
            Kind::Refresh => return self.http.send(request).await,
            Kind::DeviceCode
            | Kind::Poll
            | Kind::Authorize
            | Kind::Exchange
            | Kind::Revoke
            | Kind::Probe
            | Kind::Heartbeat => {}
        }
        match self.resolve(kind).await {
            Ok(provider) => {
                let outcome = self.http.with(provider).send(request).await;
                self.note(kind, outcome)
            }
            Err(why) => why.outcome(kind),
        }
    }

    /// The provider with every address that this request needs.
    ///
    /// # Errors
    /// A fault that is never ambiguous.
    pub(crate) async fn resolve(&self, kind: Kind) -> Result<Arc<Provider>, Unresolved> {
        let (provider, connection) = self.discover(kind).await?;
        if let Some(connection) = connection {
            self.http.keep_idle(connection);
        }
        Ok(provider)
    }

    /// Where the server would have its documents, if each of these places said that there is none.
    #[must_use]
    pub(crate) fn nowhere_described(&self) -> Option<String> {
        self.discovery().not_found_at()
    }

    /// As [`Client::resolve`], with the connection on which a document came.
    async fn discover(&self, kind: Kind) -> Result<(Arc<Provider>, Option<Connection>), Unresolved> {
        let plan = self.discovery().plan(kind, Instant::now().into_std());
        let fetch = match plan {
            Plan::Use(provider) => return Ok((provider, None)),
            Plan::Fetch(fetch) => fetch,
        };
        tokio::select! {
            biased;
            () = self.end_begins() => {
                tracing::debug!("the server is not asked for a description of itself any more: this is the end");
                let provider = self.provider();
                match provider.missing_endpoint(kind) {
                    None => Ok((provider, None)),
                    Some(_) => Err(Fault { kind: FaultKind::Offline, retry_after: None }.into()),
                }
            }
            (mut fetch, connection) = self.fetch(fetch) => {
                let dropped = fetch.dropped.take();
                match self.discovery().fetched(fetch, Instant::now().into_std()) {
                    Ok(provider) => Ok((provider, connection)),
                    Err(fault) => Err(Unresolved { fault, dropped }),
                }
            }
        }
    }

    // Waits for [`Client::shut_down`].
    async fn end_begins(&self) {
        let mut ending = self.shared.ending.subscribe();
        // The sender is this client's own.
        let _ = ending.wait_for(|has_begun| *has_begun).await;
    }

    async fn fetch(&self, mut fetch: Fetch) -> (Fetch, Option<Connection>) {
        let mut connection = None;
        let over = self.http.boot_deadline(fetch.deadline.into());
        loop {
            // After a suspend, tokio's clock still has the time that was left before it.
            let now = if self.http.is_over(over) {
                fetch.deadline
            } else {
                Instant::now().into_std()
            };
            let Some(request) = fetch.next(now) else { break };
            let path = request.path.clone();
            let on = connection.take().or_else(|| self.http.take_idle(&request.origin));
            let result = self.get(on, request, fetch.deadline.into(), fetch.document_limit).await;
            let result = match result {
                Ok((response, on)) => {
                    connection = Some(on);
                    Ok(response)
                }
                Err(Broken { kind, defect }) => {
                    let dropped = defect.map(Dropped::unanswered);
                    fetch.dropped = fetch.dropped.take().or(dropped);
                    Err(kind)
                }
            };
            self.discovery().received(&mut fetch, path, result);
        }
        (fetch, connection)
    }

    async fn get(
        &self,
        on: Option<Connection>,
        request: HttpRequest,
        deadline: Instant,
        document_limit: Duration,
    ) -> Result<(HttpResponse, Connection), Broken> {
        let limit = || deadline.min(Instant::now() + document_limit);
        if let Some(on) = on {
            match self.http.traced(on, request.clone(), limit()).await {
                // The server closed it in between.
                Err(Broken {
                    kind: FaultKind::Offline,
                    ..
                }) => {}
                ended => return ended,
            }
        }
        let fresh = self.http.connect(&request.origin, deadline).await?;
        self.http.traced(fresh, request, limit()).await
    }

    /// Tells the policy of an endpoint that was not found.
    fn note(&self, kind: Kind, outcome: Outcome) -> Outcome {
        if outcome.endpoint_not_found {
            self.discovery().endpoint_not_found(kind);
        }
        outcome
    }

    /// Nothing can panic while this is held.
    pub(super) fn discovery(&self) -> MutexGuard<'_, Discovery> {
        self.shared.discovery.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
