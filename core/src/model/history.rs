//! The past, as far as an invariant asks for it: what the server may have got, what the core was
//! told, what was on disk.

use crate::{
    Answer, Body, CodeAnswer, ExchangeAnswer, FlowRecord, Generation, OpId, PairingRecord, PendingRevocation,
    PollAnswer, ProbeAnswer, Record, RefreshAnswer, Request, RevokeAnswer, Snapshot,
};

use super::excuses::{Excuses, Failed};
use super::rejections::{Rejection, WRONG_SPACING};
use super::server::{Pair, code_id, millis, number};

// RFC 8628 §3.5.
const SLOW_DOWN: u64 = 5_000;

/// How often, and when last, one refresh token may have reached the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sends {
    pub(super) pair: Pair,
    pub(super) count: u32,
    /// When, and in which boot, the last of them left.
    pub(super) last: (u64, u8),
    /// The same before that send, should it turn out never to have left.
    before: Option<(u64, u8)>,
}

/// The server's demands on the polls for one code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pace {
    pub(super) code: u8,
    pub(super) interval: u64,
    pub(super) not_before: u64,
    pub(super) ends: u64,
    last: u64,
    /// It was polled after its end, in this process.
    pub(super) polled_late: bool,
    /// Its polls did not go as they should: nothing can be said of approvals.
    pub(super) disturbed: bool,
}

/// The subject of a server's `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Code,
    Poll(u8),
    Exchange(u8),
    Refresh,
    Token(Pair),
    Revocation(Pair),
}

impl Subject {
    pub(super) fn of(request: &Request) -> Self {
        match request {
            Request::DeviceCode | Request::Authorize => Self::Code,
            Request::Poll(code, _) => Self::Poll(code_id(code)),
            Request::Exchange { code, .. } => Self::Exchange(number(code.expose(), 'x')),
            Request::Prepare | Request::Refresh { .. } => Self::Refresh,
            Request::Revoke(token) => Self::Revocation(Pair::of_revocable(token)),
            Request::Probe(access) | Request::Heartbeat(access) => Self::Token(Pair::of_access(access)),
        }
    }
}

/// The past, as far as an invariant asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not the states of one machine"
)]
pub(super) struct History {
    pub(super) sends: Vec<Sends>,
    pub(super) paces: Vec<Pace>,
    /// When any code was last polled.
    pub(super) polled: Option<u64>,
    /// When the last code request left.
    code_sent: u64,
    /// A code that the user approved while it was on show, at a server that would say so.
    pub(super) promised: Option<u8>,
    /// Subjects that the server asked to wait with, and until when.
    pub(super) not_before: Vec<(Subject, u64)>,
    /// The reports of clients, each until a request that left later has ended.
    pub(super) rejections: Vec<Rejection>,
    /// The users who were wrong, and when that came out: their next report is examined 10 s later.
    pub(super) wrong: Vec<(u32, u64)>,
    /// The last request that carried an access token brought no verdict.
    pub(super) probe_failing: bool,
    /// Access tokens whose refusal the core was told.
    pub(super) rejected_by_server: Vec<Pair>,
    /// Authorization codes that the server may have taken.
    pub(super) spent: Vec<u8>,
    /// Pairs that the core was told of.
    pub(super) delivered: Vec<Pair>,
    /// Access tokens that were on disk.
    pub(super) durable: Vec<Pair>,
    /// The newest generation that was on disk.
    pub(super) durable_generation: Generation,
    /// Which token each generation handed out was.
    pub(super) handed: Vec<(Generation, Pair)>,
    /// A record was lost: the numbers of what it held are not used again, and what is left may get
    /// another one.
    pub(super) renamed: bool,
    /// Families that a final answer of the server ended, told to the core.
    pub(super) invalidated: u64,
    /// Families that a user wanted unpaired.
    pub(super) unwanted: u64,
    /// Somebody called `Unpair`.
    pub(super) asked_to_unpair: bool,
    /// Families for which `Unpair` answered that it is done.
    pub(super) unpaired: u64,
    /// The same where the disk was too slow to answer in time. The order stands until the daemon
    /// dies or a write fails.
    pub(super) ordered: u64,
    /// Families whose revocation was tried.
    pub(super) tried: u64,
    /// Pairs that the server refused to revoke.
    pub(super) refused: Vec<Pair>,
    pub(super) excuses: Excuses,
    /// The record that the disk did not take, while that is so.
    pub(super) failed: Option<Failed>,
    /// When the last refresh in this process succeeded.
    pub(super) refreshed: Option<u64>,
    /// The flow that runs has asked for a code before.
    pub(super) code_asked: bool,
    /// Pairs whose age was read by a wrong `Date`.
    pub(super) misdated: Vec<Pair>,
    /// An answer told this process the time.
    pub(super) dated: bool,
    /// Sent since time last moved.
    pub(super) burst: u8,
    pub(super) published: Option<Snapshot>,
    pub(super) inhibited: bool,
    /// A write to both generations was cut in half.
    pub(super) torn: bool,
    pub(super) stopping: bool,
    pub(super) drained: bool,
}

impl History {
    pub(super) fn sent(&mut self, op: OpId, request: &Request, real: u64, boot: u8) {
        self.burst += 1;
        match request {
            Request::Refresh { token, .. } => {
                self.count_send(Pair::of_refresh(token), (real, boot));
            }
            Request::Poll(code, _) => {
                self.polled = Some(real);
                for pace in self.paces_of(code_id(code)) {
                    pace.last = real;
                    pace.not_before = real + pace.interval;
                    pace.polled_late |= real >= pace.ends;
                }
            }
            Request::Revoke(token) => {
                self.tried |= family_bit(Pair::of_revocable(token).family);
            }
            Request::DeviceCode => {
                self.code_asked = true;
                self.code_sent = real;
            }
            Request::Exchange { code, .. } => self.spent.push(number(code.expose(), 'x')),
            Request::Probe(access) | Request::Heartbeat(access) => {
                self.examined(op, Pair::of_access(access));
            }
            Request::Authorize | Request::Prepare => {}
        }
    }

    fn count_send(&mut self, pair: Pair, now: (u64, u8)) {
        match self.sends.iter_mut().find(|sends| sends.pair == pair) {
            Some(sends) => {
                sends.count += 1;
                sends.before = Some(sends.last);
                sends.last = now;
            }
            None => self.sends.push(Sends {
                pair,
                count: 1,
                last: now,
                before: None,
            }),
        }
    }

    /// An answer is about to reach the core.
    pub(super) fn answered(&mut self, op: OpId, request: &Request, answer: &Answer, real: u64) {
        if let Some(retry_after) = answer.fault().and_then(|fault| fault.retry_after) {
            let subject = Subject::of(request);
            self.hurry(subject);
            self.not_before.push((subject, real + millis(retry_after)));
        }
        if let Answer::Probe(answer) = answer {
            self.settled(op, answer, real);
            self.probe_failing = matches!(answer, ProbeAnswer::Failed(_));
        }
        self.keep_promise(request, answer, real);
        match (request, answer) {
            (Request::DeviceCode, Answer::Code(CodeAnswer::Granted(code))) => {
                let interval = millis(code.interval);
                let ends = self.code_sent + millis(code.expires_in);
                self.paces.push(Pace {
                    code: code_id(&code.device_code),
                    interval,
                    // A code that ends sooner than that is polled before its end.
                    not_before: (real + interval).min(ends.saturating_sub(interval / 2)),
                    ends,
                    last: real,
                    polled_late: false,
                    disturbed: self.code_sent != real,
                });
                // One on show, one before it, and those of which crashes left nothing.
                if self.paces.len() > 8 {
                    self.paces.remove(0);
                }
            }
            (Request::Poll(..), Answer::Poll(PollAnswer::Granted(tokens)))
            | (Request::Exchange { .. }, Answer::Exchange(ExchangeAnswer::Granted(tokens))) => {
                self.delivered.push(Pair::of_grant(tokens));
                self.hurry(Subject::Refresh);
            }
            (Request::Exchange { code, .. }, Answer::Exchange(ExchangeAnswer::Failed(fault)))
                if !fault.kind.ambiguous() =>
            {
                let id = number(code.expose(), 'x');
                self.spent.retain(|spent| *spent != id);
            }
            (Request::Poll(code, _), Answer::Poll(PollAnswer::SlowDown(..))) => {
                for pace in self.paces_of(code_id(code)) {
                    pace.interval += SLOW_DOWN;
                    pace.not_before = pace.last + pace.interval;
                }
            }
            (Request::Refresh { token, .. }, Answer::Refresh(answer)) => {
                self.refresh_answered(Pair::of_refresh(token), answer, real);
            }
            (Request::Probe(access) | Request::Heartbeat(access), Answer::Probe(ProbeAnswer::Rejected)) => {
                remember(&mut self.rejected_by_server, Pair::of_access(access));
            }
            (Request::Probe(access) | Request::Heartbeat(access), Answer::Probe(ProbeAnswer::Accepted(_))) => {
                // Whatever it asked before: it answers now.
                self.hurry(Subject::Token(Pair::of_access(access)));
            }
            (Request::Revoke(token), Answer::Revoke(RevokeAnswer::Refused)) => {
                remember(&mut self.refused, Pair::of_revocable(token));
                self.excuses.refused(Pair::of_revocable(token).family);
            }
            _ => {}
        }
    }

    fn refresh_answered(&mut self, pair: Pair, answer: &RefreshAnswer, real: u64) {
        match answer {
            RefreshAnswer::Granted(tokens) => {
                self.delivered.push(Pair::of_grant(tokens));
                self.refreshed = Some(real);
                self.hurry(Subject::Refresh);
            }
            RefreshAnswer::InvalidGrant => self.invalidated |= family_bit(pair.family),
            RefreshAnswer::Failed(fault) if fault.kind.ambiguous() => return,
            RefreshAnswer::Failed(fault) if fault.kind.unsent() => return self.unsend(pair),
            RefreshAnswer::Refused(_) | RefreshAnswer::Failed(_) | RefreshAnswer::ClientRejected(_) => {}
        }
        // A complete answer: what was sent before it is settled.
        self.sends.retain(|sends| sends.pair != pair);
    }

    fn unsend(&mut self, pair: Pair) {
        for sends in self.sends.iter_mut().filter(|sends| sends.pair == pair) {
            sends.count -= 1;
            sends.last = sends.before.unwrap_or(sends.last);
        }
        self.sends.retain(|sends| sends.count > 0);
    }

    /// A token was found alive by a request of this moment. A refresh that the server had given up
    /// on by then never ended it.
    pub(super) fn outlived(&mut self, pair: Pair, asked: u64, server_limit: u64) {
        self.sends
            .retain(|sends| sends.pair.family != pair.family || asked < sends.last.0 + server_limit);
    }

    /// The disk holds this record now.
    pub(super) fn written(&mut self, record: &Record) {
        self.durable_generation = self.durable_generation.max(record.generation);
        if let Body::Paired(pairing) = &record.body {
            for pair in pairs_of(pairing) {
                remember(&mut self.durable, pair);
            }
        }
    }

    /// The newest generation is damaged: what it alone held is forgotten, and nobody can know
    /// better.
    pub(super) fn damaged(&mut self, left: Option<&Record>) {
        let pairing = left.and_then(|record| match &record.body {
            Body::Paired(pairing) => Some(pairing),
            Body::Tombstone(_) => None,
        });
        let left_pairs: Vec<_> = pairing.into_iter().flat_map(|pairing| pairs_of(pairing)).collect();
        // The lost record counted other sends for the token that is left.
        for sends in self.sends.iter_mut().filter(|sends| left_pairs.contains(&sends.pair)) {
            sends.count = sends.count.min(1);
        }
        let generation = left.map_or(Generation::NONE, |record| record.generation);
        self.handed.retain(|(handed, _)| *handed <= generation);
        self.renamed = true;
    }

    /// True if this pair is served although no disk ever held it.
    pub(super) fn in_memory(&self, pair: Pair) -> bool {
        self.failed.as_ref().is_some_and(|failed| failed.pairs.contains(&pair))
    }

    /// True if a pairing is in memory alone.
    pub(super) fn paired_in_memory(&self) -> bool {
        self.failed.as_ref().is_some_and(|failed| !failed.pairs.is_empty())
    }

    /// The runtime directory holds this flow. A `slow_down` that never reached it is forgotten; the
    /// core cannot know better.
    pub(super) fn resumed(&mut self, flow: &FlowRecord) {
        let interval = millis(flow.interval);
        for pace in self.paces_of(code_id(&flow.code.device_code)) {
            pace.interval = pace.interval.min(interval);
            pace.not_before = pace.not_before.min(pace.last + pace.interval);
            pace.polled_late = false;
        }
    }

    /// A user wants to pair now: what a request of theirs waits for is not waited for any longer.
    pub(super) fn started(&mut self) {
        self.code_asked = false;
        self.not_before
            .retain(|(subject, _)| !matches!(subject, Subject::Code | Subject::Revocation(_)));
    }

    pub(super) fn hurry(&mut self, subject: Subject) {
        self.not_before.retain(|(about, _)| *about != subject);
    }

    pub(super) fn expire(&mut self, real: u64) {
        self.burst = 0;
        self.wrong.retain(|(_, at)| at + WRONG_SPACING > real);
        self.not_before.retain(|(_, until)| *until > real);
    }

    /// The user approved this code while it was on show.
    pub(super) fn approved(&mut self, code: u8) {
        let disturbed = |pace: &Pace| pace.code == code && pace.disturbed;
        if self.promised.is_none() && !self.paces.iter().any(disturbed) {
            self.promised = Some(code);
        }
    }

    /// Something happened after which an approval may be lost, and nobody is to blame.
    pub(super) fn disturb(&mut self) {
        self.promised = None;
        for pace in &mut self.paces {
            pace.disturbed = true;
        }
    }

    fn keep_promise(&mut self, request: &Request, answer: &Answer, real: u64) {
        match (request, answer) {
            (Request::Poll(code, _), Answer::Poll(PollAnswer::Granted(_))) => {
                // An older approval pairs as well; a newer one is what the user needed because
                // theirs was lost.
                self.promised.take_if(|promised| *promised >= code_id(code));
            }
            (Request::Poll(code, _), Answer::Poll(PollAnswer::Pending | PollAnswer::Expired)) => {
                let id = code_id(code);
                if self.paces.iter().any(|pace| pace.code == id && pace.last != real) {
                    self.disturb();
                }
            }
            (Request::Poll(..), _) | (_, Answer::Code(CodeAnswer::ClientRejected(_))) => self.disturb(),
            _ => {}
        }
    }

    pub(super) fn restarted(&mut self) {
        self.disturb();
        self.not_before.clear();
        self.rejections.clear();
        self.wrong.clear();
        self.probe_failing = false;
        self.rejected_by_server.clear();
        self.refreshed = None;
        self.dated = false;
        self.published = None;
        self.inhibited = false;
        self.stopping = false;
        self.drained = false;
        self.failed = None;
        self.ordered = 0;
        // The number of a token that only memory held is given to another one.
        self.handed.retain(|(_, pair)| self.durable.contains(pair));
        // A flow that goes on has a code.
        self.code_asked = true;
    }

    fn paces_of(&mut self, code: u8) -> impl Iterator<Item = &mut Pace> {
        self.paces.iter_mut().filter(move |pace| pace.code == code)
    }
}

fn remember(pairs: &mut Vec<Pair>, pair: Pair) {
    if !pairs.contains(&pair) {
        pairs.push(pair);
    }
}

/// The pairs that a record holds.
pub(super) fn pairs_of(pairing: &PairingRecord) -> impl Iterator<Item = Pair> {
    let tokens = [Some(&pairing.pair), pairing.candidate.as_ref()];
    tokens.into_iter().flatten().map(Pair::of_pair)
}

/// The families of the pairs that a record holds.
pub(super) fn families_of(pairing: &PairingRecord) -> u64 {
    pairs_of(pairing).fold(0, |set, pair| set | family_bit(pair.family))
}

/// The pairs whose tokens are to be revoked.
pub(super) fn pairs_listed(list: &[PendingRevocation]) -> impl Iterator<Item = Pair> {
    list.iter().map(|pending| Pair::of_revocable(&pending.token))
}

/// Their families.
pub(super) fn families_listed(list: &[PendingRevocation]) -> u64 {
    pairs_listed(list).fold(0, |set, pair| set | family_bit(pair.family))
}

/// A set of one family.
pub(super) const fn family_bit(family: u8) -> u64 {
    1 << family
}

/// The set of all families so far.
pub(super) const fn families_before(count: u8) -> u64 {
    (1 << count) - 1
}
