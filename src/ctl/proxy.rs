//! The daemon as a client sees it: `dbus/org.cameratocloud.Auth1.xml` by hand, and a test that compares the two.

use std::collections::HashMap;

use zbus::{OwnedVariant, Variant};

/// Options of a call, and what it answers with.
pub(crate) type Options<'a> = HashMap<&'a str, Variant<'a>>;
/// A dictionary as it comes from the bus.
pub(crate) type Answer = HashMap<String, OwnedVariant>;

/// Pair, cancel, unpair.
#[zbus::proxy(
    interface = "org.cameratocloud.Auth1.Pairing",
    default_service = "org.cameratocloud.Auth1",
    default_path = "/org/cameratocloud/Auth1"
)]
pub trait Pairing {
    /// Starts a flow and answers when there is a code to show.
    fn start_pairing(&self, options: Options<'_>) -> zbus::Result<Answer>;
    /// The code on show.
    fn get_pairing_code(&self) -> zbus::Result<Answer>;
    /// The code on show as a picture: media type and bytes.
    fn get_qr_code(&self, options: Options<'_>) -> zbus::Result<(String, Vec<u8>)>;
    /// Ends the flow.
    fn cancel_pairing(&self) -> zbus::Result<()>;
    /// Ends the flow and forgets the pairing.
    fn unpair(&self) -> zbus::Result<()>;
    /// Hands in the end of the OAuth code flow.
    fn complete_pairing(&self, redirect_uri: &str) -> zbus::Result<()>;
    /// The state or its reason changed. Not named as on the bus: the macro derives the same name from the property.
    #[zbus(signal, name = "PairingStateChanged")]
    fn flow_changed(&self, state: &str, reason: &str) -> zbus::Result<()>;
    /// Where the flow stands.
    #[zbus(property)]
    fn pairing_state(&self) -> zbus::Result<String>;
    /// Why it stands there.
    #[zbus(property)]
    fn pairing_reason(&self) -> zbus::Result<String>;
    /// Whether there is a credential.
    #[zbus(property)]
    fn paired(&self) -> zbus::Result<bool>;
    /// Whether a person has to do something.
    #[zbus(property)]
    fn attention_needed(&self) -> zbus::Result<bool>;
}

/// Bearer tokens.
#[zbus::proxy(
    interface = "org.cameratocloud.Auth1.Tokens",
    default_service = "org.cameratocloud.Auth1",
    default_path = "/org/cameratocloud/Auth1"
)]
pub trait Tokens {
    /// Token, seconds left, generation.
    fn get_access_token(&self, min_validity: u32) -> zbus::Result<(String, u32, u64)>;
    /// The API answered 401 to this one.
    fn reject_access_token(&self, generation: u64) -> zbus::Result<()>;
    /// There is a new one.
    #[zbus(signal)]
    fn access_token_changed(&self, generation: u64) -> zbus::Result<()>;
    /// What a call would find.
    #[zbus(property)]
    fn token_state(&self) -> zbus::Result<String>;
    /// Of the newest token.
    #[zbus(property)]
    fn generation(&self) -> zbus::Result<u64>;
}

/// What the device is.
#[zbus::proxy(
    interface = "org.cameratocloud.Auth1.Device",
    default_service = "org.cameratocloud.Auth1",
    default_path = "/org/cameratocloud/Auth1"
)]
pub trait Device {
    /// The unit's identifier at the server.
    #[zbus(property)]
    fn client_id(&self) -> zbus::Result<String>;
    /// The server's name for it.
    #[zbus(property)]
    fn device_name(&self) -> zbus::Result<String>;
    /// The project.
    #[zbus(property)]
    fn project_id(&self) -> zbus::Result<String>;
    /// The project's name.
    #[zbus(property)]
    fn project_name(&self) -> zbus::Result<String>;
    /// Of the device.
    #[zbus(property)]
    fn firmware_version(&self) -> zbus::Result<String>;
    /// Of c2c-authd.
    #[zbus(property)]
    fn daemon_version(&self) -> zbus::Result<String>;
    /// The kind of server.
    #[zbus(property)]
    fn provider(&self) -> zbus::Result<String>;
    /// The word, and when in seconds since 1970 (0: not known).
    #[zbus(property)]
    fn last_error(&self) -> zbus::Result<(String, u64)>;
}

#[cfg(test)]
pub(in crate::ctl) mod tests;
