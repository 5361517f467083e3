//! Holding off shutdown and sleep while a refresh is in flight, best effort.
//!
//! With polkit, logind lets any user delay them. Without it, logind refuses everyone but root.
//! Nothing depends on this: the intent mark on disk does the real work.

use std::os::fd::OwnedFd;
use std::time::Duration;

use zbus::Connection;

use super::BusError;

/// logind answers at once or not at all, and the refresh does not wait for it.
const LIMIT: Duration = Duration::from_secs(2);

/// Shutdown and sleep are held off for as long as this lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _shutdown: Option<OwnedFd>,
    _sleep: Option<OwnedFd>,
}

/// Takes *delay* inhibitors, as many as are given.
///
/// One each: asked for both at once, logind before systemd 255 or so looks up the right to ignore
/// the lid switch, which nobody gave us.
pub(super) async fn inhibit(connection: Connection) -> Result<Lock, BusError> {
    let both = async { tokio::join!(ask(&connection, "shutdown"), ask(&connection, "sleep")) };
    let given = tokio::time::timeout(LIMIT, both).await;
    match given {
        Ok((Err(shutdown), Err(_))) => Err(BusError::NoInhibitor {
            reason: shutdown.to_string(),
        }),
        Ok((shutdown, sleep)) => Ok(Lock {
            _shutdown: shutdown.ok(),
            _sleep: sleep.ok(),
        }),
        Err(_) => Err(BusError::NoInhibitor {
            reason: format!("logind did not answer within {} s", LIMIT.as_secs()),
        }),
    }
}

async fn ask(connection: &Connection, what: &str) -> zbus::Result<OwnedFd> {
    let reply = connection
        .call_method(
            Some("org.freedesktop.login1"),
            "/org/freedesktop/login1",
            Some("org.freedesktop.login1.Manager"),
            "Inhibit",
            &(what, "c2c-authd", "Refreshing the Camera to Cloud tokens", "delay"),
        )
        .await?;
    let file: zbus::OwnedFd = reply.body().deserialize()?;
    Ok(file.into())
}
