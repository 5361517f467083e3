//! The time of an answer: it is about the moment at which its request was looked at. So nothing
//! that came later than the request follows from it.

use super::*;
use crate::{Revocable, RevokeAnswer};

use super::super::history::Sends;
use super::super::network::Answering;

/// An answer settles what was asked before its request left, and what that request was about. What
/// came to pass meanwhile, it cannot know.
pub(in crate::model) fn an_answer_settles_only_what_came_before_it_was_sent(world: &World, effect: &Effect) -> Law {
    let Some(answering) = &world.answering else {
        return Ok(());
    };
    match (&answering.flight.request, &answering.answer) {
        (Request::Probe(access) | Request::Heartbeat(access), Answer::Probe(answer)) => match answer {
            ProbeAnswer::Accepted(_) => a_2xx_settles(world, answering, Pair::of_access(access), effect),
            ProbeAnswer::Rejected => a_verdict_settles(world, Pair::of_access(access), effect),
            ProbeAnswer::Failed(_) => Ok(()),
        },
        (Request::Refresh { token, .. }, Answer::Refresh(RefreshAnswer::InvalidGrant)) => {
            a_verdict_settles(world, Pair::of_refresh(token), effect)
        }
        (Request::Revoke(token), Answer::Revoke(RevokeAnswer::Done | RevokeAnswer::Refused)) => {
            a_revocation_settles(world, token, effect)
        }
        (Request::Poll(..), Answer::Poll(answer)) if !matches!(answer, PollAnswer::Granted(_)) => {
            let ended = matches!(effect, Effect::Log(LogEvent::FlowEnded { .. }));
            hold!(
                !ended || !answering.flight.outdated,
                "a flow ends by what was said of a code of the one before it"
            );
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The token lived when the request left: who had rejected it by then was wrong, a refresh that the
/// server had given up on by then was not carried out, a pair that had come by then is stale.
fn a_2xx_settles(world: &World, answering: &Answering, pair: Pair, effect: &Effect) -> Result<(), String> {
    match effect {
        Effect::Log(LogEvent::ReportContradicted { caller, .. }) => hold!(
            answering.uids.contains(caller),
            "user {caller} is called wrong by a request that left before they rejected {pair:?}"
        ),
        Effect::Reply(id, Ok(Reply::Done)) => {
            let call = world.calls.iter().find(|call| call.id == *id);
            let Some(call) = call.filter(|call| call.ask.rejects_current() && call.id.0 >= answering.flight.calls)
            else {
                return Ok(());
            };
            let uid = call.ask.client().uid;
            let spaced = answering.uids.contains(&uid) || world.history.wrong.iter().any(|(who, _)| *who == uid);
            let busy = world.writes_record() || world.refreshes() || world.history.stopping;
            hold!(
                spaced || busy,
                "{pair:?} was rejected after the request left, and its answer is taken for an examination"
            );
        }
        Effect::Store(_, Store::Record { record, .. }) => {
            let last = world.last_record().map(|record| &record.body);
            let (Some(Body::Paired(before)), Body::Paired(after)) = (last, &record.body) else {
                return Ok(());
            };
            if after.pair != before.pair {
                return Ok(());
            }
            let marked = after.mark.map_or(0, |mark| mark.sends);
            let of_pair = |sends: &&Sends| sends.pair == pair && marked < sends.count;
            let sends = world.history.sends.iter().find(of_pair);
            hold!(sends.is_none(), "{sends:?} are in doubt, the mark says {marked}");
            if let (Some(candidate), None) = (&before.candidate, &after.candidate) {
                let candidate = Pair::of_pair(candidate);
                let came = world.history.delivered.iter().position(|pair| *pair == candidate);
                hold!(
                    came.is_some_and(|came| came < answering.flight.delivered),
                    "{candidate:?} came after the request left, and is dropped for its answer"
                );
            }
        }
        _ => {}
    }
    Ok(())
}

/// This pair is dead: of another one, nothing was said.
fn a_verdict_settles(world: &World, pair: Pair, effect: &Effect) -> Result<(), String> {
    let current = match effect {
        // The one that is served, whatever is on its way to the disk.
        Effect::Log(LogEvent::TokenRejected { .. }) if !world.history.paired_in_memory() => world.disk.paired(),
        Effect::Store(_, Store::Record { record, .. }) => {
            let last = world.last_record().map(|record| &record.body);
            let (Some(Body::Paired(current)), next) = (last, &record.body) else {
                return Ok(());
            };
            let goes_on = matches!(next, Body::Paired(next) if next.pair == current.pair);
            (!goes_on).then_some(&**current)
        }
        _ => None,
    };
    let ended = current.map(|pairing| Pair::of_pair(&pairing.pair));
    hold!(
        ended.is_none_or(|ended| ended == pair),
        "{ended:?} ends by what was said of {pair:?}"
    );
    Ok(())
}

/// This token is revoked: the others on the list stay there, but for what has ended. The disk may
/// hold an older list.
fn a_revocation_settles(world: &World, token: &Revocable, effect: &Effect) -> Result<(), String> {
    let Effect::Store(_, Store::Revocations(list)) = effect else {
        return Ok(());
    };
    let gone = world.listed.iter().find(|pending| {
        let over = pending.ends.is_some_and(|ends| ends <= world.date());
        let family = Pair::of_revocable(&pending.token).family;
        !over && family != Pair::of_revocable(token).family && !list.contains(pending)
    });
    hold!(
        gone.is_none(),
        "{:?} goes off the list by what was said of {:?}",
        gone.map(|pending| Pair::of_revocable(&pending.token)),
        Pair::of_revocable(token)
    );
    Ok(())
}

/// RFC 7009 §2.2.1: the server will not revoke it. That is told, and it goes off the list.
pub(in crate::model) fn a_refused_revocation_is_told(world: &World, effects: &[Effect]) -> Law {
    let refused = world
        .answering
        .as_ref()
        .is_some_and(|answering| answering.answer == Answer::Revoke(RevokeAnswer::Refused) && !world.history.drained);
    let told = effects.contains(&Effect::Log(LogEvent::RevocationDropped));
    hold!(!refused || told, "the server refuses to revoke, and nobody hears of it");
    Ok(())
}

pub(in crate::model) fn a_refused_revocation_is_not_sent_again(world: &World, pair: Pair) -> Law {
    hold!(
        !world.history.refused.contains(&pair),
        "{pair:?} is to be revoked again, and the server refused that"
    );
    Ok(())
}
