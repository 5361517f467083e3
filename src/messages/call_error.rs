//! The answer to a caller when the core refuses a call: the error's name for programs, its text for
//! people.
//!
//! Owns: one row for each call error and for each fault of the device. Must never: hold anything
//! but fixed text, a number of seconds and the clause about an answer, so that no code and no token
//! can slip in (I8).

use std::borrow::Cow;
use std::time::Duration;

use super::contract::ErrorName as K;
use super::reason::UNTRUSTED;
use c2c_auth_core::{CallError, LocalFault};

/// The error's name, and what is wrong with what to do about it.
fn call_error(error: CallError) -> (K, Cow<'static, str>) {
    let (name, text) = match error {
        CallError::NotProvisioned => (
            K::NotProvisioned,
            "this device is not provisioned: PairingReason names what is missing",
        ),
        CallError::NotPaired => (K::NotPaired, "this device is not paired: call StartPairing"),
        CallError::AlreadyPaired => (
            K::AlreadyPaired,
            "this device is already paired: call Unpair first, or StartPairing with the option \"replace\"",
        ),
        CallError::NoPairing => (K::NoPairing, "no pairing is in progress: call StartPairing"),
        CallError::Offline => (
            K::Offline,
            "the server cannot be reached: check the network; the daemon keeps trying",
        ),
        CallError::ClockNotSet => (
            K::ClockNotSet,
            "the clock is not set, so the server's certificate cannot be checked: set the clock or wait for NTP",
        ),
        CallError::Untrusted => (K::Offline, UNTRUSTED),
        CallError::ClientRejected => (
            K::ClientRejected,
            "the server refuses this client: its id, its secret or what it asks for",
        ),
        CallError::ServerError => (
            K::ServerError,
            "the server gave no usable answer (a captive portal? an outage?), or an access token that cannot be used; the daemon \
             keeps trying, and its journal tells which",
        ),
        CallError::TokenRefused { wait } => {
            let text = format!(
                "the server refused this access token before its end, soon after it had refused another: the next refresh is due in {} s",
                rounded_up(wait)
            );
            return (K::ServerError, Cow::Owned(text));
        }
        CallError::Local(fault) => {
            let fault = local(fault);
            (fault.name, fault.told)
        }
        CallError::StorageFailed => (
            K::StorageFailed,
            "the state directory cannot be written: free some space on its file system, or make it writable",
        ),
        CallError::FlowNotRemoved => (
            K::StorageFailed,
            "the pairing that was in progress has ended, but its file in the runtime directory ($RUNTIME_DIRECTORY, else \
             /run/c2c-authd) cannot be removed, and a restart of c2c-authd could resume it: make that directory writable, then \
             call again",
        ),
        CallError::Timeout => (
            K::Timeout,
            "not finished in time; the work continues, watch the properties",
        ),
        CallError::NotByRedirect => (
            K::NotSupported,
            "this kind of provider is paired by a code, not by a redirect: call GetPairingCode and show the code",
        ),
        CallError::WrongState => (
            K::InvalidArgs,
            "this address does not answer the current authorization request: open the one that GetPairingCode returns",
        ),
        CallError::UnknownGeneration => (
            K::InvalidArgs,
            "there never was a token of this generation: pass the one that GetAccessToken returned",
        ),
        CallError::NotYours => (
            K::AccessDenied,
            "the token of this generation was never handed to this user: call GetAccessToken first",
        ),
        CallError::TooOften { wait } => {
            let text = format!("{TOO_OFTEN}{WAIT}{} s", rounded_up(wait));
            return (K::LimitsExceeded, Cow::Owned(text));
        }
    };
    (name, Cow::Borrowed(text))
}

/// Whole seconds. A caller that waits as long comes in time.
fn rounded_up(wait: Duration) -> u128 {
    wait.as_millis().div_ceil(1000)
}

const TOO_OFTEN: &str = "too many pairing codes were requested: at most one in 5 s, and 30 an hour; ";
const WAIT: &str = "wait ";

/// How long the text of [`CallError::TooOften`] says to wait.
pub(crate) fn wait(text: &str) -> Option<Duration> {
    let (_, rest) = text.rsplit_once(WAIT)?;
    rest.strip_suffix(" s")?.parse().ok().map(Duration::from_secs)
}

/// The same where it is known what was wrong with the server's answer: a clause.
pub(crate) fn call_error_because(error: CallError, because: Option<&str>) -> (K, Cow<'static, str>) {
    let (name, text) = call_error(error);
    let text = match (error, because) {
        (CallError::ServerError, Some(because)) => Cow::Owned(format!("{because}; the daemon keeps trying")),
        (CallError::Offline, Some(because)) => {
            Cow::Owned(format!("{because}: check the network; the daemon keeps trying"))
        }
        (_, _) => text,
    };
    (name, text)
}

/// A fault of the device itself. The daemon keeps trying all the same.
#[derive(Clone, Copy)]
pub(super) struct Local {
    /// The clause for the journal.
    pub clause: &'static str,
    name: K,
    told: &'static str,
}

/// The fault that somebody has to fix on the device.
pub(super) const fn local(fault: LocalFault) -> Local {
    match fault {
        LocalFault::PortTaken => Local {
            clause: "another process has the port of provider.redirect-uri",
            name: K::AddressInUse,
            told: "another process has the port of provider.redirect-uri: free it, or change provider.redirect-uri",
        },
        LocalFault::NoListener => Local {
            clause: "the address of provider.redirect-uri cannot be listened on",
            name: K::Failed,
            told: "the address of provider.redirect-uri cannot be listened on; see: journalctl -u c2c-authd",
        },
        LocalFault::NoEntropy => Local {
            clause: "the system gives no random bytes",
            name: K::Failed,
            told: "the system gives no random bytes, without which no pairing is secure: call again in a moment",
        },
        LocalFault::AnotherIssuer => Local {
            clause: "the server's name for itself differs from provider.issuer",
            name: K::NotSupported,
            told: "the server's metadata names another issuer: set provider.issuer exactly as the server names itself",
        },
        LocalFault::NoEndpoint => Local {
            clause: "the server's metadata lacks an endpoint that this provider.kind needs",
            name: K::NotSupported,
            told: "the server's metadata lacks an endpoint that this provider.kind needs: set it in [provider], or choose another kind",
        },
        LocalFault::NoS256 => Local {
            clause: "the server does not support the PKCE method S256",
            name: K::NotSupported,
            told: "the server does not support the PKCE method S256, without which a code could be stolen: this provider.kind cannot \
             be used with it",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_reads_from_the_text_how_long_to_wait() {
        for (left, told) in [(1, 1), (2_999, 3), (3_000, 3), (3_450_000, 3450)] {
            let error = CallError::TooOften {
                wait: Duration::from_millis(left),
            };
            let (name, text) = call_error(error);
            assert_eq!(
                (name, wait(&text)),
                (K::LimitsExceeded, Some(Duration::from_secs(told)))
            );
            assert!(text.ends_with(&format!("wait {told} s")), "{text}");
        }
        for other in [refused(0), CallError::Timeout, CallError::Offline] {
            assert_eq!(wait(&call_error(other).1), None);
        }
    }

    const fn refused(wait: u64) -> CallError {
        CallError::TokenRefused {
            wait: Duration::from_millis(wait),
        }
    }

    #[test]
    fn a_refused_token_is_no_captive_portal_and_the_text_says_when_a_refresh_is_due() {
        let (name, text) = call_error(refused(239_001));
        assert_eq!(name, K::ServerError);
        assert!(
            text.contains("refused this access token") && text.ends_with("due in 240 s"),
            "{text}"
        );
        assert!(!text.contains("portal"), "{text}");
    }
}
