//! One step of a write fails, or the process ends there: what does the next start find?
//!
//! Every scenario is run once for each step and each way to fail, over a real directory here and over the model that loses
//! power in [`super::power`].

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use rustix::io::Errno;

use super::fixture::*;
use crate::core::{Loaded, Store as Write, Stored};
use crate::store::error::WriteError;
use crate::store::folder::{Directory, Folder};
use crate::store::seal::Sealer;
use crate::store::vault::Vault;

/// How a step goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// This step does nothing (an append: half) and says so; the next one works.
    Once(Errno),
    /// This step is carried out, and yet reported as failed.
    Done(Errno),
    /// Nothing works from here on: the disk is gone, or the process.
    ForGood,
}

/// When it goes wrong: counts the steps of all folders that share it.
pub(super) struct Plan {
    left: Cell<u32>,
    fault: Fault,
    hit: Cell<bool>,
}

impl Plan {
    /// Nothing goes wrong until it is armed.
    pub(super) fn new(fault: Fault) -> Rc<Self> {
        Rc::new(Self {
            left: Cell::new(u32::MAX),
            fault,
            hit: Cell::new(false),
        })
    }

    /// The fault comes after this many steps that go well.
    pub(super) fn arm(&self, steps: u32) {
        self.left.set(steps);
    }

    pub(super) fn was_hit(&self) -> bool {
        self.hit.get()
    }

    fn step(&self, mut work: impl FnMut() -> io::Result<()>, half: impl FnOnce()) -> io::Result<()> {
        match self.left.get() {
            0 => match self.fault {
                Fault::Once(errno) => {
                    self.pass();
                    half();
                    Err(errno.into())
                }
                Fault::Done(errno) => {
                    self.pass();
                    work()?;
                    Err(errno.into())
                }
                Fault::ForGood => {
                    if !self.hit.replace(true) {
                        half();
                    }
                    Err(Errno::IO.into())
                }
            },
            left => {
                self.left.set(left - 1);
                work()
            }
        }
    }

    fn pass(&self) {
        self.left.set(u32::MAX);
        self.hit.set(true);
    }
}

/// A folder whose steps go wrong as planned.
pub(super) struct Faulty<F> {
    inner: F,
    plan: Rc<Plan>,
}

impl<F: Folder> Folder for Faulty<F> {
    type File = F::File;

    fn path(&self) -> &Path {
        self.inner.path()
    }
    fn names(&self) -> io::Result<Vec<String>> {
        self.inner.names()
    }
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.inner.read(name)
    }
    fn create(&self, name: &str) -> io::Result<F::File> {
        let mut file = None;
        let create = || {
            file = Some(self.inner.create(name)?);
            Ok(())
        };
        self.plan.step(create, || ())?;
        Ok(file.unwrap())
    }
    fn append(&self, file: &mut F::File, bytes: &[u8]) -> io::Result<()> {
        let half = Cell::new(false);
        let outcome = self.plan.step(|| self.inner.append(file, bytes), || half.set(true));
        if half.get() {
            self.inner.append(file, &bytes[..bytes.len() / 2])?;
        }
        outcome
    }
    fn sync_file(&self, file: &F::File) -> io::Result<()> {
        self.plan.step(|| self.inner.sync_file(file), || ())
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.plan.step(|| self.inner.rename(from, to), || ())
    }
    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.plan.step(|| self.inner.link(from, to), || ())
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.plan.step(|| self.inner.remove(name), || ())
    }
    fn sync(&self) -> io::Result<()> {
        self.plan.step(|| self.inner.sync(), || ())
    }
}

/// A place to run scenarios on.
pub(super) trait Place {
    type Folder: Folder;
    fn new() -> Self;
    fn state(&self) -> Self::Folder;
    fn runtime(&self) -> Self::Folder;

    fn open(&self, plan: &Rc<Plan>) -> (Vault<Faulty<Self::Folder>>, Stored) {
        let faulty = |inner| Faulty {
            inner,
            plan: Rc::clone(plan),
        };
        let sealer = Sealer::new(&key(), identity());
        Vault::open(faulty(self.state()), Some(faulty(self.runtime())), Some(sealer), BOOT).unwrap()
    }

    fn stored(&self) -> Stored {
        self.open(&Plan::new(Fault::ForGood)).1
    }

    fn write(&self, what: &Write) {
        self.open(&Plan::new(Fault::ForGood)).0.write(what).unwrap();
    }

    /// Whether a file of this content is there, whatever its name.
    fn holds(&self, content: &[u8]) -> bool {
        holds(&self.state(), content)
    }
}

pub(super) fn holds(folder: &impl Folder, content: &[u8]) -> bool {
    let names = folder.names().unwrap();
    names
        .iter()
        .any(|name| folder.read(name).unwrap().as_deref() == Some(content))
}

impl Place for Device {
    type Folder = Directory;

    fn new() -> Self {
        Device::new()
    }
    fn state(&self) -> Directory {
        Directory::open(self.state.path().to_owned()).unwrap()
    }
    fn runtime(&self) -> Directory {
        Directory::open(self.runtime.path().to_owned()).unwrap()
    }
}

/// What is there, and what is written then.
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

    /// Whether a start may find this after a write that did not end well.
    pub(super) fn allows(&self, found: &Stored, [old, new]: &[Stored; 2]) -> bool {
        let doubted = |stored: &Stored| match &stored.record {
            Loaded::Current(record) => Loaded::Previous(record.clone()),
            other => other.clone(),
        };
        // With something unreadable still beside it, the new one may be doubted.
        found == old || found == new || (!self.damaged.is_empty() && found.record == doubted(new))
    }
}

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
    /// What a start finds before the write, and after it.
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
            let (mut vault, old) = place.open(&plan);
            plan.arm(step);
            let new = (scenario.after)(old.clone());
            let outcome = vault.write(&scenario.what);
            drop(vault);
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

fn check_device(fault: Fault) {
    at_every_step(fault, |scenario, device: &Device, Run { outcome, states, .. }| {
        let found = device.stored();
        let name = scenario.name;
        match outcome {
            Ok(()) => assert_eq!(found, states[1], "{name}"),
            Err(_) => assert!(scenario.allows(&found, &states), "{name}: {found:?}"),
        }
        Place::write(device, &scenario.what);
        assert_eq!(device.stored(), states[1], "{name}: the next try");
    });
}

#[test]
fn a_failed_step_leaves_the_old_or_the_new() {
    check_device(Fault::Once(Errno::IO));
}

#[test]
fn a_step_that_only_seemed_to_fail_leaves_the_old_or_the_new() {
    check_device(Fault::Done(Errno::IO));
}

#[test]
fn a_full_disk_leaves_the_old_or_the_new() {
    check_device(Fault::Once(Errno::NOSPC));
}

#[test]
fn a_disk_that_fails_for_good_or_a_process_that_ends_leaves_the_old_or_the_new() {
    check_device(Fault::ForGood);
}

/// The refresh token that it replaces may be dead, so the new pair must survive where it can.
#[test]
fn a_pairing_that_the_disk_did_not_take_is_found_in_the_runtime_directory() {
    at_every_step(
        Fault::Once(Errno::IO),
        |scenario,
         device: &Device,
         Run {
             outcome,
             states: [_, new],
             ..
         }| {
            let is_pairing = matches!(&scenario.what, Write::Record { record, .. } if record.body != tombstone(0).body);
            if is_pairing && outcome.is_err() {
                let found = device.stored();
                let (Loaded::Current(found) | Loaded::Previous(found)) = found.record else {
                    panic!("{}: {found:?}", scenario.name);
                };
                assert_eq!(Loaded::Current(found), new.record, "{}", scenario.name);
                assert!(device.run_file("record.spill").exists());
                Place::write(device, &scenario.what);
                assert!(!device.run_file("record.spill").exists());
            }
        },
    );
}

/// Whoever unpairs is told that it failed, so the next start must not find it done. Only where the last step of all failed
/// is there no pairing left to go back to.
#[test]
fn a_tombstone_that_failed_is_not_found_later() {
    let mut failures = Vec::new();
    at_every_step(
        Fault::Once(Errno::IO),
        |scenario,
         device: &Device,
         Run {
             outcome,
             states: [old, _],
             ..
         }| {
            if scenario.name.starts_with("a tombstone") && outcome.is_err() {
                failures.push((scenario.name, device.stored() == old));
            }
        },
    );
    for ends in failures.chunk_by(|a, b| a.0 == b.0) {
        let (_, before_last) = ends.split_last().unwrap();
        assert!(before_last.len() > 5);
        for (name, is_old) in before_last {
            assert!(is_old, "{name}");
        }
    }
}

#[test]
fn a_spilled_pairing_never_comes_back_after_a_tombstone() {
    // The spill is made, outlives its removal, and is older than what was written since.
    let device = Device::with(&[one(paired(1))]);
    let plan = Plan::new(Fault::Once(Errno::IO));
    let (mut vault, _) = Place::open(&device, &plan);
    plan.arm(0);
    vault.write(&one(paired(2))).unwrap_err();
    let spill = std::fs::read(device.run_file("record.spill")).unwrap();
    vault.write(&both(tombstone(3))).unwrap();
    drop(vault);
    assert!(!device.run_file("record.spill").exists());
    std::fs::write(device.run_file("record.spill"), spill).unwrap();
    assert_eq!(device.loaded(), Loaded::Current(tombstone(3)));
    device.damage("record.0");
    assert_eq!(device.loaded(), Loaded::Previous(tombstone(3)));
}

#[test]
fn a_failed_tombstone_leaves_a_spilled_pairing_in_force() {
    let device = Device::with(&[one(paired(1))]);
    let plan = Plan::new(Fault::Once(Errno::IO));
    let (mut vault, _) = Place::open(&device, &plan);
    for write in [one(paired(2)), both(tombstone(3))] {
        plan.arm(0);
        vault.write(&write).unwrap_err();
    }
    drop(vault);
    assert_eq!(device.loaded(), Loaded::Current(paired(2)));
}

#[test]
fn a_spill_that_cannot_be_read_casts_doubt_on_the_disk() {
    let device = Device::with(&[one(paired(1))]);
    std::fs::write(device.run_file("record.spill"), "no record").unwrap();
    assert_eq!(device.loaded(), Loaded::Previous(paired(1)));
    device.write(&[one(paired(2))]);
    assert_eq!(device.loaded(), Loaded::Current(paired(2)));
}

#[test]
fn a_full_disk_takes_one_more_record_and_the_room_is_kept_again_later() {
    for step in 0..4 {
        let device = Device::with(&[one(paired(1)), one(paired(2))]);
        let spare = std::fs::metadata(device.file("spare")).unwrap().len();
        assert!(spare >= 65_536);
        let plan = Plan::new(Fault::Once(Errno::NOSPC));
        let (mut vault, _) = Place::open(&device, &plan);
        plan.arm(step);
        vault.write(&one(paired(3))).unwrap();
        assert!(plan.was_hit());
        drop(vault);
        assert_eq!(device.loaded(), Loaded::Current(paired(3)));
        assert_eq!(std::fs::metadata(device.file("spare")).unwrap().len(), spare);
        assert_eq!(device.names(), ["record.0", "record.1", "spare"]);
    }
}

#[test]
fn an_error_names_the_directory_and_no_secret() {
    let device = Device::new();
    let plan = Plan::new(Fault::ForGood);
    let (mut vault, _) = Place::open(&device, &plan);
    plan.arm(0);
    let error = vault.write(&one(paired(1))).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains(device.state.path().to_str().unwrap()));
    assert!(!text.contains("example"));
}
