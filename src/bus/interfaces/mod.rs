//! The three interfaces of the contract. A method authorizes, parses, asks the loop and answers.

mod device;
mod options;
mod pairing;
mod tokens;

pub(super) use device::Device;
pub(super) use pairing::Pairing;
pub(super) use tokens::Tokens;
