//! `status` when the daemon does not answer: what systemd knows, and what can be seen of the
//! secrets.

use std::fmt::Write as _;

use serde::Serialize;

use crate::ctl::output::one_line;
use crate::ctl::provision::host_key::lost_by_a_start;
use crate::ctl::provision::location::{Which, find};
use crate::ctl::site::Site;
use crate::ctl::systemd::{FailureCause, Unit};
use crate::messages;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::ctl) struct ServiceFailure {
    // Always false. See [`super::Status`].
    pub(in crate::ctl) running: bool,
    pub(in crate::ctl) error: String,
    /// `null`: systemd does not answer either.
    pub(in crate::ctl) unit: Option<Unit>,
    /// `null`: it did not die, or there is no telling.
    pub(in crate::ctl) death: Option<FailureCause>,
    /// Credentials that cannot be opened: one sentence each.
    pub(in crate::ctl) credentials: Vec<String>,
    /// Why the configuration on disk cannot be used; `null`: it can, as far as is known.
    pub(in crate::ctl) configuration_refused: Option<String>,
}

impl ServiceFailure {
    pub(in crate::ctl) fn look(site: &Site, error: String) -> Self {
        let unit = Unit::read();
        let credentials = match &unit {
            Some(unit) if unit.lacks_credential() || lost_by_a_start(site).is_some() => closed(site),
            _ => Vec::new(),
        };
        Self::new(error, unit, credentials)
    }

    fn new(error: String, unit: Option<Unit>, credentials: Vec<String>) -> Self {
        Self {
            running: false,
            error,
            death: unit.as_ref().and_then(Unit::death),
            unit,
            credentials,
            configuration_refused: None,
        }
    }

    pub(in crate::ctl) fn text(&self) -> String {
        let mut out = String::from("c2c-authd does not answer.\n\n");
        // Writing to a string cannot fail.
        let Some(unit) = &self.unit else {
            let error = self.error.trim_end_matches('.');
            return format!("{out}{error}.\nsystemd does not answer either.\n");
        };
        let _ = writeln!(out, "  unit        {} ({})", unit.active_state, unit.load_state);
        if unit.exec_main_code != 0 {
            let _ = writeln!(out, "  result      {}, status {}", unit.result, unit.exec_main_status);
        }
        if unit.restarts > 0 {
            let _ = writeln!(out, "  restarts    {}", unit.restarts);
        }
        let told = match &self.death {
            // Each credential says the way out of its own cause.
            Some(death) if !self.credentials.is_empty() => format!("{}.", messages::capital(&death.what)),
            Some(death) => format!("{}.\n{}.", messages::capital(&death.what), death.cure),
            None if !self.credentials.is_empty() => "It is not running, and was not started.".to_owned(),
            None if unit.runs() => "The unit is active, but the daemon does not answer on the bus. See: journalctl -u \
                                    c2c-authd, systemctl status dbus"
                .to_owned(),
            None => "It is not running, and the call did not start it. Run: systemctl start c2c-authd".to_owned(),
        };
        let _ = writeln!(out, "\n{told}");
        for credential in &self.credentials {
            let _ = writeln!(out, "{credential}.");
        }
        if let Some(why) = &self.configuration_refused {
            let why = one_line(why.trim_end_matches('.'));
            let _ = writeln!(out, "The configuration on disk is refused: {why}.");
        }
        out
    }
}

/// Only root can open the secrets. Others must rely on systemd's own report.
fn closed(site: &Site) -> Vec<String> {
    let config = site.config().ok();
    Which::BOTH
        .into_iter()
        .filter_map(|which| match find(site, config.as_ref(), which) {
            Ok(Some(found)) => found.content.err(),
            Ok(None) | Err(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use std::fs;

    use super::*;

    fn unit(active: &str, code: i32, status: i32) -> Unit {
        Unit {
            load_state: "loaded".to_owned(),
            active_state: active.to_owned(),
            result: "exit-code".to_owned(),
            exec_main_code: code,
            exec_main_status: status,
            ..Unit::default()
        }
    }

    #[test]
    fn the_text_of_each_situation_without_a_daemon() {
        let dead = |unit, credentials: &[&str]| {
            let credentials = credentials.iter().map(|&text| text.to_owned()).collect();
            ServiceFailure::new("c2c-authd is not running".to_owned(), unit, credentials).text()
        };
        let told = [
            dead(None, &[]),
            dead(Some(unit("inactive", 0, 0)), &[]),
            dead(
                Some(unit("inactive", 0, 0)),
                &["/etc/credstore.encrypted/c2c-authd.state-key: why, and the way out"],
            ),
            dead(Some(unit("active", 0, 0)), &[]),
            dead(Some(unit("failed", 1, 78)), &[]),
            dead(Some(unit("failed", 1, 243)), &[]),
            dead(
                Some(unit("failed", 1, 243)),
                &["/etc/credstore.encrypted/c2c-authd.state-key: why, and the way out"],
            ),
        ];
        insta::assert_snapshot!(told.join("----\n"));
    }

    /// `tests/contract` sees `unit` and `death` only where systemd runs.
    #[test]
    fn the_json_without_a_daemon_is_a_stable_interface() {
        let dead = ServiceFailure::new(
            "c2c-authd is not running".to_owned(),
            Some(unit("failed", 1, 78)),
            vec!["a sentence".to_owned()],
        );
        insta::assert_snapshot!(serde_json::to_string_pretty(&dead).unwrap(), @r#"
        {
          "running": false,
          "error": "c2c-authd is not running",
          "unit": {
            "load-state": "loaded",
            "active-state": "failed",
            "result": "exit-code",
            "exec-main-code": 1,
            "exec-main-status": 78,
            "status-text": "",
            "unit-file-state": "",
            "restarts": 0
          },
          "death": {
            "what": "its configuration or a secret is wrong",
            "cure": "Fix it (see c2c-authd --check-config), then: systemctl restart c2c-authd"
          },
          "credentials": [
            "a sentence"
          ],
          "configuration-refused": null
        }
        "#);
    }

    #[test]
    fn credentials_that_do_not_open_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::at(folder.path());
        let store = site.path("/etc/credstore.encrypted");
        fs::create_dir_all(&store).unwrap();
        fs::write(store.join("c2c-authd.state-key"), "junk").unwrap();
        let closed = closed(&site);
        assert_eq!(closed.len(), 1);
        assert!(
            closed[0].contains("state-key") && closed[0].contains("--replace"),
            "{closed:?}"
        );
    }
}
