//! The command line. No option takes a secret.

use std::ffi::OsString;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use super::exit::{Exit, Failure};
use crate::bus::BusAddress;

/// What `--help` prints.
pub(super) const HELP: &str = "\
Shows and changes what c2c-authd does: the pairing of this device with Frame.io Camera to Cloud, and its tokens.

Usage: c2c-authctl [--bus BUS] COMMAND [OPTIONS]

Commands:
  status             is the device paired, with what, and what is wrong
    --json             for programs
  pair               show a QR code and a code, wait until the device is paired; Ctrl-C cancels
    --replace          pair again although the device is paired; the old pairing holds until the new one does
  cancel             end the pairing that waits for a code to be entered
  unpair             forget the pairing
    --yes              do not ask
  token              print an access token: a secret, for pipes
    --min-validity D   one that lives at least so long, e.g. 10min

Options:
  --bus BUS          system (default), session, or a D-Bus address
  --version          print the version and exit
  --help             print this and exit

Exit codes:
  0  done; status: paired
  1  failed
  2  wrong usage
  3  not paired
  4  not provisioned: client id, client secret or state key is missing or not accepted
  5  offline, or the clock is not set
  6  access denied
  7  the daemon or the bus cannot be reached
  130  interrupted
";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Show the state.
    Status {
        /// As JSON.
        json: bool,
    },
    /// Pair and wait.
    Pair {
        /// Although paired.
        replace: bool,
    },
    /// End the flow.
    Cancel,
    /// Forget the pairing.
    Unpair {
        /// Without asking.
        yes: bool,
    },
    /// Print a token.
    Token {
        /// Whole seconds; 0 is the daemon's default.
        min_validity: u32,
    },
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// The parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Args {
    /// What to do.
    pub(super) command: Command,
    /// On which bus.
    pub(super) bus: BusAddress,
}

impl Args {
    /// Parses what follows the program's name.
    ///
    /// # Errors
    /// [`Exit::Usage`] for anything unknown or incomplete.
    pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        parse(args).map_err(|error| Failure::new(Exit::Usage, format!("{error}; see c2c-authctl --help")))
    }
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Args, lexopt::Error> {
    let mut parser = Parser::from_args(args);
    let mut bus = BusAddress::System;
    let mut command = None;
    while let Some(arg) = parser.next()? {
        match (&arg, command.as_mut()) {
            (Arg::Long("help") | Arg::Short('h'), _) => {
                return Ok(Args {
                    command: Command::Help,
                    bus,
                });
            }
            (Arg::Long("version") | Arg::Short('V'), _) => {
                return Ok(Args {
                    command: Command::Version,
                    bus,
                });
            }
            (Arg::Long("bus"), _) => bus = bus_address(&parser.value()?.string()?)?,
            (Arg::Long("json"), Some(Command::Status { json })) => *json = true,
            (Arg::Long("replace"), Some(Command::Pair { replace })) => *replace = true,
            (Arg::Long("yes"), Some(Command::Unpair { yes })) => *yes = true,
            (Arg::Long("min-validity"), Some(Command::Token { min_validity })) => {
                *min_validity = seconds(crate::config::duration(&parser.value()?.string()?)?);
            }
            (Arg::Value(verb), None) => {
                command = Some(match verb.to_str() {
                    Some("status") => Command::Status { json: false },
                    Some("pair") => Command::Pair { replace: false },
                    Some("cancel") => Command::Cancel,
                    Some("unpair") => Command::Unpair { yes: false },
                    Some("token") => Command::Token { min_validity: 0 },
                    _ => return Err(format!("there is no command {:?}", verb.to_string_lossy()).into()),
                });
            }
            _ => return Err(arg.unexpected()),
        }
    }
    let command = command.ok_or("a command is missing")?;
    Ok(Args { command, bus })
}

fn bus_address(text: &str) -> Result<BusAddress, lexopt::Error> {
    // An address has a transport and a colon; anything else is a typing error.
    if matches!(text, "system" | "session") || text.contains(':') {
        Ok(text.into())
    } else {
        Err(format!("--bus takes system, session or an address such as unix:path=/run/bus, not {text:?}").into())
    }
}

/// Upwards: "500ms" must not become 0, which means the default.
fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}
