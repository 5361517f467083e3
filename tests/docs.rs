//! The documents agree with the code: links lead somewhere, tests that are named exist, the
//! configuration that is shown is one.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use c2c_authd::for_tests::{Config, System};

/// The pages: four by name, and whatever lies in `docs/`.
fn pages() -> Vec<String> {
    let named = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"];
    let entries = fs::read_dir(root().join("docs")).expect("docs/ can be read");
    let mut pages: Vec<_> = entries
        .map(|entry| entry.expect("docs/ can be read").file_name())
        .map(|name| format!("docs/{}", name.display()))
        .filter(|page| Path::new(page).extension().is_some_and(|extension| extension == "md"))
        .collect();
    assert!(!pages.is_empty());
    pages.sort();
    named.into_iter().map(String::from).chain(pages).collect()
}

/// Pages that name tests as evidence.
const EVIDENCE: &[&str] = &["docs/refreshing.md", "docs/security.md"];

/// A name of three words or more in code font is a test's. Nothing else on those pages is so long.
const WORDS_OF_A_TEST: usize = 3;

#[test]
fn every_link_between_files_leads_to_a_file() {
    let mut links = 0;
    for page in pages() {
        let text = read(&page);
        let folder = root().join(&page).parent().map(Path::to_path_buf).unwrap_or_default();
        for target in targets(&text) {
            links += 1;
            assert!(
                folder.join(&target).exists(),
                "{page} links to {target}, which is not there"
            );
        }
    }
    assert!(links > 10, "only {links} links were found");
}

#[test]
fn every_page_of_the_docs_is_linked_from_the_readme() {
    let links: BTreeSet<_> = targets(&read("README.md")).into_iter().collect();
    for page in pages().iter().filter(|page| *page != "README.md") {
        assert!(links.contains(page), "README.md does not lead to {page}");
    }
}

#[test]
fn every_test_named_as_evidence_exists() {
    let tests = tests();
    for page in EVIDENCE {
        let named = names(&read(page));
        assert!(named.len() > 20, "{page} names only {} tests", named.len());
        for name in named {
            assert!(
                tests.contains(&name),
                "{page} names the test {name}, which is not there"
            );
        }
    }
}

#[test]
fn every_file_named_in_where_is_exists() {
    let text = read("docs/where-is.md");
    let named: Vec<_> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.contains('/'))
        .collect();
    assert!(named.len() > 30, "docs/where-is.md names only {} files", named.len());
    for name in named {
        assert!(
            root().join(name).is_file(),
            "docs/where-is.md names {name}, which is not there"
        );
    }
}

#[test]
fn the_configuration_shown_in_the_readme_is_taken() {
    let text = read("README.md");
    let shown = block(&text, "toml").unwrap_or_default();
    assert!(shown.contains("client-id"), "no configuration is shown");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.toml");
    fs::write(&file, shown).expect("a file");
    let config = Config::load_file(&file, &System::at(folder.path())).expect("the configuration of the README");
    assert!(config.check().contains("SN-000123"), "{}", config.check());
}

#[test]
fn every_reason_error_and_event_is_explained_to_the_operator() {
    let text = read("docs/operating.md");
    let words = c2c_auth_core::Reason::ALL
        .iter()
        .map(|reason| reason.word().to_owned())
        .chain(
            c2c_auth_core::ErrorWord::ALL
                .iter()
                .map(|error| error.word().to_owned()),
        )
        // One row of the table has both. tests/contract reads there which id has which word.
        .chain(
            c2c_authd::for_tests::Kind::ALL
                .iter()
                .map(|kind| format!("{}` | `{}", kind.word, kind.id)),
        );
    for word in words {
        assert!(
            text.contains(&format!("`{word}`")),
            "docs/operating.md does not explain {word}"
        );
    }
}

#[test]
fn what_is_no_link_and_no_test_is_not_taken_for_one() {
    let text = "[a](b.md) [c](https://example.org) [d](e.md#part) `![f](g)`\n```\n[h](i.md)\n```\n";
    assert_eq!(targets(text), ["b.md", "e.md"]);
    assert_eq!(
        names("`a_b_c` `client_secret` `GetAccessToken` a_b_c_d `x_1_y(z)`")
            .into_iter()
            .collect::<Vec<_>>(),
        ["a_b_c"]
    );
    assert_eq!(
        block("```sh\nx\n```\n```toml\ny = 1\n```", "toml").as_deref(),
        Some("y = 1\n")
    );
}

/// The words of a property, as the contract lists them.
fn words_of(property: &str) -> Vec<String> {
    let contract = read("dbus/org.cameratocloud.Auth1.xml");
    let (_, rest) = contract
        .split_once(&format!("      {property}: "))
        .expect("the contract has the property");
    let comment = rest.split("-->").next().unwrap_or_default();
    let is_word = |line: &&str| line.starts_with("        ") && !line.starts_with("         ");
    let words = comment.lines().filter(is_word);
    words
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

#[test]
fn every_state_and_reason_has_words_for_a_screen() {
    let words: serde_json::Value = serde_json::from_str(&read("examples/ui/words.json")).expect("JSON");
    let (states, reasons) = (words_of("PairingState"), words_of("PairingReason"));
    assert!(states.len() >= 5 && reasons.len() > 20, "{states:?} {reasons:?}");
    let given = words.as_object().expect("states");
    assert_eq!(
        given.keys().collect::<BTreeSet<_>>(),
        states.iter().collect::<BTreeSet<_>>()
    );
    for reason in &reasons {
        assert!(
            given.values().any(|state| !state[reason].is_null()),
            "no state has words for {reason}"
        );
    }
    let page = read("docs/ui.md");
    for (state, rows) in given {
        // The row for all others makes it complete.
        assert!(
            rows["*"].is_object(),
            "{state} has no words for a reason of a newer daemon"
        );
        for (reason, row) in rows.as_object().expect("reasons") {
            let known = reasons.contains(reason) || matches!(reason.as_str(), "*" | "Paused");
            assert!(known, "{state}: there is no reason {reason}");
            for language in ["en", "de"] {
                for (part, longest) in [("title", 24), ("text", 60)] {
                    let told = row[language][part].as_str().unwrap_or_default();
                    let length = told.chars().count();
                    assert!(
                        (1..=longest).contains(&length),
                        "{state} {reason} {language} {part}: {length}"
                    );
                }
            }
            let buttons: Vec<_> = row["buttons"]
                .as_array()
                .expect("buttons")
                .iter()
                .filter_map(|b| b.as_str())
                .collect();
            let en = |part: &str| row["en"][part].as_str().unwrap_or_default().to_owned();
            let line = format!(
                "| `{state}` | `{reason}` | {} | {} | {} |",
                en("title"),
                en("text"),
                buttons.join(", ")
            );
            assert!(page.contains(&line), "docs/ui.md does not have: {line}");
        }
    }
}

/// Words in code font.
fn in_code_font(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn the_integrators_page_names_what_exists() {
    let page = read("docs/integration.md");
    let (_, checklist) = page.split_once("## Frame.io's checklist").expect("a checklist");
    let contract = read("dbus/org.cameratocloud.Auth1.xml");
    let (mut files, mut members) = (0, 0);
    for word in in_code_font(checklist) {
        if let Some((interface, member)) = word.split_once('.').filter(|_| !word.contains('/')) {
            let (_, rest) = contract
                .split_once(&format!("<interface name=\"org.cameratocloud.Auth1.{interface}\""))
                .unwrap_or_else(|| panic!("{word}: no such interface"));
            let own = rest.split("</interface>").next().unwrap_or_default();
            assert!(
                own.contains(&format!(" name=\"{member}\"")),
                "{word} is not in the contract"
            );
            members += 1;
        } else if word.contains('/') {
            assert!(root().join(word).is_file(), "{word} is not there");
            files += 1;
        }
    }
    assert!(files >= 10 && members >= 8, "{files} files, {members} members");
    // The paths of the table of what persists are those that unit and tool know.
    let known = [
        "systemd/c2c-authd.service",
        "man/c2c-authctl.1",
        "systemd/c2c-authd.tmpfiles",
        "docs/packaging.md",
    ];
    let known: String = known
        .map(|file| read(file).replace("%S", "/var/lib").replace("%t", "/run"))
        .concat();
    let (_, table) = page.split_once("## What has to persist").expect("a table");
    let table = table.split("\n## ").next().unwrap_or_default();
    let paths: Vec<_> = in_code_font(table).filter(|word| word.starts_with('/')).collect();
    assert!(paths.len() > 6, "{paths:?}");
    for path in paths {
        assert!(known.contains(path) || path == "/etc", "nothing else names {path}");
    }
}

#[test]
fn each_example_for_callers_is_short() {
    let examples = [
        "client/c/uploader.c",
        "client/examples/uploader.rs",
        "client/go/example_test.go",
        "examples/pair.c",
        "examples/pair.py",
        "examples/uploader.py",
    ];
    for example in examples {
        let lines = read(example).lines().count();
        assert!(lines <= 60, "{example} has {lines} lines, more than 60");
    }
}

/// Programs that make a client from the contract, as far as they are installed.
#[test]
fn each_generator_reads_the_contract() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let contract = root().join("dbus/org.cameratocloud.Auth1.xml");
    for (program, arguments) in [
        ("qdbusxml2cpp", &["-p", "proxy"][..]),
        ("gdbus-codegen", &["--generate-c-code", "proxy"]),
    ] {
        let mut command = Command::new(program);
        let output = command
            .args(arguments)
            .arg(&contract)
            .current_dir(directory.path())
            .output();
        match output {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{program}: {said}");
                let made = directory.path().join("proxy.h");
                let header = fs::read_to_string(&made).expect("it has made a header");
                assert!(header.contains("Auth1"), "{program}");
                fs::remove_file(made).expect("the header can be removed");
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => println!("{program} is not installed: not tried"),
            Err(error) => panic!("{program}: {error}"),
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// Text outside of fenced blocks and code font.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.extend(line.split('`').step_by(2));
            prose.push('\n');
        }
    }
    prose
}

/// Targets of links to files, without what follows "#".
fn targets(text: &str) -> Vec<String> {
    prose(text)
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
        .map(|target| target.split('#').next().unwrap_or(target).to_owned())
        .collect()
}

/// Names in code font that look like a test's.
fn names(text: &str) -> BTreeSet<String> {
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|word| word.split('_').filter(|part| !part.is_empty()).count() >= WORDS_OF_A_TEST)
        .filter(|word| {
            word.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        })
        .map(str::to_owned)
        .collect()
}

/// The first fenced block in this language.
fn block(text: &str, language: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("```{language}\n"))?;
    rest.split_once("```").map(|(block, _)| block.to_owned())
}

/// Names of all functions under a test attribute, and of the model's scenarios, which a macro makes
/// into tests.
fn tests() -> BTreeSet<String> {
    let mut files = Vec::new();
    for folder in ["src", "core/src", "testkit/src", "testkit/tests", "tests"] {
        walk(&root().join(folder), &mut files);
    }
    let mut found = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let mut attribute = false;
        let mut scenarios = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                attribute = true;
            } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| attribute) {
                found.extend(rest.split('(').next().map(str::to_owned));
                attribute = false;
            }
            scenarios = (scenarios || line == "scenarios! {") && line != "}";
            if scenarios && let Some((name, _)) = line.split_once(": ") {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
