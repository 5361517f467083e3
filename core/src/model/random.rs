//! Long traces by chance, through states that no breadth-first budget reaches; a failing one is
//! shortened before it is told.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::explore::Failure;
use super::invariants::{self, Violation};
use super::liveness::Liveness;
use super::scenario::{Budget, Scenario};
use super::sim::Sim;
use super::step::{DiskFate, Outcome, Step};

/// The output function of `SplitMix64`: every bit of the result depends on every bit of the input.
pub(super) const fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `SplitMix64`: small, and good enough to choose steps.
struct Rng(u64);

impl Rng {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let sides = u64::try_from(sides).unwrap_or(u64::MAX);
        usize::try_from(mix(self.0) % sides).unwrap_or(0)
    }
}

/// Tokens and families are numbered in a byte, families also in 64 bits: a trace is cut before they
/// run out.
const MOST_FAMILIES: u8 = 30;
const MOST_STEPS: usize = 400;

/// Every so many steps the costly checks are made, and the way to rest is tried.
const SAMPLE: usize = 7;

/// Walks `traces` random traces. The seed of a failing one is in its message.
pub(super) fn walk(scenario: &'static Scenario, seed: u64, traces: u64) -> Result<usize, (u64, Box<Failure>)> {
    let mut taken = 0;
    for number in 0..traces {
        let seed = seed.wrapping_add(number);
        let mut trace = Vec::new();
        match wander(scenario, seed, &mut trace) {
            Ok(()) => taken += trace.len(),
            Err(violation) => return Err((seed, Box::new(shorten(scenario, trace, violation)))),
        }
    }
    Ok(taken)
}

fn wander(scenario: &'static Scenario, seed: u64, trace: &mut Vec<Step>) -> Result<(), Violation> {
    let mut rng = Rng(seed);
    let mut effects = Vec::new();
    let mut sim = Sim::start(scenario, &mut effects)?;
    invariants::hold_in_sampled_state(&sim, &effects)?;
    let mut steps = Vec::new();
    for _ in 0..MOST_STEPS {
        if sim.world.server.families() >= MOST_FAMILIES {
            break;
        }
        sim.world.budget = plenty(&mut rng);
        steps.clear();
        sim.enabled(&mut steps);
        if steps.is_empty() {
            continue;
        }
        let step = steps[rng.roll(steps.len())];
        trace.push(step);
        sim.apply(step, &mut effects)?;
        if trace.len().is_multiple_of(SAMPLE) {
            invariants::hold_in_sampled_state(&sim, &effects)?;
            Liveness::default().leads_to_rest(&sim).map_err(|(violation, path)| {
                trace.extend(path);
                violation
            })?;
        }
    }
    Ok(())
}

/// Which kinds of trouble are possible in the next step. Mostly none: a world that only fails goes
/// nowhere.
fn plenty(rng: &mut Rng) -> Budget {
    let mut some = |one_in: usize| u8::from(rng.roll(one_in) == 0);
    Budget {
        asks: some(4),
        faults: some(4),
        disk: some(6),
        crashes: some(16),
        stalls: some(3),
        consents: some(2),
        forgets: some(40),
        nudges: some(16),
        clocks: some(16),
        sleeps: some(16),
        reloads: some(40),
        shutdowns: some(60),
        waits: 1,
    }
}

/// Replays a trace, leaving out what is not possible where it stands. What fails on the fair way
/// from its end is told with that way.
fn replay(scenario: &'static Scenario, trace: &[Step]) -> Result<(), (Violation, Vec<Step>)> {
    let here = |violation| (violation, Vec::new());
    let mut effects = Vec::new();
    let mut sim = Sim::start(scenario, &mut effects).map_err(here)?;
    invariants::hold_in_sampled_state(&sim, &effects).map_err(here)?;
    let mut steps = Vec::new();
    for step in trace {
        sim.world.budget = EVERYTHING;
        steps.clear();
        sim.enabled(&mut steps);
        if possible(*step, &steps) {
            sim.apply(*step, &mut effects).map_err(here)?;
            invariants::hold_in_sampled_state(&sim, &effects).map_err(here)?;
        }
    }
    match catch_unwind(AssertUnwindSafe(|| Liveness::default().leads_to_rest(&sim))) {
        Ok(Err(found)) => Err(found),
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}

/// The fair path asks beyond what a scenario's clients do.
fn possible(step: Step, steps: &[Step]) -> bool {
    matches!(step, Step::Ask(_)) || steps.contains(&step)
}

const EVERYTHING: Budget = Budget {
    asks: 1,
    faults: 1,
    disk: 1,
    crashes: 1,
    stalls: 1,
    consents: 1,
    forgets: 1,
    nudges: 1,
    clocks: 1,
    sleeps: 1,
    reloads: 1,
    shutdowns: 1,
    waits: 1,
};

/// Takes out of a failing trace, and makes plain, whatever it fails without.
fn shorten(scenario: &'static Scenario, mut trace: Vec<Step>, violation: Violation) -> Failure {
    let rule = violation.rule;
    let mut last = (violation, Vec::new());
    let mut fails = |trace: &[Step]| match replay(scenario, trace) {
        Err((violation, way)) if violation.rule == rule => {
            last = (violation, way);
            true
        }
        Err(_) | Ok(()) => false,
    };
    // A step that was made plain may have been the reason for another one: again, until nothing
    // changes.
    let mut before = Vec::new();
    while before != trace {
        before.clone_from(&trace);
        cut(&mut trace, &mut fails);
        make_plain(&mut trace, &mut fails);
    }
    let (violation, way) = last;
    trace.extend(way);
    Failure {
        scenario,
        trace,
        violation,
    }
}

fn cut(trace: &mut Vec<Step>, fails: &mut impl FnMut(&[Step]) -> bool) {
    let mut chunk = trace.len();
    while chunk > 0 {
        let mut at = 0;
        while at < trace.len() {
            let mut shorter = trace.clone();
            shorter.drain(at..(at + chunk).min(shorter.len()));
            if fails(&shorter) {
                *trace = shorter;
            } else {
                at += chunk;
            }
        }
        chunk /= 2;
    }
}

fn make_plain(trace: &mut [Step], fails: &mut impl FnMut(&[Step]) -> bool) {
    for at in 0..trace.len() {
        let as_it_was = trace[at];
        trace[at] = match as_it_was {
            Step::Answer(kind, _) => Step::Answer(kind, Outcome::Honest),
            Step::Disk(_) => Step::Disk(DiskFate::Done),
            _ => continue,
        };
        if trace[at] != as_it_was && !fails(trace) {
            trace[at] = as_it_was;
        }
    }
}
