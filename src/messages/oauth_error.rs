//! The OAuth error codes of RFC 6749 §4.1.2.1 and §5.2, each with what a person can do about it.

use super::reason::{Words, words};
use c2c_auth_core::Objection;

/// The standard word, and the setting that cures it.
pub(super) const fn oauth_error(objection: Objection) -> Words {
    match objection {
        Objection::Client => words(
            "invalid_client",
            "Check the client id (provider.client-id, else device.client-id) and the client secret",
        ),
        Objection::Unauthorized => words(
            "unauthorized_client",
            "Let the server allow this client the grant that provider.kind names",
        ),
        Objection::Scope => words(
            "invalid_scope",
            "Check provider.scope against what the server allows this client",
        ),
        Objection::Request => words(
            "invalid_request",
            "Check provider.client-auth and provider.scope, and with kind oauth-code provider.redirect-uri, against what is \
             registered at the server",
        ),
        Objection::GrantType => words(
            "unsupported_grant_type",
            "Check that the server supports the grant that provider.kind names",
        ),
        Objection::ResponseType => words(
            "unsupported_response_type",
            "Check that the server supports the authorization code grant for this client",
        ),
        Objection::Grant => words(
            "invalid_grant",
            "Check provider.redirect-uri against what is registered at the server",
        ),
        Objection::Other => words(
            "in words that no standard has",
            "Check the settings of [provider] against how this client is registered at the server",
        ),
    }
}
