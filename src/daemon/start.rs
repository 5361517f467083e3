//! The start: from the command line to a loop that runs, or to the reason why it cannot.
//!
//! Owns the order of the steps and the one wait that SIGTERM can end at any of them. Must never:
//! block the loop's thread with a step that reads files or asks for names, take a SIGHUP away from
//! the loop, which reloads once it runs.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::effects::{self, EffectRunner};
use super::exit::StartError;
use super::reload::{READ_LIMIT, Reload, Source};
use super::run::{Daemon, Settings};
use super::{authorize, boot, entry};
use crate::bus::{self, Wiring};
use crate::config::Config;
use crate::discovery::Client;
use crate::messages::contract::BusAddress;
use crate::messages::journal::{self, Entry, Priority};
use crate::store::Store;
use crate::system::clock::{self, Clock};
use crate::system::environment::Environment;
use crate::system::events::{Sources, SystemEvents};
use crate::system::netlink;
use crate::system::notify::{Notifier, Watchdog};
use crate::system::signals::Signals;
use crate::system::timer::{ClockStepWatch, Deadline};
use crate::transport::{FloorClock, TlsSettings};
use c2c_auth_core::{Core, Effects};

/// Lives until there is a reason to end.
///
/// # Errors
/// Why the daemon cannot start, or ended although nobody asked it to.
pub(super) async fn run(
    bus: BusAddress,
    source: Source,
    mut signals: Signals,
    notifier: &mut Notifier,
) -> Result<(), StartError> {
    let daemon = tokio::select! {
        biased;
        () = signals.terminated() => {
            notifier.stopping();
            entry::write(&Entry::new(Priority::Info, journal::STOPPING, "Stopping, before the start was done."));
            return Ok(());
        }
        started = start(&bus, source) => started?,
    };
    daemon(signals)?.run(notifier).await
}

/// Does everything that may take its time. The function that it returns takes none.
async fn start(
    address: &BusAddress,
    source: Source,
) -> Result<impl FnOnce(Signals) -> Result<Daemon, StartError>, StartError> {
    let reader = source.clone();
    let config = timeout(READ_LIMIT, off_the_loop(move || reader.read()))
        .await
        .map_err(|_| StartError::ConfigHangs)???;
    for warning in &config.warnings {
        boot::warn(warning);
    }
    let Prepared {
        config,
        client,
        store,
        core,
        effects,
        clock,
        floor,
    } = off_the_loop(move || prepare(config)).await??;

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
    Ok(move |signals| {
        let (deadline, sources) = open_sources(signals)?;
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
                reload: Reload::default(),
                refusal: None,
            },
            watchdog: Watchdog::from_environment(),
        })
    })
}

/// A step that may hang: at a file system, or at whatever knows the names of users and groups.
async fn off_the_loop<T: Send + 'static>(step: impl FnOnce() -> T + Send + 'static) -> Result<T, StartError> {
    spawn_blocking(step).await.map_err(StartError::LoopDropped)
}

/// The result of reading configuration, secrets and disk.
struct Prepared {
    config: Config,
    client: Client,
    store: Store,
    core: Core,
    effects: Effects,
    clock: Clock,
    floor: Arc<FloorClock>,
}

fn prepare(config: Config) -> Result<Prepared, StartError> {
    let environment = Environment::of_process();
    let directories = boot::directories(&config, &environment)?;
    let provisioned = boot::provision(&config, &environment, &directories.state)?;
    let provisioning = boot::provisioning(&config, &provisioned);
    let provider = config.provider_with(provisioned.client_secret)?;

    let this_boot = clock::boot(Path::new(clock::KERNEL_BOOT_ID), directories.runtime.as_deref());
    let (store, stored) = boot::open_store(&config, &provider, provisioned.state_key, directories, this_boot.id)?;
    let mut clock = Clock::new(boot::stored_floor(&stored));
    let floor = Arc::new(FloorClock::new(clock.floor()));
    let tls = TlsSettings {
        ca_file: config.tls.ca_file.clone(),
        clock: Arc::clone(&floor),
        ways: boot::ways(&config)?,
    };
    let client = Client::new(Arc::new(provider), tls)?;

    let mut effects = Effects::new();
    let now = clock.now();
    floor.set(clock.floor(), now.wall.is_some());
    let core = Core::boot(config.policy(), provisioning, this_boot, stored, now, &mut effects);
    Ok(Prepared {
        config,
        client,
        store,
        core,
        effects,
        clock,
        floor,
    })
}

/// Opens the kernel's event sources. Without its timer the daemon cannot work. Without the rest it
/// works less well.
fn open_sources(signals: Signals) -> Result<(Deadline, Sources), StartError> {
    let deadline = Deadline::new().map_err(|error| StartError::Missing("timer on CLOCK_BOOTTIME", error))?;
    let sources = Sources {
        steps: lesser("steps of the clock go unnoticed", ClockStepWatch::new()),
        network: lesser(
            "the return of the network goes unnoticed until the next retry",
            netlink::listen(),
        ),
        signals,
    };
    Ok((deadline, sources))
}

fn lesser<T>(loss: &str, sense: io::Result<T>) -> Option<T> {
    sense.inspect_err(|error| boot::warn(format!("{loss}: {error}"))).ok()
}
