//! Name lookup, and TCP to one address, of the server or of the proxy on the way to it: what
//! hyper-rustls builds its TLS on.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tower_service::Service;

use super::proxy::open_tunnel;
use crate::oauth::{Origin, ProxyFault};

/// Connects to one address, whatever the URI says. The caller bounds the time.
#[derive(Clone)]
pub(super) struct TcpConnector {
    pub(super) address: SocketAddr,
    /// The server, where the address is that of a proxy.
    pub(super) behind_proxy: Option<Origin>,
    /// Set as soon as there is a way to the server: TCP, and the tunnel of a proxy.
    pub(super) connected: Arc<AtomicBool>,
}

/// There is no way to the server. A type of its own, so that it is told apart from what TLS says of
/// a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreachable {
    #[error(transparent)]
    Tcp(#[from] io::Error),
    #[error(transparent)]
    Proxy(#[from] ProxyFault),
}

impl Service<Uri> for TcpConnector {
    type Response = TokioIo<TcpStream>;
    type Error = Unreachable;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self {
            address,
            behind_proxy,
            connected,
        } = self.clone();
        Box::pin(async move {
            let mut stream = TcpStream::connect(address).await?;
            // Requests are small and awaited: Nagle's algorithm could only delay them.
            stream.set_nodelay(true)?;
            // Each close is a reset, also that of a process that was killed. Otherwise the kernel
            // goes on sending what is left of a request that was given up, and a refresh may reach
            // the server after its resend.
            stream.set_zero_linger()?;
            if let Some(server) = behind_proxy {
                open_tunnel(&mut stream, &server).await?;
            }
            connected.store(true, Ordering::Relaxed);
            Ok(TokioIo::new(stream))
        })
    }
}

/// The addresses of a server or proxy, in the resolver's order.
pub(super) async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let addresses: Vec<_> = lookup_host((host, port)).await?.collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}
