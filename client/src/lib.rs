//! c2c-authd as a D-Bus client sees it.
//!
//! Owns: the names of the contract, typed proxies and typed views of its dictionaries ([`proxy`]).
//!
//! Must never: depend on another crate of this workspace, decide, retry or print.

pub mod proxy;
