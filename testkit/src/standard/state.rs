//! The memory of a standard server, and its answers.

use std::{collections::BTreeMap, fmt, time::Instant};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Dialect, Document, Quirks, Said,
    dialect::{Call, Refusal},
};
use crate::random;

#[derive(Default)]
pub(super) struct State {
    pub(super) quirks: Quirks,
    /// How many answers were shaped.
    pub(super) shapes: usize,
    pub(super) issuer: String,
    /// Device code to its state.
    pub(super) devices: BTreeMap<String, Device>,
    /// Authorization code to the request that it answers.
    pub(super) codes: BTreeMap<String, Asked>,
    /// Live tokens of either kind, each with its grant.
    pub(super) live: BTreeMap<String, u64>,
    /// Refresh tokens that were used up, each with its grant and when it was used first.
    pub(super) retired: BTreeMap<String, (u64, Instant)>,
    /// The scope of each grant by code.
    pub(super) scopes: BTreeMap<u64, String>,
    pub(super) grants: u64,
    /// Every secret that was given out, or shown to it, with its kind.
    pub(super) secrets: Vec<(Secret, String)>,
    pub(super) log: Vec<String>,
    pub(super) violations: Vec<String>,
}

/// The secrets that nobody but the client and the server may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    /// The device polls with it.
    DeviceCode,
    /// The user types it.
    UserCode,
    /// A redirect has to repeat it.
    State,
    /// A redirect brings it.
    AuthorizationCode,
    /// It proves that the client that exchanges a code asked for it.
    CodeVerifier,
    /// For resources.
    AccessToken,
    /// For the next access token.
    RefreshToken,
}

pub(super) struct Device {
    pub(super) user_code: String,
    pub(super) verdict: Option<bool>,
    pub(super) expired: bool,
    pub(super) challenge: Option<String>,
}

/// The browser's authorization request.
pub(super) struct Asked {
    pub(super) challenge: String,
    pub(super) redirect: String,
    pub(super) state: String,
    pub(super) scope: String,
}

impl State {
    pub(super) fn act(&mut self, call: &Call) -> (u16, Value) {
        let (dialect, paths) = (self.quirks.dialect, self.quirks.dialect.paths());
        let path = call.path.as_str();
        let described = paths.others && self.quirks.document != Document::Absent;
        let device = paths.others && path == "/device";
        let token = path == paths.token;
        let revocation = paths.revocation == Some(path);
        match call.method.as_str() {
            "GET" if described && path == "/.well-known/openid-configuration" => return (200, self.document()),
            "POST" if device || token || revocation => {}
            _ => return (404, json!({"error": "not_found"})),
        }
        let judged = dialect.proves(&self.quirks.client, call).and_then(|()| {
            let grant = call.form.get("grant_type");
            let at = if device {
                "device"
            } else if grant == Some("refresh_token") {
                "refresh"
            } else {
                "token"
            };
            if dialect == Dialect::Standard && !revocation {
                self.quirks.rules.allows(at, call)?;
            }
            let complete = if token {
                dialect.complete(&self.quirks.client, call)
            } else {
                Ok(())
            };
            complete.map(|()| grant)
        });
        let grant = match judged {
            Ok(grant) => grant,
            Err(refusal) => return self.violated(&format!("{} {path}", call.method), &refusal),
        };
        let form = &call.form;
        if device {
            let answer = self.device(form);
            return self.shaped("device", answer);
        }
        if revocation {
            // RFC 7009 §2.1: the whole grant ends with its refresh token. Here it ends with either.
            let grant = form.get("token").and_then(|token| self.live.get(token).copied());
            self.live.retain(|_, of| Some(*of) != grant);
            return (200, Value::Null);
        }
        let answer = match grant {
            Some("urn:ietf:params:oauth:grant-type:device_code") if paths.others => self.poll(form),
            Some("authorization_code") => self.exchange(form),
            Some("refresh_token") => self.refresh(form),
            _ => refuse("unsupported_grant_type"),
        };
        self.shaped("token", answer)
    }

    fn shaped(&mut self, at: &str, (status, answer): (u16, Value)) -> (u16, Value) {
        let Some(shape) = self.quirks.shape else {
            return (status, answer);
        };
        self.shapes += 1;
        shape(self.shapes, at, status, answer)
    }

    /// A browser comes: where it is sent to.
    pub(super) fn authorize(&mut self, authorization_uri: &str, approve: bool) -> Option<String> {
        let (endpoint, query) = authorization_uri.split_once('?')?;
        let fields = Fields::read(query.as_bytes());
        let dialect = self.quirks.dialect;
        let path = dialect.paths().authorization;
        let known = endpoint == format!("{}{path}", self.issuer);
        if !known {
            self.violations.push(format!("no authorization endpoint: {endpoint}"));
            return None;
        }
        let judged = dialect.authorizes(&fields).and_then(|()| match dialect {
            Dialect::Standard => self.quirks.rules.takes("authorize", &fields),
            Dialect::FrameioApplications | Dialect::AdobeIms => Ok(()),
        });
        if let Err(refusal) = judged {
            let (status, _) = self.violated(&format!("GET {path}"), &refusal);
            self.log.push(format!("GET {path} {status} {}", refusal.error));
            return None;
        }
        let get = |name: &str| fields.get(name).unwrap_or_default().to_owned();
        let asked = Asked {
            challenge: get("code_challenge"),
            redirect: get("redirect_uri"),
            state: get("state"),
            scope: get("scope"),
        };
        self.secrets.push((Secret::State, asked.state.clone()));
        let redirect = asked.redirect.clone();
        let mut query = form_urlencoded::Serializer::new(String::new());
        if approve {
            let code = token();
            query.append_pair("code", &code);
            query.append_pair("state", &asked.state);
            if dialect == Dialect::FrameioApplications {
                query.append_pair("scope", &asked.scope);
            }
            self.secrets.push((Secret::AuthorizationCode, code.clone()));
            self.codes.insert(code, asked);
        } else {
            query.append_pair("error", "access_denied");
            query.append_pair("state", &asked.state);
        }
        if dialect == Dialect::Standard {
            query.append_pair("iss", &self.issuer);
        }
        Some(format!("{redirect}?{}", query.finish()))
    }

    /// A request that no client may send.
    pub(super) fn violated(&mut self, what: &str, refusal: &Refusal) -> (u16, Value) {
        self.violations.push(format!("{what}: {}", refusal.why));
        (refusal.status, json!({ "error": refusal.error }))
    }

    fn document(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        json!({
            "issuer": if self.quirks.document == Document::Misnamed { at("/") } else { at("") },
            "authorization_endpoint": at("/authorize"),
            "device_authorization_endpoint": at("/device"),
            "token_endpoint": at("/token"),
            "revocation_endpoint": at("/revoke"),
            "code_challenge_methods_supported": match self.quirks.document {
                Document::Unlisted => Value::Null,
                Document::Plain => json!(["plain"]),
                Document::Good | Document::Absent | Document::Misnamed => json!(["S256"]),
            },
            "authorization_response_iss_parameter_supported": true,
        })
    }

    fn device(&mut self, form: &Fields) -> (u16, Value) {
        let user_code = format!("{}-{}", &token()[..4], &token()[..4]);
        let device_code = token();
        let device = Device {
            user_code: user_code.clone(),
            verdict: None,
            expired: false,
            challenge: form.get("code_challenge").map(ToOwned::to_owned),
        };
        self.devices.insert(device_code.clone(), device);
        self.secrets.push((Secret::DeviceCode, device_code.clone()));
        self.secrets.push((Secret::UserCode, user_code.clone()));
        let page = format!("{}/activate", self.issuer);
        let rules = &self.quirks.rules;
        let mut answer = json!({
            "device_code": device_code, "user_code": user_code, rules.page: page, "expires_in": 600, "interval": 1,
        });
        if rules.complete {
            answer["verification_uri_complete"] = json!(format!("{page}?user_code={user_code}"));
        }
        (200, answer)
    }

    fn poll(&mut self, fields: &Fields) -> (u16, Value) {
        let rules = self.quirks.rules;
        let said = |(status, word): Said| (status, json!({ "error": word }));
        let code = fields.get("device_code").unwrap_or_default();
        let Some(device) = self.devices.get(code) else {
            return said(rules.unknown);
        };
        if let Some(verifier) = fields.get("code_verifier") {
            self.secrets.push((Secret::CodeVerifier, verifier.to_owned()));
        }
        // RFC 7636 §4.6, and §4.4.1's downgrade: a proof that nobody asked for.
        let proof = fields
            .get("code_verifier")
            .map(|verifier| URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)));
        if proof != device.challenge {
            self.violations
                .push("a poll without the proof of its own code".to_owned());
            return refuse("invalid_grant");
        }
        match device.verdict {
            _ if device.expired => said(rules.expired),
            None => said(rules.pending),
            Some(false) => said(rules.denied),
            Some(true) => {
                self.devices.remove(code);
                self.grants += 1;
                self.grant(self.grants, true)
            }
        }
    }

    fn exchange(&mut self, fields: &Fields) -> (u16, Value) {
        let Some(asked) = fields.get("code").and_then(|code| self.codes.remove(code)) else {
            return refuse("invalid_grant");
        };
        let verifier = fields.get("code_verifier").unwrap_or_default();
        self.secrets.push((Secret::CodeVerifier, verifier.to_owned()));
        let proven = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == asked.challenge;
        if !proven || fields.get("redirect_uri") != Some(&asked.redirect) {
            return refuse("invalid_grant");
        }
        // A dialect that wants them wants those of the authorization request.
        let same = |name: &str, first: &str| fields.get(name).is_none_or(|again| again == first);
        if !same("state", &asked.state) || !same("scope", &asked.scope) {
            return refuse("invalid_grant");
        }
        self.grants += 1;
        let offline = self.quirks.dialect.offline();
        let renewable = offline.is_none_or(|word| asked.scope.split(' ').any(|one| one == word));
        self.scopes.insert(self.grants, asked.scope);
        self.grant(self.grants, renewable)
    }

    fn refresh(&mut self, fields: &Fields) -> (u16, Value) {
        if let Some(word) = self.quirks.refuses_refresh {
            return refuse(word);
        }
        let token = fields.get("refresh_token").unwrap_or_default();
        let used = self.retired.get(token).copied();
        let window = self.quirks.reuse_window;
        let again = used.filter(|(_, first)| window.is_some_and(|window| first.elapsed() < window));
        if let Some((grant, _)) = again {
            // The tokens of its first use give way.
            self.live.retain(|_, of| *of != grant);
        }
        let Some(grant) = self.live.get(token).copied().or(again.map(|(grant, _)| grant)) else {
            // Whoever holds a used token may have stolen it, so its grant ends as well.
            if let Some((grant, _)) = self.retired.remove(token) {
                self.live.retain(|_, of| *of != grant);
            }
            let (status, word) = self.quirks.dialect.dead(&self.quirks.rules);
            return (
                status,
                json!({ "error": word, "error_description": "expired, used or never there" }),
            );
        };
        // RFC 6749 §6: nothing beyond what was granted.
        let granted = self.scopes.get(&grant).map(String::as_str).unwrap_or_default();
        let beyond = |word: &str| !granted.split(' ').any(|one| one == word);
        if fields.get("scope").is_some_and(|scope| scope.split(' ').any(beyond)) {
            return refuse("invalid_scope");
        }
        if self.quirks.rotates {
            self.live.remove(token);
            self.retired.entry(token.to_owned()).or_insert((grant, Instant::now()));
        }
        self.grant(grant, self.quirks.rotates)
    }

    fn grant(&mut self, grant: u64, renewable: bool) -> (u16, Value) {
        let (access_length, refresh_length) = self.quirks.token_lengths;
        let access = random::padded(token(), access_length);
        self.live.insert(access.clone(), grant);
        self.secrets.push((Secret::AccessToken, access.clone()));
        let kind = if self.quirks.dialect == Dialect::Standard {
            "Bearer"
        } else {
            "bearer"
        };
        let mut answer = json!({"access_token": access, "token_type": kind});
        if self.quirks.dialect == Dialect::FrameioApplications {
            answer["scope"] = json!(self.scopes.get(&grant));
        }
        if let Some(life) = self.quirks.next_life.take().or(self.quirks.token_life) {
            answer["expires_in"] = json!(life);
        }
        if renewable {
            let refresh = random::padded(token(), refresh_length);
            self.live.insert(refresh.clone(), grant);
            self.secrets.push((Secret::RefreshToken, refresh.clone()));
            answer["refresh_token"] = json!(refresh);
        }
        (200, answer)
    }
}

// RFC 6749 §5.2.
fn refuse(word: &str) -> (u16, Value) {
    (400, json!({ "error": word }))
}

pub(super) fn token() -> String {
    URL_SAFE_NO_PAD.encode(random::bytes::<24>()).replace(['-', '_'], "x")
}

/// A form or query. Shown without its values, most of which are secrets.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn read(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let fields = self.0.iter().filter(move |(key, _)| key == name);
        fields.map(|(_, value)| value.as_str())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.all(name);
        // RFC 6749 §3.1: none may be there twice.
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls an approved code, whose verifier is "v", with this one.
    fn polled_with(verifier: Option<&str>) -> (u16, usize) {
        let mut state = State::default();
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest("v"));
        let (_, answer) = state.device(&Fields(vec![("code_challenge".to_owned(), challenge)]));
        for device in state.devices.values_mut() {
            device.verdict = Some(true);
        }
        let code = answer["device_code"].as_str().unwrap_or_default().to_owned();
        let verifier = verifier.map(|verifier| ("code_verifier".to_owned(), verifier.to_owned()));
        let form = [("device_code".to_owned(), code)].into_iter().chain(verifier);
        let (status, _) = state.poll(&Fields(form.collect()));
        (status, state.violations.len())
    }

    #[test]
    fn a_code_is_given_for_its_own_verifier_alone() {
        assert_eq!(polled_with(Some("v")), (200, 0));
        assert_eq!(polled_with(Some("w")), (400, 1));
        assert_eq!(polled_with(None), (400, 1));
    }
}
