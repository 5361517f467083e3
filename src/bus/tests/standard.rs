//! The standard interfaces of D-Bus: what they answer at each path, and at which pace.

use zbus_xml::Node;

use super::throttle::Weight;
use super::*;
use tokio::time::Instant;

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";
const PEER: &str = "org.freedesktop.DBus.Peer";

/// Every path down to the object, each with its child.
const PATHS: [(&str, Option<&str>); 4] = [
    ("/", Some("org")),
    ("/org", Some("cameratocloud")),
    ("/org/cameratocloud", Some("Auth1")),
    (OBJECT, None),
];

const MEMBERS: [(&str, &str); 6] = [
    (PROPERTIES, "Get"),
    (PROPERTIES, "GetAll"),
    (PROPERTIES, "Set"),
    (INTROSPECTABLE, "Introspect"),
    (PEER, "Ping"),
    (PEER, "GetMachineId"),
];

async fn ask(client: &Connection, path: &str, interface: &str, member: &str) -> zbus::Result<Message> {
    let (destination, interface) = (Some(NAME), Some(interface));
    match member {
        "Get" => {
            client
                .call_method(destination, path, interface, member, &(DEVICE, "ClientId"))
                .await
        }
        "GetAll" => {
            client
                .call_method(destination, path, interface, member, &(DEVICE,))
                .await
        }
        "Set" => {
            let body = (DEVICE, "ClientId", Variant::from("another"));
            client.call_method(destination, path, interface, member, &body).await
        }
        _ => client.call_method(destination, path, interface, member, &()).await,
    }
}

#[tokio::test(start_paused = true)]
async fn every_path_describes_itself_and_names_its_child() {
    let pair = Pair::settled(everybody(), paired()).await;
    for (path, child) in PATHS {
        let reply = ask(&pair.client, path, INTROSPECTABLE, "Introspect").await.unwrap();
        let xml: String = reply.body().deserialize().unwrap();
        let node = Node::from_reader(xml.as_bytes()).unwrap();
        let children: Vec<_> = node.nodes().iter().filter_map(Node::name).collect();
        assert_eq!(children, Vec::from_iter(child), "{path}");
        let standard = node
            .interfaces()
            .iter()
            .filter(|it| it.name().starts_with("org.freedesktop."));
        let members: Vec<_> = standard
            .flat_map(|it| {
                it.methods()
                    .map(|method| (it.name().to_string(), method.name().to_string()))
            })
            .collect();
        for (interface, member) in MEMBERS {
            assert!(
                members.contains(&(interface.to_owned(), member.to_owned())),
                "{path} does not name {interface}.{member}: {members:?}"
            );
        }
        assert_eq!(members.len(), MEMBERS.len(), "{path}: {members:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_standard_call_at_every_path_keeps_the_pace_of_its_uid() {
    for (path, _) in PATHS {
        for (interface, member) in MEMBERS {
            let pair = Pair::settled(everybody(), paired()).await;
            drop(pair.bus.gateway.throttle.admit(1, Weight::Free).await);
            let start = Instant::now();
            for _ in 0..100 {
                let _ = ask(&pair.client, path, interface, member).await;
            }
            let flood = start.elapsed();
            assert!(
                flood > Duration::from_millis(45),
                "100 calls of {interface}.{member} at {path} took {flood:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_uid_that_waits_for_as_many_answers_as_it_may_can_still_look_why() {
    let mut pair = Pair::settled(everybody(), paired()).await;
    let (held, open) = pair.waits_in_full().await;
    for member in ["Get", "GetAll"] {
        ask(&pair.client, OBJECT, PROPERTIES, member).await.unwrap();
    }
    ask(&pair.client, OBJECT, INTROSPECTABLE, "Introspect").await.unwrap();
    ask(&pair.client, "/any/path", PEER, "Ping").await.unwrap();
    drop((open, held));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_or_set_is_refused_by_its_own_name() {
    let pair = Pair::settled(everybody(), paired()).await;
    for (path, member, expected) in [
        (OBJECT, "Set", "UnknownProperty"),
        ("/org", "Get", "UnknownInterface"),
        ("/org", "GetAll", "UnknownInterface"),
        ("/elsewhere", "Get", "UnknownObject"),
    ] {
        let error = ask(&pair.client, path, PROPERTIES, member).await.unwrap_err();
        assert!(format!("{error:?}").contains(expected), "{path} {member}: {error:?}");
    }
}
