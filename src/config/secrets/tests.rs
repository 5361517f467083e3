#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use std::os::unix::fs::PermissionsExt;

use super::*;

/// A directory with secrets in it.
struct Box(tempfile::TempDir);

impl Box {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, content: &[u8], mode: u32) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

fn files(path: &Path) -> SecretFiles {
    SecretFiles {
        client_secret: Some(path.to_owned()),
        state_key: Some(path.to_owned()),
        create_state_key: false,
    }
}

const NONE: SecretFiles = SecretFiles {
    client_secret: None,
    state_key: None,
    create_state_key: false,
};

fn key_of(content: &[u8]) -> Result<Option<StateKeyBytes>, SecretError> {
    let dir = Box::new();
    state_key(&files(&dir.put("key", content, 0o600)), None)
}

#[test]
fn nothing_configured_and_nothing_there_is_absent() {
    let dir = Box::new();
    assert!(client_secret(&NONE, None).unwrap().is_none());
    assert!(
        client_secret(&files(Path::new("/nowhere/secret")), Some(dir.0.path()))
            .unwrap()
            .is_none()
    );
    assert!(state_key(&files(Path::new("/nowhere/key")), None).unwrap().is_none());
}

#[test]
fn a_credential_wins_over_a_file_and_its_mode_is_not_asked() {
    let dir = Box::new();
    dir.put("client-secret", b"from-credential\n", 0o444);
    let file = dir.put("file", b"from-file\r\n", 0o400);
    assert_eq!(
        client_secret(&files(&file), Some(dir.0.path()))
            .unwrap()
            .unwrap()
            .expose(),
        "from-credential"
    );
    assert_eq!(
        client_secret(&files(&file), None).unwrap().unwrap().expose(),
        "from-file"
    );
}

#[test]
fn a_file_that_others_can_read_is_refused_with_77_and_the_command_that_helps() {
    for mode in [0o640, 0o604, 0o620, 0o601] {
        let dir = Box::new();
        let path = dir.put("secret", b"hush\n", mode);
        let error = client_secret(&files(&path), None).unwrap_err();
        assert_eq!(error.exit_code(), 77);
        assert!(
            error.to_string().contains(&format!("chmod 0600 {}", path.display())),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("hush"));
    }
}

#[test]
fn a_file_of_another_user_is_refused_with_77() {
    let dir = Box::new();
    let path = dir.put("secret", b"hush\n", 0o600);
    // Only root can give a file away. For others there is nothing to try.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(4242), None).unwrap();
        let error = client_secret(&files(&path), None).unwrap_err();
        assert_eq!(error.exit_code(), 77);
        assert!(error.to_string().contains("uid 4242"), "{error}");
    }
}

#[test]
fn what_is_no_regular_file_is_refused_and_never_waited_for() {
    let dir = Box::new();
    let path = dir.0.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    assert_eq!(client_secret(&files(&path), None).unwrap_err().exit_code(), 78);
    assert_eq!(client_secret(&files(dir.0.path()), None).unwrap_err().exit_code(), 78);
}

#[test]
fn a_client_secret_is_one_line_of_visible_characters() {
    for content in [
        &b""[..],
        b"\n",
        b"two words\n",
        b"two\nlines\n",
        b"\xff\xfe",
        b"nul\0",
        &[b'x'; 1025],
        &[b'x'; 5000],
    ] {
        let dir = Box::new();
        let error = client_secret(&files(&dir.put("secret", content, 0o600)), None).unwrap_err();
        assert_eq!(error.exit_code(), 78, "{content:?}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[test]
fn a_state_key_is_32_bytes_raw_or_as_base64() {
    let raw: Vec<u8> = (1..=32).collect();
    assert_eq!(*key_of(&raw).unwrap().unwrap(), raw[..]);
    let base64 = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
    for text in [
        base64.to_owned(),
        format!("{base64}\n"),
        base64.trim_end_matches('=').to_owned(),
    ] {
        assert_eq!(*key_of(text.as_bytes()).unwrap().unwrap(), raw[..], "{text}");
    }
    // A raw key is taken by its length alone, whatever its last byte means in a text.
    assert_eq!(*key_of(&[b'\n'; 32]).unwrap().unwrap(), [b'\n'; 32]);
}

#[test]
fn any_other_state_key_is_refused_with_78_and_not_shown() {
    for content in [
        &b""[..],
        b"short",
        &[7; 31],
        &[7; 33],
        &[0; 32],
        &[b'A'; 43],
        &[b'!'; 44],
        &[b'B'; 64],
        b"QUJD\n",
    ] {
        let error = key_of(content).unwrap_err();
        assert_eq!(error.exit_code(), 78, "{content:?}");
        assert!(!format!("{error:?}").contains("short"));
    }
}

#[test]
fn a_created_key_is_private_random_and_read_back() {
    let dir = Box::new();
    let path = dir.0.path().join("key");
    // Left by a power cut in the middle of an earlier creation.
    dir.put(".key.new", b"half", 0o600);
    let key = create_state_key(&path, false).unwrap().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(state_key(&files(&path), None).unwrap().unwrap(), key);
    assert_ne!(
        create_state_key(&dir.0.path().join("other"), false).unwrap().unwrap(),
        key
    );
    assert_eq!(
        fs::read_dir(dir.0.path()).unwrap().count(),
        2,
        "nothing but the two keys is left"
    );
}

#[test]
fn no_key_is_created_over_an_existing_one() {
    let dir = Box::new();
    let path = dir.put("key", &[7; 32], 0o600);
    assert!(create_state_key(&path, false).is_err());
    assert_eq!(fs::read(&path).unwrap(), [7; 32]);
    assert_eq!(fs::read_dir(dir.0.path()).unwrap().count(), 1);
}

#[test]
fn no_key_is_created_while_records_exist() {
    let dir = Box::new();
    let path = dir.0.path().join("key");
    assert!(create_state_key(&path, true).unwrap().is_none());
    assert!(!path.exists());
}

#[test]
fn a_key_that_cannot_be_created_names_its_path() {
    let error = create_state_key(Path::new("/nowhere/key"), false).unwrap_err();
    assert_eq!(error.exit_code(), 78);
    assert!(error.to_string().starts_with("/nowhere/key: "), "{error}");
}

#[test]
fn key_and_records_on_one_file_system_are_warned_about() {
    let dir = Box::new();
    let key = dir.put("key", &[7; 32], 0o600);
    let warning = shared_file_system(&key, dir.0.path()).unwrap();
    assert!(
        warning.contains("protects") && warning.contains("not against"),
        "{warning}"
    );
    assert_eq!(shared_file_system(&key, Path::new("/proc")), None);
    assert_eq!(shared_file_system(Path::new("/nowhere"), dir.0.path()), None);
}

#[test]
fn a_secret_where_others_may_put_another_file_is_refused() {
    let dir = Box::new();
    let path = dir.put("file", b"secret\n", 0o600);
    let allow = |mode| fs::set_permissions(dir.0.path(), fs::Permissions::from_mode(mode)).unwrap();
    // Its group is this process's own, which is as good as its user.
    allow(0o770);
    assert!(client_secret(&files(&path), None).unwrap().is_some());
    let has_foreign_group = std::os::unix::fs::chown(dir.0.path(), None, Some(4242)).is_ok();
    for (mode, cure) in [(0o770, "chmod g-w"), (0o777, "chmod o-w"), (0o702, "chmod o-w")] {
        if mode == 0o770 && !has_foreign_group {
            eprintln!("left out: no right to give a directory to another group");
            continue;
        }
        allow(mode);
        let refused = client_secret(&files(&path), None).unwrap_err();
        assert_eq!(refused.exit_code(), 77);
        let told = refused.to_string();
        assert!(
            told.contains(cure) && told.contains(&dir.0.path().display().to_string()),
            "{told}"
        );
        assert!(!told.contains("secret\n"));
        assert!(state_key(&files(&path), None).is_err());
    }
    for mode in [0o755, 0o1777] {
        allow(mode);
        assert!(client_secret(&files(&path), None).unwrap().is_some(), "{mode:o}");
    }
    // The way that a link leads counts as well.
    let other = Box::new();
    let link = other.0.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    allow(0o777);
    assert!(client_secret(&files(&link), None).is_err());
}
