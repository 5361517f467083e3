//! The command line. No option ever takes a secret: argv is world-readable.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::messages::contract::BusAddress;

/// The text that `c2c-authd --help` prints.
pub const HELP: &str = "\
Pairs this device with Frame.io Camera to Cloud, or with another OAuth server, keeps its tokens fresh and hands them out
over D-Bus.

Usage: c2c-authd [OPTIONS]

Options:
  --config FILE      read only FILE, no drop-ins
  --bus BUS          system (default), session, or a D-Bus address
  --check-config     print the effective configuration, or what is wrong with it, and exit
  --version          print the version and exit
  --help             print this and exit

Environment:
  C2C_LOG            error, warn, info (default) or debug
  STATE_DIRECTORY, RUNTIME_DIRECTORY, CREDENTIALS_DIRECTORY, NOTIFY_SOCKET, WATCHDOG_USEC
                     as set by systemd
  DBUS_SYSTEM_BUS_ADDRESS
                     where the system bus is

Exit codes: 0 stopped on request, 64 wrong usage, 70 internal fault, 74 state directory absent or unreadable,
75 bus unavailable or lost, 77 wrong owner or mode, 78 wrong configuration.
";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Serve,
    CheckConfig,
    Version,
    Help,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Args {
    pub action: Action,
    pub config: Option<PathBuf>,
    pub bus: BusAddress,
}

impl Args {
    pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, lexopt::Error> {
        let mut parser = Parser::from_args(args);
        let mut parsed = Self {
            action: Action::Serve,
            config: None,
            bus: BusAddress::default(),
        };
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("config") => parsed.config = Some(parser.value()?.into()),
                Arg::Long("bus") => {
                    parsed.bus = match parser.value()?.string()?.as_str() {
                        "system" => BusAddress::System,
                        "session" => BusAddress::Session,
                        // An address has a transport and a colon. Anything else is a typing error
                        // that would only show later, as a connection that fails.
                        address if address.contains(':') => BusAddress::Address(address.to_owned()),
                        other => {
                            return Err(format!(
                                "--bus takes system, session or an address such as unix:path=/run/bus, not {other:?}"
                            )
                            .into());
                        }
                    }
                }
                Arg::Long("check-config") => parsed.action = Action::CheckConfig,
                Arg::Long("version") | Arg::Short('V') => parsed.action = Action::Version,
                Arg::Long("help") | Arg::Short('h') => parsed.action = Action::Help,
                Arg::Long(_) | Arg::Short(_) | Arg::Value(_) => return Err(arg.unexpected()),
            }
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;
    use crate::daemon::exit::{Code, StartError};

    fn parse(args: &[&str]) -> Result<Args, StartError> {
        Ok(Args::parse(args.iter().map(OsString::from))?)
    }

    #[test]
    fn nothing_means_the_daemon_on_the_system_bus() {
        assert_eq!(
            parse(&[]).unwrap(),
            Args {
                action: Action::Serve,
                config: None,
                bus: BusAddress::System
            }
        );
    }

    #[test]
    fn each_option_arrives() {
        let args = parse(&["--config=/x.toml", "--bus", "unix:path=/tmp/bus", "--check-config"]).unwrap();
        assert_eq!(args.config, Some(PathBuf::from("/x.toml")));
        assert_eq!(args.bus, BusAddress::Address("unix:path=/tmp/bus".to_owned()));
        assert_eq!(args.action, Action::CheckConfig);
        assert_eq!(parse(&["--bus=session"]).unwrap().bus, BusAddress::Session);
        assert_eq!(parse(&["--version"]).unwrap().action, Action::Version);
        assert_eq!(parse(&["-h"]).unwrap().action, Action::Help);
    }

    #[test]
    fn what_is_not_understood_is_refused_and_named() {
        for wrong in [
            &["--frobnicate"][..],
            &["stray"],
            &["--bus"],
            &["--bus", "sysstem"],
            &["--client-secret=x"],
        ] {
            let failure = parse(wrong).unwrap_err();
            assert_eq!(failure.code(), Code::Usage);
            assert!(
                failure
                    .sentence()
                    .contains(wrong[wrong.len() - 1].split('=').next().unwrap()),
                "{failure}"
            );
        }
    }
}
