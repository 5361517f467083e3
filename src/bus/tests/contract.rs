//! The daemon against `dbus/org.cameratocloud.Auth1.xml`, both ways.

use std::collections::BTreeMap;

use zbus_xml::{Annotation, Arg, ArgDirection, Interface, Node, PropertyAccess};

use super::*;
use c2c_auth_core::ErrorWord;

pub(super) const CONTRACT: &str = include_str!("../../../dbus/org.cameratocloud.Auth1.xml");

pub(super) fn contract() -> Node<'static> {
    Node::from_reader(CONTRACT.as_bytes()).unwrap()
}

/// Everything about an interface that a client can depend on, as comparable text.
fn members(interface: &Interface<'_>) -> BTreeMap<String, String> {
    let mut members = BTreeMap::new();
    for method in interface.methods() {
        let shape = format!(
            "{:?} {:?}",
            args(method.args(), ArgDirection::In),
            annotations(method.annotations())
        );
        members.insert(format!("method {}", method.name()), shape);
    }
    for signal in interface.signals() {
        let shape = format!(
            "{:?} {:?}",
            args(signal.args(), ArgDirection::Out),
            annotations(signal.annotations())
        );
        members.insert(format!("signal {}", signal.name()), shape);
    }
    for property in interface.properties() {
        let mut annotations = annotations(property.annotations());
        // The default of the specification, spelled out or not.
        annotations
            .entry("org.freedesktop.DBus.Property.EmitsChangedSignal".into())
            .or_insert("true".into());
        let access = match property.access() {
            PropertyAccess::Read => "read",
            PropertyAccess::Write => "write",
            PropertyAccess::ReadWrite => "readwrite",
        };
        let shape = format!("{} {access} {annotations:?}", property.ty());
        members.insert(format!("property {}", property.name()), shape);
    }
    members.insert(
        "interface".into(),
        format!(
            "{:?}",
            annotations(&interface.annotations().cloned().collect::<Vec<_>>())
        ),
    );
    members
}

fn args(args: &[Arg<'_>], default: ArgDirection) -> Vec<String> {
    args.iter()
        .map(|arg| {
            let direction = arg.direction().unwrap_or(default);
            format!("{direction:?} {} {}", arg.name().unwrap_or("?"), arg.ty())
        })
        .collect()
}

fn annotations(annotations: &[Annotation<'_>]) -> BTreeMap<String, String> {
    annotations
        .iter()
        // For one generator, which reads the file. Nothing on the bus follows from them.
        .filter(|one| !one.name().starts_with("org.qtproject.QtDBus."))
        .map(|one| (one.name().to_owned(), one.value().to_owned()))
        .collect()
}

fn ours(node: &Node<'_>) -> BTreeMap<String, BTreeMap<String, String>> {
    let ours = node
        .interfaces()
        .iter()
        .filter(|interface| interface.name().starts_with(NAME));
    ours.map(|interface| (interface.name().to_string(), members(interface)))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_live_object_is_what_the_contract_says_and_nothing_more() {
    let pair = Pair::settled(everybody(), paired()).await;
    let reply = call(&pair.client, "org.freedesktop.DBus.Introspectable", "Introspect", &())
        .await
        .unwrap();
    let xml: String = reply.body().deserialize().unwrap();
    let live = Node::from_reader(xml.as_bytes()).unwrap();
    assert_eq!(ours(&live), ours(&contract()));
    assert_eq!(ours(&live).len(), 3);
    assert_eq!(contract().name(), Some(OBJECT));
    assert_eq!(contract().interfaces().len(), 3);
}

/// The words of the list that follows `heading` in the contract: lines of "word explanation" in the
/// comment.
fn listed(heading: &str) -> Vec<&'static str> {
    let list = CONTRACT.split_once(heading).unwrap().1.split("-->").next().unwrap();
    let indent = "        ";
    let lines = list
        .lines()
        .filter_map(|line| line.strip_prefix(indent))
        .filter(|line| !line.starts_with(' '));
    lines
        .filter_map(|line| line.split_once("  ").map(|(word, _)| word))
        .collect()
}

#[test]
fn every_word_and_every_error_is_in_the_contract_and_none_else() {
    let words = |all: &[&'static str]| all.to_vec();
    assert_eq!(
        listed("PairingState: where"),
        words(&PairingState::ALL.iter().map(|it| it.word()).collect::<Vec<_>>())
    );
    assert_eq!(
        listed("PairingReason: why"),
        words(&Reason::ALL.iter().map(|it| it.word()).collect::<Vec<_>>())
    );
    assert_eq!(
        listed("TokenState: what"),
        words(&TokenState::ALL.iter().map(|it| it.word()).collect::<Vec<_>>())
    );
    let errors = std::iter::once("none").chain(ErrorWord::ALL.iter().map(|it| it.word()));
    assert_eq!(listed("LastError: the"), errors.collect::<Vec<_>>());

    let section = CONTRACT
        .split_once("\n  Errors\n")
        .unwrap()
        .1
        .split_once("\n  Try it\n")
        .unwrap()
        .0;
    let named = section.split_whitespace().filter(|word| word.contains(".Error."));
    assert_eq!(
        named.collect::<Vec<_>>(),
        ErrorName::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>()
    );
}

#[test]
fn every_error_name_leads_back_to_its_kind() {
    for kind in ErrorName::ALL {
        assert_eq!(ErrorName::from_name(kind.name()), Some(*kind));
    }
    assert_eq!(ErrorName::from_name("org.freedesktop.DBus.Error.NoReply"), None);
}

#[test]
fn the_activation_file_leads_to_the_unit() {
    let file = include_str!("../../../dbus/org.cameratocloud.Auth1.service");
    let settings: Vec<_> = file
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    assert_eq!(
        settings,
        [
            "[D-BUS Service]",
            &format!("Name={NAME}"),
            "Exec=/bin/false",
            "User=c2c-authd",
            "SystemdService=c2c-authd.service"
        ]
    );
}

/// Qt's generator knows no type of its own for these, and stops at the first one without a name.
#[test]
fn each_type_that_qt_does_not_know_has_a_name_for_it() {
    let named = |annotations: &[Annotation<'_>], place: &str| {
        let wanted = format!("org.qtproject.QtDBus.QtTypeName{place}");
        annotations.iter().any(|one| one.name() == wanted)
    };
    let mut count = 0;
    for interface in contract().interfaces() {
        for method in interface.methods() {
            let (mut ins, mut outs) = (0, 0);
            for arg in method.args() {
                let (number, direction) = match arg.direction() {
                    Some(ArgDirection::Out) => (&mut outs, "Out"),
                    Some(ArgDirection::In) | None => (&mut ins, "In"),
                };
                let ty = arg.ty().to_string();
                let needs_name = ty.starts_with("a{") || ty.starts_with('(');
                let place = format!(".{direction}{number}");
                assert_eq!(
                    named(method.annotations(), &place),
                    needs_name,
                    "{} {place}",
                    method.name()
                );
                count += usize::from(needs_name);
                *number += 1;
            }
        }
        for property in interface.properties() {
            let ty = property.ty().to_string();
            let needs_name = ty.starts_with("a{") || ty.starts_with('(');
            assert_eq!(named(property.annotations(), ""), needs_name, "{}", property.name());
            count += usize::from(needs_name);
        }
    }
    assert_eq!(count, 5);
}
