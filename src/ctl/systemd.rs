//! The service manager's view of the daemon, even with the daemon or the bus dead: `systemctl`
//! talks to systemd directly.

use std::collections::HashMap;
use std::process::Stdio;

use serde::Serialize;

use super::program::program;
use super::site::UNIT;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Unit {
    /// `loaded`, `not-found`, `masked`, `bad-setting`, …
    pub(super) load_state: String,
    /// `active`, `inactive`, `failed`, `activating`, `deactivating`
    pub(super) active_state: String,
    /// `success`, `exit-code`, `watchdog`, …
    pub(super) result: String,
    /// How the main process ended: `1` exited, `2` killed, `3` dumped. `0` has not ended.
    pub(super) exec_main_code: i32,
    pub(super) exec_main_status: i32,
    pub(super) status_text: String,
    /// `enabled`, `disabled`, … Empty without a unit file.
    #[serde(rename = "unit-file-state")]
    pub(super) file_state: String,
    pub(super) restarts: u32,
}

/// The cause of death of a unit that does not run, with its remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct FailureCause {
    /// The event, as a sentence without its full stop.
    pub(super) what: String,
    /// The remedy, as a sentence without its full stop. Empty where there is nothing to do.
    pub(super) cure: String,
}

impl Unit {
    /// Asks systemd. `None`: there is none, or it does not answer.
    pub(super) fn read() -> Option<Self> {
        const PROPERTIES: &str =
            "--property=LoadState,ActiveState,Result,ExecMainCode,ExecMainStatus,StatusText,UnitFileState,NRestarts";
        Self::parse(&show(&[PROPERTIES, UNIT])?)
    }

    fn parse(shown: &str) -> Option<Self> {
        let values: HashMap<_, _> = shown.lines().filter_map(|line| line.split_once('=')).collect();
        let text = |name| values.get(name).map(|value| (*value).to_owned());
        let number = |name| values.get(name).and_then(|value| value.parse().ok()).unwrap_or(0);
        let code = |name| i32::try_from(number(name)).unwrap_or(0);
        Some(Self {
            load_state: text("LoadState")?,
            active_state: text("ActiveState")?,
            result: text("Result").unwrap_or_default(),
            exec_main_code: code("ExecMainCode"),
            exec_main_status: code("ExecMainStatus"),
            status_text: text("StatusText").unwrap_or_default(),
            file_state: text("UnitFileState").unwrap_or_default(),
            restarts: number("NRestarts"),
        })
    }

    /// True if there is a process, or one on its way.
    pub(super) fn runs(&self) -> bool {
        matches!(
            self.active_state.as_str(),
            "active" | "reloading" | "activating" | "deactivating"
        )
    }

    /// True if systemd could not hand over a credential, so that the daemon never ran.
    pub(super) fn lacks_credential(&self) -> bool {
        self.exec_main_code == EXITED && self.exec_main_status == CREDENTIALS
    }

    /// The checks whose failure can be why it died. Empty if it did not, or if its end says
    /// otherwise.
    pub(super) fn causes(&self) -> &'static [&'static str] {
        let died = self.load_state == "loaded" && self.death().is_some() && self.exec_main_code == EXITED;
        match self.exec_main_status {
            _ if !died || self.result == "watchdog" => &[],
            CREDENTIALS => &["client-secret", "state-key"],
            217 => &["user"],
            78 => &["configuration", "client-secret", "state-key"],
            77 => &[
                "configuration",
                "client-secret",
                "state-key",
                "state",
                "runtime",
                "bus-policy",
            ],
            74 => &["state", "runtime"],
            _ => &[],
        }
    }

    /// Why it does not run. `None` if it runs, or was never started.
    pub(super) fn death(&self) -> Option<FailureCause> {
        // Between two tries it is on its way, and still dead of what ended the last one.
        let waits = self.active_state == "activating" && self.result != "success" && self.exec_main_code != 0;
        let (what, cure) = match self.load_state.as_str() {
            "loaded" if self.active_state != "failed" && !waits => return None,
            "loaded" => {
                let (what, cure) = self.last_end();
                (what + if waits { "; systemd restarts it" } else { "" }, cure)
            }
            "not-found" => (
                "the unit c2c-authd.service is not installed".to_owned(),
                "Install the package, or its unit file",
            ),
            "masked" => (
                "the unit c2c-authd.service is masked".to_owned(),
                "Run: systemctl unmask c2c-authd.service",
            ),
            other => (
                format!("the unit c2c-authd.service could not be loaded ({other})"),
                "Run: systemd-analyze verify c2c-authd.service",
            ),
        };
        let cure = cure.to_owned();
        Some(FailureCause { what, cure })
    }

    /// The codes above 200 are systemd's (systemd.exec(5)): the daemon never ran, and what it said
    /// last is of another start. So it is of one that hung.
    fn last_end(&self) -> (String, &'static str) {
        const JOURNAL: &str = "See the journal: journalctl -u c2c-authd";
        let with_words = |what: &str| match self.status_text.as_str() {
            "" => what.to_owned(),
            text => format!("{what}: {text}"),
        };
        let (what, cure) = match (self.result.as_str(), self.exec_main_code, self.exec_main_status) {
            (_, EXITED, CREDENTIALS) => (
                "a credential could not be decrypted, so the daemon never ran",
                // There are many causes, and what cures one loses the pairing with another.
                "Run as root: c2c-authctl check. It names the file, the cause and the way out",
            ),
            (_, EXITED, 226) => (
                "its sandbox could not be made (226), so the daemon never ran: a path that the unit names is missing, or the kernel \
                 lacks namespaces",
                "Install the package again. The path is in the journal: journalctl -u c2c-authd",
            ),
            (_, EXITED, 217) => (
                "the user c2c-authd does not exist, or the kernel has no user namespaces",
                "Run: systemd-sysusers. On a kernel without CONFIG_USER_NS: PrivateUsers=no in a drop-in of the unit",
            ),
            (_, EXITED, 203) => ("/usr/bin/c2c-authd cannot be run", "Install the package again"),
            ("watchdog", ..) => ("it hung, and systemd's watchdog killed it", JOURNAL),
            (_, EXITED, 78) => {
                let cure = "Fix it (see c2c-authd --check-config), then: systemctl restart c2c-authd";
                return (with_words("its configuration or a secret is wrong"), cure);
            }
            (_, EXITED, 77) => {
                let what = "owner or mode of a file or directory is wrong, or the bus refuses the name";
                let cure = "Fix it (see journalctl -u c2c-authd), then: systemctl restart c2c-authd";
                return (with_words(what), cure);
            }
            (_, EXITED, 74) => {
                let what = "the state or runtime directory cannot be read or written";
                let cure = "Check that its file system is mounted, is writable and has free space";
                return (with_words(what), cure);
            }
            (_, EXITED, 75) => {
                let what = "what it needs is not there: the bus, its name, or a mount or name service";
                let cure = "See the journal: journalctl -u c2c-authd, and: systemctl status dbus";
                return (with_words(what), cure);
            }
            (result, code, status) => {
                let end = if code == EXITED { "exit code" } else { "signal" };
                // The limit stops the starts. It is not why they fail.
                let result = match result {
                    "start-limit-hit" => "too often in a short time",
                    result => result,
                };
                return (with_words(&format!("it ended with {end} {status} ({result})")), JOURNAL);
            }
        };
        (what.to_owned(), cure)
    }
}

// `CLD_EXITED`
const EXITED: i32 = 1;
// `EXIT_CREDENTIALS` of systemd.exec(5)
const CREDENTIALS: i32 = 243;

/// systemd's value of one property of any unit. `None`: there is no systemd, or it does not answer.
pub(super) fn property(unit: &str, name: &str) -> Option<String> {
    Some(show(&["--value", "--property", name, unit])?.trim().to_owned())
}

pub(super) fn show(arguments: &[&str]) -> Option<String> {
    let mut command = program("systemctl");
    command
        .arg("show")
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Makes systemd read unit files that changed. `Err` is what `systemctl` said.
pub(super) fn daemon_reload() -> Result<(), String> {
    run(&["daemon-reload"])
}

/// Runs a verb on the unit. `Err` is what `systemctl` said.
pub(super) fn systemctl(verb: &str) -> Result<(), String> {
    run(&[verb, UNIT])
}

fn run(arguments: &[&str]) -> Result<(), String> {
    let output = program("systemctl")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("systemctl: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    Err(last.unwrap_or("systemctl failed").trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use super::*;

    fn dead(result: &str, code: i32, status: i32, text: &str) -> Unit {
        Unit {
            load_state: "loaded".to_owned(),
            active_state: "failed".to_owned(),
            result: result.to_owned(),
            exec_main_code: code,
            exec_main_status: status,
            status_text: text.to_owned(),
            ..Unit::default()
        }
    }

    #[test]
    fn what_systemctl_shows_is_read() {
        let shown = "Result=exit-code\nNRestarts=3\nExecMainCode=1\nExecMainStatus=78\nStatusText=a=b\nLoadState=loaded\nActiveState=failed\nUnitFileState=enabled\n";
        let unit = Unit::parse(shown).unwrap();
        let expected = Unit {
            file_state: "enabled".to_owned(),
            restarts: 3,
            ..dead("exit-code", 1, 78, "a=b")
        };
        assert_eq!(unit, expected);
        assert_eq!(Unit::parse(""), None);
    }

    #[test]
    fn each_death_has_its_words_and_a_cure() {
        for (unit, named) in [
            (dead("exit-code", 1, 243, ""), "credential"),
            (dead("exit-code", 1, 78, "no such key"), "no such key"),
            (dead("exit-code", 1, 77, ""), "owner or mode"),
            (dead("exit-code", 1, 74, ""), "directory"),
            (dead("exit-code", 1, 217, ""), "user"),
            (
                dead("exit-code", 1, 226, "Paired."),
                "a path that the unit names is missing",
            ),
            (dead("exit-code", 1, 203, ""), "cannot be run"),
            (dead("watchdog", 2, 6, ""), "watchdog"),
            (dead("exit-code", 1, 75, "no bus"), "no bus"),
            // Whoever keeps calling meets the limit. The fault is still the one that ended it.
            (dead("start-limit-hit", 1, 74, "no partition"), "directory"),
            (dead("start-limit-hit", 1, 75, "no bus"), "not there: the bus"),
            (dead("start-limit-hit", 1, 78, "no such key"), "no such key"),
            (dead("start-limit-hit", 2, 11, ""), "signal 11"),
            (dead("signal", 2, 11, ""), "signal 11"),
        ] {
            let death = unit.death().unwrap();
            assert!(death.what.contains(named) && !death.cure.is_empty(), "{death:?}");
        }
        let missing = Unit {
            load_state: "not-found".to_owned(),
            ..Unit::default()
        };
        assert!(missing.death().unwrap().cure.contains("Install"));
    }

    #[test]
    fn a_unit_between_two_tries_is_dead_of_the_last_one_and_comes_back() {
        let unit = Unit {
            active_state: "activating".to_owned(),
            ..dead("exit-code", 1, 74, "no partition")
        };
        let death = unit.death().unwrap();
        assert!(death.what.contains("no partition; systemd restarts it"), "{death:?}");
        let starting = Unit {
            exec_main_code: 0,
            ..unit
        };
        assert_eq!(starting.death(), None);
    }

    #[test]
    fn a_unit_that_runs_or_waits_to_be_called_is_not_dead() {
        for state in ["active", "inactive", "activating"] {
            let unit = Unit {
                active_state: state.to_owned(),
                ..dead("success", 0, 0, "")
            };
            assert_eq!(unit.death(), None, "{state}");
        }
    }
}
