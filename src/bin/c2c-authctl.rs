//! The operator's tool. See [`c2c_authd::ctl`].

use std::process::ExitCode;

fn main() -> ExitCode {
    c2c_authd::ctl()
}
