//! The properties of a simulated server: numbers, names, and the answers to questions the public
//! pages leave open.

use std::{fmt, time::Duration};

use crate::random;

/// How a [`Server`](super::Server) behaves. The defaults are Frame.io's.
#[derive(Clone)]
pub struct Options {
    /// The device model's secret, demanded on every call to the auth endpoints. A random canary
    /// unless set.
    pub client_secret: String,
    /// The one before it, while that is taken too.
    pub old_secret: Option<String>,
    /// How long a code lives: 120 s.
    pub code_life: Duration,
    /// How far apart polls must be: 5 s. Written as a double when it is not whole.
    pub interval: Duration,
    /// How long an access token lives: 8 h.
    pub access_life: Duration,
    /// How long one lives that a refresh brings, where that is something else.
    pub refreshed_life: Option<Duration>,
    /// How long a refresh token lives: 14 days.
    pub refresh_life: Duration,
    /// How long after a pairing the user's chosen end is, if they choose one.
    pub authorization_life: Option<Duration>,
    /// How many bytes each token has, where that is more than it would have anyway.
    pub token_length: usize,
    /// Names in the certificate besides `localhost` and 127.0.0.1, for devices that reach the
    /// server over a network.
    pub names: Vec<String>,
    /// The page to type codes at, without a slash at its end. The complete one is this, a slash,
    /// and the code.
    pub verification_uri: String,
    /// Device names are this, a dash, and the client id.
    pub model: String,
    /// The project that approved devices join unless told otherwise.
    pub project: String,
    /// Pairing a unit again ends the tokens of its earlier pairing. Not documented. True here.
    pub replacing_ends_old: bool,
    /// Revoking one token of a pair ends both. Not documented. True here.
    pub revoking_ends_both: bool,
    /// The reuse of a rotated refresh token ends the living pair (RFC 9700 §4.14.2). Not
    /// documented. False here.
    pub reuse_ends_family: bool,
}

impl Options {
    /// A secret for a device model.
    fn secret() -> String {
        format!("canary-client-secret-{}", random::text::<12>())
    }

    /// Replaces the model's secret. The one before it is taken until [`Self::end_old_secret`].
    pub fn replace_secret(&mut self) {
        self.old_secret = Some(std::mem::replace(&mut self.client_secret, Self::secret()));
    }

    pub(super) fn takes_secret(&self, secret: &str) -> bool {
        secret == self.client_secret || self.old_secret.as_deref() == Some(secret)
    }

    /// From now on only the newest secret is taken.
    pub fn end_old_secret(&mut self) {
        self.old_secret = None;
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            client_secret: Self::secret(),
            old_secret: None,
            code_life: Duration::from_secs(120),
            interval: Duration::from_secs(5),
            access_life: Duration::from_secs(28_800),
            refreshed_life: None,
            refresh_life: Duration::from_secs(14 * 24 * 60 * 60),
            authorization_life: None,
            token_length: 0,
            names: Vec::new(),
            verification_uri: "https://next.frame.io/pair".to_owned(),
            model: "Sim-C2C-Camera".to_owned(),
            project: "Testbed".to_owned(),
            replacing_ends_old: true,
            revoking_ends_both: true,
            reuse_ends_family: false,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("code_life", &self.code_life)
            .field("interval", &self.interval)
            .field("access_life", &self.access_life)
            .field("refresh_life", &self.refresh_life)
            .finish_non_exhaustive()
    }
}

/// A limit on requests, in a fixed window that starts with its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many requests a window has room for.
    pub limit: u32,
    /// How long it is, by the server's clock.
    pub window: Duration,
    /// `Retry-After` in seconds, if the server is to send one. Frame.io's pages mention none.
    pub retry_after: Option<u64>,
}
