//! The server's objections to our requests, and the remedy a person has.
//!
//! The server's words are known ones here (RFC 6749 §4.1.2.1 and §5.2), or an [`ErrorCode`], which
//! is no free text: nothing else of a server gets into the journal.

use super::{CLIENT_REJECTED, CODE_ENDED, CODE_REFUSED, Entry, FLOW_ENDED, Priority, TOKEN_UNUSABLE, Words, messages};
use crate::messages::oauth_error::oauth_error;
use c2c_auth_core::{ErrorCode, OAuthErrorCode, Reason, TokenKind, Unusable};

/// No request of this client will be taken before somebody acts.
pub(super) fn client_rejected(error: OAuthErrorCode, paired: bool) -> Entry {
    let Words { what, cure } = oauth_error(error);
    let kept = if paired { " The pairing is kept." } else { "" };
    let sentence = format!("The server refuses this device: {what}.{kept} {cure}.");
    Entry::new(Priority::Error, CLIENT_REJECTED, sentence)
}

/// A code that came back was worth nothing.
pub(super) fn code_refused(error: OAuthErrorCode, word: Option<&ErrorCode>) -> Entry {
    let Words { what: standard, cure } = oauth_error(error);
    let what = match (error, word) {
        (OAuthErrorCode::Other, Some(word)) => format!("its error is \"{}\"", word.as_str()),
        (_, _) => standard.to_owned(),
    };
    let sentence =
        format!("The user approved, but the server issued no tokens: {what}. If that happens again: {cure}.");
    Entry::new(Priority::Warning, CODE_REFUSED, sentence)
}

/// Tokens came, and uploads cannot work with them.
pub(super) fn token_unusable(token: TokenKind, why: Unusable, retry_in: &str) -> Entry {
    let what = match why {
        Unusable::Absent => "its answer holds none".to_owned(),
        Unusable::TooLong(length) => format!("a token of {length} bytes, 32,768 are taken"),
        Unusable::Characters => "it holds characters that no token may hold".to_owned(),
        Unusable::TokenType => "its token_type is not Bearer".to_owned(),
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
    Entry::new(Priority::Error, TOKEN_UNUSABLE, sentence)
}

/// A code on show is worth nothing any more.
pub(super) fn code_ended(word: Option<&ErrorCode>) -> Entry {
    let sentence = format!(
        "The server refused the pairing code{}. If it refuses three codes in a row, pairing ends.",
        named(word)
    );
    Entry::new(Priority::Warning, CODE_ENDED, sentence)
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
    Entry::new(Priority::of_flow_end(reason), FLOW_ENDED, sentence).reason(reason)
}

fn named(word: Option<&ErrorCode>) -> String {
    word.map_or_else(String::new, |word| format!(", with the error \"{}\"", word.as_str()))
}
