//! Rare events: signals, clock steps, network hints, the end of the bus.
//!
//! A task of its own waits for them. The loop turns for every call from the bus and would poll all these sources each time; so it
//! polls one queue. Nothing is lost by the detour: each source keeps what is not taken yet, once, however often it happened.

use std::future::{self, Future};
use std::io;
use std::pin::Pin;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::signals::{Signals, Wish};
use super::timer::StepWatch;

/// Resolves when the connection to the bus is lost.
pub(crate) type Closed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is listened to.
#[derive(Debug)]
pub(crate) struct Sources {
    /// Steps of the system clock.
    pub steps: Option<StepWatch>,
    /// Hints that the network may be back.
    pub network: Option<mpsc::Receiver<()>>,
    /// The signals.
    pub signals: Signals,
}

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Somebody set the system clock.
    ClockStepped,
    /// The network may be back.
    NetworkUp,
    /// A signal.
    Wish(Wish),
    /// The connection to the bus is lost. Said once.
    BusClosed,
}

/// The listening task. Ends with this.
#[derive(Debug)]
pub(crate) struct Ears {
    news: mpsc::Receiver<io::Result<News>>,
    _task: JoinSet<()>,
}

impl Ears {
    /// Starts listening. Must be called inside a runtime.
    #[must_use]
    pub(crate) fn open(mut sources: Sources, closed: Closed) -> Self {
        let (tell, news) = mpsc::channel(1);
        let mut closed = Some(closed);
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let heard = listen(&mut sources, &mut closed).await;
                let last = heard.is_err();
                if tell.send(heard).await.is_err() || last {
                    return;
                }
            }
        });
        Self { news, _task: task }
    }

    /// Waits for the next piece of news. Cancel safe.
    ///
    /// # Errors
    /// The kernel's timer failed. It is the last thing that is heard.
    pub(crate) async fn next(&mut self) -> io::Result<News> {
        match self.news.recv().await {
            Some(news) => news,
            None => future::pending().await,
        }
    }
}

async fn listen(sources: &mut Sources, closed: &mut Option<Closed>) -> io::Result<News> {
    let Sources {
        steps,
        network,
        signals,
    } = sources;
    tokio::select! {
        stepped = step_of(steps.as_ref()) => stepped.map(|()| News::ClockStepped),
        () = hint_of(network) => Ok(News::NetworkUp),
        wish = signals.next() => Ok(News::Wish(wish)),
        () = end_of(closed) => Ok(News::BusClosed),
    }
}

async fn step_of(steps: Option<&StepWatch>) -> io::Result<()> {
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
        let mut ears = Ears::open(sources, Box::pin(future::ready(())));
        assert_eq!(ears.next().await.unwrap(), News::BusClosed);
        for _ in 0..2 {
            hint.send(()).await.unwrap();
            assert_eq!(ears.next().await.unwrap(), News::NetworkUp);
        }
        // With nobody left to give hints the rest is still heard, and nothing is heard twice.
        drop(hint);
        tokio::select! {
            biased;
            news = ears.next() => panic!("{news:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
}
