//! Where a secret is now, and whether it can be used: looked up as systemd and the daemon would.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::seal::{Creds, CredsError, Header, Key, header};
use crate::config::secrets::{self, Reader, parse_client_secret, parse_state_key};
use crate::config::{Config, MachineId};
use crate::ctl::site::Site;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ctl) enum Which {
    ClientSecret,
    StateKey,
}

impl Which {
    pub(in crate::ctl) const BOTH: [Self; 2] = [Self::ClientSecret, Self::StateKey];

    /// The name that it is sealed under and that the daemon reads it by. In clear it is also the
    /// name of its file.
    pub(in crate::ctl) const fn name(self) -> &'static str {
        match self {
            Self::ClientSecret => "client-secret",
            Self::StateKey => "state-key",
        }
    }

    /// The name of its file in a store of credentials, which all services of a machine share.
    /// `LoadCredentialEncrypted=` in the unit says it too.
    pub(in crate::ctl) const fn credential(self) -> &'static str {
        match self {
            Self::ClientSecret => "c2c-authd.client-secret",
            Self::StateKey => "c2c-authd.state-key",
        }
    }

    pub(in crate::ctl) const fn what(self) -> &'static str {
        match self {
            Self::ClientSecret => "client secret",
            Self::StateKey => "state key",
        }
    }

    pub(in crate::ctl) fn configured(self, config: &Config) -> Option<&Path> {
        match self {
            Self::ClientSecret => config.secrets.client_secret.as_deref(),
            Self::StateKey => config.secrets.state_key.as_deref(),
        }
    }

    /// The secret without what surrounds it, if it is one.
    pub(in crate::ctl) fn parse(self, content: &[u8]) -> Result<Plain, &'static str> {
        match self {
            Self::ClientSecret => {
                parse_client_secret(content).map(|secret| Plain::new(secret.expose().as_bytes().to_vec()))
            }
            Self::StateKey => parse_state_key(content).map(|key| Plain::new(key.to_vec())),
        }
    }
}

pub(in crate::ctl) type Plain = Zeroizing<Vec<u8>>;

/// Where systemd looks for an encrypted credential that is named and not placed, in this order.
pub(in crate::ctl) const STORES: [&str; 5] = [
    // A boot loader or a hypervisor puts its credentials here.
    "/run/credentials/@encrypted",
    "/etc/credstore.encrypted",
    LINKS,
    "/usr/local/lib/credstore.encrypted",
    "/usr/lib/credstore.encrypted",
];

/// Where systemd looks after that: the stores of plain credentials. It decrypts a file of our name
/// there all the same. If the file is in clear, the unit ends with 243.
pub(in crate::ctl) const PLAIN_STORES: [&str; 5] = [
    "/run/credentials/@system",
    "/etc/credstore",
    "/run/credstore",
    "/usr/local/lib/credstore",
    "/usr/lib/credstore",
];

/// Every file that systemd would take for this secret, the first one first.
pub(in crate::ctl) fn credentials(site: &Site, which: Which) -> impl Iterator<Item = PathBuf> {
    let stores = STORES.into_iter().chain(PLAIN_STORES);
    stores.map(move |store| site.path(store).join(which.credential()))
}

/// Where systemd-tmpfiles links to [`SPARE_STORE`] at each boot (`systemd/c2c-authd.tmpfiles`).
pub(in crate::ctl) const LINKS: &str = "/run/credstore.encrypted";
pub(in crate::ctl) const STORE: &str = STORES[1];
/// Their place where `/etc` is read-only. Not in the state directory, which belongs to the daemon.
pub(in crate::ctl) const SPARE_STORE: &str = "/var/lib/c2c-provision/credstore.encrypted";

/// Where `provision` may have put this one, sealed.
pub(in crate::ctl) fn sealed_paths(site: &Site, which: Which) -> [PathBuf; 2] {
    [STORE, SPARE_STORE].map(|store| site.path(store).join(which.credential()))
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ctl) enum Kept {
    Sealed {
        path: PathBuf,
        /// The header in clear. `None`: the file is no sealed credential.
        header: Option<Header>,
    },
    File {
        path: PathBuf,
    },
}

impl Kept {
    pub(in crate::ctl) fn path(&self) -> &Path {
        match self {
            Self::Sealed { path, .. } | Self::File { path } => path,
        }
    }

    pub(in crate::ctl) fn key(&self) -> Option<Key> {
        match self {
            Self::Sealed { header, .. } => header.map(|header| header.key),
            Self::File { .. } => None,
        }
    }
}

pub(in crate::ctl) struct Found {
    pub(in crate::ctl) kept: Kept,
    /// It, or a sentence that says why it cannot be used and what helps.
    pub(in crate::ctl) content: Result<Plain, String>,
}

/// Looks for it as the unit would: credentials win over files. `Ok(None)`: nowhere.
pub(in crate::ctl) fn find(site: &Site, config: Option<&Config>, which: Which) -> io::Result<Option<Found>> {
    for path in credentials(site, which) {
        if let Some(sealed) = read(&path)? {
            let kept = Kept::Sealed {
                header: header(&sealed),
                path,
            };
            let content = open(site, which, &kept, &sealed);
            return Ok(Some(Found { kept, content }));
        }
    }
    let Some(path) = config.and_then(|config| which.configured(config)) else {
        return Ok(None);
    };
    let path = site.path(path);
    let Some(plain) = read(&path)? else { return Ok(None) };
    let content = which
        .parse(&plain)
        .map_err(|problem| format!("{}: the {} cannot be used: {problem}", path.display(), which.what()))
        .and_then(|plain| guarded(site, which, &path).map(|()| plain));
    Ok(Some(Found {
        kept: Kept::File { path },
        content,
    }))
}

fn read(path: &Path) -> io::Result<Option<Plain>> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    match fs::read(path) {
        Ok(content) => Ok(Some(Zeroizing::new(content))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(named(error)),
    }
}

fn open(site: &Site, which: Which, kept: &Kept, sealed: &[u8]) -> Result<Plain, String> {
    match Creds(site).open(which.name(), sealed) {
        Ok(plain) => which.parse(&plain).map_err(|problem| {
            format!(
                "{}: the {} cannot be used: {problem}",
                kept.path().display(),
                which.what()
            )
        }),
        Err(CredsError::SealedElsewhere(why)) => Err(format!("{}: {why}", kept.path().display())),
        Err(error) => Err(format!(
            "{}: {error}. {}",
            kept.path().display(),
            why_closed(site, kept)
        )),
    }
}

/// Why a sealed credential does not open, as far as it can be told from outside, and the way out.
fn why_closed(site: &Site, kept: &Kept) -> String {
    const AGAIN: &str = "provision the device again: c2c-authctl provision --replace";
    let Kept::Sealed { header, .. } = kept else {
        return String::new();
    };
    let Some(Header { key, bound_to_pcrs }) = *header else {
        // Beside the sealed ones it may be what a fault left of one. Elsewhere somebody put it
        // there.
        let plain = PLAIN_STORES.map(|store| site.path(store));
        return if plain.iter().any(|store| kept.path().starts_with(store)) {
            "systemd takes this file for the sealed credential, which it is not, and the daemon does not start (243); remove it"
                .to_owned()
        } else {
            format!("This file is not a sealed credential; {AGAIN}")
        };
    };
    let host_key = site.host_key();
    if key.needs_host() && site.machine == MachineId::Absent {
        return "There is no machine id, and without one systemd does not read the host key; boot this system, or run: \
                systemd-machine-id-setup"
            .to_owned();
    }
    if key.needs_host() && !host_key.exists() {
        return format!(
            "The host key {} is missing; systemd deletes it when the machine id is another than when it was made. Bring back the \
             key, and that id, from a backup, or {AGAIN}",
            host_key.display()
        );
    }
    // systemd does not take a key that is no secret any more.
    if key.needs_host() && fs::metadata(&host_key).is_ok_and(|found| found.mode() & 0o077 != 0) {
        return format!(
            "The host key {} can be read by others; run: chmod 0400 {}",
            host_key.display(),
            host_key.display()
        );
    }
    let mut causes = vec!["it was sealed on another device or under another name"];
    if key.needs_host() {
        causes.push("the host key has changed");
    }
    if key.needs_tpm() {
        causes.push("the TPM was cleared or cannot be reached");
    }
    if bound_to_pcrs {
        causes.push("the firmware or system that it is bound to has changed");
    }
    format!("Either {}; {AGAIN}", causes.join(", or "))
}

/// As the daemon will judge a file.
pub(super) fn guarded(site: &Site, which: Which, path: &Path) -> Result<(), String> {
    let found = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let service = site.service.map(|(uid, gid)| Reader { uid, gid });
    let reader = service.unwrap_or_else(|| Reader::owner_of(&found));
    secrets::guarded(which.what(), path, &found, reader).map_err(|fault| fault.to_string())
}
