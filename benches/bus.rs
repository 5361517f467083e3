//! The cost of a token on the bus. Each figure is a ratio against `org.freedesktop.DBus.Peer.Ping`
//! to the same process over the same bus, so that machine, bus and client cancel out.
//!
//! `cargo bench --bench bus`. The two kinds of calls alternate, within every run. A figure is the
//! median of the runs. `-- --only token COUNT` (or `ping`) makes that many calls and nothing else,
//! for a profiler around the daemon.

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use c2c_testkit::rig::User;
use support::{LIMIT, Method, Outcome, World, connect, figure, heading, median, range};
use tokio::task::JoinSet;
use zbus::Connection;

const RUNS: usize = 20;
/// Calls of each kind in a run. The p99 is then the 10th worst.
const CALLS: usize = 1000;
/// New connections of each kind in a run.
const CONNECTIONS: usize = 40;
const CLIENTS: usize = 64;
/// Calls of each client in a run.
const CALLS_OF_A_CLIENT: usize = 160;
/// How often the other uid calls during a flood. A real uploader calls far less often.
const EVERY: Duration = Duration::from_millis(2);
const CALLS_IN_A_FLOOD: usize = 400;
/// Users that every Linux has (`daemon` and `bin`): `dbus-daemon` hangs up on a uid whose groups it
/// cannot look up.
const FLOODER: User = User { uid: 1, gid: 1 };
const VICTIM: User = User { uid: 2, gid: 2 };
/// Sent by a child that does its part under another uid.
const STARTED: &str = "started";

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let arguments: Vec<String> = std::env::args().collect();
    runtime.block_on(async {
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [_, "--flood", address] => flood(address).await,
            [_, "--victim", address] => victim(address).await,
            [_, "--only", "token", count, ..] => only(Method::Token, count.parse()?).await,
            [_, "--only", "ping", count, ..] => only(Method::Ping, count.parse()?).await,
            _ => measure().await,
        }
    })
}

/// The difference between two numbers of calls is what a call costs: start, pairing and end cancel
/// out.
async fn only(method: Method, count: usize) -> Outcome<()> {
    let world = World::new()?;
    let mut daemon = world.rig.spawn(&world.daemon, world.address())?;
    daemon.wait_ready(LIMIT).await?;
    let connection = connect(world.address()).await?;
    world.pair(&daemon, &connection).await?;
    for _ in 0..count {
        method.call(&connection).await?;
    }
    // Whatever watches it writes its report when it ends.
    daemon.terminate()?;
    daemon.wait_exit(LIMIT).await?;
    Ok(())
}

async fn measure() -> Outcome<()> {
    let mut world = World::new()?;
    if rustix::process::getuid().is_root() {
        world.rig.configure(|config| {
            let uids = [0, FLOODER.uid, VICTIM.uid].map(|uid| format!("uid:{uid}"));
            config.set("access", "uploader", &uids[..]);
        })?;
    }
    let daemon = world.rig.spawn(&world.daemon, world.address())?;
    daemon.wait_ready(LIMIT).await?;
    let connection = connect(world.address()).await?;
    world.pair(&daemon, &connection).await?;
    heading("GetAccessToken of a cached token against Peer.Ping", world.bus());
    latency(&connection).await?;
    first_call(&world).await?;
    throughput(&world).await?;
    if rustix::process::getuid().is_root() {
        // Whoever starts processes under other uids may be stopped by a sandbox. The rest is
        // measured all the same.
        if let Err(error) = fairness(&world) {
            println!("p99 of another uid during a flood: not measured ({error})");
        }
    } else {
        println!("p99 of another uid during a flood: not measured (needs root, to be two users)");
    }
    Ok(())
}

async fn latency(connection: &Connection) -> Outcome<()> {
    pairs(connection, CALLS).await?;
    let (mut p50, mut p99, mut ping, mut token) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (pings, tokens) = pairs(connection, CALLS).await?;
        p50.push(percentile(&tokens, 50).div_duration_f64(percentile(&pings, 50)));
        p99.push(percentile(&tokens, 99).div_duration_f64(percentile(&pings, 99)));
        ping.push(micros(percentile(&pings, 50)));
        token.push(micros(percentile(&tokens, 50)));
    }
    let detail = format!(
        "{}; Ping {:.0} us, token {:.0} us",
        range(&p50),
        median(ping),
        median(token)
    );
    figure("latency p50, token / Ping", median(p50), "", 1.10, &detail);
    let detail = range(&p99);
    figure("latency p99, token / Ping", median(p99), "", 1.3, &detail);
    Ok(())
}

async fn time(method: Method, connection: &Connection) -> zbus::Result<Duration> {
    let start = Instant::now();
    method.call(connection).await?;
    Ok(start.elapsed())
}

/// Calls of both kinds in turn, sorted by duration. Which comes first alternates, so that neither
/// always finds the other's warm caches.
async fn pairs(connection: &Connection, calls: usize) -> zbus::Result<(Vec<Duration>, Vec<Duration>)> {
    let (mut pings, mut tokens) = (Vec::with_capacity(calls), Vec::with_capacity(calls));
    for index in 0..calls {
        if index % 2 == 0 {
            pings.push(time(Method::Ping, connection).await?);
            tokens.push(time(Method::Token, connection).await?);
        } else {
            tokens.push(time(Method::Token, connection).await?);
            pings.push(time(Method::Ping, connection).await?);
        }
    }
    pings.sort();
    tokens.sort();
    Ok((pings, tokens))
}

async fn first_call(world: &World) -> Outcome<()> {
    let first = async |method: Method| -> zbus::Result<Duration> {
        let start = Instant::now();
        let connection = connect(world.address()).await?;
        method.call(&connection).await?;
        let took = start.elapsed();
        connection.graceful_shutdown().await;
        Ok(took)
    };
    let mut ratios = Vec::new();
    for run in 0..=RUNS {
        let (mut pings, mut tokens) = (Vec::new(), Vec::new());
        for _ in 0..CONNECTIONS {
            pings.push(first(Method::Ping).await?);
            tokens.push(first(Method::Token).await?);
        }
        pings.sort();
        tokens.sort();
        // The first warms up.
        if run > 0 {
            ratios.push(percentile(&tokens, 50).div_duration_f64(percentile(&pings, 50)));
        }
    }
    let detail = range(&ratios);
    let name = "connect and first call, token / Ping";
    figure(name, median(ratios), "", 2.0, &detail);
    Ok(())
}

async fn throughput(world: &World) -> Outcome<()> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(connect(world.address()).await?);
    }
    let all_at_once = async |method: Method| -> Outcome<Duration> {
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for client in clients.clone() {
            tasks.spawn(async move {
                for _ in 0..CALLS_OF_A_CLIENT {
                    method.call(&client).await?;
                }
                Ok::<(), zbus::Error>(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(start.elapsed())
    };
    let (mut ratios, mut rate) = (Vec::new(), Vec::new());
    for run in 0..=RUNS {
        let (pings, tokens) = if run % 2 == 0 {
            let pings = all_at_once(Method::Ping).await?;
            (pings, all_at_once(Method::Token).await?)
        } else {
            let tokens = all_at_once(Method::Token).await?;
            (all_at_once(Method::Ping).await?, tokens)
        };
        if run > 0 {
            ratios.push(tokens.div_duration_f64(pings));
            rate.push(tokens.div_duration_f64(Duration::from_secs(1)));
        }
    }
    let calls = u32::try_from(CLIENTS * CALLS_OF_A_CLIENT)?;
    let detail = format!("{}; {:.0} tokens/s", range(&ratios), f64::from(calls) / median(rate));
    let name = "throughput of 64 clients, Ping / token";
    // At least 0.9 of its throughput.
    figure(name, median(ratios), "", 1.11, &detail);
    Ok(())
}

/// Another uid's tail latency, idle and during a flood.
fn fairness(world: &World) -> Outcome<()> {
    // Under another uid this program's own directory may be out of reach.
    let directory = tempfile::tempdir()?;
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let program = directory.path().join("bench");
    std::fs::copy(std::env::current_exe()?, &program)?;
    let child = |part: &str, user: User| {
        let mut command = Command::new(&program);
        command.args([part, world.address()]).stdout(Stdio::piped());
        user.apply(&mut command);
        command.spawn().map(Ended)
    };
    // One list is for tokens, the other for Pings.
    let mut ratios = [const { Vec::new() }; 2];
    let mut flooded = [const { Vec::new() }; 2];
    for run in 0..=RUNS / 2 {
        let idle = child("--victim", VICTIM)?.numbers()?;
        let mut noise = child("--flood", FLOODER)?;
        noise.line()?;
        let busy = child("--victim", VICTIM)?.numbers()?;
        drop(noise);
        // The first warms up.
        for method in (0..2).filter(|_| run > 0) {
            ratios[method].push(busy[method] / idle[method]);
            flooded[method].push(busy[method]);
        }
    }
    let [tokens, pings] = ratios;
    let [token, ping] = flooded.map(median);
    let detail = format!(
        "{}; then {token:.0} us; Ping {ping:.0} us, {:.2} x its idle one",
        range(&tokens),
        median(pings),
    );
    let name = "p99 of another uid during a flood / idle";
    figure(name, median(tokens), "", 3.0, &detail);
    Ok(())
}

/// 64 clients that call again as soon as they are answered, each with two calls open: what one uid
/// may have waiting.
async fn flood(address: &str) -> Outcome<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..CLIENTS {
        let client = connect(address).await?;
        // One that is not let in is no flood.
        Method::Token.call(&client).await?;
        for _ in 0..2 {
            let client = client.clone();
            tasks.spawn(async move {
                // A refusal is no reason for a flood to end. The end of the bus, or of this
                // process, is.
                while !matches!(Method::Token.call(&client).await, Err(zbus::Error::InputOutput(_))) {}
            });
        }
    }
    tell(STARTED)?;
    tasks.join_all().await;
    Ok(())
}

/// Tells the p99 of tokens and of Pings, in microseconds.
async fn victim(address: &str) -> Outcome<()> {
    let connection = connect(address).await?;
    let (mut tokens, mut pings) = (Vec::new(), Vec::new());
    for _ in 0..CALLS_IN_A_FLOOD {
        tokio::time::sleep(EVERY).await;
        tokens.push(time(Method::Token, &connection).await?);
        tokio::time::sleep(EVERY).await;
        pings.push(time(Method::Ping, &connection).await?);
    }
    tokens.sort();
    pings.sort();
    let [tokens, pings] = [tokens, pings].map(|sorted| micros(percentile(&sorted, 99)));
    tell(&format!("{tokens} {pings}"))
}

fn tell(line: &str) -> Outcome<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

/// A child that ends with its handle.
struct Ended(Child);

impl Ended {
    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if let Some(stdout) = self.0.stdout.as_mut() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        if line.is_empty() {
            return Err("a child under another uid ended before it said anything".into());
        }
        Ok(line)
    }

    fn numbers(mut self) -> Outcome<[f64; 2]> {
        let line = self.line()?;
        let numbers: Result<Vec<f64>, _> = line.split_whitespace().map(str::parse).collect();
        numbers?
            .try_into()
            .map_err(|_| format!("not two numbers: {line}").into())
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
