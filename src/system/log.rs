//! Where log lines go: to journald with their fields when stderr is the journal, else to stderr as
//! text.
//!
//! Only this crate speaks. What its dependencies would log is not under our promise that no secret
//! is ever logged (I8): zbus traces messages, and one of them carries the token.
//!
//! The level comes from `$C2C_LOG` (`error`, `warn`, `info`, `debug`, by default `info`) and not
//! from the configuration. It is needed before the configuration is read, and to find out why
//! reading it fails.

use std::fmt;
use std::io;

use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Under which `journalctl -t` finds us.
const IDENTIFIER: &str = "c2c-authd";

/// Installs logging for the process. To be called once. A second call changes nothing.
pub(crate) fn init() {
    let wanted = std::env::var("C2C_LOG").ok();
    let level = wanted.as_deref().map_or(Some(LevelFilter::INFO), parse_level);
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level.unwrap_or(LevelFilter::INFO));
    let journal = stderr_is_the_journal()
        .then(|| tracing_journald::layer().ok())
        .flatten()
        .map(|layer| {
            layer
                .with_field_prefix(None)
                .with_syslog_identifier(IDENTIFIER.to_owned())
                .with_priority_mappings(PriorityMappings {
                    info: Priority::Informational,
                    debug: Priority::Debug,
                    ..PriorityMappings::new()
                })
        });
    let text = journal.is_none().then(|| {
        tracing_subscriber::fmt::layer()
            .with_writer(io::stderr)
            .with_target(false)
            .with_ansi(false)
            .fmt_fields(debug_fn(write_field))
    });
    // An error means that logging is installed already: by a test, or an embedder who knows better.
    let _ = tracing_subscriber::registry()
        .with(ours)
        .with(journal)
        .with(text)
        .try_init();
    if level.is_none() {
        tracing::warn!("C2C_LOG takes error, warn, info or debug; using info");
    }
}

fn parse_level(word: &str) -> Option<LevelFilter> {
    match word {
        "error" => Some(LevelFilter::ERROR),
        "warn" => Some(LevelFilter::WARN),
        "info" | "" => Some(LevelFilter::INFO),
        "debug" => Some(LevelFilter::DEBUG),
        _ => None,
    }
}

/// On a terminal the id is noise: the word says the same.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    match field.name() {
        "message" => write!(writer, "{value:?}"),
        "MESSAGE_ID" => Ok(()),
        name => write!(writer, " {name}={value:?}"),
    }
}

/// True if stderr is the very stream that systemd connected to the journal (`systemd.exec(5)`,
/// `JOURNAL_STREAM`): a variable inherited past a redirection says nothing.
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    rustix::fs::fstat(io::stderr()).is_ok_and(|stat| same_stream(&stream, stat.st_dev, stat.st_ino))
}

fn same_stream(stream: &str, device: u64, inode: u64) -> bool {
    stream
        .split_once(':')
        .and_then(|(d, i)| Some((d.parse::<u64>().ok()?, i.parse::<u64>().ok()?)))
        .is_some_and(|named| named == (device, inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_four_words() {
        assert_eq!(parse_level("debug"), Some(LevelFilter::DEBUG));
        assert_eq!(parse_level("trace"), None, "a dependency's level, not ours");
        assert_eq!(parse_level("DEBUG"), None);
    }

    #[test]
    fn the_stream_is_recognized_by_device_and_inode() {
        assert!(same_stream("8:1234", 8, 1234));
        for other in ["8:1235", "9:1234", "8", "", "8:1234:5", ":", "-8:1234"] {
            assert!(!same_stream(other, 8, 1234), "{other}");
        }
    }

    #[test]
    fn text_lines_hold_the_sentence_and_the_fields_but_not_the_id_and_nothing_of_other_crates() {
        let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let sink = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || Sink(sink.clone()))
            .with_target(false)
            .with_ansi(false)
            .without_time()
            .fmt_fields(debug_fn(write_field));
        let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::INFO);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(ours).with(layer), || {
            tracing::info!(
                MESSAGE_ID = "0123",
                C2C_EVENT = "paired",
                C2C_GENERATION = Some(7),
                C2C_STATE = None::<u64>,
                "Paired."
            );
            tracing::debug!("too fine");
            tracing::error!(target: "zbus", "a message with a token");
        });
        let text = lines
            .lock()
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default();
        assert_eq!(text, " INFO Paired. C2C_EVENT=\"paired\" C2C_GENERATION=7\n");
    }

    struct Sink(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Ok(mut all) = self.0.lock() {
                all.extend_from_slice(bytes);
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
