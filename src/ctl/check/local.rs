//! The checks of the machine itself: configuration, users, state directory, clock.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::causes::unless_explained;
use super::readable::why_not;
use super::{Finding, Rows};
use crate::config::accounts::Accounts;
use crate::config::{Config, Principals};
use crate::ctl::site::{Site, USER, may_be_file, names};
use crate::ctl::time::{now, span, utc};
use crate::messages;
use crate::store::{REVOCATIONS, is_set_aside};
use crate::system::clock::Clock;
use c2c_auth_core::Reason;

pub(super) fn configuration(site: &Site, found: &mut Rows) -> Option<Config> {
    const CHECK: &str = "configuration";
    let config = match site.config() {
        Ok(config) => config,
        Err(error) => {
            found.push(Finding::fail(CHECK, error.to_string(), ""));
            return None;
        }
    };
    let files: Vec<_> = config.files.iter().map(|file| file.display().to_string()).collect();
    let told = if files.is_empty() {
        "no file; every value is its default".to_owned()
    } else {
        files.join(" < ")
    };
    found.push(match config.provider_with(None) {
        Err(error) => Finding::fail(CHECK, error.to_string(), ""),
        Ok(provider) if provider.first_origin().is_none() => Finding::fail(CHECK, "it names no server", ""),
        Ok(_) => Finding::ok(CHECK, told),
    });
    let needed = config
        .files
        .iter()
        .chain(&config.tls.ca_file)
        .chain(&config.device.sources);
    let shut = needed.filter_map(|file| why_not(site, file));
    found.extend(shut.map(|(what, cure)| Finding::fail(CHECK, what, cure)));
    let warnings = config.warnings.iter();
    found.extend(warnings.map(|warning| Finding::warn(CHECK, warning, "")));
    Some(config)
}

pub(super) fn identity(config: Option<&Config>, found: &mut Rows) {
    const CHECK: &str = "client-id";
    let Some(config) = config else {
        return found.push(unless_explained(found.all(), Finding::fail(CHECK, "not known", "")));
    };
    let told = messages::reason(Reason::ClientIdMissing);
    let device = &config.device;
    found.push(match (&device.client_id, &device.client_id_absent) {
        (Some(id), _) => Finding::ok(CHECK, id),
        (None, Some(why)) => Finding::fail(CHECK, why, "Bring it there, or set device.client-id"),
        (None, None) => Finding::fail(CHECK, told.what, told.cure),
    });
}

pub(super) fn firmware(config: Option<&Config>, found: &mut Rows) {
    let Some(Config { device, .. }) = config else { return };
    found.push(match device.firmware_version.as_str() {
        "" => Finding::ok("firmware", "not known; no server is told"),
        version => Finding::ok("firmware", format!("{version} ({})", device.firmware_source)),
    });
}

/// The daemon's user, and who holds a role.
pub(super) fn users(site: &Site, config: Option<&Config>, found: &mut Rows) {
    found.push(match site.service {
        Some((uid, _)) => Finding::ok("user", format!("{USER} (uid {uid})")),
        None => Finding::fail("user", format!("there is no user {USER}"), "Run: systemd-sysusers"),
    });
    let Some(config) = config else { return };
    for (check, role) in [
        ("role-ui", &config.access.ui),
        ("role-uploader", &config.access.uploader),
    ] {
        found.push(if role.uids.is_empty() && role.gids.is_empty() {
            Finding::warn(
                check,
                "nobody but root holds this role",
                "Name an existing group or user in [access]; the package's groups are made by: systemd-sysusers",
            )
        } else {
            Finding::ok(check, holders(&*site.accounts, role))
        });
    }
}

fn holders(accounts: &dyn Accounts, role: &Principals) -> String {
    let users = role.uids.iter().map(|uid| {
        let user = accounts.user(*uid);
        user.map_or_else(|| format!("uid {uid}"), |user| format!("user {}", user.name))
    });
    let groups = role.gids.iter().map(|gid| {
        let Some(group) = accounts.group(*gid) else {
            return format!("gid {gid}");
        };
        let members = if group.members.is_empty() {
            "no members; services join it by SupplementaryGroups=".to_owned()
        } else {
            group.members.join(", ")
        };
        format!("group {} ({members})", group.name)
    });
    users.chain(groups).collect::<Vec<_>>().join(", ")
}

/// Whose the state directory is, whether it can be written, and what was set aside in it. `runs`: a
/// daemon uses it.
pub(super) fn state(site: &Site, config: Option<&Config>, runs: bool, found: &mut Rows) {
    const CHECK: &str = "state";
    if config.is_none() {
        // Nobody knows which directory it is.
        return found.push(unless_explained(found.all(), Finding::fail(CHECK, "not known", "")));
    }
    let directory = site.state_directory(config);
    let name = directory.display();
    let metadata = match fs::metadata(&directory) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            found.push(if runs {
                gone(CHECK, &directory)
            } else if config.is_some_and(|config| config.state.directory.is_some()) {
                Finding::fail(
                    CHECK,
                    format!("{name} does not exist"),
                    "Create it, owned by c2c-authd, mode 0700",
                )
            } else {
                Finding::ok(CHECK, format!("{name} is created at the first start"))
            });
            return;
        }
        Err(error) => return found.push(Finding::fail(CHECK, format!("{name}: {error}"), "")),
    };
    let cure = "Mount it read-write, or set state.directory to a writable place";
    found.push(usable(site, CHECK, &directory, &metadata, cure));
    // Others than root and the daemon may not look in.
    let mut names = names(&directory).unwrap_or_default();
    names.retain(|name| may_be_file(&directory.join(name)));
    let aside: Vec<_> = names
        .iter()
        .filter(|name| is_set_aside(name))
        .map(String::as_str)
        .collect();
    if !aside.is_empty() {
        found.push(Finding::warn(
            CHECK,
            format!("unusable records were set aside: {}", aside.join(", ")),
            "The journal says why: journalctl -u c2c-authd C2C_EVENT=record-unusable; to remove them: c2c-authctl factory-reset",
        ));
    }
    if names.iter().any(|name| name == REVOCATIONS) {
        found.push(Finding::warn(
            CHECK,
            "a former pairing has yet to be revoked at the server",
            "Connect the device to the internet; the daemon does it by itself",
        ));
    }
}

/// The runtime directory, where the flow is, and a pair that the state directory does not take.
pub(super) fn runtime(site: &Site, runs: bool, found: &mut Rows) {
    const CHECK: &str = "runtime";
    let directory = site.runtime_directory();
    found.push(match fs::metadata(&directory) {
        Ok(metadata) => usable(site, CHECK, &directory, &metadata, "Mount it read-write"),
        Err(error) if error.kind() == io::ErrorKind::NotFound && runs => gone(CHECK, &directory),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Finding::ok(CHECK, format!("{} is created at a start", directory.display()))
        }
        Err(error) => Finding::fail(CHECK, format!("{}: {error}", directory.display()), ""),
    });
}

/// A directory that systemd makes at a start and that a running daemon cannot make.
fn gone(check: &'static str, directory: &Path) -> Finding {
    Finding::fail(
        check,
        format!("{} was removed while the daemon runs", directory.display()),
        "Run: systemctl restart c2c-authd",
    )
}

/// The daemon's own rules for a directory, and whether there is room. `read_only`: the cure.
fn usable(site: &Site, check: &'static str, directory: &Path, metadata: &Metadata, read_only: &str) -> Finding {
    let name = directory.display();
    match site.service {
        Some((uid, _)) if uid != metadata.uid() => Finding::fail(
            check,
            format!(
                "{name} belongs to uid {}, and the daemon runs as uid {uid}",
                metadata.uid()
            ),
            format!("Run: chown -R {USER}: {name}"),
        ),
        _ if metadata.mode() & 0o022 != 0 => Finding::fail(
            check,
            format!(
                "{name} can be written by others (mode {:04o})",
                metadata.mode() & 0o7777
            ),
            format!("Run: chmod 0700 {name}"),
        ),
        _ => room(check, directory, read_only),
    }
}

fn room(check: &'static str, directory: &Path, read_only: &str) -> Finding {
    // Both generations, their successors, what was set aside, and the spare file.
    const ENOUGH: u64 = 512 * 1024;
    let name = directory.display();
    let space = match statvfs(directory) {
        Ok(space) => space,
        Err(error) => return Finding::warn(check, format!("{name}: {error}"), ""),
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if space.f_flag.contains(StatVfsMountFlags::RDONLY) {
        Finding::fail(
            check,
            format!("{name} is on a file system that is mounted read-only"),
            read_only,
        )
    } else if free < ENOUGH {
        Finding::fail(check, format!("{name} has only {free} bytes left"), "Free some space")
    } else {
        Finding::ok(check, format!("{name}, {} MiB free", free / 1024 / 1024))
    }
}

/// Checks that the clock can be right at all. The row `time` holds it against the server's.
pub(super) fn clock(found: &mut Rows) {
    let floor = Clock::new(None).floor().as_secs();
    let now = now();
    found.push(if now < floor {
        Finding::fail(
            "clock",
            format!(
                "the clock says {}, {} before this software was built",
                utc(now),
                span(floor - now, 2)
            ),
            "Set it, or let it find a time server",
        )
    } else {
        Finding::ok("clock", "later than the build date")
    });
}
