//! Orders that a person gave while a record was on its way to disk.
//!
//! Owns: the orders that wait for the end of that write. Must never: forget one because its call
//! was told that its time is over.

use crate::calls::CallKind;
use crate::{BootTime, CallError, Context, Core, PairingOptions};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Orders {
    /// `Unpair` of a pairing that is being written: it ends as soon as it stands.
    unpair: bool,
    /// `StartPairing` while a tombstone is being written. Its end tells whether this device is
    /// paired, and what is to be revoked before a code is asked for.
    start: Option<(u32, PairingOptions)>,
}

impl Orders {
    pub(super) const fn unpair(&mut self) {
        self.unpair = true;
    }

    /// The options of the first one win, as with a flow that runs.
    pub(super) fn start(&mut self, caller: u32, options: PairingOptions) {
        self.start.get_or_insert((caller, options));
    }
}

impl Core {
    pub(super) fn order_due(&self, now: BootTime) -> Option<BootTime> {
        let pending = self.storage.pending();
        let unpair = self.orders.unpair && !pending.puts_off_an_end();
        let start = self.orders.start.is_some() && !pending.puts_off_a_start() && self.may_start();
        (unpair || start).then_some(now)
    }

    pub(super) fn carry_out_order(&mut self, cx: &mut Context<'_>) {
        if std::mem::take(&mut self.orders.unpair) {
            self.begin_unpairing(cx);
        } else if let Some((caller, options)) = self.orders.start.take()
            && let Err(error) = self.begin_flow(cx, caller, options)
        {
            self.calls.answer(cx, CallKind::PairingCode, Err(error));
        }
    }

    /// `CancelPairing` and `Unpair` end a flow at every step: one that is yet to begin, too.
    pub(super) fn withdraw_start(&mut self, cx: &mut Context<'_>) {
        if self.orders.start.take().is_some() {
            self.calls.answer(cx, CallKind::PairingCode, Err(CallError::NoPairing));
        }
    }
}
