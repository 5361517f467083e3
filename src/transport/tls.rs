//! TLS: who is trusted, at which time. The only file that knows rustls.
//!
//! A board without a battery starts in 1970, where no certificate is valid. So certificates are
//! checked at the later of the system's clock and a floor (the latest time known to be past), and a
//! certificate that fails by its dates alone, while the clock is not trusted, is told apart from
//! one that is not to be trusted at all.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{error, fmt, io};

use hyper::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::pki_types::{InvalidDnsNameError, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

use super::addresses::{Failed, Memory, race};
use super::connect::{TcpConnector, Unreachable, look_up};
use super::connection::Broken;
use super::lock;
use super::proxy::Ways;
use super::trust::{explain, file_roots, system_roots, warn_of};
use crate::oauth::{Defect, Origin, ProxyAddress, ProxyFault};
use c2c_auth_core::{FaultKind, WallTime};

/// One server and its tickets: rustls keeps up to eight for each.
const SESSIONS: usize = 8;

pub(crate) struct TlsSettings {
    /// PEM roots that replace the system's.
    pub ca_file: Option<PathBuf>,
    /// The time that certificates are checked at. The daemon keeps it up to date.
    pub clock: Arc<FloorClock>,
    /// Which servers are reached through a proxy.
    pub ways: Ways,
}

/// Why no TLS can be spoken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// `ca-file` cannot be read.
    #[error("[tls] ca-file {path:?} cannot be read: {source}")]
    CaFileUnreadable {
        path: PathBuf,
        /// The system's own error.
        source: io::Error,
    },
    /// `ca-file` holds something else.
    #[error("[tls] ca-file {path:?} cannot be used: {fault}")]
    CaFileMalformed {
        path: PathBuf,
        /// The fault of its content.
        fault: String,
    },
    /// The system trusts nobody.
    #[error("the system has no CA certificates; install the package ca-certificates or set [tls] ca-file")]
    NoRoots,
    /// The provider's host is neither a name nor an address.
    #[error("the provider's host {0:?} is no name that a certificate can be for; correct it in [provider]")]
    Host(String),
    /// rustls cannot be set up with what it was built with.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The time that certificates are checked at: the later of the system's clock and the floor.
pub(crate) struct FloorClock {
    floor: AtomicU64,
    trusted: AtomicBool,
    system: fn() -> u64,
}

impl FloorClock {
    /// Starts with an untrusted system clock.
    #[must_use]
    pub(crate) fn new(floor: WallTime) -> Self {
        Self {
            floor: AtomicU64::new(floor.as_secs()),
            trusted: AtomicBool::new(false),
            system: system_clock,
        }
    }

    /// For tests: another system clock, in seconds since the epoch.
    #[cfg(test)]
    pub(super) fn with_system(floor: WallTime, system: fn() -> u64) -> Self {
        Self {
            system,
            ..Self::new(floor)
        }
    }

    /// The daemon's present knowledge: the earliest time it can be, and whether the system clock is
    /// believed.
    pub(crate) fn set(&self, floor: WallTime, trusted: bool) {
        self.floor.store(floor.as_secs(), Ordering::Relaxed);
        self.trusted.store(trusted, Ordering::Relaxed);
    }

    fn is_trusted(&self) -> bool {
        self.trusted.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for FloorClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FloorClock")
            .field("floor", &self.floor)
            .field("trusted", &self.trusted)
            .finish_non_exhaustive()
    }
}

impl TimeProvider for FloorClock {
    fn current_time(&self) -> Option<UnixTime> {
        let latest = (self.system)().max(self.floor.load(Ordering::Relaxed));
        Some(UnixTime::since_unix_epoch(Duration::from_secs(latest)))
    }
}

fn system_clock() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// A TLS connection as hyper uses it.
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Brings up TLS connections.
pub(super) struct Connector {
    clock: Arc<FloorClock>,
    ways: Ways,
    /// Set at once with a `ca-file`, else with the first connection: reading the system's roots
    /// takes longer than all the rest of the start.
    ready: OnceLock<Configured>,
    pub(super) memory: Mutex<Memory>,
    /// In place of the resolver's answer, unless empty.
    #[cfg(test)]
    pub(super) addresses: Mutex<Vec<SocketAddr>>,
}

struct Configured {
    resuming: Arc<ClientConfig>,
    /// A resumed handshake has no certificate in it, so that it passes where only small packets do.
    /// The answer to a refresh would then be the first one that is lost.
    in_full: Arc<ClientConfig>,
}

/// Why one address did not serve.
#[derive(Debug)]
struct Refusal {
    kind: FaultKind,
    text: String,
    defect: Option<Defect>,
}

impl Connector {
    /// Reads `ca-file`, if there is one.
    pub(super) fn new(settings: TlsSettings, origin: Option<&Origin>) -> Result<Self, TlsError> {
        if let Some(origin) = origin {
            server_name(origin).map_err(|_| TlsError::Host(origin.host().to_owned()))?;
        }
        let connector = Self {
            clock: settings.clock,
            ways: settings.ways,
            ready: OnceLock::new(),
            memory: Mutex::default(),
            #[cfg(test)]
            addresses: Mutex::default(),
        };
        if let Some(path) = &settings.ca_file {
            let configured = connector.configure(file_roots(path)?)?;
            warn_of(path);
            connector.ready.get_or_init(|| configured);
        }
        Ok(connector)
    }

    /// Lookup, TCP and the handshake: the first address of the server that is through with all of
    /// it.
    pub(super) async fn connect(&self, origin: &Origin, deadline: Instant) -> Result<(SocketAddr, Stream), Broken> {
        let proxy = self.ways.to(origin);
        let looked_up = timeout_at(deadline, self.look_up(origin, proxy)).await;
        let addresses = match looked_up.unwrap_or_else(|_| Err(io::Error::other("the name lookup took too long"))) {
            Ok(addresses) => addresses,
            Err(error) => {
                tracing::debug!(%origin, %error, "no address");
                return Err(Broken {
                    kind: FaultKind::Offline,
                    defect: proxy.map(|_| Defect::Proxy(ProxyFault::NoAddress)),
                });
            }
        };
        let configured = self.ready().map_err(|error| {
            tracing::error!(%error, "no server can be trusted");
            FaultKind::Untrusted
        })?;
        let uri = Uri::try_from(format!("https://{origin}/")).map_err(|_| FaultKind::Untrusted)?;
        let addresses = lock(&self.memory).order(addresses);
        let ended = race(addresses, deadline, |address, connected| {
            let config = if lock(&self.memory).is_doubtful(&address) {
                &configured.in_full
            } else {
                &configured.resuming
            };
            let tcp = TcpConnector {
                address,
                behind_proxy: proxy.map(|_| origin.clone()),
                connected,
            };
            let mut connector = HttpsConnector::from((tcp, Arc::clone(config)));
            connector.enforce_https();
            let uri = uri.clone();
            async move {
                // Always ready: it has no state.
                let ended = connector.call(uri).await;
                ended.map_err(|error| self.classify(address, proxy.is_some(), &*error))
            }
        })
        .await;
        lock(&self.memory).record(&ended);
        ended.won.ok_or_else(|| judge(origin, proxy, &ended.failed))
    }

    async fn look_up(&self, origin: &Origin, proxy: Option<&ProxyAddress>) -> io::Result<Vec<SocketAddr>> {
        #[cfg(test)]
        {
            let addresses = lock(&self.addresses).clone();
            if !addresses.is_empty() {
                return Ok(addresses);
            }
        }
        match proxy {
            Some(proxy) => look_up(proxy.dial_host(), proxy.port()).await,
            None => look_up(origin.dial_host(), origin.port()).await,
        }
    }

    fn ready(&self) -> Result<&Configured, TlsError> {
        if let Some(ready) = self.ready.get() {
            return Ok(ready);
        }
        let configured = self.configure(system_roots()?)?;
        Ok(self.ready.get_or_init(|| configured))
    }

    /// For tests: whether the roots were read.
    #[cfg(test)]
    pub(super) fn has_roots(&self) -> bool {
        self.ready.get().is_some()
    }

    fn configure(&self, roots: RootCertStore) -> Result<Configured, TlsError> {
        let crypto = Arc::new(rustls::crypto::ring::default_provider());
        let mut in_full = ClientConfig::builder_with_details(crypto, Arc::clone(&self.clock) as Arc<dyn TimeProvider>)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        in_full.alpn_protocols = vec![b"http/1.1".to_vec()];
        in_full.resumption = Resumption::disabled();
        // RFC 8446 §8: early data can be replayed by anybody who recorded it. A refresh must not
        // be.
        in_full.enable_early_data = false;
        let mut resuming = in_full.clone();
        resuming.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(Configured {
            resuming: Arc::new(resuming),
            in_full: Arc::new(in_full),
        })
    }

    /// A certificate that is not trusted is told even where another address serves.
    fn classify(
        &self,
        address: SocketAddr,
        by_proxy: bool,
        error: &(dyn error::Error + Send + Sync + 'static),
    ) -> Refusal {
        let cause = rustls_error(error);
        let dates = matches!(
            cause,
            Some(rustls::Error::InvalidCertificate(
                CertificateError::Expired
                    | CertificateError::ExpiredContext { .. }
                    | CertificateError::NotValidYet
                    | CertificateError::NotValidYetContext { .. }
            ))
        );
        let kind = match cause {
            _ if error.is::<InvalidDnsNameError>() => FaultKind::Untrusted,
            None if error.is::<Unreachable>() => {
                tracing::debug!(%address, cause = %error, "no connection");
                FaultKind::Offline
            }
            Some(_) if dates && !self.clock.is_trusted() => {
                tracing::debug!(%address, cause = %error, "certificate cannot be checked: the clock is not set");
                FaultKind::ClockNotSet
            }
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => FaultKind::Untrusted,
            // It answers and refuses: a server that speaks HTTP/2 alone, or no version that we do,
            // or something in between. Nothing else tells a person which.
            Some(rustls::Error::PeerIncompatible(_)) => {
                tracing::warn!(%address, cause = %error, "TLS is refused");
                FaultKind::Offline
            }
            // An alert, which the entry of the request names. Or not TLS, or cut: a captive portal
            // or a middlebox, and nothing was sent.
            Some(_) | None => {
                tracing::debug!(%address, cause = %error, "no TLS");
                FaultKind::Offline
            }
        };
        let text = match (kind, cause) {
            (FaultKind::Untrusted, Some(cause)) => {
                let why = explain(cause);
                tracing::warn!(%address, "the server's certificate is not trusted: {why}");
                format!("its certificate is not trusted: {why}")
            }
            (_, _) => error.to_string(),
        };
        let defect = match cause {
            Some(rustls::Error::PeerIncompatible(_)) => None,
            Some(rustls::Error::AlertReceived(_)) => cause.and_then(alert_of),
            Some(_) | None if by_proxy && kind == FaultKind::Offline => Some(Defect::Proxy(fault_of_proxy(error))),
            Some(_) | None => None,
        };
        Refusal { kind, text, defect }
    }
}

/// Why a connection through a proxy failed that was refused for no certificate.
fn fault_of_proxy(error: &(dyn error::Error + 'static)) -> ProxyFault {
    match error.downcast_ref() {
        Some(Unreachable::Tcp(_)) => ProxyFault::Refused,
        Some(Unreachable::Proxy(fault)) => *fault,
        None => ProxyFault::NoTls,
    }
}

/// The meaning of the failure of all addresses. A fault of one certificate tells more than the
/// silence of other addresses, and with the right time that certificate may be a good one.
fn judge(origin: &Origin, proxy: Option<&ProxyAddress>, failed: &[Failed<Refusal>]) -> Broken {
    let is = |kind| {
        let mut refusals = failed.iter().filter_map(|failed| failed.error.as_ref());
        refusals.any(|refusal| refusal.kind == kind)
    };
    let kind = if is(FaultKind::ClockNotSet) {
        FaultKind::ClockNotSet
    } else if is(FaultKind::Untrusted) {
        FaultKind::Untrusted
    } else {
        FaultKind::Offline
    };
    let told = failed.iter().map(|failed| {
        let text = match &failed.error {
            Some(refusal) => &refusal.text,
            None if failed.connected => "no answer to the TLS handshake",
            None => "no answer",
        };
        format!("{}: {text}", failed.address)
    });
    let error = told.collect::<Vec<_>>().join("; ");
    let way = proxy.map(ToString::to_string);
    tracing::debug!(%origin, proxy = way, %error, ?kind, "no address serves");
    let mut refusals = failed.iter().filter_map(|failed| failed.error.as_ref());
    let silence = || {
        proxy.filter(|_| kind == FaultKind::Offline)?;
        let has_tunnel = failed.iter().any(|failed| failed.connected);
        Some(Defect::Proxy(if has_tunnel {
            ProxyFault::NoTls
        } else {
            ProxyFault::Silent
        }))
    };
    Broken {
        kind,
        defect: refusals.find_map(|refusal| refusal.defect.clone()).or_else(silence),
    }
}

/// The alert by which the server ended a connection, if that is what an error of hyper says.
pub(super) fn alert(error: &hyper::Error) -> Option<Defect> {
    let mut next = error::Error::source(error);
    while let Some(error) = next {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(defect) = wrapped.and_then(rustls_error).and_then(alert_of) {
            return Some(defect);
        }
        next = error.source();
    }
    None
}

/// The name of an alert, as RFC 8446 §6.2 spells it.
fn alert_of(error: &rustls::Error) -> Option<Defect> {
    let rustls::Error::AlertReceived(alert) = error else {
        return None;
    };
    let mut name = String::new();
    for letter in format!("{alert:?}").chars() {
        if letter.is_ascii_uppercase() && name.ends_with(|last: char| last.is_ascii_lowercase()) {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    Some(Defect::TlsAlert(name))
}

/// tokio-rustls and hyper-rustls each wrap it in an `io::Error`.
fn rustls_error<'a>(mut error: &'a (dyn error::Error + Send + Sync + 'static)) -> Option<&'a rustls::Error> {
    while let Some(wrapped) = error.downcast_ref::<io::Error>() {
        error = wrapped.get_ref()?;
    }
    error.downcast_ref()
}

fn server_name(origin: &Origin) -> Result<ServerName<'static>, InvalidDnsNameError> {
    ServerName::try_from(origin.dial_host().to_owned())
}
