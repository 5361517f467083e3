//! The content under the seal, as JSON, in the format whose version the header tells.
//!
//! These types mirror the core's and exist so that the core stays free of serde, and so that a
//! change in the core cannot change the disk format by accident: every conversion names every
//! field, and test vectors pin the bytes. Fields are never renamed or given another meaning within
//! a version.

use std::io;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::seal::MAX_BODY;
use c2c_auth_core::{
    AccessToken, BootId, BootTime, CodeVerifier, DeviceCode, Generation, GrantId, RefreshToken, UserCode, WallTime,
};

/// The sealed form of the record. `None` if it is larger than what is read back.
pub(super) fn write_record(record: &c2c_auth_core::Record) -> Option<Zeroizing<Vec<u8>>> {
    write(&Record::of(record))
}

/// The sealed form of the list. `None` if it holds more than [`c2c_auth_core::MAX_REVOCATIONS`] or
/// is too large.
pub(super) fn write_revocations(list: &[c2c_auth_core::PendingRevocation]) -> Option<Zeroizing<Vec<u8>>> {
    if list.len() > c2c_auth_core::MAX_REVOCATIONS {
        return None;
    }
    write(&list.iter().map(PendingRevocation::of).collect::<Vec<_>>())
}

/// The sealed form of the flow. `None` if it is too large.
pub(super) fn write_flow(flow: &c2c_auth_core::FlowRecord) -> Option<Zeroizing<Vec<u8>>> {
    write(&FlowRecord::of(flow))
}

/// `None`: not a body of this version.
pub(super) fn read_record(body: &[u8]) -> Option<c2c_auth_core::Record> {
    read::<Record>(body).map(Mirror::back)
}

/// `None`: not a body of this version.
pub(super) fn read_revocations(body: &[u8]) -> Option<Vec<c2c_auth_core::PendingRevocation>> {
    let list = read::<Vec<PendingRevocation>>(body)?;
    (list.len() <= c2c_auth_core::MAX_REVOCATIONS).then(|| list.back())
}

/// `None`: not a body of this version.
pub(super) fn read_flow(body: &[u8]) -> Option<c2c_auth_core::FlowRecord> {
    read::<FlowRecord>(body).map(Mirror::back)
}

/// Measured first, then written into a buffer of exactly that size: one that grows would leave
/// unwiped copies behind.
fn write(value: &impl Serialize) -> Option<Zeroizing<Vec<u8>>> {
    let mut length = Length(0);
    serde_json::to_writer(&mut length, value).ok()?;
    if length.0 > MAX_BODY {
        return None;
    }
    let mut buffer = Zeroizing::new(vec![0; length.0]);
    serde_json::to_writer(buffer.as_mut_slice(), value).ok()?;
    Some(buffer)
}

/// Counts what is written to it.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// serde's error is dropped on purpose: it quotes what it found, and that may be a token.
fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// A secret text: goes from its wrapper to the buffer and back without a copy that nobody wipes.
/// (serde unescapes through a buffer of its own, but no token that a server issues needs escaping.)
struct Redacted<T>(T);

trait Text {
    fn wrap(text: String) -> Self;
    fn text(&self) -> &str;
}

macro_rules! text {
    ($($name:ident)+) => {$(
        impl Text for $name {
            fn wrap(text: String) -> Self {
                Self::new(text)
            }
            fn text(&self) -> &str {
                self.expose()
            }
        }
    )+};
}

text! { AccessToken RefreshToken DeviceCode CodeVerifier UserCode }

impl<T: Text> Serialize for Redacted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.text())
    }
}

impl<'de, T: Text> Deserialize<'de> for Redacted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(T::wrap(text)))
    }
}

/// A word of the D-Bus contract: never renamed, so fit for the disk.
struct Reason(c2c_auth_core::Reason);

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.word())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        c2c_auth_core::Reason::from_word(&word)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("unknown reason"))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Record {
    generation: u64,
    grant: u64,
    floor: Option<u64>,
    body: Body,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
enum Body {
    Tombstone(Reason),
    Paired(Box<PairingRecord>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PairingRecord {
    pair: TokenPair,
    mark: Option<IntentMark>,
    candidate: Option<TokenPair>,
    device: DeviceInfo,
    // Absent where it is not known, also in records of builds that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paired_since: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authorization_expires: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct TokenPair {
    access: Option<Redacted<AccessToken>>,
    refresh: Option<Redacted<RefreshToken>>,
    #[serde(rename = "lifetime")]
    expires_in: Duration,
    obtained: Stamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Stamp {
    boot: [u8; 16],
    at: u64,
    wall: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct IntentMark {
    boot: [u8; 16],
    at: u64,
    sends: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DeviceInfo {
    name: String,
    project_id: String,
    project_name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PendingRevocation {
    grant: u64,
    token: Revocable,
    ends: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
enum Revocable {
    Refresh(Redacted<RefreshToken>),
    Access(Redacted<AccessToken>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FlowRecord {
    boot: [u8; 16],
    code: Code,
    interval: Duration,
    next_poll: u64,
    give_up: u64,
    renew: bool,
    replace: bool,
    grant: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(clippy::struct_field_names, reason = "the names of RFC 8628 §3.2")]
struct Code {
    id: u64,
    device_code: Redacted<DeviceCode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verifier: Option<Redacted<CodeVerifier>>,
    user_code: Redacted<UserCode>,
    verification_uri: String,
    verification_uri_complete: Option<Redacted<UserCode>>,
    device_name: String,
    ends: u64,
}

/// From a core type and back. `mirror!` takes both sides apart by name, so that a field which the
/// core gains does not compile until it has a place on disk.
trait Mirror<C> {
    fn of(original: &C) -> Self;
    fn back(self) -> C;
}

macro_rules! mirror {
    ($($name:ident { $($field:ident),+ })+) => {$(
        impl Mirror<c2c_auth_core::$name> for $name {
            fn of(c2c_auth_core::$name { $($field),+ }: &c2c_auth_core::$name) -> Self {
                Self { $($field: Mirror::of($field)),+ }
            }
            fn back(self) -> c2c_auth_core::$name {
                let Self { $($field),+ } = self;
                c2c_auth_core::$name { $($field: $field.back()),+ }
            }
        }
    )+};
}

mirror! {
    Record { generation, grant, floor, body }
    PairingRecord { pair, mark, candidate, device, paired_since, authorization_expires }
    TokenPair { access, refresh, expires_in, obtained }
    Stamp { boot, at, wall }
    IntentMark { boot, at, sends }
    DeviceInfo { name, project_id, project_name }
    PendingRevocation { grant, token, ends }
    FlowRecord { boot, code, interval, next_poll, give_up, renew, replace, grant }
    Code { id, device_code, verifier, user_code, verification_uri, verification_uri_complete, device_name, ends }
}

impl Mirror<c2c_auth_core::Body> for Body {
    fn of(original: &c2c_auth_core::Body) -> Self {
        match original {
            c2c_auth_core::Body::Tombstone(reason) => Self::Tombstone(Reason(*reason)),
            c2c_auth_core::Body::Paired(pairing) => Self::Paired(Mirror::of(pairing)),
        }
    }
    fn back(self) -> c2c_auth_core::Body {
        match self {
            Self::Tombstone(reason) => c2c_auth_core::Body::Tombstone(reason.0),
            Self::Paired(pairing) => c2c_auth_core::Body::Paired(pairing.back()),
        }
    }
}

impl Mirror<c2c_auth_core::Revocable> for Revocable {
    fn of(original: &c2c_auth_core::Revocable) -> Self {
        match original {
            c2c_auth_core::Revocable::Refresh(token) => Self::Refresh(Mirror::of(token)),
            c2c_auth_core::Revocable::Access(token) => Self::Access(Mirror::of(token)),
        }
    }
    fn back(self) -> c2c_auth_core::Revocable {
        match self {
            Self::Refresh(token) => c2c_auth_core::Revocable::Refresh(token.back()),
            Self::Access(token) => c2c_auth_core::Revocable::Access(token.back()),
        }
    }
}

impl<C, M: Mirror<C>> Mirror<Option<C>> for Option<M> {
    fn of(original: &Option<C>) -> Self {
        original.as_ref().map(M::of)
    }
    fn back(self) -> Option<C> {
        self.map(M::back)
    }
}

impl<C, M: Mirror<C>> Mirror<Box<C>> for Box<M> {
    fn of(original: &Box<C>) -> Self {
        Self::new(M::of(original))
    }
    fn back(self) -> Box<C> {
        Box::new((*self).back())
    }
}

impl<C, M: Mirror<C>> Mirror<Vec<C>> for Vec<M> {
    fn of(original: &Vec<C>) -> Self {
        original.iter().map(M::of).collect()
    }
    fn back(self) -> Vec<C> {
        self.into_iter().map(M::back).collect()
    }
}

impl<T: Text + Clone> Mirror<T> for Redacted<T> {
    fn of(original: &T) -> Self {
        Self(original.clone())
    }
    fn back(self) -> T {
        self.0
    }
}

macro_rules! plain {
    ($($core:ty as $disk:ty: $of:expr, $back:expr;)+) => {$(
        impl Mirror<$core> for $disk {
            fn of(original: &$core) -> Self {
                $of(original)
            }
            fn back(self) -> $core {
                $back(self)
            }
        }
    )+};
}

plain! {
    Generation as u64: |generation: &Generation| generation.0, Generation;
    GrantId as u64: |grant: &GrantId| grant.0, GrantId;
    WallTime as u64: |at: &WallTime| at.as_secs(), WallTime::from_secs;
    BootTime as u64: |at: &BootTime| at.as_millis(), BootTime::from_millis;
    BootId as [u8; 16]: |boot: &BootId| boot.0, BootId;
    u64 as u64: u64::clone, u64::from;
    u32 as u32: u32::clone, u32::from;
    bool as bool: bool::clone, bool::from;
    Duration as Duration: Duration::clone, Duration::from;
    String as String: String::clone, String::from;
}
