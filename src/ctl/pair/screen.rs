//! The terminal while a pairing waits: the code, its picture, its countdown.
//!
//! Must never: write a code to anything but standard output, or change the pairing that it shows.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::ask;
use super::code::Code;
use crate::ctl::exit::{Failure, word_of};
use crate::ctl::{note, print};
use c2c_auth_client::proxy::{Options, PairingProxy};

/// Light modules as background: cameras want black on white, and most terminals are the other way
/// round.
pub(in crate::ctl) fn on_white(qr: &str) -> String {
    qr.lines()
        .fold(String::new(), |out, line| out + "\x1b[30;107m" + line + "\x1b[0m\n")
}

pub(super) struct Screen<'a> {
    pairing: PairingProxy<'a>,
    /// The last one that was shown: until there is another one, nothing is shown again.
    shown: Option<Code>,
    /// The end of the code that can be entered now.
    valid_until: Option<Instant>,
    pub(super) clock: Interval,
    counting: bool,
    terminal: bool,
}

impl<'a> Screen<'a> {
    pub(super) fn new(pairing: PairingProxy<'a>) -> Self {
        let mut clock = interval(Duration::from_secs(1));
        clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self {
            pairing,
            shown: None,
            valid_until: None,
            clock,
            counting: false,
            terminal: io::stdout().is_terminal(),
        }
    }

    /// Asks for the code on show, and shows it if it is another one.
    pub(super) async fn refresh(&mut self) -> Result<(), Failure> {
        match ask(|| self.pairing.get_pairing_code()).await {
            Ok(answer) => self.show(Code::from_answer(&answer)?).await,
            // The code is gone in the meantime. The signal that says so is on its way.
            Err(error) if word_of(&error) == Some("NoPairing") => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn show(&mut self, code: Code) -> Result<(), Failure> {
        self.valid_until = Some(Instant::now() + code.expires_in());
        if self.shown.as_ref().is_some_and(|shown| shown.is(&code)) {
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
        if !self.terminal {
            print(&format!("The code is valid for {} s.\n", code.expires_in().as_secs()))?;
        }
        self.shown = Some(code);
        Ok(())
    }

    /// Empty where there is none to be had: the code can be typed.
    async fn qr(&self, code: &Code) -> Result<String, Failure> {
        if code.comes_back_here() {
            return Ok(String::new());
        }
        let what = if code.0.has_complete { "complete" } else { "uri" };
        let options: Options<'_> = [
            ("format", "text".into()),
            ("what", what.into()),
            ("code-id", code.0.id.into()),
        ]
        .into_iter()
        .collect();
        match ask(|| self.pairing.get_qr_code(options.clone())).await {
            Ok((_, data)) => Ok(String::from_utf8_lossy(&data).into_owned()),
            Err(error) if word_of(&error) == Some("NoPairing") => Ok(String::new()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn count_down(&mut self) {
        if let Some(end) = self.valid_until
            && self.terminal
        {
            let left = end.saturating_duration_since(Instant::now()).as_secs();
            // A terminal that is gone is noticed by its signal.
            let _ =
                write!(io::stdout(), "\rThe code is valid for {left} s. \x1b[K").and_then(|()| io::stdout().flush());
            self.counting = true;
        }
    }

    pub(super) fn say(&mut self, text: &str) {
        if !text.is_empty() {
            self.end_line();
            note(text);
        }
        // While there is none, there is nothing to count down. The signals of a start are read
        // after its answer: what was shown then is still to be seen.
        self.valid_until = None;
    }

    pub(super) fn end_line(&mut self) {
        if std::mem::take(&mut self.counting) {
            let _ = writeln!(io::stdout());
        }
    }
}
