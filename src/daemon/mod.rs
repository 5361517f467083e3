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
//! | `start`, `boot`, `reload` | configuration, secrets and store, once and again |
//! | `effects`, `authorize`, `in_flight`, `store_thread`, `inhibit` | effects carried out |
//! | `run` | the loop |
//!
//! Boot order: arguments, signal handlers, logging, own memory made safe, configuration, secrets,
//! store, core, bus (objects, then the name), listeners, READY, loop. Whatever is slow comes later:
//! the system's roots of trust are read with the first connection.

pub(crate) mod args;
mod authorize;
pub(crate) mod boot;
mod dropped;
pub(crate) mod effects;
mod entry;
pub(crate) mod exit;
pub(crate) mod in_flight;
pub(crate) mod inhibit;
pub(crate) mod reload;
pub(crate) mod run;
mod start;
pub(crate) mod store_thread;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::config::System;
use crate::messages::contract::BusAddress;
use crate::messages::journal::{self, Entry, Priority};
use crate::system::environment::Environment;
use crate::system::notify::Notifier;
use crate::system::signals::Signals;
use crate::system::{harden, log};
use args::{Action, Args};
use exit::{Code, StartError};
use reload::Source;

/// Runs c2c-authd with the process's arguments until it ends.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::parse(std::env::args_os().skip(1)) {
        Ok(args) => args,
        Err(error) => return report_failure(&error.into()),
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
            Err(failure) => report_failure(&failure),
        },
        Action::Serve => serve(args.bus, source),
    }
}

/// Looks at everything that a start reads, so that a start that would end with 78 is refused here.
fn check_config(source: &Source) -> Result<String, StartError> {
    let config = source.read()?;
    let environment = Environment::of_process();
    let mut unseen = boot::rehearse(&config, &environment)?;
    if environment.credentials.is_none() {
        unseen.push("credentials, which systemd hands to the daemon alone; see c2c-authctl check".to_owned());
    }
    if boot::directories(&config, &environment).is_err() {
        unseen.push("the state directory, which systemd makes".to_owned());
    }
    if rustix::process::geteuid().is_root() {
        unseen.push("what the user c2c-authd may read; runuser -u c2c-authd -- c2c-authd --check-config".to_owned());
    }
    let mut text = config.check();
    for what in unseen {
        text.extend(["not looked at: ", &what, "\n"]);
    }
    Ok(text)
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => Code::Io.into(),
    }
}

fn report_failure(failure: &StartError) -> ExitCode {
    let _ = writeln!(io::stderr(), "c2c-authd: {}", failure.sentence());
    failure.code().into()
}

fn serve(bus: BusAddress, source: Source) -> ExitCode {
    // First: a signal without a handler ends the process, and a service manager takes the end by
    // SIGHUP for a clean one.
    let listening = listen();
    log::init();
    harden::die_on_panic("c2c-authd");
    harden::protect_memory(|complaint| tracing::warn!("{complaint}"));
    let notifier = Notifier::from_environment();
    let (ended, mut notifier) = match listening {
        Ok((runtime, signals)) => block_on(runtime, signals, bus, source, notifier),
        Err(failure) => (Err(failure), notifier),
    };
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

fn listen() -> Result<(Runtime, Signals), StartError> {
    // One thread: the loop owns the core by value, and a getter of the bus never runs in the middle
    // of a change.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        // Name lookups. One that the resolver leaves hanging keeps its thread long after nobody
        // waits for it.
        .max_blocking_threads(16)
        .build()
        .map_err(|error| StartError::Missing("runtime", error))?;
    let signals = {
        let _inside = runtime.enter();
        Signals::listen().map_err(|error| StartError::Missing("signal handlers", error))?
    };
    Ok((runtime, signals))
}

fn block_on(
    runtime: Runtime,
    signals: Signals,
    bus: BusAddress,
    source: Source,
    mut notifier: Notifier,
) -> (Result<(), StartError>, Notifier) {
    // A task of its own: waking the future that `block_on` polls costs a system call for each call
    // from the bus.
    let life = runtime.spawn(async move {
        let ended = Box::pin(start::run(bus, source, signals, &mut notifier)).await;
        (ended, notifier)
    });
    let ended = runtime
        .block_on(life)
        .unwrap_or_else(|error| (Err(StartError::LoopDropped(error)), Notifier::from_environment()));
    // A lookup or a read that hangs must not hold up the end. What had to be written is written:
    // the drain waited for it.
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended
}
