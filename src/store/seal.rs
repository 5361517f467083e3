//! The sealed format: a clear header, all of it authenticated, and an AES-256-GCM body.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic: which kind of file, so that none can be put in place of another |
//! | 2 | format version, big endian |
//! | 8 | sequence, big endian: +1 for each write, tells the newer of two |
//! | 16 | key id: tells "another key" from "damaged" without trying |
//! | 32 | identity |
//! | 12 | nonce, random for each write |
//! | … | body, encrypted |
//! | 16 | tag |
//!
//! Nothing in a header is believed before the seal has opened, with two exceptions that cannot be
//! checked without the means to open it: an unknown version and an unknown key id. Both lead to the
//! file being kept, never to its use.

use aes_gcm::{AeadInOut as _, Aes256Gcm, KeyInit as _};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::key::{Identity, StateKey};

/// No honest file comes near: four tokens (a pair and its candidate, or the list of revocations),
/// of which JSON escapes every character, leave room.
pub(super) use crate::system::atomic_file::MAX_FILE;
/// The longest content that fits into such a file.
pub(super) const MAX_BODY: usize = MAX_FILE - HEADER - TAG;

pub(super) const NONCE: usize = 12;
pub(super) const HEADER: usize = 8 + 2 + 8 + KEY_ID + 32 + NONCE;
const TAG: usize = 16;
/// Enough that two keys never share one by accident.
const KEY_ID: usize = 16;

/// Which kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Record,
    Revocations,
    Flow,
}

impl Kind {
    const fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Record => b"C2CA-REC",
            Self::Revocations => b"C2CA-REV",
            Self::Flow => b"C2CA-FLO",
        }
    }

    /// The version of its format. A flow of another one is removed as any that does not open.
    const fn version(self) -> u16 {
        match self {
            Self::Record | Self::Revocations => 1,
            // 2: with the grant that it started from.
            Self::Flow => 2,
        }
    }
}

/// Why a file cannot be used. Ordered: of two unusable generations the greater decides what is
/// told, because it has the better cure (the right configuration, the right key, the newer
/// software, none).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Defect {
    /// Not what was written.
    Damaged,
    /// Written by newer software.
    UnknownFormat,
    /// Sealed with another key.
    OtherKey,
    /// Opens, and was made for another provider, issuer or client.
    Foreign,
}

impl Defect {
    /// The middle part of the name under which such a file is kept.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::UnknownFormat => "unknown-format",
            Self::OtherKey => "other-key",
            Self::Foreign => "foreign",
        }
    }
}

/// A file that opened.
pub(super) struct Opened {
    pub(super) sequence: u64,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// Seals for one identity under one key.
pub(super) struct Sealer {
    cipher: Aes256Gcm,
    key_id: [u8; KEY_ID],
    identity: Identity,
}

impl Sealer {
    /// Takes what it needs from the key: one key for the cipher and one public id, derived apart,
    /// so that the clear header says nothing about the cipher's key.
    pub(super) fn new(key: &StateKey, identity: Identity) -> Self {
        let cipher_key = derive(key, b"c2c-authd seal 1");
        let id = derive(key, b"c2c-authd key id 1");
        let mut key_id = [0; KEY_ID];
        key_id.copy_from_slice(&id[..KEY_ID]);
        Self {
            cipher: Aes256Gcm::new((&*cipher_key).into()),
            key_id,
            identity,
        }
    }

    /// Seals `body`. `None` if it is too large to be read back. A nonce must never serve twice.
    pub(super) fn seal(
        &self,
        kind: Kind,
        sequence: u64,
        nonce: [u8; NONCE],
        mut body: Zeroizing<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        if body.len() > MAX_BODY {
            return None;
        }
        let mut file = Vec::with_capacity(HEADER + body.len() + TAG);
        file.extend_from_slice(kind.magic());
        file.extend_from_slice(&kind.version().to_be_bytes());
        file.extend_from_slice(&sequence.to_be_bytes());
        file.extend_from_slice(&self.key_id);
        file.extend_from_slice(self.identity.bytes());
        file.extend_from_slice(&nonce);
        let tag = self
            .cipher
            .encrypt_inout_detached(&nonce.into(), &file, body.as_mut_slice().into())
            .ok()?;
        file.extend_from_slice(&body);
        file.extend_from_slice(&tag);
        Some(file)
    }

    /// Opens what [`Sealer::seal`] made. The identity is looked at last, behind the tag: a flipped
    /// bit in it is damage, not a foreign record.
    pub(super) fn open(&self, kind: Kind, file: &[u8]) -> Result<Opened, Defect> {
        if file.len() > MAX_FILE {
            return Err(Defect::Damaged);
        }
        let (header, sealed) = file.split_at_checked(HEADER).ok_or(Defect::Damaged)?;
        let (body, tag) = sealed.split_last_chunk::<TAG>().ok_or(Defect::Damaged)?;
        let mut rest = header;
        let magic: [u8; 8] = take(&mut rest)?;
        let version: [u8; 2] = take(&mut rest)?;
        let sequence: [u8; 8] = take(&mut rest)?;
        let key_id: [u8; KEY_ID] = take(&mut rest)?;
        let identity: [u8; 32] = take(&mut rest)?;
        let nonce: [u8; NONCE] = take(&mut rest)?;

        if magic != *kind.magic() {
            return Err(Defect::Damaged);
        }
        if u16::from_be_bytes(version) != kind.version() {
            return Err(Defect::UnknownFormat);
        }
        if key_id != self.key_id {
            return Err(Defect::OtherKey);
        }
        let mut body = Zeroizing::new(body.to_vec());
        self.cipher
            .decrypt_inout_detached(&nonce.into(), header, body.as_mut_slice().into(), tag.into())
            .map_err(|_| Defect::Damaged)?;
        if identity != *self.identity.bytes() {
            return Err(Defect::Foreign);
        }
        Ok(Opened {
            sequence: u64::from_be_bytes(sequence),
            body,
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Defect> {
    let (part, after) = rest.split_first_chunk().ok_or(Defect::Damaged)?;
    *rest = after;
    Ok(*part)
}

/// HMAC-SHA256 as a one-block key derivation: the state key is uniformly random, so HKDF's extract
/// step has nothing to do (RFC 5869 §3.3).
fn derive(key: &StateKey, label: &[u8]) -> Zeroizing<[u8; 32]> {
    // Key of exactly one length that HMAC takes as it is: padding a 32-byte key to the block cannot
    // fail.
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    block[..StateKey::LEN].copy_from_slice(key.expose());
    let mut mac = Hmac::<Sha256>::new(&block);
    zeroize::Zeroize::zeroize(block.as_mut_slice());
    mac.update(label);
    Zeroizing::new(mac.finalize().into_bytes().into())
}
