//! The unit around a reset: stopped before files are removed, started again after. systemd reloads
//! if one of its files was removed.
//!
//! Must never: talk to this machine's systemd on behalf of another machine, such as one below a
//! test's directory.

use std::io;

use super::files::Outcome;
use crate::ctl::exit::Failure;
use crate::ctl::site::Site;
use crate::ctl::systemd::{Unit, daemon_reload, systemctl};

pub(super) trait Manager {
    /// True if there is a process, or one on its way.
    fn runs(&self) -> bool;
    /// Calls `start` or `stop`. `Err` has the manager's own text.
    fn call(&self, verb: &str) -> Result<(), String>;
    fn reload(&self);
}

struct Systemd;

impl Manager for Systemd {
    fn runs(&self) -> bool {
        Unit::read().is_some_and(|unit| unit.runs())
    }

    fn call(&self, verb: &str) -> Result<(), String> {
        systemctl(verb)
    }

    fn reload(&self) {
        // Without one that hears of it the next boot does.
        let _ = daemon_reload();
    }
}

/// The manager of that machine. `None`: it does not run.
pub(super) fn of(site: &Site) -> Option<&'static dyn Manager> {
    site.is_host().then_some(&Systemd)
}

/// The manager stops the daemon only for the moment. The lock keeps the daemon away meanwhile.
pub(super) fn with_the_unit_stopped(
    manager: Option<&dyn Manager>,
    work: impl FnOnce() -> io::Result<Outcome>,
) -> Result<Outcome, Failure> {
    let stopped = manager.filter(|manager| manager.runs());
    if let Some(manager) = stopped {
        let failed = |said| Failure::failed(format!("c2c-authd cannot be stopped: {said}"));
        manager.call("stop").map_err(failed)?;
    }
    let done = work().map_err(Failure::failed);
    // A reset that ended half-way may have removed the drop-in.
    let changed = done.as_ref().map_or(true, |outcome| outcome.unit_changed);
    if let Some(manager) = manager.filter(|_| changed) {
        manager.reload();
    }
    if let Some(manager) = stopped {
        let started = manager.call("start");
        if let (Ok(_), Err(said)) = (&done, started) {
            return Err(Failure::failed(format!(
                "everything was removed, but c2c-authd does not start again: {said}"
            )));
        }
    }
    done
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use std::cell::RefCell;

    use super::*;

    struct Told {
        runs: bool,
        verbs: RefCell<Vec<String>>,
    }

    impl Manager for Told {
        fn runs(&self) -> bool {
            self.runs
        }

        fn call(&self, verb: &str) -> Result<(), String> {
            self.verbs.borrow_mut().push(verb.to_owned());
            Ok(())
        }

        fn reload(&self) {
            self.verbs.borrow_mut().push("reload".to_owned());
        }
    }

    /// The calls that the manager got, in order.
    fn told(runs: bool, done: io::Result<Outcome>) -> String {
        let manager = Told {
            runs,
            verbs: RefCell::default(),
        };
        let _ = with_the_unit_stopped(Some(&manager), || done);
        manager.verbs.take().join(" ")
    }

    #[test]
    fn the_manager_reads_units_again_only_if_one_may_have_changed() {
        let changed = |unit_changed| {
            Ok(Outcome {
                unit_changed,
                ..Outcome::default()
            })
        };
        assert_eq!(told(true, changed(false)), "stop start");
        assert_eq!(told(true, changed(true)), "stop reload start");
        assert_eq!(told(false, changed(false)), "");
        assert_eq!(told(false, changed(true)), "reload");
        assert_eq!(told(true, Err(io::Error::other("half-way"))), "stop reload start");
    }

    #[test]
    fn the_machine_of_a_test_has_no_manager_and_this_one_has() {
        let folder = tempfile::tempdir().unwrap();
        assert!(of(&Site::at(folder.path())).is_none());
        assert!(of(&Site::host()).is_some());
    }
}
