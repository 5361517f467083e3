//! The command line, read by [`super::spec`]. No option takes a secret.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use super::exit::Failure;
use super::provision::seal::Key;
use super::spec::{Choice, GLOBAL, Opt, VERBS, Verb};
use crate::config::distance;
use crate::messages::contract::{BusAddress, QR_SIZES};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Status {
        json: bool,
    },
    Pair {
        replace: bool,
    },
    Complete,
    Cancel,
    Unpair {
        yes: bool,
    },
    /// In seconds. 0 is the daemon's default.
    Token {
        min_validity: u32,
        json: bool,
    },
    Reject {
        generation: u64,
    },
    Qr(Qr),
    Watch {
        json: bool,
    },
    Check {
        json: bool,
        offline: bool,
        paired: bool,
    },
    /// `check --accepted`
    Accepted {
        json: bool,
    },
    /// `-` is standard output.
    Report {
        file: PathBuf,
    },
    /// `None` is standard output.
    Metrics {
        directory: Option<PathBuf>,
    },
    Provision(Provision),
    FactoryReset(FactoryReset),
    Help,
    Version,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Qr {
    /// The format and the file. `None` shows the code on the terminal.
    pub(super) file: Option<(&'static str, PathBuf)>,
    pub(super) size: Option<u32>,
    pub(super) fixed: bool,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Provision {
    pub(super) how: How,
    pub(super) client_id: Option<String>,
    pub(super) replace: bool,
    pub(super) no_restart: bool,
    /// Ask the server afterwards.
    pub(super) verify: bool,
    pub(super) json: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum How {
    /// As what is there; as credentials where nothing is.
    #[default]
    Kept,
    /// As credentials. `None` takes the best key there is.
    Sealed(Option<Key>),
    Files(PathBuf),
    /// As credentials, those that are there, under another key.
    Resealed(Key),
}

#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FactoryReset {
    pub(super) clock: bool,
    pub(super) provisioning: bool,
    /// Revocations that the server did not hear of too.
    pub(super) forget_revocations: bool,
    pub(super) wait: Duration,
    pub(super) yes: bool,
    pub(super) json: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Args {
    pub(super) command: Command,
    pub(super) bus: BusAddress,
}

impl Args {
    pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        parse(args).map_err(|error| Failure::usage(format!("{error}; see c2c-authctl --help")))
    }
}

#[derive(Default)]
struct Given(Vec<(&'static str, Option<OsString>)>);

impl Given {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(given, _)| *given == name)
    }

    /// The last one counts, as everywhere.
    fn value(&self, name: &str) -> Option<OsString> {
        let last = self.0.iter().rev().find(|(given, _)| *given == name);
        last.and_then(|(_, value)| value.clone())
    }

    fn text(&self, name: &str) -> Result<Option<String>, lexopt::Error> {
        self.value(name).map(ValueExt::string).transpose()
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.value(name).map(PathBuf::from)
    }

    fn duration(&self, name: &str) -> Result<Option<Duration>, lexopt::Error> {
        let text = self.text(name)?;
        Ok(text.map(|text| crate::config::duration(&text)).transpose()?)
    }

    fn key(&self, name: &str) -> Result<Option<Key>, lexopt::Error> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        Ok(Some(Key::from_word(&text).ok_or("there is no such key")?))
    }
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Args, lexopt::Error> {
    let mut parser = Parser::from_args(args);
    let mut bus = BusAddress::System;
    let mut verb: Option<&Verb> = None;
    let mut given = Given::default();
    while let Some(arg) = parser.next()? {
        let command = match arg {
            Arg::Short('h') => Command::Help,
            Arg::Short('V') => Command::Version,
            Arg::Long(name) => {
                let known = |options: &'static [Opt]| {
                    let named = |option: &&Opt| option.name == name && !option.is_argument();
                    options.iter().find(named)
                };
                let Some(option) = known(GLOBAL).or_else(|| verb.and_then(|verb| known(verb.options))) else {
                    return Err(arg.unexpected());
                };
                let value = option.value.is_some().then(|| parser.value()).transpose()?;
                match (option.name, value) {
                    ("help", _) => Command::Help,
                    ("version", _) => Command::Version,
                    ("bus", Some(value)) => {
                        bus = bus_address(&value.string()?)?;
                        continue;
                    }
                    (name, value) => {
                        check_word(option, value.as_deref())?;
                        given.0.push((name, value));
                        continue;
                    }
                }
            }
            Arg::Value(ref word) if verb.is_none() && word == "help" => Command::Help,
            Arg::Value(ref word) if verb.is_none() => {
                verb = Some(known_verb(&word.to_string_lossy())?);
                continue;
            }
            Arg::Value(word) => {
                let mut options = verb.into_iter().flat_map(|verb| verb.options);
                match options.find(|option| option.is_argument() && !given.has(option.name)) {
                    Some(argument) => given.0.push((argument.name, Some(word))),
                    None => return Err(Arg::Value(word).unexpected()),
                }
                continue;
            }
            Arg::Short(_) => return Err(arg.unexpected()),
        };
        return Ok(Args { command, bus });
    }
    let verb = verb.ok_or("a command is missing")?;
    let command = command(verb.name, &given)?;
    Ok(Args { command, bus })
}

fn known_verb(word: &str) -> Result<&'static Verb, lexopt::Error> {
    let nearest = VERBS.iter().min_by_key(|verb| distance(word, verb.name));
    let told = match nearest.map(|verb| (distance(word, verb.name), verb)) {
        Some((0, verb)) => return Ok(verb),
        // Two letters are a typing error, unless the name has no more of them.
        Some((errors @ 1..=2, verb)) if errors < verb.name.len() => {
            format!("there is no command {word:?}; did you mean {}?", verb.name)
        }
        _ => format!("there is no command {word:?}"),
    };
    Err(told.into())
}

/// Where a value is one of a few words, the fault names them.
fn check_word(option: &Opt, value: Option<&OsStr>) -> Result<(), lexopt::Error> {
    match (option.value.as_ref().map(|value| value.kind), value) {
        (Some(Choice::Words(words)), Some(value)) if !words.iter().any(|word| value == *word) => {
            let (last, first) = words.split_last().ok_or("no value is known")?;
            let (name, first, value) = (option.name, first.join(", "), value.display());
            Err(format!("--{name} takes {first} or {last}, not {value}").into())
        }
        _ => Ok(()),
    }
}

fn command(verb: &str, given: &Given) -> Result<Command, lexopt::Error> {
    let json = given.has("json");
    Ok(match verb {
        "status" => Command::Status { json },
        "pair" => Command::Pair {
            replace: given.has("replace"),
        },
        "complete" => Command::Complete,
        "cancel" => Command::Cancel,
        "unpair" => Command::Unpair { yes: given.has("yes") },
        "token" => Command::Token {
            min_validity: given.duration("min-validity")?.map_or(0, seconds),
            json,
        },
        "reject" => Command::Reject {
            generation: given
                .value("generation")
                .ok_or("missing argument: the generation, as token --json tells it")?
                .parse()?,
        },
        "qr" => Command::Qr(qr(given)?),
        "watch" => Command::Watch { json },
        "check" if given.has("accepted") => {
            if given.has("offline") || given.has("paired") {
                return Err("--accepted excludes --offline and --paired".into());
            }
            Command::Accepted { json }
        }
        "check" => Command::Check {
            json,
            offline: given.has("offline"),
            paired: given.has("paired"),
        },
        "report" => Command::Report {
            file: given
                .path("file")
                .ok_or("missing argument: a new file, or - for standard output")?,
        },
        "metrics" => Command::Metrics {
            directory: given.path("textfile"),
        },
        "provision" => Command::Provision(provision(given)?),
        "factory-reset" => Command::FactoryReset(FactoryReset {
            clock: given.has("clock"),
            provisioning: given.has("provisioning"),
            forget_revocations: given.has("forget-revocations"),
            wait: given.duration("wait")?.unwrap_or(Duration::from_secs(20)),
            yes: given.has("yes"),
            json,
        }),
        "help" => Command::Help,
        other => return Err(format!("{other} is not carried out").into()),
    })
}

fn qr(given: &Given) -> Result<Qr, lexopt::Error> {
    let file = match (given.path("png"), given.path("svg")) {
        (Some(_), Some(_)) => return Err("--png and --svg exclude each other".into()),
        (Some(path), None) => Some(("png", path)),
        (None, Some(path)) => Some(("svg", path)),
        (None, None) => None,
    };
    let size = given.value("size").map(|size| size.parse()).transpose()?;
    if size.is_some_and(|size| !QR_SIZES.contains(&size)) {
        return Err(format!("--size is from {} to {} pixels", QR_SIZES.start(), QR_SIZES.end()).into());
    }
    if size.is_some() && file.is_none() {
        return Err("--size is for --png and --svg".into());
    }
    Ok(Qr {
        file,
        size,
        fixed: given.has("static"),
    })
}

fn provision(given: &Given) -> Result<Provision, lexopt::Error> {
    let sealed = match given.text("with-key")?.as_deref() {
        None => None,
        Some("auto") => Some(None),
        Some(_) => Some(given.key("with-key")?),
    };
    let how = match (sealed, given.path("files"), given.key("upgrade-key")?) {
        (None, None, None) => How::Kept,
        (Some(key), None, None) => How::Sealed(key),
        (None, Some(directory), None) if directory.is_absolute() => How::Files(directory),
        (None, Some(_), None) => return Err("--files takes an absolute path, which the configuration will name".into()),
        (None, None, Some(key)) => How::Resealed(key),
        _ => return Err("--with-key, --files and --upgrade-key exclude each other".into()),
    };
    Ok(Provision {
        how,
        client_id: given.text("client-id")?,
        replace: given.has("replace"),
        no_restart: given.has("no-restart"),
        verify: given.has("verify"),
        json: given.has("json"),
    })
}

fn bus_address(text: &str) -> Result<BusAddress, lexopt::Error> {
    // An address has a transport and a colon. Anything else is a typing error.
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
