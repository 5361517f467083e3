//! What the server has against a request of ours, and what a person can do about it.
//!
//! The server's own words are known ones here (RFC 6749 §4.1.2.1 and §5.2): no text of a server gets into the journal.

use tracing::Level;

use super::{CLIENT_REJECTED, CODE_REFUSED, Entry};
use crate::core::Objection;

/// No request of this client will be taken before somebody acts.
pub(super) fn client_rejected(objection: Objection, paired: bool) -> Entry {
    let (what, cure) = words(objection);
    let kept = if paired { " The pairing is kept." } else { "" };
    let sentence = format!("The server refuses this device: {what}.{kept} {cure}.");
    Entry::new(Level::ERROR, CLIENT_REJECTED, sentence)
}

/// A code that came back was worth nothing.
pub(super) fn code_refused(objection: Objection) -> Entry {
    let (what, cure) = words(objection);
    let sentence =
        format!("The user approved, but the server issued no tokens: {what}. If that happens again: {cure}.");
    Entry::new(Level::WARN, CODE_REFUSED, sentence)
}

const fn words(objection: Objection) -> (&'static str, &'static str) {
    match objection {
        Objection::Client => (
            "invalid_client",
            "Check the client id (provider.client-id, else device.client-id) and the client secret",
        ),
        Objection::Unauthorized => (
            "unauthorized_client",
            "Let the server allow this client the grant that provider.kind names",
        ),
        Objection::Scope => (
            "invalid_scope",
            "Check provider.scope against what the server allows this client",
        ),
        Objection::Request => (
            "invalid_request",
            "Check provider.client-auth and provider.scope, and with kind oauth-code provider.redirect-uri, against what is \
             registered at the server",
        ),
        Objection::GrantType => (
            "unsupported_grant_type",
            "Check that the server supports the grant that provider.kind names",
        ),
        Objection::ResponseType => (
            "unsupported_response_type",
            "Check that the server supports the authorization code grant for this client",
        ),
        Objection::Grant => (
            "invalid_grant",
            "Check provider.redirect-uri against what is registered at the server",
        ),
        Objection::Other => (
            "in words that no standard has",
            "Check the settings of [provider] against how this client is registered at the server",
        ),
    }
}
