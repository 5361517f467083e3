//! `c2c-authctl`: the operator's tool.
//!
//! Owns: its command line, its exit codes, and the words in which state and reasons are told to people ([`words`]).
//! Must never: touch the daemon's files, or decide anything the daemon decides; it is a client like any other.
//!
//! Invariants: results go to standard output, everything else to standard error; a token is written to standard output and
//! nowhere else; the wording of all output is made by pure functions.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use zbus::Connection;

mod args;
mod connect;
mod exit;
mod pair;
pub mod proxy;
mod status;
pub mod words;

use args::{Args, Command, HELP};
use exit::{Exit, Failure};
use proxy::{PairingProxy, TokensProxy};
use status::Status;

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    let done = Args::parse(std::env::args_os().skip(1)).and_then(|args| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(Exit::Failed, format!("no event loop: {error}")))?;
        runtime.block_on(run(args))
    });
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // With nobody left to read it, the number still tells.
            let _ = writeln!(io::stderr(), "c2c-authctl: {failure}");
            failure.exit.into()
        }
    }
}

async fn run(args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Help => return print(HELP).map(|()| Exit::Ok),
        Command::Version => return print(concat!("c2c-authctl ", env!("CARGO_PKG_VERSION"), "\n")).map(|()| Exit::Ok),
        Command::Status { .. }
        | Command::Pair { .. }
        | Command::Cancel
        | Command::Unpair { .. }
        | Command::Token { .. } => {}
    }
    let (connection, warning) = connect::connect(&args.bus).await?;
    if let Some(warning) = warning {
        note(&format!("warning: {warning}"));
    }
    match args.command {
        Command::Status { json } => status(&connection, json).await,
        Command::Pair { replace } => pair::pair(&connection, replace).await,
        Command::Cancel => cancel(&connection).await,
        Command::Unpair { yes } => unpair(&connection, yes).await,
        Command::Token { min_validity } => token(&connection, min_validity).await,
        Command::Help | Command::Version => Ok(Exit::Ok),
    }
}

async fn status(connection: &Connection, json: bool) -> Result<Exit, Failure> {
    let status = Status::read(connection).await?;
    if json {
        let text = serde_json::to_string_pretty(&status)
            .map_err(|error| Failure::new(Exit::Failed, format!("no JSON: {error}")))?;
        print(&format!("{text}\n"))?;
    } else {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        print(&status.text(now))?;
    }
    Ok(status.exit())
}

async fn cancel(connection: &Connection) -> Result<Exit, Failure> {
    let pairing = PairingProxy::new(connection).await?;
    let running = pair::is_running(&pairing.pairing_state().await?);
    pairing.cancel_pairing().await?;
    print(if running {
        "Cancelled.\n"
    } else {
        "No pairing was waiting for a code; nothing to cancel.\n"
    })?;
    Ok(Exit::Ok)
}

async fn unpair(connection: &Connection, yes: bool) -> Result<Exit, Failure> {
    let status = Status::read(connection).await?;
    if status.paired && !yes {
        if !io::stdin().is_terminal() {
            return Err(Failure::new(
                Exit::Usage,
                "there is nobody to ask whether to unpair; say --yes",
            ));
        }
        note(&unpair_question(&status.project_name));
        let mut answer = String::new();
        io::stdin()
            .read_line(&mut answer)
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Err(Failure::new(Exit::Failed, "nothing has changed"));
        }
    }
    PairingProxy::new(connection).await?.unpair().await?;
    print(if status.paired {
        "Unpaired. The tokens are unusable on this device, and are revoked at the server as soon as it can be reached.\n"
    } else {
        "The device was not paired; nothing to do.\n"
    })?;
    Ok(Exit::Ok)
}

fn unpair_question(project: &str) -> String {
    let project = if project.is_empty() { "its project" } else { project };
    format!("Unpair this device from {project}? Uploads stop until somebody pairs it again. [y/N]")
}

async fn token(connection: &Connection, min_validity: u32) -> Result<Exit, Failure> {
    let (token, _, _) = TokensProxy::new(connection)
        .await?
        .get_access_token(min_validity)
        .await?;
    if io::stdout().is_terminal() {
        note("warning: this is a secret; who reads it can upload in this device's name. It is meant for a pipe.");
    }
    let token = zeroize::Zeroizing::new(token);
    print(&token)?;
    print("\n")?;
    Ok(Exit::Ok)
}

/// A result.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new(Exit::Failed, format!("standard output: {error}")))
}

/// Something beside the result. If nobody reads it, nothing is lost.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests;
