//! Writes the entries of `messages::journal` to the log.

use tracing::Level;

use crate::messages::journal::{Entry, Priority};
use c2c_auth_core::{PairingState, Reason};

pub(crate) fn write(entry: &Entry) {
    // The priority of a callsite is part of its static metadata, hence one callsite for each.
    macro_rules! at {
        ($level:ident) => {
            tracing::event!(
                Level::$level,
                MESSAGE_ID = entry.kind.id,
                C2C_EVENT = entry.kind.word,
                C2C_STATE = entry.state.map(PairingState::word),
                C2C_REASON = entry.reason.map(Reason::word),
                C2C_GENERATION = entry.generation.map(|generation| generation.0),
                C2C_CALLER_UID = entry.caller,
                "{}",
                entry.sentence
            )
        };
    }
    match entry.priority {
        Priority::Error => at!(ERROR),
        Priority::Warning => at!(WARN),
        Priority::Info => at!(INFO),
    }
}
