//! Stands in for a daemon in the rig's own tests: it writes `up` once its signals are taken over,
//! `reloaded` at each SIGHUP, and ends with 78 on SIGTERM.
//!
//! It is no shell: a shell forks, loses a signal that comes between the fork and the exec, and
//! takes over no signal that was ignored when it started, as SIGHUP is below `nohup`. It has no
//! child that could hold its output.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<ExitCode> {
    let mut reload = signal(SignalKind::hangup())?;
    let mut end = signal(SignalKind::terminate())?;
    writeln!(io::stderr(), "up")?;
    loop {
        tokio::select! {
            _ = reload.recv() => writeln!(io::stdout(), "reloaded")?,
            _ = end.recv() => return Ok(ExitCode::from(78)),
        }
    }
}
