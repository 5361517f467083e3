//! The dimensions of the world: what each one is a field or a step of, and the scenarios that hold
//! it, small in every run and deep in CI. Those named here without a file are in this one; `tests`
//! is the file beside it.
//!
//! - When an answer was true (`Step::Look`, `looks`, `Outcome::HonestByNow`):
//!   `an_answer_is_about_the_moment_of_its_look`, `a_revocation_is_about_the_moment_of_its_look`;
//!   tests: `callers_are_served_through_any_refresh`.
//! - The order of two answers of a kind (`Step::Overtake`): two polls, in
//!   `an_answer_is_about_the_moment_of_its_look` (deep) and in `walks`.
//! - How many refreshes (the law `a_refresh_has_a_reason`): all.
//! - An access token that outlives its refresh token (`Quirks::outliving`):
//!   `a_token_that_outlives_its_refresh_token_ends`.
//! - A pairing in the runtime directory alone (`Disk::spill`): tests:
//!   `refresh_survives_network_disk_and_crashes`.
//! - Writes of minutes (`disk_limit`): `a_slow_disk_loses_nothing`.
//! - A failing disk and the order to end (budgets `disk`, `shutdowns`):
//!   `a_failing_disk_and_the_order_to_end`.
//! - Boots without an identity (`named_boots`): `a_boot_without_identity_resends_no_sooner`.
//! - A damaged record (`Restart::Damaged`): tests: `a_damaged_record_is_never_fine`.
//! - A record under another key, no state key (`Start::Sealed`):
//!   `a_record_under_another_key_is_told_and_left_alone`, `without_a_state_key_nothing_is_started`.
//! - A full list of revocations (`listed`): `a_full_list_gives_way_to_the_newest`.
//! - A wrong `Date` (`Outcome::Misdated`): `a_wrong_date_loses_nothing`.
//! - No `Date`, or one with `Age` (`Outcome::Undated`): tests:
//!   `refresh_survives_network_disk_and_crashes`.
//! - The wall clock (`clocks`, `Restart::Power`): tests: `a_wrong_clock_loses_nothing`.
//! - Entropy (`entropy`): `the_least_draw_breaks_no_law`, `the_greatest_draw_breaks_no_law`; drawn
//!   anew at each moment in `walks`.
//! - Programs and users, `min-validity` (`Ask::OtherToken`, `Ask::OtherRejects`, `Ask::LongToken`):
//!   `two_programs_share_a_token`, `a_rejection_is_settled_by_a_later_request`.
//! - A reload (`windows`; the refresh mode in `walks`): `a_reload_moves_the_window_of_a_refresh`.
//! - A network that returns (budget `nudges`): `the_least_draw_breaks_no_law`; tests:
//!   `callers_are_served_through_any_refresh` (deep).
//! - Sleep with a request out or a caller waiting (`sleeps_busy`):
//!   `sleep_with_a_request_out_loses_nothing`.
//! - Heartbeats (`Policy::heartbeat`): `presence_crosses_rejections`.
//! - A refresh token that stays the same (`Quirks::keeps`): `a_refresh_token_that_stays_is_kept`.
//! - The end of a refresh token after 14 days (`Quirks::refresh_life`):
//!   `fourteen_days_without_a_server_end_it`.
//!
//! Not in the model: a `Retry-After` beside a success, which no event carries; the times of the
//! documents of discovery, which have a model of their own (`src/discovery/tests/model.rs`); what a
//! warning says, which `core/src/tests` holds.

use super::*;
use crate::model::scenario::Entropy;

/// As long as flash that is worn out may take for a write, and longer than any other wait.
const SLOW_DISK: u64 = 300_000;

const TWO_PROGRAMS: &[Ask] = &[Ask::Token, Ask::RejectCurrent, Ask::OtherToken, Ask::OtherRejects];

/// Presence is told every two minutes, and tokens live for ten.
fn present() -> Policy {
    Policy {
        heartbeat: Some(Duration::from_secs(120)),
        ..eager()
    }
}

/// Just before the advisory window of a token of ten minutes can open.
const SHORT_LIVED: Start = Start::Paired {
    age: Duration::from_secs(300),
};

const SHORT: Quirks = Quirks {
    access_life: Duration::from_secs(600),
    ..FRAMEIO
};

scenarios! {
    an_answer_is_about_the_moment_of_its_look: Start::Fresh,
        { asks: &[START, Ask::Cancel], looks: LOOKS },
        { asks: 1, consents: 1, stalls: 1, waits: 3 },
        { asks: 1, consents: 1, stalls: 4, waits: 3 },
        { asks: 2, faults: 1, crashes: 1, consents: 1, stalls: 3, waits: 4 };
    a_revocation_is_about_the_moment_of_its_look: YOUNG,
        { asks: &[Ask::Unpair, REPLACE, Ask::Cancel], looks: LOOKS, policy: by_browser() },
        { asks: 1, consents: 1, stalls: 1, waits: 1 },
        { asks: 2, consents: 1, stalls: 2, waits: 1 },
        { asks: 2, faults: 1, crashes: 1, consents: 1, stalls: 2, waits: 2 };
    a_rejection_is_settled_by_a_later_request: YOUNG,
        { asks: TWO_PROGRAMS },
        { asks: 3, forgets: 1, stalls: 1 },
        { asks: 4, faults: 1, forgets: 1, stalls: 1 },
        { asks: 5, faults: 1, forgets: 1, stalls: 1, waits: 1 };
    two_programs_share_a_token: BEFORE_MANDATORY,
        { asks: TWO_PROGRAMS },
        { asks: 2, faults: 1, waits: 1 },
        { asks: 3, faults: 1, crashes: 1, waits: 1 },
        { asks: 4, faults: 1, crashes: 1, forgets: 1, stalls: 1, waits: 2 };
    a_slow_disk_loses_nothing: BEFORE_ADVISORY,
        { asks: &[Ask::Token, Ask::Unpair, REPLACE], disk_limit: SLOW_DISK },
        { asks: 1, stalls: 2, waits: 1 },
        { asks: 1, stalls: 2, crashes: 1, waits: 1 },
        { asks: 2, faults: 1, stalls: 3, crashes: 1, disk: 1, consents: 1, waits: 2 };
    a_failing_disk_and_the_order_to_end: BEFORE_ADVISORY,
        { asks: &[Ask::Token, Ask::Unpair, REPLACE] },
        { asks: 1, disk: 2, shutdowns: 1, waits: 2 },
        { asks: 1, disk: 2, shutdowns: 1, crashes: 1, waits: 2 },
        { asks: 2, faults: 1, disk: 3, shutdowns: 1, crashes: 1, stalls: 1, waits: 3 };
    a_boot_without_identity_resends_no_sooner: BEFORE_ADVISORY,
        { asks: &[Ask::Token], named_boots: false },
        { asks: 1, crashes: 2, waits: 2 },
        { asks: 1, faults: 1, crashes: 2, waits: 3 },
        { asks: 1, faults: 2, crashes: 3, stalls: 1, waits: 3 };
    a_wrong_date_loses_nothing: BEFORE_ADVISORY,
        { asks: &[Ask::Token], misdates: true,
          restarts: &[Restart::Process, Restart::Power { clock: Clock::Right }, Restart::Power { clock: Clock::Untrusted }] },
        { asks: 1, faults: 1, crashes: 1, waits: 2 },
        { asks: 1, faults: 2, crashes: 1, waits: 2 },
        { asks: 1, faults: 2, crashes: 2, clocks: 1, waits: 3 };
    the_least_draw_breaks_no_law: BEFORE_ADVISORY,
        { asks: &[Ask::Token, START], entropy: Entropy::Always(0) },
        { asks: 1, faults: 1, nudges: 1, waits: 2 },
        { asks: 1, faults: 2, crashes: 1, nudges: 1, consents: 1, waits: 2 },
        { asks: 2, faults: 2, crashes: 1, nudges: 1, consents: 1, waits: 3 };
    the_greatest_draw_breaks_no_law: BEFORE_ADVISORY,
        { asks: &[Ask::Token, START], entropy: Entropy::Always(u64::MAX) },
        { asks: 1, faults: 1, nudges: 1, waits: 2 },
        { asks: 1, faults: 2, crashes: 1, nudges: 1, consents: 1, waits: 2 },
        { asks: 2, faults: 2, crashes: 1, nudges: 1, consents: 1, waits: 3 };
    a_reload_moves_the_window_of_a_refresh: BEFORE_ADVISORY,
        { asks: &[Ask::Token], windows: &[50, 75, 95] },
        { asks: 1, reloads: 1, faults: 1, waits: 2 },
        { asks: 1, reloads: 2, faults: 1, stalls: 1, waits: 2 },
        { asks: 1, reloads: 2, faults: 1, stalls: 1, crashes: 1, waits: 3 };
    sleep_with_a_request_out_loses_nothing: BEFORE_ADVISORY,
        { asks: &[Ask::Token, START], sleeps: &[36, 7_200], sleeps_busy: true },
        { asks: 1, sleeps: 1, stalls: 1, waits: 2 },
        { asks: 1, faults: 1, sleeps: 1, stalls: 1, consents: 1, waits: 2 },
        { asks: 2, faults: 1, sleeps: 2, stalls: 1, crashes: 1, consents: 1, waits: 3 };
    presence_crosses_rejections: SHORT_LIVED,
        { asks: &[Ask::Token, Ask::RejectCurrent], policy: present(), quirks: SHORT },
        { asks: 1, faults: 1, forgets: 1, waits: 3 },
        { asks: 2, faults: 1, forgets: 1, stalls: 1, waits: 4 },
        { asks: 2, faults: 2, forgets: 1, stalls: 1, crashes: 1, waits: 5 };
    a_refresh_token_that_stays_is_kept: SHORT_LIVED,
        { asks: &[Ask::Token, Ask::Unpair], quirks: Quirks { keeps: true, ..SHORT } },
        { asks: 1, faults: 1, waits: 2 },
        { asks: 1, faults: 1, crashes: 1, waits: 3 },
        { asks: 2, faults: 2, crashes: 1, disk: 1, waits: 4 };
    a_token_that_outlives_its_refresh_token_ends: BEFORE_ADVISORY,
        { asks: &[Ask::Token, Ask::RejectCurrent, START], quirks: Quirks { outliving: true, ..FRAMEIO } },
        { asks: 1, faults: 1, forgets: 1, waits: 2 },
        { asks: 2, faults: 1, forgets: 1, waits: 3 },
        { asks: 2, faults: 2, forgets: 1, crashes: 1, consents: 1, waits: 4 };
    fourteen_days_without_a_server_end_it: YOUNG,
        { asks: &[Ask::Token], sleeps: &[345_600],
          quirks: Quirks { refresh_life: Some(Duration::from_hours(14 * 24)), ..FRAMEIO } },
        { asks: 1, sleeps: 4, waits: 1 },
        { asks: 1, sleeps: 4, crashes: 1, waits: 2 },
        { asks: 1, faults: 2, sleeps: 4, crashes: 1, waits: 3 };
    a_full_list_gives_way_to_the_newest: YOUNG,
        { asks: &[Ask::Unpair, START], policy: by_browser(), listed: 4 },
        { asks: 1, crashes: 1, waits: 1 },
        { asks: 2, faults: 1, crashes: 1, waits: 1 },
        { asks: 2, faults: 2, crashes: 1, consents: 1, waits: 2 };
    a_record_under_another_key_is_told_and_left_alone: Start::Sealed,
        { asks: &[START, Ask::Unpair, Ask::Token, Ask::Cancel] },
        { asks: 2, crashes: 1, consents: 1, waits: 1 },
        { asks: 2, faults: 1, crashes: 1, disk: 1, consents: 1, waits: 1 },
        { asks: 3, faults: 1, crashes: 2, consents: 1, disk: 1, waits: 3 };
    without_a_state_key_nothing_is_started: Start::Sealed,
        { asks: &[START, Ask::Unpair, Ask::Token, Ask::Cancel], provisioning: Provisioning::StateKeyMissing },
        { asks: 2, crashes: 1, nudges: 1 },
        { asks: 3, crashes: 2, nudges: 1, clocks: 1, shutdowns: 1 },
        { asks: 3, crashes: 2, nudges: 1, clocks: 1, shutdowns: 1 };
}
