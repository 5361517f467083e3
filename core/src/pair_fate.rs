//! The fate of each pair of tokens: the one place where that is decided.
//!
//! Owns: the decision, by where a pair comes from and what the device has by then; and what follows
//! from it. Must never: leave a pair unaccounted for at the server, or let one take the place of a
//! pair that came later.

use super::credential::Credential;
use super::pending::Pending;
use super::storage::Tokens;
use crate::{Context, Core, DeviceInfo, GrantId, LogEvent, PairingRecord, TokenPair};

/// Where a pair comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The refresh of the pairing in hand, or of one that was given up while it was out
    /// (`detached`).
    Refresh { detached: bool },
    /// A poll, or the exchange of an authorization code, whose code is no longer on show.
    /// `of_flow`: its flow still runs.
    LatePoll { of_flow: bool },
    /// The candidate beside the pair in hand, which was found alive.
    StaleCandidate,
    /// The candidate beside a pair in hand that was refused, is dead, or ended without a refresh
    /// token.
    LivingCandidate,
}

/// The state of the device when the pair comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Situation {
    pub(super) pending: Pending,
    pub(super) paired: bool,
    /// To revoke a second pair does not take the living one along.
    pub(super) separate_grants: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It takes the place of the pair in hand, in one generation at once.
    Adopt,
    /// It is a pairing of its own.
    NewPairing,
    /// It is kept beside the pair in hand, until a probe tells which of the two lives.
    Candidate,
    /// It is kept beside the new pairing that is being written.
    CandidateOfNew,
    /// It is kept until the tombstone is answered, and takes its place if that fails.
    HoldBack,
    /// The same, as a candidate; and it is on the list to be revoked if it does not.
    RevokeAndHoldBack,
    Revoke,
    /// It is worth nothing, or another entry of the list stands for it.
    Drop,
    /// Nothing is decided yet.
    Keep,
}

pub(super) const fn fate(source: Source, situation: Situation) -> Fate {
    match source {
        Source::Refresh { detached } => match situation.pending {
            Pending::Tombstone => Fate::HoldBack,
            // News of the pairing that gives way must not be written over the new one.
            Pending::NewPairing => Fate::Drop,
            // The entry on the list has learned the newest token.
            Pending::Nothing | Pending::IntentMark | Pending::RefreshedPair if detached => Fate::Drop,
            Pending::Nothing | Pending::IntentMark | Pending::RefreshedPair => Fate::Adopt,
        },
        Source::LatePoll { of_flow } => match situation.pending {
            // The user was a moment late for a code, not for the flow.
            Pending::Nothing | Pending::IntentMark | Pending::RefreshedPair | Pending::Tombstone if of_flow => {
                Fate::NewPairing
            }
            _ if situation.separate_grants => Fate::Revoke,
            // The user approved two codes. A probe tells which one lives once the first is stored.
            Pending::NewPairing => Fate::CandidateOfNew,
            Pending::Tombstone => Fate::RevokeAndHoldBack,
            Pending::Nothing | Pending::IntentMark | Pending::RefreshedPair if situation.paired => Fate::Candidate,
            // No unrevoked grant in somebody's project.
            Pending::Nothing | Pending::IntentMark | Pending::RefreshedPair => Fate::Revoke,
        },
        Source::StaleCandidate if situation.pending.may_conclude() => Fate::Drop,
        Source::LivingCandidate if situation.pending.may_conclude() => Fate::Adopt,
        Source::StaleCandidate | Source::LivingCandidate => Fate::Keep,
    }
}

impl Core {
    pub(super) fn fate(&self, source: Source) -> Fate {
        let situation = Situation {
            pending: self.storage.pending(),
            paired: self.credential.is_paired(),
            separate_grants: self.setup.policy().separate_grants,
        };
        fate(source, situation)
    }

    /// Carries out what was decided of a pair that came in. `name`: what the server calls the
    /// device, if it is a new one.
    pub(super) fn apply_fate(&mut self, cx: &mut Context<'_>, pair: TokenPair, name: String, fate: Fate) {
        match fate {
            Fate::Adopt => self.store_replacement(cx, pair, false),
            Fate::NewPairing => self.store_new_pairing(cx, pair, name),
            Fate::Candidate => self.keep_candidate(cx, pair),
            Fate::CandidateOfNew => self.pairing.keep_candidate(pair),
            Fate::HoldBack => {
                if let Some(unpairing) = &mut self.unpairing {
                    unpairing.hold_back_refreshed(pair);
                }
            }
            Fate::RevokeAndHoldBack => {
                if let Some(unpairing) = &mut self.unpairing {
                    unpairing.hold_back(pair.clone());
                }
                self.revoke_pair(cx, self.credential.grant(), &pair, None);
            }
            Fate::Revoke => {
                // Where grants are separate it is of no pairing that is or will be: nothing spares
                // it.
                let separate = self.setup.policy().separate_grants;
                let grant = if separate {
                    GrantId::default()
                } else {
                    self.credential.grant()
                };
                self.revoke_pair(cx, grant, &pair, None);
            }
            Fate::Drop | Fate::Keep => {}
        }
    }

    /// Decides about the candidate and carries it out. `None`: there is no candidate.
    pub(super) fn resolve_candidate(&mut self, cx: &mut Context<'_>, source: Source) -> Option<Fate> {
        let fate = self.fate(source);
        let credential = self.credential.paired_mut()?;
        if fate == Fate::Keep {
            return credential.stored().candidate.as_ref().map(|_| fate);
        }
        let candidate = credential.take_candidate()?;
        if fate == Fate::Adopt {
            // It takes the other's place as a refreshed one would.
            self.abandon_unsent_refresh(cx);
            self.store_replacement(cx, candidate, true);
        }
        Some(fate)
    }

    /// The same device at the server: to revoke this pair could take the living one along. A probe
    /// tells which of the two lives.
    pub(super) fn keep_candidate(&mut self, cx: &mut Context<'_>, pair: TokenPair) {
        self.list_if_listed(cx, &pair, None);
        if let Some(credential) = self.credential.paired_mut() {
            credential.set_candidate(pair);
            self.refresh.outdate();
            self.store_current(cx, Tokens::New);
            self.ask_which_lives(cx);
        }
    }

    /// The user approved: the pair is written, and shown once it is on disk.
    fn store_new_pairing(&mut self, cx: &mut Context<'_>, pair: TokenPair, name: String) {
        // A refresh that was not sent would only be in the way; one that was runs on, and its
        // outcome is dropped.
        self.abandon_unsent_refresh(cx);
        self.revoke_replaced(cx);
        self.credential.count(&pair);
        self.credential.count_grant();
        let pairing = PairingRecord {
            paired_since: pair.obtained.wall,
            authorization_expires: None,
            pair,
            mark: None,
            candidate: None,
            device: DeviceInfo {
                name,
                ..DeviceInfo::default()
            },
        };
        self.store_pairing(cx, pairing.clone(), Tokens::New, Pending::NewPairing);
        self.pairing.storing(pairing);
    }

    /// Where two grants of a device are separate, the one that gives way is revoked. It goes on the
    /// list before the new pairing goes on disk: if a crash comes in between, the entry is of the
    /// living grant and is dropped.
    fn revoke_replaced(&mut self, cx: &mut Context<'_>) {
        let Some(credential) = self.credential.paired().filter(|_| self.setup.policy().separate_grants) else {
            return;
        };
        let grant = credential.grant();
        let newest = self.refresh.replacement().unwrap_or(&credential.stored().pair).clone();
        let sent = self.refresh.sent().map(|(op, _)| op);
        self.revoke_pair(cx, grant, &newest, sent);
    }

    /// Takes a new grant into use.
    pub(super) fn install(&mut self, cx: &mut Context<'_>, pairing: PairingRecord) {
        let replaced = self.credential.is_paired();
        self.abandon_unsent_refresh(cx);
        self.refresh.start_anew(cx);
        let refreshable = pairing.pair.refresh.is_some();
        let (grant, generation) = (self.credential.grant(), self.credential.generation());
        let credential = Credential::new(grant, generation, pairing, &self.setup, cx, false);
        self.credential.pair(credential);
        cx.log(LogEvent::Paired {
            generation,
            replaced,
            refreshable,
        });
        self.new_token(cx);
    }
}

#[cfg(test)]
mod tests {
    use super::Fate::{Adopt, Candidate, CandidateOfNew, Drop, HoldBack, Keep, NewPairing, Revoke, RevokeAndHoldBack};
    use super::*;

    /// The fates of a pair from this source while each record is on its way to disk, in the order
    /// of [`Pending`].
    fn fates(source: Source, paired: bool, separate_grants: bool) -> [Fate; 5] {
        use Pending::{IntentMark, NewPairing, Nothing, RefreshedPair, Tombstone};
        [Nothing, IntentMark, RefreshedPair, NewPairing, Tombstone].map(|pending| {
            let situation = Situation {
                pending,
                paired,
                separate_grants,
            };
            fate(source, situation)
        })
    }

    #[test]
    fn each_pair_has_the_fate_of_the_table() {
        let refresh = |detached| fates(Source::Refresh { detached }, true, false);
        assert_eq!(refresh(false), [Adopt, Adopt, Adopt, Drop, HoldBack]);
        assert_eq!(refresh(true), [Drop, Drop, Drop, Drop, HoldBack]);
        let late = |of_flow, paired, separate| fates(Source::LatePoll { of_flow }, paired, separate);
        let taken = [NewPairing, NewPairing, NewPairing];
        assert_eq!(late(true, true, false)[..3], taken);
        assert_eq!(late(true, false, true)[..3], taken);
        let beside = [Candidate, Candidate, Candidate, CandidateOfNew, RevokeAndHoldBack];
        assert_eq!(late(false, true, false), beside);
        assert_eq!(late(false, false, false)[..4], [Revoke, Revoke, Revoke, CandidateOfNew]);
        assert_eq!(late(false, true, true), [Revoke; 5]);
        let candidate = |source| fates(source, true, false);
        assert_eq!(candidate(Source::StaleCandidate), [Drop, Drop, Keep, Keep, Keep]);
        assert_eq!(candidate(Source::LivingCandidate), [Adopt, Adopt, Keep, Keep, Keep]);
    }
}
