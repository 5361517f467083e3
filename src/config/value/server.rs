//! The settings of a server: the types of `oauth`, read with the cure for each mistake.

use super::{Text, Word};
use crate::oauth::{
    BaseUri, ClientAuth, Encoding, Endpoint, Issuer, Quirks, RedirectUri, UriError, ends_nothing, is_path,
};
use c2c_auth_core::ErrorCode;

impl Word for ClientAuth {
    const WORDS: &'static [(&'static str, Self)] =
        &[("post", Self::Post), ("basic", Self::Basic), ("none", Self::None)];
    const EXPECTED: &'static str = "\"post\", \"basic\" or \"none\"";
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
