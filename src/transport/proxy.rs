//! The way through a forward proxy: which servers go that way, and the tunnel (RFC 9110 §9.3.6).
//!
//! Must never: send a credential to a proxy, believe anything that it says of the server, or name
//! the value of a variable, which may hold a password.
//!
//! Invariants: TLS runs from end to end inside of the tunnel. A failure before the tunnel stands is
//! one of connecting, so not a byte of a request has left.

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::oauth::{Origin, Proxy, ProxyAddress, ProxyFault, UriError};

/// The longest answer that is read. Proxies send a few lines, and a page where they refuse. The
/// first line of a refusal is enough.
const HEAD_MAX: u64 = 16 * 1024;

/// The variables that stand for a proxy, the first of them as curl reads them for https.
const PROXY_VARIABLES: [&str; 6] = [
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "http_proxy",
    "HTTP_PROXY",
];

/// The variable that names the proxy cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the variable {name} of the environment cannot be used: {why}; write http://HOST:PORT there, or [network] proxy"
)]
pub(crate) struct ProxyError {
    name: &'static str,
    why: UriError,
}

/// Which servers are reached through a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ways {
    proxy: Option<ProxyAddress>,
    /// The value of `no_proxy`.
    except: String,
}

impl Ways {
    /// `variable`: the environment of the process that connects.
    ///
    /// # Errors
    /// [`ProxyError`], where the environment decides and cannot be used.
    pub(crate) fn new(setting: &Proxy, variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        // curl takes an empty variable for one that is not set, and small letters first.
        let set = |name: &&'static str| variable(name).filter(|value| !value.is_empty());
        match setting {
            Proxy::Direct => Ok(Self::default()),
            Proxy::At(address) => Ok(Self {
                proxy: Some(address.clone()),
                except: String::new(),
            }),
            Proxy::Environment => {
                let mut named = PROXY_VARIABLES.into_iter().take(2);
                let Some((name, value)) = named.find_map(|name| Some((name, set(&name)?))) else {
                    return Ok(Self::default());
                };
                let address = ProxyAddress::parse_variable(&value).map_err(|why| ProxyError { name, why })?;
                Ok(Self {
                    proxy: Some(address),
                    except: ["no_proxy", "NO_PROXY"].iter().find_map(set).unwrap_or_default(),
                })
            }
        }
    }

    /// The first variable that names a proxy, where none is used.
    pub(crate) fn unused(&self, variable: impl Fn(&str) -> Option<String>) -> Option<&'static str> {
        let mut names = PROXY_VARIABLES.into_iter();
        names.find(|name| self.proxy.is_none() && variable(name).is_some_and(|value| !value.is_empty()))
    }

    /// The proxy on the way to this server.
    pub(crate) fn to(&self, origin: &Origin) -> Option<&ProxyAddress> {
        let host = origin.dial_host();
        self.proxy.as_ref().filter(|_| !is_excepted(host, &self.except))
    }
}

/// True if curl reaches this host without a proxy: `*` alone means each host. Of a list, a name
/// stands for itself and all that end in it behind a dot, an address for itself or its network.
fn is_excepted(host: &str, list: &str) -> bool {
    if list == "*" {
        return true;
    }
    let mut entries = list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
    if let Ok(address) = host.parse::<IpAddr>() {
        return entries.any(|entry| holds(entry, address));
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    entries.any(|entry| {
        let entry = entry.strip_suffix('.').unwrap_or(entry);
        let name = entry.strip_prefix('.').unwrap_or(entry).to_ascii_lowercase();
        let front = host.strip_suffix(&name);
        !name.is_empty() && front.is_some_and(|front| front.is_empty() || front.ends_with('.'))
    })
}

/// True if an entry is this address, or a network in the form of CIDR that holds it.
fn holds(entry: &str, address: IpAddr) -> bool {
    let (network, length) = match entry.split_once('/') {
        Some((network, length)) => (network, Some(length)),
        None => (entry, None),
    };
    let network = network.trim_start_matches('[').trim_end_matches(']');
    let (width, network, address) = match (network.parse(), address) {
        (Ok(IpAddr::V4(network)), IpAddr::V4(address)) => (32, network.to_bits().into(), address.to_bits().into()),
        (Ok(IpAddr::V6(network)), IpAddr::V6(address)) => (128, network.to_bits(), address.to_bits()),
        (Ok(IpAddr::V4(_) | IpAddr::V6(_)) | Err(_), IpAddr::V4(_) | IpAddr::V6(_)) => return false,
    };
    let length = length.map_or(Ok(width), str::parse);
    // As curl has it, a length of 0 is none.
    let Some(length) = length.ok().filter(|length| *length <= width) else {
        return false;
    };
    let kept = if length == 0 { width } else { length };
    let differ: u128 = network ^ address;
    differ >> (width - kept) == 0
}

/// Asks the proxy for a tunnel to this server, whose name it looks up. The caller bounds the time.
pub(super) async fn open_tunnel(stream: &mut TcpStream, to: &Origin) -> Result<(), ProxyFault> {
    let target = format!("{}:{}", to.host(), to.port());
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    let closed = |_: io::Error| ProxyFault::Closed;
    stream.write_all(request.as_bytes()).await.map_err(closed)?;
    let mut bounded = stream.take(HEAD_MAX);
    let mut head = Vec::new();
    loop {
        match read_answer(&head)? {
            Answer::Open => return Ok(()),
            Answer::Interim(end) => {
                head.drain(..end);
                continue;
            }
            Answer::Partial => {}
        }
        match bounded.read_buf(&mut head).await.map_err(closed)? {
            0 if bounded.limit() == 0 => return Err(ProxyFault::TooLong),
            0 => return Err(ProxyFault::Closed),
            _ => {}
        }
    }
}

/// A proxy's answer, as far as it has come.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Partial,
    /// A 1xx of so many bytes.
    Interim(usize),
    /// The tunnel stands.
    Open,
}

/// A refusal is told by its first line: the page behind it may be long, or never end.
fn read_answer(head: &[u8]) -> Result<Answer, ProxyFault> {
    const VERSION: &[u8] = b"HTTP/1.";
    if !head.iter().zip(VERSION).all(|(byte, expected)| byte == expected) {
        return Err(ProxyFault::NotHttp);
    }
    let Some(end) = head.iter().position(|byte| *byte == b'\n') else {
        return Ok(Answer::Partial);
    };
    let status = head[..end].split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let status = std::str::from_utf8(status.trim_ascii()).ok();
    let status = status
        .filter(|status| status.len() == 3)
        .and_then(|status| status.parse().ok());
    let complete = || {
        let line = |ending: &[u8]| {
            head.windows(ending.len())
                .position(|at| at == ending)
                .map(|at| at + ending.len())
        };
        line(b"\r\n\r\n").or_else(|| line(b"\n\n"))
    };
    match status {
        Some(100..=199) => Ok(complete().map_or(Answer::Partial, Answer::Interim)),
        // A server that speaks TLS waits for the client. RFC 9110 §9.3.6: the answer has no body.
        Some(200..=299) => match complete() {
            Some(end) if end < head.len() => Err(ProxyFault::NoTls),
            Some(_) => Ok(Answer::Open),
            None => Ok(Answer::Partial),
        },
        Some(407) => Err(ProxyFault::Credentials),
        Some(status @ 300..=599) => Err(ProxyFault::Status(status)),
        Some(_) | None => Err(ProxyFault::NotHttp),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

    use super::*;
    use crate::oauth::BaseUri;

    fn origin(base: &str) -> Origin {
        BaseUri::parse(base).unwrap().origin().clone()
    }

    fn ways(variables: &[(&str, &str)]) -> Result<Ways, ProxyError> {
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Ways::new(&Proxy::Environment, |name| {
            let mut found = variables.iter();
            found.find(|(other, _)| other == name).map(|(_, value)| value.clone())
        })
    }

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        let to = origin("https://id.example.com");
        let way = |variables: &[(&str, &str)]| ways(variables).unwrap().to(&to).map(ToString::to_string);
        for (variables, expected) in [
            (&[][..], None),
            (
                &[
                    ("https_proxy", "http://a.example:1"),
                    ("HTTPS_PROXY", "http://b.example:2"),
                ],
                Some("http://a.example:1"),
            ),
            (
                &[("https_proxy", ""), ("HTTPS_PROXY", "http://b.example:2")],
                Some("http://b.example:2"),
            ),
            (&[("HTTPS_PROXY", "b.example")], Some("http://b.example:1080")),
            (&[("http_proxy", "http://a.example:1")], None),
            (&[("HTTPS_PROXY", "b.example"), ("NO_PROXY", "*")], None),
            (
                &[
                    ("HTTPS_PROXY", "b.example"),
                    ("no_proxy", "other.example"),
                    ("NO_PROXY", "*"),
                ],
                Some("http://b.example:1080"),
            ),
            (
                &[("HTTPS_PROXY", "b.example"), ("no_proxy", ""), ("NO_PROXY", "*")],
                None,
            ),
        ] {
            assert_eq!(way(variables).as_deref(), expected, "{variables:?}");
        }
    }

    #[test]
    fn a_variable_that_cannot_be_used_is_named_without_its_value() {
        for value in [
            "http://user:canary@a.example:1",
            "socks5://canary.example",
            "http://canary.example/canary",
        ] {
            let error = ways(&[("HTTPS_PROXY", value)]).unwrap_err().to_string();
            assert!(
                error.contains("HTTPS_PROXY") && error.contains("http://HOST:PORT"),
                "{error}"
            );
            assert!(!error.contains("canary"), "{error}");
            let direct = Ways::new(&Proxy::Direct, |_| Some(value.to_owned()));
            assert_eq!(direct, Ok(Ways::default()), "nobody reads it");
        }
    }

    #[test]
    fn a_proxy_that_nothing_goes_through_is_known_by_its_variable() {
        let set = |wanted: &'static str| move |name: &str| (name == wanted).then(|| "http://a.example:1".to_owned());
        let direct = Ways::default();
        assert_eq!(direct.unused(set("HTTPS_PROXY")), Some("HTTPS_PROXY"));
        assert_eq!(direct.unused(set("ALL_PROXY")), Some("ALL_PROXY"));
        assert_eq!(direct.unused(set("NO_PROXY")), None);
        let used = Ways::new(&Proxy::Environment, set("HTTPS_PROXY")).unwrap();
        assert_eq!(used.unused(set("HTTPS_PROXY")), None);
    }

    #[test]
    fn exceptions_are_names_with_all_below_them_and_addresses_with_their_network() {
        for (host, list, excepted) in [
            ("id.example.com", "example.com", true),
            ("id.example.com", ".example.com", true),
            ("example.com", ".example.com", true),
            ("ID.example.com", "EXAMPLE.COM.", true),
            ("notexample.com", "example.com", false),
            ("example.com.evil.org", "example.com", false),
            ("id.example.com", "other.org, example.com", true),
            ("id.example.com", "other.org example.com", true),
            ("id.example.com", "*", true),
            ("id.example.com", "other.org,*", false),
            ("id.example.com", "*.example.com", false),
            ("id.example.com", "", false),
            ("id.example.com", ",.,", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.0/24", true),
            ("192.0.3.7", "192.0.2.0/24", false),
            ("192.0.2.7", "192.0.2.0/0", false),
            ("192.0.2.7", "192.0.2.7/32", true),
            ("192.0.2.7", "192.0.2.7/33", false),
            ("192.0.2.7", "192.0.2.7/x", false),
            ("192.0.2.7", "2.7", false),
            ("fd00::7", "fd00::/8", true),
            ("fd00::7", "[fd00::7]", true),
            ("fd00::7", "fe80::/10", false),
            ("fd00::7", "192.0.2.0/24", false),
        ] {
            assert_eq!(is_excepted(host, list), excepted, "{host} {list:?}");
        }
    }

    #[test]
    fn an_answer_is_an_open_tunnel_or_a_reason() {
        for (head, answer) in [
            ("", Ok(Answer::Partial)),
            ("HTT", Ok(Answer::Partial)),
            ("HTTP/1.1 200 Connection established\r\n", Ok(Answer::Partial)),
            ("HTTP/1.1 200 Connection established\r\n\r\n", Ok(Answer::Open)),
            ("HTTP/1.0 200\r\n\r\n", Ok(Answer::Open)),
            ("HTTP/1.0 200\n\n", Ok(Answer::Open)),
            ("HTTP/1.1 204 No Content\r\nvia: a\r\n\r\n", Ok(Answer::Open)),
            ("HTTP/1.1 103 Early\r\n\r\nHTTP", Ok(Answer::Interim(22))),
            ("HTTP/1.1 200 OK\r\n\r\n<html>", Err(ProxyFault::NoTls)),
            (
                "HTTP/1.1 407 Proxy Authentication Required\r\n",
                Err(ProxyFault::Credentials),
            ),
            ("HTTP/1.1 502 Bad Gateway\r\ncontent-le", Err(ProxyFault::Status(502))),
            ("HTTP/1.1 302 Found\r\n", Err(ProxyFault::Status(302))),
            ("HTTP/1.1 99 Odd\r\n", Err(ProxyFault::NotHttp)),
            ("HTTP/1.1\r\n", Err(ProxyFault::NotHttp)),
            ("HTTP/2 200\r\n", Err(ProxyFault::NotHttp)),
            ("SSH-2.0-", Err(ProxyFault::NotHttp)),
            ("\r\n", Err(ProxyFault::NotHttp)),
        ] {
            assert_eq!(read_answer(head.as_bytes()), answer, "{head:?}");
        }
    }
}
