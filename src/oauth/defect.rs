//! Why an answer cannot be used, in the same words for the journal, for callers and for `check`.
//!
//! Owns: the words. Must never: hold a text of the server, but for an error code of the form of
//! RFC 6749 §5.2 that repeats nothing of the request.

use std::fmt;

use super::Kind;
use super::json::{Json, Object};
use super::message::HttpResponse;
use c2c_auth_core::{CodeVerifier, ErrorCode, Request, Revocable, Secret, TOKEN_MAX, Unusable};

/// The error codes of the token endpoint (RFC 6749 §4.1.2.1 and §5.2, RFC 8628 §3.5).
const REGISTERED: [&str; 12] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "access_denied",
    "authorization_pending",
    "slow_down",
    "expired_token",
    "server_error",
    "temporarily_unavailable",
];

/// The fault of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// A 3xx.
    Redirect,
    /// A 429.
    TooManyRequests,
    /// The body is longer than so many bytes.
    TooLarge(usize),
    /// The head is longer than so many bytes.
    HeadTooLarge(usize),
    Empty,
    Page,
    NotJson,
    NotHttp,
    /// More 1xx answers than any server sends (RFC 9110 §15.2).
    Interim,
    /// A member that has to be there.
    Missing(&'static str),
    /// An address that no person may be sent to.
    NotHttps(&'static str),
    /// A token or code of so many bytes.
    TooLong(&'static str, usize),
    /// A token or code with characters that no header can carry.
    Characters(&'static str),
    TokenType,
    /// An error in the server's own word.
    Error(ErrorCode),
    /// An error whose word is too long, of other characters, or repeats what was sent.
    UnnamedError,
    /// A refusal without the member `error`.
    NoErrorWord,
    /// RFC 8446 §6.2, by its name there.
    TlsAlert(String),
    /// The way ended at a forward proxy.
    Proxy(ProxyFault),
}

/// Why there is no tunnel through a forward proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProxyFault {
    #[error("proxy: its name has no address")]
    NoAddress,
    #[error("proxy: it takes no connection")]
    Refused,
    #[error("proxy: no answer")]
    Silent,
    #[error("proxy: it closed the connection before it had answered")]
    Closed,
    #[error("proxy: its answer is not HTTP/1.1")]
    NotHttp,
    #[error("proxy: its answer is too long")]
    TooLong,
    #[error("proxy: status 407, it wants a user name and a password")]
    Credentials,
    #[error("proxy: status {0}")]
    Status(u16),
    #[error("proxy: the tunnel stands, and no TLS comes through it")]
    NoTls,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redirect => f.write_str("redirect"),
            Self::TooManyRequests => f.write_str("too many requests"),
            Self::TooLarge(limit) => write!(f, "too large: the body has more than {limit} bytes"),
            Self::HeadTooLarge(limit) => write!(f, "too large: the head has more than {limit} bytes"),
            Self::Empty => f.write_str("no body"),
            Self::Page => f.write_str("not JSON but a web page"),
            Self::NotJson => f.write_str("not JSON"),
            Self::NotHttp => f.write_str("not HTTP"),
            Self::Interim => f.write_str("too many interim answers"),
            Self::Missing(member) => write!(f, "no {member}"),
            Self::NotHttps(member) => write!(f, "{member} is not https"),
            Self::TooLong(member, length) => {
                write!(f, "token too long: {member} has {length} bytes, {TOKEN_MAX} are taken")
            }
            Self::Characters(member) => write!(f, "{member} holds characters that no token may hold"),
            Self::TokenType => f.write_str("token_type is not Bearer"),
            Self::Error(code) => write!(f, "error \"{}\"", code.as_str()),
            Self::UnnamedError => f.write_str("unknown error word"),
            Self::NoErrorWord => f.write_str("no error word"),
            Self::TlsAlert(name) => write!(f, "TLS alert {name}"),
            Self::Proxy(fault) => fault.fmt(f),
        }
    }
}

impl Defect {
    /// The fault of a token or code, by the name of its member.
    pub(super) const fn of_token(member: &'static str, why: Unusable) -> Self {
        match why {
            Unusable::Absent => Self::Missing(member),
            Unusable::TooLong(length) => Self::TooLong(member, length),
            Unusable::Characters => Self::Characters(member),
            Unusable::TokenType => Self::TokenType,
        }
    }

    /// The fault of an answer of any kind. A JSON object of a 2xx without an error has none here,
    /// because its kind decides.
    ///
    /// The user code of a poll is not known here, so of its answers the registered words alone are
    /// named.
    fn of_any(request: Kind, response: &HttpResponse, carried: &[&Secret]) -> Option<Self> {
        let status = response.status;
        if status.is_redirection() {
            return Some(Self::Redirect);
        }
        if status.as_u16() == 429 {
            return Some(Self::TooManyRequests);
        }
        if let Err(limit) = response.body {
            return Some(Self::TooLarge(limit));
        }
        let Some(object) = response.object() else {
            return Some(Self::of_no_json(response));
        };
        let word = match object.get("error") {
            Json::Null => object.get("errorCode"),
            word => word,
        };
        match word {
            Json::Text(word) => {
                let may_be_named = request != Kind::Poll || REGISTERED.contains(&word.as_ref());
                let mut named = ErrorCode::new(&word).filter(|_| may_be_named);
                for secret in carried {
                    named = named.and_then(|code| code.unless_it_repeats(secret));
                }
                Some(named.map_or(Self::UnnamedError, Self::Error))
            }
            _ if status.is_success() => None,
            _ => Some(Self::NoErrorWord),
        }
    }

    fn of_no_json(response: &HttpResponse) -> Self {
        if response.is_empty() {
            Self::Empty
        } else if response.is_html() {
            Self::Page
        } else {
            Self::NotJson
        }
    }
}

/// An answer that was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// Absent where there was no whole answer.
    pub status: Option<u16>,
    pub defect: Defect,
    /// It was a metadata document that the request waited for.
    pub of_document: bool,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.of_document {
            f.write_str("metadata document, ")?;
        }
        if let Some(status) = self.status {
            write!(f, "status {status}: ")?;
        }
        self.defect.fmt(f)
    }
}

impl Dropped {
    /// Why this answer to a request that carried these secrets is no good. `specific` reads the
    /// object of a 2xx as the request's kind has it.
    pub(super) fn of(
        request: Kind,
        response: &HttpResponse,
        carried: &[&Secret],
        specific: impl FnOnce(&Object<'_>) -> Option<Defect>,
    ) -> Self {
        let defect = Defect::of_any(request, response, carried)
            .or_else(|| specific(&response.object()?))
            .unwrap_or_else(|| Defect::of_no_json(response));
        Self {
            status: Some(response.status.as_u16()),
            defect,
            of_document: false,
        }
    }

    /// Why no whole answer came.
    pub(crate) fn unanswered(defect: Defect) -> Self {
        Self {
            status: None,
            defect,
            of_document: false,
        }
    }

    /// Why this metadata document told nothing to a request that waits for it.
    pub(crate) fn document(request: Kind, response: &HttpResponse) -> Self {
        Self {
            of_document: true,
            ..Self::of(request, response, &[], |_| None)
        }
    }
}

/// The secrets of a request, which must not come back in a log.
pub(crate) fn carried(request: &Request) -> Vec<&Secret> {
    match request {
        Request::DeviceCode | Request::Prepare | Request::Authorize => Vec::new(),
        Request::Poll(code, verifier) => {
            let verifier = verifier.as_ref().map(CodeVerifier::secret);
            [code.secret()].into_iter().chain(verifier).collect()
        }
        Request::Refresh { token, .. } | Request::Revoke(Revocable::Refresh(token)) => vec![token.secret()],
        Request::Probe(token) | Request::Heartbeat(token) | Request::Revoke(Revocable::Access(token)) => {
            vec![token.secret()]
        }
        Request::Exchange {
            code, verifier, state, ..
        } => vec![code.secret(), verifier.secret(), state.secret()],
    }
}
