//! The one fault that nobody can undo: the server renewed the tokens, and its answer never arrived.

use std::time::Duration;

use c2c_auth_core::{Body, Loaded, Reason, Record};
use c2c_testkit::harness::{Harness, LOOK, quick, side_by_side};
use c2c_testkit::server::{Cut, Endpoint, Fault, Options, Page, Times};
use c2c_testkit::user::error_name;

use super::disk::on_disk;
use crate::DAEMON;

/// A device whose next refresh, due a second after pairing, meets this fault.
fn doomed(fault: Fault) -> Harness {
    let mut world = Harness::c2c(
        DAEMON,
        Options {
            access_life: Duration::from_secs(100),
            ..quick()
        },
    );
    world.set(&[("refresh", "at", "1%")]);
    world.server.fault(Endpoint::Refresh, fault);
    world
}

async fn ends_and_pairs_again(fault: Fault) {
    let world = doomed(fault);
    let daemon = world.start().await;
    let pid = daemon.pid();
    let user = world.user().await;
    world.pair(&user).await;
    world.seen(|truth| truth.counters().refreshes_committed == 1).await;

    // From here on the token that the device still holds is dead at the server.
    let living = world.live_access().unwrap();
    let mut refused = String::new();
    while refused != "org.cameratocloud.Auth1.Error.NotPaired" {
        let answer = user.token().await;
        if let Ok(token) = &answer {
            assert_eq!(token.access, living, "a dead token was served: {:#?}", daemon.output());
        }
        refused = error_name(&answer);
        assert!(
            [
                "org.cameratocloud.Auth1.Error.NotPaired",
                "org.cameratocloud.Auth1.Error.ServerError",
                "org.cameratocloud.Auth1.Error.Offline",
                // The resend is under way when the call's time is over.
                "org.freedesktop.DBus.Error.Timeout",
            ]
            .contains(&refused.as_str()),
            "{refused}"
        );
        tokio::time::sleep(LOOK).await;
    }
    assert_eq!(user.word("Pairing", "PairingState").await, "unpaired");
    assert_eq!(user.word("Pairing", "PairingReason").await, "refresh-answer-lost");
    assert_eq!(user.last_error().await, "pairing-lost");
    assert!(user.flag("AttentionNeeded").await && !user.flag("Paired").await);
    assert_eq!(user.word("Tokens", "TokenState").await, "none");
    let tombstone = |loaded: &Loaded| {
        let lost = Body::Tombstone(Reason::RefreshAnswerLost);
        matches!(loaded, Loaded::Current(Record { body, .. }) if *body == lost)
    };
    // Told as soon as it is known, and written beside that.
    let written = async {
        while !tombstone(&on_disk(&world)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written)
        .await
        .unwrap_or_else(|_| panic!("{:?}", on_disk(&world)));

    world
        .server
        .set_options(|options| options.access_life = Duration::from_secs(28_800));
    world.pair(&user).await;
    let token = user.token().await.unwrap();
    assert_eq!(Some(token.access), world.live_access());
    assert_eq!(user.word("Pairing", "PairingReason").await, "none");
    assert!(!user.flag("AttentionNeeded").await);
    assert_eq!(daemon.pid(), pid);
    assert_eq!(world.server.truth(|truth| truth.violations().to_vec()), []);
}

#[tokio::test]
async fn a_lost_answer_is_told_and_mended_by_pairing_again() {
    side_by_side(
        [
            ("a cut", Fault::Cut(Cut::AfterCommit)),
            ("a cut within the answer", Fault::Cut(Cut::MidBody)),
            (
                "a gateway that gave up waiting",
                Fault::InsteadAfterCommit(Page::Status(504)),
            ),
        ]
        .map(|(name, fault)| (name.to_owned(), ends_and_pairs_again(fault))),
    )
    .await;
}

#[tokio::test]
async fn a_cut_before_commit_costs_nothing() {
    let world = doomed(Fault::Cut(Cut::BeforeCommit));
    let (_daemon, user) = world.paired().await;
    world
        .server
        .set_options(|options| options.access_life = Duration::from_secs(28_800));
    user.until_generation(2).await;
    let token = user.token().await.unwrap();
    assert_eq!(Some(token.access), world.live_access());
    assert_eq!(world.server.truth(|truth| truth.counters().pairings), 1);
}

#[tokio::test]
async fn while_nobody_answers_a_dead_token_is_served_to_nobody_after_its_401() {
    let world = doomed(Fault::Cut(Cut::AfterCommit));
    // The resends are lost, too: the question stays open.
    world
        .server
        .faults(Endpoint::Refresh, Times::Always, Fault::Cut(Cut::BeforeCommit));
    let (_daemon, user) = world.paired().await;
    world
        .seen(|truth| {
            truth
                .requests(Endpoint::Me)
                .any(|entry| entry.verdict == "unauthorized")
        })
        .await;
    user.until("Tokens", "TokenState", "stale").await;
    let answer = user.token().await;
    assert!(
        ["Offline", "ServerError", "Timeout"].contains(&error_name(&answer).rsplit('.').next().unwrap()),
        "{}",
        error_name(&answer)
    );
    assert!(user.flag("Paired").await, "only the server's word ends a pairing");
}
