//! The terminal while `pair` waits: the code, its picture, its countdown.
//!
//! Must never: write a code to anything but standard output, or change the pairing that it shows.
//! Invariants: on a terminal the code is the last thing that stands there, and is taken back before
//! anything else is written, so that no camera meets a code that is over. In a pipe each code is
//! written once.

use std::io::{self, Write};
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::ask;
use super::code::Code;
use super::terminal::{Line, Picture, Terminal, layout};
use crate::ctl::exit::{Failure, word_of};
use crate::ctl::output::{note, print, print_raw};
use c2c_auth_client::proxy::{Options, PairingProxy};

pub(super) struct Screen<'a> {
    pairing: PairingProxy<'a>,
    /// The last code that was shown, with its picture of half blocks.
    shown: Option<(Code, String)>,
    /// The end of the code that can be entered now.
    valid_until: Option<Instant>,
    pub(super) clock: Interval,
    /// `None`: a pipe.
    terminal: Option<Terminal>,
    /// The lines on the terminal now. The cursor is in the last one, the countdown.
    drawn: Vec<Line>,
    said: String,
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
            terminal: Terminal::of_stdout(),
            drawn: Vec::new(),
            said: String::new(),
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
        let left = code.expires_in();
        self.valid_until = Some(Instant::now() + left);
        self.said.clear();
        let known = self.shown.take().filter(|(shown, _)| shown.is(&code));
        let stands = known.is_some() && (self.terminal.is_none() || !self.drawn.is_empty());
        let qr = match known {
            Some((_, qr)) => qr,
            None => self.qr(&code).await?,
        };
        let text = code.text();
        self.shown = Some((code, qr.clone()));
        if stands {
            return Ok(());
        }
        self.take_back();
        let Some(terminal) = self.terminal else {
            print(&format!("\n{qr}\n{text}"))?;
            return print(&format!("The code is valid for {} s.\n", left.as_secs()));
        };
        let picture = if qr.is_empty() {
            Picture::default()
        } else {
            terminal.picture(&qr)
        };
        let lines = layout(&picture, &text, Terminal::size());
        print_raw(&lines.iter().fold(String::new(), |out, line| out + &line.text + "\n"))?;
        self.drawn = lines;
        self.drawn.push(Line::plain(""));
        self.count_down();
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
        let Some(end) = self.valid_until.filter(|_| !self.drawn.is_empty()) else {
            return;
        };
        let left = end.saturating_duration_since(Instant::now()).as_secs();
        if left == 0 {
            self.take_back();
        }
        let line = Line::plain(format!("The code is valid for {left} s. "));
        // A terminal that is gone is noticed by its signal.
        let _ = write!(io::stdout(), "\r{}\x1b[K", line.text).and_then(|()| io::stdout().flush());
        self.drawn.pop();
        self.drawn.push(line);
    }

    /// Says something above the code, which is over, or is drawn again by the next [`Self::show`].
    /// While there is none, there is nothing to count down. The signals of a start may be read
    /// after its answer: what was shown then stays.
    pub(super) fn say(&mut self, text: &str) {
        self.valid_until = None;
        if text.is_empty() || text == self.said {
            return;
        }
        self.take_back();
        note(text);
        text.clone_into(&mut self.said);
    }

    /// Removes the code from the terminal.
    pub(super) fn take_back(&mut self) {
        let columns = Terminal::size().columns;
        let rows: usize = self.drawn.drain(..).map(|line| line.rows(columns)).sum();
        let up = match rows {
            0 => return,
            1 => String::new(),
            rows => format!("\x1b[{}A", rows - 1),
        };
        let _ = write!(io::stdout(), "\r{up}\x1b[J").and_then(|()| io::stdout().flush());
    }
}
