//! What the scene's disk holds, and the next start from it.

use super::*;

impl Scene {
    /// What a process that is killed now finds when it starts again.
    pub(in crate::tests) fn stored(&self) -> Stored {
        let newest = self.spill.as_ref().or(self.record.as_ref());
        let slots = [self.record.as_ref(), self.older.as_ref()];
        let holds = |slot: &&Record| newest.is_some_and(|newest| slot.same_tokens(newest));
        Stored {
            record: newest.cloned().map_or(Loaded::Missing, Loaded::Current),
            kept: match slots.into_iter().flatten().filter(holds).count() {
                0 if newest.is_some() => Kept::Spilled,
                1 => Kept::Once,
                _ => Kept::Twice,
            },
            revocations: self.revocations.clone(),
            flow: self.flow.clone(),
        }
    }

    /// Killed and started again in the same boot.
    pub(in crate::tests) fn restart(&self) -> Self {
        Self::start(
            policy(),
            Provisioning::Ready,
            self.stored(),
            BOOT,
            self.now.as_millis() + 1,
            self.wall,
        )
    }

    pub(in crate::tests) fn reboot(&self, wall: bool) -> Self {
        self.reboot_with(policy(), wall)
    }

    pub(in crate::tests) fn reboot_with(&self, policy: Policy, wall: bool) -> Self {
        Self::start(
            policy,
            Provisioning::Ready,
            self.durable(),
            BootId([2; 16]),
            5_000,
            wall,
        )
    }

    /// What is left of [`Self::stored`] when the power goes.
    pub(in crate::tests) fn durable(&self) -> Stored {
        let newest = self.record.as_ref();
        Stored {
            record: newest.cloned().map_or(Loaded::Missing, Loaded::Current),
            kept: match (newest, &self.older) {
                (Some(newest), Some(older)) if newest.same_tokens(older) => Kept::Twice,
                (Some(_), _) => Kept::Once,
                (None, _) => Kept::Twice,
            },
            ..self.stored()
        }
    }

    /// The pairing on disk.
    pub(in crate::tests) fn on_disk(&self) -> &Pairing {
        match &self.record.as_ref().unwrap().body {
            Body::Paired(pairing) => pairing,
            Body::Tombstone(reason) => panic!("a tombstone: {reason:?}"),
        }
    }

    /// The access token on disk.
    pub(in crate::tests) fn access_on_disk(&self) -> &str {
        self.on_disk().pair.access.as_ref().unwrap().expose()
    }
}
