//! What the server has against a request of ours, and what a person can do about it.
//!
//! The server's words are known ones here (RFC 6749 §4.1.2.1 and §5.2), or an [`ErrorCode`], which is no free text: nothing
//! else of a server gets into the journal.

use tracing::Level;

use super::{CLIENT_REJECTED, CODE_ENDED, CODE_REFUSED, Entry, FLOW_ENDED, TOKEN_UNUSABLE, Words, level, messages};
use c2c_auth_core::{ErrorCode, Objection, Reason, TokenKind, Unusable};

/// No request of this client will be taken before somebody acts.
pub(super) fn client_rejected(objection: Objection, paired: bool) -> Entry {
    let (what, cure) = cured(objection);
    let kept = if paired { " The pairing is kept." } else { "" };
    let sentence = format!("The server refuses this device: {what}.{kept} {cure}.");
    Entry::new(Level::ERROR, CLIENT_REJECTED, sentence)
}

/// A code that came back was worth nothing.
pub(super) fn code_refused(objection: Objection, word: Option<&ErrorCode>) -> Entry {
    let (standard, cure) = cured(objection);
    let what = match (objection, word) {
        (Objection::Other, Some(word)) => format!("its error is \"{}\"", word.as_str()),
        (_, _) => standard.to_owned(),
    };
    let sentence =
        format!("The user approved, but the server issued no tokens: {what}. If that happens again: {cure}.");
    Entry::new(Level::WARN, CODE_REFUSED, sentence)
}

/// Tokens came, and uploads cannot work with them.
pub(super) fn token_unusable(token: TokenKind, why: Unusable, retry_in: &str) -> Entry {
    let what = match why {
        Unusable::Absent => "its answer holds none".to_owned(),
        Unusable::TooLong(length) => format!("a token of {length} bytes, 32,768 are taken"),
        Unusable::Characters => "it holds characters that no token may hold".to_owned(),
        Unusable::Kind => "its token_type is not Bearer".to_owned(),
    };
    let sentence = match token {
        TokenKind::Access => format!(
            "The server's access token cannot be used: {what}. The refresh token beside it is kept, and so is the pairing. \
             Let the server issue another kind of token. The next one is requested in {retry_in}."
        ),
        TokenKind::Refresh => format!(
            "The server's refresh token cannot be used: {what}. The access token beside it is served to its end in \
             {retry_in}; then the pairing ends. Let the server issue another kind of token, and pair again."
        ),
    };
    Entry::new(Level::ERROR, TOKEN_UNUSABLE, sentence)
}

/// A code on show is worth nothing any more.
pub(super) fn code_ended(word: Option<&ErrorCode>) -> Entry {
    let sentence = format!(
        "The server refused the pairing code{}. If it refuses three codes in a row, pairing ends.",
        named(word)
    );
    Entry::new(Level::WARN, CODE_ENDED, sentence)
}

/// No pairing came of it. The other places that tell of a server's refusal point here.
pub(super) fn flow_ended(reason: Reason, word: Option<&ErrorCode>) -> Entry {
    let sentence = match reason {
        Reason::ServerError => {
            let what = match word {
                Some(_) => format!("the server refused several pairing codes in a row{}", named(word)),
                None => format!(
                    "{}, with nothing that can be named here",
                    messages::flow_end(reason).what
                ),
            };
            format!(
                "Pairing failed: {what}. That may be the user's refusal in other words, or a setting at the server. {}.",
                messages::PAIR
            )
        }
        reason => {
            let Words { what, cure } = messages::flow_end(reason);
            format!("Pairing failed: {what}. {cure}.")
        }
    };
    Entry::new(level::of_flow_end(reason), FLOW_ENDED, sentence).reason(reason)
}

fn named(word: Option<&ErrorCode>) -> String {
    word.map_or_else(String::new, |word| format!(", with the error \"{}\"", word.as_str()))
}

const fn cured(objection: Objection) -> (&'static str, &'static str) {
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
