//! What a standard server remembers, and what it answers to whom.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{CLIENT, Document, Habits};
use crate::random;

#[derive(Default)]
pub(super) struct State {
    pub(super) habits: Habits,
    pub(super) issuer: String,
    /// Device code to its state.
    pub(super) devices: BTreeMap<String, Device>,
    /// Authorization code to challenge and redirect URI.
    pub(super) codes: BTreeMap<String, (String, String)>,
    /// Live tokens of either kind, each with its grant.
    pub(super) live: BTreeMap<String, u64>,
    pub(super) grants: u64,
    pub(super) refreshes: u64,
    /// Every secret that was given out, or shown to it, with its kind.
    pub(super) secrets: Vec<(Secret, String)>,
    pub(super) log: Vec<String>,
    pub(super) violations: Vec<String>,
}

/// What nobody but the client and the server may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    /// Of a poll.
    DeviceCode,
    /// What the user types.
    UserCode,
    /// What a redirect has to repeat.
    State,
    /// What a redirect brings.
    AuthorizationCode,
    /// What proves that who exchanges a code asked for it.
    CodeVerifier,
    /// For resources.
    AccessToken,
    /// For the next access token.
    RefreshToken,
}

pub(super) struct Device {
    pub(super) user_code: String,
    pub(super) verdict: Option<bool>,
}

impl State {
    pub(super) fn act(&mut self, method: &Method, path: &str, fields: &Fields) -> (u16, Value) {
        let known = fields.get("client_id") == Some(CLIENT);
        match (method.as_str(), path) {
            ("GET", "/.well-known/openid-configuration") if self.habits.document != Document::Absent => {
                (200, self.document())
            }
            ("POST", "/device" | "/token" | "/revoke") if !known => refuse("invalid_client"),
            ("POST", "/device") => self.device(),
            ("POST", "/token") => match fields.get("grant_type") {
                Some("urn:ietf:params:oauth:grant-type:device_code") => self.poll(fields),
                Some("authorization_code") => self.exchange(fields),
                Some("refresh_token") => self.refresh(fields),
                _ => refuse("unsupported_grant_type"),
            },
            ("POST", "/revoke") => {
                // RFC 7009 §2.1: the whole grant ends with its refresh token; here with either.
                let grant = fields.get("token").and_then(|token| self.live.get(token).copied());
                self.live.retain(|_, of| Some(*of) != grant);
                (200, Value::Null)
            }
            _ => (404, json!({"error": "not_found"})),
        }
    }

    fn document(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        json!({
            "issuer": if self.habits.document == Document::Misnamed { at("/") } else { at("") },
            "authorization_endpoint": at("/authorize"),
            "device_authorization_endpoint": at("/device"),
            "token_endpoint": at("/token"),
            "revocation_endpoint": at("/revoke"),
            "code_challenge_methods_supported": [if self.habits.document == Document::Plain { "plain" } else { "S256" }],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    fn device(&mut self) -> (u16, Value) {
        let user_code = format!("{}-{}", &token()[..4], &token()[..4]);
        let device_code = token();
        let device = Device {
            user_code: user_code.clone(),
            verdict: None,
        };
        self.devices.insert(device_code.clone(), device);
        self.secrets.push((Secret::DeviceCode, device_code.clone()));
        self.secrets.push((Secret::UserCode, user_code.clone()));
        let page = format!("{}/activate", self.issuer);
        let answer = json!({
            "device_code": device_code, "user_code": user_code, "verification_uri": page, "expires_in": 600, "interval": 1,
        });
        (200, answer)
    }

    fn poll(&mut self, fields: &Fields) -> (u16, Value) {
        let code = fields.get("device_code").unwrap_or_default();
        match self.devices.get(code).map(|device| device.verdict) {
            None => refuse("invalid_grant"),
            Some(None) => refuse("authorization_pending"),
            Some(Some(false)) => refuse("access_denied"),
            Some(Some(true)) => {
                self.devices.remove(code);
                self.grants += 1;
                self.grant(self.grants, true)
            }
        }
    }

    fn exchange(&mut self, fields: &Fields) -> (u16, Value) {
        let Some((challenge, redirect)) = fields.get("code").and_then(|code| self.codes.remove(code)) else {
            return refuse("invalid_grant");
        };
        let verifier = fields.get("code_verifier").unwrap_or_default();
        self.secrets.push((Secret::CodeVerifier, verifier.to_owned()));
        let proven = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == challenge;
        if !proven || fields.get("redirect_uri") != Some(&redirect) {
            return refuse("invalid_grant");
        }
        self.grants += 1;
        self.grant(self.grants, true)
    }

    fn refresh(&mut self, fields: &Fields) -> (u16, Value) {
        if let Some(word) = self.habits.refuses_refresh {
            return refuse(word);
        }
        let token = fields.get("refresh_token").unwrap_or_default();
        let Some(grant) = self.live.get(token).copied() else {
            return refuse("invalid_grant");
        };
        if self.habits.rotates {
            self.live.remove(token);
        }
        self.refreshes += 1;
        self.grant(grant, self.habits.rotates)
    }

    fn grant(&mut self, grant: u64, renewable: bool) -> (u16, Value) {
        let access = token();
        self.live.insert(access.clone(), grant);
        self.secrets.push((Secret::AccessToken, access.clone()));
        let mut answer = json!({"access_token": access, "token_type": "Bearer"});
        if let Some(life) = self.habits.token_life {
            answer["expires_in"] = json!(life);
        }
        if renewable {
            let refresh = token();
            self.live.insert(refresh.clone(), grant);
            self.secrets.push((Secret::RefreshToken, refresh.clone()));
            answer["refresh_token"] = json!(refresh);
        }
        (200, answer)
    }
}

/// RFC 6749 §5.2.
fn refuse(word: &str) -> (u16, Value) {
    (400, json!({ "error": word }))
}

pub(super) fn token() -> String {
    URL_SAFE_NO_PAD.encode(random::bytes::<24>()).replace(['-', '_'], "x")
}

/// A form or query; shown without its values, most of which are secrets.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn read(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(key, _)| key == name);
        // RFC 6749 §3.1: none may be there twice.
        let value = values.next()?;
        values.next().is_none().then_some(value.1.as_str())
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
