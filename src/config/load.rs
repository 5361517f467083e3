//! Which files are read, in which order.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Config;
use super::error::ConfigError;
use super::guard::exposed;
use super::identity::System;
use super::layer::Layer;
use super::resolve::resolve;

const MAIN: &str = "/etc/c2c-authd/config.toml";
/// A drop-in of a later directory takes the place of one with the same name in an earlier one.
const DROP_INS: [&str; 3] = [
    "/usr/lib/c2c-authd/config.d",
    // Where `c2c-authctl provision` writes when /etc is read-only.
    "/var/lib/c2c-provision/config.d",
    "/etc/c2c-authd/config.d",
];

/// A configuration of this size is a mistake (a device, an image, a log).
const LIMIT: u64 = 256 * 1024;

impl Config {
    /// Reads the files at their usual places. See the module's documentation for their order. None
    /// of them must exist.
    ///
    /// # Errors
    /// The first fault found in any of them.
    pub fn load(system: &System) -> Result<Self, ConfigError> {
        let mut files = Vec::new();
        for path in paths(system)? {
            if let Some(text) = read(&path)? {
                files.push((path, text));
            }
        }
        Self::from_texts(files, system)
    }

    /// Reads one file and no other, drop-ins neither: what is tried out is what the file says.
    ///
    /// # Errors
    /// The file does not exist, or the first fault found in it.
    pub fn load_file(file: &Path, system: &System) -> Result<Self, ConfigError> {
        let text = read(file)?.ok_or_else(|| ConfigError::unreadable(file, io::ErrorKind::NotFound.into()))?;
        Self::from_texts(vec![(file.to_owned(), text)], system)
    }

    fn from_texts(files: Vec<(PathBuf, String)>, system: &System) -> Result<Self, ConfigError> {
        let layers = files
            .iter()
            .map(|(file, text)| Layer::parse(file, text))
            .collect::<Result<Vec<_>, _>>()?;
        let mut config = resolve(layers, system)?;
        config.files = files.into_iter().map(|(file, _)| file).collect();
        let directories = DROP_INS.map(|directory| system.path(directory));
        let deciding = config.files.iter().chain(&directories).chain(&config.tls.ca_file);
        let mut warnings: Vec<_> = deciding
            .flat_map(|path| exposed(path))
            .map(|exposed| {
                format!(
                    "{}. What is written there decides where the client secret is sent",
                    exposed.told()
                )
            })
            .collect();
        warnings.sort();
        warnings.dedup();
        config.warnings.extend(warnings);
        Ok(config)
    }
}

/// The files that are read where they exist, the later ones hiding the earlier ones.
pub(super) fn paths(system: &System) -> Result<Vec<PathBuf>, ConfigError> {
    let main = std::iter::once(system.path(MAIN));
    Ok(main.chain(drop_ins(system)?.into_values()).collect())
}

fn drop_ins(system: &System) -> Result<BTreeMap<OsString, PathBuf>, ConfigError> {
    let mut found = BTreeMap::new();
    for directory in DROP_INS.map(|directory| system.path(directory)) {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(ConfigError::unreadable(&directory, error)),
        };
        for entry in entries {
            let path = entry
                .map_err(|error| ConfigError::unreadable(&directory, error))?
                .path();
            let hidden = path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if !hidden
                && path.extension().is_some_and(|extension| extension == "toml")
                && let Some(name) = path.file_name()
            {
                found.insert(name.to_owned(), path);
            }
        }
    }
    Ok(found)
}

/// `None`: there is no such file.
fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    let read = || -> io::Result<String> {
        let mut text = String::new();
        let size = fs::File::open(path)?.take(LIMIT + 1).read_to_string(&mut text)?;
        if u64::try_from(size).is_ok_and(|size| size > LIMIT) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(text)
    };
    match read() {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ConfigError::unreadable(path, error)),
    }
}
