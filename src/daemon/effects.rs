//! Carries out what the core decides, in order (D1), and keeps nothing of its own opinion.
//!
//! Owns: requests under way, prepared connections and listeners, the queue of writes, whoever waits
//! for an answer, the inhibitor lock. Must never: wait inside [`EffectRunner::carry_out`], decide,
//! or let an effect go by without its outcome.
//!
//! - Each request has exactly one outcome unless it was cancelled (D3). A refresh whose connection
//!   is not there any more ends as "nothing was sent".
//! - A refresh and a poll run to their own limit once started, even when they are cancelled.
//! - A state is handed to the bus before the answers that follow from it. The bus keeps that order
//!   on the wire (D4).

use std::collections::BTreeMap;
use std::io;

use tokio::sync::{mpsc, oneshot};

use super::authorize::authorize;
use super::dropped::{DroppedAnswers, Purpose, fault_of};
use super::entry;
use super::in_flight::{InFlight, OnCancel};
use super::inhibit::Inhibitor;
use super::store_thread::StoreThread;
use crate::bus::{Bus, Call, Refusal};
use crate::discovery::Client;
use crate::loopback::Listener;
use crate::messages::journal::{Entry, Priority};
use crate::oauth::Kind;
use crate::store::Store;
use crate::transport::{Connection, Outcome, Prepared};
use c2c_auth_core::{
    Answer, CallError, CallId, Command, Effect, Effects, Event, Fault, FaultKind, OpId, PairingState, RefreshAnswer,
    Reply, Request,
};

type Answerer = oneshot::Sender<Result<Reply, Refusal>>;

pub(crate) struct EffectRunner {
    client: Client,
    bus: Bus,
    in_flight: InFlight<Completed>,
    prepared: BTreeMap<OpId, Connection>,
    /// Where a browser is awaited, each under the request that made it.
    listeners: BTreeMap<OpId, Listener>,
    /// For the listeners: a browser's answer is a call like any other.
    calls: mpsc::Sender<Call>,
    store_thread: StoreThread,
    /// In the order of their numbers. A handful, usually one: an allocation for each would be
    /// dearer than moving them up.
    callers: Vec<(CallId, Purpose, Answerer)>,
    next_call: u64,
    inhibitor: Inhibitor,
    state: PairingState,
    dropped: DroppedAnswers,
}

/// The result of carrying out a list of effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// The world was shown another state.
    pub published: bool,
    /// Nothing is left that must be finished.
    pub drained: bool,
}

/// A request that ended, with what it leaves behind.
struct Completed {
    kind: Kind,
    outcome: Outcome,
    connection: Option<Connection>,
    listener: Option<Listener>,
}

impl Completed {
    fn new(kind: Kind, outcome: Outcome) -> Self {
        Self {
            kind,
            outcome,
            connection: None,
            listener: None,
        }
    }
}

impl EffectRunner {
    pub(crate) fn new(
        client: Client,
        bus: Bus,
        store_thread: StoreThread,
        state: PairingState,
        calls: mpsc::Sender<Call>,
    ) -> Self {
        Self {
            client,
            bus,
            in_flight: InFlight::new(),
            prepared: BTreeMap::new(),
            listeners: BTreeMap::new(),
            calls,
            store_thread,
            callers: Vec::new(),
            next_call: 0,
            inhibitor: Inhibitor::default(),
            state,
            dropped: DroppedAnswers::default(),
        }
    }

    /// Takes a call in: the event for the core, and the caller kept until its answer.
    pub(crate) fn admit(&mut self, call: Call) -> (CallId, Command) {
        let id = CallId(self.next_call);
        self.next_call += 1;
        self.callers.push((id, Purpose::of(&call.command), call.reply));
        (id, call.command)
    }

    /// Carries out all of it, in order, without waiting. Leaves the list empty, for the next event.
    pub(crate) fn carry_out(&mut self, effects: &mut Effects) -> Done {
        let mut done = Done::default();
        for effect in effects.drain(..) {
            match effect {
                Effect::Request(op, request) => self.request(op, request),
                Effect::Cancel(op) => self.cancel(op),
                Effect::Store(op, what) => self.store_thread.push(op, what),
                Effect::Inhibit => self.inhibitor.take(self.bus.inhibit()),
                Effect::Release => self.inhibitor.release(),
                Effect::Publish(snapshot) => {
                    self.state = snapshot.pairing;
                    self.bus.publish(*snapshot);
                    done.published = true;
                }
                Effect::Reply(id, answer) => self.reply(id, answer),
                Effect::Log(event) => {
                    let why = fault_of(&event).and_then(|fault| self.dropped.take_why(fault));
                    let mut entry = Entry::because(&event, why.as_deref()).in_state(self.state);
                    entry.sentence.extend(self.dropped.take_explanation());
                    entry::write(&entry);
                }
                Effect::Drained => done.drained = true,
            }
        }
        done
    }

    /// Waits for the next end of a request or a write. Waits for ever while there is none. Cancel
    /// safe.
    pub(crate) async fn next(&mut self) -> Event {
        tokio::select! {
            (op, completed) = self.in_flight.next() => {
                if let Some(connection) = completed.connection {
                    self.prepared.insert(op, connection);
                }
                if let Some(listener) = completed.listener {
                    self.listeners.insert(op, listener);
                }
                let Outcome {
                    date,
                    answer,
                    dropped,
                    explanation,
                    ..
                } = completed.outcome;
                self.dropped.handle_answer(completed.kind, &answer, dropped.as_ref());
                self.dropped.keep_explanation(completed.kind, &answer, explanation);
                Event::Answered { op, date, answer }
            }
            (op, ok) = self.store_thread.next() => Event::Stored { op, ok },
        }
    }

    /// The core has had its say about the last answer. What was dropped without a word is told now.
    pub(crate) fn explain_rest(&mut self) {
        let sentence = self.dropped.take_sentence();
        let explanation = self.dropped.take_explanation().unwrap_or_default();
        match sentence {
            Some((fault, sentence)) if Priority::of_fault(fault) == Priority::Warning => {
                tracing::warn!("{sentence}{explanation}");
            }
            Some((_, sentence)) => tracing::info!("{sentence}{explanation}"),
            None => {}
        }
    }

    // As [`Client::handle_clock_step`].
    pub(crate) fn handle_clock_step(&self) {
        self.client.handle_clock_step();
    }

    /// The end has begun: nothing new is learned of the server, so that what is out ends within its
    /// own limit.
    pub(crate) fn shut_down(&self) {
        self.client.shut_down();
    }

    /// The end: the last signals and answers go out, whatever is still under way is cut.
    pub(crate) async fn leave(self) {
        // Callers without an answer get one: the bus answers for a reply that is dropped.
        drop(self.callers);
        self.bus.leave().await;
    }

    fn request(&mut self, op: OpId, request: Request) {
        let client = self.client.clone();
        match request {
            Request::Prepare => self.in_flight.start(op, OnCancel::Abort, async move {
                let Prepared { outcome, connection } = client.prepare().await;
                Completed {
                    connection,
                    ..Completed::new(Kind::Prepare, outcome)
                }
            }),
            Request::Refresh { on, token, patience } => match self.prepared.remove(&on) {
                Some(connection) => self.in_flight.start(op, OnCancel::Finish, async move {
                    Completed::new(Kind::Refresh, client.refresh(connection, &token, patience).await)
                }),
                None => self.in_flight.start(op, OnCancel::Finish, async { unsent() }),
            },
            Request::Poll(..) | Request::Exchange { .. } => self.send(op, OnCancel::Finish, request),
            Request::DeviceCode | Request::Revoke(_) | Request::Probe(_) | Request::Heartbeat(_) => {
                self.send(op, OnCancel::Abort, request);
            }
            Request::Authorize => {
                let calls = self.calls.clone();
                self.in_flight.start(op, OnCancel::Abort, async move {
                    let (outcome, listener) = authorize(client, calls).await;
                    Completed {
                        listener,
                        ..Completed::new(Kind::Authorize, outcome)
                    }
                });
            }
        }
    }

    fn send(&mut self, op: OpId, on_cancel: OnCancel, request: Request) {
        let client = self.client.clone();
        let kind = Kind::of(&request);
        self.in_flight.start(op, on_cancel, async move {
            Completed::new(kind, client.send(&request).await)
        });
    }

    fn cancel(&mut self, op: OpId) {
        self.in_flight.cancel(op);
        self.prepared.remove(&op);
        self.listeners.remove(&op);
    }

    fn reply(&mut self, id: CallId, answer: Result<Reply, CallError>) {
        match self.callers.binary_search_by_key(&id, |(id, ..)| *id) {
            Ok(place) => {
                let (_, purpose, caller) = self.callers.remove(place);
                let answer = answer.map_err(|error| Refusal {
                    error,
                    because: self.dropped.behind(error, purpose),
                });
                // A caller that has gone away leaves nobody to be told.
                drop(caller.send(answer));
            }
            // I6 is the core's to keep. Said in debug builds, where its tests run.
            Err(_) => debug_assert!(false, "a second answer to call {}", id.0),
        }
    }
}

/// A refresh that has no connection to go out on.
fn unsent() -> Completed {
    let fault = Fault {
        kind: FaultKind::Offline,
        retry_after: None,
    };
    let answer = Answer::Refresh(RefreshAnswer::Failed(fault));
    Completed::new(Kind::Refresh, answer.into())
}

/// The queue in front of the store.
pub(crate) fn store_thread(store: Store) -> io::Result<StoreThread> {
    StoreThread::start(store, write)
}

/// One write, on the thread where it may block.
fn write(store: &mut Store, what: &c2c_auth_core::Store) -> bool {
    store
        .write(what)
        // The core notes that writing fails, once. Why it fails is known only here.
        .inspect_err(|error| tracing::warn!("{error}"))
        .is_ok()
}

#[cfg(test)]
mod tests;
