//! What is said to an authorization server and what its answers mean: pure functions, no IO.
//!
//! Owns: the requests of each kind of provider, the reading of every byte a server sends, and the verdicts drawn from it.
//! Must never: open a connection, read a clock, draw a random number, let a server's string through uncleaned.
//!
//! Invariants:
//! - A terminal verdict ([`RefreshAnswer::Dead`](crate::core::RefreshAnswer)) needs a parsed protocol error of an exact
//!   shape and status at the token endpoint (I9). HTML, redirects, 429, 5xx and everything unreadable are faults.
//! - Every text that leaves here is capped and free of control, bidi and zero-width characters; every number is clamped.
//! - Nothing a server can send makes a function here panic.
//!
//! A provider is data and functions: a further kind is a file beside `frameio_c2c.rs`, built from the shared parts
//! (`form`, `grant`, `json`, `text`), and one more variant of [`Provider`]. The matches below then name what is missing.

mod date;
mod form;
mod frameio_c2c;
mod grant;
mod json;
mod message;
#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

pub use form::Encoding;
pub use frameio_c2c::{FrameioC2c, Settings, SettingsError};
pub use message::{BaseUri, HttpRequest, HttpResponse, Origin, UriError};

use crate::core::{
    Answer, AuthorizeAnswer, CodeAnswer, ExchangeAnswer, Fault, PollAnswer, PrepareAnswer, RefreshAnswer, RefreshToken,
    Request, ResourceAnswer, RevokeAnswer,
};

/// The kind of server the device is paired with.
#[derive(Clone, Debug)]
pub enum Provider {
    /// Frame.io Camera to Cloud: RFC 8628 with habits of its own.
    FrameioC2c(FrameioC2c),
}

/// Which request an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// [`Request::DeviceCode`].
    DeviceCode,
    /// [`Request::Poll`].
    Poll,
    /// [`Request::Authorize`].
    Authorize,
    /// [`Request::Exchange`].
    Exchange,
    /// [`Request::Prepare`].
    Prepare,
    /// [`Request::Refresh`].
    Refresh,
    /// [`Request::Revoke`].
    Revoke,
    /// [`Request::Identify`].
    Identify,
    /// [`Request::Heartbeat`].
    Heartbeat,
}

/// What the core's policy has to know about a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habits {
    /// A resource tells whether an access token lives.
    pub can_probe: bool,
    /// Tokens can be revoked.
    pub can_revoke: bool,
    /// The server expects reports of presence.
    pub can_heartbeat: bool,
    /// Predicted life of a refresh token.
    pub refresh_token_life: Duration,
    /// Life of an access token whose answer does not say.
    pub access_token_life: Duration,
}

impl Provider {
    /// The word for it in the configuration, on the bus and in the record's identity.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::FrameioC2c(_) => "frameio-c2c",
        }
    }

    /// The server, as part of the record's identity: two issuers never share a record.
    #[must_use]
    pub fn issuer(&self) -> String {
        match self {
            Self::FrameioC2c(provider) => provider.base().to_string(),
        }
    }

    /// Where the token endpoint lives: the connection that a refresh is prepared on.
    #[must_use]
    pub const fn token_origin(&self) -> &Origin {
        match self {
            Self::FrameioC2c(provider) => provider.base().origin(),
        }
    }

    /// What the core's policy has to know.
    #[must_use]
    pub const fn habits(&self) -> Habits {
        match self {
            Self::FrameioC2c(_) => FrameioC2c::HABITS,
        }
    }

    /// How long an exchange may take once a connection stands; for [`Kind::Prepare`], with the connecting.
    #[must_use]
    pub const fn limit(&self, kind: Kind) -> Duration {
        match self {
            Self::FrameioC2c(_) => FrameioC2c::limit(kind),
        }
    }

    /// The request on the wire; `None` where this provider has no such request, or a token is not fit for a header.
    ///
    /// `entropy` makes the multipart boundary; it need not be secret.
    #[must_use]
    pub fn request(&self, request: &Request, entropy: [u8; 16]) -> Option<HttpRequest> {
        match self {
            Self::FrameioC2c(provider) => provider.request(request, entropy),
        }
    }

    /// The request of [`Request::Refresh`], whose connection is chosen elsewhere.
    #[must_use]
    pub fn refresh(&self, token: &RefreshToken, entropy: [u8; 16]) -> Option<HttpRequest> {
        match self {
            Self::FrameioC2c(provider) => provider.refresh(token, entropy),
        }
    }

    /// What a complete answer means.
    #[must_use]
    pub fn answer(&self, kind: Kind, response: &HttpResponse) -> Answer {
        match self {
            Self::FrameioC2c(_) => FrameioC2c::answer(kind, response),
        }
    }
}

impl Kind {
    /// The kind of a request.
    #[must_use]
    pub const fn of(request: &Request) -> Self {
        match request {
            Request::DeviceCode => Self::DeviceCode,
            Request::Poll(_) => Self::Poll,
            Request::Authorize => Self::Authorize,
            Request::Exchange { .. } => Self::Exchange,
            Request::Prepare => Self::Prepare,
            Request::Refresh { .. } => Self::Refresh,
            Request::Revoke(_) => Self::Revoke,
            Request::Identify(_) => Self::Identify,
            Request::Heartbeat(_) => Self::Heartbeat,
        }
    }

    /// The answer to a request of this kind that came to no verdict.
    #[must_use]
    pub const fn failed(self, fault: Fault) -> Answer {
        match self {
            Self::DeviceCode => Answer::Code(CodeAnswer::Failed(fault)),
            Self::Poll => Answer::Poll(PollAnswer::Failed(fault)),
            Self::Authorize => Answer::Authorize(AuthorizeAnswer::Failed(fault)),
            Self::Exchange => Answer::Exchange(ExchangeAnswer::Failed(fault)),
            Self::Prepare => Answer::Prepare(PrepareAnswer::Failed(fault)),
            Self::Refresh => Answer::Refresh(RefreshAnswer::Failed(fault)),
            Self::Revoke => Answer::Revoke(RevokeAnswer::Failed(fault)),
            Self::Identify | Self::Heartbeat => Answer::Resource(ResourceAnswer::Failed(fault)),
        }
    }

    /// Whether another request to the same server follows within seconds, so that the connection is worth keeping: the
    /// next poll after a code or a poll, `devices/me` after a new token.
    #[must_use]
    pub const fn is_followed(self) -> bool {
        match self {
            Self::DeviceCode | Self::Poll | Self::Exchange | Self::Refresh => true,
            Self::Authorize | Self::Prepare | Self::Revoke | Self::Identify | Self::Heartbeat => false,
        }
    }
}
