//! One HTTP/1.1 connection, and the knowledge of whether a request left on it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::ext::on_informational;
use hyper::http::header::{CONTENT_LENGTH, HOST, HeaderValue};
use hyper::http::{HeaderMap, Method};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Uri};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::limit::{BootClock, Resume};
use super::tls;
use crate::oauth::{Defect, HttpRequest, HttpResponse, Origin};
use c2c_auth_core::FaultKind;

/// Longest head that is read.
const HEAD_MAX: usize = 32 * 1024;

/// As many as the head can hold: the shortest line is `a:` with its end. hyper wants a number and
/// takes a hundred where none is given. It reserves address space for them while it reads a head,
/// and uses no more memory than the lines need.
const HEADERS_MAX: usize = HEAD_MAX / 4;

/// More interim answers (RFC 9110 §15.2) than any server has a use for. hyper reads them without
/// end, and each costs as much as an answer.
const INTERIM_MAX: usize = 16;

/// Why no whole answer came to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub kind: FaultKind,
    /// The fault of the answer, where the server sent something.
    pub defect: Option<Defect>,
}

impl From<FaultKind> for Broken {
    fn from(kind: FaultKind) -> Self {
        Self { kind, defect: None }
    }
}

/// A live connection. Dropping it closes it at once, whatever is in flight.
pub(crate) struct Connection {
    origin: Origin,
    address: SocketAddr,
    sender: http1::SendRequest<Full<Bytes>>,
    gate: Arc<Gate>,
    _driver: Driver,
}

impl Connection {
    /// Takes over a stream on which nothing was said yet.
    pub(super) async fn new<S>(origin: Origin, address: SocketAddr, stream: S) -> Result<Self, FaultKind>
    where
        S: Read + Write + Unpin + Send + 'static,
    {
        let gate = Arc::new(Gate::default());
        let gated = Gated {
            stream,
            gate: Arc::clone(&gate),
        };
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .max_header_size(HEAD_MAX)
            .max_headers(HEADERS_MAX)
            .handshake(gated)
            .await
            .map_err(|_| FaultKind::Offline)?;
        // Its end shows in the request. Between requests nobody needs to know.
        let driver = Driver(tokio::spawn(async move {
            let _ = connection.await;
        }));
        Ok(Self {
            origin,
            address,
            sender,
            gate,
            _driver: driver,
        })
    }

    pub(super) const fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// True if another request can be sent, as far as is known here.
    pub(super) async fn is_alive(&mut self) -> bool {
        self.ready().await.is_ok()
    }

    /// One request and its complete answer, or the reason why there is none.
    pub(super) async fn exchange(
        mut self,
        request: HttpRequest,
        deadline: Instant,
        resume: Resume,
        clock: &BootClock,
    ) -> Result<(HttpResponse, Self), Broken> {
        let answer_max = request.answer_max;
        let mut message = message(request).ok_or(FaultKind::Offline)?;
        self.gate.open();
        let gate = Arc::clone(&self.gate);
        on_informational(&mut message, move |interim| gate.count(interim.headers()));
        let ended = clock
            .bound(deadline, resume, self.round_trip(message, answer_max))
            .await;
        let defect = match ended {
            _ if self.gate.is_flooded() => Some(Defect::Interim),
            Some(Ok(response)) => return Ok((response, self)),
            Some(Err(error)) if is_head_too_large(&error) => Some(Defect::HeadTooLarge(HEAD_MAX)),
            Some(Err(error)) if error.is_parse() => Some(Defect::NotHttp),
            Some(Err(error)) => tls::alert(&error),
            None => None,
        };
        // From here on no byte can leave any more, so the gate's word is final.
        let kind = match (self.gate.shut(), &defect) {
            (false, _) => FaultKind::Offline,
            (true, Some(Defect::TlsAlert(_)) | None) => FaultKind::Lost,
            (true, Some(_)) => FaultKind::Garbled,
        };
        Err(Broken { kind, defect })
    }

    async fn ready(&mut self) -> hyper::Result<()> {
        // Lets the runtime look at its sockets first: a server's close that has already arrived is
        // then seen before a request is written into it.
        tokio::task::yield_now().await;
        self.sender.ready().await
    }

    async fn round_trip(&mut self, message: Request<Full<Bytes>>, answer_max: usize) -> hyper::Result<HttpResponse> {
        self.ready().await?;
        let (head, body) = self.sender.send_request(message).await?.into_parts();
        Ok(HttpResponse {
            status: head.status,
            headers: head.headers,
            body: read(body, answer_max).await?,
        })
    }
}

/// `None` where the request line cannot be written.
fn message(request: HttpRequest) -> Option<Request<Full<Bytes>>> {
    let mut headers = request.headers;
    headers.insert(HOST, HeaderValue::try_from(request.origin.to_string()).ok()?);
    // RFC 9110 §8.6: a POST without a body says so.
    if request.method == Method::POST {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(request.body.len()));
    }
    let mut message = Request::new(Full::new(request.body));
    *message.method_mut() = request.method;
    *message.uri_mut() = Uri::try_from(request.path).ok()?;
    *message.headers_mut() = headers;
    Some(message)
}

/// hyper has a method for this that comes with its server alone. The release does not build that.
fn is_head_too_large(error: &hyper::Error) -> bool {
    error.is_parse() && error.to_string() == "message head is too large"
}

/// The whole body, in memory that is wiped. `Err(max)` if it is longer.
async fn read(mut body: Incoming, max: usize) -> hyper::Result<Result<Zeroizing<Vec<u8>>, usize>> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > max {
        return Ok(Err(max));
    }
    let mut whole = Zeroizing::new(Vec::new());
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            if data.len() > max - whole.len() {
                return Ok(Err(max));
            }
            append(&mut whole, data);
        }
    }
    Ok(Ok(whole))
}

/// Takes memory for what has arrived, not for what is announced or allowed. Moves to more of it by
/// hand, because a `Vec` that grows does not wipe what it leaves behind.
pub(super) fn append(whole: &mut Zeroizing<Vec<u8>>, data: &[u8]) {
    let length = whole.len() + data.len();
    if length > whole.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(length.max(2 * whole.capacity())));
        larger.extend_from_slice(whole);
        *whole = larger;
    }
    whole.extend_from_slice(data);
}

/// The task that moves the bytes.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Knows whether a byte of the present request was handed to TLS, and can make sure that none is
/// any more.
#[derive(Default)]
struct Gate {
    state: AtomicU8,
    /// Interim answers to the present request, and the bytes of their headers.
    interim: AtomicUsize,
    interim_bytes: AtomicUsize,
}

impl Gate {
    const OPEN: u8 = 0;
    const USED: u8 = 1;
    const SHUT: u8 = 2;

    /// A new request begins.
    fn open(&self) {
        self.state.store(Self::OPEN, Ordering::SeqCst);
        self.interim.store(0, Ordering::Relaxed);
        self.interim_bytes.store(0, Ordering::Relaxed);
    }

    fn count(&self, headers: &HeaderMap) {
        let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        self.interim.fetch_add(1, Ordering::Relaxed);
        self.interim_bytes.fetch_add(bytes.sum(), Ordering::Relaxed);
    }

    fn is_flooded(&self) -> bool {
        self.interim.load(Ordering::Relaxed) > INTERIM_MAX || self.interim_bytes.load(Ordering::Relaxed) > HEAD_MAX
    }

    /// Bytes want to pass. They count as sent, because nobody knows here if they arrive.
    fn pass(&self) -> io::Result<()> {
        match self
            .state
            .compare_exchange(Self::OPEN, Self::USED, Ordering::SeqCst, Ordering::SeqCst)
        {
            Ok(_) | Err(Self::USED) => Ok(()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Lets nothing pass any more. True if something did before.
    fn shut(&self) -> bool {
        self.state.swap(Self::SHUT, Ordering::SeqCst) == Self::USED
    }
}

/// The TLS stream behind its gate. TLS's own traffic (handshake, alerts, key updates) runs below
/// and does not count.
struct Gated<S> {
    stream: S,
    gate: Arc<Gate>,
}

impl<S: Read + Unpin> Read for Gated<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if self.gate.is_flooded() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: Write + Unpin> Write for Gated<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.gate.pass()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.gate.pass()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    /// As TLS says: hyper then passes a body on without copying it.
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
