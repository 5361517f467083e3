//! The power is cut at any step of a write: a model of a disk that keeps nothing it was not told to
//! sync.
//!
//! Any subset of the directory changes since the last sync may survive. A file that was not synced
//! may hold anything. This is worse than what real file systems do, and it is the only part of the
//! rules that a real one cannot show in a test.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use rustix::io::Errno;

use super::faulty::{Fault, Place, Plan};
use super::scenarios::{Run, at_every_step, scenarios};
use crate::store::OpenError;
use crate::store::folder::Reopen;
use crate::system::atomic_file::Folder;
use c2c_auth_core::{Loaded, Stored};

#[derive(Clone)]
struct Node {
    content: Vec<u8>,
    synced: bool,
}

#[derive(Clone)]
enum Change {
    Add(String, usize),
    Move(String, String, usize),
    Drop(String),
}

#[derive(Clone, Default)]
struct Disk {
    nodes: Vec<Node>,
    /// As programs see it.
    names: BTreeMap<String, usize>,
    /// As it is on the platter.
    durable: BTreeMap<String, usize>,
    /// The changes that lead from `durable` to `names`.
    pending: Vec<Change>,
}

/// The damage to a file that was not synced.
type Decay = fn(&mut Vec<u8>);

const DECAYS: [Decay; 4] = [
    |_| (),
    Vec::clear,
    |content| content.fill(0),
    |content| content.truncate(content.len() / 2),
];

impl Disk {
    fn change(&mut self, change: Change) {
        apply(&mut self.names, &change);
        self.pending.push(change);
    }

    /// Every disk that may come back after the power was cut.
    fn survivors(&self) -> Vec<Self> {
        let mut survivors = Vec::new();
        for chosen in 0..1_u32 << self.pending.len() {
            for decay in DECAYS {
                let mut disk = self.clone();
                disk.names = disk.durable.clone();
                for (n, change) in disk.pending.drain(..).enumerate() {
                    if chosen & (1 << n) != 0 {
                        apply(&mut disk.names, &change);
                    }
                }
                disk.durable = disk.names.clone();
                for node in disk.nodes.iter_mut().filter(|node| !node.synced) {
                    decay(&mut node.content);
                    node.synced = true;
                }
                survivors.push(disk);
            }
        }
        survivors
    }
}

fn apply(names: &mut BTreeMap<String, usize>, change: &Change) {
    match change {
        Change::Add(name, node) => {
            names.insert(name.clone(), *node);
        }
        Change::Move(from, to, node) => {
            names.remove(from);
            names.insert(to.clone(), *node);
        }
        Change::Drop(name) => {
            names.remove(name);
        }
    }
}

/// A directory on such a disk.
#[derive(Clone)]
pub(super) struct Model(Rc<RefCell<Disk>>, Path);

/// The directory that a path leads to.
#[derive(Clone, Default)]
struct Path(Rc<RefCell<Option<Rc<RefCell<Disk>>>>>);

impl Model {
    fn at(path: &Path) -> Self {
        let disk = path.0.borrow_mut().get_or_insert_default().clone();
        Self(disk, path.clone())
    }

    fn of(disk: Disk) -> Self {
        let disk = Rc::new(RefCell::new(disk));
        Self::at(&Path(Rc::new(RefCell::new(Some(disk)))))
    }

    fn node(&self, name: &str) -> io::Result<usize> {
        self.0.borrow().names.get(name).copied().ok_or(Errno::NOENT.into())
    }
}

impl Folder for Model {
    type File = usize;

    fn path(&self) -> &std::path::Path {
        std::path::Path::new("/model")
    }
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.0.borrow().names.keys().cloned().collect())
    }
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let node = self.node(name).ok();
        Ok(node.map(|node| self.0.borrow().nodes[node].content.clone()))
    }
    fn create(&self, name: &str) -> io::Result<usize> {
        if self.node(name).is_ok() {
            return Err(Errno::EXIST.into());
        }
        let mut disk = self.0.borrow_mut();
        disk.nodes.push(Node {
            content: Vec::new(),
            synced: false,
        });
        let node = disk.nodes.len() - 1;
        disk.change(Change::Add(name.to_owned(), node));
        Ok(node)
    }
    fn append(&self, file: &mut usize, bytes: &[u8]) -> io::Result<()> {
        let node = &mut self.0.borrow_mut().nodes[*file];
        node.content.extend_from_slice(bytes);
        node.synced = false;
        Ok(())
    }
    fn sync_file(&self, file: &usize) -> io::Result<()> {
        self.0.borrow_mut().nodes[*file].synced = true;
        Ok(())
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let node = self.node(from)?;
        self.0
            .borrow_mut()
            .change(Change::Move(from.to_owned(), to.to_owned(), node));
        Ok(())
    }
    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        let node = self.node(from)?;
        self.0.borrow_mut().change(Change::Add(to.to_owned(), node));
        Ok(())
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        if self.node(name).is_ok() {
            self.0.borrow_mut().change(Change::Drop(name.to_owned()));
        }
        Ok(())
    }
    fn sync_directory(&self) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        disk.durable = disk.names.clone();
        disk.pending.clear();
        Ok(())
    }
}

impl Reopen for Model {
    fn is_replaced(&self) -> bool {
        let there = self.1.0.borrow();
        !there.as_ref().is_some_and(|there| Rc::ptr_eq(there, &self.0))
    }

    fn reopen(&self, _locked: bool) -> Result<Self, OpenError> {
        Ok(Self::at(&self.1))
    }
}

/// A state directory on such a disk, and a runtime directory in memory.
#[derive(Default)]
pub(super) struct Board {
    state: Path,
    runtime: Path,
}

impl Place for Board {
    type Folder = Model;

    fn new() -> Self {
        Self::default()
    }
    fn state(&self) -> Model {
        Model::at(&self.state)
    }
    fn runtime(&self) -> Model {
        Model::at(&self.runtime)
    }
    fn replace_state(&self) {
        self.state.0.borrow_mut().take();
    }
    fn replace_runtime(&self) {
        self.runtime.0.borrow_mut().take();
    }
}

impl Board {
    /// The boards that may come up again. Memory is empty then.
    fn after_power_cut(&self) -> Vec<Self> {
        let survivors = self.state().0.borrow().survivors();
        survivors
            .into_iter()
            .map(|disk| Self {
                state: Model::of(disk).1,
                runtime: Path::default(),
            })
            .collect()
    }
}

fn without_flow(stored: Stored) -> Stored {
    Stored { flow: None, ..stored }
}

#[test]
fn a_power_cut_at_any_step_leaves_the_old_or_the_new() {
    let mut tried = 0;
    at_every_step(Fault::ForGood, |scenario, board: &Board, run| {
        let states = run.states.map(without_flow);
        for board in board.after_power_cut() {
            let found = board.stored();
            match run.outcome {
                Ok(()) => assert_eq!(found, states[1], "{}: undone", scenario.name),
                Err(_) => assert!(scenario.allows(&found, &states), "{}: {found:?}", scenario.name),
            }
            for content in &run.precious {
                assert!(board.holds(content), "{}: what was damaged is lost", scenario.name);
            }
            board.write(&scenario.what);
            assert_eq!(
                without_flow(board.stored()),
                states[1],
                "{}: the next try",
                scenario.name
            );
            tried += 1;
        }
    });
    assert!(tried > 500, "{tried}");
}

#[test]
fn a_power_cut_right_after_a_write_undoes_nothing() {
    for scenario in scenarios() {
        let board = Board::new();
        let precious = scenario.prepare(&board);
        let (mut records, old) = board.open(&Plan::new(Fault::ForGood));
        let new = without_flow((scenario.after)(old));
        records.write(&scenario.what).unwrap();
        for board in board.after_power_cut() {
            assert_eq!(board.stored(), new, "{}", scenario.name);
            for content in &precious {
                assert!(board.holds(content), "{}: what was damaged is lost", scenario.name);
            }
        }
    }
}

/// A failed write is followed by another one, and only then the power is cut.
#[test]
fn a_power_cut_after_a_failure_that_was_made_good_undoes_nothing() {
    for fault in [
        Fault::Once(Errno::IO),
        Fault::Done(Errno::IO),
        Fault::Once(Errno::NOSPC),
    ] {
        at_every_step(fault, |scenario, board: &Board, Run { states: [_, new], .. }| {
            board.write(&scenario.what);
            let new = without_flow(new);
            for board in board.after_power_cut() {
                assert_eq!(board.stored(), new, "{}", scenario.name);
            }
        });
    }
}

/// The board lost its directory, and then its power.
#[test]
fn a_power_cut_after_a_directory_was_replaced_undoes_nothing() {
    for scenario in scenarios() {
        let board = Board::new();
        scenario.prepare(&board);
        let (mut records, old) = board.open(&Plan::new(Fault::ForGood));
        let new = without_flow((scenario.after)(old));
        board.replace_state();
        records.write(&scenario.what).unwrap();
        for board in board.after_power_cut() {
            assert_eq!(board.stored(), new, "{}", scenario.name);
        }
    }
}

#[test]
fn a_power_cut_at_any_step_of_the_move_leaves_the_old_or_the_new_or_nothing() {
    for scenario in scenarios() {
        for step in 0.. {
            let board = Board::new();
            scenario.prepare(&board);
            let plan = Plan::new(Fault::ForGood);
            let (mut records, old) = board.open(&plan);
            let new = (scenario.after)(old.clone());
            board.replace_state();
            plan.arm(step);
            let outcome = records.write(&scenario.what);
            for board in board.after_power_cut() {
                let found = board.stored().record;
                let any = [&old.record, &new.record, &Loaded::Missing];
                assert!(any.contains(&&found), "{}: {found:?}", scenario.name);
                assert!(outcome.is_err() || found != Loaded::Missing || found == new.record);
            }
            if !plan.was_hit() {
                break;
            }
        }
    }
}
