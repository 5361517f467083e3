//! Tokens of any size, and answers labelled as what they are not, at standard servers.

use std::time::Instant;

use c2c_testkit::harness::{Harness, LIMIT, LOOK};
use c2c_testkit::standard::{Quirks, Standard};
use c2c_testkit::user::{User, error_name};

use super::browser::{pair, short_lived};
use crate::DAEMON;

const KINDS: [&str; 2] = ["oauth-device", "oauth-code"];
const SERVER_ERROR: &str = "org.cameratocloud.Auth1.Error.ServerError";

async fn until_no_token_can_be_used(world: &Harness<Standard>, user: &User) {
    let limit = Instant::now() + LIMIT;
    while error_name(&user.token().await) != SERVER_ERROR {
        assert!(Instant::now() < limit, "{:?}", world.server.log());
        tokio::time::sleep(LOOK).await;
    }
    assert_eq!(user.word("Pairing", "PairingState").await, "paired");
    assert_eq!(user.word("Pairing", "PairingReason").await, "server-error");
}

#[tokio::test]
async fn long_tokens_and_labels_of_html_are_taken_by_both_kinds() {
    for kind in KINDS {
        let quirks = Quirks {
            token_lengths: (32_768, 32_768),
            label: "text/html; charset=utf-8",
            ..short_lived()
        };
        let world = Harness::standard(DAEMON, kind, quirks);
        let user = world.user().await;
        let _daemon = world.start().await;
        pair(&world, &user, kind).await;
        user.until_generation(2).await;
        let token = user.token().await.unwrap().access;
        assert!(world.server.takes(&token) && token.len() == 32_768, "{kind}");
        world.no_request_was_strange();
    }
}

#[tokio::test]
async fn a_token_that_is_too_long_costs_no_pairing_of_either_kind() {
    for kind in KINDS {
        for rotates in [true, false] {
            let quirks = Quirks {
                rotates,
                ..short_lived()
            };
            let world = Harness::standard(DAEMON, kind, quirks);
            let user = world.user().await;
            let mut daemon = world.start().await;
            pair(&world, &user, kind).await;
            world.server.change(|quirks| quirks.token_lengths = (75_000, 0));
            until_no_token_can_be_used(&world, &user).await;
            let refreshes = || {
                world
                    .server
                    .log()
                    .iter()
                    .filter(|line| line.contains("refresh_token 200"))
                    .count()
            };
            let sent = refreshes();
            daemon.kill().unwrap();
            let said = daemon.output().join("\n");
            assert!(said.contains("a token of 75000 bytes, 32,768 are taken"), "{said}");
            let _daemon = world.start().await;
            until_no_token_can_be_used(&world, &user).await;
            assert_eq!(refreshes(), sent, "{kind}: no loop");
            world.no_request_was_strange();
        }
    }
}

#[tokio::test]
async fn a_device_of_either_kind_is_paired_without_a_usable_access_token() {
    for kind in KINDS {
        let quirks = Quirks {
            token_lengths: (32_769, 0),
            ..short_lived()
        };
        let world = Harness::standard(DAEMON, kind, quirks);
        let user = world.user().await;
        let _daemon = world.start().await;
        pair(&world, &user, kind).await;
        until_no_token_can_be_used(&world, &user).await;
        assert_eq!(world.server.live_grants(), 1);
        world.no_request_was_strange();
    }
}
