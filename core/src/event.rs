//! Everything that can happen to the core.

use std::time::Duration;

use super::device::DeviceStatus;
use super::error_code::ErrorCode;
use super::op::{CallId, OpId};
use super::policy::Policy;
use super::time::WallTime;
use super::token::{
    AccessToken, AuthorizationCode, CodeVerifier, DeviceCode, Generation, RefreshToken, StateParameter, UserCode,
};

/// One input. The driver hands in one at a time and carries out all effects before the next (D1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client asks. Answered by exactly one [`Effect::Reply`](super::effect::Effect::Reply) (I6).
    Call(CallId, Command),
    /// A request ended (D3: exactly one per request, unless cancelled).
    Answered {
        /// Which request.
        op: OpId,
        /// The `Date` of the answer, if one came over verified TLS.
        date: Option<WallTime>,
        /// How it ended.
        answer: Answer,
    },
    /// A store ended (D2: in the order they were asked for).
    Stored {
        /// Which store.
        op: OpId,
        /// `false`: nothing of it can be relied on.
        ok: bool,
    },
    /// The deadline came.
    Tick,
    /// The system clock was stepped, or its trust changed.
    ClockStepped,
    /// A route appeared: the network may be back.
    NetworkUp,
    /// A reload brought another policy.
    PolicyChanged(Policy),
    /// The daemon is to end: start nothing new, finish what must not be cut (I9), then
    /// [`Effect::Drained`](super::effect::Effect::Drained).
    Shutdown,
}

/// Whoever fetches and rejects tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// Its user: the right to reject a token, and the limits.
    pub uid: u32,
    /// Its connection: who rejected a token is held, and nobody else. Grows from connection to
    /// connection, and no number is used again in the life of the process.
    pub connection: u64,
}

/// The methods that a client can call. Authorization is done before; `caller` is the uid, for
/// limits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// `StartPairing`.
    StartPairing {
        /// The caller.
        caller: u32,
        /// How.
        options: PairingOptions,
    },
    /// `GetPairingCode`, and the code behind `GetQrCode`.
    GetPairingCode,
    /// `CancelPairing`.
    CancelPairing,
    /// `CompletePairing`, or a browser at the loopback listener: what the authorization endpoint
    /// sent back.
    CompletePairing(Redirect),
    /// `Unpair`.
    Unpair,
    /// `GetAccessToken`.
    GetAccessToken {
        /// The caller.
        client: Client,
        /// How long the token shall live at least; `None` is the configured default.
        min_validity: Option<Duration>,
    },
    /// `RejectAccessToken`.
    RejectAccessToken {
        /// The caller.
        client: Client,
        /// The newest connection on the bus: what is beyond it came after the rejection. 0 where
        /// that is not known.
        newest: u64,
        /// The generation that the API refused.
        generation: Generation,
    },
}

/// The answer in a redirect whose address and issuer were found to be right (RFC 6749 §4.1.2, RFC
/// 9207).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Redirect {
    /// Tells whether it answers the request on show, or is somebody's forgery (RFC 6749 §10.12).
    pub state: StateParameter,
    /// The outcome that it reports.
    pub outcome: RedirectOutcome,
}

/// RFC 6749 §4.1.2 and §4.1.2.1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RedirectOutcome {
    /// The user approved.
    Code(AuthorizationCode),
    /// `access_denied`.
    Denied,
    /// `unauthorized_client` and its kin: a configuration fault.
    ClientRejected(OAuthErrorCode),
    /// `server_error`, `temporarily_unavailable`, or an error of no known name.
    Failed,
}

/// Options of `StartPairing`; the core clamps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PairingOptions {
    /// A code that runs out is replaced.
    pub renew: bool,
    /// Pair again although paired.
    pub replace: bool,
    /// End of the flow; `None` is the configured default.
    pub give_up_after: Option<Duration>,
    /// How long this call may take; `None` is 20 s.
    pub timeout: Option<Duration>,
}

/// How a request ended. The variant always matches the request's kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// To `Request::DeviceCode`.
    Code(CodeAnswer),
    /// To `Request::Poll`.
    Poll(PollAnswer),
    /// To `Request::Authorize`.
    Authorize(AuthorizeAnswer),
    /// To `Request::Exchange`.
    Exchange(ExchangeAnswer),
    /// To `Request::Prepare`.
    Prepare(PrepareAnswer),
    /// To `Request::Refresh`.
    Refresh(RefreshAnswer),
    /// To `Request::Revoke`.
    Revoke(RevokeAnswer),
    /// To `Request::Probe` and `Request::Heartbeat`.
    Probe(ProbeAnswer),
}

impl Answer {
    /// Why the request ended without a verdict, if it did; a connection that is ready although
    /// the server is busy included.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        match self {
            Self::Code(CodeAnswer::Failed(fault))
            | Self::Poll(PollAnswer::Failed(fault))
            | Self::Authorize(AuthorizeAnswer::Failed(fault))
            | Self::Exchange(ExchangeAnswer::Failed(fault))
            | Self::Prepare(PrepareAnswer::Failed(fault) | PrepareAnswer::Busy(fault))
            | Self::Refresh(RefreshAnswer::Refused(fault) | RefreshAnswer::Failed(fault))
            | Self::Revoke(RevokeAnswer::Failed(fault))
            | Self::Probe(ProbeAnswer::Failed(fault)) => Some(*fault),
            Self::Code(_)
            | Self::Poll(_)
            | Self::Authorize(_)
            | Self::Exchange(_)
            | Self::Prepare(_)
            | Self::Refresh(_)
            | Self::Revoke(_)
            | Self::Probe(_) => None,
        }
    }
}

/// RFC 8628 §3.2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CodeAnswer {
    /// A code to show.
    Granted(CodeGrant),
    /// `invalid_client` and its kin: a configuration fault.
    ClientRejected(OAuthErrorCode),
    /// An answer whose `user_code` is not what the server promises: not to be shown.
    BadUserCode,
    /// No verdict.
    Failed(Fault),
}

/// RFC 8628 §3.2, with numbers already clamped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CodeGrant {
    /// For polling.
    pub device_code: DeviceCode,
    /// Where the request had a challenge (RFC 7636 §4.3).
    pub verifier: Option<CodeVerifier>,
    /// For typing.
    pub user_code: UserCode,
    /// Where to type it.
    pub verification_uri: String,
    /// With the code inside.
    pub verification_uri_complete: Option<UserCode>,
    /// Frame.io's `name`; empty if absent.
    pub device_name: String,
    /// 1–1800 s.
    pub expires_in: Duration,
    /// 1–60 s; 5 s where the server says nothing (§3.2).
    pub interval: Duration,
}

/// RFC 8628 §3.5.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PollAnswer {
    /// The user approved.
    Granted(TokenGrant),
    /// `authorization_pending`.
    Pending,
    /// `slow_down`, the wait the server asked for beside it (`Retry-After`, `x-ratelimit-*`),
    /// capped at a day, and the interval that it told from now on.
    SlowDown(Option<Duration>, Option<Duration>),
    /// `expired_token`.
    Expired,
    /// `access_denied`, `authorization_declined`.
    Denied,
    /// `invalid_grant`, a request that the server calls malformed, or an error of no known meaning:
    /// this code leads nowhere. With the error, where it can be named.
    CodeUnknown(Option<ErrorCode>),
    /// `invalid_client` and its kin.
    ClientRejected(OAuthErrorCode),
    /// No verdict.
    Failed(Fault),
}

/// Answer to whether a browser can be sent to the authorization endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AuthorizeAnswer {
    /// The listener, if there is one, is kept under the request's [`OpId`] until that is cancelled.
    Ready(Authorization),
    /// No address for the listener, or endpoints that are not known and could not be asked for.
    Failed(Fault),
}

/// One authorization request (RFC 6749 §4.1.1 with RFC 7636), not yet answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authorization {
    /// Freshly drawn; the answer has to carry it.
    pub state: StateParameter,
    /// Freshly drawn; proves at the token endpoint that the code was meant for us.
    pub verifier: CodeVerifier,
    /// Where the browser goes. Whoever has it can bind the device to an account of their own, as
    /// with a user code.
    pub authorization_uri: UserCode,
    /// Where the browser comes back to; the token endpoint wants to see it again (RFC 6749 §4.1.3).
    pub redirect_uri: String,
}

/// RFC 6749 §5, to an authorization code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ExchangeAnswer {
    /// The code bought a pair.
    Granted(TokenGrant),
    /// `invalid_grant`, or another refusal in the protocol's words: this code buys nothing. With
    /// the error, where it can be named.
    InvalidGrant(OAuthErrorCode, Option<ErrorCode>),
    /// `invalid_client` and its kin.
    ClientRejected(OAuthErrorCode),
    /// No verdict.
    Failed(Fault),
}

/// RFC 6749 §5.1, with numbers already clamped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenGrant {
    /// The bearer token, or why no use can be made of what came.
    pub access: Result<AccessToken, Unusable>,
    /// The next refresh token, if one came; or why no use can be made of it. Then the one before it
    /// is spent all the same.
    pub refresh: Result<Option<RefreshToken>, Unusable>,
    /// 1 s – 90 days; the provider's default where the server says nothing usable.
    pub expires_in: Duration,
}

/// Which token of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// The bearer token.
    Access,
    /// The one that renews it.
    Refresh,
}

/// Why no use can be made of a token whose answer is good otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unusable {
    /// There is none, or no text.
    Absent,
    /// It has so many bytes, and [`TOKEN_MAX`](super::token::TOKEN_MAX) are taken.
    TooLong(usize),
    /// It holds what no header can carry (RFC 6749 appendix A.12 with RFC 6750 §2.1).
    Characters,
    /// It is of another kind than Bearer (RFC 6749 §7.1: a client must not use a kind that it does
    /// not know).
    TokenType,
}

/// Answer to whether a connection stands ready for the refresh POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrepareAnswer {
    /// Up and proven alive; kept under the request's [`OpId`] until it is used or cancelled.
    Ready,
    /// Up and alive (kept as for `Ready`), but the server answered 429 or 5xx.
    Busy(Fault),
    /// No connection. The fault's kind says that nothing was sent or that it does not matter.
    Failed(Fault),
}

/// RFC 6749 §5 and §6, as the provider reads them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RefreshAnswer {
    /// A new pair; the old one is dead.
    Granted(TokenGrant),
    /// A final answer by which this refresh token is worth nothing.
    InvalidGrant,
    /// `invalid_client` and its kin: a configuration fault; the token is untouched.
    ClientRejected(OAuthErrorCode),
    /// The server's own refusal, in an OAuth error by which nothing ends.
    Refused(Fault),
    /// No verdict; see [`FaultKind`] for whether it is ambiguous.
    Failed(Fault),
}

/// A server's reason to refuse a request of ours: the error codes of RFC 6749 §4.1.2.1 and §5.2
/// that a person has to cure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OAuthErrorCode {
    /// `invalid_client`: the client is not known, or did not prove that it is the one.
    Client,
    /// `unauthorized_client`: it may not use this grant.
    Unauthorized,
    /// `invalid_scope`.
    Scope,
    /// `invalid_request`: something is missing, or is not what was registered.
    Request,
    /// `unsupported_grant_type`.
    GrantType,
    /// `unsupported_response_type`.
    ResponseType,
    /// `invalid_grant`.
    Grant,
    /// A word that neither RFC has.
    Other,
}

/// RFC 7009 §2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevokeAnswer {
    /// Done, or the server has nothing left to revoke.
    Done,
    /// The server will never take this request.
    Refused,
    /// No verdict: try again.
    Failed(Fault),
}

/// A resource's answer about an access token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProbeAnswer {
    /// 2xx: the token lives. What the server says of the device where the answer held it.
    Accepted(Option<DeviceStatus>),
    /// 401: the token is refused.
    Rejected,
    /// Neither.
    Failed(Fault),
}

/// A request that ended without a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// The kind of fault.
    pub kind: FaultKind,
    /// The wait the server asked for (`Retry-After`, `x-ratelimit-*`), capped at a day.
    pub retry_after: Option<Duration>,
}

/// The reason that kept a request from a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// Name, route, connection or handshake failed before the first byte of the request.
    Offline,
    /// A certificate's dates do not fit a clock that cannot be trusted. Nothing was sent.
    ClockNotSet,
    /// The certificate is not to be trusted. Nothing was sent.
    Untrusted,
    /// Sent (at least in part), and no complete answer came: cut or out of time.
    Lost,
    /// A complete answer that leaves open whether the request was carried out: 500, 502, 504, or a
    /// 2xx that is none.
    Garbled,
    /// A complete answer that says the request was not carried out, for whatever reason: 429.
    RateLimited,
    /// A complete answer that is no verdict and carried nothing out: 3xx, other 4xx, 503.
    Refused,
    /// Nothing was sent, because of something that is to be mended here.
    Local(LocalFault),
}

/// An obstacle on this device: its system, or a configuration that does not fit its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LocalFault {
    /// Somebody else has the port of the redirect URI.
    PortTaken,
    /// The redirect URI's address cannot be listened on.
    NoListener,
    /// The system gives no random bytes.
    NoEntropy,
    /// The server's description of itself names another issuer.
    AnotherIssuer,
    /// The server's description of itself lacks an address that the configured kind needs.
    NoEndpoint,
    /// The server does not know the PKCE method S256.
    NoS256,
}

impl FaultKind {
    /// True if the request may have been carried out.
    #[must_use]
    pub const fn ambiguous(self) -> bool {
        match self {
            Self::Lost | Self::Garbled => true,
            Self::Offline
            | Self::ClockNotSet
            | Self::Untrusted
            | Self::RateLimited
            | Self::Refused
            | Self::Local(_) => false,
        }
    }

    /// True if not one byte of the request was sent.
    #[must_use]
    pub const fn unsent(self) -> bool {
        match self {
            Self::Offline | Self::ClockNotSet | Self::Untrusted | Self::Local(_) => true,
            Self::Lost | Self::Garbled | Self::RateLimited | Self::Refused => false,
        }
    }
}
