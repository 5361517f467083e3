//! What `provision` writes into the configuration: one drop-in that is its own, and nobody else's.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::durable::{Staged, make_directory, remove};
use crate::cli::exit::{Exit, Failure};
use crate::cli::site::Site;
use crate::config::{Config, System};

const PATH: &str = "/etc/c2c-authd/config.d/50-provision.toml";

/// Its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct DropIn {
    /// `device.client-id`
    pub(in crate::cli) client_id: Option<String>,
    /// `secrets.client-secret-file`
    pub(in crate::cli) client_secret: Option<PathBuf>,
    /// `secrets.state-key-file`
    pub(in crate::cli) state_key: Option<PathBuf>,
}

/// A drop-in that is good and not yet in force.
pub(super) struct Change {
    path: PathBuf,
    /// `None`: there is nothing to say, and no file.
    staged: Option<Staged>,
}

impl Change {
    /// Puts it in force.
    pub(super) fn commit(self) -> Result<(), Failure> {
        let done = match self.staged {
            Some(staged) => staged.commit(),
            None => remove(&self.path).map(drop),
        };
        done.map_err(|error| failed(&self.path, &error))
    }
}

impl DropIn {
    /// Where it is.
    pub(in crate::cli) fn path(site: &Site) -> PathBuf {
        site.path(PATH)
    }

    /// What it says now; empty if there is none.
    pub(in crate::cli) fn load(site: &Site) -> Result<Self, Failure> {
        let path = Self::path(site);
        if !path.exists() {
            return Ok(Self::default());
        }
        let written = Config::load_file(&path, &System::host())?;
        Ok(Self {
            client_id: written.device.client_id,
            client_secret: written.secrets.client_secret,
            state_key: written.secrets.state_key,
        })
    }

    /// Writes it beside its place, and holds it against the configuration's rules: what would be refused never gets there.
    pub(super) fn stage(&self, site: &Site) -> Result<Change, Failure> {
        let path = Self::path(site);
        if *self == Self::default() {
            return Ok(Change { path, staged: None });
        }
        if let Some(above) = path.parent() {
            make_directory(above, 0o755, None).map_err(|error| failed(above, &error))?;
        }
        // Read by the daemon, which is not root. It holds no secret.
        let staged =
            Staged::write(&path, self.text().as_bytes(), 0o644, None).map_err(|error| failed(&path, &error))?;
        Config::load_file(staged.at(), &System::host()).map_err(|error| Failure::new(Exit::Usage, cause(&error)))?;
        Ok(Change {
            path,
            staged: Some(staged),
        })
    }

    fn text(&self) -> String {
        let mut out = String::from(
            "# Written by «c2c-authctl provision», which replaces it. Changes belong into another file.\n",
        );
        let quoted = |path: &Path| quote(&path.to_string_lossy());
        // Writing to a string cannot fail.
        if let Some(id) = &self.client_id {
            let _ = write!(out, "\n[device]\nclient-id = {}\n", quote(id));
        }
        if self.client_secret.is_some() || self.state_key.is_some() {
            out.push_str("\n[secrets]\n");
        }
        if let Some(path) = &self.client_secret {
            let _ = writeln!(out, "client-secret-file = {}", quoted(path));
        }
        if let Some(path) = &self.state_key {
            let _ = writeln!(out, "state-key-file = {}", quoted(path));
        }
        out
    }
}

/// Without the place, which is a file that nobody has written yet.
fn cause(error: &crate::config::ConfigError) -> String {
    match error {
        crate::config::ConfigError::Bad { place, problem } => {
            format!("{}: {problem}", place.key.as_deref().unwrap_or("the configuration"))
        }
        crate::config::ConfigError::Unreadable { .. } => error.to_string(),
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("{}: cannot be written ({error})", path.display()))
}

/// A basic string of TOML.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use super::*;

    #[test]
    fn it_reads_what_it_wrote_and_goes_when_empty() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::at(folder.path());
        assert_eq!(DropIn::load(&site).unwrap(), DropIn::default());
        let full = DropIn {
            client_id: Some("SN-\"1\\".to_owned()),
            client_secret: Some(PathBuf::from("/a \"b\"/client-secret")),
            state_key: Some(PathBuf::from("/a/state-key")),
        };
        full.stage(&site).unwrap().commit().unwrap();
        assert_eq!(DropIn::load(&site).unwrap(), full);
        assert_eq!(site.config().unwrap().device.client_id, full.client_id);
        DropIn::default().stage(&site).unwrap().commit().unwrap();
        assert!(!DropIn::path(&site).exists());
    }

    #[test]
    fn what_the_configuration_refuses_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::at(folder.path());
        let bad = DropIn {
            client_id: Some("00:11:22:33:44:55".to_owned()),
            ..DropIn::default()
        };
        let failure = bad.stage(&site).err().unwrap();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.sentence.starts_with("device.client-id: "), "{failure}");
        assert!(!DropIn::path(&site).exists());
    }
}
