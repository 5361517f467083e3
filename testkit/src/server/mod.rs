//! A simulated C2C authorization server over TLS on loopback.
//!
//! Faithful where the public pages say how the API behaves: rotation ends both old tokens, reuse
//! answers `invalid_request`, a forgotten device gets the detailed 401, codes live 120 s, polls
//! keep their interval. Where they are silent, [`Options`] has a switch. Beyond that it does what a
//! hostile network does ([`Fault`]) and tells what really happened ([`Truth`]).
//!
//! A [`Server`] is a handle: clones share one server, which runs on a thread of its own with its
//! own runtime and ends with the last handle. All its methods are synchronous and quick, from sync
//! and async code alike. Only the waits come in two. Its clock is real time plus what
//! [`Server::advance`] added, so that tests of 8 hours take none.
//!
//! Invariants: there is one lock around one `State`. Decisions are in `grants` and `resources`,
//! none elsewhere. A request that was read is acted on even if its client hangs up. The server
//! never counts anything as a [`Violation`] that the client cannot know.

mod answer;
mod call;
mod certs;
mod fault;
mod form;
mod grants;
pub mod hostile;
mod options;
mod resources;
mod serve;
mod state;
mod truth;
mod verbs;
mod wire;

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use tokio::{runtime, sync::watch};
use tokio_rustls::TlsAcceptor;

pub(crate) use self::certs::Certificates;
pub use self::{
    certs::Tls,
    fault::{Cut, DateHeader, Edit, Endpoint, Fault, Page, Pause, Stage, Times, Wrapping},
    grants::CodeError,
    options::{Options, RateLimit},
    truth::{Counters, End, Entry, Issued, Kind, Live, Outcome, Truth, Violation},
    verbs::{NotPaired, Waiting},
};
use self::{
    serve::{ORDER_LIMIT, Orders, Shared},
    state::State,
};
use crate::watched::{TimedOut, Watched};

/// A handle to a running server. Clones share it. The last one to go stops it.
#[derive(Clone)]
pub struct Server {
    state: Watched<State>,
    handle: Arc<Handle>,
}

struct Handle {
    address: SocketAddr,
    directory: tempfile::TempDir,
    certificates: Arc<Certificates>,
    // Both `Some` until dropped.
    orders: Option<watch::Sender<Orders>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The accept loop ends when the orders do, and the runtime with it takes the connections
        // down.
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // A panic on that thread was printed there, and ends in failing waits here.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.handle.address)
            .finish_non_exhaustive()
    }
}

/// The awaited event did not happen. The text lists what the server saw instead.
#[derive(Debug, thiserror::Error)]
#[error("{timed_out}; the server saw:\n{log}")]
pub struct NotSeen {
    /// How long was waited.
    #[source]
    pub timed_out: TimedOut,
    /// The last requests, one a line, without secrets.
    pub log: String,
}

impl Server {
    /// Starts a server on a free loopback port.
    ///
    /// # Errors
    ///
    /// When there is no port, no thread, no temporary directory, or no certificate to be had.
    pub fn start(options: Options) -> io::Result<Self> {
        let certificates = Certificates::make(&options.names).map_err(io::Error::other)?;
        let directory = tempfile::Builder::new().prefix("c2c-sim-").tempdir()?;
        std::fs::write(directory.path().join("ca.pem"), &certificates.ca_pem)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let listener = serve::bind(None)?.listen(1024)?;
        let address = listener.local_addr()?;
        drop(entered);
        let (sender, orders) = watch::channel(Orders {
            open: true,
            cut_up_to: 0,
            releases: 0,
        });
        let state = Watched::new(State::new(options));
        let certificates = Arc::new(certificates);
        let shared = Shared {
            state: state.clone(),
            orders,
            certificates: Arc::clone(&certificates),
        };
        let thread = std::thread::Builder::new()
            .name("c2c-sim-server".to_owned())
            .spawn(move || runtime.block_on(serve::run(shared, listener, address)))?;
        let handle = Handle {
            address,
            directory,
            certificates,
            orders: Some(sender),
            thread: Some(thread),
        };
        Ok(Self {
            state,
            handle: Arc::new(handle),
        })
    }

    /// `https://localhost:PORT`, for `base-uri`.
    #[must_use]
    pub fn base_uri(&self) -> String {
        format!("https://localhost:{}", self.handle.address.port())
    }

    /// 127.0.0.1 and the port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.handle.address
    }

    /// The CA's certificate in a PEM file, for `ca-file`. Only the user who runs the simulation can
    /// read it.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.directory().join("ca.pem")
    }

    /// The CA's certificate as PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.handle.certificates.ca_pem
    }

    /// Shakes hands with the good leaf: for what else speaks TLS on this machine.
    pub(crate) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.handle.certificates.acceptor(Tls::Good).cloned()
    }

    /// The secret of the device model: what clients must send, and a canary.
    #[must_use]
    pub fn client_secret(&self) -> String {
        self.state.read(|s| s.options.client_secret.clone())
    }

    /// The server's clock.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.state.read(State::now)
    }

    /// Moves the server's clock ahead: codes and tokens age, `Date` follows. It never goes back.
    pub fn advance(&self, by: Duration) {
        self.state.update(|s| s.offset += by);
    }

    /// Changes the options. Codes and tokens issued before keep what they were issued with.
    pub fn set_options(&self, change: impl FnOnce(&mut Options)) {
        self.state.update(|s| change(&mut s.options));
    }

    /// Looks at the truth. `look` runs under the server's lock: it must not use the server again.
    pub fn truth<R>(&self, look: impl FnOnce(&Truth) -> R) -> R {
        self.state.read(|s| look(&s.truth))
    }

    /// Waits until the truth is as wished, at most `limit` in real time, whatever a test's clock
    /// does.
    ///
    /// # Errors
    ///
    /// [`NotSeen`] if it was not in time.
    pub async fn wait_for(
        &self,
        mut until: impl FnMut(&Truth) -> bool + Send + 'static,
        limit: Duration,
    ) -> Result<(), NotSeen> {
        let seen = self.state.wait(move |s| until(&s.truth).then_some(()), limit).await;
        seen.map_err(|timed_out| self.not_seen(timed_out))
    }

    /// [`Self::wait_for`] for synchronous code.
    ///
    /// # Errors
    ///
    /// [`NotSeen`] if it was not in time.
    pub fn wait_for_blocking(&self, mut until: impl FnMut(&Truth) -> bool, limit: Duration) -> Result<(), NotSeen> {
        let seen = self.state.wait_blocking(|s| until(&s.truth).then_some(()), limit);
        seen.map_err(|timed_out| self.not_seen(timed_out))
    }

    fn directory(&self) -> &Path {
        self.handle.directory.path()
    }

    fn not_seen(&self, timed_out: TimedOut) -> NotSeen {
        let log = self.truth(|t| {
            let last = &t.log()[t.log().len().saturating_sub(20)..];
            last.iter()
                .map(|e| format!("{} {} {:?} {:?}", e.target, e.verdict, e.outcome, e.fault))
                .collect::<Vec<_>>()
                .join("\n")
        });
        NotSeen { timed_out, log }
    }

    /// Gives an order to the thread and waits until it is followed.
    fn order(&self, order: impl FnOnce(&mut Orders), followed: impl Fn(&State) -> bool) {
        if let Some(orders) = &self.handle.orders {
            orders.send_modify(order);
        }
        let done = self.state.wait_blocking(|s| followed(s).then_some(()), ORDER_LIMIT);
        done.expect("the server's thread follows orders");
    }
}
