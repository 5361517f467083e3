//! Name lookup and TCP: what hyper-rustls builds its TLS on.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tower_service::Service;

/// How long one address may take before the next is tried: two retransmissions of a SYN, and three addresses within the
/// limit of the whole.
const ADDRESS: Duration = Duration::from_secs(3);

/// Connects to the first address of a name that answers. The caller bounds the whole, the resolver included.
#[derive(Clone)]
pub(super) struct Dialer;

/// Lookup or TCP failed. A type of its own, so that it is told apart from what TLS says of a connection.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct Unreachable(#[from] io::Error);

impl Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = Unreachable;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(async move { Ok(TokioIo::new(dial(&uri).await?)) })
    }
}

async fn dial(uri: &Uri) -> io::Result<TcpStream> {
    let host = uri.host().unwrap_or_default();
    // The resolver takes an IPv6 address without its brackets.
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let addresses = lookup_host((host, uri.port_u16().unwrap_or(443))).await?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in interleave(addresses) {
        match timeout(ADDRESS, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Requests are small and awaited: Nagle's algorithm could only delay them.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// RFC 8305 §4: families alternate, so that a network which advertises a dead one costs a single wait.
fn interleave(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses: Vec<_> = addresses.collect();
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else {
        return addresses;
    };
    let mut seen = [0; 2];
    // A stable sort by rank within the family, the resolver's preferred family first in each rank.
    addresses.sort_by_cached_key(|address| {
        let other = usize::from(address.is_ipv6() != first);
        seen[other] += 1;
        (seen[other], other)
    });
    addresses
}

#[cfg(test)]
mod tests {
    use super::interleave;

    #[test]
    fn families_alternate_and_keep_their_order() {
        let order = |list: &[&str]| -> Vec<String> {
            interleave(list.iter().map(|address| address.parse().expect("an address")))
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(
            order(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]),
            ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]
        );
        assert_eq!(
            order(&["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]),
            ["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]
        );
        assert_eq!(order(&[]), [""; 0]);
    }
}
