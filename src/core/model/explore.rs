//! Breadth first through everything that can happen within a scenario's budget, so that the first trace to break a law is a
//! shortest one.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use crate::core::{Effect, Store};

use super::calm::Calm;
use super::invariants::{self, Violation};
use super::scenario::Scenario;
use super::sim::Sim;
use super::step::Step;
use super::world::kind_of;

/// Every so many new states the costly checks are made.
const SAMPLE: usize = 16;

/// How far an exploration got.
#[derive(Debug)]
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) edges: usize,
    pub(super) depth: usize,
    /// Nothing within the budget is left unexplored.
    pub(super) complete: bool,
}

/// A law broken, and how to get there.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) scenario: &'static Scenario,
    pub(super) trace: Vec<Step>,
    pub(super) violation: Violation,
}

/// How a state was first reached.
struct Origin {
    parent: usize,
    step: Step,
    depth: usize,
}

/// Explores until nothing is left or `most` states were seen.
pub(super) fn explore(scenario: &'static Scenario, most: usize) -> Result<Explored, Box<Failure>> {
    let fail = |trace, violation| {
        Box::new(Failure {
            scenario,
            trace,
            violation,
        })
    };
    let (first, effects) = Sim::start(scenario).map_err(|violation| fail(Vec::new(), violation))?;
    invariants::hold_in_sampled_state(&first, &effects).map_err(|violation| fail(Vec::new(), violation))?;
    let mut seen = BTreeSet::from([first.key()]);
    let mut origins: Vec<Origin> = Vec::new();
    let mut calm = Calm::default();
    let mut queue = VecDeque::from([(None, first)]);
    let mut steps = Vec::new();
    let (mut edges, mut depth, mut complete) = (0, 0, true);
    while let Some((at, sim)) = queue.pop_front() {
        calm.leads_to_rest(&sim).map_err(|(violation, path)| {
            let mut trace = trace_to(&origins, at);
            trace.extend(path);
            fail(trace, violation)
        })?;
        depth = at.map_or(0, |at: usize| origins[at].depth);
        steps.clear();
        sim.enabled(&mut steps);
        for &step in &steps {
            edges += 1;
            let mut next = sim.clone();
            let outcome = next.apply(step);
            let trace = || {
                let mut trace = trace_to(&origins, at);
                trace.push(step);
                trace
            };
            let effects = outcome.map_err(|violation| fail(trace(), violation))?;
            if !seen.insert(next.key()) {
                continue;
            }
            if seen.len().is_multiple_of(SAMPLE) {
                invariants::hold_in_sampled_state(&next, &effects).map_err(|violation| fail(trace(), violation))?;
            }
            if seen.len() > most {
                complete = false;
                continue;
            }
            let origin = Origin {
                parent: at.map_or(0, |at| at + 1),
                step,
                depth: depth + 1,
            };
            origins.push(origin);
            queue.push_back((Some(origins.len() - 1), next));
        }
    }
    Ok(Explored {
        states: seen.len(),
        edges,
        depth,
        complete,
    })
}

/// The steps from the beginning to a state. `parent` is one more than an index; 0 is the beginning.
fn trace_to(origins: &[Origin], at: Option<usize>) -> Vec<Step> {
    let mut trace = Vec::new();
    let mut next = at.map_or(0, |at| at + 1);
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
            let _ = writeln!(text, "{at:>3}  {clock:>9} ms  {step:?}\n        -> {}", printed.join(", "));
        };
        match Sim::start(self.scenario) {
            Ok((mut sim, effects)) => {
                line(0, Some(&sim), &self.scenario.start, &effects);
                for (at, step) in self.trace.iter().enumerate() {
                    let outcome = sim.apply(*step);
                    let effects = outcome.unwrap_or_default();
                    line(at + 1, Some(&sim), step, &effects);
                }
            }
            Err(_) => line(0, None, &self.scenario.start, &[]),
        }
        text
    }
}

/// One effect in a few words.
pub(super) fn brief(effect: &Effect) -> String {
    match effect {
        Effect::Request(op, request) => format!("Request {} {:?}", op.0, kind_of(request)),
        Effect::Store(op, Store::Record { record, slots }) => match &record.body {
            crate::core::Body::Tombstone(reason) => format!("Store {} tombstone {reason:?} {slots:?}", op.0),
            crate::core::Body::Paired(pairing) => format!(
                "Store {} pairing generation {} mark {:?} candidate {} {slots:?}",
                op.0,
                record.generation.0,
                pairing.mark.map(|mark| mark.sends),
                pairing.candidate.is_some()
            ),
        },
        Effect::Store(op, Store::Revocations(list)) => format!("Store {} revocations {}", op.0, list.len()),
        Effect::Store(op, Store::Flow(flow)) => format!("Store {} flow {}", op.0, flow.is_some()),
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
        Effect::Note(note) => format!("{note:?}"),
        Effect::Inhibit | Effect::Release | Effect::Drained => format!("{effect:?}"),
    }
}
