//! The texts in which promises are read: files of this tree, and the output of its programs.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use c2c_testkit::bus::TestBus;
use c2c_testkit::rig::{Notifications, Process, Rig};
use c2c_testkit::server::{Options, Server};

const DAEMON: &str = env!("CARGO_BIN_EXE_c2c-authd");
const TOOL: &str = env!("CARGO_BIN_EXE_c2c-authctl");
const LIMIT: Duration = Duration::from_secs(40);

#[derive(Clone)]
pub(super) struct Sources {
    pub(super) xml: String,
    pub(super) catalog: String,
    /// The page with the table of events.
    pub(super) events: String,
    pub(super) config: String,
    pub(super) daemon_page: String,
    pub(super) tool_help: String,
    /// `status --json`, of a daemon that has met an error.
    pub(super) status: String,
    /// `status --json` without a bus.
    pub(super) dead: String,
    // `check --json`
    pub(super) check: String,
}

impl Sources {
    pub(super) fn of_this_tree() -> Self {
        let nowhere = "unix:path=/nonexistent/bus";
        Self {
            xml: file("dbus/org.cameratocloud.Auth1.xml"),
            catalog: file("systemd/c2c-authd.catalog"),
            events: file("docs/operating.md"),
            config: file("config/config.toml"),
            daemon_page: file("man/c2c-authd.8"),
            tool_help: printed(&["--help"]),
            status: status(),
            dead: printed(&["--bus", nowhere, "status", "--json"]),
            check: printed(&["--bus", nowhere, "check", "--json", "--offline"]),
        }
    }
}

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(TOOL);
    command.args(arguments).env_clear();
    command
}

fn printed(arguments: &[&str]) -> String {
    String::from_utf8(tool(arguments).output().unwrap().stdout).unwrap()
}

/// The server is gone when the daemon asks it for a code, so `last-error` is not `null`.
fn status() -> String {
    let server = Server::start(Options::default()).unwrap();
    let bus = TestBus::start().unwrap();
    let rig = Rig::new(&server).unwrap();
    let daemon = rig.spawn(Path::new(DAEMON), bus.address()).unwrap();
    daemon.wait_ready_blocking(LIMIT).unwrap();
    drop(server);

    let folder = tempfile::tempdir().unwrap();
    let notifications = Notifications::listen(&folder.path().join("unused")).unwrap();
    let _pair = Process::spawn(&mut tool(&["--bus", bus.address(), "pair"]), notifications).unwrap();
    let start = Instant::now();
    loop {
        let status = printed(&["--bus", bus.address(), "status", "--json"]);
        if status.contains("\"last-error\": {") {
            return status;
        }
        assert!(start.elapsed() < LIMIT, "no error is shown: {status}");
    }
}
