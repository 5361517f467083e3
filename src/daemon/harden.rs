//! What the process does about its own memory and its own faults, before the first secret is read.

use std::io::Write;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Keeps secrets out of core dumps and out of reach of other processes of the same user (`ptrace`, `/proc/PID/mem`).
///
/// Best effort: a kernel or sandbox that refuses is told in the log and does not keep the device from working.
pub fn protect_memory() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!("the process stays dumpable: {error}");
    }
    if let Err(error) = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    ) {
        tracing::warn!("core dumps stay possible: {error}");
    }
}

/// Makes every panic the end of the process, in every build profile: the loop owns everything, so a daemon that lost a task
/// would live on without doing its work, and systemd would not know.
///
/// Says where, and not what: a panic's message may quote the data that caused it.
pub fn die_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        // Not through tracing: it may be tracing that panicked.
        let mut stderr = std::io::stderr().lock();
        let _ = match panic.location() {
            Some(at) => writeln!(
                stderr,
                "c2c-authd: internal fault at {}:{}; ending",
                at.file(),
                at.line()
            ),
            None => writeln!(stderr, "c2c-authd: internal fault; ending"),
        };
        std::process::abort();
    }));
}
