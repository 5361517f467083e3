//! The visible state, and the order in which its changes are signalled.
//!
//! Owns the visible [`Snapshot`] (getters read it) and the one task that emits signals. The order
//! is D4's: properties first, then signals, then the answer of the call that caused them. Hence the
//! rule for every answer: wait for [`SignalQueue::flushed`] before giving it. With nothing to emit
//! that is two loads and no wait.
//!
//! Invariants: one change of state is one `PropertiesChanged` for each interface it touches. No
//! message holds a code, a token or a NUL. A bus that does not read costs a bounded queue, never
//! the loop.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use zbus::names::UniqueName;
use zbus::{Connection, Message, Variant};

use super::text::without_nul;
use crate::messages::contract::{DEVICE, OBJECT, PAIRING, TOKENS};
use c2c_auth_core::{Generation, Snapshot, WallTime};

/// States that may wait for a slow bus. Beyond it the newest replaces the one before it: the world
/// then misses a step in between, never the last one.
const QUEUED: usize = 64;

type Changed<'a> = BTreeMap<&'static str, Variant<'a>>;

#[derive(Debug)]
pub(super) struct SignalQueue {
    visible: watch::Sender<Arc<Snapshot>>,
    queue: Mutex<VecDeque<(u64, Arc<Snapshot>)>>,
    /// Serial of the newest state handed in, and of the newest one emitted.
    published: AtomicU64,
    emitted: watch::Sender<u64>,
    wake: Notify,
}

impl SignalQueue {
    /// Begins with a state that is emitted once when the task runs.
    pub(super) fn new(first: Snapshot) -> Self {
        let first = Arc::new(clean(first));
        Self {
            visible: watch::Sender::new(Arc::clone(&first)),
            queue: Mutex::new(VecDeque::from([(1, first)])),
            published: AtomicU64::new(1),
            emitted: watch::Sender::new(0),
            wake: Notify::new(),
        }
    }

    /// The state as getters see it.
    pub(super) fn visible(&self) -> Arc<Snapshot> {
        Arc::clone(&self.visible.borrow())
    }

    /// Shows a new state. Returns at once. Nothing happens where nothing changed.
    pub(super) fn publish(&self, snapshot: Snapshot) {
        let snapshot = Arc::new(clean(snapshot));
        if *self.visible() == *snapshot {
            return;
        }
        self.visible.send_replace(Arc::clone(&snapshot));
        {
            let mut queue = self.queue();
            let serial = self.published.load(Ordering::Acquire) + 1;
            if queue.len() >= QUEUED {
                queue.pop_back();
            }
            queue.push_back((serial, snapshot));
            self.published.store(serial, Ordering::Release);
        }
        self.wake.notify_one();
    }

    /// True if everything published before this call is on the wire.
    pub(super) fn is_flushed(&self) -> bool {
        *self.emitted.borrow() >= self.published.load(Ordering::Acquire)
    }

    /// Returns when everything published before this call is on the wire.
    pub(super) async fn flushed(&self) {
        let until = self.published.load(Ordering::Acquire);
        if *self.emitted.borrow() >= until {
            return;
        }
        // The sender is ours: it cannot be gone.
        let _ = self.emitted.subscribe().wait_for(|emitted| *emitted >= until).await;
    }

    /// Emits for ever. One task per connection.
    pub(super) async fn run(&self, connection: &Connection) {
        let mut shown: Option<Arc<Snapshot>> = None;
        let mut announced = Generation::NONE;
        loop {
            while let Some((serial, next)) = self.take() {
                let sender = connection.unique_name().map(|name| &**name);
                let sent = match compose(sender, shown.as_deref(), &next, announced) {
                    Ok(messages) => connection.send_all(&messages).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = sent {
                    // A lost connection has its own ending (`Bus::closed`). Nobody is left to be
                    // told.
                    tracing::debug!("signals were not sent: {error}");
                }
                announced = announced.max(next.generation);
                shown = Some(next);
                self.emitted.send_replace(serial);
            }
            self.wake.notified().await;
        }
    }

    fn take(&self) -> Option<(u64, Arc<Snapshot>)> {
        self.queue().pop_front()
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<(u64, Arc<Snapshot>)>> {
        // Nothing in here panics halfway through a change.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn clean(mut snapshot: Snapshot) -> Snapshot {
    for text in [
        &mut snapshot.device.name,
        &mut snapshot.device.project_id,
        &mut snapshot.device.project_name,
    ] {
        without_nul(text);
    }
    snapshot
}

/// `LastError` on the wire: a word, and seconds since 1970 or 0.
pub(super) fn last_error(snapshot: &Snapshot) -> (&'static str, u64) {
    snapshot
        .last_error
        .map_or(("none", 0), |(word, at)| (word.word(), seconds(at)))
}

/// A time on the wire: seconds since 1970, or 0.
pub(super) fn seconds(at: Option<WallTime>) -> u64 {
    at.map_or(0, WallTime::as_secs)
}

/// The messages that lead from one state to the next, or all of them where there is none before.
/// `announced` is the newest token that listeners were told of. One that comes back (the last of an
/// ended pairing, found alive) is no news.
fn compose(
    sender: Option<&UniqueName<'_>>,
    before: Option<&Snapshot>,
    after: &Snapshot,
    announced: Generation,
) -> zbus::Result<Vec<Message>> {
    let mut messages = Vec::new();
    for (interface, changed) in [
        (PAIRING, pairing(before, after)),
        (TOKENS, tokens(before, after)),
        (DEVICE, device(before, after)),
    ] {
        if !changed.is_empty() {
            let invalidated: &[&str] = &[];
            let body = (interface, changed, invalidated);
            messages.push(signal(
                sender,
                "org.freedesktop.DBus.Properties",
                "PropertiesChanged",
                &body,
            )?);
        }
    }
    if before.is_none_or(|before| (before.pairing, before.reason) != (after.pairing, after.reason)) {
        let body = (after.pairing.word(), after.reason.word());
        messages.push(signal(sender, PAIRING, "PairingStateChanged", &body)?);
    }
    if after.generation > announced {
        messages.push(signal(sender, TOKENS, "AccessTokenChanged", &(after.generation.0,))?);
    }
    Ok(messages)
}

fn signal<B>(sender: Option<&UniqueName<'_>>, interface: &str, member: &str, body: &B) -> zbus::Result<Message>
where
    B: serde::Serialize + zbus::DynamicType,
{
    let mut builder = Message::signal(OBJECT, interface, member);
    if let Some(sender) = sender {
        builder = builder.sender(sender);
    }
    builder.build(body)
}

fn pairing<'a>(before: Option<&Snapshot>, after: &'a Snapshot) -> Changed<'a> {
    let mut changed = Changed::new();
    note(&mut changed, "PairingState", before, after, |at| at.pairing.word());
    note(&mut changed, "Paired", before, after, |at| at.paired);
    note(&mut changed, "PairingReason", before, after, |at| at.reason.word());
    note(&mut changed, "AttentionNeeded", before, after, |at| at.attention);
    changed
}

fn tokens<'a>(before: Option<&Snapshot>, after: &'a Snapshot) -> Changed<'a> {
    let mut changed = Changed::new();
    note(&mut changed, "TokenState", before, after, |at| at.token.word());
    note(&mut changed, "Generation", before, after, |at| at.generation.0);
    changed
}

fn device<'a>(before: Option<&Snapshot>, after: &'a Snapshot) -> Changed<'a> {
    let mut changed = Changed::new();
    note(&mut changed, "DeviceName", before, after, |at| at.device.name.clone());
    note(&mut changed, "ProjectId", before, after, |at| {
        at.device.project_id.clone()
    });
    note(&mut changed, "ProjectName", before, after, |at| {
        at.device.project_name.clone()
    });
    note(&mut changed, "PairedSince", before, after, |at| {
        seconds(at.lifetimes.paired_since)
    });
    note(&mut changed, "TokenExpires", before, after, |at| {
        seconds(at.lifetimes.token_expires)
    });
    note(&mut changed, "RefreshBy", before, after, |at| {
        seconds(at.lifetimes.refresh_by)
    });
    note(&mut changed, "AuthorizationExpires", before, after, |at| {
        seconds(at.lifetimes.authorization_expires)
    });
    note(&mut changed, "Paused", before, after, |at| at.contact.paused);
    note(&mut changed, "LastError", before, after, last_error);
    changed
}

fn note<'a, T>(
    changed: &mut Changed<'a>,
    name: &'static str,
    before: Option<&Snapshot>,
    after: &Snapshot,
    read: impl Fn(&Snapshot) -> T,
) where
    T: PartialEq + Into<Variant<'a>>,
{
    let value = read(after);
    if before.is_none_or(|before| read(before) != value) {
        changed.insert(name, value.into());
    }
}
