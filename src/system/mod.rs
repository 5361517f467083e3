//! The interfaces of the kernel and systemd to this process.
//!
//! Owns: the clocks, the timer, netlink, signals, the notification socket, the process's
//! own hardening, its environment and its log. Must never: know a token, decide anything.

pub(crate) mod atomic_file;
pub(crate) mod clock;
pub(crate) mod environment;
pub(crate) mod events;
pub(crate) mod harden;
pub(crate) mod log;
pub(crate) mod mounts;
pub(crate) mod netlink;
pub(crate) mod notify;
mod readiness;
pub(crate) mod routes;
pub(crate) mod signals;
pub(crate) mod timer;
pub(crate) mod user_namespace;
