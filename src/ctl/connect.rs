//! The connection, and whether its peer is really the daemon.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout;
use zbus::connection::Builder;
use zbus::export::futures_core::Stream;
use zbus::fdo::DBusProxy;
use zbus::names::BusName;
use zbus::proxy::{OwnerChangedStream, Proxy, SignalStream};
use zbus::{Connection, Message};

use super::exit::{Exit, Failure};
use super::output::warned;
use super::provision::host_key::lost_by_a_start;
use super::site::{Site, USER};
use super::systemd::Unit;
use crate::config::accounts::{Accounts as _, Native};
use crate::messages::contract::{BusAddress, NAME, OBJECT};
use crate::system::user_namespace::why_a_bus_refuses;

/// The daemon answers within 20 s, and dbus-daemon says after 25 s that it could not start one.
/// This is for a daemon that hangs, and for a bus that loses a call to one that is just leaving.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// A bus greets from memory. One that takes connections and says nothing is hung, or is none.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);

/// Connects, and warns when anybody could be answering.
pub(super) async fn connect_warned(bus: &BusAddress) -> Result<Connection, Failure> {
    let (connection, warning) = connect(bus).await?;
    warned(&warning);
    Ok(connection)
}

/// Connects, for a look only: a daemon that died is not called back to life, which would fail
/// again, and dbus-daemon would keep the caller waiting for 25 s.
pub(super) async fn connect_to_look(bus: &BusAddress) -> Result<(Connection, Option<String>), Failure> {
    let connected = connect(bus).await?;
    if matches!(bus, BusAddress::System)
        && !is_owned(&connected.0).await?
        && Unit::read().is_some_and(|unit| unit.death().is_some())
    {
        return Err(Failure::new(Exit::Unreachable, "c2c-authd is not running"));
    }
    Ok(connected)
}

/// Connects where the daemon runs, and never starts it. `None`: it does not.
pub(super) async fn connect_if_there(bus: &BusAddress) -> Result<Option<Connection>, Failure> {
    let connection = dial(bus).await?;
    if !is_owned(&connection).await? {
        return Ok(None);
    }
    warn_of_peer(bus, &connection).await?;
    Ok(Some(connection))
}

/// True if a daemon is there. Starts none.
pub(super) async fn is_owned(connection: &Connection) -> Result<bool, Failure> {
    let dbus = DBusProxy::new(connection).await?;
    let owned = dbus.name_has_owner(BusName::try_from(NAME)?).await;
    Ok(owned.map_err(zbus::Error::from)?)
}

async fn connect(bus: &BusAddress) -> Result<(Connection, Option<String>), Failure> {
    let connection = dial(bus).await?;
    let warning = judge_peer(bus, &connection).await?;
    Ok((connection, warning))
}

/// Connects to the bus, whoever else is there.
pub(super) async fn dial(bus: &BusAddress) -> Result<Connection, Failure> {
    let unreachable = |told: String| Failure::new(Exit::Unreachable, format!("{bus} {told}"));
    let builder = match bus {
        BusAddress::System => Builder::system(),
        BusAddress::Session => Builder::session(),
        BusAddress::Address(address) => Builder::address(address.as_str()),
    };
    match timeout(CONNECT_LIMIT, limited(builder).build()).await {
        Ok(connected) => connected.map_err(|error| {
            let refuses = why_a_bus_refuses();
            unreachable(format!("cannot be reached ({error}){refuses}"))
        }),
        Err(_) => Err(unreachable("does not answer".to_owned())),
    }
}

/// Warns when anybody could be answering.
pub(super) async fn warn_of_peer(bus: &BusAddress, connection: &Connection) -> Result<(), Failure> {
    warned(&judge_peer(bus, connection).await?);
    Ok(())
}

/// Returns a warning when anybody could be answering. A call would start a daemon that is not
/// running. Root makes no call where that start loses the key to the secrets.
async fn judge_peer(bus: &BusAddress, connection: &Connection) -> Result<Option<String>, Failure> {
    Ok(match bus {
        // Its policy says who may own the name.
        BusAddress::System => {
            if let Some(why) = lost_by_a_start(&Site::host())
                && !is_owned(connection).await?
            {
                return Err(Failure::new(
                    Exit::Unreachable,
                    format!("c2c-authd is not running, and was not started: {why}"),
                ));
            }
            None
        }
        BusAddress::Session | BusAddress::Address(_) => {
            let name = BusName::try_from(NAME)?;
            let dbus = DBusProxy::new(connection).await?;
            let owner = dbus.get_connection_unix_user(name).await.map_err(zbus::Error::from)?;
            let service = Native.user_named(USER).map(|user| user.uid);
            judge(owner, rustix::process::geteuid().as_raw(), service)
        }
    })
}

/// Nothing waits longer than [`CALL_LIMIT`] for an answer.
fn limited(builder: Builder<'_>) -> Builder<'_> {
    builder.method_timeout(CALL_LIMIT)
}

/// On a bus without our policy whoever comes first owns the name.
fn judge(owner: u32, us: u32, service: Option<u32>) -> Option<String> {
    let expected = owner == 0 || owner == us || Some(owner) == service;
    (!expected)
        .then(|| format!("{NAME} is owned by uid {owner}, not by {USER}; do not trust codes and tokens from there"))
}

/// The daemon's signals in order, and whether it is on the bus.
pub(super) struct Subscription {
    signals: SignalStream<'static>,
    owners: OwnerChangedStream<'static>,
}

pub(super) enum News {
    Signal(Message),
    Gone,
    /// It is on the bus again. The caller must read what it missed.
    Back,
}

impl Subscription {
    /// Listens to a signal of the owner of our name. To be called before the first question, so
    /// that no change is missed.
    ///
    /// The stream of a proxy drops what anybody else sends: a bus delivers a signal that names its
    /// receiver whoever sends it, and whatever the match rules say.
    pub(super) async fn new(
        connection: &Connection,
        interface: &'static str,
        member: &'static str,
    ) -> Result<Self, Failure> {
        let proxy = Proxy::new(connection, NAME, OBJECT, interface).await?;
        Ok(Self {
            signals: proxy.receive_signal(member).await?,
            owners: proxy.receive_owner_changed().await?,
        })
    }

    /// `None`: the connection to the bus is lost.
    pub(super) async fn next(&mut self) -> Option<News> {
        tokio::select! {
                signal = next(&mut self.signals) => signal.map(News::Signal),
                owner = next(&mut self.owners) => {
                    Some(owner?.map_or(News::Gone, |_| News::Back))
                }
        }
    }
}

pub(super) async fn next<T: Stream + Unpin>(stream: &mut T) -> Option<T::Item> {
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::exit::is_unanswered;

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_hangs_is_told_after_half_a_minute() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
        let guid = zbus::Guid::generate();
        let server = Builder::unix_stream(theirs).server(guid).p2p();
        let client = limited(Builder::unix_stream(ours).p2p());
        let (client, server) = tokio::join!(client.build(), server.build());
        let (client, _silent) = (client.expect("a client"), server.expect("a server"));
        let begun = tokio::time::Instant::now();
        let pairing = c2c_auth_client::proxy::pairing(&client).await.expect("a proxy");
        let answer = pairing.pairing_state().await;
        let error = answer.expect_err("nobody answers");
        assert!(is_unanswered(&error), "{error}");
        assert_eq!(begun.elapsed(), CALL_LIMIT);
        let told = Failure::from(error);
        assert_eq!(told.exit, Exit::Unreachable);
        assert_eq!(
            told.sentence,
            "c2c-authd did not answer; see: systemctl status c2c-authd"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_bus_that_takes_connections_and_says_nothing_is_told_after_15_s() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("bus");
        let _silent = std::os::unix::net::UnixListener::bind(&path).expect("a listener");
        let bus = BusAddress::Address(format!("unix:path={}", path.display()));
        let begun = tokio::time::Instant::now();
        let told = connect(&bus).await.expect_err("nobody greets");
        assert_eq!(begun.elapsed(), Duration::from_secs(15));
        assert_eq!(told.exit, Exit::Unreachable);
        assert_eq!(told.sentence, format!("{bus} does not answer"));
    }

    #[test]
    fn root_ourselves_and_the_service_user_are_expected_owners_and_nobody_else() {
        assert_eq!(judge(0, 1000, None), None);
        assert_eq!(judge(1000, 1000, None), None);
        assert_eq!(judge(990, 1000, Some(990)), None);
        assert!(judge(1001, 1000, Some(990)).is_some_and(|warning| warning.contains("1001")));
        assert!(judge(1001, 0, None).is_some());
    }
}
