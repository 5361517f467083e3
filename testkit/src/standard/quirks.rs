//! The choices of the standard server, where the standards leave them open.

use std::time::Duration;

use serde_json::Value;

use super::{Client, Dialect, Rules};

/// The server's choices where the standards leave them open.
#[derive(Clone, Debug)]
pub struct Quirks {
    /// Whose they are, as far as they are known.
    pub dialect: Dialect,
    /// Its demands and words in the device grant and at refreshes.
    pub rules: Rules,
    /// The one client.
    pub client: Client,
    /// The name of its host, which need have no address.
    pub host: &'static str,
    /// Life of an access token. `None` leaves `expires_in` out.
    pub token_life: Option<u64>,
    /// Life of the next access token alone. Those after it have `token_life` again.
    pub next_life: Option<u64>,
    /// A refresh gives a new refresh token and ends the old one (RFC 6749 §6). Otherwise the old
    /// one stays.
    pub rotates: bool,
    /// How long a refresh token is taken again after its first use, if at all. The tokens that it
    /// brings then replace those that it brought before. A token that is used later ends its grant.
    pub reuse_window: Option<Duration>,
    /// The fates of the answers to the next refreshes that are carried out.
    pub loses: Vec<Loss>,
    /// How it describes itself.
    pub document: Document,
    /// The error with which every refresh is refused, if it is.
    pub refuses_refresh: Option<&'static str>,
    /// The description of each error.
    pub describes_with: Option<String>,
    /// How many bytes an access token and a refresh token have, where that is more than they would
    /// have anyway.
    pub token_lengths: (usize, usize),
    /// Changes each answer of the device grant and of refreshes, the last of all.
    pub shape: Option<Shape>,
    /// The `Content-Type` of every answer that has a body.
    pub label: &'static str,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            dialect: Dialect::Standard,
            rules: Rules::RFC,
            client: Client::Public,
            host: "localhost",
            token_life: Some(3600),
            next_life: None,
            rotates: true,
            reuse_window: None,
            loses: Vec::new(),
            document: Document::Good,
            refuses_refresh: None,
            describes_with: None,
            token_lengths: (0, 0),
            shape: None,
            label: "application/json",
        }
    }
}

impl Quirks {
    /// Frame.io's OAuth 2 applications.
    #[must_use]
    pub fn frameio_applications(client: Client) -> Self {
        Self {
            dialect: Dialect::FrameioApplications,
            client,
            ..Self::default()
        }
    }

    /// Adobe IMS.
    #[must_use]
    pub fn adobe_ims(client: Client) -> Self {
        Self {
            dialect: Dialect::AdobeIms,
            client,
            token_life: Some(86_399),
            rotates: false,
            ..Self::default()
        }
    }
}

/// The number of an answer among all, the endpoint (`device` or `token`), status and body to the
/// status and body that are sent.
pub type Shape = fn(usize, &str, u16, Value) -> (u16, Value);

/// The fate of an answer that does not arrive whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The connection ends before it.
    Before,
    /// The connection ends within it.
    Within,
    /// Nothing comes, and the connection stays.
    Stall,
}

/// The document at the place where a server describes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// All that there is, and as it is.
    Good,
    /// Nothing.
    Absent,
    /// The name that the server gives itself is not the one it is called by.
    Misnamed,
    /// It knows only the PKCE method `plain`.
    Plain,
    /// It lists no PKCE method.
    Unlisted,
}
