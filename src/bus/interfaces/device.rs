//! `org.cameratocloud.Auth1.Device`: what this device is. Properties only, none of them secret.

use std::sync::Arc;

use zbus::interface;

use crate::bus::gateway::Gateway;
use crate::bus::signal_queue::{last_error, seconds};

pub(in crate::bus) struct Device(pub(in crate::bus) Arc<Gateway>);

#[interface(name = "org.cameratocloud.Auth1.Device")]
impl Device {
    /// The unit's identifier at the server. Empty when there is none.
    #[zbus(property(emits_changed_signal = "const"))]
    fn client_id(&self) -> &str {
        &self.0.facts.client_id
    }

    /// The name that the server shows for this device. Empty when not known.
    #[zbus(property)]
    fn device_name(&self) -> String {
        self.0.signals.visible().device.name.clone()
    }

    /// The project the device is paired with. Empty when not known.
    #[zbus(property)]
    fn project_id(&self) -> String {
        self.0.signals.visible().device.project_id.clone()
    }

    /// The project's name, which its owner may change. Empty when not known.
    #[zbus(property)]
    fn project_name(&self) -> String {
        self.0.signals.visible().device.project_name.clone()
    }

    /// When this pairing was stored, in seconds since 1970; 0 here and below: not known, also while
    /// the clock is not trusted.
    #[zbus(property)]
    fn paired_since(&self) -> u64 {
        seconds(self.0.signals.visible().lifetimes.paired_since)
    }

    /// The end of the token that `GetAccessToken` would give.
    #[zbus(property)]
    fn token_expires(&self) -> u64 {
        seconds(self.0.signals.visible().lifetimes.token_expires)
    }

    /// Without a refresh until then the device has to be paired again.
    #[zbus(property)]
    fn refresh_by(&self) -> u64 {
        seconds(self.0.signals.visible().lifetimes.refresh_by)
    }

    /// The end that the user chose when pairing, as of `LastContact`.
    #[zbus(property)]
    fn authorization_expires(&self) -> u64 {
        seconds(self.0.signals.visible().lifetimes.authorization_expires)
    }

    /// The user had paused the device, as of `LastContact`.
    #[zbus(property)]
    fn paused(&self) -> bool {
        self.0.signals.visible().contact.paused
    }

    /// As of when `Paused` and `AuthorizationExpires` hold.
    #[zbus(property(emits_changed_signal = "false"))]
    fn last_contact(&self) -> u64 {
        seconds(self.0.signals.visible().contact.at)
    }

    /// The device's firmware, as the server is told. Empty when none is configured.
    #[zbus(property(emits_changed_signal = "const"))]
    fn firmware_version(&self) -> &str {
        &self.0.facts.firmware_version
    }

    /// The version of c2c-authd.
    #[zbus(property(emits_changed_signal = "const"))]
    fn daemon_version(&self) -> &str {
        &self.0.facts.daemon_version
    }

    /// The kind of provider, e.g. "frameio-c2c".
    #[zbus(property(emits_changed_signal = "const"))]
    fn provider(&self) -> &str {
        &self.0.facts.provider
    }

    /// The last thing that went wrong: a word, and seconds since 1970 (0: not known).
    #[zbus(property)]
    fn last_error(&self) -> (&'static str, u64) {
        last_error(&self.0.signals.visible())
    }
}
