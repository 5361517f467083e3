//! No secret of a pairing leaks, and no client gets what is not its own.

use super::*;

#[tokio::test]
async fn no_secret_of_a_pairing_by_browser_is_logged_or_kept_in_clear() {
    let world = Harness::code(DAEMON, Quirks::default());
    let user = world.user().await;
    let mut daemon = world.start().await;
    let code = user.code(&[]).await.unwrap();
    let address = &code["authorization-uri"];
    let back = world.server.browse(address, true).unwrap();
    // A stray one first: what is refused must not be logged either.
    assert!(user.complete(&back.replace("state=", "state=x")).await.is_err());
    assert!(open(back.clone()).await.contains("is paired"));
    let token = user.token().await.unwrap().access;
    let value = |of: &str, key: &str| {
        let after = of.split(&format!("{key}=")).nth(1).unwrap();
        after.split('&').next().unwrap().to_owned()
    };
    let secrets = [
        value(address, "state"),
        value(address, "code_challenge"),
        value(&back, "code"),
        token,
    ];
    daemon.terminate().unwrap();
    daemon.wait_exit(LIMIT).await.unwrap();
    let left = left_behind(&world, &daemon);
    let logged = left.windows(6).any(|window| window == b"/token");
    assert!(logged, "this test can fail: {:?}", daemon.output());
    for secret in secrets {
        let found = left.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(secret.len() > 16 && !found, "{secret}");
    }
}

#[tokio::test]
async fn tokens_of_one_client_are_never_sent_as_anothers() {
    let mut world = Harness::code(DAEMON, short_lived());
    let user = world.user().await;
    let mut daemon = world.start().await;
    pair_by_browser(&world, &user, &[]).await;
    let token = user.token().await.unwrap().access;
    for (key, value) in [
        ("client-id", "another-app".to_owned()),
        ("issuer", format!("{}/tenant", world.server.issuer())),
        // Beside the same issuer.
        ("token-endpoint", format!("{}/token2", world.server.issuer())),
    ] {
        daemon.kill().unwrap();
        let asked = world.server.log().len();
        let mut before = None;
        world
            .rig
            .configure(|config| {
                before = Some(config.clone());
                config.set("provider", key, value.as_str());
            })
            .unwrap();
        daemon = world.start().await;
        assert_eq!(user.word("Pairing", "PairingReason").await, "foreign-record", "{key}");
        assert_eq!(
            error_name(&user.token().await),
            "org.cameratocloud.Auth1.Error.NotPaired"
        );
        assert_eq!(world.server.log().len(), asked, "nothing was sent");
        world.rig.configure(|config| *config = before.take().unwrap()).unwrap();
    }
    // Kept, not lost: with the old configuration the pairing is there again.
    daemon.kill().unwrap();
    let _daemon = world.start().await;
    assert_eq!(user.word("Pairing", "PairingState").await, "paired");
    assert!(world.server.takes(&token));
}
