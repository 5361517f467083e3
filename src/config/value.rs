//! The types of single values: each is checked where it is read, so that a value of the type is a
//! good value.
//!
//! A message of this file names the fault and the right form. [`super::layer`] adds file, line and
//! key. A value is quoted only where the key cannot be mistaken for one that holds a secret. So a
//! secret in the wrong place is not repeated on a terminal.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::oauth::{At, BaseUri, ClientAuth, Encoding, Endpoint, Issuer, Pkce, Proxy, Quirks, RedirectUri};
use c2c_auth_core::{RefreshMode, ReuseWindow, SERVER_IS_DONE};

mod access;
mod device;
mod duration;
mod server;

pub(super) use access::Principal;
pub(super) use device::{ClientId, ClientIdFrom, Version, VersionFrom, is_bare_mac};
pub(super) use duration::Between;
pub(crate) use duration::{duration, duration_text};
pub(super) use server::{
    DeadWord, Extra, OauthClientId, ParameterName, ParameterValue, Resource, UriPath, both_grants,
};

/// A value that is written as a TOML string.
pub(super) trait Text: Sized {
    /// For "invalid type: …, expected …".
    const EXPECTED: &'static str;

    /// Reads it, or says what is wrong and how to write it.
    fn read(text: &str) -> Result<Self, String>;
}

/// A value that is one of a few words.
pub(super) trait Word: Copy + PartialEq + 'static {
    /// Each with its value.
    const WORDS: &'static [(&'static str, Self)];
    // As [`Text::EXPECTED`].
    const EXPECTED: &'static str;

    /// The word in the configuration. "none" for a value that is written by leaving the key out.
    fn word(self) -> &'static str {
        let found = Self::WORDS.iter().find(|(_, value)| *value == self);
        found.map_or("none", |(word, _)| word)
    }
}

impl<T: Word> Text for T {
    const EXPECTED: &'static str = T::EXPECTED;

    fn read(text: &str) -> Result<Self, String> {
        let found = T::WORDS.iter().find(|(word, _)| *word == text);
        found
            .map(|(_, value)| *value)
            .ok_or_else(|| format!("{text:?} is not known; it must be {}", T::EXPECTED))
    }
}

struct TextVisitor<T>(std::marker::PhantomData<T>);

impl<T: Text> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::read(text).map_err(E::custom)
    }
}

macro_rules! deserialize_text {
    ($($name:ty),+) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(TextVisitor(std::marker::PhantomData))
            }
        }
    )+};
}

/// `[heartbeat] interval`: Frame.io allows one a minute and shows the device offline after five
/// without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heartbeat(pub(super) Option<Duration>);

impl Text for Heartbeat {
    const EXPECTED: &'static str = "a duration in quotation marks, such as \"120s\", or \"off\"";

    fn read(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let Between(interval) = Between::<60, 300>::read(text)
            .map_err(|why| format!("{why}, or be \"off\" to leave presence to the uploader"))?;
        Ok(Self(Some(interval)))
    }
}

/// `[refresh] replay-after`: no server is at work on a refresh for longer than the least value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReplayAfter(pub(super) Duration);

impl Text for ReplayAfter {
    const EXPECTED: &'static str = "a duration in quotation marks, such as \"40s\" or \"10min\"";

    fn read(text: &str) -> Result<Self, String> {
        let read = Between::<{ SERVER_IS_DONE.as_secs() }, 3_600>::read(text);
        let cure = |why| match duration(text) {
            Ok(time) if time < SERVER_IS_DONE => {
                format!("{why}; for a server that takes a used refresh token again, write refresh.reuse-window instead")
            }
            Ok(_) | Err(_) => why,
        };
        read.map(|Between(time)| Self(time)).map_err(cure)
    }
}

/// `[refresh] reuse-window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reuse(pub(super) ReuseWindow);

impl Text for Reuse {
    const EXPECTED: &'static str = "a duration in quotation marks, such as \"30s\", or \"any\"";

    fn read(text: &str) -> Result<Self, String> {
        if text == "any" {
            return Ok(Self(ReuseWindow::Any));
        }
        let Between(window) = Between::<0, 3_600>::read(text)
            .map_err(|why| format!("{why}, or be \"any\" where the server always takes it again"))?;
        Ok(Self(ReuseWindow::For(window)))
    }
}

/// A share of the access token's life, 1–95 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Percent(pub(super) u8);

impl Text for Percent {
    const EXPECTED: &'static str = "a percentage in quotation marks, such as \"75%\"";

    fn read(text: &str) -> Result<Self, String> {
        text.strip_suffix('%')
            .filter(|number| !number.starts_with('+'))
            .and_then(|number| number.parse().ok())
            .filter(|number| (1..=95).contains(number))
            .map(Self)
            .ok_or_else(|| {
                format!("{text:?} is not a percentage between \"1%\" and \"95%\"; write for example \"75%\"")
            })
    }
}

// `[refresh] policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refresh(pub(super) RefreshMode);

impl Word for Refresh {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("eager", Self(RefreshMode::Eager)),
        ("on-demand", Self(RefreshMode::OnDemand)),
    ];
    const EXPECTED: &'static str = "\"eager\" or \"on-demand\"";
}

/// RFC 6749 §3.3: words of visible ASCII without `"` and `\`, one space between two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope(pub(super) String);

impl Text for Scope {
    const EXPECTED: &'static str = "words in quotation marks, such as \"asset_create offline\"";

    fn read(text: &str) -> Result<Self, String> {
        let good =
            |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        if text.len() <= 512 && text.split(' ').all(good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "{text:?} is not a scope: it must be words with one space between two; write for example \"asset_create offline\""
            ))
        }
    }
}

// `[provider] kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    FrameioC2c,
    OauthDevice,
    OauthCode,
}

impl Word for Kind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("frameio-c2c", Self::FrameioC2c),
        ("oauth-device", Self::OauthDevice),
        ("oauth-code", Self::OauthCode),
    ];
    const EXPECTED: &'static str = "\"frameio-c2c\", \"oauth-device\" or \"oauth-code\"";
}

/// A path of this machine. Relative ones would depend on who starts the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AbsolutePath(pub(super) PathBuf);

impl Text for AbsolutePath {
    const EXPECTED: &'static str = "an absolute path in quotation marks";

    fn read(text: &str) -> Result<Self, String> {
        if text.starts_with('/') && !text.contains('\0') {
            Ok(Self(PathBuf::from(text)))
        } else {
            // Not quoted back: under [secrets] it may be the secret itself.
            Err("this is not an absolute path; write one that begins with \"/\"".to_owned())
        }
    }
}

deserialize_text!(
    Heartbeat,
    ReplayAfter,
    Reuse,
    Percent,
    Refresh,
    ClientId,
    Version,
    BaseUri,
    UriPath,
    DeadWord,
    ParameterName,
    ParameterValue,
    Resource,
    At,
    Scope,
    Encoding,
    Kind,
    AbsolutePath,
    ClientIdFrom,
    VersionFrom,
    ClientAuth,
    Pkce,
    Quirks,
    OauthClientId,
    Issuer,
    Endpoint,
    Proxy,
    RedirectUri
);
