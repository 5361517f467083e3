#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

async fn take(throttle: &RateLimit, uid: u32, weight: Weight, count: u32) -> Vec<Permit<'_>> {
    let mut permits = Vec::new();
    for _ in 0..count {
        permits.push(throttle.admit(uid, weight).await.unwrap());
    }
    permits
}

fn kind(result: Result<Permit<'_>, ErrorReply>) -> ErrorName {
    result.unwrap_err().kind()
}

#[tokio::test(start_paused = true)]
async fn a_uid_alone_is_never_held_back_below_its_limit_of_waiting_calls() {
    let throttle = RateLimit::default();
    let start = Instant::now();
    for _ in 0..100 {
        drop(take(&throttle, 1, Weight::Free, WAITING).await);
    }
    assert_eq!(Instant::now(), start);
}

#[tokio::test(start_paused = true)]
async fn one_waiting_call_too_many_is_refused_after_a_while_and_a_finished_one_makes_room() {
    let throttle = RateLimit::default();
    let mut permits = take(&throttle, 1, Weight::Free, WAITING).await;
    let start = Instant::now();
    assert_eq!(kind(throttle.admit(1, Weight::Free).await), ErrorName::LimitsExceeded);
    assert_eq!(Instant::now() - start, HOLD, "a tight loop is slowed down");
    assert!(
        throttle.admit(2, Weight::Free).await.is_ok(),
        "another uid has its own limit"
    );
    permits.pop();
    assert!(throttle.admit(1, Weight::Free).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_answers_can_still_tell_and_has_a_limit_for_that_too() {
    let throttle = RateLimit::default();
    let waiting = take(&throttle, 1, Weight::Free, WAITING).await;
    let start = Instant::now();
    let telling = take(&throttle, 1, Weight::Telling, WAITING).await;
    assert_eq!(Instant::now(), start);
    assert_eq!(
        kind(throttle.admit(1, Weight::Telling).await),
        ErrorName::LimitsExceeded
    );
    drop(waiting);
    assert!(
        throttle.admit(1, Weight::Free).await.is_ok(),
        "nor does telling keep from asking"
    );
    drop(telling);
    throttle.retire(1);
    assert_eq!(throttle.users(), 0);
}

#[tokio::test(start_paused = true)]
async fn costly_calls_are_refused_when_their_budget_is_spent_and_allowed_when_it_refills() {
    let throttle = RateLimit::default();
    drop(take(&throttle, 1, Weight::Costly, COSTLY_IN_A_ROW).await);
    assert_eq!(kind(throttle.admit(1, Weight::Costly).await), ErrorName::LimitsExceeded);
    assert!(throttle.admit(1, Weight::Free).await.is_ok(), "the rest goes on");
    tokio::time::advance(COSTLY_EVERY).await;
    assert!(throttle.admit(1, Weight::Costly).await.is_ok());
    assert_eq!(kind(throttle.admit(1, Weight::Costly).await), ErrorName::LimitsExceeded);
}

#[tokio::test(start_paused = true)]
async fn among_several_a_flood_keeps_pace_and_a_rare_caller_feels_nothing() {
    let throttle = RateLimit::default();
    drop(throttle.admit(2, Weight::Free).await);
    let start = Instant::now();
    for _ in 0..1000 {
        drop(throttle.admit(1, Weight::Free).await);
    }
    let flood = Instant::now() - start;
    assert!(flood > PACE * 900, "1000 calls took only {flood:?}");
    let start = Instant::now();
    drop(throttle.admit(2, Weight::Free).await);
    assert_eq!(Instant::now(), start);
    // A second after the other uid's last call the flood is alone again.
    tokio::time::advance(SEVERAL).await;
    drop(throttle.admit(1, Weight::Free).await);
    let start = Instant::now();
    drop(take(&throttle, 1, Weight::Free, 100).await);
    assert_eq!(Instant::now(), start);
}

#[tokio::test(start_paused = true)]
async fn reconnecting_does_not_refill_a_budget() {
    let throttle = RateLimit::default();
    drop(take(&throttle, 1, Weight::Costly, COSTLY_IN_A_ROW).await);
    throttle.retire(1);
    assert_eq!(kind(throttle.admit(1, Weight::Costly).await), ErrorName::LimitsExceeded);
    tokio::time::advance(COSTLY_EVERY * COSTLY_IN_A_ROW).await;
    throttle.retire(1);
    assert_eq!(throttle.users(), 0, "what owes nothing is forgotten");
}

#[tokio::test(start_paused = true)]
async fn the_table_never_grows_beyond_its_size_and_a_waiting_user_keeps_its_entry() {
    let throttle = RateLimit::default();
    let waiting = throttle.admit(0, Weight::Free).await.unwrap();
    for uid in 1..1000 {
        drop(throttle.admit(uid, Weight::Free).await.unwrap());
        assert!(throttle.users() <= USERS);
    }
    let waits = |user: &User| user.uid == 0 && user.asking == 1;
    assert!(throttle.table().users.iter().any(waits));
    drop(waiting);

    let throttle = RateLimit::default();
    let mut everybody = Vec::new();
    for uid in 0..u32::try_from(USERS).unwrap() {
        everybody.push(throttle.admit(uid, Weight::Free).await.unwrap());
    }
    assert_eq!(
        kind(throttle.admit(99_999, Weight::Free).await),
        ErrorName::LimitsExceeded
    );
}
