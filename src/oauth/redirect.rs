//! The answer that a browser brings back from the server (RFC 6749 §4.1.2, RFC 9207).
//!
//! Whatever is read here may have been written by anybody: another process on the board, a page in
//! the same browser, a person who pastes. Nothing is believed but what names the `state` of the
//! flow, and that is compared elsewhere.

use zeroize::Zeroizing;

use super::standard::{declines, rejects_flow};
use super::uri::RedirectUri;
use c2c_auth_core::{AuthorizationCode, Redirect, RedirectOutcome, StateParameter};

/// Longest address that is read. RFC 9110 §4.1 recommends 8000 octets at least. The listener reads
/// no more.
pub(crate) const REDIRECT_MAX: usize = 8 * 1024;

/// Why an address brings nothing. No text quotes the address: it may hold a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub(crate) enum RedirectError {
    // Longer than [`REDIRECT_MAX`].
    #[error("the address is too long")]
    TooLong,
    /// Another scheme, host, port or path.
    #[error("the address is not the redirect URI of this device: pass the whole address that the browser was sent to")]
    NotOurs,
    // No `state`.
    #[error("the address names no state: pass the whole address that the browser was sent to")]
    NoState,
    /// RFC 6749 §3.1: no parameter may be there twice. Only the parameters that are read are held
    /// to it.
    #[error("a parameter of the address is there twice")]
    Repeated,
    // RFC 9207 §2.4.
    #[error("the address is another server's answer")]
    AnotherIssuer,
    /// Neither `code` nor `error`, or both, or one that is none.
    #[error("the address holds neither a code nor an error")]
    Nothing,
}

/// The rules for what an answer says of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct From<'a> {
    /// Its name, where it is known.
    pub(super) issuer: Option<&'a str>,
    /// It promised to name itself in every answer (RFC 9207 §3).
    pub(super) always: bool,
}

impl RedirectUri {
    /// Reads the address that a browser was sent to.
    pub(super) fn read(&self, address: &str, from: From<'_>) -> Result<Redirect, RedirectError> {
        if address.len() > REDIRECT_MAX {
            return Err(RedirectError::TooLong);
        }
        // Some servers add a fragment ("#_=_"). It is not part of the answer.
        let address = address.split_once('#').map_or(address, |(address, _)| address);
        let (left, query) = address.split_once('?').unwrap_or((address, ""));
        if !self.matches(left) {
            return Err(RedirectError::NotOurs);
        }
        let answer = Parameters::read(query)?;
        match (answer.iss, from.issuer) {
            (Some(said), Some(known)) if said.as_str() != known => return Err(RedirectError::AnotherIssuer),
            (None, _) if from.always => return Err(RedirectError::AnotherIssuer),
            // Without a name of our own to compare with, a name proves nothing either way.
            (Some(_) | None, _) => {}
        }
        let state = answer
            .state
            .filter(|state| visible(state))
            .ok_or(RedirectError::NoState)?;
        let outcome = match (answer.code, answer.error.as_ref().map(|word| word.as_str())) {
            // RFC 6749 appendix A.11.
            (Some(code), None) if visible(&code) => RedirectOutcome::Code(AuthorizationCode::new(take(code))),
            (None, Some(word)) if declines(word) => RedirectOutcome::Denied,
            (None, Some(word)) if visible(word) => {
                rejects_flow(word).map_or(RedirectOutcome::Failed, RedirectOutcome::ClientRejected)
            }
            (Some(_) | None, Some(_) | None) => return Err(RedirectError::Nothing),
        };
        Ok(Redirect {
            state: StateParameter::new(take(state)),
            outcome,
        })
    }
}

/// The parameters that count, each at most once, wiped when dropped. RFC 6749 §4.1.2: others are
/// ignored.
#[derive(Default)]
struct Parameters {
    state: Option<Zeroizing<String>>,
    code: Option<Zeroizing<String>>,
    error: Option<Zeroizing<String>>,
    iss: Option<Zeroizing<String>>,
}

impl Parameters {
    fn read(query: &str) -> Result<Self, RedirectError> {
        let mut found = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "state" => &mut found.state,
                "code" => &mut found.code,
                "error" => &mut found.error,
                "iss" => &mut found.iss,
                _ => continue,
            };
            if slot.replace(Zeroizing::new(value.into_owned())).is_some() {
                return Err(RedirectError::Repeated);
            }
        }
        Ok(found)
    }
}

/// Moves the text to where it is wiped as well.
fn take(mut text: Zeroizing<String>) -> String {
    std::mem::take(&mut text)
}

/// RFC 6749 appendix A: `1*VSCHAR`. What was not UTF-8 is not visible ASCII either.
fn visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
