//! Every kind of write, over everything that may be there before, with one fault at every step.

use super::faulty::{Fault, Place, Plan};
use super::fixture::*;
use crate::store::error::WriteError;
use crate::system::atomic_file::Folder as _;
use c2c_auth_core::{Loaded, Store as Write, Stored};

/// A state of the disk, and the write that follows.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    before: Vec<Write>,
    damaged: &'static [&'static str],
    pub(super) what: Write,
    pub(super) after: fn(Stored) -> Stored,
}

impl Scenario {
    /// Returns the content of the files that must not be lost.
    pub(super) fn prepare<P: Place>(&self, place: &P) -> Vec<Vec<u8>> {
        for write in &self.before {
            place.write(write);
        }
        let state = place.state();
        let damage = |name: &&str| {
            let mut content = state.read(name).unwrap().unwrap();
            content[100] ^= 1;
            state.replace(name, &content).unwrap();
            content
        };
        self.damaged.iter().map(damage).collect()
    }

    /// True if a start may find this after a write that did not end well.
    pub(super) fn allows(&self, found: &Stored, [old, new]: &[Stored; 2]) -> bool {
        let doubted = |stored: &Stored| match &stored.record {
            Loaded::Current(record) => Loaded::Previous(record.clone()),
            other => other.clone(),
        };
        // With something unreadable still beside it, the new one may be doubted.
        found == old || found == new || (!self.damaged.is_empty() && found.record == doubted(new))
    }
}

#[expect(clippy::too_many_lines, reason = "a list, an entry for each scenario")]
pub(super) fn scenarios() -> Vec<Scenario> {
    let scenario = |name, before, damaged, what, after| Scenario {
        name,
        before,
        damaged,
        what,
        after,
    };
    let third: fn(Stored) -> Stored = |old| Stored {
        record: Loaded::Current(paired(3)),
        ..old
    };
    let ended: fn(Stored) -> Stored = |old| Stored {
        record: Loaded::Current(tombstone(3)),
        ..old
    };
    let revoking: fn(Stored) -> Stored = |old| Stored {
        revocations: vec![revocation(3)],
        ..old
    };
    let two = || vec![one(paired(1)), one(paired(2))];
    vec![
        scenario("the first record", vec![], &[], one(paired(3)), third),
        scenario("the second record", vec![one(paired(1))], &[], one(paired(3)), third),
        scenario("a record after two", two(), &[], one(paired(3)), third),
        scenario(
            "a mark over a pair in both",
            vec![both(paired(2))],
            &[],
            one(paired(3)),
            third,
        ),
        scenario(
            "the second copy",
            vec![both(paired(1)), one(paired(2)), one(paired(3))],
            &[],
            one(paired(3)),
            third,
        ),
        scenario("a replacement", two(), &[], both(paired(3)), third),
        scenario("a tombstone", two(), &[], both(tombstone(3)), ended),
        scenario(
            "a tombstone after one",
            vec![one(paired(1))],
            &[],
            both(tombstone(3)),
            ended,
        ),
        scenario("the newest is damaged", two(), &["record.1"], one(paired(3)), third),
        scenario("the oldest is damaged", two(), &["record.0"], one(paired(3)), third),
        scenario(
            "all is damaged",
            two(),
            &["record.0", "record.1"],
            one(paired(3)),
            third,
        ),
        scenario(
            "all is damaged, both",
            two(),
            &["record.0", "record.1"],
            both(paired(3)),
            third,
        ),
        scenario(
            "the newest is damaged, tombstone",
            two(),
            &["record.1"],
            both(tombstone(3)),
            ended,
        ),
        scenario(
            "revocations",
            [two(), vec![Write::Revocations(vec![revocation(1)])]].concat(),
            &[],
            Write::Revocations(vec![revocation(3)]),
            revoking,
        ),
        scenario(
            "damaged revocations",
            vec![Write::Revocations(vec![revocation(1)])],
            &["revocations"],
            Write::Revocations(vec![revocation(3)]),
            revoking,
        ),
        scenario(
            "no more revocations",
            vec![Write::Revocations(vec![revocation(1)])],
            &[],
            Write::Revocations(Vec::new()),
            |old| Stored {
                revocations: Vec::new(),
                ..old
            },
        ),
        scenario("a trial", two(), &[], Write::Trial, |old| old),
        scenario("a trial before anything", vec![], &[], Write::Trial, |old| old),
        scenario("a flow", two(), &[], flow_write(flow()), |old| Stored {
            flow: Some(flow()),
            ..old
        }),
        scenario(
            "the end of a flow",
            vec![flow_write(flow())],
            &[],
            Write::Flow(None),
            |old| Stored { flow: None, ..old },
        ),
    ]
}

/// One scenario with one fault in it.
pub(super) struct Run {
    pub(super) outcome: Result<(), WriteError>,
    /// The state that a start finds before the write, and after it.
    pub(super) states: [Stored; 2],
    /// Files that must not be lost.
    pub(super) precious: Vec<Vec<u8>>,
}

/// Runs a scenario once for each step, until there is no such step.
pub(super) fn at_every_step<P: Place>(fault: Fault, mut check: impl FnMut(&Scenario, &P, Run)) {
    for scenario in scenarios() {
        for step in 0.. {
            let place = P::new();
            let precious = scenario.prepare(&place);
            let plan = Plan::new(fault);
            let (mut records, old) = place.open(&plan);
            plan.arm(step);
            let new = (scenario.after)(old.clone());
            let outcome = records.write(&scenario.what);
            drop(records);
            if !plan.was_hit() {
                assert!(step > 1, "{}: no step was tried", scenario.name);
                break;
            }
            for content in &precious {
                assert!(
                    place.holds(content),
                    "{}: lost what was damaged, {fault:?} at {step}",
                    scenario.name
                );
            }
            let run = Run {
                outcome,
                states: [old, new],
                precious,
            };
            check(&scenario, &place, run);
        }
    }
}
