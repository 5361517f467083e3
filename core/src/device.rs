//! The answer of a server that is asked about a device.

use super::snapshot::DeviceInfo;
use super::time::WallTime;

/// A server's word on a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeviceStatus {
    /// Its names.
    pub info: DeviceInfo,
    /// Until when the user lets it be paired.
    pub authorization: AuthorizationEnd,
    /// True if the user paused it; `None` where that cannot be read.
    pub paused: Option<bool>,
}

/// Until when the user lets a device be paired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AuthorizationEnd {
    /// The answer does not say, or not in a way that can be read: what was known stays known.
    #[default]
    Untold,
    /// For as long as nobody changes that.
    Never,
    /// Until then, by the server's clock.
    At(WallTime),
}
