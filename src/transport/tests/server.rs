//! A TLS server on loopback that does what a script says and reports what it saw.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use c2c_testkit::watched::Watched;
use rcgen::{Certificate, CertificateParams, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{HandshakeKind, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio_rustls::TlsAcceptor;

/// A step on one connection. After the last one it is held open until the client closes it.
#[derive(Clone)]
pub(crate) enum Step {
    /// Read one whole request.
    Take,
    Say(Vec<u8>),
    /// Say this until the client leaves.
    Repeat(&'static str),
    /// Say this JSON, with the server's own address for each `@`.
    Tell(&'static str),
    // Wait for [`Server::go_on`].
    Wait,
    Close,
    /// Vanish without TLS's farewell.
    Cut,
    /// Instead of the TLS handshake: say nothing.
    Mute,
    /// Instead of the TLS handshake: talk HTTP.
    Plain,
    /// Instead of the TLS handshake: a fatal alert of this number (RFC 8446 §6).
    Alert(u8),
}

/// An event, in the order of arrival.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Accepted,
    Request(String),
    /// By [`Step::Close`] or [`Step::Cut`].
    Closed,
    Left,
}

pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) seen: mpsc::UnboundedReceiver<Seen>,
    signal: Arc<Notify>,
    handshakes: Handshakes,
    brake: Brake,
    folder: TempDir,
    /// Its certificate, in PEM.
    pub(crate) leaf: String,
}

/// How each connection came up that did.
type Handshakes = Arc<Mutex<Vec<HandshakeKind>>>;

/// tokio lets a paused clock jump as soon as its runtime has nothing to do, and what is on its way
/// through the kernel looks like nothing. So a thread of the runtime is kept busy, except while a
/// script stands where only time leads on.
#[derive(Clone)]
struct Brake(Watched<usize>);

impl Brake {
    fn pulled() -> Self {
        let brake = Self(Watched::new(0));
        brake.pull();
        brake
    }

    fn pull(&self) {
        let standing = self.0.clone();
        // Far more than a test takes: one that waits for nobody fails instead of hanging.
        let limit = Duration::from_secs(60);
        tokio::task::spawn_blocking(move || standing.wait_blocking(|&count| (count > 0).then_some(()), limit));
    }

    fn release(&self) {
        self.0.update(|count| *count += 1);
    }

    async fn off_while<T>(&self, standing: impl Future<Output = T>) -> T {
        self.release();
        let done = standing.await;
        let left = self.0.update(|count| {
            *count -= 1;
            *count
        });
        if left == 0 {
            self.pull();
        }
        done
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.brake.release();
    }
}

/// Years in which the certificate is valid.
pub(crate) type Years = (i32, i32);

impl Server {
    /// One script for each connection, in the order they come.
    pub(crate) async fn start(scripts: impl IntoIterator<Item = Vec<Step>>) -> Self {
        Self::valid_in((2020, 2120), scripts).await
    }

    pub(crate) async fn valid_in(years: Years, scripts: impl IntoIterator<Item = Vec<Step>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = identity(years, &folder.path().join("ca.pem"));
        Self::with(identity, folder, scripts).await
    }

    /// Shows the certificate of an authority as its own.
    pub(crate) async fn of_an_authority_itself() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut own = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        own.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let own = own.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), own.pem()).unwrap();
        Self::with((acceptor(&own, &key), own.pem()), folder, [vec![]]).await
    }

    async fn with(
        (acceptor, leaf): (TlsAcceptor, String),
        folder: TempDir,
        scripts: impl IntoIterator<Item = Vec<Step>>,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        // A request with a long token does not fit, so that a part of it waits at the client.
        rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 4096).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (report, seen) = mpsc::unbounded_channel();
        let signal = Arc::new(Notify::new());
        let wait = Arc::clone(&signal);
        let brake = Brake::pulled();
        let own = brake.clone();
        let handshakes = Handshakes::default();
        let kinds = Arc::clone(&handshakes);
        let mut scripts: VecDeque<_> = scripts.into_iter().collect();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let _ = report.send(Seen::Accepted);
                let script = scripts.pop_front().expect("a script for each connection");
                tokio::spawn(play(
                    tcp,
                    acceptor.clone(),
                    script,
                    Arc::clone(&wait),
                    own.clone(),
                    Arc::clone(&kinds),
                    report.clone(),
                ));
            }
        });
        Self {
            port,
            seen,
            signal,
            handshakes,
            brake,
            folder,
            leaf,
        }
    }

    pub(crate) fn base(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Ends one [`Step::Wait`] from another thread.
    pub(crate) fn signal(&self) -> Arc<Notify> {
        Arc::clone(&self.signal)
    }

    // Ends one [`Step::Wait`].
    pub(crate) fn go_on(&self) {
        self.signal.notify_one();
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// How the connections came up, in order.
    pub(crate) fn handshakes(&self) -> Vec<HandshakeKind> {
        self.handshakes.lock().unwrap().clone()
    }

    /// The next thing that happens.
    pub(crate) async fn next(&mut self) -> Seen {
        self.seen.recv().await.unwrap()
    }

    /// The first line of the next request. Anything else is a failure.
    pub(crate) async fn next_request(&mut self) -> String {
        match self.next().await {
            Seen::Request(text) => text.lines().next().unwrap_or_default().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    /// All that was seen so far.
    pub(crate) fn so_far(&mut self) -> Vec<Seen> {
        std::iter::from_fn(|| self.seen.try_recv().ok()).collect()
    }
}

/// A CA, written to `ca_file`, and a leaf for loopback.
fn identity(years: Years, ca_file: &Path) -> (TlsAcceptor, String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    std::fs::write(ca_file, ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(ca, ca_key);

    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    leaf.distinguished_name.push(rcgen::DnType::CommonName, "the server");
    leaf.not_before = date_time_ymd(years.0, 1, 1);
    leaf.not_after = date_time_ymd(years.1, 1, 1);
    let leaf = leaf.signed_by(&key, &issuer).unwrap();

    (acceptor(&leaf, &key), leaf.pem())
}

fn acceptor(certificate: &Certificate, key: &KeyPair) -> TlsAcceptor {
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn play(
    mut tcp: TcpStream,
    acceptor: TlsAcceptor,
    script: Vec<Step>,
    wait: Arc<Notify>,
    brake: Brake,
    handshakes: Handshakes,
    report: mpsc::UnboundedSender<Seen>,
) {
    let base = format!("https://{}", tcp.local_addr().unwrap());
    match script.first() {
        Some(Step::Mute) => {
            brake.off_while(drain(&mut tcp)).await;
            let _ = report.send(Seen::Left);
            return;
        }
        Some(Step::Plain) => {
            let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            drain(&mut tcp).await;
            return;
        }
        Some(Step::Alert(number)) => {
            let _ = tcp.write_all(&[21, 3, 3, 0, 2, 2, *number]).await;
            drain(&mut tcp).await;
            return;
        }
        _ => {}
    }
    let Ok(mut stream) = acceptor.accept(tcp).await else {
        let _ = report.send(Seen::Left);
        return;
    };
    handshakes.lock().unwrap().extend(stream.get_ref().1.handshake_kind());
    for step in script {
        match step {
            Step::Take => {
                let Some(text) = request(&mut stream).await else {
                    let _ = report.send(Seen::Left);
                    return;
                };
                let _ = report.send(Seen::Request(text));
            }
            Step::Say(bytes) => {
                if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                    let _ = report.send(Seen::Left);
                    return;
                }
            }
            Step::Repeat(text) => {
                let text = text.repeat(100);
                while stream.write_all(text.as_bytes()).await.is_ok() {}
                let _ = report.send(Seen::Left);
                return;
            }
            Step::Tell(json) => {
                let json = json.replace('@', &base);
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
                let text = format!("{head} {}\r\n\r\n{json}", json.len());
                if stream.write_all(text.as_bytes()).await.is_err() || stream.flush().await.is_err() {
                    let _ = report.send(Seen::Left);
                    return;
                }
            }
            Step::Wait => brake.off_while(wait.notified()).await,
            Step::Close => {
                let _ = stream.shutdown().await;
                drop(stream);
                let _ = report.send(Seen::Closed);
                return;
            }
            Step::Cut => {
                drop(stream);
                let _ = report.send(Seen::Closed);
                return;
            }
            Step::Mute | Step::Plain | Step::Alert(_) => unreachable!("only as the first step"),
        }
    }
    drain(&mut stream).await;
    let _ = report.send(Seen::Left);
}

async fn drain(stream: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; 1024];
    while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
}

/// Head and body. `None` if the client leaves before.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    let head = loop {
        if let Some(at) = text.windows(4).position(|end| end == b"\r\n\r\n") {
            break at + 4;
        }
        text.push(stream.read_u8().await.ok()?);
    };
    let head_text = String::from_utf8_lossy(&text[..head]).to_ascii_lowercase();
    let length = head_text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    text.extend(body);
    Some(String::from_utf8(text).unwrap())
}
