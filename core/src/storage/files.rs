//! The files that writes go to: what is known of each.

use crate::OpId;
use crate::pending::Pending;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Write {
    pub(super) op: OpId,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    Record(Pending),
    Revocations,
    Flow,
    Trial,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct File {
    /// Once the writes under way are done.
    pub(super) state: FileState,
    /// Should the last of them fail.
    pub(super) on_failure: FileState,
    /// The last write of it failed.
    pub(super) failing: bool,
}

/// The knowledge about a file's content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum FileState {
    #[default]
    Absent,
    /// It holds what memory holds.
    UpToDate,
    /// One generation of the record holds the tokens that memory holds, and the other is to follow.
    OneGeneration,
    /// Anything between then and now: the last write failed, or a start found what memory holds
    /// elsewhere.
    Unknown,
}

impl What {
    /// A file of the state directory.
    pub(super) const fn is_state(self) -> bool {
        match self {
            Self::Record(_) | Self::Revocations | Self::Trial => true,
            Self::Flow => false,
        }
    }

    pub(super) const fn same_file(self, other: Self) -> bool {
        match self {
            Self::Record(_) => matches!(other, Self::Record(_)),
            Self::Revocations => matches!(other, Self::Revocations),
            Self::Flow => matches!(other, Self::Flow),
            Self::Trial => matches!(other, Self::Trial),
        }
    }
}

impl File {
    /// A write of the whole file is asked for.
    pub(super) const fn write(&mut self, something: bool) {
        self.state = if something {
            FileState::UpToDate
        } else {
            FileState::Absent
        };
        self.on_failure = FileState::Unknown;
    }
}
