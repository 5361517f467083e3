//! `report`: one text file for support, which a person can read before it is sent.
//!
//! Owns: what a report holds, and its size. Must never: open a secret or a file of the state, print
//! a value whose kind is not known ([`config::shown`]), or write over anything.
//!
//! Invariants: what names a device, a project or a machine is replaced by a hash ([`ids`]). A part
//! that cannot be had is told as such, and the others are there.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::check;
use super::exit::{Exit, Failure};
use super::output::{note, print_raw, printable, to_json};
use super::program::program;
use super::site::{Site, UNIT, USER};
use super::status::{self, Look};
use super::systemd;
use super::time::{now, utc};
use crate::config;
use crate::messages::contract::BusAddress;
use ids::Ids;

mod ids;
mod journal;

/// A mail takes this size everywhere.
const LIMIT: usize = 1024 * 1024;

/// For each part but the journal, which gets what is left: at least a third.
const PART: usize = 96 * 1024;

/// Writes it. `path` is a new file, or `-` for standard output.
pub(super) async fn report(bus: &BusAddress, path: &Path) -> Result<Exit, Failure> {
    if path.as_os_str() == "-" {
        print_raw(&text(bus).await)?;
        return Ok(Exit::Ok);
    }
    let failed = |error| {
        Failure::failed(format!(
            "{}: cannot be written ({error}); nothing was replaced",
            path.display()
        ))
    };
    let make = || File::options().write(true).create_new(true).mode(0o600).open(path);
    // Tried before the minute that the rest may take, in which somebody may interrupt it.
    make().and_then(|_| fs::remove_file(path)).map_err(failed)?;
    let text = text(bus).await;
    let mut file = make().map_err(failed)?;
    if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
        // Half of it is of no use to anybody.
        let _ = fs::remove_file(path);
        return Err(failed(error));
    }
    note(&format!(
        "{} is written. Read it before you send it: it has no secrets, but tells how this device is set up.",
        path.display()
    ));
    Ok(Exit::Ok)
}

async fn text(bus: &BusAddress) -> String {
    let site = Site::host();
    let mut ids = Ids::of(&site);
    let configuration = config::shown(&site.system(), &mut |id| {
        ids.learn("client-id", id);
        ids.hash("client-id", id)
    });
    let look = status::look(bus).await;
    if let Ok(Look::Answered(status)) = &look {
        ids.learn("client-id", &status.client_id);
        ids.learn("project-id", &status.project_id);
        ids.learn("project-name", &status.project_name);
        ids.learn("device-name", &status.device_name);
    }
    let unit = unit();
    ids.learn("project-name", project_in(&unit).unwrap_or_default());
    let status = look.and_then(|look| to_json(&look));
    let parts = [
        ("versions", versions(&site)),
        ("status", status.unwrap_or_else(|failure| format!("{failure}\n"))),
        ("check", check::text(bus).await),
        ("configuration", configuration),
        ("unit", unit),
        ("bus policy", policy(&site)),
        ("groups", groups(&site)),
    ];
    let mut out = format!(
        "A report of c2c-authctl, made at {}. Hidden ids have the form <KIND:HASH>.\n",
        utc(now())
    );
    for (name, content) in parts {
        let _ = write!(out, "\n==== {name}\n{}", cut(ids.hide(&printable(&content)), PART));
    }
    out.push_str("\n==== journal, 3 days, the newest last\n");
    let journal = journal::text(&ids, LIMIT - out.len());
    out + &journal
}

/// The beginning of a text, up to a size.
fn cut(mut text: String, size: usize) -> String {
    const CUT: &str = "\n(the rest is left out)\n";
    if text.len() > size {
        let end = (0..=size - CUT.len()).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push_str(CUT);
    }
    text
}

fn versions(site: &Site) -> String {
    let line = |path: &str| {
        let text = fs::read_to_string(site.path(path)).unwrap_or_default();
        text.lines()
            .find(|line| !line.is_empty())
            .unwrap_or("unknown")
            .to_owned()
    };
    let said = program("systemctl").arg("--version").output();
    let systemd = said.map_or_else(
        |_| "none".to_owned(),
        |said| String::from_utf8_lossy(&said.stdout).into_owned(),
    );
    format!(
        "c2c-authctl {}, {}\nsystem: {}\nkernel: {}\nservice manager: {}\nrun by uid {}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        line("/etc/os-release"),
        line("/proc/sys/kernel/osrelease"),
        systemd.lines().next().unwrap_or("unknown"),
        rustix::process::geteuid().as_raw()
    )
}

/// Properties by name: the text of a unit may hold a secret.
fn unit() -> String {
    const SHOWN: &str = "--property=LoadState,ActiveState,SubState,UnitFileState,Result,ExecMainCode,ExecMainStatus,\
                         NRestarts,StatusText,Type,FragmentPath,DropInPaths,NeedDaemonReload,ActiveEnterTimestamp,\
                         InactiveEnterTimestamp,MemoryCurrent";
    systemd::show(&[SHOWN, UNIT]).unwrap_or_else(|| "systemd does not answer\n".to_owned())
}

/// The project in the daemon's sentence, which systemd keeps also where the daemon does not answer.
fn project_in(unit: &str) -> Option<&str> {
    let sentence = unit.lines().find_map(|line| line.strip_prefix("StatusText="))?;
    let (_, quoted) = sentence.split_once('"')?;
    Some(quoted.rsplit_once('"').map_or(quoted, |(name, _)| name))
}

fn policy(site: &Site) -> String {
    let mut out = String::new();
    for (path, text) in check::policies(site) {
        let _ = writeln!(out, "-- {}\n{}", path.display(), cut(text, PART / 4).trim_end());
    }
    if out.is_empty() { "none\n".to_owned() } else { out }
}

/// By number: a login name may be a person's.
fn groups(site: &Site) -> String {
    let access = site.config().ok().map(|config| config.access);
    let configured = access
        .iter()
        .flat_map(|access| access.ui.gids.iter().chain(&access.uploader.gids));
    let named = ["c2c-ui", "c2c-uploader"].map(|name| site.accounts.group_named(name));
    let mut found: Vec<_> = configured.filter_map(|gid| site.accounts.group(*gid)).collect();
    found.extend(named.into_iter().flatten());
    found.sort_by_key(|group| group.gid);
    found.dedup();
    let mut out = format!(
        "{USER}: {}\n",
        if site.service.is_some() {
            "exists"
        } else {
            "no such user"
        }
    );
    for group in found {
        let members = group.members.iter().filter_map(|name| site.accounts.user_named(name));
        let members: Vec<_> = members.map(|user| user.uid.to_string()).collect();
        let _ = writeln!(
            out,
            "{}: gid {}, members by uid: {}",
            group.name,
            group.gid,
            members.join(" ")
        );
    }
    out
}

#[cfg(test)]
mod tests;
