//! Name lookup and TCP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::oauth::Origin;

/// How long one address may take before the next is tried: two retransmissions of a SYN, and three addresses within the
/// limit of the whole.
const ADDRESS: Duration = Duration::from_secs(3);

/// Connects to the first address that answers. The caller bounds the whole, the resolver included.
pub(super) async fn dial(origin: &Origin) -> io::Result<TcpStream> {
    let addresses = lookup_host((origin.dial_host(), origin.port())).await?;
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
