//! Which addresses and ports are taken, and what is said where they cannot be.

use super::*;

#[tokio::test]
async fn both_addresses_of_the_machine_are_taken() {
    let bench = Bench::new();
    for address in [
        SocketAddr::from((Ipv4Addr::LOCALHOST, bench.port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, bench.port)),
    ] {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            // A machine without IPv6: nobody can take what does not exist.
            Err(error) if is_absent(&error) && address.is_ipv6() => {}
            other => panic!("{address}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_port_that_another_has_is_told_with_the_cure() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let redirect = RedirectUri::parse(&format!("http://127.0.0.1:{port}/callback")).unwrap();
    let error = Bound::to(&redirect).unwrap_err().to_string();
    assert!(
        error.contains(&format!("port {port} ")) && error.contains("provider.redirect-uri"),
        "{error}"
    );
}

fn redirect(uri: &str) -> RedirectUri {
    RedirectUri::parse(uri).unwrap()
}

/// A machine that lacks one of the two, as the system says it.
fn without_v6(address: SocketAddr) -> io::Result<TcpListener> {
    if address.is_ipv6() {
        return Err(io::Error::from_raw_os_error(
            rustix::io::Errno::ADDRNOTAVAIL.raw_os_error(),
        ));
    }
    listen(address)
}

fn without_v4(address: SocketAddr) -> io::Result<TcpListener> {
    // A test's own machine may have no IPv6: what is bound instead is of no interest here.
    if address.is_ipv4() {
        return Err(io::Error::from_raw_os_error(
            rustix::io::Errno::AFNOSUPPORT.raw_os_error(),
        ));
    }
    listen(SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())))
}

#[tokio::test]
async fn an_address_that_this_machine_lacks_is_not_published() {
    for (uri, has, other) in [
        ("http://[::1]/cb", without_v6 as fn(SocketAddr) -> _, "http://127.0.0.1"),
        ("http://127.0.0.1/cb", without_v4, "http://[::1]"),
    ] {
        let error = Bound::bind_with(&redirect(uri), &has).unwrap_err();
        assert!(!error.is_taken());
        let told = error.to_string();
        assert!(told.contains("provider.redirect-uri") && told.contains(other), "{told}");
    }
    // The one that is there is enough for itself, and for the name.
    for (uri, has) in [
        ("http://127.0.0.1/cb", without_v6 as fn(SocketAddr) -> _),
        ("http://localhost/cb", without_v6),
        ("http://[::1]/cb", without_v4),
        ("http://LOCALHOST/cb", without_v4),
    ] {
        let bound = Bound::bind_with(&redirect(uri), &has).unwrap();
        assert_eq!(bound.sockets.len(), 1, "{uri}");
    }
}

#[tokio::test]
async fn a_port_that_the_unit_does_not_give_is_told_with_the_cure() {
    let refused = |_| Err(io::Error::from_raw_os_error(rustix::io::Errno::ACCESS.raw_os_error()));
    let told = |uri| Bound::bind_with(&redirect(uri), &refused).unwrap_err().to_string();
    let low = told("http://127.0.0.1:80/cb");
    assert!(
        low.contains("port 80 ") && low.contains("provider.redirect-uri") && low.contains("from 1024 on"),
        "{low}"
    );
    // Elsewhere that is not the reason.
    assert!(!told("http://127.0.0.1:8910/cb").contains("1024"));
}
