//! The output: a numbered story. No colour and no moving lines unless somebody watches a terminal.

use std::cell::Cell;
use std::io::{self, IsTerminal as _, Write as _};

/// The one who tells.
#[derive(Debug)]
pub(crate) struct Say {
    colour: bool,
    terminal: bool,
    step: Cell<u32>,
    checks: Cell<u32>,
    done: Cell<bool>,
}

impl Say {
    /// Tells on standard output.
    pub(crate) fn new() -> Self {
        let terminal = io::stdout().is_terminal();
        Self {
            terminal,
            colour: terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            step: Cell::new(0),
            checks: Cell::new(0),
            done: Cell::new(false),
        }
    }

    /// True if a person watches.
    pub(crate) fn watched(&self) -> bool {
        self.terminal
    }

    pub(crate) fn step(&self, title: &str) {
        self.step.set(self.step.get() + 1);
        self.line(&format!(
            "\n{}",
            self.painted("1", &format!("{}. {title}", self.step.get()))
        ));
    }

    /// Something that was seen to hold.
    pub(crate) fn check(&self, seen: &str) {
        self.checks.set(self.checks.get() + 1);
        self.line(&format!("   {} {seen}", self.painted("32", "✓")));
    }

    pub(crate) fn note(&self, text: &str) {
        for line in text.lines() {
            self.line(&format!("     {line}"));
        }
    }

    /// Something that passes: on a terminal it takes the place of the one before.
    pub(crate) fn passing(&self, text: &str) {
        if self.terminal {
            self.write(&format!("\r\x1b[K     {text}"));
        } else {
            self.line(&format!("     {text}"));
        }
    }

    /// Ends a row of [`Self::passing`].
    pub(crate) fn passed(&self) {
        if self.terminal {
            self.write("\r\x1b[K");
        }
    }

    /// A QR code of half blocks. Cameras want black on white, and most terminals are the other way
    /// round.
    pub(crate) fn picture(&self, blocks: &str) {
        for line in blocks.lines() {
            self.line(&format!("     {}", self.painted("30;107", line)));
        }
    }

    pub(crate) fn line(&self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    /// The end of a story that went well: tells in how many seconds.
    pub(crate) fn success(&self, playing: f32, building: f32) {
        self.done.set(true);
        self.line(&format!(
            "\nAll {} checks held, in {playing:.0} s after {building:.0} s of building.",
            self.checks.get()
        ));
    }

    /// True if the story is over, and went well.
    pub(crate) fn checked_all(&self) -> bool {
        self.done.get()
    }

    /// The end of a story that went wrong.
    pub(crate) fn failure(&self, step: &str, reason: &str, log: &[String]) {
        self.passed();
        let text = format!(
            "   {} {step}\n     {}\n",
            self.painted("31", "✗"),
            reason.replace('\n', "\n     ")
        );
        self.write(&text);
        if !log.is_empty() {
            self.line(&format!("\nThe daemon's last words:\n  {}", log.join("\n  ")));
        }
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    // A reader that went away does not end the demo: the exit code still tells.
    #[expect(clippy::unused_self, reason = "whoever prints does so through the one who tells")]
    fn write(&self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}
