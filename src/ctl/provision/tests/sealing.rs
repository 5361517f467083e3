//! Keys, and what is sealed with them.

use super::*;
use crate::ctl::site::HOST_KEY;
use crate::system::mounts::Mounts;

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn sealing_anew_needs_something_sealed() {
    let world = World::new();
    let wanted = Provision {
        how: How::Resealed(Key::Host),
        ..Provision::default()
    };
    assert_eq!(world.provision("", &wanted).unwrap_err().exit, Exit::NotProvisioned);
    world.provision(SECRET, &files()).unwrap();
    let refused = world.provision("", &wanted).unwrap_err();
    assert!(refused.sentence.contains("--with-key host"), "{refused}");
    world.provision(SECRET, &sealed()).unwrap();
    assert!(!world.provision("", &wanted).unwrap().changed, "it has that key");
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn headers_tell_key_and_binding() {
    // systemd's own documentation gives this credential, which is bound to PCR 7.
    let bound = b"k6iUCUh0RJCQyvL8k8q1UyAAAAABAAAADAAAABAAAAC1lFmbWAqWZ8dCCQkAAAAAgAAAAAAAAAALACMA0AAAACAAAAAA";
    let told = seal::header(bound).unwrap();
    assert_eq!((told.key, told.bound_to_pcrs), (Key::HostTpm2, true));
    let world = World::new();
    let sealed = Creds(&world.site).seal("x", Key::Host, b"y").unwrap();
    let told = seal::header(&sealed).unwrap();
    assert_eq!((told.key, told.bound_to_pcrs), (Key::Host, false));
    assert_eq!(seal::header(b"not base64!"), None);
    assert_eq!(seal::header(b""), None);
    // The same, bound to PCR 16: sealed by systemd 252, which cannot do without.
    let free = b"k6iUCUh0RJCQyvL8k8q1UyAAAAABAAAADAAAABAAAAC1lFmbWAqWZ8dCCQkAAAAAAAABAAAAAAALACMA0AAAACAAAAAA";
    assert!(!seal::header(free).unwrap().bound_to_pcrs);
    let null = b"BYRp2vb1QySABUnaD46i+yAAAAABAAAADAAAABAAAAA=";
    assert_eq!(seal::header(null).unwrap().key, Key::Null);
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn a_host_key_on_a_volatile_file_system_is_none_to_choose() {
    let volatile = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut site = Site::at(volatile.path());
    site.mounts = Mounts::of_process();
    assert!(matches!(
        Creds(&site).best_key(),
        Err(CredsError::NoKey) | Ok(Key::Tpm2)
    ));
    let disk = tempfile::tempdir().unwrap();
    site.environment = vec![(HOST_KEY, disk.path().join("a/b/secret").into())];
    assert!(Creds(&site).best_key().unwrap().needs_host());
}
