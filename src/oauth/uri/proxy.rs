//! The address of a forward proxy (RFC 9110 §9.3.6).

use std::fmt;

use super::{UriError, WRITTEN_MAX, host_and_port};

/// As curl has it where an address names none.
const DEFAULT_PORT: u16 = 1080;

/// `[network] proxy`: the way to the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Proxy {
    #[default]
    Direct,
    /// As the variables `https_proxy` and `no_proxy` say.
    Environment,
    At(ProxyAddress),
}

impl fmt::Display for Proxy {
    /// As it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("direct"),
            Self::Environment => f.write_str("environment"),
            Self::At(address) => address.fmt(f),
        }
    }
}

/// `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ProxyAddress {
    /// As in a URI: an IPv6 address keeps its brackets.
    host: String,
    port: u16,
}

impl ProxyAddress {
    /// Reads an address that a person wrote into the configuration.
    ///
    /// # Errors
    /// [`UriError`], in words for that person.
    pub(crate) fn parse(text: &str) -> Result<Self, UriError> {
        let rest = without_scheme(text)?.ok_or(UriError::NotHttp)?;
        match bare(rest)? {
            (host, Some(port)) => Ok(Self { host, port }),
            (_, None) => Err(UriError::NoPort),
        }
    }

    /// Reads an address as it stands in the environment: curl lets scheme and port be left out.
    ///
    /// # Errors
    /// [`UriError`], in words for a person.
    pub(crate) fn parse_variable(text: &str) -> Result<Self, UriError> {
        let (host, port) = bare(without_scheme(text)?.unwrap_or(text))?;
        let port = port.unwrap_or(DEFAULT_PORT);
        Ok(Self { host, port })
    }

    /// As name lookup wants it: an IPv6 address without brackets.
    #[must_use]
    pub(crate) fn dial_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    #[must_use]
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

/// The rest of an address behind `http://`. `None` where no scheme is written.
fn without_scheme(text: &str) -> Result<Option<&str>, UriError> {
    match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => Ok(Some(rest)),
        Some(_) => Err(UriError::NotHttp),
        None => Ok(None),
    }
}

/// Host and port, and nothing else but a last slash.
fn bare(rest: &str) -> Result<(String, Option<u16>), UriError> {
    if rest.contains('@') {
        return Err(UriError::User);
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.len() > WRITTEN_MAX || authority.contains(['/', '?', '#']) {
        return Err(UriError::Behind);
    }
    let (host, port) = host_and_port(authority)?;
    Ok((host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, UriError> {
        ProxyAddress::parse(text).map(|address| address.to_string())
    }

    fn from_variable(text: &str) -> Result<String, UriError> {
        ProxyAddress::parse_variable(text).map(|address| address.to_string())
    }

    #[test]
    fn an_address_is_scheme_host_and_port() {
        for good in [
            "http://10.0.0.1:3128",
            "http://proxy.example:8080",
            "http://[fd00::1]:3128",
        ] {
            assert_eq!(parsed(good), Ok(good.to_owned()));
            assert_eq!(parsed(&format!("{good}/")), Ok(good.to_owned()));
            assert_eq!(from_variable(good), Ok(good.to_owned()));
        }
        let six = ProxyAddress::parse("HTTP://[fd00::1]:3128").map(|address| address.dial_host().to_owned());
        assert_eq!(six, Ok("fd00::1".to_owned()));
    }

    #[test]
    fn a_written_address_that_is_no_plain_one_is_refused() {
        for (bad, why) in [
            ("proxy.example:3128", UriError::NotHttp),
            ("https://proxy.example:3128", UriError::NotHttp),
            ("socks5://proxy.example:1080", UriError::NotHttp),
            ("http://proxy.example", UriError::NoPort),
            ("http://user:word@proxy.example:3128", UriError::User),
            ("http://proxy.example:3128/path", UriError::Behind),
            ("http://proxy.example:3128?x", UriError::Behind),
            ("http://proxy.example:0", UriError::Port),
            ("http://proxy.example:3128 ", UriError::Port),
            ("http://pro xy:3128", UriError::Host),
            ("http://[fd00::1:3128", UriError::Bracket),
            ("http://:3128", UriError::Host),
            ("", UriError::NotHttp),
        ] {
            assert_eq!(parsed(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn a_variable_may_leave_scheme_and_port_out() {
        for (text, address) in [
            ("proxy.example:3128", Ok("http://proxy.example:3128".to_owned())),
            ("proxy.example", Ok("http://proxy.example:1080".to_owned())),
            ("http://Proxy.Example/", Ok("http://proxy.example:1080".to_owned())),
            ("user:word@proxy.example:3128", Err(UriError::User)),
            ("socks5h://proxy.example", Err(UriError::NotHttp)),
        ] {
            assert_eq!(from_variable(text), address, "{text}");
        }
    }
}
