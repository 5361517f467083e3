//! The client secret and the state key: where they come from, and who else could have read them.
//!
//! A credential of the service manager (`$CREDENTIALS_DIRECTORY/client-secret`, `…/state-key`) wins
//! over a file named in `[secrets]`. Owner and mode are checked for files only: systemd guards its
//! credentials directory itself, and versions differ in the modes they show there. Absent is a
//! state (`Ok(None)`): the device is not provisioned yet. Present but unusable is an error, so that
//! nobody believes in a secret that is not in use.
//!
//! No error of this file contains a byte of what was read, and every buffer is wiped.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use rustix::fs::{Access, OFlags, access};
use zeroize::{Zeroize, Zeroizing};

use c2c_auth_core::Secret;

use super::SecretFiles;
pub(crate) use super::guard::Reader;
use super::guard::exposed_to_all_but;
use crate::system::atomic_file::{Disk, PRIVATE};

/// The 32 random bytes that seal the record.
pub(crate) type StateKeyBytes = Zeroizing<[u8; 32]>;

/// A secret is there and cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// The operating system does not let us read it.
    #[error("{}: the {what} cannot be read ({source}); {}", path.display(), read_cure(source))]
    Unreadable {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// Somebody else owns it.
    #[error("{}: the file of the {what} belongs to uid {owner}; run: chown {reader} {}", path.display(), path.display())]
    Owner {
        what: &'static str,
        path: PathBuf,
        owner: u32,
        /// Whose it should be.
        reader: u32,
    },
    /// Others can read or change it.
    #[error("{}: others than its owner have access to the file of the {what} (mode {mode:04o}); run: chmod 0600 {}", path.display(), path.display())]
    Mode {
        what: &'static str,
        path: PathBuf,
        mode: u32,
    },
    /// Others can put another file there.
    #[error("{}: the {what} is not safe there: {told}", path.display())]
    Place {
        what: &'static str,
        path: PathBuf,
        told: String,
    },
    /// The content cannot be that secret.
    #[error("{}: the {what} cannot be used: {problem}", path.display())]
    Content {
        what: &'static str,
        path: PathBuf,
        /// The fault and the right form.
        problem: &'static str,
    },
    /// A state key was to be created.
    #[error("{}: the state key cannot be created ({source}); make its directory exist and writable for the user c2c-authd, or provision the key", path.display())]
    Create { path: PathBuf, source: io::Error },
}

impl SecretError {
    /// The code of `sysexits.h`: 77 (`EX_NOPERM`) for access, owner and mode, 78 (`EX_CONFIG`) for
    /// the rest.
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Owner { .. } | Self::Mode { .. } | Self::Place { .. } => 77,
            Self::Unreadable { source, .. } | Self::Create { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                77
            }
            Self::Unreadable { .. } | Self::Content { .. } | Self::Create { .. } => 78,
        }
    }
}

fn read_cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "make it readable for the user c2c-authd alone",
        io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput => "it must be a regular file",
        _ => "check the file and the file system it is on",
    }
}

/// The `client_secret` of the device model.
///
/// # Errors
/// It is there and cannot be used: 1–1024 visible ASCII characters, one line.
pub(crate) fn client_secret(files: &SecretFiles, credentials: Option<&Path>) -> Result<Option<Secret>, SecretError> {
    Place::of_client_secret(files, credentials).parsed(parse_client_secret)
}

/// Reads a client secret: 1–1024 visible ASCII characters, one line, with or without its line end.
///
/// # Errors
/// The fault, in words that repeat nothing of the content.
pub(crate) fn parse_client_secret(content: &[u8]) -> Result<Secret, &'static str> {
    let text = str::from_utf8(trim(content)).map_err(|_| "it is not text; it must be one line, as it was issued")?;
    if text.is_empty() {
        return Err("it is empty; it must be one line, as it was issued");
    }
    if text.len() > 1024 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it must be one line of at most 1024 visible ASCII characters without spaces");
    }
    Ok(Secret::new(text.to_owned()))
}

/// The state key, if there is one. It is not created here.
///
/// # Errors
/// It is there and cannot be used: 32 bytes, raw or as base64, not all zero.
pub(crate) fn state_key(files: &SecretFiles, credentials: Option<&Path>) -> Result<Option<StateKeyBytes>, SecretError> {
    Place::of_state_key(files, credentials).parsed(parse_state_key)
}

/// Reads both as a start would, for a caller that may be another user than the daemon's, and
/// creates nothing. Answers with the client secret, and with what such a caller cannot tell.
///
/// # Errors
/// A fault that ends a start with 78.
pub(crate) fn rehearse(
    files: &SecretFiles,
    credentials: Option<&Path>,
    records_exist: bool,
) -> Result<(Option<Secret>, Vec<String>), SecretError> {
    let mut unseen = Vec::new();
    let secret = seen(
        Place::of_client_secret(files, credentials)
            .of_any_owner()
            .parsed(parse_client_secret),
        &mut unseen,
    )?;
    let before = unseen.len();
    let key = seen(
        Place::of_state_key(files, credentials)
            .of_any_owner()
            .parsed(parse_state_key),
        &mut unseen,
    )?;
    let is_absent = key.is_none() && unseen.len() == before;
    if let (true, true, false, Some(path)) = (is_absent, files.create_state_key, records_exist, &files.state_key) {
        seen(may_be_created(path), &mut unseen)?;
    }
    Ok((secret, unseen))
}

/// A fault of owner, mode or rights depends on who reads.
fn seen<T>(read: Result<Option<T>, SecretError>, unseen: &mut Vec<String>) -> Result<Option<T>, SecretError> {
    match read {
        Err(error) if error.exit_code() == 77 => {
            unseen.push(error.to_string());
            Ok(None)
        }
        read => read,
    }
}

fn may_be_created(path: &Path) -> Result<Option<()>, SecretError> {
    let directory = path.parent().unwrap_or(path);
    access(directory, Access::WRITE_OK | Access::EXEC_OK)
        .map(Some)
        .map_err(|error| SecretError::Create {
            path: path.to_owned(),
            source: error.into(),
        })
}

/// Reads a state key: 32 bytes, raw or as base64, not all zero.
///
/// # Errors
/// The fault, in words that repeat nothing of the content.
pub(crate) fn parse_state_key(content: &[u8]) -> Result<StateKeyBytes, &'static str> {
    let key = decode_key(content)
        .ok_or("it must be 32 random bytes, raw or as base64; make one with: head -c 32 /dev/urandom")?;
    if key.iter().all(|byte| *byte == 0) {
        return Err("it is all zeros, which anybody can guess; make one with: head -c 32 /dev/urandom");
    }
    Ok(key)
}

fn decode_key(content: &[u8]) -> Option<StateKeyBytes> {
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let mut key = Zeroizing::new([0; 32]);
    // By length first: 32 raw bytes may end with a line feed, and may look like base64 of something
    // shorter.
    if content.len() == 32 {
        key.copy_from_slice(content);
        return Some(key);
    }
    // The decoder wants room for what it estimates, a little more than what it writes.
    let mut decoded = Zeroizing::new([0; 36]);
    let text = trim(content);
    if text.len() > 44 {
        return None;
    }
    let length = BASE64.decode_slice(text, &mut *decoded).ok()?;
    if length != 32 {
        return None;
    }
    key.copy_from_slice(&decoded[..32]);
    Some(key)
}

/// Creates a state key of the kernel's random bytes: mode 0600, never over an existing file,
/// durable when it returns. `None`: not done, because records exist, which a new key could not
/// open. The key they were made with is missing.
///
/// # Errors
/// Something is there already, or it cannot be written.
pub(crate) fn create_state_key(path: &Path, records_exist: bool) -> Result<Option<StateKeyBytes>, SecretError> {
    if records_exist {
        return Ok(None);
    }
    create(path).map(Some).map_err(|source| SecretError::Create {
        path: path.to_owned(),
        source,
    })
}

fn create(path: &Path) -> io::Result<StateKeyBytes> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *key).map_err(io::Error::other)?;
    // Under its final name a key that a power cut left unfinished would stop the daemon for good.
    Disk::real().stage(path, &*key, PRIVATE)?.commit_new()?;
    Ok(key)
}

/// A warning when the key lies on the file system of the records it seals. `None` also when that
/// cannot be found out.
#[must_use]
pub(crate) fn shared_file_system(key: &Path, state_directory: &Path) -> Option<String> {
    let device = |path: &Path| fs::metadata(path).ok().map(|found| found.dev());
    (device(key)? == device(state_directory)?).then(|| {
        format!(
            "the state key {} is on the same file system as the records in {}: that protects them where a record is copied alone (a backup, a log, a file read by a faulty program), but not against somebody who holds the disk or an image of it; a credential bound to the TPM does",
            key.display(),
            state_directory.display()
        )
    })
}

/// The file that was read, and what is in it.
type Found = (PathBuf, Zeroizing<Vec<u8>>);

/// Where a secret may be.
struct Place<'a> {
    what: &'static str,
    name: &'static str,
    file: Option<&'a Path>,
    credentials: Option<&'a Path>,
    /// The caller may be another user than the one that the file is for.
    any_owner: bool,
}

impl<'a> Place<'a> {
    fn of_client_secret(files: &'a SecretFiles, credentials: Option<&'a Path>) -> Self {
        Self {
            what: "client secret",
            name: "client-secret",
            file: files.client_secret.as_deref(),
            credentials,
            any_owner: false,
        }
    }

    fn of_state_key(files: &'a SecretFiles, credentials: Option<&'a Path>) -> Self {
        Self {
            what: "state key",
            name: "state-key",
            file: files.state_key.as_deref(),
            credentials,
            any_owner: false,
        }
    }

    const fn of_any_owner(self) -> Self {
        Self {
            any_owner: true,
            ..self
        }
    }

    fn parsed<T>(&self, parse: impl Fn(&[u8]) -> Result<T, &'static str>) -> Result<Option<T>, SecretError> {
        let Some((path, content)) = self.read()? else {
            return Ok(None);
        };
        let parsed = parse(&content).map_err(|problem| SecretError::Content {
            what: self.what,
            path,
            problem,
        })?;
        Ok(Some(parsed))
    }

    fn read(&self) -> Result<Option<Found>, SecretError> {
        if let Some(path) = self.credentials.map(|directory| directory.join(self.name))
            && let Some(file) = self.open(&path)?
        {
            return Ok(Some((path.clone(), self.content(&path, file)?)));
        }
        if let Some(path) = self.file
            && let Some(file) = self.open(path)?
        {
            self.guarded(path, &file)?;
            return Ok(Some((path.to_owned(), self.content(path, file)?)));
        }
        Ok(None)
    }

    fn unreadable(&self, path: &Path, source: io::Error) -> SecretError {
        SecretError::Unreadable {
            what: self.what,
            path: path.to_owned(),
            source,
        }
    }

    fn open(&self, path: &Path) -> Result<Option<File>, SecretError> {
        // Never waits for the other end of a pipe that lies there by mistake.
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        match OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path)
        {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unreadable(path, error)),
        }
    }

    /// Asks the open file, not the path, so that nothing can be exchanged in between.
    fn guarded(&self, path: &Path, file: &File) -> Result<(), SecretError> {
        let found = file.metadata().map_err(|error| self.unreadable(path, error))?;
        if !found.is_file() {
            return Err(self.unreadable(path, io::ErrorKind::InvalidInput.into()));
        }
        // Root looks at files of the daemon's user, whose directories may belong to it too.
        let reader = if self.any_owner {
            Reader::owner_of(&found)
        } else {
            Reader::this_process()
        };
        guarded(self.what, path, &found, reader)
    }

    fn content(&self, path: &Path, file: File) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        const LIMIT: usize = 4096;
        // Reserved at once: a vector that grows leaves unwiped copies behind.
        let mut content = Zeroizing::new(Vec::with_capacity(LIMIT + 1));
        let limit = u64::try_from(LIMIT + 1).unwrap_or(u64::MAX);
        if let Err(error) = file.take(limit).read_to_end(&mut content) {
            content.zeroize();
            return Err(self.unreadable(path, error));
        }
        if content.len() > LIMIT {
            let problem = "it is longer than any such secret; check what the file is";
            return Err(SecretError::Content {
                what: self.what,
                path: path.to_owned(),
                problem,
            });
        }
        Ok(content)
    }
}

/// Refuses the file of a secret that others than its reader could read or replace.
///
/// # Errors
/// The fault, with 77.
pub(crate) fn guarded(what: &'static str, path: &Path, found: &Metadata, reader: Reader) -> Result<(), SecretError> {
    let path = path.to_owned();
    if found.uid() != reader.uid {
        return Err(SecretError::Owner {
            what,
            path,
            owner: found.uid(),
            reader: reader.uid,
        });
    }
    if found.mode() & 0o077 != 0 {
        return Err(SecretError::Mode {
            what,
            path,
            mode: found.mode() & 0o7777,
        });
    }
    // The file itself is in order.
    match exposed_to_all_but(&path, reader).first() {
        Some(first) => Err(SecretError::Place {
            what,
            told: first.told(),
            path,
        }),
        None => Ok(()),
    }
}

/// Without the line end that every editor and `echo` adds.
fn trim(content: &[u8]) -> &[u8] {
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    content.strip_suffix(b"\r").unwrap_or(content)
}

#[cfg(test)]
mod tests;
