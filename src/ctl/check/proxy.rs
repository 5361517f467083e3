//! The proxy on the way to the server, as the daemon would take it.
//!
//! Must never: name the value of a proxy variable, which may hold a password.

use std::collections::BTreeMap;
use std::fs;

use super::Finding;
use crate::config::Config;
use crate::ctl::site::{Site, UNIT};
use crate::ctl::systemd::property;
use crate::oauth::Origin;
use crate::system::environment::variable;
use crate::transport::{ProxyError, Ways};

const CHECK: &str = "proxy";

type Variables = BTreeMap<String, String>;

/// The variables that the daemon has, or would have.
pub(super) struct Environment {
    /// Those of the process that runs, where they can be read.
    running: Option<Variables>,
    /// Those of its unit. `None`: no service manager tells.
    unit: Option<Variables>,
}

impl Environment {
    pub(super) fn of_daemon(site: &Site) -> Self {
        let pid = property(UNIT, "MainPID").filter(|pid| pid != "0");
        let running = pid.and_then(|pid| fs::read(site.path(format!("/proc/{pid}/environ"))).ok());
        Self {
            running: running.map(|text| variables(String::from_utf8_lossy(&text).split('\0'))),
            unit: property(UNIT, "Environment").map(|text| variables(text.split_whitespace())),
        }
    }

    /// As the daemon goes.
    pub(super) fn ways(&self, config: &Config) -> Result<Ways, ProxyError> {
        Ways::new(&config.proxy, |name| self.of_service(name))
    }

    fn of_service(&self, name: &str) -> Option<String> {
        // A shell's variables are those of a daemon alone that the shell starts.
        match self.running.as_ref().or(self.unit.as_ref()) {
            Some(variables) => variables.get(name).cloned(),
            None => variable(name),
        }
    }
}

fn variables<'a>(assignments: impl Iterator<Item = &'a str>) -> Variables {
    let pairs = assignments.filter_map(|one| one.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Names the proxy on the way to this server, or warns of one that the device does not use.
pub(super) fn way(ways: &Ways, environment: &Environment, origin: &Origin) -> Option<Finding> {
    let host = origin.dial_host();
    if let Some(proxy) = ways.to(origin) {
        return Some(Finding::ok(
            CHECK,
            format!("{host} is reached through the proxy {proxy}"),
        ));
    }
    let in_unit = |name: &str| environment.unit.as_ref()?.get(name).cloned();
    let set = |name: &str| {
        environment
            .of_service(name)
            .or_else(|| in_unit(name))
            .or_else(|| variable(name))
    };
    let name = ways.unused(set)?;
    Some(Finding::warn(
        CHECK,
        format!("{name} is set, and c2c-authd uses no proxy: it connects to {host} directly"),
        "If there is no direct way out, let the network's firewall pass it; with another kind than frameio-c2c, \
         [network] proxy names a proxy",
    ))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

    use super::*;
    use crate::oauth::{BaseUri, Proxy};

    fn environment(running: Option<&str>, unit: &str) -> Environment {
        Environment {
            running: running.map(|text| variables(text.split('\0'))),
            unit: Some(variables(unit.split_whitespace())),
        }
    }

    fn told(setting: &Proxy, environment: &Environment) -> Option<String> {
        let base = BaseUri::parse("https://example.org").unwrap();
        let ways = Ways::new(setting, |name| environment.of_service(name)).unwrap();
        way(&ways, environment, base.origin()).map(|found| found.line())
    }

    #[test]
    fn a_proxy_that_is_not_used_is_named_without_its_value() {
        let of_unit = |unit| told(&Proxy::Direct, &environment(None, unit));
        assert_eq!(of_unit("no_proxy=example.org"), None);
        let line = of_unit("A=b https_proxy=http://user:word@10.0.0.1:3128").unwrap();
        assert!(line.starts_with("warn  proxy"), "{line}");
        assert!(line.contains("https_proxy") && !line.contains("word"), "{line}");
        assert!(of_unit("ALL_PROXY=a").is_some());
    }

    #[test]
    fn the_way_is_that_of_the_daemon_that_runs() {
        let unit = "HTTPS_PROXY=http://10.0.0.1:3128";
        let line = told(&Proxy::Environment, &environment(None, unit)).unwrap();
        assert!(line.contains("through the proxy http://10.0.0.1:3128"), "{line}");
        // This test's own process has a PATH. A daemon that a unit starts has its unit's variables.
        assert_eq!(environment(None, unit).of_service("PATH"), None);
        // The unit was changed since it started.
        let line = told(&Proxy::Environment, &environment(Some("A=b\0"), unit)).unwrap();
        assert!(
            line.starts_with("warn  proxy") && line.contains("HTTPS_PROXY"),
            "{line}"
        );
    }
}
