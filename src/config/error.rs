//! The faults of a configuration, each as one sentence that names file, key and cure.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or directory cannot be read.
    #[error("{}: cannot be read ({source}); {}", file.display(), unreadable_cure(source))]
    Unreadable { file: PathBuf, source: io::Error },
    /// A file is read, but says something that cannot be.
    #[error("{place}: {problem}")]
    Bad {
        /// Where it says so.
        place: Place,
        /// The fault and its cure.
        problem: String,
    },
}

impl ConfigError {
    /// The code of `sysexits.h`: 77 (`EX_NOPERM`) where the operating system denies access, else 78
    /// (`EX_CONFIG`).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => 77,
            Self::Unreadable { .. } | Self::Bad { .. } => 78,
        }
    }

    pub(super) fn unreadable(file: &Path, source: io::Error) -> Self {
        Self::Unreadable {
            file: file.to_owned(),
            source,
        }
    }
}

fn unreadable_cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "create it, or name another with --config",
        io::ErrorKind::PermissionDenied => "make it readable for the user c2c-authd (it holds no secret)",
        io::ErrorKind::InvalidData => "it must be UTF-8 text",
        _ => "check the file and the file system it is on",
    }
}

/// A place in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: PathBuf,
    /// The line, counted from 1, where it is known.
    pub line: Option<usize>,
    /// The key with its section, such as `refresh.at`, where there is one.
    pub key: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        Ok(())
    }
}
