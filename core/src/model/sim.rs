//! The core in its world: which steps are possible, and what each does.
//!
//! One event, then all its effects, in order (D1); every effect and every state is held against the
//! invariants. A death of the daemon between two effects of one event is a death after the last of
//! them in which what came later never reached the disk or the server; so [`Step::Crash`] chooses
//! what did.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::{
    Answer, CallId, Command, Core, Effect, Event, Generation, OAuthErrorCode, PairingOptions, PairingState, Prompt,
    Redirect, RedirectOutcome, RefreshMode, Reply, StateParameter,
};

use super::disk::Restart;
use super::invariants::{self, Context, Moment, Violation};
use super::network::kind_of;
use super::scenario::{Budget, Scenario};
use super::server::{CANARY, authorization_code, millis, number, state_of};
use super::step::{Ask, DiskFate, Outcome, RedirectKind, RequestKind, Step};
use super::world::World;

/// Longer than any access token lives.
const LONG: Duration = Duration::from_hours(9);

const HOUR: Duration = Duration::from_hours(1);

/// The last poll before a code's end is sent this long before it, where polls take no time.
const LEAD: u64 = 1_500;

/// The core and its world.
#[derive(Clone, Debug)]
pub(super) struct Sim {
    pub(super) scenario: &'static Scenario,
    pub(super) core: Core,
    pub(super) world: World,
}

impl Sim {
    /// The first start of the daemon.
    pub(super) fn start(scenario: &'static Scenario, effects: &mut Vec<Effect>) -> Result<Self, Violation> {
        effects.clear();
        let mut world = World::new(scenario);
        let core = boot(scenario, &mut world, Restart::Process, effects)?;
        let mut sim = Self { scenario, core, world };
        sim.mutate(effects, 0);
        sim.carry_out(None, effects)?;
        Ok(sim)
    }

    /// Tells this state from others. With 64 bits two of a million states are mixed up once in 40
    /// million runs, and then one of them goes unexplored.
    pub(super) fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.core.hash(&mut hasher);
        self.world.hash(&mut hasher);
        hasher.finish()
    }

    /// True if the deadline has come.
    pub(super) fn due(&self) -> bool {
        self.core
            .next_deadline()
            .is_some_and(|deadline| deadline <= self.world.boot_time())
    }

    /// True if somebody is pairing.
    pub(super) fn flow_runs(&self) -> bool {
        matches!(
            self.core.snapshot().pairing,
            PairingState::RequestingCode | PairingState::AwaitingUser
        )
    }

    /// True if time can go on at all.
    pub(super) fn can_advance(&self) -> bool {
        self.due() || self.next_moment().is_some()
    }

    /// The next moment at which something must happen.
    pub(super) fn next_moment(&self) -> Option<crate::BootTime> {
        let now = self.world.boot_time();
        let horizon = self.world.horizon();
        if horizon.is_some_and(|horizon| horizon <= now) {
            return None;
        }
        [self.core.next_deadline(), horizon].into_iter().flatten().min()
    }

    /// Takes a step that is possible.
    pub(super) fn apply(&mut self, step: Step, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        effects.clear();
        self.spend(step);
        let quirks = &self.scenario.quirks;
        let event = match step {
            Step::Ask(ask) => {
                if matches!(ask, Ask::Start { .. }) && !self.flow_runs() {
                    self.world.begin_flow();
                }
                let id = self.world.call(ask);
                let command = self.command(ask);
                if ask == Ask::Redirect(RedirectKind::Forged) && !self.due() {
                    return self.stray(Event::Call(id, command), effects);
                }
                Some(Event::Call(id, command))
            }
            Step::Answer(kind, how) => self.answer(kind, how, effects)?,
            Step::Look(kind) => {
                self.world.look(kind, quirks);
                None
            }
            Step::Overtake(kind) => {
                self.world.overtake(kind);
                None
            }
            Step::LateArrival => {
                let real = self.world.real;
                self.world.server.arrive_late(quirks, real);
                None
            }
            Step::Disk(fate) => self.world.end_store(fate).map(|(op, ok)| Event::Stored { op, ok }),
            Step::Crash {
                stored,
                torn,
                server,
                restart,
            } => {
                self.world.crash(stored, torn, server, restart, quirks);
                self.core = boot(self.scenario, &mut self.world, restart, effects)?;
                self.mutate(effects, 0);
                return self.carry_out(None, effects);
            }
            Step::Advance => self.advance(),
            Step::Sleep(secs) => {
                self.world.history.disturb();
                self.world.pass(u64::from(secs) * 1000, quirks);
                None
            }
            Step::Approve => {
                if let Some(code) = self.shows_in_time() {
                    self.world.history.approved(code);
                }
                self.world.server.consent(true);
                None
            }
            Step::Deny => {
                self.world.history.disturb();
                self.world.server.consent(false);
                None
            }
            Step::Forget => {
                let real = self.world.real;
                self.world.server.forget(quirks, real);
                None
            }
            Step::NetworkUp => Some(Event::NetworkUp),
            Step::ClockStepped(clock) => {
                self.world.clock_steps(clock);
                Some(Event::ClockStepped)
            }
            Step::Reload => {
                let mut policy = self.core.setup.policy().clone();
                policy.refresh = match policy.refresh {
                    RefreshMode::Eager => RefreshMode::OnDemand,
                    RefreshMode::OnDemand => RefreshMode::Eager,
                };
                Some(Event::PolicyChanged(policy))
            }
            Step::Window(percent) => {
                let mut policy = self.core.setup.policy().clone();
                policy.refresh_at_percent = percent;
                self.world.window = percent;
                Some(Event::PolicyChanged(policy))
            }
            Step::Shutdown => {
                self.world.history.disturb();
                self.world.history.stopping = true;
                Some(Event::Shutdown)
            }
        };
        let Some(event) = event else {
            return invariants::hold_in_state(self);
        };
        self.turn(event, effects)?;
        if begins_flow(step, effects) {
            self.world.begin_flow();
        }
        Ok(())
    }

    /// The oldest request of this kind ends.
    fn answer(
        &mut self,
        kind: RequestKind,
        how: Outcome,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Event>, Violation> {
        let Some(flight) = self.world.land(kind) else {
            return Ok(None);
        };
        let (answer, date) = self.world.answer(&flight, how, &self.scenario.quirks);
        let answering = self.world.answering.take();
        if date.is_some_and(|date| self.world.compare_clock(date)) {
            // First what the wall clock is worth, so that the answer is judged by it.
            self.turn(Event::ClockStepped, effects)?;
        }
        self.world.answering = answering;
        let op = flight.op;
        Ok(Some(Event::Answered { op, date, answer }))
    }

    fn spend(&mut self, step: Step) {
        let (busy, due) = (self.world.busy(), self.due());
        let budget = &mut self.world.budget;
        let of: fn(&mut Budget) -> &mut u8 = match step {
            // A browser comes back because of what the user said.
            Step::Ask(Ask::Redirect(RedirectKind::Back))
            | Step::Answer(_, Outcome::Honest | Outcome::HonestByNow)
            | Step::Disk(DiskFate::Done)
            | Step::LateArrival => return,
            Step::Ask(_) => |b| &mut b.asks,
            Step::Answer(..) => |b| &mut b.faults,
            Step::Disk(_) => |b| &mut b.disk,
            Step::Crash { .. } => |b| &mut b.crashes,
            Step::Advance if due => return,
            Step::Advance if !busy => |b| &mut b.waits,
            Step::Advance | Step::Look(_) | Step::Overtake(_) => |b| &mut b.stalls,
            Step::Sleep(_) => |b| &mut b.sleeps,
            Step::Approve | Step::Deny => |b| &mut b.consents,
            Step::Forget => |b| &mut b.forgets,
            Step::NetworkUp => |b| &mut b.nudges,
            Step::ClockStepped(_) => |b| &mut b.clocks,
            Step::Reload | Step::Window(_) => |b| &mut b.reloads,
            Step::Shutdown => |b| &mut b.shutdowns,
        };
        // The fair path of I5 may approve a code, and ask, beyond the budget.
        *of(budget) = of(budget).saturating_sub(1);
    }

    /// The server's newest code, if it is on show and there is time for another poll: before its
    /// end, or after it where the server still says then what the user said.
    fn shows_in_time(&self) -> Option<u8> {
        let mut core = self.core.clone();
        let mut effects = Vec::new();
        let ask = Event::Call(CallId(u64::MAX), Command::GetPairingCode);
        core.handle(self.world.now(self.scenario.entropy), ask, &mut effects);
        let shown = effects.into_iter().find_map(|effect| match effect {
            Effect::Reply(CallId(u64::MAX), Ok(Reply::Code(view))) => Some(view),
            _ => None,
        })?;
        let Prompt::Code { user_code, .. } = &shown.prompt else {
            return None;
        };
        let lead = if self.scenario.quirks.honours { 0 } else { LEAD };
        let id = number(user_code.expose(), 'u');
        (millis(shown.expires_in) > lead && self.world.server.newest_code() == Some(id)).then_some(id)
    }

    fn redirect(&mut self, came: RedirectKind) -> Redirect {
        let server = &mut self.world.server;
        let said = match came {
            RedirectKind::Back => server.come_back(),
            RedirectKind::Again | RedirectKind::Failed | RedirectKind::Rejected => server.newest_request(),
            RedirectKind::Forged => None,
        };
        let (state, request, approved) = match said {
            Some((request, approved)) => (state_of(request), request, approved),
            None => (StateParameter::new(format!("{CANARY}-s255")), 0, true),
        };
        let outcome = match came {
            RedirectKind::Failed => RedirectOutcome::Failed,
            RedirectKind::Rejected => RedirectOutcome::ClientRejected(OAuthErrorCode::Scope),
            RedirectKind::Back | RedirectKind::Again | RedirectKind::Forged if approved => {
                RedirectOutcome::Code(authorization_code(request))
            }
            RedirectKind::Back | RedirectKind::Again | RedirectKind::Forged => RedirectOutcome::Denied,
        };
        Redirect { state, outcome }
    }

    /// A redirect that nobody asked for.
    fn stray(&mut self, event: Event, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        let before = self.core.clone();
        self.turn(event, effects)?;
        invariants::hold_after_a_stray_redirect(&before, &self.core, effects)
    }

    fn command(&mut self, ask: Ask) -> Command {
        let current = self.world.history.durable_generation;
        let client = ask.client();
        let token = |min_validity| Command::GetAccessToken { client, min_validity };
        let reject = |generation| Command::RejectAccessToken {
            client,
            newest: 0,
            generation,
        };
        match ask {
            Ask::Start { renew, replace } => Command::StartPairing {
                caller: client.uid,
                options: PairingOptions {
                    renew,
                    replace,
                    give_up_after: None,
                    timeout: None,
                },
            },
            Ask::Redirect(came) => Command::CompletePairing(self.redirect(came)),
            Ask::Code => Command::GetPairingCode,
            Ask::Cancel => Command::CancelPairing,
            Ask::Unpair => Command::Unpair,
            Ask::Token => token(None),
            Ask::LongToken => token(Some(LONG)),
            Ask::OtherToken => token(Some(HOUR)),
            Ask::RejectCurrent | Ask::OtherRejects => reject(current),
            Ask::RejectOlder => reject(Generation(current.0.saturating_sub(1))),
            Ask::RejectUnknown => reject(Generation(current.0 + 7)),
        }
    }

    fn advance(&mut self) -> Option<Event> {
        if !self.due()
            && let Some(moment) = self.next_moment()
        {
            self.world.reach(moment, &self.scenario.quirks);
        }
        self.due().then_some(Event::Tick)
    }

    /// Lets the mutant at the effects from `done` on.
    fn mutate(&mut self, effects: &mut Vec<Effect>, done: usize) {
        if let Some(mutant) = self.scenario.mutant {
            let mut new = effects.split_off(done);
            (mutant.effects)(self, &mut new);
            effects.append(&mut new);
        }
    }

    fn turn(&mut self, mut event: Event, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        let now = self.world.now(self.scenario.entropy);
        let deadline = self.core.next_deadline();
        let ticked = event == Event::Tick;
        let failed = failed_kind(&event);
        let done = effects.len();
        let mutant = self.scenario.mutant;
        guard(|| {
            if let Some(mutant) = mutant {
                (mutant.event)(&mut event);
            }
            self.core.handle(now, event, effects);
        })?;
        self.mutate(effects, done);
        let turn = Context {
            ticked,
            on_time: deadline == Some(now.boot),
            failed,
        };
        self.carry_out(Some(&turn), &effects[done..])?;
        self.world.answering = None;
        Ok(())
    }

    fn carry_out(&mut self, turn: Option<&Context>, effects: &[Effect]) -> Result<(), Violation> {
        for effect in effects {
            invariants::hold_at_effect(&Moment {
                world: &self.world,
                effect,
            })?;
            self.world.perform(effect);
        }
        invariants::hold_after_turn(self, turn, effects)?;
        invariants::hold_in_state(self)
    }
}

/// Which kind of request this event says has failed.
fn failed_kind(event: &Event) -> Option<RequestKind> {
    let Event::Answered { answer, .. } = event else {
        return None;
    };
    invariants::is_failure(answer).then(|| kind_of_answer(answer))
}

/// The request that is sent again if this was a failure.
const fn kind_of_answer(answer: &Answer) -> RequestKind {
    match answer {
        Answer::Code(_) => RequestKind::Code,
        Answer::Poll(_) => RequestKind::Poll,
        Answer::Authorize(_) => RequestKind::Authorize,
        Answer::Exchange(_) => RequestKind::Exchange,
        Answer::Prepare(_) | Answer::Refresh(_) => RequestKind::Prepare,
        Answer::Revoke(_) => RequestKind::Revoke,
        Answer::Probe(_) => RequestKind::Probe,
    }
}

fn boot(
    scenario: &Scenario,
    world: &mut World,
    restart: Restart,
    effects: &mut Vec<Effect>,
) -> Result<Core, Violation> {
    world.window = scenario.policy.refresh_at_percent;
    world.window_prepared = world.window;
    world.processes += u8::from(!world.named_boots);
    let stored = world.load(restart);
    let now = world.now(scenario.entropy);
    guard(|| {
        Core::boot(
            scenario.policy.clone(),
            scenario.provisioning,
            world.identity(),
            stored,
            now,
            effects,
        )
    })
}

/// Makes a panic of the core a violation like any other, with a trace.
fn guard<T>(body: impl FnOnce() -> T) -> Result<T, Violation> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|_| Violation {
        rule: "the core never panics",
        what: String::from("the message is above"),
    })
}

/// True if the request's kind is in this list of effects.
pub(super) fn requests(effects: &[Effect], kind: RequestKind) -> bool {
    effects.iter().any(|effect| match effect {
        Effect::Request(_, request) => kind_of(request) == kind,
        _ => false,
    })
}

/// Each start that does not join a flow tries the disk, also one during the last poll of a flow
/// that is over.
fn begins_flow(step: Step, effects: &[Effect]) -> bool {
    let is_trial = |effect: &Effect| matches!(effect, Effect::Store(_, crate::Store::Trial));
    matches!(step, Step::Ask(Ask::Start { .. })) && effects.iter().any(is_trial)
}
