//! Each event to the room it belongs to, then everything that is due; and when something is due next.

use super::Core;
use super::backoff::Change;
use super::calls::Kind;
use super::effect::{Effect, Request};
use super::event::{Answer, Command, Event};
use super::op::{CallId, OpId};
use super::storage::Tokens;
use super::time::{BootTime, WallTime};
use super::turn::Turn;

/// A start makes at most a handful of others due (a tombstone, a revocation, a code); more would be a loop.
const MAX_ROUNDS: usize = 8;

impl Core {
    /// Changes the state by one event.
    pub(super) fn take(&mut self, t: &mut Turn<'_>, event: Event) {
        match event {
            Event::Call(call, command) => self.command(t, call, command),
            Event::Answered { op, date, answer } => {
                self.answered(t, op, date, answer);
            }
            Event::Stored { op, ok } => self.stored(t, op, ok),
            Event::Tick => {}
            Event::ClockStepped => {
                if let Some(held) = self.credential.paired_mut() {
                    let known = !held.unconfirmed();
                    held.anchor(&self.setup, t);
                    if known && held.unconfirmed() {
                        self.want_probe(t);
                    }
                }
                self.hasten(t, Change::Clock);
            }
            Event::NetworkUp => self.hasten(t, Change::Network),
            Event::PolicyChanged(policy) => {
                self.setup.set_policy(policy);
                if let Some(held) = self.credential.paired_mut() {
                    held.follow(self.setup.policy(), t);
                }
                self.reschedule_heartbeat(t);
            }
            Event::Shutdown => {
                self.shutdown.begin();
                self.abandon_unsent_refresh(t);
                if self.storage.record_behind() && !self.storage.writes_record() {
                    self.store_current(t, Tokens::Same);
                }
            }
        }
    }

    pub(super) fn command(&mut self, t: &mut Turn<'_>, call: CallId, command: Command) {
        match command {
            Command::StartPairing { caller, options } => self.start_pairing(t, call, caller, options),
            Command::GetPairingCode => self.get_pairing_code(t, call),
            Command::CancelPairing => self.cancel_pairing(t, call),
            Command::CompletePairing(redirect) => self.complete_pairing(t, call, redirect),
            Command::Unpair => self.unpair(t, call),
            Command::GetAccessToken { client, min_validity } => self.get_access_token(t, call, client, min_validity),
            Command::RejectAccessToken {
                client,
                newest,
                generation,
            } => {
                self.probe.connected(newest);
                self.reject_access_token(t, call, client, generation);
            }
        }
    }

    fn answered(&mut self, t: &mut Turn<'_>, op: OpId, date: Option<WallTime>, answer: Answer) {
        if let (Some(date), Some(held)) = (date, self.credential.paired_mut()) {
            held.learn(date, self.setup.policy(), t);
        }
        let waited_for = self.waited_for(t.at());
        match answer {
            Answer::Code(answer) => self.code_answered(t, op, answer),
            Answer::Poll(answer) => self.poll_answered(t, op, date, answer),
            Answer::Authorize(answer) => self.authorize_answered(t, op, answer),
            Answer::Exchange(answer) => self.exchange_answered(t, op, date, answer),
            Answer::Prepare(answer) => self.prepared(t, op, answer),
            Answer::Refresh(answer) => self.refreshed(t, op, date, answer, waited_for),
            Answer::Revoke(answer) => self.revoke_answered(t, op, answer),
            Answer::Resource(answer) => self.probe_answered(t, op, answer),
        }
    }

    /// Starts everything that is due, and what that makes due in turn.
    pub(super) fn run(&mut self, t: &mut Turn<'_>) {
        let now = t.at();
        for _ in 0..MAX_ROUNDS {
            self.round(t);
            if self.agenda(now).is_none_or(|next| next > now) {
                return;
            }
        }
    }

    fn round(&mut self, t: &mut Turn<'_>) {
        let now = t.at();
        self.end_if_unrefreshable(t);
        if self.credential.residual_is_over(now) {
            self.forget_probe(t);
        }
        self.retry_commands(t);
        self.answer_due(t, Kind::Durable);
        self.answer_due(t, Kind::Unpaired);
        self.warn(t);
        if self.disk_due(self.waited_for(now)).is_some_and(|at| at <= now) {
            if self.storage.record_behind() {
                self.store_current(t, Tokens::Same);
            }
            if self.storage.revocations_unknown() {
                self.store_revocations(t);
            }
        }
        self.start_revocation(t);
        self.run_flow(t);
        // The probe before the callers: whether they wait for it is judged by its being out.
        self.start_probe(t);
        self.examine_by_refresh();
        self.answer_due(t, Kind::Token);
        if self.refresh_starts(self.waited_for(now)).is_some_and(|at| at <= now) && !self.storage.behind() {
            self.start_refresh(t);
            self.examine_by_refresh();
        }
    }

    /// When something is due next, even if nothing happens.
    pub(super) fn agenda(&self, now: BootTime) -> Option<BootTime> {
        [
            self.disk_due(self.waited_for(now)),
            self.call_due(Kind::Retry, now),
            self.call_due(Kind::Durable, now),
            self.call_due(Kind::Unpaired, now),
            self.calls.deadline(Kind::PairingCode),
            self.call_due(Kind::RedirectResult, now),
            self.call_due(Kind::ProbeResult, now),
            self.flow_due(now),
            self.revocation_deadline(),
            self.call_due(Kind::Token, now),
            self.probe_deadline(now),
            self.refresh_starts(self.waited_for(now)),
            self.warning_due(),
            self.credential.next_end(now),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether something is under way that must not be cut.
    pub(super) fn busy(&self) -> bool {
        self.refresh.sent().is_some()
            || self.polling()
            || self.revocations.waiting()
            || self.storage.newest_write().is_some()
    }

    /// Circumstances changed: what failed and may be cured by that is tried earlier than planned.
    fn hasten(&mut self, t: &mut Turn<'_>, change: Change) {
        let waited_for = self.waited_for(t.at());
        self.hasten_flow(t, change);
        self.hasten_refresh(t, change, waited_for);
        self.hasten_probe(t, change);
        self.hasten_revocations(t, change);
    }

    /// Whether anything new may be started.
    pub(super) fn may_start(&self) -> bool {
        self.shutdown.is_running()
    }

    /// Whether anything may be started that needs the client secret.
    pub(super) fn may_use_secret(&self) -> bool {
        self.may_start() && self.setup.is_ready()
    }

    pub(super) fn request(&mut self, t: &mut Turn<'_>, request: Request) -> OpId {
        let op = self.ids.next_op();
        t.emit(Effect::Request(op, request));
        op
    }
}
