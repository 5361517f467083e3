//! c2c-authd as a D-Bus client sees it.
//!
//! Owns: the names of the contract, typed proxies and typed views of its dictionaries ([`proxy`]);
//! the rule by which an uploader calls ([`token_source`]).
//!
//! Must never: depend on another crate of this workspace, print, keep a token. [`proxy`] neither
//! decides nor retries.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub mod proxy;
pub mod token_source;
