//! The sentence for somebody whom bus or daemon refuse: their name, the group that the command
//! wants, and how to join it.
//!
//! Must never: repeat the bus, whose text is about rules.

use super::args::Command;
use super::site::{Site, USER};
use crate::config::Principals;
use crate::config::accounts::Accounts;

/// The sentence of a refusal until it is known which command met it.
pub(super) const DENIED: &str = "access denied";

/// The one that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) uid: u32,
    /// Those of this process: a session keeps the groups that it began with.
    pub(super) groups: Vec<u32>,
}

impl Caller {
    pub(super) fn this() -> Self {
        let groups = rustix::process::getgroups().unwrap_or_default();
        let groups = groups.into_iter().chain([rustix::process::getegid()]);
        Self {
            uid: rustix::process::geteuid().as_raw(),
            groups: groups.map(rustix::process::Gid::as_raw).collect(),
        }
    }
}

/// The roles of which each is enough for a command.
const fn roles(command: &Command) -> &'static [&'static str] {
    match command {
        Command::Pair { .. } | Command::Complete | Command::Cancel | Command::Unpair { .. } | Command::Qr(_) => &["ui"],
        Command::Token { .. } | Command::Reject { .. } => &["uploader"],
        Command::Status { .. }
        | Command::Watch { .. }
        | Command::Check { .. }
        | Command::Accepted { .. }
        | Command::Report { .. }
        | Command::Metrics { .. }
        | Command::Provision(_)
        | Command::FactoryReset(_)
        | Command::Help
        | Command::Version => &["ui", "uploader"],
    }
}

/// The sentence for a command that was refused.
pub(super) fn refusal(site: &Site, command: &Command, caller: &Caller) -> String {
    if caller.uid == 0 {
        return format!("{DENIED}: the bus does not let root through; run: c2c-authctl check");
    }
    let roles = roles(command);
    let accounts = &*site.accounts;
    let user = accounts.user(caller.uid);
    let name = user
        .as_ref()
        .map_or_else(|| format!("uid {}", caller.uid), |user| user.name.clone());
    let held = Groups::of(site, roles);
    let begin = format!("{DENIED}: you are {name}, ");
    let Some(first) = held.known.first() else {
        return begin + &held.without(roles);
    };
    let is_member = |gid: u32| {
        user.as_ref().is_some_and(|user| user.gid == gid)
            || accounts.group(gid).is_some_and(|group| group.members.contains(&name))
    };
    if held.known.iter().any(|(gid, _)| caller.groups.contains(gid)) {
        return format!("{begin}and in the group, but the bus does not let it through; run as root: c2c-authctl check");
    }
    if let Some((_, group)) = held.known.iter().find(|(gid, _)| is_member(*gid)) {
        return format!("{begin}in the group {group} since you logged in: log in again");
    }
    let all: Vec<_> = held.known.iter().map(|(_, name)| name.as_str()).collect();
    let (all, group) = (all.join(" or "), &first.1);
    format!(
        "{begin}not in the group {all}: run usermod -aG {group} {name} and log in again, or SupplementaryGroups={group} in the \
         unit"
    )
}

/// The groups that hold one of some roles.
struct Groups {
    known: Vec<(u32, String)>,
    /// Those that `[access]` names and that do not exist.
    unknown: Vec<String>,
}

impl Groups {
    fn of(site: &Site, roles: &[&str]) -> Self {
        // A user that may not read it is told of the groups of the package.
        let access = site.config().ok().map(|config| config.access);
        let mut found = Self {
            known: Vec::new(),
            unknown: Vec::new(),
        };
        for role in roles {
            let name = format!("c2c-{role}");
            if let Some(access) = &access {
                let holders = if *role == "ui" { &access.ui } else { &access.uploader };
                found.add(&*site.accounts, holders);
            } else if let Some(group) = site.accounts.group_named(&name) {
                found.known.push((group.gid, name));
            } else {
                found.unknown.push(name);
            }
        }
        found
    }

    fn add(&mut self, accounts: &dyn Accounts, holders: &Principals) {
        let named = |gid: &u32| accounts.group(*gid).map_or_else(|| gid.to_string(), |group| group.name);
        self.known.extend(holders.gids.iter().map(|gid| (*gid, named(gid))));
        self.unknown.extend(holders.unknown_groups.iter().cloned());
    }

    /// The fault and its cure where no group holds the role.
    fn without(&self, roles: &[&str]) -> String {
        let role = roles[0];
        match self.unknown.first() {
            Some(group) if *group == format!("c2c-{role}") => format!(
                "and the group {group} does not exist: run systemd-sysusers, restart {USER}, then usermod -aG {group} and your name"
            ),
            Some(group) => format!(
                "and the group {group}, which access.{role} of the configuration names, does not exist: create it, then restart \
                 {USER}"
            ),
            None => format!("and no group has the role {role}: name one in access.{role} of the configuration"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::config::accounts::tests::Made;
    use crate::ctl::args::Args;

    const CAM: Caller = Caller {
        uid: 70,
        groups: Vec::new(),
    };

    fn told(line: &str, access: &str, groups: &[(&str, u32)], caller: &Caller, member_of: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let mut site = Site::at(folder.path());
        let config = site.path("/etc/c2c-authd/config.toml");
        fs::create_dir_all(config.parent().unwrap()).unwrap();
        fs::write(config, access).unwrap();
        let mut made = Made::new(&[("cam", 70)], groups);
        for group in made.groups.iter_mut().filter(|group| group.name == member_of) {
            group.members.push("cam".to_owned());
        }
        site.accounts = Arc::new(made);
        let args = Args::parse(line.split(' ').map(Into::into)).unwrap();
        refusal(&site, &args.command, caller)
    }

    const GROUPS: &[(&str, u32)] = &[("c2c-ui", 71), ("c2c-uploader", 72), ("studio", 73)];

    #[test]
    fn the_group_of_each_command_is_named_with_both_ways_to_join_it() {
        for (line, group) in [
            ("pair", "c2c-ui"),
            ("complete", "c2c-ui"),
            ("cancel", "c2c-ui"),
            ("unpair", "c2c-ui"),
            ("qr", "c2c-ui"),
            ("token", "c2c-uploader"),
        ] {
            assert_eq!(
                told(line, "", GROUPS, &CAM, ""),
                format!(
                    "access denied: you are cam, not in the group {group}: run usermod -aG {group} cam and log in again, or \
                     SupplementaryGroups={group} in the unit"
                )
            );
        }
        for line in ["status", "watch", "check"] {
            let told = told(line, "", GROUPS, &CAM, "");
            assert!(
                told.contains("not in the group c2c-ui or c2c-uploader: run usermod -aG c2c-ui cam"),
                "{told}"
            );
        }
        let studio = told("token", "[access]\nuploader = [\"studio\"]\n", GROUPS, &CAM, "");
        assert!(studio.contains("usermod -aG studio cam"), "{studio}");
        assert!(!studio.contains("c2c-"), "{studio}");
    }

    #[test]
    fn a_group_that_does_not_exist_is_not_to_be_joined() {
        let packages = told("token", "", &[("c2c-ui", 71)], &CAM, "");
        assert!(
            packages.contains("c2c-uploader does not exist: run systemd-sysusers"),
            "{packages}"
        );
        let own = told("pair", "[access]\nui = [\"film\"]\n", GROUPS, &CAM, "");
        assert!(
            own.contains("the group film, which access.ui") && own.contains("create it"),
            "{own}"
        );
        let nobody = told("pair", "[access]\nui = [\"user:cam\"]\n", GROUPS, &CAM, "");
        assert!(
            nobody.contains("no group has the role ui: name one in access.ui"),
            "{nobody}"
        );
    }

    #[test]
    fn who_is_in_the_group_is_not_told_to_join_it() {
        let joined = told("token", "", GROUPS, &CAM, "c2c-uploader");
        assert_eq!(
            joined,
            "access denied: you are cam, in the group c2c-uploader since you logged in: log in again"
        );
        let in_it = Caller {
            groups: vec![72],
            ..CAM
        };
        let refused = told("token", "", GROUPS, &in_it, "c2c-uploader");
        assert!(refused.contains("the bus does not let it through"), "{refused}");
        let root = Caller { uid: 0, ..CAM };
        let refused = told("token", "", GROUPS, &root, "");
        assert!(
            refused.contains("c2c-authctl check") && !refused.contains("usermod"),
            "{refused}"
        );
    }

    #[test]
    fn who_may_not_read_the_configuration_is_told_of_the_groups_of_the_package() {
        let told = told("token", "no configuration", GROUPS, &CAM, "");
        assert!(told.contains("usermod -aG c2c-uploader cam"), "{told}");
    }
}
