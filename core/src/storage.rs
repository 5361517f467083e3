//! Every write: which record it carries, what is known of the files, what is written again after a
//! failure, and when.
//!
//! Owns: the writes that are not answered yet, each with its purpose; what each file holds; the
//! composition of a record from memory; the retries. Must never: write over a record that another
//! part of the core has on its way to disk.
//!
//! Invariant: writes are answered in order (D2), so that the newest unanswered one tells what the
//! disk will hold.

mod files;

use std::time::Duration;

use super::backoff::{Cause, Retry};
use super::pending::Pending;
use crate::{
    Body, BootTime, CallError, Context, Core, Effect, ErrorWord, Kept, LogEvent, OpId, PairingRecord, Reason, Record,
    Slots, Store,
};
use files::{File, FileState, What, Write};

/// Longest wait between tries to write what the disk did not take: it may be a pair that the next
/// power cut would take.
const DISK_CAP: Duration = Duration::from_secs(60);

/// Wait between these tries while the process ends: it has a minute, and a disk that is busy or
/// being remounted takes seconds.
const DRAIN_RETRY: Duration = Duration::from_secs(2);

/// The records on their way to disk, and what is known of the files there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Storage {
    /// Writes without an answer, in order.
    unanswered: Vec<Write>,
    record: File,
    revocations: File,
    flow: File,
    trial: File,
    /// The pace of what the state directory did not take.
    retry: Retry,
    failed_at: BootTime,
    /// The sends that the last record written by this process counts. The record may hold a mark of
    /// which memory knows that the server answered it.
    sends: u32,
    /// One of these sends was not made, and a crash would find it.
    unsent_mark: bool,
}

/// Which tokens a record carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tokens {
    /// Those of the record before it.
    Same,
    New,
}

impl Storage {
    /// As the store found the files at boot. The record is told by [`Storage::found_record`].
    pub(super) fn found(revocations: bool, flow: bool) -> Self {
        let file = |there| File {
            state: if there { FileState::UpToDate } else { FileState::Absent },
            ..File::default()
        };
        Self {
            revocations: file(revocations),
            flow: file(flow),
            ..Self::default()
        }
    }

    /// A record that a start found: what is not in both generations is written again.
    pub(super) fn found_record(&mut self, kept: Kept) {
        self.record.state = match kept {
            Kept::Twice => FileState::UpToDate,
            Kept::Once => FileState::OneGeneration,
            Kept::Spilled => FileState::Unknown,
        };
    }

    /// The purpose of the newest record on its way to disk.
    pub(super) fn pending(&self) -> Pending {
        let purpose = |write: &Write| match write.what {
            What::Record(Pending::Nothing) | What::Revocations | What::Flow | What::Trial => None,
            What::Record(purpose) => Some(purpose),
        };
        self.unanswered
            .iter()
            .rev()
            .find_map(purpose)
            .unwrap_or(Pending::Nothing)
    }

    /// The refresh that the newest mark was written for is not sent. `sent`: the sends that are in
    /// doubt without it.
    pub(super) fn cancel_mark(&mut self, sent: u32) {
        self.unsent_mark = self.sends > sent;
        for write in &mut self.unanswered {
            if write.what == What::Record(Pending::IntentMark) {
                write.what = What::Record(Pending::Nothing);
            }
        }
    }

    /// The refresh that the newest mark was written for is sent.
    pub(super) const fn use_mark(&mut self) {
        self.unsent_mark = false;
    }

    /// The newest write without an answer. Since writes end in order, all are done when it is.
    pub(super) fn newest_write(&self) -> Option<OpId> {
        self.unanswered.last().map(|write| write.op)
    }

    pub(super) fn newest_write_of_flow(&self) -> Option<OpId> {
        self.newest_write_of(What::Flow)
    }

    pub(super) fn newest_write_of_record(&self) -> Option<OpId> {
        self.newest_write_of(What::Record(Pending::Nothing))
    }

    pub(super) fn newest_trial(&self) -> Option<OpId> {
        self.newest_write_of(What::Trial)
    }

    fn newest_write_of(&self, what: What) -> Option<OpId> {
        let mut newest = self.unanswered.iter().rev();
        newest.find(|write| write.what.same_file(what)).map(|write| write.op)
    }

    pub(super) fn writes_record(&self) -> bool {
        self.newest_write_of_record().is_some()
    }

    /// True if a write is out that tells whether the state directory takes a record.
    pub(super) fn tries_state(&self) -> bool {
        self.unanswered.iter().any(|write| write.what.is_state())
    }

    /// True if a flow may still be in its file once all is done, or how that ends is not known yet.
    pub(super) fn flow_pending(&self) -> bool {
        self.flow.state == FileState::Unknown || self.newest_write_of_flow().is_some()
    }

    /// True if a flow is in its file once all is done.
    pub(super) fn has_flow(&self) -> bool {
        self.flow.state != FileState::Absent
    }

    pub(super) fn has_revocations(&self) -> bool {
        self.revocations.state != FileState::Absent
    }

    pub(super) fn revocations_unknown(&self) -> bool {
        self.revocations.state == FileState::Unknown
    }

    pub(super) fn record_unknown(&self) -> bool {
        self.record.state == FileState::Unknown
    }

    /// True if the record is to be written again: what memory holds is not where it is to be.
    pub(super) fn record_behind(&self) -> bool {
        matches!(self.record.state, FileState::OneGeneration | FileState::Unknown)
    }

    pub(super) fn behind(&self) -> bool {
        self.record_behind() || self.revocations_unknown()
    }

    /// Memory holds a record or a list of revocations that no file in the state directory may hold.
    pub(super) fn is_unsaved(&self) -> bool {
        self.record_unknown() || self.revocations_unknown()
    }

    /// The other generation is to follow at once, whatever other files do.
    fn second_follows(&self) -> bool {
        self.record.state == FileState::OneGeneration && !self.record.failing
    }

    const fn state_fails(&self) -> bool {
        self.record.failing || self.revocations.failing || self.trial.failing
    }

    /// Nothing is to be written again that would tell whether the disk works by now.
    fn is_trial_due(&self) -> bool {
        self.trial.failing && !self.behind() && self.newest_trial().is_none()
    }

    const fn any_fails(&self) -> bool {
        self.state_fails() || self.flow.failing
    }

    /// Memory knows of the pairing in hand what its record does not say. It follows with the next
    /// write that is under way, or in one of its own.
    pub(super) fn record_outdated(&mut self) {
        if self.record.state == FileState::UpToDate {
            self.record.state = FileState::OneGeneration;
        }
    }

    /// The tombstone failed: one of the two generations may hold it.
    pub(super) fn tombstone_failed(&mut self) {
        self.record.state = FileState::Unknown;
    }

    pub(super) fn failing(&self) -> Option<CallError> {
        self.retry.failing()
    }

    /// True if the record on disk counts this send, and its mark was written for a try that came to
    /// no send: there is nothing to write. A mark that a send has used says nothing of the disk by
    /// now, and without a disk the next pair would be in memory alone.
    pub(super) fn counts(&self, sends: u32) -> bool {
        let on_disk = self.record.state == FileState::UpToDate && !self.writes_record();
        on_disk && self.unsent_mark && self.sends >= sends
    }

    /// A write of the record is asked for.
    fn write_record(&mut self, op: OpId, slots: Slots, tokens: Tokens, purpose: Pending) {
        // How a write under way will end nobody knows yet.
        let before = match tokens {
            Tokens::Same if !self.writes_record() => self.record.state,
            Tokens::Same | Tokens::New => FileState::Unknown,
        };
        self.record.state = match (slots, before) {
            (Slots::Both, _) | (Slots::One, FileState::OneGeneration | FileState::UpToDate) => FileState::UpToDate,
            (Slots::One, FileState::Absent | FileState::Unknown) => FileState::OneGeneration,
        };
        // The generation that gives way is never the newer one.
        self.record.on_failure = match before {
            FileState::OneGeneration | FileState::UpToDate => FileState::OneGeneration,
            FileState::Absent | FileState::Unknown => FileState::Unknown,
        };
        self.push(op, What::Record(purpose));
    }

    fn push(&mut self, op: OpId, what: What) {
        self.unanswered.push(Write { op, what });
    }

    /// A write was answered: what it was, and whether no other one of the same file is on its way.
    fn answered(&mut self, op: OpId, ok: bool) -> Option<(What, bool)> {
        let at = self.unanswered.iter().position(|write| write.op == op)?;
        let what = self.unanswered.drain(..=at).next_back()?.what;
        let last = !self.unanswered.iter().any(|write| write.what.same_file(what));
        let file = match what {
            What::Record(_) => &mut self.record,
            What::Revocations => &mut self.revocations,
            What::Flow => &mut self.flow,
            What::Trial => &mut self.trial,
        };
        if last {
            file.failing = !ok;
        }
        if last && !ok {
            file.state = file.on_failure;
        }
        // It fails no longer where another file could be written.
        self.trial.failing &= !(ok && what.is_state());
        Some((what, last))
    }
}

impl Core {
    pub(super) fn stored(&mut self, cx: &mut Context<'_>, op: OpId, ok: bool) {
        let failed_before = self.storage.any_fails();
        let Some((what, last)) = self.storage.answered(op, ok) else {
            return;
        };
        if last {
            self.disk_answered(cx, what, ok, failed_before);
        }
        match what {
            What::Record(purpose) => match purpose {
                Pending::Nothing => {}
                Pending::IntentMark => self.marked(cx, ok),
                // I1's one exception: where the disk fails, memory serves, and writing is retried
                // until it works.
                Pending::RefreshedPair => self.adopt_replacement(cx),
                Pending::NewPairing => self.pairing_stored(cx),
                Pending::Tombstone => self.tombstone_stored(cx, ok),
            },
            What::Revocations => {}
            What::Flow => self.flow_stored(cx, op),
            What::Trial => self.tried_out(cx, op, ok),
        }
        self.drop_spared(cx);
        self.durable(cx, op, ok);
    }

    /// The last write of a file was answered. One entry tells each change between "all writes work"
    /// and "one does not".
    fn disk_answered(&mut self, cx: &mut Context<'_>, what: What, ok: bool, failed_before: bool) {
        let storage = &mut self.storage;
        match (failed_before, storage.any_fails()) {
            (false, true) => cx.log(LogEvent::StoreFailed),
            (true, false) => cx.log(LogEvent::StoreRecovered),
            (false, false) | (true, true) => {}
        }
        if ok && !storage.state_fails() {
            storage.retry.reset();
        }
        if !ok {
            if what.is_state() {
                storage.failed_at = cx.at();
                storage
                    .retry
                    .failed(cx, CallError::StorageFailed, Cause::Refused, None, DISK_CAP);
            }
            self.fail_with(cx, ErrorWord::StorageFailed);
        }
    }

    /// When what the disk did not take is written again. `waited_for`: a caller is short of a
    /// token, which needs a mark.
    pub(super) fn rewrite_due(&self, waited_for: bool) -> Option<BootTime> {
        let storage = &self.storage;
        let retry = &storage.retry;
        if !(storage.behind() || storage.is_trial_due()) || storage.writes_record() {
            return None;
        }
        if storage.second_follows() {
            return Some(BootTime::default());
        }
        if self.shutdown.is_draining() {
            // The process ends. What no file holds is written until one does, or the driver waits
            // no longer.
            let failed = retry.failing().map(|_| storage.failed_at.after(DRAIN_RETRY));
            return storage.is_unsaved().then(|| failed.unwrap_or_default());
        }
        self.may_start().then(|| {
            if waited_for || self.pairing.waits_to_ask() {
                retry.earliest_if_waiting()
            } else {
                retry.next()
            }
        })
    }

    /// Writes again what the disk did not take.
    pub(super) fn rewrite(&mut self, cx: &mut Context<'_>) {
        if self.storage.is_trial_due() {
            self.store(cx, Store::Trial);
        }
        let follows = self.storage.second_follows();
        if self.storage.record_behind() {
            self.store_current(cx, Tokens::Same);
        }
        if follows {
            return;
        }
        if self.storage.revocations_unknown() {
            self.store_revocations(cx);
        }
    }

    /// When a mark that nothing is in doubt for is taken back: once no refresh is under way that
    /// may use it. What the disk did not take is written again as memory has it, mark included.
    ///
    /// A send that was answered with a plain no leaves its mark there for the next one. At the end
    /// it goes, for the next start would take it for a send whose answer was lost.
    pub(super) fn needless_mark_due(&self, now: BootTime) -> Option<BootTime> {
        let storage = &self.storage;
        let needless = storage.unsent_mark || self.shutdown.is_draining() && storage.sends > self.doubted_sends();
        let reachable = storage.record.state == FileState::UpToDate && !storage.writes_record();
        (needless && self.refresh.is_idle() && reachable).then_some(now)
    }

    /// The sends of the refresh token in hand of which memory doubts what became of them.
    pub(super) fn doubted_sends(&self) -> u32 {
        let doubted = self.credential.paired().and_then(|credential| credential.stored().mark);
        doubted.map_or(0, |mark| mark.sends)
    }

    pub(super) fn store(&mut self, cx: &mut Context<'_>, store: Store) -> OpId {
        let op = self.ids.next_op();
        match &store {
            // Told by the one that composes it.
            Store::Record { .. } => {}
            Store::Revocations(list) => {
                self.storage.revocations.write(!list.is_empty());
                self.storage.push(op, What::Revocations);
            }
            Store::Flow(flow) => {
                self.storage.flow.write(flow.is_some());
                self.storage.push(op, What::Flow);
            }
            Store::Trial => self.storage.push(op, What::Trial),
        }
        cx.emit(Effect::Store(op, store));
        op
    }

    /// The start found a state directory that takes no write. This is told at once.
    pub(super) fn found_unwritable(&mut self, cx: &mut Context<'_>) {
        self.storage.trial.failing = true;
        self.disk_answered(cx, What::Trial, false, false);
    }

    /// Writes a pairing into one generation. Where its tokens are new, the other follows as soon as
    /// that has ended ([`Core::rewrite_due`]), and nobody waits for it.
    pub(super) fn store_pairing(
        &mut self,
        cx: &mut Context<'_>,
        pairing: PairingRecord,
        tokens: Tokens,
        purpose: Pending,
    ) {
        self.store_record(cx, Body::Paired(Box::new(pairing)), Slots::One, tokens, purpose);
    }

    /// Writes a tombstone, into both generations at once: what was there before must not come back.
    pub(super) fn store_tombstone(&mut self, cx: &mut Context<'_>, reason: Reason, purpose: Pending) {
        self.store_record(cx, Body::Tombstone(reason), Slots::Both, Tokens::New, purpose);
    }

    fn store_record(&mut self, cx: &mut Context<'_>, body: Body, slots: Slots, tokens: Tokens, purpose: Pending) {
        self.storage.sends = match &body {
            Body::Paired(pairing) => pairing.mark.map_or(0, |mark| mark.sends),
            Body::Tombstone(_) => 0,
        };
        self.storage.unsent_mark = false;
        let record = Box::new(Record {
            generation: self.credential.generation(),
            grant: self.credential.grant(),
            floor: Some(cx.now.floor),
            body,
        });
        let op = self.store(cx, Store::Record { record, slots });
        self.storage.write_record(op, slots, tokens, purpose);
    }

    /// Writes what memory holds.
    pub(super) fn store_current(&mut self, cx: &mut Context<'_>, tokens: Tokens) {
        let Some(credential) = self.credential.paired() else {
            self.store_tombstone(cx, self.credential.reason(), Pending::Nothing);
            return;
        };
        let mut pairing = credential.to_pairing(self.refresh.mark().or(credential.stored().mark));
        if let Some(replacement) = self.refresh.replacement() {
            // The pair in hand is used up; the one on its way to disk must not be overwritten by
            // it.
            pairing.pair = replacement.clone();
            pairing.mark = None;
        }
        self.store_pairing(cx, pairing, tokens, Pending::Nothing);
    }
}
