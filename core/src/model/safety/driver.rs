//! The driver's laws D3 and D4, shutdown, and what the snapshot says.

use super::*;

pub(in crate::model) fn d3_stale_answers_are_dropped(sim: &Sim) -> Law {
    if sim.due() {
        // Any event does what is due.
        return Ok(());
    }
    let op = OpId(u64::MAX);
    let now = sim.world.now(sim.scenario.entropy);
    let mut shown = sim.core.clone();
    if sim.world.clock == Clock::Behind {
        // It may have caught up, and then any event shows the times of the pairing.
        shown.handle(now, Event::Tick, &mut Vec::new());
    }
    let stale = [
        Answer::Refresh(RefreshAnswer::InvalidGrant),
        Answer::Poll(PollAnswer::Denied),
        Answer::Prepare(PrepareAnswer::Ready),
        Answer::Probe(ProbeAnswer::Rejected),
    ];
    let answers = stale
        .into_iter()
        .map(|answer| Event::Answered { op, date: None, answer });
    for event in answers {
        let mut core = shown.clone();
        let mut effects = Vec::new();
        let printed = format!("{event:?}");
        core.handle(now, event, &mut effects);
        hold!(
            effects.is_empty() && core == shown,
            "{printed} has effects: {effects:?}"
        );
    }
    Ok(())
}

pub(in crate::model) fn d4_publish_comes_before_replies(effects: &[Effect]) -> Law {
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

pub(in crate::model) fn d4_what_changed_is_published_once(sim: &Sim, effects: &[Effect]) -> Law {
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

pub(in crate::model) fn shutdown_starts_nothing_new(world: &World) -> Law {
    hold!(!world.history.stopping, "a request after the order to end");
    Ok(())
}

pub(in crate::model) fn drained_means_that_nothing_is_left(world: &World) -> Law {
    hold!(world.history.stopping, "drained without an order to end");
    hold!(!world.history.drained, "drained twice");
    hold!(
        !world.refreshes() && !world.is_in_flight(RequestKind::Poll) && !world.is_in_flight(RequestKind::Exchange),
        "drained with a request that must not be cut"
    );
    hold!(world.stores.is_empty(), "drained with stores under way");
    hold!(world.calls.is_empty(), "drained with calls unanswered");
    Ok(())
}

// The disk

/// The store puts aside what nobody can use, when another record is to be written. That is for
/// people to bring about.
pub(in crate::model) fn an_unusable_record_is_written_over_for_people_alone(world: &World, store: &Store) -> Law {
    if let (Some(unreadable), Store::Record { record, .. }) = (world.disk.unreadable, store) {
        let wanted = match record.body {
            Body::Paired(_) => !world.history.delivered.is_empty(),
            Body::Tombstone(_) => world.history.asked_to_unpair,
        };
        hold!(
            wanted,
            "a record that is {unreadable:?} is written over, and nobody wanted it"
        );
    }
    Ok(())
}

// The snapshot

pub(in crate::model) fn the_snapshot_makes_sense(sim: &Sim) -> Law {
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
