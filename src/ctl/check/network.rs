//! The way to the server below TLS: an interface that is up, an address, a route, the port.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Finding;
use crate::ctl::site::{Site, names};

const CHECK: &str = "network";

/// For each address, of which a name may have several: a handshake needs one round trip, and three
/// lost packets are repeated within this time.
const TRY: Duration = Duration::from_secs(4);

/// Addresses for documentation (RFC 5737, RFC 3849) stand for all that needs the default route.
const ELSEWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

/// The links of this device, but for the loopback.
#[derive(Debug, Default)]
struct Links {
    up: Vec<String>,
    down: Vec<String>,
    has_address: bool,
}

/// Tells interface, address and route. `addresses`: the server's, as far as they are known.
pub(super) fn network(site: &Site, host: &str, addresses: &[SocketAddr]) -> Finding {
    let known: Vec<_> = addresses.iter().map(SocketAddr::ip).collect();
    let targets = if known.is_empty() { &ELSEWHERE } else { &known[..] };
    judge(
        &links(site),
        host,
        targets.iter().find_map(|target| route(*target).ok()),
    )
}

/// `from`: the address from which the server would be asked.
fn judge(links: &Links, host: &str, from: Option<IpAddr>) -> Finding {
    let are = if links.up.len() == 1 { "is" } else { "are" };
    let up = format!("{} {are} up", links.up.join(", "));
    let (what, cure) = match from {
        Some(from) if from.is_loopback() => return Finding::ok(CHECK, format!("{host} is on this device")),
        // The kernel keeps the address and the routes of a link without a carrier.
        Some(from) if links.up.is_empty() && !links.down.is_empty() => (
            format!(
                "{} has no carrier, and {host} would be asked from {from}",
                links.down.join(", ")
            ),
            "Connect the cable, or the wireless network",
        ),
        Some(from) if links.up.is_empty() => return Finding::ok(CHECK, format!("{host} is asked from {from}")),
        Some(from) => return Finding::ok(CHECK, format!("{up}, {host} is asked from {from}")),
        None if links.up.is_empty() && links.down.is_empty() => (
            "this device has no network interface".to_owned(),
            "Load its driver, or attach it; with ip link it must have a line",
        ),
        None if links.up.is_empty() => (
            format!("no network interface is up ({} down)", links.down.join(", ")),
            "Connect the cable, or the wireless network",
        ),
        None if !links.has_address => (
            format!("{up}, without an address"),
            "Let the network's DHCP server give one, or set one",
        ),
        None => (
            format!("{up}, and there is no route to {host}"),
            "Set the gateway; ip route must have a line for it, or a default",
        ),
    };
    Finding::fail(CHECK, what, cure)
}

/// The kernel's choice of a source address. A UDP socket that is connected sends nothing.
fn route(target: IpAddr) -> io::Result<IpAddr> {
    let any = match target {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((target, 443))?;
    Ok(socket.local_addr()?.ip())
}

fn links(site: &Site) -> Links {
    let directory = site.path("/sys/class/net");
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    let mut links = Links::default();
    for name in names(&directory).unwrap_or_default() {
        let link = directory.join(&name);
        // Entries that are no link (bonding_masters) are files.
        if name == "lo" || !link.is_dir() {
            continue;
        }
        let flags = text(link.join("flags"));
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap_or(0);
        let is_up = match text(link.join("operstate")).trim() {
            "up" => true,
            // A tunnel or a modem has no carrier to tell of.
            "unknown" => flags & IFF_UP != 0,
            _ => false,
        };
        if is_up { &mut links.up } else { &mut links.down }.push(name);
    }
    let v4 = text(site.path("/proc/net/fib_trie"));
    let v6 = text(site.path("/proc/net/if_inet6"));
    links.has_address = has_v4(&v4) || has_v6(&v6);
    links
}

// <linux/if.h>
const IFF_UP: u32 = 1;

/// True if the routing table of IPv4 has an address of this device but 127.0.0.0/8: a line with the
/// address, then one with its kind.
fn has_v4(fib_trie: &str) -> bool {
    let lines: Vec<_> = fib_trie.lines().map(str::trim).collect();
    lines.windows(2).any(|two| {
        let address = two[0].strip_prefix("|-- ").and_then(|text| text.parse().ok());
        two[1] == "/32 host LOCAL" && address.is_some_and(|address: Ipv4Addr| !address.is_loopback())
    })
}

/// True if one reaches beyond its link: the fourth column is the scope, 00 is global.
fn has_v6(if_inet6: &str) -> bool {
    let mut scopes = if_inet6.lines().filter_map(|line| line.split_whitespace().nth(3));
    scopes.any(|scope| scope == "00")
}

/// Connects to the first address that takes a connection.
pub(super) async fn tcp(host: &str, addresses: &[SocketAddr]) -> Finding {
    const CHECK: &str = "tcp";
    let mut refused = false;
    let mut told = Vec::new();
    for address in addresses {
        let error = match timeout(TRY, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Finding::ok(CHECK, format!("{address} takes connections")),
            Ok(Err(error)) => error,
            Err(_) => ErrorKind::TimedOut.into(),
        };
        refused |= error.kind() == ErrorKind::ConnectionRefused;
        let why = match error.kind() {
            ErrorKind::ConnectionRefused => "refused".to_owned(),
            ErrorKind::TimedOut => "silent".to_owned(),
            _ => error.to_string(),
        };
        told.push(format!("{address}: {why}"));
    }
    let cure = if refused {
        "Compare host and port with the server's address, in [provider]; or something in between refuses it"
    } else {
        "Let the network's firewall pass this port; a network with a login page may need the login first"
    };
    Finding::fail(CHECK, format!("{host} takes no connection ({})", told.join(", ")), cure)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use super::*;
    use crate::ctl::check::Verdict;

    const FIB: &str = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n";

    fn site(links: &[(&str, &str, &str)], fib_trie: &str) -> (tempfile::TempDir, Site) {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::at(folder.path());
        for (name, operstate, flags) in links {
            let link = site.path(format!("/sys/class/net/{name}"));
            fs::create_dir_all(&link).unwrap();
            fs::write(link.join("operstate"), format!("{operstate}\n")).unwrap();
            fs::write(link.join("flags"), format!("{flags}\n")).unwrap();
        }
        fs::create_dir_all(site.path("/proc/net")).unwrap();
        fs::write(site.path("/proc/net/fib_trie"), fib_trie).unwrap();
        (folder, site)
    }

    #[test]
    fn without_a_way_to_the_server_the_first_thing_that_is_missing_is_named() {
        let lo = ("lo", "unknown", "0x9");
        let with_address = format!("{FIB}     |-- 10.0.2.15\n        /32 host LOCAL\n");
        for (links_there, fib_trie, named) in [
            (&[lo][..], FIB, "no network interface."),
            (&[lo, ("eth0", "down", "0x1003")], FIB, "eth0 down"),
            (&[lo, ("tun0", "unknown", "0x0")], FIB, "tun0 down"),
            (&[lo, ("eth0", "up", "0x1003")], FIB, "eth0 is up, without an address"),
            (
                &[lo, ("ppp0", "unknown", "0x11")],
                &with_address,
                "no route to example.org",
            ),
        ] {
            let (_folder, site) = site(links_there, fib_trie);
            let found = judge(&links(&site), "example.org", None);
            assert_eq!(found.verdict, Verdict::Fail);
            assert!(
                found.line().contains(named) && !found.cure.is_empty(),
                "{}",
                found.line()
            );
        }
    }

    #[test]
    fn the_address_is_told_from_which_the_server_is_asked() {
        let links = Links {
            up: vec!["eth0".to_owned()],
            ..Links::default()
        };
        let ours = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 15));
        let found = judge(&links, "example.org", Some(ours));
        assert_eq!(found.verdict, Verdict::Ok);
        assert!(
            found.what.contains("eth0") && found.what.contains("10.0.2.15"),
            "{}",
            found.what
        );
        let local = network(&Site::host(), "example.org", &["127.0.0.1:443".parse().unwrap()]);
        assert_eq!(
            (local.verdict, &*local.what),
            (Verdict::Ok, "example.org is on this device")
        );
    }

    #[test]
    fn an_address_without_a_carrier_is_no_way_to_the_server() {
        let ours = Some(IpAddr::V4(Ipv4Addr::new(10, 0, 2, 15)));
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let links = |up: &[&str], down: &[&str]| Links {
            up: names(up),
            down: names(down),
            has_address: true,
        };
        let pulled = judge(&links(&[], &["eth0"]), "example.org", ours);
        assert_eq!(pulled.verdict, Verdict::Fail);
        assert!(pulled.line().contains("eth0 has no carrier"), "{}", pulled.line());
        for (up, told) in [(&["eth0"][..], "eth0 is up"), (&["v0", "v1"], "v0, v1 are up")] {
            let found = judge(&links(up, &[]), "example.org", ours);
            assert!(
                found.verdict == Verdict::Ok && found.what.contains(told),
                "{}",
                found.what
            );
        }
    }

    #[test]
    fn an_address_that_reaches_beyond_its_link_counts() {
        let line = |scope| format!("fe800000000000000000000000000001 02 40 {scope} 80 eth0\n");
        assert!(!has_v6(&line("20")) && has_v6(&line("00")) && !has_v6(""));
        assert!(!has_v4(FIB));
    }

    #[tokio::test]
    async fn a_port_is_open_or_refused_and_an_address_that_works_is_enough() {
        let open = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (open_at, closed_at) = (open.local_addr().unwrap(), closed.local_addr().unwrap());
        drop(closed);
        let found = tcp("example.org", &[closed_at]).await;
        assert_eq!((found.check, found.verdict), ("tcp", Verdict::Fail));
        assert!(found.what.contains(&format!("{closed_at}: refused")), "{}", found.what);
        assert_eq!(tcp("example.org", &[closed_at, open_at]).await.verdict, Verdict::Ok);
    }
}
