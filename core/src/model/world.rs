//! The world around the core: time, the driver and what it has under way, and what is left of it
//! after a crash.

use std::collections::VecDeque;

use crate::{
    Body, BootTime, CallError, CallId, Effect, GrantId, MAX_REVOCATIONS, OpId, PendingRevocation, Record, Reply,
    Request, Revocable, Snapshot, Store, Stored, WallTime,
};

use super::disk::{Disk, Restart, Unreadable};
use super::excuses::Failed;
use super::history::{History, Subject, families_before, families_listed};
use super::network::{Answering, InFlight, kind_of};
use super::scenario::{BOOTED_AT, Budget, EPOCH, Scenario, Start};
use super::server::{Pair, Quirks, Server, millis};
use super::step::{Ask, Clock, DiskFate, RequestKind};

/// The disk works or fails within this. How long it took is what the mark's time can be off by.
pub(super) const DISK_LIMIT: u64 = 5_000;

/// Every method answers within this.
const CALL_LIMIT: u64 = 20_000;

/// A store that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Write {
    pub(super) op: OpId,
    pub(super) store: Store,
    /// When it must have ended.
    limit: u64,
}

/// A call without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct OpenCall {
    pub(super) id: CallId,
    pub(super) ask: Ask,
    /// It says something new against the token in hand.
    rejects: bool,
    /// When it must have been answered.
    pub(super) until: BootTime,
}

/// Everything that is not the core.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not the states of one machine"
)]
pub(super) struct World {
    /// Milliseconds since the model's beginning, across boots.
    pub(super) real: u64,
    /// `real` at the start of this boot.
    pub(super) booted: u64,
    pub(super) boot: u8,
    pub(super) clock: Clock,
    /// A `Date` told that the clock is wrong.
    pub(super) contradicted: bool,
    /// The earliest time that it can be, as the driver knows it.
    pub(super) floor: WallTime,
    pub(super) server: Server,
    pub(super) disk: Disk,
    pub(super) in_flight: Vec<InFlight>,
    /// A user began to pair, and no code was asked for since.
    overtaken: bool,
    /// The answer that the core is being told.
    pub(super) answering: Option<Answering>,
    /// Connections that stand ready for a refresh.
    pub(super) prepared: Vec<OpId>,
    /// Listeners that a browser can come back to.
    pub(super) listeners: Vec<OpId>,
    /// Two grants of this device are separate at the server: what gives way is to be revoked.
    pub(super) separate_grants: bool,
    /// No resource tells whether a token lives.
    pub(super) without_probe: bool,
    /// Least time between polls of whatever codes.
    pub(super) interval: u64,
    /// Life of an access token.
    pub(super) access_life: u64,
    /// A write works or fails within this.
    pub(super) disk_limit: u64,
    pub(super) named_boots: bool,
    /// Processes so far, where boots have no identity.
    pub(super) processes: u8,
    /// When the advisory window opens, in percent, and when it did as the last refresh was
    /// prepared.
    pub(super) window: u8,
    pub(super) window_prepared: u8,
    pub(super) stores: VecDeque<Write>,
    /// The list of revocations as the core told it last, whether or not the disk took it.
    pub(super) listed: Vec<PendingRevocation>,
    pub(super) calls: Vec<OpenCall>,
    pub(super) next_call: u64,
    pub(super) budget: Budget,
    pub(super) history: History,
}

impl World {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut server = Server::new();
        let mut disk = Disk {
            unreadable: match scenario.start {
                Start::Foreign => Some(Unreadable::Foreign),
                Start::Sealed => Some(Unreadable::Sealed),
                Start::Fresh | Start::Paired { .. } | Start::Candidate { .. } => None,
            },
            ..Disk::default()
        };
        let mut history = History::default();
        let pairs = match scenario.start {
            Start::Fresh | Start::Foreign | Start::Sealed => 0,
            Start::Paired { .. } => 1,
            Start::Candidate { .. } => 2,
        };
        let mut pairs = (0..pairs)
            .map(|_| server.authorize(&scenario.quirks, 0))
            .collect::<Vec<_>>()
            .into_iter();
        if let Some(pair) = pairs.next() {
            let candidate = pairs.next();
            let record = scenario.record(pair, candidate);
            history.delivered.push(pair);
            history.delivered.extend(candidate);
            for number in 0..scenario.listed {
                let old = server.authorize(&scenario.quirks, 0);
                history.delivered.push(old);
                disk.revocations.push(PendingRevocation {
                    grant: GrantId(100 + u64::from(number)),
                    token: Revocable::Refresh(old.refresh()),
                    ends: None,
                });
            }
            history.written(&record);
            disk.newest = Some(record.clone());
            disk.previous = Some(record);
        }
        Self {
            real: millis(scenario.begin()),
            booted: 0,
            boot: 0,
            clock: scenario.clock,
            contradicted: false,
            floor: WallTime::from_secs(EPOCH),
            server,
            disk,
            in_flight: Vec::new(),
            overtaken: false,
            answering: None,
            prepared: Vec::new(),
            listeners: Vec::new(),
            separate_grants: scenario.policy.separate_grants,
            without_probe: !scenario.policy.can_probe,
            interval: millis(scenario.quirks.interval),
            access_life: millis(scenario.quirks.access_life),
            disk_limit: scenario.disk_limit,
            named_boots: scenario.named_boots,
            processes: 0,
            window: scenario.policy.refresh_at_percent,
            window_prepared: scenario.policy.refresh_at_percent,
            stores: VecDeque::new(),
            listed: Vec::new(),
            calls: Vec::new(),
            next_call: 1,
            budget: scenario.budget,
            history,
        }
    }

    /// The state that the store hands to a start.
    pub(super) fn load(&mut self, restart: Restart) -> Stored {
        let boot = self.identity().id;
        let stored = self.disk.load(restart, boot);
        self.listed.clone_from(&stored.revocations);
        stored
    }

    /// Moves time to `boot` or later.
    pub(super) fn reach(&mut self, boot: BootTime, quirks: &Quirks) {
        let real = (boot.as_millis() + self.booted).saturating_sub(BOOTED_AT);
        self.pass(real.saturating_sub(self.real), quirks);
    }

    pub(super) fn pass(&mut self, by: u64, quirks: &Quirks) {
        if by > 0 {
            self.real += by;
            self.history.expire(self.real);
            self.server.expire(quirks, self.real);
        }
    }

    /// The moment that time cannot pass before something ended.
    pub(super) fn horizon(&self) -> Option<BootTime> {
        let in_flight = self.in_flight.iter().map(|flight| flight.limit);
        let first = in_flight.chain(self.stores.front().map(|store| store.limit)).min()?;
        Some(BootTime::from_millis(first - self.booted + BOOTED_AT))
    }

    pub(super) fn busy(&self) -> bool {
        !self.in_flight.is_empty() || !self.stores.is_empty()
    }

    pub(super) fn is_in_flight(&self, kind: RequestKind) -> bool {
        self.in_flight_of(kind) > 0
    }

    pub(super) fn in_flight_of(&self, kind: RequestKind) -> usize {
        let of_kind = |flight: &&InFlight| kind_of(&flight.request) == kind;
        self.in_flight.iter().filter(of_kind).count()
    }

    /// True if there is a request of this kind that the server has yet to look at.
    pub(super) fn is_unseen(&self, kind: RequestKind) -> bool {
        self.in_flight.iter().any(|flight| flight.is_unseen(kind, self.real))
    }

    /// A user begins to pair. What was sent before the first code request concerns another flow.
    pub(super) fn begin_flow(&mut self) {
        self.history.started();
        self.overtaken = true;
    }

    /// True if the server is done with the oldest request of this kind, and only its answer is on
    /// its way.
    pub(super) fn was_carried_out(&self, kind: RequestKind) -> bool {
        let oldest = self.in_flight.iter().find(|flight| kind_of(&flight.request) == kind);
        oldest.is_some_and(InFlight::carried_out)
    }

    /// True if the oldest request of this kind carries a token that lived when it was sent, and
    /// does not any more.
    pub(super) fn was_outlived(&self, kind: RequestKind) -> bool {
        let oldest = self.in_flight.iter().find(|flight| kind_of(&flight.request) == kind);
        oldest.is_some_and(|flight| flight.outlived(&self.server, self.real))
    }

    /// True if the machine slept through all that could have become of the oldest request of this
    /// kind.
    pub(super) fn was_slept_away(&self, kind: RequestKind) -> bool {
        let oldest = self.in_flight.iter().find(|flight| kind_of(&flight.request) == kind);
        oldest.is_some_and(|flight| flight.given_up(self.real))
    }

    /// True if a refresh of the pairing on its way to the disk flies. One of a grant that was
    /// replaced does not count: its outcome is dropped anyway.
    pub(super) fn refreshes(&self) -> bool {
        let Some(Body::Paired(pairing)) = self.last_record().map(|record| &record.body) else {
            return false;
        };
        let current = Pair::of_pair(&pairing.pair);
        self.in_flight.iter().any(|flight| match &flight.request {
            Request::Refresh { token, .. } => Pair::of_refresh(token) == current,
            _ => false,
        })
    }

    /// True if a record is on its way to the disk.
    pub(super) fn writes_record(&self) -> bool {
        let record = |write: &Write| matches!(write.store, Store::Record { .. });
        self.stores.iter().any(record)
    }

    /// The record as it will be when every queued store is done.
    pub(super) fn last_record(&self) -> Option<&Record> {
        let queued = self.stores.iter().rev().find_map(|write| match &write.store {
            Store::Record { record, .. } => Some(&**record),
            Store::Revocations(_) | Store::Flow(_) | Store::Trial => None,
        });
        // A spill is newer than what it stands in for.
        queued.or(self.disk.spill.as_ref()).or(self.disk.newest.as_ref())
    }

    // Acts of clients.

    pub(super) fn call(&mut self, ask: Ask) -> CallId {
        let id = CallId(self.next_call);
        self.next_call += 1;
        let until = BootTime::from_millis(self.boot_time().as_millis() + CALL_LIMIT);
        // Without a pairing it can be the token that is left of the last one.
        let on_disk = self.disk.paired().map(|pairing| Pair::of_pair(&pairing.pair));
        let in_hand = on_disk.or_else(|| self.history.durable.last().copied());
        let rejected = in_hand.filter(|_| ask.rejects_current());
        let rejects = rejected.is_some_and(|pair| self.history.rejected(ask.client().uid, pair));
        self.calls.push(OpenCall {
            id,
            ask,
            rejects,
            until,
        });
        if matches!(ask, Ask::Unpair | Ask::Cancel) {
            self.history.disturb();
        }
        if ask == Ask::Unpair {
            self.history.asked_to_unpair = true;
            self.history.unwanted |= families_before(self.server.families());
        }
        id
    }

    // Acts of the disk.

    pub(super) fn end_store(&mut self, fate: DiskFate) -> Option<(OpId, bool)> {
        let Write { op, store, .. } = self.stores.pop_front()?;
        let before = self.disk.newest.clone();
        match fate {
            DiskFate::Done | DiskFate::FailedThere => self.write(&store),
            DiskFate::Failed => {}
        }
        if fate != DiskFate::Done {
            self.disk.spill(&store);
        }
        let ok = fate == DiskFate::Done;
        if let Store::Record { record, .. } = &store {
            self.history.failed = (!ok).then(|| Failed::new(record, before.as_ref()));
        }
        if !ok {
            self.history.ordered = 0;
            self.history.excuses.write_failed(&store, &self.disk);
        }
        Some((op, ok))
    }

    pub(super) fn written(&mut self) {
        if let Some(record) = &self.disk.newest {
            self.history.written(record);
        }
    }

    pub(super) fn write(&mut self, store: &Store) {
        self.disk.write(store);
        self.written();
    }

    // Acts of the daemon.

    /// Carries out one effect.
    pub(super) fn perform(&mut self, effect: &Effect) {
        match effect {
            Effect::Request(op, request) => {
                if let Request::Refresh { on, .. } = request {
                    self.prepared.retain(|prepared| prepared != on);
                    // Short of a token, a busy server is asked all the same: this is the decision.
                    self.history.hurry(Subject::Refresh);
                }
                if *request == Request::Prepare {
                    self.window_prepared = self.window;
                }
                if *request == Request::DeviceCode && std::mem::take(&mut self.overtaken) {
                    for flight in &mut self.in_flight {
                        flight.outdated = true;
                    }
                }
                self.history.sent(*op, request, self.real, self.boot);
                self.in_flight.push(InFlight::new(*op, request, self));
            }
            Effect::Cancel(op) => {
                self.history.unanswered(*op);
                self.in_flight.retain(|flight| flight.op != *op);
                self.prepared.retain(|prepared| prepared != op);
                self.listeners.retain(|listener| listener != op);
            }
            Effect::Store(op, store) => {
                if let Store::Record { record, .. } = store {
                    if !self.separate_grants {
                        let last = self.last_record().cloned();
                        let listed = families_listed(self.last_revocations());
                        self.history.excuses.replaced(record, last.as_ref(), listed);
                    }
                    if matches!(&record.body, Body::Paired(pairing) if pairing.mark.is_some()) {
                        self.history.hurry(Subject::Refresh);
                    }
                }
                if let Store::Revocations(list) = store
                    && list.len() >= MAX_REVOCATIONS
                {
                    let dropped = families_listed(self.last_revocations()) & !families_listed(list);
                    self.history.excuses.crowded_out(dropped);
                }
                if let Store::Revocations(list) = store {
                    self.listed.clone_from(list);
                }
                self.stores.push_back(Write {
                    op: *op,
                    store: store.clone(),
                    limit: self.real + self.disk_limit,
                });
            }
            Effect::Inhibit => self.history.inhibited = true,
            Effect::Release => self.history.inhibited = false,
            Effect::Publish(snapshot) => self.history.published = Some(Snapshot::clone(snapshot)),
            Effect::Reply(id, reply) => self.hang_up(*id, reply),
            Effect::Log(_) => {}
            Effect::Drained => self.history.drained = true,
        }
    }

    /// The revocations as they will be when every queued store is done.
    pub(super) fn last_revocations(&self) -> &[PendingRevocation] {
        let queued = self.stores.iter().rev().find_map(|write| match &write.store {
            Store::Revocations(list) => Some(list),
            Store::Record { .. } | Store::Flow(_) | Store::Trial => None,
        });
        queued.unwrap_or(&self.disk.revocations)
    }

    fn hang_up(&mut self, id: CallId, reply: &Result<Reply, CallError>) {
        let Some(at) = self.calls.iter().position(|call| call.id == id) else {
            return;
        };
        let call = self.calls.remove(at);
        match reply {
            _ if call.ask != Ask::Unpair => {}
            Ok(_) => self.history.unpaired |= self.history.unwanted,
            Err(CallError::Timeout) => self.history.ordered |= self.history.unwanted,
            Err(_) => {}
        }
        let refused = matches!(
            reply,
            Err(CallError::NotPaired | CallError::NotYours | CallError::UnknownGeneration)
        );
        if call.rejects && refused {
            self.history.withdraw(call.ask.client().uid);
        }
        if let Ok(Reply::Token { access, generation, .. }) = reply {
            let pair = Pair::of_access(access);
            if !self.history.handed.contains(&(*generation, pair)) {
                self.history.handed.push((*generation, pair));
            }
        }
    }
}
