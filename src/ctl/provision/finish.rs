//! The end of `provision`: restarts the daemon with the new secrets, and reports.

use std::fmt::Write as _;

use super::tpm_drop_in::{DEVICE, Seen, Settled, settle};
use super::{Done, Report, ask, host_key, store};
use crate::ctl::args::{How, Provision};
use crate::ctl::exit::{Exit, Failure};
use crate::ctl::output::tell;
use crate::ctl::site::{Site, UNIT, need_root};
use crate::ctl::systemd::{Unit, daemon_reload, property, systemctl};

pub(in crate::ctl) fn provision(wanted: &Provision) -> Result<Exit, Failure> {
    need_root("provision")?;
    let site = Site::host();
    let mut report = store(&site, wanted, ask::ask)?;
    // Sealed anew it is the same secret, which the daemon has.
    let taken_up = report.changed && !matches!(wanted.how, How::Resealed(_)) && !wanted.no_restart;
    wait_for_tpm(&site, &mut report);
    let mut complaint = None;
    if taken_up {
        (report.unit, complaint) = take_up(&site);
    }
    tell(&report, wanted.json, || report.text(), &report.warnings)?;
    complaint.map_or(Ok(Exit::Ok), |complaint| Err(Failure::failed(complaint)))
}

/// Not one with the secrets: should the power be cut in between, they are in force, and the same
/// command comes to this.
fn wait_for_tpm(site: &Site, report: &mut Report) {
    // Not After=: systemd orders whom it gives encrypted credentials behind the TPM by itself,
    // which pulls nothing in.
    let pulled_in = ["Wants", "Requires"].map(|kind| property(UNIT, kind).unwrap_or_default());
    let mut pulled_in = pulled_in.iter().flat_map(|units| units.split(' '));
    let seen = Seen {
        needed: report.needs_tpm,
        device: property(DEVICE, "ActiveState").is_some_and(|state| state == "active"),
        waits: pulled_in.any(|unit| unit == DEVICE || unit == "tpm2.target"),
    };
    match settle(site, seen) {
        Settled::Unchanged => return,
        Settled::Advice(sentence) => {
            report.warnings.push(sentence);
            return;
        }
        Settled::Written(path) => report.unit_drop_in = Some(path),
        Settled::Removed => {}
    }
    report.changed = true;
    // Where there is no systemd to hear of it, there is one at the next boot.
    let _ = daemon_reload();
}

/// Makes the daemon read its secrets: one that runs is restarted, one that died, most likely of
/// them, is started.
fn take_up(site: &Site) -> (&'static str, Option<String>) {
    if let Some(why) = host_key::lost_by_a_start(site) {
        return (
            "left-alone",
            Some(format!(
                "the secrets are stored, but c2c-authd was not restarted: {why}"
            )),
        );
    }
    let Some(unit) = Unit::read() else {
        return ("no-service-manager", None);
    };
    let (verb, done) = match unit.active_state.as_str() {
        "failed" => ("restart", "started"),
        "inactive" => return ("not-running", None),
        _ => ("try-restart", "restarted"),
    };
    // Failed restarts count against the start limit, and their cause is gone.
    let _ = systemctl("reset-failed");
    match systemctl(verb) {
        Ok(()) => (done, None),
        Err(said) => (
            "failed",
            Some(format!(
                "the secrets are stored, but c2c-authd does not start with them ({said}); see: c2c-authctl check"
            )),
        ),
    }
}

impl Report {
    pub(super) fn text(&self) -> String {
        if !self.changed {
            return format!("Nothing to do: everything is in place.\n{}\n", self.protection);
        }
        let mut out = String::new();
        for (what, done) in [
            ("client secret", self.client_secret),
            ("state key", self.state_key),
            ("client id", self.client_id),
        ] {
            let told = match done {
                Done::None => continue,
                Done::Unchanged => "unchanged",
                Done::Stored => "stored",
                Done::Replaced => "replaced",
                Done::Moved => "unchanged, stored anew",
            };
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{what:<14} {told}");
        }
        let unit = match self.unit {
            "restarted" => "c2c-authd was restarted.",
            "started" => "c2c-authd, which had failed, was started.",
            "not-running" => "c2c-authd is not running; it starts at boot or when it is called.",
            "no-service-manager" => "systemd does not answer; restart c2c-authd if it runs.",
            "failed" => "c2c-authd does not start.",
            _ => "",
        };
        let _ = writeln!(out, "{:<14} {}", "stored in", self.place.display());
        if let Some(path) = &self.unit_drop_in {
            let _ = writeln!(out, "{:<14} waits for the TPM at boot: {}", "unit", path.display());
        }
        let _ = writeln!(out, "\n{}", self.protection);
        if !unit.is_empty() {
            let _ = writeln!(out, "{unit}");
        }
        out
    }
}
