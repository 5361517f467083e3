//! The settings of a server: the types of `oauth`, read with the cure for each mistake.

use serde::Deserialize;

use super::{Text, Word};
use crate::oauth::{
    At, BaseUri, ClientAuth, Encoding, Endpoint, Issuer, Pkce, Proxy, ProxyAddress, Quirks, RedirectUri, UriError,
    ends_nothing, is_path,
};
use c2c_auth_core::ErrorCode;

impl Word for ClientAuth {
    const WORDS: &'static [(&'static str, Self)] =
        &[("post", Self::Post), ("basic", Self::Basic), ("none", Self::None)];
    const EXPECTED: &'static str = "\"post\", \"basic\" or \"none\"";
}

impl Word for Pkce {
    const WORDS: &'static [(&'static str, Self)] = &[("auto", Self::Auto), ("s256", Self::S256), ("off", Self::Off)];
    const EXPECTED: &'static str = "\"auto\", \"s256\" or \"off\"";
}

impl Word for Encoding {
    const WORDS: &'static [(&'static str, Self)] = &[("multipart", Self::Multipart), ("urlencoded", Self::Urlencoded)];
    const EXPECTED: &'static str = "\"multipart\" or \"urlencoded\"";
}

// `[provider] preset`.
impl Word for Quirks {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("frameio-applications", Self::FrameioApplications),
        ("adobe-ims", Self::AdobeIms),
    ];
    const EXPECTED: &'static str = "\"frameio-applications\" or \"adobe-ims\"";
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

/// An error by which a server calls a refresh token dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct DeadWord(pub(in crate::config) String);

impl Text for DeadWord {
    const EXPECTED: &'static str = "an error in quotation marks, such as \"invalid_request\"";

    fn read(text: &str) -> Result<Self, String> {
        if ErrorCode::new(text).is_none() {
            return Err(format!(
                "{text:?} is no OAuth error; write the server's own word, for example \"invalid_request\""
            ));
        }
        if ends_nothing(text) {
            return Err(format!(
                "by {text:?} no server calls a refresh token dead, and a pairing must not end by it; remove it"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// `[[provider.extra]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Extra {
    pub(in crate::config) name: ParameterName,
    pub(in crate::config) value: ParameterValue,
    #[serde(rename = "in", default = "both_grants")]
    pub(in crate::config) at: Vec<At>,
}

/// Where a pairing begins.
pub(in crate::config) fn both_grants() -> Vec<At> {
    vec![At::Device, At::Authorize]
}

impl Word for At {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("device", Self::Device),
        ("authorize", Self::Authorize),
        ("token", Self::Token),
        ("refresh", Self::Refresh),
    ];
    const EXPECTED: &'static str = "\"device\", \"authorize\", \"token\" or \"refresh\"";
}

/// The name of a parameter that the protocol does not use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct ParameterName(pub(in crate::config) String);

impl Text for ParameterName {
    const EXPECTED: &'static str = "the name of a parameter in quotation marks, such as \"acr_values\"";

    fn read(text: &str) -> Result<Self, String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if !(1..=64).contains(&text.len()) || !text.bytes().all(is_plain) {
            return Err(
                "a name is 1 to 64 letters, digits and \"-._\"; write it as the server's documents do".to_owned(),
            );
        }
        if OWN.contains(&text) {
            return Err(format!(
                "{text:?} is a parameter of the protocol itself, or holds a secret; remove it"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The parameters of RFC 6749, 7009, 7521, 7636, 8628, 8693, 9101 and `OpenID` Connect that go
/// where they belong or nowhere. A secret in the configuration would be readable by everybody.
const OWN: [&str; 29] = [
    "access_token",
    "actor_token",
    "assertion",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "device_code",
    "grant_type",
    "nonce",
    "password",
    "prompt",
    "redirect_uri",
    "refresh_token",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
    "subject_token",
    "token",
    "token_type_hint",
    "user_code",
    "username",
];

/// One line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct ParameterValue(pub(in crate::config) String);

impl Text for ParameterValue {
    const EXPECTED: &'static str = "a text in quotation marks";

    fn read(text: &str) -> Result<Self, String> {
        let good = (1..=1024).contains(&text.len()) && !text.chars().any(char::is_control);
        good.then(|| Self(text.to_owned()))
            .ok_or_else(|| "a value is one line of 1 to 1024 bytes; write it as the server's documents do".to_owned())
    }
}

/// RFC 8707 §2: an absolute address without a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Resource(pub(in crate::config) String);

impl Text for Resource {
    const EXPECTED: &'static str = "an address in quotation marks, such as \"https://api.example.com\"";

    fn read(text: &str) -> Result<Self, String> {
        let is_plain = (1..=1024).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        let is_absolute = text
            .split_once(':')
            .is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
        (is_plain && is_absolute && !text.contains('#')).then(|| Self(text.to_owned())).ok_or_else(|| {
            "a resource is an absolute address without spaces or a fragment; write for example \"https://api.example.com\""
                .to_owned()
        })
    }
}

impl Text for BaseUri {
    const EXPECTED: &'static str = "an https address in quotation marks";

    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|why| format!("{why}; write for example \"https://api.frame.io\""))
    }
}

impl Text for Issuer {
    const EXPECTED: &'static str = "an https address in quotation marks";

    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(at_server)
    }
}

impl Text for Endpoint {
    const EXPECTED: &'static str = "an https address in quotation marks";

    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(at_server)
    }
}

fn at_server(why: UriError) -> String {
    let example = match why {
        UriError::Query => "",
        _ => ", for example \"https://id.example.com\"",
    };
    format!("{why}; write it as the server's documents do{example}")
}

// `[network] proxy`.
impl Text for Proxy {
    const EXPECTED: &'static str = "\"direct\", \"environment\" or an address such as \"http://10.0.0.1:3128\"";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "direct" => Ok(Self::Direct),
            "environment" => Ok(Self::Environment),
            // Not quoted back: it may hold a password.
            address => ProxyAddress::parse(address)
                .map(Self::At)
                .map_err(|why| format!("{why}; it must be {}", Self::EXPECTED)),
        }
    }
}

impl Text for RedirectUri {
    const EXPECTED: &'static str = "an address in quotation marks, such as \"http://127.0.0.1/callback\"";

    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|why| {
            format!(
                "{why}; write what is registered at the server: \"http://127.0.0.1/callback\", an https address or \
                 \"your.scheme:/path\""
            )
        })
    }
}

/// A path at the server: begins with `/`, visible ASCII, no query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct UriPath(pub(in crate::config) String);

impl Text for UriPath {
    const EXPECTED: &'static str = "a path in quotation marks, such as \"/v2/auth/device/code\"";

    fn read(text: &str) -> Result<Self, String> {
        is_path(text)
            .then(|| Self(text.to_owned()))
            .ok_or_else(|| format!("{text:?} is not a path at the server; write for example \"/v2/auth/device/code\""))
    }
}
