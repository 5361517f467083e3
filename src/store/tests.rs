//! The store over real directories, over directories that fail at any step, and over a model of a
//! disk that loses power.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod behaviour;
mod damage;
mod directories;
mod faults;
mod faulty;
mod fixture;
mod foreign;
mod format;
mod full;
mod kept;
mod others;
mod power;
mod replaced;
mod runtime;
mod scenarios;
mod weaker;
