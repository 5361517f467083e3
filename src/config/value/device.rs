//! The identifiers of the device, and where they may come from.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{AbsolutePath, Text};

/// The unit's identifier at the server: stable, unique, visible ASCII, at most 128 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct ClientId(pub(in crate::config) String);

impl Text for ClientId {
    const EXPECTED: &'static str = "a serial number or UUID in quotation marks";

    fn read(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for ClientId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const CURE: &str = "use a serial number or a UUID";
        if text.is_empty() {
            return Err(format!("a client id cannot be empty; {CURE}"));
        }
        if text.len() > 128 || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!(
                "a client id is at most 128 visible ASCII characters without spaces; {CURE}"
            ));
        }
        if is_mac(text) {
            return Err(format!(
                "{text:?} has the shape of a MAC address, which Frame.io does not allow as client id: it changes with the network hardware and anybody nearby can read it; {CURE}"
            ));
        }
        if text
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
        {
            return Err(format!(
                "{text:?} has the shape of an e-mail address, which Frame.io does not allow as client id: it names a person, not a unit; {CURE}"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// EUI-48 and EUI-64 in the notations of IEEE (`-`), Linux (`:`) and Cisco (`.`).
fn is_mac(text: &str) -> bool {
    [(':', 2), ('-', 2), ('.', 4)].into_iter().any(|(separator, width)| {
        let groups: Vec<_> = text.split(separator).collect();
        matches!(groups.len() * width, 12 | 16)
            && groups
                .iter()
                .all(|group| group.len() == width && group.bytes().all(|b| b.is_ascii_hexdigit()))
    })
}

/// True if it could be a MAC address written without separators. A serial number may look the same.
pub(in crate::config) fn is_bare_mac(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_hexdigit()) && text.bytes().any(|b| b.is_ascii_alphabetic())
}

/// A version as `SemVer` 2.0.0 wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Version(pub(in crate::config) String);

impl Text for Version {
    const EXPECTED: &'static str = "a version in quotation marks, such as \"2.16.4\"";

    fn read(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numeric = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'))
        };
        let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let (rest, build) = text
            .split_once('+')
            .map_or((text, None), |(rest, build)| (rest, Some(build)));
        let (core, pre) = rest
            .split_once('-')
            .map_or((rest, None), |(core, pre)| (core, Some(pre)));
        // SemVer §2, §9 and §10. A numeric pre-release identifier has no leading zero either.
        let good = text.len() <= 64
            && core.split('.').count() == 3
            && core.split('.').all(|part| numeric(part) && part.len() <= 9)
            && pre.is_none_or(|pre| {
                pre.split('.')
                    .all(|part| word(part) && (numeric(part) || !part.bytes().all(|b| b.is_ascii_digit())))
            })
            && build.is_none_or(|build| build.split('.').all(word));
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "{text:?} is not a SemVer version, which the server compares with the device model's minimum; write three numbers without leading zeros, such as \"2.16.4\" or \"2.17.0-rc.1\""
            ))
        }
    }
}

// `[device] client-id-from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum ClientIdFrom {
    MachineId,
    DevicetreeSerial,
    File(PathBuf),
}

impl ClientIdFrom {
    pub(in crate::config) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::MachineId | Self::DevicetreeSerial => None,
        }
    }
}

impl Text for ClientIdFrom {
    const EXPECTED: &'static str = "\"machine-id\", \"devicetree-serial\" or \"file:PATH\"";

    fn read(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("file:")) {
            ("machine-id", _) => Ok(Self::MachineId),
            ("devicetree-serial", _) => Ok(Self::DevicetreeSerial),
            (_, Some(path)) => Ok(Self::File(AbsolutePath::read(path)?.0)),
            _ => Err(format!("{text:?} is not known; it must be {}", Self::EXPECTED)),
        }
    }
}

// `[device] firmware-version-from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum VersionFrom {
    OsRelease,
    File(PathBuf),
}

impl VersionFrom {
    pub(in crate::config) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::OsRelease => None,
        }
    }
}

impl Text for VersionFrom {
    const EXPECTED: &'static str = "\"os-release\" or \"file:PATH\"";

    fn read(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("file:")) {
            ("os-release", _) => Ok(Self::OsRelease),
            (_, Some(path)) => Ok(Self::File(AbsolutePath::read(path)?.0)),
            _ => Err(format!("{text:?} is not known; it must be {}", Self::EXPECTED)),
        }
    }
}
