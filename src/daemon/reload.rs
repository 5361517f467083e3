//! Reading the configuration, at the start and again on SIGHUP.
//!
//! A reload is taken as a whole or refused as a whole: a file with a fault, or one that changes
//! what a running daemon cannot change, leaves everything as it was.

use std::path::PathBuf;

use crate::config::{Config, ConfigError, System};

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
        let new = self.read().map_err(|error| error.to_string())?;
        match restart_needed(current, &new) {
            Some(key) => Err(format!("a change of {key} needs a restart")),
            None => Ok(new),
        }
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
