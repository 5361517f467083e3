//! Why a grant may live at the server that nobody will ever revoke: the six reasons that nobody
//! could prevent.

use std::hash::{Hash, Hasher};

use crate::{Body, Generation, Record, Store};

use super::disk::Disk;
use super::history::{families_of, family_bit, pairs_listed, pairs_of};
use super::server::{Live, Pair};

/// A record that is in memory alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Failed {
    /// The newest number that it uses.
    pub(super) generation: Generation,
    pub(super) pairs: Vec<Pair>,
}

impl Failed {
    /// `before`: the record that it was to be written over. Without its tombstone a pairing stands.
    pub(super) fn new(record: &Record, before: Option<&Record>) -> Self {
        let candidate = matches!(&record.body, Body::Paired(pairing) if pairing.candidate.is_some());
        let pairs = match &record.body {
            Body::Paired(_) => pairs_in(Some(record)),
            Body::Tombstone(_) => pairs_in(before),
        };
        // A candidate has its number when its turn comes, and that is the next.
        let generation = if candidate {
            record.generation.next()
        } else {
            record.generation
        };
        Self { generation, pairs }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excuse {
    /// A new pairing took its place: the same device at the server, so there is nothing to revoke.
    Replaced,
    /// It lived at the server when power or process ended, and was not on disk.
    NeverOnDisk,
    /// A write failed: what a failing disk keeps from being revoked, nobody can revoke after a
    /// crash.
    WriteFailed,
    /// The record that held it is damaged.
    Damaged,
    /// The server refused to revoke it.
    RefusedToRevoke,
    /// The list of what is to be revoked was full, and it was the oldest.
    ListFull,
}

impl Excuse {
    pub(super) const ALL: [Self; 6] = [
        Self::Replaced,
        Self::NeverOnDisk,
        Self::WriteFailed,
        Self::Damaged,
        Self::RefusedToRevoke,
        Self::ListFull,
    ];
}

/// The families that each excuse was given to.
#[derive(Clone, Debug, Default)]
pub(super) struct Excuses {
    given: [u64; Excuse::ALL.len()],
}

/// No law asks which excuse it was: two states that differ in nothing else are one.
impl Hash for Excuses {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.families().hash(state);
    }
}

impl PartialEq for Excuses {
    fn eq(&self, other: &Self) -> bool {
        self.families() == other.families()
    }
}

impl Eq for Excuses {}

impl Excuses {
    fn give(&mut self, excuse: Excuse, families: u64) {
        self.given[excuse as usize] |= families;
    }

    pub(super) fn families(&self) -> u64 {
        self.given.iter().fold(0, |all, families| all | families)
    }

    /// The families that got this one; for the mutants.
    pub(super) const fn given(&self, excuse: Excuse) -> u64 {
        self.given[excuse as usize]
    }

    /// Which excuses were given to whom, for messages.
    pub(super) fn print(&self) -> String {
        let given = Excuse::ALL
            .iter()
            .zip(self.given)
            .filter(|(_, families)| *families != 0);
        let given: Vec<_> = given
            .map(|(excuse, families)| format!("{excuse:?}: {families:b}"))
            .collect();
        given.join(", ")
    }

    /// This record is to be written over that of `last`.
    /// `listed`: what was to be revoked of pairings before.
    pub(super) fn replaced(&mut self, next: &Record, last: Option<&Record>, listed: u64) {
        let Body::Paired(next) = &next.body else { return };
        let old = listed | families_in(last);
        self.give(Excuse::Replaced, old & !families_of(next));
    }

    /// `keeps`: each pair of a family has the same refresh token.
    /// `under_way`: whether the pair's answer, or its write, was on its way.
    pub(super) fn lost(&mut self, live: &[Live], on_disk: &[Pair], under_way: impl Fn(Pair) -> bool, keeps: bool) {
        let holds = |pair: Pair| {
            on_disk
                .iter()
                .any(|disk| *disk == pair || keeps && disk.family == pair.family)
        };
        for live in live.iter().filter(|live| !holds(live.pair) && under_way(live.pair)) {
            self.give(Excuse::NeverOnDisk, family_bit(live.pair.family));
        }
    }

    /// Excuses the pairs that this write would have kept, or taken off the disk, and that no list
    /// there names.
    pub(super) fn write_failed(&mut self, store: &Store, disk: &Disk) {
        let pairs = match store {
            Store::Record { record, .. } => [pairs_in(Some(record)), pairs_in(disk.newest.as_ref())].concat(),
            Store::Revocations(list) => pairs_listed(list).collect(),
            Store::Flow(_) | Store::Trial => Vec::new(),
        };
        let named = |pair: &Pair| pairs_listed(&disk.revocations).any(|listed| listed == *pair);
        let lost = pairs.into_iter().filter(|pair| !named(pair));
        self.give(
            Excuse::WriteFailed,
            lost.fold(0, |set, pair| set | family_bit(pair.family)),
        );
    }

    /// Excuses the pairs that only this record held.
    pub(super) fn damaged(&mut self, newest: Option<&Record>, left: Option<&Record>) {
        let left = pairs_in(left);
        let lost = pairs_in(newest).into_iter().filter(|pair| !left.contains(pair));
        self.give(Excuse::Damaged, lost.fold(0, |set, pair| set | family_bit(pair.family)));
    }

    /// The list had no room for these.
    pub(super) fn crowded_out(&mut self, families: u64) {
        self.give(Excuse::ListFull, families);
    }

    pub(super) fn refused(&mut self, family: u8) {
        self.give(Excuse::RefusedToRevoke, family_bit(family));
    }

    /// As if it had never been given; for the mutants.
    pub(super) const fn take_back(&mut self, excuse: Excuse) {
        self.given[excuse as usize] = 0;
    }
}

/// The pairs that a record holds, if it holds any.
fn pairs_in(record: Option<&Record>) -> Vec<Pair> {
    match record.map(|record| &record.body) {
        Some(Body::Paired(pairing)) => pairs_of(pairing).collect(),
        Some(Body::Tombstone(_)) | None => Vec::new(),
    }
}

fn families_in(record: Option<&Record>) -> u64 {
    let pairs = pairs_in(record).into_iter();
    pairs.fold(0, |set, pair| set | family_bit(pair.family))
}
