//! `org.cameratocloud.Auth1.Device`: what this device is. Properties only, none of them secret.

use std::sync::Arc;

use zbus::interface;

use crate::bus::gateway::Gateway;
use crate::bus::signal_queue::last_error;

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
