//! The key that seals, and the identity that tells whose record it is.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::error::KeyError;

/// People make keys with `openssl rand -base64 32` as well as with tools that leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

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

    /// Reads what a credential or key file holds: 32 raw bytes, or their base64 with at most one newline at the end. The
    /// two cannot be confused, because base64 of 32 bytes is longer than 32 bytes.
    ///
    /// # Errors
    /// [`KeyError`] if it is neither, or all zeros.
    pub fn parse(text: &[u8]) -> Result<Self, KeyError> {
        let mut key = Self([0; Self::LEN]);
        if text.len() == Self::LEN {
            key.0.copy_from_slice(text);
        } else {
            let text = text.strip_suffix(b"\n").unwrap_or(text);
            // One group more than a key needs, so that a longer text fails by its length and not in the decoder.
            let mut decoded = Zeroizing::new([0; Self::LEN + 4]);
            let len = BASE64
                .decode_slice(text, &mut decoded[..])
                .map_err(|_| KeyError::Shape)?;
            if len != Self::LEN {
                return Err(KeyError::Shape);
            }
            key.0.copy_from_slice(&decoded[..len]);
        }
        if key.0 == [0; Self::LEN] {
            return Err(KeyError::Zero);
        }
        Ok(key)
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

/// Whom a record is for. A record of another identity is kept and never used: its tokens would go to the wrong server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    bytes: [u8; 32],
}

impl Identity {
    /// From the provider's kind as in the configuration, its issuer or base address, and our client id. Each part is hashed
    /// behind its length, so that no two different triples run together into the same bytes.
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
