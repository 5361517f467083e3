//! Each law finds the fault that it is there for. A law that nothing can break would prove nothing.
//!
//! A mutant stands between the core and the world: it changes what the core is told, what it asks for, or what the world
//! remembers. An ordinary exploration of that pair must report the law, and no other one.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::core::{
    Answer, Body, Effect, Event, FaultKind, Generation, Note, OpId, PollAnswer, RefreshAnswer, Reply, Request,
    ResourceAnswer, Slots, Snapshot, Store,
};

use super::explore::explore;
use super::network::fault_mut;
use super::random::walk;
use super::scenario::{Budget, Scenario, Start, eager};
use super::server::{CANARY, Pair};
use super::sim::Sim;
use super::step::{Ask, Kind};
use super::tests::{BEFORE_ADVISORY, BEFORE_MANDATORY, START, YOUNG};

/// What is done to the core, seen from outside.
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
/// A caller.
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

fn scenario(law: &'static str, (start, budget, asks): Stage, mutant: Mutant) -> Scenario {
    Scenario {
        budget,
        asks,
        mutant: Some(mutant),
        ..Scenario::new(law, start)
    }
}

// What mutants do.

/// Whether this record is to hold a pairing with this mark.
fn paired_record(effect: &mut Effect) -> Option<&mut crate::core::Pairing> {
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
    change(&mut sim.core.snapshot);
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
#[expect(clippy::too_many_lines, reason = "a list, one entry for each law")]
fn mutants() -> Vec<Scenario> {
    let mutants: Vec<(&'static str, Stage, Mutant)> = vec![
        (
            "i1_a_token_is_handed_out_only_when_durable",
            TOKEN,
            asks(|_, effects| {
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
            }),
        ),
        (
            "i1_the_snapshot_shows_only_what_is_durable",
            REFRESH,
            asks(|sim, effects| each_snapshot(sim, effects, |snapshot| snapshot.generation = Generation(7))),
        ),
        (
            "i1_the_disk_holds_what_is_handed_out",
            (
                Start::Candidate {
                    age: Duration::from_secs(60),
                },
                NOTHING,
                &[],
            ),
            asks(|_, effects| {
                each_reply(effects, |reply| {
                    if let Reply::Token { access, .. } = reply {
                        *access = Pair { family: 1, turn: 0 }.access();
                    }
                });
            }),
        ),
        (
            "i2_one_request_in_flight_per_grant",
            REFRESH,
            asks(|_, effects| {
                if let Some(Request::Refresh { token, .. }) = first_request(effects, is_refresh) {
                    let access = Pair::of_refresh(token).access();
                    effects.push(Effect::Request(NEW_OP, Request::Identify(access)));
                }
            }),
        ),
        (
            "i3_a_record_without_mark_holds_no_used_token",
            REFRESH,
            asks(|_, effects| {
                for pairing in effects.iter_mut().filter_map(paired_record) {
                    let pair = Pair::of_access(&pairing.pair.access);
                    if pairing.mark.is_none() && pair.turn > 0 {
                        pairing.pair.refresh = Some(
                            Pair {
                                turn: pair.turn - 1,
                                ..pair
                            }
                            .refresh(),
                        );
                    }
                }
            }),
        ),
        (
            "i4_polls_keep_their_interval",
            (
                Start::Fresh,
                Budget {
                    asks: 1,
                    faults: 1,
                    waits: 2,
                    ..NOTHING
                },
                &[START],
            ),
            told(|event| {
                if let Event::Answered {
                    answer: Answer::Poll(answer @ PollAnswer::SlowDown),
                    ..
                } = event
                {
                    *answer = PollAnswer::Pending;
                }
            }),
        ),
        (
            "i5_never_wedged",
            (BEFORE_MANDATORY, Budget { waits: 2, ..NOTHING }, &[]),
            asks(|_, effects| effects.retain(|effect| !matches!(effect, Effect::Request(_, Request::Prepare)))),
        ),
        (
            "i5_unpaired_says_what_a_person_must_do",
            (
                BEFORE_ADVISORY,
                Budget {
                    forgets: 1,
                    waits: 1,
                    ..NOTHING
                },
                &[],
            ),
            asks(|sim, effects| each_snapshot(sim, effects, |snapshot| snapshot.attention = false)),
        ),
        (
            "i5_a_token_handed_out_at_rest_lives",
            REFRESH,
            asks(|_, effects| {
                each_reply(effects, |reply| {
                    if let Reply::Token { access, .. } = reply {
                        *access = Pair { family: 0, turn: 0 }.access();
                    }
                });
            }),
        ),
        (
            "i6_replies_answer_open_calls",
            TOKEN,
            asks(|_, effects| double(effects, |effect| matches!(effect, Effect::Reply(..)))),
        ),
        (
            "i6_every_call_is_answered_in_time",
            TOKEN,
            asks(|_, effects| effects.retain(|effect| !matches!(effect, Effect::Reply(..)))),
        ),
        (
            "i7_a_tick_moves_the_deadline_forward",
            REFRESH,
            asks(|sim, _| sim.core.deadline = Some(sim.world.boot_time())),
        ),
        (
            "i7_no_retry_without_delay",
            FAULT,
            asks(|_, effects| {
                let offline = |effect: &Effect| {
                    matches!(
                        effect,
                        Effect::Note(Note::RefreshFailed {
                            fault: FaultKind::Offline,
                            ..
                        })
                    )
                };
                if effects.iter().any(offline) {
                    effects.push(Effect::Request(NEW_OP, Request::Prepare));
                }
            }),
        ),
        (
            "i7_no_burst_of_requests",
            REFRESH,
            asks(|_, effects| {
                if first_request(effects, |request| *request == Request::Prepare).is_some() {
                    effects.extend((0..8).map(|n| Effect::Request(OpId(NEW_OP.0 + n), Request::Prepare)));
                }
            }),
        ),
        (
            "i8_nothing_printed_holds_a_secret",
            SAMPLED,
            asks(|sim, effects| each_snapshot(sim, effects, |snapshot| snapshot.device.name = CANARY.into())),
        ),
        (
            "i9_sends_are_counted_on_disk_first",
            REFRESH,
            asks(|_, effects| {
                effects
                    .iter_mut()
                    .filter_map(paired_record)
                    .for_each(|pairing| pairing.mark = None);
            }),
        ),
        (
            "i9_only_a_verdict_or_the_user_ends_a_pairing",
            FAULT,
            told(|event| {
                if let Event::Answered {
                    answer: Answer::Refresh(answer @ RefreshAnswer::Failed(_)),
                    ..
                } = event
                {
                    *answer = RefreshAnswer::Dead;
                }
            }),
        ),
        (
            "refreshes_are_five_seconds_apart",
            REFRESH,
            asks(|sim, _| sim.world.history.refreshed = Some(sim.world.real)),
        ),
        (
            "a_refresh_uses_its_proven_connection",
            REFRESH,
            asks(|_, effects| {
                if let Some(Request::Refresh { on, .. }) = first_request(effects, is_refresh) {
                    *on = NEW_OP;
                }
            }),
        ),
        (
            "a_refresh_is_sent_only_while_inhibiting",
            REFRESH,
            asks(|_, effects| effects.retain(|effect| *effect != Effect::Inhibit)),
        ),
        (
            "a_sent_refresh_or_poll_is_never_cancelled",
            (
                BEFORE_ADVISORY,
                Budget {
                    asks: 1,
                    waits: 1,
                    ..NOTHING
                },
                &[Ask::Token],
            ),
            asks(|sim, effects| {
                let refresh = sim.world.flights.iter().find(|flight| is_refresh(&flight.request));
                effects.extend(refresh.map(|flight| Effect::Cancel(flight.op)));
            }),
        ),
        (
            "inhibit_and_release_alternate",
            REFRESH,
            asks(|_, effects| double(effects, |effect| *effect == Effect::Inhibit)),
        ),
        (
            "retry_after_is_waited_for",
            FAULT,
            told(|event| {
                if let Event::Answered { answer, .. } = event
                    && let Some(fault) = fault_mut(answer)
                {
                    fault.retry_after = None;
                }
            }),
        ),
        (
            "a_handed_token_is_not_known_to_be_dead",
            (
                YOUNG,
                Budget {
                    asks: 1,
                    forgets: 1,
                    ..NOTHING
                },
                &[Ask::Token],
            ),
            told(|event| {
                if let Event::Answered {
                    answer: Answer::Resource(answer @ ResourceAnswer::Unauthorized),
                    ..
                } = event
                {
                    *answer = ResourceAnswer::Alive(None);
                }
            }),
        ),
        (
            "a_generation_names_one_token",
            (
                BEFORE_ADVISORY,
                Budget {
                    asks: 1,
                    waits: 1,
                    ..NOTHING
                },
                &[Ask::Token],
            ),
            asks(|_, effects| {
                each_reply(effects, |reply| {
                    if let Reply::Token { generation, .. } = reply {
                        *generation = Generation(1);
                    }
                });
            }),
        ),
        (
            "done_means_durable",
            UNPAIR,
            asks(|_, effects| {
                for effect in effects {
                    if let Effect::Store(_, Store::Record { slots, .. }) = effect {
                        *slots = Slots::One;
                    }
                }
            }),
        ),
        (
            "nothing_is_revoked_while_paired",
            UNPAIR,
            asks(|sim, effects| {
                let revoked = effects.iter().find_map(|effect| match effect {
                    Effect::Store(_, Store::Revocations(list)) => list.first().map(|pending| pending.token.clone()),
                    _ => None,
                });
                if let Some(token) = revoked.filter(|_| !sim.world.flies(Kind::Identify)) {
                    effects.push(Effect::Request(NEW_OP, Request::Revoke(token)));
                }
            }),
        ),
        (
            "a_pending_revocation_goes_before_the_first_code_request",
            (
                YOUNG,
                Budget {
                    asks: 2,
                    faults: 1,
                    ..NOTHING
                },
                &[Ask::Unpair, START],
            ),
            asks(|sim, effects| {
                // The revocation that failed is forgotten in between.
                if effects.iter().any(|effect| matches!(effect, Effect::Publish(_))) {
                    sim.world.history.tried = 0;
                }
                let flow_runs = sim.flow_runs();
                if let Some(request) = first_request(effects, |request| matches!(request, Request::Revoke(_)))
                    && flow_runs
                {
                    *request = Request::DeviceCode;
                }
            }),
        ),
        (
            "no_ghost_device_in_the_project",
            UNPAIR,
            asks(|_, effects| {
                if let Some(Request::Revoke(token)) =
                    first_request(effects, |request| matches!(request, Request::Revoke(_)))
                {
                    *token = crate::core::Revocable::Refresh(Pair { family: 0, turn: 9 }.refresh());
                }
            }),
        ),
        (
            "d3_stale_answers_are_dropped",
            SAMPLED,
            asks(|sim, _| sim.core.deadline = sim.core.deadline.map(|at| at.after(Duration::from_millis(1)))),
        ),
        (
            "d4_publish_comes_before_replies",
            PAIR,
            asks(|_, effects| effects.sort_by_key(|effect| matches!(effect, Effect::Publish(_)))),
        ),
        (
            "d4_what_changed_is_published_once",
            REFRESH,
            asks(|_, effects| double(effects, |effect| matches!(effect, Effect::Publish(_)))),
        ),
        (
            "shutdown_starts_nothing_new",
            (
                YOUNG,
                Budget {
                    shutdowns: 1,
                    waits: 1,
                    ..NOTHING
                },
                &[],
            ),
            told(|event| {
                if *event == Event::Shutdown {
                    *event = Event::NetworkUp;
                }
            }),
        ),
        (
            "drained_means_that_nothing_is_left",
            (
                BEFORE_ADVISORY,
                Budget {
                    shutdowns: 1,
                    waits: 1,
                    ..NOTHING
                },
                &[],
            ),
            asks(|sim, effects| {
                if sim.world.history.stopping && sim.world.flies(Kind::Refresh) {
                    effects.push(Effect::Drained);
                }
            }),
        ),
        (
            "the_snapshot_makes_sense",
            REFRESH,
            asks(|sim, effects| each_snapshot(sim, effects, |snapshot| snapshot.paired = false)),
        ),
        (
            "the core never panics",
            REFRESH,
            told(|event| assert!(*event != Event::Tick, "planted")),
        ),
    ];
    let mut scenarios: Vec<_> = mutants
        .into_iter()
        .map(|(law, stage, mutant)| scenario(law, stage, mutant))
        .collect();
    let hasty = scenario("a_resend_waits_for_the_server_to_give_up", FAULT, told(|_| {}));
    scenarios.push(Scenario {
        policy: crate::core::Policy {
            replay_after: Duration::from_secs(10),
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
fn each_mutant_is_reported_by_its_law_and_by_no_other() {
    let mut wrong = Vec::new();
    for scenario in mutants() {
        let scenario: &'static Scenario = Box::leak(Box::new(scenario));
        let explored = explore(scenario, 100_000);
        let found: Vec<_> = explored.failures.keys().copied().collect();
        if found != [scenario.name] {
            let traces: Vec<_> = explored.failures.values().map(super::explore::Failure::print).collect();
            wrong.push(format!("{}: found {found:?}\n{}", scenario.name, traces.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_law_has_its_mutant() {
    let sources = [include_str!("invariants.rs"), include_str!("laws.rs")].concat();
    let functions = sources
        .split("fn ")
        .filter(|item| item.split('{').next().is_some_and(|head| head.contains("-> Law")))
        .filter_map(|item| item.split('(').next());
    let sources = [include_str!("calm.rs"), include_str!("sim.rs")].concat();
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
