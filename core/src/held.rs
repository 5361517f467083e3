//! The pairing in memory: one pair of tokens and what is known about their lives.
//!
//! Owns the two lives (access token, refresh token) as deadlines on boottime, whatever clock they were concluded from, and
//! draws those conclusions again when the wall clock changes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::event::{TokenGrant, TokenKind, Unusable};
use super::policy::Policy;
use super::record::{IntentMark, Pairing, Stamp, TokenPair};
use super::snapshot::DeviceInfo;
use super::time::{BootId, BootTime, Now, WallTime};
use super::token::{Generation, GrantId, RefreshToken};
use super::turn::Turn;

/// What a token of unknown age is said to live for: long enough to start an upload, short enough to ask again soon.
const VOUCHED_LIFE: Duration = Duration::from_secs(60);

/// How long a token of unknown age is served before it is replaced by one whose age is known: time synchronisation that
/// works at all has worked by then.
const UNKNOWN_AGE_LIMIT: Duration = Duration::from_secs(10 * 60);

/// How long after an answer whose access token cannot be used the next is asked for: each refresh gives the same until a person
/// changes something at the server, spends a refresh token and can lose its answer.
const UNUSABLE_LIFE: Duration = Duration::from_secs(15 * 60);

/// Uids kept of those that hold a generation. A board has a handful of uploaders; rather than keep more in growing memory, the
/// right to reject is then granted to all.
const MAX_HANDED: usize = 64;

/// A pairing and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub(super) grant: GrantId,
    pub(super) generation: Generation,
    pub(super) pair: TokenPair,
    pub(super) device: DeviceInfo,
    /// An unanswered send of this refresh token.
    pub(super) ambiguous: Option<IntentMark>,
    /// See [`Pairing::candidate`].
    pub(super) candidate: Option<TokenPair>,
    /// A resource answered 401 to this access token: its life is 0.
    pub(super) refused: bool,
    /// A client says so, where nobody can be asked: it is to be replaced, and serves until then.
    pub(super) rejected: bool,
    pub(super) life: Life,
    /// Whether `life` and `refresh_ends` were concluded from the system's wall clock, which may be stepped.
    by_wall_clock: bool,
    /// When the refresh token is predicted to end; `None` while its age is unknown. A passed end saturates at boot.
    pub(super) refresh_ends: Option<BootTime>,
    /// How long before the token's end the advisory window opens. Drawn once, so that no step of a clock moves the window.
    window: Duration,
    /// Who was handed this generation, and may therefore reject it.
    handed: Handed,
}

/// How long the access token still lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Life {
    /// Ends then.
    Until(BootTime),
    /// Obtained in another boot, and no clock tells how long ago.
    Unknown {
        /// Since when we could know, had anybody told the time. `None` before a server was heard of.
        since: Option<BootTime>,
        /// A resource took it, or there is none that could be asked.
        vouched: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Handed {
    /// To these uids.
    To(BTreeSet<u32>),
    /// Before a restart, or to more than we keep: any uploader may reject.
    Anyone,
}

impl Held {
    /// Takes a pair into use.
    pub(super) fn new(
        grant: GrantId,
        generation: Generation,
        pairing: Pairing,
        boot: BootId,
        policy: &Policy,
        t: &mut Turn<'_>,
        restored: bool,
    ) -> Self {
        let mut held = Self {
            grant,
            generation,
            pair: pairing.pair,
            device: pairing.device,
            ambiguous: pairing.mark,
            candidate: pairing.candidate,
            refused: false,
            rejected: false,
            // Concluded below.
            life: Life::Until(BootTime::default()),
            by_wall_clock: false,
            refresh_ends: None,
            window: Duration::ZERO,
            handed: if restored {
                Handed::Anyone
            } else {
                Handed::To(BTreeSet::new())
            },
        };
        held.follow(policy, t);
        held.doubt(policy, t);
        held.anchor(boot, policy, t);
        held
    }

    /// Concludes both lives from this boot's clock, or else from the trusted wall clock.
    pub(super) fn anchor(&mut self, boot: BootId, policy: &Policy, t: &Turn<'_>) {
        let now = t.now;
        if self.pair.obtained.boot == boot {
            self.life = Life::Until(self.pair.obtained.at.after(self.pair.lifetime));
            self.refresh_ends = Some(self.pair.obtained.at.after(policy.refresh_token_life));
        } else if self.by_wall_clock || matches!(self.life, Life::Unknown { .. }) {
            // What a verified `Date` taught stands on boottime since, and no step of the clock touches it.
            if let Some(wall) = now.wall {
                self.anchor_to(wall, policy, now.boot);
                self.by_wall_clock = matches!(self.life, Life::Until(_));
            } else if self.by_wall_clock {
                self.doubt(policy, t);
            }
        }
    }

    /// The verified `Date` of an answer, whatever the answer: better than a wall clock, and than nothing.
    pub(super) fn learn(&mut self, date: WallTime, policy: &Policy, t: &Turn<'_>) {
        if self.uncertain() {
            self.anchor_to(date, policy, t.at());
            self.by_wall_clock &= matches!(self.life, Life::Unknown { .. });
        }
    }

    /// Whether the age is unknown, or known by the wall clock alone.
    fn uncertain(&self) -> bool {
        self.by_wall_clock || matches!(self.life, Life::Unknown { .. })
    }

    /// The wall clock is not believed any more, and nothing else has told the age.
    pub(super) fn doubt(&mut self, policy: &Policy, t: &Turn<'_>) {
        self.by_wall_clock = false;
        let asked = self.askable(policy);
        // Where nobody can be asked it is taken to live, and its time counts from now.
        self.life = Life::Unknown {
            since: (!asked).then(|| t.at()),
            vouched: !asked,
        };
        self.refresh_ends = None;
    }

    /// A resource refused the access token. Whether that tells how old it is, and nothing more: nobody knew for sure.
    pub(super) fn ended_unnoticed(&mut self, now: BootTime) -> bool {
        let unnoticed = self.uncertain();
        if unnoticed {
            self.by_wall_clock = false;
            self.life = Life::Until(now);
        }
        unnoticed
    }

    /// Another policy: the advisory window moves. It is jittered by ±10 % of its distance so that devices switched on
    /// together do not refresh together.
    pub(super) fn follow(&mut self, policy: &Policy, t: &mut Turn<'_>) {
        let life = self.pair.lifetime;
        let open_after = life * u32::from(policy.refresh_at_percent) / 100;
        let jitter = open_after / 10;
        let open_after = t
            .draw(open_after.saturating_sub(jitter), open_after + jitter)
            .min(life * 95 / 100);
        self.window = life.saturating_sub(open_after);
    }

    /// When the advisory window opens. A token of unknown age has none.
    pub(super) fn advisory(&self) -> Option<BootTime> {
        match self.life {
            Life::Until(end) => Some(end.before(self.window)),
            Life::Unknown { .. } => None,
        }
    }

    /// Concludes both lives from a wall time that is now (the trusted clock's, or a verified `Date`).
    fn anchor_to(&mut self, wall: WallTime, policy: &Policy, now: BootTime) {
        let Some(obtained) = self.pair.obtained.wall else {
            return;
        };
        // A clock behind the token's birth says nothing; the floor makes that rare.
        let age = wall.since(obtained);
        let end = |life: Duration| {
            life.checked_sub(age)
                .map_or(BootTime::default(), |left| now.after(left))
        };
        self.refresh_ends = Some(end(policy.refresh_token_life));
        self.life = Life::Until(end(self.pair.lifetime));
    }

    /// Whether a resource can be asked about the access token.
    pub(super) const fn askable(&self, policy: &Policy) -> bool {
        policy.can_probe && self.usable()
    }

    /// Whether there is an access token to serve.
    pub(super) const fn usable(&self) -> bool {
        self.pair.access.is_some()
    }

    /// When another access token is asked for in the place of one that cannot be used.
    pub(super) fn unusable_until(&self) -> Option<BootTime> {
        match self.life {
            Life::Until(end) => Some(end),
            Life::Unknown { .. } => self.unknown_limit(),
        }
    }

    /// Life left, as far as is known: a vouched token of unknown age counts as [`VOUCHED_LIFE`], a refused one as dead.
    pub(super) fn left(&self, now: BootTime) -> Duration {
        match self.life {
            _ if self.refused || !self.usable() => Duration::ZERO,
            Life::Until(end) => end.since(now),
            Life::Unknown { vouched: true, .. } => VOUCHED_LIFE,
            Life::Unknown { vouched: false, .. } => Duration::ZERO,
        }
    }

    /// Ended, refused or of no use. A token of unknown age is not dead: nobody said so.
    pub(super) fn dead(&self, now: BootTime) -> bool {
        self.refused || !self.usable() || matches!(self.life, Life::Until(end) if end <= now)
    }

    /// Whether its age is unknown and nothing vouches for it.
    pub(super) fn unvouched(&self) -> bool {
        !self.refused && self.usable() && matches!(self.life, Life::Unknown { vouched: false, .. })
    }

    /// Younger than a quarter of its life: no caller's wish refreshes it.
    pub(super) fn young(&self, now: BootTime) -> bool {
        matches!(self.life, Life::Until(end) if end.since(now) > self.pair.lifetime * 3 / 4)
    }

    /// When a token of unknown age is replaced although it works.
    pub(super) fn unknown_limit(&self) -> Option<BootTime> {
        match self.life {
            Life::Unknown { since: Some(since), .. } => Some(since.after(UNKNOWN_AGE_LIMIT)),
            // Nobody can be asked, and the server was out of reach: the next connection tells from when it counts.
            Life::Unknown {
                since: None,
                vouched: true,
            } => Some(BootTime::default()),
            Life::Unknown {
                since: None,
                vouched: false,
            }
            | Life::Until(_) => None,
        }
    }

    /// A server was reached, and what it said or failed to say told no time: no probe may ever tell more. Or no connection could
    /// be had, which counts where nobody can be asked.
    pub(super) fn reached(&mut self, server: bool, now: BootTime) {
        if let Life::Unknown { since, .. } = &mut self.life {
            *since = server.then(|| since.unwrap_or(now));
        }
    }

    /// Whether the age is known by the wall clock alone, which anybody may have set.
    pub(super) fn by_wall_clock(&self) -> bool {
        self.by_wall_clock
    }

    /// A resource took the token, and its answer told no time that helps.
    pub(super) fn vouch(&mut self, now: BootTime) {
        if let Life::Unknown { since, .. } = self.life {
            self.life = Life::Unknown {
                since: since.or(Some(now)),
                vouched: true,
            };
        }
    }

    pub(super) fn hand_to(&mut self, caller: u32) {
        if let Handed::To(uids) = &mut self.handed {
            uids.insert(caller);
            if uids.len() > MAX_HANDED {
                self.handed = Handed::Anyone;
            }
        }
    }

    pub(super) fn may_reject(&self, caller: u32) -> bool {
        match &self.handed {
            Handed::To(uids) => uids.contains(&caller),
            Handed::Anyone => true,
        }
    }

    /// Refused by a resource, or by a client's word: to be replaced, within the limit.
    pub(super) fn challenged(&self) -> bool {
        self.refused || self.rejected
    }

    /// Whether the refresh token is past its predicted end.
    pub(super) fn refresh_token_ended(&self, now: BootTime) -> bool {
        self.refresh_ends.is_some_and(|end| end <= now)
    }

    /// As it is to be stored, with the mark that applies now.
    pub(super) fn to_pairing(&self, mark: Option<IntentMark>) -> Pairing {
        Pairing {
            pair: self.pair.clone(),
            mark,
            candidate: self.candidate.clone(),
            device: self.device.clone(),
        }
    }
}

impl TokenGrant {
    /// The tokens of it that cannot be used.
    pub(super) fn unusable(&self) -> impl Iterator<Item = (TokenKind, Unusable)> + use<> {
        let access = self.access.as_ref().err().map(|why| (TokenKind::Access, *why));
        let refresh = self.refresh.as_ref().err().map(|why| (TokenKind::Refresh, *why));
        access.into_iter().chain(refresh)
    }

    /// As it is to be stored. `old`: the refresh token that stays in force where no other came.
    pub(super) fn into_pair(self, old: Option<&RefreshToken>, obtained: Stamp, t: &mut Turn<'_>) -> TokenPair {
        let lifetime = if self.access.is_ok() {
            self.expires_in
        } else {
            t.draw(UNUSABLE_LIFE * 9 / 10, UNUSABLE_LIFE * 11 / 10)
        };
        TokenPair {
            access: self.access.ok(),
            // A token that came and cannot be used has replaced the old one at the server.
            refresh: self.refresh.map_or(None, |new| new.or_else(|| old.cloned())),
            lifetime,
            obtained,
        }
    }
}

/// Where a request that brought tokens stood in time.
pub(super) fn stamp(boot: BootId, sent: BootTime, date: Option<WallTime>, now: Now) -> Stamp {
    // Both clocks were read when the answer came; a second more covers what whole seconds lose.
    let since = now.boot.since(sent) + Duration::from_secs(1);
    Stamp {
        boot,
        at: sent,
        wall: date.or(now.wall).map(|wall| wall.before(since)),
    }
}
