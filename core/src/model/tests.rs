//! The scenarios that are explored. The budgets of each scenario are as large as a minute of one
//! core in a debug build allows for all of them.

use std::sync::LazyLock;
use std::time::Duration;

use crate::{GrantKind, Policy, Provisioning, RefreshMode};

use super::disk::Restart;
use super::explore::{Failure, explore};
use super::scenario::{ACCESS_LIFE, Budget, FRAMEIO, Scenario, Start, eager};
use super::server::Quirks;
use super::step::{Ask, Clock, RedirectKind, RequestKind};

/// More states than any scenario has: reaching it is a failure of the scenario, not of the core.
const MOST_STATES: usize = 3_000_000;

/// Just before the advisory window can open (75 % of life, at most a tenth of it earlier).
pub(super) const BEFORE_ADVISORY: Start = Start::Paired {
    age: Duration::from_secs(ACCESS_LIFE.as_secs() * 60 / 100),
};

/// A second before the token is too short for a caller.
pub(super) const BEFORE_MANDATORY: Start = Start::Paired {
    age: Duration::from_secs(ACCESS_LIFE.as_secs() - 61),
};

pub(super) const YOUNG: Start = Start::Paired {
    age: Duration::from_secs(60),
};

pub(super) const START: Ask = Ask::Start {
    renew: true,
    replace: false,
};
const START_ONCE: Ask = Ask::Start {
    renew: false,
    replace: false,
};
pub(super) const REPLACE: Ask = Ask::Start {
    renew: true,
    replace: true,
};

fn holds(scenario: &'static Scenario) {
    let explored = explore(scenario, MOST_STATES);
    println!(
        "{}: {} states, {} edges, depth {}",
        scenario.name, explored.states, explored.edges, explored.depth
    );
    let printed: Vec<_> = explored.failures.values().map(Failure::print).collect();
    assert!(printed.is_empty(), "{}", printed.join("\n"));
    assert!(explored.complete, "{}: more states than expected", scenario.name);
}

/// `full`: budgets that take an hour and most of a big machine's memory. Read by the compiler: not
/// even its tests give the core an environment.
const DEEP: Option<&str> = option_env!("C2C_DEEP");

fn deep_budget(deep: Budget, full: Budget) -> Budget {
    match DEEP {
        Some("full") => full,
        Some(word) => panic!("C2C_DEEP={word}: the only word is `full`"),
        None => deep,
    }
}

/// Three explorations from one beginning: with a small budget in every run, with one that takes
/// some seconds of an optimized build in CI, and with a large one on request.
macro_rules! scenarios {
    ($($name:ident: $start:expr,
        { $($field:ident: $value:expr),* $(,)? },
        { $($small:ident: $little:expr),* $(,)? },
        { $($deep:ident: $more:expr),* $(,)? },
        { $($full:ident: $much:expr),* $(,)? };)+) => {
        $(
            #[test]
            fn $name() {
                static SCENARIO: LazyLock<Scenario> = LazyLock::new(|| Scenario {
                    budget: Budget { $($small: $little,)* ..Budget::default() },
                    $($field: $value,)*
                    ..Scenario::new(stringify!($name), $start)
                });
                holds(&SCENARIO);
            }
        )+

        mod deep {
            use super::*;

            $(
                #[test]
                #[ignore = "minutes: see the step of .ci/run that names it"]
                fn $name() {
                    static SCENARIO: LazyLock<Scenario> = LazyLock::new(|| Scenario {
                        budget: deep_budget(
                            Budget { $($deep: $more,)* ..Budget::default() },
                            Budget { $($full: $much,)* ..Budget::default() },
                        ),
                        $($field: $value,)*
                        ..Scenario::new(stringify!($name), $start)
                    });
                    holds(&SCENARIO);
                }
            )+
        }
    };
}

mod dimensions;
mod walks;

scenarios! {
    pairing_survives_the_network: Start::Fresh,
        { asks: &[START, START_ONCE, Ask::Cancel, Ask::Code] },
        { asks: 2, faults: 1, consents: 1, waits: 5 },
        { asks: 2, faults: 2, consents: 1, waits: 5 },
        { asks: 2, faults: 2, consents: 1, waits: 5 };
    an_approval_in_the_last_moment_pairs: Start::Fresh,
        { asks: &[START, START_ONCE], quirks: Quirks { honours: true, ..FRAMEIO } },
        { asks: 1, faults: 1, consents: 1, waits: 6 },
        { asks: 2, faults: 1, consents: 2, stalls: 1, waits: 6 },
        { asks: 2, faults: 2, consents: 2, stalls: 1, waits: 7 };
    pairing_survives_crashes: Start::Fresh,
        { asks: &[START, Ask::Cancel] },
        { asks: 2, crashes: 1, consents: 1, waits: 4 },
        { asks: 2, faults: 1, crashes: 1, consents: 1, waits: 4 },
        { asks: 2, faults: 1, crashes: 1, consents: 1, disk: 1, waits: 5 };
    refresh_survives_network_disk_and_crashes: BEFORE_ADVISORY,
        { restarts: &[Restart::Process, Restart::Power { clock: Clock::Right }] },
        { faults: 1, crashes: 1, disk: 1, waits: 3 },
        { faults: 2, crashes: 1, disk: 1, stalls: 1, waits: 3 },
        { faults: 2, crashes: 2, disk: 2, stalls: 1, waits: 3 };
    refresh_survives_two_crashes: BEFORE_ADVISORY,
        { restarts: &[Restart::Process, Restart::Power { clock: Clock::Right }, Restart::Power { clock: Clock::Untrusted }] },
        { crashes: 2, waits: 3 },
        { faults: 1, crashes: 2, disk: 1, waits: 3 },
        { faults: 2, crashes: 2, disk: 1, stalls: 1, waits: 3 };
    callers_are_served_through_any_refresh: BEFORE_MANDATORY,
        { asks: &[Ask::Token, Ask::LongToken] },
        { asks: 1, faults: 1, stalls: 1, waits: 1 },
        { asks: 2, faults: 1, stalls: 2, nudges: 1, waits: 1 },
        { asks: 2, faults: 2, stalls: 2, nudges: 1, waits: 3 };
    unpair_crosses_everything: BEFORE_ADVISORY,
        { asks: &[Ask::Unpair, START, Ask::Token] },
        { asks: 2, crashes: 1, consents: 1, waits: 2 },
        { asks: 2, faults: 1, crashes: 1, consents: 1, waits: 2 },
        { asks: 2, faults: 1, crashes: 1, consents: 1, disk: 1, waits: 3 };
    an_open_replacement_is_settled: Start::Candidate { age: Duration::from_secs(60) },
        { asks: &[Ask::Unpair, Ask::Token, REPLACE] },
        { asks: 1, crashes: 1, consents: 1, waits: 2 },
        { asks: 1, faults: 1, crashes: 1, disk: 1, consents: 1, waits: 2 },
        { asks: 2, faults: 1, crashes: 1, disk: 1, consents: 1, stalls: 1, waits: 3 };
    an_open_replacement_that_ended_the_first_is_settled: Start::Candidate { age: Duration::from_secs(60) },
        { asks: &[Ask::Unpair, Ask::Token, REPLACE], quirks: Quirks { exclusive: true, ..FRAMEIO } },
        { asks: 1, crashes: 1, consents: 1, waits: 2 },
        { asks: 1, faults: 1, crashes: 1, disk: 1, consents: 1, waits: 2 },
        { asks: 2, faults: 1, crashes: 1, disk: 1, consents: 1, stalls: 1, waits: 3 };
    replacement_crosses_everything: BEFORE_ADVISORY,
        { asks: &[REPLACE, Ask::Cancel, Ask::Unpair] },
        { asks: 2, consents: 1, waits: 2 },
        { asks: 2, faults: 1, crashes: 1, consents: 1, waits: 2 },
        { asks: 2, faults: 1, crashes: 1, consents: 1, stalls: 1, waits: 3 };
    replacement_ends_the_pairing_before_it: YOUNG,
        { asks: &[REPLACE, Ask::Cancel], quirks: Quirks { exclusive: true, ..FRAMEIO } },
        { asks: 2, consents: 1, waits: 3 },
        { asks: 2, faults: 1, crashes: 1, consents: 1, waits: 2 },
        { asks: 2, faults: 1, crashes: 1, consents: 1, stalls: 1, waits: 3 };
    an_old_refresh_does_not_tell_which_of_two_lives: BEFORE_ADVISORY,
        { asks: &[REPLACE, Ask::Cancel], quirks: Quirks { exclusive: true, interval: Duration::from_secs(5), ..FRAMEIO } },
        { asks: 2, consents: 1, stalls: 2, waits: 1 },
        { asks: 2, faults: 1, consents: 1, stalls: 2, waits: 1 },
        { asks: 2, faults: 1, crashes: 1, consents: 1, stalls: 2, waits: 2 };
    an_old_answer_does_not_tell_which_of_two_lives: YOUNG,
        { asks: &[REPLACE, Ask::Cancel], quirks: Quirks { exclusive: true, interval: Duration::from_secs(5), ..FRAMEIO } },
        { asks: 2, consents: 1, stalls: 2 },
        { asks: 2, consents: 1, stalls: 2, waits: 1 },
        { asks: 2, faults: 1, consents: 1, stalls: 2, waits: 2 };
    a_rejected_token_comes_back_only_when_examined: YOUNG,
        { asks: &[Ask::Token, Ask::RejectCurrent] },
        { asks: 3, forgets: 1, waits: 1 },
        { asks: 4, faults: 1, forgets: 1, waits: 2 },
        { asks: 4, faults: 2, forgets: 1, stalls: 1, waits: 2 };
    rejections_cost_one_refresh: YOUNG,
        { asks: &[Ask::Token, Ask::RejectCurrent, Ask::RejectOlder, Ask::RejectUnknown] },
        { asks: 2, faults: 1, forgets: 1, waits: 2 },
        { asks: 3, faults: 1, forgets: 1, waits: 2 },
        { asks: 3, faults: 1, forgets: 1, stalls: 1, waits: 3 };
    a_forgotten_device_says_so: BEFORE_ADVISORY,
        { asks: &[Ask::Token, START] },
        { asks: 1, faults: 1, forgets: 1, waits: 2 },
        { asks: 2, faults: 1, forgets: 1, crashes: 1, consents: 1, waits: 3 },
        { asks: 2, faults: 1, forgets: 1, crashes: 1, consents: 1, waits: 3 };
    an_untrusted_clock_loses_nothing: YOUNG,
        { asks: &[Ask::Token], restarts: &[Restart::Power { clock: Clock::Untrusted }] },
        { asks: 1, crashes: 1, clocks: 1, waits: 2 },
        { asks: 1, faults: 1, crashes: 2, clocks: 1, waits: 2 },
        { asks: 1, faults: 2, crashes: 2, clocks: 1, waits: 3 };
    a_wrong_clock_loses_nothing: YOUNG,
        { asks: &[Ask::Token], restarts: &[Restart::Power { clock: Clock::Behind }, Restart::Power { clock: Clock::Ahead }],
          clocks: ALL_CLOCKS },
        { asks: 1, faults: 1, crashes: 1, clocks: 1, waits: 1 },
        { asks: 1, faults: 1, crashes: 1, clocks: 1, waits: 2 },
        { asks: 1, faults: 1, crashes: 2, clocks: 2, waits: 3 };
    a_damaged_record_is_never_fine: BEFORE_ADVISORY,
        { asks: &[Ask::Unpair, Ask::Token], restarts: &[Restart::Damaged] },
        { asks: 1, crashes: 1, disk: 1, waits: 3 },
        { asks: 1, faults: 1, crashes: 1, disk: 1, waits: 3 },
        { asks: 1, faults: 1, crashes: 2, disk: 1, waits: 3 };
    without_a_refresh_token_it_ends: YOUNG,
        { asks: &[Ask::Token, Ask::Unpair, Ask::RejectCurrent], quirks: Quirks { offline: false, ..FRAMEIO } },
        { asks: 2, faults: 1, crashes: 1, waits: 2 },
        { asks: 2, faults: 1, crashes: 1, stalls: 1, waits: 3 },
        { asks: 2, faults: 1, crashes: 1, stalls: 1, waits: 3 };
    shutdown_cuts_nothing: BEFORE_ADVISORY,
        { asks: &[START, REPLACE, Ask::Unpair, Ask::Token] },
        { asks: 1, faults: 1, shutdowns: 1, consents: 1, waits: 2 },
        { asks: 1, faults: 1, shutdowns: 1, crashes: 1, consents: 1, waits: 2 },
        { asks: 1, faults: 1, shutdowns: 1, crashes: 1, consents: 1, stalls: 1, waits: 3 };
    on_demand_refreshes_when_asked: BEFORE_MANDATORY,
        { asks: &[Ask::Token, Ask::RejectCurrent], policy: Policy { refresh: RefreshMode::OnDemand, ..eager() } },
        { asks: 2, faults: 1, waits: 2 },
        { asks: 2, faults: 1, crashes: 1, stalls: 1, waits: 2 },
        { asks: 2, faults: 1, crashes: 1, stalls: 1, sleeps: 1, waits: 3 };
    a_browser_pairs: Start::Fresh,
        { asks: &[START, START_ONCE, Ask::Cancel, FORGED, AGAIN, Ask::Redirect(RedirectKind::Failed), Ask::Redirect(RedirectKind::Rejected)],
          policy: by_browser() },
        { asks: 2, faults: 1, consents: 1, waits: 2 },
        { asks: 2, faults: 2, consents: 1, waits: 2 },
        { asks: 3, faults: 2, consents: 2, crashes: 1, stalls: 1, waits: 3 };
    a_browser_pairs_whatever_dies: Start::Fresh,
        { asks: &[START, Ask::Cancel, Ask::Unpair], policy: by_browser() },
        { asks: 2, crashes: 1, consents: 1, waits: 2 },
        { asks: 2, faults: 1, crashes: 1, disk: 1, consents: 1, waits: 2 },
        { asks: 3, faults: 1, crashes: 2, disk: 1, consents: 2, stalls: 1, waits: 3 };
    strangers_give_way_and_are_revoked: BEFORE_ADVISORY,
        { asks: &[REPLACE, Ask::Cancel, Ask::Unpair], policy: by_browser() },
        { asks: 2, crashes: 1, consents: 1, waits: 1 },
        { asks: 2, faults: 1, crashes: 1, consents: 1, waits: 1 },
        { asks: 3, faults: 2, crashes: 1, disk: 1, consents: 2, stalls: 1, waits: 3 };
    strangers_give_way_while_time_goes_on: BEFORE_ADVISORY,
        { asks: &[REPLACE, Ask::Cancel, Ask::Unpair], policy: by_browser() },
        { asks: 1, crashes: 1, consents: 1, waits: 2 },
        { asks: 2, crashes: 1, consents: 1, waits: 2 },
        { asks: 3, crashes: 1, consents: 2, waits: 3 };
    a_revocation_goes_before_the_next_code: YOUNG,
        { asks: &[Ask::Unpair, START] },
        { asks: 2, faults: 1, consents: 1, waits: 1 },
        { asks: 3, faults: 1, crashes: 1, consents: 1, waits: 1 },
        { asks: 3, faults: 2, crashes: 1, disk: 1, consents: 1, stalls: 1, waits: 2 };
    without_a_secret_nothing_is_started: Start::Fresh,
        { asks: ALL_ASKS, provisioning: Provisioning::ClientSecretMissing },
        { asks: 2, crashes: 1, nudges: 1, clocks: 1 },
        { asks: 3, crashes: 2, nudges: 1, clocks: 1, shutdowns: 1 },
        { asks: 4, crashes: 2, nudges: 1, clocks: 1, shutdowns: 1 };
    a_missing_secret_keeps_the_pairing: BEFORE_MANDATORY,
        { asks: &[Ask::Token, Ask::LongToken, Ask::RejectCurrent, Ask::Unpair, REPLACE],
          provisioning: Provisioning::ClientSecretMissing },
        { asks: 1, faults: 1, crashes: 1, forgets: 1, waits: 2 },
        { asks: 2, faults: 1, crashes: 1, forgets: 1, disk: 1, waits: 2 },
        { asks: 3, faults: 2, crashes: 2, forgets: 1, disk: 1, waits: 3 };
    a_foreign_record_is_told_and_left_alone: Start::Foreign,
        { asks: &[START, Ask::Unpair, Ask::Token, Ask::Cancel] },
        { asks: 2, crashes: 1, consents: 1, waits: 1 },
        { asks: 2, faults: 1, crashes: 1, consents: 1, disk: 1, waits: 2 },
        { asks: 3, faults: 1, crashes: 2, consents: 1, disk: 1, waits: 3 };
    a_client_does_not_decide_which_of_two_lives: Start::Candidate { age: Duration::from_secs(60) },
        { asks: &[Ask::RejectCurrent, Ask::Token, Ask::Unpair], policy: without_probe(GrantKind::Code) },
        { asks: 2, crashes: 1, waits: 2 },
        { asks: 2, faults: 1, crashes: 1, consents: 1, waits: 2 },
        { asks: 3, faults: 2, crashes: 1, disk: 1, consents: 1, stalls: 1, waits: 2 };
    a_client_does_not_end_what_nobody_can_refresh: Start::Candidate { age: Duration::from_secs(60) },
        { asks: &[Ask::RejectCurrent, Ask::Token, Ask::Unpair], policy: without_probe(GrantKind::Device),
          quirks: Quirks { offline: false, ..FRAMEIO } },
        { asks: 2, crashes: 1, waits: 2 },
        { asks: 3, faults: 1, crashes: 1, waits: 2 },
        { asks: 3, faults: 1, crashes: 1, disk: 1, stalls: 1, waits: 3 };
    a_living_token_is_handed_out_whatever_clients_say: YOUNG,
        { asks: &[Ask::RejectCurrent, Ask::Token], policy: without_probe(GrantKind::Device) },
        { asks: 3, faults: 1, waits: 1 },
        { asks: 4, faults: 1, crashes: 1, waits: 2 },
        { asks: 5, faults: 2, crashes: 1, disk: 1, stalls: 1, waits: 2 };
    a_browser_at_any_server_pairs_again: BEFORE_ADVISORY,
        { asks: &[REPLACE, Ask::Cancel, Ask::RejectCurrent], policy: without_probe(GrantKind::Code) },
        { asks: 2, consents: 1, waits: 1 },
        { asks: 3, faults: 1, consents: 1, waits: 1 },
        { asks: 3, faults: 2, crashes: 1, disk: 1, consents: 1, stalls: 1, waits: 2 };
    a_device_at_any_server_pairs_again: BEFORE_ADVISORY,
        { asks: &[REPLACE, Ask::Cancel, Ask::RejectCurrent], policy: without_probe(GrantKind::Device) },
        { asks: 2, consents: 1, waits: 1 },
        { asks: 3, faults: 1, consents: 1, waits: 1 },
        { asks: 3, faults: 2, crashes: 1, disk: 1, consents: 1, stalls: 1, waits: 2 };
    suspend_delays_and_loses_nothing: BEFORE_ADVISORY,
        { asks: &[Ask::Token, START], sleeps: &[30, 7_200, 86_400] },
        { asks: 1, faults: 1, sleeps: 1, consents: 1, waits: 2 },
        { asks: 1, faults: 1, sleeps: 1, consents: 1, stalls: 1, waits: 3 },
        { asks: 1, faults: 1, sleeps: 2, consents: 1, waits: 3 };
}

/// The requests that change the server, each of which it may have looked at long before its answer
/// is here.
const LOOKS: &[RequestKind] = &[
    RequestKind::Code,
    RequestKind::Poll,
    RequestKind::Exchange,
    RequestKind::Refresh,
    RequestKind::Revoke,
];

/// All that clients can call.
pub(super) const ALL_ASKS: &[Ask] = &[
    START,
    START_ONCE,
    REPLACE,
    Ask::Code,
    Ask::Cancel,
    Ask::Unpair,
    FORGED,
    AGAIN,
    Ask::Redirect(RedirectKind::Failed),
    Ask::Redirect(RedirectKind::Rejected),
    Ask::Token,
    Ask::LongToken,
    Ask::RejectCurrent,
    Ask::RejectOlder,
    Ask::RejectUnknown,
];

/// The code grant; two grants of one device are separate there.
pub(super) fn by_browser() -> Policy {
    Policy {
        grant: GrantKind::Code,
        separate_grants: true,
        ..eager()
    }
}

/// Either standard kind as it comes: no resource tells whether a token lives, and two grants of one
/// device may be one.
pub(super) fn without_probe(grant: GrantKind) -> Policy {
    Policy {
        grant,
        can_probe: false,
        ..eager()
    }
}

const FORGED: Ask = Ask::Redirect(RedirectKind::Forged);
const AGAIN: Ask = Ask::Redirect(RedirectKind::Again);

const ALL_CLOCKS: &[Clock] = &[Clock::Right, Clock::Untrusted, Clock::Behind, Clock::Ahead];

pub(super) const ALL_RESTARTS: &[Restart] = &[
    Restart::Process,
    Restart::Power { clock: Clock::Right },
    Restart::Power {
        clock: Clock::Untrusted,
    },
    Restart::Power { clock: Clock::Behind },
    Restart::Power { clock: Clock::Ahead },
    Restart::Damaged,
];
