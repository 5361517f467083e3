//! The two standard kinds end to end: the real daemon between a bus, a standard server over TLS and
//! a browser.
//!
//! (Frame.io's own kind has `paths`. Third-party servers and a real browser have `tests/oidc`.)

mod browser;
mod dialects;
mod presets;
mod proxied;
mod rejections;
mod reuse;
mod secrets;
mod servers;
mod tokens;
mod way_back;

use std::net::TcpStream;
use std::process::Stdio;

use c2c_testkit::harness::{Harness, LIMIT, LOOK};
use c2c_testkit::standard::{Document, Quirks, Rules, Secret};
use c2c_testkit::user::{Token, error_name};
use tokio::io::AsyncWriteExt as _;

use crate::DAEMON;
use browser::{REFRESH, host, left_behind, listens, open, pair_by_browser, port, replace, say, short_lived};

#[tokio::test]
async fn a_device_pairs_by_code_refreshes_and_is_revoked() {
    let world = Harness::device(DAEMON, short_lived());
    let user = world.user().await;
    let mut daemon = world.start().await;
    assert_eq!(
        user.word("Pairing", "PairingState").await,
        "unpaired",
        "a public client needs no secret"
    );
    let code = user.code(&[]).await.unwrap();
    assert!(world.server.decide(&code["user-code"], true));
    user.until("Pairing", "PairingState", "paired").await;
    let Token {
        access: first,
        generation,
        ..
    } = user.token().await.unwrap();
    assert!(world.server.takes(&first) && generation == 1);
    user.until_generation(2).await;
    assert!(world.server.takes(&user.token().await.unwrap().access));
    daemon.kill().unwrap();
    let _daemon = world.start().await;
    user.until_generation(3).await;
    user.unpair().await.unwrap();
    world.server.seen("POST /revoke", 1, LIMIT).await.unwrap();
    assert_eq!(world.server.live_grants(), 0);
    world.no_request_was_strange();
}

#[tokio::test]
async fn who_declines_is_heard_in_the_words_of_entra_id() {
    let quirks = Quirks {
        rules: Rules {
            denied: (400, "authorization_declined"),
            ..Rules::RFC
        },
        ..Quirks::default()
    };
    let world = Harness::device(DAEMON, quirks);
    let user = world.user().await;
    let _daemon = world.start().await;
    let code = user.code(&[]).await.unwrap();
    assert!(world.server.decide(&code["user-code"], false));
    user.until("Pairing", "PairingReason", "denied").await;
    assert_eq!(world.server.secrets(Secret::UserCode).len(), 1, "no second code");
    world.no_request_was_strange();
}

#[tokio::test]
async fn a_no_in_unknown_words_ends_after_three_codes_and_is_named() {
    let quirks = Quirks {
        rules: Rules {
            denied: (400, "bad_verification_code"),
            ..Rules::RFC
        },
        ..Quirks::default()
    };
    let world = Harness::device(DAEMON, quirks);
    let user = world.user().await;
    let mut daemon = world.start().await;
    user.code(&[]).await.unwrap();
    for codes in 1..=3 {
        // Each code waits for a while before somebody declines it.
        world
            .server
            .seen("POST /token device_code 400 authorization_pending", codes, LIMIT)
            .await
            .unwrap();
        let [code] = &world.server.waiting()[..] else {
            panic!("{:?}", world.server.log());
        };
        assert!(world.server.decide(code, false));
        world
            .server
            .seen("POST /token device_code 400 bad_verification_code", codes, LIMIT)
            .await
            .unwrap();
    }
    user.until("Pairing", "PairingReason", "server-error").await;
    assert_eq!(user.word("Pairing", "PairingState").await, "unpaired");
    assert_eq!(world.server.secrets(Secret::UserCode).len(), 3);
    daemon.kill().unwrap();
    let said = daemon.output().join("\n");
    assert!(
        said.contains("refused several pairing codes in a row, with the error \"bad_verification_code\""),
        "{said}"
    );
    assert!(!said.contains("portal"), "{said}");
    world.no_request_was_strange();
}

#[tokio::test]
async fn a_browser_on_the_board_pairs_among_strangers() {
    let world = Harness::code(DAEMON, short_lived());
    let user = world.user().await;
    let daemon = world.start().await;
    let code = user.code(&[]).await.unwrap();
    assert_eq!(user.word("Pairing", "PairingState").await, "awaiting-user");
    let back = world.server.browse(&code["authorization-uri"], true).unwrap();

    // A hostile process on the board: pages of its own, guesses, a flood, connections that say
    // nothing.
    let place = host(&back);
    let hostile = tokio::task::spawn_blocking(move || {
        // More than twice as many as the daemon holds at once: somebody has to give way.
        let silent: Vec<_> = (0..300).map(|_| TcpStream::connect(&place).unwrap()).collect();
        for guess in 0..200 {
            let answer = say(
                &place,
                &format!("GET /callback?state={guess}&code=x HTTP/1.1\r\nHost: {place}\r\n\r\n"),
            );
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
        }
        let icon = say(&place, &format!("GET /favicon.ico HTTP/1.1\r\nHost: {place}\r\n\r\n"));
        assert!(icon.is_empty() || icon.starts_with("HTTP/1.1 404 "), "{icon}");
        silent
    });
    let silent = hostile.await.unwrap();
    assert_eq!(user.word("Pairing", "PairingState").await, "awaiting-user");

    assert!(listens(&daemon, port(&back)));
    let page = open(back.clone()).await;
    drop(silent);
    assert!(page.contains("is paired"), "{page}");
    assert_eq!(user.word("Pairing", "PairingState").await, "paired");
    assert!(!listens(&daemon, port(&back)), "the listener ends with the flow");
    user.until_generation(2).await;
    assert!(world.server.takes(&user.token().await.unwrap().access));
    world.no_request_was_strange();
}

#[tokio::test]
async fn a_browser_elsewhere_pairs_through_the_bus_and_only_with_the_right_answer() {
    let mut world = Harness::code(DAEMON, Quirks::default());
    let user = world.user().await;
    world
        .rig
        .configure(|config| {
            config.set("provider", "redirect-uri", "com.example.camera:/callback");
        })
        .unwrap();
    let _daemon = world.start().await;
    let none = user.complete("com.example.camera:/callback?state=x&code=y").await;
    assert_eq!(error_name(&none), "org.cameratocloud.Auth1.Error.NoPairing");
    let code = user.code(&[]).await.unwrap();
    let back = world.server.browse(&code["authorization-uri"], true).unwrap();
    for stray in [
        back.replace("com.example.camera", "com.example.other"),
        back.replace("state=", "state=x"),
        back.replace("iss=", "iss=x"),
        format!("{back}&state=again"),
        back.split("&state").next().unwrap().to_owned(),
    ] {
        assert_ne!(stray, back);
        let refused = user.complete(&stray).await;
        assert_eq!(
            error_name(&refused),
            "org.freedesktop.DBus.Error.InvalidArgs",
            "{stray}"
        );
    }
    assert_eq!(user.word("Pairing", "PairingState").await, "awaiting-user");
    // Through the tool, as an operator does: by its standard input, where nobody can read along.
    let mut tool = tokio::process::Command::new(env!("CARGO_BIN_EXE_c2c-authctl"))
        .args(["--bus", world.bus.address(), "complete"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = tool.stdin.take().unwrap();
    stdin.write_all(format!("{back}\n").as_bytes()).await.unwrap();
    drop(stdin);
    let ended = tool.wait_with_output().await.unwrap();
    assert_eq!(
        (ended.status.code(), &*ended.stdout),
        (Some(0), &b"Paired.\n"[..]),
        "{ended:?}"
    );
    assert_eq!(user.word("Pairing", "PairingState").await, "paired");
    world.no_request_was_strange();
}

#[tokio::test]
async fn a_decline_a_cancel_and_another_try_leave_nothing_behind() {
    let world = Harness::code(DAEMON, Quirks::default());
    let user = world.user().await;
    let daemon = world.start().await;
    let code = user.code(&[]).await.unwrap();
    let back = world.server.browse(&code["authorization-uri"], false).unwrap();
    assert!(open(back).await.contains("You declined"));
    user.until("Pairing", "PairingReason", "denied").await;

    let code = user.code_when_it_may(&[]).await;
    let back = world.server.browse(&code["authorization-uri"], true).unwrap();
    assert!(listens(&daemon, port(&back)));
    user.cancel().await.unwrap();
    assert!(!listens(&daemon, port(&back)), "the listener ends with the cancel");
    let late = user.complete(&back).await;
    assert_eq!(error_name(&late), "org.cameratocloud.Auth1.Error.NoPairing");
    assert_eq!(world.server.live_grants(), 0);
    assert_eq!(user.word("Pairing", "PairingReason").await, "cancelled");
}

#[tokio::test]
async fn a_pairing_that_is_replaced_is_not_revoked_where_grants_may_be_one() {
    let world = Harness::code(DAEMON, Quirks::default());
    let user = world.user().await;
    let daemon = world.start().await;
    pair_by_browser(&world, &user, &[]).await;
    replace(&world, &user).await;
    let kept = user.token().await.unwrap().access;
    assert!(world.server.takes(&kept));
    drop(daemon);
    assert_eq!(
        world.server.live_grants(),
        2,
        "one session may serve both: to end the old could end the new"
    );
    assert!(!world.server.log().iter().any(|line| line.contains("/revoke")));
}

#[tokio::test]
async fn a_pairing_that_is_replaced_is_revoked_where_grants_are_known_to_be_separate() {
    let mut world = Harness::code(DAEMON, Quirks::default());
    let user = world.user().await;
    world
        .rig
        .configure(|config| {
            config.set("provider", "separate-grants", true);
        })
        .unwrap();
    let _daemon = world.start().await;
    pair_by_browser(&world, &user, &[]).await;
    let old = user.token().await.unwrap().access;
    replace(&world, &user).await;
    let new = user.token().await.unwrap().access;
    world.server.seen("POST /revoke", 1, LIMIT).await.unwrap();
    assert!(world.server.takes(&new) && !world.server.takes(&old));
    assert_eq!(world.server.live_grants(), 1);
}

#[tokio::test]
async fn a_refresh_without_a_new_refresh_token_keeps_the_old_one() {
    let quirks = Quirks {
        rotates: false,
        ..short_lived()
    };
    let world = Harness::code(DAEMON, quirks);
    let user = world.user().await;
    let _daemon = world.start().await;
    pair_by_browser(&world, &user, &[]).await;
    user.until_generation(3).await;
    world.no_request_was_strange();
}

#[tokio::test]
async fn only_invalid_grant_ends_a_pairing() {
    let world = Harness::device(DAEMON, short_lived());
    let user = world.user().await;
    let _daemon = world.start().await;
    let code = user.code(&[]).await.unwrap();
    assert!(world.server.decide(&code["user-code"], true));
    user.until("Pairing", "PairingState", "paired").await;
    world
        .server
        .change(|quirks| quirks.refuses_refresh = Some("invalid_request"));
    let refused = async {
        world.server.seen(REFRESH, 2, LIMIT).await.unwrap();
        assert_eq!(user.word("Pairing", "PairingState").await, "paired");
        world
            .server
            .change(|quirks| quirks.refuses_refresh = Some("invalid_grant"));
        user.until("Pairing", "PairingState", "unpaired").await;
    };
    // A caller that needs a token and has none that lives waits for the next try, which then comes
    // sooner.
    let asking = async {
        loop {
            let _ = user.token().await;
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = refused => {}
        () = asking => {}
    }
    assert_eq!(user.word("Pairing", "PairingReason").await, "revoked");
    assert_eq!(
        error_name(&user.token().await),
        "org.cameratocloud.Auth1.Error.NotPaired"
    );
}

#[tokio::test]
async fn a_lifetime_that_nobody_tells_is_an_hour() {
    let quirks = Quirks {
        token_life: None,
        ..Quirks::default()
    };
    let world = Harness::code(DAEMON, quirks);
    let user = world.user().await;
    let _daemon = world.start().await;
    pair_by_browser(&world, &user, &[]).await;
    let left = user.token().await.unwrap().expires_in;
    assert!((3500..=3600).contains(&left), "{left}");
}

#[tokio::test]
async fn a_server_that_does_not_describe_itself_is_an_error_that_passes() {
    let quirks = Quirks {
        document: Document::Absent,
        ..Quirks::default()
    };
    let world = Harness::code(DAEMON, quirks);
    let user = world.user().await;
    let _daemon = world.start().await;
    let refused = user.code(&[("timeout", 5_u32.into())]).await;
    assert_eq!(error_name(&refused), "org.cameratocloud.Auth1.Error.ServerError");
    world.server.change(|quirks| quirks.document = Document::Good);
    user.until("Pairing", "PairingState", "awaiting-user").await;
}

/// A server whose description has this fault, named by these words.
async fn is_told_as_unfit(document: Document, words: &str) {
    let world = Harness::code(DAEMON, short_lived());
    let user = world.user().await;
    world.server.change(|quirks| quirks.document = document);
    let daemon = world.start().await;
    let refused = user.code(&[("timeout", 5_u32.into())]).await;
    assert_eq!(error_name(&refused), "org.freedesktop.DBus.Error.NotSupported");
    assert!(format!("{refused:?}").contains(words), "{refused:?}");
    assert_eq!(user.word("Pairing", "PairingReason").await, "local-fault");
    let told = |line: &str| line.contains("the server's description of itself is not");
    daemon.wait_output(told, LIMIT).await.unwrap();
    world.server.change(|quirks| *quirks = short_lived());
    user.until("Pairing", "PairingState", "awaiting-user").await;
    pair_by_browser(&world, &user, &[]).await;
    // An obstacle to a new pairing does not end one that lives.
    world.server.change(|quirks| quirks.document = Document::Plain);
    drop(daemon);
    let _daemon = world.start().await;
    user.until_generation(2).await;
}

#[tokio::test]
async fn a_server_of_another_name_is_told_as_that() {
    is_told_as_unfit(Document::Misnamed, "provider.issuer").await;
}

#[tokio::test]
async fn a_server_that_does_not_know_s256_is_told_as_that() {
    is_told_as_unfit(Document::Plain, "S256").await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_and_tried_again() {
    // One that the kernel gives to nobody who asks for any: it is given back below, and must be
    // nobody's then.
    let own = 10_000 + u16::try_from(std::process::id() % 20_000).unwrap();
    let free = (own..own + 100).find_map(|port| std::net::TcpListener::bind(("127.0.0.1", port)).ok());
    let taken = free.unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut world = Harness::code(DAEMON, Quirks::default());
    let user = world.user().await;
    world
        .rig
        .configure(|config| {
            let redirect = format!("http://127.0.0.1:{port}/callback");
            config.set("provider", "redirect-uri", redirect.as_str());
        })
        .unwrap();
    let _daemon = world.start().await;
    let refused = user.code(&[("timeout", 5_u32.into())]).await;
    assert_eq!(error_name(&refused), "org.freedesktop.DBus.Error.AddressInUse");
    let told = format!("{refused:?}");
    assert!(
        told.contains("another process has the port") && told.contains("provider.redirect-uri"),
        "{told}"
    );
    assert_eq!(user.word("Pairing", "PairingReason").await, "local-fault");
    drop(taken);
    user.until("Pairing", "PairingState", "awaiting-user").await;
    pair_by_browser(&world, &user, &[]).await;
}
