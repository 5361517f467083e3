//! The daemon against a second third-party server: glewlwyd, in C, with its own TLS and its own
//! ways (a path in the issuer, 403 for a client that it does not know, no words at all for a
//! refresh token that is dead).

use c2c_testkit::user::error_name;

use crate::world::World;

/// With `openid` it wants a `nonce` in the code grant too, which `OpenID` Connect Core §3.1.2.1
/// leaves to the client. A client that has no use for an ID token has no use for the scope.
const WITHOUT_NONCE: &str = "offline_access";

#[tokio::test]
#[ignore = "run by tests/oidc/run"]
async fn a_public_client_pairs_by_device_code() {
    let world = World::at("glewlwyd", "oauth-device", "device-public", "none").await;
    let daemon = world.start().await;
    let code = world.start_pairing().await;
    let page = world
        .browse(&code["verification-uri-complete"], "approve", "nowhere")
        .await;
    assert!(page.text.contains("Authorization complete"), "{page:?}");
    world.until("Pairing", "PairingState", "paired").await;
    let _daemon = world.is_served_and_rotated("device-public", daemon).await;
    world.server().nothing_was_rejected(&[]);
    // It revokes for clients with a secret only: the pairing ends here all the same, and what it
    // refused is in its counters.
    world.call("Pairing", "Unpair", &()).await.unwrap();
    assert_eq!(world.word("Pairing", "PairingState").await, "unpaired");
    let refused = world.until_refused().await;
    assert!(
        refused
            .iter()
            .all(|line| line.starts_with("glewlwyd_oidc_invalid_acccess_token_total")),
        "{refused:?}"
    );
    assert_eq!(world.server().tokens("device-public").live, 1);
}

#[tokio::test]
#[ignore = "run by tests/oidc/run"]
async fn a_confidential_client_pairs_by_device_code() {
    let world = World::at("glewlwyd", "oauth-device", "device-post", "post").await;
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
async fn a_public_client_pairs_by_code_in_a_browser_on_the_board() {
    let mut world = World::at("glewlwyd", "oauth-code", "code-public", "none").await;
    world.set("provider", "scope", WITHOUT_NONCE);
    let daemon = world.start().await;
    let address = world.start_pairing().await["authorization-uri"].clone();
    let page = world.browse(&address, "approve", &world.server().redirect).await;
    assert_eq!(page.title, "Paired", "{page:?}");
    let _daemon = world.is_served_and_rotated("code-public", daemon).await;
    world.server().nothing_was_rejected(&[]);
}

#[tokio::test]
#[ignore = "run by tests/oidc/run"]
async fn a_confidential_client_pairs_by_code_in_a_browser_on_the_board() {
    let mut world = World::at("glewlwyd", "oauth-code", "code-basic", "basic").await;
    world.set("provider", "scope", WITHOUT_NONCE);
    let daemon = world.start().await;
    let address = world.start_pairing().await["authorization-uri"].clone();
    let page = world.browse(&address, "approve", &world.server().redirect).await;
    assert_eq!(page.title, "Paired", "{page:?}");
    world.lives_the_same_life_as_any_token("code-basic", daemon).await;
}

#[tokio::test]
#[ignore = "run by tests/oidc/run"]
async fn a_wrong_secret_is_a_fault_of_the_configuration_and_seen_in_the_log() {
    let world = World::at("glewlwyd", "oauth-device", "device-post", "post").await;
    world.rig().write_credential("client-secret", b"wrong").unwrap();
    let _daemon = world.start().await;
    let refused = world.try_start_pairing().await;
    assert_eq!(error_name(&refused), "org.cameratocloud.Auth1.Error.ClientRejected");
    assert_eq!(world.word("Pairing", "PairingReason").await, "client-rejected");
    let refused = world.server().refused();
    assert!(
        refused
            .iter()
            .any(|line| line.contains("client 'device-post' is invalid")),
        "{refused:?}"
    );
    assert!(
        refused
            .iter()
            .any(|line| line.starts_with("glewlwyd_oidc_unauthorized_client_total")),
        "{refused:?}"
    );
}

/// An answer that says nothing destroys nothing: it could be a proxy's as well.
#[tokio::test]
#[ignore = "run by tests/oidc/run"]
async fn a_refresh_token_that_is_refused_without_a_word_is_kept_and_told_of() {
    let world = World::at("glewlwyd", "oauth-device", "device-post", "post").await;
    let _daemon = world.start().await;
    let code = world.start_pairing().await;
    world
        .browse(&code["verification-uri-complete"], "approve", "nowhere")
        .await;
    world.until("Pairing", "PairingState", "paired").await;
    world.server().control("forget device-post");
    world.until("Pairing", "PairingReason", "server-error").await;
    world.until("Tokens", "TokenState", "stale").await;
    assert_eq!(world.word("Pairing", "PairingState").await, "paired");
    let refused = world.call("Tokens", "GetAccessToken", &(0_u32,)).await;
    assert_eq!(error_name(&refused), "org.cameratocloud.Auth1.Error.ServerError");
    world.call("Pairing", "Unpair", &()).await.unwrap();
    assert_eq!(world.word("Pairing", "PairingState").await, "unpaired");
}
