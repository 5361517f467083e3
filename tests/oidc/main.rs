//! The daemon against three third-party authorization servers, the certified oidc-provider,
//! Debian's glewlwyd and django-oauth-toolkit, with a real browser (Chromium) that walks the
//! server's pages and follows its redirect to the daemon's own listener.
//!
//! Needs Node, Chromium, the npm package of the first, sqlite3 and the unpacked Debian packages of
//! the second, and a Python with the third: `tests/oidc/run` gets them and runs this. So the tests
//! are ignored by default. When asked for, they fail where something is missing. They do not skip.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

mod glewlwyd;
mod server;
mod toolkit;
mod world;

use c2c_testkit::user::error_name;

use world::World;

#[tokio::test]
#[ignore = "run by tests/oidc/run"]
async fn a_public_client_pairs_by_code_in_a_browser_on_the_board() {
    let world = World::new("oauth-code", "code-public", "none").await;
    let daemon = world.start().await;
    let address = world.start_pairing().await["authorization-uri"].clone();
    assert_eq!(world.word("Pairing", "PairingState").await, "awaiting-user");
    let page = world.browse(&address, "approve", "http://127.0.0.1").await;
    assert_eq!(page.title, "Paired", "{page:?}");
    assert!(page.text.contains("You can close this page"), "{page:?}");
    world.lives_the_same_life_as_any_token("code-public", daemon).await;
}

#[tokio::test]
#[ignore = "run by tests/oidc/run"]
async fn a_confidential_client_pairs_by_code_with_a_browser_elsewhere() {
    let mut world = World::new("oauth-code", "code:basic", "basic").await;
    world.set("provider", "redirect-uri", "https://app.example.invalid/callback");
    let daemon = world.start().await;
    let address = world.start_pairing().await["authorization-uri"].clone();
    let page = world.browse(&address, "approve", "https://app.example.invalid/").await;

    // Somebody else's answer, and a state that is nobody's: refused, and nothing is disturbed.
    for stray in [
        page.url.replace("app.example.invalid", "evil.example"),
        page.url.replace("state=", "state=x"),
        page.url
            .replace("iss=https%3A%2F%2F127.0.0.1", "iss=https%3A%2F%2Fevil.example"),
    ] {
        assert_ne!(stray, page.url);
        let refused = world.complete_pairing(&stray).await;
        assert_eq!(
            error_name(&refused),
            "org.freedesktop.DBus.Error.InvalidArgs",
            "{refused:?}"
        );
    }
    assert_eq!(world.word("Pairing", "PairingState").await, "awaiting-user");
    world.complete_pairing(&page.url).await.unwrap();
    assert_eq!(world.word("Pairing", "PairingState").await, "paired");
    // A code is used once: the same answer finds no pairing any more.
    let again = world.complete_pairing(&page.url).await;
    assert_eq!(error_name(&again), "org.cameratocloud.Auth1.Error.NoPairing");
    world.lives_the_same_life_as_any_token("code:basic", daemon).await;
}

#[tokio::test]
#[ignore = "run by tests/oidc/run"]
async fn a_public_client_pairs_by_device_code() {
    let world = World::new("oauth-device", "device-public", "none").await;
    let daemon = world.start().await;
    let code = world.start_pairing().await;
    assert!(code["user-code"].contains('-'), "shown as the server means it");
    let page = world
        .browse(&code["verification-uri-complete"], "approve", "nowhere")
        .await;
    assert!(page.text.to_lowercase().contains("success"), "{page:?}");
    world.until("Pairing", "PairingState", "paired").await;
    world.lives_the_same_life_as_any_token("device-public", daemon).await;
}

#[tokio::test]
#[ignore = "run by tests/oidc/run"]
async fn a_confidential_client_pairs_by_device_code() {
    let world = World::new("oauth-device", "device-post", "post").await;
    let daemon = world.start().await;
    let code = world.start_pairing().await;
    world
        .browse(&code["verification-uri-complete"], "approve", "nowhere")
        .await;
    world.until("Pairing", "PairingState", "paired").await;
    world.lives_the_same_life_as_any_token("device-post", daemon).await;
}

#[tokio::test]
#[ignore = "run by tests/oidc/run"]
async fn a_user_who_declines_is_understood_in_both_grants() {
    let world = World::new("oauth-device", "device-public", "none").await;
    let _daemon = world.start().await;
    let code = world.start_pairing().await;
    world
        .browse(&code["verification-uri-complete"], "deny", "nowhere")
        .await;
    world.until("Pairing", "PairingReason", "denied").await;
    world.server().nothing_was_rejected(&["access_denied"]);

    let world = World::new("oauth-code", "code-public", "none").await;
    let _daemon = world.start().await;
    let address = world.start_pairing().await["authorization-uri"].clone();
    let page = world.browse(&address, "deny", "http://127.0.0.1").await;
    assert!(page.text.contains("You declined"), "{page:?}");
    world.until("Pairing", "PairingReason", "denied").await;
    world.server().nothing_was_rejected(&["access_denied"]);
}

#[tokio::test]
#[ignore = "run by tests/oidc/run"]
async fn a_refresh_token_that_a_thief_used_ends_the_pairing_by_the_servers_word_alone() {
    let world = World::new("oauth-code", "code-public", "none").await;
    let _daemon = world.start().await;
    let address = world.start_pairing().await["authorization-uri"].clone();
    world.browse(&address, "approve", "http://127.0.0.1").await;
    world.until_generation(2).await;
    // The server sees a token for the second time and ends the whole grant.
    let answer = world.server().control("reuse code-public");
    assert_eq!(answer["error"], "invalid_grant");
    world.until("Pairing", "PairingReason", "revoked").await;
    assert_eq!(world.word("Pairing", "PairingState").await, "unpaired");
    // The refresh that learned of it. The thief's own is not counted.
    world.server().nothing_was_rejected(&["invalid_grant"]);
}

/// A server may keep one session, and one grant, for a user at a client: then the new pair and the
/// old are one to it, and to revoke the old would end the new.
#[tokio::test]
#[ignore = "run by tests/oidc/run"]
async fn a_pairing_that_is_replaced_in_the_same_session_of_a_browser_lives_on() {
    let world = World::new("oauth-code", "code-public", "none").await;
    let _daemon = world.start().await;
    let profile = tempfile::tempdir().unwrap();
    let address = world.start_pairing().await["authorization-uri"].clone();
    let page = world.approve_as_before(&address, profile.path()).await;
    assert_eq!((page.title.as_str(), page.logins), ("Paired", 1), "{page:?}");
    let (old, _) = world.token().await;

    let address = world.start_replacing().await["authorization-uri"].clone();
    let page = world.approve_as_before(&address, profile.path()).await;
    assert_eq!(
        (page.title.as_str(), page.logins),
        ("Paired", 0),
        "the session is the same: {page:?}"
    );
    let (new, generation) = world.good_token().await;
    assert_ne!(new, old);
    world.until_generation(generation + 2).await;
    world.good_token().await;
    assert!(!world.server().was_asked_to_revoke());
    world.server().nothing_was_rejected(&[]);
}

#[tokio::test]
#[ignore = "run by tests/oidc/run"]
async fn a_wrong_secret_is_a_fault_of_the_configuration() {
    let world = World::new("oauth-device", "device-post", "post").await;
    world.rig().write_credential("client-secret", b"wrong").unwrap();
    let _daemon = world.start().await;
    let refused = world.try_start_pairing().await;
    assert_eq!(error_name(&refused), "org.cameratocloud.Auth1.Error.ClientRejected");
    assert_eq!(world.word("Pairing", "PairingReason").await, "client-rejected");
    // So a rejected request is one that this log knows of.
    assert_eq!(world.server().refused().first().unwrap(), "invalid_client");
}

#[tokio::test]
#[ignore = "run by tests/oidc/run"]
async fn tokens_of_one_client_are_never_shown_to_the_server_as_anothers() {
    let mut world = World::new("oauth-device", "device-public", "none").await;
    let mut daemon = world.start().await;
    let code = world.start_pairing().await;
    world
        .browse(&code["verification-uri-complete"], "approve", "nowhere")
        .await;
    world.until("Pairing", "PairingState", "paired").await;
    daemon.kill().unwrap();
    let before = world.server().requests();
    world.set("provider", "client-id", "another-client");
    let mut daemon = world.start().await;
    world.until("Pairing", "PairingReason", "foreign-record").await;
    assert_eq!(world.server().requests(), before, "nothing was sent");
    daemon.kill().unwrap();
    // The record was kept: with the old client the pairing is there again.
    world.set("provider", "client-id", "device-public");
    let _daemon = world.start().await;
    world.until("Pairing", "PairingState", "paired").await;
    world.until_generation(2).await;
    world.server().nothing_was_rejected(&[]);
}
