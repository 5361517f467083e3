//! One event's working space: the moment, the effects, and the replies that go out last.
//!
//! Replies are held back until the snapshot they follow from is published (D4).

use std::time::Duration;

use crate::{BootTime, CallError, CallId, Effect, LogEvent, Now, Reply};

/// State that the handlers of one event share.
pub(super) struct Context<'a> {
    pub(super) now: Now,
    out: &'a mut Vec<Effect>,
    replies: Vec<(CallId, Result<Reply, CallError>)>,
    draws: u64,
}

impl<'a> Context<'a> {
    pub(super) fn new(now: Now, out: &'a mut Vec<Effect>) -> Self {
        Self {
            now,
            out,
            replies: Vec::new(),
            draws: 0,
        }
    }

    /// The moment, on the only clock that deadlines use.
    pub(super) fn at(&self) -> BootTime {
        self.now.boot
    }

    pub(super) fn emit(&mut self, effect: Effect) {
        self.out.push(effect);
    }

    pub(super) fn log(&mut self, event: LogEvent) {
        self.out.push(Effect::Log(event));
    }

    pub(super) fn reply(&mut self, call: CallId, result: Result<Reply, CallError>) {
        self.replies.push((call, result));
    }

    /// Sends the replies on their way, after everything else.
    pub(super) fn finish(self) {
        for (call, result) in self.replies {
            self.out.push(Effect::Reply(call, result));
        }
    }

    /// A duration in `low..=high`, evenly spread. One event may draw several times.
    pub(super) fn draw(&mut self, low: Duration, high: Duration) -> Duration {
        self.draws += 1;
        let bits = splitmix(self.now.entropy.wrapping_add(self.draws));
        let span = u64::try_from(high.saturating_sub(low).as_millis()).unwrap_or(u64::MAX);
        // The high half of the product: even, without the bias of a remainder.
        let scaled = (u128::from(bits) * (u128::from(span) + 1)) >> 64;
        low + Duration::from_millis(u64::try_from(scaled).unwrap_or(u64::MAX))
    }
}

/// `SplitMix64`'s finalizer: spreads one input's entropy over several draws. Jitter needs no more.
fn splitmix(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
