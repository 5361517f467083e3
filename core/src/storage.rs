//! Every write: which record it carries, what is written again after a failure, and when.
//!
//! Owns: the composition of a record from memory, and the retries of the disk. [`Disk`](super::disk::Disk) keeps what is known of
//! the files. Must never: write over a record that another part of the core has on its way to disk.

use std::time::Duration;

use super::backoff::Cause;
use super::disk::{Holds, Tokens};
use super::effect::{CallError, Effect, Note, Slots, Store};
use super::op::OpId;
use super::record::{Body, IntentMark, Pairing, Record};
use super::refresh::Refresh;
use super::snapshot::{ErrorWord, Reason};
use super::time::BootTime;
use super::turn::Turn;
use super::{Core, Phase};

/// Longest wait between tries to write what the disk did not take: it may be a pair that the next power cut would take.
const DISK_CAP: Duration = Duration::from_secs(60);

impl Core {
    /// A write of the record or of the list of revocations was answered.
    pub(super) fn disk_answered(&mut self, t: &mut Turn<'_>, ok: bool) {
        if ok {
            if self.disk.retry.failing().is_some() {
                t.note(Note::StoreRecovered);
            }
            self.disk.retry.reset();
        } else {
            self.fail_with(t, ErrorWord::StorageFailed);
            if self.disk.retry.failing().is_none() {
                t.note(Note::StoreFailed);
            }
            let error = CallError::StorageFailed;
            self.disk.retry.failed(t, error, Cause::Refused, None, DISK_CAP);
        }
    }

    /// When what the disk did not take is written again. `waited_for`: a caller is short of a token, which needs a mark.
    pub(super) fn disk_due(&self, waited_for: bool) -> Option<BootTime> {
        let quiet = self.disk.record.writing.is_none() && self.unpairing.is_none();
        let retry = &self.disk.retry;
        // The second half of what was begun before the end.
        let half = self.disk.record.holds == Holds::Once && retry.failing().is_none();
        let may = self.may_start() || (half && self.phase == Phase::Draining);
        (self.disk_behind() && quiet && may).then(|| if waited_for { retry.pressed() } else { retry.next() })
    }

    pub(super) fn disk_behind(&self) -> bool {
        self.disk.record.behind() || self.disk.revocations.unsure()
    }

    /// Whether the record on disk counts this send of the refresh token in hand. Then a crash finds nothing that it should
    /// not, and there is nothing to write.
    pub(super) fn disk_counts(&self, sends: u32) -> bool {
        let there = self.disk.record.holds == Holds::Current && self.disk.record.writing.is_none();
        there && self.disk.sends >= sends
    }

    pub(super) fn store(&mut self, t: &mut Turn<'_>, store: Store) -> OpId {
        let op = self.next_op();
        self.disk.last = Some(op);
        match &store {
            Store::Record { .. } => {}
            Store::Revocations(list) => self.disk.revocations.write(op, !list.is_empty()),
            Store::Flow(flow) => {
                self.disk.flow.write(op, flow.is_some());
                if flow.is_none() {
                    self.disk.removal = Some(op);
                }
            }
        }
        t.emit(Effect::Store(op, store));
        op
    }

    /// Writes a pairing into one generation. Where its tokens are new, the other follows as soon as that has ended
    /// ([`Core::disk_due`]), and nobody waits for it.
    pub(super) fn store_pairing(&mut self, t: &mut Turn<'_>, pairing: Pairing, tokens: Tokens) -> OpId {
        self.store_record(t, Body::Paired(Box::new(pairing)), Slots::One, tokens)
    }

    /// Writes a tombstone, into both generations at once: what was there before must not come back.
    pub(super) fn store_tombstone(&mut self, t: &mut Turn<'_>, reason: Reason) -> OpId {
        self.store_record(t, Body::Tombstone(reason), Slots::Both, Tokens::New)
    }

    fn store_record(&mut self, t: &mut Turn<'_>, body: Body, slots: Slots, tokens: Tokens) -> OpId {
        self.disk.sends = match &body {
            Body::Paired(pairing) => pairing.mark.map_or(0, |mark| mark.sends),
            Body::Tombstone(_) => 0,
        };
        let record = Box::new(Record {
            generation: self.ledger.generation,
            grant: self.ledger.grant,
            floor: Some(t.now.floor),
            body,
        });
        let op = self.store(t, Store::Record { record, slots });
        self.disk.record.write_record(op, slots, tokens);
        op
    }

    /// Writes what memory holds.
    pub(super) fn store_current(&mut self, t: &mut Turn<'_>, tokens: Tokens) {
        let Some(held) = &self.held else {
            self.store_tombstone(t, self.idle);
            return;
        };
        let mut pairing = held.to_pairing(self.mark().or(held.ambiguous));
        if let Refresh::Storing { incoming, .. } = &self.refresh {
            // The pair in hand is used up; the one on its way to disk must not be overwritten by it.
            pairing.pair = incoming.pair.clone();
            pairing.mark = None;
        }
        self.store_pairing(t, pairing, tokens);
    }

    /// The mark of the transaction under way.
    const fn mark(&self) -> Option<IntentMark> {
        match &self.refresh {
            Refresh::Marking { mark, .. } | Refresh::Sent { mark, .. } => Some(*mark),
            Refresh::Idle | Refresh::Preparing(_) | Refresh::Storing { .. } => None,
        }
    }
}
