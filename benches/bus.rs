//! The cost of a token on the bus, beside what others cost in the same run: `Peer.Ping` to the same
//! process, a service in C with sd-bus, and a bare service on zbus. Each answers 1 kB.
//!
//! `cargo bench --bench bus`. The client is a write and a read ([`raw`]), the calls of a
//! run are shuffled one by one, and a figure is the median of the runs. As root the floods too: a
//! call of one user while another floods each of the services. `-- --only token COUNT` (or `ping`)
//! makes that many calls to the daemon and nothing else, for a profiler around it.

#[path = "support/others.rs"]
mod others;
#[path = "support/raw.rs"]
mod raw;
mod support;

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use c2c_testkit::rig::User;
use others::{Ended, Others, STARTED, serve, tell};
use raw::{Answer, Call, Raw, string};
use support::{LIMIT, NAME, OBJECT, Outcome, World, connect, figure, heading, median, range};
use zbus::Variant;

const RUNS: usize = 20;
/// Calls of each kind in a run. The p99 is then the 10th worst.
const CALLS: usize = 1000;
/// Answers of each client in a burst.
const CALLS_OF_A_CLIENT: usize = 20;
const FLOODS: usize = 3;
/// Calls that a flood has open: half of what one uid may have.
const OPEN: usize = 64;
/// How often the other uid calls during a flood. A real uploader calls far less often.
const EVERY: Duration = Duration::from_millis(2);
const CALLS_IN_A_FLOOD: usize = 400;
/// Users that every Linux has (`daemon`, `sys` and `games`, `bin`): `dbus-daemon` hangs up on a uid
/// whose groups it cannot look up.
const FLOODERS: [User; 3] = [
    User { uid: 1, gid: 1 },
    User { uid: 3, gid: 3 },
    User { uid: 5, gid: 60 },
];
const VICTIM: User = User { uid: 2, gid: 2 };
fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "--flood", address, to, member] => flood(address, to, member),
        [_, "--victim", address, to] => victim(address, to),
        [_, "--serve", address] => runtime.block_on(serve(address)),
        [_, "--only", member @ ("token" | "ping"), count, ..] => runtime.block_on(only(member, count.parse()?)),
        _ => runtime.block_on(measure()),
    }
}

/// A call by the short name of its member.
fn call(to: &str, member: &str) -> Call {
    let ours = |interface: &str| format!("{NAME}.{interface}");
    let standard = |interface: &str| format!("org.freedesktop.DBus.{interface}");
    let properties = |member, signature, words: &[&str]| {
        let mut body = Vec::new();
        for word in words {
            body.resize(body.len().next_multiple_of(4), 0);
            body.extend(string(word));
        }
        Call::new(to, OBJECT, &standard("Properties"), member, signature, &body)
    };
    let tokens = ours("Tokens");
    match member {
        "ping" => Call::new(to, OBJECT, &standard("Peer"), "Ping", "", &[]),
        "introspect" => Call::new(to, OBJECT, &standard("Introspectable"), "Introspect", "", &[]),
        "get" => properties("Get", "ss", &[&tokens, "Generation"]),
        "getall" => properties("GetAll", "s", &[&tokens]),
        "reject" => Call::new(to, OBJECT, &tokens, "RejectAccessToken", "t", &1_u64.to_le_bytes()),
        "code" => Call::new(to, OBJECT, &ours("Pairing"), "GetPairingCode", "", &[]),
        // The size of the dictionary, and where its first entry would begin.
        "picture" => Call::new(to, OBJECT, &ours("Pairing"), "GetQrCode", "a{sv}", &[0; 8]),
        _ => Call::new(to, OBJECT, &tokens, "GetAccessToken", "u", &[0; 4]),
    }
}

/// The difference between two numbers of calls is what a call costs: start, pairing and end cancel
/// out.
async fn only(member: &str, count: usize) -> Outcome<()> {
    let world = World::new()?;
    let mut daemon = world.rig.spawn(&world.daemon, world.address())?;
    daemon.wait_ready(LIMIT).await?;
    world.pair(&daemon, &connect(world.address()).await?).await?;
    let (mut client, call) = (Raw::connect(world.address())?, call(NAME, member));
    for _ in 0..count {
        client.call(&call)?;
    }
    // Whatever watches it writes its report when it ends.
    daemon.terminate()?;
    daemon.wait_exit(LIMIT).await?;
    Ok(())
}

async fn measure() -> Outcome<()> {
    let is_root = rustix::process::getuid().is_root();
    let mut world = World::new()?;
    if is_root {
        world.rig.configure(|config| {
            let users = FLOODERS.iter().chain([&VICTIM]).map(|user| user.uid).chain([0]);
            let uids: Vec<String> = users.map(|uid| format!("uid:{uid}")).collect();
            config.set("access", "uploader", &uids[..]);
            config.set("access", "ui", &uids[..]);
        })?;
    }
    let daemon = world.rig.spawn(&world.daemon, world.address())?;
    daemon.wait_ready(LIMIT).await?;
    let connection = connect(world.address()).await?;
    world.pair(&daemon, &connection).await?;
    // Under another uid this program's own directory may be out of reach.
    let directory = tempfile::tempdir()?;
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let program = directory.path().join("bench");
    std::fs::copy(std::env::current_exe()?, &program)?;
    let others = Others::start(&program, directory.path(), world.address())?;

    heading("GetAccessToken of a cached token of 1 kB, beside others", world.bus());
    latency(world.address(), &others)?;
    for clients in [64, 256] {
        burst(world.address(), &others, clients)?;
    }
    if !is_root {
        println!("floods: not measured (needs root, to be several users)");
        return Ok(());
    }
    // Something to draw.
    let replace = HashMap::from([("replace", Variant::from(true))]);
    support::call(
        &connection,
        "org.cameratocloud.Auth1.Pairing",
        "StartPairing",
        &(replace,),
    )
    .await?;
    // Whoever starts processes under other uids may be stopped by a sandbox. The rest is measured
    // all the same.
    if let Err(error) = floods(&program, &world, &others) {
        println!("floods: not measured ({error})");
    }
    Ok(())
}

fn latency(address: &str, others: &Others) -> Outcome<()> {
    let mut client = Raw::connect(address)?;
    let names = others.names();
    let mut calls = vec![call(NAME, "token"), call(NAME, "ping")];
    calls.extend(names.iter().map(|(name, _)| call(name, "token")));
    let mut ratios = vec![[const { Vec::new() }; 2]; calls.len()];
    let mut tokens = Vec::new();
    let mut shuffle = Shuffle(1);
    for run in 0..=RUNS {
        let mut took = vec![Vec::with_capacity(CALLS); calls.len()];
        for _ in 0..CALLS {
            for kind in shuffle.order(calls.len()) {
                took[kind].push(time(&mut client, &calls[kind])?);
            }
        }
        // The first warms up.
        if run == 0 {
            continue;
        }
        for (ratios, times) in ratios.iter_mut().zip(&took) {
            for (ratios, percent) in ratios.iter_mut().zip([50, 99]) {
                ratios.push(percentile(&took[0], percent) / percentile(times, percent));
            }
        }
        tokens.push(percentile(&took[0], 50));
    }
    println!("(token p50 {:.0} us, {})", median(tokens.clone()), range(&tokens));
    let names = [("Ping to the same daemon", 1.2)].into_iter();
    let names = names.chain(others.names().into_iter().map(|(_, word)| (word, 1.25)));
    for ((name, target), [p50, p99]) in names.zip(ratios.split_off(1)) {
        figure(
            &format!("token p50 / {name}"),
            median(p50.clone()),
            "",
            target,
            &range(&p50),
        );
        figure(
            &format!("token p99 / {name}"),
            median(p99.clone()),
            "",
            1.5,
            &range(&p99),
        );
    }
    Ok(())
}

/// The time until each of so many clients that call at once has its answers, new connections
/// included in neither.
fn burst(address: &str, others: &Others, clients: usize) -> Outcome<()> {
    let mut connected = Vec::new();
    for _ in 0..clients {
        connected.push(Raw::connect(address)?);
    }
    let mut all_at_once = |name: &str| -> Outcome<f64> {
        let call = call(name, "token");
        let start = Instant::now();
        for _ in 0..CALLS_OF_A_CLIENT {
            for client in &mut connected {
                client.send(&call)?;
            }
            for client in &mut connected {
                client.answer()?;
            }
        }
        Ok(micros(start.elapsed()))
    };
    let names: Vec<&str> = [NAME]
        .into_iter()
        .chain(others.names().iter().map(|(name, _)| *name))
        .collect();
    let mut ratios = vec![Vec::new(); names.len()];
    let mut shuffle = Shuffle(2);
    for run in 0..=RUNS {
        let mut took = vec![0.0; names.len()];
        for kind in shuffle.order(names.len()) {
            took[kind] = all_at_once(names[kind])?;
        }
        for (ratios, time) in ratios.iter_mut().zip(&took).filter(|_| run > 0) {
            ratios.push(took[0] / time);
        }
    }
    for ((_, word), ratios) in others.names().iter().zip(&ratios[1..]) {
        let name = format!("burst of {clients} clients, time / {word}");
        figure(&name, median(ratios.clone()), "", 1.5, &range(ratios));
    }
    Ok(())
}

/// The tail latency of another uid's token while each member is flooded, against idle.
fn floods(program: &Path, world: &World, others: &Others) -> Outcome<()> {
    let child = |user: User, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::piped());
        user.apply(&mut command);
        command.spawn().map(Ended)
    };
    let report = |name: &str, word: &str, member: &str, users: &[User]| -> Outcome<()> {
        let mut ratios = [const { Vec::new() }; 2];
        for _ in 0..FLOODS {
            let idle = child(VICTIM, &["--victim", world.address(), name])?.numbers()?;
            let mut floods = Vec::new();
            for user in users {
                let mut flood = child(*user, &["--flood", world.address(), name, member])?;
                flood.line()?;
                floods.push(flood);
            }
            let busy = child(VICTIM, &["--victim", world.address(), name])?.numbers()?;
            for ((ratios, busy), idle) in ratios.iter_mut().zip(busy).zip(idle) {
                ratios.push(busy / idle);
            }
        }
        for (percent, ratios) in [50, 99].iter().zip(ratios) {
            let label = format!("p{percent} of another uid, flood of {member} x{}, {word}", users.len());
            figure(&label, median(ratios.clone()), "", 3.0, &range(&ratios));
        }
        Ok(())
    };
    for member in ["token", "ping", "get", "getall", "introspect"] {
        report(NAME, "daemon", member, &FLOODERS[..1])?;
        for (name, word) in others.names() {
            report(name, word, member, &FLOODERS[..1])?;
        }
        report(NAME, "daemon", member, &FLOODERS)?;
    }
    for member in ["reject", "code", "picture"] {
        report(NAME, "daemon", member, &FLOODERS[..1])?;
    }
    Ok(())
}

fn flood(address: &str, to: &str, member: &str) -> Outcome<()> {
    let (mut client, call) = (Raw::connect(address)?, call(to, member));
    for _ in 0..OPEN {
        client.send(&call)?;
    }
    tell(STARTED)?;
    // A refusal is no reason for a flood to end. The end of the bus, or of this process, is.
    loop {
        client.answer()?;
        client.send(&call)?;
    }
}

/// Tells the p50 and the p99 of tokens, in microseconds.
fn victim(address: &str, to: &str) -> Outcome<()> {
    let (mut client, call) = (Raw::connect(address)?, call(to, "token"));
    let mut times = Vec::new();
    for _ in 0..CALLS_IN_A_FLOOD {
        std::thread::sleep(EVERY);
        times.push(time(&mut client, &call)?);
    }
    tell(&format!("{} {}", percentile(&times, 50), percentile(&times, 99)))
}

/// In microseconds.
fn time(client: &mut Raw, call: &Call) -> Outcome<f64> {
    let start = Instant::now();
    if client.call(call)? == Answer::Error {
        return Err("a call that is measured was refused".into());
    }
    Ok(micros(start.elapsed()))
}

/// An order of calls that has no rhythm, and is the same in each bench: xorshift.
struct Shuffle(u64);

impl Shuffle {
    fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_cached_key(|_| {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        });
        order
    }
}

fn percentile(times: &[f64], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
