//! The store over any [`Folder`]: what is written where, in which order, and what happens when a
//! step fails.

mod replaced;

use std::io;

use zeroize::Zeroizing;

use super::body;
use super::error::{OpenError, WriteError};
use super::folder::{Reopen, is_full, lacks_descriptors};
use super::load::{self, FLOW, Found, FoundRecords, REVOCATIONS, SLOTS, SPILL, Spill};
use super::seal::{Defect, Kind, MAX_BODY, MAX_FILE, NONCE, Sealer};
use crate::system::atomic_file::Folder;
use c2c_auth_core::{
    Body, BootId, FlowRecord, Kept, Loaded, PendingRevocation, Record, Slots, Store, Stored, TOKEN_MAX,
};
use replaced::Held;

/// Room kept for the day the disk is full.
pub(super) const RESERVE: &str = "spare";

/// As much as a pair of the longest tokens takes.
const TRIAL: usize = 2 * TOKEN_MAX;

/// The store behind [`super::Store`].
pub(super) struct Records<F> {
    state: F,
    runtime: Option<F>,
    /// `None` without a state key.
    sealer: Option<Sealer>,
    /// The highest sequence given out.
    sequence: u64,
    /// Sequences of the generations on disk. `None` where there is none that opens.
    slots: [Option<u64>; 2],
    /// Files in the state directory that cannot be used, until something takes their place.
    defective: Vec<Defective>,
    /// The defect of the file in the place of the spill, until that file is set aside.
    defective_spill: Option<Defect>,
    /// True while the reserve file is there.
    reserve: bool,
    /// False if no flow's file can be there.
    flow_possible: bool,
    held: Held,
}

/// A file that cannot be used.
#[derive(Clone, Copy)]
struct Defective {
    name: &'static str,
    defect: Defect,
    /// True if it has its second name already.
    kept: bool,
}

impl Defective {
    /// The defective files that a start found, or a turn to another directory.
    fn all(records: Vec<(&'static str, Defect)>, revocations: Option<Defect>) -> Vec<Self> {
        let revocations = revocations.map(|defect| (REVOCATIONS, defect));
        let kept = false;
        records
            .into_iter()
            .chain(revocations)
            .map(|(name, defect)| Self { name, defect, kept })
            .collect()
    }
}

/// One sealed generation on its way to disk.
struct Sealed {
    slot: usize,
    sequence: u64,
    file: Vec<u8>,
}

impl<F: Reopen> Records<F> {
    /// Loads. Overwrites, renames and removes nothing but remains of interrupted writes and a flow
    /// that cannot go on.
    pub(super) fn open(
        state: F,
        runtime: Option<F>,
        sealer: Option<Sealer>,
        boot: BootId,
    ) -> Result<(Self, Stored), OpenError> {
        state.remove_leftovers();
        if let Some(runtime) = &runtime {
            runtime.remove_leftovers();
        }
        let (records, revocations) = match &sealer {
            Some(sealer) => (
                load::records(&state, runtime.as_ref(), sealer)?,
                load::find(&state, REVOCATIONS, sealer, Kind::Revocations, body::read_revocations)?,
            ),
            None => (without_key(&state, runtime.as_ref())?, Found::Absent),
        };
        let FoundRecords {
            loaded,
            kept,
            spill,
            slots,
            defective,
            sequence,
        } = records;
        let defective_spill = match spill {
            Spill::Keep => None,
            Spill::Stale => {
                // Should both generations be damaged one day, it must not come back.
                let _ = runtime.as_ref().map(|runtime| runtime.remove(SPILL));
                None
            }
            Spill::Defective(defect) => Some(defect),
        };
        let resumed = runtime.as_ref().map(|runtime| resume(runtime, sealer.as_ref(), boot));
        let (flow, flow_possible) = resumed.unwrap_or_default();
        let defective = Defective::all(defective, revocations.defect());
        let revocations = revocations.content().unwrap_or_default();
        let records = Self {
            sealer,
            sequence,
            slots,
            defective,
            defective_spill,
            reserve: has_reserve(&state),
            flow_possible,
            held: Held::found(&loaded, &revocations, flow.as_ref()),
            state,
            runtime,
        };
        let stored = Stored {
            record: loaded,
            kept,
            revocations,
            flow,
            writable: records.state.is_writable(),
        };
        Ok((records, stored))
    }

    /// Carries out one write. When it returns `Ok`, a power cut cannot undo it.
    pub(super) fn write(&mut self, what: &Store) -> Result<(), WriteError> {
        let outcome = self.write_where_we_are(what);
        let outcome = match self.follow() {
            Ok(false) => outcome,
            Ok(true) => self.write_where_we_are(what),
            Err(error) => Err(error),
        };
        self.held.written(what, outcome.is_ok());
        outcome
    }

    fn write_where_we_are(&mut self, what: &Store) -> Result<(), WriteError> {
        let moved = self.held.moved;
        if moved {
            self.restore(what)?;
        }
        match what {
            Store::Record { record, .. } if moved => self.write_record(record, Slots::Both),
            Store::Record { record, slots } => self.write_record(record, *slots),
            Store::Revocations(list) => self.write_revocations(list),
            Store::Flow(flow) => self.write_flow(flow.as_deref()),
            Store::Trial => self.try_out(),
        }
    }

    fn write_record(&mut self, record: &Record, slots: Slots) -> Result<(), WriteError> {
        let older = self.older();
        let targets: &[usize] = match slots {
            Slots::One => &[older],
            Slots::Both => &[older, 1 - older],
        };
        let mut sealed = Vec::with_capacity(targets.len());
        for &slot in targets {
            let file = self.seal(Kind::Record, body::write_record(record))?;
            let sequence = self.sequence;
            sealed.push(Sealed { slot, sequence, file });
        }
        let doubtful = SLOTS.iter().any(|name| self.is_defective(name));
        if let Err(source) = self.with_reserve(|records| records.put(&sealed)) {
            match record.body {
                Body::Paired(_) => self.spill(&sealed),
                // The replaced file may be the only sign that the other generation is not the
                // newest.
                Body::Tombstone(_) if doubtful => {}
                Body::Tombstone(_) => self.undo_tombstone(&sealed),
            }
            return Err(self.failed(source));
        }
        self.set_spill_aside();
        if let Some(runtime) = &self.runtime {
            // Older than what is on disk now, so it would not be used either way.
            let _ = runtime.remove(SPILL);
        }
        self.make_reserve();
        Ok(())
    }

    fn write_revocations(&mut self, list: &[PendingRevocation]) -> Result<(), WriteError> {
        if self.sealer.is_none() {
            return Err(WriteError::NoKey);
        }
        if list.is_empty() {
            // One that does not open is not ours to remove, and nothing takes its place.
            if self.is_defective(REVOCATIONS) {
                return Ok(());
            }
            return self.state.erase(REVOCATIONS).map_err(|source| self.failed(source));
        }
        let file = self.seal(Kind::Revocations, body::write_revocations(list))?;
        self.with_reserve(|records| {
            records.state.stage(REVOCATIONS, &file)?;
            records.set_aside(&[REVOCATIONS])?;
            records.replace_set_aside(REVOCATIONS)
        })
        .map_err(|source| self.failed(source))?;
        self.make_reserve();
        Ok(())
    }

    /// Tells whether the directory would take a record, without one.
    fn try_out(&mut self) -> Result<(), WriteError> {
        if !self.reserve {
            self.make_reserve();
            if self.reserve {
                return Ok(());
            }
        }
        // Random for the same reason as the reserve file.
        let mut bytes = vec![0; TRIAL];
        getrandom::fill(&mut bytes).map_err(|_| WriteError::Entropy)?;
        match self.state.try_out(RESERVE, &bytes) {
            // The reserve file is given up for a record, and not for a trial.
            Err(error) if is_full(&error) && self.reserve => Ok(()),
            // The process lacks descriptors, which says nothing about the disk.
            Err(error) if lacks_descriptors(&error) => Ok(()),
            outcome => outcome.map_err(|source| self.failed(source)),
        }
    }

    fn write_flow(&mut self, flow: Option<&FlowRecord>) -> Result<(), WriteError> {
        if self.runtime.is_none() || flow.is_none() && !self.flow_possible {
            return Ok(());
        }
        let file = flow
            .map(|flow| self.seal(Kind::Flow, body::write_flow(flow)))
            .transpose()?;
        let Some(runtime) = &self.runtime else { return Ok(()) };
        match file {
            Some(file) => runtime.stage(FLOW, &file).and_then(|()| {
                self.flow_possible = true;
                runtime.commit(FLOW)
            }),
            None => runtime.erase(FLOW).inspect(|()| self.flow_possible = false),
        }
        .map_err(|source| WriteError::Io {
            path: runtime.path().to_owned(),
            source,
        })
    }

    /// Seals under the next sequence and a fresh nonce.
    fn seal(&mut self, kind: Kind, body: Option<Zeroizing<Vec<u8>>>) -> Result<Vec<u8>, WriteError> {
        let sealer = self.sealer.as_ref().ok_or(WriteError::NoKey)?;
        let too_large = WriteError::TooLarge { limit: MAX_BODY };
        let Some(body) = body else { return Err(too_large) };
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| WriteError::Entropy)?;
        self.sequence = self.sequence.saturating_add(1);
        sealer.seal(kind, self.sequence, nonce, body).ok_or(too_large)
    }

    /// The generation that gives way: never the newest one that opens.
    fn older(&self) -> usize {
        usize::from(self.slots[1] < self.slots[0])
    }

    /// Everything that needs room comes first, for all slots, so that a full disk is noticed while
    /// nothing has changed yet.
    fn put(&mut self, sealed: &[Sealed]) -> io::Result<()> {
        for Sealed { slot, file, .. } in sealed {
            self.state.stage(SLOTS[*slot], file)?;
        }
        self.set_aside(&SLOTS)?;
        for Sealed { slot, sequence, .. } in sealed {
            self.replace_set_aside(SLOTS[*slot])?;
            self.slots[*slot] = Some(*sequence);
        }
        // A second unusable generation would make the new one look like the one before it.
        for name in SLOTS {
            if self.is_defective(name) {
                self.state.erase(name)?;
                self.defective.retain(|defective| defective.name != name);
            }
        }
        Ok(())
    }

    /// Gives those of `names` that cannot be used a second name under which they stay: they are
    /// evidence, and may be all that is left for another key, configuration or version.
    ///
    /// A link, not a rename: until the new version is in force, the old name has to go on saying
    /// that something is wrong.
    fn set_aside(&mut self, names: &[&str]) -> io::Result<()> {
        let unkept = |defective: &Defective| !defective.kept && names.contains(&defective.name);
        if !self.defective.iter().any(unkept) {
            return Ok(());
        }
        let mut taken = self.state.names()?;
        for Defective { name, defect, .. } in self.defective.iter().copied().filter(unkept) {
            let stem = name.split('.').next().unwrap_or(name);
            let kept = load::free_name(&taken, stem, defect);
            // Not every file system has links, and only files can have them.
            let linked = self.state.link(name, &kept);
            match linked.or_else(|_| self.state.rename(name, &kept)) {
                Ok(()) => taken.push(kept),
                // By hand, meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.state.sync()?;
        // Only now: a try that failed on the way is made again, a try that succeeded never.
        for defective in self
            .defective
            .iter_mut()
            .filter(|defective| names.contains(&defective.name))
        {
            defective.kept = true;
        }
        Ok(())
    }

    /// Puts the staged version of `name` in force over what [`Self::set_aside`] has taken care of.
    fn replace_set_aside(&mut self, name: &str) -> io::Result<()> {
        self.state.commit(name)?;
        self.defective.retain(|defective| defective.name != name);
        Ok(())
    }

    /// A pairing that the disk did not take: whatever token it replaces may be dead, so it is kept
    /// where it survives at least this process. Best effort, and no reason to call the write a
    /// success.
    fn spill(&mut self, sealed: &[Sealed]) {
        self.set_spill_aside();
        if let (Some(runtime), Some(newest)) = (&self.runtime, sealed.last()) {
            let _ = runtime.replace(SPILL, &newest.file);
        }
    }

    /// Keeps a spill that is of no use here under another name: it may be another configuration's
    /// only copy. Best effort, as all that concerns the runtime directory.
    fn set_spill_aside(&mut self) {
        if let (Some(defect), Some(runtime)) = (self.defective_spill.take(), &self.runtime) {
            let names = runtime.names().unwrap_or_default();
            let _ = runtime.rename(SPILL, &load::free_name(&names, "record", defect));
        }
    }

    /// A tombstone that was not durable in both slots: the caller is told that nothing changed, so
    /// the next start should not find it either. Once it stands in both slots the record it was to
    /// end is gone, and it is the best that is left. (A verdict's tombstone that is lost this way
    /// costs nothing: the server will repeat its verdict.)
    fn undo_tombstone(&mut self, sealed: &[Sealed]) {
        let in_force = |sealed: &&Sealed| {
            let found = self.state.read(SLOTS[sealed.slot]);
            found.is_ok_and(|found| found.as_ref() == Some(&sealed.file))
        };
        let in_force: Vec<_> = sealed.iter().filter(in_force).collect();
        if let [Sealed { slot, .. }] = in_force[..]
            && self.state.erase(SLOTS[*slot]).is_ok()
        {
            self.slots[*slot] = None;
        }
    }

    /// Tries once more without the reserve file if the disk is full.
    fn with_reserve(&mut self, mut attempt: impl FnMut(&mut Self) -> io::Result<()>) -> io::Result<()> {
        match attempt(self) {
            Err(error) if is_full(&error) && self.reserve => {
                // Synced, because file systems may hold freed room back until then.
                if self.state.erase(RESERVE).is_err() {
                    return Err(error);
                }
                self.reserve = false;
                attempt(self)
            }
            outcome => outcome,
        }
    }

    /// Makes the reserve file, after a write that went well. If there is no room for it, the disk
    /// is as full as it is.
    fn make_reserve(&mut self) {
        if self.reserve {
            return;
        }
        // Random, because file systems that compress or leave holes would keep no room for zeros.
        let mut room = vec![0; MAX_FILE];
        self.reserve = getrandom::fill(&mut room).is_ok() && self.state.replace(RESERVE, &room).is_ok();
    }

    fn is_defective(&self, name: &str) -> bool {
        self.defective.iter().any(|defective| defective.name == name)
    }

    fn failed(&self, source: io::Error) -> WriteError {
        WriteError::Io {
            path: self.state.path().to_owned(),
            source,
        }
    }
}

fn has_reserve<F: Folder>(state: &F) -> bool {
    let names = state.names();
    names.is_ok_and(|names| names.iter().any(|name| name == RESERVE))
}

/// Without a key nothing is read, so nothing can be called usable or not.
fn without_key<F: Folder>(state: &F, runtime: Option<&F>) -> Result<FoundRecords, OpenError> {
    let loaded = if load::any_record(state, runtime)? {
        Loaded::KeyUnavailable
    } else {
        Loaded::Missing
    };
    Ok(FoundRecords {
        loaded,
        kept: Kept::default(),
        spill: Spill::Keep,
        slots: [None; 2],
        defective: Vec::new(),
        sequence: 0,
    })
}

/// The flow to go on with, and whether a file can be there. Any other is deleted, whatever is wrong
/// with it: it is only a code on a screen.
fn resume<F: Folder>(runtime: &F, sealer: Option<&Sealer>, boot: BootId) -> (Option<FlowRecord>, bool) {
    let found = sealer.and_then(|sealer| load::find(runtime, FLOW, sealer, Kind::Flow, body::read_flow).ok());
    match found {
        Some(Found::Good { content, .. }) if content.boot == boot => (Some(content), true),
        Some(Found::Absent) => (None, false),
        Some(Found::Good { .. } | Found::Defective(_)) | None => (None, runtime.erase(FLOW).is_err()),
    }
}
