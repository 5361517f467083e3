//! The real programs as processes of their own, between a bus, a server and a directory.
//!
//! One program, so that one pool of threads runs all of them: they mostly wait.
//!
//! - [`process`]: the daemon as systemd sees it.
//! - [`start`]: its start, and what may hang under it.
//! - [`paths`]: the whole path with Frame.io's own kind.
//! - [`kinds`]: the standard kinds.
//! - [`ctl`]: the operator's tool.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod ctl;
mod kinds;
mod paths;
mod process;
mod start;

/// The daemon under test.
const DAEMON: &str = env!("CARGO_BIN_EXE_c2c-authd");
