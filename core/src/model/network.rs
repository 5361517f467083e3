//! The network: how a request ends, whatever the server made of it.

use std::time::Duration;

use crate::{
    Answer, AuthorizeAnswer, CodeAnswer, DeviceStatus, ExchangeAnswer, Fault, FaultKind, LocalFault, OAuthErrorCode,
    OpId, PollAnswer, PrepareAnswer, ProbeAnswer, RefreshAnswer, Request, RevokeAnswer, WallTime,
};

use super::history::pairs_of;
use super::scenario::device;
use super::server::{self, Pair, Quirks, Server};
use super::step::{InFlightFate, Outcome, RequestKind};
use super::world::World;

/// How long a request that spends something may take (35 s), and any other: the driver's own
/// limits.
const SPENDING_LIMIT: u64 = 35_000;
const OTHER_LIMIT: u64 = 15_000;

/// The server gives a request up after this long: later it cannot be carried out any more.
const SERVER_LIMIT: u64 = 30_000;

/// How wrong a `Date` is that a proxy, or the server itself, gets wrong.
const MISDATED_BY: Duration = Duration::from_hours(3);

/// How far a request got.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Progress {
    /// The server has yet to see it, or to look at it.
    OnItsWay,
    /// The server looked at it, and its answer with its `Date` is on the way back.
    Done(Answer, WallTime),
}

/// A request on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct InFlight {
    pub(super) op: OpId,
    pub(super) request: Request,
    /// When it must have ended.
    pub(super) limit: u64,
    pub(super) sent: u64,
    /// Calls from this number on came after it was sent.
    pub(super) calls: u64,
    /// So many pairs had been delivered by then.
    pub(super) delivered: usize,
    /// A user has begun to pair since.
    pub(super) outdated: bool,
    /// True if the access token that it carries, if it does, lived then.
    lived: bool,
    progress: Progress,
}

impl InFlight {
    pub(super) fn new(op: OpId, request: &Request, world: &World) -> Self {
        let (real, server) = (world.real, &world.server);
        let carries = carried(request).is_some();
        let spends = kind_of(request).spends();
        Self {
            op,
            request: request.clone(),
            limit: real + if spends { SPENDING_LIMIT } else { OTHER_LIMIT },
            sent: real,
            calls: if carries { world.next_call } else { 0 },
            delivered: if carries { world.history.delivered.len() } else { 0 },
            outdated: false,
            lived: carried(request).is_some_and(|pair| server.access_lives(pair, real)),
            progress: Progress::OnItsWay,
        }
    }

    /// True if a resource that looks at the request only now says something else than it would have
    /// at first.
    pub(super) fn outlived(&self, server: &Server, real: u64) -> bool {
        carried(&self.request).is_some_and(|pair| server.access_lives(pair, real) != self.lived)
    }

    /// True if the server is done with it, and only its answer is on its way.
    pub(super) const fn carried_out(&self) -> bool {
        matches!(self.progress, Progress::Done(..))
    }

    /// True if the server has yet to look at it.
    pub(super) fn is_unseen(&self, kind: RequestKind, real: u64) -> bool {
        kind_of(&self.request) == kind && !self.carried_out() && !self.given_up(real)
    }

    /// The machine slept for so long that a server that had not looked at it never will.
    pub(super) const fn given_up(&self, real: u64) -> bool {
        !self.carried_out() && real > self.limit
    }
}

/// An answer that the core is being told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Answering {
    pub(super) flight: InFlight,
    pub(super) answer: Answer,
    /// The uids whose rejection came before the request left, and waits for it.
    pub(super) uids: Vec<u32>,
}

impl World {
    /// Takes the oldest request of this kind off its way.
    pub(super) fn land(&mut self, kind: RequestKind) -> Option<InFlight> {
        let at = self
            .in_flight
            .iter()
            .position(|flight| kind_of(&flight.request) == kind)?;
        Some(self.in_flight.remove(at))
    }

    /// The server looks at the oldest request of this kind that it has not seen, and its answer is
    /// on the way.
    pub(super) fn look(&mut self, kind: RequestKind, quirks: &Quirks) {
        let real = self.real;
        if let Some(at) = self.in_flight.iter().position(|flight| flight.is_unseen(kind, real)) {
            let flight = self.in_flight[at].clone();
            let answer = self.carry_out(&flight, Outcome::Honest, quirks);
            self.in_flight[at].progress = Progress::Done(answer, self.date());
        }
    }

    /// The second request of this kind is answered before the first.
    pub(super) fn overtake(&mut self, kind: RequestKind) {
        let of_kind = |(at, flight): (usize, &InFlight)| (kind_of(&flight.request) == kind).then_some(at);
        let mut of_kind = self.in_flight.iter().enumerate().filter_map(of_kind);
        if let (Some(first), Some(second)) = (of_kind.next(), of_kind.next()) {
            self.in_flight.swap(first, second);
        }
    }

    /// The answer to a request, and the `Date` that came with it.
    pub(super) fn answer(&mut self, flight: &InFlight, how: Outcome, quirks: &Quirks) -> (Answer, Option<WallTime>) {
        let truth = how.carries_out().then(|| self.carry_out(flight, how, quirks));
        let date = match how {
            Outcome::Undated
            | Outcome::Misdated
            | Outcome::Offline
            | Outcome::Untrusted
            | Outcome::ClockNotSet
            | Outcome::Local
            | Outcome::Lost
            | Outcome::LostAfter
            | Outcome::LostLate => None,
            Outcome::Honest
            | Outcome::HonestByNow
            | Outcome::Garbled
            | Outcome::GarbledAfter
            | Outcome::RateLimited
            | Outcome::Throttled
            | Outcome::Refused
            | Outcome::ClientRejected
            | Outcome::SlowDown
            | Outcome::BadCode => match flight.progress {
                Progress::Done(_, date) => Some(date),
                Progress::OnItsWay => Some(self.date()),
            },
        };
        let date = match how {
            Outcome::Misdated => {
                self.misdated(truth.as_ref());
                Some(self.date().after(MISDATED_BY))
            }
            _ => date,
        };
        if how == Outcome::LostLate
            && let Request::Refresh { token, .. } = &flight.request
        {
            self.server
                .leave_on_its_way(Pair::of_refresh(token), flight.sent + SERVER_LIMIT);
        }
        let answer = match how {
            Outcome::Honest | Outcome::HonestByNow | Outcome::Undated | Outcome::Misdated => {
                truth.expect("carried out above")
            }
            Outcome::Offline => failed(flight, FaultKind::Offline, None),
            Outcome::Untrusted => failed(flight, FaultKind::Untrusted, None),
            Outcome::ClockNotSet => failed(flight, FaultKind::ClockNotSet, None),
            Outcome::Local => failed(flight, FaultKind::Local(local(flight)), None),
            Outcome::Lost | Outcome::LostAfter | Outcome::LostLate => failed(flight, FaultKind::Lost, None),
            Outcome::Garbled | Outcome::GarbledAfter => failed(flight, FaultKind::Garbled, None),
            Outcome::RateLimited => failed(flight, FaultKind::RateLimited, Some(quirks.retry_after)),
            Outcome::Throttled => failed(flight, FaultKind::RateLimited, None),
            Outcome::Refused => refused(flight),
            Outcome::ClientRejected => rejected(flight),
            Outcome::SlowDown => Answer::Poll(PollAnswer::SlowDown(None, None)),
            Outcome::BadCode => Answer::Code(CodeAnswer::BadUserCode),
        };
        if let Answer::Prepare(PrepareAnswer::Ready | PrepareAnswer::Busy(_)) = answer {
            self.prepared.push(flight.op);
        }
        if let Answer::Authorize(AuthorizeAnswer::Ready(_)) = answer {
            self.listeners.push(flight.op);
        }
        self.history.dated |= date.is_some();
        self.answering = Some(Answering {
            flight: flight.clone(),
            answer: answer.clone(),
            uids: self.history.settles(flight.op),
        });
        self.history.answered(flight.op, &flight.request, &answer, self.real);
        if let (Request::Probe(access) | Request::Heartbeat(access), Answer::Probe(ProbeAnswer::Accepted(_))) =
            (&flight.request, &answer)
        {
            self.history
                .outlived(Pair::of_access(access), flight.sent, SERVER_LIMIT);
        }
        (answer, date)
    }

    /// A wrong `Date` is about to come. The tokens whose age is read by it.
    fn misdated(&mut self, truth: Option<&Answer>) {
        let told = match truth {
            Some(Answer::Refresh(RefreshAnswer::Granted(grant))) => Some(Pair::of_grant(grant)),
            _ => None,
        };
        let pairs = self.disk.paired().into_iter().flat_map(pairs_of).chain(told);
        self.history.misdated.extend(pairs);
    }

    fn carry_out(&mut self, flight: &InFlight, how: Outcome, quirks: &Quirks) -> Answer {
        if let Progress::Done(answer, _) = &flight.progress {
            return answer.clone();
        }
        let real = self.real;
        match &flight.request {
            Request::DeviceCode => Answer::Code(CodeAnswer::Granted(self.server.new_code(quirks, real))),
            Request::Poll(code, _) => Answer::Poll(self.server.poll(code, quirks, real)),
            Request::Authorize => Answer::Authorize(AuthorizeAnswer::Ready(self.server.new_request())),
            Request::Exchange { code, verifier, .. } => {
                Answer::Exchange(self.server.exchange(code, verifier, quirks, real))
            }
            Request::Prepare => Answer::Prepare(PrepareAnswer::Ready),
            Request::Refresh { token, .. } => {
                let outcome = self.server.rotate(Pair::of_refresh(token), quirks, real);
                Answer::Refresh(server::refresh_answer(outcome, quirks))
            }
            Request::Revoke(token) => {
                self.server.revoke(token, quirks);
                Answer::Revoke(RevokeAnswer::Done)
            }
            Request::Probe(access) | Request::Heartbeat(access) => {
                let lives = match how {
                    Outcome::HonestByNow => self.server.access_lives(Pair::of_access(access), real),
                    _ => flight.lived,
                };
                Answer::Probe(if lives {
                    ProbeAnswer::Accepted(Some(DeviceStatus {
                        info: device(),
                        ..DeviceStatus::default()
                    }))
                } else {
                    ProbeAnswer::Rejected
                })
            }
        }
    }

    /// Decides a request whose sender died.
    pub(super) fn leave(&mut self, flight: &InFlight, leftover: InFlightFate, quirks: &Quirks) {
        let spends = kind_of(&flight.request).spends() || matches!(flight.request, Request::Revoke(_));
        match (leftover, &flight.request) {
            (InFlightFate::CarriedOut, _) if spends => {
                self.carry_out(flight, Outcome::Honest, quirks);
            }
            (InFlightFate::Late, Request::Refresh { token, .. }) if !flight.carried_out() => {
                self.server
                    .leave_on_its_way(Pair::of_refresh(token), flight.sent + SERVER_LIMIT);
            }
            _ => {}
        }
    }
}

/// The access token that a request carries.
fn carried(request: &Request) -> Option<Pair> {
    match request {
        Request::Probe(access) | Request::Heartbeat(access) => Some(Pair::of_access(access)),
        _ => None,
    }
}

/// The fault of this device that can keep such a request from being sent.
const fn local(flight: &InFlight) -> LocalFault {
    match &flight.request {
        Request::Authorize => LocalFault::PortTaken,
        _ => LocalFault::NoEndpoint,
    }
}

fn failed(flight: &InFlight, kind: FaultKind, retry_after: Option<Duration>) -> Answer {
    let fault = Fault { kind, retry_after };
    match &flight.request {
        Request::DeviceCode => Answer::Code(CodeAnswer::Failed(fault)),
        Request::Poll(..) => Answer::Poll(PollAnswer::Failed(fault)),
        Request::Authorize => Answer::Authorize(AuthorizeAnswer::Failed(fault)),
        Request::Exchange { .. } => Answer::Exchange(ExchangeAnswer::Failed(fault)),
        Request::Prepare if kind == FaultKind::RateLimited => Answer::Prepare(PrepareAnswer::Busy(fault)),
        Request::Prepare => Answer::Prepare(PrepareAnswer::Failed(fault)),
        Request::Refresh { .. } => Answer::Refresh(RefreshAnswer::Failed(fault)),
        Request::Revoke(_) => Answer::Revoke(RevokeAnswer::Failed(fault)),
        Request::Probe(_) | Request::Heartbeat(_) => Answer::Probe(ProbeAnswer::Failed(fault)),
    }
}

/// Why a request ended without a verdict, to be changed.
pub(super) const fn fault_mut(answer: &mut Answer) -> Option<&mut Fault> {
    match answer {
        Answer::Code(CodeAnswer::Failed(fault))
        | Answer::Poll(PollAnswer::Failed(fault))
        | Answer::Authorize(AuthorizeAnswer::Failed(fault))
        | Answer::Exchange(ExchangeAnswer::Failed(fault))
        | Answer::Prepare(PrepareAnswer::Failed(fault) | PrepareAnswer::Busy(fault))
        | Answer::Refresh(RefreshAnswer::Refused(fault) | RefreshAnswer::Failed(fault))
        | Answer::Revoke(RevokeAnswer::Failed(fault))
        | Answer::Probe(ProbeAnswer::Failed(fault)) => Some(fault),
        _ => None,
    }
}

fn refused(flight: &InFlight) -> Answer {
    match &flight.request {
        Request::Revoke(_) => Answer::Revoke(RevokeAnswer::Refused),
        Request::Prepare => Answer::Prepare(PrepareAnswer::Ready),
        _ => failed(flight, FaultKind::Refused, None),
    }
}

fn rejected(flight: &InFlight) -> Answer {
    match &flight.request {
        Request::DeviceCode => Answer::Code(CodeAnswer::ClientRejected(OAuthErrorCode::Client)),
        Request::Poll(..) => Answer::Poll(PollAnswer::ClientRejected(OAuthErrorCode::Client)),
        Request::Refresh { .. } => Answer::Refresh(RefreshAnswer::ClientRejected(OAuthErrorCode::Client)),
        Request::Exchange { .. } => Answer::Exchange(ExchangeAnswer::ClientRejected(OAuthErrorCode::Client)),
        Request::Authorize | Request::Prepare | Request::Revoke(_) | Request::Probe(_) | Request::Heartbeat(_) => {
            refused(flight)
        }
    }
}

/// The kind of a request.
pub(super) const fn kind_of(request: &Request) -> RequestKind {
    match request {
        Request::DeviceCode => RequestKind::Code,
        Request::Poll(..) => RequestKind::Poll,
        Request::Authorize => RequestKind::Authorize,
        Request::Exchange { .. } => RequestKind::Exchange,
        Request::Prepare => RequestKind::Prepare,
        Request::Refresh { .. } => RequestKind::Refresh,
        Request::Revoke(_) => RequestKind::Revoke,
        Request::Probe(_) => RequestKind::Probe,
        Request::Heartbeat(_) => RequestKind::Heartbeat,
    }
}
