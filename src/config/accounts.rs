//! The users and groups of the machine that is configured: what names and numbers in the
//! configuration mean there.
//!
//! Owns the only way to ask the system for them, so that a test's machine has its own. Must never:
//! be asked about a caller.

use std::fmt;

use uzers::os::unix::GroupExt as _;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The kernel knows the number only.
    pub uid: u32,
    pub gid: u32,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The kernel knows the number only.
    pub gid: u32,
    pub name: String,
    /// The names of those who were put into it. Those whose primary group it is are not among them.
    pub members: Vec<String>,
}

pub trait Accounts: fmt::Debug + Send + Sync {
    /// The user of this name.
    fn user_named(&self, name: &str) -> Option<User>;
    /// The user of this number.
    fn user(&self, uid: u32) -> Option<User>;
    /// The group of this name.
    fn group_named(&self, name: &str) -> Option<Group>;
    /// The group of this number.
    fn group(&self, gid: u32) -> Option<Group>;
}

/// This machine's own, from wherever it has them (`nsswitch.conf`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Native;

impl Accounts for Native {
    fn user_named(&self, name: &str) -> Option<User> {
        uzers::get_user_by_name(name).map(|user| User::from(&user))
    }

    fn user(&self, uid: u32) -> Option<User> {
        uzers::get_user_by_uid(uid).map(|user| User::from(&user))
    }

    fn group_named(&self, name: &str) -> Option<Group> {
        uzers::get_group_by_name(name).map(|group| Group::from(&group))
    }

    fn group(&self, gid: u32) -> Option<Group> {
        uzers::get_group_by_gid(gid).map(|group| Group::from(&group))
    }
}

impl From<&uzers::User> for User {
    fn from(user: &uzers::User) -> Self {
        Self {
            uid: user.uid(),
            gid: user.primary_group_id(),
            name: user.name().to_string_lossy().into_owned(),
        }
    }
}

impl From<&uzers::Group> for Group {
    fn from(group: &uzers::Group) -> Self {
        let members = group.members().iter().map(|name| name.to_string_lossy().into_owned());
        Self {
            gid: group.gid(),
            name: group.name().to_string_lossy().into_owned(),
            members: members.collect(),
        }
    }
}

/// A machine without users and groups.
impl Accounts for () {
    fn user_named(&self, _: &str) -> Option<User> {
        None
    }

    fn user(&self, _: u32) -> Option<User> {
        None
    }

    fn group_named(&self, _: &str) -> Option<Group> {
        None
    }

    fn group(&self, _: u32) -> Option<Group> {
        None
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Those of a test's machine.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Made {
        pub(crate) users: Vec<User>,
        pub(crate) groups: Vec<Group>,
    }

    impl Made {
        /// Users whose primary group has their number and name, and groups without members.
        pub(crate) fn new(users: &[(&str, u32)], groups: &[(&str, u32)]) -> Self {
            let group = |(name, gid): &(&str, u32)| Group {
                gid: *gid,
                name: (*name).to_owned(),
                members: Vec::new(),
            };
            let user = |(name, uid): &(&str, u32)| User {
                uid: *uid,
                gid: *uid,
                name: (*name).to_owned(),
            };
            Self {
                users: users.iter().map(user).collect(),
                groups: groups.iter().map(group).collect(),
            }
        }
    }

    impl Accounts for Made {
        fn user_named(&self, name: &str) -> Option<User> {
            self.users.iter().find(|user| user.name == name).cloned()
        }

        fn user(&self, uid: u32) -> Option<User> {
            self.users.iter().find(|user| user.uid == uid).cloned()
        }

        fn group_named(&self, name: &str) -> Option<Group> {
            self.groups.iter().find(|group| group.name == name).cloned()
        }

        fn group(&self, gid: u32) -> Option<Group> {
            self.groups.iter().find(|group| group.gid == gid).cloned()
        }
    }

    #[test]
    fn this_machine_has_root() {
        // The one account that every system has, by its number.
        let root = Native.user(0).map(|user| user.name);
        assert_eq!(
            root.and_then(|name| Native.user_named(&name)).map(|user| user.uid),
            Some(0)
        );
        assert_eq!(Native.user_named("no such user"), None);
        assert_eq!(Native.group_named("no such group"), None);
    }
}
