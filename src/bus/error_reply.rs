//! The errors that callers get when a call fails.
//!
//! The name is the contract (`dbus/org.cameratocloud.Auth1.xml` lists all of them). The text is for
//! people: the fault, and the remedy. A text never holds a code or a token: it is fixed, or quotes
//! nothing but the caller's own words and the fault of an answer.

use std::borrow::Cow;

use zbus::message::{Header, Message};

use super::Refusal;
use crate::messages;
use crate::messages::contract::ErrorName;
use c2c_auth_core::CallError;

/// One failed call: a name for programs, a text for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct ErrorReply {
    kind: ErrorName,
    text: Cow<'static, str>,
}

impl ErrorReply {
    /// The words must not hold a secret.
    pub(crate) fn new(kind: ErrorName, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }

    /// For programs, which read it as the error's name.
    #[cfg(test)]
    pub(crate) const fn kind(&self) -> ErrorName {
        self.kind
    }

    /// The loop is gone or answered with something else: only a daemon that is ending does that.
    pub(super) const fn ending() -> Self {
        Self {
            kind: ErrorName::Failed,
            text: Cow::Borrowed("c2c-authd is shutting down; call again in a moment"),
        }
    }
}

impl From<CallError> for ErrorReply {
    fn from(error: CallError) -> Self {
        Refusal::from(error).into()
    }
}

impl From<Refusal> for ErrorReply {
    fn from(refusal: Refusal) -> Self {
        let (kind, text) = messages::call_error_because(refusal.error, refusal.because.as_deref());
        Self { kind, text }
    }
}

impl zbus::DBusError for ErrorReply {
    fn create_reply(&self, call: &Header<'_>) -> zbus::Result<Message> {
        Message::error(call, self.kind.name()).build(&(&*self.text,))
    }

    fn name(&self) -> zbus::names::ErrorName<'_> {
        zbus::names::ErrorName::from_static_str_unchecked(self.kind.name())
    }

    fn description(&self) -> Option<&str> {
        Some(&self.text)
    }
}
