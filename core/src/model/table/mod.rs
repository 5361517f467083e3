//! State × event as a table for review: what the core does in each canonical state with each event
//! that is possible there.
//!
//! A change of the core that changes a decision shows as a changed line of the snapshot, whoever
//! thought of a test for it or not.

mod states;

use std::fmt::Write as _;

use crate::{Body, Effect, Store};

use super::network::kind_of;
use super::sim::Sim;
use super::step::{Ask, Clock, DiskFate, Outcome, RedirectKind, RequestKind, Step};
use super::tests::ALL_ASKS;
use states::{DONE, FAILED, reach, states};

#[test]
fn every_state_meets_every_event() {
    let mut text = String::new();
    for (name, scenario, way) in states() {
        let mut effects = Vec::new();
        let sim = reach(name, scenario, &way);
        let _ = writeln!(text, "{name}  [{}]", seen(&sim));
        let mut possible = Vec::new();
        sim.enabled(&mut possible);
        for step in possible {
            if silent(step) {
                continue;
            }
            let mut next = sim.clone();
            // This test does not ask if laws hold.
            let _ = next.apply(step, &mut effects);
            let label = label(step);
            let _ = writeln!(text, "  {label:<26} {:<44} {}", seen(&next), short(&effects));
        }
        text.push('\n');
    }
    assert_complete(&text);
    insta::with_settings!({ snapshot_path => "../snapshots", omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("state_event_table", text);
    });
}

/// Each way in which each request can end, and each call, is somewhere in the table.
fn assert_complete(text: &str) {
    let ends = RequestKind::ALL.into_iter().flat_map(|kind| {
        let truth = std::iter::once(&Outcome::Honest);
        // A clock that is not set keeps each kind of request from being sent in the same way; one
        // is enough here.
        let shown = move |how: &&Outcome| **how != Outcome::ClockNotSet || kind == RequestKind::Probe;
        truth
            .chain(kind.faults())
            .filter(shown)
            .map(move |how| Step::Answer(kind, *how))
    });
    let calls = ALL_ASKS.iter().map(|ask| Step::Ask(*ask));
    let others = [
        Step::Ask(Ask::Redirect(RedirectKind::Back)),
        Step::Advance,
        Step::NetworkUp,
        Step::ClockStepped(Clock::Untrusted),
        Step::ClockStepped(Clock::Right),
        Step::Reload,
        Step::Shutdown,
        DONE,
        FAILED,
    ];
    for step in ends.chain(calls).chain(others).filter(|step| !silent(*step)) {
        let row = format!("\n  {:<26} ", label(step));
        assert!(text.contains(&row), "nowhere in the table: {step:?}");
    }
}

/// Steps of the world that the core does not see.
const fn silent(step: Step) -> bool {
    matches!(
        step,
        Step::Approve
            | Step::Deny
            | Step::Forget
            | Step::Look(_)
            | Step::Overtake(_)
            | Step::LateArrival
            | Step::Sleep(_)
            | Step::Window(_)
            | Step::Disk(DiskFate::FailedThere)
            | Step::Answer(_, Outcome::Undated | Outcome::Misdated | Outcome::LostLate)
    )
}

fn label(step: Step) -> String {
    match step {
        Step::Ask(Ask::Start { renew, replace }) => {
            let renew = if renew { "" } else { ", once" };
            let replace = if replace { ", replace" } else { "" };
            format!("call Start{renew}{replace}")
        }
        Step::Ask(ask) => format!("call {ask:?}"),
        Step::Answer(kind, how) => format!("{kind:?} {how:?}"),
        Step::Disk(DiskFate::Done) => String::from("stored"),
        Step::Disk(_) => String::from("not stored"),
        other => format!("{other:?}"),
    }
}

/// The visible part of a state.
fn seen(sim: &Sim) -> String {
    let snapshot = sim.core.snapshot();
    format!(
        "{}/{} {} {}{}",
        snapshot.pairing.word(),
        snapshot.reason.word(),
        if snapshot.paired { "paired" } else { "-" },
        snapshot.token.word(),
        if snapshot.attention { " !" } else { "" }
    )
}

fn short(effects: &[Effect]) -> String {
    let short = |effect: &Effect| match effect {
        Effect::Request(_, request) => Some(format!("{:?}", kind_of(request))),
        Effect::Cancel(_) => Some(String::from("cancel")),
        Effect::Store(_, Store::Record { record, .. }) => Some(String::from(match &record.body {
            Body::Tombstone(_) => "+tombstone",
            Body::Paired(pairing) if pairing.mark.is_some() => "+mark",
            Body::Paired(pairing) if pairing.candidate.is_some() => "+candidate",
            Body::Paired(_) => "+pair",
        })),
        Effect::Store(_, Store::Revocations(list)) => Some(format!("+revocations({})", list.len())),
        Effect::Store(_, Store::Flow(Some(_))) => Some(String::from("+flow")),
        Effect::Store(_, Store::Flow(None)) => Some(String::from("-flow")),
        Effect::Store(_, Store::Trial) => Some(String::from("+trial")),
        Effect::Inhibit => Some(String::from("inhibit")),
        Effect::Release => Some(String::from("release")),
        Effect::Reply(_, Ok(reply)) => {
            let printed = format!("{reply:?}");
            let word = printed.split([' ', '(']).next().unwrap_or_default();
            Some(format!("reply:{word}"))
        }
        Effect::Reply(_, Err(error)) => Some(format!("reply:{error:?}")),
        Effect::Drained => Some(String::from("drained")),
        // The column before shows the snapshot that is published. Log events are for people.
        Effect::Publish(_) | Effect::Log(_) => None,
    };
    effects.iter().filter_map(short).collect::<Vec<_>>().join(", ")
}
