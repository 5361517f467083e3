//! The command line.

use std::ffi::OsString;

use lexopt::{Arg, Parser, ValueExt as _};

// The text of `--help`.
pub(crate) const HELP: &str = "\
Shows what c2c-authd does, from pairing to unpairing, on a private bus and against a simulated server.

Usage: cargo run --example demo [-- OPTIONS]

Options:
  --approve    approve the pairing at once; without it you do that on a web page (this machine only)
  --stay       leave everything running at the end, to be played with, until Ctrl-C
  --no-build   use the binaries as they were built last
  --help       print this and exit

It needs no root. As root, each of the processes runs as a user of its own.
Exit codes: 0 if each step was seen to work, 1 if one was not, 2 for wrong usage, 130 for Ctrl-C.
";

/// How the story shall be told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    /// Nobody is there to approve.
    pub(crate) approve: bool,
    /// Leave it running at the end.
    pub(crate) stay: bool,
    /// The binaries are there.
    pub(crate) no_build: bool,
}

/// The purpose of this process.
pub(crate) enum Args {
    Help,
    /// One of the daemon's callers, started by the demo itself.
    Caller {
        bus: String,
    },
    Play(Wishes),
}

impl Args {
    /// Parses what follows the program's name.
    pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, lexopt::Error> {
        let mut parser = Parser::from_args(args);
        let mut wishes = Wishes::default();
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("help") | Arg::Short('h') => return Ok(Self::Help),
                Arg::Long("as-caller") => {
                    let bus = parser.value()?.string()?;
                    return Ok(Self::Caller { bus });
                }
                Arg::Long("approve") => wishes.approve = true,
                Arg::Long("stay") => wishes.stay = true,
                Arg::Long("no-build") => wishes.no_build = true,
                other => return Err(other.unexpected()),
            }
        }
        Ok(Self::Play(wishes))
    }
}
