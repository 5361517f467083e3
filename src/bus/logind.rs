//! Holding off shutdown and sleep while a refresh is in flight, best effort.
//!
//! Without polkit, or without the rule that the package ships, logind refuses a caller that is not root. No claim rests on
//! this: the intent mark on disk does the real work.

use std::os::fd::OwnedFd;
use std::time::Duration;

use zbus::Connection;

use super::BusError;

/// logind answers at once or not at all, and the refresh does not wait for it.
const LIMIT: Duration = Duration::from_secs(2);

/// Takes a *delay* inhibitor; closing the file gives it back.
pub(super) async fn inhibit(connection: Connection) -> Result<OwnedFd, BusError> {
    let call = connection.call_method(
        Some("org.freedesktop.login1"),
        "/org/freedesktop/login1",
        Some("org.freedesktop.login1.Manager"),
        "Inhibit",
        &(
            "shutdown:sleep",
            "c2c-authd",
            "Refreshing the Camera to Cloud tokens",
            "delay",
        ),
    );
    let reply = tokio::time::timeout(LIMIT, call)
        .await
        .map_err(|_| BusError::NoInhibitor {
            reason: format!("logind did not answer within {} s", LIMIT.as_secs()),
        })?;
    let refused = |error: zbus::Error| BusError::NoInhibitor {
        reason: error.to_string(),
    };
    let file: zbus::OwnedFd = reply.map_err(refused)?.body().deserialize().map_err(refused)?;
    Ok(file.into())
}
