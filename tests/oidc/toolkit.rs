//! The daemon against django-oauth-toolkit, whose refresh tokens have a settable time in which a
//! used one is taken again.

use crate::world::World;

/// Paired, refreshed, and then the answer to a refresh that was carried out is lost.
async fn loses_an_answer(grace: &str, window: &str) -> World {
    let mut world = World::at(&format!("toolkit {grace}"), "oauth-device", "device-public", "none").await;
    world.set("refresh", "reuse-window", window);
    world.set("provider", "scope", "offline_access");
    let _daemon = world.start().await;
    let code = world.start_pairing().await;
    world.server().control(&format!("approve {}", code["user-code"]));
    world.until("Pairing", "PairingState", "paired").await;
    let (_, generation) = world.good_token().await;
    world.until_generation(generation + 1).await;
    world.server().nothing_was_rejected(&[]);
    world.server().control("lose");
    if window == "0s" {
        world.until("Pairing", "PairingReason", "refresh-answer-lost").await;
        return world;
    }
    world.until_generation(generation + 3).await;
    world.good_token().await;
    world
}

#[tokio::test]
#[ignore = "run by tests/oidc/run"]
async fn a_lost_answer_costs_nothing_within_the_grace_of_django() {
    let world = loses_an_answer("5", "5s").await;
    world.server().nothing_was_rejected(&[]);
}

#[tokio::test]
#[ignore = "run by tests/oidc/run"]
async fn a_lost_answer_without_a_grace_ends_the_pairing_and_is_named() {
    let world = loses_an_answer("0", "0s").await;
    world.server().nothing_was_rejected(&["invalid_grant"]);
}
