//! Rare events: signals, clock steps, network hints, the end of the bus.
//!
//! A task of its own waits for them. The loop turns for every call from the bus and would poll all
//! these sources each time. So it polls one queue. Nothing is lost by the detour: each source keeps
//! what is not taken yet, once, however often it happened.

use std::future::{self, Future};
use std::io;
use std::pin::Pin;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::signals::{SignalRequest, Signals};
use super::timer::ClockStepWatch;

/// Resolves when the connection to the bus is lost.
pub(crate) type Closed = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Debug)]
pub(crate) struct Sources {
    pub steps: Option<ClockStepWatch>,
    /// Hints that the network may be back.
    pub network: Option<mpsc::Receiver<()>>,
    pub signals: Signals,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SystemEvent {
    /// Somebody set the system clock.
    ClockStepped,
    NetworkUp,
    Signal(SignalRequest),
    /// The connection to the bus is lost. Said once.
    BusClosed,
}

/// The listening task. Ends with this.
#[derive(Debug)]
pub(crate) struct SystemEvents {
    events: mpsc::Receiver<io::Result<SystemEvent>>,
    _task: JoinSet<()>,
}

impl SystemEvents {
    /// Starts listening. Must be called inside a runtime.
    pub(crate) fn open(mut sources: Sources, closed: Closed) -> Self {
        let (sender, events) = mpsc::channel(1);
        let mut closed = Some(closed);
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let heard = listen(&mut sources, &mut closed).await;
                let last = heard.is_err();
                if sender.send(heard).await.is_err() || last {
                    return;
                }
            }
        });
        Self { events, _task: task }
    }

    /// Waits for the next event. Cancel safe.
    ///
    /// # Errors
    /// The kernel's timer failed. It is the last thing that is heard.
    pub(crate) async fn next(&mut self) -> io::Result<SystemEvent> {
        match self.events.recv().await {
            Some(event) => event,
            None => future::pending().await,
        }
    }
}

async fn listen(sources: &mut Sources, closed: &mut Option<Closed>) -> io::Result<SystemEvent> {
    let Sources {
        steps,
        network,
        signals,
    } = sources;
    tokio::select! {
        stepped = step_of(steps.as_ref()) => stepped.map(|()| SystemEvent::ClockStepped),
        () = hint_of(network) => Ok(SystemEvent::NetworkUp),
        request = signals.next() => Ok(SystemEvent::Signal(request)),
        () = end_of(closed) => Ok(SystemEvent::BusClosed),
    }
}

async fn step_of(steps: Option<&ClockStepWatch>) -> io::Result<()> {
    match steps {
        Some(steps) => steps.stepped().await,
        None => future::pending().await,
    }
}

async fn hint_of(network: &mut Option<mpsc::Receiver<()>>) {
    if let Some(hints) = network {
        if hints.recv().await.is_some() {
            return;
        }
        // The listener has said why it ended.
        *network = None;
    }
    future::pending::<()>().await;
}

async fn end_of(closed: &mut Option<Closed>) {
    match closed {
        Some(end) => end.await,
        None => future::pending().await,
    }
    *closed = None;
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[tokio::test]
    async fn each_hint_is_heard_and_the_end_of_the_bus_only_once() {
        let (hint, network) = mpsc::channel(1);
        let sources = Sources {
            steps: None,
            network: Some(network),
            signals: Signals::listen().unwrap(),
        };
        let mut system_events = SystemEvents::open(sources, Box::pin(future::ready(())));
        assert_eq!(system_events.next().await.unwrap(), SystemEvent::BusClosed);
        for _ in 0..2 {
            hint.send(()).await.unwrap();
            assert_eq!(system_events.next().await.unwrap(), SystemEvent::NetworkUp);
        }
        // With nobody left to give hints the rest is still heard, and nothing is heard twice.
        drop(hint);
        tokio::select! {
            biased;
            event = system_events.next() => panic!("{event:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
}
