//! The private buses do what the daemon and its clients need of a bus.

use std::{future::poll_fn, pin::Pin};

use c2c_testkit::bus::{BusPolicy, DbusDaemon, TestBus};
use futures_core::Stream;
use zbus::{
    Connection, MessageStream,
    connection::Builder,
    fdo::{DBusProxy, PeerProxy},
    names::{BusName, WellKnownName},
};

use crate::client::SOON;

const NAME: &str = "org.example.Sim1";

async fn connect(address: &str) -> Connection {
    Builder::address(address).build().await.unwrap()
}

/// A name is won, seen, lost and seen again. Credentials are true. Peers talk to each other.
async fn tried(address: &str) {
    tokio::time::timeout(SOON, trying(address)).await.unwrap();
}

async fn trying(address: &str) {
    let (owner, other) = (connect(address).await, connect(address).await);
    let bus = DBusProxy::new(&other).await.unwrap();
    let mut changes = bus.receive_name_owner_changed().await.unwrap();
    let name = WellKnownName::try_from(NAME).unwrap();
    owner.request_name(&name).await.unwrap();
    let credentials = bus
        .get_connection_credentials(BusName::from(name.clone()))
        .await
        .unwrap();
    assert_eq!(credentials.process_id(), Some(std::process::id()));
    assert_eq!(credentials.unix_user_id(), Some(rustix::process::getuid().as_raw()));
    // Peers answer pings once they serve anything.
    let _ = owner.object_server();
    let peer = PeerProxy::builder(&other)
        .destination(NAME)
        .path("/")
        .build()
        .await
        .unwrap();
    peer.ping().await.unwrap();
    assert!(owner.release_name(&name).await.unwrap());
    assert!(!bus.name_has_owner(BusName::from(name)).await.unwrap());
    let mut has_owner = Vec::new();
    while has_owner.len() < 2 {
        let change = next(&mut changes).await.unwrap();
        let change = change.args().unwrap();
        if change.name().as_str() == NAME {
            has_owner.push(change.new_owner().is_some());
        }
    }
    assert_eq!(has_owner, [true, false]);
}

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}

#[tokio::test]
async fn the_bus_in_process_is_a_bus() {
    let bus = TestBus::start().unwrap();
    tried(bus.address()).await;
}

#[tokio::test]
async fn stopping_the_bus_ends_every_connection() {
    let mut bus = TestBus::start().unwrap();
    let connection = connect(bus.address()).await;
    let mut messages = MessageStream::from(&connection);
    let address = bus.address().to_owned();
    bus.stop();
    // The stream ends, after what was still in it, when the connection does.
    let ended = async { while next(&mut messages).await.is_some_and(|m| m.is_ok()) {} };
    tokio::time::timeout(SOON, ended).await.unwrap();
    assert!(Builder::address(address.as_str()).build().await.is_err());
}

#[tokio::test]
async fn a_real_dbus_daemon_is_a_bus_where_there_is_one() {
    if !DbusDaemon::available() {
        eprintln!("not tried: no dbus-daemon here");
        return;
    }
    let bus = DbusDaemon::start(BusPolicy::Open).unwrap();
    tried(bus.address()).await;
}

#[tokio::test]
async fn a_given_policy_is_enforced_by_a_real_dbus_daemon() {
    if !DbusDaemon::available() {
        eprintln!("not tried: no dbus-daemon here");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let policy = directory.path().join("policy.conf");
    let rule = format!("<busconfig><policy context=\"mandatory\"><allow own=\"{NAME}\"/></policy></busconfig>");
    std::fs::write(&policy, rule).unwrap();
    let bus = DbusDaemon::start(BusPolicy::System(&policy)).unwrap();
    let connection = connect(bus.address()).await;
    connection.request_name(NAME).await.unwrap();
    assert!(
        connection.request_name("org.example.Other1").await.is_err(),
        "the default is deny"
    );
}
