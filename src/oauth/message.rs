//! One request and one answer, as data.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use hyper::http::header::{AGE, CONTENT_TYPE, DATE, RETRY_AFTER};
use hyper::http::{HeaderMap, Method, StatusCode};
use zeroize::Zeroizing;

use super::date;
use super::json::{Json, Object};
use super::standard::oauth_error_code;
use super::uri::Origin;
use c2c_auth_core::{Fault, FaultKind, OAuthErrorCode, WallTime};

/// No server may silence us for longer: a slip in a header must not cost more than a day.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// Longest body of an answer that is read. The longest of the protocol but for tokens, `devices/me`
/// with channels, stays below 8 KiB.
pub(super) const ANSWER_MAX: usize = 64 * 1024;

/// Longest body of an answer that may bring tokens: two of the longest, and an access token that is
/// too long to be taken must not cost the refresh token beside it.
pub(super) const TOKEN_ANSWER_MAX: usize = 160 * 1024;

/// A request, ready for a connection to [`HttpRequest::origin`].
#[derive(Clone)]
pub(crate) struct HttpRequest {
    pub origin: Origin,
    pub method: Method,
    /// Path, and the query of an endpoint that has one. Never holds a secret: it is logged.
    pub path: String,
    /// Without `Host` and `Content-Length`, which belong to the connection.
    pub headers: HeaderMap,
    /// Holds secrets. Wiped when the last clone is dropped.
    pub body: Bytes,
    /// Longest body of its answer that is read.
    pub answer_max: usize,
}

pub(crate) struct HttpResponse {
    /// The status line's number.
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// `Err`: longer than so many bytes, and than any answer of the protocol, so it was not read.
    pub body: Result<Zeroizing<Vec<u8>>, usize>,
}

/// The error bodies of the C2C API.
pub(super) enum ErrorBody {
    /// RFC 6749 §5.2 `{"error": "…"}`.
    Word(String),
    /// `{"errorCode": "…"}` without `error`: of a standard server, before its protocol begins.
    ErrorCode(String),
    /// `{"code": N, "errors": […], "message": "…"}`.
    Detailed(f64),
    /// Neither: no verdict can be drawn from it.
    Unreadable,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status.as_u16())
    }
}

impl HttpResponse {
    /// When the server says it answered. An answer that a cache has kept (RFC 9111 §5.1) tells no
    /// time: it left the server long ago, by a clock of which nothing else is known.
    #[must_use]
    pub(crate) fn date(&self) -> Option<WallTime> {
        self.said().filter(|_| self.age() == Some(Duration::ZERO))
    }

    /// The same of an answer that caches share, because its request carried no credential: there
    /// any `Age` means a cache.
    #[must_use]
    pub(crate) fn date_of_shared(&self) -> Option<WallTime> {
        if self.headers.contains_key(AGE) {
            None
        } else {
            self.said()
        }
    }

    /// `None` also where there are two that differ: one of them is not the server's.
    fn said(&self) -> Option<WallTime> {
        let dates = self.headers.get_all(DATE);
        let first = dates.iter().next()?;
        let is_one = dates.iter().all(|date| date == first);
        date::parse(first.to_str().ok()?.trim()).filter(|_| is_one)
    }

    /// How long caches kept the answer. `None` where one says so in a way that cannot be read.
    fn age(&self) -> Option<Duration> {
        let ages = self.headers.get_all(AGE).iter();
        let mut ages = ages.map(|age| whole(age.to_str().ok()?.trim()).map(Duration::from_secs));
        ages.try_fold(Duration::ZERO, |longest, age| Some(longest.max(age?)))
    }

    /// The answer as a fault: what it means where it is no verdict.
    #[must_use]
    pub(crate) fn fault(&self) -> Fault {
        Fault {
            kind: match self.status.as_u16() {
                429 => FaultKind::RateLimited,
                300..=499 | 503 => FaultKind::Refused,
                // 500, 502, 504 and a 2xx that is no success. Other numbers are no better known, so
                // they are not taken for a no.
                _ => FaultKind::Garbled,
            },
            retry_after: self.retry_after(),
        }
    }

    /// The body as a JSON object, if it is one, whatever it is labelled: what grants proves itself
    /// by what is in it, and to drop it for its label could cost a pairing. RFC 8259 §8.1 lets a
    /// reader pass over a byte order mark.
    pub(super) fn object(&self) -> Option<Object<'_>> {
        let body = self.body.as_deref().ok()?;
        Object::read(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))
    }

    /// The error in the body of a 4xx, or of a 2xx that grants nothing. No other status can carry
    /// one: infrastructure answers 5xx. It may end something, so it has to be labelled JSON
    /// (RFC 6749 §5.2), and its members have to be given once: anything else may be somebody's in
    /// between.
    pub(super) fn error(&self) -> ErrorBody {
        let labelled = self.refusal().filter(|_| self.is_json());
        let Some(object) = labelled.filter(|object| !object.repeats("error")) else {
            return ErrorBody::Unreadable;
        };
        if let Some(word) = object.text("error") {
            return ErrorBody::Word(word.to_string());
        }
        match (object.get("code"), object.get("errors"), object.get("message")) {
            (Json::Number(code), Json::List(_), Json::Text(_))
                if !["code", "errors", "message"].iter().any(|key| object.repeats(key)) =>
            {
                ErrorBody::Detailed(code)
            }
            _ => object
                .text("errorCode")
                .filter(|_| !object.repeats("errorCode"))
                .map_or(ErrorBody::Unreadable, |word| ErrorBody::ErrorCode(word.to_string())),
        }
    }

    /// The error's word whatever the body is labelled: only for what ends nothing.
    pub(super) fn word(&self) -> Option<Zeroizing<String>> {
        self.refusal()?.text("error")
    }

    /// A refusal's text for people. Where the error is an `errorCode`, that belongs to it.
    pub(super) fn description(&self) -> Option<Zeroizing<String>> {
        let object = self.refusal()?;
        object.text("error_description").or_else(|| {
            let code = object.text("errorCode")?;
            let summary = object.text("errorSummary").unwrap_or_default();
            Some(Zeroizing::new(format!("{} {}", *code, *summary)))
        })
    }

    fn refusal(&self) -> Option<Object<'_>> {
        let grants = |object: &Object<'_>| {
            ["access_token", "refresh_token", "device_code"]
                .iter()
                .any(|key| match object.get(key) {
                    Json::Null | Json::Bool(_) => false,
                    Json::Text(text) => !text.is_empty(),
                    Json::Number(_) | Json::List(_) | Json::Object(_) | Json::Odd => true,
                })
        };
        let is_error =
            |object: &Object<'_>| object.text("error").is_some_and(|word| !word.is_empty()) && !grants(object);
        self.object()
            .filter(|object| self.status.is_client_error() || self.status.is_success() && is_error(object))
    }

    /// The server's objection to the request, where it is in the protocol's words.
    #[must_use]
    pub(crate) fn oauth_error_code(&self) -> Option<OAuthErrorCode> {
        match self.error() {
            ErrorBody::Word(word) => Some(oauth_error_code(&word)),
            ErrorBody::ErrorCode(_) | ErrorBody::Detailed(_) | ErrorBody::Unreadable => None,
        }
    }

    /// True if the server calls the body JSON, and nothing else.
    fn is_json(&self) -> bool {
        let mut labels = self.headers.get_all(CONTENT_TYPE).iter();
        let first = labels.next().and_then(|label| label.to_str().ok());
        let kind = first.and_then(|label| label.split(';').next()).unwrap_or_default();
        let kind = kind.trim().to_ascii_lowercase();
        labels.next().is_none()
            && (matches!(kind.as_str(), "application/json" | "text/json") || kind.ends_with("+json"))
    }

    /// True if the server calls the body HTML: a captive portal, or a proxy on its own behalf.
    pub(super) fn is_html(&self) -> bool {
        self.header(CONTENT_TYPE.as_str())
            .is_some_and(|kind| kind.to_ascii_lowercase().contains("html"))
    }

    /// True for a page of somebody in between. An empty body is none, whatever a framework labels
    /// it (Django: `text/html`).
    pub(super) fn is_page(&self) -> bool {
        self.is_html() && !self.is_empty()
    }

    /// True if there is no body at all.
    pub(super) fn is_empty(&self) -> bool {
        self.body.as_ref().is_ok_and(|body| body.is_empty())
    }

    /// The server's own wish: `Retry-After` (RFC 9110 §10.2.3).
    fn retry_after(&self) -> Option<Duration> {
        let text = self.header(RETRY_AFTER.as_str())?;
        let retry_after = if let Some(seconds) = whole(text) {
            Duration::from_secs(seconds)
        } else {
            // Relative to the server's clock: ours may be decades off. Without its `Date` the
            // instant means nothing. How long a cache kept the answer is over already.
            date::parse(text)?.since(self.said()?.after(self.age()?))
        };
        Some(retry_after.min(RETRY_AFTER_MAX))
    }

    /// The number in a header, where it is one.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.header(name).and_then(whole)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }
}

/// RFC 9110 §5.6.2 `1*DIGIT`: no sign, no space. Saturates.
fn whole(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().unwrap_or(u64::MAX))
}
