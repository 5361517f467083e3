//! Names of requests, writes and calls.
//!
//! They are in a file of their own, so that neither events nor effects need to import the other.

/// Names a request or a store. Never reused within a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// Names a call; chosen by the driver, unique within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);
