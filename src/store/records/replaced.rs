//! The state or the runtime directory was replaced while the daemon runs: what becomes of the files
//! that are in the old one.
//!
//! Owns: turning to the directory that the path leads to now, and writing there what memory holds.
//! Must never: write over a record that is newer than what memory holds.

use super::{Defective, Records};
use crate::store::body;
use crate::store::error::WriteError;
use crate::store::folder::Reopen;
use crate::store::load::{self, FLOW, REVOCATIONS, SPILL};
use crate::store::seal::{Kind, Sealer};
use c2c_auth_core::{Body, FlowRecord, Loaded, PendingRevocation, Record, Slots, Store};

/// The content of each file as memory holds it.
#[derive(Default)]
pub(super) struct Held {
    record: Option<Record>,
    revocations: Vec<PendingRevocation>,
    flow: Option<FlowRecord>,
    /// The state directory is another one, and does not hold this yet.
    pub(super) moved: bool,
}

impl Held {
    pub(super) fn found(record: &Loaded, revocations: &[PendingRevocation], flow: Option<&FlowRecord>) -> Self {
        Self {
            record: record_of(record).cloned(),
            revocations: revocations.to_vec(),
            flow: flow.cloned(),
            moved: false,
        }
    }

    /// A write was tried. A tombstone that failed changed nothing. All else serves from memory.
    pub(super) fn written(&mut self, what: &Store, ok: bool) {
        match what {
            Store::Record { record, .. } if ok || matches!(record.body, Body::Paired(_)) => {
                self.record = Some(Record::clone(record));
            }
            Store::Revocations(list) => self.revocations.clone_from(list),
            Store::Flow(flow) => self.flow = flow.as_deref().cloned(),
            Store::Record { .. } | Store::Trial => {}
        }
        self.moved &= !ok;
    }
}

impl<F: Reopen> Records<F> {
    /// Turns to the directories that took the place of ours. True if there were any, so that the
    /// last write has to be repeated.
    ///
    /// It is asked after a write, whether that failed or not: below a file system that was mounted
    /// over our path, writes go well.
    pub(super) fn follow(&mut self) -> Result<bool, WriteError> {
        let Some(sealer) = &self.sealer else { return Ok(false) };
        let mut followed = false;
        if self.state.is_replaced() {
            let state = self.state.reopen(true)?;
            let found = load::records(&state, None, sealer)?;
            let revocations = load::find(&state, REVOCATIONS, sealer, Kind::Revocations, body::read_revocations)?;
            let known = |record: &Record| self.held.record.as_ref().is_some_and(|held| held.same_tokens(record));
            if record_of(&found.loaded).is_some_and(|record| found.sequence > self.sequence && !known(record)) {
                return Err(WriteError::Newer {
                    path: state.path().to_owned(),
                });
            }
            self.defective = Defective::all(found.defective, revocations.defect());
            self.slots = found.slots;
            self.sequence = self.sequence.max(found.sequence);
            self.reserve = super::has_reserve(&state);
            self.state = state;
            self.held.moved = true;
            followed = true;
        }
        // Best effort: one that is gone, or not ours, costs the flow and no write to the disk.
        if let Some(runtime) = &self.runtime
            && runtime.is_replaced()
            && let Ok(runtime) = runtime.reopen(false)
        {
            self.defective_spill = spill_defect(&runtime, sealer);
            self.flow_possible = self.held.flow.is_some() || runtime.erase(FLOW).is_err();
            self.runtime = Some(runtime);
            // Best effort, as all that concerns this directory. A write that the disk does not take
            // has its own retries.
            let flow = self.held.flow.take();
            let _ = self.write_flow(flow.as_ref());
            self.held.flow = flow;
            followed = true;
        }
        Ok(followed)
    }

    /// Writes into a directory that took the place of ours what memory holds, but for what is to be
    /// written now.
    pub(super) fn restore(&mut self, but: &Store) -> Result<(), WriteError> {
        if !matches!(but, Store::Record { .. })
            && let Some(record) = self.held.record.clone()
        {
            self.write_record(&record, Slots::Both)?;
        }
        if !matches!(but, Store::Revocations(_)) && !self.held.revocations.is_empty() {
            let list = self.held.revocations.clone();
            self.write_revocations(&list)?;
        }
        Ok(())
    }
}

const fn record_of(loaded: &Loaded) -> Option<&Record> {
    match loaded {
        Loaded::Current(record) | Loaded::Previous(record) => Some(record),
        Loaded::Missing | Loaded::Damaged | Loaded::KeyUnavailable | Loaded::Foreign => None,
    }
}

fn spill_defect<F: Reopen>(runtime: &F, sealer: &Sealer) -> Option<crate::store::seal::Defect> {
    load::find(runtime, SPILL, sealer, Kind::Record, body::read_record)
        .ok()?
        .defect()
}
