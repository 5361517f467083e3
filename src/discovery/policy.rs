//! When a server's metadata documents are read, and what becomes of a request that needs them.
//!
//! Three reasons to read them, and each has its limit:
//! - The request lacks an address: it waits for [`LIMIT`].
//! - A told address led nowhere, so the server may have moved. The known address still serves:
//!   [`SHORT`], once in [`REST`].
//! - A new pairing by code has all its addresses and has not heard yet what the server promises:
//!   [`SHORT`], at each new pairing until a document was read or there is none.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::oauth::{Dropped, HttpRequest, HttpResponse, Kind, MetadataError, Provider};
use c2c_auth_core::{Fault, FaultKind, LocalFault};

/// All documents together, connections included. It comes beside the limit of the request that
/// waits, so that a slow link which needs half a minute for both gets there. Whatever was learned
/// until then is kept.
const LIMIT: Duration = Duration::from_secs(20);

/// The same where the request could go without, or need not go at all: a quarter of what a caller
/// waits, so that the request itself has the rest. On any link that carries a handshake and two
/// answers in that time it is enough.
///
/// A revocation is of this kind too: a new pairing waits for the revocation of the former one,
/// which does not need it.
const SHORT: Duration = Duration::from_secs(5);

/// How long no further request waits for a server that seems to have moved. One of the polls (one
/// every 5 s) and refreshes in between pays for asking. A server with ten thousand devices is asked
/// once a minute by each, not twelve times. The new address is learned a minute late at most.
const REST: Duration = Duration::from_secs(60);

/// A server's own description, and when it may be asked for again.
pub(super) struct Discovery {
    configured: Arc<Provider>,
    /// With the addresses that the server told.
    learned: Option<Arc<Provider>>,
    /// A told address led nowhere.
    may_have_moved: bool,
    /// Until then no request waits again for where the server went.
    next_attempt: Option<Instant>,
    /// Until then the server wants to be left alone: its `Retry-After` where it told nothing. A
    /// request that lacks an address asks all the same. Its fault passes the wish on to the core,
    /// which keeps it.
    left_alone_until: Option<Instant>,
    /// Paths without a document (404, 410).
    absent: BTreeSet<String>,
    /// The journal has it that there is no document at all. Once is enough for a person who is to
    /// mend it.
    warned: bool,
}

/// The first step of a request.
pub(super) enum Plan {
    /// Goes out with these addresses.
    Use(Arc<Provider>),
    /// Waits for the documents.
    Fetch(Fetch),
}

/// The reading of the documents for one request, one after the other until nothing is lacking.
pub(super) struct Fetch {
    kind: Kind,
    documents: VecDeque<HttpRequest>,
    pub(super) deadline: Instant,
    /// For one: a document that stalls leaves time for the next, and for the one after that.
    pub(super) document_limit: Duration,
    /// With all that was told. `None` where no document is to be believed.
    learned: Option<Arc<Provider>>,
    /// Why a document told nothing, other than that it does not exist.
    fault: Option<Fault>,
    /// A document that is not to be believed.
    unfit: Option<MetadataError>,
    /// The first answer that was no document and not the word that there is none.
    pub(super) dropped: Option<Dropped>,
}

impl Fetch {
    fn new(kind: Kind, documents: VecDeque<HttpRequest>, limit: Duration, now: Instant) -> Self {
        Self {
            kind,
            documents,
            deadline: now + limit,
            document_limit: limit * 2 / 5,
            learned: None,
            fault: None,
            unfit: None,
            dropped: None,
        }
    }

    /// The next document, if there is need and time for it.
    pub(super) fn next(&mut self, now: Instant) -> Option<HttpRequest> {
        let next = self.documents.pop_front()?;
        if now < self.deadline {
            return Some(next);
        }
        // Nothing is known of the documents that were not asked for.
        self.documents.clear();
        self.note(fault(FaultKind::Offline));
        None
    }

    /// The first fault decides the kind. The longest wish of the server holds.
    fn note(&mut self, fault: Fault) {
        let known = self.fault.get_or_insert(fault);
        known.retry_after = known.retry_after.max(fault.retry_after);
    }
}

impl Discovery {
    pub(super) const fn new(configured: Arc<Provider>) -> Self {
        Self {
            configured,
            learned: None,
            may_have_moved: false,
            next_attempt: None,
            left_alone_until: None,
            absent: BTreeSet::new(),
            warned: false,
        }
    }

    /// The provider, with all that is known of its server.
    pub(super) fn provider(&self) -> Arc<Provider> {
        Arc::clone(self.learned.as_ref().unwrap_or(&self.configured))
    }

    /// The first step of this request.
    pub(super) fn plan(&mut self, kind: Kind, now: Instant) -> Plan {
        let provider = self.provider();
        match self.limit(kind, &provider, now) {
            None => Plan::Use(provider),
            Some(limit) => Plan::Fetch(Fetch::new(kind, self.documents(), limit, now)),
        }
    }

    /// How long this request waits for the documents. `None` where it needs none, or can do without
    /// for now.
    fn limit(&mut self, kind: Kind, provider: &Provider, now: Instant) -> Option<Duration> {
        if provider.missing_endpoint(kind).is_some() {
            return Some(if kind == Kind::Revoke { SHORT } else { LIMIT });
        }
        let is_over = |until: Option<Instant>| until.is_none_or(|until| until <= now);
        if !is_over(self.left_alone_until) {
            return None;
        }
        // Asking cannot change an address that is written, and a pairing that lives with one must
        // not wait for others.
        if self.may_have_moved && self.configured.leaves_to_server(kind) && is_over(self.next_attempt) {
            // From the start of the wait on, so that no request that comes meanwhile waits as well.
            self.next_attempt = Some(now + REST);
            return Some(SHORT);
        }
        let documents = provider.documents();
        let may_exist = documents.iter().any(|document| !self.absent.contains(&document.path));
        if !(provider.benefits_from_metadata(kind) && may_exist) {
            return None;
        }
        // Whatever they are read for, this is the look for where the server went.
        if self.may_have_moved && is_over(self.next_attempt) {
            self.next_attempt = Some(now + REST);
        }
        Some(SHORT)
    }

    /// Those that were absent come last: one wrong answer must not rule out the right document for
    /// ever.
    fn documents(&self) -> VecDeque<HttpRequest> {
        let all = self.configured.documents();
        let (absent, documents): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|request| self.absent.contains(&request.path));
        documents.into_iter().chain(absent).collect()
    }

    /// Takes the result of asking for the document at `path`.
    pub(super) fn received(&mut self, fetch: &mut Fetch, path: String, result: Result<HttpResponse, FaultKind>) {
        let response = match result {
            Ok(response) => response,
            Err(kind) => {
                // The other documents are at the same host.
                if kind.unsent() {
                    fetch.documents.clear();
                }
                // The request that waits was not sent.
                fetch.note(fault(match kind {
                    FaultKind::Lost => FaultKind::Offline,
                    FaultKind::Garbled => FaultKind::Refused,
                    kind => kind,
                }));
                return;
            }
        };
        let status = response.status.as_u16();
        match fetch.learned.as_ref().unwrap_or(&self.configured).merge(&response) {
            Ok(learned) => {
                tracing::debug!(path, "the server described itself");
                if learned.missing_endpoint(fetch.kind).is_none() {
                    fetch.documents.clear();
                }
                fetch.learned = Some(Arc::new(learned));
            }
            Err(_) if matches!(status, 404 | 410) => {
                tracing::debug!(path, status, "no description of the server here");
                self.absent.insert(path);
            }
            Err(why) if response.status.is_success() => {
                let dropped = Dropped::document(fetch.kind, &response);
                if why == MetadataError::Unreadable {
                    tracing::warn!(path, why = %dropped, "this description of the server is not used");
                    fetch.dropped.get_or_insert(dropped);
                } else {
                    tracing::warn!(path, %why, "this description of the server is not used");
                }
                fetch.unfit = fetch.unfit.or(Some(why));
            }
            Err(_) => {
                let dropped = Dropped::document(fetch.kind, &response);
                tracing::debug!(path, why = %dropped, "no description of the server now");
                fetch.dropped.get_or_insert(dropped);
                let mut fault = response.fault();
                if fault.kind.ambiguous() {
                    fault.kind = FaultKind::Refused;
                }
                fetch.note(fault);
            }
        }
    }

    /// The provider for the request after the documents.
    ///
    /// # Errors
    /// A fault that is never ambiguous.
    pub(super) fn fetched(&mut self, fetch: Fetch, now: Instant) -> Result<Arc<Provider>, Fault> {
        let Fetch {
            kind,
            learned,
            fault: failed,
            unfit,
            ..
        } = fetch;
        let retry_after = failed.and_then(|fault| now.checked_add(fault.retry_after?));
        self.left_alone_until = self.left_alone_until.max(retry_after);
        let received = learned.is_some();
        if let Some(learned) = learned {
            self.keep(learned);
        }
        // Old knowledge of a server that seemed to have moved is better than nothing.
        let mut provider = self.provider();
        if kind == Kind::Revoke && failed.is_none() {
            // A server that described itself before may be back. A document that is not to be
            // believed may be mended.
            let is_final = received || (unfit.is_none() && !provider.has_metadata());
            if is_final && provider.missing_endpoint(Kind::Refresh).is_none() {
                // No document tells more than is known: a revocation must not be tried for ever at
                // a server that names no endpoint for it.
                provider = Arc::new(provider.exhausted());
                self.learned = Some(Arc::clone(&provider));
            }
        }
        let Some(lacking) = provider.missing_endpoint(kind) else {
            return Ok(provider);
        };
        // No document at all may be an outage. One that does not fit is to be mended here.
        let unfit = unfit.or(received.then_some(lacking));
        if unfit.is_none() && failed.is_none() {
            self.warn_if_not_found();
        }
        if let Some(why) = unfit {
            tracing::warn!(%why, "the server's description of itself is not enough");
        }
        // The missing part may be in the document that could not be had.
        let local = match unfit.filter(|_| failed.is_none()) {
            Some(MetadataError::AnotherIssuer) => Some(LocalFault::AnotherIssuer),
            Some(MetadataError::NoS256) => Some(LocalFault::NoS256),
            Some(MetadataError::NoEndpoint(_) | MetadataError::BadEndpoint(_)) => Some(LocalFault::NoEndpoint),
            Some(MetadataError::Unreadable) | None => None,
        };
        let failed = failed.unwrap_or(fault(FaultKind::Refused));
        Err(Fault {
            kind: local.map_or(failed.kind, FaultKind::Local),
            ..failed
        })
    }

    /// Keeps what was learned, unless it is less than what is known by now.
    fn keep(&mut self, learned: Arc<Provider>) {
        let knows_token = |provider: &Provider| provider.missing_endpoint(Kind::Refresh).is_none();
        if self.learned.as_deref().is_some_and(knows_token) && !knows_token(&learned) {
            return;
        }
        self.learned = Some(learned);
        self.may_have_moved = false;
        self.warned = false;
        // The wish came from another document, or its time has passed.
        self.left_alone_until = None;
    }

    /// A request found nothing at its address. If the server told that address, the documents are
    /// read again. Until then it is still used. Reading them cannot change an address that is
    /// written.
    pub(super) fn endpoint_not_found(&mut self, kind: Kind) {
        if self.configured.leaves_to_server(kind) {
            self.may_have_moved = self.learned.is_some();
            self.absent.clear();
        }
    }

    /// Where the documents would be, if none was ever read and each of these places said that there
    /// is none: then the issuer in the configuration is hardly the server's own.
    pub(super) fn not_found_at(&self) -> Option<String> {
        let provider = self.provider();
        let places = provider.documents();
        let nothing = !places.is_empty() && places.iter().all(|place| self.absent.contains(&place.path));
        (nothing && !provider.has_metadata()).then(|| {
            let places = places
                .iter()
                .map(|place| format!("https://{}{}", place.origin, place.path));
            places.collect::<Vec<_>>().join(", ")
        })
    }

    fn warn_if_not_found(&mut self) {
        if let Some(places) = self.not_found_at().filter(|_| !self.warned) {
            self.warned = true;
            tracing::warn!("no description of the server at {places}: check provider.issuer, or write the endpoints");
        }
    }

    #[cfg(test)]
    pub(super) fn forget(&mut self) {
        self.learned = None;
    }
}

const fn fault(kind: FaultKind) -> Fault {
    Fault {
        kind,
        retry_after: None,
    }
}
