//! Records to write, and a place to write them. No token here looks like a real one.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::store::{Directories, Identity, OpenError, StateKey, Store};
use c2c_auth_core::{
    AccessToken, Body, BootId, BootTime, Code, DeviceCode, DeviceInfo, FlowRecord, Generation, GrantId, IntentMark,
    Kept, Loaded, PairingRecord, PendingRevocation, Reason, Record, RefreshToken, Revocable, Slots, Stamp,
    Store as Write, Stored, TokenPair, UserCode, WallTime,
};

pub(super) const SLOTS: [&str; 2] = ["record.0", "record.1"];
pub(super) const BOOT: BootId = BootId(*b"0123456789abcdef");
pub(super) const OTHER_BOOT: BootId = BootId(*b"fedcba9876543210");

pub(super) fn key() -> StateKey {
    StateKey::from_bytes(*b"an example key, 32 bytes of text")
}

pub(super) fn other_key() -> StateKey {
    StateKey::from_bytes(*b"another key,  32 bytes of text !")
}

pub(super) fn identity() -> Identity {
    Identity::new("frameio-c2c", "https://api.example", "unit-1")
}

pub(super) fn other_identity() -> Identity {
    Identity::new("frameio-c2c", "https://api.example", "unit-2")
}

pub(super) fn pair(n: u64) -> TokenPair {
    TokenPair {
        access: Some(AccessToken::new(format!("example access token {n}"))),
        refresh: Some(RefreshToken::new(format!("example refresh token {n}"))),
        expires_in: Duration::from_secs(28_800),
        obtained: Stamp {
            boot: BOOT,
            at: BootTime::from_millis(1_000 * n),
            wall: Some(WallTime::from_secs(1_800_000_000 + n)),
        },
    }
}

/// A pairing that uses every field, told from others by `n`.
pub(super) fn paired(n: u64) -> Record {
    Record {
        generation: Generation(n),
        grant: GrantId(1),
        floor: Some(WallTime::from_secs(1_800_000_000)),
        body: Body::Paired(Box::new(PairingRecord {
            pair: pair(n),
            mark: Some(IntentMark {
                boot: BOOT,
                at: BootTime::from_millis(2_000 * n),
                sends: 1,
            }),
            candidate: Some(pair(n + 1_000)),
            device: DeviceInfo {
                name: "Camera «A»".to_owned(),
                project_id: "example-project".to_owned(),
                project_name: "Example \"project\"".to_owned(),
            },
            paired_since: None,
            authorization_expires: None,
        })),
    }
}

pub(super) fn tombstone(n: u64) -> Record {
    Record {
        generation: Generation(n),
        grant: GrantId(1),
        floor: None,
        body: Body::Tombstone(Reason::Unpaired),
    }
}

pub(super) fn revocation(n: u64) -> PendingRevocation {
    PendingRevocation {
        grant: GrantId(n),
        token: if n.is_multiple_of(2) {
            Revocable::Refresh(RefreshToken::new(format!("example revoked refresh token {n}")))
        } else {
            Revocable::Access(AccessToken::new(format!("example revoked access token {n}")))
        },
        ends: Some(WallTime::from_secs(1_800_000_000)),
    }
}

pub(super) fn flow() -> FlowRecord {
    FlowRecord {
        boot: BOOT,
        code: Code {
            id: 7,
            device_code: DeviceCode::new("example device code".to_owned()),
            verifier: None,
            user_code: UserCode::new("example user code".to_owned()),
            verification_uri: "https://verify.example".to_owned(),
            verification_uri_complete: Some(UserCode::new(
                "https://verify.example/?code=example user code".to_owned(),
            )),
            device_name: "Camera".to_owned(),
            ends: BootTime::from_millis(120_000),
        },
        interval: Duration::from_secs(10),
        next_poll: BootTime::from_millis(11_000),
        give_up: BootTime::from_millis(600_000),
        renew: true,
        replace: false,
        grant: GrantId(1),
    }
}

pub(super) fn one(record: Record) -> Write {
    Write::Record {
        record: Box::new(record),
        slots: Slots::One,
    }
}

pub(super) fn both(record: Record) -> Write {
    Write::Record {
        record: Box::new(record),
        slots: Slots::Both,
    }
}

pub(super) fn flow_write(flow: FlowRecord) -> Write {
    Write::Flow(Some(Box::new(flow)))
}

pub(super) fn stored(record: Loaded) -> Stored {
    Stored {
        record,
        kept: Kept::Twice,
        revocations: Vec::new(),
        flow: None,
        writable: true,
    }
}

/// A state and a runtime directory.
pub(super) struct Device {
    pub(super) state: TempDir,
    pub(super) runtime: TempDir,
}

impl Device {
    pub(super) fn new() -> Self {
        Self {
            state: TempDir::new().unwrap(),
            runtime: TempDir::new().unwrap(),
        }
    }

    /// A device on which these were written, one after the other.
    pub(super) fn with(writes: &[Write]) -> Self {
        let device = Self::new();
        device.write(writes);
        device
    }

    pub(super) fn write(&self, writes: &[Write]) {
        let (mut store, _) = self.open();
        for write in writes {
            store.write(write).unwrap();
        }
    }

    pub(super) fn directories(&self) -> Directories {
        Directories {
            state: self.state.path().to_owned(),
            runtime: Some(self.runtime.path().to_owned()),
        }
    }

    pub(super) fn open(&self) -> (Store, Stored) {
        self.open_as(Some(key()), identity(), BOOT).unwrap()
    }

    pub(super) fn open_as(
        &self,
        key: Option<StateKey>,
        identity: Identity,
        boot: BootId,
    ) -> Result<(Store, Stored), OpenError> {
        Store::open(self.directories(), key, identity, boot)
    }

    /// The record as the next start finds it.
    pub(super) fn loaded(&self) -> Loaded {
        self.open().1.record
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.state.path().join(name)
    }

    pub(super) fn run_file(&self, name: &str) -> PathBuf {
        self.runtime.path().join(name)
    }

    /// Changes a file in place.
    pub(super) fn edit(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.file(name);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
    }

    pub(super) fn damage(&self, name: &str) {
        self.edit(name, |bytes| *bytes.last_mut().unwrap() ^= 1);
    }

    pub(super) fn names(&self) -> Vec<String> {
        content(self.state.path()).into_iter().map(|(name, _)| name).collect()
    }
}

/// All files with their content, by name.
pub(super) fn content(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}
