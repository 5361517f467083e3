//! The one loop: everything that can happen, one at a time, through the core and out as effects.
//!
//! Owns the core by value. An iteration: one input, the clocks read, the core asked, its effects
//! carried out, the timer moved if the deadline moved, the watchdog fed, STATUS told if its
//! sentence changed. While paired and idle the process wakes for nothing but the core's deadline
//! and the watchdog.

use std::future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::boot;
use super::effects::{Done, EffectRunner};
use super::entry;
use super::exit::{BUS_LOST, StartError};
use super::reload::{Reload, Source};
use crate::bus::{Access, Call};
use crate::config::Config;
use crate::messages::journal::{self, Entry, Priority};
use crate::messages::{self, status};
use crate::system::clock::Clock;
use crate::system::events::{SystemEvent, SystemEvents};
use crate::system::notify::{EXTEND_BY, Notifier, Watchdog};
use crate::system::signals::SignalRequest;
use crate::system::timer::Deadline;
use crate::transport::{FloorClock, LONGEST};
use c2c_auth_core::{Core, Effects, Event, WallTime};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// How long the end may take. What is out has its own limit: the longest is an exchange or a poll
/// that has no connection yet when the end begins (a refresh has one). What it brings has to be
/// stored, and a disk that takes longer than the rest will not take it at all.
const DRAIN_LIMIT: Duration = LONGEST.saturating_add(Duration::from_secs(10));

/// The configuration in force, and how another comes to be.
#[derive(Debug)]
pub(crate) struct Settings {
    pub config: Config,
    pub source: Source,
    /// The principals of each role, for the bus.
    pub access: watch::Sender<Arc<Access>>,
    pub reload: Reload,
    /// Why the last reload was refused, if it was.
    pub refusal: Option<String>,
}

pub(crate) struct Daemon {
    pub core: Core,
    /// Effects that were not carried out yet: those of the boot.
    pub effects: Effects,
    pub clock: Clock,
    /// The time that certificates are checked at.
    pub floor: Arc<FloorClock>,
    pub runner: EffectRunner,
    pub calls: mpsc::Receiver<Call>,
    /// The core's deadline, or the watchdog's, whichever comes first.
    pub deadline: Deadline,
    pub system_events: SystemEvents,
    pub settings: Settings,
    pub watchdog: Option<Watchdog>,
}

enum Input {
    Event(Event),
    Call(Call),
    Deadline,
    System(SystemEvent),
    /// The configuration was read again, or could not be.
    Reread(Box<Result<Config, String>>),
    ExtendDrain,
    DrainOver,
}

/// The end has begun.
struct Drain {
    because: Option<StartError>,
    over: Instant,
    extend: Instant,
}

impl Daemon {
    /// Runs until there is a reason to end, then finishes what must be finished.
    ///
    /// # Errors
    /// Why the daemon ended although nobody asked it to.
    pub(crate) async fn run(mut self, notifier: &mut Notifier) -> Result<(), StartError> {
        let mut drain: Option<Drain> = None;
        let mut done = self.runner.carry_out(&mut self.effects);
        self.send_status(notifier);
        notifier.ready();
        let started = format!("c2c-authd {} started.", env!("CARGO_PKG_VERSION"));
        let started = Entry::new(Priority::Info, journal::STARTED, started);
        entry::write(&started.in_state(self.core.snapshot().pairing));
        loop {
            if done.published && drain.is_none() {
                self.send_status(notifier);
            }
            if drain.is_some() && done.drained {
                break;
            }
            if let Some(watchdog) = &mut self.watchdog {
                watchdog.progress(self.clock.boot(), notifier);
            }
            let feeding = self.watchdog.as_ref().map(Watchdog::due);
            let wake = self.core.next_deadline().into_iter().chain(feeding).min();
            self.deadline.set(wake).map_err(StartError::Timers)?;
            done = match self.next(drain.as_ref()).await.map_err(StartError::Timers)? {
                Input::Event(event) => self.step_with_date(event),
                Input::Call(call) => {
                    let (id, command) = self.runner.admit(call);
                    self.step(Event::Call(id, command))
                }
                Input::Deadline => self.tick(),
                Input::System(SystemEvent::ClockStepped) => {
                    tracing::debug!("the system clock was stepped");
                    self.clock.stepped();
                    self.runner.handle_clock_step();
                    self.step(Event::ClockStepped)
                }
                Input::System(SystemEvent::NetworkUp) => self.step(Event::NetworkUp),
                Input::System(SystemEvent::Signal(SignalRequest::Terminate)) if drain.is_none() => {
                    self.end(&mut drain, None, notifier)
                }
                Input::System(SystemEvent::Signal(SignalRequest::Reload)) if drain.is_none() => {
                    notifier.reloading();
                    self.settings.reload.start(&self.settings.source, &self.settings.config);
                    Done::default()
                }
                Input::Reread(read) if drain.is_none() => self.reload(*read, notifier),
                // Nothing hurries a drain, and there is nothing left to configure.
                Input::System(SystemEvent::Signal(_)) | Input::Reread(_) => Done::default(),
                Input::System(SystemEvent::BusClosed) => {
                    entry::write(&Entry::new(Priority::Error, journal::BUS_LOST, BUS_LOST));
                    match &mut drain {
                        Some(_) => Done::default(),
                        None => self.end(&mut drain, Some(StartError::BusLost), notifier),
                    }
                }
                Input::ExtendDrain => {
                    notifier.extend();
                    if let Some(drain) = &mut drain {
                        drain.extend += EXTEND_BY / 3;
                    }
                    Done::default()
                }
                Input::DrainOver => {
                    let sentence = if self.core.is_unsaved() {
                        "Ending although the state directory did not take the last record, tried every 2 s. The next \
                         start finds it in the runtime directory, unless the power is cut before."
                    } else {
                        "Ending with work unfinished: it took too long. The next start takes it up."
                    };
                    entry::write(&Entry::new(Priority::Warning, journal::DRAIN_CUT, sentence));
                    break;
                }
            };
        }
        // They hold on to the connection that is about to be closed.
        drop(self.system_events);
        self.runner.leave().await;
        drain.and_then(|drain| drain.because).map_or(Ok(()), Err)
    }

    async fn next(&mut self, drain: Option<&Drain>) -> io::Result<Input> {
        // Each of these is cancel safe: what is not taken now is there the next time. Calls come
        // last, so that no number of them keeps the rest waiting.
        tokio::select! {
            biased;
            event = self.runner.next() => Ok(Input::Event(event)),
            event = self.system_events.next() => event.map(Input::System),
            expired = self.deadline.expired() => expired.map(|()| Input::Deadline),
            read = self.settings.reload.finished() => Ok(Input::Reread(Box::new(read))),
            () = at(drain.map(|drain| drain.extend)) => Ok(Input::ExtendDrain),
            () = at(drain.map(|drain| drain.over)) => Ok(Input::DrainOver),
            Some(call) = self.calls.recv() => Ok(Input::Call(call)),
        }
    }

    fn step(&mut self, event: Event) -> Done {
        let now = self.clock.now();
        // A handshake decides by this if a certificate's dates count, and it may run long after
        // this step.
        self.floor.set(self.clock.floor(), now.wall.is_some());
        self.core.handle(now, event, &mut self.effects);
        self.runner.carry_out(&mut self.effects)
    }

    /// The timer is the core's and the watchdog's. The core hears of it only when its own deadline
    /// has come.
    fn tick(&mut self) -> Done {
        let now = self.clock.boot();
        if self.core.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.step(Event::Tick)
        } else {
            Done::default()
        }
    }

    /// An answer's `Date` first settles what the wall clock is worth, so that the answer is judged
    /// by it.
    fn step_with_date(&mut self, event: Event) -> Done {
        let before = match event {
            Event::Answered { date: Some(date), .. } if self.trust_changes(date) => self.step(Event::ClockStepped),
            _ => Done::default(),
        };
        let after = self.step(event);
        self.runner.explain_rest();
        Done {
            published: before.published || after.published,
            drained: before.drained || after.drained,
        }
    }

    fn trust_changes(&mut self, date: WallTime) -> bool {
        self.clock
            .date(date, self.settings.config.policy().refresh_token_life)
            .trust_changed
    }

    fn end(&mut self, drain: &mut Option<Drain>, because: Option<StartError>, notifier: &mut Notifier) -> Done {
        let now = Instant::now();
        notifier.stopping();
        notifier.status("Stopping, once what must not be cut is finished.");
        notifier.extend();
        let stopping = Entry::new(Priority::Info, journal::STOPPING, "Stopping.");
        entry::write(&stopping.in_state(self.core.snapshot().pairing));
        *drain = Some(Drain {
            because,
            over: now + DRAIN_LIMIT,
            extend: now + EXTEND_BY / 3,
        });
        self.runner.shut_down();
        self.step(Event::Shutdown)
    }

    fn reload(&mut self, read: Result<Config, String>, notifier: &mut Notifier) -> Done {
        let settings = &mut self.settings;
        if settings.reload.is_wanted_again() {
            settings.reload.start(&settings.source, &settings.config);
            return Done::default();
        }
        let done = match read {
            Ok(new) => {
                settings.refusal = None;
                settings.access.send_replace(Arc::new(boot::access(&new)));
                let policy = (new.policy() != settings.config.policy()).then(|| new.policy());
                settings.config = new;
                for warning in &settings.config.warnings {
                    boot::warn(warning);
                }
                let reloaded = "The configuration was read again and is in force.";
                entry::write(&Entry::new(Priority::Info, journal::RELOADED, reloaded));
                policy.map_or_else(Done::default, |policy| self.step(Event::PolicyChanged(policy)))
            }
            Err(why) => {
                let sentence = format!("{}{why}", messages::RELOAD_REFUSED);
                entry::write(&Entry::new(Priority::Warning, journal::RELOAD_REFUSED, &sentence));
                settings.refusal = Some(sentence);
                Done::default()
            }
        };
        self.send_status(notifier);
        notifier.ready();
        done
    }

    fn send_status(&self, notifier: &mut Notifier) {
        let mut sentence = status::sentence(self.core.snapshot());
        if let Some(refusal) = &self.settings.refusal {
            sentence.push(' ');
            sentence.push_str(refusal);
        }
        notifier.status(&sentence);
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => future::pending().await,
    }
}
