#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::os::unix::net::UnixDatagram;

use super::*;

/// A message as the kernel frames it.
fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(u32::try_from(16 + payload.len()).unwrap().to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([0; 10]);
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn route(prefix: u8, kind: u8, flags: u32) -> Vec<u8> {
    let mut payload = vec![2, prefix, 0, 0, 254, 16, 0, kind];
    payload.extend(flags.to_ne_bytes());
    payload.extend([8, 0, 4, 0, 2, 0, 0, 0]); // one attribute: RTA_OIF
    message(RTM_NEWROUTE, &payload)
}

fn link(kind: u16, index: i32, flags: u32) -> Vec<u8> {
    let mut payload = vec![0; 4];
    payload.extend(index.to_ne_bytes());
    payload.extend(flags.to_ne_bytes());
    payload.extend([0; 4]);
    message(kind, &payload)
}

#[test]
fn a_default_route_is_a_hint_and_other_routes_are_not() {
    let mut reader = NetlinkReader::default();
    assert!(reader.read(&route(0, RTN_UNICAST, 0)));
    assert!(!reader.read(&route(24, RTN_UNICAST, 0)));
    assert!(!reader.read(&route(0, 7, 0)), "unreachable");
    assert!(!reader.read(&route(0, RTN_UNICAST, RTM_F_CLONED)));
    let mut removed = route(0, RTN_UNICAST, 0);
    removed[4..6].copy_from_slice(&25_u16.to_ne_bytes()); // RTM_DELROUTE
    assert!(!reader.read(&removed));
}

#[test]
fn a_link_is_a_hint_when_it_comes_up_and_not_when_it_is_repeated() {
    let mut reader = NetlinkReader::default();
    assert!(!reader.read(&link(RTM_NEWLINK, 2, 0)));
    assert!(reader.read(&link(RTM_NEWLINK, 2, IFF_RUNNING)));
    assert!(!reader.read(&link(RTM_NEWLINK, 2, IFF_RUNNING)), "a scan");
    assert!(reader.read(&link(RTM_NEWLINK, 3, IFF_RUNNING)), "another link");
    assert!(!reader.read(&link(RTM_NEWLINK, 2, 0)), "cable out");
    assert!(reader.read(&link(RTM_NEWLINK, 2, IFF_RUNNING)), "cable in");
    assert!(!reader.read(&link(RTM_DELLINK, 2, IFF_RUNNING)));
    assert!(reader.read(&link(RTM_NEWLINK, 2, IFF_RUNNING)), "replugged");
    assert!(!reader.read(&link(RTM_NEWLINK, 1, IFF_RUNNING | IFF_LOOPBACK)));
}

fn address(kind: u16, index: u32, flags: u8, scope: u8, address: &[u8]) -> Vec<u8> {
    let mut payload = vec![2, 24, flags, scope];
    payload.extend(index.to_ne_bytes());
    // First one that is of no interest, 3 bytes long and padded to 4.
    payload.extend(7_u16.to_ne_bytes());
    payload.extend(6_u16.to_ne_bytes());
    payload.extend([1, 2, 3, 0]);
    payload.extend(u16::try_from(4 + address.len()).unwrap().to_ne_bytes());
    payload.extend(IFA_ADDRESS.to_ne_bytes());
    payload.extend(address);
    message(kind, &payload)
}

#[test]
fn an_address_is_a_hint_when_it_is_new_usable_and_reaches_beyond_its_link() {
    let mut reader = NetlinkReader::default();
    let one = [192, 0, 2, 1];
    assert!(reader.read(&address(RTM_NEWADDR, 2, 0, 0, &one)));
    assert!(!reader.read(&address(RTM_NEWADDR, 2, 0, 0, &one)), "a renewed lease");
    assert!(reader.read(&address(RTM_NEWADDR, 3, 0, 0, &one)), "on another link");
    assert!(!reader.read(&address(RTM_DELADDR, 2, 0, 0, &one)));
    assert!(reader.read(&address(RTM_NEWADDR, 2, 0, 0, &one)), "back again");
    assert!(!reader.read(&address(RTM_NEWADDR, 2, 0, RT_SCOPE_LINK, &[169, 254, 0, 1])));
    assert!(
        !reader.read(&address(RTM_NEWADDR, 1, 0, 254, &[127, 0, 0, 1])),
        "the host's own"
    );
    let six = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    assert!(!reader.read(&address(RTM_NEWADDR, 2, IFA_F_TENTATIVE, 0, &six)));
    assert!(
        !reader.read(&address(RTM_NEWADDR, 2, IFA_F_DADFAILED, 0, &six)),
        "another's"
    );
    assert!(reader.read(&address(RTM_NEWADDR, 2, 0, 0, &six)));
}

#[test]
fn addresses_are_remembered_up_to_a_limit() {
    let mut reader = NetlinkReader::default();
    for index in 0..10_000 {
        assert!(reader.read(&address(RTM_NEWADDR, index, 0, 0, &[192, 0, 2, 1])));
        assert!(reader.addresses.len() <= ADDRESSES);
    }
}

#[test]
fn every_message_of_a_datagram_is_read() {
    let mut reader = NetlinkReader::default();
    let mut datagram = route(24, RTN_UNICAST, 0);
    datagram.extend(link(RTM_NEWLINK, 2, IFF_RUNNING));
    datagram.extend(route(16, RTN_UNICAST, 0));
    assert!(reader.read(&datagram));
    assert!(reader.running.contains(&2));
}

#[test]
fn no_bytes_whatever_make_the_reader_fail() {
    let whole = [
        route(0, RTN_UNICAST, 0),
        link(RTM_NEWLINK, 2, IFF_RUNNING),
        address(RTM_NEWADDR, 2, 0, 0, &[192, 0, 2, 1]),
    ]
    .concat();
    for cut in 0..whole.len() {
        NetlinkReader::default().read(&whole[..cut]);
    }
    for length in [0_u32, 1, 15, 16, 17, u32::MAX] {
        let mut bytes = whole.clone();
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        NetlinkReader::default().read(&bytes);
    }
    assert!(!NetlinkReader::default().read(&[0; 64]));
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_news_is_one_hint_after_the_debounce() {
    let (kernel, ours) = UnixDatagram::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut hints = spawn(ours.into()).unwrap();
    let start = tokio::time::Instant::now();
    for prefix in [24, 0, 0] {
        kernel.send(&route(prefix, RTN_UNICAST, 0)).unwrap();
    }
    hints.recv().await.unwrap();
    assert!(start.elapsed() >= DEBOUNCE);
    assert!(hints.try_recv().is_err());
    kernel.send(&route(0, RTN_UNICAST, 0)).unwrap();
    hints.recv().await.unwrap();
}

#[tokio::test]
async fn the_kernel_lets_us_listen() {
    let hints = listen().unwrap();
    assert!(!hints.is_closed());
}
