//! The network: how a request ends, whatever the server made of it.

use std::time::Duration;

use crate::{
    Answer, AuthorizeAnswer, CodeAnswer, DeviceStatus, ExchangeAnswer, Fault, FaultKind, LocalFault, OAuthErrorCode,
    OpId, PollAnswer, PrepareAnswer, ProbeAnswer, RefreshAnswer, Request, RevokeAnswer, WallTime,
};

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

/// How far a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Progress {
    /// The server has yet to see it, or to look at it.
    OnItsWay,
    /// The refresh was carried out, and the answer is on its way back: a new pair, or that the old
    /// token is dead.
    Done(Option<Pair>),
}

/// A request on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct InFlight {
    pub(super) op: OpId,
    pub(super) request: Request,
    /// When it must have ended.
    pub(super) limit: u64,
    sent: u64,
    /// True if the access token that it carries, if it does, lived then.
    lived: bool,
    progress: Progress,
}

impl InFlight {
    pub(super) fn new(op: OpId, request: &Request, real: u64, server: &Server) -> Self {
        let spends = kind_of(request).spends();
        Self {
            op,
            request: request.clone(),
            limit: real + if spends { SPENDING_LIMIT } else { OTHER_LIMIT },
            sent: real,
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
        matches!(self.progress, Progress::Done(_))
    }
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

    pub(super) fn rotate_early(&mut self, quirks: &Quirks) {
        let real = self.real;
        for flight in &mut self.in_flight {
            if let Request::Refresh { token, .. } = &flight.request
                && flight.progress == Progress::OnItsWay
            {
                flight.progress = Progress::Done(self.server.rotate(Pair::of_refresh(token), quirks, real));
            }
        }
    }

    /// The answer to a request, and the `Date` that came with it.
    pub(super) fn answer(&mut self, flight: &InFlight, how: Outcome, quirks: &Quirks) -> (Answer, Option<WallTime>) {
        let truth = how.carries_out().then(|| self.carry_out(flight, how, quirks));
        let date = match how {
            Outcome::Undated
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
            | Outcome::BadCode => Some(self.date()),
        };
        if how == Outcome::LostLate
            && let Request::Refresh { token, .. } = &flight.request
        {
            self.server
                .leave_on_its_way(Pair::of_refresh(token), flight.sent + SERVER_LIMIT);
        }
        let answer = match how {
            Outcome::Honest | Outcome::HonestByNow | Outcome::Undated => truth.expect("carried out above"),
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
        self.history.answered(&flight.request, &answer, self.real);
        if let (Request::Probe(access) | Request::Heartbeat(access), Answer::Probe(ProbeAnswer::Accepted(_))) =
            (&flight.request, &answer)
        {
            self.history
                .outlived(Pair::of_access(access), flight.sent, SERVER_LIMIT);
        }
        (answer, date)
    }

    fn carry_out(&mut self, flight: &InFlight, how: Outcome, quirks: &Quirks) -> Answer {
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
                let outcome = match flight.progress {
                    Progress::OnItsWay => self.server.rotate(Pair::of_refresh(token), quirks, real),
                    Progress::Done(outcome) => outcome,
                };
                Answer::Refresh(server::refresh_answer(outcome, quirks))
            }
            Request::Revoke(token) => {
                self.server.revoke(token);
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
