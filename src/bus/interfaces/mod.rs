//! The three interfaces of the contract. A method authorizes, parses, asks the loop and answers.
//! Beside them the standard ones of D-Bus.

mod device;
mod options;
mod pairing;
mod standard;
mod tokens;

pub(super) use device::Device;
pub(super) use pairing::Pairing;
pub(super) use standard::replace as replace_standard;
pub(super) use tokens::Tokens;
