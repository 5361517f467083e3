//! Where each secret goes if nobody says it: it keeps the kind of place that it has.

use std::path::Path;

use super::drop_in::DropIn;
use super::location::{Found, Kept, Which};
use super::seal::{Creds, Key};
use super::{Kind, Target, Targets, There};
use crate::config::Config;
use crate::ctl::exit::Failure;
use crate::ctl::site::Site;

pub(super) fn targets(site: &Site, config: &Config, former: &DropIn, there: &There) -> Result<Targets, Failure> {
    let sealed = || Target::sealed(site, key(site, there), false);
    let state_key = here(site, config, former, Which::StateKey, there.state_key.as_ref());
    if !there.needs_secret {
        return Ok(Targets::both(state_key.map_or_else(sealed, Ok)?));
    }
    let client_secret = here(site, config, former, Which::ClientSecret, there.client_secret.as_ref());
    Ok(match (client_secret, state_key) {
        (None, None) => Targets::both(sealed()?),
        (client_secret, state_key) => Targets {
            client_secret: client_secret.map_or_else(sealed, Ok)?,
            state_key: Some(state_key.map_or_else(sealed, Ok)?),
        },
    })
}

/// Its file, if it is in one, or if `provision` put it in one that is lost.
fn here(site: &Site, config: &Config, former: &DropIn, which: Which, found: Option<&Found>) -> Option<Target> {
    let path = match found.map(|found| &found.kept) {
        Some(Kept::Sealed { .. }) => return None,
        Some(Kept::File { path }) => site.machine_path(path),
        None => {
            let ours = former.names(which)?;
            (which.configured(config) == Some(ours)).then(|| ours.to_owned())?
        }
    };
    Some(Target {
        directory: path.parent().unwrap_or(Path::new("/")).to_owned(),
        kind: Kind::Here(path.file_name()?.into()),
        warning: None,
    })
}

/// The key of the client secret, if it opens it now and will after a reboot.
fn key(site: &Site, there: &There) -> Option<Key> {
    let found = there.client_secret.as_ref()?;
    let key = found.kept.key().filter(|_| found.content.is_ok())?;
    let lasts = || Creds(site).host_key_lasts() && Creds(site).usable_host_key().is_ok();
    (key.needs_tpm() || key.needs_host())
        .then_some(key)
        .filter(|key| !key.needs_host() || lasts())
}

/// The sentence about a state key that `--replace` leaves: it does not open, and the client secret
/// does. Only who names a place means the state key too.
pub(super) fn left(there: &There) -> Option<String> {
    let opens = matches!(&there.client_secret, Some(Found { content: Ok(_), .. }));
    let why = there.state_key.as_ref()?.content.as_ref().err()?;
    opens.then(|| {
        format!(
            "the state key does not open now, and was left, because a new one ends the pairing ({why}); for a new one all the \
             same, add --with-key auto or --files DIR to --replace"
        )
    })
}
