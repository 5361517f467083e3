//! The address at which a browser comes back from the server (RFC 6749 §3.1.2, RFC 8252 §7).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{UriError, WRITTEN_MAX, host_and_port, is_plain};

/// The ways to name this very machine. RFC 8252 §8.3 advises against the name `localhost`, but some
/// servers take no other.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// A redirect URI as it was registered with the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RedirectUri {
    /// `http`, `https` or a private-use scheme, in small letters.
    scheme: String,
    /// Host as written, without port. May be empty with a private-use scheme.
    host: String,
    port: Option<u16>,
    /// Begins with `/`. Empty where nothing stands behind the authority.
    path: String,
    authority: bool,
}

impl RedirectUri {
    /// Reads an address that a person wrote.
    ///
    /// # Errors
    /// [`UriError`], in words for that person.
    pub(crate) fn parse(text: &str) -> Result<Self, UriError> {
        if text.len() > WRITTEN_MAX || !text.bytes().all(is_plain) {
            return Err(UriError::RedirectCharacter);
        }
        if text.contains(['?', '#', '@']) {
            return Err(UriError::RedirectSurplus);
        }
        let (scheme, rest) = text.split_once(':').ok_or(UriError::NoScheme)?;
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
        if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) || !scheme.bytes().all(letter) {
            return Err(UriError::Scheme);
        }
        let is_private_use = !matches!(scheme, "http" | "https");
        let behind = rest.strip_prefix("//");
        let (authority, path) = behind.map_or(("", rest), |behind| {
            behind.find('/').map_or((behind, ""), |at| behind.split_at(at))
        });
        let (host, port) = match behind {
            None if !is_private_use => return Err(UriError::NoHost),
            Some(_) if !is_private_use => host_and_port(authority)?,
            // RFC 8252 §7.1: `com.example.app:/callback`. Some write
            // `com.example.app://host/callback`.
            _ => {
                let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                let is_good = behind.map_or(rest.starts_with('/'), |behind| {
                    !behind.is_empty() && !behind.contains(':') && authority.bytes().all(is_name)
                });
                if !is_good {
                    return Err(UriError::NoTarget);
                }
                (authority, None)
            }
        };
        let uri = Self {
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            port,
            path: path.to_owned(),
            authority: behind.is_some(),
        };
        if uri.scheme == "http" && !uri.is_loopback() {
            return Err(UriError::InClear);
        }
        Ok(uri)
    }

    /// True if the browser comes back to this machine, where a listener can wait for it.
    #[must_use]
    pub(crate) fn is_loopback(&self) -> bool {
        self.scheme == "http" && LOOPBACK.iter().any(|name| self.host.eq_ignore_ascii_case(name))
    }

    /// The one address of this machine that a browser goes to. None where it is a name, for which a
    /// browser tries both, or elsewhere.
    #[must_use]
    pub(crate) fn loopback_address(&self) -> Option<IpAddr> {
        match (self.scheme.as_str(), self.host.as_str()) {
            ("http", "127.0.0.1") => Some(Ipv4Addr::LOCALHOST.into()),
            ("http", "[::1]") => Some(Ipv6Addr::LOCALHOST.into()),
            _ => None,
        }
    }

    /// The port that was written. RFC 8252 §7.3: without one, a loopback address may have any.
    #[must_use]
    pub(crate) const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The path that a browser asks for.
    #[must_use]
    pub(crate) fn path(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }

    /// The address of a flow whose listener has this port.
    #[must_use]
    pub(crate) fn at_port(&self, port: u16) -> Self {
        Self {
            port: Some(port),
            ..self.clone()
        }
    }

    /// The `Host` header of a browser that comes here (RFC 9110 §7.2).
    #[must_use]
    pub(crate) fn host_header(&self) -> String {
        let host = self.host.to_ascii_lowercase();
        match self.port {
            Some(port) if port != 80 => format!("{host}:{port}"),
            Some(_) | None => host,
        }
    }

    /// True if `left`, an address without its query, is this one. A loopback address without a port
    /// matches every port: the `state` tells the flows apart.
    pub(in crate::oauth) fn matches(&self, left: &str) -> bool {
        // A browser writes scheme and host small and an empty path as "/". A person may not.
        let small = left
            .split_once(':')
            .map(|(scheme, rest)| format!("{}:{rest}", scheme.to_ascii_lowercase()));
        let Some(Ok(other)) = small.as_deref().map(Self::parse) else {
            return false;
        };
        let any_port = self.is_loopback() && self.port.is_none();
        let default_port = |uri: &Self| match uri.scheme.as_str() {
            "http" => uri.port.or(Some(80)),
            "https" => uri.port.or(Some(443)),
            _ => uri.port,
        };
        self.scheme == other.scheme
            && self.authority == other.authority
            && self.host.eq_ignore_ascii_case(&other.host)
            && self.path() == other.path()
            && (any_port || default_port(self) == default_port(&other))
    }
}

impl Default for RedirectUri {
    /// Any free port of this machine.
    fn default() -> Self {
        Self {
            scheme: "http".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: None,
            path: "/callback".to_owned(),
            authority: true,
        }
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slashes = if self.authority { "//" } else { "" };
        write!(f, "{}:{slashes}{}", self.scheme, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}
