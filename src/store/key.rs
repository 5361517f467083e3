//! The key that seals, and the identity that tells whose record it is.

use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The key everything on disk is sealed with: wiped when dropped, redacted when printed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct StateKey([u8; Self::LEN]);

impl StateKey {
    /// Bytes in a key.
    pub const LEN: usize = 32;

    /// Wraps a key. The caller wipes its own copy.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    pub(super) const fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateKey([redacted])")
    }
}

/// Whom a record is for. A record of another identity is kept and never used: its tokens would go
/// to the wrong server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    bytes: [u8; 32],
}

impl Identity {
    /// From the provider's kind as in the configuration, its issuer or base address, and our client
    /// id. Each part is hashed behind its length, so that no two different triples run together
    /// into the same bytes.
    #[must_use]
    pub fn new(provider_kind: &str, issuer: &str, client_id: &str) -> Self {
        let mut hash = Sha256::new();
        for part in ["c2c-authd identity 1", provider_kind, issuer, client_id] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self {
            bytes: hash.finalize().into(),
        }
    }

    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests;
