//! The pairing of this device, or why it has none; and what is left of the pairing before.
//!
//! Owns: the credential in hand, the counters that each record carries, and the residual token: the
//! last access token of a pairing that the server ended. Must never: have a pairing and a reason
//! for having none.

mod chosen_end;
mod grant;
mod paired;

use super::Core;
use super::context::Context;
use super::effect::LogEvent;
use super::pair_fate::Source;
use super::pending::Pending;
use super::record::{Body, IntentMark, Kept, Loaded, Record, TokenPair};
use super::snapshot::{ErrorWord, Reason};
use super::time::BootTime;
use super::token::{Generation, GrantId};
pub(super) use grant::stamp;
pub(super) use paired::Credential;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Credentials {
    state: State,
    counters: Counters,
    /// The old access token after the server ended its pairing: served to its end if a probe finds
    /// it alive.
    residual: Option<Residual>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Unpaired(Reason),
    Paired(Box<Credential>),
}

/// Numbers that every record carries, whatever it says besides: the newest of each that there was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Counters {
    generation: Generation,
    grant: GrantId,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Residual {
    credential: Credential,
    /// A probe that left after the pairing's end found it alive.
    confirmed: bool,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            state: State::Unpaired(Reason::NeverPaired),
            counters: Counters::default(),
            residual: None,
        }
    }
}

impl Credentials {
    pub(super) fn paired(&self) -> Option<&Credential> {
        match &self.state {
            State::Paired(credential) => Some(credential),
            State::Unpaired(_) => None,
        }
    }

    pub(super) fn paired_mut(&mut self) -> Option<&mut Credential> {
        match &mut self.state {
            State::Paired(credential) => Some(credential),
            State::Unpaired(_) => None,
        }
    }

    pub(super) fn is_paired(&self) -> bool {
        self.paired().is_some()
    }

    /// Why there is no pairing, while there is none.
    pub(super) const fn reason(&self) -> Reason {
        match &self.state {
            State::Unpaired(reason) => *reason,
            State::Paired(_) => Reason::None,
        }
    }

    /// The device is paired from now on, by this credential.
    pub(super) fn pair(&mut self, credential: Credential) {
        self.state = State::Paired(Box::new(credential));
    }

    /// The device is not paired from now on. The credential that it had, if it had one.
    pub(super) fn unpair(&mut self, reason: Reason) -> Option<Credential> {
        match std::mem::replace(&mut self.state, State::Unpaired(reason)) {
            State::Paired(credential) => Some(*credential),
            State::Unpaired(_) => None,
        }
    }

    /// Why an unpaired device is still unpaired.
    pub(super) fn still_unpaired(&mut self, reason: Reason) {
        if let State::Unpaired(old) = &mut self.state {
            *old = reason;
        }
    }

    /// The pairing's token, or what is left of it.
    pub(super) fn in_hand(&self) -> Option<&Credential> {
        self.paired()
            .or(self.residual.as_ref().map(|residual| &residual.credential))
    }

    pub(super) fn in_hand_mut(&mut self) -> Option<&mut Credential> {
        match &mut self.state {
            State::Paired(credential) => Some(credential),
            State::Unpaired(_) => self.residual.as_mut().map(|residual| &mut residual.credential),
        }
    }

    /// The credential that may be served: the pairing's token, or what is left of it if a probe
    /// found it alive and nothing has put that in doubt since.
    pub(super) fn served(&self) -> Option<&Credential> {
        let confirmed = self
            .residual
            .as_ref()
            .filter(|residual| residual.confirmed && !residual.credential.unconfirmed());
        self.paired().or(confirmed.map(|residual| &residual.credential))
    }

    pub(super) const fn has_residual(&self) -> bool {
        self.residual.is_some()
    }

    /// Returns true if there was one.
    pub(super) fn drop_residual(&mut self) -> bool {
        self.residual.take().is_some()
    }

    pub(super) fn residual_end(&self, now: BootTime) -> Option<BootTime> {
        let credential = &self.residual.as_ref()?.credential;
        if credential.is_unusable(now) {
            Some(now)
        } else {
            // Nobody replaces one of unknown age any more.
            credential.end().or(credential.unknown_limit())
        }
    }

    /// A resource took the token in hand.
    pub(super) fn confirm(&mut self, now: BootTime) {
        if let Some(residual) = &mut self.residual {
            residual.confirmed = true;
        }
        if let Some(credential) = self.in_hand_mut() {
            credential.confirm(now);
        }
    }

    pub(super) const fn generation(&self) -> Generation {
        self.counters.generation
    }

    pub(super) const fn grant(&self) -> GrantId {
        self.counters.grant
    }

    /// The number of the token in a pair that was granted: the next one where there is a token.
    pub(super) const fn count(&mut self, pair: &TokenPair) -> Generation {
        if pair.access.is_some() {
            self.counters.generation = self.counters.generation.next();
        }
        self.counters.generation
    }

    pub(super) const fn count_grant(&mut self) {
        self.counters.grant.0 += 1;
    }
}

impl Core {
    pub(super) fn restore_record(&mut self, cx: &mut Context<'_>, loaded: Loaded, kept: Kept) {
        let unusable = match loaded {
            Loaded::Missing => return,
            Loaded::Current(record) => return self.restore(cx, record, kept, false),
            Loaded::Previous(record) => return self.restore(cx, record, kept, true),
            Loaded::Damaged => Reason::RecordDamaged,
            Loaded::KeyUnavailable if self.setup.has_state_key() => Reason::StateKeyMismatch,
            Loaded::KeyUnavailable => Reason::StateKeyMissing,
            Loaded::Foreign => Reason::ForeignRecord,
        };
        self.credential.still_unpaired(unusable);
        cx.log(LogEvent::RecordUnusable { reason: unusable });
    }

    /// `fell_back`: a newer record may have been lost.
    fn restore(&mut self, cx: &mut Context<'_>, record: Record, kept: Kept, fell_back: bool) {
        self.storage.found_record(kept);
        let spilled = kept == Kept::Spilled;
        if spilled {
            cx.log(LogEvent::RecordSpilled { doubted: fell_back });
        }
        self.credential.counters = Counters {
            generation: record.generation,
            grant: record.grant,
        };
        let mut pairing = match record.body {
            Body::Tombstone(reason) => return self.credential.still_unpaired(reason),
            Body::Paired(pairing) => *pairing,
        };
        match &mut pairing.mark {
            // Written when the mark was on its way to disk; the POST may have left as late as the
            // crash.
            Some(mark) if mark.boot == self.setup.boot() => mark.at = cx.at(),
            Some(_) => self.refresh.found_mark_of_another_boot(cx.at()),
            None => {}
        }
        if pairing.mark.is_some() && !fell_back {
            self.refresh.found_mark();
        }
        if fell_back {
            if !spilled {
                cx.log(LogEvent::RecordFellBack);
            }
            // It may have shown a token to a client under the next number. This one bears the
            // number after that from the next start on, for that is what its record will say.
            self.credential.counters.generation = record.generation.next().next();
            // The lost record may have been a newer pair, or the mark of a send of moments ago:
            // this refresh token may be spent, and was never "fine".
            pairing.mark = Some(IntentMark {
                boot: self.setup.boot(),
                at: cx.at(),
                sends: pairing.mark.map_or(1, |mark| mark.sends),
            });
        }
        let credential = Credential::new(record.grant, record.generation, pairing, &self.setup, cx, true);
        self.credential.pair(credential);
        self.reschedule_heartbeat(cx);
        self.want_probe(cx);
    }

    /// When the access token ends; with it the pairing, where there is no refresh token.
    pub(super) fn credential_end(&self, now: BootTime) -> Option<BootTime> {
        let credential = self.credential.paired()?;
        let over = credential.refresh_token().is_none()
            && credential.is_unusable(now)
            && self.storage.pending().may_conclude();
        if over {
            Some(now)
        } else {
            credential.end().filter(|end| *end > now)
        }
    }

    pub(super) fn end_residual(&mut self, cx: &mut Context<'_>) {
        self.forget_probe(cx);
    }

    /// The server says that the refresh token is worth nothing.
    pub(super) fn refresh_token_dead(&mut self, cx: &mut Context<'_>) {
        if self.resolve_candidate(cx, Source::LivingCandidate).is_some() {
            return;
        }
        let Some(credential) = self.credential.paired() else {
            return;
        };
        let reason = if credential.chosen_end().explains_end(cx.at()) {
            Reason::AuthorizationExpired
        } else if credential.stored().mark.is_some() {
            Reason::RefreshAnswerLost
        } else if credential.refresh_token_ended(cx.at()) {
            Reason::RefreshTokenExpired
        } else {
            Reason::Revoked
        };
        self.end_pairing(cx, reason);
    }

    /// The pairing is over by the server's word: a tombstone, and the last of the access token if
    /// it still lives.
    pub(super) fn end_pairing(&mut self, cx: &mut Context<'_>, reason: Reason) {
        self.forget_spared(cx);
        let Some(credential) = self.credential.unpair(reason) else {
            return;
        };
        self.fail_with(cx, ErrorWord::PairingLost);
        cx.log(LogEvent::PairingLost { reason });
        self.refresh.forget_failures();
        let retry = self.forget_probe(cx);
        self.store_tombstone(cx, reason, Pending::Nothing);
        if self.setup.policy().can_probe && !credential.is_unusable(cx.at()) && reason != Reason::NoRefreshToken {
            self.credential.residual = Some(Residual {
                credential,
                confirmed: false,
            });
            self.want_probe_of_the_same(cx, retry);
        }
    }

    /// Without a refresh token the access token's end is the pairing's.
    pub(super) fn end_if_unrefreshable(&mut self, cx: &mut Context<'_>) {
        let now = cx.at();
        if !self.storage.pending().may_conclude() {
            return;
        }
        let over = |credential: &&Credential| credential.refresh_token().is_none() && credential.is_unusable(now);
        let Some(ended) = self.credential.paired().filter(over).map(Credential::chosen_end) else {
            return;
        };
        if self.resolve_candidate(cx, Source::LivingCandidate).is_none() {
            let reason = if ended.explains_end(now) {
                Reason::AuthorizationExpired
            } else {
                Reason::NoRefreshToken
            };
            self.end_pairing(cx, reason);
        }
    }
}
