//! `status`: everything the daemon shows, for people or for programs.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::connect::connect_to_look;
use super::exit::{Exit, Failure};
use super::output::{one_line, warned};
use super::provision::location::Which;
use super::site::Site;
use super::systemd::Unit;
use super::time::{span, utc};
use super::watch;
use crate::config::Config;
use crate::messages;
use crate::messages::contract::BusAddress;
use c2c_auth_client::proxy::LastError;
use c2c_auth_core::{ErrorWord, Generation, PairingState, Reason, Remedy, TokenState, remedy};

pub(super) mod service_failure;

use service_failure::ServiceFailure;

/// The result of a look.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Look {
    Answered(Box<Status>),
    Silent(Box<ServiceFailure>),
}

/// Asks the daemon, and where it does not answer what can be seen without it.
pub(super) async fn look(bus: &BusAddress) -> Result<Look, Failure> {
    let read = async {
        let (connection, warning) = connect_to_look(bus).await?;
        warned(&warning);
        Status::read(&connection).await
    };
    // On another bus is another machine's daemon, as far as is known.
    let local = match bus {
        BusAddress::System => OnDisk::look(&Site::host(), Unit::read().as_ref()),
        BusAddress::Session | BusAddress::Address(_) => OnDisk::default(),
    };
    match read.await {
        Ok(status) => Ok(Look::Answered(Box::new(status.with(local)))),
        Err(failure) if failure.exit == Exit::Unreachable => {
            let mut dead = ServiceFailure::look(&Site::host(), failure.sentence);
            dead.configuration_refused = local.refusal;
            Ok(Look::Silent(Box::new(dead)))
        }
        Err(failure) => Err(failure),
    }
}

impl Look {
    /// For people. `now`: seconds since 1970.
    pub(super) fn text(&self, now: u64) -> String {
        match self {
            Self::Answered(status) => status.text(now),
            Self::Silent(dead) => dead.text(),
        }
    }

    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Answered(status) => status.exit(),
            Self::Silent(_) => Exit::Unreachable,
        }
    }
}

/// The properties of the three interfaces. Words are kept as they came: a newer daemon may know
/// more of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of the contract")]
#[serde(rename_all = "kebab-case")]
pub(super) struct Status {
    /// Somebody answered. See [`service_failure`] for the other case.
    pub(super) running: bool,
    pub(super) paired: bool,
    pub(super) pairing_state: String,
    pub(super) pairing_reason: String,
    pub(super) attention_needed: bool,
    /// The result that a caller for a token would get.
    pub(super) token_state: String,
    /// The generation of the newest token, 0 while there is none.
    pub(super) generation: u64,
    pub(super) project_name: String,
    pub(super) project_id: String,
    pub(super) device_name: String,
    // Seconds since 1970; 0: not known. A daemon before these words has none of them.
    #[serde(default)]
    pub(super) paired_since: u64,
    #[serde(default)]
    pub(super) token_expires: u64,
    #[serde(default)]
    pub(super) refresh_by: u64,
    #[serde(default)]
    pub(super) authorization_expires: u64,
    #[serde(default)]
    pub(super) paused: bool,
    /// As of when the two before it hold.
    #[serde(default)]
    pub(super) last_contact: u64,
    pub(super) client_id: String,
    pub(super) firmware_version: String,
    pub(super) provider: String,
    pub(super) daemon_version: String,
    /// `null`: nothing went wrong since the start.
    pub(super) last_error: Option<LastError>,
    /// The server that the configuration on disk names; `null`: it cannot be read, or is not this
    /// daemon's.
    #[serde(default)]
    pub(super) server_host: Option<String>,
    /// Why the configuration on disk is not the one in force; `null`: it is, as far as is known.
    #[serde(default)]
    pub(super) configuration_refused: Option<String>,
    /// The files that the configuration on disk names for identity and secrets, and that are not
    /// there.
    #[serde(skip)]
    pub(super) absent: Vec<String>,
}

/// Facts of the configuration on disk, which the daemon does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OnDisk {
    pub(super) host: Option<String>,
    pub(super) refusal: Option<String>,
    pub(super) absent: Vec<String>,
}

impl OnDisk {
    pub(super) fn look(site: &Site, unit: Option<&Unit>) -> Self {
        // A change that needs a restart is refused by the daemon alone.
        let told = unit.and_then(|unit| unit.status_text.split_once(messages::RELOAD_REFUSED));
        let told = told.map(|(_, why)| why.to_owned());
        match site.config() {
            Ok(config) => {
                let provider = config.provider_with(None).ok();
                Self {
                    host: provider.and_then(|provider| Some(provider.first_origin()?.to_string())),
                    refusal: told,
                    absent: absent(site, &config),
                }
            }
            Err(error) => Self {
                // It may be good for those who may read it.
                refusal: (error.exit_code() != 77).then(|| error.to_string()).or(told),
                ..Self::default()
            },
        }
    }
}

fn absent(site: &Site, config: &Config) -> Vec<String> {
    let secrets = Which::BOTH.into_iter().filter_map(|which| {
        let path = which.configured(config)?;
        let is_gone = site.path(path).try_exists().is_ok_and(|exists| !exists);
        is_gone.then(|| {
            format!(
                "{}, which secrets.{}-file names, does not exist",
                path.display(),
                which.name()
            )
        })
    });
    config
        .device
        .client_id_absent
        .clone()
        .into_iter()
        .chain(secrets)
        .collect()
}

impl Status {
    pub(super) async fn read(connection: &zbus::Connection) -> Result<Self, Failure> {
        let values = watch::read(connection).await?.into_iter().collect();
        serde_json::from_value(values).map_err(|error| Failure::failed(format!("the daemon's answer: {error}")))
    }

    pub(super) fn with(self, on_disk: OnDisk) -> Self {
        Self {
            server_host: on_disk.host,
            configuration_refused: on_disk.refusal,
            absent: on_disk.absent,
            ..self
        }
    }

    /// The exit code for scripts. [`Exit::Ok`]: paired, and no reason asks a person to act before a
    /// token can be had.
    #[must_use]
    pub(super) fn exit(&self) -> Exit {
        match PairingState::from_word(&self.pairing_state) {
            Some(PairingState::Paired) => match self.remedy() {
                // It is paired, and what ends it soon is told by `attention-needed`.
                None | Some(Remedy::Pair) => Exit::Ok,
                Some(Remedy::Provision) => Exit::NotProvisioned,
                Some(Remedy::Network) => Exit::Offline,
                Some(Remedy::Device | Remedy::Server) => Exit::Failed,
            },
            _ if self.paired => Exit::Ok,
            Some(PairingState::Unprovisioned) => Exit::NotProvisioned,
            _ => Exit::NotPaired,
        }
    }

    fn remedy(&self) -> Option<Remedy> {
        let reason = Reason::from_word(&self.pairing_reason)?;
        remedy(true, reason, Generation(self.generation))
    }

    /// For people. `now`: seconds since 1970.
    #[must_use]
    pub(super) fn text(&self, now: u64) -> String {
        let mut out = format!("{}\n\n", self.headline());
        let mut row = |name: &str, value: &str| {
            if !value.is_empty() {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "  {name:<11} {}", one_line(value));
            }
        };
        let state = PairingState::from_word(&self.pairing_state);
        row(
            "pairing",
            state.map_or(&*self.pairing_state, |state| messages::pairing_state(state)),
        );
        let project = match (self.project_name.as_str(), self.project_id.as_str()) {
            (name, "") => name.to_owned(),
            ("", id) => id.to_owned(),
            (name, id) => format!("{name} ({id})"),
        };
        row("project", &project);
        row("device", &self.device_name);
        row(
            "client id",
            if self.client_id.is_empty() {
                "none"
            } else {
                &self.client_id
            },
        );
        row("firmware", &self.firmware_version);
        match &self.server_host {
            Some(host) => row("server", &format!("{} at {host}", self.provider)),
            None => row("server", &self.provider),
        }
        let token =
            TokenState::from_word(&self.token_state).map_or(&*self.token_state, |state| messages::token_state(state));
        match (self.token_state.as_str(), self.generation) {
            ("none", _) | (_, 0) => row("token", token),
            (_, generation) => row("token", &format!("{token}, number {generation}")),
        }
        for (name, value) in self.times(now) {
            row(name, &value);
        }
        if let Some(LastError { word, time }) = &self.last_error {
            let told = ErrorWord::from_word(word).map_or(&**word, |word| messages::error(word).what);
            match time {
                Some(time) => row("last error", &format!("{told}, {}", ago(now, *time))),
                None => row("last error", told),
            }
        }
        row("daemon", &self.daemon_version);
        let (reason, cure) = self.explanation();
        if !reason.is_empty() {
            let _ = writeln!(out, "\n{}.", messages::capital(reason));
        }
        if !cure.is_empty() {
            let _ = writeln!(out, "{}{cure}.", if reason.is_empty() { "\n" } else { "" });
        }
        let is_missing = matches!(
            Reason::from_word(&self.pairing_reason),
            Some(Reason::ClientIdMissing | Reason::ClientSecretMissing | Reason::StateKeyMissing)
        );
        for what in self.absent.iter().filter(|_| is_missing) {
            let _ = writeln!(out, "{}.", one_line(what));
        }
        if let Some(why) = &self.configuration_refused {
            let _ = writeln!(
                out,
                "\nThe configuration on disk is refused, the previous one is in force: {}.",
                one_line(why.trim_end_matches('.'))
            );
        }
        out
    }

    /// Beginnings and ends, as far as they are known.
    fn times(&self, now: u64) -> [(&'static str, String); 5] {
        let known = |time: u64, told: String| if time == 0 { String::new() } else { told };
        let as_of = match self.last_contact {
            0 => "as of an unknown time".to_owned(),
            at => format!("as of {}", clock_time(at)),
        };
        let ends = format!("{}, {as_of}", until(now, self.authorization_expires));
        [
            ("since", known(self.paired_since, ago(now, self.paired_since))),
            ("expires", known(self.token_expires, until(now, self.token_expires))),
            ("renew by", known(self.refresh_by, until(now, self.refresh_by))),
            ("ends", known(self.authorization_expires, ends)),
            ("paused", known(self.paused.into(), format!("at the server, {as_of}"))),
        ]
    }

    /// All in one line: what is, and what to do.
    pub(super) fn told(&self) -> (String, &'static str) {
        let (reason, cure) = self.explanation();
        let headline = self.headline();
        let headline = headline.trim_end_matches('.');
        let what = if reason.is_empty() {
            headline.to_owned()
        } else {
            format!("{headline}: {reason}")
        };
        (what, cure)
    }

    fn headline(&self) -> String {
        let mut line = match (self.paired, self.project_name.as_str()) {
            (true, "") => "Paired".to_owned(),
            (true, project) => format!("Paired with {}", one_line(project)),
            (false, _) => "Not paired".to_owned(),
        };
        if self.attention_needed {
            line.push_str("; needs attention");
        }
        line.push('.');
        line
    }

    pub(super) fn explanation(&self) -> (&str, &'static str) {
        let Some(reason) = Reason::from_word(&self.pairing_reason) else {
            return (&self.pairing_reason, "");
        };
        // A state of a newer daemon explains nothing by itself.
        let state = PairingState::from_word(&self.pairing_state);
        let told = state.map_or_else(
            || (reason != Reason::None).then(|| messages::reason(reason)),
            |state| {
                let next_end = messages::NextEnd::of(self.authorization_expires, self.refresh_by);
                let generation = Generation(self.generation);
                messages::explanation(state, reason, self.attention_needed, generation, next_end)
            },
        );
        told.map_or(("", ""), |told| (told.what, told.cure))
    }
}

/// How long ago, in the one unit that matters. Daemon and tool share a clock, but it may be stepped
/// in between.
fn ago(now: u64, then: u64) -> String {
    match now.saturating_sub(then) {
        0..10 => "just now".to_owned(),
        seconds => format!("{} ago", span(seconds, 1)),
    }
}

/// When something ends: how long from now, and the instant itself.
fn until(now: u64, then: u64) -> String {
    match then.saturating_sub(now) {
        0 => format!("over, {}", utc(then)),
        seconds => format!("in {}, {}", span(seconds, 1), utc(then)),
    }
}

/// The hour and the minute of an instant.
fn clock_time(secs: u64) -> String {
    let (hour, minute) = (secs / 3_600 % 24, secs / 60 % 60);
    format!("{hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests;
