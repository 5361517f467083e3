//! The states of the table, each by the way to it.

use std::sync::LazyLock;
use std::time::Duration;

use crate::model::disk::Restart;
use crate::model::scenario::{Budget, FRAMEIO, Scenario, Start, eager};
use crate::model::server::Quirks;
use crate::model::sim::Sim;
use crate::model::step::{Ask, Clock, DiskFate, InFlightFate, Outcome, RedirectKind, RequestKind, Step};
use crate::model::tests::{ALL_ASKS, ALL_RESTARTS, BEFORE_ADVISORY, BEFORE_MANDATORY, REPLACE, START, by_browser};
use crate::{Policy, Provisioning};

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
    reloads: 1,
    shutdowns: 1,
    waits: 1,
};

pub(super) const DONE: Step = Step::Disk(DiskFate::Done);
pub(super) const FAILED: Step = Step::Disk(DiskFate::Failed);

const fn truth(kind: RequestKind) -> Step {
    Step::Answer(kind, Outcome::Honest)
}

/// A refresh from rest to its POST.
const REFRESH_SENT: [Step; 4] = [
    truth(RequestKind::Probe),
    Step::Advance,
    truth(RequestKind::Prepare),
    DONE,
];

/// From nothing to a code in `/run`.
const CODE_SHOWN: [Step; 4] = [Step::Ask(START), DONE, truth(RequestKind::Code), DONE];

/// From a pairing to its tombstone.
const UNPAIRED: [Step; 4] = [truth(RequestKind::Probe), Step::Ask(Ask::Unpair), DONE, DONE];

/// Nothing, or a pairing whose token grows old.
fn scenario_of(start: &str) -> &'static Scenario {
    static FRESH: LazyLock<Scenario> = LazyLock::new(|| scenario("fresh", Start::Fresh));
    static PAIRED: LazyLock<Scenario> = LazyLock::new(|| scenario("paired", BEFORE_ADVISORY));
    static SHORT: LazyLock<Scenario> = LazyLock::new(|| scenario("short", BEFORE_MANDATORY));
    static BROWSER: LazyLock<Scenario> = LazyLock::new(|| Scenario {
        policy: by_browser(),
        asks: ALL_ASKS,
        ..scenario("browser", Start::Fresh)
    });
    static PAIRED_BY_BROWSER: LazyLock<Scenario> = LazyLock::new(|| Scenario {
        policy: by_browser(),
        ..scenario("paired by a browser", BEFORE_ADVISORY)
    });
    static BEATING: LazyLock<Scenario> = LazyLock::new(|| Scenario {
        policy: Policy {
            heartbeat: Some(Duration::from_mins(2)),
            ..eager()
        },
        ..scenario("with heartbeats", BEFORE_ADVISORY)
    });
    static ONCE: LazyLock<Scenario> = LazyLock::new(|| Scenario {
        quirks: Quirks {
            offline: false,
            ..FRAMEIO
        },
        ..scenario("no refresh token", BEFORE_ADVISORY)
    });
    static BARE: LazyLock<Scenario> = LazyLock::new(|| Scenario {
        provisioning: Provisioning::ClientSecretMissing,
        ..scenario("unprovisioned", Start::Fresh)
    });
    static KEYLESS: LazyLock<Scenario> = LazyLock::new(|| Scenario {
        provisioning: Provisioning::ClientSecretMissing,
        ..scenario("paired, no secret", BEFORE_ADVISORY)
    });
    match start {
        "fresh" => &FRESH,
        "short" => &SHORT,
        "browser" => &BROWSER,
        "paired by a browser" => &PAIRED_BY_BROWSER,
        "with heartbeats" => &BEATING,
        "no refresh token" => &ONCE,
        "unprovisioned" => &BARE,
        "paired, no secret" => &KEYLESS,
        "paired" => &PAIRED,
        other => panic!("no scenario {other}"),
    }
}

/// Goes a way, each step of which must be possible and break no law.
pub(super) fn reach(name: &str, scenario: &'static Scenario, way: &[Step]) -> Sim {
    let mut effects = Vec::new();
    let mut sim = Sim::start(scenario, &mut effects).unwrap_or_else(|violation| panic!("{name}: {violation:?}"));
    for step in way {
        sim.world.budget = Budget {
            crashes: 1,
            ..ONE_OF_EACH
        };
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
pub(super) fn states() -> Vec<(&'static str, &'static Scenario, Vec<Step>)> {
    let (fresh, paired) = (scenario_of("fresh"), scenario_of("paired"));
    let sent = |more: &[Step]| [&REFRESH_SENT, more].concat();
    let refresh = |how| Step::Answer(RequestKind::Refresh, how);
    let (start, replace) = (Step::Ask(START), Step::Ask(REPLACE));
    let shown = CODE_SHOWN;
    let on_poll = [&shown[..], &[Step::Advance]].concat();
    let replacing = [
        truth(RequestKind::Probe),
        replace,
        DONE,
        truth(RequestKind::Code),
        DONE,
        Step::Advance,
    ];
    let mut states = vec![
        ("unpaired", fresh, vec![]),
        ("trying the disk before a code", fresh, vec![start]),
        ("a code without a disk", fresh, vec![start, FAILED]),
        ("requesting a code", fresh, vec![start, DONE]),
        (
            "requesting a code, offline",
            fresh,
            vec![start, DONE, Step::Answer(RequestKind::Code, Outcome::Offline)],
        ),
        ("a code waits for its file", fresh, shown[..2].to_vec()),
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
            [&on_poll[..], &[Step::Approve, truth(RequestKind::Poll)]].concat(),
        ),
        ("paired, the first probe flies", paired, vec![]),
        ("paired", paired, vec![truth(RequestKind::Probe)]),
        ("preparing a refresh", paired, REFRESH_SENT[..2].to_vec()),
        ("writing the mark", paired, REFRESH_SENT[..3].to_vec()),
        (
            "the mark cannot be written",
            paired,
            [&REFRESH_SENT[..3], &[FAILED]].concat(),
        ),
        ("a refresh flies", paired, sent(&[])),
        ("storing the new pair", paired, sent(&[refresh(Outcome::Honest)])),
        (
            "the new pair cannot be written",
            paired,
            sent(&[refresh(Outcome::Honest), FAILED]),
        ),
        ("refused, will retry", paired, sent(&[refresh(Outcome::Refused)])),
        (
            "the client is rejected",
            paired,
            sent(&[refresh(Outcome::ClientRejected)]),
        ),
        ("ambiguous, probing", paired, sent(&[refresh(Outcome::Lost)])),
        (
            "ambiguous, the old token lives",
            paired,
            sent(&[refresh(Outcome::Lost), truth(RequestKind::Probe)]),
        ),
        (
            "ambiguous, the old token is dead",
            paired,
            sent(&[refresh(Outcome::LostAfter), truth(RequestKind::Probe)]),
        ),
        (
            "the verdict is being written",
            paired,
            sent(&[Step::Forget, refresh(Outcome::Honest)]),
        ),
        (
            "lost by a verdict",
            paired,
            sent(&[Step::Forget, refresh(Outcome::Honest), DONE]),
        ),
        (
            "rejected, probing",
            paired,
            vec![
                truth(RequestKind::Probe),
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
                &[Step::Approve, Step::Ask(Ask::Cancel), DONE, truth(RequestKind::Poll)],
            ]
            .concat(),
        ),
        (
            "unpairing, the tombstone is being written",
            paired,
            vec![truth(RequestKind::Probe), Step::Ask(Ask::Unpair), DONE],
        ),
        (
            "unpairing while a refresh flies",
            paired,
            sent(&[Step::Ask(Ask::Unpair), DONE, DONE]),
        ),
        ("unpaired, revoking", paired, UNPAIRED.to_vec()),
        ("ending while a refresh flies", paired, sent(&[Step::Shutdown])),
    ];
    states.extend(later_states());
    states
}

/// States found after the first table was drawn: another boot, waiting callers, other grants and
/// provisioning.
#[expect(clippy::too_many_lines, reason = "a list, one entry for each state")]
fn later_states() -> Vec<(&'static str, &'static Scenario, Vec<Step>)> {
    let power = |clock| Step::Crash {
        stored: 0,
        torn: false,
        server: InFlightFate::Dropped,
        restart: Restart::Power { clock },
    };
    let damaged = Step::Crash {
        stored: 0,
        torn: false,
        server: InFlightFate::Dropped,
        restart: Restart::Damaged,
    };
    let of = scenario_of;
    let out = [Step::Ask(START), DONE, truth(RequestKind::Authorize)];
    let exchanging = [&out[..], &[Step::Approve, Step::Ask(Ask::Redirect(RedirectKind::Back))]].concat();
    let spent = |how| [&exchanging[..], &[Step::Answer(RequestKind::Exchange, how)]].concat();
    let revoked = [&UNPAIRED[..], &[Step::Answer(RequestKind::Revoke, Outcome::Offline)]].concat();
    vec![
        ("another boot, age unknown", of("paired"), vec![power(Clock::Untrusted)]),
        (
            "another boot, age unknown, a caller waits",
            of("paired"),
            vec![power(Clock::Untrusted), Step::Ask(Ask::Token)],
        ),
        (
            "another boot, age unknown, vouched for",
            of("paired"),
            vec![
                power(Clock::Untrusted),
                Step::Answer(RequestKind::Probe, Outcome::Undated),
            ],
        ),
        (
            "another boot, the clock is behind",
            of("paired"),
            vec![power(Clock::Behind)],
        ),
        ("the newest record is damaged", of("paired"), vec![damaged]),
        (
            "no record opens",
            of("fresh"),
            [
                &CODE_SHOWN[..],
                &[
                    Step::Advance,
                    Step::Approve,
                    truth(RequestKind::Poll),
                    DONE,
                    DONE,
                    damaged,
                    damaged,
                ],
            ]
            .concat(),
        ),
        (
            "another process, the mark is on disk",
            of("paired"),
            [&REFRESH_SENT[..], &[RESTART]].concat(),
        ),
        (
            "another process, the code is still on show",
            of("fresh"),
            [&CODE_SHOWN[..], &[RESTART]].concat(),
        ),
        ("short of a token, preparing", of("short"), vec![]),
        (
            "short of a token, a caller waits",
            of("short"),
            vec![Step::Ask(Ask::LongToken)],
        ),
        (
            "lost by a verdict, the token lives on",
            of("paired"),
            [
                &REFRESH_SENT[..],
                &[
                    Step::Answer(RequestKind::Refresh, Outcome::Lost),
                    truth(RequestKind::Probe),
                ],
            ]
            .concat(),
        ),
        (
            "revoking before the code",
            of("paired"),
            [&revoked[..], &[Step::Ask(START), DONE, Step::Advance]].concat(),
        ),
        (
            "with heartbeats, one flies",
            of("with heartbeats"),
            vec![truth(RequestKind::Probe), Step::Advance],
        ),
        (
            "no refresh token",
            of("no refresh token"),
            vec![truth(RequestKind::Probe)],
        ),
        ("no secret", of("unprovisioned"), vec![]),
        (
            "paired, no secret",
            of("paired, no secret"),
            vec![truth(RequestKind::Probe)],
        ),
        ("asking for a browser", of("browser"), vec![Step::Ask(START), DONE]),
        ("a browser is out", of("browser"), out.to_vec()),
        (
            "a browser comes back",
            of("browser"),
            [&out[..], &[Step::Approve]].concat(),
        ),
        ("a code is being spent", of("browser"), exchanging.clone()),
        ("a code waits to be spent again", of("browser"), spent(Outcome::Offline)),
        ("a code may have been spent", of("browser"), spent(Outcome::Lost)),
        ("by a browser, being written", of("browser"), spent(Outcome::Honest)),
        (
            "a stranger gives way",
            of("paired by a browser"),
            [
                &[
                    truth(RequestKind::Probe),
                    Step::Ask(REPLACE),
                    DONE,
                    truth(RequestKind::Authorize),
                    Step::Approve,
                ][..],
                &[
                    Step::Ask(Ask::Redirect(RedirectKind::Back)),
                    truth(RequestKind::Exchange),
                    DONE,
                    DONE,
                ],
            ]
            .concat(),
        ),
    ]
}

const RESTART: Step = Step::Crash {
    stored: 0,
    torn: false,
    server: InFlightFate::Dropped,
    restart: Restart::Process,
};

fn scenario(name: &'static str, start: Start) -> Scenario {
    Scenario {
        budget: ONE_OF_EACH,
        asks: ALL_ASKS,
        restarts: ALL_RESTARTS,
        sleeps: &[11],
        ..Scenario::new(name, start)
    }
}
