//! The contract with other programs, held against the copy of it in `promised.txt`.
//!
//! Owns: the list of promises, and what breaks one. An added promise passes. A removed, renamed or
//! retyped one fails.
//!
//! Must never: hold a promise that is written down here. Each is read where another test holds it
//! against the code (D-Bus XML, catalog, table of events, `config.toml`, man page), or is printed
//! by the real programs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod promises;
mod sources;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Write as _, stderr};
use std::path::Path;

use promises::{NULL, promises};
use sources::Sources;

/// Names of promises, each with its type or value. Empty where the name is all.
type Promises = BTreeMap<String, String>;

const COPY: &str = include_str!("promised.txt");
const ADD: &str = "C2C_PROMISE=add cargo test --test contract";

#[test]
fn no_promise_is_removed_or_renamed_or_retyped() {
    let promised = read(COPY);
    let kept = promises(&Sources::of_this_tree());
    let broken = broken(&promised, &kept);
    assert!(
        broken.is_empty(),
        "{}\nOther programs depend on this: bring it back, and add the new beside it.",
        broken.join("\n")
    );
    let added: Promises = kept
        .into_iter()
        .filter(|(name, _)| !promised.contains_key(name))
        .collect();
    if std::env::var("C2C_PROMISE").as_deref() == Ok("add") {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/promised.txt");
        fs::write(path, written(promised.into_iter().chain(added).collect())).unwrap();
    } else if !added.is_empty() {
        // The macros' output is hidden when a test passes. This is not.
        let names = lines(added).join("\n  ");
        writeln!(stderr(), "New, and not promised yet (to promise: {ADD}):\n  {names}").unwrap();
    }
}

#[test]
fn the_copy_is_in_the_form_that_adding_writes() {
    assert_eq!(written(read(COPY)), COPY);
}

#[test]
fn each_planted_violation_is_named() {
    let sources = Sources::of_this_tree();
    let promised = promises(&sources);
    assert_eq!(broken(&promised, &promised), [""; 0]);
    for (source, from, to, told) in VIOLATIONS {
        assert_eq!(
            broken(&promised, &planted(&sources, *source, from, to)),
            [*told],
            "{from}"
        );
    }
    // Each id is in two files, and the field of each check in all of them.
    let (id, other) = ("0689bdc1edb0430894efb0b91c475fa3", "0689bdc1edb0430894efb0b91c475fa4");
    let mut changed = sources.clone();
    changed.catalog = changed.catalog.replace(id, other);
    changed.events = changed.events.replace(id, other);
    changed.check = changed.check.replace("\"cure\"", "\"remedy\"");
    assert_eq!(
        broken(&promised, &promises(&changed)),
        [
            "removed or renamed: json check .checks[].cure",
            "removed or renamed: message-id 0689bdc1edb0430894efb0b91c475fa3",
        ]
    );
}

#[test]
fn each_addition_passes() {
    let sources = Sources::of_this_tree();
    let promised = promises(&sources);
    for (source, before, new) in ADDITIONS {
        let added = planted(&sources, *source, before, &format!("{new}{before}"));
        assert_eq!(broken(&promised, &added), [""; 0], "{new}");
        assert_eq!(added.len(), promised.len() + 1, "{new}");
    }
}

#[test]
fn a_field_that_is_null_hides_its_type_and_what_it_holds() {
    let sources = Sources::of_this_tree();
    let dead = |unit: &str| {
        let mut sources = sources.clone();
        sources.dead = format!("{{\"unit\": {unit}}}");
        promises(&sources)
    };
    let promised = dead("{\"result\": \"success\"}");
    assert_eq!(broken(&promised, &dead("null")), [""; 0]);
    assert_eq!(broken(&dead("null"), &promised), [""; 0]);
    assert_eq!(
        broken(&promised, &dead("{}")),
        ["removed or renamed: json status-without-daemon .unit.result"]
    );
}

type Source = fn(&mut Sources) -> &mut String;

/// Source, text in it, what is planted instead, and what is told of it.
const VIOLATIONS: &[(Source, &str, &str, &str)] = &[
    (
        |of| &mut of.xml,
        "<node name=\"/org/",
        "<node name=\"/com/",
        "removed or renamed: object /org/cameratocloud/Auth1",
    ),
    (
        |of| &mut of.xml,
        "<method name=\"CancelPairing\"/>",
        "",
        "removed or renamed: method org.cameratocloud.Auth1.Pairing.CancelPairing",
    ),
    (
        |of| &mut of.xml,
        "<method name=\"CancelPairing\"/>",
        "<method name=\"Cancel\"/>",
        "removed or renamed: method org.cameratocloud.Auth1.Pairing.CancelPairing",
    ),
    (
        |of| &mut of.xml,
        "<arg name=\"redirect_uri\" type=\"s\"",
        "<arg name=\"redirect_uri\" type=\"ay\"",
        "changed: method org.cameratocloud.Auth1.Pairing.CompletePairing: was in s redirect_uri, is in ay redirect_uri",
    ),
    (
        |of| &mut of.xml,
        "<arg name=\"reason\" type=\"s\"/>",
        "",
        "changed: signal org.cameratocloud.Auth1.Pairing.PairingStateChanged: was s state, s reason, is s state",
    ),
    (
        |of| &mut of.xml,
        "name=\"Paired\" type=\"b\" access=\"read\"",
        "name=\"Paired\" type=\"b\" access=\"readwrite\"",
        "changed: property org.cameratocloud.Auth1.Pairing.Paired: was b read, is b readwrite",
    ),
    (
        |of| &mut of.xml,
        "value=\"const\"",
        "value=\"true\"",
        "changed: annotation org.cameratocloud.Auth1.Device.ClientId \
         org.freedesktop.DBus.Property.EmitsChangedSignal: was const, is true",
    ),
    (
        |of| &mut of.xml,
        "org.cameratocloud.Auth1.Error.NotPaired ",
        "",
        "removed or renamed: error org.cameratocloud.Auth1.Error.NotPaired",
    ),
    (
        |of| &mut of.xml,
        "        requesting-code  ",
        "        requesting       ",
        "removed or renamed: word org.cameratocloud.Auth1.Pairing.PairingState requesting-code",
    ),
    (
        |of| &mut of.xml,
        "        gave-up  ",
        "        timed-out  ",
        "removed or renamed: word org.cameratocloud.Auth1.Pairing.PairingReason gave-up",
    ),
    (
        |of| &mut of.xml,
        "        user-code        ",
        "        usercode         ",
        "removed or renamed: key org.cameratocloud.Auth1.Pairing.GetPairingCode code user-code",
    ),
    (
        |of| &mut of.xml,
        "        renew          b  default",
        "        renew          u  default",
        "changed: key org.cameratocloud.Auth1.Pairing.StartPairing options renew: was b, is u",
    ),
    (
        |of| &mut of.events,
        "| `paired` |",
        "| `is-paired` |",
        "changed: message-id 0689bdc1edb0430894efb0b91c475fa3: was paired, is is-paired",
    ),
    (
        |of| &mut of.config,
        "#give-up-after = ",
        "#patience = ",
        "removed or renamed: config pairing.give-up-after",
    ),
    (
        |of| &mut of.config,
        "#url-pairing = true",
        "#url-pairing = \"yes\"",
        "changed: config provider.url-pairing: was boolean, is string",
    ),
    (
        |of| &mut of.daemon_page,
        "\n.It 77\n",
        "\n.It 76\n",
        "removed or renamed: exit c2c-authd 77",
    ),
    (
        |of| &mut of.tool_help,
        "\n  9    ",
        "\n  10   ",
        "removed or renamed: exit c2c-authctl 9",
    ),
    (
        |of| &mut of.status,
        "\"project-name\"",
        "\"project\"",
        "removed or renamed: json status .project-name",
    ),
    (
        |of| &mut of.status,
        "\"paired\": false",
        "\"paired\": \"no\"",
        "changed: json status .paired: was boolean, is string",
    ),
    (
        |of| &mut of.status,
        "\"word\"",
        "\"name\"",
        "removed or renamed: json status .last-error.word",
    ),
    (
        |of| &mut of.dead,
        "\"credentials\"",
        "\"closed\"",
        "removed or renamed: json status-without-daemon .credentials",
    ),
];

/// Source, text in it, and what is planted before that.
const ADDITIONS: &[(Source, &str, &str)] = &[
    (
        |of| &mut of.xml,
        "<method name=\"CancelPairing\"/>",
        "<method name=\"Hurry\"/>",
    ),
    (|of| &mut of.xml, "        gave-up  ", "        bored  nobody came\n"),
    (|of| &mut of.config, "#policy = ", "#pace = 5\n"),
    (|of| &mut of.daemon_page, "\n.It 77\n", "\n.It 76\nnew"),
    (|of| &mut of.status, "\"paired\": ", "\"new\": 1, "),
];

/// The promises where the first `from` of a source, which has to be there, is replaced.
fn planted(sources: &Sources, source: Source, from: &str, to: &str) -> Promises {
    let mut changed = sources.clone();
    let text = source(&mut changed);
    assert!(text.contains(from), "nothing to plant in: {from}");
    *text = text.replacen(from, to, 1);
    promises(&changed)
}

/// One line for each promise that is not kept.
fn broken(promised: &Promises, kept: &Promises) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, was) in promised {
        match kept.get(name) {
            // The type of a field cannot be seen while it is `null`, nor what it holds.
            Some(is) if is == was || is == NULL || was == NULL => {}
            Some(is) => broken.push(format!("changed: {name}: was {was}, is {is}")),
            None if is_inside_null(name, kept) => {}
            None => broken.push(format!("removed or renamed: {name}")),
        }
    }
    broken
}

fn is_inside_null(name: &str, kept: &Promises) -> bool {
    name.match_indices('.')
        .any(|(end, _)| kept.get(&name[..end]).is_some_and(|value| value == NULL))
}

fn read(copy: &str) -> Promises {
    copy.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (name, value) = line.split_once(" = ").unwrap_or((line, ""));
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

fn lines(promises: Promises) -> Vec<String> {
    let line = |(name, value): (String, String)| {
        if value.is_empty() {
            name
        } else {
            format!("{name} = {value}")
        }
    };
    promises.into_iter().map(line).collect()
}

fn written(promises: Promises) -> String {
    format!(
        "# The promises that other programs depend on, one a line. The list only grows: to take new ones in, run\n\
         #   {ADD}\n\
         # To change or remove a line by hand is to break a promise.\n\n{}\n",
        lines(promises).join("\n")
    )
}
