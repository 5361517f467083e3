#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use super::*;

fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, System) {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let system = System::at(root.path());
    (root, system)
}

fn os_release(text: &str) -> Result<String, Missing> {
    let (_root, system) = machine(&[("etc/os-release", text)]);
    system
        .firmware_version(&VersionFrom::OsRelease)
        .map(|version| version.0)
}

#[test]
fn the_derived_id_is_the_one_of_systemd() {
    // Answer of `systemd-id128 machine-id --uuid --app-specific=12d557c1ba214d9ea16243c1471a37f2`,
    // systemd 252, on a machine with this machine id.
    let (_root, system) = machine(&[("etc/machine-id", "0123456789abcdef0123456789abcdef\n")]);
    assert_eq!(
        system.client_id(&ClientIdFrom::MachineId).unwrap().0,
        "32ec6e74-9018-4d09-8be2-a6402a221390"
    );
}

#[test]
fn a_machine_id_that_is_not_set_is_refused() {
    for text in ["", "uninitialized\n", "00000000000000000000000000000000\n", "0123\n"] {
        let (_root, system) = machine(&[("etc/machine-id", text)]);
        let Err(Missing::Refused(why)) = system.client_id(&ClientIdFrom::MachineId) else {
            panic!("{text:?} was taken")
        };
        assert!(why.contains("systemd-machine-id-setup"), "{why}");
    }
    let (_root, system) = machine(&[]);
    assert!(matches!(
        system.client_id(&ClientIdFrom::MachineId),
        Err(Missing::Refused(_))
    ));
}

#[test]
fn a_machine_id_is_told_from_none() {
    let id = |files: &[(&str, &str)]| {
        let (_root, system) = machine(files);
        system.machine_id()
    };
    let set = [("etc/machine-id", "0123456789abcdef0123456789abcdef\n")];
    let expected = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128.to_be_bytes();
    let (_root, system) = machine(&set);
    assert_eq!(system.machine_id(), MachineId::Lasting(expected));
    for text in ["", "uninitialized\n", "00000000000000000000000000000000\n"] {
        assert_eq!(id(&[("etc/machine-id", text)]), MachineId::Absent, "{text:?}");
    }
    assert_eq!(id(&[]), MachineId::Absent);
}

#[test]
fn a_machine_id_in_the_files_own_directory_is_not_transient() {
    let (root, _) = machine(&[("etc/machine-id", "")]);
    assert!(!is_transient(&root.path().join("etc/machine-id")).unwrap());
}

#[test]
fn serial_numbers_lose_their_nul_and_line_feed() {
    let serial = "sys/firmware/devicetree/base/serial-number";
    let (_root, system) = machine(&[(serial, "100000003d1f8a2c\0"), ("serial", "SN-1\r\n")]);
    assert_eq!(
        system.client_id(&ClientIdFrom::DevicetreeSerial).unwrap().0,
        "100000003d1f8a2c"
    );
    assert_eq!(
        system.client_id(&ClientIdFrom::File("/serial".into())).unwrap().0,
        "SN-1"
    );
}

#[test]
fn an_empty_serial_number_is_refused_and_an_absent_one_is_absent() {
    let (_root, system) = machine(&[("serial", "\n")]);
    assert!(matches!(
        system.client_id(&ClientIdFrom::File("/serial".into())),
        Err(Missing::Refused(_))
    ));
    assert!(matches!(
        system.client_id(&ClientIdFrom::File("/other".into())),
        Err(Missing::Absent(_))
    ));
}

#[test]
fn versions_of_distributions_are_filled_up() {
    for (id, version) in [
        ("12", "12.0.0"),
        ("\"22.04\"", "22.4.0"),
        ("'3.19.1'", "3.19.1"),
        ("2.16.4-rc.1", "2.16.4-rc.1"),
        ("2.16-rc1", "2.16.0-rc1"),
        ("5.0+snapshot-20240101", "5.0.0+snapshot-20240101"),
    ] {
        assert_eq!(os_release(&format!("ID=x\nVERSION_ID={id}\n")).unwrap(), version);
    }
    for id in ["", "sid", "1.2.3.4", "1..2", "4294967296"] {
        assert!(
            matches!(os_release(&format!("VERSION_ID={id}\n")), Err(Missing::Refused(_))),
            "{id}"
        );
    }
    assert!(matches!(os_release("ID=debian\n"), Err(Missing::Absent(_))));
}

#[test]
fn the_vendors_os_release_is_read_where_etc_has_none() {
    let (_root, system) = machine(&[("usr/lib/os-release", "VERSION_ID=3\n")]);
    assert_eq!(system.firmware_version(&VersionFrom::OsRelease).unwrap().0, "3.0.0");
}
