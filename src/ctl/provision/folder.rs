//! Decides if a directory may hold unsealed secrets. The daemon must see it from inside its
//! sandbox, it must be persistent, and nobody but root may change anything on the way to it.
//!
//! Checked component by component, so that no symbolic link leads elsewhere. Since everything on
//! the way belongs to root, the result stays true.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::destination::gone;
use super::location::{PLAIN_STORES, SPARE_STORE, STORES};
use super::refused;
use crate::config::Config;
use crate::ctl::exit::Failure;
use crate::ctl::site::{Site, USER};
use crate::system::mounts::Ground;

/// The directories that the unit hides from the daemon, each with the line that does it.
const HIDDEN: [(&str, &str); 8] = [
    ("/home", "ProtectHome="),
    ("/root", "ProtectHome="),
    ("/run/user", "ProtectHome="),
    ("/tmp", "PrivateTmp="),
    ("/var/tmp", "PrivateTmp="),
    ("/dev", "PrivateDevices="),
    ("/proc", "ProcSubset="),
    ("/sys", "ProtectKernelTunables="),
];

/// A directory that may be used, and what is to be known about it.
pub(super) fn admit(site: &Site, config: &Config, directory: &Path) -> Result<Option<String>, Failure> {
    let name = directory.display();
    if directory.components().any(|part| part == Component::ParentDir) {
        return Err(refused(format!("{name} contains \"..\"; give the path without it")));
    }
    if let Some((above, line)) = HIDDEN.iter().find(|(above, _)| directory.starts_with(above)) {
        return Err(refused(format!(
            "the unit hides {above} from the daemon ({line}), so {name} cannot be used; use another, such as /var/lib/c2c-secrets"
        )));
    }
    let ours = [
        site.machine_path(&site.state_directory(Some(config))),
        PathBuf::from("/var/lib/c2c-authd"),
        PathBuf::from("/var/lib/private"),
        PathBuf::from("/run/c2c-authd"),
    ];
    if let Some(above) = ours.iter().find(|above| directory.starts_with(above)) {
        return Err(refused(format!(
            "{name} is in {}, which the daemon may change: it could replace its own secrets; use \
             another, such as /var/lib/c2c-secrets",
            above.display()
        )));
    }
    let mut stores = STORES.iter().chain(&PLAIN_STORES).chain(&[SPARE_STORE]);
    if let Some(store) = stores.find(|store| directory.starts_with(store)) {
        return Err(refused(format!(
            "{name} is in {store}, where systemd looks for credentials, and would take a plain file for one; use \
             another, such as /var/lib/c2c-secrets"
        )));
    }
    walk(site, directory)?;
    match site.ground(directory) {
        Ground::Lasting => Ok(None),
        Ground::Volatile => Ok(Some(gone(directory))),
        Ground::ReadOnly => Err(refused(format!(
            "{name} is on a read-only file system; use a directory on a writable partition"
        ))),
    }
}

/// From the root down, as far as it exists: the rest is made by us.
fn walk(site: &Site, directory: &Path) -> Result<(), Failure> {
    let mut above: Vec<_> = directory.ancestors().collect();
    above.reverse();
    for path in above {
        let found = match fs::symlink_metadata(site.path(path)) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(refused(format!("{}: {error}", path.display()))),
        };
        // The machine's root is what it is, and a test's need not be the root's.
        if path.parent().is_some() {
            step(site, path, &found)?;
        }
    }
    Ok(())
}

fn step(site: &Site, path: &Path, found: &Metadata) -> Result<(), Failure> {
    let name = path.display();
    if found.is_symlink() {
        let to = fs::canonicalize(site.path(path)).map(|to| site.machine_path(&to));
        let why = match to {
            Ok(to) => format!(
                "{name} is a symbolic link, which may change; use {} instead",
                to.display()
            ),
            Err(error) => format!("{name} is a broken symbolic link ({error})"),
        };
        return Err(refused(why));
    }
    if !found.is_dir() {
        return Err(refused(format!("{name} is not a directory")));
    }
    if found.uid() != site.root_uid {
        return Err(refused(format!(
            "{name} belongs to uid {}, who could replace the secrets; run: chown root {name}",
            found.uid()
        )));
    }
    if found.mode() & 0o022 != 0 {
        return Err(refused(format!(
            "{name} can be changed by others (mode {:04o}), who could replace the secrets; run: chmod \
             go-w {name}",
            found.mode() & 0o7777
        )));
    }
    let passes = match site.service {
        Some((uid, _)) if uid == found.uid() => found.mode() & 0o100 != 0,
        Some((_, gid)) if gid == found.gid() => found.mode() & 0o010 != 0,
        _ => found.mode() & 0o001 != 0,
    };
    if !passes {
        return Err(refused(format!(
            "the daemon cannot pass through {name} (mode {:04o}); run: chgrp {USER} {name} && chmod g+x {name}",
            found.mode() & 0o7777
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::ctl::exit::Exit;
    use crate::system::mounts::Mounts;

    fn admitted(site: &Site, path: &str) -> Result<Option<String>, String> {
        let config = site.config().unwrap();
        admit(site, &config, Path::new(path)).map_err(|failure| {
            assert_eq!(failure.exit, Exit::Failed);
            assert!(failure.sentence.ends_with("Nothing was changed"), "{failure}");
            failure.sentence
        })
    }

    fn machine(mode: u32) -> (tempfile::TempDir, Site) {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::at(folder.path());
        let data = site.path("/data");
        fs::create_dir_all(data.join("factory")).unwrap();
        fs::create_dir_all(site.path("/etc/c2c-authd")).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(mode)).unwrap();
        (folder, site)
    }

    #[test]
    fn a_directory_of_roots_own_that_is_there_or_not_is_taken() {
        let (_folder, site) = machine(0o755);
        for path in ["/data", "/data/factory", "/data/factory/not/yet", "/nowhere/yet"] {
            assert_eq!(admitted(&site, path), Ok(None), "{path}");
        }
    }

    #[test]
    fn what_the_unit_hides_or_the_daemon_owns_is_refused_by_name() {
        let (_folder, site) = machine(0o755);
        for (path, named) in [
            ("/home/factory", "/home"),
            ("/root", "/root"),
            ("/run/user/0/x", "/run/user"),
            ("/tmp/x", "/tmp"),
            ("/var/tmp", "/var/tmp"),
            ("/dev/shm/x", "/dev"),
            ("/var/lib/c2c-authd/secrets", "/var/lib/c2c-authd"),
            ("/run/c2c-authd", "/run/c2c-authd"),
            ("/etc/credstore.encrypted", "credentials"),
            ("/var/lib/c2c-provision/credstore.encrypted/x", "credentials"),
            ("/data/../tmp", ".."),
        ] {
            let why = admitted(&site, path).unwrap_err();
            assert!(why.contains(path) && why.contains(named), "{why}");
        }
        assert_eq!(admitted(&site, "/tmpfiles"), Ok(None), "by component, not by letter");
        fs::write(
            site.path("/etc/c2c-authd/config.toml"),
            "[state]\ndirectory = \"/data/c2c\"\n",
        )
        .unwrap();
        let why = admitted(&site, "/data/c2c/secrets").unwrap_err();
        assert!(why.contains("/data/c2c, which the daemon may change"), "{why}");
    }

    #[test]
    fn a_symbolic_link_on_the_way_is_refused_and_its_end_is_named() {
        let (_folder, site) = machine(0o755);
        symlink("data", site.path("/link")).unwrap();
        symlink("nowhere", site.path("/lost")).unwrap();
        let why = admitted(&site, "/link/factory").unwrap_err();
        assert!(
            why.contains("/link is a symbolic link") && why.contains("use /data instead"),
            "{why}"
        );
        assert!(admitted(&site, "/lost").unwrap_err().contains("broken symbolic link"));
    }

    #[test]
    fn a_directory_that_others_could_change_is_refused_with_the_cure() {
        for mode in [0o775, 0o757, 0o1777] {
            let (_folder, site) = machine(mode);
            let why = admitted(&site, "/data/factory/x").unwrap_err();
            assert!(why.contains("chmod go-w /data"), "{why}");
        }
        let (_folder, mut site) = machine(0o755);
        site.root_uid += 1;
        let why = admitted(&site, "/data/factory").unwrap_err();
        assert!(why.contains("chown root /data"), "{why}");
    }

    #[test]
    fn a_directory_that_the_daemon_cannot_pass_is_refused_with_the_cure() {
        let (_folder, mut site) = machine(0o750);
        site.service = Some((site.root_uid + 1, u32::MAX - 2));
        let why = admitted(&site, "/data/factory").unwrap_err();
        assert!(why.contains("chgrp c2c-authd /data && chmod g+x /data"), "{why}");
        let gid = fs::metadata(site.path("/data")).unwrap().gid();
        site.service = Some((site.root_uid + 1, gid));
        assert_eq!(admitted(&site, "/data/factory"), Ok(None));
    }

    #[test]
    fn a_file_system_that_forgets_is_told_and_one_that_cannot_be_written_is_refused() {
        let (folder, mut site) = machine(0o755);
        let root = folder.path().canonicalize().unwrap();
        let at = |kind: &str| {
            Mounts::parse(&format!(
                "1 0 8:1 / / rw - ext4 x rw\n2 1 0:9 / {}/data rw - {kind}",
                root.display()
            ))
        };
        site.mounts = at("tmpfs tmpfs rw");
        assert!(
            admitted(&site, "/data/x")
                .unwrap()
                .unwrap()
                .contains("does not survive a reboot")
        );
        site.mounts = at("ext4 /dev/data ro");
        assert!(admitted(&site, "/data/x").unwrap_err().contains("read-only"));
    }
}
