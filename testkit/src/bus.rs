//! A private message bus: in process, or a real `dbus-daemon`.
//!
//! Each has an address for `--bus` and for clients, and goes, with every connection to it, when it
//! is stopped or dropped.

use std::{
    convert::Infallible,
    io::{self, BufRead, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread::JoinHandle,
};

use busd::bus::Bus;
use tempfile::TempDir;
use tokio::sync::oneshot;
use zruntime::SharedRuntime;

/// Where Debian and most others put it.
const DBUS_DAEMON: &str = "/usr/bin/dbus-daemon";

/// busd on a thread of its own. Enforces no policy, but tells the true credentials of its clients.
#[derive(Debug)]
pub struct TestBus {
    address: String,
    // All `Some` until stopped.
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
    directory: Option<TempDir>,
}

impl TestBus {
    /// Starts a bus on a socket that every user of this machine may connect to.
    ///
    /// # Errors
    ///
    /// When there is no directory, socket or thread to be had.
    pub fn start() -> io::Result<Self> {
        let (directory, socket) = socket_directory()?;
        let address = format!("unix:path={}", socket.display());
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let asked = address.clone();
        let thread = std::thread::Builder::new()
            .name("c2c-sim-bus".to_owned())
            .spawn(move || run(&asked, &ready, stopped))?;
        started.recv().map_err(io::Error::other)?.map_err(io::Error::other)?;
        // Other users, too: connecting takes the right to write.
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666))?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
            directory: Some(directory),
        })
    }

    /// `unix:path=…`
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Ends the bus now: every connection is lost.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic on that thread was printed there.
            let _ = thread.join();
        }
        drop(self.directory.take());
    }
}

impl Drop for TestBus {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(address: &str, ready: &mpsc::Sender<Result<(), String>>, stopped: oneshot::Receiver<Infallible>) {
    // A runtime of our own, not the thread's: it takes the connections down with it when it is
    // dropped, where zruntime's helper thread would go on serving them.
    let runtime = match SharedRuntime::new() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error.to_string()))),
    };
    runtime.block_on(async {
        let mut bus = match Bus::for_address(Some(address)).await {
            Ok(bus) => bus,
            Err(error) => return drop(ready.send(Err(error.to_string()))),
        };
        // Whoever waits for it holds the other end.
        let _ = ready.send(Ok(()));
        tokio::select! {
            ended = bus.run() => drop(ended),
            _ = stopped => {}
        }
    });
}

/// A real `dbus-daemon` as a child process.
#[derive(Debug)]
pub struct DbusDaemon {
    address: String,
    child: Child,
    // Holds the socket and the configuration.
    _directory: TempDir,
}

/// The policy of a [`DbusDaemon`].
#[derive(Clone, Copy, Debug)]
pub enum BusPolicy<'a> {
    /// Everything to everybody.
    Open,
    /// The system bus's defaults, with the rules of this policy file: the one that is shipped.
    System(&'a Path),
}

impl DbusDaemon {
    /// True if this machine has a `dbus-daemon`.
    #[must_use]
    pub fn available() -> bool {
        Path::new(DBUS_DAEMON).exists()
    }

    /// Starts one on a socket that every user of this machine may connect to.
    ///
    /// # Errors
    ///
    /// When there is none, or it refuses its configuration. It says so on standard error.
    pub fn start(policy: BusPolicy<'_>) -> io::Result<Self> {
        let (directory, socket) = socket_directory()?;
        let config = directory.path().join("bus.conf");
        std::fs::write(&config, configuration(&socket, policy)?)?;
        let mut child = Command::new(DBUS_DAEMON)
            .args(["--nofork", "--nopidfile", "--nosyslog", "--print-address"])
            .arg(format!("--config-file={}", config.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        // The address comes when it listens. Nothing comes when it fails.
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        if line.trim().is_empty() {
            let status = child.wait()?;
            return Err(io::Error::other(format!(
                "dbus-daemon ended ({status}) before it listened"
            )));
        }
        Ok(Self {
            address: format!("unix:path={}", socket.display()),
            child,
            _directory: directory,
        })
    }

    /// `unix:path=…`
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process id of the daemon.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for DbusDaemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory that others may pass through, and the socket's path in it.
fn socket_directory() -> io::Result<(TempDir, PathBuf)> {
    let directory = tempfile::Builder::new().prefix("c2c-bus-").tempdir()?;
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o711))?;
    let socket = directory.path().join("bus");
    Ok((directory, socket))
}

fn configuration(socket: &Path, policy: BusPolicy<'_>) -> io::Result<String> {
    let rules = match policy {
        // The session bus has these rules. An allow rule that names neither sending nor receiving
        // allows receiving.
        BusPolicy::Open => "<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
            <allow eavesdrop=\"true\"/><allow own=\"*\"/><allow user=\"*\"/></policy>"
            .to_owned(),
        // The defaults of /usr/share/dbus-1/system.conf, then the file.
        BusPolicy::System(file) => format!(
            "<policy context=\"default\"><allow user=\"*\"/><deny own=\"*\"/><deny send_type=\"method_call\"/>\
             <allow send_type=\"signal\"/><allow send_requested_reply=\"true\" send_type=\"method_return\"/>\
             <allow send_requested_reply=\"true\" send_type=\"error\"/><allow receive_type=\"method_call\"/>\
             <allow receive_type=\"method_return\"/><allow receive_type=\"error\"/><allow receive_type=\"signal\"/>\
             <allow send_destination=\"org.freedesktop.DBus\" send_interface=\"org.freedesktop.DBus\"/>\
             <allow send_destination=\"org.freedesktop.DBus\" send_interface=\"org.freedesktop.DBus.Introspectable\"/>\
             <allow send_destination=\"org.freedesktop.DBus\" send_interface=\"org.freedesktop.DBus.Properties\"/>\
             </policy><include>{}</include>",
            std::path::absolute(file)?.display()
        ),
    };
    Ok(format!(
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
         \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n<busconfig>\
         <listen>unix:path={}</listen><auth>EXTERNAL</auth>{rules}\
         <limit name=\"max_connections_per_user\">1024</limit><limit name=\"max_completed_connections\">2048</limit>\
         </busconfig>\n",
        socket.display()
    ))
}
