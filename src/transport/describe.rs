//! Asking a server to describe itself, where a request needs an address that the configuration does not have, or is better off
//! with what only the server can tell.
//!
//! Nothing here is ambiguous: what is asked for is public, and asked for by `GET`. So every fault is one that says «not sent»
//! or «not carried out» of the request that had to wait for it.
//!
//! Three reasons to ask, and each has its patience:
//! - The request lacks an address: it waits for [`LIMIT`].
//! - An address led nowhere, so the server may have moved, but what was learned is all there: [`SHORT`], and not again for
//!   [`REST`].
//! - A new pairing by code has all its addresses and has not heard yet what the server promises: [`SHORT`], at each new pairing
//!   until it was heard or there is nothing to be heard.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{CONNECT, Client, Connection, fault, lock};
use crate::oauth::{HttpRequest, HttpResponse, Kind, Provider, Unfit};
use c2c_auth_core::{Fault, FaultKind, LocalFault};

/// All places together, connections included. Beside the limit of the request that waits, so that a slow link which needs half a
/// minute for both gets there; what was learned until then is kept.
const LIMIT: Duration = Duration::from_secs(20);

/// The same where the request could go without, or need not go at all: a quarter of what a caller waits, so that the request
/// itself has the rest. On any link that carries a handshake and two answers in that time it is enough.
///
/// A revocation is of this kind too. Whoever starts a new pairing waits for the one of the former, which does not need it.
const SHORT: Duration = Duration::from_secs(5);

/// How long nobody waits again for a server that seems to have moved: of the polls (one every 5 s) and the refreshes in between
/// only one pays for asking, and a server with ten thousand devices is asked for its description once a minute by each, not
/// twelve times. Where it went is learned a minute late at most.
const REST: Duration = Duration::from_secs(60);

/// What the server told of itself, where the configuration leaves that to it.
#[derive(Default)]
pub(super) struct Known {
    /// With those addresses.
    pub(super) provider: Option<Arc<Provider>>,
    /// An address led nowhere: the server may have moved.
    outdated: bool,
    /// Until then nobody waits again for where it went.
    rested: Option<Instant>,
    /// Until then the server wants to be left alone: its `Retry-After` where it told nothing. Who lacks an address asks all the same; to
    /// keep to the wish is then up to whoever was told of it with the fault.
    wished: Option<Instant>,
    /// Paths where there is no description.
    absent: BTreeSet<String>,
    /// That there is none at all was told: once is enough for somebody who is to mend it.
    nowhere_told: bool,
}

/// A provider with all addresses that a request needs, and the connection on which they were asked for, where they were.
pub(super) struct Described {
    pub(super) provider: Arc<Provider>,
    pub(super) connection: Option<Connection>,
}

/// What came of asking at the places.
struct Asked {
    /// With all that was told; `None` where no description is to be believed.
    learned: Option<Provider>,
    connection: Option<Connection>,
    /// Why a place told nothing, other than «there is nothing here».
    fault: Option<Fault>,
    /// A description that is not to be believed.
    unfit: Option<Unfit>,
}

impl Client {
    /// The provider with every address that this request needs: asks the server for them where that was not done yet in this
    /// process.
    ///
    /// # Errors
    /// A fault that is never ambiguous.
    pub(crate) async fn resolve(&self, kind: Kind) -> Result<Arc<Provider>, Fault> {
        let described = self.described(kind).await?;
        if let Some(connection) = described.connection {
            self.keep_warm(connection);
        }
        Ok(described.provider)
    }

    /// As [`Client::resolve`], with the connection in hand.
    pub(super) async fn described(&self, kind: Kind) -> Result<Described, Fault> {
        let former = self.provider();
        let asked = match self.patience(kind, &former) {
            None => None,
            Some(limit) => tokio::select! {
                biased;
                () = self.end_begins() => {
                    tracing::debug!("the server is not asked for a description of itself any more: this is the end");
                    None
                }
                asked = self.ask(kind, limit) => Some(asked),
            },
        };
        let Some(asked) = asked else {
            return match former.lacks(kind) {
                None => Ok(Described {
                    provider: former,
                    connection: None,
                }),
                Some(_) => Err(fault(FaultKind::Offline)),
            };
        };
        let told = asked.learned.is_some();
        // What was known of a server that seemed to have moved is better than nothing.
        let mut learned = asked
            .learned
            .map_or_else(|| self.provider(), |learned| self.know(learned));
        if kind == Kind::Revoke && asked.fault.is_none() {
            // Whoever has described itself once may be back; a description that is not to be believed may be mended.
            let is_final = told || (asked.unfit.is_none() && !learned.is_described());
            if is_final && learned.lacks(Kind::Refresh).is_none() {
                learned = self.know_throughout();
            }
        }
        match learned.lacks(kind) {
            None => Ok(Described {
                provider: learned,
                connection: asked.connection,
            }),
            Some(lacking) => {
                // No description at all may be an outage; one that does not fit is to be mended here.
                let unfit = asked.unfit.or(told.then_some(lacking));
                if unfit.is_none() && asked.fault.is_none() {
                    self.tell_nowhere();
                }
                // What is missed may be in the description that could not be had.
                let local = match unfit.filter(|_| asked.fault.is_none()) {
                    Some(Unfit::AnotherIssuer) => Some(LocalFault::AnotherIssuer),
                    Some(Unfit::NoS256) => Some(LocalFault::NoS256),
                    Some(Unfit::NoEndpoint(_) | Unfit::BadEndpoint(_)) => Some(LocalFault::NoEndpoint),
                    Some(Unfit::Unreadable) | None => None,
                };
                if let Some(why) = unfit {
                    tracing::warn!(%why, "the server's description of itself is not enough");
                }
                let fault = asked.fault.unwrap_or(fault(FaultKind::Refused));
                Err(Fault {
                    kind: local.map_or(fault.kind, FaultKind::Local),
                    ..fault
                })
            }
        }
    }

    /// Where the server would describe itself, if it never did and every one of these places said that there is nothing (404, 410):
    /// then the issuer in the configuration is hardly the server's own.
    #[must_use]
    pub(crate) fn nowhere_described(&self) -> Option<String> {
        let provider = self.provider();
        let places = provider.documents();
        let known = lock(&self.shared.known);
        let nothing = !places.is_empty() && places.iter().all(|place| known.absent.contains(&place.path));
        (nothing && !provider.is_described()).then(|| {
            let places = places
                .iter()
                .map(|place| format!("https://{}{}", place.origin, place.path));
            places.collect::<Vec<_>>().join(", ")
        })
    }

    /// Says it once, however often it is tried again.
    fn tell_nowhere(&self) {
        let Some(places) = self.nowhere_described() else {
            return;
        };
        if !std::mem::replace(&mut lock(&self.shared.known).nowhere_told, true) {
            tracing::warn!("no description of the server at {places}: check provider.issuer, or write the endpoints");
        }
    }

    /// How long this request waits for a description; `None` where it needs none, or can do without for now.
    fn patience(&self, kind: Kind, known_by_now: &Provider) -> Option<Duration> {
        if known_by_now.lacks(kind).is_some() {
            return Some(if kind == Kind::Revoke { SHORT } else { LIMIT });
        }
        let now = Instant::now();
        let over = |until: Option<Instant>| until.is_none_or(|until| until <= now);
        let mut known = lock(&self.shared.known);
        if !over(known.wished) {
            return None;
        }
        // Asking cannot change an address that is written, and a pairing that lives with one must not wait for others.
        if known.outdated && self.shared.provider.leaves_to_server(kind) && over(known.rested) {
            // From here on, so that whoever comes meanwhile does not wait as well.
            known.rested = Some(now + REST);
            return Some(SHORT);
        }
        let anywhere = || {
            let places = known_by_now.documents();
            places.iter().any(|place| !known.absent.contains(&place.path))
        };
        (known_by_now.wants_description(kind) && anywhere()).then_some(SHORT)
    }

    /// Waits for [`Client::wind_down`].
    async fn end_begins(&self) {
        let mut ending = self.shared.ending.subscribe();
        // The sender is this client's own.
        let _ = ending.wait_for(|has_begun| *has_begun).await;
    }

    /// A request found nothing at its address. Where that is one which the server told, it is asked again; until it answers,
    /// what was learned is all there is. For one that is written, asking could change nothing.
    pub(super) fn unlearn(&self, kind: Kind) {
        if !self.shared.provider.leaves_to_server(kind) {
            return;
        }
        let mut known = lock(&self.shared.known);
        known.outdated = known.provider.is_some();
        known.absent.clear();
    }

    /// Asks at one place after the other until nothing is lacking.
    async fn ask(&self, kind: Kind, limit: Duration) -> Asked {
        let deadline = Instant::now() + limit;
        // One that stalls leaves time for the next, and for the one after that.
        let place = limit * 2 / 5;
        let mut asked = Asked {
            learned: None,
            connection: None,
            fault: None,
            unfit: None,
        };
        for request in self.places() {
            if Instant::now() >= deadline {
                // Nothing is known of the places that were not asked.
                asked.note(fault(FaultKind::Offline));
                break;
            }
            let path = request.path.clone();
            let on = asked.connection.take().or_else(|| self.take_warm(&request.origin));
            let response = match self.get(on, request, deadline, place).await {
                Ok((response, connection)) => {
                    asked.connection = Some(connection);
                    response
                }
                Err(kind) => {
                    // Of the request that waits, nothing was sent.
                    let none_at_all = kind.unsent();
                    let kind = match kind {
                        FaultKind::Lost => FaultKind::Offline,
                        FaultKind::Garbled => FaultKind::Refused,
                        kind => kind,
                    };
                    asked.note(fault(kind));
                    // The other places are at the same host.
                    if none_at_all {
                        break;
                    }
                    continue;
                }
            };
            let status = response.status.as_u16();
            let base = asked.learned.as_ref().unwrap_or(&self.shared.provider);
            match base.learn(&response) {
                Ok(learned) => {
                    tracing::debug!(path, "the server described itself");
                    let enough = learned.lacks(kind).is_none();
                    asked.learned = Some(learned);
                    if enough {
                        break;
                    }
                }
                Err(_) if matches!(status, 404 | 410) => {
                    tracing::debug!(path, status, "no description of the server here");
                    lock(&self.shared.known).absent.insert(path);
                }
                Err(why) if response.status.is_success() => {
                    tracing::warn!(path, %why, "this description of the server is not used");
                    asked.unfit = asked.unfit.or(Some(why));
                }
                Err(_) => {
                    tracing::debug!(path, status, "no description of the server now");
                    let mut fault = response.fault();
                    if fault.kind.ambiguous() {
                        fault.kind = FaultKind::Refused;
                    }
                    asked.note(fault);
                }
            }
        }
        let wished = asked.fault.and_then(|fault| fault.retry_after);
        if let Some(wished) = wished.and_then(|wait| Instant::now().checked_add(wait)) {
            let mut known = lock(&self.shared.known);
            known.wished = known.wished.max(Some(wished));
        }
        asked
    }

    /// Where to ask, and last where there was nothing before: one wrong answer must not rule out the right place for ever.
    fn places(&self) -> Vec<HttpRequest> {
        let all = self.shared.provider.documents();
        let known = lock(&self.shared.known);
        let (absent, mut places): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|request| known.absent.contains(&request.path));
        places.extend(absent);
        places
    }

    async fn get(
        &self,
        on: Option<Connection>,
        request: HttpRequest,
        deadline: Instant,
        place: Duration,
    ) -> Result<(HttpResponse, Connection), FaultKind> {
        let limit = || deadline.min(Instant::now() + place);
        if let Some(on) = on {
            match self.traced(on, request.clone(), limit()).await {
                // The server closed it in between.
                Err(FaultKind::Offline) => {}
                ended => return ended,
            }
        }
        let fresh = self
            .connect(&request.origin, deadline.min(Instant::now() + CONNECT))
            .await?;
        self.traced(fresh, request, limit()).await
    }

    /// Keeps what was learned, unless it is less than what is known by now. What is known then.
    fn know(&self, learned: Provider) -> Arc<Provider> {
        let mut known = lock(&self.shared.known);
        if let Some(more) = &known.provider
            && more.lacks(Kind::Refresh).is_none()
            && learned.lacks(Kind::Refresh).is_some()
        {
            return Arc::clone(more);
        }
        let learned = Arc::new(learned);
        known.provider = Some(Arc::clone(&learned));
        known.outdated = false;
        known.nowhere_told = false;
        // Of one place, where another told; or of a time that is over.
        known.wished = None;
        learned
    }

    /// No place has more to tell than is known by now, others' learning included: a revocation must not be tried for ever at a
    /// server that names no endpoint for it anywhere. Says nothing of the addresses that are known.
    fn know_throughout(&self) -> Arc<Provider> {
        let mut known = lock(&self.shared.known);
        let provider = known.provider.as_ref().unwrap_or(&self.shared.provider);
        let provider = Arc::new(provider.described_throughout());
        known.provider = Some(Arc::clone(&provider));
        provider
    }
}

impl Asked {
    /// The first fault tells what it was; the longest wish of the server holds.
    fn note(&mut self, fault: Fault) {
        let known = self.fault.get_or_insert(fault);
        known.retry_after = known.retry_after.max(fault.retry_after);
    }
}
