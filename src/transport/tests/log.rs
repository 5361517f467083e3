//! The journal of one test, at every level.

use std::io::Write;
use std::sync::{Arc, Mutex};

/// Begins with [`Log::start`] and ends with the value.
pub(crate) struct Log {
    written: Written,
    _default: tracing::subscriber::DefaultGuard,
    _second: tracing::Dispatch,
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn start() -> Self {
        let written = Written::default();
        let sink = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || sink.clone())
            .finish();
        Self {
            written,
            _default: tracing::subscriber::set_default(subscriber),
            // tracing caches per call site who is interested, and asks only the present thread
            // while there is a single subscriber: a test beside this one would answer "nobody" for
            // all. With a second one, all are asked.
            _second: tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default()),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.written.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
