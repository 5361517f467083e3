//! A pairing code, or the address that replaces it, as shown to a person.
//!
//! Must never: be logged, or shown to anybody but the user of this terminal.

use std::time::Duration;

use crate::ctl::exit::Failure;
use crate::ctl::output::one_line;
use c2c_auth_client::proxy::{Answer, PairingCode};

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Code(pub(super) PairingCode);

impl Code {
    pub(super) fn from_answer(answer: &Answer) -> Result<Self, Failure> {
        PairingCode::read(answer).map(Self).ok_or_else(|| {
            Failure::failed("the daemon's answer holds no code; check that its version is that of c2c-authctl")
        })
    }

    pub(super) fn expires_in(&self) -> Duration {
        Duration::from_secs(self.0.expires_in.into())
    }

    /// True if `other` is the same code, with at most its seconds different. The id alone does not
    /// decide: a daemon that starts without a flow counts from 1 again.
    pub(super) fn is(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.0, &other.0);
        ours.id == theirs.id && ours.typed == theirs.typed && ours.uri == theirs.uri
    }

    /// Everything but the QR code and the countdown.
    pub(super) fn text(&self) -> String {
        let uri = one_line(&self.0.uri);
        let scan = if self.0.has_complete {
            "Scan the QR code, or go to"
        } else {
            "Go to"
        };
        let name = match self.0.device_name.as_str() {
            "" => String::new(),
            name => format!("Check that the device is called {} there.\n", one_line(name)),
        };
        match &self.0.typed {
            Some(typed) => format!("{scan} {uri} and enter\n\n    {}\n\n{name}", one_line(typed)),
            None if self.comes_back_here() => {
                format!("Open this address in a browser on this device:\n\n    {uri}\n\n")
            }
            None => format!("Scan the QR code, or open\n\n    {uri}\n\n"),
        }
    }

    /// True if the browser has to run on this device. A redirect in clear http goes to this device
    /// alone: a phone's 127.0.0.1 is the phone.
    pub(super) fn comes_back_here(&self) -> bool {
        self.0.typed.is_none() && self.0.uri.contains("redirect_uri=http%3A%2F%2F")
    }
}
