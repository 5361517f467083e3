//! Breadth first through everything that can happen within a scenario's budget, so that the first
//! trace to break a law is a shortest one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use crate::{Body, Effect, Store};

use super::invariants::{self, Violation};
use super::liveness::Liveness;
use super::network::kind_of;
use super::scenario::Scenario;
use super::sim::Sim;
use super::step::Step;

/// Every so many new states the costly checks are made.
const SAMPLE: usize = 16;

/// A way that never comes to rest repeats itself; nobody reads all of it.
const LONGEST_PRINTED: usize = 60;

/// How far an exploration got.
#[derive(Debug)]
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) edges: usize,
    /// The longest of the shortest ways to a state.
    pub(super) depth: usize,
    /// Nothing within the budget is left unexplored.
    pub(super) complete: bool,
    /// One shortest trace for each law that is broken somewhere.
    pub(super) failures: BTreeMap<&'static str, Failure>,
}

/// A law broken, and how to get there.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) scenario: &'static Scenario,
    pub(super) trace: Vec<Step>,
    pub(super) violation: Violation,
}

/// How a state was first reached; `parent` counts from 1, and 0 is the beginning.
struct Origin {
    parent: usize,
    step: Step,
    depth: usize,
}

/// Explores until nothing is left or `most` states were seen. Nothing is explored beyond a broken
/// law.
pub(super) fn explore(scenario: &'static Scenario, most: usize) -> Explored {
    let mut explored = Explored {
        states: 1,
        edges: 0,
        depth: 0,
        complete: true,
        failures: BTreeMap::new(),
    };
    let mut effects = Vec::new();
    let first = match Sim::start(scenario, &mut effects) {
        Ok(first) => first,
        Err(violation) => {
            explored.fail(scenario, Vec::new(), violation);
            return explored;
        }
    };
    let mut seen = BTreeSet::from([first.key()]);
    let mut origins: Vec<Origin> = Vec::new();
    let mut liveness = Liveness::default();
    let mut queue = VecDeque::from([(0, first)]);
    let mut steps = Vec::new();
    while let Some((at, sim)) = queue.pop_front() {
        if let Err((violation, path)) = liveness.leads_to_rest(&sim) {
            let mut trace = trace_to(&origins, at);
            trace.extend(path);
            explored.fail(scenario, trace, violation);
        }
        let depth = at.checked_sub(1).map_or(0, |index| origins[index].depth);
        explored.depth = depth;
        steps.clear();
        sim.enabled(&mut steps);
        for &step in &steps {
            explored.edges += 1;
            let mut next = sim.clone();
            let mut outcome = next.apply(step, &mut effects);
            if outcome.is_ok() {
                if !seen.insert(next.key()) {
                    continue;
                }
                if seen.len().is_multiple_of(SAMPLE) {
                    outcome = invariants::hold_in_sampled_state(&next, &effects);
                }
            }
            if let Err(violation) = outcome {
                let mut trace = trace_to(&origins, at);
                trace.push(step);
                explored.fail(scenario, trace, violation);
                continue;
            }
            if seen.len() > most {
                explored.complete = false;
                continue;
            }
            origins.push(Origin {
                parent: at,
                step,
                depth: depth + 1,
            });
            queue.push_back((origins.len(), next));
        }
    }
    explored.states = seen.len();
    explored
}

impl Explored {
    fn fail(&mut self, scenario: &'static Scenario, trace: Vec<Step>, violation: Violation) {
        self.failures.entry(violation.rule).or_insert(Failure {
            scenario,
            trace,
            violation,
        });
    }
}

/// The steps from the beginning to a state.
fn trace_to(origins: &[Origin], at: usize) -> Vec<Step> {
    let mut trace = Vec::new();
    let mut next = at;
    while let Some(origin) = next.checked_sub(1).map(|index| &origins[index]) {
        trace.push(origin.step);
        next = origin.parent;
    }
    trace.reverse();
    trace
}

impl Failure {
    /// The trace for a reader: each step and what the core made of it.
    pub(super) fn print(&self) -> String {
        let mut text = format!(
            "{}: `{}` is broken: {}\n",
            self.scenario.name, self.violation.rule, self.violation.what
        );
        let mut line = |at: usize, sim: Option<&Sim>, step: &dyn std::fmt::Debug, effects: &[Effect]| {
            let clock = sim.map_or(0, |sim| sim.world.real);
            let printed: Vec<_> = effects.iter().map(brief).collect();
            let _ = writeln!(
                text,
                "{at:>3}  {clock:>9} ms  {step:?}\n        -> {}",
                printed.join(", ")
            );
        };
        let mut effects = Vec::new();
        let started = Sim::start(self.scenario, &mut effects);
        line(0, started.as_ref().ok(), &self.scenario.start, &effects);
        if let Ok(mut sim) = started {
            for (at, step) in self.trace.iter().take(LONGEST_PRINTED).enumerate() {
                // The last step is the one that breaks the law; the effects are there all the same.
                let _ = sim.apply(*step, &mut effects);
                line(at + 1, Some(&sim), step, &effects);
            }
        }
        text
    }
}

/// One effect in a few words.
pub(super) fn brief(effect: &Effect) -> String {
    match effect {
        Effect::Request(op, request) => format!("Request {} {:?}", op.0, kind_of(request)),
        Effect::Store(op, Store::Record { record, slots }) => match &record.body {
            Body::Tombstone(reason) => format!("Store {} tombstone {reason:?} {slots:?}", op.0),
            Body::Paired(pairing) => format!(
                "Store {} pairing generation {} mark {:?} candidate {} {slots:?}",
                op.0,
                record.generation.0,
                pairing.mark.map(|mark| mark.sends),
                pairing.candidate.is_some()
            ),
        },
        Effect::Store(op, Store::Revocations(list)) => format!("Store {} revocations {}", op.0, list.len()),
        Effect::Store(op, Store::Flow(flow)) => format!("Store {} flow {}", op.0, flow.is_some()),
        Effect::Store(op, Store::Trial) => format!("Store {} trial", op.0),
        Effect::Publish(snapshot) => format!(
            "Publish {}/{} paired {} token {} attention {}",
            snapshot.pairing.word(),
            snapshot.reason.word(),
            snapshot.paired,
            snapshot.token.word(),
            snapshot.attention
        ),
        Effect::Cancel(op) => format!("Cancel {}", op.0),
        Effect::Reply(call, reply) => format!("Reply {} {reply:?}", call.0),
        Effect::Log(event) => format!("{event:?}"),
        Effect::Inhibit | Effect::Release | Effect::Drained => format!("{effect:?}"),
    }
}
