//! The whole path, as the people it is for would try it: the real daemon as its own process, a real
//! bus, real TLS, real sealed files, and a server that tells afterwards what really happened.
//!
//! One module for each thing that is to be shown.

mod access;
mod bad_configuration;
pub(crate) mod canaries;
mod clock;
mod concurrency;
mod crashes;
mod directories;
mod disk;
mod dropped;
mod hostile_network;
mod lost_answers;
mod recorder;
mod rejections;
mod storage;
mod until_when;
mod uploader;
mod wrapping;
