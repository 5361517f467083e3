//! Which address of a server is tried when, and what its tries teach for the next time.
//!
//! Must never: end a try because another address exists. Only a finished handshake and the limit of
//! the whole do that.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How long one try stays alone: two retransmissions of a SYN, and a handshake on any link that is
/// not overloaded. Three addresses fit into the limit of the whole.
const ALONE: Duration = Duration::from_secs(3);

/// More tries at once would only take bandwidth from each other on a slow link.
const AT_ONCE: usize = 2;

/// How long a failure counts. A network that breaks one address family does so for hours, and where
/// it was mended, the other family served meanwhile.
const MEMORY: Duration = Duration::from_secs(600);

/// The most failed addresses that are remembered: a server has a handful.
const REMEMBERED: usize = 16;

/// A try that did not lead to a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failed<E> {
    pub(super) address: SocketAddr,
    pub(super) connected: bool,
    /// `None`: it had not ended, when the limit was reached or when a try that began later was
    /// through.
    pub(super) error: Option<E>,
}

/// How a race ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended<T, E> {
    pub(super) won: Option<(SocketAddr, T)>,
    /// In the order in which they failed.
    pub(super) failed: Vec<Failed<E>>,
}

struct Try<F> {
    address: SocketAddr,
    connected: Arc<AtomicBool>,
    running: Pin<Box<F>>,
}

impl<F> Try<F> {
    fn failed<E>(self, error: Option<E>) -> Failed<E> {
        Failed {
            address: self.address,
            connected: self.connected.load(Ordering::Relaxed),
            error,
        }
    }
}

/// Tries one address after the other: the next one after [`ALONE`] beside the former, or at once
/// where one has failed. The first that is through wins. `begin` sets its flag as soon as TCP is
/// up.
pub(super) async fn race<T, E, F>(
    addresses: Vec<SocketAddr>,
    deadline: Instant,
    mut begin: impl FnMut(SocketAddr, Arc<AtomicBool>) -> F,
) -> Ended<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waiting = addresses.into_iter();
    // In the order in which they began.
    let mut tries: Vec<Try<F>> = Vec::with_capacity(AT_ONCE);
    let mut failed = Vec::new();
    let mut next = Instant::now();
    loop {
        if tries.len() < AT_ONCE
            && next <= Instant::now()
            && let Some(address) = waiting.next()
        {
            let connected = Arc::new(AtomicBool::new(false));
            let running = Box::pin(begin(address, Arc::clone(&connected)));
            tries.push(Try {
                address,
                connected,
                running,
            });
            next = Instant::now() + ALONE;
        }
        if tries.is_empty() {
            return Ended { won: None, failed };
        }
        let more = tries.len() < AT_ONCE && waiting.len() > 0;
        tokio::select! {
            biased;
            (at, ended) = first(&mut tries) => {
                let done = tries.remove(at);
                match ended {
                    Ok(connection) => {
                        failed.extend(tries.drain(..at).map(|slower| slower.failed(None)));
                        return Ended { won: Some((done.address, connection)), failed };
                    }
                    Err(error) => {
                        failed.push(done.failed(Some(error)));
                        next = Instant::now();
                    }
                }
            }
            () = sleep_until(deadline) => {
                failed.extend(tries.into_iter().map(|silent| silent.failed(None)));
                return Ended { won: None, failed };
            }
            () = sleep_until(next), if more => {}
        }
    }
}

async fn first<T, E, F>(tries: &mut [Try<F>]) -> (usize, Result<T, E>)
where
    F: Future<Output = Result<T, E>>,
{
    std::future::poll_fn(|cx| {
        for (at, one) in tries.iter_mut().enumerate() {
            if let Poll::Ready(ended) = one.running.as_mut().poll(cx) {
                return Poll::Ready((at, ended));
            }
        }
        Poll::Pending
    })
    .await
}

/// A reason to try a family second, the lesser first. A lost request may be chance. A family
/// without a handshake takes time from every connection that is made beside it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    RequestLost,
    NoHandshake,
}

/// The lessons of earlier tries about IPv4 or IPv6.
#[derive(Default)]
struct Family {
    served: Option<Instant>,
    /// When a try last ended without a finished handshake, unless one has finished since. Nothing
    /// is asked about TCP: a lost SYN takes as long as a lost certificate.
    no_handshake: Option<Instant>,
    /// When a request was last lost, unless a handshake has finished since.
    request_lost: Option<Instant>,
}

impl Family {
    fn mark(&self) -> Option<Mark> {
        if self.no_handshake.is_some_and(is_recent) {
            Some(Mark::NoHandshake)
        } else if self.request_lost.is_some_and(is_recent) {
            Some(Mark::RequestLost)
        } else {
            None
        }
    }

    /// The lesser comes first: no mark, then the lesser mark. Where the marks are equal, the family
    /// that served last.
    fn place(&self) -> Option<(Mark, Reverse<Option<Instant>>)> {
        self.mark().map(|mark| (mark, Reverse(self.served)))
    }
}

/// Failures of earlier tries. They change the order, and no address is ever left out.
#[derive(Default)]
pub(super) struct Memory {
    families: [Family; 2],
    addresses: Vec<(SocketAddr, Instant)>,
}

impl Memory {
    /// The order in which the addresses of a lookup are tried.
    ///
    /// RFC 8305 §4: families alternate, so that a network which advertises a dead one costs a
    /// single wait. The resolver's preferred family comes first, unless the other one has the
    /// better [place](Family::place). Within a family, the resolver's order holds among those that
    /// failed and among those that did not.
    pub(super) fn order(&self, addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
        let mut seen = BTreeSet::new();
        let mut addresses: Vec<_> = addresses.into_iter().filter(|address| seen.insert(*address)).collect();
        let Some(preferred) = addresses.first().map(family) else {
            return addresses;
        };
        let [own, other] = [preferred, 1 - preferred].map(|family| self.families[family].place());
        let first = if other < own { 1 - preferred } else { preferred };
        let has_failed = |address: &SocketAddr| {
            let mut failed = self.addresses.iter();
            failed.any(|(other, at)| other == address && is_recent(*at))
        };
        addresses.sort_by_cached_key(has_failed);
        let mut ranks = [0; 2];
        // Stable: by the rank within the family, the first family first in each rank.
        addresses.sort_by_cached_key(|address| {
            let family = family(address);
            ranks[family] += 1;
            (ranks[family], family != first)
        });
        addresses
    }

    /// True if the latest report on the address's family is a failure, however long ago.
    pub(super) fn is_doubtful(&self, address: &SocketAddr) -> bool {
        let family = &self.families[family(address)];
        family.no_handshake.or(family.request_lost).is_some()
    }

    /// Learns from a race.
    pub(super) fn record<T, E>(&mut self, ended: &Ended<T, E>) {
        for failed in &ended.failed {
            self.put_last(failed.address);
            self.families[family(&failed.address)].no_handshake = Some(Instant::now());
        }
        if let Some((won, _)) = &ended.won {
            self.addresses.retain(|(address, _)| address != won);
            self.families[family(won)] = Family {
                served: Some(Instant::now()),
                ..Family::default()
            };
        }
    }

    /// A request was lost behind this address: small packets pass there, and larger ones may not.
    pub(super) fn lost(&mut self, address: SocketAddr) {
        self.put_last(address);
        self.families[family(&address)].request_lost = Some(Instant::now());
    }

    fn put_last(&mut self, failed: SocketAddr) {
        self.addresses.retain(|(address, _)| *address != failed);
        self.addresses.push((failed, Instant::now()));
        let surplus = self.addresses.len().saturating_sub(REMEMBERED);
        self.addresses.drain(..surplus);
    }
}

fn is_recent(at: Instant) -> bool {
    at.elapsed() < MEMORY
}

fn family(address: &SocketAddr) -> usize {
    usize::from(address.is_ipv6())
}
