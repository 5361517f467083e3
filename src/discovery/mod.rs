//! The server's metadata documents (RFC 8414, `OpenID` Connect Discovery): when they are read, and
//! what becomes of the request that waits for them. What they say is read in `oauth`.
//!
//! Owns: the decision to read them ([`policy`]), and a client whose requests have every address
//! that they need ([`client`]). Must never: hold a credential, or read a clock in [`policy`], whose
//! time is an argument.
//!
//! Invariants:
//! - A written address is never asked for, and what is known is never replaced by less.
//! - No fault is ambiguous: a document is public and read by `GET`, so the request that waits for
//!   it was not sent.

mod client;
mod policy;
#[cfg(test)]
mod tests;

pub(crate) use client::{Client, Unresolved};
