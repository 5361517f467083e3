//! The one drop-in that `provision` writes into the configuration. In comments it also records
//! where unsealed secrets may be while they are being moved, so that no crash loses track of them.
//! It records as well where former unsealed state keys are kept.
//!
//! Root removes what it names. So a name that `provision` cannot have written is never used, only
//! reported.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::destination::{self, DROP_INS, Home};
use super::location::Which;
use crate::config::Config;
use crate::ctl::exit::Failure;
use crate::ctl::site::Site;
use crate::system::atomic_file::{Access, Disk, Staged};
use crate::system::mounts::Ground;

const NAME: &str = "50-provision.toml";
/// Begins the comments that name what may be in clear. The package's postrm reads them too.
const UNSETTLED: &str = "# - ";
/// Begins the comments that name what copies are kept beside. The package's postrm reads them too.
const KEPT_BESIDE: &str = "# + ";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ctl) struct DropIn {
    // `device.client-id`
    pub(in crate::ctl) client_id: Option<String>,
    // `secrets.client-secret-file`
    pub(in crate::ctl) client_secret: Option<PathBuf>,
    // `secrets.state-key-file`
    pub(in crate::ctl) state_key: Option<PathBuf>,
    /// Files in clear of a change that did not come to its end.
    pub(in crate::ctl) unsettled: BTreeSet<PathBuf>,
    /// Files, mostly gone, beside which former state keys are kept in clear: see `keep`.
    pub(in crate::ctl) kept_beside: BTreeSet<PathBuf>,
    /// Other names in it, which `provision` did not write. Never written again.
    pub(in crate::ctl) strange: BTreeSet<PathBuf>,
}

/// A drop-in that is good and not yet in force.
pub(super) struct Change {
    disk: Disk,
    path: PathBuf,
    /// `None`: there is nothing to say, and no file.
    staged: Option<Staged>,
    /// The other place, where another one would hide this one, or be hidden.
    other: PathBuf,
}

impl Change {
    pub(super) fn commit(self) -> Result<(), Failure> {
        let done = match self.staged {
            Some(staged) => staged.commit(),
            None => self.disk.remove(&self.path).map(drop),
        };
        done.map_err(|error| failed(&self.path, &error))?;
        self.disk
            .remove(&self.other)
            .map(drop)
            .map_err(|error| failed(&self.other, &error))
    }
}

impl DropIn {
    /// Where it can be, the one that is read first.
    pub(in crate::ctl) fn paths(site: &Site) -> [PathBuf; 2] {
        DROP_INS.map(|directory| site.path(directory).join(NAME))
    }

    pub(in crate::ctl) fn path(site: &Site) -> PathBuf {
        let [usual, spare] = Self::paths(site);
        if !usual.exists() && spare.exists() {
            spare
        } else {
            usual
        }
    }

    /// The drop-in as it is now. Empty if there is none.
    pub(in crate::ctl) fn load(site: &Site) -> Result<Self, Failure> {
        let path = Self::path(site);
        if !path.exists() {
            return Ok(Self::default());
        }
        let written = Config::load_file(&path, &site.system())?;
        let text = fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
        let mut strange = BTreeSet::new();
        let mut ours = |path: PathBuf| {
            let ours = is_ours(&path).then(|| path.clone());
            if ours.is_none() {
                strange.insert(path);
            }
            ours
        };
        let mut noted = |mark| {
            let paths = text.lines().filter_map(|line| unquote(line.strip_prefix(mark)?));
            paths.filter_map(|path| ours(PathBuf::from(path))).collect()
        };
        let (unsettled, kept_beside) = (noted(UNSETTLED), noted(KEPT_BESIDE));
        Ok(Self {
            client_id: written.device.client_id,
            client_secret: written.secrets.client_secret.and_then(&mut ours),
            state_key: written.secrets.state_key.and_then(&mut ours),
            unsettled,
            kept_beside,
            strange,
        })
    }

    /// The file that it names for this secret.
    pub(super) fn names(&self, which: Which) -> Option<&Path> {
        match which {
            Which::ClientSecret => self.client_secret.as_deref(),
            Which::StateKey => self.state_key.as_deref(),
        }
    }

    /// Every file in clear that it speaks of.
    pub(in crate::ctl) fn clear_files(&self) -> BTreeSet<PathBuf> {
        let named = [&self.client_secret, &self.state_key];
        let named = named.into_iter().flatten().cloned();
        named.chain(self.unsettled.iter().cloned()).collect()
    }

    /// A warning for each name that `provision` did not write. Those files were not touched.
    pub(in crate::ctl) fn strangers(&self, site: &Site) -> impl Iterator<Item = String> {
        let by = Self::path(site);
        self.strange.iter().map(move |path| {
            format!(
                "{} is named in {}, but not by provision; it was left, check whether it is a secret",
                quote(&path.to_string_lossy()),
                by.display()
            )
        })
    }

    /// Where to write it, if it has to be: it differs from `former`. Files that the image's own
    /// configuration names as well need no naming where there is no room for it.
    pub(super) fn home(&mut self, site: &Site, config: &Config, former: &Self) -> Result<Option<Home>, Failure> {
        if self == former {
            return Ok(None);
        }
        match destination::drop_ins(site) {
            Ok(home) => Ok(Some(home)),
            Err(failure) => {
                let named = |ours: &Option<PathBuf>, all: &Option<PathBuf>| ours.is_none() || ours == all;
                let by_others = named(&self.client_secret, &config.secrets.client_secret)
                    && named(&self.state_key, &config.secrets.state_key);
                if by_others && *former == Self::default() && self.client_id.is_none() {
                    *self = Self::default();
                    return Ok(None);
                }
                Err(failure)
            }
        }
    }

    /// The same while these files are on their way to what `then` says.
    pub(super) fn moving(&self, unsettled: &BTreeSet<PathBuf>, then: &Self) -> Self {
        Self {
            unsettled: unsettled.clone(),
            kept_beside: then.kept_beside.clone(),
            ..self.clone()
        }
    }

    /// Writes it beside its place in that directory, and holds it against the configuration's
    /// rules: what would be refused never gets there.
    pub(super) fn stage(&self, site: &Site, directory: &Path) -> Result<Change, Failure> {
        let path = site.path(directory).join(NAME);
        let [usual, spare] = Self::paths(site);
        let other = if path == usual { spare } else { usual };
        let lasts = site.mounts.ground(&path) == Ground::Lasting;
        let stays_away =
            site.mounts.removal_lasts(&other) || (!lasts && site.mounts.ground(&other) != Ground::ReadOnly);
        if other.exists() && !stays_away {
            return Err(Failure::failed(format!(
                "{} cannot be removed for good (its file system is read-only, or forgets changes); nothing was changed; make \
                     that writable for a moment, or remove it from the image",
                other.display()
            )));
        }
        if *self == Self::default() {
            return Ok(Change {
                disk: site.disk.clone(),
                path,
                staged: None,
                other,
            });
        }
        if let Some(above) = path.parent() {
            let made = site.disk.make_directory(above, Access::of(0o755));
            made.map_err(|error| failed(above, &error))?;
        }
        // Read by the daemon, which is not root. It holds no secret.
        let staged = site.disk.stage(&path, self.text().as_bytes(), Access::of(0o644));
        let staged = staged.map_err(|error| failed(&path, &error))?;
        Config::load_file(staged.at(), &site.system()).map_err(|error| Failure::usage(cause(&error)))?;
        Ok(Change {
            disk: site.disk.clone(),
            path,
            staged: Some(staged),
            other,
        })
    }

    fn text(&self) -> String {
        let mut out =
            String::from("# Written by «c2c-authctl provision», which replaces it. Changes belong in another file.\n");
        let quoted = |path: &Path| quote(&path.to_string_lossy());
        // Writing to a string cannot fail.
        if !self.unsettled.is_empty() {
            out.push_str("# A change was cut off; run the command again. Unsealed secrets may be left in\n");
        }
        for path in &self.unsettled {
            let _ = writeln!(out, "{UNSETTLED}{}", quoted(path));
        }
        if !self.kept_beside.is_empty() {
            out.push_str("# Former state keys that could not be used are kept unsealed as these names plus .replaced.1 (2, 3 ...):\n");
        }
        for path in &self.kept_beside {
            let _ = writeln!(out, "{KEPT_BESIDE}{}", quoted(path));
        }
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

/// True if `provision` may have written this name: absolute, without detours, and the name of a
/// secret. The package's postrm has the same test.
fn is_ours(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    let mut parts = bytes.split(|byte| *byte == b'/');
    let last = parts.next_back().unwrap_or_default();
    bytes.starts_with(b"/")
        && parts.all(|part| part != b"." && part != b"..")
        && Which::BOTH.iter().any(|which| which.name().as_bytes() == last)
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
    Failure::failed(format!("{}: cannot be written ({error})", path.display()))
}

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

/// The inverse of [`quote`]. `None` for a text that it did not make.
fn unquote(text: &str) -> Option<String> {
    let mut rest = text.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut out = String::new();
    while let Some(c) = rest.next() {
        out.push(match (c, c == '\\') {
            (c, false) => c,
            (_, true) => match rest.next()? {
                'u' => {
                    let digits: String = rest.by_ref().take(4).collect();
                    char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
                }
                c => c,
            },
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use super::*;
    use crate::ctl::exit::Exit;

    #[test]
    fn it_reads_what_it_wrote_and_goes_when_empty() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::at(folder.path());
        assert_eq!(DropIn::load(&site).unwrap(), DropIn::default());
        let full = DropIn {
            client_id: Some("SN-\"1\\".to_owned()),
            client_secret: Some(PathBuf::from("/a \"b\"/client-secret")),
            state_key: Some(PathBuf::from("/a/state-key")),
            unsettled: [PathBuf::from("/a \"\\\n/state-key")].into(),
            kept_beside: [PathBuf::from("/b \"\\\n/state-key"), PathBuf::from("/c/state-key")].into(),
            strange: BTreeSet::new(),
        };
        let [usual, spare] = DROP_INS.map(Path::new);
        full.stage(&site, usual).unwrap().commit().unwrap();
        assert_eq!(DropIn::load(&site).unwrap(), full);
        assert_eq!(site.config().unwrap().device.client_id, full.client_id);
        full.stage(&site, spare).unwrap().commit().unwrap();
        assert_eq!(DropIn::load(&site).unwrap(), full);
        assert_eq!(DropIn::path(&site), DropIn::paths(&site)[1], "it moved");
        assert!(!DropIn::paths(&site)[0].exists());
        DropIn::default().stage(&site, usual).unwrap().commit().unwrap();
        assert!(DropIn::paths(&site).iter().all(|path| !path.exists()));
    }

    #[test]
    fn only_a_name_that_provision_writes_is_taken_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::at(folder.path());
        let path = DropIn::path(&site);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let strange = [
            "/etc/passwd",
            "/etc/x/..",
            "/a/../etc/state-key",
            "/a/./state-key",
            "/a/state-key/",
            "/a/state-key/.",
            "a/state-key",
            "state-key",
            "/a/client-secret.replaced.1",
            "/a/.state-key.new",
            "/",
            "",
        ];
        for mark in [UNSETTLED, KEPT_BESIDE] {
            let lines: Vec<_> = strange.iter().map(|path| format!("{mark}{}\n", quote(path))).collect();
            fs::write(&path, format!("{mark}\"/a/state-key\"\n{}", lines.concat())).unwrap();
            let found = DropIn::load(&site).unwrap();
            let taken: Vec<_> = found.unsettled.union(&found.kept_beside).collect();
            assert_eq!(taken, [Path::new("/a/state-key")], "{mark}");
            // Byte for byte: as paths some of them are the same.
            assert_eq!(found.strangers(&site).count(), found.strange.len());
            assert!(found.strange.len() >= strange.len() - 3, "{:?}", found.strange);
        }
        fs::write(
            &path,
            "[secrets]\nclient-secret-file = \"/etc/shadow\"\nstate-key-file = \"/a/state-key\"\n",
        )
        .unwrap();
        let found = DropIn::load(&site).unwrap();
        assert_eq!(found.clear_files(), [PathBuf::from("/a/state-key")].into());
        assert_eq!(found.strange, [PathBuf::from("/etc/shadow")].into());
    }

    #[test]
    fn what_the_configuration_refuses_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::at(folder.path());
        let bad = DropIn {
            client_id: Some("00:11:22:33:44:55".to_owned()),
            ..DropIn::default()
        };
        let failure = bad.stage(&site, Path::new(DROP_INS[0])).err().unwrap();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.sentence.starts_with("device.client-id: "), "{failure}");
        assert!(!DropIn::path(&site).exists());
    }
}
