//! The fixture: a core, its clock, a disk and a server that do as they are told.

mod answers;
mod disk;
mod request_kinds;

use super::*;
pub(super) use request_kinds::*;

/// The entropy of each event, where a scenario says nothing else.
const ENTROPY: u64 = 7;

/// A core, its clock, and everything it asked for and said.
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of the fixture, independent of each other"
)]
pub(super) struct Fixture {
    pub(super) core: Core,
    pub(super) now: BootTime,
    pub(super) wall: bool,
    /// Seconds since [`EPOCH`] that the wall clock showed, or would have, at boottime 0.
    pub(super) wall_at_boot: u64,
    /// The entropy that comes with each event.
    pub(super) entropy: u64,
    /// Effects since the last look.
    out: Effects,
    calls: u64,
    /// The content of the disk: record, the generation before it, revocations, flow.
    pub(super) record: Option<Record>,
    pub(super) older: Option<Record>,
    /// A pairing that the disk did not take, in the runtime directory.
    pub(super) spill: Option<Record>,
    pub(super) revocations: Vec<PendingRevocation>,
    pub(super) flow: Option<FlowRecord>,
    pub(super) disk_works: bool,
    /// Requests without an answer.
    pub(super) requests: Vec<(OpId, Request)>,
    pub(super) cancelled: Vec<OpId>,
    pub(super) replies: Vec<(CallId, Result<Reply, CallError>)>,
    pub(super) published: Vec<Snapshot>,
    pub(super) events: Vec<LogEvent>,
    pub(super) stores: usize,
    pub(super) trials: usize,
    pub(super) drained: bool,
    /// Sleep and shutdown are held off.
    pub(super) inhibited: bool,
    /// The order in which effects came, by kind.
    pub(super) trace: Vec<&'static str>,
    pending_stores: Vec<(OpId, Store)>,
    pub(super) hold_stores: bool,
}

impl Fixture {
    pub(super) fn unpaired() -> Self {
        Self::with(
            policy(),
            Provisioning::Ready,
            Stored {
                record: Loaded::Missing,
                kept: Kept::Twice,
                revocations: vec![],
                flow: None,
                writable: true,
            },
        )
    }

    pub(super) fn with(policy: Policy, provisioning: Provisioning, stored: Stored) -> Self {
        Self::start(policy, provisioning, stored, BOOT, 1_000_000, true)
    }

    /// Switched on in another boot, whose wall clock shows this many seconds since [`EPOCH`], if it
    /// is to be trusted.
    pub(super) fn power_on(policy: Policy, stored: Stored, boot: u8, wall: Option<u64>) -> Self {
        let boot = Boot::named(BootId([boot; 16]));
        Self::start_on(policy, Provisioning::Ready, stored, boot, 5_000, wall, true)
    }

    pub(super) fn start(
        policy: Policy,
        provisioning: Provisioning,
        stored: Stored,
        boot: BootId,
        at: u64,
        wall: bool,
    ) -> Self {
        let boot = Boot::named(boot);
        Self::start_on(policy, provisioning, stored, boot, at, wall.then_some(0), true)
    }

    /// A start on a disk that fails.
    pub(super) fn failing(stored: Stored, at: BootTime) -> Self {
        Self::start_on(
            policy(),
            Provisioning::Ready,
            stored,
            Boot::named(BOOT),
            at.as_millis() + 1,
            Some(0),
            false,
        )
    }

    fn start_on(
        policy: Policy,
        provisioning: Provisioning,
        stored: Stored,
        boot: Boot,
        at: u64,
        wall: Option<u64>,
        disk_works: bool,
    ) -> Self {
        let now = BootTime::from_millis(at);
        let record = match &stored.record {
            Loaded::Current(record) | Loaded::Previous(record) => Some(record.clone()),
            Loaded::Missing | Loaded::Damaged | Loaded::KeyUnavailable | Loaded::Foreign => None,
        };
        let (record, older, spill) = match stored.kept {
            Kept::Twice => (record.clone(), record, None),
            Kept::Once => (record, None, None),
            Kept::Spilled => (None, None, record),
        };
        let (revocations, flow) = (stored.revocations.clone(), stored.flow.clone());
        let mut out = Effects::new();
        let wall_at_boot = wall.unwrap_or(0);
        let wall = wall.is_some();
        let instant = Self::instant(now, wall, wall_at_boot, ENTROPY);
        let core = Core::boot(policy, provisioning, boot, stored, instant, &mut out);
        let mut fixture = Self {
            core,
            now,
            wall,
            wall_at_boot,
            entropy: ENTROPY,
            out,
            calls: 0,
            record,
            older,
            spill,
            revocations,
            flow,
            disk_works,
            requests: vec![],
            cancelled: vec![],
            replies: vec![],
            published: vec![],
            events: vec![],
            stores: 0,
            trials: 0,
            drained: false,
            inhibited: false,
            trace: vec![],
            pending_stores: vec![],
            hold_stores: false,
        };
        fixture.drain();
        fixture
    }

    /// Paired with `a1`/`r1` and identified.
    pub(super) fn paired() -> Self {
        Self::paired_with(policy())
    }

    pub(super) fn paired_with(policy: Policy) -> Self {
        let none = Stored {
            record: Loaded::Missing,
            kept: Kept::Twice,
            revocations: vec![],
            flow: None,
            writable: true,
        };
        let mut fixture = Self::with(policy, Provisioning::Ready, none);
        fixture.pair(1);
        fixture
    }

    /// From nothing to a pairing with pair `n`, identified.
    pub(super) fn pair(&mut self, n: u32) {
        self.start_pairing(false);
        self.show_code();
        self.advance(secs(5));
        self.poll(PollAnswer::Granted(grant(n)));
        self.alive();
        assert!(self.core.snapshot().paired, "the scene starts paired");
        self.replies.clear();
    }

    /// Asleep from before the window until after the token's end, and awake again: a connection is
    /// being brought up.
    pub(super) fn overslept() -> Self {
        let mut fixture = Self::paired();
        fixture.now = fixture.now.after(secs(28_800));
        fixture.event(Event::Tick);
        assert!(fixture.out(is_prepare));
        fixture
    }

    fn instant(now: BootTime, wall: bool, wall_at_boot: u64, entropy: u64) -> Now {
        let wall = wall.then(|| WallTime::from_secs(EPOCH + wall_at_boot + now.as_millis() / 1000));
        Now {
            boot: now,
            wall,
            floor: WallTime::from_secs(EPOCH),
            entropy,
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        let now = Self::instant(self.now, self.wall, self.wall_at_boot, self.entropy);
        self.core.handle(now, event, &mut self.out);
        self.drain();
    }

    /// Carries the effects out: stores at once unless held back.
    fn drain(&mut self) {
        loop {
            for effect in std::mem::take(&mut self.out) {
                match effect {
                    Effect::Request(op, request) => {
                        self.trace.push("request");
                        self.requests.push((op, request));
                    }
                    Effect::Cancel(op) => {
                        self.requests.retain(|(sent, _)| *sent != op);
                        self.cancelled.push(op);
                    }
                    Effect::Store(op, store) => {
                        self.trace.push("store");
                        self.pending_stores.push((op, store));
                    }
                    Effect::Inhibit => self.inhibited = true,
                    Effect::Release => self.inhibited = false,
                    Effect::Publish(snapshot) => {
                        self.trace.push("publish");
                        self.published.push(*snapshot);
                    }
                    Effect::Reply(call, result) => {
                        self.trace.push("reply");
                        self.replies.push((call, result));
                    }
                    Effect::Log(event) => self.events.push(event),
                    Effect::Drained => self.drained = true,
                }
            }
            if self.hold_stores || self.pending_stores.is_empty() {
                return;
            }
            self.finish_store();
        }
    }

    pub(super) fn oldest_store(&self) -> Option<&Store> {
        self.pending_stores.first().map(|(_, store)| store)
    }

    pub(super) const fn stores_pending(&self) -> bool {
        !self.pending_stores.is_empty()
    }

    /// Lets time pass, ticking at each deadline on the way.
    pub(super) fn advance(&mut self, by: Duration) {
        let until = self.now.after(by);
        for _ in 0..10_000 {
            match self.core.next_deadline() {
                Some(deadline) if deadline <= until => {
                    self.now = deadline.max(self.now);
                    self.event(Event::Tick);
                    let next = self.core.next_deadline();
                    assert!(
                        next.is_none_or(|next| next > self.now),
                        "I7: a tick moves the deadline forward"
                    );
                }
                _ => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("I7: time does not get anywhere");
    }

    pub(super) fn call(&mut self, command: Command) -> CallId {
        self.calls += 1;
        let call = CallId(self.calls);
        self.event(Event::Call(call, command));
        call
    }

    pub(super) fn start_pairing(&mut self, replace: bool) -> CallId {
        let options = PairingOptions {
            renew: true,
            replace,
            give_up_after: None,
            timeout: None,
        };
        self.call(Command::StartPairing { caller: UI, options })
    }

    pub(super) fn get_token(&mut self, min_validity: Option<Duration>) -> CallId {
        self.call(Command::GetAccessToken {
            client: client(UPLOADER),
            min_validity,
        })
    }

    pub(super) fn get_as(&mut self, client: Client) -> CallId {
        self.call(Command::GetAccessToken {
            client,
            min_validity: None,
        })
    }

    pub(super) fn reject(&mut self, caller: u32, generation: u64) -> CallId {
        self.reject_as(client(caller), generation)
    }

    pub(super) fn reject_as(&mut self, client: Client, generation: u64) -> CallId {
        self.call(Command::RejectAccessToken {
            client,
            newest: 0,
            generation: Generation(generation),
        })
    }

    /// The answer to a call, if it has one.
    pub(super) fn reply(&self, call: CallId) -> Option<&Result<Reply, CallError>> {
        let mut found = self.replies.iter().filter(|(answered, _)| *answered == call);
        let reply = found.next().map(|(_, reply)| reply);
        assert!(found.next().is_none(), "I6: a call is answered once");
        reply
    }

    /// The token a call got.
    pub(super) fn token(&self, call: CallId) -> &str {
        match self.reply(call) {
            Some(Ok(Reply::Token { access, .. })) => access.expose(),
            other => panic!("no token: {other:?}"),
        }
    }

    pub(super) fn error(&self, call: CallId) -> CallError {
        match self.reply(call) {
            Some(Err(error)) => *error,
            other => panic!("no error: {other:?}"),
        }
    }

    /// Takes the request of that kind that is out.
    pub(super) fn take(&mut self, wanted: fn(&Request) -> bool) -> Option<(OpId, Request)> {
        let at = self.requests.iter().position(|(_, request)| wanted(request))?;
        Some(self.requests.remove(at))
    }

    pub(super) fn out(&self, wanted: fn(&Request) -> bool) -> bool {
        self.requests.iter().any(|(_, request)| wanted(request))
    }

    pub(super) fn answer(&mut self, wanted: fn(&Request) -> bool, answer: Answer) {
        self.answer_dated(wanted, None, answer);
    }

    pub(super) fn answer_dated(&mut self, wanted: fn(&Request) -> bool, date: Option<WallTime>, answer: Answer) {
        let (op, _) = self.take(wanted).expect("such a request is out");
        self.event(Event::Answered { op, date, answer });
    }
}
