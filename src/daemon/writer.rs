//! Disk writes off the loop's thread: one at a time, in the order they were asked for, each answered once (D2).
//!
//! The store travels: it lies here while idle and is moved to a blocking thread for each write, so nothing is shared and
//! nothing locked. The thread goes away after a while; a paired, idle daemon has one thread.

use std::collections::VecDeque;
use std::future;

use tokio::task::JoinHandle;

use crate::core::{OpId, Store};

/// The queue in front of a store `S`.
#[derive(Debug)]
pub struct Writer<S> {
    write: fn(&mut S, &Store) -> bool,
    idle: Option<S>,
    busy: Option<JoinHandle<(S, OpId, bool)>>,
    waiting: VecDeque<(OpId, Store)>,
}

impl<S: Send + 'static> Writer<S> {
    /// A queue whose writes are done by `write`, on a thread where it may block. `true` means durable.
    #[must_use]
    pub const fn new(store: S, write: fn(&mut S, &Store) -> bool) -> Self {
        Self {
            write,
            idle: Some(store),
            busy: None,
            waiting: VecDeque::new(),
        }
    }

    /// Asks for a write.
    pub fn push(&mut self, op: OpId, what: Store) {
        self.waiting.push_back((op, what));
        self.start();
    }

    /// Waits for the end of the oldest write; for ever while there is none. Cancel safe.
    pub async fn next(&mut self) -> (OpId, bool) {
        let Some(busy) = &mut self.busy else {
            return future::pending().await;
        };
        match busy.await {
            Ok((store, op, ok)) => {
                self.busy = None;
                self.idle = Some(store);
                self.start();
                (op, ok)
            }
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is being shut down; nobody waits for an answer.
                Err(_cancelled) => future::pending().await,
            },
        }
    }

    fn start(&mut self) {
        let Some(mut store) = self.idle.take() else { return };
        match self.waiting.pop_front() {
            Some((op, what)) => {
                let write = self.write;
                self.busy = Some(tokio::task::spawn_blocking(move || {
                    let ok = write(&mut store, &what);
                    (store, op, ok)
                }));
            }
            None => self.idle = Some(store),
        }
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
        let mut writer = Writer::new(Disk { begun, go: gate }, write);
        for op in 1..=3 {
            writer.push(OpId(op), empty());
        }
        log.recv().unwrap();
        assert!(log.try_recv().is_err(), "the second began before the first ended");
        for (op, ok) in [(1, true), (2, false), (3, true)] {
            go.send(ok).unwrap();
            assert_eq!(writer.next().await, (OpId(op), ok));
        }
        assert_eq!(log.try_iter().count(), 2);
        assert!(writer.idle.is_some() && writer.busy.is_none());
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_loses_no_answer() {
        let (begun, _log) = channel();
        let (go, gate) = channel();
        let mut writer = Writer::new(Disk { begun, go: gate }, write);
        writer.push(OpId(1), empty());
        tokio::select! {
            biased;
            _ = writer.next() => panic!("answered before it was written"),
            () = tokio::task::yield_now() => {}
        }
        go.send(true).unwrap();
        assert_eq!(writer.next().await, (OpId(1), true));
    }
}
