//! Decides what happens to each thing, from what was found and what was asked for. Changes nothing.

use super::drop_in::DropIn;
use super::location::{Found, Kept, Plain, Which, find};
use super::seal::Key;
use super::{Done, Kind, Move, Target, new_key, refused, unusable};
use crate::config::Config;
use crate::ctl::args::Provision;
use crate::ctl::exit::{Exit, Failure};
use crate::ctl::site::Site;

/// Into the drop-in, which is not written yet.
pub(super) fn plan_client_id(config: &Config, wanted: &Provision, drop_in: &mut DropIn) -> Result<Done, Failure> {
    let Some(id) = &wanted.client_id else {
        return Ok(Done::None);
    };
    let done = match &config.device.client_id {
        Some(now) if now == id => return Ok(Done::Unchanged),
        Some(now) if !wanted.replace => {
            return Err(Failure::new(
                Exit::Differs,
                format!("the client id is {now:?} and not {id:?}; nothing was changed; to replace it, use --replace"),
            ));
        }
        Some(_) => Done::Replaced,
        None => Done::Stored,
    };
    drop_in.client_id = Some(id.clone());
    Ok(done)
}

/// Refuses what could only be refused later, after the secret was asked for.
pub(super) fn refuse_early<'a>(
    replace: bool,
    mut found: impl Iterator<Item = (&'a Target, Option<&'a Found>)> + Clone,
) -> Result<(), Failure> {
    // Sealed anew is what is not there, and what does not open and is to be replaced.
    let stays = |found: Option<&Found>| found.is_some_and(|found| found.content.is_ok() || !replace);
    for (target, found) in found.clone() {
        if let Kind::Sealed { key: Err(error), .. } = &target.kind
            && !stays(found)
        {
            return Err(refused(error));
        }
    }
    match found.find_map(|(_, found)| found?.content.as_ref().err()) {
        Some(why) if !replace => Err(unusable(why)),
        _ => Ok(()),
    }
}

/// The one that was given, into the place of what was found.
pub(super) fn plan_client_secret(
    site: &Site,
    target: &Target,
    replace: bool,
    given: Plain,
    found: Option<&Found>,
) -> Result<Move, Failure> {
    let which = Which::ClientSecret;
    let done = match found {
        None => Done::Stored,
        Some(found) => match &found.content {
            Ok(content) if *content == given && target.is_met_by(site, which, &found.kept) => Done::Unchanged,
            Ok(content) if *content == given => Done::Moved,
            _ if replace => Done::Replaced,
            Ok(_) => {
                return Err(Failure::new(
                    Exit::Differs,
                    format!(
                        "{} holds another client secret; nothing was changed; to replace it, use --replace",
                        found.kept.path().display()
                    ),
                ));
            }
            Err(why) => return Err(unusable(why)),
        },
    };
    Ok(Move {
        which,
        done,
        plain: done.changes().then_some(given),
    })
}

/// The one that was found, or a new one.
pub(super) fn plan_state_key(
    site: &Site,
    target: &Target,
    replace: bool,
    records: bool,
    found: Option<Found>,
) -> Result<Move, Failure> {
    let which = Which::StateKey;
    let (done, plain) = match found {
        Some(Found { kept, content: Ok(_) }) if target.is_met_by(site, which, &kept) => (Done::Unchanged, None),
        // The same key: the pairing that is sealed with it stays.
        Some(Found { content: Ok(key), .. }) => (Done::Moved, Some(key)),
        Some(Found { content: Err(why), .. }) if !replace => return Err(unusable(&why)),
        None if records && !replace => {
            return Err(Failure::new(
                Exit::Differs,
                "there is no state key, but there are records sealed with one; nothing was changed; bring the key back, or \
                 use --replace for a new one: the device then has to be paired again",
            ));
        }
        Some(_) => (Done::Replaced, Some(new_key()?)),
        None => (Done::Stored, Some(new_key()?)),
    };
    Ok(Move { which, done, plain })
}

/// Reseals with another key what is sealed. Looks at both before either is touched.
pub(super) fn plan_resealed(site: &Site, config: &Config, target: &Target, key: Key) -> Result<Vec<Move>, Failure> {
    let mut moves = Vec::new();
    for which in Which::BOTH {
        let (done, plain) = match find(site, Some(config), which)? {
            None => (Done::None, None),
            Some(Found {
                kept: Kept::File { path },
                ..
            }) => {
                return Err(Failure::failed(format!(
                    "the {} is the unsealed file {}; to seal it: c2c-authctl provision --with-key {}",
                    which.what(),
                    path.display(),
                    key.word()
                )));
            }
            Some(Found { content: Err(why), .. }) => return Err(unusable(&why)),
            Some(Found { kept, .. }) if target.is_met_by(site, which, &kept) => (Done::Unchanged, None),
            Some(Found { content: Ok(plain), .. }) => (Done::Moved, Some(plain)),
        };
        moves.push(Move { which, done, plain });
    }
    if moves.iter().all(|step| step.done == Done::None) {
        let why = "nothing is sealed yet; run: c2c-authctl provision";
        return Err(Failure::new(Exit::NotProvisioned, why));
    }
    Ok(moves)
}
