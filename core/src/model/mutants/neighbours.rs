//! An excuse holds for what it names. A fault that happens to the next grant, token or call while
//! it holds is reported all the same.

use super::*;
use crate::model::step::{DiskFate, Step};

/// Once a grant is excused so, nothing is revoked any more.
fn revokes_nothing(excuse: Excuse) -> Mutant {
    match excuse {
        Excuse::Replaced => asks(|sim, effects| forget(Excuse::Replaced, sim, effects)),
        Excuse::NeverOnDisk => asks(|sim, effects| forget(Excuse::NeverOnDisk, sim, effects)),
        Excuse::WriteFailed => asks(|sim, effects| forget(Excuse::WriteFailed, sim, effects)),
        Excuse::Damaged => asks(|sim, effects| forget(Excuse::Damaged, sim, effects)),
        Excuse::RefusedToRevoke => asks(|sim, effects| forget(Excuse::RefusedToRevoke, sim, effects)),
        Excuse::ListFull => asks(|sim, effects| forget(Excuse::ListFull, sim, effects)),
    }
}

fn forget(excuse: Excuse, sim: &Sim, effects: &mut [Effect]) {
    for effect in effects {
        if let Effect::Request(_, Request::Revoke(token)) = effect
            && sim.world.history.excuses.given(excuse) != 0
        {
            let pair = Pair::of_revocable(token);
            *token = crate::Revocable::Refresh(Pair { turn: 9, ..pair }.refresh());
        }
    }
}

/// A world in which one grant is excused, and another one is left to be revoked.
fn beside(excuse: Excuse) -> Scenario {
    let unpairs = Budget { asks: 1, ..NOTHING };
    let replaces = Budget {
        asks: 2,
        consents: 1,
        waits: 1,
        ..NOTHING
    };
    let (stage, listed): (Stage, u8) = match excuse {
        Excuse::Replaced => ((YOUNG, replaces, &[REPLACE, Ask::Unpair]), 0),
        Excuse::NeverOnDisk => {
            let crashes = Budget { crashes: 1, ..replaces };
            ((YOUNG, crashes, &[REPLACE, Ask::Unpair]), 0)
        }
        Excuse::WriteFailed => ((YOUNG, Budget { disk: 1, ..unpairs }, &[Ask::Unpair]), 2),
        Excuse::Damaged => {
            let crashes = Budget { crashes: 1, ..NOTHING };
            ((BEFORE_MANDATORY, crashes, &[]), 1)
        }
        Excuse::RefusedToRevoke => ((YOUNG, Budget { faults: 1, ..unpairs }, &[Ask::Unpair]), 1),
        Excuse::ListFull => ((YOUNG, unpairs, &[Ask::Unpair]), 4),
    };
    let mut scenario = scenario("a neighbour of an excuse", stage, revokes_nothing(excuse));
    if excuse != Excuse::Replaced {
        scenario.policy = by_browser();
    }
    if excuse == Excuse::Damaged {
        scenario.restarts = &[Restart::Damaged];
    }
    Scenario { listed, ..scenario }
}

#[test]
fn each_excuse_excuses_no_neighbour() {
    let law = "no_ghost_device_in_the_project";
    for excuse in Excuse::ALL {
        let explored = explore(Box::leak(Box::new(beside(excuse))), 100_000);
        let failure = explored.failures.get(law);
        let failure = failure.unwrap_or_else(|| panic!("{excuse:?} excuses its neighbours too"));
        let told = &failure.violation.what;
        assert!(
            told.contains(&format!("{excuse:?}")),
            "{told}: {excuse:?} was not given"
        );
    }
}

/// A token that only memory holds is excused from I1, and no other one.
#[test]
fn a_failing_disk_excuses_no_other_token() {
    let fails = Budget {
        asks: 1,
        disk: 1,
        waits: 1,
        ..NOTHING
    };
    let other = asks(|sim, effects| {
        if sim.world.history.failed.is_some() {
            each_reply(effects, |reply| {
                if let Reply::Token { access, .. } = reply {
                    let pair = Pair::of_access(access);
                    *access = Pair {
                        turn: pair.turn + 1,
                        ..pair
                    }
                    .access();
                }
            });
        }
    });
    let stage: Stage = (BEFORE_ADVISORY, fails, &[Ask::Token]);
    let explored = explore(Box::leak(Box::new(scenario("another token", stage, other))), 100_000);
    let failure = &explored.failures["i1_a_token_is_handed_out_only_when_durable"];
    assert!(
        failure
            .trace
            .iter()
            .any(|step| matches!(step, Step::Disk(DiskFate::Failed)))
    );
}

/// A call waits for its own write, and for nothing that is written afterwards.
#[test]
fn a_write_excuses_no_other_call() {
    let never = asks(|_, effects| effects.retain(|effect| !matches!(effect, Effect::Reply(_, Ok(Reply::Done)))));
    let budget = Budget { asks: 1, ..NOTHING };
    let stage: Stage = (YOUNG, budget, &[Ask::Unpair]);
    let explored = explore(
        Box::leak(Box::new(scenario("a call is forgotten", stage, never))),
        100_000,
    );
    let failure = &explored.failures["i6_every_call_is_answered_in_time"];
    let written = |step: &&Step| matches!(step, Step::Disk(DiskFate::Done));
    assert_eq!(failure.trace.iter().filter(written).count(), 2, "{}", failure.print());
}
