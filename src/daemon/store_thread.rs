//! Disk writes off the loop's thread: one at a time, in the order they were asked for, each
//! answered once (D2).
//!
//! The store lives on a thread of its own, so nothing is shared and nothing locked. Among the
//! runtime's blocking threads a write would stand in line behind name lookups, which on a bad
//! network hang for half a minute. The new pair of a refresh would wait there.

use std::future;
use std::io;
use std::sync::mpsc as queue;
use std::thread;

use tokio::sync::mpsc;

use c2c_auth_core::{OpId, Store};

/// Depth of a write: sealing a record of a few KiB and a handful of system calls.
const STACK: usize = 256 * 1024;

/// The queue in front of a store.
#[derive(Debug)]
pub(crate) struct StoreThread {
    ask: queue::Sender<(OpId, Store)>,
    ended: mpsc::UnboundedReceiver<(OpId, bool)>,
    /// Writes without an answer.
    open: usize,
}

impl StoreThread {
    /// Starts the thread, on which `write` may block. `true` means durable. It ends with this.
    pub(crate) fn start<S: Send + 'static>(mut store: S, write: fn(&mut S, &Store) -> bool) -> io::Result<Self> {
        let (ask, asked) = queue::channel::<(OpId, Store)>();
        let (sender, ended) = mpsc::unbounded_channel();
        thread::Builder::new()
            .name("store".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                for (op, what) in asked {
                    if sender.send((op, write(&mut store, &what))).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self { ask, ended, open: 0 })
    }

    pub(crate) fn push(&mut self, op: OpId, what: Store) {
        // The thread ends before this only by a panic, which ends the process.
        if self.ask.send((op, what)).is_ok() {
            self.open += 1;
        }
    }

    /// Waits for the end of the oldest write. Waits for ever while there is none. Cancel safe.
    pub(crate) async fn next(&mut self) -> (OpId, bool) {
        if self.open > 0
            && let Some(ended) = self.ended.recv().await
        {
            self.open -= 1;
            return ended;
        }
        future::pending().await
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Blocks each write until it is let go, and tells what was begun.
    struct Disk {
        begun: Sender<usize>,
        go: Receiver<bool>,
    }

    fn write(disk: &mut Disk, what: &Store) -> bool {
        let Store::Revocations(list) = what else { unreachable!() };
        disk.begun.send(list.len()).unwrap();
        disk.go.recv().unwrap()
    }

    fn empty() -> Store {
        Store::Revocations(Vec::new())
    }

    #[tokio::test]
    async fn writes_are_done_one_at_a_time_in_order_and_answered_once() {
        let (begun, log) = channel();
        let (go, gate) = channel();
        let mut store_thread = StoreThread::start(Disk { begun, go: gate }, write).unwrap();
        for op in 1..=3 {
            store_thread.push(OpId(op), empty());
        }
        log.recv().unwrap();
        assert!(log.try_recv().is_err(), "the second began before the first ended");
        for (op, ok) in [(1, true), (2, false), (3, true)] {
            go.send(ok).unwrap();
            assert_eq!(store_thread.next().await, (OpId(op), ok));
        }
        assert_eq!(log.try_iter().count(), 2);
        assert_eq!(store_thread.open, 0);
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_loses_no_answer() {
        let (begun, _log) = channel();
        let (go, gate) = channel();
        let mut store_thread = StoreThread::start(Disk { begun, go: gate }, write).unwrap();
        store_thread.push(OpId(1), empty());
        tokio::select! {
            biased;
            _ = store_thread.next() => panic!("answered before it was written"),
            () = tokio::task::yield_now() => {}
        }
        go.send(true).unwrap();
        assert_eq!(store_thread.next().await, (OpId(1), true));
    }

    #[test]
    fn a_write_does_not_stand_in_line_behind_name_lookups() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let (let_go, hangs) = channel::<()>();
        runtime.spawn_blocking(move || hangs.recv());
        let (begun, _log) = channel();
        let (go, gate) = channel();
        go.send(true).unwrap();
        let ended = runtime.block_on(async {
            let mut store_thread = StoreThread::start(Disk { begun, go: gate }, write).unwrap();
            store_thread.push(OpId(1), empty());
            store_thread.next().await
        });
        assert_eq!(ended, (OpId(1), true));
        let_go.send(()).unwrap();
    }
}
