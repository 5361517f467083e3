//! The operator's tool as its own process, against the real daemon: what it prints, and what a
//! script learns from it.

mod metrics;
mod onlooker;
mod refused;
mod report;
mod terminal;
mod tokens;
mod verdicts;

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use c2c_testkit::harness::{Harness, LIMIT, quick};
use c2c_testkit::rig::{CLIENT_ID, Notifications, Process};

use crate::DAEMON;

const TOOL: &str = env!("CARGO_BIN_EXE_c2c-authctl");

/// The result of a command.
struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

fn command(world: &Harness, line: &str) -> Command {
    let mut command = Command::new(TOOL);
    command
        .args(["--bus", world.bus.address()])
        .args(line.split(' '))
        .env_clear();
    command
}

fn run(world: &Harness, line: &str) -> Done {
    let output = command(world, line).output().unwrap();
    Done {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A command that goes on.
fn start(world: &Harness, line: &str) -> Process {
    let directory = tempfile::tempdir().unwrap();
    let notifications = Notifications::listen(&directory.path().join("unused")).unwrap();
    Process::spawn(&mut command(world, line), notifications).unwrap()
}

/// The code that a `pair` shows.
fn shown(pair: &Process) -> String {
    let code = shown_for(pair, 0);
    let output = pair.output();
    assert!(
        output.iter().any(|line| line.contains('█') || line.contains('▀')),
        "a QR code: {output:?}"
    );
    code
}

/// The first code that a `pair` shows and that has at least so many seconds left.
fn shown_for(pair: &Process, least: u64) -> String {
    let life = |line: &str| {
        let (_, rest) = line.strip_prefix("The code ")?.split_once(" for ")?;
        rest.strip_suffix(" s.")?.parse::<u64>().ok()
    };
    let long = |line: &str| life(line).is_some_and(|left| left >= least);
    pair.wait_output_blocking(long, LIMIT).unwrap();
    let output = pair.output();
    let end = output.iter().position(|line| long(line)).unwrap();
    let above = output[..end].iter().rposition(|line| line.ends_with(" and enter"));
    output[above.unwrap() + 2].trim().to_owned()
}

/// A daemon that is paired. Another one than that which asked for the code: codes are throttled for
/// a while.
fn paired(world: &Harness) -> Process {
    let first = world.start_blocking();
    let mut pair = start(world, "pair");
    world.server.approve(&shown(&pair)).unwrap();
    assert_eq!(ended(&mut pair), Some(0), "{:?}", pair.output());
    drop(first);
    world.start_blocking()
}

fn ended(process: &mut Process) -> Option<i32> {
    process.wait_exit_blocking(LIMIT).unwrap().code()
}

#[test]
fn from_pairing_to_a_token_to_unpairing() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let before = run(&world, "status");
    assert_eq!(before.code, Some(3), "{}", before.err);
    assert!(
        before.out.contains("never paired") && before.out.contains(CLIENT_ID),
        "{}",
        before.out
    );
    let refused = run(&world, "token");
    assert_eq!((refused.code, refused.out.as_str()), (Some(3), ""));

    let mut pair = start(&world, "pair");
    world.server.approve(&shown(&pair)).unwrap();
    assert_eq!(ended(&mut pair), Some(0), "{:?}", pair.output());
    pair.wait_output_blocking(|line| line == "Paired with Testbed.", LIMIT)
        .unwrap();

    let status = run(&world, "status");
    assert_eq!(status.code, Some(0));
    assert!(status.out.starts_with("Paired with Testbed"), "{}", status.out);
    let json = run(&world, "status --json");
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    fits_the_schema(&json);
    assert_eq!(
        (&json["paired"], &json["project-name"]),
        (&true.into(), &"Testbed".into())
    );

    let token = run(&world, "token --min-validity 10min");
    let live = world
        .server
        .truth(|truth| truth.live(CLIENT_ID).access.unwrap().to_owned());
    assert_eq!(
        (token.code, token.out.trim_end(), token.err.as_str()),
        (Some(0), live.as_str(), "")
    );
    assert!(!status.out.contains(&live));

    let again = run(&world, "pair");
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("--replace"), "{}", again.err);
    let unanswered = run(&world, "unpair");
    assert_eq!(unanswered.code, Some(2), "nobody to ask: {}", unanswered.err);
    assert!(unanswered.err.contains("--yes"));
    assert_eq!(run(&world, "status").code, Some(0), "and nothing has changed");
    assert_eq!(run(&world, "unpair --yes").code, Some(0));
    assert_eq!(run(&world, "status").code, Some(3));
    assert_eq!(run(&world, "unpair --yes").code, Some(0), "idempotent");
}

/// Holds a status against `docs/status.schema.json`: it has each field that the schema requires, of
/// its type, and none that the schema does not know.
fn fits_the_schema(status: &serde_json::Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/status.schema.json");
    let schema: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let kinds = schema["oneOf"].as_array().unwrap();
    let is_it = |kind: &&serde_json::Value| kind["properties"]["running"]["const"] == status["running"];
    fits(kinds.iter().find(is_it).unwrap(), status, "status");
}

/// The report of a `check --json`, held against `docs/check.schema.json`.
fn report(world: &Harness, line: &str) -> (Option<i32>, serde_json::Value) {
    let check = run(world, line);
    let report: serde_json::Value = serde_json::from_str(&check.out).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/check.schema.json");
    let schema: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    fits(&schema, &report, "check");
    let mut failed = report["checks"].as_array().unwrap().iter();
    let failed = failed.find(|row| row["verdict"] == "fail");
    assert_eq!(
        failed.map_or(&serde_json::Value::Null, |row| &row["id"]),
        &report["first"]["id"],
        "{report}"
    );
    (check.code, report)
}

fn fits(schema: &serde_json::Value, value: &serde_json::Value, name: &str) {
    use serde_json::Value;
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    match &schema["type"] {
        Value::Null => assert_eq!(&schema["const"], value, "{name}"),
        Value::Array(types) => assert!(types.contains(&is.into()), "{name} is of type {is}"),
        of => assert_eq!(of, is, "{name}"),
    }
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{name} is {value}");
    }
    for item in value.as_array().into_iter().flatten() {
        fits(&schema["items"], item, name);
    }
    let Some(fields) = value.as_object() else { return };
    for field in schema["required"].as_array().unwrap() {
        assert!(fields.contains_key(field.as_str().unwrap()), "{name} has no {field}");
    }
    for (field, value) in fields {
        let known = &schema["properties"][field];
        assert!(
            known["description"].is_string(),
            "the schema does not describe {name}.{field}"
        );
        fits(known, value, &format!("{name}.{field}"));
    }
}

#[test]
fn an_interrupted_pair_cancels_what_it_started() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let mut pair = start(&world, "pair");
    shown(&pair);
    pair.terminate().unwrap();
    assert_eq!(ended(&mut pair), Some(130));
    let status = run(&world, "status");
    assert!(status.out.contains("cancelled on this device"), "{}", status.out);
}

#[test]
fn an_interrupted_pair_leaves_the_flow_of_another_alone() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let mut first = start(&world, "pair");
    let code = shown(&first);
    let mut second = start(&world, "pair");
    assert_eq!(shown(&second), code, "the running flow's code");
    second.terminate().unwrap();
    assert_eq!(ended(&mut second), Some(130));
    world.server.approve(&code).unwrap();
    assert_eq!(ended(&mut first), Some(0));
}

#[test]
fn cancel_ends_a_pair_that_waits() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let mut pair = start(&world, "pair");
    shown(&pair);
    let cancel = run(&world, "cancel");
    assert_eq!((cancel.code, cancel.out.as_str()), (Some(0), "Cancelled.\n"));
    assert_eq!(ended(&mut pair), Some(1));
    let again = run(&world, "cancel");
    assert_eq!(again.code, Some(0));
    assert!(again.out.contains("nothing to cancel"), "{}", again.out);
}

#[test]
fn a_declined_pairing_says_so() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let mut pair = start(&world, "pair");
    world.server.deny(&shown(&pair)).unwrap();
    assert_eq!(ended(&mut pair), Some(1));
    pair.wait_output_blocking(|line| line.contains("declined at the server"), LIMIT)
        .unwrap();
}

#[test]
fn a_code_that_runs_out_is_followed_by_the_next() {
    let world = Harness::c2c(DAEMON, quick());
    world
        .server
        .set_options(|options| options.code_life = Duration::from_secs(3));
    let _daemon = world.start_blocking();
    let mut pair = start(&world, "pair");
    let first = shown_for(&pair, 0);
    world
        .server
        .set_options(|options| options.code_life = Duration::from_secs(120));
    pair.wait_output_blocking(|line| line.contains("The code expired"), LIMIT)
        .unwrap();
    let next = shown_for(&pair, 60);
    assert_ne!(next, first);
    world.server.approve(&next).unwrap();
    assert_eq!(ended(&mut pair), Some(0), "{:?}", pair.output());
}

#[test]
fn a_declined_replacement_is_no_success_and_leaves_the_pairing() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = paired(&world);
    let mut pair = start(&world, "pair --replace");
    world.server.deny(&shown(&pair)).unwrap();
    assert_eq!(ended(&mut pair), Some(1), "{:?}", pair.output());
    pair.wait_output_blocking(|line| line.contains("paired as before"), LIMIT)
        .unwrap();
    assert_eq!(run(&world, "token").code, Some(0));
}

#[test]
fn a_replacement_that_is_approved_is_a_success() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = paired(&world);
    let mut pair = start(&world, "pair --replace");
    world.server.approve_into(&shown(&pair), "Second Unit").unwrap();
    assert_eq!(ended(&mut pair), Some(0), "{:?}", pair.output());
}

#[test]
fn a_device_without_its_secret_is_told_as_not_provisioned() {
    let world = Harness::c2c(DAEMON, quick());
    world.rig.remove_credential("client-secret").unwrap();
    let _daemon = world.start_blocking();
    let status = run(&world, "status");
    assert_eq!(status.code, Some(4));
    assert!(status.out.contains("No client secret is provisioned"), "{}", status.out);
    assert_eq!(run(&world, "pair").code, Some(4));
}

#[test]
fn a_bus_without_the_daemon_is_told_with_7() {
    let world = Harness::c2c(DAEMON, quick());
    for line in ["pair", "cancel", "unpair --yes", "token", "qr"] {
        let done = run(&world, line);
        assert_eq!(done.code, Some(7), "{line}: {}", done.err);
        assert!(done.err.contains("systemctl status c2c-authd"), "{}", done.err);
    }
    let status = run(&world, "status");
    assert_eq!((status.code, status.err.as_str()), (Some(7), ""));
    assert!(status.out.starts_with("c2c-authd does not answer."), "{}", status.out);
    let json: serde_json::Value = serde_json::from_str(&run(&world, "status --json").out).unwrap();
    assert_eq!(json["running"], false);
    assert!(json["error"].as_str().unwrap().contains("not running"), "{json}");
    fits_the_schema(&json);
}

#[test]
fn a_code_on_show_is_to_be_had_as_text_picture_and_drawing() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let none = run(&world, "qr");
    assert_eq!((none.code, none.out.as_str()), (Some(1), ""));
    assert!(none.err.contains("c2c-authctl pair"), "{}", none.err);
    let pair = start(&world, "pair");
    shown(&pair);
    let text = run(&world, "qr");
    assert!(text.code == Some(0) && text.out.contains('█'), "{}", text.err);
    assert_ne!(run(&world, "qr --static").out, text.out);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("code.png");
    let done = run(&world, &format!("qr --png {} --size 400", path.display()));
    assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (Some(0), "", ""));
    let picture = fs::read(&path).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"));
    assert!(u32::from_be_bytes(picture[16..20].try_into().unwrap()) >= 400);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o7777, 0o600, "who reads it can bind the device");
    assert!(run(&world, "qr --svg -").out.contains("<svg"));
    assert!(
        run(&world, "qr --svg /dev/fd/1").out.contains("<svg"),
        "a pipe stays one"
    );
    let nowhere = run(&world, "qr --png /nowhere/code.png");
    assert_eq!(nowhere.code, Some(1));
    assert!(nowhere.err.contains("/nowhere/code.png"), "{}", nowhere.err);
}

#[test]
fn a_picture_goes_to_a_name_of_any_form_and_to_no_directory() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let pair = start(&world, "pair");
    shown(&pair);
    let folder = tempfile::tempdir().unwrap();
    let run = |line: &str| {
        let output = command(&world, line).current_dir(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let absolute = folder.path().join("absolute.png").display().to_string();
    for name in ["bare.png", "./here.png", &absolute] {
        assert_eq!(run(&format!("qr --png {name}")), (Some(0), String::new()), "{name}");
        let picture = fs::read(folder.path().join(name)).unwrap();
        assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"), "{name}");
        // Once more over what is there.
        assert_eq!(run(&format!("qr --png {name}")), (Some(0), String::new()), "{name}");
    }
    assert_eq!(run("qr --svg bare.svg"), (Some(0), String::new()));
    assert!(
        fs::read_to_string(folder.path().join("bare.svg"))
            .unwrap()
            .starts_with("<svg")
    );
    for name in ["code/", "code/.", ".", ".."] {
        let (code, said) = run(&format!("qr --png {name}"));
        assert_eq!(code, Some(1), "{name}");
        assert!(said.contains(name) && said.contains("not the name of a file"), "{said}");
    }
    let mut left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["absolute.png", "bare.png", "bare.svg", "here.png"]);
}
