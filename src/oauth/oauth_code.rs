//! `oauth-code`: the authorization code grant of RFC 6749 §4.1 for native applications (RFC 8252),
//! with PKCE always.
//!
//! The browser goes to the authorization endpoint and comes back with a code. `redirect` reads what
//! it brings. The code is worth nothing without the verifier, which leaves this process only for
//! the token endpoint.

use zeroize::Zeroizing;

use super::message::{ErrorBody, HttpRequest, HttpResponse};
use super::pkce;
use super::redirect::{From, RedirectError};
use super::standard::{
    At, Quirks, Server, ServerSettings, fault, is_passing, is_throttled, oauth_error_code, rejects_client, tokens,
};
use super::uri::{Issuer, RedirectUri};
use c2c_auth_core::{AuthorizationCode, CodeVerifier, ErrorCode, ExchangeAnswer, Redirect, StateParameter};

#[derive(Clone, Debug)]
pub(crate) struct OauthCode {
    pub(super) server: Server,
    pub(super) redirect: RedirectUri,
}

impl OauthCode {
    /// Takes the settings as they are: addresses are checked where they are read.
    #[must_use]
    pub(crate) fn new(settings: ServerSettings, redirect: RedirectUri) -> Self {
        Self {
            server: Server::new(settings),
            redirect,
        }
    }

    /// The redirect URI as it was registered.
    #[must_use]
    pub(crate) const fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect
    }

    /// RFC 6749 §4.1.1 and RFC 7636 §4.3: where the browser is sent. `None` while the endpoint is
    /// not known.
    ///
    /// `redirect` is the registered address with the port of this flow's listener.
    #[must_use]
    pub(crate) fn authorization(
        &self,
        redirect: &RedirectUri,
        state: &str,
        verifier: &str,
    ) -> Option<Zeroizing<String>> {
        let settings = &self.server.settings;
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &settings.client_id)
            .append_pair("redirect_uri", &redirect.to_string());
        if let Some(scope) = &settings.scope {
            query.append_pair("scope", scope);
            let has = |wanted| scope.split(' ').any(|word| word == wanted);
            // OpenID Connect Core §11: offline access is granted only where consent is asked for.
            if settings.quirks == Quirks::Standard && has("openid") && has("offline_access") {
                query.append_pair("prompt", "consent");
            }
        }
        query
            .append_pair("state", state)
            .append_pair("code_challenge", &pkce::challenge(verifier))
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(self.server.extra(At::Authorize));
        let query = Zeroizing::new(query.finish());
        Some(Zeroizing::new(
            settings.endpoints.authorization.as_ref()?.with_query(&query),
        ))
    }

    /// RFC 6749 §4.1.3 and RFC 7636 §4.5.
    pub(super) fn exchange(
        &self,
        code: &AuthorizationCode,
        verifier: &CodeVerifier,
        redirect_uri: &str,
        state: &StateParameter,
    ) -> Option<HttpRequest> {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier.expose()),
        ];
        if self.server.settings.quirks == Quirks::FrameioApplications {
            fields.push(("state", state.expose()));
        }
        fields.extend(self.server.extra(At::Token));
        self.server.token_form(&fields)
    }

    /// RFC 6749 §5. A code can be used once, so every refusal in the protocol's words is its end.
    /// Only a client that is not known is told apart, because an operator can cure it.
    pub(super) fn exchanged(response: &HttpResponse) -> ExchangeAnswer {
        if response.status.is_success()
            && let Some(grant) = tokens(response)
        {
            return ExchangeAnswer::Granted(grant);
        }
        match response.error() {
            ErrorBody::Word(_) | ErrorBody::ErrorCode(_) if is_throttled(response) => {
                ExchangeAnswer::Failed(response.fault())
            }
            ErrorBody::Word(word) if is_passing(&word) => ExchangeAnswer::Failed(fault(response)),
            ErrorBody::Word(word) | ErrorBody::ErrorCode(word) => rejects_client(&word).map_or_else(
                || ExchangeAnswer::InvalidGrant(oauth_error_code(&word), ErrorCode::new(&word)),
                ExchangeAnswer::ClientRejected,
            ),
            ErrorBody::Detailed(_) | ErrorBody::Unreadable => ExchangeAnswer::Failed(response.fault()),
        }
    }

    /// Reads the address that the browser was sent to at the end.
    ///
    /// # Errors
    /// [`RedirectError`]: it is nothing that this flow could have brought about.
    pub(crate) fn redirected(&self, address: &str) -> Result<Redirect, RedirectError> {
        let issuer = self.server.settings.issuer.as_ref();
        let from = From {
            issuer: issuer.map(Issuer::as_str),
            always: self.server.metadata.as_ref().is_some_and(|said| said.names_issuer),
        };
        self.redirect.read(address, from)
    }
}
