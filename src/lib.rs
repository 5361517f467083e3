//! c2c-authd: pairs a camera-side device with Frame.io Camera to Cloud, keeps its tokens fresh and safe, and hands them out
//! over D-Bus.

pub mod core;

#[cfg(feature = "shell")]
pub mod bus;
#[cfg(feature = "shell")]
pub mod cli;
#[cfg(feature = "shell")]
pub mod config;
#[cfg(feature = "shell")]
pub mod daemon;
#[cfg(feature = "shell")]
pub mod http;
#[cfg(feature = "shell")]
pub mod oauth;
#[cfg(feature = "shell")]
pub mod store;
