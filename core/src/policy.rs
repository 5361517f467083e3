//! The numbers and choices the core decides by: validated configuration and the habits of the
//! provider.

use std::time::Duration;

/// The server gives up on a request after 30 s; 10 s more for its clock and ours.
pub const SERVER_IS_DONE: Duration = Duration::from_secs(40);

/// Everything the core is told about how to behave. Changes only by
/// [`Event::PolicyChanged`](super::event::Event).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// How a pairing is obtained. Fixed for the life of the process.
    pub grant: GrantKind,
    /// The server keeps one grant for each pairing, so that one that is not wanted is revoked.
    /// Elsewhere a new pairing ends the old one, and to revoke either could take the other along.
    pub separate_grants: bool,
    /// When to refresh.
    pub refresh: RefreshMode,
    /// Share of the access token's life after which the advisory window opens, in percent (1–95).
    pub refresh_at_percent: u8,
    /// The life that a caller gets which names no `min-validity`.
    pub min_validity: Duration,
    /// How long after a send without an answer the same refresh token may be sent again, where the
    /// server takes no used one again. At least [`SERVER_IS_DONE`].
    pub replay_after: Duration,
    /// How long the server takes a used refresh token again.
    pub reuse_window: ReuseWindow,
    /// How long a pairing flow lasts unless its caller says otherwise (60 s – 24 h).
    pub give_up_after: Duration,
    /// How often to report presence, if at all.
    pub heartbeat: Option<Duration>,
    /// Predicted life of a refresh token: drives warnings, never an ending.
    pub refresh_token_life: Duration,
    /// The provider has a resource that tells whether an access token lives.
    pub can_probe: bool,
    /// The provider can revoke (RFC 7009 or its own).
    pub can_revoke: bool,
}

/// How a pairing is obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantKind {
    /// RFC 8628: the user types a code elsewhere, we poll.
    Device,
    /// RFC 6749 §4.1: a browser goes and comes back with a code.
    Code,
}

/// How long a server takes a refresh token again after its first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReuseWindow {
    /// This long. Zero: not at all.
    For(Duration),
    /// For good.
    Any,
}

impl ReuseWindow {
    /// Each refresh token works once.
    pub const NONE: Self = Self::For(Duration::ZERO);
}

/// When to refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefreshMode {
    /// Always hold a fresh token.
    Eager,
    /// When asked, and at half of the refresh token's life.
    OnDemand,
}

/// State of the parts that pairing and refreshing need. Fixed for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provisioning {
    /// All there.
    Ready,
    /// No client id.
    ClientIdMissing,
    /// No client secret, and the provider's kind needs one.
    ClientSecretMissing,
    /// No state key.
    StateKeyMissing,
}
