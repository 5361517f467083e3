//! The bus and the service manager: files that must be installed, the unit, and the daemon itself
//! if it answers.

use std::fs;
use std::path::PathBuf;

use zbus::Connection;

use super::causes::{explained, unless_explained};
use super::{Finding, Rows};
use crate::config::Config;
use crate::ctl::access::{self, Caller};
use crate::ctl::args::Command;
use crate::ctl::exit::{Exit, Failure};
use crate::ctl::output::one_line;
use crate::ctl::site::Site;
use crate::ctl::status::Status;
use crate::ctl::systemd::Unit;
use crate::messages;
use crate::messages::contract::NAME;

/// The policy, for each role, and what starts the daemon when it is called.
pub(super) fn bus_files(site: &Site, config: Option<&Config>, found: &mut Rows) {
    let policies = policies(site);
    let own = format!("own=\"{NAME}\"");
    if policies.iter().any(|(_, text)| text.contains(&own)) {
        let paths: Vec<_> = policies.iter().map(|(path, _)| path.display().to_string()).collect();
        found.push(Finding::ok("bus-policy", paths.join(", ")));
    } else {
        found.push(Finding::fail(
            "bus-policy",
            format!("no bus policy lets the daemon own {NAME}"),
            format!("Install dbus/{NAME}.conf into /usr/share/dbus-1/system.d, then: systemctl reload dbus"),
        ));
    }
    for (role, holders) in config
        .into_iter()
        .flat_map(|config| [("ui", &config.access.ui), ("uploader", &config.access.uploader)])
    {
        let groups = holders.gids.iter().filter_map(|gid| site.accounts.group(*gid));
        let groups = groups.map(|group| format!("group=\"{}\"", group.name));
        let users = holders.uids.iter().filter_map(|uid| site.accounts.user(*uid));
        let users = users.map(|user| format!("user=\"{}\"", user.name));
        for holder in groups.chain(users).filter(|holder| holder != "user=\"root\"") {
            if !policies.is_empty() && !policies.iter().any(|(_, text)| text.contains(&holder)) {
                found.push(Finding::warn(
                    "bus-policy",
                    format!("[access] gives {holder} the role {role}, but the bus policy does not let it through"),
                    "Copy the role's block of the policy into a file of your own in /etc/dbus-1/system.d",
                ));
            }
        }
    }
    let activation = site.path(format!("/usr/share/dbus-1/system-services/{NAME}.service"));
    found.push(match fs::read_to_string(&activation) {
        Ok(text)
            if text
                .lines()
                .any(|line| line.trim() == "SystemdService=c2c-authd.service") =>
        {
            Finding::ok("activation", activation.display().to_string())
        }
        Ok(_) => Finding::warn(
            "activation",
            format!("{} does not name c2c-authd.service", activation.display()),
            "Install the package's file again",
        ),
        Err(error) => Finding::warn(
            "activation",
            format!("{}: {error}; calls do not start the daemon", activation.display()),
            "Install it, or enable the unit",
        ),
    });
}

/// The files of the bus policy that name us, with their text.
pub(in crate::ctl) fn policies(site: &Site) -> Vec<(PathBuf, String)> {
    let directories = [
        "/usr/share/dbus-1/system.d",
        "/usr/local/share/dbus-1/system.d",
        "/etc/dbus-1/system.d",
    ];
    let directories = directories.into_iter();
    directories
        .flat_map(|directory| policies_in(&site.path(directory)))
        .collect()
}

fn policies_in(directory: &std::path::Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .filter_map(|path| {
            let text = fs::read_to_string(&path).ok()?;
            text.contains(NAME).then_some((path, text))
        })
        .collect();
    found.sort();
    found
}

/// Systemd's word first: it tells why nobody answers.
pub(super) fn unit(unit: Option<&Unit>, found: &mut Rows) {
    let cause = unit.and_then(|unit| explained(found.all(), unit.causes()));
    found.push(match unit {
        _ if let Some(earlier) = cause => Finding::skip("unit", earlier),
        None => Finding::warn(
            "unit",
            "systemd does not answer",
            "Ignore this if the system does not run systemd",
        ),
        Some(unit) => judge(unit),
    });
}

/// The status is what the daemon answered, if it did. `connected`: to the bus, and a warning about
/// who owns the name there.
pub(super) async fn daemon(
    site: &Site,
    connected: Result<(Connection, Option<String>), Failure>,
    found: &mut Rows,
) -> Result<Status, Exit> {
    let status = match connected {
        Ok((connection, warning)) => {
            found.extend(warning.map(|warning| Finding::warn("daemon", warning, "")));
            Status::read(&connection).await
        }
        Err(failure) => Err(failure),
    };
    found.push(match &status {
        Ok(status) => answered(status),
        Err(failure) if failure.exit == Exit::Denied => {
            let check = Command::Check {
                json: false,
                offline: false,
                paired: false,
            };
            Finding::warn(
                "daemon",
                access::refusal(site, &check, &Caller::this()),
                "Or run this as root",
            )
        }
        Err(failure) => {
            let silent = Finding::fail("daemon", &failure.sentence, "");
            unless_explained(found.all(), silent)
        }
    });
    status.map_err(|failure| failure.exit)
}

fn judge(unit: &Unit) -> Finding {
    const CHECK: &str = "unit";
    if let Some(death) = unit.death() {
        return Finding::fail(CHECK, death.what, death.cure);
    }
    match (unit.active_state.as_str(), unit.restarts) {
        ("active", 0) => Finding::ok(CHECK, "active"),
        ("active", restarts) => Finding::warn(
            CHECK,
            format!("active; restarted {restarts} times since it was last started by hand"),
            "See the journal: journalctl -u c2c-authd",
        ),
        ("inactive", _) => Finding::ok(
            CHECK,
            format!("inactive ({}), started when somebody calls", unit.file_state),
        ),
        (state, _) => Finding::warn(CHECK, state, "See: systemctl status c2c-authd"),
    }
}

/// The sentence that is read out if the daemon does not let this user know.
const REFUSED: &str = "this user may not ask the daemon if this device is paired";

/// For those who ask that the device be paired. The daemon alone knows.
pub(super) fn pairing(status: Result<&Status, Exit>, found: &[Finding]) -> Finding {
    const CHECK: &str = "pairing";
    let status = match status {
        Ok(status) => status,
        Err(exit) => {
            let what = "it cannot be told if this device is paired";
            // No fault of the device has been found: there is no id.
            let unknown = Finding {
                id: "",
                sentence: Some(if exit == Exit::Denied { REFUSED } else { what }.to_owned()),
                ..Finding::fail(
                    CHECK,
                    what,
                    "Mend what is said of the daemon, as root; then check again",
                )
            };
            return unless_explained(found, unknown);
        }
    };
    let (what, cure) = status.told();
    if status.paired {
        Finding::ok(CHECK, what)
    } else {
        let cure = if cure.is_empty() { messages::PAIR } else { cure };
        // It answered, so nothing else on this device is why.
        match explained(found, &["daemon"]) {
            Some(earlier) => Finding::skip(CHECK, earlier),
            None => Finding::fail(CHECK, what, cure),
        }
    }
}

/// The daemon's word counts as it is: this says `FAIL` where `AttentionNeeded` does, and nowhere
/// else.
fn answered(status: &Status) -> Finding {
    const CHECK: &str = "daemon";
    let (what, cure) = status.told();
    if status.attention_needed {
        let reason = status.explanation().0;
        Finding {
            sentence: (!reason.is_empty()).then(|| one_line(reason)),
            ..Finding::fail(CHECK, what, cure)
        }
    } else {
        Finding::ok(CHECK, what)
    }
}
