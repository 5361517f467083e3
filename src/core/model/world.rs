//! The world around the core: the driver and what it has under way, the disk, the server, time; and the history that the
//! invariants need.

use std::collections::VecDeque;

use crate::core::{
    Answer, Body, BootTime, CallId, CodeAnswer, Effect, Fault, FaultKind, Generation, Now, OpId, Pairing,
    PendingRevocation, PollAnswer, PrepareAnswer, Record, RefreshAnswer, Reply, Request, ResourceAnswer, RevokeAnswer,
    Snapshot, Store, WallTime,
};

use super::disk::{Disk, Restart};
use super::scenario::{BOOTED_AT, Budget, EPOCH, Scenario, Start, device};
use super::server::{self, Habits, Pair, Server, code_id, millis};
use super::step::{Ask, DiskFate, How, Kind, Leftover};

/// How long a request that spends something may take (35 s), and any other: the driver's own limits.
const SPENDING_LIMIT: u64 = 35_000;
const OTHER_LIMIT: u64 = 15_000;

/// The server gives a request up after this long: later it cannot be carried out any more.
const SERVER_LIMIT: u64 = 30_000;

/// The disk works or fails within this. How long it took is what the mark's time can be off by.
pub(super) const DISK_LIMIT: u64 = 5_000;

/// Every method answers within this.
const CALL_LIMIT: u64 = 20_000;

/// RFC 8628 §3.5.
const SLOW_DOWN: u64 = 5_000;

/// A request on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    pub(super) op: OpId,
    pub(super) request: Request,
    /// When it must have ended.
    pub(super) limit: u64,
    sent: u64,
    /// What came of it, where the server was done before its answer arrived.
    rotated: Option<Option<Pair>>,
}

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

/// How often, and when last, one refresh token may have reached the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sends {
    pub(super) pair: Pair,
    pub(super) count: u32,
    /// When, and in which boot, the last of them left.
    pub(super) last: (u64, u8),
    /// The same before that send, should it turn out never to have left.
    before: Option<(u64, u8)>,
}

/// What the server expects of the polls for one code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pace {
    pub(super) code: u8,
    pub(super) interval: u64,
    pub(super) not_before: u64,
    pub(super) ends: u64,
    last: u64,
}

/// What was, as far as an invariant asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct History {
    pub(super) sends: Vec<Sends>,
    pub(super) paces: Vec<Pace>,
    /// Access tokens whose refusal the core was told.
    pub(super) refused: Vec<Pair>,
    /// Pairs that the core was told of.
    pub(super) delivered: Vec<Pair>,
    /// Access tokens that were on disk.
    pub(super) durable: Vec<Pair>,
    /// The newest generation that was on disk.
    pub(super) durable_generation: Generation,
    /// Which token each generation handed out was.
    pub(super) handed: Vec<(Generation, Pair)>,
    /// Families that a verdict of the server ended, told to the core.
    pub(super) condemned: u64,
    /// Families that a user wanted unpaired.
    pub(super) unwanted: u64,
    /// Families for which `Unpair` answered that it is done.
    pub(super) unpaired: u64,
    /// Families whose revocation was tried.
    pub(super) tried: u64,
    /// Families that live at the server for a reason that nobody could prevent.
    pub(super) excused: u64,
    /// The last store of the record failed.
    pub(super) disk_failing: bool,
    /// When the last refresh in this process succeeded.
    pub(super) refreshed: Option<u64>,
    /// The flow that runs has asked for a code before.
    pub(super) code_asked: bool,
    /// Sent since time last moved.
    pub(super) burst: u8,
    pub(super) published: Option<Snapshot>,
    pub(super) inhibited: bool,
    /// A write to both generations was cut in half.
    pub(super) torn: bool,
    pub(super) stopping: bool,
    pub(super) drained: bool,
}

/// Everything that is not the core.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    /// Milliseconds since the model's beginning, across boots.
    pub(super) real: u64,
    /// `real` at the start of this boot.
    booted: u64,
    pub(super) boot: u8,
    pub(super) clock: bool,
    pub(super) server: Server,
    pub(super) disk: Disk,
    pub(super) flights: Vec<Flight>,
    /// Connections that stand ready for a refresh.
    pub(super) prepared: Vec<OpId>,
    pub(super) stores: VecDeque<Write>,
    pub(super) calls: Vec<OpenCall>,
    next_call: u64,
    pub(super) budget: Budget,
    pub(super) history: History,
}

impl World {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut server = Server::new();
        let mut disk = Disk::default();
        let mut history = History::default();
        match scenario.start {
            Start::Fresh => {}
            Start::Paired { .. } => {
                let pair = server.authorize(&scenario.habits, 0);
                let record = scenario.record(pair);
                history.delivered.push(pair);
                history.durable.push(pair);
                history.durable_generation = record.generation;
                disk.newest = Some(record.clone());
                disk.previous = Some(record);
            }
        }
        Self {
            real: millis(scenario.begin()),
            booted: 0,
            boot: 0,
            clock: scenario.clock,
            server,
            disk,
            flights: Vec::new(),
            prepared: Vec::new(),
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

    /// The true time, as a server's `Date` tells it.
    pub(super) fn date(&self) -> WallTime {
        WallTime::from_secs(EPOCH + self.real / 1000)
    }

    pub(super) fn now(&self, seed: Option<u64>) -> Now {
        Now {
            boot: self.boot_time(),
            wall: self.clock.then(|| self.date()),
            entropy: seed.map_or(u64::MAX / 2, |seed| super::random::mix(seed ^ self.real)),
        }
    }

    /// Moves time to `boot` or later.
    pub(super) fn reach(&mut self, boot: BootTime, habits: &Habits) {
        let real = (boot.as_millis() + self.booted).saturating_sub(BOOTED_AT);
        self.pass(real.saturating_sub(self.real), habits);
    }

    pub(super) fn pass(&mut self, by: u64, habits: &Habits) {
        if by > 0 {
            self.real += by;
            self.history.burst = 0;
            self.server.settle(habits, self.real);
        }
    }

    /// The moment that time cannot pass before something ended.
    pub(super) fn horizon(&self) -> Option<BootTime> {
        let flights = self.flights.iter().map(|flight| flight.limit);
        let first = flights.chain(self.stores.front().map(|store| store.limit)).min()?;
        Some(BootTime::from_millis(first - self.booted + BOOTED_AT))
    }

    pub(super) fn busy(&self) -> bool {
        !self.flights.is_empty() || !self.stores.is_empty()
    }

    pub(super) fn flies(&self, kind: Kind) -> bool {
        self.flights.iter().any(|flight| kind_of(&flight.request) == kind)
    }

    /// Whether the server is done with the oldest request of this kind, and only its answer is on its way.
    pub(super) fn was_carried_out(&self, kind: Kind) -> bool {
        let oldest = self.flights.iter().find(|flight| kind_of(&flight.request) == kind);
        oldest.is_some_and(|flight| flight.rotated.is_some())
    }

    /// Whether a refresh of the pairing on its way to the disk flies. One of a grant that was replaced does not count: its
    /// outcome is dropped anyway.
    pub(super) fn refreshes(&self) -> bool {
        let Some(Body::Paired(pairing)) = self.last_record().map(|record| &record.body) else {
            return false;
        };
        let current = Pair::of_access(&pairing.pair.access);
        self.flights.iter().any(|flight| match &flight.request {
            Request::Refresh { token, .. } => Pair::of_refresh(token) == current,
            _ => false,
        })
    }

    /// The record as it will be when every queued store is done.
    pub(super) fn last_record(&self) -> Option<&Record> {
        let queued = self.stores.iter().rev().find_map(|write| match &write.store {
            Store::Record { record, .. } => Some(&**record),
            Store::Revocations(_) | Store::Flow(_) => None,
        });
        queued.or(self.disk.newest.as_ref())
    }

    // What clients do.

    pub(super) fn call(&mut self, ask: Ask) -> CallId {
        let id = CallId(self.next_call);
        self.next_call += 1;
        let until = BootTime::from_millis(self.boot_time().as_millis() + CALL_LIMIT);
        self.calls.push(OpenCall { id, ask, until });
        if ask == Ask::Unpair {
            self.history.unwanted |= families_before(self.server.families());
        }
        id
    }

    // What the disk does.

    pub(super) fn end_store(&mut self, fate: DiskFate) -> Option<(OpId, bool)> {
        let Write { op, store, .. } = self.stores.pop_front()?;
        match fate {
            DiskFate::Done | DiskFate::FailedThere => self.write(&store),
            DiskFate::Failed => {}
        }
        let ok = fate == DiskFate::Done;
        if let Store::Record { .. } = store {
            self.history.disk_failing = !ok;
        }
        if !ok {
            // What a failing disk keeps from being revoked, nobody can revoke after a crash.
            self.history.excused |= families_before(self.server.families());
        }
        Some((op, ok))
    }

    fn write(&mut self, store: &Store) {
        self.disk.write(store);
        self.remember_durable();
    }

    fn remember_durable(&mut self) {
        let Some(record) = &self.disk.newest else { return };
        self.history.durable_generation = self.history.durable_generation.max(record.generation);
        if let Body::Paired(pairing) = &record.body {
            for pair in pairs_of(pairing) {
                if !self.history.durable.contains(&pair) {
                    self.history.durable.push(pair);
                }
            }
        }
    }

    // What the server and the network do.

    /// Takes the oldest request of this kind off its way.
    pub(super) fn land(&mut self, kind: Kind) -> Option<Flight> {
        let at = self
            .flights
            .iter()
            .position(|flight| kind_of(&flight.request) == kind)?;
        Some(self.flights.remove(at))
    }

    pub(super) fn rotate_early(&mut self, habits: &Habits) {
        let real = self.real;
        for flight in &mut self.flights {
            if let Request::Refresh { token, .. } = &flight.request
                && flight.rotated.is_none()
            {
                flight.rotated = Some(self.server.rotate(Pair::of_refresh(token), habits, real));
            }
        }
    }

    /// The answer to a request, and the `Date` that came with it.
    pub(super) fn answer(&mut self, flight: &Flight, how: How, habits: &Habits) -> (Answer, Option<WallTime>) {
        let truth = how.carries_out().then(|| self.carry_out(flight, habits));
        let date = match how {
            How::Undated | How::Offline | How::Lost | How::LostAfter | How::LostLate => None,
            How::Truth
            | How::Garbled
            | How::GarbledAfter
            | How::RateLimited
            | How::Refused
            | How::ClientRejected
            | How::SlowDown
            | How::BadCode => Some(self.date()),
        };
        if how == How::LostLate
            && let Request::Refresh { token, .. } = &flight.request
        {
            self.server
                .leave_on_its_way(Pair::of_refresh(token), flight.sent + SERVER_LIMIT);
        }
        let answer = match how {
            How::Truth | How::Undated => truth.expect("carried out above"),
            How::Offline => failed(flight, FaultKind::Offline, None),
            How::Lost | How::LostAfter | How::LostLate => failed(flight, FaultKind::Lost, None),
            How::Garbled | How::GarbledAfter => failed(flight, FaultKind::Garbled, None),
            How::RateLimited => failed(flight, FaultKind::RateLimited, Some(RETRY_AFTER)),
            How::Refused => refused(flight),
            How::ClientRejected => rejected(flight),
            How::SlowDown => self.slow_down(flight),
            How::BadCode => Answer::Code(CodeAnswer::BadUserCode),
        };
        self.remember_answer(flight, &answer);
        (answer, date)
    }

    fn carry_out(&mut self, flight: &Flight, habits: &Habits) -> Answer {
        let real = self.real;
        match &flight.request {
            Request::DeviceCode => Answer::Code(CodeAnswer::Granted(self.server.new_code(habits, real))),
            Request::Poll(code) => Answer::Poll(self.server.poll(code, habits, real)),
            Request::Prepare => Answer::Prepare(PrepareAnswer::Ready),
            Request::Refresh { token, .. } => {
                let outcome = flight
                    .rotated
                    .unwrap_or_else(|| self.server.rotate(Pair::of_refresh(token), habits, real));
                Answer::Refresh(server::refresh_answer(outcome, habits))
            }
            Request::Revoke(token) => {
                self.server.revoke(token);
                Answer::Revoke(RevokeAnswer::Done)
            }
            Request::Identify(access) | Request::Heartbeat(access) => {
                Answer::Resource(if self.server.access_lives(Pair::of_access(access), real) {
                    ResourceAnswer::Alive(Some(device()))
                } else {
                    ResourceAnswer::Unauthorized
                })
            }
        }
    }

    fn slow_down(&mut self, flight: &Flight) -> Answer {
        if let Request::Poll(code) = &flight.request {
            let id = code_id(code);
            for pace in self.history.paces.iter_mut().filter(|pace| pace.code == id) {
                pace.interval += SLOW_DOWN;
                pace.not_before = pace.last + pace.interval;
            }
        }
        Answer::Poll(PollAnswer::SlowDown)
    }

    fn remember_answer(&mut self, flight: &Flight, answer: &Answer) {
        let real = self.real;
        if let Answer::Refresh(RefreshAnswer::Granted(tokens)) | Answer::Poll(PollAnswer::Granted(tokens)) = answer {
            self.history.delivered.push(Pair::of_access(&tokens.access));
        }
        match (&flight.request, answer) {
            (Request::DeviceCode, Answer::Code(CodeAnswer::Granted(code))) => {
                let interval = millis(code.interval);
                self.history.paces.push(Pace {
                    code: code_id(&code.device_code),
                    interval,
                    not_before: real + interval,
                    ends: real + millis(code.expires_in),
                    last: real,
                });
                if self.history.paces.len() > 2 {
                    self.history.paces.remove(0);
                }
            }
            (Request::Refresh { token, .. }, Answer::Refresh(answer)) => {
                self.remember_refresh(Pair::of_refresh(token), answer);
            }
            (
                Request::Identify(access) | Request::Heartbeat(access),
                Answer::Resource(ResourceAnswer::Unauthorized),
            ) => {
                let pair = Pair::of_access(access);
                if !self.history.refused.contains(&pair) {
                    self.history.refused.push(pair);
                }
            }
            (Request::Revoke(token), Answer::Revoke(RevokeAnswer::Refused)) => {
                self.history.excused |= family_bit(Pair::of_revocable(token).family);
            }
            (Request::Prepare, Answer::Prepare(PrepareAnswer::Ready | PrepareAnswer::Busy(_))) => {
                self.prepared.push(flight.op);
            }
            _ => {}
        }
    }

    fn remember_refresh(&mut self, pair: Pair, answer: &RefreshAnswer) {
        match answer {
            RefreshAnswer::Granted(_) => {
                self.history.refreshed = Some(self.real);
                self.history.sends.retain(|sends| sends.pair != pair);
            }
            RefreshAnswer::Dead => {
                self.history.condemned |= family_bit(pair.family);
                self.history.sends.retain(|sends| sends.pair != pair);
            }
            RefreshAnswer::ClientRejected => self.history.sends.retain(|sends| sends.pair != pair),
            RefreshAnswer::Failed(fault) if fault.kind.ambiguous() => {}
            RefreshAnswer::Failed(fault) if fault.kind.unsent() => self.unsend(pair),
            RefreshAnswer::Failed(_) => self.history.sends.retain(|sends| sends.pair != pair),
        }
    }

    fn unsend(&mut self, pair: Pair) {
        for sends in self.history.sends.iter_mut().filter(|sends| sends.pair == pair) {
            sends.count -= 1;
            sends.last = sends.before.unwrap_or(sends.last);
        }
        self.history.sends.retain(|sends| sends.count > 0);
    }

    // What the daemon does.

    /// Carries out one effect.
    pub(super) fn perform(&mut self, effect: &Effect) {
        match effect {
            Effect::Request(op, request) => self.send(*op, request),
            Effect::Cancel(op) => {
                self.flights.retain(|flight| flight.op != *op);
                self.prepared.retain(|prepared| prepared != op);
            }
            Effect::Store(op, store) => {
                if let Store::Record { record, .. } = store {
                    self.excuse_replaced(record);
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
            Effect::Note(_) => {}
            Effect::Drained => self.history.drained = true,
        }
    }

    fn send(&mut self, op: OpId, request: &Request) {
        let kind = kind_of(request);
        let limit = if kind.spends() { SPENDING_LIMIT } else { OTHER_LIMIT };
        self.history.burst += 1;
        match request {
            Request::Refresh { on, token } => {
                self.prepared.retain(|prepared| prepared != on);
                self.count_send(Pair::of_refresh(token));
            }
            Request::Poll(code) => {
                let (id, real) = (code_id(code), self.real);
                for pace in self.history.paces.iter_mut().filter(|pace| pace.code == id) {
                    pace.last = real;
                    pace.not_before = real + pace.interval;
                }
            }
            Request::Revoke(token) => self.history.tried |= family_bit(Pair::of_revocable(token).family),
            Request::DeviceCode => self.history.code_asked = true,
            Request::Prepare | Request::Identify(_) | Request::Heartbeat(_) => {}
        }
        self.flights.push(Flight {
            op,
            request: request.clone(),
            limit: self.real + limit,
            sent: self.real,
            rotated: None,
        });
    }

    fn count_send(&mut self, pair: Pair) {
        let now = (self.real, self.boot);
        match self.history.sends.iter_mut().find(|sends| sends.pair == pair) {
            Some(sends) => {
                sends.count += 1;
                sends.before = Some(sends.last);
                sends.last = now;
            }
            None => self.history.sends.push(Sends {
                pair,
                count: 1,
                last: now,
                before: None,
            }),
        }
    }

    /// A new pairing takes the place of whatever was before it: same device at the server, nothing to revoke.
    fn excuse_replaced(&mut self, next: &Record) {
        let Body::Paired(next) = &next.body else { return };
        let old = match self.last_record().map(|record| &record.body) {
            Some(Body::Paired(old)) => families_of(old),
            Some(Body::Tombstone(_)) | None => families_before(self.server.families()),
        };
        self.history.excused |= old & !families_of(next);
    }

    /// The revocations as they will be when every queued store is done.
    pub(super) fn last_revocations(&self) -> &[PendingRevocation] {
        let queued = self.stores.iter().rev().find_map(|write| match &write.store {
            Store::Revocations(list) => Some(list),
            Store::Record { .. } | Store::Flow(_) => None,
        });
        queued.unwrap_or(&self.disk.revocations)
    }

    fn hang_up(&mut self, id: CallId, reply: &Result<Reply, crate::core::CallError>) {
        let Some(at) = self.calls.iter().position(|call| call.id == id) else {
            return;
        };
        let call = self.calls.remove(at);
        if call.ask == Ask::Unpair && reply.is_ok() {
            self.history.unpaired |= self.history.unwanted;
        }
        if let Ok(Reply::Token { access, generation, .. }) = reply {
            let pair = Pair::of_access(access);
            if !self.history.handed.contains(&(*generation, pair)) && !self.history.disk_failing {
                self.history.handed.push((*generation, pair));
            }
        }
    }

    // What power does.

    /// The process ends and the next one is about to start; the disk is as these writes left it.
    pub(super) fn crash(&mut self, stored: u8, torn: bool, leftover: Leftover, restart: Restart, habits: &Habits) {
        for _ in 0..stored {
            if let Some(write) = self.stores.pop_front() {
                self.write(&write.store);
            }
        }
        if torn && let Some(Store::Record { record, .. }) = self.stores.pop_front().map(|write| write.store) {
            self.disk.write_half(&record);
            self.history.torn = true;
            self.remember_durable();
        }
        for flight in std::mem::take(&mut self.flights) {
            self.leave(&flight, leftover, habits);
        }
        self.stores.clear();
        self.prepared.clear();
        self.calls.clear();
        if restart == Restart::Damaged {
            self.history.excused |= families_before(self.server.families());
        }
        self.excuse_lost();
        self.restart(restart, habits);
    }

    fn leave(&mut self, flight: &Flight, leftover: Leftover, habits: &Habits) {
        let spends = kind_of(&flight.request).spends() || matches!(flight.request, Request::Revoke(_));
        match (leftover, &flight.request) {
            (Leftover::CarriedOut, _) if spends => {
                self.carry_out(flight, habits);
            }
            (Leftover::Late, Request::Refresh { token, .. }) if flight.rotated.is_none() => {
                self.server
                    .leave_on_its_way(Pair::of_refresh(token), flight.sent + SERVER_LIMIT);
            }
            _ => {}
        }
    }

    /// What lives at the server and is not on disk, nobody can ever revoke.
    fn excuse_lost(&mut self) {
        for live in self.server.live() {
            let to_be_revoked = self
                .disk
                .revocations
                .iter()
                .any(|pending| Pair::of_revocable(&pending.token) == live.pair);
            let known = to_be_revoked
                || self
                    .disk
                    .paired()
                    .is_some_and(|pairing| pairs_of(pairing).any(|pair| pair == live.pair));
            if !known {
                self.history.excused |= family_bit(live.pair.family);
            }
        }
    }

    fn restart(&mut self, restart: Restart, habits: &Habits) {
        // A process does not start in no time.
        self.pass(1_000, habits);
        match restart {
            Restart::Process => self.restore_pace(),
            Restart::Power { clock } => {
                self.boot += 1;
                self.booted = self.real;
                self.clock = clock;
            }
            Restart::Damaged => {
                // What the lost record counted is lost; one send is what the core must think of.
                for sends in &mut self.history.sends {
                    sends.count = sends.count.min(1);
                }
                self.history.handed.clear();
                self.boot += 1;
                self.booted = self.real;
                self.clock = true;
            }
        }
        let history = &mut self.history;
        history.refused.clear();
        history.refreshed = None;
        history.published = None;
        history.inhibited = false;
        history.stopping = false;
        history.drained = false;
        // A flow that goes on has a code.
        history.code_asked = true;
        history.disk_failing = false;
    }

    /// A `slow_down` that never reached the runtime directory is forgotten; the core cannot know better.
    fn restore_pace(&mut self) {
        if let Some(flow) = &self.disk.flow {
            let id = code_id(&flow.code.device_code);
            for pace in self.history.paces.iter_mut().filter(|pace| pace.code == id) {
                pace.interval = pace.interval.min(millis(flow.interval));
                pace.not_before = pace.not_before.min(pace.last + pace.interval);
            }
        }
    }
}

/// What a rate-limited answer asks for.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(30);

fn failed(flight: &Flight, kind: FaultKind, retry_after: Option<std::time::Duration>) -> Answer {
    let fault = Fault { kind, retry_after };
    match &flight.request {
        Request::DeviceCode => Answer::Code(CodeAnswer::Failed(fault)),
        Request::Poll(_) => Answer::Poll(PollAnswer::Failed(fault)),
        Request::Prepare if kind == FaultKind::RateLimited => Answer::Prepare(PrepareAnswer::Busy(fault)),
        Request::Prepare => Answer::Prepare(PrepareAnswer::Failed(fault)),
        Request::Refresh { .. } => Answer::Refresh(RefreshAnswer::Failed(fault)),
        Request::Revoke(_) => Answer::Revoke(RevokeAnswer::Failed(fault)),
        Request::Identify(_) | Request::Heartbeat(_) => Answer::Resource(ResourceAnswer::Failed(fault)),
    }
}

fn refused(flight: &Flight) -> Answer {
    let fault = Fault {
        kind: FaultKind::Refused,
        retry_after: None,
    };
    match &flight.request {
        Request::Refresh { .. } => Answer::Refresh(RefreshAnswer::Failed(fault)),
        Request::Revoke(_) => Answer::Revoke(RevokeAnswer::Refused),
        Request::DeviceCode => Answer::Code(CodeAnswer::Failed(fault)),
        Request::Poll(_) => Answer::Poll(PollAnswer::Failed(fault)),
        Request::Prepare => Answer::Prepare(PrepareAnswer::Ready),
        Request::Identify(_) | Request::Heartbeat(_) => Answer::Resource(ResourceAnswer::Failed(fault)),
    }
}

fn rejected(flight: &Flight) -> Answer {
    match &flight.request {
        Request::DeviceCode => Answer::Code(CodeAnswer::ClientRejected),
        Request::Poll(_) => Answer::Poll(PollAnswer::ClientRejected),
        Request::Refresh { .. } => Answer::Refresh(RefreshAnswer::ClientRejected),
        Request::Prepare | Request::Revoke(_) | Request::Identify(_) | Request::Heartbeat(_) => refused(flight),
    }
}

/// The kind of a request.
pub(super) const fn kind_of(request: &Request) -> Kind {
    match request {
        Request::DeviceCode => Kind::Code,
        Request::Poll(_) => Kind::Poll,
        Request::Prepare => Kind::Prepare,
        Request::Refresh { .. } => Kind::Refresh,
        Request::Revoke(_) => Kind::Revoke,
        Request::Identify(_) => Kind::Identify,
        Request::Heartbeat(_) => Kind::Heartbeat,
    }
}

/// The pairs that a record holds.
fn pairs_of(pairing: &Pairing) -> impl Iterator<Item = Pair> {
    let tokens = [Some(&pairing.pair), pairing.candidate.as_ref()];
    tokens
        .into_iter()
        .flatten()
        .map(|tokens| Pair::of_access(&tokens.access))
}

fn families_of(pairing: &Pairing) -> u64 {
    pairs_of(pairing).fold(0, |set, pair| set | family_bit(pair.family))
}

/// A set of one family.
pub(super) const fn family_bit(family: u8) -> u64 {
    1 << family
}

/// The set of all families so far.
const fn families_before(count: u8) -> u64 {
    (1 << count) - 1
}
