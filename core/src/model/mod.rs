//! The proof: the core in an adversarial world.
//!
//! The world is [`world`] (the driver), [`clock`], [`crash`], [`server`], [`network`] and [`disk`];
//! what a trace is made of is [`step`]; [`enabled`] says which steps are possible, [`sim`] takes
//! them.
//! [`explore`] goes breadth first through everything a [`scenario`]'s budget allows, so that the
//! first trace to break a law is a shortest one; [`random`] takes long walks beyond any budget and
//! shortens what fails. The laws are I1–I9 in [`invariants`] and [`liveness`] (I5) and their
//! companions in [`safety`], over the [`history`]; in [`mutants`] each of them has to find the
//! fault that it is there for. [`table`] tells what the core does in each state with each event,
//! for review.
//!
//! Owns no decision: the world is as the documents of the provider and of the kernel say, in its
//! worst order. Where the core and a law here disagree, the printed trace says how to get there.
//! The deep budgets are for an optimized build, as a step of `.ci/run` runs them; `C2C_DEEP=full`
//! makes them as large as a big machine allows. `C2C_SEED` and `C2C_TRACES` say where the random
//! traces begin and how many there are.

mod clock;
mod crash;
mod disk;
mod enabled;
mod excuses;
mod explore;
mod history;
mod invariants;
mod liveness;
mod mutants;
mod network;
mod pair;
mod random;
mod rejections;
mod safety;
mod scenario;
mod server;
mod sim;
mod step;
mod table;
mod tests;
mod world;
