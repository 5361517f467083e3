//! The start as a service manager meets it: signals at any time of it, and what hangs under it.

use std::fs::{self, File, OpenOptions};
use std::future;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use c2c_testkit::harness::{Harness, LIMIT, LOOK, quick};
use c2c_testkit::rig::Process;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use tokio::net::{UnixListener, UnixStream};
use zbus::{Connection, Guid, connection::Builder, interface};

use crate::DAEMON;

/// How long a stop may take that has nothing to finish, with a second for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(2);

/// A configuration on a mount that hangs until the test lets a reader go on.
struct Hanging {
    path: PathBuf,
    text: Vec<u8>,
}

impl Hanging {
    fn in_place_of(path: PathBuf) -> Self {
        let text = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        Self { path, text }
    }

    /// Waits until somebody reads. The reader hangs for as long as this lives.
    async fn read(&self) -> File {
        let start = Instant::now();
        let mut options = OpenOptions::new();
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        options.write(true).custom_flags(nonblocking);
        loop {
            match options.open(&self.path) {
                Ok(end) => return end,
                Err(error) => assert!(start.elapsed() < LIMIT, "nobody reads the configuration: {error}"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn let_go_on(&self, mut reader: File) {
        reader.write_all(&self.text).unwrap();
    }

    fn heal(&self) {
        fs::remove_file(&self.path).unwrap();
        fs::write(&self.path, &self.text).unwrap();
    }
}

async fn ends_at_once(daemon: &mut Process) {
    let asked = Instant::now();
    daemon.terminate().unwrap();
    let status = daemon.wait_exit(LIMIT).await.unwrap();
    let took = asked.elapsed();
    assert_eq!(status.code(), Some(0), "{status}: {:?}", daemon.output());
    assert!(took < AT_ONCE, "{took:?}");
    assert!(daemon.notifications().all().iter().all(|n| n.get("READY").is_none()));
}

#[tokio::test]
async fn a_signal_before_the_configuration_is_read_is_not_lost() {
    let world = Harness::c2c(DAEMON, quick());
    let config = Hanging::in_place_of(world.rig.config_file());

    let mut daemon = world.spawn();
    let held = config.read().await;
    ends_at_once(&mut daemon).await;
    drop(held);

    let daemon = world.spawn();
    let held = config.read().await;
    daemon.hang_up().unwrap();
    config.let_go_on(held);
    daemon.wait_ready(LIMIT).await.unwrap();
    config.let_go_on(config.read().await);
    daemon
        .wait_output(|line| line.contains("C2C_EVENT=\"reloaded\""), LIMIT)
        .await
        .unwrap();
    let words = ["READY", "RELOADING"];
    let told: Vec<_> = daemon.notifications().all();
    let told: Vec<_> = told
        .iter()
        .flat_map(|n| words.into_iter().filter(|word| n.get(word) == Some("1")))
        .collect();
    assert!(told.starts_with(&["READY", "RELOADING"]), "{told:?}");
}

#[tokio::test]
async fn a_reload_that_hangs_is_refused_while_tokens_are_served() {
    let world = Harness::c2c(DAEMON, quick());
    let (daemon, user) = world.paired().await;
    let config = Hanging::in_place_of(world.rig.config_file());
    daemon.hang_up().unwrap();
    let held = config.read().await;
    let asked = Instant::now();
    // A second signal makes no second thread.
    daemon.hang_up().unwrap();
    let refused = daemon.wait_output(|line| line.contains("C2C_EVENT=\"reload-refused\""), LIMIT);
    let (refused, slowest) = user.beside_pings(refused).await;
    let refused = refused.unwrap();
    assert!(refused.contains("did not answer"), "{refused}");
    assert!(slowest < Duration::from_secs(5), "the loop stood still for {slowest:?}");
    assert!(asked.elapsed() >= Duration::from_secs(9), "{:?}", asked.elapsed());
    assert_eq!(user.token().await.unwrap().generation, 1);
    drop(held);
    config.heal();
    daemon.notifications().forget();
    daemon.hang_up().unwrap();
    daemon.wait_ready(LIMIT).await.unwrap();
    daemon
        .wait_output(|line| line.contains("C2C_EVENT=\"reloaded\""), LIMIT)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_start_whose_configuration_hangs_ends_in_a_sentence() {
    let world = Harness::c2c(DAEMON, quick());
    let config = Hanging::in_place_of(world.rig.config_file());
    let mut daemon = world.spawn();
    let _held = config.read().await;
    let status = daemon.wait_exit(LIMIT).await.unwrap();
    assert_eq!(status.code(), Some(75));
    let said = daemon.notifications().last("STATUS").unwrap();
    assert!(said.contains("name service did not answer"), "{said}");
}

/// How far a bus comes before it says nothing more.
#[derive(Clone, Copy, Debug)]
enum Silent {
    AtOnce,
    AfterAuthentication,
    AfterHello,
}

/// A bus that greets, and keeps whoever asks for a name waiting.
struct Nameless {
    greets: bool,
    rules: Mutex<Vec<String>>,
}

#[interface(name = "org.freedesktop.DBus")]
impl Nameless {
    async fn hello(&self) -> String {
        if !self.greets {
            future::pending::<()>().await;
        }
        ":1.1".to_owned()
    }

    fn add_match(&self, rule: &str) {
        self.rules.lock().unwrap().push(rule.to_owned());
    }

    async fn request_name(&self, name: &str, flags: u32) -> u32 {
        drop((name.to_owned(), flags));
        future::pending().await
    }
}

async fn answer(stream: UnixStream, greets: bool) -> Connection {
    let guid = Guid::generate();
    Builder::unix_stream(stream.into_std().unwrap())
        .server(guid)
        .p2p()
        .serve_at(
            "/org/freedesktop/DBus",
            Nameless {
                greets,
                rules: Mutex::default(),
            },
        )
        .build()
        .await
        .unwrap()
}

/// The address of such a bus, and a task that is this bus.
fn silent_bus(directory: &Path, silent: Silent) -> (String, tokio::task::JoinHandle<()>) {
    let path = directory.join(format!("{silent:?}"));
    let listener = UnixListener::bind(&path).unwrap();
    let bus = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        match silent {
            Silent::AtOnce => {
                let _held = stream;
                future::pending::<()>().await;
            }
            Silent::AfterAuthentication | Silent::AfterHello => {
                let _held = answer(stream, matches!(silent, Silent::AfterHello)).await;
                future::pending::<()>().await;
            }
        }
    });
    (format!("unix:path={}", path.display()), bus)
}

async fn a_silent_bus(silent: Silent) {
    let world = Harness::c2c(DAEMON, quick());
    let (address, bus) = silent_bus(&world.rig.runtime_directory(), silent);
    let mut daemon = world.rig.spawn(Path::new(DAEMON), &address).unwrap();
    let begun = Instant::now();
    let status = daemon.wait_exit(LIMIT).await.unwrap();
    let took = begun.elapsed();
    assert_eq!(status.code(), Some(75), "{silent:?}: {:?}", daemon.output());
    assert!(
        took >= Duration::from_secs(14),
        "{silent:?}: {took:?} {:?}",
        daemon.output()
    );
    let said = daemon.notifications().last("STATUS").unwrap();
    assert!(said.contains("does not answer"), "{silent:?}: {said}");
    bus.abort();
}

#[tokio::test]
async fn a_bus_that_says_nothing_ends_the_start() {
    tokio::join!(
        a_silent_bus(Silent::AtOnce),
        a_silent_bus(Silent::AfterAuthentication),
        a_silent_bus(Silent::AfterHello),
    );
}

#[tokio::test]
async fn a_stop_ends_a_start_that_waits_for_the_bus() {
    let world = Harness::c2c(DAEMON, quick());
    let path = world.rig.runtime_directory().join("bus");
    let listener = UnixListener::bind(&path).unwrap();
    let address = format!("unix:path={}", path.display());
    let mut daemon = world.rig.spawn(Path::new(DAEMON), &address).unwrap();
    let _connected = listener.accept().await.unwrap();
    ends_at_once(&mut daemon).await;
}
