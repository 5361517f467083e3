//! The bus: three interfaces, and nothing decided in them.
//!
//! A method is: authorize, parse, ask the loop, wait, answer. A getter reads the visible snapshot.
//! Signals leave in the order of the core (D4), from one task.
//!
//! Must never: hold state of the product, take a decision of the core's, let a code, a token or a
//! secret into a signal, a property, an error or a log line (I8), or make the loop wait for the
//! bus.
//!
//! Rules that zbus imposes: methods take `&self` only and the loop never asks zbus for an interface
//! (both would deadlock against open calls). The objects are served before the name is requested:
//! an activated client never finds an empty object.

mod access;
mod error_reply;
mod gateway;
mod interfaces;
mod logind;
mod qr;
mod signal_queue;
mod text;
mod throttle;
mod token_audit;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use zbus::connection::Builder;
use zbus::export::futures_core::Stream;
use zbus::fdo::RequestNameFlags;
use zbus::message::Type as MessageType;
use zbus::{Connection, MatchRule, MessageStream};

pub(crate) use access::{Access, Principal};

use crate::messages::contract::{BusAddress, NAME, OBJECT};
use access::Callers;
use c2c_auth_core::{CallError, Command, PairingState, Redirect, Reply, Snapshot};
use gateway::Gateway;
pub(crate) use logind::Lock;
use signal_queue::SignalQueue;

/// How many calls may lie in the queue to the loop. Several times what one uid may have open, so
/// that one uid cannot fill it.
pub(crate) const CALL_QUEUE: usize = 1024;

/// How long the bus may take to let us in: to authenticate, to greet, to give the name. A bus that
/// lives does all of it in milliseconds. One that a busy boot still starts is there within seconds.
const ENTRY_LIMIT: Duration = Duration::from_secs(15);

/// How long the last answers may take when the daemon leaves the bus.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);

/// A call on its way to the loop. Every one is answered exactly once. One whose `reply` is dropped
/// is answered with an error.
#[derive(Debug)]
pub(crate) struct Call {
    /// The request, with the uid where that matters.
    pub command: Command,
    /// Where the answer goes. Nobody may be left to take it.
    pub reply: oneshot::Sender<Result<Reply, Refusal>>,
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub error: CallError,
    /// The fault of the server's answer, where that is why: a clause.
    pub because: Option<String>,
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        Self { error, because: None }
    }
}

/// The facts that do not change while the daemon runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceFacts {
    /// `ClientId`. Empty if there is none.
    pub client_id: String,
    /// `FirmwareVersion`. Empty if there is none.
    pub firmware_version: String,
    pub daemon_version: String,
    // `Provider`: the kind.
    pub provider: String,
}

/// Reads the address at the end of the OAuth code flow: `None` where there is no such flow, else
/// what it brings, or why it brings nothing, in words that do not repeat it.
pub(crate) type ReadRedirect = Box<dyn Fn(&str) -> Option<Result<Redirect, String>> + Send + Sync>;

/// The parts that the rest of the daemon hands to the bus.
pub(crate) struct Wiring {
    /// The principals of each role. They may change at any time.
    pub access: watch::Receiver<Arc<Access>>,
    /// Where calls of clients go. Should hold [`CALL_QUEUE`] of them.
    pub calls: mpsc::Sender<Call>,
    /// `CompletePairing` reads addresses with this.
    pub redirects: ReadRedirect,
}

/// A fault of the bus itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BusError {
    #[error("{bus} cannot be reached: {source}; is it running?")]
    Unreachable { bus: BusAddress, source: zbus::Error },
    #[error("{bus} does not answer: nothing came within {} s; look at the bus's own journal", ENTRY_LIMIT.as_secs())]
    Silent { bus: BusAddress },
    #[error("{NAME} is taken on {bus}: another c2c-authd is running there; stop it first")]
    NameTaken { bus: BusAddress },
    #[error(
        "{bus} does not let this user own {NAME}: install dbus/{NAME}.conf into /usr/share/dbus-1/system.d, run as the user \
         c2c-authd, and reload the bus"
    )]
    NameForbidden { bus: BusAddress },
    #[error("shutdown and sleep cannot be held off: {reason}")]
    NoInhibitor { reason: String },
}

/// The daemon's place on the bus. Dropping it ends its tasks.
#[derive(Debug)]
pub(crate) struct Bus {
    connection: Connection,
    gateway: Arc<Gateway>,
    tasks: JoinSet<()>,
}

/// Serves the object, owns the name, and emits the `first` state once.
///
/// Takes 15 s at most, whatever the bus does. Calls of clients arrive at the other end of
/// `wiring`'s queue. The bus has already checked their rights.
///
/// The loop should be a spawned task rather than the runtime's root future: waking the root costs a
/// write to the kernel for each call, and an answer from memory is then no longer there at the
/// first look.
pub(crate) async fn serve(
    address: &BusAddress,
    facts: DeviceFacts,
    wiring: Wiring,
    first: Snapshot,
) -> Result<Bus, BusError> {
    let builder = match address {
        BusAddress::System => Builder::system(),
        BusAddress::Session => Builder::session(),
        BusAddress::Address(address) => Builder::address(address.as_str()),
    };
    let explain = |source| match source {
        zbus::Error::NameTaken => BusError::NameTaken { bus: address.clone() },
        zbus::Error::FDO(error) if matches!(*error, zbus::fdo::Error::AccessDenied(_)) => {
            BusError::NameForbidden { bus: address.clone() }
        }
        source => BusError::Unreachable {
            bus: address.clone(),
            source,
        },
    };
    tokio::time::timeout(ENTRY_LIMIT, serve_on(builder, Callers::bus(), facts, wiring, first))
        .await
        .map_err(|_| BusError::Silent { bus: address.clone() })?
        .map_err(explain)
}

/// As [`serve`], on a connection of the caller's choice, with callers known from elsewhere: for a
/// peer without a bus.
pub(crate) async fn serve_on(
    builder: Builder<'_>,
    callers: Callers,
    mut facts: DeviceFacts,
    wiring: Wiring,
    first: Snapshot,
) -> zbus::Result<Bus> {
    for text in [
        &mut facts.client_id,
        &mut facts.firmware_version,
        &mut facts.daemon_version,
        &mut facts.provider,
    ] {
        text::without_nul(text);
    }
    let gateway = Arc::new(Gateway {
        facts,
        access: wiring.access,
        callers,
        throttle: throttle::RateLimit::default(),
        audit: token_audit::TokenAudit::default(),
        signals: SignalQueue::new(first),
        pictures: qr::pictures::Pictures::default(),
        calls: wiring.calls,
        redirects: wiring.redirects,
    });
    let connection = builder
        .serve_at(OBJECT, interfaces::Pairing(Arc::clone(&gateway)))
        .serve_at(OBJECT, interfaces::Tokens(Arc::clone(&gateway)))
        .serve_at(OBJECT, interfaces::Device(Arc::clone(&gateway)))
        .build()
        .await?;
    interfaces::replace_standard(&connection, &gateway).await?;
    // Nobody takes the name from a running daemon, and it takes it from nobody: two with one record
    // would be fatal.
    connection
        .request_name_with_flags(NAME, RequestNameFlags::DO_NOT_QUEUE)
        .await?;

    let mut tasks = JoinSet::new();
    if gateway.callers.are_on_a_bus() {
        let departures = departures(&connection).await?;
        let gateway = Arc::clone(&gateway);
        tasks.spawn(async move { forget_departed(departures, &gateway).await });
    }
    tasks.spawn({
        let (connection, gateway) = (connection.clone(), Arc::clone(&gateway));
        async move { gateway.signals.run(&connection).await }
    });
    Ok(Bus {
        connection,
        gateway,
        tasks,
    })
}

impl Bus {
    /// Shows a new state to the world: properties at once, then their signals, then the answers of
    /// calls that end after this (D4). Never waits.
    pub(crate) fn publish(&self, snapshot: Snapshot) {
        if snapshot.pairing != PairingState::AwaitingUser {
            self.gateway.pictures.forget();
        }
        self.gateway.signals.publish(snapshot);
    }

    /// Resolves when the connection is lost.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let connection = self.connection.clone();
        async move { connection.closed().await }
    }

    /// Asks logind to hold off shutdown and sleep until the lock is dropped. Takes 2 s at most.
    /// Best effort.
    pub(crate) fn inhibit(&self) -> impl Future<Output = Result<Lock, BusError>> + Send + 'static + use<> {
        logind::inhibit(self.connection.clone())
    }

    /// Gives the name back and lets the last signals and answers out, for at most a second.
    pub(crate) async fn leave(mut self) {
        let leave = async {
            self.gateway.signals.flushed().await;
            // A lost connection has no name to give back.
            let _ = self.connection.release_name(NAME).await;
            self.tasks.shutdown().await;
            self.connection.graceful_shutdown().await;
        };
        let _ = tokio::time::timeout(LEAVE_LIMIT, leave).await;
    }
}

/// Connections that leave the bus. `arg2` is the new owner: with it empty, arrivals and takeovers
/// do not wake us.
async fn departures(connection: &Connection) -> zbus::Result<MessageStream> {
    let rule = MatchRule::builder()
        .msg_type(MessageType::Signal)
        .sender("org.freedesktop.DBus")
        .interface("org.freedesktop.DBus")
        .member("NameOwnerChanged")
        .arg(2, "")
        .build()?;
    MessageStream::for_match_rule(rule, connection, None).await
}

async fn forget_departed(mut departures: MessageStream, gateway: &Gateway) {
    while let Some(message) = std::future::poll_fn(|context| Pin::new(&mut departures).poll_next(context)).await {
        let Ok(message) = message else { return };
        let body = message.body();
        let Ok((name, _, _)) = body.deserialize::<(&str, &str, &str)>() else {
            continue;
        };
        if let Some(uid) = gateway.callers.forget(name) {
            gateway.throttle.retire(uid);
        }
    }
}

/// Seconds left, rounded down: a promise that is kept.
fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
