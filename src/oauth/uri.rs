//! Addresses: a server's, and the one at which a browser comes back.
//!
//! Owns: the only reading of an address, whether a person wrote it or a server told it.
//! Must never: quote an address in an error, because it may hold a password.
//!
//! Invariants: credentials may be sent to each address of these types. Each can be put on a request
//! line.

use std::fmt;
use std::net::Ipv6Addr;

use hyper::http::Uri;

mod proxy;
mod redirect;

pub(crate) use proxy::{Proxy, ProxyAddress};
pub(crate) use redirect::RedirectUri;

/// Longest address that a person may write, without its query: far beyond any that is in use.
const WRITTEN_MAX: usize = 1024;

/// Longest endpoint with its query, written or told.
const ENDPOINT_MAX: usize = 2048;

/// Why a text is no usable address. The reader of the configuration adds the cure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UriError {
    #[error("the address must begin with https://, because tokens and the client secret travel there")]
    NotHttps,
    #[error("this is no https address of at most {WRITTEN_MAX} characters")]
    NoServer,
    #[error("not a URI")]
    Malformed,
    #[error("the address must not contain spaces, a query or a fragment")]
    Surplus,
    #[error("the query must not contain spaces or a fragment")]
    Query,
    #[error("the address must not contain a user name or password")]
    User,
    #[error("the IPv6 address lacks its closing bracket")]
    Bracket,
    #[error("the host is no IPv6 address")]
    Ipv6,
    #[error("the host is missing or no host name")]
    Host,
    #[error("the port must be a number between 1 and 65535")]
    Port,
    #[error("the address must not contain spaces or quotation marks")]
    RedirectCharacter,
    #[error("the address must not contain a query, a fragment or a user name")]
    RedirectSurplus,
    #[error("the address lacks its scheme")]
    NoScheme,
    #[error("the scheme must be small letters, digits, \"+\", \"-\" and \".\"")]
    Scheme,
    #[error("the address lacks its host")]
    NoHost,
    #[error("codes must not travel in clear to another machine")]
    InClear,
    #[error("nothing a browser could be sent to stands behind the scheme")]
    NoTarget,
    #[error("the address of a proxy must begin with http://")]
    NotHttp,
    #[error("the address lacks its port")]
    NoPort,
    #[error("nothing may stand behind host and port")]
    Behind,
}

/// Host and port of a server that speaks `https`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    host: String,
    port: u16,
}

impl Origin {
    /// As in the URI: an IPv6 address keeps its brackets.
    #[must_use]
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// As name lookup and TLS want it: an IPv6 address without brackets.
    #[must_use]
    pub(crate) fn dial_host(&self) -> &str {
        self.host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(&self.host)
    }

    #[must_use]
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Origin {
    /// The `Host` header's form (RFC 9110 §7.2): the default port is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            443 => f.write_str(&self.host),
            port => write!(f, "{}:{port}", self.host),
        }
    }
}

/// The address under which a provider's paths live: `https://host[:port][/prefix]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BaseUri {
    origin: Origin,
    prefix: String,
}

impl BaseUri {
    /// Reads an address that a person wrote.
    ///
    /// # Errors
    /// [`UriError`], in words for that person.
    pub(crate) fn parse(text: &str) -> Result<Self, UriError> {
        check_written(text)?;
        let (uri, origin) = https(text).ok_or(UriError::Malformed)?;
        Ok(Self {
            origin,
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    #[must_use]
    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The path on the wire of an absolute path of the API.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}

impl Default for BaseUri {
    fn default() -> Self {
        Self {
            origin: Origin {
                host: "api.frame.io".to_owned(),
                port: 443,
            },
            prefix: String::new(),
        }
    }
}

impl fmt::Display for BaseUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.origin, self.prefix)
    }
}

/// One address at a server: `https://host[:port]/path[?query]`. RFC 6749 §3.1 and §3.2: a query is
/// kept, a fragment is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    text: String,
    origin: Origin,
    target: String,
}

impl Endpoint {
    /// Reads an address that a person wrote.
    ///
    /// # Errors
    /// [`UriError`], in words for that person.
    pub(crate) fn parse(text: &str) -> Result<Self, UriError> {
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        if !query.bytes().all(is_plain) || query.contains('#') {
            return Err(UriError::Query);
        }
        check_server(address)?;
        Self::received(text).ok_or(UriError::Malformed)
    }

    /// Reads an address that a server told. A host name that this server can be reached by is good
    /// enough.
    pub(super) fn received(text: &str) -> Option<Self> {
        if text.len() > ENDPOINT_MAX || !text.bytes().all(is_plain) {
            return None;
        }
        let (uri, origin) = https(text)?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        // A query may stand right behind the host. On a request line there is always a path.
        let slash = if target.starts_with('/') { "" } else { "/" };
        Some(Self {
            text: text.to_owned(),
            origin,
            target: format!("{slash}{target}"),
        })
    }

    /// As it was written.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

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
    /// As it goes on the wire and into the record's identity.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.origin, self.target)
    }
}

/// The server's name for itself: an `https` address without query and fragment, compared letter by
/// letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Issuer(Endpoint);

impl Issuer {
    /// Reads a name that a person wrote.
    ///
    /// # Errors
    /// [`UriError`], in words for that person.
    pub(crate) fn parse(text: &str) -> Result<Self, UriError> {
        check_server(text)?;
        Endpoint::received(text).map(Self).ok_or(UriError::Malformed)
    }

    /// As it was written.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    #[must_use]
    pub(crate) const fn address(&self) -> &Endpoint {
        &self.0
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An address that credentials may be sent to, and where it is.
fn https(text: &str) -> Option<(Uri, Origin)> {
    // `Uri` drops a fragment silently.
    let uri: Uri = Some(text).filter(|text| !text.contains('#'))?.parse().ok()?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("https"))?;
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return None;
    }
    // "host:" and "host:99999" have no port that `port_u16` would return, but are not the default
    // port either.
    let port = match authority.port_u16() {
        None if authority.as_str().ends_with(authority.host()) => 443,
        port => port.filter(|port| *port != 0)?,
    };
    let origin = Origin {
        host: authority.host().to_ascii_lowercase(),
        port,
    };
    Some((uri, origin))
}

/// An issuer or endpoint that a person wrote. Names of servers are compared letter by letter, so
/// the scheme is as it is in their documents.
fn check_server(text: &str) -> Result<(), UriError> {
    if !text.starts_with("https://") || text.len() > WRITTEN_MAX || text.contains(['^', '`', '{', '|', '}']) {
        return Err(UriError::NoServer);
    }
    check_written(text)
}

/// Tells a person what is wrong with an address. Stricter than [`https`]: a typing error in a host
/// name is found here.
fn check_written(text: &str) -> Result<(), UriError> {
    let scheme = text.get(..8).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("https://") {
        return Err(UriError::NotHttps);
    }
    let rest = &text[8..];
    if !rest.bytes().all(|byte| byte.is_ascii_graphic()) || rest.contains(['?', '#', '\\', '"', '<', '>']) {
        return Err(UriError::Surplus);
    }
    let authority = rest.split('/').next().unwrap_or(rest);
    if authority.contains('@') {
        return Err(UriError::User);
    }
    host_and_port(authority).map(drop)
}

fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), UriError> {
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']').ok_or(UriError::Bracket)?;
        let address: Result<Ipv6Addr, _> = authority[1..end].parse();
        address.map_err(|_| UriError::Ipv6)?;
        authority.split_at(end + 1)
    } else {
        let (host, port) = authority.find(':').map_or((authority, ""), |at| authority.split_at(at));
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        if host.is_empty() || host.len() > 253 || !host.bytes().all(is_name) {
            return Err(UriError::Host);
        }
        (host, port)
    };
    if port.is_empty() {
        return Ok((host, None));
    }
    let digits = port
        .strip_prefix(':')
        .filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    let port = digits.and_then(|digits| digits.parse().ok()).filter(|port| *port != 0);
    port.map(|port| (host, Some(port))).ok_or(UriError::Port)
}

/// True if a request line can hold this path behind the address of a server.
pub(crate) fn is_path(text: &str) -> bool {
    let is_rooted = text.starts_with('/') && !text.starts_with("//");
    is_rooted && text.len() <= WRITTEN_MAX && !text.contains('?') && text.bytes().all(is_plain) && !text.contains('#')
}

/// True for the bytes of an address. Any other could mean something else to a browser, a log or a
/// terminal.
fn is_plain(byte: u8) -> bool {
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
            ("http://id.example/token", UriError::NoServer),
            ("ftp://id.example/token", UriError::NoServer),
            ("/token", UriError::NoServer),
            ("id.example", UriError::NoServer),
            ("https://id.example:0/", UriError::Port),
            ("https://id.example:/", UriError::Port),
            ("https://id.example:99999/", UriError::Port),
            ("https://user@id.example/", UriError::User),
            ("https://id.example/token#x", UriError::Surplus),
            ("https://id.example/to ken", UriError::Surplus),
            ("https://id.example/\u{202e}", UriError::Surplus),
            ("https://id.example/\"", UriError::Surplus),
            ("", UriError::NoServer),
        ] {
            assert_eq!(Endpoint::parse(bad), Err(why), "{bad}");
            assert_eq!(Endpoint::received(bad), None, "{bad}");
        }
        let long = |length| format!("https://id.example/{}", "a".repeat(length));
        assert_eq!(Endpoint::parse(&long(WRITTEN_MAX)), Err(UriError::NoServer));
        assert!(Endpoint::received(&long(WRITTEN_MAX)).is_some());
        assert_eq!(Endpoint::received(&long(ENDPOINT_MAX)), None);
        let query = format!("https://id.example/?{}", "a".repeat(ENDPOINT_MAX));
        assert_eq!(Endpoint::parse(&query), Err(UriError::Malformed));
    }

    #[test]
    fn each_path_that_is_taken_can_stand_on_a_request_line() {
        for byte in 0..=127_u8 {
            let path = format!("/v2/{}code", char::from(byte));
            if is_path(&path) {
                assert_eq!(path.parse::<Uri>().unwrap().path_and_query().unwrap(), &*path);
            }
        }
        for bad in [
            "",
            "v2",
            "//host/v2",
            "/v2/`",
            "/v2?a",
            "/v2#a",
            "/v2/ ",
            "/v2/\u{e9}",
            "/v2/\u{7f}",
        ] {
            assert!(!is_path(bad), "{bad:?}");
        }
        for good in ["/", "/v2/auth/device/code", "/a-b_c.d~e/%20;x=1:@!$&'()*+,"] {
            assert!(is_path(good), "{good}");
        }
        assert!(!is_path(&format!("/{}", "a".repeat(WRITTEN_MAX))));
    }

    /// A person's typing error is found where it is written. A server knows its own name.
    #[test]
    fn a_server_may_tell_a_host_that_a_person_may_not_write() {
        let odd = "https://my_server.example/token";
        assert_eq!(Endpoint::parse(odd), Err(UriError::Host));
        assert_eq!(Endpoint::received(odd).unwrap().origin().host(), "my_server.example");
    }
}
