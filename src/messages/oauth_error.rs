//! The OAuth error codes of RFC 6749 §4.1.2.1 and §5.2, each with what a person can do about it.

use super::reason::{Words, words};
use c2c_auth_core::OAuthErrorCode;

/// The standard word, and the setting that cures it.
pub(crate) const fn oauth_error(error: OAuthErrorCode) -> Words {
    match error {
        OAuthErrorCode::Client => words(
            "invalid_client",
            "Check the client id (provider.client-id, else device.client-id) and the client secret; where both are right, a \
             standard server may read them from the form alone: provider.client-auth = \"post\"",
        ),
        OAuthErrorCode::Unauthorized => words(
            "unauthorized_client",
            "Let the server allow this client the grant that provider.kind names",
        ),
        OAuthErrorCode::Scope => words(
            "invalid_scope",
            "Check provider.scope against what the server allows this client",
        ),
        OAuthErrorCode::Request => words(
            "invalid_request",
            "Check provider.client-auth, provider.scope and provider.audience, with kind oauth-device provider.pkce, and with \
             kind oauth-code provider.redirect-uri, against what is registered at the server",
        ),
        OAuthErrorCode::GrantType => words(
            "unsupported_grant_type",
            "Check that the server supports the grant that provider.kind names",
        ),
        OAuthErrorCode::ResponseType => words(
            "unsupported_response_type",
            "Check that the server supports the authorization code grant for this client",
        ),
        OAuthErrorCode::Grant => words(
            "invalid_grant",
            "Let the server allow this client the device grant; with kind oauth-code, check provider.redirect-uri against what \
             is registered at the server",
        ),
        OAuthErrorCode::Other => words(
            "in words that no standard has",
            "Check the settings of [provider] against how this client is registered at the server",
        ),
    }
}
