//! `c2c-authctl`: the operator's tool.
//!
//! Owns: its command line (`spec`), its exit codes, where a production line puts secrets, and what
//! an operator is told when the daemon is dead. Must never: decide anything the daemon decides, or
//! touch the daemon's files except to store its secrets (`provision`) and to remove what it knew
//! (`factory-reset`). For everything else it is an ordinary client.
//!
//! Invariants: results go to standard output, everything else to standard error. A token is written
//! to standard output and nowhere else. Pure functions make the wording of all output.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use zbus::Connection;

use crate::messages::contract::BusAddress;
use crate::system::harden;

mod access;
mod args;
mod check;
mod complete;
mod connect;
mod exit;
mod metrics;
mod output;
mod pair;
mod program;
mod provision;
mod qr;
mod report;
mod reset;
mod site;
mod spec;
mod status;
mod systemd;
mod time;
mod token;
mod watch;

use access::{Caller, DENIED};
use args::{Args, Command};
use c2c_auth_client::proxy;
use connect::connect_warned;
use exit::{Exit, Failure};
use output::{note, one_line, print, printable, tell};
use site::Site;
use status::Status;
use time::now;

#[must_use]
/// Runs `c2c-authctl` with the arguments of the process.
pub fn main() -> ExitCode {
    // Tokens and secrets pass through here as well.
    harden::die_on_panic("c2c-authctl");
    harden::protect_memory(|complaint| note(&format!("warning: {complaint}")));
    let done = Args::parse(std::env::args_os().skip(1)).and_then(|args| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::failed(format!("no event loop: {error}")))?;
        runtime.block_on(run(args))
    });
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // With nobody left to read it, the number still tells.
            let _ = writeln!(io::stderr(), "c2c-authctl: {}", printable(&failure.sentence));
            failure.exit.into()
        }
    }
}

async fn run(args: Args) -> Result<Exit, Failure> {
    let done = carry_out(&args).await;
    done.map_err(|failure| match failure.exit {
        // A command's own sentence stands.
        Exit::Denied if failure.sentence.contains(DENIED) => {
            let told = access::refusal(&Site::host(), &args.command, &Caller::this());
            Failure::new(Exit::Denied, failure.sentence.replacen(DENIED, &told, 1))
        }
        _ => failure,
    })
}

async fn carry_out(args: &Args) -> Result<Exit, Failure> {
    let bus = &args.bus;
    match args.command {
        Command::Help => print(&spec::help()).map(|()| Exit::Ok),
        Command::Version => print(concat!("c2c-authctl ", env!("CARGO_PKG_VERSION"), "\n")).map(|()| Exit::Ok),
        Command::Provision(ref wanted) => provision(bus, wanted).await,
        Command::Status { json } => {
            let look = status::look(bus).await?;
            tell(&look, json, || look.text(now()), &[])?;
            Ok(look.exit())
        }
        Command::Check { json, offline, paired } => check::check(bus, json, offline, paired).await,
        Command::Accepted { json } => check::check_accepted(bus, json).await,
        Command::Report { ref file } => report::report(bus, file).await,
        Command::Metrics { ref directory } => metrics::metrics(bus, directory.as_deref()).await,
        Command::FactoryReset(ref wanted) => reset::factory_reset(bus, wanted).await,
        Command::Pair { replace } => pair::pair(&connect_warned(bus).await?, replace).await,
        Command::Complete => complete::complete(&connect_warned(bus).await?).await,
        Command::Cancel => cancel(&connect_warned(bus).await?).await,
        Command::Unpair { yes } => unpair(&connect_warned(bus).await?, yes).await,
        Command::Token { min_validity, json } => token::token(&connect_warned(bus).await?, min_validity, json).await,
        Command::Reject { generation } => token::reject(&connect_warned(bus).await?, generation).await,
        Command::Qr(ref wanted) => qr::qr(&connect_warned(bus).await?, wanted).await,
        Command::Watch { json } => watch::watch(bus, json).await,
    }
}

/// A device of which the server cannot be asked now is left as it is.
async fn provision(bus: &BusAddress, wanted: &args::Provision) -> Result<Exit, Failure> {
    if wanted.verify {
        site::need_root("provision")?;
        check::may_ask(&Site::host(), bus).await?;
    }
    let exit = provision::provision(wanted)?;
    if wanted.verify {
        let accepted = check::verify(bus).await?;
        note(&format!("{accepted}."));
    }
    Ok(exit)
}

async fn cancel(connection: &Connection) -> Result<Exit, Failure> {
    let pairing = proxy::pairing(connection).await?;
    let running = pair::is_running(&pairing.pairing_state().await?);
    pairing.cancel_pairing().await?;
    print(if running {
        "Cancelled.\n"
    } else {
        "No pairing was in progress; nothing to cancel.\n"
    })?;
    Ok(Exit::Ok)
}

async fn unpair(connection: &Connection, yes: bool) -> Result<Exit, Failure> {
    let status = Status::read(connection).await?;
    if status.paired && !yes {
        confirm(&unpair_question(&status.project_name), "unpair")?;
    }
    proxy::pairing(connection).await?.unpair().await?;
    print(if status.paired {
        "Unpaired. The tokens are unusable on this device, and are revoked at the server as soon as it can be reached.\n"
    } else {
        "The device was not paired; nothing to do.\n"
    })?;
    Ok(Exit::Ok)
}

fn confirm(question: &str, what: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "standard input is no terminal to confirm on; to {what} anyway, use --yes"
        )));
    }
    note(question);
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Failure::failed("nothing was changed"))
    }
}

fn unpair_question(project: &str) -> String {
    let project = match project {
        "" => "its project".to_owned(),
        project => one_line(project),
    };
    format!("Unpair this device from {project}? Uploads stop until it is paired again. [y/N]")
}

#[cfg(test)]
mod tests;
