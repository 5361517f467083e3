//! One address at a server: what a standard server calls an endpoint.

use std::fmt;

use hyper::http::Uri;
use hyper::http::uri::Authority;

use super::message::{Origin, UriError};

/// Longest address that is taken from a configuration or a discovery document.
const ENDPOINT_MAX: usize = 2048;

/// `https://host[:port]/path[?query]`. RFC 6749 §3.1 and §3.2: a query is kept, a fragment is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    origin: Origin,
    target: String,
}

impl Endpoint {
    /// Reads a configured or discovered address.
    ///
    /// # Errors
    /// [`UriError`], in words for the person who wrote it.
    pub(crate) fn parse(text: &str) -> Result<Self, UriError> {
        if text.len() > ENDPOINT_MAX || !text.bytes().all(plain) {
            return Err(UriError::Malformed);
        }
        let (uri, origin) = https(text)?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        // A query may stand right behind the host; on a request line there is always a path.
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self {
            origin,
            target: format!("{slash}{target}"),
        })
    }

    /// Host and port.
    #[must_use]
    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Path and query, as on the request line.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// The same address with more parameters in its query, which a form made.
    pub(super) fn with_query(&self, query: &str) -> String {
        let joint = if self.target.contains('?') { '&' } else { '?' };
        format!("{self}{joint}{query}")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.origin, self.target)
    }
}

/// An address that credentials may be sent to, and where it is.
pub(super) fn https(text: &str) -> Result<(Uri, Origin), UriError> {
    // `Uri` drops a fragment silently.
    if text.contains('#') {
        return Err(UriError::Surplus);
    }
    let uri: Uri = text.parse().map_err(|_| UriError::Malformed)?;
    match uri.scheme_str() {
        Some("https") => {}
        Some(_) => return Err(UriError::NotHttps),
        None => return Err(UriError::Malformed),
    }
    let origin = origin(uri.authority().ok_or(UriError::Malformed)?)?;
    Ok((uri, origin))
}

/// Host and port of an authority that is nothing else.
fn origin(authority: &Authority) -> Result<Origin, UriError> {
    if authority.as_str().contains('@') {
        return Err(UriError::Surplus);
    }
    // "host:" and "host:99999" have no port that `port_u16` would return, but are not the default port either.
    let port = match (authority.port_u16(), authority.as_str().ends_with(authority.host())) {
        (Some(port), _) if port != 0 => port,
        (None, true) => 443,
        (Some(_) | None, _) => return Err(UriError::Malformed),
    };
    if authority.host().is_empty() {
        return Err(UriError::Malformed);
    }
    Ok(Origin::new(authority.host(), port))
}

/// What an address consists of; the rest could mean something else to a browser, a log or a terminal.
fn plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

    use super::*;

    #[test]
    fn an_endpoint_keeps_its_query_and_has_no_fragment() {
        let endpoint = Endpoint::parse("https://ID.example:8443/oauth/token?tenant=a").unwrap();
        assert_eq!(endpoint.to_string(), "https://id.example:8443/oauth/token?tenant=a");
        assert_eq!(
            (endpoint.origin().host(), endpoint.origin().port()),
            ("id.example", 8443)
        );
        assert_eq!(
            endpoint.with_query("x=1"),
            "https://id.example:8443/oauth/token?tenant=a&x=1"
        );
        let bare = Endpoint::parse("https://id.example").unwrap();
        assert_eq!(
            (bare.target(), bare.with_query("x=1").as_str()),
            ("/", "https://id.example/?x=1")
        );
        let pathless = Endpoint::parse("https://id.example?x=1").unwrap();
        assert_eq!(
            (pathless.target(), pathless.to_string().as_str()),
            ("/?x=1", "https://id.example/?x=1")
        );
    }

    #[test]
    fn what_no_credential_may_be_sent_to_is_no_endpoint() {
        for (bad, why) in [
            ("http://id.example/token", UriError::NotHttps),
            ("ftp://id.example/token", UriError::NotHttps),
            ("/token", UriError::Malformed),
            ("id.example", UriError::Malformed),
            ("https://id.example:0/", UriError::Malformed),
            ("https://id.example:/", UriError::Malformed),
            ("https://id.example:99999/", UriError::Malformed),
            ("https://user@id.example/", UriError::Surplus),
            ("https://id.example/token#x", UriError::Surplus),
            ("https://id.example/to ken", UriError::Malformed),
            ("https://id.example/\u{202e}", UriError::Malformed),
            ("https://id.example/\"", UriError::Malformed),
            ("", UriError::Malformed),
        ] {
            assert_eq!(Endpoint::parse(bad), Err(why), "{bad}");
        }
        let long = format!("https://id.example/{}", "a".repeat(ENDPOINT_MAX));
        assert_eq!(Endpoint::parse(&long), Err(UriError::Malformed));
    }
}
