//! The pairing flow: RFC 8628 with Frame.io's habits.
//!
//! Codes live 120 s and are replaced until somebody enters one, gives up or cancels. The flow is kept in the runtime directory
//! so that the code on the screen stays valid across a crash. Network blips never end it; a poll that was sent is never
//! cancelled, and what it brings is accounted for even when the flow is gone.

use std::time::Duration;

use super::Core;
use super::backoff::{FLOOR, Retry};
use super::effect::{CallError, CallId, CodeView, Note, OpId, Reply, Request, Slots, Store};
use super::event::{CodeAnswer, CodeGrant, Fault, PairingOptions, PollAnswer, TokenGrant};
use super::held::{Held, stamp};
use super::policy::Provisioning;
use super::record::{Code, FlowRecord, Pairing, TokenPair};
use super::serve::CALL_LIMIT;
use super::snapshot::{DeviceInfo, ErrorWord, Reason};
use super::time::{BootTime, WallTime};
use super::turn::Turn;

/// Longest wait between code requests: a person stands before the screen.
const CODE_CAP: Duration = Duration::from_secs(30);

/// RFC 8628 §3.5: `slow_down` adds 5 seconds, for this and all later polls.
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// Range of `give-up-after`.
const GIVE_UP: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 3600));

/// A poll that failed is repeated after up to this many intervals: RFC 8628 §3.5 asks for a backoff, 120 s allow little.
const BLIP_FACTOR_CAP: u32 = 4;

/// Verdicts «no such code» in a row after which asking for yet another code is pointless.
const UNKNOWN_CODES: u32 = 3;

/// A running flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flow {
    /// Tells a poll of this flow from one of an earlier flow.
    id: u64,
    renew: bool,
    replace: bool,
    give_up: BootTime,
    phase: Phase,
    /// When a code was last asked for.
    asked: Option<BootTime>,
    /// Why no code is on show; [`Reason::None`] when all is well.
    reason: Reason,
    retry: Retry,
    unknown_codes: u32,
    starters: Vec<Starter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// The last pairing's revocation goes first: afterwards it could hit the new one.
    Revoking,
    /// No request is out; the next one waits for its time.
    Resting { until: BootTime },
    /// A code was asked for.
    Asking { op: OpId, since: BootTime },
    /// A code is on show.
    Showing(Box<Showing>),
    /// The user approved; the new pair is being written.
    Storing { store: OpId, pairing: Box<Pairing> },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Showing {
    code: Code,
    interval: Duration,
    next_poll: BootTime,
    /// The server's interval, or its wish for patience, allows no poll before (I4).
    not_before: BootTime,
    poll: Option<(OpId, BootTime)>,
    /// Polls without a verdict in a row.
    blips: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Starter {
    call: CallId,
    deadline: BootTime,
}

/// A poll whose code is no longer on show.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct OrphanPoll {
    op: OpId,
    flow: u64,
    since: BootTime,
}

/// What the snapshot shows of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlowView {
    /// No code to show yet.
    Requesting(Reason),
    /// A code is on show.
    Awaiting,
}

impl Core {
    /// `StartPairing`.
    pub(super) fn start_pairing(&mut self, t: &mut Turn<'_>, call: CallId, caller: u32, options: PairingOptions) {
        let now = t.at();
        if self.provisioning != Provisioning::Ready {
            t.reply(call, Err(CallError::NotProvisioned));
            return;
        }
        if self.draining {
            t.reply(call, Err(CallError::Timeout));
            return;
        }
        let limit = options
            .timeout
            .unwrap_or(CALL_LIMIT)
            .clamp(Duration::from_secs(1), CALL_LIMIT);
        let starter = Starter {
            call,
            deadline: now.after(limit),
        };
        if let Some(flow) = &mut self.flow {
            flow.starters.push(starter);
            return;
        }
        if self.held.is_some() && self.unpairing.is_none() && !options.replace {
            t.reply(call, Err(CallError::AlreadyPaired));
            return;
        }
        if !self.throttle.admit(caller, now) {
            t.reply(call, Err(CallError::TooOften));
            return;
        }
        let give_up_after = options
            .give_up_after
            .unwrap_or(self.policy.give_up_after)
            .clamp(GIVE_UP.0, GIVE_UP.1);
        self.ids.flow += 1;
        let revoking = self.revocations.press();
        self.flow = Some(Flow {
            id: self.ids.flow,
            renew: options.renew,
            replace: options.replace,
            give_up: now.after(give_up_after),
            phase: if revoking {
                Phase::Revoking
            } else {
                Phase::Resting { until: now }
            },
            asked: None,
            reason: Reason::None,
            retry: Retry::default(),
            unknown_codes: 0,
            starters: vec![starter],
        });
    }

    /// A flow of before the restart goes on, unless its time is over.
    pub(super) fn resume_flow(&mut self, t: &mut Turn<'_>, record: FlowRecord) {
        let now = t.at();
        let fits = record.boot == self.boot
            && now < record.give_up
            && self.provisioning == Provisioning::Ready
            && (self.held.is_none() || record.replace);
        if !fits {
            self.store(t, Store::Flow(None));
            return;
        }
        self.ids.code = self.ids.code.max(record.code.id);
        self.ids.flow += 1;
        // The last poll before the crash is not on record; a whole interval from now keeps the server's pace (I4).
        let next_poll = record.next_poll.max(now.after(record.interval));
        self.flow = Some(Flow {
            id: self.ids.flow,
            renew: record.renew,
            replace: record.replace,
            give_up: record.give_up,
            phase: Phase::Showing(Box::new(Showing {
                code: record.code,
                interval: record.interval,
                next_poll,
                poll: None,
                not_before: next_poll,
                blips: 0,
            })),
            asked: None,
            reason: Reason::None,
            retry: Retry::default(),
            unknown_codes: 0,
            starters: Vec::new(),
        });
        t.note(Note::FlowResumed);
    }

    /// `GetPairingCode`.
    pub(super) fn get_pairing_code(&self, t: &mut Turn<'_>, call: CallId) {
        let view = self.flow.as_ref().and_then(|flow| flow.view(t.at()));
        t.reply(call, view.map(Reply::Code).ok_or(CallError::NoPairing));
    }

    /// `CancelPairing`. Answered when no crash can bring the flow back.
    pub(super) fn cancel_pairing(&mut self, t: &mut Turn<'_>, call: CallId) {
        match self.end_flow(t, Reason::Cancelled) {
            Some(store) => self.cancelers.push((call, store)),
            // No flow, or the user's approval is being written this moment: too late to cancel, `Unpair` undoes it.
            None => t.reply(call, Ok(Reply::Done)),
        }
    }

    /// The removal of the flow's file ended.
    pub(super) fn flow_removed(&mut self, t: &mut Turn<'_>, op: OpId, ok: bool) {
        let (done, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.cancelers)
            .into_iter()
            .partition(|(_, store)| *store == op);
        self.cancelers = waiting;
        for (call, _) in done {
            t.reply(
                call,
                if ok {
                    Ok(Reply::Done)
                } else {
                    Err(CallError::StorageFailed)
                },
            );
        }
    }

    /// Ends the flow without a pairing. Returns the store that removes it, if there was one to remove.
    pub(super) fn end_flow(&mut self, t: &mut Turn<'_>, reason: Reason) -> Option<OpId> {
        let flow = self.flow.take_if(|flow| !matches!(flow.phase, Phase::Storing { .. }))?;
        let error = if reason == Reason::ClientRejected {
            CallError::ClientRejected
        } else {
            CallError::NoPairing
        };
        for starter in &flow.starters {
            t.reply(starter.call, Err(error));
        }
        match flow.phase {
            Phase::Asking { op, .. } => t.emit(super::Effect::Cancel(op)),
            Phase::Showing(showing) => self.orphan(flow.id, showing.poll),
            Phase::Revoking | Phase::Resting { .. } | Phase::Storing { .. } => {}
        }
        if self.held.is_none() {
            self.idle = reason;
        }
        t.note(Note::FlowEnded { reason });
        Some(self.store(t, Store::Flow(None)))
    }

    fn orphan(&mut self, flow: u64, poll: Option<(OpId, BootTime)>) {
        if let Some((op, since)) = poll {
            self.orphans.push(OrphanPoll { op, flow, since });
        }
    }

    /// Whether the user approved and only the disk is missing.
    pub(super) fn flow_succeeded(&self) -> bool {
        self.flow
            .as_ref()
            .is_some_and(|flow| matches!(flow.phase, Phase::Storing { .. }))
    }

    /// A poll is out, of this flow or of one that ended.
    pub(super) fn polling(&self) -> bool {
        let current = self
            .flow
            .as_ref()
            .is_some_and(|flow| matches!(&flow.phase, Phase::Showing(showing) if showing.poll.is_some()));
        current || !self.orphans.is_empty()
    }

    /// Starts what is due.
    pub(super) fn run_flow(&mut self, t: &mut Turn<'_>) {
        self.answer_starters(t);
        let now = t.at();
        let Some(flow) = &mut self.flow else { return };
        if now >= flow.give_up && !matches!(flow.phase, Phase::Storing { .. }) {
            self.end_flow(t, Reason::GaveUp);
            return;
        }
        if matches!(&flow.phase, Phase::Showing(showing) if showing.code.ends <= now) {
            self.code_ended(t);
        }
        let Some(flow) = &mut self.flow else { return };
        match &mut flow.phase {
            Phase::Resting { until } if *until <= now && !self.draining => {
                let op = self.request(t, Request::DeviceCode);
                if let Some(flow) = &mut self.flow {
                    flow.phase = Phase::Asking { op, since: now };
                    flow.asked = Some(now);
                }
            }
            Phase::Showing(showing) if showing.poll.is_none() && showing.next_poll <= now && !self.draining => {
                let device_code = showing.code.device_code.clone();
                let op = self.request(t, Request::Poll(device_code));
                if let Some(Flow {
                    phase: Phase::Showing(showing),
                    ..
                }) = &mut self.flow
                {
                    showing.poll = Some((op, now));
                }
            }
            Phase::Revoking
            | Phase::Resting { .. }
            | Phase::Asking { .. }
            | Phase::Showing(_)
            | Phase::Storing { .. } => {}
        }
    }

    /// When a flow is next due, even if nothing happens.
    pub(super) fn flow_deadline(&self) -> Option<BootTime> {
        let flow = self.flow.as_ref()?;
        let starter = flow.starters.iter().map(|starter| starter.deadline).min();
        let phase = match &flow.phase {
            Phase::Resting { until } if !self.draining => Some((*until).min(flow.give_up)),
            Phase::Showing(showing) if showing.poll.is_none() && !self.draining => {
                Some(showing.next_poll.min(showing.code.ends).min(flow.give_up))
            }
            Phase::Showing(showing) => Some(showing.code.ends.min(flow.give_up)),
            Phase::Revoking | Phase::Asking { .. } | Phase::Resting { .. } => Some(flow.give_up),
            Phase::Storing { .. } => None,
        };
        [starter, phase].into_iter().flatten().min()
    }

    fn answer_starters(&mut self, t: &mut Turn<'_>) {
        let Some(flow) = &mut self.flow else { return };
        let now = t.at();
        for starter in std::mem::take(&mut flow.starters) {
            if let Some(code) = flow.view(now) {
                let give_up_in = flow.give_up.since(now);
                let (renew, replace) = (flow.renew, flow.replace);
                t.reply(
                    starter.call,
                    Ok(Reply::Started {
                        code,
                        renew,
                        replace,
                        give_up_in,
                    }),
                );
            } else if now >= starter.deadline {
                t.reply(starter.call, Err(flow.retry.failing().unwrap_or(CallError::Timeout)));
            } else if let (Some(error), Phase::Resting { until }) = (flow.retry.failing(), &flow.phase)
                && *until > starter.deadline
            {
                // No further try fits into this call's time: do not make anyone wait for nothing.
                t.reply(starter.call, Err(error));
            } else {
                flow.starters.push(starter);
            }
        }
    }

    /// The revocation that had to go first is done with, whatever came of it.
    pub(super) fn revocation_tried(&mut self, t: &Turn<'_>) {
        if let Some(flow) = &mut self.flow
            && flow.phase == Phase::Revoking
        {
            flow.phase = Phase::Resting { until: t.at() };
        }
    }

    /// Whether revocations may be sent: while a flow is past them they wait for its end.
    pub(super) fn flow_lets_revoke(&self) -> bool {
        self.flow.as_ref().is_none_or(|flow| flow.phase == Phase::Revoking)
    }

    /// RFC 8628 §3.2 answered.
    pub(super) fn code_answered(&mut self, t: &mut Turn<'_>, op: OpId, answer: CodeAnswer) {
        let Some(flow) = &mut self.flow else { return };
        let Phase::Asking { op: asked, since } = flow.phase else {
            return;
        };
        if asked != op {
            return;
        }
        match answer {
            CodeAnswer::Granted(grant) => self.show_code(t, since, grant),
            CodeAnswer::ClientRejected => self.reject_flow(t),
            CodeAnswer::BadUserCode => {
                t.note(Note::BadUserCode);
                self.fail_with(t, ErrorWord::BadUserCode);
                self.rest(t, None, CallError::ServerError, Reason::ServerError);
            }
            CodeAnswer::Failed(fault) => {
                self.fault(t, fault.kind);
                let wait = self.rest(t, fault.retry_after, fault.call_error(), fault_reason(fault));
                t.note(Note::CodeRequestFailed {
                    fault: fault.kind,
                    retry_in: wait,
                });
            }
        }
    }

    /// The server refuses our client id or secret: no code will come of asking again.
    fn reject_flow(&mut self, t: &mut Turn<'_>) {
        self.fail_with(t, ErrorWord::ClientRejected);
        t.note(Note::ClientRejected);
        self.end_flow(t, Reason::ClientRejected);
    }

    fn rest(&mut self, t: &mut Turn<'_>, retry_after: Option<Duration>, error: CallError, reason: Reason) -> Duration {
        let Some(flow) = &mut self.flow else {
            return Duration::ZERO;
        };
        let wait = flow.retry.failed(t, error, retry_after, CODE_CAP);
        flow.phase = Phase::Resting {
            until: t.at().after(wait),
        };
        flow.reason = reason;
        wait
    }

    fn show_code(&mut self, t: &mut Turn<'_>, asked: BootTime, grant: CodeGrant) {
        self.ids.code += 1;
        let id = self.ids.code;
        let Some(flow) = &mut self.flow else { return };
        t.note(Note::CodeShown {
            expires_in: grant.expires_in,
        });
        flow.retry.reset();
        flow.reason = Reason::None;
        // The first poll waits one interval: nobody types that fast, and servers throttle it.
        let next_poll = t.at().after(grant.interval);
        flow.phase = Phase::Showing(Box::new(Showing {
            code: Code {
                id,
                device_code: grant.device_code,
                user_code: grant.user_code,
                verification_uri: grant.verification_uri,
                verification_uri_complete: grant.verification_uri_complete,
                device_name: grant.device_name,
                // From when it was asked for: the server's count began no earlier.
                ends: asked.after(grant.expires_in),
            },
            interval: grant.interval,
            next_poll,
            not_before: next_poll,
            poll: None,
            blips: 0,
        }));
        self.store_flow(t);
    }

    fn store_flow(&mut self, t: &mut Turn<'_>) {
        let Some(Flow {
            phase: Phase::Showing(showing),
            give_up,
            renew,
            replace,
            ..
        }) = &self.flow
        else {
            return;
        };
        let record = FlowRecord {
            boot: self.boot,
            code: showing.code.clone(),
            interval: showing.interval,
            next_poll: showing.next_poll,
            give_up: *give_up,
            renew: *renew,
            replace: *replace,
        };
        self.store(t, Store::Flow(Some(Box::new(record))));
    }

    /// The code on show ended, by its time or by the server's word. A poll still out may yet bring the approval.
    fn code_ended(&mut self, t: &mut Turn<'_>) {
        let Some(flow) = &mut self.flow else { return };
        let Phase::Showing(showing) = &mut flow.phase else {
            return;
        };
        let (id, poll) = (flow.id, showing.poll.take());
        if flow.renew {
            // A server whose codes end at once is not asked at once.
            let spaced = flow.asked.map_or(BootTime::default(), |asked| asked.after(FLOOR));
            flow.phase = Phase::Resting {
                until: t.at().max(spaced),
            };
            flow.reason = Reason::CodeExpired;
            self.orphan(id, poll);
            self.store(t, Store::Flow(None));
        } else {
            self.orphan(id, poll);
            self.end_flow(t, Reason::CodeExpired);
        }
    }

    /// RFC 8628 §3.5 answered.
    pub(super) fn poll_answered(&mut self, t: &mut Turn<'_>, op: OpId, date: Option<WallTime>, answer: PollAnswer) {
        if let Some(at) = self.orphans.iter().position(|orphan| orphan.op == op) {
            let orphan = self.orphans.remove(at);
            if let PollAnswer::Granted(grant) = answer {
                self.orphan_granted(t, &orphan, date, grant);
            }
            return;
        }
        let now = t.at();
        let Some(Flow {
            phase: Phase::Showing(showing),
            unknown_codes,
            ..
        }) = &mut self.flow
        else {
            return;
        };
        let Some((_, since)) = showing.poll.take_if(|(polled, _)| *polled == op) else {
            return;
        };
        showing.next_poll = now.after(showing.interval);
        showing.not_before = showing.next_poll;
        if !matches!(answer, PollAnswer::CodeUnknown) {
            *unknown_codes = 0;
        }
        match answer {
            PollAnswer::Granted(grant) => self.approved(t, since, date, grant),
            PollAnswer::Pending => showing.blips = 0,
            PollAnswer::SlowDown => {
                showing.blips = 0;
                showing.interval += SLOW_DOWN;
                showing.next_poll = now.after(showing.interval);
                showing.not_before = showing.next_poll;
                t.note(Note::SlowedDown {
                    interval: showing.interval,
                });
                self.store_flow(t);
            }
            PollAnswer::Expired => self.code_ended(t),
            PollAnswer::CodeUnknown => {
                *unknown_codes += 1;
                if *unknown_codes >= UNKNOWN_CODES {
                    self.fail_with(t, ErrorWord::ServerError);
                    self.end_flow(t, Reason::ServerError);
                } else {
                    self.code_ended(t);
                }
            }
            PollAnswer::Denied => {
                self.end_flow(t, Reason::Denied);
            }
            PollAnswer::ClientRejected => self.reject_flow(t),
            PollAnswer::Failed(fault) => {
                showing.blips = (showing.blips + 1).min(BLIP_FACTOR_CAP);
                showing.not_before = now.after(showing.interval.max(fault.retry_after.unwrap_or_default()));
                showing.next_poll = now.after(showing.interval * showing.blips).max(showing.not_before);
                self.fault(t, fault.kind);
            }
        }
    }

    /// The user approved. Both generations on disk take the new pair: what it replaces must not come back.
    fn approved(&mut self, t: &mut Turn<'_>, sent: BootTime, date: Option<WallTime>, grant: TokenGrant) {
        let Some(flow) = &mut self.flow else { return };
        let device = DeviceInfo {
            name: match &flow.phase {
                Phase::Showing(showing) => showing.code.device_name.clone(),
                Phase::Revoking | Phase::Resting { .. } | Phase::Asking { .. } | Phase::Storing { .. } => String::new(),
            },
            ..DeviceInfo::default()
        };
        let pair = TokenPair {
            access: grant.access,
            refresh: grant.refresh,
            lifetime: grant.expires_in,
            obtained: stamp(self.boot, sent, date, t.now),
        };
        let pairing = Pairing {
            pair,
            mark: None,
            candidate: None,
            device,
        };
        // A refresh that was not sent would only be in the way; one that was runs on, and its outcome is dropped.
        self.abandon_unsent_refresh(t);
        self.ledger.generation = self.ledger.generation.next();
        self.ledger.grant.0 += 1;
        let store = self.store_pairing(t, pairing.clone(), Slots::Both);
        if let Some(flow) = &mut self.flow {
            flow.phase = Phase::Storing {
                store,
                pairing: Box::new(pairing),
            };
        }
    }

    /// The new pairing is on disk, or the disk fails and memory is all there is.
    pub(super) fn pairing_stored(&mut self, t: &mut Turn<'_>, op: OpId) {
        let stored = matches!(&self.flow, Some(Flow { phase: Phase::Storing { store, .. }, .. }) if *store == op);
        if !stored {
            return;
        }
        let Some(flow) = self.flow.take() else { return };
        let Phase::Storing { pairing, .. } = flow.phase else {
            return;
        };
        for starter in flow.starters {
            t.reply(starter.call, Err(CallError::AlreadyPaired));
        }
        self.store(t, Store::Flow(None));
        self.revocations.forget();
        self.store_revocations(t);
        let replaced = self.held.is_some();
        self.install(t, *pairing, replaced);
    }

    /// Takes a new grant into use.
    pub(super) fn install(&mut self, t: &mut Turn<'_>, pairing: Pairing, replaced: bool) {
        self.abandon_unsent_refresh(t);
        if matches!(self.refresh, super::refresh::Refresh::Sent { .. }) {
            t.emit(super::Effect::Release);
        }
        self.refresh = super::refresh::Refresh::Idle;
        let refreshable = pairing.pair.refresh.is_some();
        let (grant, generation) = (self.ledger.grant, self.ledger.generation);
        self.held = Some(Held::new(grant, generation, pairing, self.boot, &self.policy, t, false));
        self.idle = Reason::None;
        self.last_refreshed = Some(t.at());
        self.refused_limit = super::refresh::RefusedLimit::default();
        t.note(Note::Paired {
            generation,
            replaced,
            refreshable,
        });
        self.new_token(t);
    }

    /// An approval came for a code that is no longer on show.
    fn orphan_granted(&mut self, t: &mut Turn<'_>, orphan: &OrphanPoll, date: Option<WallTime>, grant: TokenGrant) {
        if self
            .flow
            .as_ref()
            .is_some_and(|flow| flow.id == orphan.flow && !matches!(flow.phase, Phase::Storing { .. }))
        {
            // The user was a moment late for a code, not for the flow.
            if let Some(flow) = &mut self.flow {
                match &mut flow.phase {
                    Phase::Asking { op, .. } => t.emit(super::Effect::Cancel(*op)),
                    Phase::Showing(showing) => {
                        if let Some((op, since)) = showing.poll.take() {
                            self.orphans.push(OrphanPoll {
                                op,
                                flow: orphan.flow,
                                since,
                            });
                        }
                    }
                    Phase::Revoking | Phase::Resting { .. } | Phase::Storing { .. } => {}
                }
            }
            self.approved(t, orphan.since, date, grant);
            return;
        }
        let pair = TokenPair {
            access: grant.access,
            refresh: grant.refresh,
            lifetime: grant.expires_in,
            obtained: stamp(self.boot, orphan.since, date, t.now),
        };
        if self.flow_succeeded() {
            // A newer approval of the same device is being written: at the server this pair is gone.
            return;
        }
        match &mut self.held {
            Some(held) if self.unpairing.is_none() => {
                // Same device at the server: revoking this pair could take the living one along. A probe tells which lives.
                held.candidate = Some(pair);
                self.store_current(t);
                self.want_probe(t);
            }
            // No ghost device in somebody's project.
            _ => self.revoke_pair(t, self.ledger.grant, &pair, None),
        }
    }

    /// The network may be back.
    pub(super) fn hasten_flow(&mut self, t: &Turn<'_>) {
        let now = t.at();
        let Some(flow) = &mut self.flow else { return };
        flow.retry.hasten(now);
        match &mut flow.phase {
            Phase::Resting { until } => *until = (*until).min(flow.retry.next().max(now)),
            Phase::Showing(showing) if showing.blips > 0 => {
                showing.next_poll = showing.not_before.max(now);
            }
            Phase::Revoking | Phase::Asking { .. } | Phase::Showing(_) | Phase::Storing { .. } => {}
        }
    }

    pub(super) fn flow_view(&self) -> Option<FlowView> {
        self.flow.as_ref().map(|flow| match flow.phase {
            Phase::Revoking | Phase::Resting { .. } | Phase::Asking { .. } => FlowView::Requesting(flow.reason),
            Phase::Showing(_) | Phase::Storing { .. } => FlowView::Awaiting,
        })
    }

    /// Answers everybody who waits here, because the daemon ends. The flow's file stays: it goes on after a restart.
    pub(super) fn end_starters(&mut self, t: &mut Turn<'_>) {
        if let Some(flow) = &mut self.flow {
            for starter in std::mem::take(&mut flow.starters) {
                t.reply(starter.call, Err(CallError::Timeout));
            }
        }
    }
}

impl Flow {
    /// The code on show, while it lives.
    fn view(&self, now: BootTime) -> Option<CodeView> {
        let Phase::Showing(showing) = &self.phase else {
            return None;
        };
        let code = &showing.code;
        (now < code.ends).then(|| CodeView {
            id: code.id,
            user_code: code.user_code.clone(),
            verification_uri: code.verification_uri.clone(),
            verification_uri_complete: code.verification_uri_complete.clone(),
            device_name: code.device_name.clone(),
            expires_in: code.ends.since(now),
        })
    }
}

/// What the screen says while no code can be had.
const fn fault_reason(fault: Fault) -> Reason {
    match fault.call_error() {
        CallError::Offline => Reason::Offline,
        CallError::ClockNotSet => Reason::ClockNotSet,
        _ => Reason::ServerError,
    }
}

/// Code requests that a person causes, per uid: 5 s apart, 30 an hour. Renewals and retries do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Throttle {
    callers: Vec<(u32, Vec<BootTime>)>,
}

/// Uids remembered at once. The least recent gives way; a board has one or two UI processes.
const THROTTLED_CALLERS: usize = 16;
const PER_HOUR: usize = 30;

impl Throttle {
    fn admit(&mut self, caller: u32, now: BootTime) -> bool {
        let known = self.callers.iter().position(|(uid, _)| *uid == caller);
        let mut entry = known.map_or_else(|| (caller, Vec::new()), |at| self.callers.remove(at));
        entry.1.retain(|at| now.since(*at) < Duration::from_secs(3600));
        let spaced = entry.1.last().is_none_or(|last| now.since(*last) >= FLOOR);
        let admitted = spaced && entry.1.len() < PER_HOUR;
        if admitted {
            entry.1.push(now);
        }
        self.callers.push(entry);
        if self.callers.len() > THROTTLED_CALLERS {
            self.callers.remove(0);
        }
        admitted
    }
}
