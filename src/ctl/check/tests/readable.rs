//! `check` runs as root, and the daemon does not: what its user cannot read is told.

use super::*;

const CONFIG: &str = "/etc/c2c-authd/config.toml";

/// Its absence is a warning.
const FIRMWARE: &str = "[device]\nfirmware-version = \"1.2.3\"\n";

/// A world whose daemon is neither root nor the owner of anything.
fn world() -> World {
    let mut world = World::new();
    let (uid, gid) = world.site.service.unwrap();
    world.site.service = Some((uid + 1000, gid + 1000));
    world.site.accounts = Arc::new(Made::new(&[], &[("c2c-ui", 71), ("c2c-uploader", 72)]));
    let mut above = world.site.path("/");
    fs::set_permissions(&above, fs::Permissions::from_mode(0o755)).unwrap();
    above.pop();
    assert_ne!(
        fs::metadata(&above).unwrap().permissions().mode() & 1,
        0,
        "{}",
        above.display()
    );
    world
}

fn with_mode(world: &World, path: &str, mode: u32) {
    fs::set_permissions(world.site.path(path), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_that_only_root_can_read_is_named_with_its_mode() {
    let world = world();
    world.write(CONFIG, FIRMWARE);
    world.write("/etc/c2c-authd/config.d/50-site.toml", "");
    for mode in [0o644, 0o604, 0o755] {
        with_mode(&world, CONFIG, mode);
        world.expect("configuration", Verdict::Ok, "config.toml");
    }
    for (path, mode, told) in [
        (
            CONFIG,
            0o600,
            "/etc/c2c-authd/config.toml has mode 0600. Run: chmod a+r /etc/c2c-authd/config.toml",
        ),
        (
            "/etc/c2c-authd/config.d/50-site.toml",
            0o400,
            "chmod a+r /etc/c2c-authd/config.d/50-site.toml",
        ),
        ("/etc/c2c-authd/config.d", 0o700, "chmod a+x /etc/c2c-authd/config.d"),
        ("/etc/c2c-authd", 0o750, "/etc/c2c-authd has mode 0750"),
    ] {
        let before = fs::metadata(world.site.path(path)).unwrap().permissions();
        with_mode(&world, path, mode);
        world.expect("configuration", Verdict::Fail, told);
        fs::set_permissions(world.site.path(path), before).unwrap();
    }
}

#[test]
fn a_certificate_file_that_only_root_can_read_is_named() {
    let world = world();
    let file = world.write("/etc/ca.pem", "");
    world.write(CONFIG, &format!("{FIRMWARE}[tls]\nca-file = \"{}\"\n", file.display()));
    with_mode(&world, "/etc/ca.pem", 0o600);
    world.expect("configuration", Verdict::Fail, "cannot read /etc/ca.pem: ");
    with_mode(&world, "/etc/ca.pem", 0o444);
    world.expect("configuration", Verdict::Ok, "");
}

#[test]
fn a_file_with_the_serial_number_or_the_version_that_only_root_can_read_is_named() {
    let world = world();
    world.write("/etc/serial", "SN-1\n");
    world.write("/etc/version", "1.2.3\n");
    world.write(
        CONFIG,
        "[device]\nclient-id-from = \"file:/etc/serial\"\nfirmware-version-from = \"file:/etc/version\"\n",
    );
    world.expect("configuration", Verdict::Ok, "");
    for path in ["/etc/serial", "/etc/version"] {
        with_mode(&world, path, 0o600);
        world.expect("configuration", Verdict::Fail, &format!("cannot read {path}: "));
        with_mode(&world, path, 0o644);
    }
}

#[test]
fn a_group_may_read_what_is_its_own() {
    let mut world = world();
    world.write(CONFIG, FIRMWARE);
    let (uid, gid) = world.site.service.unwrap();
    with_mode(&world, CONFIG, 0o440);
    world.site.service = Some((uid, gid - 1000));
    world.expect("configuration", Verdict::Ok, "");
    with_mode(&world, CONFIG, 0o404);
    world.expect("configuration", Verdict::Fail, "0404");
}
