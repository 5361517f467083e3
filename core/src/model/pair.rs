//! The tokens of the model: each text tells which pair it belongs to.

use crate::{AccessToken, RefreshToken, Revocable, TokenGrant, TokenPair};

/// Starts the text of every fake secret, so that one search over printed text finds each leak (I8).
pub(super) const CANARY: &str = "CANARY";

/// The n-th pair of tokens of one authorization. The texts of the tokens are made from it, and read
/// back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Pair {
    pub(super) family: u8,
    /// Which of its pairs.
    pub(super) turn: u8,
}

impl Pair {
    pub(super) fn access(self) -> AccessToken {
        AccessToken::new(format!("{CANARY}-a{}.{}", self.family, self.turn))
    }

    pub(super) fn refresh(self) -> RefreshToken {
        RefreshToken::new(format!("{CANARY}-r{}.{}", self.family, self.turn))
    }

    pub(super) fn of_access(token: &AccessToken) -> Self {
        Self::parse(token.expose(), 'a')
    }

    pub(super) fn of_grant(grant: &TokenGrant) -> Self {
        Self::of_access(grant.access.as_ref().expect("every token of the model can be used"))
    }

    pub(super) fn of_pair(pair: &TokenPair) -> Self {
        Self::of_access(pair.access.as_ref().expect("every token of the model can be used"))
    }

    pub(super) fn of_refresh(token: &RefreshToken) -> Self {
        Self::parse(token.expose(), 'r')
    }

    pub(super) fn of_revocable(token: &Revocable) -> Self {
        match token {
            Revocable::Refresh(token) => Self::of_refresh(token),
            Revocable::Access(token) => Self::of_access(token),
        }
    }

    fn parse(text: &str, kind: char) -> Self {
        let numbers = text.strip_prefix(CANARY).and_then(|rest| rest.strip_prefix('-'));
        let (family, turn) = numbers
            .and_then(|rest| rest.strip_prefix(kind))
            .and_then(|rest| rest.split_once('.'))
            .expect("every token of the model was made by it");
        Self {
            family: family.parse().expect("a number was printed"),
            turn: turn.parse().expect("a number was printed"),
        }
    }
}
