//! The proof: the core in an adversarial world.
//!
//! Breadth first over core × server × network × failing disk × crashes × clients, with I1–I9 checked at every step
//! ([`invariants`], [`calm`]); long random traces beside it ([`random`]); and what the core does in each state with each event,
//! as a table for review ([`table`]).
//!
//! Owns no decision: the world is as the documents of the provider and of the kernel say, in its worst order. Where the core and
//! a law here disagree, the trace that is printed says how to get there.

mod calm;
mod disk;
mod explore;
mod history;
mod invariants;
mod laws;
mod network;
mod planted;
mod random;
mod scenario;
mod server;
mod sim;
mod step;
mod table;
mod tests;
mod world;
