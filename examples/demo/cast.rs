//! The cast: the daemon, the device's UI, the uploader, and a stranger who has no business here.
//!
//! As root each is a user of its own, as on a real device. Otherwise all are the one user who
//! started the demo.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use c2c_testkit::rig::User;

use crate::Trouble;
use crate::binaries::{Binaries, open_to_all};

/// The uids. Nobody needs to have put them into `/etc/passwd`: on a private bus numbers do.
const FIRST_UID: u32 = 64_101;

/// One of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Daemon,
    /// Holds the role `ui`.
    Ui,
    /// Holds the role `uploader`.
    Uploader,
    Stranger,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cast {
    /// Started by root: four users.
    Users,
    /// Started by anybody else: one user, this one.
    OneUser(u32),
}

impl Cast {
    /// Looks at who started the demo.
    pub(crate) fn choose() -> Result<Self, Trouble> {
        let uid = rustix::process::geteuid();
        if !uid.is_root() {
            return Ok(Self::OneUser(uid.as_raw()));
        }
        // Sockets and configuration of the other users will lie there.
        if !open_to_all(&std::env::temp_dir()) {
            let public = Path::new("/tmp");
            if !open_to_all(public) || tempfile::env::override_temp_dir(public).is_err() {
                return Err("$TMPDIR is closed to other users: set another, or run the demo without root".into());
            }
        }
        Ok(Self::Users)
    }

    /// Sees whether the demo can become the others at all, before anything depends on it.
    pub(crate) fn rehearse(self, binaries: &Binaries) -> Result<(), Trouble> {
        let mut probe = Command::new(&binaries.demo);
        probe.arg("--help").stdout(Stdio::null());
        self.dress(Role::Stranger, &mut probe);
        match probe.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("uid {} runs the demo, and it ends with {status}", self.uid(Role::Stranger)).into()),
            Err(error) => Err(format!(
                "this root cannot start a program as uid {} ({error}), as in some containers: run the demo without root",
                self.uid(Role::Stranger)
            )
            .into()),
        }
    }

    /// The uid of one of them.
    pub(crate) fn uid(self, role: Role) -> u32 {
        match self {
            Self::OneUser(uid) => uid,
            Self::Users => {
                FIRST_UID
                    + match role {
                        Role::Daemon => 0,
                        Role::Ui => 1,
                        Role::Uploader => 2,
                        Role::Stranger => 3,
                    }
            }
        }
    }

    /// The user to become, if there is one to become.
    pub(crate) fn user(self, role: Role) -> Option<User> {
        let uid = self.uid(role);
        (self == Self::Users).then_some(User { uid, gid: uid })
    }

    /// As it is written in `[access]`.
    pub(crate) fn entry(self, role: Role) -> String {
        format!("uid:{}", self.uid(role))
    }

    /// Makes `command` run as one of them, in a process group of its own: Ctrl-C is for the demo,
    /// which then ends the others in order.
    pub(crate) fn dress(self, role: Role, command: &mut Command) {
        if let Some(user) = self.user(role) {
            user.apply(command);
        }
        command.process_group(0).current_dir("/");
    }
}
