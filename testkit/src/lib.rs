//! The world around c2c-authd for its tests, benches and demo.
//!
//! - [`server`]: a simulated C2C authorization server over TLS on loopback, faithful to the wire
//!   facts, which can also do what a hostile network does, and which knows the truth afterwards.
//! - [`standard`]: an authorization server as the RFCs have it, for the kinds that are not
//!   Frame.io's.
//! - [`proxy`]: a forward proxy.
//! - [`page`]: the web page on which a person approves or denies a code, for the demo.
//! - [`bus`]: a private message bus, in process or a real `dbus-daemon`.
//! - [`contract`]: a daemon that knows of itself only what the contract's XML says.
//! - [`rig`]: directories, secrets, a configuration and a life cycle for the real daemon binary.
//! - [`harness`], [`user`]: all of these around one daemon, and who calls it over the bus.
//! - [`watched`]: how tests await any of it without sleeping.
//!
//! Each part runs on threads of its own and stops when its handle is dropped, so that a harness
//! that kills daemons from plain synchronous code and an async test can both use it.
//!
//! Must never: depend on c2c-authd (the simulation would then share its misreadings of the wire),
//! listen anywhere but on loopback and private sockets, hold a secret that is not a made-up one.

pub mod bus;
pub mod contract;
pub mod harness;
pub mod page;
pub mod proxy;
pub mod rig;
pub mod server;
pub mod standard;
pub mod user;
pub mod watched;

mod random;
