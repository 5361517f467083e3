//! The whole path, before one's eyes, on a machine with nothing but Rust and a C compiler:
//! `cargo run --example demo`.
//!
//! Builds the two real binaries, starts a private bus, a simulated server over TLS and the daemon
//! as a process of its own, and tells a story in numbered steps. Each step is checked, most of them
//! against the server's own account. The demo ends with 0 only if all checks held.
//!
//! - [`story`]: the steps, in order.
//! - [`stage`]: their surroundings: bus, server, page, daemon.
//! - [`cast`]: the processes, each with its uid.
//! - [`caller`], [`api`]: the code of the UI, the uploader and a stranger.
//! - [`actor`]: the other end of their pipes.
//! - [`binaries`]: cargo, and where it put what it built.
//! - [`say`]: the output.
//!
//! Must never: ask the daemon for anything it does not offer to everybody, listen beyond loopback,
//! leave a process or a file behind, touch the bus of the system.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

mod actor;
mod api;
mod args;
mod binaries;
mod caller;
mod cast;
mod say;
mod stage;
mod stay;
mod story;

use args::{Args, HELP};
use say::Say;

/// Ctrl-C, as shells count it.
const INTERRUPTED: u8 = 130;

/// Why the story did not go on.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args_os().skip(1)) {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{error}; see --help");
            return ExitCode::from(2);
        }
    };
    match args {
        Args::Help => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Args::Caller { bus } => caller::main(&bus),
        Args::Play(wishes) => play(wishes),
    }
}

fn play(wishes: args::Wishes) -> ExitCode {
    let say = Say::new();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say.failure("There is no event loop", &error.to_string(), &[]);
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        // Whichever way it ends, everything that was started is dropped, that is stopped and swept
        // up.
        tokio::select! {
            // The reason was printed by the one who knew the step.
            told = story::tell(wishes, &say) => if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE },
            asked = asked_to_end() => match asked {
                Ok(()) if say.checked_all() => {
                    say.line("\nEverything is stopped and swept up.");
                    ExitCode::SUCCESS
                }
                Ok(()) => {
                    say.line("\nInterrupted. Everything is stopped and swept up.");
                    ExitCode::from(INTERRUPTED)
                }
                Err(error) => {
                    say.failure("Signals cannot be received", &error.to_string(), &[]);
                    ExitCode::FAILURE
                }
            },
        }
    });
    // A wait that was given up still runs on a thread of its own, up to its limit.
    runtime.shutdown_background();
    code
}

/// Ctrl-C, or a polite kill.
async fn asked_to_end() -> std::io::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    Ok(())
}
