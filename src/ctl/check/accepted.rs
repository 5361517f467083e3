//! `check --accepted`: whether the server takes this device as it is configured. Asks for a device
//! code as the daemon would, and lets it die.
//!
//! Must never: ask while a pairing is in progress, since a second code may end the first; show or
//! store a code; touch a record.

use std::sync::Arc;

use super::server::{Heard, settings};
use super::{Finding, Report, Rows, causes, proxy};
use crate::config::Config;
use crate::config::secrets::parse_client_secret;
use crate::ctl::connect::{dial, is_owned};
use crate::ctl::exit::{Exit, Failure};
use crate::ctl::output::{one_line, print, tell};
use crate::ctl::pair::is_running;
use crate::ctl::provision::location::{Which, find};
use crate::ctl::site::{Site, may_be_file, need_root};
use crate::discovery::Client;
use crate::messages::contract::BusAddress;
use crate::messages::journal::explain_fault;
use crate::messages::{self, oauth_error};
use crate::oauth::{Defect, Dropped, Provider};
use crate::store::{FLOW, Lock, OpenError};
use crate::transport::Outcome;
use c2c_auth_client::proxy as daemon;
use c2c_auth_core::{Answer, CodeAnswer, FaultKind, Reason, Request, Secret};

const CHECK: &str = "accepted";

pub(in crate::ctl) async fn check(bus: &BusAddress, json: bool) -> Result<Exit, Failure> {
    need_root("check --accepted")?;
    let (row, exit) = ask(&Site::host(), bus).await?;
    let mut found = Rows::printing(!json);
    found.push(row);
    let report = Report::new(found.into_found()?);
    if json {
        tell(&report, true, String::new, &[])?;
    } else {
        print(&report.end())?;
    }
    Ok(exit)
}

/// For `provision --verify`, whose row is a sentence.
pub(in crate::ctl) async fn verify(bus: &BusAddress) -> Result<String, Failure> {
    let (row, exit) = ask(&Site::host(), bus).await?;
    match exit {
        Exit::Ok => Ok(row.what),
        exit => Err(Failure::new(
            exit,
            format!("the secrets are stored, but {}. {}", row.what, row.cure),
        )),
    }
}

/// Fails where [`ask`] would not ask, whatever the secret is.
pub(in crate::ctl) async fn may_ask(site: &Site, bus: &BusAddress) -> Result<Config, Failure> {
    let config = site.config()?;
    if matches!(config.provider_with(None), Ok(Provider::OauthCode(_))) {
        return Err(Failure::failed(
            "with kind oauth-code this cannot be asked: its server judges the client in a person's browser; pair the device",
        ));
    }
    let directory = site.state_directory(Some(&config));
    let refused = |why| {
        Failure::new(
            Exit::Differs,
            format!("{why}; nothing was asked. Cancel it, or wait for its end"),
        )
    };
    match dial(bus).await {
        Ok(connection) if is_owned(&connection).await? => {
            let state = daemon::pairing(&connection).await?.pairing_state().await?;
            if is_running(&state) {
                return Err(refused("a pairing is in progress"));
            }
        }
        _ if may_be_file(&site.runtime_directory().join(FLOW)) => {
            return Err(refused("a pairing was interrupted, and goes on when c2c-authd starts"));
        }
        // One that runs and is not on the bus may have a flow all the same.
        _ => {
            if let Err(OpenError::Locked { .. }) = Lock::take(&directory) {
                let what = "c2c-authd runs, but is not on the bus; nothing was asked. See: systemctl status c2c-authd";
                return Err(Failure::new(Exit::Unreachable, what));
            }
        }
    }
    Ok(config)
}

/// The row, and the exit code.
async fn ask(site: &Site, bus: &BusAddress) -> Result<(Finding, Exit), Failure> {
    let config = may_ask(site, bus).await?;
    if config.device.client_id.is_none() {
        return Ok((lacks("client-id", Reason::ClientIdMissing, None), Exit::NotProvisioned));
    }
    let secret = match secret(site, &config) {
        Ok(secret) => secret,
        Err(why) => {
            let row = lacks("client-secret", Reason::ClientSecretMissing, Some(why));
            return Ok((row, Exit::NotProvisioned));
        }
    };
    let provider = config.provider_with(secret).map_err(Failure::failed)?;
    let host = provider.first_origin().map(|origin| origin.dial_host().to_owned());
    let ways = proxy::Environment::of_daemon(site)
        .ways(&config)
        .map_err(Failure::failed)?;
    let client = Client::new(Arc::new(provider), settings(&config, ways)).map_err(Failure::failed)?;
    let heard = Heard::default();
    let listening = tracing::subscriber::set_default(heard.clone());
    // The answer holds the code, which is wiped with it.
    let outcome = client.send(&Request::DeviceCode).await;
    drop(listening);
    Ok(judge(&host.unwrap_or_default(), &outcome, heard.last().as_deref()))
}

/// The fault that another check finds.
fn lacks(check: &'static str, reason: Reason, why: Option<String>) -> Finding {
    let told = messages::reason(reason);
    let cause = causes::of(check);
    Finding {
        id: cause.map_or("", |cause| cause.id),
        sentence: cause.map(|cause| cause.sentence.to_owned()),
        ..Finding::fail(CHECK, why.unwrap_or_else(|| told.what.to_owned()), told.cure)
    }
}

fn secret(site: &Site, config: &Config) -> Result<Option<Secret>, String> {
    let missing = || messages::reason(Reason::ClientSecretMissing).what.to_owned();
    if !config.provider.needs_client_secret() {
        return Ok(None);
    }
    let found = find(site, Some(config), Which::ClientSecret).map_err(|error| error.to_string())?;
    let plain = found.ok_or_else(missing)?.content?;
    parse_client_secret(&plain).map(Some).map_err(str::to_owned)
}

fn judge(host: &str, outcome: &Outcome, heard: Option<&str>) -> (Finding, Exit) {
    // The server's own sentence, which repeats nothing that is secret.
    let said = outcome
        .explanation
        .as_deref()
        .map(|said| format!("; it says: {}", one_line(said)));
    let said = said.unwrap_or_default();
    match &outcome.answer {
        Answer::Code(CodeAnswer::Granted(_)) => {
            let what = format!("{host} accepts this device: client id, client secret, scope and version");
            (Finding::ok(CHECK, what), Exit::Ok)
        }
        Answer::Code(CodeAnswer::BadUserCode) => {
            let what = format!("{host} accepts this device, but its code is not of the promised form");
            (
                Finding::warn(CHECK, what, "Ask again; if that stays, ask the server's support"),
                Exit::Ok,
            )
        }
        Answer::Code(CodeAnswer::ClientRejected(error)) => {
            let told = oauth_error(*error);
            let what = format!("{host} refuses this device: {}{said}", told.what);
            (Finding::fail(CHECK, what, told.cure), Exit::NotProvisioned)
        }
        answer => {
            let fault = answer.fault().map_or(FaultKind::Garbled, |fault| fault.kind);
            let dropped = outcome.dropped.as_ref();
            let why = dropped.map(ToString::to_string);
            if !outcome.endpoint_not_found && !outcome.foreign && dropped.is_some_and(refuses) {
                let what = format!("{host} refuses this device: {}{said}", why.unwrap_or_default());
                let cure =
                    "Check client id, client secret, provider.scope and device.firmware-version against the server";
                return (Finding::fail(CHECK, what, cure), Exit::NotProvisioned);
            }
            let what = format!(
                "{host} gave no verdict: {}",
                explain_fault(fault, why.as_deref().or(heard))
            );
            let exit = match fault {
                FaultKind::Local(_) => Exit::Failed,
                _ => Exit::Offline,
            };
            // Nothing is known of the device, so there is no id.
            let unknown = Finding {
                id: "",
                sentence: Some("it cannot be told if the server accepts this device".to_owned()),
                ..Finding::fail(CHECK, what, "Run: c2c-authctl check. It goes the way step by step")
            };
            (unknown, exit)
        }
    }
}

/// True if the server itself said no, in JSON, and not for the moment.
fn refuses(dropped: &Dropped) -> bool {
    let is_no = dropped
        .status
        .is_some_and(|status| (400..=499).contains(&status) && status != 408 && status != 429);
    is_no
        && match &dropped.defect {
            Defect::Error(word) => !matches!(word.as_str(), "temporarily_unavailable" | "server_error" | "slow_down"),
            Defect::UnnamedError | Defect::NoErrorWord => true,
            _ => false,
        }
}

#[cfg(test)]
mod tests;
