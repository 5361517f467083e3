//! I1–I9 and the driver's laws as checks with their names.
//!
//! Three moments: before an effect is carried out, after all effects of an event, and in every state. I5 needs paths and is in
//! [`super::calm`].

use crate::core::{
    Answer, Body, CodeAnswer, Effect, Event, OpId, PairingState, PollAnswer, PrepareAnswer, Reason, RefreshAnswer,
    Reply, Request, ResourceAnswer, RevokeAnswer, Store, TokenState,
};

use super::scenario::REPLAY_AFTER;
use super::server::{CANARY, Pair, code_id, millis};
use super::sim::{Sim, requests};
use super::step::{Ask, Kind};
use super::world::{DISK_LIMIT, World, family_bit, kind_of};

/// A law broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) rule: &'static str,
    pub(super) what: String,
}

/// An effect and the world just before it is carried out.
pub(super) struct Moment<'a> {
    pub(super) world: &'a World,
    pub(super) effect: &'a Effect,
}

/// An event that has been handled.
pub(super) struct Turn {
    /// It was a tick,
    pub(super) ticked: bool,
    /// and it came at the deadline itself.
    pub(super) on_time: bool,
    /// It ended a request of this kind without a verdict. A failed refresh is retried by preparing anew.
    pub(super) failed: Option<Kind>,
}

type Law = Result<(), String>;

/// Successful refreshes are at least this far apart, in milliseconds.
const REFRESHES_APART: u64 = 5_000;

/// More requests than this without time passing are a spin. A boot may well revoke four tokens, probe one and resume a flow.
const MOST_AT_ONCE: u8 = 8;

macro_rules! laws {
    ($($law:ident($($argument:expr),+);)+) => {{
        $($law($($argument),+).map_err(|what| Violation { rule: stringify!($law), what })?;)+
    }};
}

macro_rules! hold {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}

pub(super) fn hold_at_effect(moment: &Moment<'_>) -> Result<(), Violation> {
    let world = moment.world;
    match moment.effect {
        Effect::Request(_, request) => {
            laws! {
                i2_one_request_in_flight_per_grant(world, request);
                i7_no_burst_of_requests(world);
                shutdown_starts_nothing_new(world);
            }
            match request {
                Request::Refresh { on, token } => {
                    let pair = Pair::of_refresh(token);
                    laws! {
                        i9_sends_are_counted_on_disk_first(world, pair);
                        a_resend_waits_for_the_server_to_give_up(world, pair);
                        refreshes_are_five_seconds_apart(world);
                        a_refresh_uses_its_proven_connection(world, *on);
                        a_refresh_is_sent_only_while_inhibiting(world);
                    }
                }
                Request::Poll(code) => {
                    laws! { i4_polls_keep_their_interval(world, code_id(code)); }
                }
                Request::Revoke(token) => {
                    laws! { nothing_is_revoked_while_paired(world, Pair::of_revocable(token)); }
                }
                Request::DeviceCode => {
                    laws! { a_pending_revocation_goes_before_the_first_code_request(world); }
                }
                Request::Identify(_) | Request::Heartbeat(_) | Request::Prepare => {}
            }
        }
        Effect::Cancel(op) => laws! { a_sent_refresh_or_poll_is_never_cancelled(world, *op); },
        Effect::Store(_, store) => laws! { i9_only_a_verdict_or_the_user_ends_a_pairing(world, store); },
        Effect::Reply(id, reply) => {
            laws! { i6_replies_answer_open_calls(world, *id); }
            let ask = world.calls.iter().find(|call| call.id == *id).map(|call| call.ask);
            if let (Some(ask), Ok(reply)) = (ask, reply) {
                laws! {
                    i1_a_token_is_handed_out_only_when_durable(world, reply);
                    a_handed_token_is_not_known_to_be_dead(world, reply);
                    a_generation_names_one_token(world, reply);
                    done_means_durable(world, ask, reply);
                }
            }
        }
        Effect::Inhibit => laws! { inhibit_and_release_alternate(world, true); },
        Effect::Release => laws! { inhibit_and_release_alternate(world, false); },
        Effect::Publish(_) => laws! { i1_the_snapshot_shows_only_what_is_durable(world, moment.effect); },
        Effect::Drained => laws! { drained_means_that_nothing_is_left(world); },
        Effect::Note(_) => {}
    }
    Ok(())
}

pub(super) fn hold_after_turn(sim: &Sim, turn: Option<&Turn>, effects: &[Effect]) -> Result<(), Violation> {
    laws! {
        d4_publish_comes_before_replies(effects);
        d4_what_changed_is_published_once(sim, effects);
    }
    if let Some(turn) = turn {
        laws! {
            i7_a_tick_moves_the_deadline_forward(sim, turn);
            i7_no_retry_without_delay(turn, effects);
        }
    }
    Ok(())
}

pub(super) fn hold_in_state(sim: &Sim) -> Result<(), Violation> {
    laws! {
        i3_a_record_without_mark_holds_no_used_token(&sim.world);
        i6_every_call_is_answered_in_time(sim);
        the_snapshot_makes_sense(sim);
    }
    Ok(())
}

/// Checks that cost too much to be made in every state.
pub(super) fn hold_in_sampled_state(sim: &Sim, effects: &[Effect]) -> Result<(), Violation> {
    laws! {
        i8_nothing_printed_holds_a_secret(sim, effects);
        d3_stale_answers_are_dropped(sim);
    }
    Ok(())
}

// I1

fn i1_a_token_is_handed_out_only_when_durable(world: &World, reply: &Reply) -> Law {
    if let Reply::Token { access, .. } = reply {
        let pair = Pair::of_access(access);
        let history = &world.history;
        hold!(
            history.durable.contains(&pair) || history.disk_failing,
            "{pair:?} was handed out and never was on disk"
        );
    }
    Ok(())
}

fn i1_the_snapshot_shows_only_what_is_durable(world: &World, effect: &Effect) -> Law {
    if let Effect::Publish(snapshot) = effect {
        let history = &world.history;
        // A candidate is on disk before its turn comes, and its number is the next.
        let candidate = world.disk.paired().is_some_and(|pairing| pairing.candidate.is_some());
        let newest = if candidate {
            history.durable_generation.next()
        } else {
            history.durable_generation
        };
        hold!(
            snapshot.generation <= newest || history.disk_failing,
            "{:?} is published, {:?} is on disk",
            snapshot.generation,
            history.durable_generation
        );
        hold!(
            !snapshot.paired || world.disk.paired().is_some() || history.disk_failing,
            "`Paired` is published without a pairing on disk"
        );
    }
    Ok(())
}

// I2

fn i2_one_request_in_flight_per_grant(world: &World, request: &Request) -> Law {
    if let Some(family) = family_of(request) {
        let other = world
            .flights
            .iter()
            .find(|flight| family_of(&flight.request) == Some(family));
        if let Some(other) = other {
            return Err(format!(
                "{:?} is sent while {:?} of the same grant flies",
                kind_of(request),
                kind_of(&other.request)
            ));
        }
    }
    if matches!(request, Request::Poll(_) | Request::DeviceCode) {
        hold!(
            !world.flights.iter().any(|flight| flight.request == *request),
            "the same {:?} flies twice",
            kind_of(request)
        );
    }
    Ok(())
}

fn family_of(request: &Request) -> Option<u8> {
    match request {
        Request::Refresh { token, .. } => Some(Pair::of_refresh(token).family),
        Request::Identify(access) | Request::Heartbeat(access) => Some(Pair::of_access(access).family),
        Request::Revoke(token) => Some(Pair::of_revocable(token).family),
        Request::DeviceCode | Request::Poll(_) | Request::Prepare => None,
    }
}

// I3

fn i3_a_record_without_mark_holds_no_used_token(world: &World) -> Law {
    let Some(pairing) = world.disk.paired().filter(|_| !world.disk.damaged) else {
        return Ok(());
    };
    let (None, Some(token)) = (pairing.mark, &pairing.pair.refresh) else {
        return Ok(());
    };
    let pair = Pair::of_refresh(token);
    hold!(
        !world.server.rotated_away(pair),
        "{pair:?} is on disk without a mark, and our own refresh has used it up"
    );
    Ok(())
}

// I4

fn i4_polls_keep_their_interval(world: &World, code: u8) -> Law {
    let Some(pace) = world.history.paces.iter().find(|pace| pace.code == code) else {
        return Err(format!("code {code} is polled long after it was replaced"));
    };
    hold!(
        world.real >= pace.not_before,
        "polled {} ms before its interval of {} ms was over",
        pace.not_before - world.real,
        pace.interval
    );
    hold!(world.real <= pace.ends, "polled after the code's end");
    Ok(())
}

// I6

fn i6_replies_answer_open_calls(world: &World, id: crate::core::CallId) -> Law {
    hold!(
        world.calls.iter().any(|call| call.id == id),
        "{id:?} is not open: answered twice, or never asked in this process"
    );
    Ok(())
}

fn i6_every_call_is_answered_in_time(sim: &Sim) -> Law {
    if sim.world.history.drained {
        return Ok(());
    }
    // The disk takes as long as it takes: what waits for it is answered when it is done.
    let writing = !sim.world.stores.is_empty();
    let waits_for_disk = |ask| writing && matches!(ask, Ask::Unpair | Ask::Cancel | Ask::Start { .. });
    for call in sim.world.calls.iter().filter(|call| !waits_for_disk(call.ask)) {
        let deadline = sim.core.next_deadline();
        hold!(
            deadline.is_some_and(|deadline| deadline <= call.until),
            "{:?} must be answered by {:?}, the next deadline is {deadline:?}",
            call.ask,
            call.until
        );
    }
    Ok(())
}

// I7

fn i7_a_tick_moves_the_deadline_forward(sim: &Sim, turn: &Turn) -> Law {
    if turn.ticked {
        let now = sim.world.boot_time();
        let next = sim.core.next_deadline();
        hold!(
            next.is_none_or(|next| next > now),
            "after the tick at {now:?} (at the deadline: {}) the next is due at {next:?}",
            turn.on_time
        );
    }
    Ok(())
}

fn i7_no_retry_without_delay(turn: &Turn, effects: &[Effect]) -> Law {
    if let Some(kind) = turn.failed {
        hold!(!requests(effects, kind), "{kind:?} failed and is sent again at once");
    }
    Ok(())
}

fn i7_no_burst_of_requests(world: &World) -> Law {
    hold!(
        world.history.burst < MOST_AT_ONCE,
        "more than {MOST_AT_ONCE} requests at one moment"
    );
    Ok(())
}

/// Whether this answer is the end of a request without a verdict.
pub(super) fn is_failure(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Code(CodeAnswer::Failed(_) | CodeAnswer::BadUserCode | CodeAnswer::ClientRejected)
            | Answer::Poll(PollAnswer::Failed(_) | PollAnswer::Pending | PollAnswer::SlowDown)
            | Answer::Prepare(PrepareAnswer::Failed(_))
            | Answer::Refresh(RefreshAnswer::Failed(_) | RefreshAnswer::ClientRejected)
            | Answer::Revoke(RevokeAnswer::Failed(_))
            | Answer::Resource(ResourceAnswer::Failed(_))
    )
}

// I8

fn i8_nothing_printed_holds_a_secret(sim: &Sim, effects: &[Effect]) -> Law {
    let printed = format!("{:?} {effects:?} {:?}", sim.core.snapshot(), sim.core);
    match printed.find(CANARY) {
        Some(at) => Err(format!(
            "…{}…",
            printed.get(at.saturating_sub(80)..at + 20).unwrap_or(&printed)
        )),
        None => Ok(()),
    }
}

// I9

fn i9_sends_are_counted_on_disk_first(world: &World, pair: Pair) -> Law {
    let Some(pairing) = world.disk.paired() else {
        return Err(format!("{pair:?} is sent while no pairing is on disk"));
    };
    let on_disk = pairing.pair.refresh.as_ref().map(Pair::of_refresh);
    hold!(on_disk == Some(pair), "{pair:?} is sent, {on_disk:?} is on disk");
    let sent = world.history.sends.iter().find(|sends| sends.pair == pair);
    let count = sent.map_or(0, |sends| sends.count) + 1;
    let marked = pairing.mark.map_or(0, |mark| mark.sends);
    hold!(marked >= count, "this is send {count}, the mark on disk says {marked}");
    Ok(())
}

fn i9_only_a_verdict_or_the_user_ends_a_pairing(world: &World, store: &Store) -> Law {
    let Store::Record { record, .. } = store else {
        return Ok(());
    };
    let Body::Tombstone(reason) = &record.body else {
        return Ok(());
    };
    let Some(Body::Paired(pairing)) = world.last_record().map(|record| &record.body) else {
        return Ok(());
    };
    let pair = Pair::of_access(&pairing.pair.access);
    let family = family_bit(pair.family);
    let history = &world.history;
    let ended = history.condemned & family != 0 || history.unwanted & family != 0;
    let never_refreshable = *reason == Reason::NoRefreshToken && pairing.pair.refresh.is_none();
    hold!(
        ended || never_refreshable,
        "{pair:?} gives way to a tombstone ({reason:?}) without a verdict or a user's wish"
    );
    Ok(())
}

// The refresh transaction

fn a_resend_waits_for_the_server_to_give_up(world: &World, pair: Pair) -> Law {
    let Some(sends) = world.history.sends.iter().find(|sends| sends.pair == pair) else {
        return Ok(());
    };
    let (at, boot) = sends.last;
    // The mark is written before the send, and the core knows no other time after a crash.
    let least = millis(REPLAY_AFTER) - DISK_LIMIT;
    let waited = if boot == world.boot {
        world.real - at
    } else {
        world.boot_time().as_millis()
    };
    hold!(waited >= least, "resent {waited} ms after the last send, not {least}");
    Ok(())
}

fn refreshes_are_five_seconds_apart(world: &World) -> Law {
    if let Some(last) = world.history.refreshed {
        let apart = world.real - last;
        hold!(apart >= REFRESHES_APART, "{apart} ms after the last success");
    }
    Ok(())
}

fn a_refresh_uses_its_proven_connection(world: &World, on: OpId) -> Law {
    hold!(
        world.prepared.contains(&on),
        "{on:?} is no connection that stands ready"
    );
    Ok(())
}

fn a_refresh_is_sent_only_while_inhibiting(world: &World) -> Law {
    hold!(world.history.inhibited, "sleep and shutdown are not held off");
    Ok(())
}

fn a_sent_refresh_or_poll_is_never_cancelled(world: &World, op: OpId) -> Law {
    let spends = world
        .flights
        .iter()
        .any(|flight| flight.op == op && kind_of(&flight.request).spends());
    hold!(!spends, "{op:?} may have been sent");
    Ok(())
}

fn inhibit_and_release_alternate(world: &World, inhibit: bool) -> Law {
    hold!(
        world.history.inhibited != inhibit,
        "twice in a row (inhibit: {inhibit})"
    );
    hold!(inhibit || !world.refreshes(), "released while a refresh flies");
    Ok(())
}

// What is handed out

fn a_handed_token_is_not_known_to_be_dead(world: &World, reply: &Reply) -> Law {
    let Reply::Token { access, expires_in, .. } = reply else {
        return Ok(());
    };
    let pair = Pair::of_access(access);
    hold!(!world.history.refused.contains(&pair), "{pair:?} got a 401 before");
    hold!(
        world.history.unpaired & family_bit(pair.family) == 0,
        "{pair:?} was unpaired before"
    );
    hold!(!expires_in.is_zero(), "{pair:?} has no life left");
    if let Some(end) = world.server.access_end(pair).filter(|_| world.clock) {
        let claimed = world.real + millis(*expires_in);
        // The wall clock has whole seconds; nobody can be more exact across a boot.
        hold!(claimed < end + 1_000, "claims to live {} ms too long", claimed - end);
    }
    Ok(())
}

fn a_generation_names_one_token(world: &World, reply: &Reply) -> Law {
    if let Reply::Token { access, generation, .. } = reply {
        let pair = Pair::of_access(access);
        let handed = &world.history.handed;
        let clash = handed
            .iter()
            .find(|(g, p)| (g == generation) != (*p == pair) && (g == generation || *p == pair));
        hold!(clash.is_none(), "{pair:?} as {generation:?}, before that {clash:?}");
    }
    Ok(())
}

fn done_means_durable(world: &World, ask: Ask, reply: &Reply) -> Law {
    match (ask, reply) {
        (Ask::Unpair, Reply::Done) => {
            // A write that was cut in half is told from a whole one by the store alone.
            let previous = world.disk.previous.as_ref().filter(|_| !world.history.torn);
            for record in [world.disk.newest.as_ref(), previous].into_iter().flatten() {
                hold!(
                    matches!(record.body, Body::Tombstone(_)),
                    "`Unpair` answers, and a generation on disk still holds a pairing"
                );
            }
            hold!(
                world.disk.flow.is_none(),
                "`Unpair` answers, and the flow is still in /run"
            );
        }
        (Ask::Cancel, Reply::Done) => {
            hold!(
                world.disk.flow.is_none(),
                "`CancelPairing` answers, and the flow is still in /run"
            );
        }
        _ => {}
    }
    Ok(())
}

fn nothing_is_revoked_while_paired(world: &World, pair: Pair) -> Law {
    let held = world.disk.paired().map(|pairing| Pair::of_access(&pairing.pair.access));
    hold!(
        held.is_none(),
        "{pair:?} is revoked, {held:?} is on disk, and to the server both are one device"
    );
    Ok(())
}

fn a_pending_revocation_goes_before_the_first_code_request(world: &World) -> Law {
    if world.history.code_asked || world.flies(Kind::Refresh) {
        // Not the first; or the revocation waits to learn which token is the newest.
        return Ok(());
    }
    for pending in world.last_revocations() {
        let pair = Pair::of_revocable(&pending.token);
        hold!(
            world.history.tried & family_bit(pair.family) != 0,
            "{pair:?} is still to be revoked, and nobody has tried"
        );
    }
    Ok(())
}

// The driver's laws

fn d3_stale_answers_are_dropped(sim: &Sim) -> Law {
    if sim.due() {
        // Any event does what is due.
        return Ok(());
    }
    let op = OpId(u64::MAX);
    let now = sim.world.now(sim.scenario.seed);
    let stale = [
        Answer::Refresh(RefreshAnswer::Dead),
        Answer::Poll(PollAnswer::Denied),
        Answer::Prepare(PrepareAnswer::Ready),
        Answer::Resource(ResourceAnswer::Unauthorized),
    ];
    let answers = stale
        .into_iter()
        .map(|answer| Event::Answered { op, date: None, answer });
    for event in answers {
        let mut core = sim.core.clone();
        let mut effects = Vec::new();
        let printed = format!("{event:?}");
        core.handle(now, event, &mut effects);
        hold!(
            effects.is_empty() && core == sim.core,
            "{printed} has effects: {effects:?}"
        );
    }
    Ok(())
}

fn d4_publish_comes_before_replies(effects: &[Effect]) -> Law {
    let first_reply = effects.iter().position(|effect| matches!(effect, Effect::Reply(..)));
    let last_publish = effects.iter().rposition(|effect| matches!(effect, Effect::Publish(_)));
    if let (Some(reply), Some(publish)) = (first_reply, last_publish) {
        hold!(
            publish < reply,
            "a reply comes before what it follows from is published"
        );
    }
    Ok(())
}

fn d4_what_changed_is_published_once(sim: &Sim, effects: &[Effect]) -> Law {
    let published = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Publish(_)))
        .count();
    hold!(published <= 1, "published {published} times for one event");
    if let Some(snapshot) = &sim.world.history.published {
        hold!(
            snapshot == sim.core.snapshot(),
            "published {snapshot:?}, the core has {:?}",
            sim.core.snapshot()
        );
    }
    Ok(())
}

fn shutdown_starts_nothing_new(world: &World) -> Law {
    hold!(!world.history.stopping, "a request after the order to end");
    Ok(())
}

fn drained_means_that_nothing_is_left(world: &World) -> Law {
    hold!(world.history.stopping, "drained without an order to end");
    hold!(!world.history.drained, "drained twice");
    hold!(
        !world.refreshes() && !world.flies(Kind::Poll),
        "drained with a request that must not be cut"
    );
    hold!(world.stores.is_empty(), "drained with stores under way");
    hold!(world.calls.is_empty(), "drained with calls unanswered");
    Ok(())
}

// The snapshot

fn the_snapshot_makes_sense(sim: &Sim) -> Law {
    let snapshot = sim.core.snapshot();
    match snapshot.pairing {
        PairingState::Paired => hold!(snapshot.paired, "state `paired`, property not"),
        PairingState::Unpaired | PairingState::Unprovisioned => {
            hold!(!snapshot.paired, "state {:?}, and paired", snapshot.pairing);
            hold!(
                snapshot.reason != Reason::None,
                "{:?} without a reason",
                snapshot.pairing
            );
        }
        PairingState::RequestingCode | PairingState::AwaitingUser => {}
    }
    hold!(
        !snapshot.paired || snapshot.token != TokenState::None,
        "paired, and the token's state says that there is none"
    );
    Ok(())
}
