//! The rules that every standard server shares: client authentication, forms, the reading of token
//! answers (RFC 6749 §2.3, §5, §6; RFC 7009).
//!
//! Nothing of Frame.io's C2C quirks is here: no version header, no multipart, no verdict by
//! `invalid_request`. Where a known server departs from the standard, [`Quirks`] says how.

use std::time::Duration;

use bytes::Bytes;
use hyper::http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::http::{HeaderMap, Method, StatusCode};

use super::basic::{basic, basic_credentials, encoded};
use super::form::{Encoding, Fields};
use super::grant;
use super::message::{ANSWER_MAX, ErrorBody, HttpRequest, HttpResponse, TOKEN_ANSWER_MAX};
use super::metadata::ServerMetadata;
use super::uri::{Endpoint, Issuer};
use c2c_auth_core::{
    Fault, FaultKind, OAuthErrorCode, PollAnswer, RefreshAnswer, RefreshToken, Revocable, RevokeAnswer, Secret,
    TokenGrant,
};

/// Life of an access token whose answer does not say (RFC 6749 §5.1 leaves it to the
/// documentation): one hour, the most common one. Too short costs a refresh, too long a 401.
pub(crate) const ACCESS_TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// RFC 9110 §12.5.3: without this wish any encoding will do, and none is decoded here.
pub(super) const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// How the client proves who it is at the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum ClientAuth {
    /// `client_secret_post`: id and secret in the form.
    Post,
    /// `client_secret_basic`: id and secret in the `Authorization` header. RFC 6749 §2.3.1: the one
    /// way that every server must know.
    #[default]
    Basic,
    /// A public client: the id in the form, nothing secret.
    None,
}

/// RFC 7636 for device codes, which RFC 8628 does not mention and some servers demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Pkce {
    /// Where the server's metadata lists S256 beside its device endpoint.
    #[default]
    Auto,
    S256,
    Off,
}

/// A request that may have further parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum At {
    /// The device authorization request.
    Device,
    /// The address for the browser.
    Authorize,
    /// Polls, and the exchange of a code.
    Token,
    Refresh,
}

/// A parameter that this server wants beside those of the protocol. No secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub name: String,
    pub value: String,
    pub at: Vec<At>,
}

/// Where a known server departs from the standard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Quirks {
    #[default]
    Standard,
    /// `applications.frame.io`: wants `scope` with each token request and `state` with a code.
    FrameioApplications,
    /// Adobe IMS: wants a public client's id in the query, not in the form.
    AdobeIms,
}

/// The addresses of a server. Those that are absent come from its discovery document, if it has
/// one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Endpoints {
    // RFC 6749 §3.2.
    pub token: Option<Endpoint>,
    // RFC 8628 §3.1.
    pub device_authorization: Option<Endpoint>,
    /// RFC 6749 §3.1: for the browser, never for us.
    pub authorization: Option<Endpoint>,
    // RFC 7009 §2.
    pub revocation: Option<Endpoint>,
}

impl Endpoints {
    /// Takes from `found` what is not known yet.
    pub(crate) fn fill(&mut self, found: &Self) {
        let Self {
            token,
            device_authorization,
            authorization,
            revocation,
        } = found;
        for (mine, theirs) in [
            (&mut self.token, token),
            (&mut self.device_authorization, device_authorization),
            (&mut self.authorization, authorization),
            (&mut self.revocation, revocation),
        ] {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        }
    }
}

/// The integrator's configuration of a standard server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerSettings {
    /// The client's identifier. Empty while unprovisioned (the core then asks for nothing).
    pub client_id: String,
    /// Its secret. Absent for public clients and while unprovisioned.
    pub client_secret: Option<Secret>,
    /// How it is sent.
    pub auth: ClientAuth,
    /// Space-delimited. Absent leaves it to the server (RFC 6749 §3.3).
    pub scope: Option<String>,
    /// The server's own name, for discovery and RFC 9207.
    pub issuer: Option<Issuer>,
    pub endpoints: Endpoints,
    /// Further parameters of its requests.
    pub extra: Vec<Parameter>,
    /// Only of `oauth-device`: the code grant always has it.
    pub pkce: Pkce,
    /// The errors by which this server calls a refresh token dead, beside `invalid_grant`.
    pub dead_words: Vec<String>,
    pub quirks: Quirks,
}

impl ServerSettings {
    /// The client's secret in each form in which a request carries it.
    pub(super) fn secrets_on_the_wire(&self) -> Vec<Secret> {
        self.client_secret.iter().fold(Vec::new(), |mut forms, secret| {
            forms.push(secret.clone());
            forms.push(encoded(secret.expose()));
            forms.push(basic_credentials(&self.client_id, secret));
            forms
        })
    }
}

/// The part that the two standard kinds share.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// As configured, with the additions of the server's own description once that was read.
    pub(super) settings: ServerSettings,
    /// The rest of the description. `None` until it was read.
    pub(super) metadata: Option<ServerMetadata>,
    /// No place tells more than is known here, if any tells anything.
    pub(super) exhausted: bool,
    /// The server, as part of the record's identity. It is made of the configured addresses,
    /// whatever is learned later.
    pub(super) identity: String,
}

impl Server {
    pub(super) fn new(settings: ServerSettings) -> Self {
        Self {
            identity: identity(&settings),
            settings,
            metadata: None,
            exhausted: false,
        }
    }

    /// A form with the client's authentication. `None` where an address or a secret is not known.
    pub(super) fn form(&self, to: Option<&Endpoint>, fields: &Fields<'_>) -> Option<HttpRequest> {
        self.form_of(to, fields, false)
    }

    /// RFC 8628 §3.1. Some servers learn there from the form alone who asks. RFC 6749 §3.2.1 lets
    /// the id stand beside any authentication.
    pub(super) fn device_form(&self, fields: &Fields<'_>) -> Option<HttpRequest> {
        self.form_of(self.settings.endpoints.device_authorization.as_ref(), fields, true)
    }

    fn form_of(&self, to: Option<&Endpoint>, fields: &Fields<'_>, also_named: bool) -> Option<HttpRequest> {
        let settings = &self.settings;
        let to = to?;
        let mut request = get(to);
        request.method = Method::POST;
        let mut all: Vec<(&str, &str)> = Vec::with_capacity(fields.len() + 2);
        match settings.auth {
            ClientAuth::Post => {
                all.push(("client_id", &settings.client_id));
                all.push(("client_secret", settings.client_secret.as_ref()?.expose()));
            }
            ClientAuth::Basic => {
                all.extend(also_named.then_some(("client_id", settings.client_id.as_str())));
                let line = basic(&settings.client_id, settings.client_secret.as_ref()?)?;
                request.headers.insert(AUTHORIZATION, line);
            }
            // There once, as its documents show it: RFC 6749 §3.2 lets no parameter be sent twice.
            ClientAuth::None if settings.quirks == Quirks::AdobeIms => {
                let joint = if request.path.contains('?') { '&' } else { '?' };
                request.path.push(joint);
                request.path.push_str("client_id=");
                request
                    .path
                    .extend(form_urlencoded::byte_serialize(settings.client_id.as_bytes()));
            }
            ClientAuth::None => all.push(("client_id", &settings.client_id)),
        }
        all.extend_from_slice(fields);
        let (kind, body) = Encoding::Urlencoded.encode(&all, [0; 16]);
        request.headers.insert(CONTENT_TYPE, HeaderValue::try_from(kind).ok()?);
        request.body = body;
        Some(request)
    }

    /// A form for the token endpoint.
    pub(super) fn token_form(&self, fields: &Fields<'_>) -> Option<HttpRequest> {
        let settings = &self.settings;
        let mut fields = fields.to_vec();
        if let (Quirks::FrameioApplications, Some(scope)) = (settings.quirks, &settings.scope) {
            fields.push(("scope", scope));
        }
        let mut request = self.form(settings.endpoints.token.as_ref(), &fields)?;
        request.answer_max = TOKEN_ANSWER_MAX;
        Some(request)
    }

    /// RFC 6749 §6. Without `scope`: to ask for what was asked for at first is an error where the
    /// user granted less.
    pub(super) fn refresh(&self, token: &RefreshToken) -> Option<HttpRequest> {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token.expose())];
        self.token_form(&fields.into_iter().chain(self.extra(At::Refresh)).collect::<Vec<_>>())
    }

    /// The further parameters of a request.
    pub(super) fn extra(&self, at: At) -> impl Iterator<Item = (&str, &str)> {
        let extra = self
            .settings
            .extra
            .iter()
            .filter(move |parameter| parameter.at.contains(&at));
        extra.map(|parameter| (parameter.name.as_str(), parameter.value.as_str()))
    }

    // RFC 7009 §2.1.
    pub(super) fn revoke(&self, token: &Revocable) -> Option<HttpRequest> {
        let (token, hint) = match token {
            Revocable::Refresh(token) => (token.expose(), "refresh_token"),
            Revocable::Access(token) => (token.expose(), "access_token"),
        };
        let fields = [("token", token), ("token_type_hint", hint)];
        self.form(self.settings.endpoints.revocation.as_ref(), &fields)
    }

    /// RFC 6749 §5.2: 400, or 401 for a client that is not known. A few servers use 401 for a grant
    /// as well, and others 403 for both (Auth0, glewlwyd). By this word and those of `dead-words`,
    /// at these statuses, and by nothing else, a pairing ends.
    pub(super) fn refreshed(&self, response: &HttpResponse) -> RefreshAnswer {
        if response.status.is_success() {
            let renewed = response
                .object()
                .and_then(|object| grant::renewed(&object, ACCESS_TOKEN_LIFE));
            return renewed.map_or_else(|| refused(response), RefreshAnswer::Granted);
        }
        let calls_dead = |word: &String| word == "invalid_grant" || self.settings.dead_words.contains(word);
        match (response.status.as_u16(), response.error()) {
            (400 | 401 | 403, ErrorBody::Word(word)) if calls_dead(&word) => RefreshAnswer::InvalidGrant,
            (400 | 401 | 403, ErrorBody::Word(word)) => {
                rejects_client(&word).map_or_else(|| refused(response), RefreshAnswer::ClientRejected)
            }
            (_, ErrorBody::Word(_) | ErrorBody::ErrorCode(_) | ErrorBody::Detailed(_) | ErrorBody::Unreadable) => {
                refused(response)
            }
        }
    }
}

/// Issuer *and* token endpoint, so that neither can be changed under a record that is there: its
/// tokens go to the server that gave them or nowhere. A revocation endpoint at either's host may
/// come and go. One elsewhere is another server that would see them, and counts. Each absent part
/// stays distinct from every written one: no address has a space, every endpoint has a path, and
/// the last part has none.
fn identity(settings: &ServerSettings) -> String {
    let endpoints = &settings.endpoints;
    let token = endpoints.token.as_ref();
    let mut identity = settings
        .issuer
        .as_ref()
        .map_or_else(String::new, |issuer| format!("{issuer} "));
    identity.extend(token.map(ToString::to_string));
    let known = [token, settings.issuer.as_ref().map(Issuer::address)];
    let revocation = endpoints.revocation.as_ref().map(Endpoint::origin);
    if let Some(elsewhere) = revocation.filter(|origin| known.into_iter().flatten().all(|at| at.origin() != *origin)) {
        identity.push_str(" https://");
        identity.push_str(&elsewhere.to_string());
    }
    identity
}

/// RFC 7009 §2.2: 200 means done, also for a token that the server does not know. Its body is of no
/// interest. A page is not the server's: that is a captive portal.
pub(super) fn revoked(response: &HttpResponse) -> RevokeAnswer {
    if response.status.is_success() && !response.is_page() {
        return RevokeAnswer::Done;
    }
    match (response.status.as_u16(), response.error()) {
        (400 | 401 | 403, ErrorBody::Word(word)) => match word.as_str() {
            "invalid_grant" | "invalid_token" => RevokeAnswer::Done,
            "invalid_request" | "unsupported_token_type" => RevokeAnswer::Refused,
            _ => RevokeAnswer::Failed(response.fault()),
        },
        (_, ErrorBody::Word(_) | ErrorBody::ErrorCode(_) | ErrorBody::Detailed(_) | ErrorBody::Unreadable) => {
            RevokeAnswer::Failed(response.fault())
        }
    }
}

/// RFC 6749 §4.1.2.1 and §5.2, as far as they tell what a person has to cure.
pub(super) fn oauth_error_code(word: &str) -> OAuthErrorCode {
    match word {
        "invalid_client" => OAuthErrorCode::Client,
        "unauthorized_client" => OAuthErrorCode::Unauthorized,
        "invalid_scope" => OAuthErrorCode::Scope,
        "invalid_request" => OAuthErrorCode::Request,
        "unsupported_grant_type" => OAuthErrorCode::GrantType,
        "unsupported_response_type" => OAuthErrorCode::ResponseType,
        "invalid_grant" => OAuthErrorCode::Grant,
        _ => OAuthErrorCode::Other,
    }
}

/// RFC 6749 §5.2: a client that is not known, or may not use this grant. It is a configuration
/// fault and says nothing of a token.
pub(super) fn rejects_client(word: &str) -> Option<OAuthErrorCode> {
    Some(oauth_error_code(word)).filter(|what| matches!(what, OAuthErrorCode::Client | OAuthErrorCode::Unauthorized))
}

/// Errors that no further code cures: the client, or its request, is not as the server has it.
pub(super) fn rejects_flow(word: &str) -> Option<OAuthErrorCode> {
    Some(oauth_error_code(word)).filter(|what| !matches!(what, OAuthErrorCode::Grant | OAuthErrorCode::Other))
}

/// The same of a request for a code. There is no grant yet, so `invalid_grant` says that the client
/// may not use this one.
pub(super) fn rejects_code(word: &str) -> Option<OAuthErrorCode> {
    Some(oauth_error_code(word)).filter(|what| *what != OAuthErrorCode::Other)
}

/// True for the user's no: RFC 8628 §3.5, RFC 6749 §4.1.2.1, and Entra ID's word for it.
pub(super) fn declines(word: &str) -> bool {
    matches!(word, "access_denied" | "authorization_declined")
}

/// True for an error that says nothing of a refresh token: it passes, or the client is at fault.
pub(crate) fn ends_nothing(word: &str) -> bool {
    is_passing(word) || rejects_client(word).is_some() || matches!(word, "slow_down" | "authorization_pending")
}

/// True for the server's own trouble, which passes (RFC 6749 §4.1.2.1, used at token endpoints
/// too).
pub(super) fn is_passing(word: &str) -> bool {
    matches!(word, "server_error" | "temporarily_unavailable")
}

/// RFC 8628 §3.5: the two words by which polling goes on. They end nothing, so the label is not
/// looked at: an approval would only be noticed later.
pub(super) fn poll_goes_on(response: &HttpResponse) -> Option<PollAnswer> {
    match response.word()?.to_ascii_lowercase().as_str() {
        "slow_down" => Some(PollAnswer::SlowDown(response.fault().retry_after, None)),
        "authorization_pending" if !is_throttled(response) => Some(PollAnswer::Pending),
        _ => None,
    }
}

/// The tokens of a good answer.
pub(super) fn tokens(response: &HttpResponse) -> Option<TokenGrant> {
    grant::tokens(&response.object()?, ACCESS_TOKEN_LIFE)
}

/// A request without a body and without a credential.
pub(super) fn get(to: &Endpoint) -> HttpRequest {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, IDENTITY);
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"))),
    );
    HttpRequest {
        origin: to.origin().clone(),
        method: Method::GET,
        path: to.target().to_owned(),
        headers,
        body: Bytes::new(),
        answer_max: ANSWER_MAX,
    }
}

/// A refresh without a verdict. An error that does not pass is the server's own no.
fn refused(response: &HttpResponse) -> RefreshAnswer {
    let fault = fault(response);
    match response.error() {
        ErrorBody::Word(word) | ErrorBody::ErrorCode(word) if !is_throttled(response) && !is_passing(&word) => {
            RefreshAnswer::Refused(fault)
        }
        _ => RefreshAnswer::Failed(fault),
    }
}

/// The answer as a fault. An error in a 2xx says that nothing was granted, so it is no half answer.
pub(super) fn fault(response: &HttpResponse) -> Fault {
    let fault = response.fault();
    match response.error() {
        ErrorBody::Word(_) if response.status.is_success() => Fault {
            kind: FaultKind::Refused,
            ..fault
        },
        _ => fault,
    }
}

/// True if the status means "come back later", whatever the body says.
pub(super) fn is_throttled(response: &HttpResponse) -> bool {
    response.status == StatusCode::TOO_MANY_REQUESTS
}
