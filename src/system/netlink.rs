//! Hints that the network may be back, from the kernel's news of routes, addresses and links.
//!
//! A hint starts nothing by itself: the core decides whether a retry is brought forward. So a hint
//! too many costs little and one too few costs a delay, and the rules below are simple: a default
//! route appeared, an address that reaches beyond its link did (a network on set may have no way
//! out of it, and the server or its proxy be in it), a link came up, or the kernel had to drop
//! news. Hints are debounced, because addresses, routes and name servers of one change arrive over
//! a second or two.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use super::readiness;

/// How long news may go on arriving before it is worth one attempt. DHCP and router advertisements
/// set the resolver a moment after the route. An attempt before that would fail and cost a backoff.
const DEBOUNCE: Duration = Duration::from_secs(2);

// <linux/rtnetlink.h>
const RTMGRP_LINK: u32 = 0x1;
const RTMGRP_IPV4_IFADDR: u32 = 0x10;
const RTMGRP_IPV4_ROUTE: u32 = 0x40;
const RTMGRP_IPV6_IFADDR: u32 = 0x100;
const RTMGRP_IPV6_ROUTE: u32 = 0x400;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTN_UNICAST: u8 = 1;
const RTM_F_CLONED: u32 = 0x200;
const RT_SCOPE_LINK: u8 = 253;
// <linux/if_addr.h>
const IFA_ADDRESS: u16 = 1;
const IFA_F_DADFAILED: u8 = 0x08;
const IFA_F_TENTATIVE: u8 = 0x40;
// <linux/if.h>
const IFF_LOOPBACK: u32 = 0x8;
const IFF_RUNNING: u32 = 0x40;

/// How many addresses are remembered. A device has a handful. IPv6 privacy addresses come and go,
/// and the kernel says so. One that is not remembered costs a hint too many when it is renewed.
const ADDRESSES: usize = 64;

/// Starts listening, in a task of its own. The receiver yields one item per debounced burst of
/// news.
///
/// # Errors
/// Where the sandbox or kernel has no route netlink. The daemon then lives without hints.
pub(crate) fn listen() -> io::Result<mpsc::Receiver<()>> {
    let fd = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None, // NETLINK_ROUTE is 0
    )?;
    bind(
        &fd,
        &SocketAddrNetlink::new(
            0,
            RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
        ),
    )?;
    spawn(fd)
}

fn spawn(fd: OwnedFd) -> io::Result<mpsc::Receiver<()>> {
    let socket = readiness::register(fd)?;
    // One hint that is still waiting says as much as many.
    let (hints, receiver) = mpsc::channel(1);
    tokio::spawn(watch(socket, hints));
    Ok(receiver)
}

async fn watch(socket: AsyncFd<OwnedFd>, hints: mpsc::Sender<()>) {
    let mut reader = NetlinkReader::default();
    loop {
        match receive(&socket, &mut reader).await {
            Ok(false) => continue,
            Ok(true) => {}
            Err(error) => {
                tracing::warn!("no more news of the network from the kernel: {error}");
                return;
            }
        }
        // The monotonic clock is right here: a device asleep has nothing to debounce.
        tokio::time::sleep(DEBOUNCE).await;
        while let Some(Ok(_)) = drain(socket.as_fd(), &mut reader) {}
        if hints.send(()).await.is_err() {
            return;
        }
    }
}

/// Waits for one datagram. True if it held a hint.
async fn receive(socket: &AsyncFd<OwnedFd>, reader: &mut NetlinkReader) -> io::Result<bool> {
    loop {
        let mut ready = socket.readable().await?;
        match drain(socket.as_fd(), reader) {
            Some(outcome) => return outcome,
            None => ready.clear_ready(),
        }
    }
}

/// Takes one datagram, if one is there.
fn drain(socket: impl AsFd, reader: &mut NetlinkReader) -> Option<io::Result<bool>> {
    // Larger than one multicast message. The part that is cut off was not needed (the headers come
    // first).
    let mut buffer = [0; 8192];
    match recv(socket, &mut buffer, RecvFlags::empty()) {
        Ok((_, length)) => Some(Ok(reader.read(&buffer[..length.min(8192)]))),
        Err(Errno::AGAIN) => None,
        Err(Errno::INTR) => Some(Ok(false)),
        // The kernel dropped news: it may have been what we wait for, and the state of links and
        // addresses is unknown.
        Err(Errno::NOBUFS) => {
            *reader = NetlinkReader::default();
            Some(Ok(true))
        }
        Err(error) => Some(Err(error.into())),
    }
}

/// Reads messages, and remembers which links carry traffic and which addresses there are: the
/// kernel repeats `RTM_NEWLINK` for every detail of a link, a Wi-Fi scan included, and
/// `RTM_NEWADDR` for every renewal of a lease.
#[derive(Debug, Default)]
struct NetlinkReader {
    running: BTreeSet<i32>,
    addresses: BTreeSet<(u32, Vec<u8>)>,
}

impl NetlinkReader {
    /// True if a datagram holds a hint. A malformed one ends the reading without a log line,
    /// because it is the kernel's.
    fn read(&mut self, mut datagram: &[u8]) -> bool {
        let mut hint = false;
        // struct nlmsghdr: length u32 (header included), type u16, flags u16, sequence u32, port
        // u32.
        while let (Some(length), Some(kind)) = (read_u32(datagram, 0), read_u16(datagram, 4)) {
            let Some(length) = usize::try_from(length).ok().filter(|length| *length >= 16) else {
                break;
            };
            let payload = datagram
                .get(16..length)
                .unwrap_or_else(|| &datagram[datagram.len().min(16)..]);
            hint |= match kind {
                RTM_NEWROUTE => is_default_route(payload),
                RTM_NEWADDR => self.address_came(payload),
                RTM_DELADDR => {
                    self.address_went(payload);
                    false
                }
                RTM_NEWLINK => self.link_came_up(payload),
                RTM_DELLINK => {
                    self.link_went(payload);
                    false
                }
                _ => false,
            };
            // NLMSG_ALIGN
            let Some(rest) = datagram.get(length.next_multiple_of(4)..) else {
                break;
            };
            datagram = rest;
        }
        hint
    }

    // struct ifinfomsg: family u8, pad u8, type u16, index i32, flags u32, change u32.
    fn link_came_up(&mut self, payload: &[u8]) -> bool {
        let (Some(index), Some(flags)) = (read_u32(payload, 4), read_u32(payload, 8)) else {
            return false;
        };
        let index = index.cast_signed();
        if flags & IFF_LOOPBACK != 0 {
            false
        } else if flags & IFF_RUNNING != 0 {
            self.running.insert(index)
        } else {
            self.running.remove(&index);
            false
        }
    }

    fn link_went(&mut self, payload: &[u8]) {
        if let Some(index) = read_u32(payload, 4) {
            self.running.remove(&index.cast_signed());
        }
    }

    // struct ifaddrmsg: family u8, prefixlen u8, flags u8, scope u8, index u32.
    fn address_came(&mut self, payload: &[u8]) -> bool {
        let (Some(&flags), Some(&scope), Some(address)) = (payload.get(2), payload.get(3), address(payload)) else {
            return false;
        };
        // RFC 4862 section 5.4: nothing may be sent from it before it is known to be nobody else's.
        // The kernel tells then.
        if scope >= RT_SCOPE_LINK || flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) != 0 {
            return false;
        }
        if self.addresses.len() >= ADDRESSES {
            self.addresses.clear();
        }
        self.addresses.insert(address)
    }

    fn address_went(&mut self, payload: &[u8]) {
        if let Some(address) = address(payload) {
            self.addresses.remove(&address);
        }
    }
}

/// The link's index and the address, from `struct ifaddrmsg` and its attributes.
fn address(payload: &[u8]) -> Option<(u32, Vec<u8>)> {
    let index = read_u32(payload, 4)?;
    let mut attributes = payload.get(8..)?;
    // struct rtattr: length u16 (header included), type u16.
    loop {
        let length = usize::from(read_u16(attributes, 0)?);
        let value = attributes.get(4..length)?;
        if read_u16(attributes, 2)? == IFA_ADDRESS {
            return Some((index, value.to_vec()));
        }
        // RTA_ALIGN
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

// struct rtmsg: family u8, dst_len u8, src_len u8, tos u8, table u8, protocol u8, scope u8, type
// u8, flags u32.
fn is_default_route(payload: &[u8]) -> bool {
    let (Some(&prefix), Some(&kind), Some(flags)) = (payload.get(1), payload.get(7), read_u32(payload, 8)) else {
        return false;
    };
    // An "unreachable default" is a route, too, and IPv6 clones routes for every peer on old
    // kernels.
    prefix == 0 && kind == RTN_UNICAST && flags & RTM_F_CLONED == 0
}

pub(super) fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

pub(super) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests;
