//! I5: never wedged.
//!
//! The witness of «a path leads to» is one path: from now on the disk works, every request ends as
//! it truly should, the user agrees to a code on show, and otherwise time passes. It must lead to
//! rest: paired with a token that lives at the server and is handed out when asked for, or unpaired
//! with a reason. On the way no pairing ends but by a final answer, which [`super::invariants`]
//! sees to.

use std::collections::BTreeSet;

use crate::{Body, Effect, Kept, PairingState, Provisioning, Reason, Reply};

use super::history::family_bit;
use super::invariants::Violation;
use super::scenario::Budget;
use super::server::{Live, Pair};
use super::sim::Sim;
use super::step::{Ask, DiskFate, Outcome, RedirectKind, RequestKind, Step};
use super::world::World;

/// Far more than any way to rest needs, even with hourly retries.
const LONGEST: usize = 120;

/// States known to lead to rest.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    known: BTreeSet<u64>,
}

impl Liveness {
    /// Follows the fair path from here. On failure the steps of the path are given too.
    pub(super) fn leads_to_rest(&mut self, from: &Sim) -> Result<(), (Violation, Vec<Step>)> {
        let mut sim = from.clone();
        // Two states that differ only in what may still go wrong have one fair path.
        sim.world.budget = Budget::default();
        let mut path = Vec::new();
        let mut keys = Vec::new();
        let mut effects = Vec::new();
        loop {
            let key = sim.key();
            if self.known.contains(&key) {
                break;
            }
            keys.push(key);
            if let Some(verdict) = rest(&sim) {
                verdict.map_err(|violation| (violation, path.clone()))?;
                let mut asking = path.clone();
                if handed_out(&sim, &mut asking).map_err(|violation| (violation, asking))? {
                    break;
                }
            }
            let Some(step) = next(&sim).filter(|_| path.len() < LONGEST) else {
                return Err((wedged(&sim), path));
            };
            path.push(step);
            sim.apply(step, &mut effects)
                .map_err(|violation| (violation, path.clone()))?;
        }
        self.known.extend(keys);
        Ok(())
    }
}

fn wedged(sim: &Sim) -> Violation {
    let snapshot = sim.core.snapshot();
    Violation {
        rule: "i5_never_wedged",
        what: format!(
            "no rest: {:?}/{:?}, token {:?}, attention {}, deadline {:?}",
            snapshot.pairing,
            snapshot.reason,
            snapshot.token,
            snapshot.attention,
            sim.core.next_deadline()
        ),
    }
}

/// The fair world's next step.
fn next(sim: &Sim) -> Option<Step> {
    let world = &sim.world;
    if !world.stores.is_empty() {
        return Some(Step::Disk(DiskFate::Done));
    }
    if let Some(kind) = RequestKind::ALL.into_iter().find(|kind| world.is_in_flight(*kind)) {
        let slept_away = world.was_slept_away(kind);
        let how = if slept_away { Outcome::Lost } else { Outcome::Honest };
        return Some(Step::Answer(kind, how));
    }
    if world.server.returns() {
        return Some(Step::Ask(Ask::Redirect(RedirectKind::Back)));
    }
    if world.server.awaits_consent(world.real) && sim.flow_runs() {
        return Some(Step::Approve);
    }
    sim.can_advance().then_some(Step::Advance)
}

/// `None`: not at rest. Otherwise whether the rest is a good one.
fn rest(sim: &Sim) -> Option<Result<(), Violation>> {
    let (world, snapshot) = (&sim.world, sim.core.snapshot());
    if world.history.drained {
        return Some(Ok(()));
    }
    let (stopping, unwritten) = (world.history.stopping, world.history.failed.is_some());
    if world.busy() || sim.flow_runs() || stopping || unwritten || !world.calls.is_empty() {
        return None;
    }
    if sim.scenario.provisioning != Provisioning::Ready {
        // Without what is missing nothing can be asked of the server. The user is told.
        return Some(asked_for(sim, snapshot.attention));
    }
    let to_be_revoked = |live: &Live| {
        let pending = world.disk.revocations.iter();
        pending
            .map(|pending| Pair::of_revocable(&pending.token))
            .any(|pair| pair == live.pair || sim.scenario.quirks.keeps && pair.family == live.pair.family)
    };
    // One that the server refused to revoke, or whose removal from the list the disk did not take,
    // is for the next start.
    let excused = |live: &Live| world.history.excuses.families() & family_bit(live.pair.family) != 0;
    let revocable = |live: &Live| to_be_revoked(live) && !excused(live);
    if (world.separate_grants || !snapshot.paired) && world.server.live().iter().any(revocable) {
        return None;
    }
    if let Some(code) = world.history.promised {
        return Some(Err(Violation {
            rule: "an_approval_in_time_pairs",
            what: format!("the user approved code {code} in time, and it was never polled again"),
        }));
    }
    let record = world.disk.newest.as_ref().map(|record| &record.body);
    match (snapshot.paired, record) {
        (true, Some(Body::Paired(pairing))) => {
            let pair = Pair::of_pair(&pairing.pair);
            if world.history.ordered & family_bit(pair.family) != 0 {
                return Some(Err(Violation {
                    rule: "an_unpair_that_came_too_late_to_answer_is_carried_out",
                    what: format!("{pair:?} is on disk"),
                }));
            }
            let resolved = pairing.mark.is_none() && pairing.candidate.is_none();
            let lives = world.server.access_lives(pair, world.real);
            (resolved && lives).then(|| kept_twice(world).and_then(|()| no_unrevoked_grant(world, Some(pair))))
        }
        (true, Some(Body::Tombstone(_)) | None) => None,
        (false, Some(Body::Paired(_))) if snapshot.pairing == PairingState::Unpaired => None,
        (false, _) => Some(said(sim).and_then(|()| no_unrevoked_grant(world, None))),
    }
}

fn asked_for(sim: &Sim, asked: bool) -> Result<(), Violation> {
    if asked {
        return Ok(());
    }
    Err(Violation {
        rule: "i5_unpaired_says_what_a_person_must_do",
        what: format!("{:?}", sim.core.snapshot()),
    })
}

/// True if only a person can mend what ended the pairing.
const fn needs_person(reason: Reason) -> bool {
    match reason {
        Reason::Revoked
        | Reason::RefreshTokenExpired
        | Reason::AuthorizationExpired
        | Reason::RefreshAnswerLost
        | Reason::NoRefreshToken
        | Reason::ClientRejected
        | Reason::RefreshRefused
        | Reason::RecordDamaged
        | Reason::ForeignRecord => true,
        Reason::None
        | Reason::NeverPaired
        | Reason::CodeExpired
        | Reason::Cancelled
        | Reason::Denied
        | Reason::GaveUp
        | Reason::Unpaired
        | Reason::Offline
        | Reason::ClockNotSet
        | Reason::TlsUntrusted
        | Reason::ServerError
        | Reason::LocalFault
        | Reason::StorageFailed
        | Reason::ClientIdMissing
        | Reason::ClientSecretMissing
        | Reason::StateKeyMissing
        | Reason::StateKeyMismatch => false,
    }
}

/// Unpaired by nothing that the user did: they are told to do something. That a reason is given
/// holds in every state.
fn said(sim: &Sim) -> Result<(), Violation> {
    let snapshot = sim.core.snapshot();
    asked_for(sim, snapshot.attention || !needs_person(snapshot.reason))
}

/// One damaged file must not cost the pairing.
fn kept_twice(world: &World) -> Result<(), Violation> {
    let newest = world.disk.spill.as_ref().or(world.disk.newest.as_ref());
    match newest.map_or(Kept::Twice, |newest| world.disk.keeps(newest)) {
        Kept::Twice => Ok(()),
        kept @ (Kept::Once | Kept::Spilled) => Err(Violation {
            rule: "a_pairing_at_rest_is_in_both_generations",
            what: format!("{kept:?}"),
        }),
    }
}

/// Nothing lives at the server that the device has forgotten, where that could be prevented.
fn no_unrevoked_grant(world: &World, current: Option<Pair>) -> Result<(), Violation> {
    // The device has nothing left to revoke a grant that the server ended.
    let excused = world.history.excuses.families() | world.history.invalidated;
    let unrevoked = world.server.live().iter().find(|live| {
        let known = world.history.delivered.contains(&live.pair);
        known && Some(live.pair) != current && excused & family_bit(live.pair.family) == 0
    });
    match unrevoked {
        None => Ok(()),
        Some(unrevoked) => Err(Violation {
            rule: "no_ghost_device_in_the_project",
            what: format!(
                "{:?} lives at the server, and nobody will ever revoke it; excused are {}",
                unrevoked.pair,
                world.history.excuses.print()
            ),
        }),
    }
}

/// Returns true if a caller gets a token now. A token that is handed out must live.
fn handed_out(at: &Sim, path: &mut Vec<Step>) -> Result<bool, Violation> {
    let unprovisioned = at.scenario.provisioning != Provisioning::Ready;
    if unprovisioned || at.world.history.drained || !at.core.snapshot().paired {
        return Ok(true);
    }
    let mut sim = at.clone();
    let mut step = Step::Ask(Ask::Token);
    let mut effects = Vec::new();
    for _ in 0..LONGEST {
        path.push(step);
        sim.apply(step, &mut effects)?;
        let reply = effects.iter().find_map(|effect| match effect {
            Effect::Reply(_, reply) => Some(reply),
            _ => None,
        });
        match reply {
            Some(Ok(Reply::Token { access, .. })) => {
                let pair = Pair::of_access(access);
                return serves(&sim.world, pair).map(|()| true);
            }
            Some(_) => return Ok(false),
            None => {}
        }
        match next(&sim) {
            Some(next) => step = next,
            None => break,
        }
    }
    Err(wedged(&sim))
}

/// A token that is handed out at rest lives, and the next start would hand it out too. The
/// exception outlives its pairing: the server ended it, and the disk says so.
fn serves(world: &World, pair: Pair) -> Result<(), Violation> {
    let violation = |rule, what| Err(Violation { rule, what });
    if !world.server.access_lives(pair, world.real) {
        return violation("i5_a_token_handed_out_at_rest_lives", format!("{pair:?} does not"));
    }
    let on_disk = world.disk.paired().map(|pairing| Pair::of_pair(&pairing.pair));
    let ended = on_disk.is_none() && !world.server.renews(pair, world.real);
    if on_disk != Some(pair) && !ended {
        return violation(
            "i1_the_disk_holds_what_is_handed_out",
            format!("{pair:?}, on disk {on_disk:?}"),
        );
    }
    Ok(())
}
