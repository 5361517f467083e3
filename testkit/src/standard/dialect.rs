//! How strict a server is with its client: what each dialect demands of a request before anything
//! in it is believed.
//!
//! Stricter than the real ones may be, and never laxer than their documents: whatever these take,
//! those take.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::Method;

use super::{
    CLIENT,
    rules::{Rules, Said},
    state::Fields,
};

/// Whose quirks the server has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// The RFCs'.
    #[default]
    Standard,
    /// Frame.io's OAuth 2 applications: `scope` with each token request, `state` with the exchange.
    /// A token or code that was used once is called `token_inactive`. Nothing can be revoked.
    FrameioApplications,
    /// Adobe IMS: a public client's id is in the query. There is no redirect to this machine. A
    /// refresh token may serve for long.
    AdobeIms,
}

/// Which client the server knows, besides its id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Client {
    /// It has no secret and proves itself by PKCE.
    #[default]
    Public,
    /// It has this secret, and sends it in the `Authorization` header and nowhere else.
    Confidential(String),
    /// It has this secret, and sends it in the form and nowhere else.
    Posted(String),
}

/// The places of a dialect.
pub(super) struct Paths {
    pub(super) authorization: &'static str,
    pub(super) token: &'static str,
    pub(super) revocation: Option<&'static str>,
    /// Device grant and description.
    pub(super) others: bool,
}

pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) authorization: Option<String>,
    pub(super) query: Fields,
    pub(super) form: Fields,
}

/// The fault of a client: the error that it gets, and the explanation for the test.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) error: &'static str,
    pub(super) why: &'static str,
}

pub(super) const fn refusal(status: u16, error: &'static str, why: &'static str) -> Refusal {
    Refusal { status, error, why }
}

impl Dialect {
    pub(super) const fn paths(self) -> Paths {
        match self {
            Self::Standard => Paths {
                authorization: "/authorize",
                token: "/token",
                revocation: Some("/revoke"),
                others: true,
            },
            Self::FrameioApplications => Paths {
                authorization: "/oauth2/auth",
                token: "/oauth2/token",
                revocation: None,
                others: false,
            },
            Self::AdobeIms => Paths {
                authorization: "/ims/authorize/v2",
                token: "/ims/token/v3",
                revocation: Some("/ims/revoke"),
                others: false,
            },
        }
    }

    /// The word without which there is no refresh token. `None`: there always is one.
    pub(super) const fn offline(self) -> Option<&'static str> {
        match self {
            Self::Standard => None,
            Self::FrameioApplications => Some("offline"),
            Self::AdobeIms => Some("offline_access"),
        }
    }

    /// The error for a refresh token that is not live.
    pub(super) const fn dead(self, rules: &Rules) -> Said {
        match self {
            Self::Standard => rules.dead,
            Self::AdobeIms => (400, "invalid_grant"),
            Self::FrameioApplications => (401, "token_inactive"),
        }
    }

    /// Checks that this is the one client, proven in the one way that it was registered with.
    pub(super) fn proves(self, client: &Client, call: &Call) -> Result<(), Refusal> {
        let fault = |why| Err(refusal(401, "invalid_client", why));
        if let Client::Posted(secret) = client {
            let (id, said) = (call.form.get("client_id"), call.form.get("client_secret"));
            return match &call.authorization {
                None if id == Some(CLIENT) && said == Some(secret) => Ok(()),
                None => fault("not its id and secret in the form"),
                Some(_) => fault("an Authorization header"),
            };
        }
        if call.form.has("client_secret") || call.query.has("client_secret") {
            return fault("a secret outside of the header");
        }
        // RFC 6749 §3.2: no parameter twice, and an id in both places is there twice.
        let ids = (call.query.get("client_id"), call.form.get("client_id"));
        match client {
            Client::Confidential(secret) => match &call.authorization {
                Some(line) if !is_basic(line, secret) => fault("not its secret"),
                Some(_) if call.query.is_empty() => Ok(()),
                Some(_) => fault("a query"),
                None => fault("no Authorization header"),
            },
            // Judged above.
            Client::Posted(_) => Ok(()),
            Client::Public if call.authorization.is_some() => fault("an Authorization header without a secret"),
            Client::Public => match (self, ids) {
                (Self::Standard | Self::FrameioApplications, (None, Some(CLIENT))) if call.query.is_empty() => Ok(()),
                (Self::AdobeIms, (Some(CLIENT), None)) if call.query.len() == 1 && !call.form.has("client_id") => {
                    Ok(())
                }
                (Self::Standard | Self::FrameioApplications, _) => fault("its id is not in the form, once"),
                (Self::AdobeIms, _) => fault("its id is not in the query, once and alone"),
            },
        }
    }

    /// Checks that the token endpoint has all it wants beside the grant itself.
    pub(super) fn complete(self, client: &Client, call: &Call) -> Result<(), Refusal> {
        let fault = |why| Err(refusal(400, "invalid_request", why));
        let exchange = call.form.get("grant_type") == Some("authorization_code");
        let verifier = call.form.get("code_verifier").unwrap_or_default();
        match self {
            Self::FrameioApplications if call.form.get("scope").is_none_or(str::is_empty) => {
                fault("a token request without scope")
            }
            Self::FrameioApplications if exchange && call.form.get("state").is_none_or(|state| state.len() < 8) => {
                fault("an exchange without state, or with a short one")
            }
            Self::AdobeIms if exchange && *client == Client::Public && verifier.len() < 43 => {
                fault("a verifier below 43 characters")
            }
            Self::Standard | Self::FrameioApplications | Self::AdobeIms => Ok(()),
        }
    }

    /// Checks that a browser may be sent here with this query.
    pub(super) fn authorizes(self, query: &Fields) -> Result<(), Refusal> {
        let fault = |why| Err(refusal(400, "invalid_request", why));
        let has = |name: &str| query.get(name).is_some_and(|value| !value.is_empty());
        let words = |word: &str| {
            query
                .get("scope")
                .is_some_and(|scope| scope.split(' ').any(|one| one == word))
        };
        if query.get("response_type") != Some("code") || query.get("client_id") != Some(CLIENT) {
            return fault("not this client's request for a code");
        }
        // Without the method, `plain` would be meant (RFC 7636 §4.3).
        let challenge = query.get("code_challenge").unwrap_or_default();
        if query.get("code_challenge_method") != Some("S256") || challenge.len() != 43 {
            return fault("not PKCE by S256");
        }
        let state = query.get("state").unwrap_or_default();
        if !(8..=4096).contains(&state.len()) {
            return fault("a state below 8 or above 4096 characters");
        }
        if !has("redirect_uri") {
            return fault("no redirect URI");
        }
        match self {
            Self::FrameioApplications if !has("scope") => fault("no scope"),
            Self::AdobeIms if !words("openid") => fault("a scope without openid"),
            Self::AdobeIms if query.get("redirect_uri").is_some_and(|uri| uri.starts_with("http:")) => {
                fault("a redirect URI in clear")
            }
            Self::Standard | Self::FrameioApplications | Self::AdobeIms => Ok(()),
        }
    }
}

/// RFC 6749 §2.3.1 and RFC 7617.
fn is_basic(line: &str, secret: &str) -> bool {
    let said = line.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok());
    let said = said.and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = |text: &str| {
        let pairs = format!("x={text}");
        form_urlencoded::parse(pairs.as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
    };
    said.as_deref()
        .and_then(|pair| pair.split_once(':'))
        .is_some_and(|(id, word)| decoded(id).as_deref() == Some(CLIENT) && decoded(word).as_deref() == Some(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s:e c+ret";

    fn call(authorization: Option<&str>, query: &str, form: &str) -> Call {
        Call {
            method: Method::POST,
            path: "/token".to_owned(),
            authorization: authorization.map(ToOwned::to_owned),
            query: Fields::read(query.as_bytes()),
            form: Fields::read(form.as_bytes()),
        }
    }

    #[test]
    fn a_client_has_one_way_to_prove_itself() {
        use Dialect::{AdobeIms, FrameioApplications, Standard};
        let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:s%3Ae+c%2Bret")));
        let bare = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{SECRET}")));
        let confidential = Client::Confidential(SECRET.to_owned());
        let id = "client_id=camera-app";
        for (dialect, client, call, good) in [
            (FrameioApplications, &Client::Public, call(None, "", id), true),
            (FrameioApplications, &Client::Public, call(None, "", ""), false),
            (FrameioApplications, &Client::Public, call(Some(&basic), "", id), false),
            (FrameioApplications, &Client::Public, call(None, id, ""), false),
            (FrameioApplications, &confidential, call(Some(&basic), "", ""), true),
            (FrameioApplications, &confidential, call(Some(&bare), "", ""), false),
            (
                FrameioApplications,
                &confidential,
                call(None, "", "client_id=camera-app&client_secret=s"),
                false,
            ),
            (
                FrameioApplications,
                &confidential,
                call(Some(&basic), "", "client_secret=s"),
                false,
            ),
            (AdobeIms, &Client::Public, call(None, id, ""), true),
            (AdobeIms, &Client::Public, call(None, "", id), false),
            (AdobeIms, &Client::Public, call(None, id, id), false),
            (AdobeIms, &confidential, call(Some(&basic), "", ""), true),
            (AdobeIms, &confidential, call(Some(&basic), id, ""), false),
            (Standard, &Client::Public, call(None, "", id), true),
            (
                Standard,
                &Client::Public,
                call(None, "", "client_id=camera-app&client_id=camera-app"),
                false,
            ),
        ] {
            let said = dialect.proves(client, &call);
            assert_eq!(said.is_ok(), good, "{dialect:?} {client:?} {said:?}");
        }
    }

    #[test]
    fn a_token_request_is_complete_only_with_what_the_dialect_wants() {
        use Dialect::{AdobeIms, FrameioApplications};
        let verifier = "v".repeat(43);
        for (dialect, form, good) in [
            (FrameioApplications, "grant_type=refresh_token&scope=offline", true),
            (FrameioApplications, "grant_type=refresh_token", false),
            (FrameioApplications, "grant_type=refresh_token&scope=", false),
            (
                FrameioApplications,
                "grant_type=authorization_code&scope=a&state=12345678",
                true,
            ),
            (
                FrameioApplications,
                "grant_type=authorization_code&scope=a&state=1234567",
                false,
            ),
            (FrameioApplications, "grant_type=authorization_code&scope=a", false),
            (
                AdobeIms,
                &format!("grant_type=authorization_code&code_verifier={verifier}"),
                true,
            ),
            (
                AdobeIms,
                &format!("grant_type=authorization_code&code_verifier={}", &verifier[1..]),
                false,
            ),
            (AdobeIms, "grant_type=refresh_token", true),
        ] {
            let said = dialect.complete(&Client::Public, &call(None, "", form));
            assert_eq!(said.is_ok(), good, "{dialect:?} {form} {said:?}");
        }
    }

    #[test]
    fn a_browser_is_let_in_only_with_what_the_dialect_wants() {
        use Dialect::{AdobeIms, FrameioApplications, Standard};
        let good = format!(
            "response_type=code&client_id={CLIENT}&state=12345678&code_challenge={}&code_challenge_method=S256\
             &scope=openid+offline&redirect_uri=app:/",
            "c".repeat(43)
        );
        for dialect in [Standard, FrameioApplications, AdobeIms] {
            assert!(
                dialect.authorizes(&Fields::read(good.as_bytes())).is_ok(),
                "{dialect:?}"
            );
        }
        for (dialect, from, to) in [
            (Standard, "response_type=code", "response_type=token"),
            (Standard, "camera-app", "another"),
            (Standard, "&code_challenge_method=S256", ""),
            (Standard, "=S256", "=plain"),
            (Standard, "state=12345678", "state=1234567"),
            (Standard, "redirect_uri=app:/", ""),
            (FrameioApplications, "scope=openid+offline", ""),
            (AdobeIms, "openid", "email"),
            (AdobeIms, "redirect_uri=app:/", "redirect_uri=http://127.0.0.1/"),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good);
            assert!(
                dialect.authorizes(&Fields::read(bad.as_bytes())).is_err(),
                "{dialect:?} {bad}"
            );
        }
    }
}
