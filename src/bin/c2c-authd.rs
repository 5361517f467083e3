//! The daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    c2c_authd::daemon()
}
