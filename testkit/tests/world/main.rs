//! The simulated world, tried part by part. One binary: linking is what costs on a small machine.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bus;
mod client;
mod endpoints;
mod faults;
mod page;
mod rig;
mod sim;
