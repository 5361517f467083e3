//! `[provider]`: which kind of server, which keys go with it, and what a kind needs.

use std::time::Duration;

use super::error::ConfigError;
use super::raw;
use super::resolve::Places;
use super::value::{
    BaseUri, Between, BodyKind, ClientAuth, Endpoint, Issuer, Kind, Preset, RedirectUri, Scope, UriPath,
};

/// Whom the device talks to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// `kind = "frameio-c2c"`.
    FrameioC2c(FrameioC2c),
    /// `kind = "oauth-device"`: any server with the device grant of RFC 8628.
    OauthDevice(Oauth),
    /// `kind = "oauth-code"`: any server with the code grant of RFC 6749.
    OauthCode(OauthCode),
}

/// The device grant of Frame.io Camera to Cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameioC2c {
    /// What every path is appended to.
    pub base_uri: BaseUri,
    /// Words with one space between two.
    pub scope: String,
    /// Whether to ask for `verification_uri_complete`.
    pub url_pairing: bool,
    /// Begins with `/`.
    pub device_code_path: String,
    /// How bodies are encoded.
    pub body: BodyKind,
}

/// A standard server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oauth {
    /// As it is written here; [`super::Device::client_id`] is the one that holds.
    pub client_id: Option<String>,
    /// How the client proves who it is.
    pub client_auth: ClientAuth,
    /// The server's name: where it describes itself, and what its answers may say.
    pub issuer: Option<String>,
    /// Where it is, as far as that is configured.
    pub endpoints: Endpoints,
    /// Words with one space between two; `None` leaves it to the server.
    pub scope: Option<String>,
    /// Predicted life of a refresh token.
    pub refresh_token_life: Duration,
    /// Each approval is a grant of its own: to revoke one leaves the others alone.
    pub separate_grants: bool,
}

/// A standard server with the code grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OauthCode {
    /// The server.
    pub server: Oauth,
    /// A server whose habits are known.
    pub preset: Option<Preset>,
    /// Where the browser comes back to.
    pub redirect_uri: String,
}

/// Addresses, as text that was checked to be `https`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// RFC 6749 §3.2.
    pub token: Option<String>,
    /// RFC 8628 §3.1.
    pub device_authorization: Option<String>,
    /// RFC 6749 §3.1.
    pub authorization: Option<String>,
    /// RFC 7009 §2.
    pub revocation: Option<String>,
}

/// How long a refresh token is expected to live where nobody says.
const REFRESH_TOKEN_LIFE: Duration = Duration::from_secs(30 * 86_400);

const REDIRECT_URI: &str = "http://127.0.0.1/callback";

impl Provider {
    /// The word in the configuration and on the bus.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::FrameioC2c(_) => "frameio-c2c",
            Self::OauthDevice(_) => "oauth-device",
            Self::OauthCode(_) => "oauth-code",
        }
    }

    /// Whether pairing and refreshing need a client secret.
    #[must_use]
    pub const fn needs_client_secret(&self) -> bool {
        match self {
            Self::FrameioC2c(_) => true,
            Self::OauthDevice(server) | Self::OauthCode(OauthCode { server, .. }) => {
                !matches!(server.client_auth, ClientAuth::None)
            }
        }
    }

    /// The client id that is written in this section.
    pub(super) const fn client_id(&self) -> Option<&String> {
        match self {
            Self::FrameioC2c(_) => None,
            Self::OauthDevice(server) | Self::OauthCode(OauthCode { server, .. }) => server.client_id.as_ref(),
        }
    }

    /// Predicted life of a refresh token.
    #[must_use]
    pub const fn refresh_token_life(&self) -> Duration {
        match self {
            Self::FrameioC2c(_) => Duration::from_secs(14 * 86_400),
            Self::OauthDevice(server) | Self::OauthCode(OauthCode { server, .. }) => server.refresh_token_life,
        }
    }

    /// Whether two pairings of this device are one grant at the server, so that to revoke one could end the other. Frame.io knows a
    /// device by its client id; many standard servers keep one session for each user and client.
    pub(super) const fn sole_grant(&self) -> bool {
        match self {
            Self::FrameioC2c(_) => true,
            Self::OauthDevice(server) | Self::OauthCode(OauthCode { server, .. }) => !server.separate_grants,
        }
    }

    /// Whether a resource tells if a token lives: `GET /v2/devices/me`. Standard servers have none that is common to all.
    pub(super) const fn can_probe(&self) -> bool {
        matches!(self, Self::FrameioC2c(_))
    }

    /// Whether tokens can be ended at the server. Where the server describes itself it shows later; a revocation that has
    /// nowhere to go is then given up.
    #[must_use]
    pub const fn can_revoke(&self) -> bool {
        match self {
            Self::FrameioC2c(_) => true,
            Self::OauthDevice(server) | Self::OauthCode(OauthCode { server, .. }) => {
                server.endpoints.revocation.is_some() || server.issuer.is_some()
            }
        }
    }
}

/// What is written, as it holds.
pub(super) fn provider(
    raw: raw::Provider,
    places: &Places,
    warnings: &mut Vec<String>,
) -> Result<Provider, ConfigError> {
    let kind = raw.kind.unwrap_or(Kind::FrameioC2c);
    foreign_keys(&raw, kind, places)?;
    match kind {
        Kind::FrameioC2c => Ok(Provider::FrameioC2c(FrameioC2c {
            base_uri: raw.base_uri.unwrap_or_else(BaseUri::frameio),
            scope: raw
                .scope
                .map_or_else(|| "asset_create offline".to_owned(), |Scope(words)| words),
            url_pairing: raw.url_pairing.unwrap_or(true),
            device_code_path: raw
                .device_code_path
                .map_or_else(|| "/v2/auth/device/code".to_owned(), |UriPath(path)| path),
            body: raw.body.unwrap_or(BodyKind::Multipart),
        })),
        Kind::OauthDevice => {
            let server = server(raw);
            let Endpoints {
                token,
                device_authorization,
                ..
            } = &server.endpoints;
            if server.issuer.is_none() && (token.is_none() || device_authorization.is_none()) {
                return Err(places.bad(
                    "provider.kind",
                    "this kind needs to know its server; write provider.issuer, or both provider.token-endpoint and \
                     provider.device-authorization-endpoint"
                        .to_owned(),
                ));
            }
            Ok(Provider::OauthDevice(server))
        }
        Kind::OauthCode => code(raw, places, warnings).map(Provider::OauthCode),
    }
}

fn code(mut raw: raw::Provider, places: &Places, warnings: &mut Vec<String>) -> Result<OauthCode, ConfigError> {
    let preset = raw.preset;
    let life_is_written = raw.refresh_token_life.is_some();
    let token_is_written = raw.token_endpoint.is_some();
    let redirect = raw.redirect_uri.take().unwrap_or_else(|| RedirectUri {
        text: REDIRECT_URI.to_owned(),
        loopback: true,
        privileged: false,
    });
    if redirect.privileged {
        warnings.push(
            "provider.redirect-uri: the daemon may not listen on a port below 1024, unless net.ipv4.ip_unprivileged_port_start \
             is lower; write a port from 1024 on"
                .to_owned(),
        );
    }
    let mut server = server(raw);
    if let Some(preset) = preset {
        let life = server.refresh_token_life;
        apply(preset, &mut server, warnings);
        if !token_is_written {
            foreign_issuer(preset, &server, places)?;
        }
        if life_is_written {
            server.refresh_token_life = life;
        }
        if preset == Preset::AdobeIms && redirect.loopback {
            return Err(places.bad(
                "provider.preset",
                "Adobe IMS takes no redirect URI of this machine; write the https address or scheme that is registered \
                 there as provider.redirect-uri, and hand the browser's answer to CompletePairing"
                    .to_owned(),
            ));
        }
    }
    let Endpoints {
        token, authorization, ..
    } = &server.endpoints;
    if server.issuer.is_none() && (token.is_none() || authorization.is_none()) {
        return Err(places.bad(
            "provider.kind",
            "this kind needs to know its server; write provider.issuer, or both provider.authorization-endpoint and \
             provider.token-endpoint, or provider.preset"
                .to_owned(),
        ));
    }
    Ok(OauthCode {
        server,
        preset,
        redirect_uri: redirect.text,
    })
}

fn server(raw: raw::Provider) -> Oauth {
    let address = |endpoint: Option<Endpoint>| endpoint.map(|Endpoint(text)| text);
    Oauth {
        client_id: raw.client_id.map(|id| id.0),
        // RFC 6749 §2.3.1: the one way that every server must know.
        client_auth: raw.client_auth.unwrap_or(ClientAuth::Basic),
        issuer: raw.issuer.map(|Issuer(text)| text),
        endpoints: Endpoints {
            token: address(raw.token_endpoint),
            device_authorization: address(raw.device_authorization_endpoint),
            authorization: address(raw.authorization_endpoint),
            revocation: address(raw.revocation_endpoint),
        },
        scope: raw.scope.map(|Scope(words)| words),
        refresh_token_life: raw.refresh_token_life.map_or(REFRESH_TOKEN_LIFE, |Between(life)| life),
        separate_grants: raw.separate_grants.unwrap_or(false),
    }
}

/// Fills in what is known of a server; what is written stays.
fn apply(preset: Preset, server: &mut Oauth, warnings: &mut Vec<String>) {
    let (authorization, token, revocation, offline, days) = match preset {
        Preset::FrameioApplications => (
            "https://applications.frame.io/oauth2/auth",
            "https://applications.frame.io/oauth2/token",
            None,
            "offline",
            30,
        ),
        Preset::AdobeIms => (
            "https://ims-na1.adobelogin.com/ims/authorize/v2",
            "https://ims-na1.adobelogin.com/ims/token/v3",
            Some("https://ims-na1.adobelogin.com/ims/revoke"),
            "offline_access",
            14,
        ),
    };
    let endpoints = &mut server.endpoints;
    endpoints.authorization.get_or_insert_with(|| authorization.to_owned());
    endpoints.token.get_or_insert_with(|| token.to_owned());
    endpoints.revocation = endpoints.revocation.take().or_else(|| revocation.map(str::to_owned));
    server.refresh_token_life = Duration::from_secs(days * 86_400);
    let asked = server.scope.as_deref().unwrap_or_default();
    if !asked.split(' ').any(|word| word == offline) {
        warnings.push(format!(
            "provider.scope: without \"{offline}\" this server gives no refresh token, and the device must be paired again when its token ends"
        ));
    }
}

/// The issuer of one server beside the addresses of another: left over where a preset was added. It would be asked for what it
/// says of the other, and no answer of the other would be believed.
fn foreign_issuer(preset: Preset, server: &Oauth, places: &Places) -> Result<(), ConfigError> {
    let host = |address: &Option<String>| {
        let rest = address.as_deref()?.strip_prefix("https://")?;
        let host = rest.split('/').next().unwrap_or(rest).to_ascii_lowercase();
        Some(host.strip_suffix(":443").unwrap_or(&host).to_owned())
    };
    let token = host(&server.endpoints.token).unwrap_or_default();
    match host(&server.issuer) {
        Some(issuer) if issuer != token => Err(places.bad(
            "provider.issuer",
            format!(
                "this is another server than that of provider.preset = \"{}\", which is {token}; if that \
                 server speaks the preset's dialect, write provider.token-endpoint as well, else remove one of the two keys",
                preset.word()
            ),
        )),
        Some(_) | None => Ok(()),
    }
}

/// A key that goes with another kind would have no effect, which nobody who wrote it expects.
fn foreign_keys(raw: &raw::Provider, kind: Kind, places: &Places) -> Result<(), ConfigError> {
    use Kind::{FrameioC2c as Frameio, OauthCode as Code, OauthDevice as Device};
    let keys: [(&str, bool, &[Kind]); 15] = [
        ("base-uri", raw.base_uri.is_some(), &[Frameio]),
        ("url-pairing", raw.url_pairing.is_some(), &[Frameio]),
        ("device-code-path", raw.device_code_path.is_some(), &[Frameio]),
        ("body", raw.body.is_some(), &[Frameio]),
        ("client-id", raw.client_id.is_some(), &[Device, Code]),
        ("client-auth", raw.client_auth.is_some(), &[Device, Code]),
        ("issuer", raw.issuer.is_some(), &[Device, Code]),
        ("token-endpoint", raw.token_endpoint.is_some(), &[Device, Code]),
        (
            "revocation-endpoint",
            raw.revocation_endpoint.is_some(),
            &[Device, Code],
        ),
        ("refresh-token-life", raw.refresh_token_life.is_some(), &[Device, Code]),
        ("separate-grants", raw.separate_grants.is_some(), &[Device, Code]),
        (
            "device-authorization-endpoint",
            raw.device_authorization_endpoint.is_some(),
            &[Device],
        ),
        ("authorization-endpoint", raw.authorization_endpoint.is_some(), &[Code]),
        ("redirect-uri", raw.redirect_uri.is_some(), &[Code]),
        ("preset", raw.preset.is_some(), &[Code]),
    ];
    for (key, written, kinds) in keys {
        if written && !kinds.contains(&kind) {
            return Err(places.bad(&format!("provider.{key}"), wrong_kind(kinds, kind)));
        }
    }
    Ok(())
}

/// What is said of a key that goes with `kinds` where the kind is another.
pub(super) fn wrong_kind(kinds: &[Kind], kind: Kind) -> String {
    let kinds: Vec<_> = kinds.iter().map(|kind| format!("\"{}\"", kind.word())).collect();
    format!(
        "this key goes with kind = {}, and the kind is \"{}\"; remove the key, or write the other kind",
        kinds.join(" or "),
        kind.word()
    )
}
