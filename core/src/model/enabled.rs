//! Which steps are possible now, within the budget. What each does is in [`super::sim`].
//!
//! Must never change the world, or leave out a step for what the core would make of it: what is not
//! offered is never explored.

use crate::{Slots, Store};

use super::sim::Sim;
use super::step::{Ask, Clock, DiskFate, InFlightFate, Outcome, RedirectKind, RequestKind, Step};

impl Sim {
    /// Every step that is possible now, within the budget.
    pub(super) fn enabled(&self, steps: &mut Vec<Step>) {
        let (world, budget) = (&self.world, &self.world.budget);
        if !world.history.drained {
            self.enabled_ends(steps);
            self.enabled_time(steps);
            self.enabled_people(steps);
        }
        if budget.crashes > 0 {
            self.enabled_crashes(steps);
        }
    }

    fn enabled_ends(&self, steps: &mut Vec<Step>) {
        let (world, budget) = (&self.world, &self.world.budget);
        for kind in RequestKind::ALL {
            if world.was_slept_away(kind) {
                steps.push(Step::Answer(kind, Outcome::Lost));
            } else if world.is_in_flight(kind) {
                steps.push(Step::Answer(kind, Outcome::Honest));
                if world.was_outlived(kind) {
                    steps.push(Step::Answer(kind, Outcome::HonestByNow));
                }
                if budget.faults > 0 {
                    let carried_out = world.was_carried_out(kind);
                    let possible = |how: &Outcome| {
                        let clock = *how != Outcome::ClockNotSet || world.clock == Clock::Untrusted;
                        let dated = *how != Outcome::Misdated || self.scenario.misdates;
                        clock && dated && (!carried_out || how.carries_out())
                    };
                    let faults = kind.faults().iter().filter(|how| possible(how));
                    steps.extend(faults.map(|how| Step::Answer(kind, *how)));
                }
            }
        }
        if !world.stores.is_empty() {
            steps.push(Step::Disk(DiskFate::Done));
            if budget.disk > 0 {
                steps.push(Step::Disk(DiskFate::Failed));
                steps.push(Step::Disk(DiskFate::FailedThere));
            }
        }
    }

    fn enabled_time(&self, steps: &mut Vec<Step>) {
        let (world, budget) = (&self.world, &self.world.budget);
        let allowance = if world.busy() { budget.stalls } else { budget.waits };
        if self.due() || (allowance > 0 && self.next_moment().is_some()) {
            steps.push(Step::Advance);
        }
        let idle = !world.busy() && world.calls.is_empty();
        if budget.sleeps > 0 && (idle || self.scenario.sleeps_busy) {
            steps.extend(self.scenario.sleeps.iter().map(|secs| Step::Sleep(*secs)));
        }
        if budget.stalls > 0 {
            let unseen = self.scenario.looks.iter().filter(|kind| world.is_unseen(**kind));
            steps.extend(unseen.map(|kind| Step::Look(*kind)));
            let twice = RequestKind::ALL
                .into_iter()
                .filter(|kind| world.in_flight_of(*kind) > 1);
            steps.extend(twice.map(Step::Overtake));
        }
        if world.server.late_request(world.real).is_some() {
            steps.push(Step::LateArrival);
        }
        if budget.nudges > 0 {
            steps.push(Step::NetworkUp);
        }
        if budget.clocks > 0 {
            let other = self.scenario.clocks.iter().filter(|clock| **clock != world.clock);
            steps.extend(other.map(|clock| Step::ClockStepped(*clock)));
        }
    }

    fn enabled_people(&self, steps: &mut Vec<Step>) {
        let (world, budget) = (&self.world, &self.world.budget);
        if budget.asks > 0 {
            steps.extend(self.scenario.asks.iter().map(|ask| Step::Ask(*ask)));
        }
        if world.server.returns() {
            steps.push(Step::Ask(Ask::Redirect(RedirectKind::Back)));
        }
        if budget.consents > 0 && world.server.awaits_consent(world.real) {
            steps.extend([Step::Approve, Step::Deny]);
        }
        if budget.forgets > 0 && !world.server.live().is_empty() {
            steps.push(Step::Forget);
        }
        if budget.reloads > 0 {
            steps.push(Step::Reload);
            let others = self.scenario.windows.iter().filter(|percent| **percent != world.window);
            steps.extend(others.map(|percent| Step::Window(*percent)));
        }
        if budget.shutdowns > 0 && !world.history.stopping {
            steps.push(Step::Shutdown);
        }
    }

    fn enabled_crashes(&self, steps: &mut Vec<Step>) {
        let queued = u8::try_from(self.world.stores.len()).unwrap_or(u8::MAX);
        let leftovers: &[InFlightFate] = if self.world.is_in_flight(RequestKind::Refresh) {
            &[InFlightFate::Dropped, InFlightFate::CarriedOut, InFlightFate::Late]
        } else if self.world.is_in_flight(RequestKind::Poll)
            || self.world.is_in_flight(RequestKind::Exchange)
            || self.world.is_in_flight(RequestKind::Revoke)
        {
            &[InFlightFate::Dropped, InFlightFate::CarriedOut]
        } else {
            &[InFlightFate::Dropped]
        };
        for stored in 0..=queued {
            let half = self
                .world
                .stores
                .get(usize::from(stored))
                .is_some_and(|write| matches!(write.store, Store::Record { slots: Slots::Both, .. }));
            for torn in [false, true].into_iter().filter(|torn| !torn || half) {
                for server in leftovers {
                    steps.extend(self.scenario.restarts.iter().map(|restart| Step::Crash {
                        stored,
                        torn,
                        server: *server,
                        restart: *restart,
                    }));
                }
            }
        }
    }
}
