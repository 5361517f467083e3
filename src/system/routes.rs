//! The kernel's routes and addresses, asked for once: over which interface an address is reached,
//! and from which address.
//!
//! Must never: block on anything but the kernel, which answers at once.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with};

use super::netlink::{read_u16, read_u32};

// <linux/netlink.h>, <linux/rtnetlink.h>
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_PREFSRC: u16 = 7;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RT_SCOPE_LINK: u8 = 253;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) from: IpAddr,
    /// Its index.
    pub(crate) interface: u32,
}

/// The kernel's choice for packets to this address.
///
/// # Errors
/// `NetworkUnreachable` and its kin: there is no route. Others: there is no route netlink.
pub(crate) fn route(target: IpAddr) -> io::Result<Route> {
    let (family, octets) = match target {
        IpAddr::V4(address) => (AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (AF_INET6, address.octets().to_vec()),
    };
    let length = u8::try_from(octets.len()).unwrap_or_default();
    // struct rtmsg: family u8, dst_len u8, src_len u8, tos u8, table u8, protocol u8, scope u8,
    // type u8, flags u32.
    let mut payload = vec![family, length * 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    payload.extend(u16::from(length + 4).to_ne_bytes());
    payload.extend(RTA_DST.to_ne_bytes());
    payload.extend(octets);
    let socket = open()?;
    ask(&socket, RTM_GETROUTE, NLM_F_REQUEST, &payload)?;
    let mut buffer = [0; 8192];
    let (_, length) = recv(&socket, &mut buffer, RecvFlags::empty())?;
    for (kind, payload) in Messages(&buffer[..length.min(buffer.len())]) {
        let found = |wanted| attribute(payload.get(12..)?, wanted);
        match kind {
            NLMSG_ERROR => return Err(error(payload)),
            RTM_NEWROUTE => {
                let from = found(RTA_PREFSRC).and_then(address).unwrap_or(target);
                let interface = found(RTA_OIF).and_then(|value| read_u32(value, 0));
                let interface = interface.ok_or(io::ErrorKind::NetworkUnreachable)?;
                return Ok(Route { from, interface });
            }
            _ => {}
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// The addresses that reach beyond their link, each with the index of its interface.
///
/// # Errors
/// There is no route netlink.
pub(crate) fn addresses() -> io::Result<Vec<(u32, IpAddr)>> {
    let socket = open()?;
    // struct ifaddrmsg: family u8, prefixlen u8, flags u8, scope u8, index u32.
    ask(&socket, RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, &[0; 8])?;
    let mut found = Vec::new();
    // More than the kernel puts into one datagram of a dump.
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let (_, length) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        for (kind, payload) in Messages(&buffer[..length.min(buffer.len())]) {
            match kind {
                NLMSG_DONE => return Ok(found),
                NLMSG_ERROR => return Err(error(payload)),
                RTM_NEWADDR => found.extend(global(payload)),
                _ => {}
            }
        }
    }
}

fn global(payload: &[u8]) -> Option<(u32, IpAddr)> {
    let (scope, index) = (*payload.get(3)?, read_u32(payload, 4)?);
    let attributes = payload.get(8..)?;
    // Where both are there (a tunnel), the other one is the peer's.
    let ours = attribute(attributes, IFA_LOCAL).or_else(|| attribute(attributes, IFA_ADDRESS))?;
    (scope < RT_SCOPE_LINK).then_some((index, address(ours)?))
}

fn open() -> io::Result<OwnedFd> {
    // NETLINK_ROUTE is 0
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, 0))?;
    Ok(socket)
}

// struct nlmsghdr: length u32 (header included), type u16, flags u16, sequence u32, port u32.
fn ask(socket: &OwnedFd, kind: u16, flags: u16, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(16 + payload.len()).unwrap_or_default();
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(payload);
    send(socket, &message, SendFlags::empty())?;
    Ok(())
}

/// The messages of a datagram: type and payload.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::try_from(read_u32(self.0, 0)?).ok()?;
        let (kind, payload) = (read_u16(self.0, 4)?, self.0.get(16..length)?);
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, payload))
    }
}

// struct rtattr: length u16 (header included), type u16.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(read_u16(attributes, 0)?);
        let value = attributes.get(4..length)?;
        if read_u16(attributes, 2)? == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn address(value: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok()
}

// struct nlmsgerr begins with the error, negative.
fn error(payload: &[u8]) -> io::Error {
    let code = read_u32(payload, 0).unwrap_or_default().cast_signed();
    io::Error::from_raw_os_error(code.saturating_neg())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn the_way_to_this_device_is_its_loopback_interface() {
        let to = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let found = route(to).expect("a route");
        assert_eq!(found, Route { from: to, interface: 1 });
        let addresses = addresses().expect("a list");
        assert!(
            addresses.iter().all(|(_, address)| !address.is_loopback()),
            "{addresses:?}"
        );
    }

    #[test]
    fn an_address_is_read_with_its_interface_if_it_reaches_beyond_its_link() {
        let message = |scope: u8, attributes: &[u8]| {
            let mut message = vec![AF_INET, 24, 0, scope];
            message.extend(7_u32.to_ne_bytes());
            message.extend(attributes);
            message
        };
        let attribute = |kind: u16, value: &[u8]| {
            let length = u16::try_from(value.len() + 4).expect("short");
            [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat()
        };
        let (ours, peer) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        let both = [attribute(IFA_ADDRESS, &peer), attribute(IFA_LOCAL, &ours)].concat();
        assert_eq!(global(&message(0, &both)), Some((7, IpAddr::from(ours))));
        assert_eq!(global(&message(RT_SCOPE_LINK, &both)), None);
        let v6 = attribute(IFA_ADDRESS, &Ipv6Addr::LOCALHOST.octets());
        assert_eq!(global(&message(0, &v6)), Some((7, IpAddr::V6(Ipv6Addr::LOCALHOST))));
        for cut in 0..both.len() {
            let found = global(&message(0, &both[..cut]));
            assert!(found.is_none_or(|(_, found)| found != IpAddr::from(ours)), "{cut}");
        }
    }
}
