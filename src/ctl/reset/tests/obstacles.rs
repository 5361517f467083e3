//! An obstacle in the place of a file, or a file that cannot be removed, is reported and stops
//! nothing.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use rustix::fs::{IFlags, ioctl_setflags};

use super::*;
use crate::system::atomic_file::{Directory, Disk};

const ALL_OF_IT: FactoryReset = FactoryReset {
    provisioning: true,
    ..WANTED
};

/// Puts something at a path.
type Make = fn(&Path);

/// A machine whose files of one name are something else. The secret is to go in any case.
fn with(name: &str, make: Make) -> (tempfile::TempDir, Site, std::path::PathBuf) {
    let (folder, site) = machine(&["spare"]);
    let secret = site.path("/etc/credstore.encrypted/c2c-authd.client-secret");
    fs::create_dir_all(secret.parent().unwrap()).unwrap();
    fs::write(&secret, "sealed").unwrap();
    make(&site.state_directory(None).join(name));
    (folder, site, secret)
}

#[tokio::test]
async fn a_directory_a_socket_or_a_link_in_the_place_of_a_file_holds_nothing_back() {
    let make: [(&str, Make); 4] = [
        ("directory", |path| fs::create_dir(path).unwrap()),
        ("full directory", |path| fs::create_dir_all(path.join("more")).unwrap()),
        ("socket", |path| drop(UnixListener::bind(path).unwrap())),
        ("link", |path| symlink("/nowhere", path).unwrap()),
    ];
    for name in [
        "record.0",
        "record.1",
        "revocations",
        "record.damaged.1",
        "revocations.foreign.2",
        ".record.0.new",
    ] {
        for (kind, make) in make {
            let (_folder, site, secret) = with(name, make);
            let report = reset(&site, &nobody(), &ALL_OF_IT).await.unwrap();
            let told = format!("{name} as {kind}: {report:?}");
            assert_eq!(
                (report.server, report.exit()),
                (Server::NothingToTell, Exit::Ok),
                "{told}"
            );
            assert!(!secret.exists(), "{told}");
            let stays = kind.ends_with("directory");
            assert_eq!(left(&site).len(), usize::from(stays), "{told}");
            let of_it = format!("{name} is a directory, and was left");
            assert_eq!(
                report.warnings.iter().any(|told| told.contains(&of_it)),
                stays,
                "{told}"
            );
        }
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_removed_fails_the_reset_and_the_rest_goes() {
    let (_folder, mut site, secret) = with("record.damaged.1", |path| fs::write(path, "sealed").unwrap());
    let named = site.path("/etc/c2c-authd/config.d/50-provision.toml");
    fs::create_dir_all(named.parent().unwrap()).unwrap();
    fs::write(&named, "[device]\nclient-id = \"SN-1\"\n").unwrap();
    site.disk = Disk::of(|directory| {
        if directory.ends_with("credstore.encrypted") {
            return Err(rustix::io::Errno::PERM.into());
        }
        Ok(Box::new(Directory::at(directory)?))
    });
    let report = reset(&site, &nobody(), &ALL_OF_IT).await.unwrap();
    assert_eq!(report.exit(), Exit::Failed, "{report:?}");
    assert_eq!(left(&site), [""; 0]);
    assert!(
        secret.exists() && named.exists(),
        "what names the secrets stays with them"
    );
    let told = |told: &String| told.contains("c2c-authd.client-secret") && told.contains("STAYS");
    assert!(report.warnings.iter().any(told), "{report:?}");
    // And again, once the obstacle is gone.
    site.disk = Disk::real();
    let report = reset(&site, &nobody(), &ALL_OF_IT).await.unwrap();
    assert!(
        report.exit() == Exit::Ok && !secret.exists() && !named.exists(),
        "{report:?}"
    );
}

#[tokio::test]
async fn an_immutable_record_is_told_as_what_stays() {
    let (_folder, site, secret) = with("record.0", |path| fs::write(path, "sealed").unwrap());
    let record = fs::File::open(site.state_directory(None).join("record.0")).unwrap();
    if ioctl_setflags(&record, IFlags::IMMUTABLE).is_err() {
        println!("left out: no immutable files here");
        return;
    }
    let all = FactoryReset {
        forget_revocations: true,
        ..ALL_OF_IT
    };
    let report = reset(&site, &nobody(), &all).await;
    ioctl_setflags(&record, IFlags::empty()).unwrap();
    let report = report.unwrap();
    assert_eq!(report.exit(), Exit::Failed, "{report:?}");
    assert!(left(&site) == ["record.0"] && !secret.exists(), "{report:?}");
}
