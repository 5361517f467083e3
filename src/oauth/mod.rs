//! The requests to an authorization server and the meaning of its answers: pure functions, no IO.
//!
//! Owns: the requests of each kind of provider, the reading of every byte a server sends, and the
//! verdicts drawn from it. Must never: open a connection, read a clock, draw a random number, let a
//! server's string through uncleaned.
//!
//! Invariants:
//! - A final answer ([`RefreshAnswer::InvalidGrant`](c2c_auth_core::RefreshAnswer)) needs a parsed
//!   protocol error of an exact shape and status at the token endpoint (I9). HTML, redirects, 429,
//!   5xx and everything unreadable are faults.
//! - Every text that leaves here is capped and free of control, bidi and zero-width characters.
//!   Every number is clamped.
//! - Nothing a server can send makes a function here panic.
//! - A pairing that lives needs the token endpoint and nothing else of what a server tells of
//!   itself.
//!
//! A provider is data and functions: a further kind is a file beside `frameio_c2c.rs`, built from
//! the shared parts (`form`, `grant`, `json`, `text`), and one more variant of [`Provider`]. The
//! matches below then name what is missing.

mod basic;
mod date;
mod defect;
mod endpoints;
mod form;
mod frameio_c2c;
mod grant;
mod json;
mod message;
mod metadata;
mod oauth_code;
mod oauth_device;
pub(crate) mod pkce;
mod redirect;
mod standard;
#[cfg(test)]
mod tests;
mod text;
mod uri;

use std::time::Duration;

pub(crate) use defect::{Defect, Dropped, ProxyFault, carried};
pub(crate) use form::Encoding;
pub(crate) use frameio_c2c::{FrameioC2c, Settings, SettingsError};
pub(crate) use message::{HttpRequest, HttpResponse};
pub(crate) use metadata::MetadataError;
pub(crate) use oauth_code::OauthCode;
pub(crate) use oauth_device::OauthDevice;
pub(crate) use redirect::{REDIRECT_MAX, RedirectError};
pub(crate) use standard::{At, ClientAuth, Endpoints, Parameter, Pkce, Quirks, ServerSettings, ends_nothing};
pub(crate) use text::is_free_of;
pub(crate) use uri::{BaseUri, Endpoint, Issuer, Origin, Proxy, ProxyAddress, RedirectUri, UriError, is_path};

use c2c_auth_core::{
    Answer, AuthorizeAnswer, CodeAnswer, CodeVerifier, ErrorCode, ExchangeAnswer, Fault, FaultKind, PollAnswer,
    PrepareAnswer, ProbeAnswer, Redirect, RefreshAnswer, RefreshToken, Request, RevokeAnswer, Secret,
};

const FRAMEIO_C2C: &str = "frameio-c2c";
const OAUTH_DEVICE: &str = "oauth-device";
const OAUTH_CODE: &str = "oauth-code";

/// The server's own limit is 30 s, after which it answers 500: waiting a little longer turns "lost"
/// into an answer.
pub(crate) const TOKEN_LIMIT: Duration = Duration::from_secs(35);

/// Requests that can be repeated at no risk.
const ORDINARY_LIMIT: Duration = Duration::from_secs(15);

/// Half of what a caller waits in all, so that the POST has the other half.
const PREPARE_LIMIT: Duration = Duration::from_secs(10);

/// The configuration of the server, for each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProviderSettings {
    /// Frame.io Camera to Cloud.
    FrameioC2c(Settings),
    /// Any server with RFC 8628.
    OauthDevice(ServerSettings),
    /// Any server with the code grant of RFC 6749, and where the browser comes back to.
    OauthCode(ServerSettings, RedirectUri),
}

impl ProviderSettings {
    // As [`Provider::name`].
    #[must_use]
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::FrameioC2c(_) => FRAMEIO_C2C,
            Self::OauthDevice(_) => OAUTH_DEVICE,
            Self::OauthCode(..) => OAUTH_CODE,
        }
    }
}

/// The kind of server the device is paired with.
#[derive(Clone, Debug)]
pub(crate) enum Provider {
    /// Frame.io Camera to Cloud: RFC 8628 with quirks of its own.
    FrameioC2c(FrameioC2c),
    /// Any server with RFC 8628.
    OauthDevice(OauthDevice),
    /// Any server with the code grant of RFC 6749.
    OauthCode(OauthCode),
}

/// Which request an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    // [`Request::DeviceCode`].
    DeviceCode,
    // [`Request::Poll`].
    Poll,
    // [`Request::Prepare`].
    Prepare,
    // [`Request::Refresh`].
    Refresh,
    // [`Request::Revoke`].
    Revoke,
    // [`Request::Probe`].
    Probe,
    // [`Request::Heartbeat`].
    Heartbeat,
    // [`Request::Authorize`].
    Authorize,
    // [`Request::Exchange`].
    Exchange,
}

impl Kind {
    /// How long an exchange may take once a connection stands. For [`Self::Prepare`] the connecting
    /// is included.
    #[must_use]
    pub(crate) const fn limit(self) -> Duration {
        match self {
            Self::Poll | Self::Refresh | Self::Exchange => TOKEN_LIMIT,
            Self::Prepare => PREPARE_LIMIT,
            Self::DeviceCode | Self::Revoke | Self::Probe | Self::Heartbeat | Self::Authorize => ORDINARY_LIMIT,
        }
    }
}

impl Provider {
    /// The word for it in the configuration, on the bus and in the record's identity.
    #[must_use]
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::FrameioC2c(_) => FRAMEIO_C2C,
            Self::OauthDevice(_) => OAUTH_DEVICE,
            Self::OauthCode(_) => OAUTH_CODE,
        }
    }

    /// The server, as part of the record's identity: two servers never share a record.
    #[must_use]
    pub(crate) fn issuer(&self) -> String {
        match self {
            Self::FrameioC2c(provider) => provider.base().to_string(),
            Self::OauthDevice(OauthDevice(server)) | Self::OauthCode(OauthCode { server, .. }) => {
                server.identity.clone()
            }
        }
    }

    /// The request on the wire. `None` where this provider has no such request, or a token is not
    /// fit for a header.
    ///
    /// `entropy` makes the multipart boundary. It need not be secret.
    #[must_use]
    pub(crate) fn request(&self, request: &Request, entropy: [u8; 16]) -> Option<HttpRequest> {
        let server = match self {
            Self::FrameioC2c(provider) => return provider.request(request, entropy),
            Self::OauthDevice(OauthDevice(server)) | Self::OauthCode(OauthCode { server, .. }) => server,
        };
        match (self, request) {
            (Self::OauthDevice(provider), Request::DeviceCode) => provider.device_code(None),
            (Self::OauthDevice(provider), Request::Poll(code, verifier)) => provider.poll(code, verifier.as_ref()),
            (
                Self::OauthCode(provider),
                Request::Exchange {
                    code,
                    verifier,
                    redirect_uri,
                    state,
                },
            ) => provider.exchange(code, verifier, redirect_uri, state),
            (_, Request::Refresh { token, .. }) => server.refresh(token),
            (_, Request::Revoke(token)) => server.revoke(token),
            // Nothing cheap can be asked of every server, there is no resource, and a browser asks
            // for the authorization.
            (
                _,
                Request::DeviceCode
                | Request::Poll(..)
                | Request::Prepare
                | Request::Probe(_)
                | Request::Heartbeat(_)
                | Request::Authorize
                | Request::Exchange { .. },
            ) => None,
        }
    }

    /// The request of [`Request::DeviceCode`] with the challenge of this verifier.
    #[must_use]
    pub(crate) fn proven_device_code(&self, verifier: &CodeVerifier) -> Option<HttpRequest> {
        match self {
            Self::OauthDevice(provider) => provider.device_code(Some(verifier)),
            Self::FrameioC2c(_) | Self::OauthCode(_) => None,
        }
    }

    /// The request of [`Request::Refresh`], whose connection is chosen elsewhere.
    #[must_use]
    pub(crate) fn refresh(&self, token: &RefreshToken, entropy: [u8; 16]) -> Option<HttpRequest> {
        match self {
            Self::FrameioC2c(provider) => provider.refresh(token, entropy),
            Self::OauthDevice(OauthDevice(server)) | Self::OauthCode(OauthCode { server, .. }) => server.refresh(token),
        }
    }

    /// The meaning of a complete answer.
    #[must_use]
    pub(crate) fn answer(&self, kind: Kind, response: &HttpResponse) -> Answer {
        // A server that repeats what it was sent must not get the client secret into the journal.
        let named = |word: Option<ErrorCode>| match self.client_secret() {
            Some(secret) => word.and_then(|word| word.unless_it_repeats(secret)),
            None => word,
        };
        match self.read(kind, response) {
            Answer::Poll(PollAnswer::CodeUnknown(word)) => Answer::Poll(PollAnswer::CodeUnknown(named(word))),
            Answer::Exchange(ExchangeAnswer::InvalidGrant(oauth_error_code, word)) => {
                Answer::Exchange(ExchangeAnswer::InvalidGrant(oauth_error_code, named(word)))
            }
            answer => answer,
        }
    }

    /// True if an answer to a `Prepare` does not look like this server's. The daemon takes any for
    /// a proof of the connection. A person wants to know.
    #[must_use]
    pub(crate) fn is_foreign(&self, kind: Kind, response: &HttpResponse) -> bool {
        match self {
            Self::FrameioC2c(_) => kind == Kind::Prepare && frameio_c2c::is_foreign(response),
            // Nothing is sent there.
            Self::OauthDevice(_) | Self::OauthCode(_) => false,
        }
    }

    /// Why an answer of this kind came to no verdict. `carried`: the secrets of its request.
    #[must_use]
    pub(crate) fn dropped(&self, kind: Kind, response: &HttpResponse, carried: &[&Secret]) -> Dropped {
        let mut secrets = carried.to_vec();
        secrets.extend(self.client_secret());
        Dropped::of(kind, response, &secrets, |object| match kind {
            Kind::DeviceCode => grant::code_defect(object, self.codes()),
            Kind::Poll | Kind::Exchange | Kind::Refresh => grant::defect(object),
            Kind::Prepare | Kind::Revoke | Kind::Probe | Kind::Heartbeat | Kind::Authorize => None,
        })
    }

    /// A standard server's own explanation of its refusal (RFC 6749 §5.2 `error_description`), fit
    /// for the journal. `carried`: the secrets of its request.
    #[must_use]
    pub(crate) fn explanation(&self, response: &HttpResponse, carried: &[&Secret]) -> Option<String> {
        let (Self::OauthDevice(OauthDevice(server)) | Self::OauthCode(OauthCode { server, .. })) = self else {
            return None;
        };
        let own = server.settings.secrets_on_the_wire();
        let secrets: Vec<_> = carried.iter().copied().chain(&own).collect();
        text::sentence(&response.description()?, &secrets)
    }

    const fn codes(&self) -> &'static grant::CodeRules {
        match self {
            Self::FrameioC2c(_) => &frameio_c2c::CODES,
            Self::OauthDevice(_) | Self::OauthCode(_) => &oauth_device::CODES,
        }
    }

    /// True if another request to the same server follows this answer within seconds, so that the
    /// connection is worth keeping. It is the next poll, or `devices/me` after a new token.
    #[must_use]
    pub(crate) const fn is_followed(&self, answer: &Answer) -> bool {
        let has_resource = matches!(self, Self::FrameioC2c(_));
        match answer {
            Answer::Code(CodeAnswer::Granted(_) | CodeAnswer::BadUserCode | CodeAnswer::Failed(_))
            | Answer::Poll(
                PollAnswer::Pending
                | PollAnswer::SlowDown(..)
                | PollAnswer::Expired
                | PollAnswer::CodeUnknown(_)
                | PollAnswer::Failed(_),
            )
            | Answer::Exchange(ExchangeAnswer::Failed(_)) => true,
            Answer::Poll(PollAnswer::Granted(_))
            | Answer::Exchange(ExchangeAnswer::Granted(_))
            | Answer::Refresh(RefreshAnswer::Granted(_)) => has_resource,
            Answer::Code(CodeAnswer::ClientRejected(_))
            | Answer::Poll(PollAnswer::Denied | PollAnswer::ClientRejected(_))
            | Answer::Exchange(ExchangeAnswer::InvalidGrant(..) | ExchangeAnswer::ClientRejected(_))
            | Answer::Refresh(
                RefreshAnswer::InvalidGrant
                | RefreshAnswer::ClientRejected(_)
                | RefreshAnswer::Refused(_)
                | RefreshAnswer::Failed(_),
            )
            | Answer::Authorize(_)
            | Answer::Prepare(_)
            | Answer::Revoke(_)
            | Answer::Probe(_) => false,
        }
    }

    const fn client_secret(&self) -> Option<&Secret> {
        match self {
            Self::FrameioC2c(provider) => provider.client_secret(),
            Self::OauthDevice(OauthDevice(server)) | Self::OauthCode(OauthCode { server, .. }) => {
                server.settings.client_secret.as_ref()
            }
        }
    }

    fn read(&self, kind: Kind, response: &HttpResponse) -> Answer {
        let server = match self {
            Self::FrameioC2c(_) => return FrameioC2c::answer(kind, response),
            Self::OauthDevice(OauthDevice(server)) | Self::OauthCode(OauthCode { server, .. }) => server,
        };
        match kind {
            Kind::DeviceCode => Answer::Code(OauthDevice::coded(response)),
            Kind::Poll => Answer::Poll(OauthDevice::polled(response)),
            Kind::Exchange => Answer::Exchange(OauthCode::exchanged(response)),
            Kind::Refresh => Answer::Refresh(server.refreshed(response)),
            Kind::Revoke => Answer::Revoke(standard::revoked(response)),
            // Never asked of these servers.
            Kind::Prepare | Kind::Probe | Kind::Heartbeat | Kind::Authorize => kind.failed(response.fault()),
        }
    }

    /// The answer in place of one that cannot come, because this server has no such request.
    #[must_use]
    pub(crate) const fn unsendable(&self, kind: Kind) -> Answer {
        match (self, kind) {
            // RFC 7009 is optional: a server without the endpoint will never take it.
            (Self::OauthDevice(_) | Self::OauthCode(_), Kind::Revoke) => Answer::Revoke(RevokeAnswer::Refused),
            // A refusal would count as a send.
            (_, Kind::Refresh) => kind.failed(Fault {
                kind: FaultKind::Offline,
                retry_after: None,
            }),
            _ => kind.failed(Fault {
                kind: FaultKind::Refused,
                retry_after: None,
            }),
        }
    }

    /// Reads the address that the browser was sent to at the end of the code grant. `None` where
    /// there is no such grant.
    #[must_use]
    pub(crate) fn redirected(&self, address: &str) -> Option<Result<Redirect, RedirectError>> {
        match self {
            Self::FrameioC2c(_) | Self::OauthDevice(_) => None,
            Self::OauthCode(provider) => Some(provider.redirected(address)),
        }
    }
}

impl Kind {
    /// The kind of a request.
    #[must_use]
    pub(crate) const fn of(request: &Request) -> Self {
        match request {
            Request::DeviceCode => Self::DeviceCode,
            Request::Poll(..) => Self::Poll,
            Request::Prepare => Self::Prepare,
            Request::Refresh { .. } => Self::Refresh,
            Request::Revoke(_) => Self::Revoke,
            Request::Probe(_) => Self::Probe,
            Request::Heartbeat(_) => Self::Heartbeat,
            Request::Authorize => Self::Authorize,
            Request::Exchange { .. } => Self::Exchange,
        }
    }

    /// The answer to a request of this kind that came to no verdict.
    #[must_use]
    pub(crate) const fn failed(self, fault: Fault) -> Answer {
        match self {
            Self::DeviceCode => Answer::Code(CodeAnswer::Failed(fault)),
            Self::Poll => Answer::Poll(PollAnswer::Failed(fault)),
            Self::Prepare => Answer::Prepare(PrepareAnswer::Failed(fault)),
            Self::Refresh => Answer::Refresh(RefreshAnswer::Failed(fault)),
            Self::Revoke => Answer::Revoke(RevokeAnswer::Failed(fault)),
            Self::Probe | Self::Heartbeat => Answer::Probe(ProbeAnswer::Failed(fault)),
            Self::Authorize => Answer::Authorize(AuthorizeAnswer::Failed(fault)),
            Self::Exchange => Answer::Exchange(ExchangeAnswer::Failed(fault)),
        }
    }
}
