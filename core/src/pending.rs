//! What is on its way to disk, and what may be done meanwhile.

use super::event::Command;

/// What the newest record on its way to disk is for. Until it is there, nothing may be concluded that would be written over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pending {
    /// Nothing but what memory holds already: a repeated write, or the tombstone of a pairing that the server ended.
    Nothing,
    /// The mark of the refresh that is sent next.
    IntentMark,
    /// What a refresh brought, or the candidate that takes the place of a dead pair.
    RefreshedPair,
    /// What the user approved.
    NewPairing,
    /// What `Unpair` writes.
    Tombstone,
}

impl Pending {
    /// Whether what is known of the tokens in hand may be concluded, and written.
    pub(super) const fn may_conclude(self) -> bool {
        match self {
            Self::Nothing | Self::IntentMark => true,
            Self::RefreshedPair | Self::NewPairing | Self::Tombstone => false,
        }
    }

    /// Whether the token endpoint may be asked on behalf of the pairing in hand.
    pub(super) const fn may_refresh(self) -> bool {
        match self {
            Self::Nothing | Self::IntentMark | Self::RefreshedPair => true,
            Self::NewPairing | Self::Tombstone => false,
        }
    }

    /// Whether a probe or a heartbeat may be sent.
    pub(super) const fn may_probe(self) -> bool {
        match self {
            Self::Nothing | Self::IntentMark => true,
            Self::RefreshedPair | Self::NewPairing | Self::Tombstone => false,
        }
    }

    /// Whether a revocation may be sent.
    pub(super) const fn may_revoke(self) -> bool {
        match self {
            Self::Nothing | Self::IntentMark | Self::RefreshedPair => true,
            // Until it is on disk, what was there before is all that a crash would leave.
            Self::NewPairing | Self::Tombstone => false,
        }
    }

    /// Whether commands that were put off wait on.
    pub(super) const fn puts_commands_off(self) -> bool {
        match self {
            Self::Nothing | Self::IntentMark | Self::RefreshedPair => false,
            Self::NewPairing | Self::Tombstone => true,
        }
    }

    /// Whether this command waits until the record is on disk.
    pub(super) const fn puts_off(self, command: &Command) -> bool {
        match self {
            Self::Nothing | Self::IntentMark | Self::RefreshedPair => false,
            Self::NewPairing => matches!(command, Command::CancelPairing | Command::Unpair),
            Self::Tombstone => matches!(command, Command::StartPairing { .. }),
        }
    }
}
