//! Random bytes of the system.

use zeroize::Zeroizing;

use crate::oauth::pkce;
use c2c_auth_core::{Fault, FaultKind, LocalFault};

/// A `state` or verifier from the system's own source. Without entropy there is no pairing: one
/// that can be guessed is none.
pub(crate) fn random() -> Result<Zeroizing<String>, Fault> {
    let mut bytes = Zeroizing::new([0; pkce::RANDOM]);
    getrandom::fill(&mut bytes[..]).map_err(|error| {
        tracing::error!("the system gives no random bytes: {error}");
        Fault {
            kind: FaultKind::Local(LocalFault::NoEntropy),
            retry_after: None,
        }
    })?;
    Ok(pkce::word(&bytes))
}

/// For multipart boundaries. Zeros will do where the kernel has no entropy yet: a boundary is
/// checked, not guessed.
pub(super) fn entropy() -> [u8; 16] {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        bytes = [0; 16];
    }
    bytes
}
