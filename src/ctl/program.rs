//! The programs of systemd that the tool runs.
//!
//! Must never: let its caller decide what runs. The tool is root's, and hands the client secret to
//! one of these. So each is run by absolute path and with no variable of the caller: neither `PATH`
//! nor what a loader (`LD_…`) or systemd (`SYSTEMD_…`) reads.

use std::path::Path;
use std::process::Command;

/// Every current system merges them. On an older one `/bin` may be a directory of its own.
const DIRECTORIES: [&str; 2] = ["/usr/bin", "/bin"];

/// The program of this name, with an empty environment.
pub(super) fn program(name: &str) -> Command {
    let paths = DIRECTORIES.map(|directory| Path::new(directory).join(name));
    // A program that is nowhere is missed in its usual place.
    let path = paths.iter().find(|path| path.exists()).unwrap_or(&paths[0]);
    let mut command = Command::new(path);
    command.env_clear();
    command
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use super::*;

    #[test]
    fn a_program_is_run_by_absolute_path_and_inherits_no_variable() {
        assert!(std::env::vars_os().next().is_some(), "there is nothing to inherit");
        let mut command = program("env");
        assert!(Path::new(command.get_program()).is_absolute());
        let output = command.output().unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    }

    #[test]
    fn a_program_that_is_nowhere_is_not_looked_for_elsewhere() {
        let missing = program("c2c-no-such-program");
        assert_eq!(missing.get_program(), "/usr/bin/c2c-no-such-program");
    }
}
