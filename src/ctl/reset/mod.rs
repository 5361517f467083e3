//! `factory-reset`: ends an ownership. The daemon forgets and tells the server. Then its files are
//! removed.
//!
//! Invariants: a revocation that the server has not received is kept, or given up only on request,
//! and never silently. A daemon that answers but does not unpair keeps its files, unless asked to
//! give the pairing up. No file is removed while a daemon holds the lock on the state directory.
//! Removals are durable. No service but this machine's is touched.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::args::FactoryReset;
use super::confirm;
use super::connect::connect_warned;
use super::exit::{Exit, Failure, is_unanswered};
use super::output::tell;
use super::site::{Site, need_root};
use super::status::Status;
use crate::config::Config;
use crate::ctl::provision::host_key::lost_by_a_start;
use crate::ctl::provision::location::{Which, find};
use crate::messages::contract::BusAddress;
use crate::store::{self, Directories, Identity, StateKey};
use c2c_auth_client::proxy;
use c2c_auth_core::{Body, Loaded, Reason, Record};
use files::Wanted;
use report::{Report, Server, told};
use unit::with_the_unit_stopped;

mod files;
mod report;
mod unit;

struct Unpaired {
    /// `None`: it did not answer.
    was_paired: Option<bool>,
    /// The records on disk hold no token.
    tombstone: bool,
    /// The daemon's word for its state now. Empty: not known.
    reason: String,
    complaint: Option<Complaint>,
}

#[derive(Debug)]
enum Complaint {
    /// There is none, and none can be started: its files are all there is.
    Unreachable(String),
    /// It is there. It may do it later, or the obstacle can be removed.
    Refused(Failure),
}

const GIVE_UP: &str = "or leave the pairing at the server: --forget-revocations";

const QUESTION: &str = "Forget the pairing of this device? This cannot be undone. [y/N]";
const QUESTION_ALL: &str =
    "Forget the pairing of this device, its client secret, state key and client id? This cannot be undone. [y/N]";

pub(super) async fn factory_reset(bus: &BusAddress, wanted: &FactoryReset) -> Result<Exit, Failure> {
    need_root("factory-reset")?;
    if !wanted.yes {
        confirm(if wanted.provisioning { QUESTION_ALL } else { QUESTION }, "reset")?;
    }
    let report = reset(&Site::host(), bus, wanted).await?;
    tell(&report, wanted.json, || report.text(), &report.warnings)?;
    Ok(report.exit())
}

async fn reset(site: &Site, bus: &BusAddress, wanted: &FactoryReset) -> Result<Report, Failure> {
    let config = site.config();
    let mut warnings = Vec::new();
    let state = site.state_directory(config.as_ref().ok());
    if let Err(error) = &config {
        if !files::any(&state)? {
            return Err(Failure::failed(format!(
                "{error}. Nothing was done: the configuration may name another directory than {}, which holds no files \
                     of c2c-authd",
                state.display()
            )));
        }
        warnings.push(format!(
            "the configuration cannot be read, so the default places are used: {error}"
        ));
    }
    // The unit is started again afterwards. Without the secrets nothing is lost by that.
    if let (Some(why), false) = (lost_by_a_start(site), wanted.provisioning) {
        return Err(Failure::failed(format!(
            "{why}. Nothing was removed; --provisioning removes the secrets too, and needs neither"
        )));
    }
    let config = config.ok();
    let mut unpaired = unpair(bus).await?;
    // Reasons of what was tried since say nothing of the records, and a daemon that is dead says
    // nothing at all.
    unpaired.tombstone |= config
        .as_ref()
        .is_some_and(|config| tombstone_on_disk(site, config, &state));
    if unpaired.was_paired == Some(true) {
        wait_for_server(&state, wanted.wait).await;
    }
    if !wanted.forget_revocations
        && let Some((server, why)) = hold_back(site, &state, &unpaired, wanted.provisioning)
    {
        return Ok(Report::held_back(server, why, warnings));
    }
    if let Some(complaint) = &unpaired.complaint {
        let (Complaint::Unreachable(sentence) | Complaint::Refused(Failure { sentence, .. })) = complaint;
        warnings.push(format!(
            "the daemon did not unpair, so its files were removed: {sentence}"
        ));
    }
    let outcome = with_the_unit_stopped(unit::of(site), || {
        let keep_floor = unpaired.tombstone && !wanted.clock && !wanted.provisioning;
        let clear = Wanted {
            records: !keep_floor,
            revocations: wanted.forget_revocations,
            provisioning: wanted.provisioning,
        };
        files::clear(site, config.as_ref(), &state, clear)
    })?;
    let provider = config.map(|config| config.provider);
    Ok(told(&unpaired, provider.as_ref(), outcome, warnings))
}

/// The state of the server and the reason, if something must not be removed yet. The sentence says
/// what was done, which depends on who answered, on records and on the list of revocations.
fn hold_back(site: &Site, state: &Path, unpaired: &Unpaired, provisioning: bool) -> Option<(Server, String)> {
    const UNTOLD: &str = "the server was not told yet of a former pairing, and without the secrets it never would be";
    const ONLINE: &str = "Connect the device to the internet and run the command again";
    let may_be_paired = !unpaired.tombstone && files::records(site, state);
    let pending = files::pending(state);
    let why = match &unpaired.complaint {
        // A device that was never provisioned has nothing to lose.
        Some(Complaint::Refused(Failure { exit, sentence })) if *exit != Exit::NotProvisioned || may_be_paired => {
            format!(
                "c2c-authd did not unpair ({sentence}), and a pairing, if there is one, can still be revoked at the server. Fix \
                 that and run the command again"
            )
        }
        _ if !provisioning => return None,
        Some(Complaint::Unreachable(sentence)) if may_be_paired => format!(
            "there are records that may be a pairing, and without the secrets nobody could revoke it at the server \
             ({sentence}). Get c2c-authd running and run the command again"
        ),
        None if may_be_paired && unpaired.was_paired == Some(false) => format!(
            "there are records that may be a pairing, but c2c-authd cannot read them ({}). Bring the former state key and \
             configuration back and run the command again",
            unpaired.reason
        ),
        _ if !pending => return None,
        complaint => {
            let why = match complaint {
                None if unpaired.was_paired == Some(true) => {
                    "Unpaired, but nothing was removed: the server was not told yet, and without the secrets it never would be"
                        .to_owned()
                }
                Some(Complaint::Unreachable(sentence)) => {
                    format!("Nothing was removed: {UNTOLD} ({sentence}). Get c2c-authd running")
                }
                Some(Complaint::Refused(_)) | None => format!("Nothing was removed: {UNTOLD}"),
            };
            let why = format!("{why}. {ONLINE}, or give that up: --forget-revocations");
            return Some((Server::Pending, why));
        }
    };
    Some((Server::NotTold, format!("Nothing was removed: {why}, {GIVE_UP}")))
}

/// Through the daemon, if there is one or systemd can start one.
async fn unpair(bus: &BusAddress) -> Result<Unpaired, Failure> {
    let not_done = |complaint| Unpaired {
        was_paired: None,
        tombstone: false,
        reason: String::new(),
        complaint: Some(complaint),
    };
    let found = async {
        let connection = connect_warned(bus).await?;
        // A daemon that is there and hangs may hold a pairing. That there is none says the bus.
        match proxy::properties(&connection).await {
            Err(error) if is_unanswered(&error) => return Ok(Err(error.into())),
            answer => answer?,
        };
        let before = Status::read(&connection).await?;
        Ok::<_, Failure>(Ok((connection, before)))
    };
    let (connection, before) = match found.await {
        Ok(Ok(found)) => found,
        Ok(Err(silent)) => return Ok(not_done(Complaint::Refused(silent))),
        Err(failure) => {
            return match failure.exit {
                Exit::Denied => Err(failure),
                Exit::Unreachable => Ok(not_done(Complaint::Unreachable(failure.sentence))),
                _ => Ok(not_done(Complaint::Refused(failure))),
            };
        }
    };
    // It answered: should it go away from here on, it is not known to be gone for good.
    let done = async {
        proxy::pairing(&connection).await?.unpair().await?;
        Status::read(&connection).await
    };
    match done.await {
        Ok(after) => Ok(Unpaired {
            was_paired: Some(before.paired),
            tombstone: is_tombstone(&after.pairing_reason),
            reason: after.pairing_reason,
            complaint: None,
        }),
        Err(failure) if failure.exit == Exit::Denied => Err(failure),
        Err(failure) => Ok(not_done(Complaint::Refused(failure))),
    }
}

/// True if this reason is read from a tombstone. Then the records hold no token, only the clock's
/// floor and a counter. After any other reason they may be a pairing that this daemon cannot read.
fn is_tombstone(reason: &str) -> bool {
    use Reason as R;
    match Reason::from_word(reason) {
        Some(
            R::Unpaired
            | R::Revoked
            | R::RefreshTokenExpired
            | R::AuthorizationExpired
            | R::RefreshAnswerLost
            | R::NoRefreshToken,
        ) => true,
        // The flow ended, or there is something to be mended first.
        Some(
            R::None
            | R::NeverPaired
            | R::CodeExpired
            | R::Cancelled
            | R::Denied
            | R::GaveUp
            | R::ClientRejected
            | R::Offline
            | R::ClockNotSet
            | R::TlsUntrusted
            | R::ServerError
            | R::RefreshRefused
            | R::LocalFault
            | R::StorageFailed
            | R::ClientIdMissing
            | R::ClientSecretMissing
            | R::StateKeyMissing
            | R::StateKeyMismatch
            | R::ForeignRecord
            | R::RecordDamaged,
        )
        | None => false,
    }
}

/// True if the records open and hold no pairing. False also where nobody can tell.
fn tombstone_on_disk(site: &Site, config: &Config, state: &Path) -> bool {
    let look = || {
        let key = find(site, Some(config), Which::StateKey).ok()??.content.ok()?;
        let key = StateKey::from_bytes(key.as_slice().try_into().ok()?);
        let provider = config.provider_with(None).ok()?;
        let client_id = config.device.client_id.as_deref()?;
        let directories = Directories {
            state: state.to_owned(),
            runtime: Some(site.runtime_directory()),
        };
        store::peek(
            &directories,
            &key,
            Identity::new(provider.name(), &provider.issuer(), client_id),
        )
        .ok()
    };
    matches!(
        look(),
        Some(Loaded::Current(Record {
            body: Body::Tombstone(_),
            ..
        }))
    )
}

/// The daemon revokes in the background. Its list of what is left to revoke is a file.
async fn wait_for_server(state: &Path, limit: Duration) {
    const STEP: Duration = Duration::from_millis(100);
    let end = Instant::now() + limit;
    let mut clock = interval(STEP);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while files::pending(state) && Instant::now() < end {
        clock.tick().await;
    }
}

#[cfg(test)]
mod tests;
