//! The published configuration is good: `config/config.toml` and the examples.

use super::*;
use crate::config::raw::Raw;

const DOCUMENTED: &str = include_str!("../../../config/config.toml");

/// Lines of `config.toml` that begin with `prefix` and a key, uncommented, with their section:
/// `(section, line)`.
fn documented(prefix: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in DOCUMENTED.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some(line) = line.strip_prefix(prefix)
            && line.starts_with(|c: char| c.is_ascii_lowercase())
        {
            found.push((section.clone(), line.to_owned()));
        }
    }
    found
}

#[test]
fn every_documented_default_is_the_default_of_the_code() {
    let empty = values(good(""));
    let defaults = documented("#");
    assert!(defaults.len() > 10);
    for (section, line) in defaults {
        // Alone with what it needs, so that no other line can hide a difference.
        assert_eq!(
            values(good(&format!("[{section}]\n{line}\n"))),
            empty,
            "[{section}] {line}"
        );
    }
}

#[test]
fn every_documented_example_is_good_and_differs_from_the_default() {
    let machine = Machine::new();
    machine.write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    let empty = values(machine.read("").unwrap());
    for (section, line) in documented("# e.g. ") {
        if section == "provider" {
            assert!(
                is_good_with_some_kind(&machine, &line),
                "[{section}] {line} goes with no kind, or changes nothing"
            );
            continue;
        }
        let config = machine
            .read(&format!("[{section}]\n{line}\n"))
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_ne!(
            values(config),
            empty,
            "[{section}] {line} is a default and must be shown as one"
        );
    }
}

/// True if a line of `[provider]` has an effect beside the least that one of the kinds needs.
fn is_good_with_some_kind(machine: &Machine, line: &str) -> bool {
    let key = |line: &str| line.split(' ').next().unwrap().to_owned();
    [DEVICE, CODE].into_iter().any(|least| {
        let others: Vec<_> = least.lines().filter(|other| key(other) != key(line)).collect();
        let base = machine.read(&format!("[provider]\n{least}\n"));
        let changed = machine.read(&format!("[provider]\n{}\n{line}\n", others.join("\n")));
        changed.is_ok_and(|changed| values(changed) != values(base.unwrap()))
    })
}

#[test]
fn every_key_is_documented_exactly_once_and_no_other() {
    let mut written: Vec<_> = documented("#")
        .into_iter()
        .chain(documented("# e.g. "))
        .map(|(section, line)| format!("{section}.{}", line.split(' ').next().unwrap()))
        .collect();
    written.sort();
    let mut known: Vec<_> = Raw::schema()
        .into_iter()
        .flat_map(|(section, keys)| keys.into_iter().map(move |key| format!("{section}.{key}")))
        .collect();
    known.sort();
    assert_eq!(written, known);
}

#[test]
fn the_shipped_file_as_it_is_changes_nothing() {
    assert_eq!(values(good(DOCUMENTED)), values(good("")));
}

#[test]
fn the_documented_application_id_is_the_one_in_the_code() {
    let hex = format!("{:032x}", u128::from_be_bytes(identity::APPLICATION_ID));
    assert!(DOCUMENTED.contains(&hex), "{hex}");
}

#[test]
fn each_example_file_is_a_whole_configuration_of_its_kind() {
    let machine = Machine::new();
    machine.write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    machine.write("/factory/serial-number", "SN-1\n");
    machine.write("/sys/firmware/devicetree/base/serial-number", "SN-1\0");
    let whole = |kind: &str, text: &str| {
        let config = machine
            .read(text)
            .unwrap_or_else(|error| panic!("{kind}: {error}\n{text}"));
        assert_eq!(config.provider.kind(), kind);
        assert!(config.device.client_id.is_some(), "{kind}");
        let told = config.warnings.iter().filter(|told| !is_of_the_machine(told));
        assert_eq!(told.collect::<Vec<_>>(), [""; 0], "{kind}\n{text}");
    };
    for (kind, text) in [
        ("frameio-c2c", include_str!("../../../config/examples/frameio-c2c.toml")),
        (
            "oauth-device",
            include_str!("../../../config/examples/oauth-device.toml"),
        ),
        ("oauth-code", include_str!("../../../config/examples/oauth-code.toml")),
    ] {
        whole(kind, text);
        // Each alternative that an example shows must be good as well.
        let lines: Vec<_> = text.lines().collect();
        let shown = alternatives(&lines);
        assert!(!shown.is_empty(), "{kind}");
        for block in shown {
            whole(kind, &chosen(&lines, &block));
        }
    }
}

#[test]
fn each_file_for_a_server_is_a_whole_configuration_without_a_warning() {
    let machine = Machine::new();
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/providers")).unwrap();
    let mut count = 0;
    for file in files {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let config = machine.read(&text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.provider.kind(), "oauth-device", "{}", path.display());
        let told = config.warnings.iter().filter(|told| !is_of_the_machine(told));
        assert_eq!(told.collect::<Vec<_>>(), [""; 0], "{}", path.display());
        count += 1;
    }
    assert_eq!(count, 7);
}

/// The key of a line that is there to be uncommented.
fn alternative(line: &str) -> Option<&str> {
    let (key, _) = line.strip_prefix('#')?.split_once(" = ")?;
    key.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        .then_some(key)
}

/// Such lines that stand together are chosen together. A key that comes again is another choice.
fn alternatives(lines: &[&str]) -> Vec<Vec<usize>> {
    let mut blocks: Vec<Vec<usize>> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(key) = alternative(line) else { continue };
        match blocks.last_mut() {
            Some(block)
                if block.last() == Some(&(at - 1)) && block.iter().all(|at| alternative(lines[*at]) != Some(key)) =>
            {
                block.push(at);
            }
            _ => blocks.push(vec![at]),
        }
    }
    blocks
}

/// The text with these lines in place of those of their section that have the same keys, or that
/// they name behind "instead of".
fn chosen(lines: &[&str], block: &[usize]) -> String {
    let home = |at: usize| lines[..at].iter().rposition(|line| line.starts_with('['));
    let replaces = |line: &str| {
        let named = |at: usize| {
            lines[at]
                .split_once("# instead of ")
                .is_some_and(|(_, key)| Some(key) == key_of(line))
        };
        block
            .iter()
            .any(|at| key_of(line) == alternative(lines[*at]) || named(*at))
    };
    let kept = lines.iter().enumerate().filter_map(|(at, line)| {
        if block.contains(&at) {
            return line.strip_prefix('#');
        }
        let stays = home(at) != home(block[0]) || key_of(line).is_none() || !replaces(line);
        stays.then_some(*line)
    });
    kept.collect::<Vec<_>>().join("\n")
}

fn key_of(line: &str) -> Option<&str> {
    let (key, _) = line.split_once(" = ")?;
    (!key.starts_with('#')).then_some(key)
}
