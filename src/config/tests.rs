//! The configuration as files on a machine of the test's own.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use super::accounts::tests::Made;
use super::*;

mod documented;
mod faults;
mod files;
mod kinds;
mod values;

/// A machine with an os-release of version 12, three users and two groups, and nothing else.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        machine.write("/etc/os-release", "NAME=Board\nVERSION_ID=\"12\"\n");
        machine
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn system(&self) -> System {
        let accounts = Made::new(
            &[("root", 0), ("daemon", 1), ("ann", 70)],
            &[("wheel", 0), ("cameras", 71)],
        );
        System::at(self.0.path()).with(Arc::new(accounts))
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&self.system())
    }

    /// The configuration of one file.
    fn read(&self, text: &str) -> Result<Config, ConfigError> {
        let file = self.write("/tmp/test.toml", text);
        Config::load_file(&file, &self.system())
    }
}

/// Warnings that are not about what a test has written: groups that do not exist, and the version
/// of the system where no other is set.
fn is_of_the_machine(warning: &str) -> bool {
    warning.starts_with("access.") || warning.contains(SYSTEMS_VERSION)
}

const SYSTEMS_VERSION: &str = "the version of the operating system";

fn good(text: &str) -> Config {
    Machine::new()
        .read(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The sentence that a bad text is refused with, without its directory.
fn refused(text: &str) -> String {
    let machine = Machine::new();
    let error = machine.read(text).expect_err(text);
    assert_eq!(error.exit_code(), 78);
    let text = error.to_string();
    assert!(!text.contains('\n'), "one sentence on one line: {text}");
    text.replace(&format!("{}/", machine.0.path().display()), "")
}

/// The parts of a configuration that the file decides, whatever file it is.
fn values(mut config: Config) -> Config {
    config.files.clear();
    // A default that is written is no other value, and it was asked for.
    config.device.firmware_source.clear();
    config.warnings.retain(|told| !told.contains(SYSTEMS_VERSION));
    config
}

/// The least that the kind needs.
const DEVICE: &str = "kind = \"oauth-device\"\ntoken-endpoint = \"https://a.example/t\"\n\
    device-authorization-endpoint = \"https://a.example/d\"\nissuer = \"https://a.example\"";
const CODE: &str = "kind = \"oauth-code\"\ntoken-endpoint = \"https://a.example/t\"\n\
    authorization-endpoint = \"https://a.example/a\"\nissuer = \"https://a.example\"";
