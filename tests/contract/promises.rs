//! Reads promises out of their sources.

use serde_json::Value;
use zbus_xml::{Annotation, Arg, ArgDirection, Node, PropertyAccess};

use super::Promises;
use super::sources::Sources;

/// The type of a JSON field that holds nothing. Elsewhere it has another.
pub(super) const NULL: &str = "null";

pub(super) fn promises(sources: &Sources) -> Promises {
    let mut found = Promises::new();
    members(&sources.xml, &mut found);
    words(&sources.xml, &mut found);
    message_ids(&sources.catalog, &sources.events, &mut found);
    keys(&sources.config, &mut found);
    let page = sources.daemon_page.split_once(".Sh EXIT STATUS").unwrap().1;
    let page = page.split(".Sh ").next().unwrap();
    exit_codes(
        "c2c-authd",
        page.lines().filter_map(|line| line.strip_prefix(".It ")),
        &mut found,
    );
    let help = sources.tool_help.split_once("Exit codes:\n").unwrap().1;
    exit_codes(
        "c2c-authctl",
        help.lines().filter_map(|line| line.split_whitespace().next()),
        &mut found,
    );
    for (command, json) in [
        ("status", &sources.status),
        ("status-without-daemon", &sources.dead),
        ("check", &sources.check),
    ] {
        fields(
            &format!("json {command} "),
            &serde_json::from_str(json).unwrap(),
            &mut found,
        );
    }
    found
}

/// Interfaces and their members, with types, access and annotations.
fn members(xml: &str, found: &mut Promises) {
    let node = Node::from_reader(xml.as_bytes()).unwrap();
    let mut promise = |name: String, value: String, annotations: &[Annotation<'_>]| {
        for one in annotations {
            let (_, member) = name.split_once(' ').unwrap();
            found.insert(format!("annotation {member} {}", one.name()), one.value().to_owned());
        }
        found.insert(name, value);
    };
    promise(format!("object {}", node.name().unwrap()), String::new(), &[]);
    for interface in node.interfaces() {
        let own = interface.name();
        let annotations: Vec<_> = interface.annotations().cloned().collect();
        promise(format!("interface {own}"), String::new(), &annotations);
        for method in interface.methods() {
            let args = list(method.args(), |arg| match arg.direction() {
                Some(ArgDirection::Out) => "out ",
                Some(ArgDirection::In) | None => "in ",
            });
            promise(format!("method {own}.{}", method.name()), args, method.annotations());
        }
        for signal in interface.signals() {
            let args = list(signal.args(), |_| "");
            promise(format!("signal {own}.{}", signal.name()), args, signal.annotations());
        }
        for property in interface.properties() {
            let access = match property.access() {
                PropertyAccess::Read => "read",
                PropertyAccess::Write => "write",
                PropertyAccess::ReadWrite => "readwrite",
            };
            let value = format!("{} {access}", property.ty());
            promise(
                format!("property {own}.{}", property.name()),
                value,
                property.annotations(),
            );
        }
    }
}

fn list(args: &[Arg<'_>], direction: impl Fn(&Arg<'_>) -> &'static str) -> String {
    let told = |arg: &Arg<'_>| format!("{}{} {}", direction(arg), arg.ty(), arg.name().unwrap());
    args.iter().map(told).collect::<Vec<_>>().join(", ")
}

/// The lists in the comments of the XML: error names, words of properties, keys of dictionaries.
fn words(xml: &str, found: &mut Promises) {
    let mut interface = "";
    for part in xml.split("<!--").skip(1) {
        let (comment, after) = part.split_once("-->").unwrap();
        for error in comment.split_whitespace().filter(|word| is_error(word)) {
            found.insert(format!("error {error}"), String::new());
        }
        let member = attribute(after, "<method name=").or_else(|| attribute(after, "<property name="));
        let is_method = after.trim_start().starts_with("<method ");
        let mut dictionary = "";
        for line in comment.lines() {
            let indent = line.len() - line.trim_start().len();
            if indent == 6 {
                dictionary = line.trim_start().split([',', ':']).next().unwrap();
            }
            if indent != 8 {
                continue;
            }
            let (word, meaning) = line.trim_start().split_once("  ").unwrap();
            let member = format!("{interface}.{}", member.unwrap());
            if is_method {
                let ty = meaning.split_whitespace().next().unwrap();
                assert!(ty.len() == 1, "{member} {dictionary} {word}: {ty} is no type");
                found.insert(format!("key {member} {dictionary} {word}"), ty.to_owned());
            } else {
                found.insert(format!("word {member} {word}"), String::new());
            }
        }
        interface = attribute(after, "<interface name=").unwrap_or(interface);
    }
}

fn is_error(word: &str) -> bool {
    word.split_once(".Error.")
        .is_some_and(|(before, _)| before.starts_with("org."))
}

fn attribute<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split('"').nth(1)
}

/// The catalog has each id, and the table of events the word that goes with it.
fn message_ids(catalog: &str, events: &str, found: &mut Promises) {
    let is_id = |id: &&str| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    for id in catalog
        .lines()
        .filter_map(|line| line.strip_prefix("-- "))
        .filter(is_id)
    {
        let cell = format!("` | `{id}` |");
        let word = events
            .lines()
            .find_map(|line| line.strip_prefix("| `")?.split_once(&cell));
        let (word, _) = word.unwrap_or_else(|| panic!("no event has the id {id}"));
        found.insert(format!("message-id {id}"), word.to_owned());
    }
}

/// Each key is in `config.toml` once, as a comment with its default or an example.
fn keys(config: &str, found: &mut Promises) {
    let mut section = "";
    for line in config.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        }
        let line = line.strip_prefix("# e.g. ").or_else(|| line.strip_prefix('#'));
        let Some(line) = line.filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())) else {
            continue;
        };
        let table: toml::Table = line.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        for (key, value) in table {
            found.insert(format!("config {section}.{key}"), value.type_str().to_owned());
        }
    }
}

fn exit_codes<'a>(program: &str, codes: impl Iterator<Item = &'a str>, found: &mut Promises) {
    for code in codes {
        let code: u8 = code.parse().unwrap();
        found.insert(format!("exit {program} {code}"), String::new());
    }
}

/// Each field by its path, with its type.
fn fields(path: &str, value: &Value, found: &mut Promises) {
    let ty = match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                self::fields(&format!("{path}.{name}"), value, found);
            }
            "object"
        }
        Value::Array(items) => {
            for item in items {
                fields(&format!("{path}[]"), item, found);
            }
            "array"
        }
        Value::Null => NULL,
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
    };
    if !path.ends_with(' ') {
        found.insert(path.to_owned(), ty.to_owned());
    }
}
