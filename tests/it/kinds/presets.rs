//! The servers that a preset knows, end to end: the real daemon against a server that speaks their
//! dialect and takes nothing that their documents do not show.

use std::fs;
use std::path::Path;
use std::time::Instant;

use c2c_testkit::harness::{Harness, LIMIT, LOOK};
use c2c_testkit::standard::{Client, Quirks, Standard};
use c2c_testkit::user::{Token, User};

use super::browser::{open, pair_by_browser};
use crate::DAEMON;

/// Holds what form-encoding changes and what separates it from the id: half-hearted encoding would
/// show.
const SECRET: &str = "made-up:+%25&=no/secret";

const FRAMEIO_SCOPE: &str = "offline account.read asset.create";
const ADOBE_SCOPE: &str = "openid profile offline_access";

/// At Adobe's no answer comes to this machine: something else on the board is called and passes it
/// on.
const ELSEWHERE: &str = "com.example.camera:/callback";

fn secret() -> Client {
    Client::Confidential(SECRET.to_owned())
}

fn frameio(client: Client) -> Harness<Standard> {
    let quirks = Quirks::frameio_applications(client);
    Harness::preset(DAEMON, "frameio-applications", FRAMEIO_SCOPE, None, quirks)
}

fn adobe(client: Client) -> Harness<Standard> {
    let quirks = Quirks::adobe_ims(client);
    Harness::preset(DAEMON, "adobe-ims", ADOBE_SCOPE, Some(ELSEWHERE), quirks)
}

/// From the browser's first page to the token that comes of it, which lives as long as that server
/// says.
async fn pair(world: &Harness<Standard>, user: &User, life: u32) -> String {
    let code = user.code(&[]).await.unwrap();
    let back = world.server.browse(&code["authorization-uri"], true).unwrap();
    if back.starts_with(ELSEWHERE) {
        user.complete(&back).await.unwrap();
    } else {
        assert!(open(back).await.contains("is paired"));
    }
    assert_eq!(user.word("Pairing", "PairingState").await, "paired");
    let Token {
        access: token,
        expires_in: left,
        generation,
        ..
    } = user.token().await.unwrap();
    assert!(world.server.takes(&token) && generation == 1);
    assert!((life - 60..=life).contains(&left), "{left}");
    token
}

/// Two refreshes: the first because the API refused the token, the second because the next one
/// ages.
async fn refresh_twice(world: &Harness<Standard>, user: &User) {
    world.server.change(|quirks| {
        // One alone: a third refresh, however late this looks, would be the daemon's fault.
        quirks.next_life = Some(8);
        quirks.token_life = Some(3600);
    });
    user.reject(1).await.unwrap();
    user.until_generation(3).await;
    let token = user.token().await.unwrap().access;
    assert!(world.server.takes(&token));
}

fn nothing_was_refused(world: &Harness<Standard>) {
    world.no_request_was_strange();
    assert!(world.server.refused().is_empty(), "{:?}", world.server.refused());
}

fn requests(world: &Harness<Standard>, begins: &str) -> usize {
    world
        .server
        .log()
        .iter()
        .filter(|line| line.starts_with(begins))
        .count()
}

/// Makes `to` hold what `from` holds, and no more: a record that came later would win.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(to).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

async fn lives_at_frameio(client: Client) {
    let world = frameio(client);
    let user = world.user().await;
    let _daemon = world.start().await;
    pair(&world, &user, 3600).await;
    refresh_twice(&world, &user).await;
    // There is nothing to be told to: the pairing ends here, and the grant lives until its time is
    // up.
    user.unpair().await.unwrap();
    assert_eq!(user.word("Pairing", "PairingReason").await, "unpaired");
    assert_eq!(requests(&world, "POST /oauth2/token refresh_token 200"), 2);
    assert_eq!(requests(&world, "POST "), 3, "{:?}", world.server.log());
    nothing_was_refused(&world);
}

async fn lives_at_adobe(client: Client) {
    let world = adobe(client);
    let user = world.user().await;
    let daemon = world.start().await;
    pair(&world, &user, 86_399).await;
    // Its answers hold no new refresh token: the second can only have been had by the first one's.
    refresh_twice(&world, &user).await;
    assert_eq!(requests(&world, "POST /ims/token/v3 refresh_token 200"), 2);
    user.unpair().await.unwrap();
    world.server.seen("POST /ims/revoke", 1, LIMIT).await.unwrap();
    assert_eq!(world.server.live_grants(), 0);
    // An empty answer is an answer: nothing is kept for another try.
    let told = |line: &str| line.contains("The server revoked the tokens");
    daemon.wait_output(told, LIMIT).await.unwrap();
    // Written beside what is told.
    let limit = Instant::now() + LIMIT;
    while world.rig.state_directory().join("revocations").exists() {
        assert!(Instant::now() < limit, "the revocation is kept");
        tokio::time::sleep(LOOK).await;
    }
    assert_eq!(requests(&world, "POST /ims/revoke"), 1);
    nothing_was_refused(&world);
}

#[tokio::test]
async fn an_application_of_frameio_with_a_secret_pairs_and_refreshes_with_no_request_refused() {
    lives_at_frameio(secret()).await;
}

#[tokio::test]
async fn an_application_of_frameio_without_a_secret_pairs_and_refreshes_with_no_request_refused() {
    lives_at_frameio(Client::Public).await;
}

#[tokio::test]
async fn a_refresh_token_that_frameio_calls_inactive_ends_the_pairing_as_revoked() {
    let world = frameio(Client::Public);
    let user = world.user().await;
    let mut daemon = world.start().await;
    pair(&world, &user, 3600).await;
    // A copy of the device as it is now, put back after a refresh: what it holds then was used.
    daemon.kill().unwrap();
    let kept = tempfile::tempdir().unwrap();
    copy(&world.rig.state_directory(), kept.path());
    daemon = world.start().await;
    user.reject(1).await.unwrap();
    user.until_generation(2).await;
    nothing_was_refused(&world);
    daemon.kill().unwrap();
    copy(kept.path(), &world.rig.state_directory());
    world.rig.lose_runtime_directory().unwrap();
    let _daemon = world.start().await;
    assert_eq!(user.word("Pairing", "PairingState").await, "paired");
    user.reject(1).await.unwrap();
    user.until("Pairing", "PairingState", "unpaired").await;
    assert_eq!(user.word("Pairing", "PairingReason").await, "revoked");
    assert_eq!(
        world.server.refused(),
        ["POST /oauth2/token refresh_token 401 token_inactive"]
    );
    world.no_request_was_strange();
    // The way back is the way in.
    pair_by_browser(&world, &user, &[]).await;
    assert!(world.server.takes(&user.token().await.unwrap().access));
}

#[tokio::test]
async fn a_public_client_of_adobe_keeps_its_refresh_token_and_revokes_it_with_no_request_refused() {
    lives_at_adobe(Client::Public).await;
}

#[tokio::test]
async fn a_confidential_client_of_adobe_keeps_its_refresh_token_and_revokes_it_with_no_request_refused() {
    lives_at_adobe(secret()).await;
}
