//! The laws beside I1–I9: the refresh transaction, what is handed out, the driver's laws D3 and D4,
//! and what the snapshot says.

mod answers;
mod driver;

pub(super) use answers::*;
pub(super) use driver::*;

use std::time::Duration;

use crate::{
    Answer, AuthorizationCode, Body, CallError, CodeVerifier, Core, Effect, Event, Kept, LogEvent, OpId, PairingState,
    PollAnswer, PrepareAnswer, ProbeAnswer, Reason, Record, RefreshAnswer, Reply, Request, Store, TokenPair,
    TokenState, WallTime,
};

use super::history::{Subject, families_listed, family_bit};
use super::invariants::{Law, hold};
use super::network::kind_of;
use super::scenario::{EPOCH, REPLAY_AFTER};
use super::server::{Pair, millis, number};
use super::sim::Sim;
use super::step::{Ask, Clock, RequestKind};
use super::world::{OpenCall, World, Write};

/// Successful refreshes are at least this far apart, in milliseconds.
const REFRESHES_APART: u64 = 5_000;

/// The device counts a life from the mark, the server from the answer; and a clock that differs by
/// less than 10 s changes nothing. In milliseconds, beside the time that the disk takes.
const COUNTED_EARLY: u64 = 35_000 + 10_000;

/// A token of unknown age is replaced after this long, in milliseconds.
const UNKNOWN_AGE_LIMIT: u64 = 600_000;

// The refresh transaction

pub(super) fn a_resend_waits_for_the_server_to_give_up(world: &World, pair: Pair) -> Law {
    let Some(sends) = world.history.sends.iter().find(|sends| sends.pair == pair) else {
        return Ok(());
    };
    let (at, boot) = sends.last;
    let least = millis(REPLAY_AFTER);
    let waited = if boot == world.boot {
        world.real - at
    } else {
        world.boot_time().as_millis()
    };
    hold!(waited >= least, "resent {waited} ms after the last send, not {least}");
    Ok(())
}

/// A client's report of a token decides nothing between two pairs, of which the user may have
/// cancelled one.
pub(super) fn a_candidate_takes_over_by_the_servers_word_alone(world: &World, store: &Store) -> Law {
    let (Some(Body::Paired(before)), Store::Record { record, .. }) =
        (world.last_record().map(|record| &record.body), store)
    else {
        return Ok(());
    };
    let Body::Paired(after) = &record.body else {
        return Ok(());
    };
    if before.candidate.as_ref() != Some(&after.pair) {
        return Ok(());
    }
    let pair = Pair::of_pair(&before.pair);
    let history = &world.history;
    let ended = history.invalidated & family_bit(pair.family) != 0 || history.rejected_by_server.contains(&pair);
    let spent = before.pair.refresh.is_none() && world.says_ended(&before.pair);
    hold!(
        ended || spent,
        "{pair:?} gives way to its candidate, and no server said so"
    );
    Ok(())
}

/// The pair that a cancelled replacement brought is dropped because the one that stays lives, never
/// because it lived once.
pub(super) fn a_living_candidate_does_not_give_way_to_a_dead_pair(world: &World, store: &Store) -> Law {
    let (Some(Body::Paired(before)), Store::Record { record, .. }) =
        (world.last_record().map(|record| &record.body), store)
    else {
        return Ok(());
    };
    let (Some(candidate), Body::Paired(after)) = (&before.candidate, &record.body) else {
        return Ok(());
    };
    let lives = |tokens: &TokenPair| {
        // A refresh of it may have been carried out since, unheard: it is not forgotten.
        let family = Pair::of_pair(tokens).family;
        world.server.live().iter().any(|live| live.pair.family == family)
    };
    let dropped = after.candidate.is_none() && after.pair != *candidate;
    hold!(
        !dropped || lives(&after.pair) || !lives(candidate),
        "the one that lives is dropped for one that the server has forgotten"
    );
    Ok(())
}

/// By the clock of the server, a token is renewed in its window or after its end. Otherwise
/// somebody refused it, or an earlier send is in doubt, or nobody has told its age for ten minutes.
pub(super) fn a_refresh_has_a_reason(world: &World, pair: Pair) -> Law {
    let history = &world.history;
    let pairing = world.disk.paired();
    let doubted = pairing
        .and_then(|pairing| pairing.mark)
        .is_some_and(|mark| mark.sends > 1);
    let reported = world.without_probe && history.rejections.iter().any(|rejection| rejection.pair == pair);
    let refused = reported || history.rejected_by_server.contains(&pair);
    let of_this_boot = pairing.is_some_and(|pairing| pairing.pair.obtained.boot == world.identity().id);
    let told = of_this_boot || history.dated;
    // Where no resource can be asked, a clock is all that there is until an answer tells the time.
    let unknown = !told && (world.without_probe || world.uptime() >= UNKNOWN_AGE_LIMIT);
    // A refresh token that stays the same is sent for the pair of the day.
    let current = pairing.map_or(pair, |pairing| Pair::of_pair(&pairing.pair));
    let left = world
        .server
        .access_end(current)
        .map(|end| end.saturating_sub(world.real));
    // A tenth of it earlier at most; and a caller may want a quarter of a life.
    let opens = (1000 - 9 * u64::from(world.window.min(world.window_prepared))).max(250);
    let early = world.disk_limit + COUNTED_EARLY;
    let in_window = left.is_none_or(|left| left <= world.access_life * opens / 1000 + early);
    let misdated = history.misdated.contains(&current);
    hold!(
        in_window || doubted || refused || unknown || misdated,
        "{pair:?} lives for {left:?} ms more, and nobody refused it"
    );
    Ok(())
}

pub(super) fn refreshes_are_five_seconds_apart(world: &World) -> Law {
    if let Some(last) = world.history.refreshed {
        let apart = world.real - last;
        hold!(apart >= REFRESHES_APART, "{apart} ms after the last success");
    }
    Ok(())
}

pub(super) fn a_refresh_uses_its_proven_connection(world: &World, on: OpId) -> Law {
    hold!(
        world.prepared.contains(&on),
        "{on:?} is no connection that stands ready"
    );
    Ok(())
}

pub(super) fn a_refresh_is_sent_only_while_inhibiting(world: &World) -> Law {
    hold!(world.history.inhibited, "sleep and shutdown are not held off");
    Ok(())
}

pub(super) fn a_sent_refresh_or_poll_is_never_cancelled(world: &World, op: OpId) -> Law {
    let spends = world
        .in_flight
        .iter()
        .any(|flight| flight.op == op && kind_of(&flight.request).spends());
    hold!(!spends, "{op:?} may have been sent");
    Ok(())
}

pub(super) fn inhibit_and_release_alternate(world: &World, inhibit: bool) -> Law {
    hold!(
        world.history.inhibited != inhibit,
        "twice in a row (inhibit: {inhibit})"
    );
    hold!(inhibit || !world.refreshes(), "released while a refresh flies");
    Ok(())
}

pub(super) fn retry_after_is_waited_for(world: &World, request: &Request) -> Law {
    if matches!(request, Request::Refresh { .. }) {
        // The wait was asked for in the answer to the request before it on the same connection, and
        // is looked at there.
        return Ok(());
    }
    let subject = Subject::of(request);
    let not_before = world.history.not_before.iter().find(|(about, _)| *about == subject);
    hold!(
        not_before.is_none_or(|(_, until)| world.real >= *until),
        "{:?} is sent at {}, the server asked to wait: {not_before:?}",
        kind_of(request),
        world.real
    );
    Ok(())
}

// Pairing by a browser

/// RFC 6749 §4.1.2: a code that may have been taken is not sent again. RFC 7636 §4.5: it comes with
/// its own verifier.
pub(super) fn a_code_is_spent_once_and_with_its_proof(
    world: &World,
    code: &AuthorizationCode,
    verifier: &CodeVerifier,
) -> Law {
    let id = number(code.expose(), 'x');
    hold!(
        !world.history.spent.contains(&id),
        "code {id} may have been taken before"
    );
    let proof = number(verifier.expose(), 'v');
    hold!(proof == id, "code {id} comes with the verifier of request {proof}");
    Ok(())
}

pub(super) fn a_listener_stands_only_while_a_browser_is_out(sim: &Sim) -> Law {
    let listeners = sim.world.listeners.len();
    hold!(listeners <= 1, "{listeners} listeners");
    hold!(listeners == 0 || sim.flow_runs(), "a listener is left behind");
    Ok(())
}

/// A redirect that answers no request of ours: nothing follows from it. `before` is the core as it
/// was.
pub(super) fn a_stray_redirect_changes_nothing(before: &Core, after: &Core, effects: &[Effect]) -> Law {
    let others = effects
        .iter()
        .filter(|effect| !matches!(effect, Effect::Log(LogEvent::StrayRedirect) | Effect::Reply(_, Err(_))));
    hold!(others.count() == 0, "effects: {effects:?}");
    hold!(before == after, "the core is another one afterwards");
    Ok(())
}

// Tokens that are handed out

pub(super) fn a_handed_token_is_not_known_to_be_dead(world: &World, reply: &Reply) -> Law {
    let Reply::Token { access, expires_in, .. } = reply else {
        return Ok(());
    };
    let pair = Pair::of_access(access);
    hold!(
        !world.history.rejected_by_server.contains(&pair),
        "{pair:?} got a 401 before"
    );
    hold!(
        world.history.unpaired & family_bit(pair.family) == 0,
        "{pair:?} was unpaired before"
    );
    hold!(!expires_in.is_zero(), "{pair:?} has no life left");
    let misdated = world.history.misdated.contains(&pair);
    let knows = !misdated && (world.clock == Clock::Right || knows_the_age(world, pair));
    if let Some(end) = world.server.access_end(pair).filter(|_| knows) {
        let claimed = world.real + millis(*expires_in);
        // The wall clock has whole seconds; nobody can be more exact across a boot.
        hold!(claimed < end + 1_000, "claims to live {} ms too long", claimed - end);
    }
    Ok(())
}

/// True if the age of this token can be known whatever the clock shows: it is of this boot, or it
/// was dated right and an answer has told this process the time since.
fn knows_the_age(world: &World, pair: Pair) -> bool {
    let on_disk = world
        .disk
        .paired()
        .filter(|pairing| Pair::of_pair(&pairing.pair) == pair);
    on_disk.is_some_and(|pairing| {
        let obtained = pairing.pair.obtained;
        let began = world
            .server
            .access_end(pair)
            .map(|end| end.saturating_sub(world.access_life));
        let truth = began.map(|began| WallTime::from_secs(EPOCH + began / 1000));
        let dated = obtained
            .wall
            .is_some_and(|wall| truth.is_some_and(|truth| wall <= truth));
        obtained.boot == world.identity().id || (world.history.dated && dated)
    })
}

/// A client that rejected a token does not get it again before a request that left later has ended,
/// or its time is over.
pub(super) fn a_rejected_token_comes_back_only_when_examined(world: &World, call: &OpenCall, reply: &Reply) -> Law {
    let Reply::Token { access, .. } = reply else {
        return Ok(());
    };
    let history = &world.history;
    let uid = call.ask.client().uid;
    let pair = Pair::of_access(access);
    let mut rejections = history.rejections.iter();
    let rejected = rejections.find(|rejection| rejection.pair == pair && rejection.uid == uid);
    // Nobody can be asked, or nobody within the call's time.
    let left = millis(call.until.since(world.boot_time()));
    let mut wrong = history.wrong.iter();
    let put_off = wrong.any(|(who, at)| *who == uid && at + 10_000 > world.real + left);
    let excused = world.without_probe || history.probe_failing || history.stopping || put_off;
    hold!(
        rejected.is_none() || excused || call.until <= world.boot_time(),
        "{rejected:?} comes back, and nobody was asked"
    );
    Ok(())
}

/// Where nobody can be asked, whatever a client says of a token: who wants one gets the one that
/// lives.
pub(super) fn a_living_token_is_handed_out_whatever_clients_say(
    world: &World,
    reply: &Result<Reply, CallError>,
) -> Law {
    let (true, Err(error), Some(pairing)) = (world.without_probe, reply, world.disk.paired()) else {
        return Ok(());
    };
    let history = &world.history;
    let pair = Pair::of_pair(&pairing.pair);
    let gone = (history.invalidated | history.unwanted) & family_bit(pair.family) != 0;
    let moves = history.stopping || world.writes_record() || !knows_the_age(world, pair);
    let lives = world
        .server
        .access_end(pair)
        .is_some_and(|end| world.real + 61_000 < end);
    hold!(
        gone || moves || !lives,
        "{pair:?} lives on, and a caller gets {error:?}"
    );
    Ok(())
}

pub(super) fn a_generation_names_one_token(world: &World, reply: &Reply) -> Law {
    if let Reply::Token { access, generation, .. } = reply {
        let pair = Pair::of_access(access);
        let handed = &world.history.handed;
        let renamed = world.history.renamed;
        let clash = handed.iter().find(|(g, p)| {
            if g == generation {
                *p != pair
            } else {
                *p == pair && !renamed
            }
        });
        hold!(clash.is_none(), "{pair:?} as {generation:?}, before that {clash:?}");
    }
    Ok(())
}

pub(super) fn done_means_durable(world: &World, ask: Ask, reply: &Reply) -> Law {
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
            hold!(flow_is_gone(world), "`Unpair` answers, and the flow is still in /run");
        }
        (Ask::Redirect(_), Reply::Done) => {
            hold!(
                world.disk.paired().is_some() || world.history.paired_in_memory(),
                "`CompletePairing` answers, and no pairing is on disk"
            );
        }
        (Ask::Cancel, Reply::Done) => {
            hold!(
                flow_is_gone(world),
                "`CancelPairing` answers, and the flow is still in /run"
            );
        }
        _ => {}
    }
    Ok(())
}

/// True if the flow's file is gone, or a later write of it is on its way: then a flow was started
/// since.
fn flow_is_gone(world: &World) -> bool {
    let newer = |write: &Write| matches!(write.store, Store::Flow(_));
    world.disk.flow.is_none() || world.stores.iter().any(newer)
}

pub(super) fn nothing_is_revoked_while_paired(world: &World, pair: Pair) -> Law {
    let current = world.disk.paired().map(|pairing| Pair::of_pair(&pairing.pair));
    // One that the server has ended is no pairing, although its tombstone is still on its way to
    // the disk.
    let current = current.filter(|current| world.history.invalidated & family_bit(current.family) == 0);
    hold!(
        current.is_none_or(|current| world.separate_grants && current.family != pair.family),
        "{pair:?} is revoked, {current:?} is on disk, and to the server both are one device"
    );
    Ok(())
}

pub(super) fn a_pending_revocation_goes_before_the_first_code_request(world: &World) -> Law {
    if world.history.code_asked || world.is_in_flight(RequestKind::Refresh) {
        // Not the first; or the revocation waits to learn which token is the newest.
        return Ok(());
    }
    // One that fails tells enough about the network; and what a failing disk did not take off its
    // list is for the next start.
    let listed = families_listed(world.last_revocations());
    let pending = listed & !world.history.excuses.families();
    hold!(
        pending == 0 || listed & world.history.tried != 0,
        "families {pending:b} are still to be revoked, and nobody has tried"
    );
    Ok(())
}

/// A pairing that only the runtime directory holds is on its way to the disk, or is tried again
/// within two minutes.
pub(super) fn a_spilled_pairing_is_written_again(sim: &Sim) -> Law {
    let world = &sim.world;
    let alone = |spill: &Record| world.disk.keeps(spill) == Kept::Spilled;
    if !world.disk.spill.as_ref().is_some_and(alone) || world.history.stopping {
        return Ok(());
    }
    let written = |write: &Write| matches!(write.store, Store::Record { .. });
    let soon = world.boot_time().after(Duration::from_mins(2));
    hold!(
        world.stores.iter().any(written) || sim.core.next_deadline().is_some_and(|deadline| deadline <= soon),
        "nobody writes it, and the next deadline is {:?}",
        sim.core.next_deadline()
    );
    Ok(())
}

// The driver's laws
