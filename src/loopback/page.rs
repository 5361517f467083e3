//! The pages that a browser is shown. Fixed words: nothing of a request ever comes back.

use c2c_auth_core::{CallError, RedirectOutcome};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    status: &'static str,
    title: &'static str,
    text: &'static str,
    allow: bool,
}

/// The page is complete in itself, is kept nowhere, tells nobody its address (which holds the
/// code), and cannot be framed.
const HEADERS: &str = "content-type: text/html; charset=utf-8\r\n\
    cache-control: no-store\r\n\
    referrer-policy: no-referrer\r\n\
    content-security-policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
    cross-origin-resource-policy: same-origin\r\n\
    x-content-type-options: nosniff\r\n\
    x-frame-options: DENY\r\n\
    connection: close\r\n";

impl Page {
    pub(super) const BAD_REQUEST: Self = Self::bare("400 Bad Request");
    pub(super) const NOT_FOUND: Self = Self::bare("404 Not Found");
    pub(super) const METHOD_NOT_ALLOWED: Self = Self {
        allow: true,
        ..Self::bare("405 Method Not Allowed")
    };

    const fn bare(status: &'static str) -> Self {
        Self {
            status,
            title: "",
            text: "",
            allow: false,
        }
    }

    const fn of_kind(status: &'static str, title: &'static str, text: &'static str) -> Self {
        Self {
            status,
            title,
            text,
            allow: false,
        }
    }

    /// The page for whoever came with the right `state`.
    pub(super) const fn of(outcome: &RedirectOutcome, result: Result<(), CallError>) -> Self {
        // Told only to the one whose answer ended the flow: one that comes again changed nothing.
        if let (RedirectOutcome::Denied, Ok(()) | Err(CallError::NoPairing)) = (outcome, result) {
            return Self::of_kind(
                "200 OK",
                "Declined",
                "You declined, and the device was not paired. You can close this page.",
            );
        }
        let (status, title, text) = match result {
            Ok(()) => ("200 OK", "Paired", "The device is paired. You can close this page."),
            Err(CallError::NoPairing) => (
                "200 OK",
                "Not paired",
                "This pairing has ended. Start it again on the device; you can close this page.",
            ),
            Err(CallError::WrongState) => (
                "400 Bad Request",
                "Used before",
                "This page was used before. Look at the device whether it is paired; you can close this page.",
            ),
            Err(CallError::Offline) => (
                "502 Bad Gateway",
                "Not paired yet",
                "The device cannot reach the server. Check its network and look at the device; you can close this page.",
            ),
            Err(CallError::Untrusted) => (
                "502 Bad Gateway",
                "Not paired yet",
                "The network of the device puts another certificate before the server's. Does it want a login? Look at the \
                 device; you can close this page.",
            ),
            Err(CallError::ClockNotSet) => (
                "502 Bad Gateway",
                "Not paired yet",
                "The clock of the device is not set, so it cannot talk to the server. Set it and start again on the device; you \
                 can close this page.",
            ),
            Err(CallError::ClientRejected) => (
                "502 Bad Gateway",
                "Not paired",
                "The server refuses this device. Whoever set it up has to correct its configuration; you can close this page.",
            ),
            Err(CallError::StorageFailed | CallError::FlowNotRemoved) => (
                "500 Internal Server Error",
                "Not paired yet",
                "The device cannot store the pairing: its disk may be full. You can close this page.",
            ),
            Err(CallError::Timeout) => (
                "202 Accepted",
                "Not finished yet",
                "The device is still at work. Look at the device whether it is paired; you can close this page.",
            ),
            Err(CallError::TooOften { .. }) => (
                "503 Service Unavailable",
                "Not taken",
                "The device is busy and did not take this answer. Reload this page to try again.",
            ),
            Err(CallError::Local(_)) => (
                "500 Internal Server Error",
                "Not paired",
                "Something on the device is in the way. Whoever set it up finds in its journal what; you can close this page.",
            ),
            Err(_) => (
                "502 Bad Gateway",
                "Not paired",
                "The server did not complete the pairing. Look at the device: it shows a new address, or pairing is to be started \
                 again there; you can close this page.",
            ),
        };
        Self::of_kind(status, title, text)
    }

    pub(super) fn response(self) -> String {
        let Self {
            status,
            title,
            text,
            allow,
        } = self;
        let body = if title.is_empty() {
            String::new()
        } else {
            format!(
                "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
                 content=\"width=device-width\">\n<title>{title}</title>\n<h1>{title}</h1>\n<p>{text}</p>\n</html>\n"
            )
        };
        let allow = if allow { "allow: GET\r\n" } else { "" };
        let length = body.len();
        format!("HTTP/1.1 {status}\r\n{HEADERS}{allow}content-length: {length}\r\n\r\n{body}")
    }
}
