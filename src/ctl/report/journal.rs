//! The journal of the unit: what the daemon and systemd say of it, with the fields that are ours.
//!
//! Must never: pass on a field that is not named here.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read};
use std::process::Stdio;

use serde_json::{Map, Value};

use super::ids::Ids;
use crate::ctl::output::one_line;
use crate::ctl::program::program;
use crate::ctl::site::UNIT;
use crate::ctl::time::utc;

/// Fields that are shown as they are, after time, priority, process and sentence. The last are
/// systemd's.
const FIELDS: &[&str] = &[
    "C2C_EVENT",
    "C2C_STATE",
    "C2C_REASON",
    "C2C_GENERATION",
    "C2C_CALLER_UID",
    "C2C_CALLER_PID",
    "C2C_CALLER_UNIT",
    "MESSAGE_ID",
    "EXIT_CODE",
    "EXIT_STATUS",
    "UNIT_RESULT",
    "JOB_RESULT",
];

/// The file that an entry complains about. systemd quotes its lines, and an assignment in a unit
/// may hold a password.
const CONFIG_FILE: &str = "CONFIG_FILE";

/// Those that the line begins with, and that of the boot.
const BEGIN: &str = "PRIORITY,SYSLOG_IDENTIFIER,_PID,_BOOT_ID,CONFIG_FILE,MESSAGE";

/// As many of the newest entries as the room takes.
pub(super) fn text(ids: &Ids, room: usize) -> String {
    let fields = format!("--output-fields={BEGIN},{}", FIELDS.join(","));
    let unit = format!("--unit={UNIT}");
    let child = program("journalctl")
        .args(["--quiet", "--since=-3d", "--reverse", "--output=json", &fields, &unit])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return format!("journalctl: {error}\n"),
    };
    let told = child.stdout.take().map(|from| lines(ids, from, room));
    // It may have more to say, and nobody listens.
    let _ = child.kill();
    let _ = child.wait();
    told.filter(|told| !told.is_empty())
        .unwrap_or_else(|| "no entries, or this user may not read them\n".to_owned())
}

pub(super) fn lines(ids: &Ids, from: impl Read, mut room: usize) -> String {
    let mut told = Vec::new();
    for entry in BufReader::new(from).lines().map_while(Result::ok) {
        let Ok(entry) = serde_json::from_str(&entry) else {
            continue;
        };
        let line = ids.hide(&line(ids, &entry));
        let Some(left) = room.checked_sub(line.len()) else {
            break;
        };
        room = left;
        told.push(line);
    }
    told.reverse();
    told.concat()
}

fn line(ids: &Ids, entry: &Map<String, Value>) -> String {
    // A field that is there twice is a list, and one that is no text a list of bytes.
    let field = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let micros: u64 = field("__REALTIME_TIMESTAMP").parse().unwrap_or(0);
    let message = match field(CONFIG_FILE) {
        "" => one_line(field("MESSAGE")),
        file => format!("{}: a line that systemd cannot use (left out)", one_line(file)),
    };
    let mut out = format!(
        "{} <{}> {}[{}]: {message}",
        utc(micros / 1_000_000),
        one_line(field("PRIORITY")),
        one_line(field("SYSLOG_IDENTIFIER")),
        one_line(field("_PID"))
    );
    let fields = FIELDS.iter().map(|name| (*name, field(name).to_owned()));
    let boot = ("BOOT", ids.hash("boot", field("_BOOT_ID")));
    for (name, value) in fields.chain([boot]).filter(|(_, value)| !value.is_empty()) {
        // Writing to a string cannot fail.
        let _ = write!(out, " {name}={}", one_line(&value));
    }
    out.push('\n');
    out
}
