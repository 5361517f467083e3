//! Being built.

pub mod args;
pub mod clock;
pub mod environment;
pub mod exit;
pub mod flights;
pub mod harden;
pub mod inhibit;
pub mod journal;
pub mod log;
pub mod netlink;
pub mod notify;
mod readiness;
pub mod signals;
pub mod status;
pub mod timer;
pub mod writer;
