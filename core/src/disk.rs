//! What is known of the store's files while writes are under way, fail, and are made good.
//!
//! Must never: decide what is written, or when (`storage.rs` does).

use super::backoff::Retry;
use super::effect::Slots;
use super::op::OpId;
use super::record::Kept;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Disk {
    /// The last write asked for, until it is answered: then, since writes end in order, all are.
    pub(super) last: Option<OpId>,
    pub(super) record: File,
    pub(super) revocations: File,
    pub(super) flow: File,
    /// The last removal of a flow asked for, until it is answered.
    pub(super) removal: Option<OpId>,
    pub(super) retry: Retry,
    /// The sends that the last record written by this process counts; it may hold a mark of which memory knows that the
    /// server answered it.
    pub(super) sends: u32,
}

/// One of the store's files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct File {
    /// The last write asked for, until it is answered.
    pub(super) writing: Option<OpId>,
    /// Once the writes under way are done.
    pub(super) holds: Holds,
    /// Should the last of them fail.
    pub(super) otherwise: Holds,
}

/// What is known of a file's content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Holds {
    /// There is no such file.
    #[default]
    Nothing,
    /// What memory holds.
    Current,
    /// Of the record: one generation holds the tokens that memory holds, and the other is to follow.
    Once,
    /// Anything between then and now: the last write failed, or a start found what memory holds elsewhere.
    Unsure,
}

/// Which tokens a record carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tokens {
    /// Those of the record before it.
    Same,
    /// Others.
    New,
}

impl File {
    pub(super) fn found(there: bool) -> Self {
        Self {
            holds: if there { Holds::Current } else { Holds::Nothing },
            ..Self::default()
        }
    }

    /// A record that a start found: what is not in both generations is written again.
    pub(super) fn kept(kept: Kept) -> Self {
        Self {
            holds: match kept {
                Kept::Twice => Holds::Current,
                Kept::Once => Holds::Once,
                Kept::Spilled => Holds::Unsure,
            },
            ..Self::default()
        }
    }

    /// A write was asked for.
    pub(super) const fn write(&mut self, op: OpId, something: bool) {
        self.writing = Some(op);
        self.holds = if something { Holds::Current } else { Holds::Nothing };
        self.otherwise = Holds::Unsure;
    }

    /// A write of the record was asked for.
    pub(super) fn write_record(&mut self, op: OpId, slots: Slots, tokens: Tokens) {
        // How a write under way will end nobody knows yet.
        let before = match tokens {
            Tokens::Same if self.writing.is_none() => self.holds,
            Tokens::Same | Tokens::New => Holds::Unsure,
        };
        self.writing = Some(op);
        self.holds = match (slots, before) {
            (Slots::Both, _) | (Slots::One, Holds::Once | Holds::Current) => Holds::Current,
            (Slots::One, Holds::Nothing | Holds::Unsure) => Holds::Once,
        };
        // The generation that gives way is never the newer one.
        self.otherwise = if before == Holds::Once {
            Holds::Once
        } else {
            Holds::Unsure
        };
    }

    /// A write was answered. Whether it was the last one of this file.
    pub(super) fn answered(&mut self, op: OpId, ok: bool) -> bool {
        let last = self.writing == Some(op);
        if last {
            self.writing = None;
            if !ok {
                self.holds = self.otherwise;
            }
        }
        last
    }

    pub(super) fn unsure(&self) -> bool {
        self.holds == Holds::Unsure
    }

    /// Whether it is to be written again: what memory holds is not where it is to be.
    pub(super) fn behind(&self) -> bool {
        matches!(self.holds, Holds::Once | Holds::Unsure)
    }
}
