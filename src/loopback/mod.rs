//! Waits on this machine for a browser that comes back from the authorization server (RFC 8252
//! §7.3).
//!
//! Owns: the sockets of one pairing flow, the few lines of HTTP that a browser needs, the page it
//! is shown. Must never: log or show what a request holds, tell a stranger anything, outlive its
//! flow, decide about a pairing (the core does).
//!
//! Anybody on the board can connect, and any page in the browser can be made to. So:
//! - Both loopback addresses are bound before the address is published. Nobody else can take the
//!   port of the other family.
//! - Only a `GET` of the exact path, with the exact `Host`, and with the `state` of this flow
//!   reaches the core. The `state` is 256 random bits that only the server and the browser of the
//!   person who pairs have seen.
//! - Strangers are counted nowhere: a limit that they use up would lock the browser out. The limits
//!   are on the resources they can *hold*: [`CONNECTIONS`] at once, [`HEAD_LIMIT`] and little more
//!   than two lines of [`LINE_MAX`](request::LINE_MAX) each. When all are taken the oldest gives
//!   way, once it had [`GRACE`] to send its request. The limit of [`HANDED_MAX`] requests in a flow
//!   counts those with the right `state`.
//! - Between any two connections that are taken, every request that has arrived is read. So one
//!   that is there is served whoever else waits. A browser sends its own at once, so its connection
//!   is not the one that gives way.
//! - One attack remains. A program that keeps opening more than [`CONNECTIONS`] in each [`GRACE`]
//!   fills the kernel's queue, and a browser waits in it, as at every port of the machine. The flow
//!   survives it, and `CompletePairing` is another way in.

mod page;
mod request;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{AbortHandle, JoinSet, yield_now};
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::Zeroizing;

use crate::oauth::{RedirectError, RedirectUri};
use c2c_auth_core::{CallError, Redirect, StateParameter};
use page::Page;
use request::{Head, Judged, Wanted};

/// Connections at once, over both addresses. One that says nothing costs a descriptor and no
/// buffer.
const CONNECTIONS: usize = 128;

/// How long a connection keeps its place while others wait for one. With [`CONNECTIONS`] this is
/// the pace at which a flood of silent ones is worked off: 6,400 a second.
const GRACE: Duration = Duration::from_millis(20);

/// How many wait in the kernel until they are taken. `net.core.somaxconn` may allow fewer (128
/// before Linux 5.4). A client that finds this queue full is not told. It tries again after a
/// second.
const QUEUE: u32 = 1024;

/// How long nobody is taken after the system could not hand a connection over.
const BREATH: Duration = Duration::from_millis(100);

/// How long a request head may take.
const HEAD_LIMIT: Duration = Duration::from_secs(5);

/// How long the page may take on its way out, to a browser that does not read.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// Requests with the right `state` that are handed on in one flow. One is enough. A browser that
/// reloads sends a few.
const HANDED_MAX: usize = 32;

/// How often a free port is looked for that is free for both addresses.
const PORT_TRIES: usize = 16;

/// The core's verdict on a browser's answer, when there is one.
pub(crate) type Delivered = Pin<Box<dyn Future<Output = Result<(), CallError>> + Send>>;

/// Reads the whole address that a browser asks for.
pub(crate) type Read = Box<dyn Fn(&str) -> Result<Redirect, RedirectError> + Send + Sync>;

/// How a listener is wired to the rest.
pub(crate) struct Callbacks {
    /// The flow's own `state`.
    pub state: StateParameter,
    /// Reads what a browser brings.
    pub read: Read,
    /// Hands an answer with the right `state` to the core.
    pub deliver: Box<dyn Fn(Redirect) -> Delivered + Send + Sync>,
}

/// Sockets that listen. Connections wait in the kernel until [`Bound::serve`].
#[derive(Debug)]
pub(crate) struct Bound {
    sockets: Vec<TcpListener>,
    redirect: RedirectUri,
}

/// A listener at work. Dropping it closes the sockets and cuts every connection but those whose
/// request was handed on: they still get their page.
#[derive(Debug)]
pub(crate) struct Listener {
    _task: JoinSet<()>,
}

#[derive(Debug, thiserror::Error)]
#[error("{} cannot be listened on ({source}){}", self.what(), self.cure())]
pub(crate) struct ListenError {
    /// The wanted port, 0 where any would have done.
    port: u16,
    /// The address that this machine does not have, and that a browser would go to.
    absent: Option<IpAddr>,
    /// The system's own error.
    source: io::Error,
}

impl ListenError {
    fn what(&self) -> String {
        match (self.absent, self.port) {
            (Some(address), _) => format!("the address {address}, where provider.redirect-uri sends the browser,"),
            (None, 0) => "the addresses of this machine itself".to_owned(),
            (None, port) => format!("port {port} of this machine"),
        }
    }

    /// Where no port is named it is the system that is short of something, and `source` says of
    /// what.
    fn cure(&self) -> &'static str {
        match (self.absent, self.port, self.source.kind()) {
            (Some(IpAddr::V6(_)), _, _) => "; write http://127.0.0.1 there, or give the machine IPv6",
            (Some(IpAddr::V4(_)), _, _) => "; write http://[::1] there, or give the machine IPv4",
            (None, 1.., io::ErrorKind::AddrInUse) => "; free it, or change provider.redirect-uri",
            (None, 1..1024, io::ErrorKind::PermissionDenied) => {
                "; the daemon has no right to a port below 1024: write one from 1024 on in provider.redirect-uri"
            }
            (None, _, _) => "",
        }
    }

    /// True if another process has the port.
    #[must_use]
    pub(crate) fn is_taken(&self) -> bool {
        self.source.kind() == io::ErrorKind::AddrInUse
    }
}

impl Bound {
    /// Binds 127.0.0.1 and `::1`, with the port of `redirect` or, where it has none, one that is
    /// free for both.
    ///
    /// A machine without IPv6 (or without IPv4) has nobody who could take the other address. Its
    /// absence is logged and no fault, unless `redirect` names that address: no browser could come
    /// there.
    ///
    /// # Errors
    /// [`ListenError`].
    pub(crate) fn to(redirect: &RedirectUri) -> Result<Self, ListenError> {
        Self::bind_with(redirect, &listen)
    }

    fn bind_with(redirect: &RedirectUri, listen: Listen<'_>) -> Result<Self, ListenError> {
        let wanted = redirect.port().unwrap_or(0);
        let mut last = io::ErrorKind::AddrInUse.into();
        for _ in 0..if wanted == 0 { PORT_TRIES } else { 1 } {
            match bind_both(wanted, listen) {
                Ok((sockets, port, absent)) => {
                    if let Some((address, source)) = absent
                        && redirect.loopback_address() == Some(address)
                    {
                        return Err(ListenError {
                            port,
                            absent: Some(address),
                            source,
                        });
                    }
                    return Ok(Self {
                        sockets,
                        redirect: redirect.at_port(port),
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(ListenError {
            port: wanted,
            absent: None,
            source: last,
        })
    }

    /// The address with the port of this flow, as it goes to the server.
    #[must_use]
    pub(crate) const fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect
    }

    /// Serves until the listener is dropped.
    #[must_use]
    pub(crate) fn serve(self, callbacks: Callbacks) -> Listener {
        let shared = Arc::new(Shared {
            wanted: Wanted {
                host: self.redirect.host_header(),
                path: self.redirect.path().to_owned(),
            },
            origin: format!("http://{}", self.redirect.host_header()),
            callbacks,
            handed: AtomicUsize::new(0),
        });
        let mut task = JoinSet::new();
        task.spawn(accept(self.sockets, shared));
        Listener { _task: task }
    }
}

/// How a socket comes to listen. Tests have machines of their own.
type Listen<'a> = &'a dyn Fn(SocketAddr) -> io::Result<TcpListener>;

/// The listeners, their port, and the one address that this machine does not have.
type BoundPair = (Vec<TcpListener>, u16, Option<(IpAddr, io::Error)>);

fn bind_both(port: u16, listen: Listen<'_>) -> io::Result<BoundPair> {
    let [v4, v6]: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let first = listen(SocketAddr::new(v4, port));
    let port = match &first {
        Ok(socket) => socket.local_addr()?.port(),
        Err(error) if is_absent(error) => port,
        Err(_) => return first.map(|socket| (vec![socket], port, None)),
    };
    match (first, listen(SocketAddr::new(v6, port))) {
        (Ok(first), Ok(second)) => Ok((vec![first, second], port, None)),
        (Ok(first), Err(error)) if is_absent(&error) => {
            tracing::info!("no IPv6 on the loopback interface: a browser is awaited on 127.0.0.1 alone");
            Ok((vec![first], port, Some((v6, error))))
        }
        (Err(error), Ok(second)) => {
            tracing::info!("no IPv4 on the loopback interface: a browser is awaited on ::1 alone");
            let port = second.local_addr()?.port();
            Ok((vec![second], port, Some((v4, error))))
        }
        (Ok(_) | Err(_), Err(error)) => Err(error),
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // The port may be that of a flow that has just ended.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// True if this machine has no such address at all, rather than somebody else on it.
fn is_absent(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let is = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
    error.kind() == io::ErrorKind::AddrNotAvailable || is(Errno::AFNOSUPPORT) || is(Errno::PROTONOSUPPORT)
}

/// The state that every connection is served from.
struct Shared {
    wanted: Wanted,
    /// `http://host:port`, to which the request's target is appended.
    origin: String,
    callbacks: Callbacks,
    handed: AtomicUsize,
}

async fn accept(sockets: Vec<TcpListener>, shared: Arc<Shared>) {
    let mut connections = Connections::default();
    loop {
        let Some(stream) = next(&sockets).await else { continue };
        let shared = Arc::clone(&shared);
        connections.take(async move { serve(stream, shared).await });
        connections.poll_all().await;
        while connections.places.len() > CONNECTIONS {
            connections.make_room().await;
        }
    }
}

/// The connections whose request has not been handed on.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    places: VecDeque<(Instant, AbortHandle)>,
}

impl Connections {
    fn take(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        let handle = self.tasks.spawn(connection);
        self.places.push_back((Instant::now(), handle));
    }

    /// Lets each connection read what has arrived, and forgets those that are done.
    async fn poll_all(&mut self) {
        // It comes back only after the system was asked who can be read, and after all of them had
        // their turn.
        yield_now().await;
        while self.tasks.try_join_next().is_some() {}
        self.places.retain(|(_, handle)| !handle.is_finished());
    }

    /// Waits until somebody leaves, or the oldest has had its time and is sent away.
    async fn make_room(&mut self) {
        let oldest = self.places[0].0 + GRACE;
        let left = timeout_at(oldest, self.tasks.join_next()).await;
        self.poll_all().await;
        if left.is_err()
            && self.places.len() > CONNECTIONS
            && let Some((_, handle)) = self.places.pop_front()
        {
            handle.abort();
        }
    }
}

/// The next connection on any of the sockets. `None` after a fault that passes.
async fn next(sockets: &[TcpListener]) -> Option<TcpStream> {
    let accepted = match sockets {
        [one] => one.accept().await,
        [one, other] => tokio::select! {
            accepted = one.accept() => accepted,
            accepted = other.accept() => accepted,
        },
        _ => std::future::pending().await,
    };
    match accepted {
        Ok((stream, _)) => Some(stream),
        Err(error) => {
            // The peer is gone already, or this process has no descriptor to spare.
            tracing::debug!(%error, "a connection was not taken");
            tokio::time::sleep(BREATH).await;
            None
        }
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let page = match timeout(HEAD_LIMIT, head(&mut stream, &shared.wanted)).await {
        // Cut, or silent for too long: nobody is there to be told.
        Ok(None) | Err(_) => return,
        Ok(Some(judged)) => match judged.and_then(|target| shared.judge(&target)) {
            Ok(redirect) => {
                // From here on on its own: the page must reach the browser although the flow, and
                // with it this listener, ends.
                tokio::spawn(async move {
                    let page = Page::of(&redirect.outcome, (shared.callbacks.deliver)(redirect.clone()).await);
                    write(&mut stream, page).await;
                });
                return;
            }
            Err(page) => page,
        },
    };
    write(&mut stream, page).await;
}

impl Shared {
    /// The redirect of a request, if it is the one that is waited for.
    fn judge(&self, target: &str) -> Result<Redirect, Page> {
        let address = Zeroizing::new([&self.origin, target].concat());
        let redirect = (self.callbacks.read)(&address).map_err(|_| Page::BAD_REQUEST)?;
        if !same(redirect.state.expose(), self.callbacks.state.expose()) {
            return Err(Page::BAD_REQUEST);
        }
        if self.handed.fetch_add(1, Ordering::Relaxed) >= HANDED_MAX {
            return Err(Page::BAD_REQUEST);
        }
        Ok(redirect)
    }
}

/// Reads until it is clear what a request is. `None` if the connection was cut before.
async fn head(stream: &mut TcpStream, wanted: &Wanted) -> Option<Judged> {
    // Allocate nothing until the peer has sent something.
    stream.readable().await.ok()?;
    let mut head = Head::new(wanted);
    let mut piece = Zeroizing::new([0; 4096]);
    loop {
        match stream.read(&mut piece[..]).await.ok()? {
            0 => return None,
            length => {
                if let Some(judged) = head.take(&piece[..length]) {
                    return Some(judged);
                }
            }
        }
    }
}

async fn write(stream: &mut TcpStream, page: Page) {
    let send = async {
        stream.write_all(page.response().as_bytes()).await?;
        stream.shutdown().await?;
        // A close with unread bytes would be a reset, and a reset may overtake the page.
        let mut rest = [0; 512];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // A browser that went away needs no page.
    let _ = timeout(WRITE_LIMIT, send).await;
}

/// Equality that takes the same time wherever the first difference is.
fn same(one: &str, other: &str) -> bool {
    let difference = one
        .bytes()
        .zip(other.bytes())
        .fold(one.len() ^ other.len(), |all, (a, b)| all | usize::from(a ^ b));
    difference == 0
}
