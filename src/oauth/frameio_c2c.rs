//! Frame.io Camera to Cloud on `api.frame.io`.
//!
//! The device grant of RFC 8628 with swapped words: `client_id` names the unit, `client_secret` the
//! device model. The secret goes with every form: the newest contract wants it, older ones ignore
//! it.
//!
//! A refresh token is dead by three answers of the token endpoint, each documented, and by nothing
//! else: `invalid_request` (used up), `invalid_grant`, and the detailed 401 (device forgotten or
//! expired).

use std::time::Duration;

use bytes::Bytes;
use hyper::http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::http::{HeaderMap, Method, StatusCode};
use zeroize::Zeroizing;

use super::form::{Encoding, Fields};
use super::grant::{self, CodeRules, NoCode};
use super::json::{Json, Object};
use super::message::{ANSWER_MAX, ErrorBody, HttpRequest, HttpResponse, RETRY_AFTER_MAX, TOKEN_ANSWER_MAX};
use super::standard::{IDENTITY, declines, is_passing, is_throttled, poll_goes_on, rejects_client};
use super::uri::{BaseUri, is_path};
use super::{Kind, text};
use c2c_auth_core::{
    AccessToken, Answer, AuthorizationEnd, CodeAnswer, DeviceInfo, DeviceStatus, ErrorCode, Fault, PollAnswer,
    PrepareAnswer, ProbeAnswer, RefreshAnswer, RefreshToken, Request, Revocable, RevokeAnswer, Secret, TokenGrant,
};

pub(super) const CODES: CodeRules = CodeRules {
    user_code: |code| code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()),
    may_be_number: false,
    // The documented page. Older answers name none, and one that is not `https` must not reach a
    // person.
    page: Some("https://next.frame.io/pair"),
    life: Duration::from_secs(120),
    // The documented interval is 5 s, and a code lives for two minutes.
    longest_interval: Duration::from_secs(60),
    names_the_device: true,
};

/// Life of an access token whose answer does not say.
const ACCESS_TOKEN_LIFE: Duration = Duration::from_secs(28_800);

const TOKEN_PATH: &str = "/v2/auth/token";
const REVOKE_PATH: &str = "/v2/auth/revoke";
const IDENTIFY_PATH: &str = "/v2/devices/me";
const HEARTBEAT_PATH: &str = "/v2/devices/heartbeat";
const HEALTH_PATH: &str = "/health";

const CLIENT_VERSION: HeaderName = HeaderName::from_static("x-client-version");
const URL_PAIRING: HeaderName = HeaderName::from_static("x-client-platypus-enabled");

/// The integrator's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    // Usually `https://api.frame.io`.
    pub base: BaseUri,
    // Space-delimited: `asset_create offline`.
    pub scope: String,
    // Ask for `verification_uri_complete`.
    pub url_pairing: bool,
    /// `/v2/auth/device/code`, or `/v2/device/code` of the older API.
    pub device_code_path: String,
    pub encoding: Encoding,
    /// Names this unit. Empty while unprovisioned (the core then asks for nothing).
    pub client_id: String,
    /// Names the device model. Absent while unprovisioned.
    pub client_secret: Option<Secret>,
    /// `SemVer` of the firmware.
    pub client_version: String,
}

/// Why settings make no provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingsError {
    /// It would not fit into a header.
    #[error("the firmware version {0:?} is not plain text; write it as SemVer, for example \"2.16.4\"")]
    ClientVersion(String),
    /// It would not fit into a request line.
    #[error("device-code-path {0:?} is not a plain absolute path; the usual one is \"/v2/auth/device/code\"")]
    DeviceCodePath(String),
}

#[derive(Clone, Debug)]
pub(crate) struct FrameioC2c {
    settings: Settings,
    version: HeaderValue,
}

impl FrameioC2c {
    /// Checks what could not be put on the wire.
    ///
    /// # Errors
    /// [`SettingsError`], naming the setting.
    pub(crate) fn new(settings: Settings) -> Result<Self, SettingsError> {
        let version = HeaderValue::from_str(&settings.client_version)
            .ok()
            .filter(|version| !version.is_empty())
            .ok_or_else(|| SettingsError::ClientVersion(settings.client_version.clone()))?;
        let path = &settings.device_code_path;
        if !is_path(path) {
            return Err(SettingsError::DeviceCodePath(path.clone()));
        }
        Ok(Self { settings, version })
    }

    pub(super) const fn client_secret(&self) -> Option<&Secret> {
        self.settings.client_secret.as_ref()
    }

    pub(super) const fn base(&self) -> &BaseUri {
        &self.settings.base
    }

    pub(super) fn request(&self, request: &Request, entropy: [u8; 16]) -> Option<HttpRequest> {
        match request {
            Request::DeviceCode => {
                let scope = [("scope", self.settings.scope.as_str())];
                let mut request = self.form(&self.settings.device_code_path, &scope, entropy)?;
                if self.settings.url_pairing {
                    request.headers.insert(URL_PAIRING, HeaderValue::from_static("true"));
                }
                Some(request)
            }
            Request::Poll(code, _) => {
                let grant = [
                    ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
                    ("device_code", code.expose()),
                ];
                self.form(TOKEN_PATH, &grant, entropy)
            }
            Request::Prepare => Some(self.plain(Method::GET, HEALTH_PATH)),
            Request::Refresh { token, .. } => self.refresh(token, entropy),
            Request::Revoke(token) => {
                let token = match token {
                    Revocable::Refresh(token) => token.expose(),
                    Revocable::Access(token) => token.expose(),
                };
                self.form(REVOKE_PATH, &[("token", token)], entropy)
            }
            Request::Probe(token) => self.bearer(Method::GET, IDENTIFY_PATH, token),
            Request::Heartbeat(token) => self.bearer(Method::POST, HEARTBEAT_PATH, token),
            // Devices of C2C have the device grant and no other.
            Request::Authorize | Request::Exchange { .. } => None,
        }
    }

    pub(super) fn refresh(&self, token: &RefreshToken, entropy: [u8; 16]) -> Option<HttpRequest> {
        let grant = [("grant_type", "refresh_token"), ("refresh_token", token.expose())];
        self.form(TOKEN_PATH, &grant, entropy)
    }

    pub(super) fn answer(kind: Kind, response: &HttpResponse) -> Answer {
        match kind {
            Kind::DeviceCode => Answer::Code(code(response)),
            Kind::Poll => Answer::Poll(poll(response)),
            Kind::Prepare => Answer::Prepare(prepare(response)),
            Kind::Refresh => Answer::Refresh(refresh(response)),
            Kind::Revoke => Answer::Revoke(revoke(response)),
            Kind::Probe => Answer::Probe(identify(response)),
            Kind::Heartbeat => Answer::Probe(heartbeat(response)),
            Kind::Authorize | Kind::Exchange => kind.failed(fault(response)),
        }
    }

    fn plain(&self, method: Method, path: &str) -> HttpRequest {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, IDENTITY);
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"))),
        );
        headers.insert(CLIENT_VERSION, self.version.clone());
        if method == Method::GET {
            // A GET asks for the state of now, so a cached answer is of no use.
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        HttpRequest {
            origin: self.settings.base.origin().clone(),
            method,
            path: self.settings.base.path(path),
            headers,
            body: Bytes::new(),
            answer_max: if path == TOKEN_PATH {
                TOKEN_ANSWER_MAX
            } else {
                ANSWER_MAX
            },
        }
    }

    fn form(&self, path: &str, fields: &Fields<'_>, entropy: [u8; 16]) -> Option<HttpRequest> {
        let mut all = vec![("client_id", self.settings.client_id.as_str())];
        all.extend(
            self.settings
                .client_secret
                .as_ref()
                .map(|secret| ("client_secret", secret.expose())),
        );
        all.extend_from_slice(fields);
        let (kind, body) = self.settings.encoding.encode(&all, entropy);
        let mut request = self.plain(Method::POST, path);
        request.headers.insert(CONTENT_TYPE, HeaderValue::try_from(kind).ok()?);
        request.body = body;
        Some(request)
    }

    fn bearer(&self, method: Method, path: &str, token: &AccessToken) -> Option<HttpRequest> {
        let line = Zeroizing::new(["Bearer ", token.expose()].concat());
        let mut line = HeaderValue::from_str(&line).ok()?;
        line.set_sensitive(true);
        let mut request = self.plain(method, path);
        request.headers.insert(AUTHORIZATION, line);
        Some(request)
    }
}

/// Where no `Retry-After` is there, the rate limit's window says as much once it is used up.
fn fault(response: &HttpResponse) -> Fault {
    let window = || {
        let used_up =
            response.status == StatusCode::TOO_MANY_REQUESTS || response.number("x-ratelimit-remaining") == Some(0);
        let window = Duration::from_millis(response.number("x-ratelimit-window")?);
        used_up.then_some(window.min(RETRY_AFTER_MAX))
    };
    let fault = response.fault();
    Fault {
        retry_after: fault.retry_after.or_else(window),
        ..fault
    }
}

fn code(response: &HttpResponse) -> CodeAnswer {
    if response.status.is_success() {
        return match response.object().map(|object| grant::code(&object, &CODES)) {
            Some(Ok(code)) => CodeAnswer::Granted(code),
            Some(Err(NoCode::BadUserCode)) => CodeAnswer::BadUserCode,
            Some(Err(NoCode::Unusable(_))) | None => CodeAnswer::Failed(fault(response)),
        };
    }
    let oauth_error_code = match response.error() {
        ErrorBody::Word(word) => rejects_client(&word),
        ErrorBody::ErrorCode(_) | ErrorBody::Detailed(_) | ErrorBody::Unreadable => None,
    };
    oauth_error_code.map_or_else(|| CodeAnswer::Failed(fault(response)), CodeAnswer::ClientRejected)
}

/// RFC 8628 §3.5. No status is asked for beyond 4xx: servers are known to send these words with
/// 400, 403, 428 and 429, and none of them costs more than a code. Every word that is not known
/// here ends the code (RFC 8628 §3.5).
fn poll(response: &HttpResponse) -> PollAnswer {
    if response.status.is_success() {
        return match tokens(response) {
            Some(grant) => PollAnswer::Granted(grant),
            None => PollAnswer::Failed(fault(response)),
        };
    }
    // The window of the rate limit may be longer than the code lives. It says nothing about polls.
    if let Some(on) = poll_goes_on(response) {
        return on;
    }
    let ErrorBody::Word(word) = response.error() else {
        return PollAnswer::Failed(fault(response));
    };
    match word.as_str() {
        _ if is_throttled(response) => PollAnswer::Failed(fault(response)),
        "expired_token" => PollAnswer::Expired,
        word if declines(word) => PollAnswer::Denied,
        word if word.is_empty() || is_passing(word) => PollAnswer::Failed(fault(response)),
        word => rejects_client(word).map_or_else(
            || PollAnswer::CodeUnknown(ErrorCode::new(word)),
            PollAnswer::ClientRejected,
        ),
    }
}

/// Any complete answer proves the connection, unless it announces trouble.
fn prepare(response: &HttpResponse) -> PrepareAnswer {
    if response.status == StatusCode::TOO_MANY_REQUESTS || response.status.is_server_error() {
        PrepareAnswer::Busy(fault(response))
    } else {
        PrepareAnswer::Ready
    }
}

/// True if something in between may have answered for [`prepare`]: the API speaks JSON, in its
/// errors too, and redirects nobody.
pub(super) fn is_foreign(response: &HttpResponse) -> bool {
    let is_own = response.status.is_success() || response.status.is_client_error();
    !is_own || response.object().is_none()
}

/// The one place where a pairing can end. RFC 6749 §5.2 sends its errors with 400, `invalid_client`
/// also with 401. The used up token and the forgotten device are Frame.io's own words. They are
/// taken at exactly the status that goes with them.
fn refresh(response: &HttpResponse) -> RefreshAnswer {
    if response.status.is_success() {
        let life = ACCESS_TOKEN_LIFE;
        return match response.object().and_then(|object| grant::renewed(&object, life)) {
            Some(grant) => RefreshAnswer::Granted(grant),
            None => RefreshAnswer::Failed(fault(response)),
        };
    }
    match (response.status.as_u16(), response.error()) {
        (400, ErrorBody::Word(word)) if word == "invalid_request" => RefreshAnswer::InvalidGrant,
        (400 | 401, ErrorBody::Word(word)) if word == "invalid_grant" => RefreshAnswer::InvalidGrant,
        (401, ErrorBody::Detailed(401.0)) => RefreshAnswer::InvalidGrant,
        (400 | 401, ErrorBody::Word(word)) => {
            rejects_client(&word).map_or_else(|| RefreshAnswer::Failed(fault(response)), RefreshAnswer::ClientRejected)
        }
        (_, ErrorBody::Word(_) | ErrorBody::ErrorCode(_) | ErrorBody::Detailed(_) | ErrorBody::Unreadable) => {
            RefreshAnswer::Failed(fault(response))
        }
    }
}

/// RFC 7009 §2.2. The success body is documented in three shapes, so any will do but a page. A
/// token that the server no longer takes has nothing left to revoke. A client it does not know is a
/// fault that an operator can cure.
fn revoke(response: &HttpResponse) -> RevokeAnswer {
    if response.status.is_success() && !response.is_page() && response.body.is_ok() {
        return RevokeAnswer::Done;
    }
    match (response.status.as_u16(), response.error()) {
        (401, ErrorBody::Detailed(401.0)) => RevokeAnswer::Done,
        (400 | 401, ErrorBody::Word(word)) => match word.as_str() {
            "invalid_grant" | "invalid_token" => RevokeAnswer::Done,
            "invalid_request" | "bad_request" | "unsupported_token_type" => RevokeAnswer::Refused,
            _ => RevokeAnswer::Failed(fault(response)),
        },
        (_, ErrorBody::Word(_) | ErrorBody::ErrorCode(_) | ErrorBody::Detailed(_) | ErrorBody::Unreadable) => {
            RevokeAnswer::Failed(fault(response))
        }
    }
}

/// An answer labelled HTML has to name a project: a 2xx may decide which of two pairs lives.
fn identify(response: &HttpResponse) -> ProbeAnswer {
    resource(response, || {
        let status = device(&response.object()?);
        (!response.is_html() || !status.info.project_id.is_empty()).then_some(Some(status))
    })
}

/// Documented as 204. Another 2xx must at least not be somebody else's page.
fn heartbeat(response: &HttpResponse) -> ProbeAnswer {
    let ours = response.status == StatusCode::NO_CONTENT
        || (!response.is_html() && (response.object().is_some() || response.is_empty()));
    resource(response, || ours.then_some(None))
}

/// The status decides over a 401: the C2C documentation shows bodies that name another code.
fn resource(response: &HttpResponse, alive: impl FnOnce() -> Option<Option<DeviceStatus>>) -> ProbeAnswer {
    if response.status == StatusCode::UNAUTHORIZED {
        return ProbeAnswer::Rejected;
    }
    let alive = if response.status.is_success() { alive() } else { None };
    alive.map_or_else(|| ProbeAnswer::Failed(fault(response)), ProbeAnswer::Accepted)
}

fn tokens(response: &HttpResponse) -> Option<TokenGrant> {
    grant::tokens(&response.object()?, ACCESS_TOKEN_LIFE)
}

/// The names are for display. What is missing of them is left empty. The end and the pause count
/// only where they can be read.
fn device(object: &Object<'_>) -> DeviceStatus {
    let read = |key| object.text(key).map(|text| text::name(&text)).unwrap_or_default();
    let authorization = object.object("authorization");
    DeviceStatus {
        info: DeviceInfo {
            name: read("name"),
            project_id: read("project_id"),
            project_name: object
                .object("project")
                .and_then(|project| project.text("name"))
                .map(|name| text::name(&name))
                .unwrap_or_default(),
        },
        authorization: authorization.map_or(AuthorizationEnd::Untold, |object| end(&object)),
        paused: object.text("status").map(|status| *status == "paused"),
    }
}

/// `null` says that there is no end. A key that is absent says nothing.
fn end(authorization: &Object<'_>) -> AuthorizationEnd {
    const KEY: &str = "expires_at";
    match authorization.get(KEY) {
        Json::Text(text) => text::instant(&text).map_or(AuthorizationEnd::Untold, AuthorizationEnd::At),
        Json::Null if authorization.has(KEY) => AuthorizationEnd::Never,
        _ => AuthorizationEnd::Untold,
    }
}
