//! The server's own description of itself: RFC 8414, and `OpenID` Connect Discovery 1.0, which has the same members.
//!
//! A document counts only if it was found where the issuer's name says and names that very issuer (RFC 8414 §3.3): else
//! whoever can place a file on a host could send our credentials elsewhere.

use std::fmt;

use super::endpoint::Endpoint;
use super::json::{Json, Object};
use super::message::UriError;
use super::standard::Endpoints;

/// The server's name for itself: an `https` address without query and fragment, compared letter by letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Issuer {
    text: String,
    address: Endpoint,
}

/// What is believed of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) endpoints: Endpoints,
    /// RFC 9207 §3: answers at the redirect URI always name their issuer.
    pub(super) names_issuer: bool,
    /// It lists its PKCE methods, and S256 is not among them.
    pub(super) refuses_s256: bool,
}

/// Why a document is not believed. The words go to the journal; nothing of the document does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not a JSON object.
    #[error("it is no JSON object")]
    Unreadable,
    /// Another server's, or a name written differently.
    #[error("its issuer is not exactly the configured one")]
    AnotherIssuer,
    /// An endpoint that no credential may be sent to.
    #[error("its {0} is no https address")]
    BadEndpoint(&'static str),
    /// The endpoint that the configured kind needs.
    #[error("it names no {0}, which the configured kind needs")]
    NoEndpoint(&'static str),
    /// A code grant without proof of possession could be stolen at the redirect.
    #[error("its server does not know the PKCE method S256")]
    NoS256,
}

impl Issuer {
    /// Reads a configured issuer.
    ///
    /// # Errors
    /// [`UriError`], in words for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        if text.contains('?') {
            return Err(UriError::Surplus);
        }
        Ok(Self {
            address: Endpoint::parse(text)?,
            text: text.to_owned(),
        })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) const fn address(&self) -> &Endpoint {
        &self.address
    }

    /// Where its document may be, in the order in which they are asked: `OpenID`'s place first, because servers that have
    /// both are many more than those that have only RFC 8414's.
    pub(super) fn documents(&self) -> [Option<Endpoint>; 2] {
        let path = self.address.target().trim_end_matches('/');
        let at = |target: String| Endpoint::parse(&format!("https://{}{target}", self.address.origin())).ok();
        [
            at(format!("{path}/.well-known/openid-configuration")),
            at(format!("/.well-known/oauth-authorization-server{path}")),
        ]
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads a document. Endpoints that are absent are left out; one that is present and unfit spoils the whole.
pub(super) fn read(object: &Object, issuer: &Issuer) -> Result<Metadata, Unfit> {
    if object.text("issuer") != Some(issuer.as_str()) {
        return Err(Unfit::AnotherIssuer);
    }
    let endpoint = |name: &'static str| match object.get(name) {
        Json::Null => Ok(None),
        Json::Text(text) => Endpoint::parse(text).map(Some).map_err(|_| Unfit::BadEndpoint(name)),
        Json::Bool(_) | Json::Number(_) | Json::List(_) | Json::Object(_) => Err(Unfit::BadEndpoint(name)),
    };
    let endpoints = Endpoints {
        token: endpoint("token_endpoint")?,
        device_authorization: endpoint("device_authorization_endpoint")?,
        authorization: endpoint("authorization_endpoint")?,
        revocation: endpoint("revocation_endpoint")?,
    };
    // RFC 8414 §2: absent means that the server does not know PKCE; many that do just do not mention it. A list without
    // S256 is a clear no.
    let refuses_s256 = match object.get("code_challenge_methods_supported") {
        Json::List(methods) => !methods.iter().any(|method| method.as_str() == "S256"),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::Object(_) => false,
    };
    let names_issuer = matches!(
        object.get("authorization_response_iss_parameter_supported"),
        Json::Bool(true)
    );
    Ok(Metadata {
        endpoints,
        names_issuer,
        refuses_s256,
    })
}
