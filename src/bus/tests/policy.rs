//! The bus policy, read as text: closed by default, and open exactly as the contract says.

use std::collections::{BTreeMap, BTreeSet};

use super::contract::contract;
use super::*;

const POLICY: &str = include_str!("../../../dbus/org.cameratocloud.Auth1.conf");

#[derive(Debug)]
struct Rule {
    /// "default", "user root", "group c2c-ui" …
    context: String,
    allow: bool,
    attributes: BTreeMap<String, String>,
}

impl Rule {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

fn rules() -> Vec<Rule> {
    let mut text = POLICY.to_owned();
    while let Some(start) = text.find("<!--") {
        let end = start + text[start..].find("-->").unwrap() + 3;
        text.replace_range(start..end, "");
    }
    let (mut context, mut rules) = (String::new(), Vec::new());
    for tag in text.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap().trim_end_matches('/');
        let (name, rest) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        let mut parts = rest.split('"');
        let mut attributes = BTreeMap::new();
        while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
            attributes.insert(key.trim().trim_end_matches('=').to_owned(), value.to_owned());
        }
        match name {
            "policy" => {
                let (kind, who) = attributes.first_key_value().unwrap();
                context = if kind == "context" {
                    who.clone()
                } else {
                    format!("{kind} {who}")
                };
            }
            "allow" | "deny" => rules.push(Rule {
                context: context.clone(),
                allow: name == "allow",
                attributes,
            }),
            _ => {}
        }
    }
    rules
}

#[test]
fn every_rule_names_us_and_so_changes_nothing_for_others() {
    let rules = rules();
    assert!(rules.len() > 20, "this test can fail");
    for rule in rules {
        let about = |prefix: &str| rule.attributes.keys().any(|key| key.starts_with(prefix));
        assert!(
            !about("send_") || rule.get("send_destination") == Some(NAME),
            "{rule:?}"
        );
        assert!(
            !about("receive_") || rule.get("receive_sender") == Some(NAME),
            "{rule:?}"
        );
        assert!(!about("own") || rule.get("own") == Some(NAME), "{rule:?}");
        assert!(!rule.attributes.values().any(|value| value == "*"), "{rule:?}");
    }
}

#[test]
fn without_a_role_there_is_nothing_to_send_receive_or_own() {
    let rules = rules();
    let default: Vec<_> = rules.iter().filter(|rule| rule.context == "default").collect();
    assert!(default.iter().all(|rule| !rule.allow));
    let keys = |rule: &Rule| rule.attributes.keys().cloned().collect::<Vec<_>>();
    let denied: BTreeSet<_> = default.iter().map(|rule| keys(rule)).collect();
    let expected = [&["own"][..], &["receive_sender", "receive_type"], &["send_destination"]];
    assert_eq!(
        denied,
        expected
            .map(|keys| keys.iter().map(ToString::to_string).collect())
            .into()
    );
    assert!(
        rules.iter().all(|rule| rule.allow || rule.context == "default"),
        "denied once, then opened"
    );
    let owners: Vec<_> = rules
        .iter()
        .filter(|rule| rule.allow && rule.get("own").is_some())
        .collect();
    assert!(owners.iter().all(|rule| rule.context == "user c2c-authd"));
    assert_eq!(owners.len(), 1);
}

#[test]
fn each_role_may_send_and_receive_exactly_its_interface() {
    let common_methods = [
        "org.freedesktop.DBus.Introspectable.Introspect",
        "org.freedesktop.DBus.Peer.Ping",
        "org.freedesktop.DBus.Properties.Get",
        "org.freedesktop.DBus.Properties.GetAll",
    ];
    let contract = contract();
    for (context, interface) in [("group c2c-ui", PAIRING), ("group c2c-uploader", TOKENS)] {
        let node = contract
            .interfaces()
            .iter()
            .find(|node| node.name() == interface)
            .unwrap();
        let methods = node.methods().map(|method| format!("{interface}.{}", method.name()));
        let methods: BTreeSet<_> = methods.chain(common_methods.map(String::from)).collect();
        let signals = node.signals().map(|signal| format!("{interface}.{}", signal.name()));
        let changed = String::from("org.freedesktop.DBus.Properties.PropertiesChanged");
        let signals: BTreeSet<_> = signals.chain([changed]).collect();

        let rules = rules();
        let open = |prefix: &str| -> BTreeSet<String> {
            let of_role = rules.iter().filter(|rule| rule.context == context);
            of_role
                .filter_map(|rule| {
                    let interface = rule.get(&format!("{prefix}_interface"))?;
                    Some(format!(
                        "{interface}.{}",
                        rule.get(&format!("{prefix}_member")).unwrap()
                    ))
                })
                .collect()
        };
        assert_eq!(open("send"), methods, "{context}");
        assert_eq!(open("receive"), signals, "{context}");
        let of_role = rules.iter().filter(|rule| rule.context == context);
        assert_eq!(
            of_role.count(),
            methods.len() + signals.len(),
            "{context}: a rule without interface and member"
        );
    }
}

#[test]
fn there_are_no_other_contexts() {
    let contexts: BTreeSet<_> = rules().into_iter().map(|rule| rule.context).collect();
    let expected = [
        "default",
        "group c2c-ui",
        "group c2c-uploader",
        "user c2c-authd",
        "user root",
    ];
    assert_eq!(contexts, expected.map(String::from).into());
}
