//! Addresses at the server.

use std::fmt;
use std::str::FromStr;

use super::Text;

/// An absolute `https` address without credentials, query and fragment: what the API's paths are appended to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUri {
    host: String,
    port: u16,
    path: String,
}

impl BaseUri {
    /// Frame.io's API.
    pub(in crate::config) fn frameio() -> Self {
        Self {
            host: "api.frame.io".to_owned(),
            port: 443,
            path: String::new(),
        }
    }

    /// Host name, IPv4 address, or IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port, 443 unless the address says otherwise.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What stands before each path: empty, or begins with `/` and ends without.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for BaseUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, path } = self;
        if host.contains(':') {
            write!(f, "https://[{host}]")?;
        } else {
            write!(f, "https://{host}")?;
        }
        if *port != 443 {
            write!(f, ":{port}")?;
        }
        f.write_str(path)
    }
}

impl FromStr for BaseUri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const CURE: &str = "write for example \"https://api.frame.io\"";
        // Not quoted back: somebody may have put a password into it.
        let wrong = |why: &str| Err(format!("{why}; {CURE}"));
        if text
            .get(..8)
            .is_none_or(|scheme| !scheme.eq_ignore_ascii_case("https://"))
        {
            return wrong("the address must begin with https://, because tokens and the client secret travel there");
        }
        let rest = &text[8..];
        if !rest.bytes().all(|b| b.is_ascii_graphic()) || rest.contains(['?', '#', '\\', '"', '<', '>']) {
            return wrong("the address must not contain spaces, a query or a fragment");
        }
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        if authority.contains('@') {
            return wrong("the address must not contain a user name or password");
        }
        let (host, port) = if let Some(literal) = authority.strip_prefix('[') {
            let Some((host, port)) = literal.split_once(']') else {
                return wrong("the IPv6 address lacks its closing bracket");
            };
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return wrong("the host is no IPv6 address");
            }
            (host, port)
        } else {
            let (host, port) = authority
                .find(':')
                .map_or((authority, ""), |colon| authority.split_at(colon));
            let good = !host.is_empty()
                && host.len() <= 253
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
            if !good {
                return wrong("the host is missing or no host name");
            }
            (host, port)
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => 443,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().unwrap_or(0),
            _ => 0,
        };
        if port == 0 {
            return wrong("the port must be a number between 1 and 65535");
        }
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port,
            path: path.trim_end_matches('/').to_owned(),
        })
    }
}

impl Text for BaseUri {
    const EXPECTED: &'static str = "an https address in quotation marks";

    fn read(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

/// A path at the server: begins with `/`, visible ASCII, no query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct UriPath(pub(in crate::config) String);

impl Text for UriPath {
    const EXPECTED: &'static str = "a path in quotation marks, such as \"/v2/auth/device/code\"";

    fn read(text: &str) -> Result<Self, String> {
        let good = text.starts_with('/')
            && !text.starts_with("//")
            && text.bytes().all(|b| b.is_ascii_graphic())
            && !text.contains(['?', '#', '\\']);
        good.then(|| Self(text.to_owned()))
            .ok_or_else(|| format!("{text:?} is not a path at the server; write for example \"/v2/auth/device/code\""))
    }
}
