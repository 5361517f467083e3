//! The content of the disk, by the store's own reading of a copy: a daemon holds the lock on the
//! original.

use std::path::PathBuf;

use c2c_auth_core::{Body, BootId, Loaded, PairingRecord, Record, Stored};
use c2c_authd::for_tests::{Directories, Identity, StateKey, Store};
use c2c_testkit::harness::Harness;
use c2c_testkit::rig::CLIENT_ID;

/// The record that the next start would find.
pub(crate) fn on_disk(world: &Harness) -> Loaded {
    stored(world, true).record
}

/// The state that a start would find if the power went now.
pub(crate) fn after_power_off(world: &Harness) -> Stored {
    stored(world, false)
}

/// The pairing on disk.
pub(crate) fn pairing_on_disk(world: &Harness) -> PairingRecord {
    match on_disk(world) {
        Loaded::Current(Record {
            body: Body::Paired(pairing),
            ..
        }) => *pairing,
        other => panic!("no pairing on disk: {other:?}"),
    }
}

fn stored(world: &Harness, runtime: bool) -> Stored {
    let copy = tempfile::tempdir().unwrap();
    let inside = |name: &str, from: PathBuf| {
        let to = copy.path().join(name);
        std::fs::create_dir(&to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                // See `Harness::block_records`.
                continue;
            }
            // A write under way is renamed or swept between the listing and the copy: it is not
            // part of what is there.
            let copied = std::fs::copy(entry.path(), to.join(entry.file_name()));
            assert!(copied.is_ok() || !entry.path().exists(), "{}", entry.path().display());
        }
        to
    };
    let dirs = Directories {
        state: inside("state", world.rig.state_directory()),
        runtime: runtime.then(|| inside("runtime", world.rig.runtime_directory())),
    };
    let identity = Identity::new("frameio-c2c", &world.server.base_uri(), CLIENT_ID);
    let key = StateKey::from_bytes(world.rig.state_key());
    let (_, stored) = Store::open(dirs, Some(key), identity, BootId([0; 16])).unwrap();
    stored
}
