#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use std::collections::BTreeSet;

use zbus::{Message, fdo};

use super::*;
use crate::bus::BusAddress;
use crate::core::{ErrorWord, Reason};

fn parse(line: &str) -> Result<Args, Failure> {
    Args::parse(line.split_whitespace().map(Into::into))
}

fn command(line: &str) -> Command {
    parse(line).unwrap().command
}

#[test]
fn every_command_and_option_arrives() {
    assert_eq!(command("status"), Command::Status { json: false });
    assert_eq!(command("status --json"), Command::Status { json: true });
    assert_eq!(command("pair"), Command::Pair { replace: false });
    assert_eq!(command("pair --replace"), Command::Pair { replace: true });
    assert_eq!(command("cancel"), Command::Cancel);
    assert_eq!(command("unpair --yes"), Command::Unpair { yes: true });
    assert_eq!(command("token"), Command::Token { min_validity: 0 });
    assert_eq!(
        command("token --min-validity 10min"),
        Command::Token { min_validity: 600 }
    );
    assert_eq!(command("--help"), Command::Help);
    assert_eq!(command("pair -h"), Command::Help);
    assert_eq!(command("--version"), Command::Version);
}

#[test]
fn the_bus_may_be_named_before_and_after_the_command() {
    assert_eq!(parse("status").unwrap().bus, BusAddress::System);
    assert_eq!(parse("--bus session status").unwrap().bus, BusAddress::Session);
    let address = BusAddress::Address("unix:path=/run/b".to_owned());
    assert_eq!(parse("status --bus=unix:path=/run/b").unwrap().bus, address);
}

#[test]
fn less_than_a_second_is_not_rounded_to_the_default() {
    assert_eq!(
        command("token --min-validity 500ms"),
        Command::Token { min_validity: 1 }
    );
    assert_eq!(
        command("token --min-validity 90000000000d"),
        Command::Token { min_validity: u32::MAX }
    );
}

#[test]
fn what_is_not_understood_is_refused_with_2_and_named() {
    for (line, named) in [
        ("", "command"),
        ("frobnicate", "frobnicate"),
        ("status --yes", "--yes"),
        ("--json status", "--json"),
        ("status pair", "pair"),
        ("token --min-validity soon", "soon"),
        ("token --min-validity", "--min-validity"),
        ("--bus sesion status", "sesion"),
    ] {
        let failure = parse(line).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage, "{line}");
        assert!(
            failure.sentence.contains(named) && failure.sentence.contains("--help"),
            "{failure}"
        );
    }
}

#[test]
fn the_help_documents_every_exit_code_and_command() {
    for exit in [
        Exit::Ok,
        Exit::Failed,
        Exit::Usage,
        Exit::NotPaired,
        Exit::NotProvisioned,
        Exit::Offline,
        Exit::Denied,
        Exit::Unreachable,
        Exit::Interrupted,
    ] {
        assert!(
            HELP.lines()
                .any(|line| line.trim_start().starts_with(&format!("{} ", exit as u8))),
            "{exit:?}"
        );
    }
    for command in ["status", "pair", "cancel", "unpair", "token"] {
        assert!(HELP.contains(&format!("\n  {command} ")), "{command}");
    }
}

fn error(name: &str) -> zbus::Error {
    let call = Message::method_call("/", "Test").build(&()).unwrap();
    let reply = Message::error(&call.header(), name).build(&"why").unwrap();
    reply.into()
}

#[test]
fn errors_of_the_daemon_have_their_exit_codes() {
    for (name, exit) in [
        ("org.cameratocloud.Auth1.Error.NotProvisioned", Exit::NotProvisioned),
        ("org.cameratocloud.Auth1.Error.ClientRejected", Exit::NotProvisioned),
        ("org.cameratocloud.Auth1.Error.NotPaired", Exit::NotPaired),
        ("org.cameratocloud.Auth1.Error.AlreadyPaired", Exit::Failed),
        ("org.cameratocloud.Auth1.Error.NoPairing", Exit::Failed),
        ("org.cameratocloud.Auth1.Error.Offline", Exit::Offline),
        ("org.cameratocloud.Auth1.Error.ClockNotSet", Exit::Offline),
        ("org.cameratocloud.Auth1.Error.ServerError", Exit::Failed),
        ("org.cameratocloud.Auth1.Error.StorageFailed", Exit::Failed),
        ("org.freedesktop.DBus.Error.AccessDenied", Exit::Denied),
        ("org.freedesktop.DBus.Error.ServiceUnknown", Exit::Unreachable),
        ("org.freedesktop.DBus.Error.NameHasNoOwner", Exit::Unreachable),
        ("org.freedesktop.DBus.Error.Spawn.ChildExited", Exit::Unreachable),
        ("org.freedesktop.DBus.Error.Timeout", Exit::Failed),
        ("org.freedesktop.systemd1.NoSuchUnit", Exit::Unreachable),
    ] {
        assert_eq!(Failure::from(error(name)).exit, exit, "{name}");
    }
    let lost = zbus::Error::from(fdo::Error::Disconnected("gone".to_owned()));
    assert_eq!(Failure::from(lost).exit, Exit::Unreachable);
}

#[test]
fn the_daemons_own_text_is_what_is_told() {
    assert_eq!(
        Failure::from(error("org.cameratocloud.Auth1.Error.Offline")).sentence,
        "why"
    );
}

#[tokio::test]
async fn a_bus_that_is_not_there_is_named_and_ends_in_7() {
    let bus = BusAddress::Address("unix:path=/nowhere/bus".to_owned());
    let failure = run(Args {
        command: Command::Cancel,
        bus,
    })
    .await
    .unwrap_err();
    assert_eq!(failure.exit, Exit::Unreachable);
    assert!(failure.sentence.contains("/nowhere/bus"), "{failure}");
}

#[test]
fn unpairing_names_what_is_lost() {
    assert!(unpair_question("The Feature").contains("from The Feature?"));
    assert!(unpair_question("").contains("from its project?"));
}

#[test]
fn every_reason_has_words_of_its_own_and_every_ending_a_cure() {
    let mut seen = BTreeSet::new();
    for reason in Reason::ALL.iter().copied().filter(|reason| *reason != Reason::None) {
        let told = words::reason(reason);
        assert!(!told.what.is_empty() && !told.cure.is_empty(), "{reason:?}");
        assert!(!told.what.ends_with('.') && !told.cure.ends_with('.'), "{reason:?}");
        assert!(seen.insert(told.what), "{reason:?} says what another says");
    }
    for word in ErrorWord::ALL.iter().copied() {
        assert!(
            !words::error(word).is_empty() && !words::error_cure(word).is_empty(),
            "{word:?}"
        );
    }
}
