//! The walls of the house: who may import whom, what the core may not even name, and how long a file may be.
//!
//! The compiler keeps other crates out of the core, which is a crate of its own; it does not keep `bus`, `transport` and
//! `store` apart, nor the standard library's clock, files and locks out of the core. This test does, by reading the paths that
//! each file under `src/` names, in `use` and in the middle of code.

use std::fs;
use std::path::{Path, PathBuf};

/// What each folder may import from this crate, besides itself.
const IMPORTS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("messages", &["core"]),
    ("system", &["core"]),
    ("oauth", &["core"]),
    ("config", &["core"]),
    ("store", &["core"]),
    ("bus", &["core", "messages"]),
    ("transport", &["core", "oauth"]),
    ("loopback", &["core", "oauth"]),
    // `check` reaches the server by the daemon's own client, and so sees what the daemon would see.
    (
        "ctl",
        &[
            "core",
            "messages",
            "system",
            "config",
            "bus",
            "store",
            "transport",
            "oauth",
            "daemon",
        ],
    ),
    (
        "daemon",
        &[
            "core",
            "messages",
            "system",
            "oauth",
            "config",
            "store",
            "bus",
            "transport",
            "loopback",
        ],
    ),
    ("bin", &["ctl", "daemon"]),
];

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
    ("aes_gcm", &["store"]),
    ("toml", &["config"]),
    // Users and groups of the system: a test's machine has its own.
    ("uzers", &["config"]),
    ("tracing_subscriber", &["system"]),
    ("tracing_journald", &["system"]),
    ("sd_notify", &["system"]),
];

/// All that the core may name of the world, besides itself: no clock, no lock, no file, no socket, no random order.
const CORE_CRATES: &[&str] = &["std", "zeroize"];
/// Its tests have tools.
const CORE_TEST_CRATES: &[&str] = &["std", "zeroize", "insta", "proptest"];
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

/// A file fits one sitting.
const LONGEST: usize = 450;

#[test]
fn no_folder_imports_what_it_must_not() {
    let broken: Vec<_> = sources()
        .iter()
        .flat_map(|(path, text)| violations(path, text))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_file_fits_one_sitting() {
    let broken: Vec<_> = sources()
        .iter()
        .filter_map(|(path, text)| too_long(path, text))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_folder_has_a_rule() {
    let known = |name: &str| IMPORTS.iter().any(|(folder, _)| *folder == name);
    for (path, _) in sources() {
        let folder = folder_of(&path);
        assert!(
            folder.is_none_or(|folder| known(&folder)),
            "{path} is in a folder that has no rule"
        );
    }
}

/// A password hash takes its memory on purpose: one in the path of a start or a write would be most of what the daemon may have.
/// The store's key is derived from a key, not from a password.
#[test]
fn nothing_hashes_passwords() {
    const HASHES: [&str; 6] = ["argon2", "rust-argon2", "bcrypt", "scrypt", "pbkdf2", "balloon-hash"];
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"))
        .expect("the lock file is committed");
    let names: Vec<_> = lock
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .collect();
    assert!(names.contains(&"sha2"), "the lock file was read");
    for name in names {
        assert!(!HASHES.contains(&name), "{name} is among the dependencies");
    }
}

/// The reader is what could fail without anybody noticing, so it is shown what it must find.
#[test]
fn a_planted_violation_is_found() {
    let planted = [
        ("src/core/x.rs", "use tokio::time::sleep;", "tokio"),
        ("src/core/x.rs", "use crate::bus;", "bus"),
        (
            "src/core/x.rs",
            "use std::{fmt, time::{Duration, Instant}};",
            "std::time::Instant",
        ),
        (
            "src/core/x.rs",
            "fn f() { let t = std::time::SystemTime::now(); }",
            "SystemTime",
        ),
        ("src/core/x.rs", "use std::collections::HashMap as Map;", "HashMap"),
        ("src/core/x.rs", "use std::sync::*;", "std::sync::*"),
        ("src/core/x.rs", "use ::rustix::fs;", "rustix"),
        ("src/core/a/b.rs", "use super::super::super::store::Vault;", "store"),
        (
            "src/core/x.rs",
            "#[cfg(test)]\nmod tests {\n    use super::super::super::oauth::Grant;\n}",
            "oauth",
        ),
        (
            "src/bus/mod.rs",
            "use crate::{\n    core::Policy,\n    transport::{self, Client},\n};",
            "transport",
        ),
        ("src/bus/mod.rs", "use super::store::Vault;", "store"),
        ("src/transport/tls.rs", "fn f(v: &crate::store::Vault) {}", "store"),
        ("src/transport/tls.rs", "use c2c_authd::bus::Bus;", "bus"),
        ("src/store/vault/tests.rs", "use crate::transport::Client;", "transport"),
        (
            "src/oauth/mod.rs",
            "type T = Option<crate::transport::Client>;",
            "transport",
        ),
        ("src/oauth/mod.rs", "pub use zbus::Connection;", "zbus"),
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
            "src/core/x.rs",
            "use super::policy::Policy;\nuse crate::core::{self, Core};",
        ),
        (
            "src/core/x.rs",
            "use std::{fmt, time::Duration, collections::{BTreeMap, VecDeque}};",
        ),
        (
            "src/core/x.rs",
            "// use tokio::time;\n/* use crate::bus; /* nested */ */ const S: &str = \"crate::bus\";",
        ),
        (
            "src/core/x.rs",
            "const R: &str = r#\"use crate::bus; \"quoted\" \"#; const C: char = '\"';",
        ),
        (
            "src/core/x.rs",
            "fn f<'a>(x: &'a str) -> Result<(), std::fmt::Error> { Time::now() }",
        ),
        (
            "src/core/a/mod.rs",
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
        (
            "src/core/x.rs",
            "fn f(x: &X) -> impl Iterator<Item = E> + use<> { let a = x.a().map(|why| (Kind::A, *why)); a }",
        ),
        ("src/lib.rs", "pub mod core;\npub mod bus;"),
    ];
    for (path, text) in innocent {
        assert_eq!(violations(path, text), Vec::<String>::new(), "{path}: {text}");
    }
}

#[test]
fn a_file_too_long_is_found_and_its_tests_do_not_count() {
    let line = "const A: u8 = 1;\n";
    let long = line.repeat(LONGEST + 1);
    let tested = format!(
        "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
        line.repeat(LONGEST),
        line.repeat(9)
    );
    assert!(too_long("src/core/x.rs", &long).is_some());
    assert!(too_long("src/core/x.rs", &tested).is_none());
    assert!(too_long("src/core/x/tests.rs", &long).is_none());
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
                // The core is a crate of its own, and has the rules of a folder.
                found.push((name.to_string_lossy().replace("core/src/", "src/core/"), text));
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
    let allowed = IMPORTS
        .iter()
        .find(|(name, _)| *name == folder)
        .map_or(&[][..], |(_, imports)| imports);
    let mut broken = Vec::new();
    for named in paths(path, text) {
        let segments: Vec<&str> = named.split("::").collect();
        let wrong = match segments[..] {
            ["crate", other, ..] => {
                let is_folder = IMPORTS.iter().any(|(name, _)| *name == other);
                is_folder && other != folder && !allowed.contains(&other)
            }
            [name, ..] if folder == "core" => !core_may_name(path, name, &named),
            [name, ..] => {
                let foreign = |(owned, owners): &(&str, &[&str])| *owned == name && !owners.contains(&folder.as_str());
                !is_test(path) && CRATES.iter().any(foreign)
            }
            [] => false,
        };
        if wrong {
            broken.push(format!("{path}: `{folder}` must not name `{named}`"));
        }
    }
    broken
}

fn core_may_name(path: &str, name: &str, named: &str) -> bool {
    let crates = if is_test(path) { CORE_TEST_CRATES } else { CORE_CRATES };
    let never = CORE_NEVER.iter().any(|never| {
        let below = |long: &str, short: &str| long == short || long.starts_with(&format!("{short}::"));
        // A glob names everything below it.
        let glob = named.strip_suffix("::*").is_some_and(|parent| below(never, parent));
        glob || below(named, never)
    });
    crates.contains(&name) && !never
}

/// The folder under `src/` that a file belongs to; `None` for `lib.rs`, which only declares them.
fn folder_of(path: &str) -> Option<String> {
    let below = path.strip_prefix("src/")?;
    Some(below.split_once('/')?.0.to_owned())
}

/// Files that are compiled for tests only.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.starts_with("src/core/model/")
}

fn too_long(path: &str, text: &str) -> Option<String> {
    if is_test(path) {
        return None;
    }
    let own = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let lines = own.lines().count();
    (lines > LONGEST).then(|| format!("{path} has {lines} lines without its tests, more than {LONGEST}"))
}

/// The absolute paths a file names: `crate::…` for this crate's, else with the crate's name in front.
fn paths(path: &str, text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let mut module = module_of(path);
    let mut inner: Vec<usize> = Vec::new();
    let mut local: Vec<String> = Vec::new();
    let (mut depth, mut at) = (0_usize, 0_usize);
    let mut found = Vec::new();
    while at < tokens.len() {
        let next = |ahead: usize| tokens.get(at + ahead).map_or("", String::as_str);
        match tokens[at].as_str() {
            "mod" if is_word(next(1)) => {
                local.push(next(1).to_owned());
                if next(2) == "{" {
                    module.push(next(1).to_owned());
                    inner.push(depth);
                    depth += 1;
                    at += 2;
                }
            }
            "macro_rules" if next(1) == "!" => local.push(next(2).to_owned()),
            // `impl Trait + use<'a>` captures, and imports nothing.
            "use" if next(1) != "<" => {
                let end = (at..tokens.len())
                    .find(|end| tokens[*end] == ";")
                    .unwrap_or(tokens.len());
                for named in expand(&tokens[at + 1..end]) {
                    found.extend(absolute(&module, &named, true));
                }
                at = end;
            }
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if inner.last() == Some(&depth) {
                    inner.pop();
                    module.pop();
                }
            }
            word if is_word(word) && next(1) == "::" && (at == 0 || tokens[at - 1] != "::") => {
                let mut named = vec![word.to_owned()];
                while tokens.get(at + 1).is_some_and(|token| token == "::")
                    && tokens.get(at + 2).is_some_and(|token| is_word(token))
                {
                    named.push(tokens[at + 2].clone());
                    at += 2;
                }
                found.extend(absolute(&module, &named, false));
            }
            _ => {}
        }
        at += 1;
    }
    // `use b::C` beside `mod b;`, `use m` beside `macro_rules! m` and `use Kind::*` beside `enum Kind` are paths of this file.
    found.retain(|named| {
        let first = named.split("::").next().unwrap_or_default();
        !first.starts_with(char::is_uppercase) && !local.iter().any(|name| name == first)
    });
    found
}

/// Where in the crate a file's items are.
fn module_of(path: &str) -> Vec<String> {
    let below = path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut module: Vec<String> = below.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|name| name == "mod" || name == "lib") {
        module.pop();
    }
    module
}

/// What a path means here. In the middle of code, only what begins with a keyword or a small letter and is known as a crate can
/// be told from a module or type of the file; in `use` everything else is a crate.
fn absolute(module: &[String], named: &[String], imported: bool) -> Option<String> {
    let first = named.first()?.as_str();
    let below = |parents: usize, rest: &[String]| {
        let kept = &module[..module.len().saturating_sub(parents)];
        Some([&["crate".to_owned()], kept, rest].concat().join("::"))
    };
    match first {
        "c2c_auth_core" => Some(
            [&["crate".to_owned(), "core".to_owned()], &named[1..]]
                .concat()
                .join("::"),
        ),
        "crate" | "c2c_authd" => Some([&["crate".to_owned()], &named[1..]].concat().join("::")),
        "self" => below(0, &named[1..]),
        "super" => {
            let supers = named.iter().take_while(|name| *name == "super").count();
            below(supers, &named[supers..])
        }
        _ if imported => Some(named.join("::")),
        _ => {
            let krate = first == "std" || first == "tokio" || CRATES.iter().any(|(name, _)| *name == first);
            krate.then(|| named.join("::"))
        }
    }
}

/// Every single path of a `use` tree.
fn expand(tokens: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut prefixes: Vec<Vec<String>> = vec![Vec::new()];
    let mut current: Vec<String> = Vec::new();
    let mut tokens = tokens.iter();
    while let Some(token) = tokens.next() {
        match token.as_str() {
            "{" => {
                prefixes.push(current.clone());
            }
            "}" | "," => {
                let prefix = prefixes.last().cloned().unwrap_or_default();
                if current.len() > prefix.len() {
                    found.push(current.clone());
                }
                if token == "}" {
                    // What was before the brace is no path of its own.
                    prefixes.pop();
                    current = prefix;
                    let outer = prefixes.last().cloned().unwrap_or_default();
                    current.truncate(outer.len());
                } else {
                    current = prefix;
                }
            }
            "as" => {
                tokens.next();
            }
            "self" if !current.is_empty() => found.push(current.clone()),
            word if is_word(word) || word == "*" => current.push(word.to_owned()),
            _ => {}
        }
    }
    let prefix = prefixes.last().map_or(0, Vec::len);
    if current.len() > prefix {
        found.push(current);
    }
    found
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The words and signs of a file, without comments, texts and characters.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let starts = |at: usize, what: &str| what.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        if starts(at, "//") {
            at += chars[at..].iter().take_while(|c| **c != '\n').count();
        } else if starts(at, "/*") {
            let mut depth = 0;
            loop {
                if starts(at, "/*") {
                    depth += 1;
                    at += 2;
                } else if starts(at, "*/") {
                    depth -= 1;
                    at += 2;
                } else {
                    at += 1;
                }
                if depth == 0 || at >= chars.len() {
                    break;
                }
            }
        } else if let Some(end) = raw_text_end(&chars, at) {
            at = end;
        } else if c == '"' {
            at += 1;
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if c == '\'' {
            // A character, or the name of a lifetime.
            at += match (chars.get(at + 1), chars.get(at + 2)) {
                (Some('\\'), _) => 2 + chars[at + 2..].iter().skip(1).take_while(|c| **c != '\'').count() + 2,
                (Some(_), Some('\'')) => 3,
                _ => 1,
            };
        } else if c.is_alphanumeric() || c == '_' {
            let word: String = chars[at..]
                .iter()
                .take_while(|c| c.is_alphanumeric() || **c == '_')
                .collect();
            at += word.chars().count();
            found.push(word);
        } else if starts(at, "::") {
            found.push(String::from("::"));
            at += 2;
        } else {
            if !c.is_whitespace() {
                found.push(c.to_string());
            }
            at += 1;
        }
    }
    found
}

/// Where a raw text that begins here ends.
fn raw_text_end(chars: &[char], at: usize) -> Option<usize> {
    let before = at.checked_sub(1).and_then(|before| chars.get(before));
    if before.is_some_and(|c| c.is_alphanumeric() || *c == '_') {
        return None;
    }
    let mut open = at + usize::from(chars.get(at) == Some(&'b'));
    if chars.get(open) != Some(&'r') {
        return None;
    }
    open += 1;
    let hashes = chars[open..].iter().take_while(|c| **c == '#').count();
    open += hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let closes =
        |end: usize| chars[end] == '"' && chars[end + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    let end = (open + 1..chars.len()).find(|end| closes(*end))?;
    Some(end + 1 + hashes)
}
