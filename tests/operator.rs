//! An operator's documents agree with the daemon: its man pages, and the journal's catalog.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use c2c_auth_core::Reason;
use c2c_authd::for_tests::{Code, Kind};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A page with mdoc's escapes taken out.
fn page(path: &str) -> String {
    read(path).replace("\\-", "-")
}

/// Words of a page, without the punctuation that mdoc wants apart.
fn has_word(page: &str, word: &str) -> bool {
    page.split(|c: char| c.is_whitespace() || c == ',')
        .any(|found| found == word)
}

#[test]
fn the_daemons_page_has_every_option_exit_code_reason_and_event() {
    let page = page("man/c2c-authd.8");
    let help = c2c_authd::for_tests::HELP;
    let options = help.split_whitespace().filter_map(|word| word.strip_prefix("--"));
    for option in options {
        assert!(page.contains(&format!(".It Fl -{option}")), "--{option}");
    }
    let codes = [
        Code::Usage,
        Code::Internal,
        Code::Io,
        Code::TempFail,
        Code::NoPermission,
        Code::Config,
    ];
    let (_, told) = page.split_once(".Sh EXIT STATUS").unwrap();
    let told = told.split(".Sh ").next().unwrap().lines();
    let told: Vec<u8> = told
        .filter_map(|line| line.strip_prefix(".It ")?.parse().ok())
        .collect();
    // 243 is systemd's.
    let codes = codes.map(|code| code as u8);
    assert_eq!(told, [&[0], &codes[..], &[243]].concat());
    for word in Reason::ALL
        .iter()
        .map(|reason| reason.word())
        .chain(Kind::ALL.iter().map(|kind| kind.word))
    {
        assert!(has_word(&page, word), "{word}");
    }
}

#[test]
fn the_configurations_page_has_every_section_and_key() {
    let page = page("man/c2c-authd.toml.5");
    let mut keys = 0;
    for line in read("config/config.toml").lines() {
        if line.starts_with('[') {
            assert!(page.contains(&format!("\n.Ss {line}\n")), "{line}");
            continue;
        }
        let line = line
            .strip_prefix("# e.g. ")
            .or_else(|| line.strip_prefix('#'))
            .unwrap_or(line);
        let Some((key, _)) = line.split_once(" = ") else {
            continue;
        };
        if key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') {
            keys += 1;
            let items = page.lines().filter_map(|line| line.strip_prefix(".It Va "));
            assert!(items.flat_map(str::split_whitespace).any(|item| item == key), "{key}");
        }
    }
    assert!(keys > 20, "only {keys} keys were found");
}

/// Entries by their id: head and text. Read as `journalctl --update-catalog` does, which
/// `tests/pages` runs: comments are skipped wherever they are, and an entry begins with an id of 32
/// digits behind an empty line.
fn catalog() -> BTreeMap<String, (String, String)> {
    let mut entries = Vec::<(String, String)>::new();
    let mut after_empty_line = true;
    for line in read("systemd/c2c-authd.catalog").lines() {
        let id = line.strip_prefix("-- ").filter(|_| after_empty_line);
        let id = id.filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        after_empty_line = line.is_empty();
        if let Some(id) = id {
            entries.push((id.to_owned(), String::new()));
        } else if !line.starts_with(['#', ';']) {
            match entries.last_mut() {
                Some((_, text)) => text.extend([line, "\n"]),
                None => assert!(line.is_empty(), "before the first id: {line}"),
            }
        }
    }
    let mut catalog = BTreeMap::new();
    for (id, text) in entries {
        let (head, body) = text.split_once("\n\n").unwrap();
        let known = catalog.insert(id.clone(), (head.to_owned(), body.to_owned()));
        assert_eq!(known, None, "{id} is there twice");
    }
    catalog
}

#[test]
fn the_catalog_explains_every_kind_of_entry_and_no_other() {
    let catalog = catalog();
    let ids: Vec<_> = catalog.keys().map(String::as_str).collect();
    let mut kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.id).collect();
    kinds.sort_unstable();
    assert_eq!(ids, kinds);
    for (id, (head, body)) in &catalog {
        assert!(
            head.starts_with("Subject: ") && head.contains("\nDefined-By: c2c-authd\n"),
            "{id}"
        );
        let paragraphs = body.trim().split("\n\n").count();
        assert!(paragraphs >= 2, "{id}: what happened, and what to do");
    }
}

#[test]
fn the_catalog_explains_in_eight_lines_and_leaves_no_field_to_be_filled_in() {
    for (id, (_, body)) in catalog() {
        // systemd fills in names of A-Z and _ only: with its digit a field of ours is printed as it
        // stands here.
        assert!(!body.contains('@'), "{id}: {body}");
        let lines = body.trim().lines().count();
        assert!(lines <= 8, "{id} has {lines} lines");
    }
}
