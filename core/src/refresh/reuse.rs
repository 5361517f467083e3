//! Resends while the server still takes a used refresh token again (`refresh.reuse-window`).
//!
//! Owns: when such a resend starts, and until when it may leave. Must never: let one leave after
//! the window, for which a server may end the pairing.

use std::time::Duration;

use crate::{BootTime, ReuseWindow};

/// How long after a cut the first resend starts: what cut the connection may be over by then.
const AFTER_CUT: Duration = Duration::from_secs(1);

/// A send is not given up sooner, for most answers are here by then.
const LEAST_PATIENCE: Duration = Duration::from_secs(3);

/// The time that another send needs after one was given up: for a connection, and a mark on disk.
/// Where less of the window is left, the answer that is under way is worth more than a resend that
/// comes late.
const ANOTHER_SEND: Duration = Duration::from_secs(4);

/// The resends within one window. What follows obeys the rule for servers without one.
const RESENDS: u8 = 2;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Reuse {
    /// When the first send left of which nobody knows what became of it, if this process made it.
    first: Option<BootTime>,
    /// Resends that left since.
    resends: u8,
    next: Option<Resend>,
    /// The start found a mark, and no resend has left since.
    found: bool,
    /// `found` and `resends` before the send that is out: nobody knows yet whether it left.
    before: (bool, u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Resend {
    at: BootTime,
    /// From when on a caller that waits, or a network that is back, brings it forward.
    soonest: BootTime,
    /// The server takes none that leaves later.
    until: BootTime,
}

impl Reuse {
    /// The record holds a mark, and nothing says that a newer one was lost.
    pub(super) const fn found_mark(&mut self) {
        self.found = true;
    }

    /// A send leaves. `doubted`: an earlier one is in doubt.
    pub(super) const fn sent(&mut self, doubted: bool) {
        self.before = (self.found, self.resends);
        self.found = false;
        self.next = None;
        if doubted {
            self.resends = self.resends.saturating_add(1);
        }
    }

    /// Nothing of the last send left.
    pub(super) const fn unsent(&mut self) {
        (self.found, self.resends) = self.before;
    }

    /// The send of this instant is in doubt. `first`: no earlier one is.
    pub(super) fn lost(&mut self, at: BootTime, first: bool) {
        if first {
            *self = Self {
                first: Some(at),
                ..Self::default()
            };
        }
    }

    /// Nothing is in doubt any more, or no haste helps.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// A send or a try to make one failed: plans the next. It comes soon, then half-way to the end,
    /// since nobody knows how long the trouble lasts.
    pub(super) fn plan(&mut self, window: ReuseWindow, now: BootTime) {
        let before = self.next.take();
        let (Some(first), ReuseWindow::For(window)) = (self.first, window) else {
            return;
        };
        let until = first.after(window);
        let soon = self.resends == 0 && before.is_none();
        let wait = if soon { Duration::ZERO } else { until.since(now) / 2 };
        let (at, soonest) = (now.after(wait.max(AFTER_CUT)), now.after(AFTER_CUT));
        self.next = (self.resends < RESENDS && at < until).then_some(Resend { at, soonest, until });
    }

    /// The planned resend comes too late.
    pub(super) const fn drop_plan(&mut self) {
        self.next = None;
    }

    /// True if a resend within the window is to start.
    pub(super) const fn is_planned(&self) -> bool {
        self.next.is_some()
    }

    /// When a resend within the window starts, if one is to. `hasty`: when at the earliest, where
    /// somebody waits or the network is back.
    pub(super) fn next(&self, hasty: Option<BootTime>) -> Option<BootTime> {
        let next = self.next?;
        Some(hasty.map_or(next.at, |hasty| next.at.min(next.soonest.max(hasty))))
    }

    /// True if the resend that was planned for the window may leave no more.
    pub(super) fn is_late(&self, now: BootTime) -> bool {
        self.next.is_some_and(|next| now >= next.until)
    }

    /// True if the token may be sent again at once, whatever became of the send before.
    pub(super) fn is_free(&self, window: ReuseWindow) -> bool {
        match window {
            ReuseWindow::Any => true,
            ReuseWindow::For(window) => self.found && !window.is_zero(),
        }
    }

    /// How long the answer to a send of this moment is waited for, if another send is to fit into
    /// the window after it.
    pub(super) fn patience(&self, window: ReuseWindow, now: BootTime, doubted: bool) -> Option<Duration> {
        let ReuseWindow::For(window) = window else {
            return None;
        };
        let first = if doubted { self.first? } else { now };
        let left = first.after(window).since(now);
        let patience = (left / 2).max(LEAST_PATIENCE);
        let another = !doubted || self.resends + 1 < RESENDS;
        (another && patience + ANOTHER_SEND < left).then_some(patience)
    }
}
