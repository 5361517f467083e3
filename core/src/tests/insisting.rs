//! Clients that obey the contract and do not pause: get, a request to the API, 401, reject, get.
//! None of them may flood the API with a token that the API refuses, and none may keep another
//! client waiting.

use super::*;

const STEP: Duration = Duration::from_millis(20);

/// Time that a request to the API, or one of the daemon's own, takes.
const LATENCY: Duration = Duration::from_millis(40);

/// What an uploader does just now.
#[derive(Clone, Copy)]
enum Doing {
    Nothing,
    Getting(CallId),
    Requesting(BootTime, u64, bool),
    Rejecting(CallId),
}

struct Uploader {
    client: Client,
    doing: Doing,
    /// It takes every answer of the API for a 401.
    liar: bool,
    /// When it sent its requests to the API.
    requests: Vec<BootTime>,
    /// When the API took its token, the first time since the last [`Crowd::kill`].
    served: Option<BootTime>,
    /// The longest that a call for a token took.
    waited: Duration,
    since: BootTime,
}

/// Uploaders, the daemon's core and the server.
struct Crowd {
    scene: Scene,
    uploaders: Vec<Uploader>,
    /// The number of the token that lives at the server; 0: none.
    lives: u32,
    issued: u32,
    /// `devices/me` answers 503.
    broken: bool,
    /// How late the answer to a refresh is.
    late: Duration,
    answers: Vec<(BootTime, OpId, Answer)>,
    /// The newest request that the server has seen.
    seen: OpId,
    probes: Vec<BootTime>,
}

impl Crowd {
    fn new(scene: Scene, clients: &[(u32, u64)]) -> Self {
        let uploaders = clients.iter().map(|(uid, connection)| Uploader {
            client: Client {
                uid: *uid,
                connection: *connection,
            },
            doing: Doing::Nothing,
            liar: false,
            requests: vec![],
            served: None,
            waited: Duration::ZERO,
            since: BootTime::default(),
        });
        Self {
            uploaders: uploaders.collect(),
            scene,
            lives: 1,
            issued: 1,
            broken: false,
            late: LATENCY,
            answers: vec![],
            seen: OpId(0),
            probes: vec![],
        }
    }

    /// The token in hand is worth nothing from now on.
    fn kill(&mut self) {
        self.lives = 0;
        for uploader in &mut self.uploaders {
            uploader.requests.clear();
            uploader.served = None;
            uploader.waited = Duration::ZERO;
            if let Doing::Requesting(_, _, good) = &mut uploader.doing {
                *good = false;
            }
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.scene.now.after(span);
        while self.scene.now < end {
            self.scene.advance(STEP);
            self.serve();
            for at in 0..self.uploaders.len() {
                self.upload(at);
            }
        }
    }

    fn serve(&mut self) {
        for (op, request) in self.scene.requests.clone() {
            if op <= self.seen {
                continue;
            }
            self.seen = op;
            let (answer, late) = self.look_at(&request);
            self.answers.push((self.scene.now.after(late), op, answer));
        }
        let now = self.scene.now;
        for (_, op, answer) in self.answers.extract_if(.., |(at, _, _)| *at <= now).collect::<Vec<_>>() {
            if self.scene.requests.iter().any(|(out, _)| *out == op) {
                self.scene.requests.retain(|(out, _)| *out != op);
                self.scene.event(Event::Answered { op, date: None, answer });
            }
        }
    }

    /// The server's answer, which tells of the moment at which the request came.
    fn look_at(&mut self, request: &Request) -> (Answer, Duration) {
        let answer = match request {
            Request::Identify(access) | Request::Heartbeat(access) => {
                if is_identify(request) {
                    self.probes.push(self.scene.now);
                }
                Answer::Resource(if self.broken {
                    ResourceAnswer::Failed(fault(FaultKind::Refused))
                } else if access.expose() == format!("a{}", self.lives) {
                    ResourceAnswer::Alive(None)
                } else {
                    ResourceAnswer::Unauthorized
                })
            }
            Request::Prepare => Answer::Prepare(PrepareAnswer::Ready),
            Request::Refresh { .. } => {
                self.issued += 1;
                self.lives = self.issued;
                return (Answer::Refresh(RefreshAnswer::Granted(grant(self.issued))), self.late);
            }
            other => panic!("nobody asked for {other:?}"),
        };
        (answer, LATENCY)
    }

    fn answered(&mut self, call: CallId) -> Option<Result<Reply, CallError>> {
        let at = self.scene.replies.iter().position(|(answered, _)| *answered == call)?;
        Some(self.scene.replies.swap_remove(at).1)
    }

    fn upload(&mut self, at: usize) {
        let now = self.scene.now;
        let Uploader {
            client, doing, liar, ..
        } = self.uploaders[at];
        let next = match doing {
            Doing::Nothing => {
                self.uploaders[at].since = now;
                Doing::Getting(self.scene.get_as(client))
            }
            Doing::Getting(call) => match self.answered(call) {
                None => doing,
                Some(Ok(Reply::Token { access, generation, .. })) => {
                    let uploader = &mut self.uploaders[at];
                    uploader.waited = uploader.waited.max(now.since(uploader.since));
                    uploader.requests.push(now);
                    let good = access.expose() == format!("a{}", self.lives);
                    Doing::Requesting(now.after(LATENCY), generation.0, good)
                }
                Some(Ok(other)) => panic!("no token: {other:?}"),
                Some(Err(_)) => Doing::Nothing,
            },
            Doing::Requesting(until, ..) if now < until => doing,
            Doing::Requesting(_, generation, good) if !good || liar => {
                Doing::Rejecting(self.scene.reject_as(client, generation))
            }
            Doing::Requesting(..) => {
                self.uploaders[at].served.get_or_insert(now);
                Doing::Nothing
            }
            Doing::Rejecting(call) => self.answered(call).map_or(doing, |_| Doing::Nothing),
        };
        self.uploaders[at].doing = next;
    }

    /// Requests to the API that each uploader made until the API took its token, or until now.
    fn requests(&self) -> Vec<usize> {
        let needed = |uploader: &Uploader| {
            let end = uploader.served.unwrap_or(BootTime::from_millis(u64::MAX));
            uploader.requests.iter().filter(|at| **at <= end).count()
        };
        self.uploaders.iter().map(needed).collect()
    }

    /// No ten seconds hold more than three requests of one uploader.
    fn assert_no_flood(&self) {
        assert!(
            self.requests().iter().all(|requests| *requests <= 3),
            "{:?}",
            self.requests()
        );
    }

    fn assert_served(&self) {
        let served = self.uploaders.iter().all(|uploader| uploader.served.is_some());
        assert!(served, "somebody never got a token that lives");
    }

    fn assert_probes_apart(&self, least: Duration) {
        let apart = |pair: &[BootTime]| pair[1].since(pair[0]) >= least;
        assert!(self.probes.windows(2).all(apart), "{:?}", self.probes);
    }
}

/// Ten connections of each of three uids.
fn thirty() -> Vec<(u32, u64)> {
    (0..30).map(|n| (1000 + n % 3, 1 + u64::from(n))).collect()
}

fn with_heartbeat() -> Policy {
    Policy {
        heartbeat: Some(secs(120)),
        ..policy()
    }
}

/// The token dies `after` whatever the scene ends with, and ten seconds later everybody works
/// again.
fn recovers(scene: Scene, generation: u32, after: Duration) {
    let mut crowd = Crowd::new(scene, &thirty());
    (crowd.lives, crowd.issued) = (generation, generation);
    crowd.run(after);
    crowd.kill();
    crowd.run(secs(10));
    crowd.assert_no_flood();
    crowd.assert_served();
}

#[test]
fn a_token_that_dies_right_after_it_was_taken_floods_nobody() {
    let moments = [
        Duration::ZERO,
        Duration::from_millis(20),
        Duration::from_millis(900),
        secs(3),
    ];
    for after in moments {
        recovers(Scene::paired(), 1, after);
        recovers(Scene::paired().restart(), 1, after);
        recovers(Scene::paired().reboot(true), 1, after);
        recovers(Scene::paired().reboot(false), 1, after);
    }
    for after in moments {
        // Both its 401 and the next refresh are of the ordinary kind: nothing limits them but five
        // seconds.
        let mut scene = Scene::paired();
        scene.get_token(None);
        scene.advance(secs(28_800 * 83 / 100));
        scene.refresh_to(2);
        recovers(scene, 2, after);
    }
    for after in [117, 118, 119, 120, 121] {
        recovers(Scene::paired_with(with_heartbeat()), 1, secs(after));
    }
}

#[test]
fn a_refresh_that_was_carried_out_and_answers_ten_seconds_later_floods_nobody() {
    for late in [secs(10), secs(19)] {
        let mut scene = Scene::paired();
        scene.get_token(None);
        scene.advance(secs(28_800 * 83 / 100));
        let mut crowd = Crowd::new(scene, &thirty());
        crowd.late = late;
        while crowd.issued == 1 {
            crowd.run(STEP);
        }
        crowd.kill();
        crowd.lives = 2;
        crowd.run(late + secs(2));
        crowd.assert_no_flood();
        crowd.assert_served();
    }
}

#[test]
fn a_resource_that_is_out_of_order_for_an_hour_costs_one_request_in_twenty_seconds() {
    let mut crowd = Crowd::new(Scene::paired(), &[(UPLOADER, 1), (UPLOADER, 2), (OTHER, 3)]);
    crowd.run(secs(12));
    crowd.broken = true;
    crowd.kill();
    crowd.run(secs(3600));
    for requests in crowd.requests() {
        assert!((150..=190).contains(&requests), "{:?}", crowd.requests());
    }
    let burst = |uploader: &Uploader| {
        uploader
            .requests
            .windows(4)
            .any(|four| four[3].since(four[0]) < secs(10))
    };
    assert!(!crowd.uploaders.iter().any(burst), "four requests within ten seconds");
    crowd.broken = false;
    crowd.run(secs(15 * 60 + 20));
    crowd.assert_served();
}

#[test]
fn a_liar_delays_nobody_else_and_is_asked_about_once_in_ten_seconds() {
    // All on one uid, as where everything runs as root, and then each on its own.
    for uids in [[0, 0, 0], [1000, 1001, 1002]] {
        let clients: Vec<_> = uids.into_iter().zip(1..).collect();
        let mut crowd = Crowd::new(Scene::paired(), &clients);
        // Everybody has called before.
        crowd.run(secs(2));
        crowd.uploaders[0].liar = true;
        crowd.probes.clear();
        crowd.run(secs(60));
        for honest in &crowd.uploaders[1..] {
            assert!(honest.waited <= STEP, "{:?}", honest.waited);
        }
        let liar = &crowd.uploaders[0];
        assert!(
            (4..=20).contains(
                &liar
                    .requests
                    .iter()
                    .filter(|at| at.since(crowd.probes[0]) > secs(1))
                    .count()
            )
        );
        assert!((5..=7).contains(&crowd.probes.len()), "{:?}", crowd.probes);
        crowd.assert_probes_apart(secs(10));
        assert!(liar.waited <= secs(20), "{:?}", liar.waited);
        assert_eq!(crowd.issued, 1, "a liar causes no refresh");
    }
}

#[test]
fn liars_of_many_uids_get_one_probe_a_second_between_them() {
    let clients: Vec<_> = (0..40).map(|n| (1000 + n, u64::from(n) + 1)).collect();
    let mut crowd = Crowd::new(Scene::paired(), &clients);
    for uploader in &mut crowd.uploaders {
        uploader.liar = true;
    }
    crowd.run(secs(30));
    crowd.assert_probes_apart(secs(1));
    assert!(crowd.probes.len() <= 7, "one answers all: {:?}", crowd.probes);
}

#[test]
fn a_true_rejection_after_ten_wrong_ones_is_believed() {
    let mut crowd = Crowd::new(Scene::paired(), &[(UPLOADER, 1), (OTHER, 2)]);
    crowd.uploaders[0].liar = true;
    crowd.run(secs(100));
    crowd.uploaders[0].liar = false;
    crowd.kill();
    crowd.run(secs(12));
    crowd.assert_no_flood();
    crowd.assert_served();

    // The liar alone: it is asked about when its ten seconds are over.
    let mut crowd = Crowd::new(Scene::paired(), &[(UPLOADER, 1)]);
    crowd.uploaders[0].liar = true;
    crowd.run(secs(100));
    crowd.uploaders[0].liar = false;
    crowd.kill();
    crowd.run(secs(12));
    crowd.assert_no_flood();
    crowd.assert_served();
}

#[test]
fn a_program_that_connects_anew_for_each_call_gets_the_same_token_once_a_second() {
    let mut scene = Scene::paired();
    let mut connection = 1;
    let mut handed = vec![];
    let old = Client { uid: 0, connection: 0 };
    scene.get_as(old);
    let mut calls: Vec<CallId> = vec![];
    let end = scene.now.after(secs(30));
    while scene.now < end {
        scene.advance(Duration::from_millis(50));
        if scene.out(is_identify) {
            scene.probed(ResourceAnswer::Failed(fault(FaultKind::Refused)));
        }
        for call in std::mem::take(&mut calls) {
            if scene.reply(call).is_some() {
                assert_eq!(scene.token(call), "a1");
                handed.push(scene.now);
                connection += 1;
                scene.reject_as(Client { uid: 0, connection }, 1);
            } else {
                calls.push(call);
            }
        }
        if calls.is_empty() {
            connection += 1;
            calls.push(scene.get_as(Client { uid: 0, connection }));
        }
        let call = scene.get_as(old);
        assert_eq!(scene.token(call), "a1", "who did not reject is served as when idle");
    }
    let gaps: Vec<_> = handed.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert!(
        gaps[1..].iter().all(|gap| *gap >= Duration::from_millis(950)),
        "{gaps:?}"
    );
    assert!(handed.len() > 20, "{}", handed.len());
}

#[test]
fn a_new_connection_is_held_while_a_probe_is_out_and_then_as_any_other() {
    let mut scene = Scene::paired();
    let at = |connection| Client { uid: 0, connection };
    scene.get_as(at(1));
    scene.advance(secs(2));
    scene.reject_as(at(1), 1);
    let new = scene.get_as(at(2));
    assert!(scene.reply(new).is_none(), "a probe is out");
    let other = scene.get_as(Client {
        uid: OTHER,
        connection: 3,
    });
    assert_eq!(scene.token(other), "a1", "of another uid");
    scene.alive();
    assert_eq!(scene.token(new), "a1");
    for _ in 0..10 {
        let again = scene.get_as(at(2));
        assert_eq!(scene.token(again), "a1", "it has the token and did not reject it");
    }
    let newer = scene.get_as(at(4));
    assert!(scene.reply(newer).is_none());
    scene.advance(secs(1));
    assert_eq!(scene.token(newer), "a1", "new ones once a second");
    scene.advance(secs(20));
    for connection in 5..8 {
        let later = scene.get_as(at(connection));
        assert_eq!(scene.token(later), "a1", "20 s after the last rejection");
    }
}

#[test]
fn a_connection_that_was_there_before_the_rejection_is_not_new() {
    let mut scene = Scene::paired();
    let at = |connection| Client { uid: 0, connection };
    scene.get_as(at(1));
    scene.advance(secs(2));
    scene.call(Command::RejectAccessToken {
        client: at(1),
        newest: 7,
        generation: Generation(1),
    });
    assert!(scene.out(is_identify));
    let first = scene.get_as(at(7));
    assert_eq!(scene.token(first), "a1", "its first call, and it did not reject");
    let new = scene.get_as(at(8));
    assert!(scene.reply(new).is_none());
}

#[test]
fn a_failed_probe_ends_the_hold_with_the_same_token_and_then_once_in_twenty_seconds() {
    let mut scene = Scene::paired();
    scene.get_token(None);
    scene.advance(secs(2));
    let call = scene.reject(UPLOADER, 1);
    let held = scene.get_token(None);
    assert!(scene.reply(held).is_none());
    scene.probed(ResourceAnswer::Failed(fault(FaultKind::Refused)));
    assert_eq!(scene.error(call), CallError::ServerError);
    assert_eq!(scene.token(held), "a1", "better than an error");
    let again = scene.get_token(None);
    assert!(scene.reply(again).is_none());
    let since = scene.now;
    while scene.reply(again).is_none() {
        scene.advance(secs(1));
        if scene.out(is_identify) {
            scene.probed(ResourceAnswer::Failed(fault(FaultKind::Refused)));
        }
    }
    assert_eq!(scene.token(again), "a1");
    assert_eq!(scene.now.since(since), secs(20));
}

#[test]
fn a_rejection_whose_probe_is_put_off_returns_at_once() {
    let mut scene = Scene::paired();
    scene.get_token(None);
    scene.advance(secs(2));
    scene.reject(UPLOADER, 1);
    scene.alive();
    scene.advance(secs(2));
    let paused = scene.reject(UPLOADER, 1);
    assert_eq!(scene.reply(paused), Some(&Ok(Reply::Done)), "it was wrong a moment ago");
    let held = scene.get_token(None);
    scene.advance(secs(7));
    assert!(scene.reply(held).is_none() && !scene.out(is_identify));
    scene.advance(secs(1));
    assert!(scene.out(is_identify), "ten seconds after it was wrong");
    scene.probed(ResourceAnswer::Failed(fault(FaultKind::Offline)));
    scene.get_as(client(OTHER));
    let failing = scene.reject(OTHER, 1);
    assert_eq!(scene.error(failing), CallError::Offline);
}

#[test]
fn a_rejection_outlives_a_refresh_that_takes_the_probe_away_and_fails() {
    let mut scene = Scene::paired();
    scene.get_token(None);
    scene.advance(secs(28_800 * 83 / 100));
    // The probe is out when the POST leaves.
    let call = scene.reject(UPLOADER, 1);
    assert!(scene.out(is_identify));
    scene.prepare(PrepareAnswer::Ready);
    assert!(scene.out(is_refresh) && !scene.out(is_identify));
    assert_eq!(scene.reply(call), Some(&Ok(Reply::Done)));
    let held = scene.get_token(None);
    let other = scene.get_as(client(OTHER));
    scene.advance(secs(9));
    assert!(scene.reply(held).is_none(), "the refresh is out");
    assert_eq!(scene.token(other), "a1");
    scene.refresh(RefreshAnswer::Failed(fault(FaultKind::Refused)));
    assert!(scene.reply(held).is_none(), "and now the probe is");
    scene.probed(ResourceAnswer::Unauthorized);
    assert!(scene.reply(held).is_none(), "refused: no longer served");
    scene.advance(secs(5));
    scene.refresh_to(2);
    assert_eq!(scene.token(held), "a2");
}

#[test]
fn where_nobody_can_be_asked_a_client_gets_the_same_token_once_in_twenty_seconds() {
    let without_probe = Policy {
        can_probe: false,
        ..policy()
    };
    let mut crowd = Crowd::new(Scene::paired().reboot_with(without_probe, true), &thirty());
    crowd.run(secs(1));
    crowd.kill();
    crowd.run(secs(10));
    crowd.assert_no_flood();
    crowd.assert_served();
    assert_eq!(crowd.issued, 2);
    // The limit puts the next refresh off.
    crowd.kill();
    crowd.run(secs(200));
    for requests in crowd.requests() {
        assert!((9..=12).contains(&requests), "{:?}", crowd.requests());
    }
    crowd.run(secs(500));
    crowd.assert_served();
}
