//! Each law finds the fault that it is there for. A law that nothing can break would prove nothing.
//!
//! A mutant stands between the core and the world: it changes what the core is told, what it asks
//! for, or what the world remembers. An ordinary exploration of that pair must report the law, and
//! no other one.

mod invariants;
mod neighbours;
mod others;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::{
    Answer, Body, CallError, Command, Effect, Event, ExchangeAnswer, FaultKind, Generation, GrantId, GrantKind, Kept,
    LogEvent, OpId, Policy, ProbeAnswer, Reason, Record, RefreshAnswer, Reply, Request, Slots, Snapshot, Store,
};

use super::disk::Restart;
use super::excuses::Excuse;
use super::explore::{Failure, explore};
use super::network::fault_mut;
use super::random::walk;
use super::scenario::{Budget, Scenario, Start, eager};
use super::server::{CANARY, Pair, state_of};
use super::sim::Sim;
use super::step::{Ask, RedirectKind, RequestKind};
use super::tests::{BEFORE_ADVISORY, BEFORE_MANDATORY, REPLACE, START, YOUNG, by_browser, without_probe};

/// A change of the core, seen from outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mutant {
    /// To what it is about to be told.
    pub(super) event: fn(&mut Event),
    /// To what it asked for, and to what is remembered of it, before that is carried out.
    pub(super) effects: fn(&mut Sim, &mut Vec<Effect>),
}

const NEW_OP: OpId = OpId(1 << 32);

fn told(event: fn(&mut Event)) -> Mutant {
    Mutant {
        event,
        effects: |_, _| {},
    }
}

fn asks(effects: fn(&mut Sim, &mut Vec<Effect>)) -> Mutant {
    Mutant { event: |_| {}, effects }
}

/// How the world begins, what may happen in it and who calls: enough for the fault to show.
type Stage = (Start, Budget, &'static [Ask]);

const NOTHING: Budget = Budget {
    asks: 0,
    faults: 0,
    disk: 0,
    crashes: 0,
    stalls: 0,
    consents: 0,
    forgets: 0,
    nudges: 0,
    clocks: 0,
    sleeps: 0,
    reloads: 0,
    shutdowns: 0,
    waits: 0,
};

const ONE_WAIT: Budget = Budget { waits: 1, ..NOTHING };

/// A refresh, and nothing goes wrong.
const REFRESH: Stage = (BEFORE_ADVISORY, ONE_WAIT, &[]);
/// A refresh, and one fault.
const FAULT: Stage = (
    BEFORE_ADVISORY,
    Budget {
        faults: 1,
        waits: 2,
        ..NOTHING
    },
    &[],
);
/// Enough states for the checks that are not made in each.
const SAMPLED: Stage = (
    BEFORE_ADVISORY,
    Budget {
        faults: 1,
        crashes: 1,
        waits: 2,
        ..NOTHING
    },
    &[],
);
const TOKEN: Stage = (YOUNG, Budget { asks: 1, ..NOTHING }, &[Ask::Token]);
/// A user who unpairs.
const UNPAIR: Stage = (YOUNG, Budget { asks: 1, ..NOTHING }, &[Ask::Unpair]);
/// A user who pairs.
const PAIR: Stage = (
    Start::Fresh,
    Budget {
        asks: 1,
        waits: 1,
        ..NOTHING
    },
    &[START],
);

/// A user who pairs by a browser, and one fault.
const BROWSER: Stage = (
    Start::Fresh,
    Budget {
        asks: 1,
        faults: 1,
        consents: 1,
        waits: 2,
        ..NOTHING
    },
    &[START],
);

fn scenario(law: &'static str, (start, budget, asks): Stage, mutant: Mutant) -> Scenario {
    Scenario {
        budget,
        asks,
        mutant: Some(mutant),
        ..Scenario::new(law, start)
    }
}

// Changes that mutants make.

/// Returns the pairing if this record is to hold a pairing with this mark.
fn paired_record(effect: &mut Effect) -> Option<&mut crate::PairingRecord> {
    match effect {
        Effect::Store(_, Store::Record { record, .. }) => match &mut record.body {
            Body::Paired(pairing) => Some(pairing),
            Body::Tombstone(_) => None,
        },
        _ => None,
    }
}

fn each_reply(effects: &mut [Effect], change: fn(&mut Reply)) {
    for effect in effects {
        if let Effect::Reply(_, Ok(reply)) = effect {
            change(reply);
        }
    }
}

/// Changes what is published and what the core believes to have published.
fn each_snapshot(sim: &mut Sim, effects: &mut [Effect], change: fn(&mut Snapshot)) {
    change(sim.core.published.snapshot_mut());
    for effect in effects {
        if let Effect::Publish(snapshot) = effect {
            change(snapshot);
        }
    }
}

fn first_request(effects: &mut [Effect], wanted: fn(&Request) -> bool) -> Option<&mut Request> {
    effects.iter_mut().find_map(|effect| match effect {
        Effect::Request(_, request) if wanted(request) => Some(request),
        _ => None,
    })
}

fn double(effects: &mut Vec<Effect>, wanted: fn(&Effect) -> bool) {
    if let Some(at) = effects.iter().position(wanted) {
        effects.insert(at, effects[at].clone());
    }
}

/// The law of each mutant, and where it shows.
fn mutants() -> Vec<Scenario> {
    let mutants = invariants::mutants().into_iter().chain(others::mutants());
    let mut scenarios: Vec<_> = mutants
        .map(|(law, stage, mutant)| scenario(law, stage, mutant))
        .collect();
    for scenario in &mut scenarios {
        let redirected = ["a_code_is", "a_listener", "a_stray"];
        if redirected.iter().any(|law| scenario.name.starts_with(law)) {
            scenario.policy = by_browser();
        } else if scenario.name.starts_with("a_living_token") {
            scenario.policy = without_probe(GrantKind::Device);
        } else if scenario.name.starts_with("a_living_candidate") {
            scenario.quirks.exclusive = true;
        }
    }
    let hasty = scenario("a_resend_waits_for_the_server_to_give_up", FAULT, told(|_| {}));
    scenarios.push(Scenario {
        policy: Policy {
            replay_after: Duration::from_secs(10),
            // A 2xx to a probe so early would be taken for more than it says, which other laws
            // report.
            can_probe: false,
            ..eager()
        },
        ..hasty
    });
    scenarios
}

fn is_refresh(request: &Request) -> bool {
    matches!(request, Request::Refresh { .. })
}

#[test]
fn each_change_of_the_world_is_reported_by_its_law_and_by_no_other() {
    let mut wrong = Vec::new();
    for scenario in mutants() {
        let scenario: &'static Scenario = Box::leak(Box::new(scenario));
        let explored = explore(scenario, 100_000);
        let found: Vec<_> = explored.failures.keys().copied().collect();
        if found != [scenario.name] {
            let traces: Vec<_> = explored.failures.values().map(Failure::print).collect();
            wrong.push(format!("{}: found {found:?}\n{}", scenario.name, traces.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_law_has_its_mutant() {
    let sources = [
        include_str!("../invariants.rs"),
        include_str!("../safety.rs"),
        include_str!("../safety/answers.rs"),
        include_str!("../safety/driver.rs"),
    ]
    .concat();
    let functions = sources
        .split("fn ")
        .filter(|item| item.split('{').next().is_some_and(|head| head.contains("-> Law")))
        .filter_map(|item| item.split('(').next());
    let sources = [include_str!("../liveness.rs"), include_str!("../sim.rs")].concat();
    let named = sources
        .split("rule: \"")
        .chain(sources.split("violation(\n            \""))
        .chain(sources.split("violation(\""))
        .skip(1)
        .filter_map(|item| item.split('"').next());
    let laws: BTreeSet<_> = functions
        .chain(named)
        .filter(|law| law.len() > 10 && law.len() < 70)
        .collect();
    assert!(laws.len() > 35, "the laws were not found: {laws:?}");
    let mutants = mutants();
    let found: BTreeSet<_> = mutants.iter().map(|scenario| scenario.name).collect();
    let missing: Vec<_> = laws.difference(&found).collect();
    assert!(missing.is_empty(), "no mutant for {missing:?}");
}

#[test]
fn a_random_failure_is_told_with_its_seed_and_a_short_trace() {
    let law = "i3_a_record_without_mark_holds_no_used_token";
    let scenario = mutants().into_iter().find(|scenario| scenario.name == law);
    let scenario: &'static Scenario = Box::leak(Box::new(scenario.expect("it is in the list")));
    let shortest = explore(scenario, 100_000).failures.remove(law).expect("it fails").trace;
    let (seed, failure) = walk(scenario, 1, 50).expect_err("it fails");
    assert_eq!(failure.violation.rule, law);
    assert!(
        failure.trace.len() <= shortest.len() + 2,
        "seed {seed}: {:?} is far longer than {shortest:?}",
        failure.trace
    );
    assert_eq!(
        walk(scenario, seed, 1).expect_err("the seed is all it takes").1.trace,
        failure.trace
    );
}

/// An excuse is taken back whenever the core has been told something.
fn without(excuse: Excuse) -> Mutant {
    match excuse {
        Excuse::Replaced => asks(|sim, _| sim.world.history.excuses.take_back(Excuse::Replaced)),
        Excuse::NeverOnDisk => asks(|sim, _| sim.world.history.excuses.take_back(Excuse::NeverOnDisk)),
        Excuse::WriteFailed => asks(|sim, _| sim.world.history.excuses.take_back(Excuse::WriteFailed)),
        Excuse::Damaged => asks(|sim, _| sim.world.history.excuses.take_back(Excuse::Damaged)),
        Excuse::RefusedToRevoke => asks(|sim, _| sim.world.history.excuses.take_back(Excuse::RefusedToRevoke)),
        Excuse::ListFull => asks(|sim, _| sim.world.history.excuses.take_back(Excuse::ListFull)),
    }
}

#[test]
fn each_excuse_is_needed() {
    let pairs = Budget {
        asks: 1,
        consents: 1,
        waits: 1,
        ..NOTHING
    };
    for excuse in Excuse::ALL {
        let stage: Stage = match excuse {
            Excuse::Replaced => (YOUNG, pairs, &[REPLACE]),
            Excuse::NeverOnDisk => (Start::Fresh, Budget { crashes: 1, ..pairs }, &[START]),
            Excuse::WriteFailed => (
                YOUNG,
                Budget {
                    disk: 2,
                    crashes: 1,
                    waits: 0,
                    ..pairs
                },
                &[REPLACE],
            ),
            Excuse::Damaged => (YOUNG, Budget { crashes: 1, ..pairs }, &[REPLACE]),
            Excuse::RefusedToRevoke => (YOUNG, Budget { faults: 1, ..pairs }, &[Ask::Unpair]),
            Excuse::ListFull => (
                YOUNG,
                Budget {
                    asks: 1,
                    crashes: 1,
                    ..NOTHING
                },
                &[Ask::Unpair],
            ),
        };
        let mut scenario = scenario("an excuse is missing", stage, without(excuse));
        match excuse {
            // Where a device has but one grant, a new pairing excuses as much.
            Excuse::NeverOnDisk | Excuse::WriteFailed => scenario.policy = by_browser(),
            Excuse::Damaged => scenario.restarts = &[Restart::Damaged],
            Excuse::ListFull => {
                scenario.policy = by_browser();
                scenario.listed = 4;
            }
            Excuse::Replaced | Excuse::RefusedToRevoke => {}
        }
        let explored = explore(Box::leak(Box::new(scenario)), 100_000);
        let found: Vec<_> = explored.failures.keys().copied().collect();
        assert_eq!(found, ["no_ghost_device_in_the_project"], "without {excuse:?}");
    }
}
