//! Each event to the component that it concerns.
//!
//! Must never: start what a job starts (`jobs.rs`).

use super::backoff::Change;
use super::storage::Tokens;
use crate::{Answer, CallId, Command, Core, Event, OpId, Turn, WallTime};

impl Core {
    /// Changes the state by one event.
    pub(super) fn apply(&mut self, t: &mut Turn<'_>, event: Event) {
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

    /// Circumstances changed: what failed and may be cured by that is tried earlier than planned.
    fn hasten(&mut self, t: &mut Turn<'_>, change: Change) {
        let waited_for = self.waited_for(t.at());
        self.hasten_flow(t, change);
        self.hasten_refresh(t, change, waited_for);
        self.hasten_probe(t, change);
        self.hasten_revocations(t, change);
    }
}
