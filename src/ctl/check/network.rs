//! The way to the server below TLS: an interface that is up, an address, a route, the port.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Finding;
use crate::ctl::site::{Site, names};
use crate::system::routes::{self, Route};

const CHECK: &str = "network";

/// For all addresses of a name, which are tried beside each other: a handshake needs one round
/// trip, and three lost packets are repeated within this time.
const TRY: Duration = Duration::from_secs(4);

/// So many addresses are named where none takes a connection. A name may have dozens.
const NAMED: usize = 8;

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
    /// Addresses of those that are up, as far as they reach beyond their link.
    addresses: Vec<IpAddr>,
}

/// The kernel's choice.
struct Way {
    from: IpAddr,
    /// The link of this address, if it has no carrier.
    dead: Option<String>,
}

/// Tells interface, address and route. `addresses`: the server's, as far as they are known.
pub(super) fn network(site: &Site, host: &str, addresses: &[SocketAddr]) -> Finding {
    let known: Vec<_> = addresses.iter().map(SocketAddr::ip).collect();
    let ours = match routes::addresses() {
        Ok(ours) => ours,
        Err(error) => return Finding::warn(CHECK, format!("the kernel does not tell its routes: {error}"), ""),
    };
    let (links, dead) = links(site, &ours);
    let mut way = None;
    for target in if known.is_empty() { &ELSEWHERE } else { &known[..] } {
        if let Ok(Route { from, interface }) = routes::route(*target) {
            let dead = dead
                .iter()
                .find(|(index, _)| *index == interface)
                .map(|(_, name)| name.clone());
            // Another address may be reached over a link that is alive.
            if dead.is_none() || way.is_none() {
                way = Some(Way { from, dead });
            }
        }
    }
    judge(&links, host, &known, way)
}

fn judge(links: &Links, host: &str, known: &[IpAddr], way: Option<Way>) -> Finding {
    let are = if links.up.len() == 1 { "is" } else { "are" };
    let up = format!("{} {are} up", links.up.join(", "));
    let down = links.down.join(", ");
    let kind = |is_v6: bool| if is_v6 { "IPv6" } else { "IPv4" };
    let ours: Vec<_> = links.addresses.iter().map(ToString::to_string).collect();
    let serves = |ours: &IpAddr| known.is_empty() || known.iter().any(|known| known.is_ipv6() == ours.is_ipv6());
    let (what, cure, sentence) = match way {
        Some(Way { from, .. }) if from.is_loopback() => {
            return Finding::ok(CHECK, format!("{host} is on this device"));
        }
        // The kernel keeps the address and the routes of a link without a carrier, and prefers them
        // to those of another link if their metric is lower.
        Some(Way { from, dead: Some(dead) }) => {
            let (beside, cure) = if links.up.is_empty() {
                (String::new(), "Connect the cable, or the wireless network".to_owned())
            } else {
                let cure = format!("Connect its cable; or take it out of use: ip link set {dead} down");
                (format!("; {up} beside it"), cure)
            };
            (
                format!("{dead} has no carrier, and {host} would be asked over it, from {from}{beside}"),
                cure,
                "the network interface that leads to the server has no carrier",
            )
        }
        Some(Way { from, .. }) if links.up.is_empty() => {
            return Finding::ok(CHECK, format!("{host} is asked from {from}"));
        }
        Some(Way { from, .. }) => return Finding::ok(CHECK, format!("{up}, {host} is asked from {from}")),
        None if links.up.is_empty() && links.down.is_empty() => (
            "this device has no network interface".to_owned(),
            "Load its driver, or attach it; with ip link it must have a line".to_owned(),
            "this device has no network interface",
        ),
        None if links.up.is_empty() => (
            format!("no network interface is up ({down} down)"),
            "Connect the cable, or the wireless network".to_owned(),
            "no network interface of this device is up",
        ),
        None if links.addresses.is_empty() => (
            format!("{up}, without an address"),
            "Let the network's DHCP server give one, or set one".to_owned(),
            "this device has no address in its network",
        ),
        None if !links.addresses.iter().any(serves) => {
            let is_v6 = known.iter().any(IpAddr::is_ipv6);
            (
                format!("{up}, without an {} address: {host} has no other", kind(is_v6)),
                format!("Let the network give this device an {} address", kind(is_v6)),
                "this device has no address of the server's kind",
            )
        }
        None => (
            format!(
                "{up} with {}, but no route leads to {host}: no gateway is set",
                ours.join(", ")
            ),
            "Let the network's DHCP server give one, or set it; ip route must show a line that begins with default"
                .to_owned(),
            "this device has no route to the server: no gateway is set",
        ),
    };
    Finding {
        sentence: Some(sentence.to_owned()),
        ..Finding::fail(CHECK, what, cure)
    }
}

/// `ours`: with the index of each one's interface. The links that are down are there by their index
/// as well.
fn links(site: &Site, ours: &[(u32, IpAddr)]) -> (Links, Vec<(u32, String)>) {
    let directory = site.path("/sys/class/net");
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    let mut links = Links::default();
    let mut dead = Vec::new();
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
        let index = text(link.join("ifindex")).trim().parse().unwrap_or(0);
        if is_up {
            let its = ours.iter().filter(|(link, _)| *link == index);
            links.addresses.extend(its.map(|(_, address)| *address));
            links.up.push(name);
        } else {
            links.down.push(name.clone());
            dead.push((index, name));
        }
    }
    (links, dead)
}

// <linux/if.h>
const IFF_UP: u32 = 1;

/// Connects to all addresses at once, until one takes a connection.
pub(super) async fn tcp(host: &str, addresses: &[SocketAddr]) -> Finding {
    const CHECK: &str = "tcp";
    let mut tries = JoinSet::new();
    for (at, address) in addresses.iter().copied().enumerate() {
        tries.spawn(async move {
            let connected = timeout(TRY, TcpStream::connect(address)).await;
            (at, connected.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())))
        });
    }
    let mut failures = Vec::new();
    while let Some(joined) = tries.join_next().await {
        match joined {
            Ok((at, Ok(_))) => return Finding::ok(CHECK, format!("{} takes connections", addresses[at])),
            Ok((at, Err(error))) => failures.push((at, error)),
            Err(_) => {}
        }
    }
    failures.sort_by_key(|(at, _)| *at);
    let refused = failures
        .iter()
        .any(|(_, error)| error.kind() == ErrorKind::ConnectionRefused);
    let mut told: Vec<_> = failures
        .iter()
        .take(NAMED)
        .map(|(at, error)| told(addresses[*at], error))
        .collect();
    if failures.len() > NAMED {
        told.push(format!("{} more", failures.len() - NAMED));
    }
    let cure = if refused {
        "Compare host and port with the server's address, in [provider]; or something in between refuses it"
    } else {
        "Let the network's firewall pass this port; a network with a login page may need the login first"
    };
    Finding::fail(CHECK, format!("{host} takes no connection ({})", told.join(", ")), cure)
}

fn told(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => format!("{address}: refused"),
        ErrorKind::TimedOut => format!("{address}: silent"),
        ErrorKind::HostUnreachable => format!("{address}: nothing at this address answers, or a router refuses"),
        ErrorKind::NetworkUnreachable => format!("{address}: no route"),
        _ => format!("{address}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use super::*;
    use crate::ctl::check::Verdict;

    fn site(links: &[(&str, &str, &str)]) -> (tempfile::TempDir, Site) {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::at(folder.path());
        for (index, (name, operstate, flags)) in links.iter().enumerate() {
            let link = site.path(format!("/sys/class/net/{name}"));
            fs::create_dir_all(&link).unwrap();
            fs::write(link.join("operstate"), format!("{operstate}\n")).unwrap();
            fs::write(link.join("flags"), format!("{flags}\n")).unwrap();
            fs::write(link.join("ifindex"), format!("{}\n", index + 1)).unwrap();
        }
        (folder, site)
    }

    #[test]
    fn without_a_way_to_the_server_the_first_thing_that_is_missing_is_named() {
        let lo = ("lo", "unknown", "0x9");
        let (down, up) = (("eth0", "down", "0x1003"), ("eth0", "up", "0x1003"));
        let ours = |link: u32| vec![(link, "10.0.2.15".parse().unwrap())];
        for (links_there, ours, named) in [
            (&[lo][..], vec![], "no network interface."),
            (&[lo, down], ours(2), "eth0 down"),
            (&[lo, ("tun0", "unknown", "0x0")], vec![], "tun0 down"),
            (&[lo, up], vec![], "eth0 is up, without an address"),
            // The kernel keeps the address of a link that is down.
            (
                &[lo, up, ("wlan0", "down", "0x1002")],
                ours(3),
                "eth0 is up, without an address",
            ),
            (
                &[lo, ("ppp0", "unknown", "0x11")],
                ours(2),
                "ppp0 is up with 10.0.2.15, but no route leads to example.org: no gateway",
            ),
        ] {
            let (_folder, site) = site(links_there);
            let found = judge(&links(&site, &ours).0, "example.org", &[], None);
            assert_eq!(found.verdict, Verdict::Fail);
            assert!(
                found.line().contains(named) && !found.cure.is_empty(),
                "{}",
                found.line()
            );
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn way(dead: Option<&str>) -> Way {
        Way {
            from: IpAddr::V4(Ipv4Addr::new(10, 0, 2, 15)),
            dead: dead.map(str::to_owned),
        }
    }

    #[test]
    fn the_address_is_told_from_which_the_server_is_asked() {
        for (up, told) in [(&["eth0"][..], "eth0 is up"), (&["v0", "v1"], "v0, v1 are up")] {
            let links = Links {
                up: names(up),
                down: names(&["wlan0"]),
                ..Links::default()
            };
            let found = judge(&links, "example.org", &[], Some(way(None)));
            assert_eq!(found.verdict, Verdict::Ok);
            assert!(
                found.what.contains(told) && found.what.contains("10.0.2.15"),
                "{}",
                found.what
            );
        }
        let local = network(&Site::host(), "example.org", &["127.0.0.1:443".parse().unwrap()]);
        assert_eq!(
            (local.verdict, &*local.what),
            (Verdict::Ok, "example.org is on this device")
        );
    }

    #[test]
    fn an_address_without_a_carrier_is_no_way_to_the_server() {
        for (up, cure) in [(&[][..], "Connect the cable"), (&["wlan0"], "ip link set eth0 down")] {
            let links = Links {
                up: names(up),
                down: names(&["eth0"]),
                ..Links::default()
            };
            let pulled = judge(&links, "example.org", &[], Some(way(Some("eth0"))));
            assert_eq!(pulled.verdict, Verdict::Fail);
            let line = pulled.line();
            assert!(line.contains("eth0 has no carrier") && line.contains(cure), "{line}");
        }
    }

    #[test]
    fn an_address_of_the_other_kind_is_told_as_missing_and_no_gateway_is_blamed() {
        let links = Links {
            up: names(&["eth0"]),
            addresses: vec!["2001:db8::7".parse().unwrap()],
            ..Links::default()
        };
        let v4 = ["192.0.2.7".parse().unwrap()];
        let line = judge(&links, "example.org", &v4, None).line();
        assert!(
            line.contains("without an IPv4 address") && !line.contains("gateway"),
            "{line}"
        );
        let v6 = ["2001:db8::1".parse().unwrap()];
        let line = judge(&links, "example.org", &v6, None).line();
        assert!(
            line.contains("with 2001:db8::7") && line.contains("no gateway"),
            "{line}"
        );
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

    #[tokio::test(start_paused = true)]
    async fn many_silent_addresses_take_as_long_as_one_and_the_first_of_them_are_named() {
        // The kernel drops what comes to a listener that takes none and whose queue is full.
        let full = tokio::net::TcpSocket::new_v4().unwrap();
        full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = full.listen(0).unwrap();
        let address = full.local_addr().unwrap();
        let _first = TcpStream::connect(address).await.unwrap();
        let begun = tokio::time::Instant::now();
        let found = tcp("example.org", &[address; 20]).await;
        assert_eq!(begun.elapsed(), TRY);
        assert_eq!(found.what.matches("silent").count(), NAMED, "{}", found.what);
        assert!(found.what.ends_with("12 more)"), "{}", found.what);
    }
}
