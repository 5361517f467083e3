//! Each event to the component that it concerns.
//!
//! Must never: start what a job starts (`jobs.rs`).

use super::backoff::Change;
use super::storage::Tokens;
use crate::{Answer, CallId, Command, Context, Core, Event, OpId, WallTime};

impl Core {
    /// Changes the state by one event.
    pub(super) fn apply(&mut self, cx: &mut Context<'_>, event: Event) {
        match event {
            Event::Call(call, command) => self.command(cx, call, command),
            Event::Answered { op, date, answer } => {
                self.answered(cx, op, date, answer);
            }
            Event::Stored { op, ok } => self.stored(cx, op, ok),
            Event::Tick => {}
            Event::ClockStepped => {
                if let Some(credential) = self.credential.in_hand_mut() {
                    let known = !credential.unconfirmed();
                    credential.date_from_clock(&self.setup, cx);
                    if known && credential.unconfirmed() {
                        self.want_probe(cx);
                    }
                }
                // A clock that is still not to be trusted cures nothing.
                if cx.now.wall.is_some() {
                    self.retry_by(cx, Change::Clock);
                }
            }
            Event::NetworkUp => self.retry_by(cx, Change::Network),
            Event::PolicyChanged(policy) => {
                let heartbeat = self.setup.policy().heartbeat;
                self.setup.set_policy(policy);
                if let Some(credential) = self.credential.paired_mut() {
                    credential.apply_policy(self.setup.policy());
                }
                if self.setup.policy().heartbeat != heartbeat {
                    self.reschedule_heartbeat(cx);
                }
            }
            Event::Shutdown => {
                self.shutdown.begin();
                self.abandon_unsent_refresh(cx);
                if self.storage.record_behind() && !self.storage.writes_record() {
                    self.store_current(cx, Tokens::Same);
                }
            }
        }
    }

    pub(super) fn command(&mut self, cx: &mut Context<'_>, call: CallId, command: Command) {
        match command {
            Command::StartPairing { caller, options } => self.start_pairing(cx, call, caller, options),
            Command::GetPairingCode => self.get_pairing_code(cx, call),
            Command::CancelPairing => self.cancel_pairing(cx, call),
            Command::CompletePairing(redirect) => self.complete_pairing(cx, call, redirect),
            Command::Unpair => self.unpair(cx, call),
            Command::GetAccessToken { client, min_validity } => self.get_access_token(cx, call, client, min_validity),
            Command::RejectAccessToken {
                client,
                newest,
                generation,
            } => {
                self.probe.connected(newest);
                self.reject_access_token(cx, call, client, generation);
            }
        }
    }

    fn answered(&mut self, cx: &mut Context<'_>, op: OpId, date: Option<WallTime>, answer: Answer) {
        if let (Some(date), Some(credential)) = (date, self.credential.in_hand_mut()) {
            credential.date_from_answer(date, self.setup.policy(), cx);
        }
        let waited_for = self.waited_for(cx.at());
        match answer {
            Answer::Code(answer) => self.code_answered(cx, op, answer),
            Answer::Poll(answer) => self.poll_answered(cx, op, date, answer),
            Answer::Authorize(answer) => self.authorize_answered(cx, op, answer),
            Answer::Exchange(answer) => self.exchange_answered(cx, op, date, answer),
            Answer::Prepare(answer) => self.prepared(cx, op, answer),
            Answer::Refresh(answer) => self.refreshed(cx, op, date, answer, waited_for),
            Answer::Revoke(answer) => self.revoke_answered(cx, op, answer),
            Answer::Probe(answer) => self.probe_answered(cx, op, date, answer),
        }
    }

    /// Circumstances changed: what failed and may be cured by that is tried earlier than planned.
    fn retry_by(&mut self, cx: &mut Context<'_>, change: Change) {
        let waited_for = self.waited_for(cx.at());
        self.retry_flow(cx, change);
        self.network_restored(cx, change, waited_for);
        self.retry_probe(cx, change);
        self.retry_revocations(cx, change);
    }
}
