//! `[provider]`: which kind of server, which keys go with it, and what a kind needs.

use std::time::Duration;

use super::error::ConfigError;
use super::raw;
use super::resolve::Places;
use super::value::{
    Between, DeadWord, Extra, Kind, OauthClientId, ParameterValue, Resource, Scope, UriPath, Word as _, both_grants,
};
use crate::oauth::{
    self, ClientAuth, Encoding, Endpoint, Endpoints, FrameioC2c, Issuer, OauthCode, OauthDevice, Parameter,
    ProviderSettings, Quirks, ServerSettings, Settings, SettingsError,
};
use c2c_auth_core::Secret;

/// Whom the device talks to, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Provider {
    /// As it is written here: [`super::Device`] has the client id and version that hold, and the
    /// secret is no setting.
    pub settings: ProviderSettings,
    /// Predicted life of a refresh token.
    pub refresh_token_life: Duration,
    /// Each approval is a grant of its own: to revoke one leaves the others alone. Frame.io knows a
    /// device by its client id, and many standard servers keep one session for each user and
    /// client.
    pub separate_grants: bool,
}

impl super::Config {
    /// The server as requests are made for it: the settings, with the client that holds.
    ///
    /// # Errors
    /// A setting cannot be put on the wire.
    pub(crate) fn provider_with(&self, client_secret: Option<Secret>) -> Result<oauth::Provider, SettingsError> {
        let client_id = self.device.client_id.clone().unwrap_or_default();
        let server = |settings: &ServerSettings| ServerSettings {
            client_id: client_id.clone(),
            client_secret: client_secret.clone(),
            ..settings.clone()
        };
        Ok(match &self.provider.settings {
            ProviderSettings::FrameioC2c(settings) => oauth::Provider::FrameioC2c(FrameioC2c::new(Settings {
                client_id,
                client_secret,
                client_version: self.device.firmware_version.clone(),
                ..settings.clone()
            })?),
            ProviderSettings::OauthDevice(settings) => oauth::Provider::OauthDevice(OauthDevice::new(server(settings))),
            ProviderSettings::OauthCode(settings, redirect) => {
                oauth::Provider::OauthCode(OauthCode::new(server(settings), redirect.clone()))
            }
        })
    }
}

impl Provider {
    /// The word in the configuration and on the bus.
    #[must_use]
    pub(crate) const fn kind(&self) -> &'static str {
        self.settings.name()
    }

    /// True if pairing and refreshing need a client secret.
    #[must_use]
    pub(crate) fn needs_client_secret(&self) -> bool {
        self.standard().is_none_or(|server| server.auth != ClientAuth::None)
    }

    /// The client id that is written in this section.
    pub(super) fn client_id(&self) -> Option<&String> {
        self.standard()
            .map(|server| &server.client_id)
            .filter(|id| !id.is_empty())
    }

    /// True if a resource tells if a token lives: `GET /v2/devices/me`. Standard servers have none
    /// that is common to all.
    pub(super) const fn can_probe(&self) -> bool {
        self.standard().is_none()
    }

    /// True if tokens can be revoked at the server. A server that describes itself may turn out to
    /// have no such endpoint. Its revocations are then given up.
    #[must_use]
    pub(crate) const fn can_revoke(&self) -> bool {
        match self.standard() {
            None => true,
            Some(server) => server.endpoints.revocation.is_some() || server.issuer.is_some(),
        }
    }

    /// True if a pairing that is in hand was asked for in other words than a new one would be. It
    /// stays as it is: its server is the same.
    #[must_use]
    pub(crate) fn asks_for_other_grants_than(&self, other: &Self) -> bool {
        let both = self.standard().zip(other.standard());
        both.is_some_and(|(ours, theirs)| (&ours.scope, &ours.extra) != (&theirs.scope, &theirs.extra))
    }

    const fn standard(&self) -> Option<&ServerSettings> {
        match &self.settings {
            ProviderSettings::FrameioC2c(_) => None,
            ProviderSettings::OauthDevice(server) | ProviderSettings::OauthCode(server, _) => Some(server),
        }
    }
}

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

/// Resolves the written section, with presets and defaults.
pub(super) fn provider(
    raw: raw::Provider,
    places: &Places,
    warnings: &mut Vec<String>,
) -> Result<Provider, ConfigError> {
    let kind = raw.kind.unwrap_or(Kind::FrameioC2c);
    foreign_keys(&raw, kind, places)?;
    repeated(&raw, places)?;
    let written_life = raw.refresh_token_life.map(|Between(life)| life);
    let separate_grants = raw.separate_grants.unwrap_or(false);
    let (settings, life) = match kind {
        Kind::FrameioC2c => (ProviderSettings::FrameioC2c(frameio(raw)), days(14)),
        Kind::OauthDevice => (ProviderSettings::OauthDevice(device(raw, places)?), days(30)),
        Kind::OauthCode => code(raw, places, warnings)?,
    };
    Ok(Provider {
        settings,
        refresh_token_life: written_life.unwrap_or(life),
        separate_grants,
    })
}

fn frameio(raw: raw::Provider) -> Settings {
    Settings {
        base: raw.base_uri.unwrap_or_default(),
        scope: raw
            .scope
            .map_or_else(|| "asset_create offline".to_owned(), |Scope(words)| words),
        url_pairing: raw.url_pairing.unwrap_or(true),
        device_code_path: raw
            .device_code_path
            .map_or_else(|| "/v2/auth/device/code".to_owned(), |UriPath(path)| path),
        encoding: raw.body.unwrap_or(Encoding::Multipart),
        client_id: String::new(),
        client_secret: None,
        client_version: String::new(),
    }
}

fn device(raw: raw::Provider, places: &Places) -> Result<ServerSettings, ConfigError> {
    let server = server(raw);
    let endpoints = &server.endpoints;
    if server.issuer.is_none() && (endpoints.token.is_none() || endpoints.device_authorization.is_none()) {
        return Err(places.bad(
            "provider.kind",
            "this kind needs to know its server; write provider.issuer, or both provider.token-endpoint and \
             provider.device-authorization-endpoint"
                .to_owned(),
        ));
    }
    Ok(server)
}

/// With the predicted life of this server's refresh tokens.
fn code(
    mut raw: raw::Provider,
    places: &Places,
    warnings: &mut Vec<String>,
) -> Result<(ProviderSettings, Duration), ConfigError> {
    let preset = raw.preset;
    let token_is_written = raw.token_endpoint.is_some();
    let redirect = raw.redirect_uri.take().unwrap_or_default();
    if redirect.is_loopback() && redirect.port().is_some_and(|port| port < 1024) {
        warnings.push(
            "provider.redirect-uri: the daemon may not listen on a port below 1024, unless net.ipv4.ip_unprivileged_port_start \
             is lower; write a port from 1024 on"
                .to_owned(),
        );
    }
    let mut server = server(raw);
    let mut life = days(30);
    if let Some(preset) = preset {
        life = apply(preset, &mut server, warnings);
        if !token_is_written {
            foreign_issuer(preset, &server, places)?;
        }
        if preset == Quirks::AdobeIms && redirect.is_loopback() {
            return Err(places.bad(
                "provider.preset",
                "Adobe IMS takes no redirect URI of this machine; write the https address or scheme that is registered \
                 there as provider.redirect-uri, and hand the browser's answer to CompletePairing"
                    .to_owned(),
            ));
        }
    }
    let endpoints = &server.endpoints;
    if server.issuer.is_none() && (endpoints.token.is_none() || endpoints.authorization.is_none()) {
        return Err(places.bad(
            "provider.kind",
            "this kind needs to know its server; write provider.issuer, or both provider.authorization-endpoint and \
             provider.token-endpoint, or provider.preset"
                .to_owned(),
        ));
    }
    Ok((ProviderSettings::OauthCode(server, redirect), life))
}

fn server(raw: raw::Provider) -> ServerSettings {
    ServerSettings {
        client_id: raw.client_id.map(|OauthClientId(id)| id).unwrap_or_default(),
        client_secret: None,
        auth: raw.client_auth.unwrap_or_default(),
        issuer: raw.issuer,
        endpoints: Endpoints {
            token: raw.token_endpoint,
            device_authorization: raw.device_authorization_endpoint,
            authorization: raw.authorization_endpoint,
            revocation: raw.revocation_endpoint,
        },
        scope: raw.scope.map(|Scope(words)| words),
        extra: parameters(raw.audience, raw.resource, raw.extra),
        dead_words: raw
            .dead_words
            .unwrap_or_default()
            .into_iter()
            .map(|DeadWord(word)| word)
            .collect(),
        pkce: raw.pkce.unwrap_or_default(),
        quirks: raw.preset.unwrap_or_default(),
    }
}

fn parameters(
    audience: Option<ParameterValue>,
    resource: Option<Vec<Resource>>,
    extra: Option<Vec<Extra>>,
) -> Vec<Parameter> {
    let first = |name: &str, value| Parameter {
        name: name.to_owned(),
        value,
        at: both_grants(),
    };
    let audience = audience.map(|ParameterValue(value)| first("audience", value));
    let resource = resource.unwrap_or_default();
    let resource = resource.into_iter().map(|Resource(value)| first("resource", value));
    let extra = extra
        .unwrap_or_default()
        .into_iter()
        .map(|Extra { name, value, at }| Parameter {
            name: name.0,
            value: value.0,
            at,
        });
    audience.into_iter().chain(resource).chain(extra).collect()
}

/// RFC 6749 §3.1: no parameter may be there twice. RFC 8707 §2 lets `resource` be.
fn repeated(raw: &raw::Provider, places: &Places) -> Result<(), ConfigError> {
    let audience = raw.audience.iter().flat_map(|_| both_grants());
    let mut seen: Vec<_> = audience.map(|at| ("audience", at)).collect();
    for Extra { name, at, .. } in raw.extra.iter().flatten() {
        for at in at {
            let one = (name.0.as_str(), *at);
            if name.0 != "resource" && seen.contains(&one) {
                let why = format!("{:?} goes twice into one request; remove one of the two", name.0);
                return Err(places.bad("provider.extra", why));
            }
            seen.push(one);
        }
    }
    Ok(())
}

/// Fills in the known addresses of a server, and keeps those that are written. Returns the life of
/// its refresh tokens.
fn apply(preset: Quirks, server: &mut ServerSettings, warnings: &mut Vec<String>) -> Duration {
    let (authorization, token, revocation, offline, life) = match preset {
        // No preset is called so.
        Quirks::Standard => return days(30),
        Quirks::FrameioApplications => {
            // Its word for a refresh token that was used.
            server.dead_words.push("token_inactive".to_owned());
            (
                "https://applications.frame.io/oauth2/auth",
                "https://applications.frame.io/oauth2/token",
                None,
                "offline",
                days(30),
            )
        }
        Quirks::AdobeIms => (
            "https://ims-na1.adobelogin.com/ims/authorize/v2",
            "https://ims-na1.adobelogin.com/ims/token/v3",
            Some("https://ims-na1.adobelogin.com/ims/revoke"),
            "offline_access",
            days(14),
        ),
    };
    let at = |address: &str| Endpoint::parse(address).ok();
    server.endpoints.fill(&Endpoints {
        token: at(token),
        device_authorization: None,
        authorization: at(authorization),
        revocation: revocation.and_then(at),
    });
    let asked = server.scope.as_deref().unwrap_or_default();
    if !asked.split(' ').any(|word| word == offline) {
        warnings.push(format!(
            "provider.scope: without \"{offline}\" this server gives no refresh token, and the device must be paired again when its token ends"
        ));
    }
    life
}

/// The issuer of one server beside the addresses of another: left over where a preset was added. It
/// would be asked for what it says of the other, and no answer of the other would be believed.
fn foreign_issuer(preset: Quirks, server: &ServerSettings, places: &Places) -> Result<(), ConfigError> {
    let issuer = server.issuer.as_ref().map(Issuer::address);
    match (issuer.map(Endpoint::origin), server.endpoints.token.as_ref().map(Endpoint::origin)) {
        (Some(issuer), Some(token)) if issuer != token => Err(places.bad(
            "provider.issuer",
            format!(
                "this is another server than that of provider.preset = \"{}\", which is {token}; if that \
                 server speaks the preset's dialect, write provider.token-endpoint as well, else remove one of the two keys",
                preset.word()
            ),
        )),
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

/// A key that goes with another kind would have no effect, which nobody who wrote it expects.
fn foreign_keys(raw: &raw::Provider, kind: Kind, places: &Places) -> Result<(), ConfigError> {
    use Kind::{FrameioC2c as Frameio, OauthCode as Code, OauthDevice as Device};
    let keys: [(&str, bool, &[Kind]); 20] = [
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
        ("dead-words", raw.dead_words.is_some(), &[Device, Code]),
        (
            "device-authorization-endpoint",
            raw.device_authorization_endpoint.is_some(),
            &[Device],
        ),
        ("audience", raw.audience.is_some(), &[Device, Code]),
        ("resource", raw.resource.is_some(), &[Device, Code]),
        ("extra", raw.extra.is_some(), &[Device, Code]),
        ("pkce", raw.pkce.is_some(), &[Device]),
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

/// The sentence for a key that goes with `kinds` where the kind is another.
pub(super) fn wrong_kind(kinds: &[Kind], kind: Kind) -> String {
    let kinds: Vec<_> = kinds.iter().map(|kind| format!("\"{}\"", kind.word())).collect();
    format!(
        "this key goes with kind = {}, and the kind is \"{}\"; remove the key, or write the other kind",
        kinds.join(" or "),
        kind.word()
    )
}
