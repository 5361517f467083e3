//! Secrets as types: wiped when dropped, redacted when printed (I8), comparable so that states can
//! be explored.
//!
//! No type here implements `Display`, and `Debug` never shows a byte. The one way to the text is
//! [`Secret::expose`], so that every place where a secret leaves its wrapper can be found by one
//! search.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Longest token or device code that is taken, stored, served and sent, in bytes. A token that
/// lists 157 groups has 10 KB.
pub const TOKEN_MAX: usize = 32 * 1024;

/// A secret text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Takes ownership of a secret text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself: for the wire, the seal and the one answer meant to carry it, nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

macro_rules! secret_kind {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Secret);

        impl $name {
            /// Wraps a text that came from the server or the store.
            #[must_use]
            pub const fn new(text: String) -> Self {
                Self(Secret::new(text))
            }

            /// The text itself; see [`Secret::expose`].
            #[must_use]
            pub fn expose(&self) -> &str {
                self.0.expose()
            }

            /// As the secret that it is.
            #[must_use]
            pub const fn secret(&self) -> &Secret {
                &self.0
            }
        }
    };
}

secret_kind! {
    /// The bearer token handed to uploaders.
    AccessToken
}
secret_kind! {
    /// The token that buys the next pair, once.
    RefreshToken
}
secret_kind! {
    /// RFC 8628 §3.2 `device_code`: identifies a pairing attempt when polling.
    DeviceCode
}
secret_kind! {
    /// RFC 6749 §4.1.2 `code`: buys a pair, once.
    AuthorizationCode
}
secret_kind! {
    /// RFC 7636 §4.1 `code_verifier`.
    CodeVerifier
}
secret_kind! {
    /// RFC 6749 §4.1.1 `state`: ties a redirect to the request it answers.
    StateParameter
}
secret_kind! {
    /// RFC 8628 §3.2 `user_code`, or an address that contains it. Whoever reads it can bind the
    /// device to a project of their own, so it travels only in answers to the `ui` role.
    UserCode
}

/// Counts access tokens: +1 for each new one, carried through unpairing and pairing again; 0 means
/// none yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl Generation {
    /// No token was ever held.
    pub const NONE: Self = Self(0);

    /// The next one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Tells one authorization (one pairing) from the next, so that an answer to a forgotten one is
/// dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId(pub u64);
