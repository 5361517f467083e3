//! The parts that the benches share: a paired daemon in a world of its own, and a table to print.
//!
//! Must never: fail because a figure misses its target. A bench reports. The conclusion is for
//! people to draw.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use c2c_testkit::bus::{BusPolicy, DbusDaemon, TestBus};
use c2c_testkit::rig::{Process, Rig};
use c2c_testkit::server::{Options, Server};
use zbus::connection::Builder;
use zbus::{Connection, Message, Variant};

/// The daemon as it is shipped, or another one (`C2C_AUTHD`), for example from a package.
///
/// Not the one that cargo has built for this bench, at the same path: it has the features of the
/// development dependencies too. They make it 5 % larger, and each look at tokio's clock takes a
/// lock (`test-util`).
fn daemon() -> Outcome<PathBuf> {
    if let Some(path) = std::env::var_os("C2C_AUTHD") {
        return Ok(path.into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--release", "--bin", "c2c-authd", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .stdin(Stdio::null());
    // Build scripts would run again with the variables that cargo sets for a program that it runs.
    for (name, _) in std::env::vars_os() {
        let of_a_package = ["CARGO_PKG_", "CARGO_MANIFEST_"].map(|start| name.to_string_lossy().starts_with(start));
        if of_a_package.contains(&true) {
            command.env_remove(name);
        }
    }
    let status = command.status()?;
    if !status.success() {
        return Err(format!("cargo build --release ended with {status}").into());
    }
    // Beside the one of this profile, which is the same place for `cargo bench`.
    let here = Path::new(env!("CARGO_BIN_EXE_c2c-authd"));
    let target = here.ancestors().nth(2).ok_or("no target directory")?;
    Ok(target.join("release/c2c-authd"))
}

/// Nothing here takes that long, even on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) const NAME: &str = "org.cameratocloud.Auth1";
pub(crate) const OBJECT: &str = "/org/cameratocloud/Auth1";

/// For `main`, which prints it.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// A call by a client that is not measured.
pub(crate) async fn call<B>(connection: &Connection, interface: &str, method: &str, body: &B) -> zbus::Result<Message>
where
    B: serde::Serialize + zbus::DynamicType,
{
    connection
        .call_method(Some(NAME), OBJECT, Some(interface), method, body)
        .await
}

/// Connects to a bus, up to the answer to `Hello`.
pub(crate) async fn connect(address: &str) -> zbus::Result<Connection> {
    Builder::address(address).build().await
}

enum Bus {
    Daemon(DbusDaemon),
    InProcess(TestBus),
}

/// A server, a bus, a device.
pub(crate) struct World {
    /// The program that is measured.
    pub(crate) daemon: PathBuf,
    /// The simulated C2C server.
    pub(crate) server: Server,
    pub(crate) rig: Rig,
    bus: Bus,
}

impl World {
    /// Where possible with the bus that most systems run.
    ///
    /// # Errors
    ///
    /// When the daemon cannot be built, or there is no socket, directory or thread to be had.
    pub(crate) fn new() -> Outcome<Self> {
        let daemon = daemon()?;
        let server = Server::start(Options {
            // Pairing then takes a second, and is not measured.
            interval: Duration::from_secs(1),
            token_length: 1024,
            ..Options::default()
        })?;
        let bus = if DbusDaemon::available() {
            Bus::Daemon(DbusDaemon::start(BusPolicy::Open)?)
        } else {
            Bus::InProcess(TestBus::start()?)
        };
        Ok(Self {
            daemon,
            rig: Rig::new(&server)?,
            server,
            bus,
        })
    }

    pub(crate) fn address(&self) -> &str {
        match &self.bus {
            Bus::Daemon(bus) => bus.address(),
            Bus::InProcess(bus) => bus.address(),
        }
    }

    /// Which bus was measured, for the heading.
    pub(crate) fn bus(&self) -> &'static str {
        match &self.bus {
            Bus::Daemon(_) => "dbus-daemon",
            Bus::InProcess(_) => "busd in this process (no dbus-daemon is installed)",
        }
    }

    /// Pairs through the bus, as a user would, and waits for the first token.
    ///
    /// # Errors
    ///
    /// When the device is not paired within [`LIMIT`].
    pub(crate) async fn pair(&self, daemon: &Process, connection: &Connection) -> Outcome<()> {
        let options: HashMap<&str, Variant<'_>> = HashMap::new();
        call(
            connection,
            "org.cameratocloud.Auth1.Pairing",
            "StartPairing",
            &(options,),
        )
        .await?;
        for code in self.server.waiting() {
            self.server.approve(&code.user_code)?;
        }
        daemon
            .notifications()
            .wait(
                |told| told.get("STATUS").is_some_and(|s| s.contains("access token valid")),
                LIMIT,
            )
            .await?;
        Ok(())
    }
}

/// Prints the first lines: what was measured, of which sources, where.
pub(crate) fn heading(what: &str, bus: &str) {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{what}; {}; bus: {bus}; {cores} cores, load {}", sources(), load.trim());
    println!("{:<52} {:>10}  {:<10} verdict", "figure", "measured", "target");
}

/// The commit that the daemon was built of. Another program than ours says nothing of that.
fn sources() -> String {
    if let Some(path) = std::env::var_os("C2C_AUTHD") {
        return path.display().to_string();
    }
    let described = Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    match described {
        Ok(output) if output.status.success() => format!("commit {}", String::from_utf8_lossy(&output.stdout).trim()),
        _ => String::from("commit unknown"),
    }
}

/// Prints one line of the table, with `detail` behind the verdict. The target is the most that is
/// promised.
pub(crate) fn figure(name: &str, measured: f64, unit: &str, target: f64, detail: &str) {
    let verdict = if measured <= target { "met" } else { "MISSED" };
    let (measured, target) = (format!("{measured:.2}{unit}"), format!("<= {target}{unit}"));
    println!("{name:<52} {measured:>10}  {target:<10} {verdict:<6}  {detail}");
}

/// The middle of a number of runs.
///
/// # Panics
///
/// Panics if there are no runs.
pub(crate) fn median(mut runs: Vec<f64>) -> f64 {
    runs.sort_by(f64::total_cmp);
    let middle = runs.len() / 2;
    if runs.len() % 2 == 1 {
        runs[middle]
    } else {
        f64::midpoint(runs[middle - 1], runs[middle])
    }
}

/// From the least to the greatest of a number of runs.
pub(crate) fn range(runs: &[f64]) -> String {
    let least = runs.iter().copied().fold(f64::INFINITY, f64::min);
    let most = runs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{} runs: {least:.2} to {most:.2}", runs.len())
}
