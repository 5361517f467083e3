//! Clients that obey the contract and do not pause: get, a request to the API, 401, reject, get.
//! None of them may flood the API with a token that the API refuses, and none may keep another
//! client waiting.

mod connections;

use super::*;

const STEP: Duration = Duration::from_millis(20);

/// Time that a request to the API, or one of the daemon's own, takes.
const LATENCY: Duration = Duration::from_millis(40);

/// The act of an uploader just now.
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
    fixture: Fixture,
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
    fn new(fixture: Fixture, clients: &[(u32, u64)]) -> Self {
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
            fixture,
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
        let end = self.fixture.now.after(span);
        while self.fixture.now < end {
            self.fixture.advance(STEP);
            self.serve();
            for at in 0..self.uploaders.len() {
                self.upload(at);
            }
        }
    }

    fn serve(&mut self) {
        for (op, request) in self.fixture.requests.clone() {
            if op <= self.seen {
                continue;
            }
            self.seen = op;
            let (answer, late) = self.look_at(&request);
            self.answers.push((self.fixture.now.after(late), op, answer));
        }
        let now = self.fixture.now;
        for (_, op, answer) in self.answers.extract_if(.., |(at, _, _)| *at <= now).collect::<Vec<_>>() {
            if self.fixture.requests.iter().any(|(out, _)| *out == op) {
                self.fixture.requests.retain(|(out, _)| *out != op);
                self.fixture.event(Event::Answered { op, date: None, answer });
            }
        }
    }

    /// The server's answer, which tells of the moment at which the request came.
    fn look_at(&mut self, request: &Request) -> (Answer, Duration) {
        let answer = match request {
            Request::Probe(access) | Request::Heartbeat(access) => {
                if is_probe(request) {
                    self.probes.push(self.fixture.now);
                }
                Answer::Probe(if self.broken {
                    ProbeAnswer::Failed(fault(FaultKind::Refused))
                } else if access.expose() == format!("a{}", self.lives) {
                    ProbeAnswer::Accepted(None)
                } else {
                    ProbeAnswer::Rejected
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
        let at = self
            .fixture
            .replies
            .iter()
            .position(|(answered, _)| *answered == call)?;
        Some(self.fixture.replies.swap_remove(at).1)
    }

    fn upload(&mut self, at: usize) {
        let now = self.fixture.now;
        let Uploader {
            client, doing, liar, ..
        } = self.uploaders[at];
        let next = match doing {
            Doing::Nothing => {
                self.uploaders[at].since = now;
                Doing::Getting(self.fixture.get_as(client))
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
                Doing::Rejecting(self.fixture.reject_as(client, generation))
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

/// The token dies `after` whatever the test ends with, and ten seconds later everybody works
/// again.
fn recovers(fixture: Fixture, generation: u32, after: Duration) {
    let mut crowd = Crowd::new(fixture, &thirty());
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
        recovers(Fixture::paired(), 1, after);
        recovers(Fixture::paired().restart(), 1, after);
        recovers(Fixture::paired().reboot(true), 1, after);
        recovers(Fixture::paired().reboot(false), 1, after);
    }
    for after in moments {
        // Both its 401 and the next refresh are of the ordinary kind: nothing limits them but five
        // seconds.
        let mut fixture = Fixture::paired();
        fixture.get_token(None);
        fixture.advance(secs(28_800 * 83 / 100));
        fixture.refresh_to(2);
        recovers(fixture, 2, after);
    }
    for after in [117, 118, 119, 120, 121] {
        recovers(Fixture::paired_with(with_heartbeat()), 1, secs(after));
    }
}

#[test]
fn a_refresh_that_was_carried_out_and_answers_ten_seconds_later_floods_nobody() {
    for late in [secs(10), secs(19)] {
        let mut fixture = Fixture::paired();
        fixture.get_token(None);
        fixture.advance(secs(28_800 * 83 / 100));
        let mut crowd = Crowd::new(fixture, &thirty());
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
    let mut crowd = Crowd::new(Fixture::paired(), &[(UPLOADER, 1), (UPLOADER, 2), (OTHER, 3)]);
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
        let mut crowd = Crowd::new(Fixture::paired(), &clients);
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
    let mut crowd = Crowd::new(Fixture::paired(), &clients);
    for uploader in &mut crowd.uploaders {
        uploader.liar = true;
    }
    crowd.run(secs(30));
    crowd.assert_probes_apart(secs(1));
    assert!(crowd.probes.len() <= 7, "one answers all: {:?}", crowd.probes);
}

#[test]
fn a_true_rejection_after_ten_wrong_ones_is_believed() {
    let mut crowd = Crowd::new(Fixture::paired(), &[(UPLOADER, 1), (OTHER, 2)]);
    crowd.uploaders[0].liar = true;
    crowd.run(secs(100));
    crowd.uploaders[0].liar = false;
    crowd.kill();
    crowd.run(secs(12));
    crowd.assert_no_flood();
    crowd.assert_served();

    // The liar alone: it is asked about when its ten seconds are over.
    let mut crowd = Crowd::new(Fixture::paired(), &[(UPLOADER, 1)]);
    crowd.uploaders[0].liar = true;
    crowd.run(secs(100));
    crowd.uploaders[0].liar = false;
    crowd.kill();
    crowd.run(secs(12));
    crowd.assert_no_flood();
    crowd.assert_served();
}
