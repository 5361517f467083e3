//! Being built.

pub mod args;
pub mod clock;
pub mod exit;
pub mod netlink;
pub mod notify;
mod readiness;
pub mod timer;
