//! A request as the API understands it, and its reply: what passes between the connection and the
//! state.

use hyper::http::{Method, header, request::Parts};
use serde_json::{Value, json};

use super::{
    fault::Endpoint,
    form::{Form, NotAForm},
};

/// The purpose of a request, by its method and path, before the body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    DeviceCode { legacy: bool },
    Token,
    Revoke,
    Me,
    Heartbeat,
    Health,
    Unknown,
}

impl Route {
    pub(super) fn of(method: &Method, path: &str) -> Self {
        match (method.as_str(), path) {
            ("POST", "/v2/auth/device/code") => Self::DeviceCode { legacy: false },
            ("POST", "/v2/device/code") => Self::DeviceCode { legacy: true },
            ("POST", "/v2/auth/token") => Self::Token,
            ("POST", "/v2/auth/revoke") => Self::Revoke,
            ("GET", "/v2/devices/me") => Self::Me,
            ("POST", "/v2/devices/heartbeat") => Self::Heartbeat,
            ("GET", "/health" | "/v2/health") => Self::Health,
            _ => Self::Unknown,
        }
    }

    /// The endpoints it may turn out to be once the body is read.
    pub(super) fn endpoints(self) -> &'static [Endpoint] {
        match self {
            Self::DeviceCode { .. } => &[Endpoint::DeviceCode],
            Self::Token => &[Endpoint::Poll, Endpoint::Refresh],
            Self::Revoke => &[Endpoint::Revoke],
            Self::Me => &[Endpoint::Me],
            Self::Heartbeat => &[Endpoint::Heartbeat],
            Self::Health => &[Endpoint::Health],
            Self::Unknown => &[Endpoint::Other],
        }
    }

    fn takes_a_form(self) -> bool {
        matches!(self, Self::DeviceCode { .. } | Self::Token | Self::Revoke)
    }
}

/// A request, read and parsed.
pub(super) struct Call {
    pub(super) connection: u64,
    pub(super) route: Route,
    pub(super) endpoint: Endpoint,
    pub(super) target: String,
    pub(super) query: String,
    pub(super) client_version: Option<String>,
    pub(super) url_pairing: bool,
    pub(super) bearer: Option<String>,
    pub(super) media_type: Option<String>,
    /// The form, where one is wanted. An empty one elsewhere.
    pub(super) form: Result<Form, NotAForm>,
}

impl Call {
    pub(super) fn new(connection: u64, head: &Parts, body: &[u8]) -> Self {
        let text = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok());
        let route = Route::of(&head.method, head.uri.path());
        let content_type = text(header::CONTENT_TYPE.as_str());
        let form = if route.takes_a_form() {
            Form::parse(content_type, body)
        } else {
            Ok(Form::default())
        };
        let endpoint = match (route, &form) {
            (Route::Token, Ok(form)) => match form.get("grant_type") {
                Some("urn:ietf:params:oauth:grant-type:device_code") => Endpoint::Poll,
                Some("refresh_token") => Endpoint::Refresh,
                _ => Endpoint::Other,
            },
            (Route::Token, Err(_)) => Endpoint::Other,
            _ => route.endpoints()[0],
        };
        Self {
            connection,
            route,
            endpoint,
            target: format!("{} {}", head.method, head.uri.path()),
            query: head.uri.query().unwrap_or_default().to_owned(),
            client_version: text("x-client-version").map(ToOwned::to_owned),
            url_pairing: text("x-client-platypus-enabled") == Some("true"),
            bearer: text(header::AUTHORIZATION.as_str())
                .and_then(|v| v.split_once(' '))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                .map(|(_, token)| token.to_owned()),
            media_type: content_type.map(|t| t.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()),
            form,
        }
    }
}

/// The API's answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
    pub(super) verdict: String,
    pub(super) committed: bool,
    // `Retry-After` in seconds.
    pub(super) retry_after: Option<u64>,
}

impl Reply {
    fn new(status: u16, body: Option<Value>, verdict: &str, committed: bool) -> Self {
        Self {
            status,
            body,
            verdict: verdict.to_owned(),
            committed,
            retry_after: None,
        }
    }

    /// 200 that changed nothing.
    pub(super) fn found(body: Value) -> Self {
        Self::new(200, Some(body), "ok", false)
    }

    /// 200 that changed something.
    pub(super) fn done(body: Value) -> Self {
        Self::new(200, Some(body), "ok", true)
    }

    pub(super) fn nothing() -> Self {
        Self::new(204, None, "ok", false)
    }

    /// 400 in the simple shape.
    pub(super) fn refused(error: &str) -> Self {
        Self::new(400, Some(json!({ "error": error })), error, false)
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(
            401,
            Some(detailed(
                401,
                "Not Authorized",
                "You are not allowed to access that resource",
            )),
            "unauthorized",
            false,
        )
    }

    /// 404 in the detailed shape.
    pub(super) fn not_found() -> Self {
        Self::new(
            404,
            Some(detailed(404, "Not Found", "There is no such resource")),
            "not found",
            false,
        )
    }

    /// 429 of the rate limit.
    pub(super) fn limited(retry_after: Option<u64>) -> Self {
        let body = detailed(429, "Too Many Requests", "Rate limit exceeded");
        Self {
            retry_after,
            ..Self::new(429, Some(body), "limited", false)
        }
    }
}

fn detailed(code: u16, title: &str, detail: &str) -> Value {
    json!({
        "code": code,
        "errors": [{ "code": code, "detail": detail, "status": code, "title": title }],
        "message": title,
    })
}
