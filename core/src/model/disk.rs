//! The disk: two generations of the record, the revocations, and the flow in the runtime directory.
//!
//! A write that was carried out is there after any crash, acknowledged or not; one that failed may
//! be there all the same.

use crate::{Body, BootId, FlowRecord, Kept, Loaded, PairingRecord, PendingRevocation, Record, Slots, Store, Stored};

use super::step::Clock;

/// How the daemon comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Restart {
    /// The process only: same boot, `/run` is still there.
    Process,
    /// Power was cut. What the wall clock is worth afterwards is up to the board.
    Power {
        /// This.
        clock: Clock,
    },
    /// Power was cut, and the newest generation does not open any more. The clock is right.
    Damaged,
}

/// Why a record cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Unreadable {
    /// It is of another provider or client.
    Foreign,
    /// It was sealed with another key.
    Sealed,
}

/// The content of the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Disk {
    pub(super) newest: Option<Record>,
    /// The one before it.
    pub(super) previous: Option<Record>,
    /// A pairing that neither took, in the runtime directory.
    pub(super) spill: Option<Record>,
    /// Tokens to be revoked.
    pub(super) revocations: Vec<PendingRevocation>,
    /// The flow, in the runtime directory.
    pub(super) flow: Option<FlowRecord>,
    /// The newest generation does not open; `newest` is the one before it, if there is one.
    pub(super) damaged: bool,
    /// A record lies there that nobody can use. The store puts it aside before it writes another.
    pub(super) unreadable: Option<Unreadable>,
}

impl Disk {
    /// Carries a write out.
    pub(super) fn write(&mut self, store: &Store) {
        match store {
            Store::Record { record, slots } => {
                self.damaged = false;
                self.unreadable = None;
                self.spill = None;
                self.previous = match slots {
                    Slots::One => self.newest.take(),
                    Slots::Both => Some(Record::clone(record)),
                };
                self.newest = Some(Record::clone(record));
            }
            Store::Revocations(list) => self.revocations.clone_from(list),
            Store::Flow(flow) => self.flow = flow.as_deref().cloned(),
            Store::Trial => {}
        }
    }

    /// A write fails. What may be the only living pair is kept in the runtime directory.
    pub(super) fn spill(&mut self, store: &Store) {
        if let Store::Record { record, .. } = store
            && matches!(record.body, Body::Paired(_))
        {
            self.spill = Some(Record::clone(record));
        }
    }

    /// Carries only the first half of a write to both generations out.
    pub(super) fn write_half(&mut self, record: &Record) {
        self.damaged = false;
        self.unreadable = None;
        // It is older than this half, and the store goes by age.
        self.spill = None;
        self.previous = self.newest.take();
        self.newest = Some(record.clone());
    }

    /// The power goes, and with it the runtime directory.
    pub(super) fn lose_memory(&mut self) {
        self.flow = None;
        self.spill = None;
    }

    /// The state that the store hands to the next start.
    pub(super) fn load(&mut self, restart: Restart, boot: BootId) -> Stored {
        if restart == Restart::Damaged && !self.damaged {
            self.damaged = true;
            self.newest = self.previous.clone();
        }
        let newest = self.spill.as_ref().or(self.newest.as_ref());
        let kept = newest.map_or(Kept::Twice, |newest| self.keeps(newest));
        let record = match (newest.cloned(), self.damaged) {
            (None, false) => match self.unreadable {
                Some(Unreadable::Foreign) => Loaded::Foreign,
                Some(Unreadable::Sealed) => Loaded::KeyUnavailable,
                None => Loaded::Missing,
            },
            (None, true) => Loaded::Damaged,
            (Some(record), false) => Loaded::Current(record),
            (Some(record), true) => Loaded::Previous(record),
        };
        Stored {
            record,
            kept,
            revocations: self.revocations.clone(),
            flow: self.flow.clone().filter(|flow| flow.boot == boot),
            writable: true,
        }
    }

    /// How well the tokens of a record are kept.
    pub(super) fn keeps(&self, record: &Record) -> Kept {
        // On a damaged disk both generations are the one before the newest.
        let slots = [self.newest.as_ref(), self.previous.as_ref().filter(|_| !self.damaged)];
        let holds = |slot: &&Record| slot.same_tokens(record);
        match slots.into_iter().flatten().filter(holds).count() {
            0 => Kept::Spilled,
            1 => Kept::Once,
            _ => Kept::Twice,
        }
    }

    /// The pairing of the newest generation.
    pub(super) fn paired(&self) -> Option<&PairingRecord> {
        Self::pairing(self.newest.as_ref())
    }

    /// The pairing that neither generation took.
    pub(super) fn spilled(&self) -> Option<&PairingRecord> {
        Self::pairing(self.spill.as_ref())
    }

    fn pairing(record: Option<&Record>) -> Option<&PairingRecord> {
        match record.map(|record| &record.body) {
            Some(Body::Paired(pairing)) => Some(pairing),
            Some(Body::Tombstone(_)) | None => None,
        }
    }
}
