//! The rules of CONTRIBUTING's style that a program can check: how long a line and a file is, how a
//! comment begins, and which words the project gave up for those of the RFCs, systemd, D-Bus and
//! sans-IO libraries.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};

/// Columns of a comment or a line of a document. Code has rustfmt's 120.
const COLUMNS: usize = 100;

/// Lines of a file of code, its tests included: it fits one sitting.
const LINES: usize = 450;

/// Words that open a fragment where a sentence has its subject.
const FRAGMENTS: [&str; 5] = ["Of", "Who", "What", "Whether", "That"];

/// Extensions of files with comments. The scripts have none.
const COMMENTED: [&str; 14] = [
    "", "bb", "catalog", "conf", "inc", "mjs", "mk", "pm", "rs", "service", "sh", "table", "toml", "txt",
];

/// Identifiers that docs/glossary.md has a better word for.
const GIVEN_UP: &str = "\
    Turn afterlife Afterlife vouch vouched unvouched due_unvouched Objection wished relent blips hasten hasten_refresh \
    RefusedLimit warned_before_end Resting Browsing starters completers durables orphan orphans orphan_granted \
    orphan_refreshed straggler rescued sole_grant Habits habits rested nowhere_told wants_description keep_warm \
    wind_down Landed flies Flight flights StepWatch Guest one_turn Outbox Handouts handouts Death rejecter rejecters \
    unfounded unasked accused Holds Unfit Desk Wires vault Vault Straggle Dice ordinary_wish \
    Identify ResourceAnswer Note is_identify Scene scene Calm Came Leftover condemned resource_failing challenged \
    settle_candidate settle_doubt withdraw_mark resend_wish anchor_to Rejections store_incoming adopt_incoming \
    RejectionUnfounded RejectionUnchecked hastened ghost no_ghost";

#[test]
fn comments_and_documents_have_at_most_a_hundred_columns() {
    let mut long = Vec::new();
    for (path, text) in files(&["rs", "md"]) {
        let lines = if path.rsplit_once('.').is_some_and(|(_, extension)| extension == "md") {
            prose(&text)
        } else {
            comments(&text)
        };
        let over = lines.filter(|(_, line)| line.chars().count() > COLUMNS);
        long.extend(over.map(|(number, _)| format!("{path}:{number}")));
    }
    assert!(long.is_empty(), "more than {COLUMNS} columns:\n{}", long.join("\n"));
}

#[test]
fn every_comment_begins_with_its_subject() {
    let mut found = Vec::new();
    for (path, text) in files(&COMMENTED) {
        found.extend(fragments(&text).map(|number| format!("{path}:{number}")));
    }
    assert!(found.is_empty(), "begin with {FRAGMENTS:?}:\n{}", found.join("\n"));
}

#[test]
fn every_file_fits_one_sitting() {
    let long: Vec<_> = files(&["rs"])
        .iter()
        .filter_map(|(path, text)| too_long(path, text))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn no_identifier_that_was_given_up_comes_back() {
    let mut found = Vec::new();
    for (path, text) in files(&["rs"]) {
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut identifiers = Vec::new();
        collect(tokens, &mut identifiers);
        let given_up = |name: &String| GIVEN_UP.split_whitespace().any(|word| word == name);
        found.extend(
            identifiers
                .into_iter()
                .filter(given_up)
                .map(|name| format!("{path}: {name}")),
        );
    }
    found.dedup();
    assert!(
        found.is_empty(),
        "docs/glossary.md has other words for:\n{}",
        found.join("\n")
    );
}

#[test]
fn what_breaks_the_rules_is_found_and_what_does_not_is_not() {
    let line = "const A: u8 = 1;\n";
    assert!(too_long("src/x/tests.rs", &line.repeat(LINES)).is_none());
    assert!(too_long("src/x/tests.rs", &line.repeat(LINES + 1)).is_some());
    let long = "x".repeat(COLUMNS);
    let source = format!("// {long}\n    /// {long}\nlet a = \"{long}\"; // short\n// short\n");
    assert_eq!(comments(&source).filter(|(_, line)| line.len() > COLUMNS).count(), 2);
    let page = format!("a {long}\n| {long} |\n```sh\na {long}\n```\n    a {long}\n{long}x\n");
    let over: Vec<_> = prose(&page).filter(|(_, line)| line.len() > COLUMNS).collect();
    assert_eq!(over.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1]);
    let source =
        "//! What a.\n//!\n//! Of b,\n//! Of c.\nA; // Of d\n    // - Whether e\n# Who f\n#That g\n// Often h\n";
    assert_eq!(fragments(source).collect::<Vec<_>>(), [1, 3, 6, 7]);
    let mut found = Vec::new();
    let code = "fn f(vault: u8) { m!(Guest::new(\"orphan\")) } // blips";
    collect(code.parse().expect("tokens"), &mut found);
    assert!(
        ["vault", "Guest"]
            .iter()
            .all(|name| found.iter().any(|other| other == name))
    );
    assert!(
        !["orphan", "blips"]
            .iter()
            .any(|name| found.iter().any(|other| other == name))
    );
}

fn too_long(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LINES).then(|| format!("{path} has {lines} lines, more than {LINES}"))
}

/// The lines that are comments, with their numbers.
fn comments(text: &str) -> Box<dyn Iterator<Item = (usize, &str)> + '_> {
    Box::new(numbered(text).filter(|(_, line)| line.trim_start().starts_with("//")))
}

/// The first lines of the paragraphs and items of comments that begin with one of [`FRAGMENTS`].
fn fragments(text: &str) -> impl Iterator<Item = usize> {
    let mut before = None;
    numbered(text).filter_map(move |(number, line)| {
        let line = line.trim_start();
        let mark = ["/// ", "//! ", "// ", "# "]
            .iter()
            .find(|mark| line.starts_with(**mark));
        let follows = std::mem::replace(&mut before, mark) == mark;
        let words = line.strip_prefix(mark?)?;
        let item = words.strip_prefix("- ");
        let first = item.unwrap_or(words).split(' ').next()?;
        let begins = !follows || item.is_some();
        (begins && FRAGMENTS.contains(&first)).then_some(number)
    })
}

/// The lines that can be wrapped: not those of tables and blocks of code, nor one long word.
fn prose(text: &str) -> Box<dyn Iterator<Item = (usize, &str)> + '_> {
    let mut fenced = false;
    Box::new(numbered(text).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        let breakable = !line.starts_with('|') && !line.starts_with("    ") && line.trim().contains(' ');
        !fenced && !fence && breakable
    }))
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

fn collect(tokens: TokenStream, found: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => found.push(ident.to_string()),
            TokenTree::Group(group) => collect(group.stream(), found),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Our files with one of these extensions, by their path from the root.
fn files(extensions: &[&str]) -> Vec<(String, String)> {
    const FOLDERS: &str = ".cargo .ci benches client config core docs examples packaging src systemd testkit tests";
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<PathBuf> = FOLDERS.split(' ').map(|folder| root.join(folder)).collect();
    open.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(|page| root.join(page)));
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let own = |path: &PathBuf| !path.ends_with("node_modules") && !path.ends_with("target");
            open.extend(entries.filter_map(|entry| Some(entry.ok()?.path())).filter(own));
        } else if extensions.contains(&extension(&path)) {
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.strip_prefix(root).unwrap_or(&path);
            found.push((name.to_string_lossy().into_owned(), text));
        }
    }
    assert!(found.len() > 20, "the files were not found");
    found.sort();
    found
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|found| found.to_str()).unwrap_or_default()
}
