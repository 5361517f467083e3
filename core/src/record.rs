//! The records that survive: the shapes the store seals and the core reasons about.
//!
//! Three files hold them. [`Record`] is the pairing itself (or its tombstone).
//! [`PendingRevocation`]s are tokens the user gave up that the server has yet to hear about.
//! [`FlowRecord`] is a pairing attempt, kept in the runtime directory so that the code on the
//! screen stays valid across a crash.

use std::time::Duration;

use super::snapshot::{DeviceInfo, Reason};
use super::time::{BootId, BootTime, WallTime};
use super::token::{AccessToken, CodeVerifier, DeviceCode, Generation, GrantId, RefreshToken, UserCode};

/// An access token, its refresh token if there is one, and when they began.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenPair {
    /// The bearer token; `None` where the server's cannot be used, and then there is a refresh
    /// token.
    pub access: Option<AccessToken>,
    /// Absent when the server granted no `offline` scope.
    pub refresh: Option<RefreshToken>,
    /// Life of the access token from [`TokenPair::obtained`], as granted.
    pub expires_in: Duration,
    /// When the request that brought it was sent: earlier than the server's own start, so that
    /// every conclusion errs on the safe side.
    pub obtained: Stamp,
}

/// An instant that can be read in this boot and, where the clock was trusted, in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The boot that `at` belongs to.
    pub boot: BootId,
    /// On that boot's clock.
    pub at: BootTime,
    /// By the trusted wall clock, or the server's verified `Date`.
    pub wall: Option<WallTime>,
}

/// The pairing as it lives on disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// The newest generation ever held; carried through tombstones.
    pub generation: Generation,
    /// The newest grant ever held; carried through tombstones.
    pub grant: GrantId,
    /// The latest time known to be past, from verified `Date`s only.
    pub floor: Option<WallTime>,
    /// Paired or not.
    pub body: Body,
}

impl Record {
    /// True if a start from either finds the same tokens, or none. Marks and names do not count.
    #[must_use]
    pub fn same_tokens(&self, other: &Self) -> bool {
        let same = match (&self.body, &other.body) {
            (Body::Tombstone(one), Body::Tombstone(other)) => one == other,
            (Body::Paired(one), Body::Paired(other)) => one.pair == other.pair && one.candidate == other.candidate,
            (Body::Tombstone(_), Body::Paired(_)) | (Body::Paired(_), Body::Tombstone(_)) => false,
        };
        same && self.grant == other.grant
    }
}

/// Paired or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// No pairing, and why.
    Tombstone(Reason),
    /// A pairing.
    Paired(Box<PairingRecord>),
}

/// The living part of a [`Record`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PairingRecord {
    /// The tokens.
    pub pair: TokenPair,
    /// Present while a refresh was announced and its outcome is not on disk (I3).
    pub mark: Option<IntentMark>,
    /// A second pair that a cancelled replacement brought in, until a probe tells which of the two
    /// lives.
    pub candidate: Option<TokenPair>,
    /// The server's data about this device.
    pub device: DeviceInfo,
    /// When it was granted, where the time was known.
    pub paired_since: Option<WallTime>,
    /// The end that the user chose, by the server's clock.
    pub authorization_expires: Option<WallTime>,
}

impl PairingRecord {
    /// Its pair is of another approval than the one before: what was told of that does not hold.
    pub(super) const fn approved_anew(&mut self) {
        self.paired_since = self.pair.obtained.wall;
        self.authorization_expires = None;
    }
}

/// «A refresh may have been sent»: written before the POST, so that no crash can make an uncertain
/// token look certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IntentMark {
    /// The boot in which it was written.
    pub boot: BootId,
    /// When, on that boot's clock.
    pub at: BootTime,
    /// How many times this refresh token was sent, this one included. At least 1.
    pub sends: u32,
}

/// A token to be revoked, in a sealed file of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PendingRevocation {
    /// The pairing it belonged to. One whose grant is still the live pairing's is never sent.
    pub grant: GrantId,
    /// RFC 7009 takes either kind.
    pub token: Revocable,
    /// The token's predicted end: trying goes on until then.
    pub ends: Option<WallTime>,
}

/// A token that can be revoked (RFC 7009 §2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revocable {
    /// Preferred: takes the access token with it.
    Refresh(RefreshToken),
    /// Where no refresh token was granted.
    Access(AccessToken),
}

/// At most this many pending revocations are kept; the oldest gives way.
pub const MAX_REVOCATIONS: usize = 4;

/// A pairing attempt, in the runtime directory. All instants are of `boot`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FlowRecord {
    /// The boot the instants belong to.
    pub boot: BootId,
    /// The code on show.
    pub code: Code,
    /// Seconds between polls, `slow_down`s included (RFC 8628 §3.5).
    pub interval: Duration,
    /// When the next poll may be sent.
    pub next_poll: BootTime,
    /// When the whole flow ends.
    pub give_up: BootTime,
    /// Replace a code that runs out.
    pub renew: bool,
    /// Pair again although paired.
    pub replace: bool,
    /// The newest grant when the flow began. With a newer one its code is used up.
    pub grant: GrantId,
}

/// A code to show, as the server gave it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Code {
    /// Tells this code from the one before it.
    pub id: u64,
    /// For polling; never shown.
    pub device_code: DeviceCode,
    /// Proves with each poll that the code is ours (RFC 7636 §4.5).
    pub verifier: Option<CodeVerifier>,
    /// For typing.
    pub user_code: UserCode,
    /// Where to type it; carries no code.
    pub verification_uri: String,
    /// For a QR code or link; carries the code.
    pub verification_uri_complete: Option<UserCode>,
    /// The name the user sees when confirming.
    pub device_name: String,
    /// When the code ends.
    pub ends: BootTime,
}

/// The state that the store found at boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The pairing.
    pub record: Loaded,
    /// How well its tokens are kept.
    pub kept: Kept,
    /// Tokens still to be revoked.
    pub revocations: Vec<PendingRevocation>,
    /// A flow that was running; only of this boot, else the store deletes it.
    pub flow: Option<FlowRecord>,
    /// False if the state directory is read-only, or may not be written by this user.
    pub writable: bool,
}

/// How well the tokens of the record in use are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// Both generations in the state directory hold them, or there is no record.
    #[default]
    Twice,
    /// One generation does. The other holds others, is absent or cannot be used.
    Once,
    /// The runtime directory alone does, and the next power-off empties it.
    Spilled,
}

/// The outcomes of loading the record. None of them overwrites anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// No record of any generation.
    Missing,
    /// The newest record.
    Current(Record),
    /// The other is damaged and may have been the newer one: this refresh token may be used up
    /// (never «fine»).
    Previous(Record),
    /// Records exist and none can be read.
    Damaged,
    /// Sealed with a key that is not the one we have, or we have none.
    KeyUnavailable,
    /// Made for another provider, issuer or client.
    Foreign,
}
