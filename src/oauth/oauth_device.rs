//! `oauth-device`: any server with the device authorization grant of RFC 8628.

use std::time::Duration;

use super::grant::{self, CodeRules, NoCode};
use super::message::{ErrorBody, HttpRequest, HttpResponse};
use super::standard::{
    At, Server, ServerSettings, declines, fault, is_passing, is_throttled, oauth_error_code, poll_goes_on,
    rejects_code, rejects_flow, tokens,
};
use super::{pkce, text};
use c2c_auth_core::{CodeAnswer, CodeVerifier, DeviceCode, ErrorCode, PollAnswer};

pub(super) const CODES: CodeRules = CodeRules {
    user_code: is_fit_to_show,
    may_be_number: true,
    page: None,
    // RFC 8628 §3.2 makes `expires_in` a must. Where a server forgets it, the code is asked for
    // anew after 5 min, which is within what every known server grants.
    life: Duration::from_secs(300),
    // RFC 8628 §3.5: the interval is the server's. One beyond the longest life of a code would mean
    // never.
    longest_interval: grant::CODE_LIFE_MAX,
    names_the_device: false,
};

/// RFC 8628 §6.1 recommends eight letters. The longest code seen in the wild has twelve characters
/// with its dashes.
const USER_CODE_MAX: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct OauthDevice(pub(super) Server);

impl OauthDevice {
    /// Takes the settings as they are: addresses are checked where they are read.
    #[must_use]
    pub(crate) fn new(settings: ServerSettings) -> Self {
        Self(Server::new(settings))
    }

    /// RFC 8628 §3.1, with the challenge of RFC 7636 §4.3 where there is a verifier.
    pub(super) fn device_code(&self, verifier: Option<&CodeVerifier>) -> Option<HttpRequest> {
        let challenge = verifier.map(|verifier| pkce::challenge(verifier.expose()));
        let mut fields = Vec::new();
        fields.extend(self.0.settings.scope.as_deref().map(|scope| ("scope", scope)));
        if let Some(challenge) = &challenge {
            fields.extend([
                ("code_challenge", challenge.as_str()),
                ("code_challenge_method", "S256"),
            ]);
        }
        fields.extend(self.0.extra(At::Device));
        self.0.device_form(&fields)
    }

    /// RFC 8628 §3.4, with the proof of RFC 7636 §4.5 where the code has a challenge.
    pub(super) fn poll(&self, code: &DeviceCode, verifier: Option<&CodeVerifier>) -> Option<HttpRequest> {
        let mut fields = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", code.expose()),
        ];
        fields.extend(verifier.map(|verifier| ("code_verifier", verifier.expose())));
        fields.extend(self.0.extra(At::Token));
        self.0.token_form(&fields)
    }

    /// RFC 8628 §3.2. Errors are as in RFC 6749 §5.2.
    pub(super) fn coded(response: &HttpResponse) -> CodeAnswer {
        if response.status.is_success() {
            match response.object().map(|object| grant::code(&object, &CODES)) {
                Some(Ok(code)) => return CodeAnswer::Granted(code),
                Some(Err(NoCode::BadUserCode)) => return CodeAnswer::BadUserCode,
                Some(Err(NoCode::Unusable(_))) | None => {}
            }
        }
        let oauth_error_code = match response.error() {
            ErrorBody::Word(_) | ErrorBody::ErrorCode(_) if is_throttled(response) => None,
            ErrorBody::Word(word) => rejects_code(&word.to_ascii_lowercase()),
            ErrorBody::ErrorCode(word) => Some(oauth_error_code(&word)),
            ErrorBody::Detailed(_) | ErrorBody::Unreadable => None,
        };
        oauth_error_code.map_or_else(|| CodeAnswer::Failed(fault(response)), CodeAnswer::ClientRejected)
    }

    /// RFC 8628 §3.5. No status is asked for beyond 2xx and 4xx: servers are known to send these
    /// words with 200, 400, 401, 403, 404 and 428. Every word that is not known here ends the code,
    /// as the RFC demands. It is named, and the flow asks for another code a few times. RFC 6749
    /// §1.8 has the words in small letters. Those of a code, by which no pairing ends, are
    /// understood in any.
    pub(super) fn polled(response: &HttpResponse) -> PollAnswer {
        if response.status.is_success()
            && let Some(grant) = tokens(response)
        {
            return PollAnswer::Granted(grant);
        }
        match poll_goes_on(response) {
            Some(PollAnswer::SlowDown(retry_after, _)) => {
                let interval = response.object().and_then(|object| grant::interval(&object, &CODES));
                return PollAnswer::SlowDown(retry_after, interval);
            }
            Some(on) => return on,
            None => {}
        }
        let (ErrorBody::Word(word) | ErrorBody::ErrorCode(word)) = response.error() else {
            return PollAnswer::Failed(fault(response));
        };
        match word.to_ascii_lowercase().as_str() {
            _ if is_throttled(response) => PollAnswer::Failed(response.fault()),
            "expired_token" => PollAnswer::Expired,
            word if declines(word) => PollAnswer::Denied,
            word if is_passing(word) => PollAnswer::Failed(fault(response)),
            // A proxy can make a request malformed. Whatever else it is, another code gets another
            // try.
            "invalid_request" => PollAnswer::CodeUnknown(ErrorCode::new(&word)),
            small => rejects_flow(small).map_or_else(
                || PollAnswer::CodeUnknown(ErrorCode::new(&word)),
                PollAnswer::ClientRejected,
            ),
        }
    }
}

/// Any text that is the same after everything that deceives was taken out of it: a code that is
/// shown otherwise than the server means it would be another code.
fn is_fit_to_show(code: &str) -> bool {
    !code.is_empty() && code.chars().count() <= USER_CODE_MAX && text::name(code) == code
}
