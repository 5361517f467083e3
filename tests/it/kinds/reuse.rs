//! A server that takes a used refresh token again for some time: the answer to a refresh that it
//! carried out is lost, and the pairing is kept if a resend in time can keep it.
//!
//! `C2C_RUNS=20 cargo test --test it kinds::reuse` is the long run.

use std::time::Duration;

use c2c_testkit::harness::{Harness, LIMIT, LOOK, side_by_side};
use c2c_testkit::rig::Process;
use c2c_testkit::standard::{Loss, Quirks, Standard};
use c2c_testkit::user::User;
use tokio::time::Instant;

use super::browser::{REFRESH, pair};
use crate::DAEMON;

const CARRIED_OUT: &str = "POST /token refresh_token 200";

/// A device that is paired with a server which does this to its next refresh.
async fn paired(window: Option<u64>, written: &str, loss: Loss) -> (Harness<Standard>, Process, User) {
    let quirks = Quirks {
        reuse_window: window.map(Duration::from_secs),
        loses: vec![loss],
        next_life: Some(4),
        ..Quirks::default()
    };
    let mut world = Harness::device(DAEMON, quirks);
    world.set(&[("refresh", "reuse-window", written)]);
    let user = world.user().await;
    let daemon = world.start().await;
    pair(&world, &user, "oauth-device").await;
    (world, daemon, user)
}

fn carried_out(world: &Harness<Standard>) -> usize {
    world
        .server
        .log()
        .iter()
        .filter(|line| line.starts_with(CARRIED_OUT))
        .count()
}

/// A token came again after its window.
fn too_late(world: &Harness<Standard>) -> bool {
    let refused = world.server.refused();
    refused.iter().any(|line| line.starts_with(REFRESH))
}

/// The resend brought a token that the server takes, and no token was sent in vain.
async fn is_kept(world: &Harness<Standard>, user: &User, sends: usize) {
    user.until_generation(2).await;
    assert!(world.server.takes(&user.token().await.unwrap().access));
    assert_eq!((carried_out(world), world.server.live_grants()), (sends, 1));
    assert!(!too_late(world), "{:?}", world.server.refused());
    world.no_request_was_strange();
}

/// The server's window runs in real time, and a machine that is too slow for it proves nothing: so
/// a case is tried again where the token came after its window, and has failed if that goes on.
async fn is_kept_in_time(window: u64, first: Loss, second: Option<Loss>) {
    const TRIES: usize = 6;
    for _ in 0..TRIES {
        let (world, _daemon, user) = paired(Some(window), &format!("{window}s"), first).await;
        if let Some(second) = second {
            world.server.change(|quirks| quirks.loses.push(second));
        }
        let limit = Instant::now() + LIMIT;
        while user.generation().await < 2 && !too_late(&world) && Instant::now() < limit {
            tokio::time::sleep(LOOK).await;
        }
        if !too_late(&world) {
            is_kept(&world, &user, if second.is_some() { 3 } else { 2 }).await;
            return;
        }
    }
    panic!("the token was sent again after its window, {TRIES} times in a row");
}

#[tokio::test]
async fn a_lost_answer_costs_no_pairing_whatever_the_window() {
    let runs = std::env::var("C2C_RUNS").map_or(1, |runs| runs.parse().unwrap());
    for run in 0..runs {
        let all = [3, 5, 10, 30].into_iter().flat_map(|window| {
            [Loss::Before, Loss::Within].map(|loss| {
                let case = is_kept_in_time(window, loss, None);
                (format!("{window} s, {loss:?}, run {run}"), case)
            })
        });
        side_by_side(all).await;
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_given_up_in_time() {
    let all = [10, 30].map(|window| (format!("{window} s"), is_kept_in_time(window, Loss::Stall, None)));
    side_by_side(all).await;
}

#[tokio::test]
async fn two_lost_answers_cost_no_pairing_either() {
    is_kept_in_time(10, Loss::Within, Some(Loss::Before)).await;
}

#[tokio::test]
async fn a_token_that_is_always_taken_again_is_sent_again_at_the_ordinary_pace() {
    let (world, _daemon, user) = paired(Some(1_000_000), "any", Loss::Before).await;
    is_kept(&world, &user, 2).await;
}

#[tokio::test]
async fn the_power_goes_between_send_and_answer() {
    let all = [true, false].map(|same_boot| {
        let case = async move {
            let (world, mut daemon, user) = paired(Some(30), "30s", Loss::Stall).await;
            world.server.seen(CARRIED_OUT, 1, LIMIT).await.unwrap();
            daemon.kill().unwrap();
            if !same_boot {
                world.rig.lose_runtime_directory().unwrap();
            }
            let _daemon = world.start().await;
            is_kept(&world, &user, 2).await;
        };
        (format!("same boot: {same_boot}"), case)
    });
    side_by_side(all).await;
}

/// With a window each start sends once; without one none does.
#[tokio::test]
async fn five_starts_in_a_row_cost_no_pairing() {
    let all = [Some(30), None].map(|window| {
        let case = async move {
            let written = window.map_or("0s".to_owned(), |window| format!("{window}s"));
            let (world, mut daemon, user) = paired(window, &written, Loss::Stall).await;
            for start in 1..=5 {
                let sends = if window.is_some() { start } else { 1 };
                world.server.seen(CARRIED_OUT, sends, LIMIT).await.unwrap();
                if start < 5 {
                    world.server.change(|quirks| quirks.loses.push(Loss::Stall));
                }
                world.restart(&mut daemon).await;
            }
            if window.is_some() {
                is_kept(&world, &user, 6).await;
            } else {
                assert_eq!(carried_out(&world), 1, "the server may still be at it");
                assert!(user.flag("Paired").await);
            }
        };
        (format!("{window:?}"), case)
    });
    side_by_side(all).await;
}
