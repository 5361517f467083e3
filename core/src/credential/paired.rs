//! The pairing in memory: one pair of tokens and what is known about their lives.
//!
//! Owns the two lives (access token, refresh token) as deadlines on boottime, whatever clock they
//! were concluded from, and draws those conclusions again when the wall clock changes.

mod status;

use std::collections::BTreeSet;
use std::time::Duration;

use super::chosen_end::ChosenEnd;
use crate::setup::Setup;
use crate::{
    BootTime, Contact, Context, Generation, GrantId, IntentMark, PairingRecord, Policy, RefreshToken, TokenPair,
    WallTime,
};

/// The life that a token of unknown age is given: long enough to start an upload, short enough to
/// ask again soon.
const CONFIRMED_LIFE: Duration = Duration::from_secs(60);

/// How long a token of unknown age is served before it is replaced by one whose age is known: time
/// synchronisation that works at all has worked by then.
const UNKNOWN_AGE_LIMIT: Duration = Duration::from_secs(10 * 60);

/// The advisory window opens by up to so many ten-thousandths of its distance earlier or later, so
/// that devices switched on together do not refresh together.
const JITTER: u32 = 1_000;

/// A clock that differs by less from what is known changes nothing: time synchronisation sets it by
/// fractions of a second, each second if it likes, and a `Date` has whole seconds.
const SMALL_STEP: Duration = Duration::from_secs(10);

/// Uids kept of those that hold a generation. A board has a handful of uploaders; rather than keep
/// more in growing memory, the right to reject is then granted to all.
const MAX_HANDED: usize = 64;

/// A pairing and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Credential {
    grant: GrantId,
    generation: Generation,
    /// As it is stored; the mark is of an unanswered send of this refresh token.
    stored: PairingRecord,
    /// A resource answered 401 to this access token: its life is 0.
    rejected_by_server: bool,
    /// A client says so, where nobody can be asked: it is to be replaced, and serves until then.
    reported: bool,
    expiry: Expiry,
    /// True if `expiry` and `refresh_ends` were concluded from the system's wall clock, which may
    /// be stepped.
    by_wall_clock: bool,
    /// When the refresh token is predicted to end; `None` while its age is unknown. A passed end
    /// saturates at boot.
    refresh_ends: Option<BootTime>,
    /// How far the opening of the advisory window is moved, in ten-thousandths of its distance.
    /// Drawn once for each token, so that neither a clock nor a reload draws the window anew.
    jitter: u32,
    /// How long before the token's end the advisory window opens.
    window: Duration,
    /// Uids that were handed this generation, and may therefore reject it.
    handed: Handed,
    chosen_end: ChosenEnd,
    contact: Contact,
}

/// How long the access token still lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Expiry {
    At(BootTime),
    /// Obtained in another boot, and no clock tells how long ago.
    Unknown {
        /// Since when we could know, had anybody told the time. `None` before a server was heard
        /// of.
        since: Option<BootTime>,
        /// A resource took it, or there is none that could be asked.
        confirmed: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Handed {
    To(BTreeSet<u32>),
    /// Before a restart, or to more than we keep: any uploader may reject.
    Anyone,
}

impl Credential {
    pub(crate) fn new(
        grant: GrantId,
        generation: Generation,
        stored: PairingRecord,
        setup: &Setup,
        cx: &mut Context<'_>,
        restored: bool,
    ) -> Self {
        let mut credential = Self {
            grant,
            generation,
            stored,
            rejected_by_server: false,
            reported: false,
            // Concluded below.
            expiry: Expiry::At(BootTime::default()),
            by_wall_clock: false,
            refresh_ends: None,
            jitter: draw_jitter(cx),
            window: Duration::ZERO,
            handed: if restored {
                Handed::Anyone
            } else {
                Handed::To(BTreeSet::new())
            },
            chosen_end: ChosenEnd::default(),
            contact: Contact::default(),
        };
        credential.apply_policy(setup.policy());
        credential.doubt(setup.policy(), cx);
        credential.date_from_clock(setup, cx);
        credential
    }

    pub(crate) const fn grant(&self) -> GrantId {
        self.grant
    }

    pub(crate) const fn generation(&self) -> Generation {
        self.generation
    }

    /// The tokens, the mark of an unanswered send of this refresh token, the candidate and the
    /// device.
    pub(crate) const fn stored(&self) -> &PairingRecord {
        &self.stored
    }

    pub(crate) const fn refresh_token(&self) -> Option<&RefreshToken> {
        self.stored.pair.refresh.as_ref()
    }

    pub(crate) const fn set_ambiguous(&mut self, mark: IntentMark) {
        self.stored.mark = Some(mark);
    }

    /// The server did not carry that send out. Whether there was one.
    pub(crate) const fn clear_mark(&mut self) -> bool {
        self.stored.mark.take().is_some()
    }

    pub(crate) fn set_candidate(&mut self, candidate: TokenPair) {
        self.stored.candidate = Some(candidate);
    }

    pub(crate) const fn take_candidate(&mut self) -> Option<TokenPair> {
        self.stored.candidate.take()
    }

    /// True if a resource answered 401 to this access token.
    pub(crate) const fn rejected_by_server(&self) -> bool {
        self.rejected_by_server
    }

    pub(crate) const fn mark_rejected(&mut self) {
        self.rejected_by_server = true;
    }

    /// A client says that it is refused, and nobody can be asked.
    pub(crate) const fn report(&mut self) {
        self.reported = true;
    }

    /// When the refresh token is predicted to end, if that is known.
    pub(crate) const fn refresh_ends(&self) -> Option<BootTime> {
        self.refresh_ends
    }

    /// When the access token's life ends, if that is known.
    pub(crate) const fn end(&self) -> Option<BootTime> {
        match self.expiry {
            Expiry::At(end) => Some(end),
            Expiry::Unknown { .. } => None,
        }
    }

    /// True if the token does not do for a caller that needs this life. Nothing less will do than a
    /// quarter of a fresh one's.
    pub(crate) fn short_of(&self, need: Duration, now: BootTime) -> bool {
        let need = need.min(self.stored.pair.expires_in / 4);
        match self.expiry {
            _ if self.is_unusable(now) => true,
            Expiry::At(_) => self.remaining(now) < need && !self.young(now),
            // Nothing is known of its age: as long as a resource takes it, it does.
            Expiry::Unknown { .. } => false,
        }
    }

    /// From when the token does not do for such a caller, if its end is known.
    pub(crate) fn short_from(&self, need: Duration) -> Option<BootTime> {
        let need = need.min(self.stored.pair.expires_in / 4);
        Some(self.end()?.before(need).after(Duration::from_millis(1)))
    }

    /// The same pairing with another pair.
    pub(crate) fn refreshed(
        self,
        pair: TokenPair,
        generation: Generation,
        setup: &Setup,
        cx: &mut Context<'_>,
    ) -> Self {
        // The candidate came in after the refresh left, or while this pair was being written.
        let stored = PairingRecord {
            pair,
            mark: None,
            ..self.stored
        };
        let told = (self.chosen_end, self.contact);
        Self::new(self.grant, generation, stored, setup, cx, false).with_status(told)
    }

    /// Concludes both lives from this boot's clock, or else from the trusted wall clock.
    pub(crate) fn date_from_clock(&mut self, setup: &Setup, cx: &Context<'_>) {
        let policy = setup.policy();
        let now = cx.now;
        self.chosen_end.date_from_clock(self.stored.authorization_expires, now);
        if self.stored.pair.obtained.boot == setup.boot() {
            self.expiry = Expiry::At(self.stored.pair.obtained.at.after(self.stored.pair.expires_in));
            self.refresh_ends = Some(self.stored.pair.obtained.at.after(policy.refresh_token_life));
        } else if self.by_wall_clock || matches!(self.expiry, Expiry::Unknown { .. }) {
            // A conclusion from a verified `Date` stands on boottime since, and no step of the
            // clock touches it.
            if let Some(wall) = now.wall {
                self.date_from(wall, policy, now.boot);
                self.by_wall_clock = matches!(self.expiry, Expiry::At(_));
            } else if self.by_wall_clock {
                self.doubt(policy, cx);
            }
        }
    }

    /// The verified `Date` of an answer, whatever the answer: better than a wall clock, and than
    /// nothing.
    pub(crate) fn date_from_answer(&mut self, date: WallTime, policy: &Policy, cx: &Context<'_>) {
        let expires = self.stored.authorization_expires;
        self.chosen_end.date_from_answer(expires, date, cx.at());
        if self.uncertain() {
            self.date_from(date, policy, cx.at());
            self.by_wall_clock &= matches!(self.expiry, Expiry::Unknown { .. });
        }
    }

    /// True if the age is unknown, or known by the wall clock alone.
    fn uncertain(&self) -> bool {
        self.by_wall_clock || matches!(self.expiry, Expiry::Unknown { .. })
    }

    /// The wall clock is not believed any more, and nothing else has told the age.
    pub(crate) fn doubt(&mut self, policy: &Policy, cx: &Context<'_>) {
        self.by_wall_clock = false;
        let asked = self.askable(policy);
        // Where nobody can be asked it is taken to live, and its time counts from now.
        self.expiry = Expiry::Unknown {
            since: (!asked).then(|| cx.at()),
            confirmed: !asked,
        };
        self.refresh_ends = None;
    }

    /// A resource refused the access token. Whether that tells how old it is, and nothing more:
    /// nobody knew for sure.
    pub(crate) fn ended_unnoticed(&mut self, now: BootTime) -> bool {
        let unnoticed = self.uncertain();
        if unnoticed {
            self.by_wall_clock = false;
            self.expiry = Expiry::At(now);
        }
        unnoticed
    }

    /// Another policy: the advisory window moves.
    pub(crate) fn apply_policy(&mut self, policy: &Policy) {
        let expires_in = self.stored.pair.expires_in;
        let open_after = expires_in * u32::from(policy.refresh_at_percent) / 100;
        let jittered = open_after * (10_000 - JITTER + self.jitter) / 10_000;
        self.window = expires_in.saturating_sub(jittered.min(expires_in * 95 / 100));
    }

    /// When the advisory window opens. A token of unknown age has none.
    pub(crate) fn refresh_after(&self) -> Option<BootTime> {
        match self.expiry {
            Expiry::At(end) => Some(end.before(self.window)),
            Expiry::Unknown { .. } => None,
        }
    }

    /// Concludes both lives from a wall time that is now (the trusted clock's, or a verified
    /// `Date`).
    fn date_from(&mut self, wall: WallTime, policy: &Policy, now: BootTime) {
        let Some(obtained) = self.stored.pair.obtained.wall else {
            return;
        };
        // A clock behind the token's birth says nothing; the floor makes that rare.
        let age = wall.since(obtained);
        let end = |expires_in: Duration| {
            expires_in
                .checked_sub(age)
                .map_or(BootTime::default(), |remaining| now.after(remaining))
        };
        let expires = end(self.stored.pair.expires_in);
        if let Expiry::At(known) = self.expiry
            && known.since(expires).max(expires.since(known)) < SMALL_STEP
        {
            return;
        }
        self.refresh_ends = Some(end(policy.refresh_token_life));
        self.expiry = Expiry::At(expires);
    }

    /// True if a resource can be asked about the access token.
    pub(crate) const fn askable(&self, policy: &Policy) -> bool {
        policy.can_probe && self.has_access_token()
    }

    /// True if there is an access token to serve.
    pub(crate) const fn has_access_token(&self) -> bool {
        self.stored.pair.access.is_some()
    }

    /// When another access token is asked for in the place of one that cannot be used.
    pub(crate) fn unusable_until(&self) -> Option<BootTime> {
        match self.expiry {
            Expiry::At(end) => Some(end),
            Expiry::Unknown { .. } => self.unknown_limit(),
        }
    }

    /// Life left, as far as is known: a confirmed token of unknown age counts as
    /// [`CONFIRMED_LIFE`], a refused one as dead.
    pub(crate) fn remaining(&self, now: BootTime) -> Duration {
        match self.expiry {
            _ if self.rejected_by_server || !self.has_access_token() => Duration::ZERO,
            Expiry::At(end) => end.since(now),
            Expiry::Unknown { confirmed: true, .. } => CONFIRMED_LIFE,
            Expiry::Unknown { confirmed: false, .. } => Duration::ZERO,
        }
    }

    /// Ended, refused or of no use. A token of unknown age is not dead: nobody said so.
    pub(crate) fn is_unusable(&self, now: BootTime) -> bool {
        self.rejected_by_server || !self.has_access_token() || matches!(self.expiry, Expiry::At(end) if end <= now)
    }

    /// True if its age is unknown and nothing vouches for it.
    pub(crate) fn unconfirmed(&self) -> bool {
        !self.rejected_by_server
            && self.has_access_token()
            && matches!(self.expiry, Expiry::Unknown { confirmed: false, .. })
    }

    /// Younger than a quarter of its life: no caller's wish refreshes it.
    pub(crate) fn young(&self, now: BootTime) -> bool {
        matches!(self.expiry, Expiry::At(end) if end.since(now) > self.stored.pair.expires_in * 3 / 4)
    }

    /// When a token of unknown age is replaced although it works.
    pub(crate) fn unknown_limit(&self) -> Option<BootTime> {
        match self.expiry {
            Expiry::Unknown { since: Some(since), .. } => Some(since.after(UNKNOWN_AGE_LIMIT)),
            // Nobody can be asked, and the server was out of reach: the next connection tells from
            // when it counts.
            Expiry::Unknown {
                since: None,
                confirmed: true,
            } => Some(BootTime::default()),
            Expiry::Unknown {
                since: None,
                confirmed: false,
            }
            | Expiry::At(_) => None,
        }
    }

    /// A server was reached, and what it said or failed to say told no time: no probe may ever tell
    /// more. Or no connection could be had, which counts where nobody can be asked.
    pub(crate) fn reached(&mut self, server: bool, now: BootTime) {
        if let Expiry::Unknown { since, .. } = &mut self.expiry {
            *since = server.then(|| since.unwrap_or(now));
        }
    }

    /// True if the age is known by the wall clock alone, which anybody may have set.
    pub(crate) fn by_wall_clock(&self) -> bool {
        self.by_wall_clock
    }

    /// A resource took the token, and its answer told no time that helps.
    pub(crate) fn confirm(&mut self, now: BootTime) {
        if let Expiry::Unknown { since, .. } = self.expiry {
            self.expiry = Expiry::Unknown {
                since: since.or(Some(now)),
                confirmed: true,
            };
        }
    }

    pub(crate) fn hand_to(&mut self, caller: u32) {
        if let Handed::To(uids) = &mut self.handed {
            uids.insert(caller);
            if uids.len() > MAX_HANDED {
                self.handed = Handed::Anyone;
            }
        }
    }

    pub(crate) fn may_reject(&self, caller: u32) -> bool {
        match &self.handed {
            Handed::To(uids) => uids.contains(&caller),
            Handed::Anyone => true,
        }
    }

    /// Refused by a resource, or by a client's word: to be replaced, within the limit.
    pub(crate) fn needs_replacing(&self) -> bool {
        self.rejected_by_server || self.reported
    }

    /// True if the refresh token is past its predicted end.
    pub(crate) fn refresh_token_ended(&self, now: BootTime) -> bool {
        self.refresh_ends.is_some_and(|end| end <= now)
    }

    /// As it is to be stored, with the mark that applies now.
    pub(crate) fn to_pairing(&self, mark: Option<IntentMark>) -> PairingRecord {
        PairingRecord {
            mark,
            ..self.stored.clone()
        }
    }
}

/// In ten-thousandths, from 0 to twice [`JITTER`].
fn draw_jitter(cx: &mut Context<'_>) -> u32 {
    let most = Duration::from_millis(u64::from(2 * JITTER));
    u32::try_from(cx.draw(Duration::ZERO, most).as_millis()).unwrap_or(JITTER)
}
