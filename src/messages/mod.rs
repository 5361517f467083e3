//! The words of the contract, and their sentences for people.
//!
//! Owns: reasons, errors, OAuth error codes and journal entries, each as a word, a sentence and a cure. Must never: hold a
//! token, know the bus.

pub(crate) mod journal;
pub(crate) mod words;
