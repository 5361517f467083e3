//! Keys that go with the machine id.

use super::host_key::tests::{SEALED, with_key_of};
use super::*;

impl World {
    /// A machine with this id, which no test's own machine has.
    fn with_id(machine: MachineId) -> Self {
        let mut world = Self::new();
        world.site.machine = machine;
        world
    }

    #[track_caller]
    fn refuses_unasked(&self, wanted: &Provision, exit: Exit, words: &[&str]) {
        let before = self.everything();
        let asked = || panic!("the secret was asked for");
        let refused = store(&self.site, wanted, asked).unwrap_err();
        assert_eq!(refused.exit, exit, "{refused}");
        for word in words {
            assert!(refused.sentence.contains(word), "{word}: {refused}");
        }
        assert!(refused.sentence.ends_with("Nothing was changed"), "{refused}");
        assert_eq!(self.everything(), before);
    }
}

const HOST_KEYS: [Key; 2] = [Key::Host, Key::HostTpm2];

fn with_key(key: Option<Key>) -> Provision {
    Provision {
        how: How::Sealed(key),
        ..Provision::default()
    }
}

fn resealed(key: Key) -> Provision {
    Provision {
        how: How::Resealed(key),
        ..Provision::default()
    }
}

#[test]
fn nothing_is_sealed_with_a_key_that_goes_with_a_transient_machine_id() {
    let world = World::with_id(MachineId::Transient([1; 16]));
    let words = [
        "machine id is transient",
        "/etc/machine-id persistent",
        "--with-key tpm2",
        "--files DIR",
    ];
    for key in HOST_KEYS {
        for wanted in [with_key(Some(key)), replacing(with_key(Some(key))), resealed(key)] {
            world.refuses_unasked(&wanted, Exit::Failed, &words);
        }
    }
    match Creds(&world.site).has_tpm() {
        // The best key that lasts is then the TPM alone.
        Ok(true) => assert!(matches!(Creds(&world.site).best_key(), Ok(Key::Tpm2))),
        Ok(false) => world.refuses_unasked(&with_key(None), Exit::Failed, &words),
        Err(_) => world.refuses_unasked(&with_key(None), Exit::Failed, &["--files DIR"]),
    }
    world.provision(SECRET, &files()).unwrap();
    assert_eq!(world.client_secret(), SECRET);
}

#[test]
fn an_image_is_told_as_one_before_the_secret_is_asked_for() {
    let world = World::with_id(MachineId::Absent);
    let words = ["an image, not a device: provision at first boot, or use --with-key tpm2"];
    for key in HOST_KEYS {
        world.refuses_unasked(&with_key(Some(key)), Exit::Failed, &words);
    }
    if Creds(&world.site).has_tpm().is_ok() {
        // Not with the TPM of the machine that builds the image.
        world.refuses_unasked(&with_key(None), Exit::Failed, &words);
    }
}

#[test]
fn a_key_of_another_machine_id_is_never_shown_to_systemd() {
    let mut world = World::new();
    with_key_of(&mut world.site, 0x22);
    let store = world.site.path("/etc/credstore.encrypted");
    fs::create_dir_all(&store).unwrap();
    for which in [Which::ClientSecret, Which::StateKey] {
        fs::write(store.join(which.credential()), SEALED).unwrap();
    }
    // The stored secret does not open. Replacing it with that key loses everything else that was
    // sealed with the key.
    let other = "sealed under another machine id; bring that id and the key back";
    for wanted in [with_key(None), with_key(Some(Key::Tpm2)), resealed(Key::Tpm2), files()] {
        world.refuses_unasked(&wanted, Exit::Differs, &[other]);
    }
    let words = [
        "credential.secret belongs to another machine id",
        "--with-key tpm2",
        "--files DIR",
    ];
    for key in HOST_KEYS {
        for wanted in [with_key(Some(key)), replacing(with_key(Some(key))), resealed(key)] {
            world.refuses_unasked(&wanted, Exit::Failed, &words);
        }
    }
    if Creds(&world.site).has_tpm().is_ok() {
        world.refuses_unasked(&replacing(with_key(None)), Exit::Failed, &words);
    }
    // The way on that leaves the key.
    let key = fs::read(world.site.host_key()).unwrap();
    let report = world.provision(SECRET, &replacing(files())).unwrap();
    assert_eq!(
        (report.client_secret, report.state_key),
        (Done::Replaced, Done::Replaced)
    );
    assert_eq!(fs::read(world.site.host_key()).unwrap(), key);
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn with_its_machine_id_a_credential_opens_as_before() {
    let mut world = World::new();
    world.provision(SECRET, &sealed()).unwrap();
    let key = fs::read(world.site.host_key()).unwrap();
    let machine = world.site.machine;
    world.site.machine = MachineId::Lasting([0x22; 16]);
    let config = world.site.config().unwrap();
    for which in [Which::ClientSecret, Which::StateKey] {
        let closed = find(&world.site, Some(&config), which).unwrap().unwrap();
        assert!(closed.content.is_err_and(|why| why.contains("another machine id")));
    }
    assert_eq!(fs::read(world.site.host_key()).unwrap(), key);
    world.site.machine = machine;
    assert_eq!(world.client_secret(), SECRET);
}
