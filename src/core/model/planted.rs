//! Each law is shown a world in which it is broken. A law that nothing can break would prove nothing.

use std::collections::BTreeSet;

use crate::core::{
    Body, BootTime, CallError, CallId, CodeView, Effect, Generation, IntentMark, OpId, Prompt, Reason, Record, Reply,
    Request, Revocable, Slots, Store, UserCode,
};

use super::calm::Calm;
use super::invariants::{self, Moment, Turn, Violation};
use super::scenario::{FRAMEIO, boot_id};
use super::server::{CANARY, Pair};
use super::sim::Sim;
use super::step::{Ask, Kind, Step};
use super::table::{self, REFRESH_SENT};
use super::world::OpenCall;

/// The pair that every paired scenario begins with.
const FIRST: Pair = Pair { family: 0, turn: 0 };

const ANY_OP: OpId = OpId(1 << 32);
const CALL: CallId = CallId(1 << 32);

fn after(start: &str, way: &[Step]) -> Sim {
    table::reach(start, table::scenario_of(start), way)
}

fn unpaired() -> Sim {
    after("fresh", &[])
}

fn paired() -> Sim {
    after("paired", &REFRESH_SENT[..1])
}

fn refreshing() -> Sim {
    after("paired", &REFRESH_SENT)
}

/// A refresh could go out now: nothing flies, and the mark counts enough.
fn about_to_send() -> Sim {
    let mut sim = paired();
    if let Some(Record {
        body: Body::Paired(pairing),
        ..
    }) = &mut sim.world.disk.newest
    {
        pairing.mark = Some(IntentMark {
            boot: boot_id(0),
            at: BootTime::default(),
            sends: 9,
        });
    }
    sim.world.prepared.push(ANY_OP);
    sim.world.history.inhibited = true;
    sim
}

fn asked(sim: &mut Sim, ask: Ask) {
    let until = BootTime::from_millis(u64::MAX);
    sim.world.calls.push(OpenCall { id: CALL, ask, until });
}

fn refresh() -> Request {
    Request::Refresh {
        on: ANY_OP,
        token: FIRST.refresh(),
    }
}

fn token(pair: Pair) -> Effect {
    let reply = Reply::Token {
        access: pair.access(),
        expires_in: FRAMEIO.access_life / 10,
        generation: Generation(1),
    };
    Effect::Reply(CALL, Ok(reply))
}

fn publish(sim: &Sim) -> Effect {
    Effect::Publish(Box::new(sim.core.snapshot().clone()))
}

fn at_effect(sim: &Sim, effect: &Effect) -> Result<(), Violation> {
    let world = &sim.world;
    invariants::hold_at_effect(&Moment { world, effect })
}

fn at_request(sim: &Sim, request: Request) -> Result<(), Violation> {
    at_effect(sim, &Effect::Request(ANY_OP, request))
}

fn after_turn(sim: &Sim, ticked: bool, failed: Option<Kind>, effects: &[Effect]) -> Result<(), Violation> {
    let turn = Turn {
        ticked,
        on_time: true,
        failed,
    };
    invariants::hold_after_turn(sim, Some(&turn), effects)
}

fn at_rest(sim: &Sim) -> Result<(), Violation> {
    Calm::default().leads_to_rest(sim).map_err(|(violation, _)| violation)
}

/// Every planted fault: what is wrong with the world or the effect, and what the laws say about it.
#[expect(clippy::too_many_lines, reason = "a list, one entry for each law")]
fn planted() -> Vec<(&'static str, Result<(), Violation>)> {
    let mut faults = Vec::new();
    let mut plant = |law, sim: Sim, look: &dyn Fn(&Sim) -> Result<(), Violation>| faults.push((law, look(&sim)));

    let mut sim = paired();
    asked(&mut sim, Ask::Token);
    let unseen = Pair { family: 0, turn: 7 };
    plant("i1_a_token_is_handed_out_only_when_durable", sim, &|sim| {
        at_effect(sim, &token(unseen))
    });
    plant("i1_the_snapshot_shows_only_what_is_durable", paired(), &|sim| {
        let mut snapshot = sim.core.snapshot().clone();
        snapshot.generation = Generation(7);
        at_effect(sim, &Effect::Publish(Box::new(snapshot)))
    });
    plant("i2_one_request_in_flight_per_grant", refreshing(), &|sim| {
        at_request(sim, Request::Identify(FIRST.access()))
    });
    let mut sim = paired();
    sim.world.server.rotate(FIRST, &FRAMEIO, sim.world.real);
    plant(
        "i3_a_record_without_mark_holds_no_used_token",
        sim,
        &invariants::hold_in_state,
    );
    let sim = table::reach("code", table::scenario_of("fresh"), &table::CODE_SHOWN);
    plant("i4_polls_keep_their_interval", sim, &|sim| {
        let flow = sim.world.disk.flow.as_ref().expect("the code is in /run");
        at_request(sim, Request::Poll(flow.code.device_code.clone()))
    });
    let mut sim = paired();
    sim.core.deadline = None;
    sim.world.server.forget();
    plant("i5_never_wedged", sim, &at_rest);
    let mut sim = unpaired();
    sim.core.snapshot.reason = Reason::None;
    plant("i5_unpaired_says_why", sim, &at_rest);
    plant("i6_replies_answer_open_calls", paired(), &|sim| {
        at_effect(sim, &Effect::Reply(CALL, Err(CallError::Timeout)))
    });
    let mut sim = paired();
    sim.world.call(Ask::Token);
    plant("i6_every_call_is_answered_in_time", sim, &invariants::hold_in_state);
    let mut sim = paired();
    sim.core.deadline = Some(sim.world.boot_time());
    plant("i7_a_tick_moves_the_deadline_forward", sim, &|sim| {
        after_turn(sim, true, None, &[])
    });
    plant("i7_no_retry_without_delay", paired(), &|sim| {
        after_turn(
            sim,
            false,
            Some(Kind::Prepare),
            &[Effect::Request(ANY_OP, Request::Prepare)],
        )
    });
    let mut sim = paired();
    sim.world.history.burst = u8::MAX;
    plant("i7_no_burst_of_requests", sim, &|sim| at_request(sim, Request::Prepare));
    plant("i8_nothing_printed_holds_a_secret", paired(), &|sim| {
        let view = CodeView {
            id: 1,
            prompt: Prompt::Code {
                user_code: UserCode::new(String::new()),
                verification_uri: format!("https://example.test/?code={CANARY}"),
                verification_uri_complete: None,
            },
            device_name: String::new(),
            expires_in: FRAMEIO.code_life,
        };
        invariants::hold_in_sampled_state(sim, &[Effect::Reply(CALL, Ok(Reply::Code(view)))])
    });
    plant("i9_sends_are_counted_on_disk_first", paired(), &|sim| {
        at_request(sim, refresh())
    });
    plant("i9_only_a_verdict_or_the_user_ends_a_pairing", paired(), &|sim| {
        let mut record = sim.world.disk.newest.clone().expect("it is paired");
        record.body = Body::Tombstone(Reason::Revoked);
        let (record, slots) = (Box::new(record), Slots::Both);
        at_effect(sim, &Effect::Store(ANY_OP, Store::Record { record, slots }))
    });

    let mut sim = about_to_send();
    sim.world.history.sent(&refresh(), sim.world.real, sim.world.boot);
    plant("a_resend_waits_for_the_server_to_give_up", sim, &|sim| {
        at_request(sim, refresh())
    });
    let mut sim = about_to_send();
    sim.world.history.refreshed = Some(sim.world.real);
    plant("refreshes_are_five_seconds_apart", sim, &|sim| {
        at_request(sim, refresh())
    });
    let mut sim = about_to_send();
    sim.world.prepared.clear();
    plant("a_refresh_uses_its_proven_connection", sim, &|sim| {
        at_request(sim, refresh())
    });
    let mut sim = about_to_send();
    sim.world.history.inhibited = false;
    plant("a_refresh_is_sent_only_while_inhibiting", sim, &|sim| {
        at_request(sim, refresh())
    });
    plant("a_sent_refresh_or_poll_is_never_cancelled", refreshing(), &|sim| {
        at_effect(sim, &Effect::Cancel(sim.world.flights[0].op))
    });
    plant("inhibit_and_release_alternate", refreshing(), &|sim| {
        at_effect(sim, &Effect::Release)
    });

    let mut sim = paired();
    asked(&mut sim, Ask::Token);
    sim.world.history.refused.push(FIRST);
    plant("a_handed_token_is_not_known_to_be_dead", sim, &|sim| {
        at_effect(sim, &token(FIRST))
    });
    let mut sim = paired();
    asked(&mut sim, Ask::Token);
    sim.world.history.handed.push((Generation(1), unseen));
    plant("a_generation_names_one_token", sim, &|sim| {
        at_effect(sim, &token(FIRST))
    });
    let mut sim = paired();
    asked(&mut sim, Ask::Unpair);
    plant("done_means_durable", sim, &|sim| {
        at_effect(sim, &Effect::Reply(CALL, Ok(Reply::Done)))
    });
    plant("nothing_is_revoked_while_paired", paired(), &|sim| {
        at_request(sim, Request::Revoke(Revocable::Refresh(unseen.refresh())))
    });
    let sim = table::reach("revoking", table::scenario_of("paired"), &table::UNPAIRED);
    plant("a_pending_revocation_goes_before_the_first_code_request", sim, &|sim| {
        let mut sim = sim.clone();
        sim.world.history.tried = 0;
        at_request(&sim, Request::DeviceCode)
    });
    let mut sim = paired();
    sim.world.server.authorize(&FRAMEIO, sim.world.real);
    sim.world.history.delivered.push(Pair { family: 1, turn: 0 });
    plant("no_ghost_device_in_the_project", sim, &at_rest);
    let mut sim = paired();
    let record = sim.scenario.record(Pair { family: 1, turn: 0 }, None);
    sim.world.server.authorize(&FRAMEIO, sim.world.real);
    sim.world.disk.newest = Some(record);
    sim.world.history.excused = u64::MAX;
    plant("i1_the_disk_holds_what_is_handed_out", sim, &at_rest);

    let mut sim = paired();
    sim.core.deadline = None;
    plant("d3_stale_answers_are_dropped", sim, &|sim| {
        invariants::hold_in_sampled_state(sim, &[])
    });
    plant("d4_publish_comes_before_replies", paired(), &|sim| {
        let reply = Effect::Reply(CALL, Err(CallError::Timeout));
        after_turn(sim, false, None, &[reply, publish(sim)])
    });
    plant("d4_what_changed_is_published_once", paired(), &|sim| {
        after_turn(sim, false, None, &[publish(sim), publish(sim)])
    });
    let mut sim = paired();
    sim.world.history.stopping = true;
    plant("shutdown_starts_nothing_new", sim, &|sim| {
        at_request(sim, Request::Prepare)
    });
    plant("drained_means_that_nothing_is_left", paired(), &|sim| {
        at_effect(sim, &Effect::Drained)
    });
    let mut sim = paired();
    sim.core.snapshot.paired = false;
    plant("the_snapshot_makes_sense", sim, &invariants::hold_in_state);
    faults
}

#[test]
fn every_planted_fault_is_found_by_its_law() {
    for (law, outcome) in planted() {
        let found = outcome.expect_err(law);
        assert_eq!(found.rule, law, "{}", found.what);
    }
}

#[test]
fn every_law_is_shown_a_fault() {
    let sources = [include_str!("invariants.rs"), include_str!("laws.rs")].concat();
    let laws: BTreeSet<_> = sources
        .split("fn ")
        .filter(|item| item.split('{').next().is_some_and(|head| head.contains("-> Law")))
        .filter_map(|item| item.split('(').next())
        .collect();
    assert!(laws.len() > 20, "the laws were not found: {laws:?}");
    let planted: BTreeSet<_> = planted().into_iter().map(|(law, _)| law).collect();
    let missing: Vec<_> = laws.difference(&planted).collect();
    assert!(missing.is_empty(), "no fault is planted for {missing:?}");
}
