#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use std::fs::{Permissions, symlink_metadata};
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

use super::*;

const PICTURE: &[u8] = b"picture";

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// The names in a directory.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_new_file_is_its_owners_alone_and_one_that_is_there_keeps_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new");
    write(&path, PICTURE).unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (PICTURE.to_vec(), 0o600));
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    write(&path, b"another").unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"another".to_vec(), 0o644));
    assert_eq!(names(folder.path()), ["new"]);
}

#[test]
fn the_target_of_a_link_is_written_and_the_link_stays() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("below")).unwrap();
    fs::write(at("below/old"), "what was there, and longer").unwrap();
    fs::set_permissions(at("below/old"), Permissions::from_mode(0o640)).unwrap();
    symlink("below/old", at("to-old")).unwrap();
    symlink(at("to-old"), at("to-link")).unwrap();
    symlink("below/new", at("to-nothing")).unwrap();
    for (name, target, expected) in [
        ("to-old", "below/old", 0o640),
        ("to-link", "below/old", 0o640),
        ("to-nothing", "below/new", 0o600),
    ] {
        write(&at(name), PICTURE).unwrap();
        assert!(symlink_metadata(at(name)).unwrap().is_symlink(), "{name}");
        assert_eq!(fs::read(at(target)).unwrap(), PICTURE, "{name}");
        assert_eq!(mode(&at(target)), expected, "{name}");
    }
    symlink("round", at("round")).unwrap();
    assert!(write(&at("round"), PICTURE).is_err());
    assert!(symlink_metadata(at("round")).unwrap().is_symlink());
    assert_eq!(names(&at("below")), ["new", "old"]);
}

#[test]
fn a_fifo_and_a_terminal_are_written_and_stay() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    symlink("fifo", folder.path().join("link")).unwrap();
    // It is open before anybody writes, so that no end waits for the other.
    let mut reader = File::from(rustix::fs::open(&fifo, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap());
    for name in ["fifo", "link"] {
        write(&folder.path().join(name), PICTURE).unwrap();
        let mut read = Vec::new();
        // Nobody writes any more: this ends.
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read, PICTURE, "{name}");
    }
    assert_eq!(names(folder.path()), ["fifo", "link"]);

    let master = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&master).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let terminal = rustix::pty::ptsname(&master, Vec::new()).unwrap();
    // Held open: what is written there would be gone with its last user.
    let _held = rustix::fs::open(&terminal, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    write(Path::new(terminal.to_str().unwrap()), PICTURE).unwrap();
    let mut read = [0; PICTURE.len()];
    File::from(master).read_exact(&mut read).unwrap();
    assert_eq!(read, PICTURE);
}

#[test]
fn a_descriptor_is_written_where_it_stands() {
    let named = |open: &dyn AsFd| format!("/dev/fd/{}", open.as_fd().as_raw_fd());
    let (mut reader, writer) = io::pipe().unwrap();
    write(Path::new(&named(&writer)), PICTURE).unwrap();
    drop(writer);
    let mut read = Vec::new();
    reader.read_to_end(&mut read).unwrap();
    assert_eq!(read, PICTURE);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "before ").unwrap();
    let open = File::open(&path).unwrap();
    write(Path::new(&named(&open)), PICTURE).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"before picture", "as behind >>");
    assert_eq!(open.metadata().unwrap().ino(), fs::metadata(&path).unwrap().ino());
    // Its name is gone: there is nothing that could be replaced.
    fs::remove_file(&path).unwrap();
    write(Path::new(&named(&open)), PICTURE).unwrap();
    assert_eq!(open.metadata().unwrap().len(), 21);
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_directory_is_refused_by_its_name_and_by_a_link() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("directory")).unwrap();
    symlink("directory", folder.path().join("link")).unwrap();
    for name in ["directory", "link", "directory/", "link/", "link/."] {
        let refused = write(&folder.path().join(name), PICTURE).unwrap_err();
        assert_eq!(refused.to_string(), "this is not the name of a file", "{name}");
    }
    assert_eq!(names(folder.path()), ["directory", "link"]);
    assert_eq!(names(&folder.path().join("directory")), [""; 0]);
}

#[test]
fn a_file_that_can_be_written_in_a_directory_that_cannot_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine");
    fs::write(&path, "what was there, and longer").unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o500)).unwrap();
    let written = std::thread::spawn({
        let path = path.clone();
        move || {
            // Only this thread loses its capabilities. With them root may write everywhere.
            let none = rustix::thread::CapabilitySets {
                effective: rustix::thread::CapabilitySet::empty(),
                permitted: rustix::thread::CapabilitySet::empty(),
                inheritable: rustix::thread::CapabilitySet::empty(),
            };
            rustix::thread::set_capabilities(None, none).unwrap();
            let beside = write(&path.with_file_name("another"), PICTURE);
            (write(&path, PICTURE), beside)
        }
    });
    let (written, beside) = written.join().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    written.unwrap();
    assert_eq!(fs::read(&path).unwrap(), PICTURE);
    assert_eq!(beside.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
}

#[test]
fn a_name_that_is_not_utf_8_is_a_name() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff.png"));
    for picture in [&b"one"[..], b"two"] {
        write(&path, picture).unwrap();
        assert_eq!(fs::read(&path).unwrap(), picture);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
    }
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}
