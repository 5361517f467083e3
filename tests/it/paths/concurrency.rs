//! One refresh for all, none for a lie, and no caller that waits for what it does not need.

use std::time::{Duration, Instant};

use c2c_testkit::harness::{Harness, LIMIT, quick};
use c2c_testkit::rig::CLIENT_ID;
use c2c_testkit::server::{Endpoint, Fault, Options, Page, Pause, Stage, Times};
use c2c_testkit::user::{Token, User};

use crate::DAEMON;

/// A device with its token, and ten users.
async fn ten(world: &Harness) -> Vec<User> {
    let mut users = Vec::new();
    for _ in 0..10 {
        users.push(world.user().await);
    }
    users
}

fn refreshes(world: &Harness) -> usize {
    world.server.truth(|truth| truth.requests(Endpoint::Refresh).count())
}

fn probes(world: &Harness) -> usize {
    world.server.truth(|truth| truth.requests(Endpoint::Me).count())
}

async fn tokens(users: &[User]) -> Vec<Token> {
    let calls: Vec<_> = users
        .iter()
        .cloned()
        .map(|user| tokio::spawn(async move { user.token().await }))
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap().unwrap());
    }
    answers
}

#[tokio::test]
async fn ten_callers_with_an_expired_token_cause_one_refresh_and_get_ten_answers() {
    let mut world = Harness::c2c(
        DAEMON,
        Options {
            access_life: Duration::from_secs(3),
            ..quick()
        },
    );
    world.set(&[("refresh", "policy", "on-demand")]);
    let _daemon = world.start().await;
    let users = ten(&world).await;
    world.pair(&users[0]).await;
    world
        .server
        .set_options(|options| options.access_life = Duration::from_secs(28_800));
    users[0].until("Tokens", "TokenState", "stale").await;
    assert_eq!(refreshes(&world), 0, "nobody asked for a token");

    let answers = tokens(&users).await;
    assert_eq!(refreshes(&world), 1);
    for answer in &answers {
        assert_eq!(Some(&answer.access), world.live_access().as_ref());
        assert!(
            answer.generation == 2 && answer.expires_in > 28_000,
            "{}",
            answer.generation
        );
    }
    assert_eq!(answers.len(), 10);
    assert_eq!(world.server.truth(|truth| truth.violations().to_vec()), []);
}

#[tokio::test]
async fn ten_rejections_of_a_dead_generation_and_a_late_one_cause_one_refresh() {
    let world = Harness::c2c(DAEMON, quick());
    let mut daemon = world.start().await;
    let users = ten(&world).await;
    world.pair(&users[0]).await;
    world.restart_unvouched(&mut daemon).await;
    let dead = tokens(&users).await;
    assert!(dead.iter().all(|token| token.generation == 1));
    let before = probes(&world);
    world.server.end_access_token(CLIENT_ID).unwrap();

    let calls: Vec<_> = users
        .iter()
        .cloned()
        .map(|user| tokio::spawn(async move { user.reject(1).await }))
        .collect();
    // Whichever of them are there by now share one probe. The others come to a generation that is
    // known to be dead.
    world.server.release();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    // Whoever was refused asks for the next one.
    let fresh = tokens(&users).await;
    for answer in &fresh {
        assert_eq!(
            (Some(&answer.access), answer.generation),
            (world.live_access().as_ref(), 2)
        );
    }
    let late = world.user().await;
    late.reject(1).await.unwrap();
    assert_eq!(late.token().await.unwrap().generation, 2);
    assert_eq!(refreshes(&world), 1);
    // At most one for the new token.
    assert!(probes(&world) <= before + 1, "{} probes", probes(&world) - before);
    assert_eq!(world.server.truth(|truth| truth.violations().to_vec()), []);
}

#[tokio::test]
async fn a_rejection_of_a_token_that_the_server_takes_causes_no_refresh_and_is_told() {
    let world = Harness::c2c(DAEMON, quick());
    let (daemon, user) = world.paired().await;
    world.seen(|truth| truth.requests(Endpoint::Me).next().is_some()).await;
    let token = user.token().await.unwrap();
    let before = probes(&world);
    let begun = Instant::now();
    user.reject(token.generation).await.unwrap();
    assert_eq!(user.token().await.unwrap().access, token.access, "the server took it");
    let probed = probes(&world);
    assert!(
        (before + 1..=before + 2).contains(&probed),
        "that it took it before is no answer"
    );
    for _ in 0..5 {
        user.reject(token.generation).await.unwrap();
    }
    assert_eq!(refreshes(&world), 0);
    // A busy machine may need more than 10 s for these calls.
    let again = usize::try_from(begun.elapsed().as_secs() / 10).unwrap();
    assert!(
        probes(&world) <= probed + again,
        "who was wrong is asked about again 10 s later"
    );
    let uid = rustix::process::getuid().as_raw();
    let told = format!("C2C_CALLER_UID={uid}");
    daemon
        .wait_output(
            move |line| line.contains("rejection-unfounded") && line.contains(&told),
            LIMIT,
        )
        .await
        .unwrap();
}

/// A device that is about to refresh, and whose old token is good for a while.
async fn about_to_refresh(fault: impl FnOnce(&Harness)) -> (Harness, c2c_testkit::rig::Process, User, Token) {
    let mut world = Harness::c2c(
        DAEMON,
        Options {
            access_life: Duration::from_secs(200),
            ..quick()
        },
    );
    let (daemon, user) = world.paired().await;
    let token = user.token().await.unwrap();
    fault(&world);
    world.set(&[("refresh", "at", "1%")]);
    world.reload(&daemon).await;
    (world, daemon, user, token)
}

/// Asks once, and how long that took.
async fn timed(user: &User) -> (Token, Duration) {
    let asked = Instant::now();
    let token = user.token().await.unwrap();
    (token, asked.elapsed())
}

/// Asks once: the answer does not wait for a refresh, for which a caller waits 2 s.
///
/// Half of them tells one from the other. A busy machine's delay is not the daemon's, and a `Ping`
/// has it as well. A daemon that lets callers wait answers those at once.
async fn at_once(user: &User) -> Token {
    let ((token, took), slow) = user.beside_pings(timed(user)).await;
    assert!(took < Duration::from_secs(1) + 2 * slow, "{took:?}, a ping {slow:?}");
    token
}

#[tokio::test]
async fn a_caller_has_its_answer_within_2_1_s_while_the_post_stalls() {
    // Longer than the 30 s after which Frame.io's own server gives up.
    let stall = Fault::Stall(Stage::BeforeCommit, Pause::UntilReleased);
    let (world, _daemon, user, old) = about_to_refresh(|world| world.server.fault(Endpoint::Refresh, stall)).await;
    world
        .seen(|truth| truth.requests(Endpoint::Refresh).next().is_some())
        .await;
    let callers = ten(&world).await;
    let calls: Vec<_> = callers
        .into_iter()
        .map(|caller| tokio::spawn(async move { timed(&caller).await }))
        .collect();
    let longest = async {
        let mut longest = Duration::ZERO;
        for call in calls {
            let (token, took) = call.await.unwrap();
            assert_eq!((token.access, token.generation), (old.access.clone(), old.generation));
            longest = longest.max(took);
        }
        longest
    };
    let (longest, slow) = user.beside_pings(longest).await;
    let limit = Duration::from_millis(2100) + 2 * slow;
    assert!(longest <= limit, "{longest:?} > {limit:?}");
    // Once the 2 s are over, nobody waits for it any more.
    assert_eq!(at_once(&user).await.access, old.access);

    world.server.release();
    user.until_generation(2).await;
    let token = user.token().await.unwrap();
    assert_eq!((Some(token.access), token.generation), (world.live_access(), 2));
    assert_eq!(refreshes(&world), 1);
}

#[tokio::test]
async fn a_caller_has_its_answer_at_once_while_a_refresh_is_prepared() {
    let stall = Fault::Stall(Stage::BeforeCommit, Pause::UntilReleased);
    let (world, _daemon, user, old) = about_to_refresh(|world| world.server.fault(Endpoint::Health, stall)).await;
    world
        .seen(|truth| truth.requests(Endpoint::Health).next().is_some())
        .await;
    assert_eq!(at_once(&user).await.access, old.access);
    assert_eq!(refreshes(&world), 0);
    world.server.release();
    user.until_generation(2).await;
}

#[tokio::test]
async fn a_caller_has_its_answer_at_once_while_a_refresh_is_retried() {
    let (world, _daemon, user, old) = about_to_refresh(|world| {
        let unavailable = Fault::Instead(Page::Status(503));
        world.server.faults(Endpoint::Refresh, Times::Next(1), unavailable);
    })
    .await;
    let refused = |truth: &c2c_testkit::server::Truth| {
        let answered =
            |entry: &c2c_testkit::server::Entry| entry.outcome == c2c_testkit::server::Outcome::Answered(503);
        truth.requests(Endpoint::Refresh).any(answered)
    };
    world.seen(refused).await;
    user.until("Tokens", "TokenState", "valid").await;
    assert_eq!(at_once(&user).await.access, old.access);
    user.until_generation(2).await;
    let at: Vec<_> = world
        .server
        .truth(|truth| truth.requests(Endpoint::Refresh).map(|entry| entry.at).collect());
    let [first, second] = at[..] else { panic!("{at:?}") };
    // 5 s at least. A retry at once would follow in milliseconds.
    let between = second.duration_since(first).unwrap();
    assert!(between >= Duration::from_secs(4), "{between:?}");
}
