//! Uploaders that do what the contract says and do not pause: get, a request to the API, 401,
//! reject, get. The real daemon keeps each of them from flooding the API, and none of them from
//! another one's token.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use c2c_testkit::harness::{Harness, LIMIT, quick};
use c2c_testkit::rig::CLIENT_ID;
use c2c_testkit::server::{Endpoint, Fault, Options, Pause, Server, Stage, Truth};
use c2c_testkit::user::{Token, User};

use super::access::as_user;
use crate::DAEMON;

/// True for a token that the API takes. A request to it costs as much as this look at the server's
/// books.
type Api = Arc<dyn Fn(&Token) -> bool + Send + Sync>;

/// Requests to the API in the ten seconds after a true 401 that a client may make.
const MOST: usize = 3;
const SPAN: Duration = Duration::from_secs(10);

/// `ended`: the token that the API ended before its time.
fn api(world: &Arc<Harness>, ended: Option<String>) -> Api {
    let world = Arc::clone(world);
    Arc::new(move |token| {
        let given = Some(&token.access);
        ended.as_ref() != given && world.live_access().as_ref() == given
    })
}

/// Asks, is refused and rejects until the API takes a token. When each request to the API was made.
async fn insists(user: User, dead: Token, api: Api) -> Vec<Instant> {
    let limit = Instant::now() + LIMIT;
    // This is the request that finds the token dead.
    let mut requests = vec![Instant::now()];
    let mut token = dead;
    while !api(&token) {
        assert!(Instant::now() < limit, "no token that lives: {}", user.told().await);
        let rejected = user.reject(token.generation).await;
        if let Err(error) = rejected {
            panic!("a true rejection is refused: {error}");
        }
        if let Ok(next) = user.token().await {
            token = next;
            requests.push(Instant::now());
        }
    }
    requests
}

fn assert_no_flood(requests: &[Instant]) {
    let within = |start: &Instant| {
        requests
            .iter()
            .filter(|at| **at >= *start && **at < *start + SPAN)
            .count()
    };
    let most = requests.iter().map(within).max();
    assert!(
        most.is_some_and(|most| most <= MOST),
        "{most:?} requests in 10 s: {requests:?}"
    );
}

/// So many connections of this user, and the token that each has.
async fn connected(world: &Harness, count: usize) -> Vec<(User, Token)> {
    let mut users = Vec::new();
    for _ in 0..count {
        let user = world.user().await;
        let token = user.token().await.unwrap();
        users.push((user, token));
    }
    users
}

/// The API ends the token now. These users go on with it.
async fn dies(world: Arc<Harness>, users: Vec<(User, Token)>) {
    world.server.end_access_token(CLIENT_ID).unwrap();
    let api = api(&world, world.live_access());
    let calls: Vec<_> = users
        .into_iter()
        .map(|(user, token)| tokio::spawn(insists(user, token, Arc::clone(&api))))
        .collect();
    for call in calls {
        assert_no_flood(&call.await.unwrap());
    }
    assert_eq!(world.server.truth(|truth| truth.violations().to_vec()), []);
}

fn probes(truth: &Truth) -> usize {
    truth.requests(Endpoint::Me).count()
}

async fn right_after_pairing() {
    let world = Arc::new(Harness::c2c(DAEMON, quick()));
    let (_daemon, _user) = world.paired().await;
    let users = connected(&world, 6).await;
    world
        .seen(|truth| truth.requests(Endpoint::Me).any(|entry| entry.verdict == "ok"))
        .await;
    dies(world, users).await;
}

async fn right_after_a_restart() {
    let world = Arc::new(Harness::c2c(DAEMON, quick()));
    let (mut daemon, _user) = world.paired().await;
    let before = world.server.truth(probes);
    world.restart(&mut daemon).await;
    world.seen(move |truth| probes(truth) > before).await;
    let users = connected(&world, 6).await;
    dies(world, users).await;
}

async fn right_after_a_refresh() {
    let mut world = Harness::c2c(
        DAEMON,
        Options {
            access_life: Duration::from_secs(200),
            ..quick()
        },
    );
    let (daemon, user) = world.paired().await;
    world
        .server
        .set_options(|options| options.access_life = Duration::from_secs(28_800));
    world.set(&[("refresh", "at", "1%")]);
    world.reload(&daemon).await;
    user.until_generation(2).await;
    let users = connected(&world, 6).await;
    dies(Arc::new(world), users).await;
}

#[tokio::test]
async fn a_dead_token_floods_nobody_right_after_the_server_took_it() {
    tokio::join!(right_after_pairing(), right_after_a_restart(), right_after_a_refresh());
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Ten uploaders of one user, from a thread that is that user.
fn ten_of(
    uid: Option<u32>,
    address: &str,
    server: &Arc<Harness>,
    sent: &(dyn Fn() -> bool + Sync),
) -> Vec<Vec<Instant>> {
    let part = || {
        runtime().block_on(async {
            let mut users = Vec::new();
            for _ in 0..10 {
                users.push(User::at(address).await);
            }
            while !sent() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let calls: Vec<_> = users
                .into_iter()
                .map(|user| {
                    let api = api(server, None);
                    tokio::spawn(async move {
                        // For 2 s after the POST a caller waits for the new token, and then gets
                        // the old one.
                        let token = user.token().await.unwrap();
                        insists(user, token, api).await
                    })
                })
                .collect();
            let mut requests = Vec::new();
            for call in calls {
                requests.push(call.await.unwrap());
            }
            requests
        })
    };
    match uid {
        Some(uid) => as_user(uid, part),
        None => part(),
    }
}

#[test]
fn a_refresh_that_was_carried_out_and_answers_ten_seconds_later_floods_nobody() {
    let root = rustix::process::geteuid().is_root();
    let uids: Vec<Option<u32>> = if root {
        (61_240..61_243).map(Some).collect()
    } else {
        println!("one uid instead of three, which root takes");
        vec![None; 3]
    };
    let runtime = runtime();
    let mut world = Harness::c2c(
        DAEMON,
        Options {
            access_life: Duration::from_secs(200),
            ..quick()
        },
    );
    let me = rustix::process::getuid().as_raw();
    let uploaders: Vec<_> = uids.iter().map(|uid| format!("uid:{}", uid.unwrap_or(me))).collect();
    let change = |config: &mut c2c_testkit::rig::Config| {
        config
            .set("access", "uploader", &uploaders[..])
            .set("access", "ui", [format!("uid:{me}").as_str()]);
    };
    world.rig.configure(change).unwrap();
    let daemon = runtime.block_on(world.start());
    runtime.block_on(async { world.pair(&world.user().await).await });
    world
        .server
        .set_options(|options| options.access_life = Duration::from_secs(28_800));
    let late = Fault::Stall(Stage::AfterCommit, Pause::For(SPAN));
    world.server.fault(Endpoint::Refresh, late);
    world.set(&[("refresh", "at", "1%")]);
    runtime.block_on(world.reload(&daemon));
    let address = world.bus.address().to_owned();
    let world = Arc::new(world);
    let sent = || committed(&world.server);
    let all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = uids
            .iter()
            .map(|uid| scope.spawn(|| ten_of(*uid, &address, &world, &sent)))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(all.len(), 30);
    for requests in &all {
        assert_no_flood(requests);
    }
    let refreshes = world.server.truth(|truth| truth.requests(Endpoint::Refresh).count());
    assert_eq!(refreshes, 1);
}

fn committed(server: &Server) -> bool {
    server.truth(|truth| truth.counters().refreshes_committed > 0)
}

#[tokio::test]
async fn only_the_connection_that_rejected_and_new_ones_of_its_uid_wait_for_a_slow_probe() {
    let world = Harness::c2c(DAEMON, quick());
    let (_daemon, user) = world.paired().await;
    // Connected, and silent so far.
    let quiet = world.user().await;
    let token = user.token().await.unwrap();
    world
        .seen(|truth| truth.requests(Endpoint::Me).any(|entry| entry.verdict == "ok"))
        .await;
    let before = world.server.truth(probes);
    let stall = Fault::Stall(Stage::BeforeCommit, Pause::UntilReleased);
    world.server.fault(Endpoint::Me, stall);
    let rejecting = {
        let user = user.clone();
        tokio::spawn(async move { user.reject(1).await })
    };
    world.seen(move |truth| probes(truth) > before).await;
    let new = world.user().await;
    let held = tokio::spawn(async move { new.token().await });
    let own = tokio::spawn(async move { user.token().await });
    for _ in 0..20 {
        assert_eq!(quiet.token().await.unwrap().access, token.access);
    }
    assert!(!held.is_finished() && !own.is_finished() && !rejecting.is_finished());
    world.server.release();
    rejecting.await.unwrap().unwrap();
    for call in [held, own] {
        assert_eq!(call.await.unwrap().unwrap().access, token.access);
    }
}

/// Takes every answer of the API for a 401. Counts its requests.
async fn lies(user: User, requests: Arc<AtomicUsize>) {
    loop {
        if let Ok(token) = user.token().await {
            requests.fetch_add(1, Ordering::Relaxed);
            user.reject(token.generation).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_liar_on_the_same_uid_delays_nobody_and_is_asked_about_once_in_ten_seconds() {
    let world = Harness::c2c(DAEMON, quick());
    let daemon = world.start().await;
    let honest = world.user().await;
    world.pair(&honest).await;
    let token = honest.token().await.unwrap();
    world.seen(|truth| probes(truth) > 0).await;
    let before = world.server.truth(probes);
    let requests = Arc::new(AtomicUsize::new(0));
    let liar = tokio::spawn(lies(world.user().await, Arc::clone(&requests)));
    let started = Instant::now();
    let asks = async {
        let mut longest = Duration::ZERO;
        while started.elapsed() < Duration::from_secs(12) {
            let asked = Instant::now();
            let served = honest.token().await.unwrap();
            assert_eq!(served.generation, token.generation);
            longest = longest.max(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        longest
    };
    let (longest, slow) = world.user().await.beside_pings(asks).await;
    let limit = Duration::from_millis(500) + 4 * slow;
    assert!(longest < limit, "{longest:?}, a ping {slow:?}");
    assert!(!liar.is_finished());
    liar.abort();
    let requests = requests.load(Ordering::Relaxed);
    let asked = world.server.truth(probes) - before;
    assert!((1..=3).contains(&asked), "{asked} probes in {:?}", started.elapsed());
    assert!(requests <= 5, "{requests} requests of the liar");
    assert_eq!(world.server.truth(|truth| truth.requests(Endpoint::Refresh).count()), 0);
    let uid = format!("C2C_CALLER_UID={}", rustix::process::getuid().as_raw());
    daemon
        .wait_output(
            move |line| line.contains("rejection-unfounded") && line.contains(&uid),
            LIMIT,
        )
        .await
        .unwrap();
}
