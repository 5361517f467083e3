//! Names of requests, writes and calls.
//!
//! They are in a file of their own, so that neither events nor effects need to import the other.

/// Names a request or a store. Never reused within a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// Names a call; chosen by the driver, unique within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ids {
    op: u64,
    code: u64,
    flow: u64,
}

impl Ids {
    /// Codes of an earlier process must not be mistaken for those of this one: they start somewhere
    /// else each time.
    pub(super) const fn new(entropy: u64) -> Self {
        Self {
            op: 0,
            code: entropy & 0xffff_ffff,
            flow: 0,
        }
    }

    pub(super) const fn next_op(&mut self) -> OpId {
        self.op += 1;
        OpId(self.op)
    }

    pub(super) const fn next_code(&mut self) -> u64 {
        self.code += 1;
        self.code
    }

    pub(super) const fn next_flow(&mut self) -> u64 {
        self.flow += 1;
        self.flow
    }

    /// A code of before the restart is on show again.
    pub(super) fn found_code(&mut self, id: u64) {
        self.code = self.code.max(id);
    }
}
