//! The server's own description of itself: RFC 8414, and `OpenID` Connect Discovery 1.0, which has
//! the same members.
//!
//! A document counts only if it was found where the issuer's name says and names that very issuer
//! (RFC 8414 §3.3): else whoever can place a file on a host could send our credentials elsewhere.

use super::json::{Json, Object};
use super::standard::Endpoints;
use super::uri::{Endpoint, Issuer};

/// The names of endpoints in a document.
pub(super) const TOKEN: &str = "token_endpoint";
pub(super) const DEVICE_AUTHORIZATION: &str = "device_authorization_endpoint";
pub(super) const AUTHORIZATION: &str = "authorization_endpoint";
pub(super) const REVOCATION: &str = "revocation_endpoint";

/// The parts of a document that are believed, beside the endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerMetadata {
    /// RFC 9207 §3: answers at the redirect URI always name their issuer.
    pub(super) names_issuer: bool,
    /// True if S256 is among the PKCE methods, `None` where they are not listed. RFC 8414 §2:
    /// absent means that the server does not know PKCE, but many servers that do just do not
    /// mention it. A list without S256 is a clear no.
    pub(super) s256: Option<bool>,
    /// S256 is listed beside a device authorization endpoint.
    pub(super) device_s256: bool,
    /// Endpoints that are there and that nothing may be sent to.
    pub(super) bad: Vec<&'static str>,
}

/// Why a document is not believed. These words go to the journal, never the document's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MetadataError {
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
    /// Where its document may be, in the order in which they are asked. Behind the issuer (`OpenID`
    /// Connect Discovery §4) comes first, because there it is at nearly every server. RFC 8414 §3.1
    /// then puts it between host and path, and its §5 puts `OpenID`'s document there too. Without a
    /// path the two are one place. The name of RFC 8414 behind a path is in no standard.
    pub(super) fn documents(&self) -> impl Iterator<Item = Endpoint> + use<> {
        let path = self.address().target().trim_end_matches('/').to_owned();
        let origin = self.address().origin().to_string();
        let inserted = (!path.is_empty()).then(|| format!("/.well-known/openid-configuration{path}"));
        let places = [
            Some(format!("{path}/.well-known/openid-configuration")),
            Some(format!("/.well-known/oauth-authorization-server{path}")),
            inserted,
        ];
        let at = move |target: String| Endpoint::received(&format!("https://{origin}{target}"));
        places.into_iter().flatten().filter_map(at)
    }
}

/// Reads a document. An endpoint that is there and unfit is as good as absent, but for what is said
/// of it: what is not needed must not keep a living pairing from its refresh.
pub(super) fn read(object: &Object<'_>, issuer: &Issuer) -> Result<(Endpoints, ServerMetadata), MetadataError> {
    if object.text("issuer").is_none_or(|named| *named != issuer.as_str()) {
        return Err(MetadataError::AnotherIssuer);
    }
    let mut bad = Vec::new();
    let mut endpoint = |name: &'static str| {
        let read = match object.get(name) {
            Json::Null => return None,
            Json::Text(text) => Endpoint::received(&text),
            Json::Bool(_) | Json::Number(_) | Json::List(_) | Json::Object(_) | Json::Odd => None,
        };
        if read.is_none() {
            bad.push(name);
        }
        read
    };
    let endpoints = Endpoints {
        token: endpoint(TOKEN),
        device_authorization: endpoint(DEVICE_AUTHORIZATION),
        authorization: endpoint(AUTHORIZATION),
        revocation: endpoint(REVOCATION),
    };
    let s256 = match object.get("code_challenge_methods_supported") {
        Json::List(methods) => Some(methods.iter().any(|method| method.as_str() == "S256")),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::Object(_) | Json::Odd => None,
    };
    let names_issuer = matches!(
        object.get("authorization_response_iss_parameter_supported"),
        Json::Bool(true)
    );
    let metadata = ServerMetadata {
        names_issuer,
        s256,
        device_s256: s256 == Some(true) && endpoints.device_authorization.is_some(),
        bad,
    };
    Ok((endpoints, metadata))
}

impl ServerMetadata {
    /// Adds a further document of the same server.
    pub(super) fn join(&mut self, other: Self) {
        self.names_issuer |= other.names_issuer;
        self.device_s256 |= other.device_s256;
        self.s256 = match (self.s256, other.s256) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (one, other) => one.or(other),
        };
        self.bad.extend(other.bad);
    }
}
