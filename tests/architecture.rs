//! Which folder may import which, and which folder may name a crate.
//!
//! The compiler keeps other crates out of the core, and `core/clippy.toml` the clock, files and
//! locks of the standard library. Neither keeps the folders under `src/` apart. This test does: it
//! collects every path that a file names, in `use`, in code and in macros, and holds it against the
//! table in `docs/architecture.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};

/// Crates that belong to one folder's job, and who may name them outside of tests.
const CRATES: &[(&str, &[&str])] = &[
    // `oauth` speaks of methods, headers and addresses, and opens no connection.
    ("hyper", &["transport", "oauth"]),
    ("hyper_util", &["transport"]),
    ("hyper_rustls", &["transport"]),
    ("http_body_util", &["transport"]),
    ("rustls", &["transport", "daemon"]),
    // The servers of tests alone: hyper-rustls carries TLS.
    ("tokio_rustls", &[]),
    ("tower_service", &["transport"]),
    ("zbus", &["bus", "ctl", "daemon"]),
    ("c2c_auth_client", &["ctl"]),
    ("aes_gcm", &["store"]),
    ("toml", &["config"]),
    // Users and groups of the system: a test's machine has its own.
    ("uzers", &["config"]),
    // Neither words nor pure parts log.
    (
        "tracing",
        &[
            "system",
            "store",
            "transport",
            "discovery",
            "loopback",
            "bus",
            "daemon",
            "ctl",
        ],
    ),
    ("tracing_subscriber", &["system"]),
    ("tracing_journald", &["system"]),
    ("sd_notify", &["system"]),
];

/// Paths that the core must not name, whatever a file of it expects of clippy: its time, its order
/// and its outcome come from events alone.
const CORE_NEVER: &[&str] = &[
    "std::cell",
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::rc",
    "std::sync::Condvar",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "std::sync::atomic",
    "std::sync::mpsc",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::time::UNIX_EPOCH",
];

#[test]
fn the_core_names_no_clock_file_lock_or_socket() {
    let broken: Vec<_> = sources()
        .iter()
        .filter(|(path, _)| path.starts_with("core/"))
        .flat_map(|(path, text)| impure(path, text))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn no_folder_imports_what_it_must_not() {
    let broken: Vec<_> = sources()
        .iter()
        .flat_map(|(path, text)| violations(path, text))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_folder_has_a_rule() {
    let imports = imports();
    for (path, _) in sources() {
        let folder = folder_of(&path);
        assert!(
            folder.is_none_or(|folder| imports.contains_key(folder)),
            "{path} is in a folder that docs/architecture.md has no row for"
        );
    }
}

/// A row of the table imports from rows above it, so no two folders import each other, however long
/// the way round.
#[test]
fn imports_never_turn_back() {
    let page = architecture();
    let folders: Vec<_> = rows(&page).map(|(folder, _)| folder).collect();
    let imports = imports();
    for (place, folder) in folders.iter().enumerate() {
        for import in &imports[*folder] {
            assert!(
                folders[..place].contains(&import.as_str()),
                "{folder} imports {import} from below it"
            );
        }
    }
}

/// A reader that overlooks something fails silently, so it is shown what it must find.
#[test]
fn a_planted_violation_is_found() {
    let planted = [
        ("src/bus/x.rs", "use crate::store::Records as Box;", "store"),
        ("src/bus/x.rs", "use crate::store::*;", "store"),
        (
            "src/bus/mod.rs",
            "use crate::{\n    core::Policy,\n    transport::{self, Client},\n};",
            "transport",
        ),
        ("src/bus/mod.rs", "use super::store::Records;", "store"),
        ("src/bus/a/b.rs", "use super::super::super::store::Records;", "store"),
        (
            "src/bus/x.rs",
            "#[cfg(test)]\nmod tests {\n    use super::super::super::oauth::Grant;\n}",
            "oauth",
        ),
        ("src/bus/x.rs", "use ::rustls::ClientConfig;", "rustls"),
        ("src/bus/x.rs", "use rustls;", "rustls"),
        (
            "src/oauth/x.rs",
            "use c2c_auth_core::Core;\nfn f(x: u8) { x as crate::bus::T }",
            "bus",
        ),
        ("src/messages/x.rs", "fn f() { tracing::info!(\"told\") }", "tracing"),
        ("src/transport/tls.rs", "fn f(v: &crate::store::Records) {}", "store"),
        ("src/transport/tls.rs", "use c2c_authd::bus::Bus;", "bus"),
        (
            "src/store/records/tests.rs",
            "use crate::transport::Client;",
            "transport",
        ),
        (
            "src/oauth/mod.rs",
            "type T = Option<crate::transport::Client>;",
            "transport",
        ),
        ("src/oauth/mod.rs", "pub use zbus::Connection;", "zbus"),
        (
            "src/ctl/mod.rs",
            "use c2c_auth_client::{proxy, token_source::TokenSource};",
            "token_source",
        ),
        ("src/ctl/tests.rs", "use c2c_auth_client::*;", "c2c_auth_client"),
        (
            "src/config/mod.rs",
            "macro_rules! m { () => { $crate::daemon::run() } }",
            "daemon",
        ),
    ];
    for (path, text, named) in planted {
        let found = violations(path, text);
        assert!(
            found.iter().any(|line| line.contains(named)),
            "{path}: {text}\nwas not found, only: {found:?}"
        );
    }
}

#[test]
fn what_is_allowed_is_not_found() {
    let innocent = [
        (
            "src/bus/x.rs",
            "use super::access::Access;\nuse crate::bus::{self, Bus};\nuse crate::messages::{reason as store};",
        ),
        (
            "src/oauth/x.rs",
            "// use zbus::Connection;\n/* use crate::bus; /* nested */ */ const S: &str = \"crate::bus\";",
        ),
        (
            "src/oauth/x.rs",
            "const R: &str = r#\"use crate::bus; \"quoted\" \"#; const C: char = '\"';",
        ),
        (
            "src/bus/a/mod.rs",
            "mod b;\nmacro_rules! m { () => {} }\npub use m;\nenum E { A }\nuse E::*;\nuse b::C;\nuse self::b::D;\nuse super::e::F;",
        ),
        (
            "src/transport/mod.rs",
            "use crate::core::Fault;\nuse crate::oauth::Message;\nuse hyper::Request;",
        ),
        (
            "src/daemon/run.rs",
            "use crate::{bus, config, oauth, store, transport};",
        ),
        ("src/ctl/mod.rs", "use c2c_auth_client::proxy::{self, ERRORS};"),
        ("src/lib.rs", "mod oauth;\nmod bus;\npub use bus::main;"),
    ];
    for (path, text) in innocent {
        assert_eq!(violations(path, text), Vec::<String>::new(), "{path}: {text}");
    }
}

#[test]
fn what_the_core_must_not_name_is_found() {
    for planted in [
        "use std::{fmt, time::{Duration, Instant}};",
        "fn f() { let t = std::time::UNIX_EPOCH.elapsed(); }",
        "use std::net::ToSocketAddrs as _;",
        "use std::os::unix::fs::symlink;",
        "use std::collections::HashMap as Map;",
        "use std::sync::*;",
    ] {
        assert_eq!(impure("core/src/x.rs", planted).len(), 1, "{planted}");
    }
    let innocent = "use std::{fmt, time::Duration, collections::{BTreeMap, VecDeque}}; use super::policy::Policy;";
    assert!(impure("core/src/x.rs", innocent).is_empty());
}

/// Every Rust file of the daemon and its core, by its path from the root.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join("src"), root.join("core/src")];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let name = path.strip_prefix(root).unwrap_or(&path);
                found.push((name.to_string_lossy().into_owned(), text));
            }
        }
    }
    assert!(found.len() > 20, "the sources were not found");
    found
}

/// Every rule this file breaks.
fn violations(path: &str, text: &str) -> Vec<String> {
    let Some(folder) = folder_of(path) else {
        return Vec::new();
    };
    let imports = imports();
    let allowed = imports.get(folder).map_or(&[][..], Vec::as_slice);
    let stream: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut named = Vec::new();
    collect(stream, &module_of(path), &[], &mut named);
    named
        .iter()
        .filter(
            |named| match &named.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["crate", other, ..] => {
                    *other != folder && imports.contains_key(*other) && !allowed.iter().any(|name| name == other)
                }
                // The caller's rule is for uploaders. The operator's tool asks once and tells.
                ["c2c_auth_client", part, ..] if *part != "proxy" => true,
                [name, ..] => {
                    let foreign = |(owned, owners): &(&str, &[&str])| owned == name && !owners.contains(&folder);
                    !is_test(path) && CRATES.iter().any(foreign)
                }
                [] => false,
            },
        )
        .map(|named| format!("{path}: `{folder}` must not name `{}`", named.join("::")))
        .collect()
}

/// Every path of a file of the core that it must not name.
fn impure(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let tokens = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
    collect(tokens, &[], &[], &mut found);
    let below = |long: &str, short: &str| long == short || long.starts_with(&format!("{short}::"));
    let named = found.into_iter().map(|named| named.join("::"));
    named
        .filter(|named| {
            CORE_NEVER.iter().any(|never| {
                // A glob names everything below it.
                let glob = named.strip_suffix("::*").is_some_and(|parent| below(never, parent));
                glob || below(named, never)
            })
        })
        .map(|named| format!("{path}: the core must not name `{named}`"))
        .collect()
}

/// All paths of some tokens, from the root of a crate. `around` is what stands in front of the
/// braces of a `use`.
fn collect(tokens: TokenStream, module: &[String], around: &[String], found: &mut Vec<Vec<String>>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let is = |at: usize, sign| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == sign);
    let word = |at: usize| match tokens.get(at) {
        Some(TokenTree::Ident(ident)) => ident.to_string(),
        _ => String::new(),
    };
    let mut at = 0;
    while at < tokens.len() {
        let before = word(at.wrapping_sub(1));
        match &tokens[at] {
            TokenTree::Group(group) if word(at.wrapping_sub(2)) == "mod" => {
                collect(group.stream(), &[module, &[before]].concat(), &[], found);
            }
            TokenTree::Group(group) => collect(group.stream(), module, &[], found),
            // In braces `as` gives a name. Elsewhere a path may follow it.
            TokenTree::Ident(ident) if ident == "use" || ident == "as" => {}
            TokenTree::Ident(ident) if around.is_empty() || before != "as" => {
                let mut path = [around, &[ident.to_string()]].concat();
                while is(at + 1, ':') && is(at + 2, ':') {
                    match tokens.get(at + 3) {
                        Some(TokenTree::Ident(name)) => path.push(name.to_string()),
                        Some(TokenTree::Punct(sign)) if sign.as_char() == '*' => path.push("*".to_owned()),
                        Some(TokenTree::Group(group)) => collect(group.stream(), module, &path, found),
                        _ => break,
                    }
                    at += 3;
                }
                if path.len() > 1 || before == "use" {
                    found.push(absolute(module, &path));
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// A path from the root: `crate::…` for this crate's, with the core as a folder. Any other begins
/// with the name of its crate.
fn absolute(module: &[String], path: &[String]) -> Vec<String> {
    let below = |module: &[String], rest| [&["crate".to_owned()], module, rest].concat();
    match path[0].as_str() {
        "c2c_auth_core" => below(&["core".to_owned()], &path[1..]),
        "crate" | "c2c_authd" => below(&[], &path[1..]),
        "self" => below(module, &path[1..]),
        "super" => {
            let supers = path.iter().take_while(|name| *name == "super").count();
            below(&module[..module.len().saturating_sub(supers)], &path[supers..])
        }
        _ => path.to_vec(),
    }
}

/// The module that a file is.
fn module_of(path: &str) -> Vec<String> {
    let below = path
        .trim_start_matches("src/")
        .trim_end_matches(".rs")
        .trim_end_matches("/mod");
    below.split('/').map(str::to_owned).collect()
}

fn architecture() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

/// The rows of the table of folders: a folder, and what it may import.
fn rows(page: &str) -> impl Iterator<Item = (&str, &str)> {
    let table = page
        .lines()
        .skip_while(|line| !line.starts_with("| folder | owns | may import |"));
    table.skip(2).map_while(|row| {
        let mut cells = row.strip_prefix("| `")?.split(" | ");
        let folder = cells.next()?.trim_matches(['`', '/']).trim_start_matches("src/");
        Some((folder, cells.last()?.trim_end_matches(" |")))
    })
}

/// The imports that each folder may have from this crate, besides itself.
fn imports() -> BTreeMap<String, Vec<String>> {
    let page = architecture();
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    rows(&page)
        .map(|(folder, cell)| (folder.to_owned(), names(cell)))
        .collect()
}

/// The folder under `src/` that a file belongs to. `None` for `lib.rs`, which only declares them.
fn folder_of(path: &str) -> Option<&str> {
    Some(path.strip_prefix("src/")?.split_once('/')?.0)
}

/// Files that are compiled for tests only.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.starts_with("core/src/model/")
}
