//! The words of the contract, and their sentences for people.
//!
//! Owns: reasons, errors, OAuth error codes and journal entries, each as a word, a sentence and a
//! cure. Must never: hold a token, know the bus.

mod call_error;
pub(crate) mod contract;
pub(crate) mod journal;
mod oauth_error;
mod reason;
pub(crate) mod status;

use call_error::local;
pub(crate) use call_error::{call_error_because, wait};
pub(crate) use oauth_error::oauth_error;
pub(crate) use reason::PAIR;
/// Begins the sentence of a reload that came to nothing; why follows.
pub(crate) const RELOAD_REFUSED: &str = "The new configuration is refused, the previous one stays in force: ";

pub(crate) use reason::{
    BEFORE_THE_END, NextEnd, Words, capital, error, explanation, flow_end, pairing_state, reason, token_state,
};
