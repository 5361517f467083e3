//! `kill -9` at seeded random moments, and each time the question: does the device still know what the server knows?
//!
//! A pairing may be lost in one case only: the server renewed the tokens and the answer was not stored. Everything else that
//! is not as the server has it is a fault. `C2C_KILLS` sets how many moments are tried.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use c2c_authd::core::{Body, Loaded, Reason, Record};
use c2c_sim::rig::{CLIENT_ID, Process};
use c2c_sim::server::{Options, Server};

use crate::world::{LIMIT, User, World};

/// Moments tried where nobody asks for more: enough to see that the test works, few enough for every `cargo test`.
const FEW: u32 = 16;

/// Devices side by side.
const DEVICES: u32 = 8;

/// What came of it all.
#[derive(Default)]
struct Tally {
    kills: AtomicU32,
    restarts: AtomicU32,
    lost: AtomicU32,
    unpaired: AtomicU32,
}

#[tokio::test]
async fn a_kill_loses_a_pairing_only_with_the_answer_that_was_not_stored() {
    let kills = std::env::var("C2C_KILLS").map_or(FEW, |kills| kills.parse().expect("C2C_KILLS is a number"));
    let tally = Arc::new(Tally::default());
    let devices: Vec<_> = (0..DEVICES)
        .map(|device| {
            let tally = Arc::clone(&tally);
            // Rounded up: never fewer than asked for.
            let share = kills.div_ceil(DEVICES);
            (u64::from(device), tokio::spawn(Story::tell(u64::from(device), share, tally)))
        })
        .collect();
    let mut failed = Vec::new();
    for (seed, story) in devices {
        if story.await.is_err() {
            failed.push(seed);
        }
    }
    println!(
        "kills: {}, restarts: {}, unpaired by the user: {}, pairings lost: {} (each with a committed refresh whose answer was \
         not stored)",
        tally.kills.load(Ordering::Relaxed),
        tally.restarts.load(Ordering::Relaxed),
        tally.unpaired.load(Ordering::Relaxed),
        tally.lost.load(Ordering::Relaxed),
    );
    assert!(failed.is_empty(), "seeds that failed, with their traces above: {failed:?}");
    assert!(tally.kills.load(Ordering::Relaxed) >= kills);
}

/// One device's life.
struct Story {
    seed: u64,
    state: u64,
    world: World,
    /// The user wants it paired, as far as an answer told.
    unpair_asked: bool,
    seen_paired: bool,
    trace: Vec<String>,
}

/// What a user does while the daemon is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Pair,
    Fetch,
    RejectDead,
    RejectLiving,
    Unpair,
    Idle,
}

impl Story {
    async fn tell(seed: u64, kills: u32, tally: Arc<Tally>) {
        // Tokens of four seconds, refreshed after one: hardly a start without a refresh to interrupt.
        let mut world = World::new(Options {
            interval: Duration::from_secs(1),
            access_life: Duration::from_secs(4),
            ..Options::default()
        });
        world.set(&[("refresh", "at", "25%"), ("refresh", "replay-after", "1s"), ("refresh", "min-validity", "1s")]);
        let approver = tokio::spawn(approve_whatever_waits(world.server.clone()));
        let mut story = Self {
            seed,
            state: seed,
            world,
            unpair_asked: false,
            seen_paired: false,
            trace: Vec::new(),
        };
        let mut daemon = story.world.start().await;
        for _ in 0..kills {
            story.kill_during_a_deed(&mut daemon, &tally).await;
        }
        approver.abort();
    }

    /// A seeded choice below `limit`.
    fn draw(&mut self, limit: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % limit
    }

    fn say(&mut self, line: String) {
        self.trace.push(line);
    }

    fn fail(&self, what: &str) -> ! {
        let trace = self.trace.join("\n  ");
        panic!("seed {}: {what}\n  {trace}", self.seed);
    }

    async fn kill_during_a_deed(&mut self, daemon: &mut Process, tally: &Tally) {
        let user = self.world.user().await;
        let paired = user.flag("Paired").await;
        self.seen_paired |= paired;
        let deed = if paired {
            match self.draw(10) {
                0 => Deed::Unpair,
                1..=3 => Deed::Fetch,
                4 | 5 => Deed::RejectDead,
                6 => Deed::RejectLiving,
                _ => Deed::Idle,
            }
        } else {
            Deed::Pair
        };
        // Pairing takes a poll, a second later; the rest is over in an instant.
        let longest = if deed == Deed::Pair { 1_600 } else { 400 };
        let delay = Duration::from_millis(self.draw(longest));
        self.say(format!("{deed:?}, killed after {delay:?}"));
        self.unpair_asked |= deed == Deed::Unpair;
        if deed == Deed::Pair {
            self.unpair_asked = false;
        }
        let doing = tokio::spawn(act(user, deed, self.world.server.clone()));
        tokio::time::sleep(delay).await;
        let status = daemon.kill();
        if let Err(error) = status {
            self.fail(&format!("it died before it was killed: {error}: {:?}", daemon.output()));
        }
        doing.abort();
        tally.kills.fetch_add(1, Ordering::Relaxed);
        let fate = self.compare();
        self.say(format!("{fate:?}"));
        *daemon = self.world.start().await;
        tally.restarts.fetch_add(1, Ordering::Relaxed);
        self.settle(fate, tally).await;
    }

    /// What the disk holds, against the server's truth. The daemon is dead: neither changes any more.
    fn compare(&self) -> Fate {
        let live = self.world.live_refresh();
        match self.world.on_disk() {
            Loaded::Missing if self.seen_paired => self.fail("the record of a pairing that was seen is gone"),
            Loaded::Missing => Fate::Unpaired,
            Loaded::Current(Record { body, .. }) => match body {
                Body::Tombstone(Reason::Unpaired) if !self.unpair_asked => self.fail("unpaired, and nobody asked for it"),
                Body::Tombstone(Reason::Unpaired | Reason::RefreshAnswerLost) => Fate::Unpaired,
                Body::Tombstone(reason) => self.fail(&format!("a tombstone that says {reason:?}")),
                Body::Paired(pairing) => {
                    let held = pairing.pair.refresh.map(|token| token.expose().to_owned());
                    if held == live {
                        return Fate::Paired;
                    }
                    let candidate = pairing.candidate.and_then(|pair| pair.refresh);
                    if candidate.is_some_and(|token| Some(token.expose().to_owned()) == live) {
                        return Fate::Paired;
                    }
                    if pairing.mark.is_none() {
                        self.fail("I3: the disk holds a refresh token that the server retired, without a mark");
                    }
                    Fate::Lost
                }
            },
            other => self.fail(&format!("the record cannot be read: {other:?}")),
        }
    }

    /// The restarted daemon finds the same.
    async fn settle(&mut self, fate: Fate, tally: &Tally) {
        let user = self.world.user().await;
        match fate {
            Fate::Paired => {
                if self.unpair_asked {
                    // The tombstone was not on disk: the user has to say it again, and the pairing is not lost meanwhile.
                    self.unpair_asked = false;
                }
                self.served(&user).await;
            }
            Fate::Lost => {
                user.until("Pairing", "PairingReason", "refresh-answer-lost").await;
                if !user.flag("AttentionNeeded").await {
                    self.fail("a lost pairing, and nobody is told");
                }
                tally.lost.fetch_add(1, Ordering::Relaxed);
                self.seen_paired = false;
            }
            Fate::Unpaired => {
                if self.unpair_asked {
                    tally.unpaired.fetch_add(1, Ordering::Relaxed);
                }
                self.seen_paired = false;
            }
        }
    }

    /// The living token is handed out.
    async fn served(&mut self, user: &User) {
        let limit = tokio::time::Instant::now() + LIMIT;
        loop {
            let answer = user.token().await;
            let live = self.world.live_access();
            if let Ok(token) = &answer
                && Some(&token.access) == live.as_ref()
            {
                return;
            }
            if user.word("Pairing", "PairingReason").await == "refresh-answer-lost" {
                self.fail("a living pairing was given up");
            }
            if tokio::time::Instant::now() > limit {
                let told = user.told().await;
                self.fail(&format!("the living token is not served: {answer:?}; {told}"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Where a kill left the pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Disk and server agree, or a resend will make them.
    Paired,
    /// The server renewed the tokens, and the answer is not on disk.
    Lost,
    /// No pairing on disk.
    Unpaired,
}

async fn act(user: User, deed: Deed, server: Server) {
    match deed {
        Deed::Pair => drop(user.start_pairing(&[]).await),
        Deed::Fetch => drop(user.token().await),
        Deed::RejectDead => {
            if let Ok(token) = user.token().await {
                // It may have been replaced since.
                let _ = server.end_access_token(CLIENT_ID);
                drop(user.reject(token.generation).await);
                drop(user.token().await);
            }
        }
        Deed::RejectLiving => {
            if let Ok(token) = user.token().await {
                drop(user.reject(token.generation).await);
            }
        }
        Deed::Unpair => drop(user.unpair().await),
        Deed::Idle => {}
    }
}

/// A person who types every code at once, restarts or not.
async fn approve_whatever_waits(server: Server) {
    loop {
        for waiting in server.waiting() {
            // It may have run out or been used since.
            let _ = server.approve(&waiting.user_code);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
