//! From boot to the end of the process.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Shutdown {
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Phase {
    #[default]
    Running,
    Draining,
    /// Nothing is left that must be finished.
    Drained,
}

impl Shutdown {
    pub(super) fn begin(&mut self) {
        if self.phase == Phase::Running {
            self.phase = Phase::Draining;
        }
    }

    pub(super) fn is_running(self) -> bool {
        self.phase == Phase::Running
    }

    pub(super) fn is_draining(self) -> bool {
        self.phase == Phase::Draining
    }

    /// Nothing is left. Whether that is news.
    pub(super) fn finish(&mut self) -> bool {
        std::mem::replace(&mut self.phase, Phase::Drained) == Phase::Draining
    }
}
