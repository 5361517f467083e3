//! `pair`: shows codes until the device is paired.

use std::future::poll_fn;
use std::io::{self, IsTerminal, Write};
use std::pin::Pin;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};
use zbus::export::futures_core::Stream;
use zbus::{Connection, Variant, fdo};

use super::exit::{Exit, Failure, word_of};
use super::proxy::{
    Answer, DeviceProxy, Options, PairingProxy, PairingStateChanged, PairingStateChangedStream, TokensProxy,
};
use super::{note, print, words};
use crate::core::{PairingState, Reason};

/// Whether a flow is under way in this state.
pub(super) fn is_running(state: &str) -> bool {
    matches!(
        PairingState::from_word(state),
        Some(PairingState::RequestingCode | PairingState::AwaitingUser)
    )
}

/// A code to show. It has no `Debug`: whoever reads it can bind the device to a project of their own.
#[derive(Clone, PartialEq, Eq)]
struct Code {
    id: u64,
    /// `None`: the address is opened in a browser, and there is nothing to type.
    typed: Option<String>,
    uri: String,
    has_complete: bool,
    device_name: String,
    expires_in: Duration,
}

impl Code {
    fn from_answer(answer: &Answer) -> Result<Self, Failure> {
        let text = |key| match answer.get(key).map(|value| &**value) {
            Some(Variant::Str(text)) => Some(text.as_str().to_owned()),
            _ => None,
        };
        let id = match answer.get("code-id").map(|value| &**value) {
            Some(Variant::U64(id)) => Some(*id),
            _ => None,
        };
        let seconds = match answer.get("expires-in").map(|value| &**value) {
            Some(Variant::U32(seconds)) => Some(u64::from(*seconds)),
            _ => None,
        };
        let browser = text("authorization-uri");
        let read = || {
            Some(Self {
                id: id?,
                typed: match browser {
                    Some(_) => None,
                    None => Some(text("user-code")?),
                },
                uri: browser.clone().or_else(|| text("verification-uri"))?,
                has_complete: browser.is_some() || answer.contains_key("verification-uri-complete"),
                device_name: text("device-name").unwrap_or_default(),
                expires_in: Duration::from_secs(seconds?),
            })
        };
        read().ok_or_else(|| {
            Failure::new(
                Exit::Failed,
                "the daemon's answer holds no code; is it of the same version?",
            )
        })
    }

    /// Everything but the QR code and the countdown.
    fn text(&self) -> String {
        let scan = if self.has_complete {
            "Scan the QR code, or go to"
        } else {
            "Go to"
        };
        let name = match self.device_name.as_str() {
            "" => String::new(),
            name => format!("It is the right device if Frame.io calls it {name}.\n"),
        };
        match &self.typed {
            Some(typed) => format!("{scan} {} and enter\n\n    {typed}\n\n{name}", self.uri),
            None if self.comes_back_here() => {
                format!("Open this address in a browser on this device:\n\n    {}\n\n", self.uri)
            }
            None => format!("Scan the QR code, or open\n\n    {}\n\n", self.uri),
        }
    }

    /// Whether the browser has to run on this device: clear http is allowed to itself alone. A phone's 127.0.0.1 is the phone.
    fn comes_back_here(&self) -> bool {
        self.typed.is_none() && self.uri.contains("redirect_uri=http%3A%2F%2F")
    }
}

/// What a change of state means to the one who waits.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Go on waiting; say this, if anything.
    Wait(&'static str),
    /// There may be a new code.
    Show,
    /// No flow any more, but a pairing.
    Paired,
    /// No flow any more, and no pairing.
    Over(Exit),
}

fn step(state: &str, reason: &str) -> Step {
    match PairingState::from_word(state) {
        Some(PairingState::RequestingCode) => match Reason::from_word(reason) {
            Some(Reason::CodeExpired) => Step::Wait("The code ran out; asking for a new one."),
            Some(Reason::None) | None => Step::Wait(""),
            Some(reason) => Step::Wait(words::reason(reason).what),
        },
        Some(PairingState::AwaitingUser) => Step::Show,
        Some(PairingState::Paired) => Step::Paired,
        Some(PairingState::Unprovisioned) => Step::Over(Exit::NotProvisioned),
        Some(PairingState::Unpaired) if reason == Reason::ClientRejected.word() => Step::Over(Exit::NotProvisioned),
        Some(PairingState::Unpaired) => Step::Over(Exit::Failed),
        // A state of a newer daemon.
        None => Step::Wait(""),
    }
}

/// How a flow that failed is told.
fn ending(exit: Exit, reason: &str) -> Failure {
    let told = Reason::from_word(reason).map(words::reason);
    match told {
        Some(told) if !told.what.is_empty() => Failure::new(exit, format!("{}. {}.", told.what, told.cure)),
        _ => Failure::new(exit, "the pairing ended without success; see c2c-authctl status"),
    }
}

fn success(project: &str) -> String {
    if project.is_empty() {
        "Paired.\n".to_owned()
    } else {
        format!("Paired with {project}.\n")
    }
}

/// Light modules as background: cameras want black on white, and most terminals are the other way round.
pub(super) fn on_white(qr: &str) -> String {
    qr.lines()
        .fold(String::new(), |out, line| out + "\x1b[30;107m" + line + "\x1b[0m\n")
}

/// Pairs, and returns when that is done or has failed.
pub(super) async fn pair(connection: &Connection, replace: bool) -> Result<Exit, Failure> {
    let pairing = PairingProxy::new(connection).await?;
    // Before anything else, so that no change is missed.
    let mut changes = pairing.receive_flow_changed().await?;
    let mut interrupted = Interrupted::new()?;
    let joined = is_running(&pairing.pairing_state().await?);
    let before = TokensProxy::new(connection).await?.generation().await?;
    let mut screen = Screen::new(pairing.clone());

    let mut options = Options::new();
    if replace {
        options.insert("replace", true.into());
    }
    let started = tokio::select! {
        started = pairing.start_pairing(options) => started,
        () = interrupted.wait() => return stop(&pairing, joined).await,
    };
    match started {
        Ok(answer) => screen.show(Code::from_answer(&answer)?).await?,
        Err(error) if goes_on(&error) => note(&format!("{} Trying again; Ctrl-C cancels.", Failure::from(error))),
        Err(error) if word_of(&error) == Some("AlreadyPaired") => {
            return Err(Failure::new(
                Exit::Failed,
                "the device is paired; say --replace to pair it again",
            ));
        }
        Err(error) => return Err(error.into()),
    }
    loop {
        tokio::select! {
            change = next(&mut changes) => {
                let change = change
                    .ok_or_else(|| Failure::new(Exit::Unreachable, "the connection to the bus is lost"))?;
                if let Some(exit) = follow(connection, &mut screen, &change, before).await? {
                    return Ok(exit);
                }
            }
            _ = screen.clock.tick() => screen.count_down(),
            () = interrupted.wait() => {
                screen.end_line();
                return stop(&pairing, joined).await;
            }
        }
    }
}

async fn next(changes: &mut PairingStateChangedStream) -> Option<PairingStateChanged> {
    poll_fn(|context| Pin::new(&mut *changes).poll_next(context)).await
}

/// Whether the flow goes on although the call that started it has no code to answer with.
fn goes_on(error: &zbus::Error) -> bool {
    match error {
        zbus::Error::FDO(known) => matches!(
            **known,
            // The last two: something to be mended on the device, and the flow tries again until it is.
            fdo::Error::Timeout(_) | fdo::Error::AddressInUse(_) | fdo::Error::NotSupported(_)
        ),
        _ => matches!(word_of(error), Some("Offline" | "ClockNotSet" | "ServerError")),
    }
}

async fn follow(
    connection: &Connection,
    screen: &mut Screen<'_>,
    change: &PairingStateChanged,
    before: u64,
) -> Result<Option<Exit>, Failure> {
    let change = change.args()?;
    match step(change.state, change.reason) {
        Step::Wait(text) => {
            screen.say(text);
            Ok(None)
        }
        Step::Show => {
            screen.refresh().await?;
            Ok(None)
        }
        Step::Paired => {
            screen.end_line();
            // A replacement that came to nothing ends in the pairing that was there before.
            if TokensProxy::new(connection).await?.generation().await? == before {
                return Err(Failure::new(
                    Exit::Failed,
                    "the pairing ended without success; the device is paired as before",
                ));
            }
            print(&success(&project_name(connection).await?))?;
            Ok(Some(Exit::Ok))
        }
        Step::Over(exit) => {
            screen.end_line();
            Err(ending(exit, change.reason))
        }
    }
}

/// The daemon asks the server for the project once the pairing is safe: worth a moment's wait, no more.
async fn project_name(connection: &Connection) -> Result<String, Failure> {
    const MOMENT: Duration = Duration::from_secs(5);
    let device = DeviceProxy::new(connection).await?;
    let mut changes = device.receive_project_name_changed().await;
    let known = async {
        while device.project_name().await?.is_empty() {
            poll_fn(|context| Pin::new(&mut changes).poll_next(context)).await;
        }
        device.project_name().await
    };
    match timeout(MOMENT, known).await {
        Ok(name) => Ok(name?),
        Err(_) => Ok(String::new()),
    }
}

/// A flow that somebody else started is theirs to end.
async fn stop(pairing: &PairingProxy<'_>, joined: bool) -> Result<Exit, Failure> {
    if joined {
        note("The pairing goes on, because it was not started here; end it with: c2c-authctl cancel");
    } else {
        pairing.cancel_pairing().await?;
        note("Cancelled.");
    }
    Ok(Exit::Interrupted)
}

/// Ctrl-C, or the terminal or the session going away.
pub(super) struct Interrupted([Signal; 3]);

impl Interrupted {
    /// Listens from now on.
    pub(super) fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::new(Exit::Failed, format!("signals: {error}")));
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    /// Until it happens.
    pub(super) async fn wait(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// What is on the terminal.
struct Screen<'a> {
    pairing: PairingProxy<'a>,
    shown: Option<(u64, Instant)>,
    clock: Interval,
    counting: bool,
    terminal: bool,
}

impl<'a> Screen<'a> {
    fn new(pairing: PairingProxy<'a>) -> Self {
        let mut clock = interval(Duration::from_secs(1));
        clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self {
            pairing,
            shown: None,
            clock,
            counting: false,
            terminal: io::stdout().is_terminal(),
        }
    }

    /// Asks for the code on show, and shows it if it is another one.
    async fn refresh(&mut self) -> Result<(), Failure> {
        match self.pairing.get_pairing_code().await {
            Ok(answer) => self.show(Code::from_answer(&answer)?).await,
            // Gone in the meantime; the signal that says so is on its way.
            Err(error) if word_of(&error) == Some("NoPairing") => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn show(&mut self, code: Code) -> Result<(), Failure> {
        if self.shown.is_some_and(|(id, _)| id == code.id) {
            return Ok(());
        }
        self.end_line();
        let qr = self.qr(&code).await?;
        let text = code.text();
        print(&if self.terminal {
            format!("\n{}\n{text}", on_white(&qr))
        } else {
            format!("\n{qr}\n{text}")
        })?;
        self.shown = Some((code.id, Instant::now() + code.expires_in));
        if !self.terminal {
            print(&format!("The code holds for {} s.\n", code.expires_in.as_secs()))?;
        }
        Ok(())
    }

    /// Empty where there is none to be had: the code can be typed.
    async fn qr(&self, code: &Code) -> Result<String, Failure> {
        if code.comes_back_here() {
            return Ok(String::new());
        }
        let what = if code.has_complete { "complete" } else { "uri" };
        let options: Options<'_> = [
            ("format", "text".into()),
            ("what", what.into()),
            ("code-id", code.id.into()),
        ]
        .into_iter()
        .collect();
        match self.pairing.get_qr_code(options).await {
            Ok((_, data)) => Ok(String::from_utf8_lossy(&data).into_owned()),
            Err(error) if word_of(&error) == Some("NoPairing") => Ok(String::new()),
            Err(error) => Err(error.into()),
        }
    }

    fn count_down(&mut self) {
        if let Some((_, end)) = self.shown
            && self.terminal
        {
            let left = end.saturating_duration_since(Instant::now()).as_secs();
            // A terminal that is gone is noticed by its signal.
            let _ = write!(io::stdout(), "\rThe code holds for {left} s. \x1b[K").and_then(|()| io::stdout().flush());
            self.counting = true;
        }
    }

    fn say(&mut self, text: &str) {
        if !text.is_empty() {
            self.end_line();
            note(text);
        }
        // While there is none, there is nothing to count down.
        self.shown = None;
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.counting) {
            let _ = writeln!(io::stdout());
        }
    }
}

#[cfg(test)]
mod tests;
