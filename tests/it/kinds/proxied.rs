//! A device whose only way out is a proxy: the server's name has no address.

use std::process::Command;
use std::time::Instant;

use c2c_testkit::harness::side_by_side;
use c2c_testkit::proxy::{Proxy, Way};
use c2c_testkit::rig::Process;
use c2c_testkit::standard::{Loss, Standard};

use super::browser::{pair, short_lived};
use super::*;

/// `.invalid` has no address anywhere (RFC 2606 §2).
fn behind_a_proxy(way: Way, quirks: Quirks) -> (Harness<Standard>, Proxy) {
    let proxy = Proxy::start(way).unwrap();
    let quirks = Quirks {
        host: "server.invalid",
        ..quirks
    };
    let mut world = Harness::device(DAEMON, quirks);
    world.set(&[("network", "proxy", &proxy.address())]);
    (world, proxy)
}

fn refuses(line: &str) -> Way {
    Way::Say(format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n"))
}

fn with_environment(world: &Harness<Standard>, variables: &[(&str, &str)]) -> Process {
    let change = |command: &mut Command| {
        command.envs(variables.iter().copied());
    };
    world
        .rig
        .spawn_with(DAEMON.as_ref(), world.bus.address(), change)
        .unwrap()
}

#[tokio::test]
async fn a_pairing_lives_behind_a_proxy_from_the_code_to_the_revocation() {
    let (world, proxy) = behind_a_proxy(Way::Open, short_lived());
    let user = world.user().await;
    let mut daemon = world.start().await;
    pair(&world, &user, "oauth-device").await;
    user.until_generation(2).await;
    assert!(world.server.takes(&user.token().await.unwrap().access));
    world.restart(&mut daemon).await;
    user.until_generation(3).await;
    user.unpair().await.unwrap();
    world.server.seen("POST /revoke", 1, LIMIT).await.unwrap();
    assert_eq!(world.server.live_grants(), 0);
    world.no_request_was_strange();
    let server = world.server.issuer().replace("https://", "");
    let tunnel = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n\r\n");
    assert!(
        proxy.asked().iter().all(|asked| *asked == tunnel),
        "{:?}",
        proxy.asked()
    );
}

/// A refresh that finds no tunnel is sent once, when there is one again.
async fn is_kept(way: Way, told: &str) {
    let (world, proxy) = behind_a_proxy(
        Way::Open,
        Quirks {
            next_life: Some(4),
            ..Quirks::default()
        },
    );
    let user = world.user().await;
    let mut daemon = world.start().await;
    pair(&world, &user, "oauth-device").await;
    proxy.set(way);
    proxy.cut();
    // The call waits for the end of a try, or for its own.
    let limit = Instant::now() + LIMIT;
    loop {
        let told_by_call = user
            .token()
            .await
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        if told_by_call.contains(told) {
            assert!(
                told_by_call.starts_with("org.cameratocloud.Auth1.Error.Offline: "),
                "{told_by_call}"
            );
            break;
        }
        assert!(Instant::now() < limit, "{told_by_call}\n{:?}", daemon.output());
    }
    assert_eq!(user.word("Pairing", "PairingState").await, "paired");
    proxy.set(Way::Open);
    user.until_generation(2).await;
    daemon.kill().unwrap();
    let said = daemon.output().join("\n");
    assert!(said.contains(told), "{said}");
    let spent = world
        .server
        .log()
        .iter()
        .filter(|line| line.starts_with(REFRESH))
        .count();
    assert_eq!(spent, 1, "{:?}", world.server.log());
    world.no_request_was_strange();
}

#[tokio::test]
async fn a_proxy_that_fails_before_the_tunnel_costs_no_pairing_and_is_named() {
    let cases = [
        (refuses("407 Proxy Authentication Required"), "proxy: status 407"),
        (refuses("502 Bad Gateway"), "proxy: status 502"),
        (
            Way::Say("220 mail.example ESMTP\r\n".to_owned()),
            "proxy: its answer is not HTTP",
        ),
        (Way::Say(String::new()), "proxy: it closed the connection"),
        (
            refuses("200 OK"),
            "proxy: the tunnel stands, and no TLS comes through it",
        ),
        (Way::Silent, "proxy: no answer"),
    ];
    side_by_side(cases.map(|(way, told)| (told.to_owned(), is_kept(way, told)))).await;
}

/// The server has carried it out, and takes the used token again for a while.
#[tokio::test]
async fn an_answer_that_is_lost_behind_a_proxy_is_ambiguous_as_without() {
    let (mut world, _proxy) = behind_a_proxy(
        Way::Open,
        Quirks {
            reuse_window: Some(LIMIT),
            loses: vec![Loss::Before],
            next_life: Some(4),
            ..Quirks::default()
        },
    );
    world.set(&[("refresh", "reuse-window", "2min")]);
    let user = world.user().await;
    let mut daemon = world.start().await;
    pair(&world, &user, "oauth-device").await;
    user.until_generation(2).await;
    daemon.kill().unwrap();
    let said = daemon.output().join("\n");
    assert!(
        said.contains("The server may have renewed the tokens all the same"),
        "{said}"
    );
    world.no_request_was_strange();
}

#[tokio::test]
async fn the_environment_decides_where_it_is_asked() {
    let (mut world, proxy) = behind_a_proxy(Way::Open, Quirks::default());
    let address = proxy.address();
    world.set(&[("network", "proxy", "environment")]);
    let user = world.user().await;
    let daemon = with_environment(&world, &[("HTTPS_PROXY", &address), ("NO_PROXY", "elsewhere.invalid")]);
    daemon.wait_ready(LIMIT).await.unwrap();
    pair(&world, &user, "oauth-device").await;
    drop(daemon);

    let mut refused = with_environment(&world, &[("https_proxy", "http://user:canary@10.0.0.1:3128")]);
    let end = tokio::task::spawn_blocking(move || {
        let code = refused.wait_exit_blocking(LIMIT).unwrap().code();
        (code, refused.output().join("\n"))
    });
    let (code, said) = end.await.unwrap();
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("https_proxy") && !said.contains("canary"), "{said}");

    world.set(&[("network", "proxy", "direct")]);
    let mut daemon = with_environment(&world, &[("HTTPS_PROXY", "http://user:canary@10.0.0.1:3128")]);
    daemon.wait_ready(LIMIT).await.unwrap();
    daemon.kill().unwrap();
    let said = daemon.output().join("\n");
    let told = said.matches("HTTPS_PROXY is set in the environment").count();
    assert!(told == 1 && !said.contains("canary"), "{said}");
}
