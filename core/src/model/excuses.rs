//! Why a grant may live at the server that nobody will ever revoke: the five reasons that nobody
//! could prevent.

use std::hash::{Hash, Hasher};

use crate::{Body, Record};

use super::history::{families_before, families_of, family_bit};
use super::server::{Live, Pair};

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
}

impl Excuse {
    pub(super) const ALL: [Self; 5] = [
        Self::Replaced,
        Self::NeverOnDisk,
        Self::WriteFailed,
        Self::Damaged,
        Self::RefusedToRevoke,
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
    pub(super) fn replaced(&mut self, next: &Record, last: Option<&Record>, families: u8) {
        let Body::Paired(next) = &next.body else { return };
        let old = match last.map(|record| &record.body) {
            Some(Body::Paired(old)) => families_of(old),
            Some(Body::Tombstone(_)) | None => families_before(families),
        };
        self.give(Excuse::Replaced, old & !families_of(next));
    }

    pub(super) fn lost(&mut self, live: &[Live], on_disk: &[Pair]) {
        for live in live.iter().filter(|live| !on_disk.contains(&live.pair)) {
            self.give(Excuse::NeverOnDisk, family_bit(live.pair.family));
        }
    }

    pub(super) fn write_failed(&mut self, families: u8) {
        self.give(Excuse::WriteFailed, families_before(families));
    }

    pub(super) fn damaged(&mut self, families: u8) {
        self.give(Excuse::Damaged, families_before(families));
    }

    pub(super) fn refused(&mut self, family: u8) {
        self.give(Excuse::RefusedToRevoke, family_bit(family));
    }

    /// As if it had never been given; for the mutants.
    pub(super) const fn take_back(&mut self, excuse: Excuse) {
        self.given[excuse as usize] = 0;
    }
}
