//! The power goes at any moment of a device's life. After each, what the disk and the device say is
//! compared with what the server knows: a pairing may be lost only where the server carried out a
//! refresh and its answer had not been stored.
//!
//! `C2C_KILLS=200 cargo test --test it paths::crashes -- --nocapture` is the long run. `C2C_SEED=N`
//! repeats one seed with its trace.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use c2c_auth_core::{Body, Loaded, Reason, Record};
use c2c_testkit::harness::{Harness, LIMIT};
use c2c_testkit::rig::{CLIENT_ID, Process};
use c2c_testkit::server::{Endpoint, Fault, Options, Pause, Stage};
use c2c_testkit::user::{User, error_name};

use super::disk::on_disk;
use crate::DAEMON;

/// Kills in the life of one device: pairing, refreshing, rejecting, unpairing.
const KILLS_EACH: usize = 4;

/// Devices that live at once: they wait for polls most of the time.
const AT_ONCE: usize = 8;

/// A small deterministic generator (SplitMix64): a seed is enough to see the same moments again.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn micros(&mut self, limit: u64) -> Duration {
        Duration::from_micros(self.below(limit))
    }
}

/// The result of the kills of one seed.
#[derive(Default)]
struct Tally {
    kills: usize,
    restarts: usize,
    lost: usize,
    committed_unstored: usize,
    marked: usize,
}

struct Life<'a> {
    world: Harness,
    daemon: Process,
    rng: Rng,
    tally: Tally,
    trace: &'a Mutex<Vec<String>>,
    begun: Instant,
}

impl Life<'_> {
    fn note(&self, what: impl std::fmt::Display) {
        let line = format!("{:>9.3?} {what}", self.begun.elapsed());
        self.trace.lock().unwrap().push(line);
    }

    /// Lets a random time pass: from the server's seeing a request of this kind (if it comes soon),
    /// or from now.
    async fn moment(&mut self, seen: Option<Endpoint>, before: usize, micros: u64) {
        if let Some(endpoint) = seen {
            let more = move |truth: &c2c_testkit::server::Truth| truth.requests(endpoint).count() > before;
            let came = self.world.server.wait_for(more, Duration::from_secs(5)).await;
            self.note(format_args!("the server saw {endpoint:?}: {}", came.is_ok()));
        }
        let pause = self.rng.micros(micros);
        self.note(format_args!("kill in {pause:?}"));
        tokio::time::sleep(pause).await;
    }

    fn requests(&self, endpoint: Endpoint) -> usize {
        self.world.server.truth(|truth| truth.requests(endpoint).count())
    }

    /// Kills, compares disk and truth, restarts.
    async fn crash(&mut self, unpairing: bool) {
        self.daemon.kill().unwrap();
        self.tally.kills += 1;
        // Whatever was on its way is carried out: the server finishes what it has read.
        self.world.server.release();
        self.world
            .seen(|truth| truth.open_connections() == 0 && truth.log().iter().all(|entry| !entry.verdict.is_empty()))
            .await;
        let loaded = on_disk(&self.world);
        let live = self.world.live_refresh();
        self.note(format_args!(
            "on disk: {}, live at the server: {}",
            kind(&loaded),
            live.is_some()
        ));
        match &loaded {
            Loaded::Missing => {}
            Loaded::Current(Record { body, .. }) => match body {
                Body::Tombstone(reason) => match reason {
                    Reason::Unpaired => assert!(unpairing, "a tombstone that nobody asked for"),
                    Reason::RefreshAnswerLost => {}
                    other => panic!("a tombstone for {other:?}"),
                },
                Body::Paired(pairing) => {
                    let held = pairing.pair.refresh.as_ref().map(|token| token.expose().to_owned());
                    let used_up = held != live;
                    self.tally.marked += usize::from(pairing.mark.is_some());
                    if pairing.mark.is_none() && !unpairing {
                        // I3: without a mark, what is on disk is what the server takes.
                        assert!(
                            !used_up,
                            "a record without a mark holds a refresh token that is used up"
                        );
                    }
                    self.tally.committed_unstored += usize::from(used_up);
                }
            },
            other => panic!("the record is {other:?}"),
        }
        self.daemon = self.world.start().await;
        self.tally.restarts += 1;
        self.note("ready again");
    }

    /// Waits until the device is at peace with the server, pairing it again if it says that it must
    /// be.
    async fn settle(&mut self, user: &User, rejecting: bool) {
        let limit = Instant::now() + LIMIT;
        let mut asked = false;
        loop {
            let state = user.word("Pairing", "PairingState").await;
            let reason = user.word("Pairing", "PairingReason").await;
            match state.as_str() {
                "paired" => {
                    let answer = user.token().await;
                    if let Ok(token) = &answer {
                        if Some(&token.access) == self.world.live_access().as_ref() && self.takes(&token.access) {
                            self.note(format_args!("at peace with generation {}", token.generation));
                            return;
                        }
                        if rejecting {
                            let rejected = user.reject(token.generation).await;
                            self.note(format_args!("rejected: {}", error_name(&rejected)));
                        }
                    }
                }
                "unpaired" if !asked => {
                    self.note(format_args!("unpaired/{reason}: pairing"));
                    if reason == "refresh-answer-lost" {
                        self.tally.lost += 1;
                    } else {
                        assert!(
                            ["never-paired", "unpaired"].contains(&reason.as_str()),
                            "unpaired/{reason}"
                        );
                    }
                    let started = user.start_pairing(&[]).await;
                    self.note(format_args!("StartPairing: {}", error_name(&started)));
                    asked = started.is_ok();
                }
                _ => {
                    for waiting in self.world.server.waiting() {
                        // A code of before the crash, perhaps.
                        let _ = self.world.server.approve(&waiting.user_code);
                    }
                }
            }
            assert!(Instant::now() < limit, "no peace: {}", user.told().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// True if the API takes this access token. [`Harness::live_access`] does not tell that of one
    /// whose time is up.
    fn takes(&self, access: &str) -> bool {
        let dead = self
            .trace
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.ends_with(&digest(access)));
        !dead
    }

    async fn pairing(&mut self) {
        let user = self.world.user().await;
        let caller = user.clone();
        self.note("pair");
        let calling = tokio::spawn(async move { caller.start_pairing(&[]).await.map(drop) });
        let poll = self.rng.below(3) > 0;
        if poll {
            self.world.seen(|truth| truth.counters().codes_issued > 0).await;
            for waiting in self.world.server.waiting() {
                self.world.server.approve(&waiting.user_code).unwrap();
            }
            self.moment(Some(Endpoint::Poll), 0, 40_000).await;
        } else {
            self.moment(None, 0, 1_000_000).await;
        }
        self.crash(false).await;
        drop(calling.await);
        self.settle(&user, false).await;
    }

    async fn refreshing(&mut self) {
        let user = self.world.user().await;
        let (before, probed) = (self.requests(Endpoint::Refresh), self.requests(Endpoint::Health));
        let slow = self.rng.below(2) == 0;
        if slow {
            // An answer on a slow line: the window that nobody can close.
            let pause = Pause::For(self.rng.micros(30_000));
            let stage = if self.rng.below(2) == 0 {
                Stage::BeforeCommit
            } else {
                Stage::AfterCommit
            };
            self.world.server.fault(Endpoint::Refresh, Fault::Stall(stage, pause));
        }
        self.note(format_args!("refresh, slow: {slow}"));
        self.world.set(&[("refresh", "at", "1%")]);
        self.daemon.hang_up().unwrap();
        match self.rng.below(3) {
            0 => self.moment(Some(Endpoint::Health), probed, 40_000).await,
            1 => self.moment(Some(Endpoint::Refresh), before, 40_000).await,
            _ => self.moment(None, 0, 800_000).await,
        }
        self.world.set(&[("refresh", "at", "75%")]);
        self.crash(false).await;
        self.world.server.clear_faults();
        self.settle(&user, false).await;
    }

    async fn rejecting(&mut self) {
        self.world.restart_unvouched(&mut self.daemon).await;
        let user = self.world.user().await;
        let token = user.token().await.unwrap();
        self.world.server.end_access_token(CLIENT_ID).unwrap();
        self.note(format_args!("reject the token {}", digest(&token.access)));
        let refreshes = self.requests(Endpoint::Refresh);
        let caller = user.clone();
        let calling = tokio::spawn(async move { caller.reject(token.generation).await });
        self.world.server.release();
        match self.rng.below(3) {
            0 => self.moment(None, 0, 20_000).await,
            1 => self.moment(Some(Endpoint::Refresh), refreshes, 30_000).await,
            _ => self.moment(None, 0, 100_000).await,
        }
        self.crash(false).await;
        drop(calling.await);
        self.settle(&user, true).await;
    }

    async fn unpairing(&mut self) {
        let user = self.world.user().await;
        let caller = user.clone();
        let (revocations, before) = (self.requests(Endpoint::Revoke), self.world.live_refresh());
        self.note("unpair");
        let calling = tokio::spawn(async move { caller.unpair().await });
        if self.rng.below(2) == 0 {
            self.moment(Some(Endpoint::Revoke), revocations, 20_000).await;
        } else {
            self.moment(None, 0, 30_000).await;
        }
        self.crash(true).await;
        let answered = calling.await.unwrap().is_ok();
        let paired = user.flag("Paired").await;
        self.note(format_args!("Unpair answered: {answered}, paired: {paired}"));
        if paired {
            assert!(!answered, "Unpair answered, and the pairing is back");
            assert_eq!(
                self.world.live_refresh(),
                before,
                "a pairing that lives here was revoked"
            );
            self.settle(&user, false).await;
        } else {
            assert_eq!(user.word("Pairing", "PairingReason").await, "unpaired");
            // No ghost device stays in the project.
            let gone = |truth: &c2c_testkit::server::Truth| truth.live(CLIENT_ID).refresh.is_none();
            self.world.seen(gone).await;
            assert_eq!(
                error_name(&user.token().await),
                "org.cameratocloud.Auth1.Error.NotPaired"
            );
        }
    }
}

fn kind(loaded: &Loaded) -> String {
    match loaded {
        Loaded::Current(Record { body, .. }) => match body {
            Body::Tombstone(reason) => format!("tombstone/{}", reason.word()),
            Body::Paired(pairing) => format!("paired, marked: {}", pairing.mark.is_some()),
        },
        other => format!("{other:?}"),
    }
}

/// Enough of a token to tell it from another in a trace.
fn digest(token: &str) -> String {
    token.chars().rev().take(8).collect()
}

async fn live(seed: u64, trace: &Mutex<Vec<String>>) -> Tally {
    let world = Harness::c2c(
        DAEMON,
        Options {
            interval: Duration::from_secs(1),
            // Nothing falls due by itself (75 % of it) while a device lives here. 1 % of it is over
            // when a refresh is wanted.
            access_life: Duration::from_secs(60),
            ..Options::default()
        },
    );
    let daemon = world.start().await;
    let mut life = Life {
        world,
        daemon,
        rng: Rng(seed),
        tally: Tally::default(),
        trace,
        begun: Instant::now(),
    };
    life.pairing().await;
    life.refreshing().await;
    life.rejecting().await;
    life.unpairing().await;
    assert_eq!(life.tally.kills, KILLS_EACH);
    assert!(
        life.tally.lost <= life.tally.committed_unstored,
        "a pairing was lost without cause"
    );
    life.tally
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[test]
fn a_pairing_is_lost_only_where_the_server_committed_and_its_answer_was_not_stored() {
    let kills = usize::try_from(number("C2C_KILLS").unwrap_or(24)).unwrap();
    let seeds: Vec<u64> = match number("C2C_SEED") {
        Some(seed) => vec![seed],
        None => (1..).take(kills.div_ceil(KILLS_EACH)).collect(),
    };
    let next = AtomicUsize::new(0);
    let sum = Mutex::new(Tally::default());
    let failed = Mutex::new(Vec::new());
    let work = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let trace = Mutex::new(Vec::new());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let lived = catch_unwind(AssertUnwindSafe(|| runtime.block_on(live(*seed, &trace))));
            if let Ok(tally) = lived {
                let mut sum = sum.lock().unwrap();
                sum.kills += tally.kills;
                sum.restarts += tally.restarts;
                sum.lost += tally.lost;
                sum.marked += tally.marked;
                sum.committed_unstored += tally.committed_unstored;
            } else {
                let trace = trace
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .join("\n  ");
                println!("seed {seed} failed, for the reason above; it went:\n  {trace}");
                failed.lock().unwrap().push(*seed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(seeds.len()) {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "seeds that failed (C2C_SEED=N repeats one): {failed:?}"
    );
    let sum = sum.into_inner().unwrap();
    println!(
        "kills: {}, restarts: {}, pairings lost: {} (all with a committed refresh whose answer was not stored); kills within a refresh: {}, after \
         its commit and before its storing: {}",
        sum.kills, sum.restarts, sum.lost, sum.marked, sum.committed_unstored
    );
    // Moments are drawn by the seed, but what the processes do in them differs: few kills may all
    // miss a refresh, so many cannot.
    assert!(
        kills < 100 || (sum.marked > 0 && sum.committed_unstored > 0),
        "no kill hit a refresh: nothing was shown about the moments that matter"
    );
}
