//! Orders of a person that wait for the end of a write: of a record on its way to disk, or of the
//! trial that precedes a flow.
//!
//! Owns: these orders. Must never: forget one because its call
//! was told that its time is over.

use crate::calls::CallKind;
use crate::{BootTime, CallError, Context, Core, OpId, PairingOptions};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Orders {
    /// `Unpair` of a pairing that is being written: it ends as soon as it stands.
    unpair: bool,
    /// `StartPairing` while a tombstone is being written, or is to be. Its end tells whether this
    /// device is paired, and what is to be revoked before a code is asked for.
    start: Option<PairingOptions>,
    /// `StartPairing` while the trial write is out.
    trial: Option<(OpId, PairingOptions)>,
    /// The last trial failed.
    refused: bool,
}

impl Orders {
    pub(super) const fn unpair(&mut self) {
        self.unpair = true;
    }

    pub(super) fn start(&mut self, options: PairingOptions) {
        self.start = Some(options);
    }

    pub(super) const fn unpairs(&self) -> bool {
        self.unpair
    }

    /// True if a start stands. The options of the first one win, as with a flow that runs.
    pub(super) const fn are_begun(&self) -> bool {
        self.start.is_some() || self.trial.is_some()
    }

    pub(super) const fn have_start(&self) -> bool {
        self.start.is_some()
    }

    /// A flow begins when this write has gone well.
    pub(super) fn try_out(&mut self, trial: OpId, options: PairingOptions) {
        self.trial = Some((trial, options));
    }

    /// True if the last `StartPairing` failed for want of a disk.
    pub(super) const fn are_refused(&self) -> bool {
        self.refused
    }

    pub(super) const fn are_tried_out(&self) -> bool {
        self.trial.is_some()
    }
}

impl Core {
    pub(super) fn order_due(&self, now: BootTime) -> Option<BootTime> {
        let pending = self.storage.pending();
        let unpair = self.orders.unpair && !pending.puts_off_an_end();
        // An order that came before it goes first.
        let free = !self.orders.unpair && !pending.puts_off_a_start();
        let start = self.orders.start.is_some() && free && self.may_start();
        (unpair || start).then_some(now)
    }

    pub(super) fn carry_out_order(&mut self, cx: &mut Context<'_>) {
        if std::mem::take(&mut self.orders.unpair) {
            self.begin_unpairing(cx);
        } else if let Some(options) = self.orders.start.take() {
            if self.credential.is_paired() && !options.replace {
                // The `Unpair` that it waited for failed.
                self.pairing.start_refused();
                let paired = Err(CallError::AlreadyPaired);
                self.calls.answer(cx, CallKind::PairingCode, paired);
            } else {
                self.begin_flow(cx, options);
            }
        }
    }

    /// The trial write was answered. Nothing is asked of the server for a pairing that could not be
    /// stored.
    pub(super) fn tried_out(&mut self, cx: &mut Context<'_>, op: OpId, ok: bool) {
        let Some((_, options)) = self.orders.trial.take_if(|(trial, _)| *trial == op) else {
            return;
        };
        self.orders.refused = false;
        let is_running = self.pairing.is_running(cx.at());
        let refused = if !ok {
            self.orders.refused = true;
            self.pairing.start_refused();
            Some(CallError::StorageFailed)
        } else if self.credential.is_paired() && !options.replace {
            // An approval of the flow before came meanwhile.
            Some(CallError::AlreadyPaired)
        } else {
            None
        };
        match refused {
            Some(error) => self.calls.answer(cx, CallKind::PairingCode, Err(error)),
            // The approval of the flow before is being written.
            None if is_running => {}
            None if self.may_start() => self.enter_flow(cx, options),
            // The calls are told when all is written.
            None => {}
        }
    }

    /// `CancelPairing` and `Unpair` end a flow at every step: one that is yet to begin, too.
    pub(super) fn withdraw_start(&mut self, cx: &mut Context<'_>) {
        if self.orders.start.take().is_some() | self.orders.trial.take().is_some() {
            self.calls.answer(cx, CallKind::PairingCode, Err(CallError::NoPairing));
        }
    }
}
