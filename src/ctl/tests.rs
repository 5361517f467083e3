#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use std::collections::BTreeSet;

use zbus::{Message, fdo};

use super::args::How;
use super::provision::seal::Key;
use super::*;
use crate::messages;
use crate::messages::contract::BusAddress;
use c2c_auth_core::{ErrorWord, Reason};

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
    assert_eq!(command("complete"), Command::Complete);
    assert_eq!(command("cancel"), Command::Cancel);
    assert_eq!(command("unpair --yes"), Command::Unpair { yes: true });
    let token = |min_validity, json| Command::Token { min_validity, json };
    assert_eq!(command("token"), token(0, false));
    assert_eq!(command("token --min-validity 10min --json"), token(600, true));
    assert_eq!(command("reject 7"), Command::Reject { generation: 7 });
    let qr = |file, size, fixed| Command::Qr(args::Qr { file, size, fixed });
    assert_eq!(command("qr"), qr(None, None, false));
    assert_eq!(
        command("qr --static --png a --size 300"),
        qr(Some(("png", "a".into())), Some(300), true)
    );
    assert_eq!(command("qr --svg -"), qr(Some(("svg", "-".into())), None, false));
    assert_eq!(command("watch --json"), Command::Watch { json: true });
    let provision = |how| {
        Command::Provision(args::Provision {
            how,
            ..args::Provision::default()
        })
    };
    assert_eq!(command("provision"), provision(How::Kept));
    assert_eq!(command("provision --with-key auto"), provision(How::Sealed(None)));
    assert_eq!(
        command("provision --with-key host+tpm2"),
        provision(How::Sealed(Some(Key::HostTpm2)))
    );
    assert_eq!(
        command("provision --files /factory"),
        provision(How::Files("/factory".into()))
    );
    assert_eq!(
        command("provision --upgrade-key tpm2"),
        provision(How::Resealed(Key::Tpm2))
    );
    assert_eq!(
        command("provision --client-id SN-1 --replace --no-restart --verify --json"),
        Command::Provision(args::Provision {
            how: How::Kept,
            client_id: Some("SN-1".to_owned()),
            replace: true,
            no_restart: true,
            verify: true,
            json: true,
        })
    );
    assert_eq!(command("--help"), Command::Help);
    assert_eq!(command("pair -h"), Command::Help);
    assert_eq!(command("help"), Command::Help);
    assert_eq!(command("help pair"), Command::Help);
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
    let token = |min_validity| Command::Token {
        min_validity,
        json: false,
    };
    assert_eq!(command("token --min-validity 500ms"), token(1));
    assert_eq!(command("token --min-validity 90000000000d"), token(u32::MAX));
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
        ("reject", "generation"),
        ("reject 7 8", "8"),
        ("reject new", "new"),
        ("reject -1", "-1"),
        ("reject --generation 7", "--generation"),
        ("token --min-validity", "--min-validity"),
        ("--bus sesion status", "sesion"),
        ("qr --png a --svg b", "--svg"),
        ("qr --size 300", "--size"),
        ("qr --size big --png a", "big"),
        ("qr --size 249 --png a", "250 to 1000"),
        ("qr --size 1001 --svg a", "250 to 1000"),
        ("provision --with-key null", "null"),
        ("provision --upgrade-key auto", "auto"),
        ("provision --files relative", "absolute"),
        ("provision --files /a --with-key host", "--files"),
        ("provision SECRET", "SECRET"),
        ("provision --client-secret=x", "--client-secret"),
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
fn a_command_within_two_letters_is_suggested_and_another_word_is_not() {
    for (typed, meant) in [
        ("stauts", "status"),
        ("piar", "pair"),
        ("par", "pair"),
        ("pairs", "pair"),
        ("unpiar", "unpair"),
        ("factory-rest", "factory-reset"),
        ("Status", "status"),
        ("tokens", "token"),
        ("qrr", "qr"),
    ] {
        let failure = parse(typed).unwrap_err();
        let told = format!("did you mean {meant}?");
        assert!(failure.sentence.contains(&told), "{failure}");
    }
    for typed in ["frobnicate", "xy", "st", "statussss"] {
        let failure = parse(typed).unwrap_err();
        assert!(!failure.sentence.contains("did you mean"), "{failure}");
    }
}

#[test]
fn the_help_documents_every_exit_code_command_and_option() {
    let help = spec::help();
    let told: Vec<_> = spec::EXIT_CODES.iter().map(|(code, _)| *code).collect();
    let given = [
        Exit::Ok,
        Exit::Failed,
        Exit::Usage,
        Exit::NotPaired,
        Exit::NotProvisioned,
        Exit::Offline,
        Exit::Denied,
        Exit::Unreachable,
        Exit::Differs,
        Exit::ServerNotTold,
        Exit::Interrupted,
    ];
    assert_eq!(told, given.map(|exit| exit as u8));
    for verb in spec::VERBS {
        assert!(help.contains(&format!("\n  {} ", verb.name)), "{}", verb.name);
        for option in verb.options {
            assert!(
                help.contains(&format!("\n    {} ", spec::typed(option))),
                "{}",
                option.name
            );
        }
    }
    assert!(help.lines().all(|line| line.chars().count() <= 120), "{help}");
    // All that is told of commands and options begins in one column.
    let lines = help.lines().skip_while(|line| *line != "Commands:");
    for line in lines
        .take_while(|line| *line != "Exit codes:")
        .filter(|line| line.starts_with("  "))
    {
        assert!(&line[24..26] == "  " && !line[26..].starts_with(' '), "{line}");
    }
}

/// A sensible value for each option that takes one.
fn example(option: &spec::Opt) -> Option<&'static str> {
    Some(match option.value.as_ref()?.name {
        "D" => "10min",
        "FILE" | "DIR" => "/tmp/x",
        "N" => "300",
        "KEY" => "host",
        "ID" => "SN-1",
        "GENERATION" => "7",
        "BUS" => "session",
        other => panic!("no example for {other}"),
    })
}

/// The table that help, completions and man pages are held against is the one that is obeyed.
#[test]
fn every_option_of_the_table_is_taken_by_its_command_and_no_other() {
    // With its argument, which it needs.
    let bare = |verb: &spec::Verb| {
        let argument = if verb.options.iter().any(spec::Opt::is_argument) {
            " 7"
        } else {
            ""
        };
        format!("{}{argument}", verb.name)
    };
    let line = |verb: &str, option: &spec::Opt| {
        let mut line = format!("{verb} --{}", option.name);
        if let Some(value) = example(option) {
            line.push(' ');
            line.push_str(value);
        }
        // Alone it makes no sense.
        if option.name == "size" {
            line.push_str(" --png -");
        }
        line
    };
    // Behind "help" nothing is read.
    for verb in spec::VERBS.iter().filter(|verb| verb.name != "help") {
        let bare = bare(verb);
        assert_ne!(command(&bare), Command::Help, "{bare}");
        for option in verb.options.iter().filter(|option| !option.is_argument()) {
            assert_ne!(command(&line(&bare, option)), command(&bare), "{}", option.name);
        }
        let foreign = spec::VERBS.iter().flat_map(|other| other.options);
        for option in foreign.filter(|option| verb.options.iter().all(|own| own.name != option.name)) {
            let failure = parse(&line(&bare, option)).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{} {}", verb.name, option.name);
        }
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
        ("org.freedesktop.DBus.Error.TimedOut", Exit::Unreachable),
        ("org.freedesktop.systemd1.NoSuchUnit", Exit::Unreachable),
    ] {
        assert_eq!(Failure::from(error(name)).exit, exit, "{name}");
    }
    let lost = zbus::Error::from(fdo::Error::Disconnected("gone".to_owned()));
    assert_eq!(Failure::from(lost).exit, Exit::Unreachable);
}

#[test]
fn the_bus_says_nothing_of_its_rules_through_us() {
    assert_eq!(
        Failure::from(error("org.freedesktop.DBus.Error.AccessDenied")).sentence,
        DENIED
    );
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
        let told = messages::reason(reason);
        assert!(!told.what.is_empty() && !told.cure.is_empty(), "{reason:?}");
        assert!(!told.what.ends_with('.') && !told.cure.ends_with('.'), "{reason:?}");
        assert!(seen.insert(told.what), "{reason:?} says what another says");
    }
    for word in ErrorWord::ALL.iter().copied() {
        let told = messages::error(word);
        assert!(!told.what.is_empty() && !told.cure.is_empty(), "{word:?}");
    }
}

/// A client must not depend on the daemon's crate, so it has names of its own.
#[test]
fn daemon_and_clients_call_everything_by_one_name() {
    use crate::messages::contract::{DEVICE, NAME, OBJECT, PAIRING, TOKENS};
    use c2c_auth_client::proxy;
    assert_eq!((proxy::NAME, proxy::PATH), (NAME, OBJECT));
    assert_eq!(proxy::INTERFACES, [PAIRING, TOKENS, DEVICE]);
}

/// The tool understands all that the documents say to type.
#[test]
fn every_command_of_the_documents_is_one() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let pages = docs.chain(["README.md", "systemd/c2c-authd.catalog"].map(|name| root.join(name)));
    let mut seen = 0;
    for page in pages.filter(|path| path.extension().is_some_and(|kind| kind == "md" || kind == "catalog")) {
        let text = std::fs::read_to_string(&page).unwrap();
        let mut in_code = false;
        for line in text.lines() {
            in_code ^= line.starts_with("```");
            let typed: Vec<_> = if in_code {
                line.split(['|', '&', ';']).collect()
            } else {
                line.split('`').skip(1).step_by(2).collect()
            };
            for command in typed
                .iter()
                .filter_map(|part| part.trim_start_matches(['#', ' ']).strip_prefix("c2c-authctl "))
            {
                let words = command.split(" #").next().unwrap_or_default();
                // "--x DIR", "\u{2026}" and "|" stand for something.
                let stands = |word: &&str| !word.contains(['\u{2026}', '[', '<', '"']);
                let words: Vec<_> = words.split_whitespace().take_while(stands).collect();
                let Err(failure) = Args::parse(words.iter().map(Into::into)) else {
                    seen += 1;
                    continue;
                };
                // An option may be named without its value, or with a word that stands for one.
                let open = ["DIR", "FILE", "KEY", "N", "D", "ID"];
                let is_open =
                    words.iter().any(|word| open.contains(word)) || failure.sentence.contains("missing argument");
                assert!(is_open, "{}: {command}: {failure}", page.display());
            }
        }
    }
    assert!(seen > 20, "only {seen} were found");
}
