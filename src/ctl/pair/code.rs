//! A pairing code, or the address that replaces it, as shown to a person.
//!
//! Must never: be logged, or shown to anybody but the user of this terminal.

use std::time::Duration;

use zbus::Variant;

use crate::ctl::exit::{Exit, Failure};
use c2c_auth_client::proxy::Answer;

/// A code to show. It has no `Debug`: whoever reads it can bind the device to a project of their own.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) id: u64,
    /// `None`: the address is opened in a browser, and there is nothing to type.
    typed: Option<String>,
    uri: String,
    pub(super) has_complete: bool,
    device_name: String,
    pub(super) expires_in: Duration,
}

impl Code {
    pub(super) fn from_answer(answer: &Answer) -> Result<Self, Failure> {
        let text = |key| match answer.get(key).map(|value| &**value) {
            Some(Variant::Str(text)) => Some(text.as_str().to_owned()),
            _ => None,
        };
        let id = match answer.get("code-id").map(|value| &**value) {
            Some(Variant::U64(id)) => Some(*id),
            _ => None,
        };
        let seconds = match answer.get("expires-in").map(|value| &**value) {
            Some(Variant::U32(seconds)) => Some(u64::from(*seconds)),
            _ => None,
        };
        let browser = text("authorization-uri");
        let read = || {
            Some(Self {
                id: id?,
                typed: match browser {
                    Some(_) => None,
                    None => Some(text("user-code")?),
                },
                uri: browser.clone().or_else(|| text("verification-uri"))?,
                has_complete: browser.is_some() || answer.contains_key("verification-uri-complete"),
                device_name: text("device-name").unwrap_or_default(),
                expires_in: Duration::from_secs(seconds?),
            })
        };
        read().ok_or_else(|| {
            Failure::new(
                Exit::Failed,
                "the daemon's answer holds no code; check that its version is that of c2c-authctl",
            )
        })
    }

    /// Whether this is the code that `other` is, and only its seconds differ. The id alone does not tell: a daemon that starts without
    /// a flow counts from 1 again.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.id == other.id && self.typed == other.typed && self.uri == other.uri
    }

    /// Everything but the QR code and the countdown.
    pub(super) fn text(&self) -> String {
        let scan = if self.has_complete {
            "Scan the QR code, or go to"
        } else {
            "Go to"
        };
        let name = match self.device_name.as_str() {
            "" => String::new(),
            name => format!("Check that the device is called {name} there.\n"),
        };
        match &self.typed {
            Some(typed) => format!("{scan} {} and enter\n\n    {typed}\n\n{name}", self.uri),
            None if self.comes_back_here() => {
                format!("Open this address in a browser on this device:\n\n    {}\n\n", self.uri)
            }
            None => format!("Scan the QR code, or open\n\n    {}\n\n", self.uri),
        }
    }

    /// Whether the browser has to run on this device: clear http is allowed to itself alone. A phone's 127.0.0.1 is the phone.
    pub(super) fn comes_back_here(&self) -> bool {
        self.typed.is_none() && self.uri.contains("redirect_uri=http%3A%2F%2F")
    }
}
