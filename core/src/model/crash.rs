//! The end of the process, with or without the power, and what of the world is there afterwards.

use crate::Store;

use super::disk::Restart;
use super::excuses::Failed;
use super::history::pairs_of;
use super::scenario::EPOCH;
use super::server::{Pair, Quirks};
use super::step::{Clock, InFlightFate};
use super::world::World;
use crate::WallTime;

impl World {
    /// The process ends and the next one is about to start; the disk is as these writes left it.
    pub(super) fn crash(&mut self, stored: u8, torn: bool, leftover: InFlightFate, restart: Restart, quirks: &Quirks) {
        for _ in 0..stored {
            if let Some(write) = self.stores.pop_front() {
                self.write(&write.store);
            }
        }
        if torn && let Some(Store::Record { record, .. }) = self.stores.pop_front().map(|write| write.store) {
            self.disk.write_half(&record);
            self.history.torn = true;
            self.written();
        }
        for flight in std::mem::take(&mut self.in_flight) {
            self.leave(&flight, leftover, quirks);
        }
        let writes = std::mem::take(&mut self.stores);
        let written = |store: &Store| match store {
            Store::Record { record, .. } => Failed::new(record, None).pairs,
            Store::Revocations(list) => list.iter().map(|pending| Pair::of_revocable(&pending.token)).collect(),
            Store::Flow(_) | Store::Trial => Vec::new(),
        };
        let mut lost: Vec<_> = writes.iter().flat_map(|write| written(&write.store)).collect();
        lost.extend(
            self.history
                .failed
                .iter()
                .flat_map(|failed| failed.pairs.iter().copied()),
        );
        self.prepared.clear();
        self.listeners.clear();
        self.calls.clear();
        if restart == Restart::Damaged && !self.disk.damaged {
            let (newest, left) = (self.disk.newest.as_ref(), self.disk.previous.as_ref());
            self.history.excuses.damaged(newest, left);
        }
        if restart != Restart::Process {
            self.disk.lose_memory();
        }
        let listed = self.disk.revocations.iter();
        let mut on_disk: Vec<_> = listed.map(|pending| Pair::of_revocable(&pending.token)).collect();
        // A revocation that goes off the list in memory alone is tried again.
        self.history.refused.retain(|pair| !on_disk.contains(pair));
        on_disk.extend(self.disk.paired().into_iter().flat_map(pairs_of));
        on_disk.extend(self.disk.spilled().into_iter().flat_map(pairs_of));
        let delivered = &self.history.delivered;
        let under_way = |pair: Pair| !delivered.contains(&pair) || lost.contains(&pair);
        let live = self.server.live();
        self.history.excuses.lost(live, &on_disk, under_way, quirks.keeps);
        self.restart(restart, quirks);
    }

    fn restart(&mut self, restart: Restart, quirks: &Quirks) {
        self.contradicted = false;
        let newest = self.disk.spill.as_ref().or(self.disk.newest.as_ref());
        let stored = newest.and_then(|record| record.floor);
        self.floor = stored.unwrap_or(WallTime::from_secs(EPOCH));
        // A process does not start in no time.
        self.pass(1_000, quirks);
        match restart {
            Restart::Process => {
                if let Some(flow) = &self.disk.flow {
                    self.history.resumed(flow);
                }
            }
            Restart::Power { clock } => {
                self.boot += 1;
                self.booted = self.real;
                self.clock_steps(clock);
            }
            Restart::Damaged => {
                self.history.damaged(self.disk.previous.as_ref());
                self.boot += 1;
                self.booted = self.real;
                self.clock_steps(Clock::Right);
            }
        }
        self.history.restarted();
        // A record that only memory held before, and the runtime directory now, is served as
        // before.
        self.history.failed = self.disk.spill.as_ref().map(|spill| Failed::new(spill, None));
    }
}
