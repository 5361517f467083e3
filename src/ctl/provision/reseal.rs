//! `provision --upgrade-key`: reseals what is sealed with another key. Reads no secret from outside, and changes none.

use super::drop_in::DropIn;
use super::place::{Found, Kept, Which, find};
use super::seal::Key;
use super::switch::{Names, carry_out};
use super::{Done, Move, Report, Target, failed, report, unusable};
use crate::config::Config;
use crate::ctl::args::Provision;
use crate::ctl::exit::{Exit, Failure};
use crate::ctl::site::Site;

pub(super) fn reseal(site: &Site, config: &Config, wanted: &Provision, key: Key) -> Result<Report, Failure> {
    let mut moves = Vec::new();
    let target = Target::sealed(site, Some(key))?;
    for which in [Which::ClientSecret, Which::StateKey] {
        let found = find(site, Some(config), which).map_err(|error| failed(&error))?;
        let (done, plain) = match found {
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
            Some(Found {
                kept,
                content: Ok(plain),
            }) => {
                if target.is_met_by(site, which, &kept) {
                    (Done::Unchanged, None)
                } else {
                    (Done::Moved, Some(plain))
                }
            }
        };
        moves.push(Move { which, done, plain });
    }
    if moves.iter().all(|step| step.done == Done::None) {
        return Err(Failure::new(
            Exit::NotProvisioned,
            "nothing is sealed yet; run: c2c-authctl provision",
        ));
    }
    let former = DropIn::load(site)?;
    let names = Names {
        drop_in: former.clone(),
        former,
        home: None,
    };
    carry_out(site, &target, &moves, &names, &[])?;
    let changed = moves.iter().any(|step| step.done.changes());
    report(site, &target, &moves, Done::None, changed, wanted)
}
