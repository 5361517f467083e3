//! I1–I9 and the driver's laws as checks with their names.
//!
//! Three moments: before an effect is carried out, after all effects of an event, and in every
//! state. I5 needs paths and is in [`super::liveness`].

use crate::{
    Answer, AuthorizeAnswer, Body, CallId, CodeAnswer, Core, Effect, ExchangeAnswer, PollAnswer, PrepareAnswer,
    ProbeAnswer, Reason, RefreshAnswer, Reply, Request, RevokeAnswer, Store,
};

use super::history::family_bit;
use super::network::kind_of;
use super::safety::{
    a_candidate_takes_over_by_the_servers_word_alone, a_code_is_spent_once_and_with_its_proof,
    a_generation_names_one_token, a_handed_token_is_not_known_to_be_dead,
    a_listener_stands_only_while_a_browser_is_out, a_living_candidate_does_not_give_way_to_a_dead_pair,
    a_living_token_is_handed_out_whatever_clients_say, a_pending_revocation_goes_before_the_first_code_request,
    a_refresh_has_a_reason, a_refresh_is_sent_only_while_inhibiting, a_refresh_uses_its_proven_connection,
    a_refused_revocation_is_not_sent_again, a_refused_revocation_is_told,
    a_rejected_token_comes_back_only_when_examined, a_resend_waits_for_the_server_to_give_up,
    a_sent_refresh_or_poll_is_never_cancelled, a_spilled_pairing_is_written_again, a_stray_redirect_changes_nothing,
    an_answer_settles_only_what_came_before_it_was_sent, an_unusable_record_is_written_over_for_people_alone,
    d3_stale_answers_are_dropped, d4_publish_comes_before_replies, d4_what_changed_is_published_once,
    done_means_durable, drained_means_that_nothing_is_left, inhibit_and_release_alternate,
    nothing_is_revoked_while_paired, refreshes_are_five_seconds_apart, retry_after_is_waited_for,
    shutdown_starts_nothing_new, the_snapshot_makes_sense,
};
use super::server::{CANARY, Pair, code_id};
use super::sim::{Sim, requests};
use super::step::{Ask, RequestKind};
use super::world::World;

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
pub(super) struct Context {
    /// It was a tick,
    pub(super) ticked: bool,
    /// and it came at the deadline itself.
    pub(super) on_time: bool,
    /// It ended a request of this kind without a verdict. A failed refresh is retried by
    /// preparing anew.
    pub(super) failed: Option<RequestKind>,
}

pub(super) type Law = Result<(), String>;

/// More requests than this without time passing are a spin. In a world where answers take no time,
/// a refresh, a pairing by a browser in its place, an unpairing and the revocations of both are
/// nine.
const MOST_AT_ONCE: u8 = 12;

macro_rules! check {
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
pub(super) use hold;

pub(super) fn hold_at_effect(moment: &Moment<'_>) -> Result<(), Violation> {
    let world = moment.world;
    check! { an_answer_settles_only_what_came_before_it_was_sent(world, moment.effect); }
    match moment.effect {
        Effect::Request(_, request) => {
            check! {
                i2_one_request_in_flight_per_grant(world, request);
                i7_no_burst_of_requests(world);
                retry_after_is_waited_for(world, request);
                shutdown_starts_nothing_new(world);
            }
            match request {
                Request::Refresh { on, token, .. } => {
                    let pair = Pair::of_refresh(token);
                    check! {
                        i9_sends_are_counted_on_disk_first(world, pair);
                        a_resend_waits_for_the_server_to_give_up(world, pair);
                        refreshes_are_five_seconds_apart(world);
                        a_refresh_has_a_reason(world, pair);
                        a_refresh_uses_its_proven_connection(world, *on);
                        a_refresh_is_sent_only_while_inhibiting(world);
                    }
                }
                Request::Poll(code, _) => {
                    check! { i4_polls_keep_their_interval(world, code_id(code)); }
                }
                Request::Revoke(token) => {
                    let pair = Pair::of_revocable(token);
                    check! {
                        nothing_is_revoked_while_paired(world, pair);
                        a_refused_revocation_is_not_sent_again(world, pair);
                    }
                }
                Request::DeviceCode => {
                    check! { a_pending_revocation_goes_before_the_first_code_request(world); }
                }
                Request::Probe(_) | Request::Heartbeat(_) | Request::Prepare | Request::Authorize => {}
                Request::Exchange { code, verifier, .. } => {
                    check! { a_code_is_spent_once_and_with_its_proof(world, code, verifier); }
                }
            }
        }
        Effect::Cancel(op) => check! { a_sent_refresh_or_poll_is_never_cancelled(world, *op); },
        Effect::Store(_, store) => check! {
            i9_only_a_verdict_or_the_user_ends_a_pairing(world, store);
            a_candidate_takes_over_by_the_servers_word_alone(world, store);
            a_living_candidate_does_not_give_way_to_a_dead_pair(world, store);
            an_unusable_record_is_written_over_for_people_alone(world, store);
        },
        Effect::Reply(id, reply) => {
            check! { i6_replies_answer_open_calls(world, *id); }
            let call = world.calls.iter().find(|call| call.id == *id);
            if let (Some(call), Ok(reply)) = (call, reply) {
                check! { a_rejected_token_comes_back_only_when_examined(world, call, reply); }
            }
            let ask = call.map(|call| call.ask);
            if let Some(Ask::Token) = ask {
                check! { a_living_token_is_handed_out_whatever_clients_say(world, reply); }
            }
            if let (Some(ask), Ok(reply)) = (ask, reply) {
                check! {
                    i1_a_token_is_handed_out_only_when_durable(world, reply);
                    a_handed_token_is_not_known_to_be_dead(world, reply);
                    a_generation_names_one_token(world, reply);
                    done_means_durable(world, ask, reply);
                }
            }
        }
        Effect::Inhibit => check! { inhibit_and_release_alternate(world, true); },
        Effect::Release => check! { inhibit_and_release_alternate(world, false); },
        Effect::Publish(_) => check! { i1_the_snapshot_shows_only_what_is_durable(world, moment.effect); },
        Effect::Drained => check! { drained_means_that_nothing_is_left(world); },
        Effect::Log(_) => {}
    }
    Ok(())
}

pub(super) fn hold_after_turn(sim: &Sim, turn: Option<&Context>, effects: &[Effect]) -> Result<(), Violation> {
    check! {
        d4_publish_comes_before_replies(effects);
        d4_what_changed_is_published_once(sim, effects);
        a_refused_revocation_is_told(&sim.world, effects);
    }
    if let Some(turn) = turn {
        check! {
            i7_a_tick_moves_the_deadline_forward(sim, turn);
            i7_no_retry_without_delay(turn, effects);
        }
    }
    Ok(())
}

pub(super) fn hold_in_state(sim: &Sim) -> Result<(), Violation> {
    check! {
        i3_a_record_without_mark_holds_no_used_token(&sim.world);
        i6_every_call_is_answered_in_time(sim);
        a_listener_stands_only_while_a_browser_is_out(sim);
        a_spilled_pairing_is_written_again(sim);
        the_snapshot_makes_sense(sim);
    }
    Ok(())
}

pub(super) fn hold_after_a_stray_redirect(before: &Core, after: &Core, effects: &[Effect]) -> Result<(), Violation> {
    check! { a_stray_redirect_changes_nothing(before, after, effects); }
    Ok(())
}

/// Checks that cost too much to be made in every state.
pub(super) fn hold_in_sampled_state(sim: &Sim, effects: &[Effect]) -> Result<(), Violation> {
    check! {
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
            history.durable.contains(&pair) || history.in_memory(pair),
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
            snapshot.generation <= newest.max(history.failed.as_ref().map_or(newest, |failed| failed.generation)),
            "{:?} is published, {:?} is on disk",
            snapshot.generation,
            history.durable_generation
        );
        hold!(
            !snapshot.paired || world.disk.paired().is_some() || history.paired_in_memory(),
            "`Paired` is published without a pairing on disk"
        );
    }
    Ok(())
}

// I2

fn i2_one_request_in_flight_per_grant(world: &World, request: &Request) -> Law {
    if let Some(family) = family_of(request) {
        let other = world
            .in_flight
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
    if matches!(
        request,
        Request::Poll(..) | Request::DeviceCode | Request::Authorize | Request::Exchange { .. }
    ) {
        hold!(
            !world.in_flight.iter().any(|flight| flight.request == *request),
            "the same {:?} flies twice",
            kind_of(request)
        );
    }
    Ok(())
}

fn family_of(request: &Request) -> Option<u8> {
    match request {
        Request::Refresh { token, .. } => Some(Pair::of_refresh(token).family),
        Request::Probe(access) | Request::Heartbeat(access) => Some(Pair::of_access(access).family),
        Request::Revoke(token) => Some(Pair::of_revocable(token).family),
        Request::DeviceCode | Request::Poll(..) | Request::Authorize | Request::Exchange { .. } | Request::Prepare => {
            None
        }
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
    hold!(
        world.real < pace.ends || !pace.polled_late,
        "polled a second time after the code's end"
    );
    if let Some(last) = world.history.polled {
        let apart = world.real - last;
        hold!(apart >= world.interval, "two codes are polled {apart} ms apart");
    }
    Ok(())
}

// I6

fn i6_replies_answer_open_calls(world: &World, id: CallId) -> Law {
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
    // The disk takes as long as it takes: a call that waits for its own write is answered when that
    // is done.
    let writes = |wanted: fn(&Store) -> bool| sim.world.stores.iter().any(|write| wanted(&write.store));
    let waits_for_disk = |ask| match ask {
        Ask::Unpair => {
            writes(|store| matches!(store, Store::Record { record, .. } if matches!(record.body, Body::Tombstone(_))))
        }
        Ask::Cancel => writes(|store| matches!(store, Store::Flow(None))),
        Ask::Start { .. } => writes(|store| matches!(store, Store::Trial)),
        _ => false,
    };
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

fn i7_a_tick_moves_the_deadline_forward(sim: &Sim, turn: &Context) -> Law {
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

fn i7_no_retry_without_delay(turn: &Context, effects: &[Effect]) -> Law {
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

/// True if this answer is the end of a request without a verdict.
pub(super) fn is_failure(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Code(CodeAnswer::Failed(_) | CodeAnswer::BadUserCode | CodeAnswer::ClientRejected(_))
            | Answer::Poll(PollAnswer::Failed(_) | PollAnswer::Pending | PollAnswer::SlowDown(..))
            | Answer::Authorize(AuthorizeAnswer::Failed(_))
            | Answer::Exchange(ExchangeAnswer::Failed(_) | ExchangeAnswer::InvalidGrant(..))
            | Answer::Prepare(PrepareAnswer::Failed(_))
            | Answer::Refresh(RefreshAnswer::Refused(_) | RefreshAnswer::Failed(_) | RefreshAnswer::ClientRejected(_))
            | Answer::Revoke(RevokeAnswer::Failed(_))
            | Answer::Probe(ProbeAnswer::Failed(_))
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
    let pair = Pair::of_pair(&pairing.pair);
    let family = family_bit(pair.family);
    let history = &world.history;
    let ended = history.invalidated & family != 0 || history.unwanted & family != 0;
    let spent = *reason == Reason::NoRefreshToken
        && pairing.pair.refresh.is_none()
        && (history.rejected_by_server.contains(&pair) || world.says_ended(&pairing.pair));
    hold!(
        ended || spent,
        "{pair:?} gives way to a tombstone ({reason:?}) without a verdict or a user's wish"
    );
    Ok(())
}
