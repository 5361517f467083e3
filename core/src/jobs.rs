//! The work that the core does by itself: one table of jobs, each with when it is due and how it
//! starts.
//!
//! Invariant: the order of the table is the order of effects, ids and draws within one event.

use super::calls::CallKind;
use super::storage::Tokens;
use crate::{BootTime, Context, Core, Effect, Now, OpId, Request};

/// A start makes at most a handful of others due (a tombstone, a revocation, a code); more would be
/// a loop.
const MAX_ROUNDS: usize = 8;

/// Something that starts when it is due, whatever the event.
struct Job {
    /// When it is due next, even if nothing happens; now, or an instant that has passed, if it is
    /// to start. `None` while it is blocked, or there is nothing to do.
    due: fn(&Core, Now) -> Option<BootTime>,
    start: fn(&mut Core, &mut Context<'_>),
}

const fn job(due: fn(&Core, Now) -> Option<BootTime>, start: fn(&mut Core, &mut Context<'_>)) -> Job {
    Job { due, start }
}

const JOBS: [Job; 16] = [
    // The end of an unexpired token is due only because the view changes.
    job(|core, now| core.credential_end(now.boot), Core::end_if_unrefreshable),
    job(|core, now| core.credential.residual_end(now.boot), Core::end_residual),
    job(|core, now| core.order_due(now.boot), Core::carry_out_order),
    job(|core, now| core.write_calls_due(now.boot), Core::answer_write_calls),
    job(|core, _| core.warning_due(), Core::warn),
    job(|core, now| core.rewrite_due(core.waited_for(now.boot)), Core::rewrite),
    job(Core::revocation_due, Core::start_revocation),
    job(
        |core, now| core.call_due(CallKind::PairingCode, now.boot),
        |core, cx| core.answer_due(cx, CallKind::PairingCode),
    ),
    job(
        |core, now| core.call_due(CallKind::RedirectResult, now.boot),
        |core, cx| core.answer_due(cx, CallKind::RedirectResult),
    ),
    job(|core, now| core.flow_due(now.boot), Core::run_flow),
    job(
        |core, now| core.call_due(CallKind::ProbeResult, now.boot),
        |core, cx| core.answer_due(cx, CallKind::ProbeResult),
    ),
    // Before the callers of tokens: whether they wait for it is judged by its being out.
    job(|core, now| core.probe_due(now.boot), Core::start_probe),
    job(|core, now| core.heartbeat_due(now.boot), Core::start_heartbeat),
    job(|core, now| core.token_calls_due(now.boot), Core::answer_token_calls),
    job(
        |core, now| core.refresh_starts(core.waited_for(now.boot)),
        Core::start_refresh,
    ),
    // After the refresh, which may use the mark.
    job(
        |core, now| core.needless_mark_due(now.boot),
        |core, cx| core.store_current(cx, Tokens::Same),
    ),
];

impl Core {
    /// Starts every job that is due, and what that makes due in turn.
    pub(super) fn start_due(&mut self, cx: &mut Context<'_>) {
        let now = cx.now;
        for _ in 0..MAX_ROUNDS {
            for job in &JOBS {
                if (job.due)(self, now).is_some_and(|at| at <= now.boot) {
                    (job.start)(self, cx);
                }
            }
            if self.next_timeout(now).is_none_or(|next| next > now.boot) {
                return;
            }
        }
    }

    /// When a job is due next, even if nothing happens.
    pub(super) fn next_timeout(&self, now: Now) -> Option<BootTime> {
        JOBS.iter().filter_map(|job| (job.due)(self, now)).min()
    }

    /// True if something is under way that must not be cut.
    pub(super) fn busy(&self) -> bool {
        self.refresh.sent().is_some()
            || self.polling()
            || self.revocations.waiting()
            || self.storage.newest_write().is_some()
    }

    pub(super) fn may_start(&self) -> bool {
        self.shutdown.is_running()
    }

    /// True if anything may be started that needs the client secret.
    pub(super) fn may_use_secret(&self) -> bool {
        self.may_start() && self.setup.is_ready()
    }

    pub(super) fn request(&mut self, cx: &mut Context<'_>, request: Request) -> OpId {
        let op = self.ids.next_op();
        cx.emit(Effect::Request(op, request));
        op
    }
}
