//! The cost of the daemon to the board: bytes on flash and in memory, time to start, wake-ups while
//! nothing happens.
//!
//! `cargo bench --bench footprint`. Memory is that of a paired daemon that verified its server
//! against the roots of this system and has refreshed its token once, as one in the field has.

mod support;

use std::fs;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use c2c_testkit::rig::{CLIENT_ID, Process};
use support::{LIMIT, Outcome, World, call, connect, figure, heading, median, range};
use tokio::task::JoinSet;
use zbus::{Connection, Message};

const TOKENS: &str = "org.cameratocloud.Auth1.Tokens";
const STARTS: usize = 20;
const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// How long an idle daemon is watched.
const WINDOW: Duration = Duration::from_secs(10);
/// How long systemd would wait for a sign of life. The daemon gives one in half that time.
const WATCHDOG: Duration = Duration::from_secs(2);

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure())
}

async fn measure() -> Outcome<()> {
    let mut world = World::new()?;
    // The server's own root besides the system's, as one of them. That is how many a daemon in the
    // field reads.
    let bundle = tempfile::NamedTempFile::new()?;
    let system = fs::read(ROOTS).unwrap_or_default();
    fs::write(bundle.path(), [&system[..], world.server.ca_pem().as_bytes()].concat())?;
    world.rig.configure(|config| {
        config.unset("tls", "ca-file");
    })?;

    heading("Footprint of the daemon", world.bus());
    size(&world.daemon)?;
    let mut daemon = world.rig.spawn_with(&world.daemon, world.address(), |command| {
        trust(command, bundle.path()).envs(environment());
    })?;
    daemon.wait_ready(LIMIT).await?;
    let connection = connect(world.address()).await?;
    world.pair(&daemon, &connection).await?;
    // Only a caller that was handed a token may refuse it.
    token(&connection).await?;
    refresh(&world, &connection).await?;
    settle(&daemon).await?;
    let roots = String::from_utf8_lossy(&system).matches("BEGIN CERTIFICATE").count() + 1;
    memory(daemon.pid(), "after a refresh", 3.5, 0.9)?;
    println!("({roots} roots were read)");
    for (clients, pss, dirty) in [(64, 3.8, 1.2), (256, 5.0, 2.5)] {
        burst(world.address(), clients).await?;
        settle(&daemon).await?;
        memory(daemon.pid(), &format!("after a burst of {clients} clients"), pss, dirty)?;
    }
    wakes(&daemon, "wake-ups of an idle daemon in 10 s").await?;
    daemon.kill()?;

    absent(&connection).await?;
    let micros = WATCHDOG.as_micros().to_string();
    let mut daemon = world.rig.spawn_with(&world.daemon, world.address(), |command| {
        trust(command, bundle.path()).env("WATCHDOG_USEC", micros);
    })?;
    daemon.wait_ready(LIMIT).await?;
    settle(&daemon).await?;
    wakes(&daemon, "wake-ups besides the watchdog's in 10 s").await?;
    daemon.kill()?;

    starts(&world, &connection).await
}

/// As the system does where nobody sets these: a bundle, and a directory that holds it and each
/// root again.
fn trust<'a>(command: &'a mut Command, bundle: &Path) -> &'a mut Command {
    let directory = Path::new(ROOTS).parent().unwrap_or(Path::new("/"));
    command.env("SSL_CERT_FILE", bundle).env("SSL_CERT_DIR", directory)
}

/// The variables that the shipped unit sets.
fn environment() -> impl Iterator<Item = (&'static str, &'static str)> {
    let unit = include_str!("../systemd/c2c-authd.service");
    let lines = unit.lines().filter_map(|line| line.strip_prefix("Environment="));
    lines.filter_map(|line| line.split_once('='))
}

async fn token(connection: &Connection) -> zbus::Result<Message> {
    call(connection, TOKENS, "GetAccessToken", &(0_u32,)).await
}

/// So many clients that call at once, a hundred times each, and leave.
async fn burst(address: &str, clients: usize) -> Outcome<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let client = connect(address).await?;
        tasks.spawn(async move {
            for _ in 0..100 {
                // One uid may have fewer calls open: a refusal is an answer too.
                match token(&client).await {
                    Ok(_) | Err(zbus::Error::MethodError(..)) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// The release profile strips symbols.
fn size(daemon: &Path) -> Outcome<()> {
    let bytes = u32::try_from(fs::metadata(daemon)?.len())?;
    let target = 3.5;
    let detail = format!("{bytes} bytes, {}", std::env::consts::ARCH);
    figure(
        "size of the stripped binary",
        f64::from(bytes) / 1e6,
        " MB",
        target,
        &detail,
    );
    Ok(())
}

/// Makes the daemon refresh over TLS: its token is refused by the API.
async fn refresh(world: &World, connection: &Connection) -> Outcome<()> {
    world.server.end_access_token(CLIENT_ID)?;
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        call(connection, TOKENS, "RejectAccessToken", &(1_u64,)).await?;
        let held: (String, u32, u64) = token(connection).await?.body().deserialize()?;
        if held.2 > 1 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Err("a refused token was not refreshed".into())
}

/// Waits until the daemon has nothing left to do: its helper threads but the store's are gone and
/// it was not on a processor for a second.
async fn settle(daemon: &Process) -> Outcome<()> {
    let end = Instant::now() + LIMIT;
    let mut before = u64::MAX;
    while Instant::now() < end {
        let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid()))?.count();
        let now = switches(daemon.pid())?;
        if tasks == 2 && now == before {
            return Ok(());
        }
        before = now;
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
    println!("(the daemon did not come to rest within {LIMIT:?})");
    Ok(())
}

fn memory(pid: u32, when: &str, pss: f64, dirty: f64) -> Outcome<()> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let megabytes = |text: &str, key: &str| -> Outcome<f64> {
        let line = text.lines().find(|line| line.starts_with(key));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        let kib: f64 = number.ok_or("the kernel does not tell")?.parse()?;
        Ok(kib * 1024.0 / 1e6)
    };
    let [measured, private] = ["Pss:", "Private_Dirty:"].map(|key| megabytes(&rollup, key));
    let (now, peak) = (megabytes(&status, "VmRSS:")?, megabytes(&status, "VmHWM:")?);
    let detail = format!("RSS {now:.2} MB, at most {peak:.2} MB so far");
    figure(&format!("PSS, paired, {when}"), measured?, " MB", pss, &detail);
    figure(&format!("private dirty memory, {when}"), private?, " MB", dirty, "");
    Ok(())
}

/// Times the kernel took the daemon off a processor because it had nothing to do, that is the times
/// it was woken.
fn switches(pid: u32) -> Outcome<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(number.ok_or("the kernel does not count")?.parse()?)
}

async fn wakes(daemon: &Process, name: &str) -> Outcome<()> {
    let fed = || {
        let told = daemon.notifications().all();
        told.iter().filter(|told| told.get("WATCHDOG").is_some()).count()
    };
    let (before, fed_before) = (switches(daemon.pid())?, fed());
    tokio::time::sleep(WINDOW).await;
    let (after, fed_after) = (switches(daemon.pid())?, fed());
    let woken = u32::try_from(after - before)?;
    let feedings = u32::try_from(fed_after - fed_before)?;
    let detail = format!("{woken} in all, {feedings} feedings");
    let others = f64::from(woken.saturating_sub(feedings));
    figure(name, others, "", 0.0, &detail);
    Ok(())
}

/// From fork to READY, with everything in the page cache.
async fn starts(world: &World, connection: &Connection) -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path)?;
    socket.set_read_timeout(Some(LIMIT))?;
    let mut runs = Vec::new();
    for run in 0..=STARTS {
        absent(connection).await?;
        let mut command = world.rig.command(&world.daemon, world.address());
        command
            .env("NOTIFY_SOCKET", &path)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let start = Instant::now();
        let mut child = command.spawn()?;
        let ready = until_ready(&socket);
        let took = start.elapsed();
        child.kill()?;
        child.wait()?;
        ready?;
        // The first warms up.
        if run > 0 {
            runs.push(took.as_secs_f64() * 1e3);
        }
    }
    let detail = range(&runs);
    figure("start to READY, paired, warm", median(runs), " ms", 15.0, &detail);
    Ok(())
}

fn until_ready(socket: &UnixDatagram) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let size = socket.recv(&mut buffer)?;
        if String::from_utf8_lossy(&buffer[..size])
            .lines()
            .any(|line| line == "READY=1")
        {
            return Ok(());
        }
    }
}

/// Waits until the bus has seen that the last daemon is gone, and its name is free.
async fn absent(connection: &Connection) -> Outcome<()> {
    let end = Instant::now() + LIMIT;
    while call(connection, "org.freedesktop.DBus.Peer", "Ping", &()).await.is_ok() {
        if Instant::now() > end {
            return Err("the name of a killed daemon does not come free".into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
