//! The report of a reset, for people and programs.
//!
//! Must never: claim that the server was told more than it was.

use serde::Serialize;

use super::Unpaired;
use super::files::Outcome;
use crate::config::{Provider, duration_text};
use crate::ctl::exit::Exit;
use crate::ctl::output::one_line;
use crate::oauth::ProviderSettings;

/// How the server learned that the pairing is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Server {
    /// It answered for good: it ended the tokens, or refused to, which the journal tells.
    Told,
    NothingToTell,
    Pending,
    NotTold,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Report {
    pub(super) server: Server,
    /// The part of the pairing that is left at a server that was not told, and who can end it. For
    /// people.
    #[serde(skip)]
    pub(super) remains: String,
    /// Nothing was removed, so that the server can still be told.
    pub(super) held_back: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    pub(super) removed: Vec<String>,
    pub(super) kept: Vec<String>,
    pub(super) warnings: Vec<String>,
    /// Something of ours could not be removed.
    #[serde(skip)]
    pub(super) stays: bool,
}

/// Makes the report. `provider` is `None` where the configuration cannot be read.
pub(super) fn told(
    unpaired: &Unpaired,
    provider: Option<&Provider>,
    outcome: Outcome,
    mut warnings: Vec<String>,
) -> Report {
    let revocable = provider.is_none_or(Provider::can_revoke);
    let unread = unpaired.was_paired == Some(false) && outcome.had_records && !unpaired.tombstone;
    if unread {
        warnings.push(format!(
            "there were records that may have been a pairing; c2c-authd could not read them ({})",
            unpaired.reason
        ));
    }
    if !outcome.set_aside.is_empty() {
        warnings.push(format!(
            "{} could never be read: which pairing that was, and whether it was revoked, is unknown",
            outcome.set_aside.join(", ")
        ));
    }
    let server = match unpaired.was_paired {
        _ if outcome.pending => Server::Pending,
        _ if outcome.gave_up_revocations || !outcome.set_aside.is_empty() => Server::NotTold,
        None if outcome.had_records && !unpaired.tombstone => Server::NotTold,
        Some(true) if !revocable => Server::NotTold,
        Some(true) => Server::Told,
        Some(false) if unread => Server::NotTold,
        Some(false) | None => Server::NothingToTell,
    };
    warnings.extend(outcome.left);
    Report {
        server,
        remains: remains(provider),
        held_back: false,
        why: None,
        removed: outcome.removed,
        kept: outcome.kept,
        warnings,
        stays: outcome.stays,
    }
}

/// A sentence about the grant that is left at a server that was not told. It gives a lifetime where
/// the configuration has one.
pub(super) fn remains(provider: Option<&Provider>) -> String {
    const DAY: u64 = 86_400;
    let life = |provider: &Provider| match provider.refresh_token_life {
        life if life.as_secs() == DAY => "a day".to_owned(),
        life if life.as_secs().is_multiple_of(DAY) => format!("{} days", life.as_secs() / DAY),
        life => duration_text(life),
    };
    match provider {
        Some(provider) if matches!(provider.settings, ProviderSettings::FrameioC2c(_)) => format!(
            "The server was not told: its tokens expire within {}. If that matters, remove the device in the project's settings \
             in Frame.io.\n",
            life(provider)
        ),
        Some(provider) => format!(
            "The server was not told: its tokens expire, as far as is known, within {}. If that matters, withdraw this \
             device's access at the server, in the account that approved it.\n",
            life(provider)
        ),
        None => {
            "The server was not told: its tokens stay valid until they expire. If that matters, withdraw this device's \
                 access at the server.\n"
                .to_owned()
        }
    }
}

impl Report {
    pub(super) const fn held_back(server: Server, why: String, warnings: Vec<String>) -> Self {
        Self {
            server,
            remains: String::new(),
            held_back: true,
            why: Some(why),
            removed: Vec::new(),
            kept: Vec::new(),
            warnings,
            stays: false,
        }
    }

    /// Success only where nothing is left to remove or to tell.
    pub(super) const fn exit(&self) -> Exit {
        match self.server {
            _ if self.stays => Exit::Failed,
            Server::Told | Server::NothingToTell => Exit::Ok,
            Server::Pending | Server::NotTold => Exit::ServerNotTold,
        }
    }

    pub(super) fn text(&self) -> String {
        if let Some(why) = &self.why {
            return format!("{why}\n");
        }
        let list = |what: &str, names: &[String]| match names {
            [] => String::new(),
            names => format!("{what}: {}.\n", one_line(&names.join(", "))),
        };
        let done = match self.removed.as_slice() {
            [] if self.stays => String::new(),
            [] => "There was nothing to remove.\n".to_owned(),
            removed => list("Removed", removed),
        };
        let kept = list("Kept", &self.kept);
        let server = match self.server {
            Server::Told => {
                "The server was told that this device is no longer paired; if it refused the revocation, the journal says so.\n"
            }
            Server::NothingToTell => "There was no pairing to revoke at the server.\n",
            Server::Pending => "The server was not told yet; c2c-authd keeps trying, also after a restart.\n",
            Server::NotTold => &self.remains,
        };
        format!("{done}{kept}{server}")
    }
}
