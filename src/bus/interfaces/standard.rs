//! The standard interfaces of D-Bus (Properties, Introspectable, Peer), at the pace of each uid.
//!
//! zbus serves its own at every path, and they know no limits. These take their places before the
//! daemon has its name. zbus still answers by itself what no interface takes: an unknown object,
//! interface or member.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use zbus::export::async_trait::async_trait;
use zbus::message::{Header, Message};
use zbus::names::{InterfaceName, MemberName};
use zbus::object_server::{DispatchResult, Interface, SignalEmitter};
use zbus::{BoxDBusError, Connection, ObjectServer, OwnedVariant, Variant, fdo, interface};

use super::{Device, Pairing, Tokens};
use crate::bus::gateway::Gateway;
use crate::messages::contract::OBJECT;

const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";
const PEER: &str = "org.freedesktop.DBus.Peer";

/// Both ids of a machine are this file, on every system with systemd.
const MACHINE_ID: &str = "/etc/machine-id";

/// The document type that the D-Bus specification gives for introspection data.
const DOCTYPE: &str = "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n \
                       \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n";

/// Puts the interfaces of this file in the places of zbus's own.
pub(in crate::bus) async fn replace(connection: &Connection, gateway: &Arc<Gateway>) -> zbus::Result<()> {
    let server = connection.object_server();
    for (path, child) in places() {
        for name in [PEER, INTROSPECTABLE, fdo::Properties::name().as_str()] {
            server
                .remove_named(path, InterfaceName::try_from(name.to_owned())?)
                .await?;
        }
        let peer = Paced::new(Peer, gateway);
        let properties = Paced::new(fdo::Properties, gateway);
        let introspectable = Introspectable(described(child, gateway, &[&peer, &properties]));
        server.at(path, Paced::new(introspectable, gateway)).await?;
        server.at(path, peer).await?;
        server.at(path, properties).await?;
    }
    Ok(())
}

/// Every path from the root to the object, each with the name of its child.
fn places() -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    let ends = OBJECT.match_indices('/').map(|(slash, _)| slash);
    let above = ends.map(|slash| {
        let child = &OBJECT[slash + 1..];
        let path = if slash == 0 { "/" } else { &OBJECT[..slash] };
        (path, child.split('/').next())
    });
    above.chain([(OBJECT, None)])
}

/// The introspection data of the object, or of a path above it with this child.
fn described(child: Option<&str>, gateway: &Arc<Gateway>, standard: &[&dyn Interface]) -> String {
    let mut text = format!("{DOCTYPE}<node>\n");
    if let Some(child) = child {
        text.extend(["  <node name=\"", child, "\"/>\n"]);
    } else {
        Pairing(Arc::clone(gateway)).introspect_to_writer(&mut text, 2);
        Tokens(Arc::clone(gateway)).introspect_to_writer(&mut text, 2);
        Device(Arc::clone(gateway)).introspect_to_writer(&mut text, 2);
    }
    Introspectable(String::new()).introspect_to_writer(&mut text, 2);
    for interface in standard {
        interface.introspect_to_writer(&mut text, 2);
    }
    text.push_str("</node>\n");
    text
}

/// The text of one path. It does not change while the daemon runs.
struct Introspectable(String);

#[interface(name = "org.freedesktop.DBus.Introspectable", introspection_docs = false)]
impl Introspectable {
    #[zbus(out_args("xml_data"))]
    fn introspect(&self) -> &str {
        &self.0
    }
}

/// zbus sends every call of this interface to its place at the root.
struct Peer;

#[interface(name = "org.freedesktop.DBus.Peer", introspection_docs = false)]
impl Peer {
    #[expect(clippy::unused_self, reason = "zbus calls methods of an object")]
    fn ping(&self) {}

    #[zbus(out_args("machine_uuid"))]
    #[expect(clippy::unused_self, reason = "zbus calls methods of an object")]
    fn get_machine_id(&self) -> fdo::Result<String> {
        match std::fs::read_to_string(MACHINE_ID) {
            Ok(id) => Ok(id.trim_end().to_owned()),
            Err(error) => Err(fdo::Error::IOError(format!("{MACHINE_ID} cannot be read: {error}"))),
        }
    }
}

/// An interface whose methods wait for the pace of the caller's uid.
struct Paced<I> {
    interface: I,
    gateway: Arc<Gateway>,
}

impl<I> Paced<I> {
    fn new(interface: I, gateway: &Arc<Gateway>) -> Self {
        Self {
            interface,
            gateway: Arc::clone(gateway),
        }
    }
}

#[async_trait]
impl<I: Interface> Interface for Paced<I> {
    fn name() -> InterfaceName<'static> {
        I::name()
    }

    async fn get(
        &self,
        property: &str,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> Option<Result<OwnedVariant, BoxDBusError>> {
        self.interface.get(property, server, connection, header, emitter).await
    }

    async fn get_all(
        &self,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> fdo::Result<HashMap<String, OwnedVariant>> {
        self.interface.get_all(server, connection, header, emitter).await
    }

    async fn set_mut(
        &mut self,
        property: &str,
        value: &Variant<'_>,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> Option<Result<(), BoxDBusError>> {
        self.interface
            .set_mut(property, value, server, connection, header, emitter)
            .await
    }

    fn call<'call>(
        &'call self,
        server: &'call ObjectServer,
        connection: &'call Connection,
        message: &'call Message,
        member: MemberName<'call>,
    ) -> DispatchResult<'call> {
        match self.interface.call(server, connection, message, member) {
            DispatchResult::Async(answer) => DispatchResult::Async(Box::pin(async move {
                let header = message.header();
                let paced = self.gateway.pace(connection, &header).await;
                let _permit = paced.map_err(|refusal| -> BoxDBusError { Box::new(refusal) })?;
                answer.await
            })),
            unknown => unknown,
        }
    }

    fn call_mut<'call>(
        &'call mut self,
        server: &'call ObjectServer,
        connection: &'call Connection,
        message: &'call Message,
        member: MemberName<'call>,
    ) -> DispatchResult<'call> {
        self.interface.call_mut(server, connection, message, member)
    }

    fn introspect_to_writer(&self, writer: &mut dyn Write, level: usize) {
        self.interface.introspect_to_writer(writer, level);
    }
}
