//! What is configured of a server that is not Frame.io's C2C API.

use super::{BaseUri, Text};

/// How the client proves who it is at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Id and secret in the form.
    Post,
    /// Id and secret in the `Authorization` header.
    Basic,
    /// A public client, which has no secret.
    None,
}

impl ClientAuth {
    /// The word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Basic => "basic",
            Self::None => "none",
        }
    }
}

impl Text for ClientAuth {
    const EXPECTED: &'static str = "\"post\", \"basic\" or \"none\"";

    fn read(text: &str) -> Result<Self, String> {
        [Self::Post, Self::Basic, Self::None]
            .into_iter()
            .find(|auth| auth.word() == text)
            .ok_or_else(|| format!("{text:?} is not known; it must be {}", Self::EXPECTED))
    }
}

/// A server whose addresses and departures from the standard are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Frame.io's OAuth 2 applications, `applications.frame.io`.
    FrameioApplications,
    /// Adobe IMS, of the newer Frame.io platform.
    AdobeIms,
}

impl Preset {
    /// The word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::FrameioApplications => "frameio-applications",
            Self::AdobeIms => "adobe-ims",
        }
    }
}

impl Text for Preset {
    const EXPECTED: &'static str = "\"frameio-applications\" or \"adobe-ims\"";

    fn read(text: &str) -> Result<Self, String> {
        [Self::FrameioApplications, Self::AdobeIms]
            .into_iter()
            .find(|preset| preset.word() == text)
            .ok_or_else(|| format!("{text:?} is not known; it must be {}", Self::EXPECTED))
    }
}

/// RFC 6749 appendix A.1, without spaces: the identifier that a server gave to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct OauthClientId(pub(in crate::config) String);

impl Text for OauthClientId {
    const EXPECTED: &'static str = "the client's identifier in quotation marks";

    fn read(text: &str) -> Result<Self, String> {
        let good = (1..=512).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        good.then(|| Self(text.to_owned())).ok_or_else(|| {
            "a client id is 1 to 512 visible ASCII characters without spaces; write it as the server gave it".to_owned()
        })
    }
}

/// The server's name for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Issuer(pub(in crate::config) String);

impl Text for Issuer {
    const EXPECTED: &'static str = "an https address in quotation marks";

    fn read(text: &str) -> Result<Self, String> {
        https(text).map(|()| Self(text.to_owned()))
    }
}

/// One address at the server. Unlike an issuer it may have a query (RFC 6749 §3.1, §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Endpoint(pub(in crate::config) String);

impl Text for Endpoint {
    const EXPECTED: &'static str = "an https address in quotation marks";

    fn read(text: &str) -> Result<Self, String> {
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let odd = |c: char| !c.is_ascii_graphic() || "#\\\"<>^`{|}".contains(c);
        if query.contains(odd) {
            return Err(
                "the query must not contain spaces or a fragment; write it as the server's documents do".to_owned(),
            );
        }
        https(address).map(|()| Self(text.to_owned()))
    }
}

/// As [`BaseUri`], but kept as it is written: names of servers are compared letter by letter.
fn https(text: &str) -> Result<(), String> {
    const CURE: &str = "write it as the server's documents do, for example \"https://id.example.com\"";
    let odd = |c: char| "^`{|}".contains(c);
    if text.starts_with("https://") && text.len() <= 1024 && !text.contains(odd) {
        let read: Result<BaseUri, String> = text.parse();
        // Its own cure shows Frame.io's address.
        return read.map(drop).map_err(|why| {
            let why = why.split_once("; write").map_or(why.as_str(), |(why, _)| why);
            format!("{why}; {CURE}")
        });
    }
    // Not quoted back: somebody may have put a password into it.
    Err(format!("this is no https address of at most 1024 characters; {CURE}"))
}

/// Where the browser comes back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct RedirectUri {
    pub(in crate::config) text: String,
    /// To this very machine, where the daemon can listen.
    pub(in crate::config) loopback: bool,
    /// On a port there that only a privileged process gets.
    pub(in crate::config) privileged: bool,
}

impl Text for RedirectUri {
    const EXPECTED: &'static str = "an address in quotation marks, such as \"http://127.0.0.1/callback\"";

    fn read(text: &str) -> Result<Self, String> {
        const CURE: &str = "write what is registered at the server: \"http://127.0.0.1/callback\", an https address or \"your.scheme:/path\"";
        let wrong = |why: &str| Err(format!("{why}; {CURE}"));
        let odd = |c: char| !c.is_ascii_graphic() || "\\\"<>^`{|}".contains(c);
        if text.len() > 1024 || text.contains(odd) {
            return wrong("the address must not contain spaces or quotation marks");
        }
        if text.contains(['?', '#', '@']) {
            return wrong("the address must not contain a query, a fragment or a user name");
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return wrong("the address lacks its scheme");
        };
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
        if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) || !scheme.bytes().all(letter) {
            return wrong("the scheme must be small letters, digits, \"+\", \"-\" and \".\"");
        }
        let good = |loopback, port: Option<u16>| {
            Ok(Self {
                text: text.to_owned(),
                loopback,
                privileged: loopback && port.is_some_and(|port| port < 1024),
            })
        };
        match (scheme, rest.strip_prefix("//")) {
            ("http" | "https", Some(after)) => {
                // Its rules for host and port are the same; the scheme was looked at.
                if let Err(why) = format!("https://{after}").parse::<BaseUri>() {
                    return wrong(why.split_once("; write").map_or(why.as_str(), |(why, _)| why));
                }
                let host = after.split('/').next().unwrap_or_default();
                let host = host.to_ascii_lowercase();
                let here = ["127.0.0.1", "[::1]", "localhost"].iter().find_map(|name| {
                    host.strip_prefix(name)
                        .filter(|rest| rest.is_empty() || rest.starts_with(':'))
                });
                match (scheme, here) {
                    ("http", Some(port)) => good(true, port.strip_prefix(':').and_then(|port| port.parse().ok())),
                    ("http", None) => wrong("codes must not travel in clear to another machine"),
                    (_, _) => good(false, None),
                }
            }
            ("http" | "https", None) => wrong("the address lacks its host"),
            (_, Some(after)) if !after.is_empty() && !after.contains(':') => good(false, None),
            (_, None) if rest.starts_with('/') => good(false, None),
            (_, Some(_) | None) => wrong("nothing a browser could be sent to stands behind the scheme"),
        }
    }
}
