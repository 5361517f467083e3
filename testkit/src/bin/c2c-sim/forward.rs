//! From an address that others reach to the server on loopback.
//!
//! The library never listens anywhere but on loopback. A device in a network namespace of its own
//! needs an address in its network. Copies bytes and knows nothing of them. It uses threads,
//! because there are a handful of connections.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
};

/// Starts forwarding. Returns the address that it listens on, once the port is known.
pub(crate) fn to(listen: SocketAddr, target: SocketAddr) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(listen)?;
    let here = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A server that refuses connections is seen as one that hangs up: a port forward's way.
            if let Ok(server) = TcpStream::connect(target) {
                // Out of descriptors: the client sees a connection that ends.
                let _ = join(&client, &server);
            }
        }
    });
    Ok(here)
}

fn join(client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    copy(client.try_clone()?, server.try_clone()?);
    copy(server.try_clone()?, client.try_clone()?);
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        // However it ended, the other side has to hear of it.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
