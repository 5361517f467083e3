//! State × event as a table for review: what the core does in each canonical state with each event that is possible there.
//!
//! A change of the core that changes a decision shows as a changed line of the snapshot, whoever thought of a test for it or not.

use std::fmt::Write as _;
use std::sync::LazyLock;

use crate::core::{Body, Effect, Store};

use super::network::kind_of;
use super::scenario::{Budget, Scenario};
use super::sim::Sim;
use super::step::{Ask, DiskFate, How, Kind, Step};
use super::tests::{ALL_ASKS, BEFORE_ADVISORY, REPLACE, START};

use super::scenario::Start;

/// One of everything, always: the table shows single steps.
const ONE_OF_EACH: Budget = Budget {
    asks: 1,
    faults: 1,
    disk: 1,
    crashes: 0,
    stalls: 1,
    consents: 1,
    forgets: 1,
    nudges: 1,
    clocks: 1,
    sleeps: 1,
    shutdowns: 1,
    waits: 1,
};

const DONE: Step = Step::Disk(DiskFate::Done);
const FAILED: Step = Step::Disk(DiskFate::Failed);

const fn truth(kind: Kind) -> Step {
    Step::Answer(kind, How::Truth)
}

/// A refresh from rest to its POST.
pub(super) const REFRESH_SENT: [Step; 4] = [truth(Kind::Identify), Step::Advance, truth(Kind::Prepare), DONE];

/// From nothing to a code in `/run`.
pub(super) const CODE_SHOWN: [Step; 3] = [Step::Ask(START), truth(Kind::Code), DONE];

/// From a pairing to its tombstone.
pub(super) const UNPAIRED: [Step; 4] = [truth(Kind::Identify), Step::Ask(Ask::Unpair), DONE, DONE];

/// Nothing, or a pairing whose token grows old.
pub(super) fn scenario_of(start: &str) -> &'static Scenario {
    static FRESH: LazyLock<Scenario> = LazyLock::new(|| scenario("fresh", Start::Fresh));
    static PAIRED: LazyLock<Scenario> = LazyLock::new(|| scenario("paired", BEFORE_ADVISORY));
    if start == "fresh" { &FRESH } else { &PAIRED }
}

/// Goes a way, each step of which must be possible and break no law.
pub(super) fn reach(name: &str, scenario: &'static Scenario, way: &[Step]) -> Sim {
    let mut effects = Vec::new();
    let mut sim = Sim::start(scenario, &mut effects).unwrap_or_else(|violation| panic!("{name}: {violation:?}"));
    for step in way {
        sim.world.budget = ONE_OF_EACH;
        let mut possible = Vec::new();
        sim.enabled(&mut possible);
        assert!(possible.contains(step), "{name}: {step:?} is not possible");
        sim.apply(*step, &mut effects)
            .unwrap_or_else(|violation| panic!("{name}: {violation:?}"));
    }
    sim.world.budget = ONE_OF_EACH;
    sim
}

/// The states, each by the way to it.
#[expect(clippy::too_many_lines, reason = "a list, one entry for each state")]
fn states() -> Vec<(&'static str, &'static Scenario, Vec<Step>)> {
    let (fresh, paired) = (scenario_of("fresh"), scenario_of("paired"));
    let sent = |more: &[Step]| [&REFRESH_SENT, more].concat();
    let refresh = |how| Step::Answer(Kind::Refresh, how);
    let (start, replace) = (Step::Ask(START), Step::Ask(REPLACE));
    let shown = CODE_SHOWN;
    let on_poll = [&shown[..], &[Step::Advance]].concat();
    let replacing = [truth(Kind::Identify), replace, truth(Kind::Code), DONE, Step::Advance];
    vec![
        ("unpaired", fresh, vec![]),
        ("requesting a code", fresh, vec![start]),
        (
            "requesting a code, offline",
            fresh,
            vec![start, Step::Answer(Kind::Code, How::Offline)],
        ),
        ("awaiting the user", fresh, shown.to_vec()),
        ("a poll flies", fresh, on_poll.clone()),
        (
            "a poll flies, approved",
            fresh,
            [&on_poll[..], &[Step::Approve]].concat(),
        ),
        (
            "cancelled, its poll flies, approved",
            fresh,
            [&on_poll[..], &[Step::Ask(Ask::Cancel), DONE, Step::Approve]].concat(),
        ),
        (
            "a new pairing is being written",
            fresh,
            [&on_poll[..], &[Step::Approve, truth(Kind::Poll)]].concat(),
        ),
        ("paired, the first probe flies", paired, vec![]),
        ("paired", paired, vec![truth(Kind::Identify)]),
        ("preparing a refresh", paired, REFRESH_SENT[..2].to_vec()),
        ("writing the mark", paired, REFRESH_SENT[..3].to_vec()),
        (
            "the mark cannot be written",
            paired,
            [&REFRESH_SENT[..3], &[FAILED]].concat(),
        ),
        ("a refresh flies", paired, sent(&[])),
        ("storing the new pair", paired, sent(&[refresh(How::Truth)])),
        (
            "the new pair cannot be written",
            paired,
            sent(&[refresh(How::Truth), FAILED]),
        ),
        ("refused, will retry", paired, sent(&[refresh(How::Refused)])),
        ("the client is rejected", paired, sent(&[refresh(How::ClientRejected)])),
        ("ambiguous, probing", paired, sent(&[refresh(How::Lost)])),
        (
            "ambiguous, the old token lives",
            paired,
            sent(&[refresh(How::Lost), truth(Kind::Identify)]),
        ),
        (
            "ambiguous, the old token is dead",
            paired,
            sent(&[refresh(How::LostAfter), truth(Kind::Identify)]),
        ),
        (
            "the verdict is being written",
            paired,
            sent(&[Step::Forget, refresh(How::Truth)]),
        ),
        (
            "lost by a verdict",
            paired,
            sent(&[Step::Forget, refresh(How::Truth), DONE]),
        ),
        (
            "rejected, probing",
            paired,
            vec![
                truth(Kind::Identify),
                Step::Ask(Ask::Token),
                // A probe's result holds for ten seconds.
                Step::Sleep(11),
                Step::Ask(Ask::RejectCurrent),
            ],
        ),
        ("replacing, a poll flies", paired, replacing.to_vec()),
        (
            "replacement cancelled, its poll brought a pair",
            paired,
            [
                &replacing[..],
                &[Step::Approve, Step::Ask(Ask::Cancel), DONE, truth(Kind::Poll)],
            ]
            .concat(),
        ),
        (
            "unpairing, the tombstone is being written",
            paired,
            vec![truth(Kind::Identify), Step::Ask(Ask::Unpair), DONE],
        ),
        (
            "unpairing while a refresh flies",
            paired,
            sent(&[Step::Ask(Ask::Unpair), DONE, DONE]),
        ),
        ("unpaired, revoking", paired, UNPAIRED.to_vec()),
        ("ending while a refresh flies", paired, sent(&[Step::Shutdown])),
    ]
}

fn scenario(name: &'static str, start: Start) -> Scenario {
    Scenario {
        budget: ONE_OF_EACH,
        asks: ALL_ASKS,
        sleeps: &[11],
        ..Scenario::new(name, start)
    }
}

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
            // Whether laws hold is not this test's question.
            let _ = next.apply(step, &mut effects);
            let label = label(step);
            let _ = writeln!(text, "  {label:<26} {:<44} {}", seen(&next), short(&effects));
        }
        text.push('\n');
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("state_event_table", text);
    });
}

/// Steps of the world that the core does not see.
const fn silent(step: Step) -> bool {
    matches!(
        step,
        Step::Approve
            | Step::Deny
            | Step::Forget
            | Step::Rotate
            | Step::Straggle
            | Step::Sleep(_)
            | Step::Disk(DiskFate::FailedThere)
            | Step::Answer(_, How::Undated | How::LostLate)
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

/// What the world sees of a state.
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
        Effect::Inhibit => Some(String::from("inhibit")),
        Effect::Release => Some(String::from("release")),
        Effect::Reply(_, Ok(reply)) => {
            let printed = format!("{reply:?}");
            let word = printed.split([' ', '(']).next().unwrap_or_default();
            Some(format!("reply:{word}"))
        }
        Effect::Reply(_, Err(error)) => Some(format!("reply:{error:?}")),
        Effect::Drained => Some(String::from("drained")),
        // What is published stands in the column before; notes are for people.
        Effect::Publish(_) | Effect::Note(_) => None,
    };
    effects.iter().filter_map(short).collect::<Vec<_>>().join(", ")
}
