//! Where the secrets go: sealed into a store of credentials, or as files.

use std::path::{Path, PathBuf};

use super::location::{Kept, Which};
use super::seal::{Creds, CredsError, Key};
use super::{Move, admit_files, destination, refused};
use crate::config::Config;
use crate::ctl::exit::Failure;
use crate::ctl::site::Site;
use crate::system::mounts::Ground;

/// Where each secret goes.
pub(super) struct Targets {
    pub(super) client_secret: Target,
    /// `None`: where the client secret goes.
    pub(super) state_key: Option<Target>,
}

impl Targets {
    pub(super) const fn both(target: Target) -> Self {
        Self {
            client_secret: target,
            state_key: None,
        }
    }

    pub(super) fn of(&self, which: Which) -> &Target {
        match (which, &self.state_key) {
            (Which::StateKey, Some(target)) => target,
            _ => &self.client_secret,
        }
    }

    /// Looks at the directory of a file that is to be written where it is. One that is only read is
    /// as the daemon finds it.
    pub(super) fn admit(&mut self, site: &Site, config: &Config, moves: &[Move]) -> Result<(), Failure> {
        for step in moves.iter().filter(|step| step.plain.is_some()) {
            let target = match (step.which, &mut self.state_key) {
                (Which::StateKey, Some(target)) => target,
                _ => &mut self.client_secret,
            };
            if matches!(target.kind, Kind::Here(_)) {
                target.warning = admit_files(site, config, &target.directory)?;
            }
        }
        Ok(())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Target> {
        [&self.client_secret].into_iter().chain(&self.state_key)
    }
}

pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) directory: PathBuf,
    pub(super) warning: Option<String>,
}

pub(super) enum Kind {
    Files,
    /// The file of this name, which the configuration names.
    Here(PathBuf),
    Sealed {
        /// The key to seal with. An error here matters only if something has to be sealed.
        key: Result<Key, CredsError>,
        /// Because somebody said so: then a secret sealed with another key moves too.
        explicit: bool,
    },
}

impl Target {
    pub(super) fn sealed(site: &Site, key: Option<Key>, explicit: bool) -> Result<Self, Failure> {
        let home = destination::store(site)?;
        if key.is_some_and(Key::needs_host) {
            Creds(site).usable_host_key().map_err(refused)?;
        }
        // Nobody is refused who asked for it: an image may bring its host key back at each boot.
        let forgets = key.is_some_and(Key::needs_host) && !Creds(site).host_key_lasts();
        let key = key.map_or_else(|| Creds(site).best_key(), Ok);
        // It is the id of the image or one of this boot: nobody can tell.
        let id = Path::new("/etc/machine-id");
        let id_may_go = key.as_ref().is_ok_and(|key| key.needs_host()) && site.ground(id) == Ground::Volatile;
        let warning = match home.warning {
            Some(warning) => Some(warning),
            None if forgets => Some(format!(
                "{}, without which nothing can be opened; unless the image brings the key back, use --with-key tpm2 or --files DIR",
                destination::gone(&site.machine_path(&site.host_key()))
            )),
            None if id_may_go => Some(format!(
                "{}, and the host key dies with it; unless the image brings the same id at each boot, use --with-key tpm2 or \
                 --files DIR",
                destination::gone(id)
            )),
            None => None,
        };
        Ok(Self {
            kind: Kind::Sealed { key, explicit },
            directory: home.directory,
            warning,
        })
    }

    pub(super) const fn is_sealed(&self) -> bool {
        matches!(self.kind, Kind::Sealed { .. })
    }

    /// As the machine calls it.
    pub(super) fn file(&self, which: Which) -> PathBuf {
        self.directory.join(match &self.kind {
            Kind::Sealed { .. } => Path::new(which.credential()),
            Kind::Files => Path::new(which.name()),
            Kind::Here(name) => name,
        })
    }

    pub(super) fn path(&self, site: &Site, which: Which) -> PathBuf {
        site.path(self.file(which))
    }

    /// True if the secret, as found, is already stored the way this target stores it.
    pub(super) fn is_met_by(&self, site: &Site, which: Which, kept: &Kept) -> bool {
        match (&self.kind, kept) {
            (Kind::Sealed { key, explicit }, Kept::Sealed { header, path }) => {
                let key = key.as_ref().ok();
                let with_it = header.is_some_and(|header| Some(&header.key) == key && !header.bound_to_pcrs);
                // Or no place lasts.
                let stays =
                    site.mounts.ground(path) != Ground::Volatile || site.ground(&self.directory) != Ground::Lasting;
                stays && (!explicit || with_it)
            }
            (Kind::Files | Kind::Here(_), Kept::File { path }) => *path == self.path(site, which),
            _ => false,
        }
    }
}
