//! A grant of a server, as it is to be stored.

use std::time::Duration;

use crate::{
    BootId, BootTime, Context, Now, RefreshToken, Stamp, TokenGrant, TokenKind, TokenPair, Unusable, WallTime,
};

/// How long after an answer whose access token cannot be used the next is asked for: each refresh
/// gives the same until a person changes something at the server, spends a refresh token and can
/// lose its answer.
const UNUSABLE_LIFE: Duration = Duration::from_secs(15 * 60);

impl TokenGrant {
    /// The tokens of it that cannot be used.
    pub(crate) fn unusable(&self) -> impl Iterator<Item = (TokenKind, Unusable)> + use<> {
        let access = self.access.as_ref().err().map(|why| (TokenKind::Access, *why));
        let refresh = self.refresh.as_ref().err().map(|why| (TokenKind::Refresh, *why));
        access.into_iter().chain(refresh)
    }

    /// As it is to be stored. `old`: the refresh token that stays in force where no other came.
    pub(crate) fn into_pair(self, old: Option<&RefreshToken>, obtained: Stamp, cx: &mut Context<'_>) -> TokenPair {
        let expires_in = if self.access.is_ok() {
            self.expires_in
        } else {
            cx.draw(UNUSABLE_LIFE * 9 / 10, UNUSABLE_LIFE * 11 / 10)
        };
        TokenPair {
            access: self.access.ok(),
            // A token that came and cannot be used has replaced the old one at the server.
            refresh: self.refresh.map_or(None, |new| new.or_else(|| old.cloned())),
            expires_in,
            obtained,
        }
    }
}

/// Where a request that brought tokens stood in time.
pub(crate) fn stamp(boot: BootId, sent: BootTime, date: Option<WallTime>, now: Now) -> Stamp {
    // Both clocks were read when the answer came; a second more covers what whole seconds lose.
    let since = now.boot.since(sent) + Duration::from_secs(1);
    Stamp {
        boot,
        at: sent,
        wall: date.or(now.wall).map(|wall| wall.before(since)),
    }
}
