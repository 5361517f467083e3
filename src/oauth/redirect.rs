//! The address at which a browser comes back from the server, and what it brings (RFC 6749 §4.1.2, RFC 8252, RFC 9207).
//!
//! Whatever is read here may have been written by anybody: another process on the board, a page in the same browser, a
//! person who pastes. Nothing is believed but what names the `state` of the flow, and that is compared elsewhere.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zeroize::Zeroizing;

use super::standard::{declines, rejects_flow};
use c2c_auth_core::{AuthorizationCode, Redirect, RedirectOutcome, StateParameter};

/// Longest address that is read. RFC 9110 §4.1 recommends 8000 octets at least; the listener reads no more.
pub(crate) const REDIRECT_MAX: usize = 8 * 1024;

/// The ways to name this very machine. RFC 8252 §8.3 advises against the name `localhost`, but some servers take no other.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// A redirect URI as it was registered with the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RedirectUri {
    /// `http`, `https` or a private-use scheme, in small letters.
    scheme: String,
    /// Host as written, without port; may be empty with a private-use scheme.
    host: String,
    port: Option<u16>,
    /// Begins with `/`; empty where nothing stands behind the authority.
    path: String,
    authority: bool,
}

/// Why a text is no usable redirect URI. Each ends with the cure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RedirectUriError {
    /// Not of the form of a URI.
    #[error("this is no address; write for example \"http://127.0.0.1/callback\"")]
    Malformed,
    /// A query or a fragment.
    #[error("a redirect URI has no query, no fragment and no user name here; remove them")]
    Surplus,
    /// `http` to another machine.
    #[error(
        "codes must not travel in clear; write an address of this machine (\"http://127.0.0.1/callback\"), an https \
         address or a scheme of your own"
    )]
    InClear,
}

/// Why an address brings nothing. No text quotes the address: it may hold a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub(crate) enum RedirectError {
    /// Longer than [`REDIRECT_MAX`].
    #[error("the address is too long")]
    TooLong,
    /// Another scheme, host, port or path.
    #[error("the address is not the redirect URI of this device: pass the whole address that the browser was sent to")]
    NotOurs,
    /// No `state`.
    #[error("the address names no state: pass the whole address that the browser was sent to")]
    NoState,
    /// RFC 6749 §3.1: no parameter may be there twice; told of those that are read.
    #[error("a parameter of the address is there twice")]
    Repeated,
    /// RFC 9207 §2.4.
    #[error("the address is another server's answer")]
    AnotherIssuer,
    /// Neither `code` nor `error`, or both, or one that is none.
    #[error("the address holds neither a code nor an error")]
    Nothing,
}

/// What an answer must say of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct From<'a> {
    /// Its name, where it is known.
    pub(super) issuer: Option<&'a str>,
    /// It promised to name itself in every answer (RFC 9207 §3).
    pub(super) always: bool,
}

impl RedirectUri {
    /// Reads a configured redirect URI.
    ///
    /// # Errors
    /// [`RedirectUriError`], in words for the person who wrote it.
    pub(crate) fn parse(text: &str) -> Result<Self, RedirectUriError> {
        let fit = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
        if text.len() > 2048 || !text.bytes().all(fit) {
            return Err(RedirectUriError::Malformed);
        }
        if text.contains(['?', '#', '@']) {
            return Err(RedirectUriError::Surplus);
        }
        let (scheme, rest) = text.split_once(':').ok_or(RedirectUriError::Malformed)?;
        let scheme = scheme.to_ascii_lowercase();
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(letter) {
            return Err(RedirectUriError::Malformed);
        }
        let Some(rest) = rest.strip_prefix("//") else {
            // RFC 8252 §7.1: `com.example.app:/callback`.
            let own = !matches!(scheme.as_str(), "http" | "https") && rest.starts_with('/');
            return own
                .then(|| Self {
                    scheme,
                    host: String::new(),
                    port: None,
                    path: rest.to_owned(),
                    authority: false,
                })
                .ok_or(RedirectUriError::Malformed);
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let own = !matches!(scheme.as_str(), "http" | "https");
        let (host, port) = if own && authority.is_empty() && !path.is_empty() {
            // `com.example.app:///callback`.
            (String::new(), None)
        } else {
            host_and_port(authority).ok_or(RedirectUriError::Malformed)?
        };
        let uri = Self {
            scheme,
            host,
            port,
            path: path.to_owned(),
            authority: true,
        };
        if uri.scheme == "http" && !uri.is_loopback() {
            return Err(RedirectUriError::InClear);
        }
        Ok(uri)
    }

    /// Whether the browser comes back to this machine, where a listener can wait for it.
    #[must_use]
    pub(crate) fn is_loopback(&self) -> bool {
        self.scheme == "http" && LOOPBACK.iter().any(|name| self.host.eq_ignore_ascii_case(name))
    }

    /// The one address of this machine that a browser goes to. None where it is a name, for which a browser tries both, or
    /// elsewhere.
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

    /// What the `Host` header of a browser that comes here says (RFC 9110 §7.2).
    #[must_use]
    pub(crate) fn host_header(&self) -> String {
        let host = self.host.to_ascii_lowercase();
        match self.port {
            Some(port) if port != 80 => format!("{host}:{port}"),
            Some(_) | None => host,
        }
    }

    /// Whether `left`, an address without its query, is this one. A loopback address without a port matches every port: the
    /// `state` tells the flows apart.
    fn matches(&self, left: &str) -> bool {
        // A browser writes scheme and host small and an empty path as "/"; a person may not.
        let Ok(other) = Self::parse(left) else {
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

    /// Reads the address that a browser was sent to.
    pub(super) fn read(&self, address: &str, from: From<'_>) -> Result<Redirect, RedirectError> {
        if address.len() > REDIRECT_MAX {
            return Err(RedirectError::TooLong);
        }
        // Some servers add a fragment («#_=_»); it is not part of the answer.
        let address = address.split_once('#').map_or(address, |(address, _)| address);
        let (left, query) = address.split_once('?').unwrap_or((address, ""));
        if !self.matches(left) {
            return Err(RedirectError::NotOurs);
        }
        let answer = Parameters::read(query)?;
        match (answer.iss, from.issuer) {
            (Some(said), Some(known)) if said.as_str() != known => return Err(RedirectError::AnotherIssuer),
            (None, _) if from.always => return Err(RedirectError::AnotherIssuer),
            // Without a name of our own to compare with, a name proves nothing either way.
            (Some(_) | None, _) => {}
        }
        let state = answer
            .state
            .filter(|state| visible(state))
            .ok_or(RedirectError::NoState)?;
        let outcome = match (answer.code, answer.error.as_ref().map(|word| word.as_str())) {
            // RFC 6749 appendix A.11.
            (Some(code), None) if visible(&code) => RedirectOutcome::Code(AuthorizationCode::new(take(code))),
            (None, Some(word)) if declines(word) => RedirectOutcome::Denied,
            (None, Some(word)) if visible(word) => {
                rejects_flow(word).map_or(RedirectOutcome::Failed, RedirectOutcome::ClientRejected)
            }
            (Some(_) | None, Some(_) | None) => return Err(RedirectError::Nothing),
        };
        Ok(Redirect {
            state: StateParameter::new(take(state)),
            outcome,
        })
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

/// The parameters that count, each at most once, wiped when dropped; RFC 6749 §4.1.2: others are ignored.
#[derive(Default)]
struct Parameters {
    state: Option<Zeroizing<String>>,
    code: Option<Zeroizing<String>>,
    error: Option<Zeroizing<String>>,
    iss: Option<Zeroizing<String>>,
}

impl Parameters {
    fn read(query: &str) -> Result<Self, RedirectError> {
        let mut found = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "state" => &mut found.state,
                "code" => &mut found.code,
                "error" => &mut found.error,
                "iss" => &mut found.iss,
                _ => continue,
            };
            if slot.replace(Zeroizing::new(value.into_owned())).is_some() {
                return Err(RedirectError::Repeated);
            }
        }
        Ok(found)
    }
}

/// Moves the text to where it is wiped as well.
fn take(mut text: Zeroizing<String>) -> String {
    std::mem::take(&mut text)
}

/// RFC 6749 appendix A: `1*VSCHAR`. What was not UTF-8 is not visible ASCII either.
fn visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']')? + 1;
        authority[1..end - 1].parse::<Ipv6Addr>().ok()?;
        authority.split_at(end)
    } else {
        authority.find(':').map_or((authority, ""), |at| authority.split_at(at))
    };
    let named = host.starts_with('[') || host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if host.is_empty() || !named {
        return None;
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse::<u16>().ok().filter(|port| *port != 0)?)
        }
        Some(_) | None => return None,
    };
    Some((host.to_owned(), port))
}
