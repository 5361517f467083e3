//! `pair`: shows codes until the device is paired.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};
use zbus::{Connection, DBusError as _};

use super::connect::{News, Subscription, next};
use super::exit::{Exit, Failure, is_unanswered, word_of};
use super::output::{note, one_line, print};
use crate::messages;
use crate::messages::contract::{ErrorName, PAIRING};

use c2c_auth_client::proxy::{self, Answer, DeviceProxy, Options, PairingProxy};
use c2c_auth_core::{PairingState, Reason};
use code::Code;
use screen::Screen;
pub(super) use terminal::Terminal;

mod code;
mod screen;
mod terminal;

/// True if a flow is under way in this state.
pub(super) fn is_running(state: &str) -> bool {
    matches!(
        PairingState::from_word(state),
        Some(PairingState::RequestingCode | PairingState::AwaitingUser)
    )
}

/// The reaction of a waiting `pair` to a change of state.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Go on waiting, and print this unless it is empty.
    Wait(String),
    Show,
    Paired,
    Over(Exit),
}

fn step(state: &str, reason: &str) -> Step {
    match PairingState::from_word(state) {
        Some(PairingState::RequestingCode) => match Reason::from_word(reason) {
            Some(Reason::CodeExpired) => Step::Wait("The code expired; asking for a new one.".to_owned()),
            Some(Reason::None) | None => Step::Wait(String::new()),
            Some(reason) => Step::Wait(messages::capital(messages::reason(reason).what) + "."),
        },
        Some(PairingState::AwaitingUser) => Step::Show,
        Some(PairingState::Paired) => Step::Paired,
        Some(PairingState::Unprovisioned) => Step::Over(Exit::NotProvisioned),
        Some(PairingState::Unpaired) if reason == Reason::ClientRejected.word() => Step::Over(Exit::NotProvisioned),
        Some(PairingState::Unpaired) => Step::Over(Exit::Failed),
        // A state of a newer daemon.
        None => Step::Wait(String::new()),
    }
}

fn ending(exit: Exit, reason: &str) -> Failure {
    match Reason::from_word(reason).filter(|reason| *reason != Reason::None) {
        Some(reason) => {
            let messages::Words { what, cure } = messages::flow_end(reason);
            Failure::new(exit, format!("{what}. {cure}."))
        }
        None => Failure::new(exit, "pairing failed; see: c2c-authctl status"),
    }
}

/// A replacement that came to nothing ends in the pairing that was there before.
fn still_paired() -> Failure {
    Failure::failed("pairing failed; the device is still paired as before")
}

fn success(project: &str) -> String {
    if project.is_empty() {
        "Paired.\n".to_owned()
    } else {
        format!("Paired with {}.\n", one_line(project))
    }
}

/// The state of the flow after an error of the call that starts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// Nothing was begun. What may run is another's.
    Refused,
    Over,
    /// It goes on and has nothing to show yet, or the daemon is about to end: the daemon's state
    /// tells.
    GoesOn,
}

fn start(error: &zbus::Error) -> Start {
    use ErrorName as K;
    let name = match error {
        zbus::Error::MethodError(name, ..) => name.as_str().to_owned(),
        zbus::Error::FDO(known) => known.name().to_string(),
        // The connection itself.
        _ => return Start::Refused,
    };
    match ErrorName::from_name(&name) {
        Some(K::AccessDenied | K::InvalidArgs | K::LimitsExceeded | K::NotProvisioned | K::AlreadyPaired) => {
            Start::Refused
        }
        Some(K::NoPairing | K::NotPaired | K::ClientRejected) => Start::Over,
        // Something passes by itself, or has to be fixed on the device: the daemon keeps trying
        // until then.
        Some(
            K::Timeout
            | K::Offline
            | K::ClockNotSet
            | K::ServerError
            | K::StorageFailed
            | K::AddressInUse
            | K::NotSupported
            | K::Failed,
        ) => Start::GoesOn,
        // The bus's own: there is no daemon, or it went away with the question.
        None => Start::Refused,
    }
}

/// Pairs, and returns when that is done or has failed.
pub(super) async fn pair(connection: &Connection, replace: bool) -> Result<Exit, Failure> {
    // The daemon's state is asked for when it matters, not remembered.
    let pairing = proxy::pairing(connection).await?;
    let tokens = proxy::tokens(connection).await?;
    let mut news = Subscription::new(connection, PAIRING, "PairingStateChanged").await?;
    let mut interrupted = Interrupted::new()?;
    let joined = is_running(&pairing.pairing_state().await?);
    let before = tokens.generation().await?;

    let mut options = Options::new();
    if replace {
        options.insert("replace", true.into());
    }
    note(if joined {
        "A pairing is in progress already; this is its code."
    } else {
        "Asking the server for a code."
    });
    let mut screen = Screen::new(pairing.clone());
    let watched = async {
        let screen = &mut screen;
        let mut starting = Box::pin(start_flow(&pairing, options));
        let mut started = false;
        loop {
            let (state, reason): (String, String) = tokio::select! {
                // Whatever the daemon tells after its answer is read after it.
                biased;
                answer = &mut starting, if !started => {
                    started = true;
                    match answer {
                        Ok(answer) => screen.show(Code::from_answer(&answer)?).await?,
                        Err(error) => {
                            screen.take_back();
                            if let Err(failure) = not_begun(&pairing, &error, joined).await {
                                return Ok(Err(failure));
                            }
                        }
                    }
                    continue;
                }
                news = news.next() => match news.ok_or_else(lost)? {
                    News::Signal(signal) => signal.body().deserialize()?,
                    // Then the call ends too, and says more.
                    News::Gone | News::Back if !started => continue,
                    News::Gone => {
                        screen.say("c2c-authd left the bus; waiting for it to come back.");
                        continue;
                    }
                    News::Back => (
                        ask(|| pairing.pairing_state()).await?,
                        ask(|| pairing.pairing_reason()).await?,
                    ),
                },
                _ = screen.clock.tick() => {
                    screen.count_down();
                    continue;
                }
            };
            // An end before the answer is what the answer tells.
            if !started && matches!(step(&state, &reason), Step::Paired | Step::Over(_)) {
                continue;
            }
            if let Some(verdict) = follow(connection, screen, &state, &reason, before).await? {
                return Ok(verdict);
            }
        }
    };
    let watched = tokio::select! {
        watched = watched => Some(watched),
        () = interrupted.wait() => None,
    };
    match watched {
        Some(Ok(verdict)) => verdict,
        Some(Err(failure)) => Err(give_up(&pairing, joined, failure).await),
        None => {
            screen.take_back();
            stop(&pairing, joined).await
        }
    }
}

/// Starts a flow. A daemon that admits it in a few seconds, because another one was just ended, is
/// asked again then.
async fn start_flow(pairing: &PairingProxy<'_>, options: Options<'_>) -> zbus::Result<Answer> {
    // Codes are 5 s apart. The other limit is one of hours.
    const PATIENCE: Duration = Duration::from_secs(10);
    let started = pairing.start_pairing(options.clone()).await;
    let wait = match &started {
        Err(zbus::Error::FDO(known)) => match known.as_ref() {
            zbus::fdo::Error::LimitsExceeded(text) => messages::wait(text),
            _ => None,
        },
        _ => None,
    };
    let Some(wait) = wait.filter(|wait| *wait <= PATIENCE) else {
        return started;
    };
    note(&format!(
        "A pairing was started a moment ago; waiting {} s until the next may be.",
        wait.as_secs()
    ));
    sleep(wait).await;
    pairing.start_pairing(options).await
}

fn lost() -> Failure {
    Failure::new(Exit::Unreachable, "the connection to the bus was lost")
}

/// The call that starts a flow brought no code. `Ok`: the flow goes on all the same.
async fn not_begun(pairing: &PairingProxy<'_>, error: &zbus::Error, joined: bool) -> Result<(), Failure> {
    if word_of(error) == Some("AlreadyPaired") {
        return Err(Failure::failed(
            "the device is already paired; to pair it again, use --replace",
        ));
    }
    let failure = Failure::from(error.clone());
    match start(error) {
        // The bus's words are for programs.
        Start::Over if word_of(error) == Some("NoPairing") => {
            let (state, reason) = (pairing.pairing_state().await?, pairing.pairing_reason().await?);
            Err(match step(&state, &reason) {
                Step::Paired => still_paired(),
                _ => ending(Exit::Failed, &reason),
            })
        }
        Start::Refused | Start::Over => Err(failure),
        Start::GoesOn => match pairing.pairing_state().await {
            Ok(state) if is_running(&state) => {
                let way_out = if joined { "only ends this command" } else { "cancels" };
                note(&format!("{failure}. The device tries again; Ctrl-C {way_out}."));
                Ok(())
            }
            Ok(_) => Err(failure),
            Err(_) => Err(give_up(pairing, joined, failure).await),
        },
    }
}

/// Asks, and asks again where the answer was lost: a daemon that restarts takes calls with it, and
/// the next one answers.
async fn ask<T, F: Future<Output = zbus::Result<T>>>(call: impl Fn() -> F) -> zbus::Result<T> {
    match call().await {
        Err(error) if is_unanswered(&error) => call().await,
        answer => answer,
    }
}

type Verdict = Result<Exit, Failure>;

async fn follow(
    connection: &Connection,
    screen: &mut Screen<'_>,
    state: &str,
    reason: &str,
    before: u64,
) -> Result<Option<Verdict>, Failure> {
    match step(state, reason) {
        Step::Wait(text) => {
            screen.say(&text);
            Ok(None)
        }
        Step::Show => {
            screen.refresh().await?;
            Ok(None)
        }
        Step::Paired => {
            screen.take_back();
            let tokens = proxy::tokens(connection).await?;
            if ask(|| tokens.generation()).await? == before {
                return Ok(Some(Err(still_paired())));
            }
            print(&success(&project_name(connection).await?))?;
            Ok(Some(Ok(Exit::Ok)))
        }
        Step::Over(exit) => {
            screen.take_back();
            Ok(Some(Err(ending(exit, reason))))
        }
    }
}

/// The daemon asks the server for the project once the pairing is safe: worth a moment's wait, no
/// more.
async fn project_name(connection: &Connection) -> Result<String, Failure> {
    const MOMENT: Duration = Duration::from_secs(5);
    let device = DeviceProxy::new(connection).await?;
    let known = async {
        let mut changes = device.receive_project_name_changed().await;
        while device.project_name().await?.is_empty() {
            next(&mut changes).await;
        }
        device.project_name().await
    };
    match timeout(MOMENT, known).await {
        Ok(name) => Ok(name?),
        Err(_) => Ok(String::new()),
    }
}

const HOW_TO_END: &str = "to end it: c2c-authctl cancel";

/// Ends the running flow when this tool leaves, unless somebody else started it. Returns `Err`
/// where the flow goes on although it was started here.
async fn leave(pairing: &PairingProxy<'_>, joined: bool) -> Result<String, Failure> {
    if joined {
        return Ok(format!(
            "The pairing continues, because it was not started here; {HOW_TO_END}"
        ));
    }
    match pairing.cancel_pairing().await {
        Ok(()) => Ok("Cancelled.".to_owned()),
        Err(error) => {
            let Failure { exit, sentence } = error.into();
            Err(Failure::new(
                exit,
                format!("The pairing could not be cancelled ({sentence}) and may continue; {HOW_TO_END}"),
            ))
        }
    }
}

/// Somebody does not want to wait any more.
async fn stop(pairing: &PairingProxy<'_>, joined: bool) -> Result<Exit, Failure> {
    note(&leave(pairing, joined).await?);
    Ok(Exit::Interrupted)
}

async fn give_up(pairing: &PairingProxy<'_>, joined: bool, failure: Failure) -> Failure {
    // A daemon that does not answer may still have a flow.
    let is_over = pairing.pairing_state().await.is_ok_and(|state| !is_running(&state));
    if is_over {
        return failure;
    }
    let left = leave(pairing, joined).await.unwrap_or_else(|failure| failure.sentence);
    Failure::new(
        failure.exit,
        format!("{}. {left}", failure.sentence.trim_end_matches('.')),
    )
}

/// Ctrl-C, or the terminal or the session going away.
pub(super) struct Interrupted([Signal; 3]);

impl Interrupted {
    pub(super) fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::failed(format!("signals: {error}")));
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    pub(super) async fn wait(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests;
