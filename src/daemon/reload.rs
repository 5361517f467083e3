//! Reading the configuration, at the start and again on SIGHUP.
//!
//! A reload is taken as a whole or refused as a whole: a file with a fault, or one that changes
//! what a running daemon cannot change, leaves everything as it was.
//!
//! Must never: read on the loop's thread. The files may lie on a mount that hangs, and the names of
//! users and groups may come from a service that does.

use std::future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::boot;
use crate::config::{Config, ConfigError, System};
use crate::system::environment::Environment;

/// How long reading the configuration may take. It is a handful of small files and a few names of
/// users and groups. A read that takes longer hangs at a mount or at a name service.
pub(super) const READ_LIMIT: Duration = Duration::from_secs(10);

/// The reason why it was not read within [`READ_LIMIT`].
pub(super) const HANGS: &str = "for 10 s a mount or a name service did not answer; [access] also takes the numbers of \
                                users and groups, which need no name service";

/// Where the configuration comes from: the same place each time.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// `--config`. `None` reads the usual places with their drop-ins.
    pub file: Option<PathBuf>,
    /// The system whose files are read.
    pub system: System,
}

impl Source {
    pub(crate) fn read(&self) -> Result<Config, ConfigError> {
        match &self.file {
            Some(file) => Config::load_file(file, &self.system),
            None => Config::load(&self.system),
        }
    }

    /// Reads it to take the place of `current`.
    ///
    /// # Errors
    /// Why it cannot, as a sentence that names the key or the file.
    pub(crate) fn read_again(&self, current: &Config) -> Result<Config, String> {
        let mut new = self.read().map_err(|error| error.to_string())?;
        if let Some(key) = restart_needed(current, &new) {
            let grants_otherwise = current.provider.asks_for_other_grants_than(&new.provider);
            let from_when = if grants_otherwise {
                "; what a grant is asked for (audience, resource, extra, scope) counts from the next pairing on"
            } else {
                ""
            };
            return Err(format!("a change of {key} needs a restart{from_when}"));
        }
        // Files that are in force until the process ends, whatever is in them now.
        let faults = boot::rehearse(&new, &Environment::of_process()).unwrap_or_else(|fault| vec![fault.to_string()]);
        let warnings = faults.iter().map(|fault| format!("the next start will fail: {fault}"));
        new.warnings.extend(warnings);
        Ok(new)
    }
}

/// Reading again for a SIGHUP, beside the loop.
#[derive(Debug, Default)]
pub(crate) struct Reload {
    reading: Option<JoinHandle<Result<Config, String>>>,
    /// Another SIGHUP came meanwhile: what is being read may be older than it.
    again: bool,
    /// Held by the thread that reads. One that hangs keeps it beyond the limit, so that no number
    /// of signals makes more of them.
    reader: Arc<Mutex<()>>,
}

impl Reload {
    /// Reads, or reads once more when the read in progress is done.
    pub(crate) fn start(&mut self, source: &Source, current: &Config) {
        if self.reading.is_some() {
            self.again = true;
            return;
        }
        let (source, current, reader) = (source.clone(), current.clone(), Arc::clone(&self.reader));
        let read = async move {
            let held = reader.lock_owned().await;
            let read = spawn_blocking(move || {
                let _held = held;
                source.read_again(&current)
            });
            read.await.unwrap_or_else(|error| Err(error.to_string()))
        };
        self.reading = Some(tokio::spawn(async move {
            timeout(READ_LIMIT, read)
                .await
                .unwrap_or_else(|_| Err(HANGS.to_owned()))
        }));
    }

    /// Waits for what was read: the new configuration, or why there is none. Pending while nothing
    /// is read. Cancel safe.
    pub(crate) async fn finished(&mut self) -> Result<Config, String> {
        let read = match &mut self.reading {
            Some(reading) => reading.await.unwrap_or_else(|error| Err(error.to_string())),
            None => future::pending().await,
        };
        self.reading = None;
        read
    }

    /// A signal came while the last read was in progress. Says so once.
    pub(crate) fn is_wanted_again(&mut self) -> bool {
        std::mem::take(&mut self.again)
    }
}

fn restart_needed(current: &Config, new: &Config) -> Option<&'static str> {
    // Connections and sessions made under other roots would live on.
    current
        .restart_needed(new)
        .or_else(|| (current.tls != new.tls).then_some("tls.ca-file"))
}

#[cfg(test)]
mod tests;
