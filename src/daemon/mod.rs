//! The shell around the core: boot order, the one loop, and everything the loop needs from the
//! kernel and from systemd.
//!
//! Knows every part but `ctl`. Only `ctl` (and the binary) knows it. Must never: decide anything
//! about pairings or tokens (the core does), wait for the network before READY, hold a lock.
//!
//! | file | what |
//! |---|---|
//! | `args`, `exit`, `entry` | the process's edges |
//! | `status` | what the service manager shows |
//! | `boot`, `reload` | configuration, secrets and store, once and again |
//! | `effects`, `authorize`, `in_flight`, `store_thread`, `inhibit` | effects carried out |
//! | `run` | the loop |
//!
//! Boot order: arguments, logging, own memory made safe, configuration, secrets, store, core,
//! listeners, bus (objects, then the name), READY, loop. Whatever is slow comes later: the system's
//! roots of trust are read with the first connection.

pub(crate) mod args;
mod authorize;
pub(crate) mod boot;
pub(crate) mod effects;
mod entry;
pub(crate) mod exit;
pub(crate) mod in_flight;
pub(crate) mod inhibit;
pub(crate) mod reload;
pub(crate) mod run;
pub(crate) mod store_thread;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::bus::{self, Wiring};
use crate::config::System;
use crate::discovery::Client;
use crate::messages::contract::BusAddress;
use crate::messages::journal::{self, Entry, Priority};
use crate::system::clock::Clock;
use crate::system::environment::Environment;
use crate::system::events::{Sources, SystemEvents};
use crate::system::notify::{Notifier, Watchdog};
use crate::system::signals::Signals;
use crate::system::timer::{ClockStepWatch, Deadline};
use crate::system::{clock, harden, log, netlink};
use crate::transport::{FloorClock, TlsSettings};
use args::{Action, Args};
use c2c_auth_core::{Core, Effects};
use effects::EffectRunner;
use exit::{Code, StartError};
use reload::Source;
use run::{Daemon, Settings};
use tokio::sync::{mpsc, watch};

/// Runs c2c-authd with the process's arguments until it ends.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::parse(std::env::args_os().skip(1)) {
        Ok(args) => args,
        Err(error) => return complain(&error.into()),
    };
    let source = Source {
        file: args.config,
        system: System::host(),
    };
    match args.action {
        Action::Help => print(args::HELP),
        Action::Version => print(&format!("c2c-authd {}\n", env!("CARGO_PKG_VERSION"))),
        Action::CheckConfig => match check_config(&source) {
            Ok(text) => print(&text),
            Err(failure) => complain(&failure),
        },
        Action::Serve => serve(&args.bus, source),
    }
}

/// Everything that can be known of a configuration without serving it.
fn check_config(source: &Source) -> Result<String, StartError> {
    let config = source.read()?;
    config.provider_with(None)?;
    Ok(config.check())
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => Code::Io.into(),
    }
}

fn complain(failure: &StartError) -> ExitCode {
    let _ = writeln!(io::stderr(), "c2c-authd: {}", failure.sentence());
    failure.code().into()
}

fn serve(bus: &BusAddress, source: Source) -> ExitCode {
    log::init();
    harden::die_on_panic("c2c-authd");
    harden::protect_memory(|complaint| tracing::warn!("{complaint}"));
    let (ended, mut notifier) = block_on(bus.clone(), source);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let sentence = failure.sentence();
            entry::write(&Entry::new(Priority::Error, journal::FAILED, &sentence));
            // Stays visible in `systemctl status` after the end.
            notifier.status(&sentence);
            failure.code().into()
        }
    }
}

fn block_on(bus: BusAddress, source: Source) -> (Result<(), StartError>, Notifier) {
    let mut notifier = Notifier::from_environment();
    // One thread: the loop owns the core by value, and a getter of the bus never runs in the middle
    // of a change.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        // Name lookups. One that the resolver leaves hanging keeps its thread long after nobody
        // waits for it.
        .max_blocking_threads(16)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return (Err(StartError::Missing("runtime", error)), notifier),
    };
    // A task of its own: waking the future that `block_on` polls costs a system call for each call
    // from the bus.
    let life = runtime.spawn(async move {
        let ended = Box::pin(async { boot(&bus, source).await?.run(&mut notifier).await }).await;
        (ended, notifier)
    });
    let ended = runtime
        .block_on(life)
        .unwrap_or_else(|error| (Err(StartError::LoopDropped(error)), Notifier::from_environment()));
    // A name lookup that hangs must not hold up the end. What had to be written is written: the
    // drain waited for it.
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended
}

/// From the command line to a daemon that can serve.
async fn boot(address: &BusAddress, source: Source) -> Result<Daemon, StartError> {
    let config = source.read()?;
    for warning in &config.warnings {
        boot::advise(warning);
    }
    let environment = Environment::of_process();
    let directories = boot::directories(&config, &environment)?;
    let provisioned = boot::provision(&config, &environment, &directories.state)?;
    let provisioning = boot::provisioning(&config, &provisioned);
    let provider = config.provider_with(provisioned.client_secret)?;

    let boot_id = clock::boot_id(Path::new(clock::KERNEL_BOOT_ID), directories.runtime.as_deref());
    let (store, stored) = boot::open_store(&config, &provider, provisioned.state_key, directories, boot_id)?;
    let mut clock = Clock::new(boot::stored_floor(&stored));
    let floor = Arc::new(FloorClock::new(clock.floor()));
    let tls = TlsSettings {
        ca_file: config.tls.ca_file.clone(),
        clock: Arc::clone(&floor),
    };
    let client = Client::new(Arc::new(provider), tls)?;

    let mut effects = Effects::new();
    let now = clock.now();
    floor.set(clock.floor(), now.wall.is_some());
    let core = Core::boot(config.policy(), provisioning, boot_id, stored, now, &mut effects);

    let (deadline, sources) = open_sources()?;
    let (access, who) = watch::channel(Arc::new(boot::access(&config)));
    let (sender, calls) = mpsc::channel(bus::CALL_QUEUE);
    let snapshot = core.snapshot().clone();
    let state = snapshot.pairing;
    let wiring = Wiring {
        access: who,
        calls: sender.clone(),
        redirects: authorize::reader(client.clone()),
    };
    let bus = bus::serve(address, boot::facts(&config), wiring, snapshot).await?;
    let system_events = SystemEvents::open(sources, Box::pin(bus.closed()));
    let store_thread = effects::store_thread(store).map_err(StartError::StoreThread)?;
    Ok(Daemon {
        core,
        effects,
        clock,
        floor,
        runner: EffectRunner::new(client, bus, store_thread, state, sender),
        calls,
        deadline,
        system_events,
        settings: Settings {
            config,
            source,
            access,
            refusal: None,
        },
        watchdog: Watchdog::from_environment(),
    })
}

/// Opens the kernel's event sources. Without its timer the daemon cannot work. Without the rest it
/// works less well.
fn open_sources() -> Result<(Deadline, Sources), StartError> {
    let deadline = Deadline::new().map_err(|error| StartError::Missing("timer on CLOCK_BOOTTIME", error))?;
    let sources = Sources {
        steps: lesser("steps of the clock go unnoticed", ClockStepWatch::new()),
        network: lesser(
            "the return of the network goes unnoticed until the next retry",
            netlink::listen(),
        ),
        signals: Signals::listen().map_err(|error| StartError::Missing("signal handlers", error))?,
    };
    Ok((deadline, sources))
}

fn lesser<T>(loss: &str, sense: io::Result<T>) -> Option<T> {
    sense.inspect_err(|error| boot::advise(format!("{loss}: {error}"))).ok()
}
