//! `metrics`: numbers that a fleet alerts on, as a textfile of Prometheus' `node_exporter`.
//!
//! Must never: name a device, a project or a person, or start a daemon that does not run.

use std::fmt::Write as _;
use std::path::Path;

use super::connect::connect_if_there;
use super::exit::{Exit, Failure};
use super::output::print;
use super::status::Status;
use crate::messages::contract::BusAddress;
use crate::system::atomic_file::{Access, Disk};

/// `node_exporter` reads `*.prom`. The file that is being written has another ending.
const FILE: &str = "c2c-authd.prom";

/// Writes them into the directory, or to standard output.
pub(super) async fn metrics(bus: &BusAddress, directory: Option<&Path>) -> Result<Exit, Failure> {
    let text = text(read(bus).await?.as_ref());
    let Some(directory) = directory else {
        return print(&text).map(|()| Exit::Ok);
    };
    let path = directory.join(FILE);
    // Its reader is another user.
    let written = Disk::real().write(&path, text.as_bytes(), Access::of(0o644));
    written.map_err(|error| Failure::failed(format!("{}: cannot be written ({error})", path.display())))?;
    Ok(Exit::Ok)
}

/// `None`: there is no daemon, no bus, or no answer. An old file must not go on saying that all is
/// well.
async fn read(bus: &BusAddress) -> Result<Option<Status>, Failure> {
    let read = async {
        match connect_if_there(bus).await? {
            Some(connection) => Status::read(&connection).await.map(Some),
            None => Ok(None),
        }
    };
    match read.await {
        Err(failure) if failure.exit == Exit::Unreachable => Ok(None),
        read => read,
    }
}

fn text(status: Option<&Status>) -> String {
    let mut out = String::new();
    gauge(&mut out, "up", "1 if c2c-authd answers.", u64::from(status.is_some()));
    let Some(status) = status else { return out };
    gauge(&mut out, "paired", "1 if the device is paired.", status.paired.into());
    gauge(
        &mut out,
        "attention_needed",
        "1 if a person has to act.",
        status.attention_needed.into(),
    );
    // Before the first answer of the server nobody knows.
    if status.last_contact != 0 {
        let help = "1 if the user had paused the device at the last contact.";
        gauge(&mut out, "paused", help, status.paused.into());
    }
    for (name, help, time) in [
        (
            "paired_since",
            "Time at which the pairing was stored.",
            status.paired_since,
        ),
        ("token_expires", "End of the access token.", status.token_expires),
        (
            "refresh_by",
            "Time at which the pairing ends unless a refresh succeeds before.",
            status.refresh_by,
        ),
        (
            "authorization_expires",
            "End that the user chose, as of the last contact.",
            status.authorization_expires,
        ),
        ("last_contact", "Time of the server's last answer.", status.last_contact),
    ] {
        // 0 is no time: an alert on it would fire for each device.
        if time != 0 {
            gauge(&mut out, &format!("{name}_timestamp_seconds"), help, time);
        }
    }
    let version = status.daemon_version.replace(['\\', '"', '\n'], "");
    head(&mut out, "build_info", "The daemon that runs.");
    let _ = writeln!(out, "c2c_authd_build_info{{version=\"{version}\"}} 1");
    out
}

fn gauge(out: &mut String, name: &str, help: &str, value: u64) {
    head(out, name, help);
    let _ = writeln!(out, "c2c_authd_{name} {value}");
}

fn head(out: &mut String, name: &str, help: &str) {
    // Writing to a string cannot fail.
    let _ = write!(out, "# HELP c2c_authd_{name} {help}\n# TYPE c2c_authd_{name} gauge\n");
}
