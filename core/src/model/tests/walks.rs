//! Long traces by chance, each in a world of its own.

use super::*;
use crate::model::random::walk;
use crate::model::scenario::Entropy;

/// All that clients can call, and another program of another user.
const EVERYBODY: [Ask; 17] = {
    let mut all = [Ask::OtherToken; 17];
    all.split_at_mut(15).0.copy_from_slice(ALL_ASKS);
    all[15] = Ask::OtherRejects;
    all
};

/// A run is the same each time, unless `C2C_SEED` says otherwise.
const SEED: u64 = 0xC2C;
const TRACES: u64 = 150;

fn random_scenario(name: &'static str, start: Start) -> Scenario {
    Scenario {
        asks: &EVERYBODY,
        restarts: ALL_RESTARTS,
        clocks: ALL_CLOCKS,
        sleeps: &[1, 30, 3_600, 86_400],
        entropy: Entropy::Drawn { seed: SEED },
        looks: LOOKS,
        sleeps_busy: true,
        windows: &[50, 75, 95],
        ..Scenario::new(name, start)
    }
}

/// To look elsewhere, or again at what a failure told: the first seed, and how many traces from
/// there.
fn number_from(told: Option<&str>, default: u64) -> u64 {
    told.map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
    })
}

fn wanders(scenario: &'static Scenario) {
    let traces = number_from(option_env!("C2C_TRACES"), TRACES);
    match walk(scenario, number_from(option_env!("C2C_SEED"), SEED), traces) {
        Ok(steps) => println!("{}: {steps} steps", scenario.name),
        Err((seed, failure)) => panic!("C2C_SEED={seed} C2C_TRACES=1: {}", failure.print()),
    }
}

#[test]
fn random_traces_from_nothing_break_no_law() {
    static SCENARIO: LazyLock<Scenario> = LazyLock::new(|| random_scenario("from nothing", Start::Fresh));
    wanders(&SCENARIO);
}

#[test]
fn random_traces_from_a_pairing_break_no_law() {
    static SCENARIO: LazyLock<Scenario> = LazyLock::new(|| random_scenario("from a pairing", BEFORE_ADVISORY));
    wanders(&SCENARIO);
}

#[test]
fn random_traces_with_heartbeats_and_short_tokens_break_no_law() {
    static SCENARIO: LazyLock<Scenario> = LazyLock::new(|| Scenario {
        policy: Policy {
            heartbeat: Some(Duration::from_secs(120)),
            ..eager()
        },
        quirks: Quirks {
            access_life: Duration::from_secs(600),
            // Longer than the heartbeats are apart.
            retry_after: Duration::from_secs(150),
            exclusive: true,
            ..FRAMEIO
        },
        ..random_scenario("with heartbeats", Start::Fresh)
    });
    wanders(&SCENARIO);
}

#[test]
fn random_traces_at_any_server_break_no_law() {
    static SCENARIO: LazyLock<Scenario> = LazyLock::new(|| Scenario {
        policy: without_probe(GrantKind::Device),
        ..random_scenario("at any server", Start::Fresh)
    });
    wanders(&SCENARIO);
}

#[test]
fn random_traces_by_a_browser_at_any_server_break_no_law() {
    static SCENARIO: LazyLock<Scenario> = LazyLock::new(|| Scenario {
        policy: without_probe(GrantKind::Code),
        ..random_scenario("by a browser at any server", Start::Fresh)
    });
    wanders(&SCENARIO);
}

#[test]
fn random_traces_by_a_browser_break_no_law() {
    static SCENARIO: LazyLock<Scenario> = LazyLock::new(|| Scenario {
        policy: by_browser(),
        ..random_scenario("by a browser", Start::Fresh)
    });
    wanders(&SCENARIO);
}
