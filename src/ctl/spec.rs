//! The command line as data: the parser reads it, `--help` prints it, and tests hold completions
//! and man pages against it. Nothing here takes a secret: argv is world-readable.

use std::fmt::Write as _;

#[derive(Debug)]
pub(super) struct Verb {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) options: &'static [Opt],
}

#[derive(Debug)]
pub(super) struct Opt {
    pub(super) name: &'static str,
    pub(super) value: Option<Value>,
    pub(super) help: &'static str,
}

/// The value of an option: how help names it, and what a shell may offer for it.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) name: &'static str,
    pub(super) kind: Choice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Files,
    Directories,
    Words(&'static [&'static str]),
    /// The value stands by itself, without the option's name.
    Argument,
    /// The same, and it is a file.
    FileArgument,
    /// Nothing: only the user knows.
    Nothing,
}

impl Opt {
    pub(super) fn is_argument(&self) -> bool {
        let kind = self.value.as_ref().map(|value| value.kind);
        matches!(kind, Some(Choice::Argument | Choice::FileArgument))
    }
}

const fn flag(name: &'static str, help: &'static str) -> Opt {
    Opt {
        name,
        value: None,
        help,
    }
}

const fn with(name: &'static str, value: &'static str, kind: Choice, help: &'static str) -> Opt {
    Opt {
        name,
        value: Some(Value { name: value, kind }),
        help,
    }
}

const JSON: Opt = flag("json", "print JSON");

/// Keys that an operator can choose to seal with. `auto` decides by what the machine has.
pub(super) const KEYS: &[&str] = &["auto", "host", "tpm2", "host+tpm2"];

pub(super) const VERBS: &[Verb] = &[
    Verb {
        name: "status",
        summary: "tell whether the device is paired, with what, and what is wrong; works with the daemon dead",
        options: &[JSON],
    },
    Verb {
        name: "pair",
        summary: "show a QR code and a pairing code until the device is paired; Ctrl-C cancels",
        options: &[flag(
            "replace",
            "pair a paired device again; the old pairing stays valid until the new one is complete",
        )],
    },
    Verb {
        name: "complete",
        summary: "hand in the address that a browser elsewhere ended on; read from a pipe or terminal",
        options: &[],
    },
    Verb {
        name: "cancel",
        summary: "cancel the pairing in progress",
        options: &[],
    },
    Verb {
        name: "unpair",
        summary: "forget the pairing",
        options: &[flag("yes", "do not ask")],
    },
    Verb {
        name: "token",
        summary: "print an access token: a secret, meant for a pipe",
        options: &[
            with("min-validity", "D", Choice::Nothing, "valid for at least D, e.g. 10min"),
            JSON,
        ],
    },
    Verb {
        name: "reject",
        summary: "tell that the API answered 401 to a token; then ask for one again",
        options: &[with(
            "generation",
            "GENERATION",
            Choice::Argument,
            "of the token, as token --json tells it",
        )],
    },
    Verb {
        name: "qr",
        summary: "show the QR code of the pairing in progress",
        options: &[
            with("png", "FILE", Choice::Files, "write a PNG file; - is standard output"),
            with("svg", "FILE", Choice::Files, "write an SVG file; - is standard output"),
            with(
                "size",
                "N",
                Choice::Nothing,
                "pixels on a side, 250 to 1000 (default: 250)",
            ),
            flag("static", "QR code of the address only; the code is typed"),
        ],
    },
    Verb {
        name: "watch",
        summary: "print each change of state until interrupted",
        options: &[JSON],
    },
    Verb {
        name: "check",
        summary: "find what is wrong with configuration, secrets, system and server",
        options: &[
            JSON,
            flag("offline", "do not contact the server"),
            flag("paired", "fail unless the device is paired"),
            flag("accepted", "as root: only ask whether the server accepts this device"),
        ],
    },
    Verb {
        name: "report",
        summary: "write one file for support: check, status, configuration, journal; no secrets",
        options: &[with(
            "file",
            "FILE",
            Choice::FileArgument,
            "a new file; - is standard output",
        )],
    },
    Verb {
        name: "metrics",
        summary: "print metrics for Prometheus; never starts the daemon",
        options: &[with(
            "textfile",
            "DIR",
            Choice::Directories,
            "write DIR/c2c-authd.prom, for node_exporter",
        )],
    },
    Verb {
        name: "provision",
        summary: "store the client secret, read from a pipe or terminal, and create the state key",
        options: &[
            with(
                "with-key",
                "KEY",
                Choice::Words(KEYS),
                "seal with the TPM, the host's key, or both (default: as it is, else auto)",
            ),
            with(
                "files",
                "DIR",
                Choice::Directories,
                "store as files in DIR, for systems without credentials",
            ),
            with("client-id", "ID", Choice::Nothing, "set the client id as well"),
            flag(
                "replace",
                "replace a secret or client id that differs or cannot be read",
            ),
            with(
                "upgrade-key",
                "KEY",
                Choice::Words(&["host", "tpm2", "host+tpm2"]),
                "reseal the stored secrets with another key; reads no secret",
            ),
            flag("no-restart", "do not restart the daemon"),
            flag("verify", "then ask the server whether it accepts this device"),
            JSON,
        ],
    },
    Verb {
        name: "factory-reset",
        summary: "forget the pairing here and at the server, for the next owner",
        options: &[
            flag("clock", "also forget the latest known time"),
            flag("provisioning", "also forget client secret, state key and client id"),
            flag("forget-revocations", "reset even if the server was not told"),
            with(
                "wait",
                "D",
                Choice::Nothing,
                "how long to wait for the server (default: 20s)",
            ),
            flag("yes", "do not ask"),
            JSON,
        ],
    },
    Verb {
        name: "help",
        summary: "print this and exit",
        options: &[],
    },
];

pub(super) const GLOBAL: &[Opt] = &[
    with(
        "bus",
        "BUS",
        Choice::Words(&["system", "session"]),
        "system (default), session, or a D-Bus address",
    ),
    flag("version", "print the version and exit"),
    flag("help", "print this and exit"),
];

/// Exit codes as people read them. [`super::exit::Exit`] gives them out.
pub(super) const EXIT_CODES: &[(u8, &str)] = &[
    (0, "done; status: paired; check: nothing failed"),
    (
        1,
        "failed; check: something failed; status: paired, but a disk, a configuration or the server is in the way",
    ),
    (2, "wrong usage"),
    (3, "not paired"),
    (
        4,
        "not provisioned: client id, client secret or state key is missing, or the server refuses this client",
    ),
    (
        5,
        "offline, or the clock is not set, or another certificate came than the server's",
    ),
    (6, "access denied"),
    (7, "the daemon or the bus cannot be reached"),
    (
        8,
        "provision: something else is there; nothing was changed, use --replace; --accepted: a pairing runs",
    ),
    (9, "factory-reset: done or held back, but the server was not told"),
    (130, "interrupted"),
];

pub(super) fn help() -> String {
    let mut out = String::from(
        "Controls c2c-authd: the pairing of this device with Frame.io Camera to Cloud, or with\n\
         another OAuth server, and its tokens.\n\n\
         Usage: c2c-authctl [--bus BUS] COMMAND [OPTIONS]\n\nCommands:\n",
    );
    // Writing to a string cannot fail.
    for verb in VERBS {
        let _ = writeln!(out, "  {:<22}  {}", verb.name, verb.summary);
        for option in verb.options {
            let _ = writeln!(out, "    {:<20}  {}", typed(option), option.help);
        }
    }
    out.push_str("\nOptions:\n");
    for option in GLOBAL {
        let _ = writeln!(out, "  {:<22}  {}", typed(option), option.help);
    }
    out.push_str("\nExit codes:\n");
    for (code, meaning) in EXIT_CODES {
        let _ = writeln!(out, "  {code:<3}  {meaning}");
    }
    out
}

/// As it is typed: `--bus BUS`.
pub(super) fn typed(option: &Opt) -> String {
    match &option.value {
        Some(value) if option.is_argument() => value.name.to_owned(),
        Some(value) => format!("--{} {}", option.name, value.name),
        None => format!("--{}", option.name),
    }
}

#[cfg(test)]
mod tests;
