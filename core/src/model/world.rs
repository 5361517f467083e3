//! The world around the core: time, the driver and what it has under way, and what is left of it
//! after a crash.

use std::collections::VecDeque;
use std::time::Duration;

use crate::{
    Body, BootTime, CallError, CallId, Effect, Now, OpId, PendingRevocation, Record, Reply, Request, Snapshot, Store,
    TokenPair, WallTime,
};

use super::disk::{Disk, Restart};
use super::history::{History, Rejected, Subject, families_before, pairs_of};
use super::network::{InFlight, kind_of};
use super::scenario::{BOOTED_AT, Budget, EPOCH, Scenario, Start, boot_id};
use super::server::{Pair, Quirks, Server, millis};
use super::step::{Ask, Clock, DiskFate, InFlightFate, RequestKind};

/// The disk works or fails within this. How long it took is what the mark's time can be off by.
pub(super) const DISK_LIMIT: u64 = 5_000;

/// How wrong a clock that stood still, or ran ahead, is.
const BEHIND: Duration = Duration::from_hours(2);
const AHEAD: Duration = Duration::from_hours(24);

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
    /// When it must have been answered.
    pub(super) until: BootTime,
}

/// Everything that is not the core.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    /// Milliseconds since the model's beginning, across boots.
    pub(super) real: u64,
    /// `real` at the start of this boot.
    booted: u64,
    pub(super) boot: u8,
    pub(super) clock: Clock,
    /// A `Date` told that the clock is wrong.
    contradicted: bool,
    /// The earliest time that it can be, as the driver knows it.
    floor: WallTime,
    pub(super) server: Server,
    pub(super) disk: Disk,
    pub(super) in_flight: Vec<InFlight>,
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
    pub(super) stores: VecDeque<Write>,
    pub(super) calls: Vec<OpenCall>,
    next_call: u64,
    pub(super) budget: Budget,
    pub(super) history: History,
}

impl World {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut server = Server::new();
        let mut disk = Disk {
            foreign: scenario.start == Start::Foreign,
            ..Disk::default()
        };
        let mut history = History::default();
        let pairs = match scenario.start {
            Start::Fresh | Start::Foreign => 0,
            Start::Paired { .. } => 1,
            Start::Candidate { .. } => 2,
        };
        let mut pairs = (0..pairs).map(|_| server.authorize(&scenario.quirks, 0));
        if let Some(pair) = pairs.next() {
            let candidate = pairs.next();
            let record = scenario.record(pair, candidate);
            history.delivered.push(pair);
            history.delivered.extend(candidate);
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
            prepared: Vec::new(),
            listeners: Vec::new(),
            separate_grants: scenario.policy.separate_grants,
            without_probe: !scenario.policy.can_probe,
            interval: millis(scenario.quirks.interval),
            access_life: millis(scenario.quirks.access_life),
            stores: VecDeque::new(),
            calls: Vec::new(),
            next_call: 1,
            budget: scenario.budget,
            history,
        }
    }

    pub(super) fn boot_time(&self) -> BootTime {
        BootTime::from_millis(self.real - self.booted + BOOTED_AT)
    }

    /// The time since this boot began.
    pub(super) const fn uptime(&self) -> u64 {
        self.real - self.booted
    }

    /// The true time, as a server's `Date` tells it.
    pub(super) fn date(&self) -> WallTime {
        WallTime::from_secs(EPOCH + self.real / 1000)
    }

    /// The wall time as the driver sees it: nothing before the floor, nor what a `Date`
    /// contradicted.
    fn wall(&self) -> Option<WallTime> {
        let read = match self.clock {
            Clock::Untrusted => return None,
            Clock::Right => self.date(),
            Clock::Behind => self.date().before(BEHIND),
            Clock::Ahead => self.date().after(AHEAD),
        };
        (!self.contradicted && read >= self.floor).then_some(read)
    }

    /// True if this access token is over by any clock that the device may go by: that of its boot,
    /// its wall clock, or a `Date`.
    pub(super) fn says_ended(&self, pair: &TokenPair) -> bool {
        let by_boot =
            pair.obtained.boot == boot_id(self.boot) && self.boot_time() >= pair.obtained.at.after(pair.expires_in);
        let by_wall = |now: WallTime| {
            let end = pair.obtained.wall.map(|at| at.after(pair.expires_in));
            end.is_some_and(|end| now >= end)
        };
        by_boot || by_wall(self.date()) || self.wall().is_some_and(by_wall)
    }

    /// A `Date` came. Whether it changed what the clock is worth.
    pub(super) fn compare_clock(&mut self) -> bool {
        let before = self.wall();
        self.floor = self.floor.max(self.date());
        self.contradicted = matches!(self.clock, Clock::Behind | Clock::Ahead);
        self.wall() != before
    }

    /// The clock is set: earlier contradictions concern another one.
    pub(super) fn clock_steps(&mut self, to: Clock) {
        self.clock = to;
        self.contradicted = false;
    }

    pub(super) fn now(&self, seed: Option<u64>) -> Now {
        Now {
            boot: self.boot_time(),
            wall: self.wall(),
            floor: self.floor,
            entropy: seed.map_or(u64::MAX / 2, |seed| super::random::mix(seed ^ self.real)),
        }
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
        self.in_flight.iter().any(|flight| kind_of(&flight.request) == kind)
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
        self.calls.push(OpenCall { id, ask, until });
        if ask == Ask::RejectCurrent
            && let Some(pairing) = self.disk.paired()
        {
            let pair = Pair::of_pair(&pairing.pair);
            self.history.rejected = Some(Rejected { pair, asked: false });
        }
        if matches!(ask, Ask::Unpair | Ask::Cancel) {
            self.history.disturb();
        }
        if ask == Ask::Unpair {
            self.history.unwanted |= families_before(self.server.families());
        }
        id
    }

    // Acts of the disk.

    pub(super) fn end_store(&mut self, fate: DiskFate) -> Option<(OpId, bool)> {
        let Write { op, store, .. } = self.stores.pop_front()?;
        match fate {
            DiskFate::Done | DiskFate::FailedThere => self.write(&store),
            DiskFate::Failed => {}
        }
        if fate != DiskFate::Done {
            self.disk.spill(&store);
        }
        let ok = fate == DiskFate::Done;
        if let Store::Record { .. } = store {
            self.history.disk_failing = !ok;
        }
        if !ok {
            self.history.excuses.write_failed(self.server.families());
        }
        Some((op, ok))
    }

    fn written(&mut self) {
        if let Some(record) = &self.disk.newest {
            self.history.written(record);
        }
    }

    fn write(&mut self, store: &Store) {
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
                self.history.sent(request, self.real, self.boot);
                self.in_flight
                    .push(InFlight::new(*op, request, self.real, &self.server));
            }
            Effect::Cancel(op) => {
                self.in_flight.retain(|flight| flight.op != *op);
                self.prepared.retain(|prepared| prepared != op);
                self.listeners.retain(|listener| listener != op);
            }
            Effect::Store(op, store) => {
                if let Store::Record { record, .. } = store {
                    if !self.separate_grants {
                        let last = self.last_record().cloned();
                        let families = self.server.families();
                        self.history.excuses.replaced(record, last.as_ref(), families);
                    }
                    if matches!(&record.body, Body::Paired(pairing) if pairing.mark.is_some()) {
                        self.history.hurry(Subject::Refresh);
                    }
                }
                self.stores.push_back(Write {
                    op: *op,
                    store: store.clone(),
                    limit: self.real + DISK_LIMIT,
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
        if call.ask == Ask::Unpair && reply.is_ok() {
            self.history.unpaired |= self.history.unwanted;
        }
        if call.ask == Ask::RejectCurrent && matches!(reply, Err(CallError::NotYours | CallError::UnknownGeneration)) {
            self.history.rejected = None;
        }
        if let Ok(Reply::Token { access, generation, .. }) = reply {
            let pair = Pair::of_access(access);
            if !self.history.handed.contains(&(*generation, pair)) && !self.history.disk_failing {
                self.history.handed.push((*generation, pair));
            }
        }
    }

    // Acts of the power supply.

    /// The process ends and the next one is about to start; the disk is as these writes left it.
    pub(super) fn crash(&mut self, stored: u8, torn: bool, leftover: InFlightFate, restart: Restart, quirks: &Quirks) {
        for _ in 0..stored {
            if let Some(write) = self.stores.pop_front() {
                self.write(&write.store);
            }
        }
        if torn && let Some(Store::Record { record, .. }) = self.stores.pop_front().map(|write| write.store) {
            self.disk.write_half(&record);
            self.history.torn = true;
            self.written();
        }
        for flight in std::mem::take(&mut self.in_flight) {
            self.leave(&flight, leftover, quirks);
        }
        self.stores.clear();
        self.prepared.clear();
        self.listeners.clear();
        self.calls.clear();
        if restart == Restart::Damaged {
            self.history.excuses.damaged(self.server.families());
        }
        if restart != Restart::Process {
            self.disk.lose_memory();
        }
        let listed = self.disk.revocations.iter();
        let mut on_disk: Vec<_> = listed.map(|pending| Pair::of_revocable(&pending.token)).collect();
        on_disk.extend(self.disk.paired().into_iter().flat_map(pairs_of));
        on_disk.extend(self.disk.spilled().into_iter().flat_map(pairs_of));
        self.history.excuses.lost(self.server.live(), &on_disk);
        self.restart(restart, quirks);
    }

    fn restart(&mut self, restart: Restart, quirks: &Quirks) {
        self.contradicted = false;
        let newest = self.disk.spill.as_ref().or(self.disk.newest.as_ref());
        let stored = newest.and_then(|record| record.floor);
        self.floor = stored.unwrap_or(WallTime::from_secs(EPOCH));
        // A process does not start in no time.
        self.pass(1_000, quirks);
        match restart {
            Restart::Process => {
                if let Some(flow) = &self.disk.flow {
                    self.history.resumed(flow);
                }
            }
            Restart::Power { clock } => {
                self.boot += 1;
                self.booted = self.real;
                self.clock_steps(clock);
            }
            Restart::Damaged => {
                self.history.damaged();
                self.boot += 1;
                self.booted = self.real;
                self.clock_steps(Clock::Right);
            }
        }
        self.history.restarted();
        // A record that only memory held before, and the runtime directory now, is served as
        // before.
        self.history.disk_failing = self.disk.spill.is_some();
    }
}
