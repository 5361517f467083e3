//! `factory-reset`: the end of an ownership. The daemon forgets and tells the server; then its files go.
//!
//! Invariants: a revocation that the server did not hear of is kept, or given up only when told to, and never silently; no
//! file is removed while a daemon holds the lock on the state directory; what is removed is removed durably.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::args::FactoryReset;
use super::connect::connect_warned;
use super::exit::{Exit, Failure};
use super::proxy::PairingProxy;
use super::site::{Site, need_root};
use super::status::Status;
use super::systemd::{Unit, systemctl};
use super::{confirm, note, print, to_json};
use crate::bus::BusAddress;
use crate::core::Reason;
use files::{Outcome, Wanted};

mod files;

/// How the server learned that the pairing is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Server {
    /// It knows.
    Told,
    /// There was no pairing.
    NothingToTell,
    /// The daemon goes on trying.
    Pending,
    /// Nobody will.
    NotTold,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    server: Server,
    /// Nothing was removed, so that the server can still be told.
    held_back: bool,
    removed: Vec<String>,
    kept: Vec<String>,
    warnings: Vec<String>,
}

/// What the daemon made of it.
struct Unpaired {
    /// `None`: it did not answer.
    was_paired: Option<bool>,
    /// What is left on disk holds no token.
    tombstone: bool,
    /// Why it did not do it.
    complaint: Option<String>,
}

const QUESTION: &str = "Forget the pairing of this device for good? It cannot be undone. [y/N]";
const QUESTION_ALL: &str = "Forget the pairing of this device, its client secret, state key and client id for good? It cannot be undone. [y/N]";

/// The command.
pub(super) async fn factory_reset(bus: &BusAddress, wanted: &FactoryReset) -> Result<Exit, Failure> {
    need_root("factory-reset")?;
    if !wanted.yes {
        confirm(if wanted.provisioning { QUESTION_ALL } else { QUESTION }, "reset")?;
    }
    let report = reset(&Site::host(), bus, wanted).await?;
    print(&if wanted.json { to_json(&report)? } else { report.text() })?;
    for warning in &report.warnings {
        note(&format!("warning: {warning}"));
    }
    Ok(report.exit())
}

async fn reset(site: &Site, bus: &BusAddress, wanted: &FactoryReset) -> Result<Report, Failure> {
    let config = site.config();
    let mut warnings = Vec::new();
    if let Err(error) = &config {
        warnings.push(format!(
            "the configuration cannot be read, so the usual places are looked at: {error}"
        ));
    }
    let config = config.ok();
    let state = site.state_directory(config.as_ref());
    let unpaired = unpair(bus).await?;
    if unpaired.was_paired == Some(true) {
        wait_for_server(&state, wanted.wait).await;
    }
    if files::pending(&state) && wanted.provisioning && !wanted.forget_revocations {
        return Ok(Report {
            server: Server::Pending,
            held_back: true,
            removed: Vec::new(),
            kept: Vec::new(),
            warnings,
        });
    }
    if let Some(complaint) = &unpaired.complaint {
        warnings.push(format!(
            "the daemon did not do it, so its files were removed: {complaint}"
        ));
    }
    let outcome = with_the_unit_stopped(|| {
        let keep_floor = unpaired.tombstone && !wanted.clock && !wanted.provisioning;
        let clear = Wanted {
            records: !keep_floor,
            revocations: wanted.forget_revocations,
            provisioning: wanted.provisioning,
        };
        files::clear(site, config.as_ref(), &state, clear)
    })?;
    Ok(told(&unpaired, outcome, warnings))
}

/// Through the daemon, if there is one or systemd can start one.
async fn unpair(bus: &BusAddress) -> Result<Unpaired, Failure> {
    let done = async {
        let connection = connect_warned(bus).await?;
        let before = Status::read(&connection).await?;
        PairingProxy::new(&connection).await?.unpair().await?;
        let after = Status::read(&connection).await?;
        Ok(Unpaired {
            was_paired: Some(before.paired),
            tombstone: is_tombstone(&after.pairing_reason),
            complaint: None,
        })
    };
    match done.await {
        Ok(unpaired) => Ok(unpaired),
        Err(Failure {
            exit: Exit::Denied,
            sentence,
        }) => Err(Failure::new(Exit::Denied, sentence)),
        Err(failure) => Ok(Unpaired {
            was_paired: None,
            tombstone: false,
            complaint: Some(failure.sentence),
        }),
    }
}

/// Whether this reason is read from a tombstone: then the records hold no token, only the clock's floor and a counter. After
/// any other they may be somebody's pairing that this daemon cannot read.
fn is_tombstone(reason: &str) -> bool {
    matches!(
        Reason::from_word(reason),
        Some(
            Reason::Unpaired
                | Reason::Revoked
                | Reason::RefreshTokenExpired
                | Reason::RefreshAnswerLost
                | Reason::NoRefreshToken
        )
    )
}

/// The daemon revokes in the background; its list of what is left to revoke is a file.
async fn wait_for_server(state: &Path, limit: Duration) {
    const STEP: Duration = Duration::from_millis(100);
    let end = Instant::now() + limit;
    let mut clock = interval(STEP);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while files::pending(state) && Instant::now() < end {
        clock.tick().await;
    }
}

/// What stops it for the moment is systemd; what keeps it away meanwhile is the lock.
fn with_the_unit_stopped(work: impl FnOnce() -> io::Result<Outcome>) -> Result<Outcome, Failure> {
    let runs = Unit::read().is_some_and(|unit| unit.runs());
    if runs {
        systemctl("stop").map_err(|said| Failure::new(Exit::Failed, format!("c2c-authd cannot be stopped: {said}")))?;
    }
    let done = work().map_err(|error| Failure::new(Exit::Failed, error.to_string()));
    if runs {
        let started = systemctl("start");
        if let (Ok(_), Err(said)) = (&done, started) {
            return Err(Failure::new(
                Exit::Failed,
                format!("all is removed, and c2c-authd does not start again: {said}"),
            ));
        }
    }
    done
}

fn told(unpaired: &Unpaired, outcome: Outcome, mut warnings: Vec<String>) -> Report {
    let server = match unpaired.was_paired {
        _ if outcome.pending => Server::Pending,
        _ if outcome.gave_up_revocations => Server::NotTold,
        None if outcome.had_records => Server::NotTold,
        Some(true) => Server::Told,
        Some(false) | None => Server::NothingToTell,
    };
    warnings.extend(outcome.left);
    Report {
        server,
        held_back: false,
        removed: outcome.removed,
        kept: outcome.kept,
        warnings,
    }
}

impl Report {
    const fn exit(&self) -> Exit {
        match self.server {
            Server::Told | Server::NothingToTell => Exit::Ok,
            Server::Pending | Server::NotTold => Exit::ServerNotTold,
        }
    }

    fn text(&self) -> String {
        if self.held_back {
            return "Unpaired, and nothing was removed: the server has not heard of it yet, and without the secrets it never \
                    would. Connect the device to the internet and say it again, or give that up: --forget-revocations\n"
                .to_owned();
        }
        let done = if self.removed.is_empty() {
            "There was nothing to remove.\n".to_owned()
        } else {
            format!("Removed: {}.\n", self.removed.join(", "))
        };
        let kept = if self.kept.is_empty() {
            String::new()
        } else {
            format!("Kept: {}.\n", self.kept.join(", "))
        };
        let server = match self.server {
            Server::Told => "The server knows that this device is not paired any more.\n",
            Server::NothingToTell => "There was no pairing to end at the server.\n",
            Server::Pending => {
                "The server has not heard of it yet; c2c-authd goes on trying while it runs, also after a restart.\n"
            }
            Server::NotTold => {
                "The server was not told: its tokens run out by themselves within 14 days. Remove the device in the project's \
                 settings in Frame.io if that matters.\n"
            }
        };
        format!("{done}{kept}{server}")
    }
}

#[cfg(test)]
mod tests;
