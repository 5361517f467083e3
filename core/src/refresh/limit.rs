//! How often a refresh may be asked for by a 401, or by a client's word of one.

use std::time::Duration;

use crate::BootTime;

/// How far apart refreshes are that a 401 asked for, or a client's word of one, while new tokens
/// are refused too.
const REFUSED_SPACING: Duration = Duration::from_secs(5 * 60);
const REFUSED_SPACING_CAP: Duration = Duration::from_secs(3600);

/// The limit of refreshes that only a 401 asks for: a token endpoint must not be driven by a broken
/// resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RejectionLimit {
    /// When the last such refresh brought a token: one that brings none costs the server nothing
    /// and the daemon its token.
    last: Option<BootTime>,
    spacing: Duration,
    /// The token in hand came from such a refresh and no resource took it yet.
    unconfirmed: bool,
}

impl Default for RejectionLimit {
    fn default() -> Self {
        Self {
            last: None,
            spacing: REFUSED_SPACING,
            unconfirmed: false,
        }
    }
}

impl RejectionLimit {
    pub(super) fn next(&self) -> BootTime {
        self.last.map_or(BootTime::default(), |last| last.after(self.spacing))
    }

    /// A refresh that a 401, or a client's word of one, asked for brought a token.
    pub(super) const fn refreshed(&mut self, now: BootTime) {
        self.last = Some(now);
        self.unconfirmed = true;
    }

    pub(super) fn rejected(&mut self) {
        if self.unconfirmed {
            self.spacing = (self.spacing * 2).min(REFUSED_SPACING_CAP);
        }
        self.unconfirmed = false;
    }

    pub(super) const fn accepted(&mut self) {
        self.unconfirmed = false;
        self.spacing = REFUSED_SPACING;
    }
}
