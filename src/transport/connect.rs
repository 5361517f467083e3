//! Name lookup, and TCP to one address: what hyper-rustls builds its TLS on.

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

use crate::oauth::Origin;

/// Connects to one address, whatever the URI says. The caller bounds the time.
#[derive(Clone)]
pub(super) struct TcpConnector {
    pub(super) address: SocketAddr,
    /// Set as soon as TCP is up.
    pub(super) connected: Arc<AtomicBool>,
}

/// TCP failed. A type of its own, so that it is told apart from what TLS says of a connection.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct Unreachable(#[from] io::Error);

impl Service<Uri> for TcpConnector {
    type Response = TokioIo<TcpStream>;
    type Error = Unreachable;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { address, connected } = self.clone();
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            connected.store(true, Ordering::Relaxed);
            // Requests are small and awaited: Nagle's algorithm could only delay them.
            stream.set_nodelay(true)?;
            // Each close is a reset, also that of a process that was killed. Otherwise the kernel
            // goes on sending what is left of a request that was given up, and a refresh may reach
            // the server after its resend.
            stream.set_zero_linger()?;
            Ok(TokioIo::new(stream))
        })
    }
}

/// The addresses of a server, in the resolver's order.
pub(super) async fn look_up(origin: &Origin) -> io::Result<Vec<SocketAddr>> {
    let addresses: Vec<_> = lookup_host((origin.dial_host(), origin.port())).await?.collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}
