//! What the kernel and systemd tell this process, and what they are told.
//!
//! Owns: the clocks, the timer, the netlink socket, signals, the notification socket, the process's own hardening, its
//! environment and its log. Must never: know a token, decide anything.

pub mod clock;
pub mod environment;
pub mod events;
pub mod harden;
pub mod log;
pub mod netlink;
pub mod notify;
mod readiness;
pub mod signals;
pub mod timer;
