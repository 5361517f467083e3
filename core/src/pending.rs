//! The records on their way to disk, and what may be done meanwhile.

/// The purpose of the newest record on its way to disk. Until it is there, nothing may be concluded
/// that would be written over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pending {
    /// Nothing but what memory holds already: a repeated write, or the tombstone of a pairing that
    /// the server ended.
    Nothing,
    /// The mark of the refresh that is sent next.
    IntentMark,
    /// The pair that a refresh brought, or the candidate that takes the place of a dead pair.
    RefreshedPair,
    /// The pairing that the user approved.
    NewPairing,
    /// The tombstone that `Unpair` writes.
    Tombstone,
}

impl Pending {
    /// True if conclusions about the tokens in hand may be drawn and written, and a probe may be
    /// sent to know more.
    pub(super) const fn may_conclude(self) -> bool {
        match self {
            Self::Nothing | Self::IntentMark => true,
            Self::RefreshedPair | Self::NewPairing | Self::Tombstone => false,
        }
    }

    /// True if the pairing in hand stays the one in hand: it may be refreshed, another may be
    /// revoked, and no order is put off. Until a new record is there, what was there before is all
    /// that a crash would leave.
    pub(super) const fn keeps_pairing(self) -> bool {
        match self {
            Self::Nothing | Self::IntentMark | Self::RefreshedPair => true,
            Self::NewPairing | Self::Tombstone => false,
        }
    }

    /// True if `CancelPairing` and `Unpair` wait until the record is on disk.
    pub(super) const fn puts_off_an_end(self) -> bool {
        matches!(self, Self::NewPairing)
    }

    /// True if `StartPairing` does.
    pub(super) const fn puts_off_a_start(self) -> bool {
        matches!(self, Self::Tombstone)
    }
}
