//! Protects the memory of the daemon and of the operator's tool, and handles their own faults,
//! before they read the first secret.

use std::io::Write;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Keeps secrets out of core dumps and out of reach of other processes of the same user (`ptrace`,
/// `/proc/PID/mem`).
///
/// Best effort: a kernel or sandbox that refuses is told and does not keep the device from working.
/// Programs that are called inherit the limit on core dumps.
pub(crate) fn protect_memory(warn: impl Fn(String)) {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        warn(format!("the process stays dumpable: {error}"));
    }
    if let Err(error) = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    ) {
        warn(format!("core dumps stay possible: {error}"));
    }
}

/// Makes every panic the end of the process, in every build profile: the loop owns everything, so a
/// daemon that lost a task would live on without doing its work, and systemd would not know.
///
/// Says where, and not what: a panic's message may quote the data that caused it.
pub(crate) fn die_on_panic(program: &'static str) {
    std::panic::set_hook(Box::new(move |panic| {
        // Not through tracing: it may be tracing that panicked.
        let mut stderr = std::io::stderr().lock();
        let _ = match panic.location() {
            Some(at) => writeln!(
                stderr,
                "{program}: internal fault at {}:{}; ending",
                at.file(),
                at.line()
            ),
            None => writeln!(stderr, "{program}: internal fault; ending"),
        };
        std::process::abort();
    }));
}
